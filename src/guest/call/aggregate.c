/*
 * States of aggregates, by the numbers that the host gives them. A call takes its state, and then
 * keeps, ends or drops it. Meanwhile a call inside of it can begin another one by the same number:
 * then the first is of nobody, and goes when its call is over.
 */
#include "rows_result.h"

static struct state {
    const struct halo_export *export;
    void *memory; /* NULL: there is none */
    bool used;    /* by a call that goes on */
} states[HALO_AGGREGATES_MAX];

/* Its end, whose result nobody wants. */
static void discard(const struct halo_export *export, void *memory)
{
    struct halo__rows_state c;

    c.call = (struct halo_call){.export = export, .state = HALO__ANSWERED};
    c.rows = (struct halo_rows){0, 0, NULL, NULL, memory};
    c.type = HALO_VOID;
    c.has_validity = false;
    halo__serving++;
    export->end(&c.rows);
    halo__serving--;
    free(memory);
}

int halo__state_take(struct halo__rows_state *c)
{
    struct state *state = c->aggregate > 0 ? &states[c->aggregate - 1] : NULL;
    const struct state before = state ? *state : (struct state){NULL, NULL, false};

    if (!c->begins) {
        if (!before.memory || before.used || before.export != c->call.export)
            return HALO_EINVAL;
        state->used = true;
        c->rows.state = before.memory;
        return 0;
    }
    if (state)
        *state = (struct state){NULL, NULL, false};
    if (before.memory && !before.used)
        discard(before.export, before.memory);
    c->rows.state = calloc(1, c->call.export->state_len);
    if (!c->rows.state)
        return HALO_ENOMEM;
    if (state)
        *state = (struct state){c->call.export, c->rows.state, true};
    return 0;
}

/* The number is free, if it is still this state's. */
static void forget(const struct halo__rows_state *c)
{
    struct state *state = c->aggregate > 0 ? &states[c->aggregate - 1] : NULL;

    if (state && state->memory == c->rows.state)
        *state = (struct state){NULL, NULL, false};
}

void halo__state_keep(const struct halo__rows_state *c)
{
    struct state *state = &states[c->aggregate - 1];

    if (state->memory == c->rows.state)
        state->used = false;
    else
        discard(c->call.export, c->rows.state);
}

void halo__state_end(const struct halo__rows_state *c)
{
    forget(c);
    free(c->rows.state);
}

void halo__state_drop(const struct halo__rows_state *c)
{
    forget(c);
    discard(c->call.export, c->rows.state);
}
