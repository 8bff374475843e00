/*
 * Fleets: sandboxes that are ready, for a fresh one for each request, on any number of threads.
 *
 *     halo_fleet_open(&fleet, &(struct halo_fleet_options){.max = 64});
 *     halo_fleet_warm(fleet, snapshot, 8);
 *     for (;;) {                                           on each of any number of threads
 *         halo_fleet_take(fleet, snapshot, HALO_FOREVER, request, &box);
 *         halo_call(box, &future, score, HALO_FOREVER, …);   whatever that does to the sandbox
 *         halo_fleet_give(fleet, box);                       is undone here
 *     }
 *
 * A sandbox that is taken stands where its snapshot does, and nothing of what was in it before
 * reaches its guest (halo_restore). It is given back in any state: used, ended, faulted, poisoned,
 * stopped at a time limit; what it had under way is over then, and its streams are let go.
 *
 * It is restored when it is given, for the same snapshot, and not when it is next taken: so taking
 * one is taking it from a list, futures and ends of the one who gives it are done with while they
 * still exist, nothing of a request is kept in memory that nobody needs, and a machine that must be
 * replaced is replaced while nobody waits for it. Only one that is taken for another snapshot than
 * its last is restored once more.
 *
 * Any thread may use a fleet, and any number at a time. Idle sandboxes are kept in several lists,
 * by the thread that gave them, so that threads do not wait for each other; one finds its own last
 * sandbox first, whose memory its processor still has. A fleet is of the process that opened it,
 * and no fork may use it.
 */
#ifndef HALO_FLEET_H
#define HALO_FLEET_H

#include <halo/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct halo_fleet;

#define HALO_FLEET_DEFAULT 64u
#define HALO_FLEET_MAX 65536u

/* All zero is the default. Nothing that it points to is kept, but for `context`. */
struct halo_fleet_options {
    const struct halo_options *sandbox; /* for each, as halo_open_snapshot takes them, or NULL */
    uint32_t max; /* sandboxes at a time, taken and idle: 1 to HALO_FLEET_MAX; 0 is the default */
    /*
     * Bytes of guest memory that all of them have together, taken and idle, each with all that its
     * guest could ever touch; 0: no limit but that. What the host holds beside that for each is
     * bounded by halo_options.held_max.
     */
    uint64_t memory_max;
    /*
     * Called for each sandbox that was opened, once, on the thread for which it was, several at a
     * time: to provide the functions that its guests import (halo_provide), and to say who hears
     * its log. It must not run it, nor use the fleet. An error, below 0, ends the opening, and is
     * returned to whom it was for.
     */
    int (*prepare)(struct halo_sandbox *box, void *context);
    void *context;
};

/*
 * Make a fleet, with nothing in it. Returns 0; HALO_EINVAL for a limit that is out of its range;
 * HALO_ENOMEM or HALO_EHOST; then *fleet is NULL.
 */
int halo_fleet_open(struct halo_fleet **fleet, const struct halo_fleet_options *options);

/*
 * Close all its sandboxes, taken ones too, and free it. No thread is inside of the fleet or of one
 * of its sandboxes, then or later. Returns 0; HALO_EBUSY, and nothing happens, while an executor
 * has one of them: halo_executor_detach comes first, and halo_fleet_errmsg tells how many they are.
 * NULL is fine.
 */
int halo_fleet_close(struct halo_fleet *fleet);

/*
 * Have at least `count` idle sandboxes of this snapshot: they are opened now, one after the other.
 * Returns 0; HALO_EFULL where a limit of the fleet leaves room for fewer, and those are there; or
 * what halo_open_snapshot or `prepare` returns.
 */
int halo_fleet_warm(struct halo_fleet *fleet, const struct halo_snapshot *snapshot, uint32_t count);

/*
 * Take a sandbox that stands where the snapshot does: an idle one, else a new one, else an idle one
 * of another snapshot, which is restored, or closed where its memory has another size. Where all
 * are taken, wait for one to be given, for at most `timeout_ns` nanoseconds; 0 does not wait.
 * Opening or restoring one is no part of that, and is done for as long as it takes. Those who wait
 * are served in no order. `user` is what halo_fleet_user tells of it.
 *
 * The snapshot lives until all sandboxes that were taken of it are given back. The sandbox is used
 * as any other, by one thread at a time, also attached to an executor, but for halo_close: it is
 * the fleet's. Its counters (halo_stats) go on from one to the next.
 *
 * Returns 0, or
 *   HALO_EINVAL  the snapshot is NULL, the time is negative, or the snapshot's guest has more
 *                memory than memory_max
 *   HALO_EFULL   the limits were reached, and none was given back in time
 * or what halo_open_snapshot, halo_restore or `prepare` returns; then *box is NULL, and
 * halo_fleet_errmsg has words.
 */
int halo_fleet_take(struct halo_fleet *fleet, const struct halo_snapshot *snapshot,
                    int64_t timeout_ns, void *user, struct halo_sandbox **box);

/*
 * Give it back, from any thread, in any state. Its calls that were in flight are over, with
 * HALO_ESTATE; who hears its log, watches, samples and measures it is as `prepare` left it, a trace
 * that was begun since is ended, and a debugger is let go. One that cannot be restored, was given a
 * function that `prepare` did not provide, or had its trace ended, is closed, and another one
 * opened in its place; where that fails there is one less, until it is needed (halo_fleet_stats
 * counts both).
 *
 * Returns 0, or HALO_EINVAL for NULL and what is not of this fleet; HALO_ESTATE where it was given
 * before, or from inside of a function of its host's; HALO_EBUSY while another thread is inside of
 * it, or an executor has it (halo_executor_detach): then it is taken as before.
 */
int halo_fleet_give(struct halo_fleet *fleet, struct halo_sandbox *box);

/*
 * What halo_fleet_take was told for a sandbox that is taken; NULL for any other. In a function of
 * the host's: halo_fleet_user(halo_call_sandbox(call)) tells for whom it is called.
 */
void *halo_fleet_user(const struct halo_sandbox *box);

/* Close idle sandboxes, until there are at most `idle_max`. Any thread. */
void halo_fleet_trim(struct halo_fleet *fleet, uint32_t idle_max);

/* Counters since halo_fleet_open, but for the first three, which are of this moment. */
struct halo_fleet_stats {
    uint32_t idle, taken;
    uint64_t memory; /* bytes of guest memory that they have, as memory_max counts them */
    uint64_t takes;  /* halo_fleet_take that had one */
    uint64_t ready;  /* of them, those that took an idle one as it was, */
    uint64_t opened; /* and those for which one was opened; what was warmed up counts here, too */
    uint64_t moved;  /* and those that took an idle one of another snapshot */
    uint64_t gives;
    uint64_t
        replaced;  /* were closed as they were given, or had died idle, and others came for them */
    uint64_t lost; /* the same, but there could be no other */
    uint64_t closed;  /* to make room for others, or by halo_fleet_trim */
    uint64_t waits;   /* times that one had to be waited for */
    uint64_t refused; /* halo_fleet_take that had none */
};

/* Any thread. Idle ones that are taken or given meanwhile may be counted, or not. */
void halo_fleet_stats(struct halo_fleet *fleet, struct halo_fleet_stats *stats);

/*
 * The words of the last failure in this fleet, of whatever thread: also of a sandbox that could not
 * be restored or opened again when it was given. They are cut at `len`, and end with a zero byte;
 * "" where nothing has failed. Any thread.
 */
void halo_fleet_errmsg(struct halo_fleet *fleet, char *text, size_t len);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
