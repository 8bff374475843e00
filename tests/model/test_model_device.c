/* The reference model of the device: chains, taken and completed. */
#include "rig.h"

/* --- Chains -------------------------------------------------------------------------- */

/* DEV-01: "Scatter-Gather Support", driver: no list longer than the queue, loops included. */
static void next_that_never_clears_is_too_long_after_n_descriptors(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 64, 1000};

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        uint32_t n = sizes[s];
        struct rig rig;

        rig_open(&rig, n, plain_config());
        for (uint32_t i = 0; i < n; i++)
            rig.ring[i] = (struct model_desc){BASE, 1, (uint16_t)i, avail0(NEXT)};
        assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_TOO_LONG, n - 1, (uint16_t)(n - 1)));
        assert_true(rig.taken.looked_at == n);
        rig_close(&rig);
    }
}

/* DEV-02: a list may be as long as the queue, and the next one then starts a lap later. */
static void chain_of_n_descriptors_is_accepted_and_ends_at_the_same_slot(void **state)
{
    for (uint32_t n = 1; n <= 8; n++) {
        struct rig rig;

        (void)state;
        rig_open(&rig, n, plain_config());
        for (unsigned lap = 0; lap < 5; lap++) {
            assert_true(rig_submit(&rig, 0, n, 0).outcome == MODEL_OK);
            assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 0));
            assert_true(rig.taken.slots == n && rig.taken.element_count == n);
            assert_true(rig.taken.readable_len == 16u * n && rig.taken.writable_len == 0);
            assert_true(rig.dev.queue.avail_pos == (uint64_t)(lap + 1) * n);
            assert_true(model_free_slots(&rig.dev.queue) == 0);
            assert_true(rig_complete(&rig, 0, 0).outcome == MODEL_OK);
            assert_true(rig_return(&rig).outcome == MODEL_OK);
        }
        rig_close(&rig);
    }
}

/* DEV-03, DEV-22: "Scatter-Gather Support", driver: room for the whole list. */
static void chain_over_the_free_slots_is_overcommit_after_free_descriptors(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    assert_true(rig_submit(&rig, 0, 2, 0).outcome == MODEL_OK);
    assert_true(rig_take(&rig).outcome == MODEL_OK);
    rig.ring[2] = (struct model_desc){BASE, 1, 1, avail0(NEXT)};
    rig.ring[3] = (struct model_desc){BASE, 1, 2, avail0(NEXT)};
    rig.ring[0] = (struct model_desc){BASE, 1, 3, avail1(0)};
    assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_OVERCOMMIT, 3, 2));
    assert_true(rig.taken.looked_at == 2);
    rig_close(&rig);
}

/* DEV-22: a head that is available when every slot is in flight; without one it is EMPTY. */
static void head_in_a_full_ring_is_overcommit(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 2, plain_config());
    assert_true(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    assert_true(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK);
    assert_true(rig_take(&rig).outcome == MODEL_OK && rig_take(&rig).outcome == MODEL_OK);
    assert_true(is(rig_take(&rig), MODEL_EMPTY, MODEL_NONE));
    /* every later rule is violated too: the room is checked before them */
    rig.ring[0] = (struct model_desc){0, 0, 9, avail1(INDIRECT | 0x78u | NEXT)};
    assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_OVERCOMMIT, 0, 9));
    rig_close(&rig);
}

/* DEV-04: "Driver and Device Ring Wrap Counters": the phase of the next lap past the end. */
static void chain_across_the_ring_end_changes_phase(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 3, plain_config());
    assert_true(rig_submit(&rig, 0, 2, 0).outcome == MODEL_OK);
    assert_true(rig_take(&rig).outcome == MODEL_OK && rig_complete(&rig, 0, 0).outcome == MODEL_OK);
    assert_true(rig_return(&rig).outcome == MODEL_OK);
    assert_true(is_at(rig_submit(&rig, 2, 1, 2), MODEL_OK, MODEL_NONE, 2, 2));
    assert_true(rig.slots[0] == 2 && rig.descs[0].flags == avail0(NEXT));
    assert_true(rig.slots[1] == 0 && rig.descs[1].flags == avail1(NEXT | WRITE));
    assert_true(rig.slots[2] == 1 && rig.descs[2].flags == avail1(WRITE));
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 2, 2));
    assert_true(rig.taken.slots == 3 && rig.taken.first_pos == 2);
    assert_true(rig.taken.readable_len == 16 && rig.taken.writable_len == 32);
    rig_close(&rig);
}

