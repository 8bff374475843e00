/*
 * What a guest without a C library has of one. memory.c: memcpy and what else compilers count on,
 * which may assume nothing, not even a boot page. heap.c: an allocator for one piece of memory.
 * This file: the piece, which the boot page names; halo__heap_limit takes its rest for others, and
 * halo__heap_more has long pieces out of that.
 *
 * malloc and its kin, on the heap of the boot page. All of them are in this file, so that a program
 * that defines them itself has its own instead.
 */
#include <halo/guest.h>
#include "../boot.h"
#include "heap.h"

static struct halo_heap heap;

/* A long piece from elsewhere, behind its length. */
#define MORE_MIN 65536u
#define MORE_HEAD 16u

static void *take_more(size_t len)
{
    uint64_t *head = NULL;

    if (halo__heap_more.take && len >= MORE_MIN && len <= SIZE_MAX - MORE_HEAD)
        head = halo__heap_more.take(len + MORE_HEAD);
    if (!head)
        return NULL;
    *head = len + MORE_HEAD;
    return (unsigned char *)head + MORE_HEAD;
}

/* The length that stands before such a piece, or NULL: it is of the heap. */
static uint64_t *head_of(void *memory)
{
    const uint64_t offset = (uintptr_t)memory - halo_boot_page()->heap_base;

    if (!memory || !halo__heap_more.take || offset < halo__heap_limit(0))
        return NULL;
    return (uint64_t *)(void *)((unsigned char *)memory - MORE_HEAD);
}

static size_t usable(void *memory)
{
    const uint64_t *head = head_of(memory);

    return head ? *head - MORE_HEAD : halo__heap_usable(memory);
}

void *malloc(size_t len)
{
    void *memory;

    if (!heap.end)
        halo__heap_init(&heap, (void *)(uintptr_t)halo_boot_page()->heap_base, halo__heap_limit(0));
    memory = halo__heap_alloc(&heap, len);
    return memory ? memory : take_more(len);
}

void *calloc(size_t count, size_t len)
{
    void *memory;

    if (__builtin_mul_overflow(count, len, &len))
        return NULL;
    memory = malloc(len);
    return memory ? memset(memory, 0, len) : NULL;
}

void *realloc(void *memory, size_t len)
{
    void *larger;

    if (memory && len <= usable(memory))
        return memory;
    larger = malloc(len);
    if (larger && memory) {
        memcpy(larger, memory, usable(memory));
        free(memory);
    }
    return larger;
}

void free(void *memory)
{
    uint64_t *head = head_of(memory);

    if (head)
        halo__heap_more.give(head, *head);
    else if (!halo__heap_free(&heap, memory))
        halo_panic("free() of memory that is not allocated");
}
