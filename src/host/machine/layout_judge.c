/*
 * A layout that a file says, judged: what layout.c would have made, as far as anybody counts on it.
 * Places that follow from others are computed once more, and compared.
 */
#include "layout_judge.h"

#define FEATURES (HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER)
#define RIGHTS_ALL (HALO_MAY_READ | HALO_MAY_WRITE)
#define STACK_MOST (1ull << 20)

static uint64_t pages(uint64_t len)
{
    return (len + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
}

/* Whole pages of guest memory. */
static bool is_memory(uint64_t base, uint64_t len, uint64_t ram_len)
{
    return base % HALO_PAGE == 0 && len % HALO_PAGE == 0 && base >= HALO_RAM_BASE &&
           len <= ram_len && base - HALO_RAM_BASE <= ram_len - len;
}

static bool is_in(uint64_t address, uint64_t ram_len)
{
    return address >= HALO_RAM_BASE && address - HALO_RAM_BASE < ram_len;
}

static bool is_prot(uint32_t prot)
{
    const uint32_t both = HALO_PROT_WRITE | HALO_PROT_EXEC;

    return prot <= (HALO_PROT_READ | both) && (prot & both) != both;
}

static const char *judge_ranges(const struct halo_layout *layout, uint64_t ram_len)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if (range->len == 0 || !is_memory(range->base, range->len, ram_len))
            return "a range that is not in guest memory";
        if (!is_prot(range->prot) || !is_prot(range->most)) /* VM-08 */
            return "a range that is writable and executable, or of no protection there is";
        if (range->rights & ~(uint32_t)RIGHTS_ALL ||
            (range->rights & HALO_MAY_WRITE && !((range->prot | range->most) & HALO_PROT_WRITE)))
            return "a range with rights that it cannot have";
        for (uint32_t j = 0; j < i; j++) {
            const struct halo_range *other = &layout->ranges[j];

            if (range->base < other->base + other->len && other->base < range->base + range->len)
                return "two ranges of the same memory";
        }
    }
    return (void *)0;
}

static bool has_range(const struct halo_layout *layout, struct halo_range wanted)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if (range->base == wanted.base && range->len == wanted.len && range->prot == wanted.prot &&
            range->rights == wanted.rights && range->most == wanted.most)
            return true;
    }
    return false;
}

/* Those of the system: others share no page with them. */
static const char *judge_system(const struct halo_layout *layout)
{
    struct halo_range ranges[HALO_RANGES_SYSTEM];

    halo__layout_system(layout, ranges);
    for (size_t i = 0; i < HALO_RANGES_SYSTEM; i++) {
        if (!has_range(layout, ranges[i]))
            return "memory of the system's that is not as it must be";
    }
    return (void *)0;
}

static const char *judge_sizes(const struct halo_layout *layout)
{
    const struct halo_sizes *sizes = &layout->sizes;

    if (sizes->queue_size < HALO_QUEUE_SIZE_MIN || sizes->queue_size > HALO_QUEUE_SIZE_MAX ||
        sizes->call_queue_size < HALO_QUEUE_SIZE_MIN ||
        sizes->call_queue_size > HALO_QUEUE_SIZE_MAX)
        return "a queue of a size that there is not";
    if (sizes->pool_len < HALO_POOL_MIN(sizes->call_queue_size) ||
        sizes->pool_len > HALO_POOL_LEN_MAX || sizes->pool_len % HALO_PAGE ||
        layout->pool_len != sizes->pool_len)
        return "a pool of a size that there is not";
    if (sizes->deferred_len < HALO_DEFERRED_LEN_MIN ||
        sizes->deferred_len > HALO_DEFERRED_LEN_MAX ||
        sizes->deferred_max > HALO_DEFERRED_COUNT_MAX)
        return "answers that are kept beyond any bound";
    return (void *)0;
}

