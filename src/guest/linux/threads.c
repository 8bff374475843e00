/* Which threads there are, and who waits for what. Who runs next is in turns.c. */
#include "calls.h"

void linux_threads_init(struct linux_table *table)
{
    table->current = &table->threads[0];
    table->current->id = table->last_id = LINUX_PID;
    table->thread_count = table->thread_top = 1;
}

struct linux_thread *linux_thread_of(const struct linux_table *table, uint32_t id)
{
    for (uint32_t i = 0; id && i < table->thread_top; i++) {
        if (table->threads[i].id == id && linux_thread_is_there(&table->threads[i]))
            return (struct linux_thread *)&table->threads[i];
    }
    return NULL;
}

uint64_t linux_blocked_by_all(const struct linux_table *table)
{
    uint64_t blocked = UINT64_MAX;

    if (!linux_has_threads(table) && linux_thread_is_there(table->current))
        return table->blocked;
    for (uint32_t i = 0; i < table->thread_top; i++) {
        if (linux_thread_is_there(&table->threads[i]))
            blocked &= linux_blocked_of(table, &table->threads[i]);
    }
    return blocked;
}

uint64_t linux_withheld_by_all(const struct linux_table *table)
{
    uint64_t withheld = UINT64_MAX;

    if (!linux_has_threads(table) && linux_thread_is_there(table->current))
        return table->blocked | table->current->awaited;
    for (uint32_t i = 0; i < table->thread_top; i++) {
        const struct linux_thread *thread = &table->threads[i];

        if (linux_thread_is_there(thread))
            withheld &= linux_blocked_of(table, thread) | thread->awaited;
    }
    return withheld;
}

/* While there is somebody else to run, or a timer whose handler may be due. */
void linux_threads_tick(struct linux_table *table)
{
    const bool wanted = linux_has_threads(table) || table->timer_count > 0;

    if (wanted == table->ticks || !table->host->ticks)
        return;
    table->ticks = wanted;
    table->host->ticks(table->host->context, wanted);
}

/* --- Waking ----------------------------------------------------------------------------------- */

void linux_thread_wake(struct linux_thread *thread)
{
    thread->waits = 0;
    thread->end = LINUX_WOKEN;
}

void linux_threads_wake(struct linux_table *table, unsigned waits)
{
    for (uint32_t i = 0; i < table->thread_top; i++) {
        if (table->threads[i].waits & waits)
            linux_thread_wake(&table->threads[i]);
    }
}

void linux_threads_stir(struct linux_table *table)
{
    if (linux_has_threads(table))
        linux_threads_wake(table, LINUX_WAITS_PIPE);
}

struct linux_thread *linux_futex_waiter(struct linux_table *table, uint64_t address,
                                        uint32_t bitset)
{
    struct linux_thread *first = NULL;

    for (uint32_t i = 0; i < table->thread_top; i++) {
        struct linux_thread *thread = &table->threads[i];

        if ((thread->waits & LINUX_WAITS_FUTEX) && thread->address == address &&
            (thread->bitset & bitset) && (!first || thread->turn < first->turn))
            first = thread;
    }
    return first;
}

/* One at least, as on Linux. */
int64_t linux_futex_wake(struct linux_table *table, uint64_t address, int32_t count,
                         uint32_t bitset)
{
    struct linux_thread *thread;
    int64_t woken = 0;

    if (!linux_has_threads(table))
        return 0;
    while ((woken == 0 || woken < count) &&
           (thread = linux_futex_waiter(table, address, bitset)) != NULL) {
        linux_thread_wake(thread);
        woken++;
    }
    return woken;
}
