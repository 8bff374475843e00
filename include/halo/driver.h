/*
 * The driver's side of a packed virtqueue: the side that owns buffers and submits chains.
 *
 *     id = halo_driver_add(&driver, bufs, 1, 2);       one readable buffer, two writable ones
 *     halo_driver_publish(&driver);                    the device sees all that was added
 *     if (halo_driver_should_kick(&driver))
 *         kick();
 *     while (halo_driver_poll(&driver, &done) > 0)
 *         finish(done.id, done.len);
 *
 * The id that add returns names the chain until poll gives it back: a caller keeps what belongs to
 * a chain in flight in an array of its own, indexed by id. From then on the id may be handed out
 * again: what is to outlive the chain must be kept elsewhere. The driver trusts the device no more
 * than the device trusts the driver: everything that decides is private, the ring is only looked
 * at.
 */
#ifndef HALO_DRIVER_H
#define HALO_DRIVER_H

#include <halo/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* What the driver remembers of a buffer id. Private memory; the ring holds nothing it relies on. */
struct halo_driver_chain {
    uint64_t limit;    /* of a plain chain in flight: halo_plain_body, and one; else 0 */
    uint64_t batch;    /* the batch that published it: one still staged cannot come back */
    uint64_t context;  /* the caller's: halo_driver_context */
    uint32_t capacity; /* writable bytes of a general chain in flight */
    uint16_t slots;    /* descriptors of a general chain in flight; else 0 */
    uint16_t next;     /* free: the next free id; general: HALO_DESC_INLINE for such a request */
};

struct halo_driver {
    /* submitting */
    struct halo_at avail;                    /* where the next descriptor goes */
    struct halo_driver_chain *chains;        /* place.size entries, the caller's */
    const HALO_SHARED struct halo_desc *end; /* behind the last descriptor */
    uint32_t free_slots; /* descriptors that belong to nobody; none once latched */
    uint32_t free_id;    /* head of the list of free ids */
    uint32_t staged;     /* slots written since the last publish */
    uint32_t ids;        /* ids below it may come back; 0 once latched */
    uint64_t batch;      /* number of batches published so far */
    uint64_t batch_meta; /* withheld flags of the batch's first descriptor */
    /* reaping */
    struct halo_at used; /* where the next used entry is expected */
    /* once a batch, and seldom */
    struct halo_at published; /* end of what the device can see: start of the batch */
    uint64_t unannounced;     /* slots published since the last kick decision */
    struct halo_ring_place place;
    uint32_t held;                   /* ids that came back and are not released */
    uint32_t failed;                 /* ids below it were handed out by halo_driver_fail */
    uint32_t features;               /* HALO_FEATURE_…, those that are on */
    uint32_t refused;                /* flags that a used entry must not have */
    struct halo_violation violation; /* reason != 0: the queue is latched */
    struct halo_at stopped;          /* where `used` was then */
};

/* One buffer of a chain: an address as the device understands it, and a length in bytes. */
struct halo_buf {
    uint64_t addr;
    uint32_t len;
};

/* A chain that came back. */
struct halo_used {
    uint16_t id;
    uint32_t len; /* bytes the device says it wrote, never above the chain's writable bytes */
    /* With an extension: HALO_DESC_INLINE where `word` holds the answer's `len` bytes, the first
     * one lowest; HALO_DESC_TRUNCATED where it is what the answer's full length is said to be. */
    uint32_t kind;
    uint64_t word;
};

/*
 * Start on a fresh (zeroed) ring, or start again after a reset that the device has confirmed.
 * `chains` has place->size entries, is owned by the caller and must live as long as the driver.
 * Returns 0, or HALO_EINVAL for a place that breaks its rules; then nothing was changed.
 */
int halo_driver_init(struct halo_driver *driver, const struct halo_ring_place *place,
                     struct halo_driver_chain *chains);

/*
 * Turn on extensions (HALO_FEATURE_…) after halo_driver_init and before the first chain, the same
 * ones as the device. Returns 0, or HALO_EINVAL for ones that do not exist or do not go together.
 */
