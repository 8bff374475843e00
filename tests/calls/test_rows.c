/* Calls with rows, of functions for rows and of others, on every backend. */
#include "rows_box.h"

#define MAX 40000

static double f64s[2][MAX];
static int64_t i64s[MAX];
static unsigned char validity[2][MAX / 8 + 2];
static int twice_depth;

/* A host's function, which makes a call with rows of its own. */
static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const int64_t inner[] = {1, 2, 3};
    const struct halo_column column = halo_numbers(HALO_I64, inner, NULL);
    const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_rows within = {.count = 0};

    (void)context;
    if (twice_depth++ == 0) {
        const int function = halo_lookup(box, "twice", &type);

        assert_int_equal(halo_call_rows(box, &within, function, HALO_FOREVER, 3, &column, 1), 0);
        assert_true(((const int64_t *)within.result.values)[2] == 6);
        halo_rows_free(&within);
    }
    halo_return(call, halo_i64(2 * args[0].i64));
}

static int open_box(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    const struct halo_options options = way_options(state);

    twice_depth = 0;
    if (halo_open(&box, ROWS, &options) || halo_provide(box, "host.twice", &type, twice, NULL) ||
        halo_serve_begin(box, HALO_FOREVER))
        fail_msg("%s", halo_errmsg(box));
    for (int i = 0; i < MAX; i++) {
        f64s[0][i] = i;
        f64s[1][i] = 0.5 * i + 1;
        i64s[i] = i;
    }
    memset(validity, 0xff, sizeof(validity));
    return 0;
}

static int go_on(int callee, uint32_t count, const struct halo_column *args, size_t arg_count)
{
    (void)halo_call_rows_start(box, &rows, callee, count, args, arg_count, HALO_ROWS_GO_ON);
    return halo_wait(&rows.future, HALO_FOREVER);
}

static const uint32_t counts[] = {0, 1, 7, 8, 9, 63, 128, 1000, 4096, MAX - 9};

/* --- Values ----------------------------------------------------------------------------------- */

static void numbers_with_and_without_absent_ones(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        const int mul = function(kind ? "mul.one" : "mul", FN(HALO_F64, HALO_F64, HALO_F64));

        for (uint32_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
            for (uint32_t first = 0; first < 9; first += 4) {
                for (int with = 0; with < 4; with++) {
                    struct halo_column args[] = {
                        halo_numbers(HALO_F64, f64s[0], with & 1 ? validity[0] : NULL),
                        halo_numbers(HALO_F64, f64s[1], with & 2 ? validity[1] : NULL)};

                    args[0].first = args[1].first = first;
                    for (uint32_t i = 0; i < MAX; i++) {
                        halo_bit_set(validity[0], i, i % 3 > 0);
                        halo_bit_set(validity[1], i, i % 7 > 0);
                    }
                    call(mul, counts[n], args, 2);
                    assert_int_equal(rows.result.type, HALO_F64);
                    for (uint32_t i = 0; i < counts[n]; i++) {
                        const uint32_t k = first + i;
                        const bool there = (!(with & 1) || k % 3) && (!(with & 2) || k % 7);

                        if (halo_column_has(&rows.result, i) != there ||
                            (there &&
                             ((const double *)rows.result.values)[i] != f64s[0][k] * f64s[1][k]))
                            fail_msg("row %u of %u from %u", i, counts[n], first);
                    }
                    if (!with)
                        assert_null(rows.result.validity);
                }
            }
        }
    }
}

static void one_value_for_all_rows(void **state)
{
    static const int32_t five = 5;
    static int32_t numbers[1000];
    static const bool yes = true;
    static unsigned char bits[126];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        numbers[i] = i;
        halo_bit_set(bits, (size_t)i, i % 5 == 0);
    }
    for (int kind = 0; kind < 2; kind++) {
        struct halo_column args[] = {halo_numbers(HALO_I32, numbers, NULL),
                                     halo_column_same(HALO_I32, &five)};
        struct halo_column bools[] = {halo_numbers(HALO_BOOL, bits, NULL),
                                      halo_column_same(HALO_BOOL, &yes)};
        static const unsigned char absent = 0;

        call(function(kind ? "add.one" : "add", FN(HALO_I32, HALO_I32, HALO_I32)), 1000, args, 2);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(((const int32_t *)rows.result.values)[i], i + 5);
        bools[0].first = 3;
        call(function(kind ? "same.one" : "same", FN(HALO_BOOL, HALO_BOOL, HALO_BOOL)), 997, bools,
             2);
        for (uint32_t i = 0; i < 997; i++)
            assert_int_equal(halo_bit(rows.result.values, i), (i + 3) % 5 == 0);
        args[1].validity = &absent;
        call(function(kind ? "add.one" : "add", FN(HALO_I32, HALO_I32, HALO_I32)), 1000, args, 2);
        for (uint32_t i = 0; i < 1000; i++)
            assert_false(halo_column_has(&rows.result, i));
    }
}

