/* costs: a guest that has its host hold and copy as much as it can, out of one buffer. */
#include "check.h"

#define LEN (16u << 20)

HALO_IMPORT(take, "host.take", HALO_VOID, HALO_BYTES);

static unsigned char bytes[LEN];

/* So many calls with the same bytes, which go out together: how many of them were served. */
HALO_EXPORT(calls, "calls", HALO_U32, HALO_U32, HALO_U32)
{
    static struct halo_future futures[100];
    const struct halo_value value = halo_bytes(bytes, args[1].u32);
    uint32_t served = 0;

    check(args[0].u32 <= 100 && args[1].u32 <= LEN, "too many");
    for (uint32_t i = 0; i < args[0].u32; i++)
        (void)halo_call_start(&futures[i], &take, &value, 1);
    for (uint32_t i = 0; i < args[0].u32; i++) {
        const int error = halo_wait(&futures[i]);

        check(error == 0 || error == HALO_ESIZE || error == HALO_ENOMEM, "another error");
        served += error == 0;
        halo_future_free(&futures[i]);
    }
    halo_return(call, halo_u32(served));
}

HALO_EXPORT(answer, "answer", HALO_BYTES, HALO_U32)
{
    check(args[0].u32 <= LEN, "too long");
    halo_return(call, halo_bytes(bytes, args[0].u32));
}

/* So many bytes of a stream, to or from memory that nobody has touched: how many it were. */
HALO_EXPORT(move, "move", HALO_U32, HALO_U32, HALO_BOOL)
{
    struct halo_future future;
    const uint32_t len = args[0].u32;
    uint32_t moved;
    int error;

    check(len <= LEN, "too long");
    error = args[1].boolean ? halo_stream_write_start(&future, HALO_STDOUT, bytes, len)
                            : halo_stream_read_start(&future, HALO_STDIN, bytes, len);
    check(error == 0 && halo_wait(&future) == 0, "cannot move");
    moved = (uint32_t)future.result.len;
    halo_future_free(&future);
    halo_return(call, halo_u32(moved));
}
