/* From an address that a driver wrote to bytes: every border of every region. */
#include <halo/shm.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define READ HALO_MAY_READ
#define WRITE HALO_MAY_WRITE

static unsigned char bytes[4096];

/* In one region that begins at `base`. */
static enum halo_span_error look(uint64_t base, uint64_t region_len, uint32_t rights, uint64_t addr,
                                 uint32_t len, enum halo_right right, struct halo_span *span)
{
    struct halo_region region = {base, region_len, halo_shm_share(bytes), rights};
    struct halo_memory memory = {&region, 1};

    return halo_memory_span(&memory, (struct halo_gpa){addr}, len, right, span);
}

static void assert_span(uint64_t base, uint64_t region_len, uint64_t addr, uint32_t len)
{
    struct halo_span span = {NULL, 0};

    assert_int_equal(look(base, region_len, READ, addr, len, READ, &span), HALO_SPAN_OK);
    assert_ptr_equal(halo_shm_expose(span.base), bytes + (addr - base));
    assert_int_equal(span.len, len);
}

/* Refused, and the span is left alone. */
static void assert_no_span(uint64_t base, uint64_t region_len, uint64_t addr, uint32_t len)
{
    struct halo_span span = {NULL, 99};

    assert_int_equal(look(base, region_len, READ | WRITE, addr, len, READ, &span), HALO_SPAN_RANGE);
    assert_null(halo_shm_expose(span.base));
    assert_int_equal(span.len, 99);
}

static void the_first_and_the_last_byte_of_a_region_can_be_had(void **state)
{
    (void)state;
    assert_span(0x1000, 0x1000, 0x1000, 1);
    assert_span(0x1000, 0x1000, 0x1fff, 1);
    assert_span(0x1000, 0x1000, 0x1000, 0x1000);
    assert_span(0x1000, 0x1000, 0x1001, 0xfff);
    assert_span(0, 4096, 0, 1);
    assert_span(0, 4096, 0, 4096);
    assert_span(0x1000, 1, 0x1000, 1);
}

static void dev_13_one_byte_past_either_end_of_a_region_is_out_of_range(void **state)
{
    (void)state;
    assert_no_span(0x1000, 0x1000, 0xfff, 1);
    assert_no_span(0x1000, 0x1000, 0xfff, 2);
    assert_no_span(0x1000, 0x1000, 0xfff, 0x1001);
    assert_no_span(0x1000, 0x1000, 0x1fff, 2);
    assert_no_span(0x1000, 0x1000, 0x2000, 1);
    assert_no_span(0x1000, 0x1000, 0x1000, 0x1001);
    assert_no_span(0x1000, 0x1000, 0x1001, 0x1000);
    assert_no_span(0x1000, 0x1000, 0x1000, UINT32_MAX);
    assert_no_span(0x1000, 1, 0x1000, 2);
}

static void dev_13_every_address_and_length_around_a_small_region_agrees_with_a_count(void **state)
{
    struct halo_span span;

    (void)state;
    for (uint64_t addr = 90; addr < 120; addr++) {
        for (uint32_t len = 1; len < 30; len++) {
            unsigned inside = 0;

            for (uint64_t at = addr; at < addr + len; at++)
                inside += at >= 100 && at < 110;
            assert_int_equal(look(100, 10, READ, addr, len, READ, &span),
                             inside == len ? HALO_SPAN_OK : HALO_SPAN_RANGE);
        }
    }
}

static void dev_13_an_end_over_2_to_the_64_does_not_wrap_to_a_low_address(void **state)
{
    (void)state;
    assert_no_span(0x1000, 0x1000, UINT64_MAX, 1);
    assert_no_span(0x1000, 0x1000, UINT64_MAX, 0x1002);
    assert_no_span(0x1000, 0x1000, UINT64_MAX - 0xfff, 0x2001);
    assert_no_span(0x1000, 0x1000, UINT64_MAX, UINT32_MAX);
    assert_no_span(0, 4096, UINT64_MAX, 2);
    assert_no_span(0, 4096, UINT64_MAX - 1, 4);
    assert_no_span(0, UINT64_MAX, UINT64_MAX, 1);
    assert_no_span(0x1000, UINT64_MAX, 0, 1); /* as if the region itself passed the end */
}

