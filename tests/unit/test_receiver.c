/* The device's end of a queue: reading requests, the writer that cannot overrun, hostile senders.
 */
#include "queue_fixture.h"

/* Put a chain of these buffers on the ring as a sender of its own kind would, and publish it. */
static int put(struct queue *q, const struct halo_buf *bufs, uint32_t readable, uint32_t writable)
{
    const int id = halo_driver_add(&q->sender.driver, bufs, readable, writable);

    halo_driver_publish(&q->sender.driver);
    return id;
}

static struct halo_buf at(struct queue *q, uint32_t offset, uint32_t len)
{
    return (struct halo_buf){(uintptr_t)q->elsewhere + offset, len};
}

/* A request "request" with room for an answer of three, two and four bytes, apart from each other.
 */
static void put_pieces(struct queue *q)
{
    const struct halo_buf bufs[] = {at(q, 0, 7), at(q, 20, 3), at(q, 40, 2), at(q, 60, 4)};

    memset(q->elsewhere, '.', sizeof(q->elsewhere));
    memcpy(q->elsewhere, "request", 7);
    assert_true(put(q, bufs, 1, 3) >= 0);
}

static void assert_pieces(struct queue *q, const char *first, const char *second, const char *third)
{
    char around[13] = "............", *piece;

    for (int i = 0; i < 3; i++) {
        memset(around, '.', 12);
        piece = (char *)q->elsewhere + 20 + 20 * i - 4;
        memcpy(around + 4, i == 0 ? first : i == 1 ? second : third, i == 0 ? 3 : i == 1 ? 2 : 4);
        assert_memory_equal(piece, around, 12);
    }
}

static uint32_t reap(struct queue *q)
{
    struct halo_used used;

    assert_int_equal(halo_driver_poll(&q->sender.driver, &used), 1);
    return used.len;
}

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
    const struct halo_buf bufs[] = {at(q, 0, 5), at(q, 10, 1), at(q, 20, 9), at(q, 100, 1)};
    char got[32];

    for (size_t step = 1; step < 20; step++) {
        size_t len = 0, n;

        memcpy(q->elsewhere, "01234", 5);
        memcpy(q->elsewhere + 10, "5", 1);
        memcpy(q->elsewhere + 20, "6789abcde", 9);
        put(q, bufs, 3, 1);
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
        assert_int_equal(reap(q), 0);
    }
}

static void nothing_is_read_into_no_room(void **state)
{
    struct queue *q = *state;
    char got = 'x';

    put_pieces(q);
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
    struct halo_buf buf = at(q, 0, 8);
    char got[16] = {0};

    memcpy(q->elsewhere, "GET /a/b", 8);
    put(q, &buf, 1, 0);
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

/* --- Writing ---------------------------------------------------------------------------------- */

static void an_answer_is_written_in_any_pieces_and_never_beyond(void **state)
{
    struct queue *q = *state;

    for (size_t step = 1; step < 14; step++) {
        size_t fitted = 0, at_byte = 0;

        put_pieces(q);
        assert_int_equal(queue_take(q), 1);
        for (; at_byte < 13; at_byte += step) {
            const size_t some = step < 13 - at_byte ? step : 13 - at_byte;
            const int got = halo_received_write(&q->request, &"ABCDEFGHIJKLM"[at_byte], some);

            assert_in_range(got, 0, some);
            if (got < (int)some)
                assert_int_equal(fitted + (size_t)got, 9);
            fitted += (size_t)got;
        }
        assert_int_equal(fitted, 9);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        assert_pieces(q, "ABC", "DE", "FGHI");
        halo_receiver_flush(&q->receiver);
        assert_int_equal(reap(q), 9); /* cut, for the extension is off */
    }
    assert_int_equal(halo_receiver_stats(&q->receiver).truncated, 13);
}

static void an_answer_that_just_fits_is_not_truncated(void **state)
{
    struct queue *q = *state;

    put_pieces(q);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_write(&q->request, "", 0), 0);
    assert_int_equal(halo_received_write(&q->request, "ABCDEFGHI", 9), 9);
    assert_int_equal(halo_received_write(&q->request, "", 0), 0);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    assert_int_equal(halo_receiver_stats(&q->receiver).truncated, 0);
    assert_pieces(q, "ABC", "DE", "FGHI");
}

static void a_write_of_more_than_an_int_counts_is_refused(void **state)
{
    struct queue *q = *state;

    put_pieces(q);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_write(&q->request, q->elsewhere, (size_t)INT32_MAX + 1),
                     HALO_EINVAL);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(reap(q), 0);
    assert_pieces(q, "...", "..", "....");
}

