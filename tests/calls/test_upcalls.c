/* Calling a guest that computes, where it lets itself be called: tests/guests/callable.c. */
#include "ways.h"

#include <halo/later.h>
#include <halo/metrics.h>
#include <halo/snapshot.h>

#define SECONDS (1000000000ll)
#define PATIENCE (60 * SECONDS)
#define FN(...) (const struct halo_signature) HALO_FN(__VA_ARGS__)

static struct halo_sandbox *box;
static struct halo_future spinning, other;
static bool asks_back, is_later;
static struct halo_pending *pending;

static int64_t call_i64(const char *name, int64_t value)
{
    if (halo_call(box, &other, halo_lookup(box, name, &FN(HALO_I64, HALO_I64)), PATIENCE,
                  halo_i64(value)))
        fail_msg("%s: %s", name, halo_errmsg(box));
    return other.result.i64;
}

static void set(int64_t value)
{
    if (halo_call(box, &other, halo_lookup(box, "set", &FN(HALO_VOID, HALO_I64)), PATIENCE,
                  halo_i64(value)))
        fail_msg("set: %s", halo_errmsg(box));
}

static void ask(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    if (is_later) {
        assert_int_equal(halo_keep(call, &pending, NULL, NULL), 0);
        return;
    }
    if (asks_back) {
        struct halo_future inner;
        struct halo_snapshot *snapshot;
        const int function = halo_lookup(halo_call_sandbox(call), "add", &FN(HALO_I64, HALO_I64));

        assert_int_equal(halo_snapshot(halo_call_sandbox(call), &snapshot), HALO_ESTATE);
        assert_int_equal(halo_call(halo_call_sandbox(call), &inner, function, PATIENCE, args[0]),
                         0);
        halo_return(call, inner.result);
        halo_future_free(&inner);
        return;
    }
    halo_return(call, halo_i64(2 * args[0].i64));
}

static int open_callable(void **state)
{
    const struct halo_options options = way_options(state);
    const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);

    asks_back = is_later = false;
    if (halo_open(&box, CALLABLE, &options) || halo_provide(box, "ask", &type, ask, NULL) < 0 ||
        halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_close(box);
    box = NULL;
    return 0;
}

static void start(const char *name, struct halo_signature type, const struct halo_value *args,
                  size_t count)
{
    assert_int_equal(halo_call_start(box, &spinning, halo_lookup(box, name, &type), args, count),
                     0);
}

static void await_flag(int64_t value)
{
    start("await", FN(HALO_I64, HALO_I64), (struct halo_value[]){halo_i64(value)}, 1);
}

/* It spins until another call has set what it looks at. */
static void a_guest_that_computes_is_called(void **state)
{
    struct halo_metrics metrics;

    (void)state;
    for (int64_t i = 1; i < 5; i++) {
        await_flag(i);
        set(0); /* is there when it begins to compute, or not yet */
        assert_false(spinning.done);
        set(0);
        set(i);
        assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
        assert_int_equal(spinning.result.i64, i);
        halo_future_free(&spinning);
    }
    assert_true(halo_metrics(box, &metrics, sizeof(metrics)) == sizeof(metrics));
    assert_true(metrics.upcalls >= 8);
}

/* What is called may call its host, which may call the guest again. */
static void calls_nest_inside_of_it(void **state)
{
    (void)state;
    await_flag(1000);
    assert_int_equal(call_i64("relay", 21), 42);
    asks_back = true;
    assert_int_equal(call_i64("relay", 30), 30);
    assert_int_equal(call_i64("add", 970), 1000);
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
}

/*
 * A call that came while it waited for its host, and had to wait for the end of that: it is found
 * in no ring any more.
 */
static void one_that_was_put_off_is_served_where_it_computes(void **state)
{
    (void)state;
    is_later = true;
    start("ask_and_await", FN(HALO_I64, HALO_I64), (struct halo_value[]){halo_i64(0)}, 1);
    assert_int_equal(halo_wait(&spinning, PATIENCE), HALO_EDEADLOCK);
    assert_int_equal(halo_call_start(box, &other, halo_lookup(box, "set", &FN(HALO_VOID, HALO_I64)),
                                     (struct halo_value[]){halo_i64(9)}, 1),
                     0);
    assert_int_equal(halo_wait(&other, PATIENCE), HALO_EDEADLOCK);
    assert_int_equal(halo_return_later(pending, halo_i64(9)), 0);
    assert_int_equal(halo_wait(&other, PATIENCE), 0);
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
    assert_int_equal(spinning.result.i64, 9);
}

/* It was served before the program began to compute, and the guest has not left since. */
static void an_answer_does_not_wait_for_what_computes_behind_it(void **state)
{
    (void)state;
    assert_int_equal(halo_call_start(box, &other, halo_lookup(box, "set", &FN(HALO_VOID, HALO_I64)),
                                     (struct halo_value[]){halo_i64(1)}, 1),
                     0);
    await_flag(2);
    assert_int_equal(halo_wait(&other, PATIENCE), 0);
    assert_false(spinning.done);
    set(2);
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
}

