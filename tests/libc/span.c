/* A plug-in that works for as long as it is told, by its own clock. */
#include <halo/guest.h>
#include <time.h>

HALO_IMPORT(away, "away", HALO_VOID);

#define LOOKS 50

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Returns how often the clock went back. */
HALO_EXPORT(span, "span", HALO_I64, HALO_I64)
{
    const int64_t start = now();
    int64_t at = start, last, back = 0;

    do {
        last = at;
        at = now();
        back += at < last;
    } while (at - start < args[0].i64);
    halo_return(call, halo_i64(back));
}

/* The same around so many calls of the host's, for which it leaves. */
HALO_EXPORT(around, "around", HALO_I64, HALO_I64)
{
    int64_t last = now(), at, back = 0;
    struct halo_future future;

    for (int64_t i = 0; i < args[0].i64; i++) {
        for (int j = 0; j < 2 * LOOKS; j++) {
            if (j == LOOKS && halo_call(&future, &away))
                halo_panic("nobody is there");
            at = now();
            back += at < last;
            last = at;
        }
    }
    halo_return(call, halo_i64(back));
}

int main(void)
{
    return halo_serve();
}
