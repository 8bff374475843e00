/* The rows of bench/rows.c, and what a host does with them that has no sandbox. */
#ifndef HALO_BENCH_ROWS_TABLE_H
#define HALO_BENCH_ROWS_TABLE_H

#include <stdint.h>

#define ROWS_TABLE 262144u /* rows that there are */
#define ROWS_TEXT_LEN 20u
#define ROWS_SLICE_MAX 32768u

extern double rows_x[ROWS_TABLE], rows_y[ROWS_TABLE], rows_products[ROWS_TABLE];
extern int64_t rows_sums[ROWS_TABLE];
extern char rows_text[ROWS_TABLE * ROWS_TEXT_LEN], rows_copies[ROWS_TABLE * ROWS_TEXT_LEN];
extern int32_t rows_offsets[ROWS_TABLE + 1];
extern unsigned char rows_validity[ROWS_TABLE / 8];

/* As many of them as will be used. */
void rows_fill(uint32_t count);

/* f64(f64, f64), i64(str) and str(str) over arrays; offsets are those of `text`. */
void rows_mul(const double *a, const double *b, double *to, uint32_t count);
void rows_sum(const char *text, const int32_t *at, int64_t *to, uint32_t count);
void rows_copy(const char *text, const int32_t *at, char *to, uint32_t count);

/* The same loops in this process; an operation is a row. */
double rows_native_mul(void);
double rows_native_sum(void);
double rows_native_copy(void);

enum rows_function { ROWS_MUL, ROWS_SUM, ROWS_COPY };

/*
 * By a child behind two pipes: a message of so many rows there, and its result back. Both stay on
 * this core, or may be on either of two.
 */
double rows_pipes(enum rows_function function, uint32_t slice);
double rows_pipes_apart(enum rows_function function, uint32_t slice);

/* By the same functions as wasm: columns copied into its memory, a call, and the result out. */
const char *rows_wasm2c_absent(void);
double rows_wasm2c(enum rows_function function, uint32_t slice);
const char *rows_node_absent(void);
double rows_node(enum rows_function function, uint32_t slice); /* and the host is a script, too */

#endif
