/* The host's ends of the stacks, beside a guest that writes anything to them: group STK. */
#include "../../src/host/call/call.h"
#include "port_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LEN 1024u

static unsigned char out[LEN], in[LEN]; /* the guest's way out, and in */
static struct halo_stack from, to;
static struct halo_port port;
static struct halo_words words;

static int init(void **state)
{
    (void)state;
    memset(out, 0xee, LEN);
    memset(in, 0xee, LEN);
    port_box_open(&port, &words);
    halo__stack_init(&from, halo_shm_share(out), LEN, port_box_extent(out, LEN).offset);
    halo__stack_init(&to, halo_shm_share(in), LEN, port_box_extent(in, LEN).offset);
    return 0;
}

static void put(unsigned char *stack, uint64_t at, uint64_t value)
{
    memcpy(stack + at, &value, sizeof(value));
}

static uint64_t get(const unsigned char *stack, uint64_t at)
{
    uint64_t value;

    memcpy(&value, stack + at, sizeof(value));
    return value;
}

/* What a guest that follows the rules does. */
static void push(const char *text)
{
    const uint64_t top = get(out, 0), len = strlen(text);

    memcpy(out + top, text, len);
    put(out, top + len, top);
    put(out, 0, top + len + 8);
}

static void the_last_one_pushed_is_popped_first(void **state)
{
    struct halo_request request;
    char text[LEN] = {0};

    (void)state;
    push("first message");
    push("second");
    assert_null(halo__stack_pop(&from, &to, &request));
    assert_int_equal(request.parked.readable_len, 6);
    assert_true(halo__request_read(&port, &request, 0, text, 6));
    assert_string_equal(text, "second");
    assert_null(halo__stack_pop(&from, &to, &request));
    assert_int_equal(request.parked.readable_len, 13);
    assert_true(halo__request_read(&port, &request, 0, text, 13));
    assert_string_equal(text, "first message");
    assert_non_null(halo__stack_pop(&from, &to, &request));
}

static void an_answer_is_pushed_where_there_is_room(void **state)
{
    struct halo_request request;

    (void)state;
    push("request");
    assert_null(halo__stack_pop(&from, &to, &request));
    assert_int_equal(request.parked.writable_len, LEN - 8 - 8);
    halo__request_write(&port, &request, 0, "abc", 3);
    halo__stack_push(&to, &request, 3);
    assert_true(to.pushed);
    assert_int_equal(get(in, 0), 8 + 3 + 8);
    assert_memory_equal(in + 8, "abc", 3);
    assert_int_equal(get(in, 11), 8);
    for (size_t i = 19; i < LEN; i++)
        assert_int_equal(in[i], 0xee);

    assert_null(halo__stack_post(&to, &request)); /* and the next one behind it */
    assert_int_equal(request.parked.writable_len, LEN - 8 - 19);
    halo__stack_push(&to, &request, request.parked.writable_len);
    assert_int_equal(get(in, 0), LEN);
    assert_int_equal(get(in, LEN - 8), 19);
}

/* Every end, and every beginning for each, that a stack of this length can be said to have. */
static void stk_01_stk_02_offsets_lie_within_the_stack(void **state)
{
    static const uint64_t far[] = {LEN + 1,         LEN + 8,   1u << 20,       UINT32_MAX,
                                   1ull << 32,      INT64_MAX, UINT64_MAX - 7, UINT64_MAX - 8,
                                   UINT64_MAX - 15, UINT64_MAX};
    struct halo_request request;

    (void)state;
    for (uint64_t top = 0; top <= LEN; top++) {
        for (uint64_t first = 0; first <= LEN; first++) {
            const bool good = top >= 16 && first >= 8 && first <= top - 8;

            if (top >= 8)
                put(out, top - 8, first);
            put(out, 0, top);
            assert_int_equal(!halo__stack_pop(&from, &to, &request), good);
            if (good) {
                assert_int_equal(request.parked.readable_len, top - 8 - first);
                assert_int_equal(request.parked.readable_count, top - 8 > first);
                assert_int_equal(get(out, 0), first);
                assert_int_equal(request.parked.extents[request.parked.readable_count].offset,
                                 port_box_extent(in + 8, 0).offset);
            }
        }
        for (size_t i = 0; i < sizeof(far) / sizeof(far[0]) && top >= 16; i++) {
            put(out, top - 8, far[i]);
            put(out, 0, top);
            assert_non_null(halo__stack_pop(&from, &to, &request));
        }
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        put(out, 0, far[i]);
        assert_non_null(halo__stack_pop(&from, &to, &request));
    }
}

