/* Measuring rows, and telling what came of it: a table (report.c), and a file of JSON (json.c). */
#ifndef HALO_BENCH_REPORT_H
#define HALO_BENCH_REPORT_H

#include "bench.h"
#include <stdio.h>

/*
 * A row has so many samples at most and at least, and within these so many as its time allows, of
 * which all rows together have so much.
 */
#define REPORT_SAMPLES 101
#define REPORT_LEAST 11
#define REPORT_LEAST_OF_ALL 5 /* where all rows are taken, which is more than a hundred */
#define REPORT_SECONDS 5.0
#define REPORT_ALL_SECONDS 180.0

/* A histogram of times: 1/1024 ns is the unit, and a bucket is 1/64 of its value wide at most. */
#define REPORT_FINE 64u

struct report_histogram {
    uint32_t buckets[60 * REPORT_FINE];
    uint32_t count;
};

/* One that is measured: the row, or a neighbour of it. */
struct report_series {
    double samples[REPORT_SAMPLES]; /* ns; sorted in the end */
    double slices[REPORT_SAMPLES][BENCH_SLICES];
    int slice_count[REPORT_SAMPLES];
    struct report_histogram histogram; /* of slices */
    int count;
    const char *absent; /* why there are no samples */
    char remark[64];    /* what was counted */
};

/* ns around each sample. */
struct report_floors {
    double before[REPORT_SAMPLES], after[REPORT_SAMPLES], mean[REPORT_SAMPLES];
    int count;
};

struct report_result {
    const struct bench_row *row;
    struct report_series series[1 + BENCH_NEIGHBOURS]; /* the row's own first */
    struct report_floors one_line, two_lines;
    int taken; /* samples, before any was dropped */
};

struct report {
    FILE *json;
    const char *path;
    long json_end; /* where the next result goes, over the end of the file as it is */
    bool heading_printed, row_written;
    const char *absent[8]; /* why neighbours were not there, each reason once */
};

/* What is told of a series, in the row's unit. */
struct report_figures {
    double median, min, p99;
};

/*
 * `path` may be NULL: no file then. `commit` is what was measured, or NULL where nobody knows.
 * False where the file cannot be written, which was printed.
 */
bool report_open(struct report *report, const char *path, const char *commit);
/* `seconds` are those of a whole row; this one takes its share of them, and `least` samples. */
void report_row(struct report *report, const struct bench_row *row, double seconds, int least);
double report_share(const struct bench_row *row);
bool report_close(struct report *report);

struct report_figures report_figures(const struct bench_row *row,
                                     const struct report_series *series);
const char *report_unit(const struct bench_row *row);
/* How many times better than its neighbour `n` the row is. */
double report_ratio(const struct report_result *result, int n);
double report_median(const double *sorted, int count);
double report_percentile(const struct report_histogram *histogram, uint32_t percent);

/* The file is whole after each of these. */
void json_begin(struct report *report, const char *commit);
void json_result(struct report *report, const struct report_result *result);

/* Who compiled this program, "gcc 12.2.0". */
extern const char report_compiler[];

#endif
