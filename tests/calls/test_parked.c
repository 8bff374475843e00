/*
 * Guests on an executor's worker that wait for something: they hold no worker, and what they wait
 * for, a deadline or a cancellation reaches them. One worker, on every backend, over rings.
 */
#define _GNU_SOURCE
#include "functions.h"
#include <fcntl.h>
#include <halo/executor.h>
#include <halo/later.h>
#include <halo/stream.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#define BOXES 40

static struct halo_executor *executor;
static struct halo_task tasks[BOXES], more[3];
static int pipes[BOXES][2], out[2], read_of, last_words_of, told, last_told;
static uint32_t handles[BOXES];
static struct halo_sandbox *boxes[BOXES];

static void is_told(struct halo_task *task, void *context)
{
    (void)task;
    last_told = (int)(intptr_t)context;
    told++;
}

/* Each reads from a pipe of its own. */
static void open_box(int i, void **state)
{
    static const struct halo_signature read_type = HALO_FN(HALO_U64, HALO_U32);
    static const struct halo_signature end_type = HALO_FN(HALO_VOID);
    static const struct halo_signature next_type = HALO_FN(HALO_I64, HALO_I64);
    static const char *const args[] = {"guest", "x"};
    struct halo_options options = way_options(state);

    options.threaded = false;
    options.ram_len = 64ull << 20;
    options.args = args;
    options.arg_count = 2;
    if (halo_open(&boxes[i], STREAMS, &options))
        fail_msg("%s", halo_errmsg(boxes[i]));
    assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
    assert_int_equal(halo_provide(boxes[i], "host.next", &next_type, twice, NULL), 0);
    assert_int_equal(halo_offer(boxes[i], "pipe", halo_end_fd(pipes[i][0]), HALO_IN, &handles[i]),
                     0);
    assert_int_equal(halo_attach(boxes[i], HALO_STDOUT, halo_end_fd(out[1])), 0);
    assert_int_equal(halo_serve_begin(boxes[i], 60 * SECONDS), 0);
    last_words_of = halo_lookup(boxes[i], "last_words", &end_type);
    read_of = halo_lookup(boxes[i], "read_one", &read_type);
    assert_int_equal(halo_executor_attach(executor, boxes[i]), 0);
}

