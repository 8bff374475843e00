/*
 * Any bytes as a guest's file: refused with words, or memory that is what it has to be. Nothing is
 * writable and executable, no two ranges share a page, a descriptor may name no rings and no pages
 * of the host's, and what is entered is code. An input is how to open it, and then the file.
 */
#include "../../src/host/machine/machine.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define WX (HALO_PROT_WRITE | HALO_PROT_EXEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What answers system calls comes with the library and is not the file's. */
int halo__runtime_load(struct halo_machine *machine)
{
    machine->layout.ring_max = HALO_QUEUE_SIZE_MAX;
    machine->layout.calls_min = HALO_QUEUE_SIZE_MIN;
    machine->layout.calls_max = HALO_QUEUE_SIZE_DEFAULT;
    return 0;
}

static const struct halo_range *range_at(const struct halo_layout *layout, uint64_t address)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        if (address >= layout->ranges[i].base &&
            address - layout->ranges[i].base < layout->ranges[i].len)
            return &layout->ranges[i];
    }
    return NULL;
}

static void look_at_ranges(const struct halo_machine *machine)
{
    const struct halo_layout *layout = &machine->layout;
    const uint64_t end = HALO_RAM_BASE + machine->ram.len;

    EXPECT(layout->range_count > 0 && layout->range_count <= HALO_RANGE_MAX);
    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        EXPECT(range->base % HALO_PAGE == 0 && range->len % HALO_PAGE == 0 && range->len > 0);
        EXPECT(range->base >= HALO_RAM_BASE && range->base < end &&
               range->len <= end - range->base);
        EXPECT((range->prot & WX) != WX && (range->most & WX) != WX);
        EXPECT(!(range->rights & HALO_MAY_WRITE) || range->prot & HALO_PROT_WRITE);
        EXPECT(!range->rights || range->base + range->len <= layout->ring);
        EXPECT(!range->most || range->base + range->len <= layout->pool);
        for (uint32_t k = 0; k < i; k++)
            EXPECT(range->base >= layout->ranges[k].base + layout->ranges[k].len ||
                   layout->ranges[k].base >= range->base + range->len);
    }
}

static void look_at_regions(const struct halo_machine *machine)
{
    struct halo_region regions[HALO_RANGE_MAX];
    const uint32_t count = halo__layout_regions(machine, regions);

    EXPECT(count > 0 && count <= HALO_RANGE_MAX);
    for (uint32_t i = 0; i < count; i++)
        EXPECT(regions[i].host - machine->ram.host == (int64_t)(regions[i].base - HALO_RAM_BASE));
}

/* A protection anywhere: the last bytes of the input say which. */
static void look_at_protection(const struct halo_layout *layout, const uint8_t *data, size_t len)
{
    uint32_t word = 0;
    uint64_t base, size;
    const struct halo_range *range;

    memcpy(&word, data, len < sizeof(word) ? len : sizeof(word));
    base = HALO_RAM_BASE + (uint64_t)(word & 0x7ff) * HALO_PAGE;
    size = (uint64_t)(1 + (word >> 11 & 0xff)) * HALO_PAGE;
    if (halo__layout_protect(layout, base, size, word >> 19 & 7))
        return;
    EXPECT((word >> 19 & WX) != WX);
    for (uint64_t at = base; at < base + size; at += HALO_PAGE) {
        range = range_at(layout, at);
        EXPECT(range && !(word >> 19 & 7 & ~range->most));
    }
}

static void look(const struct halo_machine *machine, const uint8_t *data, size_t len)
{
    const struct halo_layout *layout = &machine->layout;
    const struct halo_range *code, *stack;

    look_at_ranges(machine);
    look_at_regions(machine);
    look_at_protection(layout, data, len);
    code = range_at(layout, layout->entry);
    EXPECT(code && code->prot & HALO_PROT_EXEC);
    code = range_at(layout, layout->syscall_entry);
    EXPECT(!layout->syscall_entry || (code && code->prot & HALO_PROT_EXEC));
    stack = range_at(layout, layout->stack_top - 1);
    EXPECT(stack && stack->prot & HALO_PROT_WRITE &&
           layout->stack_top - stack->base >= HALO_STACK_MIN);
    EXPECT(layout->program.piece_count <= HALO_PROGRAM_PIECES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct halo_backend backend = {.name = "none"};
    static struct halo_machine machine;
    static struct halo_words words;
    struct halo_guest_file file = {.memory = NULL};
    struct halo_program program = {.fd = -1};
    struct halo_options options = {.ram_len = HALO_RAM_MIN};
    int error;

    if (len < 1)
        return 0;
    options.stack_len = data[0] & 1 ? HALO_STACK_MIN : 0;
    options.transport = data[0] & 2 ? HALO_TRANSPORT_STACK : HALO_TRANSPORT_RING;
    options.sizes.call_queue_size = data[0] & 4 ? HALO_QUEUE_SIZE_MIN : 0;
    program.bytes = data + 1;
    program.len = len - 1;
    words.text[0] = '\0';
    machine = (struct halo_machine){.backend = &backend, .ram = {.fd = -1}, .words = &words};
    error = halo__load_begin(&machine, &program, &file);
    if (!error)
        error = halo__layout_begin(&machine, &options);
    if (!error)
        error = halo__load(&machine, &file);
    if (!error && machine.layout.is_linux)
        error = halo__runtime_load(&machine);
    free(file.memory);
    if (!error)
        error = halo__layout_finish(&machine, &options);
    EXPECT(!error || words.text[0]);
    EXPECT(error != HALO_EINVAL || options.stack_len > 0); /* else nothing was wrong but the file */
    if (!error)
        look(&machine, data + len - (len < 4 ? len : 4), len < 4 ? len : 4);
    halo__ram_free(&machine.ram);
    return 0;
}
