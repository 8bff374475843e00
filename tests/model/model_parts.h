/* What the two sides of the reference model have in common; nobody else includes this. */
#ifndef MODEL_PARTS_H
#define MODEL_PARTS_H

#include "model.h"

enum { BIT_NEXT = 0, BIT_WRITE = 1, BIT_INDIRECT = 2, BIT_AVAIL = 7, BIT_USED = 15 };

static inline unsigned bit(uint16_t flags, unsigned number)
{
    return ((unsigned)flags >> number) & 1u;
}

static inline bool has(uint16_t flags, unsigned number)
{
    return bit(flags, number) == 1;
}

/* The ring is circular, so a position names the slot that it falls on. */
static inline uint32_t slot_of(uint32_t size, uint64_t pos)
{
    return (uint32_t)(pos % size);
}

static inline struct model_verdict verdict(enum model_outcome outcome, enum model_reason reason,
                                           uint32_t slot, uint16_t id)
{
    return (struct model_verdict){outcome, reason, slot, id};
}

bool model_has_reserved_bit(uint16_t flags);

/* Chains in flight, by their id. The list has room: a chain has at least one descriptor. */
const struct model_chain *model_find_chain(const struct model_queue *queue, uint16_t id);
void model_add_chain(struct model_queue *queue, struct model_chain chain);
struct model_chain model_remove_chain(struct model_queue *queue, uint16_t id);

/* The event decision for all positions up to this one that had none yet. */
bool model_decide(struct model_queue *queue, uint64_t written_to, struct model_event event);

#endif
