/* The service of streams. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../deadline.h"
#include "helper.h"
#include "stream.h"

static const char *take(void *self, struct halo_request *request)
{
    return halo__stream_take(self, request);
}

/* Try again what the host's system was short of. */
static void look_again(struct halo_streams *streams)
{
    if (!streams->poller->again || halo__now() < streams->poller->again)
        return;
    streams->poller->again = 0;
    streams->shortage[0] = '\0';
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        if (stream->is_short)
            stream->is_short = stream->in.blocked = stream->out.blocked = false;
    }
}

/* Serve all streams until they have no requests or would have to wait. */
static const char *serve(void *self)
{
    struct halo_streams *streams = self;

    look_again(streams);

    if (streams->requests == 0 && streams->poller->armed_count == 0)
        return NULL;
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        if (stream->in.count == 0 && stream->out.count == 0 && !stream->polled.armed)
            continue;
        halo__flow_serve_reads(streams, stream);
        halo__flow_serve_writes(streams, stream);
        if (stream->kind)
            halo__end_arm(streams, stream);
    }
    return NULL;
}

static const char *send(void *self)
{
    struct halo_streams *streams = self;

    if (streams->unflushed)
        halo__direct_flush_all(streams);
    if (streams->lends) /* by a function of the host's that has returned */
        halo__direct_take_back(streams);
    return NULL;
}

/* What the guest had gathered and not sent. Lines that name nothing it may write are passed over:
 * STR-11. */
static void take_unsent(struct halo_streams *streams)
{
    const struct halo_port *port = streams->port;
    struct halo_unsent lines[HALO_UNSENT_MAX];

    streams->halted = true;
    if (!port->unsent)
        return;
    halo_shm_copy_in(lines, port->unsent, sizeof(lines));
    for (uint32_t i = 0; i < HALO_UNSENT_MAX; i++) {
        struct halo_stream *stream;
        int error;

        if (lines[i].len == 0 || lines[i].len > HALO_WINDOW_BYTES)
            continue;
        stream = halo__stream_of(streams, lines[i].handle, &error);
        if (stream && stream->ways & HALO_OUT && !stream->out.over && stream->unsent.len == 0)
            (void)halo_memory_span(&port->memory, (struct halo_gpa){lines[i].address}, lines[i].len,
                                   HALO_MAY_READ, &stream->unsent);
    }
}

/* The guest runs no more: nobody looks at what it wanted to read. */
static void halt(void *self)
{
    struct halo_streams *streams = self;

    if (!streams->halted)
        take_unsent(streams);
    look_again(streams);
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        while (stream->in.count > 0)
            halo__flow_pop(streams, &stream->in);
        halo__flow_serve_writes(streams, stream);
        if (stream->kind)
            halo__end_arm(streams, stream);
    }
}

/* A stream that could not be written to: by 1 + its handle. */
static int reason(const void *self, uint64_t word)
{
    const struct halo_streams *streams = self;
    const struct halo_stream *stream = &streams->at[(word - 1) % HALO_STREAMS_MAX];
    char title[HALO_STREAM_NAME_MAX + 16];

    if (word > UINT32_MAX || (stream->kind && !stream->stats.write_error) ||
        halo__stream_handle(streams, stream) != word - 1)
        return 0;
    return halo__fail(streams->words, HALO_EIO, "the guest could not write to %s: %s",
                      halo__stream_title(streams, stream, title),
                      stream->kind ? strerror(stream->stats.write_error)
                                   : "nothing is connected to it");
}

static bool needs_host(const void *self)
{
    const struct halo_streams *streams = self;

    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_stream *stream = &streams->at[i];

        if ((stream->kind == HALO_END_HOST || stream->kind == HALO_END_FUNCTIONS) &&
            !stream->polled.armed && (stream->in.count > 0 || stream->out.count > 0))
            return true;
    }
    return false;
}

static const struct halo_service service = {
    .kinds = {[HALO_QUEUE_G2H] =
                  HALO_KIND_BIT(HALO_KIND_STREAM_OPEN) | HALO_KIND_BIT(HALO_KIND_STREAM_READ) |
                  HALO_KIND_BIT(HALO_KIND_STREAM_WRITE) | HALO_KIND_BIT(HALO_KIND_STREAM_CLOSE) |
                  HALO_KIND_BIT(HALO_KIND_STREAM_CANCEL)},
    .take = take,
    .serve = serve,
    .send = send,
    .halt = halt,
    .reason = reason,
    .needs_host = needs_host,
};

void halo__streams_init(struct halo_streams *streams, struct halo_port *port,
                        struct halo_poller *poller, struct halo_budget *budget,
                        struct halo_signals *signals, struct halo_words *words)
{
    streams->port = port;
    streams->signals = signals;
    streams->poller = poller;
    streams->budget = budget;
    streams->words = words;
    for (uint32_t i = 0; i <= HALO_STDERR; i++) /* of others that is memory which nobody touches */
        streams->at[i].fd = streams->at[i].polled.fd = -1;
    streams->used = streams->next = HALO_STDERR + 1;
    if (!port->on_stacks)
        halo__port_attach(port, &service, streams);
}

bool halo__streams_free(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) { /* so that they end beside each other */
        if (streams->at[i].in.helper)
            halo__helper_leave(streams->at[i].in.helper);
        if (streams->at[i].out.helper)
            halo__helper_leave(streams->at[i].out.helper);
    }
    for (uint32_t i = 0; i < streams->used; i++) {
        if (streams->at[i].kind)
            halo__end_release(streams, &streams->at[i]);
    }
    return !streams->memory_lent;
}

void halo__streams_abandon(struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_stream *stream = &streams->at[i];

        if (stream->polled.fd >= 0 && stream->polled.fd != stream->fd)
            close(stream->polled.fd);
        if (stream->fd >= 0 && stream->manner != HALO_MANNER_HELPER)
            close(stream->fd);
    }
}

const struct halo_stream *halo__streams_asked(const struct halo_streams *streams)
{
    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_stream *stream = &streams->at[i];

        if (stream->kind == HALO_END_FD && stream->polled.armed &&
            (stream->in.helper || stream->out.helper))
            return stream;
    }
    return NULL;
}

void halo__streams_retry(struct halo_streams *streams)
{
    if (streams->requests == 0) /* nothing is blocked */
        return;
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_stream *stream = &streams->at[i];

        if (stream->kind == HALO_END_FUNCTIONS && stream->polled.fd < 0)
            stream->in.blocked = stream->out.blocked = false;
    }
}
