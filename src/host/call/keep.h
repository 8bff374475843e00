/*
 * Calls of the guest's that are kept: halo/later.h. The sandbox's own thread keeps and answers
 * them. Others reach it by its line, which outlives the sandbox for those that hold calls of it.
 */
#ifndef HALO_SRC_HOST_CALL_KEEP_H
#define HALO_SRC_HOST_CALL_KEEP_H

#include "../poller.h"
#include "call.h"
#include <halo/later.h>
#include <pthread.h>
#include <sys/types.h>

/* Between a sandbox and whoever answers: its mutex guards all of this. */
struct halo_line {
    pthread_mutex_t mutex;
    pid_t process;              /* whose threads there are: a fork has one, and no mutex */
    uint32_t users;             /* the sandbox, and each pending call */
    struct halo_calls *calls;   /* of the sandbox, as long as a call is not gone */
    struct halo_pending *said;  /* answers for the one that runs the sandbox, the last one first */
    void (*wake)(void *keeper); /* tells it, where the sandbox is a keeper's; or NULL */
    void *keeper;
    struct halo_poller *poller; /* with which the keeper's thread waits inside of a function */
};

struct halo_pending {
    struct halo_line *line;
    void (*gone)(struct halo_pending *pending, void *context);
    void *context;
    enum {
        HALO_PENDING_HELD,
        HALO_PENDING_SAID,   /* its answer is on the line */
        HALO_PENDING_ENDS,   /* its guest has ended: `gone` is to be called, or being called */
        HALO_PENDING_LET_GO, /* and it was ended meanwhile */
        HALO_PENDING_GONE,   /* whoever ends it frees it */
    } stage;                 /* with the line's mutex */
    uint8_t type;            /* of its answer, as a signature has it */
    struct halo_pending *next_said;
    struct halo_value value; /* what was said, in memory of its own; or the code, above 0 */
    void *copy;
    int32_t code;

    /* Of the thread that has the sandbox. */
    struct halo_call call;
    struct halo_pending *next;
};

/* Around what the mutex guards. In a fork nobody else is there, and the mutex may be one that a
 * thread of the parent's held. */
bool halo__line_is_fork(const struct halo_line *line);
void halo__line_lock(struct halo_line *line);
void halo__line_unlock(struct halo_line *line);

/* The sandbox has a line from now on: 0, or HALO_ENOMEM. */
int halo__line_make(struct halo_calls *calls);

/* Whom answers wake: a keeper's, or nobody's again. */
void halo__line_lead(struct halo_calls *calls, void (*wake)(void *keeper), void *keeper);

/* From now on what is said ends a wait of this poller's, which has a waker. NULL: no more. */
void halo__line_ring(struct halo_calls *calls, struct halo_poller *poller);

/* Give the guest what was said: whether anything was. It is for the caller to publish. */
bool halo__kept_answer_said(struct halo_calls *calls);

/* Give it this one's answer, which is to be freed then. As halo_return and halo_fail. */
int halo__kept_answer(struct halo_pending *pending, struct halo_value value, int32_t code,
                      const char *text);

/* Free one that is in no list any more. */
void halo__pending_free(struct halo_pending *pending);

/* In a fork: the guest is the parent's, and nobody is told here. */
void halo__kept_abandon(struct halo_calls *calls);

/* The guest has ended: all are gone. And the line is left. */
void halo__kept_end(struct halo_calls *calls);
void halo__kept_free(struct halo_calls *calls);

#endif
