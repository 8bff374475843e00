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
        .avail = halo_at_start(place, HALO_DESC_AVAIL),
        .chains = chains,
        .end = place->desc + place->size,
        .ids = place->size,
        .room = place->size,
        .used = halo_at_start(place, HALO_PHASE_MASK),
        .published = halo_at_start(place, HALO_PHASE_MASK),
        .place = *place,
        .memory = memory,
        .len_max = (uint32_t)len_max,
        .refused = HALO_DESC_INDIRECT | halo_features_available_reserved(0),
    };
    for (uint32_t id = 0; id < place->size; id++) {
        /* Tokens from before are stale, and generations go on: ID-05. */
        chains[id].token = (chains[id].token & ~(uint64_t)UINT16_MAX) | HALO_TOKEN_FREE | id;
        chains[id].limit = 0;
        chains[id].slots = 0;
    }
    halo_device_memory_changed(device);
    return 0;
}

/* Most bytes of a plain chain in this region: none where the device lacks the right. */
static uint32_t plain_max(const struct halo_device *device, const struct halo_region *region,
                          enum halo_right right)
{
    if (!(region->rights & (uint32_t)right))
        return 0;
    return region->len < device->len_max ? (uint32_t)region->len : device->len_max;
}

void halo_device_memory_changed(struct halo_device *device)
{
    const struct halo_region *first = device->memory->regions;
    struct halo_device_plain plain = {0};

    /* One that ran past the end of the address space, as none should, is the walk's. */
    if (device->memory->region_count > 0 && first->len <= UINT64_MAX - first->base) {
        plain.base = first->base;
        plain.len = first->len;
        plain.host = first->host;
        plain.max[0] = plain_max(device, first, HALO_MAY_READ);
        plain.max[1] = plain_max(device, first, HALO_MAY_WRITE);
    }
    device->plain = plain;
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
    return (struct halo_positions){
        halo_cursor_position(halo_device_avail(device)),
        halo_cursor_position(halo_at_cursor(device->published, &device->place))};
}

int halo_device_resume(struct halo_device *device, struct halo_positions at,
                       const struct halo_device_chain *in_flight)
{
    const uint32_t size = device->place.size;
    uint64_t slots = 0;

    for (uint32_t id = 0; id < size && in_flight; id++)
        slots += halo_device_chain_slots(&in_flight[id]);
    if (slots > size || slots != halo_positions_between(at, size))
        return HALO_EINVAL;
    for (uint32_t id = 0; id < size && in_flight; id++) {
        device->chains[id] = in_flight[id];
        if (halo_device_chain_slots(&in_flight[id]) == 0) /* of zeroed records, too */
            device->chains[id].token |= HALO_TOKEN_FREE | id;
    }
    device->avail = halo_at_move(device->avail, &device->place, halo_cursor_at(at.avail));
    device->used = halo_at_move(device->used, &device->place, halo_cursor_at(at.used));
    device->published = device->used;
    device->room = size - (uint32_t)slots;
    return 0;
}

/*
 * What the walk over a chain has found so far. A chain that is not acceptable is walked to its end
 * all the same, for the ring's own rules go first; `left` is 0 from then on.
 */
struct walk {
    struct halo_cursor at;
    uint64_t meta, addr; /* the descriptor there, as it was loaded */
    uint32_t slots;      /* descriptors before it */
    uint32_t direction;  /* 0, and HALO_DESC_WRITE once nothing readable may follow */
    struct halo_span *spans;
    uint32_t count, max; /* spans that are in use, and that there are */
    uint32_t left;       /* bytes that the chain may still have */
    enum halo_reject reject;
    const struct halo_desc *next; /* the next descriptor, where it was loaded already */
};

/* Latch the queue: no id can be used from here on, and nothing is staged or unannounced. */
static int broken(struct halo_device *device, enum halo_broken reason, const struct walk *walk)
{
    device->violation = (struct halo_violation){
        .reason = reason,
        .slot = (uint16_t)walk->at.slot,
        .id = halo_meta_id(walk->meta),
        .addr = walk->addr,
        .meta = walk->meta,
    };
    device->stopped = device->avail;
    device->avail = halo_at_latched();
    device->ids = 0;
    device->room += device->staged;
    device->staged = 0;
    device->unannounced = 0;
    return HALO_EBROKEN;
}

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

