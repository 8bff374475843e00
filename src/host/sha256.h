/* SHA-256 (FIPS 180-4): whether a file is the one that was written. */
#ifndef HALO_SRC_SHA256_H
#define HALO_SRC_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define HALO_SHA256_LEN 32u

struct halo_sha256 {
    uint32_t state[8];
    uint64_t len; /* bytes so far */
    unsigned char block[64];
};

void halo__sha256_begin(struct halo_sha256 *hash);
void halo__sha256_add(struct halo_sha256 *hash, const void *bytes, size_t len);
void halo__sha256_end(struct halo_sha256 *hash, unsigned char digest[HALO_SHA256_LEN]);

#endif