/* DEV-05: "Next Flag: Descriptor Chaining", the first descriptor is made available last. */
static void tail_without_the_phase_of_its_own_lap_is_torn(void **state)
{
    static const unsigned phases[] = {0, USED, AVAIL | USED};
    struct rig rig;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct model_desc d[] = {{BASE, 1, 0, avail0(NEXT)}, {BASE, 1, 2, (uint16_t)phases[i]}};

        assert_true(poll_gives(4, d, 2, MODEL_BROKEN, MODEL_TORN, 1, 2));
    }
    /* past the ring end the phase of the first lap is the wrong one */
    rig_open(&rig, 2, plain_config());
    assert_true(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK);
    assert_true(rig_take(&rig).outcome == MODEL_OK && rig_complete(&rig, 0, 0).outcome == MODEL_OK);
    rig.ring[1] = (struct model_desc){BASE, 1, 0, avail0(NEXT)};
    rig.ring[0] = (struct model_desc){BASE, 1, 1, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_TORN, 0, 1));
    rig_close(&rig);
}

/* DEV-07: "Indirect Descriptors", driver: not without the feature. */
static void indirect_is_broken_on_head_middle_and_tail(void **state)
{
    for (uint32_t where = 0; where < 3; where++) {
        for (unsigned write = 0; write <= WRITE; write += WRITE) {
            struct model_desc d[] = {
                {BASE, 1, 5, avail0(NEXT)}, {BASE, 1, 6, avail0(NEXT)}, {BASE, 1, 7, avail0(0)}};

            (void)state;
            d[where].flags = (uint16_t)(d[where].flags | INDIRECT | write);
            assert_true(
                poll_gives(8, d, 3, MODEL_BROKEN, MODEL_INDIRECT, where, (uint16_t)(5 + where)));
        }
    }
}

/* DEV-09: the bits that no section defines, one at a time, on head and tail. */
static void each_reserved_bit_is_broken(void **state)
{
    for (unsigned number = 0; number < 16; number++) {
        struct model_desc one[] = {{BASE, 1, 1, avail0(0)}};
        struct model_desc two[] = {{BASE, 1, 0, avail0(NEXT)}, {BASE, 1, 1, avail0(0)}};

        (void)state;
        if (number < 3 || number == 7 || number == 15)
            continue;
        one[0].flags = (uint16_t)(one[0].flags | 1u << number);
        two[1].flags = (uint16_t)(two[1].flags | 1u << number);
        assert_true(poll_gives(4, one, 1, MODEL_BROKEN, MODEL_RESERVED, 0, 1));
        assert_true(poll_gives(4, two, 2, MODEL_BROKEN, MODEL_RESERVED, 1, 1));
    }
}

/* DEV-10: "Scatter-Gather Support", driver: writable elements after readable ones. */
static void readable_after_writable_is_broken(void **state)
{
    struct model_desc adjacent[] = {{BASE, 1, 0, avail0(NEXT | WRITE)}, {BASE, 1, 1, avail0(0)}};
    struct model_desc apart[] = {{BASE, 1, 0, avail0(NEXT | WRITE)},
                                 {BASE, 1, 1, avail0(NEXT | WRITE)},
                                 {BASE, 1, 2, avail0(0)}};
    struct model_desc empty[] = {{BASE, 0, 0, avail0(NEXT | WRITE)}, {BASE, 0, 1, avail0(0)}};
    struct model_desc good[] = {{BASE, 1, 0, avail0(NEXT)}, {BASE, 1, 1, avail0(WRITE)}};

    (void)state;
    assert_true(poll_gives(4, adjacent, 2, MODEL_BROKEN, MODEL_ORDER, 1, 1));
    assert_true(poll_gives(4, apart, 3, MODEL_BROKEN, MODEL_ORDER, 2, 2));
    /* the rule is about descriptors: lengths do not matter */
    assert_true(poll_gives(4, empty, 2, MODEL_BROKEN, MODEL_ORDER, 1, 1));
    assert_true(poll_gives(4, good, 2, MODEL_OK, MODEL_NONE, 0, 1));
}

/* ID-01: the id is checked against the size before it means anything. */
static void id_of_n_or_more_is_broken(void **state)
{
    static const uint16_t bad[] = {4, 5, 32768, 65535};
    struct model_desc d[] = {{BASE, 1, 3, avail0(0)}};

    (void)state;
    assert_true(poll_gives(4, d, 1, MODEL_OK, MODEL_NONE, 0, 3));
    for (size_t i = 0; i < 4; i++) {
        d[0].id = bad[i];
        assert_true(poll_gives(4, d, 1, MODEL_BROKEN, MODEL_BAD_ID, 0, bad[i]));
    }
}

