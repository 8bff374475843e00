/*
 * Prototypes of a small part of C:
 *
 *     file       = { 'extern' '"C"' '{' | '}' | prototype }
 *     prototype  = [ 'extern' ] type name '(' [ 'void' | parameter { ',' parameter } ] ')' ';'
 *     parameter  = type [ name ]
 *
 * Comments and lines of the preprocessor count as blanks. What is read may be anything: a token is
 * bounded, nothing is nested, and every byte is looked at once.
 */
#include "bind.h"
#include <halo/abi.h>
#include <halo/error.h>
#include <stdarg.h>
#include <string.h>

struct reader {
    struct bind_header *header;
    const char *at, *end;
    unsigned line;
    bool begins;                   /* of this line there were blanks alone */
    char token[BIND_NAME_MAX + 1]; /* a word, a string, one other character, or "" at the end */
    unsigned token_line;
};

/* A type as it is written: its words without const. */
struct type {
    char words[2 * BIND_NAME_MAX];
    bool is_const;
    unsigned stars, line;
};

__attribute__((format(printf, 2, 3))) static int fail(struct reader *reader, const char *format,
                                                      ...)
{
    va_list args;

    reader->header->line = reader->token_line;
    va_start(args, format);
    (void)vsnprintf(reader->header->words, sizeof(reader->header->words), format, args);
    va_end(args);
    return HALO_EINVAL;
}

/* --- Tokens ----------------------------------------------------------------------------------- */

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void step(struct reader *reader)
{
    reader->begins =
        *reader->at == '\n' || (reader->begins && (*reader->at == ' ' || *reader->at == '\t'));
    reader->line += *reader->at++ == '\n';
}

static bool starts(const struct reader *reader, const char *two)
{
    return reader->end - reader->at >= 2 && reader->at[0] == two[0] && reader->at[1] == two[1];
}

/* To the end of the line, which a backslash before it takes to the next one. */
static void skip_line(struct reader *reader)
{
    while (reader->at < reader->end && *reader->at != '\n') {
        const bool goes_on = *reader->at == '\\';

        step(reader);
        if (goes_on && reader->at < reader->end)
            step(reader);
    }
}

static int skip_comment(struct reader *reader)
{
    reader->token_line = reader->line;
    reader->at += 2;
    while (reader->at < reader->end && !starts(reader, "*/"))
        step(reader);
    if (reader->at == reader->end)
        return fail(reader, "a comment begins here and does not end: write */ behind it");
    reader->at += 2;
    return 0;
}

static int skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end) {
        if (starts(reader, "/*")) {
            const bool begins = reader->begins;

            if (skip_comment(reader))
                return HALO_EINVAL;
            reader->begins = begins;
        } else if (starts(reader, "//") || (*reader->at == '#' && reader->begins)) {
            skip_line(reader);
        } else if (strchr(" \t\r\n\f\v", *reader->at) && *reader->at) {
            step(reader);
        } else {
            break;
        }
    }
    return 0;
}

static int next(struct reader *reader)
{
    size_t len = 0;

    if (skip_blanks(reader))
        return HALO_EINVAL;
    reader->token_line = reader->line;
    reader->token[0] = '\0';
    if (reader->at == reader->end)
        return 0;
    if (*reader->at < ' ' || *reader->at > '~')
        return fail(reader, "there is a byte of value %u, which is no C: take it out",
                    (unsigned)(unsigned char)*reader->at);
    if (reader->end - reader->at >= 3 && memcmp(reader->at, "\"C\"", 3) == 0)
        len = 3;
    while (len == 0 || (is_of_name(reader->at[0]) && reader->at + len < reader->end &&
                        is_of_name(reader->at[len]))) {
        if (len == BIND_NAME_MAX)
            return fail(reader, "a name of more than %u characters: shorten it", BIND_NAME_MAX);
        len++;
    }
    memcpy(reader->token, reader->at, len);
    reader->token[len] = '\0';
    reader->at += len;
    reader->begins = false;
    return 0;
}

