/*
 * Call sites that trap: counted, and at the eighth time the host is asked to rewrite one, where its
 * code is of the kind that can be (HALO_DOORBELL_PATCH), and all its calls so far were those that
 * this code makes. A site is asked for once.
 */
#include "patch.h"
#include "../port.h"

enum { SITES = 256, TRIES = 4, OFTEN = 8, MOV = 0xb8, MOV_LEN = 5, SYSCALL_LEN = 2 };

struct site {
    uint64_t rip; /* behind the instruction; 0: free */
    uint32_t count;
};

static struct site sites[SITES];

/* Its place, new or not; NULL where others are. */
static struct site *site_of(uint64_t rip)
{
    for (uint64_t i = 0; i < TRIES; i++) {
        struct site *site = &sites[(rip / 4 + rip / 1024 + i) % SITES];

        if (site->rip == 0)
            site->rip = rip;
        if (site->rip == rip)
            return site;
    }
    return NULL;
}

/* Does the code before it make this call, and no other? */
static bool makes(const struct linux_table *table, uint64_t rip, uint64_t number)
{
    const uint64_t from = rip - SYSCALL_LEN - MOV_LEN;
    const unsigned char *code = (const unsigned char *)(uintptr_t)from;
    uint32_t said;

    if (!linux_may_read(table, from, MOV_LEN))
        return false;
    memcpy(&said, code + 1, sizeof(said));
    return code[0] == MOV && said == number;
}

void halo__linux_trap(const struct linux_table *table, uint64_t rip, uint64_t number)
{
    struct site *site = halo_boot_page()->patches ? site_of(rip) : NULL;

    if (!site || site->count >= OFTEN)
        return;
    site->count = makes(table, rip, number) ? site->count + 1 : OFTEN + 1;
    if (site->count == OFTEN)
        halo__doorbell(HALO_DOORBELL_PATCH, rip - SYSCALL_LEN, 0);
}
