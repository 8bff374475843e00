/*
 * The keeper: a process between the host and a guest's process, one for each sandbox. It is the
 * guest's parent, so that the host's own wait() and SIGCHLD never meet the guest, and it has no
 * exit signal and never execs, so that they never meet it either. It starts the guest's process,
 * gives up every right, waits for the end, leaves the status here, and ends. When the host is gone
 * it ends at once, and the guest's process, which is tied to it by a socket, is killed.
 *
 * It runs in the host's memory, as a thread would: that costs no copy of any page, however large
 * the host is. So it may use nothing of the C library (errno is its creator's), and is locked in by
 * a filter: a host that gives up a privilege must not find it again in the keeper.
 */
#ifndef HALO_SRC_KEEPER_H
#define HALO_SRC_KEEPER_H

#define HALO_KEEPER_STACK 8192u

struct halo_keeper {
    /* The host's word, before. */
    int program, socket, ram; /* descriptors */
    int host;                 /* its process id; 0 in a fork of the host, where this is wiped */
    int child;                /* the guest's process id, before that begins */
    /* The keeper's word, there once it has ended. */
    int status; /* of the guest's process, as wait tells it */
    int has_status;
    unsigned char stack[HALO_KEEPER_STACK] __attribute__((aligned(16)));
};

/* Exit codes of the keeper's own, all of them before the guest has run. */
enum halo_keeper_exit {
    HALO_KEEPER_SESSION = 1,
    HALO_KEEPER_FILES,
    HALO_KEEPER_CHILD,
    HALO_KEEPER_LOCK,
    HALO_KEEPER_WAIT,
    HALO_KEEPER_SIGNALS,
};

/*
 * Start it, with all signals blocked, for no handler of the host's may run in it. Returns its
 * process id and fills `pidfd`, or a negative errno.
 */
long halo__keeper_start(struct halo_keeper *keeper, int *pidfd);

#endif
