/*
 * Threads for fuzz targets, each of them twice: as one of the table's, which is a coroutine, and as
 * one of Linux's, which is of this file alone, beside the library's. One step has one thread of
 * each make a call.
 */
#ifndef HALO_TESTS_FUZZ_LINUX_THREADS_H
#define HALO_TESTS_FUZZ_LINUX_THREADS_H

#include "linux_host.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define WORKERS 4
#define WORDS 2u /* for numbers; and locks, for numbers of threads */
#define LOCKS 2u
#define IDS 512
#define STACK (128u << 10)
#define NOWHERE 4096u /* an address that neither of them has */
#define NO_FILE 1000
#define OWNER 0x3fffffffu
#define SHORT_NS 1000000
#define LONG_S 1000

/* --- Memory, which both have ------------------------------------------------------------------ */

struct lock {
    uint64_t next;
    uint32_t word, pad;
};

struct shared {
    uint32_t words[WORDS];
    struct lock locks[LOCKS];
    struct robust_list_head heads[WORKERS];
    struct timespec until;
    uint64_t spare[2];
    struct pollfd polled;
    int32_t ends[2];
    char bytes[WORKERS + 1][16];
};

static struct shared *ours, their_memory;
static struct shared *const theirs = &their_memory;

/* Where a word or a lock's word is. */
static size_t word_of(uint8_t which)
{
    which %= WORDS + LOCKS;
    return which < WORDS ? offsetof(struct shared, words) + 4u * which
                         : offsetof(struct shared, locks) + sizeof(struct lock) * (which - WORDS) +
                               offsetof(struct lock, word);
}

static uint32_t *word_in(struct shared *of, uint8_t which)
{
    return (uint32_t *)(void *)((unsigned char *)of + word_of(which));
}

/* Numbers of threads, of the table and of Linux. */
static uint32_t ids[IDS][2];
static int id_count;

static int64_t known(int64_t value, int side)
{
    for (int i = 0; i < id_count; i++) {
        if ((value & OWNER) == ids[i][side])
            return (value & ~(int64_t)OWNER) | (0x100000 + i);
    }
    return value;
}

static void same_words(void)
{
    for (uint8_t i = 0; i < WORDS + LOCKS; i++)
        same("a word", known(*word_in(ours, i), 0), known(*word_in(theirs, i), 1));
    same("bytes of a pipe", memcmp(ours->bytes, theirs->bytes, sizeof(ours->bytes)), 0);
    same("what poll says", ours->polled.revents, theirs->polled.revents);
}

/* --- A call, for both ------------------------------------------------------------------------- */

struct request {
    const char *what;
    uint64_t number, ours[6], theirs[6];
    bool is_short; /* it comes back when a short time is over */
};

static struct request asked;

static void begin_request(const char *what, uint64_t number)
{
    memset(&asked, 0, sizeof(asked));
    asked.what = what;
    asked.number = number;
}

static void put_each(int i, uint64_t a, uint64_t b)
{
    asked.ours[i] = a;
    asked.theirs[i] = b;
}

static void put(int i, uint64_t value)
{
    put_each(i, value, value);
}

