/* Calls as a guest may send them: groups RPC, RES and TOC. */
#include "call_messages.h"

/* --- Calls ------------------------------------------------------------------------------------ */

static void a_call_may_be_cut_anywhere(void **state)
{
    static const size_t lengths[] = {0, 1, 255, 256, 257, 300, 2000};
    struct halo_value result;
    uint64_t raw;

    (void)state;
    for (size_t s = 0; s < 7; s++) {
        for (size_t b = 0; b < 7; b++) {
            for (size_t piece = 1; piece < 400; piece += piece / 4 + 1) {
                const size_t len = good_call(lengths[s], lengths[b]);

                box.called = 0;
                assert_null(call_box_serve(&box, message, len, piece, 1000));
                assert_int_equal(box.called, 1);
                assert_int_equal(call_box_kind(&box, 1000), HALO_KIND_ANSWER);
                assert_int_equal(
                    halo__decode_result(box.room + 16, box.room[8], HALO_U64, &result, &raw), 0);
                assert_true(result.u64 == 'x' * lengths[b] + lengths[s] + 5);
            }
        }
    }
}

static void rpc_01_an_unknown_function_is_an_error(void **state)
{
    static const uint32_t functions[] = {10, 11, 256, 0x7fffffff, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_null(call_box_serve(&box, message, call_box_message(message, functions[i], NULL, 0),
                                   64, 1000));
        assert_error(HALO_ENAME);
    }
}

static void rpc_02_other_arguments_are_an_error(void **state)
{
    const struct halo_value wrong[] = {halo_i32(1), halo_bytes("x", 1), halo_bytes("x", 1),
                                       halo_i32(1)};

    (void)state;
    assert_null(call_box_serve(&box, message, call_box_message(message, 1, wrong, 3), 64, 1000));
    assert_error(HALO_ETYPE);
    assert_null(call_box_serve(&box, message, call_box_message(message, 1, wrong, 1), 64, 1000));
    assert_error(HALO_ECOUNT);
    assert_null(call_box_serve(&box, message, call_box_message(message, 2, wrong, 1), 64, 1000));
    assert_error(HALO_ECOUNT);
}

static void rpc_03_a_call_that_is_malformed_is_refused(void **state)
{
    size_t len;

    (void)state;
    len = good_call(3, 3);
    assert_refused(12, 1000, "length"); /* cut, and it still says how long it was */
    put32(4, 7);
    assert_refused(15, 1000, "shorter than its header");
    len = good_call(3, 3);
    put32(12, 1); /* reserved */
    assert_refused(len, 1000, "envelope");
    len = good_call(3, 3);
    put32(8, (uint32_t)len - 16 + 1); /* an envelope that is longer than the message */
    assert_refused(len, 1000, "envelope");
    put32(8, HALO_ENVELOPE_MAX + 1);
    assert_refused(len, 1000, "envelope");
    put32(8, UINT32_MAX);
    assert_refused(len, 1000, "envelope");
    put32(8, 0); /* no envelope */
    assert_refused(len, 1000, "malformed");
    put32(8, (uint32_t)len - 16 - 1); /* one that is shorter */
    assert_refused(len, 1000, "malformed");
    len = good_call(3, 3);
    for (uint32_t flags = 1; flags < 256; flags++) {
        message[1] = (unsigned char)flags;
        if (flags & 0x8f) /* the others say how deep the call is */
            assert_refused(len, 1000, "flags");
    }
    len = good_call(3, 3);
    message[len] = 0; /* something behind it */
    fix_length(len + 1);
    assert_refused(len + 1, 1000, "segments");
    len = good_call(300, 300);
    fix_length(len - 1);
    assert_refused(len - 1, 1000, "segments");
    len = good_call(300, 300);
    message[len - 302] = '\0'; /* in the text */
    assert_refused(len, 1000, "text");
    len = good_call(300, 300);
    message[len - 301] = 'x'; /* behind it */
    assert_refused(len, 1000, "text");
}

/* The function of lists, with so many bools and so on. */
static size_t list_call(size_t bools, size_t numbers, size_t text, size_t last)
{
    static uint64_t zeros[100];
    const struct halo_value args[] = {halo_bools((const bool *)(const void *)zeros, bools),
                                      halo_u64s(zeros, numbers),
                                      halo_str((const char *)letters + sizeof(letters) - 1 - text),
                                      halo_i32s((const int32_t *)(const void *)zeros, last)};

    return call_box_message(message, 8, args, 4);
}

