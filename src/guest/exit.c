/* The end of a guest. */
#include "boot.h"

_Noreturn void halo_exit(int code)
{
    if (halo_flush() < 0 && code == 0)
        code = 1;
    for (;;)
        halo__doorbell(HALO_DOORBELL_HALT, (uint64_t)code, 0);
}
