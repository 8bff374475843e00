/*
 * Every row beside its neighbours, in turns, and what came of it.
 *
 * Of rows that cross cores only those samples count that were taken while a hand-over of two cache
 * lines cost, before and after, about what it does most of the time: machines have two states here,
 * and flip.
 */
#include "report.h"
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__clang__)
#define TEXT(number) #number
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)
const char report_compiler[] =
    "clang " VERSION(__clang_major__, __clang_minor__, __clang_patchlevel__);
#else
const char report_compiler[] = "gcc " __VERSION__;
#endif

/* --- Percentiles ------------------------------------------------------------------------------ */

/* A histogram of times: 1/1024 ns is the unit, and a bucket is 1/64 of its value wide at most. */
#define FINE 64u

struct histogram {
    uint32_t buckets[60 * FINE];
    uint32_t count;
};

static size_t bucket_of(double ns)
{
    const uint64_t value = (uint64_t)(ns * 1024);
    const unsigned shift = value < 2 * FINE ? 0 : 57u - (unsigned)__builtin_clzll(value);

    return (size_t)(shift * FINE + (value >> shift));
}

/* The time at which a bucket ends. */
static double bucket_end(size_t bucket)
{
    const unsigned shift = bucket < 2 * FINE ? 0 : (unsigned)(bucket / FINE - 1);

    return (double)((bucket - shift * FINE + 1) << shift) / 1024;
}

static void histogram_add(struct histogram *histogram, double ns)
{
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
}

static double histogram_percentile(const struct histogram *histogram, uint32_t percent)
{
    const uint32_t wanted = (histogram->count * percent + 99) / 100;
    uint32_t seen = 0;
    size_t i = 0;

    while ((seen += histogram->buckets[i]) < wanted)
        i++;
    return bucket_end(i);
}

/* --- Samples ---------------------------------------------------------------------------------- */

/* One that is measured: the row, or a neighbour of it. */
struct series {
    double samples[REPORT_SAMPLES]; /* ns; sorted in the end */
    double slices[REPORT_SAMPLES][BENCH_SLICES];
    int slice_count[REPORT_SAMPLES];
    struct histogram histogram;
    int count;
    const char *absent; /* why there are no samples */
    char remark[64];    /* what was counted */
};

/* ns around each sample. */
struct floors {
    double before[REPORT_SAMPLES], after[REPORT_SAMPLES], mean[REPORT_SAMPLES];
    int count;
};

struct result {
    const struct bench_row *row;
    struct series series[1 + BENCH_NEIGHBOURS]; /* the row's own first */
    struct floors one_line, two_lines;
    int taken; /* samples, before any was dropped */
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *sorted, int count)
{
    return sorted[count / 2];
}

static void take_sample(struct series *series, double (*sample)(void))
{
    const int i = series->count++;
    const double *slices;

    bench_slices_forget();
    (void)bench_remarked();
    series->samples[i] = sample();
    (void)snprintf(series->remark, sizeof(series->remark), "%s", bench_remarked());
    series->slice_count[i] = bench_slices(&slices);
    if (series->slice_count[i] == 0) { /* one that is not made of slices */
        slices = &series->samples[i];
        series->slice_count[i] = 1;
    }
    memcpy(series->slices[i], slices, (size_t)series->slice_count[i] * sizeof(double));
}

static void floors_before(struct floors *floors, double (*floor)(void))
{
    floors->before[floors->count] = floor();
}

static void floors_after(struct floors *floors, double (*floor)(void))
{
    const int i = floors->count++;

    floors->after[i] = floor();
    floors->mean[i] = (floors->before[i] + floors->after[i]) / 2;
}

/* Keep sample `from` of everybody as number `to`. */
static void keep(struct result *result, int from, int to)
{
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        struct series *series = &result->series[n];

        if (series->count == 0)
            continue;
        series->samples[to] = series->samples[from];
        memcpy(series->slices[to], series->slices[from], sizeof(series->slices[to]));
        series->slice_count[to] = series->slice_count[from];
    }
    result->one_line.mean[to] = result->one_line.mean[from];
    result->two_lines.mean[to] = result->two_lines.mean[from];
}

