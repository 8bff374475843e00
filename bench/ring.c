/* The ring alone: descriptors without payload, on one thread and on two. */
#include "bench.h"
#include <halo/device.h>
#include <halo/driver.h>
#include <string.h>

#define SIZE 256u
#define BURST 32u
#define BATCH 64u

static _Alignas(4096) unsigned char shared[SIZE * 16 + 128];
static _Alignas(4096) unsigned char payload[4096];
/* What two threads write shares no line, nor the pair of lines that is fetched at once. */
static _Alignas(128) struct halo_driver driver;
static _Alignas(128) struct halo_driver_chain driver_chains[SIZE];
static _Alignas(128) struct halo_device device;
static _Alignas(128) struct halo_device_chain device_chains[SIZE];
static _Alignas(128) struct halo_region region;
static const struct halo_memory memory = {&region, 1};
static struct halo_buf bufs[BATCH];

static void start(void)
{
    struct halo_ring_place place;

    memset(shared, 0, sizeof(shared));
    region = (struct halo_region){(uintptr_t)payload, sizeof(payload), halo_shm_share(payload),
                                  HALO_MAY_READ | HALO_MAY_WRITE};
    bench_must(halo_ring_place_in(halo_shm_share(shared), SIZE, &place) == 0, "no place");
    bench_must(halo_driver_init(&driver, &place, driver_chains) == 0, "no driver");
    bench_must(halo_device_init(&device, &place, &memory, device_chains, UINT32_MAX) == 0,
               "no device");
    for (uint32_t i = 0; i < BATCH; i++)
        bufs[i] = (struct halo_buf){(uintptr_t)payload, 64};
    bench_begin();
}

/* A batch there, with the calls for arrays; a single one with those for one. */
static void submit(uint32_t count)
{
    uint16_t ids[BATCH];

    if (count == 1)
        bench_must(halo_driver_submit(&driver, bufs, 1, 0) >= 0, "the ring is full");
    else
        bench_must(halo_driver_submit_batch(&driver, bufs, count, false, ids) == (int)count,
                   "the ring is full");
}

/* Take up to `max` of what is there, give it back, return how many. */
static uint32_t serve(uint32_t max)
{
    static _Alignas(128) struct halo_span spans[BATCH];
    static struct halo_chain chains[BATCH];
    static struct halo_done done[BATCH];
    int got;

    if (max == 1) {
        got = halo_device_poll(&device, chains, spans, 1);
        bench_must(got <= 0 || halo_device_finish(&device, chains[0].token, 0) == 0,
                   "cannot complete");
    } else {
        got = halo_device_poll_batch(&device, chains, max, spans, 1);
        for (int i = 0; i < got; i++)
            done[i].token = chains[i].token;
        bench_must(got <= 0 || halo_device_finish_batch(&device, done, (uint32_t)got) == got,
                   "cannot complete");
    }
    bench_must(got >= 0, "the device found a broken ring");
    return (uint32_t)got;
}

static uint32_t reap(uint32_t max)
{
    static _Alignas(128) struct halo_used used[BATCH];
    const int got =
        max == 1 ? halo_driver_poll(&driver, used) : halo_driver_poll_batch(&driver, used, max);

    bench_must(got >= 0, "the driver found a broken ring");
    return (uint32_t)got;
}

static inline __attribute__((always_inline)) void work(uint64_t rounds, uint32_t batch)
{
    start();
    for (uint64_t i = 0; i < rounds; i++) {
        submit(batch);
        bench_must(serve(batch) == batch && reap(batch) == batch, "an element was lost");
    }
}

static void single(uint64_t operations)
{
    work(operations, 1);
}

static void batch64(uint64_t operations)
{
    work(operations / BATCH, BATCH);
}

/*
 * Batches of any size up to BATCH. A loop of its own: with more callers the functions above would
 * be compiled otherwise, and the rows that are counted with them.
 */
