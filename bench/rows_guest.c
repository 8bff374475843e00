/* The guest of bench/rows.c: functions for rows, and one that is called for each. */
#include <halo/guest_rows.h>

HALO_EXPORT_ROWS(mul, "mul", HALO_F64, HALO_F64, HALO_F64)
{
    const double *x = rows->args[0].values, *y = rows->args[1].values;
    double *to = rows->result;

    for (uint32_t i = 0; i < rows->count; i++)
        to[i] = x[i] * y[i];
}

HALO_EXPORT(mul_one, "mul.one", HALO_F64, HALO_F64, HALO_F64)
{
    halo_return(call, halo_f64(args[0].f64 * args[1].f64));
}

/* The sum of its bytes. */
HALO_EXPORT_ROWS(sum, "sum", HALO_I64, HALO_STR)
{
    int64_t *to = rows->result;

    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len;
        const char *text = halo_column_text(&rows->args[0], i, &len);
        int64_t total = 0;

        for (size_t k = 0; k < len; k++)
            total += text[k];
        to[i] = total;
    }
}

HALO_EXPORT_ROWS(copy, "copy", HALO_STR, HALO_STR)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len;
        const char *text = halo_column_text(&rows->args[0], i, &len);

        if (halo_rows_put(rows, i, text, len))
            return;
    }
}

HALO_EXPORT(length, "length", HALO_I64, HALO_BYTES)
{
    halo_return(call, halo_i64((int64_t)args[0].len));
}

static void total_end(struct halo_rows *rows)
{
    if (rows->count > 0)
        *(double *)rows->result = *(const double *)rows->state;
}

HALO_EXPORT_AGGREGATE(total, total_end, double, "total", HALO_F64, HALO_F64)
{
    const double *values = rows->args[0].values;
    double sum = *(double *)rows->state;

    for (uint32_t i = 0; i < rows->count; i++)
        sum += values[i];
    *(double *)rows->state = sum;
}
