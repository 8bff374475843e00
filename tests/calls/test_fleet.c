/*
 * Fleets: a fresh sandbox for each request, whatever the last one did to it, on any number of
 * threads, within limits. tests/guests/tenant.c. Groups SNP and RES.
 */
#include <halo/fleet.h>
#include <halo/inside.h>
#include <halo/trace.h>
#include "../host/guest_process.h"
#include "ways.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#define PATIENCE 120000000000ll

static struct halo_fleet *fleet;
static struct halo_snapshot *snapshot, *other;
static struct halo_sandbox *box, *second;
static struct halo_future future;
static struct halo_fleet_stats stats;

static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

/* Tells for whom it is called. */
static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int64_t *user = halo_fleet_user(halo_call_sandbox(call));

    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64 + (user ? *user : 0)));
}

static int prepare(struct halo_sandbox *of, void *count)
{
    (void)__atomic_fetch_add((int *)count, 1, __ATOMIC_RELAXED);
    return halo_provide(of, "host.twice", &twice_type, twice, NULL);
}

static int prepared;

static void open_fleet(void **state, uint32_t max, uint64_t memory_max)
{
    const struct halo_options sandbox = way_options(state);
    const struct halo_fleet_options options = {.sandbox = &sandbox,
                                               .max = max,
                                               .memory_max = memory_max,
                                               .prepare = prepare,
                                               .context = &prepared};

    prepared = 0;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
}

/* A snapshot of a tenant that waits for calls and has counted so far; 0: it was never called. */
static void make(void **state, struct halo_snapshot **result, const char *mode, uint64_t ram_len,
                 int64_t count)
{
    const char *const args[] = {"tenant", mode};
    const struct halo_value value = halo_i64(count);
    struct halo_options options = way_options(state);
    struct halo_sandbox *from;

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    options.ram_len = ram_len;
    if (halo_open(&from, TENANT, &options) ||
        halo_provide(from, "host.twice", &twice_type, twice, NULL) ||
        halo_serve_begin(from, PATIENCE))
        fail_msg("%s", halo_errmsg(from));
    if ((count &&
         (halo_call_start(from, &future, halo_lookup(from, "add", &twice_type), &value, 1) ||
          halo_wait(&future, PATIENCE))) ||
        halo_snapshot(from, result))
        fail_msg("%s", halo_errmsg(from));
    halo_close(from);
}

static void begin(void **state, uint32_t max)
{
    make(state, &snapshot, NULL, 0, 5);
    open_fleet(state, max, 0);
}

static void complain(void)
{
    char words[1024];

    halo_fleet_errmsg(fleet, words, sizeof(words));
    fail_msg("%s", words);
}

static void take(struct halo_sandbox **result, const struct halo_snapshot *of)
{
    if (halo_fleet_take(fleet, of, PATIENCE, NULL, result))
        complain();
}

static void give(struct halo_sandbox **taken)
{
    if (halo_fleet_give(fleet, *taken))
        complain();
    *taken = NULL;
}

static int function(struct halo_sandbox *of, const char *name)
{
    struct halo_signature signature;
    const char *exported;

    for (uint32_t i = 0; halo_exported(of, i, &exported, &signature); i++) {
        if (strcmp(exported, name) == 0)
            return (int)i + 1;
    }
    fail_msg("%s is not exported", name);
    return 0;
}

static int64_t number(struct halo_sandbox *of, const char *name, int64_t n)
{
    const struct halo_value value = halo_i64(n);
    struct halo_future mine;

    if (halo_call_start(of, &mine, function(of, name), &value, 1) || halo_wait(&mine, PATIENCE))
        fail_msg("%s: %s", name, halo_errmsg(of));
    return mine.result.i64;
}

static void count_up(void)
{
    halo_fleet_stats(fleet, &stats);
}

static int end(void **state)
{
    (void)state;
    halo_fleet_close(fleet);
    halo_future_free(&future);
    halo_snapshot_free(snapshot);
    halo_snapshot_free(other);
    fleet = NULL;
    snapshot = other = NULL;
    box = second = NULL;
    return 0;
}

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

/* --- Limits ----------------------------------------------------------------------------------- */

/* RES-15 */
static void there_are_no_more_than_the_limit(void **state)
{
    struct halo_sandbox *none = (struct halo_sandbox *)&stats;
    char words[1024];

    begin(state, 2);
    take(&box, snapshot);
    take(&second, snapshot);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 0, NULL, &none), HALO_EFULL);
    assert_null(none);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 1000000, NULL, &none), HALO_EFULL);
    halo_fleet_errmsg(fleet, words, sizeof(words));
    assert_non_null(strstr(words, "2 sandboxes are taken, with 32768 KiB of guest memory"));
    halo_fleet_errmsg(fleet, words, 5);
    assert_string_equal(words, "2 sa");
    give(&box);
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 1), HALO_EFULL);
    give(&box);
    give(&second);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 3), HALO_EFULL);
    count_up();
    assert_int_equal(stats.refused, 2);
    assert_int_equal(stats.waits, 1);
    assert_int_equal(stats.idle, 2);
    halo_fleet_trim(fleet, 1);
    count_up();
    assert_int_equal(stats.idle, 1);
    assert_int_equal(stats.memory, HALO_RAM_DEFAULT);
    assert_int_equal(stats.closed, 1);
}

