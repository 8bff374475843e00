/*
 * A guest that breaks a rule is stopped for good by the first one: whoever waits is answered once,
 * and what it broke can be read. On every backend, over both transports.
 */
#include "ways.h"

#define SECONDS (1000000000ll)
#define CALLS 9
#define SPOILER 3 /* which of them breaks the rule; with stacks there is one call alone */
#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))

static struct halo_sandbox *box;

static int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

static void open_guest(void **state, const char *file, const char *mode)
{
    const char *const args[] = {"guest", mode};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    if (halo_open(&box, file, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_null(halo_poison(box));
}

static void open_functions(void **state)
{
    open_guest(state, POISON, NULL);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), 0);
}

static int no_box(void **state)
{
    (void)state;
    box = NULL;
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static uint64_t exits(void)
{
    struct halo_stats stats;

    halo_stats(box, &stats);
    return stats.exits;
}

static bool is_process(void)
{
    return strcmp(halo_backend_name(box), "process") == 0;
}

static void res_11_every_call_in_flight_is_answered_once(void **state)
{
    const struct halo_value words[] = {halo_u64(0x4711), halo_u64(0), halo_u64(0)};
    const int calls = way_is_stacks(state) ? 1 : CALLS, spoiler = calls == 1 ? 0 : SPOILER;
    struct halo_future futures[CALLS], late;
    uint64_t before;
    int echo, spoil;

    open_functions(state);
    echo = function("echo", FN(HALO_I64, HALO_I64));
    spoil = function("spoil", FN(HALO_VOID, HALO_U64, HALO_U64, HALO_U64));
    for (int i = 0; i < calls; i++) {
        const struct halo_value number = halo_i64(i);

        assert_int_equal(halo_call_start(box, &futures[i], i == spoiler ? spoil : echo,
                                         i == spoiler ? words : &number, i == spoiler ? 3 : 1),
                         0);
    }
    assert_int_equal(halo_poll(box, 30 * SECONDS), HALO_EPOISONED);
    assert_int_equal(halo_poll(box, 30 * SECONDS), 0); /* none is in flight any more */
    for (int i = 0; i < calls; i++) {
        assert_true(futures[i].done);
        if (i >= spoiler || futures[i].error)
            assert_int_equal(futures[i].error, HALO_EPOISONED);
        if (futures[i].error)
            assert_non_null(strstr(futures[i].text, "0x4711"));
        else
            assert_int_equal(futures[i].result.i64, i);
    }
    before = exits();
    for (int i = 0; i < calls; i++) {
        const int error = futures[i].error;

        assert_int_equal(halo_wait(&futures[i], 30 * SECONDS), error);
        halo_future_free(&futures[i]);
    }
    assert_true(halo_call_start(box, &late, echo, (struct halo_value[]){halo_i64(1)}, 1) < 0);
    assert_true(late.done);
    assert_int_equal(halo_run(box, 30 * SECONDS, NULL), HALO_ESTATE);
    assert_int_equal(exits(), before);
    assert_non_null(halo_poison(box));
}

static void the_doorbell_s_words_and_the_registers_can_be_read(void **state)
{
    const struct halo_poison *poison;
    struct halo_future future;
    uint64_t doorbell;

    open_functions(state);
    assert_int_equal(halo_call_start(box, &future, function("doorbell", FN(HALO_U64)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, 30 * SECONDS), 0);
    doorbell = future.result.u64;
    assert_int_equal(halo_call(box, &future,
                               function("spoil", FN(HALO_VOID, HALO_U64, HALO_U64, HALO_U64)),
                               30 * SECONDS, halo_u64(0x4711), halo_u64(0x11223344556677),
                               halo_u64(0x8877665544)),
                     HALO_EPOISONED);
    poison = halo_poison(box);
    assert_non_null(poison);
    assert_int_equal(poison->kind, HALO_POISON_DOORBELL);
    assert_int_equal(poison->queue, HALO_POISON_NO_QUEUE);
    assert_int_equal(poison->words[0], 0x4711);
    assert_int_equal(poison->words[1], 0x11223344556677);
    assert_int_equal(poison->processor.known,
                     is_process() ? HALO_PROCESSOR_CALL : HALO_PROCESSOR_ALL);
    assert_int_equal(poison->processor.rdi, 0x4711);
    assert_int_equal(poison->processor.rsi, 0x11223344556677);
    assert_int_equal(poison->processor.rdx, 0x8877665544);
    assert_in_range(poison->processor.rip, doorbell, doorbell + HALO_PAGE);
    assert_true(is_process() || poison->processor.rsp != 0);
}

static const struct halo_poison *run_into(void **state, const char *mode)
{
    int code = -1;

    open_guest(state, TROUBLE, mode);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), HALO_EPOISONED);
    assert_non_null(halo_poison(box));
    /* A process that was stopped in the middle of its code tells all, too. */
    if (!is_process() || !way_options(state).threaded)
        assert_int_equal(halo_poison(box)->processor.known,
                         is_process() ? HALO_PROCESSOR_CALL : HALO_PROCESSOR_ALL);
    return halo_poison(box);
}

