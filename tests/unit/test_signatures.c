/* Signatures as data and as text, and values that are checked against them. */
#include <halo/value.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MAYBE_BOOLS (HALO_BOOL | HALO_LIST | HALO_MAYBE)
#define LIST(type) ((type) | HALO_LIST)

static void a_signature_has_a_text(void **state)
{
    static const struct {
        struct halo_signature signature;
        const char *text;
    } cases[] = {
        {HALO_FN(HALO_VOID), "void()"},
        {HALO_FN(HALO_I64, HALO_STR), "i64(str)"},
        {HALO_FN(HALO_BYTES, HALO_I32, HALO_U32, HALO_U64, HALO_F32, HALO_F64, HALO_BOOL, HALO_STR,
                 HALO_BYTES),
         "bytes(i32, u32, u64, f32, f64, bool, str, bytes)"},
        {HALO_FN(HALO_BYTES, HALO_BYTES, HALO_BYTES, HALO_BYTES, HALO_BYTES, HALO_BYTES, HALO_BYTES,
                 HALO_BYTES, HALO_BYTES),
         "bytes(bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes)"},
        {HALO_FN(HALO_I64 | HALO_MAYBE, HALO_STR | HALO_MAYBE, HALO_I64), "i64?(str?, i64)"},
        {HALO_FN(HALO_I64, HALO_STR, HALO_I64), "i64(str, i64)"},
        {HALO_FN(LIST(HALO_F64), LIST(HALO_I32), LIST(HALO_U32), LIST(HALO_I64), LIST(HALO_U64),
                 LIST(HALO_F32), LIST(HALO_BOOL)),
         "f64[](i32[], u32[], i64[], u64[], f32[], bool[])"},
        {HALO_FN(HALO_F64, LIST(HALO_F64) | HALO_MAYBE, HALO_F64), "f64(f64[]?, f64)"},
        {HALO_FN(MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS,
                 MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS,
                 MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS, MAYBE_BOOLS),
         "bool[]?(bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, "
         "bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, bool[]?, bool[]?)"},
    };
    char text[HALO_SIGNATURE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(halo_signature_valid(&cases[i].signature));
        assert_string_equal(halo_signature_text(&cases[i].signature, text), cases[i].text);
        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
            assert_int_equal(halo_signature_equal(&cases[i].signature, &cases[k].signature),
                             i == k);
    }
    assert_int_equal(strlen(text), HALO_SIGNATURE_TEXT_MAX - 1); /* the last one is the longest */
    assert_string_equal(halo_type_name(HALO_VOID), "void");
    assert_string_equal(halo_type_name((enum halo_type)(HALO_BOOL | HALO_MAYBE)), "bool?");
    assert_string_equal(halo_type_name((enum halo_type)(HALO_VOID | HALO_MAYBE)), "unknown");
    assert_string_equal(halo_type_name((enum halo_type)(HALO_TYPE_COUNT | HALO_MAYBE)), "unknown");
    assert_string_equal(halo_type_name(HALO_TYPE_COUNT), "unknown");
    for (unsigned type = 0; type < 256; type++) { /* all others have one of their own */
        struct halo_signature of = HALO_FN((uint8_t)type), back = HALO_FN(0);

        if (halo_signature_valid(&of))
            assert_int_equal(halo_signature_parse(&back, halo_signature_text(&of, text)) ||
                                 !halo_signature_equal(&back, &of),
                             0);
        else
            assert_string_equal(halo_type_name((enum halo_type)type), "unknown");
    }
    assert_string_equal(halo_type_name((enum halo_type) - 1), "unknown");
}

