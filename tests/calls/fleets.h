/*
 * A fleet of tenants, tests/guests/tenant.c, for the tests of fleets.
 */
#ifndef HALO_TESTS_CALLS_FLEETS_H
#define HALO_TESTS_CALLS_FLEETS_H

#include "ways.h"
#include <halo/fleet.h>
#include <halo/snapshot.h>

#define PATIENCE 120000000000ll

static struct halo_fleet *fleet;
static struct halo_snapshot *snapshot, *other;
static struct halo_sandbox *box, *second;
static struct halo_future future;
static struct halo_fleet_stats stats;

static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

/* Tells for whom it is called. */
static inline void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    const int64_t *user = halo_fleet_user(halo_call_sandbox(call));

    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64 + (user ? *user : 0)));
}

static inline int prepare(struct halo_sandbox *of, void *count)
{
    (void)__atomic_fetch_add((int *)count, 1, __ATOMIC_RELAXED);
    return halo_provide(of, "host.twice", &twice_type, twice, NULL);
}

static int prepared;

static inline void open_fleet(void **state, uint32_t max, uint64_t memory_max)
{
    const struct halo_options sandbox = way_options(state);
    const struct halo_fleet_options options = {.sandbox = &sandbox,
                                               .max = max,
                                               .memory_max = memory_max,
                                               .prepare = prepare,
                                               .context = &prepared};

    prepared = 0;
    assert_int_equal(halo_fleet_open(&fleet, &options), 0);
}

/*
 * A snapshot of a tenant that waits for calls and has counted so far; 0: it was never called. One
 * with a mode is not to go on before it is restored.
 */
static inline void make(void **state, struct halo_snapshot **result, const char *mode,
                        uint64_t ram_len, int64_t count)
{
    const char *const args[] = {"tenant", mode};
    const struct halo_value value = halo_i64(count);
    struct halo_options options = way_options(state);
    struct halo_sandbox *from;

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    options.ram_len = ram_len;
    if (halo_open(&from, TENANT, &options) ||
        halo_provide(from, "host.twice", &twice_type, twice, NULL) ||
        halo_serve_begin(from, PATIENCE))
        fail_msg("%s", halo_errmsg(from));
    if ((count &&
         (halo_call_start(from, &future, halo_lookup(from, "add", &twice_type), &value, 1) ||
          halo_wait(&future, PATIENCE))) ||
        (!mode && halo_run_to_wait(from, PATIENCE) < 0) || halo_snapshot(from, result))
        fail_msg("%s", halo_errmsg(from));
    halo_close(from);
}

static inline void begin(void **state, uint32_t max)
{
    make(state, &snapshot, NULL, 0, 5);
    open_fleet(state, max, 0);
}

static inline void complain(void)
{
    char words[1024];

    halo_fleet_errmsg(fleet, words, sizeof(words));
    fail_msg("%s", words);
}

static inline void take(struct halo_sandbox **result, const struct halo_snapshot *of)
{
    if (halo_fleet_take(fleet, of, PATIENCE, NULL, result))
        complain();
}

static inline void give(struct halo_sandbox **taken)
{
    if (halo_fleet_give(fleet, *taken))
        complain();
    *taken = NULL;
}

static inline int function(struct halo_sandbox *of, const char *name)
{
    const int number = way_function(of, name);

    if (number == 0)
        fail_msg("%s is not exported", name);
    return number;
}

static inline int64_t number(struct halo_sandbox *of, const char *name, int64_t n)
{
    const struct halo_value value = halo_i64(n);
    struct halo_future mine;

    if (halo_call_start(of, &mine, function(of, name), &value, 1) || halo_wait(&mine, PATIENCE))
        fail_msg("%s: %s", name, halo_errmsg(of));
    return mine.result.i64;
}

static inline void count_up(void)
{
    halo_fleet_stats(fleet, &stats);
}

static inline int end(void **state)
{
    (void)state;
    assert_int_equal(halo_fleet_close(fleet), 0);
    halo_future_free(&future);
    halo_snapshot_free(snapshot);
    halo_snapshot_free(other);
    fleet = NULL;
    snapshot = other = NULL;
    box = second = NULL;
    return 0;
}

#endif
