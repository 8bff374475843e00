/* The command, from the inside: a file per sub-command. */
#ifndef HALO_SRC_TOOL_H
#define HALO_SRC_TOOL_H

#include <halo/halo.h>

/* Exit codes besides the guest's own. */
enum tool_exit {
    TOOL_EXIT_USAGE = 2,   /* wrong use, a file or a machine that is not as it must be */
    TOOL_EXIT_GUEST = 3,   /* the guest faulted, panicked or broke the protocol */
    TOOL_EXIT_TIMEOUT = 4, /* it did not end in time */
};

int tool_run(int argc, char **argv);

#endif
