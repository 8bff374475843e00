/* The reference model of the device: the buffers of a chain. */
#include "rig.h"

static enum model_reason one_buffer(uint64_t addr, uint32_t len, unsigned write)
{
    struct rig rig;
    struct model_verdict v;

    rig_open(&rig, 2, plain_config());
    rig.ring[0] = (struct model_desc){addr, len, 0, avail0(write)};
    v = rig_take(&rig);
    assert_true(v.outcome == (v.reason == MODEL_NONE ? MODEL_OK : MODEL_REJECT));
    assert_true(v.reason == MODEL_NONE ||
                (rig.taken.elements == NULL && rig.taken.element_count == 0));
    rig_close(&rig);
    return v.reason;
}

/* DEV-13, DEV-16: inside one region, with the right that the direction needs. */
static void buffer_lies_in_one_region_with_the_right_it_needs(void **state)
{
    (void)state;
    assert_true(one_buffer(BASE, END - BASE, 0) == MODEL_NONE);
    assert_true(one_buffer(END - 1, 1, WRITE) == MODEL_NONE);
    assert_true(one_buffer(END - 1, 2, 0) == MODEL_RANGE);
    assert_true(one_buffer(END, 1, 0) == MODEL_RANGE);
    assert_true(one_buffer(BASE - 1, 1, 0) == MODEL_RANGE);
    assert_true(one_buffer(BASE - 1, 2, 0) == MODEL_RANGE);
    assert_true(one_buffer(BASE, UINT32_MAX, 0) == MODEL_RANGE);
    assert_true(one_buffer(UINT64_MAX, 1, 0) == MODEL_NONE);
    assert_true(one_buffer(UINT64_MAX, 2, 0) == MODEL_RANGE);
    assert_true(one_buffer(UINT64_MAX - 0xfff, 0x1000, WRITE) == MODEL_NONE);
    assert_true(one_buffer(UINT64_MAX - 0xfff, 0x1001, WRITE) == MODEL_RANGE);
    assert_true(one_buffer(UINT64_MAX, UINT32_MAX, WRITE) == MODEL_RANGE);
    assert_true(one_buffer(0x1000, 0x1000, 0) == MODEL_NONE);
    assert_true(one_buffer(0x1000, 0x1000, WRITE) == MODEL_PERMISSION);
    assert_true(one_buffer(0x2000, 0x1000, WRITE) == MODEL_NONE);
    assert_true(one_buffer(0x2000, 0x1000, 0) == MODEL_PERMISSION);
    assert_true(one_buffer(0x1fff, 2, 0) == MODEL_RANGE);
}

/* DEV-11: a slot without bytes; a chain with nothing else is rejected. */
static void zero_length_descriptor_is_skipped_and_counts_as_a_slot(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 8, plain_config());
    rig.ring[0] = (struct model_desc){UINT64_MAX, 0, 0, avail0(NEXT)};
    rig.ring[1] = (struct model_desc){BASE + 1, 3, 0, avail0(NEXT)};
    rig.ring[2] = (struct model_desc){0, 0, 0, avail0(NEXT | WRITE)};
    rig.ring[3] = (struct model_desc){BASE + 9, 5, 1, avail0(WRITE)};
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 1));
    assert_true(rig.taken.slots == 4 && rig.taken.element_count == 2);
    assert_true(rig.taken.elements[0].addr == BASE + 1 && rig.taken.elements[0].len == 3);
    assert_true(!rig.taken.elements[0].writable && rig.taken.elements[1].writable);
    assert_true(rig.taken.elements[1].addr == BASE + 9 && rig.taken.elements[1].len == 5);
    assert_true(rig.taken.readable_len == 3 && rig.taken.writable_len == 5);
    rig.ring[4] = (struct model_desc){0, 0, 0, avail0(NEXT)};
    rig.ring[5] = (struct model_desc){0, 0, 2, avail0(WRITE)};
    assert_true(is_at(rig_take(&rig), MODEL_REJECT, MODEL_EMPTY_CHAIN, 4, 2));
    assert_true(rig.taken.slots == 2 && rig.taken.offender == 1 && rig.taken.element_count == 0);
    rig_close(&rig);
}