/* Nothing readable may follow: what was found so far is the readable part. */
static void end_readable(const struct halo_device *device, struct halo_chain *chain,
                         struct walk *walk)
{
    walk->direction = HALO_DESC_WRITE;
    chain->readable_count = walk->count;
    chain->readable_len = device->len_max - walk->left;
}

/* Judge one descriptor by its flags, and take what it holds. */
static enum halo_broken take_descriptor(const struct halo_device *device, struct halo_chain *chain,
                                        struct walk *walk)
{
    const uint32_t flags = halo_meta_flags(walk->meta);

    if (flags & device->refused) /* DEV-07, DEV-09 */
        return flags & HALO_DESC_INDIRECT ? HALO_BROKEN_INDIRECT : HALO_BROKEN_RESERVED;
    if ((flags & HALO_DESC_WRITE) != walk->direction) {
        if (walk->direction) /* DEV-10, EXT-03: and after an inline request */
            return HALO_BROKEN_ORDER;
        end_readable(device, chain, walk);
    }
    if (flags & HALO_DESC_INLINE_BITS) { /* never where the extension is off */
        if (walk->slots > 0 || !take_inline(chain, walk->addr, walk->meta))
            return HALO_BROKEN_INLINE;
        end_readable(device, chain, walk);
    } else {
        take_buffer(device, chain, walk, (struct halo_gpa){walk->addr}, halo_meta_len(walk->meta),
                    walk->direction ? HALO_MAY_WRITE : HALO_MAY_READ);
    }
    walk->slots++;
    return HALO_BROKEN_NOT;
}

/* Whether there can be another descriptor behind the first `slots` ones of a chain. */
static inline enum halo_broken check_next(const struct halo_device *device, uint32_t slots)
{
    if (slots < device->room) /* DEV-01, DEV-03: no more loads than there can be descriptors */
        return HALO_BROKEN_NOT;
    return slots == device->place.size ? HALO_BROKEN_TOO_LONG : HALO_BROKEN_OVERCOMMIT;
}

/* Load the descriptor that NEXT promises. */
static enum halo_broken load_next(const struct halo_device *device, struct walk *walk)
{
    const enum halo_broken reason = check_next(device, walk->slots);
    HALO_SHARED struct halo_desc *desc;
    uint32_t flags;

    if (reason)
        return reason;
    walk->at = halo_cursor_advance(walk->at, 1, device->place.size);
    desc = device->place.desc + walk->at.slot;
    walk->addr = 0;
    walk->meta = walk->next ? walk->next->meta : halo_shm_load_meta(desc);
    flags = halo_meta_flags(walk->meta);
    if ((flags & HALO_PHASE_MASK) != halo_cursor_available(walk->at))
        return HALO_BROKEN_TORN; /* DEV-05 */
    walk->addr = walk->next ? walk->next->addr : halo_shm_load_addr(desc);
    walk->next = NULL;
    return HALO_BROKEN_NOT;
}

/* The last descriptor's id, which names the chain: ID-03. */
static enum halo_broken check_id(const struct halo_device *device, uint16_t id)
{
    if (id >= device->place.size)
        return HALO_BROKEN_BAD_ID; /* ID-01 */
    return device->chains[id].token & HALO_TOKEN_FREE ? HALO_BROKEN_NOT
                                                      : HALO_BROKEN_DUPLICATE_ID; /* ID-02 */
}

/* The chain is whole, and no rule of the ring is broken: fill in what it is. */
static void describe(const struct halo_device *device, struct halo_chain *chain, struct walk *walk)
{
    if (!walk->direction)
        end_readable(device, chain, walk);
    if (walk->count == 0 && !chain->is_inline && !walk->reject) { /* DEV-11 */
        walk->reject = HALO_REJECT_EMPTY_CHAIN;
        chain->bad_addr = (struct halo_gpa){0};
    }
    if (walk->reject) {
        walk->left = device->len_max;
        chain->readable_count = 0;
        chain->readable_len = 0;
    }
    chain->writable_count = walk->count - chain->readable_count;
    chain->writable_len = device->len_max - walk->left - chain->readable_len;
    chain->reject = walk->reject;
}

