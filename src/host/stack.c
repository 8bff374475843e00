/*
 * Stacks in shared memory. The guest can write to all of either at any time: each offset is read
 * once, and must lie within (STK-01, STK-02).
 */
#include "stack.h"

#define LINK sizeof(uint64_t) /* behind each message: where it begins */

static uint64_t load(const struct halo_stack *stack, uint64_t at)
{
    uint64_t value;

    halo_shm_copy_in(&value, stack->base + at, sizeof(value));
    return value;
}

static void store(const struct halo_stack *stack, uint64_t at, uint64_t value)
{
    halo_shm_copy_out(stack->base + at, &value, sizeof(value));
}

void halo__stack_init(struct halo_stack *stack, HALO_SHARED unsigned char *base, uint64_t len)
{
    *stack = (struct halo_stack){.base = base, .len = len};
    store(stack, 0, HALO_STACK_FIRST);
}

bool halo__stack_is_empty(const struct halo_stack *stack)
{
    return load(stack, 0) == HALO_STACK_FIRST;
}

const char *halo__stack_post(struct halo_stack *to, struct halo_request *post)
{
    const uint64_t top = load(to, 0);

    if (top < HALO_STACK_FIRST || top > to->len - LINK)
        return "a stack whose end is not within it";
    *post = (struct halo_request){
        .stack = to,
        .stack_at = top,
        .writable_count = 1,
        .writable_len = to->len - LINK - top,
        .spans = {{to->base + top, to->len - LINK - top}},
    };
    return NULL;
}

const char *halo__stack_pop(struct halo_stack *from, struct halo_stack *to,
                            struct halo_request *request)
{
    const char *why = halo__stack_post(to, request);
    const uint64_t top = load(from, 0);
    uint64_t first;

    if (why)
        return why;
    if (top < HALO_STACK_FIRST + LINK || top > from->len)
        return "a stack whose end is not within it";
    first = load(from, top - LINK);
    if (first < HALO_STACK_FIRST || first > top - LINK)
        return "a stack whose last message begins outside of it";
    request->spans[1] = request->spans[0];
    request->spans[0] = (struct halo_span){from->base + first, top - LINK - first};
    request->readable_count = top - LINK > first;
    request->readable_len = top - LINK - first;
    if (!request->readable_count)
        request->spans[0] = request->spans[1];
    store(from, 0, first);
    return NULL;
}

void halo__stack_push(const struct halo_request *request, uint64_t len)
{
    struct halo_stack *stack = request->stack;

    store(stack, request->stack_at + len, request->stack_at);
    store(stack, 0, request->stack_at + len + LINK);
    stack->pushed = true;
}
