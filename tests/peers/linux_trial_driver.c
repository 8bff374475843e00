/* The driver's part of a trial: Linux's code, which gets chains composed at random. */
#include "linux_trial.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static uint32_t random_len(struct trial *t)
{
    if (once_in(t, 16))
        return 0;
    return 1 + roll(t, once_in(t, 32) ? SEGMENT_LONGEST : 64);
}

/* Spoil a request in one of the ways that the device refuses, each with one answer. */
static void spoil(struct trial *t, struct request *r)
{
    uint32_t bad = roll(t, r->readable + r->writable);
    struct peer_segment *segment = &r->segments[bad];
    unsigned char *mine = bad < r->readable ? out_area : in_area;
    unsigned char *other = bad < r->readable ? in_area : out_area;

    if (once_in(t, 4)) {
        for (uint32_t i = 0; i < r->readable + r->writable; i++)
            r->segments[i].len = 0;
        r->reject = HALO_REJECT_EMPTY_CHAIN;
        return;
    }
    segment->len += 2;
    r->reject = HALO_REJECT_RANGE;
    if (once_in(t, 3)) {
        segment->base = other + roll(t, AREA_LEN / 2);
        r->reject = HALO_REJECT_PERMISSION;
    } else if (once_in(t, 2)) {
        segment->base = elsewhere + roll(t, 1000);
    } else {
        segment->base = mine + AREA_LEN - 1;
    }
    r->where = (uintptr_t)segment->base;
}

static void compose(struct trial *t, struct request *r)
{
    uint64_t at = 0;

    do {
        r->readable = roll(t, PEER_SEGMENTS + 1);
        r->writable = roll(t, PEER_SEGMENTS + 1);
    } while (r->readable + r->writable == 0 || r->readable + r->writable > t->size);
    r->seed = next(t);
    r->reject = HALO_REJECT_NOT;
    r->written = 0;
    r->readable_len = r->writable_len = 0;

    for (uint32_t i = 0; i < r->readable + r->writable; i++) {
        bool writable = i >= r->readable;
        uint32_t k = r->slot * PEER_SEGMENTS + (writable ? i - r->readable : i);

        r->segments[i].base =
            (writable ? in_area : out_area) + (size_t)k * SEGMENT_STRIDE + roll(t, SEGMENT_SLACK);
        r->segments[i].len = random_len(t);
        *(writable ? &r->writable_len : &r->readable_len) += r->segments[i].len;
    }
    if (r->readable_len + r->writable_len == 0) {
        r->segments[0].len = 1;
        *(r->readable ? &r->readable_len : &r->writable_len) = 1;
    }
    if (once_in(t, 64)) {
        spoil(t, r);
        return;
    }
    for (uint32_t i = 0; i < r->readable; i++) {
        unsigned char *bytes = r->segments[i].base;

        for (uint32_t j = 0; j < r->segments[i].len; j++)
            bytes[j] = pattern(r->seed, at++);
    }
    for (uint32_t i = r->readable; i < r->readable + r->writable; i++)
        memset(r->segments[i].base, UNTOUCHED, r->segments[i].len);
}

static void kick(struct trial *t)
{
    t->batches++;
    if (!peer_driver_kick_prepare(&t->driver))
        return;
    if (t->never)
        trial_fail(t, "the driver kicks a device that asked for no kicks");
    t->kicks++;
    t->kick_pending = true;
}

static void driver_submit(struct trial *t)
{
    uint32_t batch = 1 + roll(t, once_in(t, 4) ? t->slots : 4), added = 0;

    while (added < batch && t->idle_count > 0 && t->submissions < t->quota) {
        struct request *r = t->idle[t->idle_count - 1];
        int error;

        compose(t, r);
        error = peer_driver_add(&t->driver, r->segments, r->readable, r->writable, r);
        if (error == -ENOSPC && peer_driver_room(&t->driver) < r->readable + r->writable)
            break;
        if (error)
            trial_fail(t, "the driver refuses a chain of %u: %s", r->readable + r->writable,
                       strerror(-error));
        t->idle_count--;
        r->state = SUBMITTED;
        push(&t->submitted, r);
        t->submissions++;
        added++;
        if (once_in(t, 8))
            trial_device_step(t); /* in the middle of a batch */
    }
    if (added > 0)
        kick(t);
}

static void check_reply(struct trial *t, const struct request *r, uint32_t len)
{
    uint64_t at = 0;

    if (len != r->written)
        trial_fail(t, "the driver is told of %u bytes, the device wrote %u", len, r->written);
    if (r->reject)
        return;
    for (uint32_t i = r->readable; i < r->readable + r->writable; i++) {
        const unsigned char *bytes = r->segments[i].base;

        for (uint32_t j = 0; j < r->segments[i].len; j++, at++) {
            if (bytes[j] != (at < len ? pattern(reply_seed(r), at) : UNTOUCHED))
                trial_fail(t, "byte %" PRIu64 " of a reply of %u is wrong", at, len);
        }
    }
}

static void driver_reap(struct trial *t, uint32_t most)
{
    for (uint32_t i = 0; i < most; i++) {
        uint32_t len = UINT32_MAX;
        struct request *r = peer_driver_get(&t->driver, &len);

        if (!r)
            break;
        if (r->state != COMPLETED || r != front(&t->completed))
            trial_fail(t, "the driver gets a request that is not the next completed one");
        t->completed.first++;
        check_reply(t, r, len);
        r->state = IDLE;
        t->idle[t->idle_count++] = r;
        t->reaped++;
    }
    if (peer_driver_is_broken(&t->driver))
        trial_fail(t, "the driver calls the queue broken");
}

void trial_driver_woken(void *context)
{
    struct trial *t = context;

    t->driver_asleep = false;
}

void trial_driver_step(struct trial *t)
{
    if (t->interrupt_pending && once_in(t, 2)) {
        t->interrupt_pending = false;
        peer_driver_interrupt(&t->driver);
    }
    if (t->driver_asleep)
        return;
    if (once_in(t, 2))
        peer_driver_disable_cb(&t->driver);
    driver_reap(t, once_in(t, 2) ? UINT32_MAX : roll(t, 4));
    for (uint32_t batches = roll(t, 3); batches > 0; batches--)
        driver_submit(t);
    if (outstanding(t) == 0 || (t->submissions < t->quota && !once_in(t, 3)))
        return;
    if (once_in(t, 2) ? peer_driver_enable_cb(&t->driver)
                      : peer_driver_enable_cb_delayed(&t->driver))
        t->driver_asleep = !once_in(t, 4); /* now and then it goes on with callbacks on */
}
