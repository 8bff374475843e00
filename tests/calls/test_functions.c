/* Calls of a guest's functions by its host, tests/guests/functions.c and both.c, on every backend.
 */
#include "ways.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define SECONDS (1000000000ll)

static const char *functions = FUNCTIONS, *both = BOTH, *trouble = TROUBLE; /* their files */
static struct halo_sandbox *box;
static struct halo_future future;
static int64_t noted[8];
static int note_count;

/* --- The host's functions --------------------------------------------------------------------- */

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(2 * args[0].i64));
}

static void down(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_future inner;
    const int function = halo_lookup(halo_call_sandbox(call), "down", &type);
    int error;

    (void)context;
    if (args[0].i64 == 0) {
        halo_return(call, halo_i64(0));
        return;
    }
    error = halo_call(halo_call_sandbox(call), &inner, function, HALO_FOREVER,
                      halo_i64(args[0].i64 - 1));
    halo_return(call, halo_i64(error                  ? error
                               : inner.result.i64 < 0 ? inner.result.i64
                                                      : inner.result.i64 + 1));
    halo_future_free(&inner);
}

static void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    char *letters = malloc(args[0].u32 + 1u);

    (void)context;
    memset(letters, 'x', args[0].u32);
    letters[args[0].u32] = '\0';
    assert_int_equal(halo_return(call, halo_str(letters)), 0);
    free(letters);
}

static void note(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)context;
    noted[note_count++ % 8] = args[0].i64;
}

/* --- Setting up ------------------------------------------------------------------------------- */

static int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))

static void open_file(const char *file, struct halo_options options)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    static const struct halo_signature str_u32 = HALO_FN(HALO_STR, HALO_U32);
    static const struct halo_signature void_i64 = HALO_FN(HALO_VOID, HALO_I64);

    options.ram_len = 64ull << 20;
    note_count = 0;
    if (halo_open(&box, file, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, twice, NULL), 0);
    assert_int_equal(halo_provide(box, "host.down", &i64_i64, down, NULL), 0);
    assert_int_equal(halo_provide(box, "host.text", &str_u32, text, NULL), 0);
    assert_int_equal(halo_provide(box, "host.note", &void_i64, note, NULL), 0);
}

