/*
 * Any bytes as a program's code, with any protections, and any address to be rewritten: what is
 * written is five bytes before or from a `syscall` of the program's, in memory that is executed and
 * not written, and one free piece of the runtime's, which leads there and back. Nothing else
 * changes.
 */
#include "../../src/host/machine/patch.h"
#include "../../src/host/machine/machine.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define PAGES 8u
#define LEN (PAGES * HALO_PAGE)
#define HEAD (HALO_RAM_BASE + 4 * HALO_PAGE + 64) /* of the runtime, in the second half */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct halo_machine machine;
static unsigned char before[LEN];

static uint32_t number_at(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool is_code(uint64_t offset, bool of_guest)
{
    const uint32_t prot = machine.prots[offset / HALO_PAGE];

    return (prot & HALO_PROT_EXEC) && !(prot & HALO_PROT_WRITE) &&
           of_guest == (offset < 4 * HALO_PAGE);
}

/* Where the instruction of five bytes at this place of memory jumps to. */
static uint64_t target(const unsigned char *memory, uint64_t offset)
{
    return HALO_RAM_BASE + offset + 5 + (uint64_t)(int64_t)(int32_t)number_at(memory + offset + 1);
}

/* Code of the program's that became a jump, to a piece of the runtime's that was free. */
static uint64_t place_of(const unsigned char *after, uint64_t jump, bool is_there)
{
    uint64_t place;

    EXPECT(machine.has_patched && jump + 5 <= LEN && is_there);
    EXPECT(is_code(jump, true) && is_code(jump + 4, true) && after[jump] == 0xe9);
    place = target(after, jump) - HALO_RAM_BASE;
    EXPECT(place >= HEAD - HALO_RAM_BASE + 64 && place + 32 <= LEN && place % 32 == 0);
    EXPECT(is_code(place, false) && is_code(place + 31, false));
    for (uint64_t i = 0; i < 32; i++)
        EXPECT(before[place + i] == 0);
    return place;
}

static void look(uint64_t site)
{
    const unsigned char *after = (const unsigned char *)halo_shm_expose(machine.ram.host);
    const uint64_t at = site - HALO_RAM_BASE, jump = at - 5;
    uint64_t place;

    if (memcmp(before, after, LEN) == 0)
        return;
    EXPECT(site >= HALO_RAM_BASE + 8 && at < LEN - 1 && is_code(at - 8, true) &&
           is_code(at + 1, true) && memcmp(before + at, "\x0f\x05", 2) == 0);
    EXPECT(memcmp(after + at, before + at, 2) == 0);
    place = place_of(after, jump, before[jump] == 0xb8);
    EXPECT(memcmp(after + place, before + jump, 5) == 0);
    EXPECT(memcmp(after + place + 5, "\x48\x8d\x0d", 3) == 0 &&
           HALO_RAM_BASE + place + 12 + (uint64_t)(int64_t)(int32_t)number_at(after + place + 8) ==
               site + 2);
    EXPECT(after[place + 12] == 0xe9 && target(after, place + 12) == HEAD + 32);
    memcpy(before + jump, after + jump, 5);
    memcpy(before + place, after + place, 17);
    EXPECT(memcmp(before, after, LEN) == 0);
}

/* The same where what is behind it gave way: it is where the call goes on, and then leads back. */
static void look_behind(uint64_t site)
{
    const unsigned char *after = (const unsigned char *)halo_shm_expose(machine.ram.host);
    const uint64_t at = site - HALO_RAM_BASE;
    uint64_t place, len = 0;

    if (memcmp(before, after, LEN) == 0)
        return;
    EXPECT(site >= HALO_RAM_BASE + 8 && at + 10 <= LEN && is_code(at + 9, true));
    place = place_of(after, at, memcmp(before + at, "\x0f\x05", 2) == 0);
    EXPECT(memcmp(after + place, "\x48\x8d\x0d\x05\0\0\0\xe9", 8) == 0 &&
           target(after, place + 7) == HEAD + 32);
    for (len = 3; len <= 8; len++) {
        if (after[place + 12 + len] == 0xe9 && target(after, place + 12 + len) == site + 2 + len)
            break;
    }
    EXPECT(len <= 8 && memcmp(after + place + 12, before + at + 2, len) == 0);
    memcpy(before + at, after + at, 5);
    memcpy(before + place, after + place, 17 + len);
    EXPECT(memcmp(before, after, LEN) == 0);
}

static void begin(void)
{
    static struct halo_words words;
    static unsigned char prots[PAGES];
    struct halo_layout *layout = &machine.layout;

    if (machine.ram.host)
        return;
    machine.words = &words;
    machine.prots = prots;
    EXPECT(halo__ram_make(&machine.ram, &words, LEN) == 0);
    layout->is_linux = true;
    layout->syscall_entry = HEAD + 16;
    for (uint64_t i = 0; i < 2; i++)
        layout->ranges[layout->range_count++] = (struct halo_range){
            .base = HALO_RAM_BASE + i * 4 * HALO_PAGE,
            .len = 4 * HALO_PAGE,
            .prot = HALO_PROT_READ | HALO_PROT_EXEC,
            .most = i == 0 ? HALO_PROT_READ | HALO_PROT_EXEC : 0,
        };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    /* Two bytes of protections, three bits a page; two of where the code lies; then code. */
    uint64_t site;
    uint32_t where;
    unsigned char *memory;

    if (len < 8)
        return 0;
    begin();
    memory = (unsigned char *)halo_shm_expose(machine.ram.host);
    memset(memory, 0, LEN);
    for (unsigned i = 0; i < PAGES; i++)
        machine.prots[i] = data[0] >> i & 1 ? data[1] >> (i % 2 * 3) & 7 : 5;
    machine.has_patched = false;
    machine.keeps_code = data[1] >> 7;
    where = (data[2] | (uint32_t)data[3] << 8) % (LEN - 512);
    if (data[4] & 1) /* some of the pieces are taken, or all */
        memset(memory + (HEAD - HALO_RAM_BASE) + 64, 0xe9, data[4] * 17u);
    data += 5;
    len = len - 5 < 512 ? len - 5 : 512;
    memcpy(memory + where, data, len);
    memcpy(before, memory, LEN);
    for (uint64_t i = 0; i < len; i++) {
        EXPECT(halo__machine_patch(&machine, HALO_RAM_BASE + where + i, false) == 0);
        EXPECT(!machine.keeps_code || !machine.has_patched);
        look(HALO_RAM_BASE + where + i);
        EXPECT(halo__machine_patch(&machine, HALO_RAM_BASE + where + i, true) == 0);
        EXPECT(!machine.keeps_code || !machine.has_patched);
        look_behind(HALO_RAM_BASE + where + i);
    }
    memcpy(&site, data, len < 8 ? len : 8);
    if (len >= 8) {
        EXPECT(halo__machine_patch(&machine, site, false) == 0);
        look(site);
        EXPECT(halo__machine_patch(&machine, site, true) == 0);
        look_behind(site);
    }
    return 0;
}
