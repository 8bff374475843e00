/*
 * Every load is a choice, for both ends of a queue: the unchanged sources of ring, pool and queue
 * run all histories of a few operations, and each load of a shared word has every answer of a small
 * alphabet. What the ring makes of them is test_every_load's part; here it is what a program sees:
 *
 * - the sender: answers belong to requests in flight and come once, no longer than was asked; every
 *   buffer is free, in flight, or an answer's; loads are bounded; at the end all that is out is
 *   given up once, and after a reset nothing is missing
 * - the receiver: requests lie in what the driver may name; an answer goes where it may be written
 *   and nowhere else; no more is in flight than allowed
 */
#include "../unit/queue_fixture.h"
#include <stdio.h>

#include "paths.h"

#define LEN 8u
#define OUT_MAX 8u
#define RAM 64u /* of the regions: bytes */

static struct queue *q;
static uint32_t size, loads;
static bool driver_is_hostile; /* else the device is */

/* --- What shared memory says ------------------------------------------------------------------ */

static const struct halo_desc *table(void)
{
    return halo_shm_expose(q->place.desc);
}

static uint32_t slot_of(const HALO_SHARED struct halo_desc *desc)
{
    const uint32_t slot =
        (uint32_t)((const struct halo_desc *)(uintptr_t)desc - (const struct halo_desc *)table());

    assert_true(slot < size);
    return slot;
}

static uint64_t device_word(void)
{
    static const uint32_t kinds[] = {HALO_DESC_WRITE, HALO_DESC_WRITE | HALO_DESC_TRUNCATED,
                                     HALO_DESC_WRITE | HALO_DESC_INLINE, 0};
    static const uint32_t lens[] = {LEN, LEN + 1};
    const uint32_t phase = halo_cursor_used(halo_driver_used(&q->sender.driver)), kind = choose(5);

    if (kind == 4)
        return halo_meta(0, 0, (uint16_t)(phase ^ HALO_PHASE_MASK));
    return halo_meta(lens[kind == 0 ? choose(2) : 0], (uint16_t)choose(size + 1),
                     (uint16_t)(kinds[kind] | phase));
}

static uint64_t driver_word(uint32_t slot)
{
    static const uint32_t flags[] = {0, HALO_DESC_WRITE, HALO_DESC_NEXT,
                                     HALO_DESC_NEXT | HALO_DESC_WRITE,
                                     HALO_DESC_INLINE | LEN << HALO_DESC_INLINE_LEN};
    const struct halo_cursor at = halo_device_avail(&q->receiver.device);
    const uint32_t phase = halo_cursor_available(at) ^ (slot >= at.slot ? 0 : HALO_PHASE_MASK);
    const uint32_t kind = choose(6);

    if (kind == 5)
        return halo_meta(LEN, 0, (uint16_t)(phase ^ HALO_PHASE_MASK));
    return halo_meta(LEN, (uint16_t)(flags[kind] & HALO_DESC_NEXT ? 60000 : choose(size + 1)),
                     (uint16_t)(flags[kind] | phase));
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    uint32_t slot;

    if (desc == &halo_ring_latched) /* not shared */
        return 0;
    slot = slot_of(desc);
    loads++;
    return driver_is_hostile ? driver_word(slot) : device_word();
}

/* Memory that it may use, that it may only read, and that it may not. */
uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    const uint32_t kind = choose(3);

    (void)slot_of(desc);
    loads++;
    return kind == 2 ? (uintptr_t)q->elsewhere - 1 : (uintptr_t)q->elsewhere + kind * RAM;
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    (void)slot_of(desc);
    (void)addr;
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    (void)slot_of(desc);
    (void)meta;
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    (void)slot_of(desc);
    (void)meta;
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    (void)event;
    loads++;
    return (choose(2) ? HALO_EVENT_NEVER : HALO_EVENT_ALWAYS) << 16;
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    (void)event;
    (void)word;
}

void halo_shm_fence(void)
{
}

/* --- The sender ------------------------------------------------------------------------------- */

enum out_state { OUT_NOT, OUT, ANSWERED };

static struct out {
    enum out_state state;
    struct halo_token token;
    struct halo_answer answer;
} outs[OUT_MAX];

static struct out *find_out(struct halo_token token)
{
    for (uint32_t i = 0; i < OUT_MAX; i++) {
        if (outs[i].state == OUT && outs[i].token.word == token.word)
            return &outs[i];
    }
    fail_msg("an answer to nothing that was asked");
    return NULL;
}

