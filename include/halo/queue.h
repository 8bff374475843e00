/*
 * What the two ends of a queue share: counters, notification, waiting.
 *
 *     halo/sender.h    the driver's end: requests out of pooled buffers, answers in any order
 *     halo/receiver.h  the device's end: requests as segments, answers through a checked writer
 *
 * A queue is a ring with buffers, tokens and flow control. It needs nothing but the ring and the
 * pool: no libc, no clock, no allocation. What it cannot know, how to wake the other side and how
 * to sleep, the program gives it as functions. One end belongs to one thread at a time.
 */
#ifndef HALO_QUEUE_H
#define HALO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* One end's counters since its init. The sender's count what it sent, the receiver's what it took.
 */
struct halo_queue_stats {
    uint64_t requests;      /* submitted, or taken */
    uint64_t answers;       /* received, or given */
    uint64_t batches;       /* flushed with something in them */
    uint64_t notifications; /* batches for which the other side had to be notified */
    uint64_t ring_full;     /* requests put off: no room in the ring, or too many in flight */
    uint64_t pool_empty;    /* buffers put off: none left in the pool */
    uint64_t truncated;     /* answers that did not fit */
    uint64_t rejected;      /* requests whose buffers were not acceptable */
    uint32_t in_flight;     /* requests without an answer, now */
};

/*
 * How to wake the other side: called by flush, once for a batch, where the ring says that it must
 * be. A call into the same end from inside returns HALO_EBUSY and changes nothing (RES-10). With
 * `notify` NULL nobody is called; look at the result of flush. The functions that wait flush, too,
 * and have no such result: they need it.
 */
struct halo_notifier {
    void (*notify)(void *context, const struct halo_queue_stats *stats);
    void *context;
};

/*
 * When to wake it. `hold` is asked by a flush that made something visible, before the ring is, and
 * sees the counters: where it returns true the notification is held back, and may so serve more
 * than one batch. It goes out, where the ring still says that it must, with the next flush, which
 * does not ask; or earlier, with the first call that finds nothing to take, or that waits. So who
 * sleeps by other means polls or flushes before. Without `hold` nothing is held back; with it the
 * notifier's `notify` is needed. What is said of calls from inside `notify` holds here, too.
 */
struct halo_notify_policy {
    bool (*hold)(void *context, const struct halo_queue_stats *stats);
    void *context;
};

/* Deadlines are times of the program's own clock, for its own `wait` to understand. */
#define HALO_DEADLINE_NOW 0u           /* never sleep */
#define HALO_DEADLINE_NEVER UINT64_MAX /* sleep for as long as it takes */

/*
 * How to wait, for the functions that take a deadline. While it waits to send, a side must go on
 * receiving, or two full queues would wait for each other for ever (R16).
 */
struct halo_waiter {
    /*
     * Take what has come in on the other queues of this side, and answer it where that does not
     * need to wait. Returns whether there was anything. May be NULL where there is no other queue.
     * The functions of this queue that wait are HALO_EBUSY inside of it.
     */
    bool (*receive)(void *context);
    /*
     * Sleep until this side is notified or the deadline passes. It is called with this queue armed;
     * arm the other queues, and look at them once more, before sleeping. Returns 0 when it may be
     * worth looking again, or an error, which the function that waits returns: HALO_ETIMEDOUT. NULL
     * never sleeps: those functions return that where there is nothing to take in.
     */
    int (*wait)(void *context, uint64_t deadline);
    void *context;
};

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