int halo_driver_extend(struct halo_driver *driver, uint32_t features);

/* Where the driver stands. What was added must be published first. */
struct halo_positions halo_driver_positions(const struct halo_driver *driver);

/*
 * Take up a queue where another driver left it with nothing in flight: after halo_driver_init and
 * halo_driver_extend, before the first chain. (A driver with chains in flight is saved as it is,
 * with the memory that it lies in.) Returns 0, or HALO_EINVAL where the two positions are not the
 * same, or not in this ring; then nothing was changed.
 */
int halo_driver_resume(struct halo_driver *driver, struct halo_positions at);

/*
 * What must hold between two operations: looked at before those that change anything, in a build
 * with -Dchecks=true (HALO_CHECKS), which stops the program where it does not hold. Otherwise it is
 * nothing.
 */
#ifdef HALO_CHECKS
void halo_driver_check(const struct halo_driver *driver);
#else
static inline void halo_driver_check(const struct halo_driver *driver)
{
    (void)driver;
}
#endif

/* How many more descriptors can be added now; none where the queue is latched. */
static inline uint32_t halo_driver_room(const struct halo_driver *driver)
{
    return driver->free_slots;
}

/* Where the next used entry is expected, or was when the queue latched. */
static inline struct halo_cursor halo_driver_used(const struct halo_driver *driver)
{
    return halo_at_cursor(driver->violation.reason ? driver->stopped : driver->used,
                          &driver->place);
}

/* Descriptors of the chain in flight with this record; 0: its id is free. */
static inline uint32_t halo_driver_chain_slots(const struct halo_driver_chain *chain)
{
    return chain->limit ? 1 : chain->slots;
}

/*
 * A word for the caller's use that belongs to an id, beside what the driver looks at anyway: kept
 * from when the chain was added until its id is handed out again.
 */
static inline uint64_t *halo_driver_context(struct halo_driver *driver, uint16_t id)
{
    return &driver->chains[id].context;
}

/*
 * A chain is written to the ring in three steps, which halo_driver_add and the like are made of.
 * Begin makes sure that nothing can fail; then every one of `total` descriptors is put, the last
 * without HALO_DESC_NEXT; commit makes it part of the batch. Nothing else may come in between.
 */
struct halo_driver_put {
    struct halo_at at;
    uint32_t id;
    bool withhold; /* the next descriptor is the batch's first: its flags are stored last */
};

static inline int halo_driver_begin(const struct halo_driver *driver, uint32_t total,
                                    struct halo_driver_put *put)
{
    halo_driver_check(driver);
    if (total - 1 >= driver->free_slots) { /* so is none at all, and so is all once latched */
        if (driver->violation.reason)
            return HALO_EBROKEN;
        return total == 0 || total > driver->place.size ? HALO_EINVAL : HALO_EFULL;
    }
    put->at = driver->avail;
    put->id = driver->free_id;
    put->withhold = driver->staged == 0;
    return 0;
}

/* Write flags, id and length of a descriptor; those of the batch's first one are withheld. */
static inline void halo_driver_stage_meta(struct halo_driver *driver,
                                          HALO_SHARED struct halo_desc *desc, uint64_t meta,
                                          bool withhold)
{
    if (withhold)
        driver->batch_meta = meta;
    else
        halo_shm_stage_meta(desc, meta);
}

static inline void halo_driver_put(struct halo_driver *driver, struct halo_driver_put *put,
                                   uint64_t addr, uint32_t len, uint32_t flags)
{
    const uint64_t meta = halo_meta(len, (uint16_t)put->id, (uint16_t)flags) | put->at.phase;
    HALO_SHARED struct halo_desc *desc = put->at.desc;

    halo_shm_stage_addr(desc, addr);
    halo_driver_stage_meta(driver, desc, meta, put->withhold);
    put->withhold = false;
    put->at = halo_at_step(put->at, &driver->place, driver->end);
}

