/* Answers as a guest may send them to its host's calls: groups RPC and RES. */
#include "call_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SPARE 4u /* buffers that were posted */

static struct call_box c;
static struct halo_provided exported[3];
static struct halo_future future;
static unsigned char message[8192], sent[SPARE][ROOM];

/* A buffer for calls, as if it had been taken from the ring. */
static void post(uint16_t id, void *room, size_t len)
{
    struct halo_request *request = &c.port.requests[HALO_QUEUE_H2G][id];

    port_box_request(request, id, NULL, 0, 1, room, len);
    request->next = c.port.posted;
    c.port.posted = (uint16_t)(id + 1);
}

/* Three functions that were exported, and buffers for calls of them. */
static int open_box(void **state)
{
    static const enum halo_type types[] = {HALO_I64, HALO_STR, HALO_BYTES};

    (void)state;
    call_box_open(&c);
    for (int i = 0; i < 3; i++)
        exported[i] = (struct halo_provided){.name = {(char)('a' + i)},
                                             .signature = {0, {(uint8_t)types[i]}}};
    c.calls.functions.exported = exported;
    c.calls.functions.export_count = 3;
    for (uint16_t i = 0; i < SPARE; i++)
        post(i, sent[i], ROOM);
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_future_free(&future);
    c.calls.functions.exported = NULL;
    call_box_close(&c);
    return 0;
}

/* Call function 1 to 3; returns the number of the request. */
static uint16_t call(int function)
{
    assert_int_equal(halo__future_start(&c.calls, &future, function, NULL, 0), 0);
    assert_null(halo__invoke_send(&c.calls));
    assert_false(future.done);
    assert_true(future.request > 0);
    return future.request;
}

/* Have the port hand over `len` bytes of `message`, in pieces. */
static const char *take(size_t len, size_t piece)
{
    struct halo_request request;

    port_box_request(&request, SPARE, message, len, piece, NULL, 0);
    return port_box_take(&c.port, HALO_QUEUE_H2G, &request, 0);
}

/* An answer of so many bytes of `message`, in two pieces. */
static const char *answer_with(enum halo_kind kind, uint16_t request, size_t payload)
{
    const struct halo_message head = {
        .kind = (uint8_t)kind, .request = request, .length = (uint32_t)payload};
    const size_t len = sizeof(head) + payload;

    memcpy(message, &head, sizeof(head));
    return take(len, 5);
}

/* Head, envelope and raw segment of a result; its length. */
static size_t result(struct halo_value value)
{
    unsigned char *at = message + sizeof(struct halo_message);
    struct halo_call_head head = {0};

    head.envelope_len = (uint32_t)halo__encode_result(at + sizeof(head), &value);
    memcpy(at, &head, sizeof(head));
    if (halo__is_raw(&value))
        memcpy(at + sizeof(head) + head.envelope_len, value.bytes, (size_t)halo__raw_len(&value));
    return sizeof(head) + head.envelope_len + (size_t)halo__raw_len(&value);
}

static void a_result_ends_its_call(void **state)
{
    static char letters[3001];

    (void)state;
    assert_null(answer_with(HALO_KIND_ANSWER, call(1), result(halo_i64(-7))));
    assert_true(future.done && future.error == 0 && future.result.i64 == -7);
    close_box(state);
    memset(letters, 'x', 3000);
    for (size_t len = 0; len <= 3000; len += 1 + len / 20) {
        letters[len] = '\0';
        open_box(state);
        assert_null(answer_with(HALO_KIND_ANSWER, call(2), result(halo_str(letters))));
        assert_true(future.done && future.error == 0);
        assert_string_equal(future.result.str, letters);
        close_box(state);
        letters[len] = 'x';
    }
    open_box(state);
}

static void rpc_06_an_answer_belongs_to_a_call_in_flight(void **state)
{
    uint16_t request = call(1);

    (void)state;
    for (uint32_t other = 0; other <= UINT16_MAX; other++) {
        if (other != request)
            assert_non_null(answer_with(HALO_KIND_ANSWER, (uint16_t)other, result(halo_i64(1))));
    }
    assert_false(future.done);
    assert_null(answer_with(HALO_KIND_ANSWER, request, result(halo_i64(1))));
    assert_true(future.done);
    assert_non_null(answer_with(HALO_KIND_ANSWER, request, result(halo_i64(2)))); /* twice */
    assert_true(future.result.i64 == 1);
}

