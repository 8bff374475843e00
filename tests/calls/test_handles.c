/* Objects of the host's that a guest holds, hands back and cannot forge: group HND. */
#include <halo/handle.h>
#include <halo/rows.h>
#include <halo/snapshot.h>
#include "ways.h"

#define SECONDS (1000000000ll)
#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))
#define MOST 40u

struct object {
    int64_t next;
};

static struct halo_sandbox *box;
static struct halo_future future;
static uint32_t released, served;

static void release(void *object)
{
    released++;
    free(object);
}

static const struct halo_handle_kind cursors = {"cursor", release}, others = {"database", NULL};

/* --- The host's functions --------------------------------------------------------------------- */

static void host_open(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_sandbox *const of = halo_call_sandbox(call);
    struct object *object = malloc(sizeof(*object));
    struct halo_handle handle;

    (void)context;
    served++;
    object->next = args[0].i64;
    if (object->next < 0) {
        free(object);
        halo_return(call, halo_null());
    } else if (halo_handle_create(of, &cursors, object, &handle)) {
        free(object);
        halo_fail(call, 5, halo_errmsg(of));
    } else {
        halo_return(call, halo_handle_value(handle));
    }
}

static void host_next(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_sandbox *const of = halo_call_sandbox(call);
    void *object;

    (void)context;
    served++;
    if (halo_handle_find(of, &cursors, args[0].handle, &object)) {
        assert_null(object);
        halo_fail(call, 6, halo_errmsg(of));
    } else {
        halo_return(call, halo_i64(((struct object *)object)->next++));
    }
}

static void host_close(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    served++;
    if (halo_handle_free(halo_call_sandbox(call), &cursors, args[0].handle))
        halo_fail(call, 7, halo_errmsg(halo_call_sandbox(call)));
}

/* One of another kind, whose object is the text's length; or the one that came. */
static void host_other(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_handle handle;

    (void)context;
    served++;
    if (!halo_is_null(&args[0])) {
        halo_return(call, args[0]);
        return;
    }
    assert_int_equal(halo_handle_create(halo_call_sandbox(call), &others,
                                        (void *)(uintptr_t)args[1].len, &handle),
                     0);
    halo_return(call, halo_handle_value(handle));
}

static void host_use_other(struct halo_call *call, const struct halo_value *args, void *context)
{
    void *object;

    (void)context;
    served++;
    if (halo_handle_find(halo_call_sandbox(call), &others, args[0].handle, &object))
        halo_fail(call, 8, halo_errmsg(halo_call_sandbox(call)));
    else
        halo_return(call, halo_i64((int64_t)(uintptr_t)object));
}

/* --- Setting up ------------------------------------------------------------------------------- */

static void provide_all(struct halo_sandbox *to)
{
    const struct {
        const char *name;
        struct halo_signature type;
        halo_function *function;
    } functions[] = {
        {"host.open", HALO_FN(HALO_HANDLE | HALO_MAYBE, HALO_I64), host_open},
        {"host.next", HALO_FN(HALO_I64, HALO_HANDLE), host_next},
        {"host.close", HALO_FN(HALO_VOID, HALO_HANDLE), host_close},
        {"host.other", HALO_FN(HALO_HANDLE, HALO_HANDLE | HALO_MAYBE, HALO_STR), host_other},
        {"host.use_other", HALO_FN(HALO_I64, HALO_HANDLE), host_use_other},
    };

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (halo_provide(to, functions[i].name, &functions[i].type, functions[i].function, NULL))
            fail_msg("%s", halo_errmsg(to));
    }
}

static struct halo_sandbox *open_another(void **state)
{
    struct halo_options options = way_options(state);
    struct halo_sandbox *made;

    options.handles_max = MOST;
    if (halo_open(&made, HANDLES, &options))
        fail_msg("%s", halo_errmsg(made));
    provide_all(made);
    if (halo_serve_begin(made, 20 * SECONDS))
        fail_msg("%s", halo_errmsg(made));
    return made;
}

