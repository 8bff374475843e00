/* The driver's end of a queue: building, submitting, answers. */
#include "queue_fixture.h"

static const char long_text[] = "a request that is so long that neither a small buffer nor a large "
                                "one holds all of it, nor two "
                                "large ones, though three do, and then there is some room left";

/* --- Init ------------------------------------------------------------------------------------- */

static void a_config_that_breaks_its_rules_is_refused(void **state)
{
    struct queue *q = *state;
    struct halo_sender_config bad[9];
    struct halo_sender sender, before;

    memset(&sender, 0x5a, sizeof(sender));
    before = sender;
    for (int i = 0; i < 9; i++)
        bad[i] = queue_sender_config(q, 0);
    bad[0].place.size = 0;
    bad[1].place.desc = NULL;
    bad[2].provider = NULL;
    bad[3].features = 0x8;
    bad[4].features = HALO_FEATURE_INLINE_ANSWER;
    bad[5].request_count = 0;
    bad[6].request_count = 65536;
    bad[7].part_count = 0;
    bad[8].part_count = 65536;
    for (int i = 0; i < 9; i++) {
        assert_int_equal(halo_sender_init(&sender, &bad[i], q->memory_of_sender), HALO_EINVAL);
        assert_memory_equal(&sender, &before, sizeof(sender));
    }
    bad[0] = queue_sender_config(q, 0);
    assert_int_equal(halo_sender_init(&sender, &bad[0], NULL), HALO_EINVAL);
    assert_int_equal(halo_sender_init(&sender, &bad[0], q->memory_of_sender + 4), HALO_EINVAL);
    assert_memory_equal(&sender, &before, sizeof(sender));
}

static void the_largest_counts_are_fine(void **state)
{
    struct queue *q = *state;
    struct halo_sender_config config = queue_sender_config(q, 0);
    void *memory = calloc(1, HALO_SENDER_BYTES(RING, 65535, 65535));

    config.request_count = config.part_count = 65535;
    assert_int_equal(halo_sender_init(&q->sender, &config, memory), 0);
    queue_ask(q, "x", 1);
    halo_sender_flush(&q->sender);
    queue_serve(q, "x", "y");
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "y");
    free(memory);
}

/* --- Building --------------------------------------------------------------------------------- */

/* Records, parts and chains lie one behind the other. */
static void a_start_writes_no_part_over_a_chain(void **state)
{
    struct queue *q = *state;

    for (uint32_t id = 0; id < RING; id++) {
        assert_int_equal(q->sender.driver.chains[id].limit, 0);
        assert_int_equal(q->sender.driver.chains[id].batch, 0);
        assert_int_equal(halo_driver_chain_slots(&q->sender.driver.chains[id]), 0);
    }
}

static void a_request_and_its_answer_cross(void **state)
{
    struct queue *q = *state;
    const struct halo_token token = queue_ask(q, "2+2", 10);

    assert_int_equal(queue_take(q), 0);
    assert_int_equal(halo_sender_flush(&q->sender), 1);
    assert_int_equal(q->notified_receiver, 1);
    assert_int_equal(halo_sender_flush(&q->sender), 0);
    assert_int_equal(q->sender.stats.batches, 1);
    assert_int_equal(q->sender.stats.notifications, 1);
    queue_serve(q, "2+2", "4");
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
    assert_int_equal(halo_receiver_flush(&q->receiver), 1);
    assert_int_equal(q->notified_sender, 1);
    assert_int_equal(q->receiver.stats.batches, 1);
    assert_int_equal(q->receiver.stats.notifications, 1);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_int_equal(q->answer.context, '2');
    assert_int_equal(halo_token_id(q->answer.token), halo_token_id(token));
    assert_int_equal(q->answer.token.word, token.word);
    assert_false(q->answer.truncated);
    assert_false(q->answer.is_inline);
    assert_int_equal(q->answer.full_len, 1);
    assert_answer(q, "4");
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
    assert_queue_idle(q);
}

