/* Waiting until something can be read or written: poll, select and their kin. */
#include "calls.h"
#include <string.h>

struct polled {
    int32_t fd;
    int16_t events, revents;
};

enum {
    O_ACCMODE_ = 3,
    O_WRONLY_ = 1,
    POLLIN_ = 1,
    POLLOUT_ = 4,
    POLLERR_ = 8,
    POLLHUP_ = 0x10,
    POLLNVAL_ = 0x20,
    POLLRDNORM_ = 0x40,
    POLLWRNORM_ = 0x100
};

#define SECOND 1000000000

_Static_assert(LINUX_DESCRIPTORS == 64, "a set of them is one word");

/* What holds of this one now, or within so long. */
static int16_t look(struct linux_table *table, const struct polled *polled, int64_t wait_ns)
{
    const struct linux_open *open = linux_open_of(table, (uint32_t)polled->fd);
    const int16_t in = polled->events & (POLLIN_ | POLLRDNORM_);
    const int16_t out = polled->events & (POLLOUT_ | POLLWRNORM_);

    if (polled->fd < 0)
        return 0;
    if (!open)
        return POLLNVAL_;
    if (open->kind == LINUX_PIPE)
        return linux_pipe_poll(open) & (int16_t)(in | out | POLLERR_ | POLLHUP_);
    if (open->kind != LINUX_STREAM)
        return (int16_t)(in | out);
    if ((open->flags & O_ACCMODE_) == O_WRONLY_) /* what is written is taken, at once */
        return out;
    return in && table->host->readable(table->host->context, open->handle, wait_ns) ? in : 0;
}

/* Is it one for which a wait can bring something? */
static bool can_wait(struct linux_table *table, const struct polled *polled)
{
    const struct linux_open *open =
        polled->fd < 0 ? NULL : linux_open_of(table, (uint32_t)polled->fd);

    return open && open->kind == LINUX_STREAM && (open->flags & O_ACCMODE_) != O_WRONLY_ &&
           (polled->events & (POLLIN_ | POLLRDNORM_));
}

/* The same with others, who can run meanwhile, and change what is polled. */
static int64_t wait_with_others(struct linux_table *table, struct polled *all, uint64_t count,
                                int64_t wait_ns)
{
    int64_t until, ready;

    if (wait_ns == INT64_MAX || __builtin_add_overflow(linux_monotonic(table), wait_ns, &until))
        until = INT64_MAX;
    for (;;) {
        unsigned waits = LINUX_WAITS_TIME;
        uint64_t handle = 0;

        ready = 0;
        for (uint64_t i = 0; i < count; i++) {
            all[i].revents = look(table, &all[i], 0);
            ready += all[i].revents != 0;
            if (can_wait(table, &all[i])) {
                waits |= LINUX_WAITS_INPUT;
                handle = linux_open_of(table, (uint32_t)all[i].fd)->handle;
            } else if (all[i].fd >= 0) {
                waits |= LINUX_WAITS_PIPE;
            }
        }
        if (ready > 0 || linux_monotonic(table) >= until)
            return ready;
        switch (linux_thread_wait(table, waits, handle, until)) {
        case LINUX_INTERRUPTED:
            return -L_ERESTARTNOHAND;
        case LINUX_NEVER:
            return -L_EDEADLK;
        default:
            continue;
        }
    }
}

/*
 * How many of these are ready, within so long or until a signal comes, which is -ERESTARTNOHAND.
 * The first stream that can be waited for gets all the
 * time; standard input is the only one.
 */
static int64_t wait_for(struct linux_table *table, struct polled *all, uint64_t count,
                        int64_t wait_ns)
{
    const int64_t next = wait_ns ? linux_timers_next(table) : INT64_MAX;
    int64_t ready = 0;

    if (linux_has_threads(table) && wait_ns > 0)
        return wait_with_others(table, all, count, wait_ns);
    if (wait_ns > next)
        wait_ns = next;
    for (int pass = 0; pass < 2 && ready == 0; pass++) {
        bool has_waited = false;

        for (uint64_t i = 0; i < count; i++) {
            int64_t wait = 0;

            if (pass == 1 && !has_waited && can_wait(table, &all[i])) {
                wait = wait_ns;
                has_waited = true;
            }
            all[i].revents = look(table, &all[i], wait);
            ready += all[i].revents != 0;
        }
        if (wait_ns == 0)
            break;
        if (pass == 1 && !has_waited && ready == 0)
            table->host->sleep(table->host->context, wait_ns);
    }
    linux_timers_look(table);
    return ready == 0 && linux_is_interrupted(table) ? -L_ERESTARTNOHAND : ready;
}

/* A time of the program's, of so many units in a second: nanoseconds, cut at what fits. */
static int64_t take_wait(const struct linux_table *table, uint64_t address, int64_t units,
                         int64_t *ns)
{
    int64_t time[2];

    *ns = INT64_MAX;
    if (!address)
        return 0;
    if (linux_take(table, address, time, sizeof(time)))
        return -L_EFAULT;
    if (time[0] < 0 || time[1] < 0 || time[1] >= units)
        return -L_EINVAL;
    if (time[0] < INT64_MAX / SECOND - 1)
        *ns = time[0] * SECOND + time[1] * (SECOND / units);
    return 0;
}

