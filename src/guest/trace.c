/* Events of the guest's: see trace.h. */
#include "trace.h"

uint32_t halo__tracing;
static struct halo_record records[HALO_RECORDS];
static uint32_t generation, count; /* of the trace in which these are, and of them */

void halo__trace_begin(const struct halo_boot *boot)
{
    if (boot->save)
        ((struct halo_save *)(uintptr_t)boot->save)->trace = (uintptr_t)records;
    halo__trace_look(boot);
}

__attribute__((noinline)) void halo__trace_record(uint32_t kind, uint32_t a, uint64_t b)
{
    struct halo_record *record;

    if (generation != halo__tracing) {
        generation = halo__tracing;
        count = 0;
    }
    record = &records[count % HALO_RECORDS];
    /* The host reads it when this guest does not run: the order is for one that is stopped here. */
    record->sequence = 0;
    __asm__ volatile("" : : : "memory");
    record->counter = __builtin_ia32_rdtsc();
    record->kind = kind;
    record->a = a;
    record->b = b;
    __asm__ volatile("" : : : "memory");
    record->sequence = (uint64_t)generation << 32 | ++count;
}