static void long_messages_are_cut_into_buffers(void **state)
{
    struct queue *q = *state;
    char answer[200];
    struct halo_span span;
    size_t seen = 0, spans = 0;

    memset(answer, 'z', sizeof(answer));
    answer[100] = 0;
    queue_ask(q, long_text, 100); /* three large buffers, and for the answer one, and small ones */
    assert_int_equal(q->tiers.large.free_count, 0);
    halo_sender_flush(&q->sender);
    queue_serve(q, long_text, answer);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_int_equal(q->tiers.large.free_count, 3); /* what was read is free at once */
    assert_int_equal(q->answer.len, 100);
    while (halo_answer_span(&q->sender, &q->answer, &span)) {
        for (size_t i = 0; i < span.len; i++)
            assert_int_equal(((unsigned char *)halo_shm_expose(span.base))[i], 'z');
        seen += span.len;
        spans++;
    }
    assert_int_equal(seen, 100);
    assert_int_equal(spans, 4); /* 64 and three times 16 hold 112 */
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_queue_idle(q);
}

static void an_answer_is_read_in_any_pieces(void **state)
{
    struct queue *q = *state;
    char answer[161] = {0}, got[200];

    for (int i = 0; i < 160; i++)
        answer[i] = (char)('a' + i % 26);
    for (size_t step = 1; step < 170; step++) {
        size_t len = 0, n;
        struct halo_span span;

        queue_ask(q, "go", 160);
        halo_sender_flush(&q->sender);
        queue_serve(q, "go", answer);
        halo_receiver_flush(&q->receiver);
        assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
        while ((n = halo_answer_read(&q->sender, &q->answer, got + len, step)) > 0) {
            len += n;
            if (step == 7 && len == 70) /* the two ways may be mixed */
                break;
        }
        if (step == 7) {
            assert_int_equal(halo_answer_span(&q->sender, &q->answer, &span), 1);
            assert_ptr_not_equal(span.base, NULL);
            memcpy(got + len, halo_shm_expose(span.base), span.len);
            len += span.len;
            len += halo_answer_read(&q->sender, &q->answer, got + len, sizeof(got) - len);
        }
        assert_int_equal(len, 160);
        assert_memory_equal(got, answer, 160);
        assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    }
    assert_queue_idle(q);
}

static void writes_fill_the_buffer_that_is_there(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    char *at;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_readable(&send, 3, (void **)&at), 0);
    memcpy(at, "abc", 3);
    assert_int_equal(halo_send_write(&send, "def", 3), 0);
    assert_int_equal(q->sender.free_parts, PARTS - 1);
    assert_int_equal(halo_send_write(&send, "0123456789", 10), 0); /* exactly full */
    assert_int_equal(q->sender.free_parts, PARTS - 1);
    assert_int_equal(halo_send_write(&send, "x", 1), 0);
    assert_int_equal(halo_send_write(&send, "y", 1), 0); /* into what the last one has left */
    assert_int_equal(q->sender.free_parts, PARTS - 2);
    assert_int_equal(halo_send_write(&send, "0123456789abcdefghijk", 21), 0);
    assert_int_equal(q->sender.free_parts, PARTS - 3);
    assert_int_equal(halo_send_submit(&send, 1, NULL), 0);
    halo_sender_flush(&q->sender);
    queue_serve(q, "abcdef0123456789xy0123456789abcdefghijk", "");
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "");
    assert_queue_idle(q);
}

