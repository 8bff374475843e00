/*
 * A chain's draft: buffers in an order that the compiler checks.
 *
 * virtio wants the buffers that a device reads before those that it writes, and at least one
 * (virtio 1.2, 2.8.16, 2.8.21). A draft has a type for each of its three states, so a program that
 * adds them in the wrong order, or submits none, does not compile.
 *
 *     struct halo_buf room[2];
 *     struct halo_draft_empty begun = halo_draft_begin(room, 2);
 *     struct halo_draft_readable asked = halo_draft_add_readable(begun, request, 64);
 *     struct halo_draft_writable whole = halo_draft_add_writable(asked, answer, 256);
 *     id = halo_draft_submit(&driver, whole);
 *
 * Drafts are small values: keep one and extend it in two ways, or throw it away; nothing was
 * touched before the submit. All of them write into the one array `room`, so of two that extend the
 * same draft only the one that was extended last is whole.
 */
#ifndef HALO_DRAFT_H
#define HALO_DRAFT_H

#include <halo/driver.h>

/* What a draft holds; use the three types below. */
struct halo_draft {
    struct halo_buf *room;
    uint32_t room_count;
    uint32_t readable, writable; /* how many were added, whether there was room or not */
};

struct halo_draft_empty {
    struct halo_draft draft;
};

struct halo_draft_readable {
    struct halo_draft draft;
};

struct halo_draft_writable {
    struct halo_draft draft;
};

/* A draft without buffers, over an array of the caller's that is used until the submit. */
static inline struct halo_draft_empty halo_draft_begin(struct halo_buf *room, uint32_t room_count)
{
    const struct halo_draft_empty result = {{room, room_count, 0, 0}};

    return result;
}

static inline struct halo_draft halo_draft_put(struct halo_draft draft, uint64_t addr, uint32_t len,
                                               uint32_t readable)
{
    const uint32_t count = draft.readable + draft.writable;

    if (count < draft.room_count) {
        draft.room[count].addr = addr;
        draft.room[count].len = len;
    }
    draft.readable += readable;
    draft.writable += 1 - readable;
    return draft;
}

static inline int halo_draft_add_to(struct halo_driver *driver, struct halo_draft draft)
{
    if (draft.readable + draft.writable > draft.room_count)
        return HALO_EINVAL;
    return halo_driver_add(driver, draft.room, draft.readable, draft.writable);
}

#ifdef __cplusplus

static inline struct halo_draft_readable halo_draft_add_readable(struct halo_draft_empty before,
                                                                 uint64_t addr, uint32_t len)
{
    return {halo_draft_put(before.draft, addr, len, 1)};
}

static inline struct halo_draft_readable halo_draft_add_readable(struct halo_draft_readable before,
                                                                 uint64_t addr, uint32_t len)
{
    return {halo_draft_put(before.draft, addr, len, 1)};
}

template <class Before>
static inline struct halo_draft_writable halo_draft_add_writable(Before before, uint64_t addr,
                                                                 uint32_t len)
{
    return {halo_draft_put(before.draft, addr, len, 0)};
}

static inline int halo_draft_submit(struct halo_driver *driver, struct halo_draft_readable whole)
{
    return halo_draft_add_to(driver, whole.draft);
}

static inline int halo_draft_submit(struct halo_driver *driver, struct halo_draft_writable whole)
{
    return halo_draft_add_to(driver, whole.draft);
}

#else

/* clang-format off */

/* struct halo_draft_readable: an empty or a readable draft, and `len` bytes for the device. */
#define halo_draft_add_readable(before, addr, len)                                                 \
    ((struct halo_draft_readable){halo_draft_put(                                                  \
        _Generic((before), struct halo_draft_empty: (before),                                      \
                           struct halo_draft_readable: (before)).draft, (addr), (len), 1)})

/* struct halo_draft_writable: any draft, and `len` bytes that the device is to fill. */
#define halo_draft_add_writable(before, addr, len)                                                 \
    ((struct halo_draft_writable){halo_draft_put(                                                  \
        _Generic((before), struct halo_draft_empty: (before),                                      \
                           struct halo_draft_readable: (before),                                   \
                           struct halo_draft_writable: (before)).draft, (addr), (len), 0)})

/*
 * Add the chain to the driver's batch, as halo_driver_add does, with the same results; HALO_EINVAL
 * also where the draft has more buffers than its array has room for. An empty draft does not
 * compile.
 */
#define halo_draft_submit(driver, whole)                                                           \
    halo_draft_add_to((driver),                                                                    \
        _Generic((whole), struct halo_draft_readable: (whole),                                     \
                          struct halo_draft_writable: (whole)).draft)

/* clang-format on */

#endif

#endif
