/*
 * Columns: what one call carries for many rows, laid out as Arrow's C data interface has it, so
 * that an engine's own arrays go in as they are.
 *
 *     validity   a bit for each row, 1 where there is a value; rows 0 to 7 are byte 0, its lowest
 *                bit first. NULL where every row has one
 *     values     of numbers one behind the other, little-endian; of bool a bit for each row, as
 *                above; of text and bytes, all of their bytes
 *     offsets    of text and bytes: where each row begins in `values`, and behind the last row
 *                where that ends. So there is one more of them than rows
 *
 * Text has no zero bytes inside and, unlike that of a halo_value, none behind it. All functions
 * here may be called by any thread; nothing is allocated.
 */
#ifndef HALO_COLUMN_H
#define HALO_COLUMN_H

#include <halo/value.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Most rows of a call, and bytes of all its columns together; of the answer as many again. */
#define HALO_ROWS_MAX (1u << 24)
#define HALO_ROWS_LEN_MAX (64ull << 20)

struct halo_column {
    enum halo_type type;
    bool same;      /* one value for all rows: there is but one row in it */
    uint32_t first; /* the rows begin with this one of the arrays: a slice needs no copy */
    const unsigned char *validity; /* may be NULL */
    const void *values;
    const int32_t *offsets; /* of text and bytes; else NULL */
};

/* A column of numbers, bools or nothing but absent values; `validity` may be NULL. */
static inline struct halo_column halo_numbers(enum halo_type type, const void *values,
                                              const unsigned char *validity)
{
    struct halo_column made;

    made.type = type;
    made.same = false;
    made.first = 0;
    made.validity = validity;
    made.values = values;
    made.offsets = NULL;
    return made;
}

/* The same of text or bytes. */
static inline struct halo_column halo_texts(enum halo_type type, const int32_t *offsets,
                                            const void *values, const unsigned char *validity)
{
    struct halo_column made = halo_numbers(type, values, validity);

    made.offsets = offsets;
    return made;
}

/* One number for all rows: what `value` points to, of the type's width; of bool a bool. */
static inline struct halo_column halo_column_same(enum halo_type type, const void *value)
{
    struct halo_column made = halo_numbers(type, value, NULL);

    made.same = true;
    return made;
}

/* A bit of validity, or of a column of bools. */
static inline bool halo_bit(const unsigned char *bits, size_t i)
{
    return bits[i / 8] >> i % 8 & 1;
}

static inline void halo_bit_set(unsigned char *bits, size_t i, bool value)
{
    const unsigned char mask = (unsigned char)(1u << i % 8);

    bits[i / 8] = (unsigned char)(value ? bits[i / 8] | mask : bits[i / 8] & ~mask);
}

/* Where a row lies in the arrays of its column. */
static inline size_t halo_column_index(const struct halo_column *column, size_t row)
{
    return column->first + (column->same ? 0 : row);
}

/* Has this row a value? */
static inline bool halo_column_has(const struct halo_column *column, size_t row)
{
    return !column->validity || halo_bit(column->validity, halo_column_index(column, row));
}

/* The bytes of a row of text or bytes, which no zero byte follows. */
static inline const char *halo_column_text(const struct halo_column *column, size_t row,
                                           size_t *len)
{
    const size_t i = halo_column_index(column, row);

    *len = (size_t)(column->offsets[i + 1] - column->offsets[i]);
    return (const char *)column->values + column->offsets[i];
}

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
