/*
 * Every load is a choice. The ring's unchanged sources are built with HALO_SHM_TEST, and whenever
 * they load a shared word, they get each word of a small alphabet in turn: all histories of a few
 * operations are run, with all answers that shared memory could give, so with every adversary of
 * that alphabet, whenever it may write. No threads are needed for that.
 *
 * After each operation: the answer is that of the reference model for the words that were loaded;
 * no word was loaded twice in one decision; nothing was stored but what the model wants, where it
 * wants it.
 */
#include "pair.h"
#include "model.h"
#include "paths.h"
#include <stdio.h>

#define LEN 8u

static const struct model_region model_regions[] = {{RAM_BASE, RAM_LEN, true, true},
                                                    {ROM_BASE, ROM_LEN, true, false}};
static const struct model_config config = {UINT32_MAX, 8, 2, model_regions};

static struct pair *p;
static struct model_device device;
static struct model_driver driver;
static bool driver_is_hostile; /* else the device is */
static struct model_desc seen[8];
static bool meta_loaded[8], addr_loaded[8];
static uint32_t stores;
static uint32_t event_word; /* the one that was loaded last */

static void begin_decision(void)
{
    /* What is not loaded may be anything, so it is something that would be noticed. */
    for (uint32_t i = 0; i < 8; i++)
        seen[i] = (struct model_desc){UINT64_MAX, UINT32_MAX, UINT16_MAX, UINT16_MAX};
    memset(meta_loaded, 0, sizeof(meta_loaded));
    memset(addr_loaded, 0, sizeof(addr_loaded));
    stores = 0;
}

/* What a hostile driver may have put there. `available` is the phase of the slot in its lap. */
static uint64_t driver_word(uint32_t available)
{
    static const uint32_t flags[] = {0, WRITE, NEXT, NEXT | WRITE, HALO_DESC_INDIRECT, 1u << 8};
    const uint32_t ids[] = {0, p->size - 1, p->size};
    uint32_t kind = choose(8);

    if (kind == 6)
        return halo_meta(LEN, 0, (uint16_t)(available ^ HALO_PHASE_MASK));
    if (kind == 7)
        return halo_meta(LEN, 0, (uint16_t)(available ? HALO_PHASE_MASK : 0));
    /* The id of a descriptor that is not the last means nothing. */
    return halo_meta(LEN, (uint16_t)(flags[kind] & NEXT ? 60000 : ids[choose(3)]),
                     (uint16_t)(flags[kind] | available));
}

/* What a hostile device may have put there. */
static uint64_t device_word(uint32_t used)
{
    static const uint32_t flags[] = {0, WRITE, WRITE | NEXT | HALO_DESC_INDIRECT, WRITE | 1u << 13};
    static const uint32_t lens[] = {0, LEN, LEN + 1};
    uint32_t kind = choose(5);

    if (kind == 4)
        return halo_meta(0, 0, (uint16_t)(used ^ HALO_PHASE_MASK));
    return halo_meta(lens[choose(3)], (uint16_t)choose(p->size + 1),
                     (uint16_t)(flags[kind] | used));
}

static uint32_t slot_of(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot = (uint32_t)((const struct halo_desc *)(uintptr_t)desc - p->ring);

    assert_true(slot < p->size);
    return slot;
}

/* The phase that a slot has in the lap of the chain that starts at the device's cursor. */
static uint32_t phase_of(uint32_t slot)
{
    struct halo_cursor at = halo_device_avail(&p->device);

    return slot >= at.slot ? at.phase : at.phase ^ HALO_PHASE_MASK;
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot = slot_of(desc);
    uint64_t word;

    assert_false(meta_loaded[slot]);
    meta_loaded[slot] = true;
    word = driver_is_hostile ? driver_word(phase_of(slot))
                             : device_word(halo_cursor_used(halo_driver_used(&p->driver)));
    seen[slot].len = halo_meta_len(word);
    seen[slot].id = halo_meta_id(word);
    seen[slot].flags = halo_meta_flags(word);
    return word;
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot = slot_of(desc);

    assert_true(meta_loaded[slot]); /* first who owns it, then what it says */
    assert_false(addr_loaded[slot]);
    addr_loaded[slot] = true;
    seen[slot].addr = choose(2) ? ROM_BASE : RAM_BASE;
    return seen[slot].addr;
}

static void store(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    stores++;
    p->ring[slot_of(desc)].meta = meta;
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    p->ring[slot_of(desc)].addr = addr;
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store(desc, meta);
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store(desc, meta);
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    uint32_t at = choose(2 * p->size + 3);

    (void)event;
    if (at == 2 * p->size)
        event_word = HALO_EVENT_ALWAYS << 16;
    else if (at == 2 * p->size + 1)
        event_word = HALO_EVENT_NEVER << 16;
    else if (at == 2 * p->size + 2)
        event_word = HALO_EVENT_AT_DESC << 16 | p->size;
    else
        event_word = HALO_EVENT_AT_DESC << 16 | at % p->size | (at < p->size ? 1u << 15 : 0);
    return event_word;
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    (void)event;
    (void)word;
}

void halo_shm_fence(void)
{
}

/* One poll of the device. Returns what it found; a taken chain is added to the list. */
static enum model_outcome poll_device(struct halo_token *tokens, uint32_t *count)
{
    struct model_taken taken;
    struct model_verdict verdict;
    uint32_t slot;
    struct model_desc used;
    int got;

