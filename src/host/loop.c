/* One exit after the other: see loop.h. */
#include "upcall.h"
#include <errno.h>
#include <string.h>

static bool is_sampled_now(const struct halo_loop *loop)
{
    return loop->sampler && halo__now() >= loop->sample_next;
}

/* The guest stands still: let the program that samples it look. */
static void sample(struct halo_loop *loop)
{
    if (loop->runner.has_guest || loop->state != HALO_STATE_RUNNING)
        return;
    loop->sampler(loop->watch_box, loop->is_inside, loop->sample_context);
    loop->sample_next += loop->sample_interval;
    loop->was_sampled = true;
}

/* When the guest, which is to run now, is to be stopped for a sample: it gets on in any case. */
static int64_t next_sample(struct halo_loop *loop)
{
    const int64_t soon = loop->was_sampled ? halo__now() + loop->sample_interval / 2 : 0;

    loop->was_sampled = false;
    if (loop->sample_next < soon)
        loop->sample_next = soon;
    return loop->sample_next;
}

/* How long a sleep may take where a debugger may call meanwhile. */
#define CALLED_NS 20000000

static int64_t later(int64_t time, int64_t ns)
{
    return time > INT64_MAX - ns ? INT64_MAX : time + ns;
}

/* The guest stands still: while a debugger holds it, its time does not pass. */
static int serve_debugger(struct halo_loop *loop)
{
    const int64_t start = halo__now();
    const int error = halo__debug_serve(loop->debug);
    const int64_t held = halo__now() - start;

    loop->held_ns += held;
    loop->deadline = later(loop->deadline, held);
    loop->quantum = later(loop->quantum, held);
    if (error == HALO_DEBUG_KILL)
        return halo__loop_end(
            loop, halo__fail(loop->words, HALO_EFAULT, "the guest was stopped: gdb has killed it"));
    return error;
}

/* Let the program that watches look, where it is time. */
static void look(struct halo_loop *loop)
{
    int64_t now;

    if (is_sampled_now(loop))
        sample(loop);
    if (!loop->watch || (now = halo__now()) < loop->watch_next)
        return;
    if (loop->watch_next > 0)
        loop->watch(loop->watch_box, loop->watch_context);
    loop->watch_next = now + loop->watch_interval;
}

static int poll_for(struct halo_loop *loop, int timeout_ms)
{
    const int error = halo__poller_wait(&loop->poller, timeout_ms);

    return error
               ? halo__fail(loop->words, error, "cannot wait for descriptors: %s", strerror(errno))
               : 0;
}

/* Take in what there is, from the guest and from descriptors. */
static int drain(struct halo_loop *loop)
{
    const int error = loop->poller.armed_count > 0 ? poll_for(loop, 0) : 0;

    return error ? error : halo__port_drain(loop->port);
}

/* Something may come of itself: by a descriptor, or by looking again. */
static bool is_waited_for(const struct halo_loop *loop)
{
    return loop->poller.armed_count > 0 || loop->poller.again || loop->port->has_more;
}

/* Sleep until a descriptor that is waited for is ready, or it is time to look; that is now where a
 * service only stopped to have the deadline looked at. */
static int wait(struct halo_loop *loop)
{
    int64_t until = loop->deadline;
    int error;

    if (halo__interrupt_is_wanted(&loop->machine->interrupt))
        return HALO_EINTERRUPTED;
    if (halo__now() >= until)
        return HALO_ETIMEDOUT;
    if (loop->port->has_more) {
        look(loop);
        return 0;
    }
    if (loop->watch && loop->watch_next < until)
        until = loop->watch_next;
    if (loop->sampler && loop->sample_next < until)
        until = loop->sample_next;
    if (loop->wake && loop->wake < until && loop->poller.urgent_count == 0)
        until = loop->wake;
    if (loop->poller.again && loop->poller.again < until)
        until = loop->poller.again;
    if (loop->debug && until - halo__now() > CALLED_NS)
        until = halo__now() + CALLED_NS;
    if (loop->parks && !loop->is_parked) {
        loop->is_parked = true;
        loop->park_until = until;
        return HALO_PARKED;
    }
    error = poll_for(loop, loop->parks ? 0 : halo__poll_timeout(until));
    loop->is_parked = false;
    if (error)
        return halo__loop_end(loop, error);
    look(loop);
    return 0;
}

