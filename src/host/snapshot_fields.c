/*
 * A snapshot as fields, in the order of the file: each function writes its part, or reads it. A
 * list of requests is the ids in their order. What can be made again from the rest is left out.
 */
#include "snapshot.h"
#include <stdlib.h>
#include <string.h>

#define PAGES_MAX (HALO_RAM_MAX / HALO_PAGE)

/* --- Memory ----------------------------------------------------------------------------------- */

static void range(struct halo_fields *fields, struct halo_range *range)
{
    halo__field_u64(fields, &range->base, UINT64_MAX);
    halo__field_u64(fields, &range->len, UINT64_MAX);
    halo__field_u32(fields, &range->prot, UINT32_MAX);
    halo__field_u32(fields, &range->rights, UINT32_MAX);
    halo__field_u32(fields, &range->most, UINT32_MAX);
}

static void sizes(struct halo_fields *fields, struct halo_sizes *sizes)
{
    halo__field_u32(fields, &sizes->queue_size, HALO_QUEUE_SIZE_MAX);
    halo__field_u32(fields, &sizes->call_queue_size, HALO_QUEUE_SIZE_MAX);
    halo__field_u64(fields, &sizes->pool_len, HALO_POOL_LEN_MAX);
    halo__field_u64(fields, &sizes->deferred_len, HALO_DEFERRED_LEN_MAX);
    halo__field_u32(fields, &sizes->deferred_max, HALO_DEFERRED_COUNT_MAX);
}

static void layout(struct halo_fields *fields, struct halo_layout *layout)
{
    uint64_t *const places[] = {
        &layout->image_base,    &layout->image_end, &layout->limit,     &layout->entry,
        &layout->syscall_entry, &layout->relro,     &layout->relro_len, &layout->stack_top,
        &layout->stack_len,     &layout->boot,      &layout->save,      &layout->alternate,
        &layout->doorbell,      &layout->ring,      &layout->pool,      &layout->pool_len,
        &layout->args,          &layout->args_len,  &layout->features};

    halo__field_u32(fields, &layout->range_count, HALO_RANGE_MAX);
    for (uint32_t i = 0; i < layout->range_count; i++)
        range(fields, &layout->ranges[i]);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        halo__field_u64(fields, places[i], UINT64_MAX);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        struct halo_boot_queue *queue = &layout->queues[i];

        halo__field_u64(fields, &queue->desc, UINT64_MAX);
        halo__field_u64(fields, &queue->driver_event, UINT64_MAX);
        halo__field_u64(fields, &queue->device_event, UINT64_MAX);
        halo__field_u32(fields, &queue->size, HALO_QUEUE_SIZE_MAX);
    }
    for (uint32_t i = 0; i < HALO_STACK_COUNT; i++) {
        halo__field_u64(fields, &layout->stacks[i].base, UINT64_MAX);
        halo__field_u64(fields, &layout->stacks[i].len, UINT64_MAX);
    }
    sizes(fields, &layout->sizes);
    halo__field_bool(fields, &layout->is_linux);
}

static void image(struct halo_fields *fields, struct halo_image *image)
{
    bool has_prots = image->prots != NULL;
    size_t pages;

    halo__field_u64(fields, &image->len, HALO_RAM_MAX);
    halo__field_u64(fields, &image->present_count, PAGES_MAX);
    halo__field_u64(fields, &image->epoch, UINT64_MAX / 2);
    for (size_t i = 0; i < sizeof(image->told.words) / sizeof(image->told.words[0]); i++)
        halo__field_u32(fields, &image->told.words[i], UINT32_MAX);
    layout(fields, &image->layout);
    halo__field_bool(fields, &has_prots);
    pages = image->len / HALO_PAGE;
    if (!fields->writes) {
        image->present = calloc(pages / 64 + 1, sizeof(*image->present));
        image->prots = has_prots ? calloc(pages + 1, 1) : NULL;
        if (!image->present || (has_prots && !image->prots)) {
            fields->no_memory = true;
            return;
        }
    }
    for (size_t i = 0; i < (pages + 63) / 64; i++)
        halo__field_u64(fields, &image->present[i], UINT64_MAX);
    if (has_prots)
        halo__field_bytes(fields, image->prots, pages);
}

