/*
 * Snapshots of programs with a C library, which wait for their input: what their system calls keep,
 * and what they made read-only, is so wherever they go on. tests/libc/kept.c. Groups SNP and VM.
 * And what a program of Linux's finds that is told nothing.
 */
#include <halo/snapshot.h>
#include "ways.h"

#define PATIENCE 120000000000ll

static struct halo_sandbox *box, *other;
static struct halo_snapshot *snapshot;

static void take(void)
{
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
}

static void restore(struct halo_sandbox *to)
{
    if (halo_restore(to, snapshot))
        fail_msg("%s", halo_errmsg(to));
}

static int end(void **state)
{
    (void)state;
    halo_close(box);
    halo_close(other);
    halo_snapshot_free(snapshot);
    box = other = NULL;
    snapshot = NULL;
    return 0;
}

/* The backend that a way is not of. Where there is no KVM, its own. */
static enum halo_backend_choice other_backend(void **state)
{
    if (access("/dev/kvm", F_OK) != 0)
        return HALO_BACKEND_PROCESS;
    return way_options(state).backend == HALO_BACKEND_KVM ? HALO_BACKEND_PROCESS : HALO_BACKEND_KVM;
}

/* A program with a C library, that waits for a line. */
static void open_program(struct halo_sandbox **result, void **state, const char *name)
{
    static const char *const env[] = {"RANDOM=1"};
    struct halo_options options = way_options(state);
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s.halo", PROGRAMS, name);
    options.env = env;
    options.env_count = 1;
    if (halo_open(result, path, &options))
        fail_msg("%s", halo_errmsg(*result));
}

static char said[2][256];

static void give_line(struct halo_sandbox *to, char *room, const char *line)
{
    int code = -1;

    memset(room, 0, sizeof(said[0]));
    assert_int_equal(halo_attach(to, HALO_STDOUT, halo_end_memory(NULL, 0, room, sizeof(said[0]))),
                     0);
    assert_int_equal(halo_stream_write(to, HALO_STDIN, line, strlen(line), PATIENCE), strlen(line));
    assert_int_equal(halo_stream_end(to, HALO_STDIN), 0);
    if (halo_run(to, PATIENCE, &code))
        fail_msg("%s", halo_errmsg(to));
    assert_int_equal(code, 0);
}

/* All that a system call keeps is there in the next sandbox, but for the random numbers. */
static void a_program_goes_on_in_its_system_call(void **state)
{
    static const char *const names[] = {"kept-musl", "kept-glibc"};

    for (size_t i = 0; i < 2; i++) {
        struct halo_options options = way_options(state);
        int error;

        open_program(&box, state, names[i]);
        assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
        assert_int_equal(
            halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, said[0], sizeof(said[0]))), 0);
        assert_int_equal(halo_stream_write(box, HALO_STDIN, "one\n", 4, PATIENCE), 4);
        assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EDEADLOCK);
        assert_non_null(strstr(said[0], "1 kept"));
        take();
        restore(box);
        give_line(box, said[0], "two\n");
        assert_non_null(strstr(said[0], "2 kept"));
        restore(box);
        give_line(box, said[1], "two\n");
        assert_non_null(strstr(said[1], "2 kept"));
        assert_string_not_equal(said[0], said[1]);
        options.backend = other_backend(state);
        error = halo_open_snapshot(&other, snapshot, &options);
        if (error) { /* KVM may tell its guests less than a process is told */
            assert_int_equal(error, HALO_EHOST);
            assert_int_equal(options.backend, HALO_BACKEND_KVM);
            assert_non_null(strstr(halo_errmsg(other), "may use what the processor has not"));
        } else {
            give_line(other, said[0], "two\n");
            assert_non_null(strstr(said[0], "2 kept"));
            assert_string_not_equal(said[0], said[1]);
        }
        (void)end(state);
    }
}

static void write_to_relro(struct halo_sandbox *to)
{
    assert_int_equal(halo_stream_write(to, HALO_STDIN, "relro\n", 6, PATIENCE), 6);
    assert_int_equal(halo_run(to, PATIENCE, NULL), HALO_EFAULT);
    assert_int_equal(halo_fault(to)->vector, 14);
    assert_int_equal(halo_fault(to)->error & 6, 6); /* a write of the guest's */
}