static void put_at(int i, size_t offset)
{
    put_each(i, (uintptr_t)ours + offset, (uintptr_t)theirs + offset);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* Between the first thread and one of Linux's: `done` is the turn that it is back from. */
struct mailbox {
    _Atomic uint32_t turn, done;
    uint64_t number, args[6];
    long result;
};

static struct worker {
    bool is_there, is_asked, is_back; /* is_asked: and not yet compared */
    bool is_taken;                    /* by the table's thread */
    struct request request;
    int64_t result;
    struct mailbox box;
    unsigned char *stack; /* Linux's */
    uint32_t our_id;
    pid_t their_id;
    int stat;
} workers[WORKERS];

/* --- Threads of the table --------------------------------------------------------------------- */

static struct coroutine {
    ucontext_t context;
    unsigned char *stack;
    int worker;
} coroutines[LINUX_THREADS];

static int beginning, coroutine_count;
static int64_t elapsed;

static void live_in_table(void)
{
    struct worker *self = &workers[((struct coroutine *)table.current->place)->worker];

    for (;;) {
        if (self->is_asked && !self->is_taken) {
            self->is_taken = true;
            self->result = linux_call(&table, self->request.number, self->request.ours);
            self->is_back = true;
        }
        (void)call(SYS_sched_yield, 0, 0, 0, 0);
    }
}

static bool spawn(void *context, struct linux_thread *thread, uint64_t sp)
{
    struct coroutine *own = thread->place ? thread->place : &coroutines[coroutine_count++];

    (void)context;
    (void)sp;
    thread->place = own;
    if (!own->stack)
        own->stack = malloc(STACK);
    if (!own->stack || getcontext(&own->context))
        abort();
    own->worker = beginning;
    own->context.uc_stack.ss_sp = own->stack;
    own->context.uc_stack.ss_size = STACK;
    makecontext(&own->context, live_in_table, 0);
    return true;
}

static void change(void *context, struct linux_thread *from, struct linux_thread *to)
{
    struct coroutine *left = from->place, *next = to->place;

    (void)context;
    if (swapcontext(&left->context, &next->context))
        abort();
}

static void now_here(void *context, int64_t *monotonic_ns, int64_t *real_ns)
{
    now(context, monotonic_ns, real_ns);
    *monotonic_ns += elapsed;
    *real_ns += elapsed;
}

static void sleep_here(void *context, int64_t ns)
{
    sleep_(context, ns);
    elapsed += ns;
}

static void run_table(bool is_short)
{
    for (int i = 0; i < 8; i++) {
        if (i == 4 && is_short)
            elapsed += 2 * SHORT_NS;
        (void)call(SYS_sched_yield, 0, 0, 0, 0);
    }
}

/* --- Threads of Linux ------------------------------------------------------------------------- */

#define UNWATCHED __attribute__((no_sanitize("address", "undefined", "coverage")))

UNWATCHED __attribute__((always_inline)) static inline long
raw(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* It has no memory of its own but its stack: nothing of a library's may be used. */
UNWATCHED __attribute__((noinline)) static void live_in_linux(struct mailbox *box)
{
    const uint64_t *args = box->args;

    for (uint32_t turn = 0;; turn++) {
        /* Pairs with the acquire of has_come_back: the result is there. */
        atomic_store_explicit(&box->done, turn, memory_order_release);
        /* Pairs with the release of ask_linux: so is the request. */
        while (atomic_load_explicit(&box->turn, memory_order_acquire) == turn)
            (void)raw(SYS_futex, (uintptr_t)&box->turn, FUTEX_WAIT_PRIVATE, turn, 0, 0, 0);
        box->result = raw(box->number, args[0], args[1], args[2], args[3], args[4], args[5]);
    }
}

/* A thread beside the library's: with the first one's thread-local storage, which it never uses. */
static long make_in_linux(uint64_t flags, struct worker *worker, uint64_t parent, uint64_t child,
                          uint64_t storage)
{
    register uint64_t r10 __asm__("r10") = child;
    register uint64_t r8 __asm__("r8") = storage;
    uint64_t *top;
    long result;

    if (!worker->stack)
        worker->stack = malloc(STACK);
    if (!worker->stack)
        abort();
    top = (uint64_t *)(void *)(worker->stack + STACK) - 2;
    top[0] = (uintptr_t)&worker->box;
    top[1] = (uintptr_t)live_in_linux;
    worker->box.turn = 0;
    worker->box.done = UINT32_MAX;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "xor %%ebp, %%ebp\n"
                     "pop %%rdi\n"
                     "pop %%rax\n"
                     "call *%%rax\n"
                     "1:"
                     : "=a"(result)
                     : "a"((uint64_t)SYS_clone), "D"(flags), "S"(top), "d"(parent), "r"(r10),
                       "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

static void ask_linux(struct worker *worker)
{
    const uint32_t turn = worker->box.turn + 1;

    worker->box.number = worker->request.number;
    memcpy(worker->box.args, worker->request.theirs, sizeof(worker->box.args));
    atomic_store_explicit(&worker->box.turn, turn, memory_order_release);
    (void)syscall(SYS_futex, &worker->box.turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool has_come_back(struct worker *worker)
{
    return atomic_load_explicit(&worker->box.done, memory_order_acquire) ==
           atomic_load_explicit(&worker->box.turn, memory_order_relaxed);
}

/* Asleep: in its call, if it is not back, for it was woken to make it. */
static bool is_asleep(const struct worker *worker)
{
    char line[256] = {0};
    const char *state;

    if (pread(worker->stat, line, sizeof(line) - 1, 0) <= 0)
        return false;
    state = strrchr(line, ')');
    return state && state[1] == ' ' && state[2] == 'S';
}

static bool is_late(const struct timespec *since)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec - since->tv_sec > 4;
}

/* Has it come back, when it has settled? What is expected in time may take some. */
static bool settle(struct worker *worker, bool is_expected)
{
    struct timespec since;

    (void)clock_gettime(CLOCK_MONOTONIC, &since);
    for (;;) {
        const bool sleeps = is_asleep(worker);

        if (has_come_back(worker))
            return true;
        if (sleeps && (!is_expected || is_late(&since)))
            return false;
        (void)sched_yield();
    }
}

static bool is_gone(const struct worker *worker)
{
    return syscall(SYS_tgkill, getpid(), worker->their_id, 0) && errno == ESRCH;
}

/* --- Steps ------------------------------------------------------------------------------------ */

/* Everybody who came back has the same result; the others wait. */
static void compare(void)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &workers[i];
        const char *what = worker->request.what;

        if (!worker->is_there || !worker->is_asked)
            continue;
        same(what, worker->is_back ? 1 : 0, settle(worker, worker->is_back));
        if (!worker->is_back)
            continue;
        same(what, known(worker->result, 0), known(worker->box.result, 1));
        worker->is_asked = false;
    }
    same_words();
}

/* The first thread makes it, or has that one make it. */
static void make(struct worker *by)
{
    if (!by) {
        const int64_t result = linux_call(&table, asked.number, asked.ours);
        const uint64_t *args = asked.theirs;
        long native_result;

        do /* again, where the fuzzer's own alarm has interrupted it */
            native_result = native(
                syscall((long)asked.number, args[0], args[1], args[2], args[3], args[4], args[5]));
        while (native_result == -EINTR);
        same(asked.what, result, native_result);
    } else {
        by->request = asked;
        by->is_asked = true;
        by->is_back = by->is_taken = false;
        ask_linux(by);
    }
    run_table(asked.is_short);
    compare();
}

static struct worker *idle_worker(uint8_t which)
{
    struct worker *worker = &workers[which % WORKERS];

    return worker->is_there && !worker->is_asked ? worker : NULL;
}

static void begin_thread(uint8_t how)
{
    const uint64_t options[] = {CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID};
    uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    const size_t parent = word_of((uint8_t)(WORDS + pick() % LOCKS));
    const size_t child = word_of((uint8_t)(WORDS + pick() % LOCKS));
    struct worker *worker = workers;
    uint64_t storage = 0;
    sigset_t all, before;
    char path[64];
    int64_t result;

    while (worker < workers + WORKERS && worker->is_there)
        worker++;
    if (worker == workers + WORKERS || id_count == IDS)
        return;
    for (int i = 0; i < 3; i++)
        flags |= how >> i & 1 ? options[i] : 0;
    if (how / 8 % 8 == 0) { /* no address that it may be */
        flags |= CLONE_SETTLS;
        storage = how & 128 ? 0x7ffffffff000 : UINT64_MAX;
    }
    beginning = (int)(worker - workers);
    *worker = (struct worker){.stack = worker->stack};
    result = linux_call(&table, SYS_clone,
                        (const uint64_t[6]){flags, (uintptr_t)ours, (uintptr_t)ours + parent,
                                            (uintptr_t)ours + child, storage});
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    worker->their_id = (pid_t)make_in_linux(flags, worker, (uintptr_t)theirs + parent,
                                            (uintptr_t)theirs + child, storage);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    same("clone", result < 0 ? result : 0, worker->their_id < 0 ? worker->their_id : 0);
    if (result < 0)
        return;
    worker->our_id = ids[id_count][0] = (uint32_t)result;
    ids[id_count++][1] = (uint32_t)worker->their_id;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", worker->their_id);
    worker->stat = open(path, O_RDONLY | O_CLOEXEC);
    if (worker->stat < 0 || !settle(worker, true))
        abort();
    worker->is_there = true;
    run_table(false);
    compare();
}

static void end_thread(struct worker *worker, uint8_t code)
{
    begin_request("exit", SYS_exit);
    put(0, code);
    worker->request = asked;
    worker->is_there = false;
    worker->is_asked = true;
    worker->is_taken = false;
    ask_linux(worker);
    while (!is_gone(worker))
        (void)sched_yield();
    (void)close(worker->stat);
    run_table(false);
    same("a thread that has ended", (int64_t)call(SYS_tgkill, 1000, worker->our_id, 0, 0), -ESRCH);
    worker->is_asked = false;
    compare();
}

#endif
