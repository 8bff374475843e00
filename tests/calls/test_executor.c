/*
 * An executor: any number of sandboxes on a few workers, and one thread that asks and is told. On
 * every backend.
 */
#define _GNU_SOURCE
#include "functions.h"
#include <halo/executor.h>
#include <poll.h>

#define BOXES 12
#define CALLS 20

static struct halo_executor *executor, *executor_2;
static struct halo_sandbox *boxes[BOXES];
static struct halo_task tasks[BOXES][CALLS];
static int is_told[BOXES][CALLS];
static int echo_of, spin_of, told, next_of[BOXES];

static int open_boxes(void **state)
{
    const struct halo_signature echo_type = HALO_FN(HALO_STR, HALO_STR);
    const struct halo_signature spin_type = HALO_FN(HALO_I32, HALO_U64);

    if (halo_executor_open(&executor, 2))
        fail_msg("no executor");
    told = 0;
    memset(tasks, 0, sizeof(tasks));
    memset(is_told, 0, sizeof(is_told));
    memset(next_of, 0, sizeof(next_of));
    for (int i = 0; i < BOXES; i++) {
        struct halo_options options = way_options(state);

        options.threaded = false; /* those have their own */
        open_file(functions, options);
        boxes[i] = box;
        assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
        echo_of = halo_lookup(box, "echo.str", &echo_type);
        spin_of = halo_lookup(box, "spin", &spin_type);
        assert_int_equal(halo_executor_attach(executor, box), 0);
    }
    return 0;
}

static int close_boxes(void **state)
{
    (void)state;
    for (int i = 0; i < BOXES; i++) {
        assert_int_equal(halo_executor_detach(boxes[i]), 0);
        halo_close(boxes[i]);
    }
    assert_int_equal(halo_executor_close(executor), 0);
    return 0;
}

static void turn_until(int count)
{
    while (told < count) {
        struct pollfd ready = {.fd = halo_fd(executor), .events = POLLIN};

        assert_int_equal(poll(&ready, 1, 60000), 1); /* a hang, else */
        (void)halo_turn(executor);
    }
}

static void count(struct halo_task *task, void *context)
{
    const int i = (int)(intptr_t)context;

    is_told[i][task - tasks[i]]++;
    told++;
}

/* Of each sandbox in order, with its own text. */
static void is_next(struct halo_task *task, void *context)
{
    const int i = (int)(intptr_t)context;
    char text[32];

    (void)snprintf(text, sizeof(text), "%d of %d", next_of[i], i);
    assert_int_equal(task->error, 0);
    assert_ptr_equal(task, &tasks[i][next_of[i]]);
    assert_string_equal(task->future.result.str, text);
    halo_future_free(&task->future);
    next_of[i]++;
    told++;
}

static void submit(int i, int call, int function, struct halo_value arg, int64_t timeout_ns)
{
    tasks[i][call].done = function == echo_of ? is_next : count;
    tasks[i][call].context = (void *)(intptr_t)i;
    assert_int_equal(halo_submit(boxes[i], &tasks[i][call], function, &arg, 1, timeout_ns), 0);
}

static void submit_echoes(int from)
{
    for (int call = 0; call < CALLS; call++) {
        for (int i = from; i < BOXES; i++) {
            char text[32];

            (void)snprintf(text, sizeof(text), "%d of %d", call, i);
            submit(i, call, echo_of, halo_str(text), HALO_FOREVER); /* it is copied */
        }
    }
}

static void calls_are_answered_in_order(void **state)
{
    (void)state;
    submit_echoes(0);
    turn_until(BOXES * CALLS);
    assert_int_equal(halo_turn(executor), 0);
    assert_true(halo_timeout(executor) == HALO_FOREVER);
}

static void guests_that_spin_starve_none(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) /* two on each worker */
        submit(i, 0, spin_of, halo_u64(UINT64_MAX), HALO_FOREVER);
    submit_echoes(4);
    turn_until((BOXES - 4) * CALLS);
    for (int i = 0; i < 4; i++)
        halo_cancel(&tasks[i][0]);
    turn_until((BOXES - 4) * CALLS + 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(tasks[i][0].error, HALO_EINTERRUPTED);
}

