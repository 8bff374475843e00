/* Types, values and signatures; the same for both sides. */
#include "envelope.h"

static const char *const type_names[HALO_TYPE_COUNT] = {"void", "i32", "u32",  "i64", "u64",
                                                        "f32",  "f64", "bool", "str", "bytes"};
static const char handle_name[] = "handle";
static const char *const maybe_names[HALO_TYPE_COUNT] = {
    "unknown", "i32?", "u32?", "i64?", "u64?", "f32?", "f64?", "bool?", "str?", "bytes?"};
static const char *const list_names[HALO_STR] = {"unknown", "i32[]", "u32[]", "i64[]",
                                                 "u64[]",   "f32[]", "f64[]", "bool[]"};
static const char *const maybe_list_names[HALO_STR] = {"unknown", "i32[]?", "u32[]?", "i64[]?",
                                                       "u64[]?",  "f32[]?", "f64[]?", "bool[]?"};

const char *halo_type_name(enum halo_type type)
{
    const unsigned maybe = (unsigned)type ^ HALO_MAYBE, list = (unsigned)type ^ HALO_LIST;

    if (maybe < HALO_TYPE_COUNT)
        return maybe_names[maybe];
    if ((unsigned)type == HALO_HANDLE || maybe == HALO_HANDLE)
        return maybe == HALO_HANDLE ? "handle?" : handle_name;
    if (list < HALO_STR)
        return list_names[list];
    if ((list ^ HALO_MAYBE) < HALO_STR)
        return maybe_list_names[list ^ HALO_MAYBE];
    return (unsigned)type < HALO_TYPE_COUNT ? type_names[type] : "unknown";
}

static bool is_some(uint8_t type)
{
    const enum halo_type plain = halo_type_of(type);

    return halo_is_list(plain)
               ? halo_element_len(plain) > 0
               : plain == HALO_HANDLE || (plain != HALO_VOID && plain < HALO_TYPE_COUNT);
}

bool halo_signature_valid(const struct halo_signature *signature)
{
    if (signature->arg_count > HALO_ARGUMENTS_MAX ||
        !(signature->types[0] == HALO_VOID || is_some(signature->types[0])))
        return false;
    for (uint32_t i = 1; i <= signature->arg_count; i++) {
        if (!is_some(signature->types[i]))
            return false;
    }
    return true;
}

bool halo__has_columns(const struct halo_signature *signature)
{
    for (uint32_t i = 0; i <= signature->arg_count; i++) {
        if (halo_type_of(signature->types[i]) >= HALO_TYPE_COUNT)
            return false;
    }
    return true;
}

bool halo_signature_equal(const struct halo_signature *a, const struct halo_signature *b)
{
    if (a->arg_count != b->arg_count)
        return false;
    for (uint32_t i = 0; i <= a->arg_count; i++) {
        if (a->types[i] != b->types[i])
            return false;
    }
    return true;
}

static char *append(char *to, const char *from)
{
    while (*from)
        *to++ = *from++;
    return to;
}

const char *halo_signature_text(const struct halo_signature *signature, char *text)
{
    char *at = append(text, halo_type_name(signature->types[0]));

    *at++ = '(';
    for (uint32_t i = 1; i <= signature->arg_count; i++) {
        if (i > 1)
            at = append(at, ", ");
        at = append(at, halo_type_name(signature->types[i]));
    }
    *at++ = ')';
    *at = '\0';
    return text;
}

static const char *skip(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

static bool is_of_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_word(const char *at, size_t len, const char *name)
{
    size_t same = 0;

    while (same < len && name[same] == at[same])
        same++;
    return same == len && !name[same];
}

/*
 * The type whose name stands here, and what is behind it; HALO_TYPE_COUNT where it is none. Its
 * brackets and its question mark follow at once.
 */
static uint8_t parse_type(const char **text)
{
    const char *const at = *text, *end;
    uint8_t marks = 0;
    size_t len = 0;

    while (is_of_word(at[len]))
        len++;
    end = at + len;
    if (end[0] == '[' && end[1] == ']') {
        marks = HALO_LIST;
        end += 2;
    }
    if (*end == '?') {
        marks |= HALO_MAYBE;
        end++;
    }
    *text = skip(end);
    for (uint8_t type = 0; type < HALO_TYPE_COUNT; type++) {
        if (is_word(at, len, type_names[type]))
            return marks && !is_some(type | marks) ? HALO_TYPE_COUNT : (uint8_t)(type | marks);
    }
    return is_word(at, len, handle_name) && !(marks & HALO_LIST) ? (uint8_t)(HALO_HANDLE | marks)
                                                                 : HALO_TYPE_COUNT;
}

int halo_signature_parse(struct halo_signature *signature, const char *text)
{
    struct halo_signature made = {0};
    const char *at;

    if (!text)
        return HALO_EINVAL;
    at = skip(text);
    if (!is_of_word(*at))
        return HALO_EINVAL;
    made.types[0] = parse_type(&at);
    if (made.types[0] == HALO_TYPE_COUNT)
        return HALO_ETYPE;
    if (*at != '(')
        return HALO_EINVAL;
    at = skip(at + 1);
    while (*at != ')' || made.arg_count > 0) {
        uint8_t type;

        if (!is_of_word(*at))
            return HALO_EINVAL;
        type = parse_type(&at);
        if (type == HALO_VOID || type == HALO_TYPE_COUNT)
            return HALO_ETYPE;
        if (made.arg_count == HALO_ARGUMENTS_MAX)
            return HALO_ECOUNT;
        made.types[++made.arg_count] = type;
        if (*at == ')')
            break;
        if (*at != ',')
            return HALO_EINVAL;
        at = skip(at + 1);
    }
    if (*skip(at + 1))
        return HALO_EINVAL;
    *signature = made;
    return 0;
}

static __attribute__((noinline)) int check_maybe(uint8_t type, const struct halo_value *value)
{
    if (!halo_is_maybe(type))
        return HALO_ETYPE;
    return halo_is_null(value) ? 0 : halo__value_check((uint8_t)halo_type_of(type), value);
}

bool halo__bools_are_valid(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    unsigned char bits = 0;

    for (size_t i = 0; i < len; i++)
        bits |= at[i];
    return bits <= 1;
}

static __attribute__((noinline)) int check_list(const struct halo_value *list)
{
    if (list->len % halo_element_len(list->type) != 0 || (!list->bytes && list->len > 0))
        return HALO_EINVAL;
    return halo_element_len(list->type) == 1 && list->len <= UINT32_MAX &&
                   !halo__bools_are_valid(list->bytes, list->len)
               ? HALO_EINVAL
               : 0;
}

int halo__value_check(uint8_t type, const struct halo_value *value)
{
    if ((unsigned)value->type != type)
        return check_maybe(type, value);
    if (type == HALO_STR) {
        if (!value->str)
            return HALO_EINVAL;
        for (size_t k = 0; k < value->len; k++) {
            if (!value->str[k])
                return HALO_EINVAL;
        }
    }
    if (type & HALO_LIST)
        return check_list(value);
    return type == HALO_BYTES && !value->bytes && value->len > 0 ? HALO_EINVAL : 0;
}

int halo_values_check(const struct halo_signature *signature, const struct halo_value *args,
                      size_t count, uint32_t *which)
{
    if (count != signature->arg_count)
        return HALO_ECOUNT;
    *which = 0;
    if (count > 0 && !args)
        return HALO_EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        const int error = halo__value_check(signature->types[1 + i], &args[i]);

        *which = i;
        if (error)
            return error;
    }
    return 0;
}
