/*
 * A trace: what host and guest did and when, for those who ask where the time goes.
 *
 *     halo_trace_begin(box, 0);
 *     halo_call(box, &future, score, HALO_FOREVER, halo_str("x"));
 *     halo_trace_write(box, fd);            a file for https://ui.perfetto.dev, or chrome://tracing
 *
 * Both sides record by themselves, each into a buffer of fixed size, where the newest events stay:
 * the host's in memory of the host, and the guest's in memory of the guest, HALO_RECORDS of them,
 * where the guest was built with a library that does (halo/events.h). What the guest has recorded
 * is its choice. It is judged, put in order and kept between the times of the trace, and no more is
 * known of it. A trace that is off costs a test for each event.
 */
#ifndef HALO_TRACE_H
#define HALO_TRACE_H

#include <halo/events.h>
#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define HALO_TRACE_DEFAULT 65536u
#define HALO_TRACE_MAX (1u << 24)

/* An event of either side. */
struct halo_event_seen {
    int64_t ns;    /* since the trace began */
    uint32_t kind; /* enum halo_event_kind */
    uint32_t a;
    uint64_t b;
};

/*
 * From now on record the newest `count` events of the host's, 0: HALO_TRACE_DEFAULT, rounded up to
 * a power of two, of 32 bytes each; and those of the guest. Forgets a trace from before. Any state.
 * Returns 0; HALO_EINVAL for more than HALO_TRACE_MAX; HALO_ENOMEM, HALO_ESTATE, HALO_EBUSY.
 */
int halo_trace_begin(struct halo_sandbox *box, uint32_t count);

/* Record no more, and forget what was. Returns 0, or HALO_EBUSY, HALO_ESTATE. */
int halo_trace_end(struct halo_sandbox *box);

/*
 * Copy what was recorded, in the order of time: the newest `max` events. The guest must not run:
 * one on a thread of its own is let come to its wait first, or stopped after 100 ms. Returns how
 * many; HALO_ESTATE where there is no trace, or inside of a function of the host's beside which the
 * guest runs on; HALO_ENOMEM, HALO_EBUSY.
 */
int64_t halo_trace_read(struct halo_sandbox *box, struct halo_event_seen *events, size_t max);

/*
 * Write it as JSON in the format of Chrome's traces, which Perfetto opens: a row for each queue,
 * function and stream, and for each of both sides; arrows lead from a request to what serves it,
 * and on to its answer. Written from where the descriptor is on, on the calling thread. Returns 0,
 * or HALO_EIO where a write failed (halo_errmsg has the error), or an error as halo_trace_read.
 */
int halo_trace_write(struct halo_sandbox *box, int fd);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
