/* Writing an answer: in any pieces, in place or inline, and never beyond its room. */
#include "queue_fixture.h"

static void an_answer_is_written_in_any_pieces_and_never_beyond(void **state)
{
    struct queue *q = *state;

    for (size_t step = 1; step < 14; step++) {
        size_t fitted = 0, at_byte = 0;

        queue_put_pieces(q);
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
        assert_int_equal(queue_reap(q), 9); /* cut, for the extension is off */
    }
    assert_int_equal(halo_receiver_stats(&q->receiver).truncated, 13);
}

static void an_answer_that_just_fits_is_not_truncated(void **state)
{
    struct queue *q = *state;

    queue_put_pieces(q);
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

    queue_put_pieces(q);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_write(&q->request, q->elsewhere, (size_t)INT32_MAX + 1),
                     HALO_EINVAL);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(queue_reap(q), 0);
    assert_pieces(q, "...", "..", "....");
}

static void nothing_can_be_written_after_the_answer_was_given(void **state)
{
    struct queue *q = *state;
    struct halo_span spans[4];

    queue_put_pieces(q);
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

    queue_put_pieces(q);
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

        queue_put_pieces(q);
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
        assert_int_equal(queue_reap(q), 9);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