static void a_broken_ring_shows_the_descriptor(void **state)
{
    const struct halo_poison *poison = run_into(state, "bad-id");

    assert_int_equal(poison->kind, HALO_POISON_RING);
    assert_string_equal(poison->rule, "BAD_ID");
    assert_int_equal(poison->queue, HALO_QUEUE_G2H);
    assert_int_equal(poison->slot, 0);
    assert_int_equal(poison->id, 2048);
    assert_true(poison->words[0] >= HALO_RAM_BASE);
    assert_int_equal(poison->words[1] & 0xffffffffffff, 2048ull << 32 | 16);
    /* The doorbell had been rung for a kick of that queue. */
    assert_int_equal(poison->processor.rdi, HALO_DOORBELL_KICK);
}

static void a_buffer_that_is_not_to_be_named_shows_its_address(void **state)
{
    const struct halo_poison *poison = run_into(state, "far-buffer");

    assert_int_equal(poison->kind, HALO_POISON_BUFFER);
    assert_string_equal(poison->rule, "RANGE");
    assert_int_equal(poison->queue, HALO_QUEUE_G2H);
    assert_true(poison->words[0] == 0xfffffffffffffff8);
}

static void a_message_shows_its_header(void **state)
{
    const struct halo_poison *poison = run_into(state, "unknown-kind");

    assert_int_equal(poison->kind, HALO_POISON_MESSAGE);
    assert_string_equal(poison->rule, "a message of unknown kind");
    assert_int_equal(poison->queue, HALO_QUEUE_G2H);
    assert_int_equal(poison->words[0], 8ull << 32 | 99);
}

/* And not what another request had said that had its place before. */
static void a_message_whose_header_was_not_read_shows_none(void **state)
{
    const struct halo_poison *poison = run_into(state, "no-room");

    assert_int_equal(poison->kind, HALO_POISON_MESSAGE);
    assert_string_equal(poison->rule, "a request without room for its answer");
    assert_int_equal(poison->words[0], 0);
}

static void a_wait_for_nothing_is_a_rule_of_its_own(void **state)
{
    const struct halo_poison *poison = run_into(state, "wait-for-nothing");

    assert_int_equal(poison->kind, HALO_POISON_WAIT);
    assert_int_equal(poison->queue, HALO_POISON_NO_QUEUE);
}

static void other_ends_are_no_poison(void **state)
{
    static const struct {
        const char *mode;
        int error;
    } ends[] = {
        {"exit-7", 0}, {"null", HALO_EFAULT}, {"panic", HALO_EPANIC}, {"loop", HALO_ETIMEDOUT}};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        int code;

        open_guest(state, TROUBLE, ends[i].mode);
        assert_int_equal(
            halo_run(box, ends[i].error == HALO_ETIMEDOUT ? SECONDS / 5 : 30 * SECONDS, &code),
            ends[i].error);
        assert_null(halo_poison(box));
        halo_close(box);
        box = NULL;
    }
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(res_11_every_call_in_flight_is_answered_once),
        TEST(the_doorbell_s_words_and_the_registers_can_be_read),
        IN_TURNS(a_broken_ring_shows_the_descriptor),
        RINGS(a_buffer_that_is_not_to_be_named_shows_its_address),
        RINGS(a_message_shows_its_header),
        RINGS(a_message_whose_header_was_not_read_shows_none),
        TEST(a_wait_for_nothing_is_a_rule_of_its_own),
        TEST(other_ends_are_no_poison),
    };

    return run_every_way("poison", tests, sizeof(tests) / sizeof(tests[0]), no_box, close_box);
}
