/*
 * Pools of buffers in shared memory: what is not hot, and their faces as providers. The rest is in
 * halo/pool.h. A pool never looks into a buffer, so that it may assume what it likes of itself and
 * nothing of what a device writes there; one thread uses a pool at a time.
 *
 * A buffer's way:
 *
 *     program  halo_buffer_alloc     off the list of free ones: held by the program
 *     sender   provider->hand_over   lent with a request; the program cannot free it any more
 *     sender   provider->free        the answer has come: free again, and the next to be handed out
 */
#include <halo/pool.h>
#include <stdbool.h>

/* --- One pool --------------------------------------------------------------------------------- */

static void *pool_alloc(struct halo_provider *provider, uint32_t min, uint32_t want,
                        enum halo_holder holder, uint32_t *len)
{
    struct halo_pool *pool = (struct halo_pool *)provider;

    (void)want;
    if (min > halo_pool_buf_len(pool))
        return NULL;
    *len = halo_pool_buf_len(pool);
    return halo_pool_take(pool, holder);
}

static int pool_free(struct halo_provider *provider, void *buf, enum halo_holder holder)
{
    return halo_pool_put((struct halo_pool *)provider, buf, holder);
}

static void *find_buffer(const struct halo_pool *pool, const void *at, uint32_t *len)
{
    const uint64_t index = halo_pool_index(pool, at);

    if (index >= pool->count || pool->next[index] < HALO_POOL_TAKEN - (uint32_t)HALO_LENT)
        return NULL;
    *len = halo_pool_buf_len(pool);
    return pool->base + (index << pool->shift);
}

static void *pool_find(const struct halo_provider *provider, const void *at, uint32_t *len)
{
    return find_buffer((const struct halo_pool *)provider, at, len);
}

static int hand_over(struct halo_pool *pool, const void *buf, enum halo_holder from)
{
    const uint64_t index = halo_pool_index(pool, buf);
    uint32_t len;

    halo_pool_check(pool);
    if (!buf || find_buffer(pool, buf, &len) != buf)
        return HALO_EINVAL;
    if (pool->next[index] != HALO_POOL_TAKEN - (uint32_t)from)
        return from == HALO_HELD ? HALO_EBUSY : HALO_EINVAL;
    pool->next[index] = HALO_POOL_TAKEN - (uint32_t)(from == HALO_HELD ? HALO_LENT : HALO_HELD);
    return 0;
}

static int pool_hand_over(struct halo_provider *provider, void *buf, enum halo_holder from)
{
    return hand_over((struct halo_pool *)provider, buf, from);
}

