/* Event suppression: who is told when. The oracle looks at every position that was written. */
#include "ring_fixture.h"

/* --- The decision by itself ------------------------------------------------------------------ */

/* The cursor at a position that is counted over two laps. */
static struct halo_cursor cursor_at(uint32_t position, uint32_t size)
{
    struct halo_cursor at = {position % size, HALO_DESC_AVAIL};

    at.phase ^= position / size % 2 ? HALO_PHASE_MASK : 0;
    return at;
}

static uint32_t event_word(uint32_t flags, uint32_t offset, uint32_t wrap)
{
    return flags << 16 | wrap << 15 | offset;
}

/*
 * For this many slots written up to this position: is each position that can be asked for notified
 * exactly when it is one of those written?
 */
static void check_positions(uint32_t size, uint32_t end, uint64_t count, bool *written)
{
    struct halo_cursor at = cursor_at(end, size);

    memset(written, 0, 2 * (size_t)size);
    for (uint64_t i = 1; i <= count && i <= 2 * size; i++)
        written[(end + 2 * size - i) % (2 * size)] = true;
    for (uint32_t asked = 0; asked < 2 * size; asked++) {
        uint32_t word = event_word(HALO_EVENT_AT_DESC, asked % size, asked < size);

        if (halo_event_wanted(word, at, count, size) != written[asked])
            fail_msg("end %u, count %u, asked %u", end, (unsigned)count, asked);
    }
}

static void evt_06_exactly_the_positions_just_written_are_notified(void **state)
{
    struct ring *ring = *state;
    uint32_t size = ring->size;
    bool *written = calloc(2, size);

    if (size <= 5) {
        for (uint32_t end = 0; end < 2 * size; end++) {
            for (uint64_t count = 0; count <= 4 * size + 1; count++)
                check_positions(size, end, count, written);
        }
    } else {
        const uint32_t ends[] = {0, 1, size - 1, size, size + 1, 2 * size - 1};
        const uint64_t counts[] = {
            0,         1, 2, size - 1, size, size + 1, 2 * size - 1, 2 * size, UINT64_C(1) << 32,
            UINT64_MAX};

        for (int end = 0; end < 6; end++) {
            for (int count = 0; count < 10; count++)
                check_positions(size, ends[end], counts[count], written);
        }
    }
    free(written);
}

static void nothing_written_means_nobody_is_notified(void **state)
{
    struct ring *ring = *state;

    for (uint32_t flags = 0; flags < 4; flags++) {
        for (uint32_t offset = 0; offset < 0x8000; offset += 1 + offset / 8) {
            uint32_t word = event_word(flags, offset, flags & 1);

            assert_false(halo_event_wanted(word, cursor_at(0, ring->size), 0, ring->size));
        }
    }
}

static void always_is_always_and_never_is_never_whatever_the_offset_says(void **state)
{
    struct ring *ring = *state;

    for (uint32_t low = 0; low <= 0xffff; low++) {
        uint32_t end = low % (2 * ring->size);
        struct halo_cursor at = cursor_at(end, ring->size);

        assert_true(halo_event_wanted(HALO_EVENT_ALWAYS << 16 | low, at, 1, ring->size));
        assert_false(halo_event_wanted(HALO_EVENT_NEVER << 16 | low, at, 1, ring->size));
        assert_false(halo_event_wanted(HALO_EVENT_NEVER << 16 | low, at, UINT64_MAX, ring->size));
        assert_true(halo_event_wanted(3u << 16 | low, at, 1, ring->size)); /* EVT-01 */
    }
}

static void evt_02_the_upper_bits_of_the_flags_mean_nothing(void **state)
{
    struct ring *ring = *state;

    for (uint32_t upper = 0; upper <= 0xffff; upper += 4) {
        for (uint32_t flags = 0; flags < 4; flags++) {
            uint32_t word = event_word(flags, 0, 0);

            assert_int_equal(
                halo_event_wanted(word | upper << 16, cursor_at(1, ring->size), 1, ring->size),
                halo_event_wanted(word, cursor_at(1, ring->size), 1, ring->size));
        }
    }
}

static void evt_03_an_offset_outside_the_ring_is_notified(void **state)
{
    struct ring *ring = *state;

    for (uint32_t offset = ring->size; offset < 0x8000; offset++) {
        for (uint32_t wrap = 0; wrap < 2; wrap++) {
            uint32_t word = event_word(HALO_EVENT_AT_DESC, offset, wrap);

            assert_true(halo_event_wanted(word, cursor_at(0, ring->size), 1, ring->size));
        }
    }
}

