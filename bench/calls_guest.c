/* The guest of bench/call.c: calls_guest BATCH TOTAL makes so many calls, so many for each exit. */
#include <halo/guest.h>

HALO_IMPORT(begin, "begin", HALO_VOID);
HALO_IMPORT(end, "end", HALO_VOID);
HALO_IMPORT(next, "next", HALO_I64, HALO_I64);

#define BATCH_MAX 64

static struct halo_future futures[BATCH_MAX], mark;

static uint64_t number(const char *text)
{
    uint64_t value = 0;

    for (; *text; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return value;
}

int main(int argc, char **argv)
{
    const uint64_t batch = argc > 1 ? number(argv[1]) : 1, total = argc > 2 ? number(argv[2]) : 1;
    int64_t sum = 0;

    if (batch > BATCH_MAX || halo_start(&mark, &begin, NULL, 0) || halo_wait(&mark))
        halo_panic("cannot begin");
    for (uint64_t done = 0; done < total; done += batch) {
        for (uint64_t i = 0; i < batch; i++) {
            const struct halo_value arg = halo_i64(sum);

            halo_start(&futures[i], &next, &arg, 1);
        }
        for (uint64_t i = 0; i < batch; i++) {
            if (halo_wait(&futures[i]))
                halo_panic(futures[i].text);
            sum = futures[i].result.i64;
        }
    }
    if (halo_start(&mark, &end, NULL, 0) || halo_wait(&mark))
        halo_panic("cannot end");
    return 0;
}
