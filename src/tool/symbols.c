/* The process that knows a guest's names, and who asks it: symbols.h. */
#define _GNU_SOURCE
#include "symbols.h"
#include <errno.h>
#include <fcntl.h>
#include <halo/confine.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A sanitizer maps more than any limit. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

#define FILE_MAX (512ull << 20)
#define MEMORY_MAX (1ull << 30)
#define CPU_S 2
#define TIME_NS 10000000000ll /* that it may take to answer, where the machine has much to do */
#define LATE_NS 2000000000ll  /* where the command's time limit is over, or soon */
#define END_MS 1000           /* to end, once it is killed */

struct question {
    uint32_t count;
    uint64_t addresses[SYMBOLS_MAX];
};

struct answer {
    struct tool_place places[SYMBOLS_MAX];
};

static int asked = -1; /* the socket to it */
static int tie = -1;   /* it is killed when this is closed */
static int process = -1;

/* --- The process ------------------------------------------------------------------------------ */

#define ASKER 0 /* its two descriptors */
#define TIED 1

/* Nothing of the command's is held open by it, so that whoever reads that sees its end. */
static bool keep_alone(int asker, int tied)
{
    const int first = fcntl(asker, F_DUPFD_CLOEXEC, TIED + 1);
    const int second = fcntl(tied, F_DUPFD_CLOEXEC, TIED + 1);

    if (first < 0 || second < 0 || dup2(first, ASKER) < 0 || dup2(second, TIED) < 0)
        return false;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, TIED + 1, ~0u, 0) == 0)
        return true;
#endif
    for (int fd = TIED + 1; fd < 1024; fd++)
        close(fd);
    return true;
}

/* The kernel kills it when the command has closed its end, or has ended, whatever it does. */
static bool tie_to_command(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && fcntl(TIED, F_SETOWN, getpid()) == 0 &&
           fcntl(TIED, F_SETSIG, SIGKILL) == 0 && fcntl(TIED, F_SETFL, O_ASYNC) == 0 &&
           poll(&(struct pollfd){.fd = TIED, .events = POLLIN}, 1, 0) == 0;
}

static bool read_file(const char *path, struct symbols_file *file)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    unsigned char *bytes;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        (uint64_t)st.st_size > FILE_MAX)
        return false;
    /* Pages that nobody asks about are not read; and a copy is its own, should libdw write there.
     */
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return false;
    *file = (struct symbols_file){bytes, (uint64_t)st.st_size};
    return true;
}

static void limit(__rlimit_resource_t resource, rlim_t most)
{
    (void)setrlimit(resource, &(struct rlimit){most, most});
}

/* Whatever a file does to who parses it: it has nothing, and nothing can be had. */
static bool lock_in(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NPROC, 0);
    limit(RLIMIT_CPU, CPU_S);
#ifndef SANITIZED
    limit(RLIMIT_DATA, MEMORY_MAX);
#endif
    return halo_confine(0, NULL) == 0;
}

static bool read_all(int fd, void *to, size_t len)
{
    unsigned char *at = to;

    while (len > 0) {
        const ssize_t n = read(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

__attribute__((noreturn)) static void serve(const char *path)
{
    static struct question question;
    static struct answer answer;
    struct symbols_file file;

    if (!tie_to_command() || !read_file(path, &file) || !lock_in())
        _exit(1);
    while (read_all(ASKER, &question, sizeof(question))) {
        memset(&answer, 0, sizeof(answer));
        for (uint32_t i = 0; i < question.count && i < SYMBOLS_MAX; i++) {
            (void)symbols_function(&file, question.addresses[i], &answer.places[i]);
            symbols_line(&file, question.addresses[i], &answer.places[i]);
        }
        (void)!write(ASKER, &answer, sizeof(answer));
    }
    _exit(0);
}

static void close_both(const int *fds)
{
    close(fds[0]);
    close(fds[1]);
}

void tool_symbols_begin(const char *path)
{
    int ends[2], ties[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ties) < 0) {
        close_both(ends);
        return;
    }
    /* Nobody has to wait for it then: a confined command may not. */
    (void)signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (pid == 0) {
        if (keep_alone(ends[1], ties[1]))
            serve(path);
        _exit(1);
    }
    close(ends[1]);
    close(ties[1]);
    if (pid < 0) {
        close(ends[0]);
        close(ties[0]);
        return;
    }
    asked = ends[0];
    tie = ties[0];
    process = (int)syscall(SYS_pidfd_open, pid, 0);
}

void tool_symbols_end(void)
{
    if (tie < 0)
        return;
    close(tie);
    tie = -1;
    if (process >= 0)
        (void)poll(&(struct pollfd){.fd = process, .events = POLLIN}, 1, END_MS);
}

/* --- Who asks --------------------------------------------------------------------------------- */

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A socket takes so little at once. Where nobody is there any more, no signal comes. */
static bool ask(struct question *question)
{
    struct iovec iov = {question, sizeof(*question)};
    const struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    return sendmsg(asked, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*question);
}

/* All of an answer, in time. */
static bool hear(struct answer *answer, int64_t left_ns)
{
    const int64_t most = left_ns > LATE_NS ? left_ns : LATE_NS;
    const int64_t until = now() + (most < TIME_NS ? most : TIME_NS);
    unsigned char *at = (unsigned char *)answer;
    size_t len = sizeof(*answer);

    while (len > 0) {
        struct pollfd pollfd = {.fd = asked, .events = POLLIN};
        const int64_t left = until - now();
        ssize_t n;

        if (left <= 0)
            return false;
        if (poll(&pollfd, 1, (int)(left / 1000000) + 1) <= 0)
            continue;
        n = read(asked, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void make_fit(char *text, size_t max)
{
    text[max - 1] = '\0';
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

bool tool_symbols_find(const uint64_t *addresses, uint32_t count, struct tool_place *places,
                       int64_t left_ns)
{
    static struct answer answer;
    struct question question = {.count = count};
    bool is_known;

    if (asked < 0 || count > SYMBOLS_MAX)
        return false;
    memcpy(question.addresses, addresses, count * sizeof(*addresses));
    is_known = ask(&question) && hear(&answer, left_ns);
    if (!is_known) {
        close(asked);
        asked = -1;
    }
    for (uint32_t i = 0; i < count && is_known; i++) {
        places[i] = answer.places[i];
        make_fit(places[i].function, sizeof(places[i].function));
        make_fit(places[i].file, sizeof(places[i].file));
    }
    return is_known;
}
