/*
 * lookup: a guest that asks its host about each of its arguments, all in one batch. Its host is
 * examples/lookup_host.c.
 */
#include <halo/guest.h>

HALO_IMPORT(lookup, "host.lookup", HALO_I64, HALO_STR);
HALO_IMPORT(report, "host.report", HALO_VOID, HALO_STR, HALO_I64);

#define BATCH 64

static struct halo_future asked[BATCH], told[BATCH];

int main(int argc, char **argv)
{
    int missing = 0;

    for (int first = 1; first < argc; first += BATCH) {
        const int count = argc - first < BATCH ? argc - first : BATCH;

        for (int i = 0; i < count; i++) {
            const struct halo_value word = halo_str(argv[first + i]);

            (void)halo_call_start(&asked[i], &lookup, &word, 1); /* the wait has its error */
        }
        for (int i = 0; i < count; i++) { /* one exit serves them all */
            const int error = halo_wait(&asked[i]);
            const bool found = error == 0;
            const struct halo_value line[] = {halo_str(argv[first + i]),
                                              found ? asked[i].result : halo_i64(-asked[i].code)};

            if (error && error != HALO_ECALL) /* no word of the host's about this word */
                halo_panic(asked[i].text);
            missing += !found;
            (void)halo_call_start(&told[i], &report, line, 2);
        }
        for (int i = 0; i < count; i++) {
            if (halo_wait(&told[i]))
                halo_panic(told[i].text);
        }
    }
    return missing > 0;
}
