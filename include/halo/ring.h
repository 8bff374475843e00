/*
 * Packed virtqueue: what driver and device have in common.
 *
 * A ring is a table of descriptors and two event structures in memory that both sides share. The
 * driver (in Halo: the guest) makes chains of buffers available; the device (the host) uses them
 * and gives them back in any order. Layout and rules are those of virtio 1.2, chapter 2.8 "Packed
 * Virtqueues", without indirect descriptors: any conforming peer can sit on the other end. A virtio
 * transport offers VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED and VIRTIO_F_EVENT_IDX, and insists on
 * all three: arming asks for a notification at a descriptor, which is what EVENT_IDX allows.
 *
 *     halo/draft.h     a chain's buffers, in an order that the compiler checks
 *     halo/driver.h    add, publish (both: submit), should_kick; poll, arm, disarm; stop, fail
 *     halo/device.h    poll, complete, publish (both: finish), should_notify; arm, disarm; rewind
 *
 * Nothing here allocates, blocks or calls the operating system. All state is given by the caller
 * and may be looked at. One side of a ring belongs to one thread at a time; a driver's two halves
 * may belong to two (halo/halves.h).
 */
#ifndef HALO_RING_H
#define HALO_RING_H

#include <halo/error.h>
#include <halo/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* virtio 1.2, 2.8.10: the largest ring, because an event offset has 15 bits. */
#define HALO_RING_MAX 32768u

/* virtio 1.2, 2.8.13: flags of a descriptor. */
#define HALO_DESC_NEXT 0x0001u
#define HALO_DESC_WRITE 0x0002u
#define HALO_DESC_INDIRECT 0x0004u
#define HALO_DESC_AVAIL 0x0080u
#define HALO_DESC_USED 0x8000u
#define HALO_DESC_RESERVED 0x7f78u /* must be zero while no extension is on */

/*
 * Extensions of docs/protocol.md, section 2; with all of them off a ring is plain virtio. Both
 * sides of a ring turn on the same ones (halo_driver_extend, halo_device_extend), as the boot page
 * says.
 */
#define HALO_FEATURE_INLINE_REQUEST 0x1u /* up to 12 bytes of a request inside its descriptor */
#define HALO_FEATURE_INLINE_ANSWER 0x2u  /* up to 8 bytes of an answer inside the used entry */
#define HALO_FEATURE_TRUNCATED 0x4u      /* a used entry says that an answer did not fit */
#define HALO_FEATURES_ALL 0x7u

#define HALO_DESC_INLINE 0x0100u    /* addr and len hold bytes, or addr does in a used entry */
#define HALO_DESC_TRUNCATED 0x2000u /* used: the answer did not fit, addr is its full length */
#define HALO_DESC_INLINE_LEN 9      /* available and inline: bits 9 to 12, how many bytes */
#define HALO_DESC_INLINE_BITS (HALO_DESC_INLINE | 15u << HALO_DESC_INLINE_LEN)

#define HALO_INLINE_REQUEST_MAX 12u
#define HALO_INLINE_ANSWER_MAX 8u

/* virtio 1.2, 2.8.14: flags of an event structure. 3 is reserved and is read as ALWAYS. */
#define HALO_EVENT_ALWAYS 0u
#define HALO_EVENT_NEVER 1u
#define HALO_EVENT_AT_DESC 2u

/*
 * Where a ring lies, as seen from this side. Whoever made the memory decides this; a device never
 * takes it from a driver. Descriptors are aligned to 16 bytes, event structures to 4; put each of
 * the three on a cache line of its own. The memory starts zeroed and outlives both sides.
 */
struct halo_ring_place {
    HALO_SHARED struct halo_desc *desc;          /* `size` descriptors */
    HALO_SHARED struct halo_event *driver_event; /* written by the driver, read by the device */
    HALO_SHARED struct halo_event *device_event; /* written by the device, read by the driver */
    uint32_t size;                               /* 1 to HALO_RING_MAX, any number */
};