/* From now on the chain is in flight; the next one starts at `next`. */
static inline void take_off(struct halo_device *device, struct halo_chain *chain, uint16_t id,
                            uint32_t slots, struct halo_at next)
{
    struct halo_device_chain *record = &device->chains[id];

    record->token += HALO_TOKEN_FREE;
    record->slots = (uint16_t)slots;
    record->is_inline = chain->is_inline;
    record->capacity = (uint32_t)chain->writable_len;
    chain->token.word = record->token;
    chain->slots = (uint16_t)slots;
    device->newest = id;
    device->room -= slots;
    device->avail = next;
}

/* Walk on from where `walk` stands, at a descriptor that was loaded and not judged. */
static __attribute__((noinline, flatten)) int walk_on(struct halo_device *device,
                                                      struct halo_chain *chain, struct walk *walk)
{
    enum halo_broken reason;
    uint16_t id;

    for (;;) {
        reason = take_descriptor(device, chain, walk);
        if (reason)
            return broken(device, reason, walk);
        if (!(halo_meta_flags(walk->meta) & HALO_DESC_NEXT))
            break;
        reason = load_next(device, walk);
        if (reason)
            return broken(device, reason, walk);
    }
    id = halo_meta_id(walk->meta);
    reason = check_id(device, id);
    if (reason)
        return broken(device, reason, walk);
    describe(device, chain, walk);
    take_off(device, chain, id, walk->slots,
             halo_at_advance(device->avail, walk->slots, &device->place, device->end));
    if (walk->reject) {
        (void)halo_device_retire(device, chain->token, 0, 0, 0);
        return HALO_EREJECT;
    }
    return 1;
}

/* A buffer that is acceptable, mostly of the first region; one that is not is the walk's. */
static inline bool take_usual(const struct halo_device *device, uint64_t addr, uint32_t len,
                              bool writes, struct halo_span *span)
{
    return halo_device_plain_span(&device->plain, addr, len, writes, span) ||
           halo_memory_span(device->memory, (struct halo_gpa){addr}, len,
                            writes ? HALO_MAY_WRITE : HALO_MAY_READ, span) == HALO_SPAN_OK;
}

/* The bytes of a first descriptor that is inline, as take_descriptor takes them. */
static inline bool begin_inline(const struct halo_device *device, struct halo_chain *chain,
                                uint32_t flags, uint64_t meta, uint64_t addr)
{
    if (!(flags & HALO_DESC_INLINE_BITS) || flags & device->refused ||
        !take_inline(chain, addr, meta))
        return false;
    chain->readable_count = 0;
    chain->readable_len = 0;
    return true;
}

/*
 * A loop of few words for the usual descriptors: buffers, the readable ones first, and bytes in
 * place of the first. Each turn is take_descriptor and load_next where these find nothing to
 * refuse. Before a descriptor that is not so the general walk goes on, with all that was found and
 * loaded (TOC-01).
 */