static int open_functions(void **state)
{
    open_file(functions, way_options(state));
    assert_int_equal(halo_serve_begin(box, 10 * SECONDS), 0);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static struct halo_stats stats(void)
{
    struct halo_stats now;

    halo_stats(box, &now);
    return now;
}

/* --- Values ----------------------------------------------------------------------------------- */

/* Bytes of a number. */
static size_t width(enum halo_type type)
{
    return type == HALO_BOOL ? 1 : type == HALO_I32 || type == HALO_U32 || type == HALO_F32 ? 4 : 8;
}

static void echo(const char *name, struct halo_value value)
{
    assert_int_equal(halo_call(box, &future,
                               function(name, FN((uint8_t)value.type, (uint8_t)value.type)),
                               HALO_FOREVER, value),
                     0);
    assert_int_equal(future.result.type, value.type);
    assert_int_equal(future.result.len, value.len);
    if (value.type >= HALO_STR)
        assert_memory_equal(future.result.bytes, value.bytes, value.len);
    else
        assert_memory_equal(&future.result.u64, &value.u64, width(value.type));
    if (value.type == HALO_STR)
        assert_int_equal(future.result.str[value.len], 0);
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
    assert_string_equal(future.text, halo_strerror(HALO_ENAME));
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
    assert_string_equal(future.text, halo_strerror(HALO_ETYPE));
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

/* --- Batches ---------------------------------------------------------------------------------- */

static void a_batch_takes_one_exit(void **state)
{
    static struct halo_future futures[1000];
    const int i64 = function("echo.i64", FN(HALO_I64, HALO_I64));
    uint64_t before = stats().exits;

    (void)state;
    for (int count = 1; count <= 100; count = count * 4 + 3) {
        for (int i = 0; i < count; i++)
            assert_int_equal(halo_call_start(box, &futures[i], i64,
                                             &(struct halo_value){.type = HALO_I64, .i64 = i}, 1),
                             0);
        for (int i = count; i-- > 0;) {
            assert_int_equal(halo_wait(&futures[i], HALO_FOREVER), 0);
            assert_int_equal(futures[i].result.i64, i);
        }
        assert_int_equal(stats().exits, ++before);
    }
    for (int i = 0; i < 1000; i++) /* more than there are buffers */
        assert_int_equal(halo_call_start(box, &futures[i], i64,
                                         &(struct halo_value){.type = HALO_I64, .i64 = i}, 1),
                         0);
    assert_int_equal(halo_wait(&futures[999], HALO_FOREVER), 0);
    for (int i = 0; i < 1000; i++)
        assert_true(futures[i].done && futures[i].result.i64 == i);
    assert_in_range(stats().exits, before + 1, before + 10);
}

static void answers_can_be_polled_for(void **state)
{
    struct halo_future futures[5];
    const int i64 = function("echo.i64", FN(HALO_I64, HALO_I64));
    int got = 0, one;

    (void)state;
    assert_int_equal(halo_poll(box, HALO_FOREVER), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(halo_call_start(box, &futures[i], i64,
                                         &(struct halo_value){.type = HALO_I64, .i64 = i}, 1),
                         0);
    assert_false(futures[0].done);
    while ((one = halo_poll(box, HALO_FOREVER)) > 0)
        got += one;
    assert_int_equal(one, 0);
    assert_int_equal(got, 5);
    assert_true(futures[4].done);
}

/* What another wait has taken in is there: nothing has to be waited for. */
static void a_poll_returns_what_another_wait_took_in(void **state)
{
    const struct halo_value soon = {.type = HALO_U64, .u64 = 1000000};
    const int spin = function("spin", FN(HALO_I32, HALO_U64));
    struct halo_future other;

    (void)state;
    assert_int_equal(halo_call_start(box, &other, spin, &soon, 1), 0);
    assert_int_equal(halo_call_start(box, &future, spin, &soon, 1), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_true(other.done); /* the one before it was answered first */
    assert_int_equal(halo_poll(box, HALO_FOREVER), 1);
    assert_int_equal(halo_poll(box, HALO_FOREVER), 0);
    halo_future_free(&other);
    halo_future_free(&future);
}

/*
 * HOST-02: what a run with a deadline did to the processor's signal mask is gone after it, so that
 * a signal that the host has blocked since, and that is pending, does not end every later run.
 */
static void host_02_a_blocked_signal_does_not_hold_up_a_later_run(void **state)
{
    const struct halo_value soon = {.type = HALO_U64, .u64 = 1000000};
    const int spin = function("spin", FN(HALO_I32, HALO_U64));
    sigset_t block, before;

    (void)state;
    assert_int_equal(halo_call_start(box, &future, spin, &soon, 1), 0);
    assert_int_equal(halo_wait(&future, 10 * SECONDS), 0);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    raise(SIGUSR1);
    alarm(20); /* where it does hold it up */
    assert_int_equal(halo_call_start(box, &future, spin, &soon, 1), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    alarm(0);
    assert_int_equal(sigtimedwait(&block, NULL, &(struct timespec){0, 0}), SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void a_wait_has_a_deadline(void **state)
{
    const struct halo_value forever = {.type = HALO_U64, .u64 = UINT64_MAX};
    const struct halo_value long_enough = {.type = HALO_U64, .u64 = 300000000};
    const int spin = function("spin", FN(HALO_I32, HALO_U64));
    struct halo_future other;
    int waits = 0, error;

    (void)state;
    assert_int_equal(halo_call_start(box, &future, spin, &long_enough, 1), 0);
    do
        error = halo_wait(&future, SECONDS / 50);
    while (error == HALO_ETIMEDOUT && ++waits < 1000); /* it goes on where it was interrupted */
    assert_int_equal(error, 0);
    assert_true(waits > 0);
    assert_int_equal(future.result.i32, 7);

    assert_int_equal(halo_call_start(box, &future, spin, &forever, 1), 0);
    assert_int_equal(halo_wait(&future, SECONDS / 50), HALO_ETIMEDOUT);
    assert_int_equal(halo_wait(&future, 0), HALO_ETIMEDOUT);
    assert_false(future.done);
    assert_int_equal(halo_poll(box, SECONDS / 50), HALO_ETIMEDOUT);
    assert_int_equal(halo_call_start(box, &other, spin, &long_enough, 1), /* it will never go out */
                     way_is_stacks(state) ? HALO_ETRANSPORT : 0);
    halo_future_free(&other);
    halo_future_free(&future); /* given up: it may be gone before the sandbox is */
}

static void rpc_06_a_call_that_was_given_up_disturbs_nobody(void **state)
{
    static struct halo_future futures[300];
    const int i64 = function("echo.i64", FN(HALO_I64, HALO_I64));
    char *bytes = calloc(1, 100000);
    const struct halo_value large = halo_bytes(bytes, 100000);
    int64_t number = 0;

    (void)state;
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < 300; i++) {
            const struct halo_value value = halo_i64(number + i);

            assert_int_equal(halo_call_start(box, &futures[i], i64, &value, 1), 0);
        }
        for (int i = 0; i < 300; i += 2) /* some are in flight by then, some not */
            halo_future_free(&futures[i]);
        assert_int_equal(halo_call_start(box, &future,
                                         function("echo.bytes", FN(HALO_BYTES, HALO_BYTES)), &large,
                                         1),
                         0);
        assert_int_equal(halo_poll(box, HALO_FOREVER) > 0, true);
        halo_future_free(&future); /* maybe before it was fetched */
        for (int i = 1; i < 300; i += 2) {
            assert_int_equal(halo_wait(&futures[i], HALO_FOREVER), 0);
            assert_int_equal(futures[i].result.i64, number + i);
        }
        number += 300;
    }
    free(bytes);
}

/* --- What stacks are like --------------------------------------------------------------------- */

static void each_call_takes_one_exit(void **state)
{
    const uint64_t before = stats().exits;

    (void)state;
    for (int i = 0; i < 20; i++)
        echo("echo.i64", halo_i64(i));
    assert_int_equal(stats().exits, before + 20);
}

static void what_stacks_cannot_do_is_an_error(void **state)
{
    const int bytes = function("echo.bytes", FN(HALO_BYTES, HALO_BYTES));
    const int i64 = function("echo.i64", FN(HALO_I64, HALO_I64));
    const struct halo_value one = halo_i64(1);
    unsigned char *large = calloc(1, 1 << 20);
    struct halo_future other;

    (void)state;
    assert_int_equal(halo_call_start(box, &future, i64, &one, 1), 0);
    assert_int_equal(halo_call_start(box, &other, i64, &one, 1), HALO_ETRANSPORT);
    assert_int_equal(halo_wait(&other, HALO_FOREVER), HALO_ETRANSPORT);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_int_equal(halo_call(box, &future, bytes, HALO_FOREVER, halo_bytes(large, 1 << 20)),
                     HALO_ESIZE);
    echo("echo.bytes", halo_bytes(large, (1 << 20) - 64));
    assert_int_equal(halo_call(box, &future, function("fill", FN(HALO_BYTES, HALO_U32)),
                               HALO_FOREVER, halo_u32(1 << 20)),
                     HALO_ESIZE);
    assert_int_equal(halo_call(box, &future, function("say", FN(HALO_VOID, HALO_STR)), HALO_FOREVER,
                               halo_str("words")),
                     HALO_ECALL);
    assert_int_equal(future.code, -HALO_ETRANSPORT);
    echo("echo.i64", halo_i64(1));
    free(large);
}

/* --- There and back --------------------------------------------------------------------------- */

static void calls_of_a_batch_call_back(void **state)
{
    static struct halo_future futures[200];
    const int function_ = function("twice_plus", FN(HALO_I64, HALO_I64));

    (void)state;
    for (int i = 0; i < 200; i++)
        assert_int_equal(halo_call_start(box, &futures[i], function_,
                                         &(struct halo_value){.type = HALO_I64, .i64 = i}, 1),
                         0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(halo_wait(&futures[i], HALO_FOREVER), 0);
        assert_int_equal(futures[i].result.i64, 2 * i + 1);
    }
}

static void a_guest_calls_back(void **state)
{
    const int function_ = function("twice_plus", FN(HALO_I64, HALO_I64));

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(halo_call(box, &future, function_, HALO_FOREVER, halo_i64(i)), 0);
        assert_int_equal(future.result.i64, 2 * i + 1);
    }
    assert_int_equal(halo_call(box, &future, function("fan", FN(HALO_I64, HALO_U32)), HALO_FOREVER,
                               halo_u32(500)),
                     0);
    assert_int_equal(future.result.i64, 500 * 499);
}

static void rpc_07_calls_nest_to_a_fixed_depth(void **state)
{
    const int function_ = function("down", FN(HALO_I64, HALO_I64));

    (void)state;
    for (int64_t depth = 0; depth < 40; depth++) {
        assert_int_equal(halo_call(box, &future, function_, HALO_FOREVER, halo_i64(depth)), 0);
        if (depth <= 14)
            assert_int_equal(future.result.i64, depth);
        else if (depth > 20)
            assert_int_equal(future.result.i64, HALO_EDEPTH);
        assert_true(future.result.i64 == depth || future.result.i64 == HALO_EDEPTH);
    }
}

static void calls_that_nobody_waits_for_are_made(void **state)
{
    const int notes = function("notes", FN(HALO_VOID, HALO_I64));

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(halo_call(box, &future, notes, HALO_FOREVER, halo_i64(10 * i)), 0);
    echo("echo.i32", halo_i32(1));
    assert_int_equal(note_count, 24);
    for (int i = 0; i < 8; i++)
        assert_int_equal(noted[i], 20 + i);
}

static void long_answers_are_fetched_once_and_then_have_room(void **state)
{
    const int texts = function("texts", FN(HALO_U64, HALO_U32, HALO_U32));
    uint64_t calls;

    (void)state;
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(100), halo_u32(10)), 0);
    assert_int_equal(future.result.u64, 0);
    calls = stats().calls;
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(5000), halo_u32(100)),
                     0);
    assert_int_equal(future.result.u64, 1);
    assert_int_equal(stats().calls, calls + 100); /* each was called once */
    assert_int_equal(stats().deferred, 1);
    assert_in_range(stats().fetched, 5000, 5100);
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(1 << 20), halo_u32(10)),
                     0);
    assert_int_equal(future.result.u64, 2);
    assert_int_equal(stats().discarded, 0);
}

