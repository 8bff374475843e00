/* Inline requests and answers, and truncated answers (docs/protocol.md; group EXT). */
#include "ring_fixture.h"

static const unsigned char bytes[16] = "0123456789abcdef";

/* Start with these features on both sides. */
static void start_with(struct ring *ring, uint32_t features, uint64_t position)
{
    ring_start_at(ring, position);
    assert_int_equal(halo_driver_extend(&ring->driver, features), 0);
    assert_int_equal(halo_device_extend(&ring->device, features), 0);
}

static void features_that_do_not_exist_are_refused(void **state)
{
    struct ring *ring = *state;
    const uint32_t bad[] = {0x8,
                            0x10,
                            0x80000000u,
                            UINT32_MAX,
                            HALO_FEATURE_INLINE_ANSWER,
                            HALO_FEATURE_INLINE_ANSWER | HALO_FEATURE_TRUNCATED};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(halo_driver_extend(&ring->driver, bad[i]), HALO_EINVAL);
        assert_int_equal(halo_device_extend(&ring->device, bad[i]), HALO_EINVAL);
        assert_int_equal(ring->driver.features, 0);
        assert_int_equal(ring->device.features, 0);
    }
    for (uint32_t features = 0; features <= HALO_FEATURES_ALL; features++) {
        const bool sound = (features & 3) != HALO_FEATURE_INLINE_ANSWER;

        assert_int_equal(halo_driver_extend(&ring->driver, features), sound ? 0 : HALO_EINVAL);
        assert_int_equal(halo_device_extend(&ring->device, features), sound ? 0 : HALO_EINVAL);
    }
}

/* Every length, from every position of two laps, with and without a buffer for the answer. */
static void an_inline_request_arrives_whole(void **state)
{
    struct ring *ring = *state;

    for (uint64_t position = 0; position < 2 * ring->size && position < 600; position++) {
        for (uint32_t len = 0; len <= HALO_INLINE_REQUEST_MAX; len++) {
            const uint32_t writable = ring->size > 1 ? len % 2 : 0;
            const struct halo_buf room = {DATA_BASE, 100};
            int id;

            start_with(ring, HALO_FEATURES_ALL, position);
            id = halo_driver_add_inline(&ring->driver, bytes, len, &room, writable);
            assert_in_range(id, 0, ring->size - 1);
            halo_driver_publish(&ring->driver);
            assert_int_equal(ring_take(ring), 1);
            assert_true(ring->chain.is_inline);
            assert_int_equal(ring->chain.inline_len, len);
            assert_memory_equal(ring->chain.inline_bytes, bytes, len);
            assert_int_equal(ring->chain.readable_count, 0);
            assert_int_equal(ring->chain.readable_len, 0);
            assert_int_equal(ring->chain.writable_count, writable);
            assert_int_equal(ring->chain.writable_len, writable ? 100 : 0);
            assert_int_equal(ring->chain.slots, 1 + writable);
            if (writable)
                assert_ptr_equal(ring->spans[0].base, ring->data);
            ring_give(ring, ring->chain.token, writable ? 100 : 0);
            halo_device_publish(&ring->device);
            assert_int_equal(ring_collect(ring), 1);
            assert_int_equal(ring->used.id, id);
            assert_int_equal(ring->used.kind, 0);
            assert_int_equal(ring->used.word, 0);
            assert_int_equal(ring->used.len, writable ? 100 : 0);
        }
    }
}

/* What the program has left on its stack does not go out with them. */
static void bytes_behind_an_inline_request_are_zero(void **state)
{
    struct ring *ring = *state;

    for (uint32_t len = 0; len <= HALO_INLINE_REQUEST_MAX; len++) {
        unsigned char raw[HALO_INLINE_REQUEST_MAX];
        uint32_t last;

        start_with(ring, HALO_FEATURES_ALL, 0);
        assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, len, NULL, 0), 0);
        halo_driver_publish(&ring->driver);
        last = halo_meta_len(ring->desc[0].meta);
        memcpy(raw, &ring->desc[0].addr, 8);
        memcpy(raw + 8, &last, 4);
        for (uint32_t i = 0; i < HALO_INLINE_REQUEST_MAX; i++)
            assert_int_equal(raw[i], i < len ? bytes[i] : 0);
    }
}

