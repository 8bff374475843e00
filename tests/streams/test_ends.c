/*
 * Ends of streams that may wait in the kernel, on every backend: the time limit holds, and others
 * go on. Where a kernel feature matters it is also taken away: open and preadv2 are the test's own.
 */
#define _GNU_SOURCE
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#define LIMIT 300000000ll  /* of a run, in ns */
#define BOUND 3000000000ll /* by which it has returned, on a machine that has much to do */

static bool no_proc, no_nowait, no_watch; /* what the kernel lacks */
static uint32_t refused;                  /* how often that was met */

/* --- Taken away ------------------------------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
    const bool is_again = strncmp(path, "/proc/self/fd/", 14) == 0;
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (no_proc && is_again) {
        refused++;
        errno = ENOENT;
        return -1;
    }
    return openat(AT_FDCWD, path, flags, mode);
}

/* What _FORTIFY_SOURCE makes of it. */
int open_fortified(const char *path, int flags) __asm__("__open64_2");

int open_fortified(const char *path, int flags)
{
    return open(path, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    if (no_nowait) {
        refused++;
        errno = EOPNOTSUPP;
        return -1;
    }
    return (ssize_t)syscall(SYS_preadv2, fd, iov, (long)count, offset, 0l, flags);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (no_watch) {
        refused++;
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

/* --- Around a guest --------------------------------------------------------------------------- */

static void open_guest(void **state, const char *mode)
{
    const char *const args[] = {"streams", mode, "3"};

    open_box(state, args, 3);
}

static int close_guest(void **state)
{
    (void)state;
    no_proc = no_nowait = no_watch = false;
    refused = 0;
    close_box();
    return 0;
}

/* Run it to its time limit, close it, and look at the clock. */
static void assert_times_out(void)
{
    const int64_t start = now();
    int code;

    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    halo_close(box);
    box = NULL;
    assert_true(now() - start < BOUND);
}

/*
 * Somebody writes so much to this end, which nobody reads: while it runs, and after its end. What
 * is shorter than `certain` may fit, or be dropped by the kernel.
 */
static void nobody_reads(void **state, int fd, size_t certain)
{
    static const unsigned char bytes[131072];
    static const size_t lens[] = {4000, 4096, 65536, 131072};

    for (size_t i = 0; i < 4; i++) {
        open_guest(state, "filter");
        offer("in", halo_end_memory(bytes, lens[i], NULL, 0), HALO_IN);
        offer("out", halo_end_fd(fd), HALO_OUT);
        if (lens[i] < certain) {
            int code;
            const int64_t start = now();

            (void)halo_run(box, LIMIT, &code);
            halo_close(box);
            assert_true(now() - start < BOUND);
        } else {
            assert_times_out();
        }
    }
    open_guest(state, "pour");
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(fd)), 0);
    assert_times_out();
}

/* --- TIME-03: no end holds the time limit ----------------------------------------------------- */

static void time_03_a_terminal_that_nobody_reads(void **state)
{
    int master, slave;

    for (int with_proc = 0; with_proc < 2; with_proc++) {
        no_proc = !with_proc;
        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        nobody_reads(state, slave, 65536);
        close(master);
        close(slave);
    }
    assert_true(refused > 0);
}

static void time_03_the_masters_side_of_a_terminal(void **state)
{
    const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    assert_true(master >= 0);
    nobody_reads(state, master, SIZE_MAX); /* a terminal's line drops what is too long */
    close(master);
}

static void time_03_a_pipe_that_nobody_reads(void **state)
{
    int pair[2];

    for (int with_proc = 0; with_proc < 2; with_proc++) {
        no_proc = no_nowait = !with_proc;
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        nobody_reads(state, pair[1], 65536);
        close(pair[0]);
        close(pair[1]);
    }
    assert_true(refused > 0);
}

static void time_03_a_fifo_that_is_open_both_ways(void **state)
{
    char path[] = "/tmp/halo-test-XXXXXX";
    int fd;

    assert_non_null(mkdtemp(path));
    assert_int_equal(chdir(path), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    fd = open("fifo", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    nobody_reads(state, fd, 65536);
    close(fd);
    unlink("fifo");
    assert_int_equal(chdir("/"), 0);
    rmdir(path);
}

/* A read that blocks in the kernel, and cannot be asked not to: the kernel's log, an eventfd. */
static void time_03_what_can_only_block(void **state)
{
    int fds[] = {eventfd(0, EFD_CLOEXEC), open("/proc/kmsg", O_RDONLY | O_CLOEXEC)};
    static char out[1 << 20];

    for (int i = 0; i < 2; i++) {
        if (fds[i] < 0) /* only root may read the log */
            continue;
        open_guest(state, "filter");
        offer("in", halo_end_fd(fds[i]), HALO_IN);
        offer("out", halo_end_memory(NULL, 0, out, sizeof(out)), HALO_OUT);
        assert_times_out();
        close(fds[i]);
    }
}

/* Both ways of ends that only block, and a stream that goes on, calls and cancels meanwhile. */
static void time_03_others_go_on_beside_what_can_only_block(void **state)
{
    static unsigned char from[1 << 20], to[1 << 20];
    const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    const int silent = eventfd(0, EFD_CLOEXEC);

    for (size_t i = 0; i < sizeof(from); i++)
        from[i] = (unsigned char)(i * 7 >> 3);
    open_guest(state, "starve");
    offer("slow", halo_end_fd(master), HALO_OUT);
    offer("blocked", halo_end_fd(silent), HALO_IN);
    offer("in", halo_end_memory(from, sizeof(from), NULL, 0), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, to, sizeof(to)), HALO_OUT);
    assert_ends();
    assert_memory_equal(from, to, sizeof(to));
    close(master);
    close(silent);
}

/* A wait that times out while the kernel still reads loses nothing of what that reads later. */
static void what_blocks_may_still_come(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_U64, HALO_U32);
    const int event = eventfd(0, EFD_CLOEXEC);
    struct halo_future future;
    const uint64_t five = 5;
    uint32_t handle;

    open_guest(state, "x"); /* it serves calls */
    assert_int_equal(halo_offer(box, NULL, halo_end_fd(event), HALO_IN, &handle), 0);
    assert_int_equal(halo_serve_begin(box, PATIENCE), 0);
    halo_call_start(box, &future, halo_lookup(box, "read_one", &type),
                    &(struct halo_value){.type = HALO_U32, .u32 = handle}, 1);
    assert_int_equal(halo_wait(&future, LIMIT), HALO_ETIMEDOUT);
    assert_int_equal(write(event, &five, sizeof(five)), sizeof(five));
    assert_int_equal(halo_wait(&future, PATIENCE), 0);
    assert_int_equal(future.result.u64, 5);
    close(event);
}

/* --- R13: the same inputs cost the same exits --------------------------------------------------
 */

static uint64_t exits_of(void **state, const char *name, size_t len)
{
    const int in = open(name, O_RDONLY | O_CLOEXEC);
    const int out = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    struct halo_stats stats;
    struct stat st;

    open_guest(state, "filter");
    offer("in", halo_end_fd(in), HALO_IN);
    offer("out", halo_end_fd(out), HALO_OUT);
    assert_ends();
    halo_stats(box, &stats);
    assert_int_equal(fstat(out, &st), 0);
    assert_int_equal(st.st_size, len);
    halo_close(box);
    box = NULL;
    close(in);
    close(out);
    return stats.exits;
}

static void a_file_costs_the_same_exits_whoever_reads_it(void **state)
{
    enum { LEN = (3 << 20) + 77 };
    char path[] = "/tmp/halo-test-XXXXXX";
    const int fd = mkstemp(path);
    uint64_t exits;

    assert_int_equal(ftruncate(fd, LEN), 0);
    close(fd);
    exits = exits_of(state, path, LEN);
    assert_int_equal(exits_of(state, path, LEN), exits);
    no_nowait = true;
    assert_int_equal(exits_of(state, path, LEN), exits);
    assert_true(refused > 0);
    unlink(path);
}

/* --- HOST: descriptors are as they were ------------------------------------------------------- */

static void host_13_an_end_of_writes_leaves_a_shared_socket_alone(void **state)
{
    char text[16] = "";

    for (int given = 0; given < 2; given++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        open_guest(state, "talk");
        offer("host", given ? halo_end_given(pair[0]) : halo_end_fd(pair[0]), HALO_IN | HALO_OUT);
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
        assert_ends();
        assert_int_equal(recv(pair[1], text, sizeof(text), MSG_DONTWAIT), 5);
        assert_int_equal(recv(pair[1], text, sizeof(text), MSG_DONTWAIT), given ? 0 : -1);
        if (!given) { /* it is still good for whoever holds it */
            assert_int_equal(write(pair[0], "more", 4), 4);
            close(pair[0]);
        }
        close(pair[1]);
        close_guest(state);
    }
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* The same description as one of the host's: a duplicate that a stream has of it. */
static bool is_hosts(int fd, const int *hosts, int count)
{
    for (int i = 0; i < count; i++) {
        if (syscall(SYS_kcmp, getpid(), getpid(), 0 /* KCMP_FILE */, fd, hosts[i]) == 0)
            return true;
    }
    return false;
}

static void assert_refused(int fd)
{
    static const struct halo_end_functions functions = {.write = NULL};
    char path[32], name[64] = "";

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)!readlink(path, name, sizeof(name) - 1);
    if (halo_attach(box, HALO_STDOUT, halo_end_fd(fd)) != HALO_EINVAL ||
        !strstr(halo_errmsg(box), "Halo's own") ||
        halo_offer(box, NULL, halo_end_given(fd), HALO_OUT, NULL) != HALO_EINVAL ||
        halo_offer(box, NULL, halo_end_functions(&functions, NULL, fd), HALO_IN, NULL) !=
            HALO_EINVAL)
        fail_msg("%d, %s, was taken for an end", fd, name);
}

/*
 * Everything that this process has since a sandbox was opened: its machine, its process, its epoll,
 * a pipe opened once more, and what tells of helpers. Under any number; memory also where it was
 * opened once more.
 */
static void host_14_halos_own_descriptors_are_no_ends(void **state)
{
    const int event = eventfd(0, EFD_CLOEXEC);
    bool before[256];
    uint32_t own = 0;
    int pair[2], code;

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    for (int fd = 0; fd < 256; fd++)
        before[fd] = is_open(fd);
    open_guest(state, "half"); /* it closes s00 */
    offer("s00", halo_end_fd(event), HALO_IN);
    offer("s01", halo_end_fd(pair[0]), HALO_IN);
    offer("s02", halo_end_fd(event), HALO_IN);
    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    for (int fd = 0; fd < 256; fd++) {
        char path[32], name[64] = "";
        int other;

        if (before[fd] || !is_open(fd) || is_hosts(fd, (const int[]){event, pair[0]}, 2))
            continue;
        own++;
        assert_refused(fd);
        other = dup(fd);
        assert_refused(other);
        close(other);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        (void)!readlink(path, name, sizeof(name) - 1);
        if (strncmp(name, "/memfd", 6) == 0) {
            other = open(path, O_RDWR | O_CLOEXEC);
            assert_true(other >= 0);
            assert_refused(other);
            close(other);
        }
    }
    /* Memory and epoll, what interrupts, the pipe once more, the helper's event; and three of KVM,
     * or the doorbell, the socket, the guest's process and its keeper; and two events of a guest's
     * own thread. */
    assert_int_equal(own, (way_options(state).backend == HALO_BACKEND_KVM ? 8 : 9) +
                              (way_options(state).threaded ? 2 : 0));
    close(event);
    close(pair[0]);
    close(pair[1]);
}

static void host_15_a_file_for_appending_has_no_offsets(void **state)
{
    const int fd = open("/tmp", O_RDWR | O_TMPFILE | O_APPEND | O_CLOEXEC, 0600);

    open_guest(state, "talk");
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_file(fd, 0)), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(box), "appending"));
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(fd)), 0);
    close(fd);
}

