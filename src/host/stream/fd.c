/*
 * Descriptors as ends. What one is decides, once, how it is moved without waiting; that poll calls
 * it ready decides nothing, for others may use it, too. See docs/design.md, Streams.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../descriptor.h"
#include "helper.h"
#include "stream.h"

/* --- What it is ------------------------------------------------------------------------------- */

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif

/*
 * What a descriptor is, as the kernel has it: a file system whose files are answered by somebody
 * else (a daemon, a server) is not asked. 0, or -1 with errno.
 */
static int look_at(int fd, struct statx *st)
{
    struct stat old;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, st) == 0)
        return 0;
    if (fstat(fd, &old) < 0) /* before Linux 4.11, or under a filter that does not know statx */
        return -1;
    *st = (struct statx){.stx_mode = (uint16_t)old.st_mode,
                         .stx_ino = old.st_ino,
                         .stx_rdev_major = major(old.st_rdev),
                         .stx_rdev_minor = minor(old.st_rdev),
                         .stx_dev_major = major(old.st_dev),
                         .stx_dev_minor = minor(old.st_dev)};
    return 0;
}

/*
 * Whether the files of its file system are answered by somebody else. One that knows of an inode
 * whether it is immutable keeps inodes itself. The others are asked what they are, by a thread;
 * those that do not answer soon are remote.
 */
static bool is_remote(int fd, const struct statx *st)
{
    static const uint32_t remote[] = {
        FUSE_SUPER_MAGIC,   NFS_SUPER_MAGIC,     SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC,
        SMB2_SUPER_MAGIC,   V9FS_MAGIC,          CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC,
        AFS_FS_MAGIC,       CODA_SUPER_MAGIC,    PROC_SUPER_MAGIC, SYSFS_MAGIC,
        CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,    TRACEFS_MAGIC,
        SECURITYFS_MAGIC,   BINDERFS_SUPER_MAGIC};
    int64_t type;

    if (st->stx_attributes_mask & STATX_ATTR_IMMUTABLE)
        return false;
    type = halo__helper_ask(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
        if ((uint32_t)type == remote[i])
            return true;
    }
    return type < 0;
}

/*
 * One of Halo's own, of whatever sandbox: given to a guest, its memory could be written as a file,
 * code and all. That memory is known by its name, too, for it can be opened once more.
 */
bool halo__fd_is_own(int fd)
{
    static const char memory[] = "/memfd:halo-";
    char path[32], name[sizeof(memory)] = "";

    if (halo__fd_is_marked(fd))
        return true;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, name, sizeof(name) - 1) > 0 && strcmp(name, memory) == 0;
}

/* What never waits: null, zero, full, urandom; and what cannot be read or written at all. */
static bool never_waits(const struct statx *st)
{
    const unsigned number = st->stx_rdev_minor;

    return S_ISDIR(st->stx_mode) || (S_ISCHR(st->stx_mode) && st->stx_rdev_major == 1 &&
                                     (number == 3 || number == 5 || number == 7 || number == 9));
}

static bool is_same(const struct statx *a, const struct statx *b)
{
    return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
           a->stx_dev_minor == b->stx_dev_minor && a->stx_rdev_major == b->stx_rdev_major &&
           a->stx_rdev_minor == b->stx_rdev_minor;
}

/*
 * A terminal that is found again by opening it: not the master's side, which would be another, nor
 * /dev/tty. By its number, for its driver may be somebody who does not answer.
 */
static bool is_slave_terminal(const struct statx *st)
{
    const unsigned number = st->stx_rdev_major;

    return S_ISCHR(st->stx_mode) && (number == TTY_MAJOR || (number >= UNIX98_PTY_SLAVE_MAJOR &&
                                                             number < UNIX98_PTY_SLAVE_MAJOR + 8));
}

/* A pipe; one with a name lies in a file system, which may be asked when it is opened. */
static bool is_near_pipe(int fd, const struct statx *st)
{
    char path[32], name[5];

    if (!S_ISFIFO(st->stx_mode))
        return false;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return (readlink(path, name, sizeof(name)) == sizeof(name) &&
            memcmp(name, "pipe:", sizeof(name)) == 0) ||
           !is_remote(fd, st);
}

/*
 * The same pipe or terminal once more, non-blocking, as a description of our own: the flags of the
 * one that we were given are also those of others. -1 where that cannot be had.
 */
static int open_again(int fd, const struct statx *st)
{
    const int flags = fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_DIRECT);
    struct statx found;
    char path[32];
    int again;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = halo__fd_high(open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (again >= 0 && (look_at(again, &found) < 0 || !is_same(&found, st))) {
        close(again);
        again = -1;
    }
    return again;
}

