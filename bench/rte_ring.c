/* DPDK's rte_ring as a neighbour: two rings of 16-byte elements, one there and one back. */
#include "bench.h"

#ifndef BENCH_HAS_DPDK

const char *bench_rte_absent(void)
{
    return "built without libdpdk-dev";
}

double bench_rte_single(void)
{
    return 0;
}

double bench_rte_batch32(void)
{
    return 0;
}

double bench_rte_stream(void)
{
    return 0;
}

double bench_rte_pingpong(void)
{
    return 0;
}

#else

#include <rte_ring.h>
#include <rte_ring_elem.h>

#define SIZE 256u
#define BURST 32u

struct element {
    uint64_t words[2];
};

static _Alignas(128) unsigned char memory[2][65536];
static struct rte_ring *there = (struct rte_ring *)(void *)memory[0];
static struct rte_ring *back = (struct rte_ring *)(void *)memory[1];

static void start(void)
{
    for (int i = 0; i < 2; i++)
        bench_must(rte_ring_get_memsize_elem(sizeof(struct element), SIZE) <=
                           (ssize_t)sizeof(memory[i]) &&
                       rte_ring_init((struct rte_ring *)(void *)memory[i], "bench", SIZE,
                                     RING_F_SP_ENQ | RING_F_SC_DEQ) == 0,
                   "no rte_ring");
    bench_begin();
}

const char *bench_rte_absent(void)
{
    return NULL;
}

/* Returns how many were put, or taken. */
static uint32_t put(struct rte_ring *ring, const struct element *elements, uint32_t count)
{
    return rte_ring_sp_enqueue_burst_elem(ring, elements, sizeof(*elements), count, NULL);
}

static uint32_t take(struct rte_ring *ring, struct element *elements, uint32_t count)
{
    return rte_ring_sc_dequeue_burst_elem(ring, elements, sizeof(*elements), count, NULL);
}

static void one_thread(uint64_t operations, uint32_t batch)
{
    struct element elements[BURST] = {{{1, 2}}};

    start();
    for (uint64_t i = 0; i < operations; i += batch)
        bench_must(put(there, elements, batch) == batch && take(there, elements, batch) == batch &&
                       put(back, elements, batch) == batch && take(back, elements, batch) == batch,
                   "rte_ring lost an element");
}

static void single(uint64_t operations)
{
    one_thread(operations, 1);
}

static void batch32(uint64_t operations)
{
    one_thread(operations, BURST);
}

double bench_rte_single(void)
{
    return bench_timed(single, 1000);
}

double bench_rte_batch32(void)
{
    return bench_timed(batch32, 100 * BURST);
}

static void *peer(void *unused)
{
    struct element elements[BURST];

    (void)unused;
    while (!bench_stopped()) {
        uint32_t count = take(there, elements, BURST), sent = 0;

        if (count == 0)
            bench_relax();
        while (sent < count && !bench_stopped())
            sent += put(back, elements + sent, count - sent);
    }
    return NULL;
}

static double bursts(uint32_t rounds)
{
    struct element elements[BURST] = {{{1, 2}}}, returned[BURST];
    uint32_t sent = 0, done = 0;
    double begin = bench_now_ns();

    while (done < rounds) {
        if (sent < rounds)
            sent += put(there, elements, BURST);
        done += take(back, returned, BURST);
    }
    begin = (bench_now_ns() - begin) / done;
    while (done < sent) /* the next body starts with empty rings */
        done += take(back, returned, BURST);
    return begin;
}

static double one_in_flight(uint32_t rounds)
{
    struct element element = {{1, 2}};
    double begin = bench_now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        bench_must(put(there, &element, 1) == 1, "rte_ring is full");
        while (take(back, &element, 1) == 0)
            bench_relax();
    }
    return (bench_now_ns() - begin) / rounds;
}

double bench_rte_stream(void)
{
    start();
    return bench_with_peer(peer, bursts, 160 * BURST);
}

double bench_rte_pingpong(void)
{
    start();
    return bench_with_peer(peer, one_in_flight, 250);
}

#endif
