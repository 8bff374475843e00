/* Clocks, threads and floors. */
#define _GNU_SOURCE
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double bench_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void bench_must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "halo bench: %s\n", what);
        exit(1);
    }
}

void bench_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static struct {
    _Alignas(128) int stop;
    _Alignas(128) uint32_t ping, ping_copy;
    _Alignas(128) uint32_t pong;
} lines;

bool bench_stopped(void)
{
    return __atomic_load_n(&lines.stop, __ATOMIC_RELAXED);
}

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set); /* where there is a choice */
}

static void *pinned_peer(void *peer)
{
    pin(1);
    return (*(void *(**)(void *))peer)(NULL);
}

double bench_with_peer(void *(*peer)(void *), double (*body)(uint32_t), uint32_t rounds)
{
    pthread_t thread;
    double result;

    __atomic_store_n(&lines.stop, 0, __ATOMIC_RELAXED);
    pin(0);
    bench_must(pthread_create(&thread, NULL, pinned_peer, &peer) == 0, "no second thread");
    (void)body(rounds / 10 + 1);
    result = body(rounds);
    __atomic_store_n(&lines.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return result;
}

/* The peer answers on its own line, or on the one that it was asked on. */
static bool same_line;

static void *answer_lines(void *unused)
{
    uint32_t *pong = same_line ? &lines.ping_copy : &lines.pong;
    uint32_t seen = 0;

    (void)unused;
    while (!bench_stopped()) {
        uint32_t ping = __atomic_load_n(&lines.ping, __ATOMIC_ACQUIRE);

        if (ping != seen) {
            seen = ping;
            __atomic_store_n(pong, ping, __ATOMIC_RELEASE);
        } else {
            bench_relax();
        }
    }
    return NULL;
}

static double ask_lines(uint32_t rounds)
{
    const uint32_t *pong = same_line ? &lines.ping_copy : &lines.pong;
    double start = bench_now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t next = __atomic_load_n(&lines.ping, __ATOMIC_RELAXED) + 1;

        __atomic_store_n(&lines.ping, next, __ATOMIC_RELEASE);
        while (__atomic_load_n(pong, __ATOMIC_ACQUIRE) != next)
            bench_relax();
    }
    return (bench_now_ns() - start) / rounds;
}

double bench_one_line(void)
{
    memset(&lines, 0, sizeof(lines));
    same_line = true;
    return bench_with_peer(answer_lines, ask_lines, 1000);
}

double bench_two_lines(void)
{
    memset(&lines, 0, sizeof(lines));
    same_line = false;
    return bench_with_peer(answer_lines, ask_lines, 1000);
}
