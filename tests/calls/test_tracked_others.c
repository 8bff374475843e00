/*
 * Large guests of which not all is compared, among others: other snapshots, clones, fleets, forks,
 * and programs with a C library. SNP-14.
 */
#define _GNU_SOURCE
#include "large_box.h"
#include <halo/executor.h>
#include <halo/fleet.h>

#include <poll.h>
#include <sys/wait.h>

/* --- Other snapshots, sandboxes, hosts -------------------------------------------------------- */

static void what_is_known_is_known_of_one_snapshot(void **state)
{
    unsigned char *first;

    open_large(state, NULL, LEN, PAGES);
    first = before;
    before = NULL;
    stamp(77, 1500);
    take(&second);
    before = memory(0, LEN);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        unsigned char *const this = before;

        stamp(i, 50);
        restore(second);
        same(LEN);
        if (i % 2)
            restore(second);
        before = first;
        restore(snapshot);
        same(LEN);
        if (i % 3)
            restore(snapshot);
        stamp(i, 50);
        restore(snapshot);
        same(LEN);
        before = this;
    }
    free(first);
}

static void clones_go_their_own_ways(void **state)
{
    const struct halo_options options = way_options(state);

    open_large(state, NULL, LEN, PAGES);
    halo_close(box);
    box = NULL;
    for (uint32_t k = 0; k < 2; k++) { /* one of them at a time can be told apart, by its mapping */
        if (halo_open_snapshot(&box, snapshot, &options))
            fail_msg("%s", halo_errmsg(box));
        if (k == 0) {
            assert_int_equal(halo_open_snapshot(&other, snapshot, &options), 0);
            halo_close(other);
            other = NULL;
        }
        assert_int_equal(halo_provide(box, "host.text", &text_type, text, NULL), 0);
        same(LEN);
        settle();
        for (uint32_t i = 0; i < ROUNDS; i++) {
            stamp(i + 10 * k, 20 + 300 * (i % 2));
            restore(snapshot);
            same(LEN);
            (void)call1("ask", 20000);
            (void)call1("more", 20);
            restore(snapshot);
            same(LEN);
            if (i == 3)
                settle();
        }
        halo_close(box);
        box = NULL;
    }
}

static void two_clones_do_not_see_each_other(void **state)
{
    const struct halo_options options = way_options(state);
    struct halo_sandbox *both[2];

    open_large(state, NULL, LEN, PAGES);
    both[0] = box;
    assert_int_equal(halo_open_snapshot(&both[1], snapshot, &options), 0);
    other = both[1];
    assert_int_equal(halo_provide(other, "host.text", &text_type, text, NULL), 0);
    for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
        /* whatever fails, both are closed once */
        box = both[i % 2];
        other = both[1 - i % 2];
        stamp(i, 200);
        box = both[i / 2 % 2];
        other = both[1 - i / 2 % 2];
        restore(snapshot);
        restore(snapshot);
    }
    for (uint32_t i = 0; i < 2; i++) {
        box = both[i];
        other = both[1 - i];
        restore(snapshot);
    }
    for (uint32_t which = 0; which < 2; which++) {
        read_memory(after, which, LEN);
        assert_memory_equal(before, after, LEN - 2 * HALO_PAGE);
    }
}

/* A fork, that lives on meanwhile or not, has its own copies and none of the protections. */
static void a_fork_of_the_host_changes_nothing(void **state)
{
    const struct halo_options options = way_options(state);

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < ROUNDS; i++) {
            int hold[2];
            char byte;
            pid_t pid;

            assert_int_equal(pipe(hold), 0);
            pid = fork();
            if (pid == 0) {
                close(hold[1]);
                if (i % 2)
                    halo_close(box);
                (void)!read(hold[0], &byte, 1);
                _exit(0);
            }
            stamp(i, 200);
            (void)call1("ask", 20000);
            restore(snapshot);
            same(LEN);
            close(hold[0]);
            close(hold[1]);
            assert_int_equal(waitpid(pid, NULL, 0), pid);
            stamp(i + 30, 200);
            restore(snapshot);
            same(LEN);
        }
        halo_close(box);
        box = NULL;
        if (k == 0) {
            assert_int_equal(halo_open_snapshot(&box, snapshot, &options), 0);
            assert_int_equal(halo_provide(box, "host.text", &text_type, text, NULL), 0);
            settle();
        }
    }
}

