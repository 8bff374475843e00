/* The rows, and the host's own loops over them. */
#include "bench.h"
#include "rows_table.h"
#include <string.h>

double rows_x[ROWS_TABLE], rows_y[ROWS_TABLE], rows_products[ROWS_TABLE];
int64_t rows_sums[ROWS_TABLE];
char rows_text[ROWS_TABLE * ROWS_TEXT_LEN], rows_copies[ROWS_TABLE * ROWS_TEXT_LEN];
int32_t rows_offsets[ROWS_TABLE + 1];
unsigned char rows_validity[ROWS_TABLE / 8];

void rows_fill(uint32_t count)
{
    memset(rows_validity, 0x7f, count / 8);
    for (uint32_t i = 0; i < count; i++) {
        rows_x[i] = i;
        rows_y[i] = 0.5;
        rows_offsets[i] = (int32_t)(i * ROWS_TEXT_LEN);
    }
    memset(rows_text, 'x', count * ROWS_TEXT_LEN);
    rows_offsets[count] = (int32_t)(count * ROWS_TEXT_LEN);
}

#define NATIVE(name, call)                           \
    static void name##_work(uint64_t total)          \
    {                                                \
        rows_fill(ROWS_TABLE);                       \
        bench_begin();                               \
        for (uint64_t i = 0; i < total; i += 4096)   \
            call;                                    \
        bench_end();                                 \
    }                                                \
    double rows_native_##name(void)                  \
    {                                                \
        return bench_timed(name##_work, ROWS_TABLE); \
    }

NATIVE(mul, rows_mul(rows_x + i, rows_y + i, rows_products + i, 4096))
NATIVE(sum, rows_sum(rows_text, rows_offsets + i, rows_sums + i, 4096))
NATIVE(copy, rows_copy(rows_text, rows_offsets + i, rows_copies, 4096))