static void the_event_word_of_a_position_has_its_slot_and_wrap_counter(void **state)
{
    struct ring *ring = *state;

    for (uint32_t position = 0; position < 2 * ring->size; position++) {
        assert_int_equal(
            halo_event_at(cursor_at(position, ring->size)),
            event_word(HALO_EVENT_AT_DESC, position % ring->size, position < ring->size));
    }
}

/* --- Both sides, written once ---------------------------------------------------------------- */

/* The side that publishes, decides and reads `event`; the other one sleeps and writes it. */
struct side {
    struct ring *ring;
    bool is_device;
    struct halo_event *event;
    uint64_t position; /* end of what it has published */
};

static struct side side_of(struct ring *ring, bool is_device)
{
    struct side side = {ring, is_device, NULL, 0};

    ring_start(ring);
    side.event = is_device ? ring->driver_event : ring->device_event;
    return side;
}

/* Publish one chain of `slots`; what the other side has to do for it happens quietly. */
static void side_publish(struct side *side, uint32_t slots)
{
    struct ring *ring = side->ring;

    assert_in_range(ring_add(ring, slots, 0), 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    ring_give(ring, ring->chain.token, 0);
    halo_device_publish(&ring->device);
    assert_int_equal(ring_collect(ring), 1);
    side->position += slots;
}

static bool side_decides(struct side *side)
{
    return side->is_device ? halo_device_should_notify(&side->ring->device)
                           : halo_driver_should_kick(&side->ring->driver);
}

static void ask_at(struct side *side, uint64_t position)
{
    uint32_t size = side->ring->size;

    ask(side->event, HALO_EVENT_AT_DESC, (uint32_t)(position % size), position / size % 2 == 0);
}

#define FOR_BOTH_SIDES(side)                            \
    for (int is_device = 0; is_device < 2; is_device++) \
        for (struct side side = side_of(*state, is_device); side.ring; side.ring = NULL)

/* A chain of any length at any place: a question at each position around it. */
static void evt_06_a_chain_is_notified_when_one_of_its_slots_was_asked_for(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        uint32_t size = side.ring->size;
        int rounds = size > 256 ? 5000 : 10000;

        for (int i = 0; i < rounds; i++) {
            uint32_t slots = 1 + ring_random(side.ring, least(size, 40));
            uint64_t asked = side.position + ring_random(side.ring, least(2 * size, 2 * slots));

            if (ring_random(side.ring, 4) == 0) /* already passed, or the other wrap counter */
                asked += 2 * size - 1 - ring_random(side.ring, least(size, 2));
            asked = asked >= side.position + 2 * size ? asked - 2 * size : asked;
            ask_at(&side, asked);
            side_publish(&side, slots);
            assert_int_equal(side_decides(&side), asked < side.position);
            assert_false(side_decides(&side));
        }
    }
}

static void evt_06_the_wrap_counter_is_part_of_the_position(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        for (uint64_t i = 0; i < 3 * (uint64_t)side.ring->size; i++) {
            ask_at(&side, side.position + side.ring->size); /* the same slot, one lap later */
            side_publish(&side, 1);
            assert_false(side_decides(&side));
            ask_at(&side, side.position);
            side_publish(&side, 1);
            assert_true(side_decides(&side));
            ask_at(&side, side.position - 1); /* of a moment ago */
            side_publish(&side, 1);
            assert_int_equal(side_decides(&side), false);
        }
    }
}

static void batches_that_were_not_asked_about_count_at_the_next_decision(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        uint32_t size = side.ring->size;
        uint64_t first;

        for (int batches = 1; batches < 6; batches++) {
            first = side.position;
            ask_at(&side, first);
            for (int i = 0; i < batches; i++)
                side_publish(&side, 1);
            assert_true(side_decides(&side));
            assert_false(side_decides(&side));
            ask_at(&side, first); /* that was then */
            side_publish(&side, 1);
            assert_int_equal(side_decides(&side), (side.position - 1 - first) % (2 * size) == 0);
        }
        /* Several laps at once: every position was among them. */
        for (uint32_t i = 0; i < 5; i++)
            side_publish(&side, size);
        ask_at(&side, ring_random(side.ring, 2 * size));
        assert_true(side_decides(&side));
    }
}

