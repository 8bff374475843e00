/* A picture for programs: one line of JSON. Addresses and words of the guest's are strings, for not
 * every reader has all 64 bits of a number. */
#include "../host/machine/machine.h"
#include "inspect.h"
#include <string.h>

typedef unsigned long long number;

static bool is_first; /* in the object or list that was begun last */

static void name(const char *text)
{
    fprintf(tool_out, "%s", is_first ? "" : ",");
    is_first = false;
    if (text)
        fprintf(tool_out, "\"%s\":", text);
}

static void begin(const char *key, char bracket)
{
    name(key);
    fputc(bracket, tool_out);
    is_first = true;
}

static void end(char bracket)
{
    fputc(bracket, tool_out);
    is_first = false;
}

/* What was read is fit for a terminal: nothing else is to be escaped. */
static void put_text(const char *key, const char *text)
{
    name(key);
    fputc('"', tool_out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', tool_out);
        fputc(*text >= ' ' && *text <= '~' ? *text : '?', tool_out);
    }
    fputc('"', tool_out);
}

static void put_count(const char *key, uint64_t value)
{
    name(key);
    fprintf(tool_out, "%llu", (number)value);
}

static void put_bool(const char *key, bool value)
{
    name(key);
    fputs(value ? "true" : "false", tool_out);
}

static void put_word(const char *key, uint64_t value)
{
    name(key);
    fprintf(tool_out, "\"0x%llx\"", (number)value);
}

static void put_age(const char *key, uint64_t age_ns)
{
    if (age_ns != HALO_AGE_UNKNOWN)
        put_count(key, age_ns);
}

/* --- The guest -------------------------------------------------------------------------------- */

static void put_processor(const struct halo_processor *at)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {{"rax", at->rax}, {"rbx", at->rbx},      {"rcx", at->rcx}, {"rdx", at->rdx},
               {"rsi", at->rsi}, {"rdi", at->rdi},      {"rbp", at->rbp}, {"rsp", at->rsp},
               {"r8", at->r8},   {"r9", at->r9},        {"r10", at->r10}, {"r11", at->r11},
               {"r12", at->r12}, {"r13", at->r13},      {"r14", at->r14}, {"r15", at->r15},
               {"rip", at->rip}, {"rflags", at->rflags}};

    if (!at->known)
        return;
    begin("registers", '{');
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        put_word(all[i].name, all[i].value);
    end('}');
}

static void put_end(const struct halo_picture *picture)
{
    if (picture->state == HALO_STATE_ENDED && !picture->error)
        put_count("exit_code", picture->exit_code);
    if (!picture->error)
        return;
    name("error");
    fprintf(tool_out, "%d", -(int)picture->error);
    put_text("message", picture->words);
    if (picture->has_fault) {
        begin("fault", '{');
        put_count("vector", picture->fault.vector);
        put_text("name", halo_fault_name(picture->fault.vector));
        put_count("code", picture->fault.error);
        put_word("address", picture->fault.address);
        put_word("rip", picture->fault.rip);
        put_bool("overflow", picture->is_overflow);
        end('}');
    }
    if (picture->poison.kind) {
        begin("rule", '{');
        put_text("name", picture->poison.rule);
        put_count("kind", picture->poison.kind);
        if (picture->poison.queue != HALO_POISON_NO_QUEUE)
            put_count("queue", picture->poison.queue);
        put_count("slot", picture->poison.slot);
        put_count("id", picture->poison.id);
        put_word("word0", picture->poison.words[0]);
        put_word("word1", picture->poison.words[1]);
        end('}');
    }
}

static void put_frames(const struct inspected *inspected)
{
    static const char *const kinds[] = {"", "at", "caller", "guess"};
    const struct halo_picture *picture = &inspected->picture;

    begin("trace", '[');
    for (uint32_t i = 0; i < picture->frame_count; i++) {
        const struct halo_frame *frame = &picture->frames[i];
        const struct tool_place *place = &inspected->places[i];

        begin(NULL, '{');
        put_word("address", frame->address);
        put_text("kind", frame->kind <= HALO_FRAME_GUESS ? kinds[frame->kind] : "");
        if (place->function[0]) {
            put_text("function", place->function);
            put_count("offset", place->offset);
            put_bool("near", place->is_near);
        }
        if (place->file[0]) {
            put_text("file", place->file);
            put_count("line", place->line);
        }
        end('}');
    }
    end(']');
}

static void put_map(const struct halo_picture *picture)
{
    begin("memory", '[');
    for (uint32_t i = 0; i < picture->range_count; i++) {
        const struct halo_pictured_range *range = &picture->ranges[i];
        const char prot[4] = {range->prot & HALO_PROT_READ ? 'r' : '-',
                              range->prot & HALO_PROT_WRITE ? 'w' : '-',
                              range->prot & HALO_PROT_EXEC ? 'x' : '-', 0};

        begin(NULL, '{');
        put_word("base", range->base);
        put_count("len", range->len);
        put_text("prot", prot);
        put_bool("buffers", range->rights != 0);
        put_text("use", inspect_use(range->use));
        end('}');
    }
    end(']');
}

/* --- What is under way ------------------------------------------------------------------------ */

static void put_calls(const struct halo_picture *picture)
{
    static const char *const places[] = {"", "served", "put_off", "waiting", "sent"};

    begin("calls", '[');
    for (uint32_t i = 0; i < picture->call_count; i++) {
        const struct halo_pictured_call *call = &picture->calls[i];

        begin(NULL, '{');
        put_text("function", call->name);
        put_text("arguments", call->arguments);
        put_text("place", places[call->place <= HALO_CALL_IS_SENT ? call->place : 0]);
        put_bool("by_guest", call->place <= HALO_CALL_IS_PUT_OFF);
        put_count("request", call->request);
        put_count("depth", call->depth);
        put_age("age_ns", call->age_ns);
        end('}');
    }
    end(']');
    put_count("calls_missing", picture->missing_calls);
}

