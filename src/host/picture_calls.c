/*
 * Calls, requests and streams that are under way, as a picture has them. When a guest is ended they
 * are over, each with an error; so what they were is kept then, for whoever asks afterwards.
 */
#define _GNU_SOURCE
#include "picture_of.h"
#include "call/rows.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* --- Arguments -------------------------------------------------------------------------------- */

#define SHOWN 24u         /* bytes of a text, or of bytes half as many */
#define SHOWN_ELEMENTS 4u /* of a list */

/* Text of a bounded length, at its end. */
struct line {
    char *text;
    size_t len, max;
};

__attribute__((format(printf, 2, 3))) static void say(struct line *line, const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(line->text + line->len, line->max + 1 - line->len, format, arguments);
    va_end(arguments);
    line->len = n > 0 && (size_t)n < line->max - line->len ? line->len + (size_t)n : line->max;
}

static void say_text(struct line *line, const struct halo_value *value)
{
    say(line, "\"");
    for (size_t i = 0; i < value->len && i < SHOWN; i++)
        say(line, "%c", value->str[i] >= ' ' && value->str[i] <= '~' ? value->str[i] : '?');
    if (value->len > SHOWN)
        say(line, "...\" (%zu bytes)", value->len);
    else
        say(line, "\"");
}

static void say_bytes(struct line *line, const struct halo_value *value)
{
    const unsigned char *bytes = value->bytes;

    say(line, "<");
    for (size_t i = 0; i < value->len && i < SHOWN / 2; i++)
        say(line, "%02x", bytes[i]);
    say(line, value->len > SHOWN / 2 ? "...> (%zu bytes)" : ">", value->len);
}

static void say_number(struct line *line, const struct halo_value *value)
{
    switch (value->type) {
    case HALO_I32:
        say(line, "%" PRId32, value->i32);
        break;
    case HALO_U32:
        say(line, "%" PRIu32, value->u32);
        break;
    case HALO_I64:
        say(line, "%" PRId64, value->i64);
        break;
    case HALO_U64:
        say(line, "%" PRIu64, value->u64);
        break;
    case HALO_F32:
        say(line, "%g", (double)value->f32);
        break;
    case HALO_F64:
        say(line, "%g", value->f64);
        break;
    case HALO_BOOL:
        say(line, value->boolean ? "true" : "false");
        break;
    case HALO_HANDLE:
        say(line, "handle 0x%" PRIx64, value->handle.number);
        break;
    default:
        say(line, "null");
    }
}

static void say_list(struct line *line, const struct halo_value *list)
{
    const size_t len = halo_element_len(list->type), count = halo_count(list);

    say(line, "[");
    for (size_t i = 0; i < count && i < SHOWN_ELEMENTS; i++) {
        struct halo_value element = {.type = (enum halo_type)(list->type & ~(unsigned)HALO_LIST)};

        memcpy(&element.u64, (const unsigned char *)list->bytes + i * len, len);
        if (i > 0)
            say(line, ", ");
        say_number(line, &element);
    }
    if (count > SHOWN_ELEMENTS)
        say(line, ", ...] (%zu elements)", count);
    else
        say(line, "]");
}

static void say_value(struct line *line, const struct halo_value *value)
{
    if (halo_is_list(value->type))
        say_list(line, value);
    else if (value->type == HALO_STR)
        say_text(line, value);
    else if (value->type == HALO_BYTES)
        say_bytes(line, value);
    else
        say_number(line, value);
}

static void say_arguments(struct halo_pictured_call *to, const struct halo_value *args,
                          uint32_t count)
{
    struct line line = {.text = to->arguments, .max = HALO_PICTURE_ARGUMENTS};

    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            say(&line, ", ");
        say_value(&line, &args[i]);
    }
}

/* --- Calls ------------------------------------------------------------------------------------ */

static struct halo_pictured_call *add_call(struct halo_picture *picture, uint32_t place,
                                           const char *name, uint64_t age_ns)
{
    struct halo_pictured_call *to;

    if (picture->call_count == HALO_PICTURE_CALLS) {
        picture->missing_calls++;
        return NULL;
    }
    to = &picture->calls[picture->call_count++];
    to->place = place;
    to->age_ns = age_ns;
    for (size_t i = 0; name[i] && i < HALO_FUNCTION_NAME_MAX; i++)
        to->name[i] = (char)(name[i] > ' ' && name[i] <= '~' ? name[i] : '?');
    return to;
}

