/*
 * Threads that wait in the kernel for a stream: who has some, that they leave the host's signals
 * alone, and that nobody waits for one that the kernel does not let go of. That kernel is played by
 * readv, writev, fstatfs and close here, which wait for a lock, and cannot be cancelled there.
 */
#define _GNU_SOURCE
#include "box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#define LIMIT 300000000ll  /* of a run, in ns */
#define BOUND 3000000000ll /* by which it has returned, on a machine that has much to do */

static pthread_mutex_t kernel = PTHREAD_MUTEX_INITIALIZER;
static bool holds; /* the kernel does not let go of what it is asked */

static uint64_t looked_at; /* bytes, once it has let go */

/* And then it looks at what it was lent, wherever that is by now. */
static void wait_in_kernel(const struct iovec *iov, int count)
{
    if (!__atomic_load_n(&holds, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&kernel);
    pthread_mutex_unlock(&kernel);
    for (int i = 0; i < count; i++) {
        for (size_t at = 0; at < iov[i].iov_len; at++)
            __atomic_fetch_add(&looked_at, 1 + ((volatile unsigned char *)iov[i].iov_base)[at],
                               __ATOMIC_SEQ_CST);
    }
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    wait_in_kernel(iov, count);
    return count > 0 ? read(fd, iov->iov_base, iov->iov_len) : 0;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    wait_in_kernel(iov, count);
    return count > 0 ? write(fd, iov->iov_base, iov->iov_len) : 0;
}

static _Atomic bool have_read; /* a helper has read from an offset */
static bool no_watch;

ssize_t preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
    const ssize_t n = (ssize_t)syscall(SYS_preadv, fd, iov, (long)count, offset, 0l);

    have_read = true;
    return n;
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    if (no_watch) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

/* Helpers look at these, too. */
static _Atomic int far_fd = -1;
static _Atomic bool far_away; /* every file is of a file system that is answered by others */
static _Atomic uint32_t asked, closes; /* of it, on the thread that runs the test */

int statx(int fd, const char *path, int flags, unsigned mask, struct statx *st)
{
    const int result = (int)syscall(SYS_statx, fd, path, flags, mask, st);

    if (far_away) {
        asked += !(flags & AT_STATX_DONT_SYNC);
        st->stx_attributes_mask = 0;
    }
    return result;
}

int fstatfs(int fd, struct statfs *fs)
{
    asked += far_away && gettid() == getpid();
    wait_in_kernel(NULL, 0);
    return (int)syscall(SYS_fstatfs, fd, fs);
}

int close(int fd)
{
    if (fd == far_fd) {
        closes += gettid() == getpid();
        wait_in_kernel(NULL, 0);
    }
    return (int)syscall(SYS_close, fd);
}

/* Helpers of this process; or only those that block all signals that can be blocked. */
static uint32_t helpers(bool blocked)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    uint32_t count = 0;

    while ((entry = readdir(dir))) {
        char path[300], line[200];
        bool is_helper = false;
        FILE *status;

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        status = fopen(path, "re");
        while (status && fgets(line, sizeof(line), status)) {
            unsigned long long mask;

            if (strcmp(line, "Name:\thalo-helper\n") == 0)
                is_helper = true;
            /* All but SIGKILL, SIGSTOP, and the C library's own two. */
            if (is_helper && sscanf(line, "SigBlk: %llx", &mask) == 1)
                count += !blocked || (mask | 0x180040100ull) == ~0ull;
        }
        if (status)
            fclose(status);
    }
    closedir(dir);
    return count;
}

/* They go away by themselves. */
static void let_go(void)
{
    if (__atomic_exchange_n(&holds, false, __ATOMIC_SEQ_CST))
        pthread_mutex_unlock(&kernel);
    close_box();
    while (helpers(false) > 0)
        usleep(1000);
}

static void open_guest(void **state, const char *mode)
{
    const char *const args[] = {"streams", mode, "100"};

    open_box(state, args, 3);
}

static int close_guest(void **state)
{
    (void)state;
    let_go();
    far_away = false;
    far_fd = -1;
    asked = 0;
    closes = 0;
    return 0;
}

/* --- Who has some ----------------------------------------------------------------------------- */

