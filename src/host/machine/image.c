/*
 * Guest memory, taken and brought back. What is brought back is compared with what is there, page
 * by page, where the memory file has anything at all: a guest that has touched a megabyte costs a
 * comparison of a megabyte, whatever its memory could hold. Of a large one the kernel says which
 * pages nobody has written (track.h). The machine stands still meanwhile.
 */
#define _GNU_SOURCE
#include "image.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

/* So many pages may stay with a machine that neither the image nor its last guest had a use for. */
#define KEPT 1024u

#define BITS 64u

static const unsigned char zeroes[HALO_PAGE] __attribute__((aligned(64)));

static unsigned char *page_of(const struct halo_machine *machine, uint64_t page)
{
    return (unsigned char *)halo_shm_expose(machine->ram.host) + page * HALO_PAGE;
}

static bool is_zero(const unsigned char *bytes)
{
    return memcmp(bytes, zeroes, HALO_PAGE) == 0;
}

static bool has_bit(const uint64_t *bits, uint64_t page)
{
    return bits[page / BITS] >> page % BITS & 1;
}

static void set_bits(uint64_t *bits, uint64_t from, uint64_t to)
{
    for (; from < to; from++)
        bits[from / BITS] |= 1ull << from % BITS;
}

static uint64_t page_count(const struct halo_machine *machine)
{
    return machine->ram.len / HALO_PAGE;
}

static uint64_t word_count(const struct halo_machine *machine)
{
    return (page_count(machine) + BITS - 1) / BITS;
}

static uint64_t page_at(uint64_t address)
{
    return (address - HALO_RAM_BASE) / HALO_PAGE;
}

/* --- Taking ----------------------------------------------------------------------------------- */

/*
 * Pages that neither guest nor host can write, now or later, but where call sites are rewritten,
 * which is noted apart; and the doorbell's, which is each backend's own.
 */
static void find_fixed(const struct halo_layout *layout, uint64_t *fixed)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if (!((range->prot | range->most) & HALO_PROT_WRITE) && !(range->rights & HALO_MAY_WRITE) &&
            range->base != layout->args)
            set_bits(fixed, page_at(range->base), page_at(range->base + range->len));
    }
}

