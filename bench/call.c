/*
 * Calls of i64(i64), both ways: one for each exit, and many; in rings, and over the stacks that
 * rings replace. The backend is KVM where there is one. Starting and ending the guest is not in it.
 */
#include "bench.h"
#include "machine.h"
#include <halo/inside.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH_MAX 256

/* How calls are made. */
struct way {
    uint64_t batch;
    bool is_out; /* of the guest's function, by the host */
    bool is_process;
    bool is_inline;
    bool is_stack;
};

static uint64_t truncated;
static struct halo_stats before, after; /* the calls that are measured */

/* The guest is warm: it has touched all of its memory that calls use. */
static void begin(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    halo_stats(halo_call_sandbox(call), &before);
    bench_begin();
}

static void end(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    bench_end();
    halo_stats(halo_call_sandbox(call), &after);
    truncated = args[0].u64;
}

static void next(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(args[0].i64 + 1));
}

static void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    static char letters[8192];

    (void)context;
    memset(letters, 'x', args[0].u32);
    letters[args[0].u32] = '\0';
    halo_return(call, halo_str(letters));
}

static struct halo_sandbox *open_guest(const struct way *way, const char *mode, uint64_t total)
{
    static const struct halo_signature begin_type = HALO_FN(HALO_VOID);
    static const struct halo_signature end_type = HALO_FN(HALO_VOID, HALO_U64);
    static const struct halo_signature next_type = HALO_FN(HALO_I64, HALO_I64);
    static const struct halo_signature text_type = HALO_FN(HALO_STR, HALO_U32);
    char batch_text[24], total_text[24];
    const char *const args[] = {mode, batch_text, total_text};
    const struct halo_options options = {
        .backend = bench_backend(way->is_process),
        .args = args,
        .arg_count = 3,
        .plain_ring = !way->is_inline,
        .transport = way->is_stack ? HALO_TRANSPORT_STACK : HALO_TRANSPORT_RING,
    };
    struct halo_sandbox *box;

    (void)snprintf(batch_text, sizeof(batch_text), "%" PRIu64, way->batch);
    (void)snprintf(total_text, sizeof(total_text), "%" PRIu64, total);
    bench_must(halo_open(&box, BENCH_GUEST, &options) == 0, "cannot open the guest");
    bench_must(halo_provide(box, "begin", &begin_type, begin, NULL) == 0 &&
                   halo_provide(box, "end", &end_type, end, NULL) == 0 &&
                   halo_provide(box, "next", &next_type, next, NULL) == 0 &&
                   halo_provide(box, "text", &text_type, text, NULL) == 0,
               "cannot provide");
    return box;
}

static void remark_exits(uint64_t exits, uint64_t total)
{
    char words[40];

    (void)snprintf(words, sizeof(words), "%.4f exits a call", (double)exits / (double)total);
    bench_remark(words);
}

/* Of the host's function, by the guest. */
static void run_in(const struct way *way, const char *mode, uint64_t total)
{
    struct halo_sandbox *box = open_guest(way, mode, total);
    int code = 0;

    if (halo_run(box, HALO_FOREVER, &code) || code != 0)
        bench_fail(halo_errmsg(box));
    bench_must(after.calls - before.calls == total + 1, "calls are missing");
    remark_exits(after.exits - before.exits - 1, total); /* besides: the one that tells the end */
    halo_close(box);
}

static uint64_t lines;

static void count_line(void *context, const struct halo_log_line *line)
{
    (void)context;
    lines += 1 + line->dropped;
}

/* So many lines of the guest's log, which it formats, and the host takes. */
static void run_log(bool is_process, uint64_t total)
{
    const struct way way = {.batch = 1, .is_process = is_process};
    struct halo_sandbox *box = open_guest(&way, "log", total);
    int code = 0;

    lines = 0;
    if (halo_log(box, HALO_LOG_DEBUG, UINT32_MAX, count_line, NULL) ||
        halo_run(box, HALO_FOREVER, &code) || code != 0)
        bench_fail(halo_errmsg(box));
    bench_must(lines == total, "lines are missing");
    remark_exits(after.exits - before.exits - 1, total);
    halo_close(box);
}

/* So many calls of the guest's, in batches. */
static void make_calls(const struct way *way, struct halo_sandbox *box, int function,
                       uint64_t total)
{
    static struct halo_future futures[BATCH_MAX];
    int64_t sum = 0;

    for (uint64_t done = 0; done < total; done += way->batch) {
        for (uint64_t i = 0; i < way->batch; i++) {
            const struct halo_value arg = halo_i64(sum);

            halo_call_start(box, &futures[i], function, &arg, 1);
        }
        for (uint64_t i = 0; i < way->batch; i++) {
            bench_must(halo_wait(&futures[i], HALO_FOREVER) == 0, "a call failed");
            sum = futures[i].result.i64;
        }
    }
}

/* Of the guest's function, by the host. */
static void run_out(const struct way *way, uint64_t total)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_sandbox *box = open_guest(way, "serve", total);
    int function;

    if (halo_serve_begin(box, HALO_FOREVER) ||
        (function = halo_lookup(box, "successor", &type)) < 0)
        bench_fail(halo_errmsg(box));
    make_calls(way, box, function, 4 * way->batch);
    halo_stats(box, &before);
    bench_begin();
    make_calls(way, box, function, total);
    bench_end();
    halo_stats(box, &after);
    bench_must(after.calls_out - before.calls_out == total, "calls are missing");
    remark_exits(after.exits - before.exits, total);
    halo_close(box);
}

static void text8192_work(uint64_t total)
{
    const struct way way = {.batch = 1};
    char words[64];

    run_in(&way, "texts", total);
    (void)snprintf(words, sizeof(words), "%.3f %% did not fit at first",
                   100.0 * (double)truncated / (double)total);
    bench_remark(words);
}

