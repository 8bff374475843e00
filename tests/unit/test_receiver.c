/* The device's end of a queue: reading requests, order, flow, notifications, hostile senders. */
#include "queue_fixture.h"

/* --- Init ------------------------------------------------------------------------------------- */

static void a_config_that_breaks_its_rules_is_refused(void **state)
{
    struct queue *q = *state;
    struct halo_receiver_config bad[5];
    struct halo_receiver receiver, before;

    memset(&receiver, 0x5a, sizeof(receiver));
    before = receiver;
    for (int i = 0; i < 5; i++)
        bad[i] = queue_receiver_config(q, 0);
    bad[0].place.size = 0;
    bad[1].place.desc = NULL;
    bad[2].features = 0x8;
    bad[3].features = HALO_FEATURE_INLINE_ANSWER;
    bad[4].len_max = UINT64_C(1) << 32;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(halo_receiver_init(&receiver, &bad[i], q->chains), HALO_EINVAL);
        assert_memory_equal(&receiver, &before, sizeof(receiver));
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void a_request_is_read_in_any_pieces(void **state)
{
    struct queue *q = *state;
    const struct halo_buf bufs[] = {queue_at(q, 0, 5), queue_at(q, 10, 1), queue_at(q, 20, 9),
                                    queue_at(q, 100, 1)};
    char got[32];

    for (size_t step = 1; step < 20; step++) {
        size_t len = 0, n;

        memcpy(q->elsewhere, "01234", 5);
        memcpy(q->elsewhere + 10, "5", 1);
        memcpy(q->elsewhere + 20, "6789abcde", 9);
        queue_put(q, bufs, 3, 1);
        assert_int_equal(queue_take(q), 1);
        assert_int_equal(halo_received_len(&q->request), 15);
        while ((n = halo_received_read(&q->request, got + len, step < 32 - len ? step : 32 - len)))
            len += n;
        assert_int_equal(len, 15);
        assert_memory_equal(got, "0123456789abcde", 15);
        assert_int_equal(halo_received_read(&q->request, got, sizeof(got)), 0);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        assert_int_equal(halo_received_read(&q->request, got, sizeof(got)), 0);
        halo_receiver_flush(&q->receiver);
        assert_int_equal(queue_reap(q), 0);
    }
}

static void nothing_is_read_into_no_room(void **state)
{
    struct queue *q = *state;
    char got = 'x';

    queue_put_pieces(q);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_read(&q->request, &got, 0), 0);
    assert_int_equal(got, 'x');
    assert_int_equal(halo_received_read(&q->request, &got, 1), 1);
    assert_int_equal(got, 'r');
}

static void an_inline_request_is_read_in_any_pieces(void **state)
{
    struct queue *q = *state;
    char got[32];

    queue_start(q, HALO_FEATURES_ALL);
    for (size_t step = 1; step < 14; step++) {
        size_t len = 0, n;

        queue_ask(q, "0123456789ab", 8);
        halo_sender_flush(&q->sender);
        assert_int_equal(queue_take(q), 1);
        assert_true(q->request.chain.is_inline);
        assert_int_equal(halo_received_len(&q->request), 12);
        while ((n = halo_received_read(&q->request, got + len, step)))
            len += n;
        assert_int_equal(len, 12);
        assert_memory_equal(got, "0123456789ab", 12);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        halo_receiver_flush(&q->receiver);
        queue_expect(q, "");
    }
    assert_queue_idle(q);
}

static void toc_08_what_was_read_does_not_change_and_its_length_never_did(void **state)
{
    struct queue *q = *state;
    struct halo_buf buf = queue_at(q, 0, 8);
    char got[16] = {0};

    memcpy(q->elsewhere, "GET /a/b", 8);
    queue_put(q, &buf, 1, 0);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_read(&q->request, got, 6), 6);
    memset(q->elsewhere, 'X', sizeof(q->elsewhere)); /* while the host is looking */
    q->ring[8] = 200;                                /* the length in the descriptor */
    assert_string_equal(got, "GET /a");
    assert_int_equal(halo_received_len(&q->request), 8);
    assert_int_equal(halo_received_read(&q->request, got + 6, 10), 2);
    assert_string_equal(got, "GET /aXX");
    assert_int_equal(halo_received_read(&q->request, got, 16), 0);
}

