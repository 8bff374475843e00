/*
 * halo bench: every row beside its neighbours, in turns, and a table of it.
 *
 * Of rows that cross cores only those samples count that were taken while a hand-over of two cache
 * lines cost about what it does most of the time: machines here have two states, and flip.
 */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SAMPLES_MAX 101

static const char usage[] =
    "usage: halo bench [OPTIONS] [PATTERN]   measure the rows whose names contain PATTERN\n"
    "\n"
    "  --json FILE      write the results to FILE, too\n"
    "  --quick          a fifth of the samples\n"
    "  --list           only the names of the rows, and their neighbours\n"
    "  --count ROW N    N operations of one row and nothing else, for an instruction counter\n"
    "\n"
    "Times are ns for one operation. `ratio` is how many times better than the neighbour; floor "
    "is\n"
    "what handing two cache lines to the other core and back cost around the samples.\n";

struct series {
    double all[SAMPLES_MAX];
    int count;
};

struct result {
    const struct bench_row *row;
    struct series own, others[BENCH_NEIGHBOURS], one_line, two_lines;
    const char *absent[BENCH_NEIGHBOURS];
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void sort(struct series *series)
{
    qsort(series->all, (size_t)series->count, sizeof(double), ascending);
}

/* Of a sorted series. */
static double percentile(const struct series *series, int percent)
{
    return series->all[(series->count - 1) * percent / 100];
}

static double median(const struct series *series)
{
    return percentile(series, 50);
}

static void add(struct series *series, double value)
{
    series->all[series->count++] = value;
}

/* Drop the samples of everybody that were taken while the floor was another. */
static void keep_usual_floor(struct result *result)
{
    struct series sorted = result->two_lines;
    double usual;
    int kept = 0;

    sort(&sorted);
    usual = median(&sorted);
    for (int i = 0; i < result->two_lines.count; i++) {
        if (result->two_lines.all[i] > 1.3 * usual || result->two_lines.all[i] < usual / 1.3)
            continue;
        result->own.all[kept] = result->own.all[i];
        result->one_line.all[kept] = result->one_line.all[i];
        result->two_lines.all[kept] = result->two_lines.all[i];
        for (int n = 0; n < BENCH_NEIGHBOURS; n++)
            result->others[n].all[kept] = result->others[n].all[i];
        kept++;
    }
    result->own.count = result->one_line.count = result->two_lines.count = kept;
    for (int n = 0; n < BENCH_NEIGHBOURS; n++) {
        if (result->others[n].count > 0)
            result->others[n].count = kept;
    }
}

static void measure(struct result *result, int samples)
{
    const struct bench_row *row = result->row;

    for (int n = 0; n < BENCH_NEIGHBOURS; n++) {
        const struct bench_neighbour *other = &row->neighbours[n];

        result->absent[n] = other->name && other->absent ? other->absent() : NULL;
    }
    (void)row->sample(); /* warm */
    for (int i = 0; i < samples; i++) {
        double one = 0, two = 0;

        if (row->crosses_cores) {
            one = bench_one_line();
            two = bench_two_lines();
        }
        add(&result->own, row->sample());
        for (int n = 0; n < BENCH_NEIGHBOURS; n++) {
            if (row->neighbours[n].name && !result->absent[n])
                add(&result->others[n], row->neighbours[n].sample());
        }
        if (row->crosses_cores) {
            add(&result->one_line, (one + bench_one_line()) / 2);
            add(&result->two_lines, (two + bench_two_lines()) / 2);
        }
    }
    if (row->crosses_cores)
        keep_usual_floor(result);
    sort(&result->own);
    sort(&result->one_line);
    sort(&result->two_lines);
    for (int n = 0; n < BENCH_NEIGHBOURS; n++)
        sort(&result->others[n]);
}

/* --- On the terminal -------------------------------------------------------------------------- */

static void print_heading(void)
{
    printf("%-22s %-44s %9s %9s %9s %7s %9s\n", "ns for one operation", "", "median", "min", "p99",
           "ratio", "floor");
}

static void print_result(const struct result *result)
{
    const struct bench_row *row = result->row;

    printf("%-22s %-44s %9.1f %9.1f %9.1f %7s", row->name, row->what, median(&result->own),
           result->own.all[0], percentile(&result->own, 99), "");
    if (row->crosses_cores)
        printf(" %9.1f", median(&result->two_lines));
    printf("\n");
    for (int n = 0; n < BENCH_NEIGHBOURS && row->neighbours[n].name; n++) {
        const struct series *other = &result->others[n];

        if (other->count == 0)
            printf("%-22s   %-42s absent: %s\n", "", row->neighbours[n].name, result->absent[n]);
        else
            printf("%-22s   %-42s %9.1f %9.1f %9.1f %7.2f\n", "", row->neighbours[n].name,
                   median(other), other->all[0], percentile(other, 99),
                   median(other) / median(&result->own));
    }
    fflush(stdout);
}

/* --- As JSON ---------------------------------------------------------------------------------- */

static void write_neighbour(FILE *file, const struct result *result, int n)
{
    fprintf(file, "{\"name\": \"%s\", \"median\": %.3f}", result->row->neighbours[n].name,
            median(&result->others[n]));
}

static void write_result(FILE *file, const struct result *result, bool first)
{
    bool any = false;

    fprintf(file,
            "%s\n    {\"name\": \"%s\", \"unit\": \"ns\", \"median\": %.3f, \"min\": %.3f, "
            "\"p99\": %.3f, \"neighbour\": ",
            first ? "" : ",", result->row->name, median(&result->own), result->own.all[0],
            percentile(&result->own, 99));
    if (result->others[0].count > 0) {
        write_neighbour(file, result, 0);
        fprintf(file, ", \"ratio\": %.3f", median(&result->others[0]) / median(&result->own));
    } else {
        fprintf(file, "null, \"ratio\": null");
    }
    fprintf(file, ", \"others\": [");
    for (int n = 1; n < BENCH_NEIGHBOURS; n++) {
        if (result->others[n].count == 0)
            continue;
        fprintf(file, any ? ", " : "");
        write_neighbour(file, result, n);
        any = true;
    }
    fprintf(file, "]");
    if (result->row->crosses_cores)
        fprintf(file, ", \"floor\": %.3f, \"one_line\": %.3f", median(&result->two_lines),
                median(&result->one_line));
    fprintf(file, "}");
}

static void write_machine(FILE *file)
{
    char model[128] = "unknown", line[256];
    FILE *cpuinfo = fopen("/proc/cpuinfo", "r");
    struct utsname host;

    while (cpuinfo && fgets(line, sizeof(line), cpuinfo)) {
        if (sscanf(line, "model name : %127[^\n\"\\]", model) == 1)
            break;
    }
    if (cpuinfo)
        fclose(cpuinfo);
    bench_must(uname(&host) == 0, "no uname");
    fprintf(file,
            "{\n  \"machine\": {\"system\": \"%s\", \"release\": \"%s\", \"architecture\": \"%s\", "
            "\"processor\": \"%s\", \"cores\": %ld, \"compiler\": \"%s\"},\n  \"results\": [",
            host.sysname, host.release, host.machine, model, sysconf(_SC_NPROCESSORS_ONLN),
            __VERSION__);
}

/* --- Rows ------------------------------------------------------------------------------------- */

static const struct bench_row *const files[] = {bench_ring_rows, bench_pool_rows, bench_queue_rows};
#define FILES (sizeof(files) / sizeof(files[0]))

static int list(void)
{
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            printf("%-22s %s%s\n", row->name, row->what, row->count ? "" : " (cannot be counted)");
            for (int n = 0; n < BENCH_NEIGHBOURS && row->neighbours[n].name; n++) {
                const struct bench_neighbour *other = &row->neighbours[n];
                const char *absent = other->absent ? other->absent() : NULL;

                printf("%-22s   %s%s%s\n", "", other->name, absent ? ": " : "",
                       absent ? absent : "");
            }
        }
    }
    return 0;
}

