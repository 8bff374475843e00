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

/* What the device remembers of a buffer id. Private memory of the host. */
struct halo_device_chain {
    uint32_t capacity;   /* writable bytes of the chain in flight */
    uint32_t generation; /* grows with every chain that used this id, and is never reset */
    uint16_t slots;      /* descriptors of the chain in flight; 0: the id is free */
    uint16_t is_inline;  /* its request came inline: its answer may go so */
};

struct halo_device {
    struct halo_ring_place place;
    const struct halo_memory *memory; /* what a driver may name in a descriptor */
    struct halo_device_chain *chains; /* place.size entries, the caller's */
    uint32_t len_max;                 /* most bytes that one chain may carry */
    uint32_t features;                /* HALO_FEATURE_…, those that are on */
    uint32_t refused;                 /* flags that an available descriptor must not have */
    struct halo_cursor avail;         /* where the next chain starts */
    struct halo_cursor used;          /* where the next used entry goes */
    struct halo_cursor published;     /* end of the used entries that the driver can see */
    uint32_t in_flight;               /* slots taken and not yet completed */
    uint64_t batch_meta;              /* withheld: the first used entry of the batch */
    uint64_t staged;                  /* slots completed since the last publish */
    uint64_t unannounced;             /* slots published since the last notify decision */
    uint16_t newest;                  /* id of the chain that was taken last */
    struct halo_violation violation;  /* reason != 0: the queue is latched */
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
    uint16_t slots;          /* descriptors it occupies */
    uint32_t readable_count; /* spans to read */
    uint32_t writable_count; /* spans to write, after the readable ones */
    uint64_t readable_len;   /* bytes in each kind */
    uint64_t writable_len;
    enum halo_reject reject;  /* set where halo_device_poll returned HALO_EREJECT */
    struct halo_gpa bad_addr; /* with it: the address of the buffer that was refused */
    /* With HALO_FEATURE_INLINE_REQUEST: */
    bool is_inline;     /* the request lies in the descriptor; readable_count is 0 */
    uint8_t inline_len; /* its bytes, 0 to HALO_INLINE_REQUEST_MAX, in inline_bytes */
    unsigned char inline_bytes[HALO_INLINE_REQUEST_MAX];
};

/*
 * Start on a fresh (zeroed) ring. `memory` and `chains` (place->size entries, zeroed before the
 * first use ever and never again) are the caller's and must live as long as the device. `len_max`
 * bounds the bytes of one chain, readable and writable together, at most 2^32 - 1. Returns 0, or
 * HALO_EINVAL for a place that breaks its rules; then nothing was changed.
 *
 * The same call resets: all cursors start again, nothing is in flight, and every token from before
 * is stale (RST-02, RST-03). The ring must be zeroed first, and the device be done with all spans
 * from before: a stale token cannot complete a chain, but a span is a pointer. A token is told from
 * a later one with its id by 32 bits: do not keep one for as long as 2^32 chains take.
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
 * tokens are valid again; NULL where nothing was in flight. Returns 0, or HALO_EINVAL where the
 * chains in flight do not fill the slots from `at.used` on to `at.avail`; then nothing was changed.
 * What was published before may not have been announced: notify the driver once afterwards.
 */
int halo_device_resume(struct halo_device *device, struct halo_positions at,
                       const struct halo_device_chain *in_flight);

/* The walk over a chain whose first descriptor is available: the rest of halo_device_poll. */
int halo_device_take(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta);

/*
 * Take the next chain. virtio 1.2, 2.8.6, 2.8.22; groups DEV, ID and TOC.
 *
 * Returns
 *   1             a chain was taken: `chain` and `spans` describe it. Complete it exactly once.
 *   0             nothing there; one load was made and nothing was changed
 *   HALO_EREJECT  a sound chain with unacceptable buffers: chain->reject and chain->bad_addr tell.
 * It was completed with length 0 on the spot; publish as usual. The queue goes on. HALO_EBROKEN  a
 * rule of the ring is broken, now or before: device->violation tells. The queue is latched and
 * shared memory is not touched again. `spans` has room for `span_max` entries. Zero-length buffers
 * take no span (DEV-11).
 */
static inline int halo_device_poll(struct halo_device *device, struct halo_chain *chain,
                                   struct halo_span *spans, uint32_t span_max)
{
    uint64_t meta;

    if (device->violation.reason)
        return HALO_EBROKEN;
    meta = halo_shm_load_meta(&device->place.desc[device->avail.slot]); /* TOC-01: once */
    if ((halo_meta_flags(meta) & HALO_PHASE_MASK) != halo_cursor_available(device->avail))
        return 0; /* DEV-06 */
    halo_shm_prefetch(&device->place.desc[device->avail.slot]);
    return halo_device_take(device, chain, spans, span_max, meta);
}

/*
 * Put the chain that was taken last back, as if it had not been taken: the next poll finds it again
 * and judges it anew. For a device that lacks what it needs to serve it now (WRAP-05).
 * Returns 0, HALO_ESTALE for any other token, or HALO_EBROKEN; then nothing was changed.
 */
int halo_device_rewind(struct halo_device *device, struct halo_token token);

