/* Words for an error. */
#include "error.h"
#include <stdarg.h>
#include <stdio.h>

int halo__fail(struct halo_words *words, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words->text, sizeof(words->text), format, arguments);
    va_end(arguments);
    return code;
}
