/*
 * What a guest may cost its host: group COST, on every backend. Where memory lacks, fallocate is
 * the test's own.
 */
#define _GNU_SOURCE
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MIB (1u << 20)

static struct halo_sandbox *box;
static uint32_t taken;
static bool no_memory;

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (no_memory) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static void take(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
    taken++;
}

static void open_guest(void **state, struct halo_options options)
{
    static const struct halo_signature type = HALO_FN(HALO_VOID, HALO_BYTES);
    const struct halo_options way = way_options(state);

    options.backend = way.backend;
    options.plain_ring = way.plain_ring;
    options.transport = way.transport;
    options.ram_len = 64ull << 20;
    taken = 0;
    if (halo_open(&box, COSTS, &options))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(halo_provide(box, "host.take", &type, take, NULL), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
}

static int close_guest(void **state)
{
    (void)state;
    no_memory = false;
    halo_close(box);
    box = NULL;
    return 0;
}

static int answer(struct halo_future *future, uint32_t len)
{
    static const struct halo_signature type = HALO_FN(HALO_BYTES, HALO_U32);

    return halo_call(box, future, halo_lookup(box, "answer", &type), HALO_FOREVER, halo_u32(len));
}

/* How many of so many answers, all of the same bytes of the guest's, the host takes. */
static uint32_t take_answers(struct halo_future *futures, uint32_t count, uint32_t len)
{
    uint32_t good = 0;

    for (uint32_t i = 0; i < count; i++) {
        const int error = answer(&futures[i], len);

        if (error && error != HALO_ENOMEM)
            fail_msg("%s: %s", halo_errname(error), halo_errmsg(box));
        if (error)
            assert_non_null(strstr(halo_errmsg(box), "held_max"));
        good += error == 0;
    }
    return good;
}

/* Of this process, in MiB. */
static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long all = 0, pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &pages), 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE) / MIB;
}

/* What is held, the guest's own 16 MiB, and room for what the allocator keeps; not 2400 MiB. */
static void cost_01_answers_that_are_held_are_bounded(void **state)
{
    static struct halo_future futures[150];
    const long before = resident();

    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(take_answers(futures, 150, 16 * MIB - 4096), 4);
    assert_in_range(resident() - before, 64, 64 + 16 + 40);
    for (int i = 0; i < 150; i++)
        halo_future_free(&futures[i]);
    assert_int_equal(take_answers(futures, 5, 16 * MIB - 4096), 4); /* there is room again */
    close_guest(state);
    for (int i = 0; i < 5; i++)
        halo_future_free(&futures[i]); /* they outlive their sandbox */
}

static void cost_01_the_bound_is_the_hosts_choice(void **state)
{
    static struct halo_future futures[10];

    open_guest(state, (struct halo_options){.held_max = 4 * MIB});
    assert_int_equal(take_answers(futures, 10, MIB - 100), 4);
    for (int i = 0; i < 10; i++)
        halo_future_free(&futures[i]);
    assert_int_equal(answer(&futures[0], 4 * MIB), HALO_ENOMEM);
    halo_future_free(&futures[0]);
}

static int run_calls(uint32_t count, uint32_t len, struct halo_future *future)
{
    static const struct halo_signature type = HALO_FN(HALO_U32, HALO_U32, HALO_U32);

    return halo_call(box, future, halo_lookup(box, "calls", &type), HALO_FOREVER, halo_u32(count),
                     halo_u32(len));
}

static uint32_t served_of(uint32_t count, uint32_t len)
{
    struct halo_future future;

    if (run_calls(count, len, &future))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(future.result.u32, taken);
    return future.result.u32;
}

/* 85 calls of 16 MiB go out together: the host copies what one exit may cost, and no more. */
static void cost_02_what_one_exit_copies_is_bounded(void **state)
{
    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(served_of(85, 16 * MIB - 4096), 16);
    taken = 0;
    assert_int_equal(served_of(10, 1000), 10); /* the guest, and its host, go on */
    close_guest(state);
    open_guest(state, (struct halo_options){.exit_max = 10 * MIB});
    assert_int_equal(served_of(85, MIB - 100), 10);
}

