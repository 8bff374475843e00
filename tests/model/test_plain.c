/*
 * The plain paths beside the walk: two rings, two of each side, the same words before both. One
 * pair takes what paths it finds; the other one has no ids, as if it were latched, which sends
 * everything to the walk. Every answer, every reason, every span and every byte of the two rings is
 * the same.
 */
#define _DEFAULT_SOURCE
#include "pair.h"
#include <stdio.h>
#include <sys/mman.h>

#define LEN_MAX 100u /* of two or three buffers */
#define TOKENS 64u
#define HELD_MAX 8u

static struct pair *plain, *walk;
static uint64_t seed;
static uint32_t features; /* the ring's extensions that are on */
/* Polls of a device by result; used entries; pairs; inline requests, alone and with a buffer. */
static uint64_t seen[9];

static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 16) % below);
}

/* The first region, which the plain path knows, has both rights, or may only be read. */
static struct pair *begin_pair(uint32_t size, bool rom_first)
{
    struct pair *p = pair_new(size);
    const struct halo_region first = p->regions[0];

    if (rom_first) {
        p->regions[0] = p->regions[1];
        p->regions[1] = first;
    }
    return p;
}

static void restart(struct pair *p)
{
    memset(p->memory, 0, p->memory_len);
    assert_int_equal(halo_driver_init(&p->driver, &p->place, p->driver_chains), 0);
    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, LEN_MAX),
                     0);
    assert_int_equal(halo_device_extend(&p->device, features), 0);
    assert_int_equal(halo_driver_extend(&p->driver, features), 0);
}

static uint16_t held[HELD_MAX]; /* ids that came back and are held */
static uint32_t held_count;

static void restart_both(void)
{
    restart(plain);
    restart(walk);
    held_count = 0;
    walk->device.ids = 0;
    walk->driver.ids = 0;
}

static void same_rings(void)
{
    if (plain->size <= 256 || pick(64) == 0)
        assert_memory_equal(plain->memory, walk->memory, plain->memory_len);
    assert_int_equal(halo_driver_room(&plain->driver), halo_driver_room(&walk->driver));
    assert_int_equal(plain->driver.held, walk->driver.held);
    assert_int_equal(plain->driver.free_id, walk->driver.free_id);
    assert_int_equal(halo_device_in_flight(&plain->device), halo_device_in_flight(&walk->device));
    assert_true(plain->device.unannounced == walk->device.unannounced);
    assert_true(plain->driver.unannounced == walk->driver.unannounced);
    assert_int_equal(halo_cursor_position(halo_device_avail(&plain->device)),
                     halo_cursor_position(halo_device_avail(&walk->device)));
    assert_int_equal(halo_cursor_position(halo_driver_used(&plain->driver)),
                     halo_cursor_position(halo_driver_used(&walk->driver)));
}

static void same_violation(const struct halo_violation *a, const struct halo_violation *b)
{
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->slot, b->slot);
    assert_int_equal(a->id, b->id);
    assert_true(a->addr == b->addr && a->meta == b->meta);
}

static void same_chain(const struct halo_chain *a, const struct halo_chain *b)
{
    const uint32_t count = a->readable_count + a->writable_count;

    assert_true(a->token.word == b->token.word);
    assert_int_equal(a->slots, b->slots);
    assert_int_equal(a->readable_count, b->readable_count);
    assert_int_equal(a->writable_count, b->writable_count);
    assert_true(a->readable_len == b->readable_len && a->writable_len == b->writable_len);
    assert_int_equal(a->is_inline, b->is_inline);
    if (a->is_inline) {
        assert_int_equal(a->inline_len, b->inline_len);
        assert_memory_equal(a->inline_bytes, b->inline_bytes, a->inline_len);
    }
    assert_int_equal(a->reject, b->reject);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *at = (const unsigned char *)(uintptr_t)plain->spans[i].base;
        const unsigned char *there = (const unsigned char *)(uintptr_t)walk->spans[i].base;
        bool found = false;

        assert_int_equal(plain->spans[i].len, walk->spans[i].len);
        for (int k = 0; k < 2; k++) {
            const uint64_t offset =
                (uint64_t)(at - (const unsigned char *)(uintptr_t)plain->regions[k].host);

            if (offset < plain->regions[k].len)
                found = there == (const unsigned char *)(uintptr_t)walk->regions[k].host + offset;
        }
        assert_true(found);
    }
}

/* An id for a device that gets by: of a chain that is not in flight, or for a driver of one that
 * is. */
