/* The runner: see runner.h. */
#define _GNU_SOURCE
#include "runner.h"
#include "counts.h"
#include "deadline.h"
#include "descriptor.h"
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_LEN (256u << 10)
#define LOOKS 2000u /* of a runner for more to do, before it sleeps */
#define TOGETHER 2u /* wake-ups on one processor, in a row, are no accident */
#define REST_NS 1000000u

static inline void relax(void)
{
    __builtin_ia32_pause();
}

static void wake_host(struct halo_runner *runner)
{
    const uint64_t one = 1;

    /* Relaxed: a number that is taken as it comes. */
    __atomic_store_n(&runner->processor, sched_getcpu(), __ATOMIC_RELAXED);
    (void)!write(runner->poller->waker, &one, sizeof(one));
}

/*
 * Whether the host sleeps, after what it waits for was changed. Sequentially consistent, as are the
 * store in lie_down and the change: either the host sees the change, or its sleep is seen here.
 */
static bool host_sleeps(const struct halo_runner *runner)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&runner->host_sleeps, __ATOMIC_RELAXED);
}

/* A kick: the host looks by itself, unless it sleeps. What it is kicked for was written before. */
static bool is_kick(struct halo_runner *runner)
{
    const struct halo_exit *exit = &runner->exit;

    if (!runner->keeps_kicks || exit->kind != HALO_EXIT_DOORBELL || exit->op != HALO_DOORBELL_KICK)
        return false;
    runner->kicks++;
    if (host_sleeps(runner))
        wake_host(runner);
    return true;
}

static void run_guest(struct halo_runner *runner)
{
    struct halo_machine *machine = runner->machine;
    const struct halo_backend *backend = machine->backend;
    const int64_t soon = runner->slice ? halo__now() + runner->slice : 0;
    const int64_t deadline = soon > runner->deadline ? soon : runner->deadline;

    runner->exit.is_system_call = false;
    runner->error = backend->enter(machine, deadline);
    while (!runner->error) {
        runner->error = backend->run(machine, deadline, &runner->exit);
        if (runner->error || !is_kick(runner))
            break;
    }
    backend->leave(machine);
}

/* Until there is something to do: for as long as a wake-up takes it looks, then it sleeps. */
static uint32_t await(struct halo_runner *runner)
{
    uint32_t whose;

    for (uint32_t i = 0; i < (runner->rest ? LOOKS : 1); i++) { /* `patience` is the host's */
        /* Acquire pairs with the release in hand: the deadline, and the guest's memory. */
        whose = __atomic_load_n(&runner->whose, __ATOMIC_ACQUIRE);
        if (whose != HALO_OF_HOST)
            return whose;
        relax();
    }
    /* Sequentially consistent, as in hand: either the new owner is seen here, or the sleep there.
     */
    __atomic_store_n(&runner->runner_sleeps, 1, __ATOMIC_SEQ_CST);
    while ((whose = __atomic_load_n(&runner->whose, __ATOMIC_SEQ_CST)) == HALO_OF_HOST)
        (void)syscall(SYS_futex, &runner->whose, FUTEX_WAIT_PRIVATE, HALO_OF_HOST, NULL, NULL, 0);
    __atomic_store_n(&runner->runner_sleeps, 0, __ATOMIC_RELAXED);
    return whose;
}

static void *run(void *self)
{
    struct halo_runner *runner = self;

    runner->machine->stop.thread = (int)syscall(SYS_gettid);
    /* Release pairs with the acquire in is_back, here for the thread's number. */
    __atomic_store_n(&runner->whose, HALO_OF_HOST, __ATOMIC_RELEASE);
    while (await(runner) == HALO_OF_RUNNER) {
        run_guest(runner);
        /* Release pairs with the acquire in is_back: the exit. */
        __atomic_store_n(&runner->whose, HALO_OF_HOST, __ATOMIC_RELEASE);
        if (host_sleeps(runner))
            wake_host(runner);
    }
    return NULL;
}

