/* Answers: by token, inline, cut, kept and moved. */
#include "queue_fixture.h"

/* --- Tokens ----------------------------------------------------------------------------------- */

static void an_answer_can_be_taken_by_its_token(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];

    queue_ask_some(q, tokens, 4);
    halo_sender_flush(&q->sender);
    assert_int_equal(halo_sender_take(&q->sender, tokens[2], &q->answer), 0);
    queue_serve_all(q);
    assert_int_equal(halo_sender_take(&q->sender, tokens[2], &q->answer), 1);
    assert_answer(q, "c!");
    assert_int_equal(halo_sender_take(&q->sender, tokens[2], &q->answer), HALO_ESTALE);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(halo_sender_take(&q->sender, tokens[2], &q->answer), HALO_ESTALE);
    assert_int_equal(halo_sender_take(&q->sender, tokens[3], &q->answer), 1); /* the last */
    assert_answer(q, "d!");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(halo_sender_take(&q->sender, tokens[0], &q->answer), 1); /* the first */
    assert_answer(q, "a!");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    queue_expect(q, "b!");
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
    assert_queue_idle(q);
}

static void id_05_tokens_survive_that_ids_are_used_again(void **state)
{
    struct queue *q = *state;
    struct halo_token old[100];

    for (int i = 0; i < 100; i++) {
        old[i] = queue_ask(q, "x", 8);
        halo_sender_flush(&q->sender);
        queue_serve_all(q);
        assert_int_equal(halo_sender_take(&q->sender, old[i], &q->answer), 1);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
        queue_ask(q, "y", 8);
        halo_sender_flush(&q->sender);
        queue_serve_all(q);
        for (int k = 0; k <= i; k++)
            assert_int_equal(halo_sender_take(&q->sender, old[k], &q->answer), HALO_ESTALE);
        queue_expect(q, "y!");
    }
    assert_int_equal(halo_sender_take(&q->sender, halo_token_make(1, REQUESTS), &q->answer),
                     HALO_ESTALE);
    assert_int_equal(halo_sender_take(&q->sender, halo_token_make(1, 65535), &q->answer),
                     HALO_ESTALE);
    assert_int_equal(halo_sender_take(&q->sender, halo_token_make(0, 0), &q->answer), HALO_ESTALE);
    assert_queue_idle(q);
}

static void an_answer_that_was_not_taken_cannot_be_freed(void **state)
{
    struct queue *q = *state;
    struct halo_token token = queue_ask(q, "x", 8);
    char own = 'o';

    q->answer = (struct halo_answer){.token = token, .is_inline = true, .left = 1};
    assert_int_equal(halo_answer_move(&q->sender, &q->answer, &own, 1), HALO_ESTALE);
    assert_int_equal(own, 'o');
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
    halo_sender_flush(&q->sender);
    queue_serve_all(q);
    assert_int_equal(halo_sender_reclaim(&q->sender), 1);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
    queue_expect(q, "x!");
    assert_queue_idle(q);
}

static void id_05_a_token_that_was_never_given_is_stale(void **state)
{
    struct queue *q = *state;

    for (uint16_t id = 0; id < REQUESTS; id++) {
        q->answer.token = halo_token_make(1, id); /* which the next one in its place will have */
        assert_int_equal(halo_sender_take(&q->sender, q->answer.token, &q->answer), HALO_ESTALE);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
    }
    assert_queue_idle(q);
}

/* --- Extensions ------------------------------------------------------------------------------- */