int halo_pool_init(struct halo_pool *pool, void *base, uint32_t buf_len, uint32_t count,
                   uint32_t *next)
{
    uint32_t align = buf_len < 4096 ? buf_len : 4096;

    if (buf_len == 0 || (buf_len & (buf_len - 1)) || count == 0 || count > HALO_POOL_MAX)
        return HALO_EINVAL;
    if (!base || (uintptr_t)base % align || count > (UINTPTR_MAX - (uintptr_t)base) / buf_len)
        return HALO_EINVAL;
    *pool = (struct halo_pool){
        .provider = {pool_alloc, pool_free, pool_find, pool_hand_over},
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

/* --- Two tiers -------------------------------------------------------------------------------- */

static void *tiers_alloc(struct halo_provider *provider, uint32_t min, uint32_t want,
                         enum halo_holder holder, uint32_t *len)
{
    struct halo_tiers *tiers = (struct halo_tiers *)provider;
    const bool small_first = want <= halo_pool_buf_len(&tiers->small);
    struct halo_pool *first = small_first ? &tiers->small : &tiers->large;
    struct halo_pool *second = small_first ? &tiers->large : &tiers->small;
    void *buf = NULL;

    *len = halo_pool_buf_len(first);
    if (min <= *len)
        buf = halo_pool_take(first, holder);
    if (!buf) {
        *len = halo_pool_buf_len(second);
        if (min <= *len)
            buf = halo_pool_take(second, holder);
    }
    return buf;
}

/* Which tier an address belongs to; the large one for those that belong to neither. */
static struct halo_pool *tier_of(struct halo_tiers *tiers, const void *at)
{
    return halo_pool_index(&tiers->small, at) < tiers->small.count ? &tiers->small : &tiers->large;
}

static int tiers_free(struct halo_provider *provider, void *buf, enum halo_holder holder)
{
    return halo_pool_put(tier_of((struct halo_tiers *)provider, buf), buf, holder);
}

static void *tiers_find(const struct halo_provider *provider, const void *at, uint32_t *len)
{
    const struct halo_tiers *tiers = (const struct halo_tiers *)provider;
    void *buf = find_buffer(&tiers->small, at, len);

    return buf ? buf : find_buffer(&tiers->large, at, len);
}

static int tiers_hand_over(struct halo_provider *provider, void *buf, enum halo_holder from)
{
    return hand_over(tier_of((struct halo_tiers *)provider, buf), buf, from);
}

int halo_tiers_init(struct halo_tiers *tiers, void *base, uint32_t small_len, uint32_t small_count,
                    uint32_t large_len, uint32_t large_count, uint32_t *next)
{
    struct halo_tiers result;
    int error;

    if (small_len >= large_len)
        return HALO_EINVAL;
    error = halo_pool_init(&result.large, base, large_len, large_count, next);
    if (!error)
        error =
            halo_pool_init(&result.small, (unsigned char *)base + (size_t)large_len * large_count,
                           small_len, small_count, next + large_count);
    if (error)
        return error;
    result.provider = (struct halo_provider){tiers_alloc, tiers_free, tiers_find, tiers_hand_over};
    *tiers = result;
    return 0;
}

/* --- With any provider ------------------------------------------------------------------------ */

void *halo_buffer_alloc(struct halo_provider *provider, uint32_t len)
{
    uint32_t have;

    return len > 0 ? provider->alloc(provider, len, len, HALO_HELD, &have) : NULL;
}

int halo_buffer_free(struct halo_provider *provider, void *buf)
{
    return provider->free(provider, buf, HALO_HELD);
}

int halo_buffer_resize(struct halo_provider *provider, void **buf, uint32_t used, uint32_t len)
{
    uint32_t have = 0, new_len;
    void *moved;
    int error;

    if (!*buf || provider->find(provider, *buf, &have) != *buf || used > have || len == 0)
        return HALO_EINVAL;
    /* Out of the program's hands and back: one that is lent is refused. */
    error = provider->hand_over(provider, *buf, HALO_HELD);
    if (error)
        return error;
    (void)provider->hand_over(provider, *buf, HALO_LENT);
    if (len <= have)
        return 0;
    moved = provider->alloc(provider, len, len, HALO_HELD, &new_len);
    if (!moved)
        return HALO_ENOMEM;
    __builtin_memcpy(moved, *buf, used);
    (void)provider->free(provider, *buf, HALO_HELD);
    *buf = moved;
    return 0;
}

int halo_buffer_scatter(struct halo_provider *provider, uint64_t len, struct halo_piece *pieces,
                        uint32_t max)
{
    uint32_t count = 0;

    if (len == 0 || max > INT32_MAX)
        return HALO_EINVAL;
    while (len > 0) {
        struct halo_piece *piece = &pieces[count];
        const uint32_t want = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;

        if (count == max ||
            !(piece->base = provider->alloc(provider, 1, want, HALO_HELD, &piece->len))) {
            while (count > 0)
                (void)provider->free(provider, pieces[--count].base, HALO_HELD);
            return HALO_ENOMEM;
        }
        if (piece->len > want)
            piece->len = want;
        len -= piece->len;
        count++;
    }
    return (int)count;
}