static void stk_01_the_end_of_the_way_in_is_checked_too(void **state)
{
    struct halo_request request;

    (void)state;
    for (uint64_t top = 0; top < 2 * LEN; top++) {
        push("request");
        put(in, 0, top);
        assert_int_equal(!halo__stack_pop(&from, &to, &request), top >= 8 && top <= LEN - 8);
        put(in, 0, top);
        assert_int_equal(!halo__stack_post(&to, &request), top >= 8 && top <= LEN - 8);
        if (top >= 8 && top <= LEN - 8)
            assert_int_equal(request.parked.writable_len, LEN - 8 - top);
        put(out, 0, 8);
    }
    put(in, 0, UINT64_MAX - 3);
    assert_non_null(halo__stack_post(&to, &request));
}

/* The guest moves the end of its way in while its request is being served: it is put right. */
static void stk_01_an_answer_goes_where_its_room_was(void **state)
{
    struct halo_request request;

    (void)state;
    push("request");
    assert_null(halo__stack_pop(&from, &to, &request));
    put(in, 0, UINT64_MAX);
    halo__request_write(&port, &request, 0, "abc", 3);
    halo__stack_push(&to, &request, 3);
    assert_int_equal(get(in, 0), 19);
    assert_int_equal(get(in, 11), 8);
}

/* A message without payload. */
static void push_message(enum halo_kind kind, uint8_t flags)
{
    const struct halo_message message = {.kind = (uint8_t)kind, .flags = flags};
    const uint64_t top = get(out, 0);

    memcpy(out + top, &message, sizeof(message));
    put(out, top + sizeof(message), top);
    put(out, 0, top + sizeof(message) + 8);
}

/* What is put off in a ring has no place on a stack: the last one is always the one that counts. */
static void rpc_07_a_call_says_the_depth_that_it_has(void **state)
{
    static struct halo_calls calls;

    init(state);
    halo__calls_init(&calls, &port, &words, NULL);
    port.on_stacks = true;
    port.stacks[HALO_STACK_G2H] = from;
    port.stacks[HALO_STACK_H2G] = to;
    port.waits = 2;
    push_message(HALO_KIND_CALL, 1 << HALO_DEPTH_SHIFT);
    assert_int_equal(halo__port_pop(&port), HALO_EPOISONED);
    assert_string_equal(words.text, "the guest sent a call that is not its innermost");
    push_message(HALO_KIND_CALL, 2 << HALO_DEPTH_SHIFT);
    assert_int_equal(halo__port_pop(&port), HALO_EPOISONED);
    assert_non_null(strstr(words.text, "shorter than its header"));
    for (uint32_t kind = 0; kind < 256; kind++) { /* streams and fetches, too */
        if (kind == HALO_KIND_CALL || kind == HALO_KIND_HELLO)
            continue;
        push_message((enum halo_kind)kind, 0);
        assert_int_equal(halo__port_pop(&port), HALO_EPOISONED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_last_one_pushed_is_popped_first, init),
        cmocka_unit_test_setup(an_answer_is_pushed_where_there_is_room, init),
        cmocka_unit_test_setup(stk_01_stk_02_offsets_lie_within_the_stack, init),
        cmocka_unit_test_setup(stk_01_the_end_of_the_way_in_is_checked_too, init),
        cmocka_unit_test_setup(stk_01_an_answer_goes_where_its_room_was, init),
        cmocka_unit_test(rpc_07_a_call_says_the_depth_that_it_has),
    };

    return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
