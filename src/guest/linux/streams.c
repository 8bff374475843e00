/* Descriptors, and what is done with streams and files alike. */
#include "calls.h"
#include <string.h>

enum {
    O_ACCMODE_ = 3,
    O_WRONLY_ = 1,
    O_RDWR_ = 2,
    O_APPEND_ = 0x400,
    O_NONBLOCK_ = 0x800,
    O_CLOEXEC_ = 0x80000,
    COUNT_MAX = 0x7ffff000, /* MAX_RW_COUNT */
    VECTORS_MAX = 1024,
    GATHER = 4096, /* small vectors go together */
    SIGPIPE_ = 13,
    POLLIN_ = 1,
};

struct vector {
    uint64_t base, len;
};

/* --- Descriptors ------------------------------------------------------------------------------ */

static void let_go(struct linux_table *table, struct linux_descriptor *descriptor)
{
    struct linux_open *open = descriptor->open;

    descriptor->open = NULL;
    if (--open->count > 0)
        return;
    if (open->kind == LINUX_FILE)
        linux_file_closed(table, open->file);
    if (open->kind == LINUX_PIPE)
        linux_pipe_closed(table, open);
    open->kind = LINUX_FREE;
}

int64_t linux_close(struct linux_table *table, const uint64_t *args)
{
    struct linux_descriptor *descriptor = linux_descriptor_of(table, args[0]);

    if (!descriptor)
        return -L_EBADF;
    let_go(table, descriptor);
    return 0;
}

static int64_t dup_to(struct linux_table *table, struct linux_open *open, int64_t number,
                      bool is_cloexec)
{
    struct linux_descriptor *descriptor;

    if (number < 0)
        return number;
    open->count++;
    descriptor = &table->descriptors[number];
    if (descriptor->open)
        let_go(table, descriptor);
    *descriptor = (struct linux_descriptor){open, is_cloexec};
    return number;
}

int64_t linux_dup(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = linux_open_of(table, args[0]);

    return open ? dup_to(table, open, linux_lowest(table, 0), false) : -L_EBADF;
}

int64_t linux_dup2(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = linux_open_of(table, args[0]);
    const uint32_t to = (uint32_t)args[1];

    if (!open || to >= LINUX_DESCRIPTORS)
        return -L_EBADF;
    return to == (uint32_t)args[0] ? (int64_t)to : dup_to(table, open, to, false);
}

int64_t linux_dup3(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = linux_open_of(table, args[0]);
    const uint32_t to = (uint32_t)args[1];

    if (((uint32_t)args[2] & ~(uint32_t)O_CLOEXEC_) || to == (uint32_t)args[0])
        return -L_EINVAL;
    if (!open || to >= LINUX_DESCRIPTORS)
        return -L_EBADF;
    return dup_to(table, open, to, (args[2] & O_CLOEXEC_) != 0);
}

int64_t linux_fcntl(struct linux_table *table, const uint64_t *args)
{
    enum {
        DUPFD = 0,
        GETFD = 1,
        SETFD = 2,
        GETFL = 3,
        SETFL = 4,
        GETLK = 5,
        SETLK = 6,
        SETLKW = 7,
        DUPFD_CLOEXEC = 1030,
        GETPIPE_SZ = 1032
    };
    struct linux_descriptor *descriptor = linux_descriptor_of(table, args[0]);
    const uint32_t changeable = O_APPEND_ | O_NONBLOCK_;
    struct linux_open *open;

    if (!descriptor)
        return -L_EBADF;
    open = descriptor->open;
    switch ((uint32_t)args[1]) {
    case DUPFD:
    case DUPFD_CLOEXEC:
        if ((uint32_t)args[2] >= LINUX_DESCRIPTORS)
            return -L_EINVAL;
        return dup_to(table, open, linux_lowest(table, (uint32_t)args[2]),
                      (uint32_t)args[1] == DUPFD_CLOEXEC);
    case GETFD:
        return descriptor->is_cloexec;
    case SETFD:
        descriptor->is_cloexec = args[2] & 1;
        return 0;
    case GETFL:
        return open->flags;
    case SETFL:
        open->flags = (open->flags & ~changeable) | ((uint32_t)args[2] & changeable);
        return 0;
    case GETLK: { /* nobody else holds a lock */
        const int16_t unlocked = 2;

        return linux_give(table, args[2], &unlocked, sizeof(unlocked));
    }
    case SETLK:
    case SETLKW:
        return linux_may_read(table, args[2], 32) ? 0 : -L_EFAULT;
    case GETPIPE_SZ:
        return open->kind == LINUX_PIPE || open->kind == LINUX_STREAM ? (int64_t)LINUX_PIPE_ROOM
                                                                      : -L_EBADF;
    default:
        return -L_EINVAL;
    }
}