static void what_the_program_lends_is_not_copied(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    unsigned char *own = halo_buffer_alloc(&q->tiers.provider, LARGE);

    memcpy(own, "0123", 4);
    memcpy(q->elsewhere, "abc", 3);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_lend_readable(&send, q->elsewhere, 3), 0);
    assert_int_equal(halo_send_lend_readable(&send, own + 1, 3), 0);
    assert_int_equal(halo_send_lend_writable(&send, q->elsewhere + 100, 20), 0);
    /* A buffer in flight is neither freed nor resized nor lent again. */
    assert_int_equal(halo_buffer_free(&q->tiers.provider, own), HALO_EBUSY);
    assert_int_equal(halo_buffer_resize(&q->tiers.provider, (void **)&own, 1, 2), HALO_EBUSY);
    assert_int_equal(halo_send_lend_writable(&send, own, 1), HALO_EBUSY);
    assert_int_equal(halo_send_submit(&send, 0, NULL), 0);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(q->request.chain.readable_count, 2);
    assert_ptr_equal(q->spans[0].base, q->elsewhere);
    assert_ptr_equal(q->spans[1].base, own + 1);
    assert_ptr_equal(q->spans[2].base, q->elsewhere + 100);
    assert_int_equal(halo_received_write(&q->request, "hello", 5), 5);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_buffer_free(&q->tiers.provider, own), HALO_EBUSY);
    queue_expect(q, "hello");
    assert_memory_equal(q->elsewhere + 100, "hello", 5);
    assert_int_equal(halo_buffer_free(&q->tiers.provider, own), 0);
    assert_queue_idle(q);
}

static void a_buffer_is_lent_whole_or_in_part_but_not_beyond(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    unsigned char *own = halo_buffer_alloc(&q->tiers.provider, SMALL);

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_lend_readable(&send, own, SMALL + 1), HALO_EINVAL);
    assert_int_equal(halo_send_lend_readable(&send, own + 10, 7), HALO_EINVAL);
    assert_int_equal(halo_send_lend_readable(&send, own, 0), HALO_EINVAL);
    assert_int_equal(halo_send_lend_writable(&send, q->elsewhere, 0), HALO_EINVAL);
    assert_int_equal(halo_send_lend_readable(&send, own + 10, 6), 0);
    halo_send_drop(&send);
    assert_int_equal(halo_buffer_free(&q->tiers.provider, own), 0);
    assert_queue_idle(q);
}

static void a_request_that_was_dropped_leaves_nothing(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at;

    halo_send_begin(&send, &q->sender);
    halo_send_drop(&send);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_readable(&send, 3, &at), 0);
    assert_int_equal(halo_send_writable(&send, 200), 0);
    halo_send_drop(&send);
    halo_send_drop(&send);
    assert_queue_idle(q);
    assert_int_equal(halo_sender_flush(&q->sender), 0);
    assert_int_equal(queue_take(q), 0);
}

static void a_chain_is_submitted_once(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at = NULL;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_submit(&send, 0, NULL), HALO_EINVAL); /* no buffer at all */
    assert_int_equal(halo_send_write(&send, "x", 1), 0);
    assert_int_equal(halo_send_submit(&send, 0, NULL), 0);
    assert_int_equal(halo_send_submit(&send, 0, NULL), HALO_ESTATE);
    assert_int_equal(halo_send_submit_wait(&send, 0, 1, NULL), HALO_ESTATE);
    assert_int_equal(halo_send_write(&send, "x", 1), HALO_ESTATE);
    assert_int_equal(halo_send_readable(&send, 1, &at), HALO_ESTATE);
    assert_int_equal(halo_send_writable(&send, 1), HALO_ESTATE);
    assert_int_equal(halo_send_lend_readable(&send, q->elsewhere, 1), HALO_ESTATE);
    assert_int_equal(halo_send_lend_writable(&send, q->elsewhere, 1), HALO_ESTATE);
    assert_int_equal(halo_send_inline(&send, "x", 1), HALO_ESTATE);
    halo_send_drop(&send); /* does nothing */
    assert_int_equal(q->sender.stats.requests, 1);
    assert_int_equal(halo_sender_room(&q->sender), RING - 1);
}

