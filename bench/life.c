/*
 * The life of a sandbox: a request in a fresh one beside the same in a used one, and what it costs
 * to make one. The request writes to so many pages, so that the difference is the work of the
 * restore and what it brings with it. Beside them what a host would do without: a process, a
 * thread.
 */
#include "bench.h"
#include "machine.h"
#include <halo/fleet.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct life {
    bool is_process;
    struct halo_sandbox *box;
    struct halo_snapshot *snapshot;
    struct halo_fleet *fleet;
};

static struct life machine, process = {.is_process = true};

static const struct halo_signature type = HALO_FN(HALO_U32, HALO_U32);

/* A request, and which one it was for this sandbox. */
static uint32_t touch(struct halo_sandbox *box, uint32_t pages)
{
    struct halo_future future;
    const int function = halo_lookup(box, "touch", &type);

    if (function < 0 || halo_call(box, &future, function, HALO_FOREVER, halo_u32(pages)))
        bench_fail(halo_errmsg(box));
    return future.result.u32;
}

static struct halo_sandbox *open_guest(bool is_process)
{
    const struct halo_options options = {.backend = bench_backend(is_process)};
    struct halo_sandbox *box;

    if (halo_open(&box, BENCH_LIFE, &options) || halo_serve_begin(box, HALO_FOREVER))
        bench_fail(halo_errmsg(box));
    return box;
}

/* One that has touched all that it ever will. */
static void begin(struct life *life, uint32_t pages)
{
    if (!life->box) {
        life->box = open_guest(life->is_process);
        if (halo_snapshot(life->box, &life->snapshot))
            bench_fail(halo_errmsg(life->box));
    }
    for (int i = 0; i < 3; i++) {
        if (halo_restore(life->box, life->snapshot))
            bench_fail(halo_errmsg(life->box));
        (void)touch(life->box, pages);
    }
}

static void fresh(struct life *life, uint32_t pages, uint64_t operations)
{
    begin(life, pages);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        if (halo_restore(life->box, life->snapshot))
            bench_fail(halo_errmsg(life->box));
        bench_must(touch(life->box, pages) == 1, "the sandbox was used before");
    }
    bench_end();
}

/* The same, of which the time inside of halo_restore counts alone: the rest is the request. */
static void apart(struct life *life, uint32_t pages, uint64_t operations)
{
    double ns = 0;

    begin(life, pages);
    for (uint64_t i = 0; i < operations; i++) {
        const double before = bench_now_ns();

        if (halo_restore(life->box, life->snapshot))
            bench_fail(halo_errmsg(life->box));
        ns += bench_now_ns() - before;
        bench_must(touch(life->box, pages) == 1, "the sandbox was used before");
    }
    bench_begin(); /* nothing but what was measured */
    bench_end();
    bench_more(ns);
}

static void used(struct life *life, uint32_t pages, uint64_t operations)
{
    begin(life, pages);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++)
        (void)touch(life->box, pages);
    bench_end();
}

/* --- Making one ------------------------------------------------------------------------------- */

static void opened(bool is_process, uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        struct halo_sandbox *const box = open_guest(is_process);

        (void)touch(box, 16);
        halo_close(box);
    }
}

static void cloned(struct life *life, uint64_t operations)
{
    const struct halo_options options = {.backend = bench_backend(life->is_process)};

    begin(life, 16);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        struct halo_sandbox *box;

        if (halo_open_snapshot(&box, life->snapshot, &options))
            bench_fail(halo_errmsg(box));
        bench_must(touch(box, 16) == 1, "the clone was used before");
        halo_close(box);
    }
    bench_end();
}

/* So many clones at a time: of the two halves of their life one is measured. */
#define CLONES 16u

