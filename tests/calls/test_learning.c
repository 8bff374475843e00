/* What a guest's calls were seen to need is brought for the next ones: one exit each from then on.
 */
#include "functions.h"

#define LONGEST (1u << 20) /* that is learned, with what stands before the bytes */

#define LONG_HEAD 24u /* before the bytes of a call of sum(bytes, "", none) */

static unsigned char bytes[2 << 20];

static int open_learning(void **state)
{
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i % 251);
    return open_functions(state);
}

static uint64_t sum_of(size_t len)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum += bytes[i];
    return sum;
}

static int sum(void)
{
    return function("sum", FN(HALO_U64, HALO_BYTES, HALO_STR, HALO_BYTES));
}

static void start(struct halo_future *of, size_t len)
{
    const struct halo_value args[] = {halo_bytes(bytes, len), halo_str(""), halo_bytes(NULL, 0)};

    assert_int_equal(halo_call_start(box, of, sum(), args, 3), 0);
}

static void finish(struct halo_future *of, size_t len)
{
    if (halo_wait(of, 10 * SECONDS))
        fail_msg("%s", halo_errmsg(box));
    assert_true(of->result.u64 == sum_of(len));
}

/* Exits of `count` calls, one after another. */
static uint64_t exits_of(int count, size_t len)
{
    const uint64_t before = stats().exits;

    for (int i = 0; i < count; i++) {
        start(&future, len);
        finish(&future, len);
    }
    return stats().exits - before;
}

static void a_long_call_takes_one_exit_once_it_was_seen(void **state)
{
    static const struct {
        size_t len;
        uint64_t exits; /* of the first: room is learned by powers of two */
    } calls[] = {{5999, 2}, {4081, 1}, {16000, 2}, {65536, 2}, {130000, 1}, {LONGEST - 64, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        assert_int_equal(exits_of(1, calls[i].len), calls[i].exits);
        assert_int_equal(exits_of(50, calls[i].len), 50);
    }
    assert_int_equal(exits_of(10, 3), 10);
    assert_int_equal(stats().deferred_out, 4);
}

/* Any length up to 64 KiB, once one of them was seen. */
static void arguments_of_up_to_64_kib_take_one_exit_each(void **state)
{
    (void)state;
    assert_int_equal(exits_of(1, 65536), 2);
    for (size_t len = 0; len <= 65536; len += 1 + len / 7)
        assert_int_equal(exits_of(1, len), 1);
    assert_int_equal(exits_of(300, 65536), 300);
    assert_int_equal(stats().deferred_out, 1);
    assert_int_equal(stats().fetched, 65536 + LONG_HEAD);
}

/* A function of the guest's that asks for so much of the heap: its code, 0 or 12. */
static int take_heap(uint32_t len)
{
    const int error = halo_call(box, &future, function("fill", FN(HALO_BYTES, HALO_U32)),
                                10 * SECONDS, halo_u32(len));
    const int code = future.code;

    assert_true(error == 0 || (error == HALO_ECALL && code == 12));
    halo_future_free(&future);
    return code;
}

/* It is a quarter of the heap at most, and the rest is the program's. */
static void what_is_learned_leaves_the_program_its_heap(void **state)
{
    static struct halo_future futures[16];
    struct halo_options options = way_options(state);
    uint32_t most = 0;

    close_box(state);
    options.ram_len = 6 << 20;
    open_file(functions, options);
    assert_int_equal(halo_serve_begin(box, 10 * SECONDS), 0);
    for (uint32_t step = 4 << 20; step >= 4096; step /= 2)
        most += take_heap(most + step) == 0 ? step : 0;
    assert_in_range(most, 1 << 20, 4 << 20);
    assert_int_equal(exits_of(1, 100000), 2);
    assert_int_equal(exits_of(10, 100000), 10);
    assert_int_equal(exits_of(2, 1000000), 4); /* more than a quarter */
    assert_int_equal(exits_of(10, 100000), 10);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 16; i++) /* which would be 2 MiB */
            start(&futures[i], 100000);
        for (int i = 0; i < 16; i++)
            finish(&futures[i], 100000);
    }
    assert_int_equal(take_heap(most / 2), 0);
    assert_int_equal(take_heap(most + 8192), 12);
    assert_int_equal(exits_of(10, 100000), 10);
}

static void what_is_longer_is_fetched_each_time(void **state)
{
    (void)state;
    assert_int_equal(exits_of(5, LONGEST), 10);
    assert_int_equal(stats().deferred_out, 5);
    assert_true(stats().fetched > 5 * LONGEST);
}

static void as_many_learn_as_are_long_at_a_time(void **state)
{
    static struct halo_future futures[16];

    (void)state;
    for (int round = 0; round < 5; round++) {
        const uint64_t before = stats().exits;

        for (int i = 0; i < 16; i++)
            start(&futures[i], 6000 + (size_t)i);
        for (int i = 0; i < 16; i++)
            finish(&futures[i], 6000 + (size_t)i);
        if (round > 0)
            assert_int_equal(stats().exits - before, 1);
    }
    assert_int_equal(stats().deferred_out, 16);
}

static void others_than_the_first_thirty_two_do_not_learn(void **state)
{
    static struct halo_future futures[36];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 36; i++)
            start(&futures[i], 6000);
        for (int i = 0; i < 36; i++)
            finish(&futures[i], 6000);
    }
    assert_int_equal(stats().deferred_out, 36 + 4 + 4);
}

static void what_is_not_needed_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(exits_of(2, 10000), 3); /* 16 KiB from now on */
    assert_int_equal(exits_of(4096, 3), 4096);
    assert_int_equal(exits_of(1, 6000), 1); /* 8 KiB are left of them, which are enough for this */
    assert_int_equal(exits_of(1, 10000), 2);
    assert_int_equal(exits_of(2 * 4096, 3), 2 * 4096);
    assert_int_equal(exits_of(1, 6000), 2); /* and now nothing but its buffer */
}

static void calls_of_any_lengths_come_whole(void **state)
{
    static struct halo_future futures[24];
    static size_t lens[24];
    uint64_t seed = 1;

    (void)state;
    for (int round = 0; round < 100; round++) {
        const int count = 1 + round % 24;

        for (int i = 0; i < count; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            lens[i] = (size_t)(seed >> 33) % (1u << (1 + (seed >> 60) + (seed >> 63)));
            start(&futures[i], lens[i]);
        }
        for (int i = count; i-- > 0;)
            finish(&futures[i], lens[i]);
    }
}

static void room_that_is_left_over_is_counted(void **state)
{
    uint64_t before;

    (void)state;
    (void)exits_of(2, 5999);
    before = stats().spare_out;
    (void)exits_of(1, 5999);
    assert_in_range(stats().spare_out - before, 8192 - 5999 - 100, 8192 - 5999 - 16);
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        IN_TURNS(a_long_call_takes_one_exit_once_it_was_seen),
        IN_TURNS(arguments_of_up_to_64_kib_take_one_exit_each),
        IN_TURNS(what_is_learned_leaves_the_program_its_heap),
        IN_TURNS(what_is_longer_is_fetched_each_time),
        IN_TURNS(as_many_learn_as_are_long_at_a_time),
        RINGS(others_than_the_first_thirty_two_do_not_learn),
        IN_TURNS(what_is_not_needed_is_forgotten),
        RINGS(calls_of_any_lengths_come_whole),
        RINGS(room_that_is_left_over_is_counted),
    };

    take_files(argc, argv);
    return run_every_way("learning", tests, sizeof(tests) / sizeof(tests[0]), open_learning,
                         close_box);
}