/* --- Reading and writing ---------------------------------------------------------------------- */

static struct linux_open *to_read(struct linux_table *table, uint64_t number)
{
    struct linux_open *open = linux_open_of(table, number);

    return open && (open->flags & O_ACCMODE_) != O_WRONLY_ ? open : NULL;
}

static struct linux_open *to_write(struct linux_table *table, uint64_t number)
{
    struct linux_open *open = linux_open_of(table, number);

    return open && (open->flags & O_ACCMODE_) != 0 ? open : NULL;
}

/* While a timer runs, or a signal may come from outside, that may be before there is something. */
static int64_t read_stream(struct linux_table *table, uint32_t handle, void *to, uint64_t len)
{
    const int64_t next = linux_timers_next(table);

    if (linux_has_threads(table) && !table->host->readable(table->host->context, handle, 0)) {
        if (linux_thread_wait(table, LINUX_WAITS_INPUT, handle, INT64_MAX) == LINUX_INTERRUPTED)
            return -L_ERESTARTSYS;
        return -L_AGAIN_FROM_START;
    }
    if ((next < INT64_MAX || linux_may_be_raised(table)) &&
        !table->host->readable(table->host->context, handle, next)) {
        linux_timers_look(table);
        if (linux_is_interrupted(table))
            return -L_ERESTARTSYS;
    }
    return table->host->read(table->host->context, handle, to, len);
}

static int64_t read_some(struct linux_table *table, struct linux_open *open, void *to, uint64_t len)
{
    int64_t got;

    if (len > COUNT_MAX)
        len = COUNT_MAX;
    switch (open->kind) {
    case LINUX_STREAM:
        return len ? read_stream(table, open->handle, to, len) : 0;
    case LINUX_ZERO:
        if (len > 0)
            memset(to, 0, len);
        return (int64_t)len;
    case LINUX_RANDOM:
        linux_random(table, to, len);
        return (int64_t)len;
    case LINUX_PIPE:
        return linux_pipe_read(table, open, to, len);
    case LINUX_FILE:
        got = linux_file_read(open->file, open->offset, to, len);
        if (got > 0)
            open->offset += got;
        return got;
    default:
        return 0;
    }
}

static int64_t write_some(struct linux_table *table, struct linux_open *open, const void *from,
                          uint64_t len)
{
    int64_t put;

    if (len > COUNT_MAX)
        len = COUNT_MAX;
    switch (open->kind) {
    case LINUX_STREAM:
        put = len ? table->host->write(table->host->context, open->handle, from, len) : 0;
        if (put == -L_EPIPE)
            linux_raise(table, SIGPIPE_);
        return put;
    case LINUX_PIPE:
        return linux_pipe_write(table, open, from, len);
    case LINUX_FILE:
        if (open->flags & O_APPEND_ && len > 0) /* a write of nothing moves nothing */
            open->offset = (int64_t)open->file->len;
        put = linux_file_write(table, open->file, open->offset, from, len);
        if (put > 0)
            open->offset += put;
        return put;
    default:
        return (int64_t)len;
    }
}

