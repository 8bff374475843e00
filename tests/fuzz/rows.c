/*
 * Any bytes as the answer to a call with rows: refused, or as many rows as were asked for, each of
 * which can be read; a list of rows that failed in their order. An input is the type and whether it
 * is an aggregate, the number of rows, flags, and then the payload.
 */
#include "../unit/rows_box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Look at every byte that the answer has. */
static uint64_t look(const struct halo_rows *rows, uint32_t count)
{
    const struct halo_column *column = &rows->result;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        size_t text_len = 0;
        const char *text = NULL;

        sum += halo_column_has(column, i);
        if (halo__is_text(column->type))
            text = halo_column_text(column, i, &text_len);
        else if (column->type == HALO_BOOL)
            sum += halo_bit(column->values, i);
        else if (halo__column_width(column->type) == 4)
            sum += ((const uint32_t *)column->values)[i];
        else if (column->type != HALO_VOID)
            sum += ((const uint64_t *)column->values)[i];
        for (size_t k = 0; k < text_len; k++) {
            if (column->type == HALO_STR && !text[k])
                abort();
            sum += (unsigned char)text[k];
        }
    }
    return sum;
}

static uint64_t look_at_errors(const struct halo_rows *rows)
{
    uint64_t sum = 0;

    if (rows->error_count > HALO_ROW_ERRORS_MAX || rows->error_count > rows->failed_count)
        abort();
    for (uint32_t i = 0; i < rows->error_count; i++) {
        const struct halo_row_error *error = &rows->errors[i];

        if (error->code <= 0 || error->row >= rows->count ||
            (i > 0 && error->row <= rows->errors[i - 1].row))
            abort();
        sum += strlen(error->text);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static volatile uint64_t sum;
    static struct rows_box box;
    const char *why;
    enum halo_type type;
    uint32_t flags, count, kind;

    if (len < 3 || len > 1000)
        return 0;
    rows_box_open(&box);
    type = (enum halo_type)(data[0] % HALO_TYPE_COUNT);
    count = data[1];
    flags = data[2] & 1 ? HALO_ROWS_GO_ON : 0;
    kind = data[0] / HALO_TYPE_COUNT % 3; /* plain, the end of an aggregate, one that goes on */
    box.exported[type].aggregate = kind > 0;
    flags |= kind == 2 ? HALO_ROWS_MORE : 0;
    rows_box_call(&box, type, count, flags);
    memcpy(box.message + sizeof(struct halo_message), data + 3, len - 3);
    why = rows_box_answer(&box, sizeof(struct halo_message) + len - 3, 1 + data[2] / 2);
    if (box.rows.future.done != !why || (why && box.rows.result.values))
        abort();
    if (!why && !box.rows.future.error) {
        if (box.rows.result.type != (kind == 2 ? HALO_VOID : type) ||
            box.rows.is_open != (kind == 2))
            abort();
        sum += look(&box.rows, kind == 0 ? count : kind == 1) + look_at_errors(&box.rows);
    } else if (!why && box.rows.future.error == HALO_ECALL) {
        if (box.rows.error_count != 1 || flags & HALO_ROWS_GO_ON)
            abort();
        sum += look_at_errors(&box.rows);
    }
    rows_box_close(&box);
    return 0;
}
