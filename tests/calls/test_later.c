/*
 * Calls that the host keeps and answers later: on the sandbox's own thread, and through an executor
 * from any. Each is answered once, or gone once. On every backend.
 */
#define _GNU_SOURCE
#include "functions.h"
#include <halo/executor.h>
#include <halo/later.h>
#include <halo/snapshot.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT_MAX 64

static struct kept {
    struct halo_pending *pending;
    int64_t value;
    int gone;
} kept[KEPT_MAX];
static uint32_t kept_count; /* with the mutex, as all of it */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int keep_result;
static halo_function *second; /* what is done with the second call, once; NULL: it is kept, too */

static void is_gone(struct halo_pending *pending, void *context)
{
    struct kept *one = context;

    assert_ptr_equal(pending, one->pending);
    one->gone++;
}

/* In place of host.twice. */
static void keep_twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_pending *again;
    struct kept *one;

    if (second && kept_count == 1) {
        halo_function *const instead = second;

        second = NULL;
        instead(call, args, context);
        return;
    }
    pthread_mutex_lock(&mutex);
    one = &kept[kept_count];
    one->value = args[0].i64;
    one->gone = 0;
    keep_result = halo_keep(call, &one->pending, is_gone, one);
    if (keep_result) {
        assert_null(one->pending);
        halo_return(call, halo_i64(2 * args[0].i64));
    } else {
        kept_count++;
        assert_int_equal(halo_keep(call, &again, NULL, NULL), HALO_ESTATE);
        assert_null(again);
        assert_int_equal(halo_return(call, halo_i64(0)), HALO_ESTATE);
        assert_int_equal(halo_fail(call, 1, ""), HALO_ESTATE);
    }
    pthread_mutex_unlock(&mutex);
}

static struct halo_sandbox *open_one(void **state, bool threaded)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    static const struct halo_signature str_u32 = HALO_FN(HALO_STR, HALO_U32);
    static const struct halo_signature void_i64 = HALO_FN(HALO_VOID, HALO_I64);
    struct halo_options options = way_options(state);

    options.threaded = options.threaded && threaded;
    options.ram_len = 64ull << 20;
    if (halo_open(&box, functions, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, keep_twice, NULL), 0);
    assert_int_equal(halo_provide(box, "host.down", &i64_i64, down, NULL), 0);
    assert_int_equal(halo_provide(box, "host.text", &str_u32, text, NULL), 0);
    assert_int_equal(halo_provide(box, "host.note", &void_i64, note, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    return box;
}

static int open_keeper(void **state)
{
    second = NULL;
    kept_count = 0;
    memset(kept, 0, sizeof(kept));
    (void)open_one(state, true);
    return 0;
}

static void answer(uint32_t i)
{
    assert_int_equal(halo_return_later(kept[i].pending, halo_i64(2 * kept[i].value)), 0);
    kept[i].pending = NULL;
}

static struct halo_value u32(uint32_t value)
{
    return (struct halo_value){.type = HALO_U32, .u32 = value};
}

static void a_call_is_answered_after_its_function(void **state)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));

    (void)state;
    assert_int_equal(halo_call(box, &future, twice_plus, 60 * SECONDS, halo_i64(20)),
                     HALO_EDEADLOCK);
    assert_non_null(strstr(halo_errmsg(box), "its host keeps"));
    assert_int_equal(kept_count, 1);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), HALO_EDEADLOCK);
    /* What is no answer changes nothing. */
    assert_int_equal(halo_return_later(kept[0].pending, halo_str("x")), HALO_ETYPE);
    assert_int_equal(halo_return_later(kept[0].pending, halo_void()), HALO_ETYPE);
    assert_int_equal(halo_fail_later(kept[0].pending, 0, "x"), HALO_EINVAL);
    answer(0);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), 0);
    assert_int_equal(future.result.i64, 41);
    assert_int_equal(kept[0].gone, 0);
    assert_int_equal(halo_call(box, &future, twice_plus, 60 * SECONDS, halo_i64(1)),
                     HALO_EDEADLOCK);
    assert_int_equal(halo_fail_later(kept[1].pending, 5, "not today"), 0);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), HALO_ECALL);
    assert_string_equal(future.text, "not today");
}

