/*
 * Columns on the wire, for both sides: how long their parts are, and whether what has come keeps
 * the rules of halo/abi.h. What is looked at lies in private memory.
 */
#ifndef HALO_SRC_MESSAGE_ROWS_H
#define HALO_SRC_MESSAGE_ROWS_H

#include <halo/abi.h>
#include <halo/column.h>
#include <halo/error.h>

static inline uint64_t halo__aligned8(uint64_t len)
{
    return (len + 7) & ~(uint64_t)7;
}

static inline bool halo__is_text(uint32_t type)
{
    return type == HALO_STR || type == HALO_BYTES;
}

/* Bytes of a number; 0 of what lies there as bits, or otherwise. */
static inline uint32_t halo__column_width(uint32_t type)
{
    static const uint8_t widths[HALO_TYPE_COUNT] = {0, 4, 4, 8, 8, 4, 8, 0, 0, 0};

    return widths[type];
}

/* Bytes of so many bits, and of so many values that are no text, without padding. */
static inline uint64_t halo__bits_len(uint64_t rows)
{
    return (rows + 7) / 8;
}

static inline uint64_t halo__values_len(uint32_t type, uint64_t rows)
{
    return type == HALO_BOOL ? halo__bits_len(rows) : rows * halo__column_width(type);
}

/* How many rows there are in a column's arrays. */
static inline uint64_t halo__column_rows(const struct halo_rows_column *column, uint64_t rows)
{
    return column->flags & HALO_WIRE_SAME ? 1 : rows;
}

/* Bytes of all parts of a column, of its own number of rows, with padding. */
uint64_t halo__column_len(const struct halo_rows_column *column, uint64_t rows);

/* May this head of a column stand for one of this type, and of these flags? */
bool halo__column_is_valid(const struct halo_rows_column *column, uint32_t type, uint32_t flags);

/*
 * Its parts lie at `bytes`, which are halo__column_len long: let the column point to them. 0, or
 * HALO_EMESSAGE for offsets or text that break a rule.
 */
int halo__column_place(const unsigned char *bytes, const struct halo_rows_column *wire,
                       uint64_t rows, struct halo_column *column);

/* Do offsets go on from the first to the last, of which there is one more than rows? */
bool halo__offsets_ascend(const int32_t *offsets, uint64_t rows);

/* The same offsets from another place on: less by base, which is none that is before the first. */
void halo__offsets_shift(int32_t *to, const int32_t *offsets, uint32_t count, int32_t base);

/* Eight bytes, not 0 where one of them is: its highest bit is set, and perhaps those above it. */
static inline uint64_t halo__zeroes(const void *bytes)
{
    uint64_t eight;

    __builtin_memcpy(&eight, bytes, sizeof(eight));
    return (eight - 0x0101010101010101u) & ~eight & 0x8080808080808080u;
}

/* Sixteen at a time, as every processor of 64 bits has them; where they are 0, not 0 in the mask.
 */
typedef unsigned char halo__sixteen __attribute__((vector_size(16)));

static inline halo__sixteen halo__load_sixteen(const void *bytes)
{
    halo__sixteen sixteen;

    __builtin_memcpy(&sixteen, bytes, sizeof(sixteen));
    return sixteen;
}

static inline halo__sixteen halo__zero_mask(halo__sixteen sixteen)
{
    return (halo__sixteen)(sixteen == 0);
}

static inline bool halo__any(halo__sixteen mask)
{
    uint64_t halves[2];

    __builtin_memcpy(halves, &mask, sizeof(halves));
    return halves[0] | halves[1];
}

bool halo__has_zero(const void *bytes, size_t len);

#endif
