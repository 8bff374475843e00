/*
 * Signals that the program sends itself, and those of its timers: there is nobody else. A signal
 * is pending from when it is sent, to one thread or to all, until one takes it, which is at the end
 * of a system call: entry.c.
 */
#include "calls.h"
#include <string.h>

enum {
    SIGTERM_ = 15,
    SIGCHLD_ = 17,
    SIGCONT_ = 18,
    SIGURG_ = 23,
    SIGWINCH_ = 28,
    FIRST_REALTIME = 32, /* from here on each one that is sent is delivered */
    SI_USER_ = 0,
    SI_TKILL_ = -6,
};

#define SET_LEN 8u
#define BIT(signal) LINUX_SIGNAL_BIT(signal)
#define UNBLOCKABLE LINUX_UNBLOCKABLE
#define IGNORED_BY_DEFAULT (BIT(SIGCHLD_) | BIT(SIGCONT_) | BIT(SIGURG_) | BIT(SIGWINCH_))
/* SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: taken before all others */
#define SYNCHRONOUS (BIT(4) | BIT(5) | BIT(7) | BIT(8) | BIT(11) | BIT(31))

/* --- What is pending -------------------------------------------------------------------------- */

static bool is_ignored(const struct linux_table *table, uint32_t signal)
{
    const uint64_t handler = table->actions[signal].handler;

    return handler == 1 || (handler == 0 && (IGNORED_BY_DEFAULT & BIT(signal)));
}

bool linux_is_noticed(const struct linux_table *table, uint32_t signal)
{
    return !(linux_blocked_by_all(table) & BIT(signal)) && !is_ignored(table, signal);
}

/* Those sent to this thread, or, without one, to the program. */
static uint64_t *pending_of(struct linux_table *table, struct linux_thread *thread)
{
    if (!thread)
        return &table->shared;
    return thread == table->current ? &table->own : &thread->own;
}

/* What the thread that runs can take. */
static void add_up(struct linux_table *table)
{
    table->pending = table->shared | table->own;
}

/* Take the first note of a signal off the list; without one it was sent by the program itself. */
static struct linux_note take_note(struct linux_table *table, struct linux_thread *thread,
                                   uint32_t signal)
{
    struct linux_note note = {.signal = signal, .pid = LINUX_PID, .uid = LINUX_UID};
    const uint32_t whose = thread ? thread->id : 0;
    bool has_more = false;
    uint32_t kept = 0, found = 0;

    for (uint32_t i = 0; i < table->note_count; i++) {
        const bool is_one = table->notes[i].signal == signal && table->notes[i].thread == whose;

        if (is_one && found++ == 0) {
            note = table->notes[i];
            continue;
        }
        has_more |= is_one;
        table->notes[kept++] = table->notes[i];
    }
    table->note_count = kept;
    if (!has_more)
        *pending_of(table, thread) &= ~BIT(signal);
    add_up(table);
    if (note.timer)
        linux_timer_taken(table, &note);
    return note;
}

static void forget(struct linux_table *table, uint32_t signal)
{
    for (uint32_t i = 0; i < table->thread_top; i++) {
        struct linux_thread *thread = &table->threads[i];

        while (thread->id && *pending_of(table, thread) & BIT(signal))
            (void)take_note(table, thread, signal);
    }
    while (table->shared & BIT(signal))
        (void)take_note(table, NULL, signal);
}

/* The one of this set that is taken next. */
static uint32_t first_of(uint64_t set)
{
    if (set & SYNCHRONOUS)
        set &= SYNCHRONOUS;
    return (uint32_t)__builtin_ctzll(set) + 1;
}

/*
 * Signals whose time has come and that have no handler: what they do by themselves. It ends at the
 * first that has one, for what its handler blocks comes later: false.
 */
static bool act_on(struct linux_table *table, struct linux_thread *thread, uint64_t blocked)
{
    uint64_t due;

    while ((due = *pending_of(table, thread) & ~blocked) != 0) {
        const uint32_t signal = first_of(due);

        if (table->actions[signal].handler > 1)
            return false;
        (void)take_note(table, thread, signal);
        if (!is_ignored(table, signal))
            table->host->halt(table->host->context, 128 + (int)signal);
    }
    return true;
}