static int open_box(void **state)
{
    box = open_another(state);
    released = served = 0;
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_future_free(&future);
    halo_close(box);
    return 0;
}

static int start(struct halo_sandbox *of, const char *name, struct halo_signature type,
                 const struct halo_value *args, size_t count)
{
    const int callee = halo_lookup(of, name, &type);

    if (callee < 0)
        fail_msg("%s", halo_errmsg(of));
    halo_future_free(&future);
    (void)halo_call_start(of, &future, callee, args, count);
    return halo_wait(&future, HALO_FOREVER);
}

static bool guest_open(struct halo_sandbox *of, int64_t number)
{
    const struct halo_value arg = halo_i64(number);

    if (start(of, "open", FN(HALO_BOOL, HALO_I64), &arg, 1))
        fail_msg("%s", future.text);
    return future.result.boolean;
}

static uint64_t guest_number(struct halo_sandbox *of)
{
    if (start(of, "number", FN(HALO_U64), NULL, 0))
        fail_msg("%s", future.text);
    return future.result.u64;
}

static void assert_next(int64_t expected)
{
    if (start(box, "next", FN(HALO_I64), NULL, 0))
        fail_msg("%s", future.text);
    assert_int_equal(future.result.i64, expected);
}

/* What the last call failed with, and words that it has. */
static void assert_failed(int32_t code, const char *words)
{
    assert_int_equal(future.error, HALO_ECALL);
    assert_int_equal(future.code, code);
    if (!strstr(future.text, words))
        fail_msg("'%s' says nothing of '%s'", future.text, words);
}

/* No function of the host's is called with it. */
static void assert_stale(const char *name, const struct halo_value *args, size_t count)
{
    const uint32_t before = served;

    (void)start(box, name,
                count > 0                    ? FN(HALO_I64, HALO_U64)
                : strcmp(name, "close") == 0 ? FN(HALO_VOID)
                                             : FN(HALO_I64),
                args, count);
    assert_failed(-HALO_ESTALE, "argument 1 is a handle that was freed, is older than the last "
                                "restore, or was never given to this guest");
    assert_int_equal(served, before);
}

static void assert_forged(uint64_t number)
{
    const struct halo_value arg = halo_u64(number);

    assert_stale("forge", &arg, 1);
}

/* --- Handles ---------------------------------------------------------------------------------- */

static void a_guest_holds_an_object_and_hands_it_back(void **state)
{
    const struct halo_value args[] = {halo_null(), halo_str("five!")};
    struct halo_value other;
    uint64_t first;

    (void)state;
    assert_true(guest_open(box, 10));
    assert_next(10);
    assert_next(11);
    first = guest_number(box);
    assert_true(guest_open(box, 20));
    assert_next(20);
    assert_true(guest_number(box) != first);
    assert_int_equal(halo_handle_count(box), 2);
    assert_false(guest_open(box, -1)); /* absent */
    assert_int_equal(
        start(box, "other", FN(HALO_HANDLE, HALO_HANDLE | HALO_MAYBE, HALO_STR), args, 2), 0);
    other = future.result;
    assert_int_equal(other.type, HALO_HANDLE);
    assert_int_equal(start(box, "use_other", FN(HALO_I64, HALO_HANDLE), &other, 1), 0);
    assert_int_equal(future.result.i64, 5);
    assert_int_equal(halo_handle_count(box), 3);
    assert_int_equal(released, 0);
}

