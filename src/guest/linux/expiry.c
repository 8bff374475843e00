/* When a timer is due next. What is done then is in timers.c. */
#include "calls.h"

void linux_timer_set(struct linux_table *table, struct linux_timer *timer, int64_t at,
                     int64_t interval)
{
    table->timer_count -= timer->at != 0;
    timer->at = at;
    timer->interval = at ? interval : 0;
    table->timer_count += timer->at != 0;
    linux_threads_tick(table);
}

uint32_t linux_timer_forward(struct linux_timer *timer, int64_t time)
{
    const int64_t late = timer->interval ? (time - timer->at) / timer->interval : 0;

    if (__builtin_add_overflow(timer->at, (late + 1) * timer->interval, &timer->at))
        timer->at = INT64_MAX;
    return late < INT32_MAX ? (uint32_t)late : INT32_MAX;
}

void linux_timer_taken(struct linux_table *table, struct linux_note *note)
{
    struct linux_timer *timer = &table->timers[note->timer - 1];

    if (!timer->is_pending)
        return;
    timer->is_pending = false;
    timer->overrun = 0;
    if (timer->interval)
        timer->overrun = linux_timer_forward(timer, linux_monotonic(table));
    else
        linux_timer_set(table, timer, 0, 0);
    if (note->timer - 1 != LINUX_ALARM)
        note->uid = timer->overrun;
}
