/* Lists of numbers as values, in both directions, on every backend. */
#include <halo/executor.h>
#include <halo/later.h>
#include <halo/rows.h>
#include <poll.h>
#include <sched.h>
#include "../guests/types.h"
#include "ways.h"

#define SECONDS (1000000000ll)
#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))
#define COUNT_MAX 5000u

static struct halo_sandbox *box;
static struct halo_future future;
static const struct halo_value *sent; /* the 16 of the call that is made */
static struct halo_pending *kept;     /* of another thread's, too */
static bool keeps;

/* --- The host's functions --------------------------------------------------------------------- */

static bool is_aligned(const struct halo_value *list)
{
    const size_t len = halo_element_len(list->type);

    return len == 0 || list->len == 0 || (uintptr_t)list->bytes % len == 0;
}

static bool is_same(const struct halo_value *a, const struct halo_value *b)
{
    return a->type == b->type && a->len == b->len && is_aligned(b) &&
           (a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
}

static void back(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct halo_pending *pending;

    (void)context;
    assert_true(is_aligned(&args[0]));
    if (keeps) {
        assert_int_equal(halo_keep(call, &pending, NULL, NULL), 0);
        __atomic_store_n(&kept, pending, __ATOMIC_RELEASE);
        return;
    }
    assert_int_equal(halo_return(call, args[0]), 0);
}

static void back_many(struct halo_call *call, const struct halo_value *args, void *context)
{
    int64_t same = 0;

    (void)context;
    for (uint32_t i = 0; i < 16; i++)
        same += is_same(&sent[i], &args[i]);
    halo_return(call, halo_i64(same));
}

static void strict(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64((int64_t)args[0].len));
}

/* --- Setting up ------------------------------------------------------------------------------- */

static void provide(const char *name, struct halo_signature type, halo_function *function)
{
    if (halo_provide(box, name, &type, function, NULL))
        fail_msg("%s", halo_errmsg(box));
}

