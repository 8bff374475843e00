/* What the two users of queue_user.h know: of each other, where both are honest. */
#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include "../unit/queue_fixture.h"

static uint32_t choose(uint32_t below); /* from chance, or from a fuzzer's input */

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

#endif
