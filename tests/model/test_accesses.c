/*
 * Which shared words are touched, how often and in which order. Built from the ring's unchanged
 * sources with HALO_SHM_TEST, so that each access comes here. A word that was loaded is spoiled at
 * once: whoever looked a second time would see something else.
 */
#include "pair.h"

enum op {
    LOAD_META,
    LOAD_ADDR,
    STAGE_ADDR,
    STAGE_META,
    PUBLISH_META,
    LOAD_EVENT,
    STORE_EVENT,
    FENCE
};

static struct {
    enum op op;
    const void *where;
} trace[64];
static unsigned trace_count;
static bool spoil;

static void record(enum op op, const void *where)
{
    assert_true(trace_count < 64);
    trace[trace_count].op = op;
    trace[trace_count++].where = where;
}

static void begin(bool spoiling)
{
    trace_count = 0;
    spoil = spoiling;
}

static unsigned count(enum op op, const void *where)
{
    unsigned n = 0;

    for (unsigned i = 0; i < trace_count; i++)
        n += trace[i].op == op && trace[i].where == where;
    return n;
}

static void expect(const enum op *ops, unsigned op_count)
{
    assert_int_equal(trace_count, op_count);
    for (unsigned i = 0; i < op_count; i++)
        assert_int_equal(trace[i].op, ops[i]);
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *shared)
{
    struct halo_desc *desc = (struct halo_desc *)(uintptr_t)shared;
    uint64_t meta = desc->meta;

    if (desc == &halo_ring_latched) /* not shared */
        return meta;
    record(LOAD_META, desc);
    if (spoil)
        desc->meta = ~meta;
    return meta;
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *shared)
{
    struct halo_desc *desc = (struct halo_desc *)(uintptr_t)shared;
    uint64_t addr = desc->addr;

    record(LOAD_ADDR, desc);
    if (spoil)
        desc->addr = UINT64_MAX;
    return addr;
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *shared, uint64_t addr)
{
    struct halo_desc *desc = (struct halo_desc *)(uintptr_t)shared;

    record(STAGE_ADDR, desc);
    desc->addr = addr;
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *shared, uint64_t meta)
{
    struct halo_desc *desc = (struct halo_desc *)(uintptr_t)shared;

    record(STAGE_META, desc);
    desc->meta = meta;
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *shared, uint64_t meta)
{
    struct halo_desc *desc = (struct halo_desc *)(uintptr_t)shared;

    record(PUBLISH_META, desc);
    desc->meta = meta;
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *shared)
{
    struct halo_event *event = (struct halo_event *)(uintptr_t)shared;
    uint32_t word = event->word;

    record(LOAD_EVENT, event);
    if (spoil)
        event->word = ~word;
    return word;
}

void halo_shm_store_event(HALO_SHARED struct halo_event *shared, uint32_t word)
{
    struct halo_event *event = (struct halo_event *)(uintptr_t)shared;

    record(STORE_EVENT, event);
    event->word = word;
}

void halo_shm_fence(void)
{
    record(FENCE, NULL);
}

static int setup(void **state)
{
    *state = pair_new(8);
    begin(false);
    return 0;
}

static int teardown(void **state)
{
    pair_free(*state);
    return 0;
}

static void toc_01_toc_02_toc_03_a_chain_is_judged_by_one_load_of_each_word(void **state)
{
    struct pair *p = *state;
    int id = submit(p, 2, 1);

    begin(true);
    assert_int_equal(take(p), 1);
    assert_int_equal(trace_count, 6);
    for (int slot = 0; slot < 3; slot++) {
        assert_int_equal(count(LOAD_META, &p->ring[slot]), 1);
        assert_int_equal(count(LOAD_ADDR, &p->ring[slot]), 1);
    }
    assert_int_equal(halo_token_id(p->chain.token), id);
    assert_int_equal(p->chain.slots, 3);
    assert_int_equal(p->chain.readable_len, 16);
    assert_int_equal(p->chain.writable_len, 8);
    assert_true(p->spans[2].base == p->regions[0].host + 16);

    /* Giving it back reads nothing: the private record tells where and how far. */
    begin(true);
    complete(p, p->chain.token, 8);
    expect((const enum op[]){PUBLISH_META}, 1);
    assert_true(trace[0].where == &p->ring[0]);
    assert_int_equal(halo_at_cursor(p->device.used, &p->place).slot, 3);
}

static void drv_18_a_used_entry_is_judged_by_one_load(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    int id = submit(p, 1, 1);

    assert_int_equal(take(p), 1);
    complete(p, p->chain.token, 5);
    begin(true);
    assert_int_equal(reap(p, &used), 1);
    expect((const enum op[]){LOAD_META}, 1);
    assert_int_equal(used.id, id);
    assert_int_equal(used.len, 5);
}

static void an_empty_poll_is_one_load_on_either_side(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    begin(false);
    assert_int_equal(take(p), 0);
    expect((const enum op[]){LOAD_META}, 1);
    begin(false);
    assert_int_equal(reap(p, &used), 0);
    expect((const enum op[]){LOAD_META}, 1);
}