static void streams_and_functions_go_together(void **state)
{
    char name[] = "/tmp/halo-functions-XXXXXX", back[32] = {0};
    const int out = mkstemp(name);

    (void)state;
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(out)), 0);
    assert_int_equal(halo_call(box, &future, function("say", FN(HALO_VOID, HALO_STR)), HALO_FOREVER,
                               halo_str("some words")),
                     0);
    echo("echo.i32", halo_i32(1));
    assert_int_equal(pread(out, back, sizeof(back), 0), 10);
    assert_string_equal(back, "some words");
    close(out);
    unlink(name);
}

static void many_long_answers_come_at_once(void **state)
{
    const int flood = function("flood", FN(HALO_U64, HALO_U32));

    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(halo_call(box, &future, flood, HALO_FOREVER, halo_u32(600)), 0);
        assert_int_equal(future.result.u64, 20 * 600 * 599 / 2);
    }
    assert_int_equal(stats().discarded, 0);
}

static void room_that_is_not_needed_is_given_up(void **state)
{
    const int texts = function("texts", FN(HALO_U64, HALO_U32, HALO_U32));

    (void)state;
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(5000), halo_u32(2)), 0);
    assert_int_equal(future.result.u64, 1);
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(100), halo_u32(4096)),
                     0);
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(4000), halo_u32(1)), 0);
    assert_int_equal(future.result.u64, 1); /* there is room for half as much */
    assert_int_equal(halo_call(box, &future, texts, HALO_FOREVER, halo_u32(5000), halo_u32(2)), 0);
    assert_int_equal(future.result.u64, 2);
}