/* --- Order, flow, notifications --------------------------------------------------------------- */

static void requests_are_answered_in_any_order(void **state)
{
    struct queue *q = *state;
    struct halo_received requests[4];
    struct halo_span spans[4][4];
    static const int order[] = {2, 0, 3, 1};
    static const char *const names[] = {"a", "b", "c", "d"};

    for (int i = 0; i < 4; i++)
        queue_ask(q, names[i], 8);
    halo_sender_flush(&q->sender);
    for (int i = 0; i < 4; i++)
        assert_int_equal(halo_receiver_poll(&q->receiver, &requests[i], spans[i], 4), 1);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 4);
    for (int i = 0; i < 4; i++) {
        struct halo_received *request = &requests[order[i]];
        char got;

        assert_int_equal(halo_received_read(request, &got, 1), 1);
        assert_int_equal(halo_received_write(request, &got, 1), 1);
        assert_int_equal(halo_receiver_complete(&q->receiver, request), 0);
        assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    }
    assert_int_equal(q->notified_sender, 4); /* it asked for every one, as it does at first */
    for (int i = 0; i < 4; i++)
        queue_expect(q, names[order[i]]);
    assert_queue_idle(q);
}

static void res_06_no_more_requests_are_taken_than_allowed(void **state)
{
    struct queue *q = *state;
    struct halo_receiver_config config = queue_receiver_config(q, 0);
    struct halo_received requests[2], other;
    struct halo_span spans[3][4];

    config.in_flight_max = 2;
    assert_int_equal(halo_receiver_init(&q->receiver, &config, q->chains), 0);
    for (int i = 0; i < 3; i++)
        queue_ask(q, "x", 1);
    halo_sender_flush(&q->sender);
    for (int i = 0; i < 2; i++)
        assert_int_equal(halo_receiver_poll(&q->receiver, &requests[i], spans[i], 4), 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(halo_receiver_poll(&q->receiver, &other, spans[2], 4), HALO_EFULL);
    assert_int_equal(halo_receiver_stats(&q->receiver).ring_full, 5);
    assert_int_equal(halo_receiver_complete(&q->receiver, &requests[1]), 0);
    assert_int_equal(halo_receiver_poll(&q->receiver, &other, spans[2], 4), 1);
    assert_int_equal(halo_receiver_poll(&q->receiver, &requests[1], spans[1], 4), HALO_EFULL);
    assert_int_equal(halo_receiver_complete(&q->receiver, &other), 0);
    assert_int_equal(halo_receiver_complete(&q->receiver, &requests[0]), 0);
    assert_int_equal(halo_receiver_poll(&q->receiver, &other, spans[2], 4), 0);
}

static void res_02_no_more_come_between_two_flushes_than_the_ring_has(void **state)
{
    struct queue *q = *state;
    uint32_t taken = 0;
    int got;

    /* This sender makes every descriptor available again as soon as it was taken. */
    for (uint32_t i = 0;; i++) {
        const uint16_t flags = i / RING % 2 ? HALO_DESC_USED : HALO_DESC_AVAIL;
        HALO_SHARED struct halo_desc *desc = &q->place.desc[i % RING];

        halo_shm_stage_addr(desc, (uintptr_t)q->elsewhere);
        halo_shm_publish_meta(desc, halo_meta(1, (uint16_t)(i % RING), flags));
        got = queue_take(q);
        if (got <= 0)
            break;
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        taken++;
    }
    assert_int_equal(got, HALO_EBROKEN);
    assert_int_equal(q->receiver.device.violation.reason, HALO_BROKEN_OVERCOMMIT);
    assert_int_equal(taken, RING);
}

static void res_03_a_broken_ring_ends_polling_and_can_be_reset(void **state)
{
    struct queue *q = *state;
    struct halo_receiver_config config = queue_receiver_config(q, 0);
    struct halo_received before;
    struct halo_queue_stats stats;

    queue_ask(q, "before", 1);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    before = q->request;
    halo_shm_publish_meta(&q->place.desc[2], halo_meta(1, 60000, HALO_DESC_AVAIL));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(queue_take(q), HALO_EBROKEN);
        stats = halo_receiver_stats(&q->receiver);
        assert_int_equal(stats.requests, 1);
        assert_int_equal(stats.rejected, 0);
    }
    assert_int_equal(q->receiver.device.violation.reason, HALO_BROKEN_BAD_ID);
    assert_int_equal(halo_receiver_complete(&q->receiver, &before), HALO_EBROKEN);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &before), HALO_EBROKEN);
    assert_int_equal(halo_receiver_flush(&q->receiver), HALO_EBROKEN);
    assert_int_equal(q->notified_sender, 0);
    assert_true(halo_device_arm(&q->receiver.device)); /* nobody sleeps on it */

    memset(q->ring, 0, sizeof(q->ring));
    assert_int_equal(halo_receiver_init(&q->receiver, &config, q->chains), 0);
    assert_int_equal(halo_sender_stop(&q->sender), 0);
    assert_int_equal(halo_sender_reset(&q->sender), 0);
    assert_int_equal(halo_receiver_complete(&q->receiver, &before), HALO_ESTALE);
    queue_ask(q, "after", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "after", "fine");
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "fine");
    assert_queue_idle(q);
}