static void rpc_06_a_call_that_was_given_up_is_answered_once(void **state)
{
    uint16_t request = call(2);

    (void)state;
    halo_future_free(&future);
    assert_null(answer_with(HALO_KIND_ANSWER, request, 3)); /* nobody looks at it */
    assert_non_null(answer_with(HALO_KIND_ANSWER, request, 3));
}

static void rpc_06_other_kinds_and_flags_are_refused(void **state)
{
    const uint16_t request = call(1);

    (void)state;
    for (uint32_t kind = 0; kind < 256; kind++) {
        if (kind != HALO_KIND_ANSWER && kind != HALO_KIND_ERROR)
            assert_non_null(answer_with((enum halo_kind)kind, request, result(halo_i64(1))));
    }
    for (uint32_t flags = 1; flags < 256; flags++) {
        const size_t len = sizeof(struct halo_message) + result(halo_i64(1));
        const struct halo_message head = {.kind = HALO_KIND_ANSWER,
                                          .flags = (uint8_t)flags,
                                          .request = request,
                                          .length = (uint32_t)(len - sizeof(head))};

        memcpy(message, &head, sizeof(head));
        assert_non_null(take(len, len));
    }
    assert_false(future.done);
}

static void rpc_02_a_result_of_another_type_is_refused(void **state)
{
    const struct halo_value values[] = {halo_void(), halo_i32(1), halo_u64(1), halo_str("12"),
                                        halo_bytes("", 0)};
    const uint16_t request = call(1);

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_non_null(answer_with(HALO_KIND_ANSWER, request, result(values[i])));
    assert_false(future.done);
    assert_int_equal(future.result.type, HALO_VOID);
}

static void rpc_03_an_answer_that_is_malformed_is_refused(void **state)
{
    static char letters[301];
    size_t len;
    uint16_t request;

    (void)state;
    memset(letters, 'x', 300);
    request = call(2);
    len = result(halo_str(letters));
    for (size_t cut = 0; cut < len; cut++) {
        assert_non_null(answer_with(HALO_KIND_ANSWER, request, cut));
        halo_future_free(&(struct halo_future){.memory = future.memory});
        future.memory = NULL;
    }
    message[sizeof(struct halo_message) + len] = 0;
    assert_non_null(answer_with(HALO_KIND_ANSWER, request, len + 1));
    free(future.memory);
    message[sizeof(struct halo_message) + len - 1] = 'x'; /* text without its end */
    assert_non_null(answer_with(HALO_KIND_ANSWER, request, len));
    free(future.memory);
    (void)result(halo_str(letters));
    message[sizeof(struct halo_message) + 4] = 1; /* reserved */
    assert_non_null(answer_with(HALO_KIND_ANSWER, request, len));
    free(future.memory);
    future.memory = NULL;
    assert_false(future.done);
    assert_non_null(answer_with(HALO_KIND_ERROR, request, 0));
    assert_non_null(answer_with(HALO_KIND_ERROR, request, 321));
}

static void rpc_06_an_error_is_the_functions_or_one_of_few(void **state)
{
    close_box(state);
    for (int32_t code = -40; code <= 40; code++) {
        const bool good = code > 0 || code == HALO_ENAME || code == HALO_ETYPE ||
                          code == HALO_ECOUNT || code == HALO_ESIZE || code == HALO_EDEPTH ||
                          code == HALO_ENOMEM || code == HALO_EINVAL;
        unsigned char *at = message + sizeof(struct halo_message);
        uint16_t request;

        if (code == 0)
            continue;
        open_box(state);
        request = call(1);
        assert_int_equal(
            !answer_with(HALO_KIND_ERROR, request, halo__encode_error(at, code, "words")), good);
        assert_int_equal(future.done, good);
        if (good) {
            assert_int_equal(future.error, code > 0 ? HALO_ECALL : code);
            assert_int_equal(future.code, code > 0 ? code : 0);
            assert_string_equal(future.text, "words");
        }
        close_box(state);
    }
    open_box(state);
}

/* A length is compared before anything is allocated for it. */
static void res_04_a_result_that_is_too_long_is_an_error(void **state)
{
    const struct halo_message head = {
        .kind = HALO_KIND_ANSWER, .request = call(3), .length = UINT32_MAX - sizeof(head)};

    (void)state;
    memcpy(message, &head, sizeof(head));
    assert_null(take(UINT32_MAX, UINT32_MAX));
    assert_int_equal(future.error, HALO_ESIZE);
    assert_null(future.memory);
}

