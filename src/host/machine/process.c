/*
 * Backend "process": the guest as a confined process, for machines without KVM. Its memory is a
 * memfd that both map, its only system call is the doorbell, and that one is answered here through
 * seccomp's user notification: the guest stands still until the answer.
 */
#define _GNU_SOURCE
#include "process.h"
#include "process_child.h"
#include "../deadline.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* From behind the conditional jump of the doorbell to where every guest begins. */
#define START_DISTANCE (HALO_START_OFFSET - (HALO_DOORBELL_EXIT + HALO_DOORBELL_LEN - 1))

static int failed(struct halo_machine *machine, const char *what)
{
    return halo__fail(machine->words, HALO_EHOST, "process: %s: %s", what, strerror(errno));
}

static int process_create(struct halo_machine *machine)
{
    struct process_state *state = calloc(1, sizeof(*state));

    if (!state)
        return halo__fail(machine->words, HALO_ENOMEM, "process: no memory");
    machine->state = state;
    return halo__process_start(machine, state);
}

static bool process_destroy(struct halo_machine *machine)
{
    struct process_state *state = machine->state;
    bool is_gone;

    if (!state)
        return true;
    is_gone = halo__process_end(machine, state);
    free(state->regions);
    free(state);
    machine->state = NULL;
    return is_gone;
}

/*
 * Nobody stands in that call any more: the guest was stopped and continued, or frozen and thawed
 * with its whole machine, and makes it once more.
 */
static void keep_answer(struct process_state *state)
{
    state->unheard.is_there = true;
    state->unheard.call = state->notified.data;
    state->unheard.continues = state->continues;
    state->unheard.refusal = state->refusal;
    state->unheard.told = state->told;
}

/* It is that call, and is answered as it was. Another one is the guest's next, unless it says where
 * it is: it was asked in between. */
static bool is_made_again(struct process_state *state)
{
    const struct seccomp_data *call = &state->notified.data;

    if (!state->unheard.is_there)
        return false;
    state->unheard.is_there =
        call->nr == CHILD_DOORBELL_SYSCALL && call->args[0] == CHILD_DOORBELL_WHERE && state->asked;
    if (memcmp(call, &state->unheard.call, sizeof(*call)) != 0)
        return false;
    state->unheard.is_there = false;
    state->continues = state->unheard.continues;
    state->refusal = state->unheard.refusal;
    state->told = state->unheard.told;
    return true;
}

