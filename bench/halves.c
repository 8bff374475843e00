/* A driver in two halves: on one thread, for what it costs, and on two, for what it brings. */
#include "bench.h"
#include <halo/device.h>
#include <halo/halves.h>
#include <string.h>

#define SIZE 256u
#define BURST 32u

static _Alignas(4096) unsigned char shared[SIZE * 16 + 128];
static _Alignas(4096) unsigned char payload[4096];
static struct halo_halves halves;
static HALO_HALVES_LINES uint64_t records[SIZE];
static HALO_HALVES_LINES uint16_t ids[SIZE];
static HALO_HALVES_LINES uint16_t seen[SIZE];
static HALO_HALVES_LINES struct halo_driver driver; /* the neighbour: one for both threads */
static HALO_HALVES_LINES struct halo_driver_chain driver_chains[SIZE];
static HALO_HALVES_LINES uint32_t lock_next, lock_now; /* a fair one: each in its turn */
static HALO_HALVES_LINES struct halo_device device;
static HALO_HALVES_LINES struct halo_device_chain device_chains[SIZE];
static HALO_HALVES_LINES uint32_t reaped; /* by the second thread */
static struct halo_region region;
static const struct halo_memory memory = {&region, 1};
static struct halo_buf bufs[BURST];

static void start(void)
{
    struct halo_ring_place place;

    memset(shared, 0, sizeof(shared));
    reaped = 0;
    region = (struct halo_region){(uintptr_t)payload, sizeof(payload), halo_shm_share(payload),
                                  HALO_MAY_READ | HALO_MAY_WRITE};
    bench_must(halo_ring_place_in(halo_shm_share(shared), SIZE, &place) == 0, "no place");
    bench_must(halo_halves_init(&halves, &place, records, ids, seen) == 0, "no halves");
    bench_must(halo_driver_init(&driver, &place, driver_chains) == 0, "no driver");
    bench_must(halo_device_init(&device, &place, &memory, device_chains, UINT32_MAX) == 0,
               "no device");
    for (uint32_t i = 0; i < BURST; i++)
        bufs[i] = (struct halo_buf){(uintptr_t)payload, 64};
    bench_begin();
}

static void serve(void)
{
    static struct halo_chain chains[BURST];
    static struct halo_span spans[BURST];
    static struct halo_done done[BURST];
    const int got = halo_device_poll_batch(&device, chains, BURST, spans, 1);

    for (int i = 0; i < got; i++)
        done[i].token = chains[i].token;
    bench_must(got == (int)BURST && halo_device_finish_batch(&device, done, BURST) == (int)BURST,
               "the device lost an element");
}

/* A burst of each kind: submitted, and reaped. Less is submitted where there is no room. */
static bool submit(void)
{
    uint16_t got[BURST];

    return halo_submitter_room(&halves.submitter) >= BURST &&
           halo_submitter_submit_batch(&halves.submitter, bufs, BURST, false, got) == (int)BURST;
}

static uint32_t reap(void)
{
    static struct halo_used used[BURST];
    const int got = halo_reaper_poll_batch(&halves.reaper, used, BURST);

    bench_must(got >= 0, "the reaping half found a broken ring");
    if (got > 0)
        halo_reaper_return(&halves.reaper);
    return (uint32_t)got;
}

static void take_lock(void)
{
    const uint32_t turn = __atomic_fetch_add(&lock_next, 1, __ATOMIC_RELAXED);

    while (__atomic_load_n(&lock_now, __ATOMIC_ACQUIRE) != turn)
        bench_relax();
}

static void drop_lock(void)
{
    __atomic_store_n(&lock_now, lock_now + 1, __ATOMIC_RELEASE);
}

static bool submit_locked(void)
{
    uint16_t got[BURST];
    bool done;

    take_lock();
    done = halo_driver_room(&driver) >= BURST &&
           halo_driver_submit_batch(&driver, bufs, BURST, false, got) == (int)BURST;
    drop_lock();
    return done;
}

static uint32_t reap_locked(void)
{
    static struct halo_used used[BURST];
    int got;

    take_lock();
    got = halo_driver_poll_batch(&driver, used, BURST);
    drop_lock();
    bench_must(got >= 0, "the driver found a broken ring");
    return (uint32_t)got;
}

/* --- One thread --------------------------------------------------------------------------------
 */

static void one_thread(uint64_t operations)
{
    start();
    for (uint64_t i = 0; i < operations / BURST; i++) {
        bench_must(submit(), "the ring is full");
        serve();
        bench_must(reap() == BURST, "an element was lost");
    }
}

static void one_driver(uint64_t operations)
{
    static struct halo_used used[BURST];
    uint16_t got[BURST];

    start();
    for (uint64_t i = 0; i < operations / BURST; i++) {
        bench_must(halo_driver_submit_batch(&driver, bufs, BURST, false, got) == (int)BURST,
                   "the ring is full");
        serve();
        bench_must(halo_driver_poll_batch(&driver, used, BURST) == (int)BURST,
                   "an element was lost");
    }
}

static double one_thread_sample(void)
{
    return bench_timed(one_thread, 1600);
}

static double one_driver_sample(void)
{
    return bench_timed(one_driver, 1600);
}

/* --- Two threads: one submits and is the device, too, the other one reaps -----------------------
 */

static bool (*submit_now)(void);
static uint32_t (*reap_now)(void);

static void *reap_all(void *unused)
{
    (void)unused;
    while (!bench_stopped()) {
        const uint32_t got = reap_now();

        if (got > 0)
            __atomic_store_n(&reaped, reaped + got, __ATOMIC_RELEASE);
        else
            bench_relax();
    }
    return NULL;
}

static double submit_all(uint32_t rounds)
{
    const uint32_t first = __atomic_load_n(&reaped, __ATOMIC_ACQUIRE);
    const double begin = bench_now_ns();
    uint32_t sent = 0;

    while (sent < rounds) {
        if (submit_now()) {
            sent += BURST;
            serve();
        } else {
            bench_relax();
        }
    }
    while (__atomic_load_n(&reaped, __ATOMIC_ACQUIRE) - first < sent)
        bench_relax();
    return (bench_now_ns() - begin) / sent;
}

static double two_threads_sample(void)
{
    start();
    submit_now = submit;
    reap_now = reap;
    return bench_with_peer(reap_all, submit_all, 32 * 160);
}

static double lock_sample(void)
{
    start();
    submit_now = submit_locked;
    reap_now = reap_locked;
    return bench_with_peer(reap_all, submit_all, 32 * 160);
}

const struct bench_row bench_halves_rows[] = {
    {.name = "ring.halves",
     .what = "a driver in two halves, on one thread, bursts of 32",
     .sample = one_thread_sample,
     .count = one_thread,
     .neighbours = {{"the driver that is one", one_driver_sample, NULL}}},
    {.name = "ring.halves.threads",
     .what = "one thread submits and serves, another one reaps",
     .sample = two_threads_sample,
     .neighbours = {{"the driver that is one, and a lock", lock_sample, NULL}},
     .crosses_cores = true},
    {.name = NULL},
};
