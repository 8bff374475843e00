/* The executor, as its loop's thread has it: halo/executor.h. What happens beneath is in worker.h.
 */
#define _GNU_SOURCE
#include "worker.h"
#include "../message/envelope.h"
#include "call/keep.h"
#include "deadline.h"
#include "descriptor.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int halo_executor_open(struct halo_executor **result, uint32_t workers)
{
    struct halo_executor *executor;
    sigset_t all, before;
    uint32_t i = 0;

    *result = NULL;
    if (workers == 0 || workers > HALO_WORKERS_MAX)
        return HALO_EINVAL;
    executor = calloc(1, sizeof(*executor) + workers * sizeof(executor->workers[0]));
    if (!executor)
        return HALO_ENOMEM;
    executor->fd = halo__fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (executor->fd >= 0 && i < workers &&
           halo__worker_begin(&executor->workers[i], executor) == 0)
        i++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    executor->worker_count = i;
    if (i == workers) {
        *result = executor;
        return 0;
    }
    (void)halo_executor_close(executor);
    return HALO_EHOST;
}

int halo_executor_close(struct halo_executor *executor)
{
    if (!executor)
        return 0;
    if (executor->seats > 0)
        return HALO_EBUSY;
    for (uint32_t i = 0; i < executor->worker_count; i++)
        halo__worker_end(&executor->workers[i]);
    if (executor->fd >= 0)
        close(executor->fd);
    free(executor);
    return 0;
}

/* An answer to a call of its guest's, from any thread, with the mutex of its line. */
static void is_said(void *of)
{
    struct halo_seat *seat = of;

    pthread_mutex_lock(&seat->worker->mutex);
    seat->is_told = true;
    if (seat->place == HALO_PLACE_PARKED)
        halo__worker_wake(seat);
    pthread_mutex_unlock(&seat->worker->mutex);
}

/* With the sandbox taken: 0, or an error, which it has words for if it is not HALO_EBUSY. */
static int attach(struct halo_executor *executor, struct halo_sandbox *box, struct halo_seat *seat)
{
    int error;

    if (box->owner.depth > 1)
        return HALO_EBUSY;
    if (box->loop.runner.is_there)
        return halo__fail(&box->words, HALO_EINVAL,
                          "a guest that has a thread of its own needs no worker's");
    if (box->loop.debug && box->loop.debug->state != HALO_DEBUG_OVER)
        return halo__fail(&box->words, HALO_EINVAL,
                          "a guest that a debugger may hold would hold a worker, and all others of "
                          "its: detach the debugger first");
    *seat =
        (struct halo_seat){.box = box,
                           .executor = executor,
                           .worker = &executor->workers[executor->next % executor->worker_count]};
    error = halo__line_make(&box->calls);
    if (!error)
        error = halo__worker_seat(seat->worker, seat);
    if (error)
        return halo__fail(&box->words, error, "an executor cannot watch one more sandbox");
    executor->next++;
    executor->seats++;
    box->seat = seat;
    halo__line_lead(&box->calls, is_said, seat);
    return 0;
}

int halo_executor_attach(struct halo_executor *executor, struct halo_sandbox *box)
{
    struct halo_seat *seat = calloc(1, sizeof(*seat));
    int error = seat ? halo__box_enter(box) : HALO_ENOMEM;

    if (!error) {
        error = attach(executor, box, seat);
        if (error)
            halo__owner_release(&box->owner);
        else
            halo__owner_give(&box->owner, seat);
    }
    if (error)
        free(seat);
    return error;
}

int halo_executor_detach(struct halo_sandbox *box)
{
    struct halo_seat *seat = box ? box->seat : NULL;

    if (!seat)
        return HALO_ESTATE;
    if (halo__owner_is_fork(&box->owner)) /* descriptors are shared, and the worker is not */
        return halo__owner_refuse_fork(&box->words);
    if (seat->pending > 0)
        return HALO_EBUSY;
    halo__line_lead(&box->calls, NULL, NULL);
    halo__worker_unseat(seat);
    seat->executor->seats--;
    box->seat = NULL;
    if (halo__owner_borrow(&box->owner, seat)) {
        (void)halo__kept_answer_said(&box->calls); /* since its last turn */
        halo__port_publish(&box->port);
        halo__owner_release(&box->owner);
    }
    free(seat);
    return 0;
}