static void many_are_answered_in_any_order(void **state)
{
    const int fan = function("fan", FN(HALO_I64, HALO_U32));

    (void)state;
    assert_int_equal(halo_call(box, &future, fan, 60 * SECONDS, u32(KEPT_MAX / 4)), HALO_EDEADLOCK);
    assert_int_equal(kept_count, KEPT_MAX / 4);
    for (uint32_t i = 0; i < KEPT_MAX / 4; i += 2)
        answer(i);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), HALO_EDEADLOCK);
    for (uint32_t i = KEPT_MAX / 4; i > 0; i -= 2)
        answer(i - 1);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), 0);
    assert_int_equal(future.result.i64, KEPT_MAX / 4 * (KEPT_MAX / 4 - 1));
}

/* The guest is restored or closed, or has ended: those that are kept are gone, once. */
static void those_of_a_guest_that_is_over_are_gone(void **state)
{
    const int fan = function("fan", FN(HALO_I64, HALO_U32));
    struct halo_snapshot *snapshot;

    (void)state;
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_int_equal(halo_call(box, &future, fan, 60 * SECONDS, u32(4)), HALO_EDEADLOCK);
    {
        struct halo_snapshot *none;

        assert_int_equal(halo_snapshot(box, &none), HALO_ESTATE);
    }
    answer(3);
    assert_int_equal(halo_restore(box, snapshot), 0);
    halo_future_free(&future);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(kept[i].gone, 1);
        assert_int_equal(halo_return_later(kept[i].pending, halo_i64(1)), HALO_ESTALE);
    }
    assert_int_equal(kept[3].gone, 0);
    assert_int_equal(halo_call(box, &future, fan, 60 * SECONDS, u32(2)), HALO_EDEADLOCK);
    halo_future_free(&future);
    halo_close(box);
    assert_int_equal(kept[4].gone, 1);
    assert_int_equal(halo_fail_later(kept[5].pending, 1, "x"), HALO_ESTALE);
    assert_int_equal(halo_return_later(kept[4].pending, halo_i64(1)), HALO_ESTALE);
    halo_snapshot_free(snapshot);
    (void)open_one(state, true);
}

/* The second call has its guest end, and is not there to be kept any more. */
static void end_and_keep(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int leave = function("leave", FN(HALO_VOID, HALO_I32));
    struct halo_future inner;

    (void)args;
    assert_int_equal(halo_call(box, &inner, leave, 60 * SECONDS, halo_i32(0)), HALO_ESTATE);
    keep_result = halo_keep(call, &kept[1].pending, NULL, context);
    assert_true(!keep_result || strstr(halo_errmsg(box), "host.twice: the guest has ended"));
}

/* KEEP-01 */
static void none_is_kept_for_a_guest_that_has_ended(void **state)
{
    const int fan = function("fan", FN(HALO_I64, HALO_U32));

    (void)state;
    second = end_and_keep;
    assert_int_equal(halo_call(box, &future, fan, 60 * SECONDS, u32(2)), HALO_ESTATE);
    assert_int_equal(kept[0].gone, 1);
    assert_int_equal(halo_return_later(kept[0].pending, halo_i64(1)), HALO_ESTALE);
    assert_int_equal(keep_result, HALO_ESTATE);
    assert_null(kept[1].pending);
}

static void end_all(struct halo_pending *pending, void *context)
{
    (void)pending;
    (*(int *)context)++;
    for (uint32_t i = 0; i < kept_count; i++)
        assert_int_equal(halo_return_later(kept[i].pending, halo_i64(1)), HALO_ESTALE);
}

/* In place of host.twice. */
static void keep_together(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    assert_int_equal(halo_keep(call, &kept[kept_count++].pending, end_all, context), 0);
}