static void answer(struct process_state *state)
{
    struct seccomp_notif_resp response = {
        .id = state->notified.id,
        .val = state->restarts ? 1 : (long long)state->told,
        .error = state->refusal,
        .flags = state->continues ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0,
    };

    if (!state->owes_answer)
        return;
    state->owes_answer = false;
    if (ioctl(state->listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0) {
        state->restarts = false;
    } else if (errno == ENOENT && !state->restarts) {
        keep_answer(state);
    } else if (errno == EINVAL) {
        /* Before Linux 5.5 the kernel goes on with no call. */
        response = (struct seccomp_notif_resp){.id = state->notified.id, .error = -ENOSYS};
        (void)ioctl(state->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}

static int process_protect(struct halo_machine *machine, const struct halo_exit *exit, int refusal)
{
    struct process_state *state = machine->state;

    if (exit->releases && !refusal)
        halo__process_release(state, exit->base, exit->len);
    state->refusal = refusal;
    state->continues = refusal == 0;
    return 0;
}

/* Whether a signal was sent, or is not needed any more. */
static bool has_signalled(const struct process_state *state, int signal)
{
    return halo__process_signal(state, signal) == 0 || errno == ESRCH;
}

/*
 * Let the guest go on where it was. One that died meanwhile is noticed next; so is one that has to
 * be ended, for it could not be continued.
 */
static void resume(struct process_state *state)
{
    if (state->stopped && !has_signalled(state, SIGCONT))
        shutdown(state->socket, SHUT_RDWR);
    state->stopped = false;
    answer(state);
}

static void read_death(struct process_state *state, struct halo_exit *exit)
{
    const struct process_end end = halo__process_await(state);

    exit->kind = HALO_EXIT_DEAD;
    if (end.how == PROCESS_LOST)
        (void)snprintf(exit->why, sizeof(exit->why), "its process and its keeper were killed");
    else if (end.how == PROCESS_KILLED && end.number == SIGSYS)
        (void)snprintf(exit->why, sizeof(exit->why), "it made a system call, which no guest may");
    else if (end.how == PROCESS_KILLED && end.number == SIGKILL) /* COST-03 */
        (void)snprintf(
            exit->why, sizeof(exit->why),
            "its process was killed (signal 9), perhaps because there is no memory left");
    else
        (void)snprintf(exit->why, sizeof(exit->why), "its process ended (%s %d)",
                       end.how == PROCESS_EXITED ? "exit code" : "signal", end.number);
}

/* At its time limit the guest stands still, or, where it cannot be made to, ends. */
static void stop(const struct halo_machine *machine, struct halo_exit *exit)
{
    struct process_state *state = machine->state;

    exit->kind = HALO_EXIT_TIMEOUT;
    state->where = 0;
    if (halo__process_ask(machine))
        return;
    state->stopped = true;
    if (has_signalled(state, SIGSTOP))
        return;
    shutdown(state->socket, SHUT_RDWR);
    exit->kind = HALO_EXIT_DEAD;
    (void)snprintf(exit->why, sizeof(exit->why),
                   "at its time limit it had to be killed: this process may no longer signal it");
}

/*
 * Its child asks for memory, or tells of a trap, and the guest's doorbell does not. Without a word,
 * for the guest may go on from there: it could do the same by itself.
 */
static bool is_by_child(const struct halo_machine *machine, uint64_t op)
{
    const struct process_state *state = machine->state;
    const struct seccomp_data *call = &state->notified.data;

    return call->nr == CHILD_DOORBELL_SYSCALL && call->args[0] == op &&
           call->instruction_pointer != machine->layout.doorbell + CHILD_DOORBELL_END;
}

/* Now and then, while the guest computes and wants that. One that does not say where it is goes on.
 */
static void lead(struct halo_machine *machine)
{
    struct process_state *state = machine->state;

    state->tick_at = halo__now() + HALO_TICK_NS;
    if (state->asked || !halo__process_ask(machine))
        return;
    halo__process_tick(machine);
    answer(state);
}

static void read_doorbell(const struct halo_machine *machine, struct halo_exit *exit)
{
    const struct process_state *state = machine->state;
    const __u64 *args = state->notified.data.args;

    if (state->notified.data.nr == SYS_mprotect || state->notified.data.nr == SYS_munmap) {
        exit->releases = state->notified.data.nr == SYS_munmap;
        exit->kind = HALO_EXIT_PROTECT;
        exit->base = args[0];
        exit->len = args[1];
        exit->prot = args[2];
        return;
    }
    /* Nothing that an honest guest does: an exit all the same, for exits are counted. */
    if (state->notified.data.nr == SYS_mremap || is_by_child(machine, CHILD_DOORBELL_WHERE)) {
        *exit = (struct halo_exit){.kind = HALO_EXIT_FAULT, .is_claimed = true};
        return;
    }
    if (is_by_child(machine, CHILD_DOORBELL_TRAP)) {
        *exit = (struct halo_exit){
            .kind = HALO_EXIT_FAULT,
            .is_claimed = true,
            .fault = {.vector = args[3] == 1 ? 1 : 3, .rip = args[1], .rsp = args[4]},
        };
        return;
    }
    if (halo__process_is_own(state, CHILD_DOORBELL_FAULT)) {
        const uint32_t vector = (uint32_t)args[1];

        if (vector == CHILD_SIGNAL) {
            exit->kind = HALO_EXIT_DEAD;
            (void)snprintf(exit->why, sizeof(exit->why), "somebody sent its process signal %d",
                           (int)args[2]);
            return;
        }
        exit->kind = HALO_EXIT_FAULT;
        exit->fills = exit->is_claimed = false;
        exit->is_system_call = vector == CHILD_SYSTEM_CALL;
        exit->system_call = args[2];
        exit->fault = (struct halo_fault){
            .vector =
                exit->is_system_call ? 6 : vector, /* what it is without an operating system */
            .error = (uint32_t)(args[1] >> 32),
            .address = vector == 14 ? args[2] : 0,
            .rip = args[3] - (exit->is_system_call ? 2 : 0),
            .rsp = args[4],
        };
        return;
    }
    if (is_by_child(machine, CHILD_DOORBELL_FILL)) {
        exit->kind = HALO_EXIT_FAULT;
        exit->fills = exit->is_claimed = true;
        exit->is_system_call = false;
        exit->fault = (struct halo_fault){.vector = 14,
                                          .error = (uint32_t)args[1],
                                          .address = args[2],
                                          .rip = args[3],
                                          .rsp = args[4]};
        return;
    }
    exit->kind = HALO_EXIT_DOORBELL;
    exit->op = args[0];
    exit->a = args[1];
    exit->b = args[2];
}

/* Its guest stands in the doorbell's page, where no code but the host's goes on. */
static bool stands_at_doorbell(const struct halo_machine *machine)
{
    const struct process_state *state = machine->state;

    return state->notified.data.nr == CHILD_DOORBELL_SYSCALL &&
           state->notified.data.instruction_pointer ==
               machine->layout.doorbell + CHILD_DOORBELL_END;
}

/*
 * A guest that was brought back to the start had been interrupted, by somebody's signal, and has
 * rung once more: it is answered once more. Elsewhere it can be no more, for its own code is gone.
 */
static bool goes_astray(const struct halo_machine *machine, struct halo_exit *exit)
{
    struct process_state *state = machine->state;

    if (stands_at_doorbell(machine))
        return false;
    shutdown(state->socket, SHUT_RDWR);
    exit->kind = HALO_EXIT_DEAD;
    (void)snprintf(exit->why, sizeof(exit->why), "it could not be brought back to its start");
    return true;
}

/* It is answered at once, and was to come: so it is no exit. */
static bool is_awaited(const struct halo_machine *machine)
{
    struct process_state *state = machine->state;
    const bool was_asked = state->asked, has_mapped = state->has_mapped;

    if (state->notified.data.nr == SYS_mremap) {
        state->continues = halo__process_is_told(state);
        state->refusal = state->continues ? 0 : -EPERM;
        state->has_mapped = true;
        return state->continues && !has_mapped;
    }
    return halo__process_is_own(state, CHILD_DOORBELL_READY) ||
           (halo__process_says_where(machine) && was_asked);
}

/* Deadlines are poll's timeouts: there is nothing to prepare. */
static int process_enter(struct halo_machine *machine, int64_t deadline)
{
    const struct process_state *state = machine->state;

    (void)deadline;
    if (!state->keeper->host)
        return halo__fail(machine->words, HALO_ESTATE,
                          "this sandbox is of the process that opened it, not of its fork");
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
        struct pollfd pollfds[4] = {
            {.fd = state->listener, .events = POLLIN},
            {.fd = state->keeper_pidfd, .events = POLLIN},
            /* whose thread is its caller's, or else its host's to wake */
            {.fd = machine->stop.thread ? machine->stop.fd : machine->interrupt.fd,
             .events = POLLIN},
            {.fd = machine->listens ? machine->debugger : -1, .events = POLLIN}};
        const bool ticks = !machine->is_debugged && halo__tick_is_wanted(machine);
        int64_t until = deadline;
        int heard = 0;

        if (ticks && state->tick_at < deadline)
            until = state->tick_at;
        if (halo__interrupt_is_wanted(&machine->interrupt) ||
            halo__stop_is_wanted(&machine->stop) || halo__now() >= deadline) {
            stop(machine, exit);
            return 0;
        }
        /* No more than are needed: a host may be allowed three descriptors (RLIMIT_NOFILE). */
        if (poll(pollfds, machine->listens ? 4 : 3, halo__poll_timeout(until)) < 0 &&
            errno != EINTR)
            return failed(machine, "cannot wait for the guest");
        if (ticks && !pollfds[0].revents && halo__now() >= state->tick_at) {
            lead(machine);
            continue;
        }
        if (pollfds[0].revents & POLLIN) {
            heard = halo__process_hear(state);
            if (heard < 0)
                return failed(machine, "cannot hear the guest's doorbell");
        }
        if (heard && state->restarts) {
            if (goes_astray(machine, exit))
                return 0;
            answer(state);
            continue;
        }
        /* Again, for somebody stopped and continued it meanwhile; too late; or what it was told to
         * do by the last exit. */
        if (heard && (is_made_again(state) || is_awaited(machine))) {
            answer(state);
            continue;
        }
        if (heard) {
            read_doorbell(machine, exit);
            return 0;
        }
        if (pollfds[1].revents & POLLIN) {
            read_death(state, exit);
            return 0;
        }
        if (pollfds[3].revents) {
            stop(machine, exit);
            return 0;
        }
    }
}

/*
 * It stands where it was heard. One that somebody killed meanwhile has no notification any more,
 * nor one that a signal took out of it. (Kernels before 5.8 may know the question by another
 * number: they say nothing.)
 */
static bool process_is_there(struct halo_machine *machine)
{
    const struct process_state *const state = machine->state;
    __u64 id = state->notified.id;

    return ioctl(state->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0 || errno != ENOENT;
}

/*
 * Where the kernel says that it stands in the doorbell's page, the answer leads it to the start.
 * Before its first run it is there. One that was stopped elsewhere could be anywhere, and what it
 * was allowed to change of its mappings, or of where FS is, only a new one has as it was: whether
 * the kernel has undone one is its guest's word.
 */
static bool process_restart(struct halo_machine *machine, bool protects)
{
    struct process_state *state = machine->state;

    if (!state->keeper->host || state->has_ended || !state->owes_answer || state->asked ||
        state->stopped || protects || state->regions || !halo__doorbell_has_bases())
        return false;
    if (!process_is_there(machine))
        return false;
    if (halo__process_is_own(state, CHILD_DOORBELL_READY))
        return true;
    state->restarts = stands_at_doorbell(machine);
    return state->restarts;
}

static uint64_t process_where(struct halo_machine *machine)
{
    const struct process_state *state = machine->state;

    return state->where;
}

/* Its process's number is that process's for as long as it lives. */
static int process_thread(struct halo_machine *machine)
{
    const struct process_state *state = machine->state;
    const int child = state->keeper->child;

    return poll(&(struct pollfd){.fd = state->pidfd, .events = POLLIN}, 1, 0) == 0 ? child : 0;
}

/* The kernel's clock of a process has a number of its own (clock_getcpuclockid). */
static int64_t process_cpu(struct halo_machine *machine)
{
    const struct process_state *state = machine->state;
    const clockid_t clock = (clockid_t)(~(unsigned)state->keeper->child << 3 | 2);
    struct timespec time;

    if (!state->keeper->child || clock_gettime(clock, &time) < 0)
        return -1;
    if (!process_thread(machine))
        return -1;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

const struct halo_backend halo__process = {
    .name = "process",
    .has_view = true,
    .doorbell = {0xb8, CHILD_DOORBELL_SYSCALL & 0xff, CHILD_DOORBELL_SYSCALL >> 8, 0, 0, 0x0f, 0x05,
                 /* mov $n,%eax; syscall; test %eax,%eax; jnz to the start; nop */
                 0x85, 0xc0, 0x0f, 0x85, START_DISTANCE & 0xff, START_DISTANCE >> 8, 0, 0, 0x90},
    .protect_code = {0xb8, SYS_mprotect, 0, 0, 0, 0x0f, 0x05, 0xc3}, /* mov, syscall, ret */
    .release_code = {0xb8, SYS_munmap, 0, 0, 0, 0x0f, 0x05, 0xc3},   /* mov, syscall, ret */
    .create = process_create,
    .enter = process_enter,
    .leave = process_leave,
    .run = process_run,
    .where = process_where,
    .cpu = process_cpu,
    .thread = process_thread,
    .look = halo__process_look,
    .redirect = halo__process_redirect,
    .protect = process_protect,
    .fill = halo__process_fill,
    .has_paging = halo__process_goes_on,
    .restart = process_restart,
    .pause = halo__process_pause,
    .get = halo__process_get,
    .set = halo__process_set,
    .is_there = process_is_there,
    .destroy = process_destroy,
};
