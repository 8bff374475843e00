/* Calls and greetings as a guest may send them: groups RPC, RES and TOC. */
#include "call_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct call_box box;
static unsigned char message[8192], letters[3000];

static int open_box(void **state)
{
    (void)state;
    call_box_open(&box);
    memset(letters, 'x', sizeof(letters));
    letters[sizeof(letters) - 1] = '\0';
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    call_box_close(&box);
    return 0;
}

static size_t good_call(size_t str_len, size_t bytes_len)
{
    const struct halo_value args[] = {
        halo_i32(5), halo_str((const char *)letters + sizeof(letters) - 1 - str_len),
        halo_bytes(letters, bytes_len)};

    return call_box_message(message, 1, args, 3);
}

/* The answer is an error of Halo's own. */
static void assert_error(int error)
{
    const char *text;
    int32_t code;
    struct halo_message head;

    assert_int_equal(call_box_kind(&box, ROOM), HALO_KIND_ERROR);
    memcpy(&head, box.room, sizeof(head));
    assert_int_equal(halo__decode_error(box.room + sizeof(head), head.length, &code, &text), 0);
    assert_int_equal(code, error);
    assert_string_equal(text, halo_strerror(error));
    assert_int_equal(box.called, 0);
}

static void assert_refused(size_t len, size_t room, const char *words)
{
    const char *why = call_box_serve(&box, message, len, 64, room);

    assert_non_null(why);
    if (!strstr(why, words))
        fail_msg("'%s' says nothing of '%s'", why, words);
    assert_int_equal(call_box_kind(&box, room), 0);
    assert_int_equal(box.called, 0);
}

static void put32(size_t at, uint32_t value)
{
    memcpy(message + at, &value, sizeof(value));
}

/* Message lengths are those of their chains, whatever else is changed. */
static void fix_length(size_t len)
{
    put32(4, (uint32_t)(len - sizeof(struct halo_message)));
}

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
    static const uint32_t functions[] = {6, 7, 256, 0x7fffffff, UINT32_MAX};

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
    for (uint32_t function = 6; function <= 0xffff; function = 2 * function + 1) {
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

/* --- Answers that do not fit ------------------------------------------------------------------ */

/* Call for so much text, with so much room. The ticket, where it did not fit. */
static struct halo_deferred text_of(uint32_t len, size_t room)
{
    const struct halo_value arg = halo_u32(len);
    struct halo_message head;
    struct halo_deferred held = {0};

    assert_null(call_box_serve(&box, message, call_box_message(message, 5, &arg, 1), 64, room));
    assert_int_equal(call_box_kind(&box, room), HALO_KIND_ANSWER);
    memcpy(&head, box.room, sizeof(head));
    assert_int_equal(head.flags, head.length == sizeof(held) ? HALO_MESSAGE_DEFERRED : 0);
    if (head.flags)
        memcpy(&held, box.room + sizeof(head), sizeof(held));
    return held;
}

static size_t fetch(uint32_t ticket, uint32_t reserved)
{
    const struct halo_message head = {.kind = HALO_KIND_FETCH, .length = 8};

    memcpy(message, &head, sizeof(head));
    put32(8, ticket);
    put32(12, reserved);
    return 16;
}

static void assert_stale(uint32_t ticket)
{
    const char *text;
    struct halo_message head;
    int32_t code;

    assert_null(call_box_serve(&box, message, fetch(ticket, 0), 64, 2000));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ERROR);
    memcpy(&head, box.room, sizeof(head));
    assert_int_equal(halo__decode_error(box.room + sizeof(head), head.length, &code, &text), 0);
    assert_int_equal(code, HALO_ESTALE);
}

static void rpc_05_rpc_09_an_answer_that_does_not_fit_is_fetched_once(void **state)
{
    const struct halo_deferred held = text_of(1000, 500), other = text_of(1001, 500);

    (void)state;
    assert_int_equal(text_of(1000, 2000).ticket, 0); /* it fits */
    assert_in_range(held.length, 1010, 1040);
    assert_int_not_equal(held.ticket, other.ticket);
    assert_null(call_box_serve(&box, message, fetch(held.ticket, 0), 64, 8 + held.length - 1));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ERROR); /* no room: it is still there */
    assert_null(call_box_serve(&box, message, fetch(held.ticket, 0), 64, 8 + held.length));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ANSWER);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(box.room[8 + held.length - 2 - i], 'x');
    assert_int_equal(box.room[8 + held.length - 1], '\0');
    assert_stale(held.ticket);
    assert_stale(other.ticket + 1);
    assert_stale(UINT32_MAX);
    assert_stale(HALO_TICKET_CALL);
    assert_null(call_box_serve(&box, message, fetch(other.ticket, 0), 64, 2000));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ANSWER);
    assert_int_equal(box.called, 3);
}

static void assert_fetched(uint32_t ticket)
{
    assert_null(call_box_serve(&box, message, fetch(ticket, 0), 64, 2000));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ANSWER);
}

