/* A driver: what it refuses to add, and what it makes of a device that breaks the rules. */
#include "ring_fixture.h"

/* Put a chain in flight; the device has taken it as far as the driver can know. */
static int submit(struct ring *ring, uint32_t readable, uint32_t writable)
{
    int id = ring_add(ring, readable, writable);

    assert_in_range(id, 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    return id;
}

/* Nothing of the driver's private state moved but the violation. */
static void assert_broken_by(struct ring *ring, enum halo_broken reason, uint64_t position)
{
    struct halo_driver_chain *chains = calloc(ring->size, sizeof(*chains));

    memcpy(chains, ring->driver_chains, ring->size * sizeof(*chains));
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    assert_cursor(halo_driver_used(&ring->driver), position, ring->size);
    assert_int_equal(halo_driver_room(&ring->driver), 0); /* DRV-04: the buffers stay lent */
    assert_memory_equal(chains, ring->driver_chains, ring->size * sizeof(*chains));
    free(chains);
    assert_driver_latched(ring, reason, position);
}

/* --- Adding ---------------------------------------------------------------------------------- */

/* DRV-19: refused, and neither the driver nor the ring is different afterwards. */
static void assert_add_refused(struct ring *ring, uint32_t readable, uint32_t writable, int error)
{
    size_t chains_len = ring->size * sizeof(*ring->driver_chains);
    struct halo_driver_chain *chains = malloc(chains_len);
    struct halo_driver driver;

    memcpy(&driver, &ring->driver, sizeof(driver));
    memcpy(chains, ring->driver_chains, chains_len);
    ring_remember(ring);
    assert_int_equal(halo_driver_add(&ring->driver, ring->bufs, readable, writable), error);
    assert_memory_equal(&driver, &ring->driver, sizeof(driver));
    assert_memory_equal(chains, ring->driver_chains, chains_len);
    assert_ring_unchanged(ring);
    free(chains);
}

static void drv_19_a_chain_that_can_never_fit_changes_nothing(void **state)
{
    struct ring *ring = *state;

    assert_add_refused(ring, 0, 0, HALO_EINVAL);
    assert_add_refused(ring, ring->size + 1, 0, HALO_EINVAL);
    assert_add_refused(ring, 0, ring->size + 1, HALO_EINVAL);
    assert_add_refused(ring, ring->size, 1, HALO_EINVAL);
    assert_add_refused(ring, 1, ring->size, HALO_EINVAL);
    assert_add_refused(ring, UINT32_MAX, 0, HALO_EINVAL);
    assert_add_refused(ring, UINT32_MAX, 1, HALO_EINVAL); /* the sum would be 0 */
    assert_add_refused(ring, UINT32_MAX, 2, HALO_EINVAL); /* the sum would be 1 */
    assert_add_refused(ring, 1, UINT32_MAX, HALO_EINVAL);
    assert_add_refused(ring, 0x80000000, 0x80000001, HALO_EINVAL);
    ring_round_trip(ring, 0, ring->size);
}

static void drv_19_a_chain_that_does_not_fit_now_changes_nothing(void **state)
{
    struct ring *ring = *state;

    /* The more is taken, the less may be added; with chains staged and published. */
    for (uint32_t taken = 1; taken <= ring->size; taken = 2 * taken + 1) {
        uint32_t left = ring->size - taken;

        ring_start_at(ring, ring->size - 1);
        assert_in_range(ring_add(ring, taken, 0), 0, ring->size - 1);
        assert_add_refused(ring, left + 1, 0, HALO_EFULL);
        halo_driver_publish(&ring->driver);
        assert_add_refused(ring, 0, left + 1, HALO_EFULL);
        if (left > 0)
            submit(ring, 0, left);
        assert_add_refused(ring, 1, 0, HALO_EFULL);
        assert_int_equal(ring_take(ring), 1);
        assert_int_equal(ring->chain.slots, taken);
    }
}

static void drv_19_more_than_4_gib_less_1_of_writable_bytes_change_nothing(void **state)
{
    struct ring *ring = *state;

    ring->bufs[0] = ring->bufs[1] = (struct halo_buf){DATA_BASE, 0x80000000};
    assert_add_refused(ring, 0, 2, HALO_EINVAL);
    ring->bufs[0].len = UINT32_MAX;
    ring->bufs[1].len = 1;
    assert_add_refused(ring, 0, 2, HALO_EINVAL);
    ring->bufs[1].len = 0;
    assert_int_equal(halo_driver_add(&ring->driver, ring->bufs, 0, 2), 0);
    ring_start(ring);
    ring->bufs[0].len = ring->bufs[1].len = UINT32_MAX; /* readable bytes do not count */
    assert_int_equal(halo_driver_add(&ring->driver, ring->bufs, 1, 1), 0);
}

static void a_chain_lies_in_the_ring_as_virtio_has_it(void **state)
{
    struct ring *ring = *state;
    uint32_t length = least(ring->size, 5);

    for (uint64_t position = 0; position < 2 * (uint64_t)ring->size + 3; position += length) {
        int id = submit(ring, length - 1, 1);

        for (uint32_t i = 0; i < length; i++) {
            uint32_t flags = available_flags(ring, position + i);

            flags |= i + 1 < length ? HALO_DESC_NEXT : HALO_DESC_WRITE;
            assert_int_equal(desc_at(ring, position + i)->addr, DATA_BASE + i);
            assert_int_equal(desc_at(ring, position + i)->meta,
                             halo_meta(1, (uint16_t)id, (uint16_t)flags));
        }
        answer(ring, position, 0, (uint32_t)id, 0);
        assert_int_equal(ring_collect(ring), 1);
    }
}

/* --- Used entries that break a rule ---------------------------------------------------------- */

static void drv_01_a_used_id_that_is_not_below_the_ring_size_breaks_the_queue(void **state)
{
    struct ring *ring = *state;
    const uint32_t bad[] = {ring->size, ring->size + 1, 0x8000, 0xffff};

    for (int i = 0; i < 4; i++) {
        ring_start(ring);
        submit(ring, 0, 1);
        answer(ring, 0, 1, bad[i], HALO_DESC_WRITE);
        assert_broken_by(ring, HALO_BROKEN_BAD_ID, 0);
    }
}

static void drv_02_a_used_id_that_was_never_submitted_breaks_the_queue(void **state)
{
    struct ring *ring = *state;

    for (uint32_t id = 0; id < ring->size; id = 2 * id + 1) {
        ring_start(ring);
        answer(ring, 0, 0, id, 0);
        assert_broken_by(ring, HALO_BROKEN_NOT_IN_FLIGHT, 0);
    }
}

/* The ids of a chain's slots are no ids of chains. */
static void drv_02_a_used_id_of_no_chain_breaks_the_queue(void **state)
{
    struct ring *ring = *state;
    int id = submit(ring, ring->size, 0);

    answer(ring, 0, 0, id == 0 ? 1 : 0, 0);
    assert_broken_by(ring, HALO_BROKEN_NOT_IN_FLIGHT, 0);
}

static void drv_02_a_chain_that_is_only_staged_cannot_come_back(void **state)
{
    struct ring *ring = *state;

    for (uint64_t start = 0; start < 2 * (uint64_t)ring->size; start += ring->size) {
        int id;

        ring_start_at(ring, start);
        id = ring_add(ring, 0, 1);
        assert_in_range(id, 0, ring->size - 1);
        answer(ring, start, 1, (uint32_t)id, HALO_DESC_WRITE);
        assert_broken_by(ring, HALO_BROKEN_NOT_IN_FLIGHT, start);
    }
}

static void drv_02_a_staged_chain_behind_a_published_one_cannot_come_back(void **state)
{
    struct ring *ring = *state;
    int first = submit(ring, 0, 1);
    int second = ring_add(ring, 0, 1);

    answer(ring, 0, 1, (uint32_t)first, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), 1);
    answer(ring, 1, 1, (uint32_t)second, HALO_DESC_WRITE);
    assert_broken_by(ring, HALO_BROKEN_NOT_IN_FLIGHT, 1);
}

