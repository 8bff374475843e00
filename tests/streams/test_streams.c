/* Streams of real guests, on every backend: every kind of end, and the host as one. */
#define _GNU_SOURCE
#include "../calls/ways.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char guest[] = GUEST;
static struct halo_sandbox *box;

static void open_guest(void **state, const char *mode, const char *count)
{
    const char *const args[] = {"streams", mode, count};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = count ? 3 : 2;
    if (halo_open(&box, guest, &options))
        fail_msg("%s", halo_errmsg(box));
}

/* Run it to its end. */
static void assert_ends(void)
{
    int code = -1;

    if (halo_run(box, HALO_FOREVER, &code))
        fail_msg("%s: %s", halo_backend_name(box), halo_errmsg(box));
    assert_int_equal(code, 0);
}

static int close_guest(void **state)
{
    (void)state;
    halo_close(box);
    box = NULL;
    return 0;
}

static uint32_t offer(const char *name, struct halo_end end, uint32_t ways)
{
    uint32_t handle;

    if (halo_offer(box, name, end, ways, &handle))
        fail_msg("%s", halo_errmsg(box));
    return handle;
}

/* Bytes that are nowhere the same. */
static unsigned char *pattern(size_t len)
{
    unsigned char *bytes = malloc(len);
    uint64_t x = 88172645463325252ull;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (unsigned char)x;
    }
    return bytes;
}

#define LEN ((3u << 20) + 123)

/* --- Ends ------------------------------------------------------------------------------------- */

static void memory_goes_through_a_filter(void **state)
{
    unsigned char *from = pattern(LEN), *to = calloc(1, LEN);

    open_guest(state, "filter", NULL);
    offer("in", halo_end_memory(from, LEN, NULL, 0), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, to, LEN), HALO_OUT);
    assert_ends();
    assert_memory_equal(from, to, LEN);
    free(from);
    free(to);
}

static void files_are_read_and_written_from_an_offset(void **state)
{
    unsigned char *from = pattern(LEN), *to = malloc(LEN);
    const int in = memfd_create("in", 0), out = memfd_create("out", 0);

    assert_int_equal(pwrite(in, from, LEN, 1000), LEN);
    assert_int_equal(pwrite(out, "kept", 4, 0), 4);
    open_guest(state, "filter", NULL);
    offer("in", halo_end_file(in, 1000), HALO_IN);
    offer("out", halo_end_file(out, 4), HALO_OUT);
    assert_ends();
    assert_int_equal(lseek(in, 0, SEEK_CUR), 0); /* the descriptor's own offset is not used */
    assert_int_equal(pread(out, to, 4, 0), 4);
    assert_memory_equal(to, "kept", 4);
    assert_int_equal(pread(out, to, LEN, 4), LEN);
    assert_memory_equal(from, to, LEN);
    close(in);
    close(out);
    free(from);
    free(to);
}

/* The other ends of two pipes or sockets: writes all and closes; reads until the end. */
struct peer {
    int to, from;
    const unsigned char *bytes;
    unsigned char *back;
};

static void *write_all(void *context)
{
    const struct peer *peer = context;

    for (size_t done = 0; done < LEN;) {
        const ssize_t n =
            write(peer->to, peer->bytes + done, LEN - done < 7777 ? LEN - done : 7777);

        if (n <= 0)
            abort();
        done += (size_t)n;
    }
    shutdown(peer->to, SHUT_WR);
    close(peer->to);
    return NULL;
}

static void *read_all(void *context)
{
    const struct peer *peer = context;
    size_t done = 0;
    ssize_t n;

    while ((n = read(peer->from, peer->back + done, LEN - done + 1)) > 0)
        done += (size_t)n;
    close(peer->from);
    return (void *)(uintptr_t)done;
}

/* Run the filter between two descriptors, whose other ends threads have. */
static void run_between(void **state, int in, int out, struct peer peer)
{
    unsigned char *from = pattern(LEN);
    pthread_t writer, reader;
    void *len;

    peer.bytes = from;
    peer.back = malloc(LEN + 1);
    open_guest(state, "filter", NULL);
    offer("in", halo_end_fd(in), HALO_IN);
    offer("out", halo_end_fd(out), HALO_OUT);
    close(in); /* the streams have their own */
    close(out);
    pthread_create(&writer, NULL, write_all, &peer);
    pthread_create(&reader, NULL, read_all, &peer);
    assert_ends();
    halo_close(box);
    box = NULL;
    pthread_join(writer, NULL);
    pthread_join(reader, &len);
    assert_int_equal((uintptr_t)len, LEN);
    assert_memory_equal(peer.back, from, LEN);
    free(peer.back);
    free(from);
}