static void what_comes_in_the_wrong_order_is_refused(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at = NULL;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_writable(&send, 5), 0);
    assert_int_equal(halo_send_readable(&send, 5, &at), HALO_ESTATE);
    assert_int_equal(halo_send_write(&send, "x", 1), HALO_ESTATE);
    assert_int_equal(halo_send_lend_readable(&send, q->elsewhere, 1), HALO_ESTATE);
    assert_int_equal(halo_send_inline(&send, "x", 1), HALO_ESTATE);
    assert_null(at);
    halo_send_drop(&send);
    assert_queue_idle(q);
}

static void lengths_out_of_range_are_refused(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at = NULL;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_readable(&send, 0, &at), HALO_EINVAL);
    assert_int_equal(halo_send_write(&send, "x", 0), HALO_EINVAL);
    assert_int_equal(halo_send_writable(&send, 0), HALO_EINVAL);
    assert_int_equal(halo_send_writable(&send, (uint64_t)UINT32_MAX + 1), HALO_EINVAL);
    assert_int_equal(halo_send_writable(&send, UINT64_MAX), HALO_EINVAL);
    assert_int_equal(halo_send_lend_writable(&send, q->elsewhere, UINT32_MAX), 0);
    assert_int_equal(halo_send_lend_writable(&send, q->elsewhere, 1), HALO_EINVAL);
    assert_int_equal(halo_send_writable(&send, 1), HALO_EINVAL);
    halo_send_drop(&send);
    assert_int_equal(halo_sender_request(&q->sender, NULL, 0, 0, 0, NULL), HALO_EINVAL);
    assert_queue_idle(q);
}

/* --- Short of buffers ------------------------------------------------------------------------- */

static void an_empty_pool_leaves_a_request_as_it_was(void **state)
{
    struct queue *q = *state;
    struct halo_send send, before;
    unsigned char bytes[600] = {0};
    void *at = NULL;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, bytes, sizeof(bytes)), HALO_ENOMEM);
    assert_queue_idle(q);
    assert_int_equal(halo_send_readable(&send, LARGE + 1, &at), HALO_ENOMEM);
    assert_int_equal(halo_send_write(&send, "abc", 3), 0);
    before = send;
    assert_int_equal(halo_send_write(&send, bytes, sizeof(bytes)), HALO_ENOMEM);
    assert_memory_equal(&send, &before, sizeof(send));
    assert_int_equal(halo_send_writable(&send, 500), HALO_ENOMEM);
    assert_memory_equal(&send, &before, sizeof(send));
    assert_int_equal(halo_send_write(&send, "def", 3), 0); /* where it left off */
    assert_int_equal(q->sender.free_parts, PARTS - 1);
    assert_int_equal(halo_send_writable(&send, 200), 0);
    before = send;
    assert_int_equal(halo_send_writable(&send, 300), HALO_ENOMEM);
    assert_memory_equal(&send, &before, sizeof(send));
    assert_int_equal(q->sender.stats.pool_empty, 5);
    assert_int_equal(halo_send_submit(&send, 0, NULL), 0);
    halo_sender_flush(&q->sender);
    queue_serve(q, "abcdef", "ok");
    assert_int_equal(q->request.chain.writable_len, 200);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "ok");
    assert_queue_idle(q);
}

static void parts_run_out_like_buffers(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at = NULL;

    halo_send_begin(&send, &q->sender);
    for (uint32_t i = 0; i < PARTS; i++)
        assert_int_equal(halo_send_lend_readable(&send, q->elsewhere + i, 1), 0);
    assert_int_equal(halo_send_lend_readable(&send, q->elsewhere, 1), HALO_ENOMEM);
    assert_int_equal(halo_send_write(&send, "x", 1), HALO_ENOMEM);
    assert_int_equal(halo_send_readable(&send, 1, &at), HALO_ENOMEM);
    assert_int_equal(halo_send_writable(&send, 1), HALO_ENOMEM);
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT);
    assert_int_equal(halo_send_submit(&send, 0, NULL), HALO_EINVAL); /* more than the ring has */
    halo_send_drop(&send);
    assert_queue_idle(q);
}

