/* A port before a driver that sends whatever it likes, and a service that only counts. */
#include "port_box.h"
#include <halo/driver.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SIZE 8u
#define BASE 0x1000u

static _Alignas(64) unsigned char rings[HALO_QUEUE_COUNT][1024];
static unsigned char memory[4096]; /* what the guest may name, at BASE */
static struct halo_driver drivers[HALO_QUEUE_COUNT];
static struct halo_driver_chain chains[HALO_QUEUE_COUNT][SIZE];
static struct halo_port port;
static struct halo_words words;
static uint32_t taken, served, ended; /* what the service was told */
static const char *answer_with;       /* what it does not understand */
static int end_error;

static const char *take(void *self, struct halo_request *request)
{
    (void)self;
    taken++;
    if (answer_with)
        return answer_with;
    if (request->message.kind == HALO_KIND_STREAM_OPEN)
        halo__port_answer(&port, request, HALO_KIND_ANSWER, 0, 0);
    return NULL;
}

static const char *serve(void *self)
{
    (void)self;
    served++;
    return NULL;
}

static const char *send(void *self)
{
    (void)self;
    return answer_with;
}

static void end(void *self, int error)
{
    (void)self;
    ended++;
    end_error = error;
}

static const struct halo_service service = {
    .kinds = {HALO_KIND_BIT(HALO_KIND_STREAM_OPEN), HALO_KIND_BIT(HALO_KIND_ANSWER)},
    .take = take,
    .serve = serve,
    .send = send,
    .end = end,
};

static int setup(void **state)
{
    const struct halo_region region = {BASE, sizeof(memory), halo_shm_share(memory),
                                       HALO_MAY_READ | HALO_MAY_WRITE};
    struct halo_port_config config = {.regions = &region,
                                      .region_count = 1,
                                      .features =
                                          HALO_FEATURE_INLINE_REQUEST | HALO_FEATURE_INLINE_ANSWER};

    (void)state;
    memset(rings, 0, sizeof(rings));
    memset(memory, 0xee, sizeof(memory));
    memset(&port, 0, sizeof(port));
    memset(&words, 0, sizeof(words));
    taken = served = ended = 0;
    answer_with = NULL;
    for (int i = 0; i < HALO_QUEUE_COUNT; i++) {
        assert_int_equal(halo_ring_place_in(halo_shm_share(rings[i]), SIZE, &config.places[i]), 0);
        assert_int_equal(halo_driver_init(&drivers[i], &config.places[i], chains[i]), 0);
        assert_int_equal(halo_driver_extend(&drivers[i], config.features), 0);
    }
    assert_int_equal(halo__port_init(&port, &words, &config), 0);
    halo__port_attach(&port, &service, NULL);
    return 0;
}

/* A message of `readable` bytes, its header included, with room for an answer. */
static void submit(enum halo_queue_index queue, uint32_t kind, uint32_t readable, uint32_t room)
{
    const struct halo_message head = {(uint8_t)kind, 0, 7, readable - (uint32_t)sizeof(head)};
    const struct halo_buf bufs[] = {{BASE, readable}, {BASE + 1024, room}};

    memcpy(memory, &head, sizeof(head));
    assert_true(
        halo_driver_add(&drivers[queue], readable ? bufs : bufs + 1, readable > 0, room > 0) >= 0);
    halo_driver_publish(&drivers[queue]);
}

static void a_kind_goes_to_the_service_that_takes_it(void **state)
{
    struct halo_message answer;
    struct halo_used used;

    (void)state;
    submit(HALO_QUEUE_G2H, HALO_KIND_STREAM_OPEN, 20, 64);
    assert_int_equal(halo__port_drain(&port), 0);
    assert_int_equal(taken, 1);
    assert_int_equal(served, 1);
    assert_true(port.answered);
    assert_int_equal(halo_driver_poll(&drivers[HALO_QUEUE_G2H], &used), 1);
    assert_int_equal(used.len, sizeof(answer));
    memcpy(&answer, memory + 1024, sizeof(answer));
    assert_int_equal(answer.kind, HALO_KIND_ANSWER);
    assert_int_equal(answer.request, 7);
}

static void rpc_06_no_other_kind_is_taken(void **state)
{
    for (uint32_t queue = 0; queue < HALO_QUEUE_COUNT; queue++) {
        for (uint32_t kind = 0; kind < 256; kind++) {
            const bool known = queue ? kind == HALO_KIND_ANSWER : kind == HALO_KIND_STREAM_OPEN;

            setup(state);
            submit(queue, kind, 20, 300);
            assert_int_equal(halo__port_drain(&port), known ? 0 : HALO_EPOISONED);
            assert_int_equal(taken, known);
            if (!known)
                assert_string_equal(words.text, "the guest sent a message of unknown kind");
        }
    }
}

static void what_a_service_does_not_understand_is_told(void **state)
{
    (void)state;
    answer_with = "a riddle";
    submit(HALO_QUEUE_G2H, HALO_KIND_STREAM_OPEN, 20, 64);
    assert_int_equal(halo__port_drain(&port), HALO_EPOISONED);
    assert_string_equal(words.text, "the guest sent a riddle");
    assert_int_equal(served, 0);
    assert_int_equal(halo__port_send(&port), HALO_EPOISONED);
    assert_string_equal(words.text, "the guest left a riddle");
}

