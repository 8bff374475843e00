/*
 * Workers of an executor (executor.c), from the inside. A seat is a sandbox that is attached. It
 * belongs to one worker, whose mutex guards its list of tasks, its place, and the worker's lists:
 *
 *     halo_submit   task -> seat's list; the seat, if it has no place, -> worker's list
 *     worker        takes the first seat, runs its first task for a turn (turn.h), without the
 * mutex: done     task -> what is done, with those behind it that are given up yielded  the seat ->
 * the list of those that have had a quantum parked   the seat -> those that wait, for a descriptor
 * or a time halo_turn     takes all that is done at once, and tells in order
 *
 * The sandbox is the seat's as long as no worker runs it: owner.h. What is done is a stack that any
 * worker pushes to and the loop's thread empties; whoever finds it empty rings the eventfd. No lock
 * is taken by all.
 */
#ifndef HALO_SRC_WORKER_H
#define HALO_SRC_WORKER_H

#include <halo/executor.h>
#include "due.h"
#include "sandbox.h"
#include <pthread.h>

/* Where a seat is. */
enum halo_seat_place {
    HALO_PLACE_NONE, /* it has no task */
    HALO_PLACE_LISTED,
    HALO_PLACE_RUNS,
    HALO_PLACE_PARKED,
};

struct halo_seat {
    struct halo_sandbox *box;
    struct halo_executor *executor;
    struct halo_worker *worker;
    struct halo_seat *next; /* in a list of the worker's */
    struct halo_task *first, *last;
    enum halo_seat_place place;
    struct halo_due due; /* of one that is parked */
    bool is_told;        /* an answer was said since its turn began */
    bool is_armed;       /* the worker is told of its poller, once: the worker's alone */
    uint32_t pending;    /* tasks that have not been told of: the loop's thread's alone */
};

struct halo_seats {
    struct halo_seat *first, *last;
};

struct halo_worker {
    pthread_mutex_t mutex;
    pthread_t thread;
    struct halo_executor *executor;
    struct halo_seats fresh, spent; /* that have tasks; that have computed for a quantum or more */
    int64_t spent_at;               /* when one of those had the last one */
    struct halo_due_heap due;
    uint32_t seats, parked;
    int epoll, bell; /* that it waits with, and what wakes it */
    bool sleeps, is_over;
};

struct halo_executor {
    struct halo_task *done; /* the last one first; any worker's, and the loop's */
    int fd;
    uint32_t worker_count, seats, next;
    struct halo_worker workers[];
};

/* Start one: 0, or HALO_EHOST; then there is nothing to end. */
int halo__worker_begin(struct halo_worker *worker, struct halo_executor *executor);
void halo__worker_end(struct halo_worker *worker);

/* A new seat of its, or one that has no task any more. 0, or HALO_ENOMEM, HALO_EHOST. */
int halo__worker_seat(struct halo_worker *worker, struct halo_seat *seat);
void halo__worker_unseat(struct halo_seat *seat);

/* With its mutex: something has come for this seat, which is not run just now. */
void halo__worker_wake(struct halo_seat *seat);

#endif
