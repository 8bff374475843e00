/* The guest's end of the queue to the host. */
#include "port.h"
#include "start.h"
#include "call/export.h"

#define RING_MAX 256u
#define REQUESTS 192u /* in flight, and answers that nobody has freed */
#define PARTS 576u
#define SMALL_COUNT 256u
#define LARGE_COUNT 48u

struct halo_sender halo__port;
static _Alignas(8) unsigned char memory[HALO_SENDER_BYTES(RING_MAX, REQUESTS, PARTS)];
static struct halo_tiers tiers;
static uint32_t waits; /* one inside the other */
static uint32_t tiers_next[SMALL_COUNT + LARGE_COUNT];

void halo__check(int error, const char *what)
{
    if (error < 0)
        halo_panic(what);
}

static void kick(void *context, const struct halo_queue_stats *stats)
{
    (void)context;
    (void)stats;
    halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
}

struct halo_ring_place halo__port_place(const struct halo_boot_queue *ring)
{
    return (struct halo_ring_place){
        .desc = halo_shm_share((void *)(uintptr_t)ring->desc),
        .driver_event = halo_shm_share((void *)(uintptr_t)ring->driver_event),
        .device_event = halo_shm_share((void *)(uintptr_t)ring->device_event),
        .size = ring->size,
    };
}

struct halo__port_rest halo__port_start(const struct halo_boot *boot)
{
    const struct halo_boot_queue *ring = &boot->queue[HALO_QUEUE_G2H];
    const uint64_t len = SMALL_COUNT * HALO_TIER_SMALL + LARGE_COUNT * HALO_TIER_LARGE;
    unsigned char *pool = (unsigned char *)(uintptr_t)boot->pool_base;
    const struct halo_sender_config config = {
        .place = halo__port_place(ring),
        .provider = &tiers.provider,
        .features = (uint32_t)boot->features,
        .request_count = REQUESTS,
        .part_count = PARTS,
        .notifier = {kick, NULL},
    };

    if (boot->queue_count < 1 || ring->size > RING_MAX || boot->pool_len < len)
        halo_panic("the host offers a queue or a pool that this guest cannot use"); /* DRV-17 */
    halo__check(halo_tiers_init(&tiers, pool, HALO_TIER_SMALL, SMALL_COUNT, HALO_TIER_LARGE,
                                LARGE_COUNT, tiers_next),
                "the pool is misplaced");
    halo__check(halo_sender_init(&halo__port, &config, memory), "the ring is misplaced");
    return (struct halo__port_rest){pool + len, boot->pool_len - len};
}

void halo__port_flush(void)
{
    halo__check(halo_sender_flush(&halo__port), "the host broke the ring");
    halo__serve_flush();
}

bool halo__port_take(void)
{
    struct halo_answer answer;
    bool any = false;
    int got;

    while ((got = halo_sender_poll(&halo__port, &answer)) > 0) {
        struct halo_op *op = (struct halo_op *)(uintptr_t)answer.context;

        if (!op->answered(op, &answer))
            (void)halo_answer_free(&halo__port, &answer);
        any = true;
    }
    halo__check(got, "the host broke the ring");
    return any;
}

bool halo__port_arm(void)
{
    const bool answers = halo_driver_arm(&halo__port.driver), calls = halo__serve_arm();

    return answers || calls;
}

void halo__port_wait(void)
{
    waits++;
    halo__stream_push();
    halo__port_flush();
    while (!halo__port_take() && !halo__serve_one(waits)) {
        if (!halo__port_arm())
            halo__doorbell(HALO_DOORBELL_WAIT, HALO_WAIT_ANSWER, 0);
    }
    waits--;
}

void halo__port_submit(struct halo_send *send, struct halo_op *op)
{
    int error;

    while ((error = halo_send_submit(send, (uintptr_t)op, NULL)) == HALO_EFULL)
        halo__port_wait();
    halo__check(error, "the ring refuses a request");
}