static int count(const char *name, const char *number)
{
    char *end;
    const unsigned long long operations = strtoull(number, &end, 10);

    if (*end || end == number) {
        fprintf(stderr, "halo bench: '%s' is not a number\n", number);
        return 2;
    }
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            if (strcmp(row->name, name) != 0)
                continue;
            if (!row->count) {
                fprintf(stderr, "halo bench: %s takes two threads and cannot be counted\n", name);
                return 2;
            }
            row->count(operations);
            return 0;
        }
    }
    fprintf(stderr, "halo bench: no row '%s'; --list tells which there are\n", name);
    return 2;
}

static int run(const char *pattern, const char *json, int samples)
{
    FILE *file = NULL;
    bool first = true;

    if (json && !(file = fopen(json, "w"))) {
        perror(json);
        return 1;
    }
    if (file)
        write_machine(file);
    for (size_t f = 0; f < FILES; f++) {
        for (const struct bench_row *row = files[f]; row->name; row++) {
            static struct result result;

            if (!strstr(row->name, pattern))
                continue;
            if (row->crosses_cores && sysconf(_SC_NPROCESSORS_ONLN) < 2) {
                printf("%-22s needs two cores\n", row->name);
                continue;
            }
            if (first)
                print_heading();
            memset(&result, 0, sizeof(result));
            result.row = row;
            measure(&result, samples);
            print_result(&result);
            if (file)
                write_result(file, &result, first);
            first = false;
        }
    }
    if (file) {
        fprintf(file, "\n  ]\n}\n");
        if (fclose(file) != 0) {
            perror(json);
            return 1;
        }
    }
    if (first) {
        fprintf(stderr, "halo bench: no row matches '%s'; --list tells which there are\n", pattern);
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *pattern = "", *json = NULL;
    int samples = SAMPLES_MAX;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        } else if (strcmp(argv[i], "--list") == 0) {
            return list();
        } else if (strcmp(argv[i], "--quick") == 0) {
            samples = SAMPLES_MAX / 5;
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            json = argv[++i];
        } else if (strcmp(argv[i], "--count") == 0 && i + 2 < argc) {
            return count(argv[i + 1], argv[i + 2]);
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "halo bench: unknown or incomplete option '%s'\n%s", argv[i], usage);
            return 2;
        } else {
            pattern = argv[i];
        }
    }
    return run(pattern, json, samples);
}
