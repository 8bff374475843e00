/*
 * What a host holds for one guest is bounded: every block whose size the guest chose is taken from
 * its sandbox's budget, and counts until it is freed, which may be after the sandbox was closed.
 */
#ifndef HALO_SRC_BUDGET_H
#define HALO_SRC_BUDGET_H

#include <stddef.h>
#include <stdint.h>

struct halo_budget {
    uint64_t max;
    uint64_t used;    /* threads that give blocks back change it, */
    uint64_t holders; /* and this: blocks, and the sandbox */
};

/* NULL where there is no memory. */
struct halo_budget *halo__budget_new(uint64_t max);
/* The sandbox is closed; what was taken stays valid. */
void halo__budget_close(struct halo_budget *budget);

/* `len` bytes, aligned to 16, or NULL: there is no memory, or it would be beyond the bound. */
void *halo__budget_take(struct halo_budget *budget, size_t len);
/* Give a block back; NULL is fine. */
void halo__budget_give(void *block);

#endif
