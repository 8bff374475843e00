/* A device and a driver that breaks the rules of the ring. What is wrong with buffers only: see
 * test_reject.c. */
#include "ring_fixture.h"

static void assert_nothing_taken(const struct ring *ring, uint64_t position)
{
    assert_cursor(halo_device_avail(&ring->device), position, ring->size);
    assert_int_equal(halo_device_in_flight(&ring->device), 0);
    for (uint32_t id = 0; id < ring->size; id++)
        assert_int_equal(ring->device_chains[id].slots, 0);
}

/* --- Length of a chain ----------------------------------------------------------------------- */

static void dev_01_next_on_every_descriptor_breaks_the_queue_at_the_nth(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < ring->size; i++)
        offer(ring, i, DATA_BASE, 1, 0, HALO_DESC_NEXT);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_nothing_taken(ring, 0);
    assert_int_equal(ring->device.violation.addr, DATA_BASE);
    assert_device_latched(ring, HALO_BROKEN_TOO_LONG, ring->size - 1);
}

/* Also where the descriptors of the next lap are there already. */
static void dev_01_a_chain_that_goes_round_the_ring_end_is_too_long(void **state)
{
    struct ring *ring = *state;
    uint64_t start = 2 * (uint64_t)ring->size - 1;

    ring_start_at(ring, start);
    for (uint32_t i = 0; i < ring->size; i++)
        offer(ring, start + i, DATA_BASE, 1, 0, HALO_DESC_NEXT);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_nothing_taken(ring, start);
    assert_device_latched(ring, HALO_BROKEN_TOO_LONG, start + ring->size - 1);
}

static void dev_02_a_chain_of_exactly_n_ends_on_the_same_slot_of_the_next_lap(void **state)
{
    struct ring *ring = *state;

    for (uint64_t start = 0; start < 7 * (uint64_t)ring->size; start += ring->size) {
        offer_chain(ring, start, ring->size, ring->size - 1);
        assert_int_equal(ring_take(ring), 1);
        assert_int_equal(ring->chain.slots, ring->size);
        assert_int_equal(ring->chain.readable_count, ring->size);
        assert_cursor(halo_device_avail(&ring->device), start + ring->size, ring->size);
        assert_int_equal(halo_device_in_flight(&ring->device), ring->size);
        ring_give(ring, ring->chain.token, 0);
        halo_device_publish(&ring->device);
        assert_cursor(halo_at_cursor(ring->device.used, &ring->place), start + ring->size,
                      ring->size);
    }
}

static void dev_03_a_chain_longer_than_what_is_left_is_overcommitted(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    offer_chain(ring, 1, ring->size, 1); /* its last descriptor lies on the first chain */
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_cursor(halo_device_avail(&ring->device), 1, ring->size);
    assert_int_equal(halo_device_in_flight(&ring->device), 1);
    assert_device_latched(ring, HALO_BROKEN_OVERCOMMIT, ring->size - 1);
}

static void dev_03_a_chain_of_exactly_what_is_left_is_taken(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    offer_chain(ring, 1, ring->size - 1, 1);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(halo_device_in_flight(&ring->device), ring->size);
    assert_int_equal(ring_take(ring), 0);
}

static void dev_04_a_chain_goes_on_across_the_ring_end(void **state)
{
    struct ring *ring = *state;
    uint64_t start = ring->size - 1;

    for (int lap = 0; lap < 3; lap++) {
        ring_start_at(ring, start + (uint64_t)lap * ring->size);
        offer_chain(ring, start + (uint64_t)lap * ring->size, 2, 0);
        assert_int_equal(ring_take(ring), 1);
        assert_int_equal(ring->chain.slots, 2);
        assert_cursor(halo_device_avail(&ring->device), start + (uint64_t)lap * ring->size + 2,
                      ring->size);
    }
}

static void dev_05_descriptors_across_the_ring_end_without_the_toggle_are_torn(void **state)
{
    struct ring *ring = *state;
    uint64_t start = ring->size - 1;

    ring_start_at(ring, start);
    offer_chain(ring, start, 2, 0);
    flip(ring, start + 1, HALO_PHASE_MASK);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_nothing_taken(ring, start);
    assert_device_latched(ring, HALO_BROKEN_TORN, start + 1);
}

