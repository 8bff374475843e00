/*
 * Functions of a guest's, called for many rows: a call with columns for each slice of them, beside
 * the same function of the host's own, and calls of one row in batches. An operation is a row.
 */
#include "bench.h"
#include "machine.h"
#include <halo/rows.h>
#include <stdio.h>
#include <string.h>

#define TABLE 262144u /* rows that there are */
#define TEXT_LEN 20u
#define BATCH 128u
#define AHEAD_MAX 8u

enum function { MUL, MUL_ONE, SUM, COPY };

struct way {
    enum function function;
    uint32_t slice, ahead; /* slices that are started before the first is waited for; 0: one */
    bool is_process;
    bool has_nulls;
    bool is_batch; /* calls of one row, BATCH an exit */
};

static const struct {
    const char *name;
    struct halo_signature type;
} functions[] = {
    [MUL] = {"mul", HALO_FN(HALO_F64, HALO_F64, HALO_F64)},
    [MUL_ONE] = {"mul.one", HALO_FN(HALO_F64, HALO_F64, HALO_F64)},
    [SUM] = {"sum", HALO_FN(HALO_I64, HALO_STR)},
    [COPY] = {"copy", HALO_FN(HALO_STR, HALO_STR)},
};

static double x[TABLE], y[TABLE], products[TABLE];
static int64_t sums[TABLE];
static char text[TABLE * TEXT_LEN], copies[TABLE * TEXT_LEN];
static int32_t offsets[TABLE + 1];
static unsigned char validity[TABLE / 8];

/* As many rows of the table as will be used. */
static void fill(uint32_t count)
{
    memset(validity, 0x7f, count / 8);
    for (uint32_t i = 0; i < count; i++) {
        x[i] = i;
        y[i] = 0.5;
        offsets[i] = (int32_t)(i * TEXT_LEN);
    }
    memset(text, 'x', count * TEXT_LEN);
    offsets[count] = (int32_t)(count * TEXT_LEN);
}

static struct halo_sandbox *open_guest(const struct way *way, int *function)
{
    const struct halo_options options = {.backend = bench_backend(way->is_process)};
    struct halo_sandbox *box;

    bench_must(halo_open(&box, BENCH_ROWS, &options) == 0, "cannot open the guest");
    if (halo_serve_begin(box, HALO_FOREVER))
        bench_fail(halo_errmsg(box));
    *function = halo_lookup(box, functions[way->function].name, &functions[way->function].type);
    if (*function < 0)
        bench_fail(halo_errmsg(box));
    return box;
}

static void in_slices(const struct way *way, struct halo_sandbox *box, int function, uint64_t total)
{
    static struct halo_rows rows[AHEAD_MAX];
    const uint32_t ahead = way->ahead ? way->ahead : 1;
    const unsigned char *valid = way->has_nulls ? validity : NULL;
    struct halo_column args[] = {halo_numbers(HALO_F64, x, valid), halo_numbers(HALO_F64, y, NULL)};
    const size_t count = way->function <= MUL_ONE ? 2 : 1;

    if (way->function >= SUM)
        args[0] = halo_texts(HALO_STR, offsets, text, valid);
    for (uint64_t done = 0; done < total; done += ahead * way->slice) {
        for (uint32_t i = 0; i < ahead; i++) {
            args[0].first = args[1].first = (uint32_t)((done + i * way->slice) % TABLE);
            halo_call_rows_start(box, &rows[i], function, way->slice, args, count, 0);
        }
        for (uint32_t i = 0; i < ahead; i++) {
            if (halo_wait(&rows[i].future, HALO_FOREVER))
                bench_fail(halo_errmsg(box));
        }
    }
    for (uint32_t i = 0; i < ahead; i++)
        halo_rows_free(&rows[i]);
}

static void in_batches(struct halo_sandbox *box, int function, uint64_t total)
{
    static struct halo_future futures[BATCH];

    for (uint64_t done = 0; done < total; done += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            const uint64_t row = (done + i) % TABLE;
            const struct halo_value args[] = {halo_f64(x[row]), halo_f64(y[row])};

            halo_call_start(box, &futures[i], function, args, 2);
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            bench_must(halo_wait(&futures[i], HALO_FOREVER) == 0, "a call failed");
            products[(done + i) % TABLE] = futures[i].result.f64;
        }
    }
}

static void run(const struct way *way, uint64_t total)
{
    const uint32_t ahead = way->ahead ? way->ahead : 1;
    const uint32_t warm = (ahead > 1 ? 12 : 4) * (way->is_batch ? BATCH : ahead * way->slice);
    struct halo_stats before, after;
    struct halo_sandbox *box;
    char words[40];
    int function;

    fill(total < TABLE && warm < TABLE ? total < warm ? warm : (uint32_t)total : TABLE);
    box = open_guest(way, &function);
    if (way->is_batch)
        in_batches(box, function, warm);
    else
        in_slices(way, box, function, warm);
    halo_stats(box, &before);
    bench_begin();
    if (way->is_batch)
        in_batches(box, function, total);
    else
        in_slices(way, box, function, total);
    bench_end();
    halo_stats(box, &after);
    (void)snprintf(words, sizeof(words), "%.5f exits a row",
                   (double)(after.exits - before.exits) / (double)total);
    bench_remark(words);
    halo_close(box);
}

/* --- The same functions of the host's own ------------------------------------------------------
 */

