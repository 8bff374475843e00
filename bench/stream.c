/*
 * Streams whose other end is memory, which functions of ours copy from and to where a row says no
 * other: what a guest reads, writes, or reads and writes again, in requests of so many bytes.
 * Beside them one copy of the same bytes between memory of the same size, a pipe, and a socket. The
 * backend is KVM where there is one. Starting and ending the guest is not in it.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "machine.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAR_LEN (64u << 20)     /* a host's data: more than any cache of a core's holds */
#define RING_LEN (32u * 65536u) /* a guest's buffers */

static unsigned char *far_from, *far_to, *near;
static struct halo_stats before, after;
static double cpu_before, cpu_after;

static void make_memory(void)
{
    if (near)
        return;
    far_from = malloc(FAR_LEN);
    far_to = malloc(FAR_LEN);
    near = malloc(RING_LEN);
    bench_must(far_from && far_to && near, "no memory");
    memset(far_from, 'x', FAR_LEN);
    memset(far_to, 'y', FAR_LEN);
    memset(near, 'z', RING_LEN);
}

static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure_from_here(struct halo_sandbox *box)
{
    halo_stats(box, &before);
    cpu_before = cpu_now();
    bench_begin();
}

static void measure_to_here(struct halo_sandbox *box)
{
    bench_end();
    cpu_after = cpu_now();
    halo_stats(box, &after);
}

static void begin(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    measure_from_here(halo_call_sandbox(call));
}

static void end(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    measure_to_here(halo_call_sandbox(call));
}

/* A host's data, again and again: memory without an end. The context is how far it was. */
static int64_t read_far(void *context, void *to, size_t len)
{
    size_t *at = context;

    if (*at + len > FAR_LEN)
        *at = 0;
    memcpy(to, far_from + *at, len);
    *at += len;
    return (int64_t)len;
}

static int64_t write_far(void *context, const void *from, size_t len)
{
    size_t *at = context;

    if (*at + len > FAR_LEN)
        *at = 0;
    memcpy(far_to + *at, from, len);
    *at += len;
    return (int64_t)len;
}

static struct way {
    const char *mode;
    size_t len;
    enum halo_end_kind end; /* NONE: functions */
    bool is_process;
} way;

static struct halo_end make_end(size_t *at)
{
    static const struct halo_end_functions functions = {read_far, write_far, NULL};

    switch (way.end) {
    case HALO_END_MEMORY:
        return halo_end_memory(far_from, FAR_LEN, far_to, FAR_LEN);
    case HALO_END_HOST:
        return halo_end_host();
    default:
        return halo_end_functions(&functions, at, -1);
    }
}

/*
 * Be the other end of what the guest writes, or reads, until it has ended. It makes no calls then:
 * what is measured begins with its first buffer.
 */
static void be_reader(struct halo_sandbox *box, uint64_t total)
{
    const void *bytes;
    uint64_t done = 0;
    size_t at = 0;
    int64_t n;

    while ((n = halo_stream_peek(box, HALO_STDOUT, &bytes, HALO_FOREVER)) > 0) {
        if (done == 0)
            measure_from_here(box);
        (void)write_far(&at, bytes, (size_t)n);
        done += (uint64_t)n;
        if (done == total)
            measure_to_here(box);
    }
    if (n < 0)
        bench_fail(halo_errmsg(box));
}

static void be_writer(struct halo_sandbox *box, uint64_t total)
{
    uint64_t done = 0;
    size_t at = 0;
    void *room;
    int64_t n;

    while ((n = halo_stream_reserve(box, HALO_STDIN, &room, HALO_FOREVER)) > 0) {
        if (done == 0)
            measure_from_here(box);
        (void)read_far(&at, room, (size_t)n);
        bench_must(halo_stream_commit(box, HALO_STDIN, (size_t)n) == 0, "cannot write");
        done += (uint64_t)n;
        if (done == total)
            measure_to_here(box);
    }
    if (n != HALO_EIO)
        bench_fail(halo_errmsg(box));
}

