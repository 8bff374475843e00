/*
 * The queue: requests with payload and answers with payload, one thread playing both sides. Each
 * batch is one flush on each side, notify decision included; tokens, pools and both copies are in
 * it.
 */
#include "bench.h"
#include <halo/receiver.h>
#include <halo/sender.h>
#include <string.h>

#define SIZE 256u
#define BUFS 512u
#define LONG (256u << 10)

static _Alignas(4096) unsigned char ring[SIZE * 16 + 128];
static _Alignas(4096) struct {
    unsigned char pool[BUFS * (HALO_TIER_LARGE + HALO_TIER_SMALL)];
    unsigned char slots[SIZE * HALO_SLOT_LEN];
} buffers;
static _Alignas(4096) unsigned char lent[LONG]; /* shared, too: what a guest has at hand */
static struct halo_region regions[2];
static const struct halo_memory memory = {regions, 2};
static struct halo_receiver host;
static struct halo_device_chain host_chains[SIZE];
static struct halo_sender guest;
static _Alignas(8) unsigned char guest_memory[HALO_SENDER_BYTES(SIZE, SIZE, 2 * SIZE)];
static struct halo_tiers tiers;
static uint32_t tiers_next[2 * BUFS];
static unsigned char asked[LONG], answered[LONG]; /* the host's private copies */

static void start(uint32_t features)
{
    const uint32_t all = HALO_MAY_READ | HALO_MAY_WRITE;
    struct halo_receiver_config host_config = {
        .memory = &memory, .len_max = 4 * LONG, .features = features};
    struct halo_sender_config guest_config = {.provider = &tiers.provider,
                                              .slots = buffers.slots,
                                              .slot_count = SIZE,
                                              .features = features,
                                              .request_count = SIZE,
                                              .part_count = 2 * SIZE};

    memset(ring, 0, sizeof(ring));
    regions[0] =
        (struct halo_region){(uintptr_t)&buffers, sizeof(buffers), halo_shm_share(&buffers), all};
    regions[1] = (struct halo_region){(uintptr_t)lent, sizeof(lent), halo_shm_share(lent), all};
    bench_must(halo_ring_place_in(halo_shm_share(ring), SIZE, &host_config.place) == 0, "no place");
    guest_config.place = host_config.place;
    bench_must(halo_receiver_init(&host, &host_config, host_chains) == 0, "no receiver");
    bench_must(halo_tiers_init(&tiers, buffers.pool, HALO_TIER_SMALL, BUFS, HALO_TIER_LARGE, BUFS,
                               tiers_next) == 0,
               "no pool");
    bench_must(halo_sender_init(&guest, &guest_config, guest_memory) == 0, "no sender");
    bench_begin();
}

/* The host: copy the request in, copy an answer of `len` bytes out. */
static void serve(uint32_t batch, size_t request_len, size_t len)
{
    struct halo_received request;
    struct halo_span spans[160];
    uint32_t count = 0;

    while (halo_receiver_poll(&host, &request, spans, 160) > 0) {
        bench_must(halo_received_read(&request, asked, sizeof(asked)) == request_len,
                   "a request is short");
        halo_received_write(&request, answered, len);
        bench_must(halo_receiver_complete(&host, &request) == 0, "cannot complete");
        count++;
    }
    bench_must(count == batch, "a request was lost");
    halo_receiver_flush(&host);
}

/* Short messages: copied into pooled buffers by the guest, and out of them. */
static void rpc(uint64_t rounds, uint32_t batch, size_t len, uint32_t features)
{
    unsigned char message[64] = {1}, back[64];

    start(features);
    for (uint64_t i = 0; i < rounds; i++) {
        struct halo_answer answer;
        uint32_t count = 0;

        for (uint32_t k = 0; k < batch; k++)
            bench_must(halo_sender_request(&guest, message, len, len, k, NULL) == 0, "full");
        halo_sender_flush(&guest);
        serve(batch, len, len);
        while (halo_sender_poll(&guest, &answer) > 0) {
            bench_must(halo_answer_read(&guest, &answer, back, sizeof(back)) == len, "short");
            halo_answer_free(&guest, &answer);
            count++;
        }
        bench_must(count == batch, "an answer was lost");
    }
}

