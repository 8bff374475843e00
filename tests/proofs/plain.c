/*
 * That a plain path gives what the walk gives: each function below takes numbers, makes of them any
 * state in which a ring of SIZE can be between two operations, lets the plain path and the walk
 * have a copy of it each, and returns whether they left the same. symbolic.py looks for numbers for
 * which it returns false. There are none, or the proof has failed.
 */
#include "plain.h"

struct halo_desc table[SIZE];
static struct halo_event events[2];

static struct halo_at at(uint32_t slot, uint64_t phase)
{
    return (struct halo_at){table + slot, phase};
}

static struct halo_ring_place place(void)
{
    return (struct halo_ring_place){table, &events[0], &events[1], SIZE};
}

/* Each number is used once. */
struct numbers {
    uint64_t meta[2], addr[2], limit[2], word[2], batch, other_batch;
    uint32_t capacity[2], len[2], free_slots, staged, len_max, features, length, slot;
    uint16_t slots[2], next[2], id;
    bool lap, flag;
};

/* A body and one, where the chain is in flight and plain: src/ring/check.c. */
static bool is_record(uint64_t limit, uint16_t slots)
{
    return limit ? slots == 0 && ((limit - 1) & ~(HALO_META_WRITE | UINT32_MAX)) == 0
                 : slots <= SIZE;
}

static bool make_ring(struct state *s, const struct numbers *n)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        s->meta[i] = n->meta[i];
        s->addr[i] = n->addr[i];
    }
    for (uint32_t i = 0; i < 2; i++)
        s->bufs[i] = (struct halo_buf){n->addr[i], n->len[i]};
    s->writable = n->flag;
    return n->slot < SIZE && n->free_slots <= SIZE && n->staged <= SIZE - n->free_slots;
}

static bool make_driver(struct state *s, const struct numbers *n)
{
    struct halo_driver *driver = &s->driver;
    uint32_t slots = n->free_slots, staged = 0;

    for (uint32_t id = 0; id < SIZE; id++) {
        s->driver_chains[id] = (struct halo_driver_chain){
            n->limit[id], n->word[id], 0, n->capacity[id], n->slots[id], n->next[id]};
        if (!is_record(n->limit[id], n->slots[id]) || n->word[id] > n->batch)
            return false;
        slots += halo_driver_chain_slots(&s->driver_chains[id]);
        staged += n->word[id] == n->batch ? halo_driver_chain_slots(&s->driver_chains[id]) : 0;
    }
    /* What is not in flight stands in the list of free ids: the first two of it are looked at. */
    if (slots != SIZE || n->staged != staged || n->id >= SIZE)
        return false;
    if (n->free_slots > 0 &&
        (halo_driver_chain_slots(&s->driver_chains[n->id]) > 0 ||
         (SIZE > 1 && n->free_slots > 1 && (n->next[n->id] >= SIZE || n->next[n->id] == n->id))))
        return false;
    driver->end = table + SIZE;
    driver->place = place();
    driver->free_slots = n->free_slots;
    driver->free_id = n->id;
    driver->staged = n->staged;
    driver->ids = SIZE;
    driver->batch = n->batch;
    driver->refused = halo_features_used_reserved(n->features);
    driver->features = n->features;
    driver->batch_meta = 5;
    driver->avail = at(n->slot, (uint64_t)(n->lap ? HALO_DESC_AVAIL : HALO_DESC_USED) << 48);
    driver->published = at(0, (uint64_t)HALO_DESC_AVAIL << 48);
    driver->used = at(n->slot, n->lap ? HALO_META_PHASE : 0);
    return make_ring(s, n);
}

