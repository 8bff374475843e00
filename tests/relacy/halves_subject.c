/*
 * The driver in two halves, unchanged, and a device, with each word that two threads share handed
 * on to the model checker: those of the ring, and those between the halves.
 */
#include "halves_subject.h"

#include <halo/device.h>
#include <halo/halves.h>

#include <stdlib.h>
#include <string.h>

static _Alignas(64) unsigned char memory[HALVES_SIZE_MAX * 16 + 128];
static unsigned char ram[64];
static const struct halo_region region = {0, sizeof(ram), ram, HALO_MAY_READ | HALO_MAY_WRITE};
static const struct halo_memory guest = {&region, 1};
static struct halo_ring_place place;
static struct halo_halves halves;
static uint64_t records[HALVES_SIZE_MAX];
static uint16_t ids[HALVES_SIZE_MAX], seen[HALVES_SIZE_MAX];
static struct halo_device device;
static struct halo_device_chain device_chains[HALVES_SIZE_MAX];

#include "words.h"

uint64_t halo_shm_load_record(const uint64_t *record)
{
    return shared_load_record((uint32_t)(record - records));
}

void halo_shm_store_record(uint64_t *record, uint64_t value)
{
    shared_store_record((uint32_t)(record - records), value);
}

uint16_t halo_shm_load_id(const uint16_t *id)
{
    return shared_load_id((uint32_t)(id - ids));
}

void halo_shm_store_id(uint16_t *id, uint16_t value)
{
    shared_store_id((uint32_t)(id - ids), value);
}

uint32_t halo_shm_load_returned(const uint32_t *returned)
{
    if (returned != &halves.reaper.returned)
        abort();
    return shared_load_returned();
}

void halo_shm_store_returned(uint32_t *returned, uint32_t value)
{
    if (returned != &halves.reaper.returned)
        abort();
    shared_store_returned(value);
}

/* What halo_halves_init writes by itself the checker's words have, too. */
void subject_start(uint32_t size)
{
    memset(device_chains, 0, sizeof(device_chains));
    if (halo_ring_place_in(halo_shm_share(memory), size, &place) ||
        halo_halves_init(&halves, &place, records, ids, seen) ||
        halo_device_init(&device, &place, &guest, device_chains, sizeof(ram)))
        abort();
    for (uint32_t id = 0; id < size; id++) {
        if (records[id] != 0 || ids[id] != id)
            abort();
    }
}

uint32_t submitter_room(void)
{
    return halo_submitter_room(&halves.submitter);
}

uint16_t submitter_next_id(uint32_t after)
{
    return halo_shm_load_id(&ids[(halves.submitter.next + after) % place.size]);
}

int submitter_submit(const uint64_t *addrs, uint32_t count)
{
    struct halo_buf bufs[HALVES_SIZE_MAX];
    uint16_t got[HALVES_SIZE_MAX];

    for (uint32_t i = 0; i < count; i++)
        bufs[i] = (struct halo_buf){addrs[i], 1};
    if (count == 1)
        return halo_submitter_submit(&halves.submitter, bufs, 0, 1) >= 0;
    return halo_submitter_submit_batch(&halves.submitter, bufs, count, true, got);
}

int submitter_should_kick(void)
{
    return halo_submitter_should_kick(&halves.submitter);
}

int reaper_poll(uint16_t *id)
{
    struct halo_used used;
    const int got = halo_reaper_poll(&halves.reaper, &used);

    *id = used.id;
    return got;
}

void reaper_return(void)
{
    halo_reaper_return(&halves.reaper);
}

int reaper_arm(void)
{
    return halo_reaper_arm(&halves.reaper);
}

void reaper_disarm(void)
{
    halo_reaper_disarm(&halves.reaper);
}

/* Take one chain and give it back, published; its buffer is at `addr`. */
int device_take(uint64_t *addr, uint64_t *token)
{
    struct halo_span spans[1];
    struct halo_chain chain;
    const int got = halo_device_poll(&device, &chain, spans, 1);

    if (got == 1) {
        *addr = (uint64_t)(spans[0].base - ram);
        *token = chain.token.word;
    }
    return got;
}

int device_finish(uint64_t token)
{
    return halo_device_finish(&device, (struct halo_token){token}, 1);
}

int device_should_notify(void)
{
    return halo_device_should_notify(&device);
}

int device_arm(void)
{
    return halo_device_arm(&device);
}

void device_disarm(void)
{
    halo_device_disarm(&device);
}

/* As a device that looks at nothing: a used entry of the first lap for the id, ordered with
 * nothing.
 */
void device_guess(uint32_t slot, uint16_t id)
{
    shared_stage_meta(slot, halo_meta(0, id, HALO_PHASE_MASK));
}
