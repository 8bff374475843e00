/*
 * Any registers, stack and code before a back trace: it ends, fills in no more frames than it was
 * asked for, and names nothing but code, behind a call. An input is registers, protections, and
 * then what lies in memory.
 */
#include "../../src/host/machine/machine.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define PAGES 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct halo_machine machine;
static struct halo_words words;
static unsigned char prots[PAGES];

/* Low bytes of the input as an address that is often in memory. */
static uint64_t take_address(const uint8_t **data, size_t *len)
{
    uint32_t word = 0;
    const size_t n = *len < 3 ? *len : 3;

    memcpy(&word, *data, n);
    *data += n;
    *len -= n;
    if (word >> 20 == 0xf)
        return (uint64_t)(int64_t)(int32_t)(word << 8) << 24;
    return HALO_RAM_BASE - 16 + (word & 0xffff);
}

static void make_machine(void)
{
    static const struct halo_backend backend = {.name = "none"};

    if (machine.words)
        return;
    machine = (struct halo_machine){.backend = &backend, .ram = {.fd = -1}, .words = &words};
    EXPECT(halo__ram_make(&machine.ram, &words, PAGES * HALO_PAGE) == 0);
    machine.layout.ranges[0] = (struct halo_range){.base = HALO_RAM_BASE, .len = 2 * HALO_PAGE};
    machine.layout.ranges[1] =
        (struct halo_range){.base = HALO_RAM_BASE + 3 * HALO_PAGE, .len = 4 * HALO_PAGE};
    machine.layout.ranges[2] =
        (struct halo_range){.base = HALO_RAM_BASE + 7 * HALO_PAGE, .len = HALO_PAGE};
    machine.layout.range_count = 3;
    machine.layout.doorbell = HALO_RAM_BASE + 7 * HALO_PAGE;
}

/* Copies of what is left, one in each page, at the page's end or its beginning. */
static void fill(const uint8_t *data, size_t len)
{
    static const unsigned char zeroes[HALO_PAGE];
    const size_t n = len < HALO_PAGE ? len : HALO_PAGE;

    for (uint64_t page = 0; page < PAGES; page++) {
        HALO_SHARED unsigned char *at = machine.ram.host + page * HALO_PAGE;

        halo_shm_copy_out(at, zeroes, HALO_PAGE);
        halo_shm_copy_out(at, data, n);
        halo_shm_copy_out(at + HALO_PAGE - n, data, n);
    }
}

static bool is_call(uint64_t address)
{
    unsigned char code[7];

    halo_shm_copy_in(code, machine.ram.host + (address - HALO_RAM_BASE) - sizeof(code),
                     sizeof(code));
    for (size_t i = 0; i < 6; i++) {
        if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x10)
            return true;
    }
    return code[2] == 0xe8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct halo_frame frames[HALO_BACKTRACE_MAX + 1];
    struct halo_processor at = {.known = HALO_PROCESSOR_ALL};
    uint32_t max, count;

    if (len < 12)
        return 0;
    make_machine();
    at.rip = take_address(&data, &len);
    at.rsp = take_address(&data, &len);
    at.rbp = take_address(&data, &len) & ~(uint64_t)(*data & 7);
    machine.prots = *data & 8 ? prots : NULL;
    for (uint32_t i = 0; i < PAGES; i++)
        prots[i] = data[i % len] & 7;
    for (uint32_t i = 0; i < machine.layout.range_count; i++)
        machine.layout.ranges[i].prot = *data >> (2 * i) & 7;
    max = data[1] & 1 ? HALO_BACKTRACE_MAX + 1 : data[1] >> 1;
    fill(data + 2, len - 2);
    strcpy(words.text, "kept");
    count = halo__machine_backtrace(&machine, &at, frames, max);
    EXPECT(count <= max && count <= HALO_BACKTRACE_MAX && strcmp(words.text, "kept") == 0);
    EXPECT(count > 0 || max == 0);
    for (uint32_t i = 1; i < count; i++) {
        EXPECT(halo__layout_prot(&machine, frames[i].address) & HALO_PROT_EXEC);
        EXPECT(halo__layout_prot(&machine, frames[i].stack) & HALO_PROT_WRITE);
        EXPECT(frames[i].kind == HALO_FRAME_CALLER || frames[i].kind == HALO_FRAME_GUESS);
        EXPECT(i == 1 || frames[i].stack >= frames[i - 1].stack + 8);
        EXPECT(is_call(frames[i].address));
    }
    return 0;
}
