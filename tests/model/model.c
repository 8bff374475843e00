/*
 * Reference model of a packed virtqueue; see model.h for what it may assume and how it is written.
 *
 * Section titles in quotes are those of the virtio specification, chapter "Packed Virtqueues";
 * case ids such as DEV-05 are those of the catalogue of hostile peers.
 */
#include "model_parts.h"

#include <stdlib.h>
#include <string.h>

enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2, EVENT_RESERVED = 3 };

/* --- Positions and flags --------------------------------------------------------------------- */

/*
 * "Driver and Device Ring Wrap Counters": both counters start at 1 and change each time the last
 * descriptor of the ring has been passed. So the counter depends on nothing but the lap.
 */
unsigned model_wrap_counter(uint32_t size, uint64_t pos)
{
    return (pos / size) % 2 == 0 ? 1 : 0;
}

/* "Driver and Device Ring Wrap Counters": available is AVAIL equal to the counter, USED not. */
bool model_is_available(uint32_t size, uint64_t pos, uint16_t flags)
{
    unsigned wrap = model_wrap_counter(size, pos);

    return bit(flags, BIT_AVAIL) == wrap && bit(flags, BIT_USED) != wrap;
}

/* "Driver and Device Ring Wrap Counters": used is both AVAIL and USED equal to the counter. */
bool model_is_used(uint32_t size, uint64_t pos, uint16_t flags)
{
    unsigned wrap = model_wrap_counter(size, pos);

    return bit(flags, BIT_AVAIL) == wrap && bit(flags, BIT_USED) == wrap;
}

/*
 * "Driver and Device Ring Wrap Counters", "Write Flag", "Next Flag" and "Indirect Flag" between
 * them define bits 0, 1, 2, 7 and 15. All others are reserved; one that is set is DEV-09.
 */
bool model_has_reserved_bit(uint16_t flags)
{
    for (unsigned number = 0; number < 16; number++) {
        bool defined = number == BIT_NEXT || number == BIT_WRITE || number == BIT_INDIRECT ||
                       number == BIT_AVAIL || number == BIT_USED;

        if (!defined && has(flags, number))
            return true;
    }
    return false;
}

/* --- Chains in flight ------------------------------------------------------------------------ */

const struct model_chain *model_find_chain(const struct model_queue *queue, uint16_t id)
{
    for (uint32_t i = 0; i < queue->in_flight_count; i++) {
        if (queue->in_flight[i].id == id)
            return &queue->in_flight[i];
    }
    return NULL;
}

/* A chain has at least one descriptor, so at most N chains are in flight: the list has room. */
void model_add_chain(struct model_queue *queue, struct model_chain chain)
{
    queue->in_flight[queue->in_flight_count++] = chain;
}

struct model_chain model_remove_chain(struct model_queue *queue, uint16_t id)
{
    struct model_chain removed = {0};
    uint32_t kept = 0;

    for (uint32_t i = 0; i < queue->in_flight_count; i++) {
        if (queue->in_flight[i].id == id)
            removed = queue->in_flight[i];
        else
            queue->in_flight[kept++] = queue->in_flight[i];
    }
    queue->in_flight_count = kept;
    return removed;
}

/* Every slot belongs to a chain in flight or is free; the sum of both is N (U6). */
uint32_t model_free_slots(const struct model_queue *queue)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < queue->in_flight_count; i++)
        taken += queue->in_flight[i].slots;
    return queue->size - taken;
}

/* --- Event decision -------------------------------------------------------------------------- */

/*
 * "Driver and Device Event Suppression" and "Event Suppression Structure Format": the two low bits
 * of the flags say always, never, or at one descriptor; the other bits are reserved and masked
 * (EVT-02). The descriptor is named by its offset in the ring and by the wrap counter with which
 * it is written, so the question is whether a position just written has that slot and that
 * counter (EVT-06). The reserved value 3 (EVT-01) and an offset that no position can have (EVT-03)
 * give a notification, as a spurious one is harmless and a lost one is not.
 *
 * The same section ties the decision to having written descriptors: without any, there is none.
 */
bool model_event_due(uint32_t size, uint64_t first, uint64_t count, struct model_event event)
{
    unsigned mode = event.flags % 4;
    uint32_t wanted_offset = event.off_wrap % 32768u;
    unsigned wanted_wrap = bit(event.off_wrap, 15);

    if (count == 0)
        return false;
    if (mode == EVENT_DISABLE)
        return false;
    if (mode == EVENT_ENABLE || mode == EVENT_RESERVED || wanted_offset >= size)
        return true;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t pos = first + i;

        if (slot_of(size, pos) == wanted_offset && model_wrap_counter(size, pos) == wanted_wrap)
            return true;
    }
    return false;
}

/*
 * Decides once for the positions from the last decision up to the one written last. Both sides
 * write position after position without a gap. A latched queue reads no event word.
 */
bool model_decide(struct model_queue *queue, uint64_t written_to, struct model_event event)
{
    uint64_t first = queue->decided_pos;

    if (queue->broken.outcome == MODEL_BROKEN)
        return false;
    queue->decided_pos = written_to;
    return model_event_due(queue->size, first, written_to - first, event);
}

/* --- Set-up ---------------------------------------------------------------------------------- */

/* RST-02: position 0 (so wrap counter 1), nothing in flight, no latch, nothing left to notify. */
static void reset_queue(struct model_queue *queue)
{
    queue->avail_pos = 0;
    queue->used_pos = 0;
    queue->in_flight_count = 0;
    queue->decided_pos = 0;
    queue->broken = verdict(MODEL_EMPTY, MODEL_NONE, 0, 0);
}

/*
 * "Packed Virtqueues": up to 2^15 entries (CFG-02). "Structure Size and Alignment": any size up to
 * there, a power of two or not (CFG-03). CFG-01: 0 is none.
 */
static bool init_queue(struct model_queue *queue, uint32_t size)
{
    if (size == 0 || size > MODEL_MAX_SIZE)
        return false;
    queue->size = size;
    queue->in_flight = calloc(size, sizeof(*queue->in_flight));
    reset_queue(queue);
    return queue->in_flight != NULL;
}

bool model_device_init(struct model_device *dev, uint32_t size, const struct model_config *config)
{
    memset(dev, 0, sizeof(*dev));
    if (!init_queue(&dev->queue, size))
        return false;
    dev->config = *config;
    dev->elements = calloc(size, sizeof(*dev->elements));
    return dev->elements != NULL;
}

void model_device_close(struct model_device *dev)
{
    free(dev->queue.in_flight);
    free(dev->elements);
    memset(dev, 0, sizeof(*dev));
}

void model_device_reset(struct model_device *dev)
{
    reset_queue(&dev->queue);
}

bool model_driver_init(struct model_driver *drv, uint32_t size)
{
    memset(drv, 0, sizeof(*drv));
    return init_queue(&drv->queue, size);
}

void model_driver_close(struct model_driver *drv)
{
    free(drv->queue.in_flight);
    memset(drv, 0, sizeof(*drv));
}

void model_driver_reset(struct model_driver *drv)
{
    reset_queue(&drv->queue);
}