static void act(struct linux_table *table)
{
    if (act_on(table, table->current, table->blocked | table->current->awaited))
        (void)act_on(table, NULL, linux_withheld_by_all(table));
}

bool linux_is_interrupted(const struct linux_table *table)
{
    return (table->pending & ~table->blocked) != 0;
}

struct linux_note linux_take_pending(struct linux_table *table, uint64_t set)
{
    const uint64_t own = set & table->own;

    return own ? take_note(table, table->current, first_of(own))
               : take_note(table, NULL, first_of(set & table->shared));
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* To a thread, or, without one, to the program: false where there is no room for the note. */
static bool put(struct linux_table *table, struct linux_thread *thread, uint32_t signal,
                const struct linux_note *note)
{
    uint64_t *pending = pending_of(table, thread);
    struct linux_note *new = &table->notes[table->note_count];

    if (signal < FIRST_REALTIME && (*pending & BIT(signal)))
        return true;
    if (table->note_count == LINUX_QUEUE)
        return false;
    *new = *note;
    new->signal = signal;
    new->thread = thread ? thread->id : 0;
    table->note_count++;
    *pending |= BIT(signal);
    add_up(table);
    return true;
}

/* What it does by itself. A thread that waits for something else is woken where it is chosen. */
static void act_of(struct linux_table *table, struct linux_thread *thread)
{
    if (!thread || thread == table->current)
        act(table);
    else
        (void)act_on(table, thread, thread->blocked | thread->awaited);
}

bool linux_send(struct linux_table *table, struct linux_thread *thread, uint32_t signal,
                const struct linux_note *note)
{
    const bool is_sent = put(table, thread, signal, note);

    act_of(table, thread);
    return is_sent;
}

/* By kill and its kin: without a note where there is no room for one. */
static int64_t send(struct linux_table *table, struct linux_thread *thread, uint64_t number,
                    int32_t code)
{
    const uint32_t signal = (uint32_t)number;
    const struct linux_note note = {
        .signal = signal, .code = code, .pid = LINUX_PID, .uid = LINUX_UID};

    if (signal > LINUX_SIGNALS)
        return -L_EINVAL;
    if (signal == 0)
        return 0;
    if (!put(table, thread, signal, &note)) {
        *pending_of(table, thread) |= BIT(signal);
        add_up(table);
    }
    act_of(table, thread);
    return 0;
}

void linux_raise(struct linux_table *table, uint32_t signal)
{
    (void)send(table, table->current, signal, SI_USER_);
}

void linux_signals_drop(struct linux_table *table)
{
    while (table->own)
        (void)take_note(table, table->current, first_of(table->own));
}

/*
 * Each signal of the program's goes to one thread that does not block it, the first one if that
 * can. Called while threads are chosen: none of them runs.
 */
void linux_signals_spread(struct linux_table *table)
{
    for (uint32_t i = 0; table->shared && i < table->thread_top; i++) {
        struct linux_thread *thread = &table->threads[i];
        uint64_t due = table->shared & ~linux_blocked_of(table, thread);

        for (; linux_thread_is_there(thread) && due; due &= due - 1) {
            const uint32_t signal = first_of(due & (~due + 1));
            struct linux_note note;

            if (*pending_of(table, thread) & BIT(signal))
                continue;
            note = take_note(table, NULL, signal);
            (void)put(table, thread, signal, &note);
        }
    }
}

int64_t linux_kill(struct linux_table *table, const uint64_t *args)
{
    const int32_t to = (int32_t)args[0];

    if (to != LINUX_PID && to != 0 && to != -LINUX_PID)
        return -L_ESRCH;
    return send(table, NULL, args[1], SI_USER_);
}

int64_t linux_tkill(struct linux_table *table, const uint64_t *args)
{
    struct linux_thread *thread = linux_thread_of(table, (uint32_t)args[0]);

    if ((int32_t)args[0] <= 0)
        return -L_EINVAL;
    return thread ? send(table, thread, args[1], SI_TKILL_) : -L_ESRCH;
}

int64_t linux_tgkill(struct linux_table *table, const uint64_t *args)
{
    if ((int32_t)args[0] <= 0 || (int32_t)args[1] <= 0)
        return -L_EINVAL;
    return (uint32_t)args[0] == LINUX_PID ? linux_tkill(table, args + 1) : -L_ESRCH;
}

static int64_t send_info(struct linux_table *table, uint64_t number, uint64_t address,
                         struct linux_thread *thread)
{
    const uint32_t signal = (uint32_t)number;
    uint32_t words[32]; /* siginfo_t */
    struct linux_note note;

