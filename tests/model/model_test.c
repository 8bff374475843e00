/*
 * Self-tests of the reference model. Each test is named by the sentence it proves; the comment
 * above it gives the section of the specification, or the case of the catalogue of hostile peers.
 *
 * Where a second opinion is possible it is written in a third way: the specification's own
 * example (cursor and toggled wrap count) checks the linear positions, and a walk that toggles a
 * counter checks the event decision.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEXT 0x0001u
#define WRITE 0x0002u
#define INDIRECT 0x0004u
#define AVAIL 0x0080u
#define USED 0x8000u

#define BASE 0x10000u
#define END 0x20000u /* first byte after the region with both rights */

static unsigned long failures_in_test;

static void check(bool holds, const char *text, int line)
{
    if (holds)
        return;
    failures_in_test++;
    if (failures_in_test <= 5)
        printf("  model_test.c:%d: %s\n", line, text);
}

#define CHECK(cond) check((cond), #cond, __LINE__)

/* --- Fixture --------------------------------------------------------------------------------- */

static const struct model_region regions[] = {
    {0x1000, 0x1000, true, false},             /* read only */
    {0x2000, 0x1000, false, true},             /* write only, adjacent to the first */
    {BASE, END - BASE, true, true},            /* both */
    {0xfffffffffffff000u, 0x1000, true, true}, /* ends at 2^64 */
};

static struct model_config plain_config(void)
{
    struct model_config config = {UINT64_MAX, 32768, 4, regions};

    return config;
}

struct rig {
    uint32_t size;
    struct model_device dev;
    struct model_driver drv;
    struct model_desc *ring;
    uint32_t *slots;
    struct model_desc *descs;
    struct model_element *elements;
    struct model_taken taken;
    struct model_returned returned;
};

static void rig_open(struct rig *rig, uint32_t size, struct model_config config)
{
    memset(rig, 0, sizeof(*rig));
    rig->size = size;
    rig->ring = calloc(size, sizeof(*rig->ring));
    rig->slots = calloc(size, sizeof(*rig->slots));
    rig->descs = calloc(size, sizeof(*rig->descs));
    rig->elements = calloc(size, sizeof(*rig->elements));
    if (!model_device_init(&rig->dev, size, &config) || !model_driver_init(&rig->drv, size) ||
        rig->ring == NULL || rig->slots == NULL || rig->descs == NULL || rig->elements == NULL)
        abort();
}

static void rig_close(struct rig *rig)
{
    model_device_close(&rig->dev);
    model_driver_close(&rig->drv);
    free(rig->ring);
    free(rig->slots);
    free(rig->descs);
    free(rig->elements);
}

/* A chain of n_readable and n_writable elements of 16 bytes, written to the ring. */
static struct model_verdict rig_submit(struct rig *rig, uint16_t id, uint32_t n_readable,
                                       uint32_t n_writable)
{
    struct model_verdict v;

    for (uint32_t i = 0; i < n_readable + n_writable && i < rig->size; i++)
        rig->elements[i] = (struct model_element){BASE + 16u * (i % 64u), 16, false};
    v = model_driver_submit(&rig->drv, id, rig->elements, n_readable, n_writable, rig->slots,
                            rig->descs);
    if (v.outcome == MODEL_OK) {
        for (uint32_t i = 0; i < n_readable + n_writable; i++)
            rig->ring[rig->slots[i]] = rig->descs[i];
    }
    return v;
}

static struct model_verdict rig_take(struct rig *rig)
{
    return model_device_poll(&rig->dev, rig->ring, &rig->taken);
}

static struct model_verdict rig_complete(struct rig *rig, uint16_t id, uint32_t written)
{
    struct model_desc desc;
    uint32_t slot;
    struct model_verdict v = model_device_complete(&rig->dev, id, written, &slot, &desc);

    if (v.outcome == MODEL_OK)
        rig->ring[slot] = desc;
    return v;
}

static struct model_verdict rig_return(struct rig *rig)
{
    return model_driver_poll(&rig->drv, rig->ring, &rig->returned);
}

/* Available flags in lap 0 and lap 1. */
static uint16_t avail0(unsigned extra)
{
    return (uint16_t)(AVAIL | extra);
}

static uint16_t avail1(unsigned extra)
{
    return (uint16_t)(USED | extra);
}

static bool is(struct model_verdict v, enum model_outcome outcome, enum model_reason reason)
{
    return v.outcome == outcome && v.reason == reason;
}

static bool is_at(struct model_verdict v, enum model_outcome outcome, enum model_reason reason,
                  uint32_t slot, uint16_t id)
{
    return is(v, outcome, reason) && v.slot == slot && v.id == id;
}

/* Writes descriptors into a fresh ring from slot 0 on, polls once, compares the verdict. */
static bool poll_gives(uint32_t size, const struct model_desc *descs, uint32_t count,
                       enum model_outcome outcome, enum model_reason reason, uint32_t slot,
                       uint16_t id)
{
    struct rig rig;
    struct model_verdict v;

    rig_open(&rig, size, plain_config());
    memcpy(rig.ring, descs, count * sizeof(*descs));
    v = rig_take(&rig);
    rig_close(&rig);
    return is_at(v, outcome, reason, slot, id);
}

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % bound);
}

/* --- Sizes and phases ------------------------------------------------------------------------ */

/* "Packed Virtqueues", "Structure Size and Alignment"; CFG-01, CFG-02, CFG-03. */
static void sizes_from_1_to_32768_are_accepted_and_no_other(void)
{
    static const uint32_t good[] = {1, 2, 3, 5, 7, 255, 256, 1000, 32767, 32768};
    static const uint32_t bad[] = {0, 32769, 40000, 65535, 65536, UINT32_MAX};
    struct model_config config = plain_config();
    struct model_device dev;
    struct model_driver drv;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK(model_device_init(&dev, good[i], &config));
        CHECK(model_driver_init(&drv, good[i]));
        CHECK(model_free_slots(&dev.queue) == good[i]);
        CHECK(model_free_slots(&drv.queue) == good[i]);
        model_device_close(&dev);
        model_driver_close(&drv);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!model_device_init(&dev, bad[i], &config));
        CHECK(!model_driver_init(&drv, bad[i]));
        model_device_close(&dev);
        model_driver_close(&drv);
    }
}

/* "Driver and Device Ring Wrap Counters". */
static void wrap_counter_starts_at_1_and_changes_after_the_last_slot(void)
{
    for (uint32_t size = 1; size <= 9; size++) {
        unsigned wrap = 1;
        uint32_t slot = 0;

        for (uint64_t pos = 0; pos < 7u * size; pos++) {
            CHECK(model_wrap_counter(size, pos) == wrap);
            slot++;
            if (slot == size) {
                slot = 0;
                wrap = 1 - wrap;
            }
        }
    }
}

/* "Driver and Device Ring Wrap Counters": the four phases in even and odd laps, other bits
 * without influence; a zeroed ring holds nothing in the first lap. */
static void only_one_phase_of_four_is_available_and_one_is_used(void)
{
    for (unsigned flags = 0; flags <= 0xffffu; flags++) {
        bool a = (flags & AVAIL) != 0;
        bool u = (flags & USED) != 0;
        uint16_t f = (uint16_t)flags;

        CHECK(model_is_available(4, 3, f) == (a && !u));
        CHECK(model_is_available(4, 4, f) == (!a && u));
        CHECK(model_is_used(4, 3, f) == (a && u));
        CHECK(model_is_used(4, 4, f) == (!a && !u));
    }
}