static void a_batch_of_many_chains_is_one_decision(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        struct ring *ring = side.ring;
        uint32_t chains = least(ring->size, 50);

        for (uint32_t asked = 0; asked <= chains && asked < 2 * ring->size; asked++) {
            ring_start(ring);
            ask_at(&side, asked);
            for (uint32_t i = 0; i < chains; i++)
                assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
            assert_false(side_decides(&side)); /* nothing is published yet */
            halo_driver_publish(&ring->driver);
            for (uint32_t i = 0; i < chains; i++) {
                assert_int_equal(ring_take(ring), 1);
                ring_give(ring, ring->chain.token, 0);
            }
            assert_false(halo_device_should_notify(&ring->device));
            halo_device_publish(&ring->device);
            assert_int_equal(side_decides(&side), asked < chains);
            assert_false(side_decides(&side));
        }
    }
}

static void evt_01_evt_03_drv_16_senseless_event_words_are_notified(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        for (uint32_t i = 0; i < 2 * side.ring->size; i++) {
            ask(side.event, 3, i % side.ring->size, i % 2);
            side_publish(&side, 1);
            assert_true(side_decides(&side));
            if (side.ring->size == HALO_RING_MAX)
                continue; /* every offset lies inside */
            ask(side.event, HALO_EVENT_AT_DESC, i % 2 ? side.ring->size : 0x7fff, i / 2 % 2);
            side_publish(&side, 1);
            assert_true(side_decides(&side));
        }
    }
}

static void evt_09_each_decision_follows_the_word_of_its_moment(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        for (uint32_t i = 0; i < side.ring->size + 5; i++) {
            ask(side.event, HALO_EVENT_ALWAYS, 0, 0);
            side_publish(&side, 1);
            assert_true(side_decides(&side));
            ask(side.event, HALO_EVENT_NEVER, 0, 0);
            side_publish(&side, 1);
            assert_false(side_decides(&side));
            ask_at(&side, side.position);
            side_publish(&side, 1);
            assert_true(side_decides(&side));
        }
        /* What counts is the word at the decision, not the one at the publish. */
        ask(side.event, HALO_EVENT_NEVER, 0, 0);
        side_publish(&side, 1);
        ask(side.event, HALO_EVENT_ALWAYS, 0, 0);
        assert_true(side_decides(&side));
    }
}

/* --- Arm, look again, disarm ----------------------------------------------------------------- */

static void evt_08_an_armed_driver_is_woken_by_the_next_used_entry(void **state)
{
    struct ring *ring = *state;

    for (uint64_t i = 0; i < 3 * (uint64_t)ring->size; i++) {
        uint32_t position = (uint32_t)(i % (2 * ring->size));

        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_false(halo_driver_arm(&ring->driver));
        assert_int_equal(ring->driver_event->word, halo_event_at(cursor_at(position, ring->size)));
        assert_int_equal(ring_take(ring), 1);
        ring_give(ring, ring->chain.token, 0);
        assert_false(halo_driver_arm(&ring->driver)); /* staged, but not published */
        halo_device_publish(&ring->device);
        assert_true(halo_device_should_notify(&ring->device));
        assert_true(halo_driver_arm(&ring->driver)); /* too late to sleep */
        assert_int_equal(ring_collect(ring), 1);
    }
}

static void evt_08_an_armed_device_is_woken_by_the_next_chain(void **state)
{
    struct ring *ring = *state;

    for (uint64_t i = 0; i < 3 * (uint64_t)ring->size; i++) {
        uint32_t position = (uint32_t)(i % (2 * ring->size));

        assert_false(halo_device_arm(&ring->device));
        assert_int_equal(ring->device_event->word, halo_event_at(cursor_at(position, ring->size)));
        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        assert_false(halo_device_arm(&ring->device)); /* staged, but not published */
        halo_driver_publish(&ring->driver);
        assert_true(halo_driver_should_kick(&ring->driver));
        assert_true(halo_device_arm(&ring->device)); /* too late to sleep */
        assert_int_equal(ring_take(ring), 1);
        ring_give(ring, ring->chain.token, 0);
        halo_device_publish(&ring->device);
        assert_int_equal(ring_collect(ring), 1);
    }
}

/* Asked for is the next chain to take, wherever completions have got to. */
static void evt_08_a_device_is_armed_behind_the_chains_that_it_has_taken(void **state)
{
    struct ring *ring = *state;

    for (uint32_t start = 0; start < 2 * least(ring->size, 300); start++) {
        uint32_t position = (start + 1) % (2 * ring->size);

        ring_start_at(ring, start);
        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_int_equal(ring_take(ring), 1);
        assert_true(halo_driver_should_kick(&ring->driver));
        assert_false(halo_device_arm(&ring->device));
        assert_int_equal(ring->device_event->word, halo_event_at(cursor_at(position, ring->size)));
        assert_in_range(ring_add(ring, 1, 0), 0, ring->size - 1);
        halo_driver_publish(&ring->driver);
        assert_true(halo_driver_should_kick(&ring->driver));
    }
}