static void rpc_05_a_buffer_for_calls_has_its_length(void **state)
{
    for (uint32_t len = 1; len <= 300; len++) {
        const char *why;

        setup(state);
        submit(HALO_QUEUE_H2G, 0, 0, len);
        assert_int_equal(halo__port_drain(&port), len >= HALO_POST_MIN ? 0 : HALO_EPOISONED);
        assert_int_equal(halo__port_buffer(&port, &why) != NULL, len >= HALO_POST_MIN);
        assert_null(halo__port_buffer(&port, &why));
    }
}

/* The newest buffer first, each once; what is put into it is what its driver gets. */
static void buffers_are_taken_once_each(void **state)
{
    const struct halo_message message = {.kind = HALO_KIND_STOP};
    struct halo_used used;
    const char *why;
    int16_t last = INT16_MAX;

    (void)state;
    for (int i = 0; i < 3; i++)
        submit(HALO_QUEUE_H2G, 0, 0, 256);
    assert_int_equal(halo__port_drain(&port), 0);
    for (int i = 0; i < 3; i++) {
        const struct halo_request *buffer = halo__port_buffer(&port, &why);

        assert_non_null(buffer);
        assert_true(halo_token_id(buffer->parked.token) < last);
        last = (int16_t)halo_token_id(buffer->parked.token);
        halo__port_post(&port, buffer, message);
    }
    assert_null(halo__port_buffer(&port, &why));
    assert_int_equal(halo__port_send(&port), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(halo_driver_poll(&drivers[HALO_QUEUE_H2G], &used), 1);
        assert_int_equal(used.len, sizeof(message));
    }
}

/* Where that is too short, the newest that is long enough, wherever it lies; all others stay. */
static void a_longer_buffer_is_taken_in_place_of_one(void **state)
{
    static const uint32_t lens[] = {300, 900, 600, 400, 256};
    static const struct {
        uint64_t need;
        uint32_t gets;
    } takes[] = {{1000, 256}, {500, 600}, {500, 900}, {500, 400}, {257, 300}};
    const char *why;

    (void)state;
    for (int i = 0; i < 5; i++)
        submit(HALO_QUEUE_H2G, 0, 0, lens[i]);
    assert_int_equal(halo__port_drain(&port), 0);
    for (int i = 0; i < 5; i++) {
        const struct halo_request *buffer = halo__port_buffer(&port, &why);

        assert_non_null(buffer);
        if (buffer->parked.writable_len < takes[i].need)
            buffer = halo__port_longer(&port, buffer, takes[i].need);
        assert_int_equal(buffer->parked.writable_len, takes[i].gets);
    }
    assert_null(halo__port_buffer(&port, &why));
}

static void an_answer_alone_is_given_back_at_once(void **state)
{
    struct halo_used used;

    (void)state;
    submit(HALO_QUEUE_H2G, HALO_KIND_ANSWER, 20, 0);
    assert_int_equal(halo__port_drain(&port), 0);
    assert_int_equal(taken, 1);
    assert_int_equal(halo_driver_poll(&drivers[HALO_QUEUE_H2G], &used), 1);
}

static void rpc_06_nothing_inline_comes_for_the_host_s_calls(void **state)
{
    const struct halo_buf room = {BASE + 1024, 300};

    for (uint32_t len = 0; len <= HALO_INLINE_REQUEST_MAX; len++) {
        setup(state);
        assert_true(halo_driver_add_inline(&drivers[HALO_QUEUE_H2G],
                                           "\x82\x82\x82\x82\x82\x82\x82"
                                           "\x82\x82\x82\x82\x82",
                                           len, &room, 1) >= 0);
        halo_driver_publish(&drivers[HALO_QUEUE_H2G]);
        assert_int_equal(halo__port_drain(&port), HALO_EPOISONED);
        assert_int_equal(taken, 0);
    }
}

/* Nothing is taken, answered or served once the guest has ended. */
static void what_has_ended_stays_ended(void **state)
{
    struct halo_used used;

    (void)state;
    submit(HALO_QUEUE_G2H, HALO_KIND_STREAM_OPEN, 20, 64);
    assert_int_equal(halo__port_drain(&port), 0);
    assert_int_equal(halo_driver_poll(&drivers[HALO_QUEUE_G2H], &used), 1);
    halo__port_close(&port, HALO_EFAULT);
    assert_int_equal(ended, 1);
    assert_int_equal(end_error, HALO_EFAULT);
    submit(HALO_QUEUE_G2H, HALO_KIND_STREAM_OPEN, 20, 64);
    (void)halo__port_drain(&port);
    assert_int_equal(taken, 1);
    assert_int_equal(served, 1);
    memset(memory + 1024, 0xee, 64);
    halo__port_answer(&port, &port.requests[HALO_QUEUE_G2H][0], HALO_KIND_ANSWER, 0, 0);
    assert_int_equal(memory[1024], 0xee);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_kind_goes_to_the_service_that_takes_it, setup),
        cmocka_unit_test(rpc_06_no_other_kind_is_taken),
        cmocka_unit_test_setup(what_a_service_does_not_understand_is_told, setup),
        cmocka_unit_test(rpc_05_a_buffer_for_calls_has_its_length),
        cmocka_unit_test_setup(buffers_are_taken_once_each, setup),
        cmocka_unit_test_setup(a_longer_buffer_is_taken_in_place_of_one, setup),
        cmocka_unit_test_setup(an_answer_alone_is_given_back_at_once, setup),
        cmocka_unit_test(rpc_06_nothing_inline_comes_for_the_host_s_calls),
        cmocka_unit_test_setup(what_has_ended_stays_ended, setup),
    };

    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
