/*
 * Long calls of a guest with a C library, to which most of the memory belongs: arguments and rows
 * up to the limits, and however long those before were. On every backend.
 */
#include "ways.h"

#include <halo/rows.h>

#define ROWS 1000000u
#define SLICES 8u

static struct halo_sandbox *box;
static double values[ROWS];

static int open_guest(void **state)
{
    return open_to_serve(&box, state, LENGTHS, 128ull << 20);
}

static int close_guest(void **state)
{
    (void)state;
    halo_close(box);
    return 0;
}

static void sum(size_t len)
{
    static const struct halo_signature type = HALO_FN(HALO_U64, HALO_BYTES);
    static unsigned char bytes[HALO_VALUE_MAX];
    struct halo_future future;
    uint64_t total = 0;

    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(i * 7 + len);
        total += bytes[i];
    }
    if (halo_call(box, &future, halo_lookup(box, "sum", &type), HALO_FOREVER,
                  halo_bytes(bytes, len)))
        fail_msg("%zu bytes: %s", len, halo_errmsg(box));
    assert_int_equal(future.result.u64, total);
    halo_future_free(&future);
}

/* More often than there is memory for, if it were not given back. */
static void arguments_may_be_as_long_as_a_call_may_be(void **state)
{
    (void)state;
    sum(0);
    for (int i = 0; i < 20; i++)
        sum(HALO_VALUE_MAX);
    sum(1);
}

/* Slices of so many rows at the same time: how many exits that took. */
static uint64_t halve(uint32_t count, uint32_t slices)
{
    static const struct halo_signature type = HALO_FN(HALO_F64, HALO_F64);
    const struct halo_column column = halo_numbers(HALO_F64, values, NULL);
    static struct halo_rows rows[SLICES];
    struct halo_stats before, after;

    halo_stats(box, &before);
    for (uint32_t i = 0; i < slices; i++)
        assert_int_equal(halo_call_rows_start(box, &rows[i], halo_lookup(box, "half", &type), count,
                                              &column, 1, 0),
                         0);
    for (uint32_t i = 0; i < slices; i++) {
        if (halo_wait(&rows[i].future, HALO_FOREVER))
            fail_msg("%u rows: %s", count, halo_errmsg(box));
        for (uint32_t k = 0; k < count; k += 997)
            assert_true(((const double *)rows[i].result.values)[k] == values[k] / 2);
    }
    halo_stats(box, &after);
    for (uint32_t i = 0; i < slices; i++)
        halo_rows_free(&rows[i]);
    return after.exits - before.exits;
}

/* Long ones are not refused where there were shorter ones before, and share an exit once learned.
 */
static void rows_may_be_many_whatever_came_before(void **state)
{
    (void)state;
    sum(0);
    for (uint32_t k = 0; k < ROWS; k++)
        values[k] = k;
    for (uint32_t count = 1024; count <= 65536; count *= 2) {
        for (int i = 0; i < 8; i++)
            (void)halve(count, SLICES);
        assert_int_equal(halve(count, SLICES), 1);
        (void)halve(2 * count, 1);
    }
    (void)halve(ROWS, 1);
    (void)halve(ROWS, 2);
    sum(1);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(arguments_may_be_as_long_as_a_call_may_be),
        IN_TURNS(rows_may_be_many_whatever_came_before),
    };

    return run_every_way("lengths", tests, sizeof(tests) / sizeof(tests[0]), open_guest,
                         close_guest);
}
