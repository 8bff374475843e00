/*
 * The device's end of a queue: requests as segments, answers through a writer that cannot overrun.
 *
 *     struct halo_received request;
 *     struct halo_span spans[16];
 *
 *     while ((got = halo_receiver_poll(&receiver, &request, spans, 16)) > 0) {
 *         len = halo_received_read(&request, text, sizeof(text));    copied, then looked at
 *         len = evaluate(text, len, result);
 *         halo_received_write(&request, result, len);
 *         halo_receiver_complete(&receiver, &request);               now or later, in any order
 *     }
 *     halo_receiver_flush(&receiver);                                one decision whether to notify
 *
 * What a request says is bytes that its sender may still be changing: halo_received_read copies
 * them to private memory, and only the copy is to be judged (TOC-04, TOC-08). The spans themselves
 * are for a program that moves bytes on without looking at them (readv, writev).
 *
 * The rest of the device's interface goes through `receiver.device`: arm and disarm before and
 * after sleeping, rewind, and violation, which tells why a queue is latched.
 */
#ifndef HALO_RECEIVER_H
#define HALO_RECEIVER_H

#include <halo/device.h>
#include <halo/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct halo_receiver {
    struct halo_device device;
    uint32_t in_flight_max; /* most requests taken and not answered */
    bool notifying;         /* inside the notifier */
    bool holding;           /* a notification is held back */
    struct halo_notify_policy policy;
    struct halo_notifier notifier;
    struct halo_queue_stats stats;
};

/* How to make a receiver. What the pointers point to must live as long as the receiver. */
struct halo_receiver_config {
    struct halo_ring_place place;
    const struct halo_memory *memory; /* what a request may name */
    uint64_t len_max;                 /* most bytes of one request and its answer, below 2^32 */
    uint32_t features;                /* HALO_FEATURE_…, the same ones as the sender */
    uint32_t in_flight_max;           /* most requests taken and not answered; 0: the ring's size */
    struct halo_notify_policy policy; /* when to notify; may be none */
    struct halo_notifier notifier;
};

/*
 * Start on a fresh ring, or again after a reset: see halo_device_init, also for `chains`. Returns
 * 0, or HALO_EINVAL for a config that breaks its rules; then nothing was changed.
 */
int halo_receiver_init(struct halo_receiver *receiver, const struct halo_receiver_config *config,
                       struct halo_device_chain *chains);

/*
 * What must hold between two operations: looked at before those that change anything, in a build
 * with -Dchecks=true (HALO_CHECKS), which stops the program where it does not hold. Otherwise it is
 * nothing.
 */
#ifdef HALO_CHECKS
void halo_receiver_check(const struct halo_receiver *receiver);
#else
static inline void halo_receiver_check(const struct halo_receiver *receiver)
{
    (void)receiver;
}
#endif

/*
 * A request that was taken, until it is completed. It may be copied and kept; its spans are the
 * caller's array, to be kept with it.
 */
struct halo_received {
    struct halo_chain chain; /* token, counts, lengths */
    const struct halo_span *spans;
    /* private: where reading and writing are, in the spans of their kind */
    uint32_t read_span, write_span;
    uint64_t read_offset, write_offset;
    uint64_t answer_len;   /* bytes of the answer so far */
    uint64_t short_answer; /* the first of them, for an inline one */
    bool may_inline, open;
};

/*
 * Take the next request. Returns what halo_device_poll does: 1, 0, HALO_EREJECT (counted, and
 * completed already), HALO_EBROKEN; or
 *   HALO_EFULL  in_flight_max requests are being worked on: complete some first (RES-06)
 *   HALO_EBUSY  called from the notifier
 * Where others must get their turn, bound the number of polls between two of theirs: a sender may
 * refill the ring as fast as it is emptied (RES-02).
 */
int halo_receiver_poll(struct halo_receiver *receiver, struct halo_received *request,
                       struct halo_span *spans, uint32_t span_max);

