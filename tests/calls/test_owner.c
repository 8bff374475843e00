/*
 * Whose a sandbox is: two threads in one are told so, and so is a fork of its host; neither harms
 * whoever it belongs to. On every backend.
 */
#define _GNU_SOURCE
#include "functions.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* --- HOST-17: two threads --------------------------------------------------------------------- */

static int busy[12];

/* Every function that is asked while another thread is inside. */
static void *intrude(void *nothing)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_stream_stats stream;
    struct halo_future mine;
    const void *bytes;
    void *room;
    int code;

    busy[0] = halo_call_start(box, &mine, 1, NULL, 0);
    assert_true(mine.done && mine.error == HALO_EBUSY);
    busy[1] = halo_run(box, HALO_FOREVER, &code);
    busy[2] = halo_serve_begin(box, HALO_FOREVER);
    busy[3] = halo_poll(box, HALO_FOREVER);
    busy[4] = halo_lookup(box, "down", &type);
    busy[5] = halo_provide(box, "x", &type, twice, NULL);
    busy[6] = halo_attach(box, HALO_STDOUT, halo_end_fd(1));
    busy[7] = halo_stream_close(box, HALO_STDOUT);
    busy[8] = halo_stream_stats(box, HALO_STDOUT, &stream);
    busy[9] = (int)halo_stream_peek(box, HALO_STDOUT, &bytes, 0);
    busy[10] = (int)halo_stream_reserve(box, HALO_STDIN, &room, 0);
    busy[11] = halo_wait(&future, HALO_FOREVER); /* the other thread's call */
    return nothing;
}

/* A function of the host's is inside of what runs the guest: the sandbox is its thread's. */
static void while_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    pthread_t thread;

    (void)context;
    assert_int_equal(pthread_create(&thread, NULL, intrude, NULL), 0);
    pthread_join(thread, NULL);
    halo_return(call, halo_i64(2 * args[0].i64));
}

static void two_threads_in_one_sandbox_are_told_so(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_options options = way_options(state);

    halo_close(box);
    options.ram_len = 64ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &type, while_inside, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)),
                               HALO_FOREVER, halo_i64(20)),
                     0);
    assert_int_equal(future.result.i64, 41);
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++)
        assert_int_equal(busy[i], HALO_EBUSY);
    echo("echo.i32", halo_i32(5)); /* and it is free again */
}

static void *call_on(void *calls)
{
    static const struct halo_value value = {.type = HALO_I32, .i32 = 7};
    int refused = 0;

    for (int i = 0; i < *(int *)calls; i++) {
        struct halo_future mine;
        int error = halo_call_start(box, &mine, 1, &value, 1);

        while (!error && (error = halo_wait(&mine, HALO_FOREVER)) == HALO_EBUSY)
            error = 0; /* the call is in flight: wait again */
        if (error && error != HALO_EBUSY)
            return (void *)-1;
        if (!error && (mine.result.type != HALO_I32 || mine.result.i32 != 7))
            return (void *)-2;
        refused += error == HALO_EBUSY;
        if (!error)
            halo_future_free(&mine);
    }
    return (void *)(intptr_t)refused;
}

/* Whatever they do at once, no answer is wrong, and the guest is blamed for nothing. */
static void two_threads_at_once_harm_nobody(void **state)
{
    pthread_t threads[2];
    int calls = 2000;

    (void)state;
    assert_int_equal(function("echo.i32", FN(HALO_I32, HALO_I32)), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_on, &calls), 0);
    for (int i = 0; i < 2; i++) {
        void *refused;

        pthread_join(threads[i], &refused);
        assert_true((intptr_t)refused >= 0);
    }
    echo("echo.i32", halo_i32(5));
}

/* One call that two threads wait for, the one as soon as the other. */
static unsigned char long_bytes[1000]; /* more than a future holds itself */
static struct halo_future shared;
static pthread_barrier_t ready;

static void *wait_for_shared(void *nothing)
{
    int error;

    (void)nothing;
    pthread_barrier_wait(&ready);
    while ((error = halo_wait(&shared, HALO_FOREVER)) == HALO_EBUSY)
        continue;
    return (void *)(intptr_t)(error == 0 && shared.done && shared.result.len == 1000);
}

