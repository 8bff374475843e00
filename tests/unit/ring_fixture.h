/*
 * What the tests of the ring share: a ring with both of its sides, and the pen of a hostile peer.
 *
 * Every test gets a fresh ring of the size that stands in its name. Positions are 64-bit numbers
 * that count descriptors since the last reset and only grow: slot is position % size, and the lap
 * position / size. The library counts differently, so one can check the other.
 */
#ifndef RING_FIXTURE_H
#define RING_FIXTURE_H

#include <halo/device.h>
#include <halo/driver.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a driver may name: memory for everything, some to read only, and some to write only. */
#define DATA_BASE 0x100000u
#define DATA_LEN 0x20000u
#define ROM_BASE 0x400000u
#define ROM_LEN 0x1000u
#define SINK_BASE 0x500000u
#define SINK_LEN 0x1000u

#define LEN_MAX 1000000u

struct ring {
    uint32_t size;
    unsigned char *memory; /* the shared part: descriptors and both event structures */
    unsigned char *before; /* its contents when ring_remember was called */
    size_t memory_len;
    struct halo_ring_place place;
    struct halo_desc *desc;
    struct halo_event *driver_event;
    struct halo_event *device_event;
    struct halo_driver driver;
    struct halo_driver_chain *driver_chains;
    struct halo_device device;
    struct halo_device_chain *device_chains;
    struct halo_region regions[3];
    struct halo_memory guest;
    unsigned char *data;
    struct halo_buf *bufs;     /* `size` of each from here on */
    struct halo_span *spans;   /* filled by ring_take */
    struct halo_token *tokens; /* free for a test's own use */
    struct halo_chain chain;   /* of the last ring_take */
    struct halo_used used;     /* of the last ring_collect */
    uint64_t seed;
};

/* --- Life of a fixture ----------------------------------------------------------------------- */

/* Zero the ring and reset both sides. */
static inline void ring_start(struct ring *ring)
{
    memset(ring->memory, 0, ring->memory_len);
    assert_int_equal(halo_driver_init(&ring->driver, &ring->place, ring->driver_chains), 0);
    assert_int_equal(
        halo_device_init(&ring->device, &ring->place, &ring->guest, ring->device_chains, LEN_MAX),
        0);
}

static inline int ring_open(void **state)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    uint32_t size = (uint32_t)(uintptr_t)*state;

    ring->size = size;
    ring->seed = size;
    ring->memory_len = halo_ring_bytes(size);
    ring->memory = aligned_alloc(64, ring->memory_len);
    ring->before = calloc(1, ring->memory_len);
    /* One record too many, which says that it is in use: whoever looks there is found out. */
    ring->driver_chains = calloc(size + 1, sizeof(*ring->driver_chains));
    ring->device_chains = calloc(size + 1, sizeof(*ring->device_chains));
    ring->driver_chains[size].slots = 1;
    ring->device_chains[size].slots = 1;
    ring->bufs = calloc(size, sizeof(*ring->bufs));
    ring->spans = calloc(size, sizeof(*ring->spans));
    ring->tokens = calloc(size, sizeof(*ring->tokens));
    ring->data = calloc(1, DATA_LEN);
    for (int i = 0; i < 3; i++)
        ring->regions[i].host = halo_shm_share(ring->data);
    ring->regions[0].base = DATA_BASE;
    ring->regions[0].len = DATA_LEN;
    ring->regions[0].rights = HALO_MAY_READ | HALO_MAY_WRITE;
    ring->regions[1].base = ROM_BASE;
    ring->regions[1].len = ROM_LEN;
    ring->regions[1].rights = HALO_MAY_READ;
    ring->regions[2].base = SINK_BASE;
    ring->regions[2].len = SINK_LEN;
    ring->regions[2].rights = HALO_MAY_WRITE;
    ring->guest.regions = ring->regions;
    ring->guest.region_count = 3;
    if (halo_ring_place_in(halo_shm_share(ring->memory), size, &ring->place) != 0)
        return -1;
    ring->desc = halo_shm_expose(ring->place.desc);
    ring->driver_event = halo_shm_expose(ring->place.driver_event);
    ring->device_event = halo_shm_expose(ring->place.device_event);
    ring_start(ring);
    *state = ring;
    return 0;
}

