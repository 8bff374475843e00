/* A hostile driver against the device: groups CFG, DEV, ID and TOC of docs/hostile-cases.md. */
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

static void cfg_01_cfg_02_cfg_05_a_bad_place_is_refused(void **state)
{
    struct pair *p = *state;
    static const uint32_t sizes[] = {0, 32769, 40000, 65535, UINT32_MAX};
    struct halo_ring_place bad;

    for (unsigned i = 0; i < 5; i++) {
        bad = p->place;
        bad.size = sizes[i];
        assert_int_equal(halo_device_init(&p->device, &bad, &p->ram, p->device_chains, 1),
                         HALO_EINVAL);
        assert_int_equal(halo_driver_init(&p->driver, &bad, p->driver_chains), HALO_EINVAL);
        assert_int_equal(halo_ring_place_in(halo_shm_share(p->memory), sizes[i], &bad),
                         HALO_EINVAL);
    }
    for (unsigned shift = 1; shift < 16; shift++) {
        bad = p->place;
        bad.desc = halo_shm_share(p->memory + shift);
        assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
        bad = p->place;
        bad.device_event = halo_shm_share(p->memory + 64 + shift);
        assert_int_equal(halo_ring_place_check(&bad), shift % 4 ? HALO_EINVAL : 0);
        bad = p->place;
        bad.driver_event = halo_shm_share(p->memory + 64 + shift);
        assert_int_equal(halo_ring_place_check(&bad), shift % 4 ? HALO_EINVAL : 0);
    }
    bad = p->place;
    bad.driver_event = NULL;
    assert_int_equal(halo_ring_place_check(&bad), HALO_EINVAL);
    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, 1ull << 32),
                     HALO_EINVAL);
}

static void dev_01_next_on_every_descriptor_is_too_long(void **state)
{
    struct pair *p = *state;

    for (uint32_t i = 0; i < 4; i++)
        poke(p, i, RAM_BASE, 8, 0, AVAIL | NEXT);
    expect_broken(p, HALO_BROKEN_TOO_LONG, 3);
}

static void dev_03_a_chain_longer_than_what_is_left_is_overcommit(void **state)
{
    struct pair *p = *state;

    assert_true(submit(p, 1, 1) >= 0);
    assert_int_equal(take(p), 1);
    poke(p, 2, RAM_BASE, 8, 2, AVAIL | NEXT);
    poke(p, 3, RAM_BASE, 8, 2, AVAIL | NEXT);
    poke(p, 0, RAM_BASE, 8, 2, HALO_DESC_USED);
    expect_broken(p, HALO_BROKEN_OVERCOMMIT, 3);
}

static void dev_22_slots_published_again_before_completion_are_overcommit(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 4; i++) {
        assert_true(submit(p, 1, 0) >= 0);
        assert_int_equal(take(p), 1);
    }
    assert_int_equal(take(p), 0);
    poke(p, 0, RAM_BASE, 8, 0, HALO_DESC_USED); /* available in the second lap */
    expect_broken(p, HALO_BROKEN_OVERCOMMIT, 0);
}

static void dev_04_a_chain_crosses_the_end_of_the_ring(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (int i = 0; i < 20; i++) {
        assert_true(submit(p, 2, 1) >= 0);
        assert_int_equal(take(p), 1);
        assert_int_equal(p->chain.slots, 3);
        complete(p, p->chain.token, 3);
        assert_int_equal(reap(p, &used), 1);
    }
    /* With the phase of the lap before, what follows the end is torn. */
    assert_int_equal(p->device.avail.slot, 0);
    assert_int_equal(halo_cursor_wrap(p->device.avail), 0);
}

static void dev_05_a_chain_whose_next_is_not_available_is_torn(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 8, 0, AVAIL | NEXT);
    poke(p, 1, RAM_BASE, 8, 0, HALO_DESC_USED); /* available, but in another lap */
    expect_broken(p, HALO_BROKEN_TORN, 1);
}

