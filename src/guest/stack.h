/* The guest's ends of the two stacks, where those are the transport. */
#ifndef HALO_SRC_GUEST_STACK_H
#define HALO_SRC_GUEST_STACK_H

#include <halo/guest.h>
#include "call/call.h"

static inline bool halo__on_stacks(void)
{
    return halo_boot()->transport == HALO_TRANSPORT_STACK;
}

/*
 * Push a message: `len` bytes of `bytes`, and what these values have behind the envelope.
 * HALO_ESIZE where it does not fit; then nothing was changed.
 */
int halo__stack_push(const void *bytes, size_t len, const struct halo_value *values,
                     uint32_t count);

/* A message that was popped, its payload in memory of its own: NULL where there was none for it. */
struct halo__popped {
    struct halo_message message;
    unsigned char *payload;
};

/* Pop what the host has pushed. False where there is nothing. */
bool halo__stack_pop(struct halo__popped *popped);

/*
 * Leave with what was pushed until the host's answer to it; serves the calls of the host's that
 * come before it. The payload is the caller's to free.
 */
void halo__stack_exchange(struct halo__popped *answer);

#endif
