/*
 * An event of a trace, on either side: while it is off, and while it is on; and a number that is
 * counted. What surrounds it in a program is not in it, but for a loop.
 */
#include "../src/guest/trace.h"
#include "../src/host/counts.h"
#include "../src/host/trace.h"
#include "bench.h"

#define COUNT 65536u

static struct halo_trace *trace; /* as a port has it */
static struct halo_boot boot;
static struct halo_save save;

/* The compiler is not to know whether there is a trace. */
static void host_events(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        __asm__ volatile("" : : : "memory");
        HALO_TRACE(trace, TAKE, i & 0xffff, i);
    }
}

static void host_on(uint64_t operations)
{
    trace = halo__trace_new(COUNT);
    bench_must(trace != NULL, "no memory");
    host_events(2 * COUNT); /* its memory is there */
    bench_begin();
    host_events(operations);
    bench_end();
    halo__trace_free(trace);
    trace = NULL;
}

static void guest_events(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        __asm__ volatile("" : : : "memory");
        halo__trace(HALO_EVENT_SUBMIT, i & 0xffff, i);
    }
}

static void guest_on(uint64_t operations)
{
    boot.save = (uintptr_t)&save;
    boot.trace = 1;
    halo__trace_begin(&boot);
    guest_events(HALO_RECORDS);
    bench_begin();
    guest_events(operations);
    bench_end();
    boot.trace = 0;
    halo__trace_look(&boot);
}

/* What an event cannot do without. */
static void time_stamps(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        const uint64_t counter = __builtin_ia32_rdtsc();

        __asm__ volatile("" : : "r"(counter));
    }
}

static uint64_t number;
static struct halo_histogram histogram;

static void count_numbers(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++)
        halo__count(&number, 1);
}

static void observe_numbers(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++)
        halo__observe(&histogram, i);
}

BENCH_SAMPLE(counter_sample, 200000, count_numbers(n))
BENCH_SAMPLE(histogram_sample, 200000, observe_numbers(n))
BENCH_SAMPLE(host_off_sample, 200000, host_events(n))
BENCH_SAMPLE(host_on_sample, 20000, host_on(n))
BENCH_SAMPLE(guest_off_sample, 200000, guest_events(n))
BENCH_SAMPLE(guest_on_sample, 20000, guest_on(n))
BENCH_SAMPLE(time_stamp_sample, 20000, time_stamps(n))

const struct bench_row bench_trace_rows[] = {
    {.name = "trace.off",
     .what = "an event of the host's, while there is no trace",
     .sample = host_off_sample},
    {.name = "trace.on",
     .what = "an event of the host's",
     .sample = host_on_sample,
     .neighbours = {{"a time stamp", time_stamp_sample, NULL}}},
    {.name = "trace.guest.off",
     .what = "an event of the guest's, while there is no trace",
     .sample = guest_off_sample},
    {.name = "trace.guest.on",
     .what = "an event of the guest's",
     .sample = guest_on_sample,
     .neighbours = {{"a time stamp", time_stamp_sample, NULL}}},
    {.name = "trace.counter",
     .what = "a number of the host's is counted",
     .sample = counter_sample},
    {.name = "trace.histogram", .what = "and into a histogram", .sample = histogram_sample},
    {.name = NULL},
};
