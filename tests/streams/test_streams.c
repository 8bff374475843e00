/* Streams of real guests: names, handles, errors, connections, and who watches. */
#define _GNU_SOURCE
#include "streams_guest.h"

#include <pthread.h>
#include <sys/resource.h>

/* --- Names, handles, errors ------------------------------------------------------------------- */

static void errors_reach_the_guest(void **state)
{
    int in[2];

    assert_int_equal(pipe(in), 0);
    open_guest(state, "errors", NULL);
    offer("in", halo_end_fd(in[0]), HALO_IN);
    assert_ends();
    close(in[0]);
    close(in[1]);
}

static void a_handle_may_be_an_argument(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_U64, HALO_U32, HALO_U32);
    unsigned char *from = pattern(LEN), *to = calloc(1, LEN);
    struct halo_future future;
    uint32_t in, out;
    int copy;

    open_guest(state, "", NULL);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    copy = halo_lookup(box, "copy", &type);
    for (int i = 0; i < 300; i++) { /* more than there are places */
        in = offer(NULL, halo_end_memory(from, i ? 100 : LEN, NULL, 0), HALO_IN);
        out = offer(NULL, halo_end_memory(NULL, 0, to, LEN), HALO_OUT);
        assert_int_equal(halo_call(box, &future, copy, HALO_FOREVER, halo_u32(in), halo_u32(out)),
                         0);
        assert_memory_equal(from, to, i ? 100 : LEN);
        assert_int_equal(halo_stream_close(box, in), 0);
        assert_int_equal(halo_stream_close(box, out), 0);
    }
    free(from);
    free(to);
}

static void str_08_a_blocked_stream_starves_nobody(void **state)
{
    unsigned char *from = pattern(LEN), *to = calloc(1, LEN);
    int blocked[2];

    assert_int_equal(pipe(blocked), 0);
    open_guest(state, "starve", NULL);
    offer("blocked", halo_end_fd(blocked[0]), HALO_IN);
    offer("slow", halo_end_host(), HALO_OUT); /* which never reads */
    offer("in", halo_end_memory(from, LEN, NULL, 0), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, to, LEN), HALO_OUT);
    assert_ends();
    assert_memory_equal(from, to, LEN);
    close(blocked[0]);
    close(blocked[1]);
    free(from);
    free(to);
}

/* --- Connections ------------------------------------------------------------------------------ */

#define CONNECTIONS 300u /* more than there are places in the table */

static void *connect_all(void *context)
{
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < CONNECTIONS; i += 20) {
        int fds[20];

        for (uint32_t k = 0; k < 20; k++) {
            const uint32_t number = i + k;

            fds[k] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (connect(fds[k], context, sizeof(struct sockaddr_in)) ||
                write(fds[k], &number, sizeof(number)) != sizeof(number))
                abort();
        }
        for (uint32_t k = 0; k < 20; k++) {
            uint32_t number = 0;

            if (recv(fds[k], &number, sizeof(number), MSG_WAITALL) != sizeof(number) ||
                number != 2 * (i + k) || read(fds[k], &number, 1) != 0)
                wrong++;
            close(fds[k]);
        }
    }
    return (void *)(uintptr_t)wrong;
}

static void connections_are_accepted(void **state)
{
    struct sockaddr_in address;
    const int listener = listen_tcp(&address);
    pthread_t clients;
    void *wrong;

    open_guest(state, "connections", "300");
    offer("listener", halo_end_fd(listener), HALO_IN);
    close(listener);
    pthread_create(&clients, NULL, connect_all, &address);
    assert_ends();
    pthread_join(clients, &wrong);
    assert_null(wrong);
}

/* --- Watching --------------------------------------------------------------------------------- */

static void watch(struct halo_sandbox *running, void *context)
{
    struct halo_stats stats;

    halo_stats(running, &stats);
    ++*(uint32_t *)context;
}

/* Nothing ever comes, but whoever watches is called. */
static void a_long_wait_can_be_watched(void **state)
{
    uint32_t looks = 0;
    int in[2], code;

    assert_int_equal(pipe(in), 0);
    open_guest(state, "filter", NULL);
    offer("in", halo_end_fd(in[0]), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    halo_watch(box, 1000000, watch, &looks);
    assert_int_equal(halo_run(box, 300000000, &code), HALO_ETIMEDOUT);
    assert_true(looks > 2);
    close(in[0]);
    close(in[1]);
}

/* TIME-02: also while what it had written before its end waits for somebody to read it; and between
 * two looks the host sleeps. */
static void what_goes_out_after_the_end_can_be_watched(void **state)
{
    struct rusage before, after;
    uint32_t looks = 0;
    int out[2], code;

    assert_int_equal(pipe(out), 0);
    open_guest(state, "pour", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(out[1])), 0);
    halo_watch(box, 1000000, watch, &looks);
    getrusage(RUSAGE_THREAD, &before);
    assert_int_equal(halo_run(box, 600000000, &code), HALO_ETIMEDOUT);
    getrusage(RUSAGE_THREAD, &after);
    assert_true(looks > 20); /* a few of them before its end */
    assert_true(after.ru_nvcsw - before.ru_nvcsw > 20);
    close(out[0]);
    close(out[1]);
}

/* --- What an exit may cost -------------------------------------------------------------------- */

static int64_t read_slowly(void *context, void *to, size_t len)
{
    usleep(20000);
    memset(to, 'x', len);
    ++*(uint32_t *)context;
    return (int64_t)len;
}

/* A window of reads takes 0.6 s; the deadline is looked at after as much as an exit may move. */
static void cost_02_what_streams_move_in_one_exit_is_bounded(void **state)
{
    static const struct halo_end_functions slow = {.read = read_slowly};
    const char *const args[] = {"streams", "filter"};
    struct halo_options options = way_options(state);
    uint32_t reads = 0;
    int code;

    options.args = args;
    options.arg_count = 2;
    options.exit_max = 1;
    assert_int_equal(halo_open(&box, GUEST, &options), 0);
    offer("in", halo_end_functions(&slow, &reads, -1), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_run(box, 100000000, &code), HALO_ETIMEDOUT);
    assert_in_range(reads, 1, 12);
}

/* And however little that is, all of it goes through. */
static void cost_02_a_small_bound_only_takes_turns(void **state)
{
    unsigned char *from = pattern(LEN), *to = calloc(1, LEN);
    const char *const args[] = {"streams", "filter"};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = 2;
    options.exit_max = 1;
    assert_int_equal(halo_open(&box, GUEST, &options), 0);
    offer("in", halo_end_memory(from, LEN, NULL, 0), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, to, LEN), HALO_OUT);
    assert_ends();
    assert_memory_equal(from, to, LEN);
    free(from);
    free(to);
}

int main(void)
{
    static const struct way_test tests[] = {
        IN_TURNS(errors_reach_the_guest),
        RINGS(a_handle_may_be_an_argument),
        RINGS(str_08_a_blocked_stream_starves_nobody),
        RINGS(connections_are_accepted),
        RINGS(a_long_wait_can_be_watched),
        RINGS(cost_02_what_streams_move_in_one_exit_is_bounded),
        RINGS(cost_02_a_small_bound_only_takes_turns),
        RINGS(what_goes_out_after_the_end_can_be_watched),
    };

    return run_every_way("streams", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
