/* What tests with two threads share. */
#ifndef TESTS_CONCURRENCY_THREADS_H
#define TESTS_CONCURRENCY_THREADS_H

#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random >> 11;
}

/*
 * A lost wake-up shows as a sleep that never ends. The time limit only turns that into a failure;
 * it is far above anything that a slow machine needs.
 */
static inline void sleep_on(sem_t *sem)
{
    struct timespec limit;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 30;
    while (sem_timedwait(sem, &limit) < 0) {
        if (errno == ETIMEDOUT) {
            fprintf(stderr, "a wake-up was lost\n");
            abort();
        }
    }
}

#endif