/* DEV-12, DEV-17: caps on bytes, summed in 64 bits, and on elements that have bytes. */
static void total_length_and_segments_are_capped(void **state)
{
    struct model_region all = {0, UINT64_MAX, true, true};
    struct model_config config = {0x100000001u, 2, 1, &all};
    struct rig rig;

    (void)state;
    rig_open(&rig, 8, config);
    rig.ring[0] = (struct model_desc){0, UINT32_MAX, 0, avail0(NEXT)};
    rig.ring[1] = (struct model_desc){0, 2, 0, avail0(WRITE)};
    assert_true(is(rig_take(&rig), MODEL_OK, MODEL_NONE));
    assert_true(rig.taken.readable_len + rig.taken.writable_len == 0x100000001u);
    rig.ring[2] = (struct model_desc){0, UINT32_MAX, 0, avail0(NEXT)};
    rig.ring[3] = (struct model_desc){0, 3, 1, avail0(WRITE)};
    assert_true(is_at(rig_take(&rig), MODEL_REJECT, MODEL_LENGTH, 2, 1));
    assert_true(rig.taken.offender == 1);
    rig.ring[4] = (struct model_desc){0, 1, 0, avail0(NEXT)};
    rig.ring[5] = (struct model_desc){0, 0, 0, avail0(NEXT)};
    rig.ring[6] = (struct model_desc){0, 1, 0, avail0(NEXT)};
    rig.ring[7] = (struct model_desc){0, 1, 2, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_REJECT, MODEL_SEGMENTS, 4, 2));
    assert_true(rig.taken.offender == 3 && rig.taken.slots == 4);
    rig_close(&rig);
}

/* The reason is that of the first offending element, and within it of the first rule. */
static void first_offending_element_gives_the_reason(void **state)
{
    for (unsigned mix = 0; mix < 8; mix++) {
        struct model_config config = {mix & 1 ? 4 : 100, mix & 2 ? 1 : 9, 4, regions};
        uint64_t addr = mix & 4 ? 0 : 0x1000; /* nowhere, or read only */
        struct rig rig;
        struct model_verdict v;

        (void)state;
        rig_open(&rig, 4, config);
        rig.ring[0] = (struct model_desc){BASE, 4, 0, avail0(NEXT)};
        rig.ring[1] = (struct model_desc){addr, 1, 0, avail0(NEXT | WRITE)};
        rig.ring[2] = (struct model_desc){0, UINT32_MAX, 0, avail0(WRITE)};
        v = rig_take(&rig);
        assert_true(is(v, MODEL_REJECT,
                       mix & 1   ? MODEL_LENGTH
                       : mix & 2 ? MODEL_SEGMENTS
                       : mix & 4 ? MODEL_RANGE
                                 : MODEL_PERMISSION));
        assert_true(rig.taken.offender == 1);
        rig_close(&rig);
    }
}

/* A ring rule stands before any rule about buffers, wherever in the chain each is violated. */
static void broken_chain_is_never_a_reject(void **state)
{
    struct model_desc d[] = {{0, UINT32_MAX, 0, avail0(NEXT)}, {0, 0, 7, avail0(0)}};

    (void)state;
    assert_true(poll_gives(4, d, 2, MODEL_BROKEN, MODEL_BAD_ID, 1, 7));
}

/* Outcome classes: a rejected chain is completed with length 0 and without WRITE; the queue
 * goes on. */
static void rejected_chain_is_completed_empty_and_the_queue_goes_on(void **state)
{
    struct model_desc desc;
    uint32_t slot;
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    rig.ring[0] = (struct model_desc){BASE, 8, 0, avail0(NEXT | WRITE)};
    rig.ring[1] = (struct model_desc){0, 8, 3, avail0(WRITE)};
    assert_true(is_at(rig_take(&rig), MODEL_REJECT, MODEL_RANGE, 0, 3));
    assert_true(model_free_slots(&rig.dev.queue) == 2);
    assert_true(is(rig_complete(&rig, 3, 1), MODEL_ERROR, MODEL_LENGTH));
    assert_true(
        is_at(model_device_complete(&rig.dev, 3, 0, &slot, &desc), MODEL_OK, MODEL_NONE, 0, 3));
    assert_true(slot == 0 && desc.id == 3 && desc.len == 0 && desc.flags == (AVAIL | USED));
    rig.ring[2] = (struct model_desc){BASE, 1, 3, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 2, 3));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_lies_in_one_region_with_the_right_it_needs),
        cmocka_unit_test(zero_length_descriptor_is_skipped_and_counts_as_a_slot),
        cmocka_unit_test(total_length_and_segments_are_capped),
        cmocka_unit_test(first_offending_element_gives_the_reason),
        cmocka_unit_test(broken_chain_is_never_a_reject),
        cmocka_unit_test(rejected_chain_is_completed_empty_and_the_queue_goes_on),
    };

    return cmocka_run_group_tests_name("model, buffers", tests, NULL, NULL);
}
