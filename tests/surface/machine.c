/*
 * A guest's memory as KVM's page tables show it, and where it can become CPL0, for `run` to put
 * into docs/surface.md: surface_machine GUEST. Needs no KVM: it builds the tables and walks them.
 */
#include "../../src/host/machine/kvm_tables.h"

#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS 0x000ffffffffff000ull
#define PRESENT 1ull
#define WRITE 2ull
#define USER 4ull
#define NX (1ull << 63)

static struct halo_machine machine;
static unsigned char *tables;

static uint64_t word(uint64_t table, uint64_t index)
{
    uint64_t value;

    memcpy(&value, tables + (table - KVM_SYSTEM_BASE) + index * 8, sizeof(value));
    return value;
}

/* --- Pages ------------------------------------------------------------------------------------ */

static const char *name_of(uint64_t at)
{
    const struct halo_layout *layout = &machine.layout;

    if (at >= KVM_STACK)
        return "stack for faults";
    if (at >= KVM_STUBS)
        return "stubs for faults";
    if (at >= KVM_TSS)
        return "task state, I/O bitmap";
    if (at >= KVM_IDT)
        return "interrupt table";
    if (at >= KVM_GDT)
        return "segment table";
    if (at >= layout->doorbell)
        return "doorbell";
    if (at >= layout->args)
        return "arguments, boot page";
    if (at >= layout->ring)
        return "queues, save page, stack for signals";
    if (at >= layout->pool)
        return "buffers";
    if (at >= layout->stack_top - layout->stack_len && at < layout->stack_top)
        return "stack";
    return at >= layout->image_end ? "heap" : "program";
}

/* A run of pages with the same rights, which are those of all levels together. */
struct run {
    const char *name;
    uint64_t rights, count;
};

static void end_run(struct run *run)
{
    /* Lengths that a compiler or an option decides are not told. */
    const bool fixed = strcmp(run->name, "program") != 0 && strcmp(run->name, "heap") != 0;
    char count[32] = "as the file says";

    if (fixed)
        (void)snprintf(count, sizeof(count), "%llu", (unsigned long long)run->count);
    else if (run->name[0] == 'h')
        (void)snprintf(count, sizeof(count), "what is left");
    if (run->count > 0)
        (void)printf("page %s|%s|%s|r%c%c\n", run->name, count, run->rights & USER ? "3" : "0",
                     run->rights & WRITE ? 'w' : '-', run->rights & NX ? '-' : 'x');
    run->count = 0;
}

static void add_page(struct run *run, uint64_t address, uint64_t rights)
{
    if (strcmp(run->name, name_of(address)) != 0 || run->rights != rights)
        end_run(run);
    run->name = name_of(address);
    run->rights = rights;
    run->count++;
    if ((rights & (WRITE | NX)) == WRITE)
        errx(1, "writable and executable: %s", run->name);
}

static void walk(struct run *run, uint64_t table, unsigned level, uint64_t base, uint64_t rights)
{
    for (uint64_t i = 0; i < 512; i++) {
        const uint64_t entry = word(table, i);
        const uint64_t address = base + (i << (12 + 9 * level));
        const uint64_t both = (rights & entry & (WRITE | USER)) | ((rights | entry) & NX);

        if (!(entry & PRESENT))
            continue;
        if (level > 0)
            walk(run, entry & ADDRESS, level - 1, address, both);
        else if ((entry & ADDRESS) != address)
            errx(1, "a page is mapped elsewhere");
        else
            add_page(run, address, both);
    }
}

/* --- Gates and code --------------------------------------------------------------------------- */

static void print_gates(void)
{
    for (uint64_t i = 0; i < 256; i++) {
        const uint64_t low = word(KVM_IDT, 2 * i), high = word(KVM_IDT, 2 * i + 1);
        const uint64_t target = (low & 0xffff) | (low >> 48 & 0xffff) << 16 | high << 32;

        (void)printf("gate %llu|%llx|%llu|%llu|%+lld\n", (unsigned long long)i,
                     (unsigned long long)(low >> 16 & 0xffff), (unsigned long long)(low >> 45 & 3),
                     (unsigned long long)(low >> 32 & 7), (long long)(target - KVM_STUBS - 16 * i));
    }
}

static void print_code(const char *name, const unsigned char *from, size_t len)
{
    (void)printf("code %s|", name);
    for (size_t i = 0; i < len; i++)
        (void)printf("%02x", from[i]);
    (void)printf("\n");
}

/* The stub of each vector is the same, and what is between them is nothing. */
static void print_stubs(void)
{
    const unsigned char *stubs = tables + (KVM_STUBS - KVM_SYSTEM_BASE);

    for (unsigned i = 1; i < 256; i++) {
        if (memcmp(stubs, stubs + (size_t)i * 16, 16) != 0)
            errx(1, "stubs differ");
    }
    print_code("stub", stubs, 16);
}

/* As a processor finds it; addresses in it, which a program decides, are made 0. */
static void print_syscall(void)
{
    static const size_t addresses[][2] = {{3, 4}, {35, 4}, {41, 8}};
    unsigned char code[52];

    halo_shm_copy_in(
        code, machine.ram.host + (machine.layout.doorbell - HALO_RAM_BASE) + HALO_SYSCALL_OFFSET,
        sizeof(code));
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        memset(code + addresses[i][0], 0, addresses[i][1]);
    print_code("syscall", code, sizeof(code));
}

int main(int argc, char **argv)
{
    const struct halo_options options = {.backend = HALO_BACKEND_PROCESS};
    struct halo_words words = {.text = ""};
    struct run run = {"", 0, 0};

    if (argc != 2)
        errx(2, "usage: surface_machine GUEST");
    if (halo__machine_load(&machine, &words, &(struct halo_program){.path = argv[1], .fd = -1},
                           &options))
        errx(1, "%s", words.text);
    tables = calloc(1, halo__kvm_tables_len(&machine.layout));
    if (!tables)
        err(1, "no memory");
    halo__kvm_tables_build(&machine, tables);
    walk(&run, KVM_PML4, 3, 0, USER | WRITE);
    end_run(&run);
    print_gates();
    print_stubs();
    if (machine.layout.syscall_entry)
        print_syscall();
    free(tables);
    halo__machine_close(&machine);
    return 0;
}
