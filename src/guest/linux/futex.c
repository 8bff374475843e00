/*
 * Words of the program's that its threads wait for. The word is compared, and the thread waits, in
 * one: nothing of the program's runs in between.
 */
#include "calls.h"

enum {
    WAIT = 0,
    WAKE = 1,
    REQUEUE = 3,
    CMP_REQUEUE = 4,
    WAKE_OP = 5,
    WAIT_BITSET = 9,
    WAKE_BITSET = 10,
    COMMAND = 0x7f,
    BY_REALTIME = 0x100,
};

#define SECOND 1000000000

/* --- Waking and moving ----------------------------------------------------------------------- */

/* Wake some, and let others wait for another word: futex(word, op, some, others, other word, was)
 */
static int64_t requeue(struct linux_table *table, const uint64_t *args, bool compares)
{
    const int32_t wakes = (int32_t)args[2], moves = (int32_t)args[3];
    struct linux_thread *thread;
    int64_t done = 0;
    uint32_t word;

    if (wakes < 0 || moves < 0 || args[4] % 4)
        return -L_EINVAL;
    if (linux_take(table, args[0], &word, sizeof(word)) || !linux_may_read(table, args[4], 4))
        return -L_EFAULT;
    if (compares && word != (uint32_t)args[5])
        return -L_EAGAIN;
    while (done < (int64_t)wakes + moves &&
           (thread = linux_futex_waiter(table, args[0], UINT32_MAX))) {
        if (done++ < wakes) {
            linux_thread_wake(thread);
        } else {
            thread->address = args[4];
            thread->turn = ++table->turns;
            if (args[4] == args[0])
                break; /* they are behind all others already */
        }
    }
    return done;
}

/* Change a word as `how` says, and say whether what it was fulfils that, too. */
static int64_t change(struct linux_table *table, uint64_t address, uint32_t how, bool *holds)
{
    const uint32_t op = how >> 28 & 7, compare = how >> 24 & 15;
    int32_t by = (int32_t)(how << 8) >> 20;
    const int32_t with = (int32_t)(how << 20) >> 20;
    int32_t old, new;

    if (!linux_may_write(table, address, sizeof(old)) ||
        linux_take(table, address, &old, sizeof(old)))
        return -L_EFAULT;
    if (how >> 31)
        by = (int32_t)(1u << (by & 31));
    switch (op) {
    case 0:
        new = by;
        break;
    case 1:
        new = (int32_t)((uint32_t)old + (uint32_t)by);
        break;
    case 2:
        new = old | by;
        break;
    case 3:
        new = old & ~by;
        break;
    case 4:
        new = old ^ by;
        break;
    default:
        return -L_ENOSYS;
    }
    if (compare > 5)
        return -L_ENOSYS;
    *holds = compare == 0   ? old == with
             : compare == 1 ? old != with
             : compare == 2 ? old < with
             : compare == 3 ? old <= with
             : compare == 4 ? old > with
                            : old >= with;
    return linux_give(table, address, &new, sizeof(new));
}

/* futex(word, op, some, some of the other's, other word, how) */
static int64_t wake_two(struct linux_table *table, const uint64_t *args)
{
    bool holds = false;
    int64_t error, woken;

    if (args[4] % 4)
        return -L_EINVAL;
    if (!linux_may_read(table, args[0], 4))
        return -L_EFAULT;
    error = change(table, args[4], (uint32_t)args[5], &holds);
    if (error)
        return error;
    woken = linux_futex_wake(table, args[0], (int32_t)args[2], UINT32_MAX);
    if (holds)
        woken += linux_futex_wake(table, args[4], (int32_t)args[3], UINT32_MAX);
    return woken;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* When to wait no longer, of the monotonic clock: a wait for any bits has an absolute time. */
static int64_t take_until(struct linux_table *table, const uint64_t *args, bool is_absolute,
                          int64_t *until)
{
    int64_t time[2], ns, now, real;

    *until = INT64_MAX;
    if (!args[3])
        return 0;
    if (linux_take(table, args[3], time, sizeof(time)))
        return -L_EFAULT;
    if (time[0] < 0 || time[1] < 0 || time[1] >= SECOND)
        return -L_EINVAL;
    ns = time[0] < INT64_MAX / SECOND - 1 ? time[0] * SECOND + time[1] : INT64_MAX;
    table->host->now(table->host->context, &now, &real);
    if (is_absolute)
        ns -= args[1] & BY_REALTIME ? real : now;
    if (__builtin_add_overflow(now, ns, until))
        *until = INT64_MAX;
    return 0;
}

static int64_t wait(struct linux_table *table, const uint64_t *args, uint32_t bitset,
                    bool is_absolute)
{
    enum linux_end end;
    int64_t until, error;
    uint32_t word;

    if (bitset == 0)
        return -L_EINVAL;
    error = take_until(table, args, is_absolute, &until);
    if (error)
        return error;
    if (linux_take(table, args[0], &word, sizeof(word)))
        return -L_EFAULT;
    if (word != (uint32_t)args[2])
        return -L_EAGAIN;
    if (!linux_has_threads(table) && args[3]) {
        const int64_t ns = until - linux_monotonic(table);

        return ns > 0 && linux_sleep(table, ns) ? -L_EINTR : -L_ETIMEDOUT;
    }
    if (!linux_has_threads(table) &&
        (linux_timers_next(table) < INT64_MAX || linux_may_be_raised(table)))
        return linux_wait_for_signal(table, -L_ERESTARTSYS, -L_EDEADLK);
    table->current->bitset = bitset;
    end = linux_thread_wait(table, LINUX_WAITS_FUTEX, args[0], until);
    switch (end) {
    case LINUX_WOKEN:
        return 0;
    case LINUX_TIMED_OUT:
        return -L_ETIMEDOUT;
    case LINUX_INTERRUPTED:
        return args[3] ? -L_EINTR : -L_ERESTARTSYS;
    default:
        return -L_EDEADLK;
    }
}

int64_t linux_futex(struct linux_table *table, const uint64_t *args)
{
    const uint32_t what = (uint32_t)args[1] & COMMAND;

    if (args[0] % 4)
        return -L_EINVAL;
    switch (what) {
    case WAIT:
        return wait(table, args, UINT32_MAX, false);
    case WAIT_BITSET:
        return wait(table, args, (uint32_t)args[5], true);
    case WAKE:
    case WAKE_BITSET:
        if (what == WAKE_BITSET && (uint32_t)args[5] == 0)
            return -L_EINVAL;
        if (!linux_may_read(table, args[0], 4))
            return -L_EFAULT;
        return linux_futex_wake(table, args[0], (int32_t)args[2],
                                what == WAKE ? UINT32_MAX : (uint32_t)args[5]);
    case REQUEUE:
    case CMP_REQUEUE:
        return requeue(table, args, what == CMP_REQUEUE);
    case WAKE_OP:
        return wake_two(table, args);
    default:
        return -L_ENOSYS;
    }
}