static void half(struct life *life, bool is_end, uint64_t operations)
{
    const struct halo_options options = {.backend = bench_backend(life->is_process)};
    struct halo_sandbox *boxes[CLONES];

    begin(life, 16);
    bench_must(operations == CLONES, "as many clones as there are places");
    bench_begin();
    for (uint32_t i = 0; i < CLONES; i++) {
        if (halo_open_snapshot(&boxes[i], life->snapshot, &options))
            bench_fail(halo_errmsg(boxes[i]));
    }
    if (!is_end)
        bench_end();
    for (uint32_t i = 0; i < CLONES && is_end; i++)
        (void)touch(boxes[i], 16);
    if (is_end)
        bench_begin();
    for (uint32_t i = 0; i < CLONES; i++)
        halo_close(boxes[i]);
    if (is_end)
        bench_end();
}

static void await(pid_t pid)
{
    int status;

    bench_must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "no process");
}

static void spawned(uint64_t operations)
{
    char *const args[] = {(char[]){"true"}, NULL};
    char *const none[] = {NULL};

    for (uint64_t i = 0; i < operations; i++) {
        pid_t pid = 0;

        bench_must(posix_spawn(&pid, "/bin/true", NULL, NULL, args, none) == 0, "no /bin/true");
        await(pid);
    }
}

static void forked(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        const pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        await(pid);
    }
}

static void *nothing(void *argument)
{
    return argument;
}

static void threaded(uint64_t operations)
{
    for (uint64_t i = 0; i < operations; i++) {
        pthread_t thread;

        bench_must(pthread_create(&thread, NULL, nothing, NULL) == 0 &&
                       pthread_join(thread, NULL) == 0,
                   "no thread");
    }
}

/* --- Many of them ----------------------------------------------------------------------------- */

/* A fresh one for each request. */
static void pooled(struct life *life, uint32_t pages, uint64_t operations)
{
    const struct halo_options sandbox = {.backend = bench_backend(life->is_process)};
    const struct halo_fleet_options options = {.sandbox = &sandbox};

    begin(life, pages);
    if (!life->fleet)
        bench_must(halo_fleet_open(&life->fleet, &options) == 0, "there is no fleet");
    for (uint64_t i = 0; i < operations + 3; i++) {
        struct halo_sandbox *box;

        if (i == 3) /* after what is touched for the first time */
            bench_begin();
        if (halo_fleet_take(life->fleet, life->snapshot, 0, NULL, &box))
            bench_fail("the fleet has no sandbox");
        bench_must(touch(box, pages) == 1, "the sandbox was used before");
        bench_must(halo_fleet_give(life->fleet, box) == 0, "the fleet takes no sandbox back");
    }
    bench_end();
}

/* Without the request: what is between two of them. */
static void passed_on(struct life *life, uint64_t operations)
{
    pooled(life, 16, 1);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        struct halo_sandbox *box;

        bench_must(halo_fleet_take(life->fleet, life->snapshot, 0, NULL, &box) == 0 &&
                       halo_fleet_give(life->fleet, box) == 0,
                   "the fleet has no sandbox");
    }
    bench_end();
}

#define HERD 200u

/* Sandboxes that are there, each of which has done a request; and what each takes. */
struct herd {
    struct life *life;
    double kib;
    struct halo_sandbox *boxes[HERD];
};

static struct herd machines = {.life = &machine}, processes = {.life = &process};

/* KiB that the machine could still give away. */
static double available(void)
{
    FILE *const file = fopen("/proc/meminfo", "r");
    char line[128];
    double kib = 0;

    while (file && fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %lf", &kib) != 1)
        continue;
    if (file)
        (void)fclose(file);
    return kib;
}

static void gather(struct herd *herd)
{
    const struct halo_options options = {.backend = bench_backend(herd->life->is_process)};
    struct rlimit limit;
    double before;

    bench_must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "the limit of descriptors is not known");
    limit.rlim_cur = limit.rlim_max;
    bench_must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "descriptors cannot be had");
    begin(herd->life, 16);
    before = available();
    for (uint32_t i = 0; i < HERD; i++) {
        if (halo_open_snapshot(&herd->boxes[i], herd->life->snapshot, &options))
            bench_fail(halo_errmsg(herd->boxes[i]));
        (void)touch(herd->boxes[i], 16);
    }
    herd->kib = (before - available()) / HERD;
}

