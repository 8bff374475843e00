/* Deadlines. */
#define _GNU_SOURCE
#include "deadline.h"
#include <time.h>

#define NEVER INT64_MAX

int64_t halo__now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t halo__thread_time(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

int halo__poll_timeout(int64_t deadline)
{
    int64_t left;

    if (deadline == NEVER)
        return -1;
    left = deadline - halo__now();
    if (left <= 0)
        return 0;
    left = (left + 999999) / 1000000;
    return left > 1000000 ? 1000000 : (int)left;
}
