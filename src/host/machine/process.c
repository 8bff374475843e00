/*
 * Backend "process": the guest as a confined process, for machines without KVM. Its memory is a
 * memfd that both map, its only system call is the doorbell, and that one is answered here through
 * seccomp's user notification: the guest stands still until the answer.
 */
#define _GNU_SOURCE
#include "process_child.h"
#include "process_child_image.h"
#include "../deadline.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

#define SPAWN_STACK_LEN 16384

struct process_state {
    int pidfd;
    int socket; /* closing it kills the child, and so does our death */
    int listener;
    bool reaped;
    bool stopped;
    bool owes_answer; /* the guest stands in its doorbell, notification `notified.id` */
    struct seccomp_notif notified;
};

static int failed(struct halo_machine *machine, const char *what)
{
    return halo__fail(machine->words, HALO_EHOST, "process: %s: %s", what, strerror(errno));
}

/* A libseccomp filter as the instructions that the kernel wants. */
static int export_filter(struct halo_machine *machine, scmp_filter_ctx filter,
                         struct sock_filter *program, uint32_t *count)
{
    int fd = memfd_create("halo-filter", MFD_CLOEXEC);
    int error = 0;
    ssize_t len;

    if (fd < 0)
        return failed(machine, "cannot build a filter");
    if (seccomp_export_bpf(filter, fd) < 0)
        error = halo__fail(machine->words, HALO_EHOST, "process: libseccomp cannot build a filter");
    len = pread(fd, program, CHILD_FILTER_MAX * sizeof(*program), 0);
    if (!error && (len <= 0 || (size_t)len == CHILD_FILTER_MAX * sizeof(*program)))
        error = halo__fail(machine->words, HALO_EHOST, "process: a filter of unexpected size");
    *count = (uint32_t)((size_t)len / sizeof(*program));
    close(fd);
    return error;
}

/* A filter with one rule: `otherwise` for all system calls, `doorbell` for the doorbell's. */
static int build_filter(struct halo_machine *machine, uint32_t otherwise, uint32_t doorbell,
                        struct sock_filter *program, uint32_t *count)
{
    scmp_filter_ctx filter = seccomp_init(otherwise);
    int error;

    if (!filter)
        return halo__fail(machine->words, HALO_ENOMEM, "process: no memory for a filter");
    if (seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_rule_add(filter, doorbell, CHILD_DOORBELL_SYSCALL, 0) < 0)
        error = halo__fail(machine->words, HALO_EHOST,
                           "process: libseccomp refuses the doorbell's rule");
    else
        error = export_filter(machine, filter, program, count);
    seccomp_release(filter);
    return error;
}

static int make_setup(struct halo_machine *machine, struct child_setup *setup)
{
    const struct halo_layout *layout = &machine->layout;
    int error;

    memset(setup, 0, sizeof(*setup));
    memcpy(setup->ranges, layout->ranges, sizeof(setup->ranges));
    setup->range_count = layout->range_count;
    setup->ram_len = machine->ram.len;
    setup->entry = layout->entry;
    setup->stack = layout->stack_top - 8;
    setup->boot = layout->boot;
    setup->syscall_way = halo__layout_syscall_way(layout);
    error =
        build_filter(machine, SCMP_ACT_ALLOW, SCMP_ACT_NOTIFY, setup->notify, &setup->notify_count);
    if (!error)
        error = build_filter(machine, setup->syscall_way ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS,
                             SCMP_ACT_ALLOW, setup->lock, &setup->lock_count);
    return error;
}

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

struct spawn {
    int program, socket, ram;
};

/* In the child, sharing memory with the host until exec: only system calls, nothing written. */
static int spawn_child(void *argument)
{
    const struct spawn *spawn = argument;
    char *const none[] = {NULL};
    /* Out of the way of the numbers that they are going to have. */
    int program = fcntl(spawn->program, F_DUPFD_CLOEXEC, 10);
    int socket = fcntl(spawn->socket, F_DUPFD_CLOEXEC, 10);
    int ram = fcntl(spawn->ram, F_DUPFD_CLOEXEC, 10);

    if (program < 0 || socket < 0 || ram < 0 || dup2(socket, CHILD_SOCKET) < 0 ||
        dup2(ram, CHILD_RAM) < 0)
        _exit(11);
    /* Everything else of the host's goes, those without close-on-exec too. */
    if (syscall(SYS_close_range, 0u, 2u, 0u) < 0 ||
        syscall(SYS_close_range, CHILD_RAM + 1u, ~0u, 1u << 2 /* CLOEXEC */) < 0)
        _exit(11);
    syscall(SYS_execveat, program, "", none, none, AT_EMPTY_PATH);
    _exit(12);
}

