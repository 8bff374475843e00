/* The device's end of a queue: reading requests, writing answers. */
#include <halo/receiver.h>

int halo_receiver_init(struct halo_receiver *receiver, const struct halo_receiver_config *config,
                       struct halo_device_chain *chains)
{
    struct halo_receiver result = {
        .in_flight_max = config->in_flight_max ? config->in_flight_max : config->place.size,
        .notifier = config->notifier,
    };
    int error;

    if (!halo_features_valid(config->features))
        return HALO_EINVAL;
    error =
        halo_device_init(&result.device, &config->place, config->memory, chains, config->len_max);
    if (error)
        return error;
    (void)halo_device_extend(&result.device, config->features);
    *receiver = result;
    return 0;
}

int halo_receiver_refuse(struct halo_receiver *receiver)
{
    if (receiver->notifying)
        return HALO_EBUSY;
    receiver->stats.ring_full++;
    return HALO_EFULL;
}

size_t halo_received_read(struct halo_received *request, void *to, size_t max)
{
    const struct halo_chain *chain = &request->chain;
    unsigned char *at = to;
    size_t done = 0;

    if (!request->open)
        return 0;
    if (chain->is_inline) {
        done = chain->inline_len - (size_t)request->read_offset;
        done = done < max ? done : max;
        __builtin_memcpy(to, chain->inline_bytes + request->read_offset, done);
        request->read_offset += done;
        return done;
    }
    while (request->read_span < chain->readable_count) {
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

/* Move the place of writing on; the room is known to be there. */
static void advance(struct halo_received *request, uint64_t len)
{
    while (len > 0) {
        const uint64_t left = request->spans[request->write_span].len - request->write_offset;

        if (len < left) {
            request->write_offset += len;
            return;
        }
        len -= left;
        request->write_span++;
        request->write_offset = 0;
    }
}

/* Bytes that still fit into the writable spans. */
static uint64_t room_left(const struct halo_received *request)
{
    return request->answer_len < request->chain.writable_len
               ? request->chain.writable_len - request->answer_len
               : 0;
}

/* An answer that does not fit the span that is being written, or that may go inline. */
__attribute__((noinline)) static int write_across_spans(struct halo_received *request,
                                                        const unsigned char *at, size_t len)
{
    uint64_t fits = room_left(request);
    size_t left;

    fits = fits < len ? fits : len;
    if (request->may_inline && request->answer_len < HALO_INLINE_ANSWER_MAX) {
        /* A copy of the first bytes, for an answer that ends soon enough to go inline. */
        const size_t room = HALO_INLINE_ANSWER_MAX - (size_t)request->answer_len;

        __builtin_memcpy(request->short_answer + request->answer_len, at, len < room ? len : room);
    }
    for (left = (size_t)fits; left > 0;) {
        const struct halo_span *span = &request->spans[request->write_span];
        const uint64_t here = span->len - request->write_offset;
        const size_t some = here < left ? (size_t)here : left;

        halo_shm_copy_out(span->base + request->write_offset, at, some);
        advance(request, some);
        at += some;
        left -= some;
    }
    request->answer_len += len;
    if (request->may_inline && request->answer_len <= HALO_INLINE_ANSWER_MAX)
        return (int)len;
    return (int)fits;
}

int halo_received_write(struct halo_received *request, const void *from, size_t len)
{
    const struct halo_span *span = &request->spans[request->write_span];

    if (!request->open)
        return HALO_ESTALE;
    if (len > INT32_MAX)
        return HALO_EINVAL;
    /* While there is room there is a span, and what fits into it fits. */
    if (request->may_inline || room_left(request) == 0 || len > span->len - request->write_offset)
        return write_across_spans(request, from, len);
    halo_shm_copy_out(span->base + request->write_offset, from, len);
    request->answer_len += len;
    request->write_offset += len;
    if (request->write_offset == span->len) {
        request->write_span++;
        request->write_offset = 0;
    }
    return (int)len;
}

uint32_t halo_received_reserve(const struct halo_received *request, struct halo_span *spans,
                               uint32_t max)
{
    const uint32_t end = request->chain.readable_count + request->chain.writable_count;
    uint64_t skip = request->write_offset;
    uint32_t count = 0;

    if (!request->open || room_left(request) == 0)
        return 0;
    for (uint32_t i = request->write_span; i < end && count < max; i++, count++) {
        spans[count].base = request->spans[i].base + skip;
        spans[count].len = request->spans[i].len - (size_t)skip;
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
    advance(request, len);
    request->answer_len += len;
    request->may_inline = request->may_inline && len == 0; /* the bytes are in the spans alone */
    return 0;
}

int halo_receiver_complete(struct halo_receiver *receiver, struct halo_received *request)
{
    struct halo_device *device = &receiver->device;
    const uint64_t len = request->answer_len, room = request->chain.writable_len;
    const bool goes_inline = request->may_inline && len <= HALO_INLINE_ANSWER_MAX;
    const bool is_cut = len > room;
    int error;

    if (receiver->notifying)
        return HALO_EBUSY;
    if (!request->open)
        return HALO_ESTALE;
    if (goes_inline)
        error = halo_device_complete_inline(device, request->chain.token, request->short_answer,
                                            (uint32_t)len);
    else if (is_cut && (device->features & HALO_FEATURE_TRUNCATED))
        error = halo_device_complete_truncated(device, request->chain.token, (uint32_t)room, len);
    else
        error = halo_device_complete(device, request->chain.token, (uint32_t)(is_cut ? room : len));
    if (error)
        return error;
    request->open = false;
    receiver->stats.answers++;
    receiver->stats.in_flight--;
    receiver->stats.truncated += is_cut && !goes_inline;
    return 0;
}

int halo_receiver_rewind(struct halo_receiver *receiver, struct halo_received *request)
{
    int error;

    if (receiver->notifying)
        return HALO_EBUSY;
    if (!request->open)
        return HALO_ESTALE;
    error = halo_device_rewind(&receiver->device, request->chain.token);
    if (error)
        return error;
    request->open = false;
    receiver->stats.requests--;
    receiver->stats.in_flight--;
    return 0;
}

int halo_receiver_flush(struct halo_receiver *receiver)
{
    if (receiver->notifying)
        return HALO_EBUSY;
    if (receiver->device.violation.reason)
        return HALO_EBROKEN;
    receiver->stats.batches += receiver->device.staged > 0;
    halo_device_publish(&receiver->device);
    if (!halo_device_should_notify(&receiver->device))
        return 0;
    receiver->stats.notifications++;
    if (receiver->notifier.notify) {
        receiver->notifying = true;
        receiver->notifier.notify(receiver->notifier.context, &receiver->stats);
        receiver->notifying = false;
    }
    return 1;
}

struct halo_queue_stats halo_receiver_stats(const struct halo_receiver *receiver)
{
    return receiver->stats;
}
