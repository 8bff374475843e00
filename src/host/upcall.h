/*
 * Calling a guest that computes (struct halo_upcall in halo/abi.h). Where it lets itself be called
 * stands in its own memory: it is asked, for courtesy, and believed in nothing. What it is led to
 * is an address of its own memory, where it could go by itself.
 */
#ifndef HALO_SRC_UPCALL_H
#define HALO_SRC_UPCALL_H

#include "loop.h"

#define HALO_UPCALL_NS 1000000 /* so long a call waits for a guest that computes */

/* Whether the guest has said that it can be called. */
bool halo__upcall_is_asked_for(const struct halo_loop *loop);

/* When a guest that runs, or is to run, is to be stopped to be called, or HALO_FOREVER. */
int64_t halo__upcall_when(struct halo_loop *loop);

bool halo__upcall_is_due(struct halo_loop *loop);

/* It was stopped in the middle of its code: have it serve what waits, if it is time and it lets
 * itself. */
void halo__upcall_look(struct halo_loop *loop);

/* Whether it is being called, as far as it says: then no snapshot is to be had. */
bool halo__upcall_goes_on(const struct halo_loop *loop);

/* It has looked at all that was sent to it, by itself. */
static inline void halo__upcall_forget(struct halo_loop *loop)
{
    loop->upcall_seen = loop->port->calls_out;
}

#endif
