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

struct halo_receiver {
    struct halo_device device;
    uint32_t in_flight_max; /* most requests taken and not answered */
    bool notifying;         /* inside the notifier */
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
    struct halo_notifier notifier;
};

/*
 * Start on a fresh ring, or again after a reset: see halo_device_init, also for `chains`. Returns
 * 0, or HALO_EINVAL for a config that breaks its rules; then nothing was changed.
 */
int halo_receiver_init(struct halo_receiver *receiver, const struct halo_receiver_config *config,
                       struct halo_device_chain *chains);

/*
 * A request that was taken, until it is completed. It may be copied and kept; its spans are the
 * caller's array, to be kept with it.
 */
struct halo_received {
    struct halo_chain chain; /* token, counts, lengths */
    const struct halo_span *spans;
    /* private: where reading and writing are */
    uint32_t read_span, write_span;
    uint64_t read_offset, write_offset;
    uint64_t answer_len;                                /* bytes of the answer so far */
    unsigned char short_answer[HALO_INLINE_ANSWER_MAX]; /* the first of them, for an inline one */
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

/* Bytes of the request, inline or in its readable spans. */
static inline uint64_t halo_received_len(const struct halo_received *request)
{
    return request->chain.is_inline ? request->chain.inline_len : request->chain.readable_len;
}

/*
 * Copy the next bytes of the request, at most `max`, to private memory. Returns how many; 0 at its
 * end. Nothing is allocated, so `max` is the limit that a long request meets (RES-04).
 */
size_t halo_received_read(struct halo_received *request, void *to, size_t max);

/*
 * Add to the answer. Bytes that do not fit are counted, not written: the answer is truncated.
 * Returns how many did fit, HALO_EINVAL for more than INT32_MAX bytes, or HALO_ESTALE after
 * complete.
 */
int halo_received_write(struct halo_received *request, const void *from, size_t len);

/*
 * The spans for the next bytes of the answer, without what was written already: fills at most `max`
 * of them and returns how many. After filling their first bytes (readv), say so by
 * halo_received_wrote.
 */
uint32_t halo_received_room(const struct halo_received *request, struct halo_span *spans,
                            uint32_t max);

/*
 * `len` bytes were put into the spans that halo_received_room gave. Returns 0, HALO_EINVAL where
 * there is no such room, or HALO_ESTALE after complete.
 */
int halo_received_wrote(struct halo_received *request, uint64_t len);

/*
 * Give the request back with the answer that was written: inside the used entry where that is on
 * and it fits there; flagged as truncated, with its full length, where it did not fit and that is
 * on; cut where that is off. The sender sees it after the flush. Returns 0, or HALO_ESTALE where it
 * was completed before or the receiver was reset, HALO_EBROKEN, HALO_EBUSY; then nothing was
 * changed.
 */
int halo_receiver_complete(struct halo_receiver *receiver, struct halo_received *request);

/*
 * Put the request that was taken last back, for the next poll to find again: halo_device_rewind.
 * Returns 0; HALO_ESTALE for any other, or one that was completed; HALO_EBROKEN, HALO_EBUSY.
 */
int halo_receiver_rewind(struct halo_receiver *receiver, struct halo_received *request);

/*
 * Make all completions visible, and notify the sender where it asked for that. Returns 1 where it
 * had to be notified, 0 where not, HALO_EBROKEN or HALO_EBUSY.
 */
int halo_receiver_flush(struct halo_receiver *receiver);

/* What was counted. Any time, from the notifier too. */
struct halo_queue_stats halo_receiver_stats(const struct halo_receiver *receiver);

#ifdef __cplusplus
}
#endif

#endif
