/*
 * The guest's calls of the host's functions, each from its request to its answer. Everything that
 * the guest wrote is copied to private memory first, and then looked at (TOC-04, TOC-08).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../message/compact.h"
#include "../deadline.h"
#include "call.h"

/* --- A call ----------------------------------------------------------------------------------- */

/* An error of Halo's own: the guest gets its code, and the words for it. */
static int refuse_with(struct halo_call *call, int error, const char *text)
{
    halo__answer_error(call->calls, call->request, error, text);
    call->answered = true;
    return error;
}

static int refuse(struct halo_call *call, int error)
{
    return refuse_with(call, error, halo_strerror(error));
}

/* What a function has returned is not what it has to: both sides get words for it. */
static int refuse_result(struct halo_call *call, int error, const struct halo_value *value)
{
    const struct halo_provided *provided = call->provided;
    const char *expected = halo_type_name((enum halo_type)provided->signature.types[0]);
    char text[HALO_ERROR_TEXT_MAX + 1];

    if (error == HALO_ETYPE && value->type == HALO_VOID)
        (void)snprintf(text, sizeof(text), "%s returned no result, and its signature says %s",
                       provided->name, expected);
    else if (error == HALO_ETYPE)
        (void)snprintf(text, sizeof(text), "%s returned %s, and its signature says %s",
                       provided->name, halo_type_name(value->type), expected);
    else if (error == HALO_ESIZE)
        (void)snprintf(text, sizeof(text), "%s returned %zu bytes, which is more than %s",
                       provided->name, value->len,
                       call->request->pushed_at      ? "the stack holds"
                       : value->len > HALO_VALUE_MAX ? "16 MiB"
                                                     : "sizes.deferred_len");
    else if (error == HALO_ESTALE)
        (void)snprintf(text, sizeof(text), "%s returned " HALO__STALE_WORDS, provided->name);
    else if (error == HALO_EINVAL)
        (void)snprintf(text, sizeof(text), "%s returned a NULL pointer, or a %s", provided->name,
                       halo_is_list(value->type) ? "list that is none"
                                                 : "text with a zero byte inside");
    else
        (void)snprintf(text, sizeof(text), "%s: %s", provided->name, halo_strerror(error));
    (void)halo__fail(call->calls->words, error, "%s", text);
    return refuse_with(call, error, text);
}

static int answered_before(const struct halo_call *call)
{
    return halo__fail(call->calls->words, HALO_ESTATE, "%s: the call was %s before",
                      call->provided->name, call->is_kept ? "kept" : "answered");
}

/* A number, or nothing, as the answer to a compact call: it lies in the used entry. */
static void answer_compact(struct halo_call *call, const struct halo_value *value)
{
    unsigned char bytes[HALO_INLINE_ANSWER_MAX];

    halo__pack(bytes, value);
    halo__port_answer_inline(call->calls->port, call->request, bytes,
                             halo__packed_len(value->type));
    call->answered = true;
}

int halo_return(struct halo_call *call, struct halo_value value)
{
    struct halo_payload payload;
    int error;

    if (halo__port_is_fork(call->calls->port)) /* HOST-07: the guest is not this process's */
        return halo__owner_refuse_fork(call->calls->words);
    if (call->answered)
        return answered_before(call);
    error = halo__value_check(call->provided->signature.types[0], &value);
    if (error)
        return refuse_result(call, error, &value);
    if (value.type == HALO_HANDLE && !halo__handle_is_live(&call->calls->handles, value.handle))
        return refuse_result(call, HALO_ESTALE, &value);
    if (call->request->parked.is_inline && (value.type < HALO_STR || value.type == HALO_HANDLE)) {
        answer_compact(call, &value);
        return 0;
    }
    if (value.len > HALO_VALUE_MAX)
        return refuse_result(call, HALO_ESIZE, &value);
    halo__payload(&payload, 0, &value, 1);
    if (!halo__port_may_copy(call->calls->port, payload.len)) {
        (void)halo__fail(call->calls->words, HALO_ESIZE, "%s: %s", call->provided->name,
                         HALO_COPIES_TOO_MUCH);
        return refuse_with(call, HALO_ESIZE, HALO_COPIES_TOO_MUCH);
    }
    if (payload.len > call->request->parked.writable_len - HALO_PAYLOAD) { /* RPC-05 */
        if (call->request->pushed_at)
            return refuse_result(call, HALO_ESIZE, &value);
        error = halo__answer_defer(call->calls, call->request, &payload);
        if (error)
            return refuse_result(call, error, &value);
    } else {
        halo__count(&call->calls->stats.spare,
                    call->request->parked.writable_len - HALO_PAYLOAD - payload.len);
        halo__payload_write(&payload, call->calls->port, call->request);
        halo__port_answer(call->calls->port, call->request, HALO_KIND_ANSWER, 0,
                          (uint32_t)payload.len);
    }
    call->answered = true;
    return 0;
}

