/* The host's signals, borrowed. */
#define _GNU_SOURCE
#include "signals.h"
#include <pthread.h>
#include <time.h>

/* The first one is Halo's even where it was pending before. */
static const int borrowed[] = {SIGURG, SIGPIPE, SIGXFSZ, SIGTTIN, SIGTTOU};

#define COUNT (sizeof(borrowed) / sizeof(borrowed[0]))

/* All of them. In each of Linux's C libraries a set is words of bits, that of signal 1 first. */
#define BIT(signal) (1ul << ((signal)-1))
static const sigset_t all = {
    {BIT(SIGURG) | BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGTTIN) | BIT(SIGTTOU)}};

void halo__signals_borrow(struct halo_signals *before)
{
    sigset_t pending;

    before->ours = all;
    pthread_sigmask(SIG_BLOCK, &before->ours, &before->mask);
    sigpending(&pending);
    for (size_t i = 1; i < COUNT && !sigisemptyset(&pending); i++) {
        if (sigismember(&pending, borrowed[i]) == 1)
            sigdelset(&before->ours, borrowed[i]);
    }
}

void halo__signals_return(const struct halo_signals *before)
{
    while (sigtimedwait(&before->ours, NULL, &(struct timespec){0, 0}) > 0)
        continue;
    pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
}