/* What belongs together is ended by the first that is gone. */
static void one_that_is_gone_ends_the_others(void **state)
{
    struct halo_options options = way_options(state);
    const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    int gone = 0;

    halo_close(box);
    options.ram_len = 64ull << 20;
    if (halo_open(&box, functions, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, keep_together, &gone), 0);
    assert_int_equal(halo_provide(box, "host.down", &i64_i64, down, NULL), 0);
    assert_int_equal(halo_provide(box, "host.text", &FN(HALO_STR, HALO_U32), text, NULL), 0);
    assert_int_equal(halo_provide(box, "host.note", &FN(HALO_VOID, HALO_I64), note, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    assert_int_equal(
        halo_call(box, &future, function("fan", FN(HALO_I64, HALO_U32)), 60 * SECONDS, u32(4)),
        HALO_EDEADLOCK);
    halo_future_free(&future);
    halo_close(box);
    assert_int_equal(kept_count, 4);
    assert_int_equal(gone, 1);
    (void)open_one(state, true);
}

static void over_stacks_none_is_kept(void **state)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));

    (void)state;
    assert_int_equal(halo_call(box, &future, twice_plus, 60 * SECONDS, halo_i64(20)), 0);
    assert_int_equal(future.result.i64, 41);
    assert_int_equal(keep_result, HALO_ETRANSPORT);
}

/* In place of host.text. */
static void keep_text(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    assert_int_equal(halo_keep(call, &kept[0].pending, NULL, NULL), 0);
}

