/* A guest's greeting, which says what it imports and exports: group RPC. */
#include "call_messages.h"

static size_t greet(uint32_t count)
{
    struct halo_message head = {.kind = HALO_KIND_HELLO};
    struct halo_hello hello = {.import_count = count};
    size_t len = sizeof(head) + sizeof(hello);

    box.calls.functions.greeted = false;
    memcpy(message, &head, sizeof(head));
    memcpy(message + 8, &hello, sizeof(hello));
    for (uint32_t i = 0; i < count; i++) {
        struct halo_hello_function import = {.name_len = 1, .arg_count = 0};

        if (i % 3 == 1) /* of another type */
            import.types[0] = HALO_I32;
        memcpy(message + len, &import, sizeof(import));
        message[len + sizeof(import)] = i % 3 == 2 ? '?' : 'v'; /* and unknown */
        len += sizeof(import) + 1;
    }
    fix_length(len);
    return len;
}

static void imports_get_their_indices(void **state)
{
    (void)state;
    for (uint32_t count = 0; count <= 256; count += count / 8 + 1) {
        int32_t indices[256];
        size_t len;

        assert_null(call_box_serve(&box, message, greet(count), 64, 2048));
        assert_int_equal(call_box_kind(&box, 2048), HALO_KIND_ANSWER);
        memcpy(indices, box.room + 8, count * sizeof(indices[0]));
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(indices[i], i % 3 == 0 ? 2 : i % 3 == 1 ? HALO_ETYPE : HALO_ENAME);
        len = greet(count);
        box.calls.functions.greeted = true;
        assert_refused(len, 2048, "second");
    }
}

static void rpc_03_a_greeting_that_is_malformed_is_refused(void **state)
{
    size_t len;

    (void)state;
    len = greet(3);
    for (size_t cut = 8; cut < len; cut++) {
        fix_length(cut);
        assert_refused(cut, 2048, "greeting");
    }
    message[len] = 0;
    fix_length(len + 1);
    assert_refused(len + 1, 2048, "behind");
    len = greet(3);
    put32(8, 257);
    assert_refused(len, 2048, "too many");
    put32(8, UINT32_MAX);
    assert_refused(len, 2048, "too many");
    len = greet(3);
    put32(12, 257);
    assert_refused(len, 2048, "too many");
    put32(12, 1);
    assert_refused(len, 2048, "ends within");
    len = greet(3);
    message[16] = 0; /* no name */
    assert_refused(len, 2048, "malformed");
    message[16] = HALO_FUNCTION_NAME_MAX + 1;
    assert_refused(len, 2048, "malformed");
    len = greet(3);
    message[17] = HALO_ARGUMENTS_MAX + 1;
    assert_refused(len, 2048, "malformed");
    len = greet(3);
    message[27] = 1; /* reserved */
    assert_refused(len, 2048, "malformed");
    len = greet(3);
    message[16] = 60; /* a name beyond the end */
    assert_refused(len, 2048, "malformed");
    assert_refused(greet(100), 8 + 100 * 4 - 1, "room");
    assert_null(call_box_serve(&box, message, greet(100), 64, 8 + 100 * 4));
}

/* A greeting of exports with these names, i32(i32) each. */
static size_t export(const char *const *names, uint32_t count)
{
    const struct halo_message head = {.kind = HALO_KIND_HELLO};
    const struct halo_hello hello = {.export_count = count};
    size_t len = sizeof(head) + sizeof(hello);

    box.calls.functions.greeted = false;
    memcpy(message, &head, sizeof(head));
    memcpy(message + 8, &hello, sizeof(hello));
    for (uint32_t i = 0; i < count; i++) {
        const struct halo_hello_function function = {
            .name_len = (uint8_t)strlen(names[i]), .arg_count = 1, .types = {HALO_I32, HALO_I32}};

        memcpy(message + len, &function, sizeof(function));
        memcpy(message + len + sizeof(function), names[i], function.name_len);
        len += sizeof(function) + function.name_len;
    }
    fix_length(len);
    return len;
}

static void exports_are_known_by_their_names(void **state)
{
    const char *const names[] = {"a", "plugin.b", "c"};
    const struct halo_signature type = HALO_FN(HALO_I32, HALO_I32), other = HALO_FN(HALO_I32);
    struct halo_signature signature;
    const char *name;

    (void)state;
    assert_null(call_box_serve(&box, message, export(names, 3), 64, 300));
    assert_int_equal(call_box_kind(&box, 300), HALO_KIND_ANSWER);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(halo__function_lookup(&box.calls, names[i], &type), i + 1);
        assert_int_equal(halo__function_lookup(&box.calls, names[i], &other), HALO_ETYPE);
        assert_true(halo__function_exported(&box.calls, (uint32_t)i, &name, &signature));
        assert_string_equal(name, names[i]);
        assert_true(halo_signature_equal(&signature, &type));
    }
    assert_int_equal(halo__function_lookup(&box.calls, "plugin", &type), HALO_ENAME);
    assert_false(halo__function_exported(&box.calls, 3, &name, &signature));
    assert_false(halo__function_exported(&box.calls, UINT32_MAX, &name, &signature));
}

