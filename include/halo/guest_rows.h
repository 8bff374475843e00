/*
 * Functions for rows: the host calls once for thousands of rows, and the function gets columns.
 *
 *     HALO_EXPORT_ROWS(value, "plugin.value", HALO_F64, HALO_F64, HALO_F64)
 *     {
 *         const double *price = rows->args[0].values, *amount = rows->args[1].values;
 *         double *to = rows->result;
 *
 *         for (uint32_t i = 0; i < rows->count; i++)
 *             to[i] = price[i] * amount[i];
 *     }
 *
 * The columns lie where the host has written them, laid out as halo/column.h says, with `first` 0,
 * aligned to 8 bytes, and are not to be changed: the next call may share them. Numbers are whole
 * arrays also where the caller gave one value for all rows (`same`); read bools by halo_bit, and
 * text and bytes by halo_column_text. Where a row has no value, what its array has there is any
 * number, or text.
 *
 * A row in which an argument is absent is absent in the result, unless the argument's type in the
 * signature has HALO_MAYBE, or the function says otherwise (halo_rows_present). The function ends
 * with all results written; what it has not written is 0, false, or empty. It may call the host. An
 * ordinary call of it is one of one row.
 */
#ifndef HALO_GUEST_ROWS_H
#define HALO_GUEST_ROWS_H

#include <halo/column.h>
#include <halo/guest.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* In place of a row: all of them. */
#define HALO_ROW_ALL UINT32_MAX

/* A call with rows, while it is being served. */
struct halo_rows {
    uint32_t count; /* of rows */
    uint32_t arg_count;
    const struct halo_column *args;
    /* For the results: of numbers so many; of bool bits, for halo_bit_set; else NULL. */
    void *result;
    void *state; /* of an aggregate */
};

/* Define a function for rows, by its name and signature, the result's type first. */
#define HALO_EXPORT_ROWS(function_, ...) HALO__EXPORT_ROWS(function_, __VA_ARGS__)
#define HALO__EXPORT_ROWS(function_, name_, ...) \
    HALO__EXPORT_STEPS(function_, 0, NULL, name_, __VA_ARGS__)

/*
 * Define an aggregate: a function that makes one result of any number of rows, which come in
 * slices. It is called for each slice and takes it into its state, which is zero to begin with, and
 * has no result; `end` makes the result.
 *
 *     struct mean {
 *         double sum;
 *         uint64_t count;
 *     };
 *
 *     static void mean_end(struct halo_rows *rows)
 *     {
 *         const struct mean *mean = rows->state;
 *
 *         if (rows->count > 0 && mean->count > 0)
 *             *(double *)rows->result = mean->sum / (double)mean->count;
 *         else
 *             halo_rows_absent(rows, 0);
 *     }
 *
 *     HALO_EXPORT_AGGREGATE(mean, mean_end, struct mean, "plugin.mean", HALO_F64, HALO_F64)
 *     {
 *         struct mean *mean = rows->state;
 *         const double *values = rows->args[0].values;
 *
 *         for (uint32_t i = 0; i < rows->count; i++) {
 *             if (halo_column_has(&rows->args[0], i)) {
 *                 mean->sum += values[i];
 *                 mean->count++;
 *             }
 *         }
 *     }
 *
 * `end` is called once for each state, with rows of no arguments and a count of 1: the result is
 * that of row 0, by `result`, halo_rows_put or halo_rows_absent, and halo_rows_fail fails the call.
 * Where nobody wants the result any more, because a row or a call has failed or the caller has
 * begun anew, the count is 0 and `result` NULL: what the state holds has to be freed, and the other
 * functions do nothing. A state whose caller gives up without another call lasts as long as the
 * program. States lie in memory of malloc. An ordinary call is one of one row, from begin to end.
 */
#define HALO_EXPORT_AGGREGATE(function_, end_, state_, ...) \
    HALO__EXPORT_AGGREGATE(function_, end_, state_, __VA_ARGS__)
#define HALO__EXPORT_AGGREGATE(function_, end_, state_, name_, ...) \
    HALO__EXPORT_STEPS(function_, sizeof(state_), end_, name_, __VA_ARGS__)

/* Private: both of these. */
#define HALO__EXPORT_STEPS(function_, state_len_, end_, name_, ...)                     \
    static void function_(struct halo_rows *rows);                                      \
    static void function_##_call(struct halo_call *call, const struct halo_value *args) \
    {                                                                                   \
        halo_rows_serve(call, args, function_);                                         \
    }                                                                                   \
    static const struct halo_export function_##_export                                  \
        __attribute__((section("halo_exports"), HALO__LISTED)) = {                      \
            name_, HALO_FN(__VA_ARGS__), 1, function_##_call, state_len_, end_};        \
    static void function_(struct halo_rows *rows)

/* Private: a call of such a function. */
void halo_rows_serve(struct halo_call *call, const struct halo_value *args,
                     void (*function)(struct halo_rows *rows));

/*
 * The text or bytes of a row's result, which are copied. Rows come in their order; those that are
 * left out are empty. Returns 0; HALO_EINVAL for a row that is not behind the last one, or text
 * with a zero byte inside; HALO_ETYPE where the result is no text or bytes; HALO_ESIZE, HALO_ENOMEM
 * where they are more than HALO_ROWS_LEN_MAX all together, or than there is memory for: then the
 * call fails with that error, and the function should return.
 */
int halo_rows_put(struct halo_rows *rows, uint32_t row, const void *bytes, size_t len);

/* This row has no result, or has one. */
void halo_rows_absent(struct halo_rows *rows, uint32_t row);
void halo_rows_present(struct halo_rows *rows, uint32_t row);

/*
 * This row fails, with a code above 0 and the first HALO_ERROR_TEXT_MAX bytes of the text. Rows
 * fail in their order. Returns 0 where the function goes on, and the result of the row is absent;
 * HALO_ECALL where the caller does not want the rest, or the row was HALO_ROW_ALL: then the
 * function should return. HALO_EINVAL for another code, or a row that is not behind the last one.
 */
int halo_rows_fail(struct halo_rows *rows, uint32_t row, int32_t code, const char *text);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
