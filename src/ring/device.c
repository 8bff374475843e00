/* The device's side of a ring: the walk over a chain that an untrusted driver wrote. */
#include <halo/device.h>

int halo_device_init(struct halo_device *device, const struct halo_ring_place *place,
                     const struct halo_memory *memory, struct halo_device_chain *chains,
                     uint64_t len_max)
{
    int error = halo_ring_place_check(place);

    if (error)
        return error;
    if (len_max > UINT32_MAX)
        return HALO_EINVAL;
    *device = (struct halo_device){
        .place = *place,
        .memory = memory,
        .chains = chains,
        .len_max = len_max,
        .avail = halo_cursor_start(),
        .used = halo_cursor_start(),
        .published = halo_cursor_start(),
    };
    for (uint32_t id = 0; id < place->size; id++) {
        chains[id].slots = 0;
        chains[id].generation++; /* tokens from before are stale: ID-05 */
    }
    return 0;
}

static int broken(struct halo_device *device, enum halo_broken reason, struct halo_cursor at,
                  uint64_t addr, uint64_t meta)
{
    device->violation = (struct halo_violation){
        .reason = reason,
        .slot = (uint16_t)at.slot,
        .id = halo_meta_id(meta),
        .addr = addr,
        .meta = meta,
    };
    return HALO_EBROKEN;
}

/* The spans and the bytes of a chain stay below their limits, and sums of them do not overflow. */
/*@ predicate within_limits(struct halo_chain *chain, integer len_max, integer span_max) =
        chain->readable_len + chain->writable_len <= len_max &&
        chain->readable_count + chain->writable_count <= span_max;
*/

/* Take one buffer into the chain, or remember why it, or one before it, is not acceptable. */
/*@ requires \valid_read(device) && \valid(chain) && \valid(spans + (0 .. span_max - 1));
    requires \valid_read(device->memory) && \valid_read(device->memory->regions +
        (0 .. device->memory->region_count - 1));
    requires \separated(chain, spans + (0 .. span_max - 1), device, device->memory,
        device->memory->regions + (0 .. device->memory->region_count - 1));
    requires device->len_max <= UINT32_MAX && within_limits(chain, device->len_max, span_max);
    assigns *chain, spans[0 .. span_max - 1];
    ensures within_limits(chain, device->len_max, span_max);
    ensures chain->reject == HALO_REJECT_NOT ==>
        chain->readable_len + chain->writable_len ==
            \old(chain->readable_len + chain->writable_len) + len;
*/
static void take_buffer(const struct halo_device *device, struct halo_chain *chain,
                        struct halo_span *spans, uint32_t span_max, struct halo_gpa gpa,
                        uint32_t len, bool writable)
{
    uint32_t count = chain->readable_count + chain->writable_count;
    enum halo_right right = writable ? HALO_MAY_WRITE : HALO_MAY_READ;
    enum halo_reject reject = HALO_REJECT_NOT;

    if (len == 0 || chain->reject) /* DEV-11: neither translated nor touched */
        return;
    if (len > device->len_max - chain->readable_len - chain->writable_len) { /* DEV-12 */
        reject = HALO_REJECT_LENGTH;
    } else if (count == span_max) { /* DEV-17 */
        reject = HALO_REJECT_SEGMENTS;
    } else {
        switch (halo_memory_span(device->memory, gpa, len, right, &spans[count])) {
        case HALO_SPAN_OK:
            break;
        case HALO_SPAN_RANGE: /* DEV-13 */
            reject = HALO_REJECT_RANGE;
            break;
        case HALO_SPAN_PERMISSION: /* DEV-16 */
            reject = HALO_REJECT_PERMISSION;
            break;
        }
    }
    if (reject) {
        chain->reject = reject;
        chain->where = gpa;
    } else if (writable) {
        chain->writable_count++;
        chain->writable_len += len;
    } else {
        chain->readable_count++;
        chain->readable_len += len;
    }
}

