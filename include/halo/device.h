/*
 * The device's side of a packed virtqueue: the side that trusts nothing it reads.
 *
 *     while ((got = halo_device_poll(&device, &chain, spans, 16)) > 0) {
 *         len = serve(&chain, spans);
 *         halo_device_complete(&device, chain.token, len);    now or later, in any order
 *     }
 *     halo_device_publish(&device);                            the driver sees all completions
 *     if (halo_device_should_notify(&device))
 *         notify();
 *
 * Every descriptor is loaded once and judged by that copy; addresses become spans only after the
 * memory regions allow them. Private records decide what is in flight; nothing that is read back
 * from the ring does. Case ids such as DEV-01 are those of docs/hostile-cases.md.
 */
#ifndef HALO_DEVICE_H
#define HALO_DEVICE_H

#include <halo/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* What the device remembers of a buffer id. Private memory of the host. */
struct halo_device_chain {
    uint64_t token;     /* of the chain in flight, or with HALO_TOKEN_FREE; it only ever grows */
    uint64_t limit;     /* of a plain chain in flight: halo_plain_body, and one; else 0 */
    uint32_t capacity;  /* writable bytes of a general chain in flight */
    uint16_t slots;     /* descriptors of a general chain in flight; else 0 */
    uint16_t is_inline; /* its request came inline: its answer may go so */
};

/* What the plain path of the device needs to know of the first region: a copy of the device's. */
struct halo_device_plain {
    uint64_t base, len;
    HALO_SHARED unsigned char *host;
    uint32_t max[2]; /* most bytes of a chain to be read, and of one to be written; 0: none */
};

struct halo_device {
    /* taking */
    struct halo_at avail;                    /* where the next chain starts */
    struct halo_device_chain *chains;        /* place.size entries, the caller's */
    const HALO_SHARED struct halo_desc *end; /* behind the last descriptor */
    uint32_t ids;                            /* ids below it may be used; 0 once latched */
    uint32_t room; /* slots that may hold chains to be taken: neither in flight nor staged */
    struct halo_device_plain plain;
    /* completing */
    struct halo_at used; /* where the next used entry goes */
    uint64_t batch_meta; /* withheld: the first used entry of the batch */
    uint32_t staged;     /* slots completed since the last publish */
    uint16_t newest;     /* id of the chain that was taken last */
    /* once a batch, and seldom */
    struct halo_at published; /* end of the used entries that the driver can see */
    uint64_t unannounced;     /* slots published since the last notify decision */
    struct halo_ring_place place;
    const struct halo_memory *memory; /* what a driver may name in a descriptor */
    uint32_t len_max;                 /* most bytes that one chain may carry */
    uint32_t features;                /* HALO_FEATURE_…, those that are on */
    uint32_t refused;                 /* flags that an available descriptor must not have */
    struct halo_violation violation;  /* reason != 0: the queue is latched */
    struct halo_at stopped;           /* where `avail` was then */
};

/* Why the buffers of a chain were not acceptable. */
enum halo_reject {
    HALO_REJECT_NOT = 0,
    HALO_REJECT_LENGTH,      /* more bytes than the device's len_max */
    HALO_REJECT_SEGMENTS,    /* more non-empty buffers than the caller has spans */
    HALO_REJECT_RANGE,       /* a buffer not wholly inside memory that may be shared */
    HALO_REJECT_PERMISSION,  /* a buffer in memory that lacks the right */
    HALO_REJECT_EMPTY_CHAIN, /* no bytes at all */
};

/* The name of a reason, "RANGE"; never NULL; static storage; any thread. */
const char *halo_reject_name(enum halo_reject reason);

