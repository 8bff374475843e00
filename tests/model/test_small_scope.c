/*
 * Small rings, all of it: every event word at every position, every kind of buffer in chains of up
 * to three, every used entry before every driver that has a given number of chains in flight. The
 * reference model, or a set that is written out, says what is right.
 */
#include "pair.h"
#include "model.h"
#include <stdio.h>

/* --- Event words ----------------------------------------------------------------------------- */

/* Every word, after `count` positions from `from` on were written in a ring of `size`. */
static uint64_t every_word(uint32_t size, uint32_t from, uint32_t count, uint32_t word_step)
{
    static bool written[2 * HALO_RING_MAX]; /* the set of positions, over two laps */
    struct halo_cursor end = halo_cursor_start();
    uint64_t words = 0;

    memset(written, 0, 2 * size * sizeof(written[0]));
    for (uint32_t i = 0; i < count; i++)
        written[(from + i) % (2 * size)] = true;
    end.slot = (from + count) % size;
    end.phase ^= (from + count) / size % 2 ? HALO_PHASE_MASK : 0;
    for (uint32_t flags = 0; flags < 4; flags++) {
        for (uint32_t off_wrap = 0; off_wrap < 65536; off_wrap += word_step) {
            uint32_t slot = off_wrap & 0x7fff;
            bool wrap = off_wrap >> 15;
            bool expected = flags != HALO_EVENT_NEVER;

            if (flags == HALO_EVENT_AT_DESC && slot < size)
                expected = written[wrap ? slot : slot + size];
            if (halo_event_wanted(off_wrap | flags << 16, end, count, size) != expected)
                fail_msg("ring of %u, %u positions from %u, flags %u, off_wrap %x", size, count,
                         from, flags, off_wrap);
            words++;
        }
    }
    return words;
}

static void evt_06_every_event_word_after_every_advance(void **state)
{
    static const uint32_t some[] = {16, 255, 256, 32767, 32768};
    uint64_t words = 0;

    (void)state;
    for (uint32_t size = 1; size <= 8; size++) {
        for (uint32_t from = 0; from < 2 * size; from++) {
            for (uint32_t count = 1; count <= size; count++)
                words += every_word(size, from, count, 1);
        }
    }
    for (uint32_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        const uint32_t size = some[i];
        const uint32_t froms[] = {0,    1,        size / 2,        size - 2,     size - 1,
                                  size, size + 1, size + size / 2, 2 * size - 2, 2 * size - 1};
        const uint32_t counts[] = {1, 2, 3, size / 2, size - 1, size};

        for (uint32_t f = 0; f < 10; f++) {
            for (uint32_t c = 0; c < 6; c++)
                words += every_word(size, froms[f], counts[c], c % 2 ? 7 : 1);
        }
    }
    printf("             %llu decisions\n", (unsigned long long)words);
}

/* --- Buffers --------------------------------------------------------------------------------- */

#define LEN_MAX 5000u

static const struct model_region model_regions[] = {{RAM_BASE, RAM_LEN, true, true},
                                                    {ROM_BASE, ROM_LEN, true, false}};
static const uint32_t lens[] = {0, 1, LEN_MAX, 1u << 31, UINT32_MAX};

static uint64_t addr_of(uint32_t kind, uint32_t len)
{
    switch (kind) {
    case 0:
        return RAM_BASE;
    case 1:
        return RAM_BASE + RAM_LEN - len;
    case 2:
        return RAM_BASE + RAM_LEN - len + 1;
    case 3:
        return RAM_BASE + RAM_LEN;
    case 4:
        return UINT64_MAX;
    case 5:
        return ROM_BASE;
    default:
        return RAM_BASE - 1;
    }
}

#define ELEMENTS (5u * 7 * 2)

/* Write the chain with this number; returns how many descriptors it has. */
static void write_chain(struct pair *p, struct model_desc *copy, uint32_t count, uint64_t number)
{
    for (uint32_t i = 0; i < count; i++, number /= ELEMENTS) {
        uint32_t element = (uint32_t)(number % ELEMENTS);
        uint32_t len = lens[element % 5];
        uint64_t addr = addr_of(element / 5 % 7, len);
        uint32_t flags = AVAIL | (element / 35 ? WRITE : 0) | (i + 1 < count ? NEXT : 0);

        poke(p, i, addr, len, 0, flags);
        copy[i] = (struct model_desc){addr, len, 0, (uint16_t)flags};
    }
}