/* ID-02: an id names one chain until that chain is used; rejected chains hold theirs as well. */
static void id_in_flight_is_broken_and_free_again_after_completion(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    rig.ring[0] = (struct model_desc){BASE, 1, 2, avail0(0)};
    assert_true(rig_take(&rig).outcome == MODEL_OK && rig_complete(&rig, 2, 0).outcome == MODEL_OK);
    rig.ring[1] = (struct model_desc){0, 1, 2, avail0(0)};
    assert_true(is(rig_take(&rig), MODEL_REJECT, MODEL_RANGE));
    rig.ring[2] = (struct model_desc){BASE, 1, 2, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_DUPLICATE_ID, 2, 2));
    rig_close(&rig);
}

/* ID-03: "Next Flag: Descriptor Chaining": the id stands in the last descriptor. */
static void id_is_that_of_the_last_descriptor(void **state)
{
    struct model_desc d[] = {{BASE, 1, 0xffff, avail0(NEXT)}, {BASE, 1, 2, avail0(0)}};

    (void)state;
    assert_true(poll_gives(4, d, 2, MODEL_OK, MODEL_NONE, 0, 2));
}

/*
 * The order of the rules: each flag word with any mix of INDIRECT, reserved bits, order, NEXT and
 * bad id must give the reason of the first rule violated, on the second of two descriptors that
 * fill the ring.
 */
static void first_violated_rule_gives_the_reason(void **state)
{
    for (unsigned mix = 0; mix < 64; mix++) {
        bool torn = mix & 1, indirect = mix & 2, reserved = mix & 4, order = mix & 8;
        bool next = mix & 16, bad_id = mix & 32;
        struct model_desc d[] = {{BASE, 1, 0, avail0(NEXT | WRITE)}, {BASE, 1, 1, 0}};
        enum model_reason expected = torn       ? MODEL_TORN
                                     : indirect ? MODEL_INDIRECT
                                     : reserved ? MODEL_RESERVED
                                     : order    ? MODEL_ORDER
                                     : next     ? MODEL_TOO_LONG
                                     : bad_id   ? MODEL_BAD_ID
                                                : MODEL_NONE;
        unsigned flags = (torn ? 0 : AVAIL) | (indirect ? INDIRECT : 0) | (reserved ? 0x4000u : 0) |
                         (order ? 0 : WRITE) | (next ? NEXT : 0);

        (void)state;
        d[1].flags = (uint16_t)flags;
        d[1].id = bad_id ? 2 : 1;
        if (expected == MODEL_NONE)
            assert_true(poll_gives(2, d, 2, MODEL_OK, MODEL_NONE, 0, 1));
        else
            assert_true(poll_gives(2, d, 2, MODEL_BROKEN, expected, 1, d[1].id));
    }
}

/* Outcome classes: BROKEN latches, reads nothing, writes nothing, and only a reset ends it. */
static void broken_device_stays_broken_until_reset(void **state)
{
    struct model_event always = {0, 0};
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    assert_true(rig_submit(&rig, 0, 1, 0).outcome == MODEL_OK &&
                rig_take(&rig).outcome == MODEL_OK);
    assert_true(rig_submit(&rig, 1, 1, 0).outcome == MODEL_OK &&
                rig_take(&rig).outcome == MODEL_OK);
    assert_true(rig_complete(&rig, 1, 0).outcome == MODEL_OK);
    rig.ring[2] = (struct model_desc){BASE, 1, 9, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_BAD_ID, 2, 9));
    rig.ring[2] = (struct model_desc){BASE, 1, 1, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_BROKEN, MODEL_BAD_ID, 2, 9));
    assert_true(rig.taken.looked_at == 0);
    assert_true(is_at(rig_complete(&rig, 0, 0), MODEL_BROKEN, MODEL_BAD_ID, 2, 9));
    assert_true(!model_device_notify(&rig.dev, always));

    /* RST-02 */
    model_device_reset(&rig.dev);
    memset(rig.ring, 0, 4 * sizeof(*rig.ring));
    assert_true(is(rig_take(&rig), MODEL_EMPTY, MODEL_NONE));
    assert_true(model_free_slots(&rig.dev.queue) == 4);
    assert_true(is(rig_complete(&rig, 0, 0), MODEL_ERROR, MODEL_NOT_IN_FLIGHT));
    assert_true(!model_device_notify(&rig.dev, always));
    rig.ring[0] = (struct model_desc){BASE, 1, 0, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 0));
    rig_close(&rig);
}

