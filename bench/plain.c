/* Neighbours that are always there: memcpy, and a pipe. */
#include "bench.h"
#include <string.h>
#include <unistd.h>

static size_t pair_len;

static void copy_pairs(uint64_t operations)
{
    static _Alignas(4096) unsigned char from[256 << 10], to[256 << 10];
    const size_t len = pair_len;

    bench_must(len <= sizeof(from), "too long for a copy");
    for (uint64_t i = 0; i < operations; i++) {
        memcpy(to, from, len);
        __asm__ volatile("" : : "r"(to) : "memory");
        memcpy(from, to, len);
        __asm__ volatile("" : : "r"(from) : "memory");
    }
}

double bench_memcpy_pair(size_t len)
{
    pair_len = len;
    return bench_timed(copy_pairs, (2u << 20) / len);
}

static int there[2], back[2];

static void pipe_pairs(uint64_t operations)
{
    static unsigned char bytes[4096];
    const size_t len = pair_len;

    for (uint64_t i = 0; i < operations; i++) {
        bench_must(write(there[1], bytes, len) == (ssize_t)len &&
                       read(there[0], bytes, len) == (ssize_t)len &&
                       write(back[1], bytes, len) == (ssize_t)len &&
                       read(back[0], bytes, len) == (ssize_t)len,
                   "a pipe failed");
    }
}

double bench_pipe_pair(size_t len)
{
    double ns;

    bench_must(len <= 4096 && pipe(there) == 0 && pipe(back) == 0, "no pipe");
    pair_len = len;
    ns = bench_timed(pipe_pairs, 100);
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    return ns;
}
