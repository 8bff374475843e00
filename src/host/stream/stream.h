/*
 * Streams on the host: the service that takes the guest's reads and writes.
 *
 *     stream.c    the service: its turns, and where they lead
 *     table.c     which streams there are: places, handles, names
 *     request.c   the guest's requests, judged
 *     flow.c      requests that wait for their end, and moving their bytes
 *     end.c       what a stream is connected to: memory, functions, and
 *     fd.c        descriptors, each in a manner that cannot wait
 *     helper.c    threads for what else would
 *     shortage.c  what the host's system lacks, until it is there again
 *     direct.c    the host's own program as that end
 *
 * A read: request.c copies its header, judges it and puts it into its stream's flow; flow.c has
 * end.c fill its buffers, straight from the end, and answers it. Where the end would have to wait,
 * the request stays first in its flow, and delays nobody else; the loop waits for the descriptor.
 *
 * The port has judged a message's header and where its bytes lie; handles, lengths and ways are
 * judged here. Bytes of a stream are moved and never looked at.
 */
#ifndef HALO_SRC_HOST_STREAM_H
#define HALO_SRC_HOST_STREAM_H

#include <errno.h>
#include <halo/stream.h>
#include <sys/uio.h>
#include "../poller.h"
#include "../port.h"
#include "../signals.h"

struct iovec;

/* One way of a stream: its requests in the order in which they came, at most a window of them. */
struct halo_flow {
    struct halo_fifo requests;
    uint32_t count;
    uint64_t bytes;
    bool blocked; /* the end would have had to wait */
    bool over;    /* in: its host's program has ended it; out: the guest has */
    bool at_end;  /* in: the last read found the end; for whoever looks */
    /* Of a descriptor that has a helper: */
    struct halo_helper *helper; /* made when it is first needed */
    size_t have, from;          /* bytes that were read already, and where they begin */
    bool stale;                 /* what it moves was cancelled */
    bool asked;                 /* it looks whether there is something, and reads nothing */
};

/* How a descriptor is moved without waiting: fd.c. */
enum halo_manner {
    HALO_MANNER_SOCKET,   /* with MSG_DONTWAIT */
    HALO_MANNER_NONBLOCK, /* a pipe or terminal that was opened once more, non-blocking */
    HALO_MANNER_MEMORY,   /* what never waits: null, zero, urandom */
    HALO_MANNER_FILE,     /* a local file: by a helper, which is waited for */
    HALO_MANNER_HELPER,   /* all else: by a helper, which may take for ever */
};

struct halo_stream {
    enum halo_end_kind kind; /* HALO_END_NONE: this place is free */
    uint8_t ways;
    uint16_t generation;
    bool closing;            /* the guest has closed it, and what it wrote is still going out */
    enum halo_manner manner; /* of its descriptor, which is: */
    int fd;
    bool is_given; /* nobody else holds it */
    bool is_listener;
    bool no_nowait;            /* the kernel has no RWF_NOWAIT for it */
    bool no_place;             /* a listener whose connections find no place in the table */
    bool is_awaited;           /* of a restored guest: its end is still to be connected */
    bool is_short;             /* it waits for what the host's system lacks */
    struct halo_polled polled; /* the same descriptor, or what tells of its helpers */
    int64_t in_at, out_at;     /* of a file, or -1; in memory */
    const unsigned char *from;
    unsigned char *to;
    size_t from_len, to_max;
    const struct halo_end_functions *functions;
    void *context;
    struct halo_flow in, out;
    struct halo_span unsent; /* what the guest had gathered and not sent when it ended */
    uint64_t lent;           /* bytes of the first write that the host is looking at */
    struct halo_stream_stats stats;
    char name[HALO_STREAM_NAME_MAX + 1]; /* "": none */
};

