/*
 * Reference model of a virtio packed virtqueue: both sides, and the event decision.
 *
 * Written from the specification (OASIS virtio-spec, packed-ring.tex at 15f488c, chapter "Packed
 * Virtqueues") and from the project's catalogue of hostile peers, never from the ring library. It
 * is the oracle, so it is written to be read and not to be fast:
 *
 *   - A position counts descriptors since the last reset, in 64 bits, and only grows. The slot is
 *     position % N and the lap is position / N. Nothing else says where a side stands.
 *   - The wrap counter is not kept. It is 1 on even laps and 0 on odd laps.
 *   - Chains in flight are a plain list that is scanned from its start.
 *   - A set of positions is looped over, member by member.
 *
 * A ring is passed in as a private array of N descriptors in host byte order. The model never
 * writes to it: it says which descriptor belongs into which slot.
 *
 * Extensions of the ring are off, INDIRECT is never negotiated, EVENT_IDX always is.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_MAX_SIZE 32768u

struct model_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id;
    uint16_t flags;
};

struct model_event {
    uint16_t off_wrap;
    uint16_t flags;
};

enum model_outcome {
    MODEL_EMPTY,  /* nothing to do, nothing changed */
    MODEL_OK,     /* accepted */
    MODEL_REJECT, /* the chain is taken, its buffers are not; it is due a used length of 0 */
    MODEL_BROKEN, /* a rule of the ring is violated; latched until reset */
    MODEL_ERROR,  /* the caller's own mistake (complete, submit); nothing changed */
};

enum model_reason {
    MODEL_NONE,
    /* BROKEN, device side, in the order in which they are looked for */
    MODEL_TORN,
    MODEL_OVERCOMMIT,
    MODEL_INDIRECT,
    MODEL_RESERVED, /* driver side too */
    MODEL_ORDER,
    MODEL_TOO_LONG,
    MODEL_BAD_ID,       /* driver side too; and ERROR of submit */
    MODEL_DUPLICATE_ID, /* and ERROR of submit */
    /* BROKEN, driver side; and ERROR of complete */
    MODEL_NOT_IN_FLIGHT,
    /* BROKEN, driver side: used length over capacity; ERROR of complete: the same; REJECT: cap */
    MODEL_LENGTH,
    /* REJECT only */
    MODEL_SEGMENTS,
    MODEL_RANGE,
    MODEL_PERMISSION,
    MODEL_EMPTY_CHAIN,
    /* ERROR of submit only */
    MODEL_NO_ELEMENTS,
    MODEL_NO_SPACE,
};

/*
 * What a call says.
 * BROKEN: slot and id are those of the descriptor that was looked at when the rule was found
 *         violated, and of that same descriptor in every later call.
 * OK and REJECT: slot is that of the first descriptor of the chain, id is the chain's.
 * EMPTY: slot is the one that was looked at, id is 0.
 * ERROR: slot is 0, id is the one that was passed in.
 */
struct model_verdict {
    enum model_outcome outcome;
    enum model_reason reason;
    uint32_t slot;
    uint16_t id;
};

struct model_element {
    uint64_t addr;
    uint32_t len;
    bool writable; /* output only: submit tells the direction by position in the list */
};

struct model_region {
    uint64_t base;
    uint64_t len;
    bool may_read;
    bool may_write;
};

/* The first region in the list that holds an element whole is the one whose rights count. */
struct model_config {
    uint64_t max_total_len;
    uint32_t max_segments;
    uint32_t region_count;
    const struct model_region *regions; /* not copied: outlives the device */
};

struct model_chain {
    uint16_t id;
    uint32_t slots;
    uint64_t writable_len; /* 0 for a rejected chain: it can only be completed empty */
    bool rejected;
};

