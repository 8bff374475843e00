/* A sender's answers: taken in, waited for, handed out; and the end of a queue. */
#include "sender.h"

static void forget_answer(struct halo_sender *sender, uint32_t index)
{
    const struct halo_sender_request *request = &sender->requests[index];

    if (request->prev == NONE)
        sender->first_answered = request->next;
    else
        sender->requests[request->prev].next = request->next;
    if (request->next == NONE)
        sender->last_answered = request->prev;
    else
        sender->requests[request->next].prev = request->prev;
    sender->answered--;
}

int halo_sender_reclaim(struct halo_sender *sender)
{
    int got;

    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    got = harvest(sender);
    if (sender->holding)
        (void)halo__sender_release(sender);
    return got < 0 ? got : (int)sender->answered;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/*
 * There was nothing to go on with: let the device see what it has to do, take in what came, here
 * and on the other queues, and sleep only when nothing did. Returns 0 to look again.
 */
static int wait_once(struct halo_sender *sender, uint64_t deadline)
{
    const struct halo_waiter *waiter = &sender->waiter;
    int got = halo_sender_flush(sender);

    if (got < 0)
        return got;
    if (sender->holding)
        (void)halo__sender_release(sender);
    got = harvest(sender);
    if (got != 0)
        return got < 0 ? got : 0;
    if (waiter->receive) {
        bool any;

        sender->waiting = true;
        any = waiter->receive(waiter->context);
        sender->waiting = false;
        if (any)
            return 0;
    }
    if (deadline == HALO_DEADLINE_NOW || !waiter->wait)
        return HALO_ETIMEDOUT;
    if (halo_driver_arm(&sender->driver)) /* EVT-08: it came just now */
        return 0;
    return waiter->wait(waiter->context, deadline);
}

int halo_send_submit_wait(struct halo_send *send, uint64_t context, uint64_t deadline,
                          struct halo_token *token)
{
    struct halo_sender *sender = send->sender;

    if (!sender)
        return HALO_ESTATE;
    if (sender->waiting)
        return HALO_EBUSY;
    for (;;) {
        int error = halo_send_submit(send, context, token);

        /* Answers that nobody frees do not go away by waiting. */
        if (error != HALO_EFULL || (sender->free_requests == 0 && sender->stats.in_flight == 0))
            return error;
        error = wait_once(sender, deadline);
        if (error)
            return error;
    }
}

int halo_sender_wait(struct halo_sender *sender, uint64_t deadline)
{
    uint32_t in_flight = sender->stats.in_flight;

    halo_sender_check(sender);
    if (sender->waiting || sender->notifying)
        return HALO_EBUSY;
    while (sender->answered == 0 && in_flight > 0 && sender->stats.in_flight == in_flight) {
        int error = wait_once(sender, deadline);

        if (error)
            return error;
    }
    return (int)sender->answered;
}

/* --- Answers ---------------------------------------------------------------------------------- */

/* Where the bytes of an answer begin, and how many of its buffer there may be. */
static inline void find_bytes(const struct halo_sender *sender, uint32_t index,
                              const struct halo_sender_request *request, struct halo_answer *answer)
{
    if (answer->is_inline || request->len == 0) {
        answer->here = 0;
    } else if (request->part_count == 0) { /* in its slot, or there are none */
        answer->at = slot_of(sender, index) + HALO_SLOT_MESSAGE;
        answer->here = request->len;
    } else {
        answer->at = sender->parts[request->first].base;
        answer->here = sender->parts[request->first].len;
    }
}

static inline void hand_out(struct halo_sender *sender, uint32_t index, struct halo_answer *answer)
{
    struct halo_sender_request *request = &sender->requests[index];

    request->state = HALO_REQUEST_TAKEN;
    answer->token.word = request->token;
    answer->context = request->context;
    answer->len = request->len;
    answer->full_len = request->len;
    answer->is_inline = request->kind == HALO_DESC_INLINE;
    answer->truncated = request->kind == HALO_DESC_TRUNCATED;
    if (answer->truncated && request->word > request->len)
        answer->full_len = request->word;
    answer->left = request->len;
    answer->word = request->word;
    answer->part = request->first;
    find_bytes(sender, index, request, answer);
}

/* An answer that has come, and is handed out at once. */
static __attribute__((noinline)) int
hand_out_new(struct halo_sender *sender, const struct halo_used *used, struct halo_answer *answer)
{
    hand_out(sender, answer_came(sender, used), answer);
    return 1;
}

/* An answer that waits. */
static __attribute__((noinline)) int poll_waiting(struct halo_sender *sender,
                                                  struct halo_answer *answer)
{
    const uint32_t index = sender->first_answered;

    if (sender->notifying)
        return HALO_EBUSY;
    forget_answer(sender, index);
    hand_out(sender, index, answer);
    return 1;
}

/* Nothing has come. */
static __attribute__((noinline)) int poll_nothing(struct halo_sender *sender)
{
    (void)halo__sender_release(sender);
    return 0;
}

/* The rest, with a used entry that was loaded. */
static __attribute__((noinline)) int poll_any_loaded(struct halo_sender *sender,
                                                     struct halo_answer *answer, uint64_t meta)
{
    struct halo_used used;
    const int got = halo_driver_take_any_held(&sender->driver, &used, meta);

    return got > 0 ? hand_out_new(sender, &used, answer) : got;
}

static __attribute__((noinline)) int poll_parts(struct halo_sender *sender,
                                                struct halo_answer *answer, struct halo_used used)
{
    return hand_out_new(sender, &used, answer);
}

/*
 * The short way is for an answer in a slot, or inline, before which no other waits: what
 * answer_came and hand_out would write down of it on the way from one to the other is left out.
 */
int halo_sender_poll(struct halo_sender *sender, struct halo_answer *answer)
{
    struct halo_driver *driver = &sender->driver;
    struct halo_sender_request *request;
    struct halo_used used;
    uint64_t meta;

    halo_sender_check(sender);
    if (sender->notifying || sender->answered > 0)
        return poll_waiting(sender, answer);
    halo_driver_check(driver);
    meta = halo_shm_load_meta(driver->used.desc);
    if ((meta ^ driver->used.phase) & HALO_META_PHASE)
        return sender->holding ? poll_nothing(sender) : 0; /* DRV-11 */
    if (!halo_driver_take_held(driver, &used, meta))
        return poll_any_loaded(sender, answer, meta);
    request = &sender->requests[used.id];
    if (request->part_count > 0)
        return poll_parts(sender, answer, used);
    sender->stats.in_flight--;
    sender->stats.answers++;
    request->state = HALO_REQUEST_TAKEN;
    answer->token.word = request->token;
    answer->context = request->context;
    answer->len = used.len;
    answer->full_len = used.len;
    answer->left = used.len;
    answer->here = used.len;
    answer->word = used.word;
    answer->truncated = false;
    answer->is_inline = used.kind > 0;
    answer->at = slot_of(sender, used.id) + HALO_SLOT_MESSAGE;
    return 1;
}

/* The request of a token, or NULL where it is not in use any more. */
static inline struct halo_sender_request *find_request(const struct halo_sender *sender,
                                                       struct halo_token token)
{
    struct halo_sender_request *request;

    if (halo_token_id(token) >= sender->request_count)
        return NULL;
    request = &sender->requests[halo_token_id(token)];
    return request->token == token.word && request->state != HALO_REQUEST_FREE ? request : NULL;
}

int halo_sender_take(struct halo_sender *sender, struct halo_token token,
                     struct halo_answer *answer)
{
    const struct halo_sender_request *request = find_request(sender, token);

    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    if (!request || request->state == HALO_REQUEST_TAKEN || request->state == HALO_REQUEST_LOST)
        return HALO_ESTALE;
    if (request->state == HALO_REQUEST_IN_FLIGHT) {
        int got = harvest(sender);

        if (request->state == HALO_REQUEST_IN_FLIGHT) {
            if (sender->holding)
                (void)halo__sender_release(sender);
            return got < 0 ? got : 0;
        }
    }
    forget_answer(sender, halo_token_id(token));
    hand_out(sender, halo_token_id(token), answer);
    return 1;
}

int halo_sender_take_wait(struct halo_sender *sender, struct halo_token token, uint64_t deadline,
                          struct halo_answer *answer)
{
    if (sender->waiting)
        return HALO_EBUSY;
    for (;;) {
        int got = halo_sender_take(sender, token, answer);

        if (got != 0)
            return got;
        got = wait_once(sender, deadline);
        if (got)
            return got;
    }
}

/* The buffer is used up: what follows is in the next one. */
static void next_part(const struct halo_sender *sender, struct halo_answer *answer)
{
    const uint32_t index = sender->parts[answer->part].next;

    answer->part = (uint16_t)index;
    answer->at = sender->parts[index].base;
    answer->here = sender->parts[index].len;
}

int halo_answer_span(const struct halo_sender *sender, struct halo_answer *answer,
                     struct halo_span *span)
{
    uint64_t len;

    if (answer->left == 0 || answer->is_inline)
        return 0;
    if (answer->here == 0)
        next_part(sender, answer);
    len = answer->here < answer->left ? answer->here : answer->left;
    span->base = (HALO_SHARED unsigned char *)halo_shm_share(answer->at);
    span->len = (size_t)len;
    answer->left -= len;
    answer->here = 0;
    return 1;
}

size_t halo_answer_read_across(const struct halo_sender *sender, struct halo_answer *answer,
                               void *to, size_t max)
{
    unsigned char *at = to;
    size_t done = 0;

    if (answer->is_inline) { /* which has more than that */
        halo_word_store(to, answer->word, max);
        answer->word >>= 8 * max;
        answer->left -= max;
        return max;
    }
    while (done < max && answer->left > 0) {
        size_t some;

        if (answer->here == 0)
            next_part(sender, answer);
        some = answer->here < answer->left ? (size_t)answer->here : (size_t)answer->left;
        some = some < max - done ? some : max - done;
        halo_shm_copy_in(at + done, (HALO_SHARED unsigned char *)halo_shm_share(answer->at),
                         some); /* DRV-07 */
        done += some;
        answer->left -= some;
        answer->here -= some;
        answer->at += some;
    }
    return done;
}

static __attribute__((noinline)) int free_parts(struct halo_sender *sender,
                                                struct halo_sender_request *request)
{
    (void)free_some(sender, request->first, request->part_count);
    request->part_count = 0;
    return 0;
}

/* Its buffers are free, and so is its number, which is to be released. Returns 0. */
static inline int free_request(struct halo_sender *sender, struct halo_sender_request *request)
{
    request->state = HALO_REQUEST_FREE;
    request->token = halo_token_next(request->token); /* tokens of it are stale: ID-05 */
    sender->free_requests++;
    return request->part_count > 0 ? free_parts(sender, request) : 0;
}

int halo_answer_free(struct halo_sender *sender, struct halo_answer *answer)
{
    struct halo_sender_request *request = find_request(sender, answer->token);

    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    if (!request || request->state != HALO_REQUEST_TAKEN)
        return HALO_ESTALE;
    answer->left = 0;
    halo_driver_release(&sender->driver, halo_token_id(answer->token));
    return free_request(sender, request);
}

int halo_answer_move(struct halo_sender *sender, struct halo_answer *answer, void *to, size_t max)
{
    const struct halo_sender_request *request = find_request(sender, answer->token);

    if (sender->notifying)
        return HALO_EBUSY;
    if (!request || request->state != HALO_REQUEST_TAKEN)
        return HALO_ESTALE;
    if (answer->left > max)
        return HALO_EINVAL;
    (void)halo_answer_read(sender, answer, to, max);
    return halo_answer_free(sender, answer);
}

/* --- The end ---------------------------------------------------------------------------------- */

struct halo_queue_stats halo_sender_stats(const struct halo_sender *sender)
{
    return sender->stats;
}

int halo_sender_stop(struct halo_sender *sender)
{
    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    halo_driver_stop(&sender->driver);
    return 0;
}

int halo_sender_fail(struct halo_sender *sender, struct halo_token *token, uint64_t *context)
{
    struct halo_sender_request *request;
    uint16_t id;
    int got;

    halo_sender_check(sender);
    got = halo_driver_fail(&sender->driver, &id);
    if (got <= 0)
        return got;
    request = &sender->requests[id];
    request->state = HALO_REQUEST_LOST;
    sender->stats.in_flight--;
    token->word = request->token;
    *context = request->context;
    return 1;
}

/* The driver has begun anew, with all ids free; those of answers that stay are held. */
static void hold_kept(struct halo_sender *sender)
{
    struct halo_driver *driver = &sender->driver;

    driver->held = driver->place.size;
    for (uint32_t id = driver->place.size; id-- > 0;) {
        if (id >= sender->request_count || sender->requests[id].state == HALO_REQUEST_FREE)
            halo_driver_release(driver, (uint16_t)id);
    }
}

int halo_sender_reset(struct halo_sender *sender)
{
    const struct halo_ring_place place = sender->driver.place;
    const uint32_t features = sender->driver.features;

    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    if (!sender->driver.violation.reason)
        return HALO_ESTATE;
    for (uint32_t i = 0; i < sender->request_count; i++) {
        if (sender->requests[i].state == HALO_REQUEST_IN_FLIGHT)
            sender->stats.in_flight--;
        if (sender->requests[i].state == HALO_REQUEST_IN_FLIGHT ||
            sender->requests[i].state == HALO_REQUEST_LOST)
            (void)free_request(sender, &sender->requests[i]);
    }
    (void)halo_driver_init(&sender->driver, &place, sender->driver.chains);
    (void)halo_driver_extend(&sender->driver, features);
    sender->holding = false;
    hold_kept(sender);
    return 0;
}