/* What a fetch is answered with: its kind, and for an error its code. */
static enum halo_kind fetch(uint32_t ticket, size_t room, int32_t *code)
{
    const struct halo_fetch payload = {ticket, 0};
    const struct halo_message head = {.kind = HALO_KIND_FETCH, .length = sizeof(payload)};
    struct halo_message answer;
    const char *words;

    memcpy(message, &head, sizeof(head));
    memcpy(message + sizeof(head), &payload, sizeof(payload));
    assert_null(call_box_serve(&c, message, sizeof(head) + sizeof(payload), 64, room));
    memcpy(&answer, c.room, sizeof(answer));
    if (answer.kind == HALO_KIND_ERROR)
        assert_int_equal(halo__decode_error(c.room + sizeof(answer), answer.length, code, &words),
                         0);
    return (enum halo_kind)answer.kind;
}

/* Long arguments: announced, fetched as often as the guest likes while the call is in flight. */
static void rpc_09_arguments_are_fetched_by_the_ticket_of_their_call(void **state)
{
    static unsigned char bytes[ROOM];
    const struct halo_value arg = halo_bytes(bytes, 3000);
    struct halo_message head;
    struct halo_deferred deferred;
    uint16_t request;
    int32_t code;

    (void)state;
    exported[0].signature = (struct halo_signature)HALO_FN(HALO_I64, HALO_BYTES);
    c.port.posted = 0;
    post(SPARE, sent[SPARE - 1], 300); /* there is no longer one */
    assert_int_equal(halo__future_start(&c.calls, &future, 1, &arg, 1), 0);
    assert_null(halo__invoke_send(&c.calls));
    request = future.request;
    memcpy(&head, sent[SPARE - 1], sizeof(head));
    memcpy(&deferred, sent[SPARE - 1] + sizeof(head), sizeof(deferred));
    assert_int_equal(head.flags, HALO_MESSAGE_DEFERRED);
    assert_int_equal(head.request, request);
    assert_int_equal(deferred.ticket, HALO_TICKET_CALL | request);
    assert_in_range(deferred.length, 3010, 3030);
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(fetch(deferred.ticket, 8 + deferred.length, &code), HALO_KIND_ANSWER);
        assert_memory_equal(c.room + 8 + deferred.length - 3000, bytes, 3000);
        assert_int_equal(fetch(deferred.ticket, 8 + deferred.length - 1, &code), HALO_KIND_ERROR);
        assert_int_equal(code, HALO_ESIZE);
    }
    for (uint32_t bit = 0; bit < 32; bit++) { /* every other ticket is of no call */
        assert_int_equal(fetch(deferred.ticket ^ 1u << bit, ROOM, &code), HALO_KIND_ERROR);
        assert_int_equal(code, HALO_ESTALE);
    }
    c.port.work = 0; /* COST-02: as often as the bound of an exit allows */
    c.port.work_max = 2 * deferred.length;
    for (int turn = 0; turn < 3; turn++)
        assert_int_equal(fetch(deferred.ticket, ROOM, &code),
                         turn < 2 ? HALO_KIND_ANSWER : HALO_KIND_ERROR);
    assert_int_equal(code, HALO_ESIZE);
    c.port.work_max = UINT64_MAX;
    halo_future_free(&future);
    assert_int_equal(fetch(deferred.ticket, ROOM, &code), HALO_KIND_ERROR);
    assert_int_equal(code, HALO_ESTALE);
}

/* A guest that posts long buffers, all of the same memory: what the bound of an exit does not allow
 * is announced, for it to fetch. */
static void cost_02_what_is_written_with_calls_is_bounded(void **state)
{
    static struct halo_future futures[3];
    static unsigned char bytes[6000], room[8000];
    const struct halo_value arg = halo_bytes(bytes, sizeof(bytes));
    struct halo_message head;

    (void)state;
    exported[0].signature = (struct halo_signature)HALO_FN(HALO_I64, HALO_BYTES);
    c.port.work = 0;
    c.port.work_max = 2 * sizeof(bytes) + 100;
    for (uint16_t i = 0; i < 3; i++) {
        post(SPARE, room, sizeof(room));
        assert_int_equal(halo__future_start(&c.calls, &futures[i], 1, &arg, 1), 0);
        assert_null(halo__invoke_send(&c.calls));
        memcpy(&head, room, sizeof(head));
        assert_int_equal(head.flags, i < 2 ? 0 : HALO_MESSAGE_DEFERRED);
    }
    c.port.work_max = UINT64_MAX;
    for (int i = 0; i < 3; i++)
        halo_future_free(&futures[i]);
}

