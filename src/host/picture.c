/* A picture of a sandbox: see picture.h. Each word of shared memory is read once. */
#include "call/saved.h"
#include "picture_of.h"
#include <stdlib.h>
#include <string.h>

/* --- Memory ----------------------------------------------------------------------------------- */

static uint32_t use_of(const struct halo_layout *layout, const struct halo_range *range)
{
    const uint64_t at = range->base;

    if (at >= layout->doorbell)
        return HALO_USE_DOORBELL;
    if (at >= layout->args)
        return HALO_USE_TOLD;
    if (at >= layout->ring)
        return HALO_USE_RINGS;
    if (at >= layout->pool)
        return HALO_USE_POOL;
    if (at >= layout->stack_top - layout->stack_len && at < layout->stack_top)
        return HALO_USE_STACK;
    return at >= layout->image_end ? HALO_USE_HEAP : HALO_USE_PROGRAM;
}

/* In the order of their addresses: what differs in protection is a range of its own. */
void halo__picture_ranges(const struct halo_machine *machine, struct halo_picture *picture)
{
    struct halo_range range;
    uint64_t at = HALO_RAM_BASE;

    picture->ram_len = machine->ram.len;
    while (picture->range_count < HALO_PICTURE_RANGES && halo__layout_next(machine, &at, &range))
        picture->ranges[picture->range_count++] =
            (struct halo_pictured_range){.base = range.base,
                                         .len = range.len,
                                         .prot = range.prot,
                                         .rights = range.rights,
                                         .use = use_of(&machine->layout, &range)};
}

void halo__picture_frames(struct halo_machine *machine, struct halo_picture *picture)
{
    picture->frame_count =
        halo__machine_backtrace(machine, &picture->processor, picture->frames, HALO_PICTURE_FRAMES);
}

/* --- Queues ----------------------------------------------------------------------------------- */

static int take_queue(const struct halo_receiver *receiver, uint64_t desc,
                      struct halo_pictured_queue *to)
{
    const struct halo_device *device = &receiver->device;
    const struct halo_positions at = halo_device_positions(device);

    *to = (struct halo_pictured_queue){
        .size = device->place.size,
        .desc = desc,
        .avail = at.avail,
        .published = at.used,
        .used = halo_cursor_position(halo_at_cursor(device->used, &device->place)),
        .staged = device->staged,
        .driver_event = halo_shm_load_event(device->place.driver_event),
        .device_event = halo_shm_load_event(device->place.device_event),
        .broken = device->violation.reason,
        .broken_slot = device->violation.slot,
        .broken_id = device->violation.id,
        .broken_addr = device->violation.addr,
        .broken_meta = device->violation.meta,
        .words = calloc(device->place.size + 1u, sizeof(*to->words)),
    };
    if (!to->words)
        return HALO_ENOMEM;
    for (uint32_t i = 0; i < to->size; i++) {
        to->words[i][1] = halo_shm_load_meta(&device->place.desc[i]);
        to->words[i][0] = halo_shm_load_addr(&device->place.desc[i]);
    }
    return 0;
}

static uint64_t stack_len(const struct halo_stack *stack)
{
    uint64_t top;

    halo_shm_copy_in(&top, stack->base, sizeof(top));
    return top > HALO_STACK_FIRST && top <= stack->len ? top - HALO_STACK_FIRST : 0;
}

/* --- The rest --------------------------------------------------------------------------------- */

static void take_state(const struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_loop *loop = &box->loop;

    (void)strncpy(picture->backend, halo_backend_name(box), sizeof(picture->backend) - 1);
    picture->is_threaded = loop->runner.is_there;
    picture->on_stacks = box->port.on_stacks;
    picture->state = loop->state;
    picture->guest = box->port.guest;
    picture->is_inside = loop->is_inside;
    picture->error = (uint32_t)-loop->error;
    picture->exit_code = (uint32_t)loop->exit_code;
    memcpy(picture->words, loop->error ? loop->last.text : "",
           loop->error ? sizeof(loop->last) : 1);
    picture->words[HALO_PICTURE_TEXT] = '\0';
    if (box->is_restored && halo__calls_missing(&box->calls))
        (void)strncpy(picture->missing, halo__calls_missing(&box->calls), HALO_FUNCTION_NAME_MAX);
    picture->has_fault = loop->has_fault;
    picture->fault = loop->fault;
    picture->is_overflow =
        loop->has_fault && halo__layout_is_overflow(&box->machine.layout, &loop->fault);
    picture->poison = box->port.poison;
}

static void take_events(const struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_loop *loop = &box->loop;
    uint64_t at =
        loop->last_exit_count > HALO_LAST_EXITS ? loop->last_exit_count - HALO_LAST_EXITS : 0;

    for (; at < loop->last_exit_count; at++) {
        const struct halo_last_exit *from = &loop->last_exits[at % HALO_LAST_EXITS];

        picture->events[picture->event_count++] =
            (struct halo_pictured_event){.age_ns = halo__machine_age(&box->machine, from->counter),
                                         .requests = from->requests,
                                         .kind = from->kind,
                                         .op = from->op,
                                         .a = from->a};
    }
    picture->run_ns = picture->stats.elapsed_ns;
    picture->left_ns =
        picture->event_count ? picture->events[picture->event_count - 1].age_ns : HALO_AGE_UNKNOWN;
}

/* What was under way when the guest was ended, in place of what is now. */
static int take_under_way(struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_picture *kept = box->at_end;

    if (box->loop.state != HALO_STATE_ENDED || !kept)
        return halo__picture_under_way(box, picture) ? 0 : HALO_ENOMEM;
    picture->serving = kept->serving;
    picture->waits = kept->waits;
    picture->has_more = kept->has_more;
    picture->import_count = kept->import_count;
    picture->export_count = kept->export_count;
    picture->missing_calls = kept->missing_calls;
    picture->wake_ns = kept->wake_ns;
    memcpy(picture->shortage, kept->shortage, sizeof(picture->shortage));
    picture->requests = calloc(kept->request_count + 1u, sizeof(*picture->requests));
    picture->calls = calloc(kept->call_count + 1u, sizeof(*picture->calls));
    picture->streams = calloc(kept->stream_count + 1u, sizeof(*picture->streams));
    if (!picture->requests || !picture->calls || !picture->streams)
        return HALO_ENOMEM;
    picture->request_count = kept->request_count;
    picture->call_count = kept->call_count;
    picture->stream_count = kept->stream_count;
    memcpy(picture->requests, kept->requests, kept->request_count * sizeof(*picture->requests));
    memcpy(picture->calls, kept->calls, kept->call_count * sizeof(*picture->calls));
    memcpy(picture->streams, kept->streams, kept->stream_count * sizeof(*picture->streams));
    return 0;
}

int halo__picture_take(struct halo_sandbox *box, struct halo_picture *picture)
{
    const struct halo_layout *layout = &box->machine.layout;
    int error = 0;

    take_state(box, picture);
    halo_stats(box, &picture->stats);
    take_events(box, picture);
    halo__picture_ranges(&box->machine, picture);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT && !error; i++)
        error = take_queue(&box->port.queues[i], layout->queues[i].desc, &picture->queues[i]);
    for (uint32_t i = 0; i < HALO_STACK_COUNT && box->port.on_stacks; i++)
        picture->stack_lens[i] = stack_len(&box->port.stacks[i]);
    if (!error)
        error = take_under_way(box, picture);
    if (!error && !box->loop.runner.has_guest) {
        halo__loop_look(&box->loop, &picture->processor);
        halo__picture_frames(&box->machine, picture);
    }
    return error;
}