static void put_flow(const char *key, const struct halo_pictured_flow *flow)
{
    begin(key, '{');
    put_count("requests", flow->count);
    put_count("bytes", flow->bytes);
    put_bool("blocked", flow->blocked);
    put_bool("over", flow->over);
    put_age("age_ns", flow->age_ns);
    end('}');
}

static void put_streams(const struct halo_picture *picture)
{
    char text[96];

    begin("streams", '[');
    for (uint32_t i = 0; i < picture->stream_count; i++) {
        const struct halo_pictured_stream *stream = &picture->streams[i];

        begin(NULL, '{');
        put_word("handle", stream->handle);
        put_text("title", inspect_title(stream, text));
        put_text("end", inspect_end(stream));
        if (stream->ways & HALO_IN)
            put_flow("in", &stream->in);
        if (stream->ways & HALO_OUT)
            put_flow("out", &stream->out);
        put_bool("closing", stream->is_closing);
        put_bool("short", stream->is_short);
        put_count("bytes_in", stream->bytes_in);
        put_count("bytes_out", stream->bytes_out);
        end('}');
    }
    end(']');
}

static void put_requests(const struct halo_picture *picture, uint32_t queue)
{
    begin("requests", '[');
    for (uint32_t i = 0; i < picture->request_count; i++) {
        const struct halo_pictured_request *request = &picture->requests[i];

        if (request->queue != queue)
            continue;
        begin(NULL, '{');
        put_count("id", request->id);
        put_count("slots", request->slots);
        put_text("kind", inspect_kind(request->message.kind));
        put_count("request", request->message.request);
        put_count("length", request->message.length);
        put_bool("inline", request->is_inline);
        put_count("readable", request->readable_len);
        put_count("writable", request->writable_len);
        if (request->place == HALO_REQUEST_IS_STREAM)
            put_word("stream", request->handle);
        put_count("done", request->done);
        put_age("age_ns", request->age_ns);
        end('}');
    }
    end(']');
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void put_slots(const struct inspected *inspected, const struct halo_pictured_queue *queue)
{
    begin("slots", '[');
    for (uint32_t i = 0; i < queue->size; i++) {
        struct inspect_slot slot;

        if (!inspect_is_shown(inspected, queue, i))
            continue;
        slot = inspect_slot(queue, i);
        begin(NULL, '{');
        put_count("slot", i);
        put_text("owner", slot.owner);
        put_bool("wrap", slot.wrap);
        put_bool("used", slot.is_used);
        put_count("id", slot.id);
        put_count("len", slot.len);
        put_count("flags", slot.flags);
        put_word("addr", slot.addr);
        end('}');
    }
    end(']');
}

static void put_queue(const struct inspected *inspected, uint32_t index)
{
    const struct halo_pictured_queue *queue = &inspected->picture.queues[index];

    begin(NULL, '{');
    put_text("name", index == HALO_QUEUE_G2H ? "to the host" : "to the guest");
    put_count("size", queue->size);
    put_word("desc", queue->desc);
    put_count("avail_slot", queue->avail & 0x7fffu);
    put_count("avail_wrap", queue->avail >> 15u);
    put_count("used_slot", queue->used & 0x7fffu);
    put_count("used_wrap", queue->used >> 15u);
    put_count("staged", queue->staged);
    put_word("driver_event", queue->driver_event);
    put_word("device_event", queue->device_event);
    if (queue->broken) {
        put_text("broken", halo_broken_name((enum halo_broken)queue->broken));
        put_count("broken_slot", queue->broken_slot);
        put_count("broken_id", queue->broken_id);
    }
    put_requests(&inspected->picture, index);
    put_slots(inspected, queue);
    end('}');
}

/* --- Counters --------------------------------------------------------------------------------- */

static void put_counters(const struct halo_picture *picture)
{
    const struct halo_stats *stats = &picture->stats;

    begin("counters", '{');
    put_count("requests", stats->requests);
    put_count("exits", stats->exits);
    put_count("kicks", stats->kicks);
    put_count("waits", stats->waits);
    put_count("calls", stats->calls);
    put_count("calls_out", stats->calls_out);
    put_count("deferred", stats->deferred);
    put_count("fetched", stats->fetched);
    put_count("bytes_in", stats->bytes_in);
    put_count("bytes_out", stats->bytes_out);
    put_count("system_calls", stats->system_calls);
    put_count("restores", stats->restores);
    put_age("run_ns", picture->run_ns);
    end('}');
    begin("last_exits", '[');
    for (uint32_t i = 0; i < picture->event_count; i++) {
        begin(NULL, '{');
        put_text("what", inspect_event(&picture->events[i]));
        put_count("after_requests", picture->events[i].requests);
        put_age("age_ns", picture->events[i].age_ns);
        end('}');
    }
    end(']');
}

void inspect_json(const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    char why[INSPECT_WHY_MAX];

    inspect_why(inspected, why);
    is_first = true;
    begin(NULL, '{');
    put_text("why", why);
    put_text("state", inspect_state(picture));
    put_text("backend", picture->backend);
    put_bool("snapshot", picture->is_snapshot);
    put_bool("threaded", picture->is_threaded);
    put_text("transport", picture->on_stacks ? "stack" : "ring");
    put_count("ram", picture->ram_len);
    put_end(picture);
    put_processor(&picture->processor);
    put_frames(inspected);
    put_calls(picture);
    put_streams(picture);
    begin("queues", '[');
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        put_queue(inspected, i);
    end(']');
    put_map(picture);
    put_counters(picture);
    end('}');
    fputc('\n', tool_out);
}