/* What either side keeps, apart from what the other side can write. */
struct model_queue {
    uint32_t size;
    uint64_t avail_pos; /* driver: where it makes the next available; device: the next to take */
    uint64_t used_pos;  /* device: where the next used goes; driver: where it looks for it */
    struct model_chain *in_flight;
    uint32_t in_flight_count;
    uint64_t decided_pos; /* no event decision was taken yet for the positions from here on */
    struct model_verdict broken; /* outcome is MODEL_BROKEN once latched, else MODEL_EMPTY */
};

/* N less the slots of the chains in flight. */
uint32_t model_free_slots(const struct model_queue *queue);

/* --- Device side ----------------------------------------------------------------------------- */

struct model_device {
    struct model_queue queue;
    struct model_config config;
    struct model_element *elements; /* storage behind model_taken.elements */
};

struct model_taken {
    uint16_t id;
    uint32_t slots;
    uint64_t first_pos;
    uint32_t looked_at; /* descriptors looked at by this poll, the offending one included */
    /* OK only: the elements that have bytes, in order; valid until the next poll */
    const struct model_element *elements;
    uint32_t element_count;
    uint64_t readable_len;
    uint64_t writable_len;
    /* REJECT only: which descriptor of the chain offends; the last one for MODEL_EMPTY_CHAIN */
    uint32_t offender;
};

/* False for a size of 0 or over 32768, or without memory; close is harmless in any case. */
bool model_device_init(struct model_device *dev, uint32_t size, const struct model_config *config);
void model_device_close(struct model_device *dev);
void model_device_reset(struct model_device *dev);

struct model_verdict model_device_poll(struct model_device *dev, const struct model_desc *ring,
                                       struct model_taken *out);

/*
 * Completes a chain in flight. ERROR: not in flight, or written is over the writable capacity.
 * BROKEN: latched earlier, nothing is written. out_desc->addr has no meaning and is 0.
 */
struct model_verdict model_device_complete(struct model_device *dev, uint16_t id, uint32_t written,
                                           uint32_t *out_slot, struct model_desc *out_desc);

/* Decides for all positions written since the last call, skipped ones included, and starts a new
 * set. False once BROKEN. For a given span of positions see model_event_due. */
bool model_device_notify(struct model_device *dev, struct model_event driver_event);

/* --- Driver side ----------------------------------------------------------------------------- */

struct model_driver {
    struct model_queue queue;
};

struct model_returned {
    uint16_t id;
    uint32_t len;   /* bytes the device says it wrote; 0 without the WRITE flag */
    uint32_t slots; /* descriptors freed */
    uint64_t first_pos;
};

bool model_driver_init(struct model_driver *drv, uint32_t size);
void model_driver_close(struct model_driver *drv);
void model_driver_reset(struct model_driver *drv);

/*
 * Makes one chain available: the first n_readable elements device-readable, the n_writable after
 * them device-writable. out_slots and out_descs receive n_readable + n_writable entries each, in
 * chain order. ERROR, in this order: NO_ELEMENTS, NO_SPACE, BAD_ID, DUPLICATE_ID.
 */
struct model_verdict model_driver_submit(struct model_driver *drv, uint16_t id,
                                         const struct model_element *elements, uint32_t n_readable,
                                         uint32_t n_writable, uint32_t *out_slots,
                                         struct model_desc *out_descs);

struct model_verdict model_driver_poll(struct model_driver *drv, const struct model_desc *ring,
                                       struct model_returned *out);

/* As model_device_notify, for the positions made available. */
bool model_driver_kick(struct model_driver *drv, struct model_event device_event);

/* --- Shared ---------------------------------------------------------------------------------- */

/* The wrap counter with which the descriptor at a position is written: 1 on even laps. */
unsigned model_wrap_counter(uint32_t size, uint64_t pos);
bool model_is_available(uint32_t size, uint64_t pos, uint16_t flags);
bool model_is_used(uint32_t size, uint64_t pos, uint16_t flags);

/* Is a notification due after writing the count positions from first on? No state is touched. */
bool model_event_due(uint32_t size, uint64_t first, uint64_t count, struct model_event event);

#endif
