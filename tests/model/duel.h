/*
 * The ring and the reference model side by side: the same words before both, the same answers from
 * both. What is done next is picked at random, or by the bytes of an input (tests/fuzz).
 */
#ifndef HALO_TESTS_DUEL_H
#define HALO_TESTS_DUEL_H

#include "pair.h"
#include "model.h"

#define LEN_MAX 5000u
#define SPAN_MAX 3u

static const struct model_region model_regions[] = {
    {RAM_BASE, RAM_LEN, true, true},
    {ROM_BASE, ROM_LEN, true, false},
};
static const struct model_config config = {LEN_MAX, SPAN_MAX, 2, model_regions};

/* A ring, its two sides, and the two sides of the model that stand in for the other half. */
struct duel {
    struct pair *p;
    struct model_device device;
    struct model_driver driver;
    struct model_desc *copy;   /* the ring as the model wants to see it */
    struct halo_token *tokens; /* of the chains that were taken and are not completed */
    uint32_t taken;
    const unsigned char *input; /* what to pick by; NULL: at random */
    size_t input_len;
    uint64_t random;
    uint64_t outcomes[5];
};

static struct duel duel_new(uint32_t size)
{
    struct duel d = {.p = pair_new(size), .random = 88172645463325252ull ^ size};

    d.copy = calloc(size, sizeof(*d.copy));
    d.tokens = calloc(size, sizeof(*d.tokens));
    assert_true(model_device_init(&d.device, size, &config));
    assert_true(model_driver_init(&d.driver, size));
    d.p->device.len_max = LEN_MAX;
    return d;
}

static void duel_free(struct duel *d)
{
    model_device_close(&d->device);
    model_driver_close(&d->driver);
    free(d->copy);
    free(d->tokens);
    pair_free(d->p);
}

/* A number below `below`, at random or from the input; 0 where the input has ended. */
static uint32_t pick(struct duel *d, uint32_t below)
{
    uint32_t value = 0;

    if (d->input) {
        for (uint32_t rest = below - 1; rest > 0 && d->input_len > 0; rest >>= 8, d->input_len--)
            value = value << 8 | *d->input++;
        return value % below;
    }
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (uint32_t)((d->random >> 16) % below);
}

static const struct model_desc *view(struct duel *d)
{
    for (uint32_t i = 0; i < d->p->size; i++) {
        uint64_t meta = d->p->ring[i].meta;

        d->copy[i] = (struct model_desc){d->p->ring[i].addr, halo_meta_len(meta),
                                         halo_meta_id(meta), halo_meta_flags(meta)};
    }
    return d->copy;
}

static struct model_event event_of(uint32_t word)
{
    return (struct model_event){(uint16_t)word, (uint16_t)(word >> 16)};
}

static enum model_reason broken_reason(enum halo_broken reason)
{
    static const enum model_reason map[] = {
        [HALO_BROKEN_TORN] = MODEL_TORN,
        [HALO_BROKEN_OVERCOMMIT] = MODEL_OVERCOMMIT,
        [HALO_BROKEN_INDIRECT] = MODEL_INDIRECT,
        [HALO_BROKEN_RESERVED] = MODEL_RESERVED,
        [HALO_BROKEN_ORDER] = MODEL_ORDER,
        [HALO_BROKEN_TOO_LONG] = MODEL_TOO_LONG,
        [HALO_BROKEN_BAD_ID] = MODEL_BAD_ID,
        [HALO_BROKEN_DUPLICATE_ID] = MODEL_DUPLICATE_ID,
        [HALO_BROKEN_NOT_IN_FLIGHT] = MODEL_NOT_IN_FLIGHT,
        [HALO_BROKEN_LENGTH] = MODEL_LENGTH,
    };

    return map[reason];
}

static enum model_reason reject_reason(enum halo_reject reason)
{
    static const enum model_reason map[] = {
        [HALO_REJECT_LENGTH] = MODEL_LENGTH,
        [HALO_REJECT_SEGMENTS] = MODEL_SEGMENTS,
        [HALO_REJECT_RANGE] = MODEL_RANGE,
        [HALO_REJECT_PERMISSION] = MODEL_PERMISSION,
        [HALO_REJECT_EMPTY_CHAIN] = MODEL_EMPTY_CHAIN,
    };

    return map[reason];
}

static void compare_spans(struct duel *d, const struct model_taken *taken)
{
    const struct pair *p = d->p;
    const struct halo_chain *chain = &p->chain;

    assert_int_equal(chain->readable_count + chain->writable_count, taken->element_count);
    assert_true(chain->readable_len == taken->readable_len);
    assert_true(chain->writable_len == taken->writable_len);
    for (uint32_t i = 0; i < taken->element_count; i++) {
        const struct model_element *element = &taken->elements[i];
        const struct halo_region *region = &p->regions[element->addr >= ROM_BASE];

        assert_int_equal(i >= chain->readable_count, element->writable);
        assert_int_equal(p->spans[i].len, element->len);
        assert_true(p->spans[i].base == region->host + (element->addr - region->base));
    }
}