int halo_fail(struct halo_call *call, int32_t code, const char *text)
{
    if (halo__port_is_fork(call->calls->port))
        return halo__owner_refuse_fork(call->calls->words);
    if (call->answered)
        return answered_before(call);
    if (code <= 0)
        return halo__fail(call->calls->words, HALO_EINVAL,
                          "%s: a function's own code is above 0, not %d", call->provided->name,
                          code);
    halo__answer_error(call->calls, call->request, code, text);
    call->answered = true;
    return 0;
}

struct halo_sandbox *halo_call_sandbox(struct halo_call *call)
{
    return call->calls->box;
}

/* Which function is called, from 1. */
static uint32_t index_of(const struct halo_call *call)
{
    return (uint32_t)(call->provided - call->calls->functions.provided) + 1;
}

/* Apart, so that calls which nobody looks at are as quick as they were. */
__attribute__((noinline)) static void call_watched(struct halo_call *call,
                                                   const struct halo_value *args)
{
    struct halo_calls *calls = call->calls;
    const uint32_t chain = halo__traced_chain(HALO_QUEUE_G2H, call->request);
    const int64_t start = calls->measures ? halo__now() : 0;

    HALO_TRACE(calls->port->trace, CALL, index_of(call), chain);
    call->provided->function(call, args, call->provided->context);
    HALO_TRACE(calls->port->trace, RETURN, index_of(call), chain);
    if (start)
        halo__observe(&calls->stats.call_ns, (uint64_t)(halo__now() - start));
}

/* Whether the guest has all handles that it hands back: HND-01, HND-02, HND-04. */
static __attribute__((noinline)) bool has_handles(struct halo_call *call,
                                                  const struct halo_value *args)
{
    const struct halo_provided *provided = call->provided;
    char text[HALO_ERROR_TEXT_MAX + 1];

    for (uint32_t i = 0; i < provided->signature.arg_count; i++) {
        if (args[i].type != HALO_HANDLE ||
            halo__handle_is_live(&call->calls->handles, args[i].handle))
            continue;
        (void)snprintf(text, sizeof(text), "%s: argument %u is " HALO__STALE_WORDS, provided->name,
                       i + 1);
        refuse_with(call, HALO_ESTALE, text);
        return false;
    }
    return true;
}

/* With its values in private memory: call. */
static void call_function(struct halo_call *call, const struct halo_value *args)
{
    const struct halo_provided *provided = call->provided;

    if (call->calls->handles.any && !has_handles(call, args))
        return;
    call->args = args;
    call->outer = call->calls->innermost;
    call->calls->innermost = call;
    halo__count(&call->calls->stats.served, 1);
    call->calls->port->serving++;
    if (call->calls->watches) {
        call_watched(call, args);
    } else {
        HALO_PROBE(CALL, index_of(call), halo__traced_chain(HALO_QUEUE_G2H, call->request));
        provided->function(call, args, provided->context);
        HALO_PROBE(RETURN, index_of(call), halo__traced_chain(HALO_QUEUE_G2H, call->request));
    }
    call->calls->port->serving--;
    call->calls->innermost = call->outer;
    if (!call->answered)
        (void)halo_return(call, halo_void()); /* HALO_ETYPE where there has to be a result */
}

/* Bytes of strings and bytes, each of less than 4 GiB. */
static uint64_t total_len(const struct halo_value *args, uint32_t count)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        total += args[i].len;
    return total;
}

