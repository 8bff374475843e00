/* The guest's heap: see heap.h. */
#include "heap.h"

#define ALIGN 16u
#define HEADER sizeof(struct halo_block)
#define LEN_MIN 32u /* of a block: its header, and the two links while it is free */

/* What stands before a block's memory. Lengths include it and are multiples of 16. */
struct halo_block {
    size_t before; /* length of the block in front, or 0 */
    size_t len;    /* its lowest bit: it is allocated */
};

struct links {
    struct halo_block *prev, *next;
};

static struct links *links(struct halo_block *block)
{
    return (struct links *)(block + 1);
}

static size_t length(const struct halo_block *block)
{
    return block->len & ~(size_t)1;
}

static _Bool is_used(const struct halo_block *block)
{
    return block->len & 1;
}

static struct halo_block *behind(struct halo_block *block, size_t len)
{
    return (struct halo_block *)((unsigned char *)block + len);
}

static void add(struct halo_heap *heap, struct halo_block *block)
{
    *links(block) = (struct links){NULL, heap->first_free};
    if (heap->first_free)
        links(heap->first_free)->prev = block;
    heap->first_free = block;
}

static void take_out(struct halo_heap *heap, struct halo_block *block)
{
    const struct links at = *links(block);

    if (at.prev)
        links(at.prev)->next = at.next;
    else
        heap->first_free = at.next;
    if (at.next)
        links(at.next)->prev = at.prev;
}

/* Set a block's length, which the block behind it must know. */
static void set_length(struct halo_block *block, size_t len, _Bool used)
{
    block->len = len | used;
    behind(block, len)->before = len;
}

void halo__heap_init(struct halo_heap *heap, void *base, size_t len)
{
    const size_t skip = (size_t)(-(uintptr_t)base) % ALIGN;
    struct halo_block *first;

    *heap = (struct halo_heap){NULL, NULL};
    if (len < skip + LEN_MIN + HEADER)
        return;
    len = (len - skip - HEADER) / ALIGN * ALIGN;
    first = (struct halo_block *)((unsigned char *)base + skip);
    heap->end = behind(first, len);
    heap->end->len = 1;
    first->before = 0;
    set_length(first, len, 0);
    add(heap, first);
}

void *halo__heap_alloc(struct halo_heap *heap, size_t len)
{
    size_t want = (len + HEADER + ALIGN - 1) / ALIGN * ALIGN;
    struct halo_block *block;

    if (want < len)
        return NULL;
    if (want < LEN_MIN)
        want = LEN_MIN;
    for (block = heap->first_free; block && length(block) < want; block = links(block)->next)
        continue;
    if (!block)
        return NULL;
    take_out(heap, block);
    if (length(block) - want >= LEN_MIN) {
        struct halo_block *rest = behind(block, want);

        set_length(rest, length(block) - want, 0);
        set_length(block, want, 1);
        add(heap, rest);
    } else {
        block->len |= 1;
    }
    return block + 1;
}

size_t halo__heap_usable(const void *memory)
{
    return length((const struct halo_block *)memory - 1) - HEADER;
}

_Bool halo__heap_free(struct halo_heap *heap, void *memory)
{
    struct halo_block *block, *next, *front;
    size_t len;

    if (!memory)
        return 1;
    block = (struct halo_block *)memory - 1;
    len = length(block);
    if (!is_used(block) || behind(block, len)->before != len)
        return 0;
    next = behind(block, len);
    front = (struct halo_block *)((unsigned char *)block - block->before);
    if (!is_used(next)) {
        take_out(heap, next);
        len += length(next);
    }
    if (block->before && !is_used(front)) {
        take_out(heap, front);
        len += length(front);
        block = front;
    }
    set_length(block, len, 0);
    add(heap, block);
    return 1;
}
