/*
 * A queue and its two users, who do whatever choose() says: requests of every shape, answers of
 * every length in any order, everything that can be done wrong on the way. What includes this
 * defines choose(), from chance or from a fuzzer's input, and whether the peers are honest.
 *
 * Checked after each step, whatever shared memory holds: an answer belongs to one request in flight
 * and comes once; lengths are within what was asked for; nothing is lost or held twice. Where both
 * are honest also every byte, the order, and that what could be done was done.
 */
#ifndef QUEUE_USER_H
#define QUEUE_USER_H

#include "../unit/queue_fixture.h"

static uint32_t choose(uint32_t below);

#define HELD 4u        /* requests that the receiver works on at a time */
#define REQUEST_MAX 90 /* bytes */
#define ROOM_MAX 90
#define ANSWER_MAX 120
#define CAPACITY_MAX 400 /* more than all buffers have */

enum sent_state { SENT_NOT, SENT, SENT_ANSWERED };

struct sent {
    enum sent_state state;
    struct halo_token token;
    uint32_t serial;
    struct halo_answer answer; /* once it was taken */
};

/* What was asked and answered, by the request's number: the memory of an honest pair. */
struct record {
    uint32_t key;       /* of its bytes */
    uint32_t len, room; /* bytes of the request; that the answer may have in buffers */
    uint32_t answer_len;
    uint32_t slots;
    bool is_inline, in_spans, published;
};

struct work {
    bool open;
    uint32_t serial;
    uint32_t read, written;
    struct halo_received request;
    struct halo_span spans[8];
};

#define RECORDS 256u

struct user {
    struct queue *q;
    bool honest;
    uint32_t features;
    uint32_t serial; /* of the next request */
    struct sent sent[REQUESTS];
    struct halo_token old[16]; /* of answers that were freed */
    uint32_t old_count;
    struct halo_send send; /* being built */
    bool building;
    uint32_t send_key, send_len; /* its bytes so far */
    unsigned char *own;          /* a buffer of the program's that was lent to a request, */
    bool own_is_here;            /* to the one that is being built */
    struct record records[RECORDS];
    uint32_t order[RECORDS], submitted, flushed,
        taken; /* requests, as the receiver will see them */
    uint32_t done[RECORDS], completed, published, polled; /* and answers, as the sender will */
    struct work work[HELD];
    uint32_t newest;         /* of the work: what may be put back */
    uint64_t answers, fails; /* how many came, how many were given up */
};

static struct record *record_of(struct user *u, uint32_t serial)
{
    return &u->records[serial % RECORDS];
}

static unsigned char request_byte(uint32_t key, uint32_t at)
{
    return (unsigned char)(key * 37 + at * 11 + 5);
}

static unsigned char answer_byte(uint32_t serial, uint32_t at)
{
    return (unsigned char)(serial * 59 + at * 3 + 101);
}

static void fill_request(uint32_t key, uint32_t at, void *to, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        ((unsigned char *)to)[i] = request_byte(key, at + i);
}

/* Descriptors of requests whose answers the sender cannot have seen yet. */
static uint32_t slots_in_use(const struct user *u)
{
    uint32_t slots = 0;

    for (uint32_t i = u->published; i < u->completed; i++)
        slots += u->records[u->done[i % RECORDS] % RECORDS].slots;
    for (uint32_t i = 0; i < HELD; i++)
        slots += u->work[i].open ? u->records[u->work[i].serial % RECORDS].slots : 0;
    for (uint32_t i = u->taken; i < u->submitted; i++)
        slots += u->records[u->order[i % RECORDS] % RECORDS].slots;
    return slots;
}

/* --- The sender's user ------------------------------------------------------------------------ */

static struct sent *some_sent(struct user *u, enum sent_state state)
{
    const uint32_t first = choose(REQUESTS);

    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct sent *sent = &u->sent[(first + i) % REQUESTS];

        if (sent->state == state)
            return sent;
    }
    return NULL;
}

