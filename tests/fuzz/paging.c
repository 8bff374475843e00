/*
 * Any bytes as what a guest has written down of memory at other addresses, any protections, and any
 * page fault: what comes to be mapped are pages of one unit, which the guest may write where they
 * are and which nothing can make executable, at addresses that are nothing else's. What changes in
 * memory is one unit, cleared, and the word that says so.
 */
#include "../../src/host/machine/machine.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define UNITS 6u
#define LEN (UNITS * HALO_UNIT_LEN)
#define PAGES (LEN / HALO_PAGE)
#define DATA (HALO_PROT_READ | HALO_PROT_WRITE)
#define NOTES (HALO_RAM_BASE + 3 * HALO_PAGE) /* where areas and units mostly are */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct halo_machine machine;
static unsigned char before[LEN], prots[PAGES];
static const uint8_t *at;
static size_t left;
static struct halo_fill filled;
static unsigned fills;

static uint64_t pick(unsigned len)
{
    uint64_t value = 0;

    for (; len > 0 && left > 0; len--, left--)
        value = value << 8 | *at++;
    return value;
}

static int fill(struct halo_machine *of, const struct halo_fill *what)
{
    EXPECT(of == &machine);
    filled = *what;
    fills++;
    return 1;
}

static struct halo_backend backend = {.fill = fill};

static void begin(void)
{
    static struct halo_words words;
    struct halo_layout *layout = &machine.layout;
    /* Save page and more; data; code; data of the host's; data. */
    static const struct halo_range ranges[] = {
        {0, HALO_UNIT_LEN, DATA, 0, DATA},
        {HALO_UNIT_LEN, 2 * HALO_UNIT_LEN, DATA, 0, DATA},
        {3 * HALO_UNIT_LEN, HALO_UNIT_LEN, 5, 0, 5},
        {4 * HALO_UNIT_LEN, HALO_UNIT_LEN, DATA, 0, 0},
        {5 * HALO_UNIT_LEN, HALO_UNIT_LEN, DATA, 0, DATA},
    };

    if (machine.ram.host)
        return;
    machine.words = &words;
    machine.backend = &backend;
    machine.prots = prots;
    EXPECT(halo__ram_make(&machine.ram, &words, LEN) == 0);
    layout->syscall_entry = HALO_RAM_BASE;
    layout->save = HALO_RAM_BASE;
    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        layout->ranges[i] = ranges[i];
        layout->ranges[i].base += HALO_RAM_BASE;
    }
    layout->range_count = sizeof(ranges) / sizeof(ranges[0]);
}

/* A number that is near what would be right, or any. */
static uint64_t near_to(uint64_t value)
{
    const uint64_t how = pick(1);

    return how < 192 ? value : how < 224 ? value + pick(1) * (how % 2 ? 1 : HALO_PAGE) : pick(8);
}

/* All that it says, with places where it mostly is sound. */
static void write_down(unsigned char *memory)
{
    const uint32_t area_count = (uint32_t)near_to(pick(1) % 4),
                   unit_count = (uint32_t)near_to(UNITS);
    const struct halo_paging paging = {.areas = near_to(NOTES),
                                       .units = near_to(NOTES + 256),
                                       .first = near_to(HALO_RAM_BASE),
                                       .area_count = area_count,
                                       .unit_count = unit_count};

    memcpy(memory + offsetof(struct halo_save, paging), &paging, sizeof(paging));
    for (unsigned i = 0; i < 4; i++) {
        const struct halo_area area = {.base = near_to(HALO_PAGING_BASE + i * 3 * HALO_PAGE),
                                       .len = near_to(3 * HALO_PAGE),
                                       .prot = near_to(3)};

        memcpy(memory + (NOTES - HALO_RAM_BASE) + i * sizeof(area), &area, sizeof(area));
    }
    for (unsigned i = 0; i < UNITS; i++) {
        const uint64_t how = pick(1);
        const uint32_t unit = how < 64    ? 0
                              : how < 128 ? HALO_UNIT_USED
                              : how < 192 ? (uint32_t)(1 + how % 3)
                                          : (uint32_t)pick(4);

        memcpy(memory + (NOTES - HALO_RAM_BASE) + 256 + i * sizeof(unit), &unit, sizeof(unit));
    }
}

