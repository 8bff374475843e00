/* Answers that do not fit wait on the host's side, and are fetched once: groups RPC and RES. */
#include "call_messages.h"

/* Call for so much text, with so much room. The ticket, where it did not fit. */
static struct halo_deferred text_of(uint32_t len, size_t room)
{
    const struct halo_value arg = halo_u32(len);
    struct halo_message head;
    struct halo_deferred deferred = {0};

    assert_null(call_box_serve(&box, message, call_box_message(message, 5, &arg, 1), 64, room));
    assert_int_equal(call_box_kind(&box, room), HALO_KIND_ANSWER);
    memcpy(&head, box.room, sizeof(head));
    assert_int_equal(head.flags, head.length == sizeof(deferred) ? HALO_MESSAGE_DEFERRED : 0);
    if (head.flags)
        memcpy(&deferred, box.room + sizeof(head), sizeof(deferred));
    return deferred;
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
    const struct halo_deferred deferred = text_of(1000, 500), other = text_of(1001, 500);

    (void)state;
    assert_int_equal(text_of(1000, 2000).ticket, 0); /* it fits */
    assert_in_range(deferred.length, 1010, 1040);
    assert_int_not_equal(deferred.ticket, other.ticket);
    assert_null(
        call_box_serve(&box, message, fetch(deferred.ticket, 0), 64, 8 + deferred.length - 1));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ERROR); /* no room: it is still there */
    assert_null(call_box_serve(&box, message, fetch(deferred.ticket, 0), 64, 8 + deferred.length));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ANSWER);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(box.room[8 + deferred.length - 2 - i], 'x');
    assert_int_equal(box.room[8 + deferred.length - 1], '\0');
    assert_stale(deferred.ticket);
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

/* What would be copied beyond the bound of an exit is kept, for the next one. */
static void cost_02_fetches_of_one_exit_are_bounded(void **state)
{
    uint32_t tickets[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        tickets[i] = text_of(1000, 500).ticket;
    box.port.work = 0;
    box.port.work_max = 2100;
    assert_fetched(tickets[0]);
    assert_fetched(tickets[1]);
    assert_null(call_box_serve(&box, message, fetch(tickets[2], 0), 64, 2000));
    assert_int_equal(call_box_kind(&box, 2000), HALO_KIND_ERROR);
    box.port.work = 0; /* the guest has run */
    assert_fetched(tickets[2]);
    box.port.work_max = UINT64_MAX;
}

static void rpc_03_a_fetch_that_is_malformed_is_refused(void **state)
{
    const struct halo_deferred deferred = text_of(1000, 500);

    (void)state;
    box.called = 0;
    assert_refused(fetch(deferred.ticket, 1), 2000, "reserved");
    for (size_t len = 8; len < 20; len++) {
        (void)fetch(deferred.ticket, 0);
        put32(16, 0);
        fix_length(len);
        if (len != 16)
            assert_refused(len, 2000, "malformed");
    }
    for (size_t room = 0; room < HALO_CALL_ROOM_MIN; room++)
        assert_refused(fetch(deferred.ticket, 0), room, "room");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rpc_05_rpc_09_an_answer_that_does_not_fit_is_fetched_once),
        TEST(rpc_09_what_is_kept_is_found_in_any_order),
        TEST(cost_02_fetches_of_one_exit_are_bounded),
        TEST(rpc_03_a_fetch_that_is_malformed_is_refused),
        TEST(res_04_no_more_is_kept_than_the_limit),
        TEST(rpc_05_a_result_above_the_limit_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
