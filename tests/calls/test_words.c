/*
 * The words for an error: after every function that fails they are halo_errmsg's, and name what it
 * is about. On every backend, over both transports.
 */
#include "functions.h"

static void assert_words(int got, int error, const char *words)
{
    if (got != error || strcmp(halo_errmsg(box), words) != 0)
        fail_msg("%s, '%s'; not %s, '%s'", halo_errname(got), halo_errmsg(box), halo_errname(error),
                 words);
}

static void assert_begins(int got, int error, const char *words)
{
    if (got != error || strncmp(halo_errmsg(box), words, strlen(words)) != 0)
        fail_msg("%s, '%s'; not %s, '%s…'", halo_errname(got), halo_errmsg(box),
                 halo_errname(error), words);
}

static int start(int which, const struct halo_value *args, size_t count)
{
    return halo_call_start(box, &future, which, args, count);
}

static void a_call_that_cannot_be_made_names_function_argument_and_types(void **state)
{
    const struct halo_value one = halo_i32(1), zero = {.type = HALO_STR, .len = 3, .str = "a\0b"};
    const struct halo_value long_bytes = halo_bytes("x", HALO_VALUE_MAX + 1);
    const int i64 = function("echo.i64", FN(HALO_I64, HALO_I64));
    const int str = function("echo.str", FN(HALO_STR, HALO_STR));
    const int bytes = function("echo.bytes", FN(HALO_BYTES, HALO_BYTES));

    (void)state;
    assert_words(start(1000, &one, 1), HALO_ENAME,
                 "there is no function 1000; halo_lookup returns numbers from 1 to 32");
    assert_words(start(halo_lookup(box, "echo.i64", &FN(HALO_VOID)), NULL, 0), HALO_ENAME,
                 "there is no function: echo.i64: the guest exports i64(i64), not void()");
    assert_words(start(i64, &one, 0), HALO_ECOUNT,
                 "echo.i64: it takes 1 arguments, i64(i64), and not 0");
    assert_words(start(i64, &one, 1), HALO_ETYPE,
                 "echo.i64: argument 1 is i32 and not i64: i64(i64)");
    assert_words(start(str, &zero, 1), HALO_EINVAL,
                 "echo.str: argument 1, str, is a NULL pointer, or a text with a zero byte inside");
    assert_words(start(bytes, &long_bytes, 1), HALO_ESIZE,
                 "echo.bytes: its arguments are longer than 16777216 bytes");
    assert_string_equal(future.text, halo_errmsg(box)); /* the future has them, too */
    assert_words(halo_wait(&future, HALO_FOREVER), HALO_ESIZE, future.text);
}

static void a_function_that_returns_nothing_or_something_else_is_told_so(void **state)
{
    (void)state;
    assert_int_equal(start(function("mute", FN(HALO_I32)), NULL, 0), 0);
    assert_words(halo_wait(&future, HALO_FOREVER), HALO_ETYPE,
                 "mute: it returned no result, and its signature says i32");
    assert_int_equal(start(function("confused", FN(HALO_I32)), NULL, 0), 0);
    assert_words(halo_wait(&future, HALO_FOREVER), HALO_ETYPE,
                 "confused: it returned str, and its signature says i32");
    assert_words(halo_call(box, &future, function("failing", FN(HALO_I32, HALO_I32, HALO_STR)),
                           HALO_FOREVER, halo_i32(7), halo_str("no \033[31mway")),
                 HALO_ECALL, "failing failed with code 7: no ?[31mway");
}

static void a_function_that_ends_its_guest_is_told_so(void **state)
{
    (void)state;
    assert_words(halo_call(box, &future, function("leave", FN(HALO_VOID, HALO_I32)), HALO_FOREVER,
                           halo_i32(7)),
                 HALO_ESTATE, "leave: the guest ended with exit code 7");
    assert_string_equal(future.text, "the guest ended with exit code 7");
    assert_words(start(1, NULL, 0), HALO_ESTATE, "a call: the guest ended with exit code 7");
    assert_words(halo_lookup(box, "x", &FN(HALO_VOID)), HALO_ESTATE,
                 "x: the guest ended with exit code 7");
    assert_int_equal(halo_run(box, HALO_FOREVER, NULL), 0); /* nobody asked for the code */
}