/* Text of `count` rows: row i has i % 23 letters; some are "bad". */
static char letters[23 * MAX];
static int32_t offsets[MAX + 1];

static void make_text(uint32_t count, uint32_t bad_every)
{
    offsets[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const bool bad = bad_every && i % bad_every == bad_every - 1;
        const uint32_t len = bad ? 3 : i % 23;

        memset(letters + offsets[i], 'a' + (int)(i % 26), len);
        if (bad)
            memcpy(letters + offsets[i], "bad", 3);
        offsets[i + 1] = offsets[i] + (int32_t)len;
    }
}

static bool is_text_of(uint32_t i, uint32_t k)
{
    const uint32_t want = k % 23;
    size_t len;
    const char *at = halo_column_text(&rows.result, i, &len);

    if (len != want + 1 || at[want] != '!')
        return false;
    for (uint32_t n = 0; n < want; n++) {
        if (at[n] != 'A' + (int)(k % 26))
            return false;
    }
    return true;
}

static void text_with_absent_rows_on_both_sides(void **state)
{
    static const int32_t ends[] = {0, 1};

    (void)state;
    make_text(MAX, 0);
    for (uint32_t i = 0; i < MAX; i++)
        halo_bit_set(validity[0], i, i % 11 > 0);
    for (int kind = 0; kind < 2; kind++) {
        const int callee = function(kind ? "text.one" : "text", FN(HALO_STR, HALO_STR, HALO_BYTES));

        for (uint32_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
            for (uint32_t first = 0; first < 9; first += 4) {
                struct halo_column args[] = {halo_texts(HALO_STR, offsets, letters, validity[0]),
                                             halo_texts(HALO_BYTES, ends, "!", NULL)};

                args[0].first = first;
                args[1].same = true;
                call(callee, counts[n], args, 2);
                for (uint32_t i = 0; i < counts[n]; i++) {
                    if (halo_column_has(&rows.result, i) != ((first + i) % 11 > 0) ||
                        (halo_column_has(&rows.result, i) && !is_text_of(i, first + i)))
                        fail_msg("row %u of %u from %u", i, counts[n], first);
                }
            }
        }
    }
}

static void absent_and_present_by_the_functions_wish(void **state)
{
    const struct halo_column arg = halo_numbers(HALO_I64, i64s, validity[0]);

    (void)state;
    for (uint32_t i = 0; i < MAX; i++)
        halo_bit_set(validity[0], i, i % 5 > 0);
    call(function("turn", FN(HALO_I64, HALO_I64)), 1000, &arg, 1);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(halo_column_has(&rows.result, i), i % 5 == 0 || i % 2 == 0);
        if (i % 5 == 0)
            assert_true(((const int64_t *)rows.result.values)[i] == -1);
    }
}

/* --- Failures --------------------------------------------------------------------------------- */

static void a_row_that_fails_ends_the_call_or_does_not(void **state)
{
    static const int32_t ends[] = {0, 1};
    struct halo_column args[] = {halo_texts(HALO_STR, offsets, letters, NULL),
                                 halo_texts(HALO_BYTES, ends, "!", NULL)};

    (void)state;
    args[1].same = true;
    make_text(1000, 40);
    for (int kind = 0; kind < 2; kind++) {
        const int callee = function(kind ? "text.one" : "text", FN(HALO_STR, HALO_STR, HALO_BYTES));

        assert_int_equal(halo_call_rows(box, &rows, callee, HALO_FOREVER, 1000, args, 2),
                         HALO_ECALL);
        assert_int_equal(rows.future.code, 7);
        assert_string_equal(rows.future.text, "a bad text");
        assert_int_equal(rows.error_count, 1);
        assert_int_equal(rows.errors[0].row, 39);

        assert_int_equal(go_on(callee, 1000, args, 2), 0);
        assert_int_equal(rows.failed_count, 25);
        assert_int_equal(rows.error_count, HALO_ROW_ERRORS_MAX);
        for (uint32_t i = 0; i < HALO_ROW_ERRORS_MAX; i++) {
            assert_int_equal(rows.errors[i].row, 40 * i + 39);
            assert_int_equal(rows.errors[i].code, 7);
            assert_string_equal(rows.errors[i].text, "a bad text");
        }
        for (uint32_t i = 0; i < 1000; i++) {
            assert_int_equal(halo_column_has(&rows.result, i), i % 40 != 39);
            if (i % 40 != 39)
                assert_true(is_text_of(i, i));
        }
    }
}