static void watches_come_back(struct halo_sandbox *running, void *fd)
{
    (void)running;
    if (no_watch && refused > 2)
        assert_int_equal(write(*(int *)fd, "late", 4), 4);
    if (no_watch && refused > 2)
        close(*(int *)fd);
    no_watch = no_watch && refused <= 2;
}

/* What the host is short of is no fault of the guest's: it goes on when that comes back. */
static void host_16_a_guest_goes_on_when_watches_come_back(void **state)
{
    char out[16] = "";
    int pair[2];

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    open_guest(state, "filter");
    offer("in", halo_end_fd(pair[0]), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, out, sizeof(out)), HALO_OUT);
    no_watch = true;
    halo_watch(box, 5000000, watches_come_back, &pair[1]);
    assert_ends();
    assert_string_equal(out, "late");
    close(pair[0]);
}

static void host_16_a_time_limit_names_what_the_host_lacks(void **state)
{
    int pair[2], code;

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    open_guest(state, "filter");
    offer("in", halo_end_fd(pair[0]), HALO_IN);
    offer("out", halo_end_fd(pair[1]), HALO_OUT);
    no_watch = true;
    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    assert_non_null(strstr(halo_errmsg(box),
                           "stream in cannot go on: its end cannot be watched: No space left"));
    close(pair[0]);
    close(pair[1]);
}

