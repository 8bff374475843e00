/* Arrow's arrays as columns of a call, and its result as one, on every backend. */
#include <halo/arrow.h>
#include "../unit/arrow_released.h"
#include "rows_box.h"

static int open_rows(void **state)
{
    return open_to_serve(&box, state, ROWS, 64ull << 20);
}

/* "text": a str and bytes, each from its own row on, and with rows that are absent. */
static void arrays_go_in_and_come_out(void **state)
{
    static const int32_t a_ends[] = {0, 2, 5, 5, 7, 9}, b_ends[] = {0, 1, 2, 3, 4};
    static const unsigned char a_valid = 0x17; /* row 3 of 5 is absent */
    static const void *a[] = {&a_valid, a_ends, "xxabcdeff"}, *b[] = {NULL, b_ends, "1234"};
    struct ArrowSchema schemas[] = {{.format = "u", .name = "a", .release = release_schema},
                                    {.format = "z", .name = "b", .release = release_schema}};
    struct ArrowArray arrays[] = {
        {.length = 4,
         .null_count = 1,
         .offset = 1,
         .n_buffers = 3,
         .buffers = a,
         .release = release_array},
        {.length = 4, .null_count = 0, .n_buffers = 3, .buffers = b, .release = release_array}};
    struct halo_column columns[2];
    struct ArrowSchema schema;
    struct ArrowArray array;
    char words[HALO_ARROW_WORDS_MAX];
    const int32_t *ends;

    (void)state;
    released = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(halo_arrow_import(&schemas[i], &arrays[i], &columns[i], words), 0);
    call(function("text", FN(HALO_STR, HALO_STR, HALO_BYTES)), 4, columns, 2);
    for (int i = 0; i < 2; i++)
        halo_arrow_release(&schemas[i], &arrays[i]);
    assert_int_equal(released, 4);
    assert_int_equal(halo_arrow_export(&rows.result, rows.count, "joined", &schema, &array), 0);
    halo_rows_free(&rows); /* the array has its own */
    assert_string_equal(schema.format, "u");
    assert_true(array.length == 4 && array.null_count == 1 && array.n_buffers == 3);
    ends = array.buffers[1];
    assert_int_equal(ends[1] - ends[0], 4);
    assert_memory_equal((const char *)array.buffers[2] + ends[0], "ABC1", 4);
    assert_memory_equal((const char *)array.buffers[2] + ends[1], "2", 1);
    assert_int_equal(*(const unsigned char *)array.buffers[0] & 0xf, 0xb);
    assert_memory_equal((const char *)array.buffers[2] + ends[3], "FF4", 3);
    halo_arrow_release(&schema, &array);
}

/* What an array does not say of its buffers, the call finds. */
static void rows_05_offsets_of_an_array_that_go_back_are_refused(void **state)
{
    static const int32_t ends[] = {0, 3, 1}, fine[] = {0, 1, 2};
    static const void *bad[] = {NULL, ends, "abc"}, *good[] = {NULL, fine, "12"};
    const struct ArrowSchema str = {.format = "u", .release = release_schema};
    const struct ArrowSchema bytes = {.format = "z", .release = release_schema};
    const struct ArrowArray a = {
        .length = 2, .n_buffers = 3, .buffers = bad, .release = release_array};
    const struct ArrowArray b = {
        .length = 2, .n_buffers = 3, .buffers = good, .release = release_array};
    struct halo_column columns[2];

    (void)state;
    assert_int_equal(halo_arrow_import(&str, &a, &columns[0], NULL), 0);
    assert_int_equal(halo_arrow_import(&bytes, &b, &columns[1], NULL), 0);
    assert_int_equal(halo_call_rows(box, &rows,
                                    function("text", FN(HALO_STR, HALO_STR, HALO_BYTES)),
                                    HALO_FOREVER, 2, columns, 2),
                     HALO_EINVAL);
    halo_rows_free(&rows);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(arrays_go_in_and_come_out),
        RINGS(rows_05_offsets_of_an_array_that_go_back_are_refused),
    };

    return run_every_way("arrow", tests, sizeof(tests) / sizeof(tests[0]), open_rows, close_box);
}
