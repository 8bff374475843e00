/*
 * What holds of a pool between any two operations, looked at before those that change anything in a
 * build with -Dchecks=true. Without the option this is nothing.
 */
#include "../ring/check.h"
#include <halo/pool.h>
#include <stdbool.h>

#ifdef HALO_CHECKS

/* A set of buffers by its size, sum, and sum of squares, which no slip makes come out the same. */
struct tally {
    uint64_t count, sum, squares;
};

static void tally_add(struct tally *tally, uint64_t index)
{
    tally->count++;
    tally->sum += index;
    tally->squares += index * index;
}

/* The list has each free buffer once. Large pools are looked at once in a while. */
void halo_pool_check(const struct halo_pool *pool)
{
    struct tally listed = {0}, is_free = {0};
    uint32_t at = pool->free_head;
    bool holds = pool->free_count <= pool->count && pool->count <= HALO_POOL_MAX;

    if (holds && pool->free_count % (pool->count / 64 + 1) > 0)
        return;
    for (uint32_t i = 0; i < pool->count; i++) {
        if (pool->next[i] < HALO_POOL_TAKEN - (uint32_t)HALO_LENT)
            tally_add(&is_free, i);
    }
    for (uint32_t i = 0; i < pool->free_count && holds; i++) {
        holds = at < pool->count;
        if (holds) {
            tally_add(&listed, at);
            at = pool->next[at];
        }
    }
    HOLDS(holds && listed.count == is_free.count && listed.sum == is_free.sum &&
          listed.squares == is_free.squares);
}

#endif
