/*
 * The host's program as the other end of a stream. It reads and writes in the buffers of the
 * guest's requests, which stay in their flows for as long as it is at work on them. Nothing here
 * waits.
 */
#include "stream.h"

int halo__direct_find(struct halo_streams *streams, uint32_t handle, enum halo_way way,
                      struct halo_stream **stream)
{
    *stream = halo__stream_find(streams, handle);
    if (!*stream)
        return halo__fail(streams->words, HALO_ESTALE, "there is no stream 0x%x", handle);
    if ((*stream)->kind != HALO_END_HOST)
        return halo__fail(streams->words, HALO_EINVAL,
                          "stream 0x%x: its end is not the host's program", handle);
    if (!((*stream)->ways & way))
        return halo__fail(streams->words, HALO_EINVAL, "stream 0x%x: the guest may not %s it",
                          handle, way == HALO_IN ? "read" : "write");
    return 0;
}

/* The next bytes behind the first `offset` ones, as far as they lie together. */
static struct halo_span next_span(const struct halo_streams *streams,
                                  const struct halo_extent *extents, uint32_t count,
                                  uint64_t offset)
{
    const struct halo_receiver *queue = &streams->port->queues[HALO_QUEUE_G2H];

    for (; count > 0; count--, extents++) {
        if (offset < extents->len)
            return (struct halo_span){halo_extent_at(queue, extents) + offset,
                                      extents->len - (size_t)offset};
        offset -= extents->len;
    }
    return (struct halo_span){NULL, 0};
}

/* That there is memory for what is lent, where that was not seen when its request came. */
static int lend(const struct halo_streams *streams, const struct halo_request *request,
                const struct halo_span *span)
{
    if ((request && request->is_there) || halo__port_touch(streams->port, span->base, span->len))
        return 1;
    return HALO_ENOMEM;
}

/* --- What the guest writes -------------------------------------------------------------------- */

void halo__direct_consume(struct halo_streams *streams, struct halo_stream *stream, uint64_t len)
{
    struct halo_request *request = halo__flow_first(streams, &stream->out);

    stream->lent = 0;
    if (!request) {
        halo__flow_unsent_gone(streams, stream, len);
        return;
    }
    request->done += len;
    stream->stats.bytes_out += len;
    halo__count(&streams->total.bytes_out, len);
    HALO_TRACE(streams->port->trace, WRITE, halo__stream_handle(streams, stream), len);
    if (HALO_STREAM_HEAD + request->done == request->parked.readable_len)
        halo__flow_finish_write(streams, stream);
}

int halo__direct_peek(struct halo_streams *streams, struct halo_stream *stream,
                      struct halo_span *span)
{
    const struct halo_request *request;

    if (stream->lent > 0)
        halo__direct_consume(streams, stream, stream->lent);
    stream->out.blocked = false; /* writes of no bytes, and their end, need nothing of the host */
    halo__flow_serve_writes(streams, stream);
    request = halo__flow_first(streams, &stream->out);
    if (!request && stream->unsent.len == 0)
        return stream->out.over ? HALO_DIRECT_END : 0;
    if (!request)
        *span = stream->unsent;
    else
        *span = next_span(streams, request->parked.extents, request->parked.readable_count,
                          HALO_STREAM_HEAD + request->done);
    stream->lent = span->len;
    streams->lends = true;
    return lend(streams, request, span);
}

void halo__direct_take_back(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        if (streams->at[i].lent > 0)
            halo__direct_consume(streams, &streams->at[i], streams->at[i].lent);
    }
    streams->lends = false;
}

/* --- What the guest reads --------------------------------------------------------------------- */

void halo__direct_flush(struct halo_streams *streams, struct halo_stream *stream)
{
    const struct halo_request *request = halo__flow_first(streams, &stream->in);

    if (request && request->done > 0)
        halo__flow_finish_read(streams, stream, request->done);
}

void halo__direct_flush_all(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        if (streams->at[i].kind == HALO_END_HOST)
            halo__direct_flush(streams, &streams->at[i]);
    }
    streams->unflushed = false;
}

int halo__direct_reserve(struct halo_streams *streams, struct halo_stream *stream,
                         struct halo_span *span)
{
    const struct halo_request *request = halo__flow_first(streams, &stream->in);

    if (stream->in.over || stream->closing)
        return HALO_DIRECT_END;
    if (!request)
        return 0;
    *span = next_span(streams, request->parked.extents + request->parked.readable_count,
                      request->parked.writable_count, HALO_PAYLOAD + request->done);
    if (request->stream.ways > 0 && span->len > halo__flow_room(request) - request->done)
        span->len = (size_t)(halo__flow_room(request) - request->done);
    return lend(streams, request, span);
}

int halo__direct_commit(struct halo_streams *streams, struct halo_stream *stream, uint64_t len)
{
    struct halo_request *request = halo__flow_first(streams, &stream->in);
    uint64_t left;

    if (!request || len > (left = halo__flow_room(request) - request->done))
        return HALO_EINVAL;
    request->done += len;
    if (request->done > 0 && len == left)
        halo__flow_finish_read(streams, stream, request->done);
    else
        streams->unflushed = true;
    return 0;
}

void halo__direct_end(struct halo_streams *streams, struct halo_stream *stream)
{
    halo__direct_flush(streams, stream);
    stream->in.over = true;
    stream->in.blocked = false; /* reads in flight find the end */
}
