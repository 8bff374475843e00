/* The guest's runtime from the inside. */
#ifndef HALO_SRC_GUEST_RUNTIME_H
#define HALO_SRC_GUEST_RUNTIME_H

#include <halo/guest.h>

/* Leave the guest. Returns when the host lets it go on, with all registers but rax as they were. */
void halo__doorbell(enum halo_doorbell op, uint64_t a, uint64_t b);

/* Set up the ring and the buffers that streams use. */
void halo__stream_start(const struct halo_boot *boot);

#endif