/* Both have the answer, whoever has taken it in; any of them frees it, and what it held is free. */
static void two_threads_wait_for_one_future(void **state)
{
    const struct halo_value value = {.type = HALO_BYTES, .bytes = long_bytes, .len = 1000};
    pthread_t threads[2];

    (void)state;
    assert_int_equal(pthread_barrier_init(&ready, NULL, 2), 0);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(halo_call_start(box, &shared,
                                         function("echo.bytes", FN(HALO_BYTES, HALO_BYTES)), &value,
                                         1),
                         0);
        for (int t = 0; t < 2; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, wait_for_shared, NULL), 0);
        for (int t = 0; t < 2; t++) {
            void *good;

            pthread_join(threads[t], &good);
            assert_non_null(good);
        }
        halo_future_free(&shared);
        assert_int_equal(halo_wait(&shared, 0), 0); /* it is done for good */
    }
    pthread_barrier_destroy(&ready);
}

static int echo_bytes; /* its number */

static void *hold_and_free(void *calls)
{
    const struct halo_value value = {.type = HALO_BYTES, .bytes = long_bytes, .len = 1000};

    for (int i = 0; i < *(int *)calls; i++) {
        struct halo_future mine;
        int error = halo_call_start(box, &mine, echo_bytes, &value, 1);

        while (!error && (error = halo_wait(&mine, HALO_FOREVER)) == HALO_EBUSY)
            error = 0;
        if (error && error != HALO_EBUSY)
            return (void *)-1;
        if (!error && mine.result.len != 1000)
            return (void *)-2;
        if (!error)
            halo_future_free(&mine); /* while the other thread is inside */
    }
    return NULL;
}

/* COST-01: what two threads hold and free at once is counted right: as much can be held after. */
static void what_threads_free_is_counted(void **state)
{
    struct halo_options options = way_options(state);
    pthread_t threads[2];
    int calls = 1000;

    halo_close(box);
    options.held_max = 4000; /* two results of theirs, and the arguments of none */
    open_file(functions, options);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    echo_bytes = function("echo.bytes", FN(HALO_BYTES, HALO_BYTES));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_free, &calls), 0);
    for (int i = 0; i < 2; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

/* A call that was given up has no answer to wait for. */
static void a_call_that_was_given_up_is_stale(void **state)
{
    const struct halo_value value = halo_i32(1);

    (void)state;
    assert_int_equal(
        halo_call_start(box, &future, function("echo.i32", FN(HALO_I32, HALO_I32)), &value, 1), 0);
    halo_future_free(&future);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_ESTALE);
    echo("echo.i32", halo_i32(5));
}

/* --- A fork ----------------------------------------------------------------------------------- */

/* What a fork is told; its exit code is the number of the line that was wrong. */
static void be_a_fork(void)
{
    static const struct halo_signature type = HALO_FN(HALO_I32, HALO_I32);
    const struct halo_value value = halo_i32(1);
    struct halo_future mine;
    int code;

    if (halo_lookup(box, "echo.i32", &type) != HALO_ESTATE)
        _exit(1);
    if (!strstr(halo_errmsg(box), "not of its fork"))
        _exit(2);
    if (halo_call_start(box, &mine, 1, &value, 1) != HALO_ESTATE)
        _exit(3);
    if (halo_run(box, HALO_FOREVER, &code) != HALO_ESTATE)
        _exit(4);
    if (halo_attach(box, HALO_STDOUT, halo_end_fd(1)) != HALO_ESTATE)
        _exit(5);
    halo_close(box);
    _exit(0);
}

/* HOST-07: also its streams, and what they share with the fork's. */
static void host_07_a_fork_is_told_and_harms_nothing(void **state)
{
    const struct halo_value text = halo_str("after the fork");
    char got[32] = "";
    int pair[2], status;
    pid_t child;

    if (!way_is_stacks(state)) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        halo_close(box);
        open_file(functions, way_options(state));
        assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_given(pair[0])), 0);
        assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    }
    child = fork();
    if (child == 0)
        be_a_fork();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    echo("echo.i32", halo_i32(5));
    if (way_is_stacks(state))
        return;
    assert_int_equal(
        halo_call_start(box, &future, function("say", FN(HALO_VOID, HALO_STR)), &text, 1), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    halo_future_free(&future);
    echo("echo.i32", halo_i32(5));
    assert_int_equal(recv(pair[1], got, sizeof(got), 0), strlen("after the fork"));
    assert_string_equal(got, "after the fork");
    close(pair[1]);
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(two_threads_in_one_sandbox_are_told_so),
        RINGS(two_threads_at_once_harm_nobody),
        TEST(two_threads_wait_for_one_future),
        RINGS(what_threads_free_is_counted),
        TEST(a_call_that_was_given_up_is_stale),
        TEST(host_07_a_fork_is_told_and_harms_nothing),
    };

    take_files(argc, argv);
    return run_every_way("owner", tests, sizeof(tests) / sizeof(tests[0]), open_functions,
                         close_box);
}
