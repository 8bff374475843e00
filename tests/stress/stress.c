/*
 * Guests with threads of their own, called by hosts with threads of their own, more of both than
 * there are processors, each of which now and then does nothing for a random time:
 *
 *     stress BACKEND SECONDS GUEST [SEED]
 *
 * Whatever is asked for has to be answered, and rightly. Nobody waits with a time limit, behind
 * which an answer would be found that nobody was woken for: a wake-up that is lost shows as a host
 * that does nothing more, and tests/stress/run throws some away to see that it does. At the end
 * stands how often each side slept, and it is a failure where one of them never did, for then
 * nothing was tested.
 */
#define _GNU_SOURCE
#include <halo/metrics.h>
#include <halo/snapshot.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define STALL (20 * SECOND) /* so long nothing on earth takes a host but a wake-up that is lost */
#define HOSTS 3             /* threads */
#define BOXES 8             /* of each of them at a time */
#define CALLS 6             /* in flight */
#define NAP_US 300

static enum halo_backend_choice backend;
static const char *guest;
static int64_t end;

static struct {
    pthread_mutex_t mutex;
    struct halo_metrics metrics;
    uint64_t actions;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct host {
    pthread_t thread;
    uint64_t random;
    uint64_t actions; /* the first thread looks at it, */
    bool has_ended;   /* and at this */
    struct place {
        struct halo_sandbox *box;
        int twice_plus, fan, spin;
    } places[BOXES];
};

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* xorshift64: below `limit`. */
static uint32_t below(struct host *host, uint32_t limit)
{
    host->random ^= host->random << 13;
    host->random ^= host->random >> 7;
    host->random ^= host->random << 17;
    return (uint32_t)(host->random >> 32) % limit;
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
    va_list rest;

    va_start(rest, format);
    (void)vfprintf(stderr, format, rest);
    va_end(rest);
    (void)fputc('\n', stderr);
    _exit(1);
}

static void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    struct host *host = context;

    if (below(host, 64) == 0)
        usleep(below(host, NAP_US));
    halo_return(call, halo_i64(2 * args[0].i64));
}

static int look_up(struct halo_sandbox *box, const char *name, struct halo_signature signature)
{
    const int function = halo_lookup(box, name, &signature);

    if (function < 0)
        fail("%s: %s", name, halo_errmsg(box));
    return function;
}

/* Each looks for a time of its own before it sleeps, or not at all. */
static void open_place(struct host *host, struct place *place)
{
    static const uint32_t looks[] = {0, HALO_POLL_NEVER, 500, 20000, 1000000};
    static const struct halo_signature i64 = HALO_FN(HALO_I64, HALO_I64);
    const struct halo_options options = {
        .backend = backend,
        .threaded = true,
        .poll_ns = looks[below(host, sizeof(looks) / sizeof(looks[0]))],
    };
    struct halo_sandbox *box;

    if (halo_open(&box, guest, &options) || halo_provide(box, "host.twice", &i64, twice, host) ||
        halo_serve_begin(box, HALO_FOREVER))
        fail("open: %s", halo_errmsg(box));
    *place = (struct place){
        .box = box,
        .twice_plus = look_up(box, "twice_plus", i64),
        .fan = look_up(box, "fan", (struct halo_signature)HALO_FN(HALO_I64, HALO_U32)),
        .spin = look_up(box, "spin", (struct halo_signature)HALO_FN(HALO_I32, HALO_U64)),
    };
}

static void close_place(struct place *place)
{
    struct halo_metrics metrics;

    halo_metrics(place->box, &metrics, sizeof(metrics));
    pthread_mutex_lock(&all.mutex);
    halo_metrics_add(&all.metrics, &metrics, sizeof(metrics));
    pthread_mutex_unlock(&all.mutex);
    halo_close(place->box);
    place->box = NULL;
}

/* --- What a host does ------------------------------------------------------------------------- */

static void call_back(struct host *host, struct place *place)
{
    const int64_t value = below(host, 1000);
    struct halo_future future;

    if (halo_call(place->box, &future, place->twice_plus, HALO_FOREVER, halo_i64(value)))
        fail("a call: %s", halo_errmsg(place->box));
    if (future.result.i64 != 2 * value + 1)
        fail("%lld of %lld", (long long)future.result.i64, (long long)value);
}

static void fan(struct host *host, struct place *place)
{
    const uint32_t count = below(host, 100);
    struct halo_future future;

    if (halo_call(place->box, &future, place->fan, HALO_FOREVER, halo_u32(count)))
        fail("many calls back: %s", halo_errmsg(place->box));
    if (count > 0 && future.result.i64 != (int64_t)count * (count - 1))
        fail("%lld of %u calls back", (long long)future.result.i64, count);
}

/* Long enough for the host to fall asleep. */
static void compute(struct host *host, struct place *place)
{
    struct halo_future future;

    if (halo_call(place->box, &future, place->spin, HALO_FOREVER, halo_u64(below(host, 200000))))
        fail("a call that computes: %s", halo_errmsg(place->box));
}

