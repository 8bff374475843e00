/* Reads that ask for nothing but to be told that there is something: group STR, from all ends. */
#include "stream_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct stream_box *box;
static struct stream_wire asked, wire;

static int setup(void **state)
{
    (void)state;
    box = stream_box_open();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stream_box_close(box);
    return 0;
}

static uint32_t offer(struct halo_end end)
{
    uint32_t handle;

    assert_int_equal(stream_box_offer(box, NULL, end, HALO_IN, &handle), 0);
    return handle;
}

static void ask(uint32_t handle)
{
    const struct halo_flow *flow = &box->streams.at[handle & 0xffff].in;
    const uint64_t bytes = flow->bytes;

    assert_null(stream_box_send(box, &asked, HALO_KIND_STREAM_READ, handle, HALO_SPARE_MAX, 0, 12));
    assert_int_equal(flow->bytes, bytes);
    stream_box_serve(box);
}

/* It was told, without bytes and without an end. */
static void assert_ready(void)
{
    assert_int_equal(stream_box_answer(&asked).kind, HALO_KIND_ANSWER);
    assert_int_equal(stream_box_answer(&asked).flags, 0);
    assert_int_equal(stream_box_answer(&asked).length, 0);
}

static void assert_read(uint32_t handle, uint32_t len)
{
    assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, handle, 0, 0, 64));
    for (int i = 0; i < 1000 && !stream_box_is_answered(&wire); i++) { /* a helper's turn */
        halo__poller_wait(&box->poller, i ? 100 : 0);
        stream_box_serve(box);
    }
    assert_int_equal(stream_box_answer(&wire).kind, HALO_KIND_ANSWER);
    assert_int_equal(stream_box_answer(&wire).length, len);
    assert_int_equal(stream_box_answer(&wire).flags, len == 0 ? HALO_MESSAGE_END : 0);
}

static void what_is_silent_says_nothing_until_it_speaks(int end, int other)
{
    const uint32_t handle = offer(halo_end_given(end));

    ask(handle);
    assert_false(stream_box_is_answered(&asked));
    assert_int_equal(box->poller.armed_count, 1);
    stream_box_serve(box);
    assert_false(stream_box_is_answered(&asked));
    assert_int_equal(write(other, "abc", 3), 3);
    stream_box_serve(box);
    assert_ready();
    assert_int_equal(box->poller.armed_count, 0);
    assert_read(handle, 3); /* all of it is there */
    ask(handle);
    assert_false(stream_box_is_answered(&asked));
    close(other);
    stream_box_serve(box);
    assert_ready();
    assert_read(handle, 0);
}

static void str_09_a_pipe_is_asked_and_keeps_its_bytes(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    what_is_silent_says_nothing_until_it_speaks(pair[0], pair[1]);
}

static void str_09_a_socket_is_asked_and_keeps_its_bytes(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    what_is_silent_says_nothing_until_it_speaks(pair[0], pair[1]);
}

static void str_09_files_and_memory_never_wait(void **state)
{
    FILE *file = tmpfile();
    const uint32_t memory = offer(halo_end_memory("some", 4, NULL, 0));
    uint32_t handle;

    (void)state;
    assert_non_null(file);
    assert_int_equal(write(fileno(file), "ten bytes.", 10), 10);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    handle = offer(halo_end_fd(fileno(file)));
    for (int i = 0; i < 2; i++) { /* at its end, too */
        ask(handle);
        assert_ready();
        assert_read(handle, i ? 0 : 10);
        ask(memory);
        assert_ready();
        assert_read(memory, i ? 0 : 4);
    }
    fclose(file);
}

/* What only a thread can ask for is asked there. */
static void until_asked(void)
{
    for (int i = 0; i < 1000 && !stream_box_is_answered(&asked); i++) {
        halo__poller_wait(&box->poller, i ? 100 : 0);
        stream_box_serve(box);
    }
    assert_ready();
}

