/* Both sides of the ring together, at every size that is special in some way. */
#include "pair.h"
#include <stdio.h>

static const uint32_t sizes[] = {1, 2, 3, 5, 255, 256, 32768};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static int setup(void **state)
{
    const uint32_t *size = *state;

    *state = pair_new(*size);
    return 0;
}

static int teardown(void **state)
{
    pair_free(*state);
    return 0;
}

static void an_empty_ring_has_nothing_for_either_side(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(p), 0);
        assert_int_equal(reap(p, &used), 0);
    }
    assert_int_equal(halo_driver_room(&p->driver), p->size);
}

static void cfg_03_cfg_04_one_at_a_time_goes_round_and_round(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (uint32_t i = 0; i < 3 * p->size + 7; i++) {
        int id = submit(p, 1, 1);

        if (p->size == 1) {
            assert_int_equal(id, HALO_EINVAL);
            id = submit(p, 0, 1);
        }
        assert_in_range(id, 0, p->size - 1);
        assert_int_equal(take(p), 1);
        assert_int_equal(p->chain.token.id, id);
        assert_int_equal(take(p), 0);
        assert_int_equal(reap(p, &used), 0);
        complete(p, p->chain.token, i % 9);
        assert_int_equal(reap(p, &used), 1);
        assert_int_equal(used.id, id);
        assert_int_equal(used.len, i % 9);
        assert_int_equal(reap(p, &used), 0);
    }
    assert_int_equal(halo_driver_room(&p->driver), p->size);
}

static void wrap_01_many_laps_do_not_drift(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    uint32_t laps = p->size <= 5 ? (1u << 17) + 3 : 4;
    uint64_t position = 0;

    for (uint64_t i = 0; i < (uint64_t)laps * p->size; i++) {
        uint32_t slots = 1 + (uint32_t)(i % (p->size < 3 ? p->size : 3));

        assert_true(submit(p, slots, 0) >= 0);
        assert_int_equal(p->driver.avail.slot, (position + slots) % p->size);
        assert_int_equal(halo_cursor_wrap(p->driver.avail), (position + slots) / p->size % 2 == 0);
        assert_int_equal(take(p), 1);
        assert_int_equal(p->chain.slots, slots);
        complete(p, p->chain.token, 0);
        assert_int_equal(reap(p, &used), 1);
        position += slots;
        assert_int_equal(p->driver.used.slot, position % p->size);
        assert_int_equal(p->device.used.slot, position % p->size);
        assert_int_equal(p->device.avail.slot, position % p->size);
    }
}

static void a_full_ring_refuses_and_goes_on_when_it_has_room(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (int lap = 0; lap < 3; lap++) {
        for (uint32_t i = 0; i < p->size; i++)
            assert_true(submit(p, 1, 0) >= 0);
        assert_int_equal(submit(p, 1, 0), HALO_EFULL);
        assert_int_equal(halo_driver_room(&p->driver), 0);
        for (uint32_t i = 0; i < p->size; i++) {
            assert_int_equal(take(p), 1);
            complete(p, p->chain.token, 0);
        }
        assert_int_equal(take(p), 0);
        for (uint32_t i = 0; i < p->size; i++)
            assert_int_equal(reap(p, &used), 1);
        assert_int_equal(reap(p, &used), 0);
    }
}

static void dev_02_wrap_02_a_chain_fills_the_whole_ring(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (int lap = 0; lap < 3; lap++) {
        uint32_t wrap = halo_cursor_wrap(p->device.avail);

        assert_true(submit(p, p->size / 2, p->size - p->size / 2) >= 0);
        assert_int_equal(submit(p, 1, 0), HALO_EFULL);
        assert_int_equal(take(p), 1);
        assert_int_equal(p->chain.slots, p->size);
        assert_int_equal(p->chain.readable_count, p->size / 2);
        assert_int_equal(p->chain.writable_count, p->size - p->size / 2);
        assert_int_equal(p->device.avail.slot, 0);
        assert_int_equal(halo_cursor_wrap(p->device.avail), !wrap);
        complete(p, p->chain.token, 1);
        assert_int_equal(reap(p, &used), 1);
        assert_int_equal(used.len, 1);
        assert_int_equal(halo_driver_room(&p->driver), p->size);
    }
}