static enum halo_manner manner_of(int fd, const struct statx *st, int *again)
{
    const mode_t mode = st->stx_mode;

    if (S_ISSOCK(mode))
        return HALO_MANNER_SOCKET;
    if (never_waits(st))
        return HALO_MANNER_MEMORY;
    if ((S_ISREG(mode) || S_ISBLK(mode)) && !is_remote(fd, st))
        return HALO_MANNER_FILE;
    if (is_near_pipe(fd, st) || is_slave_terminal(st))
        *again = open_again(fd, st);
    return *again >= 0 ? HALO_MANNER_NONBLOCK : HALO_MANNER_HELPER;
}

/* --- Connecting ------------------------------------------------------------------------------- */

/*
 * End a helper: in time, or it is left behind. Where one was, the others are hardly waited for: the
 * kernel may hold any number of them.
 */
static bool stop_helper(struct halo_streams *streams, struct halo_helper *helper)
{
    const int64_t patience = HALO_HELPER_PATIENCE / (streams->left_behind ? 50 : 1);
    const bool gone = halo__helper_stop(helper, patience);

    streams->left_behind |= !gone;
    return gone;
}

/* Close what may wait even then: a FUSE daemon hears of every close. */
static void close_far(struct halo_streams *streams, int fd)
{
    struct halo_helper *helper = halo__helper_start(fd, -1);

    if (helper)
        (void)stop_helper(streams, helper);
}

