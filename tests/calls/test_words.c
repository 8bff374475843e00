/*
 * The words for an error: after every function that fails they are halo_errmsg's, and name what it
 * is about. On every backend, over both transports.
 */
#include "functions.h"

static void assert_words(int got, int error, const char *words)
{
    if (got != error || strcmp(halo_errmsg(box), words) != 0)
        fail_msg("%s, '%s'; not %s, '%s'", halo_errname(got), halo_errmsg(box), halo_errname(error),
                 words);
}

static void assert_begins(int got, int error, const char *words)
{
    if (got != error || strncmp(halo_errmsg(box), words, strlen(words)) != 0)
        fail_msg("%s, '%s'; not %s, '%s…'", halo_errname(got), halo_errmsg(box),
                 halo_errname(error), words);
}

static int start(int which, const struct halo_value *args, size_t count)
{
    return halo_call_start(box, &future, which, args, count);
}

static void a_call_that_cannot_be_made_names_function_argument_and_types(void **state)
{
    const struct halo_value one = halo_i32(1), zero = {.type = HALO_STR, .len = 3, .str = "a\0b"};
    const struct halo_value long_bytes = halo_bytes("x", HALO_VALUE_MAX + 1);
    const int i64 = function("echo.i64", FN(HALO_I64, HALO_I64));
    const int str = function("echo.str", FN(HALO_STR, HALO_STR));
    const int bytes = function("echo.bytes", FN(HALO_BYTES, HALO_BYTES));

    (void)state;
    assert_words(start(1000, &one, 1), HALO_ENAME,
                 "there is no function 1000; halo_lookup returns numbers from 1 to 31");
    assert_words(start(i64, &one, 0), HALO_ECOUNT,
                 "echo.i64: it takes 1 arguments, i64(i64), and not 0");
    assert_words(start(i64, &one, 1), HALO_ETYPE,
                 "echo.i64: argument 1 is i32 and not i64: i64(i64)");
    assert_words(start(str, &zero, 1), HALO_EINVAL,
                 "echo.str: argument 1, str, is a NULL pointer, or a text with a zero byte inside");
    assert_words(start(bytes, &long_bytes, 1), HALO_ESIZE,
                 "echo.bytes: its arguments are longer than 16777216 bytes");
    assert_string_equal(future.text, halo_errmsg(box)); /* the future has them, too */
    assert_words(halo_wait(&future, HALO_FOREVER), HALO_ESIZE, future.text);
}

static void a_function_that_returns_nothing_or_something_else_is_told_so(void **state)
{
    (void)state;
    assert_int_equal(start(function("mute", FN(HALO_I32)), NULL, 0), 0);
    assert_words(halo_wait(&future, HALO_FOREVER), HALO_ETYPE,
                 "mute: it returned no result, and its signature says i32");
    assert_int_equal(start(function("confused", FN(HALO_I32)), NULL, 0), 0);
    assert_words(halo_wait(&future, HALO_FOREVER), HALO_ETYPE,
                 "confused: it returned str, and its signature says i32");
    assert_words(halo_call(box, &future, function("failing", FN(HALO_I32, HALO_I32, HALO_STR)),
                           HALO_FOREVER, halo_i32(7), halo_str("no \033[31mway")),
                 HALO_ECALL, "failing failed with code 7: no ?[31mway");
}

static void a_function_that_ends_its_guest_is_told_so(void **state)
{
    (void)state;
    assert_words(halo_call(box, &future, function("leave", FN(HALO_VOID, HALO_I32)), HALO_FOREVER,
                           halo_i32(7)),
                 HALO_ESTATE, "leave: the guest ended with exit code 7");
    assert_string_equal(future.text, "the guest ended with exit code 7");
    assert_words(start(1, NULL, 0), HALO_ESTATE, "a call: the guest has not begun, or has ended");
}

static void a_function_that_faults_names_function_and_fault(void **state)
{
    (void)state;
    assert_int_equal(start(function("crash", FN(HALO_VOID)), NULL, 0), 0);
    assert_begins(halo_wait(&future, HALO_FOREVER), HALO_EFAULT,
                  "crash: the guest faulted: invalid opcode at 0x4");
}

