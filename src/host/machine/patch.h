/* How a call site of a program of Linux's is rewritten: a judge of bytes, and what comes of them.
 */
#ifndef HALO_SRC_MACHINE_PATCH_H
#define HALO_SRC_MACHINE_PATCH_H

#include <stdbool.h>
#include <stdint.h>

#define HALO_PATCH_BEFORE 8u /* bytes that are looked at before a `syscall`, */
#define HALO_PATCH_SEEN 10u  /* and all of them */
#define HALO_PATCH_JUMP 5u   /* that replace as many bytes, which end where the `syscall` begins */
#define HALO_PATCH_CODE 25u
#define HALO_PATCH_AFTER 10u /* bytes from a `syscall` on, of which up to eight are moved */

struct halo_patch {
    unsigned char jump[HALO_PATCH_JUMP];
    unsigned char code[HALO_PATCH_CODE];
    unsigned code_len;
};

/*
 * The bytes around a `syscall` at guest address `site`; `place` is where the code will be, and
 * `entry` where that leads. All three lie within 2 GiB. False: this is no place to be rewritten.
 */
bool halo__patch_make(const unsigned char seen[HALO_PATCH_SEEN], uint64_t site, uint64_t place,
                      uint64_t entry, struct halo_patch *patch);

/*
 * The same where what is behind a `syscall` may be moved: the jump is over the `syscall` itself,
 * and the code makes the call and goes on with those instructions, HALO_PATCH_BEHIND behind
 * `place`.
 */
bool halo__patch_make_behind(const unsigned char seen[HALO_PATCH_AFTER], uint64_t site,
                             uint64_t place, uint64_t entry, struct halo_patch *patch);

#endif
