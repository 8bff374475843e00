/*
 * Many calls for each exit: the queue as a hypervisor or unikernel author uses it, without the rest
 * of Halo. Both sides live in this one program, so that it runs anywhere; what would be a VM exit
 * is the call of a function, and it is counted.
 *
 *     queue_calls [COUNT]
 *
 * The guest asks the host for the square of each number up to COUNT, queues as many as there is
 * room for, and leaves once for all of them. The host answers them in the opposite order.
 */
#include <halo/receiver.h>
#include <halo/sender.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RING 256u
#define BUFS 512u

/* Shared by both: the ring, and the buffers that requests name. */
static _Alignas(4096) unsigned char ring[RING * 16 + 128];
static _Alignas(4096) unsigned char buffers[BUFS * (4096 + 256)];

/* --- The host: the device's end --------------------------------------------------------------- */

static struct halo_receiver host;
static struct halo_device_chain host_chains[RING];
static struct halo_region host_region;
static const struct halo_memory host_memory = {&host_region, 1};

static void host_serve(void)
{
    static struct halo_received requests[RING];
    static struct halo_span spans[RING][4];
    uint32_t count = 0;
    uint64_t number;
    int got;

    while (count < RING && (got = halo_receiver_poll(&host, &requests[count], spans[count], 4)) > 0)
        count++;
    while (count-- > 0) { /* any order will do */
        struct halo_received *request = &requests[count];

        if (halo_received_read(request, &number, sizeof(number)) != sizeof(number))
            number = 0;
        number *= number;
        halo_received_write(request, &number, sizeof(number));
        halo_receiver_complete(&host, request);
    }
    if (halo_receiver_flush(&host) < 0) {
        fprintf(stderr, "queue_calls: the guest broke the ring: %s\n",
                halo_broken_name(host.device.violation.reason));
        exit(1);
    }
}

/* --- The guest: the driver's end -------------------------------------------------------------- */

static struct halo_sender guest;
static _Alignas(8) unsigned char guest_memory[HALO_SENDER_BYTES(RING, RING, 2 * RING)];
static struct halo_tiers guest_pool;
static uint32_t guest_pool_next[2 * BUFS];

/* The doorbell. In a VM this would be the exit; here the host runs at once. */
static void leave(void *exits, const struct halo_queue_stats *stats)
{
    (void)stats;
    ++*(uint64_t *)exits;
    host_serve();
}

static int guest_main(uint64_t count, uint64_t *sum)
{
    struct halo_answer answer;
    uint64_t asked = 0, answered = 0;
    int error = 0, got = 0;

    while (answered < count) {
        while (asked < count && !(error = halo_sender_request(&guest, &asked, sizeof(asked),
                                                              sizeof(asked), asked, NULL)))
            asked++;
        if (error && error != HALO_EFULL && error != HALO_ENOMEM) /* of the ring, or the pool */
            return error;
        error = halo_sender_flush(&guest);
        if (error < 0)
            return error;
        while ((got = halo_sender_poll(&guest, &answer)) > 0) {
            uint64_t square = 0;

            halo_answer_read(&guest, &answer, &square, sizeof(square));
            if (square != answer.context * answer.context)
                return HALO_EIO;
            halo_answer_free(&guest, &answer);
            *sum += square;
            answered++;
        }
        if (got < 0)
            return got;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "10000";
    char *end;
    const uint64_t count = strtoull(text, &end, 10);
    struct halo_ring_place place;
    uint64_t exits = 0, sum = 0;
    int error;

    if (argc > 2 || *text < '0' || *text > '9' || *end) {
        fprintf(stderr, "usage: queue_calls [COUNT]\n");
        return 2;
    }
    host_region = (struct halo_region){(uintptr_t)buffers, sizeof(buffers), halo_shm_share(buffers),
                                       HALO_MAY_READ | HALO_MAY_WRITE};
    error = halo_ring_place_in(halo_shm_share(ring), RING, &place);
    if (!error)
        error = halo_receiver_init(
            &host,
            &(struct halo_receiver_config){.place = place, .memory = &host_memory, .len_max = 8192},
            host_chains);
    if (!error)
        error = halo_tiers_init(&guest_pool, buffers, HALO_TIER_SMALL, BUFS, HALO_TIER_LARGE, BUFS,
                                guest_pool_next);
    if (!error)
        error = halo_sender_init(&guest,
                                 &(struct halo_sender_config){.place = place,
                                                              .provider = &guest_pool.provider,
                                                              .request_count = RING,
                                                              .part_count = 2 * RING,
                                                              .notifier = {leave, &exits}},
                                 guest_memory);
    if (!error)
        error = guest_main(count, &sum);
    if (error) {
        fprintf(stderr, "queue_calls: %s\n", halo_strerror(error));
        return 1;
    }
    if (printf("%" PRIu64 " calls, %" PRIu64 " exits, sum of squares %" PRIu64 "\n", count, exits,
               sum) < 0 ||
        fflush(stdout) != 0) {
        perror("queue_calls");
        return 1;
    }
    return 0;
}
