/*
 * A driver in two halves, on one thread: beside the driver that has both, step by step over a ring
 * of its own, before the same device, sound and not. Ids are handed out in another order, so that
 * they are compared by the number of the chain that they name.
 */
#include "ring_fixture.h"
#include <halo/halves.h>

#define NONE UINT32_MAX

/* A ring for the halves, which the fixture's device knows nothing of. */
struct split {
    struct ring *ring; /* the fixture: the one-thread driver's */
    unsigned char *memory;
    struct halo_ring_place place;
    struct halo_desc *desc;
    struct halo_halves halves;
    uint64_t *records;
    uint16_t *ids, *seen;
    uint32_t *chain_of[2]; /* of each id, in each ring: the chain in flight; NONE */
    uint32_t *id_of[2]; /* of each chain in flight: its id; chains are numbered round and round */
    uint32_t *slots_of; /* 0: no such chain is in flight */
    uint32_t *capacity_of; /* its writable bytes */
    uint64_t used;         /* position of the next used entry */
    uint32_t next_chain, not_given_back;
    bool honest; /* the device breaks no rule */
};

static void split_start(struct split *s, struct ring *ring)
{
    const uint32_t size = ring->size;

    memset(s, 0, sizeof(*s));
    s->ring = ring;
    s->memory = aligned_alloc(64, halo_ring_bytes(size));
    memset(s->memory, 0, halo_ring_bytes(size));
    assert_int_equal(halo_ring_place_in(halo_shm_share(s->memory), size, &s->place), 0);
    s->desc = halo_shm_expose(s->place.desc);
    /* One of each too many: whoever looks there finds a chain in flight. */
    s->records = calloc(size + 1, sizeof(*s->records));
    s->ids = calloc(size, sizeof(*s->ids));
    s->seen = calloc(size + 1, sizeof(*s->seen));
    s->slots_of = calloc(size, sizeof(*s->slots_of));
    s->capacity_of = calloc(size, sizeof(*s->capacity_of));
    memset(s->records, 0x5a, (size + 1) * sizeof(*s->records)); /* they need not be zeroed */
    memset(s->seen, 0x5b, (size + 1) * sizeof(*s->seen));
    for (int i = 0; i < 2; i++) {
        s->chain_of[i] = malloc(size * sizeof(uint32_t));
        s->id_of[i] = malloc(size * sizeof(uint32_t));
        for (uint32_t id = 0; id < size; id++)
            s->chain_of[i][id] = NONE;
    }
    assert_int_equal(halo_halves_init(&s->halves, &s->place, s->records, s->ids, s->seen), 0);
}

static void split_end(struct split *s)
{
    free(s->memory);
    free(s->records);
    free(s->ids);
    free(s->seen);
    free(s->slots_of);
    free(s->capacity_of);
    for (int i = 0; i < 2; i++) {
        free(s->chain_of[i]);
        free(s->id_of[i]);
    }
}

/* Both rings hold the same but for ids. */
static void assert_same_ring(const struct split *s)
{
    for (uint32_t i = 0; i < s->ring->size; i++) {
        assert_int_equal(s->ring->desc[i].addr, s->desc[i].addr);
        assert_int_equal(s->ring->desc[i].meta & ~(0xffffull << 32),
                         s->desc[i].meta & ~(0xffffull << 32));
    }
}

/* The chain was submitted in both rings. */
static void note(struct split *s, int one, int two, uint32_t slots, uint32_t capacity)
{
    const uint32_t size = s->ring->size;

    while (s->slots_of[s->next_chain % size])
        s->next_chain++;
    s->next_chain %= size;
    assert_in_range(one, 0, size - 1);
    assert_in_range(two, 0, size - 1);
    assert_int_equal(s->chain_of[0][one], NONE);
    assert_int_equal(s->chain_of[1][two], NONE);
    s->chain_of[0][one] = s->chain_of[1][two] = s->next_chain;
    s->id_of[0][s->next_chain] = (uint32_t)one;
    s->id_of[1][s->next_chain] = (uint32_t)two;
    s->slots_of[s->next_chain] = slots;
    s->capacity_of[s->next_chain] = capacity;
}