/* What the device stored for a completion must be what the model says, and where. */
static void compare_used(struct duel *d, uint32_t slot, struct model_desc desc)
{
    assert_true(d->p->ring[slot].meta == halo_meta(desc.len, desc.id, desc.flags));
}

/* Poll both. Returns the outcome that they agree on; a reject has been completed in both. */
static enum model_outcome poll_device(struct duel *d)
{
    struct pair *p = d->p;
    struct model_taken taken;
    struct model_verdict verdict = model_device_poll(&d->device, view(d), &taken);
    int got = halo_device_poll(&p->device, &p->chain, p->spans, SPAN_MAX);

    d->outcomes[verdict.outcome]++;
    switch (verdict.outcome) {
    case MODEL_EMPTY:
        assert_int_equal(got, 0);
        break;
    case MODEL_OK:
        assert_int_equal(got, 1);
        assert_int_equal(halo_token_id(p->chain.token), taken.id);
        assert_int_equal(p->chain.slots, taken.slots);
        compare_spans(d, &taken);
        break;
    case MODEL_REJECT: {
        struct model_desc desc;
        uint32_t slot;

        assert_int_equal(got, HALO_EREJECT);
        assert_int_equal(reject_reason(p->chain.reject), verdict.reason);
        assert_int_equal(model_device_complete(&d->device, taken.id, 0, &slot, &desc).outcome,
                         MODEL_OK);
        halo_device_publish(&p->device);
        compare_used(d, slot, desc);
        break;
    }
    default:
        assert_int_equal(verdict.outcome, MODEL_BROKEN);
        assert_int_equal(got, HALO_EBROKEN);
        assert_int_equal(broken_reason(p->device.violation.reason), verdict.reason);
        assert_int_equal(p->device.violation.slot, verdict.slot);
        assert_int_equal(p->device.violation.id, verdict.id);
    }
    return verdict.outcome;
}

/* Mostly what a sound driver would write, sometimes not. */
static void write_descriptor(struct duel *d, uint32_t slot, uint32_t phase, bool next)
{
    static const uint64_t addrs[] = {
        RAM_BASE, RAM_BASE + RAM_LEN - 8, ROM_BASE, ROM_BASE + 4090, 0, UINT64_MAX, RAM_BASE - 1};
    static const uint32_t lens[] = {8, 0, 1, 6, 9, 4000, 5000, UINT32_MAX};
    uint32_t sound = pick(d, 100);
    uint32_t flags = phase | (next ? NEXT : 0) | (pick(d, 3) == 0 ? WRITE : 0);

    if (sound == 0)
        flags ^= 1u << pick(d, 16);
    poke(d->p, slot, addrs[pick(d, 10) < 8 ? 0 : pick(d, 7)],
         lens[pick(d, 10) < 8 ? 0 : pick(d, 8)], sound == 1 ? pick(d, 65536) : pick(d, d->p->size),
         flags);
}

static void write_chain(struct duel *d)
{
    struct halo_cursor at = halo_device_avail(&d->p->device);
    uint32_t count = 1 + pick(d, d->p->size < 6 ? d->p->size : 6);

    for (uint32_t i = 0; i < count; i++) {
        write_descriptor(d, at.slot, at.phase, i + 1 < count);
        at = halo_cursor_advance(at, 1, d->p->size);
    }
}

/* A word of which nothing is known. */
static void write_anything(struct duel *d)
{
    struct halo_desc *desc = &d->p->ring[pick(d, d->p->size)];

    desc->addr = (uint64_t)pick(d, UINT32_MAX) << 32 | pick(d, UINT32_MAX);
    desc->meta = (uint64_t)pick(d, UINT32_MAX) << 32 | pick(d, UINT32_MAX);
}

/* One step of a hostile driver, with a device and its model before it. */
static void hostile_driver_step(struct duel *d)
{
    struct pair *p = d->p;

    switch (pick(d, 7)) {
    case 0:
    case 1:
        write_chain(d);
        break;
    case 2:
    case 3: {
        enum model_outcome outcome = poll_device(d);

        if (outcome == MODEL_OK)
            d->tokens[d->taken++] = p->chain.token;
        if (outcome == MODEL_BROKEN) {
            memset(p->memory, 0, p->memory_len);
            assert_int_equal(
                halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, LEN_MAX), 0);
            model_device_reset(&d->device);
            d->taken = 0;
        }
        break;
    }
    case 4: {
        struct model_verdict verdict;
        struct model_desc desc;
        uint32_t slot, chosen, written;
        int error;

        if (d->taken == 0)
            break;
        chosen = pick(d, d->taken);
        written = (uint32_t[]){0, 1, 8, 9, 16}[pick(d, 5)];
        verdict = model_device_complete(&d->device, halo_token_id(d->tokens[chosen]), written,
                                        &slot, &desc);
        error = halo_device_complete(&p->device, d->tokens[chosen], written);
        assert_int_equal(error == 0, verdict.outcome == MODEL_OK);
        if (error)
            break;
        halo_device_publish(&p->device);
        compare_used(d, slot, desc);
        d->tokens[chosen] = d->tokens[--d->taken];
        break;
    }
    case 5:
        if (pick(d, 16) == 0)
            write_anything(d);
        break;
    default:
        p->driver_event->word = pick(d, d->p->size + 2) | pick(d, 2) << 15 | pick(d, 5) << 16;
        assert_int_equal(halo_device_should_notify(&p->device),
                         model_device_notify(&d->device, event_of(p->driver_event->word)));
    }
    assert_int_equal(halo_device_in_flight(&p->device),
                     d->p->size - model_free_slots(&d->device.queue));
}

