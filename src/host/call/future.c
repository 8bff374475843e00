/*
 * The host's calls of the guest's functions, as those who wait for them see them. A future is a
 * call: it waits in a list to go out, then it is in flight by its number, and at last it is done.
 */
#include <stdio.h>
#include <string.h>
#include "../owner.h"
#include "call.h"

void halo__future_finish(struct halo_future *future, int error, const char *text)
{
    future->error = error;
    future->text = text;
    halo__owner_tell(&future->done); /* the last: whoever waits for it may have it back now */
}

static void append(struct halo_calls *calls, struct halo_future *future)
{
    future->prev = calls->last;
    future->next = NULL;
    if (calls->last)
        calls->last->next = future;
    else
        calls->first = future;
    calls->last = future;
}

void halo__future_unlink(struct halo_calls *calls, struct halo_future *future)
{
    if (calls->shared_for == future)
        calls->shared_for = NULL;
    if (future->prev)
        future->prev->next = future->next;
    else
        calls->first = future->next;
    if (future->next)
        future->next->prev = future->prev;
    else
        calls->last = future->prev;
}

/* Words for arguments that are not the function's. */
static int refuse_values(struct halo_words *words, const struct halo_provided *exported, int error,
                         const struct halo_value *args, size_t count, uint32_t which)
{
    const struct halo_signature *signature = &exported->signature;
    char text[HALO_SIGNATURE_TEXT_MAX];

    (void)halo_signature_text(signature, text);
    if (error == HALO_ECOUNT)
        return halo__fail(words, error, "%s: it takes %u arguments, %s, and not %zu",
                          exported->name, signature->arg_count, text, count);
    if (error == HALO_ETYPE)
        return halo__fail(words, error, "%s: argument %u is %s and not %s: %s", exported->name,
                          which + 1,
                          halo_is_null(&args[which]) ? "absent" : halo_type_name(args[which].type),
                          halo_type_name((enum halo_type)signature->types[1 + which]), text);
    return halo__fail(
        words, error, "%s: argument %u, %s, is a NULL pointer, or a %s", exported->name, which + 1,
        halo_type_name((enum halo_type)signature->types[1 + which]),
        halo_is_list(halo_type_of(signature->types[1 + which])) ? "list that is none"
                                                                : "text with a zero byte inside");
}

int halo__calls_refuse(const struct halo_calls *calls, const char *what)
{
    if (!calls->port->closed)
        return halo__fail(calls->words, HALO_ESTATE,
                          "%s: the guest has not begun: halo_serve_begin runs it until it serves",
                          what);
    return halo__fail(calls->words, HALO_ESTATE, "%s: %s", what,
                      calls->end ? calls->end->text : "the guest has ended");
}

/* What is negative is the error of the halo_lookup before, which has said what is wrong. */
static int refuse_function(const struct halo_calls *calls, int function)
{
    const struct halo_words said = *calls->words;

    if (function < 0 && said.text[0])
        return halo__fail(calls->words, HALO_ENAME, "there is no function: %s", said.text);
    return halo__fail(calls->words, HALO_ENAME,
                      "there is no function %d; halo_lookup returns numbers from 1 to %u", function,
                      calls->functions.export_count);
}

int halo__future_judge(const struct halo_calls *calls, int function)
{
    const struct halo_provided *exported;

    if (!calls->port->open)
        return halo__calls_refuse(calls, "a call");
    if (function < 1 || (uint32_t)function > calls->functions.export_count)
        return refuse_function(calls, function);
    exported = &calls->functions.exported[function - 1];
    if (calls->port->serving > HALO_DEPTH_MAX)
        return halo__fail(calls->words, HALO_EDEPTH, "%s: calls inside calls are deeper than %u",
                          exported->name, HALO_DEPTH_MAX);
    if (calls->port->on_stacks && (calls->first || calls->number_count > calls->port->waits))
        return halo__fail(calls->words, HALO_ETRANSPORT,
                          "%s: over stacks one call is in flight at a time", exported->name);
    return 0;
}

