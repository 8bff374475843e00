/*
 * Pools of buffers in shared memory, for the driver.
 *
 *     struct halo_pool   equal buffers; the one that was freed last is handed out first
 *     struct halo_tiers  a pool of small buffers and one of large ones, each helping the other out
 *
 * Both are providers: a sender (halo/sender.h) takes its buffers from a struct halo_provider and
 * does not know which kind it is; write one of your own where neither suits.
 *
 * All bookkeeping is private memory of the owner: a pool never reads or writes the buffers
 * themselves, so nothing that a device does to them can confuse it. A buffer is free, held by the
 * program, or lent to a queue; a program cannot free what is lent. One thread at a time; nothing is
 * allocated.
 */
#ifndef HALO_POOL_H
#define HALO_POOL_H

#include <halo/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Who has a buffer that is not free. */
enum halo_holder {
    HALO_HELD = 0, /* the program */
    HALO_LENT = 1, /* a queue: part of a chain, or of an answer that was not freed yet */
};

/* Where buffers come from. Its functions are called by the thread that uses the queue. */
struct halo_provider {
    /*
     * A buffer of at least `min` bytes, of `want` or more where there is such a one; *len is its
     * length. NULL where there is none. 1 <= min <= want.
     */
    void *(*alloc)(struct halo_provider *provider, uint32_t min, uint32_t want,
                   enum halo_holder holder, uint32_t *len);
    /* Free a buffer of this holder: what halo_pool_free returns. */
    int (*free)(struct halo_provider *provider, void *buf, enum halo_holder holder);
    /* Find the buffer that `at` lies in and its length, or NULL: foreign, or free. */
    void *(*find)(const struct halo_provider *provider, const void *at, uint32_t *len);
    /* A buffer of this holder goes to the other one: what halo_pool_free returns. */
    int (*hand_over)(struct halo_provider *provider, void *buf, enum halo_holder from);
};

/* --- One pool --------------------------------------------------------------------------------- */

struct halo_pool {
    struct halo_provider provider;
    unsigned char *base;
    uint32_t *next;      /* per buffer: the next free one, or HALO_POOL_TAKEN - holder */
    uint32_t shift;      /* a buffer has 1 << shift bytes */
    uint32_t count;      /* buffers in all */
    uint32_t free_count; /* buffers that can be had now */
    uint32_t free_head;
};

#define HALO_POOL_TAKEN UINT32_MAX
#define HALO_POOL_MAX (UINT32_MAX - 2u) /* most buffers of a pool */

/*
 * Make a pool of `count` buffers of `buf_len` bytes (a power of two) out of the memory at `base`,
 * aligned to buf_len or to 4096, whichever is less. `next` has `count` entries. Both are the
 * caller's and outlive the pool. Returns 0, or HALO_EINVAL.
 */
int halo_pool_init(struct halo_pool *pool, void *base, uint32_t buf_len, uint32_t count,
                   uint32_t *next);

/*
 * What must hold between two operations: looked at before those that change anything, in a build
 * with -Dchecks=true (HALO_CHECKS), which stops the program where it does not hold. Otherwise it is
 * nothing.
 */
#ifdef HALO_CHECKS
void halo_pool_check(const struct halo_pool *pool);
#else
static inline void halo_pool_check(const struct halo_pool *pool)
{
    (void)pool;
}
#endif

/* Bytes of each buffer. */
static inline uint32_t halo_pool_buf_len(const struct halo_pool *pool)
{
    return 1u << pool->shift;
}

static inline void *halo_pool_take(struct halo_pool *pool, enum halo_holder holder)
{
    const uint32_t index = pool->free_head;

    halo_pool_check(pool);
    if (pool->free_count == 0)
        return (void *)0;
    pool->free_head = pool->next[index];
    pool->next[index] = HALO_POOL_TAKEN - (uint32_t)holder;
    pool->free_count--;
    return pool->base + ((size_t)index << pool->shift);
}