static void rpc_12_lists_are_judged(void **state)
{
    size_t len, at;

    (void)state;
    for (size_t bools = 0; bools < 20; bools++) {
        for (size_t piece = 1; piece < 200; piece += 1 + piece / 3) {
            len = list_call(bools, bools % 5, piece * 2, 3);
            memset(message + len - 12, 1, 12);
            box.called = 0;
            assert_null(call_box_serve(&box, message, len, piece, 1000));
            assert_int_equal(box.called, 1);
        }
    }
    box.called = 0;
    len = list_call(5, 2, 300, 1);
    for (at = 16 + message[8]; at < len - 4 - 3 - 301 - 16 - 7; at++) { /* a bool that is none */
        message[at] = 2;
        assert_refused(len, 1000, "bool");
        message[at] = 0;
    }
    len = list_call(0, 0, 1, 1); /* function; 4 arguments: tag, length, kind, number each */
    assert_int_equal(message[18 + 3], 0);
    message[18 + 4 + 3] = 7; /* no multiple of 8, and none of 4 below that */
    assert_refused(len, 1000, "malformed");
    len = list_call(0, 0, 1, 1);
    for (uint32_t last = 0; last < 8;
         last++) { /* how long the last one is: of the envelope the end */
        message[16 + message[8] - 1] = (unsigned char)last;
        if (last % 4)
            assert_refused(len, 1000, "malformed");
        else if (last != 4)
            assert_refused(len, 1000, "segments");
    }
    len = list_call(1, 1, 1, 1); /* without what aligns the second, or with more */
    for (uint32_t more = 1; more < 16; more++) {
        fix_length(len + more);
        assert_refused(len + more, 1000, "segments");
        fix_length(len - more);
        assert_refused(len - more, 1000, "segments");
    }
}

static void hnd_01_a_handle_is_compared_with_all_its_bits(void **state)
{
    unsigned char bytes[12] = {HALO_KIND_CALL | 0x80, 9, 0};
    struct halo_value args[] = {halo_handle_value(box.handle), halo_null()};

    (void)state;
    for (int bit = -1; bit < 64; bit++) {
        const struct halo_handle handle = {box.handle.number ^ (bit < 0 ? 0 : (uint64_t)1 << bit)};

        for (int which = 0; which < 2; which++) { /* in either place */
            args[0] = args[1] = halo_handle_value(box.handle);
            args[which] = halo_handle_value(handle);
            box.called = 0;
            assert_null(
                call_box_serve(&box, message, call_box_message(message, 9, args, 2), 64, 1000));
            if (bit < 0)
                assert_int_equal(call_box_kind(&box, 1000), HALO_KIND_ANSWER);
            else
                assert_error(HALO_ESTALE);
        }
        memcpy(bytes + 3, &handle.number, 8); /* in a descriptor */
        bytes[11] = 0;
        box.called = 0;
        if (bit >= 0) {
            assert_null(call_box_compact(&box, bytes, sizeof(bytes), 1000));
            assert_error(HALO_ESTALE);
        }
    }
}

static void rpc_03_every_cut_of_a_call_is_refused(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 400; cut++) {
        const size_t len = good_call(20, 300);

        if (cut >= len)
            break;
        if (cut >= sizeof(struct halo_message))
            fix_length(cut);
        assert_non_null(call_box_serve(&box, message, cut, 64, 1000));
        assert_int_equal(box.called, 0);
        assert_int_equal(call_box_kind(&box, 1000), 0);
    }
}

static void rpc_05_a_call_needs_room_for_an_error(void **state)
{
    (void)state;
    for (size_t room = 0; room < HALO_CALL_ROOM_MIN; room++)
        assert_refused(good_call(3, 3), room, "room");
    assert_null(call_box_serve(&box, message, good_call(3, 3), 64, HALO_CALL_ROOM_MIN));
    assert_int_equal(call_box_kind(&box, HALO_CALL_ROOM_MIN), HALO_KIND_ANSWER);
}

static void res_04_what_is_too_long_is_refused_before_it_is_copied(void **state)
{
    const size_t len = HALO_VALUE_MAX + 4096;
    unsigned char *bytes = calloc(1, len + sizeof(message));
    struct halo_value args[] = {halo_i32(1), halo_str("x"), halo_bytes(bytes, HALO_VALUE_MAX - 1)};
    unsigned char *sent = calloc(1, len + sizeof(message));

    (void)state;
    assert_null(call_box_serve(&box, sent, call_box_message(sent, 1, args, 3), 1 << 20, 1000));
    assert_int_equal(box.called, 1);
    box.called = 0;
    args[2].len++;
    assert_null(call_box_serve(&box, sent, call_box_message(sent, 1, args, 3), 1 << 20, 1000));
    assert_error(HALO_ESIZE);
    free(bytes);
    free(sent);
}