static void a_function_that_faults_names_function_and_fault(void **state)
{
    (void)state;
    assert_int_equal(start(function("crash", FN(HALO_VOID)), NULL, 0), 0);
    assert_begins(halo_wait(&future, HALO_FOREVER), HALO_EFAULT,
                  "crash: the guest faulted: invalid opcode at 0x4");
    assert_begins(start(1, NULL, 0), HALO_ESTATE, "a call: the guest faulted: invalid opcode at");
}

static void a_time_limit_names_what_has_not_come(void **state)
{
    int code;

    (void)state;
    assert_begins(halo_call(box, &future, function("spin", FN(HALO_I32, HALO_U64)), 50000000,
                            halo_u64(UINT64_MAX)),
                  HALO_ETIMEDOUT, "spin has not answered within the time limit: the guest runs");
    assert_words(halo_wait(&future, -1), HALO_EINVAL, "a timeout of -1 ns is negative");
    halo_future_free(&future);
    assert_begins(halo_run(box, 50000000, &code), HALO_ETIMEDOUT,
                  "the guest was stopped: it did not end within the time limit: the guest runs");
}

/*
 * Whether the last words say where in its code the guest is. On a loaded machine a guest in a
 * process may not come to say it in time; then they end before that, and somebody asks again.
 */
static bool tells_where(int got, const char *words)
{
    static const char at[] = ", at 0x";
    const size_t len = strlen(words);
    unsigned long rip;

    assert_begins(got, HALO_ETIMEDOUT, words);
    if (strncmp(halo_errmsg(box) + len, at, sizeof(at) - 1) != 0) {
        assert_string_equal(halo_errmsg(box) + len, "");
        return false;
    }
    rip = strtoul(halo_errmsg(box) + len + sizeof(at) - 1, NULL, 16);
    if (rip < 0x400000 || rip >= 0x500000)
        fail_msg("%s", halo_errmsg(box));
    return true;
}

/* A guest that loops, before it serves, is waited for in both ways; whether both told where it is.
 */
static bool a_loop_tells_where(const struct halo_options *options)
{
    int code;
    bool serving, ending;

    halo_close(box);
    assert_int_equal(halo_open(&box, trouble, options), 0);
    serving = tells_where(halo_serve_begin(box, 20000000),
                          "the guest has not come to serve calls within the time limit: the guest "
                          "runs");
    ending = tells_where(halo_run(box, 20000000, &code),
                         "the guest was stopped: it did not end within the time limit: the guest "
                         "runs");
    return serving && ending;
}

static void a_time_limit_tells_where_the_guest_is(void **state)
{
    const struct halo_value forever = halo_u64(UINT64_MAX);
    const char *const args[] = {"trouble", "loop"};
    struct halo_options options = way_options(state);
    int tries = 0;

    assert_int_equal(start(function("spin", FN(HALO_I32, HALO_U64)), &forever, 1), 0);
    while (!tells_where(halo_wait(&future, 20000000),
                        "spin has not answered within the time limit: the guest runs"))
        assert_true(++tries < 100);
    while (!tells_where(halo_poll(box, 20000000),
                        "no call was answered within the time limit: the guest runs"))
        assert_true(++tries < 100);
    options.args = args;
    options.arg_count = 2;
    while (!a_loop_tells_where(&options))
        assert_true(++tries < 100);
}

/* --- Whatever fails ------------------------------------------------------------------------- */

/* The words of another failure, which the next one has to replace. */
#define FAILS(error, words, call)                                              \
    do {                                                                       \
        assert_int_equal(halo_attach(box, 777, halo_end_host()), HALO_EINVAL); \
        assert_words((int)(call), error, words);                               \
    } while (0)

static const struct halo_signature nothing = HALO_FN(HALO_VOID),
                                   odd = HALO_FN(HALO_VOID, HALO_VOID);

