/* The reference model: sizes, laps and phases. */
#include "rig.h"

/* "Packed Virtqueues", "Structure Size and Alignment"; CFG-01, CFG-02, CFG-03. */
static void sizes_from_1_to_32768_are_accepted_and_no_other(void **state)
{
    static const uint32_t good[] = {1, 2, 3, 5, 7, 255, 256, 1000, 32767, 32768};
    static const uint32_t bad[] = {0, 32769, 40000, 65535, 65536, UINT32_MAX};
    struct model_config config = plain_config();
    struct model_device dev;
    struct model_driver drv;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(model_device_init(&dev, good[i], &config));
        assert_true(model_driver_init(&drv, good[i]));
        assert_true(model_free_slots(&dev.queue) == good[i]);
        assert_true(model_free_slots(&drv.queue) == good[i]);
        model_device_close(&dev);
        model_driver_close(&drv);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(!model_device_init(&dev, bad[i], &config));
        assert_true(!model_driver_init(&drv, bad[i]));
        model_device_close(&dev);
        model_driver_close(&drv);
    }
}

/* "Driver and Device Ring Wrap Counters". */
static void wrap_counter_starts_at_1_and_changes_after_the_last_slot(void **state)
{
    for (uint32_t size = 1; size <= 9; size++) {
        unsigned wrap = 1;
        uint32_t slot = 0;

        (void)state;
        for (uint64_t pos = 0; pos < 7u * size; pos++) {
            assert_true(model_wrap_counter(size, pos) == wrap);
            slot++;
            if (slot == size) {
                slot = 0;
                wrap = 1 - wrap;
            }
        }
    }
}

/* "Driver and Device Ring Wrap Counters": the four phases in even and odd laps, other bits
 * without influence; a zeroed ring holds nothing in the first lap. */
static void only_one_phase_of_four_is_available_and_one_is_used(void **state)
{
    for (unsigned flags = 0; flags <= 0xffffu; flags++) {
        bool a = (flags & AVAIL) != 0;
        bool u = (flags & USED) != 0;
        uint16_t f = (uint16_t)flags;

        (void)state;
        assert_true(model_is_available(4, 3, f) == (a && !u));
        assert_true(model_is_available(4, 4, f) == (!a && u));
        assert_true(model_is_used(4, 3, f) == (a && u));
        assert_true(model_is_used(4, 4, f) == (!a && !u));
    }
}

/* DEV-06 and the first paragraph of "Polling of available and used descriptors". */
static void head_without_its_phase_is_empty_and_changes_nothing(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 3, plain_config());
    for (unsigned flags = 0; flags <= 0xffffu; flags++) {
        rig.ring[0] = (struct model_desc){BASE, 1, 0, (uint16_t)flags};
        if ((flags & (AVAIL | USED)) == AVAIL)
            continue;
        assert_true(is_at(rig_take(&rig), MODEL_EMPTY, MODEL_NONE, 0, 0));
        assert_true(rig.taken.looked_at == 1);
    }
    assert_true(rig.dev.queue.avail_pos == 0 && model_free_slots(&rig.dev.queue) == 3);
    rig_close(&rig);
}

/* DEV-20: "Polling of available and used descriptors", a single place is tested. */
static void later_slot_is_not_seen_before_the_next_one(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 4, plain_config());
    rig.ring[1] = (struct model_desc){BASE, 1, 0, avail0(0)};
    assert_true(is(rig_take(&rig), MODEL_EMPTY, MODEL_NONE));
    rig.ring[0] = (struct model_desc){BASE, 2, 1, avail0(0)};
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 0, 1));
    assert_true(rig.taken.slots == 1);
    assert_true(is_at(rig_take(&rig), MODEL_OK, MODEL_NONE, 1, 0));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_from_1_to_32768_are_accepted_and_no_other),
        cmocka_unit_test(wrap_counter_starts_at_1_and_changes_after_the_last_slot),
        cmocka_unit_test(only_one_phase_of_four_is_available_and_one_is_used),
        cmocka_unit_test(head_without_its_phase_is_empty_and_changes_nothing),
        cmocka_unit_test(later_slot_is_not_seen_before_the_next_one),
    };

    return cmocka_run_group_tests_name("model, phases", tests, NULL, NULL);
}
