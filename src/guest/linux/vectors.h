/* The vector registers of a program that makes a system call: in the processor, or in the frame. */
#ifndef HALO_SRC_GUEST_LINUX_VECTORS_H
#define HALO_SRC_GUEST_LINUX_VECTORS_H

#include <stdbool.h>

#define LINUX_STACK_LEN 65536

/* On which system calls are answered; the frame of the one that is being made is at its top. */
extern unsigned char halo__linux_stack[LINUX_STACK_LEN];

/* They are in the frame, and come from there when the call is over. */
extern bool halo__linux_kept;

/* Before anything that may use them: they are in the frame from now on. */
void halo__linux_keep_vectors(void);

#endif
