/*
 * Streams whose other end is memory, which functions of ours copy from and to where a row says no
 * other: what a guest reads, writes, or reads and writes again, in requests of so many bytes.
 * Beside them one copy of as many bytes, between the same places of the host's memory and buffers
 * of the same size; a pipe, and a socket. Each goes on in the host's memory where the last one was,
 * through all of it, so that nobody finds it in a cache. The backend is KVM where there is one.
 * "memcpy and exits" is what could not be less: one copy of the bytes, and as many exits as the row
 * took, each as long as one for nothing.
 * Starting and ending the guest is not in it, nor two first windows of requests, in which pages are
 * touched for the first time.
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

#define FAR_LEN (64u << 20) /* a host's data: more than any cache of a core's holds */
#define DEPTH 32u           /* requests of a guest's in flight, each with a buffer */
#define RING_LEN (DEPTH * 65536u)

/* Bytes of a slice, by the length of a request. */
#define BYTES_512 (1u << 20)
#define BYTES_4K (8u << 20)
#define BYTES_64K (32u << 20)

static unsigned char *far_from, *far_to, *near;
static size_t far_in, far_out; /* where reading and writing are in the host's memory */
static struct halo_stats before, after;
static double cpu_before, cpu_after, time_before, time_after;

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
    time_before = bench_now_ns();
    bench_begin();
}

static void measure_to_here(struct halo_sandbox *box)
{
    bench_end();
    time_after = bench_now_ns();
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
    size_t len, bytes;      /* of a request, of a slice */
    enum halo_end_kind end; /* NONE: functions */
    bool is_process, threaded;
} way;

static double exits_each; /* of an operation, in the last sample of a row */

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
    const uint64_t first = 2 * DEPTH * way.len;
    uint64_t done = 0;
    int64_t n;

    while ((n = halo_stream_peek(box, HALO_STDOUT, &bytes, HALO_FOREVER)) > 0) {
        if (done == first)
            measure_from_here(box);
        (void)write_far(&far_out, bytes, (size_t)n);
        done += (uint64_t)n;
        if (done == first + total)
            measure_to_here(box);
    }
    bench_must(done == first + total, "the guest wrote other bytes than it was asked for");
    if (n < 0)
        bench_fail(halo_errmsg(box));
}

static void be_writer(struct halo_sandbox *box, uint64_t total)
{
    const uint64_t first = 2 * DEPTH * way.len;
    uint64_t done = 0;
    void *room;
    int64_t n;

    while ((n = halo_stream_reserve(box, HALO_STDIN, &room, HALO_FOREVER)) > 0) {
        if (done == first)
            measure_from_here(box);
        (void)read_far(&far_in, room, (size_t)n);
        bench_must(halo_stream_commit(box, HALO_STDIN, (size_t)n) == 0, "cannot write");
        done += (uint64_t)n;
        if (done == first + total)
            measure_to_here(box);
    }
    bench_must(done == first + total, "the guest read other bytes than it was asked for");
    if (n != HALO_EIO)
        bench_fail(halo_errmsg(box));
}

static void run_guest(uint64_t operations)
{
    static const struct halo_signature mark = HALO_FN(HALO_VOID);
    char len[24], total[24], words[64];
    const char *const name = way.end == HALO_END_HOST ? "host" : "streams";
    const char *const args[] = {name, way.mode, len, total};
    const struct halo_options options = {
        .backend = bench_backend(way.is_process),
        .ram_len = 32ull << 20,
        .args = args,
        .arg_count = 4,
        .threaded = way.threaded,
    };
    const double mib = (double)operations * (double)way.len / (1 << 20);
    const uint64_t marks = way.end != HALO_END_HOST;
    struct halo_sandbox *box;
    uint64_t exits;
    int code = 0;

    make_memory();
    (way.threaded ? bench_spread : bench_stay)();
    (void)snprintf(len, sizeof(len), "%zu", way.len);
    (void)snprintf(total, sizeof(total), "%" PRIu64, operations * way.len);
    bench_must(halo_open(&box, BENCH_STREAMS, &options) == 0, "cannot open the guest");
    if (halo_provide(box, "begin", &mark, begin, NULL) ||
        halo_provide(box, "end", &mark, end, NULL) ||
        halo_attach(box, HALO_STDIN, make_end(&far_in)) ||
        halo_attach(box, HALO_STDOUT, make_end(&far_out)))
        bench_fail(halo_errmsg(box));
    if (way.end == HALO_END_HOST)
        (way.mode[0] == 'r' ? be_writer : be_reader)(box, operations * way.len);
    if (halo_run(box, HALO_FOREVER, &code) || code != 0)
        bench_fail(halo_errmsg(box));
    exits = after.exits - before.exits;
    /* The call that ends it is one; beside its host a guest needs none for it. */
    (void)snprintf(words, sizeof(words), "%.2f exits/MiB, %.3f s CPU/GiB",
                   (double)(exits > marks ? exits - marks : 0) / mib,
                   (cpu_after - cpu_before) * 1024 / mib);
    bench_remark(words);
    exits_each = (double)(after.exits - before.exits) / (double)operations;
    halo_close(box);
    bench_stay();
}

