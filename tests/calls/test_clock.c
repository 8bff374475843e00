/*
 * The clock of a guest with a C library, whose host stops it at time limits and lets it go on: it
 * runs from status line to status line (docs/protocol.md), and never back. On every backend.
 */
#include "ways.h"

#include <time.h>

static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
static struct halo_sandbox *box;

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int open_guest(void **state)
{
    return open_to_serve(&box, state, SPAN, 0);
}

static int close_guest(void **state)
{
    (void)state;
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

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_clock_goes_on_over_time_limits),
        RINGS(a_clock_goes_on_over_short_time_limits),
    };

    return run_every_way("clock", tests, sizeof(tests) / sizeof(tests[0]), open_guest, close_guest);
}
