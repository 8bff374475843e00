/* The reference model of the event decision, and of both sides together. */
#include "rig.h"

/* --- Events ---------------------------------------------------------------------------------- */

static struct model_event desc_event(uint32_t offset, unsigned wrap)
{
    return (struct model_event){(uint16_t)(offset | wrap << 15), 2};
}

/* "Driver and Device Event Suppression"; EVT-01, EVT-02, EVT-03. */
static void event_flags_0_and_3_notify_and_1_does_not(void **state)
{
    for (unsigned flags = 0; flags <= 0xffffu; flags++) {
        struct model_event nowhere = {(uint16_t)(3 | 1u << 15), (uint16_t)flags};
        bool due = model_event_due(4, 0, 2, nowhere);

        (void)state;
        assert_true(due == ((flags & 3u) == 0 || (flags & 3u) == 3));
        assert_true(!model_event_due(4, 0, 0, nowhere));
    }
    for (uint32_t offset = 4; offset < 32768; offset++) {
        assert_true(model_event_due(4, 0, 1, desc_event(offset, 0)));
        assert_true(model_event_due(4, 0, 1, desc_event(offset, 1)));
    }
}

/* EVT-06: notify exactly when the position is one of those just written. The second opinion walks
 * from position 0 with a slot and a counter that is toggled. */
static void event_at_a_descriptor_fires_exactly_when_it_was_just_written(void **state)
{
    for (uint32_t size = 1; size <= 6; size++) {
        for (uint32_t offset = 0; offset < size; offset++) {
            for (unsigned wrap = 0; wrap <= 1; wrap++) {
                for (uint32_t first = 0; first < 3 * size; first++) {
                    for (uint32_t count = 0; count <= 2 * size + 1; count++) {
                        uint32_t slot = 0;
                        unsigned counter = 1;
                        bool expected = false;

                        (void)state;
                        for (uint32_t pos = 0; pos < first + count; pos++) {
                            if (pos >= first && slot == offset && counter == wrap)
                                expected = true;
                            if (++slot == size) {
                                slot = 0;
                                counter = !counter;
                            }
                        }
                        assert_true(model_event_due(size, first, count, desc_event(offset, wrap)) ==
                                    expected);
                    }
                }
            }
        }
    }
}

/* CFG-02, CFG-03: the largest ring uses all 15 bits of the offset. */
static void event_works_at_the_largest_size(void **state)
{
    (void)state;
    assert_true(model_event_due(32768, 32767, 1, desc_event(32767, 1)));
    assert_true(!model_event_due(32768, 32767, 1, desc_event(32767, 0)));
    assert_true(model_event_due(32768, 32767, 2, desc_event(0, 0)));
    assert_true(!model_event_due(32768, 32767, 2, desc_event(0, 1)));
    assert_true(!model_event_due(32767, 0, 32766, desc_event(32766, 1)));
    assert_true(model_event_due(32767, 0, 1, desc_event(32767, 1)));
}

/* "Next Flag: Descriptor Chaining" with "Driver and Device Event Suppression": the descriptors
 * skipped after a used one are used with it, so an event at one of them fires. */
static void decision_covers_everything_since_the_last_one_and_skipped_slots(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 8, plain_config());
    assert_true(rig_submit(&rig, 0, 3, 0).outcome == MODEL_OK);
    assert_true(model_driver_kick(&rig.drv, desc_event(2, 1)));
    assert_true(!model_driver_kick(&rig.drv, desc_event(2, 1)));
    assert_true(!model_driver_kick(&rig.drv, (struct model_event){0, 0}));
    assert_true(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    assert_true(rig_submit(&rig, 2, 2, 0).outcome == MODEL_OK);
    assert_true(!model_driver_kick(&rig.drv, desc_event(2, 1)));
    assert_true(rig_submit(&rig, 3, 1, 0).outcome == MODEL_OK);
    assert_true(rig_submit(&rig, 4, 1, 0).outcome == MODEL_OK);
    assert_true(model_driver_kick(&rig.drv, desc_event(6, 1)));

    for (unsigned i = 0; i < 5; i++)
        assert_true(rig_take(&rig).outcome == MODEL_OK);
    assert_true(!model_device_notify(&rig.dev, (struct model_event){0, 0}));
    assert_true(rig_complete(&rig, 3, 0).outcome == MODEL_OK);
    assert_true(!model_device_notify(&rig.dev, desc_event(1, 1)));
    assert_true(rig_complete(&rig, 0, 0).outcome == MODEL_OK);
    assert_true(rig_complete(&rig, 1, 0).outcome == MODEL_OK);
    assert_true(model_device_notify(&rig.dev, desc_event(3, 1)));
    assert_true(rig_complete(&rig, 2, 0).outcome == MODEL_OK);
    assert_true(!model_device_notify(&rig.dev, desc_event(4, 1)));
    rig_close(&rig);
}

