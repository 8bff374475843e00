/* Where a system call has come from, and the frame of a handler on the program's stack. */
#ifndef HALO_SRC_GUEST_LINUX_HANDLER_H
#define HALO_SRC_GUEST_LINUX_HANDLER_H

#include "linux.h"

/* The program's registers, as entry.c saves and loads them. */
struct frame {
    uint64_t rax, rbx, rcx;
    union {
        struct {
            uint64_t rdi, rsi, rdx, r10, r8, r9;
        };
        uint64_t args[6]; /* of a system call */
    };
    uint64_t rbp, rsp, r12, r13, r14, r15, rip;
    _Alignas(16) unsigned char xmm[16][16];
    uint64_t r11, flags;
    uint64_t
        is_whole; /* these two are to be loaded as well: it was interrupted, or a handler was */
    uint64_t pad;
};

/*
 * At the end of call `number`: run the handlers of what has come, if any. The frame becomes the
 * start of the handler, and its result what the handler's return will load.
 */
void halo__linux_deliver(struct linux_table *table, struct frame *frame, uint64_t number);
/* The handler has returned to the restorer, which calls this: back to what it interrupted. */
void halo__linux_finish(struct linux_table *table, struct frame *frame);
/* The room that such a frame takes, for AT_MINSIGSTKSZ. */
uint64_t halo__linux_frame_len(void);

#endif