/* A sample of so many bytes, moved in this way. */
#define SAMPLE(name, bytes_, ...)                                           \
    static const struct way name##_way = {.bytes = bytes_, __VA_ARGS__};    \
    static void name##_work(uint64_t n)                                     \
    {                                                                       \
        way = name##_way;                                                   \
        run_guest(n);                                                       \
    }                                                                       \
    static double name(void)                                                \
    {                                                                       \
        return bench_timed(name##_work, name##_way.bytes / name##_way.len); \
    }

SAMPLE(read512, BYTES_512, .mode = "read", .len = 512)
SAMPLE(read4k, BYTES_4K, .mode = "read", .len = 4096)
SAMPLE(read64k, BYTES_64K, .mode = "read", .len = 65536)
SAMPLE(read64k_process, BYTES_64K, .mode = "read", .len = 65536, .is_process = true)
SAMPLE(read64k_memory, BYTES_64K, .mode = "read", .len = 65536, .end = HALO_END_MEMORY)
SAMPLE(read512_host, BYTES_512, .mode = "read", .len = 512, .end = HALO_END_HOST)
SAMPLE(read64k_host, BYTES_64K, .mode = "read", .len = 65536, .end = HALO_END_HOST)
SAMPLE(write512, BYTES_512, .mode = "write", .len = 512)
SAMPLE(write4k, BYTES_4K, .mode = "write", .len = 4096)
SAMPLE(write64k, BYTES_64K, .mode = "write", .len = 65536)
SAMPLE(write64k_process, BYTES_64K, .mode = "write", .len = 65536, .is_process = true)
SAMPLE(write64k_memory, BYTES_64K, .mode = "write", .len = 65536, .end = HALO_END_MEMORY)
SAMPLE(write512_host, BYTES_512, .mode = "write", .len = 512, .end = HALO_END_HOST)
SAMPLE(write64k_host, BYTES_64K, .mode = "write", .len = 65536, .end = HALO_END_HOST)
SAMPLE(filter512, BYTES_512, .mode = "filter", .len = 512)
SAMPLE(filter4k, BYTES_4K, .mode = "filter", .len = 4096)
SAMPLE(filter64k, BYTES_64K, .mode = "filter", .len = 65536)
SAMPLE(filter64k_process, BYTES_64K, .mode = "filter", .len = 65536, .is_process = true)
SAMPLE(gather512, BYTES_64K, .mode = "gather", .len = 512)
SAMPLE(read64k_beside, BYTES_64K, .mode = "read", .len = 65536, .threaded = true)
SAMPLE(read64k_process_beside, BYTES_64K, .mode = "read", .len = 65536, .is_process = true,
       .threaded = true)
SAMPLE(filter64k_beside, BYTES_64K, .mode = "filter", .len = 65536, .threaded = true)
SAMPLE(filter64k_process_beside, BYTES_64K, .mode = "filter", .len = 65536, .is_process = true,
       .threaded = true)

/* --- Neighbours ------------------------------------------------------------------------------- */

/* Where the next request has its bytes in the host's memory, of which `*at` is how far one is. */
static unsigned char *next_far(unsigned char *memory, size_t *at)
{
    if (*at + way.len > FAR_LEN)
        *at = 0;
    *at += way.len;
    return memory + *at - way.len;
}

/* The buffer of request `i`. */
static unsigned char *buffer(uint64_t i)
{
    return near + i % DEPTH * way.len;
}

/* One copy of each byte: from the host's memory or a buffer, to the host's memory or a buffer. */
static void copy(bool from_far, bool to_far, uint64_t operations)
{
    make_memory();
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        const unsigned char *from = from_far ? next_far(far_from, &far_in) : buffer(i);

        memcpy(to_far ? next_far(far_to, &far_out) : buffer(i), from, way.len);
        __asm__ volatile("" : : : "memory");
    }
    bench_end();
}

