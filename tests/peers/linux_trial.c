/*
 * One trial: Linux's packed driver against Halo's device, in one thread.
 *
 * The driver composes chains at random and sleeps when it has nothing to do; so does the device.
 * Who sleeps looks at the ring again only when the other side's rules made that one notify. Both
 * sides, and the delivery of notifications, are stepped at random from a seed: a wake-up that was
 * lost is seen as a state in which nobody will ever run, not as a time that passed.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <halo/device.h>

#include "linux_judge.h"

#define SEGMENT_LONGEST 900u
#define SEGMENT_SLACK 64u

#define UNTOUCHED 0xee
#define STALE_TOKENS 16u

static const char *const mode_names[] = {"event idx", "plain",
                                         "plain, device armed at a descriptor"};

enum state {
    IDLE,
    SUBMITTED,
    TAKEN,
    COMPLETED,
};

struct request {
    uint32_t slot; /* its part of out_area and in_area */
    enum state state;
    uint64_t seed;
    struct peer_segment segments[SPANS];
    uint32_t readable, writable; /* segments of each kind */
    uint64_t readable_len, writable_len;
    enum halo_reject reject; /* what the device must say of it */
    uint64_t where;
    struct halo_token token;
    struct halo_span spans[SPANS]; /* as the device got them */
    uint32_t readable_count, writable_count;
    uint32_t written;
};

struct fifo {
    struct request *entries[REQUESTS_MAX];
    uint64_t first, end;
};

enum sleep {
    AWAKE,
    ABOUT_TO_ARM, /* has found nothing */
    ASLEEP,
};

struct trial {
    uint32_t size;
    enum mode mode;
    uint64_t random;
    uint64_t quota;
    jmp_buf out;
    char why[256];

    struct peer_driver driver;
    bool driver_asleep, interrupt_pending;
    struct request *requests;
    struct request *idle[REQUESTS_MAX];
    uint32_t idle_count, slots;
    struct fifo submitted; /* and not yet taken */
    struct fifo completed; /* and not yet reaped */

    struct halo_device device;
    struct halo_ring_place place;
    struct halo_region regions[3];
    struct halo_memory memory;
    struct halo_device_chain *chains;
    enum sleep device_sleep;
    bool kick_pending, never;
    struct request *held[REQUESTS_MAX];
    uint32_t held_count, unpublished, unasked;

    uint64_t submissions, reaped, rejected, resets, batches, kicks, asked, interrupts;
};

static void __attribute__((noreturn, format(printf, 2, 3)))
fail(struct trial *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(t->why, sizeof(t->why), format, args);
    va_end(args);
    longjmp(t->out, 1);
}

static uint64_t next(struct trial *t)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random * 0x2545f4914f6cdd1dull;
}

/* 0 to below - 1 */
static uint32_t roll(struct trial *t, uint32_t below)
{
    return (uint32_t)((next(t) >> 32) * below >> 32);
}

static bool once_in(struct trial *t, uint32_t times)
{
    return roll(t, times) == 0;
}

static void push(struct fifo *fifo, struct request *request)
{
    fifo->entries[fifo->end++ % REQUESTS_MAX] = request;
}

static struct request *front(const struct fifo *fifo)
{
    return fifo->first == fifo->end ? NULL : fifo->entries[fifo->first % REQUESTS_MAX];
}

static uint32_t outstanding(const struct trial *t)
{
    return t->slots - t->idle_count;
}

/* Byte `i` of what a request carries; a reply is the same of another seed. */
static unsigned char pattern(uint64_t seed, uint64_t i)
{
    return (unsigned char)((seed >> i % 8 * 8) + i);
}

static uint64_t reply_seed(const struct request *request)
{
    return ~request->seed * 0x9e3779b97f4a7c15ull;
}

/* The driver's part. */

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

static void device_step(struct trial *t);

static void kick(struct trial *t)
{
    t->batches++;
    if (!peer_driver_kick_prepare(&t->driver))
        return;
    if (t->never)
        fail(t, "the driver kicks a device that asked for no kicks");
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
            fail(t, "the driver refuses a chain of %u: %s", r->readable + r->writable,
                 strerror(-error));
        t->idle_count--;
        r->state = SUBMITTED;
        push(&t->submitted, r);
        t->submissions++;
        added++;
        if (once_in(t, 8))
            device_step(t); /* in the middle of a batch */
    }
    if (added > 0)
        kick(t);
}

