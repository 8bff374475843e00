/*
 * Memory at other addresses than its own: what a snapshot has of it, and what a guest may write
 * down about it. tests/libc/far.c. Groups SNP and PAGE.
 */
#include <halo/abi.h>
#include <halo/snapshot.h>
#include "ways.h"

#include <errno.h>

#define PATIENCE 120000000000ll

static struct halo_sandbox *box, *other;
static struct halo_snapshot *snapshot;

static void open_far(struct halo_sandbox **to, void **state)
{
    (void)open_to_serve(to, state, FAR, 32ull << 20);
}

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

static int try_ask(struct halo_sandbox *of, const char *name, uint64_t value, uint64_t *result)
{
    static const struct halo_signature type = HALO_FN(HALO_U64, HALO_U64);
    struct halo_future future;
    const int error =
        halo_call(of, &future, halo_lookup(of, name, &type), PATIENCE, halo_u64(value));

    *result = future.result.u64;
    return error;
}

static uint64_t ask(struct halo_sandbox *of, const char *name, uint64_t value)
{
    uint64_t result;

    if (try_ask(of, name, value, &result))
        fail_msg("%s: %s", name, halo_errmsg(of));
    return result;
}

/* What was written there is there again, in the same sandbox, whatever was since, */
static void a_restore_brings_it_back(void **state)
{
    open_far(&box, state);
    ask(box, "keep", 3);
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(ask(box, "look", 3), 0);
        ask(box, "keep", 70 + i);
        assert_int_equal(ask(box, "look", 70 + i), 0);
        if (i == 1)
            assert_int_equal(ask(box, "guard", 1), 0);
        if (i == 2)
            assert_int_equal(ask(box, "guard", 2), 0);
        if (halo_restore(box, snapshot))
            fail_msg("%s", halo_errmsg(box));
    }
    assert_int_equal(ask(box, "look", 3), 0);
}

/* and in another, on each backend, which then go their own ways; */
static void a_clone_has_it_too(void **state)
{
    struct halo_options options = way_options(state);

    open_far(&box, state);
    ask(box, "keep", 5);
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    for (uint32_t i = 0; i < 2; i++) {
        if (i == 1) /* a KVM may have fewer features than a process is told of */
            options.backend = HALO_BACKEND_PROCESS;
        if (halo_open_snapshot(&other, snapshot, &options))
            fail_msg("%s", halo_errmsg(other));
        assert_int_equal(ask(other, "look", 5), 0);
        ask(other, "keep", 6);
        assert_int_equal(ask(other, "look", 6), 0);
        assert_int_equal(ask(box, "look", 5), 0);
        ask(box, "keep", 5);
        assert_int_equal(ask(other, "look", 6), 0);
        halo_close(other);
        other = NULL;
    }
}

/* and what of it may not be written may not be written there. */
static void what_is_read_only_stays_so(void **state)
{
    uint64_t result;

    open_far(&box, state);
    ask(box, "keep", 7);
    assert_int_equal(ask(box, "guard", 1), 0);
    if (halo_snapshot(box, &snapshot) || halo_restore(box, snapshot))
        fail_msg("%s", halo_errmsg(box));
    assert_int_equal(ask(box, "look", 7), 0);
    assert_int_equal(try_ask(box, "keep", 8, &result), HALO_EFAULT);
    assert_int_equal(halo_fault(box)->vector, 14);
}

/* Of all that a guest may write down only what is its own data comes to be, and never executable:
 * PAGE-01, PAGE-02, PAGE-03, PAGE-06. */
static void only_data_of_its_own_has_another_address(void **state)
{
    enum { KINDS = 17 };
    uint64_t result;

    for (uint64_t kind = 0; kind < KINDS; kind++) {
        int error;

        open_far(&box, state);
        error = try_ask(box, "forge", kind, &result);
        if (kind == 0 && (error || result != 1))
            fail_msg("its own data: %s", halo_errmsg(box));
        if (kind > 0 && (error != HALO_EFAULT || !halo_fault(box) || halo_fault(box)->vector != 14))
            fail_msg("kind %u: %d, %u, %s", (unsigned)kind, error, (unsigned)result,
                     halo_errmsg(box));
        if (kind > 0)
            assert_int_equal(halo_fault(box)->address / HALO_PAGE, HALO_PAGING_BASE / HALO_PAGE);
        halo_close(box);
        box = NULL;
    }
}