/* Which rule the other side broke. The queue latches; the code says what happened first. */
enum halo_broken {
    HALO_BROKEN_NOT = 0,
    /* seen by a device */
    HALO_BROKEN_TORN,         /* NEXT, but the following descriptor is not available */
    HALO_BROKEN_OVERCOMMIT,   /* more descriptors than the ring has left */
    HALO_BROKEN_INDIRECT,     /* INDIRECT, which was never offered */
    HALO_BROKEN_RESERVED,     /* a reserved flag is set */
    HALO_BROKEN_ORDER,        /* a device-readable buffer after a device-writable one */
    HALO_BROKEN_TOO_LONG,     /* a chain that goes round the whole ring */
    HALO_BROKEN_BAD_ID,       /* a buffer id that is not below the ring size */
    HALO_BROKEN_DUPLICATE_ID, /* a buffer id that is still in flight */
    HALO_BROKEN_INLINE,       /* an inline descriptor in the wrong place, or with a wrong length */
    /* seen by a driver (RESERVED, BAD_ID and INLINE too) */
    HALO_BROKEN_NOT_IN_FLIGHT, /* a used id that was not submitted, or came back before */
    HALO_BROKEN_LENGTH,        /* a used length above the chain's writable bytes */
    /* no fault of the other side */
    HALO_BROKEN_STOPPED, /* halo_driver_stop was called */
};

/*
 * Names a chain in flight; stale as soon as it is done or its side is reset (ID-05). It is one
 * word, with a generation above the id, so that one comparison tells a stale one.
 */
struct halo_token {
    uint64_t word; /* id: bits 0-15, HALO_TOKEN_FREE, generation: bits 17-63 */
};

/* Of a record's own token: nothing that has this id is in flight. One more makes the next token. */
#define HALO_TOKEN_FREE 0x10000u

static inline struct halo_token halo_token_make(uint64_t generation, uint16_t id)
{
    const struct halo_token result = {generation << 17 | id};

    return result;
}

static inline uint16_t halo_token_id(struct halo_token token)
{
    return (uint16_t)token.word;
}

/* The next token of the same id. */
static inline uint64_t halo_token_next(uint64_t word)
{
    return word + 2 * HALO_TOKEN_FREE;
}

static inline uint64_t halo_token_generation(struct halo_token token)
{
    return token.word >> 17;
}

/* What is known about a broken ring: the offending descriptor, word for word as it was loaded. */
struct halo_violation {
    enum halo_broken reason;
    uint16_t slot;
    uint16_t id;
    uint64_t addr; /* 0 where it was not loaded */
    uint64_t meta;
};

/* The name of a reason, "TORN"; never NULL; static storage; any thread. */
const char *halo_broken_name(enum halo_broken reason);

/*
 * A position in the ring that goes round and round. `phase` holds the AVAIL and USED bits of this
 * lap's *available* descriptors: AVAIL alone on a lap with wrap counter 1, USED alone with 0.
 */
struct halo_cursor {
    uint32_t slot;
    uint32_t phase;
};

#define HALO_PHASE_MASK (HALO_DESC_AVAIL | HALO_DESC_USED)

/*
 * Comments that start with an at sign are contracts; tests/proofs proves them. halo_position counts
 * slots over two laps, 0 to 2 * size - 1, so that the wrap counter is part of it.
 */
/*@ predicate halo_cursor_valid(struct halo_cursor at, integer size) =
        at.slot < size && (at.phase == HALO_DESC_AVAIL || at.phase == HALO_DESC_USED);

    logic integer halo_position(struct halo_cursor at, integer size) =
        at.slot + (at.phase == HALO_DESC_AVAIL ? 0 : size);
*/

/* The cursor of a fresh ring: slot 0, wrap counter 1 (virtio 1.2, 2.8.1). */
/*@ assigns \nothing;
    ensures \forall integer size; size >= 1 ==>
        halo_cursor_valid(\result, size) && halo_position(\result, size) == 0;
*/
static inline struct halo_cursor halo_cursor_start(void)
{
    const struct halo_cursor result = {0, HALO_DESC_AVAIL};

    return result;
}

/* Move on by 1 to `size` slots. The wrap counter toggles when the end is passed (WRAP-02). */
/*@ requires 1 <= slots <= size <= HALO_RING_MAX && halo_cursor_valid(at, size);
    assigns \nothing;
    ensures halo_cursor_valid(\result, size);
    ensures \result.phase != at.phase <==> at.slot + slots >= size;
    ensures halo_position(\result, size) == (halo_position(at, size) + slots) % (2 * size);
*/
static inline struct halo_cursor halo_cursor_advance(struct halo_cursor at, uint32_t slots,
                                                     uint32_t size)
{
    at.slot += slots;
    if (at.slot >= size) {
        at.slot -= size;
        at.phase ^= HALO_PHASE_MASK;
    }
    return at;
}

