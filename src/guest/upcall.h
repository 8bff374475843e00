/* Being called while computing: upcall.c. */
#ifndef HALO_SRC_GUEST_UPCALL_H
#define HALO_SRC_GUEST_UPCALL_H

#include <halo/guest.h>

/* Tell the host. A program that is linked without halo_callable has none. */
void halo__upcall_start(const struct halo_boot *boot) __attribute__((weak));

#endif
