/*
 * Ending a run of the guest from another thread than the one that runs it. The other one says so in
 * a word, and then wakes the run by what its backend waits with: a signal on KVM, a descriptor for
 * a process. The run looks at the word whenever it is woken, and before it begins.
 */
#ifndef HALO_SRC_STOP_H
#define HALO_SRC_STOP_H

#include <stdbool.h>
#include <stdint.h>

struct halo_stop {
    uint32_t wanted; /* two threads': below */
    int thread;      /* which runs the guest, where it is not its caller; else 0 */
    int fd;          /* an eventfd that a run waits for, too, or -1 */
};

/* Acquire pairs with the release of halo__stop_want: what it was wanted for is seen. */
static inline bool halo__stop_is_wanted(const struct halo_stop *stop)
{
    return __atomic_load_n(&stop->wanted, __ATOMIC_ACQUIRE);
}

/* The run is to end; or it has ended, and the next one is not meant. */
static inline void halo__stop_want(struct halo_stop *stop, bool wanted)
{
    __atomic_store_n(&stop->wanted, wanted, __ATOMIC_RELEASE); /* pairs with the load above */
}

#endif
