/*
 * halo run --inspect SOCKET: whoever connects there is answered with a dump, while the guest runs.
 *
 * Where the guest leaves now and then, or waits, the function that watches it answers, on the
 * thread that runs it. A guest that computes for long is not left: so another thread sees that a
 * connection waits, and has what runs the guest interrupted, which goes on afterwards.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOOK_EVERY_NS 50000000
#define PATIENCE_MS 300 /* until a guest that does not leave is interrupted, and then again */
#define BACKLOG 8
#define STACK_LEN (64u << 10)

static struct {
    int listener, end;
    pthread_t thread;
    struct halo_sandbox *box;
} live = {.listener = -1, .end = -1};

/* A socket that nobody listens at any more is in nobody's way. */
static bool is_left_behind(const struct sockaddr_un *address)
{
    struct stat st;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool is_free = fd >= 0 && lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
                         connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                         errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return is_free;
}

/* For its owner alone: whoever can connect sees what the host knows of the guest. */
int tool_listen_at(const char *path, bool replaces)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const mode_t before = umask(0177);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd < 0 ? errno : 0;

    if (strlen(path) >= sizeof(address.sun_path))
        error = ENAMETOOLONG;
    else
        strcpy(address.sun_path, path);
    if (!error && replaces && is_left_behind(&address))
        (void)unlink(path);
    if (!error && (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
                   listen(fd, BACKLOG) < 0))
        error = errno;
    (void)umask(before);
    if (error && fd >= 0)
        close(fd);
    errno = error;
    return error ? -1 : fd;
}

/* A guest that runs beside its host is stopped first, by an interrupt: else nobody knows where it
 * is.
 */
static void answer(struct halo_sandbox *box, void *nothing)
{
    struct halo_processor processor;

    (void)nothing;
    if (halo_processor(box, &processor) != HALO_ESTATE)
        (void)halo_inspect(box, live.listener, 0);
}

static void *watch(void *nothing)
{
    struct pollfd fds[2] = {{.fd = live.end, .events = POLLIN},
                            {.fd = live.listener, .events = POLLIN}};

    (void)nothing;
    for (;;) {
        (void)poll(fds, 2, -1);
        if (!fds[0].revents && fds[1].revents)
            (void)poll(fds, 1, PATIENCE_MS); /* it may be answered without */
        if (fds[0].revents)
            return NULL;
        if (poll(&fds[1], 1, 0) > 0)
            (void)halo_interrupt(live.box);
    }
}

static int start_thread(void)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);

    if (error)
        return error;
    sigfillset(&all);
    (void)pthread_attr_setstacksize(&attributes, STACK_LEN);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    error = pthread_create(&live.thread, &attributes, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

int tool_live_begin(struct halo_sandbox *box, const char *path)
{
    int error = 0;

    if (!path)
        return 0;
    live.listener = tool_listen_at(path, true);
    if (live.listener < 0) {
        tool_say("halo run: %s: %s\n", path,
                 errno == EADDRINUSE ? "is there already" : strerror(errno));
        return TOOL_EXIT_USAGE;
    }
    live.box = box;
    live.end = eventfd(0, EFD_CLOEXEC);
    if (live.end < 0)
        error = errno;
    if (!error)
        error = start_thread();
    if (error) {
        tool_say("halo run: cannot watch %s: %s\n", path, strerror(error));
        close(live.listener);
        live.listener = -1;
        return TOOL_EXIT_USAGE;
    }
    halo_watch(box, LOOK_EVERY_NS, answer, NULL);
    return 0;
}

bool tool_live_answer(int error)
{
    if (live.listener < 0 || error != HALO_EINTERRUPTED)
        return false;
    answer(live.box, NULL);
    return true;
}

void tool_live_end(void)
{
    const uint64_t one = 1;

    if (live.listener < 0)
        return;
    (void)!write(live.end, &one, sizeof(one));
    (void)pthread_join(live.thread, NULL);
    close(live.end);
    close(live.listener);
    live.listener = -1;
}
