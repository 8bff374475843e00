/*
 * The doorbell's page: all code of the host's that a guest executes.
 *
 *     0                    the doorbell: saves what a function has to keep, leaves, and comes back
 *     HALO_SYSCALL_OFFSET  where `syscall` leads, for guests that ask for it
 *     HALO_PROTECT_OFFSET  asks the host for a protection, for the same guests
 *     HALO_START_OFFSET    clears what is not saved, loads what is, and comes back from a doorbell:
 *                          so a guest starts, and goes on with other memory
 *     CLEAN                for XRSTOR: what each register of the processor's begins with
 *
 * What is saved is the guest's own, in a page that it can write: whatever it writes there, it
 * could load into its registers by itself.
 */
#define _GNU_SOURCE
#include "machine.h"
#include <cpuid.h>
#include <string.h>
#include <sys/auxv.h>

#define CLEAN 1024u
#define CLEAN_LEN 576u /* FXSAVE's part and the header, which says that there is nothing */
#define PAGE_LEN (CLEAN + CLEAN_LEN)

#define HWCAP2_FSGSBASE 2ul /* the kernel's word that rdfsbase may be used */
#define MXCSR_DEFAULT 0x1f80u
#define CONTROL_DEFAULT 0x037fu
#define SYSCALL_WAY 39u /* into add_syscall's code, where rcx is set */

/* Code that grows. */
struct code {
    unsigned char *page;
    uint64_t address; /* of the page */
    uint32_t at;
};

#define ADD(code, ...)                                \
    do {                                              \
        const unsigned char bytes_[] = {__VA_ARGS__}; \
        add((code), bytes_, sizeof(bytes_));          \
    } while (0)

static void put_u32(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static void add(struct code *code, const unsigned char *bytes, size_t len)
{
    memcpy(code->page + code->at, bytes, len);
    code->at += (uint32_t)len;
}

/* Behind an instruction that ends so: the place of `target`, from where the next one begins. */
static void add_distance(struct code *code, uint64_t target)
{
    put_u32(code->page + code->at, target - (code->address + code->at + 4));
    code->at += 4;
}

/* What a function has to keep: `mov` to the save page (0x89) or from it (0x8b). */
static void add_kept(struct code *code, uint64_t registers, unsigned char mov)
{
    static const struct {
        unsigned char rex, operand;
        uint16_t offset;
    } kept[] = {
        {0x48, 0x1d, offsetof(struct halo_registers, rbx)},
        {0x48, 0x2d, offsetof(struct halo_registers, rbp)},
        {0x48, 0x25, offsetof(struct halo_registers, rsp)},
        {0x4c, 0x25, offsetof(struct halo_registers, r12)},
        {0x4c, 0x2d, offsetof(struct halo_registers, r13)},
        {0x4c, 0x35, offsetof(struct halo_registers, r14)},
        {0x4c, 0x3d, offsetof(struct halo_registers, r15)},
    };

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        ADD(code, kept[i].rex, mov, kept[i].operand);
        add_distance(code, registers + kept[i].offset);
    }
}

/* FS and GS base by r11, with the instruction of this second half. */
static void add_bases(struct code *code, uint64_t registers, bool saves)
{
    const uint64_t places[] = {registers + offsetof(struct halo_registers, fs_base),
                               registers + offsetof(struct halo_registers, gs_base)};

    for (unsigned char i = 0; i < 2; i++) {
        if (saves)
            ADD(code, 0xf3, 0x49, 0x0f, 0xae, (unsigned char)(0xc3 + 8 * i)); /* rd..base %r11 */
        ADD(code, 0x4c, saves ? 0x89 : 0x8b, 0x1d); /* mov %r11, or to it */
        add_distance(code, places[i]);
        if (!saves)
            ADD(code, 0xf3, 0x49, 0x0f, 0xae, (unsigned char)(0xd3 + 8 * i)); /* wr..base %r11 */
    }
}

