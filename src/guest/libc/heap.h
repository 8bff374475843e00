/*
 * An allocator for one piece of memory: blocks behind one another, each knowing its own length and
 * that of the block in front of it, and the free ones in a list. First fit; neighbours that are
 * free become one at once. For one thread.
 */
#ifndef HALO_SRC_GUEST_HEAP_H
#define HALO_SRC_GUEST_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct halo_block;

struct halo_heap {
    struct halo_block *first_free;
    struct halo_block *end; /* a block without memory, never free */
};

/* Start with nothing allocated. Less than 64 bytes make a heap from which nothing can be had. */
void halo__heap_init(struct halo_heap *heap, void *base, size_t len);

/* Memory aligned to 16 bytes, or NULL. A length of 0 gets some too. */
void *halo__heap_alloc(struct halo_heap *heap, size_t len);

/* Bytes that a block has, at least as many as were asked for. */
size_t halo__heap_usable(const void *memory);

/* NULL is fine. Returns false, and changes nothing, for what is not an allocated block. */
_Bool halo__heap_free(struct halo_heap *heap, void *memory);

#endif