/* --- A main program as well ------------------------------------------------------------------- */

/* Answered with the help of the guest, which waits for the answer. */
static void ask(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_future inner;
    int code;

    (void)context;
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), HALO_ESTATE);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), HALO_ESTATE);
    assert_int_equal(halo_call(box, &inner, function("add", FN(HALO_I64, HALO_I64, HALO_I64)),
                               HALO_FOREVER, args[0], halo_i64(1000)),
                     0);
    halo_return(call, inner.result);
}

static void open_both(struct halo_options options, const char *const *args, uint32_t count)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);

    options.args = args;
    options.arg_count = count;
    assert_int_equal(halo_open(&box, both, &options), 0);
    assert_int_equal(halo_provide(box, "host.ask", &i64_i64, ask, NULL), 0);
}

static void a_main_program_is_called_while_it_waits(void **state)
{
    const char *const args[] = {"both", "serve"};
    int code;

    open_both(way_options(state), args, 1);
    if (halo_run(box, HALO_FOREVER, &code))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(code, 64);
    halo_close(box);

    open_both(way_options(state), args, 1);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), HALO_ESTATE);
    assert_string_equal(halo_errmsg(box), "the guest ended with exit code 64 and serves no calls");
    halo_close(box);

    open_both(way_options(state), args, 2);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(halo_call(box, &future, function("add", FN(HALO_I64, HALO_I64, HALO_I64)),
                               HALO_FOREVER, halo_i64(1), halo_i64(2)),
                     0);
    assert_int_equal(future.result.i64, 3);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), 0);
    assert_int_equal(code, 65);
}

