/*
 * The loop: machine and port in turn. One step runs the guest to its next exit and has the port
 * take in what is there; or, where the guest waits and nothing has come for it, waits for a
 * descriptor. It owns the poller, and knows nothing of what the services do.
 */
#ifndef HALO_SRC_LOOP_H
#define HALO_SRC_LOOP_H

#include "deadline.h"
#include "debug.h"
#include "limits.h"
#include "machine/machine.h"
#include "poller.h"
#include "port.h"
#include "runner.h"

/* The life of a guest. */
enum halo_state {
    HALO_STATE_FAILED, /* never opened */
    HALO_STATE_READY,
    HALO_STATE_RUNNING, /* begun, and not ended */
    HALO_STATE_ENDED,   /* halted, or stopped by an error: runs no more */
};

/* The last exits of a guest, to be shown. */
#define HALO_LAST_EXITS 16u

struct halo_last_exit {
    uint64_t counter, requests; /* the processor's; how many had been taken before */
    uint64_t op, a;             /* of a doorbell */
    enum halo_exit_kind kind;
};

struct halo_loop {
    struct halo_machine *machine;
    struct halo_port *port;
    struct halo_words *words;
    struct halo_poller poller;
    enum halo_state state;
    int error;              /* with which it has ended, or 0 */
    struct halo_words last; /* what was said of its end */
    int exit_code;          /* of a guest that ended by itself */
    int64_t deadline;
    struct halo_last_exit last_exits[HALO_LAST_EXITS]; /* by how many exits there were, round */
    uint64_t last_exit_count;
    void (*at_end)(struct halo_sandbox *box); /* it is about to be ended, with an error */
    struct halo_limits limits;
    bool is_inside; /* the guest was stopped in the middle of its code, not at its doorbell */
    int64_t wake;   /* when a guest that waits goes on even so, or 0 */
    bool has_fault;
    struct halo_fault fault;
    uint64_t ends, failures;   /* and those among them with an error */
    struct halo_runner runner; /* of a guest that has a thread of its own */
    uint64_t asked;            /* the clock, then, in ticks of the counter */

    /* For a worker that has other guests, too (turn.c): it does not sleep for this one, and leaves
     * it where it has computed until `quantum`. */
    bool parks;
    int64_t quantum;    /* or HALO_FOREVER */
    bool is_parked;     /* HALO_PARKED was returned in place of a sleep */
    int64_t park_until; /* by then it is to be looked at again */
    bool is_halting;    /* it has ended by itself, and what it wrote is going out: */
    struct halo_exit halt;

    struct halo_debug *debug; /* halo_gdb's, or NULL */
    int64_t held_ns;          /* so long debuggers have held the guest, which is not its time */

    /* Calling a guest that computes: upcall.c. */
    uint64_t upcall_seen; /* calls_out of the port when it last looked */
    int64_t upcall_at;    /* when it is to be stopped for that, or 0 */
    uint64_t upcalls;

    /* halo_watch */
    void (*watch)(struct halo_sandbox *box, void *context);
    void *watch_context;
    struct halo_sandbox *watch_box;
    int64_t watch_interval, watch_next;
    /* halo_sample, of the same sandbox */
    void (*sampler)(struct halo_sandbox *box, bool runs, void *context);
    void *sample_context;
    int64_t sample_interval, sample_next;
    bool was_sampled; /* and has not run since */
};

/*
 * One step. Returns 0, HALO_STUCK where the guest waits and nothing can come of itself,
 * HALO_ETIMEDOUT or HALO_EINTERRUPTED where it can go on later, or another error: then it has
 * ended. See the state also after 0: it may have ended well. To a worker it returns HALO_PARKED
 * where it would sleep with the poller, until `park_until` at the latest, and the next step is as
 * after that; HALO_YIELDED where the quantum is over.
 */
#define HALO_STUCK 1
#define HALO_PARKED 3
#define HALO_YIELDED 4
int halo__loop_step(struct halo_loop *loop);

/* How long, in ns, what a guest has written before it was stopped may take to go out; a twentieth
 * of that where its time was over. */
#define HALO_LAST_NS 1000000000

/* The guest has ended, with an error or 0. Returns the error. */
int halo__loop_end(struct halo_loop *loop, int error);

/* Between its files: the words of a guest's end, and its error. */
int halo__loop_panicked(struct halo_loop *loop, uint64_t address, uint64_t len);
int halo__loop_faulted(struct halo_loop *loop, const struct halo_exit *exit);

/* The registers of the guest, which does not run. Of a fault with the exact instruction, for a
 * system call's is not where the processor stands. */
void halo__loop_look(struct halo_loop *loop, struct halo_processor *processor);

/* A guest on a thread of its own stands still from now on, wherever it is. */
void halo__loop_stop(struct halo_loop *loop);

/* The error with which it has ended, or 0, with the words of its end once more. */
int halo__loop_ended(struct halo_loop *loop);

#endif
