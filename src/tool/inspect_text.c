/* A picture for people. */
#include "../host/machine/machine.h"
#include "inspect.h"
#include <string.h>

#define REGISTERS_A_LINE 6
#define REQUESTS_SHOWN 16

typedef unsigned long long number;

static void title(const char *words)
{
    fprintf(tool_out, "\n%s\n", words);
}

static const char *age(uint64_t age_ns, char *text)
{
    return *inspect_age(age_ns, text) ? text : "?";
}

/* --- The guest -------------------------------------------------------------------------------- */

static void put_head(const struct halo_picture *picture)
{
    fprintf(tool_out, "%s, backend %s%s%s, %llu KiB of memory: %s\n",
            picture->is_snapshot ? "snapshot" : "sandbox", picture->backend,
            picture->is_threaded ? ", on a thread of its own" : "",
            picture->on_stacks ? ", over stacks" : "", (number)picture->ram_len >> 10,
            inspect_state(picture));
    if (picture->error)
        fprintf(tool_out, "error %d (%s): %s\n", -(int)picture->error,
                halo_strerror(-(int)picture->error), picture->words);
}

static void put_registers(const struct halo_processor *at)
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
    title(at->known == HALO_PROCESSOR_ALL ? "registers"
                                          : "registers, as far as they are known; others are 0");
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        fprintf(tool_out, "%s%s 0x%llx%s", i % REGISTERS_A_LINE ? " " : "  ", all[i].name,
                (number)all[i].value, i % REGISTERS_A_LINE == REGISTERS_A_LINE - 1 ? "\n" : "");
}

static void put_frames(const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;

    if (picture->frame_count == 0)
        return;
    title("back trace");
    for (uint32_t i = 0; i < picture->frame_count; i++) {
        const struct tool_place *place = &inspected->places[i];

        fprintf(tool_out, "  #%u 0x%llx", i, (number)picture->frames[i].address);
        if (place->function[0])
            fprintf(tool_out, " %s%s+0x%llx", place->is_near ? "near " : "", place->function,
                    (number)place->offset);
        if (place->file[0])
            fprintf(tool_out, " at %s:%u", place->file, place->line);
        fputs(picture->frames[i].kind == HALO_FRAME_GUESS ? " (a guess)\n" : "\n", tool_out);
    }
}

static void put_map(const struct halo_picture *picture)
{
    title("memory");
    for (uint32_t i = 0; i < picture->range_count; i++) {
        const struct halo_pictured_range *range = &picture->ranges[i];

        fprintf(tool_out, "  0x%llx-0x%llx %c%c%c %s%s\n", (number)range->base,
                (number)(range->base + range->len), range->prot & HALO_PROT_READ ? 'r' : '-',
                range->prot & HALO_PROT_WRITE ? 'w' : '-', range->prot & HALO_PROT_EXEC ? 'x' : '-',
                inspect_use(range->use), range->rights ? "" : ", no buffers there");
    }
}

/* --- What is under way ------------------------------------------------------------------------ */

static void put_calls(const struct halo_picture *picture)
{
    char text[32];

    if (picture->call_count == 0)
        return;
    title("calls under way");
    for (uint32_t i = 0; i < picture->call_count; i++) {
        const struct halo_pictured_call *call = &picture->calls[i];
        const bool is_of_guest =
            call->place == HALO_CALL_IS_SERVED || call->place == HALO_CALL_IS_PUT_OFF;

        fprintf(tool_out, "  %s %s(%s): %s, for %s (request 0x%x, %u deep)\n",
                is_of_guest ? "guest -> host" : "host -> guest", call->name, call->arguments,
                inspect_call_place(call->place), age(call->age_ns, text), call->request,
                call->depth);
    }
    if (picture->missing_calls)
        fprintf(tool_out, "  and %u more\n", picture->missing_calls);
}

static void put_flow(const struct halo_pictured_flow *flow, const char *what, bool has_way)
{
    char text[32];

    if (!has_way)
        return;
    fprintf(tool_out, "; %s: ", what);
    if (flow->count)
        fprintf(tool_out, "%u of %u requests, %llu of %u bytes, the first for %s%s", flow->count,
                HALO_WINDOW_REQUESTS, (number)flow->bytes, HALO_WINDOW_BYTES,
                age(flow->age_ns, text), flow->blocked ? ", blocked" : "");
    else
        fputs("nothing asked", tool_out);
    fputs(flow->over ? ", at its end" : "", tool_out);
}

