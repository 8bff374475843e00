/* What WP proves: the contracts in the headers and sources below. See README.md for what is left.
 */

/*
 * Facts about bits that the provers do not find by themselves; each is proved, too. The bounds on
 * `mask` say 0x8080 in a way that keeps WP from simplifying the lemma away.
 */
/*@ lemma phase_falls: \forall integer phase, mask;
        phase == 0x80 && 0x8080 <= mask <= 0x8080 ==> (phase ^ mask) == 0x8000;

    lemma phase_rises: \forall integer phase, mask;
        phase == 0x8000 && 0x8080 <= mask <= 0x8080 ==> (phase ^ mask) == 0x80;
*/

#include <halo/shm.h>

/*@ assigns \nothing; */
static inline uint64_t halo_meta(uint32_t len, uint16_t id, uint16_t flags);

/* The word functions write the word they are given, and nothing else. */
/*@ requires \valid(desc);
    assigns desc->meta; */
void halo_shm_stage_meta(struct halo_desc *desc, uint64_t meta);
/*@ requires \valid(desc);
    assigns desc->meta; */
void halo_shm_publish_meta(struct halo_desc *desc, uint64_t meta);

#include "ring/ring.c"

#include "ring/device.c"