static void note_sent(struct user *u, struct halo_token token, struct record record)
{
    struct sent *sent = NULL;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct sent *each = &u->sent[i];

        if (each->state == SENT_NOT)
            sent = each;
        else
            assert_false(each->token.id == token.id && each->token.generation == token.generation);
    }
    assert_non_null(sent);
    *sent = (struct sent){.state = SENT, .token = token, .serial = u->serial};
    *record_of(u, u->serial) = record;
    u->order[u->submitted++ % RECORDS] = u->serial++;
}

static void assert_may_refuse(const struct user *u, int error, uint32_t slots)
{
    const struct halo_sender *sender = &u->q->sender;
    uint32_t in_use = 0;

    for (uint32_t i = 0; i < REQUESTS; i++)
        in_use += u->sent[i].state != SENT_NOT;
    switch (error) {
    case HALO_EBROKEN:
        assert_true(sender->driver.violation.reason != 0);
        return;
    case HALO_EFULL:
        assert_int_equal(in_use, REQUESTS - sender->free_requests);
        assert_true(sender->free_requests == 0 || halo_sender_room(sender) < slots);
        if (u->honest && sender->free_requests > 0)
            assert_true(RING - slots_in_use(u) < slots);
        return;
    case HALO_EINVAL:
        assert_true(slots == 0 || slots > RING);
        return;
    case HALO_ENOMEM:
        return;
    }
    fail_msg("an error that there is no reason for: %d", error);
}

/* One request in one call. */
static void ask(struct user *u)
{
    const uint32_t len = choose(REQUEST_MAX), room = choose(ROOM_MAX);
    const bool is_inline =
        (u->features & HALO_FEATURE_INLINE_REQUEST) && len <= HALO_INLINE_REQUEST_MAX;
    const bool no_room =
        is_inline && (u->features & HALO_FEATURE_INLINE_ANSWER) && room <= HALO_INLINE_ANSWER_MAX;
    const struct halo_sender_request *request;
    unsigned char bytes[REQUEST_MAX];
    struct halo_token token;
    int error;

    fill_request(u->serial, 0, bytes, len);
    error = halo_sender_request(&u->q->sender, bytes, len, room, u->serial, &token);
    if (error) {
        /* How many buffers it would have taken is the pool's secret. */
        if (error == HALO_EINVAL)
            assert_true(len + room == 0 || len + room > (RING - 1) * SMALL);
        else
            assert_may_refuse(u, error, RING);
        return;
    }
    request = &u->q->sender.requests[token.id];
    note_sent(u, token,
              (struct record){.key = u->serial,
                              .len = len,
                              .room = no_room ? 0 : room,
                              .slots = (uint32_t)request->readable_count + request->writable_count +
                                       is_inline,
                              .is_inline = is_inline});
}

