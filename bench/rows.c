/*
 * Functions of a guest's, called for many rows: a call with columns for each slice of them, beside
 * the same function of the host's own, and calls of one row in batches. An operation is a row.
 */
#include "bench.h"
#include "machine.h"
#include "rows_table.h"
#include <halo/rows.h>
#include <stdio.h>
#include <string.h>

#define TABLE ROWS_TABLE
#define BATCH 128u
#define AHEAD_MAX 8u

enum function { MUL, MUL_ONE, SUM, COPY, LENGTH, TOTAL };

struct way {
    enum function function;
    uint32_t slice, ahead; /* slices that are started before the first is waited for; 0: one */
    bool is_process;
    bool has_nulls;
    bool is_batch; /* calls of one row, BATCH an exit */
    bool is_threaded;
    bool is_shared; /* all that are ahead have the same rows */
};

static const struct {
    const char *name;
    struct halo_signature type;
} functions[] = {
    [MUL] = {"mul", HALO_FN(HALO_F64, HALO_F64, HALO_F64)},
    [MUL_ONE] = {"mul.one", HALO_FN(HALO_F64, HALO_F64, HALO_F64)},
    [SUM] = {"sum", HALO_FN(HALO_I64, HALO_STR)},
    [COPY] = {"copy", HALO_FN(HALO_STR, HALO_STR)},
    [LENGTH] = {"length", HALO_FN(HALO_I64, HALO_BYTES)},
    [TOTAL] = {"total", HALO_FN(HALO_F64, HALO_F64)},
};

static struct halo_sandbox *open_guest(const struct way *way, int *function)
{
    const struct halo_options options = {.backend = bench_backend(way->is_process),
                                         .threaded = way->is_threaded};
    struct halo_sandbox *box;

    if (way->is_threaded) /* with one core neither side would look for the other */
        bench_spread();
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
    const unsigned char *valid = way->has_nulls ? rows_validity : NULL;
    struct halo_column args[] = {halo_numbers(HALO_F64, rows_x, valid),
                                 halo_numbers(HALO_F64, rows_y, NULL)};
    const size_t count = way->function <= MUL_ONE ? 2 : 1;

    if (way->function >= SUM)
        args[0] = halo_texts(HALO_STR, rows_offsets, rows_text, valid);
    for (uint64_t done = 0; done < total; done += ahead * way->slice) {
        for (uint32_t i = 0; i < ahead; i++) {
            const uint32_t which = way->is_shared ? 0 : i;

            args[0].first = args[1].first = (uint32_t)((done + which * way->slice) % TABLE);
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
            const struct halo_value args[] = {halo_f64(rows_x[row]), halo_f64(rows_y[row])};

            halo_call_start(box, &futures[i], function, args, 2);
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            bench_must(halo_wait(&futures[i], HALO_FOREVER) == 0, "a call failed");
            rows_products[(done + i) % TABLE] = futures[i].result.f64;
        }
    }
}

/* All slices are one aggregate, of one answer; or, each in a call with 4 KiB of bytes, counted as
 * so many rows. */
static void in_aggregate(const struct way *way, struct halo_sandbox *box, int function,
                         uint64_t total)
{
    static struct halo_rows rows;
    struct halo_column arg = halo_numbers(HALO_F64, rows_x, NULL);

    for (uint64_t done = 0; done < total; done += way->slice) {
        arg.first = (uint32_t)(done % TABLE);
        halo_call_rows_start(box, &rows, function, way->slice, &arg, 1,
                             done + way->slice < total ? HALO_ROWS_MORE : 0);
        if (halo_wait(&rows.future, HALO_FOREVER))
            bench_fail(halo_errmsg(box));
    }
    halo_rows_free(&rows);
}

