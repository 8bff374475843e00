/*
 * An executor: a few worker threads run any number of sandboxes, and one thread of the program's,
 * its event loop, asks them and is told.
 *
 *     halo_executor_open(&executor, 2);
 *     halo_executor_attach(executor, box);               a sandbox that serves calls
 *     task = (struct halo_task){.done = answered, .context = request};
 *     halo_submit(box, &task, function, args, count, HALO_FOREVER);
 *     for (;;) {
 *         poll(… halo_fd(executor) …, POLLIN);           or epoll, io_uring, libuv
 *         halo_turn(executor);                           calls answered(&task, request)
 *     }
 *
 * halo_turn never waits and never runs a guest; workers do. Each sandbox keeps to one worker from
 * its attaching on. A guest that waits for a descriptor or a time has none of the worker's time, so
 * that a thousand and more may wait. Where several have something to do, the worker runs one for
 * HALO_QUANTUM_NS at a time, or until its call is answered, and then the next; those that needed
 * more than that share half of its time while others have calls: a guest that spins delays those of
 * its worker, and starves none. Functions that a sandbox provides are called on its worker, and
 * must not wait for the loop's thread.
 *
 * Functions of this header are for the loop's thread alone, but for halo_fd. An executor is of the
 * process that opened it: a fork has none of its threads, and must not turn or close it. There
 * halo_submit and halo_executor_detach return HALO_ESTATE, and halo_close closes what the child has
 * of a sandbox, also of one that is attached. A fork that such a function makes on its worker has
 * that thread alone, and nobody to return to: it calls exec or _exit there. Where it returns from
 * the function, it ends by _exit(127).
 */
#ifndef HALO_EXECUTOR_H
#define HALO_EXECUTOR_H

#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct halo_executor;

#define HALO_WORKERS_MAX 256u
#define HALO_QUANTUM_NS 5000000

/* Start so many workers, 1 to HALO_WORKERS_MAX. 0, or HALO_EINVAL, HALO_ENOMEM, HALO_EHOST; then
 * *executor is NULL. Workers have all signals blocked. */
int halo_executor_open(struct halo_executor **executor, uint32_t workers);

/* End the workers, and free it. HALO_EBUSY, and nothing happens, where sandboxes are attached. NULL
 * is fine. */
int halo_executor_close(struct halo_executor *executor);

/*
 * From now on the sandbox is the executor's: functions that use it from elsewhere return
 * HALO_EBUSY, but for halo_interrupt, which ends the call that runs just now, if one does; for one
 * that may be waiting halo_cancel is the way. halo_lookup comes before. Returns 0; HALO_EBUSY where
 * a thread is inside of it, or it is attached; HALO_EINVAL where its guest has a thread of its own
 * (options.threaded), or a debugger, who could hold it (halo_gdb); HALO_ENOMEM, HALO_EHOST. While
 * it is attached halo_close does nothing, and of a fleet's (halo/fleet.h) halo_fleet_give and
 * halo_fleet_close return HALO_EBUSY.
 */
int halo_executor_attach(struct halo_executor *executor, struct halo_sandbox *box);

/* And the caller's again: it can be used and closed. HALO_EBUSY where calls of halo_submit have not
 * been told of yet, and nothing happens; HALO_ESTATE where it is not attached, or is
 * NULL. */
int halo_executor_detach(struct halo_sandbox *box);

/* A call, the caller's own: it stays where it is until `done` is called. Begin with all zero. */
struct halo_task {
    void (*done)(struct halo_task *task, void *context); /* once, inside of halo_turn */
    void *context;
    int error;                 /* as halo_wait's: 0, HALO_ETIMEDOUT, HALO_EINTERRUPTED, … */
    bool is_left;              /* given up, and the guest has it: see halo_submit */
    struct halo_future future; /* with the result, until halo_future_free */
    /* private */
    struct halo_task *next;
    struct halo_seat *seat;
    void *copies;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    uint32_t count;
    int function;
    int64_t deadline;
    bool is_started, is_cancelled;
};

/*
 * Have a function of the guest called, behind all that were submitted for this sandbox before, with
 * `timeout_ns` from now on. Arguments are copied. A call whose time is over, or that is cancelled,
 * is given up. Where the guest has it by then (`is_left`), it stands in the middle of it, and
 * computes on when the next one is to be called, before it looks at that: where it spins, each
 * later one is late, too, and the sandbox is to be detached and closed.
 *
 * Returns 0: `done` will be called, once, whatever happens; or HALO_EINVAL, HALO_ESIZE,
 * HALO_ENOMEM, HALO_ESTATE where the sandbox is not attached: then it will not.
 */
int halo_submit(struct halo_sandbox *box, struct halo_task *task, int function,
                const struct halo_value *args, size_t count, int64_t timeout_ns);

/*
 * Give it up, also where its guest spins: `done` is called by a later halo_turn, within a quantum
 * of each guest that computes on its worker, with HALO_EINTERRUPTED where nothing else had come
 * before. Not after `done`.
 */
void halo_cancel(struct halo_task *task);

/* Readable while halo_turn has something to do. The executor's own: not to be read or closed. */
int halo_fd(const struct halo_executor *executor);

/* How long, in ns, the loop may wait for halo_fd: 0 or HALO_FOREVER, for workers keep deadlines. */
int64_t halo_timeout(struct halo_executor *executor);

/*
 * Call `done` of what is done, in the order in which it came to be; those of one sandbox in the
 * order of their halo_submit, but for what was given up. It may do whatever the loop's thread may,
 * also submit its task again, free it, detach and close its sandbox; but not halo_turn. Returns of
 * how many. What comes meanwhile is left to the next turn.
 */
int halo_turn(struct halo_executor *executor);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
