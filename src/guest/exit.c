/* The end of a guest. */
#include "boot.h"
#include "stream/stream.h"

_Noreturn void halo_exit(int code)
{
    uint32_t handle;

    if (halo_flush() < 0 && code == 0 && halo__write_failed(&handle))
        halo__end_unwritten(handle); /* success would mean that all had arrived */
    for (;;)
        halo__doorbell(HALO_DOORBELL_HALT, (uint64_t)code, 0);
}
