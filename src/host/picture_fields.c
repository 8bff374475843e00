/*
 * A picture as fields, in the order of the file: each function writes its part, or reads it.
 * Whoever reads has bytes from anywhere: every count has its bound, and every text is one for a
 * terminal.
 */
#include "picture.h"
#include <stdlib.h>
#include <string.h>

#define ERROR_MAX 4095u

/* --- Parts of all ----------------------------------------------------------------------------- */

/* A text of `max` bytes at most; there is one more for its end. */
static void text(struct halo_fields *fields, char *at, uint16_t max)
{
    uint16_t len = fields->writes ? (uint16_t)strlen(at) : 0;

    halo__field_u16(fields, &len, max);
    if (!fields->writes)
        memset(at, 0, max + 1u);
    halo__field_bytes(fields, at, len);
    if (fields->writes)
        return;
    for (uint16_t i = 0; i < len; i++) {
        if (at[i] < ' ' || at[i] > '~')
            at[i] = '?'; /* RES-07 */
    }
}

static void u64s(struct halo_fields *fields, uint64_t *const values[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        halo__field_u64(fields, values[i], UINT64_MAX);
}

static void u32s(struct halo_fields *fields, uint32_t *const values[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        halo__field_u32(fields, values[i], UINT32_MAX);
}

#define U64S(fields, ...)                                     \
    do {                                                      \
        uint64_t *const all_[] = {__VA_ARGS__};               \
        u64s((fields), all_, sizeof(all_) / sizeof(all_[0])); \
    } while (0)
#define U32S(fields, ...)                                     \
    do {                                                      \
        uint32_t *const all_[] = {__VA_ARGS__};               \
        u32s((fields), all_, sizeof(all_) / sizeof(all_[0])); \
    } while (0)

/* Room for what is going to be read; false where there is none, or what comes is void. */
static bool room(struct halo_fields *fields, void *at, uint32_t count, size_t size)
{
    void **place = at;

    if (fields->failed || fields->no_memory)
        return false;
    if (fields->writes)
        return true;
    *place = calloc(count + 1u, size);
    if (!*place)
        fields->no_memory = true;
    return *place != NULL;
}

/* --- How it ended, and where it is ------------------------------------------------------------ */

static void end(struct halo_fields *fields, struct halo_picture *picture)
{
    struct halo_fault *fault = &picture->fault;
    struct halo_poison *poison = &picture->poison;
    uint32_t kind = poison->kind;

    halo__field_u32(fields, &picture->error, ERROR_MAX);
    U32S(fields, &picture->exit_code);
    text(fields, picture->missing, HALO_FUNCTION_NAME_MAX);
    text(fields, picture->words, HALO_PICTURE_TEXT);
    text(fields, picture->shortage, HALO_PICTURE_TEXT);
    halo__field_bool(fields, &picture->has_fault);
    halo__field_bool(fields, &picture->is_overflow);
    U32S(fields, &fault->vector, &fault->error);
    U64S(fields, &fault->address, &fault->rip, &fault->rsp);
    halo__field_u32(fields, &kind, HALO_POISON_WAIT);
    poison->kind = (enum halo_poison_kind)kind;
    text(fields, poison->rule, sizeof(poison->rule) - 1);
    U32S(fields, &poison->queue);
    halo__field_u16(fields, &poison->slot, UINT16_MAX);
    halo__field_u16(fields, &poison->id, UINT16_MAX);
    U64S(fields, &poison->words[0], &poison->words[1]);
}

static void processor(struct halo_fields *fields, struct halo_picture *picture)
{
    struct halo_processor *at = &picture->processor;
    uint32_t known = at->known;

    halo__field_u32(fields, &known, HALO_PROCESSOR_ALL);
    if (!fields->writes)
        at->known = (__typeof__(at->known))known;
    U64S(fields, &at->rax, &at->rbx, &at->rcx, &at->rdx, &at->rsi, &at->rdi, &at->rbp, &at->rsp,
         &at->r8, &at->r9, &at->r10, &at->r11, &at->r12, &at->r13, &at->r14, &at->r15, &at->rip,
         &at->rflags);
    halo__field_u32(fields, &picture->frame_count, HALO_PICTURE_FRAMES);
    for (uint32_t i = 0; i < picture->frame_count && !fields->failed; i++) {
        struct halo_frame *frame = &picture->frames[i];
        uint32_t kind = frame->kind;

        halo__field_u32(fields, &kind, HALO_FRAME_GUESS);
        frame->kind = (enum halo_frame_kind)kind;
        U64S(fields, &frame->address, &frame->stack);
    }
}

static void counters(struct halo_fields *fields, struct halo_picture *picture)
{
    struct halo_stats *stats = &picture->stats;

    U64S(fields, &picture->run_ns, &picture->left_ns, &stats->requests, &stats->exits,
         &stats->kicks, &stats->waits, &stats->calls, &stats->calls_out, &stats->deferred,
         &stats->fetched, &stats->discarded, &stats->deferred_out, &stats->spare, &stats->spare_out,
         &stats->bytes_in, &stats->bytes_out, &stats->elapsed_ns, &stats->system_calls,
         &stats->restores, &stats->restored_pages);
    halo__field_u32(fields, &picture->event_count, HALO_LAST_EXITS);
    for (uint32_t i = 0; i < picture->event_count && !fields->failed; i++) {
        struct halo_pictured_event *event = &picture->events[i];

        U32S(fields, &event->kind);
        U64S(fields, &event->age_ns, &event->requests, &event->op, &event->a);
    }
}

/* --- Memory and queues ------------------------------------------------------------------------ */

static void ranges(struct halo_fields *fields, struct halo_picture *picture)
{
    halo__field_u64(fields, &picture->ram_len, HALO_RAM_MAX);
    halo__field_u32(fields, &picture->range_count, HALO_PICTURE_RANGES);
    for (uint32_t i = 0; i < picture->range_count && !fields->failed; i++) {
        struct halo_pictured_range *range = &picture->ranges[i];

        U64S(fields, &range->base, &range->len);
        U32S(fields, &range->prot, &range->rights);
        halo__field_u32(fields, &range->use, HALO_USE_DOORBELL);
    }
}

static void queue(struct halo_fields *fields, struct halo_pictured_queue *queue)
{
    halo__field_u32(fields, &queue->size, HALO_QUEUE_SIZE_MAX);
    U64S(fields, &queue->desc, &queue->broken_addr, &queue->broken_meta);
    U32S(fields, &queue->staged, &queue->driver_event, &queue->device_event, &queue->broken);
    halo__field_u16(fields, &queue->avail, UINT16_MAX);
    halo__field_u16(fields, &queue->used, UINT16_MAX);
    halo__field_u16(fields, &queue->published, UINT16_MAX);
    halo__field_u16(fields, &queue->broken_slot, UINT16_MAX);
    halo__field_u16(fields, &queue->broken_id, UINT16_MAX);
    if (!room(fields, &queue->words, queue->size, sizeof(*queue->words)))
        return;
    for (uint32_t i = 0; i < queue->size && !fields->failed; i++)
        U64S(fields, &queue->words[i][0], &queue->words[i][1]);
}

/* --- What is under way ------------------------------------------------------------------------ */

static void request(struct halo_fields *fields, struct halo_pictured_request *request)
{
    struct halo_message *message = &request->message;

    halo__field_u32(fields, &request->queue, HALO_QUEUE_COUNT - 1);
    halo__field_u32(fields, &request->place, HALO_REQUEST_IS_STREAM);
    halo__field_u16(fields, &request->id, UINT16_MAX);
    halo__field_u16(fields, &request->slots, UINT16_MAX);
    U32S(fields, &request->readable_len, &request->writable_len, &request->handle,
         &message->length);
    halo__field_bool(fields, &request->is_inline);
    halo__field_u8(fields, &message->kind, UINT8_MAX);
    halo__field_u8(fields, &message->flags, UINT8_MAX);
    halo__field_u16(fields, &message->request, UINT16_MAX);
    U64S(fields, &request->done, &request->age_ns);
}

static void call(struct halo_fields *fields, struct halo_pictured_call *call)
{
    halo__field_u32(fields, &call->place, HALO_CALL_IS_SENT);
    U32S(fields, &call->depth);
    halo__field_u16(fields, &call->request, UINT16_MAX);
    U64S(fields, &call->age_ns);
    text(fields, call->name, HALO_FUNCTION_NAME_MAX);
    text(fields, call->arguments, HALO_PICTURE_ARGUMENTS);
}

static void flow(struct halo_fields *fields, struct halo_pictured_flow *flow)
{
    U32S(fields, &flow->count);
    U64S(fields, &flow->bytes, &flow->age_ns);
    halo__field_bool(fields, &flow->blocked);
    halo__field_bool(fields, &flow->over);
}

static void stream(struct halo_fields *fields, struct halo_pictured_stream *stream)
{
    bool *const flags[] = {&stream->is_listener, &stream->is_closing, &stream->is_awaited,
                           &stream->is_short,    &stream->is_full,    &stream->has_helper};

    U32S(fields, &stream->handle, &stream->kind, &stream->fd);
    halo__field_u32(fields, &stream->file, HALO_FILE_DEVICE);
    halo__field_u8(fields, &stream->ways, HALO_IN | HALO_OUT);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        halo__field_bool(fields, flags[i]);
    text(fields, stream->name, HALO_STREAM_NAME_MAX);
    flow(fields, &stream->in);
    flow(fields, &stream->out);
    U64S(fields, &stream->bytes_in, &stream->bytes_out);
}

static void under_way(struct halo_fields *fields, struct halo_picture *picture)
{
    U32S(fields, &picture->export_count, &picture->import_count, &picture->missing_calls);
    halo__field_u32(fields, &picture->request_count, HALO_QUEUE_COUNT * HALO_QUEUE_SIZE_MAX);
    halo__field_u32(fields, &picture->call_count, HALO_PICTURE_CALLS);
    halo__field_u32(fields, &picture->stream_count, HALO_STREAMS_MAX);
    if (room(fields, &picture->requests, picture->request_count, sizeof(*picture->requests))) {
        for (uint32_t i = 0; i < picture->request_count && !fields->failed; i++)
            request(fields, &picture->requests[i]);
    }
    if (room(fields, &picture->calls, picture->call_count, sizeof(*picture->calls))) {
        for (uint32_t i = 0; i < picture->call_count && !fields->failed; i++)
            call(fields, &picture->calls[i]);
    }
    if (room(fields, &picture->streams, picture->stream_count, sizeof(*picture->streams))) {
        for (uint32_t i = 0; i < picture->stream_count && !fields->failed; i++)
            stream(fields, &picture->streams[i]);
    }
}

/* --- All of it -------------------------------------------------------------------------------- */

static void memory(struct halo_fields *fields, struct halo_picture *picture)
{
    const uint32_t words = (uint32_t)((picture->ram_len / HALO_PAGE + 63) / 64);

    halo__field_bool(fields, &picture->has_memory);
    if (!picture->has_memory || !room(fields, &picture->present, words, sizeof(uint64_t)))
        return;
    for (uint32_t i = 0; i < words && !fields->failed; i++)
        U64S(fields, &picture->present[i]);
}

int halo__picture_fields(struct halo_fields *fields, struct halo_picture *picture)
{
    text(fields, picture->backend, sizeof(picture->backend) - 1);
    halo__field_bool(fields, &picture->is_snapshot);
    halo__field_bool(fields, &picture->is_threaded);
    halo__field_bool(fields, &picture->on_stacks);
    halo__field_u32(fields, &picture->state, HALO_STATE_ENDED);
    halo__field_u32(fields, &picture->guest, HALO_GUEST_SERVES);
    halo__field_bool(fields, &picture->is_inside);
    halo__field_bool(fields, &picture->has_more);
    U32S(fields, &picture->serving, &picture->waits);
    U64S(fields, &picture->wake_ns);
    end(fields, picture);
    processor(fields, picture);
    counters(fields, picture);
    ranges(fields, picture);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        queue(fields, &picture->queues[i]);
    for (uint32_t i = 0; i < HALO_STACK_COUNT; i++)
        U64S(fields, &picture->stack_lens[i]);
    under_way(fields, picture);
    memory(fields, picture);
    if (fields->no_memory)
        return HALO_ENOMEM;
    return fields->failed || (!fields->writes && fields->at != fields->len) ? HALO_EGUEST : 0;
}

void halo__picture_free(struct halo_picture *picture)
{
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        free(picture->queues[i].words);
    free(picture->requests);
    free(picture->calls);
    free(picture->streams);
    free(picture->present);
}
