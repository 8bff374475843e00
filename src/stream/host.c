/*
 * The table of streams, and what a guest asks of them: docs/protocol.md, section 5. A request waits
 * in its flow, where a window bounds how many there are, until its end can serve it.
 */
#define _GNU_SOURCE
#include "host.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../host/sandbox.h"

#define PAYLOAD sizeof(struct halo_message) /* where it begins */

/* --- The table -------------------------------------------------------------------------------- */

int halo__streams_init(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < HALO_STREAMS_MAX; i++)
        streams->at[i].fd = -1;
    streams->used = streams->next = HALO_STDERR + 1;
    streams->epoll = epoll_create1(EPOLL_CLOEXEC);
    return streams->epoll < 0 ? HALO_EHOST : 0;
}

void halo__streams_free(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        if (streams->at[i].kind)
            halo__end_release(streams, &streams->at[i]);
    }
    if (streams->epoll >= 0)
        close(streams->epoll);
}

static uint32_t handle_of(const struct halo_streams *streams, const struct halo_stream *stream)
{
    return (uint32_t)(stream - streams->at) | (uint32_t)stream->generation << 16;
}

/* A place that is free, as long as possible after its last use, or NULL. */
static struct halo_stream *free_place(struct halo_streams *streams)
{
    const uint32_t first = HALO_STDERR + 1, count = HALO_STREAMS_MAX - first;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = first + (streams->next - first + i) % count;

        if (streams->at[place].kind)
            continue;
        streams->next = place + 1 < HALO_STREAMS_MAX ? place + 1 : first;
        if (streams->used <= place)
            streams->used = place + 1;
        return &streams->at[place];
    }
    return NULL;
}

/* The stream of a handle, or why there is none: an errno. */
static struct halo_stream *find(struct halo_streams *streams, uint32_t handle, int *error)
{
    const uint32_t place = handle & 0xffff;
    struct halo_stream *stream = &streams->at[place % HALO_STREAMS_MAX];

    if (place >= HALO_STREAMS_MAX || handle >> 16 > stream->generation ||
        (handle >> 16 == stream->generation && !stream->kind)) {
        *error = EBADF; /* STR-04: nothing is kept for it */
        return NULL;
    }
    if (handle >> 16 < stream->generation || stream->closing) {
        *error = ESTALE;
        return NULL;
    }
    return stream;
}

