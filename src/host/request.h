/*
 * A guest's request: a chain that was taken, or a message that was pushed, and is not answered yet.
 * Its header is copied to private memory once, and only the copy is looked at. There is no pointer
 * in it, so that requests can wait for long and be saved with the memory of their guest.
 */
#ifndef HALO_SRC_REQUEST_H
#define HALO_SRC_REQUEST_H

#include <halo/abi.h>
#include <halo/receiver.h>
#include "../message/payload.h"

/* Room that every request has for its answer: a header, and an error of a stream. */
#define HALO_ANSWER_MIN (sizeof(struct halo_message) + sizeof(struct halo_stream_error))

/* Fixed in size, one per buffer id, so that a guest cannot make the host grow (RES-06). */
struct halo_request {
    struct halo_parked parked;
    struct halo_message message; /* private copy of the header */
    struct halo_stream_request stream;
    uint64_t done;      /* bytes of a stream that were moved so far */
    uint64_t taken;     /* when, by the processor's counter, or 0: to be shown */
    uint64_t pushed_at; /* with stacks: where its answer begins on the other; 0: a chain */
    uint16_t next;      /* see struct halo_fifo */
    bool is_there;      /* there is memory for all that it names */
};

/*
 * Copy the header in and judge it, and that `room` bytes are writable at least: NULL, or what
 * cannot be understood. One that came inline is judged, too, and gets the header that it stands
 * for.
 */
const char *halo__request_parse(const struct halo_receiver *receiver, struct halo_request *request,
                                uint64_t room);

/* --- Requests that wait, first in, first out -------------------------------------------------- */

/* By their ids plus 1, so that zeroed memory is an empty one: 0 is none. */
struct halo_fifo {
    uint16_t first, last;
};

static inline struct halo_request *halo__fifo_first(struct halo_request *requests,
                                                    const struct halo_fifo *fifo)
{
    return fifo->first ? &requests[fifo->first - 1] : (void *)0;
}

static inline void halo__fifo_push(struct halo_request *requests, struct halo_fifo *fifo,
                                   struct halo_request *request)
{
    const uint16_t name = (uint16_t)(halo_token_id(request->parked.token) + 1);

    request->next = 0;
    if (fifo->first)
        requests[fifo->last - 1].next = name;
    else
        fifo->first = name;
    fifo->last = name;
}

/* Take out the first one, which is this. */
static inline void halo__fifo_pop(struct halo_fifo *fifo, const struct halo_request *first)
{
    fifo->first = first->next;
}

static inline struct halo_request *halo__fifo_next(struct halo_request *requests,
                                                   const struct halo_request *request)
{
    return request->next ? &requests[request->next - 1] : (void *)0;
}

/* Take out the one behind `before`, which is in the list, or the first where that is NULL. */
static inline void halo__fifo_take_after(struct halo_request *requests, struct halo_fifo *fifo,
                                         struct halo_request *before)
{
    if (!before) {
        halo__fifo_pop(fifo, halo__fifo_first(requests, fifo));
        return;
    }
    before->next = requests[before->next - 1].next;
    if (!before->next)
        fifo->last = (uint16_t)(halo_token_id(before->parked.token) + 1);
}

#endif