/* From the end of guest memory down. */
static const char *judge_places(const struct halo_layout *layout, uint64_t ram_len)
{
    if (layout->args_len > HALO_ARGS_MAX ||
        layout->doorbell != HALO_RAM_BASE + ram_len - HALO_PAGE ||
        layout->boot != layout->doorbell - HALO_PAGE ||
        layout->args != layout->boot - pages(layout->args_len) ||
        layout->alternate != layout->args - HALO_ALTERNATE_LEN ||
        layout->save != layout->alternate - HALO_PAGE)
        return "pages of the system's at other places";
    if (layout->ring % HALO_PAGE || layout->ring < HALO_PROGRAM_BASE ||
        layout->ring > layout->save || layout->pool_len > layout->ring - HALO_PROGRAM_BASE ||
        layout->pool != layout->ring - layout->pool_len)
        return "rings or a pool at other places";
    if (layout->image_base < HALO_RAM_BASE || layout->image_end < layout->image_base ||
        layout->limit < layout->image_end || layout->limit > layout->pool)
        return "a program at no place there is";
    if (layout->stack_len < HALO_STACK_MIN || layout->stack_len > HALO_STACK_MAX ||
        layout->stack_top < HALO_RAM_BASE + layout->stack_len ||
        !is_memory(layout->stack_top - layout->stack_len, layout->stack_len, ram_len))
        return "a stack at no place there is";
    if (!is_in(layout->entry, ram_len) ||
        (layout->syscall_entry && !is_in(layout->syscall_entry, ram_len)) ||
        (layout->is_linux && !layout->syscall_entry))
        return "a program that begins at no place there is";
    if (layout->relro_len > 0 && !is_memory(layout->relro, layout->relro_len, ram_len))
        return "read-only memory at no place there is";
    return layout->features & ~(uint64_t)FEATURES ? "an extension that there is not" : (void *)0;
}

static const char *judge_queues(const struct halo_layout *layout)
{
    uint64_t desc = layout->ring;

    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        const struct halo_boot_queue *queue = &layout->queues[i];
        const uint32_t size =
            i == HALO_QUEUE_G2H ? layout->sizes.queue_size : layout->sizes.call_queue_size;
        const uint64_t events = desc + halo_ring_bytes(size) - 128;

        if (queue->size != size || queue->desc != desc || queue->driver_event != events ||
            queue->device_event != events + 64)
            return "a queue at another place";
        desc += pages(halo_ring_bytes(size));
    }
    return desc > layout->save ? "rings that do not fit" : (void *)0;
}

static const char *judge_stacks(const struct halo_layout *layout, bool on_stacks)
{
    const uint64_t half = layout->pool_len / HALO_STACK_COUNT / HALO_PAGE * HALO_PAGE;
    const uint64_t len = half < STACK_MOST ? half : STACK_MOST;

    for (uint32_t i = 0; i < HALO_STACK_COUNT; i++) {
        if (layout->stacks[i].len != (on_stacks ? len : 0) ||
            layout->stacks[i].base != (on_stacks ? layout->pool + i * len : 0))
            return "a stack of the transport's at another place";
    }
    return (void *)0;
}

const char *halo__layout_judge(const struct halo_layout *layout, uint64_t ram_len, bool on_stacks)
{
    const char *why;

    if (ram_len < HALO_RAM_MIN || ram_len > HALO_RAM_MAX || ram_len % HALO_PAGE)
        return "an amount of memory that no guest has";
    why = judge_sizes(layout);
    if (!why)
        why = judge_places(layout, ram_len);
    if (!why)
        why = judge_ranges(layout, ram_len);
    if (!why)
        why = judge_system(layout);
    if (!why)
        why = judge_queues(layout);
    return why ? why : judge_stacks(layout, on_stacks);
}

bool halo__layout_judge_prots(const struct halo_layout *layout, const unsigned char *prots)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];
        const uint64_t first = (range->base - HALO_RAM_BASE) / HALO_PAGE;

        for (uint64_t page = first; page < first + range->len / HALO_PAGE; page++) {
            if (prots[page] != range->prot && (!range->most || (prots[page] & ~range->most)))
                return false;
        }
    }
    return true;
}
