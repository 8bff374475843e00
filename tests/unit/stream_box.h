/* Stream requests as a guest may send them, before the service of streams and a port alone. */
#ifndef STREAM_BOX_H
#define STREAM_BOX_H

#include "../../src/host/budget.h"
#include "../../src/host/stream/stream.h"
#include "port_box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream_box {
    struct halo_words words;
    struct halo_port port;
    struct halo_poller poller;
    struct halo_signals signals;
    struct halo_budget *budget;
    struct halo_streams streams;
    uint16_t ids; /* of requests, so far */
    uint32_t serial;
};

/* A message that a guest wrote, and the room for its answer: 0xee where nothing was written. */
struct stream_wire {
    struct halo_message message;
    struct halo_stream_request stream;
    unsigned char data[4096];
    unsigned char room[4096];
    uint32_t serial; /* of the box in which it has its request */
    struct halo_request *request;
};

static inline struct stream_box *stream_box_open(void)
{
    static uint32_t serial;
    struct stream_box *box = calloc(1, sizeof(*box));

    if (!box || halo__poller_init(&box->poller))
        abort();
    box->serial = ++serial;
    port_box_open(&box->port, &box->words);
    box->budget = halo__budget_new(1u << 20);
    if (!box->budget)
        abort();
    halo__streams_init(&box->streams, &box->port, &box->poller, box->budget, &box->signals,
                       &box->words);
    return box;
}

static inline void stream_box_close(struct stream_box *box)
{
    halo__streams_free(&box->streams);
    halo__budget_close(box->budget);
    halo__poller_free(&box->poller);
    free(box);
}

/* What the host's program does, without a sandbox around it. */
static inline int stream_box_attach(struct stream_box *box, uint32_t handle, struct halo_end end)
{
    return halo__stream_attach(&box->streams, handle, &end);
}

static inline int stream_box_offer(struct stream_box *box, const char *name, struct halo_end end,
                                   uint32_t ways, uint32_t *handle)
{
    return halo__stream_offer(&box->streams, name, &end, ways, handle);
}

static inline int stream_box_shut(struct stream_box *box, uint32_t handle)
{
    return halo__stream_close(&box->streams, handle);
}

/* Bytes that the host can look at; 0 where there are none, now or ever; or an error. */
static inline int64_t stream_box_peek(struct stream_box *box, uint32_t handle, const void **bytes)
{
    struct halo_stream *stream;
    struct halo_span span;
    int error = halo__direct_find(&box->streams, handle, HALO_OUT, &stream);

    if (error)
        return error;
    if (halo__direct_peek(&box->streams, stream, &span) != 1)
        return 0;
    *bytes = halo_shm_expose(span.base);
    return (int64_t)span.len;
}

/* What the loop does between two exits. */
static inline void stream_box_serve(struct stream_box *box)
{
    halo__poller_wait(&box->poller, 0);
    box->port.services[0].service->serve(box->port.services[0].self);
}

/* Have it taken in, its `len` bytes in pieces. Returns what could not be understood, or NULL. */
static inline const char *stream_box_take(struct stream_box *box, struct stream_wire *wire,
                                          size_t len, size_t piece, size_t room)
{
    uint16_t id;

    if (wire->serial != box->serial) {
        if (box->ids == HALO_PORT_SIZE_MAX)
            abort();
        wire->serial = box->serial;
        wire->request = &box->port.requests[HALO_QUEUE_G2H][box->ids++];
    }
    id = (uint16_t)(wire->request - box->port.requests[HALO_QUEUE_G2H]);
    memset(wire->room, 0xee, sizeof(wire->room));
    port_box_request(wire->request, id, wire, len, piece, wire->room, room);
    return port_box_take(&box->port, HALO_QUEUE_G2H, wire->request, HALO_ANSWER_MIN);
}

/* One that follows the rules, with `len` bytes of data. */
static inline const char *stream_box_send(struct stream_box *box, struct stream_wire *wire,
                                          enum halo_kind kind, uint32_t handle, uint32_t ways,
                                          size_t len, size_t room)
{
    const size_t whole = HALO_STREAM_HEAD + len;

    wire->message = (struct halo_message){
        .kind = (uint8_t)kind, .request = 7, .length = (uint32_t)(whole - sizeof(wire->message))};
    wire->stream = (struct halo_stream_request){handle, ways};
    return stream_box_take(box, wire, whole, whole, room);
}

static inline struct halo_message stream_box_answer(const struct stream_wire *wire)
{
    struct halo_message message;

    memcpy(&message, wire->room, sizeof(message));
    return message;
}

static inline bool stream_box_is_answered(const struct stream_wire *wire)
{
    return stream_box_answer(wire).kind != 0xee;
}

/* The errno of its answer, or 0. */
static inline int stream_box_errno(const struct stream_wire *wire)
{
    int32_t error = 0;

    if (stream_box_answer(wire).kind == HALO_KIND_ERROR)
        memcpy(&error, wire->room + sizeof(struct halo_message), sizeof(error));
    return error;
}

#endif
