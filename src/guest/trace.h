/*
 * The guest's own events (halo/events.h). They are off unless the boot page says otherwise, and an
 * event that is off costs a test. It needs nothing.
 */
#ifndef HALO_SRC_GUEST_TRACE_H
#define HALO_SRC_GUEST_TRACE_H

#include <halo/abi.h>
#include <halo/events.h>

extern uint32_t halo__tracing; /* `trace` of the boot page, as it was last looked at */

/* Look at the boot page: at the start, and after each doorbell. */
static inline void halo__trace_look(const struct halo_boot *boot)
{
    halo__tracing = boot->trace;
}

void halo__trace_record(uint32_t kind, uint32_t a, uint64_t b);

static inline void halo__trace(uint32_t kind, uint32_t a, uint64_t b)
{
    if (__builtin_expect(halo__tracing != 0, 0))
        halo__trace_record(kind, a, b);
}

/* Where it is to be told of them: in the save page of this boot page. */
void halo__trace_begin(const struct halo_boot *boot);

#endif