/* Calls the guest for a shorter time than that takes; outside there is no limit. */
static void impatient(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_future inner;

    (void)context;
    assert_int_equal(halo_call(box, &inner, function("spin", FN(HALO_I32, HALO_U64)), SECONDS / 100,
                               halo_u64(300000000)),
                     HALO_ETIMEDOUT);
    halo_future_free(&inner);
    halo_return(call, args[0]);
}

static void a_wait_inside_a_function_has_its_own_deadline(void **state)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    const struct halo_options options = way_options(state);

    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, impatient, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)),
                               HALO_FOREVER, halo_i64(7)),
                     0);
    assert_int_equal(future.result.i64, 8);
}

/* Processes of guests that are stopped. */
static int stopped_guests(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir))) {
        char name[300], exe[64] = "", stat[256] = "";
        FILE *file;

        (void)snprintf(name, sizeof(name), "/proc/%s/exe", entry->d_name);
        if (readlink(name, exe, sizeof(exe) - 1) < 0 || !strstr(exe, "halo-guest"))
            continue;
        (void)snprintf(name, sizeof(name), "/proc/%s/stat", entry->d_name);
        file = fopen(name, "r");
        if (file && fgets(stat, sizeof(stat), file))
            count += strstr(stat, ") T ") != NULL;
        if (file)
            fclose(file);
    }
    closedir(dir);
    return count;
}

