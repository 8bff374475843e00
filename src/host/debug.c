/* A debugger at a guest: see debug.h. */
#define _GNU_SOURCE
#include "debug.h"
#include "deadline.h"
#include "descriptor.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Error code of #GP, where a gate is not the guest's to use: of vector 3. */
#define TRAP_GATE 0x1au
#define SEND_NS 5000000000 /* for a gdb that does not take what it is sent */
#define SYSCALL_LEN 2
#define FETCH 16u /* in a page fault's error code */

/* --- Its socket ------------------------------------------------------------------------------- */

/* gdb has gone, or is not wanted any more: the guest goes on as if there had been none. */
static void leave(struct halo_debug *debug)
{
    halo__debug_pull_all(debug);
    debug->machine->listens = debug->machine->is_debugged = false;
    debug->state = HALO_DEBUG_OVER;
    (void)close(debug->fd);
    debug->fd = -1;
}

/*
 * What is to be said, all of it, or at halo_interrupt as much as was taken: the rest goes first the
 * next time. False where gdb has gone, or has not taken it in time.
 */
static bool send_out(struct halo_debug *debug)
{
    const struct halo_interrupt *interrupt = &debug->machine->interrupt;
    const int64_t deadline = debug->gdb.out_len > 0 ? halo__now() + SEND_NS : 0;

    while (debug->out_at < debug->gdb.out_len) {
        struct pollfd pollfds[2] = {{.fd = debug->fd, .events = POLLOUT},
                                    {.fd = interrupt->fd, .events = POLLIN}};
        struct iovec iov = {debug->gdb.out + debug->out_at, debug->gdb.out_len - debug->out_at};
        const struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
        const ssize_t n = sendmsg(debug->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            debug->out_at += (size_t)n;
            continue;
        }
        if (errno != EINTR && (errno != EAGAIN || halo__now() >= deadline))
            return false;
        if (halo__interrupt_is_wanted(interrupt))
            return true;
        if (errno == EAGAIN)
            (void)poll(pollfds, 2, halo__poll_timeout(deadline));
    }
    debug->out_at = debug->gdb.out_len = 0;
    return true;
}

/*
 * What there is to read, where nothing is left: false where gdb has gone. That something was there
 * does not say that it is: the socket is also its other holders'. (These two calls of the kernel's
 * are those that a confined host may make: confine.c.)
 */
