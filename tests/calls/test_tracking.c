/*
 * Restores of large guests, which pass over the pages that nobody has written: whoever writes one,
 * and by what means, it is found. tests/guests/large.c, and others. SNP-14.
 */
#define _GNU_SOURCE
#include <halo/executor.h>
#include <halo/fleet.h>
#include <halo/rows.h>
#include <halo/snapshot.h>
#include "ways.h"
#include "../host/guest_process.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 120000000000ll
#define LEN (24ull << 20)
#define PAGES 3000u /* that its guest has */
#define ROUNDS 6u

static struct halo_sandbox *box, *other;
static struct halo_snapshot *snapshot, *second;
static struct halo_future future;
static unsigned char *before, *after;

static int end(void **state)
{
    (void)state;
    halo_future_free(&future);
    halo_close(box);
    halo_close(other);
    halo_snapshot_free(snapshot);
    halo_snapshot_free(second);
    free(before);
    free(after);
    box = other = NULL;
    snapshot = second = NULL;
    before = after = NULL;
    return 0;
}

/* --- What memory has -------------------------------------------------------------------------- */

/* A descriptor of this program's of the file with that number. */
static int file_of(unsigned long number)
{
    struct stat st;

    for (int fd = 3; fd < 256; fd++) {
        if (fstat(fd, &st) == 0 && st.st_ino == number)
            return fd;
    }
    fail_msg("a mapping's file is not open");
    return -1;
}

/*
 * Memory of the sandbox that is mapped as number `which`, from 0, as it is seen there: of its own
 * file, and, in a clone, of the image's. By the file where that is shared: reading what is not
 * there would make it be.
 */
static void read_memory(unsigned char *bytes, uint32_t which, size_t len)
{
    FILE *const maps = fopen("/proc/self/maps", "re");
    unsigned long long from, to, offset, end_of_last = 0;
    unsigned long number;
    char line[300], prot[5], name[100];
    size_t have = 0;
    bool is_own = false;

    assert_non_null(maps);
    while (have < len && fgets(line, sizeof(line), maps)) {
        name[0] = '\0';
        if (sscanf(line, "%llx-%llx %4s %llx %*s %lu %99s", &from, &to, prot, &offset, &number,
                   name) < 5 ||
            strncmp(name, "/memfd:halo-", 12) != 0 || prot[1] != 'w')
            continue;
        if (offset == 0)
            have = 0;
        else if (offset != have || from != end_of_last)
            continue;
        is_own = (offset == 0 ? false : is_own) || strncmp(name + 12, "ram", 3) == 0;
        end_of_last = to;
        if (have + (to - from) > len)
            continue;
        if (prot[3] == 's')
            assert_int_equal(pread(file_of(number), bytes + have, to - from, (off_t)offset),
                             to - from);
        else
            memcpy(bytes + have, (const void *)(uintptr_t)from, to - from);
        have += to - from;
        if (have == len && is_own && which-- > 0)
            have = 0;
    }
    (void)fclose(maps);
    assert_int_equal(have, len);
}

static unsigned char *memory(uint32_t which, size_t len)
{
    unsigned char *const bytes = calloc(1, len);

    assert_non_null(bytes);
    read_memory(bytes, which, len);
    return bytes;
}

/* But for boot page and doorbell, which are each run's own. */
static void same(size_t len)
{
    if (!after)
        after = memory(0, len);
    else
        read_memory(after, 0, len);
    for (size_t page = 0; page < len / HALO_PAGE - 2; page++) {
        if (memcmp(before + page * HALO_PAGE, after + page * HALO_PAGE, HALO_PAGE) != 0)
            fail_msg("page %u is not as it was", (unsigned)page);
    }
}

/* Whether this kernel lets this program know. */
static bool is_tracked(void)
{
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1);
    struct uffdio_api api = {.api = UFFD_API, .features = 1ull << 12 | 1ull << 13 | 1ull << 15};
    const bool can = fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0;

    if (fd >= 0)
        close(fd);
    return can && atoi(process_line(getpid(), "status", "Seccomp:")) == 0;
}

/* --- Its guest -------------------------------------------------------------------------------- */

static void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    char *const letters = malloc(args[0].u32 + 1u);

    (void)context;
    memset(letters, 'x', args[0].u32);
    letters[args[0].u32] = '\0';
    (void)halo_return(call, halo_str(letters));
    free(letters);
}