static uint32_t likely_id(bool for_driver)
{
    uint32_t id = pick(plain->size);

    for (uint32_t i = 0; i < 64; i++, id = (id + 1) % plain->size) {
        if (for_driver ? halo_driver_chain_slots(&plain->driver_chains[id]) > 0
                       : halo_device_chain_slots(&plain->device_chains[id]) == 0)
            break;
    }
    return id;
}

/* The same word into both rings: mostly sound, at an edge, or with some bits turned over. */
static void write_both(uint32_t slot, uint32_t phase, bool for_driver)
{
    static const uint64_t addrs[] = {RAM_BASE, RAM_BASE + RAM_LEN - 1, RAM_BASE + RAM_LEN,
                                     ROM_BASE, RAM_BASE - 1,           UINT64_MAX};
    static const uint32_t lens[] = {8, 1, 0, LEN_MAX, LEN_MAX + 1, UINT32_MAX};
    const uint32_t sound = pick(24);
    const uint32_t len_bits = for_driver ? 0 : pick(15) << HALO_DESC_INLINE_LEN;
    const uint32_t inside = features && pick(3) == 0 ? HALO_DESC_INLINE | len_bits : 0;
    const uint32_t writes = inside && !for_driver ? pick(8) == 0 : pick(2);
    const uint32_t extra = sound ? writes * WRITE : pick(65536) & pick(65536) & ~(AVAIL | 0x8000u);
    const uint32_t next = !for_driver && pick(inside ? 2 : 4) == 0 ? NEXT : 0;
    uint64_t addr = sound ? (plain->size % 4 == 3 && pick(2) ? ROM_BASE : RAM_BASE) + pick(1000)
                          : addrs[pick(6)];
    const uint32_t len = !sound ? lens[pick(6)] : for_driver && pick(5) ? 0 : 1 + pick(64);
    uint32_t id = pick(40) ? likely_id(for_driver) : pick(plain->size + 3);

    if (pick(60) == 0)
        phase ^= 1u << (pick(2) ? 7 : 15);
    if (pick(40) == 0)
        addr = addrs[pick(6)];
    poke(plain, slot, addr, len, id, phase | extra | inside | next);
    walk->ring[slot] = plain->ring[slot];
}

/* Chains one after another, for a batch. */
static void write_several(struct halo_cursor at)
{
    for (uint32_t i = 1 + pick(6); i > 0; i--) {
        write_both(at.slot, halo_cursor_available(at), false);
        at = halo_cursor_advance(at, 1, plain->size);
    }
}

static struct halo_token tokens[TOKENS];
static uint32_t token_count;

static void both_take(void)
{
    const uint32_t max = pick(30) ? 3 : pick(3);
    int got = halo_device_poll(&plain->device, &plain->chain, plain->spans, max);

    assert_int_equal(halo_device_poll(&walk->device, &walk->chain, walk->spans, max), got);
    seen[got == 1 ? 0 : got == 0 ? 1 : got == HALO_EREJECT ? 2 : 3]++;
    if (got == 1) {
        same_chain(&plain->chain, &walk->chain);
        seen[6] += plain->chain.readable_count == 1 && plain->chain.writable_count == 1;
        seen[7] += plain->chain.is_inline && plain->chain.slots == 1;
        seen[8] += plain->chain.is_inline && plain->chain.slots == 2;
    }
    if (got == HALO_EREJECT) {
        assert_int_equal(plain->chain.reject, walk->chain.reject);
        assert_true(plain->chain.bad_addr.value == walk->chain.bad_addr.value);
    }
    if (got == 1)
        tokens[token_count++ % TOKENS] = plain->chain.token;
    same_violation(&plain->device.violation, &walk->device.violation);
}

/* A batch on the plain side; on the other one each by itself, as long as there is something. */
static void both_take_batch(void)
{
    const uint32_t max = pick(9), span_max = pick(20) ? 1 + pick(3) : 0;
    struct halo_chain chains[8];
    struct halo_span spans[24], *const of_plain = plain->spans, *const of_walk = walk->spans;
    const int got = halo_device_poll_batch(&plain->device, chains, max, spans, span_max);
    uint32_t count = 0;
    int one = 0;

    while (count < max) {
        one = halo_device_poll(&walk->device, &walk->chain, walk->spans, span_max);
        seen[one == 1 ? 0 : one == 0 ? 1 : one == HALO_EREJECT ? 2 : 3]++;
        if (one == 0 || one == HALO_EBROKEN)
            break;
        assert_true((int)count < got);
        plain->spans = spans + count * span_max;
        if (one == 1) {
            same_chain(&chains[count], &walk->chain);
            tokens[token_count++ % TOKENS] = walk->chain.token;
        }
        assert_int_equal(chains[count].reject, walk->chain.reject);
        if (one == HALO_EREJECT)
            assert_true(chains[count].bad_addr.value == walk->chain.bad_addr.value);
        count++;
    }
    plain->spans = of_plain;
    walk->spans = of_walk;
    assert_int_equal(got, count ? (int)count : one);
    same_violation(&plain->device.violation, &walk->device.violation);
}

