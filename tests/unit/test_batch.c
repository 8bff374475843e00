/* Calls for arrays, and those for one chain that publish at once. Their results are those of the
 * calls for one at a time: test_plain.c compares them at random; here are the edges. */
#include "ring_fixture.h"

#define COUNT 8u

static struct halo_chain chains[COUNT];
static struct halo_span spans[COUNT];
static struct halo_done done[COUNT];
static struct halo_used used[COUNT];
static uint16_t ids[COUNT];

static int submit_batch(struct ring *ring, uint32_t count, bool writable)
{
    static struct halo_buf bufs[COUNT];

    for (uint32_t i = 0; i < COUNT; i++)
        bufs[i] = (struct halo_buf){DATA_BASE + i, 1 + i};
    return halo_driver_submit_batch(&ring->driver, bufs, count, writable, ids);
}

static int take_batch(struct ring *ring, uint32_t max)
{
    const int got = halo_device_poll_batch(&ring->device, chains, max, spans, 1);

    for (int i = 0; i < got; i++)
        done[i] = (struct halo_done){chains[i].token, (uint32_t)chains[i].writable_len};
    return got;
}

/* From every slot, so that batches go over the end of a lap. */
static void a_batch_goes_there_and_back_in_order(void **state)
{
    struct ring *ring = *state;
    const uint32_t count = least(COUNT, ring->size);

    for (uint32_t start = 0; start < 2 * least(ring->size, 20); start++) {
        ring_start_at(ring, start);
        assert_int_equal(submit_batch(ring, count, start % 2), count);
        assert_int_equal(take_batch(ring, COUNT), count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(halo_token_id(chains[i].token), ids[i]);
            assert_int_equal(chains[i].writable_count, start % 2);
            assert_int_equal(chains[i].readable_count, !(start % 2));
            assert_ptr_equal(spans[i].base, ring->regions[0].host + i);
            assert_int_equal(spans[i].len, 1 + i);
        }
        assert_int_equal(halo_device_finish_batch(&ring->device, done, count), count);
        assert_int_equal(halo_driver_poll_batch(&ring->driver, used, COUNT), count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(used[i].id, ids[i]);
            assert_int_equal(used[i].len, start % 2 ? 1 + i : 0);
        }
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    }
}

static void nothing_is_done_for_a_count_of_none(void **state)
{
    struct ring *ring = *state;

    ring_remember(ring);
    assert_int_equal(submit_batch(ring, 0, false), 0);
    assert_int_equal(take_batch(ring, 0), 0);
    assert_int_equal(halo_device_finish_batch(&ring->device, done, 0), 0);
    assert_int_equal(halo_driver_poll_batch(&ring->driver, used, 0), 0);
    assert_ring_unchanged(ring);
}

static void a_batch_that_does_not_fit_is_taken_in_part(void **state)
{
    struct ring *ring = *state;

    assert_int_equal(submit_batch(ring, COUNT, false), ring->size);
    ring_remember(ring);
    assert_int_equal(submit_batch(ring, 1, false), HALO_EFULL);
    assert_int_equal(halo_driver_submit(&ring->driver, ring->bufs, 1, 0), HALO_EFULL);
    assert_ring_unchanged(ring);
    assert_int_equal(take_batch(ring, COUNT), ring->size);
    assert_int_equal(take_batch(ring, COUNT), 0);
}

/* What was added before is published with it. */
static void a_batch_goes_on_with_what_was_added(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bufs[2] = {{DATA_BASE, 1}, {DATA_BASE, 1}};

    assert_int_equal(ring_add(ring, 1, 1), 0);
    assert_int_equal(submit_batch(ring, 1, false), 1);
    assert_int_equal(take_batch(ring, 1), 1);
    assert_int_equal(chains[0].reject, HALO_REJECT_SEGMENTS); /* of two, and there is one span */
    assert_int_equal(take_batch(ring, 1), 1);
    assert_int_equal(ring_add(ring, 0, 1), 2);
    assert_int_equal(halo_driver_submit(&ring->driver, bufs, 0, 1), 3);
    assert_int_equal(ring_take(ring), 1);
    ring_give(ring, done[0].token, 0);
    assert_int_equal(halo_device_finish(&ring->device, ring->chain.token, 1), 0);
    assert_int_equal(halo_driver_poll_batch(&ring->driver, used, COUNT), 3);
}

/* Not by the plain path; and two counts whose sum wraps to one are not one. */
static void a_chain_of_two_is_submitted_and_seen_at_once(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bufs[2] = {{DATA_BASE, 1}, {DATA_BASE, 1}};

    ring_remember(ring);
    assert_int_equal(halo_driver_submit(&ring->driver, bufs, 2, UINT32_MAX), HALO_EINVAL);
    assert_ring_unchanged(ring);
    assert_int_equal(halo_driver_submit(&ring->driver, bufs, 1, 1), 0);
    *halo_driver_context(&ring->driver, 0) = 77;
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.slots, 2);
    assert_int_equal(halo_driver_submit(&ring->driver, bufs, 1, 0), 1);
    assert_int_equal(halo_device_finish(&ring->device, ring->chain.token, 0), 0);
    assert_int_equal(*halo_driver_context(&ring->driver, 0), 77);
    assert_int_equal(ring_collect(ring), 1);
}

