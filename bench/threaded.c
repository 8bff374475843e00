/*
 * Host and guest each on a thread of its own: what a call costs where both look for each other, and
 * where both sleep; beside the same on one thread, and beside a child behind pipes, which is what
 * such a host would otherwise have. All threads may use both cores, and are placed by the kernel.
 */
#include "bench.h"
#include "machine.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 64
#define LONGEST 8192u
#define SINGLE 20000

struct pair {
    bool is_process, threaded;
    uint32_t poll_ns;
    struct halo_sandbox *box;
    int successor, echo;
};

static struct pair kvm = {.threaded = true}, process = {.is_process = true, .threaded = true},
                   kvm_one, process_one = {.is_process = true},
                   kvm_asleep = {.threaded = true, .poll_ns = HALO_POLL_NEVER},
                   process_asleep = {
                       .is_process = true, .threaded = true, .poll_ns = HALO_POLL_NEVER};

static unsigned char bytes[LONGEST];

static void open_pair(struct pair *pair)
{
    static const struct halo_signature number = HALO_FN(HALO_I64, HALO_I64),
                                       same = HALO_FN(HALO_BYTES, HALO_BYTES);
    const char *const args[] = {"serve"};
    const struct halo_options options = {
        .backend = bench_backend(pair->is_process),
        .args = args,
        .arg_count = 1,
        .threaded = pair->threaded,
        .poll_ns = pair->poll_ns,
    };

    if (pair->threaded)
        bench_spread();
    else
        bench_stay();
    if (pair->box)
        return;
    if (halo_open(&pair->box, BENCH_GUEST, &options) || halo_serve_begin(pair->box, HALO_FOREVER))
        bench_fail(halo_errmsg(pair->box));
    pair->successor = halo_lookup(pair->box, "successor", &number);
    pair->echo = halo_lookup(pair->box, "echo", &same);
    bench_must(pair->successor > 0 && pair->echo > 0, "a function is missing");
}

static void call(struct pair *pair, uint64_t operations)
{
    struct halo_future future;

    open_pair(pair);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        if (halo_call(pair->box, &future, pair->successor, HALO_FOREVER, halo_i64((int64_t)i)))
            bench_fail(halo_errmsg(pair->box));
        bench_must(future.result.i64 == (int64_t)i + 1, "a wrong answer");
    }
    bench_end();
    bench_stay();
}

static void call_many(struct pair *pair, uint64_t operations)
{
    static struct halo_future futures[BATCH];

    open_pair(pair);
    bench_begin();
    for (uint64_t done = 0; done < operations; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            const struct halo_value value = halo_i64(i);

            (void)halo_call_start(pair->box, &futures[i], pair->successor, &value, 1);
        }
        for (int i = 0; i < BATCH; i++) {
            if (halo_wait(&futures[i], HALO_FOREVER))
                bench_fail(halo_errmsg(pair->box));
        }
    }
    bench_end();
    bench_stay();
}

static void echo(struct pair *pair, uint32_t len, uint64_t operations)
{
    struct halo_future future;

    open_pair(pair);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        if (halo_call(pair->box, &future, pair->echo, HALO_FOREVER, halo_bytes(bytes, len)))
            bench_fail(halo_errmsg(pair->box));
        bench_must(future.result.len == len, "a wrong answer");
        halo_future_free(&future);
    }
    bench_end();
    bench_stay();
}

/* --- A child behind descriptors --------------------------------------------------------------- */

enum way { PIPES, UNIX_SOCKETS, EVENTFDS };

static void read_all(int fd, void *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        const ssize_t got = read(fd, (unsigned char *)to + done, len - done);

        if (got <= 0)
            _exit(0); /* in the child: it is over */
        done += (size_t)got;
    }
}

/* Two ways for bytes: there and back, each with an end to read from and one to write to. */
static void connect_ways(enum way way, int there[2], int back[2])
{
    if (way == PIPES) {
        bench_must(pipe(there) == 0 && pipe(back) == 0, "no pipes");
    } else if (way == UNIX_SOCKETS) {
        bench_must(socketpair(AF_UNIX, SOCK_STREAM, 0, there) == 0 &&
                       socketpair(AF_UNIX, SOCK_STREAM, 0, back) == 0,
                   "no sockets");
    } else {
        there[0] = there[1] = eventfd(0, 0);
        back[0] = back[1] = eventfd(0, 0);
        bench_must(there[0] >= 0 && back[0] >= 0, "no eventfds");
    }
}

/* An eventfd takes 8 bytes and no other number, and has no end that tells the child's. */
static void behind(enum way way, uint32_t len, uint64_t operations)
{
    static unsigned char room[LONGEST];
    const uint64_t one = 1;
    int there[2], back[2];
    pid_t child;

    bench_spread();
    connect_ways(way, there, back);
    memcpy(bytes, &one, sizeof(one));
    child = fork();
    bench_must(child >= 0, "no child");
    if (child == 0) {
        if (way != EVENTFDS) {
            close(there[1]);
            close(back[0]);
        }
        for (;;) {
            read_all(there[0], room, len);
            bench_must(write(back[1], room, len) == (ssize_t)len, "a child failed");
        }
    }
    if (way != EVENTFDS) {
        close(there[0]);
        close(back[1]);
    }
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        bench_must(write(there[1], bytes, len) == (ssize_t)len, "a child failed");
        read_all(back[0], room, len);
    }
    bench_end();
    kill(child, SIGKILL);
    close(there[1]);
    close(back[0]);
    bench_must(waitpid(child, NULL, 0) == child, "no child");
    bench_stay();
}