static void wrap_04_a_batch_is_seen_when_it_is_published_and_not_before(void **state)
{
    struct pair *p = *state;
    struct halo_token tokens[3];
    struct halo_used used;
    uint32_t batch = p->size < 3 ? p->size : 3;

    for (uint32_t lap = 0; lap < 2 * p->size + 1 && lap < 1000; lap++) {
        for (uint32_t i = 0; i < batch; i++) {
            assert_true(add(p, 1, 0) >= 0);
            assert_int_equal(take(p), 0);
        }
        halo_driver_publish(&p->driver);
        for (uint32_t i = 0; i < batch; i++) {
            assert_int_equal(take(p), 1);
            tokens[i] = p->chain.token;
        }
        assert_int_equal(take(p), 0);
        for (uint32_t i = 0; i < batch; i++) {
            assert_int_equal(halo_device_complete(&p->device, tokens[i], 0), 0);
            assert_int_equal(reap(p, &used), 0);
        }
        halo_device_publish(&p->device);
        for (uint32_t i = 0; i < batch; i++) {
            assert_int_equal(reap(p, &used), 1);
            assert_int_equal(used.id, tokens[i].id);
        }
        assert_int_equal(reap(p, &used), 0);
    }
}

/* Random chains, completed in random order, checked against a list of what is in flight. */
static void wrap_03_random_chains_complete_in_any_order(void **state)
{
    struct pair *p = *state;
    struct halo_token *taken = calloc(p->size, sizeof(*taken));
    uint32_t *capacity = calloc(p->size, sizeof(*capacity));
    uint32_t *expected = calloc(p->size, sizeof(*expected));
    uint32_t *order = calloc(p->size, sizeof(*order));
    uint32_t taken_count = 0, first = 0, last = 0;
    uint64_t random = 88172645463325252ull;

    for (int step = 0; step < 30000; step++) {
        uint32_t pick;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        pick = (uint32_t)(random >> 8);
        if (random % 3 == 0) {
            uint32_t readable = pick % 4, writable = pick / 4 % 4;
            int id = submit(p, readable, writable);

            if (readable + writable == 0 || readable + writable > p->size)
                assert_int_equal(id, HALO_EINVAL);
            else if (id >= 0)
                capacity[id] = writable * 8;
            else
                assert_int_equal(id, HALO_EFULL);
        } else if (random % 3 == 1) {
            int got = take(p);

            assert_in_range(got, 0, 1);
            if (got) {
                assert_int_equal(p->chain.writable_len, capacity[p->chain.token.id]);
                taken[taken_count++] = p->chain.token;
            } else if (taken_count > 0) {
                struct halo_token token = taken[pick % taken_count];
                uint32_t len = capacity[token.id] ? pick % (capacity[token.id] + 1) : 0;

                taken[pick % taken_count] = taken[taken_count - 1];
                taken_count--;
                expected[token.id] = len;
                order[last++ % p->size] = token.id;
                complete(p, token, len);
            }
        } else {
            struct halo_used used;

            if (first == last) {
                assert_int_equal(reap(p, &used), 0);
                continue;
            }
            assert_int_equal(reap(p, &used), 1);
            assert_int_equal(used.id, order[first++ % p->size]);
            assert_int_equal(used.len, expected[used.id]);
        }
    }
    free(taken);
    free(capacity);
    free(expected);
    free(order);
}

static void
evt_01_evt_02_evt_03_evt_06_evt_09_every_mode_decides_as_the_set_of_positions_says(void **state)
{
    struct pair *p = *state;
    struct halo_used used;
    uint32_t step = p->size > 300 ? 4099 : 1;

    for (uint32_t lap = 0; lap < 3; lap++) {
        for (uint32_t word = 0; word < 0x40000; word += step * (p->size > 5 ? 7 : 1)) {
            uint32_t slots = 1 + word % (p->size < 4 ? p->size : 4);
            uint64_t start =
                p->driver.published.slot + (halo_cursor_wrap(p->driver.published) ? 0 : p->size);
            uint32_t flags = word >> 16 & 3, at = word & 0x7fff, other = word >> 15 & 1;
            bool expected = flags != HALO_EVENT_NEVER;

            if (flags == HALO_EVENT_AT_DESC && at < p->size) {
                expected = false;
                for (uint32_t i = 0; i < slots; i++) {
                    uint64_t position = (start + i) % (2ull * p->size);

                    if (position == at + (other ? 0 : p->size))
                        expected = true;
                }
            }
            /* Bits that mean nothing (EVT-02) must change nothing. */
            p->device_event->word = word | (word % 5 == 0 ? 0xfffc0000u : 0);
            p->driver_event->word = p->device_event->word;
            assert_true(submit(p, slots, 0) >= 0);
            assert_int_equal(halo_driver_should_kick(&p->driver), expected);
            assert_false(halo_driver_should_kick(&p->driver));
            assert_int_equal(take(p), 1);
            complete(p, p->chain.token, 0);
            assert_int_equal(halo_device_should_notify(&p->device), expected);
            assert_false(halo_device_should_notify(&p->device));
            assert_int_equal(reap(p, &used), 1);
            if (p->size > 5 && word > 0x30000 && lap == 2)
                break;
        }
    }
}