#define PROVIDE(suffix, TYPE) \
    provide("back." #suffix, FN(MAYBE_LIST(TYPE), MAYBE_LIST(TYPE)), back);

static int open_box(void **state)
{
    struct halo_options options = way_options(state);

    options.ram_len = 128ull << 20;
    options.held_max = 256ull << 20;
    if (halo_open(&box, LISTS, &options))
        fail_msg("%s", halo_errmsg(box));
    EACH_NUMBER(PROVIDE)
    provide("back.many", FN(HALO_I64, MANY_LISTS), back_many);
    provide("back.strict", FN(HALO_I64, HALO_LIST | HALO_F64), strict);
    if (halo_serve_begin(box, 20 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    return 0;
}

static int close_box(void **state)
{
    (void)state;
    halo_future_free(&future);
    halo_close(box);
    return 0;
}

static int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

/* The result is the future's until the next call. */
static const struct halo_value *call(int callee, const struct halo_value *args, size_t count)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, callee, args, count);
    if (halo_wait(&future, HALO_FOREVER))
        fail_msg("%s", future.text);
    return &future.result;
}

/* Bytes that are elements of any type: those of a bool are 0 and 1. */
static unsigned char *elements(size_t len)
{
    unsigned char *bytes = malloc(len);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (i * 2654435761u >> 9) & 1;
    return bytes;
}

/* --- Lists ------------------------------------------------------------------------------------ */

/* Short ones, those around the length of what is short, and long ones, twice: it learns. */
static void every_list_comes_back_aligned(void **state)
{
    static const char *const names[] = {"", "i32", "u32", "i64", "u64", "f32", "f64", "bool"};
    static const char *const ways[] = {"echo", "pass"};
    static const size_t counts[] = {0, 1, 3, 31, 32, 33, 64, 65, 256, 257, 1001, COUNT_MAX};
    unsigned char *bytes = elements(8 * COUNT_MAX);

    (void)state;
    for (unsigned type = HALO_I32; type <= HALO_BOOL; type++) {
        for (int way = 0; way < 2; way++) {
            const struct halo_value absent = halo_null();
            char name[32];
            int callee;

            (void)snprintf(name, sizeof(name), "%s.%s", ways[way], names[type]);
            callee = function(name, FN((uint8_t)(MAYBE_LIST(type)), (uint8_t)(MAYBE_LIST(type))));
            assert_true(halo_is_null(call(callee, &absent, 1)));
            for (size_t i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
                const struct halo_value list =
                    halo_list((enum halo_type)(type | HALO_LIST), bytes, counts[i / 2]);

                assert_int_equal(halo_count(&list), counts[i / 2]);
                assert_true(is_same(&list, call(callee, &list, 1)));
            }
        }
    }
    free(bytes);
}

/* From where they are not aligned, of odd lengths: what is short goes together with what is long.
 */
static void many_lists_of_any_length_share_a_call(void **state)
{
    static const size_t lens[] = {0, 1, 3, 5, 31, 33, 63, 65, 255, 257, 300, 1001};
    const struct halo_signature type = HALO_FN(HALO_I64, MANY_LISTS);
    const int callee = function("many", type);
    unsigned char *bytes = elements(8 * 1001 + 16);
    struct halo_value args[16];
    char text[1002];

    (void)state;
    memset(text, 'x', 1001);
    for (size_t k = 0; k < 40; k++) {
        text[lens[(k + 9) % 12]] = '\0';
        for (size_t i = 0; i < 16; i++) {
            const enum halo_type of = (enum halo_type)type.types[1 + i];
            const size_t count = lens[k < 12 ? k : (k * 5 + i * 7) % 12];

            args[i] = of == HALO_STR     ? halo_str(text)
                      : of == HALO_BYTES ? halo_bytes(bytes + i, count)
                                         : halo_list(of, bytes + i, count);
        }
        sent = args;
        assert_int_equal(call(callee, args, 16)->i64, 16);
        text[lens[(k + 9) % 12]] = 'x';
    }
    free(bytes);
}

static void a_list_of_16_mib_goes_both_ways(void **state)
{
    const size_t count = HALO_VALUE_MAX / sizeof(double);
    double *numbers = calloc(count + 1, sizeof(*numbers));
    struct halo_value list = halo_f64s(numbers, count);
    const int sum = function("sum", FN(HALO_F64, HALO_LIST | HALO_F64));
    const int pass = function(
        "pass.f64", FN(HALO_LIST | HALO_MAYBE | HALO_F64, HALO_LIST | HALO_MAYBE | HALO_F64));

    (void)state;
    for (size_t i = 0; i < count; i++)
        numbers[i] = (double)(i % 17);
    assert_true(is_same(&list, call(pass, &list, 1)));
    assert_true(call(sum, &list, 1)->f64 > 16e6);
    list = halo_f64s(numbers, count + 1);
    halo_future_free(&future);
    assert_int_equal(halo_call_start(box, &future, sum, &list, 1), HALO_ESIZE);
    free(numbers);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void assert_refused(int callee, struct halo_value list, int error, const char *words)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, callee, &list, 1);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), error);
    if (!strstr(future.text, words))
        fail_msg("%s", future.text);
}

static void rpc_12_what_is_no_list_of_its_type_is_refused_by_name(void **state)
{
    static const double numbers[4];
    static const unsigned char two = 2;
    const int sum = function("sum", FN(HALO_F64, HALO_LIST | HALO_F64));
    const int bools = function(
        "echo.bool", FN(HALO_LIST | HALO_MAYBE | HALO_BOOL, HALO_LIST | HALO_MAYBE | HALO_BOOL));
    const int wrong = function("wrong", FN(HALO_I64, HALO_U32));
    struct halo_value list = halo_f64s(numbers, 4);

    (void)state;
    assert_refused(sum, halo_i64s((const void *)numbers, 4), HALO_ETYPE,
                   "sum: argument 1 is i64[] and not f64[]: f64(f64[])");
    assert_refused(sum, halo_f64(1), HALO_ETYPE, "is f64 and not f64[]");
    assert_refused(sum, halo_null(), HALO_ETYPE, "is absent and not f64[]");
    assert_refused(sum, halo_f64s(NULL, 1), HALO_EINVAL, "a list that is none");
    list.len--;
    assert_refused(sum, list, HALO_EINVAL, "a list that is none");
    assert_refused(sum, halo_f64s(numbers, SIZE_MAX / 4), HALO_EINVAL, "a list that is none");
    assert_refused(bools, halo_list((enum halo_type)(HALO_LIST | HALO_BOOL), &two, 1), HALO_EINVAL,
                   "a list that is none");
    assert_refused(wrong, halo_u32(0), HALO_ECALL, "not those of its signature");
    assert_refused(wrong, halo_u32(1), HALO_ECALL, "not those of its signature");
    assert_refused(wrong, halo_u32(2), HALO_ECALL, "is i64[], and its signature says f64[]");
    halo_future_free(&future);
    assert_int_equal(
        halo_call_start(box, &future, function("untrue", FN(HALO_LIST | HALO_BOOL)), NULL, 0), 0);
    assert_int_equal(halo_wait(&future, HALO_FOREVER), HALO_EINVAL);
}

