/* Rows by wasm: what wasm2c makes of bench/rows_functions.c, in this process. */
#include "bench.h"
#include "rows_table.h"

#ifndef BENCH_HAS_WASM2C

const char *rows_wasm2c_absent(void)
{
    return "built without wabt 1.0.32, clang or lld";
}

double rows_wasm2c(enum rows_function function, uint32_t slice)
{
    (void)function;
    (void)slice;
    return 0;
}

#else

#include "rows_wasm.h"
#include <string.h>

/* Its memory: behind its stack and data the columns, and behind these the result. */
#define COLUMNS 0x20000u
#define RESULT (COLUMNS + ROWS_SLICE_MAX * 32u)

static Z_rows_instance_t instance;
static bool is_open;

static struct {
    enum rows_function function;
    uint32_t slice;
} asked;

const char *rows_wasm2c_absent(void)
{
    return NULL;
}

/* Bounds are kept by pages around the memory, as wasm2c does it where it can. */
static unsigned char *memory(uint32_t at, uint64_t len)
{
    const wasm_rt_memory_t *all = Z_rowsZ_memory(&instance);

    bench_must(at + len <= all->size, "a slice is longer than the memory of wasm");
    return all->data + at;
}

static void multiply(uint32_t first, uint32_t count)
{
    const uint32_t len = count * (uint32_t)sizeof(double);

    memcpy(memory(COLUMNS, len), rows_x + first, len);
    memcpy(memory(COLUMNS + len, len), rows_y + first, len);
    Z_rowsZ_rows_mul(&instance, COLUMNS, COLUMNS + len, RESULT, count);
    memcpy(rows_products + first, memory(RESULT, len), len);
}

static void texts(uint32_t first, uint32_t count)
{
    const int32_t *offsets = rows_offsets + first;
    const uint32_t offsets_len = (count + 1) * (uint32_t)sizeof(int32_t);
    const uint32_t text_len = (uint32_t)(offsets[count] - offsets[0]);
    const uint32_t text = COLUMNS + offsets_len;
    const uint32_t base = (uint32_t)offsets[0]; /* of what offsets are of */

    memcpy(memory(COLUMNS, offsets_len), offsets, offsets_len);
    memcpy(memory(text, text_len), rows_text + base, text_len);
    if (asked.function == ROWS_SUM) {
        Z_rowsZ_rows_sum(&instance, text - base, COLUMNS, RESULT, count);
        memcpy(rows_sums + first, memory(RESULT, count * sizeof(int64_t)), count * sizeof(int64_t));
    } else {
        static int32_t ends[ROWS_SLICE_MAX + 1];

        Z_rowsZ_rows_copy(&instance, text - base, COLUMNS, RESULT - base, count);
        memcpy(ends, memory(COLUMNS, offsets_len), offsets_len);
        memcpy(rows_copies + base, memory(RESULT, text_len), text_len);
    }
}

static void slices(uint64_t total)
{
    for (uint64_t i = 0; i < total; i += asked.slice) {
        if (asked.function == ROWS_MUL)
            multiply((uint32_t)i, asked.slice);
        else
            texts((uint32_t)i, asked.slice);
    }
}

static void work(uint64_t total)
{
    rows_fill(ROWS_TABLE);
    if (!is_open) {
        wasm_rt_init();
        Z_rows_init_module();
        Z_rows_instantiate(&instance);
        is_open = true;
    }
    slices(4ull * asked.slice);
    bench_begin();
    slices(total);
    bench_end();
}

double rows_wasm2c(enum rows_function function, uint32_t slice)
{
    asked.function = function;
    asked.slice = slice;
    return bench_timed(work, ROWS_TABLE);
}

#endif
