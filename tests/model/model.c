/*
 * Reference model of a packed virtqueue; see model.h for what it may assume and how it is written.
 *
 * Section titles in quotes are those of the virtio specification, chapter "Packed Virtqueues";
 * case ids such as DEV-05 are those of the catalogue of hostile peers.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

enum { BIT_NEXT = 0, BIT_WRITE = 1, BIT_INDIRECT = 2, BIT_AVAIL = 7, BIT_USED = 15 };

enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2, EVENT_RESERVED = 3 };

/* --- Positions and flags --------------------------------------------------------------------- */

static unsigned bit(uint16_t flags, unsigned number)
{
    return ((unsigned)flags >> number) & 1u;
}

static bool has(uint16_t flags, unsigned number)
{
    return bit(flags, number) == 1;
}

/* The ring is circular, so a position names the slot that it falls on. */
static uint32_t slot_of(uint32_t size, uint64_t pos)
{
    return (uint32_t)(pos % size);
}

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
static bool has_reserved_bit(uint16_t flags)
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

static const struct model_chain *find_chain(const struct model_queue *queue, uint16_t id)
{
    for (uint32_t i = 0; i < queue->in_flight_count; i++) {
        if (queue->in_flight[i].id == id)
            return &queue->in_flight[i];
    }
    return NULL;
}

/* A chain has at least one descriptor, so at most N chains are in flight: the list has room. */
static void add_chain(struct model_queue *queue, struct model_chain chain)
{
    queue->in_flight[queue->in_flight_count++] = chain;
}

static struct model_chain remove_chain(struct model_queue *queue, uint16_t id)
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
static bool decide(struct model_queue *queue, uint64_t written_to, struct model_event event)
{
    uint64_t first = queue->decided_pos;

    if (queue->broken.outcome == MODEL_BROKEN)
        return false;
    queue->decided_pos = written_to;
    return model_event_due(queue->size, first, written_to - first, event);
}

/* --- Set-up ---------------------------------------------------------------------------------- */

static struct model_verdict verdict(enum model_outcome outcome, enum model_reason reason,
                                    uint32_t slot, uint16_t id)
{
    return (struct model_verdict){outcome, reason, slot, id};
}

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

/* --- Device: taking a chain ------------------------------------------------------------------ */

/* "Scatter-Gather Support", driver requirements: there is room for the whole list before it is
 * begun. With every slot owned by chains in flight there is none at all (DEV-03, DEV-22). */
static bool has_no_room(uint32_t index, uint32_t free_slots)
{
    return index == 0 && free_slots == 0;
}

/* "Scatter-Gather Support", driver requirements: device-writable elements stand after all
 * device-readable ones (DEV-10). */
static bool is_out_of_order(bool writable_before, uint16_t flags)
{
    return writable_before && !has(flags, BIT_WRITE);
}

/*
 * "Scatter-Gather Support", driver requirements: no list is longer than the queue (DEV-01), and
 * none is longer than the room there is (DEV-03). A descriptor that asks for a successor when it
 * has used up the last free slot breaks the first rule in an idle ring and the second in another.
 */
static bool has_no_room_for_next(uint32_t index, uint32_t free_slots, uint16_t flags)
{
    return has(flags, BIT_NEXT) && index + 1 == free_slots;
}

/*
 * "Next Flag: Descriptor Chaining": the id of a list is that of its last descriptor, ids before
 * it do not count (ID-03). An id below N is what the records of either side are indexed by
 * (ID-01), and it names one chain at a time (ID-02).
 */
static enum model_reason check_id(const struct model_queue *queue, uint16_t id)
{
    if (id >= queue->size)
        return MODEL_BAD_ID;
    if (find_chain(queue, id) != NULL)
        return MODEL_DUPLICATE_ID;
    return MODEL_NONE;
}

/*
 * The rules for one descriptor, in the order that fixes the reason when several are violated.
 *
 * Phase: "Next Flag: Descriptor Chaining" has the flags right in all descriptors, so each carries
 * the phase of its own lap (DEV-04), and has the first made available last, so a later one
 * without it was published too early (DEV-05). The caller knows that for the first descriptor the
 * same means that there is no chain yet (DEV-06).
 *
 * INDIRECT: "Indirect Descriptors", driver requirements, binds it to a feature that is not there,
 * on whichever descriptor of the chain it stands (DEV-07).
 */