static struct out *first(enum out_state state)
{
    for (uint32_t i = 0; i < OUT_MAX; i++) {
        if (outs[i].state == state)
            return &outs[i];
    }
    return NULL;
}

static void check_answer(struct halo_answer *answer)
{
    struct out *out = find_out(answer->token);
    struct halo_answer copy = *answer;
    unsigned char got[32];

    assert_true(answer->context == (uint64_t)(out - outs));
    assert_true(answer->len <= LEN);
    assert_true(answer->full_len >= answer->len);
    assert_true(halo_answer_read(&q->sender, &copy, got, sizeof(got)) == answer->len);
    assert_true(halo_answer_read(&q->sender, &copy, got, sizeof(got)) == 0);
    out->state = ANSWERED;
    out->answer = *answer;
}

/* Every buffer is free or a part of something, and of nothing twice. */
static void check_buffers(void)
{
    const uint32_t parts = q->sender.part_count - q->sender.free_parts;

    assert_int_equal(q->tiers.small.free_count + q->tiers.large.free_count + parts,
                     SMALL_COUNT + LARGE_COUNT);
    assert_true(halo_sender_room(&q->sender) <= size);
}

static void sender_operation(void)
{
    struct out *out;
    struct halo_answer answer;
    int got;

    switch (choose(5)) {
    case 0:
        out = first(OUT_NOT);
        got = halo_sender_request(&q->sender, "request", LEN, LEN, (uint64_t)(out - outs),
                                  &out->token);
        if (got == 0)
            out->state = OUT;
        else
            assert_true(got == HALO_EFULL || got == HALO_EBROKEN);
        assert_true(halo_sender_flush(&q->sender) != HALO_EBUSY);
        return;
    case 1:
        got = halo_sender_poll(&q->sender, &answer);
        if (got == 1)
            check_answer(&answer);
        return;
    case 2:
        out = first(OUT);
        if (!out)
            return;
        got = halo_sender_take(&q->sender, out->token, &answer);
        if (got == 1) {
            assert_ptr_equal(find_out(answer.token), out);
            check_answer(&answer);
        }
        return;
    case 3:
        out = first(ANSWERED);
        if (out) {
            assert_int_equal(halo_answer_free(&q->sender, &out->answer), 0);
            out->state = OUT_NOT;
        }
        return;
    default:
        (void)halo_sender_reclaim(&q->sender);
        return;
    }
}

static void sender_history(uint32_t operations)
{
    struct halo_answer answer;
    struct halo_token token;
    struct out *out;
    uint64_t context;

    driver_is_hostile = false;
    memset(outs, 0, sizeof(outs));
    for (uint32_t i = 0; i < operations; i++) {
        loads = 0;
        sender_operation();
        assert_true(loads <= 2 * size + 4);
        check_buffers();
    }
    halo_sender_stop(&q->sender);
    while (halo_sender_poll(&q->sender, &answer) == 1)
        check_answer(&answer);
    while (halo_sender_fail(&q->sender, &token, &context) == 1) {
        out = find_out(token);
        assert_true(context == (uint64_t)(out - outs));
        out->state = OUT_NOT;
    }
    assert_null(first(OUT));
    while ((out = first(ANSWERED))) {
        assert_int_equal(halo_answer_free(&q->sender, &out->answer), 0);
        out->state = OUT_NOT;
    }
    assert_int_equal(halo_sender_reset(&q->sender), 0);
    check_buffers();
    assert_int_equal(q->sender.free_parts, q->part_count);
    assert_int_equal(q->sender.free_requests, q->sender.request_count);
    assert_int_equal(q->sender.stats.in_flight, 0);
    assert_int_equal(halo_sender_room(&q->sender), size);
}

/* --- The receiver ----------------------------------------------------------------------------- */

static struct halo_received works[OUT_MAX];
static struct halo_span work_spans[OUT_MAX][8];
static uint32_t work_count;

static void check_memory(void)
{
    for (uint32_t i = 0; i < sizeof(q->elsewhere); i++) {
        if (i >= LEN)
            assert_int_equal(q->elsewhere[i], i); /* but for what may be written */
    }
}