static void chains_before_a_broken_one_are_handed_out_first(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    offer_chain(ring, 1, 1, 1);
    offer(ring, 2, DATA_BASE, 1, 0, 0); /* 0 is in flight by then */
    assert_int_equal(take_batch(ring, COUNT), 2);
    assert_int_equal(take_batch(ring, COUNT), HALO_EBROKEN);
    assert_int_equal(halo_device_finish_batch(&ring->device, done, 2), HALO_EBROKEN);
    assert_int_equal(halo_device_finish(&ring->device, done[0].token, 0), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_DUPLICATE_ID, 2);
}

static void entries_before_a_broken_one_are_handed_out_first(void **state)
{
    struct ring *ring = *state;

    assert_int_equal(submit_batch(ring, 3, false), 3);
    answer(ring, 0, 0, 1, 0);
    answer(ring, 1, 0, 1, 0);
    assert_int_equal(halo_driver_poll_batch(&ring->driver, used, COUNT), 1);
    assert_int_equal(halo_driver_poll_batch(&ring->driver, used, COUNT), HALO_EBROKEN);
    assert_int_equal(submit_batch(ring, 1, false), HALO_EBROKEN);
    assert_int_equal(halo_driver_submit(&ring->driver, ring->bufs, 1, 0), HALO_EBROKEN);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    assert_driver_latched(ring, HALO_BROKEN_NOT_IN_FLIGHT, 1);
}

/* A chain whose buffers are not acceptable is one of the batch. */
static void a_rejected_chain_does_not_end_a_batch(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    offer(ring, 1, 1, 1, 1, 0);
    offer(ring, 2, SINK_BASE, 1, 2, HALO_DESC_WRITE); /* not in the first region */
    assert_int_equal(take_batch(ring, COUNT), 3);
    assert_int_equal(chains[0].reject, HALO_REJECT_NOT);
    assert_int_equal(chains[1].reject, HALO_REJECT_RANGE);
    assert_int_equal(chains[1].bad_addr.value, 1);
    assert_int_equal(chains[2].reject, HALO_REJECT_NOT);
    assert_int_equal(halo_device_finish_batch(&ring->device, done, 3), 1);
    assert_int_equal(halo_device_finish_batch(&ring->device, done + 1, 2), HALO_ESTALE);
    assert_int_equal(halo_device_finish_batch(&ring->device, done + 2, 1), 1);
}

/* What was completed before the stale one is published. */
static void a_stale_token_ends_a_batch(void **state)
{
    struct ring *ring = *state;

    assert_int_equal(submit_batch(ring, 3, false), 3);
    assert_int_equal(take_batch(ring, COUNT), 3);
    done[1].token.word ^= 1u << 17;
    assert_int_equal(halo_device_finish_batch(&ring->device, done, 3), 1);
    assert_int_equal(halo_device_finish(&ring->device, done[1].token, 0), HALO_ESTALE);
    done[1].token.word ^= 1u << 17;
    assert_int_equal(halo_device_finish(&ring->device, done[1].token, 1), HALO_EINVAL);
    assert_int_equal(halo_driver_poll_batch(&ring->driver, used, COUNT), 1);
    assert_int_equal(halo_device_finish(&ring->device, done[1].token, 0), 0);
    assert_int_equal(halo_driver_poll_batch(&ring->driver, used, COUNT), 1);
}

/* One decision for all of them: asked for the last one of a batch, the peer is told. */
static void evt_03_a_batch_is_one_decision(void **state)
{
    struct ring *ring = *state;

    assert_int_equal(submit_batch(ring, 3, false), 3);
    ask(ring->device_event, HALO_EVENT_AT_DESC, 1, 1);
    assert_true(halo_driver_should_kick(&ring->driver));
    assert_false(halo_driver_should_kick(&ring->driver));
    assert_int_equal(take_batch(ring, COUNT), 3);
    ask(ring->driver_event, HALO_EVENT_AT_DESC, 2, 1);
    assert_int_equal(halo_device_finish(&ring->device, done[0].token, 0), 0);
    assert_false(halo_device_should_notify(&ring->device));
    assert_int_equal(halo_device_finish_batch(&ring->device, done + 1, 2), 2);
    assert_true(halo_device_should_notify(&ring->device));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(a_batch_goes_there_and_back_in_order),
        AT_EVERY_SIZE(nothing_is_done_for_a_count_of_none),
        AT(1, a_batch_that_does_not_fit_is_taken_in_part),
        AT(2, a_batch_that_does_not_fit_is_taken_in_part),
        AT(5, a_batch_that_does_not_fit_is_taken_in_part),
        AT(8, a_batch_goes_on_with_what_was_added),
        AT(8, a_chain_of_two_is_submitted_and_seen_at_once),
        AT(5, a_batch_goes_on_with_what_was_added),
        AT(5, a_chain_of_two_is_submitted_and_seen_at_once),
        FROM_SIZE_3(chains_before_a_broken_one_are_handed_out_first),
        FROM_SIZE_3(entries_before_a_broken_one_are_handed_out_first),
        FROM_SIZE_3(a_rejected_chain_does_not_end_a_batch),
        FROM_SIZE_3(a_stale_token_ends_a_batch),
        FROM_SIZE_3(evt_03_a_batch_is_one_decision),
    };

    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
