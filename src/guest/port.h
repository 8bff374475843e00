/*
 * The guest's end of the queue to the host: one sender, which streams and calls share, and the only
 * place where the guest waits.
 *
 * The pool of the boot page is cut in two: buffers of 256 and 4096 bytes for messages, which the
 * sender takes, and HALO_STREAM_BUF ones for streams, which are lent to it.
 */
#ifndef HALO_SRC_GUEST_PORT_H
#define HALO_SRC_GUEST_PORT_H

#include <halo/guest.h>
#include <halo/pool.h>
#include <halo/sender.h>

/*
 * The context of every request is its struct halo_op (halo/guest.h): who waits for the answer. Its
 * function says whether the answer is its own to free; else it is freed behind that call.
 */

extern struct halo_sender halo__port;

/* The memory behind the message buffers, for streams. */
struct halo__port_rest {
    void *base;
    uint64_t len;
};

struct halo__port_rest halo__port_start(const struct halo_boot *boot);

/* Make visible what was submitted and answered. Leaves the guest only where the host wants kicks.
 */
void halo__port_flush(void);

/* Hand every answer that is there to its op. Returns whether there was one. */
bool halo__port_take(void);

/*
 * Wait for something to come: hand over every answer that is there, else serve a call of the
 * host's, else leave the guest until there is one or the other.
 */
void halo__port_wait(void);

/* Before leaving: true where something is there by now. */
bool halo__port_arm(void);

/* A ring of the boot page. */
struct halo_ring_place halo__port_place(const struct halo_boot_queue *ring);

/* Submit; where there is no room, wait until there is. */
void halo__port_submit(struct halo_send *send, struct halo_op *op);

/* End the guest where the host has broken a rule, or offers what cannot be used. */
void halo__check(int error, const char *what);

#endif
