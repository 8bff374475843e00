/*
 * The executor: halo/executor.h. A seat is a sandbox that is attached. It belongs to one worker,
 * whose mutex guards its list of tasks and the worker's list of seats that have some:
 *
 *     halo_submit   task -> seat's list; the seat, if it has no place in a list, -> worker's
 *     worker        takes the first seat, runs its first task for a quantum, without the mutex;
 *                   done: task -> what is done, with those behind it that are given up;
 *                   the seat -> end of the list where it has more
 *     halo_turn     takes all that is done at once, and tells in order
 *
 * The sandbox is the seat's as long as no worker runs it: owner.h.
 *
 * What is done is a stack that any worker pushes to and the loop's thread empties; whoever finds it
 * empty rings the eventfd. No lock is taken by all.
 */
#define _GNU_SOURCE
#include <halo/executor.h>
#include "deadline.h"
#include "descriptor.h"
#include "sandbox.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct halo_seat {
    struct halo_sandbox *box;
    struct halo_executor *executor;
    struct halo_worker *worker;
    struct halo_seat *next; /* in the worker's list */
    struct halo_task *first, *last;
    bool is_listed;   /* in that list, or being run */
    uint32_t pending; /* tasks that have not been told of: the loop's thread's alone */
};

struct halo_worker {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    struct halo_executor *executor;
    struct halo_seat *first, *last; /* that have tasks, the next one first */
    bool is_over;
};

struct halo_executor {
    struct halo_task *done; /* the last one first; any worker's, and the loop's */
    int fd;
    uint32_t worker_count, seats, next;
    struct halo_worker workers[];
};

/* --- Workers ---------------------------------------------------------------------------------- */

static void list_seat(struct halo_worker *worker, struct halo_seat *seat)
{
    seat->next = NULL;
    seat->is_listed = true;
    if (worker->first)
        worker->last->next = seat;
    else
        worker->first = seat;
    worker->last = seat;
}

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

/* One quantum of it: whether it is done. */
static bool run_task(struct halo_sandbox *box, struct halo_task *task)
{
    const int64_t now = halo__now(), left = task->deadline > now ? task->deadline - now : 0;

    if (!task->is_started && (is_cancelled(task) || !left)) {
        task->error = left ? HALO_EINTERRUPTED : HALO_ETIMEDOUT;
        return true;
    }
    if (!task->is_started) {
        task->is_started = true;
        task->error = halo_call_start(box, &task->future, task->function, task->args, task->count);
        if (task->error)
            return true;
    }
    task->error = is_cancelled(task)
                      ? HALO_EINTERRUPTED
                      : halo_wait(&task->future, left < HALO_QUANTUM_NS ? left : HALO_QUANTUM_NS);
    if (task->future.done)
        return true;
    if (is_cancelled(task))
        task->error = HALO_EINTERRUPTED;
    else if (task->error == HALO_ETIMEDOUT && left >= HALO_QUANTUM_NS)
        return false;
    halo_future_free(&task->future); /* given up */
    task->is_left = true;
    return true;
}

/* Those behind the first one that are cancelled, or whose time is over: they never begin. */
static void give_up(struct halo_worker *worker, struct halo_seat *seat)
{
    struct halo_task *before = seat->first, *task;
    int64_t now = 0;

    while (before && (task = before->next)) {
        if (task->deadline != HALO_FOREVER && now == 0)
            now = halo__now();
        if (!is_cancelled(task) && task->deadline > now) {
            before = task;
            continue;
        }
        before->next = task->next;
        if (seat->last == task)
            seat->last = before;
        task->error = is_cancelled(task) ? HALO_EINTERRUPTED : HALO_ETIMEDOUT;
        tell(worker->executor, task);
    }
}

static void run_seat(struct halo_worker *worker, struct halo_seat *seat)
{
    struct halo_task *const task = seat->first;
    bool is_done;

    pthread_mutex_unlock(&worker->mutex);
    (void)halo__owner_borrow(&seat->box->owner, seat); /* by the one worker that there is for it */
    is_done = run_task(seat->box, task);
    halo__owner_give(&seat->box->owner, seat);
    pthread_mutex_lock(&worker->mutex);
    give_up(worker, seat);
    if (is_done)
        seat->first = task->next;
    seat->is_listed = false;
    if (seat->first)
        list_seat(worker, seat);
    if (is_done)
        tell(worker->executor, task); /* from here on it is the caller's */
}