/* Move back by 1 to `size` slots: what halo_cursor_advance did, undone (WRAP-05). */
/*@ requires 1 <= slots <= size <= HALO_RING_MAX && halo_cursor_valid(at, size);
    assigns \nothing;
    ensures halo_cursor_valid(\result, size);
    ensures (halo_position(\result, size) + slots) % (2 * size) == halo_position(at, size);
*/
static inline struct halo_cursor halo_cursor_retreat(struct halo_cursor at, uint32_t slots,
                                                     uint32_t size)
{
    if (at.slot < slots) {
        at.slot += size;
        at.phase ^= HALO_PHASE_MASK;
    }
    at.slot -= slots;
    return at;
}

/* The wrap counter of this lap, 1 or 0. */
/*@ assigns \nothing;
    ensures \result == (at.phase == HALO_DESC_AVAIL ? 1 : 0);
*/
static inline uint32_t halo_cursor_wrap(struct halo_cursor at)
{
    return at.phase == HALO_DESC_AVAIL;
}

/* Flags that mark a descriptor of this lap as available, and as used. */
/*@ assigns \nothing;
    ensures \result == at.phase;
*/
static inline uint32_t halo_cursor_available(struct halo_cursor at)
{
    return at.phase;
}

/*@ assigns \nothing;
    ensures \result == (at.phase == HALO_DESC_AVAIL ? HALO_PHASE_MASK : 0);
*/
static inline uint32_t halo_cursor_used(struct halo_cursor at)
{
    return at.phase == HALO_DESC_AVAIL ? HALO_PHASE_MASK : 0;
}

/*
 * A cursor as the hot paths keep it: the descriptor itself, and its lap's AVAIL and USED bits where
 * they lie in `meta`. Those are the bits of available descriptors where these are read or written,
 * and of used ones where those are; a new lap turns both over, and AVAIL is the wrap counter.
 */
struct halo_at {
    HALO_SHARED struct halo_desc *desc;
    uint64_t phase;
};

#define HALO_META_WRITE ((uint64_t)HALO_DESC_WRITE << 48)
#define HALO_META_PHASE ((uint64_t)HALO_PHASE_MASK << 48)

static inline struct halo_at halo_at_start(const struct halo_ring_place *place, uint32_t phase)
{
    const struct halo_at result = {place->desc, (uint64_t)phase << 48};

    return result;
}

/*
 * A cursor word by word, as it was stored just before. A compiler that copies the struct loads both
 * words at once, and such a load has to wait until both stores are out of the store buffer: that
 * took as long as a whole element does (measured: docs/bench.md).
 */
static inline struct halo_at halo_at_load(const struct halo_at *at)
{
    struct halo_at copy = *at;

#ifndef __FRAMAC__                  /* which knows nothing of what an assembler does */
    __asm__("" : "+r"(copy.phase)); /* in a register of its own */
#endif
    return copy;
}

/* The next slot; `end` is behind the last one. */
static inline struct halo_at halo_at_step(struct halo_at at, const struct halo_ring_place *place,
                                          const HALO_SHARED struct halo_desc *end)
{
    at.desc++;
    if (at.desc == end) {
        at.desc = place->desc;
        at.phase ^= HALO_META_PHASE;
    }
    return at;
}

/* 1 to `size` slots on: halo_cursor_advance. */
static inline struct halo_at halo_at_advance(struct halo_at at, uint32_t slots,
                                             const struct halo_ring_place *place,
                                             const HALO_SHARED struct halo_desc *end)
{
    const uint32_t left = (uint32_t)(end - at.desc);

    if (slots < left) {
        at.desc += slots;
    } else {
        at.desc = place->desc + (slots - left);
        at.phase ^= HALO_META_PHASE;
    }
    return at;
}

/* How many of the next `slots` slots come before the lap ends: the rest of a batch is another run.
 */
