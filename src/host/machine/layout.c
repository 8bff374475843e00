/*
 * Guest memory: one picture of it, from which every backend makes its mappings.
 *
 *     RAM_BASE  the program's segments
 *               heap
 *               (a page that is not mapped)
 *               stack
 *               (a page that is not mapped)
 *               pool     buffers for descriptors
 *               ring     descriptors and event structures; not for descriptors to name
 *               args, boot page (read-only), doorbell (executable)
 */
#define _GNU_SOURCE
#include "machine.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define POOL_MIN (2ull << 20) /* a quarter of guest memory, between these */
#define POOL_MAX (4ull << 20)
#define STACK_LEN (256ull << 10)

/* What calls use: src/message/compact.h. */
#define RING_FEATURES (HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER)
#define RING_LEN pages(halo_ring_bytes(HALO_RING_SIZE)) /* of one queue */
#define RIGHTS_ALL (HALO_MAY_READ | HALO_MAY_WRITE)

static uint64_t pages(uint64_t len)
{
    return (len + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
}

int halo__layout_add(struct halo_machine *machine, struct halo_range range)
{
    struct halo_layout *layout = &machine->layout;

    if (layout->range_count == HALO_RANGE_MAX)
        return halo__fail(machine->words, HALO_EGUEST, "the guest has too many segments");
    layout->ranges[layout->range_count++] = range;
    return 0;
}

static int make_ram(struct halo_machine *machine, uint64_t len)
{
    void *host;

    machine->ram.fd = halo__fd_high(memfd_create("halo-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (machine->ram.fd < 0)
        return halo__fail(machine->words, HALO_EHOST, "cannot make guest memory: %s",
                          strerror(errno));
    /* Sealed at its size: nobody can shorten it and have the host die of SIGBUS. */
    if (ftruncate(machine->ram.fd, (off_t)len) < 0 ||
        fcntl(machine->ram.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return halo__fail(machine->words, HALO_EHOST, "cannot size guest memory: %s",
                          strerror(errno));
    host = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, machine->ram.fd, 0);
    if (host == MAP_FAILED)
        return halo__fail(machine->words, HALO_ENOMEM, "cannot map %llu bytes of guest memory: %s",
                          (unsigned long long)len, strerror(errno));
    machine->ram.host = halo_shm_share(host);
    machine->ram.len = len;
    return 0;
}

/* From the end of guest memory down: doorbell, boot page, arguments, rings, pool, stack. */
static void choose_places(struct halo_machine *machine, const struct halo_options *options,
                          uint64_t args_len)
{
    struct halo_layout *layout = &machine->layout;
    const uint64_t len = machine->ram.len;
    const uint64_t stack_len = POOL_MIN / HALO_STACK_COUNT;

    layout->doorbell = HALO_RAM_BASE + len - HALO_PAGE;
    layout->boot = layout->doorbell - HALO_PAGE;
    layout->args_len = args_len;
    layout->args = layout->boot - pages(args_len);
    layout->ring = layout->args - HALO_QUEUE_COUNT * RING_LEN;
    layout->pool_len = len / 4 / HALO_PAGE * HALO_PAGE;
    if (layout->pool_len < POOL_MIN)
        layout->pool_len = POOL_MIN;
    if (layout->pool_len > POOL_MAX)
        layout->pool_len = POOL_MAX;
    layout->pool = layout->ring - layout->pool_len;
    layout->stack_top = layout->pool - HALO_PAGE;
    layout->limit = layout->stack_top - STACK_LEN - HALO_PAGE;
    layout->image_end = HALO_RAM_BASE;
    layout->features = options->plain_ring ? 0 : RING_FEATURES;
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        const uint64_t desc = layout->ring + i * RING_LEN;
        const uint64_t events = desc + halo_ring_bytes(HALO_RING_SIZE) - 128;

        layout->queues[i] = (struct halo_boot_queue){.desc = desc,
                                                     .driver_event = events,
                                                     .device_event = events + 64,
                                                     .size = HALO_RING_SIZE};
    }
    for (uint32_t i = 0; i < HALO_STACK_COUNT && options->transport == HALO_TRANSPORT_STACK; i++)
        layout->stacks[i] = (struct halo_boot_stack){layout->pool + i * stack_len, stack_len};
}

int halo__layout_begin(struct halo_machine *machine, const struct halo_options *options)
{
    const uint64_t len = options->ram_len ? options->ram_len : HALO_RAM_DEFAULT;
    uint64_t args_len = 0;
    int error;

    if (len < HALO_RAM_MIN || len > HALO_RAM_MAX || len % HALO_PAGE)
        return halo__fail(machine->words, HALO_EINVAL,
                          "guest memory must be %llu to %llu MiB in whole pages",
                          HALO_RAM_MIN >> 20, HALO_RAM_MAX >> 20);
    for (uint32_t i = 0; i < options->arg_count; i++)
        args_len += strlen(options->args[i]) + 1;
    if (args_len > HALO_ARGS_MAX)
        return halo__fail(machine->words, HALO_EINVAL,
                          "the guest's arguments are longer than %u bytes", HALO_ARGS_MAX);
    if (options->transport != HALO_TRANSPORT_RING && options->transport != HALO_TRANSPORT_STACK)
        return halo__fail(machine->words, HALO_EINVAL, "no such transport");
    error = make_ram(machine, len);
    if (!error)
        choose_places(machine, options, args_len);
    return error;
}

/* Put bytes into guest memory, at an address that the host chose. */
static void place(struct halo_machine *machine, uint64_t address, const void *from, size_t len)
{
    halo_shm_copy_out(machine->ram.host + (address - HALO_RAM_BASE), from, len);
}

static void write_boot_page(struct halo_machine *machine, const struct halo_options *options)
{
    const struct halo_layout *layout = &machine->layout;
    const struct halo_boot boot = {
        .magic = HALO_BOOT_MAGIC,
        .version = HALO_ABI_VERSION,
        .queue_count = HALO_QUEUE_COUNT,
        .features = layout->features,
        .ram_base = HALO_RAM_BASE,
        .ram_len = machine->ram.len,
        .heap_base = layout->image_end,
        .heap_len = layout->limit - layout->image_end,
        .pool_base = layout->pool,
        .pool_len = layout->pool_len,
        .transport = options->transport,
        .doorbell = layout->doorbell,
        .args = layout->args,
        .args_len = (uint32_t)layout->args_len,
        .arg_count = options->arg_count,
        .queue = {layout->queues[HALO_QUEUE_G2H], layout->queues[HALO_QUEUE_H2G]},
        .stack = {layout->stacks[HALO_STACK_G2H], layout->stacks[HALO_STACK_H2G]},
    };
    struct halo_thread thread = {.self = layout->boot + HALO_THREAD_OFFSET};
    uint64_t at = layout->args;

    (void)getrandom(&thread.canary, sizeof(thread.canary), 0); /* so few bytes never fail */
    place(machine, layout->boot, &boot, sizeof(boot));
    place(machine, thread.self, &thread, sizeof(thread));
    for (uint32_t i = 0; i < options->arg_count; i++) {
        size_t len = strlen(options->args[i]) + 1;

        place(machine, at, options->args[i], len);
        at += len;
    }
    halo__layout_doorbell(machine);
}

void halo__layout_doorbell(struct halo_machine *machine)
{
    place(machine, machine->layout.doorbell, machine->backend->doorbell,
          sizeof(machine->backend->doorbell));
}

int halo__layout_finish(struct halo_machine *machine, const struct halo_options *options)
{
    const struct halo_layout *layout = &machine->layout;
    const struct halo_range ranges[] = {
        {layout->image_end, layout->limit - layout->image_end, HALO_PROT_READ | HALO_PROT_WRITE,
         RIGHTS_ALL},
        {layout->stack_top - STACK_LEN, STACK_LEN, HALO_PROT_READ | HALO_PROT_WRITE, RIGHTS_ALL},
        {layout->pool, layout->pool_len, HALO_PROT_READ | HALO_PROT_WRITE, RIGHTS_ALL},
        {layout->ring, layout->args - layout->ring, HALO_PROT_READ | HALO_PROT_WRITE, 0},
        {layout->args, layout->doorbell - layout->args, HALO_PROT_READ, 0},
        {layout->doorbell, HALO_PAGE, HALO_PROT_READ | HALO_PROT_EXEC, 0},
    };
    int error = 0;

    for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && !error; i++) {
        if (ranges[i].len > 0)
            error = halo__layout_add(machine, ranges[i]);
    }
    if (!error)
        write_boot_page(machine, options);
    return error;
}

uint32_t halo__layout_regions(const struct halo_machine *machine, struct halo_region *regions)
{
    const struct halo_layout *layout = &machine->layout;
    uint32_t count = 0;

    for (int pool = 1; pool >= 0; pool--) {
        for (uint32_t i = 0; i < layout->range_count; i++) {
            const struct halo_range *range = &layout->ranges[i];

            if (!range->rights || (range->base == layout->pool) != pool)
                continue;
            regions[count++] = (struct halo_region){
                .base = range->base,
                .len = range->len,
                .host = machine->ram.host + (range->base - HALO_RAM_BASE),
                .rights = range->rights,
            };
        }
    }
    return count;
}
