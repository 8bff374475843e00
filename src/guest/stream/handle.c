/* Handles of streams: how one is come by, and how it is let go. */
#include "../port.h"
#include "stream.h"

struct open {
    struct halo_op op;
    bool done;
    int error;
    struct halo_stream_opened opened;
};

static bool opened(struct halo_op *op, struct halo_answer *answer)
{
    struct open *open = (struct open *)op;
    struct halo_stream_error error = {0};
    struct halo_message message;

    if (halo_answer_read(&halo__port, answer, &message, sizeof(message)) != sizeof(message))
        halo_panic("the host sent a malformed answer");
    if (message.kind == HALO_KIND_ANSWER) {
        if (halo_answer_read(&halo__port, answer, &open->opened, sizeof(open->opened)) !=
            sizeof(open->opened))
            halo_panic("the host sent a malformed answer");
    } else {
        (void)halo_answer_read(&halo__port, answer, &error, sizeof(error));
        open->error = halo__stream_error(error.error);
    }
    open->done = true;
    return false;
}

static int build_open(struct halo_send *send, const char *name, size_t len)
{
    const struct halo_message message = {.kind = HALO_KIND_STREAM_OPEN, .length = (uint32_t)len};
    int error;

    halo_send_begin(send, &halo__port);
    error = halo_send_write(send, &message, sizeof(message));
    if (!error)
        error = halo_send_write(send, name, len);
    if (!error)
        error = halo_send_writable(send, sizeof(message) + sizeof(struct halo_stream_opened));
    if (error)
        halo_send_drop(send);
    return error;
}

int halo_stream_open(const char *name, uint32_t *handle)
{
    const size_t len = strlen(name);
    struct open open = {.op = {opened}};
    struct halo_send send;
    int error;

    if (halo__on_stacks())
        return HALO_ETRANSPORT;
    if (len == 0 || len > HALO_STREAM_NAME_MAX)
        return HALO_EINVAL;
    while ((error = build_open(&send, name, len)) == HALO_ENOMEM)
        halo__port_wait();
    halo__check(error, "a request cannot be built");
    halo__port_submit(&send, &open.op);
    while (!open.done)
        halo__port_wait();
    *handle = open.opened.handle;
    return open.error;
}

static int check(uint32_t ways)
{
    if (halo__on_stacks())
        return HALO_ETRANSPORT;
    return ways == 0 || ways > (HALO_IN | HALO_OUT) ? HALO_EINVAL : 0;
}

static int close_ways(uint32_t handle, uint32_t ways)
{
    const int error = check(ways);

    if (!error) {
        halo__writer_push(handle);
        halo__stream_close(handle, ways);
    }
    return error;
}

int halo_stream_end(uint32_t handle)
{
    return close_ways(handle, HALO_OUT);
}

int halo_stream_close(uint32_t handle)
{
    return close_ways(handle, HALO_IN | HALO_OUT);
}

int halo_stream_cancel(uint32_t handle, uint32_t ways)
{
    const int error = check(ways);

    if (!error)
        halo__stream_cancel(handle, ways);
    return error;
}

/* Streams as the port sees them. */
const struct halo__service halo__stream_service = {
    .start = halo__stream_start,
    .before_wait = halo__stream_push,
};
