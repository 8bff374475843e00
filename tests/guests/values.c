/*
 * values: a guest whose functions, and those of its host, have values that may be absent, and 16
 * arguments. For tests/calls/test_values.c.
 */
#include <halo/guest.h>
#include <halo/guest_rows.h>
#include "types.h"

/* The host's: each gives back its only argument, or the one of its 16 whose number is 16. */
#define BACK(suffix, TYPE) HALO_IMPORT(back_##suffix, "back." #suffix, MAYBE(TYPE), MAYBE(TYPE));

EACH_TYPE(BACK)
HALO_IMPORT(back_mixed, "back.mixed", MAYBE(HALO_STR), MIXED);
HALO_IMPORT(back_texts, "back.texts", HALO_STR, SIXTEEN(HALO_STR));
HALO_IMPORT(back_small, "back.small", MAYBE(HALO_I64), HALO_BOOL, MAYBE(HALO_I32),
            MAYBE(HALO_BOOL));
HALO_IMPORT(back_chosen, "back.chosen", MAYBE(HALO_STR), MAYBE(HALO_U32));
HALO_IMPORT(back_strict, "back.strict", HALO_I64, HALO_I64, HALO_STR);

/* Through the host and back. */
static void pass(struct halo_call *call, struct halo_import *import, const struct halo_value *args,
                 size_t count)
{
    struct halo_future future;

    (void)halo_call_start(&future, import, args, count);
    if (halo_wait(&future))
        halo_fail(call, future.code > 0 ? future.code : -future.error, future.text);
    else
        halo_return(call, future.result);
    halo_future_free(&future);
}

/* Given back here, and by the host. */
#define ECHO(suffix, TYPE)                                                \
    HALO_EXPORT(echo_##suffix, "echo." #suffix, MAYBE(TYPE), MAYBE(TYPE)) \
    {                                                                     \
        halo_return(call, args[0]);                                       \
    }                                                                     \
    HALO_EXPORT(pass_##suffix, "pass." #suffix, MAYBE(TYPE), MAYBE(TYPE)) \
    {                                                                     \
        pass(call, &back_##suffix, args, 1);                              \
    }

EACH_TYPE(ECHO)

HALO_EXPORT(mixed, "mixed", MAYBE(HALO_STR), MIXED)
{
    pass(call, &back_mixed, args, 16);
}

HALO_EXPORT(texts, "texts", HALO_STR, SIXTEEN(HALO_STR))
{
    pass(call, &back_texts, args, 16);
}

HALO_EXPORT(small, "small", MAYBE(HALO_I64), HALO_BOOL, MAYBE(HALO_I32), MAYBE(HALO_BOOL))
{
    pass(call, &back_small, args, 3);
}

HALO_EXPORT(chosen, "chosen", MAYBE(HALO_STR), MAYBE(HALO_U32))
{
    pass(call, &back_chosen, args, 1);
}

/* What this program does wrong with the host's i64(i64, str), by number. */
HALO_EXPORT(wrong, "wrong", HALO_I64, HALO_U32)
{
    const struct halo_value absent[] = {halo_i64(1), halo_null()};
    const struct halo_value other[] = {halo_i32(1), halo_str("")};

    pass(call, &back_strict, args[0].u32 == 0 ? absent : other, 2);
}

/* A result that must not be absent. */
HALO_EXPORT(absent, "absent", HALO_I64)
{
    halo_return(call, halo_null());
}

HALO_EXPORT(mute, "mute", MAYBE(HALO_I64))
{
}

/* --- With rows -------------------------------------------------------------------------------- */

/* A row without a first number has the second; without a second, nothing. */
HALO_EXPORT(either, "either", MAYBE(HALO_I64), MAYBE(HALO_I64), HALO_I64)
{
    halo_return(call, halo_is_null(&args[0]) ? args[1]
                      : args[1].i64 == 0     ? halo_null()
                                             : halo_i64(args[0].i64 + args[1].i64));
}

HALO_EXPORT(name, "name", MAYBE(HALO_STR), MAYBE(HALO_STR))
{
    halo_return(call, halo_is_null(&args[0]) ? halo_str("nobody")
                      : args[0].len == 0     ? halo_null()
                                             : args[0]);
}

HALO_EXPORT_ROWS(count, "count", MAYBE(HALO_I64), MAYBE(HALO_I64), MAYBE(HALO_STR))
{
    int64_t *to = rows->result;

    for (uint32_t i = 0; i < rows->count; i++) {
        to[i] = halo_column_has(&rows->args[0], i) + halo_column_has(&rows->args[1], i);
        if (to[i] == 0)
            halo_rows_absent(rows, i);
    }
}
