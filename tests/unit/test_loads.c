/*
 * How often shared memory is touched, at every ring size. Built from the sources of the ring with
 * HALO_SHM_TEST, so that each access is made here: counted, and the word spoiled once it was read.
 */
#include "ring_fixture.h"

static struct {
    uint64_t meta_loads, addr_loads, event_loads, stores, fences;
    bool spoils;
} seen;

static void forget(bool spoils)
{
    memset(&seen, 0, sizeof(seen));
    seen.spoils = spoils;
}

static struct halo_desc *plain(const HALO_SHARED struct halo_desc *desc)
{
    return (struct halo_desc *)(uintptr_t)desc;
}

static struct halo_event *plain_event(const HALO_SHARED struct halo_event *event)
{
    return (struct halo_event *)(uintptr_t)event;
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    uint64_t meta = plain(desc)->meta;

    if (plain(desc) == &halo_ring_latched) /* not shared */
        return meta;
    seen.meta_loads++;
    plain(desc)->meta = seen.spoils ? ~meta : meta;
    return meta;
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    uint64_t addr = plain(desc)->addr;

    seen.addr_loads++;
    plain(desc)->addr = seen.spoils ? ~addr : addr;
    return addr;
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    seen.stores++;
    plain(desc)->addr = addr;
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    seen.stores++;
    plain(desc)->meta = meta;
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    seen.stores++;
    plain(desc)->meta = meta;
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    uint32_t word = plain_event(event)->word;

    seen.event_loads++;
    plain_event(event)->word = seen.spoils ? ~word : word;
    return word;
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    seen.stores++;
    plain_event(event)->word = word;
}

void halo_shm_fence(void)
{
    seen.fences++;
}

static void assert_seen(uint64_t meta_loads, uint64_t addr_loads, uint64_t stores)
{
    assert_int_equal(seen.meta_loads, meta_loads);
    assert_int_equal(seen.addr_loads, addr_loads);
    assert_int_equal(seen.event_loads, 0);
    assert_int_equal(seen.stores, stores);
}

static void dev_01_next_on_every_descriptor_breaks_the_queue_after_n_loads(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < ring->size; i++)
        offer(ring, i, DATA_BASE, 1, 0, HALO_DESC_NEXT);
    forget(true);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_seen(ring->size, ring->size, 0);
    assert_int_equal(ring->device.violation.reason, HALO_BROKEN_TOO_LONG);
}

static void dev_03_an_overcommitted_chain_costs_no_more_loads_than_slots_are_left(void **state)
{
    struct ring *ring = *state;

    offer_chain(ring, 0, 1, 0);
    assert_int_equal(ring_take(ring), 1);
    for (uint32_t i = 1; i <= ring->size; i++)
        offer(ring, i, DATA_BASE, 1, 1, HALO_DESC_NEXT);
    forget(true);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_int_equal(ring->device.violation.reason, HALO_BROKEN_OVERCOMMIT);
    assert_seen(ring->size - 1, ring->size - 1, 0);
}

static void dev_06_an_empty_poll_is_one_load_and_nothing_else(void **state)
{
    struct ring *ring = *state;

    for (int i = 0; i < 3; i++) {
        forget(false);
        assert_int_equal(ring_take(ring), 0);
        assert_seen(1, 0, 0);
        forget(false);
        assert_int_equal(ring_collect(ring), 0);
        assert_seen(1, 0, 0);
        ring_round_trip(ring, 1, 0);
    }
}

/* Every word changes right after it was read; a second look would see something else. */
static void toc_03_each_word_of_a_chain_is_loaded_once_and_decides(void **state)
{
    struct ring *ring = *state;

    for (uint32_t length = 1; length <= ring->size; length = 2 * length + 1) {
        uint32_t readable = length / 2;
        int id;

        ring_start(ring);
        id = ring_add(ring, readable, length - readable);
        halo_driver_publish(&ring->driver);
        forget(true);
        assert_int_equal(ring_take(ring), 1);
        assert_seen(length, length, 0);
        assert_int_equal(halo_token_id(ring->chain.token), id);
        assert_int_equal(ring->chain.slots, length);
        assert_int_equal(ring->chain.readable_count, readable);
        assert_int_equal(ring->chain.writable_count, length - readable);
        forget(true);
        ring_give(ring, ring->chain.token, length - readable);
        halo_device_publish(&ring->device);
        assert_seen(0, 0, 1);
        assert_int_equal(ring_collect(ring), 1);
        assert_seen(1, 0, 1);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, length - readable);
    }
}

static void evt_07_a_decision_is_one_fence_and_one_load(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < 2 * least(ring->size, 100) + 1; i++) {
        ring->driver_event->word = ring->device_event->word = 0;
        ring_round_trip(ring, 1, 0);
        forget(true);
        assert_true(halo_driver_should_kick(&ring->driver));
        assert_true(seen.fences == 1 && seen.event_loads == 1 && seen.meta_loads == 0);
        assert_true(halo_device_should_notify(&ring->device));
        assert_true(seen.fences == 2 && seen.event_loads == 2 && seen.meta_loads == 0);
        assert_false(halo_driver_should_kick(&ring->driver)); /* nothing new, nothing asked */
        assert_false(halo_device_should_notify(&ring->device));
        assert_true(seen.fences == 2 && seen.event_loads == 2 && seen.stores == 0);
        forget(false);
    }
}

static void res_03_a_latched_device_makes_no_access_at_all(void **state)
{
    struct ring *ring = *state;

    ring_round_trip(ring, 0, 1);
    offer(ring, 1, DATA_BASE, 1, 0, HALO_DESC_INDIRECT);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    forget(false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_take(ring), HALO_EBROKEN);
        assert_int_equal(halo_device_complete(&ring->device, ring->chain.token, 0), HALO_EBROKEN);
        halo_device_publish(&ring->device);
        assert_false(halo_device_should_notify(&ring->device));
        assert_true(halo_device_arm(&ring->device));
        halo_device_disarm(&ring->device);
    }
    assert_seen(0, 0, 0);
}

static void drv_20_a_latched_driver_makes_no_access_at_all(void **state)
{
    struct ring *ring = *state;

    ring_round_trip(ring, 0, 1);
    answer(ring, 1, 0, ring->size, 0);
    if (ring->size > 1)
        assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1); /* staged, now for ever */
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    forget(false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_collect(ring), HALO_EBROKEN);
        assert_int_equal(ring_add(ring, 0, 1), HALO_EBROKEN);
        halo_driver_publish(&ring->driver);
        assert_false(halo_driver_should_kick(&ring->driver));
        assert_true(halo_driver_arm(&ring->driver));
        halo_driver_disarm(&ring->driver);
    }
    assert_seen(0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(dev_01_next_on_every_descriptor_breaks_the_queue_after_n_loads),
        FROM_SIZE_2(dev_03_an_overcommitted_chain_costs_no_more_loads_than_slots_are_left),
        AT_EVERY_SIZE(dev_06_an_empty_poll_is_one_load_and_nothing_else),
        AT_EVERY_SIZE(toc_03_each_word_of_a_chain_is_loaded_once_and_decides),
        AT_EVERY_SIZE(evt_07_a_decision_is_one_fence_and_one_load),
        AT_EVERY_SIZE(res_03_a_latched_device_makes_no_access_at_all),
        AT_EVERY_SIZE(drv_20_a_latched_driver_makes_no_access_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
