/*
 * Calls on the host: the service that takes the guest's calls, and sends it the host's.
 *
 *     call.c      the service: which message goes to which of these files
 *     provide.c   functions that the host provides and the guest exports, and the greeting
 *     serve.c     the guest's calls of the host's functions
 *     keep.c      those that are answered after the function has returned
 *     future.c    calls of the guest's functions, as those who wait for them see them
 *     invoke.c    the same as messages: out, and their answers
 *     payload.c   values as the payload of a message
 *     rows.c      the host's calls with rows: columns as the payload, and as the answer
 *     handles.c   the host's objects, as a guest knows them
 *     deferred.c  answers for which the guest had no room, until it fetches them
 *
 * A call of the guest's: serve.c finds the function and reads the arguments from private copies,
 * calls it, and writes the answer into the request's room; an answer that does not fit waits in
 * deferred.c. A call of the host's waits in a list until invoke.c finds a buffer of the guest's for
 * it, and is in flight, by its number, until its answer comes in the chain that posts the next one.
 *
 * The port has judged a message's header and where its bytes lie. Everything behind the header may
 * be anything, and may change while it is looked at: it is copied, and the copy judged.
 */
#ifndef HALO_SRC_HOST_CALL_H
#define HALO_SRC_HOST_CALL_H

#include <halo/halo.h>
#include "../budget.h"
#include "../port.h"
#include "handles.h"

struct halo_provided {
    char name[HALO_FUNCTION_NAME_MAX + 1];
    struct halo_signature signature;
    halo_function *function; /* NULL in an export */
    void *context;
    bool rows, aggregate; /* an export that can be called with rows, and is an aggregate */
    bool shares;          /* and may have the columns of the call before */
    bool is_imported;     /* a function of the host's that the guest knows */
};

/* What a sandbox knows of functions: a function's index is its place, from 1. */
struct halo_functions {
    struct halo_provided *provided, *exported;
    uint32_t count, export_count;
    bool greeted; /* the guest has said what it imports and exports */
};

/* Words for what goes beyond halo_options.exit_max and held_max: COST-01, COST-02. */
#define HALO_COPIES_TOO_MUCH \
    "the calls of one exit would copy more than exit_max of the host's options"
#define HALO_HOLDS_TOO_MUCH \
    "the host has no memory for it, or holds held_max of its options for this guest already"

/* Most calls of the host's that are in flight. */
#define HALO_NUMBERS HALO_CALLS_MAX

struct halo_call_counts {
    uint64_t served, sent; /* calls of the guest's, and of the host's */
    uint64_t deferred, fetched, discarded, deferred_out;
    uint64_t spare, spare_out; /* room that answers and calls left over */
    struct halo_histogram exits_out, room, room_out, call_ns, call_out_ns; /* halo/metrics.h */
};

/* A call of the guest's, while it is being served, and again when it is answered later. */
struct halo_call {
    struct halo_calls *calls;
    const struct halo_request *request;
    const struct halo_provided *provided;
    bool answered, is_kept; /* kept ones are both */
    /* While its function runs: */
    const struct halo_value *args;
    struct halo_call *outer; /* the one inside of which it is served, or NULL */
};

/* Calls that are going on, both ways. Fixed in size but for the answers that are deferred. */
struct halo_calls {
    struct halo_port *port;
    struct halo_words *words;
    struct halo_sandbox *box;     /* what a function of the host's is told */
    const struct halo_words *end; /* those of the guest's end, once it has ended; or NULL */
    struct halo_budget *budget;   /* of all that is held for the guest */
    struct halo_functions functions;
    struct halo_handles handles;
    struct halo_call_counts stats;

    struct halo_call *innermost; /* of the guest's, whose functions are going on */

    /* The guest's calls that have time until a wait of the host's is over: see HALO_DEPTH_SHIFT. */
    struct halo_fifo put_off;

    /*
     * The host's: what waits to go out; and what is in flight, by the low byte of its request
     * number. The number of a call that was given up is in use until its answer comes.
     */
    struct halo_future *first, *last;
    struct halo_future *in_flight[HALO_NUMBERS];
    uint16_t numbers[HALO_NUMBERS]; /* in use, or 0 */
    uint8_t generations[HALO_NUMBERS];
    uint64_t sent[HALO_NUMBERS]; /* when, by the processor's counter: to be shown */
    uint32_t number_count, next_number;
    struct {
        uint64_t exits; /* of the guest, before it went out */
        uint32_t function;
        int64_t ns; /* the time then, or 0: it is not measured */
    } begun[HALO_NUMBERS];
    bool measures;     /* how long calls take */
    bool watches;      /* calls of the host's functions: they are measured, or traced */
    uint64_t answered; /* how many answers came, ever */
    uint64_t reported; /* how many of them halo_poll has told of */
    /* The call for which the guest has columns already, those of the one of this number; or NULL.
     */
    const struct halo_future *shared_for;
    uint16_t shared;
    struct halo_rows *aggregates[HALO_AGGREGATES_MAX]; /* whose states are open, by their numbers */

    /* What cannot be understood, where it has a name. */
    char complaint[64 + HALO_FUNCTION_NAME_MAX];

    struct halo_pending *kept; /* calls of the guest's that are answered later */
    struct halo_line *line;    /* on which that is said; NULL before it is needed */