static void evt_08_an_armed_side_is_woken_by_the_next_batch_only(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (uint32_t i = 0; i < 2 * p->size + 3 && i < 2000; i++) {
        assert_false(halo_device_arm(&p->device));
        assert_false(halo_driver_arm(&p->driver));
        assert_true(submit(p, 1, 0) >= 0);
        assert_true(halo_driver_should_kick(&p->driver));
        assert_true(halo_device_arm(&p->device)); /* work is there: no sleep */
        assert_int_equal(take(p), 1);
        complete(p, p->chain.token, 0);
        assert_true(halo_device_should_notify(&p->device));
        assert_true(halo_driver_arm(&p->driver));
        assert_int_equal(reap(p, &used), 1);

        halo_device_disarm(&p->device);
        halo_driver_disarm(&p->driver);
        assert_true(submit(p, 1, 0) >= 0);
        assert_false(halo_driver_should_kick(&p->driver));
        assert_int_equal(take(p), 1);
        complete(p, p->chain.token, 0);
        assert_false(halo_device_should_notify(&p->device));
        assert_int_equal(reap(p, &used), 1);
    }
}

static void evt_06_batches_that_were_not_asked_about_count_at_the_next_question(void **state)
{
    struct pair *p = *state;
    struct halo_used used;

    for (uint32_t i = 0; i < 3 * p->size && i < 1000; i++) {
        assert_false(halo_device_arm(&p->device)); /* at the next position */
        for (uint32_t k = 0; k < 2 * p->size + 1 && k < 1000; k++) {
            assert_true(submit(p, 1, 0) >= 0);
            assert_int_equal(take(p), 1);
            complete(p, p->chain.token, 0);
            assert_int_equal(reap(p, &used), 1);
        }
        assert_true(halo_driver_should_kick(&p->driver));
        if (p->size > 1000)
            break;
    }
}

#define TEST(f) \
    {           \
#f, f   \
    }

static const struct {
    const char *name;
    CMUnitTestFunction function;
} tests[] = {
    TEST(an_empty_ring_has_nothing_for_either_side),
    TEST(cfg_03_cfg_04_one_at_a_time_goes_round_and_round),
    TEST(wrap_01_many_laps_do_not_drift),
    TEST(a_full_ring_refuses_and_goes_on_when_it_has_room),
    TEST(dev_02_wrap_02_a_chain_fills_the_whole_ring),
    TEST(wrap_04_a_batch_is_seen_when_it_is_published_and_not_before),
    TEST(wrap_03_random_chains_complete_in_any_order),
    TEST(evt_01_evt_02_evt_03_evt_06_evt_09_every_mode_decides_as_the_set_of_positions_says),
    TEST(evt_08_an_armed_side_is_woken_by_the_next_batch_only),
    TEST(evt_06_batches_that_were_not_asked_about_count_at_the_next_question),
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

int main(void)
{
    static struct CMUnitTest all[SIZES * TESTS];
    static char names[SIZES * TESTS][120];
    size_t count = 0;

    for (size_t s = 0; s < SIZES; s++) {
        for (size_t t = 0; t < TESTS; t++, count++) {
            snprintf(names[count], sizeof(names[count]), "%s (ring of %u)", tests[t].name,
                     sizes[s]);
            all[count] = (struct CMUnitTest){names[count], tests[t].function, setup, teardown,
                                             (void *)(uintptr_t)&sizes[s]};
        }
    }
    return cmocka_run_group_tests_name("ring", all, NULL, NULL);
}
