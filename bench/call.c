/*
 * Calls of a host's function, i64(i64), by a guest: one for each exit, and 64. The backend is
 * KVM where there is one. Starting and ending the guest is not in it.
 */
#include "bench.h"
#include <halo/halo.h>
#include <inttypes.h>
#include <stdio.h>

static void begin(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
    bench_begin();
}

static void end(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
    bench_end();
}

static void next(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(args[0].i64 + 1));
}

static void run(uint64_t total, uint64_t batch, enum halo_backend_choice backend, bool plain)
{
    static const struct halo_signature mark_type = HALO_FN(HALO_VOID);
    static const struct halo_signature next_type = HALO_FN(HALO_I64, HALO_I64);
    char batch_text[24], total_text[24];
    const char *const args[] = {"calls", batch_text, total_text};
    const struct halo_options options = {
        .backend = backend, .args = args, .arg_count = 3, .plain_ring = plain};
    struct halo_sandbox *box;
    struct halo_stats stats;
    int code = 0;

    (void)snprintf(batch_text, sizeof(batch_text), "%" PRIu64, batch);
    (void)snprintf(total_text, sizeof(total_text), "%" PRIu64, total);
    bench_must(halo_open(&box, BENCH_GUEST, &options) == 0, "cannot open the guest");
    bench_must(halo_provide(box, "begin", &mark_type, begin, NULL) == 0 &&
                   halo_provide(box, "end", &mark_type, end, NULL) == 0 &&
                   halo_provide(box, "next", &next_type, next, NULL) == 0,
               "cannot provide");
    if (halo_run(box, HALO_FOREVER, &code) || code != 0)
        bench_fail(halo_errmsg(box));
    halo_stats(box, &stats);
    /* Besides the batches: greeting, begin, end, halt. */
    bench_must(stats.calls == total + 2 && stats.exits == total / batch + 4, "exits too many");
    halo_close(box);
}

static void single(uint64_t n)
{
    run(n, 1, HALO_BACKEND_AUTO, true);
}

static void batch64(uint64_t n)
{
    run(n, 64, HALO_BACKEND_AUTO, true);
}

static void process_single(uint64_t n)
{
    run(n, 1, HALO_BACKEND_PROCESS, true);
}

static void process_batch64(uint64_t n)
{
    run(n, 64, HALO_BACKEND_PROCESS, true);
}

static void inline_batch64(uint64_t n)
{
    run(n, 64, HALO_BACKEND_AUTO, false);
}

static void process_inline_batch64(uint64_t n)
{
    run(n, 64, HALO_BACKEND_PROCESS, false);
}

static double single_sample(void)
{
    return bench_timed(single, 64);
}

static double batch64_sample(void)
{
    return bench_timed(batch64, 640);
}

static double process_single_sample(void)
{
    return bench_timed(process_single, 64);
}

static double process_batch64_sample(void)
{
    return bench_timed(process_batch64, 640);
}

static double inline_batch64_sample(void)
{
    return bench_timed(inline_batch64, 640);
}

static double process_inline_batch64_sample(void)
{
    return bench_timed(process_inline_batch64, 640);
}

const struct bench_row bench_call_rows[] = {
    {.name = "call.ring",
     .what = "a host's function, one for each exit",
     .sample = single_sample,
     .neighbours = {{"the same in a process", process_single_sample, NULL}}},
    {.name = "call.ring.batch64",
     .what = "the same, 64 for each exit",
     .sample = batch64_sample,
     .neighbours = {{"one for each exit", single_sample, NULL},
                    {"64 for each exit, in a process", process_batch64_sample, NULL}}},
    {.name = "call.inline.batch64",
     .what = "the same, inside descriptors",
     .sample = inline_batch64_sample,
     .neighbours = {{"in buffers", batch64_sample, NULL},
                    {"inside descriptors, in a process", process_inline_batch64_sample, NULL}}},
    {.name = NULL},
};