/* --- How long single calls take --------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Each with two readings of the clock: the mean, and percentiles beside it. */
static double latency(struct pair *pair)
{
    static double took[SINGLE];
    double sum = 0;
    char words[64];

    open_pair(pair);
    for (int i = 0; i < SINGLE; i++) {
        struct halo_future future;
        const double begin = bench_now_ns();

        if (halo_call(pair->box, &future, pair->successor, HALO_FOREVER, halo_i64(i)))
            bench_fail(halo_errmsg(pair->box));
        took[i] = bench_now_ns() - begin;
        sum += took[i];
    }
    bench_stay();
    qsort(took, SINGLE, sizeof(took[0]), ascending);
    (void)snprintf(words, sizeof(words), "p50 %.0f, p99 %.0f, p99.9 %.0f ns", took[SINGLE / 2],
                   took[SINGLE * 99 / 100], took[SINGLE * 999 / 1000]);
    bench_remark(words);
    return sum / SINGLE;
}

/* --- Rows ------------------------------------------------------------------------------------- */

BENCH_SAMPLE(kvm_call, 1000, call(&kvm, n))
BENCH_SAMPLE(process_call, 1000, call(&process, n))
BENCH_SAMPLE(kvm_call_one, 1000, call(&kvm_one, n))
BENCH_SAMPLE(process_call_one, 1000, call(&process_one, n))
BENCH_SAMPLE(kvm_call_asleep, 200, call(&kvm_asleep, n))
BENCH_SAMPLE(process_call_asleep, 200, call(&process_asleep, n))
BENCH_SAMPLE(kvm_calls, 100 * BATCH, call_many(&kvm, n))
BENCH_SAMPLE(process_calls, 100 * BATCH, call_many(&process, n))
BENCH_SAMPLE(kvm_calls_one, 100 * BATCH, call_many(&kvm_one, n))
BENCH_SAMPLE(process_calls_one, 100 * BATCH, call_many(&process_one, n))
BENCH_SAMPLE(kvm_echo100, 500, echo(&kvm, 100, n))
BENCH_SAMPLE(process_echo100, 500, echo(&process, 100, n))
BENCH_SAMPLE(process_echo100_one, 500, echo(&process_one, 100, n))
BENCH_SAMPLE(kvm_echo8k, 500, echo(&kvm, LONGEST, n))
BENCH_SAMPLE(process_echo8k, 500, echo(&process, LONGEST, n))
BENCH_SAMPLE(process_echo8k_one, 500, echo(&process_one, LONGEST, n))
BENCH_SAMPLE(piped8, 200, behind(PIPES, 8, n))
BENCH_SAMPLE(piped100, 200, behind(PIPES, 100, n))
BENCH_SAMPLE(piped8k, 200, behind(PIPES, LONGEST, n))
BENCH_SAMPLE(sockets8, 200, behind(UNIX_SOCKETS, 8, n))
BENCH_SAMPLE(eventfds8, 200, behind(EVENTFDS, 8, n))

static double kvm_latency(void)
{
    return latency(&kvm);
}

static double process_latency(void)
{
    return latency(&process);
}

static double kvm_latency_one(void)
{
    return latency(&kvm_one);
}

static double process_latency_one(void)
{
    return latency(&process_one);
}

#define THREADED(name_, what_, sample_, ...)                                                      \
    {                                                                                             \
        .name = name_, .what = what_, .sample = sample_, .crosses_cores = true, .is_brief = true, \
        .neighbours = {                                                                           \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }

const struct bench_row bench_threaded_rows[] = {
    THREADED("threaded.kvm.call", "a guest's function, both sides look for each other", kvm_call,
             {"two cache lines", bench_two_lines, NULL}, {"on one thread", kvm_call_one, NULL},
             {"both sides sleep", kvm_call_asleep, NULL}, {"a child behind pipes", piped8, NULL},
             {"behind Unix sockets", sockets8, NULL}, {"behind eventfds", eventfds8, NULL}),
    THREADED("threaded.kvm.calls64", "64 at a time", kvm_calls,
             {"on one thread", kvm_calls_one, NULL}),
    THREADED("threaded.process.call", "the same in a process", process_call,
             {"two cache lines", bench_two_lines, NULL}, {"on one thread", process_call_one, NULL},
             {"both sides sleep", process_call_asleep, NULL},
             {"a child behind pipes", piped8, NULL}, {"behind Unix sockets", sockets8, NULL},
             {"behind eventfds", eventfds8, NULL}),
    THREADED("threaded.process.calls64", "64 at a time", process_calls,
             {"on one thread", process_calls_one, NULL}),
    BENCH_POINT("threaded.kvm.each", "20000 calls, each by itself", kvm_latency,
                {"on one thread", kvm_latency_one, NULL}),
    BENCH_POINT("threaded.process.each", "the same in a process", process_latency,
                {"on one thread", process_latency_one, NULL}),
    THREADED("threaded.pipe.100", "100 bytes to a process and back", process_echo100,
             {"a child behind pipes", piped100, NULL}, {"on one thread", process_echo100_one, NULL},
             {"to KVM", kvm_echo100, NULL}),
    THREADED("threaded.pipe.8k", "8 KiB to a process and back", process_echo8k,
             {"a child behind pipes", piped8k, NULL}, {"on one thread", process_echo8k_one, NULL},
             {"to KVM", kvm_echo8k, NULL}),
    {.name = NULL},
};
