/* The host's program as the other end of a stream. */
#define _GNU_SOURCE
#include "streams_guest.h"

/* --- The host as the other end ---------------------------------------------------------------- */

static void the_host_may_be_the_other_end(void **state)
{
    const uint32_t second = 1000000000;
    uint32_t handle;
    char text[16] = "";
    int code = -1, out[2];

    assert_int_equal(pipe(out), 0);
    open_guest(state, "talk", NULL);
    handle = offer("host", halo_end_host(), HALO_IN | HALO_OUT);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(out[1])), 0);
    assert_int_equal(halo_stream_read(box, handle, text, 2, HALO_FOREVER), 2);
    assert_int_equal(halo_stream_read(box, handle, text + 2, 9, HALO_FOREVER), 3);
    assert_string_equal(text, "hello");
    assert_int_equal(halo_stream_read(box, handle, text, 9, HALO_FOREVER), 0);
    assert_int_equal(halo_stream_read(box, handle, text, 9, HALO_FOREVER), 0);
    assert_int_equal(halo_run(box, second, &code), HALO_EDEADLOCK);
    assert_int_equal(halo_stream_write(box, handle, "good ", 5, HALO_FOREVER), 5);
    assert_int_equal(halo_stream_write(box, handle, "bye", 3, HALO_FOREVER), 3);
    assert_int_equal(halo_stream_end(box, handle), 0);
    assert_ends();
    assert_int_equal(halo_stream_write(box, handle, "x", 1, HALO_FOREVER), HALO_EIO);
    assert_int_equal(read(out[0], text, sizeof(text)), 8);
    assert_memory_equal(text, "good bye", 8);
    close(out[0]);
    close(out[1]);
}

/* Lines go in one by one, and come out when the guest flushes. */
static void the_host_writes_and_reads_in_turns(void **state)
{
    uint32_t in, out;
    int code = -1;

    open_guest(state, "lines", NULL);
    in = offer("in", halo_end_host(), HALO_IN);
    out = offer("out", halo_end_host(), HALO_OUT);
    for (int i = 0; i < 50; i++) {
        const void *bytes;
        char line[40], upper[40];
        const int len = snprintf(line, sizeof(line), "line %d\n\n", i);

        (void)snprintf(upper, sizeof(upper), "LINE %d\n\n", i);
        assert_int_equal(halo_stream_write(box, in, line, (size_t)len, HALO_FOREVER), len);
        assert_int_equal(halo_stream_peek(box, out, &bytes, HALO_FOREVER), len);
        assert_memory_equal(bytes, upper, (size_t)len);
    }
    assert_int_equal(halo_stream_end(box, in), 0);
    {
        const void *bytes;

        assert_int_equal(halo_stream_peek(box, out, &bytes, HALO_FOREVER), 0);
    }
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), HALO_ESTATE);
}

/* The guest waits until its line was taken: whatever runs it next has done so. */
static void what_was_looked_at_is_taken_when_the_guest_runs(void **state)
{
    const void *bytes;
    uint32_t in, out;
    int code = -1;

    open_guest(state, "lines", NULL);
    in = offer("in", halo_end_host(), HALO_IN);
    out = offer("out", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_stream_write(box, in, "one\n\n", 5, HALO_FOREVER), 5);
    assert_int_equal(halo_stream_peek(box, out, &bytes, HALO_FOREVER), 5);
    assert_memory_equal(bytes, "ONE\n\n", 5);
    assert_int_equal(halo_stream_write(box, in, "two\n\n", 5, HALO_FOREVER), 5);
    assert_int_equal(halo_stream_peek(box, out, &bytes, HALO_FOREVER), 5);
    assert_memory_equal(bytes, "TWO\n\n", 5);
    assert_int_equal(halo_stream_end(box, in), 0);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), 0);
    assert_int_equal(code, 0);
}

