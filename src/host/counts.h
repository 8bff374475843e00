/*
 * Numbers that the thread which owns a sandbox counts, and any thread may read (halo/metrics.h).
 */
#ifndef HALO_SRC_COUNTS_H
#define HALO_SRC_COUNTS_H

#include <halo/metrics.h>

/*
 * Count more of it: the owner alone. Relaxed, and a load and a store rather than an addition that
 * locks, since nobody else writes: it pairs with halo__counted, whose thread sees a number that was
 * there, and nothing else of what the owner did. What it counts is ordered by nothing.
 */
static inline void halo__count(uint64_t *number, uint64_t more)
{
    __atomic_store_n(number, *number + more, __ATOMIC_RELAXED);
}

/* The number, on any thread. Relaxed: it pairs with halo__count. */
static inline uint64_t halo__counted(const uint64_t *number)
{
    return __atomic_load_n(number, __ATOMIC_RELAXED);
}

/* Of a histogram, the bucket of a value. */
static inline uint32_t halo__bucket(uint64_t value)
{
    return value < UINT32_MAX ? 31 - (uint32_t)__builtin_clz((uint32_t)value | 1)
                              : HALO_BUCKETS - 1;
}

/* Of a value below 2 to the power of 32. */
static inline void halo__observe_few(struct halo_histogram *histogram, uint32_t value)
{
    halo__count(&histogram->sum, value);
    halo__count(&histogram->buckets[31 - (uint32_t)__builtin_clz(value | 1)], 1);
}

static inline void halo__observe(struct halo_histogram *histogram, uint64_t value)
{
    halo__count(&histogram->sum, value);
    halo__count(&histogram->buckets[halo__bucket(value)], 1);
}

#endif
