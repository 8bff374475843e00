/* Values, signatures, and the envelope of calls: round trips, limits, and bytes that are no
 * message. */
#include "../../src/message/envelope.h"

#include <float.h>
#include <math.h>
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

/* --- Round trips ------------------------------------------------------------------------------ */

static void assert_value(const struct halo_value *a, const struct halo_value *b)
{
    assert_int_equal(a->type, b->type);
    if (halo_is_list(a->type)) {
        assert_int_equal(a->len, b->len);
        assert_null(b->bytes);
        return;
    }
    switch (a->type) {
    case HALO_STR:
    case HALO_BYTES:
        assert_int_equal(a->len, b->len);
        if (halo__is_raw(a)) {
            assert_null(b->bytes);
            return;
        }
        assert_memory_equal(a->len ? a->bytes : "", b->len ? b->bytes : "", a->len);
        if (a->type == HALO_STR)
            assert_int_equal(b->str[b->len], 0);
        return;
    case HALO_VOID:
        return;
    case HALO_I32:
    case HALO_U32:
    case HALO_F32:
        assert_int_equal(a->u32, b->u32);
        return;
    case HALO_BOOL:
        assert_int_equal(a->boolean, b->boolean);
        return;
    default:
        assert_true(a->u64 == b->u64);
        return;
    }
}

static void assert_round_trip(const struct halo_value *value)
{
    unsigned char bytes[HALO_ENVELOPE_MAX];
    const size_t len = halo__encode_result(bytes, value);
    struct halo_value back;
    uint64_t raw;

    assert_in_range(len, 1, HALO_ENVELOPE_MAX);
    assert_int_equal(halo__decode_result(bytes, len, value->type, &back, &raw), 0);
    assert_value(value, &back);
    assert_true(raw == (halo__is_raw(value) ? value->len + (value->type == HALO_STR) : 0));
}

static const int64_t edges[] = {0,         1,         -1,        63,        64,       -64,
                                -65,       127,       128,       255,       256,      8191,
                                INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1l << 40, 300};

static void every_number_comes_back(void **state)
{
    static const double doubles[] = {0.0,     -0.0,   1.5,      -1e308,    DBL_MIN,
                                     DBL_MAX, 5e-324, INFINITY, -INFINITY, NAN};

    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        const struct halo_value values[] = {halo_i32((int32_t)edges[i]), halo_i64(edges[i]),
                                            halo_u32((uint32_t)edges[i]),
                                            halo_u64((uint64_t)edges[i])};

        for (size_t k = 0; k < 4; k++)
            assert_round_trip(&values[k]);
    }
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        const struct halo_value values[] = {halo_f64(doubles[i]), halo_f32((float)doubles[i])};

        assert_round_trip(&values[0]);
        assert_round_trip(&values[1]);
    }
    for (int i = 0; i < 2; i++) {
        const struct halo_value value = halo_bool(i == 1);

        assert_round_trip(&value);
    }
}

static void text_and_bytes_of_every_length_come_back(void **state)
{
    char text[2 * HALO_SHORT_MAX + 1] = {0};

    (void)state;
    for (size_t len = 0; len <= 2 * HALO_SHORT_MAX; len++) {
        struct halo_value value;

        memset(text, 'x', len);
        text[len] = '\0';
        value = halo_str(text);
        assert_int_equal(value.len, len);
        assert_round_trip(&value);
        if (len > 0)
            text[len / 2] = '\0';
        value = halo_bytes(text, len);
        assert_round_trip(&value);
    }
}

static void no_result_is_no_bytes(void **state)
{
    const struct halo_value nothing = halo_void();
    unsigned char bytes[HALO_ENVELOPE_MAX];
    struct halo_value back;
    uint64_t raw;

    (void)state;
    assert_int_equal(halo__encode_result(bytes, &nothing), 0);
    assert_int_equal(halo__decode_result(bytes, 0, HALO_VOID, &back, &raw), 0);
    assert_int_equal(back.type, HALO_VOID);
    assert_int_equal(halo__decode_result(bytes, 0, HALO_I32, &back, &raw), HALO_ETYPE);
}