static void res_04_a_length_is_compared_before_anything_is_done_about_it(void **state)
{
    struct queue *q = *state;
    const struct halo_buf bufs[] = {
        queue_at(q, 0, 1001), queue_at(q, 0, UINT32_MAX), queue_at(q, 0, 200), queue_at(q, 0, 200),
        queue_at(q, 0, 200),  queue_at(q, 0, 200),        queue_at(q, 0, 200), queue_at(q, 0, 1)};

    queue_put(q, bufs, 1, 0);     /* more than len_max in one buffer */
    queue_put(q, bufs + 1, 1, 0); /* as much as can be said */
    queue_put(q, bufs + 2, 5, 1); /* exactly len_max, and one more */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(queue_take(q), HALO_EREJECT);
        assert_int_equal(q->request.chain.reject, HALO_REJECT_LENGTH);
    }
    assert_int_equal(halo_receiver_stats(&q->receiver).rejected, 3);
    assert_int_equal(halo_receiver_stats(&q->receiver).requests, 0);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 0);
    assert_int_equal(halo_receiver_flush(&q->receiver), 1); /* they are answered all the same */
    for (int i = 0; i < 3; i++)
        assert_int_equal(queue_reap(q), 0);
    queue_put(q, bufs + 2, 5, 0); /* exactly len_max */
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_len(&q->request), 1000);
}

static void res_09_a_message_of_no_bytes_costs_as_much_as_any(void **state)
{
    struct queue *q = *state;
    const struct halo_buf none = queue_at(q, 0, 0), one = queue_at(q, 0, 1),
                          room[] = {queue_at(q, 0, 0), queue_at(q, 0, 1)};
    struct halo_received requests[RING];
    struct halo_span spans[RING][1];

    /* Without any bytes it is refused, and nothing stays in flight. */
    assert_true(queue_put(q, &none, 1, 0) >= 0);
    assert_int_equal(queue_take(q), HALO_EREJECT);
    assert_int_equal(q->request.chain.reject, HALO_REJECT_EMPTY_CHAIN);
    /* Without a request, but with room for an answer, it takes slots like any other. */
    assert_true(queue_put(q, room, 1, 1) >= 0);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_len(&q->request), 0);
    assert_int_equal(q->request.chain.slots, 2);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(queue_reap(q), 0);
    assert_int_equal(queue_reap(q), 0);
    /* However short, there are never more than slots. */
    for (uint32_t i = 0; i < RING; i++)
        assert_true(queue_put(q, &one, 1, 0) >= 0);
    assert_int_equal(queue_put(q, &one, 1, 0), HALO_EFULL);
    for (uint32_t i = 0; i < RING; i++)
        assert_int_equal(halo_receiver_poll(&q->receiver, &requests[i], spans[i], 1), 1);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, RING);
    assert_int_equal(queue_take(q), HALO_EFULL);
}

