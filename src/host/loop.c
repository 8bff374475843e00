/*
 * Running a guest: one exit after the other, until what the caller wants has come. There is one
 * loop for each of them, all of the same step.
 */
#define _GNU_SOURCE
#include "loop.h"
#include <pthread.h>
#include <time.h>

int halo__end(struct halo_sandbox *box, int error)
{
    box->state = HALO_STATE_ENDED;
    box->ended = error;
    halo__invoke_end(box, error ? error : HALO_ESTATE);
    return error;
}

/* --- Around what runs the guest --------------------------------------------------------------- */

int halo__run_enter(struct halo_sandbox *box, struct halo_running *running, int64_t timeout_ns)
{
    int64_t deadline;
    sigset_t block, pending;
    int error;

    if (timeout_ns < 0)
        return halo__fail(&box->words, HALO_EINVAL, "a timeout cannot be negative");
    running->start = halo__now();
    running->outer = box->deadline;
    deadline = timeout_ns > INT64_MAX - running->start ? HALO_FOREVER : running->start + timeout_ns;
    if (box->runs++ == 0) {
        halo__end_retry(&box->streams);
        /* SIGURG ends KVM_RUN at the deadline; SIGPIPE would kill a host whose end point closed. */
        sigemptyset(&block);
        sigaddset(&block, SIGURG);
        sigaddset(&block, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &block, &running->before);
        sigpending(&pending);
        running->had_pipe = sigismember(&pending, SIGPIPE) == 1;
    } else if (deadline >= running->outer) {
        return 0;
    } else {
        box->machine.backend->leave(&box->machine);
    }
    box->deadline = deadline;
    error = box->machine.backend->enter(&box->machine, deadline);
    if (error)
        halo__run_leave(box, running);
    return error;
}

void halo__run_leave(struct halo_sandbox *box, struct halo_running *running)
{
    const bool is_nested = --box->runs > 0;
    sigset_t block;

    if (is_nested && box->deadline == running->outer)
        return;
    box->machine.backend->leave(&box->machine);
    box->deadline = running->outer;
    if (is_nested) {
        (void)box->machine.backend->enter(&box->machine, running->outer);
        return;
    }
    sigemptyset(&block);
    sigaddset(&block, SIGURG);
    if (!running->had_pipe)
        sigaddset(&block, SIGPIPE);
    while (sigtimedwait(&block, NULL, &(struct timespec){0, 0}) > 0)
        continue; /* what we caused must not reach the caller */
    pthread_sigmask(SIG_SETMASK, &running->before, NULL);
    box->stats.elapsed_ns += (uint64_t)(halo__now() - running->start);
}

/* --- One exit --------------------------------------------------------------------------------- */

/* The guest's last words, if it gave an address where it may have them. */
static int panic(struct halo_sandbox *box, uint64_t address, uint64_t len)
{
    char text[HALO_PANIC_MAX + 1];
    uint32_t shown = len < HALO_PANIC_MAX ? (uint32_t)len : HALO_PANIC_MAX;
    struct halo_span span;

    if (shown == 0 || halo_memory_span(&box->memory, (struct halo_gpa){address}, shown,
                                       HALO_MAY_READ, &span) != HALO_SPAN_OK)
        return halo__fail(&box->words, HALO_EPANIC, "the guest panicked without a message");
    halo_shm_copy_in(text, span.base, shown);
    text[shown] = '\0';
    for (uint32_t i = 0; i < shown; i++) { /* RES-07: bounded, and nothing a terminal obeys */
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    }
    return halo__fail(&box->words, HALO_EPANIC, "the guest panicked: %s", text);
}

/* Everything that is still on its way out goes out before the guest's end is reported. */
static int finish(struct halo_sandbox *box)
{
    int error = 0;

    for (;;) {
        halo__stream_drop_reads(&box->streams);
        if (error || box->streams.armed_count == 0)
            return error;
        error = halo__wait_pending(box, box->deadline);
        if (!error)
            error = halo__drain(box);
    }
}

