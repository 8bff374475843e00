/*
 * Programs that compute while others wait for their turn, as programs of Linux's that nobody built
 * for Halo:
 *
 *     spins             threads that wait for one another without a system call; registers and
 * flags spins alarm       a handler that ends a loop spins hostile AT  asks to be led to all kinds
 * of places, in the save page, which is at AT
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 4 };

static volatile int over, ready, turn;
static long bad[THREADS];
static volatile sig_atomic_t rang;

/* All registers have a number, through loops that use the flags; so has the red zone. */
static uint64_t wrong(uint64_t in)
{
    uint64_t out = 1;

    __asm__ volatile("mov %[in], %%rax\n mov %[in], %%rbx\n mov %[in], %%rcx\n"
                     "mov %[in], %%rdx\n mov %[in], %%rdi\n mov %[in], %%r8\n"
                     "mov %[in], %%r9\n mov %[in], %%r10\n mov %[in], %%r11\n"
                     "mov %[in], %%r12\n mov %[in], %%r13\n mov %[in], %%r14\n"
                     "movq %[in], %%xmm3\n movq %[in], %%xmm15\n"
                     "mov %[in], -120(%%rsp)\n"
                     "mov $5000, %%r15d\n"
                     "stc\n"
                     "1: dec %%r15\n" /* keeps the carry */
                     "jnz 1b\n"
                     "jnc 9f\n"
                     "cmp %%rax, %[in]\n jne 9f\n cmp %%rbx, %[in]\n jne 9f\n"
                     "cmp %%rcx, %[in]\n jne 9f\n cmp %%rdx, %[in]\n jne 9f\n"
                     "cmp %%rdi, %[in]\n jne 9f\n cmp %%r8, %[in]\n jne 9f\n"
                     "cmp %%r9, %[in]\n jne 9f\n cmp %%r10, %[in]\n jne 9f\n"
                     "cmp %%r11, %[in]\n jne 9f\n cmp %%r12, %[in]\n jne 9f\n"
                     "cmp %%r13, %[in]\n jne 9f\n cmp %%r14, %[in]\n jne 9f\n"
                     "movq %%xmm3, %%rax\n cmp %%rax, %[in]\n jne 9f\n"
                     "movq %%xmm15, %%rax\n cmp %%rax, %[in]\n jne 9f\n"
                     "cmp %[in], -120(%%rsp)\n jne 9f\n"
                     "xor %%r15d, %%r15d\n"
                     "jmp 8f\n"
                     "9: mov $1, %%r15d\n"
                     "8: mov %%r15, %%rax\n"
                     : "=a"(out)
                     : [in] "S"(in)
                     : "rbx", "rcx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc", "xmm3", "xmm15");
    return out;
}

static void *checks(void *arg)
{
    const long me = (long)arg;

    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    for (uint64_t i = 0; !over; i++)
        bad[me] += (long)wrong((uint64_t)me * 0x0101010101010101 + i);
    return arg;
}

static void *by_turns(void *arg)
{
    for (int i = 0; i < 5; i++) {
        while (turn % THREADS != (long)arg)
            continue;
        turn++;
    }
    return arg;
}

static void all(void *(*function)(void *), pthread_t *threads)
{
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, function, (void *)i);
}

static void end(pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void ring(int signal)
{
    rang++;
}

/* The first words of struct halo_tick: where to, and between what not. */
static void hostile(uint64_t save)
{
    volatile uint64_t *const tick = (volatile uint64_t *)(save + 3248);
    static const uint64_t odd[] = {1, 0x1000, 0x200000, 1ull << 47, 1ull << 63, ~0ull, 0x60000000};

    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        if (odd[i] == 0x200000)
            continue; /* comes last, for it is the end */
        tick[0] = odd[i];
        tick[1] = odd[(i + 1) % 7];
        tick[2] = odd[(i + 3) % 7];
        tick[3] = 0;
        usleep(1); /* an exit: the host looks */
        for (volatile int j = 0; j < 60000000; j++)
            continue;
    }
    puts("nothing came of it");
    fflush(stdout);
    tick[1] = tick[2] = 0;
    tick[0] = 0x200000;
    for (;;) { /* there nothing can be executed */
        tick[3] = 0;
        for (volatile int j = 0; j < 1000; j++)
            continue;
    }
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];

    if (argc > 2)
        hostile(strtoull(argv[2], NULL, 16));
    if (argc > 1) {
        const struct itimerval soon = {{0, 20000}, {0, 20000}};

        signal(SIGALRM, ring);
        setitimer(ITIMER_REAL, &soon, NULL);
        while (rang < 3)
            continue;
        puts("three times");
        return 0;
    }
    all(checks, threads);
    while (ready < THREADS)
        continue;
    for (volatile int i = 0; i < 100000000; i++)
        continue;
    over = 1;
    end(threads);
    for (int i = 0; i < THREADS; i++)
        printf("%ld ", bad[i]);
    all(by_turns, threads);
    end(threads);
    printf("%d\n", turn);
    return 0;
}
