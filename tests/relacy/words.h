/*
 * Each word of the ring that two threads share, handed on to the model checker: included by the
 * subjects, which say before where the ring is (place) and what shared_load_meta and its kin are.
 */
#ifndef WORDS_H
#define WORDS_H

#include <halo/ring.h>

static uint32_t slot_of(const HALO_SHARED struct halo_desc *desc)
{
    return (uint32_t)(desc - place.desc);
}

static uint32_t side_of(const HALO_SHARED struct halo_event *event)
{
    return event == place.device_event;
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    return desc == &halo_ring_latched ? 0 : shared_load_meta(slot_of(desc));
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    return shared_load_addr(slot_of(desc));
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    shared_stage_addr(slot_of(desc), addr);
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    shared_stage_meta(slot_of(desc), meta);
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    shared_publish_meta(slot_of(desc), meta);
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    return shared_load_event(side_of(event));
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    shared_store_event(side_of(event), word);
}

void halo_shm_fence(void)
{
    shared_fence();
}

#endif