static void rows_have_no_lists(void **state)
{
    static const double numbers[4];
    const struct halo_column column = halo_numbers(HALO_F64, numbers, NULL);
    const int sum = function("sum", FN(HALO_F64, HALO_LIST | HALO_F64));
    static struct halo_rows rows;

    (void)state;
    assert_int_equal(halo_call_rows(box, &rows, sum, HALO_FOREVER, 4, &column, 1), HALO_ETYPE);
    assert_string_equal(halo_errmsg(box),
                        "sum has a list or a handle, which no column is of: call it row by row");
    halo_rows_free(&rows);
}

static int told;

static void is_told(struct halo_task *task, void *context)
{
    (void)task;
    (void)context;
    told++;
}

#define LEN 1001

static void set(int64_t *numbers, int64_t first)
{
    for (int i = 0; i < LEN; i++)
        numbers[i] = first + i;
}

static void assert_numbers(const struct halo_value *list, int64_t first)
{
    assert_int_equal(halo_count(list), LEN);
    for (int i = 0; i < LEN; i++)
        assert_int_equal(list->i64s[i], first + i);
}

/* A list that is submitted, or said later, is the caller's again at once. */
static void lists_are_copied_for_an_executor(void **state)
{
    const struct halo_signature type = HALO_FN(MAYBE_LIST(HALO_I64), MAYBE_LIST(HALO_I64));
    const int echo = function("echo.i64", type), pass = function("pass.i64", type);
    static struct halo_task tasks[2];
    struct halo_executor *executor;
    static int64_t numbers[LEN];
    const struct halo_value list = halo_i64s(numbers, LEN);
    struct halo_pending *pending;

    (void)state;
    told = 0;
    kept = NULL;
    keeps = true;
    tasks[0] = tasks[1] = (struct halo_task){.done = is_told};
    assert_int_equal(halo_executor_open(&executor, 1), 0);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    assert_int_equal(halo_submit(box, &tasks[0], pass, &list, 1, 60 * SECONDS), 0);
    set(numbers, 1);
    assert_int_equal(halo_submit(box, &tasks[1], echo, &list, 1, 60 * SECONDS), 0);
    set(numbers, 2); /* the one before it waits for us */
    while (!(pending = __atomic_load_n(&kept, __ATOMIC_ACQUIRE)))
        sched_yield();
    assert_int_equal(halo_return_later(pending, halo_null()), 0);
    while (told < 2) {
        assert_int_equal(
            poll(&(struct pollfd){.fd = halo_fd(executor), .events = POLLIN}, 1, 60000), 1);
        (void)halo_turn(executor);
    }
    assert_int_equal(tasks[1].error, 0);
    assert_numbers(&tasks[1].future.result, 1);
    halo_future_free(&tasks[0].future);
    halo_future_free(&tasks[1].future);
    assert_int_equal(halo_executor_detach(box), 0);

    (void)halo_call_start(box, &future, pass, &list, 1);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), HALO_EDEADLOCK);
    assert_int_equal(halo_executor_attach(executor, box), 0);
    set(numbers, 3);
    assert_int_equal(halo_return_later(kept, list), 0);
    set(numbers, 4); /* nothing runs it before it is detached */
    assert_int_equal(halo_executor_detach(box), 0);
    assert_int_equal(halo_wait(&future, 60 * SECONDS), 0);
    assert_numbers(&future.result, 3);
    keeps = false;
    assert_int_equal(halo_executor_close(executor), 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        TEST(every_list_comes_back_aligned),
        TEST(many_lists_of_any_length_share_a_call),
        RINGS(a_list_of_16_mib_goes_both_ways),
        TEST(rpc_12_what_is_no_list_of_its_type_is_refused_by_name),
        RINGS(rows_have_no_lists),
        IN_TURNS(lists_are_copied_for_an_executor),
    };

    return run_every_way("lists", tests, sizeof(tests) / sizeof(tests[0]), open_box, close_box);
}
