/* Aggregates: a function that makes one result of any number of rows, on every backend. */
#include "rows_box.h"

#define MAX 20000

static double f64s[MAX];
static unsigned char validity[MAX / 8];

static int open_box(void **state)
{
    (void)open_to_serve(&box, state, ROWS, 0);
    for (uint32_t i = 0; i < MAX; i++) {
        f64s[i] = i;
        halo_bit_set(validity, i, i % 3 > 0);
    }
    return 0;
}

static int mean(void)
{
    return function("mean", FN(HALO_F64, HALO_F64));
}

static int chain(void)
{
    return function("chain", FN(HALO_STR, HALO_STR));
}

static int step(struct halo_rows *of, int callee, uint32_t count, struct halo_column column,
                uint32_t flags)
{
    (void)halo_call_rows_start(box, of, callee, count, &column, 1, flags);
    return halo_wait(&of->future, HALO_FOREVER);
}

static void must_step(struct halo_rows *of, int callee, uint32_t count, struct halo_column column,
                      uint32_t flags)
{
    if (step(of, callee, count, column, flags))
        fail_msg("%s: %s", halo_errname(of->future.error), of->future.text);
}

/* One text for each row. */
static struct halo_column texts(const char *const *strings, uint32_t count)
{
    static int32_t offsets[16];
    static char bytes[256];

    for (uint32_t i = 0; i < count; i++) {
        memcpy(bytes + offsets[i], strings[i], strlen(strings[i]));
        offsets[i + 1] = offsets[i] + (int32_t)strlen(strings[i]);
    }
    return halo_texts(HALO_STR, offsets, bytes, NULL);
}

