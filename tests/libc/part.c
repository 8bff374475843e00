/*
 * Reads as many bytes of standard input as its arguments say, and leaves the rest to the next. The
 * argument c is a getchar without a buffer, p a poll before the next, s a select; lN polls and
 * reads N bytes until the end.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>

static int by_select(void)
{
    fd_set in;

    FD_ZERO(&in);
    FD_SET(0, &in);
    return select(1, &in, NULL, NULL, NULL);
}

static void loop(size_t len)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    unsigned long total = 0;
    char bytes[4096];
    ssize_t got = 1;

    while (got > 0 && poll(&in, 1, -1) == 1) {
        got = read(0, bytes, len);
        total += got > 0 ? (size_t)got : 0;
    }
    printf("%lu bytes\n", total);
}

int main(int argc, char **argv)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char bytes[256];

    setvbuf(stdin, NULL, _IONBF, 0);
    for (int i = 1; i < argc; i++) {
        ssize_t got;

        if (argv[i][0] == 'c') {
            printf("getchar: %c\n", getchar());
            continue;
        }
        if (argv[i][0] == 'p') {
            printf("poll: %d\n", poll(&in, 1, -1));
            continue;
        }
        if (argv[i][0] == 's') {
            printf("select: %d\n", by_select());
            continue;
        }
        if (argv[i][0] == 'l') {
            loop((size_t)atoi(argv[i] + 1));
            continue;
        }
        got = read(0, bytes, (size_t)atoi(argv[i]));
        printf("%zd: ", got);
        fwrite(bytes, 1, got > 0 ? (size_t)got : 0, stdout);
        puts("");
    }
    return 0;
}
