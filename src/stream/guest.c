/*
 * Streams in the guest: requests are posted ahead, answers are taken when they are needed, and the
 * host is entered only when there is nothing left to do. protocol.md, section 5.
 */
#include "../guest/port.h"
#include "../guest/runtime.h"
#include "../guest/stack.h"

#define IO_COUNT 64u /* requests in flight, or answered and not looked at */
#define BUF_MAX 128u
/* Buffers that readers leave alone: what they read ahead must not keep a write from ever going out.
 */
#define WRITE_RESERVE 1u

/* A request from its posting until its answer was consumed. */
struct io {
    struct halo_op op;
    struct io *next; /* of the free ones */
    void *buf;
    uint32_t handle;
    bool is_write;
    bool abandoned; /* nobody waits for it: free it when it comes back */
    bool done;
    uint32_t len;  /* bytes read */
    int32_t error; /* errno of the host */
};

static struct {
    struct io ios[IO_COUNT];
    struct io *free_io;
    struct halo_pool bufs;
    uint32_t buf_next[BUF_MAX];
    uint32_t writes; /* in flight */
    /* By handle: a buffer that is not full yet, and the errno of the first write that failed. */
    struct {
        unsigned char *buf;
        uint32_t len;
        int32_t error;
    } out[HALO_STDERR + 1];
} streams;

void halo__stream_start(struct halo__port_rest pool)
{
    const uint64_t count = pool.len / HALO_STREAM_BUF;

    halo__check(halo_pool_init(&streams.bufs, pool.base, HALO_STREAM_BUF,
                               count < BUF_MAX ? (uint32_t)count : BUF_MAX, streams.buf_next),
                "the pool is too small");
    for (uint32_t i = IO_COUNT; i-- > 0;) {
        streams.ios[i].next = streams.free_io;
        streams.free_io = &streams.ios[i];
    }
}

static struct io *alloc_io(void)
{
    struct io *io = streams.free_io;

    if (io)
        streams.free_io = io->next;
    return io;
}

static void release(struct io *io)
{
    if (io->buf)
        halo_pool_free(&streams.bufs, io->buf);
    io->next = streams.free_io;
    streams.free_io = io;
}

/*
 * Write down what an answer says. The bytes that were read lie in the buffer that was lent for
 * them; the header, and an error, are read from a private copy.
 */
static bool answered(struct halo_op *op, struct halo_answer *answer)
{
    struct io *io = (struct io *)op;
    struct halo_stream_error error = {0};
    struct halo_message message;

    if (halo_answer_read(&halo__port, answer, &message, sizeof(message)) != sizeof(message) ||
        message.length > answer->left)                  /* DRV-08 */
        halo_panic("the host sent a malformed answer"); /* DRV-05 */
    io->done = true;
    if (message.kind == HALO_KIND_ERROR) {
        (void)halo_answer_read(&halo__port, answer, &error, sizeof(error));
        io->error = error.error ? error.error : -1;
    } else {
        io->len = io->is_write ? 0 : message.length;
    }
    if (io->is_write) {
        streams.writes--;
        if (io->error && !streams.out[io->handle].error)
            streams.out[io->handle].error = io->error;
    }
    if (io->is_write || io->abandoned)
        release(io);
    return false;
}

/* Put a request together out of a header, a stream buffer and room for the answer. */
static int build(struct halo_send *send, bool is_write, uint32_t handle, void *buf, uint32_t len)
{
    const struct {
        struct halo_message message;
        struct halo_stream_request stream;
    } request = {
        .message = {.kind = is_write ? HALO_KIND_STREAM_WRITE : HALO_KIND_STREAM_READ,
                    .length = (uint32_t)sizeof(request.stream) + (is_write ? len : 0)},
        .stream = {.handle = handle},
    };
    int error;

    halo_send_begin(send, &halo__port);
    error = halo_send_write(send, &request, sizeof(request));
    if (!error && is_write)
        error = halo_send_lend_readable(send, buf, len);
    if (!error)
        error = halo_send_writable(send, sizeof(struct halo_message) +
                                             (is_write ? sizeof(struct halo_stream_written) : 0));
    if (!error && !is_write)
        error = halo_send_lend_writable(send, buf, len);
    if (error)
        halo_send_drop(send);
    return error;
}

