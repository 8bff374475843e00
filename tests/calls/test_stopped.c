/*
 * A guest's process that others stop and continue, as a suspended machine, a frozen container or
 * a debugger's attach does: the call that it waits in ends for that, and is made again. Group HOST.
 */
#define _GNU_SOURCE
#include "../host/guest_process.h"
#include "functions.h"
#include <pthread.h>
#include <signal.h>

#define ROUNDS 20
#define CALLS 300

static pid_t guest; /* 0: it is on KVM, and no process */

static void stop_and_continue(void)
{
    if (guest <= 0)
        return;
    assert_int_equal(kill(guest, SIGSTOP), 0);
    while (process_state(guest) != 'T')
        usleep(100);
    assert_int_equal(kill(guest, SIGCONT), 0);
    while (process_state(guest) == 'T')
        usleep(100);
}

static int64_t ask(const char *name, int64_t number)
{
    if (halo_call(box, &future, function(name, FN(HALO_I64, HALO_I64)), 60 * SECONDS,
                  halo_i64(number)))
        fail_msg("%s: %s", name, halo_errmsg(box));
    return future.result.i64;
}

static void twice_of_one_that_was_stopped(struct halo_call *call, const struct halo_value *args,
                                          void *context)
{
    (void)context;
    stop_and_continue();
    halo_return(call, halo_i64(2 * args[0].i64));
}

static int open_stopped(void **state)
{
    const struct halo_options options = way_options(state);

    open_providing(functions, options, twice_of_one_that_was_stopped, down);
    if (halo_serve_begin(box, 60 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    guest = options.backend == HALO_BACKEND_PROCESS ? process_guest_of(getpid()) : 0;
    assert_true(options.backend != HALO_BACKEND_PROCESS || guest > 0);
    return 0;
}

/* HOST-22: where it waits for a call, and where it waits for an answer. */
static void one_that_was_stopped_goes_on_where_it_waits(void **state)
{
    (void)state;
    for (int64_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(ask("down", 5), 5);
        stop_and_continue();
        assert_int_equal(ask("twice_plus", i), 2 * i + 1);
    }
}

static bool is_over;

static void *disturb(void *unused)
{
    while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
        kill(guest, SIGSTOP);
        usleep(50);
        kill(guest, SIGCONT);
        usleep(300);
    }
    return unused;
}

/* And wherever it is just now. */
static void one_that_is_stopped_all_the_time_goes_on(void **state)
{
    pthread_t thread;

    (void)state;
    if (guest <= 0)
        return;
    __atomic_store_n(&is_over, false, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&thread, NULL, disturb, NULL), 0);
    for (int64_t i = 0; i < CALLS; i++)
        assert_int_equal(ask("down", i % 7), i % 7);
    __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(one_that_was_stopped_goes_on_where_it_waits),
        TEST(one_that_is_stopped_all_the_time_goes_on),
    };

    return run_every_way("stopped", tests, sizeof(tests) / sizeof(tests[0]), open_stopped,
                         close_box);
}
