/*
 * The host's calls as messages. One goes out when the guest has posted a buffer for it. Answers
 * come in the chains that post the next buffers, so that they need no room that the guest's own
 * calls could have taken.
 */
#include <string.h>
#include "../deadline.h"
#include "rows.h"

/* An answer has one value. */
#define ANSWER_MAX (sizeof(struct halo_call_head) + 16 + HALO_SHORT_MAX + HALO_VALUE_MAX + 1)

/* --- Out -------------------------------------------------------------------------------------- */

/* Calls up to so long are written whatever else was, for they are few to an exit. */
#define SHORT_CALL 4096u

/* COST-02: whether a call is written now; over stacks there is no other way. */
static bool fits(struct halo_calls *calls, const struct halo_request *buffer, uint64_t len)
{
    return len <= buffer->parked.writable_len - HALO_PAYLOAD &&
           (len <= SHORT_CALL || buffer->pushed_at || halo__port_may_copy(calls->port, len));
}

/*
 * In a buffer of the guest's, or another that is longer; one that is too long for all of them, or
 * for what is copied at an exit, is fetched into memory of the guest's own. It is of values, or,
 * where `payload` is NULL, of rows.
 */
static void send_call(struct halo_calls *calls, const struct halo_request *buffer,
                      const struct halo_payload *payload, struct halo_future *future)
{
    const uint64_t len = payload ? payload->len : halo__rows_of(future)->len;
    struct halo_message message = {.kind = HALO_KIND_CALL,
                                   .flags = (uint8_t)(future->depth << HALO_DEPTH_SHIFT),
                                   .request = future->request};

    if (!payload)
        message.flags |= HALO_MESSAGE_ROWS;
    if (len > buffer->parked.writable_len - HALO_PAYLOAD && !buffer->pushed_at)
        buffer = halo__port_longer(calls->port, buffer, HALO_PAYLOAD + len);
    if (fits(calls, buffer, len)) {
        if (!payload)
            halo__rows_share(calls, halo__rows_of(future));
        halo__count(&calls->stats.spare_out, buffer->parked.writable_len - HALO_PAYLOAD - len);
        if (payload)
            halo__payload_write(payload, calls->port, buffer);
        else
            halo__rows_write(halo__rows_of(future), calls->port, buffer);
        message.length = (uint32_t)len;
    } else {
        const struct halo_deferred deferred = {HALO_TICKET_CALL | future->request, (uint32_t)len};

        halo__request_write(calls->port, buffer, HALO_PAYLOAD, &deferred, sizeof(deferred));
        halo__count(&calls->stats.deferred_out, 1);
        message.flags |= HALO_MESSAGE_DEFERRED;
        message.length = sizeof(deferred);
    }
    halo__observe(&calls->stats.room_out, buffer->parked.writable_len - HALO_PAYLOAD);
    HALO_TRACE(calls->port->trace, CALL_OUT, future->function, future->request);
    halo__port_post(calls->port, buffer, message);
    calls->port->calls_out++;
    halo__count(&calls->stats.sent, 1);
    calls->begun[future->request % HALO_NUMBERS].function = future->function;
    calls->begun[future->request % HALO_NUMBERS].exits = calls->port->exits;
    calls->begun[future->request % HALO_NUMBERS].ns = calls->measures ? halo__now() : 0;
}

const char *halo__invoke_send(struct halo_calls *calls)
{
    const char *why = NULL;

    calls->port->counter = halo__counter();
    while (calls->first && calls->number_count < HALO_NUMBERS) {
        const struct halo_request *buffer = halo__port_buffer(calls->port, &why);
        struct halo_future *future = calls->first;
        struct halo_payload payload;

        if (!buffer)
            break;
        if (halo__is_rows(future))
            halo__rows_find_shared(calls, halo__rows_of(future));
        halo__future_unlink(calls, future);
        if (halo__is_rows(future)) {
            halo__future_number(calls, future);
            send_call(calls, buffer, NULL, future);
            continue;
        }
        halo__payload(&payload, future->function, future->args, future->arg_count);
        if (buffer->pushed_at && HALO_PAYLOAD + payload.len > buffer->parked.writable_len) {
            halo__future_finish(future, HALO_ESIZE, halo_strerror(HALO_ESIZE));
            continue;
        }
        halo__future_number(calls, future);
        send_call(calls, buffer, &payload, future);
        if (buffer->pushed_at) /* one call for each exit */
            break;
    }
    return why;
}