static const struct halo_signature text_type = HALO_FN(HALO_STR, HALO_U32);
static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64));
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

static void start(const char *name, const struct halo_value *args, size_t count)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, function(box, name), args, count);
}

static struct halo_value call(const char *name, const struct halo_value *args, size_t count)
{
    start(name, args, count);
    if (halo_wait(&future, PATIENCE))
        fail_msg("%s: %s", name, halo_errmsg(box));
    return future.result;
}

static struct halo_value call2(const char *name, uint32_t first, uint32_t then)
{
    const struct halo_value args[] = {halo_u32(first), halo_u32(then)};

    return call(name, args, 2);
}

static struct halo_value call1(const char *name, uint32_t value)
{
    return call(name, &(struct halo_value){.type = HALO_U32, .u32 = value}, 1);
}

static void stamp(uint32_t seed, uint32_t count)
{
    (void)call2("stamp", seed, count);
}

static void take(struct halo_snapshot **to)
{
    /* One with a thread of its own may be on its way to where it waits. */
    if (halo_run_to_wait(box, PATIENCE) < 0 || halo_snapshot(box, to))
        fail_msg("%s", halo_errmsg(box));
}

static void restore(const struct halo_snapshot *from)
{
    if (halo_restore(box, from))
        fail_msg("%s", halo_errmsg(box));
}

/* Restores, after which whatever was not written is known and protected. */
static void settle(void)
{
    restore(snapshot);
    restore(snapshot);
}

static void open_box(void **state, const char *path, const char *mode, uint64_t len)
{
    const char *const args[] = {"guest", mode};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    options.ram_len = len;
    if (halo_open(&box, path, &options))
        fail_msg("%s", halo_errmsg(box));
}

static void serve(void)
{
    if (halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
}

static void open_large(void **state, const char *mode, uint64_t len, uint32_t pages)
{
    open_box(state, LARGE, mode, len);
    assert_int_equal(halo_provide(box, "host.text", &text_type, text, NULL), 0);
    if (mode)
        assert_int_equal(halo_offer(box, "in", halo_end_host(), HALO_IN, NULL), 0);
    serve();
    (void)call1("touch", pages);
    take(&snapshot);
    before = memory(0, len);
    settle();
    same(len);
}

static uint64_t compared(void)
{
    struct halo_stats stats;

    halo_stats(box, &stats);
    return stats.compared_pages;
}

/* --- What its guest writes -------------------------------------------------------------------- */

static void what_a_large_guest_wrote_is_undone_page_by_page(void **state)
{
    const uint64_t len = 64ull << 20;
    uint64_t last = 0;

    open_large(state, NULL, len, 13000);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        last = compared();
        stamp(i, i % 3 ? 16 : 2000);
        restore(snapshot);
        same(len);
    }
    last = compared();
    restore(snapshot);
    if (is_tracked()) /* those that were written are compared yet, and no others */
        assert_true(compared() - last < 6000);
}

/* A page that was written is compared for a while, and not after that; then it is written again. */
static void a_page_is_found_whenever_it_is_written(void **state)
{
    uint64_t last, many = 0, few = 0;

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < 160; i++) {
        const bool writes = i < 3 || i == 40 || i == 74 || i == 75 || i == 120;

        if (writes)
            stamp(1, 400);
        last = compared();
        restore(snapshot);
        last = compared() - last;
        if (i == 4)
            many = last;
        if (i == 73 || i == 119)
            few = last;
        if (writes || i % 16 == 0)
            same(LEN);
    }
    if (is_tracked())
        assert_true(few + 200 < many);
}

static void memory_that_nobody_had_is_nobodys_again(void **state)
{
    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        (void)call1("more", i % 2 ? 1100 : 30);
        restore(snapshot);
        same(LEN);
        restore(snapshot);
        same(LEN);
    }
}

static void a_guest_that_is_stopped_has_written_too(void **state)
{
    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < 4; i++) {
        start("loop", NULL, 0);
        assert_int_equal(halo_wait(&future, 20000000), HALO_ETIMEDOUT);
        restore(snapshot);
        same(LEN);
        stamp(i, 100);
        restore(snapshot);
        same(LEN);
    }
}

static pid_t guest_process(void **state)
{
    return way_options(state).backend == HALO_BACKEND_PROCESS ? process_guest_of(getpid()) : 0;
}