/* Start the child. It has no exit signal: the host's own wait() and SIGCHLD never meet it. */
static int spawn(struct halo_machine *machine, struct process_state *state, struct spawn *what)
{
    unsigned char *stack = malloc(SPAWN_STACK_LEN);
    sigset_t all, before;
    int pid;

    if (!stack)
        return halo__fail(machine->words, HALO_ENOMEM, "process: no memory");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler runs in the child */
    pid = clone(spawn_child, stack + SPAWN_STACK_LEN, CLONE_VM | CLONE_VFORK | CLONE_PIDFD, what,
                &state->pidfd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    free(stack);
    if (pid < 0) {
        state->pidfd = -1;
        return failed(machine, "cannot start a process");
    }
    state->pidfd = halo__fd_high(state->pidfd);
    return 0;
}

static void reap(struct process_state *state, siginfo_t *info)
{
    memset(info, 0, sizeof(*info));
    while (waitid(P_PIDFD, (id_t)state->pidfd, info, WEXITED | __WALL) < 0 && errno == EINTR)
        continue;
    state->reaped = true;
}

/* The child ended before it could run the guest: its exit code says how far it came. */
static int report_early_end(struct halo_machine *machine, struct process_state *state)
{
    static const char *const steps[] = {
        [2] = "map guest memory",
        [3] = "catch faults",
        [4] = "watch the host",
        [5] = "install the doorbell's filter (is seccomp allowed?)",
        [6] = "hand over its doorbell",
        [7] = "unmap its own memory",
        [8] = "read its setup",
        [9] = "give up privileges",
        [10] = "lock itself in",
        [11] = "arrange its files",
        [12] = "start its program (is executing a memfd allowed?)",
        [13] = "have a session of its own",
    };
    siginfo_t info;
    size_t step;

    reap(state, &info);
    step = info.si_code == CLD_EXITED ? (size_t)info.si_status : 0;
    if (step < sizeof(steps) / sizeof(steps[0]) && steps[step])
        return halo__fail(machine->words, HALO_EHOST, "process: the child could not %s",
                          steps[step]);
    return halo__fail(machine->words, HALO_EHOST,
                      "process: the child ended early (code %d, status %d)", info.si_code,
                      info.si_status);
}

static int receive_listener(struct halo_machine *machine, struct process_state *state)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    const struct cmsghdr *rights;
    ssize_t n;

    do
        n = recvmsg(state->socket, &header, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return report_early_end(machine, state);
    rights = CMSG_FIRSTHDR(&header);
    if (!rights || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(int)))
        return halo__fail(machine->words, HALO_EHOST, "process: the child sent no doorbell");
    memcpy(&state->listener, CMSG_DATA(rights), sizeof(int));
    state->listener = halo__fd_high(state->listener);
    /* Wake the guest on this core: a hint that older kernels do not know. */
    (void)ioctl(state->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    return 0;
}

static int start_child(struct halo_machine *machine, struct process_state *state)
{
    struct child_setup setup;
    struct spawn what = {-1, -1, machine->ram.fd};
    int sockets[2] = {-1, -1};
    int error = make_setup(machine, &setup);

    if (error)
        return error;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
        return failed(machine, "cannot make a socket pair");
    state->socket = sockets[0] = halo__fd_high(sockets[0]);
    what.socket = sockets[1] = halo__fd_high(sockets[1]);
    if (sockets[0] < 0 || sockets[1] < 0)
        return failed(machine, "cannot make a socket pair");
    what.program = make_program(machine);
    error = what.program < 0 ? HALO_EHOST : spawn(machine, state, &what);
    close(sockets[1]);
    if (what.program >= 0)
        close(what.program);
    if (error)
        return error;
    /* A child that is gone already is told apart below. */
    (void)send(state->socket, &setup, sizeof(setup), MSG_NOSIGNAL);
    return receive_listener(machine, state);
}

static int process_create(struct halo_machine *machine)
{
    struct process_state *state = calloc(1, sizeof(*state));

    if (!state)
        return halo__fail(machine->words, HALO_ENOMEM, "process: no memory");
    state->pidfd = state->socket = state->listener = -1;
    machine->state = state;
    return start_child(machine, state);
}

static void signal_child(const struct process_state *state, int signal)
{
    (void)syscall(SYS_pidfd_send_signal, state->pidfd, signal, NULL, 0);
}

static void kill_child(struct process_state *state)
{
    siginfo_t info;

    if (state->pidfd < 0 || state->reaped)
        return;
    signal_child(state, SIGKILL);
    reap(state, &info);
}

static void process_destroy(struct halo_machine *machine)
{
    struct process_state *state = machine->state;

    if (!state)
        return;
    kill_child(state);
    if (state->listener >= 0)
        close(state->listener);
    if (state->socket >= 0)
        close(state->socket);
    if (state->pidfd >= 0)
        close(state->pidfd);
    free(state);
    machine->state = NULL;
}

/* Let the guest go on where it was. One that died meanwhile is noticed next. */
static void resume(struct process_state *state)
{
    struct seccomp_notif_resp response = {.id = state->notified.id};

    if (state->stopped)
        signal_child(state, SIGCONT);
    state->stopped = false;
    if (state->owes_answer)
        (void)ioctl(state->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    state->owes_answer = false;
}

static void read_death(struct process_state *state, struct halo_exit *exit)
{
    siginfo_t info;

    reap(state, &info);
    exit->kind = HALO_EXIT_DEAD;
    if (info.si_code != CLD_EXITED && info.si_status == SIGSYS)
        (void)snprintf(exit->why, sizeof(exit->why), "it made a system call, which no guest may");
    else
        (void)snprintf(exit->why, sizeof(exit->why), "its process ended (%s %d)",
                       info.si_code == CLD_EXITED ? "exit code" : "signal", info.si_status);
}

static void read_doorbell(const struct seccomp_notif *notified, struct halo_exit *exit)
{
    const __u64 *args = notified->data.args;

    if (args[0] == CHILD_DOORBELL_FAULT) {
        exit->kind = HALO_EXIT_FAULT;
        exit->fault = (struct halo_fault){
            .vector = (uint32_t)args[1],
            .error = (uint32_t)args[2],
            .address = args[1] == 14 ? args[3] : 0,
            .rip = args[4],
            .rsp = args[5],
        };
        return;
    }
    exit->kind = HALO_EXIT_DOORBELL;
    exit->op = args[0];
    exit->a = args[1];
    exit->b = args[2];
}

/* Deadlines are poll's timeouts: there is nothing to prepare. */
static int process_enter(struct halo_machine *machine, int64_t deadline)
{
    (void)machine;
    (void)deadline;
    return 0;
}

static void process_leave(struct halo_machine *machine)
{
    (void)machine;
}

static int process_run(struct halo_machine *machine, int64_t deadline, struct halo_exit *exit)
{
    struct process_state *state = machine->state;

    resume(state);
    for (;;) {
        struct pollfd pollfds[2] = {{.fd = state->listener, .events = POLLIN},
                                    {.fd = state->pidfd, .events = POLLIN}};

        if (halo__now() >= deadline) {
            signal_child(state, SIGSTOP);
            state->stopped = true;
            exit->kind = HALO_EXIT_TIMEOUT;
            return 0;
        }
        if (poll(pollfds, 2, halo__poll_timeout(deadline)) < 0 && errno != EINTR)
            return failed(machine, "cannot wait for the guest");
        if (pollfds[0].revents & POLLIN) {
            memset(&state->notified, 0, sizeof(state->notified));
            if (ioctl(state->listener, SECCOMP_IOCTL_NOTIF_RECV, &state->notified) == 0) {
                state->owes_answer = true;
                read_doorbell(&state->notified, exit);
                return 0;
            }
            if (errno != ENOENT && errno != EINTR)
                return failed(machine, "cannot hear the guest's doorbell");
        }
        if (pollfds[1].revents & POLLIN) {
            read_death(state, exit);
            return 0;
        }
    }
}

const struct halo_backend halo__process = {
    .name = "process",
    .doorbell =
        {
            0xb8,
            CHILD_DOORBELL_SYSCALL & 0xff,
            CHILD_DOORBELL_SYSCALL >> 8,
            0,
            0, /* mov $n,%eax */
            0x0f,
            0x05, /* syscall */
            0x90,
            0x90,
            0x90,
            0x90,
            0x90,
            0x90,
            0x90,
            0x90,
            0x90,
        },
    .create = process_create,
    .enter = process_enter,
    .leave = process_leave,
    .run = process_run,
    .destroy = process_destroy,
};