static void copy_in(uint64_t operations)
{
    copy(true, false, operations);
}

static void copy_out(uint64_t operations)
{
    copy(false, true, operations);
}

/* Each request's bytes into a buffer and, when all buffers are full, out of it. */
static void copy_in_and_out(uint64_t operations)
{
    make_memory();
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        memcpy(buffer(i), next_far(far_from, &far_in), way.len);
        __asm__ volatile("" : : : "memory");
        if (i % DEPTH == DEPTH - 1) {
            for (uint64_t k = 0; k < DEPTH; k++)
                memcpy(next_far(far_to, &far_out), buffer(k), way.len);
        }
    }
    bench_end();
}

static void copy_far(uint64_t operations)
{
    copy(true, true, operations);
}

/* --- What could not be less ------------------------------------------------------------------- */

static double exit_ns; /* of one that nobody wanted anything of */

static void measure_exit(bool is_process)
{
    const struct way kept = way;
    const double kept_exits = exits_each;
    char words[64];

    way = (struct way){.mode = "kick", .len = 64, .is_process = is_process};
    run_guest(2000);
    exit_ns = (time_after - time_before) / 2000;
    way = kept;
    exits_each = kept_exits;
    (void)snprintf(words, sizeof(words), "an exit for nothing takes %.1f us", exit_ns / 1000);
    bench_remark(words);
}

static void with_exits(void (*work)(uint64_t), uint64_t operations)
{
    work(operations);
    bench_more(exit_ns * exits_each * (double)operations);
}

static void least_in(uint64_t operations)
{
    with_exits(copy_in, operations);
}

static void least_out(uint64_t operations)
{
    with_exits(copy_out, operations);
}

/* A filter's bytes are copied in, and copied out. */
static void least_both(uint64_t operations)
{
    with_exits(copy_in_and_out, operations);
}

/* --- Through the kernel ----------------------------------------------------------------------- */

static int ends[2]; /* written, read */

/* Through the kernel and back out, by one thread. */
static void through(uint64_t operations)
{
    const size_t len = way.len;

    make_memory();
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        bench_must(write(ends[0], next_far(far_from, &far_in), len) == (ssize_t)len,
                   "cannot write");
        for (size_t done = 0; done < len;) {
            const ssize_t n = read(ends[1], buffer(i) + done, len - done);

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
        unsigned char *at = buffer(i);

        bench_must(write(ends[0], next_far(far_from, &far_in), len) == (ssize_t)len &&
                       read(ends[1], at, len) == (ssize_t)len &&
                       write(second[0], at, len) == (ssize_t)len &&
                       read(second[1], next_far(far_to, &far_out), len) == (ssize_t)len,
                   "a pipe failed");
    }
    bench_end();
}

static double neighbour(void (*work)(uint64_t), size_t len, size_t bytes)
{
    way.len = len;
    return bench_timed(work, bytes / len);
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

/* `work`, and the exits of the row that it stands beside. */
static double least(void (*work)(uint64_t), bool is_process)
{
    way.len = 65536;
    measure_exit(is_process);
    return bench_timed(work, BYTES_64K / 65536);
}

static double pipe_of(size_t len, size_t bytes)
{
    double ns;

    make_pipe(ends);
    ns = neighbour(through, len, bytes);
    close_pair(ends);
    return ns;
}

static double two_pipes_of(size_t len, size_t bytes)
{
    double ns;

    make_pipe(ends);
    make_pipe(second);
    ns = neighbour(twice, len, bytes);
    close_pair(ends);
    close_pair(second);
    return ns;
}

static double socket_of(size_t len, size_t bytes)
{
    const int room = 1 << 20;
    double ns;

    bench_must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 &&
                   setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0,
               "no socket");
    ns = neighbour(through, len, bytes);
    close_pair(ends);
    return ns;
}

/* Neighbours of rows with requests of `len` bytes and slices of `bytes`. */
#define NEIGHBOUR(name, ...) \
    static double name(void) \
    {                        \
        return __VA_ARGS__;  \
    }
