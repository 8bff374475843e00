/* The reference model of the driver. What quotes and case ids mean stands in model.c. */
#include "model_parts.h"

#include <string.h>

/* --- Making a chain available -------------------------------------------------------- */

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
    if (model_find_chain(queue, id) != NULL)
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
    model_add_chain(queue, chain);
    queue->avail_pos += count;
    return verdict(MODEL_OK, MODEL_NONE, out_slots[0], id);
}

/* --- Taking a chain back ------------------------------------------------------------- */

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
    const struct model_chain *chain = model_find_chain(queue, desc->id);

    if (model_has_reserved_bit(desc->flags))
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
    out->slots = model_remove_chain(queue, desc->id).slots;
    out->first_pos = queue->used_pos;
    queue->used_pos += out->slots;
    return verdict(MODEL_OK, MODEL_NONE, slot, desc->id);
}

bool model_driver_kick(struct model_driver *drv, struct model_event device_event)
{
    return model_decide(&drv->queue, drv->queue.avail_pos, device_event);
}
