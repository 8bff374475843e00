/*
 * Armed at a distance: every distance from every slot of every lap, at sizes 1 to 12, with chains
 * of one and of random lengths. Positions are counted here, and the model makes each decision
 * again.
 */
#include "pair.h"
#include "model.h"
#include <stdio.h>

static uint64_t seed = 88172645463325252ull;
static uint64_t early, exact, there;

static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % below);
}

static struct model_event event_of(const struct halo_event *event)
{
    return (struct model_event){(uint16_t)event->word, (uint16_t)(event->word >> 16)};
}

/* Both sides at this position, with nothing in flight and nothing to be decided. */
static struct pair *pair_at(uint32_t size, uint32_t position)
{
    struct pair *p = pair_new(size);
    struct halo_used used;

    for (uint32_t i = 0; i < position; i++) {
        assert_true(submit(p, 1, 0) >= 0);
        assert_int_equal(take(p), 1);
        complete(p, p->chain.token, 0);
        assert_int_equal(reap(p, &used), 1);
    }
    (void)halo_driver_should_kick(&p->driver);
    (void)halo_device_should_notify(&p->device);
    return p;
}

/* `slots` descriptors more are there: is the sleeper told exactly when they reach the mark? */
static bool told(bool decision, uint32_t size, uint32_t start, uint32_t before, uint32_t slots,
                 uint32_t mark, const struct halo_event *event)
{
    const bool due = before < mark && before + slots >= mark;

    assert_int_equal(decision, due);
    assert_int_equal(model_event_due(size, start + before, slots, event_of(event)), due);
    if (due && slots > 1 && before + slots > mark)
        early++;
    else
        exact += due;
    return due;
}

static void device_side(uint32_t size, uint32_t start, uint32_t distance, uint32_t longest)
{
    struct pair *p = pair_at(size, start);
    const uint32_t most = size - size / 4;
    const uint32_t mark = distance < 1 || most <= 1 ? 1 : distance < most ? distance : most;
    uint32_t before = 0, slots;
    bool done = false;

    assert_false(halo_device_arm_after(&p->device, distance));
    while (halo_driver_room(&p->driver) > 0 && !done) {
        slots = 1 + pick(longest);
        if (slots > halo_driver_room(&p->driver))
            slots = halo_driver_room(&p->driver);
        assert_true(submit(p, slots, 0) >= 0);
        done = told(halo_driver_should_kick(&p->driver), size, start, before, slots, mark,
                    p->device_event);
        before += slots;
        /* What arming again says is what was told. */
        assert_int_equal(halo_device_arm_after(&p->device, distance), done);
        there += done;
    }
    assert_true(done);
    pair_free(p);
}

static void driver_side(uint32_t size, uint32_t start, uint32_t distance, uint32_t longest)
{
    struct pair *p = pair_at(size, start);
    struct halo_token tokens[16];
    uint32_t lens[16], count = 0, in_flight = 0, before = 0, mark, at;
    bool done = false;

    while (halo_driver_room(&p->driver) > 0 && (in_flight == 0 || pick(6))) {
        uint32_t slots = 1 + pick(longest);

        if (slots > halo_driver_room(&p->driver))
            slots = halo_driver_room(&p->driver);
        assert_true(submit(p, slots, 0) >= 0);
        assert_int_equal(take(p), 1);
        tokens[count] = p->chain.token;
        lens[count++] = slots;
        in_flight += slots;
    }
    mark = distance < 1 ? 1 : distance < in_flight ? distance : in_flight;
    if (halo_driver_room(&p->driver) > 0) /* what is not published is not waited for */
        assert_true(add(p, 1, 0) >= 0);
    assert_false(halo_driver_arm_after(&p->driver, distance));
    while (!done) {
        at = pick(count);
        complete(p, tokens[at], 0);
        done = told(halo_device_should_notify(&p->device), size, start, before, lens[at], mark,
                    p->driver_event);
        before += lens[at];
        tokens[at] = tokens[--count];
        lens[at] = lens[count];
        assert_int_equal(halo_driver_arm_after(&p->driver, distance), done);
        there += done;
    }
    pair_free(p);
}