static struct halo_done any_done(void)
{
    static const uint32_t lens[] = {0, 0, 0, 1, 1, 8, 64, UINT32_MAX};
    struct halo_done done = {tokens[(token_count + TOKENS - 1 - pick(5)) % TOKENS], lens[pick(8)]};

    if (pick(20) == 0)
        done.token.word ^= 1ull << pick(20);
    return done;
}

static void both_finish(void)
{
    struct halo_done done[6];
    const uint32_t max = pick(7);
    uint32_t count = 0;
    int error = 0, got;

    for (uint32_t i = 0; i < 6; i++)
        done[i] = any_done();
    for (; count < max && !error; count += !error)
        error = halo_device_complete(&walk->device, done[count].token, done[count].written);
    if (count > 0)
        halo_device_publish(&walk->device);
    got = max == 1 ? halo_device_finish(&plain->device, done[0].token, done[0].written)
                   : halo_device_finish_batch(&plain->device, done, max);
    assert_int_equal(got, count == 0 ? error : max == 1 ? 0 : (int)count);
}

static void both_complete(void)
{
    const struct halo_done done = any_done();

    assert_int_equal(halo_device_complete(&plain->device, done.token, done.written),
                     halo_device_complete(&walk->device, done.token, done.written));
}

/* There is one way alone for it, which asks for an id below `ids`. */
static void both_complete_inline(void)
{
    const struct halo_done done = any_done();
    const uint32_t len = pick(HALO_INLINE_ANSWER_MAX + 2), ids = walk->device.ids;
    int got;

    walk->device.ids = plain->device.ids;
    got = halo_device_complete_inline(&walk->device, done.token, "an answer", len);
    walk->device.ids = ids;
    assert_int_equal(halo_device_complete_inline(&plain->device, done.token, "an answer", len),
                     got);
}

static void both_rewind(void)
{
    const struct halo_token token = tokens[(token_count + TOKENS - 1) % TOKENS];

    assert_int_equal(halo_device_rewind(&plain->device, token),
                     halo_device_rewind(&walk->device, token));
}

/* What halo_driver_add does without its plain path. */
static int add_by_steps(struct halo_driver *driver, const struct halo_buf *buf, bool writable)
{
    struct halo_driver_put put;
    const int error = halo_driver_begin(driver, 1, &put);

    if (error)
        return error;
    halo_driver_put(driver, &put, buf->addr, buf->len, writable ? WRITE : 0);
    return halo_driver_commit(driver, &put, 1, writable ? buf->len : 0, 0);
}

/* An id is left for each chain that is added: there are as many ids as slots. */
static void release(void)
{
    while (held_count > 0 && plain->driver.free_slots <= held_count + 8) {
        held_count--;
        halo_driver_release(&plain->driver, held[held_count]);
        halo_driver_release(&walk->driver, held[held_count]);
    }
}

/* The pair, and the inline request, of a caller who has seen to it that there is room. */
static void both_add_short(void)
{
    const struct halo_buf bufs[2] = {{RAM_BASE + pick(9), 1 + pick(70)}, {RAM_BASE, 1 + pick(9)}};
    const uint32_t len = pick(HALO_INLINE_REQUEST_MAX + 1), writable = pick(2);

    if (plain->driver.free_slots < 2)
        return;
    if (features)
        assert_int_equal(
            halo_driver_add_words(&plain->driver, halo_inline_words("a short text", len), len,
                                  bufs[1].addr, writable ? bufs[1].len : 0),
            halo_driver_add_inline(&walk->driver, "a short text", len, &bufs[1], writable));
    else
        assert_int_equal(halo_driver_add_pair(&plain->driver, bufs[0].addr, bufs[0].len,
                                              bufs[1].addr, bufs[1].len),
                         halo_driver_add(&walk->driver, bufs, 1, 1));
}