/* The next part of one that is built piece by piece, in any of the ways there are. */
static void build(struct user *u)
{
    struct halo_send *send = &u->send;
    const uint32_t way = choose(8), len = 1 + choose(40);
    const bool late = send->writable_count > 0 || send->is_inline;
    const uint32_t parts = (uint32_t)send->readable_count + send->writable_count;
    unsigned char bytes[40];
    uint64_t capacity = send->capacity;
    void *at;
    int error = 0;

    if (!u->building) {
        halo_send_begin(send, &u->q->sender);
        u->building = true;
        u->send_key = choose(256);
        u->send_len = 0;
        u->own_is_here = false;
        return;
    }
    fill_request(u->send_key, u->send_len, bytes, len);
    switch (way) {
    case 0:
        error = halo_send_readable(send, len, &at);
        if (!error)
            memcpy(at, bytes, len);
        break;
    case 1:
        error = halo_send_write(send, bytes, len);
        break;
    case 2: /* memory that is not the pool's; the 40 bytes of each number are left alone */
        if (late || u->submitted - u->polled > 0)
            return;
        memcpy(u->q->elsewhere + u->send_len % 200, bytes, len);
        error = halo_send_lend_readable(send, u->q->elsewhere + u->send_len % 200, len);
        break;
    case 3: /* a buffer of the program's own, one at a time */
        if (u->own && !u->own_is_here && halo_buffer_free(u->q->sender.provider, u->own) == 0)
            u->own = NULL;
        if (u->own || !(u->own = halo_buffer_alloc(u->q->sender.provider, len)))
            return;
        memcpy(u->own, bytes, len);
        error = halo_send_lend_readable(send, u->own, len);
        u->own_is_here = error == 0;
        assert_int_equal(halo_buffer_free(u->q->sender.provider, u->own), error ? 0 : HALO_EBUSY);
        if (error)
            u->own = NULL;
        break;
    case 4:
        error = halo_send_inline(send, bytes, len);
        if (error == HALO_EINVAL)
            assert_true(len > HALO_INLINE_REQUEST_MAX ||
                        !(u->features & HALO_FEATURE_INLINE_REQUEST));
        break;
    default:
        error = halo_send_writable(send, len);
        assert_true(error == 0 || error == HALO_ENOMEM);
        assert_true(send->capacity == capacity + (error ? 0 : len));
        return;
    }
    if (late || (way == 4 && parts > 0))
        assert_int_equal(error, HALO_ESTATE);
    else
        assert_true(error == 0 || error == HALO_ENOMEM || way == 4);
    if (error)
        assert_int_equal(send->readable_count + send->writable_count, parts);
    else
        u->send_len += len;
}

static void end_building(struct user *u, bool submit)
{
    struct halo_send *send = &u->send;
    const uint32_t slots = (uint32_t)send->readable_count + send->writable_count + send->is_inline;
    const struct halo_send before = u->building ? *send : (struct halo_send){0};
    struct halo_token token;
    int error = 0;

    if (!u->building)
        return;
    if (submit) {
        error = halo_send_submit(send, u->serial, &token);
        if (error) {
            assert_may_refuse(u, error, slots);
            assert_memory_equal(send, &before, sizeof(before)); /* it can be submitted later */
            return;
        }
        assert_int_equal(halo_send_submit(send, 0, &token), HALO_ESTATE);
        assert_int_equal(halo_send_writable(send, 1), HALO_ESTATE);
        note_sent(u, token,
                  (struct record){.key = u->send_key,
                                  .len = u->send_len,
                                  .room = (uint32_t)before.capacity,
                                  .slots = slots,
                                  .is_inline = before.is_inline});
    }
    halo_send_drop(send);
    halo_send_drop(send); /* once more changes nothing */
    if (u->own_is_here && !submit) {
        assert_int_equal(halo_buffer_free(u->q->sender.provider, u->own), 0);
        u->own = NULL;
    }
    u->own_is_here = false;
    u->building = false;
}

static void check_answer(struct user *u, struct sent *sent, struct halo_answer *answer)
{
    const struct record *record = record_of(u, sent->serial);
    unsigned char got[CAPACITY_MAX];
    struct halo_answer copy = *answer;
    struct halo_span span;
    uint64_t len = 0;

    assert_true(answer->context == sent->serial);
    assert_true(answer->len <= answer->full_len);
    assert_true(answer->is_inline ? answer->len <= HALO_INLINE_ANSWER_MAX
                                  : answer->len <= record->room);
    while (halo_answer_span(&u->q->sender, &copy, &span))
        len += span.len;
    assert_true(len == (answer->is_inline ? 0 : answer->len));
    copy = *answer;
    for (uint32_t at = 0, some = 1; some > 0; at += some) {
        const uint32_t step = 1 + choose(ANSWER_MAX);

        some = (uint32_t)halo_answer_read(&u->q->sender, &copy, got + at,
                                          step < CAPACITY_MAX - at ? step : CAPACITY_MAX - at);
        assert_true(some > 0 || at == answer->len);
    }
    if (!u->honest)
        return;
    assert_true(record->published);
    assert_int_equal(answer->is_inline, record->is_inline && !record->in_spans &&
                                            (u->features & HALO_FEATURE_INLINE_ANSWER) &&
                                            record->answer_len <= HALO_INLINE_ANSWER_MAX);
    if (!answer->is_inline) {
        const bool is_cut = record->answer_len > record->room;

        assert_true(answer->len == (is_cut ? record->room : record->answer_len));
        assert_int_equal(answer->truncated, is_cut && (u->features & HALO_FEATURE_TRUNCATED));
    } else {
        assert_true(answer->len == record->answer_len);
    }
    if (answer->truncated)
        assert_true(answer->full_len == record->answer_len);
    for (uint32_t i = 0; i < answer->len; i++)
        assert_int_equal(got[i], answer_byte(sent->serial, i));
}

