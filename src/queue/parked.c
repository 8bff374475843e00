/* Requests that are kept: read, written and answered at offsets, with no pointer in them. */
#include <halo/receiver.h>

/* The bytes of an extent from `skip` on, at most `limit` of them. */
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
    uint32_t n = 0;

    for (uint32_t i = 0; i < count && n < max && limit > 0; i++) {
        if (offset >= extents[i].len) {
            offset -= extents[i].len;
            continue;
        }
        spans[n] = span_of(receiver, &extents[i], offset, limit);
        limit -= spans[n++].len;
        offset = 0;
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
