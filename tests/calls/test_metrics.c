/*
 * The numbers of a sandbox, as a structure of any version and as text, on any thread. On every
 * backend. What the text is for others is looked at by tests/examples.
 */
#include "functions.h"
#include <halo/metrics.h>
#include <pthread.h>

static struct halo_metrics metrics;

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    return 0;
}

static void take(void)
{
    assert_int_equal(halo_metrics(box, &metrics, sizeof(metrics)), sizeof(metrics));
    assert_int_equal(metrics.size, sizeof(metrics));
}

static uint64_t all_of(const struct halo_histogram *histogram)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < HALO_BUCKETS; i++)
        all += histogram->buckets[i];
    return all;
}

static void call_twice_plus(int64_t value)
{
    const int number = function("twice_plus", FN(HALO_I64, HALO_I64));

    assert_int_equal(halo_call(box, &future, number, 30 * SECONDS, halo_i64(value)), 0);
    assert_int_equal(future.result.i64, 2 * value + 1);
    halo_future_free(&future);
}

static void counters_are_those_of_halo_stats(void **state)
{
    struct halo_stats now;

    open_functions(state);
    for (int i = 0; i < 5; i++)
        call_twice_plus(i);
    echo("echo.str", halo_str("what is longer than a number"));
    (void)halo_run(box, 30 * SECONDS, NULL);
    take();
    now = stats();
    assert_int_equal(metrics.sandboxes, 1);
    assert_int_equal(metrics.requests, now.requests);
    assert_int_equal(metrics.exits, now.exits);
    assert_int_equal(metrics.kicks, now.kicks);
    assert_int_equal(metrics.waits, now.waits);
    assert_int_equal(metrics.calls, 5);
    assert_int_equal(metrics.calls_out, 6);
    assert_int_equal(metrics.calls_out_answered, 6);
    assert_int_equal(metrics.spare_out, now.spare_out);
    assert_true(metrics.elapsed_ns > 0); /* as measured anew each time */
    assert_int_equal(metrics.ends, 1);
    assert_int_equal(metrics.failures, 0);
}

static void a_guest_that_failed_is_counted(void **state)
{
    static const char *const args[] = {"trouble", "null"};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = 2;
    assert_int_equal(halo_open(&box, trouble, &options), 0);
    take();
    assert_int_equal(metrics.ends, 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, NULL), HALO_EFAULT);
    take();
    assert_int_equal(metrics.ends, 1);
    assert_int_equal(metrics.failures, 1);
    assert_true(metrics.exits > 0);
}

static void histograms_have_what_was_called(void **state)
{
    const bool is_stacks = way_is_stacks(state);

    open_functions(state);
    for (int i = 0; i < 8; i++)
        call_twice_plus(i);
    take();
    assert_int_equal(all_of(&metrics.exits_out), 8);
    assert_int_equal(all_of(&metrics.room_out), 8);
    assert_true(all_of(&metrics.batch) > 0);
    assert_true(is_stacks || metrics.batch.sum >= metrics.requests);
    assert_int_equal(all_of(&metrics.call_ns), 0); /* nobody has asked for them */
    assert_int_equal(all_of(&metrics.call_out_ns), 0);
    assert_int_equal(halo_measure(box, true), 0);
    for (int i = 0; i < 3; i++)
        call_twice_plus(i);
    assert_int_equal(halo_measure(box, false), 0);
    call_twice_plus(7);
    take();
    assert_int_equal(all_of(&metrics.call_ns), 3);
    assert_int_equal(all_of(&metrics.call_out_ns), 3);
    /* A call takes longer than the function that it calls meanwhile. */
    assert_true(metrics.call_out_ns.sum > metrics.call_ns.sum);
    assert_true(metrics.call_ns.sum > 0);
}

/* 64 calls in one exit, and each by itself. */
static void batches_are_told_from_single_calls(void **state)
{
    static struct halo_future many[64];
    const struct halo_value value = halo_i64(1);
    struct halo_histogram before;
    int number;

    open_functions(state);
    number = function("echo.i64", FN(HALO_I64, HALO_I64));
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(halo_call_start(box, &many[i], number, &value, 1), 0);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(halo_wait(&many[i], 30 * SECONDS), 0);
    take();
    assert_int_equal(metrics.batch.buckets[6], 1); /* all of them came back together */
    before = metrics.batch;
    for (unsigned i = 0; i < 10; i++)
        echo("echo.i64", halo_i64(3));
    take();
    assert_int_equal(metrics.batch.buckets[6], before.buckets[6]);
    assert_int_equal(metrics.batch.buckets[0], before.buckets[0] + 10);
    assert_int_equal(metrics.exits_out.buckets[0], 64 + 10); /* one exit each */
}

static void earlier_and_later_callers_have_their_own_size(void **state)
{
    struct {
        struct halo_metrics metrics;
        uint64_t later[4];
    } large;
    struct halo_metrics small;
    const size_t len = offsetof(struct halo_metrics, exits);

    open_functions(state);
    call_twice_plus(1);
    memset(&small, 0x5a, sizeof(small));
    assert_int_equal(halo_metrics(box, &small, len), len);
    assert_int_equal(small.size, len);
    assert_int_equal(small.sandboxes, 1);
    assert_true(small.requests > 0);
    assert_int_equal(small.exits, 0x5a5a5a5a5a5a5a5a); /* not the caller's to lose */
    memset(&large, 0x5a, sizeof(large));
    assert_int_equal(halo_metrics(box, &large.metrics, sizeof(large)), sizeof(large.metrics));
    assert_int_equal(large.metrics.size, sizeof(large.metrics));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(large.later[i], 0);
}

