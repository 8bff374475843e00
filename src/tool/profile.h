/* A profile of a guest: ways of calls, and how many samples had each. */
#ifndef HALO_SRC_TOOL_PROFILE_H
#define HALO_SRC_TOOL_PROFILE_H

#include "tool.h"
#include <stdlib.h>

#define PROFILE_NS 1003000 /* between two samples: no round number, which a guest may beat to */
#define PROFILE_DEPTH 48u
#define PROFILE_STACKS 16384u /* half of them are used at most */

struct profile_stack {
    uint64_t samples; /* 0: it is free */
    uint32_t count;
    bool runs; /* else it waits for its host */
    uint64_t addresses[PROFILE_DEPTH];
};

/* An address, and what is known of it. */
struct profile_name {
    uint64_t address;
    char text[140];
    char file[160];
    uint32_t line;
};

struct profile {
    int fd;
    bool is_pprof;
    uint64_t samples, lost; /* those that had no place in the table */
    uint32_t used;
    struct profile_stack *stacks;
    struct profile_name *names;
    uint32_t name_count;
};

/* By their addresses. */
static inline int tool_compare_names(const void *a, const void *b)
{
    const struct profile_name *left = a, *right = b;

    return left->address < right->address ? -1 : left->address > right->address;
}

/* Of an address that is in one of the stacks. */
static inline const struct profile_name *tool_profile_name(const struct profile *profile,
                                                           uint64_t address)
{
    const struct profile_name wanted = {.address = address};

    return bsearch(&wanted, profile->names, profile->name_count, sizeof(wanted),
                   tool_compare_names);
}

/* Whether a file of that name is for pprof: .pb or .pprof. */
bool tool_is_pprof(const char *path);

/* Write it as pprof reads it, not compressed: whether that went well. */
bool tool_profile_pprof(const struct profile *profile, FILE *file);

#endif
