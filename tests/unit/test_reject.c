/* Sound chains whose buffers are not acceptable: rejected, given back empty, and the queue goes on.
 */
#include "ring_fixture.h"

/* As a driver: one chain made of these buffers, the writable ones last. */
static void offer_bufs(struct ring *ring, uint64_t position, const struct halo_buf *bufs,
                       uint32_t readable, uint32_t writable)
{
    for (uint32_t i = 0; i < readable + writable; i++) {
        uint32_t flags = i + 1 < readable + writable ? HALO_DESC_NEXT : 0;

        flags |= i >= readable ? HALO_DESC_WRITE : 0;
        offer(ring, position + i, bufs[i].addr, bufs[i].len, 0, flags);
    }
}

/*
 * A chain of these buffers is rejected for this reason at this address: consumed, given back with
 * length 0 and without WRITE, and the next chain is taken as if nothing had happened.
 */
static void assert_rejected(struct ring *ring, const struct halo_buf *bufs, uint32_t readable,
                            uint32_t writable, enum halo_reject reason, uint64_t where)
{
    uint32_t slots = readable + writable;
    struct halo_token token;

    offer_bufs(ring, 0, bufs, readable, writable);
    assert_int_equal(ring_take(ring), HALO_EREJECT);
    assert_int_equal(ring->chain.reject, reason);
    assert_int_equal(ring->chain.bad_addr.value, where);
    assert_int_equal(ring->chain.slots, slots);
    assert_int_equal(ring->chain.readable_count, 0);
    assert_int_equal(ring->chain.writable_count, 0);
    assert_int_equal(ring->chain.readable_len, 0);
    assert_int_equal(ring->chain.writable_len, 0);
    assert_int_equal(ring->device.violation.reason, HALO_BROKEN_NOT);
    assert_int_equal(halo_device_in_flight(&ring->device), 0);
    token = ring->chain.token;
    assert_int_equal(halo_device_complete(&ring->device, token, 0), HALO_ESTALE);
    halo_device_publish(&ring->device);
    assert_int_equal(desc_at(ring, 0)->meta, halo_meta(0, 0, used_flags(ring, 0)));
    assert_cursor(halo_at_cursor(ring->device.used, &ring->place), slots, ring->size);

    offer(ring, slots, DATA_BASE, 1, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    ring_give(ring, ring->chain.token, 1);
    halo_device_publish(&ring->device);
    assert_int_equal(desc_at(ring, slots)->meta,
                     halo_meta(1, 0, used_flags(ring, slots) | HALO_DESC_WRITE));
    ring_start(ring);
}

static void assert_taken(struct ring *ring, const struct halo_buf *bufs, uint32_t readable,
                         uint32_t writable)
{
    offer_bufs(ring, 0, bufs, readable, writable);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.reject, HALO_REJECT_NOT);
}

static void set_len_max(struct ring *ring, uint64_t len_max)
{
    assert_int_equal(
        halo_device_init(&ring->device, &ring->place, &ring->guest, ring->device_chains, len_max),
        0);
}

/* --- DEV-11 ---------------------------------------------------------------------------------- */

static void dev_11_an_empty_buffer_takes_a_slot_and_nothing_else(void **state)
{
    struct ring *ring = *state;

    for (uint32_t empty = 0; empty < 3; empty++) {
        struct halo_buf bufs[] = {{DATA_BASE, 5}, {DATA_BASE + 5, 6}, {DATA_BASE + 11, 7}};

        bufs[empty] = (struct halo_buf){UINT64_MAX - empty, 0};
        ring_start(ring);
        offer_bufs(ring, 0, bufs, 2, 1);
        assert_int_equal(halo_device_poll(&ring->device, &ring->chain, ring->spans, 2), 1);
        assert_int_equal(ring->chain.slots, 3);
        assert_int_equal(ring->chain.readable_count + ring->chain.writable_count, 2);
        assert_int_equal(ring->chain.readable_len, bufs[0].len + bufs[1].len);
        assert_int_equal(ring->chain.writable_len, bufs[2].len);
        for (uint32_t i = 0, span = 0; i < 3; i++) {
            if (i == empty)
                continue;
            assert_ptr_equal(halo_shm_expose(ring->spans[span].base),
                             ring->data + (bufs[i].addr - DATA_BASE));
            assert_int_equal(ring->spans[span++].len, bufs[i].len);
        }
    }
}