struct halo_streams {
    struct halo_port *port;
    struct halo_poller *poller;
    struct halo_words *words;
    struct halo_budget *budget;   /* of all that is held for the guest */
    struct halo_signals *signals; /* of the host's, for what moves its bytes */
    struct halo_stream at[HALO_STREAMS_MAX];
    uint32_t used;      /* places behind are free, and were never used */
    uint32_t next;      /* where to look for a free place: each rests before it is used again */
    uint32_t requests;  /* in all flows together */
    bool unflushed;     /* a host's write fills a buffer in part */
    bool lends;         /* the host may be looking at what the guest has written */
    bool halted;        /* the guest runs no more */
    bool are_there;     /* there is memory for all that is being moved */
    char shortage[160]; /* what the host's system lacks, as far as it was last seen; or "" */
    bool left_behind;   /* a thread that the kernel does not let go of */
    bool memory_lent;   /* to such a thread */
    struct halo_stream_stats total;
};

/* With stacks there are no streams for the guest: they are not attached to the port. */
void halo__streams_init(struct halo_streams *streams, struct halo_port *port,
                        struct halo_poller *poller, struct halo_budget *budget,
                        struct halo_signals *signals, struct halo_words *words);

/* False where the kernel may still use guest memory, for a thread that had to be left behind. */
bool halo__streams_free(struct halo_streams *streams);

/* The same in a fork of the host: descriptors are closed, but for those whose close may wait, which
 * end with it; and nothing is done to what they share with the host's, nor to its threads. */
void halo__streams_abandon(struct halo_streams *streams);

/* What to call it in a message: `text` has HALO_STREAM_NAME_MAX + 16 bytes and is returned. */
const char *halo__stream_title(const struct halo_streams *streams, const struct halo_stream *stream,
                               char *text);

/* A stream whose end the kernel is being asked for right now, or NULL. */
const struct halo_stream *halo__streams_asked(const struct halo_streams *streams);

/*
 * A stream cannot go on, as errno says. Where the host's system is only short of something
 * (descriptors, memory, threads, watches) it is tried again, for that may change; anything else
 * ends the guest, as an error of the host's.
 */
void halo__stream_stopped(struct halo_streams *streams, struct halo_stream *stream,
                          const char *what);

/* Whether an errno says that: it is no fault of anybody's. */
static inline bool halo__is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == ENOSPC || error == EAGAIN;
}

/* Before the host itself touches bytes that a guest's request names: halo__port_touch. */
static inline bool halo__stream_touch(struct halo_streams *streams, const struct iovec *iov,
                                      size_t len)
{
    return streams->are_there ||
           halo__port_touch(streams->port, halo_shm_share(iov->iov_base), len);
}

/* Let ends go on that nobody watches: when the guest is next run from outside. */
void halo__streams_retry(struct halo_streams *streams);

/* --- The table: table.c ----------------------------------------------------------------------- */

static inline uint32_t halo__stream_handle(const struct halo_streams *streams,
                                           const struct halo_stream *stream)
{
    return (uint32_t)(stream - streams->at) | (uint32_t)stream->generation << 16;
}

/* A place that is free, as long as possible after its last use, or NULL. */
struct halo_stream *halo__stream_place(struct halo_streams *streams);

/* The stream of a guest's handle, or why there is none: an errno. */
struct halo_stream *halo__stream_of(struct halo_streams *streams, uint32_t handle, int *error);

/* The one that is offered by this name, or NULL. */
struct halo_stream *halo__stream_named(struct halo_streams *streams, const char *name);

/* The stream of a handle that the host has, or NULL. */
static inline struct halo_stream *halo__stream_find(const struct halo_streams *streams,
                                                    uint32_t handle)
{
    const uint32_t place = handle & 0xffff;
    const struct halo_stream *stream = &streams->at[place % HALO_STREAMS_MAX];

    if (place >= HALO_STREAMS_MAX || !stream->kind || handle >> 16 != stream->generation)
        return NULL;
    return (struct halo_stream *)(uintptr_t)stream; /* as const as the table was */
}

