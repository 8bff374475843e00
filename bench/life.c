/*
 * The life of a sandbox: a request in a fresh one beside the same in a used one, and what it costs
 * to make one. The request writes to so many pages, so that the difference is the work of the
 * restore and what it brings with it. Beside them what a host would do without: a process, a
 * thread.
 */
#include "bench.h"
#include "machine.h"
#include <halo/snapshot.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct life {
    bool is_process;
    struct halo_sandbox *box;
    struct halo_snapshot *snapshot;
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

/* --- Rows ------------------------------------------------------------------------------------- */

BENCH_SAMPLE(fresh16, 64, fresh(&machine, 16, n))
BENCH_SAMPLE(fresh256, 32, fresh(&machine, 256, n))
BENCH_SAMPLE(fresh2048, 8, fresh(&machine, 2048, n))
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
BENCH_SAMPLE(spawned_process, 4, spawned(n))
BENCH_SAMPLE(forked_process, 4, forked(n))
BENCH_SAMPLE(threaded_nothing, 16, threaded(n))

const struct bench_row bench_life_rows[] = {
    BENCH_POINT("life.kvm.16", "restore, and a request that writes to 16 pages", fresh16,
                {"the request in a used sandbox", used16, NULL},
                {"fork and exec of /bin/true", spawned_process, NULL},
                {"a fork of this process", forked_process, NULL},
                {"a thread", threaded_nothing, NULL}),
    BENCH_POINT("life.kvm.256", "to 256", fresh256, {"in a used sandbox", used256, NULL}),
    BENCH_POINT("life.kvm.2048", "to 2048", fresh2048, {"in a used sandbox", used2048, NULL}),
    BENCH_POINT("life.process.16", "restore, and a request that writes to 16 pages",
                fresh16_process, {"the request in a used sandbox", used16_process, NULL}),
    BENCH_POINT("life.process.256", "to 256", fresh256_process,
                {"in a used sandbox", used256_process, NULL}),
    BENCH_POINT("life.process.2048", "to 2048", fresh2048_process,
                {"in a used sandbox", used2048_process, NULL}),
    BENCH_POINT("life.kvm.open", "open, a request, close", opened_machine,
                {"the same from a snapshot", cloned_machine, NULL}),
    BENCH_POINT("life.process.open", "open, a request, close", opened_process,
                {"the same from a snapshot", cloned_process, NULL}),
    {.name = NULL},
};