static void put_streams(const struct halo_picture *picture)
{
    char text[96];

    if (picture->stream_count == 0)
        return;
    title("streams");
    for (uint32_t i = 0; i < picture->stream_count; i++) {
        const struct halo_pictured_stream *stream = &picture->streams[i];

        fprintf(tool_out, "  0x%x %s: %s", stream->handle, inspect_title(stream, text),
                inspect_end(stream));
        put_flow(&stream->in, "reads", stream->ways & HALO_IN);
        put_flow(&stream->out, "writes", stream->ways & HALO_OUT);
        fprintf(tool_out, "; %llu bytes in, %llu out%s%s%s\n", (number)stream->bytes_in,
                (number)stream->bytes_out, stream->is_closing ? ", closing" : "",
                stream->is_short ? ", its host's system lacks something for it" : "",
                stream->has_helper ? ", by a helper" : "");
    }
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void put_requests(const struct inspected *inspected, uint32_t queue)
{
    const struct halo_picture *picture = &inspected->picture;
    uint32_t posted = 0, count = 0;
    char text[32];

    for (uint32_t i = 0; i < picture->request_count; i++) {
        const struct halo_pictured_request *request = &picture->requests[i];

        if (request->queue != queue)
            continue;
        if (request->place == HALO_REQUEST_IS_POSTED) {
            posted++;
            continue;
        }
        if (++count > REQUESTS_SHOWN && !inspected->all)
            continue;
        fprintf(tool_out, "    chain %u: %s, request 0x%x, %u bytes of payload%s", request->id,
                inspect_kind(request->message.kind), request->message.request,
                request->message.length, request->is_inline ? ", inline" : "");
        if (request->place == HALO_REQUEST_IS_STREAM)
            fprintf(tool_out, ", stream 0x%x, %llu bytes moved", request->handle,
                    (number)request->done);
        fprintf(tool_out, "; %u slots, room for %u bytes, for %s\n", request->slots,
                request->writable_len, age(request->age_ns, text));
    }
    if (count > REQUESTS_SHOWN && !inspected->all)
        fprintf(tool_out, "    and %u more\n", count - REQUESTS_SHOWN);
    if (posted)
        fprintf(tool_out, "    %u buffers for the host's messages\n", posted);
}

static void put_slots(const struct inspected *inspected, const struct halo_pictured_queue *queue)
{
    char text[64];
    bool gap = false;

    for (uint32_t i = 0; i < queue->size; i++) {
        struct inspect_slot slot;

        if (!inspect_is_shown(inspected, queue, i)) {
            gap = true;
            continue;
        }
        if (gap)
            fputs("      ...\n", tool_out);
        gap = false;
        slot = inspect_slot(queue, i);
        fprintf(tool_out, "    %c%c%4u %-24s wrap %u id %5u len %8u addr 0x%-14llx %s\n",
                (queue->used & 0x7fff) == i ? 'u' : ' ', (queue->avail & 0x7fff) == i ? 'a' : ' ',
                i, slot.owner, slot.wrap, slot.id, slot.len, (number)slot.addr,
                inspect_flags(slot.flags, text));
    }
}

static void put_queue(const struct inspected *inspected, uint32_t index)
{
    const struct halo_pictured_queue *queue = &inspected->picture.queues[index];
    char text[96];

    title(index == HALO_QUEUE_G2H ? "queue to the host (the guest's requests)"
                                  : "queue to the guest (buffers for the host's messages)");
    fprintf(tool_out,
            "  %u descriptors at 0x%llx; the host takes at slot %u (wrap %u, a), gives back at %u "
            "(wrap %u, u)%s\n",
            queue->size, (number)queue->desc, queue->avail & 0x7fffu, queue->avail >> 15u,
            queue->used & 0x7fffu, queue->used >> 15u,
            queue->staged ? ", and has done some that it has not shown" : "");
    fprintf(tool_out, "  the guest wants to be %s", inspect_event_word(queue->driver_event, text));
    fprintf(tool_out, "; the host to be %s\n", inspect_event_word(queue->device_event, text));
    if (queue->broken)
        fprintf(tool_out, "  broken at slot %u: %s, id %u, words 0x%llx 0x%llx\n",
                queue->broken_slot, halo_broken_name((enum halo_broken)queue->broken),
                queue->broken_id, (number)queue->broken_addr, (number)queue->broken_meta);
    put_requests(inspected, index);
    put_slots(inspected, queue);
}

/* --- Counters --------------------------------------------------------------------------------- */

static void put_counters(const struct halo_picture *picture)
{
    const struct halo_stats *stats = &picture->stats;
    char text[32];

    title("counters");
    fprintf(tool_out,
            "  %llu requests, %llu exits, %llu kicks, %llu waits; calls: %llu of the host's "
            "functions, %llu of the guest's\n",
            (number)stats->requests, (number)stats->exits, (number)stats->kicks,
            (number)stats->waits, (number)stats->calls, (number)stats->calls_out);
    fprintf(tool_out,
            "  streams: %llu bytes in, %llu out; %llu answers kept, %llu bytes fetched; run for "
            "%s before this\n",
            (number)stats->bytes_in, (number)stats->bytes_out, (number)stats->deferred,
            (number)stats->fetched, age(picture->run_ns, text));
    if (picture->event_count == 0)
        return;
    title("last exits, the oldest first");
    for (uint32_t i = 0; i < picture->event_count; i++)
        fprintf(tool_out, "  %s ago: %s, after %llu requests\n",
                age(picture->events[i].age_ns, text), inspect_event(&picture->events[i]),
                (number)picture->events[i].requests);
}

void inspect_text(const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    char why[INSPECT_WHY_MAX];

    inspect_why(inspected, why);
    fprintf(tool_out, "%s\n\n", why);
    put_head(picture);
    put_frames(inspected);
    put_calls(picture);
    put_streams(picture);
    if (picture->on_stacks)
        fprintf(tool_out, "\nstacks: %llu bytes to the host, %llu to the guest\n",
                (number)picture->stack_lens[HALO_STACK_G2H],
                (number)picture->stack_lens[HALO_STACK_H2G]);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        put_queue(inspected, i);
    put_registers(&picture->processor);
    put_map(picture);
    put_counters(picture);
}