static void dev_11_a_chain_without_any_byte_is_rejected(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf empty[] = {{UINT64_MAX, 0}, {0, 0}};

    assert_rejected(ring, empty, 1, 0, HALO_REJECT_EMPTY_CHAIN, 0);
    assert_rejected(ring, empty, 0, 1, HALO_REJECT_EMPTY_CHAIN, 0);
    if (ring->size > 1)
        assert_rejected(ring, empty, 1, 1, HALO_REJECT_EMPTY_CHAIN, 0);
}

/* --- DEV-12 ---------------------------------------------------------------------------------- */

static void dev_12_a_chain_may_carry_len_max_bytes_and_not_one_more(void **state)
{
    struct ring *ring = *state;
    struct halo_buf buf = {DATA_BASE, 1000};

    set_len_max(ring, 1000);
    assert_taken(ring, &buf, 1, 0);
    ring_start(ring);
    set_len_max(ring, 1000);
    assert_taken(ring, &buf, 0, 1);
    ring_start(ring);
    set_len_max(ring, 999);
    assert_rejected(ring, &buf, 1, 0, HALO_REJECT_LENGTH, DATA_BASE);
    set_len_max(ring, 1);
    buf.len = 2;
    assert_rejected(ring, &buf, 0, 1, HALO_REJECT_LENGTH, DATA_BASE);
    buf.len = UINT32_MAX;
    assert_rejected(ring, &buf, 1, 0, HALO_REJECT_LENGTH, DATA_BASE);
}

static void dev_12_len_max_counts_readable_and_writable_bytes_together(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bufs[] = {{DATA_BASE, 600}, {DATA_BASE + 600, 400}};

    set_len_max(ring, 1000);
    assert_taken(ring, bufs, 1, 1);
    ring_start(ring);
    set_len_max(ring, 999);
    assert_rejected(ring, bufs, 1, 1, HALO_REJECT_LENGTH, DATA_BASE + 600);
    set_len_max(ring, 999);
    assert_rejected(ring, bufs, 2, 0, HALO_REJECT_LENGTH, DATA_BASE + 600);
    set_len_max(ring, 999);
    assert_rejected(ring, bufs, 0, 2, HALO_REJECT_LENGTH, DATA_BASE + 600);
}

/* Memory large enough that only the sum is at fault. Nothing is read or written in this test. */
static void dev_12_lengths_whose_sum_passes_2_to_the_32_do_not_wrap(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bufs[] = {{0, 0x80000000}, {0, 0x7fffffff}, {0, 1}};

    ring->regions[0].base = 0;
    ring->regions[0].len = UINT64_C(1) << 33;
    set_len_max(ring, UINT32_MAX);
    assert_taken(ring, bufs, 1, 1);
    assert_int_equal(ring->chain.readable_len + ring->chain.writable_len, UINT32_MAX);
    ring_start(ring);
    for (uint32_t readable = 0; readable <= 3; readable++) {
        set_len_max(ring, UINT32_MAX);
        assert_rejected(ring, bufs, readable, 3 - readable, HALO_REJECT_LENGTH, 0);
    }
}

/* --- DEV-13, DEV-16 -------------------------------------------------------------------------- */

static void dev_13_a_buffer_that_ends_with_its_region_is_taken(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bufs[] = {{DATA_BASE + DATA_LEN - 7, 7}, {ROM_BASE + ROM_LEN - 1, 1}};

    assert_taken(ring, bufs, 1, 0);
    assert_ptr_equal(halo_shm_expose(ring->spans[0].base), ring->data + DATA_LEN - 7);
    ring_start(ring);
    assert_taken(ring, bufs + 1, 1, 0);
}