/* The host gives one by a call of its own, and frees it by itself. */
static void a_host_gives_and_takes_handles(void **state)
{
    struct object *object = malloc(sizeof(*object));
    struct halo_handle handle;
    struct halo_value arg;
    void *found;

    (void)state;
    object->next = 7;
    assert_int_equal(halo_handle_create(box, &cursors, object, &handle), 0);
    arg = halo_handle_value(handle);
    assert_int_equal(start(box, "keep", FN(HALO_VOID, HALO_HANDLE), &arg, 1), 0);
    assert_next(7);
    arg = halo_u64(handle.number);
    assert_int_equal(start(box, "give", FN(HALO_HANDLE | HALO_MAYBE, HALO_U64), &arg, 1), 0);
    assert_int_equal(halo_handle_find(box, &cursors, future.result.handle, &found), 0);
    assert_ptr_equal(found, object);
    arg = halo_u64(0);
    assert_int_equal(start(box, "give", FN(HALO_HANDLE | HALO_MAYBE, HALO_U64), &arg, 1), 0);
    assert_true(halo_is_null(&future.result));
    assert_int_equal(halo_handle_free(box, &cursors, handle), 0);
    assert_int_equal(released, 1);
    assert_int_equal(halo_handle_free(box, &cursors, handle), HALO_ESTALE);
    assert_int_equal(released, 1);
    arg = halo_handle_value(handle); /* the host's own mistake */
    assert_int_equal(start(box, "keep", FN(HALO_VOID, HALO_HANDLE), &arg, 1), HALO_ESTALE);
    assert_int_equal(halo_handle_create(box, NULL, NULL, &handle), HALO_EINVAL);
    assert_int_equal(halo_handle_find(box, NULL, handle, &found), HALO_EINVAL);
}

/* --- What a guest tries ----------------------------------------------------------------------- */

static void hnd_01_a_number_that_was_made_up_is_no_handle(void **state)
{
    uint64_t number;
    struct halo_value args[3];

    (void)state;
    assert_forged(0);
    assert_forged(1);
    assert_forged(UINT64_MAX);
    for (int i = 0; i < 30; i++)
        assert_true(guest_open(box, i));
    number = guest_number(box);
    for (uint32_t bit = 0; bit < 64; bit++)
        assert_forged(number ^ 1ull << bit);
    args[0] = halo_u64(number & ~0xffffull); /* every place, with what belongs to another one */
    args[1] = halo_u64(1);
    args[2] = halo_u32(100);
    assert_int_equal(start(box, "forge_many", FN(HALO_I64, HALO_U64, HALO_U64, HALO_U32), args, 3),
                     0);
    assert_int_equal(future.result.i64, 1); /* its own */
    args[0] = halo_u64((number & 0xffffffffull) + (1ull << 32));
    args[1] = halo_u64(1ull << 32);
    args[2] = halo_u32(1000);
    assert_int_equal(start(box, "forge_many", FN(HALO_I64, HALO_U64, HALO_U64, HALO_U32), args, 3),
                     0);
    assert_in_range(future.result.i64, 0, 1); /* where the random bits are below 1000 */
    assert_next(30);                          /* its own object is whole */
    (void)start(box, "wrong", FN(HALO_I64), NULL, 0);
    assert_failed(-HALO_ETYPE, "argument 1 is u64, and its signature says handle");
}

static void hnd_02_a_handle_that_was_freed_is_stale(void **state)
{
    struct halo_handle handle;
    uint64_t freed;

    (void)state;
    assert_true(guest_open(box, 1));
    freed = guest_number(box);
    assert_int_equal(start(box, "close", FN(HALO_VOID), NULL, 0), 0);
    assert_int_equal(released, 1);
    assert_int_equal(halo_handle_count(box), 0);
    assert_stale("next", NULL, 0);
    assert_stale("close", NULL, 0);
    assert_int_equal(released, 1);
    assert_true(guest_open(box, 2)); /* in the same place */
    assert_int_equal(guest_number(box) & 0xffff, freed & 0xffff);
    assert_forged(freed);
    assert_next(2);
    assert_int_equal(start(box, "close", FN(HALO_VOID), NULL, 0), 0);
    for (uint32_t i = 0; i < 70000; i++) { /* how often it was used is counted round and round */
        assert_int_equal(halo_handle_create(box, &others, NULL, &handle), 0);
        assert_int_equal(halo_handle_free(box, &others, handle), 0);
        assert_true((handle.number & 0xffff) == (freed & 0xffff));
        assert_true(handle.number >> 16 & 0xffff);
    }
    assert_forged(freed);
    assert_forged(handle.number);
}

