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

    if (sender->notifying)
        return HALO_EBUSY;
    got = harvest(sender);
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

static void hand_out(struct halo_sender *sender, uint32_t index, struct halo_answer *answer)
{
    struct halo_sender_request *request = &sender->requests[index];

    request->state = HALO_REQUEST_TAKEN;
    answer->token = halo_token_make(request->generation, (uint16_t)index);
    answer->context = request->context;
    answer->len = request->len;
    answer->full_len = request->len;
    answer->is_inline = request->kind == HALO_DESC_INLINE;
    answer->truncated = request->kind == HALO_DESC_TRUNCATED;
    if (answer->truncated && request->word > request->len)
        answer->full_len = request->word;
    answer->part = request->first;
    answer->offset = 0;
    answer->left = request->len;
    answer->word = request->word;
}

__attribute__((flatten)) int halo_sender_poll(struct halo_sender *sender,
                                              struct halo_answer *answer)
{
    struct halo_used used;
    uint32_t index = sender->first_answered;

    if (sender->notifying)
        return HALO_EBUSY;
    if (index != NONE) {
        forget_answer(sender, index);
    } else {
        int got = halo_driver_poll(&sender->driver, &used);

        if (got <= 0)
            return got;
        index = answer_came(sender, &used);
    }
    hand_out(sender, index, answer);
    return 1;
}

/* The request of a token, or NULL where it is not in use any more. */
static struct halo_sender_request *find_request(const struct halo_sender *sender,
                                                struct halo_token token)
{
    struct halo_sender_request *request;

    if (halo_token_id(token) >= sender->request_count)
        return NULL;
    request = &sender->requests[halo_token_id(token)];
    if (request->generation != halo_token_generation(token) || request->state == HALO_REQUEST_FREE)
        return NULL;
    return request;
}

int halo_sender_take(struct halo_sender *sender, struct halo_token token,
                     struct halo_answer *answer)
{
    const struct halo_sender_request *request = find_request(sender, token);

    if (sender->notifying)
        return HALO_EBUSY;
    if (!request || request->state == HALO_REQUEST_TAKEN || request->state == HALO_REQUEST_LOST)
        return HALO_ESTALE;
    if (request->state == HALO_REQUEST_IN_FLIGHT) {
        int got = harvest(sender);

        if (request->state == HALO_REQUEST_IN_FLIGHT)
            return got < 0 ? got : 0;
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

int halo_answer_span(const struct halo_sender *sender, struct halo_answer *answer,
                     struct halo_span *span)
{
    const struct halo_part *part = &sender->parts[answer->part];
    uint64_t len;

    if (answer->left == 0 || answer->is_inline)
        return 0;
    len = part->len - answer->offset;
    if (len > answer->left)
        len = answer->left;
    span->base = (HALO_SHARED unsigned char *)halo_shm_share(part->base) + answer->offset;
    span->len = (size_t)len;
    answer->left -= len;
    answer->offset = 0;
    answer->part = part->next;
    return 1;
}

size_t halo_answer_read(const struct halo_sender *sender, struct halo_answer *answer, void *to,
                        size_t max)
{
    unsigned char *at = to;
    size_t done = 0;

    if (answer->is_inline) {
        done = answer->left < max ? (size_t)answer->left : max;
        __builtin_memcpy(to, (const unsigned char *)&answer->word + answer->offset, done);
        answer->offset += (uint32_t)done;
        answer->left -= done;
        return done;
    }
    while (done < max && answer->left > 0) {
        const struct halo_part *part = &sender->parts[answer->part];
        size_t some = part->len - answer->offset;

        some = some < answer->left ? some : (size_t)answer->left;
        some = some < max - done ? some : max - done;
        halo_shm_copy_in(at + done,
                         (HALO_SHARED unsigned char *)halo_shm_share(part->base) + answer->offset,
                         some); /* DRV-07 */
        done += some;
        answer->left -= some;
        answer->offset += (uint32_t)some;
        if (answer->offset == part->len) {
            answer->part = part->next;
            answer->offset = 0;
        }
    }
    return done;
}

static void free_request(struct halo_sender *sender, uint32_t index)
{
    struct halo_sender_request *request = &sender->requests[index];

    (void)free_some(sender, request->first,
                    (uint32_t)request->readable_count + request->writable_count);
    request->state = HALO_REQUEST_FREE;
    request->generation++; /* tokens of it are stale: ID-05 */
    request->next = (uint16_t)sender->free_request;
    sender->free_request = index;
    sender->free_requests++;
}

__attribute__((flatten)) int halo_answer_free(struct halo_sender *sender,
                                              struct halo_answer *answer)
{
    const struct halo_sender_request *request = find_request(sender, answer->token);

    if (sender->notifying)
        return HALO_EBUSY;
    if (!request || request->state != HALO_REQUEST_TAKEN)
        return HALO_ESTALE;
    answer->left = 0;
    free_request(sender, halo_token_id(answer->token));
    return 0;
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
    if (sender->notifying)
        return HALO_EBUSY;
    halo_driver_stop(&sender->driver);
    return 0;
}

int halo_sender_fail(struct halo_sender *sender, struct halo_token *token, uint64_t *context)
{
    uint16_t id;
    int got = halo_driver_fail(&sender->driver, &id);
    struct halo_sender_request *request;

    if (got <= 0)
        return got;
    request = &sender->requests[sender->by_id[id]];
    request->state = HALO_REQUEST_LOST;
    sender->stats.in_flight--;
    *token = halo_token_make(request->generation, sender->by_id[id]);
    *context = request->context;
    return 1;
}

int halo_sender_reset(struct halo_sender *sender)
{
    const struct halo_ring_place place = sender->driver.place;
    const uint32_t features = sender->driver.features;

    if (sender->notifying)
        return HALO_EBUSY;
    if (!sender->driver.violation.reason)
        return HALO_ESTATE;
    (void)halo_driver_init(&sender->driver, &place, sender->driver.chains);
    (void)halo_driver_extend(&sender->driver, features);
    for (uint32_t i = 0; i < sender->request_count; i++) {
        if (sender->requests[i].state == HALO_REQUEST_IN_FLIGHT)
            sender->stats.in_flight--;
        if (sender->requests[i].state == HALO_REQUEST_IN_FLIGHT ||
            sender->requests[i].state == HALO_REQUEST_LOST)
            free_request(sender, i);
    }
    return 0;
}