/* DEV-06 and the first paragraph of "Polling of available and used descriptors". */
static void head_without_its_phase_is_empty_and_changes_nothing(void)
{
    struct rig rig;

    rig_open(&rig, 3, plain_config());
    for (unsigned flags = 0; flags <= 0xffffu; flags++) {
        rig.ring[0] = (struct model_desc){BASE, 1, 0, (uint16_t)flags};
        if ((flags & (AVAIL | USED)) == AVAIL)
            continue;
        CHECK(is_at(rig_take(&rig), MODEL_EMPTY, MODEL_NONE, 0, 0));
        CHECK(rig.taken.looked_at == 1);
    }
    CHECK(rig.dev.queue.avail_pos == 0 && model_free_slots(&rig.dev.queue) == 3);
    rig_close(&rig);
}

/* DEV-20: "Polling of available and used descriptors", a single place is tested. */
static void later_slot_is_not_seen_before_the_next_one(void)
{
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    rig.ring[1] = (struct model_desc){BASE, 1, 0, avail0(0)};
    CHECK(is(rig_take(&rig), MODEL_EMPTY, MODEL_NONE));
    rig.ring[0] = (struct model_desc){BASE, 2, 1, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 1));
    CHECK(rig.taken.slots == 1);
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 1, 0));
    rig_close(&rig);
}

/* --- Device: chains -------------------------------------------------------------------------- */

/* DEV-01: "Scatter-Gather Support", driver: no list longer than the queue, loops included. */
static void next_that_never_clears_is_too_long_after_n_descriptors(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 64, 1000};

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        uint32_t n = sizes[s];
        struct rig rig;

        rig_open(&rig, n, plain_config());
        for (uint32_t i = 0; i < n; i++)
            rig.ring[i] = (struct model_desc){BASE, 1, (uint16_t)i, avail0(NEXT)};
        CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_TOO_LONG, n - 1, (uint16_t)(n - 1)));
        CHECK(rig.taken.looked_at == n);
        rig_close(&rig);
    }
}

/* DEV-02: a list may be as long as the queue, and the next one then starts a lap later. */
static void chain_of_n_descriptors_is_accepted_and_ends_at_the_same_slot(void)
{
    for (uint32_t n = 1; n <= 8; n++) {
        struct rig rig;

        rig_open(&rig, n, plain_config());
        for (unsigned lap = 0; lap < 5; lap++) {
            CHECK(rig_submit(&rig, 0, n, 0).outcome == MODEL_OK);
            CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 0));
            CHECK(rig.taken.slots == n && rig.taken.element_count == n);
            CHECK(rig.taken.readable_len == 16u * n && rig.taken.writable_len == 0);
            CHECK(rig.dev.queue.avail_pos == (uint64_t)(lap + 1) * n);
            CHECK(model_free_slots(&rig.dev.queue) == 0);
            CHECK(rig_complete(&rig, 0, 0).outcome == MODEL_OK);
            CHECK(rig_return(&rig).outcome == MODEL_OK);
        }
        rig_close(&rig);
    }
}

/* DEV-03, DEV-22: "Scatter-Gather Support", driver: room for the whole list. */
static void chain_over_the_free_slots_is_overcommit_after_free_descriptors(void)
{
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    CHECK(rig_submit(&rig, 0, 2, 0).outcome == MODEL_OK);
    CHECK(rig_take(&rig).outcome == MODEL_OK);
    rig.ring[2] = (struct model_desc){BASE, 1, 1, avail0(NEXT)};
    rig.ring[3] = (struct model_desc){BASE, 1, 2, avail0(NEXT)};
    rig.ring[0] = (struct model_desc){BASE, 1, 3, avail1(0)};
    CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_OVERCOMMIT, 3, 2));
    CHECK(rig.taken.looked_at == 2);
    rig_close(&rig);
}

/* DEV-22: a head that is available when every slot is in flight; without one it is EMPTY. */
static void head_in_a_full_ring_is_overcommit(void)
{
    struct rig rig;

    rig_open(&rig, 2, plain_config());
    CHECK(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    CHECK(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    CHECK(rig_take(&rig).outcome == MODEL_OK && rig_take(&rig).outcome == MODEL_OK);
    CHECK(is(rig_take(&rig), MODEL_EMPTY, MODEL_NONE));
    /* every later rule is violated too: the room is checked before them */
    rig.ring[0] = (struct model_desc){0, 0, 9, avail1(INDIRECT | 0x78u | NEXT)};
    CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_OVERCOMMIT, 0, 9));
    rig_close(&rig);
}

/* DEV-04: "Driver and Device Ring Wrap Counters": the phase of the next lap past the end. */
static void chain_across_the_ring_end_changes_phase(void)
{
    struct rig rig;

    rig_open(&rig, 3, plain_config());
    CHECK(rig_submit(&rig, 0, 2, 0).outcome == MODEL_OK);
    CHECK(rig_take(&rig).outcome == MODEL_OK && rig_complete(&rig, 0, 0).outcome == MODEL_OK);
    CHECK(rig_return(&rig).outcome == MODEL_OK);
    CHECK(is_at(rig_submit(&rig, 2, 1, 2), MODEL_OK, MODEL_NONE, 2, 2));
    CHECK(rig.slots[0] == 2 && rig.descs[0].flags == avail0(NEXT));
    CHECK(rig.slots[1] == 0 && rig.descs[1].flags == avail1(NEXT | WRITE));
    CHECK(rig.slots[2] == 1 && rig.descs[2].flags == avail1(WRITE));
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 2, 2));
    CHECK(rig.taken.slots == 3 && rig.taken.first_pos == 2);
    CHECK(rig.taken.readable_len == 16 && rig.taken.writable_len == 32);
    rig_close(&rig);
}

/* DEV-05: "Next Flag: Descriptor Chaining", the first descriptor is made available last. */
static void tail_without_the_phase_of_its_own_lap_is_torn(void)
{
    static const unsigned phases[] = {0, USED, AVAIL | USED};
    struct rig rig;

    for (size_t i = 0; i < 3; i++) {
        struct model_desc d[] = {{BASE, 1, 0, avail0(NEXT)}, {BASE, 1, 2, (uint16_t)phases[i]}};

        CHECK(poll_gives(4, d, 2, MODEL_BROKEN, MODEL_TORN, 1, 2));
    }
    /* past the ring end the phase of the first lap is the wrong one */
    rig_open(&rig, 2, plain_config());
    CHECK(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    CHECK(rig_take(&rig).outcome == MODEL_OK && rig_complete(&rig, 0, 0).outcome == MODEL_OK);
    rig.ring[1] = (struct model_desc){BASE, 1, 0, avail0(NEXT)};
    rig.ring[0] = (struct model_desc){BASE, 1, 1, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_TORN, 0, 1));
    rig_close(&rig);
}