static void a_function_fails_as_a_whole(void **state)
{
    const struct halo_column arg = halo_numbers(HALO_I64, i64s, NULL);

    (void)state;
    for (int i = 0; i < 2; i++) {
        const int callee = function("fail.all", FN(HALO_I64, HALO_I64));

        assert_int_equal(i ? go_on(callee, 5, &arg, 1)
                           : halo_call_rows(box, &rows, callee, HALO_FOREVER, 5, &arg, 1),
                         HALO_ECALL);
        assert_int_equal(rows.errors[0].row, HALO_ROW_ALL);
        assert_int_equal(rows.errors[0].code, 3);
        assert_string_equal(rows.errors[0].text, "all of them");
    }
}

/* What a function does that breaks a rule is refused to it; a result of another type to the host.
 */
static void functions_that_break_rules(void **state)
{
    const struct halo_column arg = halo_numbers(HALO_I64, i64s, NULL);
    size_t len;

    (void)state;
    assert_int_equal(go_on(function("rules", FN(HALO_STR, HALO_I64)), 5, &arg, 1), 0);
    assert_int_equal(rows.failed_count, 1);
    assert_memory_equal(halo_column_text(&rows.result, 1, &len), "one", 3);
    assert_int_equal(len, 3);
    (void)halo_column_text(&rows.result, 4, &len);
    assert_int_equal(len, 0);
    assert_int_equal(halo_call_rows(box, &rows, function("wrong", FN(HALO_I64, HALO_I64)),
                                    HALO_FOREVER, 5, &arg, 1),
                     HALO_ETYPE);
    assert_non_null(strstr(rows.future.text, "f64"));
    call(function("wrong", FN(HALO_I64, HALO_I64)), 2, &arg, 1);
}

static void a_function_without_a_result(void **state)
{
    struct halo_column arg = halo_numbers(HALO_I64, i64s, NULL);
    const int note = function("note", FN(HALO_VOID, HALO_I64));
    struct halo_future future;

    (void)state;
    call(note, 1000, &arg, 1);
    assert_int_equal(rows.result.type, HALO_VOID);
    i64s[5] = -5;
    assert_int_equal(go_on(note, 1000, &arg, 1), 0);
    assert_int_equal(rows.failed_count, 1);
    assert_int_equal(rows.errors[0].row, 5);
    assert_int_equal(halo_call_start(box, &future, function("noted", FN(HALO_I64)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_true(future.result.i64 == 2 * 499500 - 10);
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void an_ordinary_call_of_a_function_for_rows(void **state)
{
    struct halo_future future;

    (void)state;
    assert_int_equal(halo_call(box, &future, function("mul", FN(HALO_F64, HALO_F64, HALO_F64)),
                               HALO_FOREVER, halo_f64(3), halo_f64(0.5)),
                     0);
    assert_true(future.result.f64 == 1.5);
    assert_int_equal(halo_call(box, &future, function("text", FN(HALO_STR, HALO_STR, HALO_BYTES)),
                               HALO_FOREVER, halo_str("some"), halo_bytes("!?", 2)),
                     0);
    assert_string_equal(future.result.str, "SOME!?");
    halo_future_free(&future);
    assert_int_equal(halo_call(box, &future, function("text", FN(HALO_STR, HALO_STR, HALO_BYTES)),
                               HALO_FOREVER, halo_str("bad"), halo_bytes("!?", 2)),
                     HALO_ECALL);
    assert_int_equal(future.code, 7);
    assert_int_equal(halo_call(box, &future, function("same", FN(HALO_BOOL, HALO_BOOL, HALO_BOOL)),
                               HALO_FOREVER, halo_bool(false), halo_bool(false)),
                     0);
    assert_true(future.result.boolean);
    assert_int_equal(halo_call(box, &future, function("turn", FN(HALO_I64, HALO_I64)), HALO_FOREVER,
                               halo_i64(3)),
                     HALO_ETYPE);
    assert_int_equal(halo_call(box, &future, function("fail.all", FN(HALO_I64, HALO_I64)),
                               HALO_FOREVER, halo_i64(3)),
                     HALO_ECALL);
}

static void rows_inside_of_rows(void **state)
{
    const struct halo_column arg = halo_numbers(HALO_I64, i64s, NULL);

    (void)state;
    call(function("twice", FN(HALO_I64, HALO_I64)), 1000, &arg, 1);
    for (int i = 0; i < 1000; i++)
        assert_true(((const int64_t *)rows.result.values)[i] == 2 * i);
    assert_int_equal(twice_depth, 1003);
}

static void rows_06_calls_that_are_given_up_and_many_at_a_time(void **state)
{
    static struct halo_rows many[20];
    const struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                       halo_numbers(HALO_F64, f64s[1], NULL)};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));

    (void)state;
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 20; i++)
            assert_int_equal(halo_call_rows_start(box, &many[i], mul, i * 1000, args, 2, 0), 0);
        for (uint32_t i = 0; i < 20; i += 2)
            halo_rows_free(&many[i]);
        for (uint32_t i = 1; i < 20; i += 2) {
            assert_int_equal(halo_wait(&many[i].future, HALO_FOREVER), 0);
            assert_true(((const double *)many[i].result.values)[999] ==
                        f64s[0][999] * f64s[1][999]);
        }
    }
    for (uint32_t i = 0; i < 20; i++)
        halo_rows_free(&many[i]);
}

