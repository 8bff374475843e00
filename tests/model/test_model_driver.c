/* The reference model of the driver. */
#include "rig.h"

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
static void submit_writes_what_the_specification_example_writes(void **state)
{
    for (uint32_t size = 1; size <= 9; size++) {
        struct example_driver example = {size, 0, true};
        struct model_desc expected[9] = {{0, 0, 0, 0}};
        struct rig rig;

        (void)state;
        rig_open(&rig, size, plain_config());
        for (unsigned round = 0; round < 5000; round++) {
            uint32_t n = 1 + random_below(size);
            uint32_t n_readable = random_below(n + 1);
            uint16_t id = (uint16_t)random_below(size);

            assert_true(rig_submit(&rig, id, n_readable, n - n_readable).outcome == MODEL_OK);
            example_add(&example, expected, id, rig.elements, n_readable, n);
            for (uint32_t i = 0; i < n; i++)
                assert_true(memcmp(&rig.ring[rig.slots[i]], &expected[rig.slots[i]],
                                   sizeof(expected[0])) == 0);
            assert_true(rig_take(&rig).outcome == MODEL_OK && rig.taken.slots == n);
            assert_true(rig_complete(&rig, id, 0).outcome == MODEL_OK);
            expected[rig.slots[0]] = rig.ring[rig.slots[0]];
            assert_true(memcmp(rig.ring, expected, size * sizeof(expected[0])) == 0);
            assert_true(rig_return(&rig).outcome == MODEL_OK && rig.returned.id == id);
        }
        rig_close(&rig);
    }
}

/* "Packed Virtqueues" (at least one element), "Scatter-Gather Support" (room); DRV-19. */
static void submit_refuses_nothing_too_much_and_bad_ids_and_changes_nothing(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    assert_true(rig_submit(&rig, 1, 2, 0).outcome == MODEL_OK);
    assert_true(is(rig_submit(&rig, 9, 0, 0), MODEL_ERROR, MODEL_NO_ELEMENTS));
    assert_true(is(rig_submit(&rig, 9, 2, 1), MODEL_ERROR, MODEL_NO_SPACE));
    assert_true(is(rig_submit(&rig, 4, 1, 1), MODEL_ERROR, MODEL_BAD_ID));
    assert_true(is(rig_submit(&rig, 1, 1, 1), MODEL_ERROR, MODEL_DUPLICATE_ID));
    assert_true(
        is(model_driver_submit(&rig.drv, 0, rig.elements, UINT32_MAX, 1, rig.slots, rig.descs),
           MODEL_ERROR, MODEL_NO_SPACE));
    assert_true(
        is(model_driver_submit(&rig.drv, 0, rig.elements, UINT32_MAX, 2, rig.slots, rig.descs),
           MODEL_ERROR, MODEL_NO_SPACE));
    assert_true(rig.drv.queue.avail_pos == 2 && model_free_slots(&rig.drv.queue) == 2);
    assert_true(is_at(rig_submit(&rig, 0, 1, 1), MODEL_OK, MODEL_NONE, 2, 0));
    assert_true(is(rig_submit(&rig, 2, 1, 0), MODEL_ERROR, MODEL_NO_SPACE));
    rig_close(&rig);
}

/* One chain of id 1 in flight, writable for 32 bytes in two slots; a used descriptor by hand. */
static struct model_verdict hand_used(uint32_t slot, uint16_t id, uint32_t len, unsigned flags,
                                      struct model_returned *out)
{
    struct model_verdict v;
    struct rig rig;

    rig_open(&rig, 4, plain_config());
    assert_true(rig_submit(&rig, 1, 1, 2).outcome == MODEL_OK);
    rig.ring[slot] = (struct model_desc){0, len, id, (uint16_t)flags};
    v = rig_return(&rig);
    *out = rig.returned;
    if (v.outcome == MODEL_BROKEN) {
        assert_true(model_free_slots(&rig.drv.queue) == 1);
        rig.ring[0] = (struct model_desc){0, 0, 1, AVAIL | USED};
        assert_true(is_at(rig_return(&rig), v.outcome, v.reason, v.slot, v.id));
        assert_true(is_at(rig_submit(&rig, 2, 1, 0), v.outcome, v.reason, v.slot, v.id));
        assert_true(!model_driver_kick(&rig.drv, (struct model_event){0, 0}));
        model_driver_reset(&rig.drv);
        assert_true(model_free_slots(&rig.drv.queue) == 4);
        assert_true(!model_driver_kick(&rig.drv, (struct model_event){0, 0}));
        assert_true(is_at(rig_submit(&rig, 1, 1, 0), MODEL_OK, MODEL_NONE, 0, 1));
        assert_true(model_driver_kick(&rig.drv, (struct model_event){0, 0}));
    }
    rig_close(&rig);
    return v;
}

