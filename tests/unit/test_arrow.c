/* Columns from Arrow's C data interface, and to it. */
#include <halo/arrow.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arrow_released.h"

static const int64_t numbers[] = {1, 2, 3, 4};
static const int32_t offsets[] = {0, 3, 3, 5, 9};
static const unsigned char valid = 0x0b;
static const void *of_numbers[] = {&valid, numbers};
static const void *of_text[] = {&valid, offsets, "annxybert"};

static struct ArrowSchema schema_of(const char *format)
{
    return (struct ArrowSchema){.format = format, .name = "price", .release = release_schema};
}

static struct ArrowArray array_of(const void **buffers, int64_t count)
{
    return (struct ArrowArray){.length = 4,
                               .null_count = -1,
                               .n_buffers = count,
                               .buffers = buffers,
                               .release = release_array};
}

/* --- From it ---------------------------------------------------------------------------------- */

static void arrays_are_columns_without_a_copy(void **state)
{
    static const struct {
        const char *format;
        enum halo_type type;
    } types[] = {{"i", HALO_I32},  {"I", HALO_U32}, {"l", HALO_I64},
                 {"L", HALO_U64},  {"f", HALO_F32}, {"g", HALO_F64},
                 {"b", HALO_BOOL}, {"u", HALO_STR}, {"z", HALO_BYTES}};

    (void)state;
    released = 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const bool is_text = types[i].type >= HALO_STR;
        struct ArrowSchema schema = schema_of(types[i].format);
        struct ArrowArray array = array_of(is_text ? of_text : of_numbers, is_text ? 3 : 2);
        struct halo_column column;

        array.offset = 1;
        array.length = 3;
        assert_int_equal(halo_arrow_import(&schema, &array, &column, NULL), 0);
        assert_int_equal(column.type, types[i].type);
        assert_int_equal(column.first, 1);
        assert_false(column.same);
        assert_ptr_equal(column.validity, &valid);
        assert_ptr_equal(column.values, is_text ? of_text[2] : numbers);
        assert_ptr_equal(column.offsets, is_text ? offsets : NULL);
        assert_true(halo_column_has(&column, 0) && !halo_column_has(&column, 1));
        array.null_count = 0; /* the bits say nothing then */
        assert_int_equal(halo_arrow_import(&schema, &array, &column, NULL), 0);
        assert_null(column.validity);
    }
    assert_int_equal(released, 0); /* they are the caller's */
}

static void assert_refused(struct ArrowSchema schema, struct ArrowArray array, int error,
                           const char *words)
{
    const struct halo_column before = {.first = 77};
    struct halo_column column = before;
    char text[HALO_ARROW_WORDS_MAX] = "";

    assert_int_equal(halo_arrow_import(&schema, &array, &column, text), error);
    if (!strstr(text, words))
        fail_msg("'%s' says nothing of '%s'", text, words);
    assert_int_equal(halo_arrow_import(&schema, &array, &column, NULL), error);
    assert_int_equal(column.first, 77);
}

static void rows_05_types_that_no_column_has_are_refused_by_name(void **state)
{
    static const struct {
        const char *format, *words;
    } types[] = {
        {"+l", "\"+l\" is a list"},
        {"+L", "a list"},
        {"+w:3", "one length, which is nested"},
        {"+s", "a struct"},
        {"+m", "a map"},
        {"+ud:0,1", "a union"},
        {"+us:0,1", "a union"},
        {"+r", "run-end"},
        {"+vl", "a list"},
        {"+?", "nested"},
        {"U", "64-bit"},
        {"Z", "64-bit"},
        {"vu", "a view"},
        {"w:16", "bytes of"},
        {"n", "no type"},
        {"c", "8 bits"},
        {"S", "16 bits"},
        {"e", "16 bits"},
        {"d:19,10", "a decimal"},
        {"tdD", "a date"},
        {"tss:Europe/Berlin", "a time"},
        {"", "\"\" is unknown"},
        {"ii", "unknown"},
        {"?", "unknown"},
    };
    struct ArrowSchema values = schema_of("u"), schema = schema_of("i");
    struct ArrowArray others = array_of(of_text, 3), array = array_of(of_numbers, 2);

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        assert_refused(schema_of(types[i].format), array, HALO_ETYPE, types[i].words);
    schema.dictionary = &values;
    assert_refused(schema, array, HALO_ETYPE, "column 'price': it is a dictionary");
    array.dictionary = &others;
    assert_refused(schema_of("i"), array, HALO_ETYPE, "it is a dictionary");
}