/* Flags of a descriptor that holds an inline request of `len` bytes. */
static inline uint32_t halo_driver_inline_flags(uint32_t len)
{
    return HALO_DESC_INLINE | len << HALO_DESC_INLINE_LEN;
}

static inline int halo_driver_commit(struct halo_driver *driver, const struct halo_driver_put *put,
                                     uint32_t total, uint32_t capacity, uint32_t kind)
{
    struct halo_driver_chain *chain = &driver->chains[put->id];

    driver->free_id = chain->next;
    chain->batch = driver->batch;
    chain->capacity = capacity;
    chain->slots = (uint16_t)total;
    chain->next = (uint16_t)kind;
    driver->avail = put->at;
    driver->free_slots -= total;
    driver->staged += total;
    return (int)put->id;
}

/*
 * The plain path of halo_driver_add, for which there is a free slot: begin, put and commit for one
 * descriptor without NEXT. The record says all by its limit, which stands for a capacity of `len`
 * where it is writable, of 0 where it is not, and for one slot.
 */
static inline int halo_driver_add_plain(struct halo_driver *driver, uint64_t addr, uint32_t len,
                                        bool writable)
{
    struct halo_driver_chain *chain = &driver->chains[driver->free_id];
    const uint32_t id = driver->free_id;
    const uint64_t body = writable ? len | HALO_META_WRITE : len;
    const uint64_t meta = body | (uint64_t)id << 32 | driver->avail.phase;
    HALO_SHARED struct halo_desc *desc = driver->avail.desc;

    halo_shm_stage_addr(desc, addr);
    halo_driver_stage_meta(driver, desc, meta, driver->staged == 0);
    driver->free_id = chain->next;
    chain->limit = body + 1;
    chain->batch = driver->batch;
    driver->avail = halo_at_step(driver->avail, &driver->place, driver->end);
    driver->free_slots--;
    driver->staged++;
    return (int)id;
}

/*
 * The same and halo_driver_publish, where nothing is staged: what would be withheld is stored last,
 * and the batch is over, so that the record need not say of which it is.
 */
static inline int halo_driver_submit_plain(struct halo_driver *driver, uint64_t addr, uint32_t len,
                                           bool writable)
{
    struct halo_driver_chain *chain = &driver->chains[driver->free_id];
    const uint32_t id = driver->free_id;
    const uint64_t body = writable ? len | HALO_META_WRITE : len;
    const struct halo_at at = driver->avail;
    const struct halo_at next = halo_at_step(at, &driver->place, driver->end);

    driver->free_id = chain->next;
    chain->limit = body + 1;
    driver->batch++;
    driver->free_slots--;
    driver->unannounced++;
    driver->avail = next;
    driver->published = next;
    halo_shm_stage_addr(at.desc, addr);
    halo_shm_publish_meta(at.desc, body | (uint64_t)id << 32 | at.phase);
    return (int)id;
}

/*
 * Add a chain of two buffers, one to be read and one to be written, for which there are two free
 * slots: begin, two puts and commit. For a request with its answer.
 */
static inline int halo_driver_add_pair(struct halo_driver *driver, uint64_t readable,
                                       uint32_t readable_len, uint64_t writable,
                                       uint32_t writable_len)
{
    struct halo_driver_chain *chain = &driver->chains[driver->free_id];
    const struct halo_at first = driver->avail;
    const struct halo_at second = halo_at_step(first, &driver->place, driver->end);
    const uint32_t id = driver->free_id;
    const uint64_t meta = readable_len | (uint64_t)(HALO_DESC_NEXT << 16 | id) << 32 | first.phase;

    halo_driver_check(driver);
    halo_shm_stage_addr(first.desc, readable);
    halo_driver_stage_meta(driver, first.desc, meta, driver->staged == 0);
    halo_shm_stage_addr(second.desc, writable);
    halo_shm_stage_meta(second.desc,
                        writable_len | HALO_META_WRITE | (uint64_t)id << 32 | second.phase);
    driver->free_id = chain->next;
    chain->batch = driver->batch;
    chain->capacity = writable_len;
    chain->slots = 2;
    chain->next = 0;
    driver->avail = halo_at_step(second, &driver->place, driver->end);
    driver->free_slots -= 2;
    driver->staged += 2;
    return (int)id;
}

