/* Calls of a guest's functions that it keeps, and answers after they have returned. */
#include "ways.h"

#define SECONDS (1000000000ll)
#define PATIENCE (60 * SECONDS)
#define COUNT 40

static struct halo_sandbox *box;
static struct halo_future futures[COUNT];
static int twice, answer;

static int open_keeper(void **state)
{
    static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64),
                                       answer_type = HALO_FN(HALO_U32, HALO_I32);

    (void)open_to_serve(&box, state, KEEPS, 0);
    twice = halo_lookup(box, "twice", &twice_type);
    answer = halo_lookup(box, "answer", &answer_type);
    assert_true(twice > 0 && answer > 0);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static void start(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(
            halo_call_start(box, &futures[i], twice, (struct halo_value[]){halo_i64(i)}, 1), 0);
}

static uint32_t have_answered(int32_t code)
{
    struct halo_future future;

    if (halo_call(box, &future, answer, PATIENCE, halo_i32(code)))
        fail_msg("%s", halo_errmsg(box));
    return future.result.u32;
}

static void they_are_answered_after_their_function(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= COUNT; count += 13) {
        start(count);
        assert_int_equal(have_answered(0), count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(halo_wait(&futures[i], PATIENCE), 0);
            assert_int_equal(futures[i].result.i64, 2 * i);
            halo_future_free(&futures[i]);
        }
    }
}

static void they_fail_later(void **state)
{
    (void)state;
    start(3);
    assert_int_equal(have_answered(7), 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(halo_wait(&futures[i], PATIENCE), HALO_ECALL);
        assert_int_equal(futures[i].code, 7);
        halo_future_free(&futures[i]);
    }
}

/* Whoever waits for one alone is told, and the guest goes on. */
static void who_waits_for_one_is_told(void **state)
{
    (void)state;
    start(2);
    assert_int_equal(halo_wait(&futures[1], PATIENCE), HALO_EDEADLOCK);
    assert_non_null(strstr(halo_errmsg(box), "keeps a call"));
    assert_false(futures[1].done);
    assert_int_equal(have_answered(0), 2);
    assert_int_equal(halo_wait(&futures[1], PATIENCE), 0);
    assert_int_equal(futures[1].result.i64, 2);
    halo_future_free(&futures[0]);
}

/* It is closed, and one is given up, while they are kept. */
static void they_end_with_the_guest(void **state)
{
    (void)state;
    start(5);
    assert_int_equal(halo_wait(&futures[0], PATIENCE), HALO_EDEADLOCK);
    halo_future_free(&futures[1]);
    assert_int_equal(have_answered(0), 5);
    start(5);
    assert_int_equal(halo_wait(&futures[0], PATIENCE), HALO_EDEADLOCK);
    halo_close(box);
    box = NULL;
    for (int i = 0; i < 5; i++) {
        assert_true(futures[i].done);
        assert_int_equal(futures[i].error, HALO_ESTATE);
    }
}

static void over_stacks_none_is_kept(void **state)
{
    struct halo_future future;

    (void)state;
    assert_int_equal(halo_call(box, &future, twice, PATIENCE, halo_i64(4)), 0);
    assert_int_equal(future.result.i64, -1);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(they_are_answered_after_their_function),
        RINGS(they_fail_later),
        RINGS(who_waits_for_one_is_told),
        RINGS(they_end_with_the_guest),
        STACKS(over_stacks_none_is_kept),
    };

    return run_every_way("kept exports", tests, sizeof(tests) / sizeof(tests[0]), open_keeper,
                         close_box);
}