static int faulted(struct halo_sandbox *box, const struct halo_fault *fault)
{
    box->has_fault = true;
    box->fault = *fault;
    return halo__fail(&box->words, HALO_EFAULT,
                      "the guest faulted: %s at 0x%llx (instruction 0x%llx, stack 0x%llx, error "
                      "code 0x%x)",
                      halo_fault_name(fault->vector),
                      (unsigned long long)(fault->vector == 14 ? fault->address : fault->rip),
                      (unsigned long long)fault->rip, (unsigned long long)fault->rsp, fault->error);
}

/* A message on the guest's stack, which waits for one of ours: an answer, or the next call. */
static int handle_pushed(struct halo_sandbox *box)
{
    int error;

    box->doing = box->calls.serving > 0 ? HALO_DOING_WAIT : HALO_DOING_SERVE;
    error = halo__stack_drain(box);
    if (error)
        return halo__end(box, error);
    /* An answer may lie there from before, of a function that gave up its own call of the guest's.
     */
    if (box->answered || !halo__stack_is_empty(&box->stacks[HALO_STACK_H2G]))
        box->doing = HALO_DOING_WORK;
    return box->state == HALO_STATE_ENDED ? box->ended : 0;
}

/* What the guest asked for with its doorbell; all requests were served before. */
static int handle_doorbell(struct halo_sandbox *box, const struct halo_exit *exit)
{
    int error;

    switch (exit->op) {
    case HALO_DOORBELL_KICK:
        box->stats.kicks++;
        return 0;
    case HALO_DOORBELL_WAIT:
        box->stats.waits++;
        box->doing = exit->a == HALO_WAIT_CALL ? HALO_DOING_SERVE : HALO_DOING_WAIT;
        return 0;
    case HALO_DOORBELL_HALT:
        error = finish(box);
        if (error == 0)
            box->exit_code = (int)(exit->a & 0xff);
        return halo__end(box, error);
    case HALO_DOORBELL_PANIC:
        return halo__end(box, panic(box, exit->a, exit->b));
    case HALO_DOORBELL_PUSHED:
        if (box->on_stacks)
            return handle_pushed(box);
        /* fall through */
    default:
        return halo__end(box, halo__fail(&box->words, HALO_EPOISONED,
                                         "the guest rang the doorbell for an unknown 0x%llx",
                                         (unsigned long long)exit->op));
    }
}

static int handle_exit(struct halo_sandbox *box, const struct halo_exit *exit)
{
    int error;

    box->stats.exits++;
    switch (exit->kind) {
    case HALO_EXIT_TIMEOUT:
        return HALO_ETIMEDOUT;
    case HALO_EXIT_FAULT:
        return halo__end(box, faulted(box, &exit->fault));
    case HALO_EXIT_DEAD:
        return halo__end(
            box, halo__fail(&box->words, HALO_EFAULT, "the guest was stopped: %s", exit->why));
    case HALO_EXIT_DOORBELL:
        break;
    }
    error = halo__drain(box);
    if (error)
        return halo__end(box, error);
    if (box->state == HALO_STATE_ENDED) /* while a function of ours had called the guest */
        return box->ended;
    return handle_doorbell(box, exit);
}

/* Let the program that watches look, where it is time. */
static void look(struct halo_sandbox *box)
{
    int64_t now;

    if (!box->watch || (now = halo__now()) < box->watch_next)
        return;
    if (box->watch_next > 0)
        box->watch(box, box->watch_context);
    box->watch_next = now + box->watch_interval;
}

int halo__step(struct halo_sandbox *box)
{
    struct halo_exit exit;
    int error;

    error = halo__send(box);
    if (error)
        return halo__end(box, error);
    look(box);
    if (box->doing != HALO_DOING_WORK && !box->answered) {
        error = halo__drain(box); /* what had to wait may go on by now */
        if (error)
            return halo__end(box, error);
        if (box->answered)
            return 0;
        return box->streams.armed_count > 0 ? halo__wait_pending(box, box->deadline) : HALO_STUCK;
    }
    box->doing = HALO_DOING_WORK;
    box->answered = false;
    error = box->machine.backend->run(&box->machine, box->deadline, &exit);
    if (error)
        return halo__end(box, error);
    return handle_exit(box, &exit);
}

/* --- Until something has come ----------------------------------------------------------------- */

/*
 * It waits, and nothing can come of itself. Where it waits for what the program that runs it has to
 * do, that is no fault of the guest's.
 */
