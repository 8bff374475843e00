/* The device's end of a queue: reading requests, writing answers. */
#include <halo/receiver.h>

int halo_receiver_init(struct halo_receiver *receiver, const struct halo_receiver_config *config,
                       struct halo_device_chain *chains)
{
    struct halo_receiver result = {
        .in_flight_max = config->in_flight_max ? config->in_flight_max : config->place.size,
        .policy = config->policy,
        .notifier = config->notifier,
    };
    int error;

    if (!halo_features_valid(config->features) || (config->policy.hold && !config->notifier.notify))
        return HALO_EINVAL;
    error =
        halo_device_init(&result.device, &config->place, config->memory, chains, config->len_max);
    if (error)
        return error;
    (void)halo_device_extend(&result.device, config->features);
    *receiver = result;
    return 0;
}

/* --- Notifying -------------------------------------------------------------------------------- */

static __attribute__((noinline)) int notify(struct halo_receiver *receiver)
{
    receiver->stats.notifications++;
    if (receiver->notifier.notify) {
        receiver->notifying = true;
        receiver->notifier.notify(receiver->notifier.context, &receiver->stats);
        receiver->notifying = false;
    }
    return 1;
}

/* Send the notification that was held back, where it is still due. Returns whether it was. */
static int release(struct halo_receiver *receiver)
{
    receiver->holding = false;
    return halo_device_should_notify(&receiver->device) ? notify(receiver) : 0;
}

/* Nothing has come. */
static __attribute__((noinline)) int take_nothing(struct halo_receiver *receiver)
{
    (void)release(receiver);
    return 0;
}

/* --- Taking ----------------------------------------------------------------------------------- */

/* Where none may be taken, and why. */
static __attribute__((noinline)) int refuse(struct halo_receiver *receiver)
{
    if (receiver->notifying)
        return HALO_EBUSY;
    receiver->stats.ring_full++;
    return HALO_EFULL;
}

/* A chain was taken: nothing of it was read or written. */
static inline int begin(struct halo_receiver *receiver, struct halo_received *request,
                        const struct halo_span *spans)
{
    receiver->stats.requests++;
    receiver->stats.in_flight++;
    request->spans = spans;
    request->read_span = 0;
    request->write_span = 0;
    request->read_offset = 0;
    request->write_offset = 0;
    request->answer_len = 0;
    request->short_answer = 0;
    request->may_inline =
        request->chain.is_inline && (receiver->device.features & HALO_FEATURE_INLINE_ANSWER) != 0;
    request->open = true;
    return 1;
}

/* What was taken, or why nothing was. */
static inline int taken(struct halo_receiver *receiver, struct halo_received *request,
                        const struct halo_span *spans, int got)
{
    if (got > 0)
        return begin(receiver, request, spans);
    receiver->stats.rejected += got == HALO_EREJECT;
    return got;
}

static __attribute__((noinline)) int poll_pair(struct halo_receiver *receiver,
                                               struct halo_received *request,
                                               struct halo_span *spans, uint32_t span_max,
                                               uint64_t meta)
{
    return taken(receiver, request, spans,
                 halo_device_take_pair(&receiver->device, &request->chain, spans, span_max, meta));
}

static __attribute__((noinline)) int poll_inline(struct halo_receiver *receiver,
                                                 struct halo_received *request,
                                                 struct halo_span *spans, uint32_t span_max,
                                                 uint64_t meta)
{
    return taken(
        receiver, request, spans,
        halo_device_take_inline(&receiver->device, &request->chain, spans, span_max, meta));
}

static __attribute__((noinline)) int poll_inline_pair(struct halo_receiver *receiver,
                                                      struct halo_received *request,
                                                      struct halo_span *spans, uint32_t span_max,
                                                      uint64_t meta)
{
    return taken(
        receiver, request, spans,
        halo_device_take_inline_pair(&receiver->device, &request->chain, spans, span_max, meta));
}

static __attribute__((noinline)) int poll_any(struct halo_receiver *receiver,
                                              struct halo_received *request,
                                              struct halo_span *spans, uint32_t span_max,
                                              uint64_t meta)
{
    return taken(
        receiver, request, spans,
        halo_device_take_loaded(&receiver->device, &request->chain, spans, span_max, meta));
}

/* The usual requests go a short way: one buffer to be read, or bytes inline, and one for the
 * answer; or inline alone. */
int halo_receiver_poll(struct halo_receiver *receiver, struct halo_received *request,
                       struct halo_span *spans, uint32_t span_max)
{
    struct halo_device *device = &receiver->device;
    uint64_t meta, word;

