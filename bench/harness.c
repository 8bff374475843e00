/* Clocks, slices, threads and floors. */
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

void bench_fail(const char *what)
{
    fprintf(stderr, "halo bench: %s\n", what);
    exit(1);
}

/* --- Slices ----------------------------------------------------------------------------------- */

static struct {
    double all[BENCH_SLICES];
    int count;
    double begin, end, more;
} slices;

static char remark[64], told[64];

void bench_remark(const char *words)
{
    (void)snprintf(remark, sizeof(remark), "%s", words);
}

const char *bench_remarked(void)
{
    memcpy(told, remark, sizeof(told));
    remark[0] = '\0';
    return told;
}

void bench_slices_forget(void)
{
    slices.count = 0;
}

int bench_slices(const double **all)
{
    *all = slices.all;
    return slices.count;
}

void bench_slice(double ns)
{
    if (slices.count < BENCH_SLICES)
        slices.all[slices.count++] = ns;
}

void bench_begin(void)
{
    slices.begin = bench_now_ns();
}

void bench_end(void)
{
    slices.end = bench_now_ns();
}

void bench_more(double ns)
{
    slices.more = ns;
}

double bench_timed(void (*work)(uint64_t operations), uint64_t operations)
{
    double sum = 0;

    for (int i = 0; i < BENCH_SLICES; i++) {
        double ns;

        slices.end = slices.more = 0;
        bench_begin();
        work(operations);
        if (slices.end == 0)
            bench_end();
        ns = (slices.end - slices.begin + slices.more) / (double)operations;
        bench_slice(ns);
        sum += ns;
    }
    return sum / BENCH_SLICES;
}

/* --- Two threads ------------------------------------------------------------------------------ */

/* What two threads write shares no line, nor the pair of lines that is fetched at once. */
static struct {
    _Alignas(128) int stop;
    _Alignas(128) uint32_t ping, ping_copy;
    _Alignas(128) uint32_t pong;
} lines;

bool bench_stopped(void)
{
    return __atomic_load_n(&lines.stop, __ATOMIC_RELAXED);
}

bool bench_two_cores(void)
{
    return bench_cores()[1] >= 0;
}

static void pin(int which)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)bench_cores()[which], &set);
    bench_must(pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0,
               "a thread cannot be kept on its core");
}

void bench_stay(void)
{
    if (bench_cores()[0] >= 0)
        pin(0);
}

void bench_spread(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int i = 0; i < 2; i++) {
        if (bench_cores()[i] >= 0)
            CPU_SET((size_t)bench_cores()[i], &set);
    }
    bench_must(pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0, "no second core");
}

static void *pinned_peer(void *peer)
{
    pin(1);
    return (*(void *(**)(void *))peer)(NULL);
}

double bench_with_peer(void *(*peer)(void *), double (*body)(uint32_t), uint32_t rounds)
{
    pthread_t thread;
    double sum = 0;

    __atomic_store_n(&lines.stop, 0, __ATOMIC_RELAXED);
    bench_stay();
    bench_must(pthread_create(&thread, NULL, pinned_peer, &peer) == 0, "no second thread");
    (void)body(rounds); /* until both are awake */
    for (int i = 0; i < BENCH_SLICES; i++) {
        const double ns = body(rounds);

        bench_slice(ns);
        sum += ns;
    }
    __atomic_store_n(&lines.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return sum / BENCH_SLICES;
}

/* --- Floors ----------------------------------------------------------------------------------- */

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
    return bench_with_peer(answer_lines, ask_lines, 200);
}

double bench_two_lines(void)
{
    memset(&lines, 0, sizeof(lines));
    same_line = false;
    return bench_with_peer(answer_lines, ask_lines, 200);
}
