/* The host's signals, borrowed. */
#define _GNU_SOURCE
#include "signals.h"
#include <pthread.h>
#include <time.h>

static const int borrowed[] = {SIGURG, SIGPIPE, SIGXFSZ, SIGTTIN, SIGTTOU};

#define COUNT (sizeof(borrowed) / sizeof(borrowed[0]))

void halo__signals_borrow(struct halo_signals *before)
{
    sigset_t block;

    sigemptyset(&block);
    for (size_t i = 0; i < COUNT; i++)
        sigaddset(&block, borrowed[i]);
    pthread_sigmask(SIG_BLOCK, &block, &before->mask);
    sigpending(&before->pending);
}

void halo__signals_return(const struct halo_signals *before)
{
    sigset_t ours;

    sigemptyset(&ours);
    for (size_t i = 0; i < COUNT; i++) {
        if (borrowed[i] == SIGURG || sigismember(&before->pending, borrowed[i]) != 1)
            sigaddset(&ours, borrowed[i]);
    }
    while (sigtimedwait(&ours, NULL, &(struct timespec){0, 0}) > 0)
        continue;
    pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
}
