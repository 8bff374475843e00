/*
 * Flows: requests that wait for the end of their stream, in the order in which they came, and the
 * bytes between their buffers and that end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include "stream.h"

/* --- Answers ---------------------------------------------------------------------------------- */

void halo__stream_answer(struct halo_streams *streams, const struct halo_request *request,
                         enum halo_kind kind, const void *payload, uint32_t len)
{
    halo__request_write(streams->port, request, HALO_PAYLOAD, payload, len);
    halo__port_answer(streams->port, request, kind, 0, len);
}

void halo__stream_fail(struct halo_streams *streams, const struct halo_request *request, int error)
{
    const struct halo_stream_error payload = {error};

    halo__stream_answer(streams, request, HALO_KIND_ERROR, &payload, sizeof(payload));
}

/* --- Flows ------------------------------------------------------------------------------------ */

/* What a request counts in its flow's window. */
static uint64_t weight(const struct halo_request *request)
{
    switch (request->message.kind) {
    case HALO_KIND_STREAM_READ:
        return halo__flow_room(request);
    case HALO_KIND_STREAM_WRITE:
        return request->parked.readable_len - HALO_STREAM_HEAD;
    default:
        return 0;
    }
}

/* Append a request of this weight. */
static void append(struct halo_streams *streams, struct halo_flow *flow,
                   struct halo_request *request, uint64_t len)
{
    halo__fifo_push(streams->port->requests[HALO_QUEUE_G2H], &flow->requests, request);
    flow->count++;
    flow->bytes += len;
    streams->requests++;
}

void halo__flow_push(struct halo_streams *streams, struct halo_flow *flow,
                     struct halo_request *request)
{
    append(streams, flow, request, weight(request));
}

/* Take out the first request, which is this, of this weight. */
static void remove_first(struct halo_streams *streams, struct halo_flow *flow,
                         const struct halo_request *request, uint64_t len)
{
    flow->bytes -= len;
    flow->count--;
    streams->requests--;
    halo__fifo_pop(&flow->requests, request);
}

void halo__flow_pop(struct halo_streams *streams, struct halo_flow *flow)
{
    const struct halo_request *request = halo__flow_first(streams, flow);

    remove_first(streams, flow, request, weight(request));
}

bool halo__flow_admit(struct halo_streams *streams, struct halo_flow *flow,
                      struct halo_request *request, uint64_t len)
{
    if (flow->count >= HALO_WINDOW_REQUESTS || len > HALO_WINDOW_BYTES - flow->bytes)
        return false;
    append(streams, flow, request, len);
    return true;
}

void halo__flow_finish_read(struct halo_streams *streams, struct halo_stream *stream, uint64_t len)
{
    struct halo_request *request = halo__flow_first(streams, &stream->in);
    const uint64_t room = halo__flow_room(request);

    stream->in.at_end = len == 0 && (room > 0 || stream->in.at_end);
    stream->stats.bytes_in += len;
    halo__count(&streams->total.bytes_in, len);
    HALO_TRACE(streams->port->trace, READ, halo__stream_handle(streams, stream), len);
    halo__port_answer(streams->port, request, HALO_KIND_ANSWER,
                      len == 0 && room > 0 ? HALO_MESSAGE_END : 0, (uint32_t)len);
    remove_first(streams, &stream->in, request, room);
}

void halo__flow_finish_write(struct halo_streams *streams, struct halo_stream *stream)
{
    struct halo_request *request = halo__flow_first(streams, &stream->out);
    const uint64_t len = weight(request);
    const struct halo_stream_written written = {(uint32_t)len};

    halo__stream_answer(streams, request, HALO_KIND_ANSWER, &written, sizeof(written));
    remove_first(streams, &stream->out, request, len);
}

void halo__flow_cancel(struct halo_streams *streams, struct halo_stream *stream,
                       struct halo_flow *flow)
{
    struct halo_request *request;

    while ((request = halo__flow_first(streams, flow)) &&
           request->message.kind != HALO_KIND_STREAM_CLOSE) {
        halo__flow_pop(streams, flow);
        halo__stream_fail(streams, request, ECANCELED);
    }
    flow->blocked = false;
    flow->stale = true;
    if (flow == &stream->out)
        stream->lent = 0;
}

/* --- Serving ---------------------------------------------------------------------------------- */

#define HALO_FLOW_PARTS 64 /* most buffers of one move */