static void drv_03_an_id_that_comes_back_twice_breaks_the_queue(void **state)
{
    struct ring *ring = *state;
    int id = submit(ring, 0, 1);

    answer(ring, 0, 1, (uint32_t)id, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), 1);
    answer(ring, 1, 1, (uint32_t)id, HALO_DESC_WRITE);
    assert_broken_by(ring, HALO_BROKEN_NOT_IN_FLIGHT, 1);
}

static void drv_04_a_used_length_above_the_writable_bytes_breaks_the_queue(void **state)
{
    struct ring *ring = *state;
    const uint32_t over[] = {1001, 0x80000000, UINT32_MAX};

    for (int i = 0; i < 3; i++) {
        ring_start(ring);
        ring->bufs[0] = (struct halo_buf){DATA_BASE, 1000};
        assert_int_equal(halo_driver_add(&ring->driver, ring->bufs, 0, 1), 0);
        halo_driver_publish(&ring->driver);
        answer(ring, 0, over[i], 0, HALO_DESC_WRITE);
        assert_broken_by(ring, HALO_BROKEN_LENGTH, 0);
    }
}

/* The readable bytes of a chain give no room for an answer. */
static void drv_04_only_writable_buffers_count_for_the_used_length(void **state)
{
    struct ring *ring = *state;

    ring->bufs[0] = (struct halo_buf){DATA_BASE, 1000};
    ring->bufs[1] = (struct halo_buf){DATA_BASE, 10};
    assert_int_equal(halo_driver_add(&ring->driver, ring->bufs, 1, 1), 0);
    halo_driver_publish(&ring->driver);
    answer(ring, 0, 11, 0, HALO_DESC_WRITE);
    assert_broken_by(ring, HALO_BROKEN_LENGTH, 0);
}

