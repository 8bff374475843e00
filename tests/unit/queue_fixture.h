/* A queue with both of its ends in one program, for tests: tiny buffers, everything counted. */
#ifndef QUEUE_FIXTURE_H
#define QUEUE_FIXTURE_H

#include <halo/receiver.h>
#include <halo/sender.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RING 8u
#define SMALL 16u
#define LARGE 64u
#define SMALL_COUNT 8u
#define LARGE_COUNT 4u
#define REQUESTS 6u
#define PARTS 12u

struct queue {
    _Alignas(4096) unsigned char ring[4096];
    _Alignas(4096) unsigned char pool[LARGE * LARGE_COUNT + SMALL * SMALL_COUNT];
    _Alignas(64) unsigned char slots[REQUESTS * HALO_SLOT_LEN];
    uint32_t slot_count;          /* the sender has, up to REQUESTS */
    unsigned char elsewhere[256]; /* shared, and not the pool's */
    uint32_t part_count;          /* of the sender, up to PARTS */
    struct halo_region regions[2];
    struct halo_memory memory;
    struct halo_ring_place place;
    struct halo_tiers tiers;
    uint32_t next[SMALL_COUNT + LARGE_COUNT];
    struct halo_sender sender;
    _Alignas(8) unsigned char memory_of_sender[HALO_SENDER_BYTES(RING, REQUESTS, PARTS)];
    struct halo_receiver receiver;
    struct halo_device_chain chains[RING];
    struct halo_received request; /* of the last take */
    struct halo_span spans[16];
    struct halo_answer answer; /* of the last poll */
    /* the hooks, and what they saw */
    int notified_receiver, notified_sender, received, waited;
    uint64_t deadline;
    int wait_result;
    bool receive_result;
    void (*in_notifier)(struct queue *);
    void (*in_wait)(struct queue *);
    void (*in_receive)(struct queue *);
};

static inline void queue_notify_receiver(void *context, const struct halo_queue_stats *stats)
{
    struct queue *q = context;

    assert_ptr_equal(stats, &q->sender.stats);
    q->notified_receiver++;
    if (q->in_notifier)
        q->in_notifier(q);
}

static inline void queue_notify_sender(void *context, const struct halo_queue_stats *stats)
{
    struct queue *q = context;

    assert_ptr_equal(stats, &q->receiver.stats);
    q->notified_sender++;
    if (q->in_notifier)
        q->in_notifier(q);
}

static inline bool queue_receive(void *context)
{
    struct queue *q = context;

    q->received++;
    if (q->in_receive)
        q->in_receive(q);
    return q->receive_result;
}

static inline int queue_wait(void *context, uint64_t deadline)
{
    struct queue *q = context;

    q->waited++;
    q->deadline = deadline;
    if (q->in_wait)
        q->in_wait(q);
    return q->wait_result;
}

static inline struct halo_sender_config queue_sender_config(struct queue *q, uint32_t features)
{
    return (struct halo_sender_config){.place = q->place,
                                       .provider = &q->tiers.provider,
                                       .slots = q->slots,
                                       .slot_count = q->slot_count,
                                       .features = features,
                                       .request_count = REQUESTS,
                                       .part_count = q->part_count,
                                       .notifier = {queue_notify_receiver, q},
                                       .waiter = {queue_receive, queue_wait, q}};
}

static inline struct halo_receiver_config queue_receiver_config(struct queue *q, uint32_t features)
{
    return (struct halo_receiver_config){.place = q->place,
                                         .memory = &q->memory,
                                         .len_max = 1000,
                                         .features = features,
                                         .notifier = {queue_notify_sender, q}};
}

static inline void queue_start(struct queue *q, uint32_t features)
{
    const struct halo_sender_config sender = queue_sender_config(q, features);
    const struct halo_receiver_config receiver = queue_receiver_config(q, features);

    memset(q->ring, 0, sizeof(q->ring));
    assert_int_equal(
        halo_tiers_init(&q->tiers, q->pool, SMALL, SMALL_COUNT, LARGE, LARGE_COUNT, q->next), 0);
    assert_int_equal(halo_sender_init(&q->sender, &sender, q->memory_of_sender), 0);
    assert_int_equal(halo_receiver_init(&q->receiver, &receiver, q->chains), 0);
}

static inline int queue_open(void **state)
{
    struct queue *q = aligned_alloc(4096, (sizeof(*q) + 4095) / 4096 * 4096);
    const uint32_t all = HALO_MAY_READ | HALO_MAY_WRITE;

    memset(q, 0, sizeof(*q));
    q->regions[0] = (struct halo_region){
        (uintptr_t)q->pool, offsetof(struct queue, slot_count) - offsetof(struct queue, pool),
        halo_shm_share(q->pool), all};
    q->regions[1] = (struct halo_region){(uintptr_t)q->elsewhere, sizeof(q->elsewhere),
                                         halo_shm_share(q->elsewhere), all};
    q->memory = (struct halo_memory){q->regions, 2};
    assert_int_equal(halo_ring_place_in(halo_shm_share(q->ring), RING, &q->place), 0);
    q->wait_result = HALO_ETIMEDOUT;
    q->part_count = PARTS;
    queue_start(q, 0);
    *state = q;
    return 0;
}

