/* Answers in any order, tokens, waiting, and the end of a queue. */
#include "queue_fixture.h"

/* Ask for a, b, c, …; nothing is flushed. */
static void ask_some(struct queue *q, struct halo_token *tokens, int count)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    for (int i = 0; i < count; i++)
        tokens[i] = queue_ask(q, names[i], 8);
}

static void serve_all(struct queue *q)
{
    char got[8];

    while (queue_take(q) == 1) {
        size_t len = halo_received_read(&q->request, got, sizeof(got));

        halo_received_write(&q->request, got, len);
        halo_received_write(&q->request, "!", 1);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    }
    assert_true(halo_receiver_flush(&q->receiver) >= 0);
}

/* --- Tokens ----------------------------------------------------------------------------------- */

static void an_answer_can_be_taken_by_its_token(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];

    ask_some(q, tokens, 4);
    halo_sender_flush(&q->sender);
    assert_int_equal(halo_sender_take(&q->sender, tokens[2], &q->answer), 0);
    serve_all(q);
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
        serve_all(q);
        assert_int_equal(halo_sender_take(&q->sender, old[i], &q->answer), 1);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
        queue_ask(q, "y", 8);
        halo_sender_flush(&q->sender);
        serve_all(q);
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
    serve_all(q);
    assert_int_equal(halo_sender_reclaim(&q->sender), 1);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_ESTALE);
    queue_expect(q, "x!");
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

/* --- Inside the notifier ---------------------------------------------------------------------- */

static struct halo_send open_send;
static struct halo_token some_token;

static void call_everything(struct queue *q)
{
    const struct queue before = *q;
    struct halo_received request = q->request;
    void *at = NULL;

    if (q->sender.notifying) {
        assert_int_equal(halo_send_readable(&open_send, 1, &at), HALO_EBUSY);
        assert_int_equal(halo_send_write(&open_send, "x", 1), HALO_EBUSY);
        assert_int_equal(halo_send_writable(&open_send, 1), HALO_EBUSY);
        assert_int_equal(halo_send_lend_readable(&open_send, q->elsewhere, 1), HALO_EBUSY);
        assert_int_equal(halo_send_lend_writable(&open_send, q->elsewhere, 1), HALO_EBUSY);
        assert_int_equal(halo_send_inline(&open_send, "x", 1), HALO_EBUSY);
        assert_int_equal(halo_send_submit(&open_send, 0, NULL), HALO_EBUSY);
        assert_int_equal(halo_send_submit_wait(&open_send, 0, 1, NULL), HALO_EBUSY);
        assert_int_equal(halo_sender_request(&q->sender, "x", 1, 1, 0, NULL), HALO_EBUSY);
        assert_int_equal(halo_sender_flush(&q->sender), HALO_EBUSY);
        assert_int_equal(halo_sender_poll(&q->sender, &q->answer), HALO_EBUSY);
        assert_int_equal(halo_sender_take(&q->sender, some_token, &q->answer), HALO_EBUSY);
        assert_int_equal(halo_sender_take_wait(&q->sender, some_token, 1, &q->answer), HALO_EBUSY);
        assert_int_equal(halo_sender_wait(&q->sender, 1), HALO_EBUSY);
        assert_int_equal(halo_sender_reclaim(&q->sender), HALO_EBUSY);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), HALO_EBUSY);
        assert_int_equal(halo_answer_move(&q->sender, &q->answer, &at, sizeof(at)), HALO_EBUSY);
        assert_int_equal(halo_sender_stop(&q->sender), HALO_EBUSY);
        assert_int_equal(halo_sender_reset(&q->sender), HALO_EBUSY);
        assert_int_equal(halo_sender_stats(&q->sender).requests, 1);
    } else {
        assert_int_equal(halo_receiver_poll(&q->receiver, &request, q->spans, 16), HALO_EBUSY);
        assert_int_equal(halo_receiver_complete(&q->receiver, &request), HALO_EBUSY);
        assert_int_equal(halo_receiver_rewind(&q->receiver, &request), HALO_EBUSY);
        assert_int_equal(halo_receiver_flush(&q->receiver), HALO_EBUSY);
        assert_int_equal(halo_receiver_stats(&q->receiver).requests, 1);
    }
    assert_memory_equal(q, &before, sizeof(before));
}

