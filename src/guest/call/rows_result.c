/*
 * The result of a call with rows: numbers where the function writes them, text that grows, which
 * rows are absent, and which have failed.
 */
#include "rows_result.h"

static struct halo__rows_state *of_rows(struct halo_rows *rows)
{
    return (struct halo__rows_state *)((char *)rows - offsetof(struct halo__rows_state, rows));
}

/* --- The end ---------------------------------------------------------------------------------- */

/* All of it has failed. */
void halo__result_fail(struct halo__rows_state *c, int32_t code, const char *text)
{
    size_t len = strlen(text);

    if (len > HALO_ERROR_TEXT_MAX)
        len = HALO_ERROR_TEXT_MAX;
    c->outcome->code = code;
    memcpy(c->outcome->words, text, len);
    c->outcome->words[len] = '\0';
    c->call.state = HALO__ANSWERED;
}

int halo__result_refuse(struct halo__rows_state *c, int error, const struct halo_value *value)
{
    char words[HALO_RESULT_WORDS];

    halo__result_fail(c, error,
                      error == HALO_ETYPE ? halo__result_words(words, value->type, c->type)
                                          : halo_strerror(error));
    return error;
}

/* --- The result ------------------------------------------------------------------------------- */

static int32_t *offsets_of(const struct halo__rows_state *c)
{
    return (int32_t *)(void *)halo__rows_values(c);
}

/* Rows in which an argument is absent that must not be. */
static void begin_validity(struct halo__rows_state *c)
{
    const size_t len = halo__bits_len(c->rows.count);

    c->has_validity = c->has_maybe = false;
    for (uint32_t i = 0; i < c->rows.arg_count; i++) {
        const struct halo_column *column = &c->args[i];

        if (!column->validity || (column->same && halo_bit(column->validity, 0)))
            continue;
        if (halo_is_maybe(c->call.export->signature.types[1 + i])) {
            c->has_maybe = true;
            continue;
        }
        if (!c->has_validity)
            memset(c->memory, column->same ? 0 : 0xff, len);
        c->has_validity = true;
        for (size_t k = 0; k < len; k++)
            c->memory[k] &= column->same ? 0 : column->validity[k];
    }
}

/* Room for the result, all of it 0. */
bool halo__result_begin(struct halo__rows_state *c)
{
    const uint64_t rows = c->rows.count;
    uint64_t len = halo__aligned8(halo__bits_len(rows));

    c->values_at = (size_t)len;
    if (halo__is_text(c->type)) {
        len += halo__aligned8((rows + 1) * sizeof(int32_t));
        c->text_at = (size_t)len;
        len += rows * 16 + 4096;
    } else {
        len += halo__aligned8(halo__values_len(c->type, rows));
    }
    c->room = (size_t)len;
    c->memory = halo__kept_take(&halo__result_kept, (size_t)len + sizeof(c->errors));
    if (!c->memory)
        return false;
    if (c->memory == halo__result_kept.memory) /* as much as there is */
        c->room = halo__result_kept.len - sizeof(c->errors);
    begin_validity(c);
    if (!halo__is_text(c->type) && c->type != HALO_VOID) {
        c->rows.result = halo__rows_values(c);
        memset(c->rows.result, 0, (size_t)halo__values_len(c->type, rows));
    } else if (halo__is_text(c->type)) {
        offsets_of(c)[0] = 0;
    }
    return true;
}

/* Is there room for so many bytes more of text, and a zero byte? */
static bool has_room(const struct halo__rows_state *c, size_t len)
{
    return len <= HALO_ROWS_LEN_MAX && c->text_at + c->text_len + len + 9 <= c->room;
}

/* Make it. */
static int grow(struct halo__rows_state *c, size_t len)
{
    const size_t need = c->text_at + c->text_len + len + 9;
    size_t room = c->room;
    unsigned char *larger;

    if (len > HALO_ROWS_LEN_MAX || need > HALO_ROWS_LEN_MAX)
        return HALO_ESIZE;
    while (room < need)
        room *= 2;
    larger = halo__kept_replace(&halo__result_kept, c->memory, c->text_at + c->text_len,
                                room + sizeof(c->errors));
    if (!larger)
        return HALO_ENOMEM;
    c->memory = larger;
    c->room = room;
    return 0;
}

/* Rows up to this one are empty. */
static void leave_out(struct halo__rows_state *c, uint32_t row)
{
    int32_t *offsets = offsets_of(c);

    for (; c->next < row; c->next++)
        offsets[c->next + 1] = (int32_t)c->text_len;
}

/* Copy text of a row, some of it twice. Returns whether there is a zero byte in it. */
static bool copy_text(unsigned char *to, const unsigned char *from, size_t len)
{
    if (len >= 16 && len <= 32) {
        const halo__sixteen first = halo__load_sixteen(from);
        const halo__sixteen last = halo__load_sixteen(from + len - 16);

        __builtin_memcpy(to, &first, sizeof(first));
        __builtin_memcpy(to + len - 16, &last, sizeof(last));
        return halo__any(halo__zero_mask(first) | halo__zero_mask(last));
    }
    if (len >= 8 && len < 16) {
        uint64_t first, last;

        __builtin_memcpy(&first, from, sizeof(first));
        __builtin_memcpy(&last, from + len - 8, sizeof(last));
        __builtin_memcpy(to, &first, sizeof(first));
        __builtin_memcpy(to + len - 8, &last, sizeof(last));
        return halo__zeroes(&first) | halo__zeroes(&last);
    }
    memcpy(to, from, len);
    return halo__has_zero(to, len);
}