static void dev_13_a_buffer_not_wholly_in_shared_memory_is_rejected(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bad[] = {
        {DATA_BASE + DATA_LEN - 7, 8},
        {DATA_BASE + DATA_LEN, 1},
        {DATA_BASE - 1, 1},
        {DATA_BASE - 1, 2},
        {DATA_BASE, DATA_LEN + 1},
        {0, 1},
        {UINT64_MAX, 1},
        {UINT64_MAX - 7, 8},
        {UINT64_MAX - 7, 9}, /* would end at 0 */
        {UINT64_MAX, LEN_MAX},
        {(uint64_t)DATA_BASE + (UINT64_C(1) << 32), 1}, /* right in the low half only */
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_rejected(ring, &bad[i], 1, 0, HALO_REJECT_RANGE, bad[i].addr);
        assert_rejected(ring, &bad[i], 0, 1, HALO_REJECT_RANGE, bad[i].addr);
    }
}

/* None should; but what is behind the end is not taken for what is before its begin. */
static void dev_13_a_region_past_the_end_of_the_address_space_does_not_wrap(void **state)
{
    struct ring *ring = *state;

    ring->regions[0].base = UINT64_MAX - 0xfff;
    halo_device_memory_changed(&ring->device);
    offer(ring, 0, 0x100, 1, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), HALO_EREJECT);
    assert_int_equal(ring->chain.reject, HALO_REJECT_RANGE);
    halo_device_publish(&ring->device);
    offer(ring, 1, UINT64_MAX - 0xfff, 1, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(ring->chain.writable_len, 1);
}

static void dev_16_a_buffer_in_memory_that_lacks_the_right_is_rejected(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf rom = {ROM_BASE + 16, 16}, sink = {SINK_BASE + 16, 16};

    assert_taken(ring, &rom, 1, 0);
    ring_start(ring);
    assert_taken(ring, &sink, 0, 1);
    ring_start(ring);
    assert_rejected(ring, &rom, 0, 1, HALO_REJECT_PERMISSION, rom.addr);
    assert_rejected(ring, &sink, 1, 0, HALO_REJECT_PERMISSION, sink.addr);
}

/* Where the plain path looks first, too. */
static void dev_16_the_first_region_may_lack_a_right(void **state)
{
    struct ring *ring = *state;

    for (int writes = 0; writes < 2; writes++) {
        ring->regions[0].rights = writes ? HALO_MAY_READ : HALO_MAY_WRITE;
        ring_start(ring);
        offer(ring, 0, DATA_BASE, 1, 0, writes ? HALO_DESC_WRITE : 0);
        assert_int_equal(ring_take(ring), HALO_EREJECT);
        assert_int_equal(ring->chain.reject, HALO_REJECT_PERMISSION);
        halo_device_publish(&ring->device);
        offer(ring, 1, DATA_BASE, 1, 0, writes ? 0 : HALO_DESC_WRITE);
        assert_int_equal(ring_take(ring), 1);
    }
}

static void the_first_unacceptable_buffer_of_a_chain_is_the_one_that_is_named(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf bufs[] = {{DATA_BASE, 1}, {ROM_BASE, 2}, {UINT64_MAX, 3}};

    assert_rejected(ring, bufs, 1, 2, HALO_REJECT_PERMISSION, ROM_BASE);
    assert_rejected(ring, bufs, 2, 1, HALO_REJECT_RANGE, UINT64_MAX);
    set_len_max(ring, 2);
    assert_rejected(ring, bufs, 2, 1, HALO_REJECT_LENGTH, ROM_BASE);
}

/* --- DEV-17 ---------------------------------------------------------------------------------- */