bool halo__invoke_stop(struct halo_calls *calls)
{
    const struct halo_request *buffer;
    const char *why;

    if (halo__calls_pending(calls)) /* those come first */
        return false;
    buffer = halo__port_buffer(calls->port, &why);
    if (buffer)
        halo__port_post(calls->port, buffer, (struct halo_message){.kind = HALO_KIND_STOP});
    return buffer;
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Refusals that are the guest's to make; with another code its answer is malformed. */
static bool may_refuse(int32_t code)
{
    return code == HALO_ENAME || code == HALO_ETYPE || code == HALO_ECOUNT || code == HALO_ESIZE ||
           code == HALO_EDEPTH || code == HALO_ENOMEM || code == HALO_EINVAL;
}

static const char *take_error(const struct halo_calls *calls, struct halo_future *future,
                              const struct halo_request *answer)
{
    const size_t len = answer->message.length;
    const char *text;
    int32_t code;

    if (len > sizeof(future->bytes))
        return "an error that is malformed";
    if (!halo__request_read(calls->port, answer, HALO_PAYLOAD, future->bytes, len))
        return HALO_NOT_THERE;
    if (halo__decode_error(future->bytes, len, &code, &text) || (code < 0 && !may_refuse(code)))
        return "an error that is malformed";
    future->code = code > 0 ? code : 0;
    if (halo__is_rows(future) && code > 0)
        halo__rows_failed(future, text);
    halo__future_finish(future, code > 0 ? HALO_ECALL : code, text);
    return NULL;
}

/* The payload of an answer, in the future's own bytes or memory of its own. */
static const char *take_result(struct halo_calls *calls, struct halo_future *future,
                               const struct halo_request *answer)
{
    const struct halo_provided *exported = &calls->functions.exported[future->function - 1];
    const size_t len = answer->message.length;
    unsigned char *bytes = future->bytes;

    if (halo__is_rows(future))
        return halo__rows_take(calls, future, answer);
    if (len < sizeof(struct halo_call_head))
        return "an answer shorter than its header";
    if (len > ANSWER_MAX) { /* RES-04: before anything is allocated */
        halo__future_finish(future, HALO_ESIZE, halo_strerror(HALO_ESIZE));
        return NULL;
    }
    if (len > sizeof(future->bytes)) { /* COST-01, COST-02 */
        if (!halo__port_may_copy(calls->port, len)) {
            halo__future_finish(future, HALO_ESIZE, HALO_COPIES_TOO_MUCH);
            return NULL;
        }
        bytes = future->memory = halo__budget_take(calls->budget, len);
        if (!bytes) {
            halo__future_finish(future, HALO_ENOMEM, HALO_HOLDS_TOO_MUCH);
            return NULL;
        }
    }
    if (!halo__request_read(calls->port, answer, HALO_PAYLOAD, bytes, len))
        return HALO_NOT_THERE;
    if (halo__payload_result(bytes, len, (enum halo_type)exported->signature.types[0],
                             &future->result)) {
        future->result = halo_void();
        return "an answer that is malformed";
    }
    if (future->result.type == HALO_HANDLE &&
        !halo__handle_is_live(&calls->handles, future->result.handle)) {
        future->result = halo_void();
        halo__future_finish(future, HALO_ESTALE, "the guest returned " HALO__STALE_WORDS);
        return NULL;
    }
    halo__future_finish(future, 0, "");
    return NULL;
}

/* Its number may be used again, for another call. */
static void free_number(struct halo_calls *calls, uint32_t request)
{
    calls->in_flight[request % HALO_NUMBERS] = NULL;
    calls->numbers[request % HALO_NUMBERS] = 0;
    calls->number_count--;
}

/* It came back: what it took. */
static void observe(struct halo_calls *calls, uint32_t request)
{
    const uint32_t place = request % HALO_NUMBERS;

    HALO_TRACE(calls->port->trace, RETURN_OUT, calls->begun[place].function, request);
    halo__observe(&calls->stats.exits_out, calls->port->exits - calls->begun[place].exits);
    if (calls->begun[place].ns)
        halo__observe(&calls->stats.call_out_ns, (uint64_t)(halo__now() - calls->begun[place].ns));
}

const char *halo__invoke_answer(struct halo_calls *calls, const struct halo_request *answer)
{
    const uint32_t request = answer->message.request;
    struct halo_future *future = halo__future_find(calls, request);
    const char *why = NULL;

    if (request == 0 || calls->numbers[request % HALO_NUMBERS] != request)
        return "an answer to no call"; /* RPC-07 */
    if (future)                        /* else it was given up */
        why = answer->message.kind == HALO_KIND_ANSWER ? take_result(calls, future, answer)
                                                       : take_error(calls, future, answer);
    if (!why) {
        observe(calls, request);
        free_number(calls, request);
        halo__count(&calls->answered, 1);
        calls->port->calls_back++;
    }
    return why;
}
