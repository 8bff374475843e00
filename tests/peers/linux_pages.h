/*
 * Included ahead of the kernel's virtio_ring.c: rings come from memory that the device may see, and
 * zeroed, which is what the kernel asks for and its user space shim does not do.
 */
#ifndef HALO_TESTS_PEERS_LINUX_PAGES_H
#define HALO_TESTS_PEERS_LINUX_PAGES_H

#include <linux/kernel.h>

void *peer_pages(size_t len);
void peer_pages_free(void *pages, size_t len);

#define alloc_pages_exact(len, gfp) peer_pages(len)
#define free_pages_exact(pages, len) peer_pages_free(pages, len)

#ifndef data_race /* the shims lack it */
#define data_race(expression) (expression)
#endif

#endif