    begin_decision();
    got = halo_device_poll(&p->device, &p->chain, p->spans, 8);
    assert_int_equal(stores, 0);
    verdict = model_device_poll(&device, seen, &taken);
    assert_int_equal(got == 0, verdict.outcome == MODEL_EMPTY);
    assert_int_equal(got == 1, verdict.outcome == MODEL_OK);
    assert_int_equal(got == HALO_EREJECT, verdict.outcome == MODEL_REJECT);
    if (got == 1) {
        assert_int_equal(halo_token_id(p->chain.token), taken.id);
        assert_int_equal(p->chain.slots, taken.slots);
        assert_true(p->chain.writable_len == taken.writable_len);
        tokens[(*count)++] = p->chain.token;
    } else if (got == HALO_EREJECT) {
        halo_device_publish(&p->device);
        assert_int_equal(stores, 1);
        model_device_complete(&device, taken.id, 0, &slot, &used);
        assert_true(p->ring[slot].meta == halo_meta(used.len, used.id, used.flags));
    } else if (got == HALO_EBROKEN) {
        assert_int_equal(p->device.violation.slot, verdict.slot);
    }
    return verdict.outcome;
}

static void complete_device(struct halo_token token, uint32_t written)
{
    struct model_desc used;
    uint32_t slot;
    struct model_verdict verdict =
        model_device_complete(&device, halo_token_id(token), written, &slot, &used);

    begin_decision();
    assert_int_equal(halo_device_complete(&p->device, token, written) == 0,
                     verdict.outcome == MODEL_OK);
    halo_device_publish(&p->device);
    assert_int_equal(stores, verdict.outcome == MODEL_OK);
    if (verdict.outcome == MODEL_OK)
        assert_true(p->ring[slot].meta == halo_meta(used.len, used.id, used.flags));
}

static void device_history(uint32_t operations)
{
    struct halo_token tokens[16];
    uint32_t count = 0;

    driver_is_hostile = true;
    memset(p->ring, 0, p->size * sizeof(*p->ring));
    halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX);
    model_device_reset(&device);
    for (uint32_t i = 0; i < operations; i++) {
        uint32_t operation = count > 0 ? choose(3) : 0;

        if (operation == 0) {
            if (poll_device(tokens, &count) == MODEL_BROKEN)
                return;
        } else { /* the oldest or the newest, with more bytes than it may have room for */
            uint32_t chosen = operation == 1 ? 0 : count - 1;
            struct halo_token token = tokens[chosen];

            complete_device(token, LEN);
            complete_device(token, 0); /* once more, or at last */
            tokens[chosen] = tokens[--count];
        }
    }
    /* Whatever the event word is, the decision is the model's for all that was written. */
    begin_decision();
    event_word = 0;
    {
        bool wanted = halo_device_should_notify(&p->device);
        struct model_event event = {(uint16_t)event_word, (uint16_t)(event_word >> 16)};

        assert_int_equal(wanted, model_device_notify(&device, event));
    }
}

static void driver_history(uint32_t operations)
{
    struct halo_used used;

    driver_is_hostile = false;
    memset(p->ring, 0, p->size * sizeof(*p->ring));
    halo_driver_init(&p->driver, &p->place, p->driver_chains);
    model_driver_reset(&driver);
    for (uint32_t i = 0; i < operations; i++) {
        uint32_t operation = choose(3);

        begin_decision();
        if (operation < 2) { /* a writable buffer, or a readable and a writable one */
            const struct halo_buf bufs[] = {{RAM_BASE, LEN}, {RAM_BASE, LEN}};
            const struct model_element elements[] = {{RAM_BASE, LEN, false},
                                                     {RAM_BASE, LEN, false}};
            int id = halo_driver_add(&p->driver, bufs, operation, 1);
            uint32_t slots[2];
            struct model_desc descs[2];
            struct model_verdict verdict;

            halo_driver_publish(&p->driver);
            verdict = model_driver_submit(&driver, (uint16_t)(id < 0 ? 0 : id), elements, operation,
                                          1, slots, descs);
            assert_int_equal(id >= 0, verdict.outcome == MODEL_OK);
            assert_int_equal(stores, id >= 0 ? operation + 1 : 0);
            for (uint32_t k = 0; id >= 0 && k <= operation; k++)
                assert_int_equal(halo_meta_flags(p->ring[slots[k]].meta), descs[k].flags);
        } else {
            struct model_returned returned;
            int got = halo_driver_poll(&p->driver, &used);
            struct model_verdict verdict = model_driver_poll(&driver, seen, &returned);

            assert_int_equal(stores, 0);
            assert_int_equal(got == 1, verdict.outcome == MODEL_OK);
            assert_int_equal(got == 0, verdict.outcome == MODEL_EMPTY);
            if (got < 0)
                return;
            if (got == 1) {
                assert_int_equal(used.id, returned.id);
                assert_int_equal(used.len, returned.len);
            }
        }
        assert_int_equal(halo_driver_room(&p->driver), model_free_slots(&driver.queue));
    }
}

static void all_histories(uint32_t size, uint32_t operations, void (*history)(uint32_t))
{
    p = pair_new(size);
    assert_true(model_device_init(&device, size, &config));
    assert_true(model_driver_init(&driver, size));
    path_start();
    do
        history(operations);
    while (next_path());
    printf("             ring of %u, %u operations: %llu histories\n", size, operations,
           (unsigned long long)path.runs);
    model_device_close(&device);
    model_driver_close(&driver);
    pair_free(p);
}

static void no_driver_makes_the_device_misbehave(void **state)
{
    (void)state;
    all_histories(1, 6, device_history);
    all_histories(2, 4, device_history);
    all_histories(3, 3, device_history);
}

static void no_device_makes_the_driver_misbehave(void **state)
{
    (void)state;
    all_histories(1, 8, driver_history);
    all_histories(2, 7, driver_history);
    all_histories(3, 6, driver_history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_driver_makes_the_device_misbehave),
        cmocka_unit_test(no_device_makes_the_driver_misbehave),
    };

    return cmocka_run_group_tests_name("every load is a choice", tests, NULL, NULL);
}
