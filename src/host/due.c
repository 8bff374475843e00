/* A binary heap: see due.h. */
#include "due.h"
#include <halo/error.h>
#include <stdlib.h>

int halo__due_room(struct halo_due_heap *heap, size_t room)
{
    struct halo_due **places;

    if (room <= heap->room)
        return 0;
    places = realloc(heap->places, 2 * room * sizeof(*places));
    if (!places)
        return HALO_ENOMEM;
    heap->places = places;
    heap->room = 2 * room;
    return 0;
}

void halo__due_free(struct halo_due_heap *heap)
{
    free(heap->places);
    *heap = (struct halo_due_heap){NULL, 0, 0};
}

static void put(struct halo_due_heap *heap, struct halo_due *due, size_t place)
{
    heap->places[place - 1] = due;
    due->place = place;
}

/* Towards the first one, past those that are later. */
static void rise(struct halo_due_heap *heap, struct halo_due *due, size_t place)
{
    for (; place > 1 && heap->places[place / 2 - 1]->at > due->at; place /= 2)
        put(heap, heap->places[place / 2 - 1], place);
    put(heap, due, place);
}

/* The other way. */
static void sink(struct halo_due_heap *heap, struct halo_due *due, size_t place)
{
    for (size_t child; (child = 2 * place) <= heap->count; place = child) {
        if (child < heap->count && heap->places[child]->at < heap->places[child - 1]->at)
            child++;
        if (heap->places[child - 1]->at >= due->at)
            break;
        put(heap, heap->places[child - 1], place);
    }
    put(heap, due, place);
}

void halo__due_add(struct halo_due_heap *heap, struct halo_due *due, int64_t at)
{
    due->at = at;
    rise(heap, due, ++heap->count);
}

void halo__due_remove(struct halo_due_heap *heap, struct halo_due *due)
{
    const size_t place = due->place;
    struct halo_due *last;

    if (place == 0)
        return;
    due->place = 0;
    last = heap->places[--heap->count];
    if (last == due)
        return;
    if (place > 1 && heap->places[place / 2 - 1]->at > last->at)
        rise(heap, last, place);
    else
        sink(heap, last, place);
}