/* Those of the host's functions, the innermost first, and those that have time. */
static void take_served(const struct halo_sandbox *box, struct halo_picture *picture)
{
    struct halo_request *requests = (struct halo_request *)box->port.requests[HALO_QUEUE_G2H];
    const struct halo_calls *calls = &box->calls;
    struct halo_pictured_call *to;

    for (const struct halo_call *call = calls->innermost; call; call = call->outer) {
        to = add_call(picture, HALO_CALL_IS_SERVED, call->provided->name,
                      halo__machine_age(&box->machine, call->request->taken));
        if (!to)
            continue;
        to->request = call->request->message.request;
        to->depth = (uint32_t)call->request->message.flags >> HALO_DEPTH_SHIFT;
        say_arguments(to, call->args, call->provided->signature.arg_count);
    }
    for (const struct halo_request *request = halo__fifo_first(requests, &calls->put_off); request;
         request = halo__fifo_next(requests, request)) {
        const struct halo_provided *provided = halo__call_function(calls, request);

        to = add_call(picture, HALO_CALL_IS_PUT_OFF, provided ? provided->name : "(unknown)",
                      halo__machine_age(&box->machine, request->taken));
        if (to) {
            to->request = request->message.request;
            to->depth = (uint32_t)request->message.flags >> HALO_DEPTH_SHIFT;
        }
    }
}

static void take_future(const struct halo_sandbox *box, struct halo_picture *picture,
                        struct halo_future *future, uint32_t place, uint64_t age_ns)
{
    const struct halo_functions *functions = &box->calls.functions;
    const bool is_known = future->function > 0 && future->function <= functions->export_count;
    struct halo_pictured_call *to =
        add_call(picture, place,
                 is_known ? functions->exported[future->function - 1].name : "(unknown)", age_ns);

    if (!to)
        return;
    to->request = future->request;
    to->depth = future->depth;
    if (halo__is_rows(future))
        (void)snprintf(to->arguments, sizeof(to->arguments), "rows, %llu bytes of them",
                       (unsigned long long)halo__rows_of(future)->len);
    else
        say_arguments(to, future->args, future->arg_count);
}

/* Those of the guest's functions. */
static void take_sent(const struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_calls *calls = &box->calls;

    for (uint32_t i = 0; i < HALO_NUMBERS; i++) {
        const uint64_t age = halo__machine_age(&box->machine, calls->sent[i]);

        if (calls->in_flight[i])
            take_future(box, picture, calls->in_flight[i], HALO_CALL_IS_SENT, age);
        else if (calls->numbers[i])
            (void)add_call(picture, HALO_CALL_IS_SENT, "(given-up)", age);
    }
    for (struct halo_future *future = calls->first; future; future = future->next)
        take_future(box, picture, future, HALO_CALL_IS_WAITING, HALO_AGE_UNKNOWN);
}

/* --- Requests --------------------------------------------------------------------------------- */

static uint32_t place_of(uint32_t queue, uint8_t kind)
{
    if (queue == HALO_QUEUE_H2G)
        return HALO_REQUEST_IS_POSTED;
    return kind == HALO_KIND_CALL || kind == HALO_KIND_FETCH || kind == HALO_KIND_HELLO
               ? HALO_REQUEST_IS_CALL
               : HALO_REQUEST_IS_STREAM;
}

static bool take_requests(const struct halo_sandbox *box, struct halo_picture *picture)
{
    uint32_t count = 0;

    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        for (uint32_t id = 0; id < box->port.queues[queue].device.place.size; id++)
            count += halo_device_chain_slots(&box->port.chains[queue][id]) > 0;
    }
    picture->requests = calloc(count + 1, sizeof(*picture->requests));
    if (!picture->requests)
        return false;
    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        for (uint32_t id = 0; id < box->port.queues[queue].device.place.size; id++) {
            const struct halo_device_chain *chain = &box->port.chains[queue][id];
            const struct halo_request *from = &box->port.requests[queue][id];
            const uint32_t slots = halo_device_chain_slots(chain);
            const struct halo_message message =
                queue == HALO_QUEUE_G2H ? from->message : (struct halo_message){0};

            if (slots == 0 || picture->request_count == count)
                continue;
            picture->requests[picture->request_count++] = (struct halo_pictured_request){
                .queue = queue,
                .place = place_of(queue, message.kind),
                .id = (uint16_t)id,
                .slots = (uint16_t)slots,
                .readable_len = from->parked.readable_len,
                .writable_len = from->parked.writable_len,
                .is_inline = from->parked.is_inline,
                .message = message,
                .handle = from->stream.handle,
                .done = from->done,
                .age_ns = halo__machine_age(&box->machine, from->taken)};
        }
    }
    return true;
}

