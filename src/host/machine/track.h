/*
 * Which pages of guest memory are as the last restore left them, by the kernel's word: it
 * write-protects them, and takes the protection off whoever writes first, guest or host, without
 * asking anybody (userfaultfd with WP_ASYNC, PAGEMAP_SCAN: Linux 6.7). A restore need not compare
 * those that are protected yet.
 *
 * No page is believed to be clean because nothing says that it is dirty: it was protected in every
 * address space in which it can be written, was found equal to the image after that, and is
 * protected still in each of them. Whatever else is seen of it (not mapped, or mapped without
 * protection) has it compared, as everything is where the kernel has no such thing, or a filter
 * refuses it.
 *
 * A page that is written each time costs more by its faults than by being compared. So one that was
 * written stays without protection until it was found equal for a while.
 */
#ifndef HALO_SRC_MACHINE_TRACK_H
#define HALO_SRC_MACHINE_TRACK_H

#include <stdbool.h>
#include <stdint.h>

/* Guest memory as one address space has it. */
struct halo_view {
    int faults; /* its userfaultfd, or -1 */
    int pages;  /* its pagemap, or -1 */
    uint64_t base;
    bool is_begun; /* what is mapped there can be protected */
};

enum halo_view_of {
    HALO_VIEW_HOST,
    HALO_VIEW_GUEST, /* of a guest that is a process; in KVM it writes through the host's */
    HALO_VIEWS
};

struct halo_track {
    bool is_wanted; /* of a machine's memory it is worth it, and nothing has failed yet */
    struct halo_view views[HALO_VIEWS];
    uint64_t image;       /* the serial of that which `known` is about, or 0 */
    uint64_t *known;      /* pages that are as the image has them, if they are protected yet */
    uint64_t *fresh;      /* and those that this restore has protected, and compares after that */
    unsigned char *grace; /* for each page: so many restores compare it before it is protected */
};

struct halo_machine;

/* PAGEMAP_SCAN, which headers before Linux 6.7 lack. */
struct halo_track_scan {
    uint64_t size, flags, start, end, walk_end, regions, region_count, most;
    uint64_t inverted, all_of, any_of, returned;
};
#define HALO_TRACK_SCAN _IOWR('f', 16, struct halo_track_scan)

/* Restores that a page which was written is compared without protection: its fault costs as much as
 * some ten to forty comparisons. */
#define HALO_TRACK_GRACE 32u

/* Of fewer pages comparing all takes no longer than asking the kernel, of both views. */
#define HALO_TRACK_LEAST 512u

/* Before anything of it is used. */
void halo__track_init(struct halo_track *track);

/* Before a machine is created: see whether it is worth four descriptors, which it is not for a
 * guest that is compared in a millisecond, and whether to try. Sets is_wanted. */
void halo__track_judge(struct halo_machine *machine);
/* Of a machine that was created: see what can be had. Where that is nothing, nothing is. */
void halo__track_open(struct halo_machine *machine);
void halo__track_close(struct halo_track *track);

/* Nothing is known: of a view that is gone, or in which memory was to be had at other addresses. */
void halo__track_forget(struct halo_track *track);
void halo__track_drop(struct halo_track *track, enum halo_view_of which);

/*
 * While nobody runs, before a restore from that image, whose machine has so many pages that may
 * hold something: the pages that need no look, a bit for each; or NULL.
 */
const uint64_t *halo__track_look(struct halo_machine *machine, uint64_t image, uint64_t pages);

/*
 * After that, in this order: which of these 64 pages, that are compared now, are to be protected;
 * protect them; and, for each page that was compared, whether it differed. Protected first, a page
 * that somebody writes meanwhile is found the next time, whoever that is.
 */
void halo__track_want(struct halo_track *track, uint64_t word, uint64_t pages);
void halo__track_protect(struct halo_machine *machine);
void halo__track_page(struct halo_track *track, uint64_t page, bool differed);

/* These pages were given back to the kernel. */
void halo__track_gone(struct halo_track *track, uint64_t first, uint64_t end);

#endif
