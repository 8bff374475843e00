/*
 * What one element costs: submit, take, complete, reap, in one thread. Linux's driver with Halo's
 * device, and beside it with a device that believes what it reads.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <halo/device.h>

#include "linux_judge.h"

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

enum device_kind {
    TRIVIAL,       /* believes what it reads, field by field; one descriptor a chain */
    TRIVIAL_WORDS, /* the same, but loads and stores len, id and flags as one word, like Halo */
    HALO,
    HALO_NOTIFY, /* with both notify decisions */
    KINDS,
};

/* A descriptor, as Linux writes it: field by field. */
struct fields {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

#define BENCH_SIZE 256u
#define BENCH_ROUNDS 1000000u
#define BENCH_RUNS 15

static void serve_by_fields(const struct halo_ring_place *place, struct halo_cursor *at,
                            uint32_t batch)
{
    for (uint32_t i = 0; i < batch; i++) {
        struct fields *desc = halo_shm_expose(&place->desc[at->slot]);
        uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);

        if ((flags & HALO_PHASE_MASK) != halo_cursor_available(*at))
            die("nothing there");
        desc->len = 0;
        __atomic_store_n(&desc->flags, (uint16_t)halo_cursor_used(*at), __ATOMIC_RELEASE);
        *at = halo_cursor_advance(*at, 1, place->size);
    }
}

static void serve_by_words(const struct halo_ring_place *place, struct halo_cursor *at,
                           uint32_t batch)
{
    for (uint32_t i = 0; i < batch; i++) {
        uint64_t meta = halo_shm_load_meta(&place->desc[at->slot]);

        if ((halo_meta_flags(meta) & HALO_PHASE_MASK) != halo_cursor_available(*at))
            die("nothing there");
        halo_shm_publish_meta(&place->desc[at->slot],
                              halo_meta(0, halo_meta_id(meta), (uint16_t)halo_cursor_used(*at)));
        *at = halo_cursor_advance(*at, 1, place->size);
    }
}

static double round_trip(enum device_kind kind, uint32_t batch)
{
    struct halo_region regions[] = {
        {(uintptr_t)out_area, AREA_LEN, halo_shm_share(out_area), HALO_MAY_READ},
        {(uintptr_t)queue_area, QUEUE_LEN, halo_shm_share(queue_area),
         HALO_MAY_READ | HALO_MAY_WRITE},
    };
    struct halo_memory memory = {regions, 2};
    struct halo_device_chain chains[BENCH_SIZE] = {{0}};
    struct peer_segment segment = {out_area, 64};
    struct halo_cursor at = halo_cursor_start();
    struct halo_device device;
    struct halo_ring_place place;
    struct halo_chain chain;
    struct halo_span span;
    struct peer_driver driver;
    uint32_t len, notifications = 0;
    double start, end;

    if (!peer_driver_open(&driver, BENCH_SIZE, PEER_EVENT_IDX, NULL, NULL) ||
        halo_ring_place_at(&memory, BENCH_SIZE, (struct halo_gpa){driver.desc},
                           (struct halo_gpa){driver.driver_event},
                           (struct halo_gpa){driver.device_event}, &place) ||
        halo_device_init(&device, &place, &memory, chains, UINT32_MAX))
        die("no queue");
    peer_driver_disable_cb(&driver);
    halo_device_disarm(&device);
    peer_driver_prepare(&segment);

    start = now_ns();
    for (uint32_t round = 0; round < BENCH_ROUNDS / batch; round++) {
        for (uint32_t i = 0; i < batch; i++) {
            if (peer_driver_add_prepared(&driver, &segment))
                die("no room");
        }
        if (kind == HALO_NOTIFY)
            notifications += peer_driver_kick_prepare(&driver);
        if (kind == TRIVIAL) {
            serve_by_fields(&place, &at, batch);
        } else if (kind == TRIVIAL_WORDS) {
            serve_by_words(&place, &at, batch);
        } else {
            for (uint32_t i = 0; i < batch; i++) {
                if (halo_device_poll(&device, &chain, &span, 1) != 1 ||
                    halo_device_complete(&device, chain.token, 0))
                    die("nothing there");
            }
            halo_device_publish(&device);
        }
        if (kind == HALO_NOTIFY)
            notifications += halo_device_should_notify(&device);
        for (uint32_t i = 0; i < batch; i++) {
            if (!peer_driver_get(&driver, &len))
                die("nothing back");
        }
    }
    end = now_ns();
    if (notifications)
        die("a notification that nobody asked for");
    peer_driver_close(&driver);
    return (end - start) / (BENCH_ROUNDS / batch * batch);
}

void bench(void)
{
    static const char *const names[] = {"a trivial device", "a trivial device, whole words",
                                        "Halo's device", "Halo's device, both notify decisions"};

    printf("ns per request, ring of %u, one thread, Linux's driver and %14s %7s\n", BENCH_SIZE,
           "min", "median");
    for (uint32_t batch = 1; batch <= 32; batch += 31) {
        double samples[KINDS][BENCH_RUNS];

        for (int i = 0; i < BENCH_RUNS; i++) { /* in turns: a change of pace strikes all alike */
            for (int kind = 0; kind < KINDS; kind++)
                samples[kind][i] = round_trip((enum device_kind)kind, batch);
        }
        for (int kind = 0; kind < KINDS; kind++) {
            qsort(samples[kind], BENCH_RUNS, sizeof(samples[kind][0]), by_value);
            printf("%-40s batches of %-12u %6.1f %7.1f\n", names[kind], batch, samples[kind][0],
                   samples[kind][BENCH_RUNS / 2]);
        }
    }
}
