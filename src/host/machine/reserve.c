/*
 * All of guest memory at once: see ram.h. At the limit of a group of processes the kernel may kill
 * whoever asks for memory, rather than refuse it (a group of version 2 knows nothing else). So a
 * process is made to ask, whose only use is that: where somebody has to be killed, it offers
 * itself, and the kernel takes back what it has found. It shares no memory with its host, for the
 * kernel kills all that share, and shows in none of the host's waits.
 */
#define _GNU_SOURCE
#include "ram.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a fork of a host that may have threads: system calls alone. */
static int ask(const struct halo_ram *ram)
{
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0)
        (void)!write(fd, "1000", 4);
    return fallocate(ram->fd, 0, 0, (off_t)ram->len) < 0 ? errno : 0;
}

static pid_t start(const struct halo_ram *ram)
{
    sigset_t all, before;
    pid_t pid;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the host's runs there */
    pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(ask(ram));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

int halo__ram_reserve(struct halo_ram *ram)
{
    const unsigned long long len = ram->len >> 10;
    const pid_t pid = start(ram);
    const char *why = "the kernel killed who asked for it";
    struct stat st;
    int status = 0;

    if (pid < 0)
        return halo__fail(ram->words, HALO_EHOST, "cannot start a process that asks for memory: %s",
                          strerror(errno));
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status))
        why = strerror(WEXITSTATUS(status));
    /* Whatever has become of that process, and whoever has waited for it: is the memory there? */
    if (fstat(ram->fd, &st) < 0 || (uint64_t)st.st_blocks * 512 < ram->len)
        return halo__fail(ram->words, HALO_ENOMEM,
                          "there is no memory for all %llu KiB of guest memory: %s", len, why);
    ram->is_reserved = true;
    memset(ram->found, true, (size_t)((ram->len + HALO_RAM_PIECE - 1) / HALO_RAM_PIECE));
    return 0;
}
