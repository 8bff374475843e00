/* The driver's end of a queue: requests, their buffers, and answers that wait to be polled. */
#include <halo/sender.h>

#define NONE UINT16_MAX /* no request, no part */

int halo_sender_init(struct halo_sender *sender, const struct halo_sender_config *config,
                     void *memory)
{
    const uint32_t requests = config->request_count, parts = config->part_count;
    unsigned char *at = memory;
    struct halo_sender result = {
        .provider = config->provider,
        .address_delta = config->address_delta,
        .request_count = requests,
        .part_count = parts,
        .free_requests = requests,
        .free_parts = parts,
        .first_answered = NONE,
        .last_answered = NONE,
        .notifier = config->notifier,
        .waiter = config->waiter,
    };
    int error = halo_ring_place_check(&config->place);

    if (error || requests == 0 || requests > NONE || parts == 0 || parts > NONE ||
        !config->provider || !memory || (uintptr_t)memory % 8 ||
        !halo_features_sound(config->features))
        return HALO_EINVAL;
    result.requests = (struct halo_sender_request *)(void *)at;
    at += requests * sizeof(*result.requests);
    result.parts = (struct halo_part *)(void *)at;
    at += parts * sizeof(*result.parts);
    (void)halo_driver_init(&result.driver, &config->place, (struct halo_driver_chain *)(void *)at);
    (void)halo_driver_extend(&result.driver, config->features);
    at += config->place.size * sizeof(struct halo_driver_chain);
    result.by_id = (uint16_t *)(void *)at;
    /* The last one's `next` is never followed: the counts end first. */
    for (uint32_t i = 0; i < requests; i++)
        result.requests[i] =
            (struct halo_sender_request){.generation = 1, .next = (uint16_t)(i + 1)};
    for (uint32_t i = 0; i < parts; i++)
        result.parts[i] = (struct halo_part){.next = (uint16_t)(i + 1)};
    *sender = result;
    return 0;
}

/* --- Parts ------------------------------------------------------------------------------------ */

/* Give one part's memory back to whom it belongs, and the part itself. Returns the next one. */
static inline uint32_t free_part(struct halo_sender *sender, uint32_t index)
{
    struct halo_part *part = &sender->parts[index];
    const uint32_t next = part->next;

    if (part->owner == HALO_PART_POOL) {
        (void)sender->provider->free(sender->provider, part->base, HALO_LENT);
    } else if (part->owner == HALO_PART_BORROWED) {
        uint32_t len;
        void *buf = sender->provider->find(sender->provider, part->base, &len);

        (void)sender->provider->hand_over(sender->provider, buf, HALO_LENT);
    }
    part->next = (uint16_t)sender->free_part;
    sender->free_part = index;
    sender->free_parts++;
    return next;
}

static uint32_t free_some(struct halo_sender *sender, uint32_t index, uint32_t count)
{
    for (; count > 0; count--)
        index = free_part(sender, index);
    return index;
}

/* Put memory at the end of a request that is being built; there is a part for it. */
static inline void append(struct halo_send *send, void *base, uint32_t len,
                          enum halo_part_owner owner, bool writable)
{
    struct halo_sender *sender = send->sender;
    const uint32_t index = sender->free_part;
    struct halo_part *part = &sender->parts[index];

    sender->free_part = part->next;
    sender->free_parts--;
    part->base = base;
    part->len = len;
    part->owner = (uint16_t)owner;
    if (send->readable_count + send->writable_count == 0)
        send->first = (uint16_t)index;
    else
        sender->parts[send->last].next = (uint16_t)index;
    send->last = (uint16_t)index;
    if (writable) {
        send->writable_count++;
        send->capacity += len;
    } else {
        send->readable_count++;
    }
}

/* --- Taking answers in ------------------------------------------------------------------------ */

/* One chain that came back: what the device read is free, what it wrote is the answer's. */
static uint32_t answer_came(struct halo_sender *sender, const struct halo_used *used)
{
    const uint32_t index = sender->by_id[used->id];
    struct halo_sender_request *request = &sender->requests[index];

    request->first = (uint16_t)free_some(sender, request->first, request->readable_count);
    request->readable_count = 0;
    request->state = HALO_REQUEST_ANSWERED;
    request->len = used->len;
    request->kind = (uint16_t)used->kind;
    request->word = used->word;
    sender->stats.in_flight--;
    sender->stats.answers++;
    sender->stats.truncated += used->kind == HALO_DESC_TRUNCATED;
    return index;
}

