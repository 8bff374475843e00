/* Columns on the wire; the same for both sides. */
#include "rows.h"

uint64_t halo__column_len(const struct halo_rows_column *column, uint64_t rows)
{
    const uint64_t validity =
        column->flags & HALO_WIRE_VALID ? halo__aligned8(halo__bits_len(rows)) : 0;

    if (!halo__is_text(column->type))
        return validity + halo__aligned8(halo__values_len(column->type, rows));
    return validity + halo__aligned8((rows + 1) * sizeof(int32_t)) +
           halo__aligned8((uint64_t)column->bytes_len + 1);
}

bool halo__column_is_valid(const struct halo_rows_column *column, uint32_t type, uint32_t flags)
{
    return column->type == type && (column->flags & ~flags) == 0 && column->reserved == 0 &&
           column->bytes_len <= (halo__is_text(type) ? INT32_MAX : 0);
}

typedef int32_t four __attribute__((vector_size(16)));

static four load_four(const int32_t *from)
{
    four loaded;

    __builtin_memcpy(&loaded, from, sizeof(loaded));
    return loaded;
}

bool halo__offsets_ascend(const int32_t *offsets, uint64_t rows)
{
    four back = {0};
    uint64_t i = 0;

    if (rows < 4) {
        bool goes_back = false;

        for (; i < rows; i++)
            goes_back |= offsets[i + 1] < offsets[i];
        return !goes_back;
    }
    for (; i < rows - 4; i += 4)
        back |= load_four(offsets + i + 1) < load_four(offsets + i);
    i = rows - 4; /* some of them for the second time */
    back |= load_four(offsets + i + 1) < load_four(offsets + i);
    return !halo__any((halo__sixteen)back);
}

void halo__offsets_shift(int32_t *to, const int32_t *offsets, uint32_t count, int32_t base)
{
    uint32_t i = 0;

    for (; i + 4 <= count; i += 4) {
        const four shifted = load_four(offsets + i) - base;

        __builtin_memcpy(to + i, &shifted, sizeof(shifted));
    }
    for (; i < count; i++)
        to[i] = offsets[i] - base;
}

static bool short_has_zero(const unsigned char *bytes, size_t len)
{
    bool found = false;

    if (len >= 8)
        return halo__zeroes(bytes) | halo__zeroes(bytes + len - 8);
    for (size_t i = 0; i < len; i++)
        found |= !bytes[i];
    return found;
}

bool halo__has_zero(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    const unsigned char *last;
    halo__sixteen found;

    if (len < 16)
        return short_has_zero(bytes, len);
    last = at + len - 16;
    found = halo__zero_mask(halo__load_sixteen(last)); /* some of them twice */
    for (; last - at >= 48; at += 64)
        found |= halo__zero_mask(halo__load_sixteen(at)) |
                 halo__zero_mask(halo__load_sixteen(at + 16)) |
                 halo__zero_mask(halo__load_sixteen(at + 32)) |
                 halo__zero_mask(halo__load_sixteen(at + 48));
    for (; at < last; at += 16)
        found |= halo__zero_mask(halo__load_sixteen(at));
    return halo__any(found);
}

int halo__column_place(const unsigned char *bytes, const struct halo_rows_column *wire,
                       uint64_t rows, struct halo_column *column)
{
    *column = halo_numbers((enum halo_type)wire->type, NULL, NULL);
    column->same = wire->flags & HALO_WIRE_SAME;
    if (wire->flags & HALO_WIRE_VALID) {
        column->validity = bytes;
        bytes += halo__aligned8(halo__bits_len(rows));
    }
    if (halo__is_text(wire->type)) {
        const int32_t *offsets = (const void *)bytes;

        column->offsets = offsets;
        bytes += halo__aligned8((rows + 1) * sizeof(*offsets));
        if (offsets[0] != 0 || offsets[rows] != (int32_t)wire->bytes_len ||
            !halo__offsets_ascend(offsets, rows) ||
            (wire->type == HALO_STR && halo__has_zero(bytes, wire->bytes_len)))
            return HALO_EMESSAGE; /* ROWS-03 */
    }
    column->values = bytes;
    return 0;
}
