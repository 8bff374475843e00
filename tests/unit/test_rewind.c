/* A chain that was taken last is put back (WRAP-05). */
#include "ring_fixture.h"

static void assert_device(const struct ring *ring, uint64_t position, uint32_t in_flight)
{
    assert_cursor(halo_device_avail(&ring->device), position, ring->size);
    assert_int_equal(halo_device_in_flight(&ring->device), in_flight);
}

/* From every position of two laps, chains of every length. Of the largest ring some. */
static void wrap_05_a_chain_of_any_length_goes_back_whole(void **state)
{
    struct ring *ring = *state;
    const uint32_t size = ring->size;
    const uint32_t step = size > 256 ? size / 3 : 1;

    for (uint64_t start = 0; start < 2 * (uint64_t)size; start += step) {
        if (size > 5 && start % size > 2 && start % size + 3 < size)
            continue;
        for (uint32_t slots = 1; slots <= size; slots += slots > 8 ? size : 1) {
            struct halo_token first;

            ring_start_at(ring, start);
            assert_in_range(ring_add(ring, slots, 0), 0, size - 1);
            halo_driver_publish(&ring->driver);
            assert_int_equal(ring_take(ring), 1);
            first = ring->chain.token;
            ring_remember(ring);
            assert_int_equal(halo_device_rewind(&ring->device, first), 0);
            assert_ring_unchanged(ring);
            assert_device(ring, start, 0);
            assert_int_equal(halo_device_complete(&ring->device, first, 0), HALO_ESTALE);
            assert_int_equal(halo_device_rewind(&ring->device, first), HALO_ESTALE);

            assert_int_equal(ring_take(ring), 1); /* the same chain, under a token of its own */
            assert_int_equal(ring->chain.slots, slots);
            assert_int_equal(halo_token_id(ring->chain.token), halo_token_id(first));
            assert_int_not_equal(ring->chain.token.word, first.word);
            assert_device(ring, start + slots, slots);
            assert_int_equal(halo_device_complete(&ring->device, first, 0), HALO_ESTALE);
            assert_int_equal(halo_device_rewind(&ring->device, first), HALO_ESTALE);
            ring_give(ring, ring->chain.token, 0);
            halo_device_publish(&ring->device);
            assert_int_equal(ring_collect(ring), 1);
        }
    }
}

static void wrap_05_only_the_newest_chain_goes_back(void **state)
{
    struct ring *ring = *state;
    struct halo_token older;

    assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
    assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    older = ring->chain.token;
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(halo_device_rewind(&ring->device, older), HALO_ESTALE);
    assert_device(ring, 2, 2);
    ring_give(ring, older, 0); /* completing another changes nothing */
    assert_int_equal(halo_device_rewind(&ring->device, ring->chain.token), 0);
    assert_device(ring, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    ring_give(ring, ring->chain.token, 0);
    assert_int_equal(halo_device_rewind(&ring->device, ring->chain.token), HALO_ESTALE);
    assert_device(ring, 2, 0);
}

static void wrap_05_a_rejected_chain_and_those_before_it_do_not_go_back(void **state)
{
    struct ring *ring = *state;
    struct halo_token sound;

    offer(ring, 0, DATA_BASE, 1, 0, 0);
    offer(ring, 1, 0, 1, 1, 0); /* outside */
    assert_int_equal(ring_take(ring), 1);
    sound = ring->chain.token;
    assert_int_equal(ring_take(ring), HALO_EREJECT);
    assert_int_equal(halo_device_rewind(&ring->device, ring->chain.token), HALO_ESTALE);
    assert_int_equal(halo_device_rewind(&ring->device, sound), HALO_ESTALE);
    assert_device(ring, 2, 1);
}

static void wrap_05_what_went_back_is_judged_anew(void **state)
{
    struct ring *ring = *state;

    offer(ring, 0, DATA_BASE, 1, 0, 0);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(halo_device_rewind(&ring->device, ring->chain.token), 0);
    offer(ring, 0, DATA_BASE, 1, ring->size, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_BAD_ID, 0);
    assert_int_equal(halo_device_rewind(&ring->device, ring->chain.token), HALO_EBROKEN);
    ring_start(ring);
    assert_int_equal(halo_device_rewind(&ring->device, ring->chain.token), HALO_ESTALE);
    assert_int_equal(halo_device_rewind(&ring->device, halo_token_make(0, 0)), HALO_ESTALE);
    assert_int_equal(halo_device_rewind(&ring->device, halo_token_make(0, 0xffff)), HALO_ESTALE);
    assert_device(ring, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(wrap_05_a_chain_of_any_length_goes_back_whole),
        FROM_SIZE_2(wrap_05_only_the_newest_chain_goes_back),
        FROM_SIZE_2(wrap_05_a_rejected_chain_and_those_before_it_do_not_go_back),
        AT_EVERY_SIZE(wrap_05_what_went_back_is_judged_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
