/*
 * Guest memory: one picture of it, from which every backend makes its mappings.
 *
 *     RAM_BASE      stack, where it fits; nothing is mapped beneath, so that no frame is large
 *                   enough to jump into something else
 *     PROGRAM_BASE  the program's segments
 *                   heap
 *                   (pages that are not mapped, and the stack, where it is larger)
 *                   (a page that is not mapped)
 *                   pool     buffers for descriptors
 *                   ring     descriptors and event structures; not for descriptors to name
 *                   save page
 *                   stack for signals, of a guest that is a process
 *                   args, boot page (read-only), doorbell (executable)
 */
#define _GNU_SOURCE
#include "machine.h"
#include <halo/column.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define POOL_LEAST (2ull << 20) /* where nobody chooses: a quarter of guest memory, in these */
#define POOL_MOST (4ull << 20)
#define STACK_MOST (1ull << 20) /* of the stacks of that transport */
/* What is not the pool's in any case: beneath the program, and queues, arguments and pages. */
#define OTHERS_LEN (HALO_PROGRAM_BASE - HALO_RAM_BASE + (320ull << 10))
#define GUARD_LEN (64ull << 10) /* below a stack that has something beneath it */

/* What calls use: src/message/compact.h. */
#define RING_FEATURES (HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER)
#define RIGHTS_ALL (HALO_MAY_READ | HALO_MAY_WRITE)
#define PROT_DATA (HALO_PROT_READ | HALO_PROT_WRITE)

static uint64_t pages(uint64_t len)
{
    return (len + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
}

int halo__layout_add(struct halo_machine *machine, struct halo_range range)
{
    struct halo_layout *layout = &machine->layout;

    if (layout->range_count == HALO_RANGE_MAX)
        return halo__fail(machine->words, HALO_EGUEST,
                          "the guest has too many segments for %u ranges of memory",
                          HALO_RANGE_MAX);
    layout->ranges[layout->range_count++] = range;
    return 0;
}

/* --- Protection ------------------------------------------------------------------------------- */

/*
 * What a guest may do with a page of RAM is kept by page and not by address: ranges never share
 * one, and `most` has never both writing and executing. A backend that gave a page a second address
 * would have to ask here as well. VM-08 to VM-12.
 */
static const struct halo_range *range_of(const struct halo_layout *layout, uint64_t address)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        if (address >= layout->ranges[i].base &&
            address - layout->ranges[i].base < layout->ranges[i].len)
            return &layout->ranges[i];
    }
    return NULL;
}

int halo__layout_protect(const struct halo_layout *layout, uint64_t base, uint64_t len,
                         uint64_t prot)
{
    const uint64_t all = HALO_PROT_READ | HALO_PROT_WRITE | HALO_PROT_EXEC;
    const struct halo_range *range;

    if (base % HALO_PAGE || len % HALO_PAGE || len == 0 || (prot & ~all))
        return -EINVAL;
    if (len > UINT64_MAX - base)
        return -ENOMEM;
    for (uint64_t at = base; at < base + len; at = range->base + range->len) {
        range = range_of(layout, at);
        if (!range || !range->most)
            return -ENOMEM;
        if (prot & ~(uint64_t)range->most)
            return -EACCES;
    }
    return 0;
}

uint32_t halo__layout_prot(const struct halo_machine *machine, uint64_t address)
{
    const struct halo_range *range = range_of(&machine->layout, address);

    if (range && machine->prots)
        return machine->prots[(address - HALO_RAM_BASE) / HALO_PAGE];
    return range ? range->prot : 0;
}

/* The range that begins first, of those that end behind an address. */
static const struct halo_range *range_behind(const struct halo_layout *layout, uint64_t address)
{
    const struct halo_range *first = NULL;

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if (range->base + range->len > address && (!first || range->base < first->base))
            first = range;
    }
    return first;
}

