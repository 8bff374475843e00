/*
 * Calls on the host.
 *
 *     host.c      functions that the host provides, and the guest's calls of them
 *     invoke.c    functions that the guest exports, and the host's calls of them
 *     kept.c      answers that the guest has no room for, until it fetches them
 */
#ifndef HALO_SRC_CALL_HOST_H
#define HALO_SRC_CALL_HOST_H

#include <halo/halo.h>
#include "../request.h"

struct halo_provided {
    char name[HALO_FUNCTION_NAME_MAX + 1];
    struct halo_signature signature;
    halo_function *function; /* NULL in an export */
    void *context;
};

/* What a sandbox knows of functions: a function's index is its place, from 1. */
struct halo_functions {
    struct halo_provided *provided, *exported;
    uint32_t count, export_count;
    bool greeted; /* the guest has said what it imports and exports */
};

/* The index of a function, or HALO_ENAME; the name is not terminated. */
int halo__function_find(const struct halo_provided *functions, uint32_t count, const char *name,
                        size_t len);

/* Most calls of the host's that are in flight. */
#define HALO_NUMBERS 256u

/* Calls that are going on, both ways. Fixed in size but for the answers that are kept. */
struct halo_calls {
    uint32_t serving; /* functions of ours that were called and have not returned */
    uint32_t waits;   /* waits of ours for the guest's functions, one inside the other */

    /* The guest's calls that have time until a wait of ours is over: see HALO_DEPTH_SHIFT. */
    struct halo_request *first_put_off, *last_put_off;

    /*
     * Ours: what waits to go out; and what is in flight, by the low byte of its request number. The
     * number of a call that was given up is in use until its answer comes.
     */
    struct halo_future *first, *last;
    struct halo_future *in_flight[HALO_NUMBERS];
    uint16_t numbers[HALO_NUMBERS]; /* in use, or 0 */
    uint8_t generations[HALO_NUMBERS];
    uint32_t number_count, next_number;
    uint64_t answered; /* how many answers came, ever */

    /* Buffers that the guest has posted for them, newest first: those are in caches. */
    struct halo_request *post;

    struct halo_kept *first_kept, *last_kept;
    uint64_t kept_bytes;
    uint32_t kept_count, next_ticket;
};

/*
 * Serve a request that is a greeting, a call, or fetches what was kept. It is answered, but not
 * published; a call may also be put off. Returns NULL, or what cannot be understood: then it is not
 * answered.
 */
const char *halo__hello(struct halo_sandbox *box, struct halo_request *request);
const char *halo__call_serve(struct halo_sandbox *box, struct halo_request *request);
const char *halo__fetch(struct halo_sandbox *box, struct halo_request *request);
/* A call in the compact form, which lay in its descriptor; the bytes are private. */
const char *halo__call_compact(struct halo_sandbox *box, struct halo_request *request);

/* Serve those that were put off and are due now. NULL, or what cannot be understood. */
const char *halo__call_due(struct halo_sandbox *box);

/* An answer with an error in an envelope, for which every request has room. */
void halo__answer_error(struct halo_sandbox *box, const struct halo_request *request, int32_t code,
                        const char *text);

/*
 * The payload of a call or an answer: its head and envelope in `wire`, and what they announce.
 */
struct halo_payload {
    unsigned char *wire;
    const struct halo_value *values;
    uint32_t count;
    uint32_t wire_len;
    uint64_t len; /* all together */
};
/* Make one; `wire` has room for a head and HALO_ENVELOPE_MAX. `function` 0: of an answer. */
void halo__payload(struct halo_payload *payload, unsigned char *wire, uint32_t function,
                   const struct halo_value *values, uint32_t count);
/* Write it behind the message header of a request's writable part, which has room for it. */
void halo__payload_write(const struct halo_payload *payload, const struct halo_request *request);

/* --- The host's calls ------------------------------------------------------------------------- */

/* A chain of the queue to the guest: an answer, a buffer for the next call, or both. */
const char *halo__post_take(struct halo_sandbox *box, struct halo_request *post);

/* An answer to a call of ours, with its header judged. */
const char *halo__answer_take(struct halo_sandbox *box, const struct halo_request *request);

/*
 * Put calls that wait into buffers that were posted. Completed, but not published. NULL, or what is
 * wrong with the guest's stack.
 */
const char *halo__invoke_send(struct halo_sandbox *box);

/* Tell the guest that there will be no more calls. False where there are some, or no buffer. */
bool halo__invoke_stop(struct halo_sandbox *box);

/* The call that has this request number and is in flight, or NULL. */
struct halo_future *halo__invoke_find(struct halo_sandbox *box, uint32_t request);

/* The payload of a call of ours. */
void halo__invoke_payload(struct halo_payload *payload, unsigned char *wire,
                          const struct halo_future *future);

/* The sandbox has ended: so have all calls. */
void halo__invoke_end(struct halo_sandbox *box, int error);

/* --- What is kept ----------------------------------------------------------------------------- */

/* Tickets of what is not kept but made again from a call of ours: its request number, and this. */
#define HALO_TICKET_CALL 0x80000000u

/* Keep a payload, and answer with its ticket. HALO_ENOMEM: not answered. */
int halo__keep(struct halo_sandbox *box, const struct halo_request *request,
               const struct halo_payload *payload);
void halo__kept_free(struct halo_sandbox *box);

#endif