#define TEXTS(...)                            \
    texts((const char *const[]){__VA_ARGS__}, \
          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void assert_text(const struct halo_rows *of, const char *expected)
{
    size_t len;
    const char *text = halo_column_text(&of->result, 0, &len);

    assert_int_equal(of->future.error, 0);
    assert_true(halo_column_has(&of->result, 0));
    if (len != strlen(expected) || memcmp(text, expected, len) != 0)
        fail_msg("'%.*s' is not '%s'", (int)len, text, expected);
}

static uint32_t chains(void)
{
    struct halo_future future;

    halo_call_start(box, &future, function("chains", FN(HALO_U32)), NULL, 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    return future.result.u32;
}

/* --- Results ---------------------------------------------------------------------------------- */

static void one_result_of_slices_of_any_length(void **state)
{
    static const uint32_t slices[] = {1, 7, 128, 4096, 6000, MAX};

    (void)state;
    for (int with = 0; with < 2; with++) {
        double sum = 0, count = 0;

        for (uint32_t i = 0; i < MAX; i++) {
            if (!with || i % 3 > 0) {
                sum += i;
                count++;
            }
        }
        for (size_t k = 0; k < sizeof(slices) / sizeof(slices[0]); k++) {
            const uint32_t total = slices[k] < 7 ? 600 : MAX;
            const uint32_t slice = slices[k];

            for (uint32_t at = 0; at < total; at += slice) {
                struct halo_column column = halo_numbers(HALO_F64, f64s, with ? validity : NULL);
                const bool more = at + slice < total;

                column.first = at;
                must_step(&rows, mean(), more ? slice : total - at, column,
                          more ? HALO_ROWS_MORE : 0);
                assert_int_equal(rows.result.type, more ? HALO_VOID : HALO_F64);
            }
            assert_true(halo_column_has(&rows.result, 0));
            if (total == MAX)
                assert_true(*(const double *)rows.result.values == sum / count);
        }
    }
}

static void no_rows_at_all(void **state)
{
    const struct halo_column none = halo_numbers(HALO_F64, NULL, NULL);

    (void)state;
    must_step(&rows, mean(), 0, none, 0);
    assert_false(halo_column_has(&rows.result, 0));
    must_step(&rows, mean(), 0, none, HALO_ROWS_MORE);
    must_step(&rows, mean(), 3, halo_numbers(HALO_F64, f64s, NULL), HALO_ROWS_MORE);
    must_step(&rows, mean(), 0, none, 0); /* nothing but the end */
    assert_true(*(const double *)rows.result.values == 1);
}

static void one_value_for_all_rows(void **state)
{
    static const double five = 5;

    (void)state;
    must_step(&rows, mean(), 1000, halo_column_same(HALO_F64, &five), 0);
    assert_true(*(const double *)rows.result.values == 5);
}

static void text_with_memory_of_its_own(void **state)
{
    (void)state;
    must_step(&rows, chain(), 2, TEXTS("a", "bc"), HALO_ROWS_MORE);
    must_step(&rows, chain(), 1, TEXTS(""), HALO_ROWS_MORE);
    assert_int_equal(chains(), 1);
    must_step(&rows, chain(), 1, TEXTS("defgh"), 0);
    assert_text(&rows, "abcdefgh");
    assert_int_equal(chains(), 0);
}

static void many_at_a_time(void **state)
{
    static struct halo_rows many[HALO_AGGREGATES_MAX + 1];
    struct halo_future future;

    (void)state;
    for (uint32_t i = 0; i < HALO_AGGREGATES_MAX; i++)
        (void)halo_call_rows_start(box, &many[i], chain(), 1, &(struct halo_column){0}, 0,
                                   HALO_ROWS_MORE); /* refused: it takes no number */
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < HALO_AGGREGATES_MAX; i++) {
            char text[8];

            (void)snprintf(text, sizeof(text), "%u", i + round);
            must_step(&many[i], chain(), 1, TEXTS(text), HALO_ROWS_MORE);
        }
    }
    assert_int_equal(chains(), HALO_AGGREGATES_MAX);
    assert_int_equal(step(&many[HALO_AGGREGATES_MAX], chain(), 1, TEXTS("x"), HALO_ROWS_MORE),
                     HALO_EFULL);
    must_step(&many[HALO_AGGREGATES_MAX], chain(), 1, TEXTS("x"), 0); /* in one call */
    assert_text(&many[HALO_AGGREGATES_MAX], "x");
    for (uint32_t i = 0; i < HALO_AGGREGATES_MAX; i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%u%u!", i, i + 1);
        must_step(&many[i], chain(), 1, TEXTS("!"), 0);
        assert_text(&many[i], text);
        halo_rows_free(&many[i]);
    }
    must_step(&many[HALO_AGGREGATES_MAX], chain(), 1, TEXTS("y"), HALO_ROWS_MORE);
    halo_rows_free(&many[HALO_AGGREGATES_MAX]);
    assert_int_equal(halo_call(box, &future, chain(), HALO_FOREVER, halo_str("one")), 0);
    assert_string_equal(future.result.str, "one"); /* an ordinary call */
    halo_future_free(&future);
}

/* --- States that end otherwise ---------------------------------------------------------------- */

static void a_failure_ends_it_or_does_not(void **state)
{
    (void)state;
    must_step(&rows, chain(), 1, TEXTS("a"), HALO_ROWS_MORE);
    assert_int_equal(step(&rows, chain(), 3, TEXTS("b", "bad", "c"), HALO_ROWS_MORE), HALO_ECALL);
    assert_int_equal(rows.errors[0].row, 1);
    assert_int_equal(rows.future.code, 7);
    assert_int_equal(chains(), 0);
    must_step(&rows, chain(), 1, TEXTS("d"), 0); /* begins anew */
    assert_text(&rows, "d");

    must_step(&rows, chain(), 3, TEXTS("a", "bad", "b"), HALO_ROWS_MORE | HALO_ROWS_GO_ON);
    assert_int_equal(rows.failed_count, 1);
    assert_int_equal(rows.errors[0].row, 1);
    must_step(&rows, chain(), 4, TEXTS("bad", "c", "bad", "d"), HALO_ROWS_GO_ON);
    assert_int_equal(rows.failed_count, 2);
    assert_int_equal(rows.error_count, 2);
    assert_int_equal(rows.errors[1].row, 2);
    assert_string_equal(rows.errors[1].text, "a bad text");
    assert_text(&rows, "abcd");
    assert_int_equal(chains(), 0);
}

