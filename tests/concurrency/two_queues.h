/*
 * Two sides, two queues, both full: each side sends on one queue and serves the other, on rings and
 * pools so small that both sides wait to send most of the time. Every byte is checked, and every
 * answer comes back exactly once. Whoever forgets to receive while it waits hangs here: R16.
 *
 * What includes this says how a side sleeps and is woken: `struct bell`, ring_bell and
 * sleep_until_rung. Rings before a side sleeps are not lost.
 */
#ifndef TWO_QUEUES_H
#define TWO_QUEUES_H

#include <halo/receiver.h>
#include <halo/sender.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RING_MAX 8u
#define BUF_LEN 64u
#define BUFS_MAX 8u

/* One direction: what its sender and its receiver share, and what each has of its own. */
struct queue {
    _Alignas(4096) unsigned char ring[4096];
    _Alignas(4096) unsigned char buffers[BUFS_MAX * BUF_LEN];
    struct halo_region region;
    struct halo_memory memory;
    struct halo_sender sender;
    _Alignas(8) unsigned char memory_of_sender[HALO_SENDER_BYTES(RING_MAX, RING_MAX, BUFS_MAX)];
    struct halo_pool pool;
    uint32_t next[BUFS_MAX];
    _Alignas(64) struct halo_receiver receiver;
    struct halo_device_chain chains[RING_MAX];
};

struct side {
    struct queue *out, *in;
    struct bell bell;
    struct side *peer;
    bool with_answers;
    uint32_t requests; /* that each side sends */
    uint32_t seed;
    uint32_t answered, served; /* own requests, the peer's */
    bool ended;
    const char *wrong; /* what went wrong first */
};

static inline uint32_t pick(struct side *side, uint32_t below)
{
    side->seed = side->seed * 1664525u + 1013904223u;
    return (side->seed >> 8) % below;
}

static inline void check(struct side *side, bool condition, const char *what)
{
    if (!condition && !side->wrong)
        side->wrong = what;
}

/* A request is its number and bytes that follow from it; so is its answer, with others. */
static inline size_t fill(unsigned char *bytes, uint32_t number, unsigned char salt)
{
    const size_t len = 4 + number % (BUF_LEN - 4);

    memcpy(bytes, &number, 4);
    for (size_t i = 4; i < len; i++)
        bytes[i] = (unsigned char)(number * 31 + i * 7 + salt);
    return len;
}

static inline void notify_peer(void *context, const struct halo_queue_stats *stats)
{
    struct side *side = context;

    (void)stats;
    ring_bell(&side->peer->bell);
}

/* Serve what is there on the other queue: the answer to each of them needs no waiting. */
static inline bool receive(void *context)
{
    struct side *side = context;
    struct halo_receiver *receiver = &side->in->receiver;
    struct halo_received request;
    struct halo_span spans[4];
    bool any = false;
    int got;

    while ((got = halo_receiver_poll(receiver, &request, spans, 4)) > 0) {
        unsigned char bytes[BUF_LEN], expected[BUF_LEN];
        const size_t len = halo_received_read(&request, bytes, sizeof(bytes));
        uint32_t number = 0;

        memcpy(&number, bytes, 4);
        check(side,
              number == side->served && len == fill(expected, number, 1) &&
                  memcmp(bytes, expected, len) == 0,
              "a request is not what was sent");
        if (side->with_answers)
            halo_received_write(&request, expected, fill(expected, number, 2));
        check(side, halo_receiver_complete(receiver, &request) == 0, "cannot complete");
        side->served++;
        any = true;
    }
    check(side, got == 0, "the receiver found a broken ring");
    check(side, halo_receiver_flush(receiver) >= 0, "cannot flush the answers");
    return any;
}

/* Called with the sender armed. */
static inline int wait_for_bell(void *context, uint64_t deadline)
{
    struct side *side = context;

    (void)deadline;
    if (!halo_device_arm(&side->in->receiver.device))
        sleep_until_rung(&side->bell);
    return 0;
}

static inline void take_answers(struct side *side)
{
    struct halo_sender *sender = &side->out->sender;
    struct halo_answer answer;

    while (halo_sender_poll(sender, &answer) > 0) {
        unsigned char bytes[BUF_LEN], expected[BUF_LEN];
        const size_t len = halo_answer_read(sender, &answer, bytes, sizeof(bytes));

        if (side->with_answers)
            check(side,
                  len == fill(expected, (uint32_t)answer.context, 2) &&
                      memcmp(bytes, expected, len) == 0,
                  "an answer is not that of its request");
        check(side, answer.context == side->answered, "an answer is missing");
        check(side, halo_answer_free(sender, &answer) == 0, "cannot free an answer");
        side->answered++;
    }
}