/*
 * Add a chain: `readable` buffers for the device to read, then `writable` ones for it to fill, one
 * descriptor each. The device sees nothing before halo_driver_publish. virtio 1.2, 2.8.6, 2.8.21.
 *
 * Returns the chain's id, 0 to size - 1, or
 *   HALO_EFULL    the ring has fewer than readable + writable slots left
 *   HALO_EINVAL   no buffer at all, more than the ring has, or over 4 GiB - 1 of writable bytes
 *   HALO_EBROKEN  the queue is latched
 * and then nothing was changed (DRV-19). The array is not kept; the buffers belong to the device
 * until halo_driver_poll returns the id.
 */
static inline int halo_driver_add(struct halo_driver *driver, const struct halo_buf *bufs,
                                  uint32_t readable, uint32_t writable)
{
    const uint32_t total = readable + writable;
    struct halo_driver_put put;
    uint64_t capacity = 0;
    int error;

    halo_driver_check(driver);
    if (HALO_PLAIN_PATH && total == 1 && readable <= 1 && driver->free_slots > 0)
        return halo_driver_add_plain(driver, bufs[0].addr, bufs[0].len, readable == 0);
    if (readable > HALO_RING_MAX || writable > HALO_RING_MAX)
        return driver->violation.reason ? HALO_EBROKEN : HALO_EINVAL;
    error = halo_driver_begin(driver, total, &put);
    if (error)
        return error;
    for (uint32_t i = readable; i < total; i++)
        capacity += bufs[i].len;
    if (capacity > UINT32_MAX)
        return HALO_EINVAL;
    for (uint32_t i = 0; i < total; i++)
        halo_driver_put(driver, &put, bufs[i].addr, bufs[i].len,
                        (i >= readable ? HALO_DESC_WRITE : 0u) |
                            (i + 1 < total ? HALO_DESC_NEXT : 0u));
    return halo_driver_commit(driver, &put, total, (uint32_t)capacity, 0);
}

/* The bytes of an inline request as they lie in a descriptor: where addr is, and where len is. */
struct halo_inline_words {
    uint64_t addr;
    uint32_t len;
};

static inline struct halo_inline_words halo_inline_words(const void *bytes, uint32_t len)
{
    struct halo_inline_words words = {halo_word_load(bytes, len), 0};

    if (len > sizeof(words.addr))
        words.len = (uint32_t)halo_word_load((const unsigned char *)bytes + sizeof(words.addr),
                                             len - sizeof(words.addr));
    return words;
}

/*
 * Add a chain of such a request of `len` bytes and, where `writable_len` is not 0, one buffer for
 * the answer, for which there are free slots: what halo_driver_add_inline does once it has judged.
 */
static inline int halo_driver_add_words(struct halo_driver *driver, struct halo_inline_words words,
                                        uint32_t len, uint64_t writable, uint32_t writable_len)
{
    const uint32_t total = 1 + (writable_len > 0);
    struct halo_driver_put put = {driver->avail, driver->free_id, driver->staged == 0};

    halo_driver_put(driver, &put, words.addr, words.len,
                    halo_driver_inline_flags(len) | (writable_len ? HALO_DESC_NEXT : 0u));
    if (writable_len)
        halo_driver_put(driver, &put, writable, writable_len, HALO_DESC_WRITE);
    return halo_driver_commit(driver, &put, total, writable_len, HALO_DESC_INLINE);
}

/*
 * Add a chain whose request of `len` bytes, 0 to HALO_INLINE_REQUEST_MAX, lies in its first
 * descriptor, followed by `writable` buffers. An answer of up to HALO_INLINE_ANSWER_MAX bytes needs
 * none of them. Returns what halo_driver_add does; HALO_EINVAL also where `len` is more, or
 * HALO_FEATURE_INLINE_REQUEST is off. docs/protocol.md, section 2.
 */
