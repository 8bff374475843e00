/*
 * A table with a user-defined function, examples/expression.c:
 *
 *     expression_host [--backend kvm|process] [--transport ring|stack] GUEST EXPRESSION [ROWS]
 *
 * The expression of x and y is evaluated for each row, x from 0 and y = 2 x, by untrusted code in a
 * sandbox, and the sum of all is printed. With the ring, a call has 4096 rows, as columns; stacks
 * carry none, and a call for each row.
 */
#include <halo/rows.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hosts.h"

#define BATCH 4096

static struct halo_sandbox *box;
static struct halo_future future;
static struct halo_rows batch;
static double x[BATCH], y[BATCH];

/* Compile the expression. Returns 0, or an error after a message. */
static int compile(const char *expression)
{
    static const struct halo_signature type = HALO_FN(HALO_VOID, HALO_STR);
    const int function = halo_lookup(box, "expression.compile", &type);
    int error = function;

    if (function > 0)
        error = halo_call(box, &future, function, HALO_FOREVER, halo_str(expression));
    if (error == HALO_ECALL) {
        fputs("expression_host: ", stderr);
        print_visible(stderr, future.text);
        fputc('\n', stderr);
    }
    return error;
}

/* Rows from `first` on, in one call. */
static int evaluate(int function, uint64_t first, uint32_t count, double *total)
{
    const struct halo_column columns[] = {halo_numbers(HALO_F64, x, NULL),
                                          halo_numbers(HALO_F64, y, NULL)};
    int error;

    for (uint32_t i = 0; i < count; i++) {
        x[i] = (double)(first + i);
        y[i] = 2 * x[i];
    }
    error = halo_call_rows(box, &batch, function, HALO_FOREVER, count, columns, 2);
    for (uint32_t i = 0; i < count && !error; i++)
        *total += ((const double *)batch.result.values)[i];
    return error;
}

static int evaluate_one(int function, uint64_t row, double *total)
{
    const double value = (double)row;
    const int error =
        halo_call(box, &future, function, HALO_FOREVER, halo_f64(value), halo_f64(2 * value));

    *total += error ? 0 : future.result.f64;
    return error;
}

int main(int argc, char **argv)
{
    static const struct halo_signature type = HALO_FN(HALO_F64, HALO_F64, HALO_F64);
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    uint64_t rows = 1000000;
    struct halo_stats stats;
    double total = 0;
    int error = 0, function = 0, first = 1;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2)
        error = take_option(&options, argv[first], argv[first + 1]);
    if (!error && argc == first + 3)
        error = take_number(argv[first + 2], UINT64_MAX, &rows);
    if (error || argc < first + 2 || argc > first + 3) {
        fprintf(stderr, "usage: expression_host [--backend kvm|process] [--transport ring|stack] "
                        "GUEST EXPRESSION [ROWS]\n");
        return 2;
    }

    error = halo_open(&box, argv[first], &options);
    if (!error)
        error = halo_serve_begin(box, HALO_FOREVER);
    if (!error)
        error = compile(argv[first + 1]);
    if (!error)
        error = function = halo_lookup(box, "expression.evaluate", &type);
    if (error > 0)
        error = 0;
    if (options.transport == HALO_TRANSPORT_STACK) {
        for (uint64_t row = 0; row < rows && !error; row++)
            error = evaluate_one(function, row, &total);
    } else {
        for (uint64_t row = 0; row < rows && !error; row += BATCH)
            error = evaluate(function, row, (uint32_t)(rows - row < BATCH ? rows - row : BATCH),
                             &total);
    }
    if (error && error != HALO_ECALL)
        fprintf(stderr, "expression_host: %s\n", halo_errmsg(box));
    if (!error) {
        halo_stats(box, &stats);
        printf("%.17g\n", total);
        fprintf(stderr, "%" PRIu64 " rows, %" PRIu64 " exits, %.1f ns for each row\n", rows,
                stats.exits, (double)stats.elapsed_ns / (double)(rows ? rows : 1));
    }
    halo_rows_free(&batch);
    halo_close(box);
    return error || finish_output("expression_host") ? 1 : 0;
}
