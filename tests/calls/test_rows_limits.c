/* Rows at their limits, without growth, and over a snapshot, on every backend. */
#include "rows_box.h"
#include <halo/snapshot.h>
#include <sys/mman.h>

#define LEN 4096u
#define MIB (1u << 20)

static double f64s[2][LEN];

static int open_box(void **state)
{
    for (uint32_t i = 0; i < LEN; i++) {
        f64s[0][i] = i;
        f64s[1][i] = 0.5 * i + 1;
    }
    return open_to_serve(&box, state, ROWS, 0);
}

static int open_large(void **state)
{
    return open_to_serve(&box, state, ROWS, 192ull << 20);
}

static int64_t number(const char *name)
{
    struct halo_future future;

    (void)halo_call_start(box, &future, function(name, FN(HALO_I64)), NULL, 0);
    if (halo_wait(&future, HALO_FOREVER))
        fail_msg("%s", future.text);
    return future.result.i64;
}

/* --- Growth ----------------------------------------------------------------------------------- */

/* Of this process, in bytes. */
static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %lu", &pages), 1);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A guest of 8 MiB and its host: what either kept of each slice would be seen. */
static void a_hundred_thousand_slices_without_growth(void **state)
{
    const struct halo_column args[] = {halo_numbers(HALO_F64, f64s[0], NULL),
                                       halo_numbers(HALO_F64, f64s[1], NULL)};
    static const int32_t offsets[] = {0, 3, 6, 9, 12};
    const struct halo_column texts[] = {halo_texts(HALO_STR, offsets, "onetwosixten", NULL),
                                        halo_texts(HALO_BYTES, offsets, "onetwosixten", NULL)};
#if defined(__SANITIZE_ADDRESS__)
    const size_t most = 400 * MIB; /* it keeps what is freed */
#else
    const size_t most = 4 * MIB;
#endif
    size_t before = 0;
    int mul, text;

    halo_close(box);
    (void)open_to_serve(&box, state, ROWS, 8 * MIB);
    mul = function("mul", FN(HALO_F64, HALO_F64, HALO_F64));
    text = function("text", FN(HALO_STR, HALO_STR, HALO_BYTES));
    for (uint32_t i = 0; i < 100000; i++) {
        if (i == 5000)
            before = resident();
        if (i % 4 == 0)
            call(text, 4, texts, 2);
        else
            call(mul, i % 64 == 1 ? LEN : 1 + i % 128, args, 2);
    }
    if (resident() > before + most)
        fail_msg("this process has grown by %zu KiB", (resident() - before) >> 10);
}

/* --- Lengths ---------------------------------------------------------------------------------- */

/* One row of 16 MiB of text, a million rows of 16 bytes, and bytes as well. */
static void columns_of_16_mib_of_text(void **state)
{
    const uint32_t count = MIB, one = 1;
    char *bytes = malloc(16 * MIB);
    int32_t *offsets = malloc((count + 1) * sizeof(*offsets));
    int32_t ends[] = {0, 16 * MIB};
    const struct halo_column many = halo_texts(HALO_STR, offsets, bytes, NULL);
    const struct halo_column single = halo_texts(HALO_STR, ends, bytes, NULL);
    const int back = function("back", FN(HALO_STR, HALO_STR));
    size_t len;

    (void)state;
    for (uint32_t i = 0; i < 16 * MIB; i++)
        bytes[i] = (char)('a' + i % 23);
    for (uint32_t i = 0; i <= count; i++)
        offsets[i] = (int32_t)(16 * i);
    call(back, count, &many, 1);
    for (uint32_t i = 0; i < count; i++) {
        const char *text = halo_column_text(&rows.result, i, &len);

        assert_int_equal(len, 16);
        if (memcmp(text, bytes + 16 * i, 16) != 0)
            fail_msg("row %u", i);
    }
    call(back, one, &single, 1);
    assert_memory_equal(halo_column_text(&rows.result, 0, &len), bytes, 16 * MIB);
    assert_int_equal(len, 16 * MIB);
    free(bytes);
    free(offsets);
}