static void a_region_may_end_at_the_very_last_address(void **state)
{
    const uint64_t base = UINT64_MAX - 4095;

    (void)state;
    assert_span(base, 4096, base, 4096);
    assert_span(base, 4096, UINT64_MAX, 1);
    assert_span(base, 4096, UINT64_MAX - 1, 2);
    assert_no_span(base, 4096, UINT64_MAX, 2);
    assert_no_span(base, 4096, base, 4097);
    assert_no_span(base, 4096, base - 1, 1);
    assert_no_span(base, 4096, 0, 1);
}

static void without_regions_and_in_empty_ones_there_is_nothing(void **state)
{
    struct halo_memory memory = {NULL, 0};
    struct halo_span span;

    (void)state;
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0}, 1, READ, &span),
                     HALO_SPAN_RANGE);
    assert_no_span(0x1000, 0, 0x1000, 1);
    assert_no_span(0, 0, 0, 1);
}

static void dev_16_the_right_that_is_asked_for_must_be_there(void **state)
{
    struct halo_span span = {NULL, 99};

    (void)state;
    for (uint32_t rights = 0; rights < 4; rights++) {
        assert_int_equal(look(0, 4096, rights, 5, 1, READ, &span),
                         rights & READ ? HALO_SPAN_OK : HALO_SPAN_PERMISSION);
        assert_int_equal(look(0, 4096, rights, 5, 1, WRITE, &span),
                         rights & WRITE ? HALO_SPAN_OK : HALO_SPAN_PERMISSION);
    }
    span = (struct halo_span){NULL, 99};
    assert_int_equal(look(0, 4096, READ, 0, 1, WRITE, &span), HALO_SPAN_PERMISSION);
    assert_int_equal(span.len, 99);
    assert_int_equal(look(0, 4096, 0, 0, 4097, WRITE, &span), HALO_SPAN_RANGE);
}

static void a_buffer_may_lie_in_any_region_but_never_across_two(void **state)
{
    const struct halo_region regions[] = {
        {0x3000, 16, halo_shm_share(bytes), READ},
        {0x1000, 16, halo_shm_share(bytes + 100), READ | WRITE},
        {0x1010, 16, halo_shm_share(bytes + 200), WRITE}, /* starts where the one before ends */
    };
    const struct halo_memory memory = {regions, 3};
    struct halo_span span;

    (void)state;
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x3000}, 16, READ, &span), 0);
    assert_ptr_equal(halo_shm_expose(span.base), bytes);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x1008}, 8, WRITE, &span), 0);
    assert_ptr_equal(halo_shm_expose(span.base), bytes + 108);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x101f}, 1, WRITE, &span), 0);
    assert_ptr_equal(halo_shm_expose(span.base), bytes + 215);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x100f}, 2, WRITE, &span),
                     HALO_SPAN_RANGE);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x1000}, 32, WRITE, &span),
                     HALO_SPAN_RANGE);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x1020}, 1, WRITE, &span),
                     HALO_SPAN_RANGE);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x1010}, 1, READ, &span),
                     HALO_SPAN_PERMISSION);
    assert_int_equal(halo_memory_span(&memory, (struct halo_gpa){0x3000}, 1, WRITE, &span),
                     HALO_SPAN_PERMISSION);
}

static void toc_04_what_was_copied_changes_no_more(void **state)
{
    static unsigned char shared[8] = "before";
    char copy[8];

    (void)state;
    halo_shm_copy_in(copy, halo_shm_share(shared), sizeof(shared));
    halo_shm_copy_out(halo_shm_share(shared), "after!", 7);
    assert_string_equal(copy, "before");
    assert_string_equal((char *)shared, "after!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_and_the_last_byte_of_a_region_can_be_had),
        cmocka_unit_test(dev_13_one_byte_past_either_end_of_a_region_is_out_of_range),
        cmocka_unit_test(dev_13_every_address_and_length_around_a_small_region_agrees_with_a_count),
        cmocka_unit_test(dev_13_an_end_over_2_to_the_64_does_not_wrap_to_a_low_address),
        cmocka_unit_test(a_region_may_end_at_the_very_last_address),
        cmocka_unit_test(without_regions_and_in_empty_ones_there_is_nothing),
        cmocka_unit_test(dev_16_the_right_that_is_asked_for_must_be_there),
        cmocka_unit_test(a_buffer_may_lie_in_any_region_but_never_across_two),
        cmocka_unit_test(toc_04_what_was_copied_changes_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
