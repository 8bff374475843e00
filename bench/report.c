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

#if defined(__clang__)
#define TEXT(number) #number
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)
const char report_compiler[] =
    "clang " VERSION(__clang_major__, __clang_minor__, __clang_patchlevel__);
#else
const char report_compiler[] = "gcc " __VERSION__;
#endif

/* --- Percentiles ------------------------------------------------------------------------------ */

static size_t bucket_of(double ns)
{
    const uint64_t value = (uint64_t)(ns * 1024);
    const unsigned shift = value < 2 * REPORT_FINE ? 0 : 57u - (unsigned)__builtin_clzll(value);

    return (size_t)(shift * REPORT_FINE + (value >> shift));
}

/* The time at which a bucket ends. */
static double bucket_end(size_t bucket)
{
    const unsigned shift = bucket < 2 * REPORT_FINE ? 0 : (unsigned)(bucket / REPORT_FINE - 1);

    return (double)((bucket - shift * REPORT_FINE + 1) << shift) / 1024;
}

static void histogram_add(struct report_histogram *histogram, double ns)
{
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
}

double report_percentile(const struct report_histogram *histogram, uint32_t percent)
{
    const uint32_t wanted = (histogram->count * percent + 99) / 100;
    uint32_t seen = 0;
    size_t i = 0;

    while ((seen += histogram->buckets[i]) < wanted)
        i++;
    return bucket_end(i);
}

/* --- Samples ---------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double report_median(const double *sorted, int count)
{
    return sorted[count / 2];
}

static void take_sample(struct report_series *series, double (*sample)(void))
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

static void floors_before(struct report_floors *floors, double (*floor)(void))
{
    floors->before[floors->count] = floor();
}

static void floors_after(struct report_floors *floors, double (*floor)(void))
{
    const int i = floors->count++;

    floors->after[i] = floor();
    floors->mean[i] = (floors->before[i] + floors->after[i]) / 2;
}

/* Keep sample `from` of everybody as number `to`. */
static void keep(struct report_result *result, int from, int to)
{
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        struct report_series *series = &result->series[n];

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
static void keep_usual_floor(struct report_result *result)
{
    const struct report_floors *floors = &result->two_lines;
    double all[2 * REPORT_SAMPLES], usual;
    int kept = 0;

    memcpy(all, floors->before, sizeof(double) * (size_t)floors->count);
    memcpy(all + floors->count, floors->after, sizeof(double) * (size_t)floors->count);
    qsort(all, 2 * (size_t)floors->count, sizeof(double), ascending);
    usual = report_median(all, 2 * floors->count);
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

static void evaluate(struct report_result *result)
{
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        struct report_series *series = &result->series[n];

        for (int i = 0; i < series->count; i++) {
            for (int k = 0; k < series->slice_count[i]; k++)
                histogram_add(&series->histogram, series->slices[i][k]);
        }
        qsort(series->samples, (size_t)series->count, sizeof(double), ascending);
    }
    qsort(result->one_line.mean, (size_t)result->one_line.count, sizeof(double), ascending);
    qsort(result->two_lines.mean, (size_t)result->two_lines.count, sizeof(double), ascending);
}

/* One of each, and the floors around them. */
static void take_round(struct report_result *result,
                       double (*const contestants[1 + BENCH_NEIGHBOURS])(void))
{
    if (result->row->crosses_cores) {
        floors_before(&result->one_line, bench_one_line);
        floors_before(&result->two_lines, bench_two_lines);
    }
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        const int turn = (n + result->taken) % (1 + BENCH_NEIGHBOURS); /* nobody is always first */

        if (contestants[turn])
            take_sample(&result->series[turn], contestants[turn]);
    }
    if (result->row->crosses_cores) {
        floors_after(&result->two_lines, bench_two_lines);
        floors_after(&result->one_line, bench_one_line);
    }
    result->taken++;
}

static bool wants_more(const struct report_result *result, double end, int least)
{
    if (result->row->is_once)
        return result->taken < 1;
    return result->taken < least || (result->taken < REPORT_SAMPLES && bench_now_ns() < end);
}

static void measure(struct report_result *result, double seconds, int least)
{
    const struct bench_row *row = result->row;
    double (*contestants[1 + BENCH_NEIGHBOURS])(void) = {row->sample};
    const double start = bench_now_ns();

    for (int n = 0; n < BENCH_NEIGHBOURS; n++) {
        const struct bench_neighbour *other = &row->neighbours[n];

        if (other->name && other->absent)
            result->series[1 + n].absent = other->absent();
        if (other->name && !result->series[1 + n].absent)
            contestants[1 + n] = other->sample;
    }
    for (int n = 0; n <= BENCH_NEIGHBOURS; n++) {
        if (contestants[n] && !row->is_once)
            (void)contestants[n](); /* warm */
    }
    while (wants_more(result, start + seconds * 1e9, least))
        take_round(result, contestants);
    if (row->crosses_cores)
        keep_usual_floor(result);
    evaluate(result);
}

