/* Reading ahead: a circle of requests, each with a buffer; and lines out of those. */
#include "../port.h"
#include "stream.h"

/* Add one more read to the end of a reader's circle. */
static void post(struct halo_reader *reader, struct halo__io *io, void *buf)
{
    io->buf = buf;
    io->answered = NULL;
    halo__io_start(io, HALO_KIND_STREAM_READ, reader->handle, reader->buf_len);
    reader->ios[(reader->first + reader->count) % HALO_READER_DEPTH] = io;
    reader->count++;
}

int halo_reader_open_sized(struct halo_reader *reader, uint32_t handle, uint32_t len,
                           uint32_t depth)
{
    *reader = (struct halo_reader){.handle = handle, .buf_len = len};
    if (halo__on_stacks())
        return HALO_ETRANSPORT;
    if (len < sizeof(struct halo_stream_error) || depth == 0 || depth > HALO_READER_DEPTH ||
        len > HALO_WINDOW_BYTES / depth)
        return HALO_EINVAL;
    while (reader->count < depth) {
        struct halo__io *io = halo__io_alloc();
        void *buf = io ? halo__buf_alloc(len) : NULL;

        if (!buf) {
            if (io) {
                io->buf = NULL;
                halo__io_free(io);
            }
            break;
        }
        post(reader, io, buf);
    }
    halo__port_flush();
    return reader->count > 0 ? 0 : HALO_ENOMEM;
}

int halo_reader_open(struct halo_reader *reader, uint32_t handle)
{
    /* A quarter of the pool is left alone: what is read ahead must not keep others from going on.
     */
    const uint32_t count = halo__buf_count() - halo__buf_count() / 4;

    return halo_reader_open_sized(
        reader, handle, HALO_STREAM_BUF,
        count == 0 ? 1 : (count < HALO_READER_DEPTH ? count : HALO_READER_DEPTH));
}

/* The buffer that the program has finished with is posted again, or freed at the end. */
static void give_back(struct halo_reader *reader)
{
    struct halo__io *io;

    if (!reader->lent)
        return;
    io = reader->ended ? NULL : halo__io_alloc();
    if (io) {
        post(reader, io, reader->lent);
        halo__port_flush();
    } else {
        halo__buf_free(reader->lent);
    }
    reader->lent = NULL;
}

/* The next buffer that was read: its length, 0 at the end, or an error. */
static int64_t next_buffer(struct halo_reader *reader)
{
    struct halo__io *io;
    int64_t len;

    give_back(reader);
    if (reader->error)
        return reader->error;
    if (reader->ended || reader->count == 0)
        return 0;
    io = reader->ios[reader->first];
    if (!io->future.done) {
        halo__port_take();
        while (!io->future.done)
            halo__port_wait();
    }
    reader->first = (reader->first + 1) % HALO_READER_DEPTH;
    reader->count--;
    len = (int64_t)io->future.result.len;
    if (io->future.error || len == 0) {
        reader->error = io->future.error;
        reader->os_error = io->future.code;
        reader->ended = true;
        halo__io_free(io);
        return reader->error;
    }
    reader->lent = io->buf;
    io->buf = NULL;
    halo__io_free(io);
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
    const bool ended = reader->ended;

    reader->ended = true;
    reader->left = 0;
    free(reader->line);
    reader->line = NULL;
    reader->line_size = 0;
    give_back(reader);
    if (!ended && reader->count > 0) /* what waits for bytes would never come back */
        (void)halo_stream_cancel(reader->handle, HALO_IN);
    for (; reader->count > 0; reader->count--) {
        struct halo__io *io = reader->ios[reader->first];

        if (io->future.done)
            halo__io_free(io);
        else
            io->abandoned = true;
        reader->first = (reader->first + 1) % HALO_READER_DEPTH;
    }
}