static void short_messages_travel_inline(void **state)
{
    struct queue *q = *state;
    struct halo_send send;

    queue_start(q, HALO_FEATURES_ALL);
    queue_ask(q, "0123456789ab", 8);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT); /* no buffer at all */
    queue_ask(q, "inline", 9);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT - 1);
    queue_ask(q, "no inline one", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "0123456789ab", "12345678");
    assert_true(q->request.chain.is_inline);
    queue_serve(q, "inline", "123456789");
    queue_serve(q, "no inline one", "1");
    assert_false(q->request.chain.is_inline);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_true(q->answer.is_inline);
    assert_int_equal(halo_answer_span(&q->sender, &q->answer, q->spans), 0);
    assert_answer(q, "12345678");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    queue_expect(q, "123456789");
    queue_expect(q, "1");

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_inline(&send, "0123456789abc", 13), HALO_EINVAL);
    assert_int_equal(halo_send_inline(&send, "xyz", 3), 0);
    assert_int_equal(halo_send_inline(&send, "xyz", 3), HALO_ESTATE);
    assert_int_equal(halo_send_write(&send, "xyz", 3), HALO_ESTATE);
    halo_send_drop(&send);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "xyz", 3), 0);
    assert_int_equal(halo_send_inline(&send, "xyz", 3), HALO_ESTATE);
    halo_send_drop(&send);
    queue_start(q, 0);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_inline(&send, "xyz", 3), HALO_EINVAL);
    assert_queue_idle(q);
}

/* An inline answer is read in pieces like any other. */
static void an_inline_answer_is_read_in_pieces(void **state)
{
    struct queue *q = *state;
    char got[8];

    queue_start(q, HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER);
    queue_ask(q, "x", 8);
    halo_sender_flush(&q->sender);
    queue_serve(q, "x", "abcdefg");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_int_equal(halo_answer_read(&q->sender, &q->answer, got, 3), 3);
    assert_memory_equal(got, "abc", 3);
    assert_int_equal(halo_answer_read(&q->sender, &q->answer, got, 8), 4);
    assert_memory_equal(got, "defg", 4);
    assert_int_equal(halo_answer_read(&q->sender, &q->answer, got, 8), 0);
}

static void an_answer_that_does_not_fit_says_so(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURE_TRUNCATED);
    queue_ask(q, "x", 5);
    queue_ask(q, "y", 0);
    halo_sender_flush(&q->sender);
    queue_serve(q, "x", "12345678");
    queue_serve(q, "y", "123");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_true(q->answer.truncated);
    assert_int_equal(q->answer.full_len, 8);
    assert_answer(q, "12345");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_true(q->answer.truncated);
    assert_int_equal(q->answer.full_len, 3);
    assert_answer(q, "");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(q->sender.stats.truncated, 2);
    assert_int_equal(q->receiver.stats.truncated, 2);
    assert_int_equal(q->sender.stats.answers, 2);
    assert_int_equal(q->receiver.stats.answers, 2);

    /* With the extension off it is cut, and only the two ends know. */
    queue_start(q, 0);
    queue_ask(q, "x", 5);
    halo_sender_flush(&q->sender);
    queue_serve(q, "x", "12345678");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_false(q->answer.truncated);
    assert_int_equal(q->answer.full_len, 5);
    assert_answer(q, "12345");
}

/* A device may say anything of the full length. */
static void a_full_length_below_what_came_is_not_believed(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURE_TRUNCATED);
    queue_ask(q, "x", 5);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(
        halo_device_complete_truncated(&q->receiver.device, q->request.chain.token, 4, 2), 0);
    halo_device_publish(&q->receiver.device);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_true(q->answer.truncated);
    assert_int_equal(q->answer.len, 4);
    assert_int_equal(q->answer.full_len, 4);
}

/* --- Answers that are kept -------------------------------------------------------------------- */

/* Ask, have it answered and keep the answer, as often as there are requests. */
static void keep_all(struct queue *q, struct halo_answer *kept)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        (void)queue_ask(q, "k", 8);
        halo_sender_flush(&q->sender);
        queue_serve_all(q);
        assert_int_equal(halo_sender_poll(&q->sender, &kept[i]), 1);
    }
}