static void dev_06_heads_with_wrong_phase_bits_are_nothing(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 8, 0, 0);
    assert_int_equal(take(p), 0);
    poke(p, 0, RAM_BASE, 8, 0, USED_1);
    assert_int_equal(take(p), 0);
    poke(p, 0, RAM_BASE, 8, 0, HALO_DESC_USED | NEXT | HALO_DESC_INDIRECT);
    assert_int_equal(take(p), 0);
    poke(p, 0, RAM_BASE, 8, 0, 0xffff);
    assert_int_equal(take(p), 0);
    poke(p, 0, RAM_BASE, 8, 0, AVAIL);
    assert_int_equal(take(p), 1);
}

static void dev_07_indirect_is_broken_on_the_head(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 16, 0, AVAIL | HALO_DESC_INDIRECT);
    expect_broken(p, HALO_BROKEN_INDIRECT, 0);
}

static void dev_07_indirect_is_broken_in_the_middle(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 16, 0, AVAIL | NEXT);
    poke(p, 1, RAM_BASE, 16, 0, AVAIL | NEXT | WRITE | HALO_DESC_INDIRECT);
    poke(p, 2, RAM_BASE, 16, 0, AVAIL | WRITE);
    expect_broken(p, HALO_BROKEN_INDIRECT, 1);
}

static void dev_09_every_reserved_flag_is_broken(void **state)
{
    struct pair *p = *state;

    for (uint32_t bit = 0; bit < 16; bit++) {
        if (!(HALO_DESC_RESERVED & 1u << bit))
            continue;
        pair_free(p);
        p = pair_new(4);
        poke(p, 0, RAM_BASE, 8, 0, AVAIL | 1u << bit);
        expect_broken(p, HALO_BROKEN_RESERVED, 0);
    }
    *state = p;
    assert_int_equal(HALO_DESC_RESERVED | NEXT | WRITE | HALO_DESC_INDIRECT | HALO_PHASE_MASK,
                     0xffff);
}

static void dev_10_readable_after_writable_is_broken(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 8, 0, AVAIL | NEXT | WRITE);
    poke(p, 1, RAM_BASE, 8, 0, AVAIL);
    expect_broken(p, HALO_BROKEN_ORDER, 1);
}

static void dev_11_empty_buffers_take_a_slot_and_nothing_else(void **state)
{
    struct pair *p = *state;

    poke(p, 0, UINT64_MAX, 0, 0, AVAIL | NEXT);
    poke(p, 1, RAM_BASE, 8, 0, AVAIL | NEXT);
    poke(p, 2, 0, 0, 0, AVAIL | WRITE);
    assert_int_equal(take(p), 1);
    assert_int_equal(p->chain.slots, 3);
    assert_int_equal(p->chain.readable_count, 1);
    assert_int_equal(p->chain.writable_count, 0);
    assert_int_equal(p->spans[0].len, 8);
}

/* A chain of one buffer that must be rejected, and then a sound one that must go through. */
static void expect_reject(struct pair *p, enum halo_reject reject, uint64_t where)
{
    struct halo_used used;
    int id;

    assert_int_equal(take(p), HALO_EREJECT);
    assert_string_equal(halo_reject_name(p->chain.reject), halo_reject_name(reject));
    assert_true(p->chain.where.value == where);
    assert_int_equal(p->chain.readable_count + p->chain.writable_count, 0);
    assert_int_equal(halo_device_complete(&p->device, p->chain.token, 0), HALO_ESTALE);
    halo_device_publish(&p->device);
    assert_int_equal(reap(p, &used), 1);
    assert_int_equal(used.len, 0);
    assert_int_equal(reap(p, &used), 0);

    id = submit(p, 1, 0);
    assert_true(id >= 0);
    assert_int_equal(take(p), 1);
    complete(p, p->chain.token, 0);
    assert_int_equal(reap(p, &used), 1);
    assert_int_equal(used.id, id);
}

static void reject_one(struct pair *p, uint64_t addr, uint32_t len, bool writable,
                       enum halo_reject reject)
{
    const struct halo_buf buf = {addr, len};