/* --- Requests --------------------------------------------------------------------------------- */

static void extent(struct halo_fields *fields, struct halo_extent *extent)
{
    halo__field_u32(fields, &extent->region, HALO_RANGE_MAX);
    halo__field_u32(fields, &extent->len, UINT32_MAX);
    halo__field_u64(fields, &extent->offset, UINT64_MAX);
}

static void request(struct halo_fields *fields, struct halo_saved_request *saved)
{
    struct halo_parked *parked = &saved->request.parked;
    uint16_t id = halo_token_id(parked->token);
    bool is_plain = saved->chain.limit != 0;

    halo__field_u16(fields, &id, HALO_QUEUE_SIZE_MAX - 1);
    halo__field_bool(fields, &is_plain);
    halo__field_u16(fields, &saved->chain.slots, HALO_QUEUE_SIZE_MAX);
    halo__field_u16(fields, &parked->readable_count, HALO_PARKED_EXTENTS);
    halo__field_u16(fields, &parked->writable_count, HALO_PARKED_EXTENTS);
    halo__field_u32(fields, &parked->readable_len, UINT32_MAX);
    halo__field_u32(fields, &parked->writable_len, UINT32_MAX);
    if (parked->readable_count + parked->writable_count > HALO_PARKED_EXTENTS)
        fields->failed = true;
    for (uint32_t i = 0;
         i < (uint32_t)parked->readable_count + parked->writable_count && !fields->failed; i++)
        extent(fields, &parked->extents[i]);
    halo__field_u16(fields, &saved->request.message.request, UINT16_MAX);
    halo__field_u32(fields, &saved->request.stream.handle, UINT32_MAX);
    halo__field_u32(fields, &saved->request.stream.ways, UINT32_MAX);
    if (fields->writes)
        return;
    parked->token.word = id;
    saved->chain.limit = is_plain; /* to be made of its length */
}

static struct halo_saved_request *find(struct halo_saved_port *port, uint32_t queue, uint16_t id)
{
    struct halo_saved_request *from = port->requests + (queue ? port->counts[0] : 0);

    for (uint32_t i = 0; i < port->counts[queue]; i++) {
        if (halo_token_id(from[i].request.parked.token) == id)
            return &from[i];
    }
    return NULL;
}

/* A list, whose requests are in no other. */
static void list(struct halo_fields *fields, struct halo_foreign *foreign, uint32_t queue,
                 struct halo_fifo *fifo)
{
    struct halo_saved_port *port = &foreign->snapshot.port;
    uint16_t count = 0, *link = &fifo->first, id;
    struct halo_saved_request *at;

    if (fields->writes) {
        for (id = fifo->first; id; id = find(port, queue, (uint16_t)(id - 1))->request.next)
            count++;
    }
    halo__field_u16(fields, &count, HALO_QUEUE_SIZE_MAX);
    for (; count > 0 && !fields->failed; count--) {
        id = fields->writes ? *link : 0;
        halo__field_u16(fields, &id, HALO_QUEUE_SIZE_MAX);
        at = id ? find(port, queue, (uint16_t)(id - 1)) : NULL;
        if (!at || (!fields->writes && foreign->listed[queue][id - 1])) {
            fields->failed = true;
            return;
        }
        if (!fields->writes) {
            foreign->listed[queue][id - 1] = true;
            *link = fifo->last = id;
        }
        link = &at->request.next;
    }
}

static void port(struct halo_fields *fields, struct halo_foreign *foreign)
{
    struct halo_saved_port *port = &foreign->snapshot.port;
    struct halo_fifo posted = {.first = port->posted};
    uint32_t guest = port->guest;

    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        halo__field_u16(fields, &port->at[queue].avail, UINT16_MAX);
        halo__field_u16(fields, &port->at[queue].used, UINT16_MAX);
        halo__field_u32(fields, &port->counts[queue], HALO_QUEUE_SIZE_MAX);
    }
    halo__field_u32(fields, &guest, HALO_GUEST_SERVES);
    halo__field_bool(fields, &port->open);
    halo__field_bool(fields, &port->answered);
    if (!fields->writes) {
        port->guest = (enum halo_guest_state)guest;
        port->requests = calloc(port->counts[0] + port->counts[1] + 1, sizeof(*port->requests));
        if (!port->requests) {
            fields->no_memory = true;
            return;
        }
    }
    for (uint32_t i = 0; i < port->counts[0] + port->counts[1] && !fields->failed; i++)
        request(fields, &port->requests[i]);
    list(fields, foreign, HALO_QUEUE_H2G, &posted);
    port->posted = posted.first;
}