    if (linux_take(table, address, words, sizeof(words)))
        return -L_EFAULT;
    if (signal > LINUX_SIGNALS)
        return -L_EINVAL;
    if (signal == 0)
        return 0;
    note = (struct linux_note){
        .signal = signal, .code = (int32_t)words[2], .pid = words[4], .uid = words[5]};
    memcpy(&note.value, &words[6], sizeof(note.value));
    return linux_send(table, thread, signal, &note) ? 0 : -L_EAGAIN;
}

int64_t linux_rt_sigqueueinfo(struct linux_table *table, const uint64_t *args)
{
    return (int32_t)args[0] == LINUX_PID ? send_info(table, args[1], args[2], NULL) : -L_ESRCH;
}

int64_t linux_rt_tgsigqueueinfo(struct linux_table *table, const uint64_t *args)
{
    struct linux_thread *thread;

    if ((int32_t)args[0] <= 0 || (int32_t)args[1] <= 0)
        return -L_EINVAL;
    thread = linux_thread_of(table, (uint32_t)args[1]);
    if ((int32_t)args[0] != LINUX_PID || !thread)
        return -L_ESRCH;
    return send_info(table, args[2], args[3], thread);
}

/* --- From outside ----------------------------------------------------------------------------- */

bool linux_may_be_raised(const struct linux_table *table)
{
    return table->outside && table->outside->takes && linux_is_noticed(table, SIGTERM_);
}

bool linux_is_cut_short(const struct linux_table *table)
{
    return table->outside && table->outside->raised && linux_is_noticed(table, SIGTERM_);
}

/* Without a number of a process: there is none that has sent it. */
void linux_outside_look(struct linux_table *table)
{
    const struct linux_note note = {.signal = SIGTERM_, .code = SI_USER_};

    if (!table->outside || !table->outside->raised)
        return;
    table->outside->raised = 0;
    (void)linux_send(table, NULL, SIGTERM_, &note);
}

void linux_outside_tell(struct linux_table *table)
{
    if (table->outside)
        table->outside->takes =
            table->actions[SIGTERM_].handler || (linux_blocked_by_all(table) & BIT(SIGTERM_))
                ? BIT(SIGTERM_)
                : 0;
}

/* --- Handlers and masks ----------------------------------------------------------------------- */

int64_t linux_rt_sigaction(struct linux_table *table, const uint64_t *args)
{
    const uint32_t signal = (uint32_t)args[0];
    struct linux_action new;
    struct linux_action old;

    if (args[3] != SET_LEN)
        return -L_EINVAL;
    if (args[1] && linux_take(table, args[1], &new, sizeof(new)))
        return -L_EFAULT;
    if (signal == 0 || signal > LINUX_SIGNALS || (args[1] && (UNBLOCKABLE & BIT(signal))))
        return -L_EINVAL;
    old = table->actions[signal];
    if (args[1]) {
        new.mask &= ~UNBLOCKABLE;
        table->actions[signal] = new;
        if (is_ignored(table, signal))
            forget(table, signal); /* even where it is blocked */
        linux_outside_tell(table);
    }
    return args[2] ? linux_give(table, args[2], &old, sizeof(old)) : 0;
}

int64_t linux_rt_sigprocmask(struct linux_table *table, const uint64_t *args)
{
    enum { BLOCK = 0, UNBLOCK = 1, SETMASK = 2 };
    const uint64_t before = table->blocked;
    uint64_t set = 0;

    if (args[3] != SET_LEN)
        return -L_EINVAL;
    if (args[1]) {
        if (linux_take(table, args[1], &set, sizeof(set)))
            return -L_EFAULT;
        set &= ~UNBLOCKABLE;
        switch ((uint32_t)args[0]) {
        case BLOCK:
            table->blocked |= set;
            break;
        case UNBLOCK:
            table->blocked &= ~set;
            break;
        case SETMASK:
            table->blocked = set;
            break;
        default:
            return -L_EINVAL;
        }
        linux_outside_tell(table);
        act(table);
    }
    return args[2] ? linux_give(table, args[2], &before, sizeof(before)) : 0;
}

int64_t linux_rt_sigpending(struct linux_table *table, const uint64_t *args)
{
    const uint64_t set = table->pending & table->blocked;

    if (args[1] > SET_LEN)
        return -L_EINVAL;
    return linux_give(table, args[0], &set, args[1]);
}

int64_t linux_mask_for_now(struct linux_table *table, uint64_t address, uint64_t len)
{
    uint64_t set;

    if (!address)
        return 0;
    if (len != SET_LEN)
        return -L_EINVAL;
    if (linux_take(table, address, &set, sizeof(set)))
        return -L_EFAULT;
    table->kept_mask = table->blocked;
    table->has_kept_mask = true;
    table->blocked = set & ~UNBLOCKABLE;
    act(table);
    return 0;
}

/* The call ends with this; a handler that is to run then runs under the call's mask. */
int64_t linux_unmask(struct linux_table *table, int64_t result)
{
    if (table->has_kept_mask && result != -L_ERESTARTNOHAND) {
        table->blocked = table->kept_mask;
        table->has_kept_mask = false;
    }
    return result;
}

/* --- The other stack -------------------------------------------------------------------------- */

#define AUTODISARM 0x80000000u

enum { ONSTACK = 1, DISABLE = 2, LEAST = 2048 };

static bool is_on(const struct linux_table *table, uint64_t sp)
{
    const struct linux_altstack *stack = &table->altstack;

    return !(stack->flags & AUTODISARM) && sp > stack->base && sp - stack->base <= stack->len;
}

struct linux_altstack linux_altstack_get(const struct linux_table *table, uint64_t sp)
{
    struct linux_altstack stack = table->altstack;

