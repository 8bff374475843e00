/*
 * The host's program as the other end of a stream. It reads and writes in the buffers of the
 * guest's requests, which stay in their flows for as long as it is at work on them.
 */
#include <string.h>
#include "../loop.h"
#include "stream.h"

/* The stream of a handle, one way of which is the host's: 0, or an error. */
static int own(struct halo_sandbox *box, uint32_t handle, enum halo_way way,
               struct halo_stream **stream)
{
    *stream = halo__stream_find(box, handle);
    if (!*stream)
        return halo__fail(&box->words, HALO_ESTALE, "there is no stream 0x%x", handle);
    if ((*stream)->kind != HALO_END_HOST || !((*stream)->ways & way))
        return halo__fail(&box->words, HALO_EINVAL, "the host is not that end of stream 0x%x",
                          handle);
    return 0;
}

/* The part of a span list that begins `at` bytes in. */
static struct halo_span part(const struct halo_span *span, uint64_t at)
{
    for (; at >= span->len; span++)
        at -= span->len;
    return (struct halo_span){span->base + at, span->len - (size_t)at};
}

/* Run the guest until a flow has a request, or will have none. */
static bool is_moving(const struct halo_sandbox *box, const void *flow)
{
    (void)box;
    return ((const struct halo_flow *)flow)->first || ((const struct halo_flow *)flow)->over;
}

static int run_for(struct halo_sandbox *box, const struct halo_flow *flow, int64_t timeout_ns)
{
    if (box->state == HALO_STATE_ENDED)
        return box->ended;
    return halo__run_until(box, is_moving, flow, timeout_ns);
}

/* --- What the guest writes -------------------------------------------------------------------- */

/* What was lent has been looked at. */
static void take_back(struct halo_sandbox *box, struct halo_stream *stream)
{
    struct halo_request *request = stream->out.first;

    if (stream->lent == 0)
        return;
    request->done += stream->lent;
    stream->stats.bytes_out += stream->lent;
    box->stats.bytes_out += stream->lent;
    stream->lent = 0;
    if (HALO_STREAM_HEAD + request->done == request->readable_len)
        halo__stream_done_write(box, stream);
}

/* Wait for the first write that has bytes. 1, 0 at the end, or an error. */
static int next_write(struct halo_sandbox *box, struct halo_stream *stream, int64_t timeout_ns)
{
    int error = 0;

    for (;;) {
        halo__stream_settle(box, stream);
        if (stream->out.first)
            return 1;
        if (error || stream->out.over || box->state == HALO_STATE_ENDED)
            return error ? error : box->ended;
        error = run_for(box, &stream->out, timeout_ns);
    }
}

int64_t halo_stream_next(struct halo_sandbox *box, uint32_t handle, const void **bytes,
                         int64_t timeout_ns)
{
    struct halo_stream *stream;
    struct halo_span span;
    int error = own(box, handle, HALO_OUT, &stream);

    *bytes = NULL;
    if (error)
        return error;
    take_back(box, stream);
    error = next_write(box, stream, timeout_ns);
    if (error <= 0)
        return error;
    span = part(stream->out.first->spans, HALO_STREAM_HEAD + stream->out.first->done);
    *bytes = halo_shm_expose(span.base);
    stream->lent = span.len;
    return (int64_t)span.len;
}

int64_t halo_stream_read(struct halo_sandbox *box, uint32_t handle, void *to, size_t max,
                         int64_t timeout_ns)
{
    struct halo_stream *stream;
    const void *bytes;
    int64_t len = halo_stream_next(box, handle, &bytes, timeout_ns);

    if (len <= 0)
        return len;
    if (len > (int64_t)max)
        len = (int64_t)max;
    halo_shm_copy_in(to, halo_shm_share((void *)(uintptr_t)bytes), (size_t)len);
    stream = halo__stream_find(box, handle);
    stream->lent = (uint64_t)len; /* the rest is for the next one */
    take_back(box, stream);
    return len;
}

/* --- What the guest reads --------------------------------------------------------------------- */

/* Give the guest the first read with what was written into it. */
static void give(struct halo_sandbox *box, struct halo_stream *stream)
{
    if (stream->in.first && stream->in.first->done > 0)
        halo__stream_done_read(box, stream, stream->in.first->done);
}

void halo__own_flush(struct halo_sandbox *box)
{
    struct halo_streams *streams = &box->streams;

    if (!streams->unflushed)
        return;
    for (uint32_t i = 0; i < streams->used; i++) {
        if (streams->at[i].kind == HALO_END_HOST)
            give(box, &streams->at[i]);
    }
    streams->unflushed = false;
}

int64_t halo_stream_room(struct halo_sandbox *box, uint32_t handle, void **room, int64_t timeout_ns)
{
    struct halo_stream *stream;
    const struct halo_request *request;
    struct halo_span span;
    int error = own(box, handle, HALO_IN, &stream);

    *room = NULL;
    if (error)
        return error;
    if (!stream->in.first && !stream->in.over && !stream->closing)
        error = run_for(box, &stream->in, timeout_ns);
    request = stream->in.first;
    if (error && !request)
        return error;
    if (!request || stream->in.over)
        return halo__fail(&box->words, HALO_EIO, "nobody reads stream 0x%x any more", handle);
    span =
        part(request->spans + request->readable_count, sizeof(struct halo_message) + request->done);
    *room = halo_shm_expose(span.base);
    return (int64_t)span.len;
}

int halo_stream_wrote(struct halo_sandbox *box, uint32_t handle, size_t len)
{
    struct halo_stream *stream;
    struct halo_request *request;
    int error = own(box, handle, HALO_IN, &stream);

    if (error)
        return error;
    request = stream->in.first;
    if (!request || len > request->writable_len - sizeof(struct halo_message) - request->done)
        return halo__fail(&box->words, HALO_EINVAL, "stream 0x%x has no such room", handle);
    request->done += len;
    if (sizeof(struct halo_message) + request->done == request->writable_len)
        give(box, stream);
    else
        box->streams.unflushed = true;
    return 0;
}

int64_t halo_stream_write(struct halo_sandbox *box, uint32_t handle, const void *from, size_t len,
                          int64_t timeout_ns)
{
    const unsigned char *at = from;
    size_t left = len;

    while (left > 0) {
        void *room;
        int64_t n = halo_stream_room(box, handle, &room, timeout_ns);

        if (n <= 0)
            return left < len ? (int64_t)(len - left) : n;
        if (n > (int64_t)left)
            n = (int64_t)left;
        halo_shm_copy_out(halo_shm_share(room), at, (size_t)n);
        (void)halo_stream_wrote(box, handle, (size_t)n);
        at += n;
        left -= (size_t)n;
    }
    return (int64_t)len;
}

int halo_stream_flush(struct halo_sandbox *box, uint32_t handle)
{
    struct halo_stream *stream;
    const int error = own(box, handle, HALO_IN, &stream);

    if (!error)
        give(box, stream);
    return error;
}

int halo_stream_end(struct halo_sandbox *box, uint32_t handle)
{
    struct halo_stream *stream;
    const int error = own(box, handle, HALO_IN, &stream);

    if (error)
        return error;
    give(box, stream);
    stream->in.over = true;
    stream->in.blocked = false; /* reads in flight find the end */
    return 0;
}