/* Text, bytes and lists of the arguments, in memory of the task's. */
static int copy_args(struct halo_task *task, const struct halo_value *args, size_t count)
{
    unsigned char *to;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (!halo__has_bytes(&args[i]))
            continue;
        if (len > HALO_VALUE_MAX || args[i].len > HALO_VALUE_MAX - len)
            return HALO_ESIZE;
        len += args[i].len + 1;
    }
    if (count > 0) /* or there may be none */
        memcpy(task->args, args, count * sizeof(*args));
    task->copies = to = len ? calloc(1, len) : NULL;
    if (len && !to)
        return HALO_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!halo__has_bytes(&args[i]) || !args[i].bytes)
            continue;
        memcpy(to, args[i].bytes, args[i].len);
        task->args[i].bytes = to;
        to += args[i].len + 1;
    }
    return 0;
}

int halo_submit(struct halo_sandbox *box, struct halo_task *task, int function,
                const struct halo_value *args, size_t count, int64_t timeout_ns)
{
    struct halo_seat *seat = box->seat;
    struct halo_worker *worker;
    int error;

    if (!seat)
        return HALO_ESTATE;
    if (halo__owner_is_fork(&box->owner)) /* descriptors are shared, and the worker is not */
        return halo__owner_refuse_fork(&box->words);
    if (timeout_ns < 0 || count > HALO_ARGUMENTS_MAX || !task->done || (count && !args))
        return HALO_EINVAL;
    error = copy_args(task, args, count);
    if (error)
        return error;
    worker = seat->worker;
    task->next = NULL;
    task->seat = seat;
    task->count = (uint32_t)count;
    task->function = function;
    task->deadline = halo__deadline(timeout_ns);
    task->is_started = task->is_cancelled = task->is_left = false;
    seat->pending++;
    pthread_mutex_lock(&worker->mutex);
    if (seat->first)
        seat->last->next = task;
    else
        seat->first = task;
    seat->last = task;
    if (seat->place != HALO_PLACE_PARKED || task->deadline < HALO_FOREVER)
        halo__worker_wake(seat);
    pthread_mutex_unlock(&worker->mutex);
    return 0;
}

/* Where the worker does not see it before it runs the guest, it does after a turn. */
void halo_cancel(struct halo_task *task)
{
    struct halo_worker *worker = task->seat->worker;

    __atomic_store_n(&task->is_cancelled, true, __ATOMIC_RELAXED);
    pthread_mutex_lock(&worker->mutex);
    if (task->seat->place == HALO_PLACE_PARKED)
        halo__worker_wake(task->seat);
    else if (task->seat->first == task)
        (void)halo_interrupt(task->seat->box);
    pthread_mutex_unlock(&worker->mutex);
}

int halo_fd(const struct halo_executor *executor)
{
    return executor->fd;
}

int64_t halo_timeout(struct halo_executor *executor)
{
    return __atomic_load_n(&executor->done, __ATOMIC_RELAXED) ? 0 : HALO_FOREVER;
}

int halo_turn(struct halo_executor *executor)
{
    struct halo_task *task, *next, *first = NULL;
    uint64_t rung;
    int count = 0;

    (void)!read(executor->fd, &rung, sizeof(rung)); /* before: who comes later rings again */
    task = __atomic_exchange_n(&executor->done, NULL, __ATOMIC_ACQUIRE); /* pairs with tell's */
    for (; task; task = next) {
        next = task->next;
        task->next = first;
        first = task;
    }
    for (task = first; task; task = next, count++) {
        next = task->next;
        task->seat->pending--;
        free(task->copies);
        task->copies = NULL;
        task->done(task, task->context);
    }
    return count;
}
