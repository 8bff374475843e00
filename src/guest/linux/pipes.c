/*
 * Pipes of one program: what it writes waits in its own memory until it reads it.
 *
 * Where Linux would let the only thread wait for what nobody else can do, for bytes that only it
 * could write or for room that only it could make, the call fails with EDEADLK.
 */
#include "calls.h"
#include <string.h>

enum {
    O_ACCMODE_ = 3,
    O_WRONLY_ = 1,
    O_NONBLOCK_ = 0x800,
    O_CLOEXEC_ = 0x80000,
    ATOMIC = 4096, /* PIPE_BUF: up to so many bytes go in whole, or not at all */
    SIGPIPE_ = 13,
};

struct linux_pipe {
    uint32_t ends[2]; /* open files that read it, and that write it */
    uint32_t from, len;
    unsigned char bytes[LINUX_PIPE_ROOM];
};

static bool writes(const struct linux_open *open)
{
    return (open->flags & O_ACCMODE_) == O_WRONLY_;
}

/* --- Making and closing ----------------------------------------------------------------------- */

static int64_t make_end(struct linux_table *table, struct linux_pipe *pipe, uint32_t flags)
{
    struct linux_open *open = NULL;
    const int64_t number = linux_descriptor_make(table, LINUX_PIPE, flags, &open);

    if (number >= 0) {
        open->pipe = pipe;
        pipe->ends[writes(open)]++;
    }
    return number;
}

static int64_t make_pipe(struct linux_table *table, uint64_t address, uint32_t flags)
{
    struct linux_pipe *pipe;
    int64_t ends[2];
    int32_t numbers[2];

    ends[0] = linux_lowest(table, 0);
    ends[1] = ends[0] < 0 ? ends[0] : linux_lowest(table, (uint64_t)ends[0] + 1);
    if (ends[1] < 0)
        return ends[1];
    if (!linux_may_write(table, address, sizeof(numbers)))
        return -L_EFAULT;
    pipe = linux_pages_take(table, sizeof(*pipe));
    if (!pipe)
        return -L_ENFILE;
    pipe->ends[0] = pipe->ends[1] = pipe->from = pipe->len = 0;
    numbers[0] = (int32_t)make_end(table, pipe, flags);
    numbers[1] = (int32_t)make_end(table, pipe, flags | O_WRONLY_);
    return linux_give(table, address, numbers, sizeof(numbers));
}

int64_t linux_make_pipe(struct linux_table *table, const uint64_t *args)
{
    return make_pipe(table, args[0], 0);
}

int64_t linux_make_pipe2(struct linux_table *table, const uint64_t *args)
{
    const uint32_t flags = (uint32_t)args[1];

    if (flags & ~(uint32_t)(O_NONBLOCK_ | O_CLOEXEC_))
        return -L_EINVAL;
    return make_pipe(table, args[0], flags);
}

void linux_pipe_closed(struct linux_table *table, const struct linux_open *open)
{
    struct linux_pipe *pipe = open->pipe;

    pipe->ends[writes(open)]--;
    linux_threads_stir(table);
    if (pipe->ends[0] + pipe->ends[1] == 0)
        linux_pages_give(table, pipe, sizeof(*pipe));
}

/* --- Reading and writing ---------------------------------------------------------------------- */

static int64_t would_wait(struct linux_table *table, const struct linux_open *open)
{
    if (open->flags & O_NONBLOCK_)
        return -L_EAGAIN;
    if (linux_has_threads(table)) {
        switch (linux_thread_wait(table, LINUX_WAITS_PIPE, 0, INT64_MAX)) {
        case LINUX_INTERRUPTED:
            return -L_ERESTARTSYS;
        case LINUX_NEVER:
            return -L_EDEADLK;
        default:
            return -L_AGAIN_FROM_START;
        }
    }
    return linux_wait_for_signal(table, -L_ERESTARTSYS, -L_EDEADLK);
}

int64_t linux_pipe_read(struct linux_table *table, const struct linux_open *open, void *to,
                        uint64_t len)
{
    struct linux_pipe *pipe = open->pipe;
    const uint32_t part = len < pipe->len ? (uint32_t)len : pipe->len;
    const uint32_t to_end = LINUX_PIPE_ROOM - pipe->from, first = part < to_end ? part : to_end;

    if (len == 0)
        return 0;
    if (pipe->len == 0)
        return pipe->ends[1] == 0 ? 0 : would_wait(table, open);
    memcpy(to, pipe->bytes + pipe->from, first);
    if (part > first)
        memcpy((unsigned char *)to + first, pipe->bytes, part - first);
    pipe->from = (pipe->from + part) % LINUX_PIPE_ROOM;
    pipe->len -= part;
    linux_threads_stir(table);
    return part;
}

int64_t linux_pipe_write(struct linux_table *table, const struct linux_open *open, const void *from,
                         uint64_t len)
{
    struct linux_pipe *pipe = open->pipe;
    const uint32_t room = LINUX_PIPE_ROOM - pipe->len, part = len < room ? (uint32_t)len : room;
    const uint32_t end = (pipe->from + pipe->len) % LINUX_PIPE_ROOM;
    const uint32_t to_end = LINUX_PIPE_ROOM - end, first = part < to_end ? part : to_end;

    if (len == 0)
        return 0;
    if (pipe->ends[0] == 0) {
        linux_raise(table, SIGPIPE_);
        return -L_EPIPE;
    }
    if (room == 0 || (len <= ATOMIC && room < len))
        return would_wait(table, open);
    memcpy(pipe->bytes + end, from, first);
    if (part > first)
        memcpy(pipe->bytes, (const unsigned char *)from + first, part - first);
    pipe->len += part;
    linux_threads_stir(table);
    return part;
}

int64_t linux_pipe_ioctl(struct linux_table *table, const struct linux_open *open, uint64_t request,
                         uint64_t address)
{
    enum { FIONREAD = 0x541b };
    const int32_t len = (int32_t)open->pipe->len;

    if ((uint32_t)request != FIONREAD)
        return -L_ENOTTY;
    return linux_give(table, address, &len, sizeof(len));
}

int16_t linux_pipe_poll(const struct linux_open *open)
{
    enum { IN = 0x41, OUT = 0x104, ERR = 8, HUP = 0x10 }; /* POLLIN, POLLRDNORM; POLLOUT, … */
    const struct linux_pipe *pipe = open->pipe;

    if (writes(open))
        return (int16_t)((pipe->len < LINUX_PIPE_ROOM ? OUT : 0) | (pipe->ends[0] == 0 ? ERR : 0));
    return (int16_t)((pipe->len > 0 ? IN : 0) | (pipe->ends[1] == 0 ? HUP : 0));
}