static void nothing_can_be_written_after_the_answer_was_given(void **state)
{
    struct queue *q = *state;
    struct halo_span spans[4];

    put_pieces(q);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_write(&q->request, "AB", 2), 2);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    assert_int_equal(halo_received_write(&q->request, "C", 1), HALO_ESTALE);
    assert_int_equal(halo_received_reserve(&q->request, spans, 4), 0);
    assert_int_equal(halo_received_commit(&q->request, 1), HALO_ESTALE);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_ESTALE);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &q->request), HALO_ESTALE);
    assert_pieces(q, "AB.", "..", "....");
    assert_int_equal(halo_receiver_stats(&q->receiver).answers, 1);
}

static void a_copy_of_a_request_cannot_answer_it_again(void **state)
{
    struct queue *q = *state;
    struct halo_received copy;

    put_pieces(q);
    assert_int_equal(queue_take(q), 1);
    copy = q->request;
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    assert_int_equal(halo_receiver_complete(&q->receiver, &copy), HALO_ESTALE);
    assert_int_equal(halo_receiver_rewind(&q->receiver, &copy), HALO_ESTALE);
    assert_int_equal(halo_receiver_stats(&q->receiver).answers, 1);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 0);
}

static void the_room_for_an_answer_can_be_filled_where_it_lies(void **state)
{
    struct queue *q = *state;
    struct halo_span spans[4];

    for (uint64_t wrote = 0; wrote < 10; wrote++) {
        uint64_t left = wrote, room = 0;

        put_pieces(q);
        assert_int_equal(queue_take(q), 1);
        assert_int_equal(halo_received_reserve(&q->request, spans, 0), 0);
        assert_int_equal(halo_received_reserve(&q->request, spans, 1), 1);
        assert_int_equal(spans[0].len, 3);
        assert_int_equal(halo_received_reserve(&q->request, spans, 4), 3);
        for (int i = 0; i < 3 && left > 0; i++) {
            const size_t some = left < spans[i].len ? (size_t)left : spans[i].len;

            memset(halo_shm_expose(spans[i].base), 'R', some);
            left -= some;
        }
        assert_int_equal(halo_received_commit(&q->request, 10), HALO_EINVAL);
        assert_int_equal(halo_received_commit(&q->request, UINT64_MAX), HALO_EINVAL);
        assert_int_equal(halo_received_commit(&q->request, wrote), 0);
        assert_int_equal(halo_received_commit(&q->request, 10 - wrote), HALO_EINVAL);
        for (uint32_t i = halo_received_reserve(&q->request, spans, 4); i-- > 0;)
            room += spans[i].len;
        assert_int_equal(room, 9 - wrote);
        assert_int_equal(halo_received_write(&q->request, "wwwwwwwww", 9 - (size_t)wrote),
                         9 - wrote);
        assert_int_equal(halo_received_reserve(&q->request, spans, 4), 0);
        assert_int_equal(halo_received_commit(&q->request, 1), HALO_EINVAL);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        halo_receiver_flush(&q->receiver);
        assert_int_equal(reap(q), 9);
        for (uint32_t i = 0; i < 9; i++) {
            const uint32_t offset = i < 3 ? 20 + i : i < 5 ? 40 + i - 3 : 60 + i - 5;

            assert_int_equal(q->elsewhere[offset], i < wrote ? 'R' : 'w');
        }
    }
}

static void bytes_that_were_put_into_the_spans_do_not_go_inline(void **state)
{
    struct queue *q = *state;
    struct halo_span spans[4];

    queue_start(q, HALO_FEATURES_ALL);
    queue_ask(q, "inline", 10); /* room in a buffer, too */
    queue_ask(q, "inline", 10);
    halo_sender_flush(&q->sender);
    for (int wrote = 1; wrote >= 0; wrote--) {
        assert_int_equal(queue_take(q), 1);
        assert_int_equal(halo_received_reserve(&q->request, spans, 4), 1);
        memset(halo_shm_expose(spans[0].base), 'R', 1);
        assert_int_equal(halo_received_commit(&q->request, (uint64_t)wrote), 0);
        assert_int_equal(halo_received_write(&q->request, "abc", 3), 3);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    }
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "Rabc");
    assert_false(q->answer.is_inline);
    queue_expect(q, "abc");
    assert_true(q->answer.is_inline);
    assert_queue_idle(q);
}