static int64_t read_once(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = to_read(table, args[0]);

    if (!open)
        return -L_EBADF;
    if (!linux_may_write(table, args[1], args[2]))
        return -L_EFAULT;
    return read_some(table, open, (void *)(uintptr_t)args[1], args[2]);
}

int64_t linux_read(struct linux_table *table, const uint64_t *args)
{
    int64_t got;

    do
        got = read_once(table, args);
    while (got == -L_AGAIN_FROM_START);
    return got;
}

/*
 * A thread waits until all of it is in a pipe, as on Linux; and looks at everything anew when it
 * has waited.
 */
static int64_t write_all(struct linux_table *table, uint64_t number, uint64_t from, uint64_t len)
{
    uint64_t done = 0;
    int64_t put;

    for (;;) {
        struct linux_open *open = to_write(table, number);

        if (!open)
            put = -L_EBADF;
        else if (!linux_may_read(table, from + done, len - done))
            put = -L_EFAULT;
        else
            put = write_some(table, open, (const void *)(uintptr_t)(from + done), len - done);
        if (put == -L_AGAIN_FROM_START)
            continue;
        if (put < 0)
            return done ? (int64_t)done : put;
        done += (uint64_t)put;
        if (done >= len || !linux_has_threads(table) || open->kind != LINUX_PIPE ||
            open->flags & O_NONBLOCK_)
            return (int64_t)done;
    }
}

int64_t linux_write(struct linux_table *table, const uint64_t *args)
{
    return write_all(table, args[0], args[1], args[2]);
}

/*
 * The program's vectors, copied, for what is read may come to lie over them. All are checked before
 * anything is moved.
 */
static int64_t take_vectors(const struct linux_table *table, const uint64_t *args, bool is_read,
                            struct vector *vectors, uint64_t *total)
{
    *total = 0;
    if (args[2] > VECTORS_MAX)
        return -L_EINVAL;
    if (linux_take(table, args[1], vectors, args[2] * sizeof(*vectors)))
        return -L_EFAULT;
    for (uint64_t i = 0; i < args[2]; i++) {
        const struct vector *vector = &vectors[i];

        if ((int64_t)vector->len < 0)
            return -L_EINVAL;
        if (is_read ? !linux_may_write(table, vector->base, vector->len)
                    : !linux_may_read(table, vector->base, vector->len))
            return -L_EFAULT;
        *total += vector->len;
        if (*total > COUNT_MAX)
            *total = COUNT_MAX;
    }
    return 0;
}

/*
 * What a read brings at once goes to the vectors in turn: a second read could have to wait for what
 * nobody asked for.
 */
static int64_t scatter(struct linux_table *table, struct linux_open *open,
                       const struct vector *vectors, uint64_t total)
{
    unsigned char bytes[GATHER];
    const int64_t got = read_some(table, open, bytes, total);
    int64_t done = 0;

    for (uint64_t i = 0; done < got; i++) {
        const struct vector vector = vectors[i];
        const uint64_t left = (uint64_t)(got - done), part = vector.len < left ? vector.len : left;

        if (part > 0)
            memcpy((void *)(uintptr_t)vector.base, bytes + done, part);
        done += (int64_t)part;
    }
    return got;
}

static int64_t readv_once(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = to_read(table, args[0]);
    struct vector vectors[VECTORS_MAX];
    uint64_t total, done = 0;
    int64_t error;

    if (!open)
        return -L_EBADF;
    error = take_vectors(table, args, true, vectors, &total);
    if (error)
        return error;
    if (total <= GATHER)
        return scatter(table, open, vectors, total);
    for (uint64_t i = 0; i < args[2]; i++) {
        const struct vector vector = vectors[i];
        int64_t got;

        if (vector.len == 0)
            continue;
        got = read_some(table, open, (void *)(uintptr_t)vector.base, vector.len);
        if (got < 0)
            return done ? (int64_t)done : got;
        done += (uint64_t)got;
        if (open->kind == LINUX_STREAM || (uint64_t)got < vector.len ||
            (open->kind == LINUX_PIPE && !(linux_pipe_poll(open) & POLLIN_)))
            break;
    }
    return (int64_t)done;
}