/* The exit of a guest that has its own thread. */
static int take_exit(struct halo_loop *loop, struct halo_exit *exit)
{
    const int error = halo__runner_take(&loop->runner, exit);

    loop->port->guest = HALO_GUEST_RUNS; /* as far as the exit does not say otherwise */
    halo__count(&loop->port->exits, loop->runner.kicks);
    halo__count(&loop->port->kicks, loop->runner.kicks);
    return error;
}

/* Among the last ones: to be shown. */
static inline void note(struct halo_loop *loop, const struct halo_exit *exit)
{
    loop->last_exits[loop->last_exit_count++ % HALO_LAST_EXITS] = (struct halo_last_exit){
        halo__counter(), loop->port->requests_taken, exit->op, exit->a, exit->kind};
}

/* --- The end ---------------------------------------------------------------------------------- */

/* Everything that is still on its way out goes out before the guest's end is reported. */
static int finish(struct halo_loop *loop)
{
    int error = 0;

    do
        halo__port_halt(loop->port);
    while (is_waited_for(loop) && !(error = wait(loop)));
    return error;
}

/*
 * The guest was stopped. What it had written goes out all the same, for what was said last tells
 * most; but an end that is slow holds nobody up for long.
 */
static void let_out(struct halo_loop *loop, int error)
{
    const struct halo_words kept = *loop->words;
    const int64_t deadline = loop->deadline, now = halo__now();
    const bool parks = loop->parks;

    if (error == HALO_ETIMEDOUT)
        loop->deadline = now + HALO_LAST_NS / 20;
    else if (deadline > now + HALO_LAST_NS)
        loop->deadline = now + HALO_LAST_NS;
    loop->wake = 0;
    loop->parks = false;
    (void)finish(loop);
    loop->parks = parks;
    loop->deadline = deadline;
    *loop->words = kept;
}

void halo__loop_stop(struct halo_loop *loop)
{
    struct halo_exit exit;

    if (loop->runner.has_guest)
        (void)take_exit(loop, &exit);
}

int halo__loop_end(struct halo_loop *loop, int error)
{
    const bool was_stopped = loop->state == HALO_STATE_RUNNING && error && !loop->port->halted;

    if (halo__port_is_fork(loop->port)) { /* HOST-07: the guest and its thread go on elsewhere */
        loop->state = HALO_STATE_ENDED;
        loop->error = error;
        loop->last = *loop->words;
        return error;
    }
    halo__loop_stop(loop);
    if (loop->debug)
        halo__debug_end(loop->debug,
                        halo__debug_signal(error, loop->has_fault ? loop->fault.vector : 14),
                        loop->exit_code);
    loop->state = HALO_STATE_ENDED; /* what goes wrong from here on ends it no more */
    if (error == HALO_EPOISONED)
        loop->machine->backend->look(loop->machine, &loop->port->poison.processor);
    if (error && loop->at_end)
        loop->at_end(loop->watch_box);
    if (was_stopped)
        let_out(loop, error);
    loop->error = error;
    halo__count(&loop->ends, 1);
    HALO_TRACE(loop->port->trace, END, error, error ? 0 : loop->exit_code);
    halo__count(&loop->failures, error != 0);
    if (!error)
        (void)halo__fail(loop->words, HALO_ESTATE, "the guest ended with exit code %d",
                         loop->exit_code);
    loop->last = *loop->words;
    halo__port_close(loop->port, error ? error : HALO_ESTATE);
    return error;
}

/* A message on the guest's stack, which waits for one of ours: an answer, or the next call. */
static int handle_pushed(struct halo_loop *loop)
{
    struct halo_port *port = loop->port;
    int error;

    port->guest = port->serving > 0 ? HALO_GUEST_WAITS : HALO_GUEST_SERVES;
    error = halo__port_pop(port);
    if (loop->state == HALO_STATE_ENDED)
        return halo__loop_ended(loop);
    if (error)
        return halo__loop_end(loop, error);
    /* An answer may lie there from before, of a function that gave up its own call of the guest's.
     */
    if (port->answered || !halo__stack_is_empty(&port->stacks[HALO_STACK_H2G]))
        port->guest = HALO_GUEST_RUNS;
    return 0;
}

/* It has ended by itself: once what it has written is out. */
static int halt(struct halo_loop *loop)
{
    int error = finish(loop);

    loop->is_halting = error == HALO_PARKED;
    if (loop->is_halting)
        return error;
    if (error == HALO_EINTERRUPTED)
        (void)halo__fail(loop->words, error,
                         "the guest ended, and what it had written was cut off by "
                         "halo_interrupt");
    if (!error)
        error = halo__port_reason(loop->port, loop->halt.b);
    loop->exit_code = (int)(loop->halt.a & 0xff);
    return halo__loop_end(loop, error);
}

