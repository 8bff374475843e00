/* Requests that are kept without a pointer in them: read, written and answered at offsets. */
#include "queue_fixture.h"

/* Take the next request and park it. */
static struct halo_parked park(struct queue *q)
{
    struct halo_parked parked;

    memset(&parked, 0xee, sizeof(parked));
    assert_int_equal(queue_take(q), 1);
    halo_receiver_park(&q->receiver, &q->request, &parked);
    return parked;
}

/* A request of `text` in small buffers, with room for `room` bytes, taken and parked. */
static struct halo_parked ask(struct queue *q, const char *text, uint64_t room)
{
    queue_ask(q, text, room);
    halo_sender_flush(&q->sender);
    return park(q);
}

/* Longer than two large buffers. */
static const char long_text[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                "0123456789abcdefghijklmnopqrstuvwxyz"
                                "0123456789abcdefghijklmnopqrstuvwxyz"
                                "0123456789abcdefghijklmnopqrstuvwxyz";

static void a_parked_request_is_read_at_any_offset(void **state)
{
    const char *const text = long_text;
    struct queue *q = *state;
    const struct halo_parked parked = ask(q, text, 20);
    char got[192];

    assert_true(parked.readable_count > 2);
    assert_int_equal(parked.readable_len, strlen(text));
    assert_int_equal(parked.writable_len >= 20, 1);
    for (size_t at = 0; at <= sizeof(long_text) + 2; at++) {
        for (size_t len = 0; len <= sizeof(long_text) + 2; len++) {
            const size_t left = at < strlen(text) ? strlen(text) - at : 0;
            const size_t want = len < left ? len : left;

            memset(got, '!', sizeof(got));
            assert_int_equal(halo_parked_read(&q->receiver, &parked, at, got, len), want);
            assert_memory_equal(got, text + (want ? at : 0), want);
            assert_int_equal(got[want], '!');
        }
    }
}

static void a_parked_request_is_answered_with_what_was_written_anywhere(void **state)
{
    struct queue *q = *state;
    const struct halo_parked parked = ask(q, "?", 144);
    const uint32_t room = parked.writable_len;

    assert_int_equal(halo_parked_write(&q->receiver, &parked, room, "x", 1), 0);
    assert_int_equal(halo_parked_write(&q->receiver, &parked, room - 1, "xy", 2), 1);
    assert_int_equal(halo_parked_write(&q->receiver, &parked, 10, "behind, across buffers", 22),
                     22);
    assert_int_equal(halo_parked_write(&q->receiver, &parked, 0, "in front: ", 10), 10);
    assert_int_equal(halo_parked_write(&q->receiver, &parked, LARGE - 3, "across", 6), 6);
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked, room + 1), HALO_EINVAL);
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked, 32), 0);
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked, 32), HALO_ESTALE);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "in front: behind, across buffers");
    assert_queue_idle(q);
}

static void its_spans_are_the_bytes_between_two_offsets(void **state)
{
    const char *const text = long_text;
    struct queue *q = *state;
    const struct halo_parked parked = ask(q, text, 80);
    struct halo_span spans[8];

    for (uint64_t at = 0; at < strlen(text); at++) {
        for (uint64_t limit = 0; limit < sizeof(long_text) + 8; limit++) {
            const uint64_t left = strlen(text) - at, want = limit < left ? limit : left;
            const uint32_t count = halo_parked_readable(&q->receiver, &parked, at, limit, spans, 8);
            size_t done = 0;

            for (uint32_t i = 0; i < count; i++) {
                assert_true(spans[i].len > 0);
                assert_memory_equal(halo_shm_expose(spans[i].base), text + at + done, spans[i].len);
                done += spans[i].len;
            }
            assert_int_equal(done, want);
        }
    }
    assert_int_equal(halo_parked_readable(&q->receiver, &parked, 0, UINT64_MAX, spans, 1), 1);
    assert_int_equal(halo_parked_writable(&q->receiver, &parked, parked.writable_len, 1, spans, 8),
                     0);
    assert_int_equal(halo_parked_writable(&q->receiver, &parked, 0, UINT64_MAX, spans, 1), 1);
    assert_int_equal(halo_parked_writable(&q->receiver, &parked, 0, UINT64_MAX, spans, 8),
                     parked.writable_count);
    assert_int_equal(halo_parked_write(&q->receiver, &parked, 1, "A", 1), 1);
    assert_int_equal(*((char *)halo_shm_expose(spans[0].base) + 1), 'A');
}

