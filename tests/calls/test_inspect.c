/*
 * Whatever has become of a guest, its ring or its host: a dump of it is written, and the sentence
 * that `halo inspect` says about that names the cause. The first ten ways were chosen before any
 * sentence was written. On every backend.
 */
#define _GNU_SOURCE
#include "inspect_box.h"
#include <halo/handle.h>
#include <pthread.h>

/* --- The ten ---------------------------------------------------------------------------------- */

static void a_read_from_a_pipe_that_nobody_writes_to(void **state)
{
    read_a_pipe(state);
    expect_why("to read from standard input, a pipe, to which nobody writes");
    expect_said("in main at ");
}

static void a_write_to_a_pipe_that_nobody_reads(void **state)
{
    const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    int code;

    open_guest(state, CAT, NULL);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(zero)), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(pipes[1])), 0);
    assert_int_equal(halo_run(box, SECONDS / 5, &code), HALO_ETIMEDOUT);
    close(zero);
    dump(0);
    expect_why("bytes to standard output, a pipe that is full, which nobody reads");
}

static void a_loop_that_does_not_end(void **state)
{
    run_into(state, "loop", HALO_ETIMEDOUT);
    expect_why("it computes in loop at ");
    expect_said("and waits for nobody");
}

static void a_null_pointer(void **state)
{
    run_into(state, "null", HALO_EFAULT);
    expect_why("it used a null pointer: it wrote to 0x0; it was in null at ");
}

static void a_stack_that_overflows(void **state)
{
    run_into(state, "overflow", HALO_EFAULT);
    expect_why("its stack overflowed");
    expect_said("in overflow at ");
}

static void a_descriptor_that_breaks_the_ring(void **state)
{
    run_into(state, "bad-id", HALO_EPOISONED);
    expect_why("it broke the ring to its host: in slot 0 of 2048 it put a descriptor whose id is "
               "not below the ring's size (BAD_ID; id 2048,");
}

static void a_buffer_outside_of_its_memory(void **state)
{
    run_into(state, "far-buffer", HALO_EPOISONED);
    expect_why("it named a buffer at 0xfffffffffffffff8 to its host (chain 0, RANGE), where it has "
               "no memory");
}

static void a_message_of_a_kind_that_there_is_not(void **state)
{
    run_into(state, "unknown-kind", HALO_EPOISONED);
    expect_why("what cannot be understood: a message of unknown kind (kind 99,");
}

static void a_wait_for_what_was_not_asked(void **state)
{
    run_into(state, "wait-for-nothing", HALO_EPOISONED);
    expect_why("it waits for what nobody will ever send: the guest waits for an answer but has "
               "asked for nothing");
}

/* While a function of the host's has not returned. */
static void dump_inside(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    (void)halo_call_sandbox(call);
    dump(0);
}