/* halo_attach and halo_offer. */
int halo__stream_attach(struct halo_streams *streams, uint32_t handle, const struct halo_end *end);
int halo__stream_offer(struct halo_streams *streams, const char *name, const struct halo_end *end,
                       uint32_t ways, uint32_t *handle);
/* --- Requests: request.c ---------------------------------------------------------------------- */

/* Take a request in: put it into its flow, or answer it. NULL, or what cannot be understood. */
const char *halo__stream_take(struct halo_streams *streams, struct halo_request *request);

/* --- Flows: flow.c ---------------------------------------------------------------------------- */

/* Readable bytes of a write before its data. */
#define HALO_STREAM_HEAD (sizeof(struct halo_message) + sizeof(struct halo_stream_request))

/* How many bytes a read asks for: its room, but for what it says is spare. */
static inline uint64_t halo__flow_room(const struct halo_request *request)
{
    return request->parked.writable_len - HALO_PAYLOAD - request->stream.ways;
}

/* The first request, or NULL. */
static inline struct halo_request *halo__flow_first(const struct halo_streams *streams,
                                                    const struct halo_flow *flow)
{
    return halo__fifo_first(streams->port->requests[HALO_QUEUE_G2H], &flow->requests);
}

/* Add a read or write of `len` bytes, where it is within the window: else false, and nothing was
 * changed (STR-01). */
bool halo__flow_admit(struct halo_streams *streams, struct halo_flow *flow,
                      struct halo_request *request, uint64_t len);

/* Add one that has a place of its own: no window holds it (STR-08). */
void halo__flow_push(struct halo_streams *streams, struct halo_flow *flow,
                     struct halo_request *request);

/* The first request is done. */
void halo__flow_pop(struct halo_streams *streams, struct halo_flow *flow);

/* End all requests of a flow with ECANCELED but those that close, which come last. */
void halo__flow_cancel(struct halo_streams *streams, struct halo_stream *stream,
                       struct halo_flow *flow);

/* A short answer, for which every request has room; an errno. */
void halo__stream_answer(struct halo_streams *streams, const struct halo_request *request,
                         enum halo_kind kind, const void *payload, uint32_t len);
void halo__stream_fail(struct halo_streams *streams, const struct halo_request *request, int error);

/* Answer the first request of a flow and take it out: a read of `len` bytes, or a write. */
void halo__flow_finish_read(struct halo_streams *streams, struct halo_stream *stream, uint64_t len);
void halo__flow_finish_write(struct halo_streams *streams, struct halo_stream *stream);

/* Move what can be moved without waiting. */
void halo__flow_serve_reads(struct halo_streams *streams, struct halo_stream *stream);
void halo__flow_serve_writes(struct halo_streams *streams, struct halo_stream *stream);

/* So much of what was gathered and not sent has gone out. */
void halo__flow_unsent_gone(struct halo_streams *streams, struct halo_stream *stream, uint64_t n);

/* halo_stream_close. */
int halo__stream_close(struct halo_streams *streams, uint32_t handle);

/* --- Ends: end.c ------------------------------------------------------------------------------ */

/* Connect a stream that is free. 0, or HALO_EINVAL, HALO_EHOST. */
int halo__end_connect(struct halo_streams *streams, struct halo_stream *stream,
                      const struct halo_end *end);

/* A connection that was accepted. */
void halo__end_connect_socket(struct halo_stream *stream, int fd);

/* Make it a free place with this generation, whatever it was. */
void halo__end_free(struct halo_stream *stream, uint16_t generation);

/* Let go of the end; the place is free, and its handle stale. */
void halo__end_release(struct halo_streams *streams, struct halo_stream *stream);

/*
 * Move bytes to or from the guest's buffers without waiting: how many, 0 for the end of what is
 * read, or a negative errno; -EAGAIN: not now.
 */
int64_t halo__end_read(struct halo_streams *streams, struct halo_stream *stream,
                       const struct iovec *iov, int count);