static void an_end_that_fails(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= HALO_ROWS_GO_ON; flags++) {
        must_step(&rows, chain(), 1, TEXTS("end"), HALO_ROWS_MORE | flags);
        assert_int_equal(step(&rows, chain(), 1, TEXTS("more"), flags), HALO_ECALL);
        assert_int_equal(rows.future.code, 8);
        assert_int_equal(rows.errors[0].row, HALO_ROW_ALL);
        assert_int_equal(chains(), 0);
    }
}

static void what_is_given_up_gives_its_place_to_the_next(void **state)
{
    static struct halo_rows other;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        must_step(&other, chain(), 1, TEXTS("left"), HALO_ROWS_MORE);
        if (i % 2)
            (void)halo_call_rows_start(box, &other, chain(), 1, &(struct halo_column){0}, 1,
                                       HALO_ROWS_MORE); /* an error ends it */
        else
            halo_rows_free(&other);
        assert_int_equal(chains(), 1);
    }
    must_step(&other, chain(), 1, TEXTS("x"), HALO_ROWS_MORE);
    must_step(&other, mean(), 1, halo_numbers(HALO_F64, f64s, NULL), HALO_ROWS_MORE);
    assert_int_equal(chains(), 0); /* another function */
    must_step(&other, chain(), 1, TEXTS("z"), 0);
    assert_text(&other, "z");
    halo_rows_free(&other);
}

static void a_state_lasts_no_longer_than_its_sandbox(void **state)
{
    static struct halo_rows other;

    must_step(&other, chain(), 1, TEXTS("a"), HALO_ROWS_MORE);
    close_box(state);
    open_box(state);
    must_step(&other, chain(), 1, TEXTS("b"), 0);
    assert_text(&other, "b");
    halo_rows_free(&other);
    must_step(&other, chain(), 1, TEXTS("a"), HALO_ROWS_MORE);
    close_box(state);
    halo_rows_free(&other);
    open_box(state);
}

static void calls_that_are_given_up_in_flight(void **state)
{
    static struct halo_rows many[20];
    struct halo_column column = halo_numbers(HALO_F64, f64s, NULL);
    const int callee = mean();

    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(halo_call_rows_start(box, &many[i], callee, 1 + i * 1000, &column, 1,
                                                  HALO_ROWS_MORE),
                             0);
        for (uint32_t i = 0; i < 20; i += 2)
            halo_rows_free(&many[i]);
        for (uint32_t i = 1; i < 20; i += 2) {
            assert_int_equal(halo_wait(&many[i].future, HALO_FOREVER), 0);
            must_step(&many[i], callee, 0, column, 0);
            assert_true(*(const double *)many[i].result.values == (double)(i * 1000) / 2);
        }
    }
    for (uint32_t i = 0; i < 20; i++)
        halo_rows_free(&many[i]);
}

static void only_an_aggregate_has_more(void **state)
{
    const struct halo_column columns[] = {halo_numbers(HALO_F64, f64s, NULL),
                                          halo_numbers(HALO_F64, f64s, NULL)};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));

    (void)state;
    assert_int_equal(halo_call_rows_start(box, &rows, mul, 3, columns, 2, HALO_ROWS_MORE),
                     HALO_EINVAL);
    assert_non_null(strstr(rows.future.text, "is no aggregate"));
    assert_int_equal(halo_call_rows_start(box, &rows, mean(), 3, columns, 1, 4), HALO_EINVAL);
    assert_int_equal(halo_call_rows(box, &rows, mul, HALO_FOREVER, 3, columns, 2), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(one_result_of_slices_of_any_length),
        RINGS(no_rows_at_all),
        RINGS(one_value_for_all_rows),
        RINGS(text_with_memory_of_its_own),
        RINGS(many_at_a_time),
        RINGS(a_failure_ends_it_or_does_not),
        RINGS(an_end_that_fails),
        RINGS(what_is_given_up_gives_its_place_to_the_next),
        RINGS(a_state_lasts_no_longer_than_its_sandbox),
        RINGS(calls_that_are_given_up_in_flight),
        RINGS(only_an_aggregate_has_more),
    };

    return run_every_way("aggregates", tests, sizeof(tests) / sizeof(tests[0]), open_box,
                         close_box);
}
