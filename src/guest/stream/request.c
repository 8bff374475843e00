/*
 * A guest's requests for streams. Each is a future, as a call is: a read's result are the bytes
 * that came, a write's those that went.
 */
#include "stream.h"
#include "../port.h"

#define IO_COUNT 64u /* more come from the heap */
#define BUF_MAX 128u

static struct {
    struct halo__io ios[IO_COUNT];
    struct halo__io *free_io;
    struct halo_pool bufs;
    uint32_t buf_next[BUF_MAX];
    /* By the place in a handle, and by way: what is in flight, which a window bounds. */
    struct window {
        uint32_t count, bytes;
    } windows[HALO_STREAMS_MAX][2];
} streams;

struct halo__memory halo__stream_start(struct halo__memory memory)
{
    const uint64_t count = memory.len / HALO_STREAM_BUF;

    halo__check(halo_pool_init(&streams.bufs, memory.base, HALO_STREAM_BUF,
                               count < BUF_MAX ? (uint32_t)count : BUF_MAX, streams.buf_next),
                "the pool is too small");
    for (uint32_t i = IO_COUNT; i-- > 0;) {
        streams.ios[i].next = streams.free_io;
        streams.free_io = &streams.ios[i];
    }
    return (struct halo__memory){NULL, 0};
}

/* --- Answers ---------------------------------------------------------------------------------- */

static struct window *window_of(uint32_t handle, bool is_write)
{
    return &streams.windows[handle % HALO_STREAMS_MAX][is_write];
}

bool halo__window_has_room(uint32_t handle, bool is_write, uint32_t len)
{
    const struct window *window = window_of(handle, is_write);

    return window->count < HALO_WINDOW_REQUESTS && len <= HALO_WINDOW_BYTES - window->bytes;
}

int halo__stream_error(int32_t os_error)
{
    enum { ENOENT_ = 2, ESTALE_ = 116 };

    if (os_error == ENOENT_)
        return HALO_ENAME;
    return os_error == ESTALE_ ? HALO_ESTALE : HALO_EIO;
}

/*
 * Write down what an answer says. The bytes that were read lie in the buffer that was lent for
 * them; the header, and an error, are read from a private copy.
 */