/* --- Completion ---------------------------------------------------------------------- */

/* "Write Flag", "Element Address and Length", "Driver and Device Ring Wrap Counters". */
static void used_descriptor_has_write_exactly_when_bytes_were_written(void **state)
{
    struct model_desc desc;
    uint32_t slot;
    struct rig rig;

    (void)state;
    rig_open(&rig, 1, plain_config());
    for (unsigned lap = 0; lap < 4; lap++) {
        unsigned phase = lap % 2 == 0 ? AVAIL | USED : 0;
        uint32_t written = lap < 2 ? 0 : 16;

        assert_true(rig_submit(&rig, 0, 0, 1).outcome == MODEL_OK);
        assert_true(rig_take(&rig).outcome == MODEL_OK);
        assert_true(is(rig_complete(&rig, 0, 17), MODEL_ERROR, MODEL_LENGTH));
        assert_true(is(rig_complete(&rig, 1, 0), MODEL_ERROR, MODEL_NOT_IN_FLIGHT));
        assert_true(model_device_complete(&rig.dev, 0, written, &slot, &desc).outcome == MODEL_OK);
        assert_true(slot == 0 && desc.id == 0 && desc.len == written);
        assert_true(desc.flags == (phase | (written > 0 ? WRITE : 0)));
        assert_true(is(rig_complete(&rig, 0, 0), MODEL_ERROR, MODEL_NOT_IN_FLIGHT));
        rig.ring[0] = desc;
        assert_true(rig_return(&rig).outcome == MODEL_OK && rig.returned.len == written);
    }
    rig_close(&rig);
}

/* WRAP-03: "Next Flag: Descriptor Chaining": one used descriptor, then a skip by that chain. */
static void out_of_order_completion_skips_by_the_length_of_each_chain(void **state)
{
    static const uint32_t lens[] = {3, 1, 2};
    static const uint16_t order[] = {2, 0, 1};
    static const uint32_t expected_slots[] = {0, 2, 5};
    struct rig rig;

    (void)state;
    rig_open(&rig, 6, plain_config());
    for (uint16_t id = 0; id < 3; id++) {
        assert_true(rig_submit(&rig, id, lens[id], 0).outcome == MODEL_OK);
        assert_true(rig_take(&rig).outcome == MODEL_OK);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_true(is_at(rig_complete(&rig, order[i], 0), MODEL_OK, MODEL_NONE, expected_slots[i],
                          order[i]));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_at(rig_return(&rig), MODEL_OK, MODEL_NONE, expected_slots[i], order[i]));
        assert_true(rig.returned.slots == lens[order[i]]);
    }
    assert_true(is(rig_return(&rig), MODEL_EMPTY, MODEL_NONE));
    assert_true(rig.drv.queue.used_pos == 6 && model_free_slots(&rig.drv.queue) == 6);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_that_never_clears_is_too_long_after_n_descriptors),
        cmocka_unit_test(chain_of_n_descriptors_is_accepted_and_ends_at_the_same_slot),
        cmocka_unit_test(chain_over_the_free_slots_is_overcommit_after_free_descriptors),
        cmocka_unit_test(head_in_a_full_ring_is_overcommit),
        cmocka_unit_test(chain_across_the_ring_end_changes_phase),
        cmocka_unit_test(tail_without_the_phase_of_its_own_lap_is_torn),
        cmocka_unit_test(indirect_is_broken_on_head_middle_and_tail),
        cmocka_unit_test(each_reserved_bit_is_broken),
        cmocka_unit_test(readable_after_writable_is_broken),
        cmocka_unit_test(id_of_n_or_more_is_broken),
        cmocka_unit_test(id_in_flight_is_broken_and_free_again_after_completion),
        cmocka_unit_test(id_is_that_of_the_last_descriptor),
        cmocka_unit_test(first_violated_rule_gives_the_reason),
        cmocka_unit_test(broken_device_stays_broken_until_reset),
        cmocka_unit_test(used_descriptor_has_write_exactly_when_bytes_were_written),
        cmocka_unit_test(out_of_order_completion_skips_by_the_length_of_each_chain),
    };

    return cmocka_run_group_tests_name("model, device", tests, NULL, NULL);
}
