/* Which call sites trap often enough to be rewritten by the host. */
#ifndef HALO_SRC_GUEST_LINUX_PATCH_H
#define HALO_SRC_GUEST_LINUX_PATCH_H

#include "linux.h"

/* A system call of this number has trapped, and goes on at `rip`. */
void halo__linux_trap(const struct linux_table *table, uint64_t rip, uint64_t number);

/* Has what is before `rip`, where a call came from, become a jump? Or the bytes look so. */
static inline bool halo__linux_is_jump(uint64_t rip)
{
    return ((const unsigned char *)(uintptr_t)rip)[-2] == 0xe9;
}

/* Where what was at `rip`, behind a system call, is now. */
uint64_t halo__linux_moved(const struct linux_table *table, uint64_t rip);
/* The same of code that was interrupted, and may stand among the bytes that have given way. */
uint64_t halo__linux_moved_inside(const struct linux_table *table, uint64_t rip);
/* Where to go on for the call before `rip` to be made again. */
uint64_t halo__linux_again(uint64_t rip);

#endif
