/*
 * Streams on the host.
 *
 *     table.c   the table of streams, and what a host's program does with it
 *     host.c    the guest's requests for them
 *     end.c     what streams are connected to: moving bytes, and waiting until that is possible
 *     own.c     the host itself as the other end
 *
 * The bytes of a request go straight between its buffers and the end. One that its end cannot serve
 * now stays first in its flow, and delays nobody else.
 */
#ifndef HALO_SRC_STREAM_HOST_H
#define HALO_SRC_STREAM_HOST_H

#include <halo/stream.h>
#include "../request.h"

struct iovec;

/* One way of a stream: its requests in the order in which they came, at most a window of them. */
struct halo_flow {
    struct halo_request *first, *last;
    uint32_t count;
    uint64_t bytes;
    bool blocked; /* the end would have had to wait */
    bool over;    /* in: the end was reached; out: the guest has ended it */
};

struct halo_stream {
    enum halo_end_kind kind; /* HALO_END_NONE: this place is free */
    uint8_t ways;
    uint16_t generation;
    bool closing; /* the guest has closed it, and what it wrote is still going out */
    bool is_file; /* never has to be waited for */
    bool is_socket, is_listener;
    bool no_nowait;        /* the kernel has no RWF_NOWAIT for it: poll first */
    bool no_place;         /* a listener whose connections find no place in the table */
    bool watched;          /* epoll knows it */
    uint32_t armed;        /* the events that it waits for */
    int fd;                /* its own, or -1 */
    int64_t in_at, out_at; /* of a file, or -1; in memory */
    const unsigned char *from;
    unsigned char *to;
    size_t from_len, to_max;
    const struct halo_end_functions *functions;
    void *context;
    struct halo_flow in, out;
    uint64_t lent; /* bytes of the first write that the host is looking at */
    struct halo_stream_stats stats;
    char name[HALO_STREAM_NAME_MAX + 1]; /* "": none */
};

struct halo_streams {
    struct halo_stream at[HALO_STREAMS_MAX];
    uint32_t used; /* places behind are free, and were never used */
    uint32_t next; /* where to look for a free place: each rests before it is used again */
    int epoll;
    uint32_t armed_count;
    bool unflushed; /* a host's write fills a buffer in part */
};

/* 0, or HALO_EHOST. */
int halo__streams_init(struct halo_streams *streams);
void halo__streams_free(struct halo_streams *streams);

uint32_t halo__stream_handle(const struct halo_streams *streams, const struct halo_stream *stream);

/* A place that is free, as long as possible after its last use, or NULL. */
struct halo_stream *halo__stream_place(struct halo_streams *streams);

/* The stream of a guest's handle, or why there is none: an errno. */
struct halo_stream *halo__stream_of(struct halo_streams *streams, uint32_t handle, int *error);

/* The one that is offered by this name, or NULL. */
struct halo_stream *halo__stream_named(struct halo_streams *streams, const char *name);

/* The stream of a handle that the host has, or NULL. */
struct halo_stream *halo__stream_find(struct halo_sandbox *box, uint32_t handle);

/* --- Requests --------------------------------------------------------------------------------- */

/*
 * Take a request in: put it into its flow, or answer it. NULL, or what cannot be understood. Its
 * message header was judged.
 */
const char *halo__stream_take(struct halo_sandbox *box, struct halo_request *request);

/*
 * Serve all streams until they have no requests or would have to wait. What is done is completed,
 * but not published.
 */
void halo__stream_serve(struct halo_sandbox *box);

/* What a host's program finds nothing to do for: writes of no bytes, and their end. */
void halo__stream_settle(struct halo_sandbox *box, struct halo_stream *stream);

/* The guest has ended: nobody looks at what it wanted to read. */
void halo__stream_drop_reads(struct halo_streams *streams);

/* The guest waits for an end that only the host's program can move. */
bool halo__stream_waits(const struct halo_streams *streams);

/* End all requests of a flow with ECANCELED but those that close, which come last. */
void halo__flow_cancel(struct halo_sandbox *box, struct halo_stream *stream,
                       struct halo_flow *flow);

/* The first request of a flow is done. */
void halo__flow_pop(struct halo_flow *flow);

/* Answer the first request of a flow and take it out: a read of `len` bytes, or a write. */
void halo__stream_done_read(struct halo_sandbox *box, struct halo_stream *stream, uint64_t len);
void halo__stream_done_write(struct halo_sandbox *box, struct halo_stream *stream);

/* Readable bytes of a write before its data. */
#define HALO_STREAM_HEAD (sizeof(struct halo_message) + sizeof(struct halo_stream_request))

/* --- Ends ------------------------------------------------------------------------------------- */

/* Connect a stream that is free. 0, or HALO_EINVAL, HALO_EHOST. */
int halo__end_connect(struct halo_stream *stream, const struct halo_end *end);

/* Let go of the end; the place is free, and its handle stale. */
void halo__end_release(struct halo_streams *streams, struct halo_stream *stream);

/*
 * Move bytes to or from the guest's buffers without waiting: how many, 0 for the end of what is
 * read, or a negative errno; -EAGAIN: not now.
 */
int64_t halo__end_read(struct halo_stream *stream, const struct iovec *iov, int count);
int64_t halo__end_write(struct halo_stream *stream, const struct iovec *iov, int count);

/* Most bytes that a write may try at once. */
uint64_t halo__end_limit(const struct halo_stream *stream);

/* A connection of a listening stream: its descriptor, or a negative errno. */
int halo__end_accept(struct halo_stream *stream);

/* What was written is all there will be. */
void halo__end_shut(struct halo_streams *streams, struct halo_stream *stream);

/* Have blocked flows watched. */
void halo__end_arm(struct halo_streams *streams, struct halo_stream *stream);

/* Wait so many ms, -1 for ever, until a watched end can go on, and let its flows. */
void halo__end_wait(struct halo_streams *streams, int timeout_ms);

/* Let those go on that nobody watches. */
void halo__end_retry(struct halo_streams *streams);

/* --- The host as an end ----------------------------------------------------------------------- */

/* Give the guest what was written into its buffers, full or not. */
void halo__own_flush(struct halo_sandbox *box);

#endif