/* As one that is longer than what is kept for it; the guest panics, for it is told. */
static void an_answer_that_cannot_be_held_is_over(void **state)
{
    static const struct halo_signature str_u32 = HALO_FN(HALO_STR, HALO_U32);
    struct halo_options options = way_options(state);
    char *letters = calloc(1, 200001);
    int texts;

    halo_close(box);
    options.ram_len = 64ull << 20;
    options.held_max = 1 << 16;
    if (halo_open(&box, functions, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.twice", &FN(HALO_I64, HALO_I64), keep_twice, NULL), 0);
    assert_int_equal(halo_provide(box, "host.down", &FN(HALO_I64, HALO_I64), down, NULL), 0);
    assert_int_equal(halo_provide(box, "host.text", &str_u32, keep_text, NULL), 0);
    assert_int_equal(halo_provide(box, "host.note", &FN(HALO_VOID, HALO_I64), note, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    texts = function("texts", FN(HALO_U64, HALO_U32, HALO_U32));
    assert_int_equal(halo_call(box, &future, texts, 60 * SECONDS, u32(200000), u32(1)),
                     HALO_EDEADLOCK);
    memset(letters, 'x', 200000);
    assert_int_equal(halo_return_later(kept[0].pending, halo_str(letters)), HALO_ESIZE);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), HALO_EPANIC);
    free(letters);
}

/* --- Through an executor ---------------------------------------------------------------------- */

#define BOXES 6
#define ROUNDS 20

static struct halo_executor *executor;
static struct halo_sandbox *boxes[BOXES];
static struct halo_task tasks[BOXES];
static int told;
static bool ends;

static void is_told(struct halo_task *task, void *context)
{
    (void)task;
    (void)context;
    told++;
}

static void turn_until(int count)
{
    while (told < count) {
        struct pollfd ready = {.fd = halo_fd(executor), .events = POLLIN};

        assert_int_equal(poll(&ready, 1, 60000), 1); /* a hang, else */
        (void)halo_turn(executor);
    }
}

/* A thread that answers whatever is kept, the last one first. */
static void *answer_all(void *nothing)
{
    bool is_over;

    do {
        struct kept one = {.pending = NULL};

        pthread_mutex_lock(&mutex);
        is_over = ends;
        if (kept_count > 0)
            one = kept[--kept_count];
        pthread_mutex_unlock(&mutex);
        if (one.pending)
            assert_int_equal(halo_return_later(one.pending, halo_i64(2 * one.value)), 0);
    } while (!is_over);
    return nothing;
}

static void open_boxes(void **state)
{
    told = 0;
    assert_int_equal(halo_executor_open(&executor, 2), 0);
    halo_close(box);
    for (int i = 0; i < BOXES; i++) {
        boxes[i] = open_one(state, false);
        assert_int_equal(halo_executor_attach(executor, boxes[i]), 0);
    }
    box = NULL;
}

static void close_boxes(void)
{
    for (int i = 0; i < BOXES; i++) {
        assert_int_equal(halo_executor_detach(boxes[i]), 0);
        halo_close(boxes[i]);
    }
    assert_int_equal(halo_executor_close(executor), 0);
}

static void any_thread_answers_through_an_executor(void **state)
{
    const int fan = function("fan", FN(HALO_I64, HALO_U32));
    const struct halo_value count = u32(8);
    pthread_t thread;

    open_boxes(state);
    ends = false;
    assert_int_equal(pthread_create(&thread, NULL, answer_all, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        told = 0;
        for (int i = 0; i < BOXES; i++) {
            tasks[i] = (struct halo_task){.done = is_told};
            assert_int_equal(halo_submit(boxes[i], &tasks[i], fan, &count, 1, 60 * SECONDS), 0);
        }
        turn_until(BOXES);
        for (int i = 0; i < BOXES; i++) {
            assert_int_equal(tasks[i].error, 0);
            assert_int_equal(tasks[i].future.result.i64, 56);
        }
    }
    pthread_mutex_lock(&mutex);
    ends = true;
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    close_boxes();
}

static struct halo_pending *take_kept(uint32_t i)
{
    struct halo_pending *pending;

    pthread_mutex_lock(&mutex);
    pending = kept_count > i ? kept[i].pending : NULL;
    pthread_mutex_unlock(&mutex);
    return pending;
}

/* A call that is given up leaves what its guest waits for pending, until its sandbox goes. */
static void what_is_cancelled_leaves_its_own_pending(void **state)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));
    const struct halo_value arg = halo_i64(7);
    struct halo_pending *pending;

    open_boxes(state);
    for (int i = 0; i < 2; i++) {
        tasks[i] = (struct halo_task){.done = is_told};
        assert_int_equal(halo_submit(boxes[0], &tasks[i], twice_plus, &arg, 1, HALO_FOREVER), 0);
    }
    while (!(pending = take_kept(0)))
        sched_yield();
    halo_cancel(&tasks[0]);
    turn_until(1);
    assert_int_equal(tasks[0].error, HALO_EINTERRUPTED);
    assert_true(tasks[0].is_left);
    assert_int_equal(halo_return_later(pending, halo_i64(14)), 0);
    while (!(pending = take_kept(1))) /* the next call, by now */
        sched_yield();
    assert_int_equal(halo_return_later(pending, halo_i64(14)), 0);
    turn_until(2);
    assert_int_equal(tasks[1].error, 0);
    assert_int_equal(tasks[1].future.result.i64, 15);
    tasks[0] = (struct halo_task){.done = is_told};
    assert_int_equal(halo_submit(boxes[0], &tasks[0], twice_plus, &arg, 1, HALO_FOREVER), 0);
    while (!(pending = take_kept(2)))
        sched_yield();
    halo_cancel(&tasks[0]);
    turn_until(3);
    assert_int_equal(kept[2].gone, 0);
    close_boxes();
    assert_int_equal(kept[2].gone, 1);
    assert_int_equal(halo_return_later(pending, halo_i64(14)), HALO_ESTALE);
}

static void submit_fan_and(halo_function *instead)
{
    const int fan = halo_lookup(box, "fan", &FN(HALO_I64, HALO_U32));
    const struct halo_value count = u32(2);

    told = 0;
    second = instead;
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    tasks[0] = (struct halo_task){.done = is_told};
    assert_int_equal(halo_submit(box, &tasks[0], fan, &count, 1, 60 * SECONDS), 0);
    turn_until(1);
    assert_int_equal(halo_executor_detach(box), 0);
    assert_int_equal(halo_executor_close(executor), 0);
}

/* The second call calls the guest, which calls once more, and answers that itself. */
static void answer_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));
    struct halo_future inner;

    (void)context;
    assert_int_equal(halo_call(box, &inner, twice_plus, HALO_FOREVER, halo_i64(20)),
                     HALO_EDEADLOCK);
    assert_int_equal(kept_count, 2);
    answer(1);
    assert_int_equal(halo_wait(&inner, HALO_FOREVER), 0);
    assert_int_equal(inner.result.i64, 41);
    halo_future_free(&inner);
    answer(0);
    assert_int_equal(halo_return(call, halo_i64(2 * args[0].i64)), 0);
}