/* Many wait, and are served in their order. */
static void many_are_served_in_their_order(void **state)
{
    static struct halo_future futures[32];
    const int function = halo_lookup(box, "add", &FN(HALO_I64, HALO_I64));

    (void)state;
    await_flag(32);
    for (int i = 0; i < 32; i++)
        assert_int_equal(
            halo_call_start(box, &futures[i], function, (struct halo_value[]){halo_i64(1)}, 1), 0);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(halo_wait(&futures[i], PATIENCE), 0);
        assert_int_equal(futures[i].result.i64, i + 1);
        halo_future_free(&futures[i]);
    }
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
}

static void all_registers_are_kept(void **state)
{
    (void)state;
    start("registers", FN(HALO_I64), NULL, 0);
    for (int i = 0; i < 20; i++)
        set(5);
    set(0);
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
    assert_int_equal(spinning.result.i64, 1);
}

/* It has been stopped by its host, too, and goes on from there. */
static void it_can_be_stopped_at_a_time_limit_and_called_then(void **state)
{
    struct halo_snapshot *snapshot;

    (void)state;
    await_flag(7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(halo_wait(&spinning, 3000000), HALO_ETIMEDOUT);
    assert_int_equal(halo_snapshot(box, &snapshot), HALO_ESTATE);
    set(7);
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
    /* And it waits as any guest does. */
    assert_int_equal(halo_snapshot(box, &snapshot), 0);
    assert_int_equal(halo_restore(box, snapshot), 0);
    halo_snapshot_free(snapshot);
    await_flag(8);
    set(8);
    assert_int_equal(halo_wait(&spinning, PATIENCE), 0);
}

static void it_has_so_much_stack(void **state)
{
    (void)state;
    await_flag(1);
    assert_int_equal(
        halo_call_start(box, &other, halo_lookup(box, "deep", &FN(HALO_VOID)), NULL, 0), 0);
    assert_int_equal(halo_wait(&other, PATIENCE), HALO_EPANIC);
    assert_non_null(strstr(halo_errmsg(box), "more stack"));
    halo_future_free(&spinning);
}

static void a_program_that_uses_halo_meanwhile_is_told(void **state)
{
    (void)state;
    assert_int_equal(halo_call(box, &other, halo_lookup(box, "misuse", &FN(HALO_I64, HALO_I64)),
                               PATIENCE, halo_i64(1)),
                     HALO_EPANIC);
    assert_non_null(strstr(halo_errmsg(box), "halo_callable"));
}

static void lie(uint64_t place, uint64_t entry)
{
    start("lie", FN(HALO_VOID, HALO_U64, HALO_U64),
          (struct halo_value[]){halo_u64(place), halo_u64(entry)}, 2);
    (void)halo_call_start(box, &other, halo_lookup(box, "set", &FN(HALO_VOID, HALO_I64)),
                          (struct halo_value[]){halo_i64(1)}, 1);
}

/* Whether it goes on as if nothing had been asked of it. */
static void is_left_alone(void)
{
    assert_int_equal(halo_wait(&other, SECONDS / 10), HALO_ETIMEDOUT);
    halo_future_free(&other);
    halo_future_free(&spinning);
}

static void upc_01_what_it_says_of_itself_lies_in_its_own_memory(void **state)
{
    const uint64_t places[] = {
        8, HALO_RAM_BASE, UINT64_MAX, UINT64_MAX - 16, 1ull << 47, HALO_RAM_BASE + (1ull << 40)};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        lie(places[i], HALO_PROGRAM_BASE);
        is_left_alone();
        halo_close(box);
        (void)open_callable(state);
    }
}

static void upc_02_where_it_is_led_is_its_own_memory(void **state)
{
    const uint64_t entries[] = {
        0,          4096,       HALO_RAM_BASE,      1ull << 63,
        1ull << 47, UINT64_MAX, 0xfffff00000000000, HALO_RAM_BASE + (1ull << 40)};

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        lie(0, entries[i]);
        is_left_alone();
        halo_close(box);
        (void)open_callable(state);
    }
}

/* What is there is no code: it is a fault of the guest's, as any. */
static void upc_03_where_there_is_no_code_it_faults(void **state)
{
    (void)state;
    lie(0, HALO_PROGRAM_BASE);
    assert_int_equal(halo_wait(&other, PATIENCE), HALO_EFAULT);
    halo_future_free(&spinning);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_guest_that_computes_is_called),
        RINGS(calls_nest_inside_of_it),
        RINGS(one_that_was_put_off_is_served_where_it_computes),
        RINGS(an_answer_does_not_wait_for_what_computes_behind_it),
        RINGS(many_are_served_in_their_order),
        RINGS(all_registers_are_kept),
        RINGS(it_can_be_stopped_at_a_time_limit_and_called_then),
        RINGS(it_has_so_much_stack),
        RINGS(a_program_that_uses_halo_meanwhile_is_told),
        RINGS(upc_01_what_it_says_of_itself_lies_in_its_own_memory),
        RINGS(upc_02_where_it_is_led_is_its_own_memory),
        RINGS(upc_03_where_there_is_no_code_it_faults),
    };

    return run_every_way("upcalls", tests, sizeof(tests) / sizeof(tests[0]), open_callable,
                         close_box);
}
