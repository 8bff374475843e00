/* Both sides of a ring in one process, and a hand for writing into it as a hostile peer would. */
#ifndef HALO_TESTS_PAIR_H
#define HALO_TESTS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <halo/device.h>
#include <halo/driver.h>

#define RAM_BASE 0x100000ull
#define RAM_LEN 65536ull
#define ROM_BASE 0x400000ull
#define ROM_LEN 4096ull
#define SPANS 40000u
#define AVAIL HALO_DESC_AVAIL
#define NEXT HALO_DESC_NEXT
#define WRITE HALO_DESC_WRITE
#define USED_1 (HALO_DESC_AVAIL | HALO_DESC_USED) /* used, in the first lap */

struct pair {
    uint32_t size;
    unsigned char *memory;
    size_t memory_len;
    struct halo_desc *ring; /* the table, as plain memory: what a hostile peer writes */
    struct halo_event *driver_event, *device_event;
    struct halo_ring_place place;
    struct halo_driver driver;
    struct halo_device device;
    struct halo_driver_chain *driver_chains;
    struct halo_device_chain *device_chains;
    struct halo_region regions[2];
    struct halo_memory ram;
    struct halo_chain chain; /* of the last take() */
    struct halo_span *spans;
};

static inline struct pair *pair_new(uint32_t size)
{
    struct pair *p = calloc(1, sizeof(*p));

    p->size = size;
    p->memory_len = halo_ring_bytes(size);
    p->memory = aligned_alloc(64, p->memory_len);
    memset(p->memory, 0, p->memory_len);
    assert_int_equal(halo_ring_place_in(halo_shm_share(p->memory), size, &p->place), 0);
    p->ring = halo_shm_expose(p->place.desc);
    p->driver_event = halo_shm_expose(p->place.driver_event);
    p->device_event = halo_shm_expose(p->place.device_event);
    p->driver_chains = calloc(size, sizeof(*p->driver_chains));
    p->device_chains = calloc(size, sizeof(*p->device_chains));
    p->spans = calloc(SPANS, sizeof(*p->spans));
    p->regions[0] = (struct halo_region){RAM_BASE, RAM_LEN, halo_shm_share(calloc(1, RAM_LEN)),
                                         HALO_MAY_READ | HALO_MAY_WRITE};
    p->regions[1] =
        (struct halo_region){ROM_BASE, ROM_LEN, halo_shm_share(calloc(1, ROM_LEN)), HALO_MAY_READ};
    p->ram = (struct halo_memory){p->regions, 2};
    assert_int_equal(halo_driver_init(&p->driver, &p->place, p->driver_chains), 0);
    assert_int_equal(halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, UINT32_MAX),
                     0);
    return p;
}

static inline void pair_free(struct pair *p)
{
    free(halo_shm_expose(p->regions[0].host));
    free(halo_shm_expose(p->regions[1].host));
    free(p->spans);
    free(p->driver_chains);
    free(p->device_chains);
    free(p->memory);
    free(p);
}

/* Add a chain of small buffers; returns its id or an error. */
static inline int add(struct pair *p, uint32_t readable, uint32_t writable)
{
    struct halo_buf *bufs = calloc(readable + writable + 1, sizeof(*bufs));
    int id;

    for (uint32_t i = 0; i < readable + writable; i++)
        bufs[i] = (struct halo_buf){RAM_BASE + i % 1000 * 8, 8};
    id = halo_driver_add(&p->driver, bufs, readable, writable);
    free(bufs);
    return id;
}

static inline int submit(struct pair *p, uint32_t readable, uint32_t writable)
{
    int id = add(p, readable, writable);

    halo_driver_publish(&p->driver);
    return id;
}

static inline int take(struct pair *p)
{
    return halo_device_poll(&p->device, &p->chain, p->spans, SPANS);
}

static inline void complete(struct pair *p, struct halo_token token, uint32_t written)
{
    assert_int_equal(halo_device_complete(&p->device, token, written), 0);
    halo_device_publish(&p->device);
}

static inline int reap(struct pair *p, struct halo_used *used)
{
    return halo_driver_poll(&p->driver, used);
}

/* A descriptor, written by a peer that follows no rules. */
static inline void poke(struct pair *p, uint32_t slot, uint64_t addr, uint32_t len, uint32_t id,
                        uint32_t flags)
{
    p->ring[slot] = (struct halo_desc){addr, halo_meta(len, (uint16_t)id, (uint16_t)flags)};
}

/* The device must call the ring broken for this reason, and be silent from then on. */
static inline void expect_broken(struct pair *p, enum halo_broken reason, uint32_t slot)
{
    unsigned char *before = malloc(p->memory_len);

    assert_int_equal(take(p), HALO_EBROKEN);
    assert_string_equal(halo_broken_name(p->device.violation.reason), halo_broken_name(reason));
    assert_int_equal(p->device.violation.slot, slot);
    assert_true(p->device.violation.meta == p->ring[slot].meta);

    memcpy(before, p->memory, p->memory_len);
    memset(p->ring, 0, p->size * sizeof(*p->ring)); /* even a clean ring does not heal it */
    memcpy(before, p->memory, p->memory_len);
    assert_int_equal(take(p), HALO_EBROKEN);
    assert_int_equal(halo_device_complete(&p->device, p->chain.token, 0), HALO_EBROKEN);
    halo_device_publish(&p->device);
    assert_false(halo_device_should_notify(&p->device));
    halo_device_disarm(&p->device);
    assert_true(halo_device_arm(&p->device));
    assert_memory_equal(before, p->memory, p->memory_len);
    free(before);
}

#endif