static int64_t ask_host(uint64_t base, uint64_t len, uint64_t prot)
{
    static const struct halo_signature type = HALO_FN(HALO_I64, HALO_U64, HALO_U64, HALO_U64);
    struct halo_future future;

    if (halo_call(box, &future, halo_lookup(box, "ask", &type), PATIENCE, halo_u64(base),
                  halo_u64(len), halo_u64(prot)))
        fail_msg("%s", halo_errmsg(box));
    return future.result.i64;
}

/* What it asks to be forgotten is whole pages of those addresses, and what it has is whole:
 * PAGE-05.
 */
static void only_such_addresses_are_forgotten(void **state)
{
    const uint64_t end = HALO_PAGING_BASE + HALO_PAGING_LEN;

    open_far(&box, state);
    ask(box, "keep", 9);
    assert_int_equal(ask_host(HALO_PAGING_BASE, HALO_PAGING_LEN, 0), 0);
    assert_int_equal(ask(box, "look", 9), 0);
    assert_int_equal(ask_host(HALO_PAGING_BASE + 1, HALO_PAGE, 0), -EINVAL);
    assert_int_equal(ask_host(HALO_PAGING_BASE, HALO_PAGE + 1, 0), -EINVAL);
    assert_int_equal(ask_host(HALO_PAGING_BASE, 0, 0), -EINVAL);
    assert_int_equal(ask_host(end - HALO_PAGE, 2ull * HALO_PAGE, 0), -EINVAL);
    assert_int_equal(ask_host(end, HALO_PAGE, 0), -EINVAL);
    assert_int_equal(ask_host(HALO_PAGING_BASE, UINT64_MAX - HALO_PAGE + 1, 0), -EINVAL);
    assert_int_equal(ask_host(HALO_PAGING_BASE, HALO_PAGE, 3), -EACCES);
    assert_int_equal(ask_host(HALO_PAGING_BASE, HALO_PAGE, 5), -EACCES);
    assert_true(ask_host(HALO_PAGING_BASE, HALO_PAGE, 1) < 0); /* nothing is there */
    assert_true(ask_host(HALO_RAM_BASE, HALO_PAGE, 0) < 0);
    assert_true(ask_host(HALO_RAM_BASE, HALO_PAGING_LEN, 0) < 0);
    assert_int_equal(ask(box, "look", 9), 0);
}

/* In place of the C library's: none of this size is to be had while a test says so. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

#define MUCH 16384u

static bool is_poor;

void *__wrap_calloc(size_t count, size_t size)
{
    return is_poor && count * size >= MUCH ? NULL : __real_calloc(count, size);
}

/* It is not the guest that has used up anything: PAGE-04. */
static void a_host_without_memory_says_so(void **state)
{
    const bool is_process = way_options(state).backend == HALO_BACKEND_PROCESS;
    uint64_t result;
    int error;

    open_far(&box, state);
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    is_poor = true;
    error = try_ask(box, "keep", 3, &result);
    is_poor = false;
    assert_int_equal(error, is_process ? HALO_ENOMEM : 0); /* KVM has room for its own tables */
    if (is_process)
        assert_non_null(strstr(halo_errmsg(box), "the host has no memory to keep track"));
    if (halo_restore(box, snapshot))
        fail_msg("%s", halo_errmsg(box));
    ask(box, "keep", 3);
    assert_int_equal(ask(box, "look", 3), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_restore_brings_it_back),          RINGS(a_clone_has_it_too),
        RINGS(what_is_read_only_stays_so),        RINGS(only_data_of_its_own_has_another_address),
        RINGS(only_such_addresses_are_forgotten), RINGS(a_host_without_memory_says_so),
    };

    return run_every_way("paging", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