/* A descriptor of the stream's own; one that was given is that, unless it is a standard one. */
static int own_fd(const struct halo_end *end)
{
    if (!end->given || end->fd <= STDERR_FILENO)
        return fcntl(end->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return fcntl(end->fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : end->fd;
}

int halo__fd_connect(struct halo_streams *streams, struct halo_stream *stream,
                     const struct halo_end *end)
{
    socklen_t len = sizeof(int);
    int listens = 0, again = -1;
    struct statx st;

    if (look_at(end->fd, &st) < 0)
        return HALO_EINVAL;
    if (end->offset >= 0 && !S_ISREG(st.stx_mode) && !S_ISBLK(st.stx_mode))
        return HALO_EINVAL;
    stream->manner = manner_of(end->fd, &st, &again);
    stream->polled.is_urgent = stream->manner == HALO_MANNER_FILE;
    stream->is_given = end->given;
    if (stream->manner == HALO_MANNER_SOCKET &&
        getsockopt(end->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0)
        stream->is_listener = listens != 0;
    stream->fd = again >= 0 ? again : own_fd(end);
    if (stream->fd < 0)
        return HALO_EHOST;
    if (stream->manner == HALO_MANNER_SOCKET || stream->manner == HALO_MANNER_NONBLOCK)
        stream->polled.fd = stream->fd;
    stream->in_at = stream->out_at = end->offset;
    if (end->given && stream->fd != end->fd && stream->manner == HALO_MANNER_HELPER)
        close_far(streams, end->fd);
    else if (end->given && stream->fd != end->fd)
        close(end->fd);
    return 0;
}

void halo__fd_connect_socket(struct halo_stream *stream, int fd)
{
    stream->manner = HALO_MANNER_SOCKET;
    stream->is_given = true;
    stream->fd = stream->polled.fd = fd;
}

/* --- Letting go ------------------------------------------------------------------------------- */

/* Where its end lingers, the last close of a socket waits; it is ours alone, so nobody else asked.
 */
static void close_given_socket(int fd)
{
    const struct linger off = {0, 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
    close(fd);
}

void halo__fd_close(struct halo_streams *streams, struct halo_stream *stream)
{
    struct halo_flow *flows[] = {&stream->in, &stream->out};
    const bool lends = stream->manner == HALO_MANNER_FILE;

    halo__poller_forget(streams->poller, &stream->polled);
    for (int i = 0; i < 2; i++) {
        if (flows[i]->helper && !stop_helper(streams, flows[i]->helper) && lends)
            streams->memory_lent = true;
        flows[i]->helper = NULL;
    }
    if (stream->polled.fd >= 0 && stream->polled.fd != stream->fd)
        close(stream->polled.fd);
    if (stream->fd >= 0 && stream->manner == HALO_MANNER_HELPER) {
        close_far(streams, stream->fd);
    } else if (stream->fd >= 0 && stream->manner == HALO_MANNER_SOCKET && stream->is_given) {
        close_given_socket(stream->fd);
    } else if (stream->fd >= 0) {
        close(stream->fd);
    }
    stream->fd = stream->polled.fd = -1;
}

void halo__fd_shut(struct halo_streams *streams, struct halo_stream *stream)
{
    if (stream->manner == HALO_MANNER_SOCKET && stream->is_given)
        (void)shutdown(stream->fd, SHUT_WR);
    else if (!(stream->ways & HALO_IN))
        halo__fd_close(streams, stream);
}

/* --- Moving bytes ----------------------------------------------------------------------------- */

static size_t total_of(const struct iovec *iov, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    return total;
}

static int64_t now_or_errno(ssize_t n)
{
    return n < 0 ? -errno : n;
}

static int64_t socket_move(const struct halo_stream *stream, const struct iovec *iov, int count,
                           bool write)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                             .msg_iovlen = (size_t)count};

    return now_or_errno(write ? sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                              : recvmsg(stream->fd, &message, MSG_DONTWAIT));
}

static int64_t plain_move(const struct halo_stream *stream, const struct iovec *iov, int count,
                          bool write)
{
    return now_or_errno(write ? writev(stream->fd, iov, count) : readv(stream->fd, iov, count));
}

/* The helper of a way, made when it is first needed; or NULL, and the host has failed. */
static struct halo_helper *helper_of(struct halo_streams *streams, struct halo_stream *stream,
                                     struct halo_flow *flow)
{
    int fd;

    if (flow->helper)
        return flow->helper;
    if (stream->polled.fd < 0)
        stream->polled.fd = halo__fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    fd = stream->polled.fd < 0 ? -1 : fcntl(stream->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd >= 0)
        flow->helper = halo__helper_start(fd, stream->polled.fd);
    if (!flow->helper)
        halo__stream_stopped(streams, stream, "there is no thread for its end");
    return flow->helper;
}

/*
 * A local file. What is read and lies in memory comes at once; all else is done by a helper, for
 * which the loop waits before the guest goes on, so that counts of exits stay the same. Reads are
 * whole but at the end of the file, whichever way they come.
 */
static int64_t file_move(struct halo_streams *streams, struct halo_stream *stream,
                         struct halo_flow *flow, const struct iovec *iov, int count, bool write)
{
    int64_t *at = write ? &stream->out_at : &stream->in_at;
    enum halo_helper_state state = HALO_HELPER_IDLE;
    int64_t n = -EAGAIN;

    if (flow->helper)
        state = halo__helper_take(flow->helper, &n);
    if (state == HALO_HELPER_BUSY)
        return -EAGAIN;
    if (state == HALO_HELPER_IDLE || flow->stale) { /* or it was of a request that is gone */
        flow->have = 0;
        flow->stale = false;
        n = -EAGAIN;
        if (!write && !stream->no_nowait) {
            n = now_or_errno(preadv2(stream->fd, iov, count, *at, RWF_NOWAIT));
            stream->no_nowait = n == -EOPNOTSUPP || n == -ENOSYS || n == -EINVAL;
            flow->have = n > 0 ? (size_t)n : 0;
        }
        if (n < 0 || (n > 0 && flow->have < total_of(iov, count))) {
            struct halo_helper *helper = helper_of(streams, stream, flow);

            if (helper)
                halo__helper_give(helper, iov, count, flow->have,
                                  *at < 0 ? -1 : *at + (int64_t)flow->have, write);
            if (helper || flow->have == 0)
                return -EAGAIN;
            n = (int64_t)flow->have; /* what came already would not come again */
        }
    } else if (flow->have > 0) {
        n = (int64_t)flow->have + (n > 0 ? n : 0); /* an error comes again */
    }
    if (n > 0 && *at >= 0)
        *at += n;
    return n;
}

/* Between the guest's buffers and one piece of memory of `len` bytes: how many. */
static size_t copy(struct halo_streams *streams, const struct iovec *iov, int count,
                   unsigned char *memory, size_t len, bool write)
{
    size_t done = 0;

    for (int i = 0; i < count && done < len; i++) {
        const size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

        if (!halo__stream_touch(streams, &iov[i], part))
            break;
        if (write)
            halo_shm_copy_in(memory + done, halo_shm_share(iov[i].iov_base), part);
        else
            halo_shm_copy_out(halo_shm_share(iov[i].iov_base), memory + done, part);
        done += part;
    }
    return done;
}

/*
 * What may wait for others, without end: nobody waits for its helper. That works on memory of its
 * own, for the guest may have cancelled its request, and use the buffer again, long before it is
 * done. What was read for a request that is gone is there for the next one.
 */
static int64_t helper_move(struct halo_streams *streams, struct halo_stream *stream,
                           struct halo_flow *flow, const struct iovec *iov, int count, bool write)
{
    struct halo_helper *helper = helper_of(streams, stream, flow);
    struct iovec own = {.iov_len = total_of(iov, count)};
    int64_t *at = write ? &stream->out_at : &stream->in_at;
    int64_t n = -EAGAIN;
    size_t part;

    if (!helper)
        return -EAGAIN;
    if (flow->have == 0) {
        switch (halo__helper_take(helper, &n)) {
        case HALO_HELPER_DONE:
            if (n > 0 && *at >= 0)
                *at += n;
            if (flow->asked || (write && flow->stale)) /* or it was of a write that is gone */
                break;
            if (write || n <= 0)
                return n;
            flow->have = (size_t)n;
            flow->from = 0;
            break;
        case HALO_HELPER_IDLE:
            break;
        default:
            return -EAGAIN;
        }
    }
    own.iov_base = halo__helper_bounce(helper, streams->budget);
    if (!own.iov_base) {
        halo__stream_stopped(streams, stream,
                             "the host has no memory for it, or holds held_max for this guest");
        return -EAGAIN;
    }
    if (flow->have > 0) {
        part = copy(streams, iov, count, (unsigned char *)own.iov_base + flow->from, flow->have,
                    false);
        flow->from += part;
        flow->have -= part;
        return (int64_t)part;
    }
    if (own.iov_len > HALO_HELPER_BOUNCE)
        own.iov_len = HALO_HELPER_BOUNCE;
    if (write && copy(streams, iov, count, own.iov_base, own.iov_len, true) < own.iov_len)
        return -ENOMEM;
    flow->stale = flow->asked = false;
    halo__helper_give(helper, &own, 1, 0, *at, write);
    return -EAGAIN;
}

/* Whether its helper found something, or has what was read for a request that is gone. */
static int64_t helper_ready(struct halo_streams *streams, struct halo_stream *stream)
{
    struct halo_flow *flow = &stream->in;
    struct halo_helper *helper = helper_of(streams, stream, flow);
    int64_t n = 0;

    if (!helper)
        return -EAGAIN;
    if (flow->have > 0)
        return 0;
    switch (halo__helper_take(helper, &n)) {
    case HALO_HELPER_DONE:
        if (!flow->asked && n > 0) {
            flow->have = (size_t)n;
            flow->from = 0;
            if (stream->in_at >= 0)
                stream->in_at += n;
        }
        return 0;
    case HALO_HELPER_IDLE:
        flow->asked = true;
        halo__helper_look(helper);
        return -EAGAIN;
    default:
        return -EAGAIN;
    }
}

/* A local file never waits, as poll sees it. */
int64_t halo__fd_ready(struct halo_streams *streams, struct halo_stream *stream)
{
    struct pollfd pollfd = {.fd = stream->fd, .events = POLLIN};
    int n;

    switch (stream->manner) {
    case HALO_MANNER_MEMORY:
    case HALO_MANNER_FILE:
        return 0;
    case HALO_MANNER_HELPER:
        return helper_ready(streams, stream);
    default:
        break;
    }
    do
        n = poll(&pollfd, 1, 0);
    while (n < 0 && errno == EINTR);
    return n == 0 ? -EAGAIN : 0;
}

int64_t halo__fd_move(struct halo_streams *streams, struct halo_stream *stream,
                      const struct iovec *iov, int count, bool write)
{
    struct halo_flow *flow = write ? &stream->out : &stream->in;
    int64_t n;

    do {
        switch (stream->manner) {
        case HALO_MANNER_SOCKET:
            n = socket_move(stream, iov, count, write);
            break;
        case HALO_MANNER_FILE:
            return file_move(streams, stream, flow, iov, count, write);
        case HALO_MANNER_HELPER:
            return helper_move(streams, stream, flow, iov, count, write);
        default:
            halo__signals_borrow(streams->signals);
            n = plain_move(stream, iov, count, write);
        }
    } while (n == -EINTR);
    return n;
}

/*
 * A connection may be gone between poll and accept, which would then wait for the next: the
 * listening socket is non-blocking. The flag is also its other holders', so it is looked at again.
 */
int halo__fd_accept(struct halo_stream *stream)
{
    const int flags = fcntl(stream->fd, F_GETFL);
    int fd;

    if (!(flags & O_NONBLOCK) && fcntl(stream->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    fd = halo__fd_high(accept4(stream->fd, NULL, NULL, SOCK_CLOEXEC));
    return fd < 0 ? -errno : fd;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

uint32_t halo__fd_events(const struct halo_stream *stream, bool in, bool out)
{
    if (stream->polled.fd != stream->fd)
        return in || out ? EPOLLIN : 0; /* its helpers' */
    return (in ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u);
}