static void take_answer(struct user *u, bool by_token)
{
    struct sent *sent = by_token ? some_sent(u, SENT) : NULL;
    struct halo_answer answer;
    int got;

    if (by_token && !sent)
        return;
    got = sent ? halo_sender_take(&u->q->sender, sent->token, &answer)
               : halo_sender_poll(&u->q->sender, &answer);
    if (got <= 0) {
        assert_true(got == 0 || (got == HALO_EBROKEN && u->q->sender.driver.violation.reason));
        if (u->honest && sent)
            assert_false(record_of(u, sent->serial)->published);
        if (u->honest && !sent)
            assert_int_equal(u->polled, u->published);
        return;
    }
    for (uint32_t i = 0; !by_token && i < REQUESTS; i++) {
        struct sent *each = &u->sent[i];

        if (each->state == SENT && each->token.id == answer.token.id &&
            each->token.generation == answer.token.generation)
            sent = each;
    }
    assert_non_null(sent); /* of a request that is in flight, and never twice */
    assert_int_equal(answer.token.id, sent->token.id);
    check_answer(u, sent, &answer);
    if (u->honest) {
        uint32_t at = u->polled;

        while (u->done[at % RECORDS] != sent->serial)
            at++;
        assert_true(at < u->published);
        assert_true(by_token || at == u->polled); /* the oldest */
        for (; at > u->polled; at--)
            u->done[at % RECORDS] = u->done[(at - 1) % RECORDS];
    }
    u->polled++;
    u->answers++;
    sent->state = SENT_ANSWERED;
    sent->answer = answer;
    assert_int_equal(halo_sender_take(&u->q->sender, sent->token, &answer), HALO_ESTALE);
}

static void free_answer(struct user *u)
{
    struct sent *sent = some_sent(u, SENT_ANSWERED);
    struct halo_answer copy;

    if (!sent)
        return;
    copy = sent->answer;
    assert_int_equal(halo_answer_free(&u->q->sender, &sent->answer), 0);
    assert_int_equal(halo_answer_free(&u->q->sender, &copy), HALO_ESTALE);
    assert_int_equal(halo_sender_take(&u->q->sender, sent->token, &copy), HALO_ESTALE);
    u->old[u->old_count++ % 16] = sent->token;
    sent->state = SENT_NOT;
}

/* A token from before is stale, whatever has its place by now. */
static void take_old(struct user *u)
{
    struct halo_answer answer;

    if (u->old_count >= 16)
        assert_int_equal(halo_sender_take(&u->q->sender, u->old[choose(16)], &answer), HALO_ESTALE);
}

static void sender_step(struct user *u)
{
    int got;

    switch (choose(12)) {
    case 0:
    case 1:
        ask(u);
        return;
    case 2:
    case 3:
        build(u);
        return;
    case 4:
        end_building(u, true);
        return;
    case 5:
        if (choose(4) == 0)
            end_building(u, false);
        return;
    case 6:
    case 7:
        got = halo_sender_flush(&u->q->sender);
        assert_true(got >= 0 || u->q->sender.driver.violation.reason);
        if (got >= 0)
            u->flushed = u->submitted;
        return;
    case 8:
        take_old(u);
        take_answer(u, true);
        return;
    case 9:
        got = halo_sender_reclaim(&u->q->sender);
        assert_true(got >= 0 || u->q->sender.driver.violation.reason);
        if (u->honest)
            assert_int_equal(got, u->published - u->polled);
        return;
    case 10:
        free_answer(u);
        return;
    default:
        take_answer(u, false);
        return;
    }
}

