/*
 * One trial: Linux's packed driver against Halo's device, in one thread.
 *
 * The driver composes chains at random and sleeps when it has nothing to do; so does the device.
 * Who sleeps looks at the ring again only when the other side's rules made that one notify. Both
 * sides, and the delivery of notifications, are stepped at random from a seed: a wake-up that was
 * lost is seen as a state in which nobody will ever run, not as a time that passed.
 */
#include "linux_trial.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const mode_names[] = {"event idx", "plain",
                                         "plain, device armed at a descriptor"};

void __attribute__((noreturn, format(printf, 2, 3)))
trial_fail(struct trial *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->why, sizeof(t->why), format, args);
    va_end(args);
    longjmp(t->out, 1);
}

static void open_queue(struct trial *t)
{
    uint32_t features = t->mode == MODE_EVENT_IDX ? PEER_EVENT_IDX : 0;

    if (!peer_driver_open(&t->driver, t->size, features, trial_driver_woken, t))
        trial_fail(t, "the driver refuses a ring of %u", t->size);
    if (t->driver.size != t->size)
        trial_fail(t, "the driver made a ring of %u instead", t->driver.size);
    if (halo_ring_place_at(&t->memory, t->size, (struct halo_gpa){t->driver.desc},
                           (struct halo_gpa){t->driver.driver_event},
                           (struct halo_gpa){t->driver.device_event}, &t->place))
        trial_fail(t, "Halo refuses the driver's place");
    if (halo_device_init(&t->device, &t->place, &t->memory, t->chains, UINT32_MAX))
        trial_fail(t, "Halo refuses the ring");
    t->driver_asleep = t->interrupt_pending = t->kick_pending = t->never = false;
    t->device_sleep = once_in(t, 2) ? AWAKE : ASLEEP; /* a fresh event word asks for all kicks */
    t->unpublished = t->unasked = t->held_count = 0;
    t->submitted.first = t->submitted.end;
    t->completed.first = t->completed.end;
}

/* In the middle of whatever goes on. */
static void reset(struct trial *t)
{
    struct halo_token stale[STALE_TOKENS];
    uint32_t stale_count = 0, detached = 0, expected = outstanding(t);
    struct request *r;

    while (stale_count < STALE_TOKENS && stale_count < t->held_count) {
        stale[stale_count] = t->held[stale_count]->token;
        stale_count++;
    }
    while ((r = peer_driver_detach(&t->driver))) {
        if (r->state == IDLE)
            trial_fail(t, "the driver gives back a request that it does not have");
        r->state = IDLE;
        t->idle[t->idle_count++] = r;
        detached++;
    }
    if (detached != expected)
        trial_fail(t, "the driver gives back %u requests of %u", detached, expected);
    peer_driver_close(&t->driver);
    open_queue(t);
    for (uint32_t i = 0; i < stale_count; i++) {
        if (halo_device_complete(&t->device, stale[i], 0) != HALO_ESTALE)
            trial_fail(t, "a token outlives a reset");
    }
    t->resets++;
}

/* Nobody runs, nobody will be woken, and there is work to do. */
static bool is_stalled(const struct trial *t)
{
    return t->driver_asleep && !t->interrupt_pending && t->device_sleep == ASLEEP &&
           !t->kick_pending && t->held_count == 0 && t->unpublished == 0 && t->unasked == 0;
}

static void run(struct trial *t)
{
    uint64_t reset_every = t->quota / 8 + 1, next_reset = reset_every;

    t->slots = t->size < REQUESTS_MAX ? t->size : REQUESTS_MAX;
    t->chains = calloc(t->size, sizeof(*t->chains));
    t->requests = calloc(t->slots, sizeof(*t->requests));
    for (uint32_t i = 0; i < t->slots; i++) {
        t->requests[i].slot = i;
        t->idle[t->idle_count++] = &t->requests[i];
    }
    t->regions[0] = (struct halo_region){(uintptr_t)out_area, AREA_LEN, halo_shm_share(out_area),
                                         HALO_MAY_READ};
    t->regions[1] =
        (struct halo_region){(uintptr_t)in_area, AREA_LEN, halo_shm_share(in_area), HALO_MAY_WRITE};
    t->regions[2] =
        (struct halo_region){(uintptr_t)queue_area, QUEUE_LEN, halo_shm_share(queue_area),
                             HALO_MAY_READ | HALO_MAY_WRITE};
    t->memory = (struct halo_memory){t->regions, 3};
    open_queue(t);

    for (uint64_t steps = 0; t->submissions < t->quota || outstanding(t) > 0; steps++) {
        if (t->submissions >= next_reset) {
            next_reset += reset_every;
            reset(t);
        }
        if (once_in(t, 2))
            trial_driver_step(t);
        else
            trial_device_step(t);
        if (is_stalled(t))
            trial_fail(t, "both sides sleep with %u requests in the ring, %u of them completed",
                       outstanding(t), (uint32_t)(t->completed.end - t->completed.first));
        if (steps > 1000 * t->quota + 1000000)
            trial_fail(t, "no end in sight");
    }
    if (peer_driver_room(&t->driver) != t->size)
        trial_fail(t, "the driver is left with room for %u of %u", peer_driver_room(&t->driver),
                   t->size);
    peer_driver_close(&t->driver);
}

static bool ends_well(struct trial *t)
{
    if (setjmp(t->out))
        return false;
    run(t);
    return true;
}

bool trial(uint32_t size, enum mode mode, uint64_t quota, uint64_t seed)
{
    struct trial *t = calloc(1, sizeof(*t));
    bool ok;

    t->size = size;
    t->mode = mode;
    t->quota = quota;
    t->random = seed * 1000003 + size * 8ull + (uint64_t)mode + 1;
    ok = ends_well(t);
    if (ok) {
        printf("ok: ring of %u, %s: %" PRIu64 " requests, %" PRIu64 " rejected, %" PRIu64
               " resets; %" PRIu64 " kicks for %" PRIu64 " batches, %" PRIu64
               " interrupts for %" PRIu64 "\n",
               size, mode_names[mode], t->submissions, t->rejected, t->resets, t->kicks, t->batches,
               t->interrupts, t->asked);
    } else {
        printf("FAILED: ring of %u, %s, after %" PRIu64 " requests: %s\n", size, mode_names[mode],
               t->submissions, t->why);
        peer_pages_forget(); /* the queue stays behind */
    }
    fflush(stdout);
    free(t->chains);
    free(t->requests);
    free(t);
    return ok;
}
