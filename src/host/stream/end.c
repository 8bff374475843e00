/* What streams are connected to: descriptors, memory, functions. Nothing here waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../descriptor.h"
#include "stream.h"

/* Its descriptor can go on: what it is armed for is armed again where that is still blocked. */
static void ready(struct halo_polled *polled, uint32_t events)
{
    struct halo_stream *stream =
        (struct halo_stream *)((char *)polled - offsetof(struct halo_stream, polled));
    const bool any = stream->kind == HALO_END_FUNCTIONS;

    if (any || events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        stream->in.blocked = false;
    if (any || events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        stream->out.blocked = false;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static int connect_fd(struct halo_stream *stream, const struct halo_end *end)
{
    socklen_t len = sizeof(int);
    int listens = 0;
    struct stat st;

    if (fstat(end->fd, &st) < 0)
        return HALO_EINVAL;
    stream->is_file = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
    stream->is_socket = S_ISSOCK(st.st_mode);
    if (end->offset >= 0 && !stream->is_file)
        return HALO_EINVAL;
    if (stream->is_socket && getsockopt(end->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0)
        stream->is_listener = listens != 0;
    stream->polled.fd = fcntl(end->fd, F_DUPFD_CLOEXEC, 3);
    if (stream->polled.fd < 0)
        return HALO_EHOST;
    /* A connection may be gone between poll and accept, which would then wait for the next. */
    if (stream->is_listener)
        (void)fcntl(stream->polled.fd, F_SETFL, fcntl(stream->polled.fd, F_GETFL) | O_NONBLOCK);
    stream->in_at = stream->out_at = end->offset;
    return 0;
}

static int connect_functions(struct halo_stream *stream, const struct halo_end *end)
{
    if (!end->functions)
        return HALO_EINVAL;
    stream->functions = end->functions;
    stream->context = end->context;
    if (end->fd < 0)
        return 0;
    stream->polled.fd = fcntl(end->fd, F_DUPFD_CLOEXEC, 3);
    return stream->polled.fd < 0 ? HALO_EHOST : 0;
}

int halo__end_connect(struct halo_stream *stream, const struct halo_end *end)
{
    int error = 0;

    *stream = (struct halo_stream){
        .kind = end->kind, .generation = stream->generation, .polled = {-1, 0, false, ready}};
    switch (end->kind) {
    case HALO_END_FD:
        error = connect_fd(stream, end);
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
    *stream = (struct halo_stream){.kind = HALO_END_FD,
                                   .generation = stream->generation,
                                   .ways = HALO_IN | HALO_OUT,
                                   .is_socket = true,
                                   .polled = {fd, 0, false, ready}};
}

static void close_fd(struct halo_streams *streams, struct halo_stream *stream)
{
    if (stream->polled.fd < 0)
        return;
    halo__poller_forget(streams->poller, &stream->polled);
    close(stream->polled.fd);
    stream->polled.fd = -1;
}

void halo__end_release(struct halo_streams *streams, struct halo_stream *stream)
{
    close_fd(streams, stream);
    if (stream->functions && stream->functions->closed)
        stream->functions->closed(stream->context);
    *stream = (struct halo_stream){.generation = (uint16_t)(stream->generation + 1),
                                   .polled = {-1, 0, false, ready}};
    for (uint32_t i = 0; i < streams->used; i++) { /* there is a place for a connection again */
        if (streams->at[i].no_place)
            streams->at[i].no_place = streams->at[i].in.blocked = false;
    }
}

void halo__end_shut(struct halo_streams *streams, struct halo_stream *stream)
{
    if (stream->is_socket)
        (void)shutdown(stream->polled.fd, SHUT_WR);
    else if (stream->kind == HALO_END_FD && !(stream->ways & HALO_IN))
        close_fd(streams, stream);
}

/* --- Moving bytes ----------------------------------------------------------------------------- */

static bool is_ready(const struct halo_stream *stream, short events)
{
    struct pollfd pollfd = {.fd = stream->polled.fd, .events = events};

    return poll(&pollfd, 1, 0) > 0;
}

static int64_t file_move(struct halo_stream *stream, const struct iovec *iov, int count, bool write)
{
    int64_t *at = write ? &stream->out_at : &stream->in_at;
    ssize_t n;

    if (*at < 0)
        n = write ? writev(stream->polled.fd, iov, count) : readv(stream->polled.fd, iov, count);
    else
        n = write ? pwritev(stream->polled.fd, iov, count, *at)
                  : preadv(stream->polled.fd, iov, count, *at);
    if (n > 0 && *at >= 0)
        *at += n;
    return n;
}

static int64_t socket_move(const struct halo_stream *stream, const struct iovec *iov, int count,
                           bool write)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                                   .msg_iovlen = (size_t)count};

    return write ? sendmsg(stream->polled.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                 : recvmsg(stream->polled.fd, (struct msghdr *)(uintptr_t)&message, MSG_DONTWAIT);
}

/* Pipes, terminals and other devices, whose flags are not ours to change. */
static int64_t device_move(struct halo_stream *stream, const struct iovec *iov, int count,
                           bool write)
{
    if (!stream->no_nowait) {
        ssize_t n = write ? pwritev2(stream->polled.fd, iov, count, -1, RWF_NOWAIT)
                          : preadv2(stream->polled.fd, iov, count, -1, RWF_NOWAIT);

        if (n >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL))
            return n;
        stream->no_nowait = true;
    }
    if (!is_ready(stream, write ? POLLOUT : POLLIN)) {
        errno = EAGAIN;
        return -1;
    }
    return write ? writev(stream->polled.fd, iov, count) : readv(stream->polled.fd, iov, count);
}

static int64_t fd_move(struct halo_stream *stream, const struct iovec *iov, int count, bool write)
{
    int64_t n;

    do {
        if (stream->is_file)
            n = file_move(stream, iov, count, write);
        else if (stream->is_socket)
            n = socket_move(stream, iov, count, write);
        else
            n = device_move(stream, iov, count, write);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int64_t memory_read(struct halo_stream *stream, const struct iovec *iov, int count)
{
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const size_t part = least(iov[i].iov_len, stream->from_len - (size_t)stream->in_at);

        halo_shm_copy_out(halo_shm_share(iov[i].iov_base), stream->from + stream->in_at, part);
        stream->in_at += (int64_t)part;
        total += (int64_t)part;
    }
    return total;
}

static int64_t memory_write(struct halo_stream *stream, const struct iovec *iov, int count)
{
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const size_t part = least(iov[i].iov_len, stream->to_max - (size_t)stream->out_at);

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

static int64_t functions_move(struct halo_stream *stream, const struct iovec *iov, int count,
                              bool write)
{
    const struct halo_end_functions *functions = stream->functions;
    int64_t total = 0;

    for (int i = 0; i < count; i++) {
        const size_t len = iov[i].iov_len;
        int64_t n = sane(write ? functions->write(stream->context, iov[i].iov_base, len)
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

int64_t halo__end_read(struct halo_stream *stream, const struct iovec *iov, int count)
{
    switch (stream->kind) {
    case HALO_END_FD:
        return fd_move(stream, iov, count, false);
    case HALO_END_MEMORY:
        return memory_read(stream, iov, count);
    case HALO_END_FUNCTIONS:
        return functions_move(stream, iov, count, false);
    default:
        return -EAGAIN;
    }
}

int64_t halo__end_write(struct halo_stream *stream, const struct iovec *iov, int count)
{
    switch (stream->kind) {
    case HALO_END_FD:
        return fd_move(stream, iov, count, true);
    case HALO_END_MEMORY:
        return memory_write(stream, iov, count);
    case HALO_END_FUNCTIONS:
        return functions_move(stream, iov, count, true);
    default:
        return -EAGAIN;
    }
}

uint64_t halo__end_limit(const struct halo_stream *stream)
{
    /* What poll calls writable takes PIPE_BUF bytes without waiting, but maybe no more. */
    return stream->no_nowait ? PIPE_BUF : SSIZE_MAX;
}

int halo__end_accept(struct halo_stream *stream)
{
    const int fd = halo__fd_high(accept4(stream->polled.fd, NULL, NULL, SOCK_CLOEXEC));

    return fd < 0 ? -errno : fd;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

void halo__end_arm(struct halo_streams *streams, struct halo_stream *stream)
{
    uint32_t wanted = 0;

    if (stream->in.count > 0 && stream->in.blocked && !stream->no_place)
        wanted |= EPOLLIN;
    if (stream->out.count > 0 && stream->out.blocked)
        wanted |= stream->kind == HALO_END_FUNCTIONS ? EPOLLIN : EPOLLOUT;
    if (!halo__poller_arm(streams->poller, &stream->polled, wanted))
        stream->in.blocked = stream->out.blocked = false; /* it cannot be watched: try again */
}
