/* System calls that ask for the time, or let it go by. */
#include "calls.h"

#define SECOND 1000000000

int64_t linux_clock_getres(struct linux_table *table, const uint64_t *args)
{
    const int64_t time[2] = {0, 1};
    int64_t ns;
    const int64_t error = linux_clock(table, (uint32_t)args[0], &ns);

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

/* Sleep; what is left when a signal comes goes to an address, if one is given. */
static int64_t sleep_and_tell(struct linux_table *table, int64_t ns, uint64_t address)
{
    const int64_t left = ns > 0 ? linux_sleep(table, ns) : 0;

    if (!left)
        return 0;
    if (address && linux_give(table, address, (const int64_t[2]){left / SECOND, left % SECOND}, 16))
        return -L_EFAULT;
    return -L_EINTR;
}

int64_t linux_nanosleep(struct linux_table *table, const uint64_t *args)
{
    int64_t ns;
    const int64_t error = take_time(table, args[0], &ns);

    return error ? error : sleep_and_tell(table, ns, args[1]);
}

int64_t linux_clock_nanosleep(struct linux_table *table, const uint64_t *args)
{
    enum { ABSTIME = 1, THREAD = 3 };
    int64_t ns, now;
    int64_t error;

    if ((uint32_t)args[0] == THREAD || linux_clock(table, (uint32_t)args[0], &now))
        return -L_EINVAL;
    error = take_time(table, args[2], &ns);
    if (error)
        return error;
    if (args[1] & ABSTIME)
        return sleep_and_tell(table, ns - now, 0);
    return sleep_and_tell(table, ns, args[3]);
}