static void each_call_has_its_deadline(void **state)
{
    (void)state;
    submit(0, 0, spin_of, halo_u64(UINT64_MAX), 20000000);
    submit(1, 0, spin_of, halo_u64(10), HALO_FOREVER);
    turn_until(2);
    assert_int_equal(tasks[0][0].error, HALO_ETIMEDOUT);
    assert_int_equal(tasks[1][0].error, 0);
    assert_int_equal(tasks[1][0].future.result.i32, 7);
}

static void one_that_waits_is_cancelled_before_it_begins(void **state)
{
    (void)state;
    submit(0, 0, spin_of, halo_u64(UINT64_MAX), HALO_FOREVER);
    submit(0, 1, spin_of, halo_u64(10), HALO_FOREVER);
    halo_cancel(&tasks[0][1]);
    turn_until(1); /* it does not wait for the one before it */
    assert_int_equal(is_told[0][1], 1);
    halo_cancel(&tasks[0][0]);
    turn_until(2);
    assert_int_equal(tasks[0][0].error, HALO_EINTERRUPTED);
    assert_true(tasks[0][0].is_left || !tasks[0][0].is_started);
    assert_int_equal(tasks[0][1].error, HALO_EINTERRUPTED);
    assert_false(tasks[0][1].is_left);
}

static void one_that_waits_is_late_before_it_begins(void **state)
{
    (void)state;
    submit(0, 0, spin_of, halo_u64(UINT64_MAX), HALO_FOREVER);
    submit(0, 1, spin_of, halo_u64(10), 1000000);
    submit(0, 2, spin_of, halo_u64(10), HALO_FOREVER);
    turn_until(1);
    assert_int_equal(is_told[0][1], 1);
    assert_int_equal(tasks[0][1].error, HALO_ETIMEDOUT);
    assert_false(tasks[0][1].is_left);
    halo_cancel(&tasks[0][2]);
    halo_cancel(&tasks[0][0]);
    turn_until(3);
}

/* What `done` may do: go on with the same task, and in the end with the sandbox. */
static void again(struct halo_task *task, void *context)
{
    const struct halo_value arg = halo_u64(10);

    assert_int_equal(task->error, 0);
    if (++told < CALLS) {
        assert_int_equal(halo_submit(context, task, spin_of, &arg, 1, HALO_FOREVER), 0);
        return;
    }
    assert_int_equal(halo_executor_detach(context), 0);
    assert_int_equal(halo_executor_attach(executor, context), 0);
}

static void a_task_is_submitted_again_when_it_is_done(void **state)
{
    const struct halo_value arg = halo_u64(10);

    (void)state;
    tasks[0][0].done = again;
    tasks[0][0].context = boxes[0];
    assert_int_equal(halo_submit(boxes[0], &tasks[0][0], spin_of, &arg, 1, HALO_FOREVER), 0);
    turn_until(CALLS);
}

static void what_cannot_be_submitted_is_not_told_of(void **state)
{
    /* More than all memory together. */
    const struct halo_value two_long[] = {halo_bytes("", HALO_VALUE_MAX),
                                          halo_bytes("", SIZE_MAX - HALO_VALUE_MAX)};
    const struct halo_value arg = halo_u64(10);
    struct halo_task *task = &tasks[0][0];

    (void)state;
    assert_int_equal(halo_submit(boxes[0], task, spin_of, &arg, 1, HALO_FOREVER), HALO_EINVAL);
    task->done = count;
    assert_int_equal(halo_submit(boxes[0], task, spin_of, &arg, 1, -1), HALO_EINVAL);
    assert_int_equal(halo_submit(boxes[0], task, spin_of, NULL, 1, HALO_FOREVER), HALO_EINVAL);
    assert_int_equal(
        halo_submit(boxes[0], task, spin_of, &arg, HALO_ARGUMENTS_MAX + 1, HALO_FOREVER),
        HALO_EINVAL);
    assert_int_equal(halo_submit(boxes[0], task, echo_of, two_long, 2, HALO_FOREVER), HALO_ESIZE);
    assert_int_equal(halo_executor_detach(boxes[0]), 0);
    assert_int_equal(halo_submit(boxes[0], task, spin_of, &arg, 1, HALO_FOREVER), HALO_ESTATE);
    assert_int_equal(halo_executor_attach(executor, boxes[0]), 0);
    /* What the guest's own function would refuse is told of. */
    assert_int_equal(halo_submit(boxes[0], task, spin_of, NULL, 0, HALO_FOREVER), 0);
    turn_until(1);
    assert_int_equal(task->error, HALO_ECOUNT);
    assert_int_equal(halo_executor_open(&executor_2, 0), HALO_EINVAL);
    assert_int_equal(halo_executor_open(&executor_2, HALO_WORKERS_MAX + 1), HALO_EINVAL);
    assert_null(executor_2);
    assert_int_equal(halo_executor_close(NULL), 0);
}