static void rows_05_arrays_that_contradict_themselves_are_refused(void **state)
{
    static const void *no_validity[] = {NULL, numbers}, *no_values[] = {&valid, NULL};
    const struct ArrowSchema schema = schema_of("l");
    struct ArrowSchema no_format = schema_of(NULL), gone = schema;
    struct ArrowArray array = array_of(of_numbers, 2);
    struct halo_column column;

    (void)state;
#define BAD(change, code, words)                    \
    do {                                            \
        array = array_of(of_numbers, 2);            \
        change;                                     \
        assert_refused(schema, array, code, words); \
    } while (0)
    BAD(array.length = -1, HALO_EINVAL, "below 0");
    BAD(array.offset = -1, HALO_EINVAL, "below 0");
    BAD(array.null_count = -2, HALO_EINVAL, "null_count");
    BAD(array.null_count = 5, HALO_EINVAL, "null_count");
    BAD(array.n_children = 1, HALO_EINVAL, "children");
    BAD(array.n_buffers = 1, HALO_EINVAL, "2 buffers");
    BAD(array.n_buffers = 3, HALO_EINVAL, "2 buffers");
    BAD(array.buffers = NULL, HALO_EINVAL, "buffers are NULL");
    BAD((array.buffers = no_validity, array.null_count = 1), HALO_EINVAL, "validity is NULL");
    BAD(array.buffers = no_values, HALO_EINVAL, "values are NULL");
    BAD(array.length = HALO_ROWS_MAX + 1ll, HALO_ESIZE, "2^24");
    BAD(array.length = INT64_MAX, HALO_ESIZE, "2^24");
    BAD(array.offset = UINT32_MAX - 3ll, HALO_ESIZE, "2^32");
    BAD(array.offset = INT64_MAX, HALO_ESIZE, "2^32");
    BAD(array.release = NULL, HALO_EINVAL, "released");
#undef BAD
    array = array_of(of_numbers, 2);
    gone.release = NULL;
    assert_refused(gone, array, HALO_EINVAL, "released");
    assert_refused(no_format, array, HALO_EINVAL, "format is NULL");
    assert_refused(schema_of("u"), array_of(of_numbers, 2), HALO_EINVAL, "3 buffers");
    assert_int_equal(halo_arrow_import(NULL, &array, &column, NULL), HALO_EINVAL);
    assert_int_equal(halo_arrow_import(&schema, NULL, &column, NULL), HALO_EINVAL);
    assert_int_equal(halo_arrow_import(&schema, &array, NULL, NULL), HALO_EINVAL);
    array = array_of(no_values, 2); /* of no rows they may be NULL */
    array.length = 0;
    assert_int_equal(halo_arrow_import(&schema, &array, &column, NULL), 0);
}

/* --- To it ------------------------------------------------------------------------------------ */

/* The rows of a column, its array's, and those of a column of that array are the same. */
static void assert_exported(const struct halo_column *column, uint32_t count)
{
    struct ArrowSchema schema;
    struct ArrowArray array;
    struct halo_column back;
    int64_t nulls = 0;

    assert_int_equal(halo_arrow_export(column, count, "price", &schema, &array), 0);
    assert_string_equal(schema.name, "price");
    assert_int_equal(schema.flags, ARROW_FLAG_NULLABLE);
    assert_int_equal(array.length, count);
    assert_int_equal(halo_arrow_import(&schema, &array, &back, NULL), 0);
    assert_int_equal(back.type, column->type);
    for (uint32_t i = 0; i < count; i++) {
        const size_t a = halo_column_index(column, i), b = halo_column_index(&back, i);
        const size_t width = column->type == HALO_I32 ? 4 : 8;

        assert_int_equal(halo_column_has(&back, i), halo_column_has(column, i));
        nulls += !halo_column_has(column, i);
        if (column->type >= HALO_STR) {
            size_t a_len, b_len;
            const char *x = halo_column_text(column, i, &a_len);
            const char *y = halo_column_text(&back, i, &b_len);

            assert_int_equal(a_len, b_len);
            assert_memory_equal(x, y, a_len);
        } else if (column->type == HALO_BOOL) {
            assert_int_equal(halo_bit(column->values, a), halo_bit(back.values, b));
        } else {
            assert_memory_equal((const char *)column->values + a * width,
                                (const char *)back.values + b * width, width);
        }
    }
    assert_int_equal(array.null_count, nulls);
    halo_arrow_release(&schema, &array);
    assert_true(!schema.release && !array.release);
    halo_arrow_release(&schema, &array); /* nothing is left to release */
}

