/*
 * What a guest may use up: processor time, and exits in a second. Beyond it is ended, in words, and
 * never for what others did meanwhile. On every backend, over both transports.
 */
#include "functions.h"
#include <time.h>

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    return 0;
}

static void open_trouble(void **state, const char *mode, uint64_t cpu_ms, uint32_t exits)
{
    const char *const args[] = {"trouble", mode};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = 2;
    options.cpu_ms = cpu_ms;
    options.exits_per_second = exits;
    if (halo_open(&box, trouble, &options))
        fail_msg("%s", halo_errmsg(box));
}

static void assert_ends(int error, const char *words)
{
    int code = -1;

    assert_int_equal(halo_run(box, 60 * SECONDS, &code), error);
    if (!strstr(halo_errmsg(box), words))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_run(box, 60 * SECONDS, &code), HALO_ESTATE);
    assert_null(halo_poison(box));
}

static void res_12_a_loop_ends_with_its_cpu_time(void **state)
{
    open_trouble(state, "loop", 100, 0);
    assert_ends(HALO_ELIMIT, "it has used its 100 ms of CPU time");
}

static void res_12_kicks_without_end_are_no_way_around_it(void **state)
{
    open_trouble(state, "kick-storm", 100, 0);
    assert_ends(HALO_ELIMIT, "it has used its 100 ms of CPU time");
}

static void the_time_limit_is_kept_all_the_same(void **state)
{
    open_trouble(state, "loop", 1000000, 1000);
    assert_int_equal(halo_run(box, SECONDS / 5, NULL), HALO_ETIMEDOUT);
}

static void res_12_exits_beyond_a_second_s_end_it(void **state)
{
    struct halo_stats stats;

    open_trouble(state, "kick-storm", 0, 100);
    assert_ends(HALO_ELIMIT, "more than 100 times a second");
    halo_stats(box, &stats);
    assert_true(stats.exits >= 100);
}

static void a_guest_that_keeps_to_its_limits_sees_none(void **state)
{
    int code = -1;

    open_trouble(state, "exit-7", 10000, 1000);
    assert_int_equal(halo_run(box, 60 * SECONDS, &code), 0);
    assert_int_equal(code, 7);
}

/* Each of them alone is far below it. */
static void res_12_the_time_of_all_runs_counts(void **state)
{
    struct halo_options options = way_options(state);
    int spin, error = 0;

    options.cpu_ms = 300;
    open_file(functions, options);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    spin = function("spin", FN(HALO_I32, HALO_U64));
    for (int i = 0; i < 1000000 && !error; i++) {
        error = halo_call(box, &future, spin, 60 * SECONDS, halo_u64(100000));
        assert_true(error || future.result.i32 == 7);
        halo_future_free(&future);
    }
    assert_int_equal(error, HALO_ELIMIT);
    assert_int_equal(halo_run(box, 60 * SECONDS, NULL), HALO_ESTATE);
}

static int64_t thread_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A function of the host's that computes for longer than the guest may. */
static void burn(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int64_t until = thread_ns() + SECONDS / 5;

    (void)context;
    while (thread_ns() < until)
        continue;
    halo_return(call, halo_i64(2 * args[0].i64));
}

static void what_the_host_computes_is_no_part_of_it(void **state)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    struct halo_options options = way_options(state);

    options.cpu_ms = 150;
    options.ram_len = 64ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, burn, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    for (int i = 0; i < 2; i++) {
        if (halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)), 60 * SECONDS,
                      halo_i64(20)))
            fail_msg("%s", halo_errmsg(box));
        assert_int_equal(future.result.i64, 41);
    }
}

static void limits_that_cannot_be_are_refused(void **state)
{
    struct halo_options options = way_options(state);

    options.cpu_ms = HALO_CPU_MS_MAX + 1;
    assert_int_equal(halo_open(&box, functions, &options), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(box), "CPU time"));
    halo_close(box);
    options = way_options(state);
    options.exits_per_second = HALO_EXITS_MAX + 1;
    assert_int_equal(halo_open(&box, functions, &options), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(box), "exits per second"));
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(res_12_a_loop_ends_with_its_cpu_time),
        TEST(res_12_kicks_without_end_are_no_way_around_it),
        TEST(the_time_limit_is_kept_all_the_same),
        TEST(res_12_exits_beyond_a_second_s_end_it),
        TEST(a_guest_that_keeps_to_its_limits_sees_none),
        TEST(res_12_the_time_of_all_runs_counts),
        TEST(what_the_host_computes_is_no_part_of_it),
        TEST(limits_that_cannot_be_are_refused),
    };

    take_files(argc, argv);
    return run_every_way("spending", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
