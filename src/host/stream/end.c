/* What streams are connected to: memory, functions, and descriptors (fd.c). Nothing here waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>
#include "stream.h"

/* Its descriptor can go on: what it is armed for is armed again where that is still blocked. */
static void ready(struct halo_polled *polled, uint32_t events)
{
    struct halo_stream *stream =
        (struct halo_stream *)((char *)polled - offsetof(struct halo_stream, polled));
    const bool has_helpers = stream->kind == HALO_END_FD && polled->fd != stream->fd;
    const bool any = stream->kind == HALO_END_FUNCTIONS || has_helpers;
    uint64_t count;

    if (has_helpers)
        (void)!read(polled->fd, &count, sizeof(count));
    if (any || events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        stream->in.blocked = false;
    if (any || events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        stream->out.blocked = false;
}

static struct halo_stream free_stream(uint16_t generation)
{
    return (struct halo_stream){
        .generation = generation, .fd = -1, .polled = {.fd = -1, .ready = ready}};
}

void halo__end_free(struct halo_stream *stream, uint16_t generation)
{
    *stream = free_stream(generation);
}

/* --- Connecting ------------------------------------------------------------------------------- */

static int connect_functions(struct halo_stream *stream, const struct halo_end *end)
{
    stream->functions = end->functions;
    stream->context = end->context;
    if (end->fd < 0)
        return 0;
    stream->polled.fd = fcntl(end->fd, F_DUPFD_CLOEXEC, 3);
    return stream->polled.fd < 0 ? HALO_EHOST : 0;
}

int halo__end_connect(struct halo_streams *streams, struct halo_stream *stream,
                      const struct halo_end *end)
{
    int error = 0;

    *stream = free_stream(stream->generation);
    stream->kind = end->kind;
    switch (end->kind) {
    case HALO_END_FD:
        error = halo__fd_connect(streams, stream, end);
        break;
    case HALO_END_FUNCTIONS:
        error = connect_functions(stream, end);
        break;
    case HALO_END_MEMORY:
        stream->from = end->from;
        stream->from_len = end->from_len;
        stream->to = end->to;
        stream->to_max = end->to_max;
        break;
    case HALO_END_HOST:
        break;
    default:
        error = HALO_EINVAL;
    }
    if (error)
        stream->kind = HALO_END_NONE;
    return error;
}

void halo__end_connect_socket(struct halo_stream *stream, int fd)
{
    *stream = free_stream(stream->generation);
    stream->kind = HALO_END_FD;
    stream->ways = HALO_IN | HALO_OUT;
    halo__fd_connect_socket(stream, fd);
}

void halo__end_release(struct halo_streams *streams, struct halo_stream *stream)
{
    halo__fd_close(streams, stream);
    if (stream->functions && stream->functions->closed)
        stream->functions->closed(stream->context);
    *stream = free_stream((uint16_t)(stream->generation + 1));
    for (uint32_t i = 0; i < streams->used; i++) { /* there is a place for a connection again */
        if (streams->at[i].no_place)
            streams->at[i].no_place = streams->at[i].in.blocked = false;
    }
}

void halo__end_shut(struct halo_streams *streams, struct halo_stream *stream)
{
    if (stream->kind == HALO_END_FD)
        halo__fd_shut(streams, stream);
}

/* --- Moving bytes ----------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int64_t memory_read(struct halo_streams *streams, struct halo_stream *stream,
                           const struct iovec *iov, int count)
{
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const size_t part = least(iov[i].iov_len, stream->from_len - (size_t)stream->in_at);

        if (!halo__stream_touch(streams, &iov[i], part))
            return -ENOMEM;
        halo_shm_copy_out(halo_shm_share(iov[i].iov_base), stream->from + stream->in_at, part);
        stream->in_at += (int64_t)part;
        total += (int64_t)part;
    }
    return total;
}

static int64_t memory_write(struct halo_streams *streams, struct halo_stream *stream,
                            const struct iovec *iov, int count)
{
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const size_t part = least(iov[i].iov_len, stream->to_max - (size_t)stream->out_at);

        if (!halo__stream_touch(streams, &iov[i], part))
            return -ENOMEM;
        halo_shm_copy_in(stream->to + stream->out_at, halo_shm_share(iov[i].iov_base), part);
        stream->out_at += (int64_t)part;
        total += (int64_t)part;
    }
    return total > 0 ? total : -ENOSPC;
}

/* What a function says it did is believed no further than it can be true. */
static int64_t sane(int64_t n, size_t len)
{
    return n > (int64_t)len || n < -4095 ? -EIO : n;
}

static int64_t functions_move(struct halo_streams *streams, struct halo_stream *stream,
                              const struct iovec *iov, int count, bool write)
{
    const struct halo_end_functions *functions = stream->functions;
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const size_t len = iov[i].iov_len;
        int64_t n;

        if (!halo__stream_touch(streams, &iov[i], len))
            return -ENOMEM;
        n = sane(write ? functions->write(stream->context, iov[i].iov_base, len)
                       : functions->read(stream->context, iov[i].iov_base, len),
                 len);

        if (write && n == 0)
            n = -EIO;
        if (n < 0)
            return total > 0 ? total : n; /* it will say so again */
        total += n;
        if (n < (int64_t)len)
            break;
    }
    return total;
}

int64_t halo__end_read(struct halo_streams *streams, struct halo_stream *stream,
                       const struct iovec *iov, int count)
{
    switch (stream->kind) {
    case HALO_END_FD:
        return halo__fd_move(streams, stream, iov, count, false);
    case HALO_END_MEMORY:
        return memory_read(streams, stream, iov, count);
    case HALO_END_FUNCTIONS:
        return functions_move(streams, stream, iov, count, false);
    default:
        return -EAGAIN;
    }
}

int64_t halo__end_ready(struct halo_streams *streams, struct halo_stream *stream)
{
    return stream->kind == HALO_END_FD ? halo__fd_ready(streams, stream) : 0;
}

int64_t halo__end_write(struct halo_streams *streams, struct halo_stream *stream,
                        const struct iovec *iov, int count)
{
    switch (stream->kind) {
    case HALO_END_FD:
        return halo__fd_move(streams, stream, iov, count, true);
    case HALO_END_MEMORY:
        return memory_write(streams, stream, iov, count);
    case HALO_END_FUNCTIONS:
        return functions_move(streams, stream, iov, count, true);
    default:
        return -EAGAIN;
    }
}

/* --- Waiting ---------------------------------------------------------------------------------- */

void halo__end_arm(struct halo_streams *streams, struct halo_stream *stream)
{
    const bool in =
        stream->in.count > 0 && stream->in.blocked && !stream->no_place && !stream->is_short;
    const bool out = (stream->out.count > 0 || stream->unsent.len > 0) && stream->out.blocked;
    uint32_t events = in || out ? EPOLLIN : 0; /* of functions */

    if (stream->kind == HALO_END_FD)
        events = halo__fd_events(stream, in, out);
    if (!halo__poller_arm(streams->poller, &stream->polled, events))
        halo__stream_stopped(streams, stream, "its end cannot be watched");
}
