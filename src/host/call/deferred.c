/*
 * Answers that the guest had no room for. They wait here until it fetches them, the oldest being
 * given up first where there are too many: what a guest can make a host keep is bounded (RES-04).
 */
#include <stdlib.h>
#include <string.h>
#include "../sandbox.h"
#include "../../message/envelope.h"
#include "call.h"

#define KEPT_COUNT_MAX 1024u
#define PAYLOAD sizeof(struct halo_message)

struct halo_kept {
    struct halo_kept *next;
    uint32_t ticket;
    uint32_t len;
    unsigned char bytes[];
};

static void forget_first(struct halo_calls *calls)
{
    struct halo_kept *kept = calls->first_kept;

    calls->first_kept = kept->next;
    calls->kept_bytes -= kept->len;
    calls->kept_count--;
    free(kept);
}

void halo__kept_free(struct halo_sandbox *box)
{
    while (box->calls.first_kept)
        forget_first(&box->calls);
}

/* Its own memory, with the bytes one behind the other. */
static struct halo_kept *copy(const struct halo_payload *payload)
{
    struct halo_kept *kept = malloc(sizeof(*kept) + (size_t)payload->len);
    unsigned char *at;

    if (!kept)
        return NULL;
    kept->next = NULL;
    kept->len = (uint32_t)payload->len;
    at = kept->bytes;
    memcpy(at, payload->wire, payload->wire_len);
    at += payload->wire_len;
    for (uint32_t i = 0; i < payload->count; i++) {
        const size_t len = (size_t)halo__raw_len(&payload->values[i]);

        if (len > 0)
            memcpy(at, payload->values[i].bytes, len);
        at += len;
    }
    return kept;
}

int halo__keep(struct halo_sandbox *box, const struct halo_request *request,
               const struct halo_payload *payload)
{
    struct halo_calls *calls = &box->calls;
    struct halo_kept *kept = copy(payload);
    struct halo_held held;

    if (!kept)
        return HALO_ENOMEM;
    while (calls->first_kept &&
           (calls->kept_bytes + kept->len > HALO_KEPT_MAX || calls->kept_count == KEPT_COUNT_MAX)) {
        forget_first(calls);
        box->stats.discarded++;
    }
    kept->ticket = calls->next_ticket++ & ~HALO_TICKET_CALL;
    if (calls->first_kept)
        calls->last_kept->next = kept;
    else
        calls->first_kept = kept;
    calls->last_kept = kept;
    calls->kept_bytes += kept->len;
    calls->kept_count++;
    box->stats.kept++;

    held = (struct halo_held){kept->ticket, kept->len};
    halo__request_write(request, PAYLOAD, &held, sizeof(held));
    halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, HALO_MESSAGE_HELD, sizeof(held));
    return 0;
}

/* An answer that was kept: it is fetched once. */
static void fetch_kept(struct halo_sandbox *box, const struct halo_request *request,
                       uint32_t ticket)
{
    struct halo_calls *calls = &box->calls;
    struct halo_kept **link = &calls->first_kept, *before = NULL, *kept;

    for (; *link && (*link)->ticket != ticket; link = &(*link)->next)
        before = *link;
    kept = *link;
    if (!kept) {
        halo__answer_error(box, request, HALO_ESTALE, "the answer is no longer kept");
        return;
    }
    if (request->writable_len < PAYLOAD + kept->len) {
        halo__answer_error(box, request, HALO_ESIZE, "there is no room for what was fetched");
        return;
    }
    halo__request_write(request, PAYLOAD, kept->bytes, kept->len);
    halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, 0, kept->len);
    box->stats.fetched += kept->len;
    *link = kept->next;
    if (calls->last_kept == kept)
        calls->last_kept = before;
    calls->kept_bytes -= kept->len;
    calls->kept_count--;
    free(kept);
}

/* The arguments of a call of ours, straight out of the caller's memory. */
static void fetch_call(struct halo_sandbox *box, const struct halo_request *request,
                       uint32_t number)
{
    unsigned char wire[sizeof(struct halo_call_head) + HALO_ENVELOPE_MAX];
    const struct halo_future *future = halo__invoke_find(box, number);
    struct halo_payload payload;

    if (!future) {
        halo__answer_error(box, request, HALO_ESTALE, "the call was given up");
        return;
    }
    halo__invoke_payload(&payload, wire, future);
    if (request->writable_len < PAYLOAD + payload.len) {
        halo__answer_error(box, request, HALO_ESIZE, "there is no room for what was fetched");
        return;
    }
    halo__payload_write(&payload, request);
    halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, 0, (uint32_t)payload.len);
    box->stats.fetched += payload.len;
}

const char *halo__fetch(struct halo_sandbox *box, struct halo_request *request)
{
    struct halo_fetch fetch;

    if (request->message.length != sizeof(fetch))
        return "a fetch that is malformed";
    if (request->writable_len < HALO_CALL_ROOM_MIN)
        return "a fetch without room for its answer";
    halo__request_read(request, PAYLOAD, &fetch, sizeof(fetch));
    if (fetch.reserved != 0)
        return "a message with a reserved field that is not zero";
    if (fetch.ticket & HALO_TICKET_CALL)
        fetch_call(box, request, fetch.ticket & ~HALO_TICKET_CALL);
    else
        fetch_kept(box, request, fetch.ticket);
    return NULL;
}