static void drv_05_every_used_length_up_to_the_writable_bytes_is_delivered(void **state)
{
    struct ring *ring = *state;

    for (uint32_t len = 0; len <= 20; len++) {
        ring->bufs[0] = (struct halo_buf){DATA_BASE, 20};
        assert_int_equal(halo_driver_add(&ring->driver, ring->bufs, 0, 1), 0);
        halo_driver_publish(&ring->driver);
        answer(ring, len, len, 0, HALO_DESC_WRITE);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.len, len);
    }
}

static void drv_06_a_length_without_the_write_flag_counts_as_0(void **state)
{
    struct ring *ring = *state;
    const uint32_t lens[] = {0, 1, 2, UINT32_MAX};

    for (uint32_t i = 0; i < 8; i++) {
        int id = submit(ring, i / 4, 1 - i / 4); /* a writable chain, then a read-only one */

        ring->used.len = 77;
        answer(ring, i, lens[i % 4], (uint32_t)id, 0);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, 0);
    }
}

/* The stricter of two readings: who sets WRITE for a read-only chain claims to have written. */
static void drv_04_written_bytes_in_a_read_only_chain_break_the_queue(void **state)
{
    struct ring *ring = *state;
    int id = submit(ring, 1, 0);

    answer(ring, 0, 0, (uint32_t)id, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), 1);
    id = submit(ring, 1, 0);
    answer(ring, 1, 1, (uint32_t)id, HALO_DESC_WRITE);
    assert_broken_by(ring, HALO_BROKEN_LENGTH, 1);
}

