/*
 * A sandbox from the inside: what the files of the host share.
 *
 *     loader.c    an ELF file            -> bytes in guest memory and the ranges they need
 *     layout.c    ranges, boot page      -> one picture of guest memory for every backend
 *     kvm.c, process.c                   -> run the guest until it leaves, and say why
 *     request.c   a chain                -> a message whose header was judged
 *     stack.c     the transport without chains
 *     dispatch.c  a queue's chains       -> requests, served by src/stream and src/call
 *     run.c       the loop over all that
 *     sandbox.c   life cycle
 */
#ifndef HALO_SRC_SANDBOX_H
#define HALO_SRC_SANDBOX_H

#include <halo/abi.h>
#include <halo/device.h>
#include <halo/halo.h>
#include "call/call.h"
#include "stream/stream.h"
#include "deadline.h"
#include "error.h"
#include "machine/machine.h"
#include "stack.h"

enum halo_state {
    HALO_STATE_FAILED, /* never opened */
    HALO_STATE_READY,
    HALO_STATE_RUNNING, /* begun, and not ended */
    HALO_STATE_ENDED,   /* halted, or stopped by an error: runs no more */
};

/* What the guest is doing, as far as its last exit told. */
enum halo_doing {
    HALO_DOING_WORK,  /* it goes on where it was */
    HALO_DOING_WAIT,  /* it waits for an answer of ours */
    HALO_DOING_SERVE, /* it waits for a call */
};

/* A sandbox. */
struct halo_sandbox {
    enum halo_state state;
    struct halo_machine machine;
    struct halo_region regions[HALO_RANGE_MAX];
    struct halo_memory memory;
    struct halo_device g2h, h2g;
    struct halo_device_chain g2h_chains[HALO_RING_SIZE], h2g_chains[HALO_RING_SIZE];
    struct halo_request requests[HALO_RING_SIZE]; /* by chain id */
    struct halo_request posts[HALO_RING_SIZE];    /* of the queue to the guest */
    bool on_stacks;                               /* the other transport: */
    struct halo_stack stacks[HALO_STACK_COUNT];
    struct halo_streams streams;
    struct halo_functions functions;
    struct halo_calls calls;
    enum halo_doing doing;
    int ended;     /* with which error, or 0 */
    int exit_code; /* of a guest that ended by itself */
    bool told;     /* halo_run has returned that */
    uint32_t runs; /* functions that run the guest, one inside the other */
    int64_t deadline;
    bool answered; /* something was published since the guest's last wait */
    bool has_fault;
    struct halo_fault fault;
    struct halo_stats stats;
    void (*watch)(struct halo_sandbox *box, void *context);
    void *watch_context;
    int64_t watch_interval, watch_next;
    struct halo_words words;
};

/* The queues and stacks of guest memory. 0, or an error. */
int halo__port_init(struct halo_sandbox *box, const struct halo_options *options);

/* The sandbox has ended, with an error or 0. Returns the error. */
int halo__end(struct halo_sandbox *box, int error);

/*
 * Take every chain that is there, serve what can be served now, publish all answers. Returns 0, or
 * HALO_EPOISONED.
 */
int halo__drain(struct halo_sandbox *box);

/* The same for the message that the guest pushed on its stack. */
int halo__stack_drain(struct halo_sandbox *box);

/* Put the host's calls into buffers of the guest's, and publish. 0, or HALO_EPOISONED. */
int halo__send(struct halo_sandbox *box);

/* Make visible what was answered and sent. */
void halo__publish(struct halo_sandbox *box);

/* Sleep until an end that is watched can go on. 0, or HALO_ETIMEDOUT. */
int halo__wait_pending(struct halo_sandbox *box, int64_t deadline);

#endif
