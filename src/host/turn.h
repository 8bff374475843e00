/*
 * A turn: a worker, which has other guests, too, runs one for a while. It is left where it has come
 * to what is asked for, where it waits, and after its quantum.
 */
#ifndef HALO_SRC_TURN_H
#define HALO_SRC_TURN_H

#include "sandbox.h"

/*
 * Run the guest until the call is answered, or, without one, until no call is in flight. Returns 0;
 * HALO_YIELDED where its quantum is over; HALO_PARKED where it waits: for the poller of its loop,
 * and until `*until` at the latest; else as halo_wait.
 */
int halo__turn(struct halo_sandbox *box, const struct halo_future *future, int64_t deadline,
               int64_t quantum, int64_t *until);

#endif