/* Up to three buffers for the answer, of which the device may claim each byte and no more. */
static void several_buffers_follow_an_inline_request(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf room[] = {{DATA_BASE, 10}, {DATA_BASE + 100, 20}, {DATA_BASE + 200, 30}};

    for (uint32_t writable = 0; writable <= 3; writable++) {
        const uint32_t capacity = 10 * writable * (writable + 1) / 2;

        for (uint32_t more = 0; more < 2; more++) {
            start_with(ring, HALO_FEATURES_ALL, ring->size - 2);
            assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 5, room, writable), 0,
                            ring->size - 1);
            halo_driver_publish(&ring->driver);
            assert_int_equal(ring_take(ring), 1);
            assert_int_equal(ring->chain.slots, 1 + writable);
            assert_int_equal(ring->chain.writable_count, writable);
            assert_int_equal(ring->chain.writable_len, capacity);
            for (uint32_t i = 0; i < writable; i++) {
                assert_ptr_equal(ring->spans[i].base, ring->data + (size_t)100 * i);
                assert_int_equal(ring->spans[i].len, 10 * (i + 1));
            }
            answer(ring, ring->size - 2, capacity + more, ring->chain.token.id, HALO_DESC_WRITE);
            assert_int_equal(ring_collect(ring), more ? HALO_EBROKEN : 1);
            if (more)
                assert_driver_latched(ring, HALO_BROKEN_LENGTH, ring->size - 2);
            else
                assert_int_equal(ring->used.len, capacity);
        }
    }
}

static void an_inline_answer_arrives_whole(void **state)
{
    struct ring *ring = *state;

    for (uint64_t position = 0; position < 2 * ring->size && position < 600; position++) {
        for (uint32_t len = 0; len <= HALO_INLINE_ANSWER_MAX; len++) {
            uint64_t expected = 0;

            memcpy(&expected, bytes, len);
            start_with(ring, HALO_FEATURES_ALL, position);
            assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 3, NULL, 0), 0,
                            ring->size - 1);
            halo_driver_publish(&ring->driver);
            assert_int_equal(ring_take(ring), 1);
            assert_int_equal(
                halo_device_complete_inline(&ring->device, ring->chain.token, bytes, len), 0);
            assert_int_equal(
                halo_device_complete_inline(&ring->device, ring->chain.token, bytes, len),
                HALO_ESTALE);
            halo_device_publish(&ring->device);
            assert_int_equal(ring_collect(ring), 1);
            assert_int_equal(ring->used.kind, HALO_DESC_INLINE);
            assert_int_equal(ring->used.len, len);
            assert_int_equal(ring->used.word, expected);
        }
    }
}

static void a_truncated_answer_tells_its_full_length(void **state)
{
    struct ring *ring = *state;
    const uint64_t lengths[] = {0, 1, 5, 1u << 20, UINT64_MAX};

    for (uint64_t position = 0; position < 2 * ring->size && position < 600; position++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            start_with(ring, HALO_FEATURE_TRUNCATED, position);
            assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1);
            halo_driver_publish(&ring->driver);
            assert_int_equal(ring_take(ring), 1);
            assert_int_equal(
                halo_device_complete_truncated(&ring->device, ring->chain.token, 2, lengths[i]),
                HALO_EINVAL);
            assert_int_equal(halo_device_complete_truncated(&ring->device, ring->chain.token,
                                                            (uint32_t)i % 2, lengths[i]),
                             0);
            halo_device_publish(&ring->device);
            assert_int_equal(ring_collect(ring), 1);
            assert_int_equal(ring->used.kind, HALO_DESC_TRUNCATED);
            assert_int_equal(ring->used.len, i % 2);
            assert_int_equal(ring->used.word, lengths[i]);
        }
    }
}

