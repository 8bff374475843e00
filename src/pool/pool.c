/* Fixed-size buffers with a free list that lives outside the shared memory. */
#include <halo/pool.h>

#define TAKEN UINT32_MAX

int halo_pool_init(struct halo_pool *pool, void *base, uint32_t buf_len, uint32_t count,
                   uint32_t *next)
{
    uint32_t align = buf_len < 4096 ? buf_len : 4096;

    if (buf_len == 0 || (buf_len & (buf_len - 1)) || count == 0 || count == TAKEN)
        return HALO_EINVAL;
    if (!base || (uintptr_t)base % align || count > (UINTPTR_MAX - (uintptr_t)base) / buf_len)
        return HALO_EINVAL;
    *pool = (struct halo_pool){
        .base = base,
        .next = next,
        .shift = (uint32_t)__builtin_ctz(buf_len),
        .count = count,
        .free_count = count,
    };
    for (uint32_t i = 0; i < count; i++)
        next[i] = i + 1; /* the last one's is never followed: free_count ends first */
    return 0;
}

void *halo_pool_alloc(struct halo_pool *pool)
{
    uint32_t index = pool->free_head;

    if (pool->free_count == 0)
        return NULL;
    pool->free_head = pool->next[index];
    pool->next[index] = TAKEN;
    pool->free_count--;
    return pool->base + ((size_t)index << pool->shift);
}

int halo_pool_free(struct halo_pool *pool, void *buf)
{
    uintptr_t offset = (uintptr_t)buf - (uintptr_t)pool->base;
    uintptr_t index = offset >> pool->shift;

    if ((uintptr_t)buf < (uintptr_t)pool->base || index >= pool->count)
        return HALO_EINVAL;
    if (index << pool->shift != offset || pool->next[index] != TAKEN)
        return HALO_EINVAL;
    pool->next[index] = pool->free_head;
    pool->free_head = (uint32_t)index;
    pool->free_count++;
    return 0;
}
