/* Calls between a host and a guest, tests/guests/calls.c, on every backend that there is. */
#include "ways.h"

#include <fcntl.h>

static const char *guest; /* its file */

/* --- The host's functions --------------------------------------------------------------------- */

static void echo(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    assert_int_equal(halo_return(call, args[0]), 0);
    assert_int_equal(halo_return(call, args[0]), HALO_ESTATE);
    assert_int_equal(halo_fail(call, 1, "too late"), HALO_ESTATE);
}

static void nothing(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    assert_ptr_equal(halo_call_sandbox(call), *(struct halo_sandbox **)context);
}

static uint64_t sum_of(const struct halo_value *value)
{
    uint64_t total = 0;

    for (size_t i = 0; i < value->len; i++)
        total += ((const unsigned char *)value->bytes)[i];
    return total;
}

static void sum(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    assert_int_equal(args[1].str[args[1].len], 0);
    halo_return(call, halo_u64(sum_of(&args[0]) + sum_of(&args[1]) + sum_of(&args[2])));
}

static void many(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    assert_int_equal(args[0].i32, -1);
    assert_int_equal(args[1].u32, 2);
    assert_int_equal(args[2].i64, -3);
    assert_int_equal(args[3].u64, 4);
    assert_true(args[4].f64 == 5.5);
    assert_true(args[5].boolean);
    assert_string_equal(args[6].str, "six");
    assert_int_equal(args[7].len, 5);
    assert_memory_equal(args[7].bytes, "seven", 5);
    halo_return(call, halo_i64(42));
}