static void take_request(void)
{
    struct halo_received *request = &works[work_count];
    struct halo_span *spans = work_spans[work_count];
    unsigned char got[32];
    size_t len;

    if (work_count == OUT_MAX || halo_receiver_poll(&q->receiver, request, spans, 8) != 1)
        return;
    work_count++;
    assert_true(work_count <= q->receiver.in_flight_max);
    for (uint32_t i = 0; i < request->chain.readable_count + request->chain.writable_count; i++) {
        const size_t at =
            (size_t)((const unsigned char *)halo_shm_expose(spans[i].base) - q->elsewhere);

        assert_int_equal(spans[i].len, LEN);
        assert_true(at == 0 || (at == RAM && i < request->chain.readable_count));
    }
    len = halo_received_read(request, got, sizeof(got));
    assert_true(len == halo_received_len(request));
    assert_int_equal(halo_received_read(request, got, sizeof(got)), 0);
}

static void give_answer(uint32_t number, size_t len)
{
    static const char bytes[] = "an answer of more bytes than there is room for";
    const uint64_t room = works[number].chain.writable_len;
    const int fits = halo_received_write(&works[number], bytes, len);

    assert_true(fits >= 0 && ((uint64_t)fits == (len < room ? len : room) || fits == (int)len));
    if (halo_receiver_complete(&q->receiver, &works[number]) == 0)
        assert_int_equal(halo_received_write(&works[number], bytes, 1), HALO_ESTALE);
    works[number] = works[--work_count];
    memcpy(work_spans[number], work_spans[work_count], sizeof(work_spans[number]));
    works[number].spans = work_spans[number];
}

static void receiver_operation(void)
{
    switch (work_count > 0 ? choose(5) : choose(2)) {
    case 0:
        take_request();
        return;
    case 1:
        assert_true(halo_receiver_flush(&q->receiver) != HALO_EBUSY);
        return;
    case 2:
        give_answer(0, LEN + 4);
        return;
    case 3:
        give_answer(work_count - 1, LEN);
        return;
    default:
        if (halo_receiver_rewind(&q->receiver, &works[work_count - 1]) == 0)
            work_count--;
        return;
    }
}

static void receiver_history(uint32_t operations)
{
    driver_is_hostile = true;
    work_count = 0;
    for (uint32_t i = 0; i < sizeof(q->elsewhere); i++)
        q->elsewhere[i] = (unsigned char)i;
    for (uint32_t i = 0; i < operations; i++) {
        loads = 0;
        receiver_operation();
        assert_true(loads <= 2 * size + 2);
        check_memory();
        assert_int_equal(halo_receiver_stats(&q->receiver).in_flight,
                         q->receiver.device.violation.reason
                             ? halo_receiver_stats(&q->receiver).in_flight
                             : work_count);
    }
}

/* --- All of them ------------------------------------------------------------------------------ */

static void all_histories(void **state, uint32_t ring_size, uint32_t features, uint32_t operations,
                          void (*history)(uint32_t))
{
    q = *state;
    size = ring_size;
    assert_int_equal(halo_ring_place_in(halo_shm_share(q->ring), size, &q->place), 0);
    q->regions[0] = (struct halo_region){(uintptr_t)q->elsewhere, LEN, halo_shm_share(q->elsewhere),
                                         HALO_MAY_READ | HALO_MAY_WRITE};
    q->regions[1] = (struct halo_region){(uintptr_t)q->elsewhere + RAM, LEN,
                                         halo_shm_share(q->elsewhere + RAM), HALO_MAY_READ};
    for (uint32_t slots = 0; slots < 2; slots++) {
        q->slot_count = slots * REQUESTS;
        path_start();
        do {
            queue_start(q, features);
            history(operations);
        } while (next_path());
        printf("             ring of %u, features %u, %u operations%s: %llu histories\n", size,
               features, operations, slots ? ", slots" : "", (unsigned long long)path.runs);
    }
}

static void no_device_makes_the_sender_misbehave(void **state)
{
    all_histories(state, 2, 0, 5, sender_history);
    all_histories(state, 2, HALO_FEATURES_ALL, 5, sender_history);
    all_histories(state, 1, HALO_FEATURES_ALL, 5, sender_history);
    all_histories(state, 3, HALO_FEATURES_ALL, 4, sender_history);
}

static void no_driver_makes_the_receiver_misbehave(void **state)
{
    all_histories(state, 1, 0, 6, receiver_history);
    all_histories(state, 1, HALO_FEATURES_ALL, 6, receiver_history);
    all_histories(state, 2, HALO_FEATURES_ALL, 4, receiver_history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_device_makes_the_sender_misbehave),
        TEST(no_driver_makes_the_receiver_misbehave),
    };

    return cmocka_run_group_tests_name("every load is a choice, for a queue", tests, NULL, NULL);
}