static void only_ends_that_would_wait_have_threads(void **state)
{
    static char out[65536];
    int pair[2], code;

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(write(pair[1], "abc", 3), 3);
    close(pair[1]);
    open_guest(state, "filter");
    offer("in", halo_end_given(pair[0]), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, out, sizeof(out)), HALO_OUT);
    assert_int_equal(halo_run(box, HALO_FOREVER, &code), 0);
    assert_int_equal(helpers(false), 0);
}

static void a_thread_blocks_all_signals_and_ends_with_its_stream(void **state)
{
    const int event = eventfd(0, EFD_CLOEXEC);
    int code;

    open_guest(state, "filter");
    offer("in", halo_end_given(event), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    assert_int_equal(helpers(true), 1);
    close_guest(state);
    assert_int_equal(helpers(false), 0);
}

/* --- One that is left behind ------------------------------------------------------------------ */

/* Run to the limit while the kernel holds what it was asked, close, and have it let go. */
static void assert_left_behind(const char *stream)
{
    const int64_t start = now();
    int code;

    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    if (!strstr(halo_errmsg(box), stream))
        fail_msg("%s", halo_errmsg(box));
    halo_close(box);
    box = NULL;
    assert_true(now() - start < BOUND);
    let_go();
}

static void hold(void)
{
    __atomic_store_n(&looked_at, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&kernel);
    __atomic_store_n(&holds, true, __ATOMIC_SEQ_CST);
}

static void time_05_a_read_that_the_kernel_holds_is_left_behind(void **state)
{
    open_guest(state, "filter");
    offer("in", halo_end_given(eventfd(0, EFD_CLOEXEC)), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    hold();
    assert_left_behind("the kernel has not answered for stream 0x3");
}

/* The file is written out of guest memory, which then stays for as long as it takes. */
static void time_05_a_write_that_the_kernel_holds_is_left_behind(void **state)
{
    static const char bytes[100000];
    const int out = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    open_guest(state, "filter");
    offer("in", halo_end_memory(bytes, sizeof(bytes), NULL, 0), HALO_IN);
    offer("out", halo_end_fd(out), HALO_OUT);
    hold();
    assert_left_behind("the kernel has not answered for stream 0x4");
    assert_true(__atomic_load_n(&looked_at, __ATOMIC_SEQ_CST) >= sizeof(bytes));
    close(out);
}

/* The memory that such a thread works on is held for the guest, and is bounded with all else. */
static void cost_01_what_helpers_hold_is_bounded(void **state)
{
    const char *const args[] = {"streams", "filter"};
    struct halo_options options = way_options(state);
    int code;

    options.args = args;
    options.arg_count = 2;
    options.held_max = 1000;
    assert_int_equal(halo_open(&box, GUEST, &options), 0);
    offer("in", halo_end_given(eventfd(1, EFD_CLOEXEC)), HALO_IN);
    offer("out", halo_end_host(), HALO_OUT);
    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    assert_non_null(strstr(halo_errmsg(box), "held_max"));
}

/* However many there are, of which the guest closes some: all together take no longer. */
static void time_05_many_that_the_kernel_holds_are_left_behind_at_once(void **state)
{
    char name[] = "s00";
    int64_t start;
    int code;

    open_guest(state, "half");
    for (; name[1] <= '9'; name[1]++) {
        for (name[2] = '0'; name[2] <= '9'; name[2]++)
            offer(name, halo_end_given(eventfd(0, EFD_CLOEXEC)), HALO_IN);
    }
    hold();
    assert_int_equal(halo_run(box, LIMIT, &code), HALO_ETIMEDOUT);
    while (helpers(false) < 100) /* and those that close; the last one may not have its name yet */
        usleep(1000);
    start = now();
    halo_close(box);
    box = NULL;
    assert_true(now() - start < BOUND); /* one after the other they would take 5 seconds */
    let_go();
}

static void wait_for_a_thread(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    while (args[0].i64 == 1 && !have_read)
        usleep(1000);
    halo_return(call, halo_i64(0));
}

/* Where a file cannot be watched the guest goes on beside its thread. What that reads for a request
 * that the guest gives up is not taken for the next one's. */
static void host_16_a_read_that_was_given_up_is_no_later_ones(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    const int in = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    char out[16] = "";
    int code;

    assert_int_equal(write(in, "text", 4), 4);
    open_guest(state, "give up");
    assert_int_equal(halo_provide(box, "host.next", &type, wait_for_a_thread, NULL), 0);
    offer("in", halo_end_file(in, 0), HALO_IN);
    offer("out", halo_end_memory(NULL, 0, out, sizeof(out)), HALO_OUT);
    no_watch = true;
    have_read = false;
    assert_int_equal(halo_run(box, 20000000000ll, &code), 0);
    no_watch = false;
    assert_int_equal(code, 0);
    assert_string_equal(out, "text");
    close(in);
}

/* --- What is asked of a descriptor when it is connected --------------------------------------- */

/* A file system that does not answer what it is: its file is moved by a helper like all that may
 * wait, and nothing that it is asked is asked by the caller. */
static void time_06_a_file_system_that_does_not_answer_does_not_hold_who_connects(void **state)
{
    const int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    int64_t start;

    open_guest(state, "filter");
    far_away = true;
    far_fd = file;
    hold();
    start = now();
    offer("in", halo_end_given(file), HALO_IN);
    assert_true(now() - start < BOUND);
    assert_int_equal(asked, 0);
    offer("out", halo_end_host(), HALO_OUT);
    assert_left_behind("the kernel has not answered for stream 0x3");
    assert_int_equal(closes, 0);
}

/* One that has a standard number has to be closed there. */
static void time_06_a_close_that_waits_does_not_hold_who_gives(void **state)
{
    const int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), kept = dup(0);
    int64_t start;

    open_guest(state, "filter");
    assert_int_equal(dup2(file, 0), 0);
    close(file);
    far_away = true;
    far_fd = 0;
    hold();
    start = now();
    offer("in", halo_end_given(0), HALO_IN);
    close_box();
    assert_true(now() - start < BOUND);
    assert_int_equal(closes, 0);
    let_go();
    while (fcntl(0, F_GETFD) >= 0) /* it is still being closed, and is not to close ours */
        (void)sched_yield();
    far_fd = -1;
    assert_int_equal(dup2(kept, 0), 0);
    close(kept);
}

/* A fork of the host leaves what may wait to its own end. */
static void time_06_a_close_that_waits_does_not_hold_a_fork(void **state)
{
    const int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    int64_t start;
    int status;
    pid_t fork_of;

    open_guest(state, "filter");
    far_away = true;
    far_fd = file;
    hold();
    offer("in", halo_end_given(file), HALO_IN);
    start = now();
    fork_of = fork();
    if (fork_of == 0) {
        alarm(5);
        halo_close(box);
        _exit(closes != 0);
    }
    assert_int_equal(waitpid(fork_of, &status, 0), fork_of);
    assert_int_equal(status, 0);
    assert_true(now() - start < BOUND);
    far_fd = -1;
    let_go();
}

/* Where nobody has to be asked a thread is not made either. */
static void a_local_file_is_known_at_once(void **state)
{
    const int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

    open_guest(state, "filter");
    hold();
    offer("in", halo_end_given(file), HALO_IN);
    assert_int_equal(helpers(false), 0);
    let_go();
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(only_ends_that_would_wait_have_threads),
        RINGS(a_thread_blocks_all_signals_and_ends_with_its_stream),
        RINGS(cost_01_what_helpers_hold_is_bounded),
        RINGS(time_05_a_read_that_the_kernel_holds_is_left_behind),
        RINGS(time_05_a_write_that_the_kernel_holds_is_left_behind),
        IN_TURNS(time_05_many_that_the_kernel_holds_are_left_behind_at_once),
        RINGS(time_06_a_file_system_that_does_not_answer_does_not_hold_who_connects),
        RINGS(time_06_a_close_that_waits_does_not_hold_who_gives),
        RINGS(time_06_a_close_that_waits_does_not_hold_a_fork),
        RINGS(a_local_file_is_known_at_once),
        IN_TURNS(host_16_a_read_that_was_given_up_is_no_later_ones),
    };

    return run_every_way("helpers", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