/* The driver adds a chain: the model must want the same words in the same slots. */
static void compare_submit(struct duel *d)
{
    struct model_element elements[8];
    struct halo_buf bufs[8];
    struct model_desc descs[8];
    uint32_t slots[8], readable = pick(d, 4), writable = pick(d, 4);
    struct model_verdict verdict;
    int id;

    for (uint32_t i = 0; i < 8; i++) {
        bufs[i] = (struct halo_buf){RAM_BASE + pick(d, 1000), pick(d, 20)};
        elements[i] = (struct model_element){bufs[i].addr, bufs[i].len, false};
    }
    id = halo_driver_add(&d->p->driver, bufs, readable, writable);
    halo_driver_publish(&d->p->driver);
    verdict = model_driver_submit(&d->driver, (uint16_t)(id < 0 ? 0 : id), elements, readable,
                                  writable, slots, descs);
    assert_int_equal(id >= 0, verdict.outcome == MODEL_OK);
    for (uint32_t i = 0; id >= 0 && i < readable + writable; i++) {
        const struct halo_desc *desc = &d->p->ring[slots[i]];

        assert_true(desc->addr == descs[i].addr);
        assert_int_equal(halo_meta_len(desc->meta), descs[i].len);
        assert_int_equal(halo_meta_flags(desc->meta), descs[i].flags);
        if (i + 1 == readable + writable)
            assert_int_equal(halo_meta_id(desc->meta), descs[i].id);
    }
}

static enum model_outcome poll_driver(struct duel *d)
{
    struct halo_used used;
    struct model_returned returned;
    struct model_verdict verdict = model_driver_poll(&d->driver, view(d), &returned);
    int got = halo_driver_poll(&d->p->driver, &used);

    d->outcomes[verdict.outcome]++;
    if (verdict.outcome == MODEL_OK) {
        assert_int_equal(got, 1);
        assert_int_equal(used.id, returned.id);
        assert_int_equal(used.len, returned.len);
    } else if (verdict.outcome == MODEL_EMPTY) {
        assert_int_equal(got, 0);
    } else {
        assert_int_equal(got, HALO_EBROKEN);
        assert_int_equal(broken_reason(d->p->driver.violation.reason), verdict.reason);
        assert_int_equal(d->p->driver.violation.slot, verdict.slot);
        assert_int_equal(d->p->driver.violation.id, verdict.id);
    }
    return verdict.outcome;
}

/* A hostile device: used entries where the driver looks, mostly for ids that are in flight. */
static void write_used(struct duel *d)
{
    uint32_t flags = halo_cursor_used(halo_driver_used(&d->p->driver)) | (pick(d, 2) ? WRITE : 0);
    uint32_t id = pick(d, d->p->size), sound = pick(d, 60);

    if (d->driver.queue.in_flight_count > 0 && sound > 1)
        id = d->driver.queue.in_flight[pick(d, d->driver.queue.in_flight_count)].id;
    if (sound == 2)
        flags ^= 1u << pick(d, 16);
    poke(d->p, halo_driver_used(&d->p->driver).slot, 0, pick(d, 20) ? pick(d, 3) : 100,
         sound == 3 ? pick(d, 65536) : id, flags);
}

/* One step of a hostile device, with a driver and its model before it. */
static void hostile_device_step(struct duel *d)
{
    struct pair *p = d->p;

    switch (pick(d, 6)) {
    case 0:
        compare_submit(d);
        break;
    case 1:
        write_used(d);
        break;
    case 2:
    case 3:
        if (poll_driver(d) == MODEL_BROKEN) {
            memset(p->memory, 0, p->memory_len);
            assert_int_equal(halo_driver_init(&p->driver, &p->place, p->driver_chains), 0);
            model_driver_reset(&d->driver);
        }
        break;
    case 4:
        if (pick(d, 16) == 0)
            write_anything(d);
        break;
    default:
        p->device_event->word = pick(d, d->p->size + 2) | pick(d, 2) << 15 | pick(d, 5) << 16;
        assert_int_equal(halo_driver_should_kick(&p->driver),
                         model_driver_kick(&d->driver, event_of(p->device_event->word)));
    }
    assert_int_equal(halo_driver_room(&p->driver), model_free_slots(&d->driver.queue));
}

#endif
