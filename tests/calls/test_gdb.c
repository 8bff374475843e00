/*
 * What holds a guest for a debugger, from a host's own program: each function that runs the guest
 * serves it, and ends as it would by itself. gdb's own view of it is tests/gdb's.
 */
#include "ways.h"
#include <halo/executor.h>
#include <halo/inside.h>
#include <halo/snapshot.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

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

/* Of each answer to this there are 8 KiB, and a socket takes few of them. */
#define READS 64

static char all[READS * 8400u];

static void ask_for_more_than_is_taken(void)
{
    const char packet[] = "m400000,fc0";
    const int len = 4096;
    unsigned char sum = 0;
    char text[40];

    for (size_t i = 0; packet[i]; i++)
        sum = (unsigned char)(sum + (unsigned char)packet[i]);
    assert_int_equal(setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &len, sizeof(len)), 0);
    (void)snprintf(text, sizeof(text), "$%s#%02x", packet, sum);
    for (int i = 0; i < READS; i++)
        say(text);
}

/* How many packets there are in what is read until the other end is closed, or has no more. */
static int count_packets(int flags)
{
    size_t len = 0;
    ssize_t n;
    int count = 0;

    while ((n = recv(sockets[1], all + len, sizeof(all) - len, flags)) > 0) {
        for (size_t i = 0; i < (size_t)n; i++)
            count += all[len + i] == '$';
        len += (size_t)n;
    }
    return count;
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
    (void)signal;
    signals++;
}

static int packets;

/* gdb takes nothing until the host has had some signals. */
static void *take_late(void *unused)
{
    while (signals < 5)
        usleep(1000);
    packets = count_packets(0);
    return unused;
}

