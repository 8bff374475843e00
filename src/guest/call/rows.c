/*
 * The host's calls of this program's functions with rows.
 *
 *     export.c   takes the message, and has its payload in memory: halo__rows_call
 *     here       judges it and lets the columns point into it, makes room for the result
 *                  a function for rows:  is called once, with all columns
 *                  an aggregate:         as those, and its end where the host says so
 *                  another function:     is called for each row that has all its arguments, and
 *                                        halo_return writes the row's result
 *                and tells what the answer is
 *     export.c   answers, with the result where it lies
 */
#include "rows_result.h"

/* --- Functions of one row --------------------------------------------------------------------- */

int halo__rows_return(struct halo_call *call, const struct halo_value *value)
{
    struct halo__rows_state *c = (struct halo__rows_state *)call;
    unsigned char *values;

    if (call->state != HALO__ROWS)
        return HALO_ESTATE;
    if (value->type != c->type) {
        if (!halo_is_null(value) || !halo_is_maybe(call->export->signature.types[0]))
            return halo__result_refuse(c, HALO_ETYPE, value);
        call->state = HALO__ROW_DONE;
        halo_rows_absent(&c->rows, c->row);
        return 0;
    }
    call->state = HALO__ROW_DONE;
    values = halo__rows_values(c);
    switch (halo__column_width(c->type)) {
    case 8:
        __builtin_memcpy(values + (size_t)c->row * 8, &value->u64, 8);
        return 0;
    case 4:
        __builtin_memcpy(values + (size_t)c->row * 4, &value->u64, 4);
        return 0;
    default:
        break;
    }
    if (c->type == HALO_BOOL) {
        halo_bit_set(values, c->row, *(const unsigned char *)&value->boolean != 0);
    } else if (c->type != HALO_VOID) {
        if ((!value->bytes && (value->len > 0 || c->type == HALO_STR)) ||
            (c->type == HALO_STR && halo__has_zero(value->str, value->len)))
            return halo__result_refuse(c, HALO_EINVAL, value);
        return halo_rows_put(&c->rows, c->row, value->bytes, value->len);
    }
    return 0;
}

int halo__rows_failed(struct halo_call *call, int32_t code, const char *text)
{
    struct halo__rows_state *c = (struct halo__rows_state *)call;

    if (call->state != HALO__ROWS)
        return HALO_ESTATE;
    if (code <= 0)
        return HALO_EINVAL;
    (void)halo_rows_fail(&c->rows, c->row, code, text);
    if (call->state != HALO__ANSWERED)
        call->state = HALO__ROW_DONE;
    return 0;
}

/* What text had behind it, where a zero byte is while a function has it. */
struct behind {
    unsigned char *at;
    unsigned char byte;
};

/* An argument of a row. Text becomes a string where it lies. */
static void load(const struct halo_column *column, uint32_t row, struct halo_value *value,
                 struct behind *behind)
{
    const size_t i = column->same ? 0 : row;
    const unsigned char *values = column->values;

    switch (halo__column_width(column->type)) {
    case 8:
        __builtin_memcpy(&value->u64, values + i * 8, 8);
        return;
    case 4:
        __builtin_memcpy(&value->u64, values + i * 4, 4);
        return;
    default:
        break;
    }
    if (column->type == HALO_BOOL) {
        value->boolean = halo_bit(values, i);
        return;
    }
    value->len = (size_t)(column->offsets[i + 1] - column->offsets[i]);
    value->bytes = values + column->offsets[i];
    behind->at = (unsigned char *)(uintptr_t)values + column->offsets[i + 1];
    behind->byte = *behind->at;
}

/* Arguments that are absent in this row, which the function gets as that. */
static void blank(const struct halo__rows_state *c, struct halo_value *args, uint32_t row)
{
    for (uint32_t i = 0; i < c->rows.arg_count; i++) {
        if (halo_column_has(&c->args[i], row))
            args[i].type = c->args[i].type;
        else
            args[i] = halo_null();
    }
}

