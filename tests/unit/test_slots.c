/* A number of a request is its chain's id and its slot, and the short ways judge as the walks do.
 */
#include "queue_fixture.h"

/* --- Copies ----------------------------------------------------------------------------------- */

static void a_short_copy_is_of_so_many_bytes(void **state)
{
    unsigned char from[HALO_COPY_SHORT + 2], to[HALO_COPY_SHORT + 2], want[HALO_COPY_SHORT + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(from); i++)
        from[i] = (unsigned char)(i * 7 + 1);
    for (size_t len = 0; len <= HALO_COPY_SHORT; len++) {
        memset(to, 0xee, sizeof(to));
        memset(want, 0xee, sizeof(want));
        memcpy(want + 1, from + 1, len);
        halo_copy_short(to + 1, from + 1, len);
        assert_memory_equal(to, want, sizeof(to));
    }
}

/* As long as it is, for whatever reads more. */
static void a_word_has_the_first_byte_lowest_and_nothing_of_the_others(void **state)
{
    unsigned char bytes[9];
    uint64_t any = 1;

    (void)state;
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            any = any * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (unsigned char)(any >> 56);
        }
        for (size_t len = 0; len <= sizeof(bytes); len++) {
            unsigned char *from = test_malloc(len + (len == 0)), to[11], same[11];
            uint64_t want = 0;

            memcpy(from, bytes, len);
            for (size_t i = 0; i < len && i < 8; i++)
                want |= (uint64_t)bytes[i] << (8 * i);
            assert_true(halo_word_load(from, len) == want);
            memset(to, 0xee, sizeof(to));
            memset(same, 0xee, sizeof(same));
            memcpy(same + 1, bytes, len < 8 ? len : 8);
            halo_word_store(to + 1, want | (len < 8 ? any << (8 * len) : 0), len);
            assert_memory_equal(to, same, sizeof(to));
            test_free(from);
        }
    }
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static void slots_that_are_misplaced_are_refused(void **state)
{
    struct queue *q = *state;
    struct halo_sender_config config = queue_sender_config(q, 0);

    config.slots = q->slots + 32;
    assert_int_equal(halo_sender_init(&q->sender, &config, q->memory_of_sender), HALO_EINVAL);
    config.slots = NULL;
    config.slot_count = 1;
    assert_int_equal(halo_sender_init(&q->sender, &config, q->memory_of_sender), HALO_EINVAL);
    config.slot_count = 0;
    assert_int_equal(halo_sender_init(&q->sender, &config, q->memory_of_sender), 0);
    queue_ask(q, "x", 8);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT - 2);
}

/* The second request is refused a slot, and the third one has none. */
static void numbers_without_a_slot_take_buffers(void **state)
{
    struct queue *q = *state;

    q->slot_count = 1;
    queue_start(q, HALO_FEATURE_INLINE_REQUEST);
    queue_ask(q, "in a descriptor", 8);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT);
    queue_ask(q, "one of them", 8);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT - 1);
    queue_ask(q, "by buffers", 0);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT - 1);
    halo_sender_flush(&q->sender);
    queue_serve(q, "in a descriptor", "A");
    queue_serve(q, "one of them", "B");
    queue_serve(q, "by buffers", "");
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "A");
    queue_expect(q, "B");
    queue_expect(q, "");
    assert_queue_idle(q);
}

/* Up to the last number, and up to the last byte. */
static void what_fits_a_slot_takes_no_buffer(void **state)
{
    static const char text[HALO_SLOT_MESSAGE + 1] = "a";
    struct queue *q = *state;

    q->slot_count = REQUESTS;
    queue_start(q, 0);
    for (uint32_t i = 0; i < RING / 2; i++)
        assert_int_equal(
            halo_sender_request(&q->sender, text, HALO_SLOT_MESSAGE, HALO_SLOT_MESSAGE, i, NULL),
            0);
    assert_int_equal(q->sender.free_parts, PARTS);
    assert_int_equal(halo_sender_stop(&q->sender), 0);

    queue_start(q, HALO_FEATURE_INLINE_REQUEST);
    assert_int_equal(halo_sender_request(&q->sender, text, 8, HALO_SLOT_MESSAGE, 0, NULL), 0);
    assert_int_equal(q->sender.free_parts, PARTS);
    assert_int_equal(halo_sender_request(&q->sender, text, 8, HALO_SLOT_MESSAGE + 1, 0, NULL), 0);
    assert_true(q->sender.free_parts < PARTS);

    queue_start(q, 0);
    assert_int_equal(halo_sender_request(&q->sender, text, HALO_SLOT_MESSAGE + 1, 8, 0, NULL), 0);
    assert_true(q->sender.free_parts < PARTS);
    queue_start(q, 0);
    assert_int_equal(halo_sender_request(&q->sender, text, 8, HALO_SLOT_MESSAGE + 1, 0, NULL), 0);
    assert_true(q->sender.free_parts < PARTS);
}