static inline uint32_t halo_at_run(struct halo_at at, uint32_t slots,
                                   const HALO_SHARED struct halo_desc *end)
{
    const uint32_t left = (uint32_t)(end - at.desc);

    return slots < left ? slots : left;
}

static inline struct halo_cursor halo_at_cursor(struct halo_at at,
                                                const struct halo_ring_place *place)
{
    const bool wrap = at.phase >> 48 & HALO_DESC_AVAIL;

    const struct halo_cursor result = {(uint32_t)(at.desc - place->desc),
                                       wrap ? HALO_DESC_AVAIL : HALO_DESC_USED};

    return result;
}

/* The same kind of cursor as `at`, moved to where `to` is. */
static inline struct halo_at halo_at_move(struct halo_at at, const struct halo_ring_place *place,
                                          struct halo_cursor to)
{
    if (halo_at_cursor(at, place).phase != to.phase)
        at.phase ^= HALO_META_PHASE;
    at.desc = place->desc + to.slot;
    return at;
}

/*
 * The plain path. Nearly every chain is one descriptor whose flags are its lap's phase, with or
 * without WRITE, and so is nearly every used entry. Both sides have a short path for these and one
 * general walk for everything else, which goes on with the words that the short path has loaded.
 * Each short path says why it equals the walk; tests/model/test_plain.c sees to it. With
 * HALO_NO_PLAIN_PATH all goes to the walk.
 */
#ifdef HALO_NO_PLAIN_PATH
#define HALO_PLAIN_PATH 0
#else
#define HALO_PLAIN_PATH 1
#endif