static void call_for_row(struct halo__rows_state *c, struct halo_value *args, uint32_t row)
{
    struct behind behind[HALO_ARGUMENTS_MAX];
    const uint32_t count = c->rows.arg_count;

    for (uint32_t i = 0; i < count; i++)
        load(&c->args[i], row, &args[i], &behind[i]);
    if (c->has_maybe)
        blank(c, args, row);
    for (uint32_t i = 0; i < count; i++) {
        if (args[i].type == HALO_STR)
            *behind[i].at = '\0';
    }
    c->row = row;
    c->call.state = HALO__ROWS;
    c->call.export->function(&c->call, args);
    for (uint32_t i = 0; i < count; i++) {
        if (args[i].type == HALO_STR)
            *behind[i].at = behind[i].byte;
    }
    if (c->call.state == HALO__ROWS && c->type != HALO_VOID) {
        const struct halo_value none = halo_void();

        (void)halo__rows_return(&c->call, &none);
    }
}

static void call_for_each(struct halo__rows_state *c)
{
    struct halo_value args[HALO_ARGUMENTS_MAX];

    for (uint32_t i = 0; i < c->rows.arg_count; i++)
        args[i] = halo__value(c->args[i].type);
    for (uint32_t row = 0; row < c->rows.count && c->call.state != HALO__ANSWERED; row++) {
        if (!c->has_validity || halo_bit(c->memory, row))
            call_for_row(c, args, row);
    }
}

/* --- Functions for rows ----------------------------------------------------------------------- */

static struct halo__kept spread;

/* Bytes that a number takes which is the same for all rows. */
static size_t spread_len(const struct halo__rows_state *c, uint32_t i)
{
    return c->args[i].same
               ? (size_t)halo__aligned8(halo__values_len(c->args[i].type, c->rows.count))
               : 0;
}

/* Numbers that are the same for all rows become whole arrays. */
static bool spread_numbers(struct halo__rows_state *c, unsigned char **memory)
{
    size_t len = 0;
    unsigned char *at;

    *memory = NULL;
    for (uint32_t i = 0; i < c->rows.arg_count; i++)
        len += spread_len(c, i);
    if (len == 0)
        return true;
    at = *memory = halo__kept_take(&spread, len);
    if (!at)
        return false;
    for (uint32_t i = 0; i < c->rows.arg_count; i++) {
        const uint32_t width = halo__column_width(c->args[i].type);
        const size_t whole = spread_len(c, i);
        uint64_t eight;
        uint32_t four;

        if (whole == 0)
            continue;
        __builtin_memcpy(&eight, c->args[i].values,
                         sizeof(eight)); /* parts are that long at least */
        __builtin_memcpy(&four, c->args[i].values, sizeof(four));
        if (width == 4)
            eight = (uint64_t)four << 32 | four;
        else if (width == 0)
            eight = eight & 1 ? UINT64_MAX : 0;
        for (size_t k = 0; k < whole; k += sizeof(eight))
            __builtin_memcpy(at + k, &eight, sizeof(eight));
        c->args[i].values = at;
        at += whole;
    }
    return true;
}

void halo_rows_serve(struct halo_call *call, const struct halo_value *args,
                     void (*function)(struct halo_rows *rows))
{
    struct halo__rows_state *c = (struct halo__rows_state *)call;
    unsigned char *memory;

    (void)args;
    if (!spread_numbers(c, &memory)) {
        halo__result_fail(c, HALO_ENOMEM, halo_strerror(HALO_ENOMEM));
        return;
    }
    function(&c->rows);
    halo__kept_give(&spread, memory);
}

/* --- All of a call ---------------------------------------------------------------------------- */

/* Are flags and number of a head those of an aggregate, or of none? */
static bool read_aggregate(struct halo__rows_state *c, const struct halo_rows_head *head)
{
    c->begins = head->flags & HALO_WIRE_BEGIN;
    c->ends = head->flags & HALO_WIRE_END;
    c->aggregate = head->aggregate;
    if (!c->call.export->end)
        return !c->begins && !c->ends && c->aggregate == 0;
    return c->aggregate <= HALO_AGGREGATES_MAX && (c->aggregate == 0) == (c->begins && c->ends);
}

