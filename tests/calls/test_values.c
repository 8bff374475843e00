/* Values that may be absent, and 16 arguments, in both directions, on every backend. */
#include <halo/rows.h>
#include "../guests/types.h"
#include "ways.h"

#define SECONDS (1000000000ll)
#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))

static struct halo_sandbox *box;
static struct halo_future future;
static struct halo_value seen[16]; /* of the last call, whose text and bytes are compared there */
static bool all_same;              /* as those in `sent` */
static const struct halo_value *sent;

static const char *const names[] = {"",    "i32", "u32",  "i64", "u64",
                                    "f32", "f64", "bool", "str", "bytes"};

/* --- The host's functions --------------------------------------------------------------------- */

static bool is_same(const struct halo_value *a, const struct halo_value *b)
{
    if (a->type != b->type || a->len != b->len)
        return false;
    if (a->type == HALO_STR || a->type == HALO_BYTES)
        return memcmp(a->bytes, b->bytes, a->len) == 0 &&
               (a->type == HALO_BYTES || !b->str[b->len]);
    return a->type == HALO_BOOL ? a->boolean == b->boolean
           : a->type == HALO_I32 || a->type == HALO_U32 || a->type == HALO_F32 ? a->u32 == b->u32
                                                                               : a->u64 == b->u64;
}

/* It has as many arguments as `context` says, and gives back the last. */
static void back(struct halo_call *call, const struct halo_value *args, void *context)
{
    const uint32_t count = *(const uint32_t *)context;

    memcpy(seen, args, count * sizeof(args[0]));
    for (uint32_t i = 0; i < count && sent; i++)
        all_same &= is_same(&args[i], &sent[i]);
    assert_int_equal(halo_return(call, args[count - 1]), 0);
}

/* The sum of those that are there, or absent. */
static void small(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    memcpy(seen, args, 3 * sizeof(args[0]));
    if (halo_is_null(&args[1]) && halo_is_null(&args[2]))
        halo_return(call, halo_null());
    else
        halo_return(call, halo_i64((halo_is_null(&args[1]) ? 0 : args[1].i32) +
                                   (halo_is_null(&args[2]) ? 0 : args[2].boolean)));
}

/* Text of that length, or nothing. */
static void chosen(struct halo_call *call, const struct halo_value *args, void *context)
{
    char *letters;

    (void)context;
    if (halo_is_null(&args[0])) {
        halo_return(call, halo_null());
        return;
    }
    letters = malloc(args[0].u32 + 1u);
    memset(letters, 'x', args[0].u32);
    letters[args[0].u32] = '\0';
    halo_return(call, halo_str(letters));
    free(letters);
}

static void strict(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, args[0]);
}

/* --- Setting up ------------------------------------------------------------------------------- */

static void provide(const char *name, struct halo_signature type, halo_function *function,
                    void *context)
{
    if (halo_provide(box, name, &type, function, context))
        fail_msg("%s", halo_errmsg(box));
}

static int open_box(void **state)
{
    static uint32_t one = 1, sixteen = 16;
    struct halo_options options = way_options(state);

    options.ram_len = 64ull << 20;
    if (halo_open(&box, VALUES, &options))
        fail_msg("%s", halo_errmsg(box));
    for (unsigned type = HALO_I32; type < HALO_TYPE_COUNT; type++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "back.%s", names[type]);
        provide(name, FN((uint8_t)(MAYBE(type)), (uint8_t)(MAYBE(type))), back, &one);
    }
    provide("back.mixed", FN(MAYBE(HALO_STR), MIXED), back, &sixteen);
    provide("back.texts", FN(HALO_STR, SIXTEEN(HALO_STR)), back, &sixteen);
    provide("back.small", FN(MAYBE(HALO_I64), HALO_BOOL, MAYBE(HALO_I32), MAYBE(HALO_BOOL)), small,
            NULL);
    provide("back.chosen", FN(MAYBE(HALO_STR), MAYBE(HALO_U32)), chosen, NULL);
    provide("back.strict", FN(HALO_I64, HALO_I64, HALO_STR), strict, NULL);
    sent = NULL;
    all_same = true;
    if (halo_serve_begin(box, 20 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

/* The result is the future's until the next call. */
static const struct halo_value *call(int callee, const struct halo_value *args, size_t count)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, callee, args, count);
    if (halo_wait(&future, HALO_FOREVER))
        fail_msg("%s", future.text);
    return &future.result;
}