/* COST-01, COST-02: what a call may hold and copy; the guest gets the refusal. */
static unsigned char *take_memory(struct halo_call *call, uint64_t len)
{
    const struct halo_calls *calls = call->calls;
    unsigned char *memory;

    if (!halo__port_may_copy(calls->port, len)) {
        refuse_with(call, HALO_ESIZE, HALO_COPIES_TOO_MUCH);
        return NULL;
    }
    memory = halo__budget_take(calls->budget, (size_t)len);
    if (!memory)
        refuse_with(call, HALO_ENOMEM, HALO_HOLDS_TOO_MUCH);
    return memory;
}

/* Arguments that are not the signature's: of one of another type the guest is told which. */
static void refuse_argument(struct halo_call *call, int error, uint32_t which)
{
    const struct halo_provided *provided = call->provided;
    char text[HALO_ERROR_TEXT_MAX + 1];

    if (error != HALO_ETYPE) {
        refuse(call, error);
        return;
    }
    (void)snprintf(text, sizeof(text), "%s: argument %u is absent or of another type, and not %s",
                   provided->name, which + 1,
                   halo_type_name((enum halo_type)provided->signature.types[1 + which]));
    refuse_with(call, error, text);
}

/* The function and its signature are known: read the arguments and call. */
static const char *call_with(struct halo_call *call, unsigned char *envelope, size_t len,
                             uint64_t raw_at)
{
    const struct halo_request *request = call->request;
    const struct halo_signature *signature = &call->provided->signature;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    unsigned char *memory = NULL;
    const uint64_t off = raw_at % 8; /* lists are aligned in memory as in the message */
    uint64_t raw;
    int error = halo__decode_arguments(envelope, len, signature, args, &raw);

    if (error == HALO_EMESSAGE)
        return "a call that is malformed";
    if (error) { /* RPC-02 */
        refuse_argument(call, error, (uint32_t)raw);
        return NULL;
    }
    if (raw > 0)
        raw = halo__segments_len(args, signature->arg_count, raw_at - HALO_PAYLOAD);
    if (raw != request->parked.readable_len - raw_at)
        return "a call whose segments are not what it announces";
    if (total_len(args, signature->arg_count) > HALO_VALUE_MAX) { /* RES-04, RPC-05 */
        refuse(call, HALO_ESIZE);
        return NULL;
    }
    if (raw > 0) {
        memory = take_memory(call, off + raw);
        if (!memory)
            return NULL;
        if (!halo__request_read(call->calls->port, request, raw_at, memory + off, (size_t)raw)) {
            halo__budget_give(memory);
            return HALO_NOT_THERE;
        }
        error = halo__place_raw(memory, off, args, signature->arg_count);
    }
    if (!error)
        call_function(call, args);
    halo__budget_give(memory);
    return error ? "a call with text that does not end where it says, or a bool that is none"
                 : NULL;
}

/* A call in a message, which is due. */
static const char *serve_message(struct halo_calls *calls, struct halo_request *request)
{
    const struct halo_functions *functions = &calls->functions;
    struct halo_call call = {.calls = calls, .request = request};
    unsigned char envelope[HALO_ENVELOPE_MAX];
    struct halo_call_head head;
    uint32_t function;
    uint64_t at = HALO_PAYLOAD + sizeof(head);
    size_t used;

    if (request->message.length < sizeof(head))
        return "a call shorter than its header";
    halo__observe(&calls->stats.room, request->parked.writable_len - HALO_PAYLOAD);
    if (!halo__request_read(calls->port, request, HALO_PAYLOAD, &head, sizeof(head)))
        return HALO_NOT_THERE;
    if (head.envelope_len > HALO_ENVELOPE_MAX ||
        !halo__call_head_is_valid(&head, request->message.length))
        return "a call with a malformed envelope";
    if (!halo__request_read(calls->port, request, at, envelope, head.envelope_len))
        return HALO_NOT_THERE;
    at += head.envelope_len;
    if (halo__decode_function(envelope, head.envelope_len, &function, &used))
        return "a call that is malformed";
    if (function > functions->count) { /* RPC-01 */
        refuse(&call, HALO_ENAME);
        return NULL;
    }
    call.provided = &functions->provided[function - 1];
    return call_with(&call, envelope + used, head.envelope_len - used, at);
}

