/*
 * The guest of bench/call.c.
 *
 *     calls BATCH TOTAL    makes so many calls, so many for each exit
 *     texts 1 TOTAL        asks for text of many lengths
 *     log 1 TOTAL          logs so many lines
 *     serve                is called
 */
#include <halo/guest.h>

HALO_IMPORT(begin, "begin", HALO_VOID);
HALO_IMPORT(end, "end", HALO_VOID, HALO_U64);
HALO_IMPORT(next, "next", HALO_I64, HALO_I64);
HALO_IMPORT(text, "text", HALO_STR, HALO_U32);

#define BATCH_MAX 256

static struct halo_future futures[BATCH_MAX], mark;

HALO_EXPORT(successor, "successor", HALO_I64, HALO_I64)
{
    halo_return(call, halo_i64(args[0].i64 + 1));
}

HALO_EXPORT(echo, "echo", HALO_BYTES, HALO_BYTES)
{
    halo_return(call, args[0]);
}

HALO_EXPORT(spin, "spin", HALO_VOID)
{
    (void)args;
    for (;;)
        __asm__ volatile("pause");
    halo_return(call, halo_void());
}

static uint64_t number(const char *digits)
{
    uint64_t value = 0;

    for (; *digits; digits++)
        value = value * 10 + (uint64_t)(*digits - '0');
    return value;
}

static void make_calls(uint64_t batch, uint64_t total)
{
    int64_t sum = 0;

    for (uint64_t done = 0; done < total; done += batch) {
        for (uint64_t i = 0; i < batch; i++) {
            const struct halo_value arg = halo_i64(sum);

            halo_call_start(&futures[i], &next, &arg, 1);
        }
        for (uint64_t i = 0; i < batch; i++) {
            if (halo_wait(&futures[i]))
                halo_panic(futures[i].text);
            sum = futures[i].result.i64;
        }
    }
}

/* Lengths from 1 to 8191, as many of each power of two. */
static void ask_for_texts(uint64_t total)
{
    uint64_t x = 88172645463325252u;

    for (uint64_t i = 0; i < total; i++) {
        uint32_t len;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        len = 1u << (x >> 8) % 13;
        len += (uint32_t)(x >> 32) % len;
        if (halo_call(&futures[0], &text, halo_u32(len)) || futures[0].result.len != len)
            halo_panic("text from the host");
        halo_future_free(&futures[0]);
    }
}

static void log_lines(uint64_t total)
{
    for (uint64_t i = 0; i < total; i++)
        halo_log(HALO_LOG_INFO, "line %u of a plug-in's log: %s", (unsigned)i, "all is well");
}

int main(int argc, char **argv)
{
    const uint64_t batch = argc > 1 ? number(argv[1]) : 1, total = argc > 2 ? number(argv[2]) : 1;
    struct halo_call_stats stats;

    if (argv[0][0] == 's')
        return halo_serve();
    if (batch > BATCH_MAX)
        halo_panic("so large a batch");
    if (argv[0][0] == 'c')
        make_calls(batch, 4 * batch);
    if (halo_call_start(&mark, &begin, NULL, 0) || halo_wait(&mark))
        halo_panic("cannot begin");
    if (argv[0][0] == 't')
        ask_for_texts(total);
    else if (argv[0][0] == 'l')
        log_lines(total);
    else
        make_calls(batch, total);
    halo_call_stats(&stats);
    if (halo_call(&mark, &end, halo_u64(stats.truncated)))
        halo_panic("cannot end");
    return 0;
}
