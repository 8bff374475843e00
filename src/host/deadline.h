/*
 * Deadlines: times of CLOCK_MONOTONIC in ns, INT64_MAX for never. A function that may wait turns
 * its caller's relative time into one deadline, once; everything beneath it is given that.
 */
#ifndef HALO_SRC_DEADLINE_H
#define HALO_SRC_DEADLINE_H

#include <stdint.h>

int64_t halo__now(void);

/* So many ns from now on, which are not negative. */
int64_t halo__deadline(int64_t timeout_ns);

/* What is left until then as a timeout for poll and epoll: ms, rounded up, or -1 for ever. */
int halo__poll_timeout(int64_t deadline);

#endif
