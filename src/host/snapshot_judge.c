/*
 * What a file said, judged: whether it is what halo_snapshot could have made. All of a guest's own
 * is in its memory, of which nothing is believed in any case; here are the host's own records, by
 * which it reads and writes guest memory. What follows from others is made here, and not read.
 */
#include "snapshot.h"
#include "machine/layout_judge.h"
#include <string.h>

static const char *judge_image(struct halo_image *image, bool on_stacks)
{
    const char *why = halo__layout_judge(&image->layout, image->len, on_stacks);
    const uint64_t pages = image->len / HALO_PAGE;
    const uint64_t doorbell = (image->layout.doorbell - HALO_RAM_BASE) / HALO_PAGE;
    uint64_t count = 0;

    if (why)
        return why;
    if (image->prots && !halo__layout_judge_prots(&image->layout, image->prots))
        return "a page with a protection that it cannot have";
    for (uint64_t word = 0; word < (pages + 63) / 64; word++)
        count += (uint64_t)__builtin_popcountll(image->present[word]);
    if (pages % 64 && image->present[pages / 64] >> pages % 64)
        return "pages behind the end of guest memory";
    if (image->present[doorbell / 64] >> doorbell % 64 & 1)
        return "a page for the doorbell";
    return count == image->present_count ? NULL : "more or fewer pages than it counts";
}

/* --- Requests --------------------------------------------------------------------------------- */

/* All bytes of one kind are in regions that give the right, and there are so many. */
static bool are_bytes(const struct halo_extent *extents, uint32_t count, uint32_t len,
                      uint32_t right, const struct halo_region *regions, uint32_t region_count)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct halo_region *region = &regions[extents[i].region];

        if (extents[i].region >= region_count || extents[i].len > region->len ||
            extents[i].offset > region->len - extents[i].len || !(region->rights & right))
            return false;
        sum += extents[i].len;
    }
    return sum == len;
}

static const char *judge_request(struct halo_saved_request *saved, uint32_t queue,
                                 const struct halo_region *regions, uint32_t region_count)
{
    struct halo_request *request = &saved->request;
    const struct halo_parked *parked = &request->parked;
    const uint32_t extents = (uint32_t)parked->readable_count + parked->writable_count;
    const bool reads = queue == HALO_QUEUE_G2H;

    if (!are_bytes(parked->extents, parked->readable_count, parked->readable_len, HALO_MAY_READ,
                   regions, region_count) ||
        !are_bytes(parked->extents + parked->readable_count, parked->writable_count,
                   parked->writable_len, HALO_MAY_WRITE, regions, region_count))
        return "a request for what is not memory of the guest's";
    if (saved->chain.limit ? extents != 1 || saved->chain.slots != 0 : saved->chain.slots == 0)
        return "a request that is no chain";
    if (reads && (parked->readable_len != HALO_STREAM_HEAD ||
                  parked->writable_len < HALO_ANSWER_MIN || request->stream.ways > HALO_SPARE_MAX))
        return "a request that is no read";
    if (!reads && parked->writable_len < HALO_POST_MIN)
        return "a buffer for calls that is too short";
    request->message.kind = reads ? HALO_KIND_STREAM_READ : 0;
    request->message.length = reads ? sizeof(request->stream) : 0;
    if (saved->chain.limit)
        saved->chain.limit = (parked->writable_count ? parked->writable_len | HALO_META_WRITE
                                                     : parked->readable_len) +
                             1;
    else
        saved->chain.capacity = parked->writable_len;
    return NULL;
}

/* What the records of a queue take of its ring is what its positions say. */
static bool are_slots(const struct halo_saved_request *from, uint32_t count,
                      struct halo_positions at, uint32_t size)
{
    bool there[HALO_QUEUE_SIZE_MAX] = {false};
    uint64_t slots = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint16_t id = halo_token_id(from[i].request.parked.token);

        if (id >= size || there[id])
            return false;
        there[id] = true;
        slots += halo_device_chain_slots(&from[i].chain);
    }
    return slots <= size && slots == halo_positions_between(at, size);
}