/* Armed where the next entry is expected: entries that were seen already wake nobody. */
static void arming_asks_for_the_next_entry_and_for_no_earlier_one(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < 2 * ring->size + 1; i++) {
        ring_round_trip(ring, 1, 0); /* published and seen, not decided yet */
        assert_false(halo_driver_arm(&ring->driver));
        assert_false(halo_device_arm(&ring->device));
        assert_false(halo_driver_should_kick(&ring->driver));
        assert_false(halo_device_should_notify(&ring->device));
    }
}

static void a_disarmed_side_is_not_woken_until_it_arms_again(void **state)
{
    struct ring *ring = *state;

    for (uint32_t i = 0; i < 2 * ring->size + 1; i++) {
        halo_driver_disarm(&ring->driver);
        halo_device_disarm(&ring->device);
        assert_int_equal(ring->driver_event->word >> 16, HALO_EVENT_NEVER);
        assert_int_equal(ring->device_event->word >> 16, HALO_EVENT_NEVER);
        ring_round_trip(ring, 1, 0);
        assert_false(halo_driver_should_kick(&ring->driver));
        assert_false(halo_device_should_notify(&ring->device));
        assert_false(halo_driver_arm(&ring->driver));
        assert_false(halo_device_arm(&ring->device));
        ring_round_trip(ring, 1, 0);
        assert_true(halo_driver_should_kick(&ring->driver));
        assert_true(halo_device_should_notify(&ring->device));
    }
}

static void a_side_that_never_armed_is_always_woken(void **state)
{
    FOR_BOTH_SIDES(side)
    {
        for (uint32_t i = 0; i < 2 * side.ring->size + 1; i++) {
            side_publish(&side, 1);
            assert_true(side_decides(&side));
        }
    }
}

static void a_side_that_latches_before_it_decides_does_not_notify(void **state)
{
    struct ring *ring = *state;

    ring_round_trip(ring, 1, 0); /* both have published, neither has decided */
    assert_true(ring->driver.unannounced > 0 && ring->device.unannounced > 0);
    offer(ring, 1, DATA_BASE, 1, ring->size, 0);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    halo_driver_stop(&ring->driver);
    assert_false(halo_device_should_notify(&ring->device));
    assert_false(halo_driver_should_kick(&ring->driver));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EVERY_SIZE(evt_06_exactly_the_positions_just_written_are_notified),
        AT_EVERY_SIZE(nothing_written_means_nobody_is_notified),
        AT_EVERY_SIZE(always_is_always_and_never_is_never_whatever_the_offset_says),
        AT_EVERY_SIZE(evt_02_the_upper_bits_of_the_flags_mean_nothing),
        AT(1, evt_03_an_offset_outside_the_ring_is_notified),
        AT(2, evt_03_an_offset_outside_the_ring_is_notified),
        AT(3, evt_03_an_offset_outside_the_ring_is_notified),
        AT(5, evt_03_an_offset_outside_the_ring_is_notified),
        AT(255, evt_03_an_offset_outside_the_ring_is_notified),
        AT(256, evt_03_an_offset_outside_the_ring_is_notified),
        AT(32767, evt_03_an_offset_outside_the_ring_is_notified),
        AT_EVERY_SIZE(the_event_word_of_a_position_has_its_slot_and_wrap_counter),
        AT_EVERY_SIZE(evt_06_a_chain_is_notified_when_one_of_its_slots_was_asked_for),
        AT_EVERY_SIZE(evt_06_the_wrap_counter_is_part_of_the_position),
        AT_EVERY_SIZE(batches_that_were_not_asked_about_count_at_the_next_decision),
        AT_EVERY_SIZE(a_batch_of_many_chains_is_one_decision),
        AT_EVERY_SIZE(evt_01_evt_03_drv_16_senseless_event_words_are_notified),
        AT_EVERY_SIZE(evt_09_each_decision_follows_the_word_of_its_moment),
        AT_EVERY_SIZE(evt_08_an_armed_driver_is_woken_by_the_next_used_entry),
        AT_EVERY_SIZE(evt_08_an_armed_device_is_woken_by_the_next_chain),
        FROM_SIZE_2(evt_08_a_device_is_armed_behind_the_chains_that_it_has_taken),
        AT_EVERY_SIZE(arming_asks_for_the_next_entry_and_for_no_earlier_one),
        AT_EVERY_SIZE(a_disarmed_side_is_not_woken_until_it_arms_again),
        AT_EVERY_SIZE(a_side_that_never_armed_is_always_woken),
        AT_EVERY_SIZE(a_side_that_latches_before_it_decides_does_not_notify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
