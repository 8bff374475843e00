/* Requests that are kept: read, written and answered at offsets, with no pointer in them. */
#include <halo/receiver.h>

/* A span as an extent of the region in which the device has found it; the first is the usual one.
 */
static inline struct halo_extent extent_of(const struct halo_memory *memory,
                                           const struct halo_span *span)
{
    uint64_t offset = (uint64_t)(span->base - memory->regions[0].host);
    uint32_t i = 0;

    while (offset >= memory->regions[i].len && i + 1 < memory->region_count)
        offset = (uint64_t)(span->base - memory->regions[++i].host);
    return (struct halo_extent){i, (uint32_t)span->len, offset};
}

void halo_receiver_park(const struct halo_receiver *receiver, struct halo_received *request,
                        struct halo_parked *parked)
{
    const struct halo_memory *memory = receiver->device.memory;
    const struct halo_chain *chain = &request->chain;

    parked->token = chain->token;
    parked->readable_count = (uint16_t)chain->readable_count;
    parked->writable_count = (uint16_t)chain->writable_count;
    parked->readable_len = (uint32_t)chain->readable_len;
    parked->writable_len = (uint32_t)chain->writable_len;
    parked->is_inline = chain->is_inline;
    if (chain->is_inline) {
        parked->inline_len = chain->inline_len;
        __builtin_memcpy(parked->inline_bytes, chain->inline_bytes, sizeof(chain->inline_bytes));
    }
    for (uint32_t i = 0; i < chain->readable_count + chain->writable_count; i++)
        parked->extents[i] = extent_of(memory, &request->spans[i]);
    request->open = false;
}

/* The bytes of a extent from `skip` on, at most `limit` of them. */
static struct halo_span span_of(const struct halo_receiver *receiver,
                                const struct halo_extent *extent, uint64_t skip, uint64_t limit)
{
    const uint64_t len = extent->len - skip;

    return (struct halo_span){halo_extent_at(receiver, extent) + skip,
                              (size_t)(len < limit ? len : limit)};
}

/* The extent, of `count`, in which `*offset` lies, which becomes the offset in it. */
static uint32_t seek(const struct halo_extent *extents, uint32_t count, uint64_t *offset)
{
    uint32_t i = 0;

    for (; i < count && *offset >= extents[i].len; i++)
        *offset -= extents[i].len;
    return i;
}

size_t halo_parked_read_across(const struct halo_receiver *receiver,
                               const struct halo_parked *parked, uint64_t offset, void *to,
                               size_t len)
{
    uint32_t i = seek(parked->extents, parked->readable_count, &offset);
    size_t done = 0;

    for (; i < parked->readable_count && done < len; i++, offset = 0) {
        const struct halo_span span = span_of(receiver, &parked->extents[i], offset, len - done);

        halo_shm_copy_in((unsigned char *)to + done, span.base, span.len); /* TOC-08 */
        done += span.len;
    }
    return done;
}

size_t halo_parked_write_across(const struct halo_receiver *receiver,
                                const struct halo_parked *parked, uint64_t offset, const void *from,
                                size_t len)
{
    const struct halo_extent *extents = parked->extents + parked->readable_count;
    uint32_t i = seek(extents, parked->writable_count, &offset);
    size_t done = 0;

    for (; i < parked->writable_count && done < len; i++, offset = 0) {
        const struct halo_span span = span_of(receiver, &extents[i], offset, len - done);

        halo_shm_copy_out(span.base, (const unsigned char *)from + done, span.len);
        done += span.len;
    }
    return done;
}

static uint32_t spans_of(const struct halo_receiver *receiver, const struct halo_extent *extents,
                         uint32_t count, uint64_t offset, uint64_t limit, struct halo_span *spans,
                         uint32_t max)
{
    uint32_t i = seek(extents, count, &offset), n = 0;

    for (; i < count && n < max && limit > 0; i++, n++, offset = 0) {
        spans[n] = span_of(receiver, &extents[i], offset, limit);
        limit -= spans[n].len;
    }
    return n;
}

uint32_t halo_parked_readable(const struct halo_receiver *receiver,
                              const struct halo_parked *parked, uint64_t offset, uint64_t limit,
                              struct halo_span *spans, uint32_t max)
{
    return spans_of(receiver, parked->extents, parked->readable_count, offset, limit, spans, max);
}

uint32_t halo_parked_writable(const struct halo_receiver *receiver,
                              const struct halo_parked *parked, uint64_t offset, uint64_t limit,
                              struct halo_span *spans, uint32_t max)
{
    return spans_of(receiver, parked->extents + parked->readable_count, parked->writable_count,
                    offset, limit, spans, max);
}

/* It was given back, or why it was not. */
static int answered(struct halo_receiver *receiver, int error)
{
    if (!error) {
        receiver->stats.answers++;
        receiver->stats.in_flight--;
    }
    return error;
}

int halo_receiver_answer(struct halo_receiver *receiver, const struct halo_parked *parked,
                         uint32_t len)
{
    if (receiver->notifying)
        return HALO_EBUSY;
    return answered(receiver, halo_device_complete(&receiver->device, parked->token, len));
}

int halo_receiver_answer_inline(struct halo_receiver *receiver, const struct halo_parked *parked,
                                const void *bytes, uint32_t len)
{
    if (receiver->notifying)
        return HALO_EBUSY;
    return answered(receiver,
                    halo_device_complete_inline(&receiver->device, parked->token, bytes, len));
}

int halo_receiver_resume(struct halo_receiver *receiver, struct halo_positions at,
                         const struct halo_device_chain *in_flight)
{
    const int error = halo_device_resume(&receiver->device, at, in_flight);

    if (error)
        return error;
    receiver->stats.in_flight = 0;
    for (uint32_t id = 0; id < receiver->device.place.size && in_flight; id++)
        receiver->stats.in_flight += halo_device_chain_slots(&in_flight[id]) > 0;
    return 0;
}
