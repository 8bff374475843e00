/* Calls that are answered later: see keep.h. */
#include "keep.h"
#include <stdlib.h>
#include <unistd.h>

/* --- The line --------------------------------------------------------------------------------- */

bool halo__line_is_fork(const struct halo_line *line)
{
    return line->process != getpid();
}

void halo__line_lock(struct halo_line *line)
{
    if (!halo__line_is_fork(line))
        pthread_mutex_lock(&line->mutex);
}

void halo__line_unlock(struct halo_line *line)
{
    if (!halo__line_is_fork(line))
        pthread_mutex_unlock(&line->mutex);
}

int halo__line_make(struct halo_calls *calls)
{
    struct halo_line *line;

    if (calls->line)
        return 0;
    line = calloc(1, sizeof(*line));
    if (!line)
        return HALO_ENOMEM;
    pthread_mutex_init(&line->mutex, NULL);
    line->process = getpid();
    line->users = 1;
    line->calls = calls;
    calls->line = line;
    return 0;
}

static void leave_line(struct halo_line *line)
{
    bool is_last;

    halo__line_lock(line);
    is_last = --line->users == 0;
    halo__line_unlock(line);
    if (!is_last)
        return;
    if (!halo__line_is_fork(line))
        pthread_mutex_destroy(&line->mutex);
    free(line);
}

void halo__line_lead(struct halo_calls *calls, void (*wake)(void *keeper), void *keeper)
{
    halo__line_lock(calls->line);
    calls->line->wake = wake;
    calls->line->keeper = keeper;
    halo__line_unlock(calls->line);
}

void halo__line_ring(struct halo_calls *calls, struct halo_poller *poller)
{
    halo__line_lock(calls->line);
    calls->line->poller = poller;
    halo__line_unlock(calls->line);
}

/* --- Keeping ---------------------------------------------------------------------------------- */

int halo_keep(struct halo_call *call, struct halo_pending **result,
              void (*gone)(struct halo_pending *pending, void *context), void *context)
{
    struct halo_calls *calls = call->calls;
    struct halo_pending *pending;

    *result = NULL;
    if (call->answered)
        return halo__fail(calls->words, HALO_ESTATE, "%s: the call was %s before",
                          call->provided->name, call->is_kept ? "kept" : "answered");
    if (calls->port->closed) /* inside of the function: nobody would be told that it is gone */
        return halo__fail(calls->words, HALO_ESTATE, "%s: the guest has ended",
                          call->provided->name);
    if (call->request->pushed_at)
        return halo__fail(calls->words, HALO_ETRANSPORT,
                          "%s: over stacks a call is answered before its function returns",
                          call->provided->name);
    pending = calloc(1, sizeof(*pending));
    if (!pending || halo__line_make(calls)) {
        free(pending);
        return halo__fail(calls->words, HALO_ENOMEM, "%s: no memory", call->provided->name);
    }
    call->answered = call->is_kept = true;
    *pending = (struct halo_pending){
        .line = calls->line,
        .gone = gone,
        .context = context,
        .type = call->provided->signature.types[0],
        .call = {.calls = calls, .request = call->request, .provided = call->provided},
        .next = calls->kept,
    };
    calls->kept = pending;
    halo__line_lock(calls->line);
    calls->line->users++;
    halo__line_unlock(calls->line);
    *result = pending;
    return 0;
}

void halo__pending_free(struct halo_pending *pending)
{
    leave_line(pending->line);
    free(pending->copy);
    free(pending);
}

int halo__kept_answer(struct halo_pending *pending, struct halo_value value, int32_t code,
                      const char *text)
{
    struct halo_pending **link = &pending->call.calls->kept;

    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
    return code ? halo_fail(&pending->call, code, text) : halo_return(&pending->call, value);
}

/* All that was said until now, the last one first. */
static struct halo_pending *take_said(struct halo_line *line)
{
    struct halo_pending *said;

    halo__line_lock(line);
    said = line->said;
    line->said = NULL;
    halo__line_unlock(line);
    return said;
}

bool halo__kept_answer_said(struct halo_calls *calls)
{
    struct halo_pending *said = calls->line ? take_said(calls->line) : NULL, *first = NULL, *next;
    const bool any = said != NULL;

    for (; said; said = next) { /* in the order in which it was said */
        next = said->next_said;
        said->next_said = first;
        first = said;
    }
    for (; first; first = next) {
        next = first->next_said;
        (void)halo__kept_answer(first, first->value, first->code, first->copy);
        halo__pending_free(first);
    }
    return any;
}

/* From now on nobody answers any of them, nor is in the middle of that. All of them. */
static struct halo_pending *end_all(struct halo_calls *calls)
{
    struct halo_line *line = calls->line;
    struct halo_pending *all;

    halo__line_lock(line);
    line->said = NULL; /* those are among them */
    all = calls->kept;
    calls->kept = NULL;
    for (struct halo_pending *pending = all; pending; pending = pending->next) {
        if (pending->stage != HALO_PENDING_SAID)
            pending->stage = HALO_PENDING_ENDS;
    }
    halo__line_unlock(line);
    return all;
}

/* True where nobody will end it any more: it was said, or ended since. */
static bool tell_gone(struct halo_pending *pending)
{
    struct halo_line *line = pending->line;
    bool is_over;

    halo__line_lock(line);
    is_over = pending->stage != HALO_PENDING_ENDS;
    halo__line_unlock(line);
    if (is_over)
        return true;
    if (pending->gone)
        pending->gone(pending, pending->context);
    halo__line_lock(line);
    is_over = pending->stage == HALO_PENDING_LET_GO;
    pending->stage = HALO_PENDING_GONE;
    halo__line_unlock(line);
    return is_over;
}

void halo__kept_end(struct halo_calls *calls)
{
    struct halo_pending *pending = calls->line ? end_all(calls) : NULL, *next;

    for (; pending; pending = next) {
        next = pending->next;
        if (tell_gone(pending))
            halo__pending_free(pending);
    }
}

void halo__kept_abandon(struct halo_calls *calls)
{
    for (struct halo_pending *pending = calls->kept; pending; pending = pending->next)
        pending->gone = NULL;
}

void halo__kept_free(struct halo_calls *calls)
{
    halo__kept_end(calls);
    if (calls->line)
        leave_line(calls->line);
    calls->line = NULL;
}
