/* A picture of a snapshot. It was judged: what its records name is there. */
#include "picture_kept.h"
#include "picture_of.h"
#include <stdlib.h>
#include <string.h>

static struct halo_machine machine_of(const struct halo_snapshot *snapshot)
{
    return (struct halo_machine){.layout = snapshot->image.layout,
                                 .prots = snapshot->image.prots,
                                 .ram = {.fd = -1,
                                         .len = snapshot->image.len,
                                         .host = halo_shm_share(snapshot->image.bytes)}};
}

/* Where it waits: the doorbell's page has what it left with. */
static bool take_frames(const struct halo_snapshot *snapshot, struct halo_picture *picture)
{
    struct halo_machine machine = machine_of(snapshot);
    struct halo_registers saved;
    struct halo_words words = {""};

    machine.ram.found = malloc(machine.ram.len / HALO_RAM_PIECE + 1);
    if (!machine.ram.found)
        return false;
    machine.words = machine.ram.words = &words;
    memset(machine.ram.found, 1, machine.ram.len / HALO_RAM_PIECE + 1);
    memcpy(&saved,
           snapshot->image.bytes + (snapshot->image.layout.save - HALO_RAM_BASE) +
               offsetof(struct halo_save, registers),
           sizeof(saved));
    picture->processor = (struct halo_processor){.known = HALO_PROCESSOR_CALL,
                                                 .rbx = saved.rbx,
                                                 .rbp = saved.rbp,
                                                 .rsp = saved.rsp,
                                                 .r12 = saved.r12,
                                                 .r13 = saved.r13,
                                                 .r14 = saved.r14,
                                                 .r15 = saved.r15,
                                                 .rip = snapshot->image.layout.doorbell};
    halo__picture_frames(&machine, picture);
    free(machine.ram.found);
    return true;
}

static bool take_queue(const struct halo_snapshot *snapshot, uint32_t index,
                       struct halo_pictured_queue *to)
{
    const struct halo_boot_queue *queue = &snapshot->image.layout.queues[index];
    const unsigned char *bytes = snapshot->image.bytes;
    const struct halo_positions at = snapshot->port.at[index];

    *to = (struct halo_pictured_queue){.size = queue->size,
                                       .desc = queue->desc,
                                       .avail = at.avail,
                                       .used = at.used,
                                       .published = at.used,
                                       .words = calloc(queue->size + 1u, sizeof(*to->words))};
    if (!to->words)
        return false;
    memcpy(to->words, bytes + (queue->desc - HALO_RAM_BASE), queue->size * sizeof(*to->words));
    memcpy(&to->driver_event, bytes + (queue->driver_event - HALO_RAM_BASE), sizeof(uint32_t));
    memcpy(&to->device_event, bytes + (queue->device_event - HALO_RAM_BASE), sizeof(uint32_t));
    return true;
}

static bool take_requests(const struct halo_snapshot *snapshot, struct halo_picture *picture)
{
    const struct halo_saved_port *port = &snapshot->port;
    const uint32_t count = port->counts[0] + port->counts[1];

    picture->requests = calloc(count + 1u, sizeof(*picture->requests));
    if (!picture->requests)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct halo_request *from = &port->requests[i].request;
        const uint32_t queue = i < port->counts[0] ? HALO_QUEUE_G2H : HALO_QUEUE_H2G;

        picture->requests[picture->request_count++] = (struct halo_pictured_request){
            .queue = queue,
            .place = queue == HALO_QUEUE_G2H ? HALO_REQUEST_IS_STREAM : HALO_REQUEST_IS_POSTED,
            .id = halo_token_id(from->parked.token),
            .slots = (uint16_t)halo_device_chain_slots(&port->requests[i].chain),
            .readable_len = from->parked.readable_len,
            .writable_len = from->parked.writable_len,
            .message = from->message,
            .handle = from->stream.handle,
            .age_ns = HALO_AGE_UNKNOWN};
    }
    return true;
}

static bool take_streams(const struct halo_snapshot *snapshot, struct halo_picture *picture)
{
    const struct halo_saved_streams *streams = &snapshot->streams;

    picture->streams = calloc(streams->used + 1u, sizeof(*picture->streams));
    if (!picture->streams)
        return false;
    for (uint32_t i = 0; i < streams->used; i++) {
        const struct halo_saved_stream *from = &streams->at[i];
        struct halo_pictured_stream *to = &picture->streams[picture->stream_count];

        if (!from->is_open)
            continue;
        *to = (struct halo_pictured_stream){
            .handle = i | (uint32_t)from->generation << 16,
            .kind = HALO_END_HOST,
            .fd = UINT32_MAX,
            .ways = from->ways,
            .is_awaited = true,
            .in = {from->in.count, from->in.bytes, false, from->in.over, HALO_AGE_UNKNOWN},
            .out = {from->out.count, from->out.bytes, false, from->out.over, HALO_AGE_UNKNOWN}};
        for (size_t k = 0; k < HALO_STREAM_NAME_MAX && from->name[k]; k++) /* RES-07 */
            to->name[k] =
                (char)(from->name[k] >= ' ' && from->name[k] <= '~' ? from->name[k] : '?');
        picture->stream_count++;
    }
    return true;
}

int halo__picture_of_snapshot(const struct halo_snapshot *snapshot, struct halo_picture *picture)
{
    const struct halo_machine machine = machine_of(snapshot);

    picture->is_snapshot = true;
    memcpy(picture->backend, "none", sizeof("none"));
    picture->on_stacks = snapshot->transport == HALO_TRANSPORT_STACK;
    picture->state = snapshot->state;
    picture->guest = snapshot->port.guest;
    picture->wake_ns = (uint64_t)snapshot->wake;
    picture->left_ns = HALO_AGE_UNKNOWN;
    picture->import_count = snapshot->calls.functions.count;
    picture->export_count = snapshot->calls.functions.export_count;
    halo__picture_ranges(&machine, picture);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        if (!take_queue(snapshot, i, &picture->queues[i]))
            return HALO_ENOMEM;
    }
    picture->calls = calloc(1, sizeof(*picture->calls));
    if (!picture->calls || !take_requests(snapshot, picture) || !take_streams(snapshot, picture))
        return HALO_ENOMEM;
    return snapshot->state == HALO_STATE_READY || take_frames(snapshot, picture) ? 0 : HALO_ENOMEM;
}
