/*
 * Around what runs a guest, for as long as that takes; and why it has not come to what it was run
 * for. For wait.c, and for turn.c.
 */
#ifndef HALO_SRC_RUN_H
#define HALO_SRC_RUN_H

#include "sandbox.h"
#include <halo/snapshot.h>

/*
 * Running may happen inside itself: a host's function calls the guest. The deadline is the earlier
 * of its own and that of what it is inside of.
 */
struct halo_run {
    int64_t outer;
    int64_t held;    /* loop.held_ns, when it began */
    uint64_t start;  /* in ticks of the time stamp counter */
    int64_t quantum; /* and what was so of the loop's, */
    bool parks;      /* which is not while it is nested: the worker's stack is in use */
};

/* 0, or an error: the guest cannot be run. */
int halo__run_enter(struct halo_sandbox *box, struct halo_run *run, int64_t deadline);
void halo__run_leave(struct halo_sandbox *box, const struct halo_run *run);

/* It has not come, and may come later. */
static inline bool halo__is_late(int error)
{
    return error == HALO_ETIMEDOUT || error == HALO_EINTERRUPTED;
}

/* What a guest waits for that stands at a wait where it can be kept: bits of enum halo_awaited.
 * 0: it does not, or its time has come. */
int halo__awaits(const struct halo_sandbox *box);

/*
 * The guest waits, and nothing can come of itself. Where it waits for what the program that runs it
 * has to do, that is no fault of the guest's.
 */
int halo__stuck(struct halo_sandbox *box, const char *what);

/* What has not come in time, or before the interrupt, and where the guest is meanwhile. */
int halo__late(struct halo_sandbox *box, int error, const char *who, const char *missing);

#define HALO_GUEST_KEEPS "the guest keeps a call, to answer it later, and waits to be called"

#endif
