/* A picture of a snapshot: what its guest waits for, without a sandbox. */
#ifndef HALO_SRC_PICTURE_KEPT_H
#define HALO_SRC_PICTURE_KEPT_H

#include "picture.h"
#include "snapshot.h"

/* 0, or HALO_ENOMEM. Freed by halo__picture_free in any case. */
int halo__picture_of_snapshot(const struct halo_snapshot *snapshot, struct halo_picture *picture);

#endif
