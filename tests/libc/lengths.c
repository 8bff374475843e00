/* A plug-in with a C library, whose calls are longer than what its library keeps for itself. */
#include <halo/guest_rows.h>
#include <stdlib.h>
#include <string.h>

#define MINE (4u << 20)

static unsigned char *mine; /* of the program's own, while calls come and go */

/* The sum of the bytes; of none, begin to look after some memory. */
HALO_EXPORT(sum, "sum", HALO_U64, HALO_BYTES)
{
    const unsigned char *bytes = args[0].bytes;
    uint64_t total = 0;

    if (!mine) {
        mine = malloc(MINE);
        memset(mine, 0x5a, MINE);
    }
    for (size_t i = 0; i < args[0].len; i++)
        total += bytes[i];
    for (size_t i = 0; i < MINE; i++) {
        if (mine[i] != 0x5a)
            halo_panic("the program's memory was another's, too");
    }
    halo_return(call, halo_u64(total));
}

HALO_EXPORT_ROWS(half, "half", HALO_F64, HALO_F64)
{
    const double *values = rows->args[0].values;
    double *to = rows->result;

    for (uint32_t i = 0; i < rows->count; i++)
        to[i] = values[i] / 2;
}
