/*
 * A guest that looks at what the doorbell saves, and begins again by itself: registers MODE. What
 * it should see is in tests/e2e/run. It exits with 7 where all is as it should be.
 */
#include "check.h"
#include <string.h>

struct clean {
    uint64_t vector[4]; /* xmm0, xmm15 */
    uint64_t flags;
    uint32_t mxcsr;
    uint16_t control, status;
    uint64_t kept[6], first_argument;
};

/* rbx, rbp, r12 to r15 as the doorbell found them and gave them back, and its stack pointer. */
void ring_with(const uint64_t *six, uint64_t doorbell, uint64_t *seven);
/* Spoil vector registers, the x87 and flags, and go to the code at `start`. */
void begin_again(struct halo_registers *saved, uint64_t start, struct clean *found);

_Static_assert(offsetof(struct clean, flags) == 32 && offsetof(struct clean, kept) == 48, "asm");

__asm__(".text\n"
        ".macro keep\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    push %rdx\n"
        ".endm\n"
        ".macro give_back\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n"
        ".endm\n"
        ".macro store_six to\n"
        "    mov %rbx, (\\to)\n    mov %rbp, 8(\\to)\n    mov %r12, 16(\\to)\n"
        "    mov %r13, 24(\\to)\n    mov %r14, 32(\\to)\n    mov %r15, 40(\\to)\n"
        ".endm\n"
        ".globl ring_with, begin_again\n"
        "ring_with:\n"
        "    keep\n"
        "    lea -8(%rsp), %rcx\n"
        "    mov %rcx, 48(%rdx)\n"
        "    mov %rsi, %rax\n"
        "    mov (%rdi), %rbx\n    mov 8(%rdi), %rbp\n    mov 16(%rdi), %r12\n"
        "    mov 24(%rdi), %r13\n    mov 32(%rdi), %r14\n    mov 40(%rdi), %r15\n"
        "    mov $1, %edi\n    xor %esi, %esi\n    xor %edx, %edx\n"
        "    call *%rax\n"
        "    pop %rdx\n"
        "    store_six %rdx\n"
        "    give_back\n"
        "begin_again:\n"
        "    keep\n"
        "    lea 1f(%rip), %rax\n"
        "    push %rax\n"
        "    mov %rsp, 16(%rdi)\n"
        "    mov %rsi, %rcx\n"
        "    pcmpeqd %xmm0, %xmm0\n    pcmpeqd %xmm15, %xmm15\n"
        "    fldpi\n"
        "    movl $0x7f80, -16(%rsp)\n    ldmxcsr -16(%rsp)\n"
        "    pushfq\n    orq $0x40400, (%rsp)\n    popfq\n" /* AC, DF */
        "    jmp *%rcx\n"
        "1:  pop %rdx\n"
        "    pushfq\n    pop 32(%rdx)\n"
        "    movups %xmm0, (%rdx)\n    movups %xmm15, 16(%rdx)\n"
        "    stmxcsr 40(%rdx)\n    fnstcw 44(%rdx)\n    fnstsw 46(%rdx)\n"
        "    mov %rdi, 96(%rdx)\n"
        "    lea 48(%rdx), %rcx\n"
        "    store_six %rcx\n"
        "    give_back\n");

static struct halo_registers *saved(void)
{
    struct halo_save *save = (struct halo_save *)(uintptr_t)halo_boot_page()->save;

    return &save->registers;
}

static const uint64_t six[] = {0x1111111111111111, 0x2222222222222222, 0x3333333333333333,
                               0x4444444444444444, 0x5555555555555555, 0x6666666666666666};

static void as_rung(void)
{
    const struct halo_boot *boot = halo_boot_page();
    const struct halo_registers *at = saved();
    uint64_t seven[7];

    ring_with(six, boot->doorbell, seven);
    check(memcmp(seven, six, sizeof(six)) == 0, "the doorbell lost a register");
    check(at->rbx == six[0] && at->rbp == six[1] && at->r12 == six[2] && at->r13 == six[3] &&
              at->r14 == six[4] && at->r15 == six[5],
          "a register was not saved");
    check(at->rsp == seven[6], "the stack pointer was not saved");
    check(at->mxcsr == 0x1f80 && at->control == 0x37f, "the state of arithmetic was not saved");
    check(at->fs_base == (uint64_t)(uintptr_t)boot + HALO_THREAD_OFFSET, "fs was not saved");
    check(at->gs_base == 0, "gs was not saved");
    halo_exit(7);
}

static void again(void)
{
    const struct halo_boot *boot = halo_boot_page();
    struct halo_registers *at = saved();
    const struct halo_registers wanted = {.rbx = six[0],
                                          .rbp = six[1],
                                          .r12 = six[2],
                                          .r13 = six[3],
                                          .r14 = six[4],
                                          .r15 = six[5],
                                          .fs_base = at->fs_base,
                                          .mxcsr = 0x3f80,
                                          .control = 0x27f};
    struct clean found;

    *at = wanted;
    begin_again(at, boot->doorbell + HALO_START_OFFSET, &found);
    check(!found.vector[0] && !found.vector[1] && !found.vector[2] && !found.vector[3],
          "a vector register has been kept");
    check((found.flags & 0x40400) == 0, "a flag has been kept");
    check(found.mxcsr == 0x3f80 && found.control == 0x27f, "what was saved was not loaded");
    check((found.status & 0x3800) == 0, "the x87 has been kept");
    check(memcmp(found.kept, six, sizeof(six)) == 0, "a register was not loaded");
    check(found.first_argument == (uint64_t)(uintptr_t)boot, "the boot page was not told");
    halo_exit(7);
}

/* VM-14 */
static void spoiled(void)
{
    void (*const start)(void) =
        (void (*)(void))(uintptr_t)(halo_boot_page()->doorbell + HALO_START_OFFSET);

    memset(saved(), 0xff, sizeof(*saved())); /* the stack pointer, too */
    start();
    halo_exit(8);
}

int main(int argc, char **argv)
{
    check(argc == 2, "registers rung|again|spoiled");
    if (argv[1][0] == 'r')
        as_rung();
    if (argv[1][0] == 'a')
        again();
    spoiled();
}
