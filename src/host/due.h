/*
 * What is due when: a heap of those that wait for a time, the earliest first. Each is a part of
 * what waits, and knows its place, so that it can be taken out. The places are the caller's.
 */
#ifndef HALO_SRC_DUE_H
#define HALO_SRC_DUE_H

#include <stddef.h>
#include <stdint.h>

struct halo_due {
    int64_t at;
    size_t place; /* from 1, as in the heap; 0: it is in none */
};

struct halo_due_heap {
    struct halo_due **places;
    size_t count, room;
};

/* Have room for so many: 0, or HALO_ENOMEM. */
int halo__due_room(struct halo_due_heap *heap, size_t room);
void halo__due_free(struct halo_due_heap *heap);

/* There is room. */
void halo__due_add(struct halo_due_heap *heap, struct halo_due *due, int64_t at);

/* Also where it is in none. */
void halo__due_remove(struct halo_due_heap *heap, struct halo_due *due);

/* The earliest, or NULL. */
static inline struct halo_due *halo__due_first(const struct halo_due_heap *heap)
{
    return heap->count > 0 ? heap->places[0] : NULL;
}

#endif