/* A chain that was taken. Its spans stand in the caller's array, the readable ones first. */
struct halo_chain {
    struct halo_token token;
    uint64_t readable_len, writable_len;     /* bytes to read, and to write */
    uint32_t readable_count, writable_count; /* spans to read, and after them those to write */
    uint16_t slots;                          /* descriptors it occupies */
    bool is_inline;           /* the request lies in the descriptor; readable_count is 0 */
    uint8_t inline_len;       /* its bytes, 0 to HALO_INLINE_REQUEST_MAX, in inline_bytes */
    enum halo_reject reject;  /* set where halo_device_poll returned HALO_EREJECT */
    struct halo_gpa bad_addr; /* with it: the address of the buffer that was refused */
    unsigned char inline_bytes[HALO_INLINE_REQUEST_MAX];
};

HALO_STATIC_ASSERT(
    offsetof(struct halo_chain, is_inline) == offsetof(struct halo_chain, slots) + 2 &&
        offsetof(struct halo_chain, inline_len) == offsetof(struct halo_chain, slots) + 3 &&
        offsetof(struct halo_chain, reject) == offsetof(struct halo_chain, slots) + 4 &&
        sizeof(enum halo_reject) == 4 && HALO_REJECT_NOT == 0,
    "halo_device_take_buffer stores slots, is_inline, inline_len and reject as a word");

/*
 * Start on a fresh (zeroed) ring. `memory` and `chains` (place->size entries, zeroed before the
 * first use ever and never again) are the caller's and must live as long as the device. `len_max`
 * bounds the bytes of one chain, readable and writable together, at most 2^32 - 1. Returns 0, or
 * HALO_EINVAL for a place that breaks its rules; then nothing was changed.
 *
 * The same call resets: all cursors start again, nothing is in flight, and every token from before
 * is stale (RST-02, RST-03). The ring must be zeroed first, and the device be done with all spans
 * from before: a stale token cannot complete a chain, but a span is a pointer.
 */
int halo_device_init(struct halo_device *device, const struct halo_ring_place *place,
                     const struct halo_memory *memory, struct halo_device_chain *chains,
                     uint64_t len_max);

/*
 * Turn on extensions (HALO_FEATURE_…) after halo_device_init and before the first poll, the same
 * ones as the driver. Returns 0, or HALO_EINVAL for ones that do not exist or do not go together.
 */
int halo_device_extend(struct halo_device *device, uint32_t features);

/*
 * Where the device stands. What was completed must be published first; else it is as if it had not
 * been completed.
 */
struct halo_positions halo_device_positions(const struct halo_device *device);

/*
 * Take up a queue where another device, or this one, left it: after halo_device_init and
 * halo_device_extend, before the first poll. `in_flight` is a copy of that device's `chains`, whose
 * tokens are valid again, or this one's, where the copy was written; NULL where nothing was in
 * flight. Returns 0, or HALO_EINVAL where the chains in flight do not fill the slots from `at.used`
 * on to `at.avail`; then nothing was changed.
 * What was published before may not have been announced: notify the driver once afterwards.
 */
int halo_device_resume(struct halo_device *device, struct halo_positions at,
                       const struct halo_device_chain *in_flight);

/*
 * The regions of `memory` are others than at the init, or len_max is: what the device keeps a copy
 * of is taken again. Without this it goes on with what the first region was.
 */
void halo_device_memory_changed(struct halo_device *device);

/* Descriptors of the chain in flight with this record; 0: its id is free. */
static inline uint32_t halo_device_chain_slots(const struct halo_device_chain *record)
{
    return record->limit ? 1 : record->slots;
}

/*
 * What must hold between two operations: looked at before those that change anything, in a build
 * with -Dchecks=true (HALO_CHECKS), which stops the program where it does not hold. Otherwise it is
 * nothing.
 */
#ifdef HALO_CHECKS
void halo_device_check(const struct halo_device *device);
#else
static inline void halo_device_check(const struct halo_device *device)
{
    (void)device;
}
#endif

/* Where the next chain starts, or where the one started for which the queue is latched. */
static inline struct halo_cursor halo_device_avail(const struct halo_device *device)
{
    return halo_at_cursor(device->violation.reason ? device->stopped : device->avail,
                          &device->place);
}