/* Give the machine to the runner, or tell it to end. */
static void hand(struct halo_runner *runner, uint32_t whose)
{
    /* Sequentially consistent: see await. As a release it pairs with the acquire there. */
    __atomic_store_n(&runner->whose, whose, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&runner->runner_sleeps, __ATOMIC_SEQ_CST))
        (void)syscall(SYS_futex, &runner->whose, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int start_thread(struct halo_runner *runner)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error;

    sigfillset(&all);
    error = pthread_attr_init(&attributes);
    if (error)
        return error;
    (void)pthread_attr_setstacksize(&attributes, STACK_LEN);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* none of the host's signals is handled there */
    error = pthread_create(&runner->thread, &attributes, run, runner);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

int halo__runner_begin(struct halo_runner *runner, struct halo_machine *machine,
                       struct halo_poller *poller)
{
    int error;

    runner->machine = machine;
    runner->poller = poller;
    runner->patience.most = halo__machine_ticks(machine, machine->poll_ns);
    runner->processor = -1;
    runner->rest = runner->patience.most ? halo__machine_ticks(machine, REST_NS) : 0;
    machine->stop.fd = halo__fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (machine->stop.fd < 0 || halo__poller_make_waker(poller) < 0)
        return halo__fail(machine->words, HALO_EHOST, "cannot make a descriptor for a thread: %s",
                          strerror(errno));
    runner->whose = HALO_OF_RUNNER; /* until its number is known */
    error = start_thread(runner);
    if (error)
        return halo__fail(machine->words, HALO_EHOST, "cannot make a thread for the guest: %s",
                          strerror(error));
    runner->is_there = true;
    while (!halo__runner_is_back(runner))
        (void)sched_yield();
    return 0;
}

void halo__runner_go(struct halo_runner *runner, int64_t deadline, bool keeps_kicks)
{
    runner->deadline = deadline;
    runner->keeps_kicks = keeps_kicks;
    runner->kicks = 0;
    runner->words.text[0] = '\0';
    runner->host_words = runner->machine->words;
    runner->machine->words = &runner->words;
    runner->has_guest = true;
    hand(runner, HALO_OF_RUNNER);
}

bool halo__runner_lie_down(struct halo_runner *runner)
{
    __atomic_store_n(&runner->host_sleeps, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* pairs with the one in host_sleeps */
    if (halo__runner_is_back(runner)) {
        halo__runner_get_up(runner);
        return false;
    }
    halo__count(&runner->sleeps, 1);
    return true;
}

void halo__runner_get_up(struct halo_runner *runner)
{
    __atomic_store_n(&runner->host_sleeps, 0, __ATOMIC_RELAXED); /* late, it is one wake too many */
}

/* The guest off this processor, and allowed on it as before: whether that may be (halo_confine),
 * and there is another. */
static bool move(const struct halo_runner *runner, int processor)
{
    struct halo_machine *machine = runner->machine;
    const pid_t thread =
        machine->backend->thread ? machine->backend->thread(machine) : machine->stop.thread;
    cpu_set_t may, others;
    bool moved;

    if (thread <= 0 || sched_getaffinity(thread, sizeof(may), &may) < 0)
        return false;
    others = may;
    CPU_CLR((size_t)processor, &others);
    if (CPU_COUNT(&others) == 0)
        return false;
    moved = sched_setaffinity(thread, sizeof(others), &others) == 0;
    return moved && sched_setaffinity(thread, sizeof(may), &may) == 0;
}

void halo__runner_keep_apart(struct halo_runner *runner)
{
    const int here = sched_getcpu();
    uint64_t now;

    if (!runner->rest || here < 0 ||
        here != __atomic_load_n(&runner->processor, __ATOMIC_RELAXED)) {
        runner->together = 0;
        return;
    }
    now = __builtin_ia32_rdtsc();
    if (++runner->together < TOGETHER || now - runner->moved < runner->rest)
        return;
    runner->together = 0;
    runner->moved = now;
    runner->was_moved = move(runner, here);
}

/* Until the guest has left, which was told to. */
static void await_back(struct halo_runner *runner)
{
    struct pollfd pollfd = {.fd = runner->poller->waker, .events = POLLIN};

    while (halo__runner_lie_down(runner)) {
        (void)poll(&pollfd, 1, -1);
        halo__poller_hear(runner->poller);
        halo__runner_get_up(runner);
    }
}

/* The guest's run is to end, as at its deadline. */
static void stop(struct halo_runner *runner)
{
    struct halo_stop *how = &runner->machine->stop;
    const uint64_t one = 1;
    uint64_t count;

    halo__stop_want(how, true);
    (void)!write(how->fd, &one, sizeof(one));
    (void)syscall(SYS_tgkill, getpid(), how->thread, SIGURG);
    await_back(runner);
    halo__stop_want(how, false);
    (void)!read(how->fd, &count, sizeof(count));
}

int halo__runner_take(struct halo_runner *runner, struct halo_exit *exit)
{
    if (!halo__runner_is_back(runner))
        stop(runner);
    *exit = runner->exit;
    runner->has_guest = false;
    runner->machine->words = runner->host_words;
    if (runner->error)
        *runner->host_words = runner->words;
    return runner->error;
}

void halo__runner_end(struct halo_runner *runner)
{
    struct halo_exit exit;

    if (runner->is_there) {
        if (runner->has_guest)
            (void)halo__runner_take(runner, &exit);
        hand(runner, HALO_TO_END);
        (void)pthread_join(runner->thread, NULL);
        runner->is_there = false;
    }
    if (runner->machine && runner->machine->stop.fd >= 0) {
        close(runner->machine->stop.fd);
        runner->machine->stop.fd = -1;
    }
}