/* From the doorbell's beginning to HALO_DOORBELL_EXIT, always of that length. */
static void add_save(struct code *code, uint64_t registers)
{
    add_kept(code, registers, 0x89);
    ADD(code, 0x0f, 0xae, 0x1d); /* stmxcsr */
    add_distance(code, registers + offsetof(struct halo_registers, mxcsr));
    ADD(code, 0xd9, 0x3d); /* fnstcw */
    add_distance(code, registers + offsetof(struct halo_registers, control));
    if (halo__doorbell_has_bases())
        add_bases(code, registers, true);
    else
        ADD(code, 0xeb, (unsigned char)(HALO_DOORBELL_EXIT - code->at - 2)); /* jmp */
    code->at = HALO_DOORBELL_EXIT; /* where it is in any case */
}

/*
 * Behind the exit: note the time stamp counter at which the guest goes on, beside what the host
 * says of the time in the status line. Returns where this code lies.
 */
static uint64_t add_return(struct code *code, uint64_t counter)
{
    const uint64_t at = code->address + code->at;

    ADD(code, 0x49, 0x89, 0xd3); /* mov %rdx,%r11 */
    ADD(code, 0x0f, 0x31);       /* rdtsc */
    ADD(code, 0x89, 0x05);       /* mov %eax */
    add_distance(code, counter);
    ADD(code, 0x89, 0x15); /* mov %edx */
    add_distance(code, counter + 4);
    ADD(code, 0x4c, 0x89, 0xda); /* mov %r11,%rdx */
    ADD(code, 0xc3);             /* ret */
    return at;
}

static bool has_xrstor(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_OSXSAVE);
}

/*
 * Where a guest begins: nothing of whoever used the processor before is left in a register. rdi is
 * the boot page, which only a program's first instruction looks at.
 */
static void add_start(struct code *code, const struct halo_layout *layout, uint64_t registers,
                      uint64_t way_back)
{
    code->at = HALO_START_OFFSET;
    if (has_xrstor()) {
        ADD(code, 0x83, 0xc8, 0xff, 0x83, 0xca, 0xff); /* or $-1,%eax; or $-1,%edx */
        ADD(code, 0x48, 0x0f, 0xae, 0x2d);             /* xrstor64 */
        add_distance(code, code->address + CLEAN);
    }
    ADD(code, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0); /* xor %eax,%eax; mov to ds, es */
    if (halo__doorbell_has_bases())
        ADD(code, 0x8e, 0xe0, 0x8e, 0xe8); /* to fs, gs, whose bases come next */
    add_kept(code, registers, 0x8b);
    ADD(code, 0x0f, 0xae, 0x15); /* ldmxcsr */
    add_distance(code, registers + offsetof(struct halo_registers, mxcsr));
    ADD(code, 0xd9, 0x2d); /* fldcw */
    add_distance(code, registers + offsetof(struct halo_registers, control));
    if (halo__doorbell_has_bases())
        add_bases(code, registers, false);
    ADD(code, 0x6a, 0x02, 0x9d); /* push $2; popf */
    ADD(code, 0x31, 0xc9, 0x31, 0xd2, 0x31, 0xf6, 0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9, 0x45, 0x31,
        0xd2);                   /* xor of ecx, edx, esi, r8d, r9d, r10d */
    ADD(code, 0x48, 0x8d, 0x3d); /* lea boot,%rdi */
    add_distance(code, layout->boot);
    ADD(code, 0xe9); /* jmp */
    add_distance(code, way_back);
}

/*
 * Where `syscall` leads. A software KVM stays at CPL3; elsewhere this is CPL0, whose only work is
 * to go back at once. There it touches one word, whose address is the host's, and no memory through
 * a register of the guest's; and rcx, where `sysretq` goes, is an address of this page. VM-05.
 */
