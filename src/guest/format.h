/* printf's formats, as far as a guest without a C library has them. */
#ifndef HALO_SRC_GUEST_FORMAT_H
#define HALO_SRC_GUEST_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Write at most `max` bytes, with no zero byte behind them. Returns how many. */
size_t halo__format(char *to, size_t max, const char *format, va_list args);

#endif