static void *work(void *of)
{
    struct halo_worker *worker = of;

    pthread_mutex_lock(&worker->mutex);
    while (!worker->is_over) {
        struct halo_seat *seat = worker->first;

        if (!seat) {
            pthread_cond_wait(&worker->wake, &worker->mutex);
            continue;
        }
        worker->first = seat->next;
        run_seat(worker, seat);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* --- The loop's thread ------------------------------------------------------------------------ */

static void end_workers(struct halo_executor *executor, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct halo_worker *worker = &executor->workers[i];

        pthread_mutex_lock(&worker->mutex);
        worker->is_over = true;
        pthread_cond_signal(&worker->wake);
        pthread_mutex_unlock(&worker->mutex);
        pthread_join(worker->thread, NULL);
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->mutex);
    }
}

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
    for (; executor->fd >= 0 && i < workers; i++) {
        struct halo_worker *worker = &executor->workers[i];

        worker->executor = executor;
        pthread_mutex_init(&worker->mutex, NULL);
        pthread_cond_init(&worker->wake, NULL);
        if (pthread_create(&worker->thread, NULL, work, worker))
            break;
    }
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
    end_workers(executor, executor->worker_count);
    if (executor->fd >= 0)
        close(executor->fd);
    free(executor);
    return 0;
}

int halo_executor_attach(struct halo_executor *executor, struct halo_sandbox *box)
{
    struct halo_seat *seat = calloc(1, sizeof(*seat));
    int error = seat ? halo__box_enter(box) : HALO_ENOMEM;

    if (error || box->owner.depth > 1 || box->seat) {
        if (!error)
            halo__owner_release(&box->owner);
        free(seat);
        return error ? error : HALO_EBUSY;
    }
    seat->box = box;
    seat->executor = executor;
    seat->worker = &executor->workers[executor->next++ % executor->worker_count];
    executor->seats++;
    box->seat = seat;
    halo__owner_give(&box->owner, seat);
    return 0;
}

int halo_executor_detach(struct halo_sandbox *box)
{
    struct halo_seat *seat = box ? box->seat : NULL;

    if (!seat)
        return HALO_ESTATE;
    if (seat->pending > 0)
        return HALO_EBUSY;
    /* Its worker tells of the last task as the last that it does with the seat, by its mutex. */
    pthread_mutex_lock(&seat->worker->mutex);
    pthread_mutex_unlock(&seat->worker->mutex);
    seat->executor->seats--;
    box->seat = NULL;
    if (halo__owner_borrow(&box->owner, seat))
        halo__owner_release(&box->owner);
    free(seat);
    return 0;
}

/* Text and bytes of the arguments, in memory of the task's. */
static int copy_args(struct halo_task *task, const struct halo_value *args, size_t count)
{
    unsigned char *to;
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        if (args[i].type != HALO_STR && args[i].type != HALO_BYTES)
            continue;
        if (args[i].len > HALO_VALUE_MAX - len)
            return HALO_ESIZE;
        len += args[i].len + 1;
    }
    memcpy(task->args, args, count * sizeof(*args));
    task->copies = to = len ? calloc(1, len) : NULL;
    if (len && !to)
        return HALO_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if ((args[i].type != HALO_STR && args[i].type != HALO_BYTES) || !args[i].bytes)
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
    if (!seat->is_listed) {
        list_seat(worker, seat);
        pthread_cond_signal(&worker->wake);
    }
    pthread_mutex_unlock(&worker->mutex);
    return 0;
}

/* Where the worker does not see it before it runs the guest, it does after a quantum. */
void halo_cancel(struct halo_task *task)
{
    struct halo_worker *worker = task->seat->worker;

    __atomic_store_n(&task->is_cancelled, true, __ATOMIC_RELAXED);
    pthread_mutex_lock(&worker->mutex);
    if (task->seat->first == task)
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