static bool answered(struct halo_op *op, struct halo_answer *answer)
{
    struct halo_future *future = (struct halo_future *)op;
    struct window *window = window_of(future->ticket, future->kind == HALO_KIND_STREAM_WRITE);
    struct halo_stream_error error = {0};
    struct halo_message message;

    if (halo_answer_read(&halo__port, answer, &message, sizeof(message)) != sizeof(message) ||
        message.length > answer->left)                  /* DRV-08 */
        halo_panic("the host sent a malformed answer"); /* DRV-05 */
    window->count--;
    window->bytes -= future->length;
    if (message.kind == HALO_KIND_ERROR) {
        (void)halo_answer_read(&halo__port, answer, &error, sizeof(error));
        future->code = error.error;
        future->error = halo__stream_error(error.error);
        future->text = halo_strerror(future->error);
    } else if (future->kind == HALO_KIND_STREAM_READ) {
        future->result.len = message.length <= future->length ? message.length : future->length;
    }
    future->done = true;
    return false;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* A header, and the buffer; and room for the answer. */
static int build(struct halo_send *send, enum halo_kind kind, uint32_t handle, uint32_t ways,
                 const void *buf, uint32_t len)
{
    const bool reads = kind == HALO_KIND_STREAM_READ, writes = kind == HALO_KIND_STREAM_WRITE;
    const struct {
        struct halo_message message;
        struct halo_stream_request stream;
    } request = {
        .message = {.kind = (uint8_t)kind,
                    .length = (uint32_t)sizeof(request.stream) + (writes ? len : 0)},
        .stream = {.handle = handle, .ways = ways},
    };
    int error;

    halo_send_begin(send, &halo__port);
    error = halo_send_write(send, &request, sizeof(request));
    if (!error && writes)
        error = halo_send_lend_readable(send, buf, len);
    if (!error)
        error = halo_send_writable(send, sizeof(struct halo_message) +
                                             (reads ? 0 : sizeof(struct halo_stream_written)));
    if (!error && reads)
        error = halo_send_lend_writable(send, (void *)(uintptr_t)buf, len);
    if (error)
        halo_send_drop(send);
    return error;
}

void halo__stream_submit(struct halo_op *op, enum halo_kind kind, uint32_t handle, uint32_t ways,
                         const void *buf, uint32_t len)
{
    struct halo_send send;
    int error;

    while ((error = build(&send, kind, handle, ways, buf, len)) == HALO_ENOMEM)
        halo__port_wait();
    halo__check(error, "a request cannot be built");
    halo__port_submit(&send, op);
}

/* Add a request to what is in flight, when the window has room for it. */
static void start(struct halo_future *future, enum halo_kind kind, uint32_t handle, const void *buf,
                  uint32_t len)
{
    const bool is_write = kind == HALO_KIND_STREAM_WRITE;
    struct window *window = window_of(handle, is_write);

    *future = (struct halo_future){.op = {answered},
                                   .kind = (uint8_t)kind,
                                   .ticket = handle,
                                   .length = len,
                                   .text = "",
                                   .result = {.type = HALO_BYTES, .len = len, .bytes = buf}};
    while (!halo__window_has_room(handle, is_write, len))
        halo__port_wait();
    window->count++;
    window->bytes += len;
    halo__stream_submit(&future->op, kind, handle, 0, buf, len);
}

static int start_checked(struct halo_future *future, enum halo_kind kind, uint32_t handle,
                         const void *buf, size_t len)
{
    int error = len == 0 || len > HALO_WINDOW_BYTES ? HALO_EINVAL : 0;

    /* Room for any answer: HALO_ANSWER_MIN of the host's. */
    if (kind == HALO_KIND_STREAM_READ && len < sizeof(struct halo_stream_error))
        error = HALO_EINVAL;
    if (halo__on_stacks())
        error = HALO_ETRANSPORT;
    if (error) {
        *future = (struct halo_future){
            .done = true, .error = error, .text = halo_strerror(error), .result = halo_void()};
        return error;
    }
    start(future, kind, handle, buf, (uint32_t)len);
    return 0;
}

int halo_stream_read_start(struct halo_future *future, uint32_t handle, void *to, size_t len)
{
    return start_checked(future, HALO_KIND_STREAM_READ, handle, to, len);
}

int halo_stream_write_start(struct halo_future *future, uint32_t handle, const void *from,
                            size_t len)
{
    return start_checked(future, HALO_KIND_STREAM_WRITE, handle, from, len);
}

/* --- For readers and writers ------------------------------------------------------------------ */

struct halo__io *halo__io_alloc(void)
{
    struct halo__io *io = streams.free_io;

    if (io)
        streams.free_io = io->next;
    else
        io = malloc(sizeof(*io));
    return io;
}

void halo__io_free(struct halo__io *io)
{
    if (io->buf)
        halo__buf_free(io->buf);
    io->next = streams.free_io;
    streams.free_io = io;
}

static bool io_answered(struct halo_op *op, struct halo_answer *answer)
{
    struct halo__io *io = (struct halo__io *)op;

    (void)answered(op, answer);
    if (io->answered)
        io->answered(io);
    if (io->answered || io->abandoned)
        halo__io_free(io);
    return false;
}

void halo__io_start(struct halo__io *io, enum halo_kind kind, uint32_t handle, uint32_t len)
{
    io->abandoned = false;
    start(&io->future, kind, handle, io->buf, len);
    io->future.op.answered = io_answered;
}

void *halo__buf_alloc(uint32_t len)
{
    void *buf = len == HALO_STREAM_BUF ? halo_pool_alloc(&streams.bufs) : NULL;

    return buf ? buf : malloc(len);
}

void halo__buf_free(void *buf)
{
    if (halo_pool_free(&streams.bufs, buf))
        free(buf); /* it is not the pool's */
}

uint32_t halo__buf_count(void)
{
    return streams.bufs.free_count;
}
