/*
 * The guest's end of the queue to the host: one sender, which all services share, and the only
 * place where the guest waits.
 *
 *     service  halo_send_begin(&send, &halo__port), halo_send_write, …    builds a request
 *     service  halo__port_submit(&send, &op)       into the ring, not visible yet
 *     service  halo__port_wait()                   until something came:
 *     port       service->before_wait()              others submit what they have gathered
 *     port       halo__port_flush()                  one exit shows all of it to the host
 *     port       halo__doorbell(HALO_DOORBELL_WAIT)  leave, unless something is there already
 *     port       op->answered(op, &answer)           each answer that has come, or else
 *     port       service->serve(waits)               one call of the host's that is due
 *
 * So whoever waits for its own answer also serves the others: it looks whether its answer has come,
 * and waits again where not.
 *
 * The pool of the boot page is cut into pieces: buffers of 256 and 4096 bytes for messages, which
 * the sender takes, and what each service takes when it is added. Memory that a service lends for a
 * request may also lie anywhere else.
 */
#ifndef HALO_SRC_GUEST_PORT_H
#define HALO_SRC_GUEST_PORT_H

#include <halo/guest.h>
#include <halo/pool.h>
#include <halo/sender.h>
#include "boot.h"
#include "service.h"

/*
 * The context of every request is its struct halo_op (halo/guest.h): who waits for the answer. Its
 * function says whether the answer is its own to free; else it is freed behind that call.
 */

extern struct halo_sender halo__port;

/* Make the sender; with stacks there is none. Then the services are added, in their order. */
void halo__port_start(void);
void halo__port_add(const struct halo__service *service);

/* Make visible what was submitted and answered. Leaves the guest only where the host wants kicks.
 */
void halo__port_flush(void);

/* Hand every answer that is there to its op. Returns whether there was one. */
bool halo__port_take(void);

/* Changes whenever an answer was taken or a call served, by whoever waits. */
extern uint32_t halo__port_came;

/* Wait for something to come, as above. Not with stacks. */
void halo__port_wait(void);

/* Leave the guest until something has come, or this time has passed, at least 1 ns; serves nothing.
 */
void halo__port_sleep(int64_t ns);

/*
 * Have a function called around each doorbell at which the guest waits, and where it may be saved
 * and go on elsewhere: before it leaves, and when it is back. The doorbell keeps what a function
 * has to keep, and a system call has to keep more.
 */
void halo__port_around(void (*function)(bool leaves));

/*
 * Inside of a system call no call of the host's is served: an exported function might make one, and
 * there is one stack for them.
 */
void halo__port_silence(bool silence);

/* While the program computes, stopped anywhere: serve the calls that there are, and do that before
 * answers are seen, also those from before it began to compute. upcall.c. */
void halo__port_upcall(void (*before)(void));

/* Whether there may be some, or answers that the host has not seen. Not with stacks. */
bool halo__port_is_called(void);

/* Calls of the host's were answered, or buffers posted for them, since the guest last left. */
extern bool halo__port_unseen;

/* Calls of the host's that are answered later. */
extern uint32_t halo__port_kept;

/* Wait for calls of the host's and serve them, until `over` is true. The program asks for nothing.
 */
void halo__port_serve(const bool *over);

/*
 * Submit a request that the host answers whatever else happens; where there is no room, wait until
 * there is. It leaves free what is reserved for those that may wait for ever: where they took the
 * whole ring, nothing could be done about them any more (STR-08). Their service counts it, in
 * descriptors, and submits them itself.
 */
void halo__port_submit(struct halo_send *send, struct halo_op *op);
extern uint32_t halo__port_reserved;
extern uint32_t halo__port_unsent; /* requests that they have not submitted yet */

/*
 * The same for a copy of `len` bytes with room for an answer of `answer_len`, built and submitted
 * in one: where both are short they lie in a slot, or inline.
 */
void halo__port_request(const void *bytes, size_t len, uint64_t answer_len, struct halo_op *op);

/*
 * With stacks: leave with what was pushed until the host's answer to it; serves the calls of the
 * host's that come before it. The payload is the caller's to free.
 */
void halo__port_exchange(struct halo__popped *answer);

#endif
