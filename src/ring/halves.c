/*
 * A driver in two halves, for two threads. Each function is one half's; what passes from one to the
 * other are the words of halo/shm.h, "between two threads of one side".
 *
 *     submit    take an id that came back, write its record, then publish the descriptors
 *     poll      judge the used entry by the record, note the id in the ring of returned ones
 *     return    hand over all that were noted
 *
 * There is no plain path beside a walk here: a chain of one is a chain of any number.
 */
#include <halo/halves.h>

/*
 * A record is one word, so that the reaping half has all of it from one load: writable bytes in
 * bits 0 to 31, slots in bits 32 to 47, and a generation above, one more for each chain of this id.
 * In flight is what has another generation than the one that came back last.
 */
#define GENERATION 48
#define SLOTS 32

static uint32_t record_slots(uint64_t record)
{
    return (uint32_t)(record >> SLOTS) & UINT16_MAX;
}

int halo_halves_init(struct halo_halves *halves, const struct halo_ring_place *place,
                     uint64_t *records, uint16_t *ids, uint16_t *seen)
{
    int error = halo_ring_place_check(place);

    if (error)
        return error;
    *halves = (struct halo_halves){
        .submitter = {.avail = halo_at_start(place, HALO_DESC_AVAIL),
                      .records = records,
                      .ids = ids,
                      .returned = &halves->reaper.returned,
                      .end = place->desc + place->size,
                      .place = *place},
        .reaper = {.used = halo_at_start(place, HALO_PHASE_MASK),
                   .records = records,
                   .ids = ids,
                   .seen = seen,
                   .refused = halo_features_used_reserved(0),
                   .end = place->desc + place->size,
                   .place = *place},
    };
    for (uint32_t id = 0; id < place->size; id++) { /* all came back, in a lap before the first */
        records[id] = 0;
        ids[id] = (uint16_t)id;
        seen[id] = 0;
    }
    return 0;
}

/* --- Submitting --------------------------------------------------------------------------------
 */

/*
 * How many slots are free by this word of the reaping half's. Where that is one at least, the next
 * place in the ring of ids holds a free one: a chain in flight has as many ids as slots at most.
 */
static uint32_t half_room(const struct halo_submitter *submitter, uint32_t returned)
{
    const uint32_t in_flight = (submitter->sent - returned) & (HALO_HALVES_BROKEN - 1);

    return returned & HALO_HALVES_BROKEN ? 0 : submitter->place.size - in_flight;
}

uint32_t halo_submitter_room(const struct halo_submitter *submitter)
{
    return half_room(submitter, halo_shm_load_returned(submitter->returned));
}

/* Take the next free id for a chain, and write its record: from here on it may come back. */
static uint16_t half_begin(struct halo_submitter *submitter, uint32_t slots, uint32_t capacity)
{
    const uint16_t id = halo_shm_load_id(&submitter->ids[submitter->next]);
    uint64_t *record = &submitter->records[id];
    const uint64_t generation = (halo_shm_load_record(record) >> GENERATION) + 1;

    submitter->next = submitter->next + 1 == submitter->place.size ? 0 : submitter->next + 1;
    submitter->sent = (submitter->sent + slots) & (HALO_HALVES_BROKEN - 1);
    submitter->unannounced += slots;
    halo_shm_store_record(record, generation << GENERATION | (uint64_t)slots << SLOTS | capacity);
    return id;
}

int halo_submitter_submit(struct halo_submitter *submitter, const struct halo_buf *bufs,
                          uint32_t readable, uint32_t writable)
{
    const uint32_t returned = halo_shm_load_returned(submitter->returned);
    const uint32_t total = readable + writable, size = submitter->place.size;
    const struct halo_at first = submitter->avail;
    struct halo_at at = first;
    uint64_t capacity = 0, withheld = 0;
    uint16_t id;

    halo_submitter_check(submitter);
    if (returned & HALO_HALVES_BROKEN)
        return HALO_EBROKEN;
    if (readable > HALO_RING_MAX || writable > HALO_RING_MAX || total == 0 || total > size)
        return HALO_EINVAL;
    if (total > half_room(submitter, returned))
        return HALO_EFULL;
    for (uint32_t i = readable; i < total; i++)
        capacity += bufs[i].len;
    if (capacity > UINT32_MAX)
        return HALO_EINVAL;
    id = half_begin(submitter, total, (uint32_t)capacity);
    for (uint32_t i = 0; i < total; i++) {
        const uint32_t flags =
            (i >= readable ? HALO_DESC_WRITE : 0u) | (i + 1 < total ? HALO_DESC_NEXT : 0u);
        const uint64_t meta = halo_meta(bufs[i].len, id, (uint16_t)flags) | at.phase;

        halo_shm_stage_addr(at.desc, bufs[i].addr);
        if (i == 0)
            withheld = meta;
        else
            halo_shm_stage_meta(at.desc, meta);
        at = halo_at_step(at, &submitter->place, submitter->end);
    }
    submitter->avail = at;
    halo_shm_publish_meta(first.desc, withheld); /* WRAP-04 */
    return id;
}