static struct halo_stream *find_name(struct halo_streams *streams, const char *name)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        if (stream->kind && !stream->closing && stream->name[0] && strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

static int refuse_end(struct halo_sandbox *box, int error, const struct halo_end *end)
{
    if (end->kind != HALO_END_FD)
        return halo__fail(box, error, "the end of a stream is none");
    return halo__fail(box, error, "file descriptor %d cannot be the end of a stream: %s", end->fd,
                      end->offset >= 0 ? "it has no offsets, or is not open" : strerror(errno));
}

int halo_attach(struct halo_sandbox *box, uint32_t handle, struct halo_end end)
{
    struct halo_stream *stream = &box->streams.at[handle % HALO_STREAMS_MAX];
    int error;

    if (handle > HALO_STDERR)
        return halo__fail(box, HALO_EINVAL, "there is no standard stream %u", handle);
    if (stream->in.first || stream->out.first || stream->generation > 0)
        return halo__fail(box, HALO_ESTATE, "stream %u is in use, or was closed", handle);
    if (stream->kind)
        halo__end_release(&box->streams, stream);
    stream->generation = 0;
    error = halo__end_connect(stream, &end);
    if (error)
        return refuse_end(box, error, &end);
    stream->ways = handle == HALO_STDIN ? HALO_IN : HALO_OUT;
    return 0;
}

int halo_offer(struct halo_sandbox *box, const char *name, struct halo_end end, uint32_t ways,
               uint32_t *handle)
{
    const size_t len = name ? strlen(name) : 1;
    struct halo_stream *stream;
    int error;

    if (len == 0 || len > HALO_STREAM_NAME_MAX)
        return halo__fail(box, HALO_EINVAL, "the name of a stream has 1 to %u bytes",
                          HALO_STREAM_NAME_MAX);
    if (name && find_name(&box->streams, name))
        return halo__fail(box, HALO_EINVAL, "%s: offered already", name);
    if (ways == 0 || ways > (HALO_IN | HALO_OUT))
        return halo__fail(box, HALO_EINVAL, "a stream goes in, out, or both ways");
    if (end.kind == HALO_END_FUNCTIONS && end.functions &&
        ((ways & HALO_IN && !end.functions->read) || (ways & HALO_OUT && !end.functions->write)))
        return halo__fail(box, HALO_EINVAL, "there is no function for a way that is offered");
    stream = free_place(&box->streams);
    if (!stream)
        return halo__fail(box, HALO_EFULL, "there are %u streams already", HALO_STREAMS_MAX);
    error = halo__end_connect(stream, &end);
    if (error)
        return refuse_end(box, error, &end);
    stream->ways = (uint8_t)ways;
    if (name)
        memcpy(stream->name, name, len + 1);
    if (handle)
        *handle = handle_of(&box->streams, stream);
    return 0;
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* A short payload, for which every request has room. */
static void answer(struct halo_sandbox *box, const struct halo_request *request,
                   enum halo_kind kind, const void *payload, uint32_t len)
{
    halo__request_write(request, PAYLOAD, payload, len);
    halo__request_answer(&box->g2h, request, kind, 0, len);
}

static void fail(struct halo_sandbox *box, const struct halo_request *request, int error)
{
    const struct halo_stream_error payload = {error};

    answer(box, request, HALO_KIND_ERROR, &payload, sizeof(payload));
}

/* --- Flows ------------------------------------------------------------------------------------ */

/* What a request counts in its flow's window. */
static uint64_t weight(const struct halo_request *request)
{
    switch (request->message.kind) {
    case HALO_KIND_STREAM_READ:
        return request->writable_len - PAYLOAD;
    case HALO_KIND_STREAM_WRITE:
        return request->readable_len - HALO_STREAM_HEAD;
    default:
        return 0;
    }
}

static void push(struct halo_flow *flow, struct halo_request *request)
{
    request->next = NULL;
    if (flow->first)
        flow->last->next = request;
    else
        flow->first = request;
    flow->last = request;
    flow->count++;
    flow->bytes += weight(request);
}

void halo__flow_pop(struct halo_flow *flow)
{
    flow->bytes -= weight(flow->first);
    flow->count--;
    flow->first = flow->first->next;
}

/* Whether it is within the window: else it is a violation, and nothing was queued (STR-01). */
static bool admit(struct halo_flow *flow, struct halo_request *request)
{
    if (flow->count >= HALO_WINDOW_REQUESTS || weight(request) > HALO_WINDOW_BYTES - flow->bytes)
        return false;
    push(flow, request);
    return true;
}

void halo__stream_done_read(struct halo_sandbox *box, struct halo_stream *stream, uint64_t len)
{
    struct halo_request *request = stream->in.first;

    stream->stats.bytes_in += len;
    box->stats.bytes_in += len;
    halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, len == 0 ? HALO_MESSAGE_END : 0,
                         (uint32_t)len);
    halo__flow_pop(&stream->in);
}

void halo__stream_done_write(struct halo_sandbox *box, struct halo_stream *stream)
{
    struct halo_request *request = stream->out.first;
    const struct halo_stream_written written = {(uint32_t)weight(request)};

    answer(box, request, HALO_KIND_ANSWER, &written, sizeof(written));
    halo__flow_pop(&stream->out);
}

/* End all requests of a flow but those that close, which come last. */
static void cancel(struct halo_sandbox *box, struct halo_stream *stream, struct halo_flow *flow)
{
    while (flow->first && flow->first->message.kind != HALO_KIND_STREAM_CLOSE) {
        struct halo_request *request = flow->first;

        halo__flow_pop(flow);
        fail(box, request, ECANCELED);
    }
    flow->blocked = false;
    if (flow == &stream->out)
        stream->lent = 0;
}

struct halo_stream *halo__stream_find(struct halo_sandbox *box, uint32_t handle)
{
    const uint32_t place = handle & 0xffff;
    struct halo_stream *stream = &box->streams.at[place % HALO_STREAMS_MAX];

    return place < HALO_STREAMS_MAX && stream->kind && handle >> 16 == stream->generation ? stream
                                                                                          : NULL;
}

int halo_stream_close(struct halo_sandbox *box, uint32_t handle)
{
    struct halo_stream *stream = halo__stream_find(box, handle);

    if (!stream)
        return halo__fail(box, HALO_ESTALE, "there is no stream 0x%x", handle);
    cancel(box, stream, &stream->in);
    cancel(box, stream, &stream->out);
    while (stream->out.first) { /* the guest was closing it, too */
        halo__request_answer(&box->g2h, stream->out.first, HALO_KIND_ANSWER, 0, 0);
        halo__flow_pop(&stream->out);
    }
    halo__end_release(&box->streams, stream);
    return 0;
}

int halo_stream_stats(struct halo_sandbox *box, uint32_t handle, struct halo_stream_stats *stats)
{
    const struct halo_stream *stream = halo__stream_find(box, handle);

    if (!stream)
        return HALO_ESTALE;
    *stats = stream->stats;
    return 0;
}

/* --- Taking requests in ----------------------------------------------------------------------- */

static const char *take_open(struct halo_sandbox *box, struct halo_request *request)
{
    char name[HALO_STREAM_NAME_MAX + 1];
    const uint32_t len = request->message.length;
    struct halo_stream_opened opened;
    struct halo_stream *stream;

    if (len == 0 || len > HALO_STREAM_NAME_MAX)
        return "a stream's name that is none";
    if (request->writable_len < PAYLOAD + sizeof(opened))
        return "a request without room for its answer";
    halo__request_read(request, PAYLOAD, name, len);
    name[len] = '\0';
    stream = strlen(name) == len ? find_name(&box->streams, name) : NULL;
    if (!stream) {
        fail(box, request, ENOENT);
        return NULL;
    }
    opened = (struct halo_stream_opened){handle_of(&box->streams, stream), stream->ways};
    answer(box, request, HALO_KIND_ANSWER, &opened, sizeof(opened));
    return NULL;
}

/* Copy the stream's header in and judge it: NULL, or what cannot be understood. */
static const char *parse(struct halo_request *request)
{
    uint32_t ways;

    if (request->readable_len < HALO_STREAM_HEAD) /* DEV-18 */
        return "a stream request shorter than its header";
    halo__request_read(request, PAYLOAD, &request->stream, sizeof(request->stream)); /* TOC-04 */
    if (request->message.kind != HALO_KIND_STREAM_WRITE &&
        request->readable_len != HALO_STREAM_HEAD) /* STR-07 */
        return "a stream request with data";
    ways = request->stream.ways;
    switch (request->message.kind) {
    case HALO_KIND_STREAM_READ:
    case HALO_KIND_STREAM_WRITE:
        return ways == 0 ? NULL : "a message with a reserved field that is not zero";
    case HALO_KIND_STREAM_CANCEL:
        return ways >= 1 && ways <= (HALO_IN | HALO_OUT) ? NULL
                                                         : "a stream request for no way there is";
    case HALO_KIND_STREAM_CLOSE:
        return ways == HALO_OUT || ways == (HALO_IN | HALO_OUT)
                   ? NULL
                   : "a stream request for no way there is";
    default:
        return "a message of unknown kind"; /* RPC-06 */
    }
}

/* STR-05: after the end there is nothing; what is in flight at the end of everything is cancelled.
 */
static const char *take_close(struct halo_sandbox *box, struct halo_stream *stream,
                              struct halo_request *request)
{
    const bool whole = request->stream.ways & HALO_IN;

    if (!whole && stream->out.over) {
        fail(box, request, EPIPE);
        return NULL;
    }
    if (!whole && !(stream->ways & HALO_OUT)) {
        fail(box, request, EBADF);
        return NULL;
    }
    stream->out.over = true;
    if (whole) {
        cancel(box, stream, &stream->in);
        stream->in.over = true;
        stream->closing = true;
    }
    push(&stream->out, request); /* these have places of their own: no window holds them (STR-08) */
    return NULL;
}

static const char *take_move(struct halo_sandbox *box, struct halo_stream *stream,
                             struct halo_request *request)
{
    const bool reads = request->message.kind == HALO_KIND_STREAM_READ;
    struct halo_flow *flow = reads ? &stream->in : &stream->out;

    if (!(stream->ways & (reads ? HALO_IN : HALO_OUT)))
        fail(box, request, EBADF);
    else if (!reads && stream->out.over)
        fail(box, request, EPIPE);
    else if (!admit(flow, request))
        return "more for one stream than its window";
    return NULL;
}

const char *halo__stream_take(struct halo_sandbox *box, struct halo_request *request)
{
    struct halo_stream *stream;
    const char *why;
    int error;

    if (request->message.kind == HALO_KIND_STREAM_OPEN)
        return take_open(box, request);
    why = parse(request);
    if (why)
        return why;
    stream = find(&box->streams, request->stream.handle, &error);
    if (!stream) {
        fail(box, request, error);
        return NULL;
    }
    switch (request->message.kind) {
    case HALO_KIND_STREAM_CLOSE:
        return take_close(box, stream, request);
    case HALO_KIND_STREAM_CANCEL:
        if (request->stream.ways & HALO_IN)
            cancel(box, stream, &stream->in);
        if (request->stream.ways & HALO_OUT)
            cancel(box, stream, &stream->out);
        halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, 0, 0);
        return NULL;
    default:
        return take_move(box, stream, request);
    }
}

