/*
 * The host's signals, which are borrowed while its thread runs a guest, and put back as they were.
 * SIGURG ends KVM_RUN at a deadline; SIGPIPE would kill a host whose end of a stream has closed.
 */
#ifndef HALO_SRC_SIGNALS_H
#define HALO_SRC_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct halo_signals {
    sigset_t mask, pending; /* as they were */
};

/* Block what Halo may cause on this thread. */
void halo__signals_borrow(struct halo_signals *before);

/* Drop what Halo caused, which must not reach the host, and put the mask back. */
void halo__signals_return(const struct halo_signals *before);

#endif