/*
 * Of a rate, min is the lowest, and p99 the one that 99 of 100 slices reached. Everything is
 * measured as ns: a byte in a ns is a GB in a second.
 */
struct report_figures report_figures(const struct bench_row *row,
                                     const struct report_series *series)
{
    const double middle = report_median(series->samples, series->count);
    const double p99 = report_percentile(&series->histogram, 99);
    const double bytes = (double)row->bytes;

    if (row->bytes == 0)
        return (struct report_figures){middle, series->samples[0], p99};
    return (struct report_figures){bytes / middle, bytes / series->samples[series->count - 1],
                                   bytes / p99};
}

double report_ratio(const struct report_result *result, int n)
{
    const struct report_series *own = &result->series[0], *other = &result->series[n];

    return report_median(other->samples, other->count) / report_median(own->samples, own->count);
}

const char *report_unit(const struct bench_row *row)
{
    return row->bytes == 0 ? "ns" : "GB/s";
}

/* --- On the terminal -------------------------------------------------------------------------- */

static void print_figures(struct report_figures figures)
{
    printf(" %8.1f %8.1f %8.1f", figures.median, figures.min, figures.p99);
}

static void print_result(const struct report_result *result)
{
    const struct bench_row *row = result->row;

    printf("%-27s %-46s %-4s", row->name, row->what, report_unit(row));
    print_figures(report_figures(row, &result->series[0]));
    if (row->crosses_cores)
        printf(" %6s %6.0f", "", report_median(result->two_lines.mean, result->two_lines.count));
    else if (*result->series[0].remark)
        printf(" %6s %6s %s", "", "", result->series[0].remark);
    printf("\n");
    for (int n = 1; n <= BENCH_NEIGHBOURS && row->neighbours[n - 1].name; n++) {
        const struct report_series *other = &result->series[n];

        if (other->count == 0)
            continue;
        printf("%-27s   %-44s %-4s", "", row->neighbours[n - 1].name, report_unit(row));
        print_figures(report_figures(row, other));
        printf(" %6.2f", report_ratio(result, n));
        if (*other->remark)
            printf(" %6s %s", "", other->remark);
        printf("\n");
    }
    if (row->crosses_cores && result->series[0].count < result->taken)
        printf("%-27s   %d of %d samples count; the floor was another for the rest\n", "",
               result->series[0].count, result->taken);
    fflush(stdout);
}

/* --- All of it -------------------------------------------------------------------------------- */

bool report_open(struct report *report, const char *path, const char *commit)
{
    *report = (struct report){.path = path};
    if (!path)
        return true;
    report->json = fopen(path, "w");
    if (!report->json) {
        perror(path);
        return false;
    }
    json_begin(report, commit);
    return true;
}

/* Neighbours that are not there are told of in one line in the end. */
static void remember_absent(struct report *report, const struct report_result *result)
{
    const int most = (int)(sizeof(report->absent) / sizeof(report->absent[0]));

    for (int n = 1; n <= BENCH_NEIGHBOURS; n++) {
        const char *why = result->series[n].absent;

        for (int i = 0; i < most && why; i++) {
            if (!report->absent[i])
                report->absent[i] = why;
            if (strcmp(report->absent[i], why) == 0)
                break;
        }
    }
}

static void print_absent(const struct report *report)
{
    const int most = (int)(sizeof(report->absent) / sizeof(report->absent[0]));

    for (int i = 0; i < most && report->absent[i]; i++)
        printf("%s%s", i == 0 ? "\nNeighbours that are absent: " : "; ", report->absent[i]);
    if (report->absent[0])
        printf(" (`tools/deps neighbours` installs them)\n");
}

double report_share(const struct bench_row *row)
{
    return row->is_brief ? 0.2 : 1;
}

void report_row(struct report *report, const struct bench_row *row, double seconds, int least)
{
    static struct report_result result;

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
    measure(&result, seconds * report_share(row), least);
    if (row->leave)
        row->leave();
    print_result(&result);
    remember_absent(report, &result);
    if (report->json)
        json_result(report, &result);
}

bool report_close(struct report *report)
{
    bool wrong;

    print_absent(report);
    if (!report->json)
        return true;
    wrong = ferror(report->json) != 0;
    if (fclose(report->json) != 0 || wrong) {
        perror(report->path);
        return false;
    }
    return true;
}
