/* Descriptors of Halo's own: above the standard ones, and marked. */
#define _GNU_SOURCE
#include "descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
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

const char *halo__fd_write(int fd, const void *bytes, size_t len)
{
    const unsigned char *from = bytes;

    while (len > 0) {
        const ssize_t n = write(fd, from, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? strerror(errno) : "nothing is taken";
        from += n;
        len -= (size_t)n;
    }
    return NULL;
}
