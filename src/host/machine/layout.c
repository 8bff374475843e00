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
#include "../sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/* What calls use: src/message/compact.h. */
#define RING_FEATURES (HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER)
#define RING_LEN pages(halo_ring_bytes(HALO_RING_SIZE)) /* of one queue */
#define RIGHTS_ALL (HALO_MAY_READ | HALO_MAY_WRITE)

static uint64_t pages(uint64_t len)
{
    return (len + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
}

int halo__layout_add(struct halo_sandbox *box, struct halo_range range)
{
    struct halo_layout *layout = &box->layout;

    if (layout->range_count == HALO_RANGE_MAX)
        return halo__fail(box, HALO_EGUEST, "the guest has too many segments");
    layout->ranges[layout->range_count++] = range;
    return 0;
}

static int make_ram(struct halo_sandbox *box, uint64_t len)
{
    void *host;

    box->ram.fd = memfd_create("halo-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (box->ram.fd < 0)
        return halo__fail(box, HALO_EHOST, "cannot make guest memory: %s", strerror(errno));
    /* Sealed at its size: nobody can shorten it and have the host die of SIGBUS. */
    if (ftruncate(box->ram.fd, (off_t)len) < 0 ||
        fcntl(box->ram.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return halo__fail(box, HALO_EHOST, "cannot size guest memory: %s", strerror(errno));
    host = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, box->ram.fd, 0);
    if (host == MAP_FAILED)
        return halo__fail(box, HALO_ENOMEM, "cannot map %llu bytes of guest memory: %s",
                          (unsigned long long)len, strerror(errno));
    box->ram.host = halo_shm_share(host);
    box->ram.len = len;
    return 0;
}

int halo__layout_begin(struct halo_sandbox *box, const struct halo_options *options)
{
    struct halo_layout *layout = &box->layout;
    uint64_t len = options->ram_len ? options->ram_len : HALO_RAM_DEFAULT;
    uint64_t end = HALO_RAM_BASE + len;
    uint64_t args_len = 0;
    int error;

    if (len < HALO_RAM_MIN || len > HALO_RAM_MAX || len % HALO_PAGE)
        return halo__fail(box, HALO_EINVAL, "guest memory must be %llu to %llu MiB in whole pages",
                          HALO_RAM_MIN >> 20, HALO_RAM_MAX >> 20);
    for (uint32_t i = 0; i < options->arg_count; i++)
        args_len += strlen(options->args[i]) + 1;
    if (args_len > HALO_ARGS_MAX)
        return halo__fail(box, HALO_EINVAL, "the guest's arguments are longer than %u bytes",
                          HALO_ARGS_MAX);
    if (options->transport != HALO_TRANSPORT_RING && options->transport != HALO_TRANSPORT_STACK)
        return halo__fail(box, HALO_EINVAL, "no such transport");
    error = make_ram(box, len);
    if (error)
        return error;

    layout->doorbell = end - HALO_PAGE;
    layout->boot = layout->doorbell - HALO_PAGE;
    layout->args_len = args_len;
    layout->args = layout->boot - pages(args_len);
    layout->ring = layout->args - HALO_QUEUE_COUNT * RING_LEN;
    layout->pool_len = len / 4 / HALO_PAGE * HALO_PAGE;
    if (layout->pool_len < HALO_POOL_MIN)
        layout->pool_len = HALO_POOL_MIN;
    if (layout->pool_len > HALO_POOL_MAX)
        layout->pool_len = HALO_POOL_MAX;
    layout->pool = layout->ring - layout->pool_len;
    layout->stack_top = layout->pool - HALO_PAGE;
    layout->limit = layout->stack_top - HALO_STACK_LEN - HALO_PAGE;
    layout->image_end = HALO_RAM_BASE;
    return 0;
}

/* Put bytes into guest memory, at an address that the host chose. */
static void place(struct halo_sandbox *box, uint64_t address, const void *from, size_t len)
{
    halo_shm_copy_out(box->ram.host + (address - HALO_RAM_BASE), from, len);
}

/* Where a queue is. */
static struct halo_boot_queue boot_queue(const struct halo_layout *layout,
                                         enum halo_queue_index index)
{
    const uint64_t desc = layout->ring + index * RING_LEN;
    const uint64_t events = desc + halo_ring_bytes(HALO_RING_SIZE) - 128;

    return (struct halo_boot_queue){
        .desc = desc,
        .driver_event = events,
        .device_event = events + 64,
        .size = HALO_RING_SIZE,
    };
}

static void write_boot_page(struct halo_sandbox *box, const struct halo_options *options)
{
    const struct halo_layout *layout = &box->layout;
    struct halo_boot boot = {
        .magic = HALO_BOOT_MAGIC,
        .version = HALO_BOOT_VERSION,
        .queue_count = HALO_QUEUE_COUNT,
        .features = options->plain_ring ? 0 : RING_FEATURES,
        .ram_base = HALO_RAM_BASE,
        .ram_len = box->ram.len,
        .heap_base = layout->image_end,
        .heap_len = layout->limit - layout->image_end,
        .pool_base = layout->pool,
        .pool_len = layout->pool_len,
        .transport = options->transport,
        .doorbell = layout->doorbell,
        .args = layout->args,
        .args_len = (uint32_t)layout->args_len,
        .arg_count = options->arg_count,
        .queue = {boot_queue(layout, HALO_QUEUE_G2H), boot_queue(layout, HALO_QUEUE_H2G)},
    };
    const uint64_t stack_len = HALO_POOL_MIN / HALO_STACK_COUNT;
    struct halo_thread thread = {.self = layout->boot + HALO_THREAD_OFFSET};
    uint64_t at = layout->args;

    for (uint32_t i = 0; i < HALO_STACK_COUNT && box->on_stacks; i++) {
        boot.stack[i] = (struct halo_boot_stack){layout->pool + i * stack_len, stack_len};
        halo__stack_init(&box->stacks[i], box->ram.host + (boot.stack[i].base - HALO_RAM_BASE),
                         stack_len);
    }
    (void)getrandom(&thread.canary, sizeof(thread.canary), 0); /* so few bytes never fail */
    place(box, layout->boot, &boot, sizeof(boot));
    place(box, thread.self, &thread, sizeof(thread));
    for (uint32_t i = 0; i < options->arg_count; i++) {
        size_t len = strlen(options->args[i]) + 1;

        place(box, at, options->args[i], len);
        at += len;
    }
    place(box, layout->doorbell, box->backend->doorbell, sizeof(box->backend->doorbell));
}

/* The ranges that a descriptor may name, the pool first because nearly all name it. */
static void make_regions(struct halo_sandbox *box)
{
    const struct halo_layout *layout = &box->layout;
    uint32_t count = 0;

    for (int pool = 1; pool >= 0; pool--) {
        for (uint32_t i = 0; i < layout->range_count; i++) {
            const struct halo_range *range = &layout->ranges[i];

            if (!range->rights || (range->base == layout->pool) != pool)
                continue;
            box->regions[count++] = (struct halo_region){
                .base = range->base,
                .len = range->len,
                .host = box->ram.host + (range->base - HALO_RAM_BASE),
                .rights = range->rights,
            };
        }
    }
    box->memory = (struct halo_memory){box->regions, count};
}

static int make_queue(struct halo_sandbox *box, enum halo_queue_index index,
                      struct halo_device *device, struct halo_device_chain *chains,
                      const struct halo_options *options)
{
    const uint64_t at = box->layout.ring + index * RING_LEN;
    struct halo_ring_place place;
    int error = halo_ring_place_in(box->ram.host + (at - HALO_RAM_BASE), HALO_RING_SIZE, &place);

    if (!error)
        error = halo_device_init(device, &place, &box->memory, chains, UINT32_MAX);
    if (!error && !options->plain_ring)
        error = halo_device_extend(device, RING_FEATURES);
    if (error)
        return halo__fail(box, error, "cannot set up the ring");
    /* The guest always comes back by a wait: while it runs, nobody here listens for kicks. */
    halo_device_disarm(device);
    return 0;
}

int halo__layout_finish(struct halo_sandbox *box, const struct halo_options *options)
{
    const struct halo_layout *layout = &box->layout;
    const struct halo_range ranges[] = {
        {layout->image_end, layout->limit - layout->image_end, HALO_PROT_READ | HALO_PROT_WRITE,
         RIGHTS_ALL},
        {layout->stack_top - HALO_STACK_LEN, HALO_STACK_LEN, HALO_PROT_READ | HALO_PROT_WRITE,
         RIGHTS_ALL},
        {layout->pool, layout->pool_len, HALO_PROT_READ | HALO_PROT_WRITE, RIGHTS_ALL},
        {layout->ring, layout->args - layout->ring, HALO_PROT_READ | HALO_PROT_WRITE, 0},
        {layout->args, layout->doorbell - layout->args, HALO_PROT_READ, 0},
        {layout->doorbell, HALO_PAGE, HALO_PROT_READ | HALO_PROT_EXEC, 0},
    };
    int error = 0;

    for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]) && !error; i++) {
        if (ranges[i].len > 0)
            error = halo__layout_add(box, ranges[i]);
    }
    if (error)
        return error;
    make_regions(box);
    box->on_stacks = options->transport == HALO_TRANSPORT_STACK;
    write_boot_page(box, options);

    error = make_queue(box, HALO_QUEUE_G2H, &box->g2h, box->g2h_chains, options);
    return error ? error : make_queue(box, HALO_QUEUE_H2G, &box->h2g, box->h2g_chains, options);
}
