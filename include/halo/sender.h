/*
 * The driver's end of a queue: requests out of pooled buffers, answers in any order.
 *
 *     halo_sender_request(&sender, "2+2", 3, 64, 0, &token);     copied into a pooled buffer
 *     halo_sender_flush(&sender);                                one decision whether to kick
 *     ...
 *     while ((got = halo_sender_poll(&sender, &answer)) > 0) {
 *         len = halo_answer_read(&sender, &answer, text, sizeof(text));
 *         halo_answer_free(&sender, &answer);
 *     }
 *
 * A request of several buffers, or one that is written where it lies, is built piece by piece:
 *
 *     halo_send_begin(&send, &sender);
 *     halo_send_readable(&send, sizeof(*head), (void **)&head);  from the pool
 *     halo_send_lend_readable(&send, page, 4096);                the program's own, not copied
 *     halo_send_writable(&send, 65536);                          as many buffers as it takes
 *     halo_send_submit(&send, context, &token);
 *
 * A token names a request until its answer is freed, however often the ring reuses its ids. Full
 * rings and empty pools are ordinary results; nothing that came back is ever lost by them.
 *
 * The sender trusts the device no more than the ring does: answers are bytes in memory that the
 * device may still write to, so halo_answer_read copies them out before anybody looks.
 */
#ifndef HALO_SENDER_H
#define HALO_SENDER_H

#include <halo/driver.h>
#include <halo/pool.h>
#include <halo/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* One buffer of a request, from when it was added until the answer is freed. Private. */
struct halo_part {
    unsigned char *base;
    uint32_t len;
    uint16_t next;  /* the request's next part, or the next free one */
    uint16_t owner; /* enum halo_part_owner */
};

enum halo_part_owner {
    HALO_PART_ELSEWHERE, /* memory that the provider does not know */
    HALO_PART_POOL,      /* taken for this request, and freed with it */
    HALO_PART_BORROWED,  /* the program's own buffer of the provider, lent for this request */
};

enum halo_request_state {
    HALO_REQUEST_FREE,
    HALO_REQUEST_IN_FLIGHT,
    HALO_REQUEST_ANSWERED, /* waits to be polled */
    HALO_REQUEST_TAKEN,    /* its answer is the program's until it is freed */
    HALO_REQUEST_LOST,     /* handed out by halo_sender_fail: its buffers stay lent until a reset */
};

/*
 * What the sender remembers of a request, whose number is the id of its chain, and of its slot. The
 * number is held from when it was submitted until its answer is freed. Private.
 */
struct halo_sender_request {
    uint64_t token; /* the next one that its number gets, or that it has */
    uint64_t context;
    uint64_t word;                  /* the answer's: struct halo_used */
    uint32_t len;                   /* bytes of the answer */
    uint16_t first, readable_count; /* its parts, of which the device reads so many, in order */
    uint16_t part_count;            /* all it has now; 0 where it lies in its slot, or inline */
    uint16_t prev, next;            /* in the list of answers to be polled */
    uint16_t state, kind;
};

/*
 * Short messages need no pool. Each request has a number from when it is submitted until its answer
 * is freed: the id of its chain; the lowest ones are used first. With slots there is memory for
 * each number, for a request of HALO_SLOT_MESSAGE bytes and behind it for an answer of as many.
 */
#define HALO_SLOT_MESSAGE 256u
#define HALO_SLOT_LEN (2 * HALO_SLOT_MESSAGE)

struct halo_sender {
    struct halo_driver driver;
    struct halo_sender_request *requests; /* by number */
    unsigned char *slots;                 /* by number, */
    uint32_t slot_count;                  /* of the first so many */
    uint64_t address_delta;
    uint32_t free_requests; /* how many numbers are not in use; the driver's list has them */
    uint32_t request_count;
    struct halo_provider *provider;
    struct halo_part *parts;
    uint32_t part_count;
    uint32_t free_parts, free_part;
    uint32_t answered, first_answered, last_answered; /* answers to be polled, oldest first */
    bool notifying;                                   /* inside the notifier */
    bool waiting;                                     /* inside a function that waits */
    bool holding;                                     /* a notification is held back */
    struct halo_notify_policy policy;
    struct halo_notifier notifier;
    struct halo_waiter waiter;
    struct halo_queue_stats stats;
};

