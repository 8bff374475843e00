/* A layout that comes from a file, and not from layout.c. */
#ifndef HALO_SRC_MACHINE_LAYOUT_JUDGE_H
#define HALO_SRC_MACHINE_LAYOUT_JUDGE_H

#include "machine.h"

/* NULL where a machine can be made of it, with so much memory; or what is wrong with it. Its count
 * of ranges is within its bound. */
const char *halo__layout_judge(const struct halo_layout *layout, uint64_t ram_len, bool on_stacks);

/* Of one that was judged: whether its pages may have these protections, one for each page. */
bool halo__layout_judge_prots(const struct halo_layout *layout, const unsigned char *prots);

#endif
