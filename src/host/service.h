/*
 * A service: what is done with messages of some kinds. The port hands it requests, and the loop
 * gives it a turn at the right moments; it answers through its port. It knows neither the loop nor
 * the sandbox, nor any other service.
 */
#ifndef HALO_SRC_SERVICE_H
#define HALO_SRC_SERVICE_H

#include <halo/abi.h>
#include "request.h"

#define HALO_KIND_BIT(kind) (1u << (kind))

/* Functions that return text return what cannot be understood of what the guest sent, or NULL. */
struct halo_service {
    /* The kinds of message that it takes from each queue: bits of HALO_KIND_BIT. */
    uint32_t kinds[HALO_QUEUE_COUNT];

    /* A request, or an answer to a message of its own, whose header was judged. It is answered now
     * or later; with stacks, where request->pushed_at is set, now. */
    const char *(*take)(void *self, struct halo_request *request);

    /* Everything that was there has been taken: go on as far as that is possible without waiting.
     * What is done is answered, and published later. May be NULL. */
    const char *(*serve)(void *self);

    /* Give the guest what the host has for it, before it runs. May be NULL. */
    const char *(*send)(void *self);

    /* The guest runs no more, but what it has written is still going out. NULL: such a service
     * takes nothing any more. */
    void (*halt)(void *self);

    /* Whether the guest has ended for a reason of this service's, by a word of the guest's, not 0:
     * 0, or an error with words. May be NULL. */
    int (*reason)(const void *self, uint64_t word);

    /* The guest has ended, with an error of HALO_E… May be NULL. */
    void (*end)(void *self, int error);

    /* Whether the guest waits for something that only the host's program can do. May be NULL. */
    bool (*needs_host)(const void *self);
};

#endif