static struct halo_value value_of(unsigned type, const char *letters, size_t len)
{
    const struct halo_value values[] = {halo_null(),       halo_i32(-7),
                                        halo_u32(7),       halo_i64(-1),
                                        halo_u64(1),       halo_f32(0.5f),
                                        halo_f64(-0.25),   halo_bool(true),
                                        halo_str(letters), halo_bytes(letters, len)};

    return values[type];
}

/* --- Values ----------------------------------------------------------------------------------- */

static void every_type_may_be_absent_in_both_directions(void **state)
{
    static const char *const ways[] = {"echo", "pass"};
    char *letters = malloc(9001);

    (void)state;
    memset(letters, 'l', 9000);
    letters[9000] = '\0';
    for (unsigned type = HALO_I32; type < HALO_TYPE_COUNT; type++) {
        for (int way = 0; way < 2; way++) {
            const struct halo_value absent = halo_null(), empty = value_of(type, "", 0),
                                    some = value_of(type, letters + 8990, 10),
                                    many = value_of(type, letters, 9000);
            char name[32];
            int callee;

            (void)snprintf(name, sizeof(name), "%s.%s", ways[way], names[type]);
            callee = function(name, FN((uint8_t)(MAYBE(type)), (uint8_t)(MAYBE(type))));
            for (int turn = 0; turn < 2; turn++) {
                assert_true(halo_is_null(call(callee, &absent, 1)));
                assert_true(is_same(call(callee, &some, 1), &some));
                assert_true(is_same(call(callee, &empty, 1), &empty));
                assert_true(is_same(call(callee, &many, 1), &many));
            }
            if (way == 1)
                assert_int_equal(seen[0].type, type);
        }
    }
    halo_future_free(&future);
    free(letters);
}

/* Those that fit travel inside a descriptor; text that is absent, or not, in the answer. */
static void absent_numbers_travel_with_others(void **state)
{
    const int callee =
        function("small", FN(MAYBE(HALO_I64), HALO_BOOL, MAYBE(HALO_I32), MAYBE(HALO_BOOL)));
    const int text = function("chosen", FN(MAYBE(HALO_STR), MAYBE(HALO_U32)));

    (void)state;
    for (uint32_t set = 0; set < 4; set++) {
        const struct halo_value args[] = {halo_bool(set & 1), set & 1 ? halo_null() : halo_i32(-2),
                                          set & 2 ? halo_null() : halo_bool(true)};
        const struct halo_value *result = call(callee, args, 3);

        for (int i = 0; i < 3; i++)
            assert_true(is_same(&args[i], &seen[i]));
        if (set == 3)
            assert_true(halo_is_null(result));
        else
            assert_int_equal(result->i64, (set & 1 ? 0 : -2) + (set & 2 ? 0 : 1));
    }
    for (uint32_t len = 0; len < 20000; len += 1 + len * 3) {
        const struct halo_value args[] = {halo_u32(len), halo_null()};

        assert_int_equal(call(text, &args[0], 1)->type, HALO_STR);
        assert_int_equal(future.result.len, len);
        assert_true(halo_is_null(call(text, &args[1], 1)));
    }
    halo_future_free(&future);
}