/* The same for these arguments. */
static int judge(const struct halo_calls *calls, int function, const struct halo_value *args,
                 size_t count)
{
    const struct halo_provided *exported;
    uint64_t len = 0;
    uint32_t which = 0;
    int error = halo__future_judge(calls, function);

    if (error)
        return error;
    exported = &calls->functions.exported[function - 1];
    error = halo_values_check(&exported->signature, args, count, &which);
    if (error)
        return refuse_values(calls->words, exported, error, args, count, which);
    for (size_t i = 0; i < count; i++) {
        if (args[i].type == HALO_HANDLE && !halo__handle_is_live(&calls->handles, args[i].handle))
            return halo__fail(calls->words, HALO_ESTALE, "%s: argument %zu is " HALO__STALE_WORDS,
                              exported->name, i + 1);
        len += args[i].len;
        if (args[i].len > HALO_VALUE_MAX || len > HALO_VALUE_MAX)
            return halo__fail(calls->words, HALO_ESIZE,
                              "%s: its arguments are longer than %llu bytes", exported->name,
                              (unsigned long long)HALO_VALUE_MAX);
    }
    return 0;
}

/* Words that may change become the future's own. */
static const char *own_text(struct halo_future *future, const char *text)
{
    (void)snprintf((char *)future->bytes, sizeof(future->bytes), "%.*s",
                   (int)sizeof(future->bytes) - 1, text);
    return (const char *)future->bytes;
}

int halo__future_refuse(struct halo_future *future, int error, const char *text)
{
    future->calls = NULL;
    future->memory = NULL;
    future->code = 0;
    future->result = halo_void();
    halo__future_finish(future, error, own_text(future, text));
    return error;
}

void halo__future_begin(struct halo_calls *calls, struct halo_future *future, int function,
                        uint32_t count)
{
    future->memory = NULL;
    future->code = 0;
    future->result = halo_void();
    future->done = false;
    future->error = 0;
    future->text = "";
    future->calls = calls;
    future->function = (uint32_t)function;
    future->request = 0;
    future->depth = (uint8_t)calls->port->serving;
    future->arg_count = (uint8_t)count;
    append(calls, future);
}

int halo__future_start(struct halo_calls *calls, struct halo_future *future, int function,
                       const struct halo_value *args, size_t count)
{
    const int error = judge(calls, function, args, count);

    if (error)
        return halo__future_refuse(future, error, calls->words->text);
    if (count > 0)
        memcpy(future->args, args, count * sizeof(*args));
    halo__future_begin(calls, future, function, (uint32_t)count);
    return 0;
}

struct halo_future *halo__future_find(const struct halo_calls *calls, uint32_t request)
{
    const uint32_t place = request % HALO_NUMBERS;

    return request > 0 && calls->numbers[place] == request ? calls->in_flight[place] : NULL;
}

void halo_future_free(struct halo_future *future)
{
    if (!halo__owner_was_told(&future->done) && future->calls) {
        if (future->request)
            future->calls->in_flight[future->request % HALO_NUMBERS] = NULL;
        else
            halo__future_unlink(future->calls, future);
    }
    future->calls = NULL;
    halo__budget_give(future->memory);
    future->memory = NULL;
    future->result = halo_void();
}

void halo__futures_end(struct halo_calls *calls, int error)
{
    const char *text = *calls->words->text ? calls->words->text : halo_strerror(error);
    struct halo_future *future;

    for (uint32_t i = 0; i < HALO_NUMBERS; i++) {
        future = calls->in_flight[i];
        calls->in_flight[i] = NULL;
        if (future)
            halo__future_finish(future, error, own_text(future, text));
    }
    while ((future = calls->first)) {
        halo__future_unlink(calls, future);
        halo__future_finish(future, error, own_text(future, text));
    }
    memset(calls->numbers, 0, sizeof(calls->numbers));
    calls->number_count = 0;
}

/* --- Numbers ---------------------------------------------------------------------------------- */

/* Never 0: its high byte counts the uses of its low one. */
void halo__future_number(struct halo_calls *calls, struct halo_future *future)
{
    uint32_t i = calls->next_number;

    while (calls->numbers[i])
        i = (i + 1) % HALO_NUMBERS;
    calls->next_number = (i + 1) % HALO_NUMBERS;
    calls->generations[i] = (uint8_t)(calls->generations[i] == 255 ? 1 : calls->generations[i] + 1);
    future->request = (uint16_t)((uint32_t)calls->generations[i] << 8 | i);
    calls->numbers[i] = future->request;
    calls->in_flight[i] = future;
    calls->sent[i] = calls->port->counter;
    calls->number_count++;
}
