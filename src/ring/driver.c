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
        .avail = halo_at_start(place, HALO_DESC_AVAIL),
        .published = halo_at_start(place, HALO_DESC_AVAIL),
        .used = halo_at_start(place, HALO_PHASE_MASK),
        .end = place->desc + place->size,
        .free_slots = place->size,
        .ids = place->size,
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
    return (struct halo_positions){
        halo_cursor_position(halo_at_cursor(driver->published, &driver->place)),
        halo_cursor_position(halo_driver_used(driver))};
}

int halo_driver_resume(struct halo_driver *driver, struct halo_positions at)
{
    if (halo_positions_between(at, driver->place.size) != 0)
        return HALO_EINVAL;
    driver->avail = halo_at_move(driver->avail, &driver->place, halo_cursor_at(at.avail));
    driver->used = halo_at_move(driver->used, &driver->place, halo_cursor_at(at.used));
    driver->published = driver->avail;
    return 0;
}

/* Latch the queue: nothing is free, staged or unannounced from here on, and no id comes back. */
static int latch(struct halo_driver *driver, enum halo_broken reason, uint64_t meta)
{
    driver->violation = (struct halo_violation){
        .reason = reason,
        .slot = (uint16_t)halo_at_cursor(driver->used, &driver->place).slot,
        .id = halo_meta_id(meta),
        .meta = meta,
    };
    driver->stopped = driver->used;
    driver->used = halo_at_latched();
    driver->ids = 0;
    driver->free_slots = 0;
    driver->staged = 0;
    driver->unannounced = 0;
    return HALO_EBROKEN;
}

/* Does this kind of used entry go with the chain? */
static bool kind_is_sound(const struct halo_driver_chain *chain, uint32_t kind)
{
    if (kind == 0 || kind == HALO_DESC_TRUNCATED)
        return true;
    return kind == HALO_DESC_INLINE && chain->slots > 0 && chain->next == HALO_DESC_INLINE;
}

int halo_driver_take(struct halo_driver *driver, struct halo_used *used, uint64_t meta)
{
    const uint32_t flags = halo_meta_flags(meta), id = halo_meta_id(meta);
    HALO_SHARED struct halo_desc *desc = driver->used.desc;
    struct halo_driver_chain *chain;
    struct halo_used found = {.id = (uint16_t)id};
    uint32_t slots, capacity;

    if (driver->violation.reason)
        return HALO_EBROKEN;
    halo_shm_prefetch(desc);
    if (flags & driver->refused)
        return latch(driver, HALO_BROKEN_RESERVED, meta);
    if (id >= driver->place.size)
        return latch(driver, HALO_BROKEN_BAD_ID, meta); /* DRV-01 */
    chain = &driver->chains[id];
    slots = halo_driver_chain_slots(chain);
    if (slots == 0 || chain->batch == driver->batch)
        return latch(driver, HALO_BROKEN_NOT_IN_FLIGHT, meta);     /* DRV-02, DRV-03 */
    found.len = flags & HALO_DESC_WRITE ? halo_meta_len(meta) : 0; /* DRV-06 */
    found.kind = flags & (HALO_DESC_INLINE | HALO_DESC_TRUNCATED);
    if (!kind_is_sound(chain, found.kind))
        return latch(driver, HALO_BROKEN_INLINE, meta); /* EXT-05, EXT-06 */
    if (found.kind)
        found.word = halo_shm_load_addr(desc);
    capacity = chain->limit ? halo_plain_capacity(chain->limit) : chain->capacity;
    if (found.len > (found.kind == HALO_DESC_INLINE ? HALO_INLINE_ANSWER_MAX : capacity))
        return latch(driver, HALO_BROKEN_LENGTH, meta); /* DRV-04, EXT-04 */
    *used = found;
    driver->used = halo_at_advance(driver->used, slots, &driver->place, driver->end);
    driver->free_slots += slots;
    chain->limit = 0;
    chain->slots = 0;
    chain->next = (uint16_t)driver->free_id;
    driver->free_id = id;
    return 1;
}

/*
 * Batches go in runs: plain chains one after another, for which there is room and which end with
 * the lap at the latest. What changes with each chain is in variables of its own, for through
 * memory it would be slower: a store to the caller's array might have changed it there. A run is a
 * function of its own, so that these variables get registers.
 */

/*
 * halo_driver_add_plain for each of these, of which the first is not the first of the batch. They
 * are published before anything is looked at: their records need not say of which batch they are.
 */
__attribute__((noinline)) static void add_plain_run(struct halo_driver *driver,
                                                    const struct halo_buf *bufs, uint32_t count,
                                                    uint64_t direction, uint16_t *ids)
{
    HALO_SHARED struct halo_desc *desc = driver->avail.desc;
    const uint64_t phase = driver->avail.phase;
    uint32_t id = driver->free_id;

    for (uint32_t i = 0; i < count; i++, desc++) {
        const uint64_t body = bufs[i].len | direction;
        struct halo_driver_chain *chain = &driver->chains[id];

        halo_shm_stage_addr(desc, bufs[i].addr);
        halo_shm_stage_meta(desc, body | (uint64_t)id << 32 | phase);
        ids[i] = (uint16_t)id;
        id = chain->next;
        chain->limit = body + 1;
    }
    driver->avail = halo_at_advance(driver->avail, count, &driver->place, driver->end);
    driver->free_id = id;
    driver->free_slots -= count;
    driver->staged += count;
}

