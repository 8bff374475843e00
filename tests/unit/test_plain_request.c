/*
 * A short request goes into a slot, and the same one piece by piece into buffers of the pool: both
 * have the same results, and leave the same records and the same words on the ring behind, but for
 * where the bytes lie; at random, and in every want.
 */
#include "queue_fixture.h"

#define KEPT 4u
#define DELTA 0x7000u /* what the device adds to a pointer of the sender's */

/* The same queue twice: one is asked by halo_sender_request, the other by its steps. */
struct twins {
    struct queue *at[2];
    struct halo_answer kept[2][KEPT];
    uint32_t kept_count;
    uint64_t seed;
    uint32_t plain, refused; /* how often: neither must be never */
};

static uint32_t any(struct twins *twins, uint32_t count)
{
    twins->seed = twins->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(twins->seed >> 33) % count;
}

/* What halo_sender_request is said to do. */
static int ask_by_steps(struct halo_sender *sender, const void *bytes, size_t len,
                        uint64_t answer_len, uint64_t context, struct halo_token *token)
{
    const uint32_t features = sender->driver.features;
    struct halo_send send;
    int error = 0;

    halo_send_begin(&send, sender);
    if ((features & HALO_FEATURE_INLINE_REQUEST) && len <= HALO_INLINE_REQUEST_MAX) {
        error = halo_send_inline(&send, bytes, (uint32_t)len);
        if ((features & HALO_FEATURE_INLINE_ANSWER) && answer_len <= HALO_INLINE_ANSWER_MAX)
            answer_len = 0;
    } else if (len > 0) {
        error = halo_send_write(&send, bytes, len);
    }
    if (!error && answer_len > 0)
        error = halo_send_writable(&send, answer_len);
    if (!error)
        error = halo_send_submit(&send, context, token);
    if (error)
        halo_send_drop(&send);
    return error;
}

static void ask(struct twins *twins)
{
    /* None that needs a large buffer: where the pool is empty, a slot is not. */
    static const uint64_t lens[] = {0,  1,  4,  7,  8,          9,
                                    12, 13, 15, 16, UINT32_MAX, UINT32_MAX + 1ull};
    const size_t len = (size_t)lens[any(twins, 10)];
    const uint64_t answer_len = lens[any(twins, 12)], context = any(twins, 1000);
    struct halo_token token[2] = {{0}, {0}};
    unsigned char bytes[90];
    int result;

    memset(bytes, (int)any(twins, 256), sizeof(bytes));
    result = halo_sender_request(&twins->at[0]->sender, bytes, len, answer_len, context, &token[0]);
    assert_int_equal(
        ask_by_steps(&twins->at[1]->sender, bytes, len, answer_len, context, &token[1]), result);
    assert_int_equal(token[0].word, token[1].word);
    twins->plain += result == 0 && len > 12 && answer_len > 0;
    twins->refused += result != 0;
}

static void serve(struct twins *twins)
{
    const uint32_t len = any(twins, 80);
    unsigned char got[2][90], answer[80];
    size_t read[2];

    memset(answer, (int)any(twins, 256), sizeof(answer));
    memset(got, 0, sizeof(got));
    if (queue_take(twins->at[0]) != 1) {
        assert_true(queue_take(twins->at[1]) != 1);
        return;
    }
    assert_int_equal(queue_take(twins->at[1]), 1);
    for (int i = 0; i < 2; i++) {
        struct queue *q = twins->at[i];

        read[i] = halo_received_read(&q->request, got[i], sizeof(got[i]));
        (void)halo_received_write(&q->request, answer, len);
        assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
        (void)halo_receiver_flush(&q->receiver);
    }
    assert_int_equal(read[0], read[1]);
    assert_memory_equal(got[0], got[1], sizeof(got[0]));
}

static void answer_comes(struct twins *twins)
{
    struct halo_answer answers[2];
    unsigned char got[2][90];
    const int came = halo_sender_poll(&twins->at[0]->sender, &answers[0]);

    assert_int_equal(halo_sender_poll(&twins->at[1]->sender, &answers[1]), came);
    if (came != 1)
        return;
    assert_int_equal(answers[0].token.word, answers[1].token.word);
    assert_int_equal(answers[0].context, answers[1].context);
    assert_int_equal(answers[0].len, answers[1].len);
    memset(got, 0, sizeof(got));
    for (int i = 0; i < 2; i++)
        (void)halo_answer_read(&twins->at[i]->sender, &answers[i], got[i], sizeof(got[i]));
    assert_memory_equal(got[0], got[1], sizeof(got[0]));
    if (twins->kept_count < KEPT && any(twins, 2)) {
        for (int i = 0; i < 2; i++)
            twins->kept[i][twins->kept_count] = answers[i];
        twins->kept_count++;
        return;
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(halo_answer_free(&twins->at[i]->sender, &answers[i]), 0);
}

static void let_go(struct twins *twins)
{
    if (twins->kept_count == 0)
        return;
    twins->kept_count--;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            halo_answer_free(&twins->at[i]->sender, &twins->kept[i][twins->kept_count]), 0);
}

