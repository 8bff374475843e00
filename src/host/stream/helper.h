/*
 * A thread for what may wait in the kernel: a stream's end that cannot be asked without waiting is
 * read or written there, while the thread that keeps the deadline does not wait with it.
 *
 *     the stream   halo__helper_give    one move, which the thread begins
 *     the thread   readv, writev        for as long as it takes; then the event descriptor is ready
 *     the stream   halo__helper_take    what came of it
 *
 * What a file system is has to be asked of it, too (halo__helper_ask).
 *
 * The thread blocks all signals, for those are the host's. One that the kernel does not let go of
 * when it is stopped is left behind, and frees what it holds when it returns.
 */
#ifndef HALO_SRC_HOST_STREAM_HELPER_H
#define HALO_SRC_HOST_STREAM_HELPER_H

#include "../budget.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define HALO_HELPER_PARTS 64           /* most buffers of a move */
#define HALO_HELPER_BOUNCE (64u << 10) /* bytes of the buffer that it may have of its own */

struct halo_helper;

/*
 * One for a descriptor, which is its own from now on, also where this fails; `ready` is an eventfd,
 * which is not. NULL with errno.
 */
struct halo_helper *halo__helper_start(int fd, int ready);

/* What starting one does the first time, and needs files for. */
void halo__helper_prepare(void);

/*
 * Memory of its own, from the budget, where the descriptor may wait for what others do, so that
 * guest memory must not be lent to it. NULL with errno.
 */
unsigned char *halo__helper_bounce(struct halo_helper *helper, struct halo_budget *budget);

/* Begin a move, without the first `skip` bytes; from an offset, or -1. None is under way. */
void halo__helper_give(struct halo_helper *helper, const struct iovec *iov, int count, size_t skip,
                       int64_t offset, bool write);

/* Begin to wait until there is something to read, which is left where it is. */
void halo__helper_look(struct halo_helper *helper);

enum halo_helper_state {
    HALO_HELPER_IDLE,
    HALO_HELPER_BUSY,
    HALO_HELPER_DONE,
    HALO_HELPER_LEAVING,
};

/* What it is doing. Where it is done, `result` is what came of it, and it is idle from now on. */
enum halo_helper_state halo__helper_take(struct halo_helper *helper, int64_t *result);

/* Tell it to end, whatever it does. */
void halo__helper_leave(struct halo_helper *helper);

/*
 * That, and have it close its descriptor, for so many nanoseconds. False where the kernel does not
 * let go of it: what was given to it may still be used.
 */
bool halo__helper_stop(struct halo_helper *helper, int64_t patience);
#define HALO_HELPER_PATIENCE 50000000

/*
 * The type of a descriptor's file system, or a negative errno: -ETIMEDOUT where it does not answer
 * in time, by a thread of its own. The descriptor is closed, there.
 */
int64_t halo__helper_ask(int fd);

#endif
