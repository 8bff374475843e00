/*
 * Answers later: a function of the host's keeps its call, and it is answered after the function has
 * returned. The guest goes on meanwhile, as far as it can without, and may have others answered
 * first.
 *
 *     static void lookup(struct halo_call *call, const struct halo_value *args, void *context)
 *     {
 *         struct halo_pending *pending;
 *
 *         if (halo_keep(call, &pending, NULL, NULL))
 *             halo_fail(call, 1, "too busy");
 *         else
 *             ask_the_network(args[0].str, pending);           what it needs of args is copied
 *     }
 *     …
 *     halo_return_later(pending, halo_str(answer));            when that has come
 *
 * What runs the guest returns HALO_EDEADLOCK where it waits for nothing but such answers: then
 * answer, and go on (halo_wait, halo_run). On an executor (executor.h) it is parked, and has none
 * of a worker's time; but a wait inside of a function of the host's is HALO_EDEADLOCK there, too,
 * where nothing else can come, and else it goes on when the answer is said.
 */
#ifndef HALO_LATER_H
#define HALO_LATER_H

#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* A call that is kept. It is freed by the one halo_return_later or halo_fail_later that ends it,
 * also where its guest has ended, or its sandbox was closed, long before. */
struct halo_pending;

/*
 * Inside of the function, and not answered: keep the call. `gone`, if not NULL, is called with
 * `context` where the guest ends, or is restored, or closed, before the call is answered, once, on
 * the thread that does so, and not for a fork that closes the sandbox; it must not use the sandbox.
 * `*pending` is to be ended all the same, there or elsewhere; the others of the sandbox may be,
 * too, and are not told of then. Returns 0; HALO_ESTATE for a call that was answered or kept
 * before, or whose guest has ended meanwhile, HALO_ETRANSPORT over stacks, HALO_ENOMEM: then it is
 * not kept, and *pending is NULL.
 */
int halo_keep(struct halo_call *call, struct halo_pending **pending,
              void (*gone)(struct halo_pending *pending, void *context), void *context);

/*
 * Answer it, as halo_return and halo_fail do. Where the sandbox is attached to an executor, any
 * thread may, and the worker is told; else the thread that uses the sandbox just now, and
 * halo_close waits for one that is in the middle of it. The value is copied at once.
 *
 * Returns 0: it is answered, and `pending` freed; or HALO_ESTALE: the guest has ended or was
 * restored, and it is freed, too. HALO_ESIZE: it is longer than what is kept for the guest, or
 * than what is left of options.held_max; the guest gets an error instead, and it is freed. (On an
 * executor the guest alone is told of that.) HALO_ETYPE, HALO_EINVAL for a value that is not of the
 * signature's type, or none, or a code that is not above 0; HALO_ENOMEM; HALO_EBUSY where another
 * thread is inside of a sandbox that is not attached; HALO_ESTATE in a fork, whose sandbox is open:
 * then nothing has happened, and it can be answered again.
 */
int halo_return_later(struct halo_pending *pending, struct halo_value value);
int halo_fail_later(struct halo_pending *pending, int32_t code, const char *text);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