/* A call in the compact form, which is due. */
static const char *serve_compact(struct halo_calls *calls, struct halo_request *request)
{
    const struct halo_functions *functions = &calls->functions;
    const unsigned char *bytes = request->parked.inline_bytes;
    struct halo_call call = {.calls = calls, .request = request};
    const struct halo_signature *signature;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    uint32_t function = bytes[1] | (uint32_t)bytes[2] << 8, left;

    if (function == 0)
        return "a call that is malformed";
    if (function > functions->count) { /* RPC-01 */
        refuse(&call, HALO_ENAME);
        return NULL;
    }
    call.provided = &functions->provided[function - 1];
    signature = &call.provided->signature;
    left = request->parked.inline_len - HALO_COMPACT_HEAD;
    bytes += HALO_COMPACT_HEAD;
    for (uint32_t i = 0; i < signature->arg_count; i++) {
        const enum halo_type type = (enum halo_type)signature->types[1 + i];
        const uint32_t len = halo__packed_len(type);

        if (len > left) { /* or it may be absent */
            const int taken =
                halo_is_maybe(signature->types[1 + i])
                    ? halo__unpack_maybe(bytes, left, halo_type_of((uint8_t)type), &args[i])
                    : 0;

            if (taken < 0)
                return "a call that is malformed";
            if (taken == 0)
                return "a call whose arguments are not its function's";
            bytes += taken;
            left -= (uint32_t)taken;
            continue;
        }
        if (!halo__unpack(bytes, type, &args[i]))
            return "a call that is malformed";
        bytes += len;
        left -= len;
    }
    if (left > 0)
        return "a call whose arguments are not its function's";
    call_function(&call, args);
    return NULL;
}

const struct halo_provided *halo__call_function(const struct halo_calls *calls,
                                                const struct halo_request *request)
{
    const struct halo_functions *functions = &calls->functions;
    const uint8_t *bytes = request->parked.inline_bytes;
    unsigned char envelope[16];
    uint32_t function = bytes[1] | (uint32_t)bytes[2] << 8;
    uint64_t len = request->parked.readable_len;
    size_t used;

    if (!request->parked.is_inline) {
        const uint64_t at = HALO_PAYLOAD + sizeof(struct halo_call_head);

        len = len > at ? len - at : 0;
        len = len < sizeof(envelope) ? len : sizeof(envelope);
        if (!halo__request_read(calls->port, request, at, envelope, (size_t)len) ||
            halo__decode_function(envelope, (size_t)len, &function, &used))
            return NULL;
    }
    return function > 0 && function <= functions->count ? &functions->provided[function - 1] : NULL;
}

/* --- Now, or later ---------------------------------------------------------------------------- */

static bool is_due(const struct halo_calls *calls, const struct halo_request *request)
{
    return request->message.flags >> HALO_DEPTH_SHIFT >= calls->port->waits;
}

static const char *serve(struct halo_calls *calls, struct halo_request *request)
{
    return request->parked.is_inline ? serve_compact(calls, request)
                                     : serve_message(calls, request);
}

/* The first that is due, taken out of those that were put off, or NULL. */
static struct halo_request *take_due(struct halo_calls *calls)
{
    struct halo_request *requests = calls->port->requests[HALO_QUEUE_G2H];
    struct halo_request *before = NULL, *request = halo__fifo_first(requests, &calls->put_off);

    while (request && !is_due(calls, request)) {
        before = request;
        request = halo__fifo_next(requests, request);
    }
    if (request)
        halo__fifo_take_after(requests, &calls->put_off, before);
    return request;
}

const char *halo__call_due(struct halo_calls *calls)
{
    struct halo_request *request;
    const char *why = NULL;

    while (!why && !calls->port->closed && (request = take_due(calls)))
        why = serve(calls, request);
    return why;
}

const char *halo__call_serve(struct halo_calls *calls, struct halo_request *request)
{
    if (request->parked.writable_len < HALO_CALL_ROOM_MIN)
        return "a call without room for its answer";
    if (is_due(calls, request))
        return serve(calls, request);
    if (request->pushed_at)
        return "a call that is not its innermost";
    halo__fifo_push(calls->port->requests[HALO_QUEUE_G2H], &calls->put_off, request);
    return NULL;
}