/* Much more than any buffer, without a copy on the host's side. */
static void the_host_moves_megabytes(void **state)
{
    unsigned char *from = pattern(LEN);
    size_t sent = 0, back = 0;
    uint32_t in, out;
    const void *bytes;
    int64_t len = 1;

    open_guest(state, "filter", NULL);
    in = offer("in", halo_end_host(), HALO_IN);
    out = offer("out", halo_end_host(), HALO_OUT);
    while (len > 0) {
        while (sent < LEN) {
            void *room;

            len = halo_stream_reserve(box, in, &room, HALO_FOREVER);
            if (len == HALO_EDEADLOCK) /* it waits until what it has written is taken */
                break;
            assert_true(len > 0);
            if ((size_t)len > LEN - sent)
                len = (int64_t)(LEN - sent);
            memcpy(room, from + sent, (size_t)len);
            assert_int_equal(halo_stream_commit(box, in, (size_t)len), 0);
            sent += (size_t)len;
            if (sent == LEN)
                assert_int_equal(halo_stream_end(box, in), 0);
        }
        while ((len = halo_stream_peek(box, out, &bytes, HALO_FOREVER)) > 0) {
            assert_in_range(len, 1, LEN - back);
            assert_memory_equal(bytes, from + back, (size_t)len);
            back += (size_t)len;
        }
        if (len == HALO_EDEADLOCK) /* it waits for more to read */
            len = 1;
    }
    assert_int_equal(len, 0);
    assert_int_equal(back, LEN);
    assert_ends();
    free(from);
}

static void misuse_is_an_error(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_U64, HALO_U32);
    struct halo_future future;
    uint32_t own, in, other;
    const void *bytes;
    void *room;
    uint64_t value = 12345;
    int read_one;

    open_guest(state, "", NULL);
    own = offer(NULL, halo_end_host(), HALO_IN | HALO_OUT);
    in = offer(NULL, halo_end_host(), HALO_IN);
    other = offer(NULL, halo_end_memory("", 0, NULL, 0), HALO_IN);
    assert_int_equal(halo_stream_peek(box, in, &bytes, 0), HALO_EINVAL);
    assert_int_equal(halo_stream_reserve(box, other, &room, 0), HALO_EINVAL);
    assert_int_equal(halo_stream_peek(box, 0x99, &bytes, 0), HALO_ESTALE);
    assert_int_equal(halo_stream_commit(box, own, 1), HALO_EINVAL);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    /* It serves calls, and reads nothing. */
    assert_int_equal(halo_stream_write(box, own, "x", 1, HALO_FOREVER), HALO_EDEADLOCK);
    read_one = halo_lookup(box, "read_one", &type);
    halo_call_start(box, &future, read_one, &(struct halo_value){.type = HALO_U32, .u32 = own}, 1);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_EDEADLOCK);
    assert_int_equal(halo_stream_commit(box, own, 9), HALO_EINVAL);
    assert_int_equal(halo_stream_write(box, own, &value, 8, HALO_FOREVER), 8);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), 0);
    assert_true(future.result.u64 == 12345);
    /* One that is taken away in the middle. */
    halo_call_start(box, &future, read_one, &(struct halo_value){.type = HALO_U32, .u32 = own}, 1);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_EDEADLOCK);
    assert_int_equal(halo_stream_close(box, own), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_ECALL);
    assert_int_equal(halo_stream_write(box, own, &value, 8, HALO_FOREVER), HALO_ESTALE);
    /* A standard stream that was closed stays closed. */
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_memory("", 0, NULL, 0)), 0);
    assert_int_equal(halo_stream_close(box, HALO_STDIN), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), HALO_ESTATE);
}

/* The guest closes it while the host waits for room in it. */
static void str_05_a_stream_that_is_closed_wakes_its_host(void **state)
{
    uint32_t handle, in;
    const void *bytes;

    open_guest(state, "quit", NULL);
    handle = offer("host", halo_end_host(), HALO_IN | HALO_OUT);
    in = offer("in", halo_end_host(), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_stream_write(box, handle, "x", 1, HALO_FOREVER), HALO_EIO);
    assert_int_equal(halo_stream_peek(box, handle, &bytes, HALO_FOREVER), 0);
    assert_int_equal(halo_stream_end(box, in), 0);
    assert_ends();
}