bool halo__layout_next(const struct halo_machine *machine, uint64_t *at, struct halo_range *next)
{
    const struct halo_range *range = range_behind(&machine->layout, *at);
    uint64_t end;

    if (!range)
        return false;
    *next = *range;
    end = range->base + range->len;
    if (*at > range->base)
        next->base = *at;
    if (machine->prots) {
        const uint64_t first = (next->base - HALO_RAM_BASE) / HALO_PAGE;
        uint64_t page = first + 1;

        next->prot = machine->prots[first];
        while (page < (end - HALO_RAM_BASE) / HALO_PAGE && machine->prots[page] == next->prot)
            page++;
        end = HALO_RAM_BASE + page * HALO_PAGE;
    }
    next->len = end - next->base;
    *at = end;
    return true;
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* Bytes of both queues; of the one whose size the guest's file decides, as many as it may want. */
static uint64_t queue_bytes(const struct halo_sizes *sizes, enum halo_queue_index queue)
{
    const uint32_t size = queue == HALO_QUEUE_H2G ? sizes->call_queue_size
                          : sizes->queue_size     ? sizes->queue_size
                                                  : HALO_QUEUE_SIZE_MAX;

    return pages(halo_ring_bytes(size));
}

static bool size_is_good(uint32_t size)
{
    return size >= HALO_QUEUE_SIZE_MIN && size <= HALO_QUEUE_SIZE_MAX;
}

/* What was asked for, with defaults where nothing was. */
static void choose_sizes(struct halo_sizes *sizes, uint64_t ram_len)
{
    const uint64_t quarter = ram_len / 4 / HALO_PAGE * HALO_PAGE;

    if (!sizes->call_queue_size)
        sizes->call_queue_size = HALO_QUEUE_SIZE_DEFAULT;
    if (!sizes->deferred_len)
        sizes->deferred_len = HALO_DEFERRED_MAX;
    if (!sizes->deferred_max)
        sizes->deferred_max = HALO_DEFERRED_COUNT_DEFAULT;
    if (sizes->pool_len)
        return;
    sizes->pool_len = quarter < POOL_LEAST ? POOL_LEAST : quarter > POOL_MOST ? POOL_MOST : quarter;
    if (sizes->pool_len < HALO_POOL_MIN(sizes->call_queue_size))
        sizes->pool_len = pages(HALO_POOL_MIN(sizes->call_queue_size));
}

/* Each within its bounds, and all of them together. */
static int check_sizes(struct halo_machine *machine, uint64_t ram_len)
{
    const struct halo_sizes *sizes = &machine->layout.sizes;
    const bool is_good = size_is_good(sizes->call_queue_size);
    const uint64_t least = HALO_POOL_MIN(sizes->call_queue_size);

    if ((sizes->queue_size && !size_is_good(sizes->queue_size)) || !is_good)
        return halo__fail(machine->words, HALO_EINVAL, "a queue has %u to %u descriptors, not %u",
                          HALO_QUEUE_SIZE_MIN, HALO_QUEUE_SIZE_MAX,
                          is_good ? sizes->queue_size : sizes->call_queue_size);
    if (sizes->deferred_len < HALO_DEFERRED_LEN_MIN ||
        sizes->deferred_len > HALO_DEFERRED_LEN_MAX ||
        sizes->deferred_max > HALO_DEFERRED_COUNT_MAX)
        return halo__fail(machine->words, HALO_EINVAL,
                          "answers are kept up to %llu KiB to %llu MiB, and at most %u of them",
                          HALO_DEFERRED_LEN_MIN >> 10, HALO_DEFERRED_LEN_MAX >> 20,
                          HALO_DEFERRED_COUNT_MAX);
    if (sizes->pool_len < least || sizes->pool_len > HALO_POOL_LEN_MAX ||
        sizes->pool_len % HALO_PAGE)
        return halo__fail(machine->words, HALO_EINVAL,
                          "a pool beside a queue of %u descriptors for calls has %llu KiB to %llu "
                          "MiB in whole pages, not %llu KiB",
                          sizes->call_queue_size, (unsigned long long)least >> 10,
                          HALO_POOL_LEN_MAX >> 20, (unsigned long long)sizes->pool_len >> 10);
    if (sizes->pool_len > ram_len - OTHERS_LEN)
        return halo__fail(machine->words, HALO_EINVAL,
                          "a pool of %llu KiB does not fit into guest memory of %llu MiB",
                          (unsigned long long)sizes->pool_len >> 10,
                          (unsigned long long)ram_len >> 20);
    return 0;
}

/* From the end of guest memory down: doorbell, boot page, arguments, stack for signals, save page,
 * rings, pool. */
static void choose_places(struct halo_machine *machine, const struct halo_options *options,
                          uint64_t args_len)
{
    struct halo_layout *layout = &machine->layout;
    const uint64_t len = machine->ram.len;
    const uint64_t half = layout->sizes.pool_len / HALO_STACK_COUNT / HALO_PAGE * HALO_PAGE;
    const uint64_t stack_len = half < STACK_MOST ? half : STACK_MOST;

    layout->doorbell = HALO_RAM_BASE + len - HALO_PAGE;
    layout->boot = layout->doorbell - HALO_PAGE;
    layout->args_len = args_len;
    layout->args = layout->boot - pages(args_len);
    layout->alternate = layout->args - HALO_ALTERNATE_LEN;
    layout->save = layout->alternate - HALO_PAGE;
    layout->ring = layout->save;
    for (uint32_t i = HALO_QUEUE_COUNT; i-- > 0;)
        layout->ring -= queue_bytes(&layout->sizes, (enum halo_queue_index)i);
    layout->pool_len = layout->sizes.pool_len;
    layout->pool = layout->ring - layout->pool_len;
    layout->limit = layout->pool - HALO_PAGE;
    layout->image_end = HALO_RAM_BASE;
    layout->features = options->plain_ring ? 0 : RING_FEATURES;
    for (uint32_t i = 0; i < HALO_STACK_COUNT && options->transport == HALO_TRANSPORT_STACK; i++)
        layout->stacks[i] = (struct halo_boot_stack){layout->pool + i * stack_len, stack_len};
}

/* In the room that they have; the queue to the host as large as the guest can take it. */
static void place_queues(struct halo_layout *layout)
{
    uint64_t desc = layout->ring;

    if (!layout->sizes.queue_size)
        layout->sizes.queue_size =
            layout->ring_max < HALO_QUEUE_SIZE_MAX ? layout->ring_max : HALO_QUEUE_SIZE_MAX;
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        const uint32_t size =
            i == HALO_QUEUE_G2H ? layout->sizes.queue_size : layout->sizes.call_queue_size;
        const uint64_t events = desc + halo_ring_bytes(size) - 128;

        layout->queues[i] = (struct halo_boot_queue){
            .desc = desc, .driver_event = events, .device_event = events + 64, .size = size};
        desc += pages(halo_ring_bytes(size));
    }
}