static void remember_answer(struct halo_sender *sender, uint32_t index)
{
    struct halo_sender_request *request = &sender->requests[index];

    request->prev = (uint16_t)sender->last_answered;
    request->next = NONE;
    if (sender->last_answered == NONE)
        sender->first_answered = index;
    else
        sender->requests[sender->last_answered].next = (uint16_t)index;
    sender->last_answered = index;
    sender->answered++;
}

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

/* Take in all that the device has used. Returns how many, or HALO_EBROKEN. */
static int harvest(struct halo_sender *sender)
{
    struct halo_used used;
    int count = 0, got;

    while ((got = halo_driver_poll(&sender->driver, &used)) > 0) {
        remember_answer(sender, answer_came(sender, &used));
        count++;
    }
    return count > 0 ? count : got;
}

int halo_sender_reclaim(struct halo_sender *sender)
{
    int got;

    if (sender->notifying)
        return HALO_EBUSY;
    got = harvest(sender);
    return got < 0 ? got : (int)sender->answered;
}

/* --- Building --------------------------------------------------------------------------------- */

static int may_add(const struct halo_send *send, bool writable)
{
    if (!send->sender)
        return HALO_ESTATE;
    if (send->sender->notifying)
        return HALO_EBUSY;
    if (!writable && (send->writable_count > 0 || send->is_inline))
        return HALO_ESTATE;
    return 0;
}

/* One buffer for all of `len` bytes and a part for it, or NULL: then there are harder ways. */
static inline void *take_whole(struct halo_sender *sender, size_t len, uint32_t *have)
{
    if (sender->free_parts == 0 || len > UINT32_MAX)
        return NULL;
    return sender->provider->alloc(sender->provider, (uint32_t)len, (uint32_t)len, HALO_LENT, have);
}

/* A buffer of the provider and a part for it; where there is none, once more after a harvest. */
static void *take_buffer(struct halo_sender *sender, uint32_t min, uint32_t want, uint32_t *len)
{
    for (int attempt = 0;; attempt++) {
        void *buf = NULL;

        if (sender->free_parts > 0)
            buf = sender->provider->alloc(sender->provider, min, want, HALO_LENT, len);
        if (buf)
            return buf;
        if (attempt > 0 || harvest(sender) <= 0)
            break;
    }
    sender->stats.empty++;
    return NULL;
}

/* Take back everything that was added since `before`. */
static void roll_back(struct halo_send *send, const struct halo_send *before, uint32_t last_len)
{
    const uint32_t had = (uint32_t)before->readable_count + before->writable_count;
    const uint32_t has = (uint32_t)send->readable_count + send->writable_count;
    struct halo_sender *sender = send->sender;

    if (had > 0)
        sender->parts[before->last].len = last_len;
    (void)free_some(sender, had > 0 ? sender->parts[before->last].next : send->first, has - had);
    *send = *before;
}

int halo_send_readable(struct halo_send *send, uint32_t len, void **at)
{
    int error = may_add(send, false);
    uint32_t have;
    void *buf;

    if (error)
        return error;
    if (len == 0)
        return HALO_EINVAL;
    buf = take_buffer(send->sender, len, len, &have);
    if (!buf)
        return HALO_ENOMEM;
    append(send, buf, len, HALO_PART_POOL, false);
    send->spare = have - len;
    *at = buf;
    return 0;
}

/* Bytes beyond the first buffer, or into one that has some already. */
__attribute__((noinline)) static int write_pieces(struct halo_send *send, const unsigned char *from,
                                                  size_t len)
{
    const struct halo_send before = *send;
    struct halo_part *last = &send->sender->parts[send->last];
    const uint32_t last_len = send->readable_count > 0 ? last->len : 0;

    if (send->spare > 0) {
        const uint32_t some = send->spare < len ? send->spare : (uint32_t)len;

        __builtin_memcpy(last->base + last->len, from, some);
        last->len += some;
        send->spare -= some;
        from += some;
        len -= some;
    }
    while (len > 0) {
        const uint32_t want = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
        uint32_t have, some;
        void *buf = take_buffer(send->sender, 1, want, &have);

        if (!buf) {
            roll_back(send, &before, last_len);
            return HALO_ENOMEM;
        }
        some = have < want ? have : want;
        append(send, buf, some, HALO_PART_POOL, false);
        send->spare = have - some;
        __builtin_memcpy(buf, from, some);
        from += some;
        len -= some;
    }
    return 0;
}