/* Offsets count from where the arrays begin, to the last one that there is. */
static void offsets_up_to_their_limit(void **state)
{
    const int32_t last = INT32_MAX;
    int32_t offsets[] = {last - 6, last - 6, last - 1, last, last};
    char *const base = mmap(NULL, (size_t)last + 1, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const struct halo_column column = halo_texts(HALO_STR, offsets, base, NULL);
    struct halo_column same = column;
    const int back = function("back", FN(HALO_STR, HALO_STR));
    size_t len;

    (void)state;
    assert_true(base != MAP_FAILED);
    memcpy(base + last - 6, "helloX", 6);
    call(back, 4, &column, 1);
    assert_int_equal(rows.count, 4);
    (void)halo_column_text(&rows.result, 0, &len);
    assert_int_equal(len, 0);
    assert_memory_equal(halo_column_text(&rows.result, 1, &len), "hello", 5);
    assert_int_equal(len, 5);
    assert_memory_equal(halo_column_text(&rows.result, 2, &len), "X", 1);
    same.same = true;
    same.first = 1;
    call(back, 3, &same, 1);
    assert_memory_equal(halo_column_text(&rows.result, 2, &len), "hello", 5);
    offsets[0] = offsets[1] = 0; /* more than a call may have: not looked at */
    assert_int_equal(halo_call_rows(box, &rows, back, HALO_FOREVER, 4, &column, 1), HALO_ESIZE);
    offsets[0] = offsets[1] = last - (int32_t)HALO_ROWS_LEN_MAX - 1;
    assert_int_equal(halo_call_rows(box, &rows, back, HALO_FOREVER, 4, &column, 1), HALO_ESIZE);
    offsets[0] = offsets[1] = last - 6;
    offsets[3] = last - 2; /* back by one */
    assert_int_equal(halo_call_rows(box, &rows, back, HALO_FOREVER, 4, &column, 1), HALO_EINVAL);
    call(back, 0, &column, 1);
    munmap(base, (size_t)last + 1);
}

/* What is searched many bytes and offsets at a time has a first and a last one all the same. */
static void a_zero_byte_is_found_wherever_it_is(void **state)
{
    static char bytes[160];
    int32_t offsets[] = {0, 0}, none[] = {0, 0};
    const struct halo_column column = halo_texts(HALO_STR, offsets, bytes, NULL);
    const struct halo_column columns[] = {halo_texts(HALO_STR, none, "", NULL),
                                          halo_texts(HALO_BYTES, offsets, bytes, NULL)};
    const int back = function("back", FN(HALO_STR, HALO_STR));
    const int text = function("text", FN(HALO_STR, HALO_STR, HALO_BYTES));
    size_t len;

    (void)state;
    memset(bytes, 0x80, sizeof(bytes)); /* the highest bit alone is no zero byte */
    for (offsets[1] = 1; offsets[1] < (int32_t)sizeof(bytes); offsets[1]++) {
        for (int32_t at = 0; at < offsets[1]; at++) {
            bytes[at] = '\0';
            assert_int_equal(halo_call_rows(box, &rows, back, HALO_FOREVER, 1, &column, 1),
                             HALO_EINVAL);
            if (offsets[1] < 70) { /* in a result: there is none, then */
                call(text, 1, columns, 2);
                (void)halo_column_text(&rows.result, 0, &len);
                assert_int_equal(len, 0);
            }
            bytes[at] = (char)(at % 2 ? 0x80 : 1);
        }
        call(text, 1, columns, 2); /* a zero byte behind it is not its own */
        assert_memory_equal(halo_column_text(&rows.result, 0, &len), bytes, (size_t)offsets[1]);
        assert_int_equal(len, offsets[1]);
    }
}

static void offsets_that_go_back_are_found_wherever_they_do(void **state)
{
    int32_t offsets[40];
    char bytes[400];
    struct halo_column column = halo_texts(HALO_STR, offsets, bytes, NULL);
    const int back = function("back", FN(HALO_STR, HALO_STR));
    size_t len;

    (void)state;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i % 26);
    for (int32_t i = 0; i < 40; i++)
        offsets[i] = 10 * i - (i % 3);
    offsets[0] = 3;
    for (uint32_t count = 1; count < 20; count++) {
        for (column.first = 0; column.first + count < 40; column.first += 3) {
            const int32_t *const begin = offsets + column.first;

            for (uint32_t i = 1; i <= count; i++) {
                const int32_t before = offsets[column.first + i];

                offsets[column.first + i] = begin[i - 1] - 1;
                assert_int_equal(halo_call_rows(box, &rows, back, HALO_FOREVER, count, &column, 1),
                                 HALO_EINVAL);
                offsets[column.first + i] = before;
            }
            call(back, count, &column, 1);
            for (uint32_t i = 0; i < count; i++) {
                assert_memory_equal(halo_column_text(&rows.result, i, &len), bytes + begin[i],
                                    (size_t)(begin[i + 1] - begin[i]));
                assert_int_equal(len, begin[i + 1] - begin[i]);
            }
        }
    }
}