static void run_guest(uint64_t operations)
{
    static const struct halo_signature mark = HALO_FN(HALO_VOID);
    size_t in = 0, out = 0;
    char len[24], total[24], words[64];
    const char *const name = way.end == HALO_END_HOST ? "host" : "streams";
    const char *const args[] = {name, way.mode, len, total};
    const struct halo_options options = {
        .backend = bench_backend(way.is_process),
        .ram_len = 32ull << 20,
        .args = args,
        .arg_count = 4,
    };
    const double mib = (double)operations * (double)way.len / (1 << 20);
    struct halo_sandbox *box;
    int code = 0;

    make_memory();
    (void)snprintf(len, sizeof(len), "%zu", way.len);
    (void)snprintf(total, sizeof(total), "%" PRIu64, operations * way.len);
    bench_must(halo_open(&box, BENCH_STREAMS, &options) == 0, "cannot open the guest");
    if (halo_provide(box, "begin", &mark, begin, NULL) ||
        halo_provide(box, "end", &mark, end, NULL) || halo_attach(box, HALO_STDIN, make_end(&in)) ||
        halo_attach(box, HALO_STDOUT, make_end(&out)))
        bench_fail(halo_errmsg(box));
    if (way.end == HALO_END_HOST)
        (way.mode[0] == 'r' ? be_writer : be_reader)(box, operations * way.len);
    if (halo_run(box, HALO_FOREVER, &code) || code != 0)
        bench_fail(halo_errmsg(box));
    (void)snprintf(words, sizeof(words), "%.2f exits/MiB, %.3f s CPU/GiB",
                   (double)(after.exits - before.exits - (way.end != HALO_END_HOST)) / mib,
                   (cpu_after - cpu_before) * 1024 / mib);
    bench_remark(words);
    halo_close(box);
}

/* A sample of so many bytes, moved in this way. */
#define SAMPLE(name, bytes, ...)                                   \
    static const struct way name##_way = {__VA_ARGS__};            \
    static void name##_work(uint64_t n)                            \
    {                                                              \
        way = name##_way;                                          \
        run_guest(n);                                              \
    }                                                              \
    static double name(void)                                       \
    {                                                              \
        return bench_timed(name##_work, (bytes) / name##_way.len); \
    }

SAMPLE(read512, 1u << 20, .mode = "read", .len = 512)
SAMPLE(read4k, 8u << 20, .mode = "read", .len = 4096)
SAMPLE(read64k, 32u << 20, .mode = "read", .len = 65536)
SAMPLE(read64k_process, 32u << 20, .mode = "read", .len = 65536, .is_process = true)
SAMPLE(read64k_memory, 32u << 20, .mode = "read", .len = 65536, .end = HALO_END_MEMORY)
SAMPLE(read512_host, 1u << 20, .mode = "read", .len = 512, .end = HALO_END_HOST)
SAMPLE(read64k_host, 32u << 20, .mode = "read", .len = 65536, .end = HALO_END_HOST)
SAMPLE(write512, 1u << 20, .mode = "write", .len = 512)
SAMPLE(write4k, 8u << 20, .mode = "write", .len = 4096)
SAMPLE(write64k, 32u << 20, .mode = "write", .len = 65536)
SAMPLE(write64k_process, 32u << 20, .mode = "write", .len = 65536, .is_process = true)
SAMPLE(write64k_memory, 32u << 20, .mode = "write", .len = 65536, .end = HALO_END_MEMORY)
SAMPLE(write512_host, 1u << 20, .mode = "write", .len = 512, .end = HALO_END_HOST)
SAMPLE(write64k_host, 32u << 20, .mode = "write", .len = 65536, .end = HALO_END_HOST)
SAMPLE(filter512, 1u << 20, .mode = "filter", .len = 512)
SAMPLE(filter4k, 8u << 20, .mode = "filter", .len = 4096)
SAMPLE(filter64k, 32u << 20, .mode = "filter", .len = 65536)
SAMPLE(filter64k_process, 32u << 20, .mode = "filter", .len = 65536, .is_process = true)
SAMPLE(gather512, 32u << 20, .mode = "gather", .len = 512)

/* --- Neighbours ------------------------------------------------------------------------------- */

/* One copy of each byte, between memory of these sizes. */
static void copy(unsigned char *to, size_t to_len, const unsigned char *from, size_t from_len,
                 uint64_t operations)
{
    const size_t len = way.len;

    for (uint64_t i = 0; i < operations; i++) {
        memcpy(to + i * len % to_len, from + i * len % from_len, len);
        __asm__ volatile("" : : : "memory");
    }
}

static void copy_in(uint64_t operations)
{
    make_memory();
    bench_begin();
    copy(near, RING_LEN, far_from, FAR_LEN, operations);
    bench_end();
}

static void copy_out(uint64_t operations)
{
    make_memory();
    bench_begin();
    copy(far_to, FAR_LEN, near, RING_LEN, operations);
    bench_end();
}

static void copy_far(uint64_t operations)
{
    make_memory();
    bench_begin();
    copy(far_to, FAR_LEN, far_from, FAR_LEN, operations);
    bench_end();
}

static int ends[2]; /* written, read */

/* Through the kernel and back out, by one thread. */
static void through(uint64_t operations)
{
    const size_t len = way.len;

    make_memory();
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        bench_must(write(ends[0], far_from + i * len % FAR_LEN, len) == (ssize_t)len,
                   "cannot write");
        for (size_t done = 0; done < len;) {
            const ssize_t n = read(ends[1], near + i * len % RING_LEN + done, len - done);

            bench_must(n > 0, "cannot read");
            done += (size_t)n;
        }
    }
    bench_end();
}