static void open_without_running(void **state, struct halo_options options)
{
    const struct halo_options way = way_options(state);

    halo_close(box);
    options.backend = way.backend;
    options.transport = way.transport;
    options.ram_len = 64ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
}

static void note_nothing(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
}

static void what_cannot_be_provided_or_looked_up_is_told(void **state)
{
    open_without_running(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    halo_close(box);
    assert_words(halo_open(&box, NULL, NULL), HALO_EINVAL, "the path of the guest is NULL");
    open_without_running(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    FAILS(HALO_EINVAL, "the name of a function has 1 to 63 bytes, not 0",
          halo_provide(box, NULL, &nothing, note_nothing, NULL));
    FAILS(HALO_EINVAL, "x: the function is NULL", halo_provide(box, "x", &nothing, NULL, NULL));
    FAILS(HALO_EINVAL, "x: an invalid signature", halo_provide(box, "x", NULL, note_nothing, NULL));
    FAILS(HALO_EINVAL, "x: an invalid signature", halo_provide(box, "x", &odd, note_nothing, NULL));
    FAILS(HALO_ESTATE, "x: the guest has not begun: halo_serve_begin runs it until it serves",
          halo_lookup(box, "x", &nothing));
    FAILS(HALO_ESTATE, "a call: the guest has not begun: halo_serve_begin runs it until it serves",
          start(1, NULL, 0));
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    FAILS(HALO_EINVAL, "the name of a function is NULL", halo_lookup(box, NULL, &nothing));
    FAILS(HALO_EINVAL, "mute: an invalid signature", halo_lookup(box, "mute", NULL));
    FAILS(HALO_ENAME, "nope: the guest exports no such function",
          halo_lookup(box, "nope", &nothing));
    FAILS(HALO_ETYPE, "mute: the guest exports i32(), not void()",
          halo_lookup(box, "mute", &nothing));
    FAILS(HALO_EINVAL,
          "echo.i64: argument 1, i64, is a NULL pointer, or a text with a zero byte inside",
          start(function("echo.i64", FN(HALO_I64, HALO_I64)), NULL, 1));
}

/* RES-07: names are anybody's choice, a restored guest's, too; those in UTF-8 stay. */
static void words_are_fit_for_a_terminal_whatever_the_names_are(void **state)
{
    (void)state;
    assert_begins(
        halo_lookup(box, "a\033[2J\n\x7f\x9b|\xc2\x9b|\xc3\x9b\xe2\x9b\x94", &FN(HALO_VOID)),
        HALO_ENAME, "a?[2J???|\xc2?|\xc3\x9b\xe2\x9b\x94: the guest exports no such");
}

static void what_cannot_be_opened_is_told(void **state)
{
    const char *const no_text[] = {"name", NULL};
    const struct {
        struct halo_options options;
        const char *words;
    } wrong[] = {
        {{.backend = (enum halo_backend_choice)9}, "there is no backend 9"},
        {{.transport = (enum halo_transport)9}, "there is no transport 9"},
        {{.ram_len = 5 << 20},
         "guest memory must be 6 to 1024 MiB in whole pages, not 5242880 bytes"},
        {{.stack_len = 1}, "a guest's stack must be 64 to 524288 KiB in whole pages, not 1 bytes"},
        {{.ram_len = 6 << 20, .stack_len = 5 << 20},
         "a stack of 5120 KiB does not fit into guest memory of 6144 KiB, beside the program"},
        {{.arg_count = 1}, "argument 0 of the guest's is NULL"},
        {{.args = no_text, .arg_count = 2}, "argument 1 of the guest's is NULL"},
        {{.env = no_text, .env_count = 2}, "variable 1 of the guest's is NULL"},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct halo_options options = wrong[i].options;
        int code;

        if (!options.backend)
            options.backend = way_options(state).backend;
        halo_close(box);
        assert_words(halo_open(&box, functions, &options), HALO_EINVAL, wrong[i].words);
        assert_words(halo_run(box, 0, &code), HALO_ESTATE, "this sandbox was not opened");
        assert_words(halo_provide(box, "x", &nothing, note_nothing, NULL), HALO_ESTATE,
                     "x: this sandbox was not opened");
    }
}

/* An end that its host would die of when the guest uses it is none. */
static void what_is_no_end_of_a_stream_is_told(void **state)
{
    static const struct halo_end_functions none = {.closed = NULL};
    const struct halo_end ends[] = {
        halo_end_memory(NULL, 5, NULL, 0),   halo_end_memory(NULL, 0, NULL, 7),
        halo_end_functions(NULL, NULL, -1),  {.kind = HALO_END_NONE},
        halo_end_functions(&none, NULL, -1), halo_end_file(0, UINT64_MAX),
        halo_end_file(0, 1ull << 63)};
    const char *const words[] = {"the end of a stream is 5 bytes of memory at NULL",
                                 "the end of a stream is 7 bytes of memory at NULL",
                                 "the functions of a stream's end are NULL",
                                 "a stream has no end of kind 0",
                                 "the end of a stream has no function to read with",
                                 "file descriptor 0 has no offset above INT64_MAX",
                                 "file descriptor 0 has no offset above INT64_MAX"};

    open_without_running(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        FAILS(HALO_EINVAL, words[i], halo_attach(box, HALO_STDIN, ends[i]));
        FAILS(HALO_EINVAL, words[i], halo_offer(box, "it", ends[i], HALO_IN | HALO_OUT, NULL));
    }
    FAILS(HALO_EINVAL, "the name of a stream has 1 to 63 bytes, not 0",
          halo_offer(box, "", halo_end_host(), HALO_IN, NULL));
    FAILS(HALO_EINVAL, "a stream goes in, out, or both ways, not 0x8",
          halo_offer(box, "it", halo_end_host(), 8, NULL));
    FAILS(HALO_EINVAL, "file descriptor -1 cannot be the end of a stream: Bad file descriptor",
          halo_attach(box, HALO_STDIN, halo_end_fd(-1)));
}

static void what_is_no_stream_of_the_hosts_is_told(void **state)
{
    const struct halo_end of_memory = halo_end_memory("x", 1, NULL, 0);
    struct halo_stream_stats stream;
    const void *bytes;
    char byte;
    void *room;

    open_without_running(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_close(box, 5));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_stats(box, 5, &stream));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_peek(box, 5, &bytes, 0));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_read(box, 5, &byte, 1, 0));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_write(box, 5, "x", 1, 0));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_reserve(box, 5, &room, 0));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_commit(box, 5, 1));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_flush(box, 5));
    FAILS(HALO_ESTALE, "there is no stream 0x5", halo_stream_end(box, 5));
    assert_int_equal(halo_attach(box, HALO_STDIN, of_memory), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_host()), 0);
    FAILS(HALO_EINVAL, "stream 0x0: its end is not the host's program",
          halo_stream_write(box, HALO_STDIN, "x", 1, 0));
    FAILS(HALO_EINVAL, "stream 0x1: the guest may not read it",
          halo_stream_write(box, HALO_STDOUT, "x", 1, 0));
    FAILS(HALO_EINVAL, "a timeout of -1 ns is negative",
          halo_stream_read(box, HALO_STDOUT, &byte, 1, -1));
}

