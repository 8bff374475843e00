/*
 * What the reference model's own tests share: both sides of the model, over a ring of their own.
 *
 * Where a second opinion is possible it is written in a third way: the specification's own example
 * (cursor and toggled wrap count) checks the linear positions, and a walk that toggles a counter
 * checks the event decision. The comment above a test gives the section of the specification, or
 * the case of the catalogue of hostile peers.
 */
#ifndef HALO_TESTS_RIG_H
#define HALO_TESTS_RIG_H

#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NEXT 0x0001u
#define WRITE 0x0002u
#define INDIRECT 0x0004u
#define AVAIL 0x0080u
#define USED 0x8000u

#define BASE 0x10000u
#define END 0x20000u /* first byte after the region with both rights */

static const struct model_region regions[] = {
    {0x1000, 0x1000, true, false},             /* read only */
    {0x2000, 0x1000, false, true},             /* write only, adjacent to the first */
    {BASE, END - BASE, true, true},            /* both */
    {0xfffffffffffff000u, 0x1000, true, true}, /* ends at 2^64 */
};

static inline struct model_config plain_config(void)
{
    struct model_config config = {UINT64_MAX, 32768, 4, regions};

    return config;
}

struct rig {
    uint32_t size;
    struct model_device dev;
    struct model_driver drv;
    struct model_desc *ring;
    uint32_t *slots;
    struct model_desc *descs;
    struct model_element *elements;
    struct model_taken taken;
    struct model_returned returned;
};

static inline void rig_open(struct rig *rig, uint32_t size, struct model_config config)
{
    memset(rig, 0, sizeof(*rig));
    rig->size = size;
    rig->ring = calloc(size, sizeof(*rig->ring));
    rig->slots = calloc(size, sizeof(*rig->slots));
    rig->descs = calloc(size, sizeof(*rig->descs));
    rig->elements = calloc(size, sizeof(*rig->elements));
    if (!model_device_init(&rig->dev, size, &config) || !model_driver_init(&rig->drv, size) ||
        rig->ring == NULL || rig->slots == NULL || rig->descs == NULL || rig->elements == NULL)
        abort();
}

static inline void rig_close(struct rig *rig)
{
    model_device_close(&rig->dev);
    model_driver_close(&rig->drv);
    free(rig->ring);
    free(rig->slots);
    free(rig->descs);
    free(rig->elements);
}

/* A chain of n_readable and n_writable elements of 16 bytes, written to the ring. */
static inline struct model_verdict rig_submit(struct rig *rig, uint16_t id, uint32_t n_readable,
                                              uint32_t n_writable)
{
    struct model_verdict v;

    for (uint32_t i = 0; i < n_readable + n_writable && i < rig->size; i++)
        rig->elements[i] = (struct model_element){BASE + 16u * (i % 64u), 16, false};
    v = model_driver_submit(&rig->drv, id, rig->elements, n_readable, n_writable, rig->slots,
                            rig->descs);
    if (v.outcome == MODEL_OK) {
        for (uint32_t i = 0; i < n_readable + n_writable; i++)
            rig->ring[rig->slots[i]] = rig->descs[i];
    }
    return v;
}

static inline struct model_verdict rig_take(struct rig *rig)
{
    return model_device_poll(&rig->dev, rig->ring, &rig->taken);
}

static inline struct model_verdict rig_complete(struct rig *rig, uint16_t id, uint32_t written)
{
    struct model_desc desc;
    uint32_t slot;
    struct model_verdict v = model_device_complete(&rig->dev, id, written, &slot, &desc);

    if (v.outcome == MODEL_OK)
        rig->ring[slot] = desc;
    return v;
}

static inline struct model_verdict rig_return(struct rig *rig)
{
    return model_driver_poll(&rig->drv, rig->ring, &rig->returned);
}

/* Available flags in lap 0 and lap 1. */
static inline uint16_t avail0(unsigned extra)
{
    return (uint16_t)(AVAIL | extra);
}

static inline uint16_t avail1(unsigned extra)
{
    return (uint16_t)(USED | extra);
}

static inline bool is(struct model_verdict v, enum model_outcome outcome, enum model_reason reason)
{
    return v.outcome == outcome && v.reason == reason;
}

static inline bool is_at(struct model_verdict v, enum model_outcome outcome,
                         enum model_reason reason, uint32_t slot, uint16_t id)
{
    return is(v, outcome, reason) && v.slot == slot && v.id == id;
}

/* Writes descriptors into a fresh ring from slot 0 on, polls once, compares the verdict. */
static inline bool poll_gives(uint32_t size, const struct model_desc *descs, uint32_t count,
                              enum model_outcome outcome, enum model_reason reason, uint32_t slot,
                              uint16_t id)
{
    struct rig rig;
    struct model_verdict v;

    rig_open(&rig, size, plain_config());
    memcpy(rig.ring, descs, count * sizeof(*descs));
    v = rig_take(&rig);
    rig_close(&rig);
    return is_at(v, outcome, reason, slot, id);
}

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static inline uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % bound);
}

#endif
