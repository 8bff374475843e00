/* Neighbours that are always there: memcpy, and a pipe. */
#include "bench.h"
#include <string.h>
#include <unistd.h>

double bench_memcpy_pair(size_t len)
{
    static _Alignas(4096) unsigned char from[256 << 10], to[256 << 10];
    const int rounds = (int)((16u << 20) / len);
    double begin = bench_now_ns();

    bench_must(len <= sizeof(from), "too long for a copy");
    for (int i = 0; i < rounds; i++) {
        memcpy(to, from, len);
        __asm__ volatile("" : : "r"(to) : "memory");
        memcpy(from, to, len);
        __asm__ volatile("" : : "r"(from) : "memory");
    }
    return (bench_now_ns() - begin) / rounds;
}

double bench_pipe_pair(size_t len)
{
    static unsigned char bytes[4096];
    int there[2], back[2];
    double begin;

    bench_must(len <= sizeof(bytes) && pipe(there) == 0 && pipe(back) == 0, "no pipe");
    begin = bench_now_ns();
    for (int i = 0; i < 500; i++) {
        bench_must(write(there[1], bytes, len) == (ssize_t)len &&
                       read(there[0], bytes, len) == (ssize_t)len &&
                       write(back[1], bytes, len) == (ssize_t)len &&
                       read(back[0], bytes, len) == (ssize_t)len,
                   "a pipe failed");
    }
    begin = (bench_now_ns() - begin) / 500;
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
    return begin;
}
