/* A guest between two streams, whose ends are of every kind. */
#define _GNU_SOURCE
#include "streams_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

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
    int code = -1;

    options.ram_len = 32ull << 20;
    options.args = args;
    options.arg_count = 2;
    for (int i = 0; i < 2; i++) { /* a few first */
        const uint64_t len = i ? flood.len : 32ull << 20;

        before = peak_kib();
        flood = (struct flood){.len = len};
        assert_int_equal(halo_open(&box, GUEST, &options), 0);
        offer("in", halo_end_functions(&functions, &flood, -1), HALO_IN);
        offer("out", halo_end_functions(&functions, &flood, -1), HALO_OUT);
        if (halo_run(box, HALO_FOREVER, &code))
            fail_msg("%s", halo_errmsg(box));
        assert_int_equal(code, 0);
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
    offer("in", halo_end_memory(GUEST, sizeof(GUEST), NULL, 0), HALO_IN);
    offer("out", halo_end_fd(out[1]), HALO_OUT);
    close(out[0]);
    close(out[1]);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), HALO_EPANIC);
    assert_non_null(strstr(halo_errmsg(box), "a write failed"));
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
    };

    return run_every_way("filter", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