/* --- Serving ---------------------------------------------------------------------------------- */

/* Spans without their first `skip` bytes, at most `limit` bytes, as the operating system wants. */
static int iovecs(struct iovec *iov, const struct halo_span *spans, uint32_t count, uint64_t skip,
                  uint64_t limit)
{
    int n = 0;

    for (uint32_t i = 0; i < count && limit > 0; i++) {
        uint64_t len = spans[i].len;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        len = len - skip < limit ? len - skip : limit;
        iov[n].iov_base = halo_shm_expose(spans[i].base + skip);
        iov[n].iov_len = len;
        n++;
        limit -= len;
        skip = 0;
    }
    return n;
}

/* Connections, as handles: as many as there are, fit, and have a place. Bytes, or an errno. */
static int64_t accept_some(struct halo_sandbox *box, struct halo_stream *listener,
                           const struct halo_request *request)
{
    struct halo_streams *streams = &box->streams;
    const uint64_t room = weight(request);
    uint64_t len = 0;
    int fd = 0;

    while (room - len >= sizeof(uint32_t)) {
        struct halo_stream *stream = free_place(streams);
        uint32_t handle;

        if (!stream) {
            listener->no_place = true;
            fd = -EAGAIN;
            break;
        }
        fd = halo__end_accept(listener);
        if (fd == -ECONNABORTED || fd == -EINTR)
            continue;
        if (fd < 0)
            break;
        *stream = (struct halo_stream){.kind = HALO_END_FD,
                                       .generation = stream->generation,
                                       .ways = HALO_IN | HALO_OUT,
                                       .is_socket = true,
                                       .fd = fd};
        handle = handle_of(streams, stream);
        halo__request_write(request, PAYLOAD + len, &handle, sizeof(handle));
        len += sizeof(handle);
    }
    return len > 0 ? (int64_t)len : fd;
}

