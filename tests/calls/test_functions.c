/* Calls of a guest's functions by its host, on every backend: values and errors. */
#include "functions.h"

/* --- Values ----------------------------------------------------------------------------------- */

/* A program may fill the union by hand: what is not 0 is true, and harms nobody. */
static void a_bool_of_2_is_true(void **state)
{
    struct halo_value value = {.type = HALO_BOOL};

    (void)state;
    value.u64 = 2;
    assert_int_equal(halo_call(box, &future, function("echo.bool", FN(HALO_BOOL, HALO_BOOL)),
                               HALO_FOREVER, value),
                     0);
    assert_int_equal(future.result.u64 & 0xff, 1);
    halo_future_free(&future);
}

static void every_type_goes_there_and_back(void **state)
{
    static const int64_t edges[] = {0,   1,         -1,        127,       128,       -64,
                                    -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 12345};

    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        echo("echo.i32", halo_i32((int32_t)edges[i]));
        echo("echo.u32", halo_u32((uint32_t)edges[i]));
        echo("echo.i64", halo_i64(edges[i]));
        echo("echo.u64", halo_u64((uint64_t)edges[i]));
        echo("echo.f32", halo_f32((float)edges[i] / 3));
        echo("echo.f64", halo_f64((double)edges[i] / 3));
        echo("echo.bool", halo_bool(edges[i] & 1));
    }
    assert_int_equal(halo_call_start(box, &future, function("nothing", FN(HALO_VOID)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_int_equal(future.result.type, HALO_VOID);
    assert_int_equal(halo_call(box, &future,
                               function("many", FN(HALO_I64, HALO_I32, HALO_U32, HALO_I64, HALO_U64,
                                                   HALO_F64, HALO_BOOL, HALO_STR, HALO_BYTES)),
                               HALO_FOREVER, halo_i32(-1), halo_u32(2), halo_i64(-3), halo_u64(4),
                               halo_f64(5.5), halo_bool(true), halo_str("six"),
                               halo_bytes("seven", 5)),
                     0);
    assert_int_equal(future.result.i64, 42);
}

/* Around every limit: short, in the buffer, fetched; there and back. */
static void text_and_bytes_of_every_length_arrive(void **state)
{
    static const size_t around[] = {0,    200,  256,  257,  700,   1000,  1024,  2040,
                                    2048, 4000, 4050, 4096, 10000, 65536, 300000};
    char *bytes = malloc(300100);

    (void)state;
    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        for (size_t len = around[i]; len < around[i] + 60; len += 1 + len / 50) {
            memset(bytes, 'a' + (int)(len % 26), len);
            bytes[len] = '\0';
            echo("echo.str", halo_str(bytes));
            echo("echo.bytes", halo_bytes(bytes, len));
        }
    }
    free(bytes);
}

static void a_16_mib_argument_fits_a_guest_of_32(void **state)
{
    const size_t len = HALO_VALUE_MAX - 10;
    unsigned char *bytes = malloc(len);
    struct halo_options options = way_options(state);
    uint64_t total = 0;

    halo_close(box);
    options.ram_len = 32ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(i * 31);
        total += bytes[i];
    }
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(
            halo_call(box, &future, function("sum", FN(HALO_U64, HALO_BYTES, HALO_STR, HALO_BYTES)),
                      HALO_FOREVER, halo_bytes(bytes, len), halo_str("ab"), halo_bytes("\1", 1)),
            0);
        assert_true(future.result.u64 == total + 'a' + 'b' + 1);
    }
    free(bytes);
    assert_int_equal(halo_call(box, &future, function("fill", FN(HALO_BYTES, HALO_U32)),
                               HALO_FOREVER, halo_u32(HALO_VALUE_MAX)),
                     0);
    assert_int_equal(future.result.len, HALO_VALUE_MAX);
    for (uint32_t i = 0; i < HALO_VALUE_MAX; i += 4093)
        assert_int_equal(((const unsigned char *)future.result.bytes)[i],
                         (unsigned char)(i * 13 + i / 256));
    halo_future_free(&future);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void rpc_01_rpc_02_wrong_calls_are_refused(void **state)
{
    const struct halo_value one = halo_i32(1), zero = {.type = HALO_STR, .len = 3, .str = "a\0b"};
    const int i32 = function("echo.i32", FN(HALO_I32, HALO_I32));
    const int str = function("echo.str", FN(HALO_STR, HALO_STR));
    const struct halo_signature other = HALO_FN(HALO_I32, HALO_I64), bad = HALO_FN(HALO_TYPE_COUNT);
    const uint64_t before = stats().exits;

    (void)state;
    assert_int_equal(halo_lookup(box, "no.such", &other), HALO_ENAME);
    assert_int_equal(halo_lookup(box, "", &other), HALO_ENAME);
    assert_int_equal(halo_lookup(box, "echo.i32", &other), HALO_ETYPE);
    assert_string_equal(halo_errmsg(box), "echo.i32: the guest exports i32(i32), not i32(i64)");
    assert_int_equal(halo_lookup(box, "echo.i32", &bad), HALO_EINVAL);
    assert_int_equal(halo_call_start(box, &future, 0, &one, 1), HALO_ENAME);
    assert_int_equal(halo_call_start(box, &future, -5, &one, 1), HALO_ENAME);
    assert_int_equal(halo_call_start(box, &future, 1000, &one, 1), HALO_ENAME);
    assert_true(future.done && future.error == HALO_ENAME);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_ENAME);
    assert_string_equal(future.text, halo_errmsg(box));
    assert_int_equal(halo_call_start(box, &future, i32, &one, 0), HALO_ECOUNT);
    assert_int_equal(halo_call_start(box, &future, i32, &zero, 1), HALO_ETYPE);
    assert_int_equal(halo_call_start(box, &future, str, &zero, 1), HALO_EINVAL);
    halo_future_free(&future);
    assert_int_equal(stats().exits, before);
    echo("echo.i32", halo_i32(5));
}

