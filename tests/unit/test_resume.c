/* A queue is taken up where it stood, by another device or another driver. */
#include "ring_fixture.h"

/* Another device takes up the ring where this one stands, and replaces it. */
static void replace_device(struct ring *ring)
{
    const struct halo_positions at = halo_device_positions(&ring->device);
    struct halo_device_chain *chains = calloc(ring->size + 1, sizeof(*chains));
    struct halo_device other;

    chains[ring->size].slots = 1;
    assert_int_equal(halo_device_init(&other, &ring->place, &ring->guest, chains, LEN_MAX), 0);
    assert_int_equal(halo_device_resume(&other, at, ring->device_chains), 0);
    free(ring->device_chains);
    ring->device_chains = chains;
    ring->device = other;
}

static void replace_driver(struct ring *ring)
{
    const struct halo_positions at = halo_driver_positions(&ring->driver);
    struct halo_driver other;

    memset(ring->driver_chains, 0x77, ring->size * sizeof(*ring->driver_chains));
    assert_int_equal(halo_driver_init(&other, &ring->place, ring->driver_chains), 0);
    assert_int_equal(halo_driver_resume(&other, at), 0);
    ring->driver = other;
}

static void both_sides_go_on_where_others_stood_at_every_position(void **state)
{
    struct ring *ring = *state;
    const uint32_t rounds = ring->size < 300 ? 4 * ring->size + 1 : 20;

    if (ring->size >= 300)
        for (uint32_t i = 0; i < ring->size - 10; i++)
            ring_round_trip(ring, 1, 0);
    for (uint32_t i = 0; i < rounds; i++) {
        replace_device(ring);
        replace_driver(ring);
        ring_round_trip(ring, 1, ring->size > 1);
    }
}

/* Chains of every length in flight, some of them taken and some of those answered. */
static void a_device_goes_on_with_what_was_in_flight(void **state)
{
    struct ring *ring = *state;

    for (uint32_t round = 0; round < 200; round++) {
        uint32_t added = 0, taken = 0, left;

        while (halo_driver_room(&ring->driver) > 0 && added < 40) {
            const uint32_t room = least(halo_driver_room(&ring->driver), 5);

            assert_true(ring_add(ring, 0, 1 + ring_random(ring, room)) >= 0);
            added++;
        }
        halo_driver_publish(&ring->driver);
        left = ring_random(ring, added + 1);
        while (taken + left < added) {
            assert_int_equal(ring_take(ring), 1);
            ring->tokens[taken++] = ring->chain.token;
        }
        while (taken > 0 && ring_random(ring, 3) > 0)
            ring_give(ring, ring->tokens[--taken], 1);
        halo_device_publish(&ring->device);
        replace_device(ring);
        while (ring_take(ring) == 1)
            ring->tokens[taken++] = ring->chain.token;
        while (taken > 0) {
            ring_give(ring, ring->tokens[--taken], 1);
            assert_int_equal(halo_device_complete(&ring->device, ring->tokens[taken], 1),
                             HALO_ESTALE);
        }
        halo_device_publish(&ring->device);
        while (added > 0) {
            assert_int_equal(ring_collect(ring), 1);
            added--;
        }
        assert_int_equal(ring_collect(ring), 0);
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    }
}

/* Every pair of positions, against what a ring that stands so would have in flight. */
static void no_other_positions_are_taken_up(void **state)
{
    struct ring *ring = *state;
    const uint32_t lap = ring->size;

    for (uint32_t avail = 0; avail < 0x10000; avail++) {
        const uint32_t a = (avail & 0x7fff) + (avail >> 15 ? 0 : lap);

        for (uint32_t used = 0; used<0x10000; used += used % 0x4000> lap ? 509 : 1) {
            const uint32_t u = (used & 0x7fff) + (used >> 15 ? 0 : lap);
            const struct halo_positions at = {(uint16_t)avail, (uint16_t)used};
            const bool exists = (avail & 0x7fff) < lap && (used & 0x7fff) < lap;
            const bool is_idle = exists && a == u;

            assert_int_equal(halo_positions_between(at, lap),
                             exists ? (a + 2 * lap - u) % (2 * lap) : UINT32_MAX);
            ring_start(ring);
            assert_int_equal(halo_device_resume(&ring->device, at, NULL),
                             is_idle ? 0 : HALO_EINVAL);
            assert_int_equal(halo_driver_resume(&ring->driver, at), is_idle ? 0 : HALO_EINVAL);
            if (is_idle) {
                assert_int_equal(halo_device_positions(&ring->device).avail, avail);
                assert_int_equal(halo_device_positions(&ring->device).used, used);
                assert_int_equal(halo_driver_positions(&ring->driver).used, used);
            } else {
                assert_int_equal(halo_device_avail(&ring->device).slot, 0);
                assert_int_equal(halo_at_cursor(ring->driver.avail, &ring->place).slot, 0);
            }
        }
        if (avail % 0x4000 > lap)
            avail += 61;
    }
}

static void chains_that_do_not_fill_the_slots_in_between_are_refused(void **state)
{
    struct ring *ring = *state;
    struct halo_device_chain *chains = calloc(ring->size, sizeof(*chains));

    for (uint32_t slots = 0; slots <= ring->size; slots++) {
        for (uint32_t between = 0; between <= ring->size; between++) {
            const struct halo_cursor end =
                between ? halo_cursor_advance(halo_cursor_start(), between, ring->size)
                        : halo_cursor_start();
            const struct halo_positions at = {halo_cursor_position(end),
                                              halo_cursor_position(halo_cursor_start())};

            memset(chains, 0, ring->size * sizeof(*chains));
            chains[ring->size - 1].slots = (uint16_t)slots;
            ring_start(ring);
            assert_int_equal(halo_device_resume(&ring->device, at, chains),
                             slots == between ? 0 : HALO_EINVAL);
            assert_int_equal(halo_device_in_flight(&ring->device), slots == between ? slots : 0);
        }
    }
    /* Sums that are more than there are slots, and do not wrap around to fewer. */
    for (uint32_t id = 0; id < ring->size; id++)
        chains[id].slots = UINT16_MAX;
    ring_start(ring);
    assert_int_equal(
        halo_device_resume(&ring->device, halo_device_positions(&ring->device), chains),
        HALO_EINVAL);
    free(chains);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(both_sides_go_on_where_others_stood_at_every_position),
        AT_EVERY_SIZE(a_device_goes_on_with_what_was_in_flight),
        AT(1, no_other_positions_are_taken_up),
        AT(2, no_other_positions_are_taken_up),
        AT(3, no_other_positions_are_taken_up),
        AT(5, no_other_positions_are_taken_up),
        AT(1, chains_that_do_not_fill_the_slots_in_between_are_refused),
        AT(2, chains_that_do_not_fill_the_slots_in_between_are_refused),
        AT(5, chains_that_do_not_fill_the_slots_in_between_are_refused),
        AT(255, chains_that_do_not_fill_the_slots_in_between_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