/* Descriptors that were taken and are not completed. */
static inline uint32_t halo_device_in_flight(const struct halo_device *device)
{
    return device->place.size - device->room - device->staged;
}

/* Whether poll would find something, or a broken rule: one load, by which nothing is decided. */
static inline bool halo_device_has_next(const struct halo_device *device)
{
    return ((halo_shm_load_meta(device->avail.desc) ^ device->avail.phase) & HALO_META_PHASE) == 0;
}

/*
 * Any chain at the cursor, of whose first descriptor `meta` was loaded, and `addr`, too: the rest
 * of halo_device_poll.
 */
int halo_device_take(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta);
int halo_device_walk(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta, uint64_t addr);

/*
 * One buffer of the first region as a span, if it is wholly inside, with the right, and of 1 byte
 * up to the most that a chain may have: halo_memory_span's test, in two comparisons. `max` is no
 * more than the region has, so that nothing wraps. False where it is not so, or another region's.
 */
static inline __attribute__((always_inline)) bool
halo_device_plain_span(const struct halo_device_plain *plain, uint64_t addr, uint32_t len,
                       bool writes, struct halo_span *span)
{
    const uint64_t offset = addr - plain->base;

    if (len - 1 >= plain->max[writes] || offset > plain->len - len)
        return false;
    span->base = plain->host + offset;
    span->len = len;
    return true;
}

/*
 * Take the one buffer of a plain chain. Where it is wholly inside the first region, with the right,
 * and of 1 byte up to the most that a chain may have, that is all that the walk would ask, and the
 * record, the span and the chain are what the walk would make of it. False where it is not: nothing
 * was changed, and the walk says what is wrong, or finds another region.
 *
 * `writes` is a constant of each caller, who has looked at WRITE: two short copies of this instead
 * of one that selects.
 */
static inline __attribute__((always_inline)) bool
halo_device_take_buffer(const struct halo_device_plain *plain, struct halo_device_chain *record,
                        struct halo_chain *chain, struct halo_span *span, uint64_t addr,
                        uint32_t len, bool writes)
{
    const uint64_t rest = 1; /* one slot, not inline, not rejected: gcc 12 would make five stores */

    if (!halo_device_plain_span(plain, addr, len, writes, span))
        return false;
    record->token += HALO_TOKEN_FREE;
    record->limit = (len | (writes ? HALO_META_WRITE : 0)) + 1;
    chain->token.word = record->token;
    chain->readable_len = writes ? 0 : len;
    chain->writable_len = writes ? len : 0;
    chain->readable_count = !writes;
    chain->writable_count = writes;
    __builtin_memcpy((unsigned char *)chain + offsetof(struct halo_chain, slots), &rest,
                     sizeof(rest));
    return true;
}

/*
 * The plain path: a descriptor whose flags are its phase, or that and WRITE, and an id of the ring.
 * The walk would find no flag to refuse, no next descriptor, and one buffer; what may still be
 * wrong with it is looked at here, in the walk's order, and handed to the walk if it is.
 */
static inline int halo_device_take_plain(struct halo_device *device, struct halo_chain *chain,
                                         struct halo_span *spans, uint32_t span_max, uint64_t meta,
                                         uint32_t id)
{
    struct halo_device_chain *record = &device->chains[id];
    const uint32_t len = halo_meta_len(meta);
    uint64_t addr;
    bool taken;

    halo_shm_prefetch(device->avail.desc);
    if (device->room == 0 || span_max == 0 || !(record->token & HALO_TOKEN_FREE))
        return halo_device_take(device, chain, spans, span_max, meta);
    addr = halo_shm_load_addr(device->avail.desc);
    if (meta & HALO_META_WRITE)
        taken = halo_device_take_buffer(&device->plain, record, chain, spans, addr, len, true);
    else
        taken = halo_device_take_buffer(&device->plain, record, chain, spans, addr, len, false);
    if (!taken)
        return halo_device_walk(device, chain, spans, span_max, meta, addr);
    device->newest = (uint16_t)id;
    device->room--;
    device->avail = halo_at_step(device->avail, &device->place, device->end);
    return 1;
}

