/*
 * An interrupt: another thread, or a signal's handler, ends what runs a guest just now. It says so
 * in a word, and then wakes whatever that sleeps in: KVM_RUN by a signal that is blocked elsewhere,
 * and epoll and poll by an eventfd.
 *
 *     begin   RUNNING                  the outermost function that runs the guest
 *     want    RUNNING -> + WANTED + RINGING, wakes, - RINGING        once for each RUNNING
 *     end     - RUNNING - WANTED, waits for RINGING to go, and takes what has woken it away
 *
 * So whoever has seen RUNNING has that run end, however early it came; and none that comes later,
 * or whose bell is late, reaches the next one. tests/spin/interrupt.pml has it as a model.
 */
#ifndef HALO_SRC_INTERRUPT_H
#define HALO_SRC_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

struct halo_interrupt {
    uint32_t word;  /* any thread's: enum halo_interrupt_bit */
    uint32_t ends;  /* any thread's: the program is to end, and not only its run */
    bool by_signal; /* the thread that enters the guest is woken by one: as long as it is RUNNING */
    uintptr_t thread; /* a pthread_t, be that a number or a pointer */
    int fd;           /* an eventfd; -1: none */
};

enum halo_interrupt_bit {
    HALO_INTERRUPT_RUNNING = 1,
    HALO_INTERRUPT_WANTED = 2,
    HALO_INTERRUPT_RINGING = 4, /* whoever wants it is on the way to wake the run */
};

/* 0, or HALO_EHOST with errno. */
int halo__interrupt_init(struct halo_interrupt *interrupt);
void halo__interrupt_free(struct halo_interrupt *interrupt);

/* Around a run, on its thread: by a signal, too, where it enters the guest itself, and signals are
 * borrowed (signals.h). */
void halo__interrupt_begin(struct halo_interrupt *interrupt, bool by_signal);
/* Whether it was wanted: then a signal may be pending. */
bool halo__interrupt_end(struct halo_interrupt *interrupt);

/* End the run that is under way: 0, or HALO_ESTATE where there is none. Any thread; a handler. */
int halo__interrupt_want(struct halo_interrupt *interrupt);

/* The same, and the program is to end. */
int halo__interrupt_terminate(struct halo_interrupt *interrupt);
/* Whether that was wanted, once. Its own thread asks, behind the run. */
bool halo__interrupt_was_terminated(struct halo_interrupt *interrupt);

/* The run is to end. Its own thread asks. */
static inline bool halo__interrupt_is_wanted(const struct halo_interrupt *interrupt)
{
    /* Acquire pairs with the exchange in halo__interrupt_want: what was done before is seen. Where
     * it is not seen yet, the bell is still to come. */
    return __atomic_load_n(&interrupt->word, __ATOMIC_ACQUIRE) & HALO_INTERRUPT_WANTED;
}

#endif
