/*
 * A program that waits for its input with something in each register that a system call keeps, says
 * for each line how many lines that were, whether all of it is there yet, and a random number. For
 * tests/calls/test_snapshots.c, which restores it while it waits; and beside Linux. At the line
 * "relro" it writes to what is read-only after relocation.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

static int value;
static int *const volatile relocated[2] __attribute__((section(".data.rel.ro"))) = {&value, &value};

struct vectors {
    unsigned char bytes[16][64];
    long double x87;
};

/* read(0, to, len) with the lowest `width` bytes of each vector register as `before` has them. */
static long read_with(const struct vectors *before, struct vectors *after, char *to, long len,
                      long width)
{
    long result;

    __asm__ volatile(
        "fldt 1024(%[before])\n\t"
        "cmp $32, %[width]\n\t"
        "je 1f\n\t"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
        "movups 64 * \\reg(%[before]), %%xmm\\reg\n\t"
        ".endr\n\t"
        "jmp 2f\n"
        "1:\n\t"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
        "vmovups 64 * \\reg(%[before]), %%ymm\\reg\n\t"
        ".endr\n"
        "2:\n\t"
        "xor %%eax, %%eax\n\t"
        "syscall\n\t"
        "cmp $32, %[width]\n\t"
        "je 1f\n\t"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
        "movups %%xmm\\reg, 64 * \\reg(%[after])\n\t"
        ".endr\n\t"
        "jmp 2f\n"
        "1:\n\t"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
        "vmovups %%ymm\\reg, 64 * \\reg(%[after])\n\t"
        ".endr\n\t"
        "vzeroupper\n"
        "2:\n\t"
        "fstpt 1024(%[after])"
        : "=&a"(result)
        : [before] "r"(before), [after] "r"(after), [width] "r"(width), "D"(0L), "S"(to), "d"(len)
        : "rcx", "r11", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
          "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    return result;
}

int main(void)
{
    const long width = __builtin_cpu_supports("avx") ? 32 : 16;
    static struct vectors before, after;
    char line[64], *kept = malloc(100000);
    long len;

    memset(kept, 'k', 100000);
    for (int i = 0; i < 16; i++)
        memset(before.bytes[i], 3 * i + 1, (size_t)width);
    before.x87 = 3.25L;
    for (int lines = 1;; lines++) {
        uint64_t number = 0;
        int good;

        memset(&after, 0, sizeof(after));
        len = read_with(&before, &after, line, sizeof(line), width);
        if (len <= 0)
            break;
        if (len == 6 && memcmp(line, "relro\n", 6) == 0)
            *(int *volatile *)(uintptr_t)&relocated[0] = NULL;
        good = memcmp(before.bytes, after.bytes, sizeof(before.bytes)) == 0 &&
               before.x87 == after.x87 && kept[0] == 'k' && kept[99999] == 'k';
        if (isatty(1) || getenv("RANDOM"))
            getrandom(&number, sizeof(number), 0);
        printf("%d %s %llx %.*s", lines, good ? "kept" : "lost", (unsigned long long)number,
               (int)len, line);
        fflush(stdout);
    }
    return (int)len;
}
