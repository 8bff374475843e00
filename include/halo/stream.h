/*
 * Streams, from the host's end: what a guest's bytes come from and go to.
 *
 *     uint32_t handle;
 *
 *     halo_attach(box, HALO_STDIN, halo_end_fd(STDIN_FILENO));
 *     halo_offer(box, "config", halo_end_memory(text, strlen(text), NULL, 0), HALO_IN, NULL);
 *     halo_offer(box, NULL, halo_end_fd(socket), HALO_IN | HALO_OUT, &handle);
 *     halo_call(box, &future, serve, HALO_FOREVER, halo_u32(handle));
 *
 * A guest has the streams that it is given and no others: the standard ones, those that it may open
 * by a name, and those whose handle it is told, as the argument of a call. It never names a path.
 * Bytes go straight between the end and the guest's memory (docs/protocol.md, section 5).
 *
 * All functions are for the thread that uses the sandbox. They may also be called inside functions
 * that the guest calls, where waiting for what the guest does behind that call is HALO_EDEADLOCK;
 * not inside those of halo_end_functions.
 */
#ifndef HALO_STREAM_H
#define HALO_STREAM_H

#include <halo/abi.h>
#include <halo/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct halo_sandbox;

/* --- Ends ------------------------------------------------------------------------------------- */

enum halo_end_kind {
    HALO_END_NONE = 0,
    HALO_END_FD,
    HALO_END_MEMORY,
    HALO_END_FUNCTIONS,
    HALO_END_HOST,
};

/*
 * Functions as an end. `read` fills `to` with up to `len` bytes, at least one, and `write` takes up
 * to `len` bytes of `from`; they return how many, 0 for the end of what is read, -EAGAIN where they
 * would have to wait, or another negative errno. The bytes are in the guest's memory: what is read
 * twice may differ. They must not use the sandbox. `closed`, where there is one, is called when the
 * stream is closed for good.
 */
struct halo_end_functions {
    int64_t (*read)(void *context, void *to, size_t len);
    int64_t (*write)(void *context, const void *from, size_t len);
    void (*closed)(void *context);
};

/* What a stream is connected to. Make one by the functions below. */
struct halo_end {
    enum halo_end_kind kind;
    int fd;
    bool given;
    int64_t offset;
    const void *from;
    size_t from_len;
    void *to;
    size_t to_max;
    const struct halo_end_functions *functions;
    void *context;
};

/* Private: one without what only some kinds have. */
static inline struct halo_end halo__end(enum halo_end_kind kind, int fd)
{
    struct halo_end end;

    __builtin_memset(&end, 0, sizeof(end));
    end.kind = kind;
    end.fd = fd;
    return end;
}

/*
 * A file, pipe, socket or terminal. The stream has a duplicate of the descriptor: the caller may
 * close its own at once. Its flags are not changed, but for a listening socket, which becomes
 * non-blocking: reading from that accepts connections, and gives the guest their handles, uint32_t
 * each, as many as there are and fit. One of Halo's own is refused.
 */
static inline struct halo_end halo_end_fd(int fd)
{
    struct halo_end end = halo__end(HALO_END_FD, fd);

    end.offset = -1;
    return end;
}

/*
 * The same for a descriptor that is given away: it is the caller's no more, and what it is open for
 * is nobody else's. Where the guest ends its writes, a socket that was given is shut down; one
 * that others hold goes on for them.
 */
static inline struct halo_end halo_end_given(int fd)
{
    struct halo_end end = halo__end(HALO_END_FD, fd);

    end.given = true;
    end.offset = -1;
    return end;
}

/* A file, read and written from an offset on, up to INT64_MAX, whatever its descriptor's own is. */
static inline struct halo_end halo_end_file(int fd, uint64_t offset)
{
    struct halo_end end = halo__end(HALO_END_FD, fd);

    end.offset = offset > INT64_MAX ? INT64_MIN : (int64_t)offset; /* which is refused */
    return end;
}

/*
 * Memory: the guest reads `from_len` bytes of `from`, and its first `to_max` bytes are written to
 * `to`; more of them fail with ENOSPC. Both must last until the stream is closed.
 */
static inline struct halo_end halo_end_memory(const void *from, size_t from_len, void *to,
                                              size_t to_max)
{
    struct halo_end end = halo__end(HALO_END_MEMORY, 0);

    end.from = from;
    end.from_len = from_len;
    end.to = to;
    end.to_max = to_max;
    return end;
}

/*
 * Functions. After -EAGAIN they are called again when `fd` becomes readable; without one, -1, when
 * the guest is next run from outside. `functions` must last until the stream is closed.
 */