/* Add the bytes of these strings to what the guest is given: 0, or an error. */
static int measure(struct halo_machine *machine, const char *what, const char *const *strings,
                   uint32_t count, uint64_t *len)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!strings || !strings[i])
            return halo__fail(machine->words, HALO_EINVAL, "%s %u of the guest's is NULL", what, i);
        *len += strlen(strings[i]) + 1;
        if (*len > HALO_ARGS_MAX)
            return halo__fail(machine->words, HALO_EINVAL,
                              "with %s %u the guest's arguments and environment are longer than %u "
                              "bytes",
                              what, i, HALO_ARGS_MAX);
    }
    return 0;
}

int halo__layout_begin(struct halo_machine *machine, const struct halo_options *options)
{
    const uint64_t least = machine->layout.is_linux ? HALO_RAM_LINUX : HALO_RAM_DEFAULT;
    const uint64_t len = options->ram_len ? options->ram_len : least;
    uint64_t args_len = 0;
    int error;

    if (len < HALO_RAM_MIN || len > HALO_RAM_MAX || len % HALO_PAGE)
        return halo__fail(machine->words, HALO_EINVAL,
                          "guest memory must be %llu to %llu MiB in whole pages, not %llu bytes",
                          HALO_RAM_MIN >> 20, HALO_RAM_MAX >> 20, (unsigned long long)len);
    if (options->stack_len &&
        (options->stack_len < HALO_STACK_MIN || options->stack_len > HALO_STACK_MAX ||
         options->stack_len % HALO_PAGE))
        return halo__fail(machine->words, HALO_EINVAL,
                          "a guest's stack must be %llu to %llu KiB in whole pages, not %llu bytes",
                          HALO_STACK_MIN >> 10, HALO_STACK_MAX >> 10,
                          (unsigned long long)options->stack_len);
    error = measure(machine, "argument", options->args, options->arg_count, &args_len);
    if (!error)
        error = measure(machine, "variable", options->env, options->env_count, &args_len);
    if (error)
        return error;
    if (options->transport != HALO_TRANSPORT_RING && options->transport != HALO_TRANSPORT_STACK)
        return halo__fail(machine->words, HALO_EINVAL, "there is no transport %d",
                          (int)options->transport);
    machine->layout.sizes = options->sizes;
    choose_sizes(&machine->layout.sizes, len);
    error = check_sizes(machine, len);
    if (!error)
        error = halo__ram_make(&machine->ram, machine->words, len);
    if (!error && options->reserve)
        error = halo__ram_reserve(&machine->ram);
    if (error)
        return error;
    choose_places(machine, options, args_len);
    return 0;
}