static void rpc_05_too_long_an_argument_is_refused(void **state)
{
    const struct halo_value bytes = halo_bytes("x", HALO_VALUE_MAX + 1);

    (void)state;
    assert_int_equal(halo_call_start(box, &future,
                                     function("echo.bytes", FN(HALO_BYTES, HALO_BYTES)), &bytes, 1),
                     HALO_ESIZE);
    /* and so is too long a result, of which nothing arrives */
    assert_int_equal(halo_call(box, &future, function("fill", FN(HALO_BYTES, HALO_U32)),
                               HALO_FOREVER, halo_u32(HALO_VALUE_MAX + 4096)),
                     HALO_ESIZE);
    assert_int_equal(future.result.type, HALO_VOID);
    echo("echo.i32", halo_i32(5));
}

static void rpc_10_a_function_may_fail(void **state)
{
    const int failing = function("failing", FN(HALO_I32, HALO_I32, HALO_STR));
    char long_text[400];

    (void)state;
    memset(long_text, 'e', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(
        halo_call(box, &future, failing, HALO_FOREVER, halo_i32(7), halo_str("because")),
        HALO_ECALL);
    assert_int_equal(future.code, 7);
    assert_string_equal(future.text, "because");
    assert_int_equal(
        halo_call(box, &future, failing, HALO_FOREVER, halo_i32(INT32_MAX), halo_str(long_text)),
        HALO_ECALL);
    assert_int_equal(strlen(future.text), HALO_ERROR_TEXT_MAX);
    assert_int_equal(halo_call(box, &future, failing, HALO_FOREVER, halo_i32(0), halo_str("")), 0);
    assert_int_equal(future.result.i32, 1);
    assert_int_equal(halo_call_start(box, &future, function("mute", FN(HALO_I32)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_ETYPE);
    assert_int_equal(halo_call_start(box, &future, function("confused", FN(HALO_I32)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_ETYPE);
    assert_string_equal(future.text, "it returned str, and its signature says i32");
    echo("echo.i32", halo_i32(5));
}

static void calls_need_a_guest_that_serves(void **state)
{
    struct halo_future late;
    const struct halo_value one = halo_i32(1);
    int code;

    open_file(functions, way_options(state));
    assert_int_equal(halo_call_start(box, &future, 1, &one, 1), HALO_ESTATE);
    assert_int_equal(halo_lookup(box, "echo.i32", &FN(HALO_I32, HALO_I32)), HALO_ESTATE);
    assert_int_equal(halo_serve_begin(box, -1), HALO_EINVAL);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    echo("echo.i32", halo_i32(5));
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), 0); /* no more calls: it ends */
    assert_int_equal(code, 0);
    assert_int_equal(halo_call_start(box, &late, 1, &one, 1), HALO_ESTATE);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), HALO_ESTATE);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), HALO_ESTATE);
}