static inline struct halo_end halo_end_functions(const struct halo_end_functions *functions,
                                                 void *context, int fd)
{
    struct halo_end end = halo__end(HALO_END_FUNCTIONS, fd);

    end.functions = functions;
    end.context = context;
    return end;
}

/* The caller itself, with halo_stream_write, halo_stream_read and the others below. */
static inline struct halo_end halo_end_host(void)
{
    return halo__end(HALO_END_HOST, -1);
}

/* --- Giving streams to a guest ---------------------------------------------------------------- */

/*
 * Connect one of the standard streams; one without an end answers EBADF. The guest reads HALO_STDIN
 * and writes the others. Returns 0; HALO_EINVAL for a bad handle or an invalid end;
 * HALO_ESTATE where requests for it are in flight, or it was closed; HALO_EHOST where the
 * descriptor cannot be duplicated.
 */
int halo_attach(struct halo_sandbox *box, uint32_t handle, struct halo_end end);

/*
 * Make a stream, for which the guest may do `ways`: enum halo_way, one or both. With a name, of 1
 * to HALO_STREAM_NAME_MAX bytes, the guest can open it; its handle can be told to the guest in any
 * case. Returns 0 and the handle, where that is asked for; HALO_EINVAL for an end, ways or a name
 * that break their rules, or a name that is taken; HALO_EFULL where there are HALO_STREAMS_MAX
 * streams; HALO_EHOST, HALO_ENOMEM.
 */
int halo_offer(struct halo_sandbox *box, const char *name, struct halo_end end, uint32_t ways,
               uint32_t *handle);

/*
 * Take a stream away: requests in flight fail with ECANCELED, later ones with ESTALE. Returns 0, or
 * HALO_ESTALE where there is no such stream, for the guest may have closed it.
 */
int halo_stream_close(struct halo_sandbox *box, uint32_t handle);

struct halo_stream_stats {
    uint64_t bytes_in;   /* that the guest has read */
    uint64_t bytes_out;  /* that it has written */
    int32_t write_error; /* the errno of the first write that failed, or 0 */
};

/* What went through a stream. Returns 0, or HALO_ESTALE. */
int halo_stream_stats(struct halo_sandbox *box, uint32_t handle, struct halo_stream_stats *stats);

/* --- The host as the other end ---------------------------------------------------------------- */

/*
 * For streams of halo_end_host. Those with a timeout, in ns, run the guest where they have to wait
 * for it. They return the codes of halo_wait, and
 *   HALO_EINVAL  the stream's end is another, or the guest may not do this way
 *   HALO_ESTALE  there is no such stream, or it was closed
 *   HALO_ENOMEM  there is no memory behind the guest's buffer
 */

/*
 * The next bytes that the guest has written, where they lie: no copy is made. They are valid until
 * the next such call for this stream, or anything that runs the guest: then its write is answered.
 * They are the guest's memory: what is looked at twice may differ. Returns their count; 0 at the
 * end, which is where the guest has ended its writes or has itself ended.
 */
int64_t halo_stream_peek(struct halo_sandbox *box, uint32_t handle, const void **bytes,
                         int64_t timeout_ns);

/* The same, copied: 1 to `max` bytes, or 0 at the end. */
int64_t halo_stream_read(struct halo_sandbox *box, uint32_t handle, void *to, size_t max,
                         int64_t timeout_ns);

/*
 * Write bytes for the guest to read, straight into the buffers that it has posted. One that is not
 * full goes to the guest with the next flush, or when anything runs the guest. Returns how many
 * were taken: all of them, or fewer where the time was over; or an error where that is none.
 * HALO_EIO where the guest reads no more.
 */
int64_t halo_stream_write(struct halo_sandbox *box, uint32_t handle, const void *from, size_t len,
                          int64_t timeout_ns);

/*
 * The same without a copy: `room` is where the next bytes go, in a buffer of the guest's; returns
 * its length. After filling the first bytes of it, say how many by halo_stream_commit, before
 * anything runs the guest. That returns 0, or HALO_EINVAL where there is no such room.
 */
int64_t halo_stream_reserve(struct halo_sandbox *box, uint32_t handle, void **room,
                            int64_t timeout_ns);
int halo_stream_commit(struct halo_sandbox *box, uint32_t handle, size_t len);

/* Give the guest what was written; it sees it when it next runs. 0, or an error as above. */
int halo_stream_flush(struct halo_sandbox *box, uint32_t handle);

/* There will be no more for the guest to read: after what was written it finds the end. */
int halo_stream_end(struct halo_sandbox *box, uint32_t handle);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
