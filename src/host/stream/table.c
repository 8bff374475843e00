/* The table of streams: their places and handles, and what a host's program does with them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "stream.h"

/* --- Places and handles ----------------------------------------------------------------------- */

struct halo_stream *halo__stream_place(struct halo_streams *streams)
{
    const uint32_t first = HALO_STDERR + 1, count = HALO_STREAMS_MAX - first;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t place = first + (streams->next - first + i) % count;

        if (streams->at[place].kind)
            continue;
        streams->next = place + 1 < HALO_STREAMS_MAX ? place + 1 : first;
        for (; streams->used <= place; streams->used++) /* used for the first time */
            streams->at[streams->used].fd = streams->at[streams->used].polled.fd = -1;
        return &streams->at[place];
    }
    return NULL;
}

struct halo_stream *halo__stream_of(struct halo_streams *streams, uint32_t handle, int *error)
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

struct halo_stream *halo__stream_named(struct halo_streams *streams, const char *name)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        if (stream->kind && !stream->closing && stream->name[0] && strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

/* --- What a host does with them --------------------------------------------------------------- */

/* What an end must have whatever becomes of it: 0, or HALO_EINVAL with words. */
static int judge_end(struct halo_words *words, const struct halo_end *end, uint32_t ways)
{
    const struct halo_end_functions *functions = end->functions;
    const bool reads = end->from_len > 0 && !end->from;

    switch (end->kind) {
    case HALO_END_FUNCTIONS:
        if (!functions)
            return halo__fail(words, HALO_EINVAL, "the functions of a stream's end are NULL");
        if ((ways & HALO_IN && !functions->read) || (ways & HALO_OUT && !functions->write))
            return halo__fail(words, HALO_EINVAL, "the end of a stream has no function to %s with",
                              ways & HALO_IN && !functions->read ? "read" : "write");
        return 0;
    case HALO_END_MEMORY:
        if (reads || (end->to_max > 0 && !end->to))
            return halo__fail(words, HALO_EINVAL,
                              "the end of a stream is %zu bytes of memory at NULL",
                              reads ? end->from_len : end->to_max);
        return 0;
    case HALO_END_FD:
        return end->offset < -1
                   ? halo__fail(words, HALO_EINVAL,
                                "file descriptor %d has no offset above INT64_MAX", end->fd)
                   : 0;
    case HALO_END_HOST:
        return 0;
    default:
        return halo__fail(words, HALO_EINVAL, "a stream has no end of kind %d", (int)end->kind);
    }
}

/* Connect a free place to an end that serves these ways: 0, or an error with words. */
static int connect(struct halo_streams *streams, struct halo_stream *stream,
                   const struct halo_end *end, uint32_t ways)
{
    const bool has_fd = end->kind == HALO_END_FD || end->kind == HALO_END_FUNCTIONS;
    const char *why = NULL;
    int error = judge_end(streams->words, end, ways);

    if (error)
        return error;
    error = HALO_EINVAL;
    if (has_fd && end->fd >= 0 && halo__fd_is_own(end->fd))
        why = "it is one of Halo's own";
    else if (end->kind == HALO_END_FD && end->offset >= 0 && fcntl(end->fd, F_GETFL) & O_APPEND &&
             fcntl(end->fd, F_GETFD) >= 0)
        why = "it is open for appending, so it has no offsets to write at";
    else
        error = halo__end_connect(streams, stream, end);
    if (!error)
        return 0;
    if (!why)
        why = end->kind == HALO_END_FD && end->offset >= 0 ? "it has no offsets, or is not open"
                                                           : strerror(errno);
    return halo__fail(streams->words, error, "file descriptor %d cannot be the end of a stream: %s",
                      end->fd, why);
}

/*
 * The end of a stream that a restored guest has: its handle, name and requests stay. 0, or an error
 * with words, and it waits on.
 */
static int connect_awaited(struct halo_streams *streams, struct halo_stream *stream,
                           const struct halo_end *end)
{
    const struct halo_stream before = *stream;
    int error;

    error = connect(streams, stream, end, stream->ways);
    if (error) {
        *stream = before;
        return error;
    }
    stream->ways = before.ways;
    stream->in = before.in;
    stream->out = before.out;
    stream->in.blocked = stream->out.blocked = false;
    stream->closing = before.closing;
    stream->stats = before.stats;
    memcpy(stream->name, before.name, sizeof(stream->name));
    return 0;
}

int halo__stream_attach(struct halo_streams *streams, uint32_t handle, const struct halo_end *end)
{
    struct halo_stream *stream = &streams->at[handle % HALO_STREAMS_MAX];
    const uint8_t ways = handle == HALO_STDIN ? HALO_IN : HALO_OUT;
    int error;

    if (halo__stream_find(streams, handle) && stream->is_awaited)
        return connect_awaited(streams, stream, end);
    if (handle > HALO_STDERR)
        return halo__fail(streams->words, HALO_EINVAL, "there is no standard stream %u", handle);
    if (stream->in.count > 0 || stream->out.count > 0 || stream->generation > 0)
        return halo__fail(streams->words, HALO_ESTATE, "stream %u is in use, or was closed",
                          handle);
    if (stream->kind)
        halo__end_release(streams, stream);
    stream->generation = 0;
    error = connect(streams, stream, end, ways);
    if (error)
        return error;
    stream->ways = ways;
    return 0;
}

int halo__stream_offer(struct halo_streams *streams, const char *name, const struct halo_end *end,
                       uint32_t ways, uint32_t *handle)
{
    const size_t len = name ? strlen(name) : 1;
    struct halo_stream *stream;
    int error;

    if (len == 0 || len > HALO_STREAM_NAME_MAX)
        return halo__fail(streams->words, HALO_EINVAL,
                          "the name of a stream has 1 to %u bytes, not %zu", HALO_STREAM_NAME_MAX,
                          len);
    stream = name ? halo__stream_named(streams, name) : NULL;
    if (stream && stream->is_awaited && stream->ways == ways) {
        if (handle)
            *handle = halo__stream_handle(streams, stream);
        return connect_awaited(streams, stream, end);
    }
    if (stream)
        return halo__fail(streams->words, HALO_EINVAL, "%s: offered already", name);
    if (ways == 0 || ways > (HALO_IN | HALO_OUT))
        return halo__fail(streams->words, HALO_EINVAL,
                          "a stream goes in, out, or both ways, not %#x", ways);
    stream = halo__stream_place(streams);
    if (!stream)
        return halo__fail(streams->words, HALO_EFULL, "there are %u streams already",
                          HALO_STREAMS_MAX);
    error = connect(streams, stream, end, ways);
    if (error)
        return error;
    stream->ways = (uint8_t)ways;
    if (name)
        memcpy(stream->name, name, len + 1);
    if (handle)
        *handle = halo__stream_handle(streams, stream);
    return 0;
}