static void a_text_is_a_signature_or_an_error(void **state)
{
    static const struct {
        const char *text;
        int error;
        const char *same; /* as it is written */
    } cases[] = {
        {"void()", 0, "void()"},
        {"f64(f64,f64)", 0, "f64(f64, f64)"},
        {" \ti64 ( str ,\tbytes ) ", 0, "i64(str, bytes)"},
        {"bool(i32,u32,i64,u64,f32,f64,bool,str)", 0,
         "bool(i32, u32, i64, u64, f32, f64, bool, str)"},
        {"", HALO_EINVAL, ""},
        {"i64", HALO_EINVAL, ""},
        {"i64(", HALO_EINVAL, ""},
        {"i64(str", HALO_EINVAL, ""},
        {"i64(str,", HALO_EINVAL, ""},
        {"i64(str,)", HALO_EINVAL, ""},
        {"i64(,str)", HALO_EINVAL, ""},
        {"i64(str str)", HALO_EINVAL, ""},
        {"i64(str))", HALO_EINVAL, ""},
        {"i64(str) x", HALO_EINVAL, ""},
        {"(str)", HALO_EINVAL, ""},
        {"i64\n()", HALO_EINVAL, ""},
        {"f64(f64, str?)", 0, "f64(f64, str?)"},
        {"i64? ( bool? ,f32?,\tu32 )", 0, "i64?(bool?, f32?, u32)"},
        {"i64(str ?)", HALO_EINVAL, ""},
        {"i64(str?\?)", HALO_EINVAL, ""},
        {"i64(?)", HALO_EINVAL, ""},
        {"?()", HALO_EINVAL, ""},
        {"void?()", HALO_ETYPE, ""},
        {"i64(void?)", HALO_ETYPE, ""},
        {"i64(in?)", HALO_ETYPE, ""},
        {"void(i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32)", 0,
         "void(i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32)"},
        {"handle(handle? ,i64)", 0, "handle(handle?, i64)"},
        {"handle[]()", HALO_ETYPE, ""},
        {"i64(handles)", HALO_ETYPE, ""},
        {"f64[](i32[] , bool[]?,str)", 0, "f64[](i32[], bool[]?, str)"},
        {"f64(f64 [])", HALO_EINVAL, ""},
        {"f64(f64[)", HALO_EINVAL, ""},
        {"f64(f64[]])", HALO_EINVAL, ""},
        {"f64(f64?[])", HALO_EINVAL, ""},
        {"f64(f64[1])", HALO_EINVAL, ""},
        {"f64([])", HALO_EINVAL, ""},
        {"f64(str[])", HALO_ETYPE, ""},
        {"f64(bytes[]?)", HALO_ETYPE, ""},
        {"void[]()", HALO_ETYPE, ""},
        {"I64()", HALO_EINVAL, ""},
        {"i6()", HALO_ETYPE, ""},
        {"i644()", HALO_ETYPE, ""},
        {"int()", HALO_ETYPE, ""},
        {"i64(void)", HALO_ETYPE, ""},
        {"i64(strbytes)", HALO_ETYPE, ""},
        {"void(i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32,i32)", HALO_ECOUNT,
         ""},
    };
    char text[HALO_SIGNATURE_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct halo_signature signature = HALO_FN(255, 254);

        if (halo_signature_parse(&signature, cases[i].text) != cases[i].error)
            fail_msg("'%s'", cases[i].text);
        if (cases[i].error) /* it is as it was */
            assert_true(signature.types[0] == 255 && signature.types[1] == 254);
        else
            assert_string_equal(halo_signature_text(&signature, text), cases[i].same);
    }
    assert_int_equal(halo_signature_parse(NULL, NULL), HALO_EINVAL);
}

static void a_signature_of_other_types_or_too_many_is_not_sound(void **state)
{
    static const struct halo_signature bad[] = {
        HALO_FN(HALO_TYPE_COUNT),
        HALO_FN(HALO_I32, HALO_VOID),
        HALO_FN(HALO_I32, HALO_TYPE_COUNT),
        HALO_FN(255),
        HALO_FN(HALO_VOID | HALO_MAYBE),
        HALO_FN(HALO_I32, HALO_VOID | HALO_MAYBE),
        HALO_FN(HALO_I32, HALO_TYPE_COUNT | HALO_MAYBE),
        HALO_FN(HALO_I32, HALO_I32 | 0x20),
        HALO_FN(HALO_I32, HALO_I32 | HALO_MAYBE | 0x20),
        HALO_FN(HALO_LIST),
        HALO_FN(HALO_HANDLE | HALO_LIST),
        HALO_FN(HALO_HANDLE - 1),
        HALO_FN(HALO_HANDLE + 1),
        HALO_FN(HALO_I32, LIST(HALO_STR)),
        HALO_FN(HALO_I32, LIST(HALO_BYTES) | HALO_MAYBE),
        HALO_FN(HALO_I32, LIST(HALO_VOID)),
        {.arg_count = HALO_ARGUMENTS_MAX + 1},
        {.arg_count = 255},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(halo_signature_valid(&bad[i]));
}

static void values_are_checked_against_a_signature(void **state)
{
    static const struct halo_signature signature =
        HALO_FN(HALO_VOID, HALO_I32, HALO_STR, HALO_BYTES);
    struct halo_value args[4] = {halo_i32(1), halo_str("x"), halo_bytes(NULL, 0), halo_i32(2)};
    uint32_t which = 9;

    (void)state;
    assert_int_equal(halo_values_check(&signature, args, 3, &which), 0);
    assert_int_equal(halo_values_check(&signature, args, 2, &which), HALO_ECOUNT);
    assert_int_equal(halo_values_check(&signature, args, 4, &which), HALO_ECOUNT);
    args[1] = halo_bytes("x", 1);
    assert_int_equal(halo_values_check(&signature, args, 3, &which), HALO_ETYPE);
    assert_int_equal(which, 1);
    args[1] = halo_str("x");
    args[1].len = 2; /* a zero byte inside */
    assert_int_equal(halo_values_check(&signature, args, 3, &which), HALO_EINVAL);
    args[1].str = NULL;
    assert_int_equal(halo_values_check(&signature, args, 3, &which), HALO_EINVAL);
    args[1] = halo_str("");
    args[2] = halo_bytes(NULL, 1);
    assert_int_equal(halo_values_check(&signature, args, 3, &which), HALO_EINVAL);
    assert_int_equal(which, 2);
    args[0] = halo_u32(1);
    assert_int_equal(halo_values_check(&signature, args, 3, &which), HALO_ETYPE);
    assert_int_equal(which, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_has_a_text),
        cmocka_unit_test(a_text_is_a_signature_or_an_error),
        cmocka_unit_test(a_signature_of_other_types_or_too_many_is_not_sound),
        cmocka_unit_test(values_are_checked_against_a_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