/* Whoever ended its process: the next one's mapping is another. */
static void a_process_in_its_place_is_looked_at_anew(void **state)
{
    uint64_t last;

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const pid_t pid = guest_process(state);

        stamp(i, 300);
        if (pid > 0) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_true(process_await_gone(pid));
        }
        restore(snapshot);
        same(LEN);
        stamp(i + 100, 300);
        restore(snapshot);
        same(LEN);
        settle();
        last = compared();
        restore(snapshot);
        if (pid > 0 && is_tracked()) /* and of that, too, it is known */
            assert_true(compared() - last < 1500);
    }
}

/* SNP-03 of a large guest: all memory that it can write. */
static void nothing_of_a_large_tenant_is_left(void **state)
{
    const bool on_kvm = way_options(state).backend == HALO_BACKEND_KVM;

    open_box(state, TENANT, NULL, LEN);
    assert_int_equal(halo_provide(box, "host.twice", &twice_type, twice, NULL), 0);
    serve();
    (void)call2("dirty", PAGES, 3);
    take(&snapshot);
    before = memory(0, LEN);
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        const struct halo_value kind = halo_u32(on_kvm && i & 1);

        start("ruin", &kind, 1);
        (void)halo_wait(&future, PATIENCE);
        restore(snapshot);
        same(LEN);
        settle();
    }
}

/* --- What its host writes --------------------------------------------------------------------- */

static void what_calls_and_answers_wrote_is_undone(void **state)
{
    static unsigned char bytes[40000];
    const struct halo_value all = halo_bytes(bytes, sizeof(bytes));

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        memset(bytes, (int)i + 1, sizeof(bytes));
        assert_int_equal(call("take", &all, 1).u64, sizeof(bytes));
        restore(snapshot);
        same(LEN);
        assert_int_equal(call1("ask", 30000 + i).u64, 30000 + i);
        restore(snapshot);
        same(LEN);
        settle();
    }
}

static unsigned char said[65536];

static int64_t say(void *context, void *to, size_t len)
{
    (void)context;
    memset(to, 0x77, len);
    return (int64_t)len;
}

static const struct halo_end_functions says = {.read = say};

/* Where the guest reads to, in the middle of pages that were protected, by each kind of end. */
static void what_streams_wrote_is_undone(void **state)
{
    enum { MEMORY, FUNCTION, PIPE, SOCKET, FILE_AT, HOST, KINDS };
    char path[] = "/tmp/halo-tracking-XXXXXX";
    const int file = mkstemp(path);

    assert_true(file >= 0 && unlink(path) == 0);
    memset(said, 0x99, sizeof(said));
    assert_int_equal(write(file, said, sizeof(said)), sizeof(said));
    open_large(state, "streams", LEN, PAGES);
    for (uint32_t i = 0; i < 3 * KINDS; i++) {
        const uint32_t page = 100 + 37 * (i / KINDS) + 10 * (i % KINDS);
        const uint32_t len = i / KINDS == 2 ? 100 : 30000;
        struct halo_end end_of_it = halo_end_host();
        int fds[2] = {-1, -1};
        uint32_t handle;

        switch (i % KINDS) {
        case MEMORY:
            end_of_it = halo_end_memory(said, sizeof(said), NULL, 0);
            break;
        case FUNCTION:
            end_of_it = halo_end_functions(&says, NULL, -1);
            break;
        case PIPE:
            assert_int_equal(pipe(fds), 0);
            break;
        case SOCKET:
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
            break;
        case FILE_AT:
            end_of_it = halo_end_file(file, 0);
            break;
        default:
            break;
        }
        if (fds[0] >= 0) {
            assert_int_equal(write(fds[1], said, len), len);
            end_of_it = halo_end_fd(fds[0]);
        }
        assert_int_equal(halo_offer(box, "in", end_of_it, HALO_IN, &handle), 0);
        if (i % KINDS == HOST) {
            const struct halo_value args[] = {halo_u32(page), halo_u32(len)};

            start("fetch", args, 2);
            assert_true(halo_stream_write(box, handle, said, len, PATIENCE) > 0);
            assert_int_equal(halo_wait(&future, PATIENCE), 0);
        } else {
            assert_true(call2("fetch", page, len).u64 > 0);
        }
        restore(snapshot);
        same(LEN);
        settle();
        if (fds[0] >= 0) {
            close(fds[0]);
            close(fds[1]);
        }
    }
    close(file);
}

