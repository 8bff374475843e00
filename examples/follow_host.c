/*
 * A log that is followed through a filter, wherever it is rotated to:
 *
 *     follow_host [--backend kvm|process] grep.halo LOG PATTERN
 *
 * The guest's standard input are two functions: what is appended to LOG, and to whatever file takes
 * its name, from its beginning; until SIGINT or SIGTERM. The guest knows nothing of that, nor of
 * the file's name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <halo/halo.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hosts.h"

struct follow {
    const char *path;
    int fd;      /* of the file that had the name when we last looked, or -1 */
    int changes; /* inotify: something in its directory has changed */
    int signals;
    int either; /* readable where one of them is */
    int error;  /* an errno that the log cannot be followed for, or 0 */
};

/* The file that has the name now, where that is another: 1, 0 where it is not, or -errno. */
static int open_next(struct follow *follow)
{
    struct stat named, open_one;

    if (stat(follow->path, &named) < 0)
        return errno == ENOENT ? 0 : -errno; /* between two names: it will come */
    if (follow->fd >= 0 && fstat(follow->fd, &open_one) == 0 && named.st_ino == open_one.st_ino &&
        named.st_dev == open_one.st_dev) {
        const off_t at = lseek(follow->fd, 0, SEEK_CUR);

        if (at >= 0 && at <= named.st_size)
            return 0;
        return lseek(follow->fd, 0, SEEK_SET) == 0 ? 1 : -errno; /* it was cut, and begins again */
    }
    if (follow->fd >= 0)
        close(follow->fd);
    follow->fd = open(follow->path, O_RDONLY | O_CLOEXEC);
    return follow->fd >= 0 ? 1 : errno == ENOENT ? 0 : -errno;
}

/* The next of the log. What changed is forgotten first, then looked at: no change is missed. */
static int64_t look(struct follow *follow, void *to, size_t len)
{
    struct signalfd_siginfo signal;
    char events[4096];
    int opened;

    while (read(follow->changes, events, sizeof(events)) > 0)
        continue;
    do {
        const ssize_t n = follow->fd < 0 ? 0 : read(follow->fd, to, len);

        if (n != 0)
            return n < 0 ? -errno : n;
        opened = open_next(follow);
        if (opened < 0)
            return opened;
    } while (opened);
    if (read(follow->signals, &signal, sizeof(signal)) > 0)
        return 0; /* the end */
    return -EAGAIN;
}

/* The guest's input. */
static int64_t read_log(void *context, void *to, size_t len)
{
    struct follow *follow = context;
    const int64_t n = look(follow, to, len);

    if (n < 0 && n != -EAGAIN)
        follow->error = (int)-n;
    return n;
}

static bool watch(struct follow *follow)
{
    struct epoll_event event = {.events = EPOLLIN};
    char *copy = strdup(follow->path);
    sigset_t signals;
    bool good;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    follow->fd = -1;
    follow->error = 0;
    follow->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    follow->changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    follow->either = epoll_create1(EPOLL_CLOEXEC);
    good = copy && sigprocmask(SIG_BLOCK, &signals, NULL) == 0 && follow->signals >= 0 &&
           follow->changes >= 0 && follow->either >= 0 &&
           inotify_add_watch(follow->changes, dirname(copy),
                             IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM) >= 0 &&
           epoll_ctl(follow->either, EPOLL_CTL_ADD, follow->changes, &event) == 0 &&
           epoll_ctl(follow->either, EPOLL_CTL_ADD, follow->signals, &event) == 0;
    free(copy);
    return good;
}

int main(int argc, char **argv)
{
    static const struct halo_end_functions log = {.read = read_log};
    struct halo_options options = {.ram_len = 0};
    const char *args[2] = {"grep", NULL};
    struct follow follow;
    struct halo_sandbox *box;
    int error = 0, code = 0;

    if (argc == 6 && strcmp(argv[1], "--backend") == 0) {
        error = choose_backend(&options, argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (error || argc != 4) {
        fputs("usage: follow_host [--backend kvm|process] grep.halo LOG PATTERN\n", stderr);
        return 2;
    }
    follow.path = argv[2];
    if (!watch(&follow)) {
        perror(argv[2]);
        return 2;
    }
    args[1] = argv[3];
    options.args = args;
    options.arg_count = 2;
    error = halo_open(&box, argv[1], &options);
    if (!error)
        error = halo_attach(box, HALO_STDIN, halo_end_functions(&log, &follow, follow.either));
    if (!error)
        error = halo_attach(box, HALO_STDOUT, halo_end_fd(1));
    if (!error)
        error = halo_run(box, HALO_FOREVER, &code);
    if (follow.error)
        fprintf(stderr, "follow_host: %s: %s\n", follow.path, strerror(follow.error));
    else if (error)
        fprintf(stderr, "follow_host: %s\n", halo_errmsg(box));
    halo_close(box);
    return error ? 2 : code;
}
