/*
 * A sandbox from the inside. Each part knows only those beneath it, and data goes one way:
 *
 *     machine/   what runs the guest          loop.c    machine and port in turn
 *     port.c     the host's end of the queues
 *     call/      a service: calls             wait.c    the only place that makes a caller wait,
 *     stream/    a service: streams                     and the only one that runs the guest,
 *                                                       beside turn.c, for an executor's worker
 *
 *     sandbox.c  the life of one, from these parts
 *     entry.c    what a program asks of it without waiting
 *
 * One thread uses a sandbox at a time. Nothing of what its guest wrote is to be trusted before the
 * part that takes it in has judged it. A guest's request:
 *
 *     wait.c      halo_run, halo_wait, …   one deadline; steps until something has come
 *     loop.c      halo__loop_step          backend->run: the guest, until its next exit
 *     port.c      halo__port_drain         descriptors and addresses judged, the header copied
 *     call/       service->take            by kind: the rest judged, served now or put into a list
 *     call/       service->serve           what has become possible
 *     port.c      halo__port_answer        into the guest's room; visible at the end of the drain
 *     loop.c                               the guest runs again, since something was answered
 */
#ifndef HALO_SRC_SANDBOX_H
#define HALO_SRC_SANDBOX_H

#include "call/call.h"
#include "log.h"
#include "loop.h"
#include "owner.h"
#include "signals.h"
#include "stream/stream.h"

struct halo_fleet_slot;

struct halo_sandbox {
    struct halo_words words;
    struct halo_owner owner;
    struct halo_machine machine;
    struct halo_port port;
    struct halo_loop loop;
    struct halo_calls calls;
    struct halo_streams streams;
    struct halo_picture *at_end; /* what was under way when the guest was ended, or NULL */
    struct halo_log log;
    uint64_t work_max;           /* bytes that calls may copy at one exit */
    uint32_t run_depth;          /* functions that run the guest, one inside the other */
    struct halo_signals signals; /* of the host's, for them */
    bool exit_reported;          /* halo_run has returned how it ended */
    uint64_t elapsed;            /* inside the functions that run the guest, in ticks */
    bool is_restored;            /* and has not run since: functions can be provided */
    uint64_t restores, restored_pages, compared_pages;
    struct halo_seat *seat;             /* executor.c's, or NULL */
    uint32_t trace_number;              /* of the last trace that was begun */
    struct halo_fleet_slot *fleet_slot; /* of a fleet: its own, or NULL */
};

/* A sandbox for a program, or for an image: halo_open. */
int halo__open(struct halo_sandbox **result, const struct halo_program *program,
               const struct halo_options *options);

/* The host's end of the queues, over the memory of the machine: again where that has changed. */
int halo__box_make_port(struct halo_sandbox *box);

/*
 * Let a guest that has a thread of its own come to its next wait, for so long, and stop it where it
 * does not: 0, or the error with which it has ended. Nothing where it stands still.
 */
#define HALO_SETTLE_NS 100000000
int halo__settle(struct halo_sandbox *box);

/* An executor has it, whose worker may be inside of it. In a fork there is no such. */
static inline bool halo__box_is_attached(const struct halo_sandbox *box)
{
    return box->seat && !halo__owner_is_fork(&box->owner);
}

/* Around whatever is asked of a sandbox: halo__owner_take, and back, with the result. */
static inline int halo__box_enter(struct halo_sandbox *box)
{
    return halo__owner_take(&box->owner, &box->words);
}

static inline int64_t halo__box_leave_wide(struct halo_sandbox *box, int64_t result)
{
    halo__owner_release(&box->owner);
    return result;
}

static inline int halo__box_leave(struct halo_sandbox *box, int result)
{
    halo__owner_release(&box->owner);
    return result;
}

#endif
