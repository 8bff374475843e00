/*
 * A fork of a host in whose other threads something is going on: what these held is held for ever
 * there, and the fork closes what it has all the same. And a host that closes a sandbox meanwhile.
 * On every backend.
 */
#define _GNU_SOURCE
#include "functions.h"
#include <halo/executor.h>
#include <halo/later.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct halo_pending *pending;

static void keep(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    assert_int_equal(halo_keep(call, &pending, NULL, NULL), 0);
}

static void open_with(void **state, halo_function *twice_by, halo_function *down_by)
{
    open_providing(functions, way_options(state), twice_by, down_by);
    if (halo_serve_begin(box, 60 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
}

static int open_keeper(void **state)
{
    open_with(state, keep, down);
    return 0;
}

static pid_t forked;
static int fork_status;

/* In place of host.down: it forks, and returns in both. */
static void fork_and_return(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    forked = fork();
    assert_true(forked >= 0);
    if (forked == 0) {
        alarm(60);
        (void)halo_return(call, halo_i64(666));
        return;
    }
    assert_int_equal(waitpid(forked, &fork_status, 0), forked);
    assert_int_equal(halo_return(call, halo_i64(args[0].i64)), 0);
}

/* HOST-07: what runs the guest ends in a fork by which its function returns, and touches nothing.
 */
static void a_fork_inside_of_a_function_comes_out_of_it(void **state)
{
    int error;

    halo_close(box);
    open_with(state, twice, fork_and_return);
    for (int i = 0; i < 2; i++) {
        error = halo_call(box, &future, function("down", FN(HALO_I64, HALO_I64)), 30 * SECONDS,
                          halo_i64(20));
        if (forked == 0) {
            if (error != HALO_ESTATE)
                _exit(1);
            if (!strstr(halo_errmsg(box), "not of its fork"))
                _exit(2);
            halo_close(box);
            _exit(0);
        }
        assert_int_equal(error, 0);
        assert_int_equal(fork_status, 0);
        assert_int_equal(future.result.i64, 20);
    }
    assert_int_equal(halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)),
                               30 * SECONDS, halo_i64(20)),
                     0);
    assert_int_equal(future.result.i64, 41);
}

static void tell_nothing(struct halo_task *task, void *context)
{
    (void)task;
    (void)context;
}

/* HOST-07: and on a worker, where there is nobody to return to, it ends; its parent's goes on. */
static void a_fork_inside_of_a_function_on_a_worker_ends(void **state)
{
    struct halo_task tasks[2] = {{.done = tell_nothing}, {.done = tell_nothing}};
    const struct halo_value twenty = halo_i64(20);
    const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_executor *executor;
    int down_of, told = 0;

    halo_close(box);
    open_with(state, twice, fork_and_return);
    down_of = function("down", type);
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(halo_submit(box, &tasks[i], down_of, &twenty, 1, 60 * SECONDS), 0);
    while (told < 2) {
        struct pollfd ready = {.fd = halo_fd(executor), .events = POLLIN};

        assert_int_equal(poll(&ready, 1, 120000), 1); /* a hang, else */
        told += halo_turn(executor);
    }
    assert_true(WIFEXITED(fork_status));
    assert_int_equal(WEXITSTATUS(fork_status), 127);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tasks[i].error, 0);
        assert_int_equal(tasks[i].future.result.i64, 20);
        halo_future_free(&tasks[i].future);
    }
    assert_int_equal(halo_executor_detach(box), 0);
    assert_int_equal(halo_executor_close(executor), 0);
}

static char *withheld; /* a page that is there when it is said to be */
static int reached[2], may_go[2];

static void on_withheld(int signal)
{
    char byte = 0;

    (void)signal;
    (void)!write(reached[1], &byte, 1);
    (void)!read(may_go[0], &byte, 1);
    (void)mprotect(withheld, 4096, PROT_READ);
}

static void *fail_slowly(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)halo_fail_later(pending, 1, withheld);
}

/* HOST-07: what a thread of its parent's was in the middle of holds nothing up. */
static void a_fork_closes_it_while_a_thread_answers(void **state)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));
    const struct sigaction action = {.sa_handler = on_withheld};
    struct halo_executor *executor;
    struct sigaction before;
    pthread_t thread;
    void *result;
    int status = -1;
    pid_t child;
    char byte;

    (void)state;
    withheld = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(withheld != MAP_FAILED && pipe(reached) == 0 && pipe(may_go) == 0);
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    assert_int_equal(halo_call(box, &future, twice_plus, 60 * SECONDS, halo_i64(20)),
                     HALO_EDEADLOCK);
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    assert_int_equal(pthread_create(&thread, NULL, fail_slowly, NULL), 0);
    assert_int_equal(read(reached[0], &byte, 1), 1);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        if (halo_return_later(pending, halo_i64(1)) != HALO_ESTATE)
            _exit(1);
        halo_close(box);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(write(may_go[1], &byte, 1), 1);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal(status, 0);
    assert_ptr_equal(result, NULL);
    assert_int_equal(halo_executor_detach(box), 0);
    assert_int_equal(halo_executor_close(executor), 0);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), HALO_ECALL);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    munmap(withheld, 4096);
    for (int i = 0; i < 2; i++) {
        close(reached[i]);
        close(may_go[i]);
    }
}

static void *let_go_soon(void *unused)
{
    usleep(50000); /* the close is there by then, mostly; it is right in any case */
    (void)!write(may_go[1], "", 1);
    return unused;
}

/* KEEP-03: after an executor, whose worker answered, who answers may be in the middle of it at the
 * close. */
static void a_close_waits_for_a_thread_that_answers(void **state)
{
    const int twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));
    const struct sigaction action = {.sa_handler = on_withheld};
    pthread_t thread, other;
    struct sigaction before;
    void *result;
    char byte;

    (void)state;
    alarm(60); /* a hang, else */
    withheld = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(withheld != MAP_FAILED && pipe(reached) == 0 && pipe(may_go) == 0);
    assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
    assert_int_equal(halo_call(box, &future, twice_plus, 60 * SECONDS, halo_i64(20)),
                     HALO_EDEADLOCK);
    halo_future_free(&future);
    assert_int_equal(pthread_create(&thread, NULL, fail_slowly, NULL), 0);
    assert_int_equal(read(reached[0], &byte, 1), 1);
    assert_int_equal(pthread_create(&other, NULL, let_go_soon, NULL), 0);
    halo_close(box);
    box = NULL;
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_ptr_equal(result, NULL);
    alarm(0);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    munmap(withheld, 4096);
    for (int i = 0; i < 2; i++) {
        close(reached[i]);
        close(may_go[i]);
    }
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(a_fork_inside_of_a_function_comes_out_of_it),
        IN_TURNS(a_fork_inside_of_a_function_on_a_worker_ends),
        IN_TURNS(a_close_waits_for_a_thread_that_answers),
        IN_TURNS(a_fork_closes_it_while_a_thread_answers),
    };

    return run_every_way("forks", tests, sizeof(tests) / sizeof(tests[0]), open_keeper, close_box);
}
