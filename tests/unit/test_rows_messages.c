/* Answers with rows that break a rule: group ROWS. */
#include "rows_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEAD 8u /* where the answer's head lies */
#define PARTS (HEAD + sizeof(struct halo_rows_answer))

static struct rows_box b;
static struct halo_rows_answer head;

static int open_box(void **state)
{
    (void)state;
    rows_box_open(&b);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    rows_box_close(&b);
    return 0;
}

static void put_head(void)
{
    memcpy(b.message + HEAD, &head, sizeof(head));
}

/* A sound answer of i64: rows from 0 on; its length. */
static size_t numbers(uint32_t count)
{
    head = (struct halo_rows_answer){.column = {.type = HALO_I64}, .row_count = count};
    put_head();
    for (int64_t i = 0; i < count; i++)
        memcpy(b.message + PARTS + 8 * i, &i, 8);
    return PARTS + 8 * (size_t)count;
}

/* One of text: "a", "bb", "ccc"; its length. */
static const int32_t good_offsets[] = {0, 1, 3, 6};

static size_t texts(const int32_t *offsets)
{
    head = (struct halo_rows_answer){.column = {.type = HALO_STR, .bytes_len = 6}, .row_count = 3};
    put_head();
    memcpy(b.message + PARTS, offsets, 16);
    memcpy(b.message + PARTS + 16, "abbccc\0", 8);
    return PARTS + 24;
}

/* One of 8 numbers of which some failed, with a list. */
static size_t with_errors(uint32_t count, const struct halo_rows_error *errors, uint8_t validity)
{
    size_t at = PARTS + 8 + 64;

    (void)numbers(8);
    memset(b.message + PARTS, 0, 72);
    b.message[PARTS] = validity;
    head.column.flags = HALO_WIRE_VALID;
    head.failed_count = head.error_count = count;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(b.message + at, &errors[i], sizeof(errors[i]));
        memset(b.message + at + sizeof(errors[i]), 0, 4);
        memset(b.message + at + sizeof(errors[i]), 'x', errors[i].text_len % 4);
        at += sizeof(errors[i]) + 4;
    }
    head.errors_len = (uint32_t)(at - PARTS - 72);
    put_head();
    return at;
}

static void assert_refused(enum halo_type type, uint32_t count, uint32_t flags, size_t len)
{
    rows_box_call(&b, type, count, flags);
    if (!rows_box_answer(&b, len, 64))
        fail_msg("it was taken");
    assert_false(b.rows.future.done);
    assert_null(b.rows.result.values);
    close_box(NULL);
}

#define REFUSED(type, count, flags, ...)           \
    do {                                           \
        size_t whole;                              \
                                                   \
        open_box(NULL);                            \
        whole = __VA_ARGS__;                       \
        put_head();                                \
        assert_refused(type, count, flags, whole); \
    } while (0)

static void sound_answers_are_taken(void **state)
{
    size_t len = numbers(10);

    for (size_t piece = 1; piece < 200; piece += 9) {
        rows_box_call(&b, HALO_I64, 10, 0);
        assert_null(rows_box_answer(&b, len, piece));
        assert_true(b.rows.future.done && b.rows.future.error == 0);
        assert_true(((const int64_t *)b.rows.result.values)[9] == 9);
    }
    len = texts(good_offsets);
    rows_box_call(&b, HALO_STR, 3, 0);
    assert_null(rows_box_answer(&b, len, 7));
    assert_memory_equal(halo_column_text(&b.rows.result, 2, &len), "ccc", 3);
    len = with_errors(2, (struct halo_rows_error[]){{1, 5, 3}, {4, 6, 0}}, 0xed);
    rows_box_call(&b, HALO_I64, 8, HALO_ROWS_GO_ON);
    assert_null(rows_box_answer(&b, len, 7));
    assert_int_equal(b.rows.error_count, 2);
    assert_string_equal(b.rows.errors[0].text, "xxx");
    assert_string_equal(b.rows.errors[1].text, "");
    (void)state;
}

