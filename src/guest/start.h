/* The guest's runtime from the inside. */
#ifndef HALO_SRC_GUEST_RUNTIME_H
#define HALO_SRC_GUEST_RUNTIME_H

#include <halo/guest.h>
#include "port.h"

/* Leave the guest. Returns when the host lets it go on, with all registers but rax as they were. */
void halo__doorbell(enum halo_doorbell op, uint64_t a, uint64_t b);

/* Make stream buffers of this part of the pool. */
void halo__stream_start(struct halo__port_rest pool);

/* Send out what was written and fills no buffer: before every wait. */
void halo__stream_push(void);

/* Tell the host what this program imports. */
void halo__call_start(void);

#endif