int halo_send_write(struct halo_send *send, const void *bytes, size_t len)
{
    int error = may_add(send, false);
    uint32_t have;
    void *buf;

    if (error)
        return error;
    if (len == 0)
        return HALO_EINVAL;
    buf = send->readable_count == 0 ? take_whole(send->sender, len, &have) : NULL;
    if (!buf)
        return write_pieces(send, bytes, len);
    append(send, buf, (uint32_t)len, HALO_PART_POOL, false);
    send->spare = have - (uint32_t)len;
    __builtin_memcpy(buf, bytes, len);
    return 0;
}

/* Room for an answer that one buffer does not hold. */
__attribute__((noinline)) static int add_pieces(struct halo_send *send, uint64_t len)
{
    const struct halo_send before = *send;
    const uint32_t last_len =
        send->readable_count + send->writable_count > 0 ? send->sender->parts[send->last].len : 0;

    while (len > 0) {
        uint32_t have;
        void *buf = take_buffer(send->sender, 1, (uint32_t)len, &have);

        if (!buf) {
            roll_back(send, &before, last_len);
            return HALO_ENOMEM;
        }
        if (have > len)
            have = (uint32_t)len;
        append(send, buf, have, HALO_PART_POOL, true);
        len -= have;
    }
    return 0;
}

int halo_send_writable(struct halo_send *send, uint64_t len)
{
    int error = may_add(send, true);
    uint32_t have;
    void *buf;

    if (error)
        return error;
    if (len == 0 || len > UINT32_MAX - send->capacity)
        return HALO_EINVAL;
    buf = take_whole(send->sender, len, &have);
    if (!buf)
        return add_pieces(send, len);
    append(send, buf, (uint32_t)len, HALO_PART_POOL, true);
    return 0;
}

/* Lend memory of the program's; where the provider knows it, the buffer cannot be freed so long. */
static int lend(struct halo_send *send, void *at, uint32_t len, bool writable)
{
    struct halo_provider *provider;
    enum halo_part_owner owner = HALO_PART_ELSEWHERE;
    uint32_t buf_len;
    int error = may_add(send, writable);
    void *buf;

    if (error)
        return error;
    if (len == 0 || (writable && len > UINT32_MAX - send->capacity))
        return HALO_EINVAL;
    if (send->sender->free_parts == 0 && harvest(send->sender) <= 0) {
        send->sender->stats.empty++;
        return HALO_ENOMEM;
    }
    provider = send->sender->provider;
    buf = provider->find(provider, at, &buf_len);
    if (buf) {
        if (len > buf_len - (uint32_t)((unsigned char *)at - (unsigned char *)buf))
            return HALO_EINVAL;
        error = provider->hand_over(provider, buf, HALO_HELD);
        if (error)
            return error;
        owner = HALO_PART_BORROWED;
    }
    append(send, at, len, owner, writable);
    send->spare = 0;
    return 0;
}

int halo_send_lend_readable(struct halo_send *send, const void *at, uint32_t len)
{
    return lend(send, (void *)(uintptr_t)at, len, false);
}

int halo_send_lend_writable(struct halo_send *send, void *at, uint32_t len)
{
    return lend(send, at, len, true);
}

int halo_send_inline(struct halo_send *send, const void *bytes, uint32_t len)
{
    int error = may_add(send, false);

    if (error)
        return error;
    if (send->readable_count > 0)
        return HALO_ESTATE;
    if (len > HALO_INLINE_REQUEST_MAX ||
        !(send->sender->driver.features & HALO_FEATURE_INLINE_REQUEST))
        return HALO_EINVAL;
    __builtin_memcpy(send->inline_bytes, bytes, len);
    send->inline_len = (uint16_t)len;
    send->is_inline = true;
    return 0;
}

void halo_send_drop(struct halo_send *send)
{
    if (send->sender)
        (void)free_some(send->sender, send->first,
                        (uint32_t)send->readable_count + send->writable_count);
    send->sender = NULL;
}

/* --- Submitting ------------------------------------------------------------------------------- */

/* Write the descriptors of a request; there is room for them. Returns the chain's id. */
static uint32_t write_chain(struct halo_sender *sender, const struct halo_send *send,
                            struct halo_driver_put *put, uint32_t total)
{
    struct halo_driver *driver = &sender->driver;
    uint32_t index = send->first, left = total;

