/*
 * halo_interrupt, from threads, handlers and functions, whatever the guest is doing: it ends what
 * runs the guest, once, and nothing that begins later; and nothing is lost by it. On every backend.
 */
#define _GNU_SOURCE
#include "functions.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define ENDLESS halo_u64(UINT64_MAX)

static bool over; /* of threads that interrupt: atomic */
static int urgent;

static void count_urgent(int signal)
{
    (void)signal;
    urgent++;
}

/* Interrupt as soon as there is something to interrupt, which may be right at its beginning. */
static void *interrupt_once(void *nothing)
{
    (void)nothing;
    while (halo_interrupt(box) == HALO_ESTATE && !__atomic_load_n(&over, __ATOMIC_RELAXED))
        sched_yield();
    return NULL;
}

static pthread_t begin(void *(*run)(void *))
{
    pthread_t thread;

    __atomic_store_n(&over, false, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    return thread;
}

static void end(pthread_t thread)
{
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

static void start_spinning(void)
{
    const struct halo_value turns = ENDLESS;

    assert_int_equal(
        halo_call_start(box, &future, function("spin", FN(HALO_I32, HALO_U64)), &turns, 1), 0);
}

/* --- What the guest is doing ------------------------------------------------------------------ */

static void res_14_a_guest_that_computes_is_stopped(void **state)
{
    (void)state;
    start_spinning();
    for (int i = 0; i < 200; i++) { /* a lost one hangs: the guest never answers */
        const pthread_t thread = begin(interrupt_once);
        const int error = halo_wait(&future, HALO_FOREVER);

        end(thread);
        assert_int_equal(error, HALO_EINTERRUPTED);
        assert_false(future.done);
    }
    if (!strstr(halo_errmsg(box), "spin has not answered before halo_interrupt: the guest runs"))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_wait(&future, 1), HALO_ETIMEDOUT); /* none is left over */
}

static void *interrupt_often(void *reached)
{
    static int count;

    (void)reached;
    count = 0;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        count += halo_interrupt(box) == 0;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    return &count;
}

static void it_goes_on_where_it_was_with_its_registers(void **state)
{
    const struct halo_value args[] = {halo_u64(100000000), halo_u64(0xad7)};
    const pthread_t thread = begin(interrupt_often);
    int interrupted = 0, error;
    void *reached;

    (void)state;
    assert_int_equal(
        halo_call_start(box, &future, function("keep", FN(HALO_I32, HALO_U64, HALO_U64)), args, 2),
        0);
    while ((error = halo_wait(&future, HALO_FOREVER)) == HALO_EINTERRUPTED)
        interrupted++;
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    pthread_join(thread, &reached);
    assert_int_equal(error, 0);
    assert_int_equal(future.result.i32, 0);
    assert_true(interrupted <= *(int *)reached);
}

static void open_trouble(void **state, const char *mode)
{
    const char *const args[] = {"trouble", mode};
    struct halo_options options = way_options(state);

    halo_close(box);
    options.args = args;
    options.arg_count = 2;
    if (halo_open(&box, trouble, &options))
        fail_msg("%s", halo_errmsg(box));
}

static void res_14_a_storm_of_exits_is_stopped(void **state)
{
    open_trouble(state, "kick-storm");
    for (int i = 0; i < 200; i++) {
        const pthread_t thread = begin(interrupt_once);
        const int error = halo_run(box, HALO_FOREVER, NULL);

        end(thread);
        assert_int_equal(error, HALO_EINTERRUPTED);
    }
    assert_int_equal(halo_run(box, 1000000, NULL), HALO_ETIMEDOUT);
}

static void a_guest_that_waits_is_left_and_reads_on(void **state)
{
    struct halo_options options = way_options(state);
    int in[2], out[2], code = -1, error;
    char read_back[8] = {0};

    halo_close(box);
    assert_int_equal(halo_open(&box, CAT, &options), 0);
    assert_int_equal(pipe(in) | pipe(out), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(in[0])), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(out[1])), 0);
    for (int i = 0; i < 50; i++) {
        const pthread_t thread = begin(interrupt_once);

        error = halo_run(box, HALO_FOREVER, &code);
        end(thread);
        assert_int_equal(error, HALO_EINTERRUPTED);
    }
    assert_int_equal(write(in[1], "silence", 7), 7);
    close(in[1]);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(read(out[0], read_back, 7), 7);
    assert_string_equal(read_back, "silence");
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

/* --- Who interrupts --------------------------------------------------------------------------- */

static int inner_error;

