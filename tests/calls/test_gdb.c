/*
 * What holds a guest for a debugger, from a host's own program: each function that runs the guest
 * serves it, and ends as it would by itself. gdb's own view of it is tests/gdb's.
 */
#include "ways.h"
#include <halo/inside.h>
#include <pthread.h>
#include <sys/socket.h>

#define SECONDS 1000000000ll
#define ASK "$?#3f"
#define GO "$vCont;c#a8"
#define LEAVE "$D#44"

static struct halo_sandbox *box;
static int sockets[2];
static char said[4096];

static int begin(void **state)
{
    (void)state;
    box = NULL;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets);
}

static int end(void **state)
{
    (void)state;
    halo_close(box);
    close(sockets[0]);
    close(sockets[1]);
    return 0;
}

static void open_guest(void **state, const char *file, const char *argument)
{
    struct halo_options options = way_options(state);
    const char *const args[] = {"guest", argument};

    options.args = args;
    options.arg_count = argument ? 2 : 1;
    if (halo_open(&box, file, &options))
        fail_msg("%s", halo_errmsg(box));
}

static void say(const char *packets)
{
    assert_int_equal(write(sockets[1], packets, strlen(packets)), strlen(packets));
}

/* What was answered so far, all of it. */
static void hear(void)
{
    const ssize_t n = recv(sockets[1], said, sizeof(said) - 1, MSG_DONTWAIT);

    said[n > 0 ? n : 0] = '\0';
}

static void a_guest_is_held_until_it_is_let_go(void **state)
{
    int code = 0;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    say(ASK GO);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 7);
    hear();
    assert_string_equal(said, "+$T05thread:1;#d7+$W07#be");
}

static void *interrupt(void *unused)
{
    (void)unused;
    while (halo_interrupt(box))
        usleep(1000);
    return NULL;
}

static void an_interrupt_ends_what_serves_and_the_guest_stays_held(void **state)
{
    pthread_t thread;
    int code = 0;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread, NULL, interrupt, NULL), 0);
        assert_int_equal(halo_run(box, 30 * SECONDS, &code), HALO_EINTERRUPTED);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    say(LEAVE);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 7);
    hear();
    assert_string_equal(said, "+$OK#9a");
}

static void a_debugger_that_is_taken_away_holds_nothing(void **state)
{
    int code = 0;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    assert_int_equal(halo_gdb(box, -1), 0);
    assert_int_equal(halo_gdb(box, -1), 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 7);
    assert_int_equal(halo_gdb(box, sockets[0]), HALO_ESTATE);
    assert_non_null(strstr(halo_errmsg(box), "no guest that could go on"));
}

static void what_is_no_descriptor_is_an_error(void **state)
{
    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, 1000000), HALO_EHOST);
}

/* GDB-02 */
static void one_who_has_gone_before_it_began_holds_nothing(void **state)
{
    int code = 0;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    close(sockets[1]);
    sockets[1] = dup(sockets[0]);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 7);
}

static int inside;

static void attach_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    inside = halo_gdb(halo_call_sandbox(call), sockets[0]);
}

static void inside_of_a_function_it_is_too_early(void **state)
{
    static const struct halo_signature look = HALO_FN(HALO_VOID);
    static const struct halo_signature end_type = HALO_FN(HALO_VOID, HALO_STR);
    struct halo_future future;

    open_guest(state, TRACE, NULL);
    inside = 0;
    assert_int_equal(halo_provide(box, "look", &look, attach_inside, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), 0);
    assert_int_equal(
        halo_call(box, &future, halo_lookup(box, "end", &end_type), 30 * SECONDS, halo_str("ask")),
        0);
    halo_future_free(&future);
    assert_int_equal(inside, HALO_ESTATE);
}

/* One that serves is held where it waits, and what it is called for comes when it is let go. */
static void a_guest_that_serves_is_held_at_its_wait(void **state)
{
    static const struct halo_signature look = HALO_FN(HALO_VOID);
    static const struct halo_signature where = HALO_FN(HALO_U64, HALO_U64);
    struct halo_future future;

    open_guest(state, TRACE, NULL);
    assert_int_equal(halo_provide(box, "look", &look, attach_inside, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), 0);
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    say(ASK GO);
    assert_int_equal(
        halo_call(box, &future, halo_lookup(box, "where", &where), 30 * SECONDS, halo_u64(0)), 0);
    assert_true(future.result.u64 > 0);
    halo_future_free(&future);
    hear();
    assert_non_null(strstr(said, "$T05thread:1;"));
    say(LEAVE);
    assert_int_equal(
        halo_call(box, &future, halo_lookup(box, "where", &where), 30 * SECONDS, halo_u64(1)), 0);
    halo_future_free(&future);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(a_guest_is_held_until_it_is_let_go),
        TEST(an_interrupt_ends_what_serves_and_the_guest_stays_held),
        TEST(a_debugger_that_is_taken_away_holds_nothing),
        TEST(what_is_no_descriptor_is_an_error),
        TEST(one_who_has_gone_before_it_began_holds_nothing),
        TEST(inside_of_a_function_it_is_too_early),
        TEST(a_guest_that_serves_is_held_at_its_wait),
    };

    return run_every_way("gdb", tests, sizeof(tests) / sizeof(tests[0]), begin, end);
}
