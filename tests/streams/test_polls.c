/*
 * A guest that polls before it reads, and what its poll must not believe (STR-09). The host fills
 * and empties the pipe that is its standard input. Guests are those of tests/libc/polls.c.
 */
#define _GNU_SOURCE
#include "box.h"

#include <errno.h>
#include <unistd.h>

static int pipes[2];
static size_t there; /* what a function has to give */

static void put(struct halo_call *call, const struct halo_value *args, void *context)
{
    static const char bytes[4096];

    (void)context;
    there += args[0].u32;
    assert_int_equal(write(pipes[1], bytes, args[0].u32), args[0].u32);
    halo_return(call, halo_void());
}

/* As whoever reads the same pipe does. */
static void take(struct halo_call *call, const struct halo_value *args, void *context)
{
    char bytes[4096];

    (void)context;
    assert_int_equal(read(pipes[0], bytes, args[0].u32), args[0].u32);
    halo_return(call, halo_void());
}

static void open_guest(void **state, const char *what, const char *count, struct halo_end in)
{
    static const struct halo_signature type = HALO_FN(HALO_VOID, HALO_U32);
    const char *const args[] = {"polls", what, count};

    open_box(state, args, 3);
    assert_int_equal(halo_provide(box, "put", &type, put, NULL), 0);
    assert_int_equal(halo_provide(box, "take", &type, take, NULL), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, in), 0);
    assert_int_equal(halo_attach(box, HALO_STDERR, halo_end_fd(STDERR_FILENO)), 0);
}

static int open_pipe(void **state)
{
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    return 0;
}

static int close_guest(void **state)
{
    (void)state;
    close_box();
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}

static void str_09_an_answer_of_before_a_read_is_dropped(void **state)
{
    open_guest(state, "before", "", halo_end_fd(pipes[0]));
    assert_ends();
}

static void str_09_an_answer_of_before_an_exit_is_dropped(void **state)
{
    open_guest(state, "exit", "", halo_end_fd(pipes[0]));
    assert_ends();
}

static uint64_t exits_of(void **state, const char *what)
{
    struct halo_stats stats;

    open_guest(state, what, "200", halo_end_fd(pipes[0]));
    assert_ends();
    halo_stats(box, &stats);
    close_box();
    return stats.exits;
}

/* A byte takes one exit with its poll, and two where the time was asked for in between. */
static void str_09_an_answer_of_before_a_look_at_the_clock_is_dropped(void **state)
{
    const uint64_t plain = exits_of(state, "plain"), clock = exits_of(state, "clock");

    assert_in_range(plain, 200, 210);
    assert_in_range(clock, plain + 190, plain + 210);
}

static int64_t read_text(void *context, void *to, size_t len)
{
    static const char text[] = "one two three, of a function's";
    size_t *at = context, left = sizeof(text) - 1 - *at;

    len = len < left ? len : left;
    len = len < 4 ? len : 4; /* little at a time */
    memcpy(to, text + *at, len);
    *at += len;
    return (int64_t)len;
}

/* Nobody can ask them: a byte is read ahead, once, and stays in its place. */
static void str_09_functions_are_polled_by_a_byte_read_ahead(void **state)
{
    static const struct halo_end_functions functions = {read_text, NULL, NULL};
    char out[64] = "";
    size_t at = 0;

    open_guest(state, "text", "", halo_end_functions(&functions, &at, -1));
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, out, sizeof(out))), 0);
    assert_ends();
    assert_string_equal(out, "one two three, of a function's");
}

static int64_t read_what_is_there(void *context, void *to, size_t len)
{
    (void)context;
    if (there == 0)
        return -EAGAIN;
    len = len < there ? len : there;
    memset(to, 'x', len);
    there -= len;
    return (int64_t)len;
}

static void str_09_functions_that_have_nothing_are_not_ready(void **state)
{
    static const struct halo_end_functions functions = {read_what_is_there, NULL, NULL};

    there = 0;
    open_guest(state, "before", "", halo_end_functions(&functions, NULL, pipes[0]));
    assert_ends();
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(str_09_an_answer_of_before_a_read_is_dropped),
        RINGS(str_09_an_answer_of_before_an_exit_is_dropped),
        IN_TURNS(str_09_an_answer_of_before_a_look_at_the_clock_is_dropped),
        RINGS(str_09_functions_are_polled_by_a_byte_read_ahead),
        RINGS(str_09_functions_that_have_nothing_are_not_ready),
    };

    return run_every_way("polls", tests, sizeof(tests) / sizeof(tests[0]), open_pipe, close_guest);
}
