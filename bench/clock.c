/*
 * The clock of a guest that does not leave: how far it is from its host's after some seconds alone,
 * in ns a second, either way. Of a guest that has its own thread it is the same: it is told anew
 * when it comes back. BENCH_ALONE=60 in the environment lets it be alone for a minute.
 */
#include "bench.h"
#include "machine.h"
#include <stdio.h>
#include <stdlib.h>

static const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);

#define SETTLED 4.1 /* s: then its host has measured the rate for long enough */

static double seconds(void)
{
    const char *words = getenv("BENCH_ALONE");
    const double wanted = words ? strtod(words, NULL) : 1;

    bench_must(wanted >= 0.1 && wanted <= 3600, "BENCH_ALONE is a number of seconds, 0.1 to 3600");
    return wanted;
}

static int64_t alone(struct halo_sandbox *box, double for_seconds)
{
    struct halo_future future;

    if (halo_call(box, &future, halo_lookup(box, "alone", &type), HALO_FOREVER,
                  halo_i64((int64_t)(for_seconds * 1e9))))
        bench_fail(halo_errmsg(box));
    return future.result.i64;
}

/* So long behind its host's, at once after it was opened or when its host knows the rate well. */
static double drift(bool is_process, bool is_new)
{
    const struct halo_options options = {.backend = bench_backend(is_process)};
    const double for_seconds = seconds();
    struct halo_sandbox *box;
    char words[64];
    int64_t ns;

    if (halo_open(&box, BENCH_CLOCK, &options) || halo_serve_begin(box, HALO_FOREVER))
        bench_fail(halo_errmsg(box));
    if (!is_new)
        (void)alone(box, SETTLED);
    ns = alone(box, for_seconds);
    halo_close(box);
    (void)snprintf(words, sizeof(words), "%lld ns %s after %.3g s", (long long)llabs(ns),
                   ns < 0 ? "ahead" : "behind", for_seconds);
    bench_remark(words);
    return (double)llabs(ns) / for_seconds;
}

#define DRIFT(name, is_process, is_new)   \
    static double name(void)              \
    {                                     \
        return drift(is_process, is_new); \
    }

DRIFT(kvm, false, false)
DRIFT(kvm_new, false, true)
DRIFT(process, true, false)
DRIFT(process_new, true, true)

#define ONCE(name_, what_, sample_, ...)                                                  \
    {                                                                                     \
        .name = name_, .what = what_, .sample = sample_, .is_once = true, .neighbours = { \
            __VA_ARGS__                                                                   \
        }                                                                                 \
    }

const struct bench_row bench_clock_rows[] = {
    ONCE("threaded.clock.kvm", "a guest's clock, in a second alone", kvm,
         {"of one that was just opened", kvm_new, NULL}),
    ONCE("threaded.clock.process", "the same in a process", process,
         {"of one that was just opened", process_new, NULL}),
    {.name = NULL},
};
