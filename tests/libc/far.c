/*
 * A plug-in with a C library whose memory lies at addresses that are no memory's own, and which
 * writes down where, as no runtime of ours would. tests/calls/test_paging.c.
 */
#include <halo/abi.h>
#include <halo/guest.h>
#include <halo/guest_rows.h>
#include <string.h>
#include <sys/mman.h>

#define PLACES 40u
#define APART ((300ull << 20) + 12288)

static unsigned char *area;

static unsigned char *place(uint64_t i)
{
    if (!area)
        area = mmap(NULL, 16ull << 30, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return area + i * APART;
}

/* Write so that it can be told from others. */
HALO_EXPORT(keep, "keep", HALO_U64, HALO_U64)
{
    for (uint64_t i = 0; i < PLACES; i++)
        memset(place(i), (int)(args[0].u64 + i), 9000);
    halo_return(call, halo_u64(0));
}

/* How many of those bytes are not as such a call has left them. */
HALO_EXPORT(look, "look", HALO_U64, HALO_U64)
{
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < PLACES; i++) {
        for (uint64_t j = 0; j < 9000; j++)
            wrong += place(i)[j] != (unsigned char)(args[0].u64 + i);
    }
    halo_return(call, halo_u64(wrong));
}

/* Make what was written to be read-only, and how it was; or give it back. */
HALO_EXPORT(guard, "guard", HALO_U64, HALO_U64)
{
    uint64_t failed = 0;

    for (uint64_t i = 0; i < PLACES; i++)
        failed += (args[0].u64 == 2 ? madvise(place(i), 12288, MADV_DONTNEED)
                                    : mprotect(place(i), 12288, (int)args[0].u64)) != 0;
    halo_return(call, halo_u64(failed));
}

/* In memory at its own address: all of it, and some of its pages, protected and not; and written.
 */
HALO_EXPORT(wall, "wall", HALO_U64, HALO_U64)
{
    static unsigned char pages[800][4096] __attribute__((aligned(4096)));
    uint64_t failed = mprotect(pages, sizeof(pages), PROT_READ) != 0;

    failed += mprotect(pages, sizeof(pages), PROT_READ | PROT_WRITE) != 0;
    for (uint64_t i = args[0].u64 % 100; i < 800; i += 300) {
        failed += mprotect(pages[i], 4096, PROT_NONE) != 0;
        failed += mprotect(pages[i], 4096, PROT_READ | PROT_WRITE) != 0;
        memset(pages[i], (int)(args[0].u64 + i), 4096);
    }
    for (uint64_t i = 0; i < 800; i++)
        pages[i][7] = (unsigned char)(pages[i][7] + args[0].u64 / 7);
    halo_return(call, halo_u64(failed));
}

static struct halo_save *save(void)
{
    return (struct halo_save *)(uintptr_t)halo_boot_page()->save;
}

static struct halo_area forged_area;
static uint32_t forged_units[64];
static unsigned char room[3 * HALO_UNIT_LEN];

/*
 * Put down that the unit at `first` is what lies at the first of all such addresses, and use it:
 * what is read there.
 */
static uint64_t use(uint64_t first, uint64_t prot, bool writes)
{
    volatile unsigned char *at = (volatile unsigned char *)HALO_PAGING_BASE;
    const struct halo_paging forged = {.areas = (uint64_t)(uintptr_t)&forged_area,
                                       .units = (uint64_t)(uintptr_t)forged_units,
                                       .first = first,
                                       .area_count = 1,
                                       .unit_count = 1};

    forged_area = (struct halo_area){HALO_PAGING_BASE, 1u << 20, prot};
    forged_units[0] = 1;
    memcpy((void *)&save()->paging, &forged, sizeof(forged));
    if (writes)
        at[5] = 0x77;
    return at[5];
}

/* A word in this page that says that a unit is free. */
static const uint32_t *free_word(uint64_t in)
{
    const uint32_t *at = (const uint32_t *)(uintptr_t)(in / HALO_PAGE * HALO_PAGE);

    while (*at)
        at++;
    return at;
}

static uint64_t own_unit(void)
{
    return ((uint64_t)(uintptr_t)room + HALO_UNIT_LEN - 1) / HALO_UNIT_LEN * HALO_UNIT_LEN;
}