static void a_guest_stands_still_between_waits(void **state)
{
    const struct halo_value forever = {.type = HALO_U64, .u64 = UINT64_MAX};
    const struct halo_options options = way_options(state);
    const int before = stopped_guests();

    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(
        halo_call_start(box, &future, function("spin", FN(HALO_I32, HALO_U64)), &forever, 1), 0);
    assert_int_equal(halo_wait(&future, SECONDS / 100), HALO_ETIMEDOUT);
    /* In a VM nobody runs it; a process has to be stopped, which takes the kernel a moment. */
    for (int i = 0; options.backend == HALO_BACKEND_PROCESS && stopped_guests() == before; i++) {
        assert_true(i < 10000);
        usleep(1000);
    }
    halo_future_free(&future);
}

static void a_guest_that_waits_for_nothing_does_not_begin(void **state)
{
    const char *const args[] = {"trouble", "wait-for-nothing"};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = 2;
    assert_int_equal(halo_open(&box, trouble, &options), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), HALO_EPOISONED);
    assert_non_null(strstr(halo_errmsg(box), "waits for an answer"));
}

static struct halo_future outer;

/* Waits for a call that the guest has put off until this function returns. */
static void tangled(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    assert_int_equal(halo_wait(&outer, HALO_FOREVER), HALO_EDEADLOCK);
    halo_return(call, halo_i64(4));
}

static void what_waits_for_itself_is_an_error(void **state)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    const struct halo_options options = way_options(state);
    const struct halo_value one = halo_i64(1);

    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, tangled, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(
        halo_call_start(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)), &one, 1), 0);
    assert_int_equal(
        halo_call_start(box, &outer, function("echo.i64", FN(HALO_I64, HALO_I64)), &one, 1), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_int_equal(future.result.i64, 5);
    assert_int_equal(halo_wait(&outer, HALO_FOREVER), 0);
    assert_int_equal(outer.result.i64, 1);
}

int main(int argc, char **argv)
{
    static const struct way_test with_functions[] = {
        TEST(every_type_goes_there_and_back),
        RINGS(text_and_bytes_of_every_length_arrive),
        RINGS(a_16_mib_argument_fits_a_guest_of_32),
        TEST(rpc_01_rpc_02_wrong_calls_are_refused),
        TEST(rpc_05_too_long_an_argument_is_refused),
        TEST(rpc_10_a_function_may_fail),
        TEST(a_guest_may_end_instead_of_answering),
        TEST(rpc_10_a_crash_ends_the_call),
        RINGS(rpc_10_a_crash_ends_every_call),
        STACKS(each_call_takes_one_exit),
        STACKS(what_stacks_cannot_do_is_an_error),
        RINGS(a_batch_takes_one_exit),
        RINGS(answers_can_be_polled_for),
        RINGS(a_poll_returns_what_another_wait_took_in),
        TEST(host_02_a_blocked_signal_does_not_hold_up_a_later_run),
        TEST(a_wait_has_a_deadline),
        RINGS(rpc_06_a_call_that_was_given_up_disturbs_nobody),
        RINGS(calls_of_a_batch_call_back),
        TEST(a_guest_calls_back),
        TEST(rpc_07_calls_nest_to_a_fixed_depth),
        TEST(calls_that_nobody_waits_for_are_made),
        RINGS(long_answers_are_fetched_once_and_then_have_room),
        RINGS(many_long_answers_come_at_once),
        RINGS(room_that_is_not_needed_is_given_up),
        RINGS(streams_and_functions_go_together),
    };
    static const struct way_test alone[] = {
        TEST(calls_need_a_guest_that_serves),
        TEST(a_main_program_is_called_while_it_waits),
        RINGS(what_waits_for_itself_is_an_error),
        TEST(a_wait_inside_a_function_has_its_own_deadline),
        TEST(a_guest_stands_still_between_waits),
        RINGS(a_guest_that_waits_for_nothing_does_not_begin),
    };
    int failed;

    if (argc > 3) {
        functions = argv[1];
        both = argv[2];
        trouble = argv[3];
    }
    failed = run_every_way("functions", with_functions,
                           sizeof(with_functions) / sizeof(with_functions[0]), open_functions,
                           close_box);
    return failed +
           run_every_way("alone", alone, sizeof(alone) / sizeof(alone[0]), NULL, close_box);
}