/* Put bytes into guest memory, at an address that the host chose. */
static void place(struct halo_machine *machine, uint64_t address, const void *from, size_t len)
{
    halo_shm_copy_out(machine->ram.host + (address - HALO_RAM_BASE), from, len);
}

/* Random bytes from the kernel, which may have none yet, or be told to give none. */
static int draw(struct halo_machine *machine, void *to, size_t len)
{
    if (getrandom(to, len, 0) == (ssize_t)len)
        return 0;
    return halo__fail(machine->words, HALO_EHOST, "cannot get random bytes for the guest: %s",
                      strerror(errno));
}

/* Memory at other addresses, for guests that make system calls. */
static bool has_paging(const struct halo_machine *machine)
{
    return machine->layout.syscall_entry &&
           (!machine->backend->has_paging || machine->backend->has_paging());
}

static int write_boot_page(struct halo_machine *machine, const struct halo_options *options)
{
    const struct halo_layout *layout = &machine->layout;
    struct halo_boot boot = {
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
        .status = layout->syscall_entry ? layout->boot + HALO_STATUS_OFFSET : 0,
        .save = layout->save,
        .stack_low = layout->stack_top - layout->stack_len,
        .stack_len = layout->stack_len,
        .deferred_len = layout->sizes.deferred_len,
        .deferred_max = layout->sizes.deferred_max,
        .spare_max = HALO_SPARE_MAX,
        .protect = layout->syscall_entry ? layout->doorbell + HALO_PROTECT_OFFSET : 0,
        .release = has_paging(machine) ? layout->doorbell + HALO_RELEASE_OFFSET : 0,
        .rows_max = options->transport == HALO_TRANSPORT_RING ? HALO_ROWS_MAX : 0,
        .aggregates_max = options->transport == HALO_TRANSPORT_RING ? HALO_AGGREGATES_MAX : 0,
        .arguments_max = HALO_ARGUMENTS_MAX,
        .rows_share = options->transport == HALO_TRANSPORT_RING,
        .more_types = HALO_MORE_LISTS | HALO_MORE_HANDLES,
        .log_max = options->transport == HALO_TRANSPORT_RING ? HALO_LOG_MAX : 0,
        .program = layout->is_linux ? layout->boot + HALO_PROGRAM_OFFSET : 0,
        .own_input = options->own_input,
        .patches = layout->is_linux && !options->keep_code ? HALO_PATCHES : 0,
        .env_count = options->env_count,
        .poll_ticks = halo__machine_ticks(machine, machine->poll_ns),
        .signals = machine->grace_ms > 0,
    };
    struct halo_thread thread = {.self = layout->boot + HALO_THREAD_OFFSET};
    uint64_t at = layout->args;
    int error = draw(machine, &thread.canary, sizeof(thread.canary));

    if (!error)
        error = draw(machine, boot.seed, sizeof(boot.seed));
    if (error)
        return error;
    place(machine, layout->boot, &boot, sizeof(boot));
    place(machine, thread.self, &thread, sizeof(thread));
    if (layout->is_linux)
        place(machine, boot.program, &layout->program, sizeof(layout->program));
    for (uint32_t i = 0; i < options->arg_count + options->env_count; i++) {
        const char *text =
            i < options->arg_count ? options->args[i] : options->env[i - options->arg_count];
        size_t len = strlen(text) + 1;

        place(machine, at, text, len);
        at += len;
    }
    halo__doorbell_write(machine);
    halo__doorbell_begin(machine);
    return 0;
}