static void each_reserved_flag_in_a_used_entry_breaks_the_queue(void **state)
{
    static const int reserved[] = {3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14};
    struct ring *ring = *state;

    for (int i = 0; i < 11; i++) {
        ring_start_at(ring, ring->size + 1);
        answer(ring, ring->size + 1, 0, (uint32_t)submit(ring, 0, 1), 1u << reserved[i]);
        assert_broken_by(ring, HALO_BROKEN_RESERVED, ring->size + 1);
    }
}

static void next_and_indirect_mean_nothing_in_a_used_entry(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < 3; i++) {
        int id = submit(ring, 0, 1);
        uint32_t extra = (i == 1 ? 0 : HALO_DESC_NEXT) | (i == 0 ? 0 : HALO_DESC_INDIRECT);

        answer(ring, i, 1, (uint32_t)id, HALO_DESC_WRITE | extra);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, 1);
        assert_cursor(halo_driver_used(&ring->driver), i + 1, ring->size);
    }
}

/* --- Used entries that mean nothing ---------------------------------------------------------- */

static void drv_10_a_used_entry_anywhere_but_at_the_cursor_is_nothing(void **state)
{
    struct ring *ring = *state;
    int first = submit(ring, 1, 1);
    int second = submit(ring, 1, 0);

    answer(ring, 1, 1, (uint32_t)first, HALO_DESC_WRITE); /* the tail of the first chain */
    assert_int_equal(ring_collect(ring), 0);
    answer(ring, 2, 0, (uint32_t)second, 0);
    assert_int_equal(ring_collect(ring), 0);
    assert_cursor(halo_driver_used(&ring->driver), 0, ring->size);
    assert_int_equal(halo_driver_room(&ring->driver), ring->size - 3);
}

static void drv_10_many_marks_in_one_chain_are_one_completion(void **state)
{
    struct ring *ring = *state;
    int id = submit(ring, 2, 1);

    for (uint32_t i = 0; i < 3; i++)
        answer(ring, i, 1, (uint32_t)id, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), 1);
    assert_int_equal(ring->used.id, id);
    assert_int_equal(ring_collect(ring), 0);
    assert_cursor(halo_driver_used(&ring->driver), 3, ring->size);
    assert_int_equal(halo_driver_room(&ring->driver), ring->size);
}

static void drv_11_wrong_phase_bits_are_nothing(void **state)
{
    struct ring *ring = *state;

    for (uint64_t start = 0; start <= 2 * (uint64_t)ring->size; start += ring->size) {
        int id;

        ring_start_at(ring, start);
        id = submit(ring, 0, 1);
        for (uint32_t flags = 0; flags <= 0xffff; flags++) {
            if ((flags & HALO_PHASE_MASK) == used_flags(ring, start))
                continue;
            desc_at(ring, start)->meta = halo_meta(UINT32_MAX, 0xffff, (uint16_t)flags);
            assert_int_equal(ring_collect(ring), 0);
        }
        assert_cursor(halo_driver_used(&ring->driver), start, ring->size);
        answer(ring, start, 1, (uint32_t)id, HALO_DESC_WRITE);
        assert_int_equal(ring_collect(ring), 1);
    }
}

/* Other lengths, NEXT where there was none, other ids: the driver goes by its own record. */
static void drv_12_rewriting_descriptors_in_flight_has_no_effect(void **state)
{
    struct ring *ring = *state;
    uint64_t position = 0;

    while (position < 3 * (uint64_t)ring->size) {
        uint32_t slots = 1 + ring_random(ring, least(ring->size, 4));
        int id = submit(ring, slots - 1, 1);

        for (uint32_t i = 0; i < slots; i++) {
            desc_at(ring, position + i)->addr = UINT64_MAX;
            desc_at(ring, position + i)->meta = UINT64_MAX - ring_random(ring, 1000);
        }
        answer(ring, position, 1, (uint32_t)id, HALO_DESC_WRITE);
        assert_int_equal(ring_collect(ring), 1);
        assert_int_equal(ring->used.id, id);
        assert_int_equal(ring->used.len, 1);
        position += slots;
        assert_cursor(halo_driver_used(&ring->driver), position, ring->size);
        assert_cursor(halo_at_cursor(ring->driver.avail, &ring->place), position, ring->size);
        assert_int_equal(halo_driver_room(&ring->driver), ring->size);
    }
}