    assert_true(halo_driver_add(&p->driver, &buf, !writable, writable) >= 0);
    halo_driver_publish(&p->driver);
    expect_reject(p, reject, reject == HALO_REJECT_EMPTY_CHAIN ? 0 : addr);
}

static void accept_one(struct pair *p, uint64_t addr, uint32_t len, bool writable)
{
    const struct halo_buf buf = {addr, len};
    struct halo_used used;

    assert_true(halo_driver_add(&p->driver, &buf, !writable, writable) >= 0);
    halo_driver_publish(&p->driver);
    assert_int_equal(take(p), 1);
    assert_int_equal(p->spans[0].len, len);
    complete(p, p->chain.token, 0);
    assert_int_equal(reap(p, &used), 1);
}

static void dev_11_a_chain_without_a_byte_is_rejected(void **state)
{
    reject_one(*state, RAM_BASE, 0, true, HALO_REJECT_EMPTY_CHAIN);
}

static void dev_12_dev_13_dev_16_buffers_at_every_border(void **state)
{
    struct pair *p = *state;

    accept_one(p, RAM_BASE, RAM_LEN, true);
    accept_one(p, RAM_BASE + RAM_LEN - 1, 1, true);
    accept_one(p, ROM_BASE, ROM_LEN, false);
    reject_one(p, RAM_BASE + RAM_LEN - 1, 2, true, HALO_REJECT_RANGE);
    reject_one(p, RAM_BASE + RAM_LEN, 1, true, HALO_REJECT_RANGE);
    reject_one(p, RAM_BASE - 1, 1, false, HALO_REJECT_RANGE);
    reject_one(p, RAM_BASE - 1, 2, false, HALO_REJECT_RANGE);
    reject_one(p, RAM_BASE, RAM_LEN + 1, false, HALO_REJECT_RANGE);
    reject_one(p, RAM_BASE, UINT32_MAX, false, HALO_REJECT_RANGE);
    reject_one(p, 0, 1, false, HALO_REJECT_RANGE);
    reject_one(p, UINT64_MAX, 1, false, HALO_REJECT_RANGE);
    reject_one(p, UINT64_MAX, UINT32_MAX, true, HALO_REJECT_RANGE);
    reject_one(p, UINT64_MAX - 7, 16, false, HALO_REJECT_RANGE);
    reject_one(p, ROM_BASE, 1, true, HALO_REJECT_PERMISSION);
    reject_one(p, ROM_BASE + ROM_LEN - 1, 1, true, HALO_REJECT_PERMISSION);
    reject_one(p, ROM_BASE + ROM_LEN - 1, 2, true, HALO_REJECT_RANGE);
}

static void dev_12_a_sum_of_lengths_above_the_limit_is_rejected(void **state)
{
    struct pair *p = *state;
    const struct halo_buf at[] = {{RAM_BASE, 60}, {RAM_BASE + 100, 40}};
    const struct halo_buf over[] = {{RAM_BASE, 60}, {RAM_BASE + 100, 41}};

    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, 100), 0);
    assert_true(halo_driver_add(&p->driver, at, 1, 1) >= 0);
    halo_driver_publish(&p->driver);
    assert_int_equal(take(p), 1);
    assert_true(halo_driver_add(&p->driver, over, 1, 1) >= 0);
    halo_driver_publish(&p->driver);
    assert_int_equal(take(p), HALO_EREJECT);
    assert_int_equal(p->chain.reject, HALO_REJECT_LENGTH);
    assert_true(p->chain.where.value == RAM_BASE + 100);
}

static void dev_12_lengths_that_pass_2_to_the_32_do_not_wrap(void **state)
{
    struct pair *p = *state;

    /* The whole address space is shared here, so that nothing but the sum can be wrong. */
    p->regions[0].base = 0;
    p->regions[0].len = UINT64_MAX;
    poke(p, 1, 16, 32, 0, AVAIL);
    poke(p, 0, 16, UINT32_MAX, 0, AVAIL | NEXT);
    assert_int_equal(take(p), HALO_EREJECT);
    assert_int_equal(p->chain.reject, HALO_REJECT_LENGTH);
    p->regions[0].base = RAM_BASE;
    p->regions[0].len = RAM_LEN;
}