/* Several at once; what is waited for last has long been there, or has not been looked at yet. */
static void call_many(struct host *host, struct place *place)
{
    struct halo_future futures[CALLS];
    const uint32_t count = 1 + below(host, CALLS), first = below(host, count);

    for (uint32_t i = 0; i < count; i++) {
        const struct halo_value value = halo_i64(i);

        if (halo_call_start(place->box, &futures[i], place->twice_plus, &value, 1))
            fail("one of many calls: %s", halo_errmsg(place->box));
    }
    if (below(host, 2))
        usleep(below(host, NAP_US));
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t which = (first + i) % count;

        if (halo_wait(&futures[which], HALO_FOREVER))
            fail("one of many answers: %s", halo_errmsg(place->box));
        if (futures[which].result.i64 != 2 * (int64_t)which + 1)
            fail("another answer of many");
    }
}

static void go_back(struct host *host, struct place *place)
{
    struct halo_snapshot *snapshot;

    if (halo_snapshot(place->box, &snapshot))
        fail("a snapshot: %s", halo_errmsg(place->box));
    call_back(host, place);
    if (halo_restore(place->box, snapshot))
        fail("a restore: %s", halo_errmsg(place->box));
    halo_snapshot_free(snapshot);
}

/* --- Hosts ------------------------------------------------------------------------------------ */

static void act(struct host *host, struct place *place)
{
    switch (below(host, 32)) {
    case 0:
        close_place(place);
        open_place(host, place);
        break;
    case 1:
        go_back(host, place);
        break;
    case 2:
    case 3:
        usleep(below(host, NAP_US));
        break;
    case 4:
    case 5:
    case 6:
        compute(host, place);
        break;
    case 7:
    case 8:
    case 9:
        fan(host, place);
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        call_many(host, place);
        break;
    default:
        call_back(host, place);
        break;
    }
}

static void *be_host(void *self)
{
    struct host *host = self;

    for (int i = 0; i < BOXES; i++)
        open_place(host, &host->places[i]);
    while (now() < end) {
        act(host, &host->places[below(host, BOXES)]);
        /* Relaxed: a count, beside which nothing is read. */
        __atomic_store_n(&host->actions, host->actions + 1, __ATOMIC_RELAXED);
    }
    for (int i = 0; i < BOXES; i++)
        close_place(&host->places[i]);
    __atomic_store_n(&host->has_ended, true, __ATOMIC_RELAXED); /* it is joined before all else */
    return NULL;
}

/* Wait for the end, and see that all of them get there. */
static void watch(struct host *hosts)
{
    uint64_t before[HOSTS] = {0};
    int64_t since[HOSTS];

    for (int i = 0; i < HOSTS; i++)
        since[i] = now();
    for (int ended = 0; ended < HOSTS; usleep(50000)) {
        for (int i = ended = 0; i < HOSTS; i++) {
            const uint64_t actions = __atomic_load_n(&hosts[i].actions, __ATOMIC_RELAXED);

            if (__atomic_load_n(&hosts[i].has_ended, __ATOMIC_RELAXED)) {
                ended++;
                continue;
            }
            if (actions != before[i])
                since[i] = now();
            before[i] = actions;
            if (now() > since[i] + STALL)
                fail("host %d has waited for 20 s: a wake-up was lost", i);
        }
    }
}

static bool choose(const char *name)
{
    backend = strcmp(name, "kvm") == 0 ? HALO_BACKEND_KVM : HALO_BACKEND_PROCESS;
    return backend == HALO_BACKEND_KVM || strcmp(name, "process") == 0;
}

int main(int argc, char **argv)
{
    static struct host hosts[HOSTS];
    const struct halo_metrics *metrics = &all.metrics;
    const uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 0) : (uint64_t)now();
    uint64_t actions = 0;

    if (argc < 4 || argc > 5 || !choose(argv[1]) || atoi(argv[2]) <= 0) {
        (void)fprintf(stderr, "usage: stress kvm|process SECONDS GUEST [SEED]\n");
        return 2;
    }
    guest = argv[3];
    end = now() + atoi(argv[2]) * SECOND;
    printf("%s: seed %llu\n", argv[1], (unsigned long long)seed);
    (void)fflush(stdout);
    for (uint64_t i = 0; i < HOSTS; i++) {
        hosts[i].random = (seed + i) * 0x9e3779b97f4a7c15u | 1;
        if (pthread_create(&hosts[i].thread, NULL, be_host, &hosts[i]))
            fail("no thread");
    }
    watch(hosts);
    for (int i = 0; i < HOSTS; i++) {
        pthread_join(hosts[i].thread, NULL);
        actions += hosts[i].actions;
    }
    printf("%s: %llu sandboxes, %llu actions, %llu calls of guests, %llu of hosts\n", argv[1],
           (unsigned long long)metrics->sandboxes, (unsigned long long)actions,
           (unsigned long long)metrics->calls_out, (unsigned long long)metrics->calls);
    printf("%s: guests slept %llu times and kicked %llu times; hosts slept %llu times\n", argv[1],
           (unsigned long long)metrics->waits, (unsigned long long)metrics->kicks,
           (unsigned long long)metrics->sleeps);
    if (metrics->waits == 0 || metrics->kicks == 0 || metrics->sleeps == 0)
        fail("one side never slept, or was never kicked: nothing was tested");
    return 0;
}
