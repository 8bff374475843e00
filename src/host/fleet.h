/*
 * A fleet from the inside. A slot is a sandbox of it. It is in a list, or belongs to the one thread
 * that has taken it out: so nothing of a slot needs a lock of its own.
 *
 *     fleet_lists.c  idle slots: lists by thread, each with a lock that is held for one step
 *     fleet.c        the fleet: limits, waiting, opening and restoring, none of it inside a lock
 *                    of the lists, nor inside that of the fleet
 *
 * The fleet's lock is taken by those who found no idle slot, and by those who give one while
 * somebody waits. A lock of the lists may be taken inside of it, and never the other way.
 */
#ifndef HALO_SRC_FLEET_H
#define HALO_SRC_FLEET_H

#include <halo/fleet.h>
#include <halo/inside.h>
#include "sandbox.h"
#include <pthread.h>
#include <sys/queue.h>

struct halo_fleet_slot {
    struct halo_fleet *fleet;
    struct halo_sandbox *box;
    /* Of the snapshot that it was last restored from; which may be freed while it is idle. */
    uint64_t serial, len;
    enum halo_transport transport;
    /* As `prepare` left it. */
    struct halo_log log;
    void (*watch)(struct halo_sandbox *box, void *context);
    void *watch_context;
    int64_t watch_interval;
    halo_sampler *sampler;
    void *sample_context;
    int64_t sample_interval;
    bool measures, traces;
    uint32_t provided; /* functions */
    /* While it is taken. */
    bool is_taken;
    const struct halo_snapshot *snapshot;
    void *user;

    LIST_ENTRY(halo_fleet_slot) of_fleet;
    /* While it is idle: among all of its list, and with those of its snapshot, the newest on top.
     */
    TAILQ_ENTRY(halo_fleet_slot) of_list;
    struct halo_fleet_slot *above, *below;
    LIST_ENTRY(halo_fleet_slot) of_bucket; /* where it is on top */
};

#define HALO_FLEET_LISTS 16u
#define HALO_FLEET_BUCKETS 64u

/* A cache line apart from the next one: threads with other lists do not meet. */
struct halo_fleet_list {
    pthread_mutex_t lock;
    TAILQ_HEAD(halo_fleet_all, halo_fleet_slot) all; /* the newest first */
    LIST_HEAD(halo_fleet_bucket, halo_fleet_slot) tops[HALO_FLEET_BUCKETS];
    uint32_t count;
    uint64_t ready, gives;
} __attribute__((aligned(128)));

struct halo_fleet_lists {
    struct halo_fleet_list each[HALO_FLEET_LISTS];
};

void halo__fleet_lists_init(struct halo_fleet_lists *lists);
void halo__fleet_lists_free(struct halo_fleet_lists *lists);

/* Put an idle slot into the calling thread's list; `given`: it counts as such. */
void halo__fleet_push(struct halo_fleet_lists *lists, struct halo_fleet_slot *slot, bool given);

/* Take one of this snapshot, of the calling thread's list or of another, or NULL. */
struct halo_fleet_slot *halo__fleet_pop(struct halo_fleet_lists *lists, uint64_t serial);

/* Take one that was idle for long, or NULL where none is. */
struct halo_fleet_slot *halo__fleet_pop_old(struct halo_fleet_lists *lists);

/* How many of this snapshot are idle, and how many in all. */
uint32_t halo__fleet_idle(struct halo_fleet_lists *lists, uint64_t serial);
uint32_t halo__fleet_count(struct halo_fleet_lists *lists, uint64_t *ready, uint64_t *gives);

#endif