static void res_10_a_call_from_the_notifier_is_refused(void **state)
{
    struct queue *q = *state;

    queue_start(q, HALO_FEATURE_INLINE_REQUEST);
    q->in_notifier = call_everything;
    halo_send_begin(&open_send, &q->sender);
    some_token = queue_ask(q, "long enough for a buffer", 2);
    assert_int_equal(halo_sender_flush(&q->sender), 1);
    queue_serve(q, "long enough for a buffer", "y");
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(q->notified_receiver + q->notified_sender, 2);
    q->in_notifier = NULL;
    queue_expect(q, "y");
    assert_queue_idle(q);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static void the_other_side_answers(struct queue *q)
{
    serve_all(q);
    q->wait_result = 0;
}

static void submit_waits_for_room(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];
    struct halo_send send;

    ask_some(q, tokens, 4);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "e", 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 5, HALO_DEADLINE_NOW, NULL), HALO_ETIMEDOUT);
    assert_int_equal(q->waited, 0);
    assert_int_equal(q->received, 1);
    assert_int_equal(q->notified_receiver, 1); /* flushed before waiting */
    assert_int_equal(halo_send_submit_wait(&send, 5, 1234, NULL), HALO_ETIMEDOUT);
    assert_int_equal(q->waited, 1);
    assert_int_equal(q->deadline, 1234);
    q->in_wait = the_other_side_answers;
    assert_int_equal(halo_send_submit_wait(&send, 5, HALO_DEADLINE_NEVER, NULL), 0);
    assert_int_equal(q->waited, 2);
    queue_expect(q, "a!");
}

static void nobody_sleeps_while_there_is_something_to_do(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];
    struct halo_send send;

    ask_some(q, tokens, 4);
    halo_sender_flush(&q->sender);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "e", 1), 0);
    q->receive_result = true; /* the other queue had something, and with it came our answers */
    q->in_receive = serve_all;
    assert_int_equal(halo_send_submit_wait(&send, 5, HALO_DEADLINE_NEVER, NULL), 0);
    assert_int_equal(q->received, 1);
    assert_int_equal(q->waited, 0);
    assert_int_equal(halo_sender_wait(&q->sender, HALO_DEADLINE_NEVER), 4);
    assert_int_equal(q->waited, 0);

    /* An answer that comes between the last look and the sleep is not slept through (EVT-08). */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    }
    q->receive_result = false;
    assert_int_equal(halo_sender_wait(&q->sender, HALO_DEADLINE_NEVER), 1);
    assert_int_equal(q->waited, 0);
}

static void a_token_is_waited_for(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[3];

    ask_some(q, tokens, 3);
    assert_int_equal(halo_sender_take_wait(&q->sender, tokens[1], 99, &q->answer), HALO_ETIMEDOUT);
    assert_int_equal(q->deadline, 99);
    q->in_wait = the_other_side_answers;
    assert_int_equal(halo_sender_take_wait(&q->sender, tokens[1], HALO_DEADLINE_NEVER, &q->answer),
                     1);
    assert_answer(q, "b!");
    assert_int_equal(halo_sender_take_wait(&q->sender, tokens[1], 1, &q->answer), HALO_ESTALE);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    queue_expect(q, "a!");
    queue_expect(q, "c!");
    assert_int_equal(halo_sender_wait(&q->sender, HALO_DEADLINE_NEVER),
                     0); /* nothing to wait for */
}

static void waiting_for_records_that_only_the_program_can_free_ends(void **state)
{
    struct queue *q = *state;
    struct halo_send send;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        queue_ask(q, "x", 2);
        halo_sender_flush(&q->sender);
        serve_all(q);
        assert_int_equal(halo_sender_reclaim(&q->sender), (int)i + 1);
    }
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "e", 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 0, HALO_DEADLINE_NEVER, NULL), HALO_EFULL);
    assert_int_equal(q->waited, 0);
    queue_expect(q, "x!");
    assert_int_equal(halo_send_submit_wait(&send, 0, HALO_DEADLINE_NEVER, NULL), 0);
}

static void wait_inside_a_wait(struct queue *q)
{
    struct halo_send send;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_lend_readable(&send, q->elsewhere, 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 0, 1, NULL), HALO_EBUSY);
    assert_int_equal(halo_sender_take_wait(&q->sender, some_token, 1, &q->answer), HALO_EBUSY);
    assert_int_equal(halo_sender_wait(&q->sender, 1), HALO_EBUSY);
    assert_int_equal(halo_send_submit(&send, 0, NULL), HALO_EFULL); /* what does not wait may be */
    halo_send_drop(&send);
}

