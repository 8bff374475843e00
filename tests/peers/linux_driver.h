/*
 * Linux's packed driver behind plain C.
 *
 * Kernel headers and Halo's clash, so linux_driver.c knows the kernel alone and linux_judge.c knows
 * Halo alone. Addresses are pointers: the kernel's shims take one for the other.
 */
#ifndef HALO_TESTS_PEERS_LINUX_DRIVER_H
#define HALO_TESTS_PEERS_LINUX_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Features beside VERSION_1 and RING_PACKED. */
#define PEER_EVENT_IDX 1u
#define PEER_INDIRECT 2u

#define PEER_SEGMENTS 4u /* most segments of one kind in a chain */

struct peer_segment {
    void *base;
    uint32_t len;
};

/* A queue, and where the driver put it. */
struct peer_driver {
    void *queue, *device; /* the kernel's */
    uint64_t desc, driver_event, device_event;
    uint32_t size;
    void (*woken)(void *context); /* by peer_driver_interrupt; or NULL where none happens */
    void *context;
};

/* Pages for the ring and its event structures, zeroed. linux_judge.c provides both. */
void *peer_pages(size_t len);
void peer_pages_free(void *pages, size_t len);

/* False where the kernel refuses. `driver` must not move while it is open. */
bool peer_driver_open(struct peer_driver *driver, uint32_t size, uint32_t features,
                      void (*woken)(void *context), void *context);
void peer_driver_close(struct peer_driver *driver);

/* 0, or a negative errno. The readable segments stand first. `request` comes back with the chain.
 */
int peer_driver_add(struct peer_driver *driver, const struct peer_segment *segments,
                    uint32_t readable, uint32_t writable, void *request);
bool peer_driver_kick_prepare(struct peer_driver *driver);
void *peer_driver_get(struct peer_driver *driver, uint32_t *len);
void *peer_driver_detach(struct peer_driver *driver);
uint32_t peer_driver_room(const struct peer_driver *driver);
bool peer_driver_is_broken(struct peer_driver *driver);

void peer_driver_disable_cb(struct peer_driver *driver);
bool peer_driver_enable_cb(struct peer_driver *driver);
bool peer_driver_enable_cb_delayed(struct peer_driver *driver);
void peer_driver_interrupt(struct peer_driver *driver);

/* For measuring: describe one readable segment once, then add it over and over. */
void peer_driver_prepare(const struct peer_segment *segment);
int peer_driver_add_prepared(struct peer_driver *driver, void *request);

#endif