/* Announced lengths whose sum, in 64 bits, is what is there. */
static void rpc_03_lengths_that_wrap_are_refused(void **state)
{
    static const uint64_t lens[][4] = {
        {INT64_MAX, INT64_MAX, 258, 256 + 2},
        {UINT64_MAX, 257 + 1, 1u << 20, 258},
        {1ull << 63, 1ull << 63, 257, 258},
        {1ull << 62, 1ull << 62, 1ull << 63, 300},
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
        {1ull << 32, UINT64_MAX - (1ull << 32) + 1, 300, 300},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        unsigned char *at = message + 16;
        struct halo_message head = {.kind = HALO_KIND_CALL};
        uint64_t sum = 0;
        size_t len;

        *at++ = 0x08; /* function 3 */
        *at++ = 3;
        for (int k = 0; k < 4; k++) {
            unsigned char *start;

            *at++ = 0x12;
            start = at++;
            *at++ = 0x50;
            for (uint64_t left = lens[i][k]; left > 0; left >>= 7)
                *at++ = (unsigned char)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
            *start = (unsigned char)(at - start - 1);
            sum += lens[i][k];
        }
        put32(8, (uint32_t)(at - message - 16));
        put32(12, 0);
        len = (size_t)(at - message) + (size_t)(sum < 4096 ? sum : 0);
        head.length = (uint32_t)(len - sizeof(head));
        memcpy(message, &head, sizeof(head));
        assert_non_null(call_box_serve(&box, message, len, 64, 1000));
        assert_int_equal(box.called, 0);
    }
}

/* One bit changed anywhere: refused, an error, or a call of the right types. Never two answers. */
static void rpc_03_no_change_of_a_call_does_harm(void **state)
{
    static const size_t lengths[][2] = {{0, 0}, {20, 3}, {300, 1}, {7, 400}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const size_t len = good_call(lengths[i][0], lengths[i][1]);

        for (size_t bit = 0; bit < 8 * len; bit++) {
            const char *why;

            box.called = 0;
            message[bit / 8] ^= (unsigned char)(1u << bit % 8);
            why = call_box_serve(&box, message, len, 17, 1000);
            message[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_int_equal(call_box_kind(&box, 1000) != 0, why == NULL);
            assert_true(box.called <= 1 && (box.called == 0 || !why));
        }
    }
}

/* --- The compact form --------------------------------------------------------------------------
 */

static void a_compact_call_is_called(void **state)
{
    const unsigned char numbers[12] = {0x81, 4, 0, 1, 5, 0, 0, 0, 0, 0, 0x80, 0x3f};
    const unsigned char nothing[] = {0x81, 2, 0};

    (void)state;
    assert_null(call_box_compact(&box, numbers, sizeof(numbers), 1000));
    assert_int_equal(box.called, 1);
    assert_int_equal(call_box_kind(&box, 1000), 0); /* the answer is in the used entry */
    assert_null(call_box_compact(&box, nothing, sizeof(nothing), HALO_CALL_ROOM_MIN));
    assert_int_equal(box.called, 2);
}

static void rpc_01_a_compact_call_of_an_unknown_function_is_an_error(void **state)
{
    (void)state;
    for (uint32_t function = 10; function <= 0xffff; function = 2 * function + 1) {
        const unsigned char bytes[] = {0x81, (unsigned char)function,
                                       (unsigned char)(function >> 8)};

        assert_null(call_box_compact(&box, bytes, sizeof(bytes), 1000));
        assert_error(HALO_ENAME);
    }
}

static void rpc_03_rpc_06_a_compact_call_that_is_malformed_is_refused(void **state)
{
    unsigned char bytes[12] = {0x81, 4, 0, 1, 5, 0, 0, 0, 0, 0, 0x80, 0x3f};

    (void)state;
    for (size_t len = 0; len < 12; len++)
        assert_non_null(call_box_compact(&box, bytes, len, 1000));
    for (size_t room = 0; room < HALO_CALL_ROOM_MIN; room++)
        assert_non_null(call_box_compact(&box, bytes, 12, room));
    for (uint32_t kind = 0; kind < 256; kind++) {
        bytes[0] = (unsigned char)kind;
        if ((kind & 0x8f) != 0x81)
            assert_non_null(call_box_compact(&box, bytes, 12, 1000));
    }
    bytes[0] = 0x81;
    for (uint32_t value = 2; value < 256; value++) { /* no bool */
        bytes[3] = (unsigned char)value;
        assert_non_null(call_box_compact(&box, bytes, 12, 1000));
    }
    bytes[3] = 1;
    for (uint32_t function = 0; function < 4; function++) { /* of other arguments, or none */
        bytes[1] = (unsigned char)function;
        assert_non_null(call_box_compact(&box, bytes, 12, 1000));
    }
    assert_int_equal(box.called, 0);
}

/* Function 7, i64?(i32?, i32?): before each a byte that says whether it is there. */
static void a_compact_call_with_absent_values_is_called(void **state)
{
    static const struct {
        size_t len;
        int64_t sum;
        unsigned char bytes[12];
    } calls[] = {
        {5, 0, {0x81, 7, 0, 0, 0}},
        {9, 5, {0x81, 7, 0, 1, 5, 0, 0, 0, 0}},
        {9, 6, {0x81, 7, 0, 0, 1, 6, 0, 0, 0}},
    };

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        assert_null(call_box_compact(&box, calls[i].bytes, calls[i].len, 1000));
        assert_int_equal(box.called, i + 1);
        assert_int_equal(box.sum, calls[i].sum);
        assert_int_equal(call_box_kind(&box, 1000), 0); /* the answer is in the used entry */
    }
}

