/*
 * A guest that is stopped by time limits goes on as it was, however many and short they are. On
 * every backend, over both transports.
 */
#include "functions.h"

/* Limits of nothing, of some microseconds and of more, until it has answered: how many it took. */
static int over_limits(const char *name, struct halo_signature signature,
                       const struct halo_value *args, size_t count)
{
    int stops = 0, error;

    assert_int_equal(halo_call_start(box, &future, function(name, signature), args, count), 0);
    while ((error = halo_wait(&future, stops % 100 ? 0 : stops % 41 * 1000 + 50 * stops)) ==
           HALO_ETIMEDOUT)
        stops++;
    if (error)
        fail_msg("%s", halo_errmsg(box));
    return stops;
}

/* Flags of which a kernel has to take care, DF and NT, are among them; a software KVM loses NT. */
static void registers_flags_and_the_red_zone_are_kept(void **state)
{
    const uint64_t flags = way_options(state).backend == HALO_BACKEND_KVM ? 0xed7 : 0x4ed7;
    const struct halo_value args[] = {halo_u64(100000000), halo_u64(flags)};

    assert_true(over_limits("keep", FN(HALO_I32, HALO_U64, HALO_U64), args, 2) > 40);
    assert_int_equal(future.result.i32, 0);
}

/* It is stopped in its doorbell, too, and on the way there and back. */
static void a_guest_that_calls_its_host_all_the_time_loses_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        (void)over_limits("fan", FN(HALO_I64, HALO_U32), (struct halo_value[]){halo_u32(30)}, 1);
        assert_int_equal(future.result.i64, 870);
        (void)over_limits("texts", FN(HALO_U64, HALO_U32, HALO_U32),
                          (struct halo_value[]){halo_u32(5), halo_u32(30)}, 2);
    }
}

int main(int argc, char **argv)
{
    static const struct way_test tests[] = {
        TEST(registers_flags_and_the_red_zone_are_kept),
        TEST(a_guest_that_calls_its_host_all_the_time_loses_nothing),
    };

    take_files(argc, argv);
    return run_every_way("limits", tests, sizeof(tests) / sizeof(tests[0]), open_functions,
                         close_box);
}