/* How to make a sender. What the pointers point to must live as long as the sender. */
struct halo_sender_config {
    struct halo_ring_place place;
    struct halo_provider *provider; /* where buffers come from */
    void *slots;                    /* for short messages, aligned to 64; NULL with none */
    uint32_t slot_count; /* of HALO_SLOT_LEN bytes each; where more requests are in use than there
                            are slots, the others take buffers */
    uint64_t address_delta;           /* what a device adds to a pointer of ours: 0 in a guest */
    uint32_t features;                /* HALO_FEATURE_…, the same ones as the receiver */
    uint32_t request_count;           /* most requests in flight and answers not freed, 1 to 65535;
                                         no more than the ring's size are ever used */
    uint32_t part_count;              /* most buffers of all those, 1 to 65535 */
    struct halo_notify_policy policy; /* when to notify; may be none */
    struct halo_notifier notifier;
    struct halo_waiter waiter; /* only for the functions that take a deadline */
};

/* Bytes of private memory that a sender needs, and the same as a constant for an array. */
#define HALO_SENDER_BYTES(ring_size, request_count, part_count)     \
    ((size_t)(ring_size) * sizeof(struct halo_driver_chain) +       \
     (size_t)(request_count) * sizeof(struct halo_sender_request) + \
     (size_t)(part_count) * sizeof(struct halo_part))

/*
 * Start on a fresh ring. `memory` is private, of HALO_SENDER_BYTES(config->place.size,
 * request_count, part_count) bytes, aligned to 8, the caller's. Returns 0, or HALO_EINVAL for a
 * config that breaks its rules; then nothing was changed.
 */
int halo_sender_init(struct halo_sender *sender, const struct halo_sender_config *config,
                     void *memory);

/*
 * What must hold between two operations: looked at before those that change anything, in a build
 * with -Dchecks=true (HALO_CHECKS), which stops the program where it does not hold. Otherwise it is
 * nothing.
 */
#ifdef HALO_CHECKS
void halo_sender_check(const struct halo_sender *sender);
#else
static inline void halo_sender_check(const struct halo_sender *sender)
{
    (void)sender;
}
#endif

/* --- Building a request ----------------------------------------------------------------------- */

/* A request that is being built. Its fields are private. Any number may be open at a time. */
struct halo_send {
    struct halo_sender *sender; /* NULL once it was submitted or dropped */
    uint64_t capacity;          /* bytes that its writable buffers have */
    uint32_t spare;             /* bytes left in the last readable buffer, where it is the pool's */
    uint16_t first, last;       /* parts */
    uint16_t readable_count, writable_count;
    uint16_t inline_len;
    bool is_inline;
    unsigned char inline_bytes[HALO_INLINE_REQUEST_MAX];
};

/* Begin a request without buffers. Nothing of the queue changes before something is added. */
static inline void halo_send_begin(struct halo_send *send, struct halo_sender *sender)
{
    send->sender = sender;
    send->capacity = 0;
    send->spare = 0;
    send->first = 0;
    send->readable_count = 0;
    send->writable_count = 0;
    send->is_inline = false;
}

/*
 * The functions that add return 0, or an error, and then nothing was changed:
 *   HALO_ENOMEM  no buffer left in the pool, or more than part_count buffers in use
 *   HALO_ESTATE  a readable part after a writable one, or the request is not open
 *   HALO_EINVAL  a length of 0, or more than 2^32 - 1 writable bytes in all; lend: memory that goes
 *                on behind the end of its buffer
 *   HALO_EBUSY   called from the notifier; lend: the buffer is lent already
 */

/* Add `len` bytes in one piece, for the program to fill before it submits: *at is where. */
int halo_send_readable(struct halo_send *send, uint32_t len, void **at);

/* Add a copy of `len` bytes, in as many buffers as it takes. */
int halo_send_write(struct halo_send *send, const void *bytes, size_t len);

/* Make room for an answer of `len` bytes, in as many buffers as it takes. */
int halo_send_writable(struct halo_send *send, uint64_t len);

/*
 * Add memory of the program's, not copied: for the device to read, or to fill. It must be such as
 * the device may use, and be left alone until the answer has come; where it lies in a buffer of the
 * provider, that buffer cannot be freed or lent again so long.
 */