/* Of the size that the host says, else the file. Below the program where there is room, else above
 * its heap. */
static int place_stack(struct halo_machine *machine, uint64_t len)
{
    struct halo_layout *layout = &machine->layout;
    const int too_large = len > 0 ? HALO_EINVAL : HALO_EGUEST; /* who has asked for it */

    if (len == 0)
        len = layout->stack_wanted;
    if (len > HALO_STACK_MAX)
        return halo__fail(machine->words, HALO_EGUEST,
                          "the guest's file asks for a stack of %llu bytes, and a stack has %llu "
                          "KiB at most: link it with another --stack",
                          (unsigned long long)len, HALO_STACK_MAX >> 10);
    if (len == 0 && layout->is_linux && machine->ram.len >= 8 * HALO_STACK_LINUX)
        len = HALO_STACK_LINUX;
    layout->stack_len = len == 0 ? HALO_STACK_DEFAULT : pages(len);
    if (layout->stack_len < HALO_STACK_MIN)
        layout->stack_len = HALO_STACK_MIN;
    if (layout->image_base - HALO_RAM_BASE >= layout->stack_len) {
        layout->stack_top = HALO_RAM_BASE + layout->stack_len;
        return 0;
    }
    if (layout->limit - layout->image_end < layout->stack_len + GUARD_LEN)
        return halo__fail(machine->words, too_large,
                          "a stack of %llu KiB does not fit into guest memory of %llu KiB, beside "
                          "the program",
                          (unsigned long long)layout->stack_len >> 10,
                          (unsigned long long)machine->ram.len >> 10);
    layout->stack_top = layout->limit;
    layout->limit -= layout->stack_len + GUARD_LEN;
    return 0;
}

static int find(struct halo_machine *machine, uint64_t address, uint64_t len)
{
    return halo__ram_find(&machine->ram, address - HALO_RAM_BASE, len);
}

int halo__layout_find(struct halo_machine *machine)
{
    const struct halo_layout *layout = &machine->layout;
    int error = find(machine, layout->ring, layout->alternate - layout->ring);

    if (!error)
        error = find(machine, layout->args, HALO_RAM_BASE + machine->ram.len - layout->args);
    for (uint32_t i = 0; i < HALO_STACK_COUNT && !error; i++)
        error = find(machine, layout->stacks[i].base, layout->stacks[i].len);
    if (!error)
        error = find(machine, layout->stack_top - HALO_PAGE, HALO_PAGE);
    return error;
}

bool halo__layout_is_same(const struct halo_layout *a, const struct halo_layout *b)
{
    for (uint32_t i = 0; i < a->range_count && i < b->range_count; i++) {
        const struct halo_range *of_a = &a->ranges[i], *of_b = &b->ranges[i];

        if (of_a->base != of_b->base || of_a->len != of_b->len || of_a->prot != of_b->prot ||
            of_a->most != of_b->most || of_a->rights != of_b->rights)
            return false;
    }
    return a->range_count == b->range_count && a->syscall_entry == b->syscall_entry &&
           a->stack_top == b->stack_top && a->relro == b->relro && a->relro_len == b->relro_len &&
           a->boot == b->boot && a->save == b->save && a->doorbell == b->doorbell;
}