static int patch(struct halo_loop *loop, uint64_t at, bool behind)
{
    const int error = halo__machine_patch(loop->machine, at, behind);

    return error ? halo__loop_end(loop, error) : 0;
}

/* What the guest asked for with its doorbell; all requests were served before. */
static int handle_doorbell(struct halo_loop *loop, const struct halo_exit *exit)
{
    switch (exit->op) {
    case HALO_DOORBELL_KICK:
        halo__count(&loop->port->kicks, 1);
        return 0;
    case HALO_DOORBELL_WAIT:
        /* What was published while the guest ran it has mostly seen; one that waits for a time
         * only does not say. */
        if (loop->runner.is_there && !exit->b && !halo__port_is_awaited(loop->port))
            loop->port->answered = false;
        if (!loop->port->answered)
            halo__upcall_forget(loop);
        loop->port->keeps = exit->a == HALO_WAIT_KEPT;
        loop->port->guest =
            exit->a == HALO_WAIT_CALL || loop->port->keeps ? HALO_GUEST_SERVES : HALO_GUEST_WAITS;
        if (exit->b)
            loop->wake = halo__deadline(exit->b < INT64_MAX ? (int64_t)exit->b : INT64_MAX);
        return 0;
    case HALO_DOORBELL_HALT:
        halo__count(&loop->port->other_exits, 1);
        loop->halt = *exit;
        return halt(loop);
    case HALO_DOORBELL_PANIC:
        halo__count(&loop->port->other_exits, 1);
        return halo__loop_end(loop, halo__loop_panicked(loop, exit->a, exit->b));
    case HALO_DOORBELL_PATCH:
        return patch(loop, exit->a, exit->b == 1);
    case HALO_DOORBELL_PUSHED:
        halo__count(&loop->port->other_exits, 1);
        if (loop->port->on_stacks)
            return handle_pushed(loop);
        /* fall through */
    default:
        halo__count(&loop->port->other_exits, exit->op != HALO_DOORBELL_PUSHED);
        (void)halo__port_blame(loop->port,
                               &(struct halo_poison){.kind = HALO_POISON_DOORBELL,
                                                     .queue = HALO_POISON_NO_QUEUE,
                                                     .words = {exit->op, exit->a}},
                               "an unknown doorbell");
        return halo__loop_end(loop, halo__fail(loop->words, HALO_EPOISONED,
                                               "the guest rang the doorbell for an unknown 0x%llx",
                                               (unsigned long long)exit->op));
    }
}

/* As events name it. */
static inline uint32_t leave_of(enum halo_exit_kind kind)
{
    _Static_assert((int)HALO_EXIT_DOORBELL == HALO_LEAVE_DOORBELL &&
                       (int)HALO_EXIT_FAULT == HALO_LEAVE_FAULT &&
                       (int)HALO_EXIT_PROTECT == HALO_LEAVE_PROTECT &&
                       (int)HALO_EXIT_TIMEOUT == HALO_LEAVE_TIME &&
                       (int)HALO_EXIT_DEAD == HALO_LEAVE_DEAD,
                   "the same order");
    return (uint32_t)kind;
}

/* It was stopped: by halo_interrupt, at a deadline, to look what it has used, for a later run. */
static int stopped(const struct halo_loop *loop)
{
    if (halo__interrupt_is_wanted(&loop->machine->interrupt))
        return HALO_EINTERRUPTED;
    if (!loop->limits.any && !loop->sampler && !loop->runner.is_there && !loop->debug &&
        loop->quantum == INT64_MAX && !loop->upcall_at)
        return HALO_ETIMEDOUT;
    if (halo__now() >= loop->deadline)
        return HALO_ETIMEDOUT;
    return halo__now() >= loop->quantum ? HALO_YIELDED : 0;
}

/* It may go on with memory where it had none. */
static int fault(struct halo_loop *loop, const struct halo_exit *exit)
{
    const int done = exit->fills ? halo__machine_fill(loop->machine, exit) : 0;

    loop->is_inside = done > 0 || (!done && exit->is_claimed);
    if (loop->is_inside)
        return 0;
    return halo__loop_end(loop, done < 0 ? done : halo__loop_faulted(loop, exit));
}

