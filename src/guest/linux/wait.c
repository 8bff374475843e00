/* Every wait that a signal can cut short, and the calls that wait for nothing else. */
#include "calls.h"
#include <string.h>

#define SET_LEN 8u

int64_t linux_sleep(struct linux_table *table, int64_t ns)
{
    const int64_t next = linux_timers_next(table);
    int64_t until;

    if (linux_has_threads(table)) {
        if (__builtin_add_overflow(linux_monotonic(table), ns, &until))
            until = INT64_MAX;
        if (linux_thread_wait(table, LINUX_WAITS_TIME, 0, until) == LINUX_TIMED_OUT)
            return 0;
        ns = until - linux_monotonic(table);
        return ns > 0 ? ns : 1;
    }
    if (next > ns) {
        until = linux_may_be_raised(table) ? linux_monotonic(table) + ns : 0;
        table->host->sleep(table->host->context, ns);
        linux_timers_look(table);
        if (!until || !linux_is_interrupted(table))
            return 0;
        ns = until - linux_monotonic(table);
        return ns > 0 ? ns : 1;
    }
    table->host->sleep(table->host->context, next);
    linux_timers_look(table);
    return ns > next ? ns - next : 1;
}

int64_t linux_wait_for_signal(struct linux_table *table, int64_t interrupted, int64_t never)
{
    int64_t next;

    if (linux_has_threads(table))
        return linux_thread_wait(table, LINUX_WAITS_SIGNAL, 0, INT64_MAX) == LINUX_NEVER
                   ? never
                   : interrupted;
    if (!linux_is_interrupted(table)) {
        next = linux_timers_next(table);
        if (next == INT64_MAX && !linux_may_be_raised(table))
            return never;
        table->host->sleep(table->host->context, next);
        linux_timers_look(table);
    }
    return interrupted;
}

int64_t linux_rt_sigsuspend(struct linux_table *table, const uint64_t *args)
{
    int64_t error;

    if (args[1] != SET_LEN)
        return -L_EINVAL;
    if (!args[0])
        return -L_EFAULT;
    error = linux_mask_for_now(table, args[0], args[1]);
    if (error)
        return error;
    return linux_unmask(table, linux_wait_for_signal(table, -L_ERESTARTNOHAND, -L_EDEADLK));
}

int64_t linux_pause(struct linux_table *table, const uint64_t *args)
{
    (void)args;
    return linux_wait_for_signal(table, -L_ERESTARTNOHAND, -L_EDEADLK);
}

/* Wait for one of a set, which is taken and not handled. */
int64_t linux_rt_sigtimedwait(struct linux_table *table, const uint64_t *args)
{
    const uint64_t before = table->blocked;
    int64_t time[2] = {0}, ns = INT64_MAX;
    uint32_t words[32] = {0};
    struct linux_note note;
    uint64_t set, due;
    bool is_cut;

    if (args[3] != SET_LEN)
        return -L_EINVAL;
    if (linux_take(table, args[0], &set, sizeof(set)) ||
        (args[2] && linux_take(table, args[2], time, sizeof(time))))
        return -L_EFAULT;
    if (time[0] < 0 || time[1] < 0 || time[1] > 999999999)
        return -L_EINVAL;
    if (args[2] && time[0] < INT64_MAX / 1000000000 - 1)
        ns = time[0] * 1000000000 + time[1];
    set &= ~LINUX_UNBLOCKABLE;
    if (!(table->pending & set) && ns > 0) {
        table->blocked = before & ~set; /* they wake, and do nothing else */
        table->current->awaited = set;
        is_cut = args[2] ? linux_sleep(table, ns) != 0 : linux_wait_for_signal(table, 1, 0) != 0;
        table->current->awaited = 0;
        table->blocked = before;
        if (!args[2] && !is_cut)
            return -L_EDEADLK;
    }
    due = table->pending & set;
    if (!due)
        return linux_is_interrupted(table) ? -L_EINTR : -L_EAGAIN;
    note = linux_take_pending(table, due);
    words[0] = note.signal;
    words[2] = (uint32_t)note.code;
    words[4] = note.pid;
    words[5] = note.uid;
    memcpy(&words[6], &note.value, sizeof(note.value));
    if (args[1] && linux_give(table, args[1], words, sizeof(words)))
        return -L_EFAULT;
    return note.signal;
}