/* --- The receiver's user ---------------------------------------------------------------------- */

static struct work *some_work(struct user *u, bool open)
{
    const uint32_t first = choose(HELD);

    for (uint32_t i = 0; i < HELD; i++) {
        if (u->work[(first + i) % HELD].open == open)
            return &u->work[(first + i) % HELD];
    }
    return NULL;
}

static void take_request(struct user *u)
{
    struct work *work = some_work(u, false);
    const struct halo_received *request;
    uint64_t sum = 0;
    int got;

    if (!work)
        return;
    got = halo_receiver_poll(&u->q->receiver, &work->request, work->spans, 8);
    if (u->honest)
        assert_int_equal(got, u->taken < u->flushed);
    if (got == HALO_EREJECT) /* it was taken, too, after the one that was the newest */
        u->newest = HELD;
    if (got <= 0)
        return;
    request = &work->request;
    assert_true(request->chain.slots >= 1 && request->chain.slots <= RING);
    for (uint32_t i = 0; i < request->chain.readable_count + request->chain.writable_count; i++)
        sum += work->spans[i].len;
    assert_true(sum == request->chain.readable_len + request->chain.writable_len && sum <= 1000);
    assert_true(halo_receiver_stats(&u->q->receiver).in_flight <= RING);
    work->open = true;
    work->read = work->written = 0;
    u->newest = (uint32_t)(work - u->work);
    if (u->honest) {
        work->serial = u->order[u->taken++ % RECORDS];
        assert_true(halo_received_len(request) == record_of(u, work->serial)->len);
        assert_true(request->chain.writable_len == record_of(u, work->serial)->room);
        assert_int_equal(request->chain.slots, record_of(u, work->serial)->slots);
    }
}

static void read_some(struct user *u, struct work *work)
{
    const uint32_t len = (uint32_t)halo_received_len(&work->request);
    const uint32_t max = choose(REQUEST_MAX);
    unsigned char got[REQUEST_MAX];
    const size_t some = halo_received_read(&work->request, got, max);

    assert_true(some == (len - work->read < max ? len - work->read : max));
    for (uint32_t i = 0; u->honest && i < some; i++)
        assert_int_equal(got[i], request_byte(record_of(u, work->serial)->key, work->read + i));
    work->read += (uint32_t)some;
}

static void write_some(struct work *work)
{
    const uint32_t max = choose(60);
    unsigned char bytes[60];
    int got;

    for (uint32_t i = 0; i < max; i++)
        bytes[i] = answer_byte(work->serial, work->written + i);
    if (work->written + max > ANSWER_MAX)
        return;
    got = halo_received_write(&work->request, bytes, max);
    assert_in_range(got, 0, max);
    work->written += max;
}

static void write_in_place(struct user *u, struct work *work)
{
    struct halo_span spans[8];
    uint32_t count = halo_received_reserve(&work->request, spans, choose(9)), len = 0;
    const uint64_t room = work->request.chain.writable_len;

    for (uint32_t i = 0; i < count; i++) {
        unsigned char *at = halo_shm_expose(spans[i].base);

        for (size_t k = 0; k < spans[i].len; k++)
            at[k] = answer_byte(work->serial, work->written + len++);
    }
    assert_true(work->written + len <= room || len == 0);
    if (len > 0)
        len = choose(len + 1);
    if (work->written <= room)
        assert_int_equal(halo_received_commit(&work->request, room - work->written + 1),
                         HALO_EINVAL);
    assert_int_equal(halo_received_commit(&work->request, len), 0);
    work->written += len;
    if (len > 0)
        record_of(u, work->serial)->in_spans = true;
}

