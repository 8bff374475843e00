/*
 * A recorded run: one that is cut after each of its requests, kept there as a snapshot, and goes on
 * from it once and twice, in its own sandbox and in one of the other backend, says what the
 * uninterrupted one said. tests/guests/tenant.c, and Lua. Groups RST and SNP.
 */
#include <halo/snapshot.h>
#include "ways.h"

#define PATIENCE 120000000000ll
#define STEPS_MAX 32

struct run {
    struct halo_sandbox *box;
    bool has_streams;
    uint32_t in;     /* handle of a stream into the guest */
    char text[8192]; /* what its requests returned */
    char said[8192]; /* and what it wrote */
};

/* What is run: all functions end the test where something goes wrong. */
struct subject {
    void (*open)(void **state, struct run *run, enum halo_backend_choice backend);
    void (*connect)(struct run *run); /* after opening, and after each restore */
    void (*begin)(struct run *run);
    void (*step)(struct run *run, uint32_t step);
    uint32_t steps;
};

static struct run whole, cut, other;
static struct halo_snapshot *snapshot;

__attribute__((format(printf, 2, 3))) static void note(struct run *run, const char *format, ...)
{
    const size_t len = strlen(run->text);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(run->text + len, sizeof(run->text) - len, format, arguments);
    va_end(arguments);
}

static int end(void **state)
{
    struct run *const runs[] = {&whole, &cut, &other};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        halo_close(runs[i]->box);
        memset(runs[i], 0, sizeof(*runs[i]));
    }
    halo_snapshot_free(snapshot);
    snapshot = NULL;
    return 0;
}

static enum halo_backend_choice other_backend(void **state)
{
    if (access("/dev/kvm", F_OK) != 0)
        return HALO_BACKEND_PROCESS;
    return way_options(state).backend == HALO_BACKEND_KVM ? HALO_BACKEND_PROCESS : HALO_BACKEND_KVM;
}

/* --- A tenant that serves calls --------------------------------------------------------------- */

static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64));
}

static int function(struct halo_sandbox *of, const char *name)
{
    const int number = way_function(of, name);

    if (number == 0)
        fail_msg("%s is not exported", name);
    return number;
}

/* A call, and what it returned. */
static void call(struct run *run, const char *name, const struct halo_value *args, size_t count)
{
    struct halo_future future;

    (void)halo_call_start(run->box, &future, function(run->box, name), args, count);
    if (halo_wait(&future, PATIENCE))
        fail_msg("%s: %s", name, halo_errmsg(run->box));
    if (future.result.type == HALO_BYTES)
        note(run, "%s %.*s\n", name, (int)future.result.len, (const char *)future.result.bytes);
    else if (future.result.type == HALO_I32)
        note(run, "%s %d\n", name, future.result.i32);
    else
        note(run, "%s %lld\n", name, (long long)future.result.i64);
    halo_future_free(&future);
}

static void tenant_open(void **state, struct run *run, enum halo_backend_choice backend)
{
    const char *const args[] = {"tenant", "streams"};
    struct halo_options options = way_options(state);

    options.args = args;
    run->has_streams = !way_is_stacks(state);
    options.arg_count = run->has_streams ? 2 : 1;
    options.backend = backend;
    if (halo_open(&run->box, TENANT, &options))
        fail_msg("%s", halo_errmsg(run->box));
}

static void tenant_connect(struct run *run)
{
    (void)halo_provide(run->box, "host.twice", &twice_type, twice, NULL);
    if (!run->has_streams)
        return;
    assert_int_equal(halo_offer(run->box, "in", halo_end_host(), HALO_IN, &run->in), 0);
    assert_int_equal(halo_offer(run->box, "out",
                                halo_end_memory(NULL, 0, run->said, sizeof(run->said) - 1),
                                HALO_OUT, NULL),
                     0);
}

static void tenant_begin(struct run *run)
{
    if (halo_serve_begin(run->box, PATIENCE))
        fail_msg("%s", halo_errmsg(run->box));
}

/* What the guest is given and has not seen lies in its memory between two steps. */
static void tenant_step(struct run *run, uint32_t step)
{
    const struct halo_value number = halo_i64(step + 1), pages[] = {halo_u32(step), halo_u32(7)};
    const struct halo_value words = halo_str(step % 2 ? "some words, " : "others, ");
    char line[32];

    (void)snprintf(line, sizeof(line), "line %u", step);
    switch (step % 6) {
    case 0:
        call(run, "add", &number, 1);
        return;
    case 1:
        call(run, "ask", &number, 1);
        return;
    case 2:
        call(run, "dirty", pages, 2);
        return;
    case 3:
        if (run->has_streams)
            assert_int_equal(halo_stream_write(run->box, run->in, line, strlen(line), PATIENCE),
                             strlen(line));
        return;
    case 4:
        if (run->has_streams)
            call(run, "read", NULL, 0);
        return;
    default:
        if (run->has_streams)
            call(run, "write", &words, 1);
    }
}

/* --- Lua, which reads lines ------------------------------------------------------------------- */

static void lua_open(void **state, struct run *run, enum halo_backend_choice backend)
{
    static const char *const args[] = {"lua", "local all, file = {}\n"
                                              "for line in io.lines() do\n"
                                              "  all[#all + 1] = line:reverse()\n"
                                              "  if line == 'open' then\n"
                                              "    file = io.open('/tmp/kept', 'w+')\n"
                                              "  elseif file then\n"
                                              "    file:write(line)\n"
                                              "  end\n"
                                              "  if line == 'show' then\n"
                                              "    file:seek('set')\n"
                                              "    print(file:read('a'))\n"
                                              "  end\n"
                                              "  print(#all, table.concat(all, ','))\n"
                                              "  io.flush()\n"
                                              "end\n"};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = 2;
    options.backend = backend;
    if (halo_open(&run->box, LUA, &options))
        fail_msg("%s", halo_errmsg(run->box));
}