/* A batch of all kinds becomes visible at once, the first entry last. */
static void a_batch_of_all_kinds(void **state)
{
    struct ring *ring = *state;
    const struct halo_buf room = {DATA_BASE, 4};

    for (uint64_t position = 0; position < 2 * ring->size && position < 600; position++) {
        int ids[3];

        start_with(ring, HALO_FEATURES_ALL, position);
        ids[0] = halo_driver_add_inline(&ring->driver, bytes, 9, NULL, 0);
        ids[1] = ring_add(ring, 1, 0);
        ids[2] = halo_driver_add_inline(&ring->driver, bytes + 1, 12, &room, 1);
        assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, &room, ring->size - 3),
                         HALO_EFULL);
        assert_int_equal(ring_take(ring), 0);
        halo_driver_publish(&ring->driver);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(ring_take(ring), 1);
            assert_int_equal(ring->chain.token.id, ids[i]);
            assert_int_equal(ring->chain.is_inline, i != 1);
            ring->tokens[i] = ring->chain.token;
        }
        assert_memory_equal(ring->chain.inline_bytes, bytes + 1, 12);
        assert_int_equal(halo_device_complete_truncated(&ring->device, ring->tokens[2], 4, 1000),
                         0);
        assert_int_equal(halo_device_complete_inline(&ring->device, ring->tokens[0], "abc", 3), 0);
        ring_give(ring, ring->tokens[1], 0);
        assert_int_equal(ring_collect(ring), 0);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, ids[2]);
        assert_int_equal(ring->used.word, 1000);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, ids[0]);
        assert_memory_equal(&ring->used.word, "abc", 3);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.kind, 0);
        assert_int_equal(ring_collect(ring), 0);
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    }
}

static void what_is_off_cannot_be_used(void **state)
{
    struct ring *ring = *state;
    struct halo_token token;

    start_with(ring, 0, 0);
    ring_remember(ring);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, NULL, 0), HALO_EINVAL);
    assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    token = ring->chain.token;
    ring_remember(ring);
    assert_int_equal(halo_device_complete_inline(&ring->device, token, bytes, 1), HALO_EINVAL);
    assert_int_equal(halo_device_complete_truncated(&ring->device, token, 0, 9), HALO_EINVAL);
    assert_ring_unchanged(ring);
    assert_int_equal(ring->device.in_flight, 1);
    ring_give(ring, token, 0);

    start_with(ring, HALO_FEATURE_INLINE_REQUEST, 0); /* but no inline answer */
    assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 1, NULL, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    ring_remember(ring);
    assert_int_equal(halo_device_complete_inline(&ring->device, ring->chain.token, bytes, 1),
                     HALO_EINVAL);
    assert_ring_unchanged(ring);
    ring_give(ring, ring->chain.token, 0);
}

static void what_is_too_much_is_refused(void **state)
{
    struct ring *ring = *state;
    struct halo_driver before;
    struct halo_buf huge[2] = {{DATA_BASE, UINT32_MAX}, {DATA_BASE, 1}};

    start_with(ring, HALO_FEATURES_ALL, 0);
    before = ring->driver;
    ring_remember(ring);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 13, NULL, 0), HALO_EINVAL);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, huge, ring->size),
                     HALO_EINVAL);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, huge, HALO_RING_MAX),
                     HALO_EINVAL);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, huge, UINT32_MAX),
                     HALO_EINVAL);
    if (ring->size > 2)
        assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, huge, 2), HALO_EINVAL);
    assert_memory_equal(&ring->driver, &before, sizeof(before));
    assert_ring_unchanged(ring);
    if (ring->size > 1) { /* but not all that can be said */
        assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 1, huge, 1), 0,
                        ring->size - 1);
        start_with(ring, HALO_FEATURES_ALL, 0);
    }

    assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 1, NULL, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(halo_device_complete_inline(&ring->device, ring->chain.token, bytes, 9),
                     HALO_EINVAL);
    assert_int_equal(halo_device_complete(&ring->device, ring->chain.token, 1), HALO_EINVAL);
    halo_driver_stop(&ring->driver);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 1, NULL, 0), HALO_EBROKEN);
    assert_int_equal(halo_driver_add_inline(&ring->driver, bytes, 99, huge, 1), HALO_EBROKEN);
    assert_int_equal(halo_driver_add(&ring->driver, huge, HALO_RING_MAX + 1, 0), HALO_EBROKEN);
    assert_int_equal(halo_driver_add(&ring->driver, huge, 0, HALO_RING_MAX + 1), HALO_EBROKEN);
}

/* --- Violations ------------------------------------------------------------------------------- */

