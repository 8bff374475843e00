/* A picture of a sandbox, taken by the thread that uses it. */
#ifndef HALO_SRC_PICTURE_OF_H
#define HALO_SRC_PICTURE_OF_H

#include "picture.h"
#include "sandbox.h"

/* What is under way: false where there is no memory. Freed by halo__picture_free in any case. */
bool halo__picture_under_way(struct halo_sandbox *box, struct halo_picture *picture);

/* Keep that, for the guest is about to be ended; and forget it. */
void halo__picture_keep(struct halo_sandbox *box);
void halo__picture_drop(struct halo_sandbox *box);

/* All of it; of a guest that was ended, as it was then. As above. 0, or HALO_ENOMEM. */
int halo__picture_take(struct halo_sandbox *box, struct halo_picture *picture);

/* What a layout says of memory, and where a guest is that does not run. */
void halo__picture_ranges(const struct halo_machine *machine, struct halo_picture *picture);
void halo__picture_frames(struct halo_machine *machine, struct halo_picture *picture);

#endif
