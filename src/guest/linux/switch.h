/* The stacks of threads, on which their system calls are answered, and the way between them. */
#ifndef HALO_SRC_GUEST_LINUX_SWITCH_H
#define HALO_SRC_GUEST_LINUX_SWITCH_H

#include "linux.h"

/* Before the program's first system call. A new thread begins at `begins`, its frame on its stack.
 */
void halo__linux_switch_begin(struct linux_table *table, void (*begins)(void));

/* struct linux_host */
bool halo__linux_spawn(void *context, struct linux_thread *thread, uint64_t sp);
void halo__linux_change(void *context, struct linux_thread *from, struct linux_thread *to);

#endif