static void nobody_waits_inside_a_wait(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];
    struct halo_send send;

    ask_some(q, tokens, 4);
    some_token = tokens[0];
    q->in_receive = wait_inside_a_wait;
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "e", 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 5, 1, NULL), HALO_ETIMEDOUT);
    assert_int_equal(q->received, 1);
    halo_send_drop(&send);
}

static void without_a_waiter_there_is_no_waiting(void **state)
{
    struct queue *q = *state;
    struct halo_sender_config config = queue_sender_config(q, 0);
    struct halo_token token;

    config.waiter = (struct halo_waiter){NULL, NULL, NULL};
    config.notifier = (struct halo_notifier){NULL, NULL};
    assert_int_equal(halo_sender_init(&q->sender, &config, q->memory_of_sender), 0);
    token = queue_ask(q, "x", 2);
    assert_int_equal(halo_sender_flush(&q->sender), 1); /* the result tells */
    assert_int_equal(halo_sender_take_wait(&q->sender, token, HALO_DEADLINE_NEVER, &q->answer),
                     HALO_ETIMEDOUT);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void drv_20_each_lost_request_is_told_of_once(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4], lost;
    uint64_t context, seen = 0;
    int count = 0;

    assert_int_equal(halo_sender_fail(&q->sender, &lost, &context), HALO_ESTATE);
    assert_int_equal(halo_sender_reset(&q->sender), HALO_ESTATE);
    ask_some(q, tokens, 3);
    halo_sender_flush(&q->sender);
    queue_serve(q, "a", "A");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_reclaim(&q->sender), 1);
    tokens[3] = queue_ask(q, "d", 1); /* never flushed, lost all the same */
    assert_int_equal(halo_sender_stop(&q->sender), 0);
    while (halo_sender_fail(&q->sender, &lost, &context) > 0) {
        count++;
        seen |= 1u << (context - 'a');
        assert_int_equal(halo_sender_take(&q->sender, lost, &q->answer), HALO_ESTALE);
    }
    assert_int_equal(count, 3);
    assert_int_equal(seen, 0xe);
    assert_int_equal(q->sender.stats.in_flight, 0);
    /* What came before is still there; nothing new is taken. */
    queue_expect(q, "A");
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), HALO_EBROKEN);
    assert_int_equal(halo_sender_request(&q->sender, "x", 1, 1, 0, NULL), HALO_EBROKEN);
    assert_int_equal(halo_sender_flush(&q->sender), HALO_EBROKEN);
    assert_int_equal(halo_sender_reclaim(&q->sender), HALO_EBROKEN);
    assert_int_equal(halo_sender_take(&q->sender, tokens[3], &q->answer), HALO_ESTALE);
    assert_int_not_equal(q->tiers.small.free_count, SMALL_COUNT); /* lent until the reset */

    memset(q->ring, 0, sizeof(q->ring));
    assert_int_equal(halo_sender_reset(&q->sender), 0);
    assert_int_equal(halo_receiver_init(&q->receiver,
                                        &(struct halo_receiver_config){.place = q->place,
                                                                       .memory = &q->memory,
                                                                       .len_max = 1000},
                                        q->chains),
                     0);
    assert_queue_idle(q);
    queue_ask(q, "x", 8);
    halo_sender_flush(&q->sender);
    serve_all(q);
    queue_expect(q, "x!");
}

/* A reset without having asked for the lost ones frees their buffers as well. */
static void a_reset_takes_everything_back(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];

    queue_start(q, HALO_FEATURES_ALL);
    ask_some(q, tokens, 4);
    queue_ask(q, "one that takes a buffer", 40);
    halo_sender_flush(&q->sender);
    halo_sender_stop(&q->sender);
    assert_int_equal(halo_sender_take_wait(&q->sender, tokens[0], 1, &q->answer), HALO_EBROKEN);
    assert_int_equal(halo_sender_wait(&q->sender, 1), HALO_EBROKEN);
    memset(q->ring, 0, sizeof(q->ring));
    assert_int_equal(halo_sender_reset(&q->sender), 0);
    assert_int_equal(q->sender.driver.features, HALO_FEATURES_ALL);
    assert_queue_idle(q);
}

