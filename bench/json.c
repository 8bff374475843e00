/* Results as JSON, for bench/compare and bench/plot. */
#include "report.h"
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

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

/* The end of the file as it is now, over which the next result is written. */
static void write_end(struct report *report)
{
    report->json_end = ftell(report->json);
    fputs("\n  ]\n}\n", report->json);
    (void)fflush(report->json);
}

/*
 * What comparing and plotting need of a series, in ns: the quartiles of its samples, and every
 * fifth percentile of its slices from the first to the hundredth.
 */
static void write_spread(FILE *file, const struct report_series *series)
{
    fprintf(file, "\"quartiles\": [%.3f, %.3f], \"distribution\": [",
            series->samples[series->count / 4], series->samples[series->count * 3 / 4]);
    for (uint32_t percent = 0; percent <= 100; percent += 5)
        fprintf(file, "%s%.3f", percent ? ", " : "",
                report_percentile(&series->histogram, percent ? percent : 1));
    fputs("]", file);
}

static void write_neighbour(FILE *file, const struct report_result *result, int n)
{
    if (result->series[n].count == 0) {
        fputs("null", file);
        return;
    }
    fputs("{\"name\": ", file);
    write_string(file, result->row->neighbours[n - 1].name);
    fprintf(file, ", \"median\": %.3f, ", report_figures(result->row, &result->series[n]).median);
    write_spread(file, &result->series[n]);
    fputs("}", file);
}

static void write_result(FILE *file, const struct report_result *result)
{
    const struct report_figures figures = report_figures(result->row, &result->series[0]);
    const char *separator = "";

    fputs("    {\"name\": ", file);
    write_string(file, result->row->name);
    fputs(", \"what\": ", file);
    write_string(file, result->row->what);
    fprintf(file,
            ", \"unit\": \"%s\", \"bytes\": %llu,\n     \"median\": %.3f, \"min\": %.3f, "
            "\"p99\": %.3f, \"samples\": %d,\n     ",
            report_unit(result->row), (unsigned long long)result->row->bytes, figures.median,
            figures.min, figures.p99, result->series[0].count);
    write_spread(file, &result->series[0]);
    fputs(",\n     \"neighbour\": ", file);
    write_neighbour(file, result, 1);
    if (result->series[1].count > 0)
        fprintf(file, ", \"ratio\": %.3f", report_ratio(result, 1));
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
                report_median(result->two_lines.mean, result->two_lines.count),
                report_median(result->one_line.mean, result->one_line.count));
    fputs("}", file);
}

void json_result(struct report *report, const struct report_result *result)
{
    bench_must(fseek(report->json, report->json_end, SEEK_SET) == 0, "cannot seek in the results");
    fputs(report->row_written ? ",\n" : "\n", report->json);
    write_result(report->json, result);
    report->row_written = true;
    write_end(report);
}

/* "model name" of the first processor. */
static void find_model(char *model)
{
    FILE *cpuinfo = fopen("/proc/cpuinfo", "r");
    char line[256];

    while (cpuinfo && fgets(line, sizeof(line), cpuinfo)) {
        if (sscanf(line, "model name : %127[^\n]", model) == 1)
            break;
    }
    if (cpuinfo)
        fclose(cpuinfo);
}

void json_begin(struct report *report, const char *commit)
{
    FILE *const file = report->json;
    char model[128] = "unknown";
    struct utsname host;

    find_model(model);
    bench_must(uname(&host) == 0, "no uname");
    fputs("{\n  \"commit\": ", file);
    if (commit)
        write_string(file, commit);
    else
        fputs("null", file);
    fputs(",\n  \"machine\": {\"system\": ", file);
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
    write_end(report);
}
