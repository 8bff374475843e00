/*
 * The files that the command opens: a guest's standard input, and values of its functions. What
 * that waits for is the time limit's: a writer of a FIFO, and whoever answers for a file system.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Wait until somebody writes to a FIFO, or has: before that its end seems to be there. */
static bool wait_for_writer(int fd, int64_t *timeout_ns)
{
    const int64_t start = now();

    for (;;) {
        const int64_t left = *timeout_ns - (now() - start);
        const struct timespec time = {left / 1000000000, left % 1000000000};
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        if (*timeout_ns != HALO_FOREVER && left <= 0)
            return false;
        if (ppoll(&pollfd, 1, *timeout_ns == HALO_FOREVER ? NULL : &time, NULL) > 0) {
            if (*timeout_ns != HALO_FOREVER)
                *timeout_ns = left;
            return true;
        }
    }
}

/* What opening a file has come to, or reading all of it. */
struct opened {
    int fd, error;
    struct stat st;
    size_t len;
};

/* What is to be done to a file, within a time limit or without. */
struct task {
    const char *path;
    char *bytes; /* read all of it; NULL: open it */
};

static struct opened open_file(const char *path)
{
    struct opened opened = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};

    if (opened.fd < 0 || fstat(opened.fd, &opened.st) < 0)
        opened.error = errno;
    return opened;
}

/* A longer file than a value may be is read as far as that is known. */
static struct opened read_file(const struct task *task)
{
    struct opened file = {.fd = -1};
    const int fd = open(task->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && file.len <= HALO_VALUE_MAX) {
        got = read(fd, task->bytes + file.len, HALO_VALUE_MAX + 1 - file.len);
        file.len += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        file.error = errno;
    if (fd >= 0)
        close(fd);
    return file;
}

static struct opened perform(const struct task *task)
{
    return task->bytes ? read_file(task) : open_file(task->path);
}

static void send_opened(int socket, struct opened opened)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {&opened, sizeof(opened)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (opened.fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof(control.bytes);
        *CMSG_FIRSTHDR(&header) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &opened.fd, sizeof(int));
    }
    (void)sendmsg(socket, &header, MSG_NOSIGNAL);
}

static struct opened receive_opened(int socket)
{
    struct opened opened = {.fd = -1, .error = EIO};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {&opened, sizeof(opened)};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};

    if (recvmsg(socket, &header, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(opened))
        return (struct opened){.fd = -1, .error = EIO};
    opened.fd = -1;
    if (CMSG_FIRSTHDR(&header))
        memcpy(&opened.fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(int));
    return opened;
}

/*
 * Opening may wait, too, where a file system asks a daemon or a server, and what waits there may
 * survive SIGKILL. So within a time limit a process of its own does it, and is left behind where it
 * is not back in time: ETIMEDOUT.
 */
static struct opened perform_within(const struct task *task, int64_t timeout_ns)
{
    struct opened opened = {.fd = -1, .error = ETIMEDOUT};
    const struct timespec time = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    struct pollfd pollfd = {.events = POLLIN};
    int sockets[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return (struct opened){.fd = -1, .error = errno};
    pollfd.fd = sockets[0];
    child = fork();
    if (child == 0) {
        send_opened(sockets[1], perform(task));
        _exit(0);
    }
    if (child < 0)
        opened.error = errno;
    close(sockets[1]);
    if (child > 0 && ppoll(&pollfd, 1, &time, NULL) > 0) {
        opened = receive_opened(sockets[0]);
        (void)waitpid(child, NULL, 0);
    } else if (child > 0) {
        kill(child, SIGKILL);
    }
    close(sockets[0]);
    return opened;
}

/* The time that it took is taken away from the limit. */
static struct opened perform_in(const struct task *task, int64_t *timeout_ns)
{
    const int64_t start = now();
    struct opened opened =
        *timeout_ns == HALO_FOREVER ? perform(task) : perform_within(task, *timeout_ns);

    if (*timeout_ns != HALO_FOREVER)
        *timeout_ns -= now() - start < *timeout_ns ? now() - start : *timeout_ns;
    return opened;
}

char *tool_read_value(const char *path, int64_t *timeout_ns, size_t *len, int *code)
{
    /* Whoever reads it may be a process of its own. */
    char *bytes = mmap(NULL, HALO_VALUE_MAX + 2, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const struct task task = {path, bytes};
    struct opened file = {.error = ENOMEM};

    if (bytes != MAP_FAILED)
        file = perform_in(&task, timeout_ns);
    *len = file.len;
    if (!file.error)
        return bytes; /* a zero byte is behind it */
    fprintf(stderr, "halo call: %s: %s\n", path,
            file.error == ETIMEDOUT ? "could not be read within the time limit"
                                    : strerror(file.error));
    tool_free_value(bytes == MAP_FAILED ? NULL : bytes);
    *code = file.error == ETIMEDOUT ? TOOL_EXIT_TIMEOUT : TOOL_EXIT_USAGE;
    return NULL;
}

void tool_free_value(char *bytes)
{
    if (bytes)
        munmap(bytes, HALO_VALUE_MAX + 2);
}

int tool_open_input(const char *path, int64_t *timeout_ns, int *input)
{
    const struct task task = {.path = path};
    struct opened opened = perform_in(&task, timeout_ns);

    if (opened.fd < 0) {
        fprintf(stderr, "halo run: %s: %s\n", path,
                opened.error == ETIMEDOUT ? "could not be opened within the time limit"
                                          : strerror(opened.error));
        return opened.error == ETIMEDOUT ? TOOL_EXIT_TIMEOUT : TOOL_EXIT_USAGE;
    }
    *input = opened.fd;
    if (opened.error)
        return 0;
    if (S_ISDIR(opened.st.st_mode)) {
        fprintf(stderr, "halo run: %s: %s\n", path, strerror(EISDIR));
        return TOOL_EXIT_USAGE;
    }
    if (S_ISFIFO(opened.st.st_mode) && !wait_for_writer(opened.fd, timeout_ns)) {
        fprintf(stderr, "halo run: %s: nobody has written to it within the time limit\n", path);
        return TOOL_EXIT_TIMEOUT;
    }
    return 0;
}