/*
 * Take the next chain. virtio 1.2, 2.8.2, 2.8.6; groups DEV, ID and TOC.
 *
 * Returns
 *   1             a chain was taken: `chain` and `spans` describe it. Complete it exactly once.
 *   0             nothing there; one load was made and nothing was changed
 *   HALO_EREJECT  a sound chain with unacceptable buffers: chain->reject and chain->bad_addr tell.
 *                 It was completed with length 0 on the spot; publish as usual. The queue goes on.
 *   HALO_EBROKEN  a rule of the ring is broken, now or before: device->violation tells. The queue
 *                 is latched and shared memory is not touched again.
 *
 * `spans` has room for `span_max` entries. Zero-length buffers take no span (DEV-11).
 */
static inline int halo_device_poll(struct halo_device *device, struct halo_chain *chain,
                                   struct halo_span *spans, uint32_t span_max)
{
    HALO_SHARED struct halo_desc *desc = device->avail.desc;
    const uint64_t meta = halo_shm_load_meta(desc), word = meta ^ device->avail.phase; /* TOC-01 */
    const uint32_t id = halo_plain_id(word);

    halo_device_check(device);
    if (!HALO_PLAIN_PATH || id >= device->ids) /* DEV-06 */
        return word & HALO_META_PHASE ? 0 : halo_device_take(device, chain, spans, span_max, meta);
    return halo_device_take_plain(device, chain, spans, span_max, meta, id);
}

/* The same for an available descriptor of which `meta` was loaded. */
static inline int halo_device_take_loaded(struct halo_device *device, struct halo_chain *chain,
                                          struct halo_span *spans, uint32_t span_max, uint64_t meta)
{
    const uint32_t id = halo_plain_id(meta ^ device->avail.phase);

    if (!HALO_PLAIN_PATH || id >= device->ids)
        return halo_device_take(device, chain, spans, span_max, meta);
    return halo_device_take_plain(device, chain, spans, span_max, meta, id);
}

/*
 * The rest of a pair, of which both descriptors were loaded; `second_addr` is 0 where the second
 * one is not available.
 */
int halo_device_walk_pair(struct halo_device *device, struct halo_chain *chain,
                          struct halo_span *spans, uint32_t span_max, uint64_t meta, uint64_t addr,
                          const struct halo_desc *second);

/*
 * A chain of one or two descriptors was found to be sound, its readable part is told: it is in
 * flight. `rest` is what follows chain->slots (see halo_device_take_buffer), `room` that of the one
 * buffer to be written, or 0.
 */
static inline void halo_device_take_short(struct halo_device *device, struct halo_chain *chain,
                                          uint32_t id, uint32_t slots, uint64_t rest, uint32_t room)
{
    struct halo_device_chain *record = &device->chains[id];

    rest |= slots;
    record->token += HALO_TOKEN_FREE;
    record->capacity = room;
    record->slots = (uint16_t)slots;
    record->is_inline = rest >> 16 & 1;
    chain->token.word = record->token;
    chain->writable_len = room;
    chain->writable_count = room != 0;
    __builtin_memcpy((unsigned char *)chain + offsetof(struct halo_chain, slots), &rest,
                     sizeof(rest));
    device->newest = (uint16_t)id;
    device->room -= slots;
}

/* The bytes of an inline request, and that it has no readable buffer. */
static inline void halo_device_take_words(struct halo_chain *chain, uint64_t addr, uint32_t last)
{
    chain->readable_len = 0;
    chain->readable_count = 0;
    __builtin_memcpy(chain->inline_bytes, &addr, sizeof(addr));
    __builtin_memcpy(chain->inline_bytes + sizeof(addr), &last, sizeof(last));
}