static int64_t read_some(struct halo_sandbox *box, struct halo_stream *stream,
                         const struct halo_request *request)
{
    struct iovec iov[HALO_REQUEST_SPANS];

    if (stream->in.over)
        return 0;
    if (stream->is_listener)
        return accept_some(box, stream, request);
    return halo__end_read(stream, iov,
                          iovecs(iov, request->spans + request->readable_count,
                                 request->writable_count, PAYLOAD, SSIZE_MAX));
}

static void serve_reads(struct halo_sandbox *box, struct halo_stream *stream)
{
    while (stream->in.first && !stream->in.blocked) {
        const int64_t n = read_some(box, stream, stream->in.first);

        if (n == -EAGAIN) {
            stream->in.blocked = true;
        } else if (n < 0) {
            fail(box, stream->in.first, (int)-n);
            halo__flow_pop(&stream->in);
        } else {
            halo__stream_done_read(box, stream, (uint64_t)n);
        }
    }
}

/* Write what is left of the first write. 0, or a negative errno. */
static int64_t write_some(struct halo_sandbox *box, struct halo_stream *stream)
{
    struct halo_request *request = stream->out.first;
    const uint64_t len = weight(request);

    while (request->done < len) {
        struct iovec iov[HALO_REQUEST_SPANS];
        const int64_t n =
            halo__end_write(stream, iov,
                            iovecs(iov, request->spans, request->readable_count,
                                   HALO_STREAM_HEAD + request->done, halo__end_limit(stream)));

        if (n < 0)
            return n;
        request->done += (uint64_t)n;
        stream->stats.bytes_out += (uint64_t)n;
        box->stats.bytes_out += (uint64_t)n;
    }
    return 0;
}