int halo__layout_renew(struct halo_machine *machine, uint64_t epoch)
{
    const uint64_t boot = machine->layout.boot;
    const uint32_t poll_ticks = halo__machine_ticks(machine, machine->poll_ns);
    const uint32_t signals = machine->grace_ms > 0;
    uint64_t seed[4];
    int error = draw(machine, seed, sizeof(seed));

    if (error)
        return error;
    place(machine, boot + offsetof(struct halo_boot, signals), &signals, sizeof(signals));
    machine->epoch = epoch + 1;
    place(machine, boot + offsetof(struct halo_boot, seed), seed, sizeof(seed));
    place(machine, boot + offsetof(struct halo_boot, epoch), &machine->epoch,
          sizeof(machine->epoch));
    place(machine, boot + offsetof(struct halo_boot, poll_ticks), &poll_ticks, sizeof(poll_ticks));
    halo__layout_trace(machine, machine->trace);
    return 0;
}

void halo__layout_trace(struct halo_machine *machine, uint32_t trace)
{
    machine->trace = trace;
    place(machine, machine->layout.boot + offsetof(struct halo_boot, trace), &trace, sizeof(trace));
}

void halo__layout_system(const struct halo_layout *layout,
                         struct halo_range ranges[HALO_RANGES_SYSTEM])
{
    const struct halo_range all[HALO_RANGES_SYSTEM] = {
        {layout->stack_top - layout->stack_len, layout->stack_len, PROT_DATA, RIGHTS_ALL,
         PROT_DATA},
        {layout->pool, layout->pool_len, PROT_DATA, RIGHTS_ALL, 0},
        {layout->ring, layout->args - layout->ring, PROT_DATA, 0, 0},
        {layout->args, layout->doorbell - layout->args, HALO_PROT_READ, 0, 0},
        {layout->doorbell, HALO_PAGE, HALO_PROT_READ | HALO_PROT_EXEC, 0, 0},
    };

    memcpy(ranges, all, sizeof(all));
}

int halo__layout_finish(struct halo_machine *machine, const struct halo_options *options)
{
    struct halo_layout *layout = &machine->layout;
    int error = place_stack(machine, options->stack_len); /* which may take of the heap */
    const struct halo_range heap = {layout->image_end, layout->limit - layout->image_end, PROT_DATA,
                                    RIGHTS_ALL, PROT_DATA};
    struct halo_range ranges[HALO_RANGES_SYSTEM];

    halo__layout_system(layout, ranges);
    place_queues(layout);
    if (!error && heap.len > 0)
        error = halo__layout_add(machine, heap);
    for (uint32_t i = 0; i < HALO_RANGES_SYSTEM && !error; i++) {
        if (ranges[i].len > 0)
            error = halo__layout_add(machine, ranges[i]);
    }
    if (!error)
        error = halo__layout_find(machine);
    return error ? error : write_boot_page(machine, options);
}

/*
 * Addresses are compared as signed: below the lowest stack a large frame comes out at the other end
 * of the address space.
 */
bool halo__layout_is_overflow(const struct halo_layout *layout, const struct halo_fault *fault)
{
    const int64_t low = (int64_t)(layout->stack_top - layout->stack_len);
    const int64_t below = low == HALO_RAM_BASE ? INT64_MIN : (int64_t)layout->limit;

    return fault->vector == 14 && (int64_t)fault->address < low &&
           (int64_t)fault->address >= below && (int64_t)fault->rsp < low + 128 &&
           (int64_t)fault->rsp >= below;
}

/* The pool, which nearly every descriptor names, and then the largest: they are searched in order.
 */
static bool is_searched_before(const struct halo_layout *layout, const struct halo_range *range,
                               const struct halo_region *other)
{
    return range->base == layout->pool || (other->base != layout->pool && range->len > other->len);
}

uint32_t halo__layout_regions(const struct halo_machine *machine, struct halo_region *regions)
{
    const struct halo_layout *layout = &machine->layout;
    uint32_t count = 0;

    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];
        uint32_t at = count;

        if (!range->rights)
            continue;
        for (; at > 0 && is_searched_before(layout, range, &regions[at - 1]); at--)
            regions[at] = regions[at - 1];
        regions[at] = (struct halo_region){
            .base = range->base,
            .len = range->len,
            .host = machine->ram.host + (range->base - HALO_RAM_BASE),
            .rights = range->rights,
        };
        count++;
    }
    return count;
}