static void assert_twins(const struct twins *twins)
{
    const struct queue *a = twins->at[0], *b = twins->at[1];
    const struct halo_sender *x = &a->sender, *y = &b->sender;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        assert_int_equal(x->requests[i].token, y->requests[i].token);
        assert_int_equal(x->requests[i].context, y->requests[i].context);
        assert_int_equal(x->requests[i].state, y->requests[i].state);
    }
    assert_memory_equal(x->driver.chains, y->driver.chains, RING * sizeof(*x->driver.chains));
    assert_memory_equal(&x->stats, &y->stats, sizeof(x->stats));
    assert_int_equal(x->free_requests, y->free_requests);
    assert_int_equal(x->driver.free_slots, y->driver.free_slots);
    assert_int_equal(x->driver.free_id, y->driver.free_id);
    assert_int_equal(x->driver.held, y->driver.held);
    assert_int_equal(x->driver.staged, y->driver.staged);
    assert_int_equal(x->driver.batch_meta, y->driver.batch_meta);
    for (uint32_t i = 0; i < RING; i++) {
        uint64_t desc[2][2];

        memcpy(desc[0], a->ring + 16 * i, 16);
        memcpy(desc[1], b->ring + 16 * i, 16);
        assert_int_equal(desc[0][1], desc[1][1]);
    }
}

/* A number of steps, and in the end a queue that is latched. */
static void run(struct twins *twins, uint32_t features)
{
    twins->kept_count = 0;
    for (int i = 0; i < 2; i++) {
        memset(twins->at[i]->pool, 0, sizeof(twins->at[i]->pool));
        memset(twins->at[i]->memory_of_sender, 0, sizeof(twins->at[i]->memory_of_sender));
        twins->at[i]->slot_count = i == 0 ? REQUESTS : 0;
        twins->at[i]->regions[0].base = (uintptr_t)twins->at[i]->pool + DELTA;
        queue_start(twins->at[i], features);
        twins->at[i]->sender.address_delta = DELTA;
    }
    for (int step = 0; step < 400; step++) {
        switch (any(twins, 6)) {
        case 0:
        case 1:
            ask(twins);
            break;
        case 2:
            assert_int_equal(halo_sender_flush(&twins->at[0]->sender),
                             halo_sender_flush(&twins->at[1]->sender));
            break;
        case 3:
            serve(twins);
            break;
        case 4:
            answer_comes(twins);
            break;
        default:
            let_go(twins);
        }
        assert_twins(twins);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(halo_sender_stop(&twins->at[i]->sender), 0);
    for (int i = 0; i < 10; i++)
        ask(twins);
    assert_twins(twins);
}

static void both_ways_of_a_request_leave_the_same_behind(void **state)
{
    struct twins twins = {.seed = 19};

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(queue_open((void **)&twins.at[i]), 0);
    for (int again = 0; again < 120; again++) {
        run(&twins, 0);
        run(&twins, HALO_FEATURES_ALL);
    }
    assert_true(twins.plain > 1000);
    assert_true(twins.refused > 1000);
    for (int i = 0; i < 2; i++)
        (void)queue_close((void **)&twins.at[i]);
}

/* The request that a notifier makes is refused on either way. */
static void ask_in_notifier(struct queue *q)
{
    assert_int_equal(halo_sender_request(&q->sender, "in a notifier", 13, 8, 0, NULL), HALO_EBUSY);
}

static void res_10_the_plain_path_is_refused_in_a_notifier(void **state)
{
    struct queue *q = *state;

    q->slot_count = REQUESTS;
    queue_start(q, 0);
    q->in_notifier = ask_in_notifier;
    (void)queue_ask(q, "some longer text", 8);
    assert_int_equal(halo_sender_flush(&q->sender), 1);
    assert_int_equal(q->notified_receiver, 1);
    assert_int_equal(q->sender.stats.in_flight, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_of_a_request_leave_the_same_behind),
        cmocka_unit_test_setup_teardown(res_10_the_plain_path_is_refused_in_a_notifier, queue_open,
                                        queue_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