/* "Element Address and Length": up to the capacity; DRV-04, DRV-05, DRV-06. */
static void used_length_counts_with_write_alone_and_fits_the_capacity(void **state)
{
    unsigned phase = AVAIL | USED;
    struct model_returned r;

    (void)state;
    assert_true(is_at(hand_used(0, 1, 32, phase | WRITE, &r), MODEL_OK, MODEL_NONE, 0, 1));
    assert_true(r.len == 32 && r.id == 1 && r.slots == 3 && r.first_pos == 0);
    assert_true(is(hand_used(0, 1, 0, phase | WRITE, &r), MODEL_OK, MODEL_NONE) && r.len == 0);
    assert_true(is(hand_used(0, 1, 1, phase | WRITE, &r), MODEL_OK, MODEL_NONE) && r.len == 1);
    assert_true(is(hand_used(0, 1, 32, phase, &r), MODEL_OK, MODEL_NONE) && r.len == 0);
    assert_true(is(hand_used(0, 1, UINT32_MAX, phase, &r), MODEL_OK, MODEL_NONE) && r.len == 0);
    assert_true(is_at(hand_used(0, 1, 33, phase | WRITE, &r), MODEL_BROKEN, MODEL_LENGTH, 0, 1));
    assert_true(is(hand_used(0, 1, UINT32_MAX, phase | WRITE, &r), MODEL_BROKEN, MODEL_LENGTH));
}

/* "Next Flag: Descriptor Chaining": NEXT is ignored; INDIRECT has no meaning either. */
static void next_and_indirect_in_a_used_descriptor_are_ignored(void **state)
{
    struct model_returned r;

    (void)state;
    assert_true(is(hand_used(0, 1, 5, AVAIL | USED | WRITE | NEXT, &r), MODEL_OK, MODEL_NONE));
    assert_true(r.len == 5 && r.slots == 3);
    assert_true(is(hand_used(0, 1, 5, AVAIL | USED | WRITE | INDIRECT, &r), MODEL_OK, MODEL_NONE));
    assert_true(r.len == 5 && r.slots == 3);
}

/* DRV-01 to DRV-03, reserved bits, and the order of the rules. */
static void used_descriptor_names_a_chain_in_flight(void **state)
{
    unsigned phase = AVAIL | USED | WRITE;
    struct model_returned r;
    struct rig rig;

    (void)state;
    assert_true(is_at(hand_used(0, 4, 99, phase, &r), MODEL_BROKEN, MODEL_BAD_ID, 0, 4));
    assert_true(is_at(hand_used(0, 65535, 99, phase, &r), MODEL_BROKEN, MODEL_BAD_ID, 0, 65535));
    assert_true(is_at(hand_used(0, 0, 99, phase, &r), MODEL_BROKEN, MODEL_NOT_IN_FLIGHT, 0, 0));
    for (unsigned number = 3; number < 15; number++) {
        if (number == 7)
            continue;
        assert_true(is_at(hand_used(0, 9, 99, phase | 1u << number, &r), MODEL_BROKEN,
                          MODEL_RESERVED, 0, 9));
    }
    /* the same id twice */
    rig_open(&rig, 2, plain_config());
    assert_true(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    assert_true(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    rig.ring[0] = (struct model_desc){0, 0, 1, AVAIL | USED};
    rig.ring[1] = (struct model_desc){0, 0, 1, AVAIL | USED};
    assert_true(is_at(rig_return(&rig), MODEL_OK, MODEL_NONE, 0, 1));
    assert_true(is_at(rig_return(&rig), MODEL_BROKEN, MODEL_NOT_IN_FLIGHT, 1, 1));
    rig_close(&rig);
}

/* DRV-10, DRV-11: "Polling of available and used descriptors": one place, one phase. */
static void used_descriptor_elsewhere_or_of_another_phase_is_empty(void **state)
{
    struct model_returned r;

    (void)state;
    for (uint32_t slot = 1; slot < 4; slot++)
        assert_true(is_at(hand_used(slot, 1, 0, AVAIL | USED, &r), MODEL_EMPTY, MODEL_NONE, 0, 0));
    for (unsigned flags = 0; flags <= 0xffffu; flags += 8) {
        if ((flags & (AVAIL | USED)) != (AVAIL | USED))
            assert_true(is(hand_used(0, 1, 0, flags, &r), MODEL_EMPTY, MODEL_NONE));
    }
}

/* DRV-12: what the device does to descriptors in flight has no effect. */
static void driver_follows_its_own_record(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    assert_true(rig_submit(&rig, 0, 1, 2).outcome == MODEL_OK);
    assert_true(rig_submit(&rig, 3, 1, 0).outcome == MODEL_OK);
    rig.ring[1] = (struct model_desc){7, 7, 7, 0xffff};
    rig.ring[2] = (struct model_desc){7, 7, 7, AVAIL | USED};
    rig.ring[0] = (struct model_desc){7, 32, 0, AVAIL | USED | WRITE};
    assert_true(is(rig_return(&rig), MODEL_OK, MODEL_NONE));
    assert_true(rig.returned.slots == 3 && rig.returned.len == 32);
    assert_true(is_at(rig_return(&rig), MODEL_EMPTY, MODEL_NONE, 3, 0));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submit_writes_what_the_specification_example_writes),
        cmocka_unit_test(submit_refuses_nothing_too_much_and_bad_ids_and_changes_nothing),
        cmocka_unit_test(used_length_counts_with_write_alone_and_fits_the_capacity),
        cmocka_unit_test(next_and_indirect_in_a_used_descriptor_are_ignored),
        cmocka_unit_test(used_descriptor_names_a_chain_in_flight),
        cmocka_unit_test(used_descriptor_elsewhere_or_of_another_phase_is_empty),
        cmocka_unit_test(driver_follows_its_own_record),
    };

    return cmocka_run_group_tests_name("model, driver", tests, NULL, NULL);
}
