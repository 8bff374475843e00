/*
 * Answers that the guest had no room for. They wait here until it fetches them, the oldest being
 * given up first where there are too many: what a guest can make a host keep is bounded (RES-04).
 */
#include <string.h>
#include "rows.h"

struct halo_deferred_answer {
    struct halo_deferred_answer *next;
    uint32_t ticket;
    uint32_t len;
    unsigned char bytes[];
};

/* Forget the answer behind `before`, or the oldest where that is NULL. */
static void forget(struct halo_calls *calls, struct halo_deferred_answer *before)
{
    struct halo_deferred_answer **link = before ? &before->next : &calls->first_deferred;
    struct halo_deferred_answer *deferred = *link;

    *link = deferred->next;
    if (!deferred->next)
        calls->last_deferred = before;
    calls->deferred_bytes -= deferred->len;
    calls->deferred_count--;
    halo__budget_give(deferred);
}

void halo__deferred_free(struct halo_calls *calls)
{
    while (calls->first_deferred)
        forget(calls, NULL);
}

/* Its own memory, with the bytes one behind the other. */
static struct halo_deferred_answer *copy(struct halo_calls *calls,
                                         const struct halo_payload *payload)
{
    const size_t whole = sizeof(struct halo_deferred_answer) + (size_t)payload->len;
    struct halo_deferred_answer *deferred = halo__budget_take(calls->budget, whole);
    unsigned char *at;

    while (!deferred && calls->first_deferred) { /* those before it give it room */
        forget(calls, NULL);
        halo__count(&calls->stats.discarded, 1);
        deferred = halo__budget_take(calls->budget, whole);
    }
    if (!deferred)
        return NULL;
    deferred->next = NULL;
    deferred->len = (uint32_t)payload->len;
    at = deferred->bytes;
    memcpy(at, payload->wire, payload->wire_len);
    at += payload->wire_len;
    for (uint32_t i = 0; i < payload->count; i++) {
        const size_t len = (size_t)halo__raw_len(&payload->values[i]);
        const size_t pad = halo__raw_pad(&payload->values[i], (uint64_t)(at - deferred->bytes));

        memset(at, 0, pad); /* the guest sees it: nothing of ours */
        at += pad;
        if (len > 0)
            memcpy(at, payload->values[i].bytes, len);
        at += len;
    }
    return deferred;
}

int halo__answer_defer(struct halo_calls *calls, const struct halo_request *request,
                       const struct halo_payload *payload)
{
    struct halo_deferred_answer *deferred;
    struct halo_deferred notice;

    if (payload->len > calls->deferred_len_max)
        return HALO_ESIZE;
    deferred = copy(calls, payload);
    if (!deferred)
        return HALO_ENOMEM;
    while (calls->first_deferred &&
           (calls->deferred_bytes + deferred->len > calls->deferred_len_max ||
            calls->deferred_count == calls->deferred_max)) {
        forget(calls, NULL);
        halo__count(&calls->stats.discarded, 1);
    }
    deferred->ticket = calls->next_ticket++ & ~HALO_TICKET_CALL;
    if (calls->first_deferred)
        calls->last_deferred->next = deferred;
    else
        calls->first_deferred = deferred;
    calls->last_deferred = deferred;
    calls->deferred_bytes += deferred->len;
    calls->deferred_count++;
    halo__count(&calls->stats.deferred, 1);

    notice = (struct halo_deferred){deferred->ticket, deferred->len};
    halo__request_write(calls->port, request, HALO_PAYLOAD, &notice, sizeof(notice));
    halo__port_answer(calls->port, request, HALO_KIND_ANSWER, HALO_MESSAGE_DEFERRED,
                      sizeof(notice));
    return 0;
}

/* An answer that was kept: it is fetched once. */
static void fetch_deferred(struct halo_calls *calls, const struct halo_request *request,
                           uint32_t ticket)
{
    struct halo_deferred_answer *before = NULL, *deferred = calls->first_deferred;

    for (; deferred && deferred->ticket != ticket; deferred = deferred->next)
        before = deferred;
    if (!deferred) {
        halo__answer_error(calls, request, HALO_ESTALE, "the answer is no longer kept");
        return;
    }
    if (request->parked.writable_len < HALO_PAYLOAD + deferred->len) {
        halo__answer_error(calls, request, HALO_ESIZE, "there is no room for what was fetched");
        return;
    }
    if (!halo__port_may_copy(calls->port, deferred->len)) { /* it is still kept */
        halo__answer_error(calls, request, HALO_ESIZE, HALO_COPIES_TOO_MUCH);
        return;
    }
    halo__request_write(calls->port, request, HALO_PAYLOAD, deferred->bytes, deferred->len);
    halo__port_answer(calls->port, request, HALO_KIND_ANSWER, 0, deferred->len);
    halo__count(&calls->stats.fetched, deferred->len);
    forget(calls, before);
}

/* The arguments of a call of ours, straight out of the caller's memory. */
static void fetch_call(struct halo_calls *calls, const struct halo_request *request,
                       uint32_t number)
{
    struct halo_future *future = halo__future_find(calls, number);
    struct halo_payload payload;
    uint64_t len;

    if (!future) {
        halo__answer_error(calls, request, HALO_ESTALE, "the call was given up");
        return;
    }
    if (halo__is_rows(future)) {
        len = halo__rows_of(future)->len;
    } else {
        halo__payload(&payload, future->function, future->args, future->arg_count);
        len = payload.len;
    }
    if (request->parked.writable_len < HALO_PAYLOAD + len) {
        halo__answer_error(calls, request, HALO_ESIZE, "there is no room for what was fetched");
        return;
    }
    if (!halo__port_may_copy(calls->port, len)) {
        halo__answer_error(calls, request, HALO_ESIZE, HALO_COPIES_TOO_MUCH);
        return;
    }
    if (halo__is_rows(future))
        halo__rows_write(halo__rows_of(future), calls->port, request);
    else
        halo__payload_write(&payload, calls->port, request);
    halo__port_answer(calls->port, request, HALO_KIND_ANSWER, 0, (uint32_t)len);
    halo__count(&calls->stats.fetched, len);
}

const char *halo__deferred_fetch(struct halo_calls *calls, struct halo_request *request)
{
    struct halo_fetch fetch;

    if (request->pushed_at)
        return "a message of unknown kind"; /* RPC-06: stacks have none of it */
    if (request->message.length != sizeof(fetch))
        return "a fetch that is malformed";
    if (request->parked.writable_len < HALO_CALL_ROOM_MIN)
        return "a fetch without room for its answer";
    if (!halo__request_read(calls->port, request, HALO_PAYLOAD, &fetch, sizeof(fetch)))
        return HALO_NOT_THERE;
    if (fetch.reserved != 0)
        return "a message with a reserved field that is not zero";
    if (fetch.ticket & HALO_TICKET_CALL)
        fetch_call(calls, request, fetch.ticket & ~HALO_TICKET_CALL);
    else
        fetch_deferred(calls, request, fetch.ticket);
    return NULL;
}
