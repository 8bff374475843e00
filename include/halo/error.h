/*
 * Error codes of every Halo library.
 *
 * A function returns 0 or a count on success and one of these, always negative, on failure.
 * The numbers are part of the interface and never change.
 */
#ifndef HALO_ERROR_H
#define HALO_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

enum halo_error {
    HALO_EINVAL = -1,      /* an argument is out of its documented range */
    HALO_ENOMEM = -2,      /* no memory, or an empty buffer pool */
    HALO_EFULL = -3,       /* the ring has no room for this chain now; take completions first */
    HALO_EBROKEN = -4,     /* the other side broke a ring rule; the queue is latched until reset */
    HALO_EREJECT = -5,     /* a chain's buffers are not acceptable; it was given back empty */
    HALO_ESTALE = -6,      /* a token, id or handle that is no longer valid */
    HALO_ETIMEDOUT = -7,   /* the deadline passed */
    HALO_EFAULT = -8,      /* the guest faulted and will not run again */
    HALO_EPANIC = -9,      /* the guest stopped itself with a message */
    HALO_EPOISONED = -10,  /* the guest broke the protocol and will not run again */
    HALO_EGUEST = -11,     /* the guest file was refused */
    HALO_EFILE = -12,      /* a file could not be opened or read */
    HALO_EHOST = -13,      /* the operating system refused something that Halo needs */
    HALO_ENOKVM = -14,     /* no usable /dev/kvm */
    HALO_ESTATE = -15,     /* the call is not possible in the present state */
    HALO_EIO = -16,        /* an end point failed; its errno is reported beside this code */
    HALO_EBUSY = -17,      /* in use: a buffer that is lent, a queue that is calling its notifier */
    HALO_ENAME = -18,      /* no function has this name */
    HALO_ETYPE = -19,      /* a value, or a function, of another type */
    HALO_ECOUNT = -20,     /* more or fewer arguments than the function has */
    HALO_ESIZE = -21,      /* a value, or all together, longer than the limit */
    HALO_EDEPTH = -22,     /* calls inside calls, deeper than the limit */
    HALO_EMESSAGE = -23,   /* bytes that are no message */
    HALO_ECALL = -24,      /* the function was called and failed; its own code and text tell why */
    HALO_EDEADLOCK = -25,  /* what is waited for cannot come before this wait is over */
    HALO_ETRANSPORT = -26, /* this transport cannot do it */
    HALO_ELIMIT = -27,     /* the guest used up what it may, and will not run again */
    HALO_EINTERRUPTED = -28, /* halo_interrupt ended what ran the guest, which can go on */
};

/*
 * The name of a code, "HALO_EFULL", or "HALO_EUNKNOWN"; "HALO_OK" for 0 and positive values. Any
 * thread; never NULL; static storage.
 */
const char *halo_errname(int error);

/*
 * One sentence that says what happened and what to do. Any thread; never NULL; static storage.
 * 0 and positive values give "success".
 */
const char *halo_strerror(int error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