/* What tells of a file's thread could be had, but not the descriptor that it is to move. */
static void host_16_a_time_limit_names_what_is_lacking_for_a_thread(void **state)
{
    const int out = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    struct rlimit limit, one;
    int first, second, code, error;

    open_guest(state, "filter");
    offer("in", halo_end_memory("text", 4, NULL, 0), HALO_IN);
    offer("out", halo_end_fd(out), HALO_OUT);
    first = dup(out);
    second = dup(out);
    close(first);
    close(second);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    one = (struct rlimit){.rlim_cur = (rlim_t)second, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &one), 0);
    error = halo_run(box, LIMIT, &code);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(error, HALO_ETIMEDOUT);
    assert_non_null(strstr(halo_errmsg(box), "stream out cannot go on: there is no thread"));
    close(out);
}

/* Of a file a part is there at once, and for the rest there is no thread: that part is not lost. */
static void host_16_what_was_read_is_not_lost_for_want_of_a_thread(void **state)
{
    const int in = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    struct rlimit limit, none;
    char out[16] = "";
    int code, error;

    assert_int_equal(write(in, "few bytes", 9), 9);
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    open_guest(state, "filter");
    offer("in", halo_end_fd(in), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, out, sizeof(out)), HALO_OUT);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    error = halo_run(box, PATIENCE, &code);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(error, 0);
    assert_int_equal(code, 0);
    assert_string_equal(out, "few bytes");
    close(in);
}

