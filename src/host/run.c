/* Around what runs a guest: see run.h. */
#include "run.h"
#include "call/saved.h"
#include "port_saved.h"
#include "upcall.h"

/* Whether it is a signal that ends a run of the guest's, on this thread. */
static bool is_by_signal(const struct halo_sandbox *box)
{
    return box->machine.backend->ends_by_signal && !box->loop.runner.is_there;
}

/* Enter the guest until it has to leave at the latest. */
static int begin(struct halo_sandbox *box)
{
    const struct halo_loop *loop = &box->loop;
    const int64_t until = loop->deadline < loop->quantum ? loop->deadline : loop->quantum;

    if (loop->runner.is_there) /* which does so by itself */
        return 0;
    box->machine.upcalls = halo__upcall_is_asked_for(loop);
    box->signals.may_pend |=
        is_by_signal(box) &&
        (until != HALO_FOREVER || box->machine.counts_cpu || box->machine.sample_ns ||
         box->machine.is_debugged || box->machine.upcalls);
    return box->machine.backend->enter(&box->machine, until);
}

void halo__run_leave(struct halo_sandbox *box, const struct halo_run *run)
{
    const bool is_nested = --box->run_depth > 0;
    const int64_t held = box->loop.held_ns - run->held;
    const int64_t outer = run->outer > INT64_MAX - held ? INT64_MAX : run->outer + held;

    box->loop.quantum = run->quantum;
    box->loop.parks = run->parks;
    if (halo__owner_is_fork(&box->owner)) { /* nothing of the machine's is this process's */
        if (!is_nested)
            halo__signals_return(&box->signals);
        return;
    }
    if (is_nested && box->loop.deadline == outer)
        return;
    if (!box->loop.runner.is_there) /* which does so by itself */
        box->machine.backend->leave(&box->machine);
    box->loop.deadline = outer;
    if (is_nested) {
        (void)begin(box);
        return;
    }
    box->signals.may_pend |= is_by_signal(box) && box->machine.upcalls;
    box->signals.may_pend |= halo__interrupt_end(&box->machine.interrupt);
    halo__signals_return(&box->signals);
    halo__count(&box->elapsed, __builtin_ia32_rdtsc() - run->start);
}

int halo__run_enter(struct halo_sandbox *box, struct halo_run *run, int64_t deadline)
{
    int error;

    if (box->is_restored) {
        const char *missing = halo__calls_missing(&box->calls);

        if (missing)
            return halo__fail(&box->words, HALO_ENAME,
                              "%s: the restored guest imports it, and nobody provides it", missing);
        box->is_restored = false;
    }
    if (box->streams.lends)
        halo__direct_take_back(&box->streams);
    run->start = __builtin_ia32_rdtsc();
    run->outer = box->loop.deadline;
    run->held = box->loop.held_ns;
    run->quantum = box->loop.quantum;
    run->parks = box->loop.parks;
    if (box->run_depth > 0) {
        box->loop.quantum = HALO_FOREVER;
        box->loop.parks = false;
    }
    if (box->run_depth++ == 0) {
        halo__streams_retry(&box->streams);
        if (is_by_signal(box))
            halo__signals_block(&box->signals);
        halo__interrupt_begin(&box->machine.interrupt, is_by_signal(box));
    } else if (deadline >= run->outer) {
        return 0;
    } else if (!box->loop.runner.is_there) {
        box->machine.backend->leave(&box->machine);
    }
    box->loop.deadline = deadline;
    if (box->loop.runner.is_there) {
        box->loop.asked = run->start - box->loop.runner.patience.most; /* it is to be, at once */
        return 0;
    }
    error = begin(box);
    if (error)
        halo__run_leave(box, run);
    return error;
}

int halo__awaits(const struct halo_sandbox *box)
{
    const struct halo_loop *loop = &box->loop;
    const struct halo_port *port = &box->port;
    struct halo_under_way under_way;

    if (loop->state != HALO_STATE_RUNNING || loop->runner.has_guest || loop->is_inside ||
        port->guest == HALO_GUEST_RUNS || port->answered || port->has_more || port->serving > 0 ||
        loop->poller.urgent_count > 0 || halo__upcall_goes_on(loop))
        return 0;
    if (loop->wake && loop->wake <= halo__now())
        return 0;
    under_way = halo__port_under_way(port);
    if (halo__under_way_lost(&under_way) > 0)
        return 0;
    return (port->guest == HALO_GUEST_SERVES ? HALO_AWAITS_CALL : 0) |
           (under_way.waiting > 0 ? HALO_AWAITS_STREAM : 0) | (loop->wake ? HALO_AWAITS_TIME : 0);
}

int halo__stuck(struct halo_sandbox *box, const char *what)
{
    if (box->calls.kept)
        return halo__fail(&box->words, HALO_EDEADLOCK,
                          "the guest waits for the answer to a call that its host keeps");
    if (halo__port_needs_host(&box->port))
        return halo__fail(&box->words, HALO_EDEADLOCK,
                          "the guest waits for a stream whose other end is its host");
    if (box->port.serving > 0 && box->port.guest == HALO_GUEST_WAITS)
        return halo__fail(&box->words, HALO_EDEADLOCK,
                          "the guest waits for the function of its host's that waits here");
    (void)halo__port_blame(
        &box->port, &(struct halo_poison){.kind = HALO_POISON_WAIT, .queue = HALO_POISON_NO_QUEUE},
        what);
    return halo__loop_end(&box->loop, halo__fail(&box->words, HALO_EPOISONED, "%s", what));
}

int halo__late(struct halo_sandbox *box, int error, const char *who, const char *missing)
{
    const char *when = error == HALO_ETIMEDOUT ? "within the time limit" : "before halo_interrupt";
    const char *state = "the guest waits for its host";
    uint64_t rip = 0;

    if (box->loop.poller.again)
        state = box->streams.shortage;
    else if (box->loop.is_inside) {
        state = "the guest runs";
        rip = box->machine.backend->where(&box->machine);
    }
    if (!rip)
        return halo__fail(&box->words, error, "%s %s %s: %s", who, missing, when, state);
    return halo__fail(&box->words, error, "%s %s %s: %s, at 0x%llx", who, missing, when, state,
                      (unsigned long long)rip);
}
