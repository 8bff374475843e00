/* How far a long transfer is: one line on a terminal, written again and again. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "tool.h"

#define EVERY_NS 200000000
#define CLEAR "\033[K"  /* the terminal obeys that: it is no message */
#define BEGIN_AFTER_S 1 /* nobody wants to see what is over at once */

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* "12.3 MiB": `text` has 16 bytes and is returned. */
static const char *amount(char *text, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;

    for (; bytes >= 1000 && unit < 4; unit++)
        bytes /= 1024;
    (void)snprintf(text, 16, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return text;
}

/* The line that tells of so many bytes; `total` 0: nobody knows how many there will be. */
static void describe(char *line, size_t size, uint64_t bytes, uint64_t total, double seconds)
{
    const double rate = seconds > 0 ? (double)bytes / seconds : 0;
    char moved[16], speed[16];

    (void)snprintf(line, size, "%9s  %9s/s", amount(moved, (double)bytes), amount(speed, rate));
    if (total > 0 && bytes <= total && rate > 0) {
        const unsigned long left = (unsigned long)((double)(total - bytes) / rate + 0.5);
        const size_t len = strlen(line);

        (void)snprintf(line + len, size - len, "  %3.0f %%  %lu:%02lu left",
                       100.0 * (double)bytes / (double)total, left / 60, left % 60);
    }
}

/* Does the terminal belong to this command now? A job in the background leaves it alone. */
static bool in_foreground(void)
{
    return tcgetpgrp(STDERR_FILENO) == getpgrp();
}

/* Characters that fit into a line of the terminal; in its last column some begin a new one. */
static size_t columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 79;
    return size.ws_col - 1u;
}

static void show(struct halo_sandbox *box, void *context)
{
    struct tool_progress *progress = context;
    const double seconds = now() - progress->start;
    struct halo_stats stats;
    char line[80], shown[96];
    uint64_t bytes;

    halo_stats(box, &stats);
    bytes = stats.bytes_in > 0 ? stats.bytes_in : stats.bytes_out;
    if (bytes == 0 || seconds < BEGIN_AFTER_S || !in_foreground())
        return;
    describe(line, sizeof(line), bytes, progress->total, seconds);
    if (poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, 0) <= 0)
        return; /* it was stopped, and the transfer goes on */
    (void)fflush(tool_err);
    (void)snprintf(shown, sizeof(shown), "\r%.*s" CLEAR, (int)columns(), line);
    (void)tool_put(STDERR_FILENO, shown, strlen(shown));
    progress->shown = true;
}

void tool_progress_begin(struct halo_sandbox *box, struct tool_progress *progress, int input)
{
    const char *terminal = getenv("TERM");
    const off_t at = lseek(input, 0, SEEK_CUR);
    struct statx st;

    *progress = (struct tool_progress){.start = now()};
    if (input < 0) /* nobody wants to see it */
        return;
    /* Where the guest's own output goes to the terminal, a line of ours would be in its way. */
    if (!tool_is_terminal(STDERR_FILENO) || !terminal || strcmp(terminal, "dumb") == 0 ||
        tool_is_terminal(STDOUT_FILENO) || tool_is_terminal(input))
        return;
    if (statx(input, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st) == 0 &&
        S_ISREG(st.stx_mode) && at >= 0 && (uint64_t)at < st.stx_size)
        progress->total = st.stx_size - (uint64_t)at;
    halo_watch(box, EVERY_NS, show, progress);
}

void tool_progress_end(const struct tool_progress *progress)
{
    (void)fflush(tool_err);
    if (progress->shown && in_foreground())
        (void)tool_put(STDERR_FILENO, "\r" CLEAR, strlen("\r" CLEAR));
}