int halo_send_lend_readable(struct halo_send *send, const void *at, uint32_t len);
int halo_send_lend_writable(struct halo_send *send, void *at, uint32_t len);

/*
 * Make the request one of `len` bytes, at most HALO_INLINE_REQUEST_MAX, inside the descriptor. It
 * must be the only readable part. HALO_EINVAL also where HALO_FEATURE_INLINE_REQUEST is off.
 */
int halo_send_inline(struct halo_send *send, const void *bytes, uint32_t len);

/*
 * Submit: the request goes into the batch that the next flush makes visible. `context` comes back
 * with the answer; `token` may be NULL. Takes in answers where that makes room for it. Returns 0,
 * or HALO_EFULL   no room in the ring, or request_count requests in use: poll and free answers
 *   HALO_EINVAL  no buffer at all, or more than the ring has descriptors
 *   HALO_ESTATE  it was submitted or dropped before
 *   HALO_EBROKEN the queue is latched: sender->driver.violation tells
 *   HALO_EBUSY   called from the notifier
 * After an error it is still open: submit it again later, or drop it.
 */
int halo_send_submit(struct halo_send *send, uint64_t context, struct halo_token *token);

/*
 * The same, waiting until there is room: flushes, and goes on receiving meanwhile (config->waiter).
 * HALO_ETIMEDOUT where the deadline passed; HALO_EBUSY also inside of the waiter's `receive`.
 */
int halo_send_submit_wait(struct halo_send *send, uint64_t context, uint64_t deadline,
                          struct halo_token *token);

/* Give up a request that was not submitted; frees its buffers, also inside the notifier. Nothing
 * happens to others. */
void halo_send_drop(struct halo_send *send);

/*
 * The common case in one call: a copy of `len` bytes, and room for an answer of `answer_len`. Where
 * the extensions are on and they are short enough, they travel inline; where there are slots and
 * each has at most HALO_SLOT_MESSAGE bytes, in the request's slot, so that nothing is taken from
 * the pool; else in as many buffers of the pool as it takes. Returns what the functions above
 * return; after an error nothing is left behind.
 */
int halo_sender_request(struct halo_sender *sender, const void *bytes, size_t len,
                        uint64_t answer_len, uint64_t context, struct halo_token *token);

/*
 * Make everything that was submitted visible, and notify the device where it asked for that.
 * Returns 1 where it had to be notified, 0 where not or config->policy holds that back,
 * HALO_EBROKEN or HALO_EBUSY.
 */
int halo_sender_flush(struct halo_sender *sender);

/* --- Answers ---------------------------------------------------------------------------------- */

/*
 * An answer that was taken is the program's until halo_answer_free or halo_answer_move.
 *
 * While it is kept it holds its number, which is the id of its chain and the place of its slot;
 * and, where it came in buffers of the pool, all that were made room with, also where the answer is
 * shorter or came inline. It holds no descriptor of the ring; those came back with it. So a program
 * can keep as many answers as there are numbers, request_count or the ring's size, whichever is
 * less, and each kept one is a request less that can be in flight. When the last number is in use,
 * submitting returns HALO_EFULL, also where the ring has room. halo_send_submit_wait returns it,
 * too, as soon as nothing is in flight any more: an answer that nobody frees does not go away by
 * waiting. What needs a buffer of the pool returns HALO_ENOMEM earlier, where the pool or
 * part_count is smaller than that. Who keeps answers for long moves them into memory of its own.
 */
struct halo_answer {
    struct halo_token token;
    uint64_t context;  /* what was given to submit */
    uint64_t len;      /* bytes of it that are here */
    uint64_t full_len; /* above `len` where it was truncated: what the device says it has */
    bool truncated;
    bool is_inline;
    /* private: what halo_answer_read takes next */
    unsigned char *at; /* in its buffer, */
    uint64_t here;     /* where so many bytes of it are left */
    uint64_t left;     /* bytes that were not read, in all */
    uint64_t word;     /* of an inline one, without what was read */
    uint16_t part;
};

/*
 * Take the oldest answer. Returns 1; 0 where there is none now; HALO_EBROKEN where the queue is
 * latched and every answer from before was taken; HALO_EBUSY from the notifier.
 */
int halo_sender_poll(struct halo_sender *sender, struct halo_answer *answer);

/*
 * Take the answer to one request, whatever its place in the order. Returns what halo_sender_poll
 * does, or HALO_ESTALE for a token whose answer was taken, or that is not of this sender.
 */
