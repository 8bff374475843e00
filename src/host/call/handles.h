/*
 * Handles: the host's objects, as a guest knows them. A place in a table, how often the place was
 * used, and random bits; what a guest hands back is compared with all of it, and leads to nothing
 * that is not in the table.
 */
#ifndef HALO_SRC_HOST_HANDLES_H
#define HALO_SRC_HOST_HANDLES_H

#include <halo/handle.h>
#include "../error.h"

struct halo_place {
    const struct halo_handle_kind *kind; /* NULL: it is free */
    void *object;
    uint64_t number;    /* of its handle, or of the last one it had */
    uint32_t next_free; /* and it is free: 1 + the next one, or 0 */
};

struct halo_handles {
    struct halo_place *places;
    uint32_t size, count, max; /* places that there are; handles; and most of them */
    uint32_t first_free;       /* 1 + its index, or 0 */
    bool is_ending;            /* all of them, one by one: there is no new one meanwhile */
    bool any; /* a function that is provided has one as an argument: calls are judged for them */
};

int halo__handle_create(struct halo_handles *handles, struct halo_words *words,
                        const struct halo_handle_kind *kind, void *object,
                        struct halo_handle *handle);
int halo__handle_find(const struct halo_handles *handles, struct halo_words *words,
                      const struct halo_handle_kind *kind, struct halo_handle handle,
                      void **object);
int halo__handle_free(struct halo_handles *handles, struct halo_words *words,
                      const struct halo_handle_kind *kind, struct halo_handle handle);

/* Is there such a handle, of whatever kind? */
bool halo__handle_is_live(const struct halo_handles *handles, struct halo_handle handle);

/* Has the signature an argument that is a handle? */
bool halo__handle_is_taken(const struct halo_signature *signature);

/* End all of them; then, where the sandbox is closed, without their release in a fork, the table.
 */
void halo__handles_end(struct halo_handles *handles);
void halo__handles_drop(struct halo_handles *handles);

/* Words for one that there is not: "…argument 1 HALO__STALE_WORDS". */
#define HALO__STALE_WORDS \
    "a handle that was freed, is older than the last restore, or was never given to this guest"

#endif