/*
 * A request with its answer: one buffer to be read and one to be written, both wholly inside the
 * first region. Its first descriptor has been loaded, and has NEXT as its only flag. The second one
 * is loaded here, once, under the walk's own rules: there is room for it, and its address is looked
 * at where it is available. If its only flag is WRITE, the walk would find no flag to refuse, no
 * third descriptor and a right order; the id, both spans and the sum of their lengths are asked for
 * as there. If anything is not so the walk goes on with what was loaded.
 */
static inline int halo_device_take_pair(struct halo_device *device, struct halo_chain *chain,
                                        struct halo_span *spans, uint32_t span_max, uint64_t meta)
{
    const struct halo_at first = device->avail;
    const struct halo_at second = halo_at_step(first, &device->place, device->end);
    const struct halo_device_plain *plain = &device->plain;
    const uint64_t word = halo_shm_load_meta(second.desc) ^ second.phase;
    const uint32_t id = halo_bare_id(word ^ HALO_META_WRITE);
    const uint32_t len = halo_meta_len(meta), room = halo_meta_len(word);
    struct halo_desc loaded = {0, word ^ second.phase};
    const uint64_t addr = halo_shm_load_addr(first.desc);

    halo_shm_prefetch(first.desc);
    if (word & HALO_META_PHASE)
        return halo_device_walk_pair(device, chain, spans, span_max, meta, addr, &loaded);
    loaded.addr = halo_shm_load_addr(second.desc);
    if (id >= device->ids || span_max < 2 ||
        !halo_device_plain_span(plain, addr, len, false, &spans[0]) ||
        !halo_device_plain_span(plain, loaded.addr, room, true, &spans[1]) ||
        room > device->len_max - len || !(device->chains[id].token & HALO_TOKEN_FREE))
        return halo_device_walk_pair(device, chain, spans, span_max, meta, addr, &loaded);
    chain->readable_len = len;
    chain->readable_count = 1;
    halo_device_take_short(device, chain, id, 2, 0, room);
    device->avail = halo_at_step(second, &device->place, device->end);
    return 1;
}

/* Of a first descriptor with these flags, the phase taken out: it is inline, with a next one or
 * without. */
static inline bool halo_device_is_inline(const struct halo_device *device, uint32_t flags)
{
    return (flags & ~(15u << HALO_DESC_INLINE_LEN | HALO_DESC_NEXT)) == HALO_DESC_INLINE &&
           !(flags & device->refused);
}

/*
 * An inline request without a buffer for its answer: one descriptor, which has been loaded. What
 * may still be wrong with it is its length and its id; then the walk says so.
 */
static inline int halo_device_take_inline(struct halo_device *device, struct halo_chain *chain,
                                          struct halo_span *spans, uint32_t span_max, uint64_t meta)
{
    const uint64_t addr = halo_shm_load_addr(device->avail.desc);
    const uint64_t len = meta >> (48 + HALO_DESC_INLINE_LEN) & 15;
    const uint32_t id = halo_meta_id(meta);

    if (id >= device->ids || len > HALO_INLINE_REQUEST_MAX ||
        !(device->chains[id].token & HALO_TOKEN_FREE))
        return halo_device_walk(device, chain, spans, span_max, meta, addr);
    halo_shm_prefetch(device->avail.desc);
    halo_device_take_words(chain, addr, halo_meta_len(meta));
    halo_device_take_short(device, chain, id, 1, 1u << 16 | len << 24, 0);
    device->avail = halo_at_step(device->avail, &device->place, device->end);
    return 1;
}

