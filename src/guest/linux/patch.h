/* Which call sites trap often enough to be rewritten by the host. */
#ifndef HALO_SRC_GUEST_LINUX_PATCH_H
#define HALO_SRC_GUEST_LINUX_PATCH_H

#include "linux.h"

/* A system call of this number has trapped, and goes on at `rip`. */
void halo__linux_trap(const struct linux_table *table, uint64_t rip, uint64_t number);

/* Where what was at `rip`, behind a system call, is now. */
uint64_t halo__linux_moved(const struct linux_table *table, uint64_t rip);
/* Where to go on for the call before `rip` to be made again. */
uint64_t halo__linux_again(uint64_t rip);

#endif
