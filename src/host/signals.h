/*
 * The host's signals, which are borrowed while its thread makes or runs a guest, and put back as
 * they were. SIGURG ends KVM_RUN at a deadline. The others would kill or stop a host for what its
 * guest does: SIGPIPE where an end of a stream has closed, SIGXFSZ beyond a limit of file sizes,
 * SIGTTIN and SIGTTOU on a terminal in whose background it runs. Blocked, each is an error of the
 * one call.
 *
 * Each step is a system call or two, which a call of a guest's function would feel: nothing is
 * borrowed before there is something that may cause it.
 */
#ifndef HALO_SRC_SIGNALS_H
#define HALO_SRC_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct halo_signals {
    sigset_t mask;    /* as it was, where any is blocked */
    sigset_t ours;    /* what becomes pending from now on is Halo's */
    bool are_blocked; /* SIGURG is */
    bool are_all;     /* and so are the others */
    bool may_pend;    /* some of ours may be pending */
};

/* Block SIGURG on this thread, where it is not yet. */
void halo__signals_block(struct halo_signals *signals);

/* Block all that Halo may cause on this thread, where they are not yet. */
void halo__signals_borrow_all(struct halo_signals *signals);

/* Before a system call that may cause any of them. */
static inline void halo__signals_borrow(struct halo_signals *signals)
{
    if (!signals->are_all)
        halo__signals_borrow_all(signals);
}

/* Drop what Halo caused, which must not reach the host, and put the mask back. */
void halo__signals_put_back(struct halo_signals *signals);

static inline void halo__signals_return(struct halo_signals *signals)
{
    if (signals->are_blocked)
        halo__signals_put_back(signals);
}

#endif
