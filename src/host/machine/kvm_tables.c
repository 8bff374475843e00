/* Page tables and descriptor tables for a guest whose own code all runs at CPL3. */
#include "kvm_tables.h"
#include <string.h>

#define PTE_PRESENT 0x1ull
#define PTE_WRITE 0x2ull
#define PTE_USER 0x4ull
#define PTE_SEEN 0x60ull /* accessed and dirty: preset, so that no walk has to write them */
#define PTE_NX (1ull << 63)
#define PTE_UPPER (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_SEEN)

#define PAGE_TABLE_SPAN (2ull << 20)
#define PAGE_DIRECTORY_SPAN (1ull << 30)

/* Of all that is mapped: RAM, and the system above it. */
#define DIRECTORY_COUNT (KVM_SYSTEM_BASE / PAGE_DIRECTORY_SPAN + 1)

/* Of addresses that are no memory's own. */
#define PAGING_DIRECTORIES (HALO_PAGING_LEN / PAGE_DIRECTORY_SPAN)
#define PAGING_INDEX (HALO_PAGING_BASE >> 39)

_Static_assert(HALO_PAGING_BASE % (1ull << 39) == 0, "they begin a PDPT");
_Static_assert(HALO_RAM_BASE % PAGE_TABLE_SPAN == 0, "a table maps RAM alone");
_Static_assert(KVM_SYSTEM_BASE % PAGE_TABLE_SPAN == 0, "and another one the system");
_Static_assert(HALO_RAM_BASE + HALO_RAM_MAX <= KVM_SYSTEM_BASE, "the system is above RAM");

/* One table for the system's own pages, of which few are mapped, and those for RAM. */
static uint64_t table_count(const struct halo_layout *layout)
{
    const uint64_t ram_len = layout->doorbell + HALO_PAGE - HALO_RAM_BASE;

    return 1 + (ram_len + PAGE_TABLE_SPAN - 1) / PAGE_TABLE_SPAN;
}

uint64_t halo__kvm_tables_len(const struct halo_layout *layout)
{
    uint64_t pages = 3 + DIRECTORY_COUNT + table_count(layout);

    if (layout->syscall_entry)
        pages += 1 + PAGING_DIRECTORIES + KVM_PAGING_TABLES;
    return KVM_PML4 - KVM_SYSTEM_BASE + pages * HALO_PAGE;
}

/* Where they are: twice the PML4, one PDPT, directories, the system's table, RAM's tables. Behind
 * them PDPT, directories and tables of paging.c. */
#define PDPT (KVM_PML4_TWIN + HALO_PAGE)
#define DIRECTORIES (PDPT + HALO_PAGE)
#define PAGE_TABLES (DIRECTORIES + DIRECTORY_COUNT * HALO_PAGE)

static void set_entry(unsigned char *system, uint64_t table, uint64_t index, uint64_t entry)
{
    memcpy(system + (table - KVM_SYSTEM_BASE) + index * 8, &entry, sizeof(entry));
}

/* The guest address of the page table that maps `address`. */
static uint64_t page_table_of(uint64_t address)
{
    if (address >= KVM_SYSTEM_BASE)
        return PAGE_TABLES;
    return PAGE_TABLES + (1 + (address - HALO_RAM_BASE) / PAGE_TABLE_SPAN) * HALO_PAGE;
}

static void map(unsigned char *system, uint64_t base, uint64_t len, uint64_t flags)
{
    for (uint64_t at = base; at < base + len; at += HALO_PAGE) {
        const uint64_t table = page_table_of(at);
        const uint64_t directory = DIRECTORIES + at / PAGE_DIRECTORY_SPAN * HALO_PAGE;

        set_entry(system, directory, at / PAGE_TABLE_SPAN % 512, table | PTE_UPPER);
        set_entry(system, table, at / HALO_PAGE % 512, flags ? at | flags | PTE_SEEN : 0);
    }
}

/* What an entry says of a page of the guest's; 0 where it may do nothing. */
static uint64_t flags_of(uint64_t prot)
{
    uint64_t flags = prot ? PTE_PRESENT | PTE_USER : 0;

    flags |= prot & HALO_PROT_WRITE ? PTE_WRITE : 0;
    flags |= prot && !(prot & HALO_PROT_EXEC) ? PTE_NX : 0;
    return flags;
}

