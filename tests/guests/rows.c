/* rows: a guest of functions that are called with rows, for tests/calls/test_rows.c. */
#include <halo/guest_rows.h>

HALO_IMPORT(host_twice, "host.twice", HALO_I64, HALO_I64);

HALO_EXPORT_ROWS(mul, "mul", HALO_F64, HALO_F64, HALO_F64)
{
    const double *x = rows->args[0].values, *y = rows->args[1].values;
    double *to = rows->result;

    for (uint32_t i = 0; i < rows->count; i++)
        to[i] = x[i] * y[i];
}

HALO_EXPORT(mul_one, "mul.one", HALO_F64, HALO_F64, HALO_F64)
{
    halo_return(call, halo_f64(args[0].f64 * args[1].f64));
}

HALO_EXPORT_ROWS(add, "add", HALO_I32, HALO_I32, HALO_I32)
{
    const int32_t *x = rows->args[0].values, *y = rows->args[1].values;

    for (uint32_t i = 0; i < rows->count; i++)
        ((int32_t *)rows->result)[i] = x[i] + y[i];
}

HALO_EXPORT(add_one, "add.one", HALO_I32, HALO_I32, HALO_I32)
{
    halo_return(call, halo_i32(args[0].i32 + args[1].i32));
}

HALO_EXPORT_ROWS(same, "same", HALO_BOOL, HALO_BOOL, HALO_BOOL)
{
    const unsigned char *x = rows->args[0].values, *y = rows->args[1].values;

    for (uint32_t i = 0; i < rows->count; i++)
        halo_bit_set(rows->result, i, halo_bit(x, i) == halo_bit(y, i));
}

HALO_EXPORT(same_one, "same.one", HALO_BOOL, HALO_BOOL, HALO_BOOL)
{
    halo_return(call, halo_bool(args[0].boolean == args[1].boolean));
}

/* The text, with its letters made large, and the other one behind it. */
static size_t join(char *to, const char *a, size_t a_len, const char *b, size_t b_len)
{
    for (size_t i = 0; i < a_len; i++)
        to[i] = (char)(a[i] >= 'a' && a[i] <= 'z' ? a[i] - 32 : a[i]);
    memcpy(to + a_len, b, b_len);
    return a_len + b_len;
}

static char joined[1 << 16];

HALO_EXPORT_ROWS(text, "text", HALO_STR, HALO_STR, HALO_BYTES)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        size_t a_len, b_len;
        const char *a = halo_column_text(&rows->args[0], i, &a_len);
        const char *b = halo_column_text(&rows->args[1], i, &b_len);

        if (!halo_column_has(&rows->args[0], i) || !halo_column_has(&rows->args[1], i))
            continue;
        if (a_len == 3 && memcmp(a, "bad", 3) == 0) {
            if (halo_rows_fail(rows, i, 7, "a bad text"))
                return;
            continue;
        }
        if (halo_rows_put(rows, i, joined, join(joined, a, a_len, b, b_len)))
            return;
    }
}

HALO_EXPORT(text_one, "text.one", HALO_STR, HALO_STR, HALO_BYTES)
{
    const size_t len = strlen(args[0].str); /* it is a string */

    if (len != args[0].len)
        halo_panic("a text that does not end where it should");
    if (len == 3 && memcmp(args[0].str, "bad", 3) == 0) {
        halo_fail(call, 7, "a bad text");
        return;
    }
    joined[join(joined, args[0].str, len, args[1].bytes, args[1].len)] = '\0';
    halo_return(call, halo_str(joined));
}

static int64_t sum;

HALO_EXPORT(note, "note", HALO_VOID, HALO_I64)
{
    sum += args[0].i64;
    if (args[0].i64 < 0)
        halo_fail(call, 9, "below 0");
}

HALO_EXPORT(noted, "noted", HALO_I64)
{
    halo_return(call, halo_i64(sum));
}

/* An absent number is -1, an odd one is absent. */
HALO_EXPORT_ROWS(turn, "turn", HALO_I64, HALO_I64)
{
    const int64_t *x = rows->args[0].values;
    int64_t *to = rows->result;

    for (uint32_t i = 0; i < rows->count; i++) {
        to[i] = x[i];
        if (!halo_column_has(&rows->args[0], i)) {
            halo_rows_present(rows, i);
            to[i] = -1;
        } else if (x[i] & 1) {
            halo_rows_absent(rows, i);
        }
    }
}

HALO_EXPORT_ROWS(fail_all, "fail.all", HALO_I64, HALO_I64)
{
    if (halo_rows_fail(rows, HALO_ROW_ALL, 3, "all of them") != HALO_ECALL ||
        halo_rows_fail(rows, 0, 3, "twice") != HALO_ECALL)
        halo_panic("it is not over");
}