/* DEV-07: "Indirect Descriptors", driver: not without the feature. */
static void indirect_is_broken_on_head_middle_and_tail(void)
{
    for (uint32_t where = 0; where < 3; where++) {
        for (unsigned write = 0; write <= WRITE; write += WRITE) {
            struct model_desc d[] = {
                {BASE, 1, 5, avail0(NEXT)}, {BASE, 1, 6, avail0(NEXT)}, {BASE, 1, 7, avail0(0)}};

            d[where].flags = (uint16_t)(d[where].flags | INDIRECT | write);
            CHECK(poll_gives(8, d, 3, MODEL_BROKEN, MODEL_INDIRECT, where, (uint16_t)(5 + where)));
        }
    }
}

/* DEV-09: the bits that no section defines, one at a time, on head and tail. */
static void each_reserved_bit_is_broken(void)
{
    for (unsigned number = 0; number < 16; number++) {
        struct model_desc one[] = {{BASE, 1, 1, avail0(0)}};
        struct model_desc two[] = {{BASE, 1, 0, avail0(NEXT)}, {BASE, 1, 1, avail0(0)}};

        if (number < 3 || number == 7 || number == 15)
            continue;
        one[0].flags = (uint16_t)(one[0].flags | 1u << number);
        two[1].flags = (uint16_t)(two[1].flags | 1u << number);
        CHECK(poll_gives(4, one, 1, MODEL_BROKEN, MODEL_RESERVED, 0, 1));
        CHECK(poll_gives(4, two, 2, MODEL_BROKEN, MODEL_RESERVED, 1, 1));
    }
}

/* DEV-10: "Scatter-Gather Support", driver: writable elements after readable ones. */
static void readable_after_writable_is_broken(void)
{
    struct model_desc adjacent[] = {{BASE, 1, 0, avail0(NEXT | WRITE)}, {BASE, 1, 1, avail0(0)}};
    struct model_desc apart[] = {{BASE, 1, 0, avail0(NEXT | WRITE)},
                                 {BASE, 1, 1, avail0(NEXT | WRITE)},
                                 {BASE, 1, 2, avail0(0)}};
    struct model_desc empty[] = {{BASE, 0, 0, avail0(NEXT | WRITE)}, {BASE, 0, 1, avail0(0)}};
    struct model_desc good[] = {{BASE, 1, 0, avail0(NEXT)}, {BASE, 1, 1, avail0(WRITE)}};

    CHECK(poll_gives(4, adjacent, 2, MODEL_BROKEN, MODEL_ORDER, 1, 1));
    CHECK(poll_gives(4, apart, 3, MODEL_BROKEN, MODEL_ORDER, 2, 2));
    /* the rule is about descriptors: lengths do not matter */
    CHECK(poll_gives(4, empty, 2, MODEL_BROKEN, MODEL_ORDER, 1, 1));
    CHECK(poll_gives(4, good, 2, MODEL_OK, MODEL_NONE, 0, 1));
}

/* ID-01: the id is checked against the size before it means anything. */
static void id_of_n_or_more_is_broken(void)
{
    static const uint16_t bad[] = {4, 5, 32768, 65535};
    struct model_desc d[] = {{BASE, 1, 3, avail0(0)}};

    CHECK(poll_gives(4, d, 1, MODEL_OK, MODEL_NONE, 0, 3));
    for (size_t i = 0; i < 4; i++) {
        d[0].id = bad[i];
        CHECK(poll_gives(4, d, 1, MODEL_BROKEN, MODEL_BAD_ID, 0, bad[i]));
    }
}

/* ID-02: an id names one chain until that chain is used; rejected chains hold theirs as well. */
static void id_in_flight_is_broken_and_free_again_after_completion(void)
{
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    rig.ring[0] = (struct model_desc){BASE, 1, 2, avail0(0)};
    CHECK(rig_take(&rig).outcome == MODEL_OK && rig_complete(&rig, 2, 0).outcome == MODEL_OK);
    rig.ring[1] = (struct model_desc){0, 1, 2, avail0(0)};
    CHECK(is(rig_take(&rig), MODEL_REJECT, MODEL_RANGE));
    rig.ring[2] = (struct model_desc){BASE, 1, 2, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_DUPLICATE_ID, 2, 2));
    rig_close(&rig);
}

/* ID-03: "Next Flag: Descriptor Chaining": the id stands in the last descriptor. */
static void id_is_that_of_the_last_descriptor(void)
{
    struct model_desc d[] = {{BASE, 1, 0xffff, avail0(NEXT)}, {BASE, 1, 2, avail0(0)}};

    CHECK(poll_gives(4, d, 2, MODEL_OK, MODEL_NONE, 0, 2));
}

/*
 * The order of the rules: each flag word with any mix of INDIRECT, reserved bits, order, NEXT and
 * bad id must give the reason of the first rule violated, on the second of two descriptors that
 * fill the ring.
 */
static void first_violated_rule_gives_the_reason(void)
{
    for (unsigned mix = 0; mix < 64; mix++) {
        bool torn = mix & 1, indirect = mix & 2, reserved = mix & 4, order = mix & 8;
        bool next = mix & 16, bad_id = mix & 32;
        struct model_desc d[] = {{BASE, 1, 0, avail0(NEXT | WRITE)}, {BASE, 1, 1, 0}};
        enum model_reason expected = torn       ? MODEL_TORN
                                     : indirect ? MODEL_INDIRECT
                                     : reserved ? MODEL_RESERVED
                                     : order    ? MODEL_ORDER
                                     : next     ? MODEL_TOO_LONG
                                     : bad_id   ? MODEL_BAD_ID
                                                : MODEL_NONE;
        unsigned flags = (torn ? 0 : AVAIL) | (indirect ? INDIRECT : 0) | (reserved ? 0x4000u : 0) |
                         (order ? 0 : WRITE) | (next ? NEXT : 0);

        d[1].flags = (uint16_t)flags;
        d[1].id = bad_id ? 2 : 1;
        if (expected == MODEL_NONE)
            CHECK(poll_gives(2, d, 2, MODEL_OK, MODEL_NONE, 0, 1));
        else
            CHECK(poll_gives(2, d, 2, MODEL_BROKEN, expected, 1, d[1].id));
    }
}

/* Outcome classes: BROKEN latches, reads nothing, writes nothing, and only a reset ends it. */
static void broken_device_stays_broken_until_reset(void)
{
    struct model_event always = {0, 0};
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    CHECK(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK && rig_take(&rig).outcome == MODEL_OK);
    CHECK(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK && rig_take(&rig).outcome == MODEL_OK);
    CHECK(rig_complete(&rig, 1, 0).outcome == MODEL_OK);
    rig.ring[2] = (struct model_desc){BASE, 1, 9, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_BAD_ID, 2, 9));
    rig.ring[2] = (struct model_desc){BASE, 1, 1, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_BAD_ID, 2, 9));
    CHECK(rig.taken.looked_at == 0);
    CHECK(is_at(rig_complete(&rig, 0, 0), MODEL_BROKEN, MODEL_BAD_ID, 2, 9));
    CHECK(!model_device_notify(&rig.dev, always));

    /* RST-02 */
    model_device_reset(&rig.dev);
    memset(rig.ring, 0, 4 * sizeof(*rig.ring));
    CHECK(is(rig_take(&rig), MODEL_EMPTY, MODEL_NONE));
    CHECK(model_free_slots(&rig.dev.queue) == 4);
    CHECK(is(rig_complete(&rig, 0, 0), MODEL_ERROR, MODEL_NOT_IN_FLIGHT));
    CHECK(!model_device_notify(&rig.dev, always));
    rig.ring[0] = (struct model_desc){BASE, 1, 0, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 0));
    rig_close(&rig);
}