int halo_rows_put(struct halo_rows *rows, uint32_t row, const void *bytes, size_t len)
{
    struct halo__rows_state *c = of_rows(rows);
    unsigned char *at;
    bool has_zero;
    int error;

    if (c->call.state == HALO__ANSWERED)
        return HALO_ESTATE;
    if (!halo__is_text(c->type))
        return HALO_ETYPE;
    if (row < c->next || row >= rows->count)
        return HALO_EINVAL;
    error = has_room(c, len) ? 0 : grow(c, len);
    if (error) {
        halo__result_fail(c, error, halo_strerror(error));
        return error;
    }
    at = c->memory + c->text_at + c->text_len;
    has_zero = len > 0 && copy_text(at, bytes, len);
    if (has_zero && c->type == HALO_STR)
        return HALO_EINVAL;
    if (row > c->next)
        leave_out(c, row);
    c->text_len += (uint32_t)len;
    offsets_of(c)[row + 1] = (int32_t)c->text_len;
    c->next = row + 1;
    return 0;
}

static void set_validity(struct halo_rows *rows, uint32_t row, bool value)
{
    struct halo__rows_state *c = of_rows(rows);

    if (row >= rows->count || (value && !c->has_validity))
        return;
    if (!c->has_validity)
        memset(c->memory, 0xff, halo__bits_len(rows->count));
    c->has_validity = true;
    halo_bit_set(c->memory, row, value);
}

void halo_rows_absent(struct halo_rows *rows, uint32_t row)
{
    set_validity(rows, row, false);
}

void halo_rows_present(struct halo_rows *rows, uint32_t row)
{
    set_validity(rows, row, true);
}

/* --- Rows that fail --------------------------------------------------------------------------- */

int halo_rows_fail(struct halo_rows *rows, uint32_t row, int32_t code, const char *text)
{
    struct halo__rows_state *c = of_rows(rows);
    struct halo_rows_error wire = {row, code, 0};
    size_t len = strlen(text);

    if (c->call.state == HALO__ANSWERED)
        return HALO_ECALL;
    if (code <= 0 || (row != HALO_ROW_ALL &&
                      (row >= rows->count || (c->failed_count > 0 && row <= c->last_failed))))
        return HALO_EINVAL;
    if (row == HALO_ROW_ALL || c->is_one) {
        halo__result_fail(c, code, text);
        return HALO_ECALL;
    }
    if (len > HALO_ERROR_TEXT_MAX)
        len = HALO_ERROR_TEXT_MAX;
    wire.text_len = (uint32_t)len;
    c->last_failed = row;
    c->failed_count++;
    if (c->error_count < HALO__ERRORS_MAX) {
        unsigned char *at = c->errors + c->errors_len;

        __builtin_memcpy(at, &wire, sizeof(wire));
        memset(at + sizeof(wire), 0, (len + 4) & ~(size_t)3);
        memcpy(at + sizeof(wire), text, len);
        c->errors_len += (uint32_t)(sizeof(wire) + ((len + 4) & ~(size_t)3));
        c->error_count++;
    }
    halo_rows_absent(rows, row);
    if (c->go_on)
        return 0;
    memcpy(c->memory, c->errors, c->errors_len);
    c->outcome->head =
        (struct halo_rows_answer){.failed_count = 1, .error_count = 1, .errors_len = c->errors_len};
    c->outcome->bytes = c->memory;
    c->outcome->len = c->errors_len;
    c->call.state = HALO__ANSWERED;
    return HALO_ECALL;
}

/* --- What the answer is ----------------------------------------------------------------------- */

/* Where it was not answered before: the result, where it lies. */
void halo__result_end(struct halo__rows_state *c)
{
    const size_t from = c->has_validity && c->type != HALO_VOID ? 0 : c->values_at;
    size_t end = c->values_at + (size_t)halo__aligned8(halo__values_len(c->type, c->rows.count));
    struct halo_rows_answer head = {
        .column = {.type = (uint8_t)c->type},
        .row_count = c->rows.count,
        .failed_count = c->failed_count,
        .error_count = c->error_count,
        .errors_len = c->errors_len,
    };

    if (from == 0 && c->values_at > 0)
        head.column.flags = HALO_WIRE_VALID;
    if (halo__is_text(c->type)) {
        leave_out(c, c->rows.count);
        head.column.bytes_len = c->text_len;
        end = c->text_at + (size_t)halo__aligned8((uint64_t)c->text_len + 1);
    }
    memcpy(c->memory + end, c->errors, c->errors_len);
    c->outcome->head = head;
    c->outcome->bytes = c->memory + from;
    c->outcome->len = end + c->errors_len - from;
}

/* What the result of an ordinary call is. */
void halo__result_end_one(struct halo__rows_state *c)
{
    struct halo_value *value = &c->outcome->value;

    if (c->has_validity && !halo_bit(c->memory, 0)) {
        if (halo_is_maybe(c->call.export->signature.types[0]))
            *value = halo_null();
        else
            halo__result_fail(c, HALO_ETYPE, "the result is absent; call it with rows");
    } else if (halo__is_text(c->type)) {
        leave_out(c, 1);
        value->len = c->text_len;
        value->bytes = c->memory + c->text_at;
        c->memory[c->text_at + c->text_len] = '\0';
    } else if (c->type == HALO_BOOL) {
        value->boolean = *halo__rows_values(c) & 1;
    } else if (c->type != HALO_VOID) {
        __builtin_memcpy(&value->u64, halo__rows_values(c), halo__column_width(c->type));
    }
}
