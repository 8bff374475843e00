/*
 * Snapshots: a guest is kept where it waits, and goes on from there, in the same sandbox, in
 * others, on the other backend, after whatever its last tenant did. tests/guests/tenant.c. Groups
 * RST and SNP.
 */
#include <halo/snapshot.h>
#include "ways.h"

#include <dirent.h>

#define PATIENCE 120000000000ll

static struct halo_sandbox *box, *other;
static struct halo_snapshot *snapshot;
static struct halo_future future;
static int64_t factor;

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int64_t *by = context;

    (void)halo_return(call, halo_i64(args[0].i64 * *by));
}

static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

static void provide(struct halo_sandbox *to)
{
    factor = 2;
    assert_int_equal(halo_provide(to, "host.twice", &twice_type, twice, &factor), 0);
}

static void open_other(struct halo_sandbox **result, void **state, const char *mode,
                       enum halo_backend_choice backend)
{
    const char *const args[] = {"tenant", mode};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    options.backend = backend ? backend : options.backend;
    if (halo_open(result, TENANT, &options))
        fail_msg("%s", halo_errmsg(*result));
    provide(*result);
}

static void open_box(void **state, const char *mode)
{
    open_other(&box, state, mode, 0);
}

static void begin(void)
{
    if (halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
}

static void take(void)
{
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
}

static void restore(struct halo_sandbox *to)
{
    if (halo_restore(to, snapshot))
        fail_msg("%s", halo_errmsg(to));
}

static int function(struct halo_sandbox *of, const char *name)
{
    const int number = way_function(of, name);

    if (number == 0)
        fail_msg("%s is not exported", name);
    return number;
}

static struct halo_value call(struct halo_sandbox *of, const char *name,
                              const struct halo_value *args, size_t count)
{
    halo_future_free(&future);
    (void)halo_call_start(of, &future, function(of, name), args, count);
    if (halo_wait(&future, PATIENCE))
        fail_msg("%s: %s", name, halo_errmsg(of));
    return future.result;
}

static int64_t add(struct halo_sandbox *to, int64_t n)
{
    return call(to, "add", &(struct halo_value){.type = HALO_I64, .i64 = n}, 1).i64;
}

static int end(void **state)
{
    (void)state;
    halo_future_free(&future);
    halo_close(box);
    halo_close(other);
    halo_snapshot_free(snapshot);
    box = other = NULL;
    snapshot = NULL;
    return 0;
}

/* The backend that a way is not of. Where there is no KVM, its own. */
static enum halo_backend_choice other_backend(void **state)
{
    if (access("/dev/kvm", F_OK) != 0)
        return HALO_BACKEND_PROCESS;
    return way_options(state).backend == HALO_BACKEND_KVM ? HALO_BACKEND_PROCESS : HALO_BACKEND_KVM;
}

static void what_was_done_is_undone(void **state)
{
    open_box(state, NULL);
    begin();
    assert_int_equal(add(box, 5), 5);
    take();
    assert_int_equal(add(box, 1), 6);
    for (int i = 0; i < 5; i++) {
        restore(box);
        assert_int_equal(add(box, 10), 15);
        assert_int_equal(add(box, 10), 25);
    }
}

static void it_goes_on_in_a_new_sandbox(void **state)
{
    struct halo_options options = way_options(state);

    open_box(state, NULL);
    begin();
    assert_int_equal(add(box, 5), 5);
    take();
    options.backend = other_backend(state);
    if (halo_open_snapshot(&other, snapshot, &options))
        fail_msg("%s", halo_errmsg(other));
    provide(other);
    assert_int_equal(add(other, 2), 7);
    assert_int_equal(add(box, 1), 6);
    restore(other);
    assert_int_equal(add(other, 3), 8);
}

static void it_goes_on_in_any_sandbox_of_either_backend(void **state)
{
    open_box(state, NULL);
    begin();
    assert_int_equal(add(box, 5), 5);
    take();
    open_other(&other, state, NULL, other_backend(state)); /* that has not begun */
    restore(other);
    assert_int_equal(add(other, 2), 7);
    halo_close(other);
    (void)open_to_serve(&other, state, FUNCTIONS, 0); /* of another program */
    restore(other);
    provide(other);
    assert_int_equal(add(other, 3), 8);
    halo_close(box);
    box = other;
    other = NULL;
    assert_int_equal(add(box, 3), 11);
}

static void a_guest_that_was_not_begun_begins(void **state)
{
    open_box(state, NULL);
    take();
    begin();
    assert_int_equal(add(box, 5), 5);
    restore(box);
    assert_int_equal(halo_call_start(box, &future, 1, NULL, 0), HALO_ESTATE);
    begin();
    assert_int_equal(add(box, 6), 6);
}

/* SNP-02 */
static void after_any_end_it_goes_on(void **state)
{
    static const struct {
        const char *function;
        int error;
        int64_t patience;
    } ends[] = {{"loop", HALO_ETIMEDOUT, 20000000},
                {"fault", HALO_EFAULT, PATIENCE},
                {"panic", HALO_EPANIC, PATIENCE},
                {"port", HALO_EFAULT, PATIENCE},
                {"poison", HALO_EPOISONED, PATIENCE}};

    open_box(state, NULL);
    begin();
    assert_int_equal(add(box, 5), 5);
    take();
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)halo_call_start(box, &future, function(box, ends[i].function), NULL, 0);
        assert_int_equal(halo_wait(&future, ends[i].patience), ends[i].error);
        restore(box);
        assert_true(future.done || halo_wait(&future, PATIENCE) == HALO_ESTATE);
        assert_null(halo_fault(box));
        assert_int_equal(add(box, 1), 6);
    }
    assert_int_equal(halo_call_start(box, &future, function(box, "loop"), NULL, 0), 0);
    assert_int_equal(halo_run(box, 20000000, NULL), HALO_ETIMEDOUT);
    restore(box);
    assert_int_equal(add(box, 1), 6);
    restore(box);
    assert_int_equal(halo_run(box, PATIENCE, NULL), 0);
    restore(box);
    assert_int_equal(add(box, 1), 6);
}