/* --- Device: buffers ------------------------------------------------------------------------- */

static enum model_reason one_buffer(uint64_t addr, uint32_t len, unsigned write)
{
    struct rig rig;
    struct model_verdict v;

    rig_open(&rig, 2, plain_config());
    rig.ring[0] = (struct model_desc){addr, len, 0, avail0(write)};
    v = rig_take(&rig);
    CHECK(v.outcome == (v.reason == MODEL_NONE ? MODEL_OK : MODEL_REJECT));
    CHECK(v.reason == MODEL_NONE || (rig.taken.elements == NULL && rig.taken.element_count == 0));
    rig_close(&rig);
    return v.reason;
}

/* DEV-13, DEV-16: inside one region, with the right that the direction needs. */
static void buffer_lies_in_one_region_with_the_right_it_needs(void)
{
    CHECK(one_buffer(BASE, END - BASE, 0) == MODEL_NONE);
    CHECK(one_buffer(END - 1, 1, WRITE) == MODEL_NONE);
    CHECK(one_buffer(END - 1, 2, 0) == MODEL_RANGE);
    CHECK(one_buffer(END, 1, 0) == MODEL_RANGE);
    CHECK(one_buffer(BASE - 1, 1, 0) == MODEL_RANGE);
    CHECK(one_buffer(BASE - 1, 2, 0) == MODEL_RANGE);
    CHECK(one_buffer(BASE, UINT32_MAX, 0) == MODEL_RANGE);
    CHECK(one_buffer(UINT64_MAX, 1, 0) == MODEL_NONE);
    CHECK(one_buffer(UINT64_MAX, 2, 0) == MODEL_RANGE);
    CHECK(one_buffer(UINT64_MAX - 0xfff, 0x1000, WRITE) == MODEL_NONE);
    CHECK(one_buffer(UINT64_MAX - 0xfff, 0x1001, WRITE) == MODEL_RANGE);
    CHECK(one_buffer(UINT64_MAX, UINT32_MAX, WRITE) == MODEL_RANGE);
    CHECK(one_buffer(0x1000, 0x1000, 0) == MODEL_NONE);
    CHECK(one_buffer(0x1000, 0x1000, WRITE) == MODEL_PERMISSION);
    CHECK(one_buffer(0x2000, 0x1000, WRITE) == MODEL_NONE);
    CHECK(one_buffer(0x2000, 0x1000, 0) == MODEL_PERMISSION);
    CHECK(one_buffer(0x1fff, 2, 0) == MODEL_RANGE);
}

/* DEV-11: a slot without bytes; a chain with nothing else is rejected. */
static void zero_length_descriptor_is_skipped_and_counts_as_a_slot(void)
{
    struct rig rig;

    rig_open(&rig, 8, plain_config());
    rig.ring[0] = (struct model_desc){UINT64_MAX, 0, 0, avail0(NEXT)};
    rig.ring[1] = (struct model_desc){BASE + 1, 3, 0, avail0(NEXT)};
    rig.ring[2] = (struct model_desc){0, 0, 0, avail0(NEXT | WRITE)};
    rig.ring[3] = (struct model_desc){BASE + 9, 5, 1, avail0(WRITE)};
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 1));
    CHECK(rig.taken.slots == 4 && rig.taken.element_count == 2);
    CHECK(rig.taken.elements[0].addr == BASE + 1 && rig.taken.elements[0].len == 3);
    CHECK(!rig.taken.elements[0].writable && rig.taken.elements[1].writable);
    CHECK(rig.taken.elements[1].addr == BASE + 9 && rig.taken.elements[1].len == 5);
    CHECK(rig.taken.readable_len == 3 && rig.taken.writable_len == 5);
    rig.ring[4] = (struct model_desc){0, 0, 0, avail0(NEXT)};
    rig.ring[5] = (struct model_desc){0, 0, 2, avail0(WRITE)};
    CHECK(is_at(rig_take(&rig), MODEL_REJECT, MODEL_EMPTY_CHAIN, 4, 2));
    CHECK(rig.taken.slots == 2 && rig.taken.offender == 1 && rig.taken.element_count == 0);
    rig_close(&rig);
}

/* DEV-12, DEV-17: caps on bytes, summed in 64 bits, and on elements that have bytes. */
static void total_length_and_segments_are_capped(void)
{
    struct model_region all = {0, UINT64_MAX, true, true};
    struct model_config config = {0x100000001u, 2, 1, &all};
    struct rig rig;

    rig_open(&rig, 8, config);
    rig.ring[0] = (struct model_desc){0, UINT32_MAX, 0, avail0(NEXT)};
    rig.ring[1] = (struct model_desc){0, 2, 0, avail0(WRITE)};
    CHECK(is(rig_take(&rig), MODEL_OK, MODEL_NONE));
    CHECK(rig.taken.readable_len + rig.taken.writable_len == 0x100000001u);
    rig.ring[2] = (struct model_desc){0, UINT32_MAX, 0, avail0(NEXT)};
    rig.ring[3] = (struct model_desc){0, 3, 1, avail0(WRITE)};
    CHECK(is_at(rig_take(&rig), MODEL_REJECT, MODEL_LENGTH, 2, 1));
    CHECK(rig.taken.offender == 1);
    rig.ring[4] = (struct model_desc){0, 1, 0, avail0(NEXT)};
    rig.ring[5] = (struct model_desc){0, 0, 0, avail0(NEXT)};
    rig.ring[6] = (struct model_desc){0, 1, 0, avail0(NEXT)};
    rig.ring[7] = (struct model_desc){0, 1, 2, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_REJECT, MODEL_SEGMENTS, 4, 2));
    CHECK(rig.taken.offender == 3 && rig.taken.slots == 4);
    rig_close(&rig);
}

/* The reason is that of the first offending element, and within it of the first rule. */
static void first_offending_element_gives_the_reason(void)
{
    for (unsigned mix = 0; mix < 8; mix++) {
        struct model_config config = {mix & 1 ? 4 : 100, mix & 2 ? 1 : 9, 4, regions};
        uint64_t addr = mix & 4 ? 0 : 0x1000; /* nowhere, or read only */
        struct rig rig;
        struct model_verdict v;

        rig_open(&rig, 4, config);
        rig.ring[0] = (struct model_desc){BASE, 4, 0, avail0(NEXT)};
        rig.ring[1] = (struct model_desc){addr, 1, 0, avail0(NEXT | WRITE)};
        rig.ring[2] = (struct model_desc){0, UINT32_MAX, 0, avail0(WRITE)};
        v = rig_take(&rig);
        CHECK(is(v, MODEL_REJECT,
                 mix & 1   ? MODEL_LENGTH
                 : mix & 2 ? MODEL_SEGMENTS
                 : mix & 4 ? MODEL_RANGE
                           : MODEL_PERMISSION));
        CHECK(rig.taken.offender == 1);
        rig_close(&rig);
    }
}

