/*
 * Random numbers: ChaCha20 (RFC 8439) of a key that is replaced after each use by what the cipher
 * gives first, so that the table's key does not tell what was given out earlier. The seed does, and
 * a guest's boot page keeps it: there are no secrets from who reads all of a guest's memory.
 */
#include "calls.h"
#include <string.h>

#define BLOCK 64u

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 7);
}

static void block(const uint32_t key[8], uint64_t counter, uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(in + 4, key, 32);
    in[12] = (uint32_t)counter;
    in[13] = (uint32_t)(counter >> 32);
    memcpy(out, in, BLOCK);
    for (int round = 0; round < 10; round++) {
        quarter(out, 0, 4, 8, 12);
        quarter(out, 1, 5, 9, 13);
        quarter(out, 2, 6, 10, 14);
        quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15);
        quarter(out, 1, 6, 11, 12);
        quarter(out, 2, 7, 8, 13);
        quarter(out, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

void linux_random(struct linux_table *table, void *to, uint64_t len)
{
    unsigned char *at = to;
    uint32_t key[8], out[16];

    memcpy(key, table->key, sizeof(key));
    block(key, 0, out);
    memcpy(table->key, out, sizeof(table->key));
    for (uint64_t counter = 1; len > 0; counter++) {
        const size_t part = len < BLOCK ? (size_t)len : BLOCK;

        block(key, counter, out);
        memcpy(at, out, part);
        at += part;
        len -= part;
    }
}

void linux_reseed(struct linux_table *table, uint64_t seed[4])
{
    unsigned char *key = (unsigned char *)table->key, *bytes = (unsigned char *)seed;

    for (size_t i = 0; i < sizeof(table->key); i++) {
        key[i] ^= bytes[i];
        bytes[i] = 0;
    }
    linux_random(table, NULL, 0);
}

int64_t linux_getrandom(struct linux_table *table, const uint64_t *args)
{
    enum { NONBLOCK = 1, RANDOM = 2, INSECURE = 4 };
    uint64_t len = args[1];

    if ((args[2] & 0xffffffff & ~(uint64_t)(NONBLOCK | RANDOM | INSECURE)) ||
        (args[2] & (RANDOM | INSECURE)) == (RANDOM | INSECURE))
        return -L_EINVAL;
    if (len > INT32_MAX)
        len = INT32_MAX;
    if (!linux_may_write(table, args[0], len))
        return -L_EFAULT;
    linux_random(table, (void *)(uintptr_t)args[0], len);
    return (int64_t)len;
}
