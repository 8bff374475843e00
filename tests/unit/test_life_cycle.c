/* The life of chains between two honest sides, from the first to the last of many laps. */
#include "ring_fixture.h"

/* Nothing is in flight, and all cursors of both sides stand here. */
static void assert_at_rest(const struct ring *ring, uint64_t position)
{
    assert_cursor(halo_at_cursor(ring->driver.avail, &ring->place), position, ring->size);
    assert_cursor(halo_at_cursor(ring->driver.published, &ring->place), position, ring->size);
    assert_cursor(halo_driver_used(&ring->driver), position, ring->size);
    assert_cursor(halo_device_avail(&ring->device), position, ring->size);
    assert_cursor(halo_at_cursor(ring->device.published, &ring->place), position, ring->size);
    assert_cursor(halo_at_cursor(ring->device.used, &ring->place), position, ring->size);
    assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    assert_int_equal(halo_device_in_flight(&ring->device), 0);
}

static void chains_go_round_for_more_than_three_laps(void **state)
{
    struct ring *ring = *state;
    uint64_t position = 0;

    while (position <= 3 * (uint64_t)ring->size + 2) {
        uint32_t slots = 1 + ring_random(ring, least(ring->size, 8));
        uint32_t readable = ring_random(ring, slots + 1);

        ring_round_trip(ring, readable, slots - readable);
        position += slots;
        assert_at_rest(ring, position);
    }
    assert_int_equal(ring_take(ring), 0);
    assert_int_equal(ring_collect(ring), 0);
}

static void wrap_01_more_than_2_17_laps_bring_no_drift(void **state)
{
    struct ring *ring = *state;
    uint64_t position = 0;

    while (position / ring->size <= (1u << 17) + 1) {
        uint32_t slots = 1 + ring_random(ring, ring->size);

        ring_round_trip(ring, slots - 1, 1);
        position += slots;
        assert_at_rest(ring, position);
    }
}

/* All lengths of a chain up to the whole ring; of the largest ring some. */
static uint32_t next_length(const struct ring *ring, uint32_t length)
{
    if (ring->size <= 256 || length + 1 >= ring->size)
        return length + 1;
    return least(3 * length + 1, ring->size - 1);
}

static void a_chain_of_every_length_arrives_buffer_by_buffer(void **state)
{
    struct ring *ring = *state;

    for (uint32_t total = 1; total <= ring->size; total = next_length(ring, total)) {
        uint32_t readable = ring_random(ring, total + 1);
        uint64_t readable_len = 0, writable_len = 0;
        int id;

        for (uint32_t i = 0; i < total; i++) {
            ring->bufs[i].len = 1 + ring_random(ring, 16);
            ring->bufs[i].addr = DATA_BASE + ring_random(ring, DATA_LEN - 16);
            *(i < readable ? &readable_len : &writable_len) += ring->bufs[i].len;
        }
        id = halo_driver_add(&ring->driver, ring->bufs, readable, total - readable);
        assert_in_range(id, 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_int_equal(ring_take(ring), 1);
        assert_int_equal(halo_token_id(ring->chain.token), id);
        assert_int_equal(ring->chain.slots, total);
        assert_int_equal(ring->chain.readable_count, readable);
        assert_int_equal(ring->chain.writable_count, total - readable);
        assert_int_equal(ring->chain.readable_len, readable_len);
        assert_int_equal(ring->chain.writable_len, writable_len);
        assert_int_equal(ring->chain.reject, HALO_REJECT_NOT);
        for (uint32_t i = 0; i < total; i++) {
            assert_ptr_equal(halo_shm_expose(ring->spans[i].base),
                             ring->data + (ring->bufs[i].addr - DATA_BASE));
            assert_int_equal(ring->spans[i].len, ring->bufs[i].len);
        }
        ring_give(ring, ring->chain.token, (uint32_t)writable_len);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, writable_len);
        assert_int_equal(ring_collect(ring), 0);
    }
}

