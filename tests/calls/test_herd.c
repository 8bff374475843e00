/*
 * Many sandboxes: what clones of a snapshot take, and what is left when thousands of them came and
 * went, whatever their guests did and whoever killed them: nothing. Group RES.
 *
 * DEEP=1: ten thousand of them on each way.
 */
#define _GNU_SOURCE
#include <halo/fleet.h>
#include "left.h"
#include "ways.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PATIENCE 120000000000ll

static const struct halo_signature add_type = HALO_FN(HALO_I64, HALO_I64);
static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64));
}

static int prepare(struct halo_sandbox *box, void *context)
{
    (void)context;
    return halo_provide(box, "host.twice", &twice_type, twice, NULL);
}

static int dirty(struct halo_sandbox *box, uint32_t pages)
{
    const struct halo_value values[] = {halo_u32(pages), halo_u32(7)};
    struct halo_future future;

    (void)halo_call_start(box, &future, way_function(box, "dirty"), values, 2);
    return halo_wait(&future, PATIENCE);
}

/* A tenant that waits for calls, with 16 MiB of memory, of which so many pages have something. */
static struct halo_snapshot *make(void **state, uint32_t pages)
{
    const struct halo_options options = way_options(state);
    struct halo_snapshot *snapshot = NULL;
    struct halo_sandbox *box;

