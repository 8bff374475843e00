/* Stacks: see src/host/stack.h, and halo/abi.h for what lies on them. */
#include "stack.h"
#include <halo/shm.h>
#include "port.h"
#include "start.h"
#include "call/export.h"

#define LINK sizeof(uint64_t)

static HALO_SHARED unsigned char *base_of(enum halo_stack_index index)
{
    return halo_shm_share((void *)(uintptr_t)halo_boot()->stack[index].base);
}

static uint64_t load(enum halo_stack_index index, uint64_t at)
{
    uint64_t value;

    halo_shm_copy_in(&value, base_of(index) + at, sizeof(value));
    return value;
}

static void store(enum halo_stack_index index, uint64_t at, uint64_t value)
{
    halo_shm_copy_out(base_of(index) + at, &value, sizeof(value));
}

int halo__stack_push(const void *bytes, size_t len, const struct halo_value *values, uint32_t count)
{
    const uint64_t first = load(HALO_STACK_G2H, 0);
    HALO_SHARED unsigned char *base = base_of(HALO_STACK_G2H);
    uint64_t at = first, total = len + LINK;

    for (uint32_t i = 0; i < count; i++) {
        if (halo__raw_len(&values[i]) > UINT32_MAX)
            return HALO_ESIZE;
        total += halo__raw_len(&values[i]);
    }
    if (total > halo_boot()->stack[HALO_STACK_G2H].len - first)
        return HALO_ESIZE;
    halo_shm_copy_out(base + at, bytes, len);
    at += len;
    for (uint32_t i = 0; i < count; i++) {
        const size_t raw = (size_t)halo__raw_len(&values[i]);

        halo_shm_copy_out(base + at, values[i].bytes, raw);
        at += raw;
    }
    store(HALO_STACK_G2H, at, first);
    store(HALO_STACK_G2H, 0, at + LINK);
    return 0;
}

bool halo__stack_pop(struct halo__popped *popped)
{
    struct halo_message *message = &popped->message;
    const uint64_t top = load(HALO_STACK_H2G, 0);
    uint64_t first;

    if (top == HALO_STACK_FIRST)
        return false;
    if (top < HALO_STACK_FIRST + LINK || top > halo_boot()->stack[HALO_STACK_H2G].len)
        halo_panic("the host broke its stack");
    first = load(HALO_STACK_H2G, top - LINK);
    if (first < HALO_STACK_FIRST || first > top - LINK - sizeof(*message))
        halo_panic("the host broke its stack");
    halo_shm_copy_in(message, base_of(HALO_STACK_H2G) + first, sizeof(*message));
    if (message->length != top - LINK - first - sizeof(*message))
        halo_panic("the host sent a malformed message");
    popped->payload = malloc(message->length);
    if (popped->payload)
        halo_shm_copy_in(popped->payload, base_of(HALO_STACK_H2G) + first + sizeof(*message),
                         message->length);
    store(HALO_STACK_H2G, 0, first);
    return true;
}

void halo__stack_exchange(struct halo__popped *answer)
{
    for (;;) {
        halo__doorbell(HALO_DOORBELL_PUSHED, 0, 0);
        if (!halo__stack_pop(answer))
            halo_panic("the host pushed nothing");
        if (answer->message.kind != HALO_KIND_CALL)
            return;
        halo__serve_popped(answer);
    }
}
