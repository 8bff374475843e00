/*
 * Threads of the program: one runs, until it waits, ends or gives way, and then another one does.
 *
 *     RUNS      waits for nothing; is chosen in turn
 *     WAITS     for a futex's waker, a time, input, a pipe, or a signal: linux_thread_wait
 *     ENDED     its place is free; the first one's, whose number is the program's, stays
 *
 *     linux_thread_wait   says what for
 *     choose              who is due waits no longer; the next that can run; or
 *     idle                nobody can: leave the guest until the first of them is due
 *     host->change        its registers, and back here when this one is chosen again
 *
 * What a system call needs of the thread that makes it is in the table itself (blocked, fs, …) and
 * goes to its struct linux_thread when another one is chosen.
 */
#include "calls.h"
#include <string.h>

#define LOOK_NS 2000000 /* how often it is seen whether there is input while somebody runs */

/* --- Choosing --------------------------------------------------------------------------------- */

/* What the table has of the one that runs; and back. */
void linux_turn_put_away(struct linux_table *table)
{
    struct linux_thread *self = table->current;

    self->fs = table->fs;
    self->sp = table->sp;
    self->blocked = table->blocked;
    self->own = table->own;
    self->kept_mask = table->kept_mask;
    self->has_kept_mask = table->has_kept_mask;
    self->altstack = table->altstack;
    memcpy(self->name, table->name, sizeof(self->name));
}

static void take_up(struct linux_table *table, struct linux_thread *self)
{
    table->current = self;
    table->fs = self->fs;
    table->sp = self->sp;
    table->blocked = self->blocked;
    table->own = self->own;
    table->kept_mask = self->kept_mask;
    table->has_kept_mask = self->has_kept_mask;
    table->altstack = self->altstack;
    memcpy(table->name, self->name, sizeof(table->name));
    table->pending = table->shared | table->own;
}

/* One that waits for input, or NULL: there is one input. */
static const struct linux_thread *reader_of(const struct linux_table *table)
{
    for (uint32_t i = 0; i < table->thread_top; i++) {
        if (table->threads[i].waits & LINUX_WAITS_INPUT)
            return &table->threads[i];
    }
    return NULL;
}

/* Is the wait of one of them over? */
static void look_at(const struct linux_table *table, struct linux_thread *thread, int64_t time)
{
    if (linux_own_of(table, thread) & ~linux_blocked_of(table, thread))
        thread->end = LINUX_INTERRUPTED;
    else if (thread->until <= time)
        thread->end = LINUX_TIMED_OUT;
    else
        return;
    thread->waits = 0;
}

/* Who waits for something that has come goes on. */
static void look(struct linux_table *table)
{
    const struct linux_host *host = table->host;
    const int64_t time = linux_monotonic(table);
    const struct linux_thread *reader = reader_of(table);

    linux_timers_look(table);
    linux_signals_spread(table);
    if (reader && time - table->looked_ns > LOOK_NS) {
        table->looked_ns = time;
        if (host->readable(host->context, (uint32_t)reader->address, 0))
            linux_threads_wake(table, LINUX_WAITS_INPUT);
    }
    for (uint32_t i = 0; i < table->thread_top; i++) {
        struct linux_thread *thread = &table->threads[i];

        if (linux_thread_is_there(thread) && thread->waits)
            look_at(table, thread, time);
    }
}

/* The next one that can run, in turn; this one last. */
static struct linux_thread *choose(struct linux_table *table)
{
    const uint32_t self = (uint32_t)(table->current - table->threads);

    for (uint32_t i = 1; i <= table->thread_top; i++) {
        struct linux_thread *thread = &table->threads[(self + i) % table->thread_top];

        if (linux_thread_is_there(thread) && !thread->waits)
            return thread;
    }
    return NULL;
}

/* --- When nobody can run ---------------------------------------------------------------------- */

static size_t say(char *words, size_t at, const char *more)
{
    while (*more && at < LINUX_WORDS_MAX - 1)
        words[at++] = *more++;
    return at;
}

static size_t say_number(char *words, size_t at, uint64_t number, unsigned base)
{
    char digits[24];
    size_t i = sizeof(digits) - 1;

    digits[i] = 0;
    do
        digits[--i] = "0123456789abcdef"[number % base];
    while (number /= base);
    return say(words, at, digits + i);
}

/* "all 2 threads wait for ever: 1000 for the futex at 0x4c5a10, 1001 for a signal". */
static void give_up(struct linux_table *table)
{
    char words[LINUX_WORDS_MAX];
    const char *between = "";
    size_t at = say(words, 0, table->thread_count > 1 ? "all " : "the one thread");

    if (table->thread_count > 1) {
        at = say_number(words, at, table->thread_count, 10);
        at = say(words, at, " threads");
    }
    at = say(words, at, table->thread_count > 1 ? " wait for ever: " : " waits for ever: ");
    for (uint32_t i = 0; i < table->thread_top; i++) {
        const struct linux_thread *thread = &table->threads[i];

        if (!linux_thread_is_there(thread))
            continue;
        at = say_number(words, say(words, at, between), thread->id, 10);
        if (thread->waits & LINUX_WAITS_FUTEX)
            at = say_number(words, say(words, at, " for the futex at 0x"),
                            thread->address & ~LINUX_FUTEX_SHARED, 16);
        else
            at = say(words, at, thread->waits & LINUX_WAITS_PIPE ? " for a pipe" : " for a signal");
        between = ", ";
    }
    if (table->host->stuck)
        table->host->stuck(table->host->context, words, at);
}

/* Leave the guest until somebody is due. False: nobody ever will be. */
static bool idle(struct linux_table *table)
{
    const struct linux_host *host = table->host;
    const struct linux_thread *reader = reader_of(table);
    const int64_t time = linux_monotonic(table);
    int64_t wait = linux_timers_next(table);

    for (uint32_t i = 0; i < table->thread_top; i++) {
        const struct linux_thread *thread = &table->threads[i];

        if (thread->waits && thread->until < INT64_MAX && thread->until - time < wait)
            wait = thread->until > time ? thread->until - time : 1;
    }
    if (reader) {
        if (host->readable(host->context, (uint32_t)reader->address, wait))
            linux_threads_wake(table, LINUX_WAITS_INPUT);
        return true;
    }
    if (wait == INT64_MAX && !linux_may_be_raised(table))
        return false;
    host->sleep(host->context, wait);
    return true;
}

void linux_turn_over(struct linux_table *table)
{
    struct linux_thread *self = table->current, *next;

    for (;;) {
        look(table);
        next = choose(table);
        if (next)
            break;
        if (!idle(table)) {
            give_up(table);
            self->waits = 0; /* in a test */
            self->end = LINUX_NEVER;
        }
    }
    if (next == self)
        return;
    linux_turn_put_away(table);
    take_up(table, next);
    table->host->change(table->host->context, self, next);
}

enum linux_end linux_thread_wait(struct linux_table *table, unsigned waits, uint64_t address,
                                 int64_t until)
{
    struct linux_thread *self = table->current;

    self->waits = (uint8_t)waits;
    self->address = address;
    self->until = until;
    self->turn = ++table->turns;
    linux_turn_over(table);
    return (enum linux_end)self->end;
}

void linux_interrupted(struct linux_table *table)
{
    linux_timers_look(table);
    if (linux_has_threads(table))
        linux_turn_over(table);
}

int64_t linux_sched_yield(struct linux_table *table, const uint64_t *args)
{
    (void)args;
    if (linux_has_threads(table))
        linux_turn_over(table);
    return 0;
}