static void in_bytes(const struct way *way, struct halo_sandbox *box, int function, uint64_t total)
{
    static struct halo_future future;

    for (uint64_t done = 0; done < total; done += way->slice) {
        /* One behind the other, as the rows are: both find them in the same caches. */
        const uint64_t at = done / way->slice * 4096 % sizeof(rows_text);
        const struct halo_value arg = halo_bytes(rows_text + at, 4096);

        halo_call_start(box, &future, function, &arg, 1);
        bench_must(halo_wait(&future, HALO_FOREVER) == 0, "a call failed");
    }
}

static void make(const struct way *way, struct halo_sandbox *box, int function, uint64_t total)
{
    if (way->is_batch)
        in_batches(box, function, total);
    else if (way->function == LENGTH)
        in_bytes(way, box, function, total);
    else if (way->function == TOTAL)
        in_aggregate(way, box, function, total);
    else
        in_slices(way, box, function, total);
}

static void run(const struct way *way, uint64_t total)
{
    const uint32_t ahead = way->ahead ? way->ahead : 1;
    const uint32_t warm = (ahead > 1 ? 12 : 4) * (way->is_batch ? BATCH : ahead * way->slice);
    struct halo_stats before, after;
    struct halo_sandbox *box;
    char words[40];
    int function;

    rows_fill(total < TABLE && warm < TABLE ? total < warm ? warm : (uint32_t)total : TABLE);
    box = open_guest(way, &function);
    make(way, box, function, warm);
    halo_stats(box, &before);
    bench_begin();
    make(way, box, function, total);
    bench_end();
    halo_stats(box, &after);
    (void)snprintf(words, sizeof(words), "%.5f exits a row",
                   (double)(after.exits - before.exits) / (double)total);
    bench_remark(words);
    halo_close(box);
    bench_stay();
}

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

