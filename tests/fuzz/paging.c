/*
 * Any bytes as what a guest has written down of memory at other addresses, with any protections,
 * and any page fault. What is mapped are pages of data that the guest may write and can never
 * execute, where such addresses are, and within a unit and an area; what the host writes, it writes
 * there, too: a unit's zeroes, and who has it.
 */
#include "../../src/host/machine/machine.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define PAGES 64u
#define LEN (PAGES * HALO_PAGE)
#define SAVE_PAGE 63u /* writable, and no data: the host has its own use for it */
#define DATA (HALO_PROT_READ | HALO_PROT_WRITE)
#define NOTES 512u /* bytes of what is written down, at most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct halo_machine machine;
static unsigned char prots[PAGES], before[LEN];
static struct halo_fill filled;
static bool refuses;

static bool fill(struct halo_machine *of, const struct halo_fill *what)
{
    EXPECT(of == &machine);
    filled = *what;
    return !refuses;
}

static const struct halo_backend backend = {.name = "none", .fill = fill};

/* Code in the first two units, data in two, and one whose second half is read-only for ever. */
static const struct {
    uint64_t first, count, most;
} ranges[] = {{0, 16, HALO_PROT_READ | HALO_PROT_EXEC},
              {16, 32, DATA},
              {48, 8, DATA},
              {56, 7, HALO_PROT_READ},
              {SAVE_PAGE, 1, 0}};

static bool is_data(uint64_t page)
{
    return page >= 16 && page < 56 && prots[page] == DATA;
}

static void begin(void)
{
    static struct halo_words words;
    struct halo_layout *layout = &machine.layout;

    if (machine.ram.host)
        return;
    machine.words = &words;
    machine.prots = prots;
    machine.backend = &backend;
    EXPECT(halo__ram_make(&machine.ram, &words, LEN) == 0);
    layout->syscall_entry = HALO_RAM_BASE;
    layout->save = HALO_RAM_BASE + SAVE_PAGE * HALO_PAGE;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        layout->ranges[layout->range_count++] = (struct halo_range){
            .base = HALO_RAM_BASE + ranges[i].first * HALO_PAGE,
            .len = ranges[i].count * HALO_PAGE,
            .prot = (uint32_t)ranges[i].most,
            .most = (uint32_t)ranges[i].most,
        };
}

/* Only what is said above was written, and a unit is zero but where it was somebody's already. */
static void look(void)
{
    const unsigned char *after = (const unsigned char *)halo_shm_expose(machine.ram.host);

    for (uint64_t page = 0; page < PAGES; page++)
        EXPECT(is_data(page) ||
               memcmp(before + page * HALO_PAGE, after + page * HALO_PAGE, HALO_PAGE) == 0);
}

static void look_at_fill(const struct halo_exit *exit)
{
    const uint64_t from = filled.from - HALO_RAM_BASE;

    EXPECT(filled.at >= HALO_PAGING_BASE &&
           filled.at - HALO_PAGING_BASE + filled.len <= HALO_PAGING_LEN);
    EXPECT(filled.len > 0 && filled.len % HALO_PAGE == 0 && filled.at % HALO_PAGE == 0);
    EXPECT(filled.at / HALO_UNIT_LEN == (filled.at + filled.len - 1) / HALO_UNIT_LEN);
    EXPECT(exit->fault.address >= filled.at && exit->fault.address - filled.at < filled.len);
    EXPECT((filled.prot & ~(uint32_t)DATA) == 0 && (filled.prot & HALO_PROT_READ));
    EXPECT(filled.from % HALO_PAGE == 0 && from < LEN && filled.len <= LEN - from);
    for (uint64_t at = from; at < from + filled.len; at += HALO_PAGE)
        EXPECT(is_data(at / HALO_PAGE));
}

/* A number of the input's: as it is, or near to what means something here. */
static uint64_t number(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    switch (value & 3) {
    case 0:
        return value >> 2;
    case 1:
        return HALO_RAM_BASE + (value >> 2) % (LEN + 64);
    case 2:
        return HALO_PAGING_BASE + (value >> 2) % (4 * HALO_UNIT_LEN);
    default:
        return (value >> 2) % PAGES * HALO_PAGE;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    /* Protections, where the notes are, what the save page says of them, a fault; then notes. */
    struct halo_exit exit = {.kind = HALO_EXIT_FAULT, .fills = true};
    struct halo_paging paging;
    unsigned char *memory;
    uint64_t notes;
    int done;

    if (len < 64)
        return 0;
    begin();
    memory = (unsigned char *)halo_shm_expose(machine.ram.host);
    memset(memory, 0, LEN);
    for (unsigned i = 0; i < PAGES; i++) {
        const unsigned char most = i < 16 ? 5 : i < 56 ? DATA : i < SAVE_PAGE ? 1 : DATA;

        prots[i] = data[0] >> i % 8 & 1 ? most : data[1] & most;
    }
    refuses = data[2] & 1;
    notes = number(data + 3) % (LEN - NOTES);
    paging = (struct halo_paging){.areas = number(data + 11),
                                  .units = number(data + 19),
                                  .first = number(data + 27),
                                  .area_count = data[35] | (uint32_t)data[36] << 8,
                                  .unit_count = data[37] | (uint32_t)data[38] << 8};
    if (data[2] & 2) /* where one would expect them */
        paging.areas = HALO_RAM_BASE + notes;
    if (data[2] & 4)
        paging.units = (HALO_RAM_BASE + notes + 24) / 4 * 4;
    if (data[2] & 8)
        paging.first =
            (HALO_RAM_BASE + data[39] % PAGES * HALO_PAGE) / HALO_UNIT_LEN * HALO_UNIT_LEN;
    exit.fault.address = number(data + 40);
    exit.fault.error = data[48];
    if (data[2] & 16) { /* an area that there may be */
        struct halo_area area = {number(data + 49) / HALO_PAGE * HALO_PAGE,
                                 (uint64_t)data[57] * HALO_PAGE, data[58]};

        memcpy(memory + notes, &area, sizeof(area));
    }
    data += 59;
    len = len - 59 < NOTES - 24 ? len - 59 : NOTES - 24;
    memcpy(memory + notes + 24, data, len);
    memcpy(memory + SAVE_PAGE * HALO_PAGE + offsetof(struct halo_save, paging), &paging,
           sizeof(paging));
    memcpy(before, memory, LEN);
    filled.len = 0;
    done = halo__machine_fill(&machine, &exit);
    EXPECT(done <= 1);
    EXPECT(done != 1 || !refuses);
    if (done == 1)
        look_at_fill(&exit);
    look();
    return 0;
}
