/*
 * Rows: one call of a guest's function for thousands of rows. Arguments are columns of the
 * caller's, which are copied once, into the guest; the result is a column.
 *
 *     static const struct halo_signature type = HALO_FN(HALO_F64, HALO_F64, HALO_F64);
 *     static struct halo_rows rows;
 *     const struct halo_column columns[] = {halo_numbers(HALO_F64, prices, NULL),
 *                                           halo_numbers(HALO_F64, amounts, valid)};
 *
 *     function = halo_lookup(box, "plugin.value", &type);
 *     error = halo_call_rows(box, &rows, function, HALO_FOREVER, 4096, columns, 2);
 *     for (i = 0; !error && i < 4096; i++)
 *         if (halo_column_has(&rows.result, i))
 *             total += ((const double *)rows.result.values)[i];
 *     halo_rows_free(&rows);
 *
 * Any function that the guest exports can be called so, by its number and signature. One that was
 * made for rows (HALO_EXPORT_ROWS) gets the columns; of another the guest's library makes a call
 * for each row. A row in which an argument is absent has an absent result, and such another
 * function is not called for it; but of an argument with HALO_MAYBE in the signature an absent
 * value is one that the function gets. The types of columns have no HALO_MAYBE.
 *
 * An aggregate (HALO_EXPORT_AGGREGATE) makes one result of all rows, which may come in slices:
 *
 *     for (i = 0; !error && i < total; i += 32768) {
 *         more = total - i > 32768;
 *         columns[0].first = i;
 *         halo_call_rows_start(box, &rows, mean, more ? 32768 : total - i, columns, 1,
 *                              more ? HALO_ROWS_MORE : 0);
 *         error = halo_wait(&rows.future, HALO_FOREVER);
 *     }
 *     if (!error && halo_column_has(&rows.result, 0))
 *         mean = *(const double *)rows.result.values;
 *
 * Calls of several functions for the same columns, of the same arrays and rows, that are started
 * one after the other, before any of them is waited for, take one exit, and the columns are copied
 * once.
 *
 * The state of an aggregate is in the guest. A call that ends with an error ends it, too, and the
 * next one begins anew; so does one of another function or sandbox.
 */
#ifndef HALO_ROWS_H
#define HALO_ROWS_H

#include <halo/column.h>
#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Most rows that failed of which an answer tells; all are counted. */
#define HALO_ROW_ERRORS_MAX 16u

/* In place of a row: all of them. */
#define HALO_ROW_ALL UINT32_MAX

/* What has become of a row: its number, and the function's code, above 0, and words. */
struct halo_row_error {
    uint32_t row;
    int32_t code;
    const char *text; /* the guest's: any bytes, ended by a zero byte */
};

enum halo_rows_flag {
    /*
     * A row that fails is absent in the result, and the rest goes on. Without it the first row that
     * fails ends the call, with HALO_ECALL.
     */
    HALO_ROWS_GO_ON = 1,
    /*
     * Of an aggregate: more rows are to come, and the result is not asked for yet. The next call by
     * the same struct halo_rows goes on, and the one without this flag ends it.
     */
    HALO_ROWS_MORE = 2,
};

/*
 * A call with rows, and its result. The caller's own; it must stay where it is. It is zero before
 * it is used first, and may then be used for one call after the other, on the same memory. The
 * arrays of the arguments must not change until the answer has come or halo_rows_free.
 */
struct halo_rows {
    struct halo_future future; /* the call: done, error, code and text; wait for it by halo_wait */
    /*
     * Without an error, as many rows as were asked for; without validity where all have a value.
     * Of an aggregate none (HALO_VOID), or one where it has ended.
     * Its arrays are aligned to 8 bytes, and last until the next call or halo_rows_free.
     */
    struct halo_column result;
    uint32_t count;        /* rows that were asked for */
    uint32_t failed_count; /* rows that failed */
    uint32_t error_count;  /* those of them that are told of, the first ones, in their order */
    struct halo_row_error errors[HALO_ROW_ERRORS_MAX];
    /* private */
    struct halo_column args[HALO_ARGUMENTS_MAX];
    uint32_t lens[HALO_ARGUMENTS_MAX]; /* of text and bytes: how many bytes */
    uint32_t len, flags;
    uint8_t arg_count;
    bool is_aggregate, begins, is_open;
    uint32_t aggregate;        /* number of its state, or 0 */
    struct halo_calls *states; /* whose that is */
    void *memory, *budget;
    size_t memory_len;
};

/*
 * Start a call for `count` rows, of a function of halo_lookup's. It goes out when the guest next
 * runs, in order with other calls that were started. Returns 0, or what halo_call_start does, and
 *
 *   HALO_EINVAL      a pointer is NULL, offsets go back or below 0, text has a zero byte inside, a
 *                    flag that there is not, HALO_ROWS_MORE for what is no aggregate
 *   HALO_ESIZE       more than HALO_ROWS_MAX rows, or HALO_ROWS_LEN_MAX bytes
 *   HALO_EFULL       HALO_AGGREGATES_MAX other aggregates are open; halo_rows_free closes one
 *   HALO_ETRANSPORT  over stacks; or the guest's library is older than rows
 *   HALO_ESTATE      with these rows a call is in flight, which goes on
 *
 * Then nothing was sent, and the future, but for that, is done, with this error. A row that failed
 * is, without HALO_ROWS_GO_ON, the future's HALO_ECALL, with its code and text, and errors[0] tells
 * which; it is HALO_ROW_ALL where the function has failed as a whole.
 */
int halo_call_rows_start(struct halo_sandbox *box, struct halo_rows *rows, int function,
                         uint32_t count, const struct halo_column *args, size_t arg_count,
                         uint32_t flags);

/* Start, with no flags, and wait: returns what halo_wait does. */
int halo_call_rows(struct halo_sandbox *box, struct halo_rows *rows, int function,
                   int64_t timeout_ns, uint32_t count, const struct halo_column *args,
                   size_t arg_count);

/*
 * As halo_future_free, and free the memory of the result. No other thread is inside of the sandbox
 * where an aggregate is open, which is given up. Fine for one that is zero.
 */
void halo_rows_free(struct halo_rows *rows);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
