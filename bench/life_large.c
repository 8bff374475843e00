/*
 * Guests of much memory, of which the kernel tells the pages that were written, beside the same
 * ones of which all is compared: of so many pages, to see from where on it is worth it.
 */
#include "bench.h"
#include "machine.h"
#include <halo/snapshot.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>

static uint32_t ask(struct halo_sandbox *box, const char *name, uint32_t pages)
{
    static const struct halo_signature type = HALO_FN(HALO_U32, HALO_U32);
    struct halo_future future;
    const int function = halo_lookup(box, name, &type);

    if (function < 0 || halo_call(box, &future, function, HALO_FOREVER, halo_u32(pages)))
        bench_fail(halo_errmsg(box));
    return future.result.u32;
}

#define LARGE_LEN (128ull << 20)
/* One that has touched so many pages of it. */
struct large {
    bool is_process, is_compared;
    uint32_t pages;
    struct halo_sandbox *box;
    struct halo_snapshot *snapshot;
};

/*
 * On a thread of its own. Inside of a filter, one that allows all, a sandbox does not try to have
 * the kernel tell which pages were written; and that thread alone is in it.
 */
static void *open_large(void *context)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog filter = {1, &allow};
    struct large *large = context;
    const struct halo_options options = {.backend = bench_backend(large->is_process),
                                         .ram_len = LARGE_LEN};

    if (large->is_compared)
        bench_must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0,
                   "there is no filter");
    if (halo_open(&large->box, BENCH_LIFE, &options))
        bench_fail(halo_errmsg(large->box));
    return NULL;
}

static void begin_large(struct large *large)
{
    pthread_t thread;

    if (!large->box) {
        bench_must(pthread_create(&thread, NULL, open_large, large) == 0 &&
                       pthread_join(thread, NULL) == 0,
                   "there is no thread");
        if (halo_serve_begin(large->box, HALO_FOREVER))
            bench_fail(halo_errmsg(large->box));
        (void)ask(large->box, "grow", large->pages);
        if (halo_snapshot(large->box, &large->snapshot))
            bench_fail(halo_errmsg(large->box));
    }
    for (int i = 0; i < 3; i++) {
        (void)ask(large->box, "among", 16);
        if (halo_restore(large->box, large->snapshot))
            bench_fail(halo_errmsg(large->box));
    }
}

static void restored(struct large *large, uint64_t operations)
{
    begin_large(large);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        bench_must(ask(large->box, "among", 16) == 1, "the sandbox was used before");
        if (halo_restore(large->box, large->snapshot))
            bench_fail(halo_errmsg(large->box));
    }
    bench_end();
}

/* Both, on a backend. */
#define BOTH(name, operations, process, count)                                \
    static struct large name##_box = {.is_process = process, .pages = count}; \
    static struct large name##_compared_box = {                               \
        .is_process = process, .is_compared = true, .pages = count};          \
    BENCH_SAMPLE(name, operations, restored(&name##_box, n))                  \
    BENCH_SAMPLE(name##_compared, (operations + 15) / 16, restored(&name##_compared_box, n))

BOTH(machine_256, 64, false, 256)
BOTH(machine_1024, 64, false, 1024)
BOTH(machine_4096, 32, false, 4096)
BOTH(machine_25600, 16, false, 25600)
BOTH(process_256, 64, true, 256)
BOTH(process_1024, 64, true, 1024)
BOTH(process_4096, 32, true, 4096)
BOTH(process_25600, 16, true, 25600)

#define ROW(name, what, sample) \
    BENCH_POINT(name, what, sample, {"the same, all of it compared", sample##_compared, NULL})

const struct bench_row bench_large_rows[] = {
    ROW("life.kvm.large", "100 MiB: a request to 16 pages, restore", machine_25600),
    ROW("life.kvm.large.16MiB", "16 MiB: a request to 16 pages, restore", machine_4096),
    ROW("life.kvm.large.4MiB", "4 MiB: a request to 16 pages, restore", machine_1024),
    ROW("life.kvm.large.1MiB", "1 MiB: a request to 16 pages, restore", machine_256),
    ROW("life.process.large", "100 MiB: a request to 16 pages, restore", process_25600),
    ROW("life.process.large.16MiB", "16 MiB: a request to 16 pages, restore", process_4096),
    ROW("life.process.large.4MiB", "4 MiB: a request to 16 pages, restore", process_1024),
    ROW("life.process.large.1MiB", "1 MiB: a request to 16 pages, restore", process_256),
    {.name = NULL},
};