/* Drop the samples of everybody that were taken while the floor was another. */
static void keep_usual_floor(struct result *result)
{
    const struct floors *floors = &result->two_lines;
    double all[2 * REPORT_SAMPLES], usual;
    int kept = 0;

    memcpy(all, floors->before, sizeof(double) * (size_t)floors->count);
    memcpy(all + floors->count, floors->after, sizeof(double) * (size_t)floors->count);
    qsort(all, 2 * (size_t)floors->count, sizeof(double), ascending);
    usual = median(all, 2 * floors->count);
    for (int i = 0; i < floors->count; i++) {
        if (floors->before[i] <= 1.3 * usual && floors->before[i] >= usual / 1.3 &&
            floors->after[i] <= 1.3 * usual && floors->after[i] >= usual / 1.3)
            keep(result, i, kept++);
    }
    if (kept == 0) /* it never stays: then all of them say as little */
        return;
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        if (result->series[n].count > 0)
            result->series[n].count = kept;
    }
    result->one_line.count = result->two_lines.count = kept;
}

static void evaluate(struct result *result)
{
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        struct series *series = &result->series[n];

        for (int i = 0; i < series->count; i++) {
            for (int k = 0; k < series->slice_count[i]; k++)
                histogram_add(&series->histogram, series->slices[i][k]);
        }
        qsort(series->samples, (size_t)series->count, sizeof(double), ascending);
    }
    qsort(result->one_line.mean, (size_t)result->one_line.count, sizeof(double), ascending);
    qsort(result->two_lines.mean, (size_t)result->two_lines.count, sizeof(double), ascending);
}

static void measure(struct result *result, int samples)
{
    const struct bench_row *row = result->row;
    double (*contestants[1 + BENCH_NEIGHBOURS])(void) = {row->sample};

    for (int n = 0; n < BENCH_NEIGHBOURS; n++) {
        const struct bench_neighbour *other = &row->neighbours[n];

        if (other->name && other->absent)
            result->series[1 + n].absent = other->absent();
        if (other->name && !result->series[1 + n].absent)
            contestants[1 + n] = other->sample;
    }
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        if (contestants[n])
            (void)contestants[n](); /* warm */
    }
    for (int i = 0; i < samples; i++) {
        if (row->crosses_cores) {
            floors_before(&result->one_line, bench_one_line);
            floors_before(&result->two_lines, bench_two_lines);
        }
        for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
            const int turn = (n + i) % (1 + BENCH_NEIGHBOURS); /* nobody is always first */

            if (contestants[turn])
                take_sample(&result->series[turn], contestants[turn]);
        }
        if (row->crosses_cores) {
            floors_after(&result->two_lines, bench_two_lines);
            floors_after(&result->one_line, bench_one_line);
        }
    }
    result->taken = samples;
    if (row->crosses_cores)
        keep_usual_floor(result);
    evaluate(result);
}

/* What is told of a series, in the row's unit. */
struct figures {
    double median, min, p99;
};

/*
 * Of a rate, min is the lowest, and p99 the one that 99 of 100 slices reached. Everything is
 * measured as ns: a byte in a ns is a GB in a second.
 */
static struct figures figures_of(const struct bench_row *row, const struct series *series)
{
    const double middle = median(series->samples, series->count);
    const double p99 = histogram_percentile(&series->histogram, 99);
    const double bytes = (double)row->bytes;

    if (row->bytes == 0)
        return (struct figures){middle, series->samples[0], p99};
    return (struct figures){bytes / middle, bytes / series->samples[series->count - 1],
                            bytes / p99};
}

static double ratio(const struct result *result, int n)
{
    const struct series *own = &result->series[0], *other = &result->series[n];

    return median(other->samples, other->count) / median(own->samples, own->count);
}

static const char *unit(const struct bench_row *row)
{
    return row->bytes == 0 ? "ns" : "GB/s";
}

/* --- On the terminal -------------------------------------------------------------------------- */

static void print_figures(struct figures figures)
{
    printf(" %8.1f %8.1f %8.1f", figures.median, figures.min, figures.p99);
}

static void print_result(const struct result *result)
{
    const struct bench_row *row = result->row;

    printf("%-27s %-46s %-4s", row->name, row->what, unit(row));
    print_figures(figures_of(row, &result->series[0]));
    if (row->crosses_cores)
        printf(" %6s %6.0f", "", median(result->two_lines.mean, result->two_lines.count));
    else if (*result->series[0].remark)
        printf(" %6s %6s %s", "", "", result->series[0].remark);
    printf("\n");
    for (int n = 1; n <= BENCH_NEIGHBOURS && row->neighbours[n - 1].name; n++) {
        const struct series *other = &result->series[n];

        printf("%-27s   %-44s %-4s", "", row->neighbours[n - 1].name, unit(row));
        if (other->count == 0) {
            printf(" absent (%s)\n", other->absent);
            continue;
        }
        print_figures(figures_of(row, other));
        printf(" %6.2f", ratio(result, n));
        if (*other->remark)
            printf(" %6s %s", "", other->remark);
        printf("\n");
    }
    if (row->crosses_cores && result->series[0].count < result->taken)
        printf("%-27s   %d of %d samples count; the floor was another for the rest\n", "",
               result->series[0].count, result->taken);
    fflush(stdout);
}

