/* A hostile device against the driver: group DRV of docs/hostile-cases.md. */
#include "pair.h"

static int setup(void **state)
{
    *state = pair_new(4);
    return 0;
}

static int teardown(void **state)
{
    pair_free(*state);
    return 0;
}

static void expect_driver_broken(struct pair *p, enum halo_broken reason)
{
    struct halo_used used = {77, 77};
    unsigned char *before = malloc(p->memory_len);
    uint32_t room = halo_driver_room(&p->driver);

    assert_int_equal(reap(p, &used), HALO_EBROKEN);
    assert_string_equal(halo_broken_name(p->driver.violation.reason), halo_broken_name(reason));
    assert_int_equal(used.id, 77);
    memcpy(before, p->memory, p->memory_len);
    assert_int_equal(reap(p, &used), HALO_EBROKEN);
    assert_int_equal(add(p, 1, 0), HALO_EBROKEN);
    assert_true(halo_driver_arm(&p->driver));
    assert_int_equal(halo_driver_room(&p->driver), room); /* what is lent stays lent */
    assert_memory_equal(before, p->memory, p->memory_len);
    free(before);
}

static void drv_01_a_used_id_outside_the_ring_is_broken(void **state)
{
    struct pair *p = *state;

    assert_true(submit(p, 0, 1) >= 0);
    poke(p, 0, 0, 0, 4, USED_1);
    expect_driver_broken(p, HALO_BROKEN_BAD_ID);
}

static void drv_02_a_used_id_that_was_never_submitted_is_broken(void **state)
{
    struct pair *p = *state;
    int id = submit(p, 0, 1);

    poke(p, 0, 0, 0, (uint32_t)(id + 1) % 4, USED_1);
    expect_driver_broken(p, HALO_BROKEN_NOT_IN_FLIGHT);
}

static void drv_02_a_chain_that_is_not_published_yet_cannot_come_back(void **state)
{
    struct pair *p = *state;
    int id = add(p, 0, 1);

    poke(p, 0, 0, 0, (uint32_t)id, USED_1);
    expect_driver_broken(p, HALO_BROKEN_NOT_IN_FLIGHT);
}

static void drv_03_the_same_id_twice_is_broken(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    int first = submit(p, 0, 1);

    assert_true(submit(p, 0, 1) >= 0);
    poke(p, 0, 0, 8, (uint32_t)first, USED_1 | WRITE);
    poke(p, 1, 0, 8, (uint32_t)first, USED_1 | WRITE);
    assert_int_equal(reap(p, &used), 1);
    assert_int_equal(used.len, 8);
    expect_driver_broken(p, HALO_BROKEN_NOT_IN_FLIGHT);
}

static void drv_04_a_length_above_the_capacity_is_broken(void **state)
{
    struct pair *p = *state;
    int id = submit(p, 1, 2);

    poke(p, 0, 0, 17, (uint32_t)id, USED_1 | WRITE);
    expect_driver_broken(p, HALO_BROKEN_LENGTH);
}

static void drv_06_a_length_without_write_counts_as_nothing(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    int id = submit(p, 1, 1);

    poke(p, 0, 0, UINT32_MAX, (uint32_t)id, USED_1);
    assert_int_equal(reap(p, &used), 1);
    assert_int_equal(used.len, 0);
}

static void next_and_indirect_mean_nothing_in_a_used_entry(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    int id = submit(p, 0, 1);

    poke(p, 0, 0, 3, (uint32_t)id, USED_1 | WRITE | NEXT | HALO_DESC_INDIRECT);
    assert_int_equal(reap(p, &used), 1);
    assert_int_equal(used.len, 3);
}

static void dev_09_reserved_flags_in_a_used_entry_are_broken(void **state)
{
    struct pair *p = *state;
    int id = submit(p, 0, 1);

    poke(p, 0, 0, 3, (uint32_t)id, USED_1 | WRITE | 1u << 13);
    expect_driver_broken(p, HALO_BROKEN_RESERVED);
}

static void drv_10_drv_11_used_entries_elsewhere_or_of_another_lap_are_nothing(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    uint32_t id = (uint32_t)submit(p, 0, 1);

    poke(p, 1, 0, 1, id, USED_1);
    poke(p, 3, 0, 1, id, USED_1);
    assert_int_equal(reap(p, &used), 0);
    poke(p, 0, 0, 1, id, 0); /* used, but in an even lap */
    assert_int_equal(reap(p, &used), 0);
    poke(p, 0, 0, 1, id, HALO_DESC_USED);
    assert_int_equal(reap(p, &used), 0);
    poke(p, 0, 0, 1, id, USED_1 | WRITE);
    assert_int_equal(reap(p, &used), 1);
}