static void a_time_limit_names_what_has_not_come(void **state)
{
    int code;

    (void)state;
    assert_begins(halo_call(box, &future, function("spin", FN(HALO_I32, HALO_U64)), 50000000,
                            halo_u64(UINT64_MAX)),
                  HALO_ETIMEDOUT, "spin has not answered within the time limit: the guest runs");
    assert_words(halo_wait(&future, -1), HALO_EINVAL, "a timeout of -1 ns is negative");
    halo_future_free(&future);
    assert_begins(halo_run(box, 50000000, &code), HALO_ETIMEDOUT,
                  "the guest was stopped: it did not end within the time limit: the guest runs");
}

/* The last words have an address in the guest's code, whatever the backend. */
static void assert_tells_where(int got, const char *words)
{
    unsigned long at;

    assert_begins(got, HALO_ETIMEDOUT, words);
    at = strtoul(halo_errmsg(box) + strlen(words), NULL, 16);
    if (at < 0x400000 || at >= 0x500000)
        fail_msg("%s", halo_errmsg(box));
}

static void a_time_limit_tells_where_the_guest_is(void **state)
{
    const struct halo_value forever = halo_u64(UINT64_MAX);
    const char *const args[] = {"trouble", "loop"};
    struct halo_options options = way_options(state);
    int code;

    assert_int_equal(start(function("spin", FN(HALO_I32, HALO_U64)), &forever, 1), 0);
    assert_tells_where(halo_wait(&future, 20000000),
                       "spin has not answered within the time limit: the guest runs, at 0x");
    assert_tells_where(halo_poll(box, 20000000),
                       "no call was answered within the time limit: the guest runs, at 0x");
    halo_close(box);
    options.args = args;
    options.arg_count = 2;
    assert_int_equal(halo_open(&box, trouble, &options), 0);
    assert_tells_where(halo_serve_begin(box, 20000000),
                       "the guest has not come to serve calls within the time limit: the guest "
                       "runs, at 0x");
    assert_tells_where(halo_run(box, 20000000, &code),
                       "the guest was stopped: it did not end within the time limit: the guest "
                       "runs, at 0x");
}

/* --- A host's functions ----------------------------------------------------------------------- */

static int told[3];
static char words[3][200];

static void wrong(struct halo_call *call, const struct halo_value *args, void *context)
{
    const char *const *said = context;
    struct halo_sandbox *running = halo_call_sandbox(call);

    (void)args;
    told[0] = halo_fail(call, -3, "negative");
    (void)snprintf(words[0], sizeof(words[0]), "%s", halo_errmsg(running));
    told[1] = halo_return(call, halo_str(*said));
    (void)snprintf(words[1], sizeof(words[1]), "%s", halo_errmsg(running));
    told[2] = halo_return(call, halo_i64(1));
    (void)snprintf(words[2], sizeof(words[2]), "%s", halo_errmsg(running));
}

static void a_hosts_function_is_told_what_it_does_wrong(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    static const char *text_to_say = "text";
    struct halo_options options = way_options(state);

    halo_close(box);
    options.ram_len = 64ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &type, wrong, &text_to_say), 0);
    assert_words(halo_provide(box, "host.twice", &type, wrong, NULL), HALO_EINVAL,
                 "host.twice: provided already");
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_words(halo_provide(box, "host.more", &type, wrong, NULL), HALO_ESTATE,
                 "host.more: functions are provided before the guest runs");
    /* The guest fails with what its host said. */
    assert_words(halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)),
                           HALO_FOREVER, halo_i64(1)),
                 HALO_ECALL,
                 "twice_plus failed with code 19: host.twice returned str, and its signature says "
                 "i64");
    assert_int_equal(told[0], HALO_EINVAL);
    assert_string_equal(words[0], "host.twice: a function's own code is above 0, not -3");
    assert_int_equal(told[1], HALO_ETYPE);
    assert_string_equal(words[1], "host.twice returned str, and its signature says i64");
    assert_int_equal(told[2], HALO_ESTATE);
    assert_string_equal(words[2], "host.twice: the call was answered before");
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(a_call_that_cannot_be_made_names_function_argument_and_types),
        TEST(a_function_that_returns_nothing_or_something_else_is_told_so),
        TEST(a_function_that_ends_its_guest_is_told_so),
        TEST(a_function_that_faults_names_function_and_fault),
        TEST(a_time_limit_names_what_has_not_come),
        TEST(a_time_limit_tells_where_the_guest_is),
        TEST(a_hosts_function_is_told_what_it_does_wrong),
    };

    take_files(argc, argv);
    return run_every_way("words", tests, sizeof(tests) / sizeof(tests[0]), open_functions,
                         close_box);
}
