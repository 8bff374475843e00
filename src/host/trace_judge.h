/* What a guest has recorded of itself: any bytes, of which events are made that can be shown. */
#ifndef HALO_SRC_TRACE_JUDGE_H
#define HALO_SRC_TRACE_JUDGE_H

#include <halo/events.h>

/* When it may have been, by the host's time stamp counter, and how far the guest's is ahead. */
struct halo_trace_span {
    uint32_t trace; /* which one: of the boot page */
    uint64_t begun, now, ahead;
};

/*
 * Judge HALO_RECORDS records, a private copy: those that are of this trace, in their place and of a
 * kind that guests have, come into `to`, in their order, with the host's counter; it never falls,
 * and is within the span. Returns how many there are.
 */
uint32_t halo__trace_judge(const struct halo_record *records, const struct halo_trace_span *span,
                           struct halo_record *to);

#endif
