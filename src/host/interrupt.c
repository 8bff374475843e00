/* One word, and a bell: see interrupt.h. */
#define _GNU_SOURCE
#include "interrupt.h"
#include "descriptor.h"
#include <errno.h>
#include <halo/error.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define YIELDS 100      /* then it sleeps: the other thread may have a lower priority */
#define SLEEP_NS 100000 /* for so long at a time */

int halo__interrupt_init(struct halo_interrupt *interrupt)
{
    *interrupt =
        (struct halo_interrupt){.fd = halo__fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))};
    return interrupt->fd < 0 ? HALO_EHOST : 0;
}

void halo__interrupt_free(struct halo_interrupt *interrupt)
{
    if (interrupt->fd >= 0)
        close(interrupt->fd);
}

void halo__interrupt_begin(struct halo_interrupt *interrupt, bool by_signal)
{
    interrupt->by_signal = by_signal;
    interrupt->thread = (uintptr_t)pthread_self();
    /* Release pairs with the exchange below: whoever sees RUNNING sees the thread. */
    __atomic_store_n(&interrupt->word, HALO_INTERRUPT_RUNNING, __ATOMIC_RELEASE);
}

int halo__interrupt_want(struct halo_interrupt *interrupt)
{
    const uint32_t wanted = HALO_INTERRUPT_RUNNING | HALO_INTERRUPT_WANTED | HALO_INTERRUPT_RINGING;
    const int before = errno;
    const uint64_t one = 1;
    uint32_t word = HALO_INTERRUPT_RUNNING;

    /* Acquire pairs with the store of RUNNING, release with halo__interrupt_is_wanted. */
    if (!__atomic_compare_exchange_n(&interrupt->word, &word, wanted, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        return word & HALO_INTERRUPT_RUNNING ? 0 : HALO_ESTATE; /* 0: it is wanted already */
    /* Neither can fail: the counter is 0, and the thread waits in halo__interrupt_end for us. */
    (void)!write(interrupt->fd, &one, sizeof(one));
    if (interrupt->by_signal)
        (void)pthread_kill((pthread_t)interrupt->thread, SIGURG);
    /* Release pairs with the look in halo__interrupt_end: the bell has been rung. */
    __atomic_fetch_and(&interrupt->word, ~(uint32_t)HALO_INTERRUPT_RINGING, __ATOMIC_RELEASE);
    errno = before;
    return 0;
}

int halo__interrupt_terminate(struct halo_interrupt *interrupt)
{
    int error;

    /* Before the word: whoever sees that the run is wanted to end sees this (acquire and release
     * there). One that comes too late for its run is taken back. */
    __atomic_store_n(&interrupt->ends, 1, __ATOMIC_RELAXED);
    error = halo__interrupt_want(interrupt);
    if (error)
        __atomic_store_n(&interrupt->ends, 0, __ATOMIC_RELAXED);
    return error;
}

bool halo__interrupt_was_terminated(struct halo_interrupt *interrupt)
{
    return __atomic_exchange_n(&interrupt->ends, 0, __ATOMIC_RELAXED) != 0;
}

bool halo__interrupt_end(struct halo_interrupt *interrupt)
{
    const uint32_t ours = HALO_INTERRUPT_RUNNING | HALO_INTERRUPT_WANTED;
    /* From here on nobody finds it RUNNING. Acquire, as below, pairs with the end of the ringing.
     */
    uint32_t word = __atomic_fetch_and(&interrupt->word, ~ours, __ATOMIC_ACQ_REL);
    const bool was_wanted = word & HALO_INTERRUPT_WANTED;
    uint64_t rung;

    for (uint32_t i = 0; word & HALO_INTERRUPT_RINGING; i++) {
        if (i < YIELDS)
            sched_yield();
        else
            nanosleep(&(struct timespec){0, SLEEP_NS}, NULL);
        word = __atomic_load_n(&interrupt->word, __ATOMIC_ACQUIRE);
    }
    if (was_wanted)
        (void)!read(interrupt->fd, &rung, sizeof(rung)); /* the signal is signals.h's to drop */
    return was_wanted;
}
