/* The vector registers of a program that makes a system call: in the processor, or in the frame. */
#ifndef HALO_SRC_GUEST_LINUX_VECTORS_H
#define HALO_SRC_GUEST_LINUX_VECTORS_H

#include <stdbool.h>

/*
 * The frame of the system call that is being made (struct frame of handler.h), above the stack on
 * which it is answered: of the thread that runs.
 */
extern unsigned char *halo__linux_top;

/* They are in the frame, and come from there when the call is over. */
extern bool halo__linux_kept;

/* Before anything that may use them: they are in the frame from now on. */
void halo__linux_keep_vectors(void);

#endif
