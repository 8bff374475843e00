/* A driver that gives up on its device: what is in flight fails once, and stays lent. */
#include "ring_fixture.h"

/* Fill the ring with chains of 1 or 2 slots; take some, return some. Marks the ids still out. */
static uint32_t some_in_flight(struct ring *ring, bool *out)
{
    uint32_t count = 0;
    int id;

    ring_start(ring);
    while ((id = ring_add(ring, 1 + ring_random(ring, 2) % ring->size, 0)) >= 0) {
        out[id] = true;
        count++;
        if (ring_random(ring, 3) > 0)
            halo_driver_publish(&ring->driver);
    }
    for (uint32_t i = ring_random(ring, 5); i > 0 && ring_take(ring) == 1; i--) {
        if (ring_random(ring, 2) == 0)
            continue;
        ring_give(ring, ring->chain.token, 0);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
        out[ring->used.id] = false;
        count--;
    }
    return count;
}

static void drv_20_each_chain_that_is_out_fails_exactly_once(void **state)
{
    struct ring *ring = *state;
    bool *out = calloc(ring->size, sizeof(*out));

    for (int round = 0; round < 20; round++) {
        uint32_t count;
        uint16_t id = 0;

        memset(out, 0, ring->size * sizeof(*out));
        count = some_in_flight(ring, out);
        if (round % 2) {
            halo_driver_stop(&ring->driver);
        } else {
            answer(ring, halo_driver_used(&ring->driver).slot, 0, ring->size, 0);
            if (!halo_cursor_wrap(halo_driver_used(&ring->driver)))
                flip(ring, halo_driver_used(&ring->driver).slot, HALO_PHASE_MASK);
            assert_int_equal(ring_collect(ring), HALO_EBROKEN);
        }
        ring_remember(ring);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(halo_driver_fail(&ring->driver, &id), 1);
            assert_true(out[id]);
            out[id] = false;
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(halo_driver_fail(&ring->driver, &id), 0);
        assert_int_equal(ring_collect(ring), HALO_EBROKEN);   /* nothing is handed out as done */
        assert_int_equal(halo_driver_room(&ring->driver), 0); /* nor lent out again */
        assert_ring_unchanged(ring);
    }
    free(out);
}

static void drv_20_a_queue_that_works_has_nothing_to_fail(void **state)
{
    struct ring *ring = *state;
    uint16_t id = 42;

    assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
    assert_int_equal(halo_driver_fail(&ring->driver, &id), HALO_ESTATE);
    assert_int_equal(id, 42);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    ring_give(ring, ring->chain.token, 0);
    halo_device_publish(&ring->device);
    assert_int_equal(ring_collect(ring), 1);
}

static void drv_09_a_driver_that_stops_is_latched_and_its_buffers_stay_lent(void **state)
{
    struct ring *ring = *state;
    int id = ring_add(ring, 0, 1);

    halo_driver_publish(&ring->driver);
    halo_driver_stop(&ring->driver);
    assert_int_equal(ring->driver.violation.reason, HALO_BROKEN_STOPPED);
    assert_true(ring->driver.violation.meta == 0 && ring->driver.violation.addr == 0);
    ring_remember(ring);
    assert_int_equal(ring_add(ring, 1, 0), HALO_EBROKEN);
    halo_driver_publish(&ring->driver);
    assert_false(halo_driver_should_kick(&ring->driver));
    assert_true(halo_driver_arm(&ring->driver));
    halo_driver_disarm(&ring->driver);
    assert_ring_unchanged(ring);

    assert_int_equal(ring_take(ring), 1); /* the device has not heard of it yet: RST-04 */
    assert_int_equal(halo_token_id(ring->chain.token), id);
    ring_give(ring, ring->chain.token, 1);
    halo_device_publish(&ring->device);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    assert_int_equal(halo_driver_room(&ring->driver), 0);
}