/* --- Other snapshots, sandboxes, hosts -------------------------------------------------------- */

static void what_is_known_is_known_of_one_snapshot(void **state)
{
    unsigned char *first;

    open_large(state, NULL, LEN, PAGES);
    first = before;
    before = NULL;
    stamp(77, 1500);
    take(&second);
    before = memory(0, LEN);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        unsigned char *const this = before;

        stamp(i, 50);
        restore(second);
        same(LEN);
        if (i % 2)
            restore(second);
        before = first;
        restore(snapshot);
        same(LEN);
        if (i % 3)
            restore(snapshot);
        stamp(i, 50);
        restore(snapshot);
        same(LEN);
        before = this;
    }
    free(first);
}

static void clones_go_their_own_ways(void **state)
{
    const struct halo_options options = way_options(state);

    open_large(state, NULL, LEN, PAGES);
    halo_close(box);
    box = NULL;
    for (uint32_t k = 0; k < 2; k++) { /* one of them at a time can be told apart, by its mapping */
        if (halo_open_snapshot(&box, snapshot, &options))
            fail_msg("%s", halo_errmsg(box));
        if (k == 0) {
            assert_int_equal(halo_open_snapshot(&other, snapshot, &options), 0);
            halo_close(other);
            other = NULL;
        }
        assert_int_equal(halo_provide(box, "host.text", &text_type, text, NULL), 0);
        same(LEN);
        settle();
        for (uint32_t i = 0; i < ROUNDS; i++) {
            stamp(i + 10 * k, 20 + 300 * (i % 2));
            restore(snapshot);
            same(LEN);
            (void)call1("ask", 20000);
            (void)call1("more", 20);
            restore(snapshot);
            same(LEN);
            if (i == 3)
                settle();
        }
        halo_close(box);
        box = NULL;
    }
}

static void two_clones_do_not_see_each_other(void **state)
{
    const struct halo_options options = way_options(state);
    struct halo_sandbox *both[2];

    open_large(state, NULL, LEN, PAGES);
    both[0] = box;
    assert_int_equal(halo_open_snapshot(&both[1], snapshot, &options), 0);
    other = both[1];
    assert_int_equal(halo_provide(other, "host.text", &text_type, text, NULL), 0);
    for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
        /* whatever fails, both are closed once */
        box = both[i % 2];
        other = both[1 - i % 2];
        stamp(i, 200);
        box = both[i / 2 % 2];
        other = both[1 - i / 2 % 2];
        restore(snapshot);
        restore(snapshot);
    }
    for (uint32_t i = 0; i < 2; i++) {
        box = both[i];
        other = both[1 - i];
        restore(snapshot);
    }
    for (uint32_t which = 0; which < 2; which++) {
        read_memory(after, which, LEN);
        assert_memory_equal(before, after, LEN - 2 * HALO_PAGE);
    }
}

/* A fork, that lives on meanwhile or not, has its own copies and none of the protections. */
static void a_fork_of_the_host_changes_nothing(void **state)
{
    const struct halo_options options = way_options(state);

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < ROUNDS; i++) {
            int hold[2];
            char byte;
            pid_t pid;

            assert_int_equal(pipe(hold), 0);
            pid = fork();
            if (pid == 0) {
                close(hold[1]);
                if (i % 2)
                    halo_close(box);
                (void)!read(hold[0], &byte, 1);
                _exit(0);
            }
            stamp(i, 200);
            (void)call1("ask", 20000);
            restore(snapshot);
            same(LEN);
            close(hold[0]);
            close(hold[1]);
            assert_int_equal(waitpid(pid, NULL, 0), pid);
            stamp(i + 30, 200);
            restore(snapshot);
            same(LEN);
        }
        halo_close(box);
        box = NULL;
        if (k == 0) {
            assert_int_equal(halo_open_snapshot(&box, snapshot, &options), 0);
            assert_int_equal(halo_provide(box, "host.text", &text_type, text, NULL), 0);
            settle();
        }
    }
}

static int told;

static void done(struct halo_task *task, void *context)
{
    (void)context;
    told = task->error ? task->error : 1;
}