enum kind {
    OWN,        /* data of its own: that may be */
    CODE,       /* its program's code, to be written to */
    POOL,       /* what the host gives out for descriptors */
    RINGS,      /* and the rings */
    BOOT,       /* the page that says what the host is like */
    OUTSIDE,    /* no memory at all */
    BEYOND,     /* the last unit ends beyond memory */
    ODD,        /* not at a multiple of its length */
    EXECUTE,    /* data, to be executed */
    FROZEN,     /* data that was made read-only where it is */
    MANY,       /* more areas than there may be */
    NOWHERE,    /* areas that are not in guest memory */
    UNITS,      /* units that are not */
    ELSEWHERE,  /* an area that reaches beyond the addresses that there are */
    NOTED,      /* whose unit is whose is noted in the page of the doorbell, */
    NOTED_CODE, /* in its program's code, which the host would write, */
    NOTED_ODD   /* or where no word begins */
};

HALO_EXPORT(forge, "forge", HALO_U64, HALO_U64)
{
    const struct halo_boot *boot = halo_boot_page();
    const uint64_t code = (uint64_t)(uintptr_t)&own_unit / HALO_UNIT_LEN * HALO_UNIT_LEN;
    const uint64_t kind = args[0].u64, all = PROT_READ | PROT_WRITE | PROT_EXEC;
    unsigned char *own = (unsigned char *)(uintptr_t)own_unit();
    uint64_t got = 0;

    own[5] = 0xc3; /* ret */
    own[0] = 0xc3;
    if (kind == OWN)
        got = use(own_unit(), all, true) == 0x77 && own[5] == 0x77;
    else if (kind == CODE)
        got = use(code, all, true);
    else if (kind == POOL)
        got =
            use((boot->pool_base + HALO_UNIT_LEN - 1) / HALO_UNIT_LEN * HALO_UNIT_LEN, all, false);
    else if (kind == RINGS)
        got = use(boot->queue[0].desc / HALO_UNIT_LEN * HALO_UNIT_LEN, all, false);
    else if (kind == BOOT)
        got = use((uint64_t)(uintptr_t)boot / HALO_UNIT_LEN * HALO_UNIT_LEN, all, true);
    else if (kind == OUTSIDE)
        got = use(0x60000000, all, true);
    else if (kind == BEYOND)
        got = use(boot->ram_base + boot->ram_len, all, true);
    else if (kind == ODD)
        got = use(own_unit() + HALO_PAGE, all, false);
    else if (kind == EXECUTE) {
        (void)use(own_unit(), all, false);
        ((void (*)(void))(uintptr_t)HALO_PAGING_BASE)();
        got = 1;
    } else if (kind == FROZEN) {
        mprotect(own, HALO_UNIT_LEN, PROT_READ);
        got = use(own_unit(), all, true);
    } else {
        (void)use(own_unit(), PROT_READ, false);
        if (kind == MANY)
            save()->paging.area_count = HALO_AREAS_MAX + 1;
        if (kind == NOWHERE)
            save()->paging.areas = UINT64_MAX - 7;
        if (kind == UNITS)
            save()->paging.units = boot->ram_base + boot->ram_len - 2;
        if (kind == ELSEWHERE)
            forged_area.len = UINT64_MAX / HALO_PAGE * HALO_PAGE;
        if (kind == NOTED)
            save()->paging.units = (uint64_t)(uintptr_t)free_word(boot->doorbell);
        if (kind == NOTED_CODE)
            save()->paging.units = (uint64_t)(uintptr_t)free_word((uint64_t)(uintptr_t)&own_unit);
        if (kind == NOTED_ODD)
            save()->paging.units++;
        forged_area.prot = all;
        *(volatile unsigned char *)HALO_PAGING_BASE = 1;
        got = 1;
    }
    halo_return(call, halo_u64(got));
}

/* What is asked of the host by its code: the result. */
HALO_EXPORT(ask, "ask", HALO_I64, HALO_U64, HALO_U64, HALO_U64)
{
    const struct halo_boot *boot = halo_boot_page();
    int64_t (*protect)(uint64_t, uint64_t, uint64_t) =
        (int64_t(*)(uint64_t, uint64_t, uint64_t))(uintptr_t)boot->protect;
    int64_t (*release)(uint64_t, uint64_t) =
        (int64_t(*)(uint64_t, uint64_t))(uintptr_t)boot->release;

    halo_return(call, halo_i64(args[2].u64 ? protect(args[0].u64, args[1].u64, args[2].u64)
                                           : release(args[0].u64, args[1].u64)));
}