static inline int halo_driver_add_inline(struct halo_driver *driver, const void *bytes,
                                         uint32_t len, const struct halo_buf *bufs,
                                         uint32_t writable)
{
    struct halo_driver_put put;
    struct halo_inline_words words;
    uint64_t capacity = 0;
    int error;

    halo_driver_check(driver);
    if (driver->violation.reason)
        return HALO_EBROKEN;
    if (!(driver->features & HALO_FEATURE_INLINE_REQUEST) || len > HALO_INLINE_REQUEST_MAX)
        return HALO_EINVAL;
    error = halo_driver_begin(driver, 1 + writable, &put); /* 0 where it wraps, which is refused */
    if (error)
        return error;
    for (uint32_t i = 0; i < writable; i++)
        capacity += bufs[i].len;
    if (capacity > UINT32_MAX)
        return HALO_EINVAL;
    words = halo_inline_words(bytes, len);
    halo_driver_put(driver, &put, words.addr, words.len,
                    halo_driver_inline_flags(len) | (writable ? HALO_DESC_NEXT : 0u));
    for (uint32_t i = 0; i < writable; i++)
        halo_driver_put(driver, &put, bufs[i].addr, bufs[i].len,
                        HALO_DESC_WRITE | (i + 1 < writable ? HALO_DESC_NEXT : 0u));
    return halo_driver_commit(driver, &put, 1 + writable, (uint32_t)capacity, HALO_DESC_INLINE);
}

/*
 * Make everything added since the last publish visible at once, by storing the flags of its first
 * descriptor last (WRAP-04). Nothing happens when nothing was added, or when the queue is latched.
 */
static inline void halo_driver_publish(struct halo_driver *driver)
{
    halo_driver_check(driver);
    if (driver->staged == 0) /* as in a latched queue, always */
        return;
    halo_shm_publish_meta(driver->published.desc, driver->batch_meta);
    driver->published = halo_at_load(&driver->avail);
    driver->unannounced += driver->staged;
    driver->staged = 0;
    driver->batch++;
}

/*
 * halo_driver_add and halo_driver_publish in one: a chain that the device sees at once. Returns
 * what halo_driver_add does.
 */
static inline int halo_driver_submit(struct halo_driver *driver, const struct halo_buf *bufs,
                                     uint32_t readable, uint32_t writable)
{
    const uint32_t total = readable + writable;
    int id;

    halo_driver_check(driver);
    if (HALO_PLAIN_PATH && total == 1 && readable <= 1 && driver->free_slots > 0 &&
        driver->staged == 0)
        return halo_driver_submit_plain(driver, bufs[0].addr, bufs[0].len, readable == 0);
    id = halo_driver_add(driver, bufs, readable, writable);
    if (id >= 0)
        halo_driver_publish(driver);
    return id;
}

/*
 * The same for up to `count` chains of one buffer each, all readable or all writable: they and what
 * was added before become visible at once. The id of the chain of bufs[i] goes to ids[i].
 *
 * Returns how many were added, fewer than `count` where the ring has no more room, or HALO_EFULL
 * where it has none (what was added before is not published then), HALO_EBROKEN where the queue is
 * latched. With a count of 0 nothing is done.
 */
int halo_driver_submit_batch(struct halo_driver *driver, const struct halo_buf *bufs,
                             uint32_t count, bool writable, uint16_t *ids);

/*
 * Must the device be kicked for what was published since this was last asked? Costs a full fence:
 * ask once per batch, after publishing it. virtio 1.2, 2.8.14; EVT-07, EVT-09, DRV-16.
 */
static inline bool halo_driver_should_kick(struct halo_driver *driver)
{
    uint64_t count = driver->unannounced;
    uint32_t word;

    halo_driver_check(driver);
    if (count == 0) /* as in a latched queue, always */
        return false;
    driver->unannounced = 0;
    halo_shm_fence();
    word = halo_shm_load_event(driver->place.device_event);
    return halo_event_wanted(word, halo_at_cursor(driver->published, &driver->place), count,
                             driver->place.size);
}