static void failing(struct halo_call *call, const struct halo_value *args, void *context)
{
    char text[500];

    (void)context;
    memset(text, 'e', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    if (args[0].i32 != INT32_MAX)
        snprintf(text, sizeof(text), "number %d", args[0].i32);
    if (halo_fail(call, args[0].i32, text))
        assert_int_equal(halo_return(call, halo_i32(1)), 0); /* 0 is no code */
}

static void mute(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
}

static void confused(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    assert_int_equal(halo_return(call, halo_str("no number")), HALO_ETYPE);
    assert_int_equal(halo_return(call, halo_i32(1)), HALO_ESTATE);
}

static void letters(struct halo_call *call, const struct halo_value *args, void *context)
{
    char text[2000] = {0};

    (void)context;
    assert_true(args[0].u32 < sizeof(text));
    memset(text, 'x', args[0].u32);
    assert_int_equal(halo_return(call, halo_str(text)), 0);
}

static const struct {
    const char *name;
    struct halo_signature signature;
    halo_function *function;
} functions[] = {
    {"echo.i32", HALO_FN(HALO_I32, HALO_I32), echo},
    {"echo.u32", HALO_FN(HALO_U32, HALO_U32), echo},
    {"echo.i64", HALO_FN(HALO_I64, HALO_I64), echo},
    {"echo.u64", HALO_FN(HALO_U64, HALO_U64), echo},
    {"echo.f32", HALO_FN(HALO_F32, HALO_F32), echo},
    {"echo.f64", HALO_FN(HALO_F64, HALO_F64), echo},
    {"echo.bool", HALO_FN(HALO_BOOL, HALO_BOOL), echo},
    {"echo.str", HALO_FN(HALO_STR, HALO_STR), echo},
    {"echo.bytes", HALO_FN(HALO_BYTES, HALO_BYTES), echo},
    {"nothing", HALO_FN(HALO_VOID), nothing},
    {"sum", HALO_FN(HALO_U64, HALO_BYTES, HALO_STR, HALO_BYTES), sum},
    {"many",
     HALO_FN(HALO_I64, HALO_I32, HALO_U32, HALO_I64, HALO_U64, HALO_F64, HALO_BOOL, HALO_STR,
             HALO_BYTES),
     many},
    {"failing", HALO_FN(HALO_I32, HALO_I32), failing},
    {"mute", HALO_FN(HALO_I32), mute},
    {"confused", HALO_FN(HALO_I32), confused},
    {"letters", HALO_FN(HALO_STR, HALO_U32), letters},
};

/* --- Runs of the guest ------------------------------------------------------------------------ */

struct run {
    struct halo_sandbox *box;
    struct halo_stats stats;
    int in, out; /* its standard streams, or -1 */
    uint64_t ram_len;
    int code; /* its exit code */
};

/* Returns what halo_run does. */
static int run_guest(struct run *run, void **state, const char *mode, const char *count)
{
    const char *const args[] = {"calls", mode, count};
    struct halo_options options = way_options(state);
    int error;

    options.ram_len = run->ram_len;
    options.args = args;
    options.arg_count = 3;
    error = halo_open(&run->box, guest, &options);
    if (error)
        fail_msg("%s", halo_errmsg(run->box));
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        assert_int_equal(halo_provide(run->box, functions[i].name, &functions[i].signature,
                                      functions[i].function, &run->box),
                         0);
    if (run->in >= 0)
        assert_int_equal(halo_attach(run->box, HALO_STDIN, halo_end_fd(run->in)), 0);
    if (run->out >= 0)
        assert_int_equal(halo_attach(run->box, HALO_STDOUT, halo_end_fd(run->out)), 0);
    error = halo_run(run->box, HALO_FOREVER, &run->code);
    halo_stats(run->box, &run->stats);
    return error;
}

static void assert_runs(struct run *run, void **state, const char *mode, const char *count)
{
    if (run_guest(run, state, mode, count))
        fail_msg("%s %s on %s: %s", mode, count, halo_backend_name(run->box),
                 halo_errmsg(run->box));
    assert_int_equal(run->code, 0);
    halo_close(run->box);
}

static const struct run plain = {.in = -1, .out = -1};

static void every_type_goes_there_and_back(void **state)
{
    struct run run = plain;

    assert_runs(&run, state, "values", "0");
    assert_int_equal(run.stats.calls, 12 * 7 + 2 * 257 + 2);
}

static void a_batch_takes_one_exit(void **state)
{
    struct run run = plain;

    assert_runs(&run, state, "batch", "1");
    assert_int_equal(run.stats.exits, 3); /* the greeting, the call, the end */
    assert_runs(&run, state, "batch", "64");
    assert_int_equal(run.stats.exits, 3);
    assert_int_equal(run.stats.calls, 64);
    assert_runs(&run, state, "batch", "128");
    assert_int_equal(run.stats.exits, 3);
}

static void more_than_the_ring_holds_take_a_few(void **state)
{
    struct run run = plain;

    assert_runs(&run, state, "batch", "1000");
    assert_int_equal(run.stats.calls, 1000);
    assert_in_range(run.stats.exits, 3,
                    way_options(state).threaded ? 1000 : 12); /* who looks in vain sleeps */
}

static void arguments_may_be_16_mib_long(void **state)
{
    struct run run = plain;

    run.ram_len = 32ull << 20;
    assert_runs(&run, state, "long", "16777210");
    assert_runs(&run, state, "long", "257");
}

static void rpc_05_longer_ones_are_refused(void **state)
{
    struct run run = plain;

    run.ram_len = 32ull << 20;
    assert_int_equal(run_guest(&run, state, "long", "16777217"), HALO_EPANIC);
    assert_non_null(strstr(halo_errmsg(run.box), "a long argument"));
    assert_int_equal(run.stats.calls, 0);
    halo_close(run.box);
}

static void arguments_of_every_length_arrive(void **state)
{
    struct run run = plain;

    assert_runs(&run, state, "lengths", "1200");
}

static void rpc_01_rpc_02_rpc_10_errors_reach_the_caller(void **state)
{
    struct run run = plain;

    assert_runs(&run, state, "errors", "0");
}

static void calls_and_streams_share_the_ring(void **state)
{
    struct run run = plain;
    char in_name[] = "/tmp/halo-calls-in-XXXXXX", out_name[] = "/tmp/halo-calls-out-XXXXXX";
    unsigned char *bytes = malloc(3000000), *back = malloc(3000000);

    for (int i = 0; i < 3000000; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 1000);
    run.in = mkstemp(in_name);
    run.out = mkstemp(out_name);
    assert_int_equal(write(run.in, bytes, 3000000), 3000000);
    lseek(run.in, 0, SEEK_SET);
    assert_runs(&run, state, "mixed", "100");
    assert_int_equal(pread(run.out, back, 3000000, 0), 3000000);
    assert_memory_equal(bytes, back, 3000000);
    assert_int_equal(run.stats.calls, 100 * 46);
    close(run.in);
    close(run.out);
    unlink(in_name);
    unlink(out_name);
    free(bytes);
    free(back);
}

static void each_call_on_stacks_takes_one_exit(void **state)
{
    struct run run = plain;

    assert_runs(&run, state, "stacks", "50");
    assert_int_equal(run.stats.exits, 1 + 50 + 1 + 1); /* greeting, calls, text, end */
}

static void calls_that_nobody_waits_for_are_made(void **state)
{
    struct run run = plain;

    assert_int_equal(run_guest(&run, state, "forget", "50"), 0);
    assert_int_equal(run.code, 3);
    assert_int_equal(run.stats.calls, 50);
    halo_close(run.box);
}

static void bad_functions_are_refused(void **state)
{
    static const struct halo_signature good = HALO_FN(HALO_VOID);
    static const struct halo_signature bad = HALO_FN(HALO_I32, HALO_VOID);
    const struct halo_options options = way_options(state);
    char name[HALO_FUNCTION_NAME_MAX + 2];
    struct halo_sandbox *box;
    int code;

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(halo_open(&box, guest, &options), 0);
    assert_int_equal(halo_provide(box, "", &good, nothing, NULL), HALO_EINVAL);
    assert_int_equal(halo_provide(box, name, &good, nothing, NULL), HALO_EINVAL);
    assert_int_equal(halo_provide(box, name + 1, &good, nothing, NULL), 0);
    assert_int_equal(halo_provide(box, name + 1, &good, nothing, NULL), HALO_EINVAL);
    assert_int_equal(halo_provide(box, "a", &bad, nothing, NULL), HALO_EINVAL);
    assert_int_equal(halo_provide(box, "a", &good, NULL, NULL), HALO_EINVAL);
    for (uint32_t i = 1; i < HALO_FUNCTIONS_MAX; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        assert_int_equal(halo_provide(box, name, &good, nothing, NULL), 0);
    }
    assert_int_equal(halo_provide(box, "one more", &good, nothing, NULL), HALO_EFULL);
    assert_string_equal(halo_errmsg(box), "one more: there are 256 functions already");
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), HALO_EPANIC); /* "no such mode" */
    assert_int_equal(halo_provide(box, "late", &good, nothing, NULL), HALO_ESTATE);
    halo_close(box);
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(every_type_goes_there_and_back),
        IN_TURNS(a_batch_takes_one_exit),
        RINGS(more_than_the_ring_holds_take_a_few),
        RINGS(arguments_may_be_16_mib_long),
        TEST(rpc_05_longer_ones_are_refused),
        TEST(arguments_of_every_length_arrive),
        TEST(rpc_01_rpc_02_rpc_10_errors_reach_the_caller),
        RINGS(calls_and_streams_share_the_ring),
        STACKS(each_call_on_stacks_takes_one_exit),
        TEST(calls_that_nobody_waits_for_are_made),
        TEST(bad_functions_are_refused),
    };

    guest = argc > 1 ? argv[1] : GUEST;
    return run_every_way("calls", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
