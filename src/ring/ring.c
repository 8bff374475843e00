/*
 * The packed virtqueue, the lowest part of libhalo-ring. What is hot is inline in the headers
 * halo/ring.h, halo/driver.h and halo/device.h; this folder has the rest:
 *
 *     ring.c      what both sides share: placement, and names of violations
 *     driver.c    the driver's side
 *     halves.c    the same for two threads, one that submits and one that reaps
 *     device.c    the device's side: the walk over a chain
 *     check.c     what holds between any two operations, in a build with -Dchecks=true
 *     error.c     names and sentences of the error codes
 *
 * Neither side may assume anything of what the other writes, or when. A chain's way:
 *
 *     driver  halo_driver_add         a descriptor for each buffer, nothing visible yet
 *     driver  halo_driver_publish     one store of the first meta word shows the whole batch
 *     device  halo_device_poll        each descriptor is loaded once, and the copy judged: spans
 *     device  halo_device_complete    a used descriptor, nothing visible yet; in any order
 *     device  halo_device_publish     one store shows the whole batch
 *     driver  halo_driver_poll        judges it by private records, and gives the id back
 */
#include <halo/ring.h>

#define LINE 64u

const struct halo_desc halo_ring_latched;

/* Two areas that neither overlap nor run past the end of the address space. */
/*@ assigns \nothing;
    ensures \result <==> a + a_len <= UINTPTR_MAX && b + b_len <= UINTPTR_MAX &&
        (a + a_len <= b || b + b_len <= a);
*/
static bool apart(uintptr_t a, size_t a_len, uintptr_t b, size_t b_len)
{
    if (a_len > UINTPTR_MAX - a || b_len > UINTPTR_MAX - b)
        return false;
    return a + a_len <= b || b + b_len <= a;
}

int halo_ring_place_check(const struct halo_ring_place *place)
{
    uintptr_t desc = (uintptr_t)halo_shm_expose(place->desc);
    uintptr_t driver_event = (uintptr_t)halo_shm_expose(place->driver_event);
    uintptr_t device_event = (uintptr_t)halo_shm_expose(place->device_event);
    size_t desc_len = (size_t)place->size * sizeof(struct halo_desc);
    size_t event_len = sizeof(struct halo_event);

    if (place->size == 0 || place->size > HALO_RING_MAX) /* CFG-01, CFG-02 */
        return HALO_EINVAL;
    if (!desc || !driver_event || !device_event)
        return HALO_EINVAL;
    if (desc % 16 || driver_event % 4 || device_event % 4) /* CFG-05 */
        return HALO_EINVAL;
    if (!apart(desc, desc_len, driver_event, event_len) || /* CFG-06 */
        !apart(desc, desc_len, device_event, event_len) ||
        !apart(driver_event, event_len, device_event, event_len))
        return HALO_EINVAL;
    return 0;
}

static size_t table_bytes(uint32_t size)
{
    return ((size_t)size * sizeof(struct halo_desc) + LINE - 1) / LINE * LINE;
}

size_t halo_ring_bytes(uint32_t size)
{
    return table_bytes(size) + 2 * LINE;
}

int halo_ring_place_in(HALO_SHARED void *memory, uint32_t size, struct halo_ring_place *place)
{
    HALO_SHARED unsigned char *base = memory;
    struct halo_ring_place result;

    if (size == 0 || size > HALO_RING_MAX || (uintptr_t)halo_shm_expose(memory) % LINE)
        return HALO_EINVAL;
    result.desc = memory;
    result.driver_event = (HALO_SHARED void *)(base + table_bytes(size));
    result.device_event = (HALO_SHARED void *)(base + table_bytes(size) + LINE);
    result.size = size;
    *place = result;
    return halo_ring_place_check(place);
}

/* `len` bytes at `gpa` for a device that does all of `rights` with them; NULL where it may not. */
static HALO_SHARED void *area(const struct halo_memory *memory, struct halo_gpa gpa, size_t len,
                              uint32_t rights)
{
    static const enum halo_right each[] = {HALO_MAY_READ, HALO_MAY_WRITE};
    struct halo_span span = {0};

    for (uint32_t i = 0; i < 2; i++) {
        if ((rights & (uint32_t)each[i]) &&
            halo_memory_span(memory, gpa, (uint32_t)len, each[i], &span) != HALO_SPAN_OK)
            return (void *)0;
    }
    return span.base;
}

int halo_ring_place_at(const struct halo_memory *memory, uint32_t size, struct halo_gpa desc,
                       struct halo_gpa driver_event, struct halo_gpa device_event,
                       struct halo_ring_place *place)
{
    struct halo_ring_place result = {.size = size};
    int error;

    if (size > HALO_RING_MAX || desc.value % 16 || driver_event.value % 4 || device_event.value % 4)
        return HALO_EINVAL;
    result.desc =
        area(memory, desc, size * sizeof(struct halo_desc), HALO_MAY_READ | HALO_MAY_WRITE);
    result.driver_event = area(memory, driver_event, sizeof(struct halo_event), HALO_MAY_READ);
    result.device_event = area(memory, device_event, sizeof(struct halo_event), HALO_MAY_WRITE);
    error = halo_ring_place_check(&result); /* refuses the areas that are not there, too */
    if (!error)
        *place = result;
    return error;
}

const char *halo_broken_name(enum halo_broken reason)
{
    switch (reason) {
    case HALO_BROKEN_NOT:
        return "NOT";
    case HALO_BROKEN_TORN:
        return "TORN";
    case HALO_BROKEN_OVERCOMMIT:
        return "OVERCOMMIT";
    case HALO_BROKEN_INDIRECT:
        return "INDIRECT";
    case HALO_BROKEN_RESERVED:
        return "RESERVED";
    case HALO_BROKEN_ORDER:
        return "ORDER";
    case HALO_BROKEN_TOO_LONG:
        return "TOO_LONG";
    case HALO_BROKEN_BAD_ID:
        return "BAD_ID";
    case HALO_BROKEN_DUPLICATE_ID:
        return "DUPLICATE_ID";
    case HALO_BROKEN_INLINE:
        return "INLINE";
    case HALO_BROKEN_NOT_IN_FLIGHT:
        return "NOT_IN_FLIGHT";
    case HALO_BROKEN_LENGTH:
        return "LENGTH";
    case HALO_BROKEN_STOPPED:
        return "STOPPED";
    }
    return "UNKNOWN";
}

uint32_t halo_positions_between(struct halo_positions at, uint32_t size)
{
    const struct halo_cursor avail = halo_cursor_at(at.avail), used = halo_cursor_at(at.used);
    uint32_t from, to;

    if (avail.slot >= size || used.slot >= size)
        return UINT32_MAX;
    from = used.slot + (halo_cursor_wrap(used) ? 0 : size);
    to = avail.slot + (halo_cursor_wrap(avail) ? 0 : size);
    return to >= from ? to - from : to + 2 * size - from;
}