static void errors_come_back(void **state)
{
    static const int32_t codes[] = {1, -1, 42, INT32_MAX, INT32_MIN};
    char text[HALO_ERROR_TEXT_MAX + 10] = {0};
    unsigned char bytes[HALO_ENVELOPE_MAX];

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        const int32_t code = codes[len % 5];
        const char *back;
        int32_t back_code;
        size_t used;

        memset(text, 'e', len);
        used = halo__encode_error(bytes, code, text);
        assert_int_equal(halo__decode_error(bytes, used, &back_code, &back), 0);
        assert_int_equal(back_code, code);
        assert_int_equal(strlen(back), len < HALO_ERROR_TEXT_MAX ? len : HALO_ERROR_TEXT_MAX);
        assert_memory_equal(back, text, strlen(back));
    }
}

/* --- Calls ------------------------------------------------------------------------------------ */

static char letters[600];
static const uint64_t zeros[70];

static struct halo_value any_value(enum halo_type type)
{
    const uint64_t number = (uint64_t)pick(1u << 31) << 33 ^ (uint64_t)pick(1u << 31) << 3;
    struct halo_value value = {.type = type};

    if (halo_is_list(type))
        return halo_list(type, zeros, pick(pick(4) ? 6 : 70));
    switch (type) {
    case HALO_STR:
        return halo_str(letters + sizeof(letters) - 1 - pick(pick(4) ? 60 : sizeof(letters)));
    case HALO_BYTES:
        return halo_bytes(letters, pick(pick(4) ? 60 : sizeof(letters)));
    case HALO_BOOL:
        return halo_bool(pick(2));
    case HALO_VOID:
        return value;
    default:
        value.u64 = number >> pick(64);
        return value;
    }
}

static struct halo_signature any_signature(void)
{
    struct halo_signature signature = {.arg_count = (uint8_t)pick(HALO_ARGUMENTS_MAX + 1)};

    signature.types[0] = (uint8_t)pick(HALO_TYPE_COUNT);
    for (uint32_t i = 1; i <= signature.arg_count; i++)
        signature.types[i] = (uint8_t)((pick(4)   ? 1 + pick(HALO_TYPE_COUNT - 1)
                                        : pick(4) ? HALO_HANDLE
                                                  : HALO_LIST | (1 + pick(HALO_BOOL))) |
                                       (pick(4) ? 0 : HALO_MAYBE));
    return signature;
}

static size_t any_call(unsigned char *bytes, struct halo_signature *signature,
                       struct halo_value *args, uint32_t *function)
{
    uint32_t which;

    *signature = any_signature();
    *function = 1 + pick(1u << pick(31));
    for (uint32_t i = 0; i < signature->arg_count; i++)
        args[i] = halo_is_maybe(signature->types[1 + i]) && pick(2)
                      ? halo_null()
                      : any_value(halo_type_of(signature->types[1 + i]));
    assert_int_equal(halo_values_check(signature, args, signature->arg_count, &which), 0);
    return halo__encode_call(bytes, *function, args, signature->arg_count);
}

static int decode(unsigned char *bytes, size_t len, const struct halo_signature *signature,
                  uint32_t *function, struct halo_value *args, uint64_t *raw)
{
    size_t used;
    int error = halo__decode_function(bytes, len, function, &used);

    return error ? error : halo__decode_arguments(bytes + used, len - used, signature, args, raw);
}

static void any_call_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct halo_value args[HALO_ARGUMENTS_MAX], back[HALO_ARGUMENTS_MAX];
        unsigned char bytes[HALO_ENVELOPE_MAX];
        struct halo_signature signature;
        uint32_t function, back_function;
        uint64_t raw, expected = 0;
        size_t len = any_call(bytes, &signature, args, &function);

        assert_in_range(len, 2, HALO_ENVELOPE_MAX);
        assert_int_equal(decode(bytes, len, &signature, &back_function, back, &raw), 0);
        assert_int_equal(back_function, function);
        for (uint32_t k = 0; k < signature.arg_count; k++) {
            assert_value(&args[k], &back[k]);
            expected += halo__is_raw(&args[k]) ? args[k].len + (args[k].type == HALO_STR) : 0;
        }
        assert_true(raw == expected);
    }
}