/* What one guest has used up is not the next one's. */
static void limits_begin_anew(void **state)
{
    struct halo_options options = way_options(state);

    options.cpu_ms = 200;
    assert_int_equal(halo_open(&box, TENANT, &options), 0);
    provide(box);
    begin();
    take();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(add(box, 1), 1);
        assert_int_equal(halo_call_start(box, &future, function(box, "loop"), NULL, 0), 0);
        assert_int_equal(halo_wait(&future, PATIENCE), HALO_ELIMIT);
        restore(box);
    }
}

/* SNP-03: the last tenant is hostile, and the next one sees nothing of it. */
static void nothing_of_the_last_tenant_is_left(void **state)
{
    const bool on_kvm = way_options(state).backend == HALO_BACKEND_KVM;

    open_box(state, "probe");
    begin();
    take();
    for (uint32_t i = 0; i < 4; i++) {
        const struct halo_value kind = halo_u32(on_kvm && i & 1);

        restore(box);
        assert_string_equal(call(box, "look", NULL, 0).str, "");
        assert_int_equal(halo_call_start(box, &future, function(box, "ruin"), &kind, 1), 0);
        /* It waits, for a call, from code of its own; beside its host it may be let go on. */
        if (halo_wait(&future, PATIENCE) != HALO_EFAULT || !way_options(state).threaded)
            assert_non_null(
                strstr(halo_errmsg(box), "the guest waits, but has not answered a call"));
        restore(box);
        assert_string_equal(call(box, "look", NULL, 0).str, "");
    }
}

/* SNP-04 */
static void what_must_not_be_twice_is_new(void **state)
{
    uint64_t seed, epoch;

    open_box(state, NULL);
    begin();
    seed = call(box, "seed", NULL, 0).u64;
    epoch = call(box, "epoch", NULL, 0).u64;
    take();
    for (int i = 0; i < 3; i++) {
        restore(box);
        assert_int_not_equal(call(box, "seed", NULL, 0).u64, seed);
        seed = future.result.u64;
        assert_true(call(box, "epoch", NULL, 0).u64 > epoch);
        epoch = future.result.u64;
    }
}

static void functions_are_found_by_their_names(void **state)
{
    const struct halo_options way = way_options(state);
    const struct halo_value seven = halo_i64(7);
    static int64_t by_three = 3;

    open_box(state, NULL);
    begin();
    assert_int_equal(call(box, "ask", &seven, 1).i64, 14);
    take();
    if (halo_open_snapshot(&other, snapshot, &way))
        fail_msg("%s", halo_errmsg(other));
    assert_int_equal(halo_call_start(other, &future, function(other, "ask"), &seven, 1), 0);
    assert_int_equal(halo_wait(&future, PATIENCE), HALO_ENAME);
    assert_non_null(strstr(halo_errmsg(other), "host.twice: the restored guest imports it"));
    assert_int_equal(halo_provide(other, "host.twice", &twice_type, twice, &by_three), 0);
    assert_int_equal(halo_wait(&future, PATIENCE), 0);
    assert_int_equal(future.result.i64, 21);
    assert_int_equal(halo_provide(other, "host.late", &twice_type, twice, NULL), HALO_ESTATE);
    restore(other);
    assert_int_equal(call(other, "ask", &seven, 1).i64, 21);
}

