/* The reference model of the device. What quotes and case ids mean stands in model.c. */
#include "model_parts.h"

#include <string.h>

/* --- Taking a chain ------------------------------------------------------------------ */

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
    if (model_find_chain(queue, id) != NULL)
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
    if (model_has_reserved_bit(desc->flags))
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
    model_add_chain(&dev->queue, (struct model_chain){out->id, out->slots, out->writable_len,
                                                      reason != MODEL_NONE});
    dev->queue.avail_pos += out->slots;
    return result;
}

/* --- Giving a chain back ------------------------------------------------------------- */

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
    found = model_find_chain(queue, id);
    if (found == NULL)
        return verdict(MODEL_ERROR, MODEL_NOT_IN_FLIGHT, 0, id);
    if (written > found->writable_len)
        return verdict(MODEL_ERROR, MODEL_LENGTH, 0, id);

    queue->used_pos += model_remove_chain(queue, id).slots;
    *out_slot = slot_of(queue->size, pos);
    *out_desc = used_descriptor(queue->size, pos, id, written);
    return verdict(MODEL_OK, MODEL_NONE, *out_slot, id);
}

bool model_device_notify(struct model_device *dev, struct model_event driver_event)
{
    return model_decide(&dev->queue, dev->queue.used_pos, driver_event);
}
