/*
 * Fleets of sandboxes: fleet.h. A slot is made by open_slot, which reserves its place within the
 * limits first, and freed by drop_slot, which gives that back. In between it is idle, in the lists,
 * or taken.
 */
#define _GNU_SOURCE
#include "fleet.h"
#include "call/saved.h"
#include "deadline.h"
#include "snapshot.h"
#include <halo/metrics.h>
#include <halo/trace.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct halo_fleet {
    struct halo_fleet_lists lists;
    struct halo_options sandbox;
    int (*prepare)(struct halo_sandbox *box, void *context);
    void *context;
    uint32_t max;
    uint64_t memory_max;

    pthread_mutex_t lock;
    pthread_cond_t came;     /* an idle slot, or room for one */
    uint32_t waiting;        /* threads that look for it, for which it is to be told */
    uint32_t count;          /* of slots, and of such as are about to be opened */
    uint64_t memory;         /* of their guests */
    struct halo_words words; /* of the last failure */
    struct halo_fleet_stats stats;
    LIST_HEAD(, halo_fleet_slot) slots;
};

/* --- Opening and closing ---------------------------------------------------------------------- */

static int fail(struct halo_fleet *fleet, int error, const char *why)
{
    pthread_mutex_lock(&fleet->lock);
    (void)halo__fail(&fleet->words, error, "%s", why);
    pthread_mutex_unlock(&fleet->lock);
    return error;
}

