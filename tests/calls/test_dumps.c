/*
 * Dumps: what they have and what not, who may ask for one while a guest runs, and bytes that are
 * none. On every backend.
 */
#define _GNU_SOURCE
#include "inspect_box.h"
#include <sys/un.h>

/* --- A live one ------------------------------------------------------------------------------- */

static int listener, answered;

static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, name);
    (void)unlink(name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* Who has asked is answered, once the guest waits, and then it is enough. Whoever watches may look
 * where that is, but for a guest that runs beside it. */
static void answer_one(struct halo_sandbox *of, void *context)
{
    struct halo_processor at;
    struct halo_frame frame;
    struct halo_stats stats;
    int error;

    (void)context;
    halo_stats(of, &stats);
    if (stats.waits == 0)
        return;
    error = halo_processor(of, &at);
    assert_true(error == 0 || error == HALO_ESTATE);
    assert_true(error || at.known != HALO_PROCESSOR_NOTHING);
    assert_int_equal(halo_backtrace(of, &frame, 1), error ? error : 1);
    answered += halo_inspect(of, listener, 0);
    if (answered > 0)
        (void)halo_interrupt(of);
}

static void a_guest_that_waits_is_asked_meanwhile(void **state)
{
    char command[256];
    FILE *from;
    int code;

    open_guest(state, CAT, NULL);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(pipes[0])), 0);
    listener = listen_at(path);
    answered = 0;
    assert_int_equal(halo_inspect(box, listener, 0), 0); /* nobody has asked */
    (void)snprintf(command, sizeof(command), "%s inspect -w %s 2>&1", HALO, path);
    from = popen(command, "re");
    assert_non_null(from);
    halo_watch(box, SECONDS / 100, answer_one, NULL);
    assert_int_equal(halo_run(box, 60 * SECONDS, &code), HALO_EINTERRUPTED);
    assert_int_equal(answered, 1);
    halo_watch(box, SECONDS, NULL, NULL);
    assert_non_null(fgets(said, sizeof(said), from));
    assert_int_equal(pclose(from), 0);
    expect_said("to read from standard input, a pipe, to which nobody writes");
    close(listener);
    close(pipes[1]); /* and it goes on as if nothing had been */
    pipes[1] = -1;
    assert_int_equal(halo_run(box, 30 * SECONDS, &code), 0);
    assert_int_equal(code, 0);
}

static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, name);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* DMP-04: a sandbox whose buffers are full, so that a dump with memory is more than a socket takes.
 */
static void who_does_not_take_the_answer_holds_nobody_up(void **state)
{
    const int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    int fd, code;

    open_guest(state, CAT, NULL);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(random)), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_fd(pipes[1])), 0);
    assert_int_equal(halo_serve_begin(box, SECONDS / 5), HALO_ETIMEDOUT);
    close(random);
    listener = listen_at(path);
    fd = connect_to(path);
    assert_int_equal(halo_inspect(box, listener, HALO_DUMP_MEMORY), 1);
    assert_non_null(strstr(halo_errmsg(box), "nobody reads it"));
    close(fd);
    close(connect_to(path)); /* it has left before */
    assert_int_equal(halo_inspect(box, listener, 0), 1);
    assert_int_equal(halo_inspect(box, listener, 0), 0);
    close(listener);
    assert_int_equal(halo_run(box, SECONDS / 5, &code), HALO_ETIMEDOUT);
}

/* It has as many connections waiting as there may be, and takes none. It has no guest: once. */
static void a_host_that_takes_no_connection_is_not_waited_for_for_ever(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int busy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int clients[2];

    (void)state;
    assert_int_equal(unlink(path), 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(busy, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(busy, 0), 0);
    for (int i = 0; i < 2; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(connect(clients[i], (const struct sockaddr *)&address, sizeof(address)),
                         -i); /* the second finds no place */
    }
    assert_int_equal(inspect(""), 2);
    expect_said("its host does not answer");
    close(clients[0]);
    close(clients[1]);
    close(busy);
}

/* Behind its deadline, and a guest that does not come back. */
static void dump_late(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)args;
    (void)context;
    (void)call;
    usleep(250000);
    dump(0);
    (void)halo_core(box, null); /* beside a guest on a thread of its own it is HALO_ESTATE */
    close(null);
}

static void a_dump_inside_of_a_call_takes_no_deadline_away(void **state)
{
    static const struct halo_signature look = HALO_FN(HALO_VOID);
    struct halo_future future;

    open_guest(state, TRACE, NULL);
    assert_int_equal(halo_provide(box, "look", &look, dump_late, NULL), 0);
    assert_int_equal(halo_serve_begin(box, 30 * SECONDS), 0);
    assert_int_equal(halo_call(box, &future, function("end", FN(HALO_VOID, HALO_STR)), SECONDS / 5,
                               halo_str("w")),
                     HALO_ETIMEDOUT);
    halo_future_free(&future);
}

/* --- What else there is in it ----------------------------------------------------------------- */

static void rings_calls_and_streams_are_shown(void **state)
{
    read_a_pipe(state);
    assert_int_equal(inspect("--guest " CAT), 0);
    expect_said("\nback trace\n  #0 0x");
    expect_said("0x0 standard input: a pipe; reads: ");
    expect_said("the host takes at slot ");
    expect_said("chain 0: read, request ");
    expect_said("stream 0x0, 0 bytes moved");
    expect_said("\n    u    0 host ");
    expect_said(" guest, never used ");
    expect_said("\nmemory\n  0x200000-");
    expect_said("\nlast exits, the oldest first\n");
    assert_int_equal(inspect("--all"), 0);
    expect_said("\n      1000 ");
    assert_int_equal(inspect("--json"), 0);
    assert_true(said[0] == '{' && said[strlen(said) - 2] == '}');
    expect_said("\"why\":\"The guest was ended");
    expect_said("\"owner\":\"host\"");
}