    stack.flags &= AUTODISARM;
    stack.flags |= (uint32_t)(stack.len == 0 ? DISABLE : is_on(table, sp) ? ONSTACK : 0);
    return stack;
}

int64_t linux_altstack_set(struct linux_table *table, const struct linux_altstack *new, uint64_t sp)
{
    const uint32_t how = new->flags & ~AUTODISARM;

    if (is_on(table, sp))
        return -L_EPERM;
    if (how != DISABLE && how != ONSTACK && how != 0)
        return -L_EINVAL;
    if (how != DISABLE && new->len < LEAST)
        return -L_ENOMEM;
    table->altstack = *new;
    if (how == DISABLE)
        table->altstack.base = table->altstack.len = 0;
    return 0;
}

uint64_t linux_altstack_top(const struct linux_table *table, uint64_t sp)
{
    const struct linux_altstack *stack = &table->altstack;

    return stack->len && !is_on(table, sp) ? stack->base + stack->len : 0;
}

int64_t linux_sigaltstack(struct linux_table *table, const uint64_t *args)
{
    const struct linux_altstack old = linux_altstack_get(table, table->sp);
    struct linux_altstack new;
    int64_t error = 0;

    if (args[0]) {
        if (linux_take(table, args[0], &new, sizeof(new)))
            return -L_EFAULT;
        error = linux_altstack_set(table, &new, table->sp);
    }
    return !error && args[1] ? linux_give(table, args[1], &old, sizeof(old)) : error;
}

/* --- Taking ----------------------------------------------------------------------------------- */

bool linux_take_signal(struct linux_table *table, struct linux_delivery *delivery)
{
    const uint64_t nodefer = 0x40000000, resethand = 0x80000000;
    uint64_t due;
    uint32_t signal;

    act(table); /* the mask or the handler may have changed since it came */
    due = table->pending & ~table->blocked;
    if (due) {
        delivery->note = linux_take_pending(table, due);
        signal = delivery->note.signal;
        delivery->action = table->actions[signal];
        delivery->mask = table->has_kept_mask ? table->kept_mask : table->blocked;
        table->blocked |=
            delivery->action.mask | (delivery->action.flags & nodefer ? 0 : BIT(signal));
        if (delivery->action.flags & resethand)
            table->actions[signal].handler = 0;
        linux_outside_tell(table);
    } else if (table->has_kept_mask) {
        table->blocked = table->kept_mask;
    }
    table->has_kept_mask = false;
    return due != 0;
}