/* One export of the name "m", of so many arguments, with these types behind the ninth. */
static size_t export_many(uint8_t arg_count, uint8_t type, uint8_t more)
{
    const struct halo_message head = {.kind = HALO_KIND_HELLO};
    const struct halo_hello hello = {.export_count = 1};
    struct halo_hello_function function = {.name_len = 1, .arg_count = arg_count};
    size_t len = sizeof(head) + sizeof(hello) + sizeof(function);

    box.calls.functions.greeted = false;
    memset(function.types, type, sizeof(function.types));
    memcpy(message, &head, sizeof(head));
    memcpy(message + 8, &hello, sizeof(hello));
    memcpy(message + 16, &function, sizeof(function));
    if (arg_count > 8) {
        memset(message + len, more, HALO_HELLO_MORE);
        len += HALO_HELLO_MORE;
    }
    message[len++] = 'm';
    fix_length(len);
    return len;
}

static void rpc_03_many_arguments_and_absent_values_are_known_and_judged(void **state)
{
    const uint8_t maybe = HALO_STR | HALO_MAYBE;
    struct halo_signature signature;
    const char *name;

    (void)state;
    for (uint8_t count = 0; count <= HALO_ARGUMENTS_MAX; count++) {
        const size_t len = export_many(count, maybe, HALO_F64);

        assert_null(call_box_serve(&box, message, len, 64, 300));
        assert_true(halo__function_exported(&box.calls, 0, &name, &signature));
        assert_string_equal(name, "m");
        assert_int_equal(signature.arg_count, count);
        for (uint32_t i = 0; i <= count; i++)
            assert_int_equal(signature.types[i], i <= 8 ? maybe : HALO_F64);
        for (size_t cut = 16; cut < len; cut++) {
            (void)export_many(count, maybe, HALO_F64);
            fix_length(cut);
            assert_refused(cut, 300, "greeting");
        }
    }
    assert_refused(export_many(17, HALO_I32, HALO_I32), 300, "malformed");
    assert_refused(export_many(9, HALO_I32, HALO_VOID), 300, "malformed");
    assert_refused(export_many(9, HALO_I32, HALO_VOID | HALO_MAYBE), 300, "malformed");
    assert_refused(export_many(9, HALO_I32, HALO_TYPE_COUNT | HALO_MAYBE), 300, "malformed");
    assert_refused(export_many(1, HALO_VOID | HALO_MAYBE, 0), 300, "malformed");
    assert_refused(export_many(1, HALO_I32 | 0x20, 0), 300, "malformed");
    assert_refused(export_many(1, HALO_STR | HALO_LIST, 0), 300, "malformed");
}

/* No column is of lists. */
static void rpc_12_a_function_for_rows_has_no_lists(void **state)
{
    const uint8_t list = HALO_F64 | HALO_LIST;
    size_t len;

    (void)state;
    for (unsigned flags = 0; flags < 4; flags++) {
        len = export_many(12, HALO_I32, list);
        message[27] = (unsigned char)flags;
        if (flags == 0)
            assert_null(call_box_serve(&box, message, len, 64, 300));
        else
            assert_refused(len, 300, "malformed");
    }
}

static void rpc_03_exports_that_are_none_are_refused(void **state)
{
    const char *const names[] = {"a", "b", "a"};
    size_t len;

    (void)state;
    assert_refused(export(names, 3), 300, "two functions named");
    len = export(names, 2);
    message[18] = HALO_TYPE_COUNT; /* the result's type */
    assert_refused(len, 300, "malformed");
    len = export(names, 2);
    message[19] = HALO_VOID; /* an argument's */
    assert_refused(len, 300, "malformed");
    len = export(names, 2);
    message[28] = '\0'; /* in the name */
    assert_refused(len, 300, "malformed");
    for (uint8_t flags = 2; flags > 0;
         flags *= 2) { /* an aggregate without rows, and unknown ones */
        len = export(names, 2);
        message[27] = flags;
        assert_refused(len, 300, "malformed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(imports_get_their_indices),
        TEST(exports_are_known_by_their_names),
        TEST(rpc_03_exports_that_are_none_are_refused),
        TEST(rpc_12_a_function_for_rows_has_no_lists),
        TEST(rpc_03_many_arguments_and_absent_values_are_known_and_judged),
        TEST(rpc_03_a_greeting_that_is_malformed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
