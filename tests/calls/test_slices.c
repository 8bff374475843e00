/* Slices of rows, one after the other and many in flight, on every backend: what they cost. */
#include "rows_box.h"

#define MAX 40000

static double f64s[2][MAX];

static int open_box(void **state)
{
    const struct halo_options options = way_options(state);

    if (halo_open(&box, ROWS, &options) || halo_serve_begin(box, HALO_FOREVER))
        fail_msg("%s", halo_errmsg(box));
    for (int i = 0; i < MAX; i++) {
        f64s[0][i] = i;
        f64s[1][i] = 0.5 * i + 1;
    }
    return 0;
}

static uint64_t exits(void)
{
    struct halo_stats stats;

    halo_stats(box, &stats);
    return stats.exits;
}

/* Slices that are started before one is waited for, all in flight at a time. */
static void start_many(struct halo_rows *many, uint32_t slices, uint32_t count)
{
    struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                 halo_numbers(HALO_F64, f64s[1], NULL)};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));

    for (uint32_t i = 0; i < slices; i++) {
        args[0].first = args[1].first = i % 2; /* not the columns of the one before */
        assert_int_equal(halo_call_rows_start(box, &many[i], mul, count, args, 2, 0), 0);
    }
}

static void finish_many(struct halo_rows *many, uint32_t slices, uint32_t count)
{
    for (uint32_t i = 0; i < slices; i++) {
        if (halo_wait(&many[i].future, HALO_FOREVER))
            fail_msg("slice %u: %s", i, many[i].future.text);
        for (uint32_t k = 0; k < count; k++)
            assert_true(((const double *)many[i].result.values)[k] ==
                        f64s[0][k + i % 2] * f64s[1][k + i % 2]);
    }
}

static void slices_that_are_started_together_take_one_exit(void **state)
{
    static struct halo_rows many[8];
    static const uint32_t lens[] = {16, 128, 1000, 4096, 4097};
    uint64_t before;

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        for (int round = 0; round < 6; round++) {
            before = exits();
            start_many(many, 8, lens[i]);
            finish_many(many, 8, lens[i]);
        }
        assert_int_equal(exits() - before, 1);
    }
    close_box(state);
    open_box(state);
    start_many(many, 1, 32768); /* and a long one by itself, once it was seen */
    finish_many(many, 1, 32768);
    start_many(many, 1, 32768);
    finish_many(many, 1, 32768);
    before = exits();
    start_many(many, 1, 32768);
    finish_many(many, 1, 32768);
    assert_int_equal(exits() - before, 1);
    for (uint32_t i = 0; i < 8; i++)
        halo_rows_free(&many[i]);
}

/* More results than the guest lends at a time, and a long call in the middle of short ones. */
static void long_and_short_slices_in_flight(void **state)
{
    static struct halo_rows many[40], large;
    static const uint32_t lens[] = {20000, 8000, 4096};
    const uint32_t most = 150000;
    double *numbers = calloc(most, sizeof(*numbers));
    struct halo_column args[] = {halo_numbers(HALO_F64, numbers, NULL),
                                 halo_numbers(HALO_F64, numbers, NULL)};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));

    (void)state;
    numbers[most - 1] = 3;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        start_many(many, 20, lens[i]);
        assert_int_equal(halo_call_rows_start(box, &large, mul, most, args, 2, 0), 0);
        start_many(many + 20, 20, lens[i]);
        finish_many(many, 40, lens[i]);
        if (halo_wait(&large.future, HALO_FOREVER))
            fail_msg("%u rows: %s", most, large.future.text);
        assert_true(((const double *)large.result.values)[most - 1] == 9);
    }
    for (uint32_t i = 0; i < 40; i++)
        halo_rows_free(&many[i]);
    halo_rows_free(&large);
    free(numbers);
}

/* More of them than there are buffers, of which each is lent for a while. */
static void more_slices_than_buffers(void **state)
{
    static struct halo_rows many[80];
    struct halo_options options = way_options(state);

    close_box(state);
    options.sizes.call_queue_size = 64;
    if (halo_open(&box, ROWS, &options) || halo_serve_begin(box, HALO_FOREVER))
        fail_msg("%s", halo_errmsg(box));
    for (uint32_t count = 10; count < 12000; count *= 3) {
        start_many(many, 80, count);
        finish_many(many, 80, count);
    }
    for (uint32_t i = 0; i < 80; i++)
        halo_rows_free(&many[i]);
}