/* With an extension off, each of its flags breaks the ring, on both sides. */
static void dev_09_flags_of_what_is_off_are_reserved(void **state)
{
    struct ring *ring = *state;

    for (uint32_t features = 0; features <= HALO_FEATURES_ALL; features++) {
        if ((features & 3) != HALO_FEATURE_INLINE_ANSWER) {
            start_with(ring, features, 0);
            offer(ring, 0, DATA_BASE, 1, 0, HALO_DESC_INDIRECT); /* and that one always is */
            assert_int_equal(ring_take(ring), HALO_EBROKEN);
            assert_device_latched(ring, HALO_BROKEN_INDIRECT, 0);
        }
        for (uint32_t bit = 0x0008; bit <= 0x4000; bit <<= 1) {
            const bool is_inline = bit & HALO_DESC_INLINE_BITS;

            if (bit == HALO_DESC_AVAIL || (features & 3) == HALO_FEATURE_INLINE_ANSWER)
                continue;
            start_with(ring, features, 0);
            offer(ring, 0, DATA_BASE, 1, 0, bit);
            if (!is_inline || !(features & HALO_FEATURE_INLINE_REQUEST)) {
                assert_int_equal(ring_take(ring), HALO_EBROKEN);
                assert_device_latched(ring, HALO_BROKEN_RESERVED, 0);
            } else if (bit != HALO_DESC_INLINE) { /* a length without the flag: EXT-02 */
                assert_int_equal(ring_take(ring), HALO_EBROKEN);
                assert_device_latched(ring, HALO_BROKEN_INLINE, 0);
            } else {
                assert_int_equal(ring_take(ring), 1);
            }

            start_with(ring, features, 0);
            assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
            halo_driver_publish(&ring->driver);
            answer(ring, 0, 0, 0, bit);
            if ((bit == HALO_DESC_INLINE && (features & HALO_FEATURE_INLINE_ANSWER)) ||
                (bit == HALO_DESC_TRUNCATED && (features & HALO_FEATURE_TRUNCATED)))
                continue;
            assert_int_equal(ring_collect(ring), HALO_EBROKEN);
            assert_driver_latched(ring, HALO_BROKEN_RESERVED, 0);
        }
    }
}

#define INLINE(len) (HALO_DESC_INLINE | (uint32_t)(len) << HALO_DESC_INLINE_LEN)

static void ext_01_an_inline_descriptor_comes_first(void **state)
{
    struct ring *ring = *state;

    start_with(ring, HALO_FEATURES_ALL, 0);
    offer(ring, 0, DATA_BASE, 1, 0, HALO_DESC_NEXT);
    offer(ring, 1, DATA_BASE, 1, 0, INLINE(4));
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_INLINE, 1);

    start_with(ring, HALO_FEATURES_ALL, 0);
    offer(ring, 0, DATA_BASE, 1, 0, INLINE(4) | HALO_DESC_NEXT);
    offer(ring, 1, DATA_BASE, 1, 0, INLINE(4));
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_ORDER, 1);
}

static void ext_02_an_inline_descriptor_is_readable_and_short(void **state)
{
    struct ring *ring = *state;

    for (uint32_t len = 0; len < 16; len++) {
        start_with(ring, HALO_FEATURE_INLINE_REQUEST, 0);
        offer(ring, 0, DATA_BASE, 1, 0, INLINE(len));
        if (len <= HALO_INLINE_REQUEST_MAX) {
            assert_int_equal(ring_take(ring), 1);
        } else {
            assert_int_equal(ring_take(ring), HALO_EBROKEN);
            assert_device_latched(ring, HALO_BROKEN_INLINE, 0);
        }
        start_with(ring, HALO_FEATURE_INLINE_REQUEST, 0);
        offer(ring, 0, DATA_BASE, 1, 0, INLINE(len) | HALO_DESC_WRITE);
        assert_int_equal(ring_take(ring), HALO_EBROKEN);
        assert_device_latched(ring, HALO_BROKEN_INLINE, 0);
    }
}

