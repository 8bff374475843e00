/* What time it is, by each of the clocks; and the call that asks for it, which is the most frequent
 * one. */
#include "calls.h"

enum clock {
    REALTIME,
    MONOTONIC,
    PROCESS,
    THREAD,
    MONOTONIC_RAW,
    REALTIME_COARSE,
    MONOTONIC_COARSE,
    BOOTTIME
};

static inline int64_t read_clock(struct linux_table *table, uint32_t clock, int64_t *ns)
{
    int64_t monotonic, real;

    table->host->now(table->host->context, &monotonic, &real);
    switch (clock) {
    case REALTIME:
    case REALTIME_COARSE:
        *ns = real;
        return 0;
    case MONOTONIC:
    case MONOTONIC_RAW:
    case MONOTONIC_COARSE:
    case BOOTTIME:
        *ns = monotonic;
        return 0;
    case PROCESS: /* as if it had run all the time */
    case THREAD:
        *ns = monotonic - table->start_ns;
        return 0;
    default:
        return -L_EINVAL;
    }
}

int64_t linux_clock(struct linux_table *table, uint32_t clock, int64_t *ns)
{
    return read_clock(table, clock, ns);
}

int64_t linux_monotonic(struct linux_table *table)
{
    int64_t ns;

    (void)linux_clock(table, MONOTONIC, &ns);
    return ns;
}

int64_t linux_now(struct linux_table *table)
{
    int64_t ns;

    (void)linux_clock(table, REALTIME, &ns);
    return ns;
}

int64_t linux_clock_gettime(struct linux_table *table, const uint64_t *args)
{
    int64_t ns, time[2];
    const int64_t error = read_clock(table, (uint32_t)args[0], &ns);

    if (error)
        return error;
    time[0] = ns / 1000000000;
    time[1] = ns % 1000000000;
    return linux_give_pair(table, args[1], time);
}
