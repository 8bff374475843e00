/*
 * The guest of bench/scale.c.
 *
 *     serve COUNT    waits for COUNT streams of which nothing comes, and is called
 *     calls TOTAL    makes so many calls, one for each exit
 */
#include <halo/guest.h>

HALO_IMPORT(begin, "begin", HALO_VOID);
HALO_IMPORT(end, "end", HALO_VOID);
HALO_IMPORT(next, "next", HALO_I64, HALO_I64);

static struct halo_future reads[HALO_STREAMS_MAX], mark;
static unsigned char bufs[HALO_STREAMS_MAX][64];

HALO_EXPORT(successor, "successor", HALO_I64, HALO_I64)
{
    halo_return(call, halo_i64(args[0].i64 + 1));
}

static uint64_t number(const char *digits)
{
    uint64_t value = 0;

    for (; *digits; digits++)
        value = value * 10 + (uint64_t)(*digits - '0');
    return value;
}

static void must(bool good)
{
    if (!good)
        halo_panic("the guest of scale rows failed");
}

/* The streams are the first ones that the host offers: "0", "1" and so on. */
static void wait_for_streams(uint64_t count)
{
    must(count <= HALO_STREAMS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        const char name[] = {(char)('0' + i / 100), (char)('0' + i / 10 % 10), (char)('0' + i % 10),
                             '\0'};
        uint32_t handle;

        must(halo_stream_open(name, &handle) == 0);
        halo_stream_read_start(&reads[i], handle, bufs[i], sizeof(bufs[i]));
    }
}

static void tell(struct halo_import *what)
{
    halo_call_start(&mark, what, NULL, 0);
    must(halo_wait(&mark) == 0);
}

static void make_calls(uint64_t total)
{
    for (uint64_t i = 0; i < total; i++)
        must(halo_call(&mark, &next, halo_i64(1)) == 0);
}

int main(int argc, char **argv)
{
    must(argc == 2);
    if (argv[0][0] == 's') {
        wait_for_streams(number(argv[1]));
        return halo_serve();
    }
    make_calls(64);
    tell(&begin);
    make_calls(number(argv[1]));
    tell(&end);
    return 0;
}
