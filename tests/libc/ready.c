/* poll and readv on standard input, at their edges. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <time.h>

static void by_select(void)
{
    struct timeval time = {10, 0}, soon = {0, 20000};
    fd_set in, out;
    int got;

    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(0, &in);
    got = select(1, &in, NULL, NULL, &time);
    printf("%d %d %d\n", got, FD_ISSET(0, &in), time.tv_sec > 0);
    FD_SET(1, &out);
    FD_SET(2, &out);
    got = select(FD_SETSIZE, NULL, &out, &in, NULL);
    printf("%d %d %d\n", got, FD_ISSET(1, &out), FD_ISSET(0, &in));
    FD_SET(1, &out);
    printf("%d %d\n", select(1, NULL, &out, NULL, &soon), FD_ISSET(1, &out) != 0);
    printf("%d\n", select(0, NULL, NULL, NULL, &soon));
    FD_SET(40, &in);
    printf("%d", select(41, &in, NULL, NULL, &time));
    printf(" %d\n", errno);
    printf("%d", select(-1, NULL, NULL, NULL, &time));
    printf(" %d\n", errno);
}

int main(void)
{
    struct pollfd none = {.fd = 0, .events = 0};
    struct pollfd both[2] = {{.fd = 1, .events = 0}, {.fd = 0, .events = POLLIN}};
    struct timespec time;
    struct iovec vectors[2];
    unsigned long turns = 0;
    int got;

    /* What is read comes to lie over the vectors themselves. */
    vectors[0] = (struct iovec){vectors, sizeof(vectors)};
    vectors[1] = (struct iovec){&time, sizeof(time)};
    printf("%d\n", (int)readv(0, vectors, 2));
    fwrite(vectors, 1, sizeof(vectors), stdout);
    fwrite(&time, 1, sizeof(time), stdout);
    time = (struct timespec){.tv_nsec = 1000000};
    printf("%d\n", poll(&none, 1, 0));
    while (both[0].revents = 0, (got = poll(both + 1, 1, 0)) == 0 && turns < 1000000000)
        turns++;
    printf("%d %x\n", got, (unsigned)both[1].revents);
    got = poll(both, 2, -1);
    printf("%d %x %x\n", got, (unsigned)both[0].revents, (unsigned)both[1].revents);
    printf("%d\n", nanosleep(&time, NULL));
    by_select();
    return 0;
}
