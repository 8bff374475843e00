/* The rows, and the functions as the host's own loops. */
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

__attribute__((noinline)) void rows_mul(const double *a, const double *b, double *to,
                                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        to[i] = a[i] * b[i];
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void rows_sum(const char *text, const int32_t *at, int64_t *to,
                                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int64_t total = 0;

        for (int32_t k = at[i]; k < at[i + 1]; k++)
            total += text[k];
        to[i] = total;
    }
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) void rows_copy(const char *text, const int32_t *at, char *to,
                                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        memcpy(to + at[i], text + at[i], (size_t)(at[i + 1] - at[i]));
    __asm__ volatile("" ::: "memory");
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
