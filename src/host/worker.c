/* Workers: see worker.h. */
#define _GNU_SOURCE
#include "worker.h"
#include "deadline.h"
#include "descriptor.h"
#include "turn.h"
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS 64

/* --- Seats ------------------------------------------------------------------------------------ */

static void list_seat(struct halo_seats *seats, struct halo_seat *seat)
{
    seat->next = NULL;
    seat->place = HALO_PLACE_LISTED;
    if (seats->first)
        seats->last->next = seat;
    else
        seats->first = seat;
    seats->last = seat;
}

static struct halo_seat *take_first(struct halo_seats *seats)
{
    struct halo_seat *seat = seats->first;

    seats->first = seat->next;
    seat->place = HALO_PLACE_RUNS;
    return seat;
}

static void unpark(struct halo_worker *worker, struct halo_seat *seat)
{
    halo__due_remove(&worker->due, &seat->due);
    worker->parked--;
    list_seat(&worker->fresh, seat);
}

void halo__worker_wake(struct halo_seat *seat)
{
    struct halo_worker *worker = seat->worker;
    const uint64_t one = 1;

    if (seat->place == HALO_PLACE_PARKED)
        unpark(worker, seat);
    else if (seat->place == HALO_PLACE_NONE)
        list_seat(&worker->fresh, seat);
    if (worker->sleeps)
        (void)!write(worker->bell, &one, sizeof(one));
    worker->sleeps = false; /* it is rung for once */
}

/* Whose turn it is: those that have spent theirs come when no other waits, and once in a quantum.
 */
static struct halo_seat *take_next(struct halo_worker *worker)
{
    if (worker->fresh.first &&
        (!worker->spent.first || halo__now() - worker->spent_at < HALO_QUANTUM_NS))
        return take_first(&worker->fresh);
    return worker->spent.first ? take_first(&worker->spent) : NULL;
}

/* Have the worker told when something has come for a guest that waits. */
static bool arm(struct halo_worker *worker, struct halo_seat *seat, uint32_t events)
{
    struct epoll_event event = {.events = events ? events | EPOLLONESHOT : 0,
                                .data = {.ptr = seat}};

    seat->is_armed = events && epoll_ctl(worker->epoll, EPOLL_CTL_MOD, seat->box->loop.poller.epoll,
                                         &event) == 0;
    return seat->is_armed;
}

/* --- Tasks ------------------------------------------------------------------------------------ */

