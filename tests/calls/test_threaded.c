/*
 * A guest on a thread of its own: who sleeps is woken, who is in the guest's way stops it, and what
 * a host may count on is as it is on one thread. All other tests of calls run so, too (ways.h).
 */
#define _GNU_SOURCE
#include "functions.h"
#include "../host/guest_process.h"
#include <halo/inside.h>
#include <halo/snapshot.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define PATIENCE (120 * SECONDS)

static void open_with(void **state, uint32_t poll_ns)
{
    struct halo_options options = way_options(state);

    options.poll_ns = poll_ns;
    open_file(functions, options);
    if (halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
}

static int64_t call_i64(const char *name, struct halo_signature type, struct halo_value value)
{
    if (halo_call(box, &future, function(name, type), PATIENCE, value))
        fail_msg("%s: %s", name, halo_errmsg(box));
    return future.result.i64;
}

/* Calls of both sides, each inside of the other. */
static void call_both_ways(int count)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(call_i64("twice_plus", FN(HALO_I64, HALO_I64), halo_i64(i)), 2 * i + 1);
        if (i % 16 == 0)
            assert_int_equal(call_i64("fan", FN(HALO_I64, HALO_U32), halo_u32(30)), 870);
    }
}

/* Nobody looks before it sleeps: each is woken for whatever comes. */
static void who_sleeps_is_woken(void **state)
{
    open_with(state, HALO_POLL_NEVER);
    call_both_ways(500);
    assert_true(stats().waits > 0);
}

/* Both look for as long as they like, or hardly, so that they sleep in the middle of things. */
static void looks_of_every_length_lose_nothing(void **state)
{
    for (uint32_t ns = 100; ns < 10000000; ns *= 10) {
        open_with(state, ns);
        call_both_ways(200);
        halo_close(box);
    }
    box = NULL;
}

/* While the host does nothing the guest comes to its wait, and is woken from there. */
static void a_guest_waits_for_its_host_as_long_as_it_likes(void **state)
{
    open_with(state, 0);
    for (int i = 0; i < 20; i++) {
        call_both_ways(3);
        usleep(2000);
    }
}

static void at_a_time_limit_it_stands_still(void **state)
{
    const struct halo_value turns = halo_u64(20000000000);

    open_with(state, 0);
    assert_int_equal(
        halo_call_start(box, &future, function("spin", FN(HALO_I32, HALO_U64)), &turns, 1), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(halo_wait(&future, 1000000), HALO_ETIMEDOUT);
        assert_non_null(strstr(halo_errmsg(box), "the guest runs"));
    }
    /* No snapshot is to be had of one that stands in the middle of its code. */
    {
        struct halo_snapshot *snapshot;

        assert_int_equal(halo_snapshot(box, &snapshot), HALO_ESTATE);
    }
    halo_future_free(&future);
}