/* What was written has gone out: end it, or let go of it. */
static void finish(struct halo_sandbox *box, struct halo_stream *stream)
{
    halo__request_answer(&box->g2h, stream->out.first, HALO_KIND_ANSWER, 0, 0);
    halo__flow_pop(&stream->out);
    if (!stream->closing)
        halo__end_shut(&box->streams, stream);
    else if (!stream->out.first && stream->kind != HALO_END_HOST) /* else the host lets go of it */
        halo__end_release(&box->streams, stream);
}

static void serve_writes(struct halo_sandbox *box, struct halo_stream *stream)
{
    while (stream->out.first && !stream->out.blocked) {
        int64_t error;

        if (stream->out.first->message.kind == HALO_KIND_STREAM_CLOSE) {
            finish(box, stream);
            continue;
        }
        error = write_some(box, stream);
        if (error == -EAGAIN) {
            stream->out.blocked = true;
        } else if (error) {
            fail(box, stream->out.first, (int)-error);
            halo__flow_pop(&stream->out);
        } else {
            halo__stream_done_write(box, stream);
        }
    }
}

void halo__stream_settle(struct halo_sandbox *box, struct halo_stream *stream)
{
    stream->out.blocked = false;
    serve_writes(box, stream);
}

void halo__stream_serve(struct halo_sandbox *box)
{
    struct halo_streams *streams = &box->streams;

    halo__end_wait(streams, 0);
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        if (!stream->in.first && !stream->out.first && !stream->armed)
            continue;
        serve_reads(box, stream);
        serve_writes(box, stream);
        if (stream->kind)
            halo__end_arm(streams, stream);
    }
}

void halo__stream_drop_reads(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        while (stream->in.first)
            halo__flow_pop(&stream->in);
        halo__end_arm(streams, stream);
    }
}

bool halo__stream_waits(const struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_stream *stream = &streams->at[i];

        if ((stream->kind == HALO_END_HOST || stream->kind == HALO_END_FUNCTIONS) &&
            !stream->armed && (stream->in.first || stream->out.first))
            return true;
    }
    return false;
}