static void in_turn(struct herd *herd, uint64_t operations)
{
    char words[64];

    if (!herd->boxes[0])
        gather(herd);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++)
        (void)touch(herd->boxes[i % HERD], 16);
    bench_end();
    (void)snprintf(words, sizeof(words), "%.0f KiB each, %.0f in a GiB", herd->kib,
                   (1 << 20) / (herd->kib > 1 ? herd->kib : 1));
    bench_remark(words);
}

static void end_herds(void)
{
    for (uint32_t i = 0; i < HERD; i++) {
        halo_close(machines.boxes[i]);
        halo_close(processes.boxes[i]);
        machines.boxes[i] = processes.boxes[i] = NULL;
    }
}

/* --- Rows ------------------------------------------------------------------------------------- */

BENCH_SAMPLE(fresh16, 64, fresh(&machine, 16, n))
BENCH_SAMPLE(fresh256, 32, fresh(&machine, 256, n))
BENCH_SAMPLE(fresh2048, 8, fresh(&machine, 2048, n))
BENCH_SAMPLE(apart16, 64, apart(&machine, 16, n))
BENCH_SAMPLE(apart256, 32, apart(&machine, 256, n))
BENCH_SAMPLE(apart2048, 8, apart(&machine, 2048, n))
BENCH_SAMPLE(apart16_process, 64, apart(&process, 16, n))
BENCH_SAMPLE(apart256_process, 32, apart(&process, 256, n))
BENCH_SAMPLE(apart2048_process, 8, apart(&process, 2048, n))
BENCH_SAMPLE(used16, 64, used(&machine, 16, n))
BENCH_SAMPLE(used256, 32, used(&machine, 256, n))
BENCH_SAMPLE(used2048, 8, used(&machine, 2048, n))
BENCH_SAMPLE(fresh16_process, 64, fresh(&process, 16, n))
BENCH_SAMPLE(fresh256_process, 32, fresh(&process, 256, n))
BENCH_SAMPLE(fresh2048_process, 8, fresh(&process, 2048, n))
BENCH_SAMPLE(used16_process, 64, used(&process, 16, n))
BENCH_SAMPLE(used256_process, 32, used(&process, 256, n))
BENCH_SAMPLE(used2048_process, 8, used(&process, 2048, n))
BENCH_SAMPLE(opened_machine, 4, opened(false, n))
BENCH_SAMPLE(opened_process, 4, opened(true, n))
BENCH_SAMPLE(cloned_machine, 4, cloned(&machine, n))
BENCH_SAMPLE(cloned_process, 4, cloned(&process, n))
BENCH_SAMPLE(begun_machine, CLONES, half(&machine, false, n))
BENCH_SAMPLE(begun_process, CLONES, half(&process, false, n))
BENCH_SAMPLE(ended_machine, CLONES, half(&machine, true, n))
BENCH_SAMPLE(ended_process, CLONES, half(&process, true, n))
BENCH_SAMPLE(pooled_machine, 64, pooled(&machine, 16, n))
BENCH_SAMPLE(pooled_process, 64, pooled(&process, 16, n))
BENCH_SAMPLE(passed_on_machine, 64, passed_on(&machine, n))
BENCH_SAMPLE(passed_on_process, 64, passed_on(&process, n))
BENCH_SAMPLE(called_machine, 64, used(&machine, 0, n))
BENCH_SAMPLE(called_process, 64, used(&process, 0, n))
BENCH_SAMPLE(in_turn_machine, HERD, in_turn(&machines, n))
BENCH_SAMPLE(in_turn_process, HERD, in_turn(&processes, n))
BENCH_SAMPLE(spawned_process, 4, spawned(n))
BENCH_SAMPLE(forked_process, 4, forked(n))
BENCH_SAMPLE(threaded_nothing, 16, threaded(n))