static void rst_04_stopping_a_broken_queue_keeps_the_first_reason(void **state)
{
    struct ring *ring = *state;

    assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    answer(ring, 0, 2, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    halo_driver_stop(&ring->driver);
    assert_driver_latched(ring, HALO_BROKEN_LENGTH, 0);
}

static void rst_04_after_a_confirmed_reset_all_ids_and_slots_are_back(void **state)
{
    struct ring *ring = *state;
    uint16_t id;

    for (int round = 0; round < 3; round++) {
        while (ring_add(ring, 1, 0) >= 0)
            halo_driver_publish(&ring->driver);
        halo_driver_stop(&ring->driver);
        assert_int_equal(halo_driver_fail(&ring->driver, &id), 1);
        ring_start(ring);
        assert_int_equal(halo_driver_fail(&ring->driver, &id), HALO_ESTATE);
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
        for (uint32_t i = 0; i < ring->size; i++)
            ring_round_trip(ring, 1, 0);
        halo_driver_stop(&ring->driver);
        assert_int_equal(halo_driver_fail(&ring->driver, &id), 0);
        ring_start(ring);
    }
}

static void drv_05_a_length_below_what_was_lent_is_passed_on_as_it_is(void **state)
{
    struct ring *ring = *state;

    for (uint32_t len = 0; len <= 8; len++) {
        const struct halo_buf buf = {DATA_BASE, 8};

        assert_in_range(halo_driver_add(&ring->driver, &buf, 0, 1), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_int_equal(ring_take(ring), 1);
        ring_give(ring, ring->chain.token, len);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.len, len);
    }
}

static void drv_07_what_was_claimed_but_not_written_is_what_the_driver_left_there(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf buf = {DATA_BASE, 8};

    memcpy(ring->data, "my own!", 8);
    assert_in_range(halo_driver_add(&ring->driver, &buf, 0, 1), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    answer(ring, 0, 8, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), 1);
    assert_int_equal(ring->used.len, 8);
    assert_string_equal((char *)ring->data, "my own!");
}

static void drv_08_a_used_entry_that_changes_when_it_was_taken_has_no_effect(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < 2 * ring->size; i++) {
        uint16_t id;

        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_int_equal(ring_take(ring), 1);
        id = halo_token_id(ring->chain.token);
        ring_give(ring, ring->chain.token, 0);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
        answer(ring, i, UINT32_MAX, ring->size + 7, HALO_DESC_WRITE);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, 0);
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    }
}

static void drv_14_notifications_without_work_find_nothing_and_change_nothing(void **state)
{
    struct ring *ring = *state;
    struct halo_driver before;

    assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    before = ring->driver;
    ring_remember(ring);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ring_collect(ring), 0);
    assert_memory_equal(&before, &ring->driver, sizeof(before));
    assert_ring_unchanged(ring);
}

static void drv_15_a_device_that_wants_no_kicks_is_found_by_polling(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < 3 * ring->size; i++) {
        halo_device_disarm(&ring->device);
        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_false(halo_driver_should_kick(&ring->driver));
        assert_int_equal(ring_take(ring), 1);
        ring_give(ring, ring->chain.token, 0);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
    }
}

static void cfg_09_what_was_published_before_the_device_started_is_not_lost(void **state)
{
    struct ring *ring = *state;

    for (int armed = 0; armed < 2; armed++) {
        memset(ring->memory, 0, ring->memory_len);
        assert_int_equal(halo_driver_init(&ring->driver, &ring->place, ring->driver_chains), 0);
        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_true(halo_driver_should_kick(&ring->driver)); /* and nobody hears it */
        assert_int_equal(halo_device_init(&ring->device, &ring->place, &ring->guest,
                                          ring->device_chains, LEN_MAX),
                         0);
        if (armed)
            assert_true(halo_device_arm(&ring->device)); /* there is work: do not sleep */
        assert_int_equal(ring_take(ring), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(drv_20_each_chain_that_is_out_fails_exactly_once),
        AT_EVERY_SIZE(drv_20_a_queue_that_works_has_nothing_to_fail),
        AT_EVERY_SIZE(drv_09_a_driver_that_stops_is_latched_and_its_buffers_stay_lent),
        AT_EVERY_SIZE(rst_04_stopping_a_broken_queue_keeps_the_first_reason),
        AT_EVERY_SIZE(rst_04_after_a_confirmed_reset_all_ids_and_slots_are_back),
        AT_EVERY_SIZE(drv_05_a_length_below_what_was_lent_is_passed_on_as_it_is),
        AT_EVERY_SIZE(drv_07_what_was_claimed_but_not_written_is_what_the_driver_left_there),
        AT_EVERY_SIZE(drv_08_a_used_entry_that_changes_when_it_was_taken_has_no_effect),
        AT_EVERY_SIZE(drv_14_notifications_without_work_find_nothing_and_change_nothing),
        AT_EVERY_SIZE(drv_15_a_device_that_wants_no_kicks_is_found_by_polling),
        AT_EVERY_SIZE(cfg_09_what_was_published_before_the_device_started_is_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
