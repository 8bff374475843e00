/* The chain builder. What it must not compile is in tests/static. */
#include "ring_fixture.h"
#include <halo/draft.h>

static void assert_desc(struct ring *ring, uint64_t position, uint64_t addr, uint32_t len,
                        uint32_t flags)
{
    assert_int_equal(desc_at(ring, position)->addr, addr);
    assert_int_equal(halo_meta_len(desc_at(ring, position)->meta), len);
    assert_int_equal(halo_meta_flags(desc_at(ring, position)->meta),
                     flags | available_flags(ring, position));
}

static void buffers_are_written_in_the_order_in_which_they_were_added(void **state)
{
    struct ring *ring = *state;
    struct halo_buf room[4];
    struct halo_draft_empty begun = halo_draft_begin(room, 4);
    struct halo_draft_readable header = halo_draft_add_readable(begun, DATA_BASE, 1);
    struct halo_draft_readable asked = halo_draft_add_readable(header, DATA_BASE + 1, 2);
    struct halo_draft_writable half = halo_draft_add_writable(asked, DATA_BASE + 3, 3);
    struct halo_draft_writable whole = halo_draft_add_writable(half, DATA_BASE + 6, 4);
    int id = halo_draft_submit(&ring->driver, whole);

    assert_in_range(id, 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_desc(ring, 0, DATA_BASE, 1, HALO_DESC_NEXT);
    assert_desc(ring, 1, DATA_BASE + 1, 2, HALO_DESC_NEXT);
    assert_desc(ring, 2, DATA_BASE + 3, 3, HALO_DESC_NEXT | HALO_DESC_WRITE);
    assert_desc(ring, 3, DATA_BASE + 6, 4, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.readable_len, 3);
    assert_int_equal(ring->chain.writable_len, 7);
}

static void one_buffer_of_either_kind_is_a_chain(void **state)
{
    struct ring *ring = *state;
    struct halo_buf room[1];
    struct halo_draft_readable asked =
        halo_draft_add_readable(halo_draft_begin(room, 1), DATA_BASE, 5);
    int id = halo_draft_submit(&ring->driver, asked);

    assert_in_range(id, 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_desc(ring, 0, DATA_BASE, 5, 0);
    ring_start(ring);
    id = halo_draft_submit(&ring->driver,
                           halo_draft_add_writable(halo_draft_begin(room, 1), DATA_BASE, 6));
    assert_in_range(id, 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_desc(ring, 0, DATA_BASE, 6, HALO_DESC_WRITE);
}

static void a_draft_with_more_buffers_than_room_is_refused_and_writes_nothing(void **state)
{
    struct ring *ring = *state;
    struct halo_buf room[3] = {{1, 2}, {3, 4}, {5, 6}};
    struct halo_draft_readable asked =
        halo_draft_add_readable(halo_draft_begin(room, 1), DATA_BASE, 1);
    struct halo_draft_writable whole = halo_draft_add_writable(asked, DATA_BASE, 1);

    ring_remember(ring);
    assert_int_equal(halo_draft_submit(&ring->driver, whole), HALO_EINVAL);
    whole = halo_draft_add_writable(whole, DATA_BASE, 1);
    assert_int_equal(halo_draft_submit(&ring->driver, whole), HALO_EINVAL);
    assert_ring_unchanged(ring);
    assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    assert_true(room[1].addr == 3 && room[1].len == 4 && room[2].addr == 5 && room[2].len == 6);
}

static void a_draft_is_submitted_under_the_rules_of_the_driver(void **state)
{
    struct ring *ring = *state;
    struct halo_draft_writable whole =
        halo_draft_add_writable(halo_draft_begin(ring->bufs, ring->size), DATA_BASE, 1);

    for (uint32_t i = 0; i < ring->size; i++)
        assert_in_range(halo_draft_submit(&ring->driver, whole), 0, ring->size - 1);
    assert_int_equal(halo_draft_submit(&ring->driver, whole), HALO_EFULL);
    halo_driver_stop(&ring->driver);
    assert_int_equal(halo_draft_submit(&ring->driver, whole), HALO_EBROKEN);
}

static struct halo_draft_empty counted_begin(struct halo_buf *room, int *calls)
{
    ++*calls;
    return halo_draft_begin(room, 1);
}

static void arguments_are_evaluated_once(void **state)
{
    struct ring *ring = *state;
    struct halo_buf room[1];
    int calls = 0, lens = 0;
    struct halo_draft_readable asked =
        halo_draft_add_readable(counted_begin(room, &calls), DATA_BASE, (uint32_t)++lens);

    assert_int_equal(calls, 1);
    assert_int_equal(lens, 1);
    assert_in_range(halo_draft_submit((calls++, &ring->driver), asked), 0, ring->size - 1);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT(5, buffers_are_written_in_the_order_in_which_they_were_added),
        AT(255, buffers_are_written_in_the_order_in_which_they_were_added),
        AT_EVERY_SIZE(one_buffer_of_either_kind_is_a_chain),
        AT_EVERY_SIZE(a_draft_with_more_buffers_than_room_is_refused_and_writes_nothing),
        AT_EVERY_SIZE(a_draft_is_submitted_under_the_rules_of_the_driver),
        AT(1, arguments_are_evaluated_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
