/* Guest memory as snapshots keep it: the pages that are not zero, but for the doorbell's. */
#ifndef HALO_SRC_MACHINE_IMAGE_H
#define HALO_SRC_MACHINE_IMAGE_H

#include "machine.h"

struct halo_image {
    struct halo_layout layout;
    unsigned char *prots; /* as in struct halo_machine, or NULL */
    uint64_t serial;      /* of no other image */
    uint64_t len;         /* of guest memory */
    uint64_t present_count;
    uint64_t *present;    /* a bit for each page */
    uint64_t *fixed;      /* and for those that never change once they are there */
    unsigned char *bytes; /* of all pages; of others than these the kernel keeps nothing */
    int fd;               /* a file of the same, which nobody can write once it is sealed; or -1 */
    uint64_t epoch;
    struct halo_features told; /* to a program that chose its code by it */
};

/* Take one of a machine that stands still: 0, HALO_ENOMEM or HALO_EHOST, with words. Free it in any
 * case. */
int halo__image_take(struct halo_machine *machine, struct halo_image *image);
void halo__image_free(struct halo_image *image);

/*
 * For one that is made of something else: memory for the pages of its length, and a serial; and,
 * when its layout is known to be good, what follows from that. 0, HALO_ENOMEM or HALO_EHOST.
 */
int halo__image_map(struct halo_image *image);
int halo__image_finish(struct halo_image *image);

/*
 * To a machine on KVM that has not run, and whose memory has as many bytes: it shares the image's
 * pages until it writes them. Where that cannot be had it has its own, as any.
 */
void halo__image_lend(struct halo_machine *machine, const struct halo_image *image);

/* Pages that a restore has looked at, and those of them that it had to write. */
struct halo_brought_back {
    uint64_t compared, copied;
};

/*
 * Make the machine's memory, layout and protections the image's, and have it begin at its start.
 * `pages` is added to. The memory has the same length. 0, or an error with
 * words: then nothing may run before this has succeeded.
 */
int halo__image_bring_back(struct halo_machine *machine, const struct halo_image *image,
                           struct halo_brought_back *pages);

#endif