/* --- Snapshots -------------------------------------------------------------------------------- */

static void add(int callee, uint32_t first, uint32_t count)
{
    static int64_t numbers[LEN];
    const struct halo_column column = halo_numbers(HALO_I64, numbers, NULL);

    for (uint32_t i = 0; i < count; i++)
        numbers[i] = first + i;
    call(callee, count, &column, 1);
}

/* The guest sums up what it gets: from the snapshot it goes on with the slices before it. */
static void a_snapshot_between_slices(void **state)
{
    const int note = function("note", FN(HALO_VOID, HALO_I64));
    struct halo_options options = way_options(state);
    struct halo_snapshot *snapshot;
    struct halo_sandbox *first = box, *second;
    const int64_t half = 1999 * 1000, all = 3999 * 2000;

    add(note, 0, 1000);
    add(note, 1000, 1000);
    assert_int_equal(number("noted"), half);
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    add(note, 2000, 2000);
    assert_int_equal(number("noted"), all);
    for (int turn = 0; turn < 3; turn++) {
        if (halo_restore(box, snapshot))
            fail_msg("%s", halo_errmsg(box));
        assert_int_equal(number("noted"), half);
        add(note, 2000, 2000);
        assert_int_equal(number("noted"), all);
    }
    if (halo_open_snapshot(&second, snapshot, &options)) /* and in another sandbox */
        fail_msg("%s", halo_errmsg(second));
    box = second;
    add(note, 2000, 1000);
    add(note, 3000, 1000);
    assert_int_equal(number("noted"), all);
    box = first;
    halo_close(second);
    halo_snapshot_free(snapshot);
}

static double mean_of(struct halo_rows *of, uint32_t first, uint32_t count, bool more)
{
    struct halo_column column = halo_numbers(HALO_F64, f64s[0], NULL);

    column.first = first;
    (void)halo_call_rows_start(box, of, function("mean", FN(HALO_F64, HALO_F64)), count, &column, 1,
                               more ? HALO_ROWS_MORE : 0);
    if (halo_wait(&of->future, HALO_FOREVER))
        fail_msg("%s", of->future.text);
    return more ? 0 : *(const double *)of->result.values;
}

/* While one is open there is no snapshot; and to a restore none is open: the next begins anew. */
static void an_aggregate_and_snapshots(void **state)
{
    struct halo_snapshot *snapshot;

    (void)state;
    (void)mean_of(&rows, 0, 1000, true);
    assert_int_equal(halo_snapshot(box, &snapshot), HALO_ESTATE);
    assert_non_null(strstr(halo_errmsg(box), "1 aggregates"));
    assert_true(mean_of(&rows, 1000, 1000, false) == 999.5); /* it goes on */
    if (halo_snapshot(box, &snapshot))
        fail_msg("%s", halo_errmsg(box));
    (void)mean_of(&rows, 0, 10, true);
    assert_int_equal(halo_restore(box, snapshot), 0);
    assert_true(mean_of(&rows, 3000, 3, false) == 3001);
    (void)mean_of(&rows, 0, 1000, true);
    assert_true(mean_of(&rows, 1000, 1000, false) == 999.5);
    halo_snapshot_free(snapshot);
}

int main(void)
{
    static const struct way_test tests[] = {
        RINGS(a_hundred_thousand_slices_without_growth),
        RINGS(offsets_up_to_their_limit),
        RINGS(a_zero_byte_is_found_wherever_it_is),
        RINGS(offsets_that_go_back_are_found_wherever_they_do),
        RINGS(a_snapshot_between_slices),
        RINGS(an_aggregate_and_snapshots),
    };
    static const struct way_test large[] = {
        RINGS(columns_of_16_mib_of_text),
    };

    return run_every_way("rows_limits", tests, sizeof(tests) / sizeof(tests[0]), open_box,
                         close_box) +
           run_every_way("rows_limits_large", large, sizeof(large) / sizeof(large[0]), open_large,
                         close_box);
}
