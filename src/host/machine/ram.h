/*
 * Guest memory as the host sees it: a memory file, which the kernel fills page by page when it is
 * first touched. Where there is no memory left, whoever touches one that is not there yet dies of
 * SIGBUS, or sleeps until there is some. So the host asks for a page before it touches it, which
 * may be refused: COST-03.
 */
#ifndef HALO_SRC_MACHINE_RAM_H
#define HALO_SRC_MACHINE_RAM_H

#include <halo/abi.h>
#include <halo/shm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../error.h"

#define HALO_RAM_PIECE_SHIFT 14 /* it is asked for in pieces of 16 KiB */
#define HALO_RAM_PIECE (1ull << HALO_RAM_PIECE_SHIFT)

struct halo_ram {
    int fd;
    uint64_t len;
    HALO_SHARED unsigned char *host; /* HALO_RAM_BASE is at host[0] */
    unsigned char *found;            /* for each piece: it is there */
    bool is_reserved;                /* and so is all, for good */
    unsigned char
        *borrowed; /* for each piece: it is another file's, until it is written; or NULL */
    /* As of halo__ram_look: pages that may hold something, a bit for each, while there are so many
     * blocks. */
    uint64_t *there;
    int64_t blocks;
    struct halo_words *words;
};

/* Make it, all zero. 0, HALO_EHOST or HALO_ENOMEM, with words; free it in any case. */
int halo__ram_make(struct halo_ram *ram, struct halo_words *words, uint64_t len);
void halo__ram_free(struct halo_ram *ram);

/* Have the kernel find all of it, or none (reserve.c). 0, HALO_ENOMEM or HALO_EHOST, with words. */
int halo__ram_reserve(struct halo_ram *ram);

/* Whether all of so much memory at an offset below its length is known to be there. */
static inline bool halo__ram_has(const struct halo_ram *ram, uint64_t offset, uint64_t len)
{
    const uint64_t end = (offset + len + HALO_RAM_PIECE - 1) / HALO_RAM_PIECE;
    uint64_t piece = offset / HALO_RAM_PIECE;

    while (ram->found[piece]) {
        if (++piece >= end)
            return true;
    }
    return false;
}

/* Have the kernel find so much memory at an offset. 0, or HALO_ENOMEM, with words. */
int halo__ram_find(struct halo_ram *ram, uint64_t offset, uint64_t len);

/*
 * Learn which pages may hold something, while nobody runs. 0, or HALO_ENOMEM. What the kernel was
 * asked for counts, too: a guest can write there without another block.
 */
int halo__ram_look(struct halo_ram *ram);

/* Give whole pages back to the kernel, which are zero from then on, and not there. Where it does
 * not take them, nothing changes. */
void halo__ram_give_back(struct halo_ram *ram, uint64_t offset, uint64_t len);

/*
 * Have whole pieces be those of another file, at the same offset, until they are written. Nothing
 * else maps this memory. False where that cannot be had; then nothing changed.
 */
bool halo__ram_borrow(struct halo_ram *ram, int fd, uint64_t first, uint64_t end);

/* As halo__ram_find, for bytes that the host is going to touch, which lie in guest memory. */
static inline int halo__ram_touch(struct halo_ram *ram, const HALO_SHARED unsigned char *at,
                                  size_t len)
{
    const uint64_t offset = (uint64_t)(at - ram->host);

    return halo__ram_has(ram, offset, len) ? 0 : halo__ram_find(ram, offset, len);
}

/* Copy bytes of guest memory, by their address. False where they are not all there. */
static inline bool halo__ram_take(struct halo_ram *ram, uint64_t address, void *to, size_t len)
{
    const HALO_SHARED unsigned char *at;

    if (address < HALO_RAM_BASE || address - HALO_RAM_BASE > ram->len ||
        len > ram->len - (address - HALO_RAM_BASE))
        return false;
    at = ram->host + (address - HALO_RAM_BASE);
    if (halo__ram_touch(ram, at, len))
        return false;
    halo_shm_copy_in(to, at, len);
    return true;
}

#endif
