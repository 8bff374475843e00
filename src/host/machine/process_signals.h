/* What the two files of the program share in which a guest runs as a process. */
#ifndef HALO_SRC_PROCESS_SIGNALS_H
#define HALO_SRC_PROCESS_SIGNALS_H

#include "bare_call.h"
#include "process_child.h"

#define HIDDEN __attribute__((visibility("hidden")))
/* What the guest can read, and nobody writes any more when it begins. */
#define TOLD __attribute__((section(".bss.told")))

/*
 * Signals are handled on a stack in guest memory, so that nothing of this program is written any
 * more when the guest runs, and what one guest leaves there goes with its memory. Its first word
 * is the frame of the last signal.
 */
extern uint64_t alternate HIDDEN;

HIDDEN void catch_signals(const struct child_setup *setup);

/* The host sees the exit code, and has words for it. */
__attribute__((noreturn)) static inline void give_up(enum child_step step)
{
    call3(__NR_exit_group, step, 0, 0);
    __builtin_trap(); /* a filter refuses even that */
}

static inline void require(enum child_step step, long result)
{
    if (result < 0)
        give_up(step);
}

#endif