static void an_inline_request_is_answered_inline(void **state)
{
    struct queue *q = *state;
    struct halo_parked parked;

    queue_start(q, HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER);
    parked = ask(q, "short", 40);
    assert_true(parked.is_inline);
    assert_int_equal(parked.inline_len, 5);
    assert_memory_equal(parked.inline_bytes, "short", 5);
    assert_int_equal(halo_parked_read(&q->receiver, &parked, 0, (char[4]){0}, 4), 0);
    assert_int_equal(halo_receiver_answer_inline(&q->receiver, &parked, "123456789", 9),
                     HALO_EINVAL);
    assert_int_equal(halo_receiver_answer_inline(&q->receiver, &parked, "ok", 2), 0);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "ok");

    parked = ask(q, "long enough to need a buffer of its own", 40);
    assert_false(parked.is_inline);
    assert_int_equal(halo_receiver_answer_inline(&q->receiver, &parked, "no", 2), HALO_EINVAL);
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked, 0), 0);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "");
    assert_queue_idle(q);
}

static void what_was_parked_is_no_longer_received(void **state)
{
    struct queue *q = *state;

    (void)ask(q, "?", 40);
    assert_int_equal(halo_received_read(&q->request, (char[4]){0}, 4), 0);
    assert_int_equal(halo_received_write(&q->request, "x", 1), HALO_ESTALE);
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), HALO_ESTALE);
    assert_int_equal(halo_receiver_stats(&q->receiver).in_flight, 1);
}

/* A buffer that no pool owns, in another region: it is found there again. */
static void a_piece_names_its_region(void **state)
{
    struct queue *q = *state;
    struct halo_send send;
    struct halo_parked parked;
    char got[8] = {0};

    memcpy(q->elsewhere + 5, "foreign", 7);
    halo_send_begin(&send, &q->sender);
    assert_int_equal(halo_send_lend_readable(&send, q->elsewhere + 5, 7), 0);
    assert_int_equal(halo_send_writable(&send, 8), 0);
    assert_int_equal(halo_send_submit(&send, 1, NULL), 0);
    halo_sender_flush(&q->sender);
    parked = park(q);
    assert_int_equal(parked.extents[0].region, 1);
    assert_int_equal(parked.extents[0].offset, 5);
    assert_int_equal(parked.extents[1].region, 0);
    assert_int_equal(halo_parked_read(&q->receiver, &parked, 0, got, 7), 7);
    assert_string_equal(got, "foreign");
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked, 0), 0);
}

/*
 * Everything of the host's that belongs to a queue is copied, as a snapshot does, the host goes on,
 * and then another receiver takes up the queue in the memory of then.
 */
static void parked_requests_are_answered_by_another_receiver(void **state)
{
    struct queue *q = *state;
    const struct halo_receiver_config config = queue_receiver_config(q, 0);
    struct halo_device_chain chains[RING] = {{0}};
    struct halo_parked parked[2], later;
    struct halo_positions at;
    struct halo_receiver other;

    queue_ask(q, "done before", 16);
    halo_sender_flush(&q->sender);
    queue_serve(q, "done before", "yes");
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "yes");
    parked[0] = ask(q, "first, and longer than one buffer", 16);
    parked[1] = ask(q, "second", 16);
    queue_ask(q, "not taken yet", 16);
    halo_sender_flush(&q->sender);

    at = halo_device_positions(&q->receiver.device);
    assert_int_equal(halo_receiver_init(&other, &config, chains), 0);
    assert_int_equal(halo_receiver_resume(&other, at, NULL), HALO_EINVAL); /* some are in flight */
    assert_int_equal(halo_receiver_resume(&other, at, q->chains), 0);
    assert_int_equal(halo_receiver_stats(&other).in_flight, 2);
    q->receiver = other;
    q->receiver.device.chains = chains;

    assert_int_equal(halo_parked_write(&q->receiver, &parked[1], 0, "2", 1), 1);
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked[1], 1), 0);
    later = park(q);
    assert_int_equal(later.readable_len, strlen("not taken yet"));
    assert_int_equal(halo_parked_write(&q->receiver, &parked[0], 0, "1", 1), 1);
    assert_int_equal(halo_receiver_answer(&q->receiver, &parked[0], 1), 0);
    assert_int_equal(halo_receiver_answer(&q->receiver, &later, 0), 0);
    halo_receiver_flush(&q->receiver);
    queue_expect(q, "2");
    queue_expect(q, "1");
    queue_expect(q, "");
    assert_queue_idle(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_parked_request_is_read_at_any_offset),
        TEST(a_parked_request_is_answered_with_what_was_written_anywhere),
        TEST(its_spans_are_the_bytes_between_two_offsets),
        TEST(an_inline_request_is_answered_inline),
        TEST(what_was_parked_is_no_longer_received),
        TEST(a_piece_names_its_region),
        TEST(parked_requests_are_answered_by_another_receiver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