static void descriptors_come_back(struct halo_sandbox *running, void *limit)
{
    struct rlimit now_it_is;

    (void)running;
    if (refused++ > 0)
        return;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now_it_is), 0);
    assert_int_equal(now_it_is.rlim_cur, 3);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, limit), 0);
}

/* No descriptor is left for the thread that a file needs, and then some are again. */
static void host_16_a_guest_goes_on_when_descriptors_come_back(void **state)
{
    const int out = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    static unsigned char bytes[100000];
    struct rlimit limit, none;
    struct stat st;
    int code;

    open_guest(state, "filter");
    offer("in", halo_end_memory(bytes, sizeof(bytes), NULL, 0), HALO_IN);
    offer("out", halo_end_fd(out), HALO_OUT);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    halo_watch(box, 100000000, descriptors_come_back, &limit);
    assert_int_equal(halo_run(box, PATIENCE, &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(fstat(out, &st), 0);
    assert_int_equal(st.st_size, sizeof(bytes));
    close(out);
}

/* --- What has ended stays ended --------------------------------------------------------------- */

static void fault_and_write(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const struct halo_signature type = {.arg_count = 0};
    struct halo_sandbox *running = halo_call_sandbox(call);
    struct halo_future future;

    (void)args;
    halo_call_start(running, &future, halo_lookup(running, "fault", &type), NULL, 0);
    assert_int_equal(halo_wait(&future, PATIENCE), HALO_EFAULT);
    assert_int_equal(write(((int *)context)[1], "twenty-five bytes of text", 25), 25);
    halo_return(call, halo_i64(0));
}

static void what_has_ended_reads_nothing_more(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_stream_stats stats;
    char text[32];
    uint32_t handle;
    int pair[2], code;

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    open_guest(state, "beyond");
    assert_int_equal(halo_provide(box, "host.next", &type, fault_and_write, pair), 0);
    assert_int_equal(halo_offer(box, "in", halo_end_fd(pair[0]), HALO_IN, &handle), 0);
    assert_int_equal(halo_run(box, PATIENCE, &code), HALO_EFAULT);
    assert_int_equal(halo_stream_stats(box, handle, &stats), 0);
    assert_int_equal(stats.bytes_in, 0);
    assert_int_equal(read(pair[0], text, sizeof(text)), 25);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(time_03_a_terminal_that_nobody_reads),
        RINGS(time_03_the_masters_side_of_a_terminal),
        RINGS(time_03_a_pipe_that_nobody_reads),
        RINGS(time_03_a_fifo_that_is_open_both_ways),
        RINGS(time_03_what_can_only_block),
        RINGS(time_03_others_go_on_beside_what_can_only_block),
        RINGS(what_blocks_may_still_come),
        IN_TURNS(a_file_costs_the_same_exits_whoever_reads_it),
        RINGS(host_13_an_end_of_writes_leaves_a_shared_socket_alone),
        RINGS(host_14_halos_own_descriptors_are_no_ends),
        RINGS(host_15_a_file_for_appending_has_no_offsets),
        RINGS(host_16_a_guest_goes_on_when_watches_come_back),
        RINGS(host_16_a_time_limit_names_what_the_host_lacks),
        RINGS(host_16_a_time_limit_names_what_is_lacking_for_a_thread),
        RINGS(host_16_what_was_read_is_not_lost_for_want_of_a_thread),
        RINGS(host_16_a_guest_goes_on_when_descriptors_come_back),
        RINGS(what_has_ended_reads_nothing_more),
    };

    return run_every_way("ends", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