/* The same with one, which is taken as that of a pair is. */
static inline int halo_device_take_inline_pair(struct halo_device *device, struct halo_chain *chain,
                                               struct halo_span *spans, uint32_t span_max,
                                               uint64_t meta)
{
    const struct halo_at first = device->avail;
    const struct halo_at second = halo_at_step(first, &device->place, device->end);
    const uint64_t len = meta >> (48 + HALO_DESC_INLINE_LEN) & 15;
    const uint64_t word = halo_shm_load_meta(second.desc) ^ second.phase;
    const uint32_t id = halo_bare_id(word ^ HALO_META_WRITE), room = halo_meta_len(word);
    struct halo_desc loaded = {0, word ^ second.phase};
    const uint64_t addr = halo_shm_load_addr(first.desc);

    halo_shm_prefetch(first.desc);
    if (word & HALO_META_PHASE)
        return halo_device_walk_pair(device, chain, spans, span_max, meta, addr, &loaded);
    loaded.addr = halo_shm_load_addr(second.desc);
    if (id >= device->ids || span_max < 1 || len > HALO_INLINE_REQUEST_MAX ||
        !halo_device_plain_span(&device->plain, loaded.addr, room, true, &spans[0]) ||
        !(device->chains[id].token & HALO_TOKEN_FREE))
        return halo_device_walk_pair(device, chain, spans, span_max, meta, addr, &loaded);
    halo_device_take_words(chain, addr, halo_meta_len(meta));
    halo_device_take_short(device, chain, id, 2, 1u << 16 | len << 24, room);
    device->avail = halo_at_step(second, &device->place, device->end);
    return 1;
}

/*
 * Take up to `max` chains, into chains[0] and on: the spans of chains[i] stand from
 * spans[i * span_max] on. One whose buffers are not acceptable is among them, with
 * chain->reject set; it was completed with length 0 already, has no spans, and must not be given
 * back again: publish, also where all were such. Returns how many stand in the array; 0 where there
 * is none now; HALO_EBROKEN where the first one that was looked at breaks a rule: chains before
 * such a one are handed out first.
 */
int halo_device_poll_batch(struct halo_device *device, struct halo_chain *chains, uint32_t max,
                           struct halo_span *spans, uint32_t span_max);

/*
 * Put the chain that was taken last back, as if it had not been taken: the next poll finds it again
 * and judges it anew. For a device that lacks what it needs to serve it now (WRAP-05).
 * Returns 0, HALO_ESTALE for any other token, or HALO_EBROKEN; then nothing was changed.
 */
int halo_device_rewind(struct halo_device *device, struct halo_token token);

/*
 * Give any chain back, or say why not: `extra` is 0, or HALO_DESC_TRUNCATED, with which `word`
 * goes.
 */
int halo_device_retire(struct halo_device *device, struct halo_token token, uint32_t len,
                       uint32_t extra, uint64_t word);

/* Why there is no request in flight with this token that came inline. */
int halo_device_refuse_word(const struct halo_device *device, struct halo_token token);

/*
 * Write the used entry of a chain in flight, which may be so: `meta` has everything but the phase.
 * With an extension its word was staged before. The slots that it had are the caller's to count.
 */
static inline void halo_device_stage_used(struct halo_device *device,
                                          struct halo_device_chain *record, uint64_t meta)
{
    meta |= device->used.phase;
    if (device->staged == 0)
        device->batch_meta = meta;
    else
        halo_shm_stage_meta(device->used.desc, meta);
    record->token |= HALO_TOKEN_FREE;
    record->limit = 0;
}

/* The same for a chain of any number of slots. */
static inline void halo_device_put_used(struct halo_device *device,
                                        struct halo_device_chain *record, uint64_t meta)
{
    const uint32_t slots = halo_device_chain_slots(record);

    halo_device_stage_used(device, record, meta);
    record->slots = 0;
    device->staged += slots;
    device->used = halo_at_advance(device->used, slots, &device->place, device->end);
}

/*
 * Give a chain back with `written` bytes, counted from the start of its writable part. The driver
 * sees it after halo_device_publish. virtio 1.2, 2.8.3, 2.8.4, 2.8.6; WRAP-03.
 * Returns 0, or HALO_ESTALE for a token that is not in flight, HALO_EINVAL where `written` is above
 * the chain's writable bytes, HALO_EBROKEN when latched; then nothing was changed.
 */