static void it_is_so_on_threads_of_an_executor(void **state)
{
    struct halo_executor *executor;

    open_large(state, NULL, LEN, PAGES);
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    for (uint32_t i = 0; i < 4 && !way_options(state).threaded; i++) {
        const struct halo_value args[] = {halo_u32(i), halo_u32(200)};
        struct halo_task task = {.done = done};

        told = 0;
        assert_int_equal(halo_executor_attach(executor, box), 0);
        assert_int_equal(halo_submit(box, &task, function(box, "stamp"), args, 2, HALO_FOREVER), 0);
        while (!told) {
            struct pollfd ready = {.fd = halo_fd(executor), .events = POLLIN};

            assert_int_equal(poll(&ready, 1, 60000), 1);
            (void)halo_turn(executor);
        }
        assert_int_equal(told, 1);
        halo_future_free(&task.future);
        assert_int_equal(halo_executor_detach(box), 0);
        restore(snapshot);
        same(LEN);
    }
    assert_int_equal(halo_executor_close(executor), 0);
}

static int prepare(struct halo_sandbox *of, void *unused)
{
    (void)unused;
    return halo_provide(of, "host.text", &text_type, text, NULL);
}

/* What a fleet gives out was another tenant's. */
static void a_fleet_gives_out_what_it_was_given(void **state)
{
    const struct halo_options sandbox = way_options(state);
    const struct halo_fleet_options options = {.sandbox = &sandbox, .max = 1, .prepare = prepare};
    struct halo_fleet *fleet;
    struct halo_sandbox *given;

    open_large(state, NULL, LEN, PAGES);
    halo_close(box);
    box = NULL;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
    for (uint32_t i = 0; i < 2 * ROUNDS; i++) {
        assert_int_equal(halo_fleet_take(fleet, snapshot, PATIENCE, NULL, &given), 0);
        box = given;
        same(LEN);
        stamp(i, 100);
        if (i % 4 == 3) {
            start("loop", NULL, 0);
            (void)halo_wait(&future, 20000000);
        }
        halo_future_free(&future);
        assert_int_equal(halo_fleet_give(fleet, box), 0);
        box = NULL;
    }
    halo_fleet_close(fleet);
}

/* --- Programs with a C library ---------------------------------------------------------------- */

static uint64_t ask(const char *name, uint64_t value)
{
    const struct halo_value arg = halo_u64(value);

    return call(name, &arg, 1).u64;
}

/* Memory at other addresses is written there, and protections change. */
static void far_memory_and_changed_protections(void **state)
{
    const uint64_t len = 32ull << 20;

    open_box(state, FAR, NULL, len);
    serve();
    assert_int_equal(ask("wall", 1), 0);
    ask("keep", 3);
    take(&snapshot);
    before = memory(0, len);
    settle();
    same(len);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(ask("wall", 2 + i), 0);
        restore(snapshot);
        same(len);
        assert_int_equal(ask("look", 3), 0);
        ask("keep", 70 + i);
        if (i % 2)
            assert_int_equal(ask("guard", 1), 0);
        restore(snapshot);
        same(len);
        assert_int_equal(ask("look", 3), 0);
        assert_int_equal(ask("guard", 2), 0); /* given back */
        ask("keep", 90 + i);
        restore(snapshot);
        same(len);
        settle();
        same(len);
    }
}

/* How messages travel makes no difference here. */
#define HERE(function) WAY_TEST(function, WAY_STACKS | WAY_PLAIN)

int main(void)
{
    static const struct way_test tests[] = {
        HERE(what_a_large_guest_wrote_is_undone_page_by_page),
        HERE(a_page_is_found_whenever_it_is_written),
        HERE(memory_that_nobody_had_is_nobodys_again),
        HERE(a_guest_that_is_stopped_has_written_too),
        HERE(a_process_in_its_place_is_looked_at_anew),
        HERE(nothing_of_a_large_tenant_is_left),
        HERE(what_calls_and_answers_wrote_is_undone),
        HERE(what_streams_wrote_is_undone),
        HERE(what_is_known_is_known_of_one_snapshot),
        HERE(clones_go_their_own_ways),
        HERE(two_clones_do_not_see_each_other),
        HERE(a_fork_of_the_host_changes_nothing),
        HERE(it_is_so_on_threads_of_an_executor),
        HERE(a_fleet_gives_out_what_it_was_given),
        HERE(far_memory_and_changed_protections),
    };

    return run_every_way("tracking", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