static void sums_are_of_all(void **state)
{
    struct halo_metrics sum = {0};

    open_functions(state);
    call_twice_plus(1);
    take();
    halo_metrics_add(&sum, &metrics, sizeof(sum));
    halo_metrics_add(&sum, &metrics, sizeof(sum));
    assert_int_equal(sum.size, sizeof(sum));
    assert_int_equal(sum.sandboxes, 2);
    assert_int_equal(sum.calls, 2);
    assert_int_equal(sum.exits, 2 * metrics.exits);
    assert_int_equal(all_of(&sum.exits_out), 2);
    assert_int_equal(sum.exits_out.sum, 2 * metrics.exits_out.sum);
}

static void text_is_cut_where_its_room_ends(void **state)
{
    static char whole[HALO_METRICS_LEN(2)], part[1000];
    struct halo_named_metrics named[] = {{"a\"b\\c\nd", &metrics}, {NULL, &metrics}};
    size_t len;

    open_functions(state);
    call_twice_plus(1);
    take();
    len = halo_metrics_text(whole, sizeof(whole), named, 2);
    assert_true(len < sizeof(whole));
    assert_int_equal(strlen(whole), len);
    assert_string_equal(whole + len - 6, "# EOF\n");
    assert_non_null(strstr(whole, "halo_calls_total{sandbox=\"a\\\"b\\\\c\\nd\"} 1\n"));
    assert_non_null(strstr(whole, "\nhalo_calls_total 1\n"));
    assert_int_equal(halo_metrics_text(part, sizeof(part), named, 2), len);
    assert_int_equal(strlen(part), sizeof(part) - 1);
    assert_memory_equal(part, whole, sizeof(part) - 1);
    assert_int_equal(halo_metrics_text(NULL, 0, named, 2), len);
}

static void expect_label(const char *name, const char *label)
{
    const struct halo_named_metrics named = {name, &metrics};
    static char whole[HALO_METRICS_LEN(1)];
    char line[2 * HALO_METRICS_NAME_MAX];

    assert_true(halo_metrics_text(whole, sizeof(whole), &named, 1) < sizeof(whole));
    (void)snprintf(line, sizeof(line), "\nhalo_calls_total{sandbox=\"%s\"} ", label);
    assert_non_null(strstr(whole, line));
}

/* One that is not would cost its reader the numbers of all others. */
static void a_label_is_utf8_whatever_the_name_is(void **state)
{
    char name[HALO_METRICS_NAME_MAX + 8], label[HALO_METRICS_NAME_MAX + 1];

    (void)state;
    memset(&metrics, 0, sizeof(metrics));
    expect_label("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
                 "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
    expect_label("a\xff"
                 "b\x80\xc3",
                 "a?b??");
    expect_label("\xc0\xaf|\xe0\x80\xaf|\xf0\x80\x80\xaf", "??|???|????"); /* too long */
    expect_label("\xed\xa0\x80|\xf4\x90\x80\x80|\xf5", "???|????|?");
    expect_label("\xe2\x82\"\xe2\n", "??\\\"?\\n");
    for (size_t len = HALO_METRICS_NAME_MAX - 4; len <= HALO_METRICS_NAME_MAX; len++) {
        memset(name, 'a', len);
        strcpy(name + len, "\xf0\x9f\x98\x80");
        memcpy(label, name, HALO_METRICS_NAME_MAX);
        label[len + 4 <= HALO_METRICS_NAME_MAX ? HALO_METRICS_NAME_MAX : len] = '\0';
        expect_label(name, label);
    }
}

/* The longest of everything still has room. */
static void the_room_for_text_is_always_enough(void **state)
{
    static char whole[HALO_METRICS_LEN(3)];
    struct halo_named_metrics named[3];
    char name[2 * HALO_METRICS_NAME_MAX];

    (void)state;
    memset(name, '"', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(&metrics, 0xff, sizeof(metrics));
    for (unsigned i = 0; i < 3; i++)
        named[i] = (struct halo_named_metrics){name, &metrics};
    assert_true(halo_metrics_text(whole, sizeof(whole), named, 3) < sizeof(whole));
}

static bool is_over; /* of the reader; by atomic functions */

/* Numbers only grow, on whatever thread. */
static void *read_on(void *unused)
{
    struct halo_metrics before = {0}, now;

    (void)unused;
    while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
        (void)halo_metrics(box, &now, sizeof(now));
        if (now.exits < before.exits || now.calls < before.calls ||
            now.calls_out_answered < before.calls_out_answered ||
            all_of(&now.batch) < all_of(&before.batch))
            return &is_over;
        before = now;
    }
    return NULL;
}

static void another_thread_may_read_them(void **state)
{
    pthread_t thread;
    void *result;

    open_functions(state);
    is_over = false;
    assert_int_equal(halo_measure(box, true), 0);
    assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
    for (int i = 0; i < 300; i++)
        call_twice_plus(i);
    __atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    take();
    assert_int_equal(metrics.calls, 300);
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(counters_are_those_of_halo_stats),
        TEST(a_guest_that_failed_is_counted),
        TEST(histograms_have_what_was_called),
        IN_TURNS(batches_are_told_from_single_calls),
        TEST(earlier_and_later_callers_have_their_own_size),
        TEST(sums_are_of_all),
        TEST(text_is_cut_where_its_room_ends),
        TEST(a_label_is_utf8_whatever_the_name_is),
        TEST(the_room_for_text_is_always_enough),
        TEST(another_thread_may_read_them),
    };

    take_files(argc, argv);
    return run_every_way("metrics", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
