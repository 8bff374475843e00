/* Answers with rows as a guest may send them, before the host's half of calls alone. */
#ifndef ROWS_BOX_H
#define ROWS_BOX_H

#include "../../src/host/call/rows.h"
#include "../../src/message/rows.h"
#include "call_box.h"

#define ROWS_ROOM 8192u

/* One function for each type: its number is the type's and 1, and it takes nothing. */
struct rows_box {
    struct call_box c;
    struct halo_provided exported[HALO_TYPE_COUNT];
    struct halo_rows rows;
    unsigned char message[ROWS_ROOM]; /* what the guest answers */
    unsigned char sent[ROOM];
};

static inline void rows_box_open(struct rows_box *b)
{
    memset(b, 0, sizeof(*b));
    call_box_open(&b->c);
    for (uint32_t i = 0; i < HALO_TYPE_COUNT; i++) {
        b->exported[i] = (struct halo_provided){.name = "a", .rows = true};
        b->exported[i].signature.types[0] = (uint8_t)i;
    }
    b->c.calls.functions.exported = b->exported;
    b->c.calls.functions.export_count = HALO_TYPE_COUNT;
}

static inline void rows_box_close(struct rows_box *b)
{
    halo_rows_free(&b->rows);
    b->c.calls.functions.exported = NULL;
    call_box_close(&b->c);
}

/* Call the function of this type, for so many rows. */
static inline void rows_box_call(struct rows_box *b, enum halo_type type, uint32_t count,
                                 uint32_t flags)
{
    struct halo_request *room = &b->c.port.requests[HALO_QUEUE_H2G][0];

    port_box_request(room, 0, NULL, 0, 1, b->sent, sizeof(b->sent));
    b->c.port.posted = 1;
    if (halo__rows_start(&b->c.calls, &b->rows, (int)type + 1, count, NULL, 0, flags) ||
        halo__invoke_send(&b->c.calls) || !b->rows.future.request)
        abort();
}

/* The guest's answer: `len` bytes of message, of which the header is made here. */
static inline const char *rows_box_answer(struct rows_box *b, size_t len, size_t piece)
{
    const struct halo_message message = {.kind = HALO_KIND_ANSWER,
                                         .request = b->rows.future.request,
                                         .length = (uint32_t)(len - sizeof(message))};
    struct halo_request request;

    memcpy(b->message, &message, sizeof(message));
    port_box_request(&request, 4, b->message, len, piece, NULL, 0);
    return port_box_take(&b->c.port, HALO_QUEUE_H2G, &request, 0);
}

#endif
