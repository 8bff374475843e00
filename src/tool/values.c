/* Values on the command line: as they are written there, and as a result is printed. */
#include "tool.h"
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong_value(uint32_t which, enum halo_type type, const char *text)
{
    tool_say("halo call: value %u is no %s: '%s'\n", which + 1, halo_type_name(type), text);
    return TOOL_EXIT_USAGE;
}

/* Text or bytes; *memory is to be freed. */
static int parse_text(const char *text, struct halo_value *value, struct tool_memory *memory)
{
    int code;

    value->len = strlen(text);
    value->str = text;
    if (text[0] == '@' && text[1] == '@') {
        value->str++;
        value->len--;
    } else if (*text == '@') {
        memory->file = tool_read_value(text + 1, &value->len, &code);
        if (!memory->file)
            return code;
        value->bytes = memory->file;
    }
    return 0;
}

static bool parse_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0;
}

/* Numbers are decimal however many zeros they begin with, as people read them. */
static int base_of(const char *text)
{
    text += strspn(text, "+-");
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
}

static bool parse_signed(const char *text, int64_t min, int64_t max, int64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, base_of(text));
    return !errno && end != text && !*end && *value >= min && *value <= max;
}

static bool parse_unsigned(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, base_of(text));
    return !errno && end != text && !*end && !strchr(text, '-') && *value <= max;
}

/* A number that is too large is none of its type; infinity has to be asked for by its name. */
static bool parse_float(const char *text, float *value)
{
    char *end;

    errno = 0;
    *value = strtof(text, &end);
    return end != text && !*end && !(errno == ERANGE && isinf(*value));
}

static bool parse_double(const char *text, double *value)
{
    char *end;

    errno = 0;
    *value = strtod(text, &end);
    return end != text && !*end && !(errno == ERANGE && isinf(*value));
}

/* A number or a bool, as its type is written. */
static bool parse_plain(enum halo_type type, const char *text, struct halo_value *value)
{
    uint64_t u64 = 0;
    int64_t i64 = 0;
    bool good;

    *value = (struct halo_value){.type = type};
    switch (type) {
    case HALO_I32:
        good = parse_signed(text, INT32_MIN, INT32_MAX, &i64);
        value->i32 = (int32_t)i64;
        break;
    case HALO_I64:
        good = parse_signed(text, INT64_MIN, INT64_MAX, &value->i64);
        break;
    case HALO_U32:
        good = parse_unsigned(text, UINT32_MAX, &u64);
        value->u32 = (uint32_t)u64;
        break;
    case HALO_U64:
        good = parse_unsigned(text, UINT64_MAX, &value->u64);
        break;
    case HALO_F32:
        good = parse_float(text, &value->f32);
        break;
    case HALO_F64:
        good = parse_double(text, &value->f64);
        break;
    case HALO_BOOL:
        good = parse_bool(text, &value->boolean);
        break;
    default:
        good = false;
        break;
    }
    return good;
}

/* The next element of a list, which ends with a comma or the bracket. NULL: it is none. */
static const char *parse_element(enum halo_type type, const char *text, struct halo_value *value)
{
    char word[64];
    const size_t len = strcspn(text, ",]");
    const size_t blanks = strspn(text, " ");

    if (len >= sizeof(word) || blanks >= len || !text[len])
        return NULL;
    memcpy(word, text + blanks, len - blanks);
    word[len - blanks] = '\0';
    return parse_plain(type, word, value) ? text + len + 1 : NULL;
}

/* "[1,2,3]", and "[]" for one of no elements. */
static bool parse_list(const char *text, struct halo_value *list, struct tool_memory *memory)
{
    const enum halo_type type = (enum halo_type)((unsigned)list->type & ~(unsigned)HALO_LIST);
    const size_t width = halo_element_len(list->type);
    const char *at = text + 1;
    struct halo_value element;

    if (text[0] != '[')
        return false;
    if (strcmp(at, "]") == 0)
        return true;
    memory->list = malloc(strlen(text) / 2 * width + width); /* each has a comma or a bracket */
    if (!memory->list)
        return false;
    list->bytes = memory->list;
    for (; *at; list->len += width) {
        at = parse_element(type, at, &element);
        if (!at || (at[-1] == ']' && *at))
            return false;
        memcpy(memory->list + list->len, &element.u64, width);
    }
    return at[-1] == ']';
}

int tool_parse_value(uint32_t which, uint8_t type, const char *text, struct halo_value *value,
                     struct tool_memory *memory)
{
    const enum halo_type plain = halo_type_of(type);
    bool good;

    if (halo_is_maybe(type) && strcmp(text, "null") == 0) {
        *value = halo_null();
        return 0;
    }
    *value = (struct halo_value){.type = plain};
    if (plain == HALO_STR || plain == HALO_BYTES)
        return parse_text(text, value, memory);
    good = halo_is_list(plain) ? parse_list(text, value, memory) : parse_plain(plain, text, value);
    return good ? 0 : wrong_value(which, plain, text);
}

void tool_free_memory(struct tool_memory *memory)
{
    tool_free_value(memory->file);
    free(memory->list);
}

/* The fewest digits that read back as the same number. */
static void print_float(float value)
{
    char text[32];
    int digits = 0;

    do
        (void)snprintf(text, sizeof(text), "%.*g", ++digits, (double)value);
    while (digits < FLT_DECIMAL_DIG && strtof(text, NULL) != value);
    fputs(text, tool_out);
}

static void print_double(double value)
{
    char text[32];
    int digits = 0;

    do
        (void)snprintf(text, sizeof(text), "%.*g", ++digits, value);
    while (digits < DBL_DECIMAL_DIG && strtod(text, NULL) != value);
    fputs(text, tool_out);
}

static void print_plain(const struct halo_value *value)
{
    switch (value->type) {
    case HALO_I32:
        fprintf(tool_out, "%" PRId32, value->i32);
        break;
    case HALO_U32:
        fprintf(tool_out, "%" PRIu32, value->u32);
        break;
    case HALO_I64:
        fprintf(tool_out, "%" PRId64, value->i64);
        break;
    case HALO_U64:
        fprintf(tool_out, "%" PRIu64, value->u64);
        break;
    case HALO_F32:
        print_float(value->f32);
        break;
    case HALO_F64:
        print_double(value->f64);
        break;
    case HALO_BOOL:
        fputs(value->boolean ? "true" : "false", tool_out);
        break;
    default:
        break;
    }
}

static void print_list(const struct halo_value *list)
{
    const size_t count = halo_count(list), width = halo_element_len(list->type);
    struct halo_value element = {.type =
                                     (enum halo_type)((unsigned)list->type & ~(unsigned)HALO_LIST)};

    fputc('[', tool_out);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputc(',', tool_out);
        memcpy(&element.u64, (const char *)list->bytes + i * width, width);
        print_plain(&element);
    }
    fputc(']', tool_out);
}

void tool_print_value(const struct halo_value *value, uint8_t type)
{
    if (value->type == HALO_BYTES) {
        tool_print_guest(value->bytes, value->len);
        return;
    }
    if (value->type == HALO_VOID && !halo_is_maybe(type))
        return;
    if (value->type == HALO_VOID)
        fputs("null", tool_out);
    else if (value->type == HALO_STR)
        tool_print_guest(value->str, value->len);
    else if (halo_is_list(value->type))
        print_list(value);
    else
        print_plain(value);
    fputc('\n', tool_out);
}