/* Submit a request with a stream buffer; both are the request's from here on. */
static struct io *post(struct io *io, bool is_write, uint32_t handle, void *buf, uint32_t len)
{
    struct halo_send send;
    int error;

    *io = (struct io){.op = {answered}, .buf = buf, .handle = handle, .is_write = is_write};
    while ((error = build(&send, is_write, handle, buf, len)) == HALO_ENOMEM)
        halo__port_wait();
    halo__check(error, "a request cannot be built");
    halo__port_submit(&send, &io->op);
    return io;
}

/* Add one more read to the end of a reader's circle. */
static void post_read(struct halo_reader *reader, struct io *io, void *buf)
{
    post(io, false, reader->handle, buf, HALO_STREAM_BUF);
    reader->ios[(reader->first + reader->count) % HALO_READER_DEPTH] = (uint16_t)(io - streams.ios);
    reader->count++;
}

int halo_reader_open(struct halo_reader *reader, uint32_t handle)
{
    *reader = (struct halo_reader){.handle = handle};
    if (halo__on_stacks())
        return HALO_ETRANSPORT;
    while (reader->count < HALO_READER_DEPTH) {
        void *buf = streams.bufs.free_count > WRITE_RESERVE ? halo_pool_alloc(&streams.bufs) : NULL;
        struct io *io = buf ? alloc_io() : NULL;

        if (!io) {
            if (buf)
                halo_pool_free(&streams.bufs, buf);
            break;
        }
        post_read(reader, io, buf);
    }
    halo__port_flush();
    return reader->count > 0 ? 0 : HALO_ENOMEM;
}

/* The buffer that the program has finished with is posted again, or freed at the end. */
static void give_back(struct halo_reader *reader)
{
    struct io *io;

    if (!reader->lent)
        return;
    io = reader->ended ? NULL : alloc_io();
    if (io) {
        post_read(reader, io, reader->lent);
        halo__port_flush();
    } else {
        halo_pool_free(&streams.bufs, reader->lent);
    }
    reader->lent = NULL;
}

/* The next buffer that was read: its length, 0 at the end, or HALO_EIO. */
static int64_t next_buffer(struct halo_reader *reader)
{
    struct io *io;
    int64_t len;

    give_back(reader);
    if (reader->os_error)
        return HALO_EIO;
    if (reader->ended || reader->count == 0)
        return 0;
    io = &streams.ios[reader->ios[reader->first]];
    if (!io->done) {
        halo__port_take();
        while (!io->done)
            halo__port_wait();
    }
    reader->first = (reader->first + 1) % HALO_READER_DEPTH;
    reader->count--;
    len = io->len;
    if (io->error || len == 0) {
        reader->os_error = io->error;
        reader->ended = true;
        release(io);
        return reader->os_error ? HALO_EIO : 0;
    }
    reader->lent = io->buf;
    io->buf = NULL;
    release(io);
    return len;
}

int64_t halo_reader_next(struct halo_reader *reader, const void **bytes)
{
    int64_t len = (int64_t)reader->left; /* of a buffer of which lines were taken */

    *bytes = reader->at;
    reader->left = 0;
    if (len == 0) {
        len = next_buffer(reader);
        *bytes = reader->lent;
    }
    return len;
}

/* Add to the line that is put together, and end it. Returns whether there was memory for it. */
static bool gather(struct halo_reader *reader, size_t have, size_t part)
{
    if (have + part + 1 > reader->line_size) {
        const size_t size = 2 * (have + part + 1);
        char *line = realloc(reader->line, size);

        if (!line)
            return false;
        reader->line = line;
        reader->line_size = size;
    }
    memcpy(reader->line + have, reader->at, part);
    reader->line[have + part] = '\0';
    return true;
}

