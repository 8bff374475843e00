/*
 * Fleets of hosts of every kind: whoever runs it, a fleet serves its requests, whatever they do to
 * its sandboxes, and leaves nothing behind. Also where the kernel gives no namespaces to its user.
 */
#define _GNU_SOURCE
#include "hosts.h"
#include <dirent.h>
#include <halo/fleet.h>
#include <halo/snapshot.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define PATIENCE (HOST_SECONDS * 1000 * MS)
#define LARGE (24ull << 20) /* of which the kernel may tell what was written */
#define COUNTED 5
#define THREADS 4u

static char tenant[300];
static struct halo_options sandbox;
static struct halo_snapshot *snapshot;
static struct halo_fleet *fleet;

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64));
}

static int prepare(struct halo_sandbox *box, void *context)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);

    (void)context;
    return halo_provide(box, "host.twice", &type, twice, NULL);
}

static int function(struct halo_sandbox *box, const char *name)
{
    struct halo_signature signature;
    const char *exported;
    uint32_t i = 0;

    while (halo_exported(box, i, &exported, &signature) && strcmp(exported, name) != 0)
        i++;
    return (int)i + 1;
}

static int call(struct halo_sandbox *box, const char *name, const struct halo_value *args,
                uint32_t count, int64_t patience, struct halo_value *result)
{
    struct halo_future future;
    int error = halo_call_start(box, &future, function(box, name), args, count);

    if (!error)
        error = halo_wait(&future, patience);
    if (result)
        *result = future.result;
    halo_future_free(&future);
    return error;
}

static int64_t count_up(struct halo_sandbox *box)
{
    const struct halo_value one = halo_i64(1);
    struct halo_value result;

    must(call(box, "add", &one, 1, PATIENCE, &result) == 0);
    return result.i64;
}

static void begin(uint64_t ram_len, uint32_t max)
{
    const struct halo_value five = halo_i64(COUNTED);
    const struct halo_fleet_options options = {.sandbox = &sandbox, .max = max, .prepare = prepare};
    struct halo_sandbox *box;

    sandbox.ram_len = ram_len;
    if (halo_open(&box, tenant, &sandbox))
        fprintf(stderr, "%s\n", halo_errmsg(box));
    must(prepare(box, NULL) == 0 && halo_serve_begin(box, PATIENCE) == 0);
    must(call(box, "add", &five, 1, PATIENCE, NULL) == 0 && halo_snapshot(box, &snapshot) == 0);
    halo_close(box);
    must(halo_fleet_open(&fleet, &options) == 0);
}

static void end(void)
{
    must(halo_fleet_close(fleet) == 0);
    halo_snapshot_free(snapshot);
}

static struct halo_sandbox *take(void)
{
    struct halo_sandbox *box;
    char words[400];

    if (halo_fleet_take(fleet, snapshot, PATIENCE, NULL, &box)) {
        halo_fleet_errmsg(fleet, words, sizeof(words));
        fprintf(stderr, "%s\n", words);
    }
    must(box != NULL);
    return box;
}

/* One request, which finds what the snapshot has, and leaves the sandbox as it is not to stay. */
static void serve(uint32_t kind)
{
    static const char *const ends[] = {"loop", "fault", "panic", "port", "poison"};
    const struct halo_value dirt[] = {halo_u32(300), halo_u32(kind)};
    struct halo_sandbox *const box = take();

    must(count_up(box) == COUNTED + 1);
    must(call(box, "dirty", dirt, 2, PATIENCE, NULL) == 0);
    if (kind < 5)
        must(call(box, ends[kind], NULL, 0, kind ? PATIENCE : 5 * MS, NULL) < 0);
    must(halo_fleet_give(fleet, box) == 0);
}

static void *serve_some(void *first)
{
    for (uint32_t i = 0; i < 8; i++)
        serve((uint32_t)((uintptr_t)first + i) % 7);
    return NULL;
}

static void serve_beside_each_other(void)
{
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, serve_some, (void *)i) == 0);
    for (uint32_t i = 0; i < THREADS; i++)
        must(pthread_join(threads[i], NULL) == 0);
}

static void kill_guest(void)
{
    const pid_t pid = process_guest_of(getpid());

    must(pid > 0 && kill(pid, SIGKILL) == 0 && process_await_gone(pid));
}

/* Whose only sandbox is killed while it is taken, and while it is idle. */
static void replace_killed(void)
{
    struct halo_sandbox *box;

    for (uint32_t i = 0; i < 2; i++) {
        box = take();
        must(count_up(box) == COUNTED + 1);
        if (i == 0)
            kill_guest();
        must(halo_fleet_give(fleet, box) == 0);
        if (i == 1)
            kill_guest();
    }
    serve(6);
}

static uint32_t descriptor_count(void)
{
    DIR *const directory = opendir("/proc/self/fd");
    uint32_t count = 0;

    must(directory != NULL);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void serve_all(enum halo_backend_choice backend)
{
    const uint64_t lengths[] = {0, LARGE};
    const uint32_t before = descriptor_count();
    struct halo_fleet_stats stats;

    sandbox.backend = backend;
    for (size_t i = 0; i < 2; i++) {
        begin(lengths[i], 3);
        must(halo_fleet_warm(fleet, snapshot, 2) == 0);
        (void)serve_some(NULL);
        serve_beside_each_other();
        halo_fleet_stats(fleet, &stats);
        must(stats.gives == 8 + 8 * THREADS && stats.lost == 0 && stats.replaced == 0);
        halo_fleet_trim(fleet, 1);
        serve(5);
        end();
        if (backend == HALO_BACKEND_PROCESS) {
            begin(lengths[i], 1);
            replace_killed();
            end();
        }
    }
    must(process_child_of(getpid()) == 0);
    must(descriptor_count() == before);
}

static void fleet_host(void *argument)
{
    serve_all(*(const enum halo_backend_choice *)argument);
}

/* RES-15 */
static void a_fleet_serves_whoever_runs_it(void **state)
{
    (void)state;
    on_every_backend(fleet_host);
}

static void fleet_host_without_namespaces(void *argument)
{
    filter_around(&(struct around){SYS_unshare, SYS_unshare, SECCOMP_RET_ERRNO | EPERM, 0});
    serve_all(*(const enum halo_backend_choice *)argument);
}

/* HOST-04 */
static void a_fleet_serves_where_namespaces_are_refused(void **state)
{
    (void)state;
    on_every_backend(fleet_host_without_namespaces);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fleet_serves_whoever_runs_it),
        cmocka_unit_test(a_fleet_serves_where_namespaces_are_refused),
    };

    if (!hosts_find_guests(argc, argv))
        return 2;
    (void)snprintf(tenant, sizeof(tenant), "%s/tenant.halo", argv[1]);
    return cmocka_run_group_tests_name("hosts of fleets", tests, NULL, NULL);
}
