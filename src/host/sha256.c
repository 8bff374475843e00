/* SHA-256: see sha256.h. Names are the standard's. */
#include "sha256.h"
#include <string.h>

/* Of the cube roots of the first 64 primes. */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turn(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* One round, with a at this place of the eight, and the others behind it. */
static inline void add_round(uint32_t v[8], unsigned a, uint32_t word)
{
    const uint32_t first = v[a], e = v[(a + 4) % 8], f = v[(a + 5) % 8], g = v[(a + 6) % 8];
    const uint32_t b = v[(a + 1) % 8], c = v[(a + 2) % 8];
    uint32_t *const d = &v[(a + 3) % 8], *const h = &v[(a + 7) % 8];

    *h += (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + word;
    *d += *h;
    *h += (turn(first, 2) ^ turn(first, 13) ^ turn(first, 22)) +
          ((first & b) ^ (first & c) ^ (b & c));
}

static void add_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], v[8];

    for (unsigned t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (unsigned t = 16; t < 64; t++) {
        const uint32_t a = w[t - 15], b = w[t - 2];

        w[t] = w[t - 16] + w[t - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(v, state, sizeof(v));
    for (unsigned t = 0; t < 64; t += 8) {
        /* The eight change places instead of being moved. */
        add_round(v, 0, k[t] + w[t]);
        add_round(v, 7, k[t + 1] + w[t + 1]);
        add_round(v, 6, k[t + 2] + w[t + 2]);
        add_round(v, 5, k[t + 3] + w[t + 3]);
        add_round(v, 4, k[t + 4] + w[t + 4]);
        add_round(v, 3, k[t + 5] + w[t + 5]);
        add_round(v, 2, k[t + 6] + w[t + 6]);
        add_round(v, 1, k[t + 7] + w[t + 7]);
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += v[i];
}

void halo__sha256_begin(struct halo_sha256 *hash)
{
    /* Of the square roots of the first eight. */
    static const uint32_t first[8] = {
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
    };

    memcpy(hash->state, first, sizeof(first));
    hash->len = 0;
}

void halo__sha256_add(struct halo_sha256 *hash, const void *bytes, size_t len)
{
    const unsigned char *from = bytes;

    while (len > 0) {
        const size_t at = hash->len % 64, n = len < 64 - at ? len : 64 - at;

        if (n == 64) {
            add_block(hash->state, from);
        } else {
            memcpy(hash->block + at, from, n);
            if (at + n == 64)
                add_block(hash->state, hash->block);
        }
        hash->len += n;
        from += n;
        len -= n;
    }
}

void halo__sha256_end(struct halo_sha256 *hash, unsigned char digest[HALO_SHA256_LEN])
{
    static const unsigned char padding[64] = {0x80};
    const uint64_t bits = hash->len * 8;
    unsigned char end[8];

    for (unsigned i = 0; i < 8; i++)
        end[i] = (unsigned char)(bits >> (56 - 8 * i));
    halo__sha256_add(hash, padding, 64 - (hash->len + 8) % 64);
    halo__sha256_add(hash, end, sizeof(end));
    for (unsigned i = 0; i < HALO_SHA256_LEN; i++)
        digest[i] = (unsigned char)(hash->state[i / 4] >> (24 - i % 4 * 8));
}
