/* What a build with -Dchecks=true does where something does not hold (check.c here, of pools, of
 * queues). */
#ifndef HALO_RING_CHECK_H
#define HALO_RING_CHECK_H

/* Stop the program. */
#define HOLDS(condition)      \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

#endif
