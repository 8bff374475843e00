/*
 * What is written to a file when the guest has ended: a trace, a profile, a dump, a core file. What
 * is no regular file takes it when somebody reads it: so it is written to memory, and from there as
 * what the command prints, within the time limit.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES 4
#define PART 65536
#define LATE_S 10 /* for a reader that goes on reading when the time limit is over */

static struct {
    int memory, fd;
    const char *path;
} files[FILES];
static unsigned count;

/* Nothing can be made any more when it is written, for the command has confined itself. */
static int keep_apart(const char *path, int fd)
{
    struct stat st;
    int memory;

    if ((fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) || count == FILES)
        return fd;
    memory = memfd_create("written", MFD_CLOEXEC);
    if (memory < 0)
        return fd;
    files[count].memory = memory;
    files[count].fd = fd;
    files[count++].path = path;
    return memory;
}

int tool_open_written(const char *command, const char *path, int *fd)
{
    *fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600)
               : -1;
    if (*fd >= 0)
        *fd = keep_apart(path, *fd);
    if (!path || *fd >= 0)
        return 0;
    tool_say("halo %s: %s: %s\n", command, path, strerror(errno));
    return TOOL_EXIT_USAGE;
}

/* 0, or what kept it from being whole. */
static int send_all(int memory, int fd)
{
    static char part[PART];
    struct timespec now;
    time_t until = 0;
    off_t at = 0;
    ssize_t n;
    int error = 0;

    while (!error && (n = pread(memory, part, sizeof(part), at)) > 0) {
        at += n;
        error = tool_put(fd, part, (size_t)n);
        if (tool_time_left() > 0)
            continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (until == 0)
            until = now.tv_sec + LATE_S;
        else if (now.tv_sec >= until && !error)
            error = ETIMEDOUT;
    }
    return error;
}

int tool_send_written(const char *command, int memory)
{
    sigset_t pipes, before;
    unsigned i = 0;
    int error;

    while (i < count && files[i].memory != memory)
        i++;
    if (i == count)
        return 0;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    (void)sigprocmask(SIG_BLOCK, &pipes, &before);
    error = send_all(memory, files[i].fd);
    (void)sigtimedwait(&pipes, NULL, &(struct timespec){0, 0});
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    files[i].memory = -1;
    if (error != ETIMEDOUT) /* else a helper may still be in the middle of it */
        close(files[i].fd);
    if (!error)
        return 0;
    tool_say("halo %s: %s: %s\n", command, files[i].path,
             error == ETIMEDOUT ? "nobody has taken all of it within the time limit"
                                : strerror(error));
    return error == ETIMEDOUT ? TOOL_EXIT_TIMEOUT : TOOL_EXIT_FAILED;
}