/* Long messages: the guest lends what it has and looks at the answer where it lies. */
static void rpc_long(uint64_t rounds, uint32_t len)
{
    start(0);
    for (uint64_t i = 0; i < rounds; i++) {
        struct halo_answer answer;
        struct halo_send send;
        struct halo_span span;
        size_t seen = 0;

        halo_send_begin(&send, &guest);
        bench_must(halo_send_lend_readable(&send, lent, len) == 0 &&
                       halo_send_writable(&send, len) == 0 && halo_send_submit(&send, 0, NULL) == 0,
                   "cannot send");
        halo_sender_flush(&guest);
        serve(1, len, len);
        bench_must(halo_sender_poll(&guest, &answer) == 1, "no answer");
        while (halo_answer_span(&guest, &answer, &span))
            seen += span.len;
        bench_must(seen == len && halo_answer_free(&guest, &answer) == 0, "a short answer");
    }
}

#define ALL HALO_FEATURES_ALL

static void rpc64(uint64_t n)
{
    rpc(n, 1, 64, 0);
}

static void rpc64_batch8(uint64_t n)
{
    rpc(n / 8, 8, 64, 0);
}

static void rpc64_batch32(uint64_t n)
{
    rpc(n / 32, 32, 64, 0);
}

static void scalar(uint64_t n)
{
    rpc(n, 1, 8, 0);
}

static void scalar_inline(uint64_t n)
{
    rpc(n, 1, 8, ALL);
}

static void scalar_batch32(uint64_t n)
{
    rpc(n / 32, 32, 8, 0);
}

static void scalar_inline_batch32(uint64_t n)
{
    rpc(n / 32, 32, 8, ALL);
}

static void rpc64k(uint64_t n)
{
    rpc_long(n, 64u << 10);
}

static void rpc256k(uint64_t n)
{
    rpc_long(n, 256u << 10);
}

static double rpc64_sample(void)
{
    return bench_timed(rpc64, 800);
}

static double rpc64_batch8_sample(void)
{
    return bench_timed(rpc64_batch8, 800);
}

static double rpc64_batch32_sample(void)
{
    return bench_timed(rpc64_batch32, 800);
}

static double scalar_sample(void)
{
    return bench_timed(scalar, 800);
}

static double scalar_inline_sample(void)
{
    return bench_timed(scalar_inline, 800);
}

static double scalar_batch32_sample(void)
{
    return bench_timed(scalar_batch32, 800);
}

static double scalar_inline_batch32_sample(void)
{
    return bench_timed(scalar_inline_batch32, 800);
}

static double rpc64k_sample(void)
{
    return bench_timed(rpc64k, 25);
}

static double rpc256k_sample(void)
{
    return bench_timed(rpc256k, 8);
}

static double pipe64_sample(void)
{
    return bench_pipe_pair(64);
}

static double memcpy64k_sample(void)
{
    return bench_memcpy_pair(64u << 10);
}

static double memcpy256k_sample(void)
{
    return bench_memcpy_pair(256u << 10);
}

const struct bench_row bench_queue_rows[] = {
    {.name = "queue.rpc64",
     .what = "64 bytes there, 64 bytes back",
     .sample = rpc64_sample,
     .count = rpc64,
     .neighbours = {{"two pipes", pipe64_sample, NULL}}},
    {.name = "queue.rpc64.batch8",
     .what = "the same in batches of 8",
     .sample = rpc64_batch8_sample,
     .neighbours = {{"two pipes", pipe64_sample, NULL}}},
    {.name = "queue.rpc64.batch32",
     .what = "in batches of 32",
     .sample = rpc64_batch32_sample,
     .count = rpc64_batch32,
     .neighbours = {{"two pipes", pipe64_sample, NULL}}},
    {.name = "queue.scalar.inline",
     .what = "8 bytes there, 8 bytes back, inline",
     .sample = scalar_inline_sample,
     .count = scalar_inline,
     .neighbours = {{"the same in buffers", scalar_sample, NULL}}},
    {.name = "queue.scalar.inline.batch32",
     .what = "the same in batches of 32",
     .sample = scalar_inline_batch32_sample,
     .count = scalar_inline_batch32,
     .neighbours = {{"the same in buffers", scalar_batch32_sample, NULL}}},
    {.name = "queue.rpc64k",
     .what = "64 KiB there, 64 KiB back",
     .sample = rpc64k_sample,
     .count = rpc64k,
     .neighbours = {{"two plain copies", memcpy64k_sample, NULL}}},
    {.name = "queue.rpc256k",
     .what = "256 KiB there, 256 KiB back",
     .sample = rpc256k_sample,
     .count = rpc256k,
     .neighbours = {{"two plain copies", memcpy256k_sample, NULL}}},
    {.name = NULL},
};
