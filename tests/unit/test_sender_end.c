/* The end of a queue at its sender: stopped, reset or broken, each lost request is told of once. */
#include "queue_fixture.h"

static void drv_20_each_lost_request_is_told_of_once(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4], lost;
    uint64_t context, seen = 0;
    int count = 0;

    assert_int_equal(halo_sender_fail(&q->sender, &lost, &context), HALO_ESTATE);
    assert_int_equal(halo_sender_reset(&q->sender), HALO_ESTATE);
    queue_ask_some(q, tokens, 3);
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
    queue_serve_all(q);
    queue_expect(q, "x!");
}

/* A reset without having asked for the lost ones frees their buffers as well. */
static void a_reset_takes_everything_back(void **state)
{
    struct queue *q = *state;
    struct halo_token tokens[4];

    queue_start(q, HALO_FEATURES_ALL);
    queue_ask_some(q, tokens, 4);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drv_20_each_lost_request_is_told_of_once),
        TEST(a_reset_takes_everything_back),
        TEST(a_broken_ring_reaches_everybody_who_waits),
        TEST(a_ring_that_breaks_while_we_wait_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