static uint32_t count_said(const char *words)
{
    uint32_t count = 0;

    for (const char *at = said; (at = strstr(at, words)); at++)
        count++;
    return count;
}

static void rings_are_drawn(void **state)
{
    read_a_pipe(state);
    assert_int_equal(inspect("--svg"), 0);
    expect_said("<svg xmlns=\"http://www.w3.org/2000/svg\"");
    assert_string_equal(said + strlen(said) - 7, "</svg>\n");
    assert_in_range(count_said("<g class=\"slot\">"), 6, 512);
    assert_int_equal(count_said("<g "), count_said("</g>"));
    assert_int_equal(count_said("<text "), count_said("</text>"));
    assert_int_equal(count_said("class=\"used\""), 2); /* one of each queue */
    assert_int_equal(count_said("class=\"avail\""), 2);
    assert_true(count_said("fill=\"#f4a582\"") > 0); /* the host has some */
    expect_said(">chain 0: read, ");
    assert_int_equal(inspect("--svg --all"), 0);
    assert_int_equal(count_said("<g class=\"slot\">"), 512); /* and no more */
}

static void memory_is_there_where_it_was_asked_for(void **state)
{
    run_into(state, "null", HALO_EFAULT);
    assert_int_equal(inspect("--memory 0x400000,16"), 2);
    expect_said("it has no memory at 0x400000");
    dump(HALO_DUMP_MEMORY);
    assert_int_equal(inspect("--memory 0x400000,4"), 0);
    assert_string_equal(said, "0x400000  7f 45 4c 46\n");
    assert_int_equal(inspect("--memory 0x7000000000"), 2);
}

/* DMP-03 */
static void without_memory_no_byte_of_it_is_in_a_dump(void **state)
{
    static const char secret[] = "a line that nobody else is to see, longer than what is shown";
    static unsigned char bytes[1u << 20];
    int code, fd;
    size_t len;

    open_guest(state, CAT, secret);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(write(pipes[1], secret, sizeof(secret)), sizeof(secret));
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(pipes[0])), 0);
    assert_int_equal(halo_run(box, SECONDS / 5, &code), HALO_ETIMEDOUT);
    for (int with = 0; with < 2; with++) {
        FILE *from;

        dump(with ? HALO_DUMP_MEMORY : 0);
        from = fopen(path, "re");
        assert_non_null(from);
        len = fread(bytes, 1, sizeof(bytes), from);
        fclose(from);
        assert_true((memmem(bytes, len, secret, 20) != NULL) == with);
    }
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(halo_dump(box, fd, 2), HALO_EINVAL);
    close(fd);
}

static void a_dump_that_cannot_be_written_is_an_error(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

    open_guest(state, CAT, NULL);
    assert_int_equal(halo_dump(box, full, 0), HALO_EIO);
    assert_non_null(strstr(halo_errmsg(box), "the dump cannot be written: No space left"));
    close(full);
    assert_int_equal(halo_dump(box, -1, 0), HALO_EIO);
}

/* --- Bytes that are none ---------------------------------------------------------------------- */

static void change(off_t at, unsigned char byte)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* DMP-01, DMP-02; tests/fuzz/dump has the rest */
static void what_is_no_dump_is_refused_in_words(void **state)
{
    run_into(state, "null", HALO_EFAULT);
    change(8, 9);
    assert_int_equal(inspect(""), 2);
    expect_said("the dump is of version 9 of the format");
    change(8, 1);
    change(20, 0x7f);
    assert_int_equal(inspect(""), 2);
    expect_said("the dump says more of itself than there can be");
    change(20, 0);
    assert_int_equal(inspect("-w"), 0);
    change(32, 0xff); /* a text that is longer than it may be */
    assert_int_equal(inspect(""), 2);
    expect_said("the dump is malformed");
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(inspect(""), 2);
    expect_said("cut short");
    change(0, 'X');
    assert_int_equal(inspect(""), 2);
    expect_said("it is neither a dump nor a snapshot");
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_guest_that_waits_is_asked_meanwhile),
        WAY_TEST(who_does_not_take_the_answer_holds_nobody_up,
                 WAY_PLAIN | WAY_STACKS | WAY_THREADED), /* for two seconds */
        WAY_TEST(a_host_that_takes_no_connection_is_not_waited_for_for_ever,
                 WAY_PLAIN | WAY_STACKS | WAY_THREADED | HALO_BACKEND_KVM),
        WAY_TEST(a_dump_inside_of_a_call_takes_no_deadline_away, WAY_PLAIN),
        IN_TURNS(rings_calls_and_streams_are_shown),
        IN_TURNS(rings_are_drawn),
        IN_TURNS(memory_is_there_where_it_was_asked_for),
        IN_TURNS(without_memory_no_byte_of_it_is_in_a_dump),
        IN_TURNS(a_dump_that_cannot_be_written_is_an_error),
        IN_TURNS(what_is_no_dump_is_refused_in_words),
    };

    return run_every_way("dumps", tests, sizeof(tests) / sizeof(tests[0]), begin, end);
}