static uint64_t every_chain_of(uint32_t count, uint32_t span_max)
{
    const struct model_config config = {LEN_MAX, span_max, 2, model_regions};
    struct pair *p = pair_new(4);
    struct model_device model;
    struct model_desc copy[4] = {{0}};
    uint64_t chains = 1;

    p->device.len_max = LEN_MAX;
    assert_true(model_device_init(&model, 4, &config));
    for (uint32_t i = 0; i < count; i++)
        chains *= ELEMENTS;
    for (uint64_t n = 0; n < chains; n++) {
        struct model_taken taken;
        struct model_verdict verdict;
        int got;

        write_chain(p, copy, count, n);
        halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, LEN_MAX);
        model_device_reset(&model);
        got = halo_device_poll(&p->device, &p->chain, p->spans, span_max);
        verdict = model_device_poll(&model, copy, &taken);
        assert_int_equal(got == 1, verdict.outcome == MODEL_OK);
        assert_int_equal(got == HALO_EREJECT, verdict.outcome == MODEL_REJECT);
        assert_int_equal(got == HALO_EBROKEN, verdict.outcome == MODEL_BROKEN);
        if (got == 1) {
            assert_true(p->chain.readable_len == taken.readable_len);
            assert_true(p->chain.writable_len == taken.writable_len);
            assert_int_equal(p->chain.readable_count + p->chain.writable_count,
                             taken.element_count);
        } else if (got == HALO_EREJECT) {
            static const enum model_reason reasons[] = {
                [HALO_REJECT_LENGTH] = MODEL_LENGTH,
                [HALO_REJECT_SEGMENTS] = MODEL_SEGMENTS,
                [HALO_REJECT_RANGE] = MODEL_RANGE,
                [HALO_REJECT_PERMISSION] = MODEL_PERMISSION,
                [HALO_REJECT_EMPTY_CHAIN] = MODEL_EMPTY_CHAIN,
            };

            assert_int_equal(reasons[p->chain.reject], verdict.reason);
            if (verdict.reason != MODEL_EMPTY_CHAIN)
                assert_true(p->chain.bad_addr.value == copy[taken.offender].addr);
            assert_int_equal(p->chain.readable_count + p->chain.writable_count, 0);
        }
    }
    model_device_close(&model);
    pair_free(p);
    return chains;
}

static void dev_11_to_dev_17_every_kind_of_buffer_in_every_chain_of_up_to_3(void **state)
{
    uint64_t chains = 0;

    (void)state;
    for (uint32_t count = 1; count <= 3; count++)
        chains += every_chain_of(count, 2);
    chains += every_chain_of(2, 0);
    chains += every_chain_of(2, 8);
    printf("             %llu chains\n", (unsigned long long)chains);
}

/* --- Used entries ---------------------------------------------------------------------------- */

struct bench {
    struct pair *p;
    struct model_driver model;
    uint64_t entries;
};

/* Both submit a chain; its writable part has 8 bytes where it has one. */
static void submit_both(struct bench *b, uint32_t slots, bool writable)
{
    struct model_element elements[4];
    struct halo_buf bufs[4];
    struct model_desc descs[4];
    uint32_t where[4];
    int id;

    for (uint32_t i = 0; i < slots; i++) {
        bufs[i] = (struct halo_buf){RAM_BASE, 8};
        elements[i] = (struct model_element){RAM_BASE, 8, false};
    }
    id = halo_driver_add(&b->p->driver, bufs, slots - writable, writable);
    assert_true(id >= 0);
    halo_driver_publish(&b->p->driver);
    assert_int_equal(model_driver_submit(&b->model, (uint16_t)id, elements, slots - writable,
                                         writable, where, descs)
                         .outcome,
                     MODEL_OK);
}

/* One used entry where both look; returns what they agree on. */
static enum model_outcome poll_both(struct bench *b, uint64_t meta)
{
    const uint32_t slot = b->p->driver.used.slot;
    struct model_desc copy[4] = {{0}};
    struct model_returned returned;
    struct model_verdict verdict;
    struct halo_used used;
    int got;

    b->p->ring[slot].meta = meta;
    copy[slot] =
        (struct model_desc){0, halo_meta_len(meta), halo_meta_id(meta), halo_meta_flags(meta)};
    verdict = model_driver_poll(&b->model, copy, &returned);
    got = halo_driver_poll(&b->p->driver, &used);
    assert_int_equal(got == 1, verdict.outcome == MODEL_OK);
    assert_int_equal(got == 0, verdict.outcome == MODEL_EMPTY);
    if (got == 1) {
        assert_int_equal(used.id, returned.id);
        assert_int_equal(used.len, returned.len);
    }
    b->entries++;
    return verdict.outcome;
}