static void a_request_can_be_put_back(void **state)
{
    struct queue *q = *state;
    struct halo_received first;
    struct halo_span spans[4];

    queue_ask(q, "a", 8);
    queue_ask(q, "b", 8);
    halo_sender_flush(&q->sender);
    assert_int_equal(halo_receiver_poll(&q->receiver, &first, spans, 4), 1);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &first), HALO_ESTALE);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &q->request), 0);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &q->request), HALO_ESTALE);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_ESTALE);
    assert_int_equal(halo_receiver_stats(&q->receiver).requests, 1);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 1);
    queue_serve(q, "b", "B");
    assert_int_equal(halo_received_write(&first, "A", 1), 1);
    assert_int_equal(halo_receiver_complete(&q->receiver, &first), 0);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "B");
    queue_expect(q, "A");
    assert_queue_idle(q);
}

static void reenter(struct queue *q)
{
    const struct halo_receiver before = q->receiver;
    struct halo_received request;
    const struct halo_parked none = {0};
    struct halo_span span;

    assert_int_equal(halo_receiver_poll(&q->receiver, &request, &span, 1), HALO_EBUSY);
    assert_int_equal(halo_receiver_answer(&q->receiver, &none, 0), HALO_EBUSY);
    assert_int_equal(halo_receiver_answer_inline(&q->receiver, &none, "", 0), HALO_EBUSY);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_EBUSY);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &q->request), HALO_EBUSY);
    assert_int_equal(halo_receiver_flush(&q->receiver), HALO_EBUSY);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 1);
    assert_memory_equal(&before, &q->receiver, sizeof(before));
}

static void res_10_a_call_from_the_notifier_changes_nothing(void **state)
{
    struct queue *q = *state;

    queue_ask(q, "a", 8);
    queue_ask(q, "b", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "a", "A");
    assert_int_equal(queue_take(q), 1);
    q->in_notifier = reenter;
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(q->notified_sender, 1);
    q->in_notifier = NULL;
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(q->notified_sender, 2);
}

static void without_a_notifier_flush_tells(void **state)
{
    struct queue *q = *state;
    struct halo_receiver_config config = queue_receiver_config(q, 0);

    config.notifier.notify = NULL;
    assert_int_equal(halo_receiver_init(&q->receiver, &config, q->chains), 0);
    queue_ask(q, "a", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "a", "A");
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(halo_receiver_stats(&q->receiver).notifications, 1);
    assert_int_equal(halo_receiver_stats(&q->receiver).batches, 1);
    assert_int_equal(halo_receiver_flush(&q->receiver), 0);
    assert_int_equal(halo_receiver_stats(&q->receiver).batches, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_config_that_breaks_its_rules_is_refused),
        TEST(a_request_is_read_in_any_pieces),
        TEST(nothing_is_read_into_no_room),
        TEST(an_inline_request_is_read_in_any_pieces),
        TEST(toc_08_what_was_read_does_not_change_and_its_length_never_did),
        TEST(requests_are_answered_in_any_order),
        TEST(res_06_no_more_requests_are_taken_than_allowed),
        TEST(res_02_no_more_come_between_two_flushes_than_the_ring_has),
        TEST(res_03_a_broken_ring_ends_polling_and_can_be_reset),
        TEST(res_04_a_length_is_compared_before_anything_is_done_about_it),
        TEST(res_09_a_message_of_no_bytes_costs_as_much_as_any),
        TEST(a_request_can_be_put_back),
        TEST(res_10_a_call_from_the_notifier_changes_nothing),
        TEST(without_a_notifier_flush_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