static bool read_head(struct halo__rows_state *c, struct halo_rows_head *head,
                      const unsigned char *bytes, size_t len)
{
    if (len < sizeof(*head))
        return false;
    memcpy(head, bytes, sizeof(*head));
    if (head->function == 0 || head->function > halo__export_count() ||
        (head->flags & ~(HALO_WIRE_GO_ON | HALO_WIRE_BEGIN | HALO_WIRE_END | HALO_WIRE_SHARE |
                         HALO_WIRE_SHARED)) != 0 ||
        (head->shared != 0) != ((head->flags & HALO_WIRE_SHARED) != 0) ||
        head->row_count > HALO_ROWS_MAX)
        return false;
    c->call.export = &__start_halo_exports[head->function - 1];
    c->type = halo_type_of(c->call.export->signature.types[0]);
    c->go_on = head->flags & HALO_WIRE_GO_ON;
    c->rows = (struct halo_rows){head->row_count, head->arg_count, c->args, NULL, NULL};
    return head->arg_count == c->call.export->signature.arg_count && read_aggregate(c, head);
}

/* Let the columns point into the payload, behind its head. 0, or HALO_EMESSAGE. */
static int read_columns(struct halo__rows_state *c, unsigned char *bytes, size_t len)
{
    const struct halo_signature *signature = &c->call.export->signature;
    const uint32_t count = c->rows.arg_count;
    struct halo_rows_column wires[HALO_ARGUMENTS_MAX];
    uint64_t at = sizeof(struct halo_rows_head);

    if (len - at < count * sizeof(wires[0]))
        return HALO_EMESSAGE;
    memcpy(wires, bytes + at, count * sizeof(wires[0]));
    at += count * sizeof(wires[0]);
    for (uint32_t i = 0; i < count; i++) {
        const struct halo_rows_column *wire = &wires[i];
        const uint64_t rows = halo__column_rows(wire, c->rows.count);
        uint64_t column_len;

        if (!halo__column_is_valid(wire, halo_type_of(signature->types[1 + i]),
                                   HALO_WIRE_SAME | HALO_WIRE_VALID))
            return HALO_EMESSAGE;
        column_len = halo__column_len(wire, rows);
        if (column_len > len - at || halo__column_place(bytes + at, wire, rows, &c->args[i]))
            return HALO_EMESSAGE;
        at += column_len;
    }
    return at == len ? 0 : HALO_EMESSAGE;
}

/* --- Columns that calls share ----------------------------------------------------------------- */

/* The payload of a call, which the next one has as well. */
struct shared {
    unsigned char *bytes; /* NULL: there was no memory for it */
    size_t len;
    void *memory; /* in which it lies */
    uint16_t request;
};

static struct shared shared;

/*
 * Those of the call before, in place of columns of its own. They are out of the way of what is
 * served inside of the function, until it is done. 0, or an error.
 */
static int take_shared(struct halo__rows_state *c, const struct halo_rows_head *head, size_t len,
                       struct shared *taken)
{
    struct halo_rows_head first;

    *taken = shared;
    shared = (struct shared){NULL, 0, NULL, 0};
    if (len != sizeof(*head) || taken->request != head->shared)
        return HALO_EMESSAGE;
    if (!taken->bytes)
        return HALO_ENOMEM;
    memcpy(&first, taken->bytes, sizeof(first));
    if (first.row_count != head->row_count || first.arg_count != head->arg_count)
        return HALO_EMESSAGE;
    return read_columns(c, taken->bytes, taken->len);
}

/* What this call has brought, or taken, is for the next one. */
static void leave_shared(const struct shared *left)
{
    free(shared.memory); /* of a call that was given up */
    shared = *left;
}

/* The same of a payload: where it lies, or copied. */
static void keep_payload(const struct halo__rows_state *c, unsigned char *bytes, size_t len,
                         void *memory)
{
    struct shared left = {bytes, len, memory, c->call.request};

    c->outcome->took = memory;
    if (!memory) {
        left.bytes = left.memory = malloc(len);
        if (left.bytes)
            memcpy(left.bytes, bytes, len);
    }
    leave_shared(&left);
}

/* --- The call --------------------------------------------------------------------------------- */

/* Call what makes the result, with room for it. False: it has failed. */
static bool make(struct halo__rows_state *c, void (*maker)(struct halo__rows_state *c))
{
    if (!halo__result_begin(c)) {
        halo__result_fail(c, HALO_ENOMEM, halo_strerror(HALO_ENOMEM));
        return false;
    }
    halo__serving++;
    c->call.state = HALO__ROWS;
    maker(c);
    halo__serving--;
    return c->call.state != HALO__ANSWERED;
}

static void call_for_rows(struct halo__rows_state *c)
{
    c->call.export->function(&c->call, NULL);
}

