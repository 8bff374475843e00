/*
 * Between the table and the guest's library: what makes a guest of an ordinary program. The plain
 * library calls it where it is linked in.
 */
#ifndef HALO_SRC_GUEST_LINUX_START_H
#define HALO_SRC_GUEST_LINUX_START_H

#include <halo/guest.h>

/* Before the library uses any memory: keep a part of the heap for the library itself. */
void halo__linux_begin(const struct halo_boot *boot) __attribute__((weak));
/* Begin the table, with all memory of the program's but its own pieces. */
void halo__linux_table(const struct halo_boot *boot);
/* Run the program: its C library, constructors, main, and the end. */
_Noreturn void halo__linux_main(const struct halo_boot *boot) __attribute__((weak));

#endif