static int open_all(void **state)
{
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    told = 0;
    for (int i = 0; i < BOXES; i++)
        open_box(i, state);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (int i = 0; i < BOXES; i++) {
        assert_int_equal(halo_executor_detach(boxes[i]), 0);
        halo_close(boxes[i]);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    close(out[0]);
    close(out[1]);
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

static void submit_read(int i, struct halo_task *task, int64_t timeout_ns)
{
    const struct halo_value handle = {.type = HALO_U32, .u32 = handles[i]};

    *task = (struct halo_task){.done = is_told, .context = (void *)(intptr_t)i};
    assert_int_equal(halo_submit(boxes[i], task, read_of, &handle, 1, timeout_ns), 0);
}

static void write_to(int i, uint64_t value)
{
    assert_int_equal(write(pipes[i][1], &value, sizeof(value)), sizeof(value));
}

/* All wait at one worker, and each goes on as soon as its own pipe has something. */
static void each_that_waits_is_answered_by_itself(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        told = 0;
        for (int i = 0; i < BOXES; i++)
            submit_read(i, &tasks[i], HALO_FOREVER);
        for (int i = BOXES - 1; i >= 0; i--) {
            write_to(i, (uint64_t)i + 100);
            turn_until(BOXES - i);
            assert_int_equal(last_told, i);
            assert_int_equal(tasks[i].error, 0);
            assert_int_equal(tasks[i].future.result.u64, i + 100);
        }
    }
}

static uint64_t elapsed(int i)
{
    struct halo_stats of;

    assert_int_equal(halo_executor_detach(boxes[i]), 0);
    halo_stats(boxes[i], &of);
    assert_int_equal(halo_executor_attach(executor, boxes[i]), 0);
    return of.elapsed_ns;
}

/* While one computes for many quanta another one waits: it has none of the worker's time. */
static void one_that_waits_holds_no_worker(void **state)
{
    struct halo_options options = way_options(state);
    const struct halo_value arg = halo_u64(400000000);
    struct halo_task spins = {.done = is_told};
    uint64_t before, waited;
    struct halo_stats of;
    int spin_of;

    submit_read(0, &tasks[0], HALO_FOREVER); /* once on that worker, which may take long */
    write_to(0, 1);
    turn_until(1);
    before = elapsed(0);
    options.threaded = false;
    open_file(FUNCTIONS, options);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    spin_of = function("spin", FN(HALO_I32, HALO_U64));
    assert_int_equal(halo_executor_attach(executor, box), 0);
    submit_read(0, &tasks[0], HALO_FOREVER);
    assert_int_equal(halo_submit(box, &spins, spin_of, &arg, 1, HALO_FOREVER), 0);
    turn_until(2);
    assert_int_equal(spins.error, 0);
    write_to(0, 2);
    turn_until(3);
    assert_int_equal(tasks[0].future.result.u64, 2);
    waited = elapsed(0) - before;
    assert_int_equal(halo_executor_detach(box), 0);
    halo_stats(box, &of);
    halo_close(box);
    assert_true(waited < of.elapsed_ns / 4);
}

static void one_that_waits_has_its_deadline(void **state)
{
    bool was_left;

    (void)state;
    submit_read(0, &tasks[0], 20000000);
    submit_read(1, &tasks[1], HALO_FOREVER);
    turn_until(1);
    assert_int_equal(last_told, 0);
    assert_int_equal(tasks[0].error, HALO_ETIMEDOUT);
    was_left = tasks[0].is_left; /* it had begun */
    /* Then the guest has that call yet: it takes the first bytes, and the next call the others. */
    submit_read(0, &tasks[0], HALO_FOREVER);
    write_to(0, 1);
    write_to(0, 2);
    turn_until(2);
    assert_int_equal(tasks[0].error, 0);
    assert_int_equal(tasks[0].future.result.u64, was_left ? 2 : 1);
    write_to(1, 3);
    turn_until(3);
    assert_int_equal(tasks[1].future.result.u64, 3);
}

static void one_that_waits_is_cancelled(void **state)
{
    (void)state;
    for (int i = 0; i < BOXES; i++)
        submit_read(i, &tasks[i], HALO_FOREVER);
    submit_read(BOXES - 1, &more[0], HALO_FOREVER);
    write_to(0, 5); /* when that is told all may wait */
    turn_until(1);
    for (int i = 1; i < BOXES; i++)
        halo_cancel(&tasks[i]);
    turn_until(BOXES);
    for (int i = 1; i < BOXES; i++)
        assert_int_equal(tasks[i].error, HALO_EINTERRUPTED);
    write_to(BOXES - 1, 6);
    write_to(BOXES - 1, 7);
    turn_until(BOXES + 1);
    assert_int_equal(more[0].error, 0);
    assert_int_equal(more[0].future.result.u64, tasks[BOXES - 1].is_left ? 7 : 6);
}

/* Behind one that waits, others are late, or cancelled, and it waits on. */
static void those_behind_it_are_given_up_by_themselves(void **state)
{
    (void)state;
    submit_read(0, &tasks[0], HALO_FOREVER);
    submit_read(1, &tasks[1], HALO_FOREVER);
    write_to(1, 1);
    turn_until(1); /* by then the first one waits, or is about to */
    submit_read(0, &more[0], 10000000);
    submit_read(0, &more[1], HALO_FOREVER);
    submit_read(0, &more[2], HALO_FOREVER);
    halo_cancel(&more[1]);
    turn_until(3);
    assert_int_equal(more[0].error, HALO_ETIMEDOUT);
    assert_int_equal(more[1].error, HALO_EINTERRUPTED);
    write_to(0, 8);
    write_to(0, 9);
    turn_until(5);
    assert_int_equal(tasks[0].future.result.u64, 8);
    assert_int_equal(more[2].future.result.u64, 9);
}

/* A guest that has ended, and whose output nobody takes yet, waits, too: nothing is cut off. */
static void what_it_wrote_at_its_end_goes_out(void **state)
{
    static char filled[1 << 20];
    ssize_t full = 0, n;

    (void)state;
    while ((n = write(out[1], filled, sizeof(filled))) > 0)
        full += n;
    tasks[0] = (struct halo_task){.done = is_told};
    assert_int_equal(halo_submit(boxes[0], &tasks[0], last_words_of, NULL, 0, HALO_FOREVER), 0);
    for (int i = 1; i < BOXES; i++) { /* the worker is free for others */
        submit_read(i, &tasks[i], HALO_FOREVER);
        write_to(i, 1);
        turn_until(i);
        assert_int_equal(last_told, i);
    }
    while (full > 0 && (n = read(out[0], filled, sizeof(filled))) > 0)
        full -= n;
    assert_int_equal(full, 0);
    turn_until(BOXES);
    assert_int_equal(tasks[0].error, HALO_ESTATE);
    assert_false(tasks[0].is_left);
    assert_int_equal(read(out[0], filled, sizeof(filled)), 4);
    assert_memory_equal(filled, "last", 4);
    submit_read(0, &tasks[0], HALO_FOREVER); /* it runs no more */
    turn_until(BOXES + 1);
    assert_int_equal(tasks[0].error, HALO_ESTATE);
}

static struct halo_pending *kept;
static uint32_t silent; /* a stream from which nothing comes */

/* In place of host.next: of 0 the guest is called, which calls back with 1, and that is kept. */
static void call_and_keep(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_U32);
    struct halo_sandbox *of = halo_call_sandbox(call);
    struct halo_pending *pending;
    struct halo_future inner;
    int error;

    (void)context;
    if (args[0].i64 == 1) {
        assert_int_equal(halo_keep(call, &pending, NULL, NULL), 0);
        __atomic_store_n(&kept, pending, __ATOMIC_RELEASE);
        return;
    }
    error = halo_call(of, &inner, halo_lookup(of, "ask_beside_a_read", &type), 20 * SECONDS,
                      halo_u32(silent));
    halo_return(call, halo_i64(error ? error : inner.result.i64));
    halo_future_free(&inner);
}