static int handle_exit(struct halo_loop *loop, const struct halo_exit *exit)
{
    int error;

    if (loop->debug && halo__debug_takes(loop->debug, exit)) {
        loop->is_inside = true;
        return 0;
    }
    note(loop, exit);
    halo__count(&loop->port->exits, 1);
    HALO_TRACE(loop->port->trace, LEAVE, leave_of(exit->kind),
               exit->kind == HALO_EXIT_DOORBELL ? exit->op : 0);
    if (exit->kind != HALO_EXIT_DOORBELL)
        halo__count(&loop->port->other_exits, 1);
    loop->is_inside = exit->kind == HALO_EXIT_TIMEOUT || exit->kind == HALO_EXIT_PROTECT;
    switch (exit->kind) {
    case HALO_EXIT_TIMEOUT:
        error = stopped(loop);
        halo__upcall_look(loop);
        return error;
    case HALO_EXIT_PROTECT:
        error = halo__machine_protect(loop->machine, exit);
        return error ? halo__loop_end(loop, error) : 0;
    case HALO_EXIT_FAULT:
        return fault(loop, exit);
    case HALO_EXIT_DEAD:
        return halo__loop_end(
            loop, halo__fail(loop->words, HALO_EFAULT, "the guest was stopped: %s", exit->why));
    case HALO_EXIT_DOORBELL:
        break;
    }
    error = drain(loop);
    if (loop->state == HALO_STATE_ENDED) /* while a function of ours had called the guest */
        return halo__loop_ended(loop);
    if (error) {
        halo__count(&loop->port->other_exits, 1);
        return halo__loop_end(loop, error);
    }
    if (loop->runner.has_guest) /* the same, and it has gone on since, beside its host */
        return 0;
    return handle_doorbell(loop, exit);
}

/* The guest has left: there is an exit. */
#define LEFT 2

/* Run the guest on this thread: LEFT. On its own it only begins to: 0. Or an error. */
static inline int run(struct halo_loop *loop, struct halo_exit *exit)
{
    int64_t deadline = loop->deadline < loop->quantum ? loop->deadline : loop->quantum;
    int error;

    loop->port->guest = HALO_GUEST_RUNS;
    loop->wake = 0;
    loop->port->work = 0;
    /* One that did not leave goes on with what it was told of time, to which it adds what its
     * counter has moved. One that was stopped on its way to a wait may come there without having
     * seen what was published. */
    if (!loop->is_inside) {
        loop->port->answered = false;
        halo__machine_tell(loop->machine);
    }
    if (loop->limits.any) {
        error = halo__limits_look(&loop->limits, loop->machine, loop->words, &deadline);
        if (error)
            return halo__loop_end(loop, error);
    }
    if (halo__upcall_when(loop) < deadline)
        deadline = loop->upcall_at;
    loop->runner.slice = 0;
    if (loop->sampler && next_sample(loop) < deadline) {
        deadline = loop->sample_next;
        loop->runner.slice = loop->sample_interval / 2;
    }
    HALO_TRACE(loop->port->trace, ENTER, 0, 0);
    if (loop->runner.is_there) { /* each exit is looked at where exits are counted */
        if (!loop->is_inside)
            (void)halo__port_is_awaited(loop->port); /* by going on it is told of all there is */
        halo__runner_go(&loop->runner, deadline, !loop->limits.any);
        return 0;
    }
    exit->is_system_call = false;
    error = loop->machine->backend->run(loop->machine, deadline, exit);
    return error ? halo__loop_end(loop, error) : LEFT;
}

/* --- A guest on a thread of its own ----------------------------------------------------------- */

static bool has_news(const void *loop)
{
    const struct halo_loop *of = loop;

    return halo__runner_is_back(&of->runner) || halo__port_has_news(of->port);
}

/* When a sleep is to end by itself. */
static int64_t end_of_sleep(struct halo_loop *loop)
{
    int64_t until = loop->deadline;

    if (loop->watch && loop->watch_next < until)
        until = loop->watch_next;
    if (loop->sampler && loop->sample_next < until)
        until = loop->sample_next;
    if (loop->poller.again && loop->poller.again < until)
        until = loop->poller.again;
    if (loop->debug && until - halo__now() > CALLED_NS)
        until = halo__now() + CALLED_NS;
    if (halo__upcall_when(loop) < until)
        until = loop->upcall_at;
    return until;
}

/* Sleep until the guest leaves or kicks, a descriptor is ready, or it is time for something. */
static int sleep_for_news(struct halo_loop *loop)
{
    int error = 0;

    if (!halo__port_arm(loop->port) && halo__runner_lie_down(&loop->runner)) {
        if (!halo__port_arm(loop->port)) {
            error = poll_for(loop, halo__poll_timeout(end_of_sleep(loop)));
            halo__runner_keep_apart(&loop->runner);
        }
        halo__runner_get_up(&loop->runner);
    }
    halo__port_disarm(loop->port);
    return error;
}

