/*
 * Requests that are never answered, beside what has to go on; and waits that end when what they
 * wait for has come, whoever took it in. Guests are those of tests/guests/waits.c.
 */
#define _GNU_SOURCE
#include "box.h"

#include <fcntl.h>
#include <sys/socket.h>

static int peers[256]; /* the silent other ends */
static uint32_t peer_count;

static void add(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(args[0].i64 + 10));
}

/* From now on the host's program reads what the guest has written. */
static void add_and_drain(struct halo_call *call, const struct halo_value *args, void *context)
{
    for (uint32_t i = 0; i < peer_count; i++)
        assert_int_equal(fcntl(peers[i], F_SETFL, O_NONBLOCK), 0);
    *(bool *)context = true;
    add(call, args, NULL);
}

static void open_guest(void **state, const char *mode, const char *count, const char *depth,
                       halo_function *function, void *context)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    const char *const args[] = {"waits", mode, count, depth};

    open_box(state, args, depth ? 4 : 3);
    assert_int_equal(halo_provide(box, "host.next", &type, function, context), 0);
    offer("talks", halo_end_memory("12345678", 8, NULL, 0), HALO_IN);
}

/* Streams s000, s001 and so on, whose other ends say nothing and read nothing. */
static void offer_silence(uint32_t count)
{
    const int small = 4096;

    for (peer_count = 0; peer_count < count; peer_count++) {
        char name[16];
        int pair[2];

        (void)snprintf(name, sizeof(name), "s%03u", peer_count);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        offer(name, halo_end_fd(pair[0]), HALO_IN | HALO_OUT);
        close(pair[0]);
        peers[peer_count] = pair[1];
    }
}

static int close_guest(void **state)
{
    (void)state;
    close_box();
    while (peer_count > 0)
        close(peers[--peer_count]);
    return 0;
}

/* --- STR-08: what may never end does not hold what must go on --------------------------------- */

static void beside_silence(void **state, const char *mode, const char *count, const char *depth)
{
    char out[16] = "";

    open_guest(state, mode, count, depth, add, NULL);
    offer_silence((uint32_t)atoi(count));
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, out, sizeof(out))), 0);
    assert_ends();
    assert_string_equal(out, "out\n");
}

static void str_08_85_silent_reads_hold_nothing_else(void **state)
{
    beside_silence(state, "reads", "85", "1");
}

static void str_08_silent_reads_of_every_stream_hold_nothing_else(void **state)
{
    beside_silence(state, "reads", "250", "1");
}

static void str_08_reading_ahead_holds_nothing_else(void **state)
{
    beside_silence(state, "reads", "250", "4");
}

static void str_08_silent_reads_and_writes_hold_nothing_else(void **state)
{
    beside_silence(state, "both", "250", "4");
}

/* What the guest wrote before it closed its streams arrives, in order, and then the end does. */
static void str_05_what_waits_goes_out_before_a_close(void **state)
{
    enum { COUNT = 8, LEN = (HALO_WINDOW_REQUESTS - 1) * 8192 };
    static char got[COUNT][LEN + 1];
    size_t done[COUNT] = {0};
    bool reading = false, ended[COUNT] = {false};
    int code = -1, error;

    open_guest(state, "close", "8", NULL, add_and_drain, &reading);
    offer_silence(COUNT);
    do {
        error = halo_serve_begin(box, 5000000);
        for (uint32_t i = 0; i < COUNT && reading; i++) {
            const ssize_t n = ended[i] ? -1 : read(peers[i], got[i] + done[i], LEN + 1 - done[i]);

            done[i] += n > 0 ? (size_t)n : 0;
            ended[i] |= n == 0;
        }
    } while (error == HALO_ETIMEDOUT);
    if (halo_run(box, PATIENCE, &code))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(code, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        while (!ended[i]) {
            const ssize_t n = read(peers[i], got[i] + done[i], LEN + 1 - done[i]);

            assert_true(n >= 0);
            done[i] += (size_t)n;
            ended[i] = n == 0;
        }
        assert_int_equal(done[i], LEN);
        for (size_t at = 0; at < LEN; at++)
            assert_int_equal(got[i][at], 'A' + at / 8192);
    }
}

/* --- A wait returns when what it waits for is there, whoever took it in ----------------------- */

static void poll_after(void **state, const char *how)
{
    static char out[16];
    int silent[2];

    assert_int_equal(pipe2(silent, O_CLOEXEC), 0);
    open_guest(state, "poll", how, NULL, add, NULL);
    offer("never", halo_end_fd(silent[0]), HALO_IN);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, out, sizeof(out))), 0);
    assert_ends();
    close(silent[0]);
    close(silent[1]);
}

static void a_poll_sees_what_a_calls_wait_took_in(void **state)
{
    poll_after(state, "call");
}

static void a_poll_sees_what_a_flush_took_in(void **state)
{
    poll_after(state, "write");
}

static void a_poll_sees_what_a_look_took_in(void **state)
{
    poll_after(state, "ready");
}

static void a_poll_sees_what_an_open_took_in(void **state)
{
    poll_after(state, "open");
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(str_08_85_silent_reads_hold_nothing_else),
        RINGS(str_08_silent_reads_of_every_stream_hold_nothing_else),
        RINGS(str_08_reading_ahead_holds_nothing_else),
        RINGS(str_08_silent_reads_and_writes_hold_nothing_else),
        RINGS(str_05_what_waits_goes_out_before_a_close),
        RINGS(a_poll_sees_what_a_calls_wait_took_in),
        RINGS(a_poll_sees_what_a_flush_took_in),
        RINGS(a_poll_sees_what_a_look_took_in),
        RINGS(a_poll_sees_what_an_open_took_in),
    };

    return run_every_way("waits", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
