/* The device's part of a trial: Halo's code, whose every word is checked against what was sent. */
#include "linux_trial.h"

#include <inttypes.h>
#include <string.h>

static void check_spans(struct trial *t, const struct request *r, const struct halo_chain *chain)
{
    uint32_t span = 0;
    uint64_t at = 0;

    if (chain->slots != r->readable + r->writable || chain->readable_len != r->readable_len ||
        chain->writable_len != r->writable_len)
        trial_fail(t, "the device sees a chain of other lengths");
    for (uint32_t i = 0; i < r->readable + r->writable; i++) {
        unsigned char bytes[SEGMENT_LONGEST];

        if (r->segments[i].len == 0)
            continue;
        if (halo_shm_expose(r->spans[span].base) != r->segments[i].base ||
            r->spans[span].len != r->segments[i].len)
            trial_fail(t, "the device sees another segment %u", i);
        if (i < r->readable) {
            halo_shm_copy_in(bytes, r->spans[span].base, r->spans[span].len);
            for (uint32_t j = 0; j < r->spans[span].len; j++) {
                if (bytes[j] != pattern(r->seed, at++))
                    trial_fail(t, "byte %" PRIu64 " of a request is wrong", at - 1);
            }
        }
        span++;
    }
    if (chain->readable_count + chain->writable_count != span)
        trial_fail(t, "the device sees %u spans of %u",
                   chain->readable_count + chain->writable_count, span);
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
        trial_fail(t, "the device calls the queue broken: %s in slot %u",
                   halo_broken_name(t->device.violation.reason), t->device.violation.slot);
    if (!r)
        trial_fail(t, "the device takes a chain that nobody submitted");

    if (got == HALO_EREJECT) {
        if (chain.reject != r->reject ||
            chain.bad_addr.value != (r->reject == HALO_REJECT_EMPTY_CHAIN ? 0 : r->where))
            trial_fail(t, "the device rejects a chain: %s, not %s", halo_reject_name(chain.reject),
                       halo_reject_name(r->reject));
        t->submitted.first++;
        r->state = COMPLETED;
        push(&t->completed, r);
        t->unpublished++;
        t->rejected++;
        return true;
    }
    if (r->reject)
        trial_fail(t, "the device accepts a chain that it must reject: %s",
                   halo_reject_name(r->reject));
    if (once_in(t, 32)) {
        if (halo_device_rewind(&t->device, chain.token))
            trial_fail(t, "the device cannot rewind");
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
        trial_fail(t, "the device may write more than there is room for");
    if (halo_device_complete(&t->device, r->token, r->written))
        trial_fail(t, "the device cannot complete");
    if (halo_device_complete(&t->device, r->token, r->written) != HALO_ESTALE)
        trial_fail(t, "the device may complete twice");
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
        trial_fail(t, "the driver writes event flags %u without EVENT_IDX", flags);
    t->unasked = 0;
    t->asked++;
    if (!halo_device_should_notify(&t->device))
        return;
    if (flags == HALO_EVENT_NEVER)
        trial_fail(t, "the device interrupts a driver that asked for no interrupts");
    t->interrupts++;
    t->interrupt_pending = true;
}

void trial_device_step(struct trial *t)
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