/* Fetched in any order, with others kept in between. */
static void rpc_09_what_is_kept_is_found_in_any_order(void **state)
{
    uint32_t tickets[6];

    (void)state;
    for (int i = 0; i < 3; i++)
        tickets[i] = text_of(1000, 500).ticket;
    assert_fetched(tickets[2]); /* the last */
    tickets[3] = text_of(1000, 500).ticket;
    assert_fetched(tickets[1]); /* one in the middle */
    tickets[4] = text_of(1000, 500).ticket;
    assert_fetched(tickets[0]); /* the first */
    assert_fetched(tickets[4]);
    assert_fetched(tickets[3]); /* the only one */
    tickets[5] = text_of(1000, 500).ticket;
    assert_fetched(tickets[5]);
    assert_int_equal(box.calls.deferred_count, 0);
    assert_int_equal(box.calls.deferred_bytes, 0);
}

static void rpc_03_a_fetch_that_is_malformed_is_refused(void **state)
{
    const struct halo_deferred held = text_of(1000, 500);

    (void)state;
    box.called = 0;
    assert_refused(fetch(held.ticket, 1), 2000, "reserved");
    for (size_t len = 8; len < 20; len++) {
        (void)fetch(held.ticket, 0);
        put32(16, 0);
        fix_length(len);
        if (len != 16)
            assert_refused(len, 2000, "malformed");
    }
    for (size_t room = 0; room < HALO_CALL_ROOM_MIN; room++)
        assert_refused(fetch(held.ticket, 0), room, "room");
}

static void res_04_no_more_is_kept_than_the_limit(void **state)
{
    uint32_t first, second;

    (void)state;
    first = text_of(HALO_VALUE_MAX / 2, 500).ticket;
    second = text_of(HALO_VALUE_MAX / 2, 500).ticket;
    assert_int_equal(box.calls.stats.discarded, 0);
    (void)text_of(HALO_VALUE_MAX / 4, 500); /* the oldest makes room */
    assert_int_equal(box.calls.stats.discarded, 1);
    assert_stale(first);
    (void)text_of(HALO_VALUE_MAX, 500);
    assert_int_equal(box.calls.stats.discarded, 3);
    assert_stale(second);
    for (int i = 0; i < 3000; i++)
        (void)text_of(1000, 500);
    assert_in_range(box.calls.deferred_count, 1000, 1024);
    assert_in_range(box.calls.deferred_bytes, 1000000, HALO_DEFERRED_MAX);
}

static void rpc_05_a_result_above_the_limit_is_an_error(void **state)
{
    const struct halo_value arg = halo_u32(HALO_VALUE_MAX + 1);

    (void)state;
    assert_null(call_box_serve(&box, message, call_box_message(message, 5, &arg, 1), 64, 500));
    box.called = 0;
    assert_error(HALO_ESIZE);
    assert_int_equal(box.calls.deferred_count, 0);
}

/* --- Greetings -------------------------------------------------------------------------------- */

static size_t greet(uint32_t count)
{
    struct halo_message head = {.kind = HALO_KIND_HELLO};
    struct halo_hello hello = {.import_count = count};
    size_t len = sizeof(head) + sizeof(hello);

    box.calls.functions.greeted = false;
    memcpy(message, &head, sizeof(head));
    memcpy(message + 8, &hello, sizeof(hello));
    for (uint32_t i = 0; i < count; i++) {
        struct halo_hello_function import = {.name_len = 1, .arg_count = 0};

        if (i % 3 == 1) /* of another type */
            import.types[0] = HALO_I32;
        memcpy(message + len, &import, sizeof(import));
        message[len + sizeof(import)] = i % 3 == 2 ? '?' : 'v'; /* and unknown */
        len += sizeof(import) + 1;
    }
    fix_length(len);
    return len;
}

static void imports_get_their_indices(void **state)
{
    (void)state;
    for (uint32_t count = 0; count <= 256; count += count / 8 + 1) {
        int32_t indices[256];
        size_t len;

        assert_null(call_box_serve(&box, message, greet(count), 64, 2048));
        assert_int_equal(call_box_kind(&box, 2048), HALO_KIND_ANSWER);
        memcpy(indices, box.room + 8, count * sizeof(indices[0]));
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(indices[i], i % 3 == 0 ? 2 : i % 3 == 1 ? HALO_ETYPE : HALO_ENAME);
        len = greet(count);
        box.calls.functions.greeted = true;
        assert_refused(len, 2048, "second");
    }
}

