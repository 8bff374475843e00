/*
 * A trace has what host and guest did, in order, on every backend; what a guest makes up is judged.
 * What the file is for others is looked at by tests/e2e and tests/examples.
 */
#include "functions.h"
#include <fcntl.h>
#include <halo/inside.h>
#include <halo/trace.h>
#include <unistd.h>

#define EVENTS_MAX 20000

static struct halo_event_seen events[EVENTS_MAX];
static int64_t count;

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    return 0;
}

static void take(void)
{
    count = halo_trace_read(box, events, EVENTS_MAX);
    if (count < 0)
        fail_msg("%s", halo_errmsg(box));
    for (int64_t i = 0; i < count; i++) {
        assert_true(events[i].ns >= (i > 0 ? events[i - 1].ns : 0));
        assert_true((events[i].kind > 0 && events[i].kind < HALO_EVENT_HOST_COUNT) ||
                    (events[i].kind >= HALO_EVENT_SUBMIT && events[i].kind < HALO_EVENT_GUEST_END));
    }
}

static unsigned many(uint32_t kind)
{
    unsigned n = 0;

    for (int64_t i = 0; i < count; i++)
        n += events[i].kind == kind;
    return n;
}

/* The place of an event, behind another one. */
static int64_t behind(int64_t from, uint32_t kind)
{
    for (int64_t i = from; i < count; i++) {
        if (events[i].kind == kind)
            return i;
    }
    fail_msg("no event of kind %u", kind);
    return -1;
}

static void call_twice_plus(int64_t value)
{
    const int number = function("twice_plus", FN(HALO_I64, HALO_I64));

    assert_int_equal(halo_call(box, &future, number, 30 * SECONDS, halo_i64(value)), 0);
    assert_int_equal(future.result.i64, 2 * value + 1);
    halo_future_free(&future);
}

static void both_sides_record_a_call_in_order(void **state)
{
    const bool is_stacks = way_is_stacks(state);
    int64_t out, serve, submit, call, answered, served;
    int number;

    open_functions(state);
    number = function("twice_plus", FN(HALO_I64, HALO_I64));
    call_twice_plus(1); /* not recorded */
    assert_int_equal(halo_trace_begin(box, 0), 0);
    call_twice_plus(2);
    take();
    assert_int_equal(many(HALO_EVENT_CALL_OUT), 1);
    assert_int_equal(many(HALO_EVENT_RETURN_OUT), 1);
    assert_int_equal(many(HALO_EVENT_CALL), 1);
    assert_int_equal(many(HALO_EVENT_RETURN), 1);
    assert_int_equal(many(HALO_EVENT_SERVE), 1);
    assert_int_equal(many(HALO_EVENT_SERVED), 1);
    out = behind(0, HALO_EVENT_CALL_OUT);
    serve = behind(out, HALO_EVENT_SERVE);
    submit = is_stacks ? serve : behind(serve, HALO_EVENT_SUBMIT);
    call = behind(submit, HALO_EVENT_CALL);
    answered = is_stacks ? call : behind(call, HALO_EVENT_ANSWERED);
    served = behind(answered, HALO_EVENT_SERVED);
    assert_true(behind(served, HALO_EVENT_RETURN_OUT) > served);
    assert_int_equal(events[out].a, number);
    assert_int_equal(events[serve].a, number);
    assert_int_equal(events[serve].b, events[out].b);
    assert_int_equal(events[call].a, 1); /* host.twice was provided first */
    if (!is_stacks)
        assert_int_equal(events[call].b & 0xffff, events[submit].a & 0xffff);
    assert_int_equal(halo_trace_end(box), 0);
    assert_int_equal(halo_trace_read(box, events, EVENTS_MAX), HALO_ESTATE);
    call_twice_plus(3);
    assert_int_equal(halo_trace_begin(box, 0), 0); /* anew, on both sides */
    take();
    assert_int_equal(many(HALO_EVENT_SERVE), 0);
    call_twice_plus(4);
    take();
    assert_int_equal(many(HALO_EVENT_SERVE), 1);
}

static void the_newest_events_stay(void **state)
{
    open_functions(state);
    assert_int_equal(halo_trace_begin(box, 100), 0); /* 128 */
    for (int i = 0; i < 500; i++)
        call_twice_plus(i);
    take();
    assert_true(count <= 128 + HALO_RECORDS);
    assert_true(count > 128 + HALO_RECORDS / 2);
    /* Each side's last call is the last one. */
    assert_true(behind(count - 8 > 0 ? count - 8 : 0, HALO_EVENT_RETURN_OUT) > 0);
    assert_true(behind(count - 16, HALO_EVENT_SERVED) > 0);
    assert_int_equal(halo_trace_read(box, events, 10), 10);
    assert_int_equal(halo_trace_begin(box, HALO_TRACE_MAX + 1), HALO_EINVAL);
}

static void an_end_is_recorded(void **state)
{
    static const char *const args[] = {"trouble", "null"};
    struct halo_options options = way_options(state);
    int64_t leave;

    options.args = args;
    options.arg_count = 2;
    assert_int_equal(halo_open(&box, trouble, &options), 0);
    assert_int_equal(halo_trace_begin(box, 0), 0); /* before it runs */
    assert_int_equal(halo_run(box, 30 * SECONDS, NULL), HALO_EFAULT);
    take();
    leave = behind(0, HALO_EVENT_LEAVE);
    while (events[leave].a != HALO_LEAVE_FAULT)
        leave = behind(leave + 1, HALO_EVENT_LEAVE);
    assert_int_equal((int32_t)events[behind(leave, HALO_EVENT_END)].a, HALO_EFAULT);
}