/* EVT-09: the peer changes its mind between batches; a "no" forgets the positions it was for. */
static void each_decision_takes_the_event_words_as_they_are(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    assert_true(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    assert_true(model_driver_kick(&rig.drv, (struct model_event){0, 0}));
    assert_true(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    assert_true(!model_driver_kick(&rig.drv, (struct model_event){0, 1}));
    assert_true(rig_submit(&rig, 2, 1, 0).outcome == MODEL_OK);
    assert_true(model_driver_kick(&rig.drv, desc_event(2, 1)));
    assert_true(rig_submit(&rig, 3, 1, 0).outcome == MODEL_OK);
    assert_true(!model_driver_kick(&rig.drv, desc_event(1, 1)));
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
            assert_true(queue->in_flight[i].id != queue->in_flight[j].id);
    }
    assert_true(queue->avail_pos - queue->used_pos == taken);
    assert_true(model_free_slots(queue) == queue->size - taken);
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
        assert_true(v.outcome == MODEL_OK || v.outcome == MODEL_ERROR);
        assert_true((v.reason == MODEL_NO_SPACE) == !has_room);
        break;
    case 1:
        v = rig_take(rig);
        assert_true(v.outcome == (made_available ? MODEL_OK : MODEL_EMPTY));
        break;
    case 2:
        if (rig->dev.queue.in_flight_count > 0) {
            uint32_t pick = random_below(rig->dev.queue.in_flight_count);
            struct model_chain chain = rig->dev.queue.in_flight[pick];

            expected_len[chain.id] = random_below((uint32_t)chain.writable_len + 1);
            assert_true(rig_complete(rig, chain.id, expected_len[chain.id]).outcome == MODEL_OK);
        }
        break;
    default:
        v = rig_return(rig);
        assert_true(v.outcome == (made_used ? MODEL_OK : MODEL_EMPTY));
        if (v.outcome == MODEL_OK) {
            assert_true(rig->returned.len == expected_len[v.id]);
            *returned += 1;
        }
        break;
    }
}

/* The two sides agree with each other at any size, in any order of completion. */
static void conforming_pair_never_breaks_and_conserves_slots(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 13, 64};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        uint32_t expected_len[64] = {0};
        uint64_t returned = 0;
        struct rig rig;

        rig_open(&rig, sizes[s], plain_config());
        for (unsigned step = 0; step < 40000; step++) {
            random_step(&rig, expected_len, &returned);
            check_queue(&rig.dev.queue);
            check_queue(&rig.drv.queue);
            assert_true(rig.drv.queue.used_pos <= rig.dev.queue.used_pos);
            assert_true(rig.dev.queue.used_pos <= rig.dev.queue.avail_pos);
            assert_true(rig.dev.queue.avail_pos <= rig.drv.queue.avail_pos);
        }
        assert_true(returned > 1000);
        rig_close(&rig);
    }
}

/* WRAP-01: more than 2^17 laps of small rings. */
static void many_laps_do_not_drift(void **state)
{
    for (uint32_t size = 1; size <= 5; size++) {
        struct rig rig;

        (void)state;
        rig_open(&rig, size, plain_config());
        while (rig.drv.queue.used_pos / size <= 1u << 17) {
            uint32_t n = 1 + (uint32_t)(rig.drv.queue.avail_pos % size);

            assert_true(rig_submit(&rig, 0, 0, n).outcome == MODEL_OK);
            assert_true(rig_take(&rig).outcome == MODEL_OK && rig.taken.slots == n);
            assert_true(rig_complete(&rig, 0, 16 * n).outcome == MODEL_OK);
            assert_true(rig_return(&rig).outcome == MODEL_OK && rig.returned.len == 16 * n);
        }
        rig_close(&rig);
    }
}

/* CFG-03: the largest ring, one chain of all slots and then chains across its end. */
static void largest_ring_wraps(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 32768, plain_config());
    assert_true(rig_submit(&rig, 32767, 32767, 0).outcome == MODEL_OK);
    assert_true(rig_take(&rig).outcome == MODEL_OK && rig.taken.slots == 32767);
    assert_true(rig_complete(&rig, 32767, 0).outcome == MODEL_OK &&
                rig_return(&rig).outcome == MODEL_OK);
    assert_true(is_at(rig_submit(&rig, 0, 0, 32768), MODEL_OK, MODEL_NONE, 32767, 0));
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 32767, 0));
    assert_true(rig.taken.slots == 32768 && rig.taken.writable_len == 16u * 32768u);
    assert_true(is_at(rig_complete(&rig, 0, 16u * 32768u), MODEL_OK, MODEL_NONE, 32767, 0));
    assert_true(is_at(rig_return(&rig), MODEL_OK, MODEL_NONE, 32767, 0));
    assert_true(rig.returned.len == 16u * 32768u && rig.returned.slots == 32768);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_flags_0_and_3_notify_and_1_does_not),
        cmocka_unit_test(event_at_a_descriptor_fires_exactly_when_it_was_just_written),
        cmocka_unit_test(event_works_at_the_largest_size),
        cmocka_unit_test(decision_covers_everything_since_the_last_one_and_skipped_slots),
        cmocka_unit_test(each_decision_takes_the_event_words_as_they_are),
        cmocka_unit_test(conforming_pair_never_breaks_and_conserves_slots),
        cmocka_unit_test(many_laps_do_not_drift),
        cmocka_unit_test(largest_ring_wraps),
    };

    return cmocka_run_group_tests_name("model, events", tests, NULL, NULL);
}
