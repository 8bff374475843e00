/* The guest's end of the queue from the host: calls of this program's functions. */
#ifndef HALO_SRC_GUEST_SERVE_H
#define HALO_SRC_GUEST_SERVE_H

#include <halo/guest.h>
#include "../port.h"

extern const struct halo_export __start_halo_exports[] __attribute__((weak, visibility("hidden")));
extern const struct halo_export __stop_halo_exports[] __attribute__((weak, visibility("hidden")));

static inline uint32_t halo__export_count(void)
{
    return (uint32_t)(__stop_halo_exports - __start_halo_exports);
}

/* Functions of this program that were called and have not returned. */
extern uint32_t halo__serving;

/* Post buffers out of the front of this part of the pool; returns what is left of it. */
struct halo__port_rest halo__serve_start(const struct halo_boot *boot, struct halo__port_rest pool);

/*
 * Serve one call that is due inside of so many waits, if there is one. Returns whether anything
 * came, so that whoever waits looks again.
 */
bool halo__serve_one(uint32_t waits);

/* With stacks: serve a call that was popped, free it, and push the answer. */
struct halo__popped;
void halo__serve_popped(struct halo__popped *popped);

/* Make answers visible. */
void halo__serve_flush(void);

/* Before leaving: true where something is there by now. */
bool halo__serve_arm(void);

#endif