/* Buffers that the device has read come back by themselves; the answers wait. */
static void under_pressure_nothing_that_came_back_is_lost(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at;

    queue_ask(q, "a large request that takes one large buffer", 3);
    queue_ask(q, "b large request that takes one large buffer", 3);
    queue_ask(q, "c large request that takes one large buffer", 3);
    halo_sender_flush(&q->sender);
    queue_serve(q, "a large request that takes one large buffer", "one");
    queue_serve(q, "b large request that takes one large buffer", "two");
    halo_receiver_flush(&q->receiver);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_readable(&send, LARGE, &at), 0);
    assert_int_equal(q->sender.answered, 0);
    assert_int_equal(halo_send_readable(&send, LARGE, &at), 0); /* takes both answers in */
    assert_int_equal(q->sender.answered, 2);
    assert_int_equal(halo_send_readable(&send, LARGE, &at), 0);
    assert_int_equal(halo_send_readable(&send, LARGE, &at), HALO_ENOMEM);
    assert_int_equal(halo_send_submit(&send, 'd', NULL), 0);
    halo_sender_flush(&q->sender);
    queue_serve(q, "c large request that takes one large buffer", "three");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_reclaim(&q->sender), 3);
    queue_expect(q, "one");
    queue_expect(q, "two");
    queue_expect(q, "thr");
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 0);
}

static void a_full_ring_takes_answers_in_before_it_refuses(void **state)
{
    struct queue *q = *state;
    struct halo_send send;

    for (int i = 0; i < 4; i++)
        queue_ask(q, "x", 1);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, "y", 1), 0);
    assert_int_equal(halo_send_submit(&send, 5, NULL), HALO_EFULL);
    assert_int_equal(q->sender.stats.ring_full, 1);
    halo_sender_flush(&q->sender);
    queue_serve(q, "x", "1");
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_send_submit(&send, 5, NULL), 0);
    assert_int_equal(q->sender.answered, 1);
    queue_expect(q, "1");
}

static void request_records_run_out_until_answers_are_freed(void **state)
{
    struct queue *q = *state;
    struct halo_answer answers[REQUESTS];

    for (uint32_t i = 0; i < REQUESTS; i++) {
        queue_ask(q, "x", 1);
        halo_sender_flush(&q->sender);
        queue_serve(q, "x", "1");
        halo_receiver_flush(&q->receiver);
        assert_int_equal(halo_sender_poll(&q->sender, &answers[i]), 1);
    }
    assert_int_equal(halo_sender_request(&q->sender, "x", 1, 0, 0, NULL), HALO_EFULL);
    assert_int_equal(halo_answer_free(&q->sender, &answers[3]), 0);
    queue_ask(q, "x", 0);
    assert_int_equal(halo_sender_request(&q->sender, "x", 1, 0, 0, NULL), HALO_EFULL);
}

static void an_answer_that_comes_meanwhile_frees_no_part_by_itself(void **state)
{
    struct queue *q = *state;
    struct halo_send first, second;

    q->part_count = 2;
    queue_start(q, 0);
    halo_send_begin(&first, &q->sender);
    assert_int_equal(halo_send_writable(&first, 8), 0);
    assert_int_equal(halo_send_submit(&first, 0, NULL), 0);
    halo_send_begin(&second, &q->sender);
    assert_int_equal(halo_send_lend_readable(&second, q->elsewhere, 8), 0);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(halo_send_lend_readable(&second, q->elsewhere, 8), HALO_ENOMEM);
        assert_int_equal(halo_send_lend_writable(&second, q->elsewhere, 8), HALO_ENOMEM);
        assert_int_equal(q->sender.free_parts, 0);
    }
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_int_equal(halo_send_lend_writable(&second, q->elsewhere, 8), 0);
    halo_send_drop(&second);
    assert_queue_idle(q);
}