/* Only what is short enough in the end goes inline, in however many pieces it was written. */
static void an_inline_answer_is_written_in_any_pieces(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURES_ALL);
    for (size_t len = 0; len <= 14; len++) {
        for (size_t step = 1; step <= 7; step++) {
            char expected[13] = {0};

            queue_ask(q, "inline", 12);
            halo_sender_flush(&q->sender);
            assert_int_equal(queue_take(q), 1);
            for (size_t i = 0; i < len; i += step) {
                const size_t some = step < len - i ? step : len - i;

                assert_int_equal(halo_received_write(&q->request, &"ABCDEFGHIJKLMN"[i], some),
                                 i + some <= 12 ? some
                                 : i < 12       ? 12 - i
                                                : 0);
            }
            assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
            halo_receiver_flush(&q->receiver);
            assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
            assert_int_equal(q->answer.is_inline, len <= HALO_INLINE_ANSWER_MAX);
            assert_int_equal(q->answer.truncated, len > 12);
            assert_int_equal(q->answer.full_len, len);
            memcpy(expected, "ABCDEFGHIJKL", len < 12 ? len : 12);
            assert_answer(q, expected);
            assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
        }
    }
}

static void an_inline_request_may_have_its_answer_in_a_buffer_only(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURE_INLINE_REQUEST);
    queue_ask(q, "inline", 4);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT - 1);
    halo_sender_flush(&q->sender);
    queue_serve(q, "inline", "1234");
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "1234");
    assert_false(q->answer.is_inline);
    assert_queue_idle(q);
}

static void an_answer_too_long_for_its_room_is_flagged_with_its_length(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURE_TRUNCATED);
    queue_ask(q, "?", 4);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    for (int i = 0; i < 10; i++)
        halo_received_write(&q->request, "0123456789", 10);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_true(q->answer.truncated);
    assert_int_equal(q->answer.len, 4); /* what was asked for, however long the buffer */
    assert_int_equal(q->answer.full_len, 100);
    assert_int_equal(halo_receiver_stats(&q->receiver).truncated, 1);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
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
    const struct halo_buf bufs[] = {at(q, 0, 1001), at(q, 0, UINT32_MAX), at(q, 0, 200),
                                    at(q, 0, 200),  at(q, 0, 200),        at(q, 0, 200),
                                    at(q, 0, 200),  at(q, 0, 1)};

    put(q, bufs, 1, 0);     /* more than len_max in one buffer */
    put(q, bufs + 1, 1, 0); /* as much as can be said */
    put(q, bufs + 2, 5, 1); /* exactly len_max, and one more */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(queue_take(q), HALO_EREJECT);
        assert_int_equal(q->request.chain.reject, HALO_REJECT_LENGTH);
    }
    assert_int_equal(halo_receiver_stats(&q->receiver).rejected, 3);
    assert_int_equal(halo_receiver_stats(&q->receiver).requests, 0);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 0);
    assert_int_equal(halo_receiver_flush(&q->receiver), 1); /* they are answered all the same */
    for (int i = 0; i < 3; i++)
        assert_int_equal(reap(q), 0);
    put(q, bufs + 2, 5, 0); /* exactly len_max */
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_len(&q->request), 1000);
}

static void res_09_a_message_of_no_bytes_costs_as_much_as_any(void **state)
{
    struct queue *q = *state;
    const struct halo_buf none = at(q, 0, 0), one = at(q, 0, 1),
                          room[] = {at(q, 0, 0), at(q, 0, 1)};
    struct halo_received requests[RING];
    struct halo_span spans[RING][1];

    /* Without any bytes it is refused, and nothing stays in flight. */
    assert_true(put(q, &none, 1, 0) >= 0);
    assert_int_equal(queue_take(q), HALO_EREJECT);
    assert_int_equal(q->request.chain.reject, HALO_REJECT_EMPTY_CHAIN);
    /* Without a request, but with room for an answer, it takes slots like any other. */
    assert_true(put(q, room, 1, 1) >= 0);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_len(&q->request), 0);
    assert_int_equal(q->request.chain.slots, 2);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(reap(q), 0);
    assert_int_equal(reap(q), 0);
    /* However short, there are never more than slots. */
    for (uint32_t i = 0; i < RING; i++)
        assert_true(put(q, &one, 1, 0) >= 0);
    assert_int_equal(put(q, &one, 1, 0), HALO_EFULL);
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
    struct halo_span span;

    assert_int_equal(halo_receiver_poll(&q->receiver, &request, &span, 1), HALO_EBUSY);
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
        TEST(an_answer_is_written_in_any_pieces_and_never_beyond),
        TEST(an_answer_that_just_fits_is_not_truncated),
        TEST(a_write_of_more_than_an_int_counts_is_refused),
        TEST(nothing_can_be_written_after_the_answer_was_given),
        TEST(a_copy_of_a_request_cannot_answer_it_again),
        TEST(the_room_for_an_answer_can_be_filled_where_it_lies),
        TEST(bytes_that_were_put_into_the_spans_do_not_go_inline),
        TEST(an_inline_answer_is_written_in_any_pieces),
        TEST(an_inline_request_may_have_its_answer_in_a_buffer_only),
        TEST(an_answer_too_long_for_its_room_is_flagged_with_its_length),
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
