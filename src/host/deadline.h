/*
 * Deadlines: times of CLOCK_MONOTONIC in ns, INT64_MAX for never. A function that may wait turns
 * its caller's relative time into one deadline, once; everything beneath it is given that.
 */
#ifndef HALO_SRC_DEADLINE_H
#define HALO_SRC_DEADLINE_H

#include <stdint.h>

int64_t halo__now(void);

/* The processor's time stamp counter, for how old something is: it costs less than the clock. */
static inline uint64_t halo__counter(void)
{
    return __builtin_ia32_rdtsc();
}

/* Processor time of this thread, in ns. */
int64_t halo__thread_time(void);

/* So many ns from now on, which are not negative. For ever, most of all, needs no clock. */
static inline int64_t halo__deadline(int64_t timeout_ns)
{
    const int64_t now = timeout_ns == INT64_MAX ? 0 : halo__now();

    return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

/* What is left until then as a timeout for poll and epoll: ms, rounded up, or -1 for ever. */
int halo__poll_timeout(int64_t deadline);

#endif