/* Whoever asks for what an ended guest can no more do is told how it ended, whatever failed since.
 */
static void what_an_ended_guest_cannot_do_has_the_words_of_its_end(void **state)
{
    const char *said = "the guest faulted: invalid opcode at 0x4";
    const void *bytes;
    char byte, ended[200];
    void *room;
    int code;

    open_without_running(state, (struct halo_options){.backend = HALO_BACKEND_AUTO});
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_host()), 0);
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_int_equal(start(function("crash", FN(HALO_VOID)), NULL, 0), 0);
    assert_begins(halo_poll(box, HALO_FOREVER), HALO_EFAULT, said);
    (void)snprintf(ended, sizeof(ended), "%s", halo_errmsg(box));
    FAILS(HALO_EFAULT, ended, halo_stream_read(box, HALO_STDOUT, &byte, 1, 0));
    FAILS(HALO_EFAULT, ended, halo_stream_peek(box, HALO_STDOUT, &bytes, 0));
    FAILS(HALO_EFAULT, ended, halo_stream_write(box, HALO_STDIN, "x", 1, 0));
    FAILS(HALO_EFAULT, ended, halo_stream_reserve(box, HALO_STDIN, &room, 0));
    FAILS(HALO_ESTATE, "this sandbox cannot be run a second time", halo_run(box, 0, &code));
    FAILS(HALO_ESTATE, "this sandbox cannot be run a second time", halo_serve_begin(box, 0));
}

