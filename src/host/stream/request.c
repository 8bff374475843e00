/*
 * What a guest asks of streams: docs/protocol.md. A request waits in its flow, where a window
 * bounds how many there are, until its end can serve it.
 */
#define _GNU_SOURCE
#include "stream.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../sandbox.h"

#define PAYLOAD sizeof(struct halo_message) /* where it begins */

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

void halo__flow_cancel(struct halo_sandbox *box, struct halo_stream *stream, struct halo_flow *flow)
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
    stream = strlen(name) == len ? halo__stream_named(&box->streams, name) : NULL;
    if (!stream) {
        fail(box, request, ENOENT);
        return NULL;
    }
    opened = (struct halo_stream_opened){halo__stream_handle(&box->streams, stream), stream->ways};
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
        halo__flow_cancel(box, stream, &stream->in);
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
    stream = halo__stream_of(&box->streams, request->stream.handle, &error);
    if (!stream) {
        fail(box, request, error);
        return NULL;
    }
    switch (request->message.kind) {
    case HALO_KIND_STREAM_CLOSE:
        return take_close(box, stream, request);
    case HALO_KIND_STREAM_CANCEL:
        if (request->stream.ways & HALO_IN)
            halo__flow_cancel(box, stream, &stream->in);
        if (request->stream.ways & HALO_OUT)
            halo__flow_cancel(box, stream, &stream->out);
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
        struct halo_stream *stream = halo__stream_place(streams);
        uint32_t handle;

        if (!stream) {
            listener->no_place = true;
            fd = -EAGAIN;
            break;
        }
        fd = halo__end_accept(listener);
        if (fd < 0)
            streams->next = (uint32_t)(stream - streams->at); /* it is still to be used next */
        if (fd == -ECONNABORTED || fd == -EINTR)
            continue;
        if (fd < 0)
            break;
        *stream = (struct halo_stream){.kind = HALO_END_FD,
                                       .generation = stream->generation,
                                       .ways = HALO_IN | HALO_OUT,
                                       .is_socket = true,
                                       .fd = fd};
        handle = halo__stream_handle(streams, stream);
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
