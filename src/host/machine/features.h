/*
 * What a guest is told of the processor by `cpuid`, as far as programs choose their code by it: a C
 * library does so when it starts, so that a snapshot of it goes on only where all of that is there.
 */
#ifndef HALO_SRC_MACHINE_FEATURES_H
#define HALO_SRC_MACHINE_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct halo_features {
    uint32_t words[5]; /* ecx of leaf 1; ebx, ecx, edx of leaf 7; ecx of leaf 0x80000001 */
};

/* Note what one leaf says; of leaf 7 that is its first part. */
void halo__features_set(struct halo_features *features, uint32_t leaf, uint32_t ebx, uint32_t ecx,
                        uint32_t edx);

/* What this processor says to a process. */
void halo__features_of_host(struct halo_features *features);

/* Whether something that is wanted is not there, and the names of as much of it as fit. */
bool halo__features_lack(const struct halo_features *has, const struct halo_features *wants,
                         char *names, size_t len);

#endif
