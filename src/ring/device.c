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
        .len_max = (uint32_t)len_max,
        .refused = HALO_DESC_INDIRECT | halo_features_available_reserved(0),
        .avail = halo_cursor_start(),
        .used = halo_cursor_start(),
        .published = halo_cursor_start(),
    };
    for (uint32_t id = 0; id < place->size; id++)
        chains[id].slots = 0; /* tokens from before are stale, and generations go on: ID-05 */
    return 0;
}

int halo_device_extend(struct halo_device *device, uint32_t features)
{
    if (!halo_features_valid(features))
        return HALO_EINVAL;
    device->features = features;
    device->refused = HALO_DESC_INDIRECT | halo_features_available_reserved(features);
    return 0;
}

struct halo_positions halo_device_positions(const struct halo_device *device)
{
    return (struct halo_positions){halo_cursor_position(device->avail),
                                   halo_cursor_position(device->published)};
}

int halo_device_resume(struct halo_device *device, struct halo_positions at,
                       const struct halo_device_chain *in_flight)
{
    const uint32_t size = device->place.size;
    uint64_t slots = 0;

    for (uint32_t id = 0; id < size && in_flight; id++)
        slots += in_flight[id].slots;
    if (slots > size || slots != halo_positions_between(at, size))
        return HALO_EINVAL;
    for (uint32_t id = 0; id < size && in_flight; id++)
        device->chains[id] = in_flight[id];
    device->avail = halo_cursor_at(at.avail);
    device->used = device->published = halo_cursor_at(at.used);
    device->in_flight = (uint32_t)slots;
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

/*
 * What the walk over a chain has found so far. A chain that is not acceptable is walked to its end
 * all the same, for the ring's own rules go first; `left` is 0 from then on.
 */
struct walk {
    struct halo_span *spans;
    uint32_t count, max; /* spans that are in use, and that there are */
    uint32_t left;       /* bytes that the chain may still have */
    enum halo_reject reject;
};

/*@ predicate walk_sound(struct walk *walk) =
        walk->count <= walk->max && \valid(walk->spans + (0 .. walk->max - 1));
*/

/* A buffer that cannot be taken: empty, or one for which the chain is refused. */
/*@ requires \valid(walk) && \valid(chain) && \separated(walk, chain);
    assigns walk->count, walk->left, walk->reject, chain->bad_addr;
    ensures len == 0 || \old(walk->reject) != HALO_REJECT_NOT ==>
        walk->count == \old(walk->count) && walk->left == \old(walk->left) &&
        walk->reject == \old(walk->reject);
    ensures len > 0 && \old(walk->reject) == HALO_REJECT_NOT ==>
        walk->count == 0 && walk->left == 0 && walk->reject == reject;
*/
static void skip_buffer(struct walk *walk, struct halo_chain *chain, struct halo_gpa gpa,
                        uint32_t len, enum halo_reject reject)
{
    if (len == 0 || walk->reject) /* DEV-11: neither translated nor touched */
        return;
    walk->reject = reject;
    walk->count = 0;
    walk->left = 0;
    chain->bad_addr = gpa;
}

/* Take one buffer into the chain, or remember why it, or one before it, is not acceptable. */
/*@ requires \valid_read(device) && \valid(chain) && \valid(walk) && walk_sound(walk);
    requires \valid_read(device->memory) && \valid_read(device->memory->regions +
        (0 .. device->memory->region_count - 1));
    requires \separated(chain, walk, walk->spans + (0 .. walk->max - 1), device, device->memory,
        device->memory->regions + (0 .. device->memory->region_count - 1));
    requires right == HALO_MAY_READ || right == HALO_MAY_WRITE;
    assigns walk->count, walk->left, walk->reject, walk->spans[walk->count], chain->bad_addr;
    ensures walk->count <= walk->max;
    ensures walk->left <= \old(walk->left);
    ensures walk->reject == HALO_REJECT_NOT ==> walk->left == \old(walk->left) - len;
*/
static inline void take_buffer(const struct halo_device *device, struct halo_chain *chain,
                               struct walk *walk, struct halo_gpa gpa, uint32_t len,
                               enum halo_right right)
{
    enum halo_reject reject;

    if (len - 1 >= walk->left) { /* DEV-12, and an empty one */
        skip_buffer(walk, chain, gpa, len, HALO_REJECT_LENGTH);
        return;
    }
    if (walk->count == walk->max) { /* DEV-17 */
        skip_buffer(walk, chain, gpa, len, HALO_REJECT_SEGMENTS);
        return;
    }
    switch (halo_memory_span(device->memory, gpa, len, right, &walk->spans[walk->count])) {
    case HALO_SPAN_OK:
        walk->count++;
        walk->left -= len;
        return;
    case HALO_SPAN_PERMISSION: /* DEV-16 */
        reject = HALO_REJECT_PERMISSION;
        break;
    default: /* DEV-13 */
        reject = HALO_REJECT_RANGE;
    }
    skip_buffer(walk, chain, gpa, len, reject);
}

/* The bytes of an inline request. False where it breaks the rules of one: EXT-01, EXT-02. */
static bool take_inline(struct halo_chain *chain, uint64_t addr, uint64_t meta)
{
    const uint32_t flags = halo_meta_flags(meta);
    const uint32_t len = flags >> HALO_DESC_INLINE_LEN & 15;
    const uint32_t last = halo_meta_len(meta);

    if (!(flags & HALO_DESC_INLINE) || (flags & HALO_DESC_WRITE) || len > HALO_INLINE_REQUEST_MAX)
        return false;
    __builtin_memcpy(chain->inline_bytes, &addr, sizeof(addr));
    __builtin_memcpy(chain->inline_bytes + sizeof(addr), &last, sizeof(last));
    chain->inline_len = (uint8_t)len;
    chain->is_inline = true;
    return true;
}

int halo_device_take(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta)
{
    const uint32_t size = device->place.size;
    /* What was completed is the driver's again only when it is published. */
    const uint32_t room = size - device->in_flight - (uint32_t)device->staged;
    struct halo_cursor at = device->avail;
    struct walk walk = {spans, 0, span_max, device->len_max, HALO_REJECT_NOT};
    struct halo_device_chain *record;
    uint32_t flags = halo_meta_flags(meta), room_left = room, direction = 0;
    uint64_t addr;
    uint16_t id;

    if (room == 0)
        return broken(device, HALO_BROKEN_OVERCOMMIT, at, 0, meta); /* DEV-22 */
    chain->is_inline = false;
    for (;;) {
        addr = halo_shm_load_addr(&device->place.desc[at.slot]);
        if (flags & device->refused) /* DEV-07, DEV-09 */
            return broken(device,
                          flags & HALO_DESC_INDIRECT ? HALO_BROKEN_INDIRECT : HALO_BROKEN_RESERVED,
                          at, addr, meta);
        if ((flags & HALO_DESC_WRITE) != direction) {
            if (direction) /* DEV-10, EXT-03: and after an inline request */
                return broken(device, HALO_BROKEN_ORDER, at, addr, meta);
            direction = HALO_DESC_WRITE;
            chain->readable_count = walk.count;
            chain->readable_len = device->len_max - walk.left;
        }
        if (flags & HALO_DESC_INLINE_BITS) { /* never where the extension is off */
            if (room_left < room || !take_inline(chain, addr, meta))
                return broken(device, HALO_BROKEN_INLINE, at, addr, meta);
            direction = HALO_DESC_WRITE;
            chain->readable_count = 0;
            chain->readable_len = 0;
        } else {
            take_buffer(device, chain, &walk, (struct halo_gpa){addr}, halo_meta_len(meta),
                        direction ? HALO_MAY_WRITE : HALO_MAY_READ);
        }
        room_left--;
        if (!(flags & HALO_DESC_NEXT))
            break;
        if (room_left == 0) /* DEV-01, DEV-03: no more loads than there can be descriptors */
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

    if (!direction) {
        chain->readable_count = walk.count;
        chain->readable_len = device->len_max - walk.left;
    }
    if (walk.count == 0 && !chain->is_inline && !walk.reject) { /* DEV-11 */
        walk.reject = HALO_REJECT_EMPTY_CHAIN;
        chain->bad_addr = (struct halo_gpa){0};
    }
    if (walk.reject) {
        walk.left = device->len_max;
        chain->readable_count = 0;
        chain->readable_len = 0;
    }
    chain->writable_count = walk.count - chain->readable_count;
    chain->writable_len = device->len_max - walk.left - chain->readable_len;
    chain->reject = walk.reject;
    chain->slots = (uint16_t)(room - room_left);
    record->slots = chain->slots;
    record->is_inline = chain->is_inline;
    record->generation++;
    record->capacity = (uint32_t)chain->writable_len;
    chain->token = (struct halo_token){record->generation, id};
    device->newest = id;
    device->in_flight += room - room_left;
    device->avail = halo_cursor_advance(at, 1, size);
    if (walk.reject) {
        halo_device_complete(device, chain->token, 0);
        return HALO_EREJECT;
    }
    return 1;
}

int halo_device_rewind(struct halo_device *device, struct halo_token token)
{
    struct halo_device_chain *record = &device->chains[device->newest];

    if (device->violation.reason)
        return HALO_EBROKEN;
    if (token.id != device->newest || token.generation != record->generation || record->slots == 0)
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
