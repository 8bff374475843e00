/* See trace_judge.h. TRC-01, TRC-02. */
#include "trace_judge.h"
#include <stdbool.h>
#include <stdlib.h>

static bool is_good(const struct halo_record *record, uint32_t place, uint32_t trace)
{
    const uint32_t number = (uint32_t)record->sequence;

    return record->sequence >> 32 == trace && number > 0 && (number - 1) % HALO_RECORDS == place &&
           record->kind >= HALO_EVENT_SUBMIT && record->kind < HALO_EVENT_GUEST_END;
}

static int compare(const void *a, const void *b)
{
    const struct halo_record *left = a, *right = b;

    return left->sequence < right->sequence ? -1 : left->sequence > right->sequence;
}

uint32_t halo__trace_judge(const struct halo_record *records, const struct halo_trace_span *span,
                           struct halo_record *to)
{
    uint64_t last = span->begun;
    uint32_t count = 0;

    for (uint32_t i = 0; i < HALO_RECORDS; i++) {
        if (is_good(&records[i], i, span->trace))
            to[count++] = records[i];
    }
    qsort(to, count, sizeof(*to), compare);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t counter = to[i].counter - span->ahead;

        if (counter > last && counter <= span->now)
            last = counter;
        to[i].counter = last;
    }
    return count;
}
