/*
 * Waiting: the only place that makes a caller wait, and the only one that runs the guest. Whatever
 * is waited for, the guest takes one step after the other until that has come. A caller's relative
 * time becomes one deadline, here, at once.
 */
#include "call/keep.h"
#include "run.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A deadline from a caller's time: 0, or HALO_EINVAL. */
static int deadline_of(struct halo_sandbox *box, int64_t timeout_ns, int64_t *deadline)
{
    *deadline = halo__deadline(timeout_ns < 0 ? 0 : timeout_ns);
    return timeout_ns < 0 ? halo__fail(&box->words, HALO_EINVAL, "a timeout of %lld ns is negative",
                                       (long long)timeout_ns)
                          : 0;
}

/* --- Until something has come ----------------------------------------------------------------- */

typedef bool condition(const struct halo_sandbox *box, const void *what);

/*
 * On an executor, inside of a function of the host's: what was said for a call that is kept comes
 * by the line, and this is the turn that it comes in. The guest may wait for a descriptor as well,
 * so a wait of this thread's is ended by it, from the outermost of such functions on.
 */
static int listen(struct halo_sandbox *box, bool *listens)
{
    struct halo_poller *poller = &box->loop.poller;

    *listens = box->seat && !box->calls.line->poller;
    if (!*listens)
        return 0;
    if (poller->waker < 0 && halo__poller_make_waker(poller)) {
        *listens = false;
        return halo__fail(&box->words, HALO_EHOST, "cannot make an eventfd: %s", strerror(errno));
    }
    halo__line_ring(&box->calls, poller);
    return 0;
}

static bool take_said(struct halo_sandbox *box)
{
    if (!halo__kept_answer_said(&box->calls))
        return false;
    halo__port_publish(&box->port);
    return true;
}

/*
 * Step until it has come, whatever that is, or the guest has ended: 0; HALO_ETIMEDOUT or
 * HALO_EINTERRUPTED; HALO_EDEADLOCK where it cannot come before the caller does something; or
 * another error: then the guest has ended.
 *
 * A wait that nests has the guest's calls that are not deep enough put off until it is over
 * (HALO_DEPTH_SHIFT). One for a stream does so only inside a function of the host's, where the
 * number of waits bounds how deep the guest can make the host go; elsewhere the guest's program is
 * to get on, calls and all, until it reads or writes.
 */
static int run_until(struct halo_sandbox *box, condition *has_come, const void *what,
                     int64_t deadline, bool nests)
{
    struct halo_run run;
    bool listens;
    int error;

    if (box->port.waits > HALO_DEPTH_MAX)
        return halo__fail(&box->words, HALO_EDEPTH,
                          "waits inside calls inside waits are deeper than %u", HALO_DEPTH_MAX);
    error = listen(box, &listens);
    if (!error)
        error = halo__run_enter(box, &run, deadline);
    if (error) {
        if (listens)
            halo__line_ring(&box->calls, NULL);
        return error;
    }
    if (box->loop.state == HALO_STATE_READY) {
        box->loop.state = HALO_STATE_RUNNING;
        box->port.open = true;
    }
    (void)take_said(box);
    box->port.waits += nests;
    while (!error && box->loop.state == HALO_STATE_RUNNING && !has_come(box, what)) {
        error = halo__loop_step(&box->loop);
        if (box->seat && take_said(box) && error == HALO_STUCK)
            error = 0;
        if (error != HALO_STUCK)
            continue;
        if (has_come(box, what)) /* it could not be sent */
            error = 0;
        else if (box->port.guest == HALO_GUEST_SERVES && !halo__calls_pending(&box->calls))
            error = halo__fail(&box->words, HALO_EDEADLOCK, "the guest waits to be called");
        else if (box->port.guest == HALO_GUEST_SERVES && box->port.keeps)
            error = halo__fail(&box->words, HALO_EDEADLOCK, "%s", HALO_GUEST_KEEPS);
        else
            error = halo__stuck(box, "the guest waits, but has not answered a call");
    }
    box->port.waits -= nests;
    halo__run_leave(box, &run);
    if (listens)
        halo__line_ring(&box->calls, NULL);
    return error;
}

