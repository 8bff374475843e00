/* Buffers: allocate and free a pair, as a request and its answer do. */
#include "bench.h"
#include <halo/pool.h>
#include <stdlib.h>

#define COUNT 512u

static _Alignas(4096) unsigned char memory[COUNT * (HALO_TIER_LARGE + HALO_TIER_SMALL)];
static uint32_t next[2 * COUNT];
static struct halo_tiers tiers;

static void pair(uint64_t operations)
{
    struct halo_provider *provider = &tiers.provider;

    bench_must(
        halo_tiers_init(&tiers, memory, HALO_TIER_SMALL, COUNT, HALO_TIER_LARGE, COUNT, next) == 0,
        "no pool");
    bench_begin();
    for (uint64_t i = 0; i < operations / 2; i++) {
        void *one = halo_buffer_alloc(provider, 64), *other = halo_buffer_alloc(provider, 4096);

        bench_must(one && other && halo_buffer_free(provider, one) == 0 &&
                       halo_buffer_free(provider, other) == 0,
                   "the pool is empty");
    }
}

static double pair_sample(void)
{
    return bench_timed(pair, 5000);
}

static void malloc_pair(uint64_t operations)
{
    for (uint64_t i = 0; i < operations / 2; i++) {
        void *one = malloc(64), *other = malloc(4096);

        __asm__ volatile("" : : "r"(one), "r"(other) : "memory");
        free(one);
        free(other);
    }
}

static double malloc_sample(void)
{
    return bench_timed(malloc_pair, 5000);
}

const struct bench_row bench_pool_rows[] = {
    {.name = "pool.pair",
     .what = "allocate and free one buffer, two tiers",
     .sample = pair_sample,
     .count = pair,
     .neighbours = {{"malloc and free", malloc_sample, NULL}}},
    {.name = NULL},
};
