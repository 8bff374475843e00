/* Words for an error. */
#include "error.h"
#include <stdarg.h>
#include <stdio.h>

/*
 * Names in them are anybody's choice: a guest's, a snapshot's. What a terminal would obey becomes
 * '?' (RES-07): control characters, also those that have two bytes in UTF-8, or one of their own.
 */
static void make_fit(char *text)
{
    unsigned char before = 0;

    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;

        if (byte < ' ' || byte == 0x7f ||
            (byte >= 0x80 && byte < 0xa0 && (before < 0x80 || before == 0xc2)))
            *text = '?';
        before = byte;
    }
}

int halo__fail(struct halo_words *words, int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words->text, sizeof(words->text), format, arguments);
    va_end(arguments);
    make_fit(words->text);
    return code;
}