static void a_broken_ring_reaches_everybody_who_waits(void **state)
{
    struct queue *q = *state;
    const struct halo_token token = queue_ask(q, "x", 8);
    struct halo_send send;

    halo_sender_flush(&q->sender);
    ((struct halo_desc *)(void *)q->ring)[0].meta =
        halo_meta(1, 7, HALO_DESC_AVAIL | HALO_DESC_USED | HALO_DESC_WRITE);
    assert_int_equal(halo_sender_take(&q->sender, token, &q->answer), HALO_EBROKEN);
    assert_int_equal(q->sender.driver.violation.reason, HALO_BROKEN_NOT_IN_FLIGHT);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "e", 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 0, 1, NULL), HALO_EBROKEN);
    halo_send_drop(&send);
}

static void break_the_ring(struct queue *q)
{
    for (uint32_t i = 0; i < RING; i++)
        halo_shm_publish_meta(&q->place.desc[i],
                              halo_meta(0, 9999, HALO_DESC_AVAIL | HALO_DESC_USED));
}

static void a_ring_that_breaks_while_we_wait_ends_it(void **state)
{
    struct queue *q = *state;
    struct halo_token token = queue_ask(q, "x", 8);

    q->in_notifier = break_the_ring;
    assert_int_equal(halo_sender_wait(&q->sender, HALO_DEADLINE_NEVER), HALO_EBROKEN);
    assert_int_equal(halo_sender_wait(&q->sender, HALO_DEADLINE_NEVER), HALO_EBROKEN);
    assert_int_equal(halo_sender_take_wait(&q->sender, token, HALO_DEADLINE_NEVER, &q->answer),
                     HALO_EBROKEN);
    assert_int_equal(q->sender.driver.violation.reason, HALO_BROKEN_BAD_ID);
}

static void serve_in_wait(struct queue *q)
{
    q->wait_result = 0;
    serve_all(q);
}

/* All records are in use: those in flight come home, but only freeing their answers helps. */
static void waiting_to_submit_ends_where_only_freeing_helps(void **state)
{
    struct queue *q = *state;
    struct halo_send send;

    q->in_wait = serve_in_wait;
    queue_start(q, HALO_FEATURES_ALL); /* inline: no part is used up */
    for (uint32_t i = 0; i < REQUESTS; i++)
        queue_ask(q, "x", 8);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_inline(&send, "y", 1), 0);
    assert_int_equal(halo_send_submit_wait(&send, 'y', HALO_DEADLINE_NEVER, NULL), HALO_EFULL);
    assert_int_equal(q->waited, 1);
    assert_int_equal(q->sender.answered, REQUESTS);
    queue_expect(q, "x!");
    assert_int_equal(halo_send_submit_wait(&send, 'y', HALO_DEADLINE_NEVER, NULL), 0);
}

static void take_one(struct queue *q)
{
    serve_all(q);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
}

static void waiting_ends_when_an_answer_is_taken_meanwhile(void **state)
{
    struct queue *q = *state;

    queue_ask(q, "x", 8);
    q->in_receive = take_one;
    q->receive_result = true;
    assert_int_equal(halo_sender_wait(&q->sender, HALO_DEADLINE_NEVER), 0);
    assert_int_equal(q->received, 1);
    assert_answer(q, "x!");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
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

/* --- Answers that are kept -------------------------------------------------------------------- */

/* Ask, have it answered and keep the answer, as often as there are requests. */
static void keep_all(struct queue *q, struct halo_answer *kept)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        (void)queue_ask(q, "k", 8);
        halo_sender_flush(&q->sender);
        serve_all(q);
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
    serve_all(q);
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
    serve_all(q);
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
        TEST(res_10_a_call_from_the_notifier_is_refused),
        TEST(submit_waits_for_room),
        TEST(nobody_sleeps_while_there_is_something_to_do),
        TEST(a_token_is_waited_for),
        TEST(waiting_for_records_that_only_the_program_can_free_ends),
        TEST(nobody_waits_inside_a_wait),
        TEST(without_a_waiter_there_is_no_waiting),
        TEST(drv_20_each_lost_request_is_told_of_once),
        TEST(a_reset_takes_everything_back),
        TEST(a_broken_ring_reaches_everybody_who_waits),
        TEST(a_ring_that_breaks_while_we_wait_ends_it),
        TEST(waiting_to_submit_ends_where_only_freeing_helps),
        TEST(waiting_ends_when_an_answer_is_taken_meanwhile),
        TEST(id_05_a_token_that_was_never_given_is_stale),
        TEST(kept_answers_are_as_many_as_requests_and_then_it_is_full),
        TEST(an_answer_that_is_moved_holds_nothing),
        TEST(an_answer_of_several_buffers_and_an_inline_one_are_moved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
