/*
 * The files that the command opens: guests, their standard input, and values of their functions.
 * What that waits for is the time limit's: a writer of a FIFO, and whoever answers for a file
 * system.
 */
#define _GNU_SOURCE
#include "symbols.h"
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

#define KILL_MS 20              /* for a process that was killed to end */
#define GUEST_MAX (64ull << 20) /* libhalo takes no longer file */

/* Wait until somebody writes to a FIFO, or has: before that its end seems to be there. */
static bool wait_for_writer(int fd)
{
    for (;;) {
        const int64_t left = tool_time_left();
        const struct timespec time = {left / 1000000000, left % 1000000000};
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        if (left == 0)
            return false;
        if (ppoll(&pollfd, 1, left == HALO_FOREVER ? NULL : &time, NULL) > 0)
            return true;
    }
}

/* What opening a file has come to, or reading all of it. */
struct opened {
    int fd, error;
    bool late; /* it has not come back within the time limit */
    struct stat st;
    size_t len;
};

/* What is to be done to a file, within a time limit or without. */
struct task {
    const char *path;
    char *bytes;   /* read all of it; NULL: open it */
    size_t max;    /* a longer one is read one byte further */
    bool is_guest; /* read it only if it is a regular file */
};

static struct opened open_file(const char *path)
{
    struct opened opened = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};

    if (opened.fd < 0 || fstat(opened.fd, &opened.st) < 0)
        opened.error = errno;
    return opened;
}

static struct opened read_file(const struct task *task)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (task->is_guest ? O_NONBLOCK : 0);
    const int fd = open(task->path, flags);
    struct opened file = {.fd = -1};
    ssize_t got = fd < 0 || fstat(fd, &file.st) < 0 ? -1 : 1;

    if (task->is_guest && !S_ISREG(file.st.st_mode))
        got = got < 0 ? -1 : 0;
    while (got > 0 && file.len <= task->max) {
        got = read(fd, task->bytes + file.len, task->max + 1 - file.len);
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
 * is not back in time. Where there can be no process, as in a guest, it is done here.
 */
static struct opened perform_in_time(const struct task *task)
{
    const int64_t left = tool_time_left();
    const struct timespec time = {left / 1000000000, left % 1000000000};
    struct opened opened = {.fd = -1, .late = true};
    struct pollfd pollfd = {.events = POLLIN};
    int sockets[2];
    pid_t child;

    if (left == HALO_FOREVER)
        return perform(task);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return (struct opened){.fd = -1, .error = errno};
    pollfd.fd = sockets[0];
    child = fork();
    if (child == 0) {
        send_opened(sockets[1], perform(task));
        _exit(0);
    }
    close(sockets[1]);
    if (child < 0) {
        opened = perform(task);
    } else if (ppoll(&pollfd, 1, &time, NULL) > 0) {
        opened = receive_opened(sockets[0]);
        (void)waitpid(child, NULL, 0);
    } else { /* mostly it is gone at once, and then nobody else meets it in wait */
        kill(child, SIGKILL);
        for (int i = 0; i < KILL_MS && waitpid(child, NULL, WNOHANG) == 0; i++)
            (void)poll(NULL, 0, 1);
    }
    close(sockets[0]);
    return opened;
}

/* What kept a file from being opened, or read: the exit code. */
static int tell(const char *command, const char *path, const struct opened *file, const char *late)
{
    tool_say("halo %s: %s: %s\n", command, path, file->late ? late : strerror(file->error));
    return file->late ? TOOL_EXIT_TIMEOUT : TOOL_EXIT_USAGE;
}

/* All of a file, with a zero byte behind it; whoever reads it may be a process of its own. */
static char *read_in_time(struct task *task, struct opened *file)
{
    char *bytes = mmap(NULL, task->max + 2, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    task->bytes = bytes;
    *file = (struct opened){.error = ENOMEM};
    if (bytes != MAP_FAILED)
        *file = perform_in_time(task);
    if (!file->error && !file->late)
        return bytes;
    if (bytes != MAP_FAILED)
        munmap(bytes, task->max + 2);
    return NULL;
}

char *tool_read_value(const char *path, size_t *len, int *code)
{
    struct task task = {.path = path, .max = HALO_VALUE_MAX};
    struct opened file;
    char *bytes = read_in_time(&task, &file);

    *len = file.len;
    if (!bytes)
        *code = tell("call", path, &file, "could not be read within the time limit");
    return bytes;
}

void tool_free_value(char *bytes)
{
    if (bytes)
        munmap(bytes, HALO_VALUE_MAX + 2);
}

int tool_open_input(const char *path, int *input)
{
    const struct task task = {.path = path};
    struct opened opened = perform_in_time(&task);

    if (opened.fd < 0)
        return tell("run", path, &opened, "could not be opened within the time limit");
    *input = opened.fd;
    if (opened.error)
        return 0;
    if (S_ISDIR(opened.st.st_mode)) {
        tool_say("halo run: %s: %s\n", path, strerror(EISDIR));
        return TOOL_EXIT_USAGE;
    }
    if (S_ISFIFO(opened.st.st_mode) && !wait_for_writer(opened.fd)) {
        tool_say("halo run: %s: nobody has written to it within the time limit\n", path);
        return TOOL_EXIT_TIMEOUT;
    }
    return 0;
}

/* halo_open has no time limit: within one, the file is copied first. 0, or an exit code. */
static int open_copy(const char *command, struct halo_sandbox **box, const char *path,
                     const struct halo_options *options)
{
    static const char name[] = "the program"; /* as libhalo calls what has no path */
    struct task task = {.path = path, .max = GUEST_MAX, .is_guest = true};
    struct opened file;
    char *bytes = read_in_time(&task, &file);
    const char *words;
    int64_t left;
    int error;

    if (!bytes)
        return tell(command, path, &file, "could not be read within the time limit");
    if (!S_ISREG(file.st.st_mode)) {
        munmap(bytes, GUEST_MAX + 2);
        tool_say("halo %s: %s: is %s\n", command, path,
                 S_ISDIR(file.st.st_mode) ? "a directory" : "not a regular file");
        return TOOL_EXIT_USAGE;
    }
    left = tool_time_left();
    error = halo_open_memory(box, bytes, file.len, options);
    tool_limit(left); /* it is no part of it */
    munmap(bytes, GUEST_MAX + 2);
    words = halo_errmsg(*box);
    if (error && strncmp(words, name, strlen(name)) == 0)
        tool_say("halo %s: %s%s\n", command, path, words + strlen(name));
    else if (error)
        tool_say("halo %s: %s\n", command, words);
    return tool_exit_code(error, 0);
}

int tool_open(const char *command, struct halo_sandbox **box, const char *path,
              const struct halo_options *options)
{
    int code, error;

    tool_symbols_begin(path);
    if (tool_time_left() != HALO_FOREVER) {
        code = open_copy(command, box, path, options);
    } else {
        error = halo_open(box, path, options);
        code = tool_exit_code(error, 0);
        if (error)
            tool_say("halo %s: %s\n", command, halo_errmsg(*box));
    }
    if (!code && halo_backend_note(*box))
        tool_say("halo %s: %s\n", command, halo_backend_note(*box));
    return code;
}