    halo_receiver_check(receiver);
    if (receiver->notifying || receiver->stats.in_flight >= receiver->in_flight_max)
        return refuse(receiver);
    halo_device_check(device);
    meta = halo_shm_load_meta(device->avail.desc); /* TOC-01 */
    word = meta ^ device->avail.phase;
    if (HALO_PLAIN_PATH && word >> 48 == HALO_DESC_NEXT && device->room > 1) /* not if latched */
        return poll_pair(receiver, request, spans, span_max, meta);
    if (word & HALO_META_PHASE)
        return receiver->holding ? take_nothing(receiver) : 0;
    if (HALO_PLAIN_PATH && halo_device_is_inline(device, halo_meta_flags(word))) {
        if (!(halo_meta_flags(meta) & HALO_DESC_NEXT) && device->room > 0)
            return poll_inline(receiver, request, spans, span_max, meta);
        if (device->room > 1)
            return poll_inline_pair(receiver, request, spans, span_max, meta);
    }
    return poll_any(receiver, request, spans, span_max, meta);
}

/* --- Reading and writing ---------------------------------------------------------------------- */

/* The next `len` bytes of an inline request. */
static size_t read_inline(struct halo_received *request, void *to, size_t len)
{
    const size_t left = request->chain.inline_len - (size_t)request->read_offset;
    const unsigned char *from = request->chain.inline_bytes + request->read_offset;

    len = len < left ? len : left;
    halo_word_store(to, halo_word_load(from, len), len);
    if (len > 8)
        halo_word_store((unsigned char *)to + 8, halo_word_load(from + 8, len - 8), len - 8);
    request->read_offset += len;
    return len;
}

size_t halo_received_read_across(struct halo_received *request, void *to, size_t max)
{
    unsigned char *at = to;
    size_t done = 0;

    if (!request->open)
        return 0;
    if (request->chain.is_inline)
        return read_inline(request, to, max);
    while (request->read_span < request->chain.readable_count) {
        const struct halo_span *span = &request->spans[request->read_span];
        const size_t left = span->len - (size_t)request->read_offset;
        const size_t some = left < max ? left : max;

        halo_shm_copy_in(at + done, span->base + request->read_offset, some); /* TOC-08 */
        done += some;
        max -= some;
        if (some < left) {
            request->read_offset += some;
            break;
        }
        request->read_span++;
        request->read_offset = 0;
    }
    return done;
}

/* Bytes that still fit into the writable spans. */
static uint64_t room_left(const struct halo_received *request)
{
    return request->answer_len < request->chain.writable_len
               ? request->chain.writable_len - request->answer_len
               : 0;
}

/* The span that is being written. While there is room there is one, and a byte of it is left. */
static const struct halo_span *find_room(struct halo_received *request)
{
    const struct halo_span *writable = request->spans + request->chain.readable_count;

    if (request->write_offset == writable[request->write_span].len) {
        request->write_span++;
        request->write_offset = 0;
    }
    return &writable[request->write_span];
}

/* A copy of the first bytes of an answer that may end soon enough to go inline. */
static void keep_short(struct halo_received *request, const unsigned char *from, size_t len)
{
    const size_t at = (size_t)request->answer_len, room = HALO_INLINE_ANSWER_MAX - at;

    request->short_answer |= halo_word_load(from, len < room ? len : room) << (8 * at);
}

int halo_received_write_across(struct halo_received *request, const void *from, size_t len)
{
    const unsigned char *at = from;
    uint64_t fits = room_left(request);

    if (!request->open)
        return HALO_ESTALE;
    if (len > INT32_MAX)
        return HALO_EINVAL;
    if (request->may_inline && request->answer_len < HALO_INLINE_ANSWER_MAX)
        keep_short(request, at, len);
    fits = fits < len ? fits : len;
    for (uint64_t left = fits; left > 0;) {
        const struct halo_span *span = find_room(request);
        const uint64_t here = span->len - request->write_offset;
        const size_t some = here < left ? (size_t)here : (size_t)left;

        halo_shm_copy_out(span->base + request->write_offset, at, some);
        request->write_offset += some;
        at += some;
        left -= some;
    }
    request->answer_len += len;
    if (request->may_inline && request->answer_len <= HALO_INLINE_ANSWER_MAX)
        return (int)len;
    return (int)fits;
}