static void submit_some(struct split *s)
{
    struct ring *ring = s->ring;
    const uint32_t room = halo_driver_room(&ring->driver);
    const uint32_t most = ring->size < 6 ? ring->size : 6;
    uint32_t readable = ring_random(ring, most + 1), writable = ring_random(ring, most + 1);
    const bool latched = ring->driver.violation.reason;
    uint32_t capacity = 0;
    int one, two;

    if (readable + writable > ring->size)
        readable = 0;
    for (uint32_t i = 0; i < readable + writable; i++)
        ring->bufs[i] =
            (struct halo_buf){DATA_BASE + ring_random(ring, 999), ring_random(ring, 99)};
    if (ring_random(ring, 50) == 0 && readable + writable > 0)
        ring->bufs[readable + writable - 1].len = UINT32_MAX; /* two of them are too much */
    two = halo_submitter_submit(&s->halves.submitter, ring->bufs, readable, writable);
    if (!latched && two == HALO_EFULL && readable + writable > room - s->not_given_back)
        return; /* there they are free already */
    one = halo_driver_submit(&ring->driver, ring->bufs, readable, writable);
    if (one < 0) {
        assert_int_equal(one, two);
        return;
    }
    for (uint32_t i = readable; i < readable + writable; i++)
        capacity += ring->bufs[i].len;
    note(s, one, two, readable + writable, capacity);
}

static void submit_batch(struct split *s)
{
    struct ring *ring = s->ring;
    const uint32_t room = halo_submitter_room(&s->halves.submitter);
    uint32_t count = ring_random(ring, 9);
    const bool writable = ring_random(ring, 2);
    uint16_t one[8], two[8];
    int got;

    for (uint32_t i = 0; i < count && i < ring->size; i++)
        ring->bufs[i] =
            (struct halo_buf){DATA_BASE + ring_random(ring, 999), ring_random(ring, 99)};
    if (count > ring->size)
        count = ring->size;
    if (count > room && s->not_given_back > 0)
        count = room;
    if (count == 0 && s->not_given_back > 0)
        return;
    got = halo_submitter_submit_batch(&s->halves.submitter, ring->bufs, count, writable, two);
    assert_int_equal(halo_driver_submit_batch(&ring->driver, ring->bufs, count, writable, one),
                     got);
    for (int i = 0; i < got; i++)
        note(s, one[i], two[i], 1, writable ? ring->bufs[i].len : 0);
}

/* As a device, in both rings: a used entry for the chain, or for an id where that is NONE. */
static void use(struct split *s, uint32_t chain, uint32_t id, uint32_t len, uint32_t flags)
{
    struct ring *ring = s->ring;
    const uint64_t at = s->used;
    const uint32_t one = chain == NONE ? id : s->id_of[0][chain];
    const uint32_t two = chain == NONE ? id : s->id_of[1][chain];

    answer(ring, at, len, one, flags);
    s->desc[at % ring->size].meta = desc_at(ring, at)->meta;
    s->desc[at % ring->size].meta &= ~(0xffffull << 32);
    s->desc[at % ring->size].meta |= (uint64_t)two << 32;
}

/* An id that nothing in flight has in either ring; NONE where there is none. */
static uint32_t id_of_nobody(struct split *s)
{
    for (uint32_t id = 0; id < s->ring->size; id++) {
        if (s->chain_of[0][id] == NONE && s->chain_of[1][id] == NONE)
            return id;
    }
    return NONE;
}

