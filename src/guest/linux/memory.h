/* What the two files on the program's memory share: a byte for each page that can be had. */
#ifndef HALO_SRC_GUEST_LINUX_MEMORY_H
#define HALO_SRC_GUEST_LINUX_MEMORY_H

#include "calls.h"

enum page {
    PAGE_READ = 1, /* PROT_READ and PROT_WRITE */
    PAGE_WRITE = 2,
    PAGE_MAPPED = 4,
    PAGE_USED = 8, /* it may hold something: cleared before it is given out again */
    PAGE_OWN = 16, /* the table's: for the program it is not there, and nobody else's */
};

static inline uint64_t count_of(uint64_t len)
{
    return (len + LINUX_PAGE - 1) / LINUX_PAGE;
}

static inline void *address_of(const struct linux_table *table, uint64_t page)
{
    return (void *)(uintptr_t)(table->base + page * LINUX_PAGE);
}

/* Whole pages, all of which can be had. */
static inline bool is_ours(const struct linux_table *table, uint64_t base, uint64_t count)
{
    const uint64_t len = table->page_count * LINUX_PAGE;

    return base >= table->base && base - table->base <= len &&
           count <= (len - (base - table->base)) / LINUX_PAGE;
}

static inline uint64_t page_of(const struct linux_table *table, uint64_t base)
{
    return (base - table->base) / LINUX_PAGE;
}

#endif