static void pipes_are_waited_for(void **state)
{
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    run_between(state, in[0], out[1], (struct peer){.to = in[1], .from = out[0]});
}

static void unix_sockets_are_waited_for(void **state)
{
    int in[2], out[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
    run_between(state, in[0], out[1], (struct peer){.to = in[1], .from = out[0]});
}

/* A listening socket on the loopback, and its address. */
static int listen_tcp(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

static void tcp_sockets_are_waited_for(void **state)
{
    struct sockaddr_in address;
    const int listener = listen_tcp(&address);
    int in[2], out[2];

    for (int i = 0; i < 2; i++) {
        int *pair = i ? out : in;

        pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(pair[0], (struct sockaddr *)&address, sizeof(address)), 0);
        pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(pair[1] >= 0);
    }
    close(listener);
    run_between(state, in[0], out[1], (struct peer){.to = in[1], .from = out[0]});
}

/* Functions that do as much as they like, and sometimes nothing yet. */
struct trickle {
    const unsigned char *from;
    unsigned char *to;
    size_t read, written;
    uint32_t calls;
    int wake[2]; /* a pipe that has a byte in it */
    bool closed;
};

static int64_t trickle_part(struct trickle *trickle, size_t len, size_t left)
{
    size_t part = 1 + trickle->calls * 37 % 20000;

    if (++trickle->calls % 5 == 0)
        return -EAGAIN;
    if (part > len)
        part = len;
    return (int64_t)(part < left ? part : left);
}

static int64_t trickle_read(void *context, void *to, size_t len)
{
    struct trickle *trickle = context;
    const int64_t part = trickle_part(trickle, len, LEN - trickle->read);

    if (part > 0) {
        memcpy(to, trickle->from + trickle->read, (size_t)part);
        trickle->read += (size_t)part;
    }
    return part;
}

static int64_t trickle_write(void *context, const void *from, size_t len)
{
    struct trickle *trickle = context;
    const int64_t part = trickle_part(trickle, len, LEN - trickle->written);

    if (part > 0) {
        memcpy(trickle->to + trickle->written, from, (size_t)part);
        trickle->written += (size_t)part;
    }
    return part;
}

static void trickle_closed(void *context)
{
    ((struct trickle *)context)->closed = true;
}

static void functions_may_wait(void **state)
{
    static const struct halo_end_functions functions = {trickle_read, trickle_write,
                                                        trickle_closed};

    for (int with_fd = 0; with_fd < 2; with_fd++) {
        struct trickle trickle = {.from = pattern(LEN), .to = malloc(LEN)};
        uint32_t again = 0;
        int code = -1, error;

        assert_int_equal(pipe(trickle.wake), 0);
        assert_int_equal(write(trickle.wake[1], "x", 1), 1);
        open_guest(state, "filter", NULL);
        offer("in", halo_end_functions(&functions, &trickle, with_fd ? trickle.wake[0] : -1),
              HALO_IN);
        offer("out", halo_end_functions(&functions, &trickle, with_fd ? trickle.wake[0] : -1),
              HALO_OUT);
        while ((error = halo_run(box, HALO_FOREVER, &code)) == HALO_EDEADLOCK)
            again++;
        assert_int_equal(error, 0);
        assert_true(with_fd ? again == 0 : again > 10);
        assert_memory_equal(trickle.to, trickle.from, LEN);
        assert_false(trickle.closed);
        halo_close(box);
        box = NULL;
        assert_true(trickle.closed);
        close(trickle.wake[0]);
        close(trickle.wake[1]);
        free(trickle.to);
        free((void *)(uintptr_t)trickle.from);
    }
}

/* As many bytes as somebody wants, each of which says where it is. */
struct flood {
    uint64_t read, written, len;
};

static int64_t flood_read(void *context, void *to, size_t len)
{
    struct flood *flood = context;
    const uint64_t left = flood->len - flood->read;

    if (len > left)
        len = (size_t)left;
    memset(to, (int)(flood->read >> 14), len);
    flood->read += len;
    return (int64_t)len;
}

static int64_t flood_write(void *context, const void *from, size_t len)
{
    struct flood *flood = context;
    const unsigned char *bytes = from;

    if (bytes[0] != (unsigned char)(flood->written >> 14) ||
        bytes[len - 1] != (unsigned char)((flood->written + len - 1) >> 14))
        return -EIO;
    flood->written += len;
    return (int64_t)len;
}

static long peak_kib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* 8 GiB of them in the long run of the tests: the host needs no more for that than for a few. */
static void bytes_without_end_need_no_memory(void **state)
{
    static const struct halo_end_functions functions = {flood_read, flood_write, NULL};
    const char *const args[] = {"streams", "filter"};
    struct halo_options options = way_options(state);
    struct flood flood = {.len = getenv("DEEP") ? 8ull << 30 : 128ull << 20};
    struct halo_stats stats;
    long before = 0;

    options.ram_len = 32ull << 20;
    options.args = args;
    options.arg_count = 2;
    for (int i = 0; i < 2; i++) { /* a few first */
        const uint64_t len = i ? flood.len : 32ull << 20;

        before = peak_kib();
        flood = (struct flood){.len = len};
        assert_int_equal(halo_open(&box, guest, &options), 0);
        offer("in", halo_end_functions(&functions, &flood, -1), HALO_IN);
        offer("out", halo_end_functions(&functions, &flood, -1), HALO_OUT);
        assert_ends();
        halo_stats(box, &stats);
        assert_true(flood.written == len);
        assert_true(stats.bytes_in == len && stats.bytes_out == len);
        halo_close(box);
        box = NULL;
        flood.len = getenv("DEEP") ? 8ull << 30 : 128ull << 20;
    }
    assert_in_range(peak_kib() - before, 0, 4096);
}

static void a_broken_pipe_is_an_error_and_no_signal(void **state)
{
    int out[2];
    int code = 0;

    assert_int_equal(pipe(out), 0);
    open_guest(state, "filter", NULL);
    offer("in", halo_end_memory(guest, sizeof(guest), NULL, 0), HALO_IN);
    offer("out", halo_end_fd(out[1]), HALO_OUT);
    close(out[0]);
    close(out[1]);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), HALO_EPANIC);
    assert_non_null(strstr(halo_errmsg(box), "a write failed"));
}

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