static void dev_04_a_chain_of_every_length_goes_on_across_the_ring_end(void **state)
{
    struct ring *ring = *state;
    uint64_t position = 0;

    for (uint32_t total = 2; total <= ring->size; total = next_length(ring, total)) {
        for (; position % ring->size != ring->size - 1; position++)
            ring_round_trip(ring, 0, 1);
        ring_round_trip(ring, 1, total - 1);
        position += total;
        assert_at_rest(ring, position);
    }
}

static void a_full_ring_takes_nothing_and_an_empty_one_gives_nothing(void **state)
{
    struct ring *ring = *state;

    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < ring->size; i++) {
            assert_int_equal(halo_driver_room(&ring->driver), ring->size - i);
            assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1);
        }
        assert_int_equal(halo_driver_room(&ring->driver), 0);
        assert_int_equal(ring_add(ring, 0, 1), HALO_EFULL);
        halo_driver_publish(&ring->driver);
        assert_int_equal(ring_add(ring, 1, 0), HALO_EFULL);
        for (uint32_t i = 0; i < ring->size; i++) {
            assert_int_equal(ring_take(ring), 1);
            ring->tokens[i] = ring->chain.token;
        }
        assert_int_equal(ring_take(ring), 0);
        assert_int_equal(ring_collect(ring), 0);
        for (uint32_t i = 0; i < ring->size; i++)
            ring_give(ring, ring->tokens[i], 1);
        halo_device_publish(&ring->device);
        for (uint32_t i = 0; i < ring->size; i++) {
            assert_int_equal(ring_collect(ring), 1);
            assert_int_equal(halo_driver_room(&ring->driver), i + 1);
        }
        assert_int_equal(ring_collect(ring), 0);
        assert_int_equal(ring_take(ring), 0);
        ring_round_trip(ring, 0, ring->size);
        ring_round_trip(ring, 1, 0);
    }
}

/* Of all that was remembered, only meta of this descriptor is different now. */
static void assert_only_meta_changed(struct ring *ring, uint64_t position)
{
    uint64_t *meta = &((struct halo_desc *)(void *)ring->before)[position % ring->size].meta;

    assert_int_not_equal(*meta, desc_at(ring, position)->meta);
    *meta = desc_at(ring, position)->meta;
    assert_ring_unchanged(ring);
}

static void wrap_04_a_batch_is_seen_as_a_whole_when_its_first_flags_are_stored(void **state)
{
    struct ring *ring = *state;
    uint64_t position = ring->size - 1;
    uint32_t count;

    ring_start_at(ring, position);
    for (int batch = 0; batch < 7; batch++) {
        uint64_t head = desc_at(ring, position)->meta;

        for (count = 0; halo_driver_room(&ring->driver) > 0; count++) {
            uint32_t slots = 1 + ring_random(ring, least(3, halo_driver_room(&ring->driver)));

            assert_in_range(ring_add(ring, 0, slots), 0, ring->size - 1);
            assert_int_equal(desc_at(ring, position)->meta, head);
            assert_int_equal(ring_take(ring), 0);
        }
        ring_remember(ring);
        halo_driver_publish(&ring->driver);
        assert_only_meta_changed(ring, position);

        head = desc_at(ring, position)->meta;
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(ring_take(ring), 1);
            ring_give(ring, ring->chain.token, 1);
            assert_int_equal(desc_at(ring, position)->meta, head);
            assert_int_equal(ring_collect(ring), 0);
        }
        ring_remember(ring);
        halo_device_publish(&ring->device);
        assert_only_meta_changed(ring, position);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(ring_collect(ring), 1);
        position += ring->size;
        assert_at_rest(ring, position);
    }
}

static void publishing_nothing_writes_nothing(void **state)
{
    struct ring *ring = *state;

    for (int i = 0; i < 3; i++) {
        ring_remember(ring);
        halo_driver_publish(&ring->driver);
        halo_device_publish(&ring->device);
        assert_ring_unchanged(ring);
        ring_round_trip(ring, 1, 0);
    }
}

/* --- Many chains at once, finished in any order ---------------------------------------------- */

/* What the test itself knows of a chain in flight, by id. */
struct flight {
    uint32_t slots, writable, written;
};

struct traffic {
    struct ring *ring;
    struct flight *flights; /* slots == 0: not in flight */
    uint16_t *order;        /* ids as they were completed */
    uint32_t taken, completed;
    uint64_t used_position;
};