/* --- Limits ----------------------------------------------------------------------------------- */

static void refuse(int error, int callee, uint32_t count, const struct halo_column *args,
                   size_t arg_count, uint32_t flags, const char *words)
{
    assert_int_equal(halo_call_rows_start(box, &rows, callee, count, args, arg_count, flags),
                     error);
    assert_true(rows.future.done);
    assert_int_equal(rows.future.error, error);
    if (!strstr(rows.future.text, words))
        fail_msg("'%s' says nothing of '%s'", rows.future.text, words);
}

static void rows_05_columns_that_are_none(void **state)
{
    static int32_t odd[] = {0, 5, 3, 7}, below[] = {-1, 5, 6, 7}, good[] = {0, 1, 2, 3};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));
    const int text = function("text", FN(HALO_STR, HALO_STR, HALO_BYTES));
    struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                 halo_numbers(HALO_I64, i64s, NULL)};
    struct halo_column texts[] = {halo_texts(HALO_STR, good, "abc", NULL),
                                  halo_texts(HALO_BYTES, good, "a\0c", NULL)};

    (void)state;
    refuse(HALO_ETYPE, mul, 3, args, 2, 0, "column 2 is i64 and not f64");
    refuse(HALO_ECOUNT, mul, 3, args, 1, 0, "2 columns, and not 1");
    refuse(HALO_EINVAL, mul, 3, NULL, 2, 0, "its columns are NULL");
    args[1] = halo_numbers(HALO_F64, NULL, NULL);
    refuse(HALO_EINVAL, mul, 3, args, 2, 0, "column 2, f64, has a NULL pointer");
    args[1] = args[0];
    refuse(HALO_EINVAL, mul, 3, args, 2, 6, "flags 0x6");
    refuse(HALO_ESIZE, mul, HALO_ROWS_MAX + 1, args, 2, 0, "rows are more than");
    refuse(HALO_ESIZE, mul, HALO_ROWS_MAX, args, 2, 0, "longer than");
    refuse(HALO_ENAME, 1000, 3, args, 2, 0, "no function 1000");
    call(text, 3, texts, 2);
    texts[0].offsets = odd;
    refuse(HALO_EINVAL, text, 3, texts, 2, 0, "column 1");
    texts[0].offsets = below;
    refuse(HALO_EINVAL, text, 3, texts, 2, 0, "column 1");
    texts[0].offsets = NULL;
    refuse(HALO_EINVAL, text, 3, texts, 2, 0, "column 1");
    texts[0] = halo_texts(HALO_STR, good, "a\0c", NULL);
    refuse(HALO_EINVAL, text, 3, texts, 2, 0, "a zero byte");
    call(text, 0, texts, 2);
    assert_int_equal(rows.count, 0);
}