static inline void send_one(struct side *side, uint32_t number)
{
    struct halo_sender *sender = &side->out->sender;
    unsigned char bytes[BUF_LEN];
    const size_t len = fill(bytes, number, 1);
    struct halo_send send;
    int error;

    halo_send_begin(&send, sender);
    while ((error = halo_send_write(&send, bytes, len)) == HALO_ENOMEM ||
           (!error && side->with_answers &&
            (error = halo_send_writable(&send, BUF_LEN)) == HALO_ENOMEM)) {
        halo_send_drop(&send); /* half a request holds on to nothing while it waits */
        halo_send_begin(&send, sender);
        check(side, halo_sender_wait(sender, HALO_DEADLINE_NEVER) >= 0, "cannot wait");
        take_answers(side);
    }
    check(side, error == 0, "cannot build a request");
    while ((error = halo_send_submit_wait(&send, number, HALO_DEADLINE_NEVER, NULL)) == HALO_EFULL)
        take_answers(side); /* all request records hold answers */
    check(side, error == 0, "cannot submit");
}

static inline void *live(void *context)
{
    struct side *side = context;

    for (uint32_t i = 0; i < side->requests && !side->wrong; i++) {
        send_one(side, i);
        if (pick(side, 4) == 0)
            halo_sender_flush(&side->out->sender);
        if (pick(side, 3) == 0)
            take_answers(side);
    }
    while (side->answered < side->requests && !side->wrong) {
        check(side, halo_sender_wait(&side->out->sender, HALO_DEADLINE_NEVER) >= 0, "cannot wait");
        take_answers(side);
    }
    __atomic_store_n(&side->ended, true, __ATOMIC_RELEASE);
    ring_bell(&side->peer->bell);
    while (!__atomic_load_n(&side->peer->ended, __ATOMIC_ACQUIRE)) {
        if (!receive(side) && !halo_device_arm(&side->in->receiver.device))
            sleep_until_rung(&side->bell);
    }
    receive(side);
    return NULL;
}

static inline void open_queue(struct queue *queue, struct side *sender, struct side *receiver,
                              uint32_t ring_size, uint32_t bufs)
{
    struct halo_ring_place place;

    queue->region =
        (struct halo_region){(uintptr_t)queue->buffers, sizeof(queue->buffers),
                             halo_shm_share(queue->buffers), HALO_MAY_READ | HALO_MAY_WRITE};
    queue->memory = (struct halo_memory){&queue->region, 1};
    assert_int_equal(halo_ring_place_in(halo_shm_share(queue->ring), ring_size, &place), 0);
    assert_int_equal(halo_pool_init(&queue->pool, queue->buffers, BUF_LEN, bufs, queue->next), 0);
    assert_int_equal(
        halo_receiver_init(&queue->receiver,
                           &(struct halo_receiver_config){.place = place,
                                                          .memory = &queue->memory,
                                                          .len_max = 2 * BUF_LEN,
                                                          .notifier = {notify_peer, receiver}},
                           queue->chains),
        0);
    assert_int_equal(
        halo_sender_init(&queue->sender,
                         &(struct halo_sender_config){.place = place,
                                                      .provider = &queue->pool.provider,
                                                      .request_count = RING_MAX,
                                                      .part_count = BUFS_MAX,
                                                      .notifier = {notify_peer, sender},
                                                      .waiter = {receive, wait_for_bell, sender}},
                         queue->memory_of_sender),
        0);
    halo_driver_disarm(&queue->sender.driver);
    halo_device_disarm(&queue->receiver.device);
}

/* Both queues and both sides, before anything was sent. */
static inline struct queue *open_both(struct side *guest, struct side *host, uint32_t ring_size,
                                      uint32_t bufs, uint32_t requests)
{
    struct queue *queues = aligned_alloc(4096, 2 * sizeof(*queues));

    memset(queues, 0, 2 * sizeof(*queues));
    guest->out = host->in = &queues[0];
    guest->in = host->out = &queues[1];
    guest->peer = host;
    host->peer = guest;
    guest->with_answers = host->with_answers = ring_size > 1 && bufs > 1;
    guest->requests = host->requests = requests;
    open_queue(&queues[0], guest, host, ring_size, bufs);
    open_queue(&queues[1], host, guest, ring_size, bufs);
    return queues;
}

/* All that was sent has come home, and nothing is held any more. */
static inline void assert_all_home(struct queue *queues, const struct side *guest,
                                   const struct side *host)
{
    assert_null(guest->wrong);
    assert_null(host->wrong);
    for (int i = 0; i < 2; i++) {
        const struct halo_queue_stats stats = halo_sender_stats(&queues[i].sender);

        assert_int_equal(stats.requests, guest->requests);
        assert_int_equal(stats.answers, guest->requests);
        assert_int_equal(stats.in_flight, 0);
        assert_int_equal(queues[i].pool.free_count, queues[i].pool.count);
        assert_int_equal(halo_sender_room(&queues[i].sender), queues[i].receiver.device.place.size);
        assert_int_equal(queues[i].sender.free_parts, BUFS_MAX);
    }
    assert_int_equal(guest->served, guest->requests);
    assert_int_equal(host->served, guest->requests);
}

static const struct {
    uint32_t ring_size, bufs;
} two_queues_shapes[] = {{1, 1}, {2, 2}, {2, 8}, {3, 4}, {8, 2}, {8, 8}};

#define TWO_QUEUES_SHAPES (sizeof(two_queues_shapes) / sizeof(two_queues_shapes[0]))

#endif