static enum model_reason check_descriptor(const struct model_queue *queue, uint32_t index,
                                          uint32_t free_slots, const struct model_desc *desc,
                                          bool writable_before)
{
    if (!model_is_available(queue->size, queue->avail_pos + index, desc->flags))
        return MODEL_TORN;
    if (has_no_room(index, free_slots))
        return MODEL_OVERCOMMIT;
    if (has(desc->flags, BIT_INDIRECT))
        return MODEL_INDIRECT;
    if (has_reserved_bit(desc->flags))
        return MODEL_RESERVED;
    if (is_out_of_order(writable_before, desc->flags))
        return MODEL_ORDER;
    if (has_no_room_for_next(index, free_slots, desc->flags))
        return queue->in_flight_count == 0 ? MODEL_TOO_LONG : MODEL_OVERCOMMIT;
    if (has(desc->flags, BIT_NEXT))
        return MODEL_NONE;
    return check_id(queue, desc->id);
}

/* "Next Flag: Descriptor Chaining": a list goes on until a descriptor without NEXT. */
static struct model_verdict walk_chain(const struct model_queue *queue,
                                       const struct model_desc *ring, struct model_taken *out)
{
    uint32_t free_slots = model_free_slots(queue);
    bool writable_before = false;

    out->first_pos = queue->avail_pos;
    for (uint32_t index = 0;; index++) {
        uint32_t slot = slot_of(queue->size, queue->avail_pos + index);
        const struct model_desc *desc = &ring[slot];
        enum model_reason reason;

        out->looked_at += 1;
        reason = check_descriptor(queue, index, free_slots, desc, writable_before);
        if (reason == MODEL_TORN && index == 0)
            return verdict(MODEL_EMPTY, MODEL_NONE, slot, 0);
        if (reason != MODEL_NONE)
            return verdict(MODEL_BROKEN, reason, slot, desc->id);
        if (has(desc->flags, BIT_WRITE))
            writable_before = true;
        if (has(desc->flags, BIT_NEXT))
            continue;
        out->id = desc->id;
        out->slots = index + 1;
        return verdict(MODEL_OK, MODEL_NONE, slot_of(queue->size, out->first_pos), desc->id);
    }
}

/* Every byte from addr on, len of them, lies in the region. Written so that nothing can wrap. */
static bool region_holds(const struct model_region *region, uint64_t addr, uint64_t len)
{
    if (addr < region->base || addr - region->base > region->len)
        return false;
    return len <= region->len - (addr - region->base);
}

/* The element's bytes lie in one region (DEV-13), else there is nobody to ask for a right. */
static const struct model_region *find_region(const struct model_device *dev, uint64_t addr,
                                              uint32_t len)
{
    for (uint32_t i = 0; i < dev->config.region_count; i++) {
        if (region_holds(&dev->config.regions[i], addr, len))
            return &dev->config.regions[i];
    }
    return NULL;
}

/*
 * One element that has bytes; total_len and segments count it and all before it. DEV-12 (the sum
 * has 64 bits), DEV-17, DEV-13. Rights: "The Virtqueue Descriptor Table", device requirements: a
 * readable element is not written, a writable one not read, so each needs one right (DEV-16).
 */
static enum model_reason check_element(const struct model_device *dev,
                                       const struct model_element *element, uint64_t total_len,
                                       uint32_t segments)
{
    const struct model_region *region = find_region(dev, element->addr, element->len);

    if (total_len > dev->config.max_total_len)
        return MODEL_LENGTH;
    if (segments > dev->config.max_segments)
        return MODEL_SEGMENTS;
    if (region == NULL)
        return MODEL_RANGE;
    if (element->writable ? !region->may_write : !region->may_read)
        return MODEL_PERMISSION;
    return MODEL_NONE;
}

/*
 * "Element Address and Length" for what the two fields mean, "Write Flag" for the direction.
 * A descriptor of length 0 is a slot and nothing else: its address is not looked at (DEV-11).
 */
static enum model_reason check_buffers(struct model_device *dev, const struct model_desc *ring,
                                       struct model_taken *out)
{
    for (uint32_t index = 0; index < out->slots; index++) {
        const struct model_desc *desc = &ring[slot_of(dev->queue.size, out->first_pos + index)];
        struct model_element element = {desc->addr, desc->len, has(desc->flags, BIT_WRITE)};
        enum model_reason reason;
        uint64_t total_len;

        out->offender = index;
        if (element.len == 0)
            continue;
        if (element.writable)
            out->writable_len += element.len;
        else
            out->readable_len += element.len;
        dev->elements[out->element_count] = element;
        out->element_count += 1;
        total_len = out->readable_len + out->writable_len;
        reason = check_element(dev, &element, total_len, out->element_count);
        if (reason != MODEL_NONE)
            return reason;
    }
    return out->element_count == 0 ? MODEL_EMPTY_CHAIN : MODEL_NONE;
}

