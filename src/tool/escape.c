/*
 * What a terminal is sent. It obeys what it gets, and a name that somebody has chosen is no command
 * to it: so only what can be printed, line ends and tabs go out as they are.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <string.h>
#include <wchar.h>
#include <wctype.h>

static size_t as_numbers(const char *bytes, size_t len, char *shown)
{
    for (size_t i = 0; i < len; i++)
        (void)sprintf(shown + 4 * i, "\\x%02x", (unsigned char)bytes[i]);
    return 4 * len;
}

size_t tool_escape(const char *bytes, size_t len, char *shown, size_t *shown_len)
{
    mbstate_t state = {0};
    wchar_t character;
    size_t used = mbrtowc(&character, bytes, len, &state);

    if (used == 0 || used > len) { /* a zero byte, or no character of this locale */
        used = 1;
        character = L'\0';
    }
    if (iswprint((wint_t)character) || character == L'\n' || character == L'\t') {
        memcpy(shown, bytes, used);
        *shown_len = used;
    } else {
        *shown_len = as_numbers(bytes, used, shown);
    }
    return used;
}
