/* Where a ring may lie, what its words hold, and how positions move. */
#include "ring_fixture.h"

/* --- Placement ------------------------------------------------------------------------------- */

static _Alignas(64) unsigned char somewhere[4096];

static struct halo_ring_place good_place(void)
{
    struct halo_ring_place place;

    assert_int_equal(halo_ring_place_in(halo_shm_share(somewhere), 8, &place), 0);
    return place;
}

/* By the check and by both sides, which are left as they were. */
static void assert_refused(const struct halo_ring_place *place)
{
    static struct halo_driver_chain driver_chains[8], driver_chains_before[8];
    static struct halo_device_chain device_chains[8], device_chains_before[8];
    static struct halo_memory memory;
    struct halo_driver driver, driver_before;
    struct halo_device device, device_before;

    memset(&driver, 0xa5, sizeof(driver));
    memset(&device, 0xa5, sizeof(device));
    memcpy(&driver_before, &driver, sizeof(driver));
    memcpy(&device_before, &device, sizeof(device));
    assert_int_equal(halo_ring_place_check(place), HALO_EINVAL);
    assert_int_equal(halo_driver_init(&driver, place, driver_chains), HALO_EINVAL);
    assert_int_equal(halo_device_init(&device, place, &memory, device_chains, 1), HALO_EINVAL);
    assert_memory_equal(&driver, &driver_before, sizeof(driver));
    assert_memory_equal(&device, &device_before, sizeof(device));
    assert_memory_equal(driver_chains, driver_chains_before, sizeof(driver_chains));
    assert_memory_equal(device_chains, device_chains_before, sizeof(device_chains));
}

static void assert_size_refused(uint32_t size)
{
    struct halo_ring_place place = good_place();
    const struct halo_ring_place before = place;

    assert_int_equal(halo_ring_place_in(halo_shm_share(somewhere), size, &place), HALO_EINVAL);
    assert_ptr_equal(place.desc, before.desc);
    assert_ptr_equal(place.driver_event, before.driver_event);
    assert_ptr_equal(place.device_event, before.device_event);
    assert_int_equal(place.size, before.size);
    place.size = size;
    assert_refused(&place);
}

static void cfg_01_drv_17_a_ring_without_descriptors_is_refused(void **state)
{
    (void)state;
    assert_size_refused(0);
}

static void cfg_02_a_ring_of_more_than_32768_descriptors_is_refused(void **state)
{
    (void)state;
    assert_size_refused(32769);
    assert_size_refused(40000);
    assert_size_refused(65535);
    assert_size_refused(65536);
    assert_size_refused(65537);
    assert_size_refused(UINT32_MAX);
}

static void cfg_03_cfg_04_every_size_from_1_to_32768_has_a_place(void **state)
{
    unsigned char *memory = aligned_alloc(64, halo_ring_bytes(HALO_RING_MAX));
    struct halo_ring_place place;

    (void)state;
    for (uint32_t size = 1; size <= HALO_RING_MAX; size++) {
        uintptr_t desc, driver, device;

        assert_int_equal(halo_ring_place_in(halo_shm_share(memory), size, &place), 0);
        desc = (uintptr_t)halo_shm_expose(place.desc);
        driver = (uintptr_t)halo_shm_expose(place.driver_event);
        device = (uintptr_t)halo_shm_expose(place.device_event);
        assert_int_equal(place.size, size);
        assert_int_equal(desc, (uintptr_t)memory);
        assert_true(driver % 64 == 0 && driver >= desc + 16 * (uintptr_t)size);
        assert_true(device % 64 == 0 && device >= driver + 64);
        assert_true(device + 4 <= desc + halo_ring_bytes(size));
        assert_int_equal(halo_ring_place_check(&place), 0);
    }
    free(memory);
}

static void cfg_05_descriptors_that_are_not_aligned_to_16_are_refused(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 16; i++) {
        struct halo_ring_place place = good_place();

        place.desc = halo_shm_share(somewhere + i);
        assert_refused(&place);
    }
}