/* The guest stands still, at a wait, or wherever its program has ended. */
static bool stands(const struct halo_sandbox *box, const void *nothing)
{
    (void)nothing;
    return !box->loop.runner.has_guest;
}

int halo__settle(struct halo_sandbox *box)
{
    int error;

    if (!box->loop.runner.has_guest)
        return 0;
    error = run_until(box, stands, NULL, halo__deadline(HALO_SETTLE_NS), false);
    return error == HALO_ETIMEDOUT ? 0 : error;
}

/* --- Calls ------------------------------------------------------------------------------------ */

static bool is_done(const struct halo_sandbox *box, const void *future)
{
    (void)box;
    return ((const struct halo_future *)future)->done;
}

/* The words for a call that has failed: the function's name, its code, and what it said. */
static int failed(struct halo_sandbox *box, const struct halo_future *future, const char *name)
{
    char said[HALO_ERROR_TEXT_MAX + 1];
    size_t len = 0;

    for (; len < HALO_ERROR_TEXT_MAX && future->text[len]; len++) /* RES-07 */
        said[len] =
            (char)(future->text[len] >= ' ' && future->text[len] <= '~' ? future->text[len] : '?');
    said[len] = '\0';
    if (future->error == HALO_ECALL)
        return halo__fail(&box->words, HALO_ECALL, "%s failed with code %d: %s", name, future->code,
                          said);
    return halo__fail(&box->words, future->error, "%s: %s", name, said);
}

int halo_wait(struct halo_future *future, int64_t timeout_ns)
{
    struct halo_sandbox *box;
    const char *name;
    int64_t deadline;
    int error;

    if (halo__owner_was_told(&future->done)) /* perhaps by another thread */
        return future->error;
    if (!future->calls) /* it was given up */
        return HALO_ESTALE;
    box = future->calls->box;
    error = halo__box_enter(box);
    if (error)
        return error;
    name = box->calls.functions.exported[future->function - 1].name;
    error = deadline_of(box, timeout_ns, &deadline);
    if (!error)
        error = run_until(box, is_done, future, deadline, true);
    if (halo__is_late(error))
        error = halo__late(box, error, name, "has not answered");
    if (future->done) {
        if (box->calls.reported < box->calls.answered)
            box->calls.reported++; /* this one needs no halo_poll any more */
        error = future->error ? failed(box, future, name) : 0;
    }
    return halo__box_leave(box, error);
}

/* Some have come that halo_poll has not told of, whoever took them in. */
static bool some_came(const struct halo_sandbox *box, const void *nothing)
{
    (void)nothing;
    return box->calls.answered != box->calls.reported;
}

static int poll_calls(struct halo_sandbox *box, int64_t timeout_ns)
{
    struct halo_calls *calls = &box->calls;
    int64_t deadline;
    int error = deadline_of(box, timeout_ns, &deadline), came;

    if (!error && !some_came(box, NULL)) {
        if (!halo__calls_pending(calls))
            return 0;
        error = run_until(box, some_came, NULL, deadline, true);
        if (halo__is_late(error))
            error = halo__late(box, error, "no call", "was answered");
    }
    came = (int)(calls->answered - calls->reported);
    calls->reported = calls->answered;
    if (came > 0)
        return came;
    return error || box->loop.state == HALO_STATE_RUNNING ? error : HALO_ESTATE;
}

int halo_poll(struct halo_sandbox *box, int64_t timeout_ns)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, poll_calls(box, timeout_ns));
}

/* --- Streams whose other end is the host ------------------------------------------------------ */

struct one_way {
    uint32_t handle;
    enum halo_way way;
};

/* A flow has a request, or will have none; also where its stream is gone. */
static bool is_moving(const struct halo_sandbox *box, const void *what)
{
    const struct one_way *one = what;
    const struct halo_stream *stream = halo__stream_find(&box->streams, one->handle);
    const struct halo_flow *flow;

    if (!stream)
        return true; /* a function of the host's has closed it meanwhile */
    flow = one->way == HALO_IN ? &stream->in : &stream->out;
    return flow->count > 0 || flow->over;
}