static int init(struct halo_fleet *fleet)
{
    pthread_condattr_t attributes;
    int error = pthread_mutex_init(&fleet->lock, NULL);

    if (!error)
        error = pthread_condattr_init(&attributes);
    if (error)
        return HALO_EHOST;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (!error)
        error = pthread_cond_init(&fleet->came, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return error ? HALO_EHOST : 0;
}

int halo_fleet_open(struct halo_fleet **result, const struct halo_fleet_options *options)
{
    static const struct halo_fleet_options defaults = {.max = 0};
    struct halo_fleet *fleet;
    int error;

    *result = NULL;
    if (!options)
        options = &defaults;
    if (options->max > HALO_FLEET_MAX)
        return HALO_EINVAL;
    fleet = aligned_alloc(_Alignof(struct halo_fleet), sizeof(*fleet));
    if (!fleet)
        return HALO_ENOMEM;
    memset(fleet, 0, sizeof(*fleet));
    if (options->sandbox)
        fleet->sandbox = *options->sandbox;
    /* A snapshot has its own of what these point to. */
    fleet->sandbox.args = fleet->sandbox.env = NULL;
    fleet->sandbox.arg_count = fleet->sandbox.env_count = 0;
    fleet->prepare = options->prepare;
    fleet->context = options->context;
    fleet->max = options->max ? options->max : HALO_FLEET_DEFAULT;
    fleet->memory_max = options->memory_max ? options->memory_max : UINT64_MAX;
    halo__fleet_lists_init(&fleet->lists);
    LIST_INIT(&fleet->slots);
    error = init(fleet);
    if (error)
        free(fleet);
    else
        *result = fleet;
    return error;
}

/* Of which a worker may be inside: closing them is not possible yet. */
static uint32_t count_attached(struct halo_fleet *fleet)
{
    struct halo_fleet_slot *slot;
    uint32_t count = 0;

    LIST_FOREACH(slot, &fleet->slots, of_fleet)
    count += halo__box_is_attached(slot->box);
    return count;
}

int halo_fleet_close(struct halo_fleet *fleet)
{
    struct halo_fleet_slot *slot;
    uint32_t attached;

    if (!fleet)
        return 0;
    attached = count_attached(fleet);
    if (attached)
        return halo__fail(&fleet->words, HALO_EBUSY,
                          "an executor has %u of this fleet's sandboxes, which are to be detached "
                          "before it is closed",
                          attached);
    while ((slot = LIST_FIRST(&fleet->slots))) {
        LIST_REMOVE(slot, of_fleet);
        halo_close(slot->box);
        free(slot);
    }
    halo__fleet_lists_free(&fleet->lists);
    (void)pthread_cond_destroy(&fleet->came);
    (void)pthread_mutex_destroy(&fleet->lock);
    free(fleet);
    return 0;
}

/* --- Slots ------------------------------------------------------------------------------------ */

static void note_snapshot(struct halo_fleet_slot *slot, const struct halo_snapshot *snapshot)
{
    slot->serial = snapshot->image.serial;
    slot->len = snapshot->image.len;
    slot->transport = snapshot->transport;
}

/* A sandbox for a slot that has none: 0, or an error with words; then it has none still. */
static int open_box(struct halo_fleet_slot *slot, const struct halo_snapshot *snapshot)
{
    struct halo_fleet *const fleet = slot->fleet;
    struct halo_sandbox *box;
    int error = halo_open_snapshot(&box, snapshot, &fleet->sandbox);

    if (!error && fleet->prepare) {
        error = fleet->prepare(box, fleet->context);
        if (error && !box->words.text[0])
            (void)halo__fail(&box->words, error, "the fleet's prepare returned %d", error);
    }
    if (error) {
        (void)fail(fleet, error, halo_errmsg(box));
        halo_close(box);
        return error;
    }
    note_snapshot(slot, snapshot);
    slot->box = box;
    slot->log = box->log;
    slot->watch = box->loop.watch;
    slot->watch_context = box->loop.watch_context;
    slot->watch_interval = box->loop.watch_interval;
    slot->sampler = box->loop.sampler;
    slot->sample_context = box->loop.sample_context;
    slot->sample_interval = box->loop.sample_interval;
    slot->measures = box->calls.measures;
    slot->traces = box->port.trace != NULL;
    slot->provided = halo__calls_provided(&box->calls);
    box->fleet_slot = slot;
    return 0;
}

/* Tell those who wait for what has come. */
static void tell(struct halo_fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    pthread_cond_broadcast(&fleet->came); /* not all can use what one could */
    pthread_mutex_unlock(&fleet->lock);
}

/* A place that was reserved is free again. */
static void free_place(struct halo_fleet *fleet, uint64_t len)
{
    pthread_mutex_lock(&fleet->lock);
    fleet->count--;
    fleet->memory -= len;
    pthread_cond_broadcast(&fleet->came);
    pthread_mutex_unlock(&fleet->lock);
}

static void drop_slot(struct halo_fleet_slot *slot)
{
    struct halo_fleet *const fleet = slot->fleet;

    pthread_mutex_lock(&fleet->lock);
    LIST_REMOVE(slot, of_fleet);
    pthread_mutex_unlock(&fleet->lock);
    halo_close(slot->box);
    free_place(fleet, slot->len);
    free(slot);
}

/* In a place that was reserved for it. */
static int open_slot(struct halo_fleet *fleet, const struct halo_snapshot *snapshot,
                     struct halo_fleet_slot **result)
{
    struct halo_fleet_slot *const slot = calloc(1, sizeof(*slot));
    int error = slot ? 0 : fail(fleet, HALO_ENOMEM, "no memory for a sandbox of a fleet");

    if (slot) {
        slot->fleet = fleet;
        error = open_box(slot, snapshot);
    }
    if (error) {
        free(slot);
        free_place(fleet, snapshot->image.len);
        return error;
    }
    pthread_mutex_lock(&fleet->lock);
    LIST_INSERT_HEAD(&fleet->slots, slot, of_fleet);
    fleet->stats.opened++;
    pthread_mutex_unlock(&fleet->lock);
    *result = slot;
    return 0;
}

/* Reserve a place within the limits. Under the lock. */
static bool reserve_place(struct halo_fleet *fleet, uint64_t len)
{
    if (fleet->count >= fleet->max || fleet->memory_max - fleet->memory < len)
        return false;
    fleet->count++;
    fleet->memory += len;
    return true;
}

static void make_idle(struct halo_fleet_slot *slot, bool given)
{
    struct halo_fleet *const fleet = slot->fleet;

    halo__fleet_push(&fleet->lists, slot, given);
    /*
     * Sequentially consistent, as is the addition in find_or_open: either we see that somebody
     * waits, or who begins to wait after this looks into the lists once more and finds the slot
     * there.
     */
    if (__atomic_load_n(&fleet->waiting, __ATOMIC_SEQ_CST) > 0)
        tell(fleet);
}

/* --- Taking ----------------------------------------------------------------------------------- */

/* An idle one of another snapshot becomes one of this; or it is closed, to make room. */
static bool move_slot(struct halo_fleet_slot *slot, const struct halo_snapshot *snapshot)
{
    struct halo_fleet *const fleet = slot->fleet;
    const bool is_moved = slot->len == snapshot->image.len &&
                          slot->transport == snapshot->transport &&
                          halo_restore(slot->box, snapshot) == 0;

    if (is_moved)
        note_snapshot(slot, snapshot);
    else
        drop_slot(slot);
    pthread_mutex_lock(&fleet->lock);
    fleet->stats.moved += is_moved;
    fleet->stats.closed += !is_moved;
    pthread_mutex_unlock(&fleet->lock);
    return is_moved;
}

/* Wait until something has come: false where the deadline has passed. Under the lock. */
static bool wait_for_one(struct halo_fleet *fleet, int64_t deadline)
{
    const struct timespec until = {.tv_sec = deadline / 1000000000,
                                   .tv_nsec = deadline % 1000000000};

    fleet->stats.waits++;
    if (deadline == INT64_MAX)
        return pthread_cond_wait(&fleet->came, &fleet->lock) == 0;
    return pthread_cond_timedwait(&fleet->came, &fleet->lock, &until) == 0;
}

static int refuse(struct halo_fleet *fleet)
{
    fleet->stats.refused++;
    return halo__fail(&fleet->words, HALO_EFULL,
                      "%u sandboxes are taken, with %llu KiB of guest memory, and the fleet's "
                      "limits leave no room for another one: raise max or memory_max, or wait for "
                      "longer",
                      fleet->count, (unsigned long long)fleet->memory >> 10);
}

/*
 * Where none is ready: one that became so, or one of another snapshot, in *result; or a place for a
 * new one, and *result is NULL. The lock is held from a look at all of that until the wait, and not
 * while a sandbox is restored or closed.
 */
static int find(struct halo_fleet *fleet, const struct halo_snapshot *snapshot, int64_t deadline,
                bool may_wait, struct halo_fleet_slot **result)
{
    for (;;) {
        struct halo_fleet_slot *slot = halo__fleet_pop(&fleet->lists, snapshot->image.serial);
        bool is_moved;

        *result = slot;
        if (slot || reserve_place(fleet, snapshot->image.len))
            return 0;
        slot = halo__fleet_pop_old(&fleet->lists);
        if (slot) {
            pthread_mutex_unlock(&fleet->lock);
            is_moved = move_slot(slot, snapshot);
            pthread_mutex_lock(&fleet->lock);
            *result = slot;
            if (is_moved)
                return 0;
        } else if (!may_wait) {
            return refuse(fleet);
        } else {
            may_wait = wait_for_one(fleet, deadline);
        }
    }
}

static int find_or_open(struct halo_fleet *fleet, const struct halo_snapshot *snapshot,
                        int64_t timeout_ns, struct halo_fleet_slot **result)
{
    int error;

    pthread_mutex_lock(&fleet->lock);
    /* Pairs with the load in make_idle. */
    (void)__atomic_fetch_add(&fleet->waiting, 1, __ATOMIC_SEQ_CST);
    error = find(fleet, snapshot, halo__deadline(timeout_ns), timeout_ns > 0, result);
    (void)__atomic_fetch_sub(&fleet->waiting, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&fleet->lock);
    if (error || *result)
        return error;
    error = open_slot(fleet, snapshot, result);
    if (!error) {
        pthread_mutex_lock(&fleet->lock);
        fleet->stats.takes++; /* with a new one: halo_fleet_stats adds the others */
        pthread_mutex_unlock(&fleet->lock);
    }
    return error;
}

/* Somebody has killed an idle one: the kernel, where memory lacked. */
static int revive(struct halo_fleet_slot *slot, const struct halo_snapshot *snapshot)
{
    struct halo_fleet *const fleet = slot->fleet;
    const int error = halo_restore(slot->box, snapshot);

    if (error) {
        (void)fail(fleet, error, halo_errmsg(slot->box));
        drop_slot(slot);
    }
    pthread_mutex_lock(&fleet->lock);
    fleet->stats.replaced += !error;
    fleet->stats.lost += error != 0;
    pthread_mutex_unlock(&fleet->lock);
    return error;
}

int halo_fleet_take(struct halo_fleet *fleet, const struct halo_snapshot *snapshot,
                    int64_t timeout_ns, void *user, struct halo_sandbox **box)
{
    struct halo_fleet_slot *slot;
    int error;

    *box = NULL;
    if (!snapshot || timeout_ns < 0)
        return fail(fleet, HALO_EINVAL,
                    snapshot ? "the time limit is negative" : "the snapshot is NULL");
    if (snapshot->image.len > fleet->memory_max)
        return fail(fleet, HALO_EINVAL,
                    "the snapshot's guest has more memory than the fleet's memory_max");
    slot = halo__fleet_pop(&fleet->lists, snapshot->image.serial);
    error = slot ? 0 : find_or_open(fleet, snapshot, timeout_ns, &slot);
    if (!error && !halo__machine_is_there(&slot->box->machine))
        error = revive(slot, snapshot);
    if (error)
        return error;
    slot->snapshot = snapshot;
    slot->user = user;
    slot->is_taken = true;
    /* Its time goes on now, and what it waits for with it, and not since it was made. */
    halo__machine_take_time(&slot->box->machine);
    if (snapshot->wake)
        slot->box->loop.wake = halo__deadline(snapshot->wake);
    *box = slot->box;
    return 0;
}

int halo_fleet_warm(struct halo_fleet *fleet, const struct halo_snapshot *snapshot, uint32_t count)
{
    struct halo_fleet_slot *slot;
    int error = snapshot ? 0 : fail(fleet, HALO_EINVAL, "the snapshot is NULL");

    while (!error && halo__fleet_idle(&fleet->lists, snapshot->image.serial) < count) {
        pthread_mutex_lock(&fleet->lock);
        if (!reserve_place(fleet, snapshot->image.len))
            error = halo__fail(&fleet->words, HALO_EFULL,
                               "the fleet's limits leave no room for %u idle sandboxes", count);
        pthread_mutex_unlock(&fleet->lock);
        if (!error)
            error = open_slot(fleet, snapshot, &slot);
        if (!error)
            make_idle(slot, false);
    }
    return error;
}

/* --- Giving back ------------------------------------------------------------------------------ */

/* Another sandbox in its place: false where there could be none. */
static bool replace(struct halo_fleet_slot *slot)
{
    struct halo_fleet *const fleet = slot->fleet;
    int error;

    halo_close(slot->box);
    slot->box = NULL;
    error = open_box(slot, slot->snapshot);
    pthread_mutex_lock(&fleet->lock);
    if (error)
        fleet->stats.lost++;
    else
        fleet->stats.replaced++;
    pthread_mutex_unlock(&fleet->lock);
    return !error;
}

/* What a request has set for itself is as `prepare` left it: false where that cannot be. */
static bool put_back(const struct halo_fleet_slot *slot, struct halo_sandbox *box)
{
    box->log = slot->log;
    halo_watch(box, slot->watch_interval, slot->watch, slot->watch_context);
    if (halo_sample(box, slot->sample_interval, slot->sampler, slot->sample_context) ||
        halo_measure(box, slot->measures))
        return false;
    if (box->port.trace && !slot->traces && halo_trace_end(box))
        return false;
    return slot->traces == (box->port.trace != NULL) &&
           halo__calls_provided(&box->calls) == slot->provided;
}

/* Before its guest is another one, in whose memory a debugger would put back what was in this
 * one's. 0, or HALO_EBUSY, HALO_ESTATE: as halo_restore. */
static int drop_debugger(struct halo_sandbox *box)
{
    const int error = halo__box_enter(box);

    if (error)
        return error;
    if (box->loop.debug && box->run_depth == 0 && box->port.serving == 0) {
        halo__loop_stop(&box->loop);
        halo__debug_free(box->loop.debug);
        box->loop.debug = NULL;
    }
    return halo__box_leave(box, 0);
}

int halo_fleet_give(struct halo_fleet *fleet, struct halo_sandbox *box)
{
    struct halo_fleet_slot *const slot = box ? box->fleet_slot : NULL;
    bool is_usable;
    int error;

    if (!slot || slot->fleet != fleet)
        return fail(fleet, HALO_EINVAL, "this is no sandbox of this fleet");
    if (!slot->is_taken)
        return fail(fleet, HALO_ESTATE, "this sandbox was given back before");
    error = drop_debugger(box);
    if (!error)
        error = halo_restore(box, slot->snapshot);
    if (error == HALO_EBUSY || error == HALO_ESTATE)
        return error;
    if (error)
        (void)fail(fleet, error, halo_errmsg(box));
    is_usable = !error && put_back(slot, box);
    if (!is_usable)
        is_usable = replace(slot);
    slot->is_taken = false;
    slot->snapshot = NULL;
    slot->user = NULL;
    if (is_usable)
        make_idle(slot, true);
    else
        drop_slot(slot);
    return 0;
}

void *halo_fleet_user(const struct halo_sandbox *box)
{
    const struct halo_fleet_slot *const slot = box ? box->fleet_slot : NULL;

    return slot ? slot->user : NULL;
}

void halo_fleet_trim(struct halo_fleet *fleet, uint32_t idle_max)
{
    uint64_t ready, gives;

    while (halo__fleet_count(&fleet->lists, &ready, &gives) > idle_max) {
        struct halo_fleet_slot *const slot = halo__fleet_pop_old(&fleet->lists);

        if (!slot)
            return;
        drop_slot(slot);
        pthread_mutex_lock(&fleet->lock);
        fleet->stats.closed++;
        pthread_mutex_unlock(&fleet->lock);
    }
}

void halo_fleet_stats(struct halo_fleet *fleet, struct halo_fleet_stats *stats)
{
    uint64_t ready, gives;
    const uint32_t idle = halo__fleet_count(&fleet->lists, &ready, &gives);

    pthread_mutex_lock(&fleet->lock);
    *stats = fleet->stats;
    stats->memory = fleet->memory;
    stats->idle = idle;
    stats->taken = fleet->count > idle ? fleet->count - idle : 0;
    pthread_mutex_unlock(&fleet->lock);
    stats->ready = ready;
    stats->gives = gives;
    stats->takes += ready + stats->moved;
}

void halo_fleet_errmsg(struct halo_fleet *fleet, char *text, size_t len)
{
    if (len == 0)
        return;
    pthread_mutex_lock(&fleet->lock);
    (void)strncpy(text, fleet->words.text, len - 1);
    pthread_mutex_unlock(&fleet->lock);
    text[len - 1] = '\0';
}
