/*
 * The stack transport, which the ring replaces: a message lies on one of two stacks in shared
 * memory, and each takes an exit. A message that is popped becomes a request whose writable part is
 * what is free on the other stack, so that services see no difference.
 */
#ifndef HALO_SRC_STACK_H
#define HALO_SRC_STACK_H

#include "request.h"

struct halo_stack {
    HALO_SHARED unsigned char *base;
    uint64_t len;
    uint64_t offset; /* of `base` in the first region of what the guest may name */
    bool pushed;     /* since it was last looked at */
};

/* An empty one. */
void halo__stack_init(struct halo_stack *stack, HALO_SHARED unsigned char *base, uint64_t len,
                      uint64_t offset);

/* Whether the guest has popped, or says that it has, all that was pushed. */
bool halo__stack_is_empty(const struct halo_stack *stack);

/* Pop a message; what answers it is pushed on `to`. NULL, or what is wrong with the stacks. */
const char *halo__stack_pop(struct halo_stack *from, struct halo_stack *to,
                            struct halo_request *request);

/* A message of ours that is to be pushed: a request with nothing but a writable part. */
const char *halo__stack_post(struct halo_stack *to, struct halo_request *post);

/* Push the first `len` bytes of what was written to the writable part. */
void halo__stack_push(struct halo_stack *to, const struct halo_request *request, uint64_t len);

#endif