/* Whatever length a guest posts, and however long a call is: it is written into that, or announced
 * there, and no byte behind it is touched. */
static void rpc_11_nothing_is_written_beyond_what_was_posted(void **state)
{
    static unsigned char bytes[9000], room[9000];

    (void)state;
    memset(bytes, 0x11, sizeof(bytes));
    c.port.posted = 0; /* no other than these */
    exported[0].signature = (struct halo_signature)HALO_FN(HALO_I64, HALO_BYTES);
    for (size_t posted = HALO_POST_MIN; posted <= 8192; posted += 1 + posted / 9) {
        for (size_t len = posted - 80; len <= posted + 8; len++) {
            const struct halo_value arg = halo_bytes(bytes, len);
            struct halo_message head;
            size_t written;

            memset(room, 0xee, sizeof(room));
            post(SPARE, room, posted);
            assert_int_equal(halo__future_start(&c.calls, &future, 1, &arg, 1), 0);
            assert_null(halo__invoke_send(&c.calls));
            memcpy(&head, room, sizeof(head));
            written = sizeof(head) + head.length;
            assert_in_range(written, 16, posted);
            if (!(head.flags & HALO_MESSAGE_DEFERRED))
                assert_true(written > len);
            for (size_t i = written; i < sizeof(room); i++)
                assert_int_equal(room[i], 0xee);
            halo_future_free(&future);
            c.calls.numbers[future.request % HALO_NUMBERS] = 0; /* as if it had been answered */
            c.calls.number_count--;
        }
    }
    assert_true(c.calls.stats.deferred_out > 0 && c.calls.stats.spare_out > 0);
}

static void rpc_07_the_host_nests_to_a_fixed_depth(void **state)
{
    (void)state;
    c.port.serving = HALO_DEPTH_MAX;
    assert_int_equal(halo__future_start(&c.calls, &future, 1, NULL, 0), 0);
    assert_false(future.done);
    halo_future_free(&future);
    c.port.serving = HALO_DEPTH_MAX + 1;
    assert_int_equal(halo__future_start(&c.calls, &future, 1, NULL, 0), HALO_EDEPTH);
}

/* A guest that posts buffers and answers nothing: no more calls go out than there are numbers. */
static void res_06_calls_in_flight_are_bounded(void **state)
{
    static struct halo_future futures[300];

    (void)state;
    for (int i = 0; i < 300; i++)
        assert_int_equal(halo__future_start(&c.calls, &futures[i], 1, NULL, 0), 0);
    for (uint32_t i = 0; i < 400; i++) {
        assert_null(halo__invoke_send(&c.calls));
        if (!c.port.posted)
            post((uint16_t)(i % SPARE), sent[0], ROOM);
    }
    assert_int_equal(c.calls.number_count, HALO_NUMBERS);
    halo__port_close(&c.port, HALO_EFAULT);
    for (int i = 0; i < 300; i++)
        assert_true(futures[i].done && futures[i].error == HALO_EFAULT);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_result_ends_its_call),
        TEST(rpc_06_an_answer_belongs_to_a_call_in_flight),
        TEST(rpc_06_a_call_that_was_given_up_is_answered_once),
        TEST(rpc_06_other_kinds_and_flags_are_refused),
        TEST(rpc_02_a_result_of_another_type_is_refused),
        TEST(rpc_03_an_answer_that_is_malformed_is_refused),
        TEST(rpc_06_an_error_is_the_functions_or_one_of_few),
        TEST(res_04_a_result_that_is_too_long_is_an_error),
        TEST(rpc_09_arguments_are_fetched_by_the_ticket_of_their_call),
        TEST(cost_02_what_is_written_with_calls_is_bounded),
        TEST(rpc_11_nothing_is_written_beyond_what_was_posted),
        TEST(rpc_07_the_host_nests_to_a_fixed_depth),
        TEST(res_06_calls_in_flight_are_bounded),
    };

    return cmocka_run_group_tests_name("invoke_messages", tests, NULL, NULL);
}
