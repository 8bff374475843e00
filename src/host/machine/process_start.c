/*
 * From a sandbox's memory to a process that waits for leave to run the guest, and its end. Its
 * doorbell is tried on the way: a seccomp filter around the host may keep it from ringing.
 */
#define _GNU_SOURCE
#include "process.h"
#include "process_child.h"
#include "process_child_image.h"
#include "../deadline.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ull
#endif

#define START_NS 10000000000 /* for a machine that is very busy */
#define END_NS 5000000000
#define LAST_NS 1000000000 /* for one that says no more to end */

static int failed(struct halo_machine *machine, const char *what)
{
    return halo__fail(machine->words, HALO_EHOST, "process: %s: %s", what, strerror(errno));
}

/* --- How it ended -------------------------------------------------------------------------------
 */

struct process_end halo__process_await(struct process_state *state)
{
    struct process_end end = {PROCESS_LOST, 0};
    siginfo_t info = {.si_code = 0};
    int status;

    while (!state->has_ended &&
           waitid(P_PIDFD, (id_t)state->keeper_pidfd, &info, WEXITED | __WALL) < 0 &&
           errno == EINTR)
        continue; /* ECHILD: the host waits for processes of every kind, and has taken it */
    state->has_ended = true;
    status = state->keeper->status;
    if (!state->keeper->has_status && info.si_code == CLD_EXITED)
        end = (struct process_end){PROCESS_LOST, info.si_status};
    else if (state->keeper->has_status && WIFEXITED(status))
        end = (struct process_end){PROCESS_EXITED, WEXITSTATUS(status)};
    else if (state->keeper->has_status)
        end = (struct process_end){PROCESS_KILLED, WTERMSIG(status)};
    return end;
}

/* It ended before it could run the guest: its exit code says how far it came. */
static int report_early_end(struct halo_machine *machine, struct process_state *state,
                            bool *by_filter)
{
    static const char *const steps[CHILD_STEPS] = {
        [CHILD_SETUP] = "read its setup",
        [CHILD_MAP] = "map guest memory",
        [CHILD_FAULTS] = "catch faults",
        [CHILD_RIGHTS] = "give up privileges",
        [CHILD_NAMESPACES] = "have namespaces of its own, and all of them were asked for",
        [CHILD_TIES] = "make sure to end with the host",
        [CHILD_FILTER] = "install the doorbell's filter (is seccomp allowed, and no other listener "
                         "there?)",
        [CHILD_DOORBELL] = "hand over its doorbell",
        [CHILD_UNMAP] = "unmap its own memory",
        [CHILD_LIMITS] = "limit itself",
        [CHILD_SEAL] = "make its own memory read-only",
        [CHILD_LOCK] = "lock itself in",
        [CHILD_EXEC] = "start its program (is executing a memfd allowed?)",
    };
    static const char *const keeper_steps[] = {
        [HALO_KEEPER_SESSION] = "have a session of its own",
        [HALO_KEEPER_FILES] = "arrange its files (does the limit of open files leave it 24?)",
        [HALO_KEEPER_CHILD] =
            "start the guest's process (does the limit of processes leave it one?)",
        [HALO_KEEPER_LOCK] = "lock itself in (is seccomp allowed?)",
        [HALO_KEEPER_WAIT] = "wait for the guest's process",
        [HALO_KEEPER_SIGNALS] = "wait for signals",
    };
    const struct process_end end = halo__process_await(state);
    const size_t step = (size_t)end.number;

    /* Of its own it ends by no signal; a doorbell that does not ring ends it by SIGSEGV or SIGSYS.
     */
    *by_filter = end.how != PROCESS_EXITED;
    if (end.how == PROCESS_EXITED && step < CHILD_STEPS && steps[step])
        return halo__fail(machine->words, HALO_EHOST, "process: the child could not %s",
                          steps[step]);
    if (end.how == PROCESS_LOST && step > 0 &&
        step < sizeof(keeper_steps) / sizeof(keeper_steps[0]))
        return halo__fail(machine->words, HALO_EHOST, "process: the keeper could not %s",
                          keeper_steps[step]);
    if (*by_filter)
        return halo__fail(machine->words, HALO_EHOST,
                          "process: the doorbell cannot ring: a seccomp filter around this process "
                          "refuses what a guest's process needs, or kills for it");
    return halo__fail(machine->words, HALO_EHOST, "process: the child ended early (exit code %d)",
                      end.number);
}

