/*
 * One side of the comparison: the operations of the ring, compiled as they are, with the plain
 * paths (SIDE is plain_) or with the walk alone (SIDE is walk_ and HALO_NO_PLAIN_PATH is defined).
 */
#include "plain.h"

#include "ring/device.c"
#include "ring/driver.c"

const struct halo_desc halo_ring_latched;
static struct state *now;

static bool is_in_table(const struct halo_desc *desc)
{
    return desc != &halo_ring_latched;
}

uint64_t halo_shm_load_meta(const struct halo_desc *desc)
{
    if (!is_in_table(desc))
        return 0;
    now->meta_loads[desc - table]++;
    return now->meta[desc - table];
}

uint64_t halo_shm_load_addr(const struct halo_desc *desc)
{
    now->addr_loads[desc - table]++;
    return now->addr[desc - table];
}

void halo_shm_stage_addr(struct halo_desc *desc, uint64_t addr)
{
    now->new_addr[desc - table] = addr;
    now->writes[desc - table] += 1;
}

void halo_shm_stage_meta(struct halo_desc *desc, uint64_t meta)
{
    now->new_meta[desc - table] = meta;
    now->writes[desc - table] += 16;
}

void halo_shm_publish_meta(struct halo_desc *desc, uint64_t meta)
{
    now->new_meta[desc - table] = meta;
    now->writes[desc - table] += 256;
}

#define PASTE(side, name) side##name
#define NAMED(side, name) PASTE(side, name)
#define OPERATION(name)                              \
    static int name(struct state *);                 \
    void NAMED(SIDE, name)(struct state * state)     \
    {                                                \
        now = state;                                 \
        state->driver.chains = state->driver_chains; \
        state->device.chains = state->device_chains; \
        state->memory.regions = state->regions;      \
        state->device.memory = &state->memory;       \
        halo_device_memory_changed(&state->device);  \
        state->result = name(state);                 \
    }
OPERATIONS(OPERATION)

static int driver_add(struct state *s)
{
    return halo_driver_add(&s->driver, s->bufs, !s->writable, s->writable);
}

static int driver_submit(struct state *s)
{
    return halo_driver_submit(&s->driver, s->bufs, !s->writable, s->writable);
}

static int driver_submit_batch(struct state *s)
{
    return halo_driver_submit_batch(&s->driver, s->bufs, 2, s->writable, s->ids);
}

static int driver_poll(struct state *s)
{
    return halo_driver_poll(&s->driver, s->used);
}

static int driver_poll_held(struct state *s)
{
    return halo_driver_poll_held(&s->driver, s->used);
}

static int driver_poll_batch(struct state *s)
{
    return halo_driver_poll_batch(&s->driver, s->used, 2);
}

static int device_poll(struct state *s)
{
    return halo_device_poll(&s->device, s->chains, s->spans, s->span_max);
}

static int device_poll_batch(struct state *s)
{
    return halo_device_poll_batch(&s->device, s->chains, 2, s->spans, s->span_max);
}

static int device_complete(struct state *s)
{
    return halo_device_complete(&s->device, s->done[0].token, s->done[0].written);
}

static int device_finish(struct state *s)
{
    return halo_device_finish(&s->device, s->done[0].token, s->done[0].written);
}

static int device_finish_batch(struct state *s)
{
    return halo_device_finish_batch(&s->device, s->done, 2);
}