static int told;

static void done(struct halo_task *task, void *context)
{
    (void)context;
    told = task->error ? task->error : 1;
}

static void it_is_so_on_threads_of_an_executor(void **state)
{
    struct halo_executor *executor;

    open_large(state, NULL, LEN, PAGES);
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    for (uint32_t i = 0; i < 4 && !way_options(state).threaded; i++) {
        const struct halo_value args[] = {halo_u32(i), halo_u32(200)};
        struct halo_task task = {.done = done};

        told = 0;
        assert_int_equal(halo_executor_attach(executor, box), 0);
        assert_int_equal(halo_submit(box, &task, function(box, "stamp"), args, 2, HALO_FOREVER), 0);
        while (!told) {
            struct pollfd ready = {.fd = halo_fd(executor), .events = POLLIN};

            assert_int_equal(poll(&ready, 1, 60000), 1);
            (void)halo_turn(executor);
        }
        assert_int_equal(told, 1);
        halo_future_free(&task.future);
        assert_int_equal(halo_executor_detach(box), 0);
        restore(snapshot);
        same(LEN);
    }
    assert_int_equal(halo_executor_close(executor), 0);
}

static int prepare(struct halo_sandbox *of, void *unused)
{
    (void)unused;
    return halo_provide(of, "host.text", &text_type, text, NULL);
}

/* What a fleet gives out was another tenant's. */
static void a_fleet_gives_out_what_it_was_given(void **state)
{
    const struct halo_options sandbox = way_options(state);
    const struct halo_fleet_options options = {.sandbox = &sandbox, .max = 1, .prepare = prepare};
    struct halo_fleet *fleet;
    struct halo_sandbox *given;

    open_large(state, NULL, LEN, PAGES);
    halo_close(box);
    box = NULL;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
        assert_int_equal(halo_fleet_take(fleet, snapshot, PATIENCE, NULL, &given), 0);
        box = given;
        same(LEN);
        stamp(i, 100);
        if (i % 4 == 3) {
            start("loop", NULL, 0);
            (void)halo_wait(&future, 20000000);
        }
        halo_future_free(&future);
        assert_int_equal(halo_fleet_give(fleet, box), 0);
        box = NULL;
    }
    halo_fleet_close(fleet);
}

/* --- Programs with a C library ---------------------------------------------------------------- */

static uint64_t ask(const char *name, uint64_t value)
{
    const struct halo_value arg = halo_u64(value);

    return call(name, &arg, 1).u64;
}

/* Memory at other addresses is written there, and protections change. */
static void far_memory_and_changed_protections(void **state)
{
    const uint64_t len = 32ull << 20;

    open_box(state, FAR, NULL, len);
    serve();
    assert_int_equal(ask("wall", 1), 0);
    ask("keep", 3);
    take(&snapshot);
    before = memory(0, len);
    settle();
    same(len);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(ask("wall", 2 + i), 0);
        restore(snapshot);
        same(len);
        assert_int_equal(ask("look", 3), 0);
        ask("keep", 70 + i);
        if (i % 2)
            assert_int_equal(ask("guard", 1), 0);
        restore(snapshot);
        same(len);
        assert_int_equal(ask("look", 3), 0);
        assert_int_equal(ask("guard", 2), 0); /* given back */
        ask("keep", 90 + i);
        restore(snapshot);
        same(len);
        settle();
        same(len);
    }
}

/* How messages travel makes no difference here. */
#define HERE(function) WAY_TEST(function, WAY_STACKS | WAY_PLAIN)

int main(void)
{
    static const struct way_test tests[] = {
        HERE(what_is_known_is_known_of_one_snapshot), HERE(clones_go_their_own_ways),
        HERE(two_clones_do_not_see_each_other),       HERE(a_fork_of_the_host_changes_nothing),
        HERE(it_is_so_on_threads_of_an_executor),     HERE(a_fleet_gives_out_what_it_was_given),
        HERE(far_memory_and_changed_protections),
    };

    return run_every_way("tracked_others", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