static void str_09_what_needs_a_thread_is_asked_and_keeps_its_bytes(void **state)
{
    const int event = eventfd(0, EFD_CLOEXEC);
    const uint64_t more = 1;
    const uint32_t handle = offer(halo_end_fd(event));
    uint64_t count;

    (void)state;
    ask(handle);
    assert_false(stream_box_is_answered(&asked));
    assert_int_equal(write(event, &more, sizeof(more)), 8);
    until_asked();
    assert_int_equal(read(event, &count, sizeof(count)), 8); /* it was left there */
    /* A question that is cancelled while it is asked is in nobody's way. */
    ask(handle);
    assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_CANCEL, handle, HALO_IN, 0, 64));
    assert_int_equal(stream_box_errno(&asked), ECANCELED);
    assert_int_equal(write(event, &more, sizeof(more)), 8);
    assert_read(handle, 8);
    /* And what was read for a read that is gone is something. */
    assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, handle, 0, 0, 64));
    stream_box_serve(box);
    assert_null(stream_box_send(box, &asked, HALO_KIND_STREAM_CANCEL, handle, HALO_IN, 0, 64));
    assert_int_equal(write(event, &more, sizeof(more)), 8);
    ask(handle);
    until_asked();
    ask(handle);
    assert_ready();
    assert_read(handle, 8);
    close(event);
}

static int64_t never(void *context, void *to, size_t len)
{
    (void)to;
    (void)len;
    ++*(int *)context;
    return 0;
}

static void str_09_ends_that_cannot_say_are_an_error(void **state)
{
    static const struct halo_end_functions functions = {never, NULL, NULL};
    int calls = 0;

    (void)state;
    ask(offer(halo_end_functions(&functions, &calls, -1)));
    assert_int_equal(stream_box_errno(&asked), EOPNOTSUPP);
    assert_int_equal(calls, 0);
    ask(offer(halo_end_host()));
    assert_int_equal(stream_box_errno(&asked), EOPNOTSUPP);
}

/* A question is about what the reads before it leave. */
static void str_09_a_question_keeps_its_place(void **state)
{
    int pair[2];
    uint32_t handle;

    (void)state;
    assert_int_equal(pipe(pair), 0);
    handle = offer(halo_end_given(pair[0]));
    assert_null(stream_box_send(box, &wire, HALO_KIND_STREAM_READ, handle, 0, 0, 12));
    ask(handle);
    assert_int_equal(write(pair[1], "abcd", 4), 4);
    stream_box_serve(box);
    assert_int_equal(stream_box_answer(&wire).length, 4);
    assert_false(stream_box_is_answered(&asked));
    assert_int_equal(write(pair[1], "e", 1), 1);
    stream_box_serve(box);
    assert_ready();
    ask(handle);
    assert_ready();
    close(pair[1]);
}

/* Beside others of a file, which are moved together. */
static void str_09_questions_between_reads_of_a_file(void **state)
{
    static struct stream_wire wires[4];
    FILE *file = tmpfile();
    uint32_t handle;

    (void)state;
    assert_non_null(file);
    assert_int_equal(write(fileno(file), "12345678", 8), 8);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    handle = offer(halo_end_fd(fileno(file)));
    for (int i = 0; i < 4; i++)
        assert_null(stream_box_send(box, &wires[i], HALO_KIND_STREAM_READ, handle,
                                    i % 2 ? HALO_SPARE_MAX : 0, 0, 12));
    stream_box_serve(box);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(stream_box_answer(&wires[i]).kind, HALO_KIND_ANSWER);
        assert_int_equal(stream_box_answer(&wires[i]).length, i % 2 ? 0 : 4);
        assert_int_equal(stream_box_answer(&wires[i]).flags, 0);
    }
    assert_memory_equal(wires[2].room + 8, "5678", 4);
    fclose(file);
}

static void str_09_a_listener_is_asked_and_keeps_its_connection(void **state)
{
    struct sockaddr address = {.sa_family = AF_UNIX}; /* a name that the kernel makes */
    socklen_t len = sizeof(address);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_storage name;
    uint32_t handle;

    (void)state;
    assert_int_equal(bind(listener, &address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 1), 0);
    len = sizeof(name);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &len), 0);
    handle = offer(halo_end_given(listener));
    ask(handle);
    assert_false(stream_box_is_answered(&asked));
    assert_int_equal(connect(client, (struct sockaddr *)&name, len), 0);
    stream_box_serve(box);
    assert_ready();
    assert_read(handle, 4);
    close(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(str_09_a_pipe_is_asked_and_keeps_its_bytes),
        TEST(str_09_a_socket_is_asked_and_keeps_its_bytes),
        TEST(str_09_files_and_memory_never_wait),
        TEST(str_09_what_needs_a_thread_is_asked_and_keeps_its_bytes),
        TEST(str_09_ends_that_cannot_say_are_an_error),
        TEST(str_09_a_question_keeps_its_place),
        TEST(str_09_questions_between_reads_of_a_file),
        TEST(str_09_a_listener_is_asked_and_keeps_its_connection),
    };

    return cmocka_run_group_tests_name("stream_asks", tests, NULL, NULL);
}
