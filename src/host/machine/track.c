/* Pages that nobody has written, by the kernel's word: see track.h. */
#define _GNU_SOURCE
#include "track.h"
#include "machine.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BITS 64u

/* Linux 6.7's, for headers that are older. */
#define FEATURES                                                                   \
    (1ull << 12 | 1ull << 13 | 1ull << 15) /* of shared memory; what is not mapped \
                                              yet; and asynchronous */
struct region {
    uint64_t start, end, categories;
};

#define SCAN_ALL_IS_ASYNC 2u /* or it fails */
#define IS_WRITTEN 2u
#define IS_PRESENT 8u
#define IS_SWAPPED 16u /* or never mapped, and marked as protected */

#define REGIONS 128u
#define GAP 2u /* words without any that is known, which are looked at all the same */

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static uint64_t word_count(const struct halo_machine *machine)
{
    return (machine->ram.len / HALO_PAGE + BITS - 1) / BITS;
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

static void clear_bits(uint64_t *bits, uint64_t from, uint64_t to)
{
    for (; from < to; from++)
        bits[from / BITS] &= ~(1ull << from % BITS);
}

/* --- Views ------------------------------------------------------------------------------------ */

void halo__track_init(struct halo_track *track)
{
    *track = (struct halo_track){.image = 0};
    for (size_t i = 0; i < HALO_VIEWS; i++)
        track->views[i] = (struct halo_view){.faults = -1, .pages = -1};
}

void halo__track_forget(struct halo_track *track)
{
    track->image = 0;
}

void halo__track_drop(struct halo_track *track, enum halo_view_of which)
{
    struct halo_view *view = &track->views[which];

    if (view->faults >= 0)
        close(view->faults); /* the kernel takes its protection off */
    if (view->pages >= 0)
        close(view->pages);
    *view = (struct halo_view){.faults = -1, .pages = -1};
    halo__track_forget(track);
}

void halo__track_close(struct halo_track *track)
{
    halo__track_drop(track, HALO_VIEW_HOST);
    halo__track_drop(track, HALO_VIEW_GUEST);
    free(track->known);
    free(track->fresh);
    free(track->grace);
    track->known = track->fresh = NULL;
    track->grace = NULL;
}

/* A filter may kill for a call that it does not know, and which those are nobody can ask. */
static bool has_no_filter(void)
{
    const int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
    char text[4096];
    const ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (len < 0)
        return false;
    text[len] = '\0';
    return strstr(text, "\nSeccomp:\t0\n") != NULL;
}

static bool has_view(const struct halo_view *view)
{
    return view->faults >= 0 && view->pages >= 0;
}

void halo__track_judge(struct halo_machine *machine)
{
    machine->track.is_wanted = machine->ram.len > HALO_RAM_DEFAULT && has_no_filter();
}

void halo__track_open(struct halo_machine *machine)
{
    struct halo_view *view = &machine->track.views[HALO_VIEW_HOST];
    const bool has_guest = has_view(&machine->track.views[HALO_VIEW_GUEST]);

    if (!machine->track.is_wanted || (machine->backend->has_view && !has_guest))
        return;
    view->base = (uint64_t)(uintptr_t)halo_shm_expose(machine->ram.host);
    view->faults =
        halo__fd_high((int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
    view->pages = halo__fd_high(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    if (!has_view(view))
        halo__track_drop(&machine->track, HALO_VIEW_HOST);
}

/* From now on its pages can be protected. */
static bool begin(struct halo_view *view, uint64_t len)
{
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURES};
    struct uffdio_register all = {.range = {view->base, len}, .mode = UFFDIO_REGISTER_MODE_WP};

    if (!view->is_begun)
        view->is_begun = ioctl(view->faults, UFFDIO_API, &api) == 0 &&
                         ioctl(view->faults, UFFDIO_REGISTER, &all) == 0;
    return view->is_begun;
}

static uint32_t view_count(const struct halo_machine *machine)
{
    return machine->backend->has_view ? HALO_VIEWS : 1;
}

static bool has_views(const struct halo_machine *machine)
{
    for (uint32_t i = 0; i < view_count(machine); i++) {
        if (!has_view(&machine->track.views[i]))
            return false;
    }
    return true;
}

/* Something is not as it was thought to be: from now on all is compared. */
static void give_up(struct halo_machine *machine)
{
    machine->track.is_wanted = false;
    for (uint32_t i = 0; i < HALO_VIEWS; i++)
        halo__track_drop(&machine->track, (enum halo_view_of)i);
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* Of these pages it is not known any more that nobody has written them. */
static void suspect(struct halo_track *track, uint64_t from, uint64_t to)
{
    for (uint64_t page = from; page < to; page++) {
        if (!track->known[page / BITS]) {
            page |= BITS - 1;
        } else if (has_bit(track->known, page)) {
            clear_bits(track->known, page, page + 1);
            track->grace[page] = HALO_TRACK_GRACE;
        }
    }
}

/*
 * Suspect the pages that are written in a view, or of which that is not said. Asked for are those
 * that are written or not present; of these, what is swapped out or not mapped yet may be protected
 * even so. What the view has not got mapped, nobody can write there.
 */
static bool look_at(struct halo_track *track, const struct halo_view *view, uint64_t first,
                    uint64_t end)
{
    struct region regions[REGIONS];
    struct halo_track_scan scan = {.size = sizeof(scan),
                                   .flags = SCAN_ALL_IS_ASYNC,
                                   .start = view->base + first * HALO_PAGE,
                                   .end = view->base + end * HALO_PAGE,
                                   .regions = (uintptr_t)regions,
                                   .region_count = REGIONS,
                                   .inverted = IS_PRESENT,
                                   .any_of = IS_PRESENT | IS_WRITTEN,
                                   .returned = IS_PRESENT | IS_WRITTEN | IS_SWAPPED};

    for (; scan.start < scan.end; scan.start = scan.walk_end) {
        const int count = ioctl(view->pages, HALO_TRACK_SCAN, &scan);

        if (count < 0 || scan.walk_end <= scan.start)
            return false;
        for (int i = 0; i < count; i++) {
            if ((regions[i].categories & (IS_WRITTEN | IS_SWAPPED)) != IS_SWAPPED)
                suspect(track, (regions[i].start - view->base) / HALO_PAGE,
                        (regions[i].end - view->base) / HALO_PAGE);
        }
    }
    return true;
}

/* A call costs as much as some hundred pages that are not known. */
static bool look(struct halo_track *track, const struct halo_view *view, uint64_t pages)
{
    const uint64_t words = (pages + BITS - 1) / BITS;
    uint64_t end;

    for (uint64_t word = 0; word < words; word = end) {
        end = word + 1;
        if (!track->known[word])
            continue;
        for (uint64_t next = end; next < words && next < end + GAP; next++) {
            if (track->known[next])
                end = next + 1;
        }
        if (!look_at(track, view, word * BITS, end * BITS < pages ? end * BITS : pages))
            return false;
    }
    return true;
}

static bool make_room(struct halo_machine *machine)
{
    struct halo_track *track = &machine->track;

    if (track->grace)
        return true;
    track->known = calloc(word_count(machine), sizeof(*track->known));
    track->fresh = calloc(word_count(machine), sizeof(*track->fresh));
    track->grace = calloc(machine->ram.len / HALO_PAGE, 1);
    if (track->known && track->fresh && track->grace)
        return true;
    give_up(machine);
    return false;
}

const uint64_t *halo__track_look(struct halo_machine *machine, uint64_t image, uint64_t pages)
{
    struct halo_track *track = &machine->track;

    if (!has_views(machine) || pages < HALO_TRACK_LEAST || !make_room(machine)) {
        halo__track_forget(track);
        return NULL;
    }
    memset(track->fresh, 0, word_count(machine) * sizeof(*track->fresh));
    if (track->image != image) { /* and what is learned now is of this one */
        memset(track->known, 0, word_count(machine) * sizeof(*track->known));
        memset(track->grace, 0, machine->ram.len / HALO_PAGE);
    }
    for (uint32_t i = 0; i < view_count(machine) && track->image == image; i++) {
        if (!look(track, &track->views[i], machine->ram.len / HALO_PAGE)) {
            give_up(machine);
            return NULL;
        }
    }
    /* A process that has ended meanwhile has nothing mapped any more: nothing was said of it. */
    if (machine->backend->is_there && !machine->backend->is_there(machine)) {
        halo__track_forget(track);
        return NULL;
    }
    track->image = image;
    return track->known;
}

/* --- Protecting ------------------------------------------------------------------------------- */

void halo__track_want(struct halo_track *track, uint64_t word, uint64_t pages)
{
    for (uint64_t left = pages; left; left &= left - 1) {
        const uint64_t page = word * BITS + (uint64_t)__builtin_ctzll(left);

        if (track->grace[page] == 0)
            set_bits(track->fresh, page, page + 1);
    }
}

void halo__track_page(struct halo_track *track, uint64_t page, bool differed)
{
    if (differed)
        track->grace[page] = HALO_TRACK_GRACE;
    else if (has_bit(track->fresh, page))
        set_bits(track->known, page, page + 1);
    else if (track->grace[page] > 0)
        track->grace[page]--;
}

/* 1; 0 where the view has nothing mapped there; or an error. */
static int protect(const struct halo_view *view, uint64_t first, uint64_t end)
{
    struct uffdio_writeprotect range = {
        .range = {view->base + first * HALO_PAGE, (end - first) * HALO_PAGE},
        .mode = UFFDIO_WRITEPROTECT_MODE_WP};

    if (ioctl(view->faults, UFFDIO_WRITEPROTECT, &range) == 0)
        return 1;
    return errno == ENOENT ? 0 : -1;
}

static bool protect_everywhere(struct halo_machine *machine, uint64_t first, uint64_t end)
{
    bool is_everywhere = true;

    for (uint32_t i = 0; i < view_count(machine); i++) {
        const int result = protect(&machine->track.views[i], first, end);

        if (result < 0)
            return false;
        is_everywhere = is_everywhere && result;
    }
    if (!is_everywhere)
        clear_bits(machine->track.fresh, first, end);
    return true;
}

void halo__track_protect(struct halo_machine *machine)
{
    struct halo_track *track = &machine->track;
    const uint64_t pages = machine->ram.len / HALO_PAGE;
    uint64_t end;

    for (uint64_t page = 0; page < pages; page = end) {
        end = page + 1;
        if (!track->fresh[page / BITS]) {
            end = (page / BITS + 1) * BITS;
            continue;
        }
        if (!has_bit(track->fresh, page))
            continue;
        while (end < pages && has_bit(track->fresh, end))
            end++;
        for (uint32_t i = 0; i < view_count(machine); i++) {
            if (!begin(&track->views[i], machine->ram.len)) {
                give_up(machine);
                return;
            }
        }
        if (!protect_everywhere(machine, page, end)) {
            give_up(machine);
            return;
        }
    }
}

void halo__track_gone(struct halo_track *track, uint64_t first, uint64_t end)
{
    if (track->known)
        clear_bits(track->known, first, end);
}
