/*
 * Memory at other addresses than its own: areas of addresses with a protection, in order, none
 * beside another of the same; and units of memory, each free, kept from it by memory.c, or at one
 * of those addresses. Where an area is used that has no memory yet, the host gives it a unit that
 * is free, and writes that down here, while the guest stands still (src/host/machine/paging.c).
 *
 * A unit is 64 KiB at an address of as many, so areas that were mapped apart never share one; parts
 * of what was one area may. Each unit can be reached at the address of its own as well.
 *
 * To have the host forget an address takes longer than to clear what is there. So what was given
 * up is cleared, and idle: it keeps its address, where it is what new memory would be, until there
 * are so many of those that all of them are forgotten at once, and free.
 */
#include "calls.h"
#include <string.h>

#define OWNER 0x3fffffffu
#define IDLE 0x40000000u /* nothing is there, unless it was used again since */
#define PROT_READ_ 1
#define PROT_WRITE_ 2
#define SLACK_MOST (1ull << 30)

static uint64_t end_of(const struct linux_area *area)
{
    return area->base + area->len;
}

/* The first that ends behind an address. */
static uint32_t index_of(const struct linux_table *table, uint64_t address)
{
    uint32_t low = 0, high = table->paging->area_count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (end_of(&table->areas[middle]) > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_inside(const struct linux_table *table, uint64_t base, uint64_t len)
{
    return len <= table->far_len && base >= table->far_base &&
           base - table->far_base <= table->far_len - len;
}

uint64_t linux_far_run(const struct linux_table *table, uint64_t address, unsigned need)
{
    const uint32_t i = index_of(table, address);
    const struct linux_area *area = &table->areas[i];

    if (i == table->paging->area_count || address < area->base || (area->prot & need) != need)
        return 0;
    return end_of(area) - address;
}

bool linux_far_has_any(const struct linux_table *table, uint64_t base, uint64_t len)
{
    const uint32_t i = index_of(table, base);

    return i < table->paging->area_count && table->areas[i].base < base + len;
}

bool linux_far_covers(const struct linux_table *table, uint64_t base, uint64_t len)
{
    const uint64_t end = base + len;

    if (!is_inside(table, base, len))
        return false;
    for (uint32_t i = index_of(table, base); base < end; i++) {
        if (i == table->paging->area_count || table->areas[i].base > base)
            return false;
        base = end_of(&table->areas[i]);
    }
    return true;
}

/* --- Areas ------------------------------------------------------------------------------------ */

static void insert(struct linux_table *table, uint32_t at, struct linux_area area)
{
    memmove(&table->areas[at + 1], &table->areas[at],
            (table->paging->area_count - at) * sizeof(area));
    table->areas[at] = area;
    table->paging->area_count++;
}

static void erase(struct linux_table *table, uint32_t at)
{
    table->paging->area_count--;
    memmove(&table->areas[at], &table->areas[at + 1],
            (table->paging->area_count - at) * sizeof(table->areas[0]));
}

/* A hole may make two of one, and what comes into it is one more. */
static bool has_room(const struct linux_table *table)
{
    return table->paging->area_count + 2 <= LINUX_AREAS_MAX;
}

/* Nothing is of an area any more. */
static void cut_out(struct linux_table *table, uint64_t base, uint64_t end)
{
    uint32_t i = index_of(table, base);
    struct linux_area *area = &table->areas[i];

    if (i < table->paging->area_count && area->base < base) {
        const struct linux_area rest = {end, end_of(area) - end, area->prot};
        const bool is_split = end_of(area) > end;

        area->len = base - area->base;
        i++;
        if (is_split)
            insert(table, i, rest);
    }
    while (i < table->paging->area_count && table->areas[i].base < end) {
        area = &table->areas[i];
        if (end_of(area) <= end) {
            erase(table, i);
            continue;
        }
        area->len = end_of(area) - end;
        area->base = end;
    }
}

static void put_in(struct linux_table *table, uint64_t base, uint64_t len, int prot)
{
    uint32_t i = index_of(table, base);

    insert(table, i, (struct linux_area){base, len, (uint64_t)prot});
    if (i + 1 < table->paging->area_count && table->areas[i + 1].base == base + len &&
        table->areas[i + 1].prot == (uint64_t)prot) {
        table->areas[i].len += table->areas[i + 1].len;
        erase(table, i + 1);
    }
    if (i > 0 && end_of(&table->areas[i - 1]) == base &&
        table->areas[i - 1].prot == (uint64_t)prot) {
        table->areas[i - 1].len += table->areas[i].len;
        erase(table, i);
    }
}

/* The highest free addresses, `offset` behind a unit's beginning, in no unit of another area; or 0.
 */
static uint64_t find_gap(const struct linux_table *table, uint64_t len, uint64_t offset)
{
    uint64_t top = table->far_base + table->far_len;

    for (uint32_t i = table->paging->area_count;; i--) {
        const uint64_t before = i > 0 ? end_of(&table->areas[i - 1]) : table->far_base;
        const uint64_t low = (before + LINUX_UNIT - 1) / LINUX_UNIT * LINUX_UNIT;

        if (top > low && len + offset <= top - low) {
            const uint64_t base = (top - len - offset) / LINUX_UNIT * LINUX_UNIT + offset;

            if (base >= low)
                return base;
        }
        if (i == 0)
            return 0;
        top = table->areas[i - 1].base / LINUX_UNIT * LINUX_UNIT;
    }
}

/* With as much behind it again, so that it can grow where it is. */
static uint64_t find_room(const struct linux_table *table, uint64_t len, uint64_t offset)
{
    const uint64_t slack = len < SLACK_MOST ? len : SLACK_MOST;
    const uint64_t base = find_gap(table, len + slack, offset);

    return base ? base : find_gap(table, len, offset);
}

/* --- Units ------------------------------------------------------------------------------------ */

uint64_t linux_unit_of(const struct linux_table *table, uint64_t address)
{
    const struct linux_paging *paging = table->paging;
    const uint64_t unit =
        paging && address >= paging->first ? (address - paging->first) / LINUX_UNIT : UINT64_MAX;

    return !paging ? 0 : unit < paging->unit_count ? unit : paging->unit_count;
}

bool linux_unit_is_lent(const struct linux_table *table, uint64_t unit)
{
    uint32_t owner;

    if (!table->paging || unit >= table->paging->unit_count)
        return false;
    owner = table->units[unit] & OWNER;
    return owner != 0 && owner != LINUX_UNIT_KEPT;
}

/* Where the program has it. */
static uint64_t far_of(const struct linux_table *table, uint64_t unit)
{
    return table->far_base + ((table->units[unit] & OWNER) - 1ull) * LINUX_UNIT;
}

static unsigned char *near_of(const struct linux_table *table, uint64_t unit)
{
    return (unsigned char *)(uintptr_t)(table->paging->first + unit * LINUX_UNIT);
}

/* One that has memory at some of these addresses, from `unit` on. */
static uint64_t next_lent(const struct linux_table *table, uint64_t unit, uint64_t base,
                          uint64_t end)
{
    for (; unit < table->paging->unit_count; unit++) {
        if (linux_unit_is_lent(table, unit) && far_of(table, unit) < end &&
            far_of(table, unit) + LINUX_UNIT > base)
            break;
    }
    return unit;
}

/* Something besides these addresses is in it. */
static bool is_shared(const struct linux_table *table, uint64_t unit, uint64_t base, uint64_t end)
{
    const uint64_t far = far_of(table, unit);

    return (far < base && linux_far_has_any(table, far, base - far)) ||
           (far + LINUX_UNIT > end && linux_far_has_any(table, end, far + LINUX_UNIT - end));
}

/* Where all of that part of a unit can be written, at the address where it was used already. */
static unsigned char *part_of(const struct linux_table *table, uint64_t unit, uint64_t from,
                              uint64_t to)
{
    const uint64_t far = far_of(table, unit);

    if (linux_far_run(table, far + from, PROT_READ_ | PROT_WRITE_) >= to - from)
        return (unsigned char *)(uintptr_t)(far + from);
    return near_of(table, unit) + from;
}

/* Nobody has written to it since it was cleared. */
static bool is_zero(const struct linux_table *table, uint64_t unit)
{
    const uint64_t *words = (const uint64_t *)part_of(table, unit, 0, LINUX_UNIT);

    for (uint64_t i = 0; i < LINUX_UNIT / sizeof(*words); i++) {
        if (words[i])
            return false;
    }
    return true;
}

static int64_t forget(struct linux_table *table, uint64_t base, uint64_t len)
{
    return table->host->release(table->host->context, base, len);
}

bool linux_far_reclaim(struct linux_table *table)
{
    uint64_t low = UINT64_MAX, high = 0;

    for (uint64_t unit = 0; table->paging && unit < table->paging->unit_count; unit++) {
        uint64_t far;

        if (!linux_unit_is_lent(table, unit) || !(table->units[unit] & IDLE))
            continue;
        far = far_of(table, unit);
        table->units[unit] &= ~IDLE;
        if (linux_far_has_any(table, far, LINUX_UNIT) && !is_zero(table, unit))
            continue;
        table->units[unit] = LINUX_UNIT_USED;
        low = far < low ? far : low;
        high = far + LINUX_UNIT > high ? far + LINUX_UNIT : high;
    }
    return high > 0 && forget(table, low, high - low) == 0;
}

static uint64_t count_free(const struct linux_table *table, uint64_t *idle)
{
    uint64_t free = 0;

    *idle = 0;
    for (uint64_t unit = 0; unit < table->paging->unit_count; unit++) {
        const uint32_t word = table->units[unit];

        *idle += linux_unit_is_lent(table, unit) && (word & IDLE);
        free += (word & OWNER) == 0;
    }
    return free;
}

/* There are more of them than would be missed. */
static bool has_idle(const struct linux_table *table)
{
    uint64_t idle;
    const uint64_t free = count_free(table, &idle);

    return idle > 4 + free / 4;
}

bool linux_far_fits(struct linux_table *table, uint64_t len)
{
    uint64_t idle;
    const uint64_t free = count_free(table, &idle), need = (len + LINUX_UNIT - 1) / LINUX_UNIT;

    return need <= free ||
           (need <= free + idle && linux_far_reclaim(table) && need <= count_free(table, &idle));
}

/* What is there is as nothing, at addresses that are of areas still. */
static void drop(struct linux_table *table, uint64_t base, uint64_t end)
{
    uint64_t unit = next_lent(table, 0, base, end);
    bool has_any = false;

    for (; unit < table->paging->unit_count; unit = next_lent(table, unit + 1, base, end)) {
        const uint64_t far = far_of(table, unit), from = base > far ? base - far : 0;
        const uint64_t to = end - far < LINUX_UNIT ? end - far : LINUX_UNIT;

        memset(part_of(table, unit, from, to), 0, to - from);
        has_any = true;
        if (!is_shared(table, unit, base, end))
            table->units[unit] |= IDLE;
    }
    if (has_any && has_idle(table))
        (void)linux_far_reclaim(table);
}

/* --- Calls ------------------------------------------------------------------------------------ */

/* What may be done is less than may have been: what it gains comes with a fault. */
static int64_t withhold(struct linux_table *table, uint64_t base, uint64_t len, int prot)
{
    if (prot == (PROT_READ_ | PROT_WRITE_) ||
        next_lent(table, 0, base, base + len) == table->paging->unit_count)
        return 0;
    return forget(table, base, len);
}

int64_t linux_far_map(struct linux_table *table, uint64_t base, uint64_t len, int prot)
{
    int64_t error;

    if (!is_inside(table, base, len) || !has_room(table))
        return -L_ENOMEM;
    drop(table, base, base + len);
    cut_out(table, base, base + len);
    error = withhold(table, base, len, prot);
    if (error)
        return error;
    put_in(table, base, len, prot);
    return (int64_t)base;
}

int64_t linux_far_find(struct linux_table *table, uint64_t hint, uint64_t len, int prot)
{
    const uint64_t low = hint / LINUX_UNIT * LINUX_UNIT;
    uint64_t base = hint;

    if (len > table->far_len)
        return -L_ENOMEM;
    if (hint % LINUX_PAGE || !is_inside(table, hint, len) ||
        linux_far_has_any(table, low,
                          (hint - low + len + LINUX_UNIT - 1) / LINUX_UNIT * LINUX_UNIT))
        base = find_room(table, len, 0);
    return base ? linux_far_map(table, base, len, prot) : -L_ENOMEM;
}

int64_t linux_far_unmap(struct linux_table *table, uint64_t base, uint64_t len)
{
    if (!is_inside(table, base, len) || !has_room(table))
        return -L_ENOMEM;
    drop(table, base, base + len);
    cut_out(table, base, base + len);
    return 0;
}

int64_t linux_far_protect(struct linux_table *table, uint64_t base, uint64_t len, int prot)
{
    bool loses = false;

    if (!linux_far_covers(table, base, len) || !has_room(table))
        return -L_ENOMEM;
    for (uint32_t i = index_of(table, base);
         i < table->paging->area_count && table->areas[i].base < base + len; i++)
        loses |= (table->areas[i].prot & ~(uint64_t)prot) != 0;
    cut_out(table, base, base + len);
    put_in(table, base, len, prot);
    return loses ? withhold(table, base, len, prot) : 0;
}

int64_t linux_far_clear(struct linux_table *table, uint64_t base, uint64_t len)
{
    if (!linux_far_covers(table, base, len))
        return -L_ENOMEM;
    drop(table, base, base + len);
    return 0;
}

/* The last that is free, or unit_count. */
static uint64_t find_free(const struct linux_table *table)
{
    for (uint64_t unit = table->paging->unit_count; unit-- > 0;) {
        if ((table->units[unit] & OWNER) == 0)
            return unit;
    }
    return table->paging->unit_count;
}

/* Of a unit of which only a part moves, that goes on in another one. */
static bool copy_part(struct linux_table *table, uint64_t unit, uint64_t base, uint64_t end,
                      uint32_t owner)
{
    const uint64_t far = far_of(table, unit), other = find_free(table);
    const uint64_t from = base > far ? base - far : 0;
    const uint64_t to = end - far < LINUX_UNIT ? end - far : LINUX_UNIT;

    if (other == table->paging->unit_count)
        return false;
    memset(near_of(table, other), 0, LINUX_UNIT);
    memcpy(near_of(table, other) + from, near_of(table, unit) + from, to - from);
    table->units[other] = LINUX_UNIT_USED | owner;
    return true;
}

/* What is said of the one that has this address, `to` being another name of `base`. */
static uint32_t owner_at(const struct linux_table *table, uint64_t far, uint64_t base, uint64_t to)
{
    const uint64_t target = to / LINUX_UNIT * LINUX_UNIT + (far - base / LINUX_UNIT * LINUX_UNIT);

    return (uint32_t)((target - table->far_base) / LINUX_UNIT) + 1;
}

/* The memory of an area goes elsewhere, where nothing is: first and last unit may be shared. */
static int64_t move_units(struct linux_table *table, uint64_t base, uint64_t len, uint64_t to)
{
    const uint64_t end = base + len, count = table->paging->unit_count;
    uint64_t unit = next_lent(table, 0, base, end);

    for (; unit < count; unit = next_lent(table, unit + 1, base, end)) {
        if (is_shared(table, unit, base, end) &&
            !copy_part(table, unit, base, end, owner_at(table, far_of(table, unit), base, to))) {
            drop(table, to, to + len);
            return -L_ENOMEM;
        }
    }
    unit = next_lent(table, 0, base, end);
    for (; unit < count; unit = next_lent(table, unit + 1, base, end)) {
        const uint64_t far = far_of(table, unit);
        const uint64_t from = base > far ? base - far : 0;

        if (is_shared(table, unit, base, end))
            memset(near_of(table, unit) + from, 0,
                   (end - far < LINUX_UNIT ? end - far : LINUX_UNIT) - from);
        else
            table->units[unit] = LINUX_UNIT_USED | owner_at(table, far, base, to);
    }
    return 0;
}

int64_t linux_far_move(struct linux_table *table, uint64_t base, uint64_t old, uint64_t new,
                       bool may_move)
{
    const uint32_t i = index_of(table, base);
    const struct linux_area *area = &table->areas[i];
    uint64_t to;
    int64_t error;
    int prot;

    if (i == table->paging->area_count || base < area->base || end_of(area) - base < old)
        return -L_EFAULT;
    prot = (int)area->prot;
    if (new == old)
        return (int64_t)base;
    if (new < old) {
        error = linux_far_unmap(table, base + new, old - new);
        return error ? error : (int64_t)base;
    }
    if (!has_room(table))
        return -L_ENOMEM;
    if (is_inside(table, base, new) && !linux_far_has_any(table, base + old, new - old)) {
        put_in(table, base + old, new - old, prot);
        return (int64_t)base;
    }
    to = may_move ? find_room(table, new, base % LINUX_UNIT) : 0;
    if (!to)
        return -L_ENOMEM;
    error = move_units(table, base, old, to);
    if (error)
        return error;
    cut_out(table, base, base + old);
    put_in(table, to, new, prot);
    error = forget(table, base, old);
    return error ? error : (int64_t)to;
}