static void columns_are_arrays_from_any_row_on(void **state)
{
    enum { ROWS = 100 };
    int64_t values[ROWS];
    int32_t ends[ROWS + 1] = {0};
    unsigned char bits[(ROWS + 7) / 8];
    char text[ROWS * 3];

    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        values[i] = (int64_t)i * -7919;
        ends[i + 1] = ends[i] + (int32_t)(i * 5 % 4);
    }
    for (size_t i = 0; i < sizeof(bits); i++)
        bits[i] = (unsigned char)(i * 73 + 5);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    for (uint32_t first = 0; first < 20; first++) {
        for (uint32_t count = 0; count <= ROWS - first; count += 1 + count / 3) {
            for (int with = 0; with < 2; with++) {
                struct halo_column columns[] = {
                    halo_numbers(HALO_I64, values, with ? bits : NULL),
                    halo_numbers(HALO_I32, values, with ? bits : NULL),
                    halo_numbers(HALO_BOOL, bits, with ? bits : NULL),
                    halo_texts(HALO_STR, ends, text, with ? bits : NULL),
                    halo_texts(HALO_BYTES, ends, text, with ? bits : NULL)};

                for (int i = 0; i < 5; i++) {
                    columns[i].first = first;
                    assert_exported(&columns[i], count);
                }
            }
        }
    }
}

static void what_cannot_be_exported_is_refused(void **state)
{
    struct ArrowSchema schema = {.flags = 77};
    struct ArrowArray array = {.length = 77};
    struct halo_column column = halo_numbers(HALO_I64, numbers, NULL);

    (void)state;
    assert_int_equal(halo_arrow_export(NULL, 1, "", &schema, &array), HALO_EINVAL);
    assert_int_equal(halo_arrow_export(&column, 1, "", NULL, &array), HALO_EINVAL);
    assert_int_equal(halo_arrow_export(&column, 1, "", &schema, NULL), HALO_EINVAL);
    assert_int_equal(halo_arrow_export(&column, HALO_ROWS_MAX + 1, "", &schema, &array),
                     HALO_ESIZE);
    column.same = true;
    assert_int_equal(halo_arrow_export(&column, 1, "", &schema, &array), HALO_EINVAL);
    column.same = false;
    column.values = NULL;
    assert_int_equal(halo_arrow_export(&column, 1, "", &schema, &array), HALO_EINVAL);
    column.values = numbers;
    column.type = HALO_TYPE_COUNT;
    assert_int_equal(halo_arrow_export(&column, 1, "", &schema, &array), HALO_ETYPE);
    assert_true(schema.flags == 77 && array.length == 77);
    column.type = HALO_VOID; /* rows of a function without a result */
    assert_int_equal(halo_arrow_export(&column, 3, NULL, &schema, &array), 0);
    assert_string_equal(schema.format, "n");
    assert_string_equal(schema.name, "");
    assert_true(array.n_buffers == 0 && array.null_count == 3);
    halo_arrow_release(&schema, &array);
    halo_arrow_release(NULL, NULL);
}

/* Each once, by whoever it is; also where only one of both is left. */
static void release_is_called_once(void **state)
{
    struct ArrowSchema schema = schema_of("l");
    struct ArrowArray array = array_of(of_numbers, 2);

    (void)state;
    released = 0;
    array.release(&array);
    assert_int_equal(released, 1);
    halo_arrow_release(&schema, &array);
    assert_int_equal(released, 2);
    halo_arrow_release(&schema, &array);
    assert_int_equal(released, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_columns_without_a_copy),
        cmocka_unit_test(rows_05_types_that_no_column_has_are_refused_by_name),
        cmocka_unit_test(rows_05_arrays_that_contradict_themselves_are_refused),
        cmocka_unit_test(columns_are_arrays_from_any_row_on),
        cmocka_unit_test(what_cannot_be_exported_is_refused),
        cmocka_unit_test(release_is_called_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