/* What a filter of another process does: in through one, out through another. */
static int second[2];

static void twice(uint64_t operations)
{
    const size_t len = way.len;

    make_memory();
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        unsigned char *at = near + i * len % RING_LEN;

        bench_must(write(ends[0], far_from + i * len % FAR_LEN, len) == (ssize_t)len &&
                       read(ends[1], at, len) == (ssize_t)len &&
                       write(second[0], at, len) == (ssize_t)len &&
                       read(second[1], far_to + i * len % FAR_LEN, len) == (ssize_t)len,
                   "a pipe failed");
    }
    bench_end();
}

static double neighbour(void (*work)(uint64_t), size_t len)
{
    way.len = len;
    return bench_timed(work, (16u << 20) / len);
}

static void make_pipe(int *pair)
{
    int fds[2];

    bench_must(pipe(fds) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) > 0, "no pipe");
    pair[0] = fds[1];
    pair[1] = fds[0];
}

static void close_pair(const int *pair)
{
    close(pair[0]);
    close(pair[1]);
}

static double pipe_of(size_t len)
{
    double ns;

    make_pipe(ends);
    ns = neighbour(through, len);
    close_pair(ends);
    return ns;
}

static double two_pipes_of(size_t len)
{
    double ns;

    make_pipe(ends);
    make_pipe(second);
    ns = neighbour(twice, len);
    close_pair(ends);
    close_pair(second);
    return ns;
}

static double socket_of(size_t len)
{
    const int room = 1 << 20;
    double ns;

    bench_must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 &&
                   setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0,
               "no socket");
    ns = neighbour(through, len);
    close_pair(ends);
    return ns;
}

#define NEIGHBOUR(name, function, argument, len) \
    static double name(void)                     \
    {                                            \
        return function(argument len);           \
    }
