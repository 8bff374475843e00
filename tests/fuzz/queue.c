/* Both ends of a queue, used as the input says, while somebody writes anywhere into what they
 * share. */
#include "../model/queue_user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t *input;
static size_t input_len;

static uint32_t choose(uint32_t below)
{
    if (input_len == 0)
        return 0;
    input_len--;
    return *input++ % below;
}

/* One byte, or all of a descriptor that looks as if it were meant. */
static void scribble(struct queue *q)
{
    const uint32_t slot = choose(RING), phase = choose(4);

    switch (choose(4)) {
    case 0:
        q->ring[choose(RING * 16 + 8)] = (unsigned char)choose(256);
        return;
    case 1:
        q->pool[choose(256) % sizeof(q->pool)] = (unsigned char)choose(256);
        return;
    case 2:
        halo_shm_stage_addr(&q->place.desc[slot], (uintptr_t)q->pool + choose(256));
        return;
    default:
        halo_shm_publish_meta(&q->place.desc[slot],
                              halo_meta(choose(200), (uint16_t)choose(RING + 1),
                                        (uint16_t)((phase & 1 ? HALO_DESC_AVAIL : 0) |
                                                   (phase & 2 ? HALO_DESC_USED : 0) | choose(4))));
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint32_t features[] = {0, HALO_FEATURE_INLINE_REQUEST, HALO_FEATURE_TRUNCATED,
                                        HALO_FEATURES_ALL};
    static struct user user;
    static void *state;
    struct queue *q;

    if (!state)
        queue_open(&state);
    q = state;
    input = data;
    input_len = len;
    q->part_count = 4 + choose(PARTS - 3);
    memset(q->pool, 0, sizeof(q->pool));
    memset(q->elsewhere, 0, sizeof(q->elsewhere));
    user_start(&user, q, features[choose(4)], false);
    while (input_len > 0) {
        const uint32_t what = choose(8);

        if (what == 0)
            scribble(q);
        else if (what < 4)
            receiver_step(&user);
        else
            sender_step(&user);
    }
    user_end(&user);
    return 0;
}