    if (send->is_inline) {
        uint64_t addr = 0;
        uint32_t last = 0;

        __builtin_memcpy(&addr, send->inline_bytes, sizeof(addr));
        __builtin_memcpy(&last, send->inline_bytes + sizeof(addr), sizeof(last));
        halo_driver_put(driver, put, addr, last,
                        halo_driver_inline_flags(send->inline_len) |
                            (--left > 0 ? HALO_DESC_NEXT : 0u));
    }
    for (; left > 0; left--) {
        const struct halo_part *part = &sender->parts[index];

        halo_driver_put(driver, put, (uintptr_t)part->base + sender->address_delta, part->len,
                        (left <= send->writable_count ? HALO_DESC_WRITE : 0u) |
                            (left > 1 ? HALO_DESC_NEXT : 0u));
        index = part->next;
    }
    return (uint32_t)halo_driver_commit(driver, put, total, (uint32_t)send->capacity,
                                        send->is_inline ? HALO_DESC_INLINE : 0);
}

int halo_send_submit(struct halo_send *send, uint64_t context, struct halo_token *token)
{
    const uint32_t total = (uint32_t)send->readable_count + send->writable_count + send->is_inline;
    struct halo_sender *sender = send->sender;
    struct halo_sender_request *request;
    struct halo_driver_put put;
    uint32_t index;
    int error;

    if (!sender)
        return HALO_ESTATE;
    if (sender->notifying)
        return HALO_EBUSY;
    error = halo_driver_begin(&sender->driver, total, &put);
    if (error == HALO_EFULL && harvest(sender) > 0)
        error = halo_driver_begin(&sender->driver, total, &put);
    if (!error && sender->free_requests == 0)
        error = HALO_EFULL;
    if (error) {
        sender->stats.full += error == HALO_EFULL;
        return error;
    }
    index = sender->free_request;
    request = &sender->requests[index];
    sender->free_request = request->next;
    sender->free_requests--;
    sender->by_id[write_chain(sender, send, &put, total)] = (uint16_t)index;
    request->context = context;
    request->first = send->first;
    request->readable_count = send->readable_count;
    request->writable_count = send->writable_count;
    request->state = HALO_REQUEST_IN_FLIGHT;
    sender->stats.requests++;
    sender->stats.in_flight++;
    if (token)
        *token = (struct halo_token){request->generation, (uint16_t)index};
    send->sender = NULL;
    return 0;
}

__attribute__((flatten)) int halo_sender_request(struct halo_sender *sender, const void *bytes,
                                                 size_t len, uint64_t answer_len, uint64_t context,
                                                 struct halo_token *token)
{
    const uint32_t features = sender->driver.features;
    struct halo_send send;
    int error = 0;

    halo_send_begin(&send, sender);
    if ((features & HALO_FEATURE_INLINE_REQUEST) && len <= HALO_INLINE_REQUEST_MAX)
        error = halo_send_inline(&send, bytes, (uint32_t)len);
    else if (len > 0)
        error = halo_send_write(&send, bytes, len);
    if (send.is_inline && (features & HALO_FEATURE_INLINE_ANSWER) &&
        answer_len <= HALO_INLINE_ANSWER_MAX)
        answer_len = 0;
    if (!error && answer_len > 0)
        error = halo_send_writable(&send, answer_len);
    if (!error)
        error = halo_send_submit(&send, context, token);
    if (error)
        halo_send_drop(&send);
    return error;
}

int halo_sender_flush(struct halo_sender *sender)
{
    if (sender->notifying)
        return HALO_EBUSY;
    if (sender->driver.violation.reason)
        return HALO_EBROKEN;
    sender->stats.batches += sender->driver.staged > 0;
    halo_driver_publish(&sender->driver);
    if (!halo_driver_should_kick(&sender->driver))
        return 0;
    sender->stats.notifications++;
    if (sender->notifier.notify) {
        sender->notifying = true;
        sender->notifier.notify(sender->notifier.context, &sender->stats);
        sender->notifying = false;
    }
    return 1;
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
    answer->token = (struct halo_token){request->generation, (uint16_t)index};
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

    if (token.id >= sender->request_count)
        return NULL;
    request = &sender->requests[token.id];
    if (request->generation != token.generation || request->state == HALO_REQUEST_FREE)
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
    forget_answer(sender, token.id);
    hand_out(sender, token.id, answer);
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
        for (; done < max && answer->left > 0; answer->left--)
            at[done++] = (unsigned char)(answer->word >> 8 * answer->offset++);
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
    free_request(sender, answer->token.id);
    return 0;
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
    *token = (struct halo_token){request->generation, sender->by_id[id]};
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
