/*
 * The inline functions of the public headers once more, as ordinary functions: for languages that
 * cannot include a C header. In this file alone each is defined with external linkage. So it
 * is a translation unit of its own, also where the other sources of the ring are one together.
 */
#ifdef HALO_SHM_H
#error "exported.c is a translation unit of its own: leave it out of a file with the other sources"
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC visibility push(default)
/* "static inline" becomes "extern inline", which in C defines the function here. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wkeyword-macro"
#endif
#define static extern
#include <halo/draft.h>
#include <halo/driver.h>
#include <halo/device.h>
#include <halo/halves.h>
#include <halo/pool.h>
#include <halo/receiver.h>
#include <halo/sender.h>
