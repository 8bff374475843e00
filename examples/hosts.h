/*
 * What the hosts among the examples share: text that a guest chose, where a terminal could obey it,
 * whether all that was printed was written, and the options of most.
 */
#ifndef EXAMPLES_HOSTS_H
#define EXAMPLES_HOSTS_H

#include <errno.h>
#include <halo/halo.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The backend of that name: 0, or HALO_EINVAL. */
static inline int choose_backend(struct halo_options *options, const char *name)
{
    if (strcmp(name, "kvm") == 0)
        options->backend = HALO_BACKEND_KVM;
    else if (strcmp(name, "process") == 0)
        options->backend = HALO_BACKEND_PROCESS;
    else
        return HALO_EINVAL;
    return 0;
}

/* A number as its digits, up to `most`: 0, or HALO_EINVAL. */
static inline int take_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;

    if (*text < '0' || *text > '9')
        return HALO_EINVAL;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return *end || errno || *number > most ? HALO_EINVAL : 0;
}

/* --backend, or --transport: 0, or HALO_EINVAL. */
static inline int take_option(struct halo_options *options, const char *option, const char *value)
{
    if (strcmp(option, "--backend") == 0)
        return choose_backend(options, value);
    if (strcmp(option, "--transport") != 0)
        return HALO_EINVAL;
    options->transport = strcmp(value, "stack") == 0 ? HALO_TRANSPORT_STACK : HALO_TRANSPORT_RING;
    return strcmp(value, "stack") == 0 || strcmp(value, "ring") == 0 ? 0 : HALO_EINVAL;
}

#endif
