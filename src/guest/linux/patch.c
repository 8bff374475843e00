/*
 * Call sites that trap: counted, and at the eighth time the host is asked to rewrite one, where its
 * code is of the kind that can be (HALO_DOORBELL_PATCH), and all its calls so far were those that
 * this code makes. Others at the 64th: what is behind the instruction gives way there, so that no
 * branch of the program's may lead to it; and a call that stands there already, or is made again,
 * goes on where that is now. A site is asked for once.
 */
#include "patch.h"
#include "../port.h"

enum {
    SITES = 256,
    TRIES = 4,
    OFTEN = 8,
    OFTENER = 64, /* to look through all code for branches takes as long as many traps */
    MOV = 0xb8,
    JUMP = 0xe9,
    MOV_LEN = 5, /* and a jump's */
    SYSCALL_LEN = 2,
    MOVED = 3, /* bytes behind it that give way */
    READ = 1,
    EXECUTED = 4,
};

#define CODE_MOST (16ull << 20)

struct site {
    uint64_t rip; /* behind the instruction; 0: free */
    uint32_t count;
    bool differs; /* a call was another than what a mov before it says */
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

/* --- What is behind it --------------------------------------------------------------------------
 */

static int32_t load(const unsigned char *at)
{
    int32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Is that a branch whose distance stands there? Any bytes that could be one are. */
static bool is_branch(const unsigned char *distance, uint64_t before)
{
    return (before > 0 && (distance[-1] == 0xe8 || distance[-1] == 0xe9)) ||
           (before > 1 && distance[-2] == 0x0f && distance[-1] >> 4 == 8);
}

static bool is_short_branch(unsigned char code)
{
    return code == 0xeb || code >> 4 == 7 || (code >= 0xe0 && code <= 0xe3);
}

/* Does anything in this code lead to `first` or the bytes behind it? */
static bool leads(const unsigned char *code, uint64_t len, uint64_t first)
{
    const uint64_t base = (uint64_t)(uintptr_t)code;

    for (uint64_t i = 0; i + 4 <= len; i++) {
        const uint64_t to = base + i + 4 + (uint64_t)(int64_t)load(code + i);

        if (to - first < MOVED && is_branch(code + i, i))
            return true;
    }
    for (uint64_t i = 1; i < len; i++) {
        const uint64_t to = base + i + 1 + (uint64_t)(int64_t)(signed char)code[i];

        if (base + i - first + 256 > 512)
            continue;
        if (to - first < MOVED && is_short_branch(code[i - 1]))
            return true;
    }
    return false;
}

/* Nothing in the program jumps to the bytes behind the instruction that would give way. */
static bool can_move(uint64_t rip)
{
    const struct halo_program_start *program =
        (const struct halo_program_start *)(uintptr_t)halo_boot_page()->program;
    uint64_t all = 0;

    for (uint32_t i = 0; i < program->piece_count; i++) {
        const uint64_t len = program->pieces[i].len;

        if (!(program->pieces[i].prot & EXECUTED))
            continue;
        all += len;
        if (all > CODE_MOST || !(program->pieces[i].prot & READ) ||
            leads((const unsigned char *)(uintptr_t)program->pieces[i].base, len, rip))
            return false;
    }
    return true;
}

extern const unsigned char halo__runtime_head[];

static uint64_t places(void)
{
    return (uint64_t)(uintptr_t)halo__runtime_head + 16 + HALO_PATCH_PLACE;
}

uint64_t halo__linux_moved(const struct linux_table *table, uint64_t rip)
{
    const unsigned char *code = (const unsigned char *)(uintptr_t)rip - SYSCALL_LEN;
    uint64_t to;

    if (!linux_may_read(table, rip - SYSCALL_LEN, MOV_LEN) || code[0] != JUMP)
        return rip;
    to = rip - SYSCALL_LEN + MOV_LEN + (uint64_t)(int64_t)load(code + 1);
    return to - places() < (uint64_t)HALO_PATCHES * HALO_PATCH_LEN ? to + HALO_PATCH_BEHIND : rip;
}

uint64_t halo__linux_moved_inside(const struct linux_table *table, uint64_t rip)
{
    for (uint64_t i = 0; i < MOVED; i++) {
        const uint64_t to = halo__linux_moved(table, rip - i);

        if (to != rip - i)
            return to + i;
    }
    return rip;
}

uint64_t halo__linux_again(uint64_t rip)
{
    const uint64_t offset = rip - places();

    if (offset < (uint64_t)HALO_PATCHES * HALO_PATCH_LEN &&
        offset % HALO_PATCH_LEN == HALO_PATCH_BEHIND)
        return rip - HALO_PATCH_BEHIND;
    return rip - SYSCALL_LEN;
}

/* --- Both ---------------------------------------------------------------------------------------
 */

void halo__linux_trap(const struct linux_table *table, uint64_t rip, uint64_t number)
{
    struct site *site = halo_boot_page()->patches ? site_of(rip) : NULL;

    if (!site || site->count >= OFTENER)
        return;
    site->count++;
    site->differs |= !makes(table, rip, number);
    if (site->count == OFTEN && !site->differs) {
        site->count = OFTENER;
        halo__doorbell(HALO_DOORBELL_PATCH, rip - SYSCALL_LEN, 0);
    } else if (site->count == OFTENER && can_move(rip)) {
        halo__doorbell(HALO_DOORBELL_PATCH, rip - SYSCALL_LEN, 1);
    }
}