static uint64_t used_word(const struct bench *b, uint32_t len, uint32_t id, uint32_t flags)
{
    return halo_meta(len, (uint16_t)id, (uint16_t)(flags | halo_cursor_used(b->p->driver.used)));
}

/* Every used entry before this driver, which is put back each time. */
static void every_entry(struct bench *b)
{
    static const uint32_t used_lens[] = {0, 1, 8, 9, UINT32_MAX};
    static const uint32_t bits[] = {HALO_DESC_AVAIL, HALO_DESC_USED,     HALO_DESC_NEXT,
                                    HALO_DESC_WRITE, HALO_DESC_INDIRECT, 1u << 3};
    const uint32_t size = b->p->size;
    const struct halo_driver saved = b->p->driver;
    const struct model_queue model_saved = b->model.queue;
    struct halo_driver_chain chains[4];
    struct model_chain model_chains[4];

    memcpy(chains, b->p->driver_chains, size * sizeof(chains[0]));
    memcpy(model_chains, b->model.queue.in_flight, size * sizeof(model_chains[0]));
    for (uint32_t content = 0; content < 64 * 5 * (size + 2); content++) {
        uint32_t id = content / 320 < size ? content / 320 : content / 320 == size ? size : 65535;
        uint32_t flags = 0;

        for (uint32_t i = 0; i < 6; i++)
            flags |= content >> i & 1 ? bits[i] : 0;
        poll_both(b, halo_meta(used_lens[content / 64 % 5], (uint16_t)id, (uint16_t)flags));
        b->p->driver = saved;
        memcpy(b->p->driver_chains, chains, size * sizeof(chains[0]));
        b->model.queue = model_saved;
        memcpy(b->model.queue.in_flight, model_chains, size * sizeof(model_chains[0]));
    }
}

/* The chains that a driver submitted last, and which of them (a bit each) are still out. */
struct plan {
    uint32_t count, kept, total;
    uint32_t slots[4];
    bool writable[4];
};

/* The plan with this number: up to four digits, each a chain of 1 to 4 slots of either kind. */
static bool plan_of(uint32_t number, struct plan *plan)
{
    *plan = (struct plan){0};
    for (; number % 9; number /= 9) {
        plan->slots[plan->count] = (number % 9 - 1) % 4 + 1;
        plan->writable[plan->count] = number % 9 > 4;
        plan->total += plan->slots[plan->count++];
    }
    return number == 0;
}

static void every_entry_before(uint32_t size, uint32_t start, const struct plan *plan,
                               uint64_t *entries)
{
    struct bench b = {.p = pair_new(size)};
    uint32_t ids[4];

    assert_true(model_driver_init(&b.model, size));
    for (uint32_t i = 0; i < start; i++) {
        submit_both(&b, 1, false);
        assert_int_equal(
            poll_both(&b, used_word(&b, 0, halo_meta_id(b.p->ring[b.p->driver.used.slot].meta), 0)),
            MODEL_OK);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t first = b.p->driver.avail.slot;

        submit_both(&b, plan->slots[i], plan->writable[i]);
        ids[i] = halo_meta_id(b.p->ring[first].meta);
    }
    for (uint32_t i = plan->count; i-- > 0;) {
        if (!(plan->kept >> i & 1))
            assert_int_equal(poll_both(&b, used_word(&b, 0, ids[i], 0)), MODEL_OK);
    }
    every_entry(&b);
    *entries += b.entries;
    model_driver_close(&b.model);
    pair_free(b.p);
}

static void drv_01_to_drv_06_every_used_entry_before_every_driver(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 4; size++) {
        uint64_t entries = 0, drivers = 0;
        struct plan plan;

        for (uint32_t number = 0; number < 9 * 9 * 9 * 9; number++) {
            if (!plan_of(number, &plan) || plan.total > size)
                continue;
            for (plan.kept = 0; plan.kept < 1u << plan.count; plan.kept++) {
                for (uint32_t start = 0; start < 2 * size; start++, drivers++)
                    every_entry_before(size, start, &plan, &entries);
            }
        }
        printf("             ring of %u: %llu entries before %llu drivers\n", size,
               (unsigned long long)entries, (unsigned long long)drivers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evt_06_every_event_word_after_every_advance),
        cmocka_unit_test(dev_11_to_dev_17_every_kind_of_buffer_in_every_chain_of_up_to_3),
        cmocka_unit_test(drv_01_to_drv_06_every_used_entry_before_every_driver),
    };

    return cmocka_run_group_tests_name("small scope", tests, NULL, NULL);
}
