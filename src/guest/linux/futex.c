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
    PRIVATE = 0x80,
    BY_REALTIME = 0x100,
};

#define SECOND 1000000000

/*
 * What threads wait by: a word's address, and whether it is said to be one of several processes.
 * Linux has two such places for a word, and looks at its memory for the latter alone.
 */
static int64_t take_key(const struct linux_table *table, uint64_t address, uint64_t op,
                        uint64_t *key)
{
    const uint64_t end = 0x7ffffffff000;

    if (address % 4)
        return -L_EINVAL;
    if (address >= end || (!(op & PRIVATE) && !linux_may_read(table, address, 4)))
        return -L_EFAULT;
    *key = op & PRIVATE ? address : address | LINUX_FUTEX_SHARED;
    return 0;
}

/* --- Waking and moving ----------------------------------------------------------------------- */

static int64_t wake(struct linux_table *table, const uint64_t *args, uint32_t bitset)
{
    uint64_t key;
    int64_t error;

    if (bitset == 0)
        return -L_EINVAL;
    error = take_key(table, args[0], args[1], &key);
    return error ? error : linux_futex_wake(table, key, (int32_t)args[2], bitset);
}

static int64_t count_waiters(const struct linux_table *table, uint64_t key)
{
    int64_t count = 0;

    for (uint32_t i = 0; i < table->thread_top; i++)
        count += (table->threads[i].waits & LINUX_WAITS_FUTEX) && table->threads[i].address == key;
    return count;
}

/* Wake some, and let others wait for another word: futex(word, op, some, others, other word, was)
 */
static int64_t requeue(struct linux_table *table, const uint64_t *args, bool compares)
{
    const int32_t wakes = (int32_t)args[2], moves = (int32_t)args[3];
    struct linux_thread *thread;
    int64_t done = 0, moved = 0, error;
    uint64_t key, other;
    uint32_t word;

    if (wakes < 0 || moves < 0)
        return -L_EINVAL;
    error = take_key(table, args[0], args[1], &key);
    if (!error)
        error = take_key(table, args[4], args[1], &other);
    if (error)
        return error;
    if (compares && linux_take(table, args[0], &word, sizeof(word)))
        return -L_EFAULT;
    if (compares && word != (uint32_t)args[5])
        return -L_EAGAIN;
    while (done < wakes && (thread = linux_futex_waiter(table, key, UINT32_MAX))) {
        linux_thread_wake(thread);
        done++;
    }
    if (other == key) { /* they stay in their order, and count */
        moved = count_waiters(table, key);
        return done + (moved < moves ? moved : moves);
    }
    while (moved < moves && (thread = linux_futex_waiter(table, key, UINT32_MAX))) {
        thread->address = other;
        thread->turn = ++table->turns;
        moved++;
    }
    return done + moved;
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
    if (linux_give(table, address, &new, sizeof(new)))
        return -L_EFAULT;
    if (compare > 5) /* which is seen only now */
        return -L_ENOSYS;
    *holds = compare == 0   ? old == with
             : compare == 1 ? old != with
             : compare == 2 ? old < with
             : compare == 3 ? old <= with
             : compare == 4 ? old > with
                            : old >= with;
    return 0;
}

/* futex(word, op, some, some of the other's, other word, how) */
static int64_t wake_two(struct linux_table *table, const uint64_t *args)
{
    bool holds = false;
    uint64_t key, other;
    int64_t error = take_key(table, args[0], args[1], &key), woken;

    if (!error)
        error = take_key(table, args[4], args[1], &other);
    if (!error)
        error = change(table, args[4], (uint32_t)args[5], &holds);
    if (error)
        return error;
    woken = linux_futex_wake(table, key, (int32_t)args[2], UINT32_MAX);
    if (holds)
        woken += linux_futex_wake(table, other, (int32_t)args[3], UINT32_MAX);
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
    uint64_t key;
    uint32_t word;

    error = take_until(table, args, is_absolute, &until);
    if (error)
        return error;
    if (bitset == 0)
        return -L_EINVAL;
    error = take_key(table, args[0], args[1], &key);
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
    end = linux_thread_wait(table, LINUX_WAITS_FUTEX, key, until);
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
    const uint32_t op = (uint32_t)args[1], what = op & ~(uint32_t)(PRIVATE | BY_REALTIME);

    if ((op & BY_REALTIME) && what != WAIT && what != WAIT_BITSET)
        return -L_ENOSYS;
    switch (what) {
    case WAIT:
        return wait(table, args, UINT32_MAX, false);
    case WAIT_BITSET:
        return wait(table, args, (uint32_t)args[5], true);
    case WAKE:
        return wake(table, args, UINT32_MAX);
    case WAKE_BITSET:
        return wake(table, args, (uint32_t)args[5]);
    case REQUEUE:
    case CMP_REQUEUE:
        return requeue(table, args, what == CMP_REQUEUE);
    case WAKE_OP:
        return wake_two(table, args);
    default:
        return -L_ENOSYS;
    }
}
