/*
 * What holds between any two operations of a side, looked at before those that change anything in a
 * build with -Dchecks=true: a program that breaks it is stopped there, before it can do harm
 * elsewhere. Only private state is looked at, never shared memory. Without the option all this is
 * nothing.
 */
#include "check.h"
#include <halo/device.h>
#include <halo/driver.h>
#include <halo/halves.h>

#ifdef HALO_CHECKS

/* A cursor on a descriptor of the table, with a phase of its kind. */
static void check_at(struct halo_at at, const struct halo_ring_place *place, bool is_used)
{
    const uint64_t phase = at.phase >> 48;
    const uintptr_t offset =
        (uintptr_t)halo_shm_expose(at.desc) - (uintptr_t)halo_shm_expose(place->desc);

    HOLDS(offset % sizeof(struct halo_desc) == 0 &&
          offset / sizeof(struct halo_desc) < place->size);
    HOLDS(is_used ? phase == 0 || phase == HALO_PHASE_MASK
                  : phase == HALO_DESC_AVAIL || phase == HALO_DESC_USED);
    HOLDS(at.phase << 16 == 0);
}

/* Slots from one cursor on to another, 0 to `size`, in a ring where they can stand so. */
static uint32_t between(struct halo_at from, struct halo_at to, const struct halo_ring_place *place)
{
    const struct halo_positions at = {halo_cursor_position(halo_at_cursor(to, place)),
                                      halo_cursor_position(halo_at_cursor(from, place))};

    return halo_positions_between(at, place->size);
}

/* Records are looked at each time in small rings, and once in a while in large ones. */
static bool is_time(struct halo_at at, const struct halo_ring_place *place)
{
    return (uint32_t)(at.desc - place->desc) % (place->size / 64 + 1) == 0;
}

/* Each slot is free or of a chain in flight, and each id is on the list or in flight, once. */
static void check_driver_records(const struct halo_driver *driver)
{
    uint32_t slots = 0, in_flight = 0, id = driver->free_id;

    for (uint32_t i = 0; i < driver->place.size; i++) {
        const struct halo_driver_chain *chain = &driver->chains[i];

        HOLDS(chain->limit == 0 || chain->slots == 0);
        HOLDS(chain->batch <= driver->batch);
        slots += halo_driver_chain_slots(chain);
        in_flight += halo_driver_chain_slots(chain) > 0;
    }
    HOLDS(slots + driver->free_slots == driver->place.size);
    HOLDS(in_flight + driver->held <= driver->place.size);
    for (uint32_t i = in_flight + driver->held; i < driver->place.size; i++) {
        HOLDS(id < driver->place.size && halo_driver_chain_slots(&driver->chains[id]) == 0);
        id = driver->chains[id].next;
    }
}

void halo_driver_check(const struct halo_driver *driver)
{
    const struct halo_ring_place *place = &driver->place;
    const uint32_t taken = place->size - driver->free_slots;

    if (driver->violation.reason) { /* RES-03 */
        HOLDS(driver->ids == 0 && driver->free_slots == 0);
        HOLDS(driver->staged == 0 && driver->unannounced == 0);
        HOLDS(driver->used.desc == halo_at_latched().desc);
        return;
    }
    check_at(driver->avail, place, false);
    check_at(driver->published, place, false);
    check_at(driver->used, place, true);
    HOLDS(driver->end == place->desc + place->size);
    HOLDS(driver->ids == place->size || driver->ids == 0);
    HOLDS(driver->free_slots <= place->size && driver->staged <= taken);
    HOLDS(between(driver->used, driver->avail, place) == taken);
    HOLDS(between(driver->published, driver->avail, place) == driver->staged);
    if (is_time(driver->avail, place))
        check_driver_records(driver);
}

/* Each slot is of a chain in flight, completed but unpublished, or room for chains to come. */
static void check_device_records(const struct halo_device *device)
{
    uint32_t slots = 0;

    for (uint32_t id = 0; id < device->place.size; id++) {
        const struct halo_device_chain *record = &device->chains[id];
        const uint32_t own = halo_device_chain_slots(record);

        HOLDS((uint16_t)record->token == id);
        HOLDS(!(record->token & HALO_TOKEN_FREE) == (own > 0));
        HOLDS(record->limit == 0 || record->slots == 0);
        slots += own;
    }
    HOLDS(slots == halo_device_in_flight(device));
}

void halo_device_check(const struct halo_device *device)
{
    const struct halo_ring_place *place = &device->place;

    if (device->violation.reason) { /* RES-03 */
        HOLDS(device->ids == 0 && device->staged == 0 && device->unannounced == 0);
        HOLDS(device->avail.desc == halo_at_latched().desc);
        return;
    }
    check_at(device->avail, place, false);
    check_at(device->used, place, true);
    check_at(device->published, place, true);
    HOLDS(device->end == place->desc + place->size);
    HOLDS(device->ids == place->size || device->ids == 0);
    HOLDS(device->room <= place->size && device->staged <= place->size - device->room);
    HOLDS(between(device->used, device->avail, place) == halo_device_in_flight(device));
    HOLDS(between(device->published, device->used, place) == device->staged);
    if (is_time(device->avail, place))
        check_device_records(device);
}

/* --- A driver in two halves: each looks at its own state, and at the other's as that is handed
 * over */

void halo_submitter_check(const struct halo_submitter *submitter)
{
    const struct halo_ring_place *place = &submitter->place;
    const uint32_t returned = halo_shm_load_returned(submitter->returned);

    check_at(submitter->avail, place, false);
    HOLDS(submitter->end == place->desc + place->size);
    HOLDS(submitter->next < place->size && submitter->sent < HALO_HALVES_BROKEN);
    HOLDS(returned & HALO_HALVES_BROKEN ||
          ((submitter->sent - returned) & (HALO_HALVES_BROKEN - 1)) <= place->size);
}

/* An id is in flight once, so its record is at most one generation ahead of what came back. */
void halo_reaper_check(const struct halo_reaper *reaper)
{
    const struct halo_ring_place *place = &reaper->place;
    const uint32_t returned = halo_shm_load_returned(&reaper->returned);

    check_at(reaper->used, place, true);
    HOLDS(reaper->end == place->desc + place->size);
    HOLDS(reaper->next < place->size && reaper->reaped < HALO_HALVES_BROKEN);
    HOLDS(!reaper->violation.reason == !(returned & HALO_HALVES_BROKEN));
    HOLDS(reaper->violation.reason ||
          ((reaper->reaped - returned) & (HALO_HALVES_BROKEN - 1)) <= place->size);
    HOLDS(reaper->violation.reason ? reaper->failed <= place->size : reaper->failed == 0);
    for (uint32_t id = 0; id < place->size && is_time(reaper->used, place); id++) {
        const uint64_t record = halo_shm_load_record(&reaper->records[id]);

        HOLDS((uint16_t)((uint16_t)(record >> 48) - reaper->seen[id]) <= 1);
    }
}

#endif