static void ext_03_only_writable_buffers_follow_an_inline_descriptor(void **state)
{
    struct ring *ring = *state;

    start_with(ring, HALO_FEATURES_ALL, 0);
    offer(ring, 0, DATA_BASE, 1, 0, INLINE(4) | HALO_DESC_NEXT);
    offer(ring, 1, DATA_BASE, 1, 0, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    assert_device_latched(ring, HALO_BROKEN_ORDER, 1);

    /* Writable ones are judged as ever: the chain is refused, the queue goes on. */
    start_with(ring, HALO_FEATURES_ALL, 0);
    offer(ring, 0, 12345, 67, 1, INLINE(4) | HALO_DESC_NEXT);
    offer(ring, 1, ROM_BASE, 1, 1, HALO_DESC_WRITE);
    assert_int_equal(ring_take(ring), HALO_EREJECT);
    assert_int_equal(ring->chain.reject, HALO_REJECT_PERMISSION);
    assert_int_equal(ring->chain.bad_addr.value, ROM_BASE);
    assert_int_equal(ring->chain.writable_count, 0);
    assert_int_equal(ring->chain.writable_len, 0);
    assert_int_equal(ring->device.violation.reason, 0);
}

static void ext_04_an_inline_answer_is_short(void **state)
{
    struct ring *ring = *state;

    for (uint32_t len = 0; len < 20; len++) {
        start_with(ring, HALO_FEATURES_ALL, 0);
        assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 1, NULL, 0), 0,
                        ring->size - 1);
        halo_driver_publish(&ring->driver);
        answer(ring, 0, len, 0, HALO_DESC_INLINE | HALO_DESC_WRITE);
        if (len <= HALO_INLINE_ANSWER_MAX) {
            assert_int_equal(ring_collect(ring), 1);
            assert_int_equal(ring->used.len, len);
        } else {
            assert_int_equal(ring_collect(ring), HALO_EBROKEN);
            assert_driver_latched(ring, HALO_BROKEN_LENGTH, 0);
        }
    }
}

static void ext_05_an_inline_answer_needs_an_inline_request(void **state)
{
    struct ring *ring = *state;

    start_with(ring, HALO_FEATURES_ALL, 0);
    assert_in_range(ring_add(ring, 0, 1), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    ring_remember(ring);
    assert_int_equal(halo_device_complete_inline(&ring->device, ring->chain.token, bytes, 1),
                     HALO_EINVAL);
    assert_ring_unchanged(ring);
    answer(ring, 0, 1, 0, HALO_DESC_INLINE | HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    assert_driver_latched(ring, HALO_BROKEN_INLINE, 0);
}

static void ext_06_an_inline_answer_is_never_truncated(void **state)
{
    struct ring *ring = *state;

    start_with(ring, HALO_FEATURES_ALL, 0);
    assert_in_range(halo_driver_add_inline(&ring->driver, bytes, 1, NULL, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    answer(ring, 0, 0, 0, HALO_DESC_INLINE | HALO_DESC_TRUNCATED);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    assert_driver_latched(ring, HALO_BROKEN_INLINE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(features_that_do_not_exist_are_refused),
        AT(1, an_inline_request_arrives_whole),
        AT(2, an_inline_request_arrives_whole),
        AT(3, an_inline_request_arrives_whole),
        AT(255, an_inline_request_arrives_whole),
        AT_EVERY_SIZE(bytes_behind_an_inline_request_are_zero),
        AT(4, several_buffers_follow_an_inline_request),
        AT(64, several_buffers_follow_an_inline_request),
        AT(1, an_inline_answer_arrives_whole),
        AT(3, an_inline_answer_arrives_whole),
        AT(64, an_inline_answer_arrives_whole),
        AT(1, a_truncated_answer_tells_its_full_length),
        AT(3, a_truncated_answer_tells_its_full_length),
        AT(64, a_truncated_answer_tells_its_full_length),
        AT(4, a_batch_of_all_kinds),
        AT(5, a_batch_of_all_kinds),
        AT(64, a_batch_of_all_kinds),
        AT_EVERY_SIZE(what_is_off_cannot_be_used),
        AT_EVERY_SIZE(what_is_too_much_is_refused),
        AT_EVERY_SIZE(dev_09_flags_of_what_is_off_are_reserved),
        FROM_SIZE_2(ext_01_an_inline_descriptor_comes_first),
        AT_EVERY_SIZE(ext_02_an_inline_descriptor_is_readable_and_short),
        FROM_SIZE_2(ext_03_only_writable_buffers_follow_an_inline_descriptor),
        AT_EVERY_SIZE(ext_04_an_inline_answer_is_short),
        AT_EVERY_SIZE(ext_05_an_inline_answer_needs_an_inline_request),
        AT_EVERY_SIZE(ext_06_an_inline_answer_is_never_truncated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
