/*
 * What holds between any two operations of an end of a queue, looked at before those that change
 * anything in a build with -Dchecks=true, as the ring does (src/ring/check.c) and the pools do.
 * Only private state is looked at. Requests that are being built are the program's and not known
 * here, so that parts of theirs may be missing from a sum. Without the option all this is nothing.
 */
#include "../ring/check.h"
#include "sender.h"
#include <halo/receiver.h>

#ifdef HALO_CHECKS

/* Records are looked at each time where there are few, and once in a while where there are many. */
static bool is_due(const struct halo_queue_stats *stats, uint32_t records)
{
    return (stats->requests + stats->answers) % (records / 64 + 1) == 0;
}

/* A chain of parts from `index` on. Returns how many it has. */
static uint32_t check_parts(const struct halo_sender *sender, uint32_t index, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        HOLDS(index < sender->part_count);
        HOLDS(sender->parts[index].owner <= HALO_PART_BORROWED);
        index = sender->parts[index].next;
    }
    return count;
}

/* Answers to be polled are a list in both directions. */
static void check_answered(const struct halo_sender *sender)
{
    uint32_t index = sender->first_answered, prev = NONE;

    for (uint32_t i = 0; i < sender->answered; i++) {
        HOLDS(index < sender->request_count);
        HOLDS(sender->requests[index].state == HALO_REQUEST_ANSWERED);
        HOLDS(sender->requests[index].prev == prev);
        prev = index;
        index = sender->requests[index].next;
    }
    HOLDS(index == NONE && sender->last_answered == prev);
}

/* Each number is free, in flight, or of an answer; and each part is free, or of one request. */
static void check_requests(const struct halo_sender *sender)
{
    const bool is_latched = sender->driver.violation.reason != HALO_BROKEN_NOT;
    uint32_t of[HALO_REQUEST_LOST + 1] = {0}, parts = sender->free_parts;

    for (uint32_t i = 0; i < sender->request_count; i++) {
        const struct halo_sender_request *request = &sender->requests[i];
        const struct halo_token token = {request->token};

        HOLDS(halo_token_id(token) == i);
        HOLDS(request->state <= HALO_REQUEST_LOST);
        HOLDS(is_latched || (request->state == HALO_REQUEST_IN_FLIGHT) ==
                                (halo_driver_chain_slots(&sender->driver.chains[i]) > 0));
        HOLDS(request->part_count == 0 || request->readable_count <= request->part_count);
        HOLDS(request->state != HALO_REQUEST_FREE || request->part_count == 0);
        parts += check_parts(sender, request->first, request->part_count);
        of[request->state]++;
    }
    HOLDS(of[HALO_REQUEST_FREE] == sender->free_requests);
    HOLDS(of[HALO_REQUEST_IN_FLIGHT] == sender->stats.in_flight);
    HOLDS(of[HALO_REQUEST_ANSWERED] == sender->answered);
    HOLDS(is_latched || of[HALO_REQUEST_ANSWERED] + of[HALO_REQUEST_TAKEN] == sender->driver.held);
    HOLDS(is_latched || of[HALO_REQUEST_LOST] == 0);
    HOLDS(parts <= sender->part_count);
}

void halo_sender_check(const struct halo_sender *sender)
{
    HOLDS(sender->free_requests <= sender->request_count);
    HOLDS(sender->stats.in_flight + sender->answered <=
          sender->request_count - sender->free_requests);
    HOLDS(sender->free_parts <= sender->part_count);
    HOLDS((sender->answered == 0) == (sender->first_answered == NONE));
    HOLDS((sender->answered == 0) == (sender->last_answered == NONE));
    HOLDS(!sender->holding || sender->policy.hold);
    HOLDS(sender->stats.answers <= sender->stats.requests);
    if (!is_due(&sender->stats, sender->request_count))
        return;
    (void)check_parts(sender, sender->free_part, sender->free_parts);
    check_answered(sender);
    check_requests(sender);
}

void halo_receiver_check(const struct halo_receiver *receiver)
{
    const struct halo_device *device = &receiver->device;
    uint32_t in_flight = 0;

    HOLDS(!receiver->holding || receiver->policy.hold);
    HOLDS(receiver->stats.in_flight <= device->place.size);
    if (device->violation.reason || !is_due(&receiver->stats, device->place.size))
        return;
    for (uint32_t id = 0; id < device->place.size; id++)
        in_flight += halo_device_chain_slots(&device->chains[id]) > 0;
    HOLDS(in_flight == receiver->stats.in_flight);
}

#endif
