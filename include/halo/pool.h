/*
 * A pool of equal buffers in shared memory, for the driver.
 *
 * All bookkeeping is private memory of the owner: the pool never reads or writes the buffers
 * themselves, so nothing that a device does to them can confuse it. A buffer that was freed last is
 * handed out first, while it is still in the cache. One thread at a time; nothing is allocated.
 */
#ifndef HALO_POOL_H
#define HALO_POOL_H

#include <halo/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct halo_pool {
    unsigned char *base;
    uint32_t *next;      /* per buffer: the next free one, or a mark that it is taken */
    uint32_t shift;      /* a buffer has 1 << shift bytes */
    uint32_t count;      /* buffers in all */
    uint32_t free_count; /* buffers that can be had now */
    uint32_t free_head;
};

/*
 * Make a pool of `count` buffers of `buf_len` bytes (a power of two) out of the memory at `base`,
 * aligned to buf_len or to 4096, whichever is less. `next` has `count` entries. Both are the
 * caller's and outlive the pool. Returns 0, or HALO_EINVAL.
 */
int halo_pool_init(struct halo_pool *pool, void *base, uint32_t buf_len, uint32_t count,
                   uint32_t *next);

/* A buffer, contents unspecified, or NULL when all are taken. */
void *halo_pool_alloc(struct halo_pool *pool);

/*
 * Give a buffer back. Returns 0, or HALO_EINVAL for a pointer that is not the start of a buffer of
 * this pool, or one that is free already; then nothing was changed.
 */
int halo_pool_free(struct halo_pool *pool, void *buf);

/* Bytes of each buffer. */
static inline uint32_t halo_pool_buf_len(const struct halo_pool *pool)
{
    return 1u << pool->shift;
}

#ifdef __cplusplus
}
#endif

#endif
