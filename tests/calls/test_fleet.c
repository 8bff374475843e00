/*
 * Fleets: a fresh sandbox for each request, whatever the last one did to it, on any number of
 * threads. Groups SNP and RES.
 */
#include "fleets.h"
#include "../host/guest_process.h"
#include <halo/inside.h>
#include <halo/trace.h>

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

/* --- Fresh, whatever came before -------------------------------------------------------------- */

static void each_request_has_a_fresh_sandbox(void **state)
{
    begin(state, 4);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 2), 0);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 2), 0);
    count_up();
    assert_int_equal(stats.idle, 2);
    assert_int_equal(stats.opened, 2);
    assert_int_equal(stats.memory, 2 * HALO_RAM_DEFAULT);
    for (int i = 0; i < 20; i++) {
        take(&box, snapshot);
        take(&second, snapshot);
        assert_ptr_not_equal(box, second);
        assert_int_equal(number(box, "add", 1), 6);
        assert_int_equal(number(second, "add", 10), 15);
        assert_int_equal(number(box, "add", 1), 7);
        count_up();
        assert_int_equal(stats.taken, 2);
        give(&box);
        give(&second);
    }
    count_up();
    assert_int_equal(stats.takes, 40);
    assert_int_equal(stats.ready, 40);
    assert_int_equal(stats.gives, 40);
    assert_int_equal(stats.opened, 2);
    assert_int_equal(prepared, 2);
    assert_int_equal(stats.replaced + stats.lost + stats.moved + stats.waits + stats.refused, 0);
}

/* SNP-02: it serves the next one, however its last guest ended. */
static void what_has_ended_goes_back_into_service(void **state)
{
    static const struct {
        const char *function;
        int error;
        int64_t patience;
    } ends[] = {{"loop", HALO_ETIMEDOUT, 20000000},
                {"fault", HALO_EFAULT, PATIENCE},
                {"panic", HALO_EPANIC, PATIENCE},
                {"port", HALO_EFAULT, PATIENCE},
                {"poison", HALO_EPOISONED, PATIENCE}};

    begin(state, 1);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        take(&box, snapshot);
        assert_int_equal(number(box, "add", 1), 6);
        assert_int_equal(halo_call_start(box, &future, function(box, ends[i].function), NULL, 0),
                         0);
        assert_int_equal(halo_wait(&future, ends[i].patience), ends[i].error);
        give(&box);
        assert_true(future.done); /* also what never came to its end */
        assert_true(future.error != 0);
    }
    take(&box, snapshot);
    assert_int_equal(halo_run(box, PATIENCE, NULL), 0); /* it has ended by itself */
    give(&box);
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    assert_null(halo_fault(box));
    assert_null(halo_poison(box));
    count_up();
    assert_int_equal(stats.opened, 1);
}

/* SNP-03: the next one sees nothing of a hostile tenant, in the same machine. */
static void nothing_of_the_last_tenant_is_left(void **state)
{
    const bool on_kvm = way_options(state).backend == HALO_BACKEND_KVM;

    make(state, &snapshot, "probe", 0, 0);
    open_fleet(state, 1, 0);
    for (uint32_t i = 0; i < 5; i++) {
        const struct halo_value kind = halo_u32(on_kvm && i & 1);

        take(&box, snapshot);
        assert_int_equal(halo_call_start(box, &future, function(box, "look"), NULL, 0), 0);
        assert_int_equal(halo_wait(&future, PATIENCE), 0);
        assert_string_equal(future.result.str, "");
        halo_future_free(&future);
        assert_int_equal(number(box, "add", 1), 1);
        assert_int_equal(halo_call_start(box, &future, function(box, "ruin"), &kind, 1), 0);
        (void)halo_wait(&future, PATIENCE);
        give(&box);
        assert_true(future.done);
        assert_true(future.error != 0);
    }
    count_up();
    assert_int_equal(stats.opened, 1); /* each of them had it */
}

static uint32_t heard, watched, sampled;

static void hear(void *context, const struct halo_log_line *line)
{
    (void)line;
    (void)context;
    heard++;
}

static void watch(struct halo_sandbox *of, void *context)
{
    (void)of, (void)context;
    watched++;
}

static void sample(struct halo_sandbox *of, bool runs, void *context)
{
    (void)of, (void)runs, (void)context;
    sampled++;
}

/* What a request has set for itself is not the next one's. */
static void the_hosts_own_settings_end_with_a_request(void **state)
{
    static int64_t thirty = 30;

    heard = 0;
    begin(state, 1);
    assert_int_equal(halo_fleet_take(fleet, snapshot, PATIENCE, &thirty, &box), 0);
    assert_ptr_equal(halo_fleet_user(box), &thirty);
    assert_int_equal(number(box, "ask", 4), 38);
    assert_int_equal(halo_log(box, HALO_LOG_DEBUG, 0, hear, NULL), 0);
    halo_watch(box, 1, watch, NULL);
    assert_int_equal(halo_sample(box, HALO_SAMPLE_NS_MIN, sample, NULL), 0);
    assert_int_equal(halo_trace_begin(box, 64), 0);
    assert_int_equal(number(box, "say", 1), 1);
    assert_int_equal(heard, !way_is_stacks(state));
    second = box;
    give(&box);
    assert_null(halo_fleet_user(second));
    take(&box, snapshot);
    assert_ptr_equal(box, second);
    assert_int_equal(number(box, "ask", 4), 8);
    assert_int_equal(number(box, "say", 1), 1);
    assert_int_equal(halo_call_start(box, &future, function(box, "loop"), NULL, 0), 0);
    watched = sampled = 0;
    assert_int_equal(halo_wait(&future, 20000000), HALO_ETIMEDOUT);
    assert_int_equal(watched, 0);
    assert_int_equal(sampled, 0);
    assert_int_equal(halo_trace_read(box, &(struct halo_event_seen){0}, 1), HALO_ESTATE);
    assert_int_equal(heard, !way_is_stacks(state)); /* which carry no log */
    give(&box);
}