/* The number of the buffer that `at` lies in; `count` or more where it lies in none. */
static inline uint64_t halo_pool_index(const struct halo_pool *pool, const void *at)
{
    /* What lies before the base is beyond all buffers, for the difference wraps. */
    return (uint64_t)((uintptr_t)at - (uintptr_t)pool->base) >> pool->shift;
}

static inline int halo_pool_put(struct halo_pool *pool, const void *buf, enum halo_holder holder)
{
    const uint64_t index = halo_pool_index(pool, buf);

    halo_pool_check(pool);
    if (index >= pool->count || pool->base + (index << pool->shift) != buf)
        return HALO_EINVAL;
    if (pool->next[index] != HALO_POOL_TAKEN - (uint32_t)holder)
        return pool->next[index] == HALO_POOL_TAKEN - (uint32_t)HALO_LENT ? HALO_EBUSY
                                                                          : HALO_EINVAL;
    pool->next[index] = pool->free_head;
    pool->free_head = (uint32_t)index;
    pool->free_count++;
    return 0;
}

/* A buffer, contents unspecified, or NULL when all are taken. */
static inline void *halo_pool_alloc(struct halo_pool *pool)
{
    return halo_pool_take(pool, HALO_HELD);
}

/*
 * Give a buffer back. Returns 0, or HALO_EINVAL for a pointer that is not the start of a buffer of
 * this pool, or one that is free already; HALO_EBUSY for one that is lent to a queue. Then nothing
 * was changed.
 */
static inline int halo_pool_free(struct halo_pool *pool, void *buf)
{
    return halo_pool_put(pool, buf, HALO_HELD);
}

/* --- Two tiers -------------------------------------------------------------------------------- */

/* Lengths that serve well: a message with its header, and a page. */
#define HALO_TIER_SMALL 256u
#define HALO_TIER_LARGE 4096u

/*
 * What fits a small buffer comes from the small pool, or from the large one when that is empty;
 * what does not comes from the large one. Where less will do (a piece of a long message), small
 * buffers stand in for large ones, too.
 */
struct halo_tiers {
    struct halo_provider provider;
    struct halo_pool small, large;
};

/*
 * Make the two tiers out of the memory at `base`: the large buffers first, then the small ones.
 * Lengths are powers of two, `small_len` below `large_len`; `next` has small_count + large_count
 * entries. Alignment and ownership as for halo_pool_init. Returns 0, or HALO_EINVAL.
 */
int halo_tiers_init(struct halo_tiers *tiers, void *base, uint32_t small_len, uint32_t small_count,
                    uint32_t large_len, uint32_t large_count, uint32_t *next);

/* --- With any provider ------------------------------------------------------------------------ */

/* A buffer of at least `len` bytes in one piece; NULL where there is none, or `len` is 0. */
void *halo_buffer_alloc(struct halo_provider *provider, uint32_t len);

/* Give a buffer back: returns what halo_pool_free does. */
int halo_buffer_free(struct halo_provider *provider, void *buf);

/*
 * Make *buf at least `len` bytes long: in place where the buffer has them anyway, else by moving
 * its first `used` bytes to another and freeing it. Returns 0; HALO_ENOMEM; HALO_EINVAL for a
 * pointer that is no buffer's start, `used` above its length, or `len` 0; HALO_EBUSY for one that
 * is lent. After an error *buf is as it was.
 */
int halo_buffer_resize(struct halo_provider *provider, void **buf, uint32_t used, uint32_t len);

/* One piece of a long message. */
struct halo_piece {
    void *base;
    uint32_t len;
};

/*
 * Buffers for `len` bytes in all, in up to `max` pieces; the last one's length is cut to what is
 * needed. Returns how many, or HALO_ENOMEM where the buffers or the pieces do not suffice,
 * HALO_EINVAL for a `len` of 0 or a `max` above INT32_MAX; then nothing is taken. Free each piece's
 * base by itself.
 */
int halo_buffer_scatter(struct halo_provider *provider, uint64_t len, struct halo_piece *pieces,
                        uint32_t max);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
