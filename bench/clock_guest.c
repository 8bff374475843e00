/*
 * The guest of bench/clock.c: how far it is from its host's clock when it has not left for a while.
 * What it is told each time it comes back, and how its counter then stands, is in memory
 * (docs/protocol.md); so it compares what it was told with what it would have thought.
 */
#include <halo/guest.h>

#define LOOKS 500

struct told {
    int64_t monotonic_ns;
    uint64_t counter;
    double rate;
};

/* Leave, and come back. */
static struct told leave(void)
{
    const struct halo_boot *boot = halo_boot_page();
    const struct halo_status *status = (const struct halo_status *)(uintptr_t)boot->status;
    const struct halo_save *save = (const struct halo_save *)(uintptr_t)boot->save;
    void (*doorbell)(uint64_t, uint64_t, uint64_t) =
        (void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)boot->doorbell;

    doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
    return (struct told){status->monotonic_ns, save->counter, (double)status->counter_rate};
}

/* How much later it is than whoever was told only the former would think. */
static double behind(const struct told *from, const struct told *at)
{
    return (double)(at->monotonic_ns - from->monotonic_ns) -
           (double)(at->counter - from->counter) * 1e9 / from->rate;
}

/* Of many it counts the one that was on its way for the shortest time, at either end. */
HALO_EXPORT(alone, "alone", HALO_I64, HALO_I64)
{
    const int64_t ns = args[0].i64;
    struct told from = leave(), at;
    double most = 0, now;

    for (int i = 0; i < LOOKS; i++) {
        at = leave();
        if (behind(&from, &at) > 0)
            from = at;
    }
    while ((double)(__builtin_ia32_rdtsc() - from.counter) * 1e9 / from.rate < (double)ns)
        __asm__ volatile("pause");
    for (int i = 0; i < LOOKS; i++) {
        at = leave();
        now = behind(&from, &at);
        if (i == 0 || now > most)
            most = now;
    }
    halo_return(call, halo_i64((int64_t)most));
}

int main(void)
{
    return halo_serve();
}