/* Whether poll would find something, or a broken rule: one load, by which nothing is decided. */
static inline bool halo_driver_has_next(const struct halo_driver *driver)
{
    return ((halo_shm_load_meta(driver->used.desc) ^ driver->used.phase) & HALO_META_PHASE) == 0;
}

/* Any used entry at the cursor, of which `meta` was loaded: the rest of halo_driver_poll. */
int halo_driver_take(struct halo_driver *driver, struct halo_used *used, uint64_t meta);

/*
 * Take the next chain that the device has used. virtio 1.2, 2.8.2, 2.8.6, 2.8.22; DRV-01 to
 * DRV-06.
 *
 * The buffers are the caller's again, but a device that breaks rules may still write to them, and
 * may claim bytes that it never wrote: copy what is to be judged, then judge the copy (DRV-07,
 * DRV-08).
 *
 * Returns 1 and fills `used`; 0 where there is none now (one load, nothing changes); HALO_EBROKEN
 * where the device broke a rule, now or before: `driver->violation` tells, no chain is handed out,
 * and the buffers in flight stay lent until a reset is confirmed.
 */
static inline int halo_driver_poll(struct halo_driver *driver, struct halo_used *used)
{
    HALO_SHARED struct halo_desc *desc = driver->used.desc;
    const uint64_t meta = halo_shm_load_meta(desc), word = meta ^ driver->used.phase;
    const uint32_t id = halo_plain_id(word);
    struct halo_driver_chain *chain;

    halo_driver_check(driver);
    if (!HALO_PLAIN_PATH || id >= driver->ids)
        return word & HALO_META_PHASE ? 0 : halo_driver_take(driver, used, meta); /* DRV-11 */
    halo_shm_prefetch(desc);
    chain = &driver->chains[id];
    /*
     * Below the limit: it is a plain chain in flight (else the limit is 0), and either the length
     * is not above its capacity, or WRITE is not set, so that the length is none.
     */
    if (halo_plain_body(word) >= chain->limit || chain->batch == driver->batch)
        return halo_driver_take(driver, used, meta);
    used->id = (uint16_t)id;
    used->len = word & HALO_META_WRITE ? halo_meta_len(word) : 0; /* DRV-06 */
    used->kind = 0;
    used->word = 0;
    driver->used = halo_at_step(driver->used, &driver->place, driver->end);
    driver->free_slots++;
    chain->limit = 0;
    chain->next = (uint16_t)driver->free_id;
    driver->free_id = id;
    return 1;
}

/*
 * An id that is held. A caller whose own memory belongs to an id for longer than the chain is in
 * flight holds the id that halo_driver_poll has just given, before anything else is done: it is not
 * handed out again until it is released. `size` ids are all there are: the caller sees to it that
 * one is left for each chain that is added.
 */
static inline void halo_driver_hold(struct halo_driver *driver, uint16_t id)
{
    driver->free_id = driver->chains[id].next;
    driver->held++;
}

static inline void halo_driver_release(struct halo_driver *driver, uint16_t id)
{
    driver->chains[id].next = (uint16_t)driver->free_id;
    driver->free_id = id;
    driver->held--;
}

/*
 * halo_driver_take and halo_driver_hold for a used entry, of which `meta` was loaded, of a chain of
 * several buffers or an inline one, where the driver refuses nothing of it and its answer is whole.
 * False where it is not such a one: nothing was changed, and halo_driver_take finds out.
 */