int halo_device_poll(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max)
{
    const uint32_t size = device->place.size;
    /* What was completed is the driver's again only when it is published. */
    const uint32_t room = size - device->in_flight - (uint32_t)device->staged;
    struct halo_cursor at = device->avail;
    struct halo_device_chain *record;
    uint32_t flags, seen = 0;
    uint64_t addr = 0, meta;
    uint16_t id;

    if (device->violation.reason)
        return HALO_EBROKEN;
    meta = halo_shm_load_meta(&device->place.desc[at.slot]); /* TOC-01: the only load of it */
    flags = halo_meta_flags(meta);
    if ((flags & HALO_PHASE_MASK) != halo_cursor_available(at))
        return 0; /* DEV-06 */
    if (room == 0)
        return broken(device, HALO_BROKEN_OVERCOMMIT, at, 0, meta); /* DEV-22 */

    *chain = (struct halo_chain){.reject = HALO_REJECT_NOT};
    for (bool was_writable = false;;) {
        bool writable = flags & HALO_DESC_WRITE;

        addr = halo_shm_load_addr(&device->place.desc[at.slot]);
        if (flags & HALO_DESC_INDIRECT)
            return broken(device, HALO_BROKEN_INDIRECT, at, addr, meta); /* DEV-07 */
        if (flags & HALO_DESC_RESERVED)
            return broken(device, HALO_BROKEN_RESERVED, at, addr, meta); /* DEV-09 */
        if (was_writable && !writable)
            return broken(device, HALO_BROKEN_ORDER, at, addr, meta); /* DEV-10 */
        was_writable = writable;
        take_buffer(device, chain, spans, span_max, (struct halo_gpa){addr}, halo_meta_len(meta),
                    writable);
        seen++;
        if (!(flags & HALO_DESC_NEXT))
            break;
        if (seen == room) /* DEV-01, DEV-03: no more loads than there can be descriptors */
            return broken(device, room == size ? HALO_BROKEN_TOO_LONG : HALO_BROKEN_OVERCOMMIT, at,
                          addr, meta);
        at = halo_cursor_advance(at, 1, size);
        meta = halo_shm_load_meta(&device->place.desc[at.slot]);
        flags = halo_meta_flags(meta);
        if ((flags & HALO_PHASE_MASK) != halo_cursor_available(at))
            return broken(device, HALO_BROKEN_TORN, at, 0, meta); /* DEV-05 */
    }

    id = halo_meta_id(meta); /* ID-03: the last descriptor's */
    if (id >= size)
        return broken(device, HALO_BROKEN_BAD_ID, at, addr, meta); /* ID-01 */
    record = &device->chains[id];
    if (record->slots)
        return broken(device, HALO_BROKEN_DUPLICATE_ID, at, addr, meta); /* ID-02 */

    if (!chain->reject && chain->readable_len + chain->writable_len == 0)
        chain->reject = HALO_REJECT_EMPTY_CHAIN; /* DEV-11 */
    record->slots = seen;
    record->generation++;
    record->capacity = chain->reject ? 0 : (uint32_t)chain->writable_len;
    chain->token = (struct halo_token){record->generation, id};
    device->newest = chain->token;
    chain->slots = (uint16_t)seen;
    device->in_flight += seen;
    device->avail = halo_cursor_advance(at, 1, size);
    if (chain->reject) {
        chain->readable_count = chain->writable_count = 0;
        chain->readable_len = chain->writable_len = 0;
        halo_device_complete(device, chain->token, 0);
        return HALO_EREJECT;
    }
    return 1;
}

int halo_device_rewind(struct halo_device *device, struct halo_token token)
{
    struct halo_device_chain *record = &device->chains[device->newest.id];

    if (device->violation.reason)
        return HALO_EBROKEN;
    if (token.id != device->newest.id || token.generation != device->newest.generation ||
        record->slots == 0)
        return HALO_ESTALE;
    device->avail = halo_cursor_retreat(device->avail, record->slots, device->place.size);
    device->in_flight -= record->slots;
    record->slots = 0;
    return 0;
}

bool halo_device_arm(struct halo_device *device)
{
    uint64_t meta;

    if (device->violation.reason)
        return true;
    halo_shm_store_event(device->place.device_event, halo_event_at(device->avail));
    halo_shm_fence();
    meta = halo_shm_load_meta(&device->place.desc[device->avail.slot]);
    return (halo_meta_flags(meta) & HALO_PHASE_MASK) == halo_cursor_available(device->avail);
}

void halo_device_disarm(struct halo_device *device)
{
    if (!device->violation.reason)
        halo_shm_store_event(device->place.device_event, HALO_EVENT_NEVER << 16);
}

const char *halo_reject_name(enum halo_reject reason)
{
    switch (reason) {
    case HALO_REJECT_NOT:
        return "NOT";
    case HALO_REJECT_LENGTH:
        return "LENGTH";
    case HALO_REJECT_SEGMENTS:
        return "SEGMENTS";
    case HALO_REJECT_RANGE:
        return "RANGE";
    case HALO_REJECT_PERMISSION:
        return "PERMISSION";
    case HALO_REJECT_EMPTY_CHAIN:
        return "EMPTY_CHAIN";
    }
    return "UNKNOWN";
}
