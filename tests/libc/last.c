/* What is said last: a failed assertion's text, and output that cannot be written. */
#undef NDEBUG
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    printf("output that waits in a buffer\n");
    if (argc > 1 && strcmp(argv[1], "assert") == 0) {
        fflush(stdout);
        assert(argc < 2);
    }
    if (argc > 1 && strcmp(argv[1], "ignore") == 0)
        signal(SIGPIPE, SIG_IGN);
    while (argc > 1 && puts("y") >= 0)
        continue;
    return 0;
}
