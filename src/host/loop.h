/* Running a guest, for those who want something of it. */
#ifndef HALO_SRC_RUN_H
#define HALO_SRC_RUN_H

#include <signal.h>
#include "sandbox.h"

/*
 * Around everything that runs the guest, which may happen inside itself: a host's function calls
 * the guest. The deadline is the earlier of its own and that of what it is inside of.
 */
struct halo_running {
    sigset_t before;
    bool had_pipe;
    int64_t outer, start;
};
int halo__run_enter(struct halo_sandbox *box, struct halo_running *running, int64_t timeout_ns);
void halo__run_leave(struct halo_sandbox *box, struct halo_running *running);

/*
 * One step: run the guest to its next exit and serve what it asks for, or wait for an end point
 * that it waits for. Returns 0, HALO_STUCK where it waits and nothing can come, HALO_ETIMEDOUT
 * where it can go on later, or another error: then the sandbox has ended. See box->state also after
 * 0: it may have ended well.
 */
#define HALO_STUCK 1
int halo__step(struct halo_sandbox *box);

/*
 * Step until it has come, whatever that is, or the guest has ended: 0; HALO_ETIMEDOUT, or
 * HALO_EDEADLOCK where it cannot come before the caller does something; or another error: then the
 * sandbox has ended.
 */
typedef bool halo__has_come(const struct halo_sandbox *box, const void *what);
int halo__run_until(struct halo_sandbox *box, halo__has_come *has_come, const void *what,
                    int64_t timeout_ns);

#endif