static void dev_17_more_buffers_than_spans_are_rejected_at_the_limit(void **state)
{
    struct ring *ring = *state;
    uint32_t length = least(ring->size, 40);

    for (uint32_t span_max = 0; span_max <= length; span_max++) {
        struct halo_span *spans = calloc(span_max + 1, sizeof(*spans));
        int got;

        ring_start(ring);
        offer_chain(ring, 0, length, 0);
        spans[span_max].len = 0x5a5a5a;
        got = halo_device_poll(&ring->device, &ring->chain, spans, span_max);
        assert_int_equal(got, span_max == length ? 1 : HALO_EREJECT);
        assert_int_equal(spans[span_max].len, 0x5a5a5a);
        if (span_max < length) {
            assert_int_equal(ring->chain.reject, HALO_REJECT_SEGMENTS);
            assert_int_equal(ring->chain.bad_addr.value, DATA_BASE + span_max);
            assert_int_equal(ring->chain.readable_count, 0);
        }
        free(spans);
    }
}

/* --- Together with an honest driver ---------------------------------------------------------- */

/* A driver's bad chain comes back to it empty, between two good ones, for more than three laps. */
static void a_rejected_chain_comes_back_empty_and_the_queue_goes_on(void **state)
{
    struct ring *ring = *state;
    uint32_t length = least(ring->size, 4);

    for (uint32_t round = 0; round < 4 * ring->size / length + 4; round++) {
        uint32_t bad = round % length;
        int id;

        for (uint32_t i = 0; i < length; i++)
            ring->bufs[i] = (struct halo_buf){i == bad ? ROM_BASE : DATA_BASE, 1};
        id = halo_driver_add(&ring->driver, ring->bufs, 0, length);
        halo_driver_publish(&ring->driver);
        assert_int_equal(ring_take(ring), HALO_EREJECT);
        assert_int_equal(ring_take(ring), 0);
        halo_device_publish(&ring->device);
        assert_true(halo_device_should_notify(&ring->device));
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, 0);
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
        ring_round_trip(ring, 0, 1);
    }
}

/* A broken rule in the same chain weighs more than an unacceptable buffer before it. */
static void a_broken_rule_behind_an_unacceptable_buffer_still_breaks_the_queue(void **state)
{
    struct ring *ring = *state;

    offer(ring, 0, UINT64_MAX, 1, 0, HALO_DESC_NEXT);
    offer(ring, 1, DATA_BASE, 1, 0, HALO_DESC_INDIRECT);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_INDIRECT, 1);
    ring_start(ring);
    offer(ring, 0, UINT64_MAX, 1, ring->size, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_BAD_ID, 0);
}

/* --- DEV-23 ---------------------------------------------------------------------------------- */

/* Some chains of two descriptors, good and bad, and what becomes of them. */
static const struct {
    struct halo_desc desc[2];
    int result;
    enum halo_broken broken;
    enum halo_reject reject;
} shapes[] = {
#define SHAPE(addr0, len0, flags0, addr1, len1, flags1) \
    {                                                   \
        {(addr0), (uint64_t)(flags0) << 48 | (len0)},   \
        {                                               \
            (addr1), (uint64_t)(flags1) << 48 | (len1)  \
        }                                               \
    }
    {SHAPE(DATA_BASE, 1, 1, DATA_BASE, 1, 2), 1, HALO_BROKEN_NOT, HALO_REJECT_NOT},
    {SHAPE(DATA_BASE, 1, 1, UINT64_MAX, 0, 0), 1, HALO_BROKEN_NOT, HALO_REJECT_NOT},
    {SHAPE(DATA_BASE, 1, 1, UINT64_MAX, 1, 0), HALO_EREJECT, HALO_BROKEN_NOT, HALO_REJECT_RANGE},
    {SHAPE(ROM_BASE, 1, 3, DATA_BASE, 1, 2), HALO_EREJECT, HALO_BROKEN_NOT, HALO_REJECT_PERMISSION},
    {SHAPE(0, 0, 1, 0, 0, 0), HALO_EREJECT, HALO_BROKEN_NOT, HALO_REJECT_EMPTY_CHAIN},
    {SHAPE(DATA_BASE, 1, 3, DATA_BASE, 1, 0), HALO_EBROKEN, HALO_BROKEN_ORDER, HALO_REJECT_NOT},
    {SHAPE(DATA_BASE, 1, 1, DATA_BASE, 1, 4), HALO_EBROKEN, HALO_BROKEN_INDIRECT, HALO_REJECT_NOT},
    {SHAPE(DATA_BASE, 1, 1, DATA_BASE, 1, 8), HALO_EBROKEN, HALO_BROKEN_RESERVED, HALO_REJECT_NOT},
    {SHAPE(DATA_BASE, 1, 1, DATA_BASE, 1, 0x80), HALO_EBROKEN, HALO_BROKEN_TORN, HALO_REJECT_NOT},
    {SHAPE(DATA_BASE, 1, 1, DATA_BASE, 1, 0x8000), HALO_EBROKEN, HALO_BROKEN_TORN, HALO_REJECT_NOT},
#undef SHAPE
};

