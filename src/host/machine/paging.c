/*
 * Guest memory at other addresses than its own: from HALO_PAGING_BASE on. What there is, its guest
 * has written down in its own memory (halo/abi.h): areas, and which unit of memory is where. So a
 * snapshot holds it with the memory, and a processor's page tables or a process's mappings are no
 * more than a copy of it, which begins empty and is filled where a fault says that something is
 * missing.
 *
 * Nothing of it is believed. Whatever areas and units say, what is mapped are pages of the guest's
 * own program, heap or stack that it may write now and can never make executable, in a range of
 * addresses where nothing else is, and without the right to execute: no page is ever writable at
 * one address and executable at another (VM-14). What the host writes, a unit's zeroes and who has
 * it, it writes into such pages, too. What the guest can have the host do for it is one
 * look through a list of HALO_AREAS_MAX and one of units for each fault (PAGE-01 to PAGE-07).
 */
#include "machine.h"
#include <errno.h>

#define PROT_DATA (HALO_PROT_READ | HALO_PROT_WRITE)
#define UNITS_AT_ONCE 256u
#define OWNER 0x3fffffffu

/* From a page fault's error code. */
#define FAULT_WRITE 2u
#define FAULT_FETCH 16u

_Static_assert(HALO_PAGING_LEN / HALO_UNIT_LEN < HALO_UNIT_KEPT, "an owner's number");

bool halo__paging_is_there(uint64_t base, uint64_t len)
{
    return base >= HALO_PAGING_BASE && base - HALO_PAGING_BASE <= HALO_PAGING_LEN &&
           len <= HALO_PAGING_LEN - (base - HALO_PAGING_BASE);
}

/* The guest's word on its areas and units, with what bounds a walk through them judged. */
static bool take_paging(struct halo_machine *machine, struct halo_paging *paging)
{
    const uint64_t at = machine->layout.save + offsetof(struct halo_save, paging);

    return halo__ram_take(&machine->ram, at, paging, sizeof(*paging)) && paging->areas &&
           paging->units % sizeof(uint32_t) == 0 && paging->area_count <= HALO_AREAS_MAX &&
           paging->first >= HALO_RAM_BASE && paging->first % HALO_UNIT_LEN == 0 &&
           paging->first - HALO_RAM_BASE <= machine->ram.len &&
           paging->unit_count <=
               (machine->ram.len - (paging->first - HALO_RAM_BASE)) / HALO_UNIT_LEN;
}

/* The area that has this address. What it says is cut to where addresses may be. */
static bool find_area(struct halo_machine *machine, const struct halo_paging *paging,
                      uint64_t address, struct halo_area *area)
{
    for (uint32_t i = 0; i < paging->area_count; i++) {
        if (!halo__ram_take(&machine->ram, paging->areas + i * sizeof(*area), area, sizeof(*area)))
            return false;
        if (halo__paging_is_there(area->base, area->len) && area->base % HALO_PAGE == 0 &&
            area->len % HALO_PAGE == 0 && address >= area->base && address - area->base < area->len)
            return true;
    }
    return false;
}

/* The unit that has this owner, else the last one that is free; unit_count where there is none. */
static bool find_unit(struct halo_machine *machine, const struct halo_paging *paging,
                      uint32_t owner, uint32_t *unit, uint32_t *word)
{
    uint32_t words[UNITS_AT_ONCE];

    *unit = paging->unit_count;
    for (uint32_t first = 0; first < paging->unit_count; first += UNITS_AT_ONCE) {
        const uint32_t left = paging->unit_count - first;
        const uint32_t count = left < UNITS_AT_ONCE ? left : UNITS_AT_ONCE;

        if (!halo__ram_take(&machine->ram, paging->units + first * sizeof(words[0]), words,
                            count * sizeof(words[0])))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            if ((words[i] & OWNER) != owner && (words[i] & OWNER) != 0)
                continue;
            *unit = first + i;
            *word = words[i];
            if ((words[i] & OWNER) == owner)
                return true;
        }
    }
    return true;
}

/* Data of the guest's own, which it may write, and which nothing can make executable. */
static bool is_data(const struct halo_machine *machine, uint64_t base, uint64_t len)
{
    const struct halo_layout *layout = &machine->layout;

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if (base < range->base || base - range->base >= range->len)
            continue;
        if (range->most != PROT_DATA || len > range->len - (base - range->base))
            return false;
        for (uint64_t at = base; at < base + len; at += HALO_PAGE) {
            if (halo__layout_prot(machine, at) != PROT_DATA)
                return false;
        }
        return true;
    }
    return false;
}

