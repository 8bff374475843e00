/* A sender that waits: for room, for an answer, for any; and what may be called meanwhile. */
#include "queue_fixture.h"

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
    queue_serve_all(q);
    q->wait_result = 0;
}

static void submit_waits_for_room(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];
    struct halo_send send;

    queue_ask_some(q, tokens, 4);
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

    queue_ask_some(q, tokens, 4);
    halo_sender_flush(&q->sender);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "e", 1), 0);
    q->receive_result = true; /* the other queue had something, and with it came our answers */
    q->in_receive = queue_serve_all;
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

    queue_ask_some(q, tokens, 3);
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

static void answer_once(struct queue *q)
{
    q->in_notifier = NULL; /* answering notifies, too */
    queue_serve_all(q);
}

static void what_comes_by_waiting_is_handed_out(void **state)
{
    struct queue *q = *state;
    struct halo_token token = queue_ask(q, "a", 8);

    q->in_notifier = answer_once; /* with the flush */
    assert_int_equal(halo_sender_take_wait(&q->sender, token, HALO_DEADLINE_NEVER, &q->answer), 1);
    assert_answer(q, "a!");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);

    token = queue_ask(q, "b", 8);
    q->receive_result = true; /* with what the other queue had */
    q->in_receive = queue_serve_all;
    assert_int_equal(halo_sender_take_wait(&q->sender, token, HALO_DEADLINE_NEVER, &q->answer), 1);
    assert_answer(q, "b!");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(q->waited, 0);
}

static void waiting_for_records_that_only_the_program_can_free_ends(void **state)
{
    struct queue *q = *state;
    struct halo_send send;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        queue_ask(q, "x", 2);
        halo_sender_flush(&q->sender);
        queue_serve_all(q);
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

    queue_ask_some(q, tokens, 4);
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

static void serve_in_wait(struct queue *q)
{
    q->wait_result = 0;
    queue_serve_all(q);
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
    queue_serve_all(q);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(res_10_a_call_from_the_notifier_is_refused),
        TEST(submit_waits_for_room),
        TEST(nobody_sleeps_while_there_is_something_to_do),
        TEST(a_token_is_waited_for),
        TEST(what_comes_by_waiting_is_handed_out),
        TEST(waiting_for_records_that_only_the_program_can_free_ends),
        TEST(nobody_waits_inside_a_wait),
        TEST(without_a_waiter_there_is_no_waiting),
        TEST(waiting_to_submit_ends_where_only_freeing_helps),
        TEST(waiting_ends_when_an_answer_is_taken_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
