/*
 * How long a side looks for the other before it sleeps. Looking pays where the other one works at
 * the same time on another processor; where it does not, be it that it takes long or that both
 * share a processor, it only keeps it from working. Which of the two it is was seen by the last
 * looks: one that was in vain is followed by short ones, and by a long one again after 1, 2, 4 and
 * up to 64 of those. So is one in whose middle the processor was taken away, whatever it found in
 * the end.
 */
#ifndef HALO_SRC_PATIENCE_H
#define HALO_SRC_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#define HALO_PATIENCE_SHORT 16u /* a short look is so small a part of a long one */
#define HALO_PATIENCE_REST 64u  /* most short ones between two long ones */
#define HALO_PATIENCE_AWAY 16u  /* a pause of so large a part of a long one is another program's */

struct halo_patience {
    uint64_t most; /* in ticks of the time stamp counter; 0: it never looks */
    uint32_t rest; /* short looks until a long one */
    uint32_t step; /* how many it was last time */
};

/* For how long to look now. */
static inline uint64_t halo__patience_now(const struct halo_patience *patience)
{
    return patience->rest > 0 ? patience->most / HALO_PATIENCE_SHORT : patience->most;
}

/* What came of it. */
static inline void halo__patience_learn(struct halo_patience *patience, bool pays)
{
    if (pays) {
        patience->rest = patience->step = 0;
    } else if (patience->rest > 0) {
        patience->rest--;
    } else {
        if (patience->step < HALO_PATIENCE_REST)
            patience->step += patience->step + (patience->step == 0);
        patience->rest = patience->step;
    }
}

/* Look from `begin` on, which is now, and learn: whether it came. */
static inline bool halo__patience_look(struct halo_patience *patience, uint64_t begin,
                                       bool (*has_come)(const void *what), const void *what)
{
    const uint64_t most = halo__patience_now(patience);
    uint64_t last = begin, now = begin;
    bool came, was_away = false;

    do {
        came = has_come(what);
        if (came)
            break;
        __builtin_ia32_pause();
        last = now;
        now = __builtin_ia32_rdtsc();
        was_away |= now - last > patience->most / HALO_PATIENCE_AWAY;
    } while (now - begin < most);
    halo__patience_learn(patience, came && !was_away);
    return came;
}

#endif
