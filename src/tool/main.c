/* halo: the command. */
#include "tool.h"
#include <stdio.h>
#include <string.h>

static const char usage[] = "usage: halo run [OPTIONS] GUEST [ARGS]   run a guest program\n"
                            "       halo --help | --version\n"
                            "\n"
                            "`halo run --help` lists the options.\n";

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage, stderr);
        return TOOL_EXIT_USAGE;
    }
    if (strcmp(argv[1], "run") == 0)
        return tool_run(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("halo " HALO_VERSION);
        return 0;
    }
    fprintf(stderr, "halo: unknown command '%s'\n%s", argv[1], usage);
    return TOOL_EXIT_USAGE;
}
