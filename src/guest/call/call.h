/* What the guest's two halves of calls share: messages on their way out, and what is fetched. */
#ifndef HALO_SRC_CALL_CLIENT_H
#define HALO_SRC_CALL_CLIENT_H

#include <halo/guest.h>
#include "../../message/envelope.h"

/* A message up to the end of its envelope. */
struct halo__wire {
    struct halo_message message;
    struct halo_call_head head;
    unsigned char envelope[HALO_ENVELOPE_MAX];
};

/* Fetch a payload that the host holds into memory of its length; waits. 0, or the host's error. */
int halo__fetch(const struct halo_held *held, void *memory);

#endif
