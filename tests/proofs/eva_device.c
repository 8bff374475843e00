/*
 * The device: from every state in which it can be, with whatever it reads, each operation makes no
 * run-time error and leaves such a state again. SIZE is the ring's. OPERATION is the only one that
 * is tried, where it is given: of a larger ring all together take too long.
 */
#include "eva.h"

#include "ring/device.c"

#define SPANS 2
#define BYTES 64

static struct halo_device device;
static struct halo_device_chain chains[SIZE];
static unsigned char bytes[BYTES];
static struct halo_region region = {.base = 0x1000, .len = BYTES, .host = bytes};
static const struct halo_memory memory = {.regions = &region, .region_count = 1};

/* Every slot belongs to the driver, to one chain in flight, or to the batch that is staged. */
static void check(void)
{
    uint32_t slots = 0;

    for (uint32_t id = 0; id < SIZE; id++)
        slots += halo_device_chain_slots(&chains[id]);
    demand(device.staged <= SIZE && slots + device.staged <= SIZE);
    demand(device.room == SIZE - slots - device.staged);
    demand(device.newest < SIZE);
    demand(device.ids == (device.violation.reason ? 0 : SIZE));
    demand(device.violation.reason || at_is_sound(device.avail));
    demand(at_is_sound(device.used));
    demand(at_is_sound(device.published));
}

/* Any generation; what is asked of it are its lower bits. */
static uint64_t any_token(uint32_t id, bool is_free)
{
    return (any >> 17 << 17) + (is_free ? HALO_TOKEN_FREE : 0) + id;
}

/*
 * A cursor that the operation moves is followed slot by slot; of the others all slots are one
 * state.
 */
static void begin(bool takes, bool completes)
{
    uint32_t slots = 0;

    demand(halo_device_init(&device, &place, &memory, chains, UINT32_MAX) == 0);
    check();
    region.rights = (uint32_t)any;
    (void)halo_device_extend(&device, (uint32_t)any);
    for (uint32_t id = 0; id < SIZE; id++) {
        const uint32_t count = choose(SIZE - slots);
        const bool is_plain = count == 1 && choose(1);

        chains[id].capacity = (uint32_t)any;
        chains[id].token = any_token(id, count == 0);
        chains[id].limit = is_plain ? 1 + (any & (HALO_META_WRITE | UINT32_MAX)) : 0;
        chains[id].slots = (uint16_t)(is_plain ? 0 : count);
        chains[id].is_inline = (uint16_t)any;
        slots += count;
    }
    device.len_max = (uint32_t)any;
    device.staged = choose(SIZE - slots);
    device.room = SIZE - slots - device.staged;
    device.unannounced = any;
    device.batch_meta = any;
    device.newest = (uint16_t)(takes ? choose_slot() : within(SIZE - 1));
    device.avail = any_at(takes ? choose_slot() : within(SIZE - 1), false);
    device.used = any_at(completes ? choose_slot() : within(SIZE - 1), true);
    device.published = any_at(within(SIZE - 1), true);
    halo_device_memory_changed(&device);
    if (choose(1)) {
        device.violation.reason = HALO_BROKEN_TORN;
        device.stopped = device.avail;
        device.avail = halo_at_latched();
        device.ids = 0;
        device.room += device.staged;
        device.staged = 0;
        device.unannounced = 0;
    }
}

/* Touch every span. That it lies in its region to its last byte is WP's to prove. */
static void serve(const struct halo_chain *chain, const struct halo_span *spans)
{
    demand(chain->readable_count + chain->writable_count <= SPANS);
    for (uint32_t i = 0; i < chain->readable_count + chain->writable_count; i++) {
        spans[i].base[0]++;
    }
}

int main(void)
{
    static const unsigned char answer[HALO_INLINE_ANSWER_MAX] = {1, 2, 3};
    struct halo_span spans[SPANS];
    struct halo_chain chain;
    struct halo_token token;

#ifdef OPERATION
    const uint32_t op = OPERATION;
#else
    const uint32_t op = choose(9);
#endif

    begin(op == 0 || op == 6, op == 0 || op == 1 || op == 7 || op == 8); /* 0: what is rejected */
    switch (op) {
    case 0:
        if (halo_device_poll(&device, &chain, spans, SPANS) == 1)
            serve(&chain, spans);
        break;
    case 1:
        token = halo_token_make((uint32_t)any, any_id());
        halo_device_complete(&device, token, (uint32_t)any);
        break;
    case 2:
        halo_device_publish(&device);
        break;
    case 3:
        halo_device_should_notify(&device);
        break;
    case 4:
        halo_device_arm(&device);
        break;
    case 5:
        halo_device_disarm(&device);
        break;
    case 6:
        token = halo_token_make((uint32_t)any, any_id());
        halo_device_rewind(&device, token);
        break;
    case 7:
        token = halo_token_make((uint32_t)any, any_id());
        halo_device_complete_inline(&device, token, answer, within(HALO_INLINE_ANSWER_MAX + 1));
        break;
    case 8:
        token = halo_token_make((uint32_t)any, any_id());
        halo_device_complete_truncated(&device, token, (uint32_t)any, any);
        break;
    case 9:
        demand(halo_device_init(&device, &place, &memory, chains, UINT32_MAX) == 0);
        break;
    }
    check();
    return 0;
}
