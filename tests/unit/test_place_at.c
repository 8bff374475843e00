/* A ring at addresses that a driver chose: inside memory that the device may use, or nowhere. */
#include "ring_fixture.h"

#define SIZE 8u
#define BASE 0x10000u
#define LEN 0x1000u
#define ROM 0x20000u  /* right behind a hole */
#define SINK 0x21000u /* adjacent to it */
#define DESC_LEN (SIZE * 16)

static _Alignas(64) unsigned char bytes[3 * LEN];
static const struct halo_region regions[] = {
    {BASE, LEN, bytes, HALO_MAY_READ | HALO_MAY_WRITE},
    {ROM, LEN, bytes + LEN, HALO_MAY_READ},
    {SINK, LEN, bytes + 2 * LEN, HALO_MAY_WRITE},
};
static const struct halo_memory memory = {regions, 3};

static int place_at(uint32_t size, uint64_t desc, uint64_t driver, uint64_t device,
                    struct halo_ring_place *place)
{
    return halo_ring_place_at(&memory, size, (struct halo_gpa){desc}, (struct halo_gpa){driver},
                              (struct halo_gpa){device}, place);
}

static void assert_refused(uint32_t size, uint64_t desc, uint64_t driver, uint64_t device)
{
    struct halo_ring_place place, before;

    memset(&place, 0xa5, sizeof(place));
    memcpy(&before, &place, sizeof(place));
    assert_int_equal(place_at(size, desc, driver, device, &place), HALO_EINVAL);
    assert_memory_equal(&place, &before, sizeof(place));
}

static void areas_inside_their_regions_are_found(void **state)
{
    struct halo_ring_place place;

    (void)state;
    assert_int_equal(place_at(SIZE, BASE + LEN - DESC_LEN, ROM, SINK + LEN - 4, &place), 0);
    assert_ptr_equal(halo_shm_expose(place.desc), bytes + LEN - DESC_LEN);
    assert_ptr_equal(halo_shm_expose(place.driver_event), bytes + LEN);
    assert_ptr_equal(halo_shm_expose(place.device_event), bytes + 3 * LEN - 4);
    assert_int_equal(place.size, SIZE);
}

static void the_largest_ring_and_none_larger_is_found(void **state)
{
    const size_t len = HALO_RING_MAX * 16 + 64;
    unsigned char *large = aligned_alloc(64, len);
    const struct halo_region region = {BASE, len, halo_shm_share(large),
                                       HALO_MAY_READ | HALO_MAY_WRITE};
    const struct halo_memory all = {&region, 1};
    const struct halo_gpa events = {BASE + len - 64}, others = {BASE + len - 4};
    struct halo_ring_place place;

    (void)state;
    assert_int_equal(
        halo_ring_place_at(&all, HALO_RING_MAX, (struct halo_gpa){BASE}, events, others, &place),
        0);
    assert_int_equal(place.size, HALO_RING_MAX);
    assert_int_equal(halo_ring_place_at(&all, HALO_RING_MAX + 1, (struct halo_gpa){BASE}, events,
                                        others, &place),
                     HALO_EINVAL);
    free(large);
}

static void cfg_06_areas_outside_memory_across_its_end_or_a_hole_are_refused(void **state)
{
    const uint64_t outside[] = {0,        BASE - 16,  BASE + LEN - 16, BASE + LEN,
                                ROM - 16, SINK + LEN, UINT64_MAX - 15, 1ull << 63};

    (void)state;
    for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        assert_refused(SIZE, outside[i], ROM, SINK);
    for (uint32_t i = 1; i < SIZE; i++) /* any of its descriptors */
        assert_refused(SIZE, BASE + LEN - DESC_LEN + 16 * i, ROM + 1024, SINK);
    assert_refused(SIZE, BASE, ROM - 4, SINK);
    assert_refused(SIZE, BASE, 0, SINK);
    assert_refused(SIZE, BASE, ROM, SINK + LEN);
    assert_refused(SIZE, BASE, ROM, UINT64_MAX - 3);
}

static void cfg_06_areas_without_the_right_are_refused(void **state)
{
    (void)state;
    assert_refused(SIZE, ROM, BASE, SINK);         /* descriptors that cannot be written */
    assert_refused(SIZE, SINK, BASE, SINK + 1024); /* nor read */
    assert_refused(SIZE, BASE, SINK, SINK + 4);
    assert_refused(SIZE, BASE, ROM, ROM + 4);
}

static void cfg_05_misaligned_areas_are_refused(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < 16; i++)
        assert_refused(SIZE, BASE + i, ROM, SINK);
    for (uint32_t i = 1; i < 4; i++) {
        assert_refused(SIZE, BASE, ROM + i, SINK);
        assert_refused(SIZE, BASE, ROM, SINK + i);
    }
}

/* What the driver chose has to be aligned, wherever the host has mapped it. */
static void cfg_05_addresses_that_are_misaligned_for_the_driver_are_refused(void **state)
{
    struct halo_ring_place place;

    (void)state;
    for (uint32_t off = 0; off < 16; off++) {
        const struct halo_region odd[] = {
            {BASE, LEN, bytes + off, HALO_MAY_READ | HALO_MAY_WRITE},
            {ROM, LEN, bytes + LEN + 16, HALO_MAY_READ | HALO_MAY_WRITE},
        };
        const struct halo_memory all = {odd, 2};
        const struct halo_gpa aligned = {ROM}, first = {ROM + 1024}, second = {ROM + 2048};
        const struct halo_gpa shifted = {BASE + 64 - off}; /* host memory is aligned there */

        assert_int_equal(halo_ring_place_at(&all, SIZE, shifted, first, second, &place),
                         off == 0 ? 0 : HALO_EINVAL);
        assert_int_equal(halo_ring_place_at(&all, SIZE, aligned, shifted, second, &place),
                         off % 4 == 0 ? 0 : HALO_EINVAL);
        assert_int_equal(halo_ring_place_at(&all, SIZE, aligned, first, shifted, &place),
                         off % 4 == 0 ? 0 : HALO_EINVAL);
    }
}

static void cfg_06_areas_that_overlap_are_refused(void **state)
{
    (void)state;
    assert_refused(SIZE, BASE, BASE + DESC_LEN - 4, SINK);
    assert_refused(SIZE, BASE, ROM, BASE);
    assert_refused(SIZE, BASE, BASE + DESC_LEN, BASE + DESC_LEN);
}

static void cfg_10_a_size_is_judged_before_it_is_narrowed(void **state)
{
    const uint32_t sizes[] = {0, 32769, 65535, 65536, 65536 + SIZE, 1u << 28, 1u << 31, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_refused(sizes[i], BASE, ROM, SINK);
    assert_refused(LEN / 16 + 1, BASE, ROM, SINK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(areas_inside_their_regions_are_found),
        cmocka_unit_test(the_largest_ring_and_none_larger_is_found),
        cmocka_unit_test(cfg_06_areas_outside_memory_across_its_end_or_a_hole_are_refused),
        cmocka_unit_test(cfg_06_areas_without_the_right_are_refused),
        cmocka_unit_test(cfg_05_misaligned_areas_are_refused),
        cmocka_unit_test(cfg_05_addresses_that_are_misaligned_for_the_driver_are_refused),
        cmocka_unit_test(cfg_06_areas_that_overlap_are_refused),
        cmocka_unit_test(cfg_10_a_size_is_judged_before_it_is_narrowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