static void add_some(struct traffic *t)
{
    struct ring *ring = t->ring;
    uint32_t most = ring->size > 8 ? ring->size / 8 : ring->size;

    while (halo_driver_room(&ring->driver) > 0 && ring_random(ring, 8)) {
        uint32_t slots = 1 + ring_random(ring, least(most, halo_driver_room(&ring->driver)));
        uint32_t writable = ring_random(ring, slots + 1);
        int id = ring_add(ring, slots - writable, writable);

        assert_in_range(id, 0, ring->size - 1);
        assert_int_equal(t->flights[id].slots, 0); /* U6: ids in flight are distinct */
        t->flights[id] = (struct flight){slots, writable, 0};
        if (ring_random(ring, 3) == 0)
            halo_driver_publish(&ring->driver);
    }
    halo_driver_publish(&ring->driver);
}

static void complete_some(struct traffic *t)
{
    struct ring *ring = t->ring;
    uint64_t position = t->used_position;

    while (t->taken > 0 && ring_random(ring, 8)) {
        uint32_t pick = ring_random(ring, t->taken);
        struct halo_token token = ring->tokens[pick];
        struct flight *flight = &t->flights[halo_token_id(token)];

        ring->tokens[pick] = ring->tokens[--t->taken];
        flight->written = ring_random(ring, flight->writable + 1);
        ring_give(ring, token, flight->written);
        t->order[t->completed++] = halo_token_id(token);
    }
    halo_device_publish(&ring->device);
    for (uint32_t i = 0; i < t->completed; i++) {
        const struct flight *flight = &t->flights[t->order[i]];
        uint32_t flags = used_flags(ring, position) | (flight->written ? HALO_DESC_WRITE : 0);

        assert_int_equal(desc_at(ring, position)->meta,
                         halo_meta(flight->written, t->order[i], (uint16_t)flags));
        position += flight->slots;
    }
}

static void collect_all(struct traffic *t)
{
    struct ring *ring = t->ring;

    for (uint32_t i = 0; i < t->completed; i++) {
        struct flight *flight = &t->flights[t->order[i]];

        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, t->order[i]);
        assert_int_equal(ring->used.len, flight->written);
        t->used_position += flight->slots;
        assert_cursor(halo_driver_used(&ring->driver), t->used_position, ring->size);
        flight->slots = 0;
    }
    t->completed = 0;
    assert_int_equal(ring_collect(ring), 0);
}

static void wrap_03_chains_finished_in_any_order_are_followed_by_their_own_lengths(void **state)
{
    struct ring *ring = *state;
    struct traffic t = {.ring = ring};

    t.flights = calloc(ring->size, sizeof(*t.flights));
    t.order = calloc(ring->size, sizeof(*t.order));
    while (t.used_position <= 4 * (uint64_t)ring->size + 100) {
        uint32_t in_flight = 0;

        add_some(&t);
        while (ring_take(ring) > 0) {
            assert_int_equal(ring->chain.slots, t.flights[halo_token_id(ring->chain.token)].slots);
            ring->tokens[t.taken++] = ring->chain.token;
        }
        complete_some(&t);
        collect_all(&t);
        for (uint32_t id = 0; id < ring->size; id++)
            in_flight += t.flights[id].slots;
        assert_int_equal(in_flight + halo_driver_room(&ring->driver), ring->size); /* U6 */
        assert_int_equal(in_flight, halo_device_in_flight(&ring->device));
    }
    free(t.flights);
    free(t.order);
}

static void ids_of_a_full_ring_are_all_different_and_are_used_again(void **state)
{
    struct ring *ring = *state;
    bool *seen = calloc(ring->size, sizeof(*seen));

    for (int round = 0; round < 3; round++) {
        memset(seen, 0, ring->size * sizeof(*seen));
        for (uint32_t i = 0; i < ring->size; i++) {
            int id = ring_add(ring, 1, 0);

            assert_in_range(id, 0, ring->size - 1);
            assert_false(seen[id]);
            seen[id] = true;
        }
        halo_driver_publish(&ring->driver);
        for (uint32_t i = 0; i < ring->size; i++) {
            assert_int_equal(ring_take(ring), 1);
            ring->tokens[i] = ring->chain.token;
        }
        for (uint32_t i = ring->size; i-- > 0;)
            ring_give(ring, ring->tokens[i], 0);
        halo_device_publish(&ring->device);
        for (uint32_t i = ring->size; i-- > 0;) {
            assert_int_equal(ring_collect(ring), 1);
            assert_int_equal(ring->used.id, halo_token_id(ring->tokens[i]));
        }
    }
    free(seen);
}

