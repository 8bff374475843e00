/* A sender's requests: built out of buffers, submitted, made visible. */
#include "sender.h"

int halo_sender_init(struct halo_sender *sender, const struct halo_sender_config *config,
                     void *memory)
{
    const uint32_t size = config->place.size, parts = config->part_count;
    const uint32_t requests = config->request_count < size ? config->request_count : size;
    unsigned char *at = memory;
    struct halo_sender result = {
        .provider = config->provider,
        .slots = config->slots,
        .slot_count = config->slot_count,
        .address_delta = config->address_delta,
        .request_count = requests,
        .part_count = parts,
        .free_requests = requests,
        .free_parts = parts,
        .first_answered = NONE,
        .last_answered = NONE,
        .policy = config->policy,
        .notifier = config->notifier,
        .waiter = config->waiter,
    };
    int error = halo_ring_place_check(&config->place);

    if (error || requests == 0 || config->request_count > NONE || parts == 0 || parts > NONE ||
        !config->provider || (!config->slots && config->slot_count > 0) ||
        (uintptr_t)config->slots % 64 || !memory || (uintptr_t)memory % 8 ||
        !halo_features_valid(config->features) || (config->policy.hold && !config->notifier.notify))
        return HALO_EINVAL;
    result.requests = (struct halo_sender_request *)(void *)at;
    at += requests * sizeof(*result.requests);
    result.parts = (struct halo_part *)(void *)at;
    at += parts * sizeof(*result.parts);
    (void)halo_driver_init(&result.driver, &config->place, (struct halo_driver_chain *)(void *)at);
    (void)halo_driver_extend(&result.driver, config->features);
    /* The last one's `next` is never followed: the counts end first. */
    for (uint32_t i = 0; i < requests; i++)
        result.requests[i] =
            (struct halo_sender_request){.token = halo_token_make(1, (uint16_t)i).word};
    for (uint32_t i = 0; i < parts; i++)
        result.parts[i] = (struct halo_part){.next = (uint16_t)(i + 1)};
    *sender = result;
    return 0;
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

/* --- Building --------------------------------------------------------------------------------- */

static int may_add(const struct halo_send *send, bool writable)
{
    if (!send->sender)
        return HALO_ESTATE;
    halo_sender_check(send->sender);
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
static void *obtain_buffer(struct halo_sender *sender, uint32_t min, uint32_t want, uint32_t *len)
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
    sender->stats.pool_empty++;
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
    buf = obtain_buffer(send->sender, len, len, &have);
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
        void *buf = obtain_buffer(send->sender, 1, want, &have);

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
        void *buf = obtain_buffer(send->sender, 1, (uint32_t)len, &have);

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
    if (send->sender->free_parts == 0)
        (void)harvest(send->sender);
    if (send->sender->free_parts == 0) { /* an answer alone gives no part back */
        send->sender->stats.pool_empty++;
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
    __builtin_memset(send->inline_bytes, 0, sizeof(send->inline_bytes)); /* nothing else is shown */
    __builtin_memcpy(send->inline_bytes, bytes, len);
    send->inline_len = (uint16_t)len;
    send->is_inline = true;
    return 0;
}

void halo_send_drop(struct halo_send *send)
{
    if (send->sender) {
        halo_sender_check(send->sender);
        (void)free_some(send->sender, send->first,
                        (uint32_t)send->readable_count + send->writable_count);
    }
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

/* A chain was written, whose id is the request's number. It has no parts as yet. */
static inline struct halo_sender_request *put_on_record(struct halo_sender *sender, uint32_t id,
                                                        uint64_t context, struct halo_token *token)
{
    struct halo_sender_request *request = &sender->requests[id];

    sender->free_requests--;
    request->context = context;
    request->state = HALO_REQUEST_IN_FLIGHT;
    sender->stats.requests++;
    sender->stats.in_flight++;
    if (token)
        token->word = request->token;
    return request;
}

int halo_send_submit(struct halo_send *send, uint64_t context, struct halo_token *token)
{
    const uint32_t total = (uint32_t)send->readable_count + send->writable_count + send->is_inline;
    struct halo_sender *sender = send->sender;
    struct halo_sender_request *request;
    struct halo_driver_put put;
    int error;

    if (!sender)
        return HALO_ESTATE;
    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    error = halo_driver_begin(&sender->driver, total, &put);
    if (error == HALO_EFULL && harvest(sender) > 0)
        error = halo_driver_begin(&sender->driver, total, &put);
    if (!error && sender->free_requests == 0)
        error = HALO_EFULL;
    if (error) {
        sender->stats.ring_full += error == HALO_EFULL;
        return error;
    }
    request = put_on_record(sender, write_chain(sender, send, &put, total), context, token);
    request->first = send->first;
    request->readable_count = send->readable_count;
    request->part_count = (uint16_t)(send->readable_count + send->writable_count);
    send->sender = NULL;
    return 0;
}

/* Out of the pool: as many buffers as it takes. */
static __attribute__((noinline)) int request_by_steps(struct halo_sender *sender, const void *bytes,
                                                      size_t len, uint64_t answer_len,
                                                      uint64_t context, struct halo_token *token,
                                                      bool is_inline)
{
    struct halo_send send;
    int error = 0;

    halo_send_begin(&send, sender);
    if (is_inline)
        error = halo_send_inline(&send, bytes, (uint32_t)len);
    else if (len > 0)
        error = halo_send_write(&send, bytes, len);
    if (!error && answer_len > 0)
        error = halo_send_writable(&send, answer_len);
    if (!error)
        error = halo_send_submit(&send, context, token);
    if (error)
        halo_send_drop(&send);
    return error;
}

/* Is all at hand that a request of so many descriptors takes? Not in a notifier, or once latched.
 */
static inline bool is_ready(const struct halo_sender *sender, uint32_t slots)
{
    return !sender->notifying && sender->free_requests > 0 && sender->driver.free_slots >= slots;
}

/*
 * A request and an answer that fit a slot: that of the number which the chain will have. So there
 * is nothing to take but the number. Where something is in the way nothing is changed, and the
 * steps above find out what.
 */
static __attribute__((noinline)) int request_in_slot(struct halo_sender *sender, const void *bytes,
                                                     size_t len, uint64_t answer_len,
                                                     uint64_t context, struct halo_token *token)
{
    struct halo_driver *driver = &sender->driver;
    const uint32_t id = driver->free_id;
    unsigned char *slot = slot_of(sender, id);
    const uint64_t addr = (uintptr_t)slot + sender->address_delta;

    if (id >= sender->slot_count || !is_ready(sender, 2))
        return request_by_steps(sender, bytes, len, answer_len, context, token, false);
    halo_copy_short(slot, bytes, len);
    (void)halo_driver_add_pair(driver, addr, (uint32_t)len, addr + HALO_SLOT_MESSAGE,
                               (uint32_t)answer_len);
    (void)put_on_record(sender, id, context, token);
    return 0;
}

/* The same for one that travels inline, with its answer in the slot. */
static __attribute__((noinline)) int request_inline(struct halo_sender *sender, const void *bytes,
                                                    size_t len, uint64_t answer_len,
                                                    uint64_t context, struct halo_token *token)
{
    struct halo_driver *driver = &sender->driver;
    const uint32_t id = driver->free_id;
    const uint64_t addr =
        (uintptr_t)slot_of(sender, id) + HALO_SLOT_MESSAGE + sender->address_delta;

    if (answer_len > HALO_SLOT_MESSAGE || id >= sender->slot_count || !is_ready(sender, 2))
        return request_by_steps(sender, bytes, len, answer_len, context, token, true);
    (void)halo_driver_add_words(driver, halo_inline_words(bytes, (uint32_t)len), (uint32_t)len,
                                addr, (uint32_t)answer_len);
    (void)put_on_record(sender, id, context, token);
    return 0;
}

/* The same for one whose answer travels inline, too. */
static __attribute__((noinline)) int request_word(struct halo_sender *sender, const void *bytes,
                                                  size_t len, uint64_t context,
                                                  struct halo_token *token)
{
    const uint32_t id = sender->driver.free_id;

    if (!is_ready(sender, 1))
        return request_by_steps(sender, bytes, len, 0, context, token, true);
    (void)halo_driver_add_words(&sender->driver, halo_inline_words(bytes, (uint32_t)len),
                                (uint32_t)len, 0, 0);
    (void)put_on_record(sender, id, context, token);
    return 0;
}

int halo_sender_request(struct halo_sender *sender, const void *bytes, size_t len,
                        uint64_t answer_len, uint64_t context, struct halo_token *token)
{
    const uint32_t features = sender->driver.features;

    halo_sender_check(sender);
    if (len <= HALO_INLINE_REQUEST_MAX && features & HALO_FEATURE_INLINE_REQUEST) {
        if (answer_len <= HALO_INLINE_ANSWER_MAX && features & HALO_FEATURE_INLINE_ANSWER)
            return request_word(sender, bytes, len, context, token);
        return request_inline(sender, bytes, len, answer_len, context, token);
    }
    if (len - 1 < HALO_SLOT_MESSAGE && answer_len - 1 < HALO_SLOT_MESSAGE)
        return request_in_slot(sender, bytes, len, answer_len, context, token);
    return request_by_steps(sender, bytes, len, answer_len, context, token, false);
}

static __attribute__((noinline)) int kick(struct halo_sender *sender)
{
    sender->stats.notifications++;
    if (sender->notifier.notify) {
        sender->notifying = true;
        sender->notifier.notify(sender->notifier.context, &sender->stats);
        sender->notifying = false;
    }
    return 1;
}

int halo__sender_release(struct halo_sender *sender)
{
    sender->holding = false;
    return halo_driver_should_kick(&sender->driver) ? kick(sender) : 0;
}

/* The decision of a flush, of which a policy may hold back one of two in a row. */
static __attribute__((noinline)) int hold_or_kick(struct halo_sender *sender)
{
    if (sender->holding || sender->driver.unannounced == 0)
        return halo__sender_release(sender);
    sender->notifying = true;
    sender->holding = sender->policy.hold(sender->policy.context, &sender->stats);
    sender->notifying = false;
    return sender->holding ? 0 : halo__sender_release(sender);
}

int halo_sender_flush(struct halo_sender *sender)
{
    halo_sender_check(sender);
    if (sender->notifying)
        return HALO_EBUSY;
    if (sender->driver.violation.reason)
        return HALO_EBROKEN;
    sender->stats.batches += sender->driver.staged > 0;
    halo_driver_publish(&sender->driver);
    if (sender->policy.hold)
        return hold_or_kick(sender);
    return halo_driver_should_kick(&sender->driver) ? kick(sender) : 0;
}
