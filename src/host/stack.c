/*
 * Stacks in shared memory. The guest can write to all of either at any time: each offset is read
 * once, and must lie within (STK-01, STK-02).
 */
#include "stack.h"
#include "../message/stack.h"

void halo__stack_init(struct halo_stack *stack, HALO_SHARED unsigned char *base, uint64_t len,
                      uint64_t offset)
{
    *stack = (struct halo_stack){.base = base, .len = len, .offset = offset};
    halo__stack_store(base, 0, HALO_STACK_FIRST);
}

bool halo__stack_is_empty(const struct halo_stack *stack)
{
    return halo__stack_top(stack->base) == HALO_STACK_FIRST;
}

static struct halo_extent extent(const struct halo_stack *stack, uint64_t at, uint64_t len)
{
    return (struct halo_extent){0, (uint32_t)len, stack->offset + at};
}

const char *halo__stack_post(struct halo_stack *to, struct halo_request *post)
{
    const uint64_t top = halo__stack_top(to->base), free = to->len - HALO_STACK_LINK - top;

    if (top < HALO_STACK_FIRST || top > to->len - HALO_STACK_LINK)
        return "a stack whose end is not within it";
    *post = (struct halo_request){
        .pushed_at = top,
        .is_there = true, /* as both stacks are */
        .parked = {.writable_count = 1,
                   .writable_len = (uint32_t)free,
                   .extents = {extent(to, top, free)}},
    };
    return NULL;
}

const char *halo__stack_pop(struct halo_stack *from, struct halo_stack *to,
                            struct halo_request *request)
{
    struct halo_parked *parked = &request->parked;
    const char *why = halo__stack_post(to, request);
    const uint64_t top = halo__stack_top(from->base);
    uint64_t first, len;

    if (why)
        return why;
    if (!halo__stack_has_message(top, from->len))
        return "a stack whose end is not within it";
    first = halo__stack_last(from->base, top);
    if (!halo__stack_is_within(first, top))
        return "a stack whose last message begins outside of it";
    len = top - HALO_STACK_LINK - first;
    if (len > 0) {
        parked->extents[1] = parked->extents[0];
        parked->extents[0] = extent(from, first, len);
        parked->readable_count = 1;
        parked->readable_len = (uint32_t)len;
    }
    halo__stack_drop(from->base, first);
    return NULL;
}

void halo__stack_push(struct halo_stack *to, const struct halo_request *request, uint64_t len)
{
    halo__stack_finish(to->base, request->pushed_at, request->pushed_at + len);
    to->pushed = true;
}
