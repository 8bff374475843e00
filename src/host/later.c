/* Answers later: halo/later.h. From the thread that has the sandbox, or to whoever runs it. */
#include "sandbox.h"
#include "../message/envelope.h"
#include "call/keep.h"
#include <stdlib.h>
#include <string.h>

/* In memory of its own: 0, or HALO_ENOMEM. */
static int copy(struct halo_pending *pending, struct halo_value value, int32_t code,
                const char *text)
{
    const bool has_bytes = !code && halo__has_bytes(&value);
    const size_t len = code ? strnlen(text, HALO_ERROR_TEXT_MAX) : has_bytes ? value.len : 0;
    const void *bytes = code ? text : value.bytes;
    char *to = code || has_bytes ? calloc(1, len + 1) : NULL;

    if ((code || has_bytes) && !to)
        return HALO_ENOMEM;
    if (len > 0)
        memcpy(to, bytes, len);
    pending->copy = to;
    pending->value = value;
    if (has_bytes)
        pending->value.bytes = to;
    pending->code = code;
    return 0;
}

/* To the one that runs it, by the line, whose mutex is held. */
static int say(struct halo_pending *pending, struct halo_value value, int32_t code,
               const char *text)
{
    struct halo_line *line = pending->line;
    const int error = copy(pending, value, code, text);

    if (error)
        return error;
    pending->stage = HALO_PENDING_SAID;
    pending->next_said = line->said;
    line->said = pending;
    line->wake(line->keeper);
    if (line->poller)
        halo__poller_ring(line->poller);
    return 0;
}

/*
 * With its sandbox, where that is not another thread's: *is_over. All of it with the mutex: whoever
 * closes the sandbox waits for that.
 */
static int answer(struct halo_pending *pending, struct halo_value value, int32_t code,
                  const char *text, bool *is_over)
{
    struct halo_sandbox *box = pending->call.calls->box;
    int error = halo__box_enter(box);

    *is_over = !error;
    if (error)
        return error;
    error = halo__kept_answer(pending, value, code, text);
    if (error == HALO_ENOMEM) /* the guest was told; and it is freed, which that would not say */
        error = HALO_ESIZE;
    if (box->port.serving == 0) /* else the drain that it is inside of does so */
        halo__port_publish(&box->port);
    return halo__box_leave(box, error);
}

static int end(struct halo_pending *pending, struct halo_value value, int32_t code,
               const char *text)
{
    struct halo_line *line = pending->line;
    int error = HALO_ESTALE;
    bool is_over = false;

    halo__line_lock(line);
    if (pending->stage == HALO_PENDING_ENDS) {
        pending->stage = HALO_PENDING_LET_GO; /* it is freed there */
    } else if (pending->stage == HALO_PENDING_GONE) {
        is_over = true;
    } else if (halo__owner_is_fork(&pending->call.calls->box->owner)) {
        error = HALO_ESTATE;
    } else if (line->wake) {
        error = say(pending, value, code, text);
    } else {
        error = answer(pending, value, code, text, &is_over);
    }
    halo__line_unlock(line);
    if (is_over)
        halo__pending_free(pending);
    return error;
}

int halo_return_later(struct halo_pending *pending, struct halo_value value)
{
    const int error =
        value.len > HALO_VALUE_MAX ? HALO_EINVAL : halo__value_check(pending->type, &value);

    return error ? error : end(pending, value, 0, "");
}

int halo_fail_later(struct halo_pending *pending, int32_t code, const char *text)
{
    return code > 0 ? end(pending, halo_void(), code, text ? text : "") : HALO_EINVAL;
}