static bool is(const struct reader *reader, const char *token)
{
    return strcmp(reader->token, token) == 0;
}

static const char *shown(const struct reader *reader)
{
    return reader->token[0] ? reader->token : "the end of the file";
}

static int expect(struct reader *reader, const char *token, const char *where)
{
    if (!is(reader, token))
        return fail(reader, "'%s' has to stand %s, and not %s", token, where, shown(reader));
    return next(reader);
}

/* --- Names ------------------------------------------------------------------------------------ */

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

#define IS_ONE_OF(word, words) is_one_of(word, words, sizeof(words) / sizeof((words)[0]))

static const char *const of_types[] = {"void",  "char",    "int",      "unsigned", "signed",
                                       "long",  "short",   "float",    "double",   "bool",
                                       "_Bool", "int32_t", "size_t",   "const",    "struct",
                                       "union", "int64_t", "uint32_t", "uint64_t", "halo_handle"};

/* Words of C and C++, of any standard, and of what both sides define. */
static const char *const taken[] = {"alignas",
                                    "alignof",
                                    "and",
                                    "and_eq",
                                    "asm",
                                    "auto",
                                    "bitand",
                                    "bitor",
                                    "break",
                                    "case",
                                    "catch",
                                    "char8_t",
                                    "char16_t",
                                    "char32_t",
                                    "class",
                                    "co_await",
                                    "co_return",
                                    "co_yield",
                                    "compl",
                                    "concept",
                                    "const_cast",
                                    "consteval",
                                    "constexpr",
                                    "constinit",
                                    "continue",
                                    "decltype",
                                    "default",
                                    "delete",
                                    "do",
                                    "dynamic_cast",
                                    "else",
                                    "halo",
                                    "enum",
                                    "explicit",
                                    "export",
                                    "extern",
                                    "false",
                                    "for",
                                    "friend",
                                    "goto",
                                    "if",
                                    "inline",
                                    "linux",
                                    "main",
                                    "mutable",
                                    "namespace",
                                    "new",
                                    "noexcept",
                                    "not",
                                    "not_eq",
                                    "nullptr",
                                    "operator",
                                    "or",
                                    "or_eq",
                                    "private",
                                    "protected",
                                    "public",
                                    "register",
                                    "requires",
                                    "restrict",
                                    "return",
                                    "sizeof",
                                    "static",
                                    "static_cast",
                                    "switch",
                                    "static_assert",
                                    "template",
                                    "this",
                                    "throw",
                                    "thread_local",
                                    "true",
                                    "try",
                                    "typedef",
                                    "typeid",
                                    "typename",
                                    "typeof",
                                    "unix",
                                    "using",
                                    "virtual",

                                    "wchar_t",
                                    "while",
                                    "xor",
                                    "xor_eq",
                                    "reinterpret_cast",
                                    "typeof_unqual"};

#define BIND_NEEDS_LEN "bytes and lists have their length behind them: const void *data, size_t len"

/* What parameters and variables around a function's call are called. */
static const char *const around[] = {"args",  "box", "call", "context",
                                     "error", "len", "type", "result"};

bool bind_name_is_free(const char *name)
{
    if (!is_of_name(name[0]) || (name[0] >= '0' && name[0] <= '9') || name[0] == '_')
        return false;
    return !IS_ONE_OF(name, taken) && !IS_ONE_OF(name, of_types) && !strstr(name, "__") &&
           strncmp(name, "halo_", 5) != 0 && strncmp(name, "HALO_", 5) != 0;
}

/* --- Types ------------------------------------------------------------------------------------ */

static int read_type(struct reader *reader, struct type *type)
{
    memset(type, 0, sizeof(*type));
    type->line = reader->token_line;
    while (IS_ONE_OF(reader->token, of_types)) {
        if (is(reader, "const")) {
            type->is_const = true;
        } else {
            const size_t len = strlen(type->words);

            if (len > BIND_NAME_MAX)
                return fail(reader, "no type has so many words");
            (void)snprintf(type->words + len, sizeof(type->words) - len, "%s%s", len ? " " : "",
                           reader->token);
        }
        if (next(reader))
            return HALO_EINVAL;
    }
    if (!type->words[0])
        return fail(reader, "a type has to stand here, and not %s: " BIND_TYPES, shown(reader));
    while (is(reader, "*")) {
        type->stars++;
        if (next(reader))
            return HALO_EINVAL;
    }
    return 0;
}