/* There is something new whenever the host looks. */
static void time_08_a_guest_that_asks_without_end_outlasts_no_time_limit(void **state)
{
    int twice_plus;

    open_with(state, 0);
    twice_plus = function("twice_plus", FN(HALO_I64, HALO_I64));
    /* From here on it runs for as long as its answer might have taken. */
    assert_int_equal(
        halo_call(box, &future, function("ask", FN(HALO_VOID, HALO_U32)), PATIENCE, halo_u32(64)),
        0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(halo_call(box, &future, twice_plus, 1000000, halo_i64(1)), HALO_ETIMEDOUT);
}

static void a_snapshot_waits_for_the_guest_s_wait(void **state)
{
    struct halo_snapshot *snapshot;

    open_with(state, 10000000);
    for (int i = 0; i < 20; i++) {
        call_both_ways(1); /* behind which it looks for more, and does not wait yet */
        if (halo_snapshot(box, &snapshot))
            fail_msg("%s", halo_errmsg(box));
        call_both_ways(1);
        assert_int_equal(halo_restore(box, snapshot), 0);
        call_both_ways(1);
        halo_snapshot_free(snapshot);
    }
}

static void *interrupt_once(void *is_over)
{
    while (halo_interrupt(box) == HALO_ESTATE &&
           !__atomic_load_n((bool *)is_over, __ATOMIC_RELAXED))
        sched_yield();
    return NULL;
}

/* It has said something, and goes on without end beside its host. */
static void leave_it_at_work(void **state)
{
    const char *const args[] = {"last", "loop"};
    struct halo_options options = way_options(state);
    char said[8];

    options.args = args;
    options.arg_count = 2;
    if (halo_open(&box, LAST, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_attach(box, HALO_STDERR, halo_end_host()), 0);
    if (halo_stream_read(box, HALO_STDERR, said, sizeof(said), PATIENCE) <= 0)
        fail_msg("%s", halo_errmsg(box));
}

/* Until it comes to its wait, halo_interrupt counts for what would look inside, too. */
static void an_interrupt_ends_the_wait_of_a_snapshot(void **state)
{
    int error = 0;

    /* The guest may stand at its wait yet, or the thread be late: then it is tried once more. */
    for (int i = 0; i < 1000 && error != HALO_EINTERRUPTED; i++) {
        struct halo_snapshot *snapshot;
        bool is_over = false;
        pthread_t thread;

        leave_it_at_work(state);
        assert_int_equal(pthread_create(&thread, NULL, interrupt_once, &is_over), 0);
        error = halo_snapshot(box, &snapshot);
        __atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
        pthread_join(thread, NULL);
        if (error && error != HALO_EINTERRUPTED)
            assert_int_equal(error, HALO_ESTATE);
        assert_true((error == 0) == (snapshot != NULL));
        halo_snapshot_free(snapshot);
        halo_close(box);
    }
    assert_int_equal(error, HALO_EINTERRUPTED);
    box = NULL;
}

static void what_looks_inside_lets_it_come_to_its_wait_or_stops_it(void **state)
{
    struct halo_frame frames[8];

    leave_it_at_work(state);
    assert_true(halo_backtrace(box, frames, 8) > 0);
    assert_int_equal(halo_interrupt(box), HALO_ESTATE);
}

/* It is closed, or restored, wherever it is. */
static void it_is_closed_in_the_middle_of_its_code(void **state)
{
    const struct halo_value turns = halo_u64(20000000000);

    for (int i = 0; i < 10; i++) {
        open_with(state, 0);
        assert_int_equal(
            halo_call_start(box, &future, function("spin", FN(HALO_I32, HALO_U64)), &turns, 1), 0);
        if (i % 2)
            assert_int_equal(halo_wait(&future, i * 100000), HALO_ETIMEDOUT);
        halo_close(box);
        halo_future_free(&future);
    }
    box = NULL;
}

static void *call_in_turn(void *count)
{
    call_both_ways((int)(intptr_t)count);
    return NULL;
}

/* The host's side goes from thread to thread. */
static void the_host_may_be_another_thread_each_time(void **state)
{
    open_with(state, 0);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, call_in_turn, (void *)(intptr_t)3), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        call_both_ways(1);
    }
}

static int threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

/* The thread is the sandbox's: it ends with it, and handles none of the host's signals. */
static void the_thread_ends_with_it_and_takes_no_signals(void **state)
{
    const int before = threads();
    sigset_t mask, after;

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    open_with(state, 0);
    assert_true(threads() > before); /* KVM has one of its own, too */
    call_both_ways(3);
    kill(getpid(), SIGUSR2); /* this thread's, as the other one blocks all */
    call_both_ways(3);
    sigpending(&after);
    assert_int_equal(sigismember(&after, SIGUSR2), 1);
    assert_int_equal(sigwaitinfo(&mask, NULL), SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &mask, &after);
    assert_int_equal(sigismember(&after, SIGURG), 0);
    assert_int_equal(sigismember(&after, SIGPIPE), 0);
    halo_close(box);
    box = NULL;
    assert_int_equal(threads(), before);
}