static void dev_17_more_buffers_than_spans_are_rejected(void **state)
{
    struct pair *p = *state;
    struct halo_span spans[3] = {{NULL, 0}, {NULL, 0}, {NULL, 77}};

    assert_true(submit(p, 1, 1) >= 0);
    assert_int_equal(halo_device_poll(&p->device, &p->chain, spans, 2), 1);
    assert_true(submit(p, 1, 0) >= 0);
    assert_int_equal(halo_device_poll(&p->device, &p->chain, spans, 0), HALO_EREJECT);
    assert_int_equal(p->chain.reject, HALO_REJECT_SEGMENTS);
    assert_int_equal(spans[2].len, 77);
}

static void dev_20_the_next_chain_is_left_alone_and_holes_are_nothing(void **state)
{
    struct pair *p = *state;

    poke(p, 1, RAM_BASE, 8, 1, AVAIL);
    assert_int_equal(take(p), 0);
    poke(p, 0, RAM_BASE, 8, 0, AVAIL);
    assert_int_equal(take(p), 1);
    assert_int_equal(p->chain.slots, 1);
    assert_int_equal(p->chain.token.id, 0);
    assert_int_equal(take(p), 1);
    assert_int_equal(p->chain.token.id, 1);
}

static void dev_21_toc_02_slots_that_the_device_owns_are_not_read_again(void **state)
{
    struct pair *p = *state;

    assert_true(submit(p, 1, 1) >= 0);
    assert_int_equal(take(p), 1);
    poke(p, 0, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
    poke(p, 1, UINT64_MAX, UINT32_MAX, 0xffff, 0xffff);
    assert_int_equal(p->spans[0].len, 8);
    assert_int_equal(halo_device_complete(&p->device, p->chain.token, 9), HALO_EINVAL);
    complete(p, p->chain.token, 8);
    /* The used entry says what the private record says, and the next position follows from it. */
    assert_true(p->ring[0].meta == halo_meta(8, p->chain.token.id, USED_1 | WRITE));
    assert_int_equal(p->device.used.slot, 2);
}

static void a_used_entry_has_write_exactly_when_it_has_a_length(void **state)
{
    struct pair *p = *state;
    struct halo_token tokens[2];

    for (int i = 0; i < 2; i++) {
        assert_true(submit(p, 0, 1) >= 0);
        assert_int_equal(take(p), 1);
        tokens[i] = p->chain.token;
    }
    complete(p, tokens[1], 0);
    complete(p, tokens[0], 1);
    assert_true(p->ring[0].meta == halo_meta(0, tokens[1].id, USED_1));
    assert_true(p->ring[1].meta == halo_meta(1, tokens[0].id, USED_1 | WRITE));
}

static void id_01_an_id_outside_the_ring_is_broken(void **state)
{
    struct pair *p = *state;
    static const uint32_t ids[] = {4, 5, 255, 32768, 65535};

    for (unsigned i = 0; i < 5; i++) {
        pair_free(p);
        p = pair_new(4);
        poke(p, 0, RAM_BASE, 8, ids[i], AVAIL);
        expect_broken(p, HALO_BROKEN_BAD_ID, 0);
        assert_int_equal(p->device.violation.id, ids[i]);
        assert_true(p->device.violation.addr == RAM_BASE);
    }
    *state = p;
}

static void id_02_an_id_in_flight_is_broken(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 8, 3, AVAIL);
    poke(p, 1, RAM_BASE, 8, 3, AVAIL);
    assert_int_equal(take(p), 1);
    expect_broken(p, HALO_BROKEN_DUPLICATE_ID, 1);
}

static void id_03_the_last_descriptor_gives_the_id(void **state)
{
    struct pair *p = *state;

    poke(p, 0, RAM_BASE, 8, 60000, AVAIL | NEXT);
    poke(p, 1, RAM_BASE, 8, 2, AVAIL);
    assert_int_equal(take(p), 1);
    assert_int_equal(p->chain.token.id, 2);
}