int halo__image_map(struct halo_image *image)
{
    const int fd = halo__fd_high(memfd_create("halo-image", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    void *bytes = MAP_FAILED;

    image->fd = fd;
    if (fd >= 0 && ftruncate(fd, (off_t)image->len) == 0)
        bytes = mmap(NULL, image->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) { /* without descriptors, it is nobody's but its own */
        if (fd >= 0)
            (void)close(fd);
        image->fd = -1;
        bytes = mmap(NULL, image->len, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (bytes == MAP_FAILED)
        return HALO_ENOMEM;
    image->bytes = bytes;
    (void)madvise(bytes, image->len, MADV_NOHUGEPAGE); /* it is to have no more than it needs */
    while (image->serial == 0) {
        if (getrandom(&image->serial, sizeof(image->serial), 0) != sizeof(image->serial))
            return HALO_EHOST;
    }
    return 0;
}

/* Whether a piece of guest memory has a page of the image's. */
static bool has_piece(const struct halo_image *image, uint64_t piece)
{
    const uint64_t first = piece * HALO_RAM_PIECE / HALO_PAGE;
    const uint64_t end = first + HALO_RAM_PIECE / HALO_PAGE;

    for (uint64_t page = first; page < end && page < image->len / HALO_PAGE; page++) {
        if (has_bit(image->present, page))
            return true;
    }
    return false;
}

/* So many pieces from this one on, that are whole, have pages. */
static uint64_t next_pieces(const struct halo_image *image, uint64_t *from)
{
    const uint64_t pieces = image->len / HALO_RAM_PIECE;
    uint64_t to;

    while (*from < pieces && !has_piece(image, *from))
        ++*from;
    for (to = *from; to < pieces && has_piece(image, to);)
        to++;
    return to - *from;
}

/*
 * From now on nobody can write it, whoever has its descriptor, nor this program by mistake. All
 * pages of a piece are there, so that one that is read of a clone's is found in no other way.
 */
static int seal(struct halo_image *image)
{
    uint64_t count;
    void *bytes;

    for (uint64_t from = 0; (count = next_pieces(image, &from)) > 0; from += count) {
        if (fallocate(image->fd, 0, (off_t)(from * HALO_RAM_PIECE),
                      (off_t)(count * HALO_RAM_PIECE)) < 0)
            return errno == ENOMEM || errno == ENOSPC ? HALO_ENOMEM : HALO_EHOST;
    }
    (void)munmap(image->bytes, image->len);
    image->bytes = NULL;
    if (fcntl(image->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return HALO_EHOST;
    bytes = mmap(NULL, image->len, PROT_READ, MAP_PRIVATE, image->fd, 0);
    if (bytes == MAP_FAILED)
        return HALO_ENOMEM;
    image->bytes = bytes;
    return 0;
}

void halo__image_lend(struct halo_machine *machine, const struct halo_image *image)
{
    uint64_t count;

    if (image->fd < 0 || machine->backend != &halo__kvm || machine->ram.is_reserved)
        return;
    for (uint64_t from = 0; (count = next_pieces(image, &from)) > 0; from += count) {
        if (!halo__ram_borrow(&machine->ram, image->fd, from, from + count))
            return;
    }
}

int halo__image_finish(struct halo_image *image)
{
    image->fixed = calloc((image->len / HALO_PAGE + BITS - 1) / BITS, sizeof(*image->fixed));
    if (!image->fixed)
        return HALO_ENOMEM;
    find_fixed(&image->layout, image->fixed);
    return image->fd < 0 ? 0 : seal(image);
}

static int make(struct halo_machine *machine, struct halo_image *image)
{
    int error;

    *image = (struct halo_image){
        .layout = machine->layout, .len = machine->ram.len, .epoch = machine->epoch, .fd = -1};
    if (machine->layout.syscall_entry)
        image->told = *halo__machine_told(machine);
    error = halo__image_map(image);
    if (error)
        return error;
    image->present = calloc(word_count(machine), sizeof(*image->present));
    if (machine->prots) {
        image->prots = malloc(page_count(machine));
        if (image->prots)
            memcpy(image->prots, machine->prots, page_count(machine));
    }
    return !image->present || !machine->prots != !image->prots ? HALO_ENOMEM : 0;
}

int halo__image_take(struct halo_machine *machine, struct halo_image *image)
{
    const uint64_t doorbell = page_at(machine->layout.doorbell);
    int error = make(machine, image);

    if (!error)
        error = halo__ram_look(&machine->ram);
    if (error)
        return halo__fail(machine->words, error,
                          error == HALO_ENOMEM ? "no memory for a snapshot" : "no random numbers");
    for (uint64_t page = 0; page < page_count(machine); page++) {
        const unsigned char *from = page_of(machine, page);

        if (!has_bit(machine->ram.there, page) || page == doorbell || is_zero(from))
            continue;
        memcpy(image->bytes + page * HALO_PAGE, from, HALO_PAGE);
        set_bits(image->present, page, page + 1);
        image->present_count++;
    }
    error = halo__image_finish(image);
    if (error)
        return halo__fail(machine->words, error, "no memory for a snapshot");
    machine->image = image->serial;
    machine->has_patched = false;
    return 0;
}

void halo__image_free(struct halo_image *image)
{
    if (image->bytes)
        munmap(image->bytes, image->len);
    if (image->serial && image->fd >= 0)
        (void)close(image->fd);
    free(image->present);
    free(image->fixed);
    free(image->prots);
}

/* --- Bringing back ---------------------------------------------------------------------------- */

/* Pages that the last guest had no use for, where those are many. */
static void give_back(struct halo_machine *machine, const uint64_t *idle)
{
    const uint64_t end = page_at(machine->layout.ring);
    uint64_t from = 0, to;

    for (; from < end; from = to + 1) {
        for (to = from; to < end && has_bit(idle, to);)
            to++;
        if (to > from)
            halo__ram_give_back(&machine->ram, from * HALO_PAGE, (to - from) * HALO_PAGE);
        halo__track_gone(&machine->track, from, to);
    }
}

/* One page as the image has it: whether it had to be written, or an error. */
static int bring_back_page(struct halo_machine *machine, const struct halo_image *image,
                           uint64_t page)
{
    const unsigned char *from =
        has_bit(image->present, page) ? image->bytes + page * HALO_PAGE : zeroes;
    int error;

    if (!has_bit(machine->ram.there, page)) {
        error = halo__ram_find(&machine->ram, page * HALO_PAGE, HALO_PAGE);
        if (error)
            return error;
    } else if (memcmp(page_of(machine, page), from, HALO_PAGE) == 0) {
        return 0;
    }
    memcpy(page_of(machine, page), from, HALO_PAGE);
    return 1;
}

/* Whether the memory was brought back to this image before, or taken for it; then the pages of
 * which the kernel says that nobody has written them since. */
static const uint64_t *look(struct halo_machine *machine, const struct halo_image *image)
{
    uint64_t count = 0;

    for (uint64_t word = 0; word < word_count(machine); word++)
        count += (uint64_t)__builtin_popcountll(machine->ram.there[word] | image->present[word]);
    if (machine->image == image->serial)
        return halo__track_look(machine, image->serial, count);
    halo__track_forget(&machine->track);
    return NULL;
}

/* Of these 64 pages those that are to be compared. */
static uint64_t pages_left(const struct halo_machine *machine, const struct halo_image *image,
                           const uint64_t *known, uint64_t word)
{
    const bool same = machine->image == image->serial && !machine->has_patched;
    const uint64_t doorbell = page_at(image->layout.doorbell);
    uint64_t left = machine->ram.there[word] | image->present[word];

    if (same)
        left &= ~image->fixed[word];
    if (known)
        left &= ~known[word];
    if (word == doorbell / BITS)
        left &= ~(1ull << doorbell % BITS);
    return left;
}

static int bring_back_memory(struct halo_machine *machine, const struct halo_image *image,
                             struct halo_brought_back *pages)
{
    uint64_t *const idle = calloc(word_count(machine), sizeof(*idle));
    uint64_t idle_count = 0;
    int error = idle ? halo__ram_look(&machine->ram) : HALO_ENOMEM;
    const uint64_t *known = error ? NULL : look(machine, image);

    for (uint64_t word = 0; word < word_count(machine) && known; word++)
        halo__track_want(&machine->track, word, pages_left(machine, image, known, word));
    if (known)
        halo__track_protect(machine);
    for (uint64_t word = 0; word < word_count(machine) && !error; word++) {
        uint64_t left = pages_left(machine, image, known, word);

        for (; left && !error; left &= left - 1) {
            const uint64_t page = word * BITS + (uint64_t)__builtin_ctzll(left);
            const int written = bring_back_page(machine, image, page);

            error = written < 0 ? written : 0;
            pages->copied += written > 0;
            pages->compared++;
            if (known)
                halo__track_page(&machine->track, page, written > 0);
            if (written == 0 && !has_bit(image->present, page)) {
                set_bits(idle, page, page + 1);
                idle_count++;
            }
        }
    }
    if (!error && idle_count > KEPT)
        give_back(machine, idle);
    free(idle);
    machine->image = error ? 0 : image->serial;
    machine->has_patched = machine->has_patched && error;
    return error;
}

int halo__image_bring_back(struct halo_machine *machine, const struct halo_image *image,
                           struct halo_brought_back *pages)
{
    const bool same = halo__layout_is_same(&machine->layout, &image->layout);
    const bool has_doorbell = same && machine->image;
    int error;

    machine->layout = image->layout;
    error = halo__machine_restart(machine, image->prots, !same);
    if (!error)
        error = bring_back_memory(machine, image, pages);
    if (!error)
        error = halo__layout_find(machine);
    if (!error && !has_doorbell)
        halo__doorbell_write(machine);
    if (!error)
        error = halo__layout_renew(machine,
                                   machine->epoch > image->epoch ? machine->epoch : image->epoch);
    return error;
}