/* What runs the guest's code: a process, or of the threads that are not this one the one that the
 * kernel has not made. */
static pid_t guest_thread(void)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    pid_t found = process_guest_of(getpid());

    assert_non_null(dir);
    while (found <= 0 && (entry = readdir(dir))) {
        char path[300], name[8] = "";
        FILE *file;

        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "r");
        assert_non_null(file);
        if (fgets(name, sizeof(name), file) && strncmp(name, "kvm-", 4) != 0)
            found = atoi(entry->d_name);
        (void)fclose(file);
    }
    closedir(dir);
    assert_true(found > 0);
    return found;
}

/* Where both stood on one processor the kernel may leave them; whatever is done about it, the
 * thread may go where it might before. */
static void its_thread_may_use_the_processors_that_it_might_before(void **state)
{
    cpu_set_t all, one, now;
    pid_t thread;

    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    if (CPU_COUNT(&all) < 2)
        skip();
    open_with(state, 0);
    thread = guest_thread();
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    for (int i = 0; i < 30; i++) {
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        assert_int_equal(sched_setaffinity(thread, sizeof(one), &one), 0);
        call_both_ways(3);
        assert_int_equal(sched_setaffinity(thread, sizeof(all), &all), 0);
        if (i % 2 == 0)
            assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
        call_both_ways(30);
        assert_int_equal(sched_getaffinity(thread, sizeof(now), &now), 0);
        assert_true(CPU_EQUAL(&now, &all));
        assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    }
}

/* A fork has no such thread, and closes what it has of the sandbox. */
static void a_fork_closes_it(void **state)
{
    pid_t child;
    int status = -1;

    open_with(state, 0);
    call_both_ways(3);
    child = fork();
    if (child == 0) {
        alarm(60);
        if (halo_run(box, SECONDS, NULL) != HALO_ESTATE)
            _exit(1);
        halo_close(box);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    call_both_ways(3);
}

static void it_ends_well_and_badly(void **state)
{
    int code = -1;

    open_with(state, 0);
    call_both_ways(3);
    assert_int_equal(halo_run(box, PATIENCE, &code), 0);
    assert_int_equal(code, 0);
    halo_close(box);
    open_with(state, 0);
    assert_int_equal(halo_call_start(box, &future, function("crash", FN(HALO_VOID)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, PATIENCE), HALO_EFAULT);
    assert_non_null(halo_fault(box));
    halo_future_free(&future);
}

static void stacks_have_no_threads(void **state)
{
    struct halo_options options = way_options(state);

    options.threaded = true;
    assert_int_equal(halo_open(&box, functions, &options), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(box), "stacks"));
}

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        THREADED(who_sleeps_is_woken),
        THREADED(looks_of_every_length_lose_nothing),
        THREADED(a_guest_waits_for_its_host_as_long_as_it_likes),
        THREADED(at_a_time_limit_it_stands_still),
        THREADED(time_08_a_guest_that_asks_without_end_outlasts_no_time_limit),
        THREADED(a_snapshot_waits_for_the_guest_s_wait),
        THREADED(an_interrupt_ends_the_wait_of_a_snapshot),
        THREADED(what_looks_inside_lets_it_come_to_its_wait_or_stops_it),
        THREADED(it_is_closed_in_the_middle_of_its_code),
        THREADED(the_host_may_be_another_thread_each_time),
        THREADED(the_thread_ends_with_it_and_takes_no_signals),
        THREADED(its_thread_may_use_the_processors_that_it_might_before),
        THREADED(a_fork_closes_it),
        THREADED(it_ends_well_and_badly),
        STACKS(stacks_have_no_threads),
    };

    take_files(argc, argv);
    return run_every_way("threaded", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