static inline int ring_close(void **state)
{
    struct ring *ring = *state;

    free(ring->memory);
    free(ring->before);
    free(ring->driver_chains);
    free(ring->device_chains);
    free(ring->bufs);
    free(ring->spans);
    free(ring->tokens);
    free(ring->data);
    free(ring);
    return 0;
}

/* One counted test per size. */
#define AT(size, test)                                                                  \
    {                                                                                   \
#test "_at_size_" #size, test, ring_open, ring_close, (void *)(uintptr_t)(size) \
    }
#define FROM_SIZE_3(test) AT(3, test), AT(5, test), AT(255, test), AT(256, test), AT(32768, test)
#define FROM_SIZE_2(test) AT(2, test), FROM_SIZE_3(test)
#define AT_EVERY_SIZE(test) AT(1, test), FROM_SIZE_2(test)

/* --- Small tools ----------------------------------------------------------------------------- */

/* A number from 0 to below - 1; the same sequence in every run. */
static inline uint32_t ring_random(struct ring *ring, uint32_t below)
{
    ring->seed = ring->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((ring->seed >> 33) % below);
}

static inline uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline void ring_remember(struct ring *ring)
{
    memcpy(ring->before, ring->memory, ring->memory_len);
}

static inline void assert_ring_unchanged(const struct ring *ring)
{
    assert_memory_equal(ring->memory, ring->before, ring->memory_len);
}

static inline void assert_cursor(struct halo_cursor cursor, uint64_t position, uint32_t size)
{
    assert_int_equal(cursor.slot, position % size);
    assert_int_equal(halo_cursor_wrap(cursor), position / size % 2 == 0);
}

/* --- The pen of a hostile peer: straight into the ring --------------------------------------- */

static inline struct halo_desc *desc_at(struct ring *ring, uint64_t position)
{
    return &ring->desc[position % ring->size];
}

static inline uint16_t available_flags(const struct ring *ring, uint64_t position)
{
    return position / ring->size % 2 == 0 ? HALO_DESC_AVAIL : HALO_DESC_USED;
}

static inline uint16_t used_flags(const struct ring *ring, uint64_t position)
{
    return position / ring->size % 2 == 0 ? HALO_DESC_AVAIL | HALO_DESC_USED : 0;
}

/* As a driver: an available descriptor. */
static inline void offer(struct ring *ring, uint64_t position, uint64_t addr, uint32_t len,
                         uint32_t id, uint32_t flags)
{
    desc_at(ring, position)->addr = addr;
    desc_at(ring, position)->meta =
        halo_meta(len, (uint16_t)id, (uint16_t)(flags | available_flags(ring, position)));
}

/* As a driver: a sound chain of `count` readable buffers of one byte. */
static inline void offer_chain(struct ring *ring, uint64_t position, uint32_t count, uint32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        offer(ring, position + i, DATA_BASE + i, 1, id, i + 1 < count ? HALO_DESC_NEXT : 0);
}

/* As a driver: turn some flags of a descriptor over. */
static inline void flip(struct ring *ring, uint64_t position, uint32_t flags)
{
    desc_at(ring, position)->meta ^= halo_meta(0, 0, (uint16_t)flags);
}

/* As a device: a used entry. */
static inline void answer(struct ring *ring, uint64_t position, uint32_t len, uint32_t id,
                          uint32_t flags)
{
    desc_at(ring, position)->meta =
        halo_meta(len, (uint16_t)id, (uint16_t)(flags | used_flags(ring, position)));
}

/* As either side: what to be notified of. */
static inline void ask(struct halo_event *event, uint32_t flags, uint32_t offset, uint32_t wrap)
{
    event->word = flags << 16 | wrap << 15 | offset;
}

/* --- Both sides as their users call them ----------------------------------------------------- */

/* Add a chain of one-byte buffers. Returns what halo_driver_add does. */
static inline int ring_add(struct ring *ring, uint32_t readable, uint32_t writable)
{
    for (uint32_t i = 0; i < readable + writable && i < ring->size; i++)
        ring->bufs[i] = (struct halo_buf){DATA_BASE + i, 1};
    return halo_driver_add(&ring->driver, ring->bufs, readable, writable);
}

/* What a call leaves as it was, must not be taken for its answer. */
static inline int ring_take(struct ring *ring)
{
    const struct halo_token token = ring->chain.token;

    memset(&ring->chain, 0x5a, sizeof(ring->chain));
    ring->chain.token = token; /* tests look back at the last one */
    return halo_device_poll(&ring->device, &ring->chain, ring->spans, ring->size);
}