static void lua_connect(struct run *run)
{
    assert_int_equal(halo_attach(run->box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_attach(run->box, HALO_STDOUT,
                                 halo_end_memory(NULL, 0, run->said, sizeof(run->said) - 1)),
                     0);
}

static void lua_begin(struct run *run)
{
    if (halo_run(run->box, PATIENCE, NULL) != HALO_EDEADLOCK) /* it waits for a line */
        fail_msg("%s", halo_errmsg(run->box));
}

/* Pieces of lines: after some of them a half is read, after the last one it has ended. */
static void lua_step(struct run *run, uint32_t step)
{
    static const char *const pieces[] = {"one\n", "half of", " a line\n", "open\nthree\nfo",
                                         "ur",    "\n",      "show\n",    "last"};
    int code = -1;

    if (step == sizeof(pieces) / sizeof(pieces[0])) {
        assert_int_equal(halo_stream_end(run->box, HALO_STDIN), 0);
        if (halo_run(run->box, PATIENCE, &code))
            fail_msg("%s", halo_errmsg(run->box));
        note(run, "it ended with %d\n", code);
        return;
    }
    assert_int_equal(
        halo_stream_write(run->box, HALO_STDIN, pieces[step], strlen(pieces[step]), PATIENCE),
        strlen(pieces[step]));
    if (step % 3 != 1) /* else nobody has looked at it when the snapshot is taken */
        lua_begin(run);
}

/* --- Cut -------------------------------------------------------------------------------------- */

/* All from this step on, and what came of it beside what the uninterrupted run had behind that. */
static void go_on(const struct subject *subject, struct run *run, uint32_t step, size_t text_at,
                  size_t said_at)
{
    memset(run->text, 0, sizeof(run->text));
    memset(run->said, 0, sizeof(run->said));
    if (halo_restore(run->box, snapshot))
        fail_msg("%s", halo_errmsg(run->box));
    subject->connect(run);
    for (; step < subject->steps; step++)
        subject->step(run, step);
    assert_string_equal(run->text, whole.text + text_at);
    assert_string_equal(run->said, whole.said + said_at);
}

/* In a sandbox of the other backend, which is open or is opened; false where this processor has not
 * there what the program was told of. */
static bool go_on_elsewhere(void **state, const struct subject *subject, uint32_t step,
                            size_t text_at, size_t said_at)
{
    struct halo_options options = way_options(state);
    int error = 0;

    options.backend = other_backend(state);
    if (!other.box)
        error = halo_open_snapshot(&other.box, snapshot, &options);
    if (error == HALO_EHOST && options.backend == HALO_BACKEND_KVM &&
        strstr(halo_errmsg(other.box), "may use what the processor has not"))
        return false;
    if (error)
        fail_msg("%s", halo_errmsg(other.box));
    other.has_streams = cut.has_streams;
    go_on(subject, &other, step, text_at, said_at);
    go_on(subject, &other, step, text_at, said_at);
    return true;
}

static void cut_everywhere(void **state, const struct subject *subject)
{
    const enum halo_backend_choice backend = way_options(state).backend;
    size_t text_at[STEPS_MAX] = {0}, said_at[STEPS_MAX] = {0};
    bool has_other = true;

    subject->open(state, &whole, backend);
    subject->connect(&whole);
    subject->begin(&whole);
    said_at[0] = strlen(whole.said);
    for (uint32_t i = 0; i < subject->steps; i++) {
        subject->step(&whole, i);
        text_at[i + 1] = strlen(whole.text);
        said_at[i + 1] = strlen(whole.said);
    }
    subject->open(state, &cut, backend);
    subject->connect(&cut);
    subject->begin(&cut);
    for (uint32_t i = 0; i < subject->steps; i++) {
        if (halo_snapshot(cut.box, &snapshot))
            fail_msg("before step %u: %s", i, halo_errmsg(cut.box));
        go_on(subject, &cut, i, text_at[i], said_at[i]);
        go_on(subject, &cut, i, text_at[i], said_at[i]);
        if (has_other)
            has_other = go_on_elsewhere(state, subject, i, text_at[i], said_at[i]);
        /* One step further, from where it was cut: what the next one is cut from was restored. */
        if (halo_restore(cut.box, snapshot))
            fail_msg("%s", halo_errmsg(cut.box));
        subject->connect(&cut);
        subject->step(&cut, i);
        halo_snapshot_free(snapshot);
        snapshot = NULL;
    }
}

/* SNP-02 */
static void calls_and_streams(void **state)
{
    static const struct subject tenant = {tenant_open, tenant_connect, tenant_begin, tenant_step,
                                          18};

    cut_everywhere(state, &tenant);
}

/* SNP-02: open files, half-read lines, and reads that wait. */
static void lua_and_its_input(void **state)
{
    static const struct subject lua = {lua_open, lua_connect, lua_begin, lua_step, 9};

    cut_everywhere(state, &lua);
    assert_non_null(strstr(whole.said, "three"));
    assert_string_equal(whole.text, "it ended with 0\n");
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(calls_and_streams),
        RINGS(lua_and_its_input),
    };

    return run_every_way("crash points", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