/* A sample of so many calls, made in this way. */
#define SAMPLE(name, total, ...)                     \
    static void name##_work(uint64_t n)              \
    {                                                \
        static const struct way way = {__VA_ARGS__}; \
                                                     \
        if (way.is_out)                              \
            run_out(&way, n);                        \
        else                                         \
            run_in(&way, "calls", n);                \
    }                                                \
    static double name(void)                         \
    {                                                \
        return bench_timed(name##_work, total);      \
    }

SAMPLE(stack, 64, .batch = 1, .is_stack = true)
SAMPLE(stack_process, 64, .batch = 1, .is_stack = true, .is_process = true)
SAMPLE(ring, 64, .batch = 1)
SAMPLE(ring_process, 64, .batch = 1, .is_process = true)
SAMPLE(ring8, 256, .batch = 8)
SAMPLE(ring8_process, 256, .batch = 8, .is_process = true)
SAMPLE(ring64, 1280, .batch = 64)
SAMPLE(ring64_process, 1280, .batch = 64, .is_process = true)
SAMPLE(ring256, 2560, .batch = 256)
SAMPLE(ring256_process, 2560, .batch = 256, .is_process = true)
SAMPLE(inline1, 64, .batch = 1, .is_inline = true)
SAMPLE(inline8, 256, .batch = 8, .is_inline = true)
SAMPLE(inline64, 1280, .batch = 64, .is_inline = true)
SAMPLE(inline64_process, 1280, .batch = 64, .is_inline = true, .is_process = true)
SAMPLE(inline256, 2560, .batch = 256, .is_inline = true)
SAMPLE(out_stack, 64, .batch = 1, .is_out = true, .is_stack = true)
SAMPLE(out_stack_process, 64, .batch = 1, .is_out = true, .is_stack = true, .is_process = true)
SAMPLE(out_ring, 64, .batch = 1, .is_out = true)
SAMPLE(out_ring_process, 64, .batch = 1, .is_out = true, .is_process = true)
SAMPLE(out_ring8, 256, .batch = 8, .is_out = true)
SAMPLE(out_ring64, 1280, .batch = 64, .is_out = true)
SAMPLE(out_ring64_process, 1280, .batch = 64, .is_out = true, .is_process = true)
SAMPLE(out_ring256, 2560, .batch = 256, .is_out = true)

static double text8192(void)
{
    return bench_timed(text8192_work, 8192);
}

static void log_work(uint64_t n)
{
    run_log(false, n);
}

static void log_process_work(uint64_t n)
{
    run_log(true, n);
}

static double log_sample(void)
{
    return bench_timed(log_work, 3200);
}

static double log_process_sample(void)
{
    return bench_timed(log_process_work, 3200);
}

#define ROW(name_, what_, sample_, ...)                                                \
    {                                                                                  \
        .name = name_, .what = what_, .sample = sample_, .neighbours = { __VA_ARGS__ } \
    }

/* One whose instructions are counted, too. */
#define COUNTED(name_, what_, sample_, ...)                                                       \
    {                                                                                             \
        .name = name_, .what = what_, .sample = sample_, .count = sample_##_work, .neighbours = { \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }

const struct bench_row bench_call_rows[] = {
    COUNTED("call.stack", "a host's function over stacks, one an exit", stack,
            {"the same in a process", stack_process, NULL}),
    COUNTED("call.ring", "in a ring, one an exit", ring, {"stacks", stack, NULL},
            {"in a process", ring_process, NULL}),
    ROW("call.ring.batch8", "8 an exit", ring8, {"stacks", stack, NULL},
        {"in a process", ring8_process, NULL}),
    COUNTED("call.ring.batch64", "64 an exit", ring64, {"stacks", stack, NULL},
            {"in a process", ring64_process, NULL}, {"stacks, in a process", stack_process, NULL}),
    ROW("call.ring.batch256", "256 an exit, as many as fit", ring256, {"stacks", stack, NULL},
        {"in a process", ring256_process, NULL}),
    COUNTED("call.inline", "inside descriptors, one an exit", inline1, {"in buffers", ring, NULL}),
    ROW("call.inline.batch8", "8 an exit", inline8, {"in buffers", ring8, NULL}),
    COUNTED("call.inline.batch64", "64 an exit", inline64, {"in buffers", ring64, NULL},
            {"stacks", stack, NULL}, {"in a process", inline64_process, NULL}),
    ROW("call.inline.batch256", "256 an exit, as many as fit", inline256,
        {"in buffers", ring256, NULL}),
    COUNTED("call.out.stack", "a guest's function over stacks, one an exit", out_stack,
            {"the same in a process", out_stack_process, NULL}),
    COUNTED("call.out.ring", "in a ring, one an exit", out_ring, {"stacks", out_stack, NULL},
            {"in a process", out_ring_process, NULL}),
    ROW("call.out.ring.batch8", "8 an exit", out_ring8, {"stacks", out_stack, NULL}),
    COUNTED("call.out.ring.batch64", "64 an exit", out_ring64, {"stacks", out_stack, NULL},
            {"in a process", out_ring64_process, NULL},
            {"stacks, in a process", out_stack_process, NULL}),
    ROW("call.out.ring.batch256", "256 an exit, as many as fit", out_ring256,
        {"stacks", out_stack, NULL}),
    COUNTED("call.text", "text of 1 to 8191 bytes, one an exit", text8192,
            {"a number", ring, NULL}),
    ROW("call.log", "a line of a guest's log, 32 an exit", log_sample,
        {"64 calls an exit", ring64, NULL}, {"in a process", log_process_sample, NULL}),
    {.name = NULL},
};