    struct halo_deferred_answer *first_deferred, *last_deferred;
    uint64_t deferred_bytes, deferred_len_max;
    uint32_t deferred_max; /* of them */
    uint32_t deferred_count, next_ticket;
};

void halo__calls_init(struct halo_calls *calls, struct halo_port *port, struct halo_words *words,
                      struct halo_sandbox *box);
void halo__calls_free(struct halo_calls *calls);

/* From now on how long calls take is measured, or no longer. */
void halo__calls_measure(struct halo_calls *calls, bool measures);
/* Whether there is a trace has changed. */
void halo__calls_watch(struct halo_calls *calls);

/* Whether any call of the host's is not answered. */
static inline bool halo__calls_pending(const struct halo_calls *calls)
{
    return calls->first || calls->number_count > 0;
}

/* --- Functions: provide.c --------------------------------------------------------------------- */

/* halo_provide, halo_lookup and halo_exported. */
int halo__function_provide(struct halo_calls *calls, const char *name,
                           const struct halo_signature *signature, halo_function *function,
                           void *context);
int halo__function_lookup(struct halo_calls *calls, const char *name,
                          const struct halo_signature *signature);
bool halo__function_exported(const struct halo_calls *calls, uint32_t index, const char **name,
                             struct halo_signature *signature);

/* Whether that was one which a restored guest knows and nobody had provided: now it is. */
bool halo__calls_take_up(struct halo_calls *calls, int index,
                         const struct halo_signature *signature, halo_function *function,
                         void *context);

/* The guest says what it imports and exports. */
const char *halo__greeting_take(struct halo_calls *calls, struct halo_request *request);

/* --- The guest's calls: serve.c --------------------------------------------------------------- */

/* One that is due is answered; another one is put off. */
const char *halo__call_serve(struct halo_calls *calls, struct halo_request *request);

/* Which function such a request is of, as far as that can be told, or NULL: to be shown. */
const struct halo_provided *halo__call_function(const struct halo_calls *calls,
                                                const struct halo_request *request);

/* Serve those that were put off and are due now. */
const char *halo__call_due(struct halo_calls *calls);

/* --- The host's calls: future.c and invoke.c -------------------------------------------------- */

/* halo_call_start; halo_future_free stands beside it. */
int halo__future_start(struct halo_calls *calls, struct halo_future *future, int function,
                       const struct halo_value *args, size_t count);

/* There is no function to be called, or found: before the guest has begun, or after its end. */
int halo__calls_refuse(const struct halo_calls *calls, const char *what);

/* Why this function cannot be called now, with words, or 0. */
int halo__future_judge(const struct halo_calls *calls, int function);

/* A call that was judged waits to go out from now on. */
void halo__future_begin(struct halo_calls *calls, struct halo_future *future, int function,
                        uint32_t count);

/* It was never sent: the error. The text is copied. */
int halo__future_refuse(struct halo_future *future, int error, const char *text);

/* Its call is over, one way or the other. */
void halo__future_finish(struct halo_future *future, int error, const char *text);

/* Take it out of those that wait to go out, and give it a number that is not in use. */
void halo__future_unlink(struct halo_calls *calls, struct halo_future *future);
void halo__future_number(struct halo_calls *calls, struct halo_future *future);

/* The call that has this request number and is in flight, or NULL. */
struct halo_future *halo__future_find(const struct halo_calls *calls, uint32_t request);

/* The guest has ended, as the words say: so have all calls. */
void halo__futures_end(struct halo_calls *calls, int error);

/* Put calls that wait into buffers that were posted. */
const char *halo__invoke_send(struct halo_calls *calls);

/* An answer to a call of the host's. */
const char *halo__invoke_answer(struct halo_calls *calls, const struct halo_request *request);

/* Tell the guest that there will be no more calls. False where there are some, or no buffer. */
bool halo__invoke_stop(struct halo_calls *calls);

/* --- Payloads: payload.c ---------------------------------------------------------------------- */

/* The payload of a call or an answer: its head and envelope in `wire`, and what they announce. */
struct halo_payload {
    unsigned char wire[HALO_WIRE_MAX];
    const struct halo_value *values;
    uint32_t count;
    uint32_t wire_len;
    uint64_t len; /* all together */
};

/* Make one; `function` 0: of an answer. */
void halo__payload(struct halo_payload *payload, uint32_t function, const struct halo_value *values,
                   uint32_t count);

/* Write it behind the message header of a request's writable part, which has room for it. */
void halo__payload_write(const struct halo_payload *payload, struct halo_port *port,
                         const struct halo_request *request);

/* An answer with an error in an envelope, for which every request of a call has room. */
void halo__answer_error(struct halo_calls *calls, const struct halo_request *request, int32_t code,
                        const char *text);

/* --- Answers that do not fit: deferred.c ------------------------------------------------------ */

/* Tickets of what is not kept but made again from a call of the host's: its number, and this. */
#define HALO_TICKET_CALL 0x80000000u

/* Keep a payload, and answer with its ticket. HALO_ESIZE, HALO_ENOMEM: not answered. */
int halo__answer_defer(struct halo_calls *calls, const struct halo_request *request,
                       const struct halo_payload *payload);
const char *halo__deferred_fetch(struct halo_calls *calls, struct halo_request *request);
void halo__deferred_free(struct halo_calls *calls);

#endif