static bool make_device(struct state *s, const struct numbers *n)
{
    struct halo_device *device = &s->device;

    for (uint32_t id = 0; id < SIZE; id++) {
        const bool is_free = n->limit[id] == 0 && n->slots[id] == 0;

        s->device_chains[id] = (struct halo_device_chain){
            n->word[id] << 17 | (is_free ? HALO_TOKEN_FREE : 0) | id, n->limit[id], n->capacity[id],
            n->slots[id], n->next[id] & 1};
        if (!is_record(n->limit[id], n->slots[id]))
            return false;
    }
    device->end = table + SIZE;
    device->place = place();
    device->ids = SIZE;
    device->room = n->free_slots;
    device->staged = n->staged;
    device->batch_meta = 5;
    device->len_max = n->len_max;
    device->features = n->features;
    device->refused = HALO_DESC_INDIRECT | halo_features_available_reserved(n->features);
    device->avail = at(n->slot, (uint64_t)(n->lap ? HALO_DESC_AVAIL : HALO_DESC_USED) << 48);
    device->used = at(n->slot, n->lap ? HALO_META_PHASE : 0);
    device->published = at(0, HALO_META_PHASE);
    s->memory.region_count = 1;
    s->regions[0] = (struct halo_region){n->batch, n->other_batch,
                                         (unsigned char *)(uintptr_t)0x10000000, n->length};
    s->span_max = n->flag ? 2 : 0;
    for (uint32_t i = 0; i < 2; i++)
        s->done[i] = (struct halo_done){{n->meta[i]}, n->len[i]};
    return make_ring(s, n);
}

static bool same_at(struct halo_at a, struct halo_at b)
{
    return a.phase == b.phase && (a.desc == b.desc || (a.desc < table && b.desc < table) ||
                                  (a.desc >= table + SIZE && b.desc >= table + SIZE));
}

static bool same_violation(const struct halo_violation *a, const struct halo_violation *b)
{
    return a->reason == b->reason && a->slot == b->slot && a->id == b->id && a->addr == b->addr &&
           a->meta == b->meta;
}

/* The plain path reads no word more often than the walk, or an address once; both write the same.
 */
static bool same_ring(const struct state *a, const struct state *b)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        if (a->new_meta[i] != b->new_meta[i] || a->new_addr[i] != b->new_addr[i] ||
            a->writes[i] != b->writes[i] || a->meta_loads[i] > b->meta_loads[i] ||
            (a->addr_loads[i] > 1 && a->addr_loads[i] > b->addr_loads[i]))
            return false;
    }
    return a->result == b->result;
}

static bool same_driver(const struct state *x, const struct state *y)
{
    const struct halo_driver *a = &x->driver, *b = &y->driver;

    for (uint32_t i = 0; i < SIZE; i++) {
        const struct halo_driver_chain *p = &x->driver_chains[i], *q = &y->driver_chains[i];
        const uint32_t slots = halo_driver_chain_slots(p);

        if (slots != halo_driver_chain_slots(q))
            return false;
        if (slots ? (p->limit ? halo_plain_capacity(p->limit) : p->capacity) !=
                            (q->limit ? halo_plain_capacity(q->limit) : q->capacity) ||
                        (a->staged > 0 && (p->batch == a->batch) != (q->batch == b->batch))
                  : a->held == 0 && p->next != q->next) /* of a held id it is not looked at */
            return false;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (x->used[i].id != y->used[i].id || x->used[i].len != y->used[i].len ||
            x->used[i].kind != y->used[i].kind || x->used[i].word != y->used[i].word ||
            x->ids[i] != y->ids[i])
            return false;
    }
    return same_at(a->avail, b->avail) && same_at(a->published, b->published) &&
           same_at(a->used, b->used) && a->free_slots == b->free_slots &&
           a->free_id == b->free_id && a->ids == b->ids && a->staged == b->staged &&
           a->held == b->held && a->batch == b->batch && a->unannounced == b->unannounced &&
           (a->staged == 0 || a->batch_meta == b->batch_meta) &&
           same_violation(&a->violation, &b->violation) && same_ring(x, y);
}

