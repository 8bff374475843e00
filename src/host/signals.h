/*
 * The host's signals, which are borrowed while its thread makes or runs a guest, and put back as
 * they were. SIGURG ends KVM_RUN at a deadline. The others would kill or stop a host for what its
 * guest does: SIGPIPE where an end of a stream has closed, SIGXFSZ beyond a limit of file sizes,
 * SIGTTIN and SIGTTOU on a terminal in whose background it runs. Blocked, each is an error of the
 * one call.
 */
#ifndef HALO_SRC_SIGNALS_H
#define HALO_SRC_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct halo_signals {
    sigset_t mask; /* as it was */
    sigset_t ours; /* what becomes pending from now on is Halo's */
};

/* Block what Halo may cause on this thread. */
void halo__signals_borrow(struct halo_signals *before);

/* Drop what Halo caused, which must not reach the host, and put the mask back. */
void halo__signals_return(const struct halo_signals *before);

#endif
