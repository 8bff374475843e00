/*
 * Guest memory, taken and brought back. What is brought back is compared with what is there, page
 * by page, where the memory file has anything at all: a guest that has touched a megabyte costs a
 * comparison of a megabyte, whatever its memory could hold. The machine stands still meanwhile.
 */
#define _GNU_SOURCE
#include "image.h"
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
 * Pages that neither guest nor host can write, now or later; and the doorbell's, which is each
 * backend's own.
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
    void *bytes = mmap(NULL, image->len, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

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

int halo__image_finish(struct halo_image *image)
{
    image->fixed = calloc((image->len / HALO_PAGE + BITS - 1) / BITS, sizeof(*image->fixed));
    if (!image->fixed)
        return HALO_ENOMEM;
    find_fixed(&image->layout, image->fixed);
    return 0;
}

static int make(struct halo_machine *machine, struct halo_image *image)
{
    int error;

    *image = (struct halo_image){
        .layout = machine->layout, .len = machine->ram.len, .epoch = machine->epoch};
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
    if (!image->present || !machine->prots != !image->prots)
        return HALO_ENOMEM;
    return halo__image_finish(image);
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
    machine->image = image->serial;
    return 0;
}

void halo__image_free(struct halo_image *image)
{
    if (image->bytes)
        munmap(image->bytes, image->len);
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

static int bring_back_memory(struct halo_machine *machine, const struct halo_image *image,
                             uint64_t *copied)
{
    const bool same = machine->image == image->serial;
    const uint64_t doorbell = page_at(image->layout.doorbell);
    uint64_t *const idle = calloc(word_count(machine), sizeof(*idle));
    uint64_t idle_count = 0;
    int error = idle ? halo__ram_look(&machine->ram) : HALO_ENOMEM;

    machine->image = 0;
    for (uint64_t word = 0; word < word_count(machine) && !error; word++) {
        uint64_t left = machine->ram.there[word] | image->present[word];

        if (same)
            left &= ~image->fixed[word];
        for (; left && !error; left &= left - 1) {
            const uint64_t page = word * BITS + (uint64_t)__builtin_ctzll(left);
            const int written = page == doorbell ? 0 : bring_back_page(machine, image, page);

            error = written < 0 ? written : 0;
            *copied += written > 0;
            if (written == 0 && !has_bit(image->present, page)) {
                set_bits(idle, page, page + 1);
                idle_count++;
            }
        }
    }
    if (!error && idle_count > KEPT)
        give_back(machine, idle);
    free(idle);
    if (!error)
        machine->image = image->serial;
    return error;
}

int halo__image_bring_back(struct halo_machine *machine, const struct halo_image *image,
                           uint64_t *copied)
{
    const bool same = halo__layout_is_same(&machine->layout, &image->layout);
    const bool has_doorbell = same && machine->image;
    int error;

    machine->layout = image->layout;
    error = halo__machine_restart(machine, image->prots, !same);
    if (!error)
        error = bring_back_memory(machine, image, copied);
    if (!error)
        error = halo__layout_find(machine);
    if (!error && !has_doorbell)
        halo__doorbell_write(machine);
    if (!error)
        error = halo__layout_renew(machine,
                                   machine->epoch > image->epoch ? machine->epoch : image->epoch);
    return error;
}