/* It is not the caller's to read, write or complete any more. */
static inline void halo_received_close(struct halo_received *request)
{
    request->open = false;
    request->may_inline = false;
    request->read_span = request->chain.readable_count;
    request->read_offset = HALO_INLINE_REQUEST_MAX;
}

/* Bytes of the request, inline or in its readable spans. */
static inline uint64_t halo_received_len(const struct halo_received *request)
{
    return request->chain.is_inline ? request->chain.inline_len : request->chain.readable_len;
}

/* The rest of the function below. */
size_t halo_received_read_across(struct halo_received *request, void *to, size_t max);

/*
 * Copy the next bytes of the request, at most `max`, to private memory. Returns how many; 0 at its
 * end. Nothing is allocated, so `max` is the limit that a long request meets (RES-04).
 */
static inline size_t halo_received_read(struct halo_received *request, void *to, size_t max)
{
    const uint64_t len = request->chain.readable_len;

    /* One in a descriptor, as a word. */
    if (request->chain.is_inline && request->chain.inline_len <= 8 && request->read_offset == 0 &&
        request->chain.inline_len <= max) {
        request->read_offset = request->chain.inline_len;
        halo_word_store(to, halo_word_load(request->chain.inline_bytes, 8),
                        request->chain.inline_len);
        return request->chain.inline_len;
    }
    /* All of a short request that lies in one span, in one go. */
    if (len - 1 >= HALO_COPY_SHORT || len > max || request->read_offset > 0 ||
        request->read_span > 0 || request->chain.readable_count != 1)
        return halo_received_read_across(request, to, max);
    halo_shm_copy_in_short(to, request->spans[0].base, (size_t)len); /* TOC-08 */
    request->read_span = 1;
    return (size_t)len;
}

/* The rest of the function below. */
int halo_received_write_across(struct halo_received *request, const void *from, size_t len);

/*
 * Add to the answer. Bytes that do not fit are counted, not written: the answer is truncated.
 * Returns how many did fit, HALO_EINVAL for more than INT32_MAX bytes, or HALO_ESTALE after
 * complete.
 */
static inline int halo_received_write(struct halo_received *request, const void *from, size_t len)
{
    /* One that goes inline, where there is nothing else for it. */
    if (request->may_inline && request->chain.writable_count == 0 && request->answer_len == 0 &&
        len <= HALO_INLINE_ANSWER_MAX) {
        request->short_answer = halo_word_load(from, len);
        request->answer_len = len;
        return (int)len;
    }
    /* A short answer, or the begin of one, into the first span. */
    if (len - 1 >= HALO_COPY_SHORT || request->answer_len > 0 || request->may_inline ||
        !request->open || request->chain.writable_count == 0 ||
        len > request->spans[request->chain.readable_count].len)
        return halo_received_write_across(request, from, len);
    halo_shm_copy_out_short(request->spans[request->chain.readable_count].base, from, len);
    request->answer_len = len;
    request->write_offset = len;
    return (int)len;
}

/*
 * The spans for the next bytes of the answer, without what was written already: fills at most `max`
 * of them and returns how many. After filling their first bytes (readv), say so by
 * halo_received_commit.
 */
uint32_t halo_received_reserve(const struct halo_received *request, struct halo_span *spans,
                               uint32_t max);

/*
 * `len` bytes were put into the spans that halo_received_reserve gave. Returns 0, HALO_EINVAL where
 * there is no such room, or HALO_ESTALE after complete.
 */
int halo_received_commit(struct halo_received *request, uint64_t len);

/*
 * Give the request back with the answer that was written: inside the used entry where that is on
 * and it fits there; flagged as truncated, with its full length, where it did not fit and that is
 * on; cut where that is off. The sender sees it after the flush. Returns 0, or HALO_ESTALE where it
 * was completed before or the receiver was reset, HALO_EBROKEN, HALO_EBUSY; then nothing was
 * changed.
 */