static int walk_from(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta, uint64_t addr,
                     const struct halo_desc *second)
{
    struct halo_at at = device->avail;
    uint32_t flags = halo_meta_flags(meta ^ at.phase), left = device->len_max;
    uint32_t direction = 0, count = 0, slots = 0;
    enum halo_broken reason = HALO_BROKEN_NOT;
    struct walk walk;
    bool is_usual = HALO_PLAIN_PATH && device->ids > 0, is_taken;

    chain->is_inline = false;
    is_taken = is_usual && begin_inline(device, chain, flags, meta, addr);
    if (is_taken)
        direction = HALO_DESC_WRITE;
    for (; is_usual; is_taken = false) {
        if (!is_taken) {
            const uint32_t writes = flags & HALO_DESC_WRITE, len = halo_meta_len(meta);

            if (flags & ~(HALO_DESC_NEXT | HALO_DESC_WRITE) || writes < direction ||
                len - 1 >= left || count == span_max ||
                !take_usual(device, addr, len, writes, &spans[count]))
                break;
            if (writes > direction) {
                chain->readable_count = count;
                chain->readable_len = device->len_max - left;
                direction = writes;
            }
            count++;
            left -= len;
        }
        slots++;
        if (!(flags & HALO_DESC_NEXT)) {
            const uint16_t id = halo_meta_id(meta);

            reason = check_id(device, id);
            if (reason)
                break;
            if (!direction) {
                chain->readable_count = count;
                chain->readable_len = device->len_max - left;
            }
            chain->writable_count = count - chain->readable_count;
            chain->writable_len = device->len_max - left - chain->readable_len;
            chain->reject = HALO_REJECT_NOT;
            take_off(device, chain, id, slots, halo_at_step(at, &device->place, device->end));
            return 1;
        }
        reason = check_next(device, slots);
        if (reason)
            break;
        at = halo_at_step(at, &device->place, device->end);
        meta = second ? second->meta : halo_shm_load_meta(at.desc);
        flags = halo_meta_flags(meta ^ at.phase);
        if (flags & HALO_PHASE_MASK) { /* DEV-05 */
            addr = 0;
            reason = HALO_BROKEN_TORN;
            break;
        }
        addr = second ? second->addr : halo_shm_load_addr(at.desc);
        second = NULL;
    }
    walk = (struct walk){.at = halo_at_cursor(at, &device->place),
                         .meta = meta,
                         .addr = addr,
                         .slots = slots,
                         .direction = direction,
                         .spans = spans,
                         .count = count,
                         .max = span_max,
                         .left = left,
                         .next = second};
    return reason ? broken(device, reason, &walk) : walk_on(device, chain, &walk);
}

int halo_device_walk(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta, uint64_t addr)
{
    return walk_from(device, chain, spans, span_max, meta, addr, NULL);
}

int halo_device_walk_pair(struct halo_device *device, struct halo_chain *chain,
                          struct halo_span *spans, uint32_t span_max, uint64_t meta, uint64_t addr,
                          const struct halo_desc *second)
{
    return walk_from(device, chain, spans, span_max, meta, addr, second);
}

/* These two for those who do not expect one. */
static __attribute__((noinline)) int take_pair(struct halo_device *device, struct halo_chain *chain,
                                               struct halo_span *spans, uint32_t span_max,
                                               uint64_t meta)
{
    return halo_device_take_pair(device, chain, spans, span_max, meta);
}

static __attribute__((noinline)) int take_inline_words(struct halo_device *device,
                                                       struct halo_chain *chain,
                                                       struct halo_span *spans, uint32_t span_max,
                                                       uint64_t meta, bool is_pair)
{
    return is_pair ? halo_device_take_inline_pair(device, chain, spans, span_max, meta)
                   : halo_device_take_inline(device, chain, spans, span_max, meta);
}

int halo_device_take(struct halo_device *device, struct halo_chain *chain, struct halo_span *spans,
                     uint32_t span_max, uint64_t meta)
{
    const uint32_t flags = halo_meta_flags(meta ^ device->avail.phase);
    HALO_SHARED struct halo_desc *desc = device->avail.desc;

    if (device->violation.reason)
        return HALO_EBROKEN;
    if (device->room == 0) { /* DEV-22: what was completed is the driver's when it is published */
        const struct walk none = {.at = halo_at_cursor(device->avail, &device->place),
                                  .meta = meta};

        return broken(device, HALO_BROKEN_OVERCOMMIT, &none);
    }
    if (HALO_PLAIN_PATH && flags == HALO_DESC_NEXT && device->room > 1)
        return take_pair(device, chain, spans, span_max, meta);
    if (HALO_PLAIN_PATH && halo_device_is_inline(device, flags)) {
        if (!(flags & HALO_DESC_NEXT))
            return take_inline_words(device, chain, spans, span_max, meta, false);
        if (device->room > 1)
            return take_inline_words(device, chain, spans, span_max, meta, true);
    }
    halo_shm_prefetch(desc);
    return walk_from(device, chain, spans, span_max, meta, halo_shm_load_addr(desc), NULL);
}

/* The record of the chain in flight with this token, or why there is none. */
static inline int find_in_flight(const struct halo_device *device, struct halo_token token,
                                 struct halo_device_chain **record)
{
    const uint16_t number = halo_token_id(token);

