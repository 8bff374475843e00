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

#include "receiver_user.h"
#include "sender_user.h"

static void user_start(struct user *u, struct queue *q, uint32_t features, bool honest)
{
    memset(u, 0, sizeof(*u));
    u->q = q;
    u->honest = honest;
    u->features = features;
    u->newest = HELD;
    q->slot_count = choose(REQUESTS + 1);
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

            if (each->state == SENT && each->token.word == u->q->answer.token.word) {
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
            if (u->sent[i].state == SENT && halo_token_id(u->sent[i].token) == halo_token_id(token))
                sent = &u->sent[i];
        }
        assert_non_null(sent);
        assert_int_equal(sent->token.word, token.word);
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