/* KEEP-02: a function of the host's waits on the worker, for its guest, which waits for a
 * descriptor and for what another thread says: that is heard at once. */
static void what_is_said_reaches_a_function_that_waits(void **state)
{
    static const struct halo_signature next_type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_options options = way_options(state);
    const char *const args[] = {"guest", "x"};
    const struct halo_value zero = halo_i64(0);
    struct halo_pending *pending;
    int silence[2], ask_of;

    options.args = args;
    options.arg_count = 2;
    if (halo_open(&box, STREAMS, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(pipe2(silence, O_CLOEXEC), 0);
    assert_int_equal(halo_provide(box, "host.next", &next_type, call_and_keep, NULL), 0);
    assert_int_equal(halo_offer(box, "pipe", halo_end_fd(silence[0]), HALO_IN, &silent), 0);
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    ask_of = function("ask_next", FN(HALO_I64, HALO_I64));
    assert_int_equal(halo_executor_attach(executor, box), 0);
    for (int i = 0; i < 3; i++) {
        kept = NULL;
        told = 0;
        tasks[0] = (struct halo_task){.done = is_told};
        assert_int_equal(halo_submit(box, &tasks[0], ask_of, &zero, 1, HALO_FOREVER), 0);
        while (!(pending = __atomic_load_n(&kept, __ATOMIC_ACQUIRE)))
            sched_yield();
        usleep(i == 0 ? 0 : 50000); /* it sleeps by then, mostly; it is right in any case */
        assert_int_equal(halo_return_later(pending, halo_i64(70 + i)), 0);
        turn_until(1);
        assert_int_equal(tasks[0].error, 0);
        assert_int_equal(tasks[0].future.result.i64, 70 + i);
    }
    assert_int_equal(halo_executor_detach(box), 0);
    halo_close(box);
    close(silence[0]);
    close(silence[1]);
}

/* One with a thread of its own is refused. */
static void a_guest_with_a_thread_needs_no_worker(void **state)
{
    struct halo_options options = way_options(state);

    options.threaded = true;
    open_file(FUNCTIONS, options);
    assert_int_equal(halo_executor_attach(executor, box), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(box), "a thread of its own"));
    assert_int_equal(halo_serve_begin(box, 60 * SECONDS), 0);
    halo_close(box);
}

int main(void)
{
    static const struct way_test tests[] = {
        IN_TURNS(each_that_waits_is_answered_by_itself),
        IN_TURNS(one_that_waits_holds_no_worker),
        IN_TURNS(one_that_waits_has_its_deadline),
        IN_TURNS(one_that_waits_is_cancelled),
        IN_TURNS(those_behind_it_are_given_up_by_themselves),
        IN_TURNS(what_it_wrote_at_its_end_goes_out),
        IN_TURNS(what_is_said_reaches_a_function_that_waits),
        IN_TURNS(a_guest_with_a_thread_needs_no_worker),
    };

    return run_every_way("parked", tests, sizeof(tests) / sizeof(tests[0]), open_all, close_all);
}