/* A ring rule stands before any rule about buffers, wherever in the chain each is violated. */
static void broken_chain_is_never_a_reject(void)
{
    struct model_desc d[] = {{0, UINT32_MAX, 0, avail0(NEXT)}, {0, 0, 7, avail0(0)}};

    CHECK(poll_gives(4, d, 2, MODEL_BROKEN, MODEL_BAD_ID, 1, 7));
}

/* Outcome classes: a rejected chain is completed with length 0 and without WRITE; the queue
 * goes on. */
static void rejected_chain_is_completed_empty_and_the_queue_goes_on(void)
{
    struct model_desc desc;
    uint32_t slot;
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    rig.ring[0] = (struct model_desc){BASE, 8, 0, avail0(NEXT | WRITE)};
    rig.ring[1] = (struct model_desc){0, 8, 3, avail0(WRITE)};
    CHECK(is_at(rig_take(&rig), MODEL_REJECT, MODEL_RANGE, 0, 3));
    CHECK(model_free_slots(&rig.dev.queue) == 2);
    CHECK(is(rig_complete(&rig, 3, 1), MODEL_ERROR, MODEL_LENGTH));
    CHECK(is_at(model_device_complete(&rig.dev, 3, 0, &slot, &desc), MODEL_OK, MODEL_NONE, 0, 3));
    CHECK(slot == 0 && desc.id == 3 && desc.len == 0 && desc.flags == (AVAIL | USED));
    rig.ring[2] = (struct model_desc){BASE, 1, 3, avail0(0)};
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 2, 3));
    rig_close(&rig);
}

/* --- Device: completion ---------------------------------------------------------------------- */

/* "Write Flag", "Element Address and Length", "Driver and Device Ring Wrap Counters". */
static void used_descriptor_has_write_exactly_when_bytes_were_written(void)
{
    struct model_desc desc;
    uint32_t slot;
    struct rig rig;

    rig_open(&rig, 1, plain_config());
    for (unsigned lap = 0; lap < 4; lap++) {
        unsigned phase = lap % 2 == 0 ? AVAIL | USED : 0;
        uint32_t written = lap < 2 ? 0 : 16;

        CHECK(rig_submit(&rig, 0, 0, 1).outcome == MODEL_OK);
        CHECK(rig_take(&rig).outcome == MODEL_OK);
        CHECK(is(rig_complete(&rig, 0, 17), MODEL_ERROR, MODEL_LENGTH));
        CHECK(is(rig_complete(&rig, 1, 0), MODEL_ERROR, MODEL_NOT_IN_FLIGHT));
        CHECK(model_device_complete(&rig.dev, 0, written, &slot, &desc).outcome == MODEL_OK);
        CHECK(slot == 0 && desc.id == 0 && desc.len == written);
        CHECK(desc.flags == (phase | (written > 0 ? WRITE : 0)));
        CHECK(is(rig_complete(&rig, 0, 0), MODEL_ERROR, MODEL_NOT_IN_FLIGHT));
        rig.ring[0] = desc;
        CHECK(rig_return(&rig).outcome == MODEL_OK && rig.returned.len == written);
    }
    rig_close(&rig);
}

/* WRAP-03: "Next Flag: Descriptor Chaining": one used descriptor, then a skip by that chain. */
static void out_of_order_completion_skips_by_the_length_of_each_chain(void)
{
    static const uint32_t lens[] = {3, 1, 2};
    static const uint16_t order[] = {2, 0, 1};
    static const uint32_t expected_slots[] = {0, 2, 5};
    struct rig rig;

    rig_open(&rig, 6, plain_config());
    for (uint16_t id = 0; id < 3; id++) {
        CHECK(rig_submit(&rig, id, lens[id], 0).outcome == MODEL_OK);
        CHECK(rig_take(&rig).outcome == MODEL_OK);
    }
    for (unsigned i = 0; i < 3; i++)
        CHECK(is_at(rig_complete(&rig, order[i], 0), MODEL_OK, MODEL_NONE, expected_slots[i],
                    order[i]));
    for (unsigned i = 0; i < 3; i++) {
        CHECK(is_at(rig_return(&rig), MODEL_OK, MODEL_NONE, expected_slots[i], order[i]));
        CHECK(rig.returned.slots == lens[order[i]]);
    }
    CHECK(is(rig_return(&rig), MODEL_EMPTY, MODEL_NONE));
    CHECK(rig.drv.queue.used_pos == 6 && model_free_slots(&rig.drv.queue) == 6);
    rig_close(&rig);
}

/* --- Driver ---------------------------------------------------------------------------------- */

/* The specification's "Implementation Example", with its cursor and its toggled count. */
struct example_driver {
    uint32_t size;
    uint32_t next_avail;
    bool avail_wrap_count;
};

static void example_add(struct example_driver *vq, struct model_desc *ring, uint16_t id,
                        const struct model_element *b, uint32_t n_readable, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        unsigned avail = vq->avail_wrap_count ? AVAIL : 0;
        unsigned used = !vq->avail_wrap_count ? USED : 0;
        unsigned f = (i >= n_readable ? WRITE : 0) | avail | used | (i + 1 < n ? NEXT : 0);

        ring[vq->next_avail] = (struct model_desc){b[i].addr, b[i].len, id, (uint16_t)f};
        vq->next_avail++;
        if (vq->next_avail >= vq->size) {
            vq->next_avail = 0;
            vq->avail_wrap_count = !vq->avail_wrap_count;
        }
    }
}

/* "Placing Available Buffers Into The Descriptor Ring", "Implementation Example"; WRAP-01. */
static void submit_writes_what_the_specification_example_writes(void)
{
    for (uint32_t size = 1; size <= 9; size++) {
        struct example_driver example = {size, 0, true};
        struct model_desc expected[9] = {{0, 0, 0, 0}};
        struct rig rig;

        rig_open(&rig, size, plain_config());
        for (unsigned round = 0; round < 5000; round++) {
            uint32_t n = 1 + random_below(size);
            uint32_t n_readable = random_below(n + 1);
            uint16_t id = (uint16_t)random_below(size);

            CHECK(rig_submit(&rig, id, n_readable, n - n_readable).outcome == MODEL_OK);
            example_add(&example, expected, id, rig.elements, n_readable, n);
            for (uint32_t i = 0; i < n; i++)
                CHECK(memcmp(&rig.ring[rig.slots[i]], &expected[rig.slots[i]],
                             sizeof(expected[0])) == 0);
            CHECK(rig_take(&rig).outcome == MODEL_OK && rig.taken.slots == n);
            CHECK(rig_complete(&rig, id, 0).outcome == MODEL_OK);
            expected[rig.slots[0]] = rig.ring[rig.slots[0]];
            CHECK(memcmp(rig.ring, expected, size * sizeof(expected[0])) == 0);
            CHECK(rig_return(&rig).outcome == MODEL_OK && rig.returned.id == id);
        }
        rig_close(&rig);
    }
}

