/*
 * The functions of bench/rows.c over arrays: as the host's own loops, in a child behind pipes, and,
 * compiled to wasm, in what wasm2c makes of them and in node.
 */
#include "rows_table.h"

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
        __builtin_memcpy(to + at[i], text + at[i], (unsigned long)(at[i + 1] - at[i]));
    __asm__ volatile("" ::: "memory");
}