/* A function of the host's is inside: it goes on, and what it waits for itself does not come. */
static void interrupts(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_future inner;

    (void)context;
    assert_int_equal(halo_interrupt(box), 0);
    assert_int_equal(halo_interrupt(box), 0); /* the same one */
    inner_error = 0;
    if (!halo_call_start(box, &inner, function("nothing", FN(HALO_VOID)), NULL, 0))
        inner_error = halo_wait(&inner, HALO_FOREVER);
    halo_future_free(&inner);
    halo_return(call, halo_i64(2 * args[0].i64));
}

static void a_function_of_the_host_s_goes_on_and_then_it_is_over(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_options options = way_options(state);

    halo_close(box);
    options.ram_len = 64ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &type, interrupts, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)),
                               HALO_FOREVER, halo_i64(20)),
                     HALO_EINTERRUPTED);
    if (!way_is_stacks(state)) /* over those one call is in flight, and the inner one refused */
        assert_int_equal(inner_error, HALO_EINTERRUPTED);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_int_equal(future.result.i64, 41);
}

static void in_a_handler(int signal)
{
    (void)signal;
    (void)halo_interrupt(box);
}

static void a_signal_s_handler_interrupts_its_own_thread(void **state)
{
    const struct itimerval soon = {.it_interval = {0, 1000}, .it_value = {0, 1000}};
    struct sigaction before;
    int error = 0;

    (void)state;
    start_spinning();
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = in_a_handler}, &before);
    setitimer(ITIMER_REAL, &soon, NULL);
    for (int i = 0; i < 20 && error != HALO_ETIMEDOUT; i++) {
        error = halo_wait(&future, 60 * SECONDS);
        assert_int_equal(error, HALO_EINTERRUPTED);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 0}}, NULL);
    sigaction(SIGALRM, &before, NULL);
}

/* --- Once, and nothing else ------------------------------------------------------------------- */

static void where_nothing_runs_nothing_happens(void **state)
{
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(halo_interrupt(box), HALO_ESTATE);
    echo("echo.i32", halo_i32(5));
    assert_int_equal(halo_interrupt(box), HALO_ESTATE);
    echo("echo.i32", halo_i32(6));
    child = fork();
    if (child == 0)
        _exit(halo_interrupt(box) == HALO_ESTATE ? 7 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void *interrupt_always(void *nothing)
{
    static int counts[2];
    static unsigned next;
    int *count = &counts[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 2];

    (void)nothing;
    *count = 0;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        *count += halo_interrupt(box) == 0;
        sched_yield();
    }
    return count;
}

/* Calls so short that most interrupts come at their beginning or end; and no signal gets out. */
static void a_storm_of_interrupts_hits_each_run_once_and_nobody_else(void **state)
{
    const struct halo_value value = halo_i32(7);
    pthread_t threads[2];
    struct sigaction before;
    int interrupted = 0, sum = 0;
    sigset_t pending;

    (void)state;
    urgent = 0;
    sigaction(SIGURG, &(struct sigaction){.sa_handler = count_urgent}, &before);
    for (int i = 0; i < 2; i++)
        threads[i] = begin(interrupt_always);
    for (int i = 0; i < 3000; i++) {
        int error =
            halo_call_start(box, &future, function("echo.i32", FN(HALO_I32, HALO_I32)), &value, 1);

        assert_int_equal(error, 0);
        while ((error = halo_wait(&future, HALO_FOREVER)) == HALO_EINTERRUPTED)
            interrupted++;
        assert_int_equal(error, 0);
        assert_int_equal(future.result.i32, 7);
    }
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) {
        void *reached;

        pthread_join(threads[i], &reached);
        sum += *(int *)reached;
    }
    assert_true(interrupted <= sum);
    sigpending(&pending);
    assert_int_equal(sigismember(&pending, SIGURG), 0);
    assert_int_equal(urgent, 0);
    sigaction(SIGURG, &before, NULL);
    for (int i = 0; i < 100; i++)
        echo("echo.i32", halo_i32(i));
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(res_14_a_guest_that_computes_is_stopped),
        TEST(it_goes_on_where_it_was_with_its_registers),
        TEST(res_14_a_storm_of_exits_is_stopped),
        RINGS(a_guest_that_waits_is_left_and_reads_on),
        TEST(a_function_of_the_host_s_goes_on_and_then_it_is_over),
        TEST(a_signal_s_handler_interrupts_its_own_thread),
        TEST(where_nothing_runs_nothing_happens),
        TEST(a_storm_of_interrupts_hits_each_run_once_and_nobody_else),
    };

    return run_every_way("interrupts", tests, sizeof(tests) / sizeof(tests[0]), open_functions,
                         close_box);
}
