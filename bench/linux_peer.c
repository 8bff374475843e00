/* The kernel's driver, and a device that believes what it reads: no check, one descriptor a chain.
 */
#include "linux_peer.h"
#include "../tests/peers/linux_driver.h"
#include <stdlib.h>
#include <string.h>

#define AVAIL 0x80u
#define USED 0x8000u

struct descriptor {
    uint64_t addr;
    uint32_t len;
    uint16_t id, flags;
};

/* What the two threads write shares no line, nor the pair of lines that is fetched at once. */
static _Alignas(128) struct peer_driver driver;
static _Alignas(128) unsigned char payload[64];
static struct {
    _Alignas(128) uint32_t slot;
    uint32_t wrap;
} device; /* a whole pair: its size is a multiple of its alignment */

void *peer_pages(size_t len)
{
    void *pages = aligned_alloc(4096, (len + 4095) / 4096 * 4096);

    return pages ? memset(pages, 0, len) : NULL;
}

void peer_pages_free(void *pages, size_t len)
{
    (void)len;
    free(pages);
}

static bool open_queue(uint32_t size)
{
    const struct peer_segment segment = {payload, sizeof(payload)};
    const uint32_t never = 1u << 16;

    if (!peer_driver_open(&driver, size, PEER_EVENT_IDX, NULL, NULL))
        return false;
    peer_driver_disable_cb(&driver);
    memcpy((void *)(uintptr_t)driver.device_event, &never, sizeof(never));
    peer_driver_prepare(&segment);
    device.slot = 0;
    device.wrap = 1;
    return true;
}

static void close_queue(void)
{
    peer_driver_close(&driver);
}

static uint32_t submit(uint32_t count)
{
    uint32_t i = 0;

    while (i < count && peer_driver_add_prepared(&driver, payload) == 0)
        i++;
    return i;
}

static uint32_t serve(uint32_t max)
{
    struct descriptor *table = (struct descriptor *)(uintptr_t)driver.desc;
    uint32_t count = 0;

    for (; count < max; count++) {
        struct descriptor *at = &table[device.slot];
        const uint32_t flags = __atomic_load_n(&at->flags, __ATOMIC_ACQUIRE);

        if ((flags & (AVAIL | USED)) != (device.wrap ? AVAIL : USED))
            break;
        at->len = 0;
        __atomic_store_n(&at->flags, (uint16_t)(device.wrap ? AVAIL | USED : 0), __ATOMIC_RELEASE);
        if (++device.slot == driver.size) {
            device.slot = 0;
            device.wrap ^= 1;
        }
    }
    return count;
}

static uint32_t reap(uint32_t max)
{
    uint32_t count = 0, len;

    while (count < max && peer_driver_get(&driver, &len))
        count++;
    return count;
}

const struct linux_peer linux_peer = {open_queue, close_queue, submit, serve, reap};
