/*
 * A program that is to be stopped, and is told so: SIGTERM comes to it as to any program, wherever
 * it is, and it ends by itself, or is stopped when its grace is over. tests/libc/ends.c. Group SIG.
 */
#include <halo/snapshot.h>
#include "ways.h"

#include <pthread.h>
#include <time.h>

#define PATIENCE 120000000000ll
#define LONG_MS 120000u
#define SHORT_MS 300u

static struct halo_sandbox *box;
static char shown[65536];
static size_t shown_len;
static int silent[2];         /* a pipe into which nobody writes */
static uint32_t terminations; /* how often it is told to end when it is ready, and then */

/* What it writes. That it is ready it says where it waits, or while it computes. */
static int64_t take(void *context, const void *from, size_t len)
{
    const size_t room = sizeof(shown) - 1 - shown_len;

    (void)context;
    memcpy(shown + shown_len, from, len < room ? len : room);
    shown_len += len < room ? len : room;
    shown[shown_len] = '\0';
    if (strstr(shown, "ready\n") && terminations > 0) {
        terminations--;
        assert_int_equal(halo_terminate(box), 0);
    }
    return (int64_t)len;
}

static void open_program(void **state, const char *name, const char *mode, uint32_t grace_ms)
{
    static const struct halo_end_functions output = {.write = take};
    const char *const args[] = {"ends", mode};
    struct halo_options options = way_options(state);
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", PROGRAMS, name);
    options.args = args;
    options.arg_count = 2;
    options.grace_ms = grace_ms;
    shown_len = 0;
    shown[0] = '\0';
    terminations = 0;
    if (halo_open(&box, path, &options) || halo_attach(box, HALO_STDIN, halo_end_fd(silent[0])) ||
        halo_attach(box, HALO_STDOUT, halo_end_functions(&output, NULL, -1)) ||
        halo_attach(box, HALO_STDERR, halo_end_functions(&output, NULL, -1)))
        fail_msg("%s", halo_errmsg(box));
}

static int end(void **state)
{
    (void)state;
    halo_close(box);
    box = NULL;
    return 0;
}

/* As soon as it runs. */
static void *terminate(void *nothing)
{
    while (halo_terminate(box) == HALO_ESTATE)
        usleep(1000);
    return nothing;
}

/* It ends by itself, with a code of its own, after what it has still to say. */
static void ends_itself(void **state, const char *name, const char *mode, bool waits)
{
    int code = -1, error = 0;
    pthread_t thread;

    open_program(state, name, mode, LONG_MS);
    terminations = !waits;
    while (waits && error >= 0 && !strstr(shown, "ready"))
        error = halo_run_to_wait(box, PATIENCE);
    if (waits)
        assert_int_equal(pthread_create(&thread, NULL, terminate, NULL), 0);
    error = error < 0 ? error : halo_run(box, PATIENCE, &code);
    if (waits)
        pthread_join(thread, NULL);
    if (error)
        fail_msg("%s %s: %s: %s", name, mode, halo_errmsg(box), shown);
    assert_int_equal(code, 7);
    assert_non_null(strstr(shown, "bye\n"));
    (void)end(state);
}

/* Any program that nobody built for Halo. */
static const char *const waiting[] = {"read", "poll", "nap", "pause", "sigwait", "threads"};
static const char *const computing[] = {"spin", "busy"};

static void a_program_that_waits_ends_by_sigterm(void **state)
{
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
        ends_itself(state, "ends-musl", waiting[i], true);
        ends_itself(state, "ends-glibc", waiting[i], true);
        ends_itself(state, "ends-musl.halo", waiting[i], true);
    }
}

static void a_program_that_computes_ends_by_sigterm(void **state)
{
    for (size_t i = 0; i < sizeof(computing) / sizeof(computing[0]); i++) {
        ends_itself(state, "ends-musl", computing[i], false);
        ends_itself(state, "ends-glibc", computing[i], false);
    }
}

/* Wherever it is by then; it is ready soon enough, or handles nothing yet, which is tried again. */
static void at_its_time_limit_it_ends_by_sigterm(void **state)
{
    int64_t limit = 500000000;
    int code = -1;

    for (;; limit *= 2) {
        open_program(state, "ends-musl", "spin", LONG_MS);
        if (halo_run(box, limit, &code) == 0)
            break;
        assert_null(strstr(shown, "ready"));
        (void)end(state);
    }
    assert_int_equal(code, 7);
    assert_non_null(strstr(shown, "bye\n"));
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* SIG-01: no longer than its grace, whatever it does. */
static void nothing_outlasts_its_grace(void **state)
{
    static const char *const modes[] = {"ignore", "endless", "again", "pours"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        int64_t from;

        open_program(state, "ends-musl", modes[i], SHORT_MS);
        terminations = 1;
        from = now();
        assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EINTERRUPTED);
        assert_true(now() - from >= SHORT_MS * 1000000ll);
        assert_true(now() - from < PATIENCE / 2);
        assert_non_null(strstr(halo_errmsg(box), "has not ended before halo_interrupt"));
        assert_int_equal(halo_run(box, 1000000, NULL), HALO_ETIMEDOUT);
        (void)end(state);
    }
}

/* What SIGTERM is nothing to is stopped at once, and so is what has no grace. */
static void without_a_handler_there_is_no_grace(void **state)
{
    open_program(state, "ends-musl", "usual", LONG_MS);
    terminations = 1;
    assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EINTERRUPTED);
    (void)end(state);
    open_program(state, "ends-musl", "nap", 0);
    terminations = 1;
    assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EINTERRUPTED);
    assert_null(strstr(shown, "bye"));
    assert_int_equal(halo_terminate(box), HALO_ESTATE);
}

/* halo_interrupt has the run end, and not the program. */
static void an_interrupt_raises_nothing(void **state)
{
    open_program(state, "ends-musl", "nap", LONG_MS);
    assert_int_equal(halo_run_to_wait(box, PATIENCE), HALO_AWAITS_TIME);
    assert_int_equal(halo_interrupt(box), HALO_ESTATE);
    assert_int_equal(halo_run_to_wait(box, 1000000), HALO_ETIMEDOUT);
    assert_null(strstr(shown, "bye"));
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_program_that_waits_ends_by_sigterm), RINGS(a_program_that_computes_ends_by_sigterm),
        RINGS(at_its_time_limit_it_ends_by_sigterm), RINGS(nothing_outlasts_its_grace),
        RINGS(without_a_handler_there_is_no_grace),  RINGS(an_interrupt_raises_nothing),
    };

    if (pipe(silent))
        return 1;
    return run_every_way("grace", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
