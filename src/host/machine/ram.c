/* Guest memory, and what of it is there: see ram.h. */
#define _GNU_SOURCE
#include "ram.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM_PAGE 4096u

int halo__ram_make(struct halo_ram *ram, struct halo_words *words, uint64_t len)
{
    void *host;

    ram->words = words;
    ram->fd = halo__fd_high(memfd_create("halo-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (ram->fd < 0)
        return halo__fail(words, HALO_EHOST, "cannot make guest memory: %s", strerror(errno));
    /* Sealed at its size: nobody can shorten it and have the host die of SIGBUS. */
    if (ftruncate(ram->fd, (off_t)len) < 0 ||
        fcntl(ram->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return halo__fail(words, HALO_EHOST, "cannot size guest memory: %s", strerror(errno));
    host = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
    if (host == MAP_FAILED)
        return halo__fail(words, HALO_ENOMEM, "cannot map %llu bytes of guest memory: %s",
                          (unsigned long long)len, strerror(errno));
    ram->host = halo_shm_share(host);
    ram->len = len;
    ram->found = calloc((len + HALO_RAM_PIECE - 1) / HALO_RAM_PIECE, 1);
    return ram->found ? 0 : halo__fail(words, HALO_ENOMEM, "no memory");
}

void halo__ram_free(struct halo_ram *ram)
{
    free(ram->found);
    free(ram->there);
    free(ram->borrowed);
    if (ram->host)
        munmap(halo_shm_expose(ram->host), ram->len);
    if (ram->fd >= 0)
        close(ram->fd);
}

int halo__ram_find(struct halo_ram *ram, uint64_t offset, uint64_t len)
{
    const uint64_t end = (offset + len + HALO_RAM_PIECE - 1) / HALO_RAM_PIECE;
    uint64_t next;

    for (uint64_t piece = offset / HALO_RAM_PIECE; len > 0 && piece < end; piece = next) {
        const uint64_t from = piece * HALO_RAM_PIECE;
        uint64_t to;

        next = piece + 1;
        if (ram->found[piece])
            continue;
        while (next < end && !ram->found[next])
            next++;
        to = next * HALO_RAM_PIECE < ram->len ? next * HALO_RAM_PIECE : ram->len;
        /* At once, for where it fails the kernel takes back what it has found. Another error is of
         * a kernel, or a filter, that does not do it: as if we had not asked. */
        if (fallocate(ram->fd, 0, (off_t)from, (off_t)(to - from)) < 0 &&
            (errno == ENOMEM || errno == ENOSPC))
            return halo__fail(ram->words, HALO_ENOMEM,
                              "there is no memory for %llu KiB of guest memory: %s",
                              (unsigned long long)(len + 1023) >> 10, strerror(errno));
        memset(ram->found + piece, true, next - piece);
    }
    return 0;
}

static void set_there(struct halo_ram *ram, uint64_t from, uint64_t to)
{
    for (uint64_t page = from; page < to; page++)
        ram->there[page / 64] |= 1ull << page % 64;
}

static int64_t blocks_of(const struct halo_ram *ram)
{
    struct stat st;

    return ram->is_reserved || fstat(ram->fd, &st) < 0 ? -1 : (int64_t)st.st_blocks;
}

/* By what the memory file has. A kernel that does not say has all of it. */
static void look_at_file(struct halo_ram *ram)
{
    off_t from = 0, to = 0;

    while ((from = lseek(ram->fd, to, SEEK_DATA)) >= 0) {
        to = lseek(ram->fd, from, SEEK_HOLE);
        if (to <= from)
            to = (off_t)ram->len;
        set_there(ram, (uint64_t)from / RAM_PAGE, (uint64_t)to / RAM_PAGE);
        if ((uint64_t)to >= ram->len)
            return;
    }
    if (errno != ENXIO)
        set_there(ram, 0, ram->len / RAM_PAGE);
}

int halo__ram_look(struct halo_ram *ram)
{
    const uint64_t words = (ram->len / RAM_PAGE + 63) / 64;
    const int64_t blocks = blocks_of(ram);

    if (!ram->there) {
        ram->there = calloc(words, sizeof(*ram->there));
        if (!ram->there)
            return halo__fail(ram->words, HALO_ENOMEM, "no memory");
    } else if (blocks >= 0 && blocks == ram->blocks) {
        return 0; /* nothing was added, and only we take away */
    }
    memset(ram->there, 0, words * sizeof(*ram->there));
    look_at_file(ram);
    for (uint64_t at = 0; at < ram->len && !ram->is_reserved; at += HALO_RAM_PIECE) {
        const uint64_t end = at + HALO_RAM_PIECE < ram->len ? at + HALO_RAM_PIECE : ram->len;

        if (ram->found[at / HALO_RAM_PIECE])
            set_there(ram, at / RAM_PAGE, end / RAM_PAGE);
    }
    ram->blocks = blocks;
    return 0;
}

void halo__ram_give_back(struct halo_ram *ram, uint64_t offset, uint64_t len)
{
    const uint64_t first = offset / HALO_RAM_PIECE;
    const uint64_t end = (offset + len + HALO_RAM_PIECE - 1) / HALO_RAM_PIECE;

    for (uint64_t piece = first; ram->borrowed && piece < end; piece++) {
        if (ram->borrowed[piece])
            return; /* what is seen there is not this file's */
    }
    if (ram->is_reserved || fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                      (off_t)offset, (off_t)len) < 0)
        return;
    memset(ram->found + first, false, end - first);
    for (uint64_t page = offset / RAM_PAGE; page < (offset + len) / RAM_PAGE; page++)
        ram->there[page / 64] &= ~(1ull << page % 64);
    ram->blocks = -1; /* to be looked at again */
}

bool halo__ram_borrow(struct halo_ram *ram, int fd, uint64_t first, uint64_t end)
{
    const uint64_t from = first * HALO_RAM_PIECE, len = (end - first) * HALO_RAM_PIECE;
    unsigned char *const at = (unsigned char *)halo_shm_expose(ram->host) + from;

    if (!ram->borrowed)
        ram->borrowed = calloc((ram->len + HALO_RAM_PIECE - 1) / HALO_RAM_PIECE, 1);
    if (!ram->borrowed || mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
                               (off_t)from) == MAP_FAILED)
        return false;
    (void)fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)len);
    memset(ram->found + first, true, end - first); /* this file has no use for them any more */
    memset(ram->borrowed + first, true, end - first);
    ram->blocks = -1;
    return true;
}