/* Run the guest until a flow moves: 0, or an error; the guest's own where it has ended. */
static int run_for(struct halo_sandbox *box, uint32_t handle, enum halo_way way, int64_t deadline)
{
    char missing[64];
    int error;

    if (box->loop.state == HALO_STATE_ENDED)
        return halo__loop_ended(&box->loop);
    error =
        run_until(box, is_moving, &(struct one_way){handle, way}, deadline, box->port.serving > 0);
    if (!halo__is_late(error))
        return error;
    (void)snprintf(missing, sizeof(missing), "has not %s stream 0x%x",
                   way == HALO_IN ? "read" : "written to", handle);
    return halo__late(box, error, "the guest", missing);
}

/* The next bytes that the guest has written: their length, 0 at the end, or an error. */
static int64_t peek(struct halo_sandbox *box, uint32_t handle, struct halo_span *span,
                    int64_t deadline)
{
    struct halo_stream *stream;
    int error = 0, gone, got;

    for (;;) {
        gone = halo__direct_find(&box->streams, handle, HALO_OUT, &stream);
        if (gone)
            return gone;
        got = halo__direct_peek(&box->streams, stream, span);
        if (got == HALO_DIRECT_END)
            return error;
        if (got)
            return got < 0 ? got : (int64_t)span->len;
        if (error || box->loop.state == HALO_STATE_ENDED)
            return error ? error : halo__loop_ended(&box->loop);
        error = run_for(box, handle, HALO_OUT, deadline);
    }
}

int64_t halo_stream_peek(struct halo_sandbox *box, uint32_t handle, const void **bytes,
                         int64_t timeout_ns)
{
    struct halo_span span;
    int64_t deadline, len = halo__box_enter(box);

    *bytes = NULL;
    if (len)
        return len;
    len = deadline_of(box, timeout_ns, &deadline);
    if (len == 0)
        len = peek(box, handle, &span, deadline);
    if (len > 0)
        *bytes = halo_shm_expose(span.base);
    return halo__box_leave_wide(box, len);
}

int64_t halo_stream_read(struct halo_sandbox *box, uint32_t handle, void *to, size_t max,
                         int64_t timeout_ns)
{
    struct halo_stream *stream;
    struct halo_span span;
    int64_t deadline, len = halo__box_enter(box);

    if (len)
        return len;
    len = deadline_of(box, timeout_ns, &deadline);
    if (len == 0)
        len = peek(box, handle, &span, deadline);
    if (len > 0) {
        if ((uint64_t)len > max)
            len = (int64_t)max;
        halo_shm_copy_in(to, span.base, (size_t)len);
        stream = halo__stream_find(&box->streams, handle);
        halo__direct_consume(&box->streams, stream, (uint64_t)len); /* the rest is the next one's */
    }
    return halo__box_leave_wide(box, len);
}

/* There is no room, or never will be: wait for some where it may come. Its length, or an error. */
static int64_t wait_for_room(struct halo_sandbox *box, uint32_t handle, struct halo_span *span,
                             int64_t deadline, int got)
{
    struct halo_stream *stream;
    int error, gone;

    if (got == 0) {
        error = run_for(box, handle, HALO_IN, deadline);
        gone = halo__direct_find(&box->streams, handle, HALO_IN, &stream);
        if (gone)
            return gone;
        got = halo__direct_reserve(&box->streams, stream, span);
        if (error && got == 0)
            return error;
    }
    if (got == HALO_DIRECT_END || got == 0)
        return halo__fail(&box->words, HALO_EIO, "nobody reads stream 0x%x any more", handle);
    return got < 0 ? got : (int64_t)span->len;
}

/* Room for the guest to read: its length, or an error. */
static int64_t reserve(struct halo_sandbox *box, uint32_t handle, struct halo_span *span,
                       int64_t deadline)
{
    struct halo_stream *stream;
    const int error = halo__direct_find(&box->streams, handle, HALO_IN, &stream);
    int got;

    if (error)
        return error;
    got = halo__direct_reserve(&box->streams, stream, span);
    return got == 1 ? (int64_t)span->len : wait_for_room(box, handle, span, deadline, got);
}