/* They go on with the call that they have, whatever else is asked of them. */
static void rows_of_a_call_in_flight_begin_no_other(void **state)
{
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));
    const struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                       halo_numbers(HALO_F64, f64s[1], NULL)};
    const char *words = "mul: with these rows a call is in flight: wait for it, or free them first";

    (void)state;
    assert_int_equal(halo_call_rows_start(box, &rows, mul, 3, args, 2, 0), 0);
    assert_int_equal(halo_call_rows_start(box, &rows, mul, 1, args, 2, 0), HALO_ESTATE);
    assert_string_equal(halo_errmsg(box), words);
    assert_int_equal(halo_call_rows(box, &rows, mul, HALO_FOREVER, 1, args, 2), HALO_ESTATE);
    assert_int_equal(halo_wait(&rows.future, HALO_FOREVER), 0);
    assert_int_equal(rows.count, 3);
    assert_true(((const double *)rows.result.values)[2] == f64s[0][2] * f64s[1][2]);
    assert_int_equal(halo_call_rows_start(box, &rows, mul, 3, args, 2, 0), 0);
    halo_rows_free(&rows); /* given up: they are free for another */
    call(mul, 1, args, 2);
}

static void columns_of_16_mib(void **state)
{
    const uint32_t count = 2u << 20;
    double *many = calloc(count, sizeof(*many));
    struct halo_column args[] = {halo_numbers(HALO_F64, many, NULL),
                                 halo_numbers(HALO_F64, many, NULL)};
    struct halo_options options = way_options(state);
    int error;

    close_box(state);
    options.ram_len = 128u << 20;
    assert_int_equal(halo_open(&box, ROWS, &options), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    for (uint32_t i = 0; i < count; i++)
        many[i] = i;
    call(function("mul", FN(HALO_F64, HALO_F64, HALO_F64)), count, args, 2);
    assert_true(((const double *)rows.result.values)[count - 1] ==
                many[count - 1] * many[count - 1]);
    close_box(state);
    open_box(state); /* of 16 MiB all together */
    error = halo_call_rows(box, &rows, function("mul", FN(HALO_F64, HALO_F64, HALO_F64)),
                           HALO_FOREVER, count, args, 2);
    assert_int_equal(error, HALO_ENOMEM);
    call(function("mul", FN(HALO_F64, HALO_F64, HALO_F64)), 1000, args, 2);
    free(many);
}

static void stacks_and_older_guests_carry_no_rows(void **state)
{
    const struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                       halo_numbers(HALO_F64, f64s[1], NULL)};
    struct halo_options options = way_options(state);
    const char *name;
    struct halo_signature type;
    int32_t ends[] = {0, 1};
    struct halo_column text = halo_texts(HALO_STR, ends, "a", NULL);
    uint32_t i = 0;

    if (way_is_stacks(state)) {
        refuse(HALO_ETRANSPORT, function("mul", FN(HALO_F64, HALO_F64, HALO_F64)), 3, args, 2, 0,
               "stacks");
        return;
    }
    halo_close(box);
    assert_int_equal(halo_open(&box, OLD, &options), 0);
    assert_int_equal(halo_provide(box, "host.setting", &FN(HALO_STR, HALO_STR), twice, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    while (halo_exported(box, i, &name, &type) && strcmp(name, "plugin.line") != 0)
        i++;
    refuse(HALO_ETRANSPORT, (int)i + 1, 1, &text, 1, 0, "older than rows");
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(numbers_with_and_without_absent_ones),
        RINGS(one_value_for_all_rows),
        RINGS(text_with_absent_rows_on_both_sides),
        RINGS(absent_and_present_by_the_functions_wish),
        RINGS(a_row_that_fails_ends_the_call_or_does_not),
        RINGS(a_function_fails_as_a_whole),
        RINGS(functions_that_break_rules),
        RINGS(a_function_without_a_result),
        TEST(an_ordinary_call_of_a_function_for_rows),
        RINGS(rows_inside_of_rows),
        RINGS(rows_06_calls_that_are_given_up_and_many_at_a_time),
        RINGS(rows_05_columns_that_are_none),
        RINGS(rows_of_a_call_in_flight_begin_no_other),
        RINGS(columns_of_16_mib),
        TEST(stacks_and_older_guests_carry_no_rows),
    };

    return run_every_way("rows", tests, sizeof(tests) / sizeof(tests[0]), open_box, close_box);
}
