/*
 * A file through a queue, with an exit only when all buffers are full. As in queue_calls.c both
 * sides live in one program, and an exit is a call that is counted.
 *
 *     queue_stream < FILE > COPY
 *
 * The guest keeps 16 reads of 64 KiB in flight. The host fills their buffers straight from the
 * file, with one readv each; the guest takes the answers in order by their tokens.
 */
#include <halo/receiver.h>
#include <halo/sender.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define RING 512u
#define PAGES 512u
#define DEPTH 16u
#define READ_LEN 65536u /* as 16 pages */

static _Alignas(4096) unsigned char ring[RING * 16 + 128];
static _Alignas(4096) unsigned char pages[PAGES * 4096];

/* --- The host --------------------------------------------------------------------------------- */

static struct halo_receiver host;
static struct halo_device_chain host_chains[RING];
static struct halo_region host_region;
static const struct halo_memory host_memory = {&host_region, 1};
static bool host_failed;

static void host_serve(void)
{
    struct halo_span spans[32], room[32];
    struct halo_received request;

    while (halo_receiver_poll(&host, &request, spans, 32) > 0) {
        const uint32_t count = halo_received_reserve(&request, room, 32);
        struct iovec iov[32];
        ssize_t len;

        for (uint32_t i = 0; i < count; i++)
            iov[i] = (struct iovec){halo_shm_expose(room[i].base), room[i].len};
        len = readv(STDIN_FILENO, iov, (int)count);
        if (len < 0) {
            perror("queue_stream: standard input");
            host_failed = true;
        }
        halo_received_commit(&request, len > 0 ? (uint64_t)len : 0); /* nothing: the end */
        halo_receiver_complete(&host, &request);
    }
    if (halo_receiver_flush(&host) < 0) {
        fprintf(stderr, "queue_stream: the guest broke the ring: %s\n",
                halo_broken_name(host.device.violation.reason));
        exit(1);
    }
}

/* --- The guest -------------------------------------------------------------------------------- */

static struct halo_sender guest;
static _Alignas(8) unsigned char guest_memory[HALO_SENDER_BYTES(RING, 2 * DEPTH, RING)];
static struct halo_pool guest_pool;
static uint32_t guest_pool_next[PAGES];

static void leave(void *exits, const struct halo_queue_stats *stats)
{
    (void)stats;
    ++*(uint64_t *)exits;
    host_serve();
}

static int guest_main(uint64_t *bytes)
{
    struct halo_token reads[DEPTH];
    uint64_t first = 0, next = 0;
    bool ended = false;

    while (!ended || first < next) {
        struct halo_answer answer;
        struct halo_span span;
        int got;

        while (!ended && next < first + DEPTH) { /* nothing but room for the answer */
            got = halo_sender_request(&guest, NULL, 0, READ_LEN, next, &reads[next % DEPTH]);
            if (got)
                return got;
            next++;
        }
        got = halo_sender_take(&guest, reads[first % DEPTH], &answer);
        if (got == 0)
            got = halo_sender_flush(&guest); /* nothing left to do without the host */
        else if (got > 0) {
            first++;
            *bytes += answer.len;
            ended = ended || answer.len == 0;
            while (halo_answer_span(&guest, &answer, &span)) {
                if (fwrite(halo_shm_expose(span.base), 1, span.len, stdout) != span.len)
                    return HALO_EIO;
            }
            halo_answer_free(&guest, &answer);
        }
        if (got < 0)
            return got;
    }
    return fflush(stdout) == 0 ? 0 : HALO_EIO;
}

int main(void)
{
    struct halo_ring_place place;
    uint64_t exits = 0, bytes = 0;
    int error;

    host_region = (struct halo_region){(uintptr_t)pages, sizeof(pages), halo_shm_share(pages),
                                       HALO_MAY_READ | HALO_MAY_WRITE};
    error = halo_ring_place_in(halo_shm_share(ring), RING, &place);
    if (!error)
        error = halo_receiver_init(&host,
                                   &(struct halo_receiver_config){
                                       .place = place, .memory = &host_memory, .len_max = 1 << 20},
                                   host_chains);
    if (!error)
        error = halo_pool_init(&guest_pool, pages, 4096, PAGES, guest_pool_next);
    if (!error)
        error = halo_sender_init(&guest,
                                 &(struct halo_sender_config){.place = place,
                                                              .provider = &guest_pool.provider,
                                                              .request_count = 2 * DEPTH,
                                                              .part_count = RING,
                                                              .notifier = {leave, &exits}},
                                 guest_memory);
    if (!error)
        error = guest_main(&bytes);
    if (error) {
        fprintf(stderr, "queue_stream: %s\n", halo_strerror(error));
        return 1;
    }
    fprintf(stderr, "%" PRIu64 " bytes, %" PRIu64 " exits\n", bytes, exits);
    return host_failed ? 1 : 0;
}