/* --- poll ------------------------------------------------------------------------------------- */

static int64_t poll(struct linux_table *table, uint64_t address, uint64_t count, int64_t wait_ns)
{
    struct polled all[LINUX_DESCRIPTORS];
    int64_t ready;

    if (count > LINUX_DESCRIPTORS)
        return -L_EINVAL;
    if (!linux_may_write(table, address, count * sizeof(all[0])) ||
        linux_take(table, address, all, count * sizeof(all[0])))
        return -L_EFAULT;
    ready = wait_for(table, all, count, wait_ns);
    if (ready >= 0)
        (void)linux_give(table, address, all, count * sizeof(all[0]));
    return ready;
}

int64_t linux_poll(struct linux_table *table, const uint64_t *args)
{
    const int32_t ms = (int32_t)args[2];

    return poll(table, args[0], (uint32_t)args[1], ms < 0 ? INT64_MAX : (int64_t)ms * 1000000);
}

int64_t linux_ppoll(struct linux_table *table, const uint64_t *args)
{
    int64_t ns;
    int64_t error = take_wait(table, args[2], SECOND, &ns);

    if (error)
        return error;
    error = linux_mask_for_now(table, args[3], args[4]);
    return error ? error : linux_unmask(table, poll(table, args[0], (uint32_t)args[1], ns));
}

/* --- select ----------------------------------------------------------------------------------- */

/* What is in the sets to read and to write; nothing exceptional ever happens. */
static int64_t list_sets(struct linux_table *table, const uint64_t sets[3], struct polled *all,
                         uint64_t *count)
{
    *count = 0;
    for (int32_t fd = 0; fd < (int32_t)LINUX_DESCRIPTORS; fd++) {
        const uint64_t bit = 1ull << fd;

        if (!((sets[0] | sets[1] | sets[2]) & bit))
            continue;
        if (!linux_open_of(table, (uint32_t)fd))
            return -L_EBADF;
        all[(*count)++] = (struct polled){
            fd, (int16_t)((sets[0] & bit ? POLLIN_ : 0) | (sets[1] & bit ? POLLOUT_ : 0)), 0};
    }
    return 0;
}

static int64_t select(struct linux_table *table, const uint64_t *args, int64_t wait_ns)
{
    const int32_t most = (int32_t)args[0];
    const uint64_t mask = most >= (int32_t)LINUX_DESCRIPTORS ? UINT64_MAX : (1ull << most) - 1;
    struct polled all[LINUX_DESCRIPTORS];
    uint64_t sets[3] = {0}, count;
    int64_t error, ready = 0;

    for (int i = 0; i < 3 && most > 0; i++) {
        if (args[1 + i] && (!linux_may_write(table, args[1 + i], sizeof(sets[i])) ||
                            linux_take(table, args[1 + i], &sets[i], sizeof(sets[i]))))
            return -L_EFAULT;
        sets[i] &= mask;
    }
    error = list_sets(table, sets, all, &count);
    if (error)
        return error;
    ready = wait_for(table, all, count, wait_ns);
    if (ready < 0)
        return ready;
    ready = 0;
    memset(sets, 0, sizeof(sets));
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t bit = 1ull << all[i].fd;

        if (all[i].events & POLLIN_ && all[i].revents & (POLLIN_ | POLLERR_ | POLLHUP_))
            sets[0] |= bit;
        if (all[i].events & POLLOUT_ && all[i].revents & (POLLOUT_ | POLLERR_))
            sets[1] |= bit;
    }
    for (int i = 0; i < 3 && most > 0; i++) {
        ready += __builtin_popcountll(sets[i]);
        if (args[1 + i])
            (void)linux_give(table, args[1 + i], &sets[i], sizeof(sets[i]));
    }
    return ready;
}

/* As select, and the time that is left is told, in so many units of a second. */
static int64_t timed_select(struct linux_table *table, const uint64_t *args, int64_t units)
{
    int64_t ns, from, to, real, ready, left;
    const int64_t error = take_wait(table, args[4], units, &ns);

    if (error)
        return error;
    if ((int32_t)args[0] < 0)
        return -L_EINVAL;
    if (!args[4]) /* nothing to tell: nobody looks at the clock */
        return select(table, args, ns);
    table->host->now(table->host->context, &from, &real);
    ready = select(table, args, ns);
    table->host->now(table->host->context, &to, &real);
    if (ready >= 0 || ready == -L_ERESTARTNOHAND) {
        left = to - from < ns ? ns - (to - from) : 0;
        (void)linux_give(table, args[4],
                         (const int64_t[2]){left / SECOND, left % SECOND / (SECOND / units)}, 16);
    }
    return ready;
}

int64_t linux_select(struct linux_table *table, const uint64_t *args)
{
    return timed_select(table, args, 1000000);
}

int64_t linux_pselect(struct linux_table *table, const uint64_t *args)
{
    uint64_t mask[2] = {0}; /* its address and length, as there are but six arguments */
    int64_t error;

    if (args[5] && linux_take(table, args[5], mask, sizeof(mask)))
        return -L_EFAULT;
    error = linux_mask_for_now(table, mask[0], mask[1]);
    if (error)
        return error;
    return linux_unmask(table, timed_select(table, args, SECOND));
}
