/* Reads as many bytes of standard input as its arguments say, and leaves the rest to the next. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char bytes[256];

    for (int i = 1; i < argc; i++) {
        const ssize_t got = read(0, bytes, (size_t)atoi(argv[i]));

        printf("%zd: ", got);
        fwrite(bytes, 1, got > 0 ? (size_t)got : 0, stdout);
        puts("");
    }
    return 0;
}