static void both_add(void)
{
    const struct halo_buf bufs[2] = {{RAM_BASE + pick(9), pick(70)}, {RAM_BASE, 4}};
    const uint32_t writable = pick(2);

    if (pick(4) == 0)
        assert_int_equal(halo_driver_add(&plain->driver, bufs, 1, 1),
                         halo_driver_add(&walk->driver, bufs, 1, 1));
    else
        assert_int_equal(halo_driver_add(&plain->driver, bufs, !writable, writable),
                         add_by_steps(&walk->driver, bufs, writable));
}

static void both_submit(void)
{
    const uint32_t count = pick(9), writable = pick(2);
    struct halo_buf bufs[8];
    uint16_t ids[8];
    uint32_t done = 0;
    int id = 0, got;

    for (uint32_t i = 0; i < 8; i++)
        bufs[i] = (struct halo_buf){RAM_BASE + pick(9), pick(70)};
    if (count == 1) {
        got = halo_driver_submit(&plain->driver, bufs, !writable, writable);
        ids[0] = (uint16_t)got;
    } else {
        got = halo_driver_submit_batch(&plain->driver, bufs, count, writable, ids);
    }
    for (; done < count; done++) {
        id = add_by_steps(&walk->driver, &bufs[done], writable);
        if (id < 0)
            break;
        assert_int_equal(ids[done], id);
    }
    if (done > 0)
        halo_driver_publish(&walk->driver);
    assert_int_equal(got, done == 0 ? id : count == 1 ? id : (int)done);
}

static void both_reap_batch(void)
{
    struct halo_used used[8] = {{0}}, other = {0};
    const uint32_t max = pick(9);
    const int got = halo_driver_poll_batch(&plain->driver, used, max);
    uint32_t count = 0;
    int one = 0;

    for (; count < max; count++) {
        one = halo_driver_poll(&walk->driver, &other);
        seen[one == 1 ? 4 : 5] += one != 0;
        if (one <= 0)
            break;
        assert_true(used[count].id == other.id && used[count].len == other.len);
        assert_true(used[count].kind == other.kind && used[count].word == other.word);
    }
    assert_int_equal(got, count ? (int)count : one);
    same_violation(&plain->driver.violation, &walk->driver.violation);
}

static void both_reap(void)
{
    struct halo_used a = {0}, b = {0};
    const int got = halo_driver_poll(&plain->driver, &a);

    assert_int_equal(halo_driver_poll(&walk->driver, &b), got);
    seen[got == 1 ? 4 : 5] += got != 0;
    assert_int_equal(a.id, b.id);
    assert_int_equal(a.len, b.len);
    assert_true(a.kind == b.kind && a.word == b.word);
    same_violation(&plain->driver.violation, &walk->driver.violation);
}

static void both_reap_held(void)
{
    struct halo_used a = {0}, b = {0};
    const int got = halo_driver_poll_held(&plain->driver, &a);

    assert_int_equal(halo_driver_poll(&walk->driver, &b), got);
    seen[got == 1 ? 4 : 5] += got != 0;
    same_violation(&plain->driver.violation, &walk->driver.violation);
    if (got != 1)
        return;
    halo_driver_hold(&walk->driver, b.id);
    assert_true(a.id == b.id && a.len == b.len && a.kind == b.kind && a.word == b.word);
    if (held_count < HELD_MAX) {
        held[held_count++] = a.id;
    } else {
        halo_driver_release(&plain->driver, a.id);
        halo_driver_release(&walk->driver, a.id);
    }
}

static void both_publish(void)
{
    if (pick(2)) {
        halo_device_publish(&plain->device);
        halo_device_publish(&walk->device);
    } else {
        halo_driver_publish(&plain->driver);
        halo_driver_publish(&walk->driver);
    }
}

static void both_decide(void)
{
    const uint32_t word = pick(plain->size + 2) | pick(2) << 15 | pick(5) << 16;

    plain->driver_event->word = walk->driver_event->word = word;
    plain->device_event->word = walk->device_event->word = word;
    assert_int_equal(halo_device_should_notify(&plain->device),
                     halo_device_should_notify(&walk->device));
    assert_int_equal(halo_driver_should_kick(&plain->driver),
                     halo_driver_should_kick(&walk->driver));
}

static void both_send(void)
{
    release();
    if (pick(3) == 0)
        both_add_short();
    else
        pick(4) ? both_add() : both_submit();
}

static void both_collect(void)
{
    if (pick(2))
        both_reap_held();
    else
        pick(3) ? both_reap() : both_reap_batch();
}