static void cost_01_arguments_are_held_while_they_are_served(void **state)
{
    open_guest(state, (struct halo_options){.held_max = MIB});
    assert_int_equal(served_of(3, 2 * MIB), 0);
    assert_int_equal(served_of(3, MIB / 2), 3);
}

static void cost_03_memory_that_is_not_there_is_an_error(void **state)
{
    struct halo_options options = way_options(state);

    no_memory = true;
    assert_int_equal(halo_open(&box, COSTS, &options), HALO_ENOMEM);
    assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
    assert_non_null(strstr(halo_errmsg(box), "Cannot allocate memory"));
}

/* What the guest names, and never touched, is asked for before the host touches it. */
static void cost_03_memory_that_lacks_later_is_an_error(void **state)
{
    struct halo_future future;

    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(answer(&future, 100), 0); /* its buffers are there */
    no_memory = true;
    assert_int_equal(answer(&future, 1 * MIB), HALO_ENOMEM);
    assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
    halo_future_free(&future);
    close_guest(state);
    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    no_memory = true;
    assert_int_equal(run_calls(1, 1 * MIB, &future), HALO_ENOMEM);
    assert_int_equal(taken, 0);
    assert_non_null(strstr(halo_errmsg(box), "there is no memory for"));
}

/* --- A limit of memory around the host ---------------------------------------------------------
 */

static bool write_setting(const char *group, const char *file, const char *text)
{
    char path[200];
    int fd;
    bool written;

    (void)snprintf(path, sizeof(path), "%s/%s", group, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return written;
}

/* Into a group where nobody is killed: who touches what is not there sleeps for ever. False where
 * there are no such groups to be had. */
static bool join(const char *group)
{
    return mkdir(group, 0700) == 0 && write_setting(group, "memory.oom_control", "1") &&
           write_setting(group, "tasks", "0");
}

/* From now on there are 8 MiB more than what is in use. */
static bool limit_memory(const char *group)
{
    char path[200], text[32];
    unsigned long long used = 0;
    FILE *file;
    int got;

    (void)snprintf(path, sizeof(path), "%s/memory.usage_in_bytes", group);
    file = fopen(path, "re");
    if (!file)
        return false;
    got = fscanf(file, "%llu", &used);
    fclose(file);
    (void)snprintf(text, sizeof(text), "%llu", used + 8 * MIB);
    return got == 1 && write_setting(group, "memory.limit_in_bytes", text);
}

/* 16 MiB that were never touched: there is not as much. */
static int read_beyond_the_limit(void **state, const char *group)
{
    struct halo_future future;
    int error;

    open_guest(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    if (!limit_memory(group))
        return 2;
    error = answer(&future, 16 * MIB - 4096);
    return error == HALO_ENOMEM && strstr(halo_errmsg(box), "there is no memory for") ? 0 : 1;
}

static void cost_03_a_limit_around_the_host_is_an_error(void **state)
{
    char group[100];
    int status = 0;
    pid_t host;

    (void)snprintf(group, sizeof(group), "/sys/fs/cgroup/memory/halo-test-%d", (int)getpid());
    host = fork();
    if (host == 0)
        _exit(join(group) ? read_beyond_the_limit(state, group) : 77);
    for (int i = 0; waitpid(host, &status, WNOHANG) == 0; i++) {
        if (i == 6000) /* of 10 ms: it sleeps */
            kill(host, SIGKILL);
        usleep(10000);
    }
    while (rmdir(group) < 0 && errno == EBUSY) /* the guest's processes are ending */
        usleep(10000);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        print_message("no group of processes with a limit of memory can be had here\n");
    else
        assert_int_equal(status, 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(cost_01_answers_that_are_held_are_bounded),
        RINGS(cost_01_the_bound_is_the_hosts_choice),
        RINGS(cost_02_what_one_exit_copies_is_bounded),
        RINGS(cost_01_arguments_are_held_while_they_are_served),
        TEST(cost_03_memory_that_is_not_there_is_an_error),
        RINGS(cost_03_memory_that_lacks_later_is_an_error),
        RINGS(cost_03_a_limit_around_the_host_is_an_error),
    };

    return run_every_way("costs", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
