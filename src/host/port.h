/*
 * The host's end of both queues, or of both stacks. All that a guest says is taken in and judged
 * here, once, and handed to the service that takes its kind.
 *
 *     halo__port_drain    take everything that is there     -> service.take
 *                         let services go on                -> service.serve
 *                         make their answers visible
 *     halo__port_send     what the host has for the guest   -> service.send
 *
 * A request is answered through its port, now or later, in any order. It may assume nothing of what
 * the guest wrote, and that it is used by one thread at a time.
 */
#ifndef HALO_SRC_PORT_H
#define HALO_SRC_PORT_H

#include <halo/halo.h>
#include "counts.h"
#include "error.h"
#include "machine/ram.h"
#include "owner.h"
#include "service.h"
#include "stack.h"
#include "trace.h"

#define HALO_PORT_SIZE_MAX HALO_QUEUE_SIZE_MAX
#define HALO_PORT_REGIONS_MAX 24u
#define HALO_PORT_SERVICES_MAX 4u
#define HALO_KIND_COUNT 32u

/* What the guest is doing, as far as it last said. */
enum halo_guest_state {
    HALO_GUEST_RUNS,   /* it goes on where it was */
    HALO_GUEST_WAITS,  /* it waits for an answer of the host's */
    HALO_GUEST_SERVES, /* it waits for a call */
};

struct halo_port {
    struct halo_words *words;
    const struct halo_owner *owner; /* the process whose guest it is; NULL: that is not asked */
    struct halo_trace *trace;       /* the host's own events, or NULL */
    struct halo_region regions[HALO_PORT_REGIONS_MAX];
    struct halo_memory memory;               /* what the guest may name */
    struct halo_ram *ram;                    /* where that lies; NULL: it is there as a whole */
    const HALO_SHARED unsigned char *unsent; /* its lines of struct halo_unsent, or NULL */
    struct halo_receiver queues[HALO_QUEUE_COUNT];
    struct halo_device_chain chains[HALO_QUEUE_COUNT][HALO_PORT_SIZE_MAX];
    struct halo_request requests[HALO_QUEUE_COUNT][HALO_PORT_SIZE_MAX]; /* by chain id */
    uint16_t posted; /* buffers of the queue to the guest, newest first: those are in caches */

    bool on_stacks; /* the other transport: */
    struct halo_stack stacks[HALO_STACK_COUNT];
    struct halo_request post; /* what is going to be pushed */

    struct halo_attached {
        const struct halo_service *service;
        void *self;
    } services[HALO_PORT_SERVICES_MAX], routes[HALO_QUEUE_COUNT][HALO_KIND_COUNT];
    struct halo_attached servers[HALO_PORT_SERVICES_MAX]; /* of them, those that serve */
    struct halo_attached senders[HALO_PORT_SERVICES_MAX]; /* and those that send */
    uint32_t service_count, server_count, sender_count;

    enum halo_guest_state guest;
    bool keeps;         /* one that serves has calls of the host's, it says, to answer later */
    bool open;          /* the guest has begun, and has not ended */
    bool closed;        /* it has ended: nothing is taken, answered or sent any more */
    bool halted;        /* it runs no more, and what it has written is still going out */
    bool shows_at_once; /* what is answered, for the guest runs meanwhile */
    bool answered;      /* something was published since the guest last ran */
    uint32_t waits;     /* waits of the host for its guest, one inside the other */
    uint32_t serving;   /* functions of the host's that the guest has called, and that go on */
    /* For halo/metrics.h. */
    uint64_t calls_out, calls_back; /* of the host's: how many went out, how many were answered */
    uint64_t exits, kicks, other_exits; /* those that are neither kicks nor waits */
    uint64_t requests_taken;
    uint64_t counter; /* the processor's, when it last had a turn: how old requests are */
    uint64_t shown[HALO_QUEUE_COUNT]; /* of receiver.stats.answers */
    struct halo_histogram batch;      /* answers and calls that became visible together */
    uint64_t work, work_max;          /* bytes that calls have copied since the guest last ran */
    uint64_t moved;                   /* and bytes that streams have, up to about as many */
    bool has_more;                    /* a service stopped there, and goes on at the next drain */
    struct halo_poison poison;        /* the first rule that the guest broke; kind 0: none */
    int host_failed; /* an error with words: a service lacks something of the host's to go on */
};

struct halo_port_config {
    const struct halo_region *regions; /* copied; with stacks the first one holds them */
    uint32_t region_count;
    struct halo_ring_place places[HALO_QUEUE_COUNT];
    const HALO_SHARED unsigned char *unsent;
    uint32_t features; /* ring extensions that are on */
    struct halo_ram *ram;
    struct {
        HALO_SHARED unsigned char *base;
        uint64_t len, offset; /* in the first region */
    } stacks[HALO_STACK_COUNT];
    bool on_stacks;
    uint64_t work_max; /* 0: there is no bound */
};

/* Set up the rings and stacks. 0, or HALO_EINVAL; with words. */
int halo__port_init(struct halo_port *port, struct halo_words *words,
                    const struct halo_port_config *config);

/*
 * A function of the host's may fork and return in both processes: in the fork nothing more is done
 * with the guest, which is the other's, and goes on beside it. HOST-07
 */
static inline bool halo__port_is_fork(const struct halo_port *port)
{
    return port->owner && halo__owner_is_fork(port->owner);
}

/* The same, and then it has failed, with words. */
bool halo__port_refuse_fork(struct halo_port *port);

/* From now on the service gets the kinds that it takes. Before the guest runs. */
void halo__port_attach(struct halo_port *port, const struct halo_service *service, void *self);

/* A chain, as events name it. */
static inline uint32_t halo__traced_chain(enum halo_queue_index queue,
                                          const struct halo_request *request)
{
    return (uint32_t)queue << 16 | halo_token_id(request->parked.token);
}

