/*
 * Restores of large guests, which pass over the pages that nobody has written: whoever writes one,
 * and by what means, it is found. tests/guests/large.c, and others. SNP-14.
 */
#define _GNU_SOURCE
#include "large_box.h"
#include <halo/rows.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* --- What its guest writes -------------------------------------------------------------------- */

static void what_a_large_guest_wrote_is_undone_page_by_page(void **state)
{
    const uint64_t len = 64ull << 20;
    uint64_t last = 0;

    open_large(state, NULL, len, 13000);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        last = compared();
        stamp(i, i % 3 ? 16 : 2000);
        restore(snapshot);
        same(len);
    }
    last = compared();
    restore(snapshot);
    if (is_tracked()) /* those that were written are compared yet, and no others */
        assert_true(compared() - last < 6000);
}

/* A page that was written is compared for a while, and not after that; then it is written again. */
static void a_page_is_found_whenever_it_is_written(void **state)
{
    uint64_t last, many = 0, few = 0;

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < 160; i++) {
        const bool writes = i < 3 || i == 40 || i == 74 || i == 75 || i == 120;

        if (writes)
            stamp(1, 400);
        last = compared();
        restore(snapshot);
        last = compared() - last;
        if (i == 4)
            many = last;
        if (i == 73 || i == 119)
            few = last;
        if (writes || i % 16 == 0)
            same(LEN);
    }
    if (is_tracked())
        assert_true(few + 200 < many);
}

static void memory_that_nobody_had_is_nobodys_again(void **state)
{
    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        (void)call1("more", i % 2 ? 1100 : 30);
        restore(snapshot);
        same(LEN);
        restore(snapshot);
        same(LEN);
    }
}

static void a_guest_that_is_stopped_has_written_too(void **state)
{
    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < 4; i++) {
        start("loop", NULL, 0);
        assert_int_equal(halo_wait(&future, 20000000), HALO_ETIMEDOUT);
        restore(snapshot);
        same(LEN);
        stamp(i, 100);
        restore(snapshot);
        same(LEN);
    }
}

static pid_t guest_process(void **state)
{
    return way_options(state).backend == HALO_BACKEND_PROCESS ? process_guest_of(getpid()) : 0;
}

/* Whoever ended its process: the next one's mapping is another. */
static void a_process_in_its_place_is_looked_at_anew(void **state)
{
    uint64_t last;

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        const pid_t pid = guest_process(state);

        stamp(i, 300);
        if (pid > 0) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_true(process_await_gone(pid));
        }
        restore(snapshot);
        same(LEN);
        stamp(i + 100, 300);
        restore(snapshot);
        same(LEN);
        settle();
        last = compared();
        restore(snapshot);
        if (pid > 0 && is_tracked()) /* and of that, too, it is known */
            assert_true(compared() - last < 1500);
    }
}

/* SNP-03 of a large guest: all memory that it can write. */
static void nothing_of_a_large_tenant_is_left(void **state)
{
    const bool on_kvm = way_options(state).backend == HALO_BACKEND_KVM;

    open_box(state, TENANT, NULL, LEN);
    assert_int_equal(halo_provide(box, "host.twice", &twice_type, twice, NULL), 0);
    serve();
    (void)call2("dirty", PAGES, 3);
    take(&snapshot);
    before = memory(0, LEN);
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        const struct halo_value kind = halo_u32(on_kvm && i & 1);

        start("ruin", &kind, 1);
        (void)halo_wait(&future, PATIENCE);
        restore(snapshot);
        same(LEN);
        settle();
    }
}

/* --- What its host writes --------------------------------------------------------------------- */

static void what_calls_and_answers_wrote_is_undone(void **state)
{
    static unsigned char bytes[40000];
    const struct halo_value all = halo_bytes(bytes, sizeof(bytes));

    open_large(state, NULL, LEN, PAGES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        memset(bytes, (int)i + 1, sizeof(bytes));
        assert_int_equal(call("take", &all, 1).u64, sizeof(bytes));
        restore(snapshot);
        same(LEN);
        assert_int_equal(call1("ask", 30000 + i).u64, 30000 + i);
        restore(snapshot);
        same(LEN);
        settle();
    }
}

static unsigned char said[65536];

static int64_t say(void *context, void *to, size_t len)
{
    (void)context;
    memset(to, 0x77, len);
    return (int64_t)len;
}

static const struct halo_end_functions says = {.read = say};

/* Where the guest reads to, in the middle of pages that were protected, by each kind of end. */
static void what_streams_wrote_is_undone(void **state)
{
    enum { MEMORY, FUNCTION, PIPE, SOCKET, FILE_AT, HOST, KINDS };
    char path[] = "/tmp/halo-tracking-XXXXXX";
    const int file = mkstemp(path);

    assert_true(file >= 0 && unlink(path) == 0);
    memset(said, 0x99, sizeof(said));
    assert_int_equal(write(file, said, sizeof(said)), sizeof(said));
    open_large(state, "streams", LEN, PAGES);
    for (uint32_t i = 0; i < 3 * KINDS; i++) {
        const uint32_t page = 100 + 37 * (i / KINDS) + 10 * (i % KINDS);
        const uint32_t len = i / KINDS == 2 ? 100 : 30000;
        struct halo_end end_of_it = halo_end_host();
        int fds[2] = {-1, -1};
        uint32_t handle;

        switch (i % KINDS) {
        case MEMORY:
            end_of_it = halo_end_memory(said, sizeof(said), NULL, 0);
            break;
        case FUNCTION:
            end_of_it = halo_end_functions(&says, NULL, -1);
            break;
        case PIPE:
            assert_int_equal(pipe(fds), 0);
            break;
        case SOCKET:
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
            break;
        case FILE_AT:
            end_of_it = halo_end_file(file, 0);
            break;
        default:
            break;
        }
        if (fds[0] >= 0) {
            assert_int_equal(write(fds[1], said, len), len);
            end_of_it = halo_end_fd(fds[0]);
        }
        assert_int_equal(halo_offer(box, "in", end_of_it, HALO_IN, &handle), 0);
        if (i % KINDS == HOST) {
            const struct halo_value args[] = {halo_u32(page), halo_u32(len)};

            start("fetch", args, 2);
            assert_true(halo_stream_write(box, handle, said, len, PATIENCE) > 0);
            assert_int_equal(halo_wait(&future, PATIENCE), 0);
        } else {
            assert_true(call2("fetch", page, len).u64 > 0);
        }
        restore(snapshot);
        same(LEN);
        settle();
        if (fds[0] >= 0) {
            close(fds[0]);
            close(fds[1]);
        }
    }
    close(file);
}

/* How messages travel makes no difference here. */
#define HERE(function) WAY_TEST(function, WAY_STACKS | WAY_PLAIN)

int main(void)
{
    static const struct way_test tests[] = {
        HERE(what_a_large_guest_wrote_is_undone_page_by_page),
        HERE(a_page_is_found_whenever_it_is_written),
        HERE(memory_that_nobody_had_is_nobodys_again),
        HERE(a_guest_that_is_stopped_has_written_too),
        HERE(a_process_in_its_place_is_looked_at_anew),
        HERE(nothing_of_a_large_tenant_is_left),
        HERE(what_calls_and_answers_wrote_is_undone),
        HERE(what_streams_wrote_is_undone),
    };

    return run_every_way("tracking", tests, sizeof(tests) / sizeof(tests[0]), NULL, end);
}
