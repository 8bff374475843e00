/*
 * The table of system calls for fuzz targets: over memory of its own, with nothing before it and
 * behind it, and a host that is made up. What the table says is compared with what Linux says.
 */
#ifndef HALO_TESTS_FUZZ_LINUX_HOST_H
#define HALO_TESTS_FUZZ_LINUX_HOST_H

#include "../../src/guest/linux/linux.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_LEN (1u << 20)
#define SEGMENT_LEN (8 * LINUX_PAGE) /* of it, at its end: memory that the program has anyway */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t *at;
static size_t left;
static bool is_over;
static unsigned char *arena;
static struct linux_table table;

static uint8_t pick(void)
{
    if (left == 0)
        return 0;
    left--;
    return *at++;
}

/* --- The host --------------------------------------------------------------------------------- */

/* What there is to read, and then the end; NULL: something, for ever. What was written. */
static const unsigned char *input;
static size_t input_len;
static unsigned char output[8192];
static size_t output_len;

static int64_t read_stream(void *context, uint32_t handle, void *to, size_t len)
{
    (void)context;
    (void)handle;
    if (len > 100 && !input)
        len = 100;
    if (!input) {
        memset(to, 'r', len);
        return (int64_t)len;
    }
    if (len > input_len)
        len = input_len;
    memcpy(to, input, len);
    input += len;
    input_len -= len;
    return (int64_t)len;
}

static int64_t write_stream(void *context, uint32_t handle, const void *from, size_t len)
{
    volatile unsigned char sum = 0;

    (void)context;
    (void)handle;
    for (size_t i = 0; i < len; i++)
        sum = (unsigned char)(sum + ((const unsigned char *)from)[i]);
    for (size_t i = 0; i < len && output_len < sizeof(output); i++)
        output[output_len++] = ((const unsigned char *)from)[i];
    return (int64_t)len;
}

static bool readable(void *context, uint32_t handle, int64_t wait_ns)
{
    (void)context;
    (void)handle;
    return input || wait_ns > 0;
}

static void now(void *context, int64_t *monotonic_ns, int64_t *real_ns)
{
    (void)context;
    *monotonic_ns = 1000000;
    *real_ns = 2000000000000000000;
}

static void sleep_(void *context, int64_t ns)
{
    (void)context;
    if (ns <= 0)
        abort();
}

static void set_fs(void *context, uint64_t base)
{
    (void)context;
    (void)base;
}

static void halt(void *context, int code)
{
    (void)context;
    if (code < 0 || code > 255)
        abort();
    is_over = true;
}

static int64_t protect(void *context, uint64_t base, uint64_t len, int prot)
{
    (void)context;
    if (prot & PROT_EXEC)
        return -EACCES;
    if (mprotect((void *)(uintptr_t)base, len, prot))
        abort();
    return 0;
}

static const struct linux_host host = {
    .protect = protect,
    .read = read_stream,
    .write = write_stream,
    .readable = readable,
    .now = now,
    .sleep = sleep_,
    .set_fs = set_fs,
    .halt = halt,
};

static void begin(void)
{
    uint64_t seed[4] = {1, 2, 3, 4};

    if (!arena) { /* with nothing before it and behind it */
        unsigned char *all =
            mmap(NULL, ARENA_LEN + 2 * LINUX_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        arena = all + LINUX_PAGE;
        if (all == MAP_FAILED || mprotect(arena, ARENA_LEN, PROT_READ | PROT_WRITE))
            abort();
    }
    if (mprotect(arena, ARENA_LEN, PROT_READ | PROT_WRITE))
        abort();
    memset(arena, 0, ARENA_LEN);
    is_over = false;
    input = NULL;
    input_len = output_len = 0;
    linux_init(&table, &host, arena, ARENA_LEN - SEGMENT_LEN, seed);
    linux_add_range(&table, (uint64_t)(uintptr_t)arena + ARENA_LEN - SEGMENT_LEN, SEGMENT_LEN,
                    true);
}

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return linux_call(&table, number, (const uint64_t[6]){a, b, c, d, 0, 0});
}

/* --- Beside Linux ----------------------------------------------------------------------------- */

static int64_t native(long result)
{
    return result < 0 ? -errno : result;
}

static void same(const char *what, int64_t ours, int64_t theirs)
{
    if (ours == theirs)
        return;
    (void)fprintf(stderr, "ERROR: %s: the table says %lld, Linux %lld\n", what, (long long)ours,
                  (long long)theirs);
    abort();
}

#endif