uint32_t halo_received_reserve(const struct halo_received *request, struct halo_span *spans,
                               uint32_t max)
{
    const struct halo_span *writable = request->spans + request->chain.readable_count;
    uint64_t skip = request->write_offset;
    uint32_t count = 0;

    if (!request->open || room_left(request) == 0)
        return 0;
    for (uint32_t i = request->write_span; i < request->chain.writable_count && count < max; i++) {
        if (skip < writable[i].len) {
            spans[count].base = writable[i].base + skip;
            spans[count].len = writable[i].len - (size_t)skip;
            count++;
        }
        skip = 0;
    }
    return count;
}

int halo_received_commit(struct halo_received *request, uint64_t len)
{
    if (!request->open)
        return HALO_ESTALE;
    if (len > room_left(request))
        return HALO_EINVAL;
    request->answer_len += len;
    request->may_inline = request->may_inline && len == 0; /* the bytes are in the spans alone */
    while (len > 0) {
        const uint64_t here = find_room(request)->len - request->write_offset;
        const uint64_t some = here < len ? here : len;

        request->write_offset += some;
        len -= some;
    }
    return 0;
}

static inline int completed(struct halo_receiver *receiver, struct halo_received *request)
{
    halo_received_close(request);
    receiver->stats.answers++;
    receiver->stats.in_flight--;
    return 0;
}

/* With an answer in the buffers, which may be cut. */
static __attribute__((noinline)) int complete_any(struct halo_receiver *receiver,
                                                  struct halo_received *request)
{
    struct halo_device *device = &receiver->device;
    const uint64_t len = request->answer_len, room = request->chain.writable_len;
    const bool is_cut = len > room;
    int error;

    if (is_cut && (device->features & HALO_FEATURE_TRUNCATED))
        error = halo_device_complete_truncated(device, request->chain.token, (uint32_t)room, len);
    else
        error = halo_device_complete(device, request->chain.token, (uint32_t)(is_cut ? room : len));
    if (error)
        return error;
    receiver->stats.truncated += is_cut;
    return completed(receiver, request);
}

/*
 * The short ways are for an answer that is whole, in its buffers, to a chain of several; and for
 * one inside the used entry.
 */
int halo_receiver_complete(struct halo_receiver *receiver, struct halo_received *request)
{
    struct halo_device *device = &receiver->device;
    const uint64_t len = request->answer_len;

    halo_receiver_check(receiver);
    if (receiver->notifying)
        return HALO_EBUSY;
    if (!request->open)
        return HALO_ESTALE;
    if (request->may_inline && len <= HALO_INLINE_ANSWER_MAX)
        return halo_device_retire_word(device, request->chain.token, request->short_answer,
                                       (uint32_t)len)
                   ? completed(receiver, request)
                   : halo_device_refuse_word(device, request->chain.token);
    if (len <= request->chain.writable_len &&
        halo_device_retire_chain(device, request->chain.token, (uint32_t)len))
        return completed(receiver, request);
    return complete_any(receiver, request);
}

int halo_receiver_rewind(struct halo_receiver *receiver, struct halo_received *request)
{
    int error;

    halo_receiver_check(receiver);
    if (receiver->notifying)
        return HALO_EBUSY;
    if (!request->open)
        return HALO_ESTALE;
    error = halo_device_rewind(&receiver->device, request->chain.token);
    if (error)
        return error;
    halo_received_close(request);
    receiver->stats.requests--;
    receiver->stats.in_flight--;
    return 0;
}

/* The decision of a flush, of which a policy may hold back one of two in a row. */
static __attribute__((noinline)) int hold_or_notify(struct halo_receiver *receiver)
{
    if (receiver->holding || receiver->device.unannounced == 0)
        return release(receiver);
    receiver->notifying = true;
    receiver->holding = receiver->policy.hold(receiver->policy.context, &receiver->stats);
    receiver->notifying = false;
    return receiver->holding ? 0 : release(receiver);
}

int halo_receiver_flush(struct halo_receiver *receiver)
{
    halo_receiver_check(receiver);
    if (receiver->notifying)
        return HALO_EBUSY;
    if (receiver->device.violation.reason)
        return HALO_EBROKEN;
    receiver->stats.batches += receiver->device.staged > 0;
    halo_device_publish(&receiver->device);
    if (receiver->policy.hold)
        return hold_or_notify(receiver);
    return halo_device_should_notify(&receiver->device) ? notify(receiver) : 0;
}

struct halo_queue_stats halo_receiver_stats(const struct halo_receiver *receiver)
{
    return receiver->stats;
}