static void an_attached_sandbox_is_nobody_else_s(void **state)
{
    (void)state;
    assert_int_equal(halo_call(boxes[0], &future, echo_of, HALO_FOREVER, halo_str("x")),
                     HALO_EBUSY);
    assert_int_equal(halo_executor_attach(executor, boxes[0]), HALO_EBUSY);
    assert_int_equal(halo_executor_close(executor), HALO_EBUSY);
    halo_close(boxes[0]); /* nor is it closed */
    submit(0, 0, echo_of, halo_str("0 of 0"), HALO_FOREVER);
    assert_int_equal(halo_executor_detach(boxes[0]), HALO_EBUSY);
    turn_until(1);
    assert_int_equal(halo_executor_detach(boxes[0]), 0);
    assert_int_equal(halo_executor_detach(boxes[0]), HALO_ESTATE);
    assert_int_equal(halo_call(boxes[0], &future, echo_of, HALO_FOREVER, halo_str("x")), 0);
    assert_string_equal(future.result.str, "x");
    halo_future_free(&future);
    assert_int_equal(halo_executor_attach(executor, boxes[0]), 0);
}

static const char *last_text(int i)
{
    static char text[32];

    (void)snprintf(text, sizeof(text), "%d of %d", CALLS - 1, i);
    return text;
}

/* Whatever is asked and given up when, each is told of once, and its sandbox serves on. */
static void calls_and_cancellations_at_random(void **state)
{
    uint32_t random = 1;

    for (int call = 0; call < CALLS - 1; call++) {
        for (int i = 0; i < BOXES; i++) {
            random = random * 1664525 + 1013904223;
            submit(i, call, spin_of, halo_u64(random >> 14),
                   (random & 24) == 0 ? (random >> 12) : HALO_FOREVER);
            if ((random & 96) == 0)
                (void)halo_turn(executor);
            if ((random & 896) == 0 && tasks[i][call / 2].seat && !is_told[i][call / 2])
                halo_cancel(&tasks[i][call / 2]);
        }
    }
    turn_until(BOXES * (CALLS - 1));
    for (int i = 0; i < BOXES; i++) {
        for (int call = 0; call < CALLS - 1; call++) {
            const struct halo_task *task = &tasks[i][call];

            assert_int_equal(is_told[i][call], 1);
            if (task->error)
                assert_true(task->error == HALO_EINTERRUPTED || task->error == HALO_ETIMEDOUT ||
                            (way_is_stacks(state) && task->error == HALO_ETRANSPORT));
            else
                assert_int_equal(task->future.result.i32, 7);
        }
        if (way_is_stacks(state)) /* the one that was given up may be there yet */
            continue;
        next_of[i] = CALLS - 1;
        submit(i, CALLS - 1, echo_of, halo_str(last_text(i)), HALO_FOREVER);
    }
    if (!way_is_stacks(state))
        turn_until(BOXES * CALLS);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(calls_are_answered_in_order),
        TEST(guests_that_spin_starve_none),
        TEST(each_call_has_its_deadline),
        TEST(one_that_waits_is_cancelled_before_it_begins),
        TEST(one_that_waits_is_late_before_it_begins),
        TEST(a_task_is_submitted_again_when_it_is_done),
        TEST(what_cannot_be_submitted_is_not_told_of),
        TEST(calls_and_cancellations_at_random),
        TEST(an_attached_sandbox_is_nobody_else_s),
    };

    return run_every_way("executor", tests, sizeof(tests) / sizeof(tests[0]), open_boxes,
                         close_boxes);
}