/* --- As JSON ---------------------------------------------------------------------------------- */

static void write_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        if ((unsigned char)*text >= ' ')
            fputc(*text, file);
    }
    fputc('"', file);
}

static void write_neighbour(FILE *file, const struct result *result, int n)
{
    if (result->series[n].count == 0) {
        fputs("null", file);
        return;
    }
    fputs("{\"name\": ", file);
    write_string(file, result->row->neighbours[n - 1].name);
    fprintf(file, ", \"median\": %.3f}", figures_of(result->row, &result->series[n]).median);
}

static void write_result(FILE *file, const struct result *result)
{
    const struct figures figures = figures_of(result->row, &result->series[0]);
    const char *separator = "";

    fputs("    {\"name\": ", file);
    write_string(file, result->row->name);
    fprintf(file,
            ", \"unit\": \"%s\", \"median\": %.3f, \"min\": %.3f, \"p99\": %.3f, \"samples\": %d,"
            "\n     \"neighbour\": ",
            unit(result->row), figures.median, figures.min, figures.p99, result->series[0].count);
    write_neighbour(file, result, 1);
    if (result->series[1].count > 0)
        fprintf(file, ", \"ratio\": %.3f", ratio(result, 1));
    else
        fputs(", \"ratio\": null", file);
    fputs(",\n     \"others\": [", file);
    for (int n = 2; n <= BENCH_NEIGHBOURS; n++) {
        if (result->series[n].count == 0)
            continue;
        fputs(separator, file);
        write_neighbour(file, result, n);
        separator = ", ";
    }
    fputs("]", file);
    if (*result->series[0].remark) {
        fputs(", \"remark\": ", file);
        write_string(file, result->series[0].remark);
    }
    if (result->row->crosses_cores)
        fprintf(file, ", \"floor\": %.3f, \"one_line\": %.3f",
                median(result->two_lines.mean, result->two_lines.count),
                median(result->one_line.mean, result->one_line.count));
    fputs("}", file);
}

static void write_machine(FILE *file)
{
    char model[128] = "unknown", line[256];
    FILE *cpuinfo = fopen("/proc/cpuinfo", "r");
    struct utsname host;

    while (cpuinfo && fgets(line, sizeof(line), cpuinfo)) {
        if (sscanf(line, "model name : %127[^\n]", model) == 1)
            break;
    }
    if (cpuinfo)
        fclose(cpuinfo);
    bench_must(uname(&host) == 0, "no uname");
    fputs("{\n  \"machine\": {\"system\": ", file);
    write_string(file, host.sysname);
    fputs(", \"release\": ", file);
    write_string(file, host.release);
    fputs(", \"architecture\": ", file);
    write_string(file, host.machine);
    fputs(", \"processor\": ", file);
    write_string(file, model);
    fprintf(file, ", \"cores\": %ld, \"compiler\": ", sysconf(_SC_NPROCESSORS_ONLN));
    write_string(file, report_compiler);
    fputs("},\n  \"results\": [", file);
}

/* --- All of it -------------------------------------------------------------------------------- */

bool report_open(struct report *report, const char *path, int samples)
{
    *report = (struct report){.path = path, .samples = samples};
    if (!path)
        return true;
    report->json = fopen(path, "w");
    if (!report->json) {
        perror(path);
        return false;
    }
    write_machine(report->json);
    return true;
}

void report_row(struct report *report, const struct bench_row *row)
{
    static struct result result;

    if (row->crosses_cores && !bench_two_cores()) {
        printf("%-27s needs two cores\n", row->name);
        return;
    }
    if (!report->heading_printed)
        printf("%-27s %-46s %-4s %8s %8s %8s %6s %6s\n", "", "one operation", "", "median", "min",
               "p99", "ratio", "floor");
    report->heading_printed = true;
    memset(&result, 0, sizeof(result));
    result.row = row;
    measure(&result, report->samples);
    print_result(&result);
    if (!report->json)
        return;
    fputs(report->row_written ? ",\n" : "\n", report->json);
    write_result(report->json, &result);
    report->row_written = true;
}

bool report_close(struct report *report)
{
    bool wrong;

    if (!report->json)
        return true;
    fputs("\n  ]\n}\n", report->json);
    wrong = ferror(report->json) != 0;
    if (fclose(report->json) != 0 || wrong) {
        perror(report->path);
        return false;
    }
    return true;
}