/* At every descriptor of a chain but the first, with each wrong pair of phase bits. */
static void dev_05_a_chain_with_a_descriptor_that_is_not_available_is_torn(void **state)
{
    static const uint32_t wrong[] = {HALO_DESC_AVAIL, HALO_DESC_USED, HALO_PHASE_MASK};
    struct ring *ring = *state;
    uint32_t length = least(ring->size, 20);

    for (uint32_t bad = 1; bad < length; bad++) {
        for (int i = 0; i < 3; i++) {
            ring_start(ring);
            offer_chain(ring, 0, length, 0);
            flip(ring, bad, wrong[i]);
            assert_int_equal(ring_take(ring), HALO_EBROKEN);
            assert_nothing_taken(ring, 0);
            assert_device_latched(ring, HALO_BROKEN_TORN, bad);
        }
    }
}

static void dev_06_a_head_that_is_not_available_in_this_lap_is_nothing(void **state)
{
    struct ring *ring = *state;

    for (uint64_t start = 0; start <= 2 * (uint64_t)ring->size; start += ring->size) {
        uint16_t right = available_flags(ring, start);

        ring_start_at(ring, start);
        for (uint32_t flags = 0; flags <= 0xffff; flags++) {
            if ((flags & HALO_PHASE_MASK) == right)
                continue;
            desc_at(ring, start)->addr = UINT64_MAX;
            desc_at(ring, start)->meta = halo_meta(UINT32_MAX, 0xffff, (uint16_t)flags);
            assert_int_equal(ring_take(ring), 0);
        }
        assert_nothing_taken(ring, start);
        offer_chain(ring, start, 1, 0);
        assert_int_equal(ring_take(ring), 1);
    }
}

/* --- Flags ----------------------------------------------------------------------------------- */

/* Turn `flags` over at every place of a chain in turn. The device must break right there. */
static void assert_broken_anywhere(struct ring *ring, uint32_t flags, enum halo_broken reason)
{
    uint32_t length = least(ring->size, 3);

    for (uint32_t bad = 0; bad < length; bad++) {
        ring_start_at(ring, 1);
        offer_chain(ring, 1, length, 0);
        flip(ring, 1 + bad, flags);
        assert_int_equal(ring_take(ring), HALO_EBROKEN);
        assert_nothing_taken(ring, 1);
        assert_int_equal(ring->device.violation.addr, DATA_BASE + bad);
        assert_device_latched(ring, reason, 1 + bad);
    }
}

static void dev_07_indirect_breaks_the_queue_wherever_it_stands(void **state)
{
    assert_broken_anywhere(*state, HALO_DESC_INDIRECT, HALO_BROKEN_INDIRECT);
    assert_broken_anywhere(*state, HALO_DESC_INDIRECT | HALO_DESC_WRITE, HALO_BROKEN_INDIRECT);
    assert_broken_anywhere(*state, HALO_DESC_INDIRECT | HALO_DESC_NEXT, HALO_BROKEN_INDIRECT);
    assert_broken_anywhere(*state, HALO_DESC_INDIRECT | HALO_DESC_NEXT | HALO_DESC_WRITE,
                           HALO_BROKEN_INDIRECT);
}

static void dev_08_a_sound_indirect_table_breaks_the_queue_too(void **state)
{
    struct ring *ring = *state;
    const struct halo_desc table = {DATA_BASE + 4096, halo_meta(8, 0, 0)};

    memcpy(ring->data, &table, sizeof(table));
    offer(ring, 0, DATA_BASE, sizeof(table), 0, HALO_DESC_INDIRECT);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_INDIRECT, 0);
}

static void dev_09_each_reserved_flag_breaks_the_queue_wherever_it_stands(void **state)
{
    static const int reserved[] = {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14};

    for (int i = 0; i < 11; i++)
        assert_broken_anywhere(*state, 1u << reserved[i], HALO_BROKEN_RESERVED);
    assert_broken_anywhere(*state, 0x7f78, HALO_BROKEN_RESERVED);
}

static void dev_10_a_readable_buffer_after_a_writable_one_breaks_the_queue(void **state)
{
    struct ring *ring = *state;
    uint32_t length = least(ring->size, 9);

    /* Writable from `first` on, but for the readable one at `bad`. */
    for (uint32_t first = 0; first < length; first++) {
        for (uint32_t bad = first + 1; bad < length; bad++) {
            ring_start(ring);
            offer_chain(ring, 0, length, 0);
            for (uint32_t i = first; i < length; i++)
                flip(ring, i, i == bad ? 0 : HALO_DESC_WRITE);
            assert_int_equal(ring_take(ring), HALO_EBROKEN);
            assert_nothing_taken(ring, 0);
            assert_device_latched(ring, HALO_BROKEN_ORDER, bad);
        }
    }
}