int64_t halo_stream_reserve(struct halo_sandbox *box, uint32_t handle, void **room,
                            int64_t timeout_ns)
{
    struct halo_span span;
    int64_t deadline, len = halo__box_enter(box);

    *room = NULL;
    if (len)
        return len;
    len = deadline_of(box, timeout_ns, &deadline);
    if (len == 0)
        len = reserve(box, handle, &span, deadline);
    if (len > 0)
        *room = halo_shm_expose(span.base);
    return halo__box_leave_wide(box, len);
}

static int64_t write_all(struct halo_sandbox *box, uint32_t handle, const void *from, size_t len,
                         int64_t deadline)
{
    size_t done = 0;

    while (done < len) {
        struct halo_span span;
        const int64_t n = reserve(box, handle, &span, deadline);
        const size_t part = n > (int64_t)(len - done) ? len - done : (size_t)n;

        if (n <= 0)
            return done > 0 ? (int64_t)done : n;
        halo_shm_copy_out(span.base, (const unsigned char *)from + done, part);
        (void)halo__direct_commit(&box->streams, halo__stream_find(&box->streams, handle), part);
        done += part;
    }
    return (int64_t)done;
}

int64_t halo_stream_write(struct halo_sandbox *box, uint32_t handle, const void *from, size_t len,
                          int64_t timeout_ns)
{
    int64_t deadline;
    int error = halo__box_enter(box);

    if (error)
        return error;
    error = deadline_of(box, timeout_ns, &deadline);
    return halo__box_leave_wide(box, error ? error : write_all(box, handle, from, len, deadline));
}

/* --- To where it serves, and to its end ------------------------------------------------------- */

/* Begin, or go on, with what is not done inside a function of the host's. */
static int start(struct halo_sandbox *box, struct halo_run *run, int64_t timeout_ns)
{
    const enum halo_state state = box->loop.state;
    int64_t deadline;
    int error;

    if (box->run_depth > 0)
        return halo__fail(&box->words, HALO_ESTATE,
                          "this sandbox is running: a function of its host's "
                          "cannot run it from the start");
    if (state != HALO_STATE_READY && state != HALO_STATE_RUNNING)
        return halo__fail(&box->words, HALO_ESTATE,
                          state == HALO_STATE_ENDED ? "this sandbox cannot be run a second time"
                                                    : "this sandbox was not opened");
    error = deadline_of(box, timeout_ns, &deadline);
    if (!error)
        error = halo__run_enter(box, run, deadline);
    if (!error) {
        box->loop.state = HALO_STATE_RUNNING;
        box->port.open = true;
    }
    return error;
}

static int step(struct halo_sandbox *box)
{
    const int error = halo__loop_step(&box->loop);

    return error == HALO_STUCK
               ? halo__stuck(box, "the guest waits for an answer but has asked for nothing")
               : error;
}

static int serve_begin(struct halo_sandbox *box, int64_t timeout_ns)
{
    struct halo_run run;
    int error = start(box, &run, timeout_ns);

    if (error)
        return error;
    while (!error && box->loop.state == HALO_STATE_RUNNING && box->port.guest != HALO_GUEST_SERVES)
        error = step(box);
    halo__run_leave(box, &run);
    if (halo__is_late(error))
        return halo__late(box, error, "the guest", "has not come to serve calls");
    if (!error && box->loop.state == HALO_STATE_ENDED)
        return halo__fail(&box->words, HALO_ESTATE,
                          "the guest ended with exit code %d and serves no calls",
                          box->loop.exit_code);
    return error;
}

int halo_serve_begin(struct halo_sandbox *box, int64_t timeout_ns)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, serve_begin(box, timeout_ns));
}

/* As halo_serve_begin's guest: not before it has left since this was called. */
static int run_to_wait(struct halo_sandbox *box, int64_t timeout_ns)
{
    const uint64_t exits = box->port.exits;
    struct halo_run run;
    int error = start(box, &run, timeout_ns), awaits = 0;

    if (error)
        return error;
    while (!error && box->loop.state == HALO_STATE_RUNNING && !awaits) {
        error = halo__loop_step(&box->loop);
        if (error == HALO_STUCK || box->port.exits != exits)
            awaits = halo__awaits(box);
        if (error == HALO_STUCK)
            error = awaits ? 0 : halo__stuck(box, "the guest waits, but has asked for nothing");
    }
    halo__run_leave(box, &run);
    if (halo__is_late(error))
        return halo__late(box, error, "the guest", "has not come to wait");
    if (!error && box->loop.state == HALO_STATE_ENDED)
        return halo__fail(&box->words, HALO_ESTATE, "the guest ended with exit code %d",
                          box->loop.exit_code);
    return error ? error : awaits;
}

