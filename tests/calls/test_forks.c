/*
 * A fork of a host in whose other threads something is going on: what these held is held for ever
 * there, and the fork closes what it has all the same. On every backend.
 */
#define _GNU_SOURCE
#include "functions.h"
#include <halo/executor.h>
#include <halo/later.h>
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

static int open_keeper(void **state)
{
    static const struct halo_signature i64_i64 = HALO_FN(HALO_I64, HALO_I64);
    static const struct halo_signature str_u32 = HALO_FN(HALO_STR, HALO_U32);
    static const struct halo_signature void_i64 = HALO_FN(HALO_VOID, HALO_I64);
    const struct halo_options options = way_options(state);

    if (halo_open(&box, functions, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.twice", &i64_i64, keep, NULL), 0);
    assert_int_equal(halo_provide(box, "host.down", &i64_i64, down, NULL), 0);
    assert_int_equal(halo_provide(box, "host.text", &str_u32, text, NULL), 0);
    assert_int_equal(halo_provide(box, "host.note", &void_i64, note, NULL), 0);
    if (halo_serve_begin(box, 60 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    return 0;
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

int main(void)
{
    static const struct way_test tests[] = {
        IN_TURNS(a_fork_closes_it_while_a_thread_answers),
    };

    return run_every_way("forks", tests, sizeof(tests) / sizeof(tests[0]), open_keeper, close_box);
}