/* --- Streams ---------------------------------------------------------------------------------- */

static uint32_t file_of(int fd)
{
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return HALO_FILE_OTHER;
    if (S_ISREG(st.st_mode))
        return HALO_FILE_REGULAR;
    if (S_ISFIFO(st.st_mode))
        return HALO_FILE_PIPE;
    if (S_ISSOCK(st.st_mode))
        return HALO_FILE_SOCKET;
    if (!S_ISCHR(st.st_mode))
        return HALO_FILE_OTHER;
    return major(st.st_rdev) == 4 || (major(st.st_rdev) >= 136 && major(st.st_rdev) <= 143)
               ? HALO_FILE_TERMINAL
               : HALO_FILE_DEVICE;
}

static struct halo_pictured_flow flow_of(const struct halo_sandbox *box,
                                         const struct halo_flow *flow)
{
    const struct halo_request *first = halo__flow_first(&box->streams, flow);

    return (struct halo_pictured_flow){
        .count = flow->count,
        .bytes = flow->bytes,
        .blocked = flow->blocked,
        .over = flow->over || flow->at_end,
        .age_ns = first ? halo__machine_age(&box->machine, first->taken) : HALO_AGE_UNKNOWN};
}

static bool take_streams(const struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_streams *streams = &box->streams;

    picture->streams = calloc(streams->used + 1, sizeof(*picture->streams));
    if (!picture->streams)
        return false;
    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_stream *stream = &streams->at[i];
        struct halo_pictured_stream *to = &picture->streams[picture->stream_count];

        if (!stream->kind)
            continue;
        *to = (struct halo_pictured_stream){
            .handle = halo__stream_handle(streams, stream),
            .kind = stream->kind,
            .fd = stream->kind == HALO_END_FD ? (uint32_t)stream->fd : UINT32_MAX,
            .file = stream->kind == HALO_END_FD ? file_of(stream->fd) : HALO_FILE_OTHER,
            .ways = stream->ways,
            .is_listener = stream->is_listener,
            .is_closing = stream->closing,
            .is_awaited = stream->is_awaited,
            .is_short = stream->is_short,
            .is_full = stream->no_place,
            .has_helper = stream->in.helper || stream->out.helper,
            .in = flow_of(box, &stream->in),
            .out = flow_of(box, &stream->out),
            .bytes_in = stream->stats.bytes_in,
            .bytes_out = stream->stats.bytes_out};
        memcpy(to->name, stream->name, sizeof(to->name));
        picture->stream_count++;
    }
    return true;
}

/* --- All of them ------------------------------------------------------------------------------ */

bool halo__picture_under_way(struct halo_sandbox *box, struct halo_picture *picture)
{
    picture->serving = box->port.serving;
    picture->waits = box->port.waits;
    picture->has_more = box->port.has_more;
    picture->import_count = box->calls.functions.count;
    picture->export_count = box->calls.functions.export_count;
    if (box->loop.poller.again)
        (void)snprintf(picture->shortage, sizeof(picture->shortage), "%s", box->streams.shortage);
    if (box->loop.wake) {
        const int64_t left = box->loop.wake - halo__now();

        picture->wake_ns = left > 0 ? (uint64_t)left : 1;
    }
    picture->calls = calloc(HALO_PICTURE_CALLS, sizeof(*picture->calls));
    if (!picture->calls || !take_requests(box, picture) || !take_streams(box, picture))
        return false;
    take_served(box, picture);
    take_sent(box, picture);
    return true;
}

void halo__picture_keep(struct halo_sandbox *box)
{
    struct halo_picture *picture = calloc(1, sizeof(*picture));

    halo__picture_drop(box);
    if (picture && halo__picture_under_way(box, picture)) {
        box->at_end = picture;
        return;
    }
    if (picture)
        halo__picture_free(picture);
    free(picture);
}

void halo__picture_drop(struct halo_sandbox *box)
{
    if (!box->at_end)
        return;
    halo__picture_free(box->at_end);
    free(box->at_end);
    box->at_end = NULL;
}
