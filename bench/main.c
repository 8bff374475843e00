/* halo bench: options, and which rows there are. */
#include "bench.h"
#include "machine.h"
#include "report.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: halo bench [OPTIONS] [PATTERN...]   measure rows: the one of that name, or those "
    "whose\n"
    "                                          names begin so\n"
    "\n"
    "  --json FILE      write the results to FILE, too, each as it comes\n"
    "  --commit NAME    what is measured, for that file\n"
    "  --quick          a fifth of the time\n"
    "  --list           only the names of the rows, and their neighbours\n"
    "  --count ROW N    N operations of one row and nothing else, for an instruction counter;\n"
    "                   its guest runs as a part of this process, unconfined\n"
    "  --compiler       only the name of the compiler that built this\n"
    "\n"
    "Times are ns for one operation, rates GB/s. `ratio` is how many times better than the\n"
    "neighbour Halo is: above 1 it is ahead. `floor` is what handing two cache lines to the other\n"
    "core and back cost around the samples. A row takes five seconds, or its part of three "
    "minutes\n"
    "for all of them, or what 11 samples take, or 5 where all are taken.\n";

static const struct bench_row *const files[] = {
    bench_ring_rows,     bench_halves_rows, bench_pool_rows,  bench_queue_rows, bench_call_rows,
    bench_rows_rows,     bench_stream_rows, bench_scale_rows, bench_life_rows,  bench_large_rows,
    bench_threaded_rows, bench_crowd_rows,  bench_clock_rows, bench_trace_rows};
#define FILES (sizeof(files) / sizeof(files[0]))

/* What is wrong with the command line. */
static int misused(const char *format, const char *word)
{
    fputs("halo bench: ", stderr);
    fprintf(stderr, format, word);
    fputs("\n`halo bench --help` lists the options.\n", stderr);
    return 2;
}

static int list(void)
{
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            printf("%-28s %s%s\n", row->name, row->what, row->count ? "" : " (cannot be counted)");
            for (int n = 0; n < BENCH_NEIGHBOURS && row->neighbours[n].name; n++) {
                const struct bench_neighbour *other = &row->neighbours[n];
                const char *absent = other->absent ? other->absent() : NULL;

                printf("%-28s   %s%s%s\n", "", other->name, absent ? ": absent: " : "",
                       absent ? absent : "");
            }
        }
    }
    return 0;
}

static int count(const char *name, const char *number)
{
    const size_t digits = strspn(number, "0123456789");

    if (digits == 0 || digits > 18 || number[digits])
        return misused("'%s' is not a number of operations", number);
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            if (strcmp(row->name, name) != 0)
                continue;
            if (!row->count)
                return misused("%s cannot be counted; --list tells which can", name);
            bench_machine_use();
            row->count(strtoull(number, NULL, 10));
            return 0;
        }
    }
    return misused("there is no row '%s'; --list tells which there are", name);
}

/* Whether some row has exactly this name. */
static bool is_row(const char *name)
{
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            if (strcmp(row->name, name) == 0)
                return true;
        }
    }
    return false;
}

/* Whether one of the patterns takes this row; where there are none, all rows are taken. */
static bool takes(const char *const *patterns, int count, const struct bench_row *row)
{
    for (int i = 0; i < count; i++) {
        if (is_row(patterns[i]) ? strcmp(row->name, patterns[i]) == 0
                                : strncmp(row->name, patterns[i], strlen(patterns[i])) == 0)
            return true;
    }
    return count == 0;
}

struct options {
    const char *patterns[16];
    int pattern_count;
    const char *json, *commit;
    bool is_quick;
};

static bool is_wanted(const struct options *options, const struct bench_row *row)
{
    return takes(options->patterns, options->pattern_count, row);
}

/* How many times a whole row's time all these rows are to take. */
static double whole_rows(const struct options *options)
{
    double rows = 0;

    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++)
            rows += is_wanted(options, row) ? report_share(row) : 0;
    }
    return rows;
}

static int run(const struct options *options)
{
    const double hurry = options->is_quick ? 0.2 : 1;
    const int least = options->pattern_count > 0 ? REPORT_LEAST : REPORT_LEAST_OF_ALL;
    double rows = whole_rows(options);
    struct report report;
    double end;

    for (int i = 0; i < options->pattern_count; i++) { /* before an older file is overwritten */
        bool any = false;

        for (size_t f = 0; f < FILES; f++) {
            for (const struct bench_row *row = files[f]; row->name; row++)
                any = any || takes(&options->patterns[i], 1, row);
        }
        if (!any)
            return misused("no row's name begins with '%s'; --list tells which there are",
                           options->patterns[i]);
    }
    bench_alone();
    if (!report_open(&report, options->json, options->commit))
        return 1;
    bench_stay();
    end = bench_now_ns() + REPORT_ALL_SECONDS * 1e9;
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            if (is_wanted(options, row)) {
                /* What an earlier row took too long, those that follow share. */
                const double part = (end - bench_now_ns()) / 1e9 / rows;

                report_row(&report, row, hurry * (part < REPORT_SECONDS ? part : REPORT_SECONDS),
                           least);
                rows -= report_share(row);
            }
        }
    }
    return report_close(&report) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options = {0};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        } else if (strcmp(argv[i], "--list") == 0) {
            return list();
        } else if (strcmp(argv[i], "--compiler") == 0) {
            puts(report_compiler);
            return 0;
        } else if (strcmp(argv[i], "--quick") == 0) {
            options.is_quick = true;
        } else if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--commit") == 0) {
            const char **const word = argv[i][2] == 'j' ? &options.json : &options.commit;

            if (i + 1 == argc)
                return misused("%s needs a name behind it", argv[i]);
            *word = argv[++i];
        } else if (strcmp(argv[i], "--count") == 0) {
            if (i + 3 != argc)
                return misused("%s needs a row and a number, and nothing else", "--count");
            return count(argv[i + 1], argv[i + 2]);
        } else if (argv[i][0] == '-') {
            return misused("there is no option '%s'", argv[i]);
        } else if (options.pattern_count == 16) {
            return misused("16 patterns are enough; what is '%s'?", argv[i]);
        } else {
            options.patterns[options.pattern_count++] = argv[i];
        }
    }
    return run(&options);
}
