/*
 * For LD_PRELOAD: every hundredth kick is thrown away. A kick is a write to an eventfd by a thread
 * that has all signals blocked, as that of a guest has.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_eventfd(int fd)
{
    char path[32], link[32] = "";

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return readlink(path, link, sizeof(link) - 1) > 0 && strcmp(link, "anon_inode:[eventfd]") == 0;
}

static int is_guest_s(void)
{
    sigset_t blocked;

    return pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0 && sigismember(&blocked, SIGUSR1) == 1;
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *from, size_t len)
{
    static unsigned kicks; /* any thread's */

    if (len == 8 && is_eventfd(fd) && is_guest_s() &&
        __atomic_add_fetch(&kicks, 1, __ATOMIC_RELAXED) % 100 == 0)
        return 8;
    return syscall(SYS_write, fd, from, len);
}
