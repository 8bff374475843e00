/* Where system calls arrive. */
#ifndef HALO_SRC_GUEST_LINUX_ENTRY_H
#define HALO_SRC_GUEST_LINUX_ENTRY_H

#include "linux.h"

extern struct linux_table halo__linux;

/* struct linux_host */
void halo__linux_ticks(void *context, bool wanted);

/* From now on a program that waits in a system call keeps its registers, wherever it goes on. */
void halo__linux_keep(void);

#endif