HALO_EXPORT_ROWS(rules, "rules", HALO_STR, HALO_I64)
{
    if (halo_rows_put(rows, 1, "one", 3) || halo_rows_put(rows, 1, "again", 5) != HALO_EINVAL ||
        halo_rows_put(rows, 0, "back", 4) != HALO_EINVAL ||
        halo_rows_put(rows, rows->count, "out", 3) != HALO_EINVAL ||
        halo_rows_put(rows, 2, "a\0b", 3) != HALO_EINVAL ||
        halo_rows_fail(rows, 2, 0, "no code") != HALO_EINVAL ||
        halo_rows_fail(rows, rows->count, 1, "no row") != HALO_EINVAL ||
        halo_rows_fail(rows, 3, 1, "three") || halo_rows_fail(rows, 3, 1, "again") != HALO_EINVAL)
        halo_panic("a rule was not kept");
    halo_rows_absent(rows, rows->count);
}

HALO_EXPORT(wrong, "wrong", HALO_I64, HALO_I64)
{
    if (args[0].i64 == 2)
        halo_return(call, halo_f64(1));
    else
        halo_return(call, args[0]);
    if (args[0].i64 != 2 && halo_return(call, args[0]) != HALO_ESTATE)
        halo_panic("two results");
}

HALO_EXPORT(twice, "twice", HALO_I64, HALO_I64)
{
    struct halo_future future;

    if (halo_call(&future, &host_twice, args[0]))
        halo_fail(call, 1, future.text);
    else
        halo_return(call, future.result);
}

/* --- Aggregates ------------------------------------------------------------------------------- */

struct mean {
    double sum;
    uint64_t count;
};

static void mean_end(struct halo_rows *rows)
{
    const struct mean *mean = rows->state;

    if (rows->count > 0 && mean->count > 0)
        *(double *)rows->result = mean->sum / (double)mean->count;
    else
        halo_rows_absent(rows, 0);
}

HALO_EXPORT_AGGREGATE(mean, mean_end, struct mean, "mean", HALO_F64, HALO_F64)
{
    struct mean *mean = rows->state;
    const double *values = rows->args[0].values;

    for (uint32_t i = 0; i < rows->count; i++) {
        if (halo_column_has(&rows->args[0], i)) {
            mean->sum += values[i];
            mean->count++;
        }
    }
}

/* All texts in a row, in memory of its own. "bad" fails its row, and "end" the end. */
struct chain {
    char *text;
    size_t len;
    bool fails;
};

static uint32_t chains; /* that have memory */

static void chain_end(struct halo_rows *rows)
{
    struct chain *chain = rows->state;

    if (rows->count == 0 && (rows->result || halo_rows_put(rows, 0, "", 0) != HALO_ESTATE))
        halo_panic("a result that nobody wants");
    if (chain->fails)
        (void)halo_rows_fail(rows, 0, 8, "a bad end");
    else if (chain->len > 0)
        (void)halo_rows_put(rows, 0, chain->text, chain->len);
    else
        halo_rows_absent(rows, 0);
    chains -= chain->text != NULL;
    free(chain->text);
}

HALO_EXPORT_AGGREGATE(chain, chain_end, struct chain, "chain", HALO_STR, HALO_STR)
{
    struct chain *chain = rows->state;

    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len;
        const char *text = halo_column_text(&rows->args[0], i, &len);
        char *longer;

        if (!halo_column_has(&rows->args[0], i))
            continue;
        if (len == 3 && memcmp(text, "bad", 3) == 0) {
            if (halo_rows_fail(rows, i, 7, "a bad text"))
                return;
            continue;
        }
        chain->fails |= len == 3 && memcmp(text, "end", 3) == 0;
        longer = realloc(chain->text, chain->len + len + 1);
        if (!longer) {
            (void)halo_rows_fail(rows, HALO_ROW_ALL, 9, "no memory");
            return;
        }
        chains += chain->text == NULL;
        chain->text = longer;
        memcpy(longer + chain->len, text, len);
        chain->len += len;
    }
}

HALO_EXPORT(chain_count, "chains", HALO_U32)
{
    halo_return(call, halo_u32(chains));
}

HALO_EXPORT_ROWS(back, "back", HALO_STR, HALO_STR)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len;
        const char *text = halo_column_text(&rows->args[0], i, &len);

        if (halo_rows_put(rows, i, text, len))
            return;
    }
}

/* Where its first column is, in each row. */
HALO_EXPORT_ROWS(where, "where", HALO_U64, HALO_F64, HALO_F64)
{
    for (uint32_t i = 0; i < rows->count; i++)
        ((uint64_t *)rows->result)[i] = (uintptr_t)rows->args[0].values;
}