__attribute__((noinline)) static void mul(const double *a, const double *b, double *to,
                                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = a[i] * b[i];
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void sum(const int32_t *at, int64_t *to, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t total = 0;

        for (int32_t k = at[i]; k < at[i + 1]; k++)
            total += text[k];
        to[i] = total;
    }
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void copy(const int32_t *at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        memcpy(copies + at[i], text + at[i], (size_t)(at[i + 1] - at[i]));
    __asm__ volatile("" ::: "memory");
}

#define NATIVE(name, call)                         \
    static void name##_work(uint64_t total)        \
    {                                              \
        fill(TABLE);                               \
        bench_begin();                             \
        for (uint64_t i = 0; i < total; i += 4096) \
            call;                                  \
        bench_end();                               \
    }                                              \
    static double name(void)                       \
    {                                              \
        return bench_timed(name##_work, TABLE);    \
    }

NATIVE(native_mul, mul(x + i, y + i, products + i, 4096))
NATIVE(native_sum, sum(offsets + i, sums + i, 4096))
NATIVE(native_copy, copy(offsets + i, 4096))

/* --- Rows of the table -------------------------------------------------------------------------
 */

#define SAMPLE(name, total, ...)                     \
    static void name##_work(uint64_t n)              \
    {                                                \
        static const struct way way = {__VA_ARGS__}; \
                                                     \
        run(&way, n);                                \
    }                                                \
    static double name(void)                         \
    {                                                \
        return bench_timed(name##_work, total);      \
    }

/* Both backends. */
#define SAMPLES(name, total, ...)    \
    SAMPLE(name, total, __VA_ARGS__) \
    SAMPLE(name##_process, total, .is_process = true, __VA_ARGS__)

SAMPLES(f64_128, TABLE, .function = MUL, .slice = 128)
SAMPLES(f64_1024, TABLE, .function = MUL, .slice = 1024)
SAMPLES(f64_4096, TABLE, .function = MUL, .slice = 4096)
SAMPLES(f64_32768, TABLE, .function = MUL, .slice = 32768)
SAMPLES(f64_ahead, 2 * TABLE, .function = MUL, .slice = 4096, .ahead = 8)
SAMPLES(f64_nulls, TABLE, .function = MUL, .slice = 4096, .has_nulls = true)
SAMPLES(f64_each, TABLE, .function = MUL_ONE, .slice = 4096)
SAMPLES(f64_batch, 16384, .function = MUL_ONE, .is_batch = true)
SAMPLES(sum_4096, TABLE, .function = SUM, .slice = 4096)
SAMPLES(sum_32768, TABLE, .function = SUM, .slice = 32768)
SAMPLES(sum_ahead, 2 * TABLE, .function = SUM, .slice = 4096, .ahead = 8)
SAMPLES(copy_4096, TABLE, .function = COPY, .slice = 4096)
SAMPLES(copy_ahead, 2 * TABLE, .function = COPY, .slice = 4096, .ahead = 8)
SAMPLES(copy_nulls, TABLE, .function = COPY, .slice = 4096, .has_nulls = true)

#define BESIDE(sample_, native_)                           \
    .neighbours = {{"the host's own loop", native_, NULL}, \
                   {"in a process", sample_##_process, NULL}}

#define COUNTED(name_, what_, sample_, ...)                                                   \
    {                                                                                         \
        .name = name_, .what = what_, .sample = sample_, .count = sample_##_work, __VA_ARGS__ \
    }

const struct bench_row bench_rows_rows[] = {
    COUNTED("rows.f64.128", "f64(f64, f64), 128 rows a call", f64_128,
            .neighbours = {{"one by one, 128 an exit", f64_batch, NULL},
                           {"in a process", f64_128_process, NULL},
                           {"one by one, in a process", f64_batch_process, NULL},
                           {"the host's own loop", native_mul, NULL}}),
    COUNTED("rows.f64.1024", "1024 rows a call", f64_1024, BESIDE(f64_1024, native_mul)),
    COUNTED("rows.f64.4096", "4096 rows a call", f64_4096, BESIDE(f64_4096, native_mul)),
    COUNTED("rows.f64.32768", "32768 rows a call", f64_32768, BESIDE(f64_32768, native_mul)),
    COUNTED("rows.f64.ahead8", "4096, 8 slices an exit", f64_ahead, BESIDE(f64_ahead, native_mul)),
    COUNTED("rows.f64.nulls", "4096, some of them absent", f64_nulls,
            BESIDE(f64_nulls, native_mul)),
    COUNTED("rows.f64.each", "4096, of a function of one row", f64_each,
            BESIDE(f64_each, native_mul)),
    COUNTED("rows.i64_str.4096", "i64(str), 20 bytes, 4096 rows a call", sum_4096,
            BESIDE(sum_4096, native_sum)),
    COUNTED("rows.i64_str.32768", "32768 rows a call", sum_32768, BESIDE(sum_32768, native_sum)),
    COUNTED("rows.i64_str.ahead8", "4096, 8 slices an exit", sum_ahead,
            BESIDE(sum_ahead, native_sum)),
    COUNTED("rows.str.4096", "str(str), 20 bytes, 4096 rows a call", copy_4096,
            BESIDE(copy_4096, native_copy)),
    COUNTED("rows.str.ahead8", "4096, 8 slices an exit", copy_ahead,
            BESIDE(copy_ahead, native_copy)),
    COUNTED("rows.str.nulls", "4096, some of them absent", copy_nulls,
            BESIDE(copy_nulls, native_copy)),
    {.name = NULL},
};
