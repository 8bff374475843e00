/*
 * The clock of a guest with a C library, whose host stops it at time limits and lets it go on: it
 * runs from status line to status line (docs/protocol.md), and never back. On every backend.
 */
#include "ways.h"

#include <sys/syscall.h>
#include <time.h>

#define SECOND 1000000000

static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64), nothing = HALO_FN(HALO_VOID);
static struct halo_sandbox *box;

/* The host's monotonic clock, which is this program's: so many times as fast since then. */
static int64_t scale = 1, since, since_kernel;

static int64_t kernel_now(clockid_t clock)
{
    struct timespec time;

    (void)syscall(SYS_clock_gettime, clock, &time);
    return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static int64_t now(void)
{
    return since + (kernel_now(CLOCK_MONOTONIC) - since_kernel) * scale;
}

static void run_at(int64_t new_scale)
{
    const int64_t at = kernel_now(CLOCK_MONOTONIC);

    since += (at - since_kernel) * scale;
    since_kernel = at;
    scale = new_scale;
}

/* In place of libc's, for libhalo too. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    const int64_t at = clock == CLOCK_MONOTONIC ? now() : kernel_now(clock);

    *time = (struct timespec){at / SECOND, at % SECOND};
    return 0;
}

/* So long by the kernel's clock, in ns; the guest is away for that. */
static int64_t nap;

static void away(struct halo_call *call, const struct halo_value *args, void *context)
{
    const struct timespec time = {0, nap};

    (void)args;
    (void)context;
    if (nap)
        nanosleep(&time, NULL);
    (void)halo_return(call, halo_void());
}

static int open_guest(void **state)
{
    const struct halo_options options = way_options(state);

    if (halo_open(&box, SPAN, &options) || halo_provide(box, "away", &nothing, away, NULL) ||
        halo_serve_begin(box, HALO_FOREVER))
        fail_msg("%s", halo_errmsg(box));
    return 0;
}

static int close_guest(void **state)
{
    (void)state;
    run_at(1);
    halo_close(box);
    return 0;
}

/* It works that long by its own clock, stopped at every limit; these grow by 10 ns, so that all get
 * on. */
static void work(int64_t span, int64_t limit)
{
    const int64_t start = now();
    struct halo_future future;
    int stops = 0, error;

    halo_call_start(box, &future, halo_lookup(box, "span", &type),
                    (struct halo_value[]){halo_i64(span)}, 1);
    while ((error = halo_wait(&future, limit + 10 * stops)) == HALO_ETIMEDOUT)
        stops++;
    assert_int_equal(error, 0);
    assert_int_equal(future.result.i64, 0);
    assert_true(stops > 0);
    assert_true(now() - start >= span); /* its clock was not before ours */
}

static void a_clock_goes_on_over_time_limits(void **state)
{
    (void)state;
    work(100000000, 3000000);
}

/* Short ones find it on the ways into its system calls and back. */
static void a_clock_goes_on_over_short_time_limits(void **state)
{
    (void)state;
    work(50000000, 30000);
}

/* What the guest's function of that name returns: how often its clock went back. */
static int64_t backs(const char *name, int64_t argument)
{
    struct halo_future future;

    if (halo_call(box, &future, halo_lookup(box, name, &type), HALO_FOREVER, halo_i64(argument)))
        fail_msg("%s", halo_errmsg(box));
    return future.result.i64;
}

/* Its host has told it a few times of the time, seconds apart: it knows the rate by now. */
static void settle(void)
{
    nap = 70000000;
    assert_int_equal(backs("around", 4), 0);
    nap = 0;
}

/*
 * The host's clock is slowed while the guest is alone, as it is a little where it is set by
 * others'. The guest is ahead when it next leaves. Its clock stands still then, and follows.
 */
static void a_clock_that_is_ahead_waits_for_its_hosts(void **state)
{
    int64_t start;

    (void)state;
    run_at(128);
    settle();
    run_at(64);
    assert_int_equal(backs("span", 2ll * SECOND), 0);
    assert_int_equal(backs("around", 200), 0);
    settle();
    start = now();
    assert_int_equal(backs("span", 4ll * SECOND), 0);
    assert_true(now() - start >= 4ll * SECOND);
}

/* Nor is it much behind: of many short spans one is as short for its host, who is held up at times.
 */
static void a_clock_keeps_up_with_its_hosts(void **state)
{
    const int64_t span = SECOND / 16;
    int64_t start, took;
    int tries = 0;

    (void)state;
    run_at(64);
    settle();
    do {
        start = now();
        assert_int_equal(backs("span", span), 0);
        took = now() - start;
        assert_true(took >= span);
    } while (took > 2 * span && ++tries < 100);
    assert_in_range(tries, 0, 99);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_clock_goes_on_over_time_limits),
        RINGS(a_clock_goes_on_over_short_time_limits),
        RINGS(a_clock_that_is_ahead_waits_for_its_hosts),
        RINGS(a_clock_keeps_up_with_its_hosts),
    };

    return run_every_way("clock", tests, sizeof(tests) / sizeof(tests[0]), open_guest, close_guest);
}
