/*
 * Many sandboxes on one loop of libuv:
 *
 *     libuv_host [--backend kvm|process] GUEST [SANDBOXES [SPINNING]]
 *
 * GUEST is sqlite.c. Each sandbox is asked CALLS queries, one after the other. But so many of them
 * get a query that never ends, and spin; when all others are done, those are cancelled. A timer of
 * the loop's ticks meanwhile: nothing of all that keeps the loop. In the end it says how many
 * threads it had for all of them, and how long an answer took: of the median, and of 99 in 100.
 */
#include <dirent.h>
#include <halo/executor.h>
#include <halo/snapshot.h>
#include <inttypes.h>
#include <uv.h>
#include "hosts.h"

#define WORKERS 2
#define CALLS 20
#define SANDBOXES_MAX 5000

#define QUERY "SELECT count(*), %d FROM sqlite_master"
#define ENDLESS \
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"

struct asked {
    struct halo_sandbox *box;
    struct halo_task task;
    uint64_t since; /* uv_hrtime */
    int calls;
    bool spins;
};

static const struct halo_signature query_type = HALO_FN(HALO_STR, HALO_STR);
static struct halo_options options = {.backend = HALO_BACKEND_AUTO};
static struct halo_executor *executor;
static struct asked *all;
static uint64_t count = 500, spinning, busy, answers, cancelled, wrong, ticks, threads;
static uint64_t *times; /* of the answers, in ns */
static int query_of;
static uv_poll_t told;
static uv_timer_t ticking;

static void answered(struct halo_task *task, void *context);

static int ask(struct asked *asked)
{
    char query[sizeof(ENDLESS) + 16];
    struct halo_value arg;

    (void)snprintf(query, sizeof(query), asked->spins ? ENDLESS : QUERY, asked->calls);
    arg = halo_str(query);
    asked->task = (struct halo_task){.done = answered, .context = asked};
    asked->since = uv_hrtime();
    return halo_submit(asked->box, &asked->task, query_of, &arg, 1, HALO_FOREVER);
}

/* All but those that spin are done. */
static void end_spinning(void)
{
    for (uint64_t i = 0; i < spinning; i++)
        halo_cancel(&all[i].task);
}

static void is_done(void)
{
    busy--;
    if (busy == spinning && cancelled == 0)
        end_spinning();
    if (busy > 0)
        return;
    (void)uv_poll_stop(&told);
    (void)uv_timer_stop(&ticking);
}

static void answered(struct halo_task *task, void *context)
{
    struct asked *asked = context;
    char expected[16];

    if (asked->spins) {
        cancelled++;
        wrong += task->error != HALO_EINTERRUPTED;
        is_done();
        return;
    }
    (void)snprintf(expected, sizeof(expected), "1|%d\n", asked->calls);
    wrong += task->error || strcmp(task->future.result.str, expected) != 0;
    halo_future_free(&task->future);
    times[answers++] = uv_hrtime() - asked->since;
    if (++asked->calls == CALLS || ask(asked))
        is_done();
}

static void turn(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
    (void)halo_turn(executor);
}

/* Of KVM's own in newer kernels, which has one for each virtual machine, and nothing to do. */
static bool is_of_kernel(const char *thread)
{
    char path[64], name[4] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", thread);
    file = fopen(path, "r");
    if (!file)
        return false;
    (void)!fread(name, 1, 3, file);
    fclose(file);
    return strcmp(name, "kvm") == 0;
}

/* How many threads the process has just now. */
static uint64_t count_threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    const struct dirent *entry;
    uint64_t found = 0;

    while (directory && (entry = readdir(directory)))
        found += entry->d_name[0] != '.' && !is_of_kernel(entry->d_name);
    if (directory)
        closedir(directory);
    return found;
}

static void tick(uv_timer_t *timer)
{
    (void)timer;
    if (ticks++ == 0)
        threads = count_threads();
}

/* One guest is started until it waits, and all are opened from that: 0, or an error after words. */
static int open_all(const char *path)
{
    struct halo_snapshot *snapshot = NULL;
    struct halo_sandbox *box;
    uint64_t i = 0;
    int error = halo_open(&box, path, &options);

    if (!error)
        error = halo_serve_begin(box, HALO_FOREVER);
    if (!error)
        error = query_of = halo_lookup(box, "sql.query", &query_type);
    if (error > 0)
        error = halo_snapshot(box, &snapshot);
    for (; i < count && !error; i++) {
        halo_close(box);
        error = halo_open_snapshot(&box, snapshot, &options);
        if (!error)
            error = halo_executor_attach(executor, box);
        all[i] = (struct asked){.box = error ? NULL : box, .spins = i < spinning};
        if (!error)
            box = NULL;
    }
    if (error)
        fprintf(stderr, "libuv_host: sandbox %" PRIu64 ": %s\n", i, halo_errmsg(box));
    halo_close(box);
    halo_snapshot_free(snapshot);
    return error;
}

static void close_all(void)
{
    for (uint64_t i = 0; i < count; i++) {
        (void)halo_executor_detach(all[i].box);
        halo_close(all[i].box);
    }
}

static int by_value(const void *one, const void *other)
{
    const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return a < b ? -1 : a > b;
}

static void run(void)
{
    uv_loop_t *loop = uv_default_loop();

    (void)uv_poll_init(loop, &told, halo_fd(executor));
    (void)uv_poll_start(&told, UV_READABLE, turn);
    (void)uv_timer_init(loop, &ticking);
    (void)uv_timer_start(&ticking, tick, 0, 1);
    busy = count;
    for (uint64_t i = 0; i < count; i++) {
        if (ask(&all[i]))
            is_done();
    }
    (void)uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&told, NULL);
    uv_close((uv_handle_t *)&ticking, NULL);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(loop);
    qsort(times, answers, sizeof(*times), by_value);
    printf("%" PRIu64 " sandboxes, %" PRIu64 " threads, %" PRIu64 " answers, %" PRIu64
           " cancelled, %" PRIu64 " wrong\n",
           count, threads, answers, cancelled, wrong);
    fprintf(stderr,
            "%" PRIu64 " ticks of the loop's; an answer took %" PRIu64
            " us, and of 99 in 100 no more than %" PRIu64 "\n",
            ticks, answers ? times[answers / 2] / 1000 : 0,
            answers ? times[answers * 99 / 100] / 1000 : 0);
}

int main(int argc, char **argv)
{
    int error = 0, first = 1;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2)
        error = take_option(&options, argv[first], argv[first + 1]);
    if (!error && argc > first + 1)
        error = take_number(argv[first + 1], SANDBOXES_MAX, &count);
    if (!error && argc > first + 2)
        error = take_number(argv[first + 2], count, &spinning);
    if (error || argc <= first || argc > first + 3 || count == 0 ||
        options.transport != HALO_TRANSPORT_RING) {
        fprintf(stderr, "usage: libuv_host [--backend kvm|process] GUEST [SANDBOXES [SPINNING]]\n");
        return 2;
    }
    all = calloc(count, sizeof(*all));
    times = calloc(count * CALLS, sizeof(*times));
    error = all && times ? halo_executor_open(&executor, WORKERS) : HALO_ENOMEM;
    if (error)
        fprintf(stderr, "libuv_host: %s\n", halo_strerror(error));
    else
        error = open_all(argv[first]);
    if (!error)
        run();
    if (all)
        close_all();
    (void)halo_executor_close(executor);
    free(all);
    free(times);
    return error || wrong || finish_output("libuv_host") ? 1 : 0;
}
