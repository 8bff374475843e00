/*
 * Any bytes as the host's calls with rows, as a host of another version may send them: a guest
 * refuses them by halo_panic, or each argument and each byte of the answer can be read. Columns
 * that calls share, and states of aggregates, last from one call of an input to the next.
 *
 * An input is one call after the other: whether its memory may be kept and the request's number, in
 * a byte, the payload's length in two, and the payload.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* --- Memory of the guest's, all of which is given back behind an input ------------------------ */

/* A panic leaves what it was in the middle of. */
static struct block {
    _Alignas(16) struct block *next, **link;
} * blocks;

static void *take_block(size_t len)
{
    struct block *block = len < 64u << 20 ? malloc(sizeof(*block) + len) : NULL;

    if (!block)
        return NULL;
    *block = (struct block){blocks, &blocks};
    if (blocks)
        blocks->link = &block->next;
    blocks = block;
    return block + 1;
}

static void *take_zeroes(size_t count, size_t len)
{
    void *memory = take_block(count * len);

    return memory ? memset(memory, 0, count * len) : NULL;
}

static void give_block(void *memory)
{
    struct block *block;

    if (!memory)
        return;
    block = (struct block *)memory - 1;
    *block->link = block->next;
    if (block->next)
        block->next->link = block->link;
    free(block);
}

#define malloc take_block
#define calloc take_zeroes
#define free give_block
#include "../../src/guest/call/aggregate.c"
#include "../../src/guest/call/rows.c"
#include "../../src/guest/call/rows_memory.c"
#include "../../src/guest/call/rows_result.c"
#undef malloc
#undef calloc
#undef free

/* --- What they stand on ----------------------------------------------------------------------- */

static jmp_buf panicked;
static struct halo_boot boot = {.heap_len = 1 << 20};
static uint64_t sum;
uint32_t halo__serving;

void halo_panic(const char *text)
{
    (void)text;
    longjmp(panicked, 1);
}

const struct halo_boot *halo_boot_page(void)
{
    return &boot;
}

void halo__port_wait(void)
{
    abort(); /* nothing is lent here */
}

const char *halo__result_words(char *words, enum halo_type type, enum halo_type expected)
{
    (void)type;
    (void)expected;
    return strcpy(words, "of another type");
}

int halo_return(struct halo_call *call, struct halo_value value)
{
    return halo__rows_return(call, &value);
}

int halo_fail(struct halo_call *call, int32_t code, const char *text)
{
    return halo__rows_failed(call, code, text);
}

/* --- Functions -------------------------------------------------------------------------------- */

static void look(const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += ((const unsigned char *)bytes)[i];
}

static void look_at_columns(const struct halo_rows *rows)
{
    for (uint32_t i = 0; i < rows->arg_count; i++) {
        const struct halo_column *column = &rows->args[i];

        for (uint32_t row = 0; row < rows->count; row++) {
            size_t len = 0;
            const char *text;

            sum += halo_column_has(column, row);
            if (halo__is_text(column->type)) {
                text = halo_column_text(column, row, &len);
                look(text, len);
            } else if (column->type == HALO_BOOL) {
                sum += halo_bit(column->values, row);
            } else {
                const size_t width = halo__column_width(column->type);

                look((const unsigned char *)column->values + row * width, width);
            }
        }
    }
}

HALO_EXPORT(number, "number", HALO_I64, HALO_I64, HALO_F32 | HALO_MAYBE)
{
    sum += halo_is_null(&args[1]);
    if (args[0].i64 == 7)
        halo_fail(call, 7, "seven");
    else
        halo_return(call, args[0]);
}

HALO_EXPORT(joined, "joined", HALO_STR, HALO_STR, HALO_BYTES, HALO_BOOL)
{
    look(args[0].str, args[0].len + 1);
    look(args[1].bytes, args[1].len);
    if (args[0].str[args[0].len])
        abort();
    halo_return(call, args[0]);
}

HALO_EXPORT_ROWS(plus, "plus", HALO_F64, HALO_F64, HALO_BOOL, HALO_U32)
{
    look_at_columns(rows);
    if (rows->count > 3)
        (void)halo_rows_fail(rows, 2, 3, "the third");
}

HALO_EXPORT_ROWS(text, "text", HALO_BYTES, HALO_BYTES | HALO_MAYBE)
{
    look_at_columns(rows);
    for (uint32_t row = 0; row < rows->count; row += 2)
        (void)halo_rows_put(rows, row, "0123456789", row % 11);
}

static void total_end(struct halo_rows *rows)
{
    if (rows->count > 0)
        *(int64_t *)rows->result = *(int64_t *)rows->state;
}

HALO_EXPORT_AGGREGATE(total, total_end, int64_t, "total", HALO_I64, HALO_I64, HALO_STR)
{
    look_at_columns(rows);
    *(int64_t *)rows->state += rows->count;
    if (rows->count == 5)
        (void)halo_rows_fail(rows, HALO_ROW_ALL, 5, "five");
}

/* --- An input --------------------------------------------------------------------------------- */

static void call(uint8_t how, const uint8_t *bytes, size_t len)
{
    const struct halo_call of = {.request = (uint16_t)(how & 0x7f)};
    static struct halo__rows_outcome outcome;
    unsigned char *payload = take_block(len); /* its end is that of a block */

    if (len > 0)
        memcpy(payload, bytes, len);
    halo__rows_call(&of, payload, len, how & 0x80 ? payload : NULL, &outcome);
    if (outcome.code)
        look(outcome.words, strlen(outcome.words));
    else
        look(outcome.bytes, outcome.len);
    halo__rows_give(outcome.memory);
    if (!outcome.took)
        give_block(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *volatile at = data;
    volatile size_t left = len;

    memset(states, 0, sizeof(states));
    shared = (struct shared){NULL, 0, NULL, 0};
    payload = halo__result_kept = spread = (struct halo__kept){NULL, 0, false};
    lent_count = halo__serving = 0;
    lent_all = 0;
    while (left >= 3 && !setjmp(panicked)) {
        const uint8_t how = at[0];
        const size_t said = at[1] | (size_t)at[2] << 8;
        const size_t n = said < left - 3 ? said : left - 3;
        const uint8_t *bytes = at + 3;

        at = bytes + n;
        left -= 3 + n;
        call(how, bytes, n);
    }
    while (blocks)
        give_block(blocks + 1);
    return 0;
}