static void check_reply(struct trial *t, const struct request *r, uint32_t len)
{
    uint64_t at = 0;

    if (len != r->written)
        fail(t, "the driver is told of %u bytes, the device wrote %u", len, r->written);
    if (r->reject)
        return;
    for (uint32_t i = r->readable; i < r->readable + r->writable; i++) {
        const unsigned char *bytes = r->segments[i].base;

        for (uint32_t j = 0; j < r->segments[i].len; j++, at++) {
            if (bytes[j] != (at < len ? pattern(reply_seed(r), at) : UNTOUCHED))
                fail(t, "byte %" PRIu64 " of a reply of %u is wrong", at, len);
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
            fail(t, "the driver gets a request that is not the next completed one");
        t->completed.first++;
        check_reply(t, r, len);
        r->state = IDLE;
        t->idle[t->idle_count++] = r;
        t->reaped++;
    }
    if (peer_driver_is_broken(&t->driver))
        fail(t, "the driver calls the queue broken");
}

static void driver_woken(void *context)
{
    struct trial *t = context;

    t->driver_asleep = false;
}

static void driver_step(struct trial *t)
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

/* The device's part. */

static void check_spans(struct trial *t, const struct request *r, const struct halo_chain *chain)
{
    uint32_t span = 0;
    uint64_t at = 0;

    if (chain->slots != r->readable + r->writable || chain->readable_len != r->readable_len ||
        chain->writable_len != r->writable_len)
        fail(t, "the device sees a chain of other lengths");
    for (uint32_t i = 0; i < r->readable + r->writable; i++) {
        unsigned char bytes[SEGMENT_LONGEST];

        if (r->segments[i].len == 0)
            continue;
        if (halo_shm_expose(r->spans[span].base) != r->segments[i].base ||
            r->spans[span].len != r->segments[i].len)
            fail(t, "the device sees another segment %u", i);
        if (i < r->readable) {
            halo_shm_copy_in(bytes, r->spans[span].base, r->spans[span].len);
            for (uint32_t j = 0; j < r->spans[span].len; j++) {
                if (bytes[j] != pattern(r->seed, at++))
                    fail(t, "byte %" PRIu64 " of a request is wrong", at - 1);
            }
        }
        span++;
    }
    if (chain->readable_count + chain->writable_count != span)
        fail(t, "the device sees %u spans of %u", chain->readable_count + chain->writable_count,
             span);
}

/* One poll. Whatever is there must be the request that was submitted next. */
static bool device_take(struct trial *t)
{
    struct halo_chain chain;
    struct halo_span spans[SPANS];
    struct request *r = front(&t->submitted);
    int got = halo_device_poll(&t->device, &chain, spans, SPANS);

    if (got == 0)
        return false;
    if (got == HALO_EBROKEN)
        fail(t, "the device calls the queue broken: %s in slot %u",
             halo_broken_name(t->device.violation.reason), t->device.violation.slot);
    if (!r)
        fail(t, "the device takes a chain that nobody submitted");

    if (got == HALO_EREJECT) {
        if (chain.reject != r->reject ||
            chain.bad_addr.value != (r->reject == HALO_REJECT_EMPTY_CHAIN ? 0 : r->where))
            fail(t, "the device rejects a chain: %s, not %s", halo_reject_name(chain.reject),
                 halo_reject_name(r->reject));
        t->submitted.first++;
        r->state = COMPLETED;
        push(&t->completed, r);
        t->unpublished++;
        t->rejected++;
        return true;
    }
    if (r->reject)
        fail(t, "the device accepts a chain that it must reject: %s", halo_reject_name(r->reject));
    if (once_in(t, 32)) {
        if (halo_device_rewind(&t->device, chain.token))
            fail(t, "the device cannot rewind");
        return true;
    }
    t->submitted.first++;
    r->state = TAKEN;
    r->token = chain.token;
    r->readable_count = chain.readable_count;
    r->writable_count = chain.writable_count;
    memcpy(r->spans, spans, sizeof(spans));
    check_spans(t, r, &chain);
    t->held[t->held_count++] = r;
    return true;
}

static void device_complete(struct trial *t)
{
    uint32_t pick = roll(t, t->held_count);
    struct request *r = t->held[pick];
    uint64_t at = 0;

    t->held[pick] = t->held[--t->held_count];
    r->written = once_in(t, 4) ? (uint32_t)r->writable_len : roll(t, (uint32_t)r->writable_len + 1);
    for (uint32_t i = r->readable_count; i < r->readable_count + r->writable_count; i++) {
        unsigned char bytes[SEGMENT_LONGEST];
        uint32_t len = (uint32_t)r->spans[i].len;

        if (len > r->written - at)
            len = r->written - (uint32_t)at;
        for (uint32_t j = 0; j < len; j++)
            bytes[j] = pattern(reply_seed(r), at++);
        halo_shm_copy_out(r->spans[i].base, bytes, len);
    }
    if (halo_device_complete(&t->device, r->token, (uint32_t)r->writable_len + 1) != HALO_EINVAL)
        fail(t, "the device may write more than there is room for");
    if (halo_device_complete(&t->device, r->token, r->written))
        fail(t, "the device cannot complete");
    if (halo_device_complete(&t->device, r->token, r->written) != HALO_ESTALE)
        fail(t, "the device may complete twice");
    r->state = COMPLETED;
    push(&t->completed, r);
    t->unpublished++;
}

/*
 * Ask for kicks and look once more. Where EVENT_IDX was not negotiated the one word that a device
 * may use for it is ALWAYS, which halo_device_arm does not write.
 */
static bool device_arm(struct trial *t)
{
    t->never = false;
    if (t->mode != MODE_PLAIN)
        return halo_device_arm(&t->device);
    halo_shm_store_event(t->place.device_event, HALO_EVENT_ALWAYS << 16);
    halo_shm_fence();
    return device_take(t);
}

static void device_publish(struct trial *t)
{
    halo_device_publish(&t->device);
    t->unasked += t->unpublished;
    t->unpublished = 0;
}

static void device_ask(struct trial *t)
{
    uint32_t flags = halo_shm_load_event(t->place.driver_event) >> 16;

    if (t->mode != MODE_EVENT_IDX && flags > HALO_EVENT_NEVER)
        fail(t, "the driver writes event flags %u without EVENT_IDX", flags);
    t->unasked = 0;
    t->asked++;
    if (!halo_device_should_notify(&t->device))
        return;
    if (flags == HALO_EVENT_NEVER)
        fail(t, "the device interrupts a driver that asked for no interrupts");
    t->interrupts++;
    t->interrupt_pending = true;
}

static void device_step(struct trial *t)
{
    if (t->kick_pending && once_in(t, 2)) {
        t->kick_pending = false;
        t->device_sleep = AWAKE;
        if (once_in(t, 2)) {
            halo_device_disarm(&t->device);
            t->never = true;
        }
    }
    if (t->device_sleep == ABOUT_TO_ARM) {
        t->device_sleep = device_arm(t) ? AWAKE : ASLEEP;
    } else if (t->device_sleep == AWAKE) {
        uint32_t most = once_in(t, 2) ? UINT32_MAX : 1 + roll(t, 4), taken = 0;

        while (taken < most && device_take(t))
            taken++;
        if (taken < most)
            t->device_sleep = ABOUT_TO_ARM;
    }
    if (t->held_count > 0 && !once_in(t, 3)) {
        uint32_t count = once_in(t, 4) ? t->held_count : 1 + roll(t, t->held_count);

        if (once_in(t, 2) && count > 3)
            count = 3;
        while (count-- > 0)
            device_complete(t);
    }
    if (t->unpublished > 0 && !once_in(t, 4))
        device_publish(t);
    if (t->unasked > 0 && !once_in(t, 4))
        device_ask(t);
}

/* Both. */

static void open_queue(struct trial *t)
{
    uint32_t features = t->mode == MODE_EVENT_IDX ? PEER_EVENT_IDX : 0;

    if (!peer_driver_open(&t->driver, t->size, features, driver_woken, t))
        fail(t, "the driver refuses a ring of %u", t->size);
    if (t->driver.size != t->size)
        fail(t, "the driver made a ring of %u instead", t->driver.size);
    if (halo_ring_place_at(&t->memory, t->size, (struct halo_gpa){t->driver.desc},
                           (struct halo_gpa){t->driver.driver_event},
                           (struct halo_gpa){t->driver.device_event}, &t->place))
        fail(t, "Halo refuses the driver's place");
    if (halo_device_init(&t->device, &t->place, &t->memory, t->chains, UINT32_MAX))
        fail(t, "Halo refuses the ring");
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
            fail(t, "the driver gives back a request that it does not have");
        r->state = IDLE;
        t->idle[t->idle_count++] = r;
        detached++;
    }
    if (detached != expected)
        fail(t, "the driver gives back %u requests of %u", detached, expected);
    peer_driver_close(&t->driver);
    open_queue(t);
    for (uint32_t i = 0; i < stale_count; i++) {
        if (halo_device_complete(&t->device, stale[i], 0) != HALO_ESTALE)
            fail(t, "a token outlives a reset");
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
            driver_step(t);
        else
            device_step(t);
        if (is_stalled(t))
            fail(t, "both sides sleep with %u requests in the ring, %u of them completed",
                 outstanding(t), (uint32_t)(t->completed.end - t->completed.first));
        if (steps > 1000 * t->quota + 1000000)
            fail(t, "no end in sight");
    }
    if (peer_driver_room(&t->driver) != t->size)
        fail(t, "the driver is left with room for %u of %u", peer_driver_room(&t->driver), t->size);
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
