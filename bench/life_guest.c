/* The guest of bench/life.c: it writes to pages of its memory, when it is called. */
#include <halo/guest.h>

#define PAGES 2048u

static unsigned char pages[PAGES][4096] __attribute__((aligned(4096)));
static uint32_t calls;

/* How many calls this sandbox has seen. */
HALO_EXPORT(touch, "touch", HALO_U32, HALO_U32)
{
    for (uint32_t i = 0; i < args[0].u32 && i < PAGES; i++)
        pages[i][0]++;
    halo_return(call, halo_u32(++calls));
}
