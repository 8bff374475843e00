/*
 * A program of Linux's whose call sites are rewritten while it runs (tests/libc/patches.c), and
 * snapshots of it from before and after.
 */
#include <halo/snapshot.h>
#include "ways.h"

#define PATIENCE 120000000000ll

static struct halo_sandbox *box, *other;
static struct halo_snapshot *snapshot;
static char said[256];

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

static void open_program(void **state)
{
    static const char *const args[] = {"patches", "lines"};
    struct halo_options options = way_options(state);
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/patches-glibc", PROGRAMS);
    options.args = args;
    options.arg_count = 2;
    options.ram_len = 64ull << 20;
    if (halo_open(&box, path, &options))
        fail_msg("%s", halo_errmsg(box));
}

/* One more, the last. */
static void give_line(struct halo_sandbox *to, const char *line)
{
    int code = -1;

    memset(said, 0, sizeof(said));
    assert_int_equal(halo_attach(to, HALO_STDOUT, halo_end_memory(NULL, 0, said, sizeof(said))), 0);
    assert_int_equal(halo_stream_write(to, HALO_STDIN, line, strlen(line), PATIENCE), strlen(line));
    assert_int_equal(halo_stream_end(to, HALO_STDIN), 0);
    if (halo_run(to, PATIENCE, &code))
        fail_msg("%s", halo_errmsg(to));
    assert_int_equal(code, 0);
}

/* PATCH-05: a rewritten call site is memory that has changed, and comes back as it was. */
static void rewritten_code_is_restored_too(void **state)
{
    struct halo_options options = way_options(state);

    open_program(state);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_host()), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, said, sizeof(said))),
                     0);
    assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EDEADLOCK);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(halo_restore(box, snapshot), 0);
        give_line(box, "one\n");
        assert_string_equal(said, "20 right, as it was, then a jump\n");
    }
    assert_int_equal(halo_restore(box, snapshot), 0);
    assert_int_equal(halo_attach(box, HALO_STDOUT, halo_end_memory(NULL, 0, said, sizeof(said))),
                     0);
    assert_int_equal(halo_stream_write(box, HALO_STDIN, "one\n", 4, PATIENCE), 4);
    assert_int_equal(halo_run(box, PATIENCE, NULL), HALO_EDEADLOCK);
    halo_snapshot_free(snapshot);
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(halo_restore(box, snapshot), 0);
        give_line(box, "two\n");
        assert_string_equal(said, "20 right, a jump, then a jump\n");
    }
    options.keep_code = true; /* of what is to come; what is there stays */
    if (halo_open_snapshot(&other, snapshot, &options))
        fail_msg("%s", halo_errmsg(other));
    give_line(other, "two\n");
    assert_string_equal(said, "20 right, a jump, then a jump\n");
}

int main(void)
{
    const struct way_test tests[] = {
        RINGS(rewritten_code_is_restored_too),
    };

    return run_every_way("rewritten", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
