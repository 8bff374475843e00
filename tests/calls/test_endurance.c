/*
 * A sandbox that is restored before each request, thousands of times, whatever its guest did in
 * between: no answer drifts, memory is the image's bit for bit, and neither the host nor its
 * guest's process has more at the end than near the beginning. Group RES.
 *
 * DEEP=1: a hundred thousand times each way.
 */
#define _GNU_SOURCE
#include <halo/snapshot.h>
#include "left.h"
#include "ways.h"

#include <sys/wait.h>
#include <time.h>

#define PATIENCE 120000000000ll
#define SHORT_LOOK 1000 /* cycles from one look at all of memory to the next */
#define KIB_MORE 1024   /* the kernel keeps so much for each processor of what it counts */

/* Sanitizers keep what is freed for a while. */
#if defined(__SANITIZE_ADDRESS__)
#define KEPT_KIB (400 * 1024)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEPT_KIB (400 * 1024)
#endif
#endif
#ifndef KEPT_KIB
#define KEPT_KIB 0
#endif

/* What the process of the cycles found; words where something was wrong. */
struct report {
    char words[200];
    struct meter meter;
    struct left before, after;
    double kib[2];       /* all of it, by its group of processes, where there is one */
    double host_kib[2];  /* the host's own mappings */
    double guest_kib[2]; /* the memory file's */
    uint64_t cycles, ends;
    double seconds;
};

static struct report report;
static struct halo_sandbox *box;
static struct halo_snapshot *snapshot;
static struct halo_future future;
static bool has_probe, on_kvm;
static uint64_t where, epoch;

/* In a process of its own there is no test to fail. */
__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(report.words, sizeof(report.words), format, args);
    va_end(args);
    (void)!write(STDOUT_FILENO, &report, sizeof(report));
    _exit(1);
}

static void must(bool holds, const char *what)
{
    if (!holds)
        give_up("cycle %llu: %s (%s)", (unsigned long long)report.cycles, what, halo_errmsg(box));
}

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64));
}

static int function(const char *name)
{
    const int number = way_function(box, name);

    if (number == 0)
        give_up("%s is not exported", name);
    return number;
}

static struct halo_value call(const char *name, const struct halo_value *args, size_t count)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, function(name), args, count);
    must(halo_wait(&future, PATIENCE) == 0, name);
    return future.result;
}

/* --- One cycle -------------------------------------------------------------------------------- */

static void restore(void)
{
    must(halo_restore(box, snapshot) == 0, "no restore");
    report.cycles++;
}

static void dirty(uint32_t pages)
{
    const struct halo_value values[] = {halo_u32(pages), halo_u32(0xa5)};
    const uint64_t at = call("dirty", values, 2).u64;

    if (!where && pages == 16)
        where = at;
    must(pages != 16 || at == where, "memory is elsewhere than at first");
}

static void plain(uint64_t number)
{
    const struct halo_value n = halo_i64((int64_t)number);
    uint64_t later;

    switch (number % 8) {
    case 0:
        must(call("add", &n, 1).i64 == n.i64, "it has counted before");
        break;
    case 1:
        must(call("ask", &n, 1).i64 == 2 * n.i64, "its host's answer is wrong");
        break;
    case 2:
        later = call("epoch", NULL, 0).u64;
        must(later > epoch, "the epoch has not grown");
        epoch = later;
        break;
    case 3:
        must(!has_probe || strcmp(call("look", NULL, 0).str, "") == 0, "a register is left");
        break;
    case 4:
        dirty((uint32_t)(number >> 3) % 200);
        break;
    default:
        dirty(16);
    }
}

/* However its guest ends, or is made to. */
static void end(uint64_t number)
{
    static const char *const ends[] = {"loop", "fault", "panic", "port", "poison", "ruin"};
    const uint32_t which = (uint32_t)(number % (has_probe ? 6 : 5));
    const struct halo_value kind = halo_u32(on_kvm && number & 64);

    (void)halo_call_start(box, &future, function(ends[which]), &kind, which == 5);
    must(halo_wait(&future, which ? PATIENCE : 500000) != 0, ends[which]);
    report.ends++;
}