static void an_answer_that_comes_meanwhile_frees_no_buffer_by_itself(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    void *at;

    halo_send_begin(&send, &q->sender); /* all that there is, for an answer */
    assert_int_equal(halo_send_writable(&send, LARGE * LARGE_COUNT), 0);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(halo_send_writable(&send, SMALL), 0);
    assert_int_equal(halo_send_submit(&send, 0, NULL), 0);
    halo_sender_flush(&q->sender);
    for (uint32_t i = 0; i < SMALL_COUNT - 4; i++)
        assert_non_null(halo_buffer_alloc(&q->tiers.provider, SMALL));
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_readable(&send, 1, &at), HALO_ENOMEM);
    assert_int_equal(q->sender.answered, 1);
    assert_int_equal(halo_sender_stats(&q->sender).pool_empty, 1);
}

static void room_for_a_long_answer_may_come_first(void **state)
{
    struct queue *q = *state;
    struct halo_send send;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_writable(&send, 100000), HALO_ENOMEM);
    assert_queue_idle(q);
    assert_int_equal(halo_send_writable(&send, 3 * LARGE + 5), 0);
    assert_int_equal(halo_send_submit(&send, 0, NULL), 0);
    halo_sender_flush(&q->sender);
    assert_int_equal(queue_take(q), 1);
    assert_int_equal(q->request.chain.writable_len, 3 * LARGE + 5);
    assert_int_equal(halo_received_write(&q->request, long_text, 70), 70);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
    halo_receiver_flush(&q->receiver);
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    for (uint64_t left = 70; left > 0;) { /* no more of the buffers than there is an answer */
        struct halo_span span;

        assert_int_equal(halo_answer_span(&q->sender, &q->answer, &span), 1);
        assert_int_equal(span.len, left < LARGE ? left : LARGE);
        left -= span.len;
        assert_int_equal(q->answer.left, left);
    }
    assert_int_equal(halo_answer_span(&q->sender, &q->answer, q->spans), 0);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
    assert_queue_idle(q);
}

/* Where lengths have 64 bits. */
static void more_than_4_gib_are_too_much_for_the_pool_and_nothing_else(void **state)
{
    struct queue *q = *state;
    char *bytes = calloc(1, sizeof(q->pool));
    struct halo_send send;

    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_write(&send, bytes, (size_t)UINT32_MAX + 2), HALO_ENOMEM);
    assert_int_equal(halo_send_writable(&send, (uint64_t)UINT32_MAX + 1), HALO_EINVAL);
    assert_queue_idle(q);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_config_that_breaks_its_rules_is_refused),
        TEST(the_largest_counts_are_fine),
        TEST(a_start_writes_no_part_over_a_chain),
        TEST(a_request_and_its_answer_cross),
        TEST(long_messages_are_cut_into_buffers),
        TEST(an_answer_is_read_in_any_pieces),
        TEST(writes_fill_the_buffer_that_is_there),
        TEST(what_the_program_lends_is_not_copied),
        TEST(a_buffer_is_lent_whole_or_in_part_but_not_beyond),
        TEST(a_request_that_was_dropped_leaves_nothing),
        TEST(a_chain_is_submitted_once),
        TEST(what_comes_in_the_wrong_order_is_refused),
        TEST(lengths_out_of_range_are_refused),
        TEST(an_empty_pool_leaves_a_request_as_it_was),
        TEST(parts_run_out_like_buffers),
        TEST(under_pressure_nothing_that_came_back_is_lost),
        TEST(a_full_ring_takes_answers_in_before_it_refuses),
        TEST(request_records_run_out_until_answers_are_freed),
        TEST(an_answer_that_comes_meanwhile_frees_no_part_by_itself),
        TEST(an_answer_that_comes_meanwhile_frees_no_buffer_by_itself),
        TEST(room_for_a_long_answer_may_come_first),
        TEST(more_than_4_gib_are_too_much_for_the_pool_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