static void answer_some(struct split *s)
{
    struct ring *ring = s->ring;
    const uint32_t at = ring_random(ring, ring->size);
    uint32_t chain = NONE;

    for (uint32_t i = 0; i < ring->size && chain == NONE; i++) {
        if (s->slots_of[(at + i) % ring->size])
            chain = (at + i) % ring->size;
    }
    if (chain == NONE || ring->driver.violation.reason)
        return;
    switch (s->honest ? 9 : ring_random(ring, 60)) {
    case 0: /* DRV-01 */
        use(s, NONE, ring->size + ring_random(ring, 2), 0, HALO_DESC_WRITE);
        break;
    case 1: /* DRV-02 */
        if (id_of_nobody(s) == NONE)
            return;
        use(s, NONE, id_of_nobody(s), 0, 0);
        break;
    case 2: /* DRV-04 */
        use(s, chain, 0, s->capacity_of[chain] + 1, HALO_DESC_WRITE);
        break;
    case 3:
        use(s, chain, 0, 0, HALO_DESC_NEXT << ring_random(ring, 15));
        break;
    case 4: /* DRV-06: no length without WRITE */
        use(s, chain, 0, UINT32_MAX, 0);
        break;
    case 5:
        use(s, chain, 0, s->capacity_of[chain], HALO_DESC_WRITE);
        break;
    default:
        use(s, chain, 0, ring_random(ring, s->capacity_of[chain] / 2 + 1),
            ring_random(ring, 3) ? HALO_DESC_WRITE : 0);
    }
}

static void reap_one(struct split *s)
{
    struct ring *ring = s->ring;
    struct halo_used one = {0}, two = {.id = 1, .len = 1, .kind = 1, .word = 1};
    const int got = halo_driver_poll(&ring->driver, &one);
    const struct halo_violation *here = &ring->driver.violation;
    const struct halo_violation *there = &s->halves.reaper.violation;
    uint32_t chain;

    assert_int_equal(ring_random(ring, 2) ? halo_reaper_poll(&s->halves.reaper, &two)
                                          : halo_reaper_poll_batch(&s->halves.reaper, &two, 1),
                     got);
    assert_int_equal(here->reason, there->reason);
    assert_int_equal(here->slot, there->slot);
    assert_int_equal(here->meta & ~(0xffffull << 32), there->meta & ~(0xffffull << 32));
    assert_int_equal(there->id, halo_meta_id(there->meta));
    if (got <= 0)
        return;
    chain = s->chain_of[0][one.id];
    assert_int_not_equal(chain, NONE);
    assert_int_equal(s->chain_of[1][two.id], chain);
    assert_int_equal(one.len, two.len);
    assert_int_equal(two.kind, 0);
    assert_int_equal(two.word, 0);
    s->chain_of[0][one.id] = s->chain_of[1][two.id] = NONE;
    s->used += s->slots_of[chain];
    s->not_given_back += s->slots_of[chain];
    s->slots_of[chain] = 0;
}

/* Both ask for the same notifications, and decide the same about kicks. */
static void ask_both(struct split *s)
{
    struct ring *ring = s->ring;
    struct halo_event *const driver_event = halo_shm_expose(s->place.driver_event);
    struct halo_event *const device_event = halo_shm_expose(s->place.device_event);

    if (ring_random(ring, 2)) {
        assert_int_equal(halo_driver_arm(&ring->driver), halo_reaper_arm(&s->halves.reaper));
    } else {
        halo_driver_disarm(&ring->driver);
        halo_reaper_disarm(&s->halves.reaper);
    }
    assert_int_equal(driver_event->word, ring->driver_event->word);
    ask(ring->device_event, ring_random(ring, 4), ring_random(ring, ring->size),
        ring_random(ring, 2));
    *device_event = *ring->device_event;
    assert_int_equal(halo_driver_should_kick(&ring->driver),
                     halo_submitter_should_kick(&s->halves.submitter));
}

/* What was in flight is told once, in both, and nothing can be submitted. */
static void fail_both(struct split *s)
{
    uint32_t count[2] = {0, 0};
    uint16_t id;

    assert_int_equal(halo_submitter_room(&s->halves.submitter), 0);
    while (halo_driver_fail(&s->ring->driver, &id) > 0) {
        assert_int_not_equal(s->chain_of[0][id], NONE);
        count[0]++;
    }
    while (halo_reaper_fail(&s->halves.reaper, &id) == 1) {
        assert_int_not_equal(s->chain_of[1][id], NONE);
        s->chain_of[1][id] = NONE;
        count[1]++;
    }
    assert_int_equal(count[0], count[1]);
    assert_int_equal(halo_reaper_fail(&s->halves.reaper, &id), 0);
}

