/* A build with the checks stops at the first operation after an invariant was broken. */
#ifndef HALO_CHECKS
#error "without HALO_CHECKS nothing is looked at"
#endif
#include "queue_fixture.h"
#include <halo/halves.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Something is in flight, taken, answered, and kept: there are records of every kind. */
static void use_all_of_it(struct queue *q)
{
    struct halo_received request;
    struct halo_answer kept;

    (void)queue_ask(q, "first", 8);
    (void)queue_ask(q, "second, which has more than one part", 8);
    (void)queue_ask(q, "third", 8);
    assert_true(halo_sender_flush(&q->sender) >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(halo_receiver_poll(&q->receiver, &request, q->spans, 16), 1);
        assert_int_equal(halo_receiver_complete(&q->receiver, &request), 0);
    }
    assert_int_equal(halo_receiver_poll(&q->receiver, &request, q->spans, 16), 1);
    assert_true(halo_receiver_flush(&q->receiver) >= 0);
    assert_int_equal(halo_sender_reclaim(&q->sender), 2);
    assert_int_equal(halo_sender_poll(&q->sender, &kept), 1);
}

static void use_driver(struct queue *q)
{
    struct halo_used used;

    (void)halo_driver_poll(&q->sender.driver, &used);
}

static void use_device(struct queue *q)
{
    (void)halo_device_arm(&q->receiver.device);
}

static void use_pool(struct queue *q)
{
    (void)halo_pool_alloc(&q->tiers.small);
}

static void use_sender(struct queue *q)
{
    (void)halo_sender_flush(&q->sender);
}

static void use_receiver(struct queue *q)
{
    (void)halo_receiver_flush(&q->receiver);
}

/* Whether the program is stopped where `operation` follows on `slip`, or on nothing. */
static bool stops(struct queue *q, void (*slip)(struct queue *), void (*operation)(struct queue *))
{
    const struct rlimit none = {0, 0};
    const pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGILL, SIG_DFL);
        (void)signal(SIGTRAP, SIG_DFL);
        if (slip)
            slip(q);
        operation(q);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}

static void driver_slot(struct queue *q)
{
    q->sender.driver.free_slots--;
}

static void driver_id(struct queue *q)
{
    q->sender.driver.held--;
}

static void driver_cursor(struct queue *q)
{
    q->sender.driver.used.desc++;
}

static void device_room(struct queue *q)
{
    q->receiver.device.room++;
}

static void device_record(struct queue *q)
{
    for (uint32_t id = 0; id < RING; id++)
        q->chains[id].token ^= HALO_TOKEN_FREE;
}

static void pool_count(struct queue *q)
{
    q->tiers.small.free_count--;
}

static void pool_list(struct queue *q) /* the second free buffer is the first once more */
{
    q->tiers.small.next[q->tiers.small.free_head] = q->tiers.small.free_head;
}

static void pool_foreign(struct queue *q)
{
    q->tiers.small.free_head = SMALL_COUNT;
}

static void sender_count(struct queue *q)
{
    q->sender.free_requests++;
}

static void sender_state(struct queue *q)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        if (q->sender.requests[i].state == HALO_REQUEST_TAKEN)
            q->sender.requests[i].state = HALO_REQUEST_IN_FLIGHT;
    }
}

static void sender_list(struct queue *q)
{
    q->sender.first_answered = (q->sender.first_answered + 1) % REQUESTS;
}

static void sender_token(struct queue *q)
{
    q->sender.requests[0].token++;
}

static void sender_part(struct queue *q)
{
    q->sender.free_parts++;
}

static void receiver_count(struct queue *q)
{
    q->receiver.stats.in_flight--;
}

static void receiver_hold(struct queue *q)
{
    q->receiver.holding = true;
}

/* --- A driver in two halves: one chain back, one in flight -------------------------------------
 */

static struct {
    _Alignas(64) unsigned char memory[8 * 16 + 128];
    struct halo_halves halves;
    uint64_t records[8];
    uint16_t ids[8], seen[8];
} two;

static void start_halves(void)
{
    const struct halo_buf buf = {4096, 8};
    struct halo_ring_place place;
    struct halo_used used;

    memset(&two, 0, sizeof(two));
    assert_int_equal(halo_ring_place_in(halo_shm_share(two.memory), 8, &place), 0);
    assert_int_equal(halo_halves_init(&two.halves, &place, two.records, two.ids, two.seen), 0);
    for (int i = 0; i < 2; i++)
        assert_true(halo_submitter_submit(&two.halves.submitter, &buf, 1, 0) >= 0);
    halo_shm_stage_meta(place.desc, halo_meta(0, 0, HALO_PHASE_MASK));
    assert_int_equal(halo_reaper_poll(&two.halves.reaper, &used), 1);
    halo_reaper_return(&two.halves.reaper);
}

static void use_submitter(struct queue *q)
{
    (void)q;
    (void)halo_submitter_should_kick(&two.halves.submitter);
}

static void use_reaper(struct queue *q)
{
    (void)q;
    (void)halo_reaper_arm(&two.halves.reaper);
}

static void submitter_next(struct queue *q)
{
    (void)q;
    two.halves.submitter.next = 8;
}

static void submitter_count(struct queue *q)
{
    (void)q;
    two.halves.submitter.sent += 8;
}

static void submitter_cursor(struct queue *q)
{
    (void)q;
    two.halves.submitter.avail.phase ^= HALO_META_WRITE;
}

static void reaper_count(struct queue *q)
{
    (void)q;
    two.halves.reaper.reaped += 9;
}

static void reaper_seen(struct queue *q)
{
    (void)q;
    two.seen[1] = 7;
}

static void reaper_latch(struct queue *q)
{
    (void)q;
    two.halves.reaper.violation.reason = HALO_BROKEN_BAD_ID;
}

static void a_broken_invariant_of_a_half_stops_the_program(void **state)
{
    static const struct {
        const char *what;
        void (*slip)(struct queue *);
        void (*operation)(struct queue *);
    } cases[] = {
        {"next", submitter_next, use_submitter},    {"sent", submitter_count, use_submitter},
        {"avail", submitter_cursor, use_submitter}, {"reaped", reaper_count, use_reaper},
        {"seen", reaper_seen, use_reaper},          {"latch", reaper_latch, use_reaper}};

    start_halves();
    assert_false(stops(*state, NULL, use_submitter));
    assert_false(stops(*state, NULL, use_reaper));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!stops(*state, cases[i].slip, cases[i].operation))
            fail_msg("%s: nobody noticed", cases[i].what);
    }
}

static void a_broken_invariant_stops_the_program(void **state)
{
    static const struct {
        void (*slip)(struct queue *);
        void (*operation)(struct queue *);
    } cases[] = {
        {driver_slot, use_driver},  {driver_id, use_driver},        {driver_cursor, use_driver},
        {device_room, use_device},  {device_record, use_device},    {pool_count, use_pool},
        {pool_list, use_pool},      {pool_foreign, use_pool},       {sender_count, use_sender},
        {sender_state, use_sender}, {sender_list, use_sender},      {sender_token, use_sender},
        {sender_part, use_sender},  {receiver_count, use_receiver}, {receiver_hold, use_receiver},
    };
    struct queue *q = *state;

    use_all_of_it(q);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(stops(q, NULL, cases[i].operation));
        if (!stops(q, cases[i].slip, cases[i].operation))
            fail_msg("case %zu was not stopped", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_broken_invariant_of_a_half_stops_the_program, queue_open,
                                        queue_close),
        cmocka_unit_test_setup_teardown(a_broken_invariant_stops_the_program, queue_open,
                                        queue_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
