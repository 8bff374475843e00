/* A port as snapshots keep it. */
#include "port_saved.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool is_in_flight(const struct halo_port *port, uint32_t queue, uint32_t id)
{
    return halo_device_chain_slots(&port->chains[queue][id]) > 0;
}

/* What of the guest's own requests cannot be kept. A read that has moved nothing waits as before.
 */
static void judge(const struct halo_request *request, struct halo_under_way *under_way)
{
    switch (request->message.kind) {
    case HALO_KIND_CALL:
        under_way->calls++;
        break;
    case HALO_KIND_STREAM_WRITE:
        under_way->writes++;
        break;
    case HALO_KIND_STREAM_READ:
        under_way->reads += request->done > 0;
        under_way->waiting += request->done == 0;
        break;
    default:
        under_way->others++;
    }
}

static void save_queue(const struct halo_port *port, uint32_t queue, struct halo_saved_port *saved,
                       struct halo_saved_request *to)
{
    for (uint32_t id = 0; id < port->queues[queue].device.place.size; id++) {
        if (!is_in_flight(port, queue, id))
            continue;
        *to++ = (struct halo_saved_request){port->chains[queue][id], port->requests[queue][id]};
        saved->counts[queue]++;
    }
}

struct halo_under_way halo__port_under_way(const struct halo_port *port)
{
    struct halo_under_way under_way = {0};

    for (uint32_t id = 0; id < port->queues[HALO_QUEUE_G2H].device.place.size; id++) {
        if (is_in_flight(port, HALO_QUEUE_G2H, id))
            judge(&port->requests[HALO_QUEUE_G2H][id], &under_way);
    }
    return under_way;
}

int halo__port_save(struct halo_port *port, struct halo_saved_port *saved,
                    struct halo_under_way *under_way)
{
    uint32_t count = 0;

    halo__port_publish(port);
    *under_way = halo__port_under_way(port);
    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        for (uint32_t id = 0; id < port->queues[queue].device.place.size; id++)
            count += is_in_flight(port, queue, id);
    }
    if (halo__under_way_lost(under_way) > 0)
        return HALO_ESTATE;
    saved->requests = calloc(count + 1, sizeof(*saved->requests));
    if (!saved->requests)
        return HALO_ENOMEM;
    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        saved->at[queue] = halo_device_positions(&port->queues[queue].device);
        save_queue(port, queue, saved, saved->requests + saved->counts[0]);
    }
    saved->posted = port->posted;
    saved->guest = port->guest;
    saved->open = port->open;
    saved->answered = port->answered;
    return 0;
}

void halo__port_unsave(struct halo_saved_port *saved)
{
    free(saved->requests);
    saved->requests = NULL;
}

/* Without the extents that it does not have, which are most of it. */
static void copy_request(struct halo_request *to, const struct halo_request *from)
{
    const size_t extents = (size_t)from->parked.readable_count + from->parked.writable_count;
    const size_t rest = offsetof(struct halo_request, message);

    memcpy(to, from,
           offsetof(struct halo_request, parked.extents) + extents * sizeof(struct halo_extent));
    memcpy((unsigned char *)to + rest, (const unsigned char *)from + rest, sizeof(*to) - rest);
}

/*
 * The ring's own memory has the requests at their places. Their tokens are new ones: each is above
 * all that were ever given out for its id in this sandbox (ID-05, RST-03).
 */
static int bring_back_queue(struct halo_port *port, uint32_t queue, struct halo_positions at,
                            const struct halo_saved_request *from, uint32_t count)
{
    struct halo_device_chain *const in_flight = port->chains[queue];

    for (; count > 0; count--, from++) {
        const uint16_t id = halo_token_id(from->request.parked.token);
        struct halo_device_chain *chain = &in_flight[id];
        struct halo_request *request = &port->requests[queue][id];
        const uint64_t token = chain->token + HALO_TOKEN_FREE;

        *chain = from->chain;
        chain->token = token;
        copy_request(request, &from->request);
        request->parked.token.word = token;
        request->is_there = false; /* perhaps: it is looked for again */
    }
    return halo_receiver_resume(&port->queues[queue], at, in_flight);
}

int halo__port_bring_back(struct halo_port *port, const struct halo_saved_port *saved)
{
    const struct halo_saved_request *from = saved->requests;
    int error = 0;

    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT && !error; queue++) {
        error = bring_back_queue(port, queue, saved->at[queue], from, saved->counts[queue]);
        from += saved->counts[queue];
    }
    port->posted = saved->posted;
    port->guest = saved->guest;
    port->keeps = false; /* no snapshot has a call that is not answered */
    port->open = saved->open;
    port->answered = saved->answered;
    port->closed = port->halted = port->has_more = false;
    port->host_failed = 0;
    port->poison = (struct halo_poison){.kind = 0};
    port->work = port->moved = 0;
    port->calls_back = port->calls_out; /* no snapshot has a call of the host's in flight */
    return error ? halo__fail(port->words, HALO_EHOST, "the queues cannot be taken up") : 0;
}
