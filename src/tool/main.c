/* halo: the command. */
#define _GNU_SOURCE
#include "symbols.h"
#include "tool.h"
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: halo run [OPTIONS] GUEST [ARGS]   run a guest program\n"
    "       halo snapshot [OPTIONS] -o FILE GUEST [ARGS]\n"
    "                                          keep a guest where it waits, as a file\n"
    "       halo call [OPTIONS] GUEST [FUNCTION [VALUES]]\n"
    "                                          call a function of a guest, or list them\n"
    "       halo inspect [OPTIONS] FILE|SOCKET\n"
    "                                          what a sandbox waits for, or why it has ended\n"
    "       halo bind [OPTIONS] HEADER         write typed functions for both sides of a sandbox\n"
    "       halo bench [OPTIONS] [PATTERN...]  measure Halo on this machine\n"
    "       halo --help | --version\n"
    "\n"
    "`halo run --help`, and so with each command, lists the options.\n";

/*
 * A command may be started with some of its standard streams closed. Their numbers must not go to
 * whatever is opened next, for the guest would be given that: they are taken by what can be neither
 * read nor written, and that error, EBADF, is the one of a closed stream. Nothing but a root is
 * needed for it. False where even that fails.
 */
static bool keep_standard_numbers(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/", O_PATH) != fd)
            return false;
    }
    return true;
}

/*
 * The benchmark is a program of its own, for its neighbours need libraries that nobody else does.
 * It is not installed: it lies where the build puts it, or beside this one where somebody has put
 * it there.
 */
static int run_bench(char **argv)
{
    static const char *const places[] = {"halo-bench", "../bench/halo-bench"};
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len > 0) {
        for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            strcpy(path + len, places[i]);
            (void)execv(path, argv);
        }
    }
    fputs("halo: halo-bench is not installed with halo; `make bench` in the sources builds it\n",
          tool_err);
    return TOOL_EXIT_USAGE;
}

/* What there is to say without a sub-command. */
static int tell(const char *command)
{
    if (!command) {
        fputs(usage, tool_err);
        return TOOL_EXIT_USAGE;
    }
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 ||
        strcmp(command, "help") == 0) {
        fputs(usage, tool_out);
    } else if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0) {
        fputs("halo " HALO_VERSION "\n", tool_out);
    } else {
        tool_say("halo: unknown command '%s'\n", command);
        fputs(usage, tool_err);
        return TOOL_EXIT_USAGE;
    }
    return 0;
}

static int obey(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "run") == 0)
        return tool_run(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "snapshot") == 0)
        return tool_snapshot(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "call") == 0)
        return tool_call(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "inspect") == 0)
        return tool_inspect(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "bind") == 0)
        return tool_bind(argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "bench") == 0)
        return tool_printed("", run_bench(argv + 1));
    return tool_printed("", tell(argc < 2 ? NULL : argv[1]));
}

int main(int argc, char **argv)
{
    int code;

    if (!keep_standard_numbers())
        return TOOL_EXIT_USAGE;
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is an error in words */
    (void)setlocale(LC_CTYPE, "");  /* which characters can be printed; numbers stay as they are */
    if (!tool_output_begin())
        return TOOL_EXIT_USAGE;
    code = obey(argc, argv);
    tool_symbols_end();
    return code;
}
