/*
 * Alarms and timers. What is due is seen when the program makes a system call or is interrupted,
 * and a call that waits waits no longer than until the next one whose signal is noticed.
 */
#include "calls.h"

enum {
    SIGALRM_ = 14,
    SI_TIMER_ = -2,
    SI_KERNEL_ = 0x80,
    NOTIFY_SIGNAL = 0,
    NOTIFY_NONE = 1,
    NOTIFY_THREAD = 2,
    NOTIFY_THREAD_ID = 4,
    ABSTIME = 1,
    MONOTONIC = 1,
    REALTIME = 0,
    BOOTTIME = 7,
};

#define SECOND 1000000000

/* --- Running ---------------------------------------------------------------------------------- */

/* It is not pending yet, and would be noticed or is blocked. */
static bool is_worth_sending(const struct linux_table *table, const struct linux_timer *timer)
{
    const uint64_t bit = LINUX_SIGNAL_BIT(timer->signal);
    const struct linux_thread *thread =
        timer->thread ? linux_thread_of(table, timer->thread) : NULL;

    if (timer->notify == NOTIFY_NONE || (timer->thread && !thread))
        return false;
    if (thread && (linux_own_of(table, thread) & bit))
        return false;
    return !(table->shared & bit) &&
           (linux_is_noticed(table, timer->signal) || (linux_blocked_by_all(table) & bit));
}

/* Its time has come. It stands still until its signal is taken. */
static void fire(struct linux_table *table, uint32_t number, int64_t time)
{
    struct linux_timer *timer = &table->timers[number];
    struct linux_note note = {.signal = timer->signal, .timer = number + 1};

    note.code = number == LINUX_ALARM ? SI_KERNEL_ : SI_TIMER_;
    note.pid = number == LINUX_ALARM ? 0 : number;
    note.value = timer->value;
    if (is_worth_sending(table, timer)) {
        timer->is_pending = true;
        if (linux_send(table, linux_thread_of(table, timer->thread), timer->signal, &note))
            return;
        timer->is_pending = false;
    }
    if (timer->interval)
        (void)linux_timer_forward(timer, time);
    else
        linux_timer_set(table, timer, 0, 0);
}

void linux_timers_look(struct linux_table *table)
{
    int64_t time;

    linux_outside_look(table);
    if (table->timer_count == 0)
        return;
    time = linux_monotonic(table);
    for (uint32_t i = 0; i <= LINUX_TIMERS; i++) {
        const struct linux_timer *timer = &table->timers[i];

        if (timer->at && !timer->is_pending && timer->at <= time)
            fire(table, i, time);
    }
}

int64_t linux_timers_next(struct linux_table *table)
{
    int64_t next = INT64_MAX, time;

    if (table->timer_count == 0)
        return next;
    time = linux_monotonic(table);
    for (uint32_t i = 0; i <= LINUX_TIMERS; i++) {
        const struct linux_timer *timer = &table->timers[i];

        if (!timer->at || timer->is_pending || timer->notify == NOTIFY_NONE ||
            !linux_is_noticed(table, timer->signal))
            continue;
        if (timer->at - time < next)
            next = timer->at - time;
    }
    return next > 0 ? next : 1;
}

/* --- alarm, setitimer ------------------------------------------------------------------------- */

/* What is left of a timer, at least 1 while it runs. */
static int64_t left_of(struct linux_table *table, const struct linux_timer *timer)
{
    int64_t left;

    if (!timer->at)
        return 0;
    left = timer->at - linux_monotonic(table);
    return left > 0 ? left : 1;
}

static int64_t after(struct linux_table *table, int64_t ns)
{
    int64_t at;

    if (ns == 0)
        return 0;
    return __builtin_add_overflow(linux_monotonic(table), ns, &at) ? INT64_MAX : at;
}

static void set_alarm(struct linux_table *table, int64_t ns, int64_t interval)
{
    struct linux_timer *alarm = &table->timers[LINUX_ALARM];

    alarm->signal = SIGALRM_;
    alarm->is_pending = false; /* what was sent stays so, and does not set it again */
    linux_timer_set(table, alarm, after(table, ns), interval);
}

int64_t linux_alarm(struct linux_table *table, const uint64_t *args)
{
    const int64_t left = left_of(table, &table->timers[LINUX_ALARM]);

    set_alarm(table, (int64_t)(uint32_t)args[0] * SECOND, 0);
    return left / SECOND + ((left < SECOND && left > 0) || left % SECOND >= SECOND / 2);
}

/* Only time that goes by is counted: what the processor needs is not seen without an interrupt. */
static int64_t check_which(uint64_t which)
{
    if ((uint32_t)which > 2)
        return -L_EINVAL;
    return (uint32_t)which == 0 ? 0 : -L_ENOSYS;
}

static int64_t give_alarm(struct linux_table *table, uint64_t address)
{
    const struct linux_timer *alarm = &table->timers[LINUX_ALARM];
    int64_t left = left_of(table, alarm);
    int64_t times[4];

    if (left > 0 && left < 1000)
        left = 1000;
    times[0] = alarm->interval / SECOND;
    times[1] = alarm->interval % SECOND / 1000;
    times[2] = left / SECOND;
    times[3] = left % SECOND / 1000;
    return linux_give(table, address, times, sizeof(times));
}

int64_t linux_getitimer(struct linux_table *table, const uint64_t *args)
{
    const int64_t error = check_which(args[0]);

    return error ? error : give_alarm(table, args[1]);
}