    if (halo_open(&box, TENANT, &options) || prepare(box, NULL) ||
        halo_serve_begin(box, PATIENCE) || (pages && dirty(box, pages)) ||
        halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    halo_close(box);
    return snapshot;
}

/* --- Memory of clones ------------------------------------------------------------------------- */

#define CLONES 500
#define PAGES 2300           /* of the snapshot: they would be 500 times as many */
#define MOST (1024.0 * 1024) /* KiB */

/* KiB that so many clones take, each of which has written 16 pages; or what went wrong, below 0. */
static double clone_many(void **state, const struct meter *meter)
{
    struct halo_options options = way_options(state);
    struct halo_snapshot *const of = make(state, PAGES);
    static struct halo_sandbox *boxes[CLONES];
    const double before = taken(meter);

    for (int i = 0; i < CLONES; i++) {
        if (halo_open_snapshot(&boxes[i], of, &options) || prepare(boxes[i], NULL) ||
            dirty(boxes[i], 16)) {
            fprintf(stderr, "clone %d: %s\n", i, halo_errmsg(boxes[i]));
            return -1;
        }
    }
    return taken(meter) - before;
}

/* In a process of its own, which takes it all along. */
static double measure(void **state)
{
    struct rlimit limit;
    struct meter meter = {.usage = ""};
    int report[2], status = 0;
    double kib = -1;
    pid_t child;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(pipe(report), 0);
    child = fork();
    if (child == 0) {
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        enter_group(&meter);
        kib = clone_many(state, &meter);
        (void)!write(report[1], &kib, sizeof(kib));
        (void)!write(report[1], meter.group, sizeof(meter.group));
        _exit(0);
    }
    close(report[1]);
    assert_int_equal(read(report[0], &kib, sizeof(kib)), sizeof(kib));
    assert_int_equal(read(report[0], meter.group, sizeof(meter.group)), sizeof(meter.group));
    close(report[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    leave_group(&meter);
    return kib;
}

/* RES-16: what others take meanwhile is none of theirs, so the least of three counts. */
static void many_clones_take_what_they_write(void **state)
{
    double least = -1;

    if (way_options(state).backend != HALO_BACKEND_KVM) /* a process has a copy */
        return;
    for (int i = 0; i < 3 && (least < 0 || least >= MOST); i++) {
        const double kib = measure(state);

        assert_true(kib != -1);
        if (kib > 0 && (least < 0 || kib < least))
            least = kib;
    }
    print_message("%d clones take %.0f KiB\n", CLONES, least);
    assert_true(least > 0);
    assert_true(least < MOST);
}

/* --- What is left ----------------------------------------------------------------------------- */

static struct halo_fleet *fleet;
static struct halo_snapshot *snapshot;
static bool is_process;
static uint32_t kills, surprises, wrong;

struct worker {
    pthread_t thread;
    uint64_t random;
    uint32_t requests;
};

static uint32_t draw(struct worker *me, uint32_t below)
{
    me->random ^= me->random << 13;
    me->random ^= me->random >> 7;
    me->random ^= me->random << 17;
    return (uint32_t)((me->random >> 20) % below);
}

static void count_one(uint32_t *counter)
{
    (void)__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Whatever sandbox it is of, and whatever that does just now. */
static void kill_some_guest(void)
{
    const pid_t pid = process_guest_of(getpid());

    if (pid > 0 && kill(pid, SIGKILL) == 0)
        count_one(&kills);
}

/* One request, which does what `kind` says; `future` may be in flight when it returns. */
static void request(struct halo_sandbox *box, uint32_t kind, struct halo_future *future)
{
    static const char *const ends[] = {"loop", "fault", "poison", "panic", "loop"};
    const struct halo_value one = halo_i64(1);
    const int add = halo_lookup(box, "add", &add_type);

    if (kind == 5)
        (void)halo_provide(box, "host.late", &twice_type, twice, NULL);
    if (kind == 6 && is_process)
        kill_some_guest();
    (void)halo_call_start(box, future, add, &one, 1);
    if (halo_wait(future, PATIENCE))
        count_one(&surprises);
    else if (future->result.i64 != 1)
        count_one(&wrong);
    halo_future_free(future);
    if (kind > 4 || halo_call_start(box, future, way_function(box, ends[kind]), NULL, 0))
        return;
    if (kind < 4 && halo_wait(future, kind ? PATIENCE : 1000000) == 0)
        count_one(&wrong);
}

static void *work(void *argument)
{
    struct worker *const me = argument;

    for (uint32_t i = 0; i < me->requests; i++) {
        struct halo_future future = {.done = true};
        const uint32_t kind = draw(me, 40);
        struct halo_sandbox *box;

        if (halo_fleet_take(fleet, snapshot, PATIENCE, NULL, &box)) {
            count_one(&surprises); /* its process was killed before it had begun */
            continue;
        }
        request(box, kind, &future);
        if (halo_fleet_give(fleet, box) || !future.done)
            count_one(&wrong);
        halo_future_free(&future);
        if (kind == 7)
            halo_fleet_trim(fleet, 0);
    }
    return NULL;
}

static void have_so_many(void **state, uint32_t requests, struct halo_fleet_stats *stats)
{
    const struct halo_options sandbox = way_options(state);
    const struct halo_fleet_options options = {.sandbox = &sandbox, .max = 5, .prepare = prepare};
    struct worker workers[3];

    snapshot = make(state, 0);
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    for (uint32_t i = 0; i < 3; i++) {
        workers[i] = (struct worker){.random = 88172645463325252ull + i, .requests = requests / 3};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < 3; i++)
        pthread_join(workers[i].thread, NULL);
    halo_fleet_stats(fleet, stats);
    assert_int_equal(stats->taken, 0);
    halo_fleet_close(fleet);
    halo_snapshot_free(snapshot);
}

/* RES-16 */
static void nothing_is_left_of_thousands(void **state)
{
    const uint32_t count = getenv("DEEP") ? 10000 : 300;
    struct halo_fleet_stats stats;
    struct left before, after;

    is_process = way_options(state).backend == HALO_BACKEND_PROCESS;
    kills = surprises = wrong = 0;
    have_so_many(state, 120, &stats); /* what a program keeps for later it keeps after these */
    before = look();
    have_so_many(state, count, &stats);
    after = look();
    assert_int_equal(wrong, 0);
    assert_in_range(surprises, 0, kills);
    assert_true(!is_process || kills > 0);
    assert_in_range(stats.takes, count - count % 3 - kills, count);
    assert_true(stats.opened > 1 && stats.closed > 0 && stats.replaced > 0);
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.threads, before.threads);
    assert_int_equal(after.processes, 0);
    assert_in_range(after.mappings, 0, before.mappings + 16); /* arenas of malloc's */
    assert_true(after.shared_kib <= before.shared_kib + 1024);
    assert_in_range(after.heap, 0, before.heap + 65536);
}

int main(void)
{
    static const struct way_test tests[] = {
        WAY_TEST(many_clones_take_what_they_write, WAY_PLAIN | WAY_STACKS | WAY_THREADED),
        TEST(nothing_is_left_of_thousands),
    };

    return run_every_way("herd", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
