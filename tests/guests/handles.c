/* handles: a guest that holds its host's objects, and makes some up. For
 * tests/calls/test_handles.c. */
#include <halo/guest.h>

HALO_IMPORT(host_open, "host.open", HALO_HANDLE | HALO_MAYBE, HALO_I64);
HALO_IMPORT(host_next, "host.next", HALO_I64, HALO_HANDLE);
HALO_IMPORT(host_close, "host.close", HALO_VOID, HALO_HANDLE);
HALO_IMPORT(host_other, "host.other", HALO_HANDLE, HALO_HANDLE | HALO_MAYBE, HALO_STR);
HALO_IMPORT(host_use_other, "host.use_other", HALO_I64, HALO_HANDLE);

static struct halo_value kept; /* by `open`, for the others */

static void pass(struct halo_call *call, struct halo_import *import, const struct halo_value *args,
                 size_t count)
{
    struct halo_future future;

    (void)halo_call_start(&future, import, args, count);
    if (halo_wait(&future) == 0)
        halo_return(call, future.result);
    else
        halo_fail(call, future.code > 0 ? future.code : -future.error, future.text);
    halo_future_free(&future);
}

/* An object that begins with a number; it is kept. */
HALO_EXPORT(open, "open", HALO_BOOL, HALO_I64)
{
    struct halo_future future;

    if (halo_call(&future, &host_open, args[0]))
        halo_fail(call, future.code > 0 ? future.code : -future.error, future.text);
    else
        halo_return(call, halo_bool(!halo_is_null(&future.result)));
    if (!future.error)
        kept = future.result;
    halo_future_free(&future);
}

HALO_EXPORT(next, "next", HALO_I64)
{
    pass(call, &host_next, &kept, 1);
}

HALO_EXPORT(shut, "close", HALO_VOID)
{
    pass(call, &host_close, &kept, 1);
}

/* The number of the one that is kept, and another number as a handle. */
HALO_EXPORT(number, "number", HALO_U64)
{
    halo_return(call, halo_u64(kept.handle.number));
}

static struct halo_value made_up(uint64_t number)
{
    return halo_handle_value((struct halo_handle){number});
}

HALO_EXPORT(forge, "forge", HALO_I64, HALO_U64)
{
    const struct halo_value handle = made_up(args[0].u64);

    pass(call, &host_next, &handle, 1);
}

/* How many of so many numbers from there on are handles. */
HALO_EXPORT(forge_many, "forge_many", HALO_I64, HALO_U64, HALO_U64, HALO_U32)
{
    int64_t found = 0;

    for (uint32_t i = 0; i < args[2].u32; i++) {
        struct halo_future future;

        if (halo_call(&future, &host_next, made_up(args[0].u64 + i * args[1].u64)) == 0)
            found++;
        else if (future.error != HALO_ESTALE)
            halo_panic("another error");
        halo_future_free(&future);
    }
    halo_return(call, halo_i64(found));
}

/* Past the compact form: with a text beside it, and as an answer. */
HALO_EXPORT(other, "other", HALO_HANDLE, HALO_HANDLE | HALO_MAYBE, HALO_STR)
{
    pass(call, &host_other, args, 2);
}

HALO_EXPORT(use_other, "use_other", HALO_I64, HALO_HANDLE)
{
    pass(call, &host_use_other, args, 1);
}

HALO_EXPORT(give, "give", HALO_HANDLE | HALO_MAYBE, HALO_U64)
{
    halo_return(call, args[0].u64 ? made_up(args[0].u64) : halo_null());
}

HALO_EXPORT(keep, "keep", HALO_VOID, HALO_HANDLE)
{
    kept = args[0];
}

/* Another type where a handle has to be. */
HALO_EXPORT(wrong, "wrong", HALO_I64)
{
    const struct halo_value number = halo_u64(kept.handle.number);

    pass(call, &host_next, &number, 1);
}
