/* A program holds notifications back, and none is lost by that. */
#include "queue_fixture.h"

static bool hold_all = true;
static int asked;
static uint64_t batches; /* that the policy was shown */

static bool hold(void *context, const struct halo_queue_stats *stats)
{
    struct queue *q = context;
    struct halo_answer answer;

    asked++;
    batches = stats->batches;
    if (stats == &q->sender.stats) {
        assert_int_equal(halo_sender_flush(&q->sender), HALO_EBUSY);
        assert_int_equal(halo_sender_poll(&q->sender, &answer), HALO_EBUSY);
    } else {
        assert_ptr_equal(stats, &q->receiver.stats);
        assert_int_equal(halo_receiver_flush(&q->receiver), HALO_EBUSY);
    }
    return hold_all;
}

static void start_holding(struct queue *q)
{
    struct halo_sender_config sender = queue_sender_config(q, 0);
    struct halo_receiver_config receiver = queue_receiver_config(q, 0);

    queue_start(q, 0);
    sender.policy = receiver.policy = (struct halo_notify_policy){hold, q};
    assert_int_equal(halo_sender_init(&q->sender, &sender, q->memory_of_sender), 0);
    assert_int_equal(halo_receiver_init(&q->receiver, &receiver, q->chains), 0);
    q->notified_receiver = q->notified_sender = asked = 0;
    hold_all = true;
}

/* A request whose kick is held back. */
static struct halo_token ask_quietly(struct queue *q)
{
    const struct halo_token token = queue_ask(q, "x", 8);

    assert_int_equal(halo_sender_flush(&q->sender), 0);
    assert_int_equal(q->notified_receiver, 0);
    return token;
}

static void a_policy_needs_a_notifier(void **state)
{
    struct queue *q = *state;
    struct halo_sender_config sender = queue_sender_config(q, 0);
    struct halo_receiver_config receiver = queue_receiver_config(q, 0);

    sender.policy = receiver.policy = (struct halo_notify_policy){hold, q};
    sender.notifier.notify = receiver.notifier.notify = NULL;
    assert_int_equal(halo_sender_init(&q->sender, &sender, q->memory_of_sender), HALO_EINVAL);
    assert_int_equal(halo_receiver_init(&q->receiver, &receiver, q->chains), HALO_EINVAL);
}

static void one_kick_serves_two_batches(void **state)
{
    struct queue *q = *state;

    start_holding(q);
    (void)ask_quietly(q);
    assert_int_equal(asked, 1);
    assert_int_equal(batches, 1);
    (void)queue_ask(q, "y", 8);
    assert_int_equal(halo_sender_flush(&q->sender), 1); /* which does not ask */
    assert_int_equal(q->notified_receiver, 1);
    assert_int_equal(asked, 1);
    assert_int_equal(halo_sender_flush(&q->sender), 0); /* nothing to ask about */
    assert_int_equal(asked, 1);
    (void)queue_ask(q, "z", 8);
    assert_int_equal(halo_sender_flush(&q->sender), 0);
    assert_int_equal(asked, 2);
}

static void a_policy_that_holds_nothing_changes_nothing(void **state)
{
    struct queue *q = *state;

    start_holding(q);
    hold_all = false;
    (void)queue_ask(q, "x", 8);
    assert_int_equal(halo_sender_flush(&q->sender), 1);
    queue_serve(q, "x", "y");
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(asked, 2);
    assert_int_equal(q->notified_receiver, 1);
    assert_int_equal(q->notified_sender, 1);
}

static void a_kick_goes_out_before_anybody_waits(void **state)
{
    struct queue *q = *state;
    struct halo_token token;

    start_holding(q);
    (void)ask_quietly(q);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
    assert_int_equal(q->notified_receiver, 1);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
    assert_int_equal(q->notified_receiver, 1);

    start_holding(q);
    (void)ask_quietly(q);
    assert_int_equal(halo_sender_reclaim(&q->sender), 0);
    assert_int_equal(q->notified_receiver, 1);

    start_holding(q);
    token = ask_quietly(q);
    assert_int_equal(halo_sender_take(&q->sender, token, &q->answer), 0);
    assert_int_equal(q->notified_receiver, 1);
    assert_int_equal(halo_sender_take(&q->sender, token, &q->answer), 0);

    start_holding(q);
    (void)queue_ask(q, "x", 8);
    assert_int_equal(halo_sender_wait(&q->sender, 1), HALO_ETIMEDOUT);
    assert_int_equal(asked, 1);
    assert_int_equal(q->notified_receiver, 1);
}

static void a_kick_that_nobody_wants_any_more_is_dropped(void **state)
{
    struct queue *q = *state;

    start_holding(q);
    (void)ask_quietly(q);
    halo_device_disarm(&q->receiver.device);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
    assert_int_equal(q->notified_receiver, 0);
}

static void a_reset_forgets_what_was_held_back(void **state)
{
    struct queue *q = *state;

    start_holding(q);
    (void)ask_quietly(q);
    assert_int_equal(halo_sender_stop(&q->sender), 0);
    memset(q->ring, 0, sizeof(q->ring));
    assert_int_equal(halo_sender_reset(&q->sender), 0);
    (void)ask_quietly(q);
    assert_int_equal(asked, 2);
}

static void a_receiver_holds_back_too(void **state)
{
    struct queue *q = *state;

    start_holding(q);
    (void)queue_ask(q, "x", 8);
    (void)queue_ask(q, "y", 8);
    (void)halo_sender_flush(&q->sender);
    queue_serve(q, "x", "X");
    assert_int_equal(halo_receiver_flush(&q->receiver), 0);
    queue_serve(q, "y", "Y");
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(halo_receiver_flush(&q->receiver), 0);
    assert_int_equal(q->notified_sender, 1);

    start_holding(q);
    (void)queue_ask(q, "x", 8);
    (void)halo_sender_flush(&q->sender);
    queue_serve(q, "x", "X");
    assert_int_equal(halo_receiver_flush(&q->receiver), 0);
    assert_int_equal(q->notified_sender, 0);
    assert_int_equal(queue_take(q), 0);
    assert_int_equal(q->notified_sender, 1);
    assert_int_equal(queue_take(q), 0);
    assert_int_equal(q->notified_sender, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_policy_needs_a_notifier),
        TEST(one_kick_serves_two_batches),
        TEST(a_policy_that_holds_nothing_changes_nothing),
        TEST(a_kick_goes_out_before_anybody_waits),
        TEST(a_kick_that_nobody_wants_any_more_is_dropped),
        TEST(a_reset_forgets_what_was_held_back),
        TEST(a_receiver_holds_back_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