const struct bench_row bench_life_rows[] = {
    BENCH_POINT("life.kvm.16", "restore, and a request that writes to 16 pages", fresh16,
                {"the request in a used sandbox", used16, NULL},
                {"the restore, without the request", apart16, NULL},
                {"exits alone: a call that touches no page", called_machine, NULL},
                {"fork and exec of /bin/true", spawned_process, NULL},
                {"a fork of this process", forked_process, NULL},
                {"a thread", threaded_nothing, NULL}),
    BENCH_POINT("life.kvm.256", "to 256", fresh256, {"in a used sandbox", used256, NULL},
                {"the restore, without the request", apart256, NULL},
                {"exits alone: a call that touches no page", called_machine, NULL}),
    BENCH_POINT("life.kvm.2048", "to 2048", fresh2048, {"in a used sandbox", used2048, NULL},
                {"the restore, without the request", apart2048, NULL},
                {"exits alone: a call that touches no page", called_machine, NULL}),
    BENCH_POINT("life.process.16", "restore, and a request that writes to 16 pages",
                fresh16_process, {"the request in a used sandbox", used16_process, NULL},
                {"the restore, without the request", apart16_process, NULL},
                {"exits alone: a call that touches no page", called_process, NULL}),
    BENCH_POINT("life.process.256", "to 256", fresh256_process,
                {"in a used sandbox", used256_process, NULL},
                {"the restore, without the request", apart256_process, NULL},
                {"exits alone: a call that touches no page", called_process, NULL}),
    BENCH_POINT("life.process.2048", "to 2048", fresh2048_process,
                {"in a used sandbox", used2048_process, NULL},
                {"the restore, without the request", apart2048_process, NULL},
                {"exits alone: a call that touches no page", called_process, NULL}),
    BENCH_POINT("life.kvm.pool", "in a fresh sandbox of a fleet: 16 pages", pooled_machine,
                {"restore, and the request", fresh16, NULL}, {"in a used sandbox", used16, NULL},
                {"take and give, and no request", passed_on_machine, NULL},
                {"a call that touches no page", called_machine, NULL}),
    BENCH_POINT("life.process.pool", "in a fresh sandbox of a fleet: 16 pages", pooled_process,
                {"restore, and the request", fresh16_process, NULL},
                {"in a used sandbox", used16_process, NULL},
                {"take and give, and no request", passed_on_process, NULL},
                {"a call that touches no page", called_process, NULL}),
    BENCH_POINT("life.kvm.clone", "open a sandbox from a snapshot", begun_machine,
                {"a fork of this process", forked_process, NULL}),
    BENCH_POINT("life.process.clone", "open a sandbox from a snapshot", begun_process,
                {"a fork of this process", forked_process, NULL}),
    BENCH_POINT("life.kvm.destroy", "close it, after a request", ended_machine, {NULL, NULL, NULL}),
    BENCH_POINT("life.process.destroy", "close it, after a request", ended_process,
                {NULL, NULL, NULL}),
    BENCH_POINT("life.kvm.open", "open, a request, close", opened_machine,
                {"the same from a snapshot", cloned_machine, NULL}),
    BENCH_POINT("life.process.open", "open, a request, close", opened_process,
                {"the same from a snapshot", cloned_process, NULL}),
    /* Last, for a fork copies the map of their memory. */
    BENCH_POINT("life.kvm.clones", "a request of one of 200 clones in turn", in_turn_machine,
                {"of one", used16, NULL}),
    {.name = "life.process.clones",
     .what = "a request of one of 200 clones in turn",
     .sample = in_turn_process,
     .is_brief = true,
     .leave = end_herds,
     .neighbours = {{"of one", used16_process, NULL}}},
    {.name = NULL},
};