/* --- For the loop ----------------------------------------------------------------------------- */

/*
 * Take everything that is there, serve what can be served now, publish all answers. Returns 0, or
 * HALO_EPOISONED, with words.
 */
int halo__port_drain(struct halo_port *port);

/* The same for the message that the guest pushed on its stack. */
int halo__port_pop(struct halo_port *port);

/* Put what the host has for the guest where that finds it. 0, or HALO_EPOISONED. */
int halo__port_send(struct halo_port *port);

/*
 * The guest runs no more: take in what it had shown, for the services that still have to do with
 * that, and let them go on; again, until nothing of it is on its way. Words may change.
 */
void halo__port_halt(struct halo_port *port);

/*
 * The guest broke a rule: HALO_EPOISONED, whose words are the caller's. The first one is kept. What
 * a guest had shown that was stopped for another reason is none any more.
 */
int halo__port_blame(struct halo_port *port, const struct halo_poison *found, const char *rule);

/* Why the guest has ended, by its doorbell's word for a service: 0, or an error with words. */
int halo__port_reason(const struct halo_port *port, uint64_t word);

/* Tell the services that the guest has ended. */
void halo__port_close(struct halo_port *port, int error);

/* Whether the guest waits for something that only the host's program can do. */
bool halo__port_needs_host(const struct halo_port *port);

/* Make visible what was answered and sent. */
void halo__port_publish(struct halo_port *port);

/* Of a guest that runs meanwhile: whether there is something to drain. */
static inline bool halo__port_has_news(const struct halo_port *port)
{
    return halo_device_has_next(&port->queues[HALO_QUEUE_H2G].device) ||
           halo_device_has_next(&port->queues[HALO_QUEUE_G2H].device);
}

/* Whether a guest that waits has asked to be told of what was published since it last was. */
bool halo__port_is_awaited(struct halo_port *port);

/* Before its host sleeps: have it kick for what comes. True where something is there already. */
bool halo__port_arm(struct halo_port *port);
void halo__port_disarm(struct halo_port *port);

/* So many bytes are to be copied for the guest: whether that is within the bound of one exit. */
static inline bool halo__port_may_copy(struct halo_port *port, uint64_t len)
{
    if (len > port->work_max - port->work)
        return false;
    port->work += len;
    return true;
}

/*
 * Whether a stream may move bytes yet, or has to leave it to the next drain, so that the deadline
 * is looked at in between: COST-02.
 */
static inline bool halo__port_may_move(struct halo_port *port)
{
    if (port->moved < port->work_max)
        return true;
    port->has_more = true;
    return false;
}

/* --- For services ----------------------------------------------------------------------------- */

/*
 * Before the host touches bytes of guest memory: whether there is memory for them. Where there is
 * none, the guest is ended at the end of the drain, as an error of the host's. COST-03.
 */
static inline bool halo__port_touch(struct halo_port *port, const HALO_SHARED unsigned char *at,
                                    size_t len)
{
    if (!port->ram || halo__ram_touch(port->ram, at, len) == 0)
        return true;
    port->host_failed = HALO_ENOMEM;
    return false;
}

/* The same for bytes at an offset of a request's buffers. */
bool halo__port_touch_across(struct halo_port *port, const struct halo_extent *extents,
                             uint32_t count, uint64_t offset, size_t len);

/* What cannot be understood where there is no memory for it: host_failed comes before these words.
 */
#define HALO_NOT_THERE "what the host has no memory to look at"

/* Copy bytes of the readable part to private memory; they are known to be in it. False where there
 * is no memory for them. */
__attribute__((warn_unused_result)) static inline bool
halo__request_read(struct halo_port *port, const struct halo_request *request, uint64_t offset,
                   void *to, size_t len)
{
    const struct halo_parked *parked = &request->parked;

    if (!request->is_there &&
        !halo__port_touch_across(port, parked->extents, parked->readable_count, offset, len))
        return false;
    (void)halo_parked_read(&port->queues[HALO_QUEUE_G2H], parked, offset, to, len);
    return true;
}

/* Copy bytes to the writable part; there is room for them. */
static inline void halo__request_write(struct halo_port *port, const struct halo_request *request,
                                       uint64_t offset, const void *from, size_t len)
{
    const struct halo_parked *parked = &request->parked;

    if (request->is_there || halo__port_touch_across(port, parked->extents + parked->readable_count,
                                                     parked->writable_count, offset, len))
        (void)halo_parked_write(&port->queues[HALO_QUEUE_G2H], parked, offset, from, len);
}

/*
 * Answer a request with a header, and `len` bytes of payload that were written behind where it
 * goes. Nothing happens when the guest has ended.
 */
void halo__port_answer(struct halo_port *port, const struct halo_request *request,
                       enum halo_kind kind, uint8_t flags, uint32_t len);

/* Answer a request that came inline with a few bytes inside the used entry. */
void halo__port_answer_inline(struct halo_port *port, const struct halo_request *request,
                              const void *bytes, uint32_t len);

/*
 * A buffer for a message of the host's own, or NULL where the guest has posted none, or is not
 * ready for one on its stack. `*why` is what is wrong with that stack, or NULL.
 */
struct halo_request *halo__port_buffer(struct halo_port *port, const char **why);

/*
 * In place of `buffer`, which came from there and is too short, the newest that is posted and has
 * `len` bytes; or `buffer`, where there is none.
 */
const struct halo_request *halo__port_longer(struct halo_port *port,
                                             const struct halo_request *buffer, uint64_t len);

/* Give that buffer to the guest with a message in it, whose payload was written. */
void halo__port_post(struct halo_port *port, const struct halo_request *buffer,
                     struct halo_message message);

#endif