/* Of a word from which phase and flags were taken out: its id, and no id where others were set. */
static inline uint32_t halo_bare_id(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/*
 * Of a word with the phase taken out (meta ^ phase): its id where its other flags are none, or
 * WRITE alone. Any other flag, and a wrong phase, makes it a number that is no id.
 */
static inline uint32_t halo_plain_id(uint64_t word)
{
    return halo_bare_id(word & ~HALO_META_WRITE);
}

/* Length and WRITE of a word. */
static inline uint64_t halo_plain_body(uint64_t word)
{
    return word & (HALO_META_WRITE | UINT32_MAX);
}

/* Of a limit, which is the body of a plain chain's descriptor and one: the chain's writable bytes.
 */
static inline uint32_t halo_plain_capacity(uint64_t limit)
{
    return (limit - 1) & HALO_META_WRITE ? (uint32_t)(limit - 1) : 0;
}

/*
 * Where the cursors of a latched queue stand: a descriptor that nobody writes to. A latched queue
 * has no ids either, so that what is there goes to the walk, which knows that the queue is latched.
 */
extern const struct halo_desc halo_ring_latched __attribute__((visibility("hidden")));

static inline struct halo_at halo_at_latched(void)
{
    const struct halo_at result = {
        (HALO_SHARED struct halo_desc *)halo_shm_share((void *)(uintptr_t)&halo_ring_latched), 0};

    return result;
}

/* The event word "notify at this position" (virtio 1.2, 2.8.14). */
static inline uint32_t halo_event_at(struct halo_cursor at)
{
    return at.slot | halo_cursor_wrap(at) << 15 | HALO_EVENT_AT_DESC << 16;
}

/*
 * Where a side stands between two of its operations, as virtio transports tell it (vhost-user's
 * SET_VRING_BASE): the slot in the low 15 bits, the wrap counter in bit 15.
 */
struct halo_positions {
    uint16_t avail; /* a device: the next chain to take; a driver: the next one to make available */
    uint16_t used;  /* the next used entry */
};

/* A cursor as such a position, and back; the slot must be below the ring's size. */
static inline uint16_t halo_cursor_position(struct halo_cursor at)
{
    return (uint16_t)(at.slot | halo_cursor_wrap(at) << 15);
}

static inline struct halo_cursor halo_cursor_at(uint16_t position)
{
    const struct halo_cursor result = {(uint32_t)(position & 0x7fff),
                                       position >> 15 ? HALO_DESC_AVAIL : HALO_DESC_USED};

    return result;
}

/*
 * Slots from `used` on to `avail`, 0 to `size`; more than `size` where no ring of it can stand so:
 * a position outside of it, or more descriptors than there are.
 */
uint32_t halo_positions_between(struct halo_positions at, uint32_t size);

/*
 * The notify decision: after the `count` slots that end just before `end` were written, does the
 * other side's event word ask for a notification? virtio 1.2, 2.8.14 and EVT-01 to EVT-06.
 *
 * Positions are counted over two laps, 0 to 2 * size - 1, so that the wrap counter is part of the
 * position. When in doubt the answer is yes: a spurious notification costs time, a lost one hangs.
 */
/*@ logic integer halo_event_mode(integer word) = word >> 16 & 3;
    logic integer halo_event_slot(integer word) = word & 0x7fff;
    logic integer halo_event_position(integer word, integer size) =
        halo_event_slot(word) + ((word >> 15 & 1) != 0 ? 0 : size);

    predicate halo_just_written(integer position, integer end, integer count, integer size) =
        \exists integer back, laps;
            1 <= back <= count && position == end - back + laps * (2 * size);
*/
/*@ requires 1 <= size <= HALO_RING_MAX && halo_cursor_valid(end, size);
    assigns \nothing;
    ensures \result <==> count > 0 && halo_event_mode(word) != HALO_EVENT_NEVER &&
        (halo_event_mode(word) == HALO_EVENT_AT_DESC && halo_event_slot(word) < size ==>
            halo_just_written(halo_event_position(word, size), halo_position(end, size), count,
                size));
*/
static inline bool halo_event_wanted(uint32_t word, struct halo_cursor end, uint64_t count,
                                     uint32_t size)
{
    uint32_t flags = word >> 16 & 3;
    uint32_t slot = word & 0x7fff;
    uint32_t wrap = word >> 15 & 1;
    uint32_t asked, last, behind;

    if (count == 0 || flags == HALO_EVENT_NEVER)
        return false;
    if (flags != HALO_EVENT_AT_DESC || slot >= size)
        return true;
    asked = slot + (wrap ? 0 : size);
    last = end.slot + (halo_cursor_wrap(end) ? 0 : size);
    behind = last > asked ? last - asked : last + 2 * size - asked;
    return behind <= count;
}

/*
 * The flags of a used entry that a driver must refuse, with these features on, and those of an
 * available descriptor that a device must refuse.
 */
static inline uint32_t halo_features_used_reserved(uint32_t features)
{
    uint32_t reserved = HALO_DESC_RESERVED;

    if (features & HALO_FEATURE_INLINE_ANSWER)
        reserved &= ~HALO_DESC_INLINE;
    if (features & HALO_FEATURE_TRUNCATED)
        reserved &= ~HALO_DESC_TRUNCATED;
    return reserved;
}

static inline uint32_t halo_features_available_reserved(uint32_t features)
{
    return features & HALO_FEATURE_INLINE_REQUEST ? HALO_DESC_RESERVED & ~HALO_DESC_INLINE_BITS
                                                  : HALO_DESC_RESERVED;
}

/* These features exist, and inline answers go with inline requests. */
static inline bool halo_features_valid(uint32_t features)
{
    return !(features & ~HALO_FEATURES_ALL) &&
           (!(features & HALO_FEATURE_INLINE_ANSWER) || (features & HALO_FEATURE_INLINE_REQUEST));
}

/* Returns HALO_EINVAL where a place breaks its rules, else 0: CFG-01, CFG-02, CFG-05. */
int halo_ring_place_check(const struct halo_ring_place *place);

/*
 * Bytes of a table of `size` descriptors with both event structures, each of the three starting on
 * a 64-byte line, and the place of such a ring in `memory` (zeroed, aligned to 64 bytes).
 */
size_t halo_ring_bytes(uint32_t size);
int halo_ring_place_in(HALO_SHARED void *memory, uint32_t size, struct halo_ring_place *place);

/*
 * The place of a ring of `size` whose addresses the driver chose, as it tells them to a virtio
 * transport. Each area must be aligned and lie wholly inside one region of `memory`: descriptors in
 * one that may be read and written, the driver's event structure in one that may be read, the
 * device's in one that may be written. HALO_EINVAL else, with `place` as it was: CFG-06, CFG-10.
 */
int halo_ring_place_at(const struct halo_memory *memory, uint32_t size, struct halo_gpa desc,
                       struct halo_gpa driver_event, struct halo_gpa device_event,
                       struct halo_ring_place *place);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