/* The type of a value that is one word or two. HALO_TYPE_COUNT: none. */
static enum halo_type plain_type(const struct type *type)
{
    static const struct {
        const char *words;
        enum halo_type type;
    } types[] = {{"void", HALO_VOID},    {"int", HALO_I32},
                 {"int32_t", HALO_I32},  {"unsigned", HALO_U32},
                 {"uint32_t", HALO_U32}, {"unsigned int", HALO_U32},
                 {"int64_t", HALO_I64},  {"uint64_t", HALO_U64},
                 {"float", HALO_F32},    {"double", HALO_F64},
                 {"bool", HALO_BOOL},    {"_Bool", HALO_BOOL},
                 {"char", HALO_STR},     {"struct halo_handle", HALO_HANDLE}};
    const bool is_array = type->stars == 1 && type->is_const;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const enum halo_type found = types[i].type;

        if (strcmp(types[i].words, type->words) != 0)
            continue;
        if (type->stars == 0 && found != HALO_STR)
            return found;
        if (is_array && found == HALO_STR)
            return HALO_STR;
        if (is_array && found == HALO_VOID)
            return HALO_BYTES;
        if (is_array && found <= HALO_BOOL)
            return (enum halo_type)(found | HALO_LIST);
    }
    return HALO_TYPE_COUNT;
}

static int fail_type(struct reader *reader, const struct type *type)
{
    const char *stars = type->stars > 1 ? " **" : type->stars ? " *" : "";

    reader->token_line = type->line;
    return fail(reader, "%s%s%s does not cross: " BIND_TYPES, type->is_const ? "const " : "",
                type->words, stars);
}

/* --- Prototypes ------------------------------------------------------------------------------- */

/* The name of a parameter, if it has one. */
static int read_param_name(struct reader *reader, char *name)
{
    name[0] = '\0';
    if (is(reader, ",") || is(reader, ")"))
        return 0;
    if (!bind_name_is_free(reader->token))
        return fail(reader, "%s cannot be the name of a parameter: another word, or none",
                    shown(reader));
    memcpy(name, reader->token, sizeof(reader->token));
    return next(reader);
}

/* `size_t len` behind bytes, or behind a list. */
static int read_len(struct reader *reader)
{
    struct type type;
    char name[BIND_NAME_MAX + 1];

    if (!is(reader, ","))
        return fail(reader, BIND_NEEDS_LEN);
    if (next(reader) || read_type(reader, &type))
        return HALO_EINVAL;
    if (strcmp(type.words, "size_t") != 0 || type.stars)
        return fail(reader, BIND_NEEDS_LEN);
    return read_param_name(reader, name);
}

/* One parameter. *is_len: it was the room for the length of a result of bytes. */
static int read_param(struct reader *reader, struct bind_function *function, bool *is_len)
{
    struct halo_signature *signature = &function->signature;
    struct type type;
    enum halo_type value;
    char name[BIND_NAME_MAX + 1];

    if (read_type(reader, &type))
        return HALO_EINVAL;
    value = plain_type(&type);
    if (bind_has_len(signature->types[0]) && type.stars == 1 && !type.is_const &&
        strcmp(type.words, "size_t") == 0) {
        *is_len = true;
        return read_param_name(reader, name);
    }
    if (value == HALO_VOID || value == HALO_TYPE_COUNT)
        return fail_type(reader, &type);
    if (signature->arg_count == HALO_ARGUMENTS_MAX)
        return fail(reader, "%s has more than %u arguments: pass some of them together as bytes",
                    function->name, HALO_ARGUMENTS_MAX);
    if (read_param_name(reader, name))
        return HALO_EINVAL;
    for (uint32_t i = 0; i < signature->arg_count && name[0]; i++) {
        if (strcmp(function->params[i], name) == 0)
            return fail(reader, "two parameters have the name %s: rename one", name);
    }
    memcpy(function->params[signature->arg_count], name, sizeof(name));
    signature->types[++signature->arg_count] = (uint8_t)value;
    return bind_has_len(value) ? read_len(reader) : 0;
}

