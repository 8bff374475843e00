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
#include "stack.h"

#define HALO_RING_SIZE 256u        /* of each queue */
#define HALO_POOL_MIN (2ull << 20) /* a quarter of guest memory, between these */
#define HALO_POOL_MAX (4ull << 20)
#define HALO_STACK_LEN (256ull << 10)

enum halo_prot {
    HALO_PROT_READ = 1,
    HALO_PROT_WRITE = 2,
    HALO_PROT_EXEC = 4,
};

/* Pages of guest memory with one protection. Never writable and executable at once. */
struct halo_range {
    uint64_t base; /* whole pages */
    uint64_t len;
    uint32_t prot;   /* what the guest may do */
    uint32_t rights; /* what a descriptor may have the host do: enum halo_right, or 0 */
};

#define HALO_RANGE_MAX 24u

/* Guest memory, complete: what is in no range is not mapped. */
struct halo_layout {
    struct halo_range ranges[HALO_RANGE_MAX];
    uint32_t range_count;
    uint64_t image_end; /* first page after the program */
    uint64_t limit;     /* the program must end below this */
    uint64_t entry;
    uint64_t stack_top;
    uint64_t boot;
    uint64_t doorbell;
    uint64_t ring; /* one queue's, then the other's */
    uint64_t pool, pool_len;
    uint64_t args;
    uint64_t args_len;
};

/* Guest memory as the host sees it. */
struct halo_ram {
    int fd;
    uint64_t len;
    HALO_SHARED unsigned char *host; /* RAM_BASE is at host[0] */
};

/* Why a guest was left. */
enum halo_exit_kind {
    HALO_EXIT_DOORBELL, /* op, a, b are the guest's: untrusted */
    HALO_EXIT_FAULT,    /* fault is filled */
    HALO_EXIT_TIMEOUT,  /* it was interrupted, and can go on */
    HALO_EXIT_DEAD,     /* it cannot go on; `why` says what happened */
};

struct halo_exit {
    enum halo_exit_kind kind;
    uint64_t op, a, b;
    struct halo_fault fault;
    char why[96];
};

/* A backend. Every function is called by the thread that uses the sandbox. */
struct halo_backend {
    const char *name;
    unsigned char doorbell[16]; /* the code that the guest calls */
    /* Make the machine, ready to enter at layout.entry. box->machine is destroy's in any case. */
    int (*create)(struct halo_sandbox *box);
    /* Around all runs of one halo_run: prepare for the deadline, on this thread. */
    int (*enter)(struct halo_sandbox *box, int64_t deadline);
    void (*leave)(struct halo_sandbox *box);
    /* Run until the guest leaves or the deadline (CLOCK_MONOTONIC, ns) passes. */
    int (*run)(struct halo_sandbox *box, int64_t deadline, struct halo_exit *exit);
    void (*destroy)(struct halo_sandbox *box);
};

extern const struct halo_backend halo__kvm;
extern const struct halo_backend halo__process;

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
    struct halo_layout layout;
    struct halo_ram ram;
    struct halo_region regions[HALO_RANGE_MAX];
    struct halo_memory memory;
    const struct halo_backend *backend;
    void *machine; /* the backend's own */
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
    char backend_note[160];
    char errmsg[1024];
};

/* Set the message and return the code. */
int halo__fail(struct halo_sandbox *box, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Read and check a guest file, place it in guest memory, add its ranges to the layout. */
int halo__load(struct halo_sandbox *box, const char *path);

/* Make guest memory and decide where everything but the program goes. */
int halo__layout_begin(struct halo_sandbox *box, const struct halo_options *options);
/* After loading: heap, regions, boot page, doorbell, ring. */
int halo__layout_finish(struct halo_sandbox *box, const struct halo_options *options);
int halo__layout_add(struct halo_sandbox *box, struct halo_range range);

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

/* CLOCK_MONOTONIC in ns, and a deadline as a timeout for poll. */
int64_t halo__now(void);
int halo__poll_timeout(int64_t deadline);

#endif