static inline __attribute__((always_inline)) bool
halo_driver_take_held(struct halo_driver *driver, struct halo_used *used, uint64_t meta)
{
    HALO_SHARED struct halo_desc *desc = driver->used.desc;
    const uint32_t id = halo_meta_id(meta), flags = halo_meta_flags(meta ^ driver->used.phase);
    const uint32_t len = flags & HALO_DESC_WRITE ? halo_meta_len(meta) : 0; /* DRV-06 */
    const bool is_inline = flags & HALO_DESC_INLINE;
    struct halo_driver_chain *chain;
    uint32_t slots;

    if (!HALO_PLAIN_PATH || id >= driver->ids ||
        flags & (~(HALO_DESC_WRITE | HALO_DESC_INLINE) | driver->refused))
        return false;
    chain = &driver->chains[id];
    slots = chain->slots; /* 0: a plain chain, or none */
    if (slots == 0 || chain->batch == driver->batch)
        return false;
    if (is_inline ? len > HALO_INLINE_ANSWER_MAX || chain->next != HALO_DESC_INLINE
                  : len > chain->capacity)
        return false;
    used->id = (uint16_t)id;
    used->len = len;
    used->kind = flags & HALO_DESC_INLINE;
    used->word = is_inline ? halo_shm_load_addr(desc) : 0;
    halo_shm_prefetch(desc);
    driver->used = halo_at_advance(driver->used, slots, &driver->place, driver->end);
    driver->free_slots += slots;
    driver->held++;
    chain->slots = 0;
    return true;
}

/* The rest of it. */
static inline int halo_driver_take_any_held(struct halo_driver *driver, struct halo_used *used,
                                            uint64_t meta)
{
    const int got = halo_driver_take(driver, used, meta);

    if (got > 0)
        halo_driver_hold(driver, used->id);
    return got;
}

/* halo_driver_poll and halo_driver_hold in one, for chains that are mostly such. */
static inline int halo_driver_poll_held(struct halo_driver *driver, struct halo_used *used)
{
    const uint64_t meta = halo_shm_load_meta(driver->used.desc);

    halo_driver_check(driver);
    if ((meta ^ driver->used.phase) & HALO_META_PHASE)
        return 0; /* DRV-11 */
    return halo_driver_take_held(driver, used, meta)
               ? 1
               : halo_driver_take_any_held(driver, used, meta);
}

/*
 * The same for up to `max` chains, into used[0] and on. Returns how many came back, 0 where there
 * is none now, or HALO_EBROKEN where the first one that was looked at broke a rule: chains before
 * such a one are handed out first.
 */
int halo_driver_poll_batch(struct halo_driver *driver, struct halo_used *used, uint32_t max);

/*
 * Before sleeping: ask for a notification when the next chain is used. Returns true where one is
 * used already, or the queue is latched, so that the caller must not sleep (EVT-08).
 */
bool halo_driver_arm(struct halo_driver *driver);

/*
 * The same for the time when `count` descriptors more are used, for a driver that takes completions
 * in batches (EVT-10). A chain counts as many as it has: one that reaches over the mark notifies
 * early, none late. No more are waited for than were published and are in flight, nor
 * fewer than one. Returns true
 * where they are used already, or where what is used breaks a rule, or the queue is latched: poll.
 *
 * What a decision of the device's saw before this was written may still bring a notification early.
 */
bool halo_driver_arm_after(struct halo_driver *driver, uint32_t count);

/* While polling: ask for no notifications. A late one may still come. */
void halo_driver_disarm(struct halo_driver *driver);

/*
 * Before a reset: latch the queue from this side (HALO_BROKEN_STOPPED; nothing changes where it is
 * latched already). Nothing is written to the ring. The device may go on using what is in flight
 * until it has confirmed the reset (RST-04): so long the buffers stay lent, and halo_driver_init
 * must not be called.
 */
void halo_driver_stop(struct halo_driver *driver);

/*
 * Of a latched queue: the next chain that will never come back, so that whoever waits for it can
 * be told. Hands out each chain that was added and not polled exactly once (DRV-20): returns 1 and
 * its id, 0 when there is no other, or HALO_ESTATE where the queue is not latched. Its buffers stay
 * lent as above.
 */
int halo_driver_fail(struct halo_driver *driver, uint16_t *id);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