static void toc_05_evt_07_publish_then_fence_then_one_load_of_the_event_word(void **state)
{
    struct pair *p = *state;

    begin(true);
    assert_true(submit(p, 1, 0) >= 0);
    assert_true(halo_driver_should_kick(&p->driver));
    expect((const enum op[]){STAGE_ADDR, PUBLISH_META, FENCE, LOAD_EVENT}, 4);
    assert_true(trace[3].where == p->device_event);
    begin(false);
    assert_int_equal(take(p), 1);
    begin(true);
    complete(p, p->chain.token, 0);
    assert_true(halo_device_should_notify(&p->device));
    expect((const enum op[]){PUBLISH_META, FENCE, LOAD_EVENT}, 3);
    assert_true(trace[2].where == p->driver_event);

    /* Nothing new: no fence, no load. */
    begin(false);
    assert_false(halo_driver_should_kick(&p->driver));
    assert_false(halo_device_should_notify(&p->device));
    assert_int_equal(trace_count, 0);
}

static void evt_08_arm_then_fence_then_look_again(void **state)
{
    struct pair *p = *state;

    begin(false);
    assert_false(halo_driver_arm(&p->driver));
    expect((const enum op[]){STORE_EVENT, FENCE, LOAD_META}, 3);
    assert_true(trace[0].where == p->driver_event);
    begin(false);
    assert_false(halo_device_arm(&p->device));
    expect((const enum op[]){STORE_EVENT, FENCE, LOAD_META}, 3);
    assert_true(trace[0].where == p->device_event);
}

static void wrap_04_the_first_flags_of_a_batch_are_stored_once_and_last(void **state)
{
    struct pair *p = *state;
    struct halo_token tokens[2];

    begin(false);
    assert_true(add(p, 1, 1) >= 0);
    assert_true(add(p, 1, 0) >= 0);
    halo_driver_publish(&p->driver);
    assert_int_equal(count(PUBLISH_META, &p->ring[0]) + count(STAGE_META, &p->ring[0]), 1);
    assert_int_equal(trace[trace_count - 1].op, PUBLISH_META);
    assert_true(trace[trace_count - 1].where == &p->ring[0]);
    assert_int_equal(count(STAGE_META, &p->ring[1]), 1);
    assert_int_equal(count(STAGE_META, &p->ring[2]), 1);

    assert_int_equal(take(p), 1);
    tokens[0] = p->chain.token;
    assert_int_equal(take(p), 1);
    tokens[1] = p->chain.token;
    begin(false);
    assert_int_equal(halo_device_complete(&p->device, tokens[1], 0), 0);
    assert_int_equal(halo_device_complete(&p->device, tokens[0], 0), 0);
    halo_device_publish(&p->device);
    expect((const enum op[]){STAGE_META, PUBLISH_META}, 2);
    assert_true(trace[0].where == &p->ring[1]);
    assert_true(trace[1].where == &p->ring[0]);
}

static void a_latched_queue_touches_nothing(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    poke(p, 0, 0, 0, 99, HALO_DESC_AVAIL);
    assert_int_equal(take(p), HALO_EBROKEN);
    poke(p, 0, 0, 0, 99, HALO_PHASE_MASK);
    assert_int_equal(reap(p, &used), HALO_EBROKEN);
    begin(false);
    assert_int_equal(take(p), HALO_EBROKEN);
    assert_int_equal(reap(p, &used), HALO_EBROKEN);
    assert_int_equal(submit(p, 1, 0), HALO_EBROKEN);
    halo_device_publish(&p->device);
    assert_true(halo_device_arm(&p->device));
    assert_true(halo_driver_arm(&p->driver));
    halo_device_disarm(&p->device);
    halo_driver_disarm(&p->driver);
    assert_false(halo_device_should_notify(&p->device));
    assert_false(halo_driver_should_kick(&p->driver));
    assert_int_equal(trace_count, 0);
}

static void rst_05_stop_fail_rewind_and_reset_touch_no_shared_memory(void **state)
{
    struct pair *p = *state;
    uint16_t id;

    submit(p, 1, 1);
    assert_int_equal(take(p), 1);
    begin(false);
    assert_int_equal(halo_device_rewind(&p->device, p->chain.token), 0);
    halo_driver_stop(&p->driver);
    assert_int_equal(halo_driver_fail(&p->driver, &id), 1);
    assert_int_equal(halo_driver_init(&p->driver, &p->place, p->driver_chains), 0);
    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX),
                     0);
    assert_int_equal(trace_count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(toc_01_toc_02_toc_03_a_chain_is_judged_by_one_load_of_each_word),
        TEST(drv_18_a_used_entry_is_judged_by_one_load),
        TEST(an_empty_poll_is_one_load_on_either_side),
        TEST(toc_05_evt_07_publish_then_fence_then_one_load_of_the_event_word),
        TEST(evt_08_arm_then_fence_then_look_again),
        TEST(wrap_04_the_first_flags_of_a_batch_are_stored_once_and_last),
        TEST(a_latched_queue_touches_nothing),
        TEST(rst_05_stop_fail_rewind_and_reset_touch_no_shared_memory),
    };

    return cmocka_run_group_tests_name("accesses", tests, NULL, NULL);
}
