/*
 * What a system call costs, in nanoseconds: calls PLACE|ANYWHERE|READ COUNT. The calls are made at
 * one place of the code, whose number is in the instruction before it, as a C library has it; or
 * with a number that comes from elsewhere; or are reads of one byte of standard input, which need
 * the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 21, GETPID = 39 };

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void place(long count)
{
    long result;

    while (count-- > 0)
        __asm__ volatile("mov $39, %%eax\n\t syscall" : "=a"(result) : : "rcx", "r11", "memory");
}

static void anywhere(long count)
{
    long result, number = GETPID;

    while (count-- > 0)
        __asm__ volatile("mov %[number], %%rax\n\t syscall"
                         : "=&a"(result)
                         : [number] "r"(number)
                         : "rcx", "r11", "memory");
}

static void read_bytes(long count)
{
    char byte;
    long result;

    while (count-- > 0)
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(0L), "D"(0L), "S"(&byte), "d"(1L)
                         : "rcx", "r11", "memory");
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    void (*const make)(long) = argc < 3                           ? NULL
                               : strcmp(argv[1], "place") == 0    ? place
                               : strcmp(argv[1], "anywhere") == 0 ? anywhere
                                                                  : read_bytes;
    const long count = argc < 3 ? 0 : atol(argv[2]);
    double samples[SAMPLES];

    if (count < SAMPLES)
        return 2;
    make(count / SAMPLES);
    for (int i = 0; i < SAMPLES; i++) {
        const double from = now();

        make(count / SAMPLES);
        samples[i] = (now() - from) / (double)(count / SAMPLES);
    }
    qsort(samples, SAMPLES, sizeof(samples[0]), compare);
    printf("%.1f %.1f\n", samples[SAMPLES / 2], samples[0]);
    return 0;
}
