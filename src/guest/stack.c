/* The guest's ends of the two stacks: see stack.h. */
#include "stack.h"
#include "../message/payload.h"
#include "../message/stack.h"
#include "boot.h"

static HALO_SHARED unsigned char *base_of(enum halo_stack_index index)
{
    return halo_shm_share((void *)(uintptr_t)halo_boot_page()->stack[index].base);
}

int halo__stack_push(const void *bytes, size_t len, const struct halo_value *values, uint32_t count)
{
    HALO_SHARED unsigned char *base = base_of(HALO_STACK_G2H);
    const uint64_t first = halo__stack_top(base);
    uint64_t at = first, total = len + HALO_STACK_LINK;

    for (uint32_t i = 0; i < count; i++) {
        if (halo__raw_len(&values[i]) > UINT32_MAX)
            return HALO_ESIZE;
    }
    total += halo__segments_len(values, count, len - HALO_PAYLOAD);
    if (total > halo_boot_page()->stack[HALO_STACK_G2H].len - first)
        return HALO_ESIZE;
    halo_shm_copy_out(base + at, bytes, len);
    at += len;
    for (uint32_t i = 0; i < count; i++) {
        const size_t raw = (size_t)halo__raw_len(&values[i]);

        at += halo__raw_pad(&values[i], at - first - HALO_PAYLOAD);
        halo_shm_copy_out(base + at, values[i].bytes, raw);
        at += raw;
    }
    halo__stack_finish(base, first, at);
    return 0;
}

bool halo__stack_pop(struct halo__popped *popped)
{
    struct halo_message *message = &popped->message;
    HALO_SHARED unsigned char *base = base_of(HALO_STACK_H2G);
    const uint64_t top = halo__stack_top(base);
    uint64_t first, len;

    if (top == HALO_STACK_FIRST)
        return false;
    if (!halo__stack_has_message(top, halo_boot_page()->stack[HALO_STACK_H2G].len))
        halo_panic("the host broke its stack");
    first = halo__stack_last(base, top);
    if (!halo__stack_is_within(first, top) || top - HALO_STACK_LINK - first < sizeof(*message))
        halo_panic("the host broke its stack");
    len = top - HALO_STACK_LINK - first - sizeof(*message);
    halo_shm_copy_in(message, base + first, sizeof(*message));
    if (message->length != len)
        halo_panic("the host sent a malformed message");
    popped->payload = malloc(message->length);
    if (popped->payload)
        halo_shm_copy_in(popped->payload, base + first + sizeof(*message), message->length);
    halo__stack_drop(base, first);
    return true;
}
