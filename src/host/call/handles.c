/*
 * Handles. A number is 16 bits of place, 16 of generation, which is never 0, and 32 random ones, so
 * that a guest that makes numbers up finds none that it was not given, and one of an earlier object
 * or of another sandbox is none here.
 */
#include "handles.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PLACE_MASK 0xffffu
#define FIRST_SIZE 16u

static struct halo_place *place_of(const struct halo_handles *handles, struct halo_handle handle)
{
    const uint64_t index = handle.number & PLACE_MASK;
    struct halo_place *place;

    if (index >= handles->size) /* HND-01 */
        return NULL;
    place = &handles->places[index];
    return place->kind && place->number == handle.number ? place : NULL; /* HND-01, HND-02 */
}

bool halo__handle_is_live(const struct halo_handles *handles, struct halo_handle handle)
{
    return place_of(handles, handle);
}

bool halo__handle_is_taken(const struct halo_signature *signature)
{
    for (uint32_t i = 1; i <= signature->arg_count; i++) {
        if (halo_type_of(signature->types[i]) == HALO_HANDLE)
            return true;
    }
    return false;
}

/* Twice as many places, all new ones free, the lowest first. */
static int grow(struct halo_handles *handles, struct halo_words *words)
{
    const uint32_t before = handles->size;
    uint32_t size = before ? 2 * before : FIRST_SIZE;
    struct halo_place *places;

    if (size > handles->max)
        size = handles->max;
    places = realloc(handles->places, size * sizeof(*places));
    if (!places)
        return halo__fail(words, HALO_ENOMEM, "no memory for a handle");
    memset(places + before, 0, (size - before) * sizeof(*places));
    for (uint32_t i = before; i < size; i++)
        places[i].next_free = i + 1 < size ? i + 2 : 0;
    handles->places = places;
    handles->size = size;
    handles->first_free = before + 1;
    return 0;
}

int halo__handle_create(struct halo_handles *handles, struct halo_words *words,
                        const struct halo_handle_kind *kind, void *object,
                        struct halo_handle *handle)
{
    struct halo_place *place;
    uint32_t index, secret;
    uint16_t generation;

    handle->number = 0;
    if (!kind || !kind->name)
        return halo__fail(words, HALO_EINVAL, "a handle has a kind, and that a name: one is NULL");
    if (handles->is_ending) /* it would be nobody's, or outlive what it was made for */
        return halo__fail(words, HALO_ESTATE,
                          "a %s: all handles are ending: a release makes no new ones", kind->name);
    if (handles->count == handles->max) /* HND-05 */
        return halo__fail(words, HALO_EFULL,
                          "a %s: there are %u handles already: free some, or raise handles_max",
                          kind->name, handles->max);
    if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret))
        return halo__fail(words, HALO_EHOST, "cannot get random bytes for a handle: %s",
                          strerror(errno));
    if (!handles->first_free && grow(handles, words))
        return HALO_ENOMEM;
    index = handles->first_free - 1;
    place = &handles->places[index];
    handles->first_free = place->next_free;
    generation = (uint16_t)(place->number >> 16);
    generation = (uint16_t)(generation == UINT16_MAX ? 1 : generation + 1);
    *place = (struct halo_place){kind, object,
                                 (uint64_t)secret << 32 | (uint32_t)generation << 16 | index, 0};
    handles->count++;
    handle->number = place->number;
    return 0;
}

/* The place of a handle of this kind, or NULL and *error. */
static struct halo_place *find(const struct halo_handles *handles, struct halo_words *words,
                               const struct halo_handle_kind *kind, struct halo_handle handle,
                               int *error)
{
    struct halo_place *place = place_of(handles, handle);

    *error = 0;
    if (!kind)
        *error = halo__fail(words, HALO_EINVAL, "a handle of no kind: it is NULL");
    else if (!place)
        *error = halo__fail(words, HALO_ESTALE, "a %s: it is " HALO__STALE_WORDS, kind->name);
    else if (place->kind != kind) /* HND-03 */
        *error = halo__fail(words, HALO_ETYPE, "a handle of a %s, and not of a %s",
                            place->kind->name, kind->name);
    return *error ? NULL : place;
}

int halo__handle_find(const struct halo_handles *handles, struct halo_words *words,
                      const struct halo_handle_kind *kind, struct halo_handle handle, void **object)
{
    int error;
    const struct halo_place *place = find(handles, words, kind, handle, &error);

    *object = place ? place->object : NULL;
    return error;
}

/* Its generation stays, for the next. */
static void release(struct halo_handles *handles, struct halo_place *place)
{
    const struct halo_handle_kind *kind = place->kind;

    place->kind = NULL;
    place->next_free = handles->first_free;
    handles->first_free = (uint32_t)(place - handles->places) + 1;
    handles->count--;
    if (kind->release)
        kind->release(place->object);
}

int halo__handle_free(struct halo_handles *handles, struct halo_words *words,
                      const struct halo_handle_kind *kind, struct halo_handle handle)
{
    int error;
    struct halo_place *place = find(handles, words, kind, handle, &error);

    if (place)
        release(handles, place);
    return error;
}

void halo__handles_end(struct halo_handles *handles)
{
    handles->is_ending = true;
    for (uint32_t i = 0; i < handles->size; i++) {
        if (handles->places[i].kind)
            release(handles, &handles->places[i]);
    }
    handles->is_ending = false;
}

void halo__handles_drop(struct halo_handles *handles)
{
    free(handles->places);
    handles->places = NULL;
    handles->size = handles->count = handles->first_free = 0;
}
