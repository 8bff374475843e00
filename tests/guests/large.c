/*
 * A guest with much memory, of which its host says what is written: tests/calls/test_tracking.c.
 * `large streams` opens a stream by the name "in" first.
 */
#include "check.h"
#include <halo/guest.h>
#include <stdlib.h>
#include <string.h>

HALO_IMPORT(host_text, "host.text", HALO_STR, HALO_U32);

static unsigned char *memory;
static uint32_t page_count, in;

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Have so many pages, none of which is zero. */
HALO_EXPORT(touch, "touch", HALO_VOID, HALO_U32)
{
    page_count = args[0].u32;
    memory = malloc((size_t)page_count * HALO_PAGE);
    if (!memory)
        halo_panic("no memory");
    for (uint32_t i = 0; i < page_count; i++)
        memset(memory + (size_t)i * HALO_PAGE, (int)(1 + i % 250), HALO_PAGE);
    halo_return(call, halo_void());
}

/* Write a byte to so many of them, which the first number tells. */
HALO_EXPORT(stamp, "stamp", HALO_VOID, HALO_U32, HALO_U32)
{
    uint32_t seed = args[0].u32;

    for (uint32_t i = 0; i < args[1].u32; i++) {
        const uint32_t page = next(&seed) % page_count;

        memory[(size_t)page * HALO_PAGE + next(&seed) % HALO_PAGE] ^= 0xff;
    }
    halo_return(call, halo_void());
}

/* A number for what they hold. */
HALO_EXPORT(sum, "sum", HALO_U64)
{
    const uint64_t *words = (const uint64_t *)memory;
    uint64_t result = 14695981039346656037ull;

    for (size_t i = 0; i < (size_t)page_count * HALO_PAGE / sizeof(*words); i++)
        result = (result ^ words[i]) * 1099511628211ull;
    halo_return(call, halo_u64(result));
}

/* Pages that were never touched, left allocated. */
HALO_EXPORT(more, "more", HALO_VOID, HALO_U32)
{
    unsigned char *fresh = malloc((size_t)args[0].u32 * HALO_PAGE);

    if (!fresh)
        halo_panic("no memory");
    for (uint32_t i = 0; i < args[0].u32; i++)
        fresh[(size_t)i * HALO_PAGE] = 0xee;
    halo_return(call, halo_void());
}

/* Have the host read into the middle of it. */
HALO_EXPORT(fetch, "fetch", HALO_U64, HALO_U32, HALO_U32)
{
    struct halo_future future;

    halo_stream_read_start(&future, in, memory + (size_t)args[0].u32 * HALO_PAGE, args[1].u32);
    check(halo_wait(&future) == 0, "a read failed");
    halo_return(call, halo_u64(future.result.len));
}

/* Have the host answer with so many letters. */
HALO_EXPORT(ask, "ask", HALO_U64, HALO_U32)
{
    struct halo_future future;

    halo_call(&future, &host_text, args[0]);
    if (halo_wait(&future) == 0)
        halo_return(call, halo_u64(future.result.len));
    else
        halo_fail(call, 9, future.text);
    halo_future_free(&future);
}

HALO_EXPORT(take, "take", HALO_U64, HALO_BYTES)
{
    halo_return(call, halo_u64(args[0].len));
}

HALO_EXPORT(loop, "loop", HALO_VOID)
{
    for (uint32_t i = 0;; i = (i + 1) % page_count)
        memory[(size_t)i * HALO_PAGE]++;
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == 's')
        check(halo_stream_open("in", &in) == 0, "no stream in");
    return halo_serve();
}