/* Nothing is in use any more. */
static inline void assert_queue_idle(const struct queue *q)
{
    assert_int_equal(q->tiers.small.free_count, SMALL_COUNT);
    assert_int_equal(q->tiers.large.free_count, LARGE_COUNT);
    assert_int_equal(q->sender.free_parts, q->part_count);
    assert_int_equal(q->sender.free_requests, REQUESTS);
    assert_int_equal(q->sender.answered, 0);
    assert_int_equal(q->sender.stats.in_flight, 0);
    assert_int_equal(q->receiver.stats.in_flight, 0);
    assert_int_equal(halo_sender_room(&q->sender), RING);
}

static inline int queue_close(void **state)
{
    free(*state);
    return 0;
}

/* --- The common steps ------------------------------------------------------------------------- */

static inline struct halo_token queue_ask(struct queue *q, const char *text, uint64_t answer_len)
{
    struct halo_token token;

    assert_int_equal(
        halo_sender_request(&q->sender, text, strlen(text), answer_len, (uint64_t)text[0], &token),
        0);
    return token;
}

static inline int queue_take(struct queue *q)
{
    return halo_receiver_poll(&q->receiver, &q->request, q->spans, 16);
}

/* Take the next request, which must be `text`, and answer it. */
static inline void queue_serve(struct queue *q, const char *text, const char *answer)
{
    char got[512] = {0};

    assert_int_equal(queue_take(q), 1);
    assert_int_equal(halo_received_len(&q->request), strlen(text));
    assert_int_equal(halo_received_read(&q->request, got, sizeof(got)), strlen(text));
    assert_string_equal(got, text);
    (void)halo_received_write(&q->request, answer, strlen(answer));
    assert_int_equal(halo_receiver_complete(&q->receiver, &q->request), 0);
}

static inline void assert_answer(struct queue *q, const char *text)
{
    char got[512] = {0};

    assert_int_equal(q->answer.len, strlen(text));
    assert_int_equal(halo_answer_read(&q->sender, &q->answer, got, sizeof(got)), strlen(text));
    assert_string_equal(got, text);
    assert_int_equal(halo_answer_read(&q->sender, &q->answer, got, sizeof(got)), 0);
}

static inline void queue_expect(struct queue *q, const char *text)
{
    assert_int_equal(halo_sender_poll(&q->sender, &q->answer), 1);
    assert_answer(q, text);
    assert_int_equal(halo_answer_free(&q->sender, &q->answer), 0);
}

/* Ask for a, b, c, …; nothing is flushed. */
static inline void queue_ask_some(struct queue *q, struct halo_token *tokens, int count)
{
    static const char *const names[] = {"a", "b", "c", "d"};

    for (int i = 0; i < count; i++)
        tokens[i] = queue_ask(q, names[i], 8);
}

static inline void queue_serve_all(struct queue *q)
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

/* Put a chain of these buffers on the ring as a sender of its own kind would, and publish it. */
static inline int queue_put(struct queue *q, const struct halo_buf *bufs, uint32_t readable,
                            uint32_t writable)
{
    const int id = halo_driver_add(&q->sender.driver, bufs, readable, writable);

    halo_driver_publish(&q->sender.driver);
    return id;
}

static inline struct halo_buf queue_at(struct queue *q, uint32_t offset, uint32_t len)
{
    return (struct halo_buf){(uintptr_t)q->elsewhere + offset, len};
}

/* A request "request" with room for an answer of three, two and four bytes, apart from each other.
 */
static inline void queue_put_pieces(struct queue *q)
{
    const struct halo_buf bufs[] = {queue_at(q, 0, 7), queue_at(q, 20, 3), queue_at(q, 40, 2),
                                    queue_at(q, 60, 4)};

    memset(q->elsewhere, '.', sizeof(q->elsewhere));
    memcpy(q->elsewhere, "request", 7);
    assert_true(queue_put(q, bufs, 1, 3) >= 0);
}

static inline void assert_pieces(struct queue *q, const char *first, const char *second,
                                 const char *third)
{
    char around[13] = "............", *piece;

    for (int i = 0; i < 3; i++) {
        memset(around, '.', 12);
        piece = (char *)q->elsewhere + 20 + 20 * i - 4;
        memcpy(around + 4, i == 0 ? first : i == 1 ? second : third, i == 0 ? 3 : i == 1 ? 2 : 4);
        assert_memory_equal(piece, around, 12);
    }
}

static inline uint32_t queue_reap(struct queue *q)
{
    struct halo_used used;

    assert_int_equal(halo_driver_poll(&q->sender.driver, &used), 1);
    return used.len;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, queue_open, queue_close)

#endif
