/* Keeps calls of its host's, and answers them later: tests/calls/test_kept_exports.c. */
#include <halo/guest.h>

static struct halo_call *kept[64];
static int64_t values[64];
static uint32_t count;

/* Twice the value, when somebody calls "answer". */
HALO_EXPORT(twice, "twice", HALO_I64, HALO_I64)
{
    struct halo_call *const mine = halo_keep(call);

    if (!mine) {
        halo_return(call, halo_i64(-1));
        return;
    }
    values[count] = args[0].i64;
    kept[count++] = mine;
    if (halo_keep(call) || halo_return(call, halo_i64(0)) != HALO_ESTATE)
        halo_panic("a call was answered twice");
}

/* The newest first: how many there were. With an argument above 0 they fail, with that code. */
HALO_EXPORT(answer, "answer", HALO_U32, HALO_I32)
{
    const uint32_t all = count;

    while (count > 0) {
        count--;
        if (args[0].i32 > 0 ? halo_fail_later(kept[count], args[0].i32, "later")
                            : halo_return_later(kept[count], halo_i64(2 * values[count])))
            halo_panic("a call was not answered");
    }
    halo_return(call, halo_u32(all));
}

int main(void)
{
    return halo_serve();
}