/*
 * "Virtqueues", device requirements: chains are taken in ring order. "Next Flag: Descriptor
 * Chaining": the next one starts after the last descriptor of this one.
 */
struct model_verdict model_device_poll(struct model_device *dev, const struct model_desc *ring,
                                       struct model_taken *out)
{
    struct model_verdict result;
    enum model_reason reason;

    memset(out, 0, sizeof(*out));
    if (dev->queue.broken.outcome == MODEL_BROKEN)
        return dev->queue.broken;

    result = walk_chain(&dev->queue, ring, out);
    if (result.outcome == MODEL_BROKEN)
        dev->queue.broken = result;
    if (result.outcome != MODEL_OK)
        return result;

    reason = check_buffers(dev, ring, out);
    if (reason != MODEL_NONE) {
        result = verdict(MODEL_REJECT, reason, result.slot, result.id);
        out->element_count = 0;
        out->readable_len = 0;
        out->writable_len = 0;
    } else {
        out->offender = 0;
        out->elements = dev->elements;
    }
    add_chain(&dev->queue,
              (struct model_chain){out->id, out->slots, out->writable_len, reason != MODEL_NONE});
    dev->queue.avail_pos += out->slots;
    return result;
}

/* --- Device: giving a chain back ------------------------------------------------------------- */

/*
 * "Driver and Device Ring Wrap Counters": AVAIL and USED both equal to the counter. "Write Flag":
 * WRITE exactly when bytes were written. "Element Address and Length": the length is the number of
 * bytes written, the address is unused. "Next Flag: Descriptor Chaining": NEXT is reserved here.
 */
static struct model_desc used_descriptor(uint32_t size, uint64_t pos, uint16_t id, uint32_t written)
{
    unsigned wrap = model_wrap_counter(size, pos);
    unsigned write = written > 0 ? 1 : 0;
    unsigned flags = (write << BIT_WRITE) | (wrap << BIT_AVAIL) | (wrap << BIT_USED);

    return (struct model_desc){0, written, id, (uint16_t)flags};
}

/*
 * "Virtqueues", device requirements: used descriptors are written in the order of completion.
 * "Next Flag: Descriptor Chaining": one used descriptor for a list, then as many descriptors are
 * passed over as the list had (WRAP-03).
 */
struct model_verdict model_device_complete(struct model_device *dev, uint16_t id, uint32_t written,
                                           uint32_t *out_slot, struct model_desc *out_desc)
{
    struct model_queue *queue = &dev->queue;
    const struct model_chain *found;
    uint64_t pos = queue->used_pos;

    if (queue->broken.outcome == MODEL_BROKEN)
        return queue->broken;
    found = find_chain(queue, id);
    if (found == NULL)
        return verdict(MODEL_ERROR, MODEL_NOT_IN_FLIGHT, 0, id);
    if (written > found->writable_len)
        return verdict(MODEL_ERROR, MODEL_LENGTH, 0, id);

    queue->used_pos += remove_chain(queue, id).slots;
    *out_slot = slot_of(queue->size, pos);
    *out_desc = used_descriptor(queue->size, pos, id, written);
    return verdict(MODEL_OK, MODEL_NONE, *out_slot, id);
}

bool model_device_notify(struct model_device *dev, struct model_event driver_event)
{
    return decide(&dev->queue, dev->queue.used_pos, driver_event);
}

/* --- Driver: making a chain available -------------------------------------------------------- */

/*
 * "Placing Available Buffers Into The Descriptor Ring": address, length and id of every element;
 * WRITE by direction; AVAIL equal to the wrap counter and USED its inverse. "Next Flag: Descriptor
 * Chaining": NEXT on all but the last.
 */
static struct model_desc available_descriptor(uint32_t size, uint64_t pos, uint16_t id,
                                              const struct model_element *element, bool writable,
                                              bool last)
{
    unsigned avail = model_wrap_counter(size, pos);
    unsigned used = avail == 1 ? 0 : 1;
    unsigned write = writable ? 1 : 0;
    unsigned next = last ? 0 : 1;
    unsigned flags =
        (next << BIT_NEXT) | (write << BIT_WRITE) | (avail << BIT_AVAIL) | (used << BIT_USED);

    return (struct model_desc){element->addr, element->len, id, (uint16_t)flags};
}

