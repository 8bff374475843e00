/* A trace, for those who write it: the events of both sides, in the order of time. */
#ifndef HALO_SRC_TRACE_READ_H
#define HALO_SRC_TRACE_READ_H

#include <halo/trace.h>

struct halo_trace_events {
    struct halo_event_seen *events; /* to be freed */
    size_t count;
};

/* 0, or an error with words. */
int halo__trace_events(struct halo_sandbox *box, struct halo_trace_events *all);

/*
 * What a row of a trace is called, and each function; NULL where there is none. Names are anybody's
 * choice.
 */
struct halo_trace_names {
    const char *backend;
    const char *(*function)(const void *context, bool is_guests, uint32_t index);
    const void *context;
};

/* Takes so many bytes of a file: 0, or an error, and then no more. */
typedef int halo_trace_put(void *context, const char *bytes, size_t len);

/* Write events as JSON: 0; HALO_ENOMEM; or what `put` has returned. */
int halo__trace_json(const struct halo_event_seen *events, size_t count,
                     const struct halo_trace_names *names, halo_trace_put *put, void *context);

#endif
