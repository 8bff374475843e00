/*
 * Numbers in an envelope have a short way, in the form in which they are written: whatever it
 * takes, the way of any other form takes with the same result.
 */
#include "../../src/message/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 1;

static uint32_t pick(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

/* The same, with its second byte, a number below 128, written as two: no short way takes that. */
static size_t lengthen(unsigned char *to, const unsigned char *from, size_t len)
{
    memcpy(to, from, len);
    if (len < 2 || from[1] >= 0x80)
        return len;
    to[1] |= 0x80;
    to[2] = 0;
    memcpy(to + 3, from + 2, len - 2);
    return len + 1;
}

static struct halo_value any_number(void)
{
    const uint64_t number = (uint64_t)pick(1u << 31) << 33 ^ (uint64_t)pick(1u << 31) << 3;
    struct halo_value value = {.type = (enum halo_type)(1 + pick(HALO_BOOL))};

    value.u64 = number >> pick(64);
    return value.type == HALO_BOOL ? halo_bool(number & 1) : value;
}

/* Bytes that may be values of numbers: well formed, but for up to two changes. */
static size_t any_numbers(unsigned char *bytes, struct halo_signature *signature, bool is_result)
{
    unsigned char call[HALO_ENVELOPE_MAX];
    struct halo_value args[HALO_ARGUMENTS_MAX];
    const uint32_t count = is_result ? 1 : 1 + pick(3);
    size_t len;

    signature->arg_count = (uint8_t)count;
    for (uint32_t i = 0; i < count; i++) {
        args[i] = any_number();
        if (args[i].type == HALO_I32 || args[i].type == HALO_U32)
            args[i].u64 &= pick(2) ? UINT32_MAX : 127;
        signature->types[1 + i] =
            (uint8_t)(pick(16) ? (uint32_t)args[i].type : 1 + pick(HALO_TYPE_COUNT - 1));
    }
    signature->types[0] = (uint8_t)(pick(16) ? args[0].type : pick(HALO_TYPE_COUNT));
    if (is_result) {
        len = halo__encode_result(bytes, args);
    } else {
        len = halo__encode_call(call, 1, args, count) - 2;
        memcpy(bytes, call + 2, len);
    }
    for (uint32_t changes = pick(3); changes > 0; changes--) {
        unsigned char *byte = &bytes[pick((uint32_t)len)];

        *byte = (unsigned char)(pick(2) ? *byte ^ 1u << pick(8) : pick(pick(2) ? 256 : 12));
    }
    return pick(8) ? len : pick((uint32_t)len + 1);
}

static unsigned char *exactly(const unsigned char *bytes, size_t len)
{
    unsigned char *copy = malloc(len); /* a sanitizer watches both ends */

    memcpy(copy, bytes, len);
    return copy;
}

static void arguments_of_numbers_are_read_the_same_in_any_form(void **state)
{
    int good = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct halo_value a[HALO_ARGUMENTS_MAX], b[HALO_ARGUMENTS_MAX];
        unsigned char bytes[HALO_ENVELOPE_MAX], other[HALO_ENVELOPE_MAX], *copy;
        struct halo_signature signature;
        uint64_t raw_a, raw_b;
        const size_t len = any_numbers(bytes, &signature, false);
        const size_t other_len = lengthen(other, bytes, len);
        int error;

        copy = exactly(bytes, len);
        error = halo__decode_arguments(copy, len, &signature, a, &raw_a);
        assert_int_equal(halo__decode_arguments(other, other_len, &signature, b, &raw_b), error);
        for (uint32_t k = 0; k < signature.arg_count && !error; k++) {
            assert_int_equal(a[k].type, b[k].type);
            if (a[k].type < HALO_STR)
                assert_true(a[k].u64 == b[k].u64);
        }
        assert_true(error || raw_a == raw_b);
        good += !error;
        free(copy);
    }
    assert_in_range(good, 20000, 180000);
}

static void results_of_numbers_are_read_the_same_in_any_form(void **state)
{
    int good = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        unsigned char bytes[HALO_ENVELOPE_MAX], other[HALO_ENVELOPE_MAX], *copy;
        struct halo_signature signature;
        struct halo_value a, b;
        uint64_t raw_a, raw_b;
        const size_t len = any_numbers(bytes, &signature, true);
        const size_t other_len = lengthen(other, bytes, len);
        const enum halo_type type = (enum halo_type)signature.types[0];
        int error;

        copy = exactly(bytes, len);
        error = halo__decode_result(copy, len, type, &a, &raw_a);
        assert_int_equal(halo__decode_result(other, other_len, type, &b, &raw_b), error);
        assert_true(error || raw_a == raw_b);
        assert_true(error || (a.type == b.type && (a.type >= HALO_STR || a.u64 == b.u64)));
        good += !error;
        free(copy);
    }
    assert_in_range(good, 20000, 180000);
}

static void the_function_is_read_the_same_in_any_form(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        unsigned char bytes[3] = {(unsigned char)i, (unsigned char)(i >> 8), 1}, other[4];
        const size_t other_len = lengthen(other, bytes, 2);
        uint32_t a = 0, b = 0;
        size_t used_a = 0, used_b = 0;
        const int error = halo__decode_function(bytes, 2, &a, &used_a);

        assert_int_equal(halo__decode_function(other, other_len, &b, &used_b), error);
        assert_true(a == b || error);
        assert_true(error || used_a + (other_len - 2) == used_b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_of_numbers_are_read_the_same_in_any_form),
        cmocka_unit_test(results_of_numbers_are_read_the_same_in_any_form),
        cmocka_unit_test(the_function_is_read_the_same_in_any_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
