/* The driver's side of a ring: what is not hot. The rest is in halo/driver.h. */
#include <halo/driver.h>

int halo_driver_init(struct halo_driver *driver, const struct halo_ring_place *place,
                     struct halo_driver_chain *chains)
{
    int error = halo_ring_place_check(place);

    if (error)
        return error;
    *driver = (struct halo_driver){
        .place = *place,
        .chains = chains,
        .avail = halo_cursor_start(),
        .published = halo_cursor_start(),
        .used = halo_cursor_start(),
        .free_slots = place->size,
        .refused = halo_features_used_reserved(0),
    };
    for (uint32_t id = 0; id < place->size; id++) {
        /* The last id's `next` is never followed: there are never more chains than slots. */
        chains[id] = (struct halo_driver_chain){.next = (uint16_t)(id + 1)};
    }
    return 0;
}

int halo_driver_extend(struct halo_driver *driver, uint32_t features)
{
    if (!halo_features_valid(features))
        return HALO_EINVAL;
    driver->features = features;
    driver->refused = halo_features_used_reserved(features);
    return 0;
}

struct halo_positions halo_driver_positions(const struct halo_driver *driver)
{
    return (struct halo_positions){halo_cursor_position(driver->published),
                                   halo_cursor_position(driver->used)};
}

int halo_driver_resume(struct halo_driver *driver, struct halo_positions at)
{
    if (halo_positions_between(at, driver->place.size) != 0)
        return HALO_EINVAL;
    driver->avail = driver->published = driver->used = halo_cursor_at(at.avail);
    return 0;
}

void halo_driver_latch(struct halo_driver *driver, enum halo_broken reason, uint64_t meta)
{
    driver->violation = (struct halo_violation){
        .reason = reason,
        .slot = (uint16_t)driver->used.slot,
        .id = halo_meta_id(meta),
        .meta = meta,
    };
}

bool halo_driver_arm(struct halo_driver *driver)
{
    uint64_t meta;

    if (driver->violation.reason)
        return true;
    halo_shm_store_event(driver->place.driver_event, halo_event_at(driver->used));
    halo_shm_fence();
    meta = halo_shm_load_meta(&driver->place.desc[driver->used.slot]);
    return (halo_meta_flags(meta) & HALO_PHASE_MASK) == halo_cursor_used(driver->used);
}

void halo_driver_disarm(struct halo_driver *driver)
{
    if (!driver->violation.reason)
        halo_shm_store_event(driver->place.driver_event, HALO_EVENT_NEVER << 16);
}

void halo_driver_stop(struct halo_driver *driver)
{
    if (!driver->violation.reason)
        halo_driver_latch(driver, HALO_BROKEN_STOPPED, 0);
}

int halo_driver_fail(struct halo_driver *driver, uint16_t *id)
{
    if (!driver->violation.reason)
        return HALO_ESTATE;
    while (driver->failed < driver->place.size) {
        uint32_t candidate = driver->failed++;

        if (driver->chains[candidate].slots) {
            *id = (uint16_t)candidate;
            return 1;
        }
    }
    return 0;
}
