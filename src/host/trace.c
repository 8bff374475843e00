/* The host's own events: see trace.h. */
#include "trace.h"
#include "deadline.h"
#include <stdlib.h>
#include <sys/mman.h>

struct halo_trace *halo__trace_new(uint32_t count)
{
    struct halo_trace *trace = calloc(1, sizeof(*trace));
    uint64_t places = 64;

    while (places < count)
        places *= 2;
    if (!trace)
        return NULL;
    /* The kernel's zeroes: of a trace that stays short only the beginning is ever there. */
    trace->records = mmap(NULL, places * sizeof(*trace->records), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (trace->records == MAP_FAILED) {
        free(trace);
        return NULL;
    }
    trace->mask = places - 1;
    trace->begun_ns = halo__now();
    trace->begun = __builtin_ia32_rdtsc();
    return trace;
}

void halo__trace_free(struct halo_trace *trace)
{
    if (!trace)
        return;
    munmap(trace->records, (trace->mask + 1) * sizeof(*trace->records));
    free(trace);
}

__attribute__((noinline)) void halo__trace_put(struct halo_trace *trace, uint32_t kind, uint32_t a,
                                               uint64_t b)
{
    struct halo_record *record = &trace->records[trace->count & trace->mask];

    record->counter = __builtin_ia32_rdtsc();
    record->kind = kind;
    record->a = a;
    record->b = b;
    record->sequence = ++trace->count;
}
