/* The head of a dump's file: see dump.c. */
#ifndef HALO_SRC_DUMP_H
#define HALO_SRC_DUMP_H

#include "picture.h"

#define HALO_DUMP_MAGIC                        \
    {                                          \
        'H', 'A', 'L', 'O', 'D', 'U', 'M', 'P' \
    }
#define HALO_DUMP_HEAD_LEN 32u
#define HALO_DUMP_X86_64 62u

struct halo_dump_head {
    char magic[8];
    uint32_t version, architecture;
    uint64_t fields_len, page_count;
};

/* From or to its bytes: 0, HALO_EGUEST where there are too few, or HALO_ENOMEM. */
int halo__dump_head(struct halo_fields *fields, struct halo_dump_head *head);

#endif