int halo_receiver_complete(struct halo_receiver *receiver, struct halo_received *request);

/* --- Requests that are kept ------------------------------------------------------------------- */

/* Most buffers of a request that can be parked. */
#define HALO_PARKED_EXTENTS 32u

/* Some bytes of the memory that the receiver was made with. */
struct halo_extent {
    uint32_t region; /* index into halo_memory.regions */
    uint32_t len;
    uint64_t offset; /* in that region */
};

/*
 * A request without a pointer in it, so that it can wait for long, be saved with the memory of its
 * guest, and be answered in another process (halo_receiver_resume). It is read and written at
 * offsets, in any order.
 */
struct halo_parked {
    struct halo_token token;
    uint16_t readable_count, writable_count; /* of extents, the readable ones first */
    uint32_t readable_len, writable_len;     /* bytes in each kind */
    bool is_inline;                          /* the request is these bytes instead */
    uint8_t inline_len;
    unsigned char inline_bytes[HALO_INLINE_REQUEST_MAX];
    struct halo_extent extents[HALO_PARKED_EXTENTS];
};

/* A span as an extent of the region in which the device has found it; the first is the usual one.
 */
static inline struct halo_extent halo_extent_of(const struct halo_memory *memory,
                                                const struct halo_span *span)
{
    uint64_t offset = (uint64_t)(span->base - memory->regions[0].host);
    struct halo_extent extent;
    uint32_t i = 0;

    while (offset >= memory->regions[i].len && i + 1 < memory->region_count)
        offset = (uint64_t)(span->base - memory->regions[++i].host);
    extent.region = i;
    extent.len = (uint32_t)span->len;
    extent.offset = offset;
    return extent;
}

/*
 * Park a request that was polled with at most HALO_PARKED_EXTENTS spans, before anything of it was
 * read or written: from then on `parked` is the request, and `request` no longer one.
 */
static inline void halo_receiver_park(const struct halo_receiver *receiver,
                                      struct halo_received *request, struct halo_parked *parked)
{
    const struct halo_memory *memory = receiver->device.memory;
    const struct halo_chain *chain = &request->chain;

    parked->token = chain->token;
    parked->readable_count = (uint16_t)chain->readable_count;
    parked->writable_count = (uint16_t)chain->writable_count;
    parked->readable_len = (uint32_t)chain->readable_len;
    parked->writable_len = (uint32_t)chain->writable_len;
    parked->is_inline = chain->is_inline;
    if (chain->is_inline) {
        parked->inline_len = chain->inline_len;
        __builtin_memcpy(parked->inline_bytes, chain->inline_bytes, sizeof(chain->inline_bytes));
    }
    for (uint32_t i = 0; i < chain->readable_count + chain->writable_count; i++)
        parked->extents[i] = halo_extent_of(memory, &request->spans[i]);
    halo_received_close(request);
}

/* The first byte of an extent. */
static inline HALO_SHARED unsigned char *halo_extent_at(const struct halo_receiver *receiver,
                                                        const struct halo_extent *extent)
{
    return receiver->device.memory->regions[extent->region].host + extent->offset;
}

/* Whether `len` bytes at `offset` lie within the first of `count` extents. */
static inline bool halo_extent_holds(const struct halo_extent *extent, uint32_t count,
                                     uint64_t offset, size_t len)
{
    return count > 0 && offset <= extent->len && len <= extent->len - offset;
}

/* The same as the two below, across any number of extents. */
size_t halo_parked_read_across(const struct halo_receiver *receiver,
                               const struct halo_parked *parked, uint64_t offset, void *to,
                               size_t len);
size_t halo_parked_write_across(const struct halo_receiver *receiver,
                                const struct halo_parked *parked, uint64_t offset, const void *from,
                                size_t len);

/*
 * Copy up to `len` bytes at `offset` of the readable part to private memory (TOC-08), or of private
 * memory to the writable part. Returns how many there were, or fitted.
 */
