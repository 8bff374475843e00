/*
 * Small writes, gathered: bytes go into a buffer that goes out when it is full, and at the latest
 * when the guest next waits, for whatever that is.
 */
#include "../port.h"
#include "stream.h"

/* Those that hold bytes. */
static struct halo_writer *unsent;
static uint32_t in_flight; /* writes of all of them */

static struct halo_writer standard[HALO_STDERR + 1];

int halo_writer_open_sized(struct halo_writer *writer, uint32_t handle, uint32_t len)
{
    if (halo__on_stacks())
        return HALO_ETRANSPORT;
    if (len == 0 || len > HALO_WINDOW_BYTES)
        return HALO_EINVAL;
    *writer = (struct halo_writer){.handle = handle, .buf_len = len};
    return 0;
}

int halo_writer_open(struct halo_writer *writer, uint32_t handle)
{
    return halo_writer_open_sized(writer, handle, HALO_STREAM_BUF);
}

static void answered(struct halo__io *io)
{
    struct halo_writer *writer = io->writer;

    writer->in_flight--;
    in_flight--;
    if (io->future.error && !writer->error) {
        writer->error = io->future.error;
        writer->os_error = io->future.code;
    }
}

static void forget(struct halo_writer *writer)
{
    struct halo_writer **link = &unsent;

    while (*link && *link != writer)
        link = &(*link)->next;
    if (*link)
        *link = writer->next;
}

/* Send out what this one holds. */
static void push(struct halo_writer *writer)
{
    struct halo__io *io;
    void *buf = writer->buf;

    if (!buf)
        return;
    forget(writer);
    writer->buf = NULL;  /* what is written while we wait goes into another */
    if (writer->error) { /* there is a gap before it */
        halo__buf_free(buf);
        return;
    }
    writer->in_flight++;
    in_flight++;
    while (!(io = halo__io_alloc()))
        halo__port_wait();
    io->buf = buf;
    io->writer = writer;
    io->answered = answered;
    halo__io_start(io, HALO_KIND_STREAM_WRITE, writer->handle, writer->len);
}

/* Not where the end is slow and its window full: whoever waits for another must not wait for it. */
void halo__stream_push(void)
{
    struct halo_writer *writer = unsent;

    while (writer) {
        if (halo__window_has_room(writer->handle, true, writer->len)) {
            push(writer);
            writer = unsent; /* others may have come and gone meanwhile */
        } else {
            writer = writer->next;
        }
    }
    halo__stream_send_held();
}

void halo__writer_push(uint32_t handle)
{
    for (struct halo_writer *writer = unsent; writer; writer = writer->next) {
        if (writer->handle == handle) {
            push(writer);
            return;
        }
    }
}

/* The buffer into which it writes. */
static unsigned char *buffer(struct halo_writer *writer)
{
    while (!writer->buf) {
        unsigned char *buf = halo__buf_alloc(writer->buf_len);

        if (!buf && in_flight == 0)
            return NULL;
        if (!buf) { /* earlier writes give some back */
            halo__port_wait();
            continue;
        }
        writer->buf = buf;
        writer->len = 0;
        writer->next = unsent;
        unsent = writer;
    }
    return writer->buf;
}

int halo_writer_write(struct halo_writer *writer, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    while (len > 0 && !writer->error) {
        unsigned char *buf = buffer(writer);
        uint32_t part;

        if (!buf)
            return HALO_ENOMEM;
        part = writer->buf_len - writer->len;
        if (part > len)
            part = (uint32_t)len;
        memcpy(buf + writer->len, at, part);
        writer->len += part;
        at += part;
        len -= part;
        if (writer->len == writer->buf_len) {
            push(writer);
            halo__port_flush();
        }
    }
    return writer->error;
}

int halo_writer_flush(struct halo_writer *writer)
{
    push(writer);
    while (writer->in_flight > 0)
        halo__port_wait();
    return writer->error;
}

int halo_writer_close(struct halo_writer *writer)
{
    return halo_writer_flush(writer);
}

/* --- The standard ones ------------------------------------------------------------------------ */

int halo_write(uint32_t handle, const void *bytes, size_t len)
{
    if (handle > HALO_STDERR)
        return HALO_EINVAL;
    if (!standard[handle].buf_len) {
        const int error = halo_writer_open(&standard[handle], handle);

        if (error)
            return error;
    }
    return halo_writer_write(&standard[handle], bytes, len);
}

int halo_flush(void)
{
    if (halo__on_stacks())
        return 0; /* nothing waits to go out */
    halo__stream_push();
    halo__port_flush();
    while (in_flight > 0)
        halo__port_wait();
    for (uint32_t i = 0; i <= HALO_STDERR; i++) {
        if (standard[i].error)
            return standard[i].error;
    }
    return 0;
}

int halo_write_error(uint32_t handle)
{
    return handle <= HALO_STDERR ? standard[handle].os_error : 0;
}
