/* The process backend: what its start and its running share. */
#ifndef HALO_SRC_PROCESS_H
#define HALO_SRC_PROCESS_H

#include "keeper.h"
#include "machine.h"
#include <linux/seccomp.h>
#include <sys/types.h>

struct process_state {
    struct halo_keeper *keeper;
    int keeper_pidfd;
    int pidfd;     /* of the guest's process */
    int socket;    /* shutting it down kills the guest's process */
    int listener;  /* of its doorbell */
    uint64_t word; /* tells the doorbells of its handler from the guest's */
    bool has_ended;
    bool stopped;     /* by SIGSTOP, for it did not say in time where it is */
    bool asked;       /* where it is, and it has not said so */
    uint64_t where;   /* it was at its last time limit, as it says; or 0 */
    bool owes_answer; /* the guest stands in its doorbell, notification `notified.id` */
    bool continues;   /* the answer is that the kernel goes on with the call */
    int refusal;      /* the call's result: 0, or a negative errno */
    uint64_t told;    /* or else the call's result: what to map, CHILD_MAP_…, or CHILD_GOES_ON */
    struct halo_fill fill;  /* what that was; len 0: nothing */
    bool has_mapped;        /* it has asked for it since */
    unsigned char *regions; /* of 2 MiB, of the addresses of paging.c: something is mapped there */
    uint32_t region_count;  /* of them */
    int64_t tick_at;        /* when it is to be led elsewhere, where it wants that */
    bool restarts;          /* it is to go on at the start: the doorbell's result is 1 */
    struct seccomp_notif notified;
    /* An answer to a call that somebody's signal had taken the guest out of, and which it makes
     * again therefore. */
    struct {
        bool is_there;
        struct seccomp_data call;
        bool continues;
        int refusal;
        uint64_t told;
    } unheard;
};

/* How a guest's process ended. */
struct process_end {
    enum {
        PROCESS_EXITED, /* number: its exit code */
        PROCESS_KILLED, /* number: the signal */
        PROCESS_LOST,   /* the keeper was taken away before it could tell */
    } how;
    int number;
};

/*
 * Start the guest's process: it stands in its first doorbell, before the guest's first instruction.
 * 0, or an error with words. halo__process_end frees what there is in any case.
 */
int halo__process_start(struct halo_machine *machine, struct process_state *state);
/* False where the guest's process may still run. */
bool halo__process_end(struct halo_machine *machine, struct process_state *state);

/* Wait for it, after its keeper's pidfd was ready or it was killed. */
struct process_end halo__process_await(struct process_state *state);

/* Take the next doorbell into `notified`: 1; 0 where there is none after all; or a negative errno.
 */
int halo__process_hear(struct process_state *state);

/* It stands behind a signal: have it go on elsewhere (tick.c). */
void halo__process_tick(struct halo_machine *machine);

/* The registers where the guest was left, as far as they can be had. */
void halo__process_look(struct halo_machine *machine, struct halo_processor *processor);

/* Whether the kernel goes on with a call that the host was asked about. */
bool halo__process_goes_on(void);

/* process_paging.c: the backend's fill; is the call in `notified` what was told by it; and pages
 * that are going to be unmapped. */
int halo__process_fill(struct halo_machine *machine, const struct halo_fill *fill);
bool halo__process_is_told(const struct process_state *state);
void halo__process_release(struct process_state *state, uint64_t base, uint64_t len);

long halo__process_signal(const struct process_state *state, int signal);

/* The child says where its guest is, and stands in that doorbell: perhaps later than it was asked.
 */
bool halo__process_says_where(const struct halo_machine *machine);

/* Ask a guest that stands in its doorbell where it is: it stands there once it has said so, and its
 * doorbell rings again afterwards. False where it does not say so in time. */
bool halo__process_ask(const struct halo_machine *machine);

/* For a debugger (process_context.c): see struct halo_backend. */
bool halo__process_pause(struct halo_machine *machine);
bool halo__process_get(struct halo_machine *machine, struct halo_context *context);
bool halo__process_set(struct halo_machine *machine, const struct halo_context *context);

/* The doorbell in `notified` is the child's own, with this op. */
bool halo__process_is_own(const struct process_state *state, uint64_t op);

/* See struct halo_backend. */
bool halo__process_redirect(struct halo_machine *machine, uint64_t to, uint64_t *from);

#endif