/* --- Reset ----------------------------------------------------------------------------------- */

static void assert_fresh(const struct ring *ring)
{
    assert_at_rest(ring, 0);
    assert_int_equal(ring->driver.violation.reason, HALO_BROKEN_NOT);
    assert_int_equal(ring->device.violation.reason, HALO_BROKEN_NOT);
    assert_true(ring->driver.staged == 0 && ring->driver.unannounced == 0);
    assert_true(ring->device.staged == 0 && ring->device.unannounced == 0);
}

static void rst_02_after_a_break_both_sides_start_again_twice_in_a_row(void **state)
{
    struct ring *ring = *state;

    for (int round = 0; round < 3; round++) {
        ring_start_at(ring, ring->size + 1);
        offer(ring, ring->size + 1, DATA_BASE, 1, 0, HALO_DESC_INDIRECT);
        assert_int_equal(ring_take(ring), HALO_EBROKEN);
        answer(ring, ring->size + 1, 0, 0, 0);
        assert_int_equal(ring_collect(ring), HALO_EBROKEN);
        ring_start(ring);
        assert_fresh(ring);
        ring_start(ring);
        assert_fresh(ring);
        assert_int_equal(ring_take(ring), 0);
        assert_int_equal(ring_collect(ring), 0);
        ring_round_trip(ring, 0, ring->size);
    }
}

static void rst_03_nothing_that_was_under_way_survives_a_reset(void **state)
{
    struct ring *ring = *state;
    struct halo_token token;

    ring_round_trip(ring, 0, 1); /* decisions pending on both sides */
    assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    token = ring->chain.token;
    if (ring->size > 1)
        assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1); /* staged, in flight */
    ring_start(ring);
    assert_fresh(ring);
    ring_remember(ring);
    assert_false(halo_driver_should_kick(&ring->driver));
    assert_false(halo_device_should_notify(&ring->device));
    halo_driver_publish(&ring->driver);
    halo_device_publish(&ring->device);
    assert_int_equal(halo_device_complete(&ring->device, token, 0), HALO_ESTALE);
    assert_ring_unchanged(ring);
    for (uint32_t i = 0; i < 2 * ring->size; i++)
        ring_round_trip(ring, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(chains_go_round_for_more_than_three_laps),
        AT(1, wrap_01_more_than_2_17_laps_bring_no_drift),
        AT(2, wrap_01_more_than_2_17_laps_bring_no_drift),
        AT(3, wrap_01_more_than_2_17_laps_bring_no_drift),
        AT(4, wrap_01_more_than_2_17_laps_bring_no_drift),
        AT(5, wrap_01_more_than_2_17_laps_bring_no_drift),
        AT_EVERY_SIZE(a_chain_of_every_length_arrives_buffer_by_buffer),
        FROM_SIZE_2(dev_04_a_chain_of_every_length_goes_on_across_the_ring_end),
        AT_EVERY_SIZE(a_full_ring_takes_nothing_and_an_empty_one_gives_nothing),
        AT_EVERY_SIZE(wrap_04_a_batch_is_seen_as_a_whole_when_its_first_flags_are_stored),
        AT_EVERY_SIZE(publishing_nothing_writes_nothing),
        AT_EVERY_SIZE(wrap_03_chains_finished_in_any_order_are_followed_by_their_own_lengths),
        AT_EVERY_SIZE(ids_of_a_full_ring_are_all_different_and_are_used_again),
        AT_EVERY_SIZE(rst_02_after_a_break_both_sides_start_again_twice_in_a_row),
        AT_EVERY_SIZE(rst_03_nothing_that_was_under_way_survives_a_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