/* --- Its program and its setup -------------------------------------------------------------------
 */

/* A filter around the host may kill for a call that can be done without. */
enum start_how {
    START_WHOLE,
    START_UNTRACKED, /* without those that tell which pages were written */
    START_BARE,      /* and without each that is only a second wall */
};

static int make_program(struct halo_machine *machine)
{
    int fd = halo__fd_high(memfd_create("halo-guest", MFD_CLOEXEC | MFD_EXEC));

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = halo__fd_high(memfd_create("halo-guest", MFD_CLOEXEC));
    if (fd < 0 || write(fd, process_child_image, sizeof(process_child_image)) !=
                      (ssize_t)sizeof(process_child_image)) {
        failed(machine, "cannot make the child's program");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int make_setup(struct halo_machine *machine, const struct process_state *state,
                      enum start_how how, struct child_setup *setup)
{
    const struct halo_layout *layout = &machine->layout;
    const bool is_unasked = !halo__process_goes_on();
    struct halo_range range;
    uint64_t at = HALO_RAM_BASE;

    *setup = (struct child_setup){
        .ram_len = machine->ram.len,
        .entry = halo__doorbell_start(layout),
        .stack = layout->stack_top - 8,
        .boot = layout->boot,
        .alternate = layout->alternate,
        .doorbell = layout->doorbell + CHILD_DOORBELL_END,
        .protect =
            layout->syscall_entry ? layout->doorbell + HALO_PROTECT_OFFSET + CHILD_PROTECT_END : 0,
        .release = layout->syscall_entry && !is_unasked
                       ? layout->doorbell + HALO_RELEASE_OFFSET + CHILD_PROTECT_END
                       : 0,
        .relro = is_unasked ? layout->relro : 0,
        .relro_len = is_unasked ? layout->relro_len : 0,
        .syscall_way = halo__doorbell_syscall_way(layout),
        .word = state->word,
        .tracks = how == START_WHOLE && machine->track.is_wanted,
        .bare = how == START_BARE,
        .strict = machine->is_strict,
    };

    while (halo__layout_next(machine, &at, &range)) {
        if (setup->range_count == CHILD_RANGE_MAX)
            return halo__fail(machine->words, HALO_EHOST,
                              "process: guest memory has more than %u pieces of one protection",
                              CHILD_RANGE_MAX);
        setup->ranges[setup->range_count++] = range;
    }
    return 0;
}

/* --- The keeper ----------------------------------------------------------------------------------
 */

static int start_keeper(struct halo_machine *machine, struct process_state *state, int program,
                        int socket)
{
    struct halo_keeper *keeper =
        mmap(NULL, sizeof(*keeper), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigset_t all, before;
    int pidfd = -1;
    long pid;

    if (keeper == MAP_FAILED)
        return halo__fail(machine->words, HALO_ENOMEM, "process: no memory");
    state->keeper = keeper;
    if (madvise(keeper, sizeof(*keeper), MADV_WIPEONFORK) < 0)
        return failed(machine, "cannot tell a fork of this process from it");
    keeper->program = program;
    keeper->socket = socket;
    keeper->ram = machine->ram.fd;
    keeper->host = (int)getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = halo__keeper_start(keeper, &pidfd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        errno = (int)-pid;
        return failed(machine, "cannot start a process");
    }
    state->keeper_pidfd = halo__fd_high(pidfd);
    if (state->keeper_pidfd >= 0)
        return 0;
    failed(machine, "cannot keep hold of a process");
    kill((pid_t)pid, SIGKILL);
    while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
        continue;
    return HALO_EHOST;
}

/* --- What comes back -----------------------------------------------------------------------------
 */

/* Wait until `fd` is readable: 1, or 0 where the process ended or took too long. */
static int await_start(struct process_state *state, int fd)
{
    const int64_t deadline = halo__now() + START_NS;

    for (;;) {
        struct pollfd pollfds[2] = {{.fd = fd, .events = POLLIN},
                                    {.fd = state->keeper_pidfd, .events = POLLIN}};
        const int n = poll(pollfds, 2, halo__poll_timeout(deadline));

        if (pollfds[0].revents & POLLIN)
            return 1;
        if (n > 0 || (n < 0 && errno != EINTR) || halo__now() >= deadline)
            return 0;
    }
}

/* Whether what the descriptor stands for has ended by then. */
static bool has_ended_by(int pidfd, int64_t deadline)
{
    struct pollfd pollfd = {.fd = pidfd, .events = POLLIN};
    int n;

    do
        n = poll(&pollfd, 1, halo__poll_timeout(deadline));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

static int report_no_start(struct halo_machine *machine, struct process_state *state,
                           bool *by_filter)
{
    if (has_ended_by(state->keeper_pidfd, halo__now() + LAST_NS))
        return report_early_end(machine, state, by_filter);
    return halo__fail(machine->words, HALO_EHOST,
                      "process: the guest's process did not ring its doorbell in time");
}

/* Its doorbell and its own pidfd, sent over the socket. */
static int receive_rights(struct halo_machine *machine, struct process_state *state,
                          bool *by_filter)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct child_rights))];
    } control;
    struct halo_view *view = &machine->track.views[HALO_VIEW_GUEST];
    struct child_rights given = {-1, -1, -1, -1};
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    const struct cmsghdr *rights;
    ssize_t n;

    if (!await_start(state, state->socket))
        return report_no_start(machine, state, by_filter);
    n = recvmsg(state->socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return failed(machine, "cannot receive a descriptor");
    if (n == 0) /* it has ended */
        return report_no_start(machine, state, by_filter);
    rights = CMSG_FIRSTHDR(&header);
    if (rights && rights->cmsg_type == SCM_RIGHTS)
        memcpy(&given, CMSG_DATA(rights), rights->cmsg_len - CMSG_LEN(0));
    state->listener = halo__fd_high(given.listener);
    state->pidfd = halo__fd_high(given.pidfd);
    view->faults = halo__fd_high(given.faults);
    view->pages = halo__fd_high(given.pages);
    view->base = HALO_RAM_BASE;
    if (state->listener < 0 || state->pidfd < 0)
        return halo__fail(machine->words, HALO_EHOST,
                          "process: a descriptor could not be received (too many open files?)");
    /* Wake the guest on this core: a hint that older kernels do not know. */
    (void)ioctl(state->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    return 0;
}

int halo__process_hear(struct process_state *state)
{
    memset(&state->notified, 0, sizeof(state->notified));
    if (ioctl(state->listener, SECCOMP_IOCTL_NOTIF_RECV, &state->notified) < 0)
        return errno == ENOENT || errno == EINTR ? 0 : -errno;
    state->owes_answer = true;
    state->refusal = 0;
    state->continues = false;
    state->told = 0;
    return 1;
}

bool halo__process_is_own(const struct process_state *state, uint64_t op)
{
    const __u64 *args = state->notified.data.args;
    const uint64_t word = op == CHILD_DOORBELL_READY ? args[1] : args[5];

    return state->notified.data.nr == CHILD_DOORBELL_SYSCALL && args[0] == op &&
           word == state->word;
}

/* Its first doorbell. It goes without an answer until the guest is run. */
static int await_ready(struct halo_machine *machine, struct process_state *state, bool *by_filter)
{
    int heard = 0;

    while (heard == 0 && await_start(state, state->listener))
        heard = halo__process_hear(state);
    if (heard == 0)
        return report_no_start(machine, state, by_filter);
    if (heard < 0 || !halo__process_is_own(state, CHILD_DOORBELL_READY))
        return halo__fail(
            machine->words, HALO_EHOST,
            "process: the doorbell cannot ring as it must (is there a seccomp filter around "
            "this process?)");
    return 0;
}

/* --- All of it -----------------------------------------------------------------------------------
 */

static int start(struct halo_machine *machine, struct process_state *state, enum start_how how,
                 bool *by_filter)
{
    struct child_setup setup;
    int sockets[2];
    int program, error;

    *state = (struct process_state){.keeper_pidfd = -1, .pidfd = -1, .socket = -1, .listener = -1};
    if (getrandom(&state->word, sizeof(state->word), 0) != sizeof(state->word))
        return failed(machine, "no random numbers");
    program = make_program(machine);
    if (program < 0)
        return HALO_EHOST;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        error = failed(machine, "cannot make a socket");
        close(program);
        return error;
    }
    state->socket = halo__fd_high(sockets[0]);
    sockets[1] = halo__fd_high(sockets[1]);
    error = make_setup(machine, state, how, &setup);
    if (error) {
        close(program);
        if (sockets[1] >= 0)
            close(sockets[1]);
        return error;
    }
    if (state->socket < 0 || sockets[1] < 0 ||
        send(state->socket, &setup, sizeof(setup), MSG_NOSIGNAL) < 0)
        error = failed(machine, "cannot make a socket");
    else
        error = start_keeper(machine, state, program, sockets[1]);
    if (!error) /* until these have come, the keeper may need what is closed next */
        error = receive_rights(machine, state, by_filter);
    close(program);
    if (sockets[1] >= 0)
        close(sockets[1]);
    return error ? error : await_ready(machine, state, by_filter);
}

