/* poll and readv on standard input, at their edges. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

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
    return 0;
}
