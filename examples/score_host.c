/*
 * The lines of a text that fit a query best, by a function of untrusted code for rows,
 * examples/score.c:
 *
 *     score_host [--backend kvm|process] GUEST QUERY [BEST] < text
 *
 * The lines are gathered as a column, and 4096 of them, or a mebibyte, are a call; the query is one
 * value for all rows. The BEST (3) lines are printed, best first, of equal ones the first.
 */
#include <halo/rows.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hosts.h"

#define ROWS 4096u
#define BYTES (1u << 20)
#define BEST_MAX 100u

struct hit {
    double score;
    char *line;
};

static struct halo_sandbox *box;
static struct halo_rows rows;
static int function;
static const char *query;
static char text[BYTES];
static int32_t offsets[ROWS + 1];
static uint32_t count; /* of lines that are gathered */
static uint64_t total;
static struct hit best[BEST_MAX + 1];
static uint64_t best_count, best_max = 3;

/* Line number `row` of those that were gathered is as good as this: keep it if it is among the
 * best. */
static int take(uint32_t row, double score)
{
    const size_t len = (size_t)(offsets[row + 1] - offsets[row]);
    uint64_t at = best_count;

    while (at > 0 && best[at - 1].score < score)
        at--;
    if (at == best_max)
        return 0;
    memmove(&best[at + 1], &best[at], (best_count - at) * sizeof(best[0]));
    best[at] = (struct hit){score, strndup(text + offsets[row], len)};
    best_count++;
    if (best_count > best_max)
        free(best[--best_count].line);
    return best[at].line ? 0 : HALO_ENOMEM;
}

/* One call for all lines that were gathered. */
static int score(void)
{
    const int32_t ends[] = {0, (int32_t)strlen(query)};
    struct halo_column columns[] = {halo_texts(HALO_STR, offsets, text, NULL),
                                    halo_texts(HALO_STR, ends, query, NULL)};
    const double *scores;
    int error;

    columns[1].same = true;
    error = halo_call_rows(box, &rows, function, HALO_FOREVER, count, columns, 2);
    scores = rows.result.values;
    for (uint32_t i = 0; i < count && !error; i++) {
        if (halo_column_has(&rows.result, i) && scores[i] > 0)
            error = take(i, scores[i]);
    }
    total += count;
    count = 0;
    return error;
}

/* A line without its newline; what no text is, or is too long, is cut there. */
static int add(const char *line, size_t len)
{
    int error = 0;

    if (memchr(line, '\0', len))
        len = strlen(line);
    if (len > BYTES)
        len = BYTES;
    if (count == ROWS || len > BYTES - (size_t)offsets[count])
        error = score();
    memcpy(text + offsets[count], line, len);
    offsets[count + 1] = offsets[count] + (int32_t)len;
    count++;
    return error;
}

static int read_lines(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    int error = 0;

    while (!error && (len = getline(&line, &room, stdin)) >= 0)
        error = add(line, (size_t)(len > 0 && line[len - 1] == '\n' ? len - 1 : len));
    free(line);
    if (!error && ferror(stdin)) {
        fputs("score_host: standard input cannot be read\n", stderr);
        return HALO_EIO;
    }
    return !error && count > 0 ? score() : error;
}

static int open_guest(const char *path, const struct halo_options *options)
{
    static const struct halo_signature type = HALO_FN(HALO_F64, HALO_STR, HALO_STR);
    int error = halo_open(&box, path, options);

    if (!error)
        error = halo_serve_begin(box, HALO_FOREVER);
    if (error)
        return error;
    function = halo_lookup(box, "score.text", &type);
    return function < 0 ? function : 0;
}

static void print(void)
{
    struct halo_stats stats;

    for (uint64_t i = 0; i < best_count; i++) {
        printf("%.3f ", best[i].score);
        print_visible(stdout, best[i].line);
        putchar('\n');
    }
    halo_stats(box, &stats);
    fprintf(stderr, "%" PRIu64 " rows, %" PRIu64 " exits, %.1f ns for each row\n", total,
            stats.exits, (double)stats.elapsed_ns / (double)(total ? total : 1));
}

int main(int argc, char **argv)
{
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    int error = 0, first = 1;

    if (argc > 2 && strcmp(argv[1], "--backend") == 0) {
        error = choose_backend(&options, argv[2]);
        first = 3;
    }
    if (!error && argc == first + 3)
        error = take_number(argv[first + 2], BEST_MAX, &best_max);
    if (error || argc < first + 2 || argc > first + 3 || best_max == 0) {
        fputs("usage: score_host [--backend kvm|process] GUEST QUERY [BEST] < text\n", stderr);
        return 2;
    }
    query = argv[first + 1];
    error = open_guest(argv[first], &options);
    if (!error)
        error = read_lines();
    if (!error)
        print();
    else if (error == HALO_ECALL) /* the guest's words */
        fputs("score_host: ", stderr), print_visible(stderr, rows.future.text), fputc('\n', stderr);
    else if (error != HALO_EIO)
        fprintf(stderr, "score_host: %s\n",
                *halo_errmsg(box) ? halo_errmsg(box) : halo_strerror(error));
    for (uint64_t i = 0; i < best_count; i++)
        free(best[i].line);
    halo_rows_free(&rows);
    halo_close(box);
    return error || finish_output("score_host") ? 1 : 0;
}
