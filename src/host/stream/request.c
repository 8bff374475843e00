/*
 * What a guest asks of streams, judged: docs/protocol.md. A request is answered at once, or put
 * into the flow of its stream, where a window bounds how many there are.
 */
#include <errno.h>
#include <string.h>
#include "stream.h"

/* Not inlined: a read or write would pay for the registers that it needs. */
__attribute__((noinline)) static const char *take_open(struct halo_streams *streams,
                                                       struct halo_request *request)
{
    char name[HALO_STREAM_NAME_MAX + 1];
    const uint32_t len = request->message.length;
    struct halo_stream_opened opened;
    struct halo_stream *stream;

    if (len == 0 || len > HALO_STREAM_NAME_MAX)
        return "a malformed name of a stream";
    if (request->parked.writable_len < HALO_PAYLOAD + sizeof(opened))
        return "a request without room for its answer";
    if (!halo__request_read(streams->port, request, HALO_PAYLOAD, name, len))
        return HALO_NOT_THERE;
    name[len] = '\0';
    stream = strlen(name) == len ? halo__stream_named(streams, name) : NULL;
    if (!stream) {
        halo__stream_fail(streams, request, ENOENT);
        return NULL;
    }
    opened = (struct halo_stream_opened){halo__stream_handle(streams, stream), stream->ways};
    halo__stream_answer(streams, request, HALO_KIND_ANSWER, &opened, sizeof(opened));
    return NULL;
}

/* Copy the stream's header in and judge it: NULL, or what cannot be understood. */
static const char *parse(const struct halo_streams *streams, struct halo_request *request)
{
    uint32_t ways;

    if (request->parked.readable_len < HALO_STREAM_HEAD) /* DEV-18 */
        return "a stream request shorter than its header";
    if (!halo__request_read(streams->port, request, HALO_PAYLOAD, &request->stream,
                            sizeof(request->stream))) /* TOC-04 */
        return HALO_NOT_THERE;
    if (request->message.kind != HALO_KIND_STREAM_WRITE &&
        request->parked.readable_len != HALO_STREAM_HEAD) /* STR-07 */
        return "a stream request with data";
    ways = request->stream.ways;
    switch (request->message.kind) {
    case HALO_KIND_STREAM_READ: /* STR-09 */
        return ways <= HALO_SPARE_MAX ? NULL : "a read with more spare bytes than there may be";
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

/* Whether it can be said that there is something to read before it is read. */
static bool can_be_asked(const struct halo_stream *stream)
{
    return stream->kind == HALO_END_FD || stream->kind == HALO_END_MEMORY;
}

/* STR-05: after the end there is nothing; what is in flight at the end of everything is cancelled.
 */
static const char *take_close(struct halo_streams *streams, struct halo_stream *stream,
                              struct halo_request *request)
{
    const bool whole = request->stream.ways & HALO_IN;

    if (!whole && stream->out.over) {
        halo__stream_fail(streams, request, EPIPE);
        return NULL;
    }
    if (!whole && !(stream->ways & HALO_OUT)) {
        halo__stream_fail(streams, request, EBADF);
        return NULL;
    }
    stream->out.over = true;
    if (whole) {
        halo__flow_cancel(streams, stream, &stream->in);
        stream->in.over = true;
        stream->closing = true;
    }
    halo__flow_push(streams, &stream->out, request);
    return NULL;
}

static const char *take_move(struct halo_streams *streams, struct halo_stream *stream,
                             struct halo_request *request)
{
    const bool reads = request->message.kind == HALO_KIND_STREAM_READ;
    bool good = true;

    if (!(stream->ways & (reads ? HALO_IN : HALO_OUT)))
        halo__stream_fail(streams, request, EBADF);
    else if (!reads && stream->out.over)
        halo__stream_fail(streams, request, EPIPE);
    else if (!reads)
        good = halo__flow_admit(streams, &stream->out, request,
                                request->parked.readable_len - HALO_STREAM_HEAD);
    else if (halo__flow_room(request) == 0 && !can_be_asked(stream))
        halo__stream_fail(streams, request, EOPNOTSUPP);
    else
        good = halo__flow_admit(streams, &stream->in, request, halo__flow_room(request));
    return good ? NULL : "more for one stream than its window";
}

const char *halo__stream_take(struct halo_streams *streams, struct halo_request *request)
{
    struct halo_stream *stream;
    const char *why;
    int error;

    if (request->message.kind == HALO_KIND_STREAM_OPEN)
        return take_open(streams, request);
    why = parse(streams, request);
    if (why)
        return why;
    stream = halo__stream_of(streams, request->stream.handle, &error);
    if (!stream) {
        halo__stream_fail(streams, request, error);
        return NULL;
    }
    switch (request->message.kind) {
    case HALO_KIND_STREAM_CLOSE:
        return take_close(streams, stream, request);
    case HALO_KIND_STREAM_CANCEL:
        if (request->stream.ways & HALO_IN)
            halo__flow_cancel(streams, stream, &stream->in);
        if (request->stream.ways & HALO_OUT)
            halo__flow_cancel(streams, stream, &stream->out);
        halo__port_answer(streams->port, request, HALO_KIND_ANSWER, 0, 0);
        return NULL;
    default:
        return take_move(streams, stream, request);
    }
}