/*
 * A million rows, of which the caller wants no more half-way: what is in flight is given up, what
 * did not go out is never called, and the next calls are as if nothing was.
 */
static void rows_06_cancelled_half_way(void **state)
{
    enum { SLICES = 250, LEN = 4000, AT_A_TIME = 5 };
    static struct halo_rows many[AT_A_TIME];
    static int64_t ones[LEN];
    const struct halo_column column = halo_numbers(HALO_I64, ones, NULL);
    const int note = function("note", FN(HALO_VOID, HALO_I64));
    const int noted = function("noted", FN(HALO_I64));
    struct halo_future future;
    int64_t rows_called;

    (void)state;
    for (int i = 0; i < LEN; i++)
        ones[i] = 1;
    for (int done = 0; done < SLICES / 2; done += AT_A_TIME) {
        for (int i = 0; i < AT_A_TIME; i++)
            assert_int_equal(halo_call_rows_start(box, &many[i], note, LEN, &column, 1, 0), 0);
        for (int i = 0; i < AT_A_TIME; i++)
            assert_int_equal(halo_wait(&many[i].future, HALO_FOREVER), 0);
    }
    for (int i = 0; i < AT_A_TIME; i++)
        assert_int_equal(halo_call_rows_start(box, &many[i], note, LEN, &column, 1, 0), 0);
    assert_int_equal(halo_wait(&many[0].future, HALO_FOREVER), 0); /* and some of the others */
    for (int i = 0; i < AT_A_TIME; i++)
        halo_rows_free(&many[i]);
    for (int i = 0; i < AT_A_TIME; i++)
        assert_int_equal(halo_call_rows_start(box, &many[i], note, LEN, &column, 1, 0), 0);
    for (int i = 0; i < AT_A_TIME; i++) /* before anything has run */
        halo_rows_free(&many[i]);
    (void)halo_call_start(box, &future, noted, NULL, 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    rows_called = future.result.i64;
    assert_in_range(rows_called, (SLICES / 2 + 1) * LEN, (SLICES / 2 + AT_A_TIME) * LEN);
    assert_int_equal(rows_called % LEN, 0); /* whole slices, or nothing of them */
    halo_future_free(&future);
    start_many(many, AT_A_TIME, LEN);
    finish_many(many, AT_A_TIME, LEN);
    for (int i = 0; i < AT_A_TIME; i++)
        halo_rows_free(&many[i]);
}

/* --- Columns that calls share ----------------------------------------------------------------- */

static const double *product_of(struct halo_rows *of)
{
    if (halo_wait(&of->future, HALO_FOREVER))
        fail_msg("%s", of->future.text);
    return of->result.values;
}

static void assert_products(struct halo_rows *of, uint32_t first, uint32_t count)
{
    const double *products = product_of(of);

    for (uint32_t k = 0; k < count; k++)
        assert_true(products[k] == f64s[0][first + k] * f64s[1][first + k]);
}

/* Several functions in one pass: the columns go to the guest once, and lie where they lay. */
static void functions_of_the_same_columns_share_them(void **state)
{
    static struct halo_rows many[6];
    static const uint32_t lens[] = {1, 100, 1000, 4096, 20000, 32768};
    struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                 halo_numbers(HALO_F64, f64s[1], NULL)};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));
    const int one = function("mul.one", FN(HALO_F64, HALO_F64, HALO_F64));
    const int where = function("where", FN(HALO_U64, HALO_F64, HALO_F64));
    const int callees[] = {mul, where, one, where, where, mul};

    (void)state;
    for (size_t n = 0; n < sizeof(lens) / sizeof(lens[0]); n++) {
        for (uint32_t round = 0; round < 6; round++) {
            args[0].first = args[1].first = round;
            for (int i = 0; i < 6; i++)
                assert_int_equal(
                    halo_call_rows_start(box, &many[i], callees[i], lens[n], args, 2, 0), 0);
            assert_products(&many[0], round, lens[n]);
            assert_products(&many[2], round, lens[n]);
            assert_products(&many[5], round, lens[n]);
            for (int i = 1; i < 5; i++)
                assert_int_equal(halo_wait(&many[i].future, HALO_FOREVER), 0);
        }
        /* Once their length was seen; else some are fetched, each for itself. */
        assert_true(*(const uint64_t *)many[3].result.values ==
                    *(const uint64_t *)many[4].result.values);
        assert_true(*(const uint64_t *)many[1].result.values ==
                    *(const uint64_t *)many[3].result.values);
    }
    for (int i = 0; i < 6; i++)
        halo_rows_free(&many[i]);
}

