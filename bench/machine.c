/*
 * The machine that is a function call, as a backend of the host's. Nothing else of the benchmark
 * knows the host from the inside.
 *
 * The linker gives whoever asks for the backend "process" the table of this file instead
 * (--wrap in meson.build). It is a copy of that backend's until bench_machine_use.
 *
 * The guest finds in fs what this process's C library keeps there. Code with a stack protector,
 * which is nanopb's alone, reads its word at fs:0x28 from there, and it is the same on both stacks.
 */
#define _GNU_SOURCE
#include "machine.h"
#include "../src/host/machine/machine.h"
#include "bench.h"
#include <string.h>
#include <sys/mman.h>

extern const struct halo_backend __real_halo__process;
extern struct halo_backend __wrap_halo__process;

/* There is one address range for guests here, and so one guest. */
static struct {
    bool is_used; /* this machine, instead of the real backend */
    bool is_entered;
    void *host_stack, *guest_stack; /* of the one that stands still */
    struct halo_exit *exit;
} guest;

/* Put this stack's place at `save`, and go on where `stack` was left. */
void bench_switch(void **save, void *stack);
/* Put this stack's place at `save`, and begin at `entry`, as if called with `boot`. */
void bench_enter(void **save, void *stack, uint64_t entry, uint64_t boot);

__asm__(".text\n"
        ".macro leave_stack\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        ".endm\n"
        ".hidden bench_switch, bench_enter\n"
        ".globl bench_switch, bench_enter\n"
        ".type bench_switch, @function\n"
        ".type bench_enter, @function\n"
        "bench_switch:\n"
        "    leave_stack\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbx\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size bench_switch, . - bench_switch\n"
        "bench_enter:\n"
        "    leave_stack\n"
        "    mov %rcx, %rdi\n"
        "    jmp *%rdx\n"
        ".size bench_enter, . - bench_enter\n");

/* Where the doorbell's code jumps to: the guest's call, still on its stack. */
static void doorbell(uint64_t op, uint64_t a, uint64_t b)
{
    *guest.exit = (struct halo_exit){.kind = HALO_EXIT_DOORBELL, .op = op, .a = a, .b = b};
    bench_switch(&guest.guest_stack, guest.host_stack);
}

static int create(struct halo_machine *machine)
{
    const struct halo_layout *layout = &machine->layout;

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];
        void *const at = (void *)(uintptr_t)range->base;
        const int prot = (range->prot & HALO_PROT_READ ? PROT_READ : 0) |
                         (range->prot & HALO_PROT_WRITE ? PROT_WRITE : 0) |
                         (range->prot & HALO_PROT_EXEC ? PROT_EXEC : 0);

        if (mmap(at, range->len, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, machine->ram.fd,
                 (off_t)(range->base - HALO_RAM_BASE)) != at)
            return halo__fail(machine->words, HALO_EHOST,
                              "guest memory is not free in this process");
    }
    guest.is_entered = false;
    return 0;
}

static bool destroy(struct halo_machine *machine)
{
    munmap((void *)(uintptr_t)HALO_RAM_BASE, machine->ram.len);
    return true;
}

static int enter(struct halo_machine *machine, int64_t deadline)
{
    (void)machine;
    (void)deadline;
    return 0;
}

static void leave(struct halo_machine *machine)
{
    (void)machine;
}

static int run(struct halo_machine *machine, int64_t deadline, struct halo_exit *exit)
{
    const struct halo_layout *layout = &machine->layout;

    (void)deadline;
    guest.exit = exit;
    if (guest.is_entered) {
        bench_switch(&guest.host_stack, guest.guest_stack);
    } else {
        guest.is_entered = true;
        bench_enter(&guest.host_stack, (void *)(uintptr_t)(layout->stack_top - 8), layout->entry,
                    layout->boot);
    }
    return 0;
}

struct halo_backend __wrap_halo__process;

__attribute__((constructor)) static void copy_process(void)
{
    __wrap_halo__process = __real_halo__process;
}

void bench_machine_use(void)
{
    void (*const to)(uint64_t, uint64_t, uint64_t) = doorbell;
    unsigned char code[16] = {0xff, 0x25, 0x02, 0, 0, 0}; /* jmp *2(%rip): to the address below */

    memcpy(code + 8, &to, sizeof(to));
    __wrap_halo__process = (struct halo_backend){.name = "call",
                                                 .create = create,
                                                 .enter = enter,
                                                 .leave = leave,
                                                 .run = run,
                                                 .destroy = destroy};
    memcpy(__wrap_halo__process.doorbell, code, sizeof(code));
    guest.is_used = true;
}

enum halo_backend_choice bench_backend(bool is_process)
{
    return is_process || guest.is_used ? HALO_BACKEND_PROCESS : HALO_BACKEND_AUTO;
}
