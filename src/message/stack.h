/*
 * What lies on a stack, where stacks are the transport: one for each way, in shared memory.
 *
 *     0        where the next message goes, u64: HALO_STACK_FIRST in an empty stack
 *     8 …      messages, each followed by a link: the offset where it begins, u64
 *
 * The other side can write to all of it at any time: an offset is loaded once, and judged before
 * it is used.
 */
#ifndef HALO_SRC_MESSAGE_STACK_H
#define HALO_SRC_MESSAGE_STACK_H

#include <halo/abi.h>
#include <halo/shm.h>
#include <stdbool.h>

#define HALO_STACK_LINK sizeof(uint64_t)

static inline uint64_t halo__stack_load(const HALO_SHARED unsigned char *base, uint64_t at)
{
    uint64_t value;

    halo_shm_copy_in(&value, base + at, sizeof(value));
    return value;
}

static inline void halo__stack_store(HALO_SHARED unsigned char *base, uint64_t at, uint64_t value)
{
    halo_shm_copy_out(base + at, &value, sizeof(value));
}

/* Where the next message goes, as the stack says. */
static inline uint64_t halo__stack_top(const HALO_SHARED unsigned char *base)
{
    return halo__stack_load(base, 0);
}

/* May there be a message below `top`, on a stack of `len` bytes? Then its link is within it. */
static inline bool halo__stack_has_message(uint64_t top, uint64_t len)
{
    return top >= HALO_STACK_FIRST + HALO_STACK_LINK && top <= len;
}

/* Where the last message begins, as its link says. */
static inline uint64_t halo__stack_last(const HALO_SHARED unsigned char *base, uint64_t top)
{
    return halo__stack_load(base, top - HALO_STACK_LINK);
}

/* Does that lie within the stack, and not behind the link? The message ends at the link. */
static inline bool halo__stack_is_within(uint64_t first, uint64_t top)
{
    return first >= HALO_STACK_FIRST && first <= top - HALO_STACK_LINK;
}

/* A message was written from `first` to `end`: link it. */
static inline void halo__stack_finish(HALO_SHARED unsigned char *base, uint64_t first, uint64_t end)
{
    halo__stack_store(base, end, first);
    halo__stack_store(base, 0, end + HALO_STACK_LINK);
}

/* Take the last message, which begins at `first`, off the stack. */
static inline void halo__stack_drop(HALO_SHARED unsigned char *base, uint64_t first)
{
    halo__stack_store(base, 0, first);
}

#endif