static bool same_chain(const struct halo_chain *a, const struct halo_chain *b)
{
    if (a->token.word != b->token.word || a->readable_len != b->readable_len ||
        a->writable_len != b->writable_len || a->readable_count != b->readable_count ||
        a->writable_count != b->writable_count || a->slots != b->slots ||
        a->is_inline != b->is_inline || a->reject != b->reject)
        return false;
    if (a->reject && a->bad_addr.value != b->bad_addr.value)
        return false;
    for (uint32_t i = 0; i < HALO_INLINE_REQUEST_MAX && a->is_inline; i++) {
        if (a->inline_bytes[i] != b->inline_bytes[i] || a->inline_len != b->inline_len)
            return false;
    }
    return true;
}

static bool same_device(const struct state *x, const struct state *y)
{
    const struct halo_device *a = &x->device, *b = &y->device;
    /* How many chains there are to compare: one that was refused is one, too. */
    const int taken = x->result == HALO_EREJECT ? 1 : x->result;

    for (uint32_t i = 0; i < SIZE; i++) {
        const struct halo_device_chain *p = &x->device_chains[i], *q = &y->device_chains[i];
        const uint32_t slots = halo_device_chain_slots(p);

        if (p->token != q->token || slots != halo_device_chain_slots(q) ||
            (slots && ((p->limit ? halo_plain_capacity(p->limit) : p->capacity) !=
                       (q->limit ? halo_plain_capacity(q->limit) : q->capacity))))
            return false;
    }
    for (int i = 0; i < taken && i < 2; i++) {
        if (!same_chain(&x->chains[i], &y->chains[i]))
            return false;
        for (uint32_t k = 0; k < x->chains[i].readable_count + x->chains[i].writable_count; k++) {
            const struct halo_span *p = &x->spans[2 * i + k], *q = &y->spans[2 * i + k];

            if (p->base != q->base || p->len != q->len)
                return false;
        }
    }
    return same_at(a->avail, b->avail) && same_at(a->used, b->used) &&
           same_at(a->published, b->published) && a->room == b->room && a->staged == b->staged &&
           a->unannounced == b->unannounced && a->ids == b->ids &&
           (a->staged == 0 || a->batch_meta == b->batch_meta) &&
           (taken <= 0 || a->newest == b->newest) && same_violation(&a->violation, &b->violation) &&
           same_ring(x, y);
}

#define NUMBERS                                                                                    \
    uint64_t m0, uint64_t m1, uint64_t a0, uint64_t a1, uint64_t l0, uint64_t l1, uint64_t w0,     \
        uint64_t w1, uint64_t b0, uint64_t b1, uint32_t c0, uint32_t c1, uint32_t n0, uint32_t n1, \
        uint32_t free_slots, uint32_t staged, uint32_t len_max, uint32_t features,                 \
        uint32_t length, uint32_t slot, uint16_t s0, uint16_t s1, uint16_t x0, uint16_t x1,        \
        uint16_t id, bool lap, bool flag

#define PROVE(side, name)                                                                       \
    bool side##_##name(NUMBERS)                                                                 \
    {                                                                                           \
        const struct numbers n = {{m0, m1},   {a0, a1}, {l0, l1}, {w0, w1},                     \
                                  b0,         b1,       {c0, c1}, {n0, n1},                     \
                                  free_slots, staged,   len_max,  features & HALO_FEATURES_ALL, \
                                  length,     slot,     {s0, s1}, {x0, x1},                     \
                                  id,         lap,      flag};                                  \
        struct state first = {0}, second;                                                       \
                                                                                                \
        if (!make_##side(&first, &n))                                                           \
            return true;                                                                        \
        second = first;                                                                         \
        plain_##side##_##name(&first);                                                          \
        walk_##side##_##name(&second);                                                          \
        return same_##side(&first, &second);                                                    \
    }

PROVE(driver, add)
PROVE(driver, submit)
PROVE(driver, submit_batch)
PROVE(driver, poll)
PROVE(driver, poll_held)
PROVE(driver, poll_batch)
PROVE(device, poll)
PROVE(device, poll_batch)
PROVE(device, complete)
PROVE(device, finish)
PROVE(device, finish_batch)