int64_t halo__end_write(struct halo_streams *streams, struct halo_stream *stream,
                        const struct iovec *iov, int count);

/* 0 where a read would not wait: there is something, or the end, or an error; or -EAGAIN. */
int64_t halo__end_ready(struct halo_streams *streams, struct halo_stream *stream);

/* Most requests that one move may be for: bytes of a file have no boundaries. */
static inline uint32_t halo__end_batch(const struct halo_stream *stream)
{
    return stream->kind == HALO_END_FD && stream->manner == HALO_MANNER_FILE ? UINT32_MAX : 1;
}

/* What was written is all there will be. */
void halo__end_shut(struct halo_streams *streams, struct halo_stream *stream);

/* Have blocked flows watched. */
void halo__end_arm(struct halo_streams *streams, struct halo_stream *stream);

/* --- Descriptors: fd.c ------------------------------------------------------------------------ */

/* Whether it is one of Halo's own, which can be the end of no stream. */
bool halo__fd_is_own(int fd);

/* As halo__end_connect; and a connection that was accepted. */
int halo__fd_connect(struct halo_streams *streams, struct halo_stream *stream,
                     const struct halo_end *end);
void halo__fd_connect_socket(struct halo_stream *stream, int fd);

/* Close it; or end what is written, where it is the stream's alone. */
void halo__fd_close(struct halo_streams *streams, struct halo_stream *stream);
void halo__fd_shut(struct halo_streams *streams, struct halo_stream *stream);

/* As halo__end_read and halo__end_write; and as halo__end_ready. */
int64_t halo__fd_move(struct halo_streams *streams, struct halo_stream *stream,
                      const struct iovec *iov, int count, bool write);
int64_t halo__fd_ready(struct halo_streams *streams, struct halo_stream *stream);

/* A connection of a listening stream: its descriptor, or a negative errno. */
int halo__fd_accept(struct halo_stream *stream);

/* What is to be watched of stream->polled where these ways are blocked: events of epoll. */
uint32_t halo__fd_events(const struct halo_stream *stream, bool in, bool out);

/* --- The host as an end: direct.c ------------------------------------------------------------- */

/* The stream of a handle, one way of which is the host's: 0, or an error. */
int halo__direct_find(struct halo_streams *streams, uint32_t handle, enum halo_way way,
                      struct halo_stream **stream);

/*
 * The next bytes that the guest has written, lent to the host until the next call for this stream,
 * or until the guest runs:
 * 1; 0 where there are none now; HALO_DIRECT_END where there will be none; HALO_ENOMEM where there
 * is no memory behind them.
 */
#define HALO_DIRECT_END 2
int halo__direct_peek(struct halo_streams *streams, struct halo_stream *stream,
                      struct halo_span *span);

/* The host has looked at the first `len` bytes of what was lent. */
void halo__direct_consume(struct halo_streams *streams, struct halo_stream *stream, uint64_t len);

/* It has looked at all that was lent of any stream: the guest is to run, and may wait for that. */
void halo__direct_take_back(struct halo_streams *streams);

/* Room for the guest to read: 1, 0 where there is none now, HALO_DIRECT_END where it reads no more;
 * HALO_ENOMEM as above. */
int halo__direct_reserve(struct halo_streams *streams, struct halo_stream *stream,
                         struct halo_span *span);

/* `len` bytes were written there. 0, or HALO_EINVAL where there is no such room. */
int halo__direct_commit(struct halo_streams *streams, struct halo_stream *stream, uint64_t len);

/* Give the guest what was written, full or not; and tell it that there will be no more. */
void halo__direct_flush(struct halo_streams *streams, struct halo_stream *stream);
void halo__direct_end(struct halo_streams *streams, struct halo_stream *stream);

/* The same for all streams, before the guest runs. */
void halo__direct_flush_all(struct halo_streams *streams);

#endif