static void the_longest_call_fits(void **state)
{
    static const struct halo_signature signature = HALO_FN(
        HALO_VOID, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR,
        HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR, HALO_STR);
    struct halo_value args[HALO_ARGUMENTS_MAX], back[HALO_ARGUMENTS_MAX];
    unsigned char *bytes = malloc(HALO_ENVELOPE_MAX);
    uint32_t function;
    uint64_t raw;
    size_t len;

    (void)state;
    for (uint32_t i = 0; i < HALO_ARGUMENTS_MAX; i++)
        args[i] = halo_str(letters + sizeof(letters) - 1 - HALO_SHORT_MAX);
    len = halo__encode_call(bytes, UINT32_MAX, args, HALO_ARGUMENTS_MAX);
    assert_in_range(len, HALO_ARGUMENTS_MAX * HALO_SHORT_MAX, HALO_ENVELOPE_MAX);
    assert_int_equal(decode(bytes, len, &signature, &function, back, &raw), 0);
    assert_int_equal(function, UINT32_MAX);
    for (uint32_t i = 0; i < HALO_ARGUMENTS_MAX; i++)
        assert_value(&args[i], &back[i]);
    free(bytes);
}

/* Each argument absent or not, in all ways, and the same of a result. */
static void absent_values_are_themselves(void **state)
{
    static const struct halo_signature signature = HALO_FN(
        HALO_STR | HALO_MAYBE, HALO_I64 | HALO_MAYBE, HALO_STR | HALO_MAYBE, HALO_F64 | HALO_MAYBE);
    const struct halo_value values[] = {halo_i64(-5), halo_str("text"), halo_f64(0.5)};
    unsigned char bytes[HALO_ENVELOPE_MAX];
    struct halo_value result, back[HALO_ARGUMENTS_MAX];
    uint32_t function, which;
    uint64_t raw;
    size_t len;

    (void)state;
    for (uint32_t set = 0; set < 8; set++) {
        struct halo_value args[3];

        for (uint32_t i = 0; i < 3; i++)
            args[i] = set >> i & 1 ? halo_null() : values[i];
        assert_int_equal(halo_values_check(&signature, args, 3, &which), 0);
        len = halo__encode_call(bytes, 1, args, 3);
        assert_int_equal(decode(bytes, len, &signature, &function, back, &raw), 0);
        for (uint32_t i = 0; i < 3; i++)
            assert_value(&args[i], &back[i]);
    }
    result = halo_null();
    len = halo__encode_result(bytes, &result);
    assert_int_equal(len, 0);
    result = halo_i64(1);
    assert_int_equal(
        halo__decode_result(bytes, len, (enum halo_type)signature.types[0], &result, &raw), 0);
    assert_true(halo_is_null(&result));
    memcpy(bytes, "\x0a\x00", 2); /* as a value of no kind */
    assert_int_equal(
        halo__decode_result(bytes, 2, (enum halo_type)signature.types[0], &result, &raw), 0);
    assert_true(halo_is_null(&result));
    assert_int_equal(halo__decode_result(bytes, 2, HALO_STR, &result, &raw), HALO_ETYPE);
    assert_int_equal(halo__decode_result(bytes, 2, HALO_VOID, &result, &raw), HALO_ETYPE);
    result = halo_str("there");
    len = halo__encode_result(bytes, &result);
    assert_int_equal(
        halo__decode_result(bytes, len, (enum halo_type)signature.types[0], &result, &raw), 0);
    assert_string_equal(result.str, "there");
}

static void rpc_02_an_absent_value_that_must_not_be_is_an_error(void **state)
{
    static const struct halo_signature strict = HALO_FN(HALO_VOID, HALO_I32 | HALO_MAYBE, HALO_STR);
    const struct halo_value args[] = {halo_null(), halo_null()};
    struct halo_value back[HALO_ARGUMENTS_MAX];
    unsigned char bytes[HALO_ENVELOPE_MAX];
    uint32_t function, which = 9;
    uint64_t raw;

    (void)state;
    assert_int_equal(halo_values_check(&strict, args, 2, &which), HALO_ETYPE);
    assert_int_equal(which, 1);
    assert_int_equal(
        decode(bytes, halo__encode_call(bytes, 1, args, 2), &strict, &function, back, &raw),
        HALO_ETYPE);
    assert_int_equal(raw, 1);                     /* which */
    memcpy(bytes, "\x08\x01\x12\x01\x12\x00", 6); /* longer than it is */
    assert_int_equal(decode(bytes, 6, &strict, &function, back, &raw), HALO_EMESSAGE);
}

/* --- What is no message ----------------------------------------------------------------------- */