static void sixteen_arguments_arrive_both_ways(void **state)
{
    const int callee = function("mixed", FN(MAYBE(HALO_STR), MIXED));
    struct halo_value args[] = {halo_i32(-1),       halo_u32(2),          halo_i64(-3),
                                halo_u64(4),        halo_f32(5.5f),       halo_f64(6.5),
                                halo_bool(true),    halo_str("seven"),    halo_bytes("eight", 5),
                                halo_i32(9),        halo_i64(10),         halo_f64(11),
                                halo_bool(false),   halo_str("thirteen"), halo_bytes("fourteen", 8),
                                halo_str("fifteen")};

    (void)state;
    sent = args;
    assert_string_equal(call(callee, args, 16)->str, "fifteen");
    for (uint32_t i = 9; i < 16; i++) {
        args[i] = halo_null();
        (void)call(callee, args, 16);
    }
    assert_true(halo_is_null(&future.result));
    assert_true(all_same);
    sent = NULL;
    halo_future_free(&future);
}

/* All short, the longest short ones, all long, and each in turn: as far as envelope and segments.
 */
static void sixteen_texts_of_any_length_arrive(void **state)
{
    static const size_t lens[] = {0, 1, 255, 256, 257, 300, 5000};
    const int callee = function("texts", FN(HALO_STR, SIXTEEN(HALO_STR)));
    char *letters = malloc(16 * 5001);
    struct halo_value args[16];

    (void)state;
    sent = args;
    for (size_t k = 0; k < 7 * 2; k++) {
        for (size_t i = 0; i < 16; i++) {
            const size_t len = k < 7 ? lens[k] : lens[(k + i) % 7];
            char *text = letters + i * 5001;

            memset(text, 'a' + (int)i, len);
            text[len] = '\0';
            args[i] = halo_str(text);
        }
        assert_true(is_same(call(callee, args, 16), &args[15]));
        assert_true(all_same);
    }
    sent = NULL;
    halo_future_free(&future);
    free(letters);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void assert_wrong(int callee, const struct halo_value *args, size_t count, int error,
                         const char *words)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, callee, args, count);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), error);
    assert_string_equal(future.text, words);
}

static void rpc_02_a_wrong_absent_value_is_refused_by_name(void **state)
{
    const struct halo_signature other = HALO_FN(HALO_I64, HALO_I64, HALO_I64);
    const int either = function("either", FN(MAYBE(HALO_I64), MAYBE(HALO_I64), HALO_I64));
    const int wrong = function("wrong", FN(HALO_I64, HALO_U32));
    const struct halo_value absent[] = {halo_null(), halo_null()};
    const struct halo_value text[] = {halo_str("x"), halo_i64(1)};
    const struct halo_value number[] = {halo_u32(0), halo_u32(1)};

    (void)state;
    assert_wrong(either, absent, 2, HALO_ETYPE,
                 "either: argument 2 is absent and not i64: i64?(i64?, i64)");
    assert_wrong(either, text, 2, HALO_ETYPE,
                 "either: argument 1 is str and not i64?: i64?(i64?, i64)");
    assert_int_equal(halo_lookup(box, "either", &other), HALO_ETYPE);
    assert_string_equal(halo_errmsg(box),
                        "either: the guest exports i64?(i64?, i64), not i64(i64, i64)");
    assert_wrong(wrong, &number[0], 1, HALO_ECALL,
                 "back.strict: argument 2 is absent, and its signature says str");
    assert_wrong(wrong, &number[1], 1, HALO_ECALL,
                 "back.strict: argument 1 is i32, and its signature says i64");
    assert_wrong(function("absent", FN(HALO_I64)), NULL, 0, HALO_ETYPE,
                 "it returned no result, and its signature says i64");
    assert_true(halo_is_null(call(function("mute", FN(MAYBE(HALO_I64))), NULL, 0)));
}

/* --- With rows -------------------------------------------------------------------------------- */

