/* What guests of this folder ask first. */
#ifndef TESTS_GUESTS_CHECK_H
#define TESTS_GUESTS_CHECK_H

#include <halo/guest.h>

static inline void check(bool good, const char *what)
{
    if (!good)
        halo_panic(what);
}

static inline uint32_t opened(const char *name)
{
    uint32_t handle;

    check(halo_stream_open(name, &handle) == 0, "the stream is not offered");
    return handle;
}

#endif