static void cfg_05_event_structures_that_are_not_aligned_to_4_are_refused(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 4; i++) {
        struct halo_ring_place place = good_place();

        place.driver_event = halo_shm_share(somewhere + 1024 + i);
        assert_refused(&place);
        place = good_place();
        place.device_event = halo_shm_share(somewhere + 1024 + i);
        assert_refused(&place);
    }
}

static void the_least_alignment_that_virtio_asks_for_is_accepted(void **state)
{
    struct halo_ring_place place = good_place();

    (void)state;
    place.desc = halo_shm_share(somewhere + 16);
    place.driver_event = halo_shm_share(somewhere + 1028);
    place.device_event = halo_shm_share(somewhere + 1036);
    assert_int_equal(halo_ring_place_check(&place), 0);
}

static void cfg_05_memory_that_does_not_start_on_a_line_is_no_place(void **state)
{
    struct halo_ring_place place;

    (void)state;
    for (unsigned i = 1; i < 64; i++) {
        assert_int_equal(halo_ring_place_in(halo_shm_share(somewhere + i), 8, &place), HALO_EINVAL);
    }
}

static void a_place_without_one_of_its_parts_is_refused(void **state)
{
    struct halo_ring_place place;

    (void)state;
    place = good_place();
    place.desc = NULL;
    assert_refused(&place);
    place = good_place();
    place.driver_event = NULL;
    assert_refused(&place);
    place = good_place();
    place.device_event = NULL;
    assert_refused(&place);
}

static void a_length_limit_above_4_gib_less_1_is_refused(void **state)
{
    static struct halo_device_chain chains[8];
    static struct halo_memory memory;
    struct halo_ring_place place = good_place();
    struct halo_device device;

    (void)state;
    assert_int_equal(halo_device_init(&device, &place, &memory, chains, UINT64_C(1) << 32),
                     HALO_EINVAL);
    assert_int_equal(halo_device_init(&device, &place, &memory, chains, UINT64_MAX), HALO_EINVAL);
    assert_int_equal(chains[0].token, 0);
    assert_int_equal(halo_device_init(&device, &place, &memory, chains, UINT32_MAX), 0);
}

/* --- Words and positions --------------------------------------------------------------------- */