static inline size_t halo_parked_read(const struct halo_receiver *receiver,
                                      const struct halo_parked *parked, uint64_t offset, void *to,
                                      size_t len)
{
    if (!halo_extent_holds(parked->extents, parked->readable_count, offset, len))
        return halo_parked_read_across(receiver, parked, offset, to, len);
    halo_shm_copy_in(to, halo_extent_at(receiver, parked->extents) + offset, len);
    return len;
}

static inline size_t halo_parked_write(const struct halo_receiver *receiver,
                                       const struct halo_parked *parked, uint64_t offset,
                                       const void *from, size_t len)
{
    const struct halo_extent *first = &parked->extents[parked->readable_count];

    if (!halo_extent_holds(first, parked->writable_count, offset, len))
        return halo_parked_write_across(receiver, parked, offset, from, len);
    halo_shm_copy_out(halo_extent_at(receiver, first) + offset, from, len);
    return len;
}

/*
 * Where at most `limit` bytes behind the first `offset` ones of the readable or writable part lie,
 * for readv and writev: fills at most `max` spans and returns how many.
 */
uint32_t halo_parked_readable(const struct halo_receiver *receiver,
                              const struct halo_parked *parked, uint64_t offset, uint64_t limit,
                              struct halo_span *spans, uint32_t max);
uint32_t halo_parked_writable(const struct halo_receiver *receiver,
                              const struct halo_parked *parked, uint64_t offset, uint64_t limit,
                              struct halo_span *spans, uint32_t max);

/* It was given back, or why it was not. */
static inline int halo_receiver_answered(struct halo_receiver *receiver, int error)
{
    if (!error) {
        receiver->stats.answers++;
        receiver->stats.in_flight--;
    }
    return error;
}

/*
 * Give a parked request back with the first `len` bytes of its writable part as the answer; or, one
 * that came inline, with at most HALO_INLINE_ANSWER_MAX bytes inside the used entry. They return
 * what halo_receiver_complete does, and HALO_EINVAL where there is no such room.
 */
static inline int halo_receiver_answer(struct halo_receiver *receiver,
                                       const struct halo_parked *parked, uint32_t len)
{
    halo_receiver_check(receiver);
    if (receiver->notifying)
        return HALO_EBUSY;
    if (halo_device_retire_chain(&receiver->device, parked->token, len))
        return halo_receiver_answered(receiver, 0);
    return halo_receiver_answered(receiver,
                                  halo_device_complete(&receiver->device, parked->token, len));
}

static inline int halo_receiver_answer_inline(struct halo_receiver *receiver,
                                              const struct halo_parked *parked, const void *bytes,
                                              uint32_t len)
{
    halo_receiver_check(receiver);
    if (receiver->notifying)
        return HALO_EBUSY;
    return halo_receiver_answered(
        receiver, halo_device_complete_inline(&receiver->device, parked->token, bytes, len));
}

/*
 * Take up a queue where another receiver left it, with the requests in flight that it had parked:
 * halo_device_resume. After halo_receiver_init, before the first poll.
 */
int halo_receiver_resume(struct halo_receiver *receiver, struct halo_positions at,
                         const struct halo_device_chain *in_flight);

/*
 * Put the request that was taken last back, for the next poll to find again: halo_device_rewind.
 * Returns 0; HALO_ESTALE for any other, or one that was completed; HALO_EBROKEN, HALO_EBUSY.
 */
int halo_receiver_rewind(struct halo_receiver *receiver, struct halo_received *request);

/*
 * Make all completions visible, and notify the sender where it asked for that. Returns 1 where it
 * had to be notified, 0 where not or config->policy holds that back, HALO_EBROKEN or HALO_EBUSY.
 */
int halo_receiver_flush(struct halo_receiver *receiver);

/* What was counted. Any time, from the notifier too. */
struct halo_queue_stats halo_receiver_stats(const struct halo_receiver *receiver);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