static uint64_t draw(void)
{
    static uint64_t random = 88172645463325252ull;

    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random >> 8;
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* The file of the one sandbox that there is. */
static int memory_file(void)
{
    DIR *const files = opendir("/proc/self/fd");
    const struct dirent *entry;
    int fd = -1;

    while (files && (entry = readdir(files))) {
        char name[64] = "";

        if (readlinkat(dirfd(files), entry->d_name, name, sizeof(name) - 1) > 0 &&
            strncmp(name, "/memfd:halo-ram", 15) == 0)
            fd = atoi(entry->d_name);
    }
    if (files)
        closedir(files);
    must(fd >= 0, "its memory is not to be seen");
    return fd;
}

/* But for the boot page, which is new each time, and the doorbell's. */
#define MEMORY_LEN (HALO_RAM_DEFAULT - 2 * HALO_PAGE)

static unsigned char kept[MEMORY_LEN], seen[MEMORY_LEN];

static void read_memory(unsigned char *to)
{
    const int fd = memory_file();

    for (size_t at = 0; at < MEMORY_LEN;) {
        const ssize_t n = pread(fd, to + at, MEMORY_LEN - at, (off_t)at);

        must(n > 0, "its memory cannot be read");
        at += (size_t)n;
    }
}

/* Just after a restore. */
static void compare_memory(void)
{
    read_memory(seen);
    for (size_t page = 0; page < MEMORY_LEN / HALO_PAGE; page++) {
        if (memcmp(seen + page * HALO_PAGE, kept + page * HALO_PAGE, HALO_PAGE) != 0)
            give_up("cycle %llu: page %zu is not the image's", (unsigned long long)report.cycles,
                    page);
    }
}

/* Always after the same requests: many pages, which the restore gives back, and then few. */
static void measure(size_t which)
{
    struct stat st;

    restore();
    dirty(2000);
    for (int i = 0; i < 10; i++) {
        restore();
        dirty(16);
    }
    restore();
    compare_memory();
    must(fstat(memory_file(), &st) == 0, "its memory is not to be seen");
    report.guest_kib[which] = (double)st.st_blocks / 2;
    report.host_kib[which] = number_in("/proc/self/smaps_rollup", "Rss:") -
                             number_in("/proc/self/smaps_rollup", "Shared_Clean:") +
                             number_in("/proc/self/status", "VmPTE:");
    report.kib[which] = report.meter.usage[0] ? taken(&report.meter) : 0;
    *(which ? &report.after : &report.before) = look();
}

/* --- All of them ------------------------------------------------------------------------------ */

static void cycle(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t number = draw();

        restore();
        if (i % SHORT_LOOK == 0)
            compare_memory();
        if (number % 100 == 0)
            end(number >> 16);
        else
            plain(number >> 16);
    }
}

static void begin(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    const char *const args[] = {"tenant", "probe"};
    struct halo_options options = way_options(state);

    has_probe = !way_is_stacks(state);
    on_kvm = options.backend == HALO_BACKEND_KVM;
    options.args = args;
    options.arg_count = has_probe ? 2 : 1;
    options.ram_len = HALO_RAM_DEFAULT;
    must(halo_open(&box, TENANT, &options) == 0 &&
             halo_provide(box, "host.twice", &type, twice, NULL) == 0 &&
             halo_serve_begin(box, PATIENCE) == 0 && halo_snapshot(box, &snapshot) == 0,
         "no sandbox");
    read_memory(kept);
}

static void live(void **state, uint64_t count)
{
    struct timespec from, to;

    enter_group(&report.meter);
    begin(state);
    for (uint64_t i = 0; i < 12; i++) { /* what is kept for later is kept after these */
        restore();
        end(i);
    }
    cycle(500);
    measure(0);
    report.cycles = report.ends = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    cycle(count);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    report.seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    measure(1);
    halo_future_free(&future);
    halo_close(box);
    halo_snapshot_free(snapshot);
    (void)!write(STDOUT_FILENO, &report, sizeof(report));
}

static void judge(const struct report *found)
{
    if (found->words[0])
        fail_msg("%s", found->words);
    print_message("%llu cycles, %llu of them to an end, in %.1f s; KiB of its processes %.0f, then "
                  "%.0f; of the host %.0f, %.0f; of guest memory %.0f, %.0f; descriptors %u, "
                  "mappings %u\n",
                  (unsigned long long)found->cycles, (unsigned long long)found->ends,
                  found->seconds, found->kib[0], found->kib[1], found->host_kib[0],
                  found->host_kib[1], found->guest_kib[0], found->guest_kib[1],
                  found->after.descriptors, found->after.mappings);
    assert_true(found->ends > 0);
    assert_int_equal(found->after.descriptors, found->before.descriptors);
    assert_int_equal(found->after.threads, found->before.threads);
    assert_int_equal(found->after.processes, found->before.processes);
    assert_in_range(found->after.mappings, 0,
                    found->before.mappings + (KEPT_KIB ? 1000 : 0)); /* the heap's own */
    assert_in_range(found->after.heap, 0, found->before.heap + 4096);
    assert_true(found->guest_kib[1] <= found->guest_kib[0] + 64);
    assert_true(found->host_kib[1] <= found->host_kib[0] + 256 + KEPT_KIB);
    assert_true(found->kib[1] <= found->kib[0] + KIB_MORE + KEPT_KIB);
}

/* RES-17 */
static void it_is_restored_and_called_without_end(void **state)
{
    const uint64_t count = getenv("DEEP") ? 100000 : 2000;
    struct report found = {.words = "its process ended early"};
    int pipes[2], status;
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        live(state, count);
        _exit(0);
    }
    close(pipes[1]);
    (void)!read(pipes[0], &found, sizeof(found));
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    leave_group(&found.meter);
    judge(&found);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(it_is_restored_and_called_without_end),
    };

    return run_every_way("endurance", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
