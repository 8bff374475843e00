/* Time goes on, never back, and sleeping takes as long as it should. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

static int64_t now(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int main(int argc, char **argv)
{
    const int looks = argc > 2 ? 100 : 100000; /* who traces them has enough of a few */
    const struct timespec nap = {0, 30000000};
    int64_t start = now(CLOCK_MONOTONIC), last = start, at, slept;
    unsigned char random[2][16];
    struct timeval day;
    struct tm *parts;
    time_t moment = 86400 * 365;
    int back = 0;

    for (int i = 0; i < looks; i++) {
        at = now(CLOCK_MONOTONIC);
        back += at < last;
        last = at;
    }
    printf("back %d, on %d\n", back, last > start);
    start = now(CLOCK_MONOTONIC);
    printf("sleep %d\n", nanosleep(&nap, NULL));
    slept = now(CLOCK_MONOTONIC) - start;
    printf("%d %d\n", slept >= 30000000, slept < 10000000000);
    start = now(CLOCK_MONOTONIC);
    printf("poll %d\n", poll(NULL, 0, 20));
    printf("%d\n", now(CLOCK_MONOTONIC) - start >= 20000000);
    gettimeofday(&day, NULL);
    if (argc > 1)
        printf("today %d\n", llabs(day.tv_sec - atoll(argv[1])) < 60);
    parts = gmtime(&moment);
    printf("%s", asctime(parts));
    printf("cpu %d\n", clock() >= 0);
    getrandom(random[0], 16, 0);
    getrandom(random[1], 16, 0);
    printf("random %d\n", memcmp(random[0], random[1], 16) != 0);
    printf("%d", clock_gettime(99, &(struct timespec){0}));
    printf(" %d\n", errno);
    return 0;
}
