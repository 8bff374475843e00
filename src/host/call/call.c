/* The service of calls. */
#include "keep.h"
#include "rows.h"
#include <stdlib.h>

static const char *take(void *self, struct halo_request *request)
{
    struct halo_calls *calls = self;

    switch (request->message.kind) {
    case HALO_KIND_CALL:
        return halo__call_serve(calls, request);
    case HALO_KIND_HELLO:
        return halo__greeting_take(calls, request);
    case HALO_KIND_FETCH:
        return halo__deferred_fetch(calls, request);
    default: /* an answer, or an error that is one */
        return halo__invoke_answer(calls, request);
    }
}

static const char *serve(void *self)
{
    struct halo_calls *calls = self;

    return calls->put_off.first ? halo__call_due(calls) : NULL;
}

static const char *send(void *self)
{
    struct halo_calls *calls = self;

    return calls->first ? halo__invoke_send(calls) : NULL;
}

static void end(void *self, int error)
{
    struct halo_calls *calls = self;

    halo__kept_end(calls);
    halo__futures_end(calls, error);
    halo__aggregates_end(calls);
    calls->put_off = (struct halo_fifo){0, 0};
}

static bool needs_host(const void *self)
{
    const struct halo_calls *calls = self;

    return calls->kept != NULL;
}

static const struct halo_service service = {
    .kinds =
        {
            [HALO_QUEUE_G2H] = HALO_KIND_BIT(HALO_KIND_CALL) | HALO_KIND_BIT(HALO_KIND_HELLO) |
                               HALO_KIND_BIT(HALO_KIND_FETCH),
            [HALO_QUEUE_H2G] = HALO_KIND_BIT(HALO_KIND_ANSWER) | HALO_KIND_BIT(HALO_KIND_ERROR),
        },
    .take = take,
    .serve = serve,
    .send = send,
    .end = end,
    .needs_host = needs_host,
};

void halo__calls_init(struct halo_calls *calls, struct halo_port *port, struct halo_words *words,
                      struct halo_sandbox *box)
{
    calls->port = port;
    calls->words = words;
    calls->box = box;
    calls->deferred_len_max = HALO_DEFERRED_MAX;
    calls->deferred_max = HALO_DEFERRED_COUNT_DEFAULT;
    calls->handles.max = HALO_HANDLES_DEFAULT;
    halo__port_attach(port, &service, calls);
}

void halo__calls_watch(struct halo_calls *calls)
{
    calls->watches = calls->measures || calls->port->trace;
}

void halo__calls_measure(struct halo_calls *calls, bool measures)
{
    calls->measures = measures;
    halo__calls_watch(calls);
    for (uint32_t i = 0; i < HALO_NUMBERS && !measures; i++)
        calls->begun[i].ns = 0;
}

void halo__calls_free(struct halo_calls *calls)
{
    halo__kept_free(calls);
    halo__deferred_free(calls);
    halo__handles_drop(&calls->handles);
    free(calls->functions.provided);
    free(calls->functions.exported);
    halo__budget_close(calls->budget);
}
