/* A port alone, for tests of its services: no guest, no sandbox, and no ring to complete on. */
#ifndef PORT_BOX_H
#define PORT_BOX_H

#include "../../src/host/port.h"

#include <stdlib.h>
#include <string.h>

/* All of this program's memory is one region, whose first byte lies at this address. */
#define PORT_BOX_FIRST 1u

static inline void port_box_open(struct halo_port *port, struct halo_words *words)
{
    memset(port, 0, sizeof(*port));
    port->words = words;
    port->open = true;
    port->work_max = UINT64_MAX;
    port->regions[0].host = halo_shm_share((void *)(uintptr_t)PORT_BOX_FIRST);
    port->regions[0].len = UINT64_MAX;
    port->memory = (struct halo_memory){port->regions, 1};
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++) {
        port->queues[i].device.memory = &port->memory;
        port->queues[i].device.features = HALO_FEATURES_ALL;
        port->queues[i].device.violation.reason = HALO_BROKEN_STOPPED;
        port->queues[i].device.avail = halo_at_latched();
    }
}

static inline struct halo_extent port_box_extent(const void *at, size_t len)
{
    return (struct halo_extent){0, (uint32_t)len, (uintptr_t)at - PORT_BOX_FIRST};
}

/* A request of `len` bytes in pieces, fewer where there are too many, with so much room. */
static inline void port_box_request(struct halo_request *request, uint16_t id, const void *bytes,
                                    size_t len, size_t piece, void *room, size_t room_len)
{
    struct halo_parked *parked = &request->parked;
    uint32_t count = 0;

    memset(request, 0, sizeof(*request));
    parked->token = halo_token_make(1, id);
    parked->readable_len = (uint32_t)len;
    parked->writable_len = (uint32_t)room_len;
    if ((len + piece - 1) / piece + 2 > HALO_PARKED_EXTENTS)
        piece = len / (HALO_PARKED_EXTENTS - 3) + 1;
    for (size_t at = 0; at < len; at += piece)
        parked->extents[count++] =
            port_box_extent((const unsigned char *)bytes + at, len - at < piece ? len - at : piece);
    parked->readable_count = (uint16_t)count;
    if (room_len / 2 > 0)
        parked->extents[count++] = port_box_extent(room, room_len / 2);
    if (room_len > 0)
        parked->extents[count++] =
            port_box_extent((unsigned char *)room + room_len / 2, room_len - room_len / 2);
    parked->writable_count = (uint16_t)(count - parked->readable_count);
}

/* Have the port judge it and hand it to its service. Returns what could not be understood. */
static inline const char *port_box_take(struct halo_port *port, enum halo_queue_index queue,
                                        struct halo_request *request, uint64_t room)
{
    const char *why = halo__request_parse(&port->queues[queue], request, room);
    const struct halo_attached *to;

    if (why)
        return why;
    if (request->message.kind >= HALO_KIND_COUNT)
        return "another kind";
    to = &port->routes[queue][request->message.kind];
    return to->service ? to->service->take(to->self, request) : "another kind";
}

#endif