/* What a call has is what its own arrays had when it was started, whoever had such before. */
static void columns_are_those_of_the_call(void **state)
{
    static struct halo_rows first, second, third;
    struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                 halo_numbers(HALO_F64, f64s[1], NULL)};
    const int mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));

    (void)state;
    for (uint32_t count = 10; count <= 10000; count *= 10) {
        for (int round = 0; round < 4; round++) {
            const double before = f64s[0][0];

            assert_int_equal(halo_call_rows_start(box, &first, mul, count, args, 2, 0), 0);
            assert_int_equal(halo_call_rows_start(box, &second, mul, count, args, 2, 0), 0);
            if (round == 0)
                halo_rows_free(&first);
            if (round % 2 == 1)
                halo_rows_free(&second); /* which the first one would have shared with */
            if (round > 0)
                assert_products(&first, 0, count);
            if (round == 2) /* perhaps on its way, or there: given up all the same */
                halo_rows_free(&second);
            if (round > 0)
                f64s[0][0] = 7 + round;
            if (round > 0) /* at the same place */
                assert_int_equal(halo_call_rows_start(box, &second, mul, count, args, 2, 0), 0);
            assert_products(&second, 0, count);
            assert_int_equal(halo_call_rows_start(box, &third, mul, count - 1, args, 2, 0), 0);
            assert_int_equal(halo_call_rows_start(box, &first, mul, count, args, 2, 0), 0);
            assert_products(&first, 0, count);
            assert_products(&third, 0, count - 1);
            f64s[0][0] = before;
        }
    }
    halo_rows_free(&first);
    halo_rows_free(&second);
    halo_rows_free(&third);
}

/* A function of one row has text as strings, and one that calls its host serves others inside. */
static void shared_columns_are_as_they_came(void **state)
{
    static struct halo_rows many[5];
    static const int32_t offsets[] = {0, 3, 6, 9, 12};
    const struct halo_column texts[] = {halo_texts(HALO_STR, offsets, "onetwosixten", NULL),
                                        halo_texts(HALO_BYTES, offsets, "onetwosixten", NULL)};
    static const char *const joined[] = {"ONEone", "TWOtwo", "SIXsix", "TENten"};
    const int text = function("text", FN(HALO_STR, HALO_STR, HALO_BYTES));
    const int one = function("text.one", FN(HALO_STR, HALO_STR, HALO_BYTES));
    size_t len;

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            assert_int_equal(
                halo_call_rows_start(box, &many[i], i % 2 ? text : one, 4, texts, 2, 0), 0);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(halo_wait(&many[i].future, HALO_FOREVER), 0);
            for (uint32_t row = 0; row < 4; row++)
                assert_memory_equal(halo_column_text(&many[i].result, row, &len), joined[row], 6);
        }
    }
    for (int i = 0; i < 5; i++)
        halo_rows_free(&many[i]);
}

int main(void)
{
    static const struct way_test tests[] = {
        IN_TURNS(slices_that_are_started_together_take_one_exit),
        RINGS(long_and_short_slices_in_flight),
        RINGS(more_slices_than_buffers),
        RINGS(rows_06_cancelled_half_way),
        IN_TURNS(functions_of_the_same_columns_share_them),
        RINGS(columns_are_those_of_the_call),
        RINGS(shared_columns_are_as_they_came),
    };

    return run_every_way("slices", tests, sizeof(tests) / sizeof(tests[0]), open_box, close_box);
}
