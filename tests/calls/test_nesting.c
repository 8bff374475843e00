/* Calls inside of calls: the guest calls back, and a main program is called while it waits. */
#include "functions.h"
#include "../host/guest_process.h"

#include <signal.h>
#include <time.h>

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

static void a_guest_stands_still_between_waits(void **state)
{
    const struct halo_value forever = {.type = HALO_U64, .u64 = UINT64_MAX};
    const struct halo_options options = way_options(state);

    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(
        halo_call_start(box, &future, function("spin", FN(HALO_I32, HALO_U64)), &forever, 1), 0);
    assert_int_equal(halo_wait(&future, SECONDS / 100), HALO_ETIMEDOUT);
    /* In a VM nobody runs it; a process has to go to sleep, which takes the kernel a moment. */
    for (int i = 0; options.backend == HALO_BACKEND_PROCESS &&
                    process_state(process_guest_of(getpid())) != 'S';
         i++) {
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
        RINGS(calls_of_a_batch_call_back),
        TEST(a_guest_calls_back),
        TEST(rpc_07_calls_nest_to_a_fixed_depth),
        TEST(calls_that_nobody_waits_for_are_made),
        RINGS(long_answers_are_fetched_once_and_then_have_room),
        RINGS(many_long_answers_come_at_once),
        RINGS(room_that_is_not_needed_is_given_up),
        IN_TURNS(streams_and_functions_go_together),
    };
    static const struct way_test alone[] = {
        TEST(a_main_program_is_called_while_it_waits),
        RINGS(what_waits_for_itself_is_an_error),
        TEST(a_wait_inside_a_function_has_its_own_deadline),
        TEST(a_guest_stands_still_between_waits),
        RINGS(a_guest_that_waits_for_nothing_does_not_begin),
    };
    int failed;

    take_files(argc, argv);
    failed =
        run_every_way("nesting", with_functions, sizeof(with_functions) / sizeof(with_functions[0]),
                      open_functions, close_box);
    return failed +
           run_every_way("alone", alone, sizeof(alone) / sizeof(alone[0]), NULL, close_box);
}
