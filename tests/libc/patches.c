/*
 * A program of Linux's with places that make many system calls, and some that only look so: it says
 * of each whether its code is still as it was. As a guest that is not so for the first alone; what
 * the calls do is the same. For tests/linux/run and tests/calls/test_snapshots.c.
 *
 *     patches             each place, twenty times
 *     patches lines       the first one, for each line of standard input
 *     patches hostile AT  rings the doorbell, whose page is at AT, for all kinds of addresses
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GETPID = 39, GETPPID = 110, SITES = 200, TIMES = 20 };

/*
 * Functions of their own number and of none, with their `syscall` at a known place: plain; with the
 * register r8 in place of eax; a value for the stack, behind a displacement that is the mov's code.
 */
__asm__(".text\n"
        ".globl plain, plain_at, other, other_at, value, value_at, any, any_at, many\n"
        "plain:\n"
        "    nop\n"
        "    mov $39, %eax\n"
        "plain_at:\n"
        "    syscall\n"
        "    ret\n"
        "other:\n"
        "    mov $39, %eax\n"
        "    nop\n"
        "    mov $39, %r8d\n"
        "other_at:\n"
        "    syscall\n"
        "    add %r8d, %eax\n"
        "    ret\n"
        "value:\n"
        "    mov $39, %eax\n"
        "    movl $39, -72(%rsp)\n"
        "value_at:\n"
        "    syscall\n"
        "    add -72(%rsp), %eax\n"
        "    ret\n"
        "any:\n"
        "    mov %edi, %eax\n"
        "    nopl 0(%rax)\n"
        "any_at:\n"
        "    syscall\n"
        "    ret\n"
        "many:\n"
        "    xor %edx, %edx\n"
        "    .rept 200\n"
        "    mov $39, %eax\n" /* 5, and 2 of the syscall, 2, 1: MANY_LEN */
        "    syscall\n"
        "    add %eax, %edx\n"
        "    nop\n"
        "    .endr\n"
        "    mov %edx, %eax\n"
        "    ret\n");

enum { MANY_LEN = 10, MANY_FIRST = 2 + 5 };

int plain(void), other(void), value(void), any(int number), many(void);
extern unsigned char plain_at[], other_at[], value_at[], any_at[];

/* Its number is in eax: what comes to the `syscall` by a jump. */
static int jump_to(unsigned char *at, int number)
{
    int result;

    __asm__ volatile("call *%[at]"
                     : "=a"(result)
                     : "a"(number), [at] "r"(at)
                     : "rcx", "rdx", "r8", "r11", "memory", "cc");
    return result;
}

static bool is_jump(const unsigned char *syscall)
{
    return syscall[-5] == 0xe9;
}

static void places(void)
{
    static int (*const functions[])(void) = {plain, other, value};
    static const int more[] = {0, GETPID, GETPID};
    const unsigned char *const at[] = {plain_at, other_at, value_at};
    static const char *const names[] = {"plain", "another register", "a value"};
    int right = 0;

    for (int i = 0; i < 3; i++) {
        right = 0;
        for (int k = 0; k < TIMES; k++)
            right += functions[i]() == getpid() + more[i];
        printf("%s: %d right, %s\n", names[i], right, is_jump(at[i]) ? "a jump" : "as it was");
    }
    right = 0;
    for (int k = 0; k < TIMES; k++)
        right += jump_to(plain_at, GETPPID) == getppid();
    printf("jumped to: %d right, %02x %02x\n", right, plain_at[0], plain_at[1]);
    right = 0;
    for (int k = 0; k < TIMES; k++)
        right += any(k % 2 ? GETPID : GETPPID) == (k % 2 ? getpid() : getppid());
    printf("any number: %d right, %s\n", right, is_jump(any_at) ? "a jump" : "as it was");
}

static void lines(void)
{
    char line[64];

    while (fgets(line, sizeof(line), stdin)) {
        const bool before = is_jump(plain_at);
        int right = 0;

        for (int k = 0; k < TIMES; k++)
            right += plain() == getpid();
        printf("%d right, %s, then %s\n", right, before ? "a jump" : "as it was",
               is_jump(plain_at) ? "a jump" : "as it was");
        fflush(stdout);
    }
}

extern const unsigned char __executable_start[], etext[];

static uint64_t sum_of_code(void)
{
    uint64_t sum = 0;

    for (const volatile unsigned char *at = __executable_start; at < etext; at++)
        sum = sum * 31 + *at;
    return sum;
}

static void hostile(uint64_t page)
{
    void (*const ring)(uint64_t, uint64_t, uint64_t) =
        (void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)page;
    static unsigned char data[64] = {0x90, 0x90, 0x90, 0xb8, 39, 0, 0, 0, 0x0f, 0x05};
    unsigned char stack[64];
    const uint64_t sum = sum_of_code();
    uint64_t at;
    int jumps = 0;

    memcpy(stack, data, sizeof(stack));
    /* Around it, and the same bytes where nothing is executed; then all of memory, and none. */
    for (at = (uintptr_t)plain_at - 40; at < (uintptr_t)plain_at + 40; at++) {
        if (at != (uintptr_t)plain_at)
            ring(6, at, 0);
    }
    ring(6, (uintptr_t)data + 8, 0);
    ring(6, (uintptr_t)stack + 8, 0);
    ring(6, (uintptr_t)other_at, 0);
    ring(6, (uintptr_t)value_at, 0);
    ring(6, (uintptr_t)any_at, 0);
    for (at = 0x200000; at < page + 8192; at += 4096) {
        for (uint64_t odd = 0; odd < 4; odd++)
            ring(6, at + odd * 3, odd);
    }
    for (int bit = 0; bit < 64; bit++) {
        ring(6, 1ull << bit, 0);
        ring(6, ~(1ull << bit), 0);
    }
    printf("%s\n", sum_of_code() == sum ? "as it was" : "something was written");
    printf("%s\n",
           memcmp(stack, data, sizeof(stack)) == 0 && data[3] == 0xb8 ? "data, too" : "data");
    /* More places than there is room for; and again, where there is a jump by now. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SITES; i++)
            ring(6, (uintptr_t)many + MANY_FIRST + (uint64_t)i * MANY_LEN, 0);
    }
    for (int i = 0; i < SITES; i++)
        jumps += is_jump((const unsigned char *)(uintptr_t)many + MANY_FIRST + i * MANY_LEN);
    printf("%s\n", many() == SITES * getpid() ? "right" : "wrong");
    printf("%s\n", jumps == 0                    ? "none"
                   : jumps > 100 && jumps <= 128 ? "as many as there is room for"
                                                 : "?");
}

int main(int argc, char **argv)
{
    if (argc > 2)
        hostile(strtoull(argv[2], NULL, 16));
    else if (argc > 1)
        lines();
    else
        places();
    return 0;
}