/* "Packed Virtqueues" (at least one element), "Scatter-Gather Support" (room); DRV-19. */
static void submit_refuses_nothing_too_much_and_bad_ids_and_changes_nothing(void)
{
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    CHECK(rig_submit(&rig, 1, 2, 0).outcome == MODEL_OK);
    CHECK(is(rig_submit(&rig, 9, 0, 0), MODEL_ERROR, MODEL_NO_ELEMENTS));
    CHECK(is(rig_submit(&rig, 9, 2, 1), MODEL_ERROR, MODEL_NO_SPACE));
    CHECK(is(rig_submit(&rig, 4, 1, 1), MODEL_ERROR, MODEL_BAD_ID));
    CHECK(is(rig_submit(&rig, 1, 1, 1), MODEL_ERROR, MODEL_DUPLICATE_ID));
    CHECK(is(model_driver_submit(&rig.drv, 0, rig.elements, UINT32_MAX, 1, rig.slots, rig.descs),
             MODEL_ERROR, MODEL_NO_SPACE));
    CHECK(is(model_driver_submit(&rig.drv, 0, rig.elements, UINT32_MAX, 2, rig.slots, rig.descs),
             MODEL_ERROR, MODEL_NO_SPACE));
    CHECK(rig.drv.queue.avail_pos == 2 && model_free_slots(&rig.drv.queue) == 2);
    CHECK(is_at(rig_submit(&rig, 0, 1, 1), MODEL_OK, MODEL_NONE, 2, 0));
    CHECK(is(rig_submit(&rig, 2, 1, 0), MODEL_ERROR, MODEL_NO_SPACE));
    rig_close(&rig);
}

/* One chain of id 1 in flight, writable for 32 bytes in two slots; a used descriptor by hand. */
static struct model_verdict hand_used(uint32_t slot, uint16_t id, uint32_t len, unsigned flags,
                                      struct model_returned *out)
{
    struct model_verdict v;
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    CHECK(rig_submit(&rig, 1, 1, 2).outcome == MODEL_OK);
    rig.ring[slot] = (struct model_desc){0, len, id, (uint16_t)flags};
    v = rig_return(&rig);
    *out = rig.returned;
    if (v.outcome == MODEL_BROKEN) {
        CHECK(model_free_slots(&rig.drv.queue) == 1);
        rig.ring[0] = (struct model_desc){0, 0, 1, AVAIL | USED};
        CHECK(is_at(rig_return(&rig), v.outcome, v.reason, v.slot, v.id));
        CHECK(is_at(rig_submit(&rig, 2, 1, 0), v.outcome, v.reason, v.slot, v.id));
        CHECK(!model_driver_kick(&rig.drv, (struct model_event){0, 0}));
        model_driver_reset(&rig.drv);
        CHECK(model_free_slots(&rig.drv.queue) == 4);
        CHECK(!model_driver_kick(&rig.drv, (struct model_event){0, 0}));
        CHECK(is_at(rig_submit(&rig, 1, 1, 0), MODEL_OK, MODEL_NONE, 0, 1));
        CHECK(model_driver_kick(&rig.drv, (struct model_event){0, 0}));
    }
    rig_close(&rig);
    return v;
}

/* "Element Address and Length": up to the capacity; DRV-04, DRV-05, DRV-06. */
static void used_length_counts_with_write_alone_and_fits_the_capacity(void)
{
    unsigned phase = AVAIL | USED;
    struct model_returned r;

    CHECK(is_at(hand_used(0, 1, 32, phase | WRITE, &r), MODEL_OK, MODEL_NONE, 0, 1));
    CHECK(r.len == 32 && r.id == 1 && r.slots == 3 && r.first_pos == 0);
    CHECK(is(hand_used(0, 1, 0, phase | WRITE, &r), MODEL_OK, MODEL_NONE) && r.len == 0);
    CHECK(is(hand_used(0, 1, 1, phase | WRITE, &r), MODEL_OK, MODEL_NONE) && r.len == 1);
    CHECK(is(hand_used(0, 1, 32, phase, &r), MODEL_OK, MODEL_NONE) && r.len == 0);
    CHECK(is(hand_used(0, 1, UINT32_MAX, phase, &r), MODEL_OK, MODEL_NONE) && r.len == 0);
    CHECK(is_at(hand_used(0, 1, 33, phase | WRITE, &r), MODEL_BROKEN, MODEL_LENGTH, 0, 1));
    CHECK(is(hand_used(0, 1, UINT32_MAX, phase | WRITE, &r), MODEL_BROKEN, MODEL_LENGTH));
}

/* "Next Flag: Descriptor Chaining": NEXT is ignored; INDIRECT has no meaning either. */
static void next_and_indirect_in_a_used_descriptor_are_ignored(void)
{
    struct model_returned r;

    CHECK(is(hand_used(0, 1, 5, AVAIL | USED | WRITE | NEXT, &r), MODEL_OK, MODEL_NONE));
    CHECK(r.len == 5 && r.slots == 3);
    CHECK(is(hand_used(0, 1, 5, AVAIL | USED | WRITE | INDIRECT, &r), MODEL_OK, MODEL_NONE));
    CHECK(r.len == 5 && r.slots == 3);
}