static void answer(struct user *u, struct work *work)
{
    struct record *record = record_of(u, work->serial);
    const int error = halo_receiver_complete(&u->q->receiver, &work->request);
    struct halo_received copy = work->request;

    assert_true(error == 0 ||
                (error == HALO_EBROKEN && u->q->receiver.device.violation.reason != 0));
    copy.open = true;
    assert_int_equal(halo_receiver_complete(&u->q->receiver, &copy), error ? error : HALO_ESTALE);
    work->open = false;
    if (!u->honest)
        return;
    record->answer_len = work->written;
    u->done[u->completed++ % RECORDS] = work->serial;
}

static void put_back(struct user *u, struct work *work)
{
    const bool is_newest = work == &u->work[u->newest];
    const int error = halo_receiver_rewind(&u->q->receiver, &work->request);

    if (error == HALO_EBROKEN) {
        assert_true(u->q->receiver.device.violation.reason != 0);
        return;
    }
    assert_int_equal(error, is_newest ? 0 : HALO_ESTALE);
    if (error)
        return;
    work->open = false;
    record_of(u, work->serial)->in_spans = false;
    u->newest = HELD;
    u->taken -= u->honest;
}

static void receiver_step(struct user *u)
{
    const uint32_t what = choose(10);
    struct work *work = what < 3 || what == 9 ? NULL : some_work(u, true);
    int got;

    if (what < 3) {
        take_request(u);
    } else if (what == 9) {
        got = halo_receiver_flush(&u->q->receiver);
        assert_true(got >= 0 || u->q->receiver.device.violation.reason);
        for (; got >= 0 && u->published < u->completed; u->published++)
            record_of(u, u->done[u->published % RECORDS])->published = true;
    } else if (work) {
        if (what == 3)
            read_some(u, work);
        else if (what == 4)
            write_some(work);
        else if (what == 5)
            write_in_place(u, work);
        else if (what == 6 && choose(3) == 0)
            put_back(u, work);
        else
            answer(u, work);
    }
}

/* --- Start and end ---------------------------------------------------------------------------- */

static void user_start(struct user *u, struct queue *q, uint32_t features, bool honest)
{
    memset(u, 0, sizeof(*u));
    u->q = q;
    u->honest = honest;
    u->features = features;
    u->newest = HELD;
    queue_start(q, features);
}

/* Whatever happened: everything in flight is given up once, and nothing is lost. */
static void user_end(struct user *u)
{
    struct halo_token token;
    uint64_t context;
    int got;

    end_building(u, false);
    assert_int_equal(halo_sender_stop(&u->q->sender), 0);
    while ((got = halo_sender_poll(&u->q->sender, &u->q->answer)) == 1) {
        /* What was taken in before the end is still handed out. */
        for (uint32_t i = 0; i < REQUESTS; i++) {
            struct sent *each = &u->sent[i];

            if (each->state == SENT && each->token.id == u->q->answer.token.id &&
                each->token.generation == u->q->answer.token.generation) {
                each->state = SENT_ANSWERED;
                each->answer = u->q->answer;
                got = 2;
            }
        }
        assert_int_equal(got, 2);
    }
    assert_int_equal(got, HALO_EBROKEN);
    while (halo_sender_fail(&u->q->sender, &token, &context) == 1) {
        struct sent *sent = NULL;

        for (uint32_t i = 0; i < REQUESTS; i++) {
            if (u->sent[i].state == SENT && u->sent[i].token.id == token.id)
                sent = &u->sent[i];
        }
        assert_non_null(sent);
        assert_int_equal(sent->token.generation, token.generation);
        assert_true(context == sent->serial);
        sent->state = SENT_NOT;
        u->fails++;
    }
    while (some_sent(u, SENT_ANSWERED))
        free_answer(u);
    assert_null(some_sent(u, SENT));
    assert_int_equal(halo_sender_reset(&u->q->sender), 0);
    if (u->own)
        assert_int_equal(halo_buffer_free(u->q->sender.provider, u->own), 0);
    u->q->receiver.stats.in_flight = 0;
    assert_queue_idle(u->q);
}

#endif