/* --- A latched driver ------------------------------------------------------------------------ */

/* Two chains in flight, one of them staged, and a device that breaks a rule. */
static void break_with_a_staged_chain(struct ring *ring)
{
    submit(ring, 0, 1);
    assert_int_equal(ring_add(ring, 0, 1), 1);
    answer(ring, 0, 2, 0, HALO_DESC_WRITE);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    ring_remember(ring);
}

static void drv_20_a_latched_driver_publishes_nothing(void **state)
{
    struct ring *ring = *state;

    break_with_a_staged_chain(ring);
    halo_driver_publish(&ring->driver);
    assert_ring_unchanged(ring);
}

static void drv_20_a_latched_driver_asks_for_no_kick(void **state)
{
    struct ring *ring = *state;

    break_with_a_staged_chain(ring);
    assert_false(halo_driver_should_kick(&ring->driver));
}

static void drv_20_a_latched_driver_leaves_its_event_structure_alone(void **state)
{
    struct ring *ring = *state;

    break_with_a_staged_chain(ring);
    halo_driver_disarm(&ring->driver);
    assert_ring_unchanged(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(drv_19_a_chain_that_can_never_fit_changes_nothing),
        AT_EVERY_SIZE(drv_19_a_chain_that_does_not_fit_now_changes_nothing),
        FROM_SIZE_2(drv_19_more_than_4_gib_less_1_of_writable_bytes_change_nothing),
        AT_EVERY_SIZE(a_chain_lies_in_the_ring_as_virtio_has_it),
        AT_EVERY_SIZE(drv_01_a_used_id_that_is_not_below_the_ring_size_breaks_the_queue),
        AT_EVERY_SIZE(drv_02_a_used_id_that_was_never_submitted_breaks_the_queue),
        FROM_SIZE_2(drv_02_a_used_id_of_no_chain_breaks_the_queue),
        AT_EVERY_SIZE(drv_02_a_chain_that_is_only_staged_cannot_come_back),
        FROM_SIZE_2(drv_02_a_staged_chain_behind_a_published_one_cannot_come_back),
        FROM_SIZE_2(drv_03_an_id_that_comes_back_twice_breaks_the_queue),
        AT_EVERY_SIZE(drv_04_a_used_length_above_the_writable_bytes_breaks_the_queue),
        FROM_SIZE_2(drv_04_only_writable_buffers_count_for_the_used_length),
        AT_EVERY_SIZE(drv_04_written_bytes_in_a_read_only_chain_break_the_queue),
        AT_EVERY_SIZE(drv_05_every_used_length_up_to_the_writable_bytes_is_delivered),
        AT_EVERY_SIZE(drv_06_a_length_without_the_write_flag_counts_as_0),
        AT_EVERY_SIZE(each_reserved_flag_in_a_used_entry_breaks_the_queue),
        AT_EVERY_SIZE(next_and_indirect_mean_nothing_in_a_used_entry),
        FROM_SIZE_3(drv_10_a_used_entry_anywhere_but_at_the_cursor_is_nothing),
        FROM_SIZE_3(drv_10_many_marks_in_one_chain_are_one_completion),
        AT_EVERY_SIZE(drv_11_wrong_phase_bits_are_nothing),
        AT_EVERY_SIZE(drv_12_rewriting_descriptors_in_flight_has_no_effect),
        FROM_SIZE_2(drv_20_a_latched_driver_publishes_nothing),
        FROM_SIZE_2(drv_20_a_latched_driver_asks_for_no_kick),
        FROM_SIZE_2(drv_20_a_latched_driver_leaves_its_event_structure_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