/* Slices of each length, and the same where host and guest have a thread each. */
#define SLICES(name, function_)                                                                  \
    SAMPLES(name##_128, TABLE, .function = function_, .slice = 128)                              \
    SAMPLES(name##_1024, TABLE, .function = function_, .slice = 1024)                            \
    SAMPLES(name##_4096, TABLE, .function = function_, .slice = 4096)                            \
    SAMPLES(name##_32768, TABLE, .function = function_, .slice = 32768)                          \
    SAMPLES(name##_128_apart, TABLE, .function = function_, .slice = 128, .is_threaded = true)   \
    SAMPLES(name##_1024_apart, TABLE, .function = function_, .slice = 1024, .is_threaded = true) \
    SAMPLES(name##_4096_apart, TABLE, .function = function_, .slice = 4096, .is_threaded = true) \
    SAMPLES(name##_32768_apart, TABLE, .function = function_, .slice = 32768, .is_threaded = true)

SLICES(f64, MUL)
SLICES(sum, SUM)
SLICES(copy, COPY)
SAMPLES(f64_ahead, 2 * TABLE, .function = MUL, .slice = 4096, .ahead = 8)
SAMPLES(f64_nulls, TABLE, .function = MUL, .slice = 4096, .has_nulls = true)
SAMPLES(f64_each, TABLE, .function = MUL_ONE, .slice = 4096)
SAMPLES(f64_total, 4 * TABLE, .function = TOTAL, .slice = 4096)
SAMPLES(bytes_128, TABLE, .function = LENGTH, .slice = 128)
SAMPLES(f64_batch, 16384, .function = MUL_ONE, .is_batch = true)
SAMPLES(f64_ahead4, 2 * TABLE, .function = MUL, .slice = 4096, .ahead = 4)
SAMPLES(f64_shared4, 2 * TABLE, .function = MUL, .slice = 4096, .ahead = 4, .is_shared = true)
SAMPLES(sum_ahead4, 2 * TABLE, .function = SUM, .slice = 4096, .ahead = 4)
SAMPLES(sum_shared4, 2 * TABLE, .function = SUM, .slice = 4096, .ahead = 4, .is_shared = true)
SAMPLES(sum_ahead, 2 * TABLE, .function = SUM, .slice = 4096, .ahead = 8)
SAMPLES(sum_nulls, TABLE, .function = SUM, .slice = 4096, .has_nulls = true)
SAMPLES(copy_ahead, 2 * TABLE, .function = COPY, .slice = 4096, .ahead = 8)
SAMPLES(copy_nulls, TABLE, .function = COPY, .slice = 4096, .has_nulls = true)

/* Who has slices as long, and no Halo. */
#define OTHERS(name, function, slice)                \
    static double pipes_##name##_##slice(void)       \
    {                                                \
        return rows_pipes(function, slice);          \
    }                                                \
    static double pipes_apart_##name##_##slice(void) \
    {                                                \
        return rows_pipes_apart(function, slice);    \
    }                                                \
    static double wasm2c_##name##_##slice(void)      \
    {                                                \
        return rows_wasm2c(function, slice);         \
    }                                                \
    static double node_##name##_##slice(void)        \
    {                                                \
        return rows_node(function, slice);           \
    }
#define ALL_OTHERS(name, function) \
    OTHERS(name, function, 128)    \
    OTHERS(name, function, 1024)   \
    OTHERS(name, function, 4096)   \
    OTHERS(name, function, 32768)

ALL_OTHERS(f64, ROWS_MUL)
ALL_OTHERS(sum, ROWS_SUM)
ALL_OTHERS(copy, ROWS_COPY)

/* --- Where rows pass two pipes -----------------------------------------------------------------
 */

/*
 * The slice from which on the exit, shared by its rows, is below a third of what two pipes take for
 * a row of a message as long. What an exit takes is what slices of 128 rows take more than such of
 * 32768.
 */
static struct crossing {
    struct way way;
    double exit_ns;
} crossings[COPY + 1][2];

static const enum rows_function piped[] = {[MUL] = ROWS_MUL, [SUM] = ROWS_SUM, [COPY] = ROWS_COPY};

static double crossing_ns(struct way *way, uint32_t slice)
{
    double begin, best = 0;

    way->slice = slice;
    for (int i = 0; i < 5; i++) { /* the least: others may be at work */
        struct halo_sandbox *box;
        int function;

        rows_fill(TABLE);
        box = open_guest(way, &function);
        in_slices(way, box, function, 8ull * slice);
        begin = bench_now_ns();
        in_slices(way, box, function, TABLE);
        begin = (bench_now_ns() - begin) / TABLE;
        best = i == 0 || begin < best ? begin : best;
        halo_close(box);
    }
    return best;
}

static double crossing_pipes_ns(enum function function, uint32_t slice)
{
    double best = rows_pipes(piped[function], slice);

    for (int i = 0; i < 4; i++) {
        const double ns = rows_pipes(piped[function], slice);

        best = ns < best ? ns : best;
    }
    return best;
}

static const struct crossing *crossing(enum function function, bool is_process)
{
    struct crossing *found = &crossings[function][is_process];
    double shared;
    uint32_t slice = 64;

    if (found->exit_ns > 0)
        return found;
    found->way = (struct way){.function = function, .is_process = is_process};
    shared = crossing_ns(&found->way, 32768);
    found->exit_ns = (crossing_ns(&found->way, 128) - shared) * 128;
    bench_must(found->exit_ns > 0, "an exit takes no time");
    do
        slice *= 2;
    while (slice < 32768 && found->exit_ns / slice > crossing_pipes_ns(function, slice) / 3);
    found->way.slice = slice;
    bench_slices_forget(); /* of the pipes */
    return found;
}

static double at_crossing(enum function function, bool is_process)
{
    const struct crossing *at = crossing(function, is_process);
    char words[64];
    double begin, ns = 0;

    for (int i = 0; i < 3; i++) {
        struct way way = at->way;

        begin = crossing_ns(&way, way.slice);
        ns = i == 0 || begin < ns ? begin : ns;
    }
    (void)snprintf(words, sizeof(words), "from %u rows on; an exit is %.1f us", at->way.slice,
                   at->exit_ns / 1000);
    bench_remark(words);
    return ns;
}

#define CROSSING(name, function)                                                  \
    static double crossing_##name(void)                                           \
    {                                                                             \
        return at_crossing(function, false);                                      \
    }                                                                             \
    static double crossing_##name##_process(void)                                 \
    {                                                                             \
        return at_crossing(function, true);                                       \
    }                                                                             \
    static double crossing_pipes_##name(void)                                     \
    {                                                                             \
        return rows_pipes(piped[function], crossing(function, false)->way.slice); \
    }                                                                             \
    static double crossing_pipes_##name##_process(void)                           \
    {                                                                             \
        return rows_pipes(piped[function], crossing(function, true)->way.slice);  \
    }

CROSSING(f64, MUL)
CROSSING(sum, SUM)
CROSSING(copy, COPY)

/* --- The table ---------------------------------------------------------------------------------
 */

#define BESIDE(sample_, native_)                           \
    .neighbours = {{"the host's own loop", native_, NULL}, \
                   {"in a process", sample_##_process, NULL}}
#define WITHOUT(sample_, native_)                                                               \
    {"two pipes to a child", pipes_##sample_, NULL}, {"in a process", sample_##_process, NULL}, \
        {"the host's own loop", native_, NULL},                                                 \
        {"as wasm, by wasm2c", wasm2c_##sample_, rows_wasm2c_absent},                           \
    {                                                                                           \
        "as wasm, in node", node_##sample_, rows_node_absent                                    \
    }
#define BESIDE_OTHERS(sample_, native_) .neighbours = {WITHOUT(sample_, native_)}

/* Host and guest on two cores. */
#define APART(name_, what_, sample_)                                              \
    BENCH_POINT(name_, what_, sample_##_apart,                                    \
                {"two pipes to a child, one core", pipes_##sample_, NULL},        \
                {"two pipes to a child, two cores", pipes_apart_##sample_, NULL}, \
                {"in a process", sample_##_apart_process, NULL})

#define CROSSED(name_, what_, sample_)                                                 \
    BENCH_POINT(name_, what_, crossing_##sample_,                                      \
                {"two pipes to a child", crossing_pipes_##sample_, NULL},              \
                {"in a process, where that does", crossing_##sample_##_process, NULL}, \
                {"two pipes there", crossing_pipes_##sample_##_process, NULL})

#define COUNTED(name_, what_, sample_, ...)                                                   \
    {                                                                                         \
        .name = name_, .what = what_, .sample = sample_, .count = sample_##_work, __VA_ARGS__ \
    }

const struct bench_row bench_rows_rows[] = {
    COUNTED("rows.f64.128", "f64(f64, f64), 128 rows a call", f64_128,
            .neighbours = {WITHOUT(f64_128, rows_native_mul),
                           {"one by one, 128 an exit", f64_batch, NULL},
                           {"one by one, in a process", f64_batch_process, NULL}}),
    COUNTED("rows.bytes4k", "a call of 4 KiB bytes, counted as 128 rows", bytes_128,
            .neighbours = {{"128 rows a call", f64_128, NULL},
                           {"in a process", bytes_128_process, NULL},
                           {"128 rows, in a process", f64_128_process, NULL}}),
    COUNTED("rows.f64.1024", "1024 rows a call", f64_1024,
            BESIDE_OTHERS(f64_1024, rows_native_mul)),
    COUNTED("rows.f64.4096", "4096 rows a call", f64_4096,
            BESIDE_OTHERS(f64_4096, rows_native_mul)),
    COUNTED("rows.f64.32768", "32768 rows a call", f64_32768,
            BESIDE_OTHERS(f64_32768, rows_native_mul)),
    COUNTED("rows.f64.ahead8", "4096, 8 slices an exit", f64_ahead,
            BESIDE(f64_ahead, rows_native_mul)),
    COUNTED("rows.f64.shared4", "4 calls an exit that share 4096 rows", f64_shared4,
            .neighbours = {{"each has rows of its own", f64_ahead4, NULL},
                           {"in a process", f64_shared4_process, NULL},
                           {"each has its own, in a process", f64_ahead4_process, NULL}}),
    COUNTED("rows.f64.nulls", "4096, some of them absent", f64_nulls,
            BESIDE(f64_nulls, rows_native_mul)),
    COUNTED("rows.f64.each", "4096, of a function of one row", f64_each,
            BESIDE(f64_each, rows_native_mul)),
    COUNTED("rows.i64_str.128", "i64(str), 20 bytes, 128 rows a call", sum_128,
            BESIDE_OTHERS(sum_128, rows_native_sum)),
    COUNTED("rows.i64_str.1024", "1024 rows a call", sum_1024,
            BESIDE_OTHERS(sum_1024, rows_native_sum)),
    COUNTED("rows.i64_str.4096", "4096 rows a call", sum_4096,
            BESIDE_OTHERS(sum_4096, rows_native_sum)),
    COUNTED("rows.i64_str.32768", "32768 rows a call", sum_32768,
            BESIDE_OTHERS(sum_32768, rows_native_sum)),
    COUNTED("rows.i64_str.ahead8", "4096, 8 slices an exit", sum_ahead,
            BESIDE(sum_ahead, rows_native_sum)),
    COUNTED("rows.i64_str.shared4", "4 calls an exit that share 4096 rows", sum_shared4,
            .neighbours = {{"each has rows of its own", sum_ahead4, NULL},
                           {"in a process", sum_shared4_process, NULL},
                           {"each has its own, in a process", sum_ahead4_process, NULL}}),
    COUNTED("rows.i64_str.nulls", "4096, some of them absent", sum_nulls,
            BESIDE(sum_nulls, rows_native_sum)),
    COUNTED("rows.str.128", "str(str), 20 bytes, 128 rows a call", copy_128,
            BESIDE_OTHERS(copy_128, rows_native_copy)),
    COUNTED("rows.str.1024", "1024 rows a call", copy_1024,
            BESIDE_OTHERS(copy_1024, rows_native_copy)),
    COUNTED("rows.str.4096", "4096 rows a call", copy_4096,
            BESIDE_OTHERS(copy_4096, rows_native_copy)),
    COUNTED("rows.str.32768", "32768 rows a call", copy_32768,
            BESIDE_OTHERS(copy_32768, rows_native_copy)),
    COUNTED("rows.str.ahead8", "4096, 8 slices an exit", copy_ahead,
            BESIDE(copy_ahead, rows_native_copy)),
    COUNTED("rows.str.nulls", "4096, some of them absent", copy_nulls,
            BESIDE(copy_nulls, rows_native_copy)),
    COUNTED("rows.f64.aggregate", "f64(f64), a million rows, one answer", f64_total,
            .neighbours = {{"in a process", f64_total_process, NULL}}),
    APART("rows.threaded.f64.128", "f64(f64, f64), two threads, 128 rows a call", f64_128),
    APART("rows.threaded.f64.1024", "1024 rows a call", f64_1024),
    APART("rows.threaded.f64.4096", "4096 rows a call", f64_4096),
    APART("rows.threaded.f64.32768", "32768 rows a call", f64_32768),
    APART("rows.threaded.i64_str.128", "i64(str), 20 bytes, 128 rows a call", sum_128),
    APART("rows.threaded.i64_str.1024", "1024 rows a call", sum_1024),
    APART("rows.threaded.i64_str.4096", "4096 rows a call", sum_4096),
    APART("rows.threaded.i64_str.32768", "32768 rows a call", sum_32768),
    APART("rows.threaded.str.128", "str(str), 20 bytes, 128 rows a call", copy_128),
    APART("rows.threaded.str.1024", "1024 rows a call", copy_1024),
    APART("rows.threaded.str.4096", "4096 rows a call", copy_4096),
    APART("rows.threaded.str.32768", "32768 rows a call", copy_32768),
    CROSSED("rows.crossing.f64", "where f64(f64, f64) passes two pipes", f64),
    CROSSED("rows.crossing.i64_str", "where i64(str) does", sum),
    CROSSED("rows.crossing.str", "where str(str) does", copy),
    {.name = NULL},
};
