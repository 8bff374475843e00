/*
 * A service of the guest's: calls, or streams.
 *
 * A service builds requests and gives them to the port (port.h); the answer comes back through the
 * struct halo_op of the request. What the port needs a service for is in this table: the port calls
 * it and knows nothing else of a service, and no service knows another. start.c, which knows them
 * all, registers them.
 */
#ifndef HALO_SRC_GUEST_SERVICE_H
#define HALO_SRC_GUEST_SERVICE_H

#include <halo/guest.h>

struct halo__popped;

/* A part of the boot page's pool: memory that descriptors may name. */
struct halo__memory {
    void *base;
    uint64_t len;
};

/* Any function may be NULL. With stacks as the transport only serve_popped is called. */
struct halo__service {
    /* Once: take buffers out of the front of this memory, and return what is left of it. */
    struct halo__memory (*start)(struct halo__memory memory);

    /* Before every wait: submit what was gathered and is not sent yet. */
    void (*before_wait)(void);

    /*
     * The rest is of the one service that takes what comes in the queue from the host; it has all
     * of these functions.
     *
     * Serve one call that is due inside of so many waits, if there is one. Returns whether anything
     * came, so that whoever waits looks again.
     */
    bool (*serve)(uint32_t waits);
    /* Make visible what was answered. */
    void (*flush)(void);
    /* While the guest looks before it leaves: whether something is there, in the queue alone. */
    bool (*has_news)(void);
    /* Whether one was put off that is due inside of so many waits. */
    bool (*has_put_off)(uint32_t waits);
    /* Before leaving the guest: true where something is there, or was put off and is due now. */
    bool (*arm)(uint32_t waits);
    /* Serve a message that was popped from the host's stack, free it, and push the answer. */
    void (*serve_popped)(struct halo__popped *popped);
};

#endif