int halo_reader_line(struct halo_reader *reader, char **line, size_t *len)
{
    size_t have = 0; /* of a line that began in an earlier buffer */
    char *end = NULL;

    while (!end) {
        size_t part;

        if (reader->left == 0) {
            const int64_t got = next_buffer(reader);

            if (got < 0)
                return (int)got;
            if (got == 0)
                break;
            reader->at = reader->lent;
            reader->left = (size_t)got;
        }
        end = memchr(reader->at, '\n', reader->left);
        part = end ? (size_t)(end - reader->at) : reader->left;
        *line = reader->at;
        if (end && have == 0)
            *end = '\0';
        else if (!gather(reader, have, part))
            return HALO_ENOMEM;
        have += part;
        if (!end || have > part)
            *line = reader->line;
        reader->at += part + (end != NULL);
        reader->left -= part + (end != NULL);
    }
    *len = have;
    return end || have > 0;
}

void halo_reader_close(struct halo_reader *reader)
{
    reader->ended = true;
    reader->left = 0;
    free(reader->line);
    reader->line = NULL;
    reader->line_size = 0;
    give_back(reader);
    for (; reader->count > 0; reader->count--) {
        struct io *io = &streams.ios[reader->ios[reader->first]];

        if (io->done)
            release(io);
        else
            io->abandoned = true;
        reader->first = (reader->first + 1) % HALO_READER_DEPTH;
    }
}

/* Send out what was written to `handle` so far. */
static void push_out(uint32_t handle)
{
    unsigned char *buf = streams.out[handle].buf;
    struct io *io;

    if (!buf)
        return;
    streams.out[handle].buf = NULL; /* what is written while we wait goes into another */
    while (!(io = alloc_io()))
        halo__port_wait();
    post(io, true, handle, buf, streams.out[handle].len);
    streams.writes++;
}

void halo__stream_push(void)
{
    for (uint32_t i = 0; i <= HALO_STDERR; i++)
        push_out(i);
}

/* The buffer into which `handle` is written. */
static unsigned char *out_buffer(uint32_t handle)
{
    void *buf;

    while (!streams.out[handle].buf) {
        buf = halo_pool_alloc(&streams.bufs);
        if (buf) {
            streams.out[handle].buf = buf;
            streams.out[handle].len = 0;
        } else { /* earlier writes give some back */
            halo__port_wait();
        }
    }
    return streams.out[handle].buf;
}

int halo_write(uint32_t handle, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    if (handle > HALO_STDERR)
        return HALO_EINVAL;
    if (halo__on_stacks())
        return HALO_ETRANSPORT;
    while (len > 0 && !streams.out[handle].error) {
        unsigned char *buf = out_buffer(handle);
        uint32_t *fill = &streams.out[handle].len;
        const uint32_t part =
            len < HALO_STREAM_BUF - *fill ? (uint32_t)len : HALO_STREAM_BUF - *fill;

        memcpy(buf + *fill, at, part);
        *fill += part;
        at += part;
        len -= part;
        if (*fill == HALO_STREAM_BUF) {
            push_out(handle);
            halo__port_flush();
        }
    }
    return streams.out[handle].error ? HALO_EIO : 0;
}

int halo_flush(void)
{
    if (halo__on_stacks())
        return 0; /* nothing waits to go out */
    halo__stream_push();
    halo__port_flush();
    while (streams.writes > 0)
        halo__port_wait();
    for (uint32_t i = 0; i <= HALO_STDERR; i++) {
        if (streams.out[i].error)
            return HALO_EIO;
    }
    return 0;
}

int halo_write_error(uint32_t handle)
{
    return handle <= HALO_STDERR ? streams.out[handle].error : 0;
}