/* VM-10: what a program made read-only is so in each machine that it goes on in. */
static void what_is_read_only_stays_so(void **state)
{
    static const char *const names[] = {"kept-musl", "kept-glibc"};

    for (size_t i = 0; i < 2; i++) {
        struct halo_options options = way_options(state);

        open_program(&box, state, names[i]);
        assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
        assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EDEADLOCK);
        take();
        write_to_relro(box);
        restore(box);
        write_to_relro(box);
        if (halo_open_snapshot(&other, snapshot, &options))
            fail_msg("%s", halo_errmsg(other));
        write_to_relro(other);
        halo_close(other);
        open_program(&other, state, names[1 - i]); /* another one, which has not begun */
        restore(other);
        write_to_relro(other);
        (void)end(state);
    }
}

/* --- Programs that wait for a time -------------------------------------------------------------
 */

static char shown[4096], unseen[4096];

/* What it shows from now on goes to `shown`; its input is the test's. */
static void watch(struct halo_sandbox *of)
{
    memset(shown, 0, sizeof(shown));
    assert_int_equal(halo_attach(of, HALO_STDOUT, halo_end_memory(NULL, 0, shown, sizeof(shown))),
                     0);
}

/* To where it reads, and to its end. */
static void run_out(struct halo_sandbox *of)
{
    const int error = halo_run(of, PATIENCE, NULL);
    int code = -1;

    if (error != HALO_EDEADLOCK)
        fail_msg("%d: %s: %s", error, halo_errmsg(of), shown);
    assert_int_equal(halo_stream_write(of, HALO_STDIN, "line\n", 5, PATIENCE), 5);
    assert_int_equal(halo_stream_end(of, HALO_STDIN), 0);
    if (halo_run(of, PATIENCE, &code))
        fail_msg("%s", halo_errmsg(of));
    if (code)
        fail_msg("%d: %s", code, shown);
    assert_non_null(strstr(shown, "read line\n0 wrong\n"));
}

/* A wait that is for input alone is no wait for a time: the program has come to its last line. */
static void go_on_from_every_wait(void **state, const char *name)
{
    struct halo_options options = way_options(state);
    int awaits, waits = 0, error;

    options.backend = other_backend(state);
    open_program(&box, state, name);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(
        halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, unseen, sizeof(unseen))), 0);
    while ((awaits = halo_run_to_wait(box, PATIENCE)) & HALO_AWAITS_TIME) {
        waits++;
        take();
        error = halo_open_snapshot(&other, snapshot, &options);
        if (error == HALO_EHOST && options.backend == HALO_BACKEND_KVM) { /* it was told of more */
            halo_close(other);
            options.backend = HALO_BACKEND_PROCESS;
            error = halo_open_snapshot(&other, snapshot, &options);
        }
        if (error)
            fail_msg("%s", halo_errmsg(other));
        watch(other);
        run_out(other);
        restore(other); /* and once more, where it was before */
        watch(other);
        run_out(other);
        halo_close(other);
        halo_snapshot_free(snapshot);
        other = NULL;
        snapshot = NULL;
    }
    if (awaits < 0)
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(awaits, HALO_AWAITS_STREAM);
    assert_int_equal(halo_run_to_wait(box, PATIENCE), HALO_AWAITS_STREAM); /* at once */
    assert_true(waits > 0); /* of a dozen, as many as are not over at once */
    watch(box);
    run_out(box);
    (void)end(state);
}

static void a_program_goes_on_from_every_wait_for_a_time(void **state)
{
    go_on_from_every_wait(state, "sleeps-musl");
    go_on_from_every_wait(state, "sleeps-glibc");
}

/* As on Linux: few look at argc before they look at their name. tests/libc/ends.c. */
static void a_program_that_is_told_no_arguments_has_an_empty_name(void **state)
{
    const struct halo_options options = way_options(state);
    static const char *const names[] = {"ends-musl", "ends-glibc"};
    char path[512];
    int code;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", PROGRAMS, names[i]);
        if (halo_open(&box, path, &options) || halo_run(box, PATIENCE, &code))
            fail_msg("%s: %s", names[i], halo_errmsg(box));
        assert_int_equal(code, 2);
        (void)end(state);
    }
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_program_goes_on_in_its_system_call),
        RINGS(what_is_read_only_stays_so),
        RINGS(a_program_goes_on_from_every_wait_for_a_time),
        RINGS(a_program_that_is_told_no_arguments_has_an_empty_name),
    };

    return run_every_way("programs", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
