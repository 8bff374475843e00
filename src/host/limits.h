/*
 * What a guest may use up in all: processor time, and exits in a second. Looked at before each run
 * of the guest, and only where there is such a limit. Memory, stack, and what the host holds and
 * copies are bounded where they are given out; time is the deadline's.
 */
#ifndef HALO_SRC_LIMITS_H
#define HALO_SRC_LIMITS_H

#include "error.h"
#include "machine/machine.h"

struct halo_limits {
    bool any;
    int64_t cpu_ns;    /* that the guest may use, or 0 */
    int64_t cpu_base;  /* what had been used before it began */
    int64_t cpu_check; /* before this time it cannot have used it up */
    uint32_t cpu_lost; /* how often in a row nobody could tell */
    int64_t exit_ns;   /* what an exit counts for, or 0 */
    int64_t exit_at;   /* the time up to which exits are counted for */
};

/* Options to limits, for a machine that was created: 0, or an error with words. */
int halo__limits_begin(struct halo_limits *limits, struct halo_machine *machine,
                       struct halo_words *words, const struct halo_options *options);

/* Another guest goes on in the machine: it has used nothing yet. */
void halo__limits_restart(struct halo_limits *limits, struct halo_machine *machine);

/*
 * The guest is to run: 0, and *deadline is no later than the next look; or HALO_ELIMIT, or an error
 * of the host's, with words.
 */
int halo__limits_look(struct halo_limits *limits, struct halo_machine *machine,
                      struct halo_words *words, int64_t *deadline);

#endif