/* In a slot where it fits, else in one piece of lent memory. */
static void ask_of_length(struct queue *q, const unsigned char *text, size_t len)
{
    unsigned char *const there = q->slots + (REQUESTS - 1) * HALO_SLOT_LEN, *const back =
                                                                                there -
                                                                                HALO_SLOT_LEN;
    struct halo_send send;

    if (len <= HALO_SLOT_MESSAGE) {
        assert_int_equal(halo_sender_request(&q->sender, text, len, len, 0, NULL), 0);
        return;
    }
    memcpy(there, text, len);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_lend_readable(&send, there, (uint32_t)len), 0);
    assert_int_equal(halo_send_lend_writable(&send, back, (uint32_t)len), 0);
    assert_int_equal(halo_send_submit(&send, 0, NULL), 0);
}

/* Short copies and long ones, there and back. */
static void messages_of_every_length_arrive_whole(void **state)
{
    unsigned char text[HALO_COPY_SHORT + 20], got[HALO_COPY_SHORT + 21];
    struct queue *q = *state;

    q->slot_count = REQUESTS;
    queue_start(q, 0);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)(i * 11 + 3);
    for (size_t len = 1; len <= sizeof(text); len++) {
        memset(q->slots, 0xee, sizeof(q->slots));
        ask_of_length(q, text, len);
        halo_sender_flush(&q->sender);
        assert_int_equal(queue_take(q), 1);
        memset(got, 0xee, sizeof(got));
        assert_int_equal(halo_received_read(&q->request, got, sizeof(got)), len);
        assert_memory_equal(got, text, len);
        assert_int_equal(got[len], 0xee);
        assert_int_equal(halo_received_write(&q->request, text, len), len);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        halo_receiver_flush(&q->receiver);
        assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
        memset(got, 0xee, sizeof(got));
        assert_int_equal(halo_answer_read(&q->sender, &q->answer, got, sizeof(got)), len);
        assert_memory_equal(got, text, len);
        assert_int_equal(got[len], 0xee);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    }
    assert_queue_idle(q);
}

static void the_last_number_has_its_slot(void **state)
{
    struct queue *q = *state;

    q->slot_count = REQUESTS;
    queue_start(q, 0);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        queue_ask(q, "x", 2);
        assert_int_equal(q->sender.free_parts, PARTS);
        halo_sender_flush(&q->sender);
        queue_serve_all(q);
        assert_int_equal(halo_sender_reclaim(&q->sender), (int)i + 1);
    }
}

static void a_reset_leaves_kept_answers_their_numbers(void **state)
{
    struct queue *q = *state;
    struct halo_answer kept;
    struct halo_token token;

    q->slot_count = REQUESTS;
    queue_start(q, 0);
    queue_ask(q, "keep", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "keep", "kept");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &kept), 1);
    assert_int_equal(halo_sender_stop(&q->sender), 0);
    memset(q->ring, 0, sizeof(q->ring));
    assert_int_equal(halo_sender_reset(&q->sender), 0);
    assert_int_equal(q->sender.free_requests, REQUESTS - 1);
    for (uint32_t i = 0; i < RING / 2; i++) {
        token = queue_ask(q, "others", 8);
        assert_int_not_equal(halo_token_id(token), halo_token_id(kept.token));
    }
    q->answer = kept;
    assert_answer(q, "kept");
    assert_int_equal(halo_answer_free(&q->sender, &kept), 0);
    assert_int_equal(q->sender.driver.held, 0);
}

static void an_answer_of_another_sender_is_stale(void **state)
{
    struct queue *q = *state;

    queue_ask(q, "x", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "x", "y");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    q->answer.token = halo_token_make(1, REQUESTS);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
    q->answer.token = halo_token_make(2, 0);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
}

/* --- The receiver's short ways ---------------------------------------------------------------- */

static void inline_bytes_are_read_in_pieces_and_not_after_the_end(void **state)
{
    struct queue *q = *state;
    char got[8] = {0};

    queue_start(q, HALO_FEATURES_ALL);
    queue_ask(q, "pieces", 8);
    queue_ask(q, "closed", 8);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_read(&q->request, got, 4), 4);
    assert_int_equal(halo_received_read(&q->request, got + 4, 4), 2);
    assert_string_equal(got, "pieces");
    assert_int_equal(halo_received_read(&q->request, got, 4), 0);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_read(&q->request, got, 8), 6);
    assert_memory_equal(got, "closed", 6);
    assert_int_equal(halo_received_write(&q->request, "ab", 2), 2);
    assert_int_equal(halo_received_write(&q->request, "cd", 2), 2);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    assert_int_equal(halo_received_read(&q->request, got, 8), 0);
    assert_int_equal(halo_received_write(&q->request, "e", 1), HALO_ESTALE);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_ESTALE);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "abcd");
}

static void an_inline_answer_after_the_end_is_refused(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURES_ALL);
    queue_ask(q, "a", 8);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    halo_received_write(&q->request, "b", 1);
    q->chains[halo_token_id(q->request.chain.token)].token += 2 * HALO_TOKEN_FREE;
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_ESTALE);
    q->chains[halo_token_id(q->request.chain.token)].token -= 2 * HALO_TOKEN_FREE;
    /* The next descriptor has a flag that was never offered. */
    ((struct halo_desc *)(void *)q->ring)[1].meta =
        halo_meta(1, 1, HALO_DESC_AVAIL | HALO_DESC_INDIRECT);
    assert_int_equal(halo_receiver_poll(&q->receiver, &(struct halo_received){0}, q->spans, 16),
                     HALO_EBROKEN);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_EBROKEN);
    assert_true(q->request.open);
}

