/*
 * What a guest has written before its end is seen, whatever that end is; and a write that fails is
 * told. On every backend.
 */
#define _GNU_SOURCE
#include "box.h"

#include <errno.h>
#include <fcntl.h>

#define LIMIT 300000000ll  /* of a run, in ns */
#define BOUND 8000000000ll /* by which it has returned, on a machine that has much to do */

static void open_guest(void **state, const char *end, const char *more)
{
    const char *const args[] = {"last", end, more};

    open_box(state, args, more ? 3 : 2);
}

static int close_guest(void **state)
{
    (void)state;
    close_box();
    return 0;
}

static const struct {
    const char *end;
    int error;
} ends[] = {
    {"nothing", 0},           {"fault", HALO_EFAULT},
    {"panic", HALO_EPANIC},   {"poison", HALO_EPOISONED},
    {"loop", HALO_ETIMEDOUT},
};

#define END_COUNT (sizeof(ends) / sizeof(ends[0]))

static void run_to(size_t end)
{
    int code = -1;

    assert_int_equal(halo_run(box, ends[end].error == HALO_ETIMEDOUT ? LIMIT : PATIENCE, &code),
                     ends[end].error);
    if (ends[end].error)
        assert_string_not_equal(halo_errmsg(box), "");
}

/* --- However it ends -------------------------------------------------------------------------- */

static void what_was_said_last_comes_in_order(void **state)
{
    static const char expected[] = "out 1\nerror 1\nout 2\n";

    for (size_t i = 0; i < END_COUNT; i++) {
        char text[64] = "";
        int pair[2];

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        open_guest(state, ends[i].end, NULL);
        assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(pair[1])), 0);
        assert_int_equal(halo_attach(box, HALO_STDERR, halo_end_fd(pair[1])), 0);
        run_to(i);
        close_box();
        close(pair[1]);
        assert_true(read(pair[0], text, sizeof(text) - 1) > 0);
        assert_string_equal(text, expected);
        close(pair[0]);
    }
}

static void what_was_gathered_for_any_stream_goes_out(void **state)
{
    for (size_t i = 0; i < END_COUNT; i++) {
        const int file = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        char out[64] = "", error[64] = "", log[64] = "";

        open_guest(state, ends[i].end, "log");
        offer("log", halo_end_file(file, 0), HALO_OUT);
        assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, out, sizeof(out))),
                         0);
        assert_int_equal(
            halo_attach(box, HALO_STDERR, halo_end_memory(NULL, 0, error, sizeof(error))), 0);
        run_to(i);
        assert_string_equal(out, "out 1\nout 2\n");
        assert_string_equal(error, "error 1\n");
        assert_true(pread(file, log, sizeof(log), 0) == 8);
        assert_string_equal(log, "gathered");
        close(file);
        close_box();
    }
}

static void the_hosts_program_reads_it_after_the_end(void **state)
{
    for (size_t i = 1; i < END_COUNT - 1; i++) {
        char text[64] = "";
        size_t len = 0;
        int64_t n;

        open_guest(state, ends[i].end, NULL);
        assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_host()), 0);
        while ((n = halo_stream_read(box, HALO_STDOUT, text + len, 4, PATIENCE)) > 0)
            len += (size_t)n;
        assert_int_equal(n, ends[i].error);
        assert_string_equal(text, "out 1\nout 2\n");
        close_box();
    }
}

/* A pipe that nobody reads, and that is full. */
static void an_end_that_is_slow_holds_nobody_up(void **state)
{
    static const char bytes[65536];

    for (size_t i = 1; i < END_COUNT; i++) {
        const int64_t start = now();
        int pair[2];

        assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(write(pair[1], bytes, sizeof(bytes)), sizeof(bytes));
        open_guest(state, ends[i].end, NULL);
        assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(pair[1])), 0);
        /* It waits for standard output before it writes to standard error. */
        assert_int_equal(halo_run(box, LIMIT, &(int){0}), HALO_ETIMEDOUT);
        close_box();
        assert_true(now() - start < BOUND);
        close(pair[0]);
        close(pair[1]);
    }
}

/* STR-11 */
static void nothing_is_believed_of_what_was_gathered(void **state)
{
    static char out[1 << 20];

    open_guest(state, "lie", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, out, sizeof(out))), 0);
    assert_int_equal(halo_run(box, PATIENCE, &(int){0}), HALO_EFAULT);
    assert_string_equal(out, "out 1\n"); /* the rest was lied away */
}

/* --- What cannot be written ------------------------------------------------------------------- */

static void a_write_that_fails_ends_a_program_that_does_not_look(void **state)
{
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int pair[2];

    open_guest(state, "pour", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(full)), 0);
    assert_int_equal(halo_run(box, PATIENCE, &(int){0}), HALO_EIO);
    assert_string_equal(halo_errmsg(box),
                        "the guest could not write to standard output: No space left on device");
    close_box();
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    close(pair[0]);
    open_guest(state, "pour", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(pair[1])), 0);
    assert_int_equal(halo_run(box, PATIENCE, &(int){0}), HALO_EIO);
    assert_string_equal(halo_errmsg(box),
                        "the guest could not write to standard output: Broken pipe");
    close(pair[1]);
    close(full);
}

static void a_program_that_looks_is_told(void **state)
{
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int code = -1;

    open_guest(state, "look", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(full)), 0);
    assert_int_equal(halo_run(box, PATIENCE, &code), 0);
    assert_int_equal(code, ENOSPC);
    close(full);
}

static void success_means_that_all_was_written(void **state)
{
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    open_guest(state, "nothing", NULL); /* it fills no buffer: the error comes at its very end */
    assert_int_equal(halo_attach(box, HALO_STDERR, halo_end_memory(NULL, 0, (char[64]){0}, 64)), 0);
    assert_int_equal(halo_run(box, PATIENCE, &(int){0}), HALO_EIO);
    assert_string_equal(halo_errmsg(box), "the guest could not write to standard output: nothing "
                                          "is connected to it");
    close_box();
    open_guest(state, "nothing", NULL);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, (char[64]){0}, 64)), 0);
    assert_int_equal(halo_attach(box, HALO_STDERR, halo_end_fd(full)), 0);
    assert_int_equal(halo_run(box, PATIENCE, &(int){0}), HALO_EIO);
    assert_string_equal(halo_errmsg(box),
                        "the guest could not write to standard error: No space left on device");
    close(full);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(what_was_said_last_comes_in_order),
        RINGS(what_was_gathered_for_any_stream_goes_out),
        RINGS(the_hosts_program_reads_it_after_the_end),
        RINGS(an_end_that_is_slow_holds_nobody_up),
        RINGS(nothing_is_believed_of_what_was_gathered),
        RINGS(a_write_that_fails_ends_a_program_that_does_not_look),
        RINGS(a_program_that_looks_is_told),
        RINGS(success_means_that_all_was_written),
    };

    return run_every_way("last words", tests, sizeof(tests) / sizeof(tests[0]), NULL, close_guest);
}