int halo_run_to_wait(struct halo_sandbox *box, int64_t timeout_ns)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, run_to_wait(box, timeout_ns));
}

static void report_exit(struct halo_sandbox *box, int *exit_code)
{
    box->exit_reported = true;
    if (exit_code)
        *exit_code = box->loop.exit_code;
}

/* Step to its end: 0 or why not. A guest that serves is told once that there will be no more. */
static int run_on(struct halo_sandbox *box, bool *stopped)
{
    int error = 0;

    while (!error && box->loop.state == HALO_STATE_RUNNING) {
        if (box->port.guest == HALO_GUEST_SERVES && !*stopped && halo__invoke_stop(&box->calls)) {
            *stopped = true;
            halo__port_publish(&box->port);
        }
        error = step(box);
    }
    return error;
}

/* It is to be stopped: may it end by itself before? */
static bool is_told(struct halo_sandbox *box, int error)
{
    const bool was_terminated = halo__interrupt_was_terminated(&box->machine.interrupt);

    if (box->machine.grace_ms == 0 || box->loop.state != HALO_STATE_RUNNING || box->port.halted ||
        !(error == HALO_ETIMEDOUT || (error == HALO_EINTERRUPTED && was_terminated)) ||
        box->loop.runner.has_guest || !halo__raise(&box->machine))
        return false;
    if (!box->loop.is_inside)
        box->loop.wake = 1; /* long ago: one that waits goes on */
    return true;
}

/* Run on, until the grace is over: 0, or the error with which it was to be stopped, or another. */
static int run_in_grace(struct halo_sandbox *box, struct halo_run *run, bool *stopped, int late,
                        bool *is_left)
{
    int error;

    halo__run_leave(box, run);
    error = start(box, run, box->machine.grace_ms * 1000000ll);
    *is_left = error != 0;
    if (error)
        return error;
    error = run_on(box, stopped);
    (void)halo__interrupt_was_terminated(&box->machine.interrupt);
    return halo__is_late(error) ? late : error;
}

static void say_late(struct halo_sandbox *box, int error)
{
    const struct halo_stream *asked = halo__streams_asked(&box->streams);

    if (error == HALO_EINTERRUPTED)
        halo__late(box, error, "the guest", "has not ended");
    else if (!asked)
        halo__late(box, error, "the guest was stopped: it", "did not end");
    else
        halo__fail(&box->words, error,
                   "the guest was stopped: it did not end within its time limit, and the kernel "
                   "has not answered for stream 0x%x",
                   halo__stream_handle(&box->streams, asked));
}

static int run_to_end(struct halo_sandbox *box, int64_t timeout_ns, int *exit_code)
{
    struct halo_loop *loop = &box->loop;
    struct halo_run run;
    bool stopped = false, is_left = false;
    int error;

    if (loop->state == HALO_STATE_ENDED && !loop->error && !box->exit_reported) {
        report_exit(box, exit_code); /* it ended while it was called */
        return 0;
    }
    (void)halo__interrupt_was_terminated(&box->machine.interrupt); /* at the end of a run before */
    error = start(box, &run, timeout_ns);
    if (error)
        return error;
    error = run_on(box, &stopped);
    if (halo__is_late(error) && is_told(box, error)) {
        error = run_in_grace(box, &run, &stopped, error, &is_left);
        if (is_left)
            return error;
    }
    if (halo__is_late(error) && loop->state == HALO_STATE_RUNNING) {
        say_late(box, error);
        if (error == HALO_ETIMEDOUT)
            halo__loop_end(loop, error);
    }
    halo__run_leave(box, &run);
    if (!error)
        report_exit(box, exit_code);
    return error;
}

int halo_run(struct halo_sandbox *box, int64_t timeout_ns, int *exit_code)
{
    const int error = halo__box_enter(box);

    return error ? error : halo__box_leave(box, run_to_end(box, timeout_ns, exit_code));
}