    if (device->violation.reason)
        return HALO_EBROKEN;
    if (number >= device->place.size)
        return HALO_ESTALE;
    *record = &device->chains[number];
    if ((*record)->token != token.word || halo_device_chain_slots(*record) == 0)
        return HALO_ESTALE;
    return 0;
}

int halo_device_retire(struct halo_device *device, struct halo_token token, uint32_t len,
                       uint32_t extra, uint64_t word)
{
    struct halo_device_chain *record;
    const int error = find_in_flight(device, token, &record);

    if (error)
        return error;
    if (len > (record->limit ? halo_plain_capacity(record->limit) : record->capacity))
        return HALO_EINVAL;
    if (extra)
        halo_shm_stage_addr(device->used.desc, word);
    halo_device_put_used(
        device, record,
        halo_meta(len, halo_token_id(token), (uint16_t)(extra | (len > 0 ? HALO_DESC_WRITE : 0))));
    return 0;
}

int halo_device_refuse_word(const struct halo_device *device, struct halo_token token)
{
    struct halo_device_chain *record;
    const int error = find_in_flight(device, token, &record);

    return error ? error : HALO_EINVAL;
}

/*
 * Batches go in runs: plain chains one after another, which end with the lap at the latest. What
 * changes with each chain is in variables of its own, for through memory it would be slower: a
 * store to the caller's array might have changed it there. A run is a function of its own, so that
 * these variables get registers.
 */

/* What was loaded of the descriptor that ended a run. */
struct loaded {
    uint64_t meta, addr;
    bool has_addr;
};

/*
 * halo_device_poll as long as the plain path takes what is there, and how many; there is room for
 * `max`. Where a descriptor ended it, `last` is what was loaded of that; else it is left alone.
 */
__attribute__((noinline)) static uint32_t take_plain_run(struct halo_device *device,
                                                         struct halo_chain *chain, uint32_t max,
                                                         struct halo_span *span, size_t span_max,
                                                         struct loaded *last)
{
    HALO_SHARED struct halo_desc *desc = device->avail.desc, *const stop = desc + max;
    const uint64_t phase = device->avail.phase;
    uint32_t count;

    for (; desc != stop; desc++, chain++, span += span_max) {
        const uint64_t meta = halo_shm_load_meta(desc);
        const uint32_t id = halo_plain_id(meta ^ phase), len = halo_meta_len(meta);
        struct halo_device_chain *record = &device->chains[id];
        uint64_t addr;
        bool taken;

        if (id >= device->ids || !(record->token & HALO_TOKEN_FREE)) {
            *last = (struct loaded){.meta = meta};
            break;
        }
        halo_shm_prefetch(desc);
        addr = halo_shm_load_addr(desc);
        if (meta & HALO_META_WRITE)
            taken = halo_device_take_buffer(&device->plain, record, chain, span, addr, len, true);
        else
            taken = halo_device_take_buffer(&device->plain, record, chain, span, addr, len, false);
        if (!taken) {
            *last = (struct loaded){meta, addr, true};
            break;
        }
    }
    count = (uint32_t)(desc - device->avail.desc);
    if (count > 0)
        device->newest = halo_token_id(chain[-1].token);
    device->avail = halo_at_advance(device->avail, count, &device->place, device->end);
    device->room -= count;
    return count;
}

/* The rest of halo_device_poll for such a descriptor. */
static int poll_loaded(struct halo_device *device, struct halo_chain *chain,
                       struct halo_span *spans, uint32_t span_max, const struct loaded *loaded)
{
    if (loaded->has_addr)
        return halo_device_walk(device, chain, spans, span_max, loaded->meta, loaded->addr);
    if ((loaded->meta ^ device->avail.phase) & HALO_META_PHASE)
        return 0;
    return halo_device_take(device, chain, spans, span_max, loaded->meta);
}

int halo_device_poll_batch(struct halo_device *device, struct halo_chain *chains, uint32_t max,
                           struct halo_span *spans, uint32_t span_max)
{
    uint32_t count = 0, run, took;
    struct loaded loaded;
    int got = 0;

