/*
 * What the hosts among the examples share: text that a guest chose, where a terminal could obey it,
 * and whether all that was printed was written.
 */
#ifndef EXAMPLES_VISIBLE_H
#define EXAMPLES_VISIBLE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* On a terminal what is no character there is a '?'; else the text is printed as it is. */
static inline void print_visible(FILE *to, const char *text)
{
    const int is_terminal = isatty(fileno(to));

    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;

        /* Bytes from 0x80 on may be UTF-8, but not those of control characters: 0xc2 0x80 to 0x9f.
         */
        if (is_terminal && (byte < ' ' || byte == 0x7f))
            fputc('?', to);
        else if (is_terminal && byte == 0xc2 && ((unsigned char)text[1] & 0xe0) == 0x80)
            fputc(*++text ? '?' : byte, to);
        else
            fputc(byte, to);
    }
}

/* 0, or 1 after a message: not all of standard output was written. */
static inline int finish_output(const char *program)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    fprintf(stderr, "%s: standard output cannot be written\n", program);
    return 1;
}

#endif