static int stuck(struct halo_sandbox *box, const char *what)
{
    if (halo__stream_waits(&box->streams))
        return halo__fail(&box->words, HALO_EDEADLOCK,
                          "the guest waits for a stream whose other end is its host");
    if (box->calls.serving > 0 && box->doing == HALO_DOING_WAIT)
        return HALO_EDEADLOCK;
    return halo__end(box, halo__fail(&box->words, HALO_EPOISONED, "%s", what));
}

int halo__run_until(struct halo_sandbox *box, halo__has_come *has_come, const void *what,
                    int64_t timeout_ns)
{
    struct halo_calls *calls = &box->calls;
    struct halo_running running;
    int error;

    if (calls->waits > HALO_DEPTH_MAX)
        return HALO_EDEPTH;
    error = halo__run_enter(box, &running, timeout_ns);
    if (error)
        return error;
    if (box->state == HALO_STATE_READY)
        box->state = HALO_STATE_RUNNING;
    calls->waits++;
    while (!error && box->state == HALO_STATE_RUNNING && !has_come(box, what)) {
        error = halo__step(box);
        if (error != HALO_STUCK)
            continue;
        if (has_come(box, what)) /* it could not be sent */
            error = 0;
        else if (box->doing == HALO_DOING_SERVE && !calls->first && calls->number_count == 0)
            error = halo__fail(&box->words, HALO_EDEADLOCK, "the guest waits to be called");
        else
            error = stuck(box, "the guest waits, but has not answered a call");
    }
    calls->waits--;
    halo__run_leave(box, &running);
    return error;
}

/* --- To where it serves, and to its end ------------------------------------------------------- */

/* Begin, or go on, with what is not done inside a function of ours. */
static int start(struct halo_sandbox *box, struct halo_running *running, int64_t timeout_ns)
{
    int error;

    if (box->runs > 0)
        return halo__fail(&box->words, HALO_ESTATE,
                          "this sandbox is running: a function of its host's "
                          "cannot run it from the start");
    if (box->state != HALO_STATE_READY && box->state != HALO_STATE_RUNNING)
        return halo__fail(&box->words, HALO_ESTATE, "this sandbox cannot be run%s",
                          box->state == HALO_STATE_ENDED ? " a second time" : "");
    error = halo__run_enter(box, running, timeout_ns);
    if (error == 0)
        box->state = HALO_STATE_RUNNING;
    return error;
}

int halo_begin(struct halo_sandbox *box, int64_t timeout_ns)
{
    struct halo_running running;
    int error = start(box, &running, timeout_ns);

    if (error)
        return error;
    while (!error && box->state == HALO_STATE_RUNNING && box->doing != HALO_DOING_SERVE) {
        error = halo__step(box);
        if (error == HALO_STUCK)
            error = stuck(box, "the guest waits for an answer but has asked for nothing");
    }
    halo__run_leave(box, &running);
    if (error == HALO_ETIMEDOUT)
        return halo__fail(&box->words, error, "the guest does not serve calls yet");
    if (!error && box->state == HALO_STATE_ENDED)
        return halo__fail(&box->words, HALO_ESTATE,
                          "the guest ended with exit code %d and serves no calls", box->exit_code);
    return error;
}

int halo_run(struct halo_sandbox *box, int64_t timeout_ns, int *exit_code)
{
    struct halo_running running;
    bool told = false;
    int error;

    if (box->state == HALO_STATE_ENDED && !box->ended && !box->told) { /* while it was called */
        box->told = true;
        *exit_code = box->exit_code;
        return 0;
    }
    error = start(box, &running, timeout_ns);
    if (error)
        return error;
    while (!error && box->state == HALO_STATE_RUNNING) {
        if (box->doing == HALO_DOING_SERVE && !told && halo__invoke_stop(box)) {
            told = true;
            halo__publish(box);
        }
        error = halo__step(box);
        if (error == HALO_STUCK)
            error = stuck(box, "the guest waits for an answer but has asked for nothing");
    }
    if (error == HALO_ETIMEDOUT)
        halo__end(box, halo__fail(&box->words, error,
                                  "the guest was stopped: it did not end within its time limit"));
    halo__run_leave(box, &running);
    if (!error) {
        box->told = true;
        *exit_code = box->exit_code;
    }
    return error;
}