static inline int halo_device_complete(struct halo_device *device, struct halo_token token,
                                       uint32_t written)
{
    const uint32_t id = halo_token_id(token);
    const uint64_t body = written ? written | HALO_META_WRITE : 0;
    struct halo_device_chain *record;

    halo_device_check(device);
    if (!HALO_PLAIN_PATH || id >= device->ids)
        return halo_device_retire(device, token, written, 0, 0);
    record = &device->chains[id];
    /* Below the limit: it is a plain chain in flight, which has room for that, and one slot. */
    if (record->token != token.word || body >= record->limit)
        return halo_device_retire(device, token, written, 0, 0);
    halo_device_stage_used(device, record, body | (uint64_t)id << 32);
    device->staged++;
    device->used = halo_at_step(device->used, &device->place, device->end);
    return 0;
}

/*
 * The same for a chain of several buffers; false where it is not one, or something else is not
 * right: nothing was changed, and halo_device_complete finds out. It asks what halo_device_retire
 * asks.
 */
static inline bool halo_device_retire_chain(struct halo_device *device, struct halo_token token,
                                            uint32_t written)
{
    const uint32_t id = halo_token_id(token);
    struct halo_device_chain *record;

    halo_device_check(device);
    if (!HALO_PLAIN_PATH || id >= device->ids)
        return false;
    record = &device->chains[id];
    if (record->token != token.word || record->slots == 0 || written > record->capacity)
        return false;
    halo_device_put_used(device, record,
                         (written ? written | HALO_META_WRITE : 0) | (uint64_t)id << 32);
    return true;
}

/*
 * halo_device_complete_word below where its rules were asked for; false where the token is not one
 * of a request in flight that came inline: nothing was changed, and halo_device_refuse_word tells.
 */
static inline bool halo_device_retire_word(struct halo_device *device, struct halo_token token,
                                           uint64_t word, uint32_t len)
{
    const uint32_t id = halo_token_id(token);
    struct halo_device_chain *record;

    halo_device_check(device);
    if (id >= device->ids)
        return false;
    record = &device->chains[id];
    if (record->token != token.word || record->slots == 0 || !record->is_inline)
        return false;
    halo_shm_stage_addr(device->used.desc, word);
    halo_device_put_used(device, record,
                         len | (uint64_t)(HALO_DESC_INLINE | (len ? HALO_DESC_WRITE : 0u)) << 48 |
                             (uint64_t)id << 32);
    return true;
}

/*
 * Give a chain back whose request came inline, with an answer of `len` bytes, at most
 * HALO_INLINE_ANSWER_MAX, that lies in the used entry itself: no buffer is touched. The first byte
 * is the lowest of `word`, whose others are 0. Returns what halo_device_complete does; HALO_EINVAL
 * also where the request was not inline, or HALO_FEATURE_INLINE_ANSWER is off.
 */
static inline int halo_device_complete_word(struct halo_device *device, struct halo_token token,
                                            uint64_t word, uint32_t len)
{
    if (len > HALO_INLINE_ANSWER_MAX || !(device->features & HALO_FEATURE_INLINE_ANSWER))
        return HALO_EINVAL;
    return halo_device_retire_word(device, token, word, len)
               ? 0
               : halo_device_refuse_word(device, token);
}

/* The same with bytes. */
static inline int halo_device_complete_inline(struct halo_device *device, struct halo_token token,
                                              const void *bytes, uint32_t len)
{
    return halo_device_complete_word(device, token, halo_word_load(bytes, len), len);
}

/*
 * Give a chain back with the first `written` bytes of an answer that has `full_len` and did not
 * fit. Returns what halo_device_complete does; HALO_EINVAL also where HALO_FEATURE_TRUNCATED is
 * off.
 */
static inline int halo_device_complete_truncated(struct halo_device *device,
                                                 struct halo_token token, uint32_t written,
                                                 uint64_t full_len)
{
    halo_device_check(device);
    if (!(device->features & HALO_FEATURE_TRUNCATED))
        return HALO_EINVAL;
    return halo_device_retire(device, token, written, HALO_DESC_TRUNCATED, full_len);
}

