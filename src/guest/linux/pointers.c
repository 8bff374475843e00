/* Pointers of the program's: each is judged before anything is read or written through it. */
#include "memory.h"
#include <string.h>

/* How many bytes from `address` on are in one piece of memory that the program may use so. */
static uint64_t run(const struct linux_table *table, uint64_t address, unsigned need)
{
    for (uint32_t i = 0; i < table->range_count; i++) {
        const struct linux_range *range = &table->ranges[i];

        if (address >= range->base && address - range->base < range->len)
            return (range->prot & need) == need ? range->len - (address - range->base) : 0;
    }
    if (linux_is_far(table, address))
        return linux_far_run(table, address, need);
    if (!is_ours(table, address / LINUX_PAGE * LINUX_PAGE, 1) ||
        (table->pages[page_of(table, address)] & (need | PAGE_MAPPED | PAGE_OWN)) !=
            (need | PAGE_MAPPED))
        return 0;
    return LINUX_PAGE - address % LINUX_PAGE;
}

static bool may(const struct linux_table *table, uint64_t address, uint64_t len, unsigned need)
{
    while (len > 0) {
        const uint64_t part = run(table, address, need);

        if (part == 0)
            return false;
        if (part >= len)
            return true;
        address += part;
        len -= part;
    }
    return true;
}

bool linux_has(const struct linux_table *table, uint64_t address, uint64_t len)
{
    return may(table, address, len, 0);
}

bool linux_may_read(const struct linux_table *table, uint64_t address, uint64_t len)
{
    return may(table, address, len, PAGE_READ);
}

bool linux_may_write(const struct linux_table *table, uint64_t address, uint64_t len)
{
    return may(table, address, len, PAGE_WRITE);
}

int64_t linux_take_string(const struct linux_table *table, uint64_t address, char *to, size_t room)
{
    for (size_t i = 0; i < room; i++) {
        if (!linux_may_read(table, address + i, 1))
            return -L_EFAULT;
        to[i] = *(const char *)(uintptr_t)(address + i);
        if (!to[i])
            return (int64_t)i;
    }
    return -L_ENAMETOOLONG;
}

int64_t linux_give(const struct linux_table *table, uint64_t address, const void *from, size_t len)
{
    if (!linux_may_write(table, address, len))
        return -L_EFAULT;
    if (len > 0) /* else the address may be none */
        memcpy((void *)(uintptr_t)address, from, len);
    return 0;
}

/* As linux_give, in fewer steps, where it goes to the same range as the last time. */
int64_t linux_give_pair(struct linux_table *table, uint64_t address, const int64_t pair[2])
{
    const uint64_t len = 2 * sizeof(pair[0]);
    const struct linux_range *range = &table->ranges[table->pair_range];
    uint64_t at = address - range->base;

    if (at >= range->len || range->len - at < len || !(range->prot & PAGE_WRITE)) {
        if (!linux_may_write(table, address, len))
            return -L_EFAULT;
        for (uint32_t i = 0; i < table->range_count; i++) {
            at = address - table->ranges[i].base;
            if (at < table->ranges[i].len)
                table->pair_range = i;
        }
    }
    __builtin_memcpy((void *)(uintptr_t)address, pair, len);
    return 0;
}

int64_t linux_take(const struct linux_table *table, uint64_t address, void *to, size_t len)
{
    if (!linux_may_read(table, address, len))
        return -L_EFAULT;
    if (len > 0)
        memcpy(to, (const void *)(uintptr_t)address, len);
    return 0;
}