static void tell(struct halo_executor *executor, struct halo_task *task)
{
    struct halo_task *head = __atomic_load_n(&executor->done, __ATOMIC_RELAXED);
    const uint64_t one = 1;

    do
        task->next = head;
    /* Release pairs with the exchange of halo_turn: what was written to the task is seen. */
    while (!__atomic_compare_exchange_n(&executor->done, &head, task, false, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
    if (!head)
        (void)!write(executor->fd, &one, sizeof(one));
}

static bool is_cancelled(struct halo_task *task)
{
    return __atomic_load_n(&task->is_cancelled, __ATOMIC_RELAXED); /* a hint: see halo_cancel */
}

/* Begin with it: 0, or an error; HALO_YIELDED, HALO_PARKED where that is not possible yet. */
static int begin(struct halo_sandbox *box, struct halo_task *task, int64_t quantum, int64_t *until)
{
    int error = 0;

    /* Over stacks one is in flight at a time, also where it was given up. */
    if (box->port.on_stacks && halo__calls_pending(&box->calls))
        error = halo__turn(box, NULL, task->deadline, quantum, until);
    if (error)
        return error;
    task->is_started = true;
    return halo_call_start(box, &task->future, task->function, task->args, task->count);
}

/*
 * A function of the host's has forked, and has returned in the fork too, where nobody is to return
 * to (HOST-07). The worker's epoll and what rings are its parent's as well: it must touch neither,
 * and run no more of the program's, as after an exec that has failed.
 */
static void end_fork(const struct halo_sandbox *box)
{
    if (halo__owner_is_fork(&box->owner))
        _exit(127);
}

/* One turn of it: HALO_YIELDED, HALO_PARKED, or it is done, with its error. */
static int run_task(struct halo_sandbox *box, struct halo_task *task, int64_t *until)
{
    const int64_t now = halo__now();
    int error;

    if (is_cancelled(task) || task->deadline <= now) {
        error = is_cancelled(task) ? HALO_EINTERRUPTED : HALO_ETIMEDOUT;
    } else {
        error = task->is_started ? 0 : begin(box, task, now + HALO_QUANTUM_NS, until);
        if (!error && !task->future.done)
            error = halo__turn(box, &task->future, task->deadline, now + HALO_QUANTUM_NS, until);
        end_fork(box);
    }
    if (!task->is_started || task->future.done || error > 0)
        return error;
    task->is_left = box->loop.state == HALO_STATE_RUNNING;
    halo_future_free(&task->future); /* given up */
    return error;
}

/* Of those behind the first one, that are cancelled, or whose time is over: they never begin. When
 * the next one's will be. */
static int64_t give_up(struct halo_worker *worker, struct halo_seat *seat)
{
    struct halo_task *before = seat->first, *task;
    int64_t now = 0, next = before->deadline;

    while ((task = before->next)) {
        if (task->deadline != HALO_FOREVER && now == 0)
            now = halo__now();
        if (!is_cancelled(task) && task->deadline > now) {
            if (task->deadline < next)
                next = task->deadline;
            before = task;
            continue;
        }
        before->next = task->next;
        if (seat->last == task)
            seat->last = before;
        task->error = is_cancelled(task) ? HALO_EINTERRUPTED : HALO_ETIMEDOUT;
        tell(worker->executor, task);
    }
    return next;
}

/* It waits: for its poller, where that waits for something, and for a time. */
static void park(struct halo_worker *worker, struct halo_seat *seat, int64_t until)
{
    const bool waits = seat->box->loop.poller.armed_count > 0;

    if ((waits && !arm(worker, seat, EPOLLIN)) || is_cancelled(seat->first) || seat->is_told) {
        list_seat(&worker->fresh, seat); /* it is looked at again */
        return;
    }
    seat->place = HALO_PLACE_PARKED;
    worker->parked++;
    if (until != HALO_FOREVER)
        halo__due_add(&worker->due, &seat->due, until);
}

static void run_seat(struct halo_worker *worker, struct halo_seat *seat)
{
    struct halo_task *const task = seat->first;
    int64_t until = 0, next;
    int error;

    seat->is_told = false;
    pthread_mutex_unlock(&worker->mutex);
    (void)halo__owner_borrow(&seat->box->owner, seat); /* by the one worker that there is for it */
    error = run_task(seat->box, task, &until);
    halo__owner_give(&seat->box->owner, seat);
    pthread_mutex_lock(&worker->mutex);
    next = give_up(worker, seat);
    if (error == HALO_PARKED) {
        park(worker, seat, until < next ? until : next);
    } else if (error == HALO_YIELDED) {
        worker->spent_at = halo__now();
        list_seat(&worker->spent, seat);
    } else {
        task->error = error;
        seat->first = task->next;
        seat->place = HALO_PLACE_NONE;
        if (seat->first)
            list_seat(&worker->fresh, seat);
        else if (seat->is_armed)
            (void)arm(worker, seat, 0); /* no event is left behind for a seat that may go */
        tell(worker->executor, task);   /* from here on it is the caller's */
    }
}

/* --- The thread ------------------------------------------------------------------------------- */

/* List those whose time has come. How long there is until the next one's. */
static int take_due(struct halo_worker *worker)
{
    struct halo_due *due = halo__due_first(&worker->due);
    const int64_t now = due ? halo__now() : 0;

    for (; due && due->at <= now; due = halo__due_first(&worker->due))
        unpark(worker, (struct halo_seat *)((char *)due - offsetof(struct halo_seat, due)));
    return halo__poll_timeout(due ? due->at : HALO_FOREVER);
}

/* List what has become ready; where nothing is, wait for that. */
static void listen(struct halo_worker *worker)
{
    struct epoll_event events[EVENTS];
    int timeout = take_due(worker), count;
    uint64_t rung;

    if (worker->fresh.first || worker->spent.first)
        timeout = 0;
    if (timeout == 0 && worker->parked == 0)
        return;
    worker->sleeps = timeout != 0;
    pthread_mutex_unlock(&worker->mutex);
    count = epoll_wait(worker->epoll, events, EVENTS, timeout);
    pthread_mutex_lock(&worker->mutex);
    worker->sleeps = false;
    for (int i = 0; i < count; i++) {
        struct halo_seat *seat = events[i].data.ptr;

        if (!seat) {
            (void)!read(worker->bell, &rung, sizeof(rung));
            continue;
        }
        seat->is_armed = false;
        if (seat->place == HALO_PLACE_PARKED)
            unpark(worker, seat);
    }
}

static void *work(void *of)
{
    struct halo_worker *worker = of;

    pthread_mutex_lock(&worker->mutex);
    while (!worker->is_over) {
        struct halo_seat *seat;

        listen(worker);
        seat = take_next(worker);
        if (seat)
            run_seat(worker, seat);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

int halo__worker_seat(struct halo_worker *worker, struct halo_seat *seat)
{
    struct epoll_event event = {.data = {.ptr = seat}};
    int error;

    pthread_mutex_lock(&worker->mutex);
    error = halo__due_room(&worker->due, worker->seats + 1);
    if (!error && epoll_ctl(worker->epoll, EPOLL_CTL_ADD, seat->box->loop.poller.epoll, &event) < 0)
        error = HALO_EHOST;
    worker->seats += !error;
    pthread_mutex_unlock(&worker->mutex);
    return error;
}

void halo__worker_unseat(struct halo_seat *seat)
{
    struct halo_worker *worker = seat->worker;

    /* It tells of the last task as the last that it does with the seat, by its mutex. */
    pthread_mutex_lock(&worker->mutex);
    (void)epoll_ctl(worker->epoll, EPOLL_CTL_DEL, seat->box->loop.poller.epoll, NULL);
    worker->seats--;
    pthread_mutex_unlock(&worker->mutex);
}

static void free_worker(struct halo_worker *worker)
{
    if (worker->epoll >= 0)
        close(worker->epoll);
    if (worker->bell >= 0)
        close(worker->bell);
    halo__due_free(&worker->due);
    pthread_mutex_destroy(&worker->mutex);
}

int halo__worker_begin(struct halo_worker *worker, struct halo_executor *executor)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};

    worker->executor = executor;
    pthread_mutex_init(&worker->mutex, NULL);
    worker->epoll = halo__fd_high(epoll_create1(EPOLL_CLOEXEC));
    worker->bell = halo__fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (worker->epoll >= 0 && worker->bell >= 0 &&
        epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->bell, &event) == 0 &&
        pthread_create(&worker->thread, NULL, work, worker) == 0)
        return 0;
    free_worker(worker);
    return HALO_EHOST;
}

void halo__worker_end(struct halo_worker *worker)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&worker->mutex);
    worker->is_over = true;
    (void)!write(worker->bell, &one, sizeof(one));
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    free_worker(worker);
}