/*
 * Make everything completed since the last publish visible at once, by storing the first entry
 * last (WRAP-04). Nothing happens when nothing was completed, or when the queue is latched.
 */
static inline void halo_device_publish(struct halo_device *device)
{
    halo_device_check(device);
    if (device->staged == 0) /* as in a latched queue, always */
        return;
    halo_shm_publish_meta(device->published.desc, device->batch_meta);
    device->published = halo_at_load(&device->used);
    device->unannounced += device->staged;
    device->room += device->staged;
    device->staged = 0;
}

/*
 * halo_device_complete and halo_device_publish in one: the driver sees the chain, and all that was
 * completed before, at once. Returns what halo_device_complete does; where that is an error,
 * nothing is published.
 */
static inline int halo_device_finish(struct halo_device *device, struct halo_token token,
                                     uint32_t written)
{
    const uint32_t id = halo_token_id(token);
    const uint64_t body = written ? written | HALO_META_WRITE : 0;
    struct halo_device_chain *record;
    struct halo_at at, next;
    int error;

    halo_device_check(device);
    if (HALO_PLAIN_PATH && id < device->ids && device->staged == 0) {
        record = &device->chains[id];
        /* As in halo_device_complete; the entry that it would withhold is stored here. */
        if (record->token == token.word && body < record->limit) {
            at = device->used;
            record->token |= HALO_TOKEN_FREE;
            record->limit = 0;
            next = halo_at_step(at, &device->place, device->end);
            device->used = next;
            device->published = next;
            device->unannounced++;
            device->room++;
            halo_shm_publish_meta(at.desc, body | (uint64_t)id << 32 | at.phase);
            return 0;
        }
    }
    error = halo_device_complete(device, token, written);
    if (!error)
        halo_device_publish(device);
    return error;
}

/* A chain to be given back, and how many bytes of its writable part were written. */
struct halo_done {
    struct halo_token token;
    uint32_t written;
};

/*
 * The same for `count` chains, in the order of the array, with one publish. Returns how many were
 * given back: fewer than `count` where one could not be, or what halo_device_complete says of it
 * where that is the first.
 */
int halo_device_finish_batch(struct halo_device *device, const struct halo_done *done,
                             uint32_t count);

/*
 * Must the driver be notified of what was published since this was last asked? Costs a full fence:
 * ask once per batch, after publishing it. virtio 1.2, 2.8.14; EVT-07, EVT-09.
 */
static inline bool halo_device_should_notify(struct halo_device *device)
{
    uint64_t count = device->unannounced;
    uint32_t word;

    halo_device_check(device);
    if (count == 0) /* as in a latched queue, always */
        return false;
    device->unannounced = 0;
    halo_shm_fence();
    word = halo_shm_load_event(device->place.driver_event);
    return halo_event_wanted(word, halo_at_cursor(device->published, &device->place), count,
                             device->place.size);
}

/*
 * Before sleeping: ask for a kick when the next chain is made available. Returns true where one is
 * there already, or the queue is latched, so that the caller must not sleep (EVT-08).
 */
bool halo_device_arm(struct halo_device *device);

/*
 * The same for the time when `count` descriptors more are available, for a device that takes chains
 * in batches, or when the ring is nearly full, which is three quarters of what the driver has room
 * for, rounded up: a driver that cannot go on must not wait for a device that sleeps (EVT-10). A
 * chain counts as many as it has: one that reaches over the mark kicks early, none late. Returns
 * true where they are there already, or the queue is latched.
 *
 * A driver with chains longer than a quarter of the slots that are not in flight here may stop
 * before the mark, with less room than its next chain needs: arm for less then, or give the sleep a
 * limit.
 */
bool halo_device_arm_after(struct halo_device *device, uint32_t count);

/* While polling, or while the guest's wait does the same: ask for no kicks. */
void halo_device_disarm(struct halo_device *device);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