static uint64_t paging_directory(const struct halo_layout *layout, uint64_t index)
{
    return PAGE_TABLES + (table_count(layout) + 1 + index) * HALO_PAGE;
}

static uint64_t paging_table(const struct halo_layout *layout, uint64_t index)
{
    return paging_directory(layout, PAGING_DIRECTORIES + index);
}

static void build_paging(const struct halo_layout *layout, unsigned char *system)
{
    const uint64_t pdpt = PAGE_TABLES + table_count(layout) * HALO_PAGE;

    set_entry(system, KVM_PML4, PAGING_INDEX, pdpt | PTE_UPPER);
    set_entry(system, KVM_PML4_TWIN, PAGING_INDEX, pdpt | PTE_UPPER);
    for (uint64_t i = 0; i < PAGING_DIRECTORIES; i++)
        set_entry(system, pdpt, i, paging_directory(layout, i) | PTE_UPPER);
}

/* Where the entry is that leads to the table of that many 2 MiB. */
static unsigned char *region_entry(const struct halo_layout *layout, unsigned char *system,
                                   uint64_t region)
{
    return system + (paging_directory(layout, region / 512) - KVM_SYSTEM_BASE) + region % 512 * 8;
}

bool halo__kvm_tables_fill(const struct halo_layout *layout, unsigned char *system,
                           unsigned char taken[KVM_PAGING_TABLES], const struct halo_fill *fill)
{
    const uint64_t offset = fill->at - HALO_PAGING_BASE;
    unsigned char *entry = region_entry(layout, system, offset / PAGE_TABLE_SPAN);
    uint64_t table;

    memcpy(&table, entry, sizeof(table));
    if (!table) {
        const unsigned char *free = memchr(taken, false, KVM_PAGING_TABLES);

        if (!free)
            return false;
        taken[free - taken] = true;
        table = paging_table(layout, (uint64_t)(free - taken)) | PTE_UPPER;
        memcpy(entry, &table, sizeof(table));
    }
    for (uint64_t at = 0; at < fill->len; at += HALO_PAGE)
        set_entry(system, table & ~(HALO_PAGE - 1), (offset + at) / HALO_PAGE % 512,
                  (fill->from + at) | flags_of(fill->prot) | PTE_SEEN);
    return true;
}

void halo__kvm_tables_release(const struct halo_layout *layout, unsigned char *system,
                              unsigned char taken[KVM_PAGING_TABLES], uint64_t base, uint64_t len)
{
    const uint64_t end = base - HALO_PAGING_BASE + len;
    uint64_t next;

    for (uint64_t at = base - HALO_PAGING_BASE; at < end; at = next) {
        unsigned char *entry = region_entry(layout, system, at / PAGE_TABLE_SPAN);
        uint64_t table;

        next = (at / PAGE_TABLE_SPAN + 1) * PAGE_TABLE_SPAN;
        if (next > end)
            next = end;
        memcpy(&table, entry, sizeof(table));
        if (!table)
            continue;
        table &= ~(HALO_PAGE - 1);
        memset(system + (table - KVM_SYSTEM_BASE) + at / HALO_PAGE % 512 * 8, 0,
               (next - at) / HALO_PAGE * 8);
        if (next - at < PAGE_TABLE_SPAN)
            continue;
        taken[(table - paging_table(layout, 0)) / HALO_PAGE] = false;
        memset(entry, 0, sizeof(table));
    }
}

static void build_page_tables(const struct halo_machine *machine, unsigned char *system)
{
    struct halo_range range;
    uint64_t at = HALO_RAM_BASE;

    set_entry(system, KVM_PML4, 0, PDPT | PTE_UPPER);
    set_entry(system, KVM_PML4_TWIN, 0, PDPT | PTE_UPPER);
    for (uint64_t i = 0; i < DIRECTORY_COUNT; i++)
        set_entry(system, PDPT, i, (DIRECTORIES + i * HALO_PAGE) | PTE_UPPER);

    map(system, KVM_GDT, KVM_STUBS - KVM_GDT, PTE_PRESENT | PTE_WRITE | PTE_NX);
    map(system, KVM_STUBS, HALO_PAGE, PTE_PRESENT);
    map(system, KVM_STACK, HALO_PAGE, PTE_PRESENT | PTE_WRITE | PTE_NX);
    while (halo__layout_next(machine, &at, &range))
        map(system, range.base, range.len, flags_of(range.prot));
    if (machine->layout.syscall_entry)
        build_paging(&machine->layout, system);
}