static void hnd_02_a_freed_handle_as_an_answer_is_stale(void **state)
{
    struct halo_value arg;

    (void)state;
    assert_true(guest_open(box, 1));
    arg = halo_u64(guest_number(box));
    assert_int_equal(start(box, "close", FN(HALO_VOID), NULL, 0), 0);
    assert_int_equal(start(box, "give", FN(HALO_HANDLE | HALO_MAYBE, HALO_U64), &arg, 1),
                     HALO_ESTALE);
    assert_true(halo_is_null(&future.result));
    assert_int_equal(start(box, "number", FN(HALO_U64), NULL, 0), 0); /* and the guest goes on */
}

static void hnd_03_a_handle_of_another_kind_is_refused(void **state)
{
    struct halo_value arg;

    (void)state;
    assert_true(guest_open(box, 1));
    arg = halo_handle_value((struct halo_handle){guest_number(box)});
    (void)start(box, "use_other", FN(HALO_I64, HALO_HANDLE), &arg, 1);
    assert_failed(8, "a handle of a cursor, and not of a database");
    assert_int_equal(halo_handle_free(box, &others, arg.handle), HALO_ETYPE);
    assert_int_equal(released, 0);
    assert_next(1);
}

static void hnd_04_a_handle_of_another_sandbox_is_none(void **state)
{
    struct halo_sandbox *const another = open_another(state);
    struct halo_handle foreign;
    void *object;

    assert_true(guest_open(box, 1));
    assert_true(guest_open(another, 2));
    foreign.number = guest_number(another);
    assert_forged(foreign.number);
    assert_int_equal(halo_handle_find(box, &cursors, foreign, &object), HALO_ESTALE);
    assert_next(1);
    halo_close(another);
    assert_int_equal(released, 1);
}

static void hnd_04_handles_end_with_a_restore(void **state)
{
    struct halo_snapshot *snapshot;
    uint64_t before;

    (void)state;
    assert_true(guest_open(box, 1));
    before = guest_number(box);
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    assert_next(1);
    assert_true(guest_open(box, 5));
    assert_int_equal(released, 0);
    assert_int_equal(halo_restore(box, snapshot), 0);
    assert_int_equal(released, 2);
    assert_int_equal(halo_handle_count(box), 0);
    assert_int_equal(guest_number(box), before); /* its memory has the number yet */
    assert_stale("next", NULL, 0);
    assert_true(guest_open(box, 9));
    assert_forged(before);
    assert_next(9);
    halo_snapshot_free(snapshot);
}

static void hnd_05_there_are_so_many_handles_and_no_more(void **state)
{
    struct halo_value arg = halo_i64(1);

    (void)state;
    for (uint32_t i = 0; i < MOST; i++)
        assert_true(guest_open(box, i));
    for (int i = 0; i < 3; i++) {
        (void)start(box, "open", FN(HALO_BOOL, HALO_I64), &arg, 1);
        assert_failed(5, "there are 40 handles already");
        assert_int_equal(halo_handle_count(box), MOST);
    }
    assert_next(MOST - 1);
    assert_int_equal(start(box, "close", FN(HALO_VOID), NULL, 0), 0);
    assert_true(guest_open(box, 1));
    (void)start(box, "open", FN(HALO_BOOL, HALO_I64), &arg, 1);
    assert_failed(5, "there are 40 handles already");
}

static void all_objects_are_released_when_the_sandbox_is_closed(void **state)
{
    for (int i = 0; i < 30; i++)
        assert_true(guest_open(box, i));
    assert_int_equal(released, 0);
    halo_future_free(&future);
    halo_close(box);
    assert_int_equal(released, 30);
    box = open_another(state);
}

/* An object that, as it is released, asks its sandbox for another handle, and whether it got it. */
struct heir {
    struct halo_sandbox *of;
    int error;
    uint32_t times;
};

static void release_heir(void *object);

static const struct halo_handle_kind heirs = {"heir", release_heir};

static void release_heir(void *object)
{
    struct heir *const heir = object;
    struct halo_handle handle;

    heir->times++;
    heir->error = halo_handle_create(heir->of, &heirs, heir, &handle);
    if (heir->error)
        assert_int_equal(handle.number, 0);
}