static void rpc_03_a_compact_call_with_malformed_absent_values_is_refused(void **state)
{
    unsigned char bytes[12] = {0x81, 7, 0, 1, 5, 0, 0, 0, 0};

    (void)state;
    for (size_t len = 3; len <= 12; len++) {
        if (len != 9) /* cut, or with something behind */
            assert_non_null(call_box_compact(&box, bytes, len, 1000));
    }
    for (uint32_t value = 2; value < 256; value++) { /* neither there nor absent */
        bytes[3] = (unsigned char)value;
        assert_string_equal(call_box_compact(&box, bytes, 9, 1000), "a call that is malformed");
    }
    bytes[1] = 6; /* text is never compact, and its absence is, but its signature's call is not */
    memcpy(bytes + 3, "\1\2\0\0\0\0\0", 7);
    assert_non_null(call_box_compact(&box, bytes, 9, 1000)); /* a bool of 2 */
    memcpy(bytes + 3, "\0\0\0\0\0\1x", 7);
    assert_non_null(call_box_compact(&box, bytes, 10, 1000));
    assert_int_equal(box.called, 0);
}

static void rpc_02_a_wrong_absent_value_is_refused_by_its_number(void **state)
{
    const struct halo_value args[] = {halo_null(), halo_null(), halo_null()};
    struct halo_message head;
    const char *text;
    int32_t code;

    (void)state;
    assert_null(call_box_serve(&box, message, call_box_message(message, 6, args, 3), 64, ROOM));
    assert_int_equal(call_box_kind(&box, ROOM), HALO_KIND_ERROR);
    memcpy(&head, box.room, sizeof(head));
    assert_int_equal(halo__decode_error(box.room + sizeof(head), head.length, &code, &text), 0);
    assert_int_equal(code, HALO_ETYPE);
    assert_string_equal(text, "m: argument 2 is absent or of another type, and not i32");
    assert_int_equal(box.called, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_may_be_cut_anywhere),
        TEST(rpc_01_an_unknown_function_is_an_error),
        TEST(rpc_02_other_arguments_are_an_error),
        TEST(hnd_01_a_handle_is_compared_with_all_its_bits),
        TEST(rpc_12_lists_are_judged),
        TEST(rpc_03_a_call_that_is_malformed_is_refused),
        TEST(rpc_03_every_cut_of_a_call_is_refused),
        TEST(rpc_05_a_call_needs_room_for_an_error),
        TEST(res_04_what_is_too_long_is_refused_before_it_is_copied),
        TEST(rpc_03_lengths_that_wrap_are_refused),
        TEST(rpc_03_no_change_of_a_call_does_harm),
        TEST(a_compact_call_is_called),
        TEST(rpc_01_a_compact_call_of_an_unknown_function_is_an_error),
        TEST(rpc_03_rpc_06_a_compact_call_that_is_malformed_is_refused),
        TEST(a_compact_call_with_absent_values_is_called),
        TEST(rpc_03_a_compact_call_with_malformed_absent_values_is_refused),
        TEST(rpc_02_a_wrong_absent_value_is_refused_by_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
