/*
 * What a guest without a C library has of one. memory.c: memcpy and what else compilers count on,
 * which may assume nothing, not even a boot page. heap.c: an allocator for one piece of memory.
 * This file: the piece, which the boot page names; halo__heap_limit takes its rest for others.
 *
 * malloc and its kin, on the heap of the boot page. All of them are in this file, so that a program
 * that defines them itself has its own instead.
 */
#include <halo/guest.h>
#include "../boot.h"
#include "heap.h"

static struct halo_heap heap;

void *malloc(size_t len)
{
    if (!heap.end)
        halo__heap_init(&heap, (void *)(uintptr_t)halo_boot_page()->heap_base, halo__heap_limit(0));
    return halo__heap_alloc(&heap, len);
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

    if (memory && len <= halo__heap_usable(memory))
        return memory;
    larger = malloc(len);
    if (larger && memory) {
        memcpy(larger, memory, halo__heap_usable(memory));
        free(memory);
    }
    return larger;
}

void free(void *memory)
{
    if (!halo__heap_free(&heap, memory))
        halo_panic("free() of memory that is not allocated");
}
