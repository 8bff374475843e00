/*
 * What the host tells the small program in which a guest runs as a process, before the guest has
 * run: both come from the same build, and the guest can neither see nor change it.
 */
#ifndef HALO_SRC_PROCESS_CHILD_H
#define HALO_SRC_PROCESS_CHILD_H

#include "machine.h"
#include <linux/filter.h>

/* File descriptors of the child. */
#define CHILD_SOCKET 3
#define CHILD_RAM 4

/* Where the child's own few pages lie: far from any guest, far from the kernel's. */
#define CHILD_BASE 0x600000000000ull

/*
 * The doorbell's system call. There is none with this number: it is answered by the host through
 * seccomp, and where nobody listens the kernel says ENOSYS.
 */
#define CHILD_DOORBELL_SYSCALL 0x4a10
#define CHILD_DOORBELL_FAULT 0x100 /* op: a fault; then vector, error, address, rip, rsp */

#define CHILD_FILTER_MAX 64

struct child_setup {
    struct halo_range ranges[HALO_RANGE_MAX];
    uint32_t range_count;
    uint64_t ram_len;
    uint64_t entry, stack, boot;
    uint64_t syscall_way; /* code that leads to the guest's own for system calls, or 0 */
    /* First the filter that hands the doorbell to the host, then the one that allows nothing else.
     */
    uint32_t notify_count, lock_count;
    struct sock_filter notify[CHILD_FILTER_MAX];
    struct sock_filter lock[CHILD_FILTER_MAX];
};

#endif