/*
 * "Packed Virtqueues": a buffer has at least one element. "Scatter-Gather Support", driver
 * requirements: not longer than the queue, and room for the whole list before it is begun.
 */
struct model_verdict model_driver_submit(struct model_driver *drv, uint16_t id,
                                         const struct model_element *elements, uint32_t n_readable,
                                         uint32_t n_writable, uint32_t *out_slots,
                                         struct model_desc *out_descs)
{
    struct model_queue *queue = &drv->queue;
    uint64_t count = (uint64_t)n_readable + n_writable;
    struct model_chain chain = {id, (uint32_t)count, 0, false};

    if (queue->broken.outcome == MODEL_BROKEN)
        return queue->broken;
    if (count == 0)
        return verdict(MODEL_ERROR, MODEL_NO_ELEMENTS, 0, id);
    if (count > model_free_slots(queue))
        return verdict(MODEL_ERROR, MODEL_NO_SPACE, 0, id);
    if (id >= queue->size)
        return verdict(MODEL_ERROR, MODEL_BAD_ID, 0, id);
    if (find_chain(queue, id) != NULL)
        return verdict(MODEL_ERROR, MODEL_DUPLICATE_ID, 0, id);

    for (uint64_t i = 0; i < count; i++) {
        uint64_t pos = queue->avail_pos + i;
        bool writable = i >= n_readable;

        out_slots[i] = slot_of(queue->size, pos);
        out_descs[i] =
            available_descriptor(queue->size, pos, id, &elements[i], writable, i + 1 == count);
        if (writable)
            chain.writable_len += elements[i].len;
    }
    add_chain(queue, chain);
    queue->avail_pos += count;
    return verdict(MODEL_OK, MODEL_NONE, out_slots[0], id);
}

/* --- Driver: taking a chain back ------------------------------------------------------------- */

/*
 * "Element Address and Length": without WRITE the length is reserved and ignored, so nothing was
 * written (DRV-06).
 */
static uint32_t used_length(const struct model_desc *desc)
{
    return has(desc->flags, BIT_WRITE) ? desc->len : 0;
}

/*
 * The rules for a used descriptor, in the order that fixes the reason.
 * "Next Flag: Descriptor Chaining" has NEXT reserved and ignored here. "Scatter-Gather Support"
 * applies lists to available descriptors only, which leaves INDIRECT without a meaning too: it is
 * ignored likewise. Ids: DRV-01 to DRV-03; length over capacity: DRV-04.
 */
static enum model_reason check_used(const struct model_queue *queue, const struct model_desc *desc)
{
    const struct model_chain *chain = find_chain(queue, desc->id);

    if (has_reserved_bit(desc->flags))
        return MODEL_RESERVED;
    if (desc->id >= queue->size)
        return MODEL_BAD_ID;
    if (chain == NULL)
        return MODEL_NOT_IN_FLIGHT;
    if (used_length(desc) > chain->writable_len)
        return MODEL_LENGTH;
    return MODEL_NONE;
}

/*
 * "Polling of available and used descriptors": one place is looked at, the used position (DRV-10,
 * DRV-11). "Next Flag: Descriptor Chaining": the next one is as far on as the chain had
 * descriptors, by the driver's own record (DRV-12).
 */
struct model_verdict model_driver_poll(struct model_driver *drv, const struct model_desc *ring,
                                       struct model_returned *out)
{
    struct model_queue *queue = &drv->queue;
    uint32_t slot = slot_of(queue->size, queue->used_pos);
    const struct model_desc *desc = &ring[slot];
    enum model_reason reason;

    memset(out, 0, sizeof(*out));
    if (queue->broken.outcome == MODEL_BROKEN)
        return queue->broken;
    if (!model_is_used(queue->size, queue->used_pos, desc->flags))
        return verdict(MODEL_EMPTY, MODEL_NONE, slot, 0);
    reason = check_used(queue, desc);
    if (reason != MODEL_NONE) {
        queue->broken = verdict(MODEL_BROKEN, reason, slot, desc->id);
        return queue->broken;
    }
    out->id = desc->id;
    out->len = used_length(desc);
    out->slots = remove_chain(queue, desc->id).slots;
    out->first_pos = queue->used_pos;
    queue->used_pos += out->slots;
    return verdict(MODEL_OK, MODEL_NONE, slot, desc->id);
}

bool model_driver_kick(struct model_driver *drv, struct model_event device_event)
{
    return decide(&drv->queue, drv->queue.avail_pos, device_event);
}