static inline int ring_collect(struct ring *ring)
{
    memset(&ring->used, 0x5a, sizeof(ring->used));
    return halo_driver_poll(&ring->driver, &ring->used);
}

static inline void ring_give(struct ring *ring, struct halo_token token, uint32_t written)
{
    assert_int_equal(halo_device_complete(&ring->device, token, written), 0);
}

/* One chain there and back, with both publishes. */
static inline void ring_round_trip(struct ring *ring, uint32_t readable, uint32_t writable)
{
    int id = ring_add(ring, readable, writable);

    assert_in_range(id, 0, ring->size - 1);
    halo_driver_publish(&ring->driver);
    assert_int_equal(ring_take(ring), 1);
    assert_int_equal(halo_token_id(ring->chain.token), id);
    assert_int_equal(ring->chain.slots, readable + writable);
    assert_int_equal(ring->chain.readable_count, readable);
    assert_int_equal(ring->chain.writable_count, writable);
    ring_give(ring, ring->chain.token, writable);
    halo_device_publish(&ring->device);
    assert_int_equal(ring_collect(ring), 1);
    assert_int_equal(ring->used.id, id);
    assert_int_equal(ring->used.len, writable);
}

/* Start again, and let `count` chains of one descriptor go there and back. */
static inline void ring_start_at(struct ring *ring, uint64_t count)
{
    ring_start(ring);
    while (count-- > 0)
        ring_round_trip(ring, 1, 0);
}

/* --- A latched queue ------------------------------------------------------------------------- */

/* The device broke for this reason at this position, and from now on it leaves the ring alone. */
static inline void assert_device_latched(struct ring *ring, enum halo_broken reason,
                                         uint64_t position)
{
    const struct halo_violation *violation = &ring->device.violation;
    const struct halo_violation first = *violation;
    const uint64_t meta = desc_at(ring, position)->meta;

    assert_int_equal(violation->reason, reason);
    assert_int_equal(violation->slot, position % ring->size);
    assert_int_equal(violation->id, halo_meta_id(meta));
    assert_int_equal(violation->meta, meta);
    if (violation->addr != 0)
        assert_int_equal(violation->addr, desc_at(ring, position)->addr);

    offer_chain(ring, halo_device_avail(&ring->device).slot, 1,
                0); /* in either lap's phase: bait */
    flip(ring, halo_device_avail(&ring->device).slot,
         halo_cursor_wrap(halo_device_avail(&ring->device)) ? 0 : HALO_PHASE_MASK);
    ring_remember(ring);
    assert_int_equal(ring_take(ring), HALO_EBROKEN);
    for (uint32_t id = 0; id < least(ring->size, 300); id++) {
        struct halo_token token = {ring->device_chains[id].token};

        assert_int_equal(halo_device_complete(&ring->device, token, 0), HALO_EBROKEN);
    }
    halo_device_publish(&ring->device);
    assert_false(halo_device_should_notify(&ring->device));
    assert_true(halo_device_arm(&ring->device));
    halo_device_disarm(&ring->device);
    assert_ring_unchanged(ring);
    assert_memory_equal(violation, &first, sizeof(first));
}

/* The same for the driver. */
static inline void assert_driver_latched(struct ring *ring, enum halo_broken reason,
                                         uint64_t position)
{
    const struct halo_violation *violation = &ring->driver.violation;
    const struct halo_violation first = *violation;
    const struct halo_used used = ring->used;
    const uint64_t meta = desc_at(ring, position)->meta;

    assert_int_equal(violation->reason, reason);
    assert_int_equal(violation->slot, position % ring->size);
    assert_int_equal(violation->id, halo_meta_id(meta));
    assert_int_equal(violation->addr, 0);
    assert_int_equal(violation->meta, meta);

    ring_remember(ring);
    assert_int_equal(ring_collect(ring), HALO_EBROKEN);
    assert_int_equal(ring_add(ring, 1, 0), HALO_EBROKEN);
    halo_driver_publish(&ring->driver);
    assert_false(halo_driver_should_kick(&ring->driver));
    assert_true(halo_driver_arm(&ring->driver));
    halo_driver_disarm(&ring->driver);
    assert_ring_unchanged(ring);
    assert_int_equal(ring->used.id, used.id);
    assert_int_equal(ring->used.len, used.len);
    assert_memory_equal(violation, &first, sizeof(first));
}

#endif