static void signatures_must_be_the_same(void **state)
{
    static const struct halo_signature wrong = HALO_FN(HALO_STR, HALO_I64);
    const struct halo_options way = way_options(state);

    open_box(state, NULL);
    begin();
    take();
    assert_int_equal(halo_open(&other, TENANT, &way), 0);
    assert_int_equal(halo_provide(other, "host.twice", &wrong, twice, NULL), 0);
    assert_int_equal(halo_restore(other, snapshot), HALO_ETYPE);
    assert_non_null(strstr(halo_errmsg(other), "host.twice"));
}

/* SNP-01 */
static void what_is_under_way_is_counted(void **state)
{
    struct halo_snapshot *none;

    open_box(state, NULL);
    begin();
    assert_int_equal(halo_call_start(box, &future, function(box, "seed"), NULL, 0), 0);
    assert_int_equal(halo_snapshot(box, &none), HALO_ESTATE);
    assert_null(none);
    assert_non_null(strstr(halo_errmsg(box), "0 calls of the guest's, 1 of the host's"));
    assert_int_equal(halo_wait(&future, PATIENCE), 0);
    assert_int_equal(halo_call_start(box, &future, function(box, "loop"), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, 20000000), HALO_ETIMEDOUT);
    assert_int_equal(halo_snapshot(box, &none), HALO_ESTATE);
    assert_non_null(strstr(halo_errmsg(box), "stopped in the middle"));
    assert_int_equal(halo_run(box, 20000000, NULL), HALO_ETIMEDOUT);
    assert_int_equal(halo_snapshot(box, &none), HALO_ESTATE);
    assert_non_null(strstr(halo_errmsg(box), "ended"));
}

/* SNP-10 */
static void another_size_is_refused_in_words(void **state)
{
    struct halo_options options = way_options(state);

    open_box(state, NULL);
    begin();
    take();
    options.ram_len = 32ull << 20;
    assert_int_equal(halo_restore(box, NULL), HALO_EINVAL);
    assert_string_equal(halo_errmsg(box), "the snapshot is NULL");
    assert_int_equal(add(box, 1), 1); /* as if nothing had been asked */
    assert_int_equal(halo_open_snapshot(&other, NULL, &options), HALO_EINVAL);
    halo_close(other);
    assert_int_equal(halo_open(&other, TENANT, &options), 0);
    assert_int_equal(halo_restore(other, snapshot), HALO_EINVAL);
    assert_string_equal(halo_errmsg(other),
                        "the snapshot is of 16384 KiB of guest memory, and this "
                        "sandbox has 32768");
}

/* Guest memory as its file has it, of the one sandbox there is; but for boot page and doorbell. */
static unsigned char *memory(size_t *len)
{
    DIR *files = opendir("/proc/self/fd");
    unsigned char *bytes = NULL;
    const struct dirent *entry;

    while ((entry = readdir(files))) {
        char name[64] = "";

        if (readlinkat(dirfd(files), entry->d_name, name, sizeof(name) - 1) > 0 &&
            strncmp(name, "/memfd:halo-ram", 15) == 0) {
            *len = HALO_RAM_DEFAULT - 2 * HALO_PAGE;
            bytes = malloc(*len);
            assert_int_equal(pread(atoi(entry->d_name), bytes, *len, 0), *len);
        }
    }
    closedir(files);
    assert_non_null(bytes);
    return bytes;
}

/* SNP-12: bit for bit, also where the last guest wrote and this one never will. */
static void memory_is_as_it_was(void **state)
{
    static const uint32_t pages[] = {1, 16, 700, 2000};
    unsigned char *before, *after;
    size_t len;

    open_box(state, NULL);
    begin();
    (void)add(box, 1);
    take();
    before = memory(&len);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        const struct halo_value values[] = {halo_u32(pages[i]), halo_u32(0xa5)};

        (void)call(box, "dirty", values, 2);
        after = memory(&len);
        assert_int_not_equal(memcmp(before, after, len), 0);
        free(after);
        restore(box);
        after = memory(&len);
        assert_memory_equal(before, after, len);
        free(after);
    }
    free(before);
}

