/*
 * Call sites of a program of Linux's, rewritten: `mov $number, %eax; syscall` becomes a jump and
 * the same `syscall`, so that whoever jumps to the latter finds it. Where there is no such mov,
 * `syscall` and what follows become a jump, if the guest says that nobody jumps to what follows:
 * that it can look for itself, for all that goes wrong there is its own. It asks, and names an
 * address: it may be any. What is written is the host's own code, and few kinds of instructions
 * that do the same wherever they are, in memory that the guest executes and cannot write, before
 * and after (PATCH-01 to PATCH-06).
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
    put_u32(patch->code + 13, entry - (place + 17));
    patch->code_len = 17;
    return true;
}

/* Both operands of an instruction are registers. */
static bool is_registers(unsigned char operands)
{
    return operands >> 6 == 3;
}

/* The length of an instruction that does the same at every address, of those that compilers put
 * behind a system call; 0: it is another. */
static unsigned length_of(const unsigned char *at, unsigned left)
{
    const bool has_prefix = left > 1 && at[0] >= 0x48 && at[0] <= 0x4f; /* 64 bits */
    const unsigned char *code = at + has_prefix;
    const unsigned prefix = has_prefix;

    left -= has_prefix;
    if (left < 2)
        return 0;
    switch (code[0]) {
    case 0x89: /* mov, */
    case 0x8b:
    case 0x85: /* test, */
    case 0x31: /* xor: of two registers */
        return is_registers(code[1]) ? prefix + 2 : 0;
    case 0x3d: /* cmp $value, %eax */
        return left >= 5 ? prefix + 5 : 0;
    case 0x83: /* cmp $value of a byte, register */
        return left >= 3 && is_registers(code[1]) && (code[1] >> 3 & 7) == 7 ? prefix + 3 : 0;
    default:
        return 0;
    }
}

/* What compilers and linkers fill up with between functions, as the first two bytes show it. */
static bool is_filling(const unsigned char *at)
{
    return (at[0] == 0x90 && at[1] == 0x90) || (at[0] == 0xcc && at[1] == 0xcc) ||
           (at[0] == 0x0f && at[1] == 0x1f) ||
           (at[0] == 0x66 && (at[1] == 0x90 || at[1] == 0x0f || at[1] == 0x2e || at[1] == 0x66));
}

bool halo__patch_make_behind(const unsigned char seen[HALO_PATCH_AFTER], uint64_t site,
                             uint64_t place, uint64_t entry, struct halo_patch *patch)
{
    const unsigned char *behind = seen + 2;
    unsigned len = 0;

    if (seen[0] != 0x0f || seen[1] != 0x05)
        return false;
    if (behind[0] == 0xc3 && is_filling(behind + 1)) /* ret */
        len = 3;
    while (len < HALO_PATCH_JUMP - 2) {
        const unsigned next = length_of(behind + len, HALO_PATCH_AFTER - 2 - len);

        if (next == 0)
            return false;
        len += next;
    }
    patch->jump[0] = 0xe9; /* jmp place */
    put_u32(patch->jump + 1, place - (site + HALO_PATCH_JUMP));
    memcpy(patch->code, "\x48\x8d\x0d\x05\x00\x00\x00\xe9", 8); /* lea 12 + place, %rcx; jmp */
    put_u32(patch->code + 8, entry - (place + HALO_PATCH_BEHIND));
    memcpy(patch->code + HALO_PATCH_BEHIND, behind, len);
    patch->code_len = HALO_PATCH_BEHIND + len + HALO_PATCH_JUMP;
    patch->code[HALO_PATCH_BEHIND + len] = 0xe9; /* jmp to what is behind that */
    put_u32(patch->code + HALO_PATCH_BEHIND + len + 1, site + 2 + len - (place + patch->code_len));
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

/* Bytes of the program's code: 0, and none where that is not to be rewritten; or an error. */
static int take(struct halo_machine *machine, uint64_t from, unsigned char *seen, size_t len,
                bool *is_there)
{
    int error;

    *is_there = is_code(machine, from, len, true);
    if (!*is_there)
        return 0;
    error = halo__ram_touch(&machine->ram, at_of(machine, from), len);
    if (!error)
        halo_shm_copy_in(seen, at_of(machine, from), len);
    return error;
}

/* The guest stands still, in another place: it was let out by the doorbell. */
static int put(struct halo_machine *machine, uint64_t jump, uint64_t place,
               const struct halo_patch *patch)
{
    const int error = halo__ram_touch(&machine->ram, at_of(machine, place), patch->code_len);

    if (error)
        return error;
    halo_shm_copy_out(at_of(machine, place), patch->code, patch->code_len);
    halo_shm_copy_out(at_of(machine, jump), patch->jump, sizeof(patch->jump));
    machine->has_patched = true;
    return 0;
}

int halo__machine_patch(struct halo_machine *machine, uint64_t site, bool behind)
{
    const uint64_t entry = machine->layout.syscall_entry + HALO_PATCH_ENTRY;
    unsigned char seen[HALO_PATCH_SEEN], after[HALO_PATCH_AFTER];
    struct halo_patch patch;
    uint64_t place;
    bool is_there;
    int error;

    if (machine->keeps_code || !machine->layout.is_linux)
        return 0;
    error = take(machine, site - HALO_PATCH_BEFORE, seen, sizeof(seen), &is_there);
    if (error)
        return error;
    place = is_there ? free_place(machine) : 0;
    if (!place)
        return 0;
    if (!behind)
        return halo__patch_make(seen, site, place, entry, &patch)
                   ? put(machine, site - HALO_PATCH_JUMP, place, &patch)
                   : 0;
    error = take(machine, site, after, sizeof(after), &is_there);
    if (error || !is_there || !halo__patch_make_behind(after, site, place, entry, &patch))
        return error;
    return put(machine, site, place, &patch);
}
