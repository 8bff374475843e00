/*
 * Descriptors of Halo's own. None is ever 0, 1 or 2: a host that has closed one of those would
 * otherwise hand guest memory, or a machine, to whoever means a standard stream. And each bears a
 * mark, by which it is known again, under whatever number: the signal that its input would send is
 * SIGKILL. Without O_ASYNC and an owner the kernel sends none; nobody else asks for that one.
 */
#ifndef HALO_SRC_DESCRIPTOR_H
#define HALO_SRC_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Takes a descriptor that was just made, or -1, and returns one above 2 for the same thing, with
 * the mark and close-on-exec. On failure it is closed, -1 returned, and errno says why.
 */
int halo__fd_high(int fd);

/* Whether it has the mark. */
bool halo__fd_is_marked(int fd);

/* Write all of it to a caller's descriptor: NULL, or why that cannot be, in words. */
const char *halo__fd_write(int fd, const void *bytes, size_t len);

#endif