static void a_function_of_the_hosts_answers_what_its_own_call_waits_for(void **state)
{
    (void)state;
    submit_fan_and(answer_inside);
    assert_int_equal(tasks[0].error, 0);
    assert_int_equal(tasks[0].future.result.i64, 2);
}

/* The second call answers the first one, and its guest ends in the same turn. */
static void answer_and_end(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int leave = function("leave", FN(HALO_VOID, HALO_I32));

    (void)call;
    (void)args;
    (void)context;
    assert_int_equal(halo_return_later(kept[0].pending, halo_i64(0)), 0);
    assert_int_equal(halo_call(box, &future, leave, HALO_FOREVER, halo_i32(0)), HALO_ESTATE);
}

/* An answer that its guest did not live to see is let go of with it. */
static void what_was_said_goes_with_its_guest(void **state)
{
    (void)state;
    submit_fan_and(answer_and_end);
    assert_int_equal(tasks[0].error, HALO_ESTATE);
    assert_int_equal(kept_count, 1);
    assert_int_equal(kept[0].gone, 0); /* it was answered */
}

/* What a fork is told; its exit code is the number of the line that was wrong. */
static void be_a_fork(bool is_attached)
{
    const int before = kept[0].gone;
    struct halo_task task = {.done = is_told};

    if (is_attached && halo_submit(box, &task, 1, NULL, 0, HALO_FOREVER) != HALO_ESTATE)
        _exit(__LINE__ & 255);
    if (is_attached && halo_executor_detach(box) != HALO_ESTATE)
        _exit(__LINE__ & 255);
    if (halo_return_later(kept[0].pending, halo_i64(1)) != HALO_ESTATE)
        _exit(__LINE__ & 255);
    halo_close(box);
    if (kept[0].gone != before)
        _exit(__LINE__ & 255);
    if (halo_return_later(kept[0].pending, halo_i64(1)) != HALO_ESTALE)
        _exit(__LINE__ & 255);
    _exit(0);
}

/* HOST-07: its parent's guest is answered by its parent, with or without an executor. */
static void a_fork_answers_nothing(void **state)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));

    (void)state;
    for (int is_attached = 0; is_attached < 2; is_attached++) {
        int status;
        pid_t child;

        kept_count = 0;
        assert_int_equal(halo_call(box, &future, twice_plus, 60 * SECONDS, halo_i64(20)),
                         HALO_EDEADLOCK);
        if (is_attached) {
            assert_int_equal(halo_executor_open(&executor, 1), 0);
            assert_int_equal(halo_executor_attach(executor, box), 0);
        }
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            be_a_fork(is_attached);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        answer(0);
        if (is_attached) {
            assert_int_equal(halo_executor_detach(box), 0);
            assert_int_equal(halo_executor_close(executor), 0);
        }
        assert_int_equal(halo_wait(&future, 60 * SECONDS), 0);
        assert_int_equal(future.result.i64, 41);
    }
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_call_is_answered_after_its_function),
        RINGS(many_are_answered_in_any_order),
        RINGS(those_of_a_guest_that_is_over_are_gone),
        RINGS(an_answer_that_cannot_be_held_is_over),
        RINGS(none_is_kept_for_a_guest_that_has_ended),
        RINGS(one_that_is_gone_ends_the_others),
        STACKS(over_stacks_none_is_kept),
        IN_TURNS(any_thread_answers_through_an_executor),
        IN_TURNS(what_is_cancelled_leaves_its_own_pending),
        IN_TURNS(a_function_of_the_hosts_answers_what_its_own_call_waits_for),
        IN_TURNS(what_was_said_goes_with_its_guest),
        IN_TURNS(a_fork_answers_nothing),
    };

    return run_every_way("later", tests, sizeof(tests) / sizeof(tests[0]), open_keeper, close_box);
}