/* Where the guest has noted what a unit is for: in data of its own, too, for the host writes it. */
static bool is_noted_in_data(const struct halo_machine *machine, const struct halo_paging *paging,
                             uint32_t unit)
{
    const uint64_t note = paging->units + unit * sizeof(uint32_t);

    return is_data(machine, note / HALO_PAGE * HALO_PAGE, HALO_PAGE);
}

/* It is this owner's from now on, and zero. 0, or an error. */
static int take_unit(struct halo_machine *machine, const struct halo_paging *paging, uint32_t unit,
                     uint32_t word, uint32_t owner)
{
    static const unsigned char none[HALO_PAGE];
    HALO_SHARED unsigned char *at =
        machine->ram.host + (paging->first + (uint64_t)unit * HALO_UNIT_LEN - HALO_RAM_BASE);
    HALO_SHARED unsigned char *note =
        machine->ram.host + (paging->units + unit * sizeof(owner) - HALO_RAM_BASE);
    const uint32_t now = owner | HALO_UNIT_USED;
    int error = 0;

    if (word & HALO_UNIT_USED)
        error = halo__ram_touch(&machine->ram, at, HALO_UNIT_LEN);
    for (uint32_t i = 0; (word & HALO_UNIT_USED) && !error && i < HALO_UNIT_LEN; i += HALO_PAGE)
        halo_shm_copy_out(at + i, none, HALO_PAGE);
    if (!error)
        halo_shm_copy_out(note, &now, sizeof(now));
    return error;
}

static int full(struct halo_machine *machine, const char *what, uint64_t address)
{
    return halo__fail(machine->words, HALO_EFAULT,
                      "the guest was stopped: %s for what it uses at 0x%llx", what,
                      (unsigned long long)address);
}

int halo__machine_fill(struct halo_machine *machine, const struct halo_exit *exit)
{
    const uint64_t address = exit->fault.address;
    const uint64_t offset = (address - HALO_PAGING_BASE) % HALO_UNIT_LEN;
    const uint64_t at = address - offset;
    const uint32_t owner = (uint32_t)((at - HALO_PAGING_BASE) / HALO_UNIT_LEN) + 1;
    struct halo_paging paging;
    struct halo_area area;
    struct halo_fill fill;
    uint32_t unit, word = 0;
    uint64_t from;
    int error, filled;

    if (!halo__paging_is_there(address, 1) || !take_paging(machine, &paging) ||
        !find_area(machine, &paging, address, &area) || !(area.prot & HALO_PROT_READ) ||
        (exit->fault.error & FAULT_FETCH) ||
        ((exit->fault.error & FAULT_WRITE) && !(area.prot & HALO_PROT_WRITE)) ||
        !find_unit(machine, &paging, owner, &unit, &word))
        return 0;
    if (unit == paging.unit_count)
        return full(machine, "there is no memory left (more, by ram_len or --memory, helps)",
                    address);
    from = paging.first + (uint64_t)unit * HALO_UNIT_LEN;
    if (!is_data(machine, from, HALO_UNIT_LEN) || !is_noted_in_data(machine, &paging, unit))
        return 0;
    error = (word & OWNER) == owner ? 0 : take_unit(machine, &paging, unit, word, owner);
    if (error)
        return error;
    fill.at = area.base > at ? area.base : at;
    fill.len = area.base + area.len - fill.at;
    if (fill.len > at + HALO_UNIT_LEN - fill.at)
        fill.len = at + HALO_UNIT_LEN - fill.at;
    fill.from = from + (fill.at - at);
    fill.prot = (uint32_t)area.prot & PROT_DATA;
    filled = machine->backend->fill(machine, &fill);
    if (!filled)
        return full(machine, "too many places are in use, and there is no page table left",
                    address);
    return filled;
}

uint64_t halo__paging_find(struct halo_machine *machine, uint64_t page)
{
    const uint64_t offset = page - HALO_PAGING_BASE;
    const uint32_t owner = (uint32_t)(offset / HALO_UNIT_LEN) + 1;
    struct halo_paging paging;
    struct halo_area area;
    uint32_t unit, word = 0;

    if (!halo__paging_is_there(page, HALO_PAGE) || !take_paging(machine, &paging) ||
        !find_area(machine, &paging, page, &area) || !(area.prot & HALO_PROT_READ) ||
        !find_unit(machine, &paging, owner, &unit, &word) || (word & OWNER) != owner)
        return 0;
    return paging.first + (uint64_t)unit * HALO_UNIT_LEN + offset % HALO_UNIT_LEN;
}

int halo__paging_judge(const struct halo_exit *exit)
{
    if (exit->base % HALO_PAGE || exit->len % HALO_PAGE || exit->len == 0 ||
        !halo__paging_is_there(exit->base, exit->len))
        return -EINVAL;
    /* A process makes read-only so what it has mapped for reading. */
    return exit->releases || exit->prot == HALO_PROT_READ ? 0 : -EACCES;
}
