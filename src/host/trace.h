/*
 * The host's own events (halo/trace.h), in the buffer of a sandbox. Where there is none, an event
 * costs a test. The same places are probes for bpftrace and perf, where Halo was built with them.
 */
#ifndef HALO_SRC_TRACE_H
#define HALO_SRC_TRACE_H

#include <halo/events.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef HALO_PROBES
#include <sys/sdt.h>
#ifdef __clang__
#pragma clang diagnostic ignored \
    "-Wgnu-zero-variadic-macro-arguments" /* which those of sdt.h have */
#endif
#define HALO_PROBE(name, a, b) DTRACE_PROBE2(halo, name, a, b)
#else
#define HALO_PROBE(name, a, b) ((void)0)
#endif

struct halo_trace {
    struct halo_record *records; /* mask + 1 of them: a power of two */
    uint64_t count;              /* ever */
    uint64_t mask;
    uint64_t begun; /* the time stamp counter */
    int64_t begun_ns;
    uint64_t ahead; /* the guest's counter */
};

/* NULL where there is no memory. */
struct halo_trace *halo__trace_new(uint32_t count);
void halo__trace_free(struct halo_trace *trace);

void halo__trace_put(struct halo_trace *trace, uint32_t kind, uint32_t a, uint64_t b);

/* An event: HALO_EVENT_KIND, and the probe halo:KIND. */
#define HALO_TRACE(trace, kind, a, b)                                                  \
    do {                                                                               \
        HALO_PROBE(kind, (uint32_t)(a), (uint64_t)(b));                                \
        if (__builtin_expect((trace) != NULL, 0))                                      \
            halo__trace_put((trace), HALO_EVENT_##kind, (uint32_t)(a), (uint64_t)(b)); \
    } while (0)

#endif
