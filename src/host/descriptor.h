/*
 * Descriptors of Halo's own. None is ever 0, 1 or 2: a host that has closed one of those would
 * otherwise hand guest memory, or a machine, to whoever means a standard stream.
 */
#ifndef HALO_SRC_DESCRIPTOR_H
#define HALO_SRC_DESCRIPTOR_H

/*
 * Takes a descriptor that was just made, or -1, and returns one above 2 for the same thing, with
 * close-on-exec. On failure it is closed, -1 returned, and errno says why.
 */
int halo__fd_high(int fd);

#endif
