/* Measuring rows, and telling what came of it: a table, and a file of JSON. */
#ifndef HALO_BENCH_REPORT_H
#define HALO_BENCH_REPORT_H

#include "bench.h"
#include <stdio.h>

#define REPORT_SAMPLES 101 /* most samples of a row */

struct report {
    FILE *json;
    const char *path;
    int samples;
    bool heading_printed, row_written;
};

/* `path` may be NULL: no file then. False where it cannot be written, which was printed. */
bool report_open(struct report *report, const char *path, int samples);
void report_row(struct report *report, const struct bench_row *row);
bool report_close(struct report *report);

/* Who compiled this program, "gcc 12.2.0". */
extern const char report_compiler[];

#endif
