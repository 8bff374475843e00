/*
 * Whose a sandbox is: of the process that opened it, and of one thread at a time, which may be
 * another from call to call. Whoever breaks that is told so, and nobody is harmed.
 */
#ifndef HALO_SRC_OWNER_H
#define HALO_SRC_OWNER_H

#include "error.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct halo_owner {
    pthread_t thread;    /* at work on the sandbox; 0: none is. Other threads look at it too */
    uint32_t depth;      /* how often it has taken it, one inside the other; its own alone */
    unsigned char *mark; /* in a page that is zero in a fork, where such can be had */
};

_Static_assert(sizeof(pthread_t) == sizeof(uintptr_t), "0 is no thread of Linux's C libraries");

void halo__owner_init(struct halo_owner *owner);
void halo__owner_free(struct halo_owner *owner);

/* This process is a fork of the one that opened the sandbox. */
static inline bool halo__owner_is_fork(const struct halo_owner *owner)
{
    return !*owner->mark;
}

static inline int halo__owner_refuse_fork(struct halo_words *words)
{
    return halo__fail(words, HALO_ESTATE,
                      "this sandbox is of the process that opened it, not of its fork, which can "
                      "only close it");
}

/*
 * Begin to work on the sandbox, also inside of what this thread is doing with it: 0;
 * HALO_EBUSY, without words, for those are the other thread's; HALO_ESTATE, with words, in a fork.
 */
static inline int halo__owner_take(struct halo_owner *owner, struct halo_words *words)
{
    const pthread_t self = pthread_self();
    pthread_t none = 0;

    if (halo__owner_is_fork(owner))
        return halo__owner_refuse_fork(words);
    /* Nobody but this thread writes its own name there: where it is read, this thread wrote it. */
    if (__atomic_load_n(&owner->thread, __ATOMIC_RELAXED) != self &&
        /* Acquire pairs with the release of halo__owner_release: what was done before is seen. */
        !__atomic_compare_exchange_n(&owner->thread, &none, self, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return HALO_EBUSY;
    owner->depth++;
    return 0;
}

/*
 * A future is finished by whoever owns the sandbox, and may be waited for by another thread: that
 * one looks at this word alone before it owns the sandbox, or has seen it set.
 */
static inline void halo__owner_tell(bool *is_done)
{
    __atomic_store_n(is_done, true, __ATOMIC_RELEASE); /* pairs with halo__owner_was_told's */
}

static inline bool halo__owner_was_told(const bool *is_done)
{
    /* Acquire pairs with the release of halo__owner_tell: what was written before is seen. */
    return __atomic_load_n(is_done, __ATOMIC_ACQUIRE);
}

static inline void halo__owner_release(struct halo_owner *owner)
{
    if (--owner->depth == 0)
        __atomic_store_n(&owner->thread, 0, __ATOMIC_RELEASE); /* pairs with the taking above */
}

/*
 * Between two threads' turns a sandbox may be a keeper's, whose address is no thread's name: nobody
 * takes it but by halo__owner_borrow, with that address, and the keeper sees to it that one thread
 * at a time does. It is given to the keeper by a thread that has taken it once.
 */
static inline void halo__owner_give(struct halo_owner *owner, const void *keeper)
{
    owner->depth = 0;
    /* Release pairs with halo__owner_borrow's acquire: what was done before is seen. */
    __atomic_store_n(&owner->thread, (pthread_t)(uintptr_t)keeper, __ATOMIC_RELEASE);
}

/* From the keeper, as if taken once; halo__owner_give is the way back. False: it is not its. */
static inline bool halo__owner_borrow(struct halo_owner *owner, const void *keeper)
{
    pthread_t whose = (pthread_t)(uintptr_t)keeper;

    /* Acquire pairs with the release of halo__owner_give. */
    if (!__atomic_compare_exchange_n(&owner->thread, &whose, pthread_self(), false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    owner->depth = 1;
    return true;
}

#endif