static void dev_10_an_empty_buffer_keeps_its_place_in_the_order(void **state)
{
    struct ring *ring = *state;

    offer(ring, 0, 0, 0, 0, HALO_DESC_WRITE | HALO_DESC_NEXT);
    offer(ring, 1, DATA_BASE, 1, 0, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_ORDER, 1);
}

/* --- What belongs to whom -------------------------------------------------------------------- */

static void dev_20_the_descriptor_after_a_tail_belongs_to_the_next_chain(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 2, 0);
    offer(ring, 2, DATA_BASE + 77, 5, 1, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.slots, 2);
    assert_int_equal(ring->chain.writable_count, 0);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.slots, 1);
    assert_int_equal(halo_token_id(ring->chain.token), 1);
    assert_ptr_equal(halo_shm_expose(ring->spans[0].base), ring->data + 77);
}

static void dev_20_what_stands_behind_a_gap_waits_until_the_gap_is_filled(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 1; i < ring->size; i++)
        offer_chain(ring, i, 1, i);
    assert_int_equal(ring_take(ring), 0);
    offer_chain(ring, 0, 1, 0);
    for (uint32_t i = 0; i < ring->size; i++) {
        assert_int_equal(ring_take(ring), 1);
        assert_int_equal(halo_token_id(ring->chain.token), i);
    }
    assert_int_equal(ring_take(ring), 0);
}

static void dev_21_a_head_that_is_taken_back_in_time_was_never_there(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    flip(ring, 0, HALO_PHASE_MASK);
    assert_int_equal(ring_take(ring), 0);
    offer(ring, 0, DATA_BASE + 9, 3, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.writable_len, 3);
}