/* --- A host's functions ----------------------------------------------------------------------- */

static int told[3];
static char words[3][200];

static void wrong(struct halo_call *call, const struct halo_value *args, void *context)
{
    const char *const *said = context;
    struct halo_sandbox *running = halo_call_sandbox(call);

    (void)args;
    told[0] = halo_fail(call, -3, "negative");
    (void)snprintf(words[0], sizeof(words[0]), "%s", halo_errmsg(running));
    told[1] = halo_return(call, halo_str(*said));
    (void)snprintf(words[1], sizeof(words[1]), "%s", halo_errmsg(running));
    told[2] = halo_return(call, halo_i64(1));
    (void)snprintf(words[2], sizeof(words[2]), "%s", halo_errmsg(running));
}

static void a_hosts_function_is_told_what_it_does_wrong(void **state)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);
    static const char *text_to_say = "text";
    struct halo_options options = way_options(state);

    halo_close(box);
    options.ram_len = 64ull << 20;
    assert_int_equal(halo_open(&box, functions, &options), 0);
    assert_int_equal(halo_provide(box, "host.twice", &type, wrong, &text_to_say), 0);
    assert_words(halo_provide(box, "host.twice", &type, wrong, NULL), HALO_EINVAL,
                 "host.twice: provided already");
    assert_int_equal(halo_serve_begin(box, HALO_FOREVER), 0);
    assert_words(halo_provide(box, "host.more", &type, wrong, NULL), HALO_ESTATE,
                 "host.more: functions are provided before the guest runs");
    /* The guest fails with what its host said. */
    assert_words(halo_call(box, &future, function("twice_plus", FN(HALO_I64, HALO_I64)),
                           HALO_FOREVER, halo_i64(1)),
                 HALO_ECALL,
                 "twice_plus failed with code 19: host.twice returned str, and its signature says "
                 "i64");
    assert_int_equal(told[0], HALO_EINVAL);
    assert_string_equal(words[0], "host.twice: a function's own code is above 0, not -3");
    assert_int_equal(told[1], HALO_ETYPE);
    assert_string_equal(words[1], "host.twice returned str, and its signature says i64");
    assert_int_equal(told[2], HALO_ESTATE);
    assert_string_equal(words[2], "host.twice: the call was answered before");
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(a_call_that_cannot_be_made_names_function_argument_and_types),
        TEST(a_function_that_returns_nothing_or_something_else_is_told_so),
        TEST(a_function_that_ends_its_guest_is_told_so),
        TEST(a_function_that_faults_names_function_and_fault),
        TEST(a_time_limit_names_what_has_not_come),
        TEST(a_time_limit_tells_where_the_guest_is),
        TEST(a_hosts_function_is_told_what_it_does_wrong),
        TEST(what_cannot_be_provided_or_looked_up_is_told),
        TEST(words_are_fit_for_a_terminal_whatever_the_names_are),
        TEST(what_cannot_be_opened_is_told),
        RINGS(what_is_no_end_of_a_stream_is_told),
        RINGS(what_is_no_stream_of_the_hosts_is_told),
        RINGS(what_an_ended_guest_cannot_do_has_the_words_of_its_end),
    };

    take_files(argc, argv);
    return run_every_way("words", tests, sizeof(tests) / sizeof(tests[0]), open_functions,
                         close_box);
}