int halo_submitter_submit_batch(struct halo_submitter *submitter, const struct halo_buf *bufs,
                                uint32_t count, bool writable, uint16_t *ids)
{
    const uint32_t returned = halo_shm_load_returned(submitter->returned);
    const uint32_t room = half_room(submitter, returned);
    const uint64_t direction = writable ? HALO_META_WRITE : 0;
    const struct halo_at first = submitter->avail;
    struct halo_at at = first;
    uint64_t withheld = 0;

    halo_submitter_check(submitter);
    if (count == 0)
        return 0;
    if (room == 0)
        return returned & HALO_HALVES_BROKEN ? HALO_EBROKEN : HALO_EFULL;
    if (count > room)
        count = room;
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t id = half_begin(submitter, 1, writable ? bufs[i].len : 0);
        const uint64_t meta = bufs[i].len | direction | (uint64_t)id << 32 | at.phase;

        ids[i] = id;
        halo_shm_stage_addr(at.desc, bufs[i].addr);
        if (i == 0)
            withheld = meta;
        else
            halo_shm_stage_meta(at.desc, meta);
        at = halo_at_step(at, &submitter->place, submitter->end);
    }
    submitter->avail = at;
    halo_shm_publish_meta(first.desc, withheld); /* WRAP-04 */
    return (int)count;
}

bool halo_submitter_should_kick(struct halo_submitter *submitter)
{
    const uint64_t count = submitter->unannounced;
    uint32_t word;

    halo_submitter_check(submitter);
    if (count == 0 || halo_shm_load_returned(submitter->returned) & HALO_HALVES_BROKEN)
        return false;
    submitter->unannounced = 0;
    halo_shm_fence();
    word = halo_shm_load_event(submitter->place.device_event);
    return halo_event_wanted(word, halo_at_cursor(submitter->avail, &submitter->place), count,
                             submitter->place.size);
}

/* --- Reaping -----------------------------------------------------------------------------------
 */

static int half_latch(struct halo_reaper *reaper, enum halo_broken reason, uint64_t meta)
{
    reaper->violation = (struct halo_violation){
        .reason = reason,
        .slot = (uint16_t)halo_at_cursor(reaper->used, &reaper->place).slot,
        .id = halo_meta_id(meta),
        .meta = meta,
    };
    halo_shm_store_returned(&reaper->returned, HALO_HALVES_BROKEN);
    return HALO_EBROKEN;
}

int halo_reaper_poll(struct halo_reaper *reaper, struct halo_used *used)
{
    uint32_t flags, id, len;
    uint64_t meta, record;

    halo_reaper_check(reaper);
    if (reaper->violation.reason)
        return HALO_EBROKEN;
    meta = halo_shm_load_meta(reaper->used.desc);
    if ((meta ^ reaper->used.phase) & HALO_META_PHASE)
        return 0; /* DRV-11 */
    halo_shm_prefetch(reaper->used.desc);
    flags = halo_meta_flags(meta);
    id = halo_meta_id(meta);
    if (flags & reaper->refused)
        return half_latch(reaper, HALO_BROKEN_RESERVED, meta);
    if (id >= reaper->place.size)
        return half_latch(reaper, HALO_BROKEN_BAD_ID, meta); /* DRV-01 */
    record = halo_shm_load_record(&reaper->records[id]);
    if (record >> GENERATION == reaper->seen[id])
        return half_latch(reaper, HALO_BROKEN_NOT_IN_FLIGHT, meta); /* DRV-02, DRV-03 */
    len = flags & HALO_DESC_WRITE ? halo_meta_len(meta) : 0;        /* DRV-06 */
    if (len > (uint32_t)record)
        return half_latch(reaper, HALO_BROKEN_LENGTH, meta); /* DRV-04 */
    *used = (struct halo_used){.id = (uint16_t)id, .len = len};
    reaper->seen[id] = (uint16_t)(record >> GENERATION);
    reaper->used = halo_at_advance(reaper->used, record_slots(record), &reaper->place, reaper->end);
    halo_shm_store_id(&reaper->ids[reaper->next], (uint16_t)id);
    reaper->next = reaper->next + 1 == reaper->place.size ? 0 : reaper->next + 1;
    reaper->reaped = (reaper->reaped + record_slots(record)) & (HALO_HALVES_BROKEN - 1);
    return 1;
}

int halo_reaper_poll_batch(struct halo_reaper *reaper, struct halo_used *used, uint32_t max)
{
    uint32_t count = 0;
    int got = 0;

    while (count < max && (got = halo_reaper_poll(reaper, &used[count])) > 0)
        count++;
    return count > 0 ? (int)count : got;
}

void halo_reaper_return(struct halo_reaper *reaper)
{
    halo_reaper_check(reaper);
    if (!reaper->violation.reason)
        halo_shm_store_returned(&reaper->returned, reaper->reaped);
}

bool halo_reaper_arm(struct halo_reaper *reaper)
{
    uint64_t meta;

    halo_reaper_check(reaper);
    if (reaper->violation.reason)
        return true;
    halo_shm_store_event(reaper->place.driver_event,
                         halo_event_at(halo_at_cursor(reaper->used, &reaper->place)));
    halo_shm_fence();
    meta = halo_shm_load_meta(reaper->used.desc);
    return ((meta ^ reaper->used.phase) & HALO_META_PHASE) == 0;
}

void halo_reaper_disarm(struct halo_reaper *reaper)
{
    halo_reaper_check(reaper);
    if (!reaper->violation.reason)
        halo_shm_store_event(reaper->place.driver_event, HALO_EVENT_NEVER << 16);
}

void halo_reaper_stop(struct halo_reaper *reaper)
{
    if (!reaper->violation.reason)
        (void)half_latch(reaper, HALO_BROKEN_STOPPED, 0);
}

int halo_reaper_fail(struct halo_reaper *reaper, uint16_t *id)
{
    halo_reaper_check(reaper);
    if (!reaper->violation.reason)
        return HALO_ESTATE;
    while (reaper->failed < reaper->place.size) {
        const uint32_t candidate = reaper->failed++;
        const uint64_t record = halo_shm_load_record(&reaper->records[candidate]);

        if (record >> GENERATION != reaper->seen[candidate]) {
            *id = (uint16_t)candidate;
            return 1;
        }
    }
    return 0;
}