static void id_05_old_tokens_are_stale(void **state)
{
    struct pair *p = *state;
    struct halo_token first, foreign = {1, 4};
    struct halo_used used;

    assert_true(submit(p, 0, 1) >= 0);
    assert_int_equal(take(p), 1);
    first = p->chain.token;
    complete(p, first, 1);
    assert_int_equal(halo_device_complete(&p->device, first, 1), HALO_ESTALE);
    assert_int_equal(reap(p, &used), 1);
    assert_true(submit(p, 0, 1) >= 0);
    assert_int_equal(take(p), 1);
    assert_int_equal(p->chain.token.id, first.id);
    assert_int_equal(halo_device_complete(&p->device, first, 1), HALO_ESTALE);
    assert_int_equal(halo_device_complete(&p->device, foreign, 0), HALO_ESTALE);

    first = p->chain.token;
    memset(p->memory, 0, p->memory_len);
    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX),
                     0);
    assert_int_equal(halo_device_complete(&p->device, first, 1), HALO_ESTALE);
    poke(p, 0, RAM_BASE, 8, first.id, AVAIL | WRITE);
    assert_int_equal(take(p), 1);
    assert_int_equal(halo_device_complete(&p->device, first, 1), HALO_ESTALE);
}

static void rst_02_a_reset_heals_a_broken_queue_twice_in_a_row(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++) {
        poke(p, 0, RAM_BASE, 8, 0, AVAIL | HALO_DESC_INDIRECT);
        expect_broken(p, HALO_BROKEN_INDIRECT, 0);
        for (int twice = 0; twice < 2; twice++) {
            memset(p->memory, 0, p->memory_len);
            assert_int_equal(
                halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX), 0);
            assert_int_equal(halo_driver_init(&p->driver, &p->place, p->driver_chains), 0);
        }
        assert_true(submit(p, 1, 1) >= 0);
        assert_int_equal(take(p), 1);
        memset(p->memory, 0, p->memory_len);
        assert_int_equal(
            halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX), 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cfg_01_cfg_02_cfg_05_a_bad_place_is_refused),
        TEST(dev_01_next_on_every_descriptor_is_too_long),
        TEST(dev_03_a_chain_longer_than_what_is_left_is_overcommit),
        TEST(dev_22_slots_published_again_before_completion_are_overcommit),
        TEST(dev_04_a_chain_crosses_the_end_of_the_ring),
        TEST(dev_05_a_chain_whose_next_is_not_available_is_torn),
        TEST(dev_06_heads_with_wrong_phase_bits_are_nothing),
        TEST(dev_07_indirect_is_broken_on_the_head),
        TEST(dev_07_indirect_is_broken_in_the_middle),
        TEST(dev_09_every_reserved_flag_is_broken),
        TEST(dev_10_readable_after_writable_is_broken),
        TEST(dev_11_empty_buffers_take_a_slot_and_nothing_else),
        TEST(dev_11_a_chain_without_a_byte_is_rejected),
        TEST(dev_12_dev_13_dev_16_buffers_at_every_border),
        TEST(dev_12_a_sum_of_lengths_above_the_limit_is_rejected),
        TEST(dev_12_lengths_that_pass_2_to_the_32_do_not_wrap),
        TEST(dev_17_more_buffers_than_spans_are_rejected),
        TEST(dev_20_the_next_chain_is_left_alone_and_holes_are_nothing),
        TEST(dev_21_toc_02_slots_that_the_device_owns_are_not_read_again),
        TEST(a_used_entry_has_write_exactly_when_it_has_a_length),
        TEST(id_01_an_id_outside_the_ring_is_broken),
        TEST(id_02_an_id_in_flight_is_broken),
        TEST(id_03_the_last_descriptor_gives_the_id),
        TEST(id_05_old_tokens_are_stale),
        TEST(rst_02_a_reset_heals_a_broken_queue_twice_in_a_row),
    };

    return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