int halo_sender_take(struct halo_sender *sender, struct halo_token token,
                     struct halo_answer *answer);

/*
 * The same, waiting for it: flushes, and goes on receiving. Answers to other requests stay for
 * later polls. HALO_ETIMEDOUT where the deadline passed; HALO_EBUSY also inside of the waiter's
 * `receive`.
 */
int halo_sender_take_wait(struct halo_sender *sender, struct halo_token token, uint64_t deadline,
                          struct halo_answer *answer);

/*
 * Take in everything that the device has used, so that its descriptors and the buffers it read are
 * free again; the answers stay for later polls. Returns how many are waiting to be polled, or
 * HALO_EBROKEN, HALO_EBUSY. Submitting does this by itself when there is no room.
 */
int halo_sender_reclaim(struct halo_sender *sender);

/*
 * Wait until there is an answer to poll, or buffers came back: what to do about HALO_ENOMEM.
 * Returns how many answers are waiting to be polled, at once where there are some, or 0 where
 * nothing is in flight; HALO_ETIMEDOUT, HALO_EBROKEN, HALO_EBUSY. Errors are those of the functions
 * above that wait.
 */
int halo_sender_wait(struct halo_sender *sender, uint64_t deadline);

/* The rest of the function below. */
size_t halo_answer_read_across(const struct halo_sender *sender, struct halo_answer *answer,
                               void *to, size_t max);

/* Copy the next bytes of an answer, at most `max`, to private memory. Returns how many. */
static inline size_t halo_answer_read(const struct halo_sender *sender, struct halo_answer *answer,
                                      void *to, size_t max)
{
    const uint64_t len = answer->left;

    if (answer->is_inline && len <= max) {
        halo_word_store(to, answer->word, (size_t)len);
        answer->left = 0;
        return (size_t)len;
    }
    /* All of a short one that lies in one buffer. */
    if (len - 1 >= HALO_COPY_SHORT || len > answer->here || len > max)
        return halo_answer_read_across(sender, answer, to, max);
    halo_shm_copy_in_short(to, (HALO_SHARED unsigned char *)halo_shm_share(answer->at),
                           (size_t)len); /* DRV-07 */
    answer->left = 0;
    return (size_t)len;
}

/*
 * The next bytes of an answer where they lie, not copied: 1 and a span, or 0 at the end (and for an
 * inline answer, which lies nowhere). The device may still change them.
 */
int halo_answer_span(const struct halo_sender *sender, struct halo_answer *answer,
                     struct halo_span *span);

/*
 * Move an answer into the program's own memory: copies the bytes of it that were not read yet, and
 * frees it, so that nothing of the queue is held. Returns 0; HALO_EINVAL where they are more than
 * `max`, HALO_ESTALE where it was freed before, HALO_EBUSY, and then nothing was changed. Its
 * token is stale afterwards; context, len and full_len still say what came.
 */
int halo_answer_move(struct halo_sender *sender, struct halo_answer *answer, void *to, size_t max);

/* Free an answer and its buffers. HALO_ESTALE where it was freed before, HALO_EBUSY. */
int halo_answer_free(struct halo_sender *sender, struct halo_answer *answer);

/* --- The end ---------------------------------------------------------------------------------- */

/* What was counted. Any time, from the notifier too. */
struct halo_queue_stats halo_sender_stats(const struct halo_sender *sender);

/* How many descriptors can be had now. */
static inline uint32_t halo_sender_room(const struct halo_sender *sender)
{
    return halo_driver_room(&sender->driver);
}

/* Latch the queue from this side: halo_driver_stop. HALO_EBUSY from the notifier. */
int halo_sender_stop(struct halo_sender *sender);

/*
 * Of a latched queue: the next request that will never be answered, each once (DRV-20). Returns 1
 * with its token and context; 0 when there is no other; HALO_ESTATE where it is not latched.
 */
int halo_sender_fail(struct halo_sender *sender, struct halo_token *token, uint64_t *context);

/*
 * Start again on a ring that was zeroed, after the device has confirmed the reset: what was in
 * flight is forgotten and its buffers are free. Answers that were not polled yet stay. HALO_ESTATE
 * where the queue is not latched.
 */
int halo_sender_reset(struct halo_sender *sender);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