/* RES-15 */
static void memory_is_counted_as_what_guests_could_touch(void **state)
{
    struct halo_sandbox *none;

    make(state, &snapshot, NULL, 0, 5);
    make(state, &other, NULL, 2 * HALO_RAM_DEFAULT, 7);
    open_fleet(state, 0, 3 * HALO_RAM_DEFAULT);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 3), 0);
    assert_int_equal(halo_fleet_warm(fleet, snapshot, 4), HALO_EFULL);
    take(&box, other); /* two are closed for it, since their memory has another size */
    assert_int_equal(number(box, "add", 1), 8);
    count_up();
    assert_int_equal(stats.closed, 2);
    assert_int_equal(stats.memory, 3 * HALO_RAM_DEFAULT);
    assert_int_equal(halo_fleet_take(fleet, other, 0, NULL, &none), HALO_EFULL);
    give(&box);
    take(&box, snapshot);
    take(&second, snapshot);
    count_up();
    assert_int_equal(stats.closed, 4); /* the last of the small ones went for the second try */
    assert_int_equal(number(second, "add", 1), 6);
    give(&box);
    give(&second);
}

static void one_of_another_snapshot_is_restored(void **state)
{
    make(state, &snapshot, NULL, 0, 5);
    make(state, &other, NULL, 0, 7);
    open_fleet(state, 1, 0);
    for (int i = 0; i < 3; i++) {
        take(&box, snapshot);
        assert_int_equal(number(box, "add", 1), 6);
        give(&box);
        take(&box, other);
        assert_int_equal(number(box, "add", 1), 8);
        give(&box);
    }
    count_up();
    assert_int_equal(stats.opened, 1);
    assert_int_equal(stats.moved, 5);
    halo_snapshot_free(other); /* of which the idle one was */
    other = NULL;
    take(&box, snapshot);
    assert_int_equal(number(box, "add", 1), 6);
    give(&box);
}

static void *take_later(void *result)
{
    struct halo_sandbox **taken = result;

    take(taken, snapshot);
    return NULL;
}

static void who_waits_gets_what_is_given(void **state)
{
    struct halo_sandbox *taken = NULL, *given;
    pthread_t thread;

    begin(state, 1);
    take(&box, snapshot);
    given = box;
    assert_int_equal(number(box, "add", 1), 6);
    assert_int_equal(pthread_create(&thread, NULL, take_later, &taken), 0);
    do
        count_up();
    while (stats.waits == 0);
    give(&box);
    pthread_join(thread, NULL);
    assert_ptr_equal(taken, given);
    assert_int_equal(number(taken, "add", 1), 6);
    give(&taken);
}

/* --- What is refused -------------------------------------------------------------------------- */

static int inside, busy;

static void *give_beside(void *nothing)
{
    busy = halo_fleet_give(fleet, box);
    return nothing;
}

static void give_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    pthread_t thread;

    (void)context;
    inside = halo_fleet_give(fleet, halo_call_sandbox(call));
    assert_int_equal(pthread_create(&thread, NULL, give_beside, NULL), 0);
    pthread_join(thread, NULL);
    (void)halo_return(call, args[0]);
}

static int prepare_other(struct halo_sandbox *of, void *context)
{
    return context ? HALO_ENAME : halo_provide(of, "host.twice", &twice_type, give_inside, NULL);
}

static void what_cannot_be_is_refused_in_words(void **state)
{
    const struct halo_options sandbox = way_options(state);
    struct halo_fleet_options options = {.sandbox = &sandbox, .prepare = prepare_other};
    struct halo_sandbox *mine;
    char words[1024];

    make(state, &snapshot, NULL, 0, 5);
    options.max = HALO_FLEET_MAX + 1;
    assert_int_equal(halo_fleet_open(&fleet, &options), HALO_EINVAL);
    assert_null(fleet);
    options.max = 1;
    options.context = &options;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    assert_int_equal(halo_fleet_take(fleet, snapshot, 0, NULL, &box), HALO_ENAME);
    assert_null(box);
    halo_fleet_errmsg(fleet, words, sizeof(words));
    assert_string_equal(words, "the fleet's prepare returned -18");
    halo_fleet_close(fleet);
    options.context = NULL;
    options.memory_max = HALO_RAM_DEFAULT;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    assert_int_equal(halo_fleet_take(fleet, NULL, 0, NULL, &box), HALO_EINVAL);
    assert_int_equal(halo_fleet_take(fleet, snapshot, -1, NULL, &box), HALO_EINVAL);
    assert_int_equal(halo_fleet_warm(fleet, NULL, 1), HALO_EINVAL);
    assert_int_equal(halo_fleet_give(fleet, NULL), HALO_EINVAL);
    make(state, &other, NULL, 2 * HALO_RAM_DEFAULT, 7);
    assert_int_equal(halo_fleet_take(fleet, other, 0, NULL, &box), HALO_EINVAL);
    assert_int_equal(halo_open(&mine, TENANT, &sandbox), 0);
    assert_int_equal(halo_fleet_give(fleet, mine), HALO_EINVAL);
    halo_close(mine);
    take(&box, snapshot);
    assert_int_equal(number(box, "ask", 4), 4);
    assert_int_equal(inside, HALO_ESTATE);
    assert_int_equal(busy, HALO_EBUSY);
    assert_int_equal(number(box, "add", 1), 6); /* it is taken as before */
    mine = box;
    give(&box);
    assert_int_equal(halo_fleet_give(fleet, mine), HALO_ESTATE);
    halo_fleet_close(NULL);
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
        TEST(there_are_no_more_than_the_limit),
        TEST(memory_is_counted_as_what_guests_could_touch),
        TEST(one_of_another_snapshot_is_restored),
        TEST(who_waits_gets_what_is_given),
        TEST(what_cannot_be_is_refused_in_words),
        TEST(many_threads_share_a_few),
    };

    return run_every_way("fleet", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