/* Steps of a device before a hostile driver, or of a driver before a hostile device. */
static void run(uint32_t size, uint32_t steps, bool device)
{
    const bool rom_first = size % 4 == 3;

    seed = 88172645463325252ull ^ size ^ (uint64_t)device << 40;
    features = size % 3 > 0 ? HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER : 0;
    plain = begin_pair(size, rom_first);
    walk = begin_pair(size, rom_first);
    restart_both();
    memset(tokens, 0xff, sizeof(tokens));
    token_count = 0;
    for (uint32_t i = 0; i < steps; i++) {
        const struct halo_cursor at = halo_device_avail(&plain->device),
                                 used = halo_driver_used(&plain->driver);

        switch (pick(8)) {
        case 0:
        case 1:
            if (device)
                write_both(pick(8) ? at.slot : (at.slot + 1) % size, halo_cursor_available(at),
                           false);
            else
                both_send();
            break;
        case 2:
            if (!device)
                write_both(used.slot, halo_cursor_used(used), true);
            else if (pick(3) == 0)
                write_several(at);
            break;
        case 3:
            if (device)
                pick(3) ? both_take() : both_take_batch();
            else
                both_collect();
            break;
        case 4:
            pick(4) ? both_complete() : both_finish();
            break;
        case 5:
            pick(2) ? both_complete() : both_complete_inline();
            break;
        case 6:
            both_publish();
            break;
        default:
            if (pick(4) == 0)
                both_rewind();
            both_decide();
        }
        same_rings();
        if ((plain->device.violation.reason || plain->driver.violation.reason) && pick(4) == 0)
            restart_both();
    }
    pair_free(plain);
    pair_free(walk);
}

static void the_plain_paths_do_what_the_walk_does(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 64; size++) {
        run(size, 40000, true);
        run(size, 40000, false);
    }
    for (int device = 0; device < 2; device++) {
        run(255, 20000, device);
        run(256, 20000, device);
        run(32768, 20000, device);
        run(32767, 20000, device);
    }
    printf("             %llu taken, %llu empty, %llu rejected, %llu broken; %llu, %llu broken\n",
           (unsigned long long)seen[0], (unsigned long long)seen[1], (unsigned long long)seen[2],
           (unsigned long long)seen[3], (unsigned long long)seen[4], (unsigned long long)seen[5]);
    for (int i = 0; i < 9; i++)
        assert_true(seen[i] > 1000);
}

/* Every flag with every id that matters: an id of the ring exactly where the walk takes the path.
 */
static void only_a_plain_word_has_an_id(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags < 65536; flags++) {
        for (uint32_t lap = 0; lap < 2; lap++) {
            const uint32_t phase = lap ? HALO_DESC_USED : HALO_DESC_AVAIL;

            for (uint32_t id = 0; id < 65536; id = id < 4 ? id + 1 : 2 * id + 1) {
                const uint64_t word = halo_meta(7, (uint16_t)id, (uint16_t)flags);
                const uint32_t got = halo_plain_id(word ^ (uint64_t)phase << 48);

                if ((flags & ~WRITE) == phase)
                    assert_int_equal(got, id);
                else
                    assert_true(got >= 65536);
            }
        }
    }
}

/* A latched queue leaves memory alone, so much so that it may be gone. */
static void res_03_a_latched_queue_needs_no_memory(void **state)
{
    struct halo_used used;
    struct pair *p = pair_new(8);
    void *gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_int_equal(halo_ring_place_in(halo_shm_share(gone), 8, &p->place), 0);
    assert_int_equal(halo_driver_init(&p->driver, &p->place, p->driver_chains), 0);
    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, 9999), 0);
    assert_true(add(p, 1, 0) >= 0);
    p->ring = gone;
    poke(p, 0, RAM_BASE, 8, 8, AVAIL);
    assert_int_equal(take(p), HALO_EBROKEN);
    halo_driver_stop(&p->driver);
    assert_int_equal(mprotect(gone, 4096, PROT_NONE), 0);
    assert_int_equal(take(p), HALO_EBROKEN);
    assert_int_equal(reap(p, &used), HALO_EBROKEN);
    assert_int_equal(submit(p, 1, 0), HALO_EBROKEN);
    halo_device_publish(&p->device);
    assert_false(halo_device_should_notify(&p->device));
    assert_false(halo_driver_should_kick(&p->driver));
    assert_true(halo_device_arm(&p->device) && halo_driver_arm(&p->driver));
    munmap(gone, 4096);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_paths_do_what_the_walk_does),
        cmocka_unit_test(only_a_plain_word_has_an_id),
        cmocka_unit_test(res_03_a_latched_queue_needs_no_memory),
    };

    return cmocka_run_group_tests_name("plain paths", tests, NULL, NULL);
}