static void rows_01_another_kind_of_answer(void **state)
{
    struct halo_call_head plain = {0};
    const struct halo_value value = halo_i64(7);
    struct halo_future future;
    struct halo_request request, *room = &b.c.port.requests[HALO_QUEUE_H2G][0];
    struct halo_message message = {.kind = HALO_KIND_ANSWER};

    (void)state;
    rows_box_call(&b, HALO_I64, 1, 0); /* an ordinary answer */
    plain.envelope_len = (uint32_t)halo__encode_result(b.message + HEAD + sizeof(plain), &value);
    memcpy(b.message + HEAD, &plain, sizeof(plain));
    assert_non_null(rows_box_answer(&b, HEAD + sizeof(plain) + plain.envelope_len, 64));
    assert_non_null(rows_box_answer(&b, HEAD + sizeof(plain), 64));
    assert_non_null(rows_box_answer(&b, HEAD, 64));
    close_box(state);

    open_box(state); /* rows, where there was an ordinary call */
    port_box_request(room, 0, NULL, 0, 1, b.sent, sizeof(b.sent));
    b.c.port.posted = 1;
    assert_int_equal(halo__future_start(&b.c.calls, &future, HALO_I64 + 1, NULL, 0), 0);
    assert_null(halo__invoke_send(&b.c.calls));
    message.request = future.request;
    message.length = (uint32_t)(numbers(1) - sizeof(message));
    memcpy(b.message, &message, sizeof(message));
    port_box_request(&request, 4, b.message, sizeof(message) + message.length, 64, NULL, 0);
    assert_non_null(port_box_take(&b.c.port, HALO_QUEUE_H2G, &request, 0));
    halo_future_free(&future);
}

static void rows_02_other_rows_than_were_asked_for(void **state)
{
    close_box(state); /* each has its own */
    for (uint32_t count = 0; count < 30; count++) {
        if (count != 10)
            REFUSED(HALO_I64, 10, 0, numbers(count)); /* too few, too many */
    }
    for (size_t len = 1; len < 160; len++) {
        if (len != numbers(10))
            REFUSED(HALO_I64, 10, 0,
                    (numbers(10), len < HEAD ? HEAD : len)); /* of another length */
    }
    for (uint32_t type = 0; type < 256; type++) {
        if (type != HALO_I64)
            REFUSED(HALO_I64, 10, 0, numbers(10); head.column.type = (uint8_t)type);
    }
    for (uint32_t bit = 1; bit < 256; bit *= 2)
        REFUSED(HALO_I64, 10, 0, numbers(10); head.column.flags = (uint8_t)bit);
    REFUSED(HALO_I64, 10, 0, numbers(10); head.column.reserved = 1);
    REFUSED(HALO_I64, 10, 0, numbers(10); head.column.bytes_len = 1);
    REFUSED(HALO_I64, 10, 0, numbers(10); head.row_count = UINT32_MAX);
    REFUSED(HALO_VOID, 10, 0, numbers(10));
    open_box(state);
}

static void rows_03_offsets_and_text_that_are_none(void **state)
{
    static const int32_t bad[][4] = {
        {1, 1, 3, 6}, {-1, 1, 3, 6}, {0, 3, 1, 6},         {0, 1, 7, 6},  {0, 1, 3, 5},
        {0, 1, 3, 7}, {0, -1, 3, 6}, {0, 1, INT32_MIN, 6}, {0, 1, 3, -6}, {0, 0x7fffffff, 3, 6}};

    close_box(state); /* each has its own */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        REFUSED(HALO_STR, 3, 0, texts(bad[i]));
    for (size_t i = 0; i < 6; i++)
        REFUSED(HALO_STR, 3, 0, texts(good_offsets); b.message[PARTS + 16 + i] = 0);
    REFUSED(HALO_STR, 3, 0, texts(good_offsets); head.column.bytes_len = UINT32_MAX);
    REFUSED(HALO_STR, 3, 0, texts(good_offsets); head.column.bytes_len = INT32_MAX);
    REFUSED(HALO_STR, 3, 0, texts(good_offsets); head.column.bytes_len = 5);
    REFUSED(HALO_STR, 3, 0, texts(good_offsets); head.column.bytes_len = 8);
    open_box(state);
}

static void rows_04_lists_of_rows_that_failed(void **state)
{
    const struct halo_rows_error two[] = {{1, 5, 3}, {4, 6, 0}}, back[] = {{4, 5, 3}, {1, 6, 0}},
                                 same[] = {{1, 5, 3}, {1, 6, 0}}, out[] = {{1, 5, 3}, {8, 6, 0}},
                                 no_code[] = {{1, 0, 3}, {4, 6, 0}},
                                 below[] = {{1, -3, 3}, {4, 6, 0}},
                                 lengthy[] = {{1, 5, 3}, {4, 6, 201}},
                                 wraps[] = {{1, 5, UINT32_MAX}, {4, 6, 0}};

    close_box(state); /* each has its own */
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, back, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, same, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, out, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, no_code, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, below, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, lengthy, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, wraps, 0xed));
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xff)); /* they have values */
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed); head.failed_count = 3);
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed); head.failed_count = 1);
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed); head.failed_count = 9);
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed) - 4; head.errors_len -= 4);
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed) + 4; head.errors_len += 4);
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed);
            head.errors_len = UINT32_MAX - 3);
    REFUSED(HALO_I64, 8, HALO_ROWS_GO_ON, with_errors(2, two, 0xed);
            b.message[PARTS + 72 + 15] = 'x');
    REFUSED(HALO_I64, 8, 0, with_errors(2, two, 0xed)); /* nobody asked to go on */
    open_box(state);
}