static void rpc_02_other_types_and_counts_have_their_errors(void **state)
{
    static const struct halo_signature two = HALO_FN(HALO_VOID, HALO_I32, HALO_STR);
    static const struct halo_signature other = HALO_FN(HALO_VOID, HALO_I64, HALO_STR);
    static const struct halo_signature three = HALO_FN(HALO_VOID, HALO_I32, HALO_STR, HALO_STR);
    static const struct halo_signature one = HALO_FN(HALO_VOID, HALO_I32);
    static const struct halo_signature none = HALO_FN(HALO_VOID);
    const struct halo_value args[] = {halo_i32(5), halo_str("five")};
    const struct halo_signature *const wrong[] = {&other, &three, &one, &none};
    static const int errors[] = {HALO_ETYPE, HALO_ECOUNT, HALO_ECOUNT, HALO_ECOUNT};
    struct halo_value back[HALO_ARGUMENTS_MAX];
    unsigned char bytes[HALO_ENVELOPE_MAX];
    uint32_t function;
    uint64_t raw;

    (void)state;
    for (int i = 0; i < 4; i++) {
        const size_t len = halo__encode_call(bytes, 1, args, 2);

        assert_int_equal(decode(bytes, len, wrong[i], &function, back, &raw), errors[i]);
    }
    assert_int_equal(
        decode(bytes, halo__encode_call(bytes, 1, args, 2), &two, &function, back, &raw), 0);
}

static void a_result_of_another_type_is_an_error(void **state)
{
    unsigned char bytes[HALO_ENVELOPE_MAX];
    struct halo_value back;
    uint64_t raw;

    (void)state;
    for (uint32_t a = 1; a < HALO_TYPE_COUNT; a++) {
        for (uint32_t b = 0; b < HALO_TYPE_COUNT; b++) {
            const struct halo_value value = any_value((enum halo_type)a);
            const size_t len = halo__encode_result(bytes, &value);
            const bool both_raw = halo__is_raw(&value) && b >= HALO_STR;

            assert_int_equal(halo__decode_result(bytes, len, (enum halo_type)b, &back, &raw),
                             a == b || both_raw ? 0 : HALO_ETYPE);
        }
    }
}

#define BAD(text)                                     \
    {                                                 \
        (const unsigned char *)text, sizeof(text) - 1 \
    }

/* Each with a signature of (i32, str), by hand. */
static void rpc_03_bytes_that_are_no_call_are_refused(void **state)
{
    static const struct halo_signature signature = HALO_FN(HALO_VOID, HALO_I32, HALO_STR);
    static const struct {
        const unsigned char *bytes;
        size_t len;
    } bad[] = {
        BAD(""),
        BAD("\x08"),                                             /* no number */
        BAD("\x08\x00"),                                         /* function 0 */
        BAD("\x10\x01"),                                         /* another field */
        BAD("\x09\x01\0\0\0\0\0\0\0"),                           /* of another kind */
        BAD("\x08\x80\x80\x80\x80\x10"),                         /* above 32 bits */
        BAD("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),     /* and without end */
        BAD("\x08\x01\x12"),                                     /* no length */
        BAD("\x08\x01\x12\x02\x08"),                             /* too short */
        BAD("\x08\x01\x12\x03\x08\x02"),                         /* shorter than it says */
        BAD("\x08\x01\x12\x01\x08\x02\x12\x02\x42\x00"),         /* longer than it says */
        BAD("\x08\x01\x12\x04\x08\x02\x08\x02\x12\x02\x42\x00"), /* a value of two fields */
        BAD("\x08\x01\x12\x02\x00\x02\x12\x02\x42\x00"),         /* of field 0 */
        BAD("\x08\x01\x12\x02\x60\x02\x12\x02\x42\x00"),         /* of field 12 */
        BAD("\x08\x01\x12\x02\x0a\x00\x12\x02\x42\x00"),         /* a number written as bytes */
        BAD("\x08\x01\x12\x06\x08\x80\x80\x80\x80\x20\x12\x02\x42\x00"), /* above 32 bits */
        BAD("\x08\x01\x12\x02\x08\x02\x12\x02\x42\x01"),     /* text that is not there */
        BAD("\x08\x01\x12\x02\x08\x02\x12\x03\x42\x01\x00"), /* a zero byte in text */
        BAD("\x08\x01\x12\x02\x08\x02\x12\x03\x50\x80\x02"), /* raw, though short enough */
        BAD("\x08\x01\x12\x02\x08\x02\x12\x0b\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        BAD("\x08\x01\x12\x02\x08\x02\x12\x06\x50\x80\x80\x80\x80\x10"), /* raw, of 4 GiB */
        BAD("\x08\x01\x12\x02\x08\x02\x12\x02\x42\x00\x08\x01"),         /* something behind it */
        BAD("\x08\x01\x12\x02\x08\x02\x12\x02\x42\x00\x00"),
        BAD("\x08\x01\x12\x02\x08\x02\x1a\x02\x42\x00"), /* an argument of another field */
    };
    const unsigned char good[] = "\x08\x01\x12\x02\x08\x02\x12\x03\x42\x01!";
    struct halo_value back[HALO_ARGUMENTS_MAX];
    unsigned char bytes[64];
    uint32_t function;
    uint64_t raw;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(bytes, bad[i].bytes, bad[i].len);
        if (decode(bytes, bad[i].len, &signature, &function, back, &raw) != HALO_EMESSAGE)
            fail_msg("number %zu is taken for a call", i);
    }
    memcpy(bytes, good, sizeof(good) - 1);
    assert_int_equal(decode(bytes, sizeof(good) - 1, &signature, &function, back, &raw), 0);
    assert_int_equal(back[0].i32, 1);
    assert_string_equal(back[1].str, "!");
}

static void rpc_03_bytes_that_are_no_error_are_refused(void **state)
{
    static const struct {
        const unsigned char *bytes;
        size_t len;
    } bad[] = {
        BAD(""),
        BAD("\x08"),
        BAD("\x08\x00"),
        BAD("\x10\x02"),
        BAD("\x08\x02\x12"),
        BAD("\x08\x02\x12\x01"),
        BAD("\x08\x02\x12\x01x\x00"),
        BAD("\x08\x02\x12\x01\x00"),
        BAD("\x08\x02\x1a\x01x"),
        BAD("\x08\x80\x80\x80\x80\x20"),
    };
    unsigned char bytes[64];
    const char *text;
    int32_t code;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(bytes, bad[i].bytes, bad[i].len);
        assert_int_equal(halo__decode_error(bytes, bad[i].len, &code, &text), HALO_EMESSAGE);
    }
}