/* Else they would have no end, or be of a guest that was not given them. */
static void a_release_makes_no_handle_while_all_of_them_end(void **state)
{
    struct heir heir[20] = {{0}};
    struct halo_snapshot *snapshot;
    struct halo_handle handle;

    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    for (uint32_t turn = 1; turn <= 2; turn++) {
        for (uint32_t i = 0; i < 20; i++) {
            heir[i].of = box;
            assert_int_equal(halo_handle_create(box, &heirs, &heir[i], &handle), 0);
        }
        if (turn == 1)
            assert_int_equal(halo_restore(box, snapshot), 0);
        else
            halo_close(box);
        for (uint32_t i = 0; i < 20; i++) {
            assert_int_equal(heir[i].times, turn);
            assert_int_equal(heir[i].error, HALO_ESTATE);
        }
        if (turn == 1)
            assert_int_equal(halo_handle_count(box), 0);
    }
    halo_snapshot_free(snapshot);
    box = open_another(state);
}

static void a_limit_of_handles_is_judged(void **state)
{
    struct halo_options options = way_options(state);
    struct halo_sandbox *made;

    options.handles_max = HALO_HANDLES_MAX + 1;
    assert_int_equal(halo_open(&made, HANDLES, &options), HALO_EINVAL);
    assert_non_null(strstr(halo_errmsg(made), "handles_max"));
    halo_close(made);
}

static void every_place_can_be_used(void **state)
{
    struct halo_options options = way_options(state);
    struct halo_handle *handles = calloc(HALO_HANDLES_MAX, sizeof(*handles)), more;
    struct halo_sandbox *made;
    void *object;

    options.handles_max = HALO_HANDLES_MAX;
    assert_int_equal(halo_open(&made, HANDLES, &options), 0);
    for (uintptr_t i = 0; i < HALO_HANDLES_MAX; i++)
        assert_int_equal(halo_handle_create(made, &others, (void *)i, &handles[i]), 0);
    assert_int_equal(halo_handle_create(made, &others, NULL, &more), HALO_EFULL);
    assert_int_equal(more.number, 0);
    for (uintptr_t i = 0; i < HALO_HANDLES_MAX; i++) {
        assert_int_equal(halo_handle_find(made, &others, handles[i], &object), 0);
        assert_ptr_equal(object, (void *)i);
    }
    halo_close(made);
    free(handles);
}

static void rows_have_no_handles(void **state)
{
    static const uint64_t numbers[4];
    const struct halo_column column = halo_numbers(HALO_U64, numbers, NULL);
    const struct halo_signature type = HALO_FN(HALO_I64, HALO_HANDLE);
    static struct halo_rows rows;

    (void)state;
    assert_int_equal(halo_call_rows(box, &rows, halo_lookup(box, "use_other", &type), HALO_FOREVER,
                                    4, &column, 1),
                     HALO_ETYPE);
    assert_non_null(strstr(halo_errmsg(box), "has a list or a handle, which no column is of"));
    halo_rows_free(&rows);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(a_guest_holds_an_object_and_hands_it_back),
        TEST(a_host_gives_and_takes_handles),
        TEST(hnd_01_a_number_that_was_made_up_is_no_handle),
        TEST(hnd_02_a_handle_that_was_freed_is_stale),
        TEST(hnd_02_a_freed_handle_as_an_answer_is_stale),
        TEST(hnd_03_a_handle_of_another_kind_is_refused),
        TEST(hnd_04_a_handle_of_another_sandbox_is_none),
        TEST(hnd_04_handles_end_with_a_restore),
        TEST(hnd_05_there_are_so_many_handles_and_no_more),
        TEST(all_objects_are_released_when_the_sandbox_is_closed),
        TEST(a_release_makes_no_handle_while_all_of_them_end),
        TEST(a_limit_of_handles_is_judged),
        TEST(every_place_can_be_used),
        RINGS(rows_have_no_handles),
    };

    return run_every_way("handles", tests, sizeof(tests) / sizeof(tests[0]), open_box, close_box);
}