static void rpc_03_a_greeting_that_is_malformed_is_refused(void **state)
{
    size_t len;

    (void)state;
    len = greet(3);
    for (size_t cut = 8; cut < len; cut++) {
        fix_length(cut);
        assert_refused(cut, 2048, "greeting");
    }
    message[len] = 0;
    fix_length(len + 1);
    assert_refused(len + 1, 2048, "behind");
    len = greet(3);
    put32(8, 257);
    assert_refused(len, 2048, "too many");
    put32(8, UINT32_MAX);
    assert_refused(len, 2048, "too many");
    len = greet(3);
    put32(12, 257);
    assert_refused(len, 2048, "too many");
    put32(12, 1);
    assert_refused(len, 2048, "ends within");
    len = greet(3);
    message[16] = 0; /* no name */
    assert_refused(len, 2048, "none");
    message[16] = HALO_FUNCTION_NAME_MAX + 1;
    assert_refused(len, 2048, "none");
    len = greet(3);
    message[17] = HALO_ARGUMENTS_MAX + 1;
    assert_refused(len, 2048, "none");
    len = greet(3);
    message[27] = 1; /* reserved */
    assert_refused(len, 2048, "none");
    len = greet(3);
    message[16] = 60; /* a name beyond the end */
    assert_refused(len, 2048, "none");
    assert_refused(greet(100), 8 + 100 * 4 - 1, "room");
    assert_null(call_box_serve(&box, message, greet(100), 64, 8 + 100 * 4));
}

/* A greeting of exports with these names, i32(i32) each. */
static size_t export(const char *const *names, uint32_t count)
{
    const struct halo_message head = {.kind = HALO_KIND_HELLO};
    const struct halo_hello hello = {.export_count = count};
    size_t len = sizeof(head) + sizeof(hello);

    box.calls.functions.greeted = false;
    memcpy(message, &head, sizeof(head));
    memcpy(message + 8, &hello, sizeof(hello));
    for (uint32_t i = 0; i < count; i++) {
        const struct halo_hello_function function = {
            .name_len = (uint8_t)strlen(names[i]), .arg_count = 1, .types = {HALO_I32, HALO_I32}};

        memcpy(message + len, &function, sizeof(function));
        memcpy(message + len + sizeof(function), names[i], function.name_len);
        len += sizeof(function) + function.name_len;
    }
    fix_length(len);
    return len;
}

static void exports_are_known_by_their_names(void **state)
{
    const char *const names[] = {"a", "plugin.b", "c"};
    const struct halo_signature type = HALO_FN(HALO_I32, HALO_I32), other = HALO_FN(HALO_I32);
    struct halo_signature signature;
    const char *name;

    (void)state;
    assert_null(call_box_serve(&box, message, export(names, 3), 64, 300));
    assert_int_equal(call_box_kind(&box, 300), HALO_KIND_ANSWER);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(halo__function_lookup(&box.calls, names[i], &type), i + 1);
        assert_int_equal(halo__function_lookup(&box.calls, names[i], &other), HALO_ETYPE);
        assert_true(halo__function_exported(&box.calls, (uint32_t)i, &name, &signature));
        assert_string_equal(name, names[i]);
        assert_true(halo_signature_equal(&signature, &type));
    }
    assert_int_equal(halo__function_lookup(&box.calls, "plugin", &type), HALO_ENAME);
    assert_false(halo__function_exported(&box.calls, 3, &name, &signature));
    assert_false(halo__function_exported(&box.calls, UINT32_MAX, &name, &signature));
}

static void rpc_03_exports_that_are_none_are_refused(void **state)
{
    const char *const names[] = {"a", "b", "a"};
    size_t len;

    (void)state;
    assert_refused(export(names, 3), 300, "two functions of one name");
    len = export(names, 2);
    message[18] = HALO_TYPE_COUNT; /* the result's type */
    assert_refused(len, 300, "none");
    len = export(names, 2);
    message[19] = HALO_VOID; /* an argument's */
    assert_refused(len, 300, "none");
    len = export(names, 2);
    message[28] = '\0'; /* in the name */
    assert_refused(len, 300, "none");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_may_be_cut_anywhere),
        TEST(rpc_01_an_unknown_function_is_an_error),
        TEST(rpc_02_other_arguments_are_an_error),
        TEST(rpc_03_a_call_that_is_malformed_is_refused),
        TEST(rpc_03_every_cut_of_a_call_is_refused),
        TEST(rpc_05_a_call_needs_room_for_an_error),
        TEST(res_04_what_is_too_long_is_refused_before_it_is_copied),
        TEST(rpc_03_lengths_that_wrap_are_refused),
        TEST(rpc_03_no_change_of_a_call_does_harm),
        TEST(a_compact_call_is_called),
        TEST(rpc_01_a_compact_call_of_an_unknown_function_is_an_error),
        TEST(rpc_03_rpc_06_a_compact_call_that_is_malformed_is_refused),
        TEST(rpc_05_rpc_09_an_answer_that_does_not_fit_is_fetched_once),
        TEST(rpc_09_what_is_kept_is_found_in_any_order),
        TEST(rpc_03_a_fetch_that_is_malformed_is_refused),
        TEST(res_04_no_more_is_kept_than_the_limit),
        TEST(rpc_05_a_result_above_the_limit_is_an_error),
        TEST(imports_get_their_indices),
        TEST(exports_are_known_by_their_names),
        TEST(rpc_03_exports_that_are_none_are_refused),
        TEST(rpc_03_a_greeting_that_is_malformed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
