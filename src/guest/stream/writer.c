/*
 * Small writes, gathered: bytes go into a buffer that goes out when it is full, and at the latest
 * when the guest next waits, for whatever that is. What is there meanwhile is noted in the save
 * page, where the host finds it should the guest come to its end before.
 */
#include "../port.h"
#include "stream.h"

/* Those that hold bytes. */
static struct halo_writer *unsent;
static uint32_t in_flight; /* writes of all of them */

static struct halo_writer standard[HALO_STDERR + 1];
static bool handles_errors; /* of these: the program looks at what halo_write returns */

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

/* Where a writer whose line is another's notes what nobody reads. */
static struct halo_unsent nowhere;

static struct halo_unsent *line_of(const struct halo_writer *writer)
{
    struct halo_save *save = (struct halo_save *)(uintptr_t)halo_boot_page()->save;

    return &save->unsent[writer->handle % HALO_UNSENT_MAX];
}

/* A new buffer is noted, with nothing in it yet. Where two writers share a line it is the first's.
 */
static void note(struct halo_writer *writer)
{
    struct halo_unsent *line = line_of(writer);

    writer->noted = &nowhere.len;
    if (line->address)
        return;
    line->handle = writer->handle;
    line->len = 0;
    line->address = (uintptr_t)writer->buf;
    writer->noted = &line->len;
}

/* What is in it is there before the length says so: the guest may be stopped at any instruction. */
static inline void note_len(struct halo_writer *writer)
{
    if (writer->noted == &nowhere.len)
        note(writer); /* the line may be free by now */
    __asm__ volatile("" : : : "memory");
    *writer->noted = writer->len;
}

/* It is on its way, or given up. */
static void unnote(const struct halo_writer *writer, const void *buf)
{
    struct halo_unsent *line = line_of(writer);

    if (line->address != (uintptr_t)buf)
        return;
    line->len = 0;
    __asm__ volatile("" : : : "memory");
    line->address = 0;
}

_Noreturn void halo__end_unwritten(uint32_t handle)
{
    for (;;)
        halo__doorbell(HALO_DOORBELL_HALT, 1, 1ull + handle);
}

/*
 * A standard stream that cannot be written to ends a program that does not look: it could go on for
 * ever. Not where the host connected nothing to it, and so wants nothing of it.
 */
static void fail(struct halo_writer *writer, const struct halo_future *future)
{
    enum { EBADF_ = 9 };
    const bool is_standard = writer >= standard && writer <= &standard[HALO_STDERR];

    writer->error = future->error;
    writer->os_error = future->code;
    if (is_standard && !handles_errors && future->code != EBADF_)
        halo__end_unwritten(writer->handle);
}

static void answered(struct halo__io *io)
{
    struct halo_writer *writer = io->writer;

    writer->in_flight--;
    in_flight--;
    if (io->future.error && !writer->error)
        fail(writer, &io->future);
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
    const uint32_t len = writer->len;

    if (!buf)
        return;
    forget(writer);
    writer->buf = NULL;  /* what is written while we wait goes into another */
    if (writer->error) { /* there is a gap before it */
        unnote(writer, buf);
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
    halo__io_start(io, HALO_KIND_STREAM_WRITE, writer->handle, len);
    unnote(writer, buf);
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
    halo__stream_send_unsent();
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
        note(writer);
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
        note_len(writer);
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

/*
 * What goes to standard error is not held back, and comes behind what went to standard output: that
 * has arrived before, for the host may serve both at a time.
 */
int halo_write(uint32_t handle, const void *bytes, size_t len)
{
    struct halo_writer *writer = &standard[handle <= HALO_STDERR ? handle : 0];
    int error = 0;

    if (handle > HALO_STDERR)
        return HALO_EINVAL;
    if (!writer->buf_len)
        error = halo_writer_open(writer, handle);
    if (!error && handle == HALO_STDERR)
        (void)halo_writer_flush(&standard[HALO_STDOUT]);
    if (!error)
        error = halo_writer_write(writer, bytes, len);
    if (!error && handle == HALO_STDERR)
        error = halo_writer_flush(writer);
    return error;
}

void halo_handle_write_errors(void)
{
    handles_errors = true;
}

bool halo__write_failed(uint32_t *handle)
{
    for (*handle = HALO_STDOUT; *handle <= HALO_STDERR; ++*handle) {
        if (standard[*handle].error)
            return true;
    }
    return false;
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
