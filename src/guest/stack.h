/*
 * The guest's ends of the two stacks, where those are the transport (message/stack.h). It pushes a
 * message and the port leaves the guest with it; the answer lies on the other stack then.
 */
#ifndef HALO_SRC_GUEST_STACK_H
#define HALO_SRC_GUEST_STACK_H

#include <halo/guest.h>

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

#endif
