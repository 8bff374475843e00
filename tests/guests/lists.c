/*
 * lists: a guest whose functions, and those of its host, have lists. For tests/calls/test_lists.c.
 */
#include <halo/guest.h>
#include "types.h"

/* The host's: each gives back its only argument, or the one of its 16 whose number is given. */
#define BACK(suffix, TYPE) \
    HALO_IMPORT(back_##suffix, "back." #suffix, MAYBE_LIST(TYPE), MAYBE_LIST(TYPE));

EACH_NUMBER(BACK)
HALO_IMPORT(back_many, "back.many", HALO_I64, MANY_LISTS);
HALO_IMPORT(back_strict, "back.strict", HALO_I64, HALO_LIST | HALO_F64);

static void answer(struct halo_call *call, struct halo_future *future)
{
    if (halo_wait(future))
        halo_fail(call, future->code > 0 ? future->code : -future->error, future->text);
    else
        halo_return(call, future->result);
    halo_future_free(future);
}

static bool is_aligned(const struct halo_value *list)
{
    const size_t len = halo_element_len(list->type);

    return len == 0 || list->len == 0 || (uintptr_t)list->bytes % len == 0;
}

static void check(const struct halo_value *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_aligned(&values[i]))
            halo_panic("a list that is not aligned");
    }
}

/* Through the host and back. */
static void pass(struct halo_call *call, struct halo_import *import, const struct halo_value *args,
                 size_t count)
{
    struct halo_future future;

    check(args, (uint32_t)count);
    (void)halo_call_start(&future, import, args, count);
    (void)halo_wait(&future);
    check(&future.result, 1);
    answer(call, &future);
}

/* Given back here, and by the host. */
#define ECHO(suffix, TYPE)                                                          \
    HALO_EXPORT(echo_##suffix, "echo." #suffix, MAYBE_LIST(TYPE), MAYBE_LIST(TYPE)) \
    {                                                                               \
        check(args, 1);                                                             \
        halo_return(call, args[0]);                                                 \
    }                                                                               \
    HALO_EXPORT(pass_##suffix, "pass." #suffix, MAYBE_LIST(TYPE), MAYBE_LIST(TYPE)) \
    {                                                                               \
        pass(call, &back_##suffix, args, 1);                                        \
    }

EACH_NUMBER(ECHO)

HALO_EXPORT(many, "many", HALO_I64, MANY_LISTS)
{
    pass(call, &back_many, args, 16);
}

HALO_EXPORT(sum, "sum", HALO_F64, HALO_LIST | HALO_F64)
{
    double total = 0;

    check(args, 1);
    for (size_t i = 0; i < halo_count(&args[0]); i++)
        total += args[0].f64s[i];
    halo_return(call, halo_f64(total));
}

/* Lists that are none, and of another type. */
HALO_EXPORT(wrong, "wrong", HALO_I64, HALO_U32)
{
    static const double numbers[] = {1, 2};
    struct halo_value list = halo_f64s(numbers, 2);
    struct halo_future future;

    if (args[0].u32 == 0)
        list.len--;
    else if (args[0].u32 == 1)
        list.bytes = NULL;
    else
        list = halo_i64s((const int64_t *)(const void *)numbers, 2);
    (void)halo_call_start(&future, &back_strict, &list, 1);
    answer(call, &future);
}

/* A bool that is none, as an answer. */
HALO_EXPORT(untrue, "untrue", HALO_LIST | HALO_BOOL)
{
    static const unsigned char bytes[] = {0, 1, 2};

    halo_return(call, halo_list((enum halo_type)(HALO_LIST | HALO_BOOL), bytes, sizeof(bytes)));
}
