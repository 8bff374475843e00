/* Numbers of open files, and what they name. */
#include "calls.h"

enum { O_WRONLY_ = 1, O_CLOEXEC_ = 0x80000 };

struct linux_descriptor *linux_descriptor_of(struct linux_table *table, uint64_t number)
{
    /* A number is an int: the upper half of the register does not count. */
    const uint32_t at = (uint32_t)number;

    if (at >= LINUX_DESCRIPTORS || !table->descriptors[at].open)
        return NULL;
    return &table->descriptors[at];
}

struct linux_open *linux_open_of(struct linux_table *table, uint64_t number)
{
    struct linux_descriptor *descriptor = linux_descriptor_of(table, number);

    return descriptor ? descriptor->open : NULL;
}

int64_t linux_lowest(const struct linux_table *table, uint64_t least)
{
    for (uint64_t i = least; i < LINUX_DESCRIPTORS; i++) {
        if (!table->descriptors[i].open)
            return (int64_t)i;
    }
    return -L_EMFILE;
}

int64_t linux_descriptor_make(struct linux_table *table, enum linux_kind kind, uint32_t flags,
                              struct linux_open **result)
{
    const int64_t number = linux_lowest(table, 0);
    struct linux_open *open = table->opens;

    if (number < 0)
        return number;
    while (open->kind != LINUX_FREE) /* there are as many as descriptors */
        open++;
    *open = (struct linux_open){
        .kind = (uint8_t)kind, .count = 1, .flags = flags & ~(uint32_t)O_CLOEXEC_};
    table->descriptors[number] = (struct linux_descriptor){open, (flags & O_CLOEXEC_) != 0};
    *result = open;
    return number;
}

void linux_streams_init(struct linux_table *table)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct linux_open *open = NULL;

        (void)linux_descriptor_make(table, LINUX_STREAM, i == 0 ? 0 : O_WRONLY_, &open);
        open->handle = i;
    }
}
