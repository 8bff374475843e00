/* The host's signals, borrowed. */
#define _GNU_SOURCE
#include "signals.h"
#include <pthread.h>
#include <time.h>

/* The first one is Halo's even where it was pending before. */
static const int borrowed[] = {SIGURG, SIGPIPE, SIGXFSZ, SIGTTIN, SIGTTOU};

#define COUNT (sizeof(borrowed) / sizeof(borrowed[0]))

/* In each of Linux's C libraries a set is words of bits, that of signal 1 first. */
#define BIT(signal) (1ul << ((signal)-1))
static const sigset_t urgent = {{BIT(SIGURG)}};
static const sigset_t all = {
    {BIT(SIGURG) | BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGTTIN) | BIT(SIGTTOU)}};

void halo__signals_block(struct halo_signals *signals)
{
    if (signals->are_blocked)
        return;
    pthread_sigmask(SIG_BLOCK, &urgent, &signals->mask);
    signals->ours = urgent;
    signals->are_blocked = true;
}

void halo__signals_borrow_all(struct halo_signals *signals)
{
    sigset_t pending;

    pthread_sigmask(SIG_BLOCK, &all, signals->are_blocked ? NULL : &signals->mask);
    sigpending(&pending);
    signals->ours = all;
    for (size_t i = 1; i < COUNT && !sigisemptyset(&pending); i++) {
        if (sigismember(&pending, borrowed[i]) == 1)
            sigdelset(&signals->ours, borrowed[i]);
    }
    signals->are_blocked = signals->are_all = signals->may_pend = true;
}

void halo__signals_put_back(struct halo_signals *signals)
{
    while (signals->may_pend && sigtimedwait(&signals->ours, NULL, &(struct timespec){0, 0}) > 0)
        continue;
    pthread_sigmask(SIG_SETMASK, &signals->mask, NULL);
    *signals = (struct halo_signals){.are_blocked = false};
}
