/*
 * The part of the contract (abi.h) that is for a guest which can be called while it computes. Over
 * rings, where it lets itself be called and a call waits, the host stops it, notes here that it is
 * being called and where it was, and has it go on at `entry`, with all other registers as they
 * were. What is there keeps them all, serves what waits, sets `may` again, and goes to `from`.
 */
#ifndef HALO_ABI_UPCALL_H
#define HALO_ABI_UPCALL_H

#include <halo/language.h>
#include <stdint.h>

/* In the guest's own memory: the host believes nothing of it. */
struct halo_upcall {
    uint64_t may;   /* enum halo_upcall_state, both sides' */
    uint64_t from;  /* the host's */
    uint64_t entry; /* the guest's */
};

enum halo_upcall_state {
    HALO_UPCALL_NOT = 0, /* nor where it is something that nobody knows */
    HALO_UPCALL_MAY = 1,
    HALO_UPCALL_IS = 2,
};

HALO_STATIC_ASSERT(sizeof(struct halo_upcall) == 24, "upcall layout");

#endif