static void add_syscall(struct code *code, const struct halo_layout *layout)
{
    static const unsigned char bytes[] = {
        0x48, 0x89, 0x0d, 0,    0, 0, 0,          /*  0: mov %rcx,rcx(%rip) */
        0x41, 0x8c, 0xcb,                         /*  7: mov %cs,%r11d */
        0x41, 0xf6, 0xc3, 0x03,                   /* 10: test $3,%r11b */
        0x75, 0x10,                               /* 14: jnz 32 */
        0x48, 0x8d, 0x0d, 0x09, 0, 0, 0,          /* 16: lea 32(%rip),%rcx */
        0x41, 0xbb, 0x02, 0x30, 0, 0,             /* 23: mov $0x3002,%r11d: IOPL 3 */
        0x48, 0x0f, 0x07,                         /* 29: sysretq */
        0x48, 0x8b, 0x0d, 0,    0, 0, 0,          /* 32: mov rcx(%rip),%rcx */
        0x49, 0xbb, 0,    0,    0, 0, 0, 0, 0, 0, /* 39: movabs $entry,%r11 */
        0x41, 0xff, 0xe3,                         /* 49: jmp *%r11 */
    };
    unsigned char *at = code->page + HALO_SYSCALL_OFFSET;
    const uint64_t address = code->address + HALO_SYSCALL_OFFSET;
    const uint64_t rcx = layout->save + offsetof(struct halo_save, rcx);

    _Static_assert(HALO_SYSCALL_OFFSET + sizeof(bytes) <= HALO_PROTECT_OFFSET, "of one page");
    memcpy(at, bytes, sizeof(bytes));
    put_u32(at + 3, rcx - (address + 7));
    put_u32(at + 35, rcx - (address + SYSCALL_WAY));
    put_u32(at + SYSCALL_WAY + 2, layout->syscall_entry);
    put_u32(at + SYSCALL_WAY + 6, layout->syscall_entry >> 32);
}

uint64_t halo__doorbell_syscall_way(const struct halo_layout *layout)
{
    return layout->syscall_entry ? layout->doorbell + HALO_SYSCALL_OFFSET + SYSCALL_WAY : 0;
}

uint64_t halo__doorbell_start(const struct halo_layout *layout)
{
    return layout->doorbell + HALO_START_OFFSET;
}

bool halo__doorbell_has_bases(void)
{
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

static void place(struct halo_machine *machine, uint64_t address, const void *from, size_t len)
{
    halo_shm_copy_out(machine->ram.host + (address - HALO_RAM_BASE), from, len);
}

void halo__doorbell_write(struct halo_machine *machine)
{
    const struct halo_layout *layout = &machine->layout;
    const uint64_t registers = layout->save + offsetof(struct halo_save, registers);
    const uint32_t mxcsr = MXCSR_DEFAULT;
    unsigned char page[PAGE_LEN] = {0};
    struct code code = {.page = page, .address = layout->doorbell};
    uint64_t way_back;

    add_save(&code, registers);
    add(&code, machine->backend->doorbell, HALO_DOORBELL_LEN);
    way_back = add_return(&code, layout->save + offsetof(struct halo_save, counter));
    add_start(&code, layout, registers, way_back);
    if (layout->syscall_entry) {
        add_syscall(&code, layout);
        memcpy(page + HALO_PROTECT_OFFSET, machine->backend->protect_code, HALO_PROTECT_LEN);
        memcpy(page + HALO_RELEASE_OFFSET, machine->backend->release_code, HALO_PROTECT_LEN);
    }
    memcpy(page + CLEAN + 24, &mxcsr, sizeof(mxcsr));
    place(machine, layout->doorbell, page, sizeof(page));
}

/* As if the program's first instruction had called the doorbell: it returns there. */
void halo__doorbell_begin(struct halo_machine *machine)
{
    const struct halo_layout *layout = &machine->layout;
    const struct halo_registers registers = {
        .rsp = layout->stack_top - 16, /* 8 when it has returned, as after a call: the ABI's */
        .fs_base = layout->boot + HALO_THREAD_OFFSET,
        .mxcsr = MXCSR_DEFAULT,
        .control = CONTROL_DEFAULT,
    };

    place(machine, layout->save + offsetof(struct halo_save, registers), &registers,
          sizeof(registers));
    place(machine, registers.rsp, &layout->entry, sizeof(layout->entry));
}