static __attribute__((noinline)) void work_some(uint64_t rounds, uint32_t batch)
{
    static struct halo_chain chains[BATCH];
    static struct halo_span spans[BATCH];
    static struct halo_done done[BATCH];
    static struct halo_used used[BATCH];
    const int count = (int)batch;
    uint16_t ids[BATCH];

    start();
    for (uint64_t i = 0; i < rounds; i++) {
        bench_must(halo_driver_submit_batch(&driver, bufs, batch, false, ids) == count &&
                       halo_device_poll_batch(&device, chains, batch, spans, 1) == count,
                   "an element was lost");
        for (uint32_t k = 0; k < batch; k++)
            done[k].token = chains[k].token;
        bench_must(halo_device_finish_batch(&device, done, batch) == count &&
                       halo_driver_poll_batch(&driver, used, batch) == count,
                   "an element was lost");
    }
}

static void batch4(uint64_t operations)
{
    work_some(operations / 4, 4);
}

static void batch16(uint64_t operations)
{
    work_some(operations / 16, 16);
}

static double single_sample(void)
{
    return bench_timed(single, 1000);
}

static double batch4_sample(void)
{
    return bench_timed(batch4, 1600);
}

static double batch16_sample(void)
{
    return bench_timed(batch16, 1600);
}

static double batch64_sample(void)
{
    return bench_timed(batch64, 1600);
}

/* --- Two threads ------------------------------------------------------------------------------ */

static void *peer(void *unused)
{
    (void)unused;
    while (!bench_stopped()) {
        if (serve(BURST) == 0)
            bench_relax();
    }
    return NULL;
}

static double one_in_flight(uint32_t rounds)
{
    double begin = bench_now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        submit(1);
        while (reap(1) == 0)
            bench_relax();
    }
    return (bench_now_ns() - begin) / rounds;
}

static double bursts(uint32_t rounds)
{
    double begin = bench_now_ns();
    uint32_t sent = 0, done = 0;

    while (done < rounds) {
        if (sent < rounds && halo_driver_room(&driver) >= BURST) {
            submit(BURST);
            sent += BURST;
        }
        done += reap(BURST);
    }
    return (bench_now_ns() - begin) / done;
}

static double pingpong_sample(void)
{
    start();
    return bench_with_peer(peer, one_in_flight, 250);
}

static double stream_sample(void)
{
    start();
    return bench_with_peer(peer, bursts, 32 * 160);
}

const struct bench_row bench_ring_rows[] = {
    {.name = "ring.single",
     .what = "submit, take, complete, reap",
     .sample = single_sample,
     .count = single,
     .neighbours = {{"Linux's packed driver, trivial device", bench_linux_single,
                     bench_linux_absent},
                    {"rte_ring, there and back", bench_rte_single, bench_rte_absent},
                    {"io_uring, a request that does nothing", bench_uring_nop,
                     bench_uring_absent}}},
    {.name = "ring.batch4", .what = "the same in batches of 4", .sample = batch4_sample},
    {.name = "ring.batch16", .what = "in batches of 16", .sample = batch16_sample},
    {.name = "ring.batch64",
     .what = "in batches of 64",
     .sample = batch64_sample,
     .count = batch64,
     .neighbours = {{"Linux's packed driver, batches of 32", bench_linux_batch32,
                     bench_linux_absent},
                    {"rte_ring, there and back, bursts of 32", bench_rte_batch32, bench_rte_absent},
                    {"io_uring, batches of 64", bench_uring_nop_batch64, bench_uring_absent}}},
    {.name = "ring.stream",
     .what = "there and back between two cores, bursts of 32",
     .sample = stream_sample,
     .neighbours = {{"Linux's packed driver, trivial device", bench_linux_stream,
                     bench_linux_absent},
                    {"rte_ring, there and back", bench_rte_stream, bench_rte_absent}},
     .crosses_cores = true},
    {.name = "ring.pingpong",
     .what = "the same, one in flight",
     .sample = pingpong_sample,
     .neighbours = {{"two cache lines", bench_two_lines, NULL},
                    {"Linux's packed driver, trivial device", bench_linux_pingpong,
                     bench_linux_absent},
                    {"rte_ring, there and back", bench_rte_pingpong, bench_rte_absent}},
     .crosses_cores = true},
    {.name = NULL},
};