/* `len` bytes of extents behind the first `skip`, as the operating system wants them: how many. */
static int iovecs(struct iovec *iov, const struct halo_receiver *queue,
                  const struct halo_extent *extents, uint64_t skip, uint64_t len)
{
    int n = 0;

    for (const struct halo_extent *extent = extents; len > 0; extent++) {
        uint64_t part;

        if (skip >= extent->len) {
            skip -= extent->len;
            continue;
        }
        part = extent->len - skip < len ? extent->len - skip : len;
        iov[n++] =
            (struct iovec){halo_shm_expose(halo_extent_at(queue, extent) + skip), (size_t)part};
        skip = 0;
        len -= part;
    }
    return n;
}

/* Connections, as handles: as many as there are, fit, and have a place. Bytes, or an errno. */
static int64_t accept_some(struct halo_streams *streams, struct halo_stream *listener,
                           const struct halo_request *request)
{
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
        fd = halo__fd_accept(listener);
        if (fd < 0)
            streams->next = (uint32_t)(stream - streams->at); /* it is still to be used next */
        if (fd == -ECONNABORTED || fd == -EINTR)
            continue;
        if (fd < 0 && halo__is_shortage(-fd) && fd != -EAGAIN) {
            errno = -fd;
            halo__stream_stopped(streams, listener, "a connection cannot be accepted");
            fd = -EAGAIN;
        }
        if (fd < 0)
            break;
        halo__end_connect_socket(stream, fd);
        handle = halo__stream_handle(streams, stream);
        halo__request_write(streams->port, request, HALO_PAYLOAD + len, &handle, sizeof(handle));
        len += sizeof(handle);
    }
    return len > 0 ? (int64_t)len : fd;
}

/*
 * The buffers of the first requests that move bytes, which one move may be for: as many as the end
 * takes at once. Returns how many buffers that are.
 */
static int gather(struct halo_streams *streams, struct halo_stream *stream, struct halo_flow *flow,
                  struct iovec *iov)
{
    const struct halo_receiver *queue = &streams->port->queues[HALO_QUEUE_G2H];
    const struct halo_request *request = halo__flow_first(streams, flow);
    int count = 0;

    streams->are_there = true;
    for (uint32_t left = halo__end_batch(stream);
         request && request->message.kind != HALO_KIND_STREAM_CLOSE && left > 0 &&
         count + (int)HALO_PARKED_EXTENTS <= HALO_FLOW_PARTS;
         left--) {
        const struct halo_parked *parked = &request->parked;
        const bool in = flow == &stream->in;

        count += iovecs(iov + count, queue, parked->extents + (in ? parked->readable_count : 0),
                        (in ? HALO_PAYLOAD : HALO_STREAM_HEAD) + request->done,
                        weight(request) - request->done);
        streams->are_there = streams->are_there && request->is_there;
        request =
            request->next ? &streams->port->requests[HALO_QUEUE_G2H][request->next - 1] : NULL;
    }
    return count;
}

/* Bytes were read for the first requests: all but the last are full. */
static void share_out(struct halo_streams *streams, struct halo_stream *stream, uint64_t n)
{
    do {
        const uint64_t room = halo__flow_room(halo__flow_first(streams, &stream->in));
        const uint64_t part = n < room ? n : room;

        halo__flow_finish_read(streams, stream, part);
        n -= part;
    } while (n > 0);
}

static int64_t read_some(struct halo_streams *streams, struct halo_stream *stream)
{
    struct iovec iov[HALO_FLOW_PARTS];
    int count;

    if (stream->in.over)
        return 0;
    if (stream->kind == HALO_END_HOST) /* direct.c moves its bytes */
        return -EAGAIN;
    count = gather(streams, stream, &stream->in, iov);
    if (count == 0) /* the first asks for nothing but to be told */
        return halo__end_ready(streams, stream);
    if (stream->is_listener)
        return accept_some(streams, stream, halo__flow_first(streams, &stream->in));
    return halo__end_read(streams, stream, iov, count);
}

void halo__flow_serve_reads(struct halo_streams *streams, struct halo_stream *stream)
{
    struct halo_request *request;

    while (!stream->in.blocked && (request = halo__flow_first(streams, &stream->in)) &&
           halo__port_may_move(streams->port)) {
        const int64_t n = read_some(streams, stream);

        if (n == -EAGAIN) {
            stream->in.blocked = true;
        } else if (n < 0) {
            halo__stream_fail(streams, request, (int)-n);
            halo__flow_pop(streams, &stream->in);
        } else {
            streams->port->moved += (uint64_t)n;
            share_out(streams, stream, (uint64_t)n);
        }
    }
}

