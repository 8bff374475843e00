/* One turn of a guest's among others: see turn.h. */
#include "turn.h"
#include "call/keep.h"
#include "run.h"

static bool has_come(const struct halo_sandbox *box, const struct halo_future *future)
{
    return future ? future->done : !halo__calls_pending(&box->calls);
}

static int step(struct halo_sandbox *box, const struct halo_future *future)
{
    const int error = halo__loop_step(&box->loop);

    if (error != HALO_STUCK)
        return error;
    if (has_come(box, future)) /* it could not be sent */
        return 0;
    if (box->calls.kept) { /* it waits for what somebody says later */
        box->loop.park_until = box->loop.deadline;
        return HALO_PARKED;
    }
    if (box->port.guest == HALO_GUEST_SERVES && box->port.keeps)
        return halo__fail(&box->words, HALO_EDEADLOCK, "%s", HALO_GUEST_KEEPS);
    return halo__stuck(box, "the guest waits, but has not answered a call");
}

int halo__turn(struct halo_sandbox *box, const struct halo_future *future, int64_t deadline,
               int64_t quantum, int64_t *until)
{
    struct halo_loop *loop = &box->loop;
    struct halo_run run;
    int error;

    loop->parks = true;
    loop->quantum = quantum;
    error = halo__run_enter(box, &run, deadline);
    if (!error) {
        (void)halo__kept_answer_said(&box->calls);
        halo__port_publish(&box->port);
        box->port.waits++;
        while (!error && loop->state == HALO_STATE_RUNNING && !has_come(box, future))
            error = step(box, future);
        box->port.waits--;
        halo__run_leave(box, &run);
    }
    loop->parks = false;
    loop->quantum = HALO_FOREVER;
    *until = loop->park_until;
    if (halo__is_late(error))
        error = halo__late(box, error, "a call of the executor's", "was not answered");
    if (!future || !future->done)
        return error;
    if (box->calls.reported < box->calls.answered)
        box->calls.reported++; /* as halo_wait */
    return future->error;
}