/* Two times, in seconds and parts of them: nanoseconds. */
static int64_t take_times(const struct linux_table *table, uint64_t address, int64_t units,
                          int64_t *interval, int64_t *value)
{
    int64_t times[4];

    if (linux_take(table, address, times, sizeof(times)))
        return -L_EFAULT;
    for (int i = 0; i < 4; i += 2) {
        if (times[i] < 0 || times[i + 1] < 0 || times[i + 1] >= units)
            return -L_EINVAL;
        if (times[i] > INT64_MAX / SECOND / 4)
            times[i] = INT64_MAX / SECOND / 4;
    }
    *interval = times[0] * SECOND + times[1] * (SECOND / units);
    *value = times[2] * SECOND + times[3] * (SECOND / units);
    return 0;
}

int64_t linux_setitimer(struct linux_table *table, const uint64_t *args)
{
    int64_t interval = 0, value = 0;
    int64_t error = args[1] ? take_times(table, args[1], 1000000, &interval, &value) : 0;

    if (!error)
        error = check_which(args[0]);
    if (!error && args[2])
        error = give_alarm(table, args[2]);
    if (!error)
        set_alarm(table, value, interval);
    return error;
}

/* --- timer_create ----------------------------------------------------------------------------- */

static struct linux_timer *timer_of(struct linux_table *table, uint64_t number)
{
    const uint32_t at = (uint32_t)number;

    return at < LINUX_TIMERS && table->timers[at].is_used ? &table->timers[at] : NULL;
}

/* What it is to do. Without an event it raises SIGALRM with its own number. */
static int64_t take_event(struct linux_table *table, uint64_t address, uint32_t number,
                          struct linux_timer *timer)
{
    struct {
        uint64_t value;
        uint32_t signal, notify, thread, rest[11];
    } event = {.value = number, .signal = SIGALRM_, .notify = NOTIFY_SIGNAL};

    _Static_assert(sizeof(event) == 64, "struct sigevent");
    if (address && linux_take(table, address, &event, sizeof(event)))
        return -L_EFAULT;
    switch (event.notify) {
    case NOTIFY_SIGNAL | NOTIFY_THREAD_ID:
        if (!linux_thread_of(table, event.thread))
            return -L_EINVAL;
        timer->thread = event.thread;
        __attribute__((fallthrough));
    case NOTIFY_SIGNAL:
    case NOTIFY_THREAD:
        if (event.signal == 0 || event.signal > LINUX_SIGNALS)
            return -L_EINVAL;
        break;
    case NOTIFY_NONE:
        event.signal = SIGALRM_;
        break;
    default:
        return -L_EINVAL;
    }
    timer->signal = event.signal;
    timer->notify = event.notify;
    timer->value = event.value;
    return 0;
}

int64_t linux_timer_create(struct linux_table *table, const uint64_t *args)
{
    struct linux_timer timer = {.is_used = true, .clock = (uint32_t)args[0]};
    uint32_t number = 0;
    int64_t error, time;

    if (linux_clock(table, timer.clock, &time))
        return -L_EINVAL;
    if (timer.clock != REALTIME && timer.clock != MONOTONIC && timer.clock != BOOTTIME)
        return -L_EOPNOTSUPP;
    while (number < LINUX_TIMERS && table->timers[number].is_used)
        number++;
    if (number == LINUX_TIMERS)
        return -L_EAGAIN;
    error = take_event(table, args[1], number, &timer);
    if (!error)
        error = linux_give(table, args[2], &number, sizeof(number));
    if (!error)
        table->timers[number] = timer;
    return error;
}

static void times_of(struct linux_table *table, const struct linux_timer *timer, int64_t times[4])
{
    const int64_t left = left_of(table, timer);

    times[0] = timer->interval / SECOND;
    times[1] = timer->interval % SECOND;
    times[2] = left / SECOND;
    times[3] = left % SECOND;
}

int64_t linux_timer_gettime(struct linux_table *table, const uint64_t *args)
{
    const struct linux_timer *timer = timer_of(table, args[0]);
    int64_t times[4];

    if (!timer)
        return -L_EINVAL;
    times_of(table, timer, times);
    return linux_give(table, args[1], times, sizeof(times));
}

int64_t linux_timer_settime(struct linux_table *table, const uint64_t *args)
{
    struct linux_timer *timer;
    int64_t interval, value, time, times[4], at;
    int64_t error;

    if (!args[2])
        return -L_EINVAL;
    error = take_times(table, args[2], SECOND, &interval, &value);
    if (error)
        return error;
    timer = timer_of(table, args[0]);
    if (!timer)
        return -L_EINVAL;
    times_of(table, timer, times);
    at = after(table, value);
    if ((args[1] & ABSTIME) && value) {
        (void)linux_clock(table, timer->clock, &time);
        at = after(table, value > time ? value - time : 1);
    }
    timer->is_pending = false;
    timer->overrun = 0;
    linux_timer_set(table, timer, at, interval);
    return args[3] ? linux_give(table, args[3], times, sizeof(times)) : 0;
}

int64_t linux_timer_getoverrun(struct linux_table *table, const uint64_t *args)
{
    const struct linux_timer *timer = timer_of(table, args[0]);

    return timer ? (int64_t)timer->overrun : -L_EINVAL;
}

int64_t linux_timer_delete(struct linux_table *table, const uint64_t *args)
{
    struct linux_timer *timer = timer_of(table, args[0]);

    if (!timer)
        return -L_EINVAL;
    linux_timer_set(table, timer, 0, 0);
    *timer = (struct linux_timer){.is_used = false};
    return 0;
}
