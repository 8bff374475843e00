/* How threads begin and end. There is one process: fork, vfork and exec are refused. */
#include "calls.h"

/* --- Beginning -------------------------------------------------------------------------------- */

enum {
    VM = 0x100,
    FS = 0x200,
    FILES = 0x400,
    SIGHAND = 0x800,
    THREAD = 0x10000,
    SYSVSEM = 0x40000,
    SETTLS = 0x80000,
    PARENT_SETTID = 0x100000,
    CHILD_CLEARTID = 0x200000,
    DETACHED = 0x400000,
    CHILD_SETTID = 0x1000000,
    IS_THREAD = VM | FS | FILES | SIGHAND | THREAD,
};

/* Once, for a program may try again. */
int64_t linux_no_process(struct linux_table *table)
{
    if (!table->has_refused && table->host->say)
        table->host->say(table->host->context,
                         "this program asks for another process, or for another program in its "
                         "place (fork, vfork, exec): a guest is one process");
    table->has_refused = true;
    return -L_ENOSYS;
}

static struct linux_thread *find_free(struct linux_table *table)
{
    uint32_t at = 0;

    while (at < table->thread_top && table->threads[at].id)
        at++;
    if (at == LINUX_THREADS)
        return NULL;
    if (at == table->thread_top)
        table->thread_top++;
    return &table->threads[at];
}

/* The next number that nobody has. */
static uint32_t new_id(struct linux_table *table)
{
    const uint32_t most = 4194304; /* of Linux's */

    do
        table->last_id = table->last_id < most ? table->last_id + 1 : LINUX_PID + 1;
    while (linux_thread_of(table, table->last_id));
    return table->last_id;
}

/* clone(flags, stack, parent's word, child's word, thread-local storage) */
int64_t linux_clone(struct linux_table *table, const uint64_t *args)
{
    const uint64_t flags = args[0], known = IS_THREAD | SYSVSEM | SETTLS | PARENT_SETTID |
                                            CHILD_CLEARTID | DETACHED | CHILD_SETTID;
    struct linux_thread *new, old;

    if ((flags & IS_THREAD) != IS_THREAD)
        return linux_no_process(table);
    if (flags & ~0xffull & ~known)
        return -L_EINVAL;
    if ((flags & SETTLS) && args[4] >= 0x7ffffffff000)
        return -L_EPERM;
    new = find_free(table);
    if (!new || !table->host->spawn)
        return -L_EAGAIN;
    linux_turn_put_away(table);
    old = *new;
    *new = *table->current;
    new->id = new_id(table);
    new->place = old.place;
    new->waits = 0;
    new->awaited = new->own = new->robust = new->clear_id = 0;
    new->altstack = (struct linux_altstack){.base = 0};
    if (flags & SETTLS)
        new->fs = args[4];
    if (flags & CHILD_CLEARTID)
        new->clear_id = args[3];
    if (!table->host->spawn(table->host->context, new, args[1])) {
        old.id = 0;
        *new = old;
        return -L_EAGAIN;
    }
    table->thread_count++;
    linux_threads_tick(table);
    if (flags & PARENT_SETTID)
        (void)linux_give(table, args[2], &new->id, sizeof(new->id));
    if (flags & CHILD_SETTID)
        (void)linux_give(table, args[3], &new->id, sizeof(new->id));
    return new->id;
}

int64_t linux_gettid(struct linux_table *table, const uint64_t *args)
{
    (void)args;
    return table->current->id;
}

int64_t linux_set_tid_address(struct linux_table *table, const uint64_t *args)
{
    table->current->clear_id = args[0];
    return table->current->id;
}

int64_t linux_set_robust_list(struct linux_table *table, const uint64_t *args)
{
    enum { HEAD_LEN = 24 };

    if (args[1] != HEAD_LEN)
        return -L_EINVAL;
    table->current->robust = args[0];
    return 0;
}

/* Of a thread, by its number, or of the one that asks: the address, and its length. */
int64_t linux_get_robust_list(struct linux_table *table, const uint64_t *args)
{
    const uint64_t len = 24;
    const struct linux_thread *thread =
        args[0] ? linux_thread_of(table, (uint32_t)args[0]) : table->current;

    if (!thread)
        return -L_ESRCH;
    if (linux_give(table, args[2], &len, sizeof(len)) ||
        linux_give(table, args[1], &thread->robust, sizeof(thread->robust)))
        return -L_EFAULT;
    return 0;
}

/* --- Ending ----------------------------------------------------------------------------------- */

/*
 * A lock that is still held: its next owner is told. Those with priorities have no waiters here.
 * False: there is no such lock, and whatever else is said of locks is not looked at.
 */
static bool let_go_of(struct linux_table *table, uint64_t word_at, bool has_priority,
                      bool is_pending)
{
    const uint32_t waiters = 0x80000000, died = 0x40000000, owner = 0x3fffffff;
    bool wakes;
    uint32_t word;

    if (word_at % 4 || linux_take(table, word_at, &word, sizeof(word)))
        return false;
    if (is_pending && !has_priority && !(word & owner)) {
        wakes = true; /* it was let go of, and its waiter not yet woken */
    } else {
        if ((word & owner) != table->current->id)
            return true;
        wakes = (word & waiters) && !has_priority;
        word = (word & waiters) | died;
        if (linux_give(table, word_at, &word, sizeof(word)))
            return false;
    }
    if (wakes)
        (void)linux_futex_wake(table, word_at | LINUX_FUTEX_SHARED, 1, UINT32_MAX);
    return true;
}

/* The thread's list of those (struct robust_list_head), which is the program's to make. */
static void let_go_of_all(struct linux_table *table)
{
    enum { MOST = 2048 };
    const uint64_t head_at = table->current->robust, priority = 1;
    struct {
        uint64_t next;
        int64_t offset;
        uint64_t pending;
    } head;
    uint64_t at, next;
    bool has_next = true;

    table->current->robust = 0;
    if (!head_at || linux_take(table, head_at, &head, sizeof(head)))
        return;
    at = head.next;
    for (uint32_t i = 0; i < MOST && (at & ~priority) != head_at; i++, at = next) {
        const uint64_t entry = at & ~priority;

        has_next = linux_take(table, entry, &next, sizeof(next)) == 0;
        if (entry != (head.pending & ~priority) &&
            !let_go_of(table, entry + (uint64_t)head.offset, at & priority, false))
            return;
        if (!has_next)
            return;
    }
    if (head.pending & ~priority)
        (void)let_go_of(table, (head.pending & ~priority) + (uint64_t)head.offset,
                        head.pending & priority, true);
}

/* This thread ends; with the last one the program does. */
int64_t linux_exit(struct linux_table *table, const uint64_t *args)
{
    struct linux_thread *self = table->current;
    const bool is_first = self == &table->threads[0];
    const uint32_t none = 0;

    if (is_first)
        table->exit_code = (int)(args[0] & 0xff);
    if (!linux_has_threads(table)) {
        table->host->halt(table->host->context,
                          table->threads[0].has_ended ? table->exit_code : (int)(args[0] & 0xff));
        return 0;
    }
    let_go_of_all(table);
    if (self->clear_id && linux_give(table, self->clear_id, &none, sizeof(none)) == 0 &&
        self->clear_id % 4 == 0)
        (void)linux_futex_wake(table, self->clear_id | LINUX_FUTEX_SHARED, 1, UINT32_MAX);
    linux_signals_drop(table);
    table->thread_count--;
    linux_threads_tick(table);
    if (is_first)
        self->has_ended = true;
    else
        self->id = 0;
    linux_turn_over(table);
    return 0; /* in a test */
}