int halo__process_start(struct halo_machine *machine, struct process_state *state)
{
    const enum start_how last = machine->is_strict ? START_UNTRACKED : START_BARE;
    bool by_filter = false;
    int error = start(machine, state, START_WHOLE, &by_filter);
    const enum start_how next = machine->track.is_wanted ? START_UNTRACKED : START_BARE;

    for (enum start_how how = next; error && by_filter && how <= last; how++) {
        (void)halo__process_end(machine, state); /* no guest has run in it */
        error = start(machine, state, how, &by_filter);
    }
    return error;
}

static void end_processes(struct process_state *state)
{
    if (state->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, state->pidfd, SIGKILL, NULL, 0);
    /* That, too, where a host has given up the right to send signals. */
    shutdown(state->socket, SHUT_RDWR);
    /* A keeper that does not end was stopped by somebody. What is left ends with the host. */
    if (!has_ended_by(state->keeper_pidfd, halo__now() + END_NS) &&
        syscall(SYS_pidfd_send_signal, state->keeper_pidfd, SIGKILL, NULL, 0) < 0)
        return;
    (void)halo__process_await(state);
}

/* Its own pidfd tells, whoever has waited for it and whatever has become of its keeper. */
static bool is_gone(const struct process_state *state)
{
    return state->pidfd < 0 || has_ended_by(state->pidfd, halo__now() + END_NS);
}

bool halo__process_end(struct halo_machine *machine, struct process_state *state)
{
    const int fds[] = {state->listener, state->socket, state->pidfd, state->keeper_pidfd};
    bool gone;

    if (state->keeper_pidfd >= 0 && !state->has_ended && state->keeper->host)
        end_processes(state);
    gone = !state->keeper || !state->keeper->host || is_gone(state);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    halo__track_drop(&machine->track, HALO_VIEW_GUEST);
    /* A keeper that could not be ended still stands on its stack. */
    if (state->keeper && (state->keeper_pidfd < 0 || state->has_ended || !state->keeper->host))
        munmap(state->keeper, sizeof(*state->keeper));
    state->keeper = NULL;
    return gone;
}
