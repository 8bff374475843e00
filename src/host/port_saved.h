/*
 * What snapshots keep of a port: positions of the queues, and requests in flight. As with the other
 * parts' (call/saved.h, stream/saved.h) it is the host's own state, in private memory and without a
 * pointer into a sandbox; nothing of it is read from guest memory.
 */
#ifndef HALO_SRC_PORT_SAVED_H
#define HALO_SRC_PORT_SAVED_H

#include "port.h"

struct halo_saved_request {
    struct halo_device_chain chain; /* but for its token */
    struct halo_request request;    /* that too is made anew */
};

struct halo_saved_port {
    struct halo_positions at[HALO_QUEUE_COUNT];
    uint32_t counts[HALO_QUEUE_COUNT];
    struct halo_saved_request *requests; /* of the first queue, then of the second */
    uint16_t posted;
    enum halo_guest_state guest;
    bool open, answered;
};

/* The guest's requests. A snapshot can keep those that wait, which are reads that have moved
 * nothing; and of the others, none. */
struct halo_under_way {
    uint32_t calls, writes, reads, others;
    uint32_t waiting;
};

/* How many those are that none can keep. */
static inline uint32_t halo__under_way_lost(const struct halo_under_way *under_way)
{
    return under_way->calls + under_way->writes + under_way->reads + under_way->others;
}

/* What is under way; the requests of the host's are not counted. */
struct halo_under_way halo__port_under_way(const struct halo_port *port);

/*
 * Save it, for a port that is not inside of anything: 0; HALO_ESTATE where requests are under way
 * that cannot be kept, and `under_way` says which; HALO_ENOMEM. Freed by halo__port_unsave in any
 * case.
 */
int halo__port_save(struct halo_port *port, struct halo_saved_port *saved,
                    struct halo_under_way *under_way);
void halo__port_unsave(struct halo_saved_port *saved);

/*
 * Take it up, after halo__port_close and a new halo__port_init of the same sizes: no token from
 * before is valid any more. 0, or HALO_ENOMEM.
 */
int halo__port_bring_back(struct halo_port *port, const struct halo_saved_port *saved);

#endif