void halo__kvm_tables_protect(unsigned char *system, uint64_t base, uint64_t len, uint64_t prot)
{
    map(system, base, len, flags_of(prot));
}

/* Selectors as Linux has them: some software KVM implementations count on it. */
static void build_gdt(unsigned char *gdt)
{
    const uint64_t tss_low = (KVM_TSS_LIMIT & 0xffff) | (KVM_TSS & 0xffffff) << 16 | 0x8bull << 40 |
                             (uint64_t)(KVM_TSS_LIMIT >> 16) << 48 | (KVM_TSS >> 24 & 0xff) << 56;
    const uint64_t entries[] = {
        0,
        0,
        0x00af9b000000ffffull, /* 0x10: kernel code, 64 bits */
        0x00cf93000000ffffull, /* 0x18: kernel data */
        0x00cffb000000ffffull, /* 0x23: user code, 32 bits */
        0x00cff3000000ffffull, /* 0x2b: user data */
        0x00affb000000ffffull, /* 0x33: user code, 64 bits */
        0,
        tss_low, /* 0x40: task state */
        KVM_TSS >> 32,
    };

    _Static_assert(sizeof(entries) == KVM_GDT_LIMIT + 1, "the limit covers the table");
    memcpy(gdt, entries, sizeof(entries));
}

/*
 * Interrupt gates to the stubs, for CPL0 only: a guest's `int n` is a protection fault. All of them
 * switch to the fault stack, whatever rsp is: code that `syscall` enters at CPL0 still has the
 * guest's. VM-06.
 */
static void build_idt(unsigned char *idt)
{
    for (uint64_t vector = 0; vector < 256; vector++) {
        uint64_t stub = KVM_STUBS + vector * 16;
        uint64_t gate[2] = {
            (stub & 0xffff) | 0x10ull << 16 | 0x8e01ull << 32 | (stub >> 16 & 0xffff) << 48,
            stub >> 32,
        };

        memcpy(idt + vector * 16, gate, sizeof(gate));
    }
}

/* `out %al, $port; hlt; jmp` to the start: the host tells the vector by where the guest stands. A
 * page fault's has behind it how to go on: `add $8, %rsp; iretq`. */
static void build_stubs(unsigned char *stubs)
{
    static const unsigned char stub[] = {0xe6, KVM_FAULT_PORT, 0xf4, 0xeb, 0xfb, 0x48,
                                         0x83, 0xc4,           0x08, 0x48, 0xcf};

    for (unsigned vector = 0; vector < 256; vector++)
        memcpy(stubs + vector * 16, stub, sizeof(stub));
}

/* A stack for faults, and an I/O bitmap without a bit set: ports may be used at CPL3. */
static void build_tss(unsigned char *tss)
{
    const uint64_t stack = KVM_STACK_TOP;
    const uint16_t bitmap = 0x68;

    memcpy(tss + 4, &stack, sizeof(stack));  /* of CPL0 */
    memcpy(tss + 36, &stack, sizeof(stack)); /* the first of those that gates may name */
    memcpy(tss + 102, &bitmap, sizeof(bitmap));
    tss[KVM_TSS_LIMIT] = 0xff;
}

void halo__kvm_tables_build(const struct halo_machine *machine, unsigned char *system)
{
    build_page_tables(machine, system);
    build_gdt(system + (KVM_GDT - KVM_SYSTEM_BASE));
    build_idt(system + (KVM_IDT - KVM_SYSTEM_BASE));
    build_tss(system + (KVM_TSS - KVM_SYSTEM_BASE));
    build_stubs(system + (KVM_STUBS - KVM_SYSTEM_BASE));
}