static void serve_trace(void **state)
{
    static const struct halo_signature look = HALO_FN(HALO_VOID);

    open_guest(state, TRACE, NULL);
    if (halo_provide(box, "look", &look, dump_inside, NULL) || halo_serve_begin(box, 30 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
}

static void a_function_of_the_hosts_that_does_not_return(void **state)
{
    struct halo_future future;

    serve_trace(state);
    assert_int_equal(halo_call(box, &future, function("end", FN(HALO_VOID, HALO_STR)), 30 * SECONDS,
                               halo_str("ask")),
                     0);
    halo_future_free(&future);
    expect_why("is in the middle of end(\"ask\"), which its host has called");
    expect_said("waits for look(), a function of its host's that it has called and that has not "
                "returned for ");
}

/* Whatever a call has: lists by their first elements, and handles. */
static void provide_and_serve(void **state, const char *file, const char *name,
                              const struct halo_signature *signature)
{
    open_guest(state, file, NULL);
    if (halo_provide(box, name, signature, dump_inside, NULL) ||
        halo_serve_begin(box, 30 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
}

static void call_into_dump(int callee, const struct halo_value *args, size_t count)
{
    struct halo_future future;

    (void)halo_call_start(box, &future, callee, args, count);
    (void)halo_wait(&future, 30 * SECONDS); /* the function has no result: an error of its call's */
    halo_future_free(&future);
}

static void a_list_is_shown_by_its_first_elements(void **state)
{
    static const struct halo_signature same =
        HALO_FN(HALO_LIST | HALO_F64 | HALO_MAYBE, HALO_LIST | HALO_F64 | HALO_MAYBE);
    static const double numbers[] = {1.5, -2, 3, 4, 5};
    const struct halo_value lists[] = {halo_f64s(numbers, 5), halo_f64s(numbers, 2),
                                       halo_f64s(NULL, 0), halo_null()};
    static const char *const shown[] = {"[1.5, -2, 3, 4, ...] (5 elements)", "[1.5, -2]", "[]",
                                        "null"};
    char words[128];

    provide_and_serve(state, LISTS, "back.f64", &same);
    for (size_t i = 0; i < 4; i++) {
        call_into_dump(function("pass.f64", same), &lists[i], 1);
        (void)snprintf(words, sizeof(words), "in the middle of pass.f64(%s), which", shown[i]);
        assert_int_equal(inspect("-w"), 0);
        expect_said(words);
        (void)snprintf(words, sizeof(words), "waits for back.f64(%s), a function", shown[i]);
        expect_said(words);
    }
}

static void a_handle_is_shown_as_one(void **state)
{
    static const struct halo_signature other =
        HALO_FN(HALO_HANDLE, HALO_HANDLE | HALO_MAYBE, HALO_STR);
    static const struct halo_handle_kind things = {"thing", NULL};
    static int thing;
    struct halo_value args[] = {halo_null(), halo_str("x")};
    struct halo_handle handle;
    char words[128];

    provide_and_serve(state, HANDLES, "host.other", &other);
    assert_int_equal(halo_handle_create(box, &things, &thing, &handle), 0);
    args[0] = halo_handle_value(handle);
    call_into_dump(function("other", other), args, 2);
    (void)snprintf(words, sizeof(words), "waits for host.other(handle 0x%llx, \"x\"), a function",
                   (unsigned long long)handle.number);
    assert_int_equal(inspect("-w"), 0);
    expect_said(words);
}

static void *interrupt_soon(void *unused)
{
    (void)unused;
    usleep(20000);
    (void)halo_interrupt(box);
    return NULL;
}

/* As often as somebody looks at it while it runs. */
static void a_guest_that_was_interrupted_often_computes(void **state)
{
    pthread_t thread;
    int code;

    open_guest(state, TROUBLE, "loop");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, NULL), 0);
        assert_int_equal(halo_run(box, 30 * SECONDS, &code), HALO_EINTERRUPTED);
        (void)pthread_join(thread, NULL);
    }
    dump(0);
    expect_why("The guest computes in loop at ");
}

/* --- More of them ----------------------------------------------------------------------------- */

static void a_call_of_the_hosts_that_does_not_end(void **state)
{
    struct halo_future future;

    serve_trace(state);
    assert_int_equal(halo_call(box, &future, function("end", FN(HALO_VOID, HALO_STR)), SECONDS / 5,
                               halo_str("loop")),
                     HALO_ETIMEDOUT);
    dump(0);
    halo_future_free(&future);
    expect_why("The guest is in the middle of end(\"loop\"), which its host has called for ");
    expect_said("computes in here at ");
}

static void a_guest_that_serves_is_called_by_nobody(void **state)
{
    serve_trace(state);
    dump(0);
    expect_why("waits to be called: it serves 3 functions, and its host has called none");
}

static void a_stream_that_the_hosts_own_program_is_to_write(void **state)
{
    open_guest(state, CAT, NULL);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), HALO_EDEADLOCK);
    dump(0);
    expect_why("to read from standard input, whose other end is the host's own program, which has "
               "written nothing");
}

static void a_socket_whose_other_side_is_silent(void **state)
{
    open_guest(state, CAT, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipes), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(pipes[0])), 0);
    assert_int_equal(halo_serve_begin(box, SECONDS / 5), HALO_ETIMEDOUT);
    dump(0);
    expect_why("The guest waits for ");
    expect_said("a socket, whose other side sends nothing");
}

static void a_guest_that_rings_without_end(void **state)
{
    int code;

    open_guest(state, TROUBLE, "kick-storm");
    assert_int_equal(halo_run(box, SECONDS / 4, &code), HALO_ETIMEDOUT);
    dump(0);
    expect_why("rings its host's doorbell again and again without asking for anything");
}

static void a_limit_of_processor_time(void **state)
{
    struct halo_options options = way_options(state);
    const char *const args[] = {"guest", "loop"};
    int code;

    options.args = args;
    options.arg_count = 2;
    options.cpu_ms = 50;
    guest = TROUBLE;
    assert_int_equal(halo_open(&box, TROUBLE, &options), 0);
    assert_int_equal(halo_run(box, 60 * SECONDS, &code), HALO_ELIMIT);
    dump(0);
    expect_why("it used up what it may: ");
    expect_said("it computes in loop at ");
}

static void a_guest_that_gave_up(void **state)
{
    run_into(state, "panic", HALO_EPANIC);
    expect_why("it gave up itself: the guest panicked: ");
}

static void a_guest_that_ended_by_itself(void **state)
{
    run_into(state, "exit-7", 0);
    expect_why("The guest has ended by itself, with exit code 7.");
}

static void a_guest_that_was_not_begun(void **state)
{
    open_guest(state, CAT, NULL);
    dump(0);
    expect_why("The guest was not begun");
}

static void a_snapshot_says_what_its_guest_waits_for(void **state)
{
    struct halo_snapshot *snapshot;

    open_guest(state, CAT, NULL);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), HALO_EDEADLOCK);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_int_equal(halo_snapshot_save(snapshot, path), 0);
    halo_snapshot_free(snapshot);
    expect_why("waits in main at ");
    expect_said("to read from standard input, which nobody has connected since the snapshot");
}