/* DRV-01 to DRV-03, reserved bits, and the order of the rules. */
static void used_descriptor_names_a_chain_in_flight(void)
{
    unsigned phase = AVAIL | USED | WRITE;
    struct model_returned r;
    struct rig rig;

    CHECK(is_at(hand_used(0, 4, 99, phase, &r), MODEL_BROKEN, MODEL_BAD_ID, 0, 4));
    CHECK(is_at(hand_used(0, 65535, 99, phase, &r), MODEL_BROKEN, MODEL_BAD_ID, 0, 65535));
    CHECK(is_at(hand_used(0, 0, 99, phase, &r), MODEL_BROKEN, MODEL_NOT_IN_FLIGHT, 0, 0));
    for (unsigned number = 3; number < 15; number++) {
        if (number == 7)
            continue;
        CHECK(is_at(hand_used(0, 9, 99, phase | 1u << number, &r), MODEL_BROKEN, MODEL_RESERVED, 0,
                    9));
    }
    /* the same id twice */
    rig_open(&rig, 2, plain_config());
    CHECK(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    CHECK(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    rig.ring[0] = (struct model_desc){0, 0, 1, AVAIL | USED};
    rig.ring[1] = (struct model_desc){0, 0, 1, AVAIL | USED};
    CHECK(is_at(rig_return(&rig), MODEL_OK, MODEL_NONE, 0, 1));
    CHECK(is_at(rig_return(&rig), MODEL_BROKEN, MODEL_NOT_IN_FLIGHT, 1, 1));
    rig_close(&rig);
}

/* DRV-10, DRV-11: "Polling of available and used descriptors": one place, one phase. */
static void used_descriptor_elsewhere_or_of_another_phase_is_empty(void)
{
    struct model_returned r;

    for (uint32_t slot = 1; slot < 4; slot++)
        CHECK(is_at(hand_used(slot, 1, 0, AVAIL | USED, &r), MODEL_EMPTY, MODEL_NONE, 0, 0));
    for (unsigned flags = 0; flags <= 0xffffu; flags += 8) {
        if ((flags & (AVAIL | USED)) != (AVAIL | USED))
            CHECK(is(hand_used(0, 1, 0, flags, &r), MODEL_EMPTY, MODEL_NONE));
    }
}

/* DRV-12: what the device does to descriptors in flight has no effect. */
static void driver_follows_its_own_record(void)
{
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    CHECK(rig_submit(&rig, 0, 1, 2).outcome == MODEL_OK);
    CHECK(rig_submit(&rig, 3, 1, 0).outcome == MODEL_OK);
    rig.ring[1] = (struct model_desc){7, 7, 7, 0xffff};
    rig.ring[2] = (struct model_desc){7, 7, 7, AVAIL | USED};
    rig.ring[0] = (struct model_desc){7, 32, 0, AVAIL | USED | WRITE};
    CHECK(is(rig_return(&rig), MODEL_OK, MODEL_NONE));
    CHECK(rig.returned.slots == 3 && rig.returned.len == 32);
    CHECK(is_at(rig_return(&rig), MODEL_EMPTY, MODEL_NONE, 3, 0));
    rig_close(&rig);
}

/* --- Events ---------------------------------------------------------------------------------- */

static struct model_event desc_event(uint32_t offset, unsigned wrap)
{
    return (struct model_event){(uint16_t)(offset | wrap << 15), 2};
}

/* "Driver and Device Event Suppression"; EVT-01, EVT-02, EVT-03. */
static void event_flags_0_and_3_notify_and_1_does_not(void)
{
    for (unsigned flags = 0; flags <= 0xffffu; flags++) {
        struct model_event nowhere = {(uint16_t)(3 | 1u << 15), (uint16_t)flags};
        bool due = model_event_due(4, 0, 2, nowhere);

        CHECK(due == ((flags & 3u) == 0 || (flags & 3u) == 3));
        CHECK(!model_event_due(4, 0, 0, nowhere));
    }
    for (uint32_t offset = 4; offset < 32768; offset++) {
        CHECK(model_event_due(4, 0, 1, desc_event(offset, 0)));
        CHECK(model_event_due(4, 0, 1, desc_event(offset, 1)));
    }
}

/* EVT-06: notify exactly when the position is one of those just written. The second opinion walks
 * from position 0 with a slot and a counter that is toggled. */
static void event_at_a_descriptor_fires_exactly_when_it_was_just_written(void)
{
    for (uint32_t size = 1; size <= 6; size++) {
        for (uint32_t offset = 0; offset < size; offset++) {
            for (unsigned wrap = 0; wrap <= 1; wrap++) {
                for (uint32_t first = 0; first < 3 * size; first++) {
                    for (uint32_t count = 0; count <= 2 * size + 1; count++) {
                        uint32_t slot = 0;
                        unsigned counter = 1;
                        bool expected = false;

                        for (uint32_t pos = 0; pos < first + count; pos++) {
                            if (pos >= first && slot == offset && counter == wrap)
                                expected = true;
                            if (++slot == size) {
                                slot = 0;
                                counter = !counter;
                            }
                        }
                        CHECK(model_event_due(size, first, count, desc_event(offset, wrap)) ==
                              expected);
                    }
                }
            }
        }
    }
}

/* CFG-02, CFG-03: the largest ring uses all 15 bits of the offset. */
static void event_works_at_the_largest_size(void)
{
    CHECK(model_event_due(32768, 32767, 1, desc_event(32767, 1)));
    CHECK(!model_event_due(32768, 32767, 1, desc_event(32767, 0)));
    CHECK(model_event_due(32768, 32767, 2, desc_event(0, 0)));
    CHECK(!model_event_due(32768, 32767, 2, desc_event(0, 1)));
    CHECK(!model_event_due(32767, 0, 32766, desc_event(32766, 1)));
    CHECK(model_event_due(32767, 0, 1, desc_event(32767, 1)));
}

/* "Next Flag: Descriptor Chaining" with "Driver and Device Event Suppression": the descriptors
 * skipped after a used one are used with it, so an event at one of them fires. */
static void decision_covers_everything_since_the_last_one_and_skipped_slots(void)
{
    struct rig rig;

    rig_open(&rig, 8, plain_config());
    CHECK(rig_submit(&rig, 0, 3, 0).outcome == MODEL_OK);
    CHECK(model_driver_kick(&rig.drv, desc_event(2, 1)));
    CHECK(!model_driver_kick(&rig.drv, desc_event(2, 1)));
    CHECK(!model_driver_kick(&rig.drv, (struct model_event){0, 0}));
    CHECK(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    CHECK(rig_submit(&rig, 2, 2, 0).outcome == MODEL_OK);
    CHECK(!model_driver_kick(&rig.drv, desc_event(2, 1)));
    CHECK(rig_submit(&rig, 3, 1, 0).outcome == MODEL_OK);
    CHECK(rig_submit(&rig, 4, 1, 0).outcome == MODEL_OK);
    CHECK(model_driver_kick(&rig.drv, desc_event(6, 1)));

    for (unsigned i = 0; i < 5; i++)
        CHECK(rig_take(&rig).outcome == MODEL_OK);
    CHECK(!model_device_notify(&rig.dev, (struct model_event){0, 0}));
    CHECK(rig_complete(&rig, 3, 0).outcome == MODEL_OK);
    CHECK(!model_device_notify(&rig.dev, desc_event(1, 1)));
    CHECK(rig_complete(&rig, 0, 0).outcome == MODEL_OK);
    CHECK(rig_complete(&rig, 1, 0).outcome == MODEL_OK);
    CHECK(model_device_notify(&rig.dev, desc_event(3, 1)));
    CHECK(rig_complete(&rig, 2, 0).outcome == MODEL_OK);
    CHECK(!model_device_notify(&rig.dev, desc_event(4, 1)));
    rig_close(&rig);
}

/* EVT-09: the peer changes its mind between batches; a "no" forgets the positions it was for. */
static void each_decision_takes_the_event_words_as_they_are(void)
{
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    CHECK(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    CHECK(model_driver_kick(&rig.drv, (struct model_event){0, 0}));
    CHECK(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    CHECK(!model_driver_kick(&rig.drv, (struct model_event){0, 1}));
    CHECK(rig_submit(&rig, 2, 1, 0).outcome == MODEL_OK);
    CHECK(model_driver_kick(&rig.drv, desc_event(2, 1)));
    CHECK(rig_submit(&rig, 3, 1, 0).outcome == MODEL_OK);
    CHECK(!model_driver_kick(&rig.drv, desc_event(1, 1)));
    rig_close(&rig);
}

/* --- Histories ------------------------------------------------------------------------------- */

/* U6: the slots of chains in flight and the free ones are N; ids are distinct. */
static void check_queue(const struct model_queue *queue)
{
    uint64_t taken = 0;

    for (uint32_t i = 0; i < queue->in_flight_count; i++) {
        taken += queue->in_flight[i].slots;
        for (uint32_t j = 0; j < i; j++)
            CHECK(queue->in_flight[i].id != queue->in_flight[j].id);
    }
    CHECK(queue->avail_pos - queue->used_pos == taken);
    CHECK(model_free_slots(queue) == queue->size - taken);
}

/* One random step of a conforming pair; expected_len holds what the device wrote, by id. */
static void random_step(struct rig *rig, uint32_t *expected_len, uint64_t *returned)
{
    uint32_t n = 1 + random_below(3);
    uint32_t n_readable = random_below(n + 1);
    uint16_t id = (uint16_t)random_below(rig->size);
    bool made_available = rig->drv.queue.avail_pos > rig->dev.queue.avail_pos;
    bool made_used = rig->dev.queue.used_pos > rig->drv.queue.used_pos;
    bool has_room = n <= model_free_slots(&rig->drv.queue);
    struct model_verdict v;

    switch (random_below(4)) {
    case 0:
        v = rig_submit(rig, id, n_readable, n - n_readable);
        CHECK(v.outcome == MODEL_OK || v.outcome == MODEL_ERROR);
        CHECK((v.reason == MODEL_NO_SPACE) == !has_room);
        break;
    case 1:
        v = rig_take(rig);
        CHECK(v.outcome == (made_available ? MODEL_OK : MODEL_EMPTY));
        break;
    case 2:
        if (rig->dev.queue.in_flight_count > 0) {
            uint32_t pick = random_below(rig->dev.queue.in_flight_count);
            struct model_chain chain = rig->dev.queue.in_flight[pick];

            expected_len[chain.id] = random_below((uint32_t)chain.writable_len + 1);
            CHECK(rig_complete(rig, chain.id, expected_len[chain.id]).outcome == MODEL_OK);
        }
        break;
    default:
        v = rig_return(rig);
        CHECK(v.outcome == (made_used ? MODEL_OK : MODEL_EMPTY));
        if (v.outcome == MODEL_OK) {
            CHECK(rig->returned.len == expected_len[v.id]);
            *returned += 1;
        }
        break;
    }
}

/* The two sides agree with each other at any size, in any order of completion. */
static void conforming_pair_never_breaks_and_conserves_slots(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 13, 64};

    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        uint32_t expected_len[64] = {0};
        uint64_t returned = 0;
        struct rig rig;

        rig_open(&rig, sizes[s], plain_config());
        for (unsigned step = 0; step < 40000; step++) {
            random_step(&rig, expected_len, &returned);
            check_queue(&rig.dev.queue);
            check_queue(&rig.drv.queue);
            CHECK(rig.drv.queue.used_pos <= rig.dev.queue.used_pos);
            CHECK(rig.dev.queue.used_pos <= rig.dev.queue.avail_pos);
            CHECK(rig.dev.queue.avail_pos <= rig.drv.queue.avail_pos);
        }
        CHECK(returned > 1000);
        rig_close(&rig);
    }
}

/* WRAP-01: more than 2^17 laps of small rings. */
static void many_laps_do_not_drift(void)
{
    for (uint32_t size = 1; size <= 5; size++) {
        struct rig rig;

        rig_open(&rig, size, plain_config());
        while (rig.drv.queue.used_pos / size <= 1u << 17) {
            uint32_t n = 1 + (uint32_t)(rig.drv.queue.avail_pos % size);

            CHECK(rig_submit(&rig, 0, 0, n).outcome == MODEL_OK);
            CHECK(rig_take(&rig).outcome == MODEL_OK && rig.taken.slots == n);
            CHECK(rig_complete(&rig, 0, 16 * n).outcome == MODEL_OK);
            CHECK(rig_return(&rig).outcome == MODEL_OK && rig.returned.len == 16 * n);
        }
        rig_close(&rig);
    }
}

/* CFG-03: the largest ring, one chain of all slots and then chains across its end. */
static void largest_ring_wraps(void)
{
    struct rig rig;

    rig_open(&rig, 32768, plain_config());
    CHECK(rig_submit(&rig, 32767, 32767, 0).outcome == MODEL_OK);
    CHECK(rig_take(&rig).outcome == MODEL_OK && rig.taken.slots == 32767);
    CHECK(rig_complete(&rig, 32767, 0).outcome == MODEL_OK && rig_return(&rig).outcome == MODEL_OK);
    CHECK(is_at(rig_submit(&rig, 0, 0, 32768), MODEL_OK, MODEL_NONE, 32767, 0));
    CHECK(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 32767, 0));
    CHECK(rig.taken.slots == 32768 && rig.taken.writable_len == 16u * 32768u);
    CHECK(is_at(rig_complete(&rig, 0, 16u * 32768u), MODEL_OK, MODEL_NONE, 32767, 0));
    CHECK(is_at(rig_return(&rig), MODEL_OK, MODEL_NONE, 32767, 0));
    CHECK(rig.returned.len == 16u * 32768u && rig.returned.slots == 32768);
    rig_close(&rig);
}

/* --- Runner ---------------------------------------------------------------------------------- */

struct test {
    const char *name;
    void (*run)(void);
};

#define TEST(name)  \
    {               \
#name, name \
    }

static const struct test tests[] = {
    TEST(sizes_from_1_to_32768_are_accepted_and_no_other),
    TEST(wrap_counter_starts_at_1_and_changes_after_the_last_slot),
    TEST(only_one_phase_of_four_is_available_and_one_is_used),
    TEST(head_without_its_phase_is_empty_and_changes_nothing),
    TEST(later_slot_is_not_seen_before_the_next_one),
    TEST(next_that_never_clears_is_too_long_after_n_descriptors),
    TEST(chain_of_n_descriptors_is_accepted_and_ends_at_the_same_slot),
    TEST(chain_over_the_free_slots_is_overcommit_after_free_descriptors),
    TEST(head_in_a_full_ring_is_overcommit),
    TEST(chain_across_the_ring_end_changes_phase),
    TEST(tail_without_the_phase_of_its_own_lap_is_torn),
    TEST(indirect_is_broken_on_head_middle_and_tail),
    TEST(each_reserved_bit_is_broken),
    TEST(readable_after_writable_is_broken),
    TEST(id_of_n_or_more_is_broken),
    TEST(id_in_flight_is_broken_and_free_again_after_completion),
    TEST(id_is_that_of_the_last_descriptor),
    TEST(first_violated_rule_gives_the_reason),
    TEST(broken_device_stays_broken_until_reset),
    TEST(buffer_lies_in_one_region_with_the_right_it_needs),
    TEST(zero_length_descriptor_is_skipped_and_counts_as_a_slot),
    TEST(total_length_and_segments_are_capped),
    TEST(first_offending_element_gives_the_reason),
    TEST(broken_chain_is_never_a_reject),
    TEST(rejected_chain_is_completed_empty_and_the_queue_goes_on),
    TEST(used_descriptor_has_write_exactly_when_bytes_were_written),
    TEST(out_of_order_completion_skips_by_the_length_of_each_chain),
    TEST(submit_writes_what_the_specification_example_writes),
    TEST(submit_refuses_nothing_too_much_and_bad_ids_and_changes_nothing),
    TEST(used_length_counts_with_write_alone_and_fits_the_capacity),
    TEST(next_and_indirect_in_a_used_descriptor_are_ignored),
    TEST(used_descriptor_names_a_chain_in_flight),
    TEST(used_descriptor_elsewhere_or_of_another_phase_is_empty),
    TEST(driver_follows_its_own_record),
    TEST(event_flags_0_and_3_notify_and_1_does_not),
    TEST(event_at_a_descriptor_fires_exactly_when_it_was_just_written),
    TEST(event_works_at_the_largest_size),
    TEST(decision_covers_everything_since_the_last_one_and_skipped_slots),
    TEST(each_decision_takes_the_event_words_as_they_are),
    TEST(conforming_pair_never_breaks_and_conserves_slots),
    TEST(many_laps_do_not_drift),
    TEST(largest_ring_wraps),
};

int main(void)
{
    unsigned passed = 0;
    unsigned failed = 0;

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        failures_in_test = 0;
        tests[i].run();
        if (failures_in_test == 0) {
            passed++;
        } else {
            failed++;
            printf("FAIL %s (%lu)\n", tests[i].name, failures_in_test);
        }
    }
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
