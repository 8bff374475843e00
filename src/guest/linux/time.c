/* Clocks and sleep. */
#include "calls.h"

#define SECOND 1000000000

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

/* A clock in nanoseconds; -EINVAL for one that there is not. */
static int64_t read_clock(struct linux_table *table, uint32_t clock, int64_t *ns)
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

int64_t linux_now(struct linux_table *table)
{
    int64_t ns;

    (void)read_clock(table, REALTIME, &ns);
    return ns;
}

int64_t linux_clock_gettime(struct linux_table *table, const uint64_t *args)
{
    int64_t ns, time[2];
    const int64_t error = read_clock(table, (uint32_t)args[0], &ns);

    if (error)
        return error;
    time[0] = ns / SECOND;
    time[1] = ns % SECOND;
    return linux_give(table, args[1], time, sizeof(time));
}

int64_t linux_clock_getres(struct linux_table *table, const uint64_t *args)
{
    const int64_t time[2] = {0, 1};
    int64_t ns;
    const int64_t error = read_clock(table, (uint32_t)args[0], &ns);

    if (error)
        return error;
    return args[1] ? linux_give(table, args[1], time, sizeof(time)) : 0;
}

int64_t linux_gettimeofday(struct linux_table *table, const uint64_t *args)
{
    const int64_t ns = linux_now(table), time[2] = {ns / SECOND, ns % SECOND / 1000};

    if (args[0] && linux_give(table, args[0], time, sizeof(time)))
        return -L_EFAULT;
    return args[1] ? linux_give(table, args[1], &(uint64_t){0}, 8) : 0; /* UTC */
}

int64_t linux_time(struct linux_table *table, const uint64_t *args)
{
    const int64_t seconds = linux_now(table) / SECOND;

    if (args[0] && linux_give(table, args[0], &seconds, sizeof(seconds)))
        return -L_EFAULT;
    return seconds;
}

/* A time of the program's in nanoseconds, cut at what fits. */
static int64_t take_time(const struct linux_table *table, uint64_t address, int64_t *ns)
{
    int64_t time[2];

    if (linux_take(table, address, time, sizeof(time)))
        return -L_EFAULT;
    if (time[0] < 0 || time[1] < 0 || time[1] >= SECOND)
        return -L_EINVAL;
    *ns = time[0] < INT64_MAX / SECOND - 1 ? time[0] * SECOND + time[1] : INT64_MAX;
    return 0;
}

int64_t linux_nanosleep(struct linux_table *table, const uint64_t *args)
{
    int64_t ns;
    const int64_t error = take_time(table, args[0], &ns);

    if (!error && ns > 0)
        table->host->sleep(table->host->context, ns);
    return error;
}

int64_t linux_clock_nanosleep(struct linux_table *table, const uint64_t *args)
{
    enum { ABSTIME = 1 };
    int64_t ns, now;
    int64_t error;

    if ((uint32_t)args[0] == THREAD || read_clock(table, (uint32_t)args[0], &now))
        return -L_EINVAL;
    error = take_time(table, args[2], &ns);
    if (error)
        return error;
    if (args[1] & ABSTIME)
        ns -= now;
    if (ns > 0)
        table->host->sleep(table->host->context, ns);
    return 0;
}