static void drv_12_descriptors_in_flight_may_be_rewritten_without_effect(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    int first = submit(p, 1, 1);

    poke(p, 1, UINT64_MAX, UINT32_MAX, 3, 0x7fff);
    poke(p, 0, UINT64_MAX, 8, (uint32_t)first, USED_1 | WRITE);
    assert_int_equal(reap(p, &used), 1);
    assert_int_equal(used.len, 8);
    assert_int_equal(p->driver.used.slot, 2);
    assert_int_equal(halo_driver_room(&p->driver), 4);
}

static void drv_16_a_senseless_event_word_means_kick(void **state)
{
    struct pair *p = *state;

    p->device_event->word = 3u << 16;
    assert_true(submit(p, 1, 0) >= 0);
    assert_true(halo_driver_should_kick(&p->driver));
    p->device_event->word = HALO_EVENT_AT_DESC << 16 | 4;
    assert_true(submit(p, 1, 0) >= 0);
    assert_true(halo_driver_should_kick(&p->driver));
}

static void drv_19_a_chain_that_does_not_fit_changes_nothing(void **state)
{
    struct pair *p = *state;
    struct halo_buf huge[2] = {{RAM_BASE, UINT32_MAX}, {RAM_BASE, 1}};
    unsigned char *before = malloc(p->memory_len);
    struct halo_driver driver;

    assert_true(submit(p, 1, 1) >= 0);
    assert_true(add(p, 1, 0) >= 0);
    memcpy(before, p->memory, p->memory_len);
    driver = p->driver;
    assert_int_equal(add(p, 1, 1), HALO_EFULL);
    assert_int_equal(add(p, 0, 0), HALO_EINVAL);
    assert_int_equal(add(p, 3, 2), HALO_EINVAL);
    assert_int_equal(halo_driver_add(&p->driver, huge, UINT32_MAX, 2), HALO_EINVAL);
    assert_memory_equal(before, p->memory, p->memory_len);
    assert_memory_equal(&driver, &p->driver, sizeof(driver));
    free(before);

    p->driver.free_slots = 4; /* room, so that only the length can be wrong */
    assert_int_equal(halo_driver_add(&p->driver, huge, 0, 2), HALO_EINVAL);
}

static void every_error_has_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = HALO_EIO; a <= 0; a++) {
        for (int b = HALO_EIO; b < a; b++) {
            assert_string_not_equal(halo_errname(a), halo_errname(b));
            assert_string_not_equal(halo_strerror(a), halo_strerror(b));
        }
        assert_string_not_equal(halo_errname(a), "HALO_EUNKNOWN");
    }
    assert_string_equal(halo_errname(-1000), "HALO_EUNKNOWN");
    assert_string_equal(halo_strerror(5), "success");
    for (int a = 0; a <= HALO_BROKEN_LENGTH; a++)
        assert_string_not_equal(halo_broken_name((enum halo_broken)a), "UNKNOWN");
    for (int a = 0; a <= HALO_REJECT_EMPTY_CHAIN; a++)
        assert_string_not_equal(halo_reject_name((enum halo_reject)a), "UNKNOWN");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drv_01_a_used_id_outside_the_ring_is_broken),
        TEST(drv_02_a_used_id_that_was_never_submitted_is_broken),
        TEST(drv_02_a_chain_that_is_not_published_yet_cannot_come_back),
        TEST(drv_03_the_same_id_twice_is_broken),
        TEST(drv_04_a_length_above_the_capacity_is_broken),
        TEST(drv_06_a_length_without_write_counts_as_nothing),
        TEST(next_and_indirect_mean_nothing_in_a_used_entry),
        TEST(dev_09_reserved_flags_in_a_used_entry_are_broken),
        TEST(drv_10_drv_11_used_entries_elsewhere_or_of_another_lap_are_nothing),
        TEST(drv_12_descriptors_in_flight_may_be_rewritten_without_effect),
        TEST(drv_16_a_senseless_event_word_means_kick),
        TEST(drv_19_a_chain_that_does_not_fit_changes_nothing),
        TEST(every_error_has_a_name_and_a_text_of_its_own),
    };

    return cmocka_run_group_tests_name("driver", tests, NULL, NULL);
}
