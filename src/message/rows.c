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

bool halo__offsets_ascend(const int32_t *offsets, uint64_t rows)
{
    int32_t back = 0;

    for (uint64_t i = 0; i < rows; i++)
        back |= offsets[i + 1] < offsets[i];
    return !back;
}

bool halo__has_zero(const void *bytes, size_t len)
{
    const unsigned char *at = bytes, *const end = at + len;
    uint64_t found = 0;

    if (len < 8) {
        while (at < end)
            found |= !*at++;
        return found;
    }
    for (; at < end - 8; at += 8)
        found |= halo__zeroes(at);
    return found | halo__zeroes(end - 8); /* some of them for the second time */
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