/* GDB-04: whoever debugs a request's guest sees nothing of the next one, and holds it no more. */
static void a_debugger_goes_with_its_request(void **state)
{
    int sockets[2];
    char said;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    begin(state, 1);
    take(&box, snapshot);
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    close(sockets[0]);
    give(&box);
    assert_int_equal(recv(sockets[1], &said, 1, MSG_DONTWAIT), 0);
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    give(&box);
    close(sockets[1]);
}

/* KEEP-04: answers that one request was not told of are not the next one's. */
static void answers_are_told_of_to_the_request_that_asked(void **state)
{
    const struct halo_value one = halo_i64(1);
    struct halo_future futures[2];

    begin(state, 1);
    take(&box, snapshot);
    for (int i = 0; i < 2; i++)
        assert_int_equal(halo_call_start(box, &futures[i], function(box, "add"), &one, 1), 0);
    assert_int_equal(halo_wait(&futures[1], PATIENCE), 0);
    assert_true(futures[0].done);
    give(&box);
    take(&box, snapshot);
    assert_int_equal(halo_poll(box, 0), 0);
    assert_int_equal(halo_call_start(box, &futures[0], function(box, "add"), &one, 1), 0);
    assert_int_equal(halo_poll(box, PATIENCE), 1);
    assert_true(futures[0].done);
    assert_int_equal(halo_poll(box, 0), 0);
    give(&box);
}

/* --- Replacement ------------------------------------------------------------------------------ */

static void a_sandbox_with_a_function_of_its_own_is_replaced(void **state)
{
    begin(state, 1);
    take(&box, snapshot);
    assert_int_equal(halo_provide(box, "host.late", &twice_type, twice, NULL), 0);
    give(&box);
    count_up();
    assert_int_equal(stats.replaced, 1);
    assert_int_equal(stats.idle, 1);
    take(&box, snapshot);
    assert_int_equal(halo_provide(box, "host.late", &twice_type, twice, NULL), 0); /* not there */
    assert_int_equal(number(box, "add", 1), 6);
    give(&box);
}

/* RES-15: a process that was killed from outside is another one, and nothing is left of it. */
static void a_killed_process_is_replaced(void **state)
{
    pid_t pid;

    if (way_options(state).backend != HALO_BACKEND_PROCESS)
        return;
    begin(state, 1);
    for (int i = 0; i < 3; i++) {
        take(&box, snapshot);
        assert_int_equal(number(box, "add", 1), 6);
        if (i == 2) /* idle */
            give(&box);
        pid = process_guest_of(getpid());
        assert_true(pid > 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(process_await_gone(pid));
        if (i < 2)
            give(&box);
    }
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    give(&box);
    count_up();
    assert_int_equal(stats.replaced, 1); /* the others were restored */
    assert_int_equal(stats.opened, 1);
}

/* --- Many threads ----------------------------------------------------------------------------- */

#define THREADS 8
#define REQUESTS 12

struct worker {
    pthread_t thread;
    uint32_t number, wrong;
};

/* Each of its requests ends in another way, and each finds what the snapshot has. */
static void *work(void *argument)
{
    struct worker *const me = argument;

    for (uint32_t i = 0; i < REQUESTS; i++) {
        const uint32_t kind = (me->number + i) % 6;
        const struct halo_snapshot *of = kind == 5 ? other : snapshot;
        struct halo_sandbox *mine;
        struct halo_future lost = {.done = false};

        if (halo_fleet_take(fleet, of, PATIENCE, me, &mine)) {
            me->wrong++;
            continue;
        }
        me->wrong += number(mine, "add", 1) != (of == other ? 8 : 6);
        me->wrong += halo_fleet_user(mine) != me;
        if (kind < 3) {
            (void)halo_call_start(mine, &lost,
                                  function(mine, kind ? kind == 1 ? "fault" : "poison" : "loop"),
                                  NULL, 0);
            me->wrong += halo_wait(&lost, kind ? PATIENCE : 2000000) == 0;
        }
        me->wrong += halo_fleet_give(fleet, mine) != 0;
        me->wrong += kind < 3 && !lost.done;
    }
    return NULL;
}

static void many_threads_share_a_few(void **state)
{
    struct worker workers[THREADS];

    make(state, &snapshot, NULL, 0, 5);
    make(state, &other, NULL, 0, 7);
    open_fleet(state, 3, 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    count_up();
    assert_in_range(stats.idle, 1, 3);
    assert_int_equal(stats.taken, 0);
    assert_int_equal(stats.takes, THREADS * REQUESTS);
    assert_int_equal(stats.gives, THREADS * REQUESTS);
    assert_int_equal(stats.lost + stats.refused + stats.closed, 0);
    assert_in_range(stats.opened, 1, 3);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(each_request_has_a_fresh_sandbox),
        TEST(what_has_ended_goes_back_into_service),
        RINGS(nothing_of_the_last_tenant_is_left),
        TEST(the_hosts_own_settings_end_with_a_request),
        TEST(a_debugger_goes_with_its_request),
        RINGS(answers_are_told_of_to_the_request_that_asked),
        TEST(a_sandbox_with_a_function_of_its_own_is_replaced),
        TEST(a_killed_process_is_replaced),
        TEST(many_threads_share_a_few),
    };

    return run_every_way("fleet", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
