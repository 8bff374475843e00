/*
 * Call sites of a program of Linux's, rewritten: `mov $number, %eax; syscall` becomes a jump and
 * the same `syscall`, so that whoever jumps to the latter finds it. The guest asks, and names an
 * address: it may be any. What is written is the host's own code, in memory that the guest executes
 * and cannot write, before and after (PATCH-01 to PATCH-05).
 */
#include "patch.h"
#include "machine.h"
#include <string.h>

static void put_u32(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

/*
 * An instruction whose last four bytes are a value, behind a displacement of one byte that happens
 * to be the mov's: then it is no mov.
 */
static bool is_other(const unsigned char *mov)
{
    static const unsigned char codes[] = {0x69, 0x81, 0xc7, 0xf7};

    for (unsigned i = 0; i < sizeof(codes); i++) {
        if ((mov[-2] == codes[i] && mov[-1] >> 6 == 1 && (mov[-1] & 7) != 4) ||
            (mov[-3] == codes[i] && mov[-2] >> 6 == 1 && (mov[-2] & 7) == 4))
            return true;
    }
    return false;
}

bool halo__patch_make(const unsigned char seen[HALO_PATCH_SEEN], uint64_t site, uint64_t place,
                      uint64_t entry, struct halo_patch *patch)
{
    const unsigned char *mov = seen + HALO_PATCH_BEFORE - HALO_PATCH_JUMP;
    const uint32_t number =
        mov[1] | (uint32_t)mov[2] << 8 | (uint32_t)mov[3] << 16 | (uint32_t)mov[4] << 24;

    /* Not with a prefix, which makes it another register's, or another length. */
    if (mov[0] != 0xb8 || mov[5] != 0x0f || mov[6] != 0x05 || number >= HALO_CALLS_COUNT ||
        mov[-1] >> 4 == 4 || mov[-1] == 0x66 || is_other(mov))
        return false;
    patch->jump[0] = 0xe9; /* jmp place */
    put_u32(patch->jump + 1, place - site);
    memcpy(patch->code, mov, 5);
    memcpy(patch->code + 5, "\x48\x8d\x0d", 3); /* lea site + 2, %rcx */
    put_u32(patch->code + 8, site + 2 - (place + 12));
    patch->code[12] = 0xe9; /* jmp entry */
    put_u32(patch->code + 13, entry - (place + HALO_PATCH_CODE));
    return true;
}

/* Memory of one range that the guest can execute and not write, now. */
static bool is_code(const struct halo_machine *machine, uint64_t base, uint64_t len, bool of_guest)
{
    const uint32_t both = HALO_PROT_WRITE | HALO_PROT_EXEC;
    const struct halo_layout *layout = &machine->layout;

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if (base < range->base || base - range->base >= range->len)
            continue;
        return len <= range->len - (base - range->base) && (range->most != 0) == of_guest &&
               !(range->most & HALO_PROT_WRITE) &&
               (halo__layout_prot(machine, base) & both) == HALO_PROT_EXEC &&
               (halo__layout_prot(machine, base + len - 1) & both) == HALO_PROT_EXEC;
    }
    return false;
}

static HALO_SHARED unsigned char *at_of(const struct halo_machine *machine, uint64_t address)
{
    return machine->ram.host + (address - HALO_RAM_BASE);
}

/* The first piece of the runtime's that nobody has used, as its bytes say; or 0. */
static uint64_t free_place(const struct halo_machine *machine)
{
    static const unsigned char none[HALO_PATCH_LEN];
    const uint64_t first = machine->layout.syscall_entry + HALO_PATCH_PLACE;
    unsigned char bytes[HALO_PATCH_LEN];

    if (!is_code(machine, first, HALO_PATCHES * HALO_PATCH_LEN, false))
        return 0;
    for (uint32_t i = 0; i < HALO_PATCHES; i++) {
        halo_shm_copy_in(bytes, at_of(machine, first + i * HALO_PATCH_LEN), sizeof(bytes));
        if (memcmp(bytes, none, sizeof(none)) == 0)
            return first + i * HALO_PATCH_LEN;
    }
    return 0;
}

int halo__machine_patch(struct halo_machine *machine, uint64_t site)
{
    const uint64_t from = site - HALO_PATCH_BEFORE;
    unsigned char seen[HALO_PATCH_SEEN];
    struct halo_patch patch;
    uint64_t place;
    int error;

    if (machine->keeps_code || !machine->layout.is_linux ||
        !is_code(machine, from, sizeof(seen), true))
        return 0;
    place = free_place(machine);
    if (!place)
        return 0;
    error = halo__ram_touch(&machine->ram, at_of(machine, from), sizeof(seen));
    if (!error)
        error = halo__ram_touch(&machine->ram, at_of(machine, place), sizeof(patch.code));
    if (error)
        return error;
    halo_shm_copy_in(seen, at_of(machine, from), sizeof(seen));
    if (!halo__patch_make(seen, site, place, machine->layout.syscall_entry + HALO_PATCH_ENTRY,
                          &patch))
        return 0;
    /* The guest stands still, in another place: it was let out by the doorbell. */
    halo_shm_copy_out(at_of(machine, place), patch.code, sizeof(patch.code));
    halo_shm_copy_out(at_of(machine, site - HALO_PATCH_JUMP), patch.jump, sizeof(patch.jump));
    machine->has_patched = true;
    return 0;
}
