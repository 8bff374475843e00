/*
 * Columns of other engines: Arrow's C data interface, taken as arguments of calls with rows and
 * given as their results. Nothing of Arrow's is needed; its two structs are declared here, as the
 * interface wants it, unless another header did it before.
 *
 *     struct halo_column columns[2];
 *     char words[HALO_ARROW_WORDS_MAX];
 *
 *     for (i = 0; !error && i < 2; i++)
 *         error = halo_arrow_import(&schemas[i], &arrays[i], &columns[i], words);
 *     if (!error)
 *         error = halo_call_rows(box, &rows, function, HALO_FOREVER, (uint32_t)arrays[0].length,
 *                                columns, 2);
 *     if (!error)
 *         error = halo_arrow_export(&rows.result, rows.count, "value", &schema, &array);
 *
 * Types and their formats: i32 "i", u32 "I", i64 "l", u64 "L", f32 "f", f64 "g", bool "b", str "u",
 * bytes "z"; of results without a value "n". All functions here may be called by any thread.
 */
#ifndef HALO_ARROW_H
#define HALO_ARROW_H

#include <halo/column.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *schema); /* NULL: it was released */
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count; /* -1: not counted */
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *array); /* NULL: it was released */
    void *private_data;
};

#endif

#pragma GCC visibility push(default)

/* Longest words of halo_arrow_import, with their zero byte. */
#define HALO_ARROW_WORDS_MAX 160u

/*
 * The column that an array is, whose memory is not copied: it has to stay, and the array must not
 * be released, until the call is over. Schema and array stay the caller's, to release. The array is
 * believed to have the buffers that it must have; the call looks at offsets and text.
 *
 * Returns 0; HALO_ETYPE for a type that no column has: nested ones, dictionaries, numbers of other
 * widths, text with 64-bit offsets, times; HALO_ESIZE for more than HALO_ROWS_MAX rows, or an
 * offset that is longer than a column's; HALO_EINVAL for a pointer that is NULL, what was released,
 * and what contradicts itself. Then *column is as it was, and `words`, of HALO_ARROW_WORDS_MAX
 * bytes or NULL, says what and which.
 */
int halo_arrow_import(const struct ArrowSchema *schema, const struct ArrowArray *array,
                      struct halo_column *column, char *words);

/*
 * A column of `count` rows as schema and array, which have a copy of it: the caller, or who gets
 * them, releases each once, in any order and on any thread. `name` may be NULL. Returns 0;
 * HALO_EINVAL for what is NULL and must not be, or a column of one value for all rows; HALO_ETYPE
 * for an unknown type; HALO_ESIZE for more than HALO_ROWS_MAX rows; HALO_ENOMEM. Then both are as
 * they were.
 */
int halo_arrow_export(const struct halo_column *column, uint32_t count, const char *name,
                      struct ArrowSchema *schema, struct ArrowArray *array);

/* Release what was not released; fine for what is zero, and NULL. */
void halo_arrow_release(struct ArrowSchema *schema, struct ArrowArray *array);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