#define COMMA ,
#define NEIGHBOURS(suffix, len)                                  \
    NEIGHBOUR(copy_in_##suffix, neighbour, copy_in COMMA, len)   \
    NEIGHBOUR(copy_out_##suffix, neighbour, copy_out COMMA, len) \
    NEIGHBOUR(copy_far_##suffix, neighbour, copy_far COMMA, len) \
    NEIGHBOUR(pipe_##suffix, pipe_of, , len)                     \
    NEIGHBOUR(two_pipes_##suffix, two_pipes_of, , len)           \
    NEIGHBOUR(socket_##suffix, socket_of, , len)

NEIGHBOURS(512, 512)
NEIGHBOURS(4k, 4096)
NEIGHBOURS(64k, 65536)

#define ROW(name_, what_, sample_, bytes_, ...)                                           \
    {                                                                                     \
        .name = name_, .what = what_, .sample = sample_, .bytes = bytes_, .neighbours = { \
            __VA_ARGS__                                                                   \
        }                                                                                 \
    }

/* One whose instructions are counted, too. */
#define COUNTED(name_, what_, sample_, bytes_, ...)                                                \
    {                                                                                              \
        .name = name_, .what = what_, .sample = sample_, .count = sample_##_work, .bytes = bytes_, \
        .neighbours = {                                                                            \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

const struct bench_row bench_stream_rows[] = {
    COUNTED("stream.read64k", "a guest reads memory, 64 KiB a request", read64k, 65536,
            {"memcpy", copy_in_64k, NULL}, {"pipe", pipe_64k, NULL},
            {"unix socket", socket_64k, NULL}),
    ROW("stream.read64k.process", "the same in a process", read64k_process, 65536,
        {"memcpy", copy_in_64k, NULL}),
    COUNTED("stream.read64k.memory", "its end is memory", read64k_memory, 65536,
            {"memcpy", copy_in_64k, NULL}),
    COUNTED("stream.read64k.host", "its end is the host's program", read64k_host, 65536,
            {"memcpy", copy_in_64k, NULL}),
    COUNTED("stream.read4k", "4 KiB a request", read4k, 4096, {"memcpy", copy_in_4k, NULL},
            {"pipe", pipe_4k, NULL}, {"unix socket", socket_4k, NULL}),
    COUNTED("stream.read512", "512 B a request", read512, 512, {"memcpy", copy_in_512, NULL},
            {"pipe", pipe_512, NULL}, {"unix socket", socket_512, NULL}),
    COUNTED("stream.read512.host", "its end is the host's program", read512_host, 512,
            {"memcpy", copy_in_512, NULL}),
    COUNTED("stream.write64k", "a guest writes to memory, 64 KiB a request", write64k, 65536,
            {"memcpy", copy_out_64k, NULL}, {"pipe", pipe_64k, NULL},
            {"unix socket", socket_64k, NULL}),
    ROW("stream.write64k.process", "the same in a process", write64k_process, 65536,
        {"memcpy", copy_out_64k, NULL}),
    COUNTED("stream.write64k.memory", "its end is memory", write64k_memory, 65536,
            {"memcpy", copy_out_64k, NULL}),
    COUNTED("stream.write64k.host", "its end is the host's program", write64k_host, 65536,
            {"memcpy", copy_out_64k, NULL}),
    COUNTED("stream.write4k", "4 KiB a request", write4k, 4096, {"memcpy", copy_out_4k, NULL},
            {"pipe", pipe_4k, NULL}, {"unix socket", socket_4k, NULL}),
    COUNTED("stream.write512", "512 B a request", write512, 512, {"memcpy", copy_out_512, NULL},
            {"pipe", pipe_512, NULL}, {"unix socket", socket_512, NULL}),
    COUNTED("stream.write512.host", "its end is the host's program", write512_host, 512,
            {"memcpy", copy_out_512, NULL}),
    COUNTED("stream.gather512", "512 B at a time through a writer", gather512, 512,
            {"memcpy", copy_out_512, NULL}, {"pipe", pipe_512, NULL},
            {"unix socket", socket_512, NULL}),
    COUNTED("stream.filter64k", "a guest writes what it reads, two copies", filter64k, 65536,
            {"one memcpy", copy_far_64k, NULL}, {"pipe", pipe_64k, NULL},
            {"unix socket", socket_64k, NULL}, {"two pipes", two_pipes_64k, NULL}),
    ROW("stream.filter64k.process", "the same in a process", filter64k_process, 65536,
        {"one memcpy", copy_far_64k, NULL}),
    COUNTED("stream.filter4k", "4 KiB a request", filter4k, 4096, {"one memcpy", copy_far_4k, NULL},
            {"pipe", pipe_4k, NULL}, {"unix socket", socket_4k, NULL},
            {"two pipes", two_pipes_4k, NULL}),
    COUNTED("stream.filter512", "512 B a request", filter512, 512,
            {"one memcpy", copy_far_512, NULL}, {"pipe", pipe_512, NULL},
            {"unix socket", socket_512, NULL}, {"two pipes", two_pipes_512, NULL}),
    {.name = NULL},
};
