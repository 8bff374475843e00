/*
 * Names for addresses of a guest. The guest's file, which has them, may say anything; so a process
 * reads it that can do nothing else: it is forked before the guest is opened, confines itself when
 * it has the file in memory, answers as often as it is asked, and is given up where it takes too
 * long. What goes wrong with it costs the names. Its answers are judged as the guest's own.
 */
#ifndef HALO_SRC_TOOL_SYMBOLS_H
#define HALO_SRC_TOOL_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of one: texts end, and are fit for a terminal. */
struct tool_place {
    uint32_t is_near; /* not 0: the function is the nearest one that is known, and ends before it */
    char function[128]; /* or "" */
    uint64_t offset;    /* from its beginning */
    char file[160];     /* or "" */
    uint32_t line;
};

#define SYMBOLS_MAX 64u

/* Whose guest it is going to be. Without effect where it cannot be had. */
void tool_symbols_begin(const char *path);

/* It has ended when this returns: whoever waits for all processes beneath this one meets none but
 * the command. Nothing is known from then on. */
void tool_symbols_end(void);

/* Places of so many addresses, SYMBOLS_MAX at most: false where nothing is known of any, now or
 * later. `left_ns` is what is left of a time limit, or INT64_MAX: it takes two seconds longer than
 * that at most. */
bool tool_symbols_find(const uint64_t *addresses, uint32_t count, struct tool_place *places,
                       int64_t left_ns);

/* --- In that process -------------------------------------------------------------------------- */

struct symbols_file {
    const unsigned char *bytes;
    uint64_t len;
};

/* What is added to the file's addresses where it is loaded. False: it is no ELF file. */
bool symbols_bias(const struct symbols_file *file, uint64_t *bias);
/* By the symbol table: fills in all but file and line. */
bool symbols_function(const struct symbols_file *file, uint64_t address, struct tool_place *place);
/* By DWARF, where this was built with libdw. */
void symbols_line(const struct symbols_file *file, uint64_t address, struct tool_place *place);

#endif
