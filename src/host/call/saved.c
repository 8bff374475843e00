/* Functions as snapshots keep them. */
#include "saved.h"
#include <stdlib.h>
#include <string.h>

/* What takes the place of a function that this host does not provide. */
static void missing(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    (void)halo_fail(call, 1, "this host does not provide the function");
}

static struct halo_provided *copy(const struct halo_provided *from, uint32_t count)
{
    struct halo_provided *to = calloc(count + 1, sizeof(*to));

    if (to && count > 0)
        memcpy(to, from, count * sizeof(*to));
    return to;
}

int halo__calls_save(const struct halo_calls *calls, struct halo_saved_calls *saved)
{
    const struct halo_functions *functions = &calls->functions;

    saved->functions = *functions;
    saved->functions.provided = copy(functions->provided, functions->count);
    saved->functions.exported = copy(functions->exported, functions->export_count);
    if (!saved->functions.provided || !saved->functions.exported)
        return HALO_ENOMEM;
    halo__calls_forget(saved);
    return 0;
}

void halo__calls_forget(struct halo_saved_calls *saved)
{
    for (uint32_t i = 0; i < saved->functions.count; i++) {
        saved->functions.provided[i].function = missing;
        saved->functions.provided[i].context = NULL;
    }
}

void halo__calls_unsave(struct halo_saved_calls *saved)
{
    free(saved->functions.provided);
    free(saved->functions.exported);
}

static struct halo_provided *named(const struct halo_functions *functions, const char *name)
{
    for (uint32_t i = 0; i < functions->count; i++) {
        if (strcmp(functions->provided[i].name, name) == 0)
            return &functions->provided[i];
    }
    return NULL;
}

/* This host's functions for those that the guest knows, and what it has besides, into `to`. */
static int match(const struct halo_calls *calls, const struct halo_saved_calls *saved,
                 struct halo_provided *to, uint32_t *count)
{
    const struct halo_functions *has = &calls->functions, *wants = &saved->functions;

    memcpy(to, wants->provided, wants->count * sizeof(*to));
    *count = wants->count;
    for (uint32_t i = 0; i < has->count; i++) {
        const struct halo_provided *mine = &has->provided[i];
        const struct halo_provided *place = named(wants, mine->name);
        uint32_t at = *count;

        if (mine->function == missing)
            continue;
        if (place && !halo_signature_equal(&place->signature, &mine->signature))
            return halo__fail(calls->words, HALO_ETYPE,
                              "%s: the guest of the snapshot knows it with another signature",
                              mine->name);
        if (place)
            at = (uint32_t)(place - wants->provided);
        else
            ++*count;
        to[at].signature = mine->signature;
        memcpy(to[at].name, mine->name, sizeof(mine->name));
        to[at].function = mine->function;
        to[at].context = mine->context;
    }
    return *count <= HALO_FUNCTIONS_MAX
               ? 0
               : halo__fail(calls->words, HALO_EFULL,
                            "with those of the snapshot there are more than %u functions",
                            HALO_FUNCTIONS_MAX);
}

int halo__calls_bring_back(struct halo_calls *calls, const struct halo_saved_calls *saved)
{
    struct halo_functions *functions = &calls->functions;
    const struct halo_functions *from = &saved->functions;
    struct halo_provided *provided = calloc(from->count + functions->count + 1, sizeof(*provided));
    struct halo_provided *exported = NULL;
    uint32_t count = 0;
    int error = HALO_ENOMEM;

    if (from->greeted) /* else the guest is still to say what it exports */
        exported = copy(from->exported, from->export_count);
    if (!provided || (from->greeted && !exported))
        (void)halo__fail(calls->words, error, "no memory for the functions of a snapshot");
    else
        error = match(calls, saved, provided, &count);
    if (error) {
        free(provided);
        free(exported);
        return error;
    }
    free(functions->provided);
    free(functions->exported);
    for (uint32_t i = 0; i < count; i++)
        calls->handles.any |= halo__handle_is_taken(&provided[i].signature);
    *functions = (struct halo_functions){.provided = provided,
                                         .exported = exported,
                                         .count = count,
                                         .export_count = from->export_count,
                                         .greeted = from->greeted};
    halo__deferred_free(calls);
    calls->reported = calls->answered; /* those were of the guest of before */
    return 0;
}

bool halo__calls_take_up(struct halo_calls *calls, int index,
                         const struct halo_signature *signature, halo_function *function,
                         void *context)
{
    struct halo_provided *provided = &calls->functions.provided[index - 1];

    if (provided->function != missing || !halo_signature_equal(&provided->signature, signature))
        return false;
    provided->function = function;
    provided->context = context;
    return true;
}

const char *halo__calls_missing(const struct halo_calls *calls)
{
    for (uint32_t i = 0; i < calls->functions.count; i++) {
        const struct halo_provided *provided = &calls->functions.provided[i];

        if (provided->function == missing && provided->is_imported)
            return provided->name;
    }
    return NULL;
}

uint32_t halo__calls_provided(const struct halo_calls *calls)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < calls->functions.count; i++)
        count += calls->functions.provided[i].function != missing;
    return count;
}