/* Only what differs is written, and nothing grows. */
static void it_costs_what_was_touched(void **state)
{
    const struct halo_value sixteen[] = {halo_u32(16), halo_u32(1)};
    const struct halo_value many[] = {halo_u32(1500), halo_u32(2)};
    struct halo_stats before, after;
    uint64_t first, where = 0;

    open_box(state, NULL);
    begin();
    (void)add(box, 1);
    take();
    for (int i = 0; i < 20; i++) {
        restore(box);
        halo_stats(box, &before);
        first = call(box, "dirty", i == 10 ? many : sixteen, 2).u64;
        assert_true(where == 0 || first == where);
        where = first;
        restore(box);
        halo_stats(box, &after);
        assert_int_equal(after.restores, before.restores + 1);
        if (i != 10)
            assert_in_range(after.restored_pages - before.restored_pages, 16, 40);
    }
}

/* A read that waits is kept, and waits in the restored guest; ends are connected anew. */
static void streams_wait_for_their_ends(void **state)
{
    static char said[64];
    const struct halo_value words = halo_str("to whom it is said");
    uint32_t in, handle;

    open_box(state, "streams");
    assert_int_equal(halo_offer(box, "in", halo_end_host(), HALO_IN, &in), 0);
    assert_int_equal(halo_offer(box, "out", halo_end_memory(NULL, 0, said, 7), HALO_OUT, NULL), 0);
    begin();
    assert_int_equal(halo_stream_write(box, in, "first", 5, PATIENCE), 5);
    take(); /* with what the guest was given and has not seen */
    restore(box);
    call(box, "read", NULL, 0);
    assert_int_equal(future.result.len, 5);
    halo_snapshot_free(snapshot);
    take();
    for (int i = 0; i < 3; i++) {
        restore(box);
        memset(said, 0, sizeof(said));
        assert_int_equal(
            halo_offer(box, "in", halo_end_memory("other bytes", 11, NULL, 0), HALO_OUT, &handle),
            HALO_EINVAL);
        assert_int_equal(
            halo_offer(box, "in", halo_end_memory("other bytes", 11, NULL, 0), HALO_IN, &handle),
            0);
        assert_int_equal(handle, in);
        call(box, "read", NULL, 0);
        assert_int_equal(future.result.len, 11);
        assert_memory_equal(future.result.bytes, "other bytes", 11);
        assert_int_equal(halo_call_start(box, &future, function(box, "write"), &words, 1), 0);
        if (i == 1) { /* until it has an end, that is this program */
            assert_int_equal(halo_wait(&future, PATIENCE), HALO_EDEADLOCK);
            continue;
        }
        assert_int_equal(
            halo_offer(box, "out", halo_end_memory(NULL, 0, said, sizeof(said)), HALO_OUT, NULL),
            0);
        assert_int_equal(halo_wait(&future, PATIENCE), 0);
        assert_string_equal(said, "to whom it is said");
    }
}

/* SNP-02: at many positions of the ring, its wraps among them. */
static void it_is_restored_at_every_position(void **state)
{
    open_box(state, NULL);
    open_other(&other, state, NULL, other_backend(state));
    begin();
    for (int64_t i = 1; i <= 300; i++) {
        assert_int_equal(add(box, 1), i);
        halo_snapshot_free(snapshot);
        take();
        assert_int_equal(add(box, 1000), i + 1000);
        restore(other);
        assert_int_equal(add(other, 1), i + 1);
        restore(box);
    }
}

static void ten_thousand_times(void **state)
{
    const struct halo_value sixteen[] = {halo_u32(16), halo_u32(1)};
    uint64_t where;

    open_box(state, NULL);
    begin();
    take();
    where = call(box, "dirty", sixteen, 2).u64;
    for (int i = 0; i < 10000; i++) {
        restore(box);
        assert_int_equal(call(box, "dirty", sixteen, 2).u64, where);
    }
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(what_was_done_is_undone),
        TEST(it_goes_on_in_a_new_sandbox),
        TEST(it_goes_on_in_any_sandbox_of_either_backend),
        TEST(a_guest_that_was_not_begun_begins),
        TEST(after_any_end_it_goes_on),
        TEST(limits_begin_anew),
        RINGS(nothing_of_the_last_tenant_is_left),
        TEST(what_must_not_be_twice_is_new),
        TEST(functions_are_found_by_their_names),
        TEST(signatures_must_be_the_same),
        TEST(what_is_under_way_is_counted),
        TEST(another_size_is_refused_in_words),
        TEST(memory_is_as_it_was),
        TEST(it_costs_what_was_touched),
        RINGS(streams_wait_for_their_ends),
        TEST(it_is_restored_at_every_position),
        RINGS(ten_thousand_times),
    };

    return run_every_way("snapshots", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
