/*
 * Across every system call all registers but rax, rcx and r11 stay as they were, vector registers
 * too, and so does the red zone.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct state {
    uint64_t general[12]; /* rbx rdx rsi rdi rbp r8 r9 r10 r12 r13 r14 r15 */
    _Alignas(32) unsigned char vector[16][32];
    uint64_t red[16];
};

/* state in rdi, number in rsi, where all goes afterwards in rdx; returns the result. */
int64_t probe(const struct state *before, uint64_t number, struct state *after, int has_avx);

__asm__(".globl probe\n"
        "probe:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "    push %rdx\n push %rcx\n"
        "    mov %rsi, %rax\n"
        "    mov %rdi, %r11\n"
        "    test %ecx, %ecx\n"
        "    jz 1f\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vmovaps 96 + 32 * \\reg(%r11), %ymm\\reg\n"
        ".endr\n"
        "    jmp 2f\n"
        "1:\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movaps 96 + 32 * \\reg(%r11), %xmm\\reg\n"
        ".endr\n"
        "2:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    mov 608 + 8 * \\i(%r11), %rcx\n"
        "    mov %rcx, -128 + 8 * \\i(%rsp)\n"
        ".endr\n"
        "    mov 0(%r11), %rbx\n mov 8(%r11), %rdx\n mov 16(%r11), %rsi\n mov 24(%r11), %rdi\n"
        "    mov 32(%r11), %rbp\n mov 40(%r11), %r8\n mov 48(%r11), %r9\n mov 56(%r11), %r10\n"
        "    mov 64(%r11), %r12\n mov 72(%r11), %r13\n mov 80(%r11), %r14\n mov 88(%r11), %r15\n"
        "    syscall\n"
        "    mov 8(%rsp), %r11\n"
        "    mov %rbx, 0(%r11)\n mov %rdx, 8(%r11)\n mov %rsi, 16(%r11)\n mov %rdi, 24(%r11)\n"
        "    mov %rbp, 32(%r11)\n mov %r8, 40(%r11)\n mov %r9, 48(%r11)\n mov %r10, 56(%r11)\n"
        "    mov %r12, 64(%r11)\n mov %r13, 72(%r11)\n mov %r14, 80(%r11)\n mov %r15, 88(%r11)\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    mov -128 + 8 * \\i(%rsp), %rcx\n"
        "    mov %rcx, 608 + 8 * \\i(%r11)\n"
        ".endr\n"
        "    cmpl $0, (%rsp)\n"
        "    je 1f\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vmovaps %ymm\\reg, 96 + 32 * \\reg(%r11)\n"
        ".endr\n"
        "    vzeroupper\n"
        "    jmp 2f\n"
        "1:\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movaps %xmm\\reg, 96 + 32 * \\reg(%r11)\n"
        ".endr\n"
        "2:\n"
        "    pop %rcx\n pop %rdx\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "    ret\n");

int main(void)
{
    static const int calls[] = {SYS_getpid, SYS_brk,   SYS_clock_gettime, SYS_write,
                                SYS_writev, SYS_mmap,  SYS_futex,         SYS_rt_sigprocmask,
                                SYS_poll,   SYS_lseek, SYS_getrandom,     SYS_nanosleep,
                                9999};
    static struct state before, after;
    static char page[4096], zero[16];
    const int has_avx = __builtin_cpu_supports("avx") != 0;
    int wrong = 0;

    memset(page, 0, sizeof(page));
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
            for (size_t byte = 0; byte < sizeof(before); byte++)
                ((unsigned char *)&before)[byte] = (unsigned char)(byte * 7 + i + (size_t)round);
            if (!has_avx) {
                for (int reg = 0; reg < 16; reg++)
                    memset(before.vector[reg] + 16, 0, 16);
            }
            before.general[3] = calls[i] == SYS_nanosleep ? (uint64_t)(uintptr_t)zero : 2;
            if (calls[i] == SYS_lseek) /* and not of what we print to */
                before.general[3] = 99;
            before.general[2] = (uint64_t)(uintptr_t)page;
            before.general[1] = 0;
            before.general[7] = 8;
            memset(&after, 0, sizeof(after));
            probe(&before, (uint64_t)calls[i], &after, has_avx);
            if (memcmp(&before, &after, sizeof(before)) != 0) {
                printf("call %d changed something\n", calls[i]);
                wrong++;
            }
        }
    }
    printf("%d wrong\n", wrong);
    return wrong > 0;
}
