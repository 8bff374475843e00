/*
 * The inline functions of the public headers once more, as ordinary functions: for languages that
 * cannot include a C header. In this file alone each is defined with external linkage.
 */
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
#include <halo/value.h>
#include <halo/column.h>
