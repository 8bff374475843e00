/*
 * What a guest records of itself for a trace: a part of the contract of host and guest, beside
 * halo/abi.h. While `trace` of the boot page is not 0, it writes events into HALO_RECORDS places of
 * its own memory, of which the save page has the address, one after the other and round. Its host
 * looks at them later, and believes nothing of it.
 */
#ifndef HALO_EVENTS_H
#define HALO_EVENTS_H

#include <halo/language.h>
#include <stdint.h>

#define HALO_RECORDS 1024u

struct halo_record {
    uint64_t sequence; /* `trace` << 32, and the event's number from 1; written last. Its place is
                          that number - 1, modulo HALO_RECORDS */
    uint64_t counter;  /* the time stamp counter */
    uint32_t kind;     /* enum halo_event_kind */
    uint32_t a;
    uint64_t b;
};

HALO_STATIC_ASSERT(sizeof(struct halo_record) == 32, "record layout");

/*
 * A chain is named by its queue (enum halo_queue_index) << 16 and its id; a message by its kind
 * (enum halo_kind), and its bytes << 8.
 */
enum halo_event_kind {
    /* Of the host. */
    HALO_EVENT_ENTER = 1,  /* the guest runs */
    HALO_EVENT_LEAVE,      /* it was left; a: why, enum halo_leave; b: what its doorbell said */
    HALO_EVENT_END,        /* it has ended; a: an error of HALO_E..., b: its exit code */
    HALO_EVENT_RESTORE,    /* a snapshot was restored */
    HALO_EVENT_TAKE,       /* a: a chain that was taken; b: its message */
    HALO_EVENT_ANSWER,     /* a: a chain that was answered; b: bytes */
    HALO_EVENT_CALL,       /* a function of the host's begins; a: its index; b: the chain */
    HALO_EVENT_RETURN,     /* it returns; a, b: the same */
    HALO_EVENT_CALL_OUT,   /* a call of a guest's function went out; a: its index; b: its number */
    HALO_EVENT_RETURN_OUT, /* its answer came; a, b: the same */
    HALO_EVENT_READ,       /* the guest has read from a stream; a: the handle; b: bytes */
    HALO_EVENT_WRITE,      /* and written to it */
    HALO_EVENT_HOST_COUNT,
    /* Of the guest. */
    HALO_EVENT_SUBMIT = 64, /* a: a chain that was submitted */
    HALO_EVENT_ANSWERED,    /* a: a chain whose answer was taken */
    HALO_EVENT_DOORBELL,    /* a: what for, enum halo_doorbell */
    HALO_EVENT_BACK,        /* the doorbell came back */
    HALO_EVENT_SERVE,       /* a function of the guest's begins; a: its index; b: its number */
    HALO_EVENT_SERVED,      /* it returns */
    HALO_EVENT_GUEST_END,
};

enum halo_leave {
    HALO_LEAVE_DOORBELL = 0, /* b: enum halo_doorbell */
    HALO_LEAVE_FAULT,
    HALO_LEAVE_PROTECT, /* it asks for other protections of its memory */
    HALO_LEAVE_TIME,    /* it was stopped, at a time limit or by halo_interrupt */
    HALO_LEAVE_DEAD,
};

#endif
