/*
 * A program of Linux's with places that make many system calls, and some that only look so: it says
 * of each whether its code is still as it was. As a guest that is not so for the first, and for two
 * where what is behind gives way; what the calls do is the same. For tests/linux/run and
 * tests/calls/test_snapshots.c.
 *
 *     patches             each place, twenty times
 *     patches lines       the first one, for each line of standard input
 *     patches hostile AT  rings the doorbell, whose page is at AT, for all kinds of addresses
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { READ = 0, GETPID = 39, KILL = 62, GETPPID = 110, SITES = 200, TIMES = 20, OFTEN = 200 };

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
        ".globl behind, behind_at, two, two_at, joined, joined_at, near, near_at\n"
        "behind:\n"
        "    mov %edi, %eax\n"
        "    mov %esi, %edi\n"
        "    mov %edx, %esi\n"
        "    mov %ecx, %edx\n"
        "behind_at:\n"
        "    syscall\n"
        "    cmp $-4096, %rax\n"
        "    ja 1f\n"
        "    ret\n"
        "1:  mov $-1, %rax\n"
        "    ret\n"
        ".globl waits, waits_at\n"
        "waits:\n"
        "    mov %edi, %eax\n"
        "    mov %esi, %edi\n"
        "    mov %edx, %esi\n"
        "    mov %ecx, %edx\n"
        "waits_at:\n"
        "    syscall\n"
        "    cmp $-4096, %rax\n"
        "    ja 1b\n"
        "    ret\n"
        "two:\n"
        "    mov %edi, %eax\n"
        "two_at:\n"
        "    syscall\n"
        "    test %eax, %eax\n"
        "    mov %eax, %edx\n"
        "    js 1b\n"
        "    mov %edx, %eax\n"
        "    ret\n"
        /* The end of a function, and nothing behind it; or another function: */
        "    .globl last, last_at, next, next_at\n"
        "last:\n"
        "    mov %edi, %eax\n"
        "last_at:\n"
        "    syscall\n"
        "    ret\n"
        "    nop\n"
        "    nop\n"
        "next:\n"
        "    mov %edi, %eax\n"
        "next_at:\n"
        "    syscall\n"
        "    ret\n"
        /* Another way leads behind the `syscall`: */
        "joined:\n"
        "    mov %edi, %eax\n"
        "    test %eax, %eax\n"
        "    js 2f\n"
        "joined_at:\n"
        "    syscall\n"
        "2:  cmp $-4096, %rax\n"
        "    ja 1b\n"
        "    ret\n"
        /* And what is there does not do the same elsewhere: */
        "near:\n"
        "    mov %edi, %eax\n"
        "near_at:\n"
        "    syscall\n"
        "    add 3f(%rip), %eax\n"
        "    ret\n"
        "3:  .long 0\n"
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
int behind(int number, int a, int b, int c), waits(int number, int a, int b, int c);
int two(int number), last(int number), next(int number), joined(int number), near(int number);
extern unsigned char plain_at[], other_at[], value_at[], any_at[];
extern unsigned char waits_at[], behind_at[], two_at[], last_at[], next_at[], joined_at[],
    near_at[];

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

static const char *state_of(const unsigned char *at)
{
    return at[0] == 0xe9 ? "a jump" : "as it was";
}

static int handled;

static void on_signal(int signal)
{
    (void)signal;
    for (int k = 0; handled == 0 && k < OFTEN; k++)
        handled -= behind(GETPID, 0, 0, 0) != getpid();
    handled++;
}

static int ends[2];

static void on_alarm(int signal)
{
    (void)signal;
    (void)!write(ends[1], "x", 1);
}

/* A read that waits is cut by a signal, and made again. */
static void again(void)
{
    static char byte[1]; /* below 4 GiB */
    const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval soon = {.it_value = {0, 20000}};
    int right = 0;

    (void)!pipe(ends);
    sigaction(SIGALRM, &action, NULL);
    for (int k = 0; k < 3; k++) {
        setitimer(ITIMER_REAL, &soon, NULL);
        right += behind(READ, ends[0], (int)(uintptr_t)byte, 1) == 1 && byte[0] == 'x';
    }
    printf("again: %d right\n", right);
}

static void plainly(const char *name, int (*function)(int), const unsigned char *at)
{
    int right = 0;

    for (int k = 0; k < OFTEN; k++)
        right += function(k % 2 ? GETPID : GETPPID) == (k % 2 ? getpid() : getppid());
    printf("%s: %d right, %s\n", name, right, state_of(at));
}

static void *wait_there(void *byte)
{
    return waits(READ, ends[0], (int)(uintptr_t)byte, 1) == 1 ? byte : NULL;
}

/* A thread waits in a place that becomes a jump meanwhile. */
static void another_waits(void)
{
    static char byte[1]; /* below 4 GiB */
    pthread_t thread;
    void *result = NULL;
    int right = 0;

    pthread_create(&thread, NULL, wait_there, byte);
    sched_yield();
    for (int k = 0; k < OFTEN; k++)
        right += waits(GETPID, 0, 0, 0) == getpid();
    (void)!write(ends[1], "y", 1);
    pthread_join(thread, &result);
    right += result == byte && byte[0] == 'y';
    printf("waits: %d right, %s\n", right, state_of(waits_at));
}

/* Where what is behind it has to give way, and where that may not be. */
static void moved(void)
{
    int right = 0;

    signal(SIGUSR1, on_signal);
    /* While a handler runs that came of it, the place becomes a jump; then it returns there. */
    right += behind(KILL, getpid(), SIGUSR1, 0) == 0;
    printf("behind: handled %d, %d right, %s\n", handled, right, state_of(behind_at));
    right = 0;
    for (int k = 0; k < OFTEN; k++)
        right += behind(k % 2 ? GETPID : GETPPID, 0, 0, 0) == (k % 2 ? getpid() : getppid());
    right += behind(KILL, getpid(), SIGUSR1, 0) == 0;
    right += behind(KILL, getpid(), 1000, 0) == -1;
    printf("behind: handled %d, %d right, %s\n", handled, right, state_of(behind_at));
    plainly("two", two, two_at);
    plainly("last", last, last_at);
    plainly("next", next, next_at);
    plainly("near", near, near_at);
    right = 0;
    for (int k = 0; k < OFTEN; k++)
        right += joined(k % 2 ? GETPID : -5000) == (k % 2 ? getpid() : -5000);
    printf("joined: %d right, %s\n", right, state_of(joined_at));
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

/* Any place of the program's own that makes a call might really be rewritten. */
static bool is_call(uint64_t at)
{
    return at >= (uintptr_t)__executable_start && at < (uintptr_t)etext &&
           memcmp((const void *)(uintptr_t)at, "\x0f\x05", 2) == 0;
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
    ring(6, (uintptr_t)any_at, 1);
    ring(6, (uintptr_t)near_at, 1);
    ring(6, (uintptr_t)data + 8, 1);
    ring(6, (uintptr_t)stack + 8, 1);
    for (at = (uintptr_t)behind_at - 16; at < (uintptr_t)behind_at + 16; at++) {
        if (at != (uintptr_t)behind_at)
            ring(6, at, 1);
    }
    for (at = 0x200000; at < page + 8192; at += 4096) {
        for (uint64_t odd = 0; odd < 4; odd++) {
            if (!is_call(at + odd * 3))
                ring(6, at + odd * 3, odd);
        }
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
    else {
        places();
        moved();
        again();
        another_waits();
    }
    return 0;
}