/* What a guest says, which ends with this exit code. */
static void run_trouble(void **state, const char *mode)
{
    const char *const args[] = {"trouble", mode};
    struct halo_options options = way_options(state);
    int code = 0;

    options.args = args;
    options.arg_count = 2;
    assert_int_equal(halo_open(&box, trouble, &options), 0);
    assert_int_equal(halo_trace_begin(box, 0), 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 20);
    take();
    assert_true(many(HALO_EVENT_ENTER) > 0);
    assert_int_equal(many(HALO_EVENT_END), 1);
}

static unsigned guests(void)
{
    unsigned n = 0;

    for (int64_t i = 0; i < count; i++)
        n += events[i].kind >= HALO_EVENT_SUBMIT;
    return n;
}

static void trc_01_records_are_only_looked_for_where_the_guest_may_lend(void **state)
{
    static const char *const modes[] = {"trace-at-0",
                                        "trace-at-1",
                                        "trace-at-ffffffffffffffff",
                                        "trace-at-ffffffffffff8001",
                                        "trace-at-1fffff",
                                        "trace-at-11fffe0", /* too near to the end of 16 MiB */
                                        "trace-at-1200000"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        run_trouble(state, modes[i]);
        assert_int_equal(guests(), 0);
        halo_close(box);
        box = NULL;
    }
}

static void trc_02_what_a_guest_records_is_judged(void **state)
{
    int fd = open("/dev/null", O_WRONLY);

    run_trouble(state, "trace-lies"); /* take has looked at kinds and times */
    assert_in_range(guests(), 10, HALO_RECORDS);
    assert_int_equal(halo_trace_write(box, fd), 0);
    close(fd);
}

/* --- Samples ---------------------------------------------------------------------------------- */

static struct {
    unsigned all, running, with_frames;
} samples;

static void sample(struct halo_sandbox *of, bool runs, void *context)
{
    struct halo_frame frames[8];

    assert_ptr_equal(of, box);
    assert_ptr_equal(context, &samples);
    samples.all++;
    samples.running += runs;
    samples.with_frames += halo_backtrace(of, frames, 8) > 0;
}

/* However slow the machine is: it computes until there are some. */
static void samples_tell_where_a_guest_computes(void **state)
{
    const struct halo_value rounds = halo_u64(UINT64_MAX);
    unsigned before;

    open_functions(state);
    memset(&samples, 0, sizeof(samples));
    assert_int_equal(halo_sample(box, HALO_SAMPLE_NS_MIN - 1, sample, &samples), HALO_EINVAL);
    assert_int_equal(halo_sample(box, 1000000, sample, &samples), 0);
    assert_int_equal(
        halo_call_start(box, &future, function("spin", FN(HALO_I32, HALO_U64)), &rounds, 1), 0);
    while (samples.running < 5)
        assert_int_equal(halo_wait(&future, SECONDS / 20), HALO_ETIMEDOUT);
    assert_true(samples.with_frames > 0);
    assert_int_equal(halo_sample(box, 0, NULL, NULL), 0);
    before = samples.all;
    assert_int_equal(halo_wait(&future, SECONDS / 20), HALO_ETIMEDOUT);
    assert_int_equal(samples.all, before);
    halo_future_free(&future);
}

/* Nothing that a guest computes is another because it was stopped on the way. */
static void a_guest_that_is_sampled_goes_on_where_it_was(void **state)
{
    open_functions(state);
    memset(&samples, 0, sizeof(samples));
    assert_int_equal(halo_sample(box, HALO_SAMPLE_NS_MIN, sample, &samples), 0);
    for (int i = 0; i < 500 || samples.all < 5; i++)
        call_twice_plus(i);
    assert_int_equal(halo_sample(box, 0, NULL, NULL), 0);
}

/* From where the descriptor is: a file that begins and ends as JSON does. */
static void a_file_is_written(void **state)
{
    char path[] = "/tmp/halo-trace-XXXXXX", bytes[64];
    const int fd = mkstemp(path), full = open("/dev/full", O_WRONLY);
    off_t len;

    assert_true(fd >= 0 && full >= 0);
    unlink(path);
    open_functions(state);
    assert_int_equal(halo_trace_write(box, fd), HALO_ESTATE);
    assert_int_equal(halo_trace_begin(box, 0), 0);
    call_twice_plus(2);
    assert_int_equal(halo_trace_write(box, fd), 0);
    len = lseek(fd, 0, SEEK_END);
    assert_true(len > 1000);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_memory_equal(bytes, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{", 41);
    assert_int_equal(pread(fd, bytes, 5, len - 5), 5);
    assert_memory_equal(bytes, "}\n]}\n", 5);
    assert_int_equal(halo_trace_write(box, full), HALO_EIO);
    close(fd);
    close(full);
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(both_sides_record_a_call_in_order),
        TEST(the_newest_events_stay),
        TEST(an_end_is_recorded),
        TEST(trc_01_records_are_only_looked_for_where_the_guest_may_lend),
        TEST(trc_02_what_a_guest_records_is_judged),
        TEST(a_file_is_written),
        TEST(samples_tell_where_a_guest_computes),
        TEST(a_guest_that_is_sampled_goes_on_where_it_was),
    };

    take_files(argc, argv);
    return run_every_way("trace", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