static void rows_07_answers_beyond_the_limits(void **state)
{
    const size_t len = numbers(10);

    (void)state;
    b.c.port.work_max = 79; /* exit_max */
    rows_box_call(&b, HALO_I64, 10, 0);
    assert_null(rows_box_answer(&b, len, 64));
    assert_int_equal(b.rows.future.error, HALO_ESIZE);
    b.c.port.work_max = UINT64_MAX;
    b.c.calls.budget->max = 10; /* held_max */
    rows_box_call(&b, HALO_I64, 10, 0);
    assert_null(rows_box_answer(&b, len, 64));
    assert_int_equal(b.rows.future.error, HALO_ENOMEM);
    assert_null(b.rows.result.values);
    assert_null(b.rows.memory);
}

static void rows_08_a_column_that_changes_behind_its_answer(void **state)
{
    const size_t len = texts(good_offsets);
    size_t text_len;

    (void)state;
    rows_box_call(&b, HALO_STR, 3, 0);
    assert_null(rows_box_answer(&b, len, 64));
    memset(b.message, 0xff, sizeof(b.message));
    for (uint32_t i = 0; i < 3; i++)
        assert_memory_equal(halo_column_text(&b.rows.result, i, &text_len),
                            &"abbccc"[i * (i + 1) / 2], i + 1);
}

/* An aggregate's answer has a column of one row at its end, and none before; whatever has failed.
 */
static void rows_09_answers_of_aggregates(void **state)
{
    const struct halo_rows_error two[] = {{1, 5, 3}, {4, 6, 0}};
    size_t len = with_errors(2, two, 0);

    /* A sound one: 10 rows, of which two have failed, and their result. */
    memmove(b.message + PARTS + 8, b.message + PARTS + 72, len - PARTS - 72);
    len -= 64;
    head.column.flags = 0;
    head.row_count = 10;
    put_head();
    for (uint32_t flags = 0; flags < 4; flags++) {
        for (uint32_t rows = 0; rows < 12; rows++) {
            const bool fits = rows == 10 && flags == HALO_ROWS_GO_ON;

            b.exported[HALO_I64].aggregate = true;
            rows_box_call(&b, HALO_I64, rows, flags);
            if (!rows_box_answer(&b, len, 64) != fits)
                fail_msg("%u rows, flags %u", rows, flags);
            assert_int_equal(b.rows.future.done, fits);
            assert_int_equal(b.rows.failed_count, fits ? 2 : 0);
            assert_false(b.rows.is_open);
            if (!fits) {
                unsigned char kept[ROWS_ROOM];

                memcpy(kept, b.message, sizeof(kept));
                close_box(state);
                open_box(state);
                memcpy(b.message, kept, sizeof(kept));
            }
        }
    }
    /* Validity is that of the one row, whatever its other bits are: they stand for no row that
     * failed. */
    len = with_errors(2, two, 0xff);
    memmove(b.message + PARTS + 16, b.message + PARTS + 72, len - PARTS - 72);
    b.exported[HALO_I64].aggregate = true;
    rows_box_call(&b, HALO_I64, 8, HALO_ROWS_GO_ON);
    assert_null(rows_box_answer(&b, len - 56, 64));
    assert_int_equal(b.rows.failed_count, 2);
    assert_true(halo_column_has(&b.rows.result, 0));
    /* As many numbers as rows; and a column before the end, or none at it. */
    b.exported[HALO_I64].aggregate = true;
    len = numbers(10);
    rows_box_call(&b, HALO_I64, 10, 0);
    assert_non_null(rows_box_answer(&b, len, 64));
    close_box(state);
    for (uint32_t more = 0; more < 2; more++) {
        open_box(state);
        b.exported[HALO_I64].aggregate = true;
        head = (struct halo_rows_answer){.row_count = 10};
        put_head();
        rows_box_call(&b, HALO_I64, 10, more ? HALO_ROWS_MORE : 0);
        assert_int_equal(rows_box_answer(&b, PARTS, 64) == NULL, more);
        assert_int_equal(b.rows.is_open, more);
        close_box(state);
    }
    open_box(state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sound_answers_are_taken),
        TEST(rows_01_another_kind_of_answer),
        TEST(rows_02_other_rows_than_were_asked_for),
        TEST(rows_03_offsets_and_text_that_are_none),
        TEST(rows_04_lists_of_rows_that_failed),
        TEST(rows_07_answers_beyond_the_limits),
        TEST(rows_08_a_column_that_changes_behind_its_answer),
        TEST(rows_09_answers_of_aggregates),
    };

    return cmocka_run_group_tests_name("rows_messages", tests, NULL, NULL);
}