/* RES-07: a stream's name is anybody's choice, and a snapshot may come from anywhere. */
static void names_in_a_snapshot_are_fit_for_a_terminal(void **state)
{
    struct halo_snapshot *snapshot;

    open_guest(state, CAT, NULL);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_offer(box, "a\033[2Jb\x9b", halo_end_host(), HALO_IN, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), HALO_EDEADLOCK);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_int_equal(halo_snapshot_save(snapshot, path), 0);
    halo_snapshot_free(snapshot);
    assert_int_equal(inspect(""), 0);
    expect_said(" stream 'a?[2Jb?': ");
    assert_null(strchr(said, '\033'));
}

static void a_function_that_nobody_provides_any_more(void **state)
{
    const struct halo_options options = way_options(state);
    struct halo_snapshot *snapshot;

    serve_trace(state);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    halo_close(box);
    assert_int_equal(halo_open_snapshot(&box, snapshot, &options), 0);
    halo_snapshot_free(snapshot);
    dump(0);
    expect_why("The guest cannot go on, for it imports look, which nobody has provided since it "
               "was restored");
}

/* --- Ten that were chosen afterwards -----------------------------------------------------------
 */

static void a_function_that_is_called_by_a_null_pointer(void **state)
{
    int code;

    open_guest(state, ODD_CALLS, "null-call");
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), HALO_EFAULT);
    dump(0);
    expect_why("it called a function by a null pointer: it executed 0x0; it was in null_call at ");
}

static void an_id_that_is_used_twice(void **state)
{
    int code;

    open_guest(state, TROUBLE, "id-twice");
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(pipes[0])), 0);
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), HALO_EPOISONED);
    dump(0);
    expect_why("it put a descriptor whose id is still in flight (DUPLICATE_ID; id 0,");
}

static void an_answer_to_a_call_that_never_was(void **state)
{
    run_into(state, "answer-nobody", HALO_EPOISONED);
    expect_why("it sent its host what cannot be understood: an answer to no call (kind 2, answer; "
               "0 bytes of payload, request 77)");
}

static void a_loop_at_the_end_of_its_input(void **state)
{
    const int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int code;

    open_guest(state, TROUBLE, "read-at-end");
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(none)), 0);
    assert_int_equal(halo_run(box, SECONDS, &code), HALO_ETIMEDOUT);
    close(none);
    dump(0);
    expect_why("it asks its host again and again, ");
    expect_said(" times in all, and standard input is at its end");
}

static void a_system_call_again_and_again(void **state)
{
    int code;

    open_guest(state, ODD_CALLS, "for-ever");
    assert_int_equal(halo_run(box, SECONDS / 2, &code), HALO_ETIMEDOUT);
    dump(0);
    expect_why("system calls, with which its host had nothing to do");
}

static void a_call_that_is_over_is_not_forgotten(void **state)
{
    struct halo_future future;

    serve_trace(state);
    assert_int_equal(halo_call(box, &future, function("end", FN(HALO_VOID, HALO_STR)), 30 * SECONDS,
                               halo_str("ask")),
                     0);
    halo_future_free(&future);
    dump(0);
    expect_why("it serves 3 functions, and of 1 call of its host's none is under way");
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_read_from_a_pipe_that_nobody_writes_to),
        RINGS(a_write_to_a_pipe_that_nobody_reads),
        RINGS(a_loop_that_does_not_end),
        RINGS(a_null_pointer),
        RINGS(a_stack_that_overflows),
        RINGS(a_descriptor_that_breaks_the_ring),
        RINGS(a_buffer_outside_of_its_memory),
        RINGS(a_message_of_a_kind_that_there_is_not),
        RINGS(a_wait_for_what_was_not_asked),
        TEST(a_function_of_the_hosts_that_does_not_return),
        IN_TURNS(a_guest_that_was_interrupted_often_computes),
        TEST(a_list_is_shown_by_its_first_elements),
        TEST(a_handle_is_shown_as_one),
        RINGS(a_call_of_the_hosts_that_does_not_end),
        TEST(a_guest_that_serves_is_called_by_nobody),
        RINGS(a_stream_that_the_hosts_own_program_is_to_write),
        RINGS(a_socket_whose_other_side_is_silent),
        IN_TURNS(a_guest_that_rings_without_end),
        RINGS(a_limit_of_processor_time),
        TEST(a_guest_that_gave_up),
        TEST(a_guest_that_ended_by_itself),
        TEST(a_guest_that_was_not_begun),
        IN_TURNS(a_snapshot_says_what_its_guest_waits_for),
        IN_TURNS(names_in_a_snapshot_are_fit_for_a_terminal),
        IN_TURNS(a_function_that_nobody_provides_any_more),
        RINGS(a_function_that_is_called_by_a_null_pointer),
        RINGS(an_id_that_is_used_twice),
        RINGS(an_answer_to_a_call_that_never_was),
        RINGS(a_loop_at_the_end_of_its_input),
        RINGS(a_system_call_again_and_again),
        TEST(a_call_that_is_over_is_not_forgotten),
    };

    return run_every_way("inspect", tests, sizeof(tests) / sizeof(tests[0]), begin, end);
}