static void a_guest_may_end_instead_of_answering(void **state)
{
    struct halo_future other;
    const struct halo_value three = halo_i32(3);
    const int leave = function("leave", FN(HALO_VOID, HALO_I32));

    (void)state;
    assert_int_equal(halo_call_start(box, &future, leave, &three, 1), 0);
    assert_int_equal(halo_call_start(box, &other, leave, &three, 1),
                     way_is_stacks(state) ? HALO_ETRANSPORT : 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_ESTATE);
    assert_true(other.done);
    assert_true(future.done && future.error == HALO_ESTATE);
    halo_future_free(&other);
}

static void rpc_10_a_crash_ends_the_call(void **state)
{
    (void)state;
    assert_int_equal(halo_call_start(box, &future, function("crash", FN(HALO_VOID)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_EFAULT);
    assert_non_null(halo_fault(box));
    assert_int_equal(halo_poll(box, HALO_FOREVER), 0);
}

static void rpc_10_a_crash_ends_every_call(void **state)
{
    struct halo_future futures[3];
    const struct halo_value one = halo_i32(1);

    (void)state;
    assert_int_equal(
        halo_call_start(box, &futures[0], function("echo.i32", FN(HALO_I32, HALO_I32)), &one, 1),
        0);
    assert_int_equal(halo_call_start(box, &futures[1], function("crash", FN(HALO_VOID)), NULL, 0),
                     0);
    assert_int_equal(
        halo_call_start(box, &futures[2], function("echo.i32", FN(HALO_I32, HALO_I32)), &one, 1),
        0);
    assert_int_equal(halo_wait(&futures[2], HALO_FOREVER), HALO_EFAULT);
    assert_int_equal(futures[1].error, HALO_EFAULT);
    assert_non_null(halo_fault(box));
    assert_int_equal(halo_poll(box, HALO_FOREVER), 0);
}

int main(int argc, char **argv)
{
    static const struct way_test with_functions[] = {
        TEST(a_bool_of_2_is_true),
        TEST(every_type_goes_there_and_back),
        RINGS(text_and_bytes_of_every_length_arrive),
        RINGS(a_16_mib_argument_fits_a_guest_of_32),
        TEST(rpc_01_rpc_02_wrong_calls_are_refused),
        TEST(rpc_05_too_long_an_argument_is_refused),
        TEST(rpc_10_a_function_may_fail),
        TEST(a_guest_may_end_instead_of_answering),
        TEST(rpc_10_a_crash_ends_the_call),
        RINGS(rpc_10_a_crash_ends_every_call),
    };
    static const struct way_test alone[] = {
        TEST(calls_need_a_guest_that_serves),
    };
    int failed;

    take_files(argc, argv);
    failed = run_every_way("functions", with_functions,
                           sizeof(with_functions) / sizeof(with_functions[0]), open_functions,
                           close_box);
    return failed +
           run_every_way("alone", alone, sizeof(alone) / sizeof(alone[0]), NULL, close_box);
}
