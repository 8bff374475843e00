/* The ring's unchanged sources, with each access to shared memory handed on to the model checker.
 */
#include "subject.h"

#include <halo/device.h>
#include <halo/driver.h>

#include <stdlib.h>
#include <string.h>

#define BASE 0x1000u

static _Alignas(64) unsigned char memory[SUBJECT_SIZE_MAX * 16 + 128];
static unsigned char ram[4096];
static const struct halo_region region = {BASE, sizeof(ram), ram, HALO_MAY_READ | HALO_MAY_WRITE};
static const struct halo_memory guest = {&region, 1};
static struct halo_ring_place place;
static struct halo_driver driver;
static struct halo_device device;
static struct halo_driver_chain driver_chains[SUBJECT_SIZE_MAX];
static struct halo_device_chain device_chains[SUBJECT_SIZE_MAX];
static struct halo_token tokens[SUBJECT_SIZE_MAX];

#include "words.h"

void subject_start(uint32_t size)
{
    memset(device_chains, 0, sizeof(device_chains));
    if (halo_ring_place_in(halo_shm_share(memory), size, &place) ||
        halo_driver_init(&driver, &place, driver_chains) ||
        halo_device_init(&device, &place, &guest, device_chains, sizeof(ram)))
        abort();
}

/* Holds at every access to shared memory, for both sides then have finished or not begun a change.
 */
int subject_sound(void)
{
    uint32_t lent = 0, taken = 0;

    for (uint32_t id = 0; id < place.size; id++) {
        const uint32_t there = halo_driver_chain_slots(&driver_chains[id]);
        const uint32_t here = halo_device_chain_slots(&device_chains[id]);

        if (here && here != there)
            return 0;
        lent += there;
        taken += here;
    }
    return !driver.violation.reason && !device.violation.reason &&
           driver.free_slots + lent == place.size && halo_device_in_flight(&device) == taken &&
           halo_device_in_flight(&device) + device.staged <= lent;
}

int subject_at_rest(void)
{
    return driver.free_slots == place.size && driver.staged == 0 &&
           halo_device_in_flight(&device) == 0 && device.staged == 0;
}

int driver_add(const uint64_t *addrs, uint32_t readable, uint32_t writable)
{
    struct halo_buf bufs[SUBJECT_SIZE_MAX];

    for (uint32_t i = 0; i < readable + writable; i++)
        bufs[i] = (struct halo_buf){BASE + addrs[i], 1};
    return halo_driver_add(&driver, bufs, readable, writable);
}

uint32_t driver_room(void)
{
    return halo_driver_room(&driver);
}

void driver_publish(void)
{
    halo_driver_publish(&driver);
}

int driver_should_kick(void)
{
    return halo_driver_should_kick(&driver);
}

int driver_poll(uint16_t *id, uint32_t *len)
{
    struct halo_used used;
    int got = halo_driver_poll(&driver, &used);

    if (got == 1) {
        *id = used.id;
        *len = used.len;
    }
    return got;
}

int driver_arm(void)
{
    return halo_driver_arm(&driver);
}

void driver_disarm(void)
{
    halo_driver_disarm(&driver);
}

int device_poll(uint16_t *id, uint32_t *readable, uint32_t *writable, uint64_t *addrs)
{
    struct halo_chain chain;
    struct halo_span spans[SUBJECT_SIZE_MAX];
    int got = halo_device_poll(&device, &chain, spans, SUBJECT_SIZE_MAX);

    if (got == 1) {
        *id = halo_token_id(chain.token);
        *readable = chain.readable_count;
        *writable = chain.writable_count;
        tokens[halo_token_id(chain.token)] = chain.token;
        for (uint32_t i = 0; i < chain.readable_count + chain.writable_count; i++)
            addrs[i] = (uint64_t)(spans[i].base - region.host);
    }
    return got;
}

int device_complete(uint16_t id, uint32_t len)
{
    return halo_device_complete(&device, tokens[id], len);
}

void device_publish(void)
{
    halo_device_publish(&device);
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