static void meta_holds_length_id_and_flags_side_by_side(void **state)
{
    unsigned char wire[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct halo_desc desc;

    (void)state;
    memcpy(&desc, wire, sizeof(desc));
    assert_int_equal(halo_meta_len(desc.meta), 0x0c0b0a09);
    assert_int_equal(halo_meta_id(desc.meta), 0x0e0d);
    assert_int_equal(halo_meta_flags(desc.meta), 0x100f);
    assert_int_equal(halo_meta(0x0c0b0a09, 0x0e0d, 0x100f), desc.meta);
    assert_int_equal(halo_meta(UINT32_MAX, 0, 0), UINT32_MAX);
    assert_int_equal(halo_meta(0, 0xffff, 0), UINT64_C(0xffff) << 32);
    assert_int_equal(halo_meta(0, 0, 0xffff), UINT64_C(0xffff) << 48);
}

static void a_fresh_ring_starts_at_slot_0_with_wrap_counter_1(void **state)
{
    struct halo_cursor start = halo_cursor_start();

    (void)state;
    assert_cursor(start, 0, 8);
    assert_int_equal(halo_cursor_available(start), HALO_DESC_AVAIL);
    assert_int_equal(halo_cursor_used(start), HALO_DESC_AVAIL | HALO_DESC_USED);
    start = halo_cursor_advance(start, 8, 8);
    assert_int_equal(halo_cursor_available(start), HALO_DESC_USED);
    assert_int_equal(halo_cursor_used(start), 0);
}

/* From every slot of both laps, by every number of slots (of the largest ring: by some). */
static void wrap_02_passing_the_end_toggles_once_and_stays_in_range(void **state)
{
    const struct ring *ring = *state;
    const uint32_t size = ring->size;
    const uint32_t some[] = {1, 2, 3, 255, 16384, 32766, 32767, 32768};

    for (uint32_t from = 0; from < 2 * size; from++) {
        struct halo_cursor at = halo_cursor_start();

        at.slot = from % size;
        at.phase ^= from < size ? 0 : HALO_PHASE_MASK;
        assert_cursor(at, from, size);
        for (uint32_t i = 0; i < (size > 256 ? 8 : size); i++) {
            uint32_t slots = size > 256 ? some[i] : i + 1;

            assert_cursor(halo_cursor_advance(at, slots, size), (uint64_t)from + slots, size);
        }
    }
}

static void cfg_06_areas_that_overlap_are_refused(void **state)
{
    static _Alignas(64) unsigned char memory[256];
    struct halo_ring_place good, bad;

    (void)state;
    assert_int_equal(halo_ring_place_in(halo_shm_share(memory), 4, &good), 0);
    bad = good;
    bad.driver_event = halo_shm_share(memory + 60); /* in the last descriptor */
    assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
    bad.driver_event = halo_shm_share(memory + 64); /* right behind it */
    assert_int_equal(halo_ring_place_check(&bad), 0);
    bad.device_event = bad.driver_event;
    assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
    bad = good;
    bad.device_event = halo_shm_share(memory);
    assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
    bad = good;
    bad.desc = halo_shm_share((void *)(UINTPTR_MAX - 63 + 16)); /* its end wraps to low memory */
    assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
    bad = good;
    bad.device_event = halo_shm_share((void *)(UINTPTR_MAX - 3));
    assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
}

static void a_ring_takes_its_table_and_two_lines(void **state)
{
    (void)state;
    assert_int_equal(halo_ring_bytes(1), 64 + 128);
    assert_int_equal(halo_ring_bytes(4), 64 + 128);
    assert_int_equal(halo_ring_bytes(5), 128 + 128);
    assert_int_equal(halo_ring_bytes(255), 4096 + 128);
    assert_int_equal(halo_ring_bytes(256), 4096 + 128);
    assert_int_equal(halo_ring_bytes(32768), 524288 + 128);
}

static void areas_may_follow_each_other_in_any_order(void **state)
{
    static _Alignas(64) unsigned char memory[256];
    struct halo_ring_place place = {.size = 4};

    (void)state;
    place.device_event = halo_shm_share(memory);
    place.driver_event = halo_shm_share(memory + 4);
    place.desc = halo_shm_share(memory + 16);
    assert_int_equal(halo_ring_place_check(&place), 0);
}

/* Of a guest's own, which its host changes while it stands still. */
static void a_word_of_a_stopped_guest_is_what_was_stored_last(void **state)
{
    uint64_t word = 1;

    (void)state;
    assert_int_equal(halo__shm_load_stopped(&word), 1);
    halo__shm_store_stopped(&word, UINT64_MAX - 1);
    assert_int_equal(halo__shm_load_stopped(&word), UINT64_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cfg_01_drv_17_a_ring_without_descriptors_is_refused),
        cmocka_unit_test(cfg_02_a_ring_of_more_than_32768_descriptors_is_refused),
        cmocka_unit_test(cfg_03_cfg_04_every_size_from_1_to_32768_has_a_place),
        cmocka_unit_test(cfg_05_descriptors_that_are_not_aligned_to_16_are_refused),
        cmocka_unit_test(cfg_05_event_structures_that_are_not_aligned_to_4_are_refused),
        cmocka_unit_test(cfg_06_areas_that_overlap_are_refused),
        cmocka_unit_test(areas_may_follow_each_other_in_any_order),
        cmocka_unit_test(a_ring_takes_its_table_and_two_lines),
        cmocka_unit_test(the_least_alignment_that_virtio_asks_for_is_accepted),
        cmocka_unit_test(cfg_05_memory_that_does_not_start_on_a_line_is_no_place),
        cmocka_unit_test(a_place_without_one_of_its_parts_is_refused),
        cmocka_unit_test(a_length_limit_above_4_gib_less_1_is_refused),
        cmocka_unit_test(meta_holds_length_id_and_flags_side_by_side),
        cmocka_unit_test(a_fresh_ring_starts_at_slot_0_with_wrap_counter_1),
        cmocka_unit_test(a_word_of_a_stopped_guest_is_what_was_stored_last),
        AT_EVERY_SIZE(wrap_02_passing_the_end_toggles_once_and_stays_in_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
