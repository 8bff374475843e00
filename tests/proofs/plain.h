/* What a plain path and the walk are each given a copy of, and what they make of it. */
#ifndef PLAIN_H
#define PLAIN_H

#define HALO_SHM_TEST
#include <halo/device.h>
#include <halo/driver.h>

#ifndef SIZE
#define SIZE 2u
#endif

/* Nothing is stored there: only where in it a word lies is of interest. */
extern struct halo_desc table[SIZE];

struct state {
    struct halo_driver driver;
    struct halo_driver_chain driver_chains[SIZE];
    struct halo_device device;
    struct halo_device_chain device_chains[SIZE];
    struct halo_region regions[2];
    struct halo_memory memory;
    /* the ring: what is read of it, what was written, and how often each word was read */
    uint64_t meta[SIZE], addr[SIZE], new_meta[SIZE], new_addr[SIZE];
    uint32_t writes[SIZE], meta_loads[SIZE], addr_loads[SIZE];
    /* what is asked, and answered */
    struct halo_buf bufs[2];
    struct halo_done done[2];
    bool writable;
    int result;
    uint16_t ids[2];
    struct halo_used used[2];
    struct halo_chain chains[2];
    struct halo_span spans[4];
    uint32_t span_max;
};

#define OPERATIONS(each)                                                                       \
    each(driver_add) each(driver_submit) each(driver_submit_batch) each(driver_poll)           \
        each(driver_poll_held) each(driver_poll_batch) each(device_poll) each(device_complete) \
            each(device_finish) each(device_finish_batch) each(device_poll_batch)

#define DECLARE(name) void plain_##name(struct state *state), walk_##name(struct state *state);
OPERATIONS(DECLARE)

#endif