static void dev_21_rewriting_what_the_device_owns_has_no_effect(void **state)
{
    struct ring *ring = *state;
    uint32_t length = least(ring->size, 3);
    struct halo_token token;

    offer_chain(ring, 0, length, 0);
    flip(ring, length - 1, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    token = ring->chain.token;
    /* A longer chain, another id, more room: none of it counts any more. */
    for (uint32_t i = 0; i < ring->size; i++)
        desc_at(ring, i)->meta = halo_meta(UINT32_MAX, 0xffff, 0xff7f & ~available_flags(ring, i));
    assert_ptr_equal(halo_shm_expose(ring->spans[0].base), ring->data);
    assert_int_equal(halo_device_complete(&ring->device, token, 2), HALO_EINVAL);
    ring_give(ring, token, 1);
    halo_device_publish(&ring->device);
    assert_int_equal(desc_at(ring, 0)->meta, halo_meta(1, 0, HALO_PHASE_MASK | HALO_DESC_WRITE));
    assert_cursor(halo_at_cursor(ring->device.used, &ring->place), length, ring->size);
    assert_int_equal(halo_device_in_flight(&ring->device), 0);
}

static void dev_22_a_full_ring_that_is_offered_again_is_overcommitted(void **state)
{
    struct ring *ring = *state;
    uint64_t end = 2 * (uint64_t)ring->size + 1;

    ring_start_at(ring, ring->size + 1);
    for (uint64_t i = ring->size + 1; i < end; i++) {
        offer_chain(ring, i, 1, (uint32_t)(i % ring->size));
        assert_int_equal(ring_take(ring), 1);
    }
    assert_int_equal(ring_take(ring), 0);
    offer_chain(ring, end, 1, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_int_equal(halo_device_in_flight(&ring->device), ring->size);
    assert_int_equal(ring->device.violation.addr, 0);
    assert_device_latched(ring, HALO_BROKEN_OVERCOMMIT, end);
}

/* --- Ids ------------------------------------------------------------------------------------- */

static void id_01_an_id_that_is_not_below_the_ring_size_breaks_the_queue(void **state)
{
    struct ring *ring = *state;
    const uint32_t bad[] = {ring->size, ring->size + 1, 0x8000, 0xffff};

    for (int i = 0; i < 4; i++) {
        ring_start(ring);
        offer(ring, 0, DATA_BASE + 3, 1, bad[i], 0);
        assert_int_equal(ring_take(ring), HALO_EBROKEN);
        assert_nothing_taken(ring, 0);
        assert_int_equal(ring->device.violation.id, bad[i]);
        assert_int_equal(ring->device.violation.addr, DATA_BASE + 3);
        assert_device_latched(ring, HALO_BROKEN_BAD_ID, 0);
    }
}

static void id_02_an_id_that_is_still_in_flight_breaks_the_queue(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, ring->size - 1);
    assert_int_equal(ring_take(ring), 1);
    offer_chain(ring, 1, 1, ring->size - 1);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_int_equal(halo_device_in_flight(&ring->device), 1);
    assert_device_latched(ring, HALO_BROKEN_DUPLICATE_ID, 1);
}

static void id_02_an_id_may_be_used_again_after_its_completion(void **state)
{
    struct ring *ring = *state;

    for (uint64_t i = 0; i < 3 * (uint64_t)ring->size; i++) {
        offer_chain(ring, i, 1, ring->size - 1);
        assert_int_equal(ring_take(ring), 1);
        ring_give(ring, ring->chain.token, 0);
        halo_device_publish(&ring->device);
    }
}

static void id_03_the_last_descriptor_gives_the_id(void **state)
{
    struct ring *ring = *state;

    for (uint32_t length = 2; length <= least(ring->size, 20); length++) {
        ring_start(ring);
        offer_chain(ring, 0, length, 0xffff);
        offer(ring, length - 1, DATA_BASE, 1, ring->size - 1, 0);
        assert_int_equal(ring_take(ring), 1);
        assert_int_equal(halo_token_id(ring->chain.token), ring->size - 1);
    }
}

/* --- Tokens ---------------------------------------------------------------------------------- */

/* A completion with this token is refused, and nothing is different afterwards. */
static void assert_complete_refused(struct ring *ring, struct halo_token token, uint32_t written,
                                    int error)
{
    struct halo_device before;

    memcpy(&before, &ring->device, sizeof(before));
    ring_remember(ring);
    assert_int_equal(halo_device_complete(&ring->device, token, written), error);
    assert_memory_equal(&before, &ring->device, sizeof(before));
    assert_ring_unchanged(ring);
}

static void id_05_a_token_from_before_is_stale(void **state)
{
    struct ring *ring = *state;
    struct halo_token first, second;

    offer_chain(ring, 0, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    first = ring->chain.token;
    ring_give(ring, first, 0);
    assert_complete_refused(ring, first, 0, HALO_ESTALE); /* completed */
    halo_device_publish(&ring->device);
    offer_chain(ring, 1, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    second = ring->chain.token;
    assert_complete_refused(ring, first, 0, HALO_ESTALE); /* its id is used again */
    ring_start(ring);
    assert_complete_refused(ring, second, 0, HALO_ESTALE); /* reset */
    offer_chain(ring, 0, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    assert_complete_refused(ring, first, 0, HALO_ESTALE);
    assert_complete_refused(ring, second, 0, HALO_ESTALE);
    ring_give(ring, ring->chain.token, 0);
}

static void id_05_a_forged_token_is_stale(void **state)
{
    struct ring *ring = *state;
    struct halo_token token;

    offer_chain(ring, 0, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    token = ring->chain.token;
    token.word += 2 * HALO_TOKEN_FREE;
    assert_complete_refused(ring, token, 0, HALO_ESTALE);
    token.word -= 4 * HALO_TOKEN_FREE;
    assert_complete_refused(ring, token, 0, HALO_ESTALE);
    token = ring->chain.token;
    for (uint32_t id = 1; id <= 0xffff; id = id < ring->size + 2 ? id + 1 : 2 * id + 1) {
        token = halo_token_make(halo_token_generation(token), (uint16_t)id);
        assert_int_equal(halo_device_complete(&ring->device, token, 0), HALO_ESTALE);
    }
    token = halo_token_make(halo_token_generation(token), 0xffff);
    assert_complete_refused(ring, token, 0, HALO_ESTALE);
    token = halo_token_make(0, (uint16_t)ring->size); /* the record behind the last */
    assert_complete_refused(ring, token, 0, HALO_ESTALE);
    ring_give(ring, ring->chain.token, 0);
}

static void more_than_the_writable_bytes_cannot_be_given_back(void **state)
{
    struct ring *ring = *state;

    offer(ring, 0, DATA_BASE, 1000, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    assert_complete_refused(ring, ring->chain.token, 1001, HALO_EINVAL);
    assert_complete_refused(ring, ring->chain.token, UINT32_MAX, HALO_EINVAL);
    ring_give(ring, ring->chain.token, 1000);
    halo_device_publish(&ring->device);
    offer(ring, 1, DATA_BASE, 1000, 0, 0);
    assert_int_equal(ring_take(ring), 1);
    assert_complete_refused(ring, ring->chain.token, 1, HALO_EINVAL);
    ring_give(ring, ring->chain.token, 0);
}

/* Completions that nobody has seen yet are not published by a queue that broke meanwhile. */
static void a_broken_device_publishes_nothing_that_it_had_staged(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    ring_give(ring, ring->chain.token, 0);
    offer(ring, 1, DATA_BASE, 1, 0, HALO_DESC_INDIRECT);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_INDIRECT, 1);
    assert_int_equal(ring_collect(ring), 0);
}

/* Completed is not given back: until the publish the slots are not the driver's to fill again. */
static void dev_22_a_driver_that_refills_before_the_publish_is_overcommitted(void **state)
{
    struct ring *ring = *state;
    struct halo_token token;

    for (uint64_t i = 0; i < ring->size; i++) {
        offer_chain(ring, i, 1, (uint32_t)i);
        assert_int_equal(ring_take(ring), 1);
        token = ring->chain.token;
        assert_int_equal(halo_device_complete(&ring->device, token, 0), 0);
    }
    assert_int_equal(ring->device.staged, ring->size);
    offer_chain(ring, ring->size, 1, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_OVERCOMMIT, ring->size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(dev_01_next_on_every_descriptor_breaks_the_queue_at_the_nth),
        AT_EVERY_SIZE(dev_01_a_chain_that_goes_round_the_ring_end_is_too_long),
        AT_EVERY_SIZE(dev_02_a_chain_of_exactly_n_ends_on_the_same_slot_of_the_next_lap),
        FROM_SIZE_2(dev_03_a_chain_longer_than_what_is_left_is_overcommitted),
        FROM_SIZE_2(dev_03_a_chain_of_exactly_what_is_left_is_taken),
        FROM_SIZE_2(dev_04_a_chain_goes_on_across_the_ring_end),
        FROM_SIZE_2(dev_05_descriptors_across_the_ring_end_without_the_toggle_are_torn),
        FROM_SIZE_2(dev_05_a_chain_with_a_descriptor_that_is_not_available_is_torn),
        AT_EVERY_SIZE(dev_06_a_head_that_is_not_available_in_this_lap_is_nothing),
        AT_EVERY_SIZE(dev_07_indirect_breaks_the_queue_wherever_it_stands),
        AT_EVERY_SIZE(dev_08_a_sound_indirect_table_breaks_the_queue_too),
        AT_EVERY_SIZE(dev_09_each_reserved_flag_breaks_the_queue_wherever_it_stands),
        FROM_SIZE_2(dev_10_a_readable_buffer_after_a_writable_one_breaks_the_queue),
        FROM_SIZE_2(dev_10_an_empty_buffer_keeps_its_place_in_the_order),
        FROM_SIZE_3(dev_20_the_descriptor_after_a_tail_belongs_to_the_next_chain),
        FROM_SIZE_2(dev_20_what_stands_behind_a_gap_waits_until_the_gap_is_filled),
        AT_EVERY_SIZE(dev_21_a_head_that_is_taken_back_in_time_was_never_there),
        AT_EVERY_SIZE(dev_21_rewriting_what_the_device_owns_has_no_effect),
        AT_EVERY_SIZE(dev_22_a_full_ring_that_is_offered_again_is_overcommitted),
        AT_EVERY_SIZE(dev_22_a_driver_that_refills_before_the_publish_is_overcommitted),
        AT_EVERY_SIZE(id_01_an_id_that_is_not_below_the_ring_size_breaks_the_queue),
        FROM_SIZE_2(id_02_an_id_that_is_still_in_flight_breaks_the_queue),
        AT_EVERY_SIZE(id_02_an_id_may_be_used_again_after_its_completion),
        FROM_SIZE_2(id_03_the_last_descriptor_gives_the_id),
        AT_EVERY_SIZE(id_05_a_token_from_before_is_stale),
        AT_EVERY_SIZE(id_05_a_forged_token_is_stale),
        AT_EVERY_SIZE(more_than_the_writable_bytes_cannot_be_given_back),
        FROM_SIZE_2(a_broken_device_publishes_nothing_that_it_had_staged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
