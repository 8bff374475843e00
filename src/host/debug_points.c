/* A debugger's breakpoints, and the places that it watches, in guest memory: see debug.h. */
#include "debug.h"
#include <string.h>

#define TRAP 0xcc /* int3 */

/* --- Guest memory ----------------------------------------------------------------------------- */

size_t halo__debug_read(void *of, uint64_t address, void *to, size_t len)
{
    struct halo_debug *debug = of;
    const size_t found = halo__debug_take(debug->machine, address, to, len);
    unsigned char *bytes = to;

    for (uint32_t i = 0; i < debug->point_count; i++) {
        const struct halo_debug_point *point = &debug->points[i];

        if (point->address - address < found)
            bytes[point->address - address] = point->byte;
    }
    return found;
}

static void put_in(struct halo_debug *debug, const struct halo_debug_point *point)
{
    (void)halo__debug_put(debug->machine, point->address, &(unsigned char){TRAP}, 1);
}

bool halo__debug_write(void *of, uint64_t address, const void *from, size_t len)
{
    struct halo_debug *debug = of;
    const unsigned char *bytes = from;

    if (!halo__debug_put(debug->machine, address, bytes, len))
        return false;
    for (uint32_t i = 0; i < debug->point_count; i++) {
        struct halo_debug_point *point = &debug->points[i];

        if (point->address - address < len) {
            point->byte = bytes[point->address - address];
            put_in(debug, point);
        }
    }
    return true;
}

/* --- Breakpoints ------------------------------------------------------------------------------ */

static bool plant(struct halo_debug *debug, struct halo_debug_point *point, uint64_t address)
{
    const unsigned char trap = TRAP;

    *point = (struct halo_debug_point){.address = address};
    return halo__debug_take(debug->machine, address, &point->byte, 1) == 1 &&
           halo__debug_put(debug->machine, address, &trap, 1);
}

/* Where memory is another one meanwhile, it stays. */
static void pull_out(struct halo_debug *debug, const struct halo_debug_point *point)
{
    unsigned char byte;

    if (halo__debug_take(debug->machine, point->address, &byte, 1) == 1 && byte == TRAP)
        (void)halo__debug_put(debug->machine, point->address, &point->byte, 1);
}

struct halo_debug_point *halo__debug_find(struct halo_debug *debug, uint64_t address)
{
    for (uint32_t i = 0; i < debug->point_count; i++) {
        if (debug->points[i].address == address)
            return &debug->points[i];
    }
    return NULL;
}

static int set_break(struct halo_debug *debug, uint32_t kind, uint64_t address, bool insert)
{
    struct halo_debug_point *point = halo__debug_find(debug, address);

    if (!insert && point) {
        pull_out(debug, point);
        *point = debug->points[--debug->point_count];
    }
    if (!insert || point)
        return 0;
    if (debug->point_count == HALO_DEBUG_POINTS ||
        !plant(debug, &debug->points[debug->point_count], address))
        return -1;
    debug->points[debug->point_count++].kind = kind;
    return 0;
}

static int set_watch(struct halo_debug *debug, uint64_t address, uint64_t len, bool insert)
{
    struct halo_debug_watch *watch;

    for (uint32_t i = 0; i < debug->watch_count && !insert; i++) {
        watch = &debug->watches[i];
        if (watch->address == address && watch->len == len) {
            *watch = debug->watches[--debug->watch_count];
            return 0;
        }
    }
    if (!insert)
        return 0;
    if (debug->watch_count == HALO_DEBUG_WATCHES || len == 0 || len > HALO_DEBUG_WATCH_LEN)
        return -1;
    watch = &debug->watches[debug->watch_count];
    *watch = (struct halo_debug_watch){.address = address, .len = len};
    if (halo__debug_read(debug, address, watch->bytes, (size_t)len) < len)
        return -1;
    debug->watch_count++;
    return 0;
}

/* Reads are not seen by looking at memory. */
int halo__debug_point(void *of, uint32_t kind, uint64_t address, uint64_t len, bool insert)
{
    if (kind <= HALO_GDB_BREAK_HARD)
        return set_break(of, kind, address, insert);
    return kind == HALO_GDB_WATCH_WRITE ? set_watch(of, address, len, insert) : 1;
}

const struct halo_debug_watch *halo__debug_changed(struct halo_debug *debug)
{
    const struct halo_debug_watch *changed = NULL;

    for (uint32_t i = 0; i < debug->watch_count; i++) {
        struct halo_debug_watch *watch = &debug->watches[i];
        unsigned char now[HALO_DEBUG_WATCH_LEN];

        if (halo__debug_read(debug, watch->address, now, (size_t)watch->len) < watch->len ||
            memcmp(now, watch->bytes, (size_t)watch->len) == 0)
            continue;
        memcpy(watch->bytes, now, (size_t)watch->len);
        changed = watch;
    }
    return changed;
}

void halo__debug_plant_own(struct halo_debug *debug, uint64_t address)
{
    debug->has_own = plant(debug, &debug->own, address);
}

void halo__debug_pull_own(struct halo_debug *debug)
{
    if (debug->has_own)
        pull_out(debug, &debug->own);
    debug->has_own = false;
}

void halo__debug_pull_all(struct halo_debug *debug)
{
    halo__debug_pull_own(debug);
    while (debug->point_count > 0)
        pull_out(debug, &debug->points[--debug->point_count]);
    debug->watch_count = 0;
}

/* --- Memory that is taken and replaced -------------------------------------------------------- */

void halo__debug_lift(struct halo_debug *debug)
{
    if (!debug || debug->state == HALO_DEBUG_OVER)
        return;
    if (debug->has_own)
        pull_out(debug, &debug->own);
    for (uint32_t i = debug->point_count; i > 0; i--)
        pull_out(debug, &debug->points[i - 1]);
}

void halo__debug_lower(struct halo_debug *debug)
{
    if (!debug || debug->state == HALO_DEBUG_OVER)
        return;
    for (uint32_t i = 0; i < debug->point_count; i++)
        put_in(debug, &debug->points[i]);
    if (debug->has_own)
        put_in(debug, &debug->own);
}

bool halo__debug_keep_points(struct halo_debug *debug)
{
    uint32_t count = 0;
    bool is_same = true;

    for (uint32_t i = 0; i < debug->point_count; i++) {
        const struct halo_debug_point *point = &debug->points[i];
        unsigned char byte = 0;

        if (!(halo__layout_prot(debug->machine, point->address) & HALO_PROT_EXEC))
            continue;
        is_same = is_same && halo__debug_take(debug->machine, point->address, &byte, 1) == 1 &&
                  byte == point->byte;
        debug->points[count++] = *point;
    }
    debug->point_count = count;
    return is_same;
}
