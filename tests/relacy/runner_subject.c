/*
 * src/host/runner.c, unchanged, with each atomic access handed on to the model checker, in the
 * order that stands there, and with its system calls in place of the kernel's. Its threads are the
 * checker's. What only one side uses at a time, runner.c has as it is: the scenarios have variables
 * of their own beside it.
 */
#define _GNU_SOURCE
#include "runner_subject.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WAKER = 100, STOP };

static uint64_t loaded(const void *at, size_t len, int order);
static void stored(void *at, size_t len, uint64_t value, int order);
static long called(long number, ...);

static ssize_t written(int fd)
{
    if (fd == WAKER)
        shared_ring();
    return sizeof(uint64_t);
}

static int polled(void)
{
    shared_hear();
    return 1;
}

#define __atomic_load_n(at, order) ((__typeof__(*(at)))loaded((at), sizeof(*(at)), order))
#define __atomic_store_n(at, value, order) stored((at), sizeof(*(at)), (uint64_t)(value), order)
#define __atomic_thread_fence(order) shared_fence(order)
#define syscall(...) called(__VA_ARGS__)
#define write(fd, ...) written(fd)
#define read(fd, ...) ((ssize_t)sizeof(uint64_t))
#define poll(...) polled()
#define sched_getcpu() 0
#define pthread_join(...) 0

#include "src/host/runner.c"

#undef __atomic_load_n
#undef __atomic_store_n

static struct halo_machine machine;
static struct halo_poller poller;
static struct halo_runner runner;
static struct halo_words words;

static int word_at(const void *at)
{
    const void *const all[WORDS] = {&runner.whose, &runner.runner_sleeps, &runner.host_sleeps,
                                    &runner.processor, &machine.stop.wanted};

    for (int i = 0; i < WORDS; i++) {
        if (at == all[i])
            return i;
    }
    return WORDS;
}

/* There is no other word of two threads: a new one has to be listed, too. */
static uint64_t loaded(const void *at, size_t len, int order)
{
    const int word = word_at(at);

    (void)len;
    if (word == WORDS)
        abort();
    return (uint64_t)(int64_t)shared_load((enum word)word, order);
}

/* But for a number that is counted for whoever reads it. */
static void stored(void *at, size_t len, uint64_t value, int order)
{
    const int word = word_at(at);

    if (word < WORDS)
        shared_store((enum word)word, (int)value, order);
    else if (at == &runner.sleeps)
        memcpy(at, &value, len);
    else
        abort();
}

static long called(long number, ...)
{
    va_list arguments;
    void *at;
    int what, value;

    if (number == SYS_gettid) {
        shared_begun();
        return 7;
    }
    if (number == SYS_tgkill) {
        shared_signal();
        return 0;
    }
    va_start(arguments, number);
    at = va_arg(arguments, void *);
    what = va_arg(arguments, int);
    value = va_arg(arguments, int);
    va_end(arguments);
    if (number != SYS_futex || at != &runner.whose)
        abort();
    if (what == FUTEX_WAIT_PRIVATE)
        shared_futex_wait(value);
    else
        shared_futex_wake();
    return 0;
}

/* --- What runner.c calls else ----------------------------------------------------------------- */

int64_t halo__now(void)
{
    return 0;
}

uint32_t halo__machine_ticks(const struct halo_machine *of, uint32_t ns)
{
    return ns;
}

int halo__fd_high(int fd)
{
    return fd;
}

int halo__poller_make_waker(struct halo_poller *of)
{
    return 0;
}

void halo__poller_hear(struct halo_poller *of)
{
}

int halo__fail(struct halo_words *of, int error, const char *format, ...)
{
    abort();
}

/* --- The machine ------------------------------------------------------------------------------ */

static int enter(struct halo_machine *of, int64_t deadline)
{
    shared_enter();
    return 0;
}

static int run_it(struct halo_machine *of, int64_t deadline, struct halo_exit *exit)
{
    const enum left left = shared_run();

    *exit = (struct halo_exit){
        .kind = left == LEFT_STOPPED ? HALO_EXIT_TIMEOUT : HALO_EXIT_DOORBELL,
        .op = left == LEFT_KICKS ? HALO_DOORBELL_KICK : HALO_DOORBELL_WAIT,
    };
    return 0;
}

static void leave(struct halo_machine *of)
{
}

static const struct halo_backend backend = {.enter = enter, .run = run_it, .leave = leave};

/* --- For the scenarios ------------------------------------------------------------------------ */

/* As halo__runner_begin leaves it when it has made the thread. */
void subject_start(void)
{
    machine = (struct halo_machine){.backend = &backend, .words = &words, .stop = {.fd = -1}};
    poller = (struct halo_poller){.waker = WAKER};
    runner = (struct halo_runner){
        .machine = &machine, .poller = &poller, .is_there = true, .whose = HALO_OF_RUNNER};
    shared_store(WHOSE, HALO_OF_RUNNER, __ATOMIC_RELAXED);
}

void subject_begin(void)
{
    while (!halo__runner_is_back(&runner))
        shared_yield();
}

void subject_go(void)
{
    halo__runner_go(&runner, 1, true);
}

int subject_is_back(void)
{
    return halo__runner_is_back(&runner);
}

int subject_lie_down(void)
{
    return halo__runner_lie_down(&runner);
}

void subject_get_up(void)
{
    halo__runner_get_up(&runner);
}

enum left subject_take(void)
{
    struct halo_exit exit;

    if (halo__runner_take(&runner, &exit))
        abort();
    return exit.kind == HALO_EXIT_TIMEOUT ? LEFT_STOPPED : LEFT_WAITS;
}

void subject_end(void)
{
    halo__runner_end(&runner);
}

void subject_run(void)
{
    (void)run(&runner);
}

int subject_stop_is_wanted(void)
{
    return halo__stop_is_wanted(&machine.stop);
}