    halo_device_check(device);
    while (count < max) {
        if (HALO_PLAIN_PATH && device->ids > 0 && device->room > 0 && span_max > 0) {
            run = halo_at_run(device->avail, max - count, device->end);
            run = run < device->room ? run : device->room;
            took = take_plain_run(device, &chains[count], run, spans, span_max, &loaded);
            count += took;
            spans += (size_t)took * span_max;
            if (took == run)
                continue;
            got = poll_loaded(device, &chains[count], spans, span_max, &loaded);
        } else {
            got = halo_device_poll(device, &chains[count], spans, span_max);
        }
        if (got == 0 || got == HALO_EBROKEN)
            break;
        count++;
        spans += span_max;
    }
    return count > 0 ? (int)count : got;
}

/*
 * halo_device_complete for chains of which the first is not the first of the batch, as long as they
 * are plain, and how many.
 */
__attribute__((noinline)) static uint32_t
complete_plain_run(struct halo_device *device, const struct halo_done *done, uint32_t max)
{
    HALO_SHARED struct halo_desc *desc = device->used.desc, *const stop = desc + max;
    const uint64_t phase = device->used.phase;
    uint32_t count;

    for (; desc != stop; desc++, done++) {
        const uint64_t token = done->token.word, written = done->written;
        const uint64_t body = written ? written | HALO_META_WRITE : 0, id = token & UINT16_MAX;
        struct halo_device_chain *record = &device->chains[id];

        if (id >= device->ids || record->token != token || body >= record->limit)
            break;
        halo_shm_stage_meta(desc, body | id << 32 | phase);
        record->token = token | HALO_TOKEN_FREE;
        record->limit = 0;
    }
    count = (uint32_t)(desc - device->used.desc);
    device->used = halo_at_advance(device->used, count, &device->place, device->end);
    device->staged += count;
    return count;
}

int halo_device_finish_batch(struct halo_device *device, const struct halo_done *done,
                             uint32_t count)
{
    uint32_t given = 0, run;
    int error = 0;

    halo_device_check(device);
    while (given < count) {
        if (HALO_PLAIN_PATH && device->staged > 0) {
            run = halo_at_run(device->used, count - given, device->end);
            run = complete_plain_run(device, done + given, run);
            given += run;
            if (run > 0)
                continue;
        }
        error = halo_device_complete(device, done[given].token, done[given].written);
        if (error)
            break;
        given++;
    }
    if (given > 0)
        halo_device_publish(device);
    return given > 0 ? (int)given : error;
}

int halo_device_rewind(struct halo_device *device, struct halo_token token)
{
    struct halo_device_chain *record = &device->chains[device->newest];
    const uint32_t slots = halo_device_chain_slots(record);

    halo_device_check(device);
    if (device->violation.reason)
        return HALO_EBROKEN;
    if (slots == 0 || token.word != record->token)
        return HALO_ESTALE;
    device->avail = halo_at_move(device->avail, &device->place,
                                 halo_cursor_retreat(halo_at_cursor(device->avail, &device->place),
                                                     slots, device->place.size));
    device->room += slots;
    record->token |= HALO_TOKEN_FREE;
    record->limit = 0;
    record->slots = 0;
    return 0;
}

/* Is the descriptor there available? */
static inline bool is_available(struct halo_at at)
{
    return ((halo_shm_load_meta(at.desc) ^ at.phase) & HALO_META_PHASE) == 0;
}

bool halo_device_arm(struct halo_device *device)
{
    const struct halo_cursor at = halo_device_avail(device);

    halo_device_check(device);
    if (device->violation.reason)
        return true;
    halo_shm_store_event(device->place.device_event, halo_event_at(at));
    halo_shm_fence();
    return halo_device_has_next(device);
}

bool halo_device_arm_after(struct halo_device *device, uint32_t count)
{
    const uint32_t most = device->room - device->room / 4;
    struct halo_at mark;

    halo_device_check(device);
    if (count > most)
        count = most;
    if (count <= 1 || device->violation.reason)
        return halo_device_arm(device);
    mark = halo_at_advance(device->avail, count - 1, &device->place, device->end);
    halo_shm_store_event(device->place.device_event,
                         halo_event_at(halo_at_cursor(mark, &device->place)));
    halo_shm_fence();
    /* The first one too, for else a driver that lies could keep the device from sleeping. */
    return is_available(mark) && halo_device_has_next(device);
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