static const char *judge_port(struct halo_snapshot *snapshot)
{
    struct halo_saved_port *port = &snapshot->port;
    struct halo_saved_request *from = port->requests;
    const struct halo_machine machine = {.layout = snapshot->image.layout,
                                         .ram.host = halo_shm_share(snapshot->image.bytes)};
    struct halo_region regions[HALO_RANGE_MAX + 1] = {{0}};
    const uint32_t region_count = halo__layout_regions(&machine, regions);

    if (snapshot->state == HALO_STATE_FAILED ||
        (snapshot->state == HALO_STATE_RUNNING && port->guest == HALO_GUEST_RUNS))
        return "a guest that does not wait";
    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        for (uint32_t i = 0; i < port->counts[queue]; i++) {
            const char *why = judge_request(&from[i], queue, regions, region_count);

            if (why)
                return why;
        }
        if (!are_slots(from, port->counts[queue], port->at[queue],
                       snapshot->image.layout.queues[queue].size))
            return "positions of a queue that are not those of its requests";
        from += port->counts[queue];
    }
    return NULL;
}

/* --- Streams and functions -------------------------------------------------------------------- */

static const char *judge_stream(const struct halo_saved_port *port,
                                struct halo_saved_stream *stream, uint32_t handle)
{
    struct halo_saved_flow *flow = &stream->in;
    uint16_t next = flow->requests.first;

    if (stream->is_open && stream->ways == 0)
        return "a stream without a way";
    while (next) {
        const struct halo_saved_request *at = port->requests;

        while (halo_token_id(at->request.parked.token) + 1u != next)
            at++; /* it is there, or it would be in no list */
        if (at->request.stream.handle != handle || !(stream->ways & HALO_IN))
            return "a read of another stream";
        flow->count++;
        flow->bytes += halo__flow_room(&at->request);
        next = at->request.next;
    }
    return flow->count > HALO_WINDOW_REQUESTS || flow->bytes > HALO_WINDOW_BYTES
               ? "more for one stream than its window"
               : NULL;
}

static const char *judge_streams(struct halo_snapshot *snapshot)
{
    struct halo_saved_streams *streams = &snapshot->streams;

    if (streams->next <= HALO_STDERR || streams->next >= HALO_STREAMS_MAX)
        return "streams beyond their table";
    for (uint32_t i = 0; i < streams->used; i++) {
        struct halo_saved_stream *stream = &streams->at[i];
        const char *why =
            judge_stream(&snapshot->port, stream, i | (uint32_t)stream->generation << 16);

        if (why)
            return why;
        for (uint32_t j = 0; j < i && stream->name[0]; j++) {
            if (strcmp(stream->name, streams->at[j].name) == 0)
                return "two streams of one name";
        }
        streams->requests += stream->in.count;
    }
    return streams->requests == snapshot->port.counts[HALO_QUEUE_G2H] ? NULL
                                                                      : "a read of no stream";
}

static const char *judge_functions(const struct halo_provided *functions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!halo_signature_valid(&functions[i].signature) ||
            (functions[i].aggregate && !functions[i].rows))
            return "a malformed function";
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(functions[i].name, functions[j].name) == 0)
                return "two functions of one name";
        }
    }
    return NULL;
}

const char *halo__snapshot_judge(struct halo_foreign *foreign)
{
    struct halo_snapshot *snapshot = &foreign->snapshot;
    const struct halo_functions *functions = &snapshot->calls.functions;
    const char *why = judge_image(&snapshot->image, snapshot->transport == HALO_TRANSPORT_STACK);

    if (!why)
        why = judge_port(snapshot);
    if (!why)
        why = judge_streams(snapshot);
    if (!why)
        why = judge_functions(functions->provided, functions->count);
    if (!why)
        why = judge_functions(functions->exported, functions->export_count);
    if (!why && functions->export_count > 0 && !functions->greeted)
        why = "functions of a guest that has not said which";
    return why;
}