/* One descriptor is left, or none, because what was completed is not published. */
static void a_request_that_was_completed_takes_no_answer(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURES_ALL);
    queue_ask(q, "a", 8);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    assert_int_equal(halo_received_write(&q->request, "b", 1), HALO_ESTALE);
}

static void dev_22_a_short_way_takes_no_more_than_there_is_room_for(void **state)
{
    const uint64_t available = (uint64_t)HALO_DESC_USED << 48; /* on the second lap */
    struct queue *q = *state;
    struct halo_desc *desc = (struct halo_desc *)(void *)q->ring;

    for (uint32_t taken = RING - 1; taken <= RING; taken++) {
        for (uint32_t kind = 0; kind < 2; kind++) {
            queue_start(q, HALO_FEATURES_ALL);
            for (uint32_t i = 0; i < RING; i++)
                desc[i] = (struct halo_desc){queue_at(q, 0, 1).addr,
                                             halo_meta(1, (uint16_t)i, HALO_DESC_AVAIL)};
            for (uint32_t i = 0; i < taken; i++)
                assert_int_equal(queue_take(q), 1);
            if (taken == RING)
                assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
            /* The last one of this lap, or the first one of the next. */
            desc[taken % RING].meta = halo_meta(1, 7, kind ? HALO_DESC_INLINE : HALO_DESC_NEXT) |
                                      (taken < RING ? (uint64_t)HALO_DESC_AVAIL << 48 : available);
            if (taken < RING) { /* what would be the second one of a pair is the next lap's */
                desc[taken].addr = desc[0].addr = (uintptr_t)q->pool;
                desc[0].meta = halo_meta(1, 7, HALO_DESC_WRITE) | available;
            }
            if (taken < RING && kind) {
                assert_int_equal(queue_take(q), 1);
                continue;
            }
            assert_int_equal(queue_take(q), HALO_EBROKEN);
            assert_int_equal(q->receiver.device.violation.reason, HALO_BROKEN_OVERCOMMIT);
        }
    }
}

/* --- The sender's short way ------------------------------------------------------------------- */

/* A used entry for the oldest request, which the sender has to refuse. */
static void refused(struct queue *q, uint16_t id, uint32_t len, uint16_t flags,
                    enum halo_broken reason)
{
    ((struct halo_desc *)(void *)q->ring)[0].meta =
        halo_meta(len, id, (uint16_t)(flags | HALO_DESC_WRITE | HALO_DESC_AVAIL | HALO_DESC_USED));
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), HALO_EBROKEN);
    assert_int_equal(q->sender.driver.violation.reason, reason);
    queue_start(q, HALO_FEATURES_ALL);
}

static void used_entries_that_break_a_rule_latch_the_sender(void **state)
{
    struct queue *q = *state;
    const char long_text[] = "one for a slot";

    q->slot_count = REQUESTS;
    queue_start(q, HALO_FEATURES_ALL);
    queue_ask(q, long_text, 8);
    refused(q, 0, 1, 0, HALO_BROKEN_NOT_IN_FLIGHT); /* not published: DRV-02 */
    queue_ask(q, long_text, 8);
    halo_sender_flush(&q->sender);
    refused(q, 1, 1, 0, HALO_BROKEN_NOT_IN_FLIGHT);
    queue_ask(q, long_text, 8);
    halo_sender_flush(&q->sender);
    refused(q, 0, 9, 0, HALO_BROKEN_LENGTH);
    queue_ask(q, long_text, 8);
    halo_sender_flush(&q->sender);
    refused(q, 0, 1, HALO_DESC_INLINE, HALO_BROKEN_INLINE); /* EXT-05 */
    queue_ask(q, "a", 64);
    halo_sender_flush(&q->sender);
    refused(q, 0, 9, HALO_DESC_INLINE, HALO_BROKEN_LENGTH); /* EXT-04 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_copy_is_of_so_many_bytes),
        cmocka_unit_test(a_word_has_the_first_byte_lowest_and_nothing_of_the_others),
        TEST(slots_that_are_misplaced_are_refused),
        TEST(numbers_without_a_slot_take_buffers),
        TEST(what_fits_a_slot_takes_no_buffer),
        TEST(messages_of_every_length_arrive_whole),
        TEST(the_last_number_has_its_slot),
        TEST(a_reset_leaves_kept_answers_their_numbers),
        TEST(an_answer_of_another_sender_is_stale),
        TEST(inline_bytes_are_read_in_pieces_and_not_after_the_end),
        TEST(an_inline_answer_after_the_end_is_refused),
        TEST(a_request_that_was_completed_takes_no_answer),
        TEST(dev_22_a_short_way_takes_no_more_than_there_is_room_for),
        TEST(used_entries_that_break_a_rule_latch_the_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