#define NEIGHBOURS(suffix, len, bytes)                            \
    NEIGHBOUR(copy_in_##suffix, neighbour(copy_in, len, bytes))   \
    NEIGHBOUR(copy_out_##suffix, neighbour(copy_out, len, bytes)) \
    NEIGHBOUR(copy_far_##suffix, neighbour(copy_far, len, bytes)) \
    NEIGHBOUR(pipe_##suffix, pipe_of(len, bytes))                 \
    NEIGHBOUR(two_pipes_##suffix, two_pipes_of(len, bytes))       \
    NEIGHBOUR(socket_##suffix, socket_of(len, bytes))

NEIGHBOURS(512, 512, BYTES_512)
NEIGHBOURS(4k, 4096, BYTES_4K)
NEIGHBOURS(64k, 65536, BYTES_64K)
NEIGHBOUR(least_in_kvm, least(least_in, false))
NEIGHBOUR(least_in_process, least(least_in, true))
NEIGHBOUR(least_out_kvm, least(least_out, false))
NEIGHBOUR(least_out_process, least(least_out, true))
NEIGHBOUR(least_both_kvm, least(least_both, false))
NEIGHBOUR(least_both_process, least(least_both, true))
NEIGHBOUR(copy_out_gather, neighbour(copy_out, 512, BYTES_64K))
NEIGHBOUR(pipe_gather, pipe_of(512, BYTES_64K))
NEIGHBOUR(socket_gather, socket_of(512, BYTES_64K))

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
            {"memcpy", copy_in_64k, NULL}, {"memcpy and exits", least_in_kvm, NULL},
            {"pipe", pipe_64k, NULL}, {"unix socket", socket_64k, NULL}),
    ROW("stream.read64k.process", "the same in a process", read64k_process, 65536,
        {"memcpy", copy_in_64k, NULL}, {"memcpy and exits", least_in_process, NULL}),
    ROW("stream.read64k.threaded", "the guest has a thread of its own", read64k_beside, 65536,
        {"memcpy", copy_in_64k, NULL}, {"on one thread", read64k, NULL}),
    ROW("stream.read64k.process.threaded", "the same in a process", read64k_process_beside, 65536,
        {"memcpy", copy_in_64k, NULL}, {"on one thread", read64k_process, NULL}),
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
            {"memcpy", copy_out_64k, NULL}, {"memcpy and exits", least_out_kvm, NULL},
            {"pipe", pipe_64k, NULL}, {"unix socket", socket_64k, NULL}),
    ROW("stream.write64k.process", "the same in a process", write64k_process, 65536,
        {"memcpy", copy_out_64k, NULL}, {"memcpy and exits", least_out_process, NULL}),
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
            {"memcpy", copy_out_gather, NULL}, {"pipe", pipe_gather, NULL},
            {"unix socket", socket_gather, NULL}),
    COUNTED("stream.filter64k", "a guest writes what it reads, two copies", filter64k, 65536,
            {"one memcpy", copy_far_64k, NULL}, {"two memcpy and exits", least_both_kvm, NULL},
            {"pipe", pipe_64k, NULL}, {"unix socket", socket_64k, NULL},
            {"two pipes", two_pipes_64k, NULL}),
    ROW("stream.filter64k.process", "the same in a process", filter64k_process, 65536,
        {"one memcpy", copy_far_64k, NULL}, {"two memcpy and exits", least_both_process, NULL}),
    ROW("stream.filter64k.threaded", "the guest has a thread of its own", filter64k_beside, 65536,
        {"one memcpy", copy_far_64k, NULL}, {"on one thread", filter64k, NULL}),
    ROW("stream.filter64k.process.threaded", "the same in a process", filter64k_process_beside,
        65536, {"one memcpy", copy_far_64k, NULL}, {"on one thread", filter64k_process, NULL}),
    COUNTED("stream.filter4k", "4 KiB a request", filter4k, 4096, {"one memcpy", copy_far_4k, NULL},
            {"pipe", pipe_4k, NULL}, {"unix socket", socket_4k, NULL},
            {"two pipes", two_pipes_4k, NULL}),
    COUNTED("stream.filter512", "512 B a request", filter512, 512,
            {"one memcpy", copy_far_512, NULL}, {"pipe", pipe_512, NULL},
            {"unix socket", socket_512, NULL}, {"two pipes", two_pipes_512, NULL}),
    {.name = NULL},
};
