/*
 * Whose a sandbox is: of the process that opened it, and of one thread at a time, which may be
 * another from call to call. Whoever breaks that is told so, and nobody is harmed.
 */
#ifndef HALO_SRC_OWNER_H
#define HALO_SRC_OWNER_H

#include "error.h"
#include <pthread.h>
#include <stdbool.h>

struct halo_owner {
    pthread_mutex_t inside; /* held by the thread that is at work on the sandbox */
    unsigned char *mark;    /* a page that is zero in a fork; NULL: that cannot be had */
};

void halo__owner_init(struct halo_owner *owner);
void halo__owner_free(struct halo_owner *owner);

/* This process is a fork of the one that opened the sandbox. */
static inline bool halo__owner_is_fork(const struct halo_owner *owner)
{
    return owner->mark && !*owner->mark;
}

/*
 * Begin to work on the sandbox, also inside of what this thread is doing with it: 0;
 * HALO_EBUSY, without words, for those are the other thread's; HALO_ESTATE, with words, in a fork.
 */
int halo__owner_take(struct halo_owner *owner, struct halo_words *words);
void halo__owner_release(struct halo_owner *owner);

#endif