/*
 * What the three ways to give a chain back share: `extra` is 0, HALO_DESC_INLINE or
 * HALO_DESC_TRUNCATED, and `word` goes with the latter two.
 */
/*@ requires \valid(device) && 1 <= device->place.size <= HALO_RING_MAX;
    requires \valid(device->place.desc + (0 .. device->place.size - 1));
    requires \valid(device->chains + (0 .. device->place.size - 1));
    requires \separated(device, device->place.desc + (0 .. device->place.size - 1),
        device->chains + (0 .. device->place.size - 1));
    requires halo_cursor_valid(device->used, device->place.size);
    requires device->in_flight + device->staged <= device->place.size;
    requires \forall integer id; 0 <= id < device->place.size ==>
        device->chains[id].slots <= device->in_flight;
    assigns *device, device->place.desc[device->used.slot], device->chains[token.id].slots;
    ensures device->in_flight + device->staged == \old(device->in_flight + device->staged);
    ensures halo_cursor_valid(device->used, device->place.size);
    ensures \result == 0 ==> device->chains[token.id].slots == 0 &&
        device->staged == \old(device->staged) + \old(device->chains[token.id].slots) &&
        halo_position(device->used, device->place.size) ==
            (halo_position(\old(device->used), device->place.size) +
             \old(device->chains[token.id].slots)) % (2 * device->place.size);
    ensures \result != 0 ==> *device == \old(*device);
*/
static inline int halo_device_retire(struct halo_device *device, struct halo_token token,
                                     uint32_t len, uint32_t extra, uint64_t word)
{
    struct halo_device_chain *record;
    uint32_t flags = halo_cursor_used(device->used) | extra;
    uint64_t meta;

    if (device->violation.reason)
        return HALO_EBROKEN;
    if (token.id >= device->place.size)
        return HALO_ESTALE;
    record = &device->chains[token.id];
    if (record->slots == 0 || record->generation != token.generation)
        return HALO_ESTALE;
    if (extra == HALO_DESC_INLINE ? !record->is_inline : len > record->capacity)
        return HALO_EINVAL;

    flags |= len > 0 ? HALO_DESC_WRITE : 0;
    meta = halo_meta(len, token.id, (uint16_t)flags);
    if (extra)
        halo_shm_stage_addr(&device->place.desc[device->used.slot], word);
    if (device->staged == 0)
        device->batch_meta = meta;
    else
        halo_shm_stage_meta(&device->place.desc[device->used.slot], meta);
    device->used = halo_cursor_advance(device->used, record->slots, device->place.size);
    device->staged += record->slots;
    device->in_flight -= record->slots;
    record->slots = 0;
    return 0;
}

/*
 * Give a chain back with `written` bytes, counted from the start of its writable part. The driver
 * sees it after halo_device_publish. virtio 1.2, 2.8.8; WRAP-03.
 * Returns 0, or HALO_ESTALE for a token that is not in flight, HALO_EINVAL where `written` is above
 * the chain's writable bytes, HALO_EBROKEN when latched; then nothing was changed.
 */
static inline int halo_device_complete(struct halo_device *device, struct halo_token token,
                                       uint32_t written)
{
    return halo_device_retire(device, token, written, 0, 0);
}

/*
 * Give a chain back whose request came inline, with an answer of `len` bytes, at most
 * HALO_INLINE_ANSWER_MAX, that lies in the used entry itself: no buffer is touched. Returns what
 * halo_device_complete does; HALO_EINVAL also where the request was not inline, or
 * HALO_FEATURE_INLINE_ANSWER is off.
 */
static inline int halo_device_complete_inline(struct halo_device *device, struct halo_token token,
                                              const void *bytes, uint32_t len)
{
    uint64_t word = 0;

    if (len > HALO_INLINE_ANSWER_MAX || !(device->features & HALO_FEATURE_INLINE_ANSWER))
        return HALO_EINVAL;
    __builtin_memcpy(&word, bytes, len);
    return halo_device_retire(device, token, len, HALO_DESC_INLINE, word);
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
    if (device->staged == 0 || device->violation.reason)
        return;
    halo_shm_publish_meta(&device->place.desc[device->published.slot], device->batch_meta);
    device->published = device->used;
    device->unannounced += device->staged;
    device->staged = 0;
}

/*
 * Must the driver be notified of what was published since this was last asked? Costs a full fence:
 * ask once per batch, after publishing it. virtio 1.2, 2.8.14; EVT-07, EVT-09.
 */
static inline bool halo_device_should_notify(struct halo_device *device)
{
    uint64_t count = device->unannounced;
    uint32_t word;

    if (count == 0 || device->violation.reason)
        return false;
    device->unannounced = 0;
    halo_shm_fence();
    word = halo_shm_load_event(device->place.driver_event);
    return halo_event_wanted(word, device->published, count, device->place.size);
}

/*
 * Before sleeping: ask for a kick when the next chain is made available. Returns true where one is
 * there already, or the queue is latched, so that the caller must not sleep (EVT-08).
 */
bool halo_device_arm(struct halo_device *device);

/* While polling, or while the guest's wait does the same: ask for no kicks. */
void halo_device_disarm(struct halo_device *device);

#ifdef __cplusplus
}
#endif

#endif