static int read_params(struct reader *reader, struct bind_function *function)
{
    struct reader before = *reader;
    bool is_len = false;

    if (is(reader, "void")) { /* alone, or the beginning of a parameter */
        if (next(reader))
            return HALO_EINVAL;
        if (!is(reader, ")"))
            *reader = before;
    }
    while (!is(reader, ")")) {
        if (is_len)
            return fail(reader, "the length of the result has to be the last parameter");
        if (read_param(reader, function, &is_len))
            return HALO_EINVAL;
        if (is(reader, ")"))
            break;
        if (expect(reader, ",", "between parameters"))
            return HALO_EINVAL;
        if (is(reader, ")"))
            return fail(reader, "a parameter has to stand between ',' and ')'");
    }
    if (bind_has_len(function->signature.types[0]) && !is_len)
        return fail(reader, "a result of bytes, or a list, has its length in the last parameter: "
                            "size_t *len");
    return next(reader);
}

static int read_prototype(struct reader *reader)
{
    struct bind_header *header = reader->header;
    struct bind_function *function = &header->functions[header->count];
    struct type type;
    enum halo_type result;

    if (header->count == BIND_FUNCTIONS_MAX)
        return fail(reader, "more than %u functions: make two headers of it", BIND_FUNCTIONS_MAX);
    memset(function, 0, sizeof(*function));
    if (read_type(reader, &type))
        return HALO_EINVAL;
    result = plain_type(&type);
    if (result == HALO_TYPE_COUNT)
        return fail_type(reader, &type);
    function->signature.types[0] = (uint8_t)result;
    if (!bind_name_is_free(reader->token) || IS_ONE_OF(reader->token, around))
        return fail(reader, "%s cannot be the name of a function, in C or C++: another word",
                    shown(reader));
    memcpy(function->name, reader->token, sizeof(reader->token));
    for (uint32_t i = 0; i < header->count; i++) {
        if (strcmp(header->functions[i].name, function->name) == 0)
            return fail(reader, "%s is there twice: take one out", function->name);
    }
    if (strlen(header->stem) + 1 + strlen(function->name) > HALO_FUNCTION_NAME_MAX)
        return fail(reader, "%s.%s is longer than %u characters: shorten one of the two",
                    header->stem, function->name, HALO_FUNCTION_NAME_MAX);
    if (next(reader) || expect(reader, "(", "behind the name of a function") ||
        read_params(reader, function))
        return HALO_EINVAL;
    header->count++;
    return expect(reader, ";", "behind a prototype");
}

int bind_read(struct bind_header *header, const char *text, size_t len)
{
    struct reader reader = {
        .header = header, .at = text, .end = text + len, .line = 1, .begins = true};
    bool is_open = false; /* extern "C" { */

    header->count = 0;
    if (next(&reader))
        return HALO_EINVAL;
    while (reader.token[0]) {
        if (is(&reader, "}") && is_open) {
            is_open = false;
            if (next(&reader))
                return HALO_EINVAL;
            continue;
        }
        if (is(&reader, "extern") && next(&reader))
            return HALO_EINVAL;
        if (is(&reader, "\"C\"") && !is_open) {
            is_open = true;
            if (next(&reader) || expect(&reader, "{", "behind extern \"C\""))
                return HALO_EINVAL;
            continue;
        }
        if (read_prototype(&reader))
            return HALO_EINVAL;
    }
    if (is_open)
        return fail(&reader, "extern \"C\" { has no '}'");
    return header->count > 0 ? 0 : fail(&reader, "there is no prototype: write one");
}