static void kept_answers_are_as_many_as_requests_and_then_it_is_full(void **state)
{
    struct queue *q = *state;
    struct halo_answer kept[REQUESTS];
    struct halo_send send;

    keep_all(q, kept);
    assert_int_equal(halo_sender_room(&q->sender), RING); /* no descriptor is held */
    assert_int_equal(halo_sender_request(&q->sender, "x", 1, 8, 0, NULL), HALO_EFULL);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "x", 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 0, HALO_DEADLINE_NEVER, NULL), HALO_EFULL);
    assert_int_equal(q->waited, 0);
    assert_int_equal(halo_answer_free(&q->sender, &kept[3]), 0);
    assert_int_equal(halo_send_submit_wait(&send, 0, HALO_DEADLINE_NEVER, NULL), 0);
    halo_sender_flush(&q->sender);
    queue_serve_all(q);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    for (uint32_t i = 0; i < REQUESTS; i++)
        assert_int_equal(halo_answer_free(&q->sender, &kept[i]), i == 3 ? HALO_ESTALE : 0);
    assert_queue_idle(q);
}

static void an_answer_that_is_moved_holds_nothing(void **state)
{
    struct queue *q = *state;
    struct halo_answer kept[REQUESTS], copy;
    char own[REQUESTS][8], one;

    keep_all(q, kept);
    assert_int_equal(halo_answer_read(&q->sender, &kept[0], &one, 1), 1);
    assert_int_equal(one, 'k');
    assert_int_equal(halo_answer_move(&q->sender, &kept[0], own[0], 1), 0); /* the rest */
    assert_int_equal(own[0][0], '!');
    for (uint32_t i = 1; i < REQUESTS; i++) {
        copy = kept[i];
        assert_int_equal(halo_answer_move(&q->sender, &kept[i], own[i], 1), HALO_EINVAL);
        assert_int_equal(halo_answer_move(&q->sender, &kept[i], own[i], 2), 0);
        assert_memory_equal(own[i], "k!", 2);
        assert_int_equal(kept[i].len, 2);
        assert_int_equal(halo_answer_move(&q->sender, &kept[i], own[i], 8), HALO_ESTALE);
        assert_int_equal(halo_answer_move(&q->sender, &copy, own[i], 8), HALO_ESTALE);
    }
    assert_queue_idle(q);
}

static void an_answer_of_several_buffers_and_an_inline_one_are_moved(void **state)
{
    struct queue *q = *state;
    char own[200], text[200];

    memset(text, 'm', sizeof(text));
    assert_int_equal(halo_sender_request(&q->sender, "x", 1, 150, 0, NULL), 0);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_write(&q->request, text, 150), 150);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_int_equal(halo_answer_move(&q->sender, &q->answer, own, sizeof(own)), 0);
    assert_memory_equal(own, text, 150);
    assert_queue_idle(q);

    queue_start(q, HALO_FEATURES_ALL);
    (void)queue_ask(q, "i", 8);
    halo_sender_flush(&q->sender);
    queue_serve_all(q);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_true(q->answer.is_inline);
    assert_int_equal(halo_answer_move(&q->sender, &q->answer, own, 1), HALO_EINVAL);
    assert_int_equal(halo_answer_move(&q->sender, &q->answer, own, 2), 0);
    assert_memory_equal(own, "i!", 2);
    assert_queue_idle(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_can_be_taken_by_its_token),
        TEST(id_05_tokens_survive_that_ids_are_used_again),
        TEST(an_answer_that_was_not_taken_cannot_be_freed),
        TEST(short_messages_travel_inline),
        TEST(an_inline_answer_is_read_in_pieces),
        TEST(an_answer_that_does_not_fit_says_so),
        TEST(a_full_length_below_what_came_is_not_believed),
        TEST(id_05_a_token_that_was_never_given_is_stale),
        TEST(kept_answers_are_as_many_as_requests_and_then_it_is_full),
        TEST(an_answer_that_is_moved_holds_nothing),
        TEST(an_answer_of_several_buffers_and_an_inline_one_are_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