/* Cut anywhere, or with a byte changed: refused, or a call that is sound. Never read beyond. */
static void rpc_03_no_change_of_a_call_does_harm(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct halo_value args[HALO_ARGUMENTS_MAX], back[HALO_ARGUMENTS_MAX];
        unsigned char whole[HALO_ENVELOPE_MAX], *bytes;
        struct halo_signature signature;
        uint32_t function, which;
        uint64_t raw;
        size_t len = any_call(whole, &signature, args, &function);
        const size_t cut = pick((uint32_t)len);

        if (i % 2)
            whole[pick((uint32_t)len)] ^= (unsigned char)(1u << pick(8));
        else
            len = cut;
        bytes = malloc(len); /* exactly as long: a sanitizer watches both ends */
        memcpy(bytes, whole, len);
        if (decode(bytes, len, &signature, &function, back, &raw) == 0) {
            for (uint32_t k = 0; k < signature.arg_count; k++) {
                if (halo__is_raw(&back[k]))
                    back[k] = back[k].type == HALO_STR     ? halo_str("")
                              : halo_is_list(back[k].type) ? halo_list(back[k].type, zeros, 0)
                                                           : halo_bytes("", 0);
            }
            assert_int_equal(halo_values_check(&signature, back, signature.arg_count, &which), 0);
            assert_true(i % 2 || signature.arg_count == 0); /* a cut leaves too few */
        }
        free(bytes);
    }
}

static int fill_letters(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < sizeof(letters); i++)
        letters[i] = (char)('a' + i % 26);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_comes_back),
        cmocka_unit_test(text_and_bytes_of_every_length_come_back),
        cmocka_unit_test(no_result_is_no_bytes),
        cmocka_unit_test(errors_come_back),
        cmocka_unit_test(any_call_comes_back),
        cmocka_unit_test(absent_values_are_themselves),
        cmocka_unit_test(rpc_02_an_absent_value_that_must_not_be_is_an_error),
        cmocka_unit_test(the_longest_call_fits),
        cmocka_unit_test(rpc_02_other_types_and_counts_have_their_errors),
        cmocka_unit_test(a_result_of_another_type_is_an_error),
        cmocka_unit_test(rpc_03_bytes_that_are_no_call_are_refused),
        cmocka_unit_test(rpc_03_bytes_that_are_no_error_are_refused),
        cmocka_unit_test(rpc_03_no_change_of_a_call_does_harm),
    };

    return cmocka_run_group_tests(tests, fill_letters, NULL);
}