/* --- Streams and functions -------------------------------------------------------------------- */

static void streams(struct halo_fields *fields, struct halo_foreign *foreign)
{
    struct halo_saved_streams *streams = &foreign->snapshot.streams;

    halo__field_u32(fields, &streams->used, HALO_STREAMS_MAX);
    halo__field_u32(fields, &streams->next, HALO_STREAMS_MAX);
    if (!fields->writes) {
        streams->at = calloc(streams->used + 1, sizeof(*streams->at));
        if (!streams->at) {
            fields->no_memory = true;
            return;
        }
    }
    for (uint32_t i = 0; i < streams->used && !fields->failed; i++) {
        struct halo_saved_stream *stream = &streams->at[i];

        halo__field_u16(fields, &stream->generation, UINT16_MAX);
        halo__field_bool(fields, &stream->is_open);
        if (!stream->is_open)
            continue;
        halo__field_u8(fields, &stream->ways, HALO_IN | HALO_OUT);
        halo__field_bool(fields, &stream->in.over);
        halo__field_bool(fields, &stream->out.over);
        halo__field_name(fields, stream->name, HALO_STREAM_NAME_MAX, true);
        list(fields, foreign, HALO_QUEUE_G2H, &stream->in.requests);
    }
}

static void function(struct halo_fields *fields, struct halo_provided *function)
{
    halo__field_name(fields, function->name, HALO_FUNCTION_NAME_MAX, false);
    halo__field_u8(fields, &function->signature.arg_count, HALO_ARGUMENTS_MAX);
    halo__field_bytes(fields, function->signature.types, sizeof(function->signature.types));
    halo__field_bool(fields, &function->rows);
    halo__field_bool(fields, &function->aggregate);
    halo__field_bool(fields, &function->is_imported);
}

static void functions(struct halo_fields *fields, struct halo_saved_calls *saved)
{
    struct halo_functions *functions = &saved->functions;

    halo__field_u32(fields, &functions->count, HALO_FUNCTIONS_MAX);
    halo__field_u32(fields, &functions->export_count, HALO_FUNCTIONS_MAX);
    halo__field_bool(fields, &functions->greeted);
    if (!fields->writes) {
        functions->provided = calloc(functions->count + 1, sizeof(*functions->provided));
        functions->exported = calloc(functions->export_count + 1, sizeof(*functions->exported));
        if (!functions->provided || !functions->exported) {
            fields->no_memory = true;
            return;
        }
    }
    for (uint32_t i = 0; i < functions->count && !fields->failed; i++)
        function(fields, &functions->provided[i]);
    for (uint32_t i = 0; i < functions->export_count && !fields->failed; i++)
        function(fields, &functions->exported[i]);
}

int halo__snapshot_fields(struct halo_fields *fields, struct halo_foreign *foreign)
{
    struct halo_snapshot *snapshot = &foreign->snapshot;
    uint32_t state = snapshot->state, transport = snapshot->transport;
    uint64_t wake = (uint64_t)snapshot->wake;

    halo__field_u32(fields, &state, HALO_STATE_RUNNING);
    halo__field_u32(fields, &transport, HALO_TRANSPORT_STACK);
    halo__field_u64(fields, &wake, INT64_MAX);
    snapshot->state = (enum halo_state)state;
    snapshot->transport = (enum halo_transport)transport;
    snapshot->wake = (int64_t)wake;
    image(fields, &snapshot->image);
    if (!fields->failed && !fields->no_memory)
        port(fields, foreign);
    if (!fields->failed && !fields->no_memory)
        streams(fields, foreign);
    if (!fields->failed && !fields->no_memory)
        functions(fields, &snapshot->calls);
    if (fields->no_memory)
        return HALO_ENOMEM;
    return fields->failed || (!fields->writes && fields->at != fields->len) ? HALO_EGUEST : 0;
}
