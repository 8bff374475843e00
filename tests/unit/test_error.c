/* Names and sentences: of error codes, of broken rules, of reasons to reject. */
#include <halo/device.h>
#include <halo/driver.h>

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CODE(code)  \
    {               \
        code, #code \
    }

static const struct {
    int code;
    const char *name;
} codes[] = {
    CODE(HALO_EINVAL),    CODE(HALO_ENOMEM),     CODE(HALO_EFULL),     CODE(HALO_EBROKEN),
    CODE(HALO_EREJECT),   CODE(HALO_ESTALE),     CODE(HALO_ETIMEDOUT), CODE(HALO_EFAULT),
    CODE(HALO_EPANIC),    CODE(HALO_EPOISONED),  CODE(HALO_EGUEST),    CODE(HALO_EFILE),
    CODE(HALO_EHOST),     CODE(HALO_ENOKVM),     CODE(HALO_ESTATE),    CODE(HALO_EIO),
    CODE(HALO_EBUSY),     CODE(HALO_ENAME),      CODE(HALO_ETYPE),     CODE(HALO_ECOUNT),
    CODE(HALO_ESIZE),     CODE(HALO_EDEPTH),     CODE(HALO_EMESSAGE),  CODE(HALO_ECALL),
    CODE(HALO_EDEADLOCK), CODE(HALO_ETRANSPORT), CODE(HALO_ELIMIT),    CODE(HALO_EINTERRUPTED),
};
#define CODE_COUNT ((int)(sizeof(codes) / sizeof(codes[0])))

static void the_numbers_of_the_codes_are_minus_1_to_minus_28(void **state)
{
    (void)state;
    assert_int_equal(CODE_COUNT, 28);
    for (int i = 0; i < CODE_COUNT; i++)
        assert_int_equal(codes[i].code, -1 - i);
}

static void every_code_has_its_own_name(void **state)
{
    (void)state;
    for (int i = 0; i < CODE_COUNT; i++)
        assert_string_equal(halo_errname(codes[i].code), codes[i].name);
}

static void every_code_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CODE_COUNT; i++) {
        const char *text = halo_strerror(codes[i].code);

        assert_true(strlen(text) > 10);
        assert_string_not_equal(text, halo_strerror(0));
        assert_string_not_equal(text, halo_strerror(-1000));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text, halo_strerror(codes[k].code));
    }
}

static void a_code_that_does_not_exist_is_unknown(void **state)
{
    const int unknown[] = {-1 - CODE_COUNT, -1000, INT_MIN + 1, INT_MIN};

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_string_equal(halo_errname(unknown[i]), "HALO_EUNKNOWN");
        assert_true(strlen(halo_strerror(unknown[i])) > 0);
        assert_string_not_equal(halo_strerror(unknown[i]), "success");
    }
}

static void zero_and_counts_are_success(void **state)
{
    const int good[] = {0, 1, 2, 32768, INT_MAX};

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_string_equal(halo_strerror(good[i]), "success");
        for (int k = 0; k < CODE_COUNT; k++)
            assert_string_not_equal(halo_errname(good[i]), codes[k].name);
    }
}

static void every_broken_rule_has_its_own_name(void **state)
{
    static const char *const names[] = {
        "NOT",    "TORN",         "OVERCOMMIT", "INDIRECT",      "RESERVED", "ORDER",   "TOO_LONG",
        "BAD_ID", "DUPLICATE_ID", "INLINE",     "NOT_IN_FLIGHT", "LENGTH",   "STOPPED",
    };

    (void)state;
    for (int i = 0; i <= HALO_BROKEN_STOPPED; i++)
        assert_string_equal(halo_broken_name((enum halo_broken)i), names[i]);
    assert_string_equal(halo_broken_name((enum halo_broken)(HALO_BROKEN_STOPPED + 1)), "UNKNOWN");
}

static void every_reason_to_reject_has_its_own_name(void **state)
{
    static const char *const names[] = {
        "NOT", "LENGTH", "SEGMENTS", "RANGE", "PERMISSION", "EMPTY_CHAIN",
    };

    (void)state;
    for (int i = 0; i <= HALO_REJECT_EMPTY_CHAIN; i++)
        assert_string_equal(halo_reject_name((enum halo_reject)i), names[i]);
    assert_string_equal(halo_reject_name((enum halo_reject)(HALO_REJECT_EMPTY_CHAIN + 1)),
                        "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_of_the_codes_are_minus_1_to_minus_28),
        cmocka_unit_test(every_code_has_its_own_name),
        cmocka_unit_test(every_code_has_a_sentence_of_its_own),
        cmocka_unit_test(a_code_that_does_not_exist_is_unknown),
        cmocka_unit_test(zero_and_counts_are_success),
        cmocka_unit_test(every_broken_rule_has_its_own_name),
        cmocka_unit_test(every_reason_to_reject_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