static void rows_of_absent_values_are_passed_where_they_may_be(void **state)
{
    static const int64_t a[] = {1, 2, 3, 4}, b[] = {10, 20, 0, 40};
    static const unsigned char has_a = 0x0d, has_b = 0x07; /* row 1 has no a, row 3 no b */
    const struct halo_column columns[] = {halo_numbers(HALO_I64, a, &has_a),
                                          halo_numbers(HALO_I64, b, &has_b)};
    const int either = function("either", FN(MAYBE(HALO_I64), MAYBE(HALO_I64), HALO_I64));
    static struct halo_rows rows;
    const int64_t *result;

    (void)state;
    assert_int_equal(halo_call_rows(box, &rows, either, HALO_FOREVER, 4, columns, 2), 0);
    result = rows.result.values;
    assert_int_equal(rows.result.type, HALO_I64);
    assert_true(halo_column_has(&rows.result, 0) && result[0] == 11);
    assert_true(halo_column_has(&rows.result, 1) && result[1] == 20); /* called, with an absent a */
    assert_false(halo_column_has(&rows.result, 2));                   /* it returned nothing */
    assert_false(halo_column_has(&rows.result, 3));                   /* not called: b must be */
    halo_rows_free(&rows);
}

static void rows_of_absent_text_are_passed_where_they_may_be(void **state)
{
    static const int32_t offsets[] = {0, 3, 3, 3, 6};
    static const unsigned char has = 0x0b; /* row 2 has none, row 1 is empty */
    static const unsigned char none = 0;
    const struct halo_column column = halo_texts(HALO_STR, offsets, "annbob", &has);
    struct halo_column same = column;
    const int name = function("name", FN(MAYBE(HALO_STR), MAYBE(HALO_STR)));
    static struct halo_rows rows;
    size_t len;

    (void)state;
    assert_int_equal(halo_call_rows(box, &rows, name, HALO_FOREVER, 4, &column, 1), 0);
    assert_memory_equal(halo_column_text(&rows.result, 0, &len), "ann", 3);
    assert_false(halo_column_has(&rows.result, 1));
    assert_memory_equal(halo_column_text(&rows.result, 2, &len), "nobody", 6);
    assert_memory_equal(halo_column_text(&rows.result, 3, &len), "bob", 3);
    same.same = true;
    same.validity = &none;
    assert_int_equal(halo_call_rows(box, &rows, name, HALO_FOREVER, 3, &same, 1), 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_memory_equal(halo_column_text(&rows.result, i, &len), "nobody", 6);
    halo_rows_free(&rows);
}

/* A function for rows, with rows and as an ordinary one. */
static void a_function_for_rows_sees_what_is_absent(void **state)
{
    static const int64_t a[] = {1, 2, 3};
    static const int32_t offsets[] = {0, 1, 2, 3};
    static const unsigned char has_a = 0x05, has_text = 0x04;
    const struct halo_column columns[] = {halo_numbers(HALO_I64, a, &has_a),
                                          halo_texts(HALO_STR, offsets, "xyz", &has_text)};
    const int count = function("count", FN(MAYBE(HALO_I64), MAYBE(HALO_I64), MAYBE(HALO_STR)));
    const struct halo_value args[] = {halo_null(), halo_str("there"), halo_i64(1), halo_null(),
                                      halo_null()};
    static struct halo_rows rows;

    (void)state;
    if (!way_is_stacks(state)) {
        assert_int_equal(halo_call_rows(box, &rows, count, HALO_FOREVER, 3, columns, 2), 0);
        assert_int_equal(((const int64_t *)rows.result.values)[0], 1);
        assert_false(halo_column_has(&rows.result, 1));
        assert_int_equal(((const int64_t *)rows.result.values)[2], 2);
        halo_rows_free(&rows);
    }
    assert_int_equal(call(count, &args[0], 2)->i64, 1);
    assert_int_equal(call(count, &args[2], 2)->i64, 1);
    assert_true(halo_is_null(call(count, &args[3], 2)));
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(every_type_may_be_absent_in_both_directions),
        TEST(absent_numbers_travel_with_others),
        TEST(sixteen_arguments_arrive_both_ways),
        TEST(sixteen_texts_of_any_length_arrive),
        TEST(rpc_02_a_wrong_absent_value_is_refused_by_name),
        RINGS(rows_of_absent_values_are_passed_where_they_may_be),
        RINGS(rows_of_absent_text_are_passed_where_they_may_be),
        TEST(a_function_for_rows_sees_what_is_absent),
    };

    return run_every_way("values", tests, sizeof(tests) / sizeof(tests[0]), open_box, close_box);
}