static void a_signal_of_the_hosts_loses_no_debugger(void **state)
{
    const struct sigaction count = {.sa_handler = count_signal};
    const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    sigset_t alarms;
    pthread_t thread;
    int code = 0;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    ask_for_more_than_is_taken();
    say(GO);
    signals = packets = 0;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    assert_int_equal(pthread_create(&thread, NULL, take_late, NULL), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    assert_int_equal(sigaction(SIGALRM, &count, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    signals = 5;
    shutdown(sockets[0], SHUT_RDWR);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(code, 7);
    assert_int_equal(packets, READS + 1);
}

/* GDB-05 */
static void an_interrupt_ends_what_a_debugger_does_not_take(void **state)
{
    pthread_t thread;
    int code = 0, count;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    ask_for_more_than_is_taken();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread, NULL, interrupt, NULL), 0);
        assert_int_equal(halo_run(box, 30 * SECONDS, &code), HALO_EINTERRUPTED);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    count = count_packets(MSG_DONTWAIT);
    say(GO);
    signals = 5;
    assert_int_equal(pthread_create(&thread, NULL, take_late, NULL), 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    shutdown(sockets[0], SHUT_RDWR);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(code, 7);
    assert_int_equal(count + packets, READS + 1); /* nothing was lost between */
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

/* --- A restore beneath it --------------------------------------------------------------------- */

static const struct halo_signature where_type = HALO_FN(HALO_U64, HALO_U64);
static const struct halo_signature end_type = HALO_FN(HALO_VOID, HALO_STR);

static uint64_t middle; /* the address of a function that each call of `end` calls */

static uint64_t ask_where(void)
{
    struct halo_future future;

    assert_int_equal(
        halo_call(box, &future, halo_lookup(box, "where", &where_type), 60 * SECONDS, halo_u64(1)),
        0);
    return future.result.u64;
}

static void open_tracee(void **state)
{
    static const struct halo_signature look = HALO_FN(HALO_VOID);

    open_guest(state, TRACE, NULL);
    assert_int_equal(halo_provide(box, "look", &look, attach_inside, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), 0);
    middle = ask_where();
}

static int call_through(void)
{
    struct halo_future future;
    const int error = halo_call(box, &future, halo_lookup(box, "end", &end_type), 60 * SECONDS,
                                halo_str("-")); /* a way that ends nothing */

    halo_future_free(&future);
    return error;
}

/* What gdb says, each when what is to come of the one before has come. */
struct line {
    const char *packet, *answer; /* with %x in a packet the address of `middle` */
};

static const char *unanswered;

/* Until this stands in what was heard: false where it does not come, or gdb is let go. */
static bool hear_of(const char *answer)
{
    const struct timeval patience = {.tv_sec = 30};
    size_t len = 0;

    (void)setsockopt(sockets[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    said[0] = '\0';
    while (len < sizeof(said) - 1 && !strstr(said, answer)) {
        const ssize_t n = recv(sockets[1], said + len, sizeof(said) - 1 - len, 0);

        if (n <= 0)
            return false;
        len += (size_t)n;
        said[len] = '\0';
    }
    return true;
}

static void *talk(void *lines)
{
    for (const struct line *line = lines; line->packet; line++) {
        char packet[80], text[100];
        unsigned char sum = 0;

        (void)snprintf(packet, sizeof(packet), line->packet, (unsigned)middle);
        for (size_t i = 0; packet[i]; i++)
            sum = (unsigned char)(sum + (unsigned char)packet[i]);
        (void)snprintf(text, sizeof(text), "$%s#%02x", packet, sum);
        if (packet[0] == '!')
            (void)interrupt(NULL);
        else
            (void)!write(sockets[1], text, strlen(text));
        if (line->answer && !hear_of(line->answer)) {
            unanswered = line->packet;
            shutdown(sockets[1], SHUT_RDWR);
            break;
        }
    }
    return NULL;
}

static pthread_t talker;

static void begin_talk(const struct line *lines)
{
    unanswered = NULL;
    assert_int_equal(pthread_create(&talker, NULL, talk, (void *)(uintptr_t)lines), 0);
}

static void end_talk(void)
{
    assert_int_equal(pthread_join(talker, NULL), 0);
    if (unanswered)
        fail_msg("%s: %s", unanswered, said);
}

/* GDB-06: whoever debugs a plug-in that is restored for each request stops in each. */
static void breakpoints_outlive_a_restore_of_their_program(void **state)
{
    static const struct line lines[] = {
        {"Z0,%x,1", "OK"}, {"vCont;c", "T05swbreak"}, {"z0,%x,1", "OK"}, {"vCont;s", "T05"},
        {"Z0,%x,1", "OK"}, {"vCont;c", "T05swbreak"}, {"z0,%x,1", "OK"}, {"vCont;s", "T05"},
        {"Z0,%x,1", "OK"}, {"vCont;c", "T05swbreak"}, {"D", "OK"},       {NULL, NULL}};
    struct halo_snapshot *first, *later;

    open_tracee(state);
    assert_int_equal(halo_snapshot(box, &first), 0);
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    begin_talk(lines);
    assert_int_equal(call_through(), 0);
    assert_int_equal(halo_snapshot(box, &later), 0); /* without the breakpoint */
    assert_int_equal(halo_restore(box, first), 0);
    assert_int_equal(call_through(), 0);
    assert_int_equal(halo_restore(box, later), 0);
    assert_int_equal(call_through(), 0);
    end_talk();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(halo_restore(box, i ? first : later), 0);
        assert_int_equal(call_through(), 0); /* nobody stops it, nor does it stop by itself */
    }
    halo_snapshot_free(first);
    halo_snapshot_free(later);
}

/* GDB-06: nothing of a guest that gdb held is put into the one that comes. */
static void one_that_is_held_is_restored_and_held(void **state)
{
    static const struct line before[] = {
        {"Z0,%x,1", "OK"}, {"vCont;c", "T05swbreak"}, {"!", NULL}, {NULL, NULL}};
    static const struct line after[] = {
        {"P10=1111111111111111", "E01"}, {"vCont;c", "T05swbreak"}, {"D", "OK"}, {NULL, NULL}};
    struct halo_snapshot *first;

    open_tracee(state);
    assert_int_equal(halo_snapshot(box, &first), 0);
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    begin_talk(before);
    assert_int_equal(call_through(), HALO_EINTERRUPTED);
    end_talk();
    assert_int_equal(halo_restore(box, first), 0);
    begin_talk(after);
    assert_int_equal(call_through(), 0);
    end_talk();
    assert_int_equal(call_through(), 0);
    halo_snapshot_free(first);
}

/* GDB-06: another program's memory has no trap of the last one's debugger, who is told. */
static void another_program_is_the_end_of_what_was_debugged(void **state)
{
    static const struct line lines[] = {{"Z0,%x,1", "OK"}, {"vCont;c", "X09"}, {NULL, NULL}};
    struct halo_snapshot *other;
    int code = 0;

    open_guest(state, TROUBLE, "exit-7");
    assert_int_equal(halo_snapshot(box, &other), 0);
    halo_close(box);
    open_tracee(state);
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    begin_talk(lines);
    assert_int_equal(ask_where(), middle); /* when it is let go on */
    close(sockets[0]);
    sockets[0] = dup(sockets[1]);
    assert_int_equal(halo_restore(box, other), 0);
    end_talk();
    assert_int_equal(recv(sockets[1], said, 1, 0), 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 7);
    halo_snapshot_free(other);
}

/* An executor's worker runs many: none of them may be held. */
static void an_executor_takes_no_guest_that_a_debugger_may_hold(void **state)
{
    struct halo_executor *executor;

    open_guest(state, TRACE, NULL);
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(halo_gdb(box, sockets[0]), 0);
    assert_int_equal(halo_executor_attach(executor, box), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(box), "detach the debugger"));
    assert_int_equal(halo_gdb(box, -1), 0);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    assert_int_equal(halo_gdb(box, sockets[0]), HALO_EBUSY);
    assert_int_equal(halo_executor_detach(box), 0);
    assert_int_equal(halo_executor_close(executor), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(a_guest_is_held_until_it_is_let_go),
        TEST(an_interrupt_ends_what_serves_and_the_guest_stays_held),
        TEST(a_signal_of_the_hosts_loses_no_debugger),
        TEST(an_interrupt_ends_what_a_debugger_does_not_take),
        TEST(a_debugger_that_is_taken_away_holds_nothing),
        TEST(what_is_no_descriptor_is_an_error),
        TEST(one_who_has_gone_before_it_began_holds_nothing),
        TEST(inside_of_a_function_it_is_too_early),
        TEST(a_guest_that_serves_is_held_at_its_wait),
        WAY_TEST(breakpoints_outlive_a_restore_of_their_program, WAY_THREADED),
        WAY_TEST(one_that_is_held_is_restored_and_held, WAY_THREADED),
        WAY_TEST(another_program_is_the_end_of_what_was_debugged, WAY_THREADED),
        IN_TURNS(an_executor_takes_no_guest_that_a_debugger_may_hold),
    };

    return run_every_way("gdb", tests, sizeof(tests) / sizeof(tests[0]), begin, end);
}
