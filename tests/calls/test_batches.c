/* Calls of a guest's functions by its host that wait together, for each other, or in vain. */
#include "functions.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

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

int main(int argc, char **argv)
{
    static const struct way_test with_functions[] = {
        STACKS(each_call_takes_one_exit),
        STACKS(what_stacks_cannot_do_is_an_error),
        IN_TURNS(a_batch_takes_one_exit),
        RINGS(answers_can_be_polled_for),
        RINGS(a_poll_returns_what_another_wait_took_in),
        TEST(host_02_a_blocked_signal_does_not_hold_up_a_later_run),
        TEST(a_wait_has_a_deadline),
        RINGS(rpc_06_a_call_that_was_given_up_disturbs_nobody),
    };

    take_files(argc, argv);
    return run_every_way("batches", with_functions,
                         sizeof(with_functions) / sizeof(with_functions[0]), open_functions,
                         close_box);
}
