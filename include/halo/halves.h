/*
 * A driver whose two halves belong to two threads: one submits, the other reaps, without a lock.
 *
 *     the submitting thread                          the reaping thread
 *
 *     id = halo_submitter_submit(&h.submitter, ...); while (halo_reaper_poll(&h.reaper, &used) > 0)
 *     if (halo_submitter_should_kick(&h.submitter))      finish(used.id, used.len);
 *         kick();                                    halo_reaper_return(&h.reaper);
 *
 * Either half writes state of its own, on cache lines of its own. What the other half needs of it
 * are three things: a record for each id, which the submitting half writes before it publishes the
 * chain; a ring of the ids that came back, which the reaping half writes; and how many slots came
 * back with them, the one word by which it hands them over. From halo_reaper_poll to
 * halo_reaper_return an id, and what the caller keeps for it, is the reaping thread's; before and
 * after it is the submitting thread's.
 *
 * The device is trusted no more than in halo/driver.h, and what is refused is the same. A used
 * entry is judged by the record alone, so that a device that guesses an id can bring neither half
 * to read what the other one is writing. The extensions of a ring, staging without a publish,
 * holding ids and taking up a queue in the middle are the one-thread driver's alone. Without a
 * second thread that one is faster, too (measured: docs/bench.md).
 */
#ifndef HALO_HALVES_H
#define HALO_HALVES_H

#include <halo/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* A line, and the one that a processor fetches with it. */
#define HALO_HALVES_LINES __attribute__((aligned(128)))

/* The submitting thread's. */
struct halo_submitter {
    struct halo_at avail;     /* where the next descriptor goes */
    uint64_t *records;        /* of each id, halo_half_record: read by the reaping half */
    const uint16_t *ids;      /* the ring of returned ids */
    const uint32_t *returned; /* the reaping half's word: slots that came back */
    uint32_t next;            /* in `ids`: the next free one */
    uint32_t sent;            /* slots submitted so far, modulo HALO_HALVES_BROKEN */
    uint64_t unannounced;     /* slots submitted since the last kick decision */
    const HALO_SHARED struct halo_desc *end;
    struct halo_ring_place place;
};

/* The reaping thread's. */
struct halo_reaper {
    struct halo_at used;     /* where the next used entry is expected */
    const uint64_t *records; /* the submitting half's */
    uint16_t *ids;           /* the ring of returned ids, as many as the ring has slots */
    uint16_t *seen;          /* of each id: the generation that came back last */
    uint32_t next;           /* in `ids`: where the next one goes */
    uint32_t reaped;         /* slots that came back so far, modulo HALO_HALVES_BROKEN */
    uint32_t failed;         /* ids below it were handed out by halo_reaper_fail */
    uint32_t refused;        /* flags that a used entry must not have */
    const HALO_SHARED struct halo_desc *end;
    struct halo_ring_place place;
    struct halo_violation violation;     /* reason != 0: the queue is latched */
    HALO_HALVES_LINES uint32_t returned; /* what was handed over of `reaped`; read over there */
};

/* In `returned`: the reaping half has latched the queue. What is counted there wraps below it. */
#define HALO_HALVES_BROKEN 0x80000000u

struct halo_halves {
    HALO_HALVES_LINES struct halo_submitter submitter;
    HALO_HALVES_LINES struct halo_reaper reaper;
};

/*
 * Start on a fresh (zeroed) ring, before there are two threads. The three arrays have place->size
 * entries each, are owned by the caller and must live as long as the halves: `records` is written
 * by the submitting thread, the other two by the reaping one, so that they are best on lines of
 * their own (HALO_HALVES_LINES). Returns 0, or HALO_EINVAL for a place that breaks its rules; then
 * nothing was changed.
 */
int halo_halves_init(struct halo_halves *halves, const struct halo_ring_place *place,
                     uint64_t *records, uint16_t *ids, uint16_t *seen);

/* What must hold of a half between two operations of its thread, as halo_driver_check has it. */
#ifdef HALO_CHECKS
void halo_submitter_check(const struct halo_submitter *submitter);
void halo_reaper_check(const struct halo_reaper *reaper);
#else
static inline void halo_submitter_check(const struct halo_submitter *submitter)
{
    (void)submitter;
}
static inline void halo_reaper_check(const struct halo_reaper *reaper)
{
    (void)reaper;
}
#endif

/* --- The submitting thread ---------------------------------------------------------------------
 */

/* How many more descriptors can be submitted now; none where the queue is latched. */
uint32_t halo_submitter_room(const struct halo_submitter *submitter);

/* A chain that the device sees at once: all as halo_driver_submit has it. */
int halo_submitter_submit(struct halo_submitter *submitter, const struct halo_buf *bufs,
                          uint32_t readable, uint32_t writable);

/* Chains of one buffer each with one publish: all as halo_driver_submit_batch has it. */
int halo_submitter_submit_batch(struct halo_submitter *submitter, const struct halo_buf *bufs,
                                uint32_t count, bool writable, uint16_t *ids);

/* Must the device be kicked for what was submitted since? As halo_driver_should_kick. */
bool halo_submitter_should_kick(struct halo_submitter *submitter);

/* --- The reaping thread ------------------------------------------------------------------------
 */

/*
 * Take the next chain that the device has used, as halo_driver_poll has it. The id is not handed
 * out again before halo_reaper_return, and the queue has no room for the chain's slots either: what
 * the caller keeps for the id can be looked at until then.
 *
 * A chain can come back while the call that submits it has not returned yet, and its id be here
 * before it is there.
 */
int halo_reaper_poll(struct halo_reaper *reaper, struct halo_used *used);

/* The same for up to `max` chains, as halo_driver_poll_batch has it. */
int halo_reaper_poll_batch(struct halo_reaper *reaper, struct halo_used *used, uint32_t max);

/* Hand over to the submitting thread all that was polled since the last time: one store. */
void halo_reaper_return(struct halo_reaper *reaper);

/* Before sleeping, and while polling: as halo_driver_arm and halo_driver_disarm. */
bool halo_reaper_arm(struct halo_reaper *reaper);
void halo_reaper_disarm(struct halo_reaper *reaper);

/*
 * Before a reset: latch the queue, as halo_driver_stop does. The submitting thread is refused from
 * its next call on; one that has begun may still submit.
 */
void halo_reaper_stop(struct halo_reaper *reaper);

/*
 * Of a latched queue: the next chain that will never come back, as halo_driver_fail has it. The
 * submitting thread must have seen HALO_EBROKEN, or have ended: a chain that it submits meanwhile
 * may not be told.
 */
int halo_reaper_fail(struct halo_reaper *reaper, uint16_t *id);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