static bool receive(struct halo_debug *debug)
{
    struct iovec iov = {debug->rest, sizeof(debug->rest)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (debug->rest_at < debug->rest_len)
        return true;
    do
        n = recvmsg(debug->fd, &header, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    debug->rest_at = 0;
    debug->rest_len = n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && errno == EAGAIN);
}

bool halo__debug_is_wanted(const struct halo_debug *debug)
{
    return debug->state == HALO_DEBUG_HELD ||
           (debug->state == HALO_DEBUG_RUNNING &&
            (debug->rest_at < debug->rest_len || halo__machine_is_called(debug->machine)));
}

/* --- Holding, and letting go ------------------------------------------------------------------ */

/* What a guest from a snapshot has kept of its registers, which go back into them when it runs: it
 * comes back from its doorbell then. */
static void take_kept(struct halo_debug *debug)
{
    const uint64_t save = debug->machine->layout.save;
    struct halo_context *context = &debug->gdb.context;
    struct halo_registers kept = {0};
    uint64_t back = 0;

    (void)halo__debug_take(debug->machine, save + offsetof(struct halo_save, registers), &kept,
                           sizeof(kept));
    (void)halo__debug_read(debug, kept.rsp, &back, sizeof(back));
    *context = (struct halo_context){
        .is_known = true,
        .is_partly = true,
        .is_final = true,
        .general = {0, kept.rbx, 0, 0, 0, 0, kept.rbp, kept.rsp + sizeof(back), 0, 0, 0, 0,
                    kept.r12, kept.r13, kept.r14, kept.r15},
        .rip = back,
        .segments = {0x33, 0x2b, 0, 0, 0, 0},
        .bases = {kept.fs_base, kept.gs_base},
    };
    halo__context_no_vectors(context);
}

/* The guest stands where its registers are known, from now on. False: not yet. */
static bool hold(struct halo_debug *debug)
{
    struct halo_machine *machine = debug->machine;
    struct halo_context *context = &debug->gdb.context;

    if (machine->backend->pause(machine)) {
        debug->is_kept = false;
        (void)machine->backend->get(machine, context);
    } else if (debug->is_kept) {
        take_kept(debug);
    } else {
        return false;
    }
    halo__debug_pull_own(debug);
    context->flags &= ~HALO_FLAG_TRAP;
    debug->gdb.has_changed = true; /* it goes on without that flag */
    debug->gdb.wish = HALO_GDB_STAY;
    debug->gdb.is_called = false;
    debug->state = HALO_DEBUG_HELD;
    return true;
}

/* A `syscall`, which is no single step: where it leads, the flag is gone. */
static bool is_system_call(struct halo_debug *debug, uint64_t rip)
{
    const struct halo_layout *layout = &debug->machine->layout;
    unsigned char bytes[SYSCALL_LEN];

    return layout->syscall_entry && rip - layout->doorbell >= HALO_PAGE &&
           halo__debug_read(debug, rip, bytes, sizeof(bytes)) == sizeof(bytes) &&
           bytes[0] == 0x0f && bytes[1] == 0x05;
}

/* With these registers, and for one step where it is to make one. */
static void go_on(struct halo_debug *debug, struct halo_context *context, bool must_set)
{
    struct halo_machine *machine = debug->machine;
    const bool steps = debug->doing != HALO_GDB_GO || debug->watch_count > 0;

    debug->state = HALO_DEBUG_RUNNING;
    if (debug->is_kept && steps &&
        !halo__debug_find(debug, context->rip)) /* when its wait is over */
        halo__debug_plant_own(debug, context->rip);
    if (context->is_final || !context->is_known || !(steps || must_set))
        return;
    context->flags &= ~HALO_FLAG_TRAP;
    if (steps && is_system_call(debug, context->rip) &&
        !halo__debug_find(debug, context->rip + SYSCALL_LEN))
        halo__debug_plant_own(debug, context->rip + SYSCALL_LEN);
    else if (steps)
        context->flags |= HALO_FLAG_TRAP;
    (void)machine->backend->set(machine, context);
}

/* Let it do what gdb wishes: 0, or HALO_DEBUG_KILL. */
static int obey(struct halo_debug *debug)
{
    const enum halo_gdb_wish wish = debug->gdb.wish;

    debug->gdb.wish = HALO_GDB_STAY;
    (void)halo__debug_changed(debug); /* what gdb has changed itself does not count */
    if (wish == HALO_GDB_KILL) {
        leave(debug);
        return HALO_DEBUG_KILL;
    }
    debug->doing = wish == HALO_GDB_DETACH ? HALO_GDB_GO : wish;
    if (wish == HALO_GDB_DETACH)
        leave(debug);
    go_on(debug, &debug->gdb.context, debug->gdb.has_changed);
    if (wish == HALO_GDB_DETACH)
        debug->state = HALO_DEBUG_OVER;
    return 0;
}

/* gdb was lost: as if it had detached. */
static int lose(struct halo_debug *debug)
{
    debug->gdb.wish = HALO_GDB_DETACH;
    return obey(debug);
}

/* What has come is done, and answered, until gdb wishes that the guest goes on, or an answer has to
 * wait: false where gdb has gone. */
static bool take_rest(struct halo_debug *debug)
{
    struct halo_gdb *gdb = &debug->gdb;
    bool is_there = send_out(debug);

    while (is_there && debug->rest_at < debug->rest_len && gdb->wish == HALO_GDB_STAY &&
           gdb->out_len == 0) {
        debug->rest_at +=
            halo__gdb_take(gdb, debug->rest + debug->rest_at, debug->rest_len - debug->rest_at);
        is_there = send_out(debug);
    }
    return is_there;
}

/* It is held until gdb lets it go on. */
static int serve_held(struct halo_debug *debug)
{
    const struct halo_interrupt *interrupt = &debug->machine->interrupt;

    while (debug->gdb.wish == HALO_GDB_STAY) {
        struct pollfd pollfds[2] = {{.fd = debug->fd, .events = POLLIN},
                                    {.fd = interrupt->fd, .events = POLLIN}};

        if (!send_out(debug))
            return lose(debug);
        if (halo__interrupt_is_wanted(interrupt))
            return HALO_EINTERRUPTED;
        if (debug->rest_at == debug->rest_len && poll(pollfds, 2, -1) <= 0)
            continue;
        if (debug->rest_at == debug->rest_len && !pollfds[0].revents)
            continue;
        if (!receive(debug) || !take_rest(debug))
            return lose(debug);
    }
    return obey(debug);
}

/* Something has come while it ran: an interrupt, most of all. What acknowledges a packet is none.
 */
static int serve_called(struct halo_debug *debug)
{
    const uint32_t answered = debug->gdb.answered;

    if (!hold(debug)) {
        debug->rest_at = debug->rest_len;
        return 0;
    }
    if (!receive(debug) || !take_rest(debug))
        return lose(debug);
    if (debug->gdb.is_called)
        halo__gdb_say_stop(&debug->gdb, SIGINT, "");
    else if (debug->gdb.state == HALO_GDB_BETWEEN && debug->gdb.answered == answered)
        debug->gdb.wish = debug->doing;
    return serve_held(debug);
}

int halo__debug_serve(struct halo_debug *debug)
{
    int error = 0;

    if (!halo__debug_is_wanted(debug))
        return 0;
    error = debug->state == HALO_DEBUG_HELD ? serve_held(debug) : serve_called(debug);
    /* An interrupt may stand right behind what has let it go on. */
    while (!error && debug->state == HALO_DEBUG_RUNNING && debug->rest_at < debug->rest_len &&
           !halo__interrupt_is_wanted(&debug->machine->interrupt))
        error = serve_called(debug);
    return error;
}

/* --- Traps ------------------------------------------------------------------------------------ */

/* It stops here. */
static void stop(struct halo_debug *debug, uint64_t rip, const char *why)
{
    if (!hold(debug))
        return;
    debug->gdb.context.rip = rip;
    halo__gdb_say_stop(&debug->gdb, SIGTRAP, why);
}

/* The first instruction of a guest that was to be held there: nobody has asked for a stop. */
static bool take_start(struct halo_debug *debug, uint64_t address)
{
    if (!debug->has_own || debug->own.address != address || !hold(debug))
        return false;
    debug->gdb.context.rip = address;
    debug->machine->listens = true;
    return true;
}

/* One step was made: the next one, or a stop. */
static void take_step(struct halo_debug *debug)
{
    struct halo_machine *machine = debug->machine;
    const struct halo_debug_watch *changed = halo__debug_changed(debug);
    struct halo_context context;
    char why[40];

    if (changed) {
        (void)snprintf(why, sizeof(why), "watch:%llx;", (unsigned long long)changed->address);
        if (hold(debug))
            halo__gdb_say_stop(&debug->gdb, SIGTRAP, why);
        return;
    }
    if (debug->doing == HALO_GDB_STEP || !machine->backend->pause(machine) ||
        !machine->backend->get(machine, &context) ||
        (debug->doing == HALO_GDB_RANGE &&
         context.rip - debug->gdb.from >= debug->gdb.to - debug->gdb.from)) {
        if (hold(debug))
            halo__gdb_say_stop(&debug->gdb, SIGTRAP, "");
        return;
    }
    context.has_vectors = false; /* they stay */
    debug->is_kept = false;      /* it runs, with that flag from before it was restored */
    go_on(debug, &context, true);
}

/* Whether a fault is that of a trap's instruction, and where that is. */
static bool is_trap(const struct halo_fault *fault, uint64_t *address)
{
    if (fault->vector == 13 && fault->error == TRAP_GATE) {
        *address = fault->rip;
        return true;
    }
    *address = fault->rip - 1;
    return fault->vector == 3;
}

/* A breakpoint where nothing can be executed: gdb puts one on the stack, for a function that it has
 * called to return to. */
static bool is_return(struct halo_debug *debug, const struct halo_exit *exit)
{
    const struct halo_fault *fault = &exit->fault;

    return fault->vector == 14 && (fault->error & FETCH) && fault->address == fault->rip &&
           !(exit->fills && exit->is_claimed) && halo__debug_find(debug, fault->rip);
}

bool halo__debug_takes(struct halo_debug *debug, const struct halo_exit *exit)
{
    const struct halo_debug_point *point;
    uint64_t address;

    if (exit->kind != HALO_EXIT_FAULT || debug->state == HALO_DEBUG_OVER)
        return false;
    if (exit->fault.vector == 1 && debug->state == HALO_DEBUG_RUNNING) {
        take_step(debug);
        return true;
    }
    if (is_return(debug, exit)) {
        stop(debug, exit->fault.rip, "swbreak:;");
        return true;
    }
    if (!is_trap(&exit->fault, &address))
        return false;
    if (debug->state == HALO_DEBUG_STARTING)
        return take_start(debug, address);
    point = halo__debug_find(debug, address);
    if (!point && debug->has_own && debug->own.address == address) { /* a `syscall` was a step */
        halo__debug_pull_own(debug);
        if (hold(debug)) {
            debug->gdb.context.rip = address;
            debug->state = HALO_DEBUG_RUNNING;
            if (debug->doing != HALO_GDB_STEP)
                go_on(debug, &debug->gdb.context, true);
            else
                stop(debug, address, "");
        }
        return true;
    }
    if (point)
        stop(debug, address, point->kind == HALO_GDB_BREAK ? "swbreak:;" : "hwbreak:;");
    else
        stop(debug, address + 1, ""); /* the guest's own, which it goes on behind */
    return true;
}

/* --- The end ---------------------------------------------------------------------------------- */

void halo__debug_end(struct halo_debug *debug, uint32_t signal, int exit_code)
{
    if (debug->state == HALO_DEBUG_OVER)
        return;
    if (signal && debug->state != HALO_DEBUG_STARTING && hold(debug) &&
        debug->gdb.context.is_known) {
        debug->gdb.context.is_final = true;
        halo__gdb_say_stop(&debug->gdb, signal, "");
        if (serve_held(debug) == HALO_DEBUG_KILL || debug->state == HALO_DEBUG_OVER)
            return;
    }
    halo__gdb_say_end(&debug->gdb, signal != 0, signal ? signal : (uint32_t)exit_code);
    (void)send_out(debug);
    leave(debug);
}

/* --- Memory that is replaced -------------------------------------------------------------------
 */

/* gdb's guest is over. Where gdb held it nothing can be said, for it has asked for nothing. */
static void end_replaced(struct halo_debug *debug)
{
    debug->point_count = 0;
    debug->has_own = false;
    if (debug->state == HALO_DEBUG_RUNNING) {
        halo__gdb_say_end(&debug->gdb, true, SIGKILL);
        (void)send_out(debug);
    }
    leave(debug);
}

void halo__debug_restored(struct halo_debug *debug, bool is_same)
{
    if (!debug || debug->state == HALO_DEBUG_OVER)
        return;
    debug->has_own = false;
    if (!is_same || !halo__debug_keep_points(debug)) {
        end_replaced(debug);
        return;
    }
    halo__debug_lower(debug);
    (void)halo__debug_changed(debug); /* what its host has changed does not count */
    debug->is_kept = true;
    if (debug->state != HALO_DEBUG_RUNNING) {
        debug->machine->listens = true;
        (void)hold(debug);
        return;
    }
    take_kept(debug);
    go_on(debug, &debug->gdb.context, false);
}

/* --- Its life --------------------------------------------------------------------------------- */

static size_t values(void *of, unsigned char *to)
{
    const struct halo_debug *debug = of;

    _Static_assert(HALO_DEBUG_VALUES_LEN <= HALO_GDB_VALUES_MAX, "there is room");
    halo__debug_values(&debug->machine->layout, to);
    return HALO_DEBUG_VALUES_LEN;
}

struct halo_debug *halo__debug_new(struct halo_machine *machine, int fd, uint64_t start,
                                   bool is_kept)
{
    struct halo_debug *debug = calloc(1, sizeof(*debug));

    if (!debug)
        return NULL;
    debug->machine = machine;
    debug->fd = fd;
    debug->is_kept = is_kept;
    debug->doing = HALO_GDB_GO;
    halo__gdb_init(&debug->gdb,
                   &(struct halo_gdb_target){debug, halo__debug_read, halo__debug_write,
                                             halo__debug_point, values});
    machine->debugger = fd;
    machine->is_debugged = true;
    if (start)
        halo__debug_plant_own(debug, start);
    if (!debug->has_own) {
        machine->listens = true;
        if (!hold(debug))
            debug->state = HALO_DEBUG_RUNNING;
    }
    return debug;
}

void halo__debug_free(struct halo_debug *debug)
{
    if (debug && debug->state != HALO_DEBUG_OVER)
        leave(debug);
    free(debug);
}