#define LONG_LOOK 8u /* times `most`: a processor that slept takes so long to begin */

/* Look for news for a while (patience.h), and then sleep: 0, or an error. */
static int await_news(struct halo_loop *loop, uint64_t now)
{
    struct halo_patience *patience = &loop->runner.patience;

    if (loop->runner.was_moved) {
        /* A host that slept now would be woken where the runner is, again. */
        *patience = (struct halo_patience){.most = patience->most * LONG_LOOK};
        loop->runner.was_moved = false;
        (void)halo__patience_look(patience, now, has_news, loop);
        *patience = (struct halo_patience){.most = patience->most / LONG_LOOK};
        return 0;
    }
    if (patience->most && halo__patience_look(patience, now, has_news, loop))
        return 0;
    return sleep_for_news(loop);
}

/* Whether its time is over: the clock, which costs more than a look, is asked once in the time that
 * a look may take. However much news there is, it is asked. */
static bool is_over(struct halo_loop *loop, uint64_t now)
{
    if (loop->deadline == HALO_FOREVER || now - loop->asked < loop->runner.patience.most)
        return false;
    loop->asked = now;
    return halo__now() >= loop->deadline;
}

/* The guest is with its runner: serve what there is, 0, or take its exit, LEFT. Or an error. */
static int attend(struct halo_loop *loop, struct halo_exit *exit)
{
    int error = 0;

    if (!halo__runner_is_back(&loop->runner) && !is_sampled_now(loop) &&
        !halo__upcall_is_due(loop)) {
        const uint64_t now = __builtin_ia32_rdtsc();

        if (is_over(loop, now))
            error = HALO_ETIMEDOUT;
        else if (!loop->port->has_more && !halo__port_has_news(loop->port))
            error = await_news(loop, now);
        if (!error) {
            loop->port->work = 0;
            error = drain(loop);
            if (error)
                return halo__loop_end(loop, error);
            return loop->state == HALO_STATE_ENDED ? halo__loop_ended(loop) : 0;
        }
        if (error != HALO_ETIMEDOUT)
            return halo__loop_end(loop, error);
    }
    error = take_exit(loop, exit);
    return error ? halo__loop_end(loop, error) : LEFT;
}

/* --- A step ----------------------------------------------------------------------------------- */

/* The guest stands still: let it go on where it can, and wait where it cannot. As run. */
static inline int go_on(struct halo_loop *loop, struct halo_exit *exit)
{
    struct halo_port *port = loop->port;
    int error;

    /* What is asked of a local file comes before the guest goes on, so that exits can be counted.
     */
    if (loop->poller.urgent_count > 0) {
        error = wait(loop);
        if (!error && (error = drain(loop)))
            return halo__loop_end(loop, error);
        return error;
    }
    if (port->guest != HALO_GUEST_RUNS && !port->answered) {
        error = drain(loop); /* what had to wait may go on by now */
        if (error)
            return halo__loop_end(loop, error);
        if (port->answered)
            return 0;
        if (!loop->wake)
            return is_waited_for(loop) ? wait(loop) : HALO_STUCK;
        if (halo__now() < loop->wake)
            return wait(loop);
    }
    return run(loop, exit);
}

int halo__loop_step(struct halo_loop *loop)
{
    struct halo_exit exit;
    int error;

    if (halo__port_refuse_fork(loop->port))
        return halo__loop_end(loop, HALO_ESTATE);
    if (halo__interrupt_is_wanted(&loop->machine->interrupt)) {
        if (!loop->runner.has_guest)
            return HALO_EINTERRUPTED;
        error = take_exit(loop, &exit);
        return error ? halo__loop_end(loop, error) : handle_exit(loop, &exit);
    }
    if (loop->debug && halo__debug_is_wanted(loop->debug)) {
        if (loop->runner.has_guest) { /* it is stopped first: the next step is the debugger's */
            error = take_exit(loop, &exit);
            return error ? halo__loop_end(loop, error) : handle_exit(loop, &exit);
        }
        error = serve_debugger(loop);
        if (error)
            return error;
    }
    if (loop->is_halting)
        return halt(loop);
    error = halo__port_send(loop->port);
    if (error)
        return halo__loop_end(loop, error);
    look(loop);
    error = loop->runner.has_guest ? attend(loop, &exit) : go_on(loop, &exit);
    return error == LEFT ? handle_exit(loop, &exit) : error;
}
