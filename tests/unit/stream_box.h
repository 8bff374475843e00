/* Stream requests as a guest may send them, before the host's half of streams: no guest, no ring.
 */
#ifndef STREAM_BOX_H
#define STREAM_BOX_H

#include "../../src/host/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A message that a guest wrote, and the room for its answer: 0xee where nothing was written. */
struct stream_wire {
    struct halo_message message;
    struct halo_stream_request stream;
    unsigned char data[4096];
    unsigned char room[4096];
    struct halo_request request;
};

static inline struct halo_sandbox *stream_box_open(void)
{
    struct halo_sandbox *box = calloc(1, sizeof(*box));

    if (!box || halo__streams_init(&box->streams))
        abort();
    box->state = HALO_STATE_RUNNING;
    box->g2h.violation.reason = HALO_BROKEN_STOPPED; /* there is no ring to complete on */
    return box;
}

static inline void stream_box_close(struct halo_sandbox *box)
{
    halo__streams_free(&box->streams);
    free(box);
}

/* Have it taken in, its `len` bytes in pieces. Returns what could not be understood, or NULL. */
static inline const char *stream_box_take(struct halo_sandbox *box, struct stream_wire *wire,
                                          size_t len, size_t piece, size_t room)
{
    HALO_SHARED unsigned char *bytes = halo_shm_share(wire);
    struct halo_request *r = &wire->request;
    const char *why;

    memset(wire->room, 0xee, sizeof(wire->room));
    *r = (struct halo_request){.readable_len = len, .writable_len = room, .writable_count = 1};
    for (size_t at = 0; at < len; at += piece)
        r->spans[r->readable_count++] =
            (struct halo_span){bytes + at, len - at < piece ? len - at : piece};
    r->spans[r->readable_count] = (struct halo_span){halo_shm_share(wire->room), room};
    why = halo__request_parse(r, HALO_ANSWER_MIN);
    return why ? why : halo__stream_take(box, r);
}

/* One that follows the rules, with `len` bytes of data. */
static inline const char *stream_box_send(struct halo_sandbox *box, struct stream_wire *wire,
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