static void evt_10_the_mark_is_told_at_every_distance_and_never_late(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 12; size++) {
        for (uint32_t start = 0; start < 2 * size; start++) {
            for (uint32_t distance = 0; distance <= size + 2; distance++) {
                for (uint32_t longest = 1; longest <= 4; longest++) {
                    device_side(size, start, distance, longest);
                    driver_side(size, start, distance, longest);
                }
            }
        }
    }
    printf("             %llu exact, %llu early\n", (unsigned long long)exact,
           (unsigned long long)early);
    assert_true(exact > 1000 && early > 1000);
}

/* A mark that was written without what is before it: the device may sleep, as nothing is there. */
static void evt_10_a_false_mark_keeps_nobody_awake(void **state)
{
    struct pair *p = pair_new(8);

    (void)state;
    poke(p, 2, RAM_BASE, 8, 2, AVAIL);
    assert_false(halo_device_arm_after(&p->device, 3));
    poke(p, 0, RAM_BASE, 8, 0, AVAIL);
    assert_true(halo_device_arm_after(&p->device, 3));
    pair_free(p);
}

/* An entry that breaks a rule is for poll to find, so the driver stays awake; one behind it counts
 * not. */
static void evt_10_a_broken_entry_keeps_the_driver_awake(void **state)
{
    struct halo_used used;
    struct pair *p = pair_new(8);

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(submit(p, 1, 0) >= 0);
    poke(p, 1, 0, 0, 1, USED_1);
    assert_false(halo_driver_arm_after(&p->driver, 3));
    poke(p, 0, 0, 0, 7, USED_1);
    assert_true(halo_driver_arm_after(&p->driver, 3));
    poke(p, 0, 0, 0, 60000, USED_1);
    assert_true(halo_driver_arm_after(&p->driver, 3));
    assert_int_equal(reap(p, &used), HALO_EBROKEN);
    assert_true(halo_driver_arm_after(&p->driver, 3));
    halo_driver_stop(&p->driver);
    pair_free(p);
}

static void res_03_arming_a_latched_queue_writes_nothing(void **state)
{
    struct pair *p = pair_new(8);

    (void)state;
    poke(p, 0, RAM_BASE, 8, 9, AVAIL);
    assert_int_equal(take(p), HALO_EBROKEN);
    halo_driver_stop(&p->driver);
    assert_true(halo_device_arm_after(&p->device, 3));
    assert_true(halo_driver_arm_after(&p->driver, 3));
    assert_int_equal(p->device_event->word, 0);
    assert_int_equal(p->driver_event->word, 0);
    pair_free(p);
}

/* More than two laps between two decisions, and one that was asked for in the first of them. */
static void evt_06_what_is_undecided_is_counted_over_laps(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 8; size++) {
        for (uint32_t count = 1; count <= 5 * size; count++) {
            for (uint32_t asked = 0; asked < 2 * size; asked++) {
                struct pair *p = pair_new(size);
                struct halo_used used;

                p->device_event->word = p->driver_event->word =
                    asked % size | (uint32_t)(asked < size) << 15 | HALO_EVENT_AT_DESC << 16;
                for (uint32_t i = 0; i < count; i++) {
                    assert_true(submit(p, 1, 0) >= 0);
                    assert_int_equal(take(p), 1);
                    complete(p, p->chain.token, 0);
                    assert_int_equal(reap(p, &used), 1);
                }
                assert_int_equal(halo_driver_should_kick(&p->driver), asked < count);
                assert_int_equal(halo_device_should_notify(&p->device), asked < count);
                pair_free(p);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evt_10_the_mark_is_told_at_every_distance_and_never_late),
        cmocka_unit_test(evt_10_a_false_mark_keeps_nobody_awake),
        cmocka_unit_test(evt_10_a_broken_entry_keeps_the_driver_awake),
        cmocka_unit_test(res_03_arming_a_latched_queue_writes_nothing),
        cmocka_unit_test(evt_06_what_is_undecided_is_counted_over_laps),
    };

    return cmocka_run_group_tests_name("arming at a distance", tests, NULL, NULL);
}
