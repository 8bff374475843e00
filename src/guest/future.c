/*
 * Futures, whatever was asked of the host: the service that started one fills it when the answer
 * has come, and here a program waits for that.
 */
#include "port.h"

bool halo_ready(struct halo_future *future)
{
    if (!future->done)
        (void)halo__port_take();
    if (!future->done && !future->op.answered)
        future->again(future);
    return future->done;
}

int halo_wait(struct halo_future *future)
{
    while (!future->done) {
        if (!future->op.answered)
            future->again(future);
        if (!future->done)
            halo__port_wait();
    }
    return future->error;
}

bool halo_poll(void)
{
    static uint32_t seen; /* of what came */

    if (halo__port_came == seen) {
        if (halo__on_stacks() ||
            (halo_sender_stats(&halo__port).in_flight == 0 && halo__port_unsent == 0))
            return false;
        halo__port_wait();
    }
    seen = halo__port_came;
    return true;
}

void halo_future_free(struct halo_future *future)
{
    free(future->memory);
    future->memory = NULL;
    future->result = halo_void();
}
