/*
 * What a terminal is sent. It obeys what it gets, and a name that somebody has chosen is no command
 * to it: so only what can be printed, line ends and tabs go out as they are.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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

void tool_print_guest(const char *bytes, size_t len)
{
    char shown[TOOL_ESCAPED_MAX];
    size_t shown_len;

    if (!tool_is_terminal(STDOUT_FILENO)) {
        fwrite(bytes, 1, len, tool_out);
        return;
    }
    while (len > 0) {
        const size_t used = tool_escape(bytes, len, shown, &shown_len);

        fwrite(shown, 1, shown_len, tool_out);
        bytes += used;
        len -= used;
    }
}

/* tool_err does the rest: a line end in a name is all that it cannot tell from one of ours. */
void tool_say(const char *format, ...)
{
    va_list arguments;
    char *text;
    int len;

    va_start(arguments, format);
    len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        return;
    for (int i = 0; i < len; i++) {
        if (text[i] == '\n' && i < len - 1)
            fputs("\\x0a", tool_err);
        else
            fputc(text[i], tool_err);
    }
    free(text);
}