int64_t linux_readv(struct linux_table *table, const uint64_t *args)
{
    int64_t got;

    do
        got = readv_once(table, args);
    while (got == -L_AGAIN_FROM_START);
    return got;
}

int64_t linux_writev(struct linux_table *table, const uint64_t *args)
{
    struct vector vectors[VECTORS_MAX];
    uint64_t total, done = 0;
    int64_t error;

    if (!to_write(table, args[0]))
        return -L_EBADF;
    error = take_vectors(table, args, false, vectors, &total);
    for (uint64_t i = 0; !error && i < args[2]; i++) {
        const struct vector vector = vectors[i];
        const int64_t put = write_all(table, args[0], vector.base, vector.len);

        if (put < 0)
            return done ? (int64_t)done : put;
        done += (uint64_t)put;
        if ((uint64_t)put < vector.len)
            break;
    }
    return error ? error : (int64_t)done;
}

/* The open file of pread or pwrite, whose bytes the program may name: 0, or why not. */
static int64_t check_placed(struct linux_table *table, const uint64_t *args, bool writes,
                            struct linux_open **open)
{
    *open = linux_open_of(table, args[0]);
    if ((int64_t)args[3] < 0)
        return -L_EINVAL;
    if (!*open)
        return -L_EBADF;
    if ((*open)->kind == LINUX_STREAM || (*open)->kind == LINUX_PIPE)
        return -L_ESPIPE;
    if (!(writes ? to_write(table, args[0]) : to_read(table, args[0])))
        return -L_EBADF;
    if (!(writes ? linux_may_read(table, args[1], args[2])
                 : linux_may_write(table, args[1], args[2])))
        return -L_EFAULT;
    return 0;
}

int64_t linux_pread(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open;
    const int64_t error = check_placed(table, args, false, &open);

    if (error)
        return error;
    if (open->kind != LINUX_FILE)
        return read_some(table, open, (void *)(uintptr_t)args[1], args[2]);
    return linux_file_read(open->file, (int64_t)args[3], (void *)(uintptr_t)args[1],
                           args[2] < COUNT_MAX ? args[2] : COUNT_MAX);
}

int64_t linux_pwrite(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open;
    const int64_t error = check_placed(table, args, true, &open);

    if (error)
        return error;
    if (open->kind != LINUX_FILE)
        return (int64_t)args[2];
    return linux_file_write(
        table, open->file, open->flags & O_APPEND_ ? (int64_t)open->file->len : (int64_t)args[3],
        (const void *)(uintptr_t)args[1], args[2] < COUNT_MAX ? args[2] : COUNT_MAX);
}

int64_t linux_lseek(struct linux_table *table, const uint64_t *args)
{
    enum { SET = 0, CUR = 1, END = 2 };
    struct linux_open *open = linux_open_of(table, args[0]);
    int64_t from = 0, to;

    if (!open)
        return -L_EBADF;
    if (open->kind == LINUX_STREAM || open->kind == LINUX_PIPE)
        return -L_ESPIPE;
    if ((uint32_t)args[2] > END)
        return -L_EINVAL;
    if (open->kind != LINUX_FILE)
        return 0;
    if ((uint32_t)args[2] == CUR)
        from = open->offset;
    if ((uint32_t)args[2] == END)
        from = (int64_t)open->file->len;
    if (__builtin_add_overflow(from, (int64_t)args[1], &to) || to < 0)
        return -L_EINVAL;
    open->offset = to;
    return to;
}

/* No stream is a terminal, as far as the guest is told. */
int64_t linux_ioctl(struct linux_table *table, const uint64_t *args)
{
    const struct linux_open *open = linux_open_of(table, args[0]);

    if (!open)
        return -L_EBADF;
    return open->kind == LINUX_PIPE ? linux_pipe_ioctl(table, open, args[1], args[2]) : -L_ENOTTY;
}