static void the_halves_do_what_the_driver_does(void **state)
{
    struct ring *ring = *state;
    struct split s;
    uint16_t id;

    for (int life = 0; life < 100; life++) {
        ring_start(ring);
        split_start(&s, ring);
        s.honest = life % 2;
        assert_int_equal(halo_reaper_fail(&s.halves.reaper, &id), HALO_ESTATE);
        for (int step = 0; step < 500; step++) {
            switch (ring_random(ring, 6)) {
            case 0:
                submit_some(&s);
                break;
            case 1:
                submit_batch(&s);
                break;
            case 2:
                ask_both(&s);
                break;
            case 3:
                halo_reaper_return(&s.halves.reaper);
                s.not_given_back = 0;
                break;
            default:
                answer_some(&s);
                reap_one(&s);
            }
            if (!ring->driver.violation.reason)
                assert_int_equal(halo_submitter_room(&s.halves.submitter) + s.not_given_back,
                                 halo_driver_room(&ring->driver));
            assert_same_ring(&s);
        }
        halo_driver_stop(&ring->driver);
        halo_reaper_stop(&s.halves.reaper);
        assert_int_equal(ring->driver.violation.reason, s.halves.reaper.violation.reason);
        fail_both(&s);
        submit_some(&s);
        submit_batch(&s);
        reap_one(&s);
        ask_both(&s);
        assert_same_ring(&s);
        split_end(&s);
    }
}

static void an_id_is_the_reaping_halfs_until_it_is_returned(void **state)
{
    struct ring *ring = *state;
    const uint32_t size = ring->size;
    struct halo_used used;
    struct split s;

    split_start(&s, ring);
    for (uint32_t i = 0; i < size; i++) {
        const struct halo_buf buf = {DATA_BASE, 1};

        assert_int_equal(halo_submitter_submit(&s.halves.submitter, &buf, 0, 1), (int)i);
    }
    assert_int_equal(halo_submitter_room(&s.halves.submitter), 0);
    s.desc[0].meta = halo_meta(1, (uint16_t)(size - 1), HALO_PHASE_MASK | HALO_DESC_WRITE);
    assert_int_equal(halo_reaper_poll(&s.halves.reaper, &used), 1);
    assert_int_equal(used.id, size - 1);
    assert_int_equal(halo_submitter_submit(&s.halves.submitter, ring->bufs, 1, 0), HALO_EFULL);
    halo_reaper_return(&s.halves.reaper);
    assert_int_equal(halo_submitter_room(&s.halves.submitter), 1);
    assert_int_equal(halo_submitter_submit(&s.halves.submitter, ring->bufs, 1, 0), (int)size - 1);
    split_end(&s);
}

/* Some used entries at once: as many as there are, or as many as are asked for; and armed beside.
 */
static void the_reaping_half_takes_what_is_there(void **state)
{
    struct ring *ring = *state;
    struct halo_used used[4] = {{0}};
    uint16_t ids[4];
    struct split s;

    split_start(&s, ring);
    for (uint32_t i = 0; i < 4; i++)
        ring->bufs[i] = (struct halo_buf){DATA_BASE, 1};
    assert_int_equal(halo_submitter_submit_batch(&s.halves.submitter, ring->bufs, 4, true, ids), 4);
    assert_int_equal(halo_reaper_poll_batch(&s.halves.reaper, used, 0), 0);
    assert_false(halo_reaper_arm(&s.halves.reaper));
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(halo_meta_id(s.desc[i].meta), ids[i]);
    for (uint32_t i = 0; i < 3; i++)
        s.desc[i].meta = halo_meta(1, ids[i], HALO_PHASE_MASK | HALO_DESC_WRITE);
    assert_true(halo_reaper_arm(&s.halves.reaper));
    assert_int_equal(halo_reaper_poll_batch(&s.halves.reaper, used, 2), 2);
    assert_int_equal(used[1].id, ids[1]);
    assert_int_equal(used[2].len, 0);
    assert_int_equal(halo_reaper_poll_batch(&s.halves.reaper, used, 4), 1);
    assert_int_equal(used[0].id, ids[2]);
    assert_int_equal(halo_reaper_poll_batch(&s.halves.reaper, used, 4), 0);
    halo_reaper_stop(&s.halves.reaper);
    assert_int_equal(halo_reaper_poll_batch(&s.halves.reaper, used, 4), HALO_EBROKEN);
    assert_true(halo_reaper_arm(&s.halves.reaper));
    split_end(&s);
}