static void call_end(struct halo__rows_state *c)
{
    c->call.export->end(&c->rows);
}

/* The end of an aggregate makes a result of one row; where that fails, all of it has. */
static bool end_aggregate(struct halo__rows_state *c, enum halo_type type)
{
    bool made;

    halo__rows_give(c->memory);
    c->type = type;
    c->rows.count = 1;
    c->rows.arg_count = 0;
    c->is_one = true;
    c->text_len = c->next = 0;
    made = make(c, call_end);
    halo__state_end(c);
    return made;
}

static bool run_aggregate(struct halo__rows_state *c)
{
    const enum halo_type type = c->type;
    const int error = halo__state_take(c);

    c->memory = NULL;
    if (error) {
        halo__result_fail(c, error,
                          error == HALO_EINVAL ? "the aggregate has ended" : halo_strerror(error));
        return false;
    }
    c->type = HALO_VOID;
    if (!make(c, call_for_rows)) {
        halo__state_drop(c);
        return false;
    }
    if (c->ends)
        return end_aggregate(c, type);
    halo__state_keep(c);
    return true;
}

/* Its columns point into what was read. */
static void run(struct halo__rows_state *c)
{
    const uint32_t count = c->rows.count;
    const bool is_one = c->is_one;
    bool made;

    if (c->call.export->end)
        made = run_aggregate(c);
    else
        made = make(c, c->call.export->rows ? call_for_rows : call_for_each);
    if (made && is_one) {
        halo__result_end_one(c);
    } else if (made) {
        halo__result_end(c);
        c->outcome->head.row_count = count;
    }
    c->outcome->memory = c->memory;
}

static void begin(struct halo__rows_state *c, const struct halo_call *call,
                  struct halo__rows_outcome *outcome)
{
    c->call = *call;
    c->outcome = outcome;
    c->go_on = c->is_one = false;
    c->failed_count = c->error_count = c->errors_len = c->text_len = c->next = c->row = 0;
    outcome->code = 0;
    outcome->memory = NULL;
    outcome->took = false;
}

void halo__rows_call(const struct halo_call *call, unsigned char *bytes, size_t len, void *memory,
                     struct halo__rows_outcome *outcome)
{
    struct halo_rows_head head;
    struct halo__rows_state c;
    struct shared taken;
    int error;

    begin(&c, call, outcome);
    if (!read_head(&c, &head, bytes, len))
        halo_panic("the host sent a malformed call with rows");
    error = head.flags & HALO_WIRE_SHARED ? take_shared(&c, &head, len, &taken)
                                          : read_columns(&c, bytes, len);
    if (error == HALO_EMESSAGE)
        halo_panic("the host sent a malformed call with rows");
    if (error)
        halo__result_fail(&c, error, halo_strerror(error));
    else
        run(&c);
    if (head.flags & HALO_WIRE_SHARE && head.flags & HALO_WIRE_SHARED)
        leave_shared(&taken);
    else if (head.flags & HALO_WIRE_SHARE)
        keep_payload(&c, bytes, len, memory);
    else if (head.flags & HALO_WIRE_SHARED)
        free(taken.memory);
}

void halo__rows_call_one(const struct halo_call *call, const struct halo_value *args,
                         struct halo__rows_outcome *outcome)
{
    const struct halo_signature *signature = &call->export->signature;
    int32_t offsets[HALO_ARGUMENTS_MAX][2];
    const unsigned char absent = 0;
    struct halo__rows_state c;

    begin(&c, call, outcome);
    c.is_one = true;
    c.type = halo_type_of(signature->types[0]);
    c.begins = c.ends = true;
    c.aggregate = 0;
    c.rows = (struct halo_rows){1, signature->arg_count, c.args, NULL, NULL};
    outcome->value = halo__value(c.type);
    for (uint32_t i = 0; i < c.rows.arg_count; i++) {
        const enum halo_type type = halo_type_of(signature->types[1 + i]);
        const unsigned char *validity = halo_is_null(&args[i]) ? &absent : NULL;

        c.args[i] = halo_numbers(type, &args[i].u64, validity);
        if (halo__is_text(type)) {
            offsets[i][0] = 0;
            offsets[i][1] = (int32_t)args[i].len; /* 0 where it is absent */
            c.args[i] = halo_texts(type, offsets[i], validity ? "" : args[i].bytes, validity);
        }
    }
    run(&c);
}
