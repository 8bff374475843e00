/* Whose each slot of a ring is: by where the host stands, and by what is written there. */
#include "inspect.h"
#include <string.h>

#define SHOWN_BEFORE 2u
#define SHOWN_MAX 32u

static uint32_t slot_of(uint16_t position)
{
    return position & 0x7fff;
}

/* How far behind `from` a slot lies, going round. */
static uint32_t behind(uint32_t slot, uint32_t from, uint32_t size)
{
    return from >= size ? size : slot >= from ? slot - from : slot + size - from;
}

/* How many slots the host has: from where it gives back to where it takes. */
static uint32_t held(const struct halo_pictured_queue *queue)
{
    const struct halo_positions at = {queue->avail, queue->used};
    const uint32_t count = halo_positions_between(at, queue->size);

    return count > queue->size ? 0 : count;
}

/* Made available in the lap that the host takes it in. */
static bool is_available(const struct halo_pictured_queue *queue, uint32_t slot)
{
    const uint64_t meta = queue->words[slot][1];
    const bool wrap = (queue->avail >> 15 != 0) == (slot >= slot_of(queue->avail));
    const bool avail = meta >> 48 & HALO_DESC_AVAIL, used = meta >> 48 & HALO_DESC_USED;

    return avail == wrap && used != wrap;
}

/* Slots from where the host takes on, as far as they are available. */
static uint32_t available(const struct halo_pictured_queue *queue)
{
    uint32_t count = 0, slot = slot_of(queue->avail);

    if (slot >= queue->size)
        return 0;
    while (count < queue->size - held(queue) && is_available(queue, slot)) {
        slot = slot + 1 == queue->size ? 0 : slot + 1;
        count++;
    }
    return count;
}

struct inspect_slot inspect_slot(const struct halo_pictured_queue *queue, uint32_t slot)
{
    const uint64_t addr = queue->words[slot][0], meta = queue->words[slot][1];
    const uint16_t flags = halo_meta_flags(meta);
    const bool avail = flags & HALO_DESC_AVAIL, used = flags & HALO_DESC_USED;
    struct inspect_slot shown = {.slot = slot,
                                 .wrap = avail,
                                 .is_used = avail == used,
                                 .id = halo_meta_id(meta),
                                 .flags = flags,
                                 .len = halo_meta_len(meta),
                                 .addr = addr};

    if (behind(slot, slot_of(queue->used), queue->size) < held(queue))
        shown.owner = "host";
    else if (behind(slot, slot_of(queue->avail), queue->size) < available(queue))
        shown.owner = "host, not taken yet";
    else if (queue->staged > 0 &&
             behind(slot, slot_of(queue->published), queue->size) < queue->staged)
        shown.owner = "host, done and not shown";
    else
        shown.owner = addr == 0 && meta == 0 ? "guest, never used"
                      : avail == used        ? "guest, given back"
                                             : "guest";
    return shown;
}

bool inspect_is_shown(const struct inspected *inspected, const struct halo_pictured_queue *queue,
                      uint32_t slot)
{
    const uint32_t size = queue->size, host = held(queue), next = available(queue);
    const uint32_t from_used = behind(slot, slot_of(queue->used), size);

    if (inspected->all || (queue->broken && slot == queue->broken_slot))
        return true;
    if (from_used < host)
        return from_used < SHOWN_MAX;
    if (behind(slot, slot_of(queue->avail), size) <= (next < SHOWN_MAX ? next : SHOWN_MAX))
        return true;
    return size > SHOWN_BEFORE && from_used >= size - SHOWN_BEFORE;
}

const char *inspect_flags(uint16_t flags, char *text)
{
    static const struct {
        uint16_t flag;
        const char *name;
    } names[] = {{HALO_DESC_NEXT, "next"},
                 {HALO_DESC_WRITE, "write"},
                 {HALO_DESC_INDIRECT, "indirect"},
                 {HALO_DESC_AVAIL, "avail"},
                 {HALO_DESC_USED, "used"}};
    uint16_t rest = flags;
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (flags & names[i].flag)
            len += (size_t)snprintf(text + len, 64 - len, "%s%s", len ? " " : "", names[i].name);
        rest &= (uint16_t)~names[i].flag;
    }
    if (rest)
        (void)snprintf(text + len, 64 - len, "%s0x%x", len ? " " : "", rest);
    return text;
}

const char *inspect_event_word(uint32_t word, char *text)
{
    const uint32_t mode = word >> 16 & 3;

    if (mode == 2)
        (void)snprintf(text, 96, "told when slot %u is done (wrap %u)", word & 0x7fff,
                       word >> 15 & 1);
    else
        (void)snprintf(text, 96, "%s",
                       mode == 0   ? "told of everything"
                       : mode == 1 ? "told of nothing"
                                   : "a word that means nothing");
    return text;
}