int halo_driver_submit_batch(struct halo_driver *driver, const struct halo_buf *bufs,
                             uint32_t count, bool writable, uint16_t *ids)
{
    const uint64_t direction = writable ? HALO_META_WRITE : 0;
    uint32_t done = 0, run;

    halo_driver_check(driver);
    if (count == 0)
        return 0;
    if (count > driver->free_slots)
        count = driver->free_slots;
    if (count == 0)
        return driver->violation.reason ? HALO_EBROKEN : HALO_EFULL;
    while (done < count) {
        if (HALO_PLAIN_PATH && driver->staged > 0) {
            run = halo_at_run(driver->avail, count - done, driver->end);
            add_plain_run(driver, bufs + done, run, direction, ids + done);
            done += run;
        } else { /* the first one's flags are withheld; and there is room for it */
            ids[done] = (uint16_t)halo_driver_add(driver, &bufs[done], !writable, writable);
            done++;
        }
    }
    halo_driver_publish(driver);
    return (int)count;
}

/*
 * halo_driver_poll as long as there are plain entries, and how many. Where one that is not plain
 * ended it, `meta` is its word, as it was loaded; where `max` did, it is left alone.
 */
__attribute__((noinline)) static uint32_t
poll_plain_run(struct halo_driver *driver, struct halo_used *used, uint32_t max, uint64_t *meta)
{
    HALO_SHARED struct halo_desc *desc = driver->used.desc, *const stop = desc + max;
    const uint64_t batch = driver->batch, phase = driver->used.phase;
    uint32_t free_id = driver->free_id, count;

    for (; desc != stop; desc++, used++) {
        const uint64_t loaded = halo_shm_load_meta(desc), word = loaded ^ phase;
        const uint32_t id = halo_plain_id(word);
        struct halo_driver_chain *chain = &driver->chains[id];

        if (id >= driver->ids || halo_plain_body(word) >= chain->limit || chain->batch == batch) {
            *meta = loaded;
            break;
        }
        halo_shm_prefetch(desc);
        used->id = (uint16_t)id;
        used->len = word & HALO_META_WRITE ? halo_meta_len(word) : 0; /* DRV-06 */
        used->kind = 0;
        used->word = 0;
        chain->limit = 0;
        chain->next = (uint16_t)free_id;
        free_id = id;
    }
    count = (uint32_t)(desc - driver->used.desc);
    driver->used = halo_at_advance(driver->used, count, &driver->place, driver->end);
    driver->free_id = free_id;
    driver->free_slots += count;
    return count;
}

int halo_driver_poll_batch(struct halo_driver *driver, struct halo_used *used, uint32_t max)
{
    uint32_t count = 0, run, took;
    uint64_t meta;
    int got = 0;

    halo_driver_check(driver);
    while (count < max) {
        if (HALO_PLAIN_PATH && driver->ids > 0) {
            run = halo_at_run(driver->used, max - count, driver->end);
            took = poll_plain_run(driver, used + count, run, &meta);
            count += took;
            if (took == run)
                continue;
            got = (meta ^ driver->used.phase) & HALO_META_PHASE
                      ? 0
                      : halo_driver_take(driver, &used[count], meta);
        } else {
            got = halo_driver_poll(driver, &used[count]);
        }
        if (got <= 0)
            break;
        count++;
    }
    return count > 0 ? (int)count : got;
}

bool halo_driver_arm(struct halo_driver *driver)
{
    const struct halo_cursor at = halo_driver_used(driver);

    halo_driver_check(driver);
    if (driver->violation.reason)
        return true;
    halo_shm_store_event(driver->place.driver_event, halo_event_at(at));
    halo_shm_fence();
    return halo_driver_has_next(driver);
}

/*
 * Are `count` descriptors used? A device writes one entry for a chain and skips the rest of it, so
 * that the entries have to be followed, by what the records know of their chains. Nothing is
 * decided by them: an entry that breaks a rule is left to poll, which finds it behind sound ones.
 */
static bool are_used(const struct halo_driver *driver, uint32_t count)
{
    struct halo_at at = driver->used;
    uint32_t used = 0, slots, id;
    uint64_t meta;

    while (used < count) {
        meta = halo_shm_load_meta(at.desc);
        if ((meta ^ at.phase) & HALO_META_PHASE)
            return false;
        id = halo_meta_id(meta);
        slots = id < driver->place.size ? halo_driver_chain_slots(&driver->chains[id]) : 0;
        if (slots == 0)
            return true;
        used += slots;
        at = halo_at_advance(at, slots, &driver->place, driver->end);
    }
    return true;
}

bool halo_driver_arm_after(struct halo_driver *driver, uint32_t count)
{
    const uint32_t in_flight = driver->place.size - driver->free_slots - driver->staged;

    halo_driver_check(driver);
    if (count > in_flight)
        count = in_flight;
    if (count <= 1 || driver->violation.reason)
        return halo_driver_arm(driver);
    halo_shm_store_event(driver->place.driver_event,
                         halo_event_at(halo_cursor_advance(halo_driver_used(driver), count - 1,
                                                           driver->place.size)));
    halo_shm_fence();
    return are_used(driver, count);
}

void halo_driver_disarm(struct halo_driver *driver)
{
    if (!driver->violation.reason)
        halo_shm_store_event(driver->place.driver_event, HALO_EVENT_NEVER << 16);
}

void halo_driver_stop(struct halo_driver *driver)
{
    halo_driver_check(driver);
    if (!driver->violation.reason)
        (void)latch(driver, HALO_BROKEN_STOPPED, 0);
}

int halo_driver_fail(struct halo_driver *driver, uint16_t *id)
{
    if (!driver->violation.reason)
        return HALO_ESTATE;
    while (driver->failed < driver->place.size) {
        uint32_t candidate = driver->failed++;

        if (halo_driver_chain_slots(&driver->chains[candidate])) {
            *id = (uint16_t)candidate;
            return 1;
        }
    }
    return 0;
}
