/*
 * The ring against the reference model: the same words in front of both, the same answers from
 * both. First every content of a tiny ring, from every state of its device; then long random
 * histories of hostile drivers and devices at many sizes.
 */
#include "duel.h"
#include <stdio.h>

/* Every flag that means something, for every descriptor, with ids at and around the limits. */
static void set_descriptor(struct duel *d, uint32_t slot, uint32_t content, uint32_t ids)
{
    static const uint16_t bits[] = {HALO_DESC_AVAIL, HALO_DESC_USED, HALO_DESC_NEXT,
                                    HALO_DESC_WRITE, HALO_DESC_INDIRECT};
    const uint16_t size = (uint16_t)d->p->size;
    const uint16_t all[] = {0, (uint16_t)(size - 1), size, 1, 65535};
    uint32_t flags = 0;

    for (uint32_t i = 0; i < 5; i++)
        flags |= content / ids >> i & 1 ? bits[i] : 0u;
    poke(d->p, slot, RAM_BASE, 8, all[content % ids], flags);
}

/* All contents of the ring, before a device that stands at `start` with `taken` chains in flight.
 */
static uint64_t all_contents(uint32_t size, uint32_t start, uint32_t taken, uint32_t ids)
{
    struct duel d = duel_new(size);
    struct halo_device saved;
    struct halo_device_chain saved_chains[4];
    struct model_queue model_saved;
    struct model_chain model_chains[4];
    const uint32_t alphabet = 32 * ids;
    uint64_t cases = 1, polled = 0;

    for (uint32_t i = 0; i < start + taken; i++) {
        uint32_t slot = halo_device_avail(&d.p->device).slot;

        poke(d.p, slot, RAM_BASE, 8, i % size, halo_device_avail(&d.p->device).phase);
        assert_int_equal(poll_device(&d), MODEL_OK);
        if (i < start) {
            struct model_desc desc;

            complete(d.p, d.p->chain.token, 0);
            assert_int_equal(
                model_device_complete(&d.device, halo_token_id(d.p->chain.token), 0, &slot, &desc)
                    .outcome,
                MODEL_OK);
            compare_used(&d, slot, desc);
        }
    }
    saved = d.p->device;
    memcpy(saved_chains, d.p->device_chains, size * sizeof(saved_chains[0]));
    model_saved = d.device.queue;
    memcpy(model_chains, d.device.queue.in_flight, size * sizeof(model_chains[0]));
    for (uint32_t i = 0; i < size; i++)
        cases *= alphabet;
    for (uint64_t n = 0; n < cases; n++) {
        uint64_t rest = n;

        for (uint32_t slot = 0; slot < size; slot++, rest /= alphabet)
            set_descriptor(&d, slot, (uint32_t)(rest % alphabet), ids);
        poll_device(&d);
        polled++;
        d.p->device = saved;
        memcpy(d.p->device_chains, saved_chains, size * sizeof(saved_chains[0]));
        d.device.queue = model_saved;
        memcpy(d.device.queue.in_flight, model_chains, size * sizeof(model_chains[0]));
    }
    duel_free(&d);
    return polled;
}

static void every_content_of_a_tiny_ring_in_every_state(uint32_t size, uint32_t ids)
{
    uint64_t polled = 0;

    for (uint32_t start = 0; start < 2 * size; start++) {
        for (uint32_t taken = 0; taken <= size; taken++)
            polled += all_contents(size, start, taken, ids);
    }
    printf("             %llu rings of %u\n", (unsigned long long)polled, size);
}

static void every_content_of_a_ring_of_1(void **state)
{
    (void)state;
    every_content_of_a_tiny_ring_in_every_state(1, 5);
}

static void every_content_of_a_ring_of_2(void **state)
{
    (void)state;
    every_content_of_a_tiny_ring_in_every_state(2, 5);
}

static void every_content_of_a_ring_of_3(void **state)
{
    (void)state;
    every_content_of_a_tiny_ring_in_every_state(3, 2);
}

static void history(uint32_t size, uint32_t steps, void (*step)(struct duel *), uint64_t *outcomes)
{
    struct duel d = duel_new(size);

    while (steps-- > 0)
        step(&d);
    for (int i = 0; i < 5; i++)
        outcomes[i] += d.outcomes[i];
    duel_free(&d);
}

static void hostile_drivers_get_the_same_answers_at_many_sizes(void **state)
{
    uint64_t outcomes[5] = {0};

    (void)state;
    for (uint32_t size = 1; size <= 16; size++)
        history(size, 150000, hostile_driver_step, outcomes);
    history(255, 20000, hostile_driver_step, outcomes);
    history(256, 20000, hostile_driver_step, outcomes);
    printf("             empty %llu, taken %llu, rejected %llu, broken %llu\n",
           (unsigned long long)outcomes[MODEL_EMPTY], (unsigned long long)outcomes[MODEL_OK],
           (unsigned long long)outcomes[MODEL_REJECT], (unsigned long long)outcomes[MODEL_BROKEN]);
    for (int i = 0; i < 4; i++)
        assert_true(outcomes[i] > 1000); /* or the test would prove little */
}

static void hostile_devices_get_the_same_answers_at_many_sizes(void **state)
{
    uint64_t outcomes[5] = {0};

    (void)state;
    for (uint32_t size = 1; size <= 16; size++)
        history(size, 150000, hostile_device_step, outcomes);
    history(255, 20000, hostile_device_step, outcomes);
    history(256, 20000, hostile_device_step, outcomes);
    printf("             empty %llu, taken %llu, broken %llu\n",
           (unsigned long long)outcomes[MODEL_EMPTY], (unsigned long long)outcomes[MODEL_OK],
           (unsigned long long)outcomes[MODEL_BROKEN]);
    assert_true(outcomes[MODEL_EMPTY] > 1000 && outcomes[MODEL_OK] > 1000 &&
                outcomes[MODEL_BROKEN] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_content_of_a_ring_of_1),
        cmocka_unit_test(every_content_of_a_ring_of_2),
        cmocka_unit_test(every_content_of_a_ring_of_3),
        cmocka_unit_test(hostile_drivers_get_the_same_answers_at_many_sizes),
        cmocka_unit_test(hostile_devices_get_the_same_answers_at_many_sizes),
    };

    return cmocka_run_group_tests_name("against the model", tests, NULL, NULL);
}