/* --- Time, and calls meanwhile ---------------------------------------------------------------- */

/* TIME-01: one deadline for all pieces of a write, however many a slow guest makes of it. */
static void a_write_has_one_deadline(void **state)
{
    static const char bytes[4096];
    uint32_t handle;
    int64_t taken;

    open_guest(state, "drip", NULL);
    handle = offer("host", halo_end_host(), HALO_IN);
    taken = halo_stream_write(box, handle, bytes, sizeof(bytes), 150000000);
    assert_true(taken == HALO_ETIMEDOUT || (taken > 0 && taken < (int64_t)sizeof(bytes)));
}

static void add_ten(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(args[0].i64 + 10));
}

/* The guest's program calls its host on the way to what its host waits for. */
static void a_guest_calls_while_its_host_waits_for_a_stream(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    uint32_t handle;

    open_guest(state, "ask", NULL);
    assert_int_equal(halo_provide(box, "host.next", &type, add_ten, NULL), 0);
    handle = offer("host", halo_end_host(), HALO_OUT);
    for (int64_t i = 0; i < 3; i++) {
        int64_t answer = 0;

        assert_int_equal(halo_stream_read(box, handle, &answer, sizeof(answer), HALO_FOREVER),
                         sizeof(answer));
        assert_int_equal(answer, i + 10);
    }
    assert_ends();
}

/* What is waited for will never come once a function of the host's has closed the stream. */
static void close_it(struct halo_call *call, const struct halo_value *args, void *context)
{
    assert_int_equal(halo_stream_close(halo_call_sandbox(call), *(uint32_t *)context), 0);
    halo_return(call, halo_i64(args[0].i64));
}

static void a_wait_for_a_stream_ends_when_it_is_closed(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    const void *bytes;
    uint32_t handle;

    open_guest(state, "ask", NULL);
    assert_int_equal(halo_provide(box, "host.next", &type, close_it, &handle), 0);
    handle = offer("host", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_stream_peek(box, handle, &bytes, HALO_FOREVER), HALO_ESTALE);
}

/* The guest has asked for 64 bytes, and is in the middle of a call. */
static void write_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const char bytes[100];
    const uint32_t handle = *(uint32_t *)context;

    assert_int_equal(halo_stream_write(box, handle, bytes, 5, HALO_FOREVER), 5);
    assert_int_equal(halo_stream_write(box, handle, bytes, 100, HALO_FOREVER), 59);
    assert_int_equal(halo_stream_write(box, handle, bytes, 1, HALO_FOREVER), HALO_EDEADLOCK);
    assert_non_null(strstr(halo_errmsg(box), "waits for the function of its host's"));
    halo_return(call, halo_i64(args[0].i64));
}

static void a_function_of_the_hosts_may_use_a_stream(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_stream_stats stats;
    uint32_t handle;

    open_guest(state, "beyond", NULL);
    assert_int_equal(halo_provide(box, "host.next", &type, write_inside, &handle), 0);
    handle = offer("in", halo_end_host(), HALO_IN);
    assert_ends();
    assert_int_equal(halo_stream_stats(box, handle, &stats), 0);
    assert_int_equal(stats.bytes_in, 64);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(the_host_may_be_the_other_end),
        RINGS(the_host_writes_and_reads_in_turns),
        RINGS(what_was_looked_at_is_taken_when_the_guest_runs),
        RINGS(the_host_moves_megabytes),
        RINGS(misuse_is_an_error),
        RINGS(str_05_a_stream_that_is_closed_wakes_its_host),
        RINGS(a_write_has_one_deadline),
        RINGS(a_guest_calls_while_its_host_waits_for_a_stream),
        RINGS(a_wait_for_a_stream_ends_when_it_is_closed),
        RINGS(a_function_of_the_hosts_may_use_a_stream),
    };

    return run_every_way("host_end", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
