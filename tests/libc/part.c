/*
 * Reads as many bytes of standard input as its arguments say, and leaves the rest to the next. The
 * argument c is a getchar without a buffer, p a poll before the next.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
        got = read(0, bytes, (size_t)atoi(argv[i]));
        printf("%zd: ", got);
        fwrite(bytes, 1, got > 0 ? (size_t)got : 0, stdout);
        puts("");
    }
    return 0;
}
