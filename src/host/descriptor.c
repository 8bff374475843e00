/* Descriptors of Halo's own: above the standard ones, and marked. */
#define _GNU_SOURCE
#include "descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

int halo__fd_high(int fd)
{
    int high = fd, error;

    if (fd >= 0 && fd <= STDERR_FILENO) {
        high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        error = errno;
        close(fd);
        errno = error;
    }
    if (high >= 0)
        (void)fcntl(high, F_SETSIG, SIGKILL);
    return high;
}

bool halo__fd_is_marked(int fd)
{
    return fcntl(fd, F_GETSIG) == SIGKILL;
}