static void dev_23_the_same_chain_has_the_same_result_at_every_slot_of_every_lap(void **state)
{
    struct ring *ring = *state;
    uint32_t step = ring->size > 256 ? ring->size / 2 - 1 : ring->size > 5 ? 17 : 1;

    for (uint64_t start = 0; start < 3 * (uint64_t)ring->size; start += step) {
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            ring_start_at(ring, start);
            for (uint32_t k = 0; k < 2; k++) {
                uint64_t phase = (uint64_t)available_flags(ring, start + k) << 48;

                *desc_at(ring, start + k) = shapes[i].desc[k];
                desc_at(ring, start + k)->meta ^= phase;
            }
            assert_int_equal(ring_take(ring), shapes[i].result);
            assert_int_equal(ring->device.violation.reason, shapes[i].broken);
            if (shapes[i].result == HALO_EBROKEN)
                assert_int_equal(ring->device.violation.slot, (start + 1) % ring->size);
            else
                assert_int_equal(ring->chain.reject, shapes[i].reject);
            assert_cursor(halo_device_avail(&ring->device), start + (shapes[i].broken ? 0 : 2),
                          ring->size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FROM_SIZE_3(dev_11_an_empty_buffer_takes_a_slot_and_nothing_else),
        AT_EVERY_SIZE(dev_11_a_chain_without_any_byte_is_rejected),
        AT_EVERY_SIZE(dev_12_a_chain_may_carry_len_max_bytes_and_not_one_more),
        FROM_SIZE_2(dev_12_len_max_counts_readable_and_writable_bytes_together),
        FROM_SIZE_3(dev_12_lengths_whose_sum_passes_2_to_the_32_do_not_wrap),
        AT_EVERY_SIZE(dev_13_a_buffer_that_ends_with_its_region_is_taken),
        AT_EVERY_SIZE(dev_13_a_buffer_not_wholly_in_shared_memory_is_rejected),
        AT_EVERY_SIZE(dev_13_a_region_past_the_end_of_the_address_space_does_not_wrap),
        AT_EVERY_SIZE(dev_16_a_buffer_in_memory_that_lacks_the_right_is_rejected),
        AT_EVERY_SIZE(dev_16_the_first_region_may_lack_a_right),
        FROM_SIZE_3(the_first_unacceptable_buffer_of_a_chain_is_the_one_that_is_named),
        AT_EVERY_SIZE(dev_17_more_buffers_than_spans_are_rejected_at_the_limit),
        AT_EVERY_SIZE(a_rejected_chain_comes_back_empty_and_the_queue_goes_on),
        FROM_SIZE_2(a_broken_rule_behind_an_unacceptable_buffer_still_breaks_the_queue),
        FROM_SIZE_2(dev_23_the_same_chain_has_the_same_result_at_every_slot_of_every_lap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
