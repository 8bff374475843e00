/* The sender's user of queue_user.h: what it may ask, build, take and free, in any order. */
#ifndef SENDER_USER_H
#define SENDER_USER_H

#include "queue_record.h"

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
            assert_false(each->token.word == token.word);
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
    note_sent(u, token,
              (struct record){.key = u->serial,
                              .len = len,
                              .room = no_room ? 0 : room,
                              .slots = halo_driver_chain_slots(
                                  &u->q->sender.driver.chains[halo_token_id(token)]),
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

        if (each->state == SENT && each->token.word == answer.token.word)
            sent = each;
    }
    assert_non_null(sent); /* of a request that is in flight, and never twice */
    assert_int_equal(halo_token_id(answer.token), halo_token_id(sent->token));
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

#endif