/* Nothing was submitted yet: no id may come back, whatever lay in the arrays. */
static void at_first_nothing_is_in_flight(void **state)
{
    struct ring *ring = *state;
    struct halo_used used;
    struct split s;

    for (uint32_t id = 0; id<ring->size; id += ring->size> 1 ? ring->size - 1 : 1) {
        split_start(&s, ring);
        s.desc[0].meta = halo_meta(0, (uint16_t)id, HALO_PHASE_MASK);
        assert_int_equal(halo_reaper_poll(&s.halves.reaper, &used), HALO_EBROKEN);
        assert_int_equal(s.halves.reaper.violation.reason, HALO_BROKEN_NOT_IN_FLIGHT);
        split_end(&s);
    }
}

static void a_chain_can_be_the_whole_ring(void **state)
{
    struct ring *ring = *state;
    struct split s;

    for (int writable = 0; writable < 2; writable++) {
        split_start(&s, ring);
        for (uint32_t i = 0; i < ring->size; i++)
            ring->bufs[i] = (struct halo_buf){DATA_BASE, 1};
        assert_int_equal(halo_submitter_submit(&s.halves.submitter, ring->bufs,
                                               writable ? 0 : ring->size,
                                               writable ? ring->size : 0),
                         0);
        assert_int_equal(halo_submitter_room(&s.halves.submitter), 0);
        split_end(&s);
    }
}

static void what_makes_no_chain_is_refused(void **state)
{
    struct ring *ring = *state;
    struct halo_ring_place nowhere = ring->place;
    struct halo_buf bufs[2] = {{DATA_BASE, UINT32_MAX}, {DATA_BASE, 1}};
    struct split s;

    split_start(&s, ring);
    nowhere.size = 0;
    assert_int_equal(halo_halves_init(&s.halves, &nowhere, s.records, s.ids, s.seen), HALO_EINVAL);
    assert_int_equal(halo_submitter_room(&s.halves.submitter), ring->size);
    assert_int_equal(halo_submitter_submit(&s.halves.submitter, bufs, 0, 0), HALO_EINVAL);
    assert_int_equal(halo_submitter_submit(&s.halves.submitter, bufs, UINT32_MAX, 2), HALO_EINVAL);
    assert_int_equal(halo_submitter_submit(&s.halves.submitter, bufs, 2, UINT32_MAX), HALO_EINVAL);
    assert_int_equal(halo_submitter_submit(&s.halves.submitter, bufs, ring->size, 1), HALO_EINVAL);
    if (ring->size > 1)
        assert_int_equal(halo_submitter_submit(&s.halves.submitter, bufs, 0, 2), HALO_EINVAL);
    assert_int_equal(halo_submitter_submit_batch(&s.halves.submitter, bufs, 0, true, NULL), 0);
    assert_false(halo_submitter_should_kick(&s.halves.submitter));
    split_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT(1, the_halves_do_what_the_driver_does),
        AT(2, the_halves_do_what_the_driver_does),
        AT(3, the_halves_do_what_the_driver_does),
        AT(8, the_halves_do_what_the_driver_does),
        AT(255, the_halves_do_what_the_driver_does),
        AT_EVERY_SIZE(an_id_is_the_reaping_halfs_until_it_is_returned),
        AT(5, the_reaping_half_takes_what_is_there),
        AT_EVERY_SIZE(at_first_nothing_is_in_flight),
        AT_EVERY_SIZE(a_chain_can_be_the_whole_ring),
        AT_EVERY_SIZE(what_makes_no_chain_is_refused),
    };

    return cmocka_run_group_tests_name("halves", tests, NULL, NULL);
}
