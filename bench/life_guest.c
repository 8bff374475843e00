/* The guest of bench/life.c: it writes to pages of its memory, when it is called. */
#include <halo/guest.h>
#include <stdlib.h>
#include <string.h>

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

static unsigned char *memory;
static uint32_t page_count;

/* Have so many pages more, all of them written, */
HALO_EXPORT(grow, "grow", HALO_U32, HALO_U32)
{
    page_count = args[0].u32;
    memory = malloc((size_t)page_count * 4096);
    if (!memory)
        halo_panic("no memory");
    memset(memory, 1, (size_t)page_count * 4096);
    halo_return(call, halo_u32(0));
}

/* and write to so many of these, far from each other. */
HALO_EXPORT(among, "among", HALO_U32, HALO_U32)
{
    for (uint32_t i = 0; i < args[0].u32 && i < page_count; i++)
        memory[(size_t)i * (page_count / args[0].u32) * 4096]++;
    halo_return(call, halo_u32(++calls));
}