/* TIME-02: also while what it had written before its end waits for somebody to read it. */
static void what_goes_out_after_the_end_can_be_watched(void **state)
{
    uint32_t looks = 0;
    int out[2], code;

    assert_int_equal(pipe(out), 0);
    open_guest(state, "pour", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(out[1])), 0);
    halo_watch(box, 1000000, watch, &looks);
    assert_int_equal(halo_run(box, 600000000, &code), HALO_ETIMEDOUT);
    assert_true(looks > 20); /* a few of them before its end */
    close(out[0]);
    close(out[1]);
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

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(memory_goes_through_a_filter),
        RINGS(files_are_read_and_written_from_an_offset),
        RINGS(pipes_are_waited_for),
        RINGS(unix_sockets_are_waited_for),
        RINGS(tcp_sockets_are_waited_for),
        RINGS(functions_may_wait),
        RINGS(bytes_without_end_need_no_memory),
        RINGS(a_broken_pipe_is_an_error_and_no_signal),
        RINGS(errors_reach_the_guest),
        RINGS(a_handle_may_be_an_argument),
        RINGS(str_08_a_blocked_stream_starves_nobody),
        RINGS(connections_are_accepted),
        RINGS(the_host_may_be_the_other_end),
        RINGS(the_host_writes_and_reads_in_turns),
        RINGS(the_host_moves_megabytes),
        RINGS(misuse_is_an_error),
        RINGS(str_05_a_stream_that_is_closed_wakes_its_host),
        RINGS(a_long_wait_can_be_watched),
        RINGS(what_goes_out_after_the_end_can_be_watched),
        RINGS(a_write_has_one_deadline),
        RINGS(a_guest_calls_while_its_host_waits_for_a_stream),
        RINGS(a_wait_for_a_stream_ends_when_it_is_closed),
    };

    return run_every_way("streams", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