static void look(const unsigned char *memory, const struct halo_exit *exit)
{
    const uint64_t from = filled.from - HALO_RAM_BASE, unit = from / HALO_UNIT_LEN * HALO_UNIT_LEN;
    struct halo_paging paging;
    uint64_t note;

    EXPECT(filled.len > 0 && filled.len <= HALO_UNIT_LEN && filled.len % HALO_PAGE == 0);
    EXPECT(filled.from >= HALO_RAM_BASE && from % HALO_PAGE == 0 &&
           from + filled.len <= unit + HALO_UNIT_LEN && unit + HALO_UNIT_LEN <= LEN);
    EXPECT(filled.at >= HALO_PAGING_BASE && filled.at % HALO_PAGE == 0 &&
           filled.at - HALO_PAGING_BASE <= HALO_PAGING_LEN - filled.len);
    EXPECT(filled.at % HALO_UNIT_LEN == from % HALO_UNIT_LEN);
    EXPECT(exit->fault.address >= filled.at && exit->fault.address < filled.at + filled.len);
    EXPECT(filled.prot == HALO_PROT_READ || filled.prot == DATA);
    EXPECT(unit < 3 * HALO_UNIT_LEN || unit >= 5 * HALO_UNIT_LEN);
    for (uint64_t i = unit; i < unit + HALO_UNIT_LEN; i += HALO_PAGE)
        EXPECT(prots[i / HALO_PAGE] == DATA);
    /* What changed. */
    memcpy(&paging, before + offsetof(struct halo_save, paging), sizeof(paging));
    note = paging.units - HALO_RAM_BASE + (filled.from - paging.first) / HALO_UNIT_LEN * 4;
    EXPECT(note <= LEN - 4 && note % 4 == 0 && prots[note / HALO_PAGE] == DATA);
    EXPECT(note < 3 * HALO_UNIT_LEN || note >= 5 * HALO_UNIT_LEN);
    for (uint64_t i = unit; i < unit + HALO_UNIT_LEN; i++)
        EXPECT(memory[i] == before[i] || memory[i] == 0 || (i >= note && i < note + 4));
    memcpy(before + unit, memory + unit, HALO_UNIT_LEN);
    memcpy(before + note, memory + note, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct halo_exit exit = {.kind = HALO_EXIT_FAULT, .fills = true};
    unsigned char *memory;

    begin();
    at = data;
    left = len;
    memory = (unsigned char *)halo_shm_expose(machine.ram.host);
    memset(memory, 0x5a, LEN);
    for (unsigned i = 0; i < PAGES; i++)
        prots[i] = i / 16 == 3 ? 5 : DATA;
    for (uint64_t count = pick(1) % 8; count > 0; count--)
        prots[pick(1) % PAGES] = (unsigned char)pick(1) % 8;
    write_down(memory);
    exit.fault.address = near_to(HALO_PAGING_BASE + pick(1) * 512);
    exit.fault.error = (uint32_t)pick(1);
    memcpy(before, memory, LEN);
    fills = 0;
    if (halo__machine_fill(&machine, &exit) == 1) {
        EXPECT(fills == 1);
        look(memory, &exit);
    } else {
        EXPECT(fills == 0);
    }
    EXPECT(memcmp(before, memory, LEN) == 0);
    exit.base = near_to(HALO_PAGING_BASE);
    exit.len = near_to(HALO_PAGE);
    exit.prot = pick(1);
    exit.releases = pick(1) % 2;
    if (halo__paging_judge(&exit) == 0)
        EXPECT(exit.base >= HALO_PAGING_BASE && exit.len > 0 && exit.len <= HALO_PAGING_LEN &&
               exit.base - HALO_PAGING_BASE <= HALO_PAGING_LEN - exit.len &&
               exit.base % HALO_PAGE == 0 && exit.len % HALO_PAGE == 0 &&
               (exit.releases || exit.prot == HALO_PROT_READ));
    return 0;
}