/* So many bytes of the first writes have gone out. */
static void account(struct halo_streams *streams, struct halo_stream *stream, uint64_t n)
{
    stream->stats.bytes_out += n;
    halo__count(&streams->total.bytes_out, n);
    HALO_TRACE(streams->port->trace, WRITE, halo__stream_handle(streams, stream), n);
    while (n > 0) {
        struct halo_request *request = halo__flow_first(streams, &stream->out);
        const uint64_t left = weight(request) - request->done;
        const uint64_t part = n < left ? n : left;

        request->done += part;
        n -= part;
        if (part == left)
            halo__flow_finish_write(streams, stream);
    }
}

/* What was written has gone out: end it, or let go of it. */
static void finish(struct halo_streams *streams, struct halo_stream *stream,
                   const struct halo_request *close)
{
    halo__port_answer(streams->port, close, HALO_KIND_ANSWER, 0, 0);
    halo__flow_pop(streams, &stream->out);
    if (!stream->closing)
        halo__end_shut(streams, stream);
    else if (stream->out.count == 0 &&
             stream->kind != HALO_END_HOST) /* else the host lets go of it */
        halo__end_release(streams, stream);
}

static void note_error(struct halo_stream *stream, int64_t n)
{
    if (!stream->stats.write_error)
        stream->stats.write_error = (int)-n;
}

/* Behind the last request of a guest that has ended. */
static void write_unsent(struct halo_streams *streams, struct halo_stream *stream)
{
    struct halo_span *unsent = &stream->unsent;

    streams->are_there = false;
    while (!stream->out.blocked && unsent->len > 0 && stream->kind != HALO_END_HOST) {
        const struct iovec iov = {halo_shm_expose(unsent->base), unsent->len};
        const int64_t n = halo__end_write(streams, stream, &iov, 1);

        if (n == -EAGAIN) {
            stream->out.blocked = true;
        } else if (n < 0) {
            note_error(stream, n);
            unsent->len = 0;
        } else {
            halo__flow_unsent_gone(streams, stream, (uint64_t)n);
        }
    }
}

void halo__flow_unsent_gone(struct halo_streams *streams, struct halo_stream *stream, uint64_t n)
{
    stream->unsent.base += n;
    stream->unsent.len -= n;
    stream->stats.bytes_out += n;
    halo__count(&streams->total.bytes_out, n);
}

void halo__flow_serve_writes(struct halo_streams *streams, struct halo_stream *stream)
{
    struct halo_request *request;

    while (!stream->out.blocked && (request = halo__flow_first(streams, &stream->out))) {
        struct iovec iov[HALO_FLOW_PARTS];
        int64_t n;

        if (request->message.kind == HALO_KIND_STREAM_CLOSE) {
            finish(streams, stream, request);
            continue;
        }
        if (request->done == weight(request)) { /* a write of nothing */
            halo__flow_finish_write(streams, stream);
            continue;
        }
        if (stream->kind == HALO_END_HOST) {
            stream->out.blocked = true;
            break;
        }
        if (!halo__port_may_move(streams->port))
            break;
        n = halo__end_write(streams, stream, iov, gather(streams, stream, &stream->out, iov));
        if (n == -EAGAIN) {
            stream->out.blocked = true;
        } else if (n < 0) {
            note_error(stream, n);
            halo__stream_fail(streams, request, (int)-n);
            halo__flow_pop(streams, &stream->out);
        } else {
            streams->port->moved += (uint64_t)n;
            account(streams, stream, (uint64_t)n);
        }
    }
    if (stream->out.count == 0)
        write_unsent(streams, stream);
}

/* --- Taken away by the host ------------------------------------------------------------------- */

int halo__stream_close(struct halo_streams *streams, uint32_t handle)
{
    struct halo_stream *stream = halo__stream_find(streams, handle);
    struct halo_request *request;

    if (!stream)
        return halo__fail(streams->words, HALO_ESTALE, "there is no stream 0x%x", handle);
    halo__flow_cancel(streams, stream, &stream->in);
    halo__flow_cancel(streams, stream, &stream->out);
    while (
        (request = halo__flow_first(streams, &stream->out))) { /* the guest was closing it, too */
        halo__port_answer(streams->port, request, HALO_KIND_ANSWER, 0, 0);
        halo__flow_pop(streams, &stream->out);
    }
    halo__end_release(streams, stream);
    return 0;
}
