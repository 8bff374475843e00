/*
 * The header that both sides include. Its names are built so that they are not those of the
 * prototypes: a parameter has '_' behind it, all else begins with the header's name or "halo_".
 */
#include "bind.h"

static const struct {
    const char *plain, *list, *member, *constant;
} names[] = {
    [HALO_VOID] = {"void", NULL, "", "HALO_VOID"},
    [HALO_I32] = {"int32_t", "const int32_t *", "i32", "HALO_I32"},
    [HALO_U32] = {"uint32_t", "const uint32_t *", "u32", "HALO_U32"},
    [HALO_I64] = {"int64_t", "const int64_t *", "i64", "HALO_I64"},
    [HALO_U64] = {"uint64_t", "const uint64_t *", "u64", "HALO_U64"},
    [HALO_F32] = {"float", "const float *", "f32", "HALO_F32"},
    [HALO_F64] = {"double", "const double *", "f64", "HALO_F64"},
    [HALO_BOOL] = {"bool", "const bool *", "bool", "HALO_BOOL"},
    [HALO_STR] = {"const char *", NULL, "str", "HALO_STR"},
    [HALO_BYTES] = {"const void *", NULL, "bytes", "HALO_BYTES"},
    [HALO_HANDLE] = {"struct halo_handle", NULL, "handle", "HALO_HANDLE"},
};

static bool is_list(uint32_t type)
{
    return halo_is_list((enum halo_type)type);
}

/* The entry of a type, or of a list's elements. */
static uint32_t entry(uint32_t type)
{
    return type & ~(uint32_t)HALO_LIST;
}

static const char *c_type(uint32_t type)
{
    return is_list(type) ? names[entry(type)].list : names[type].plain;
}

/* The member of a value: "f64", "f64s". */
static void write_member(uint32_t type, FILE *to)
{
    fputs(type == HALO_BOOL ? "boolean" : names[entry(type)].member, to);
    if (is_list(type))
        fputc('s', to);
}

/* What makes a value: "halo_f64", "halo_f64s". */
static void write_maker(uint32_t type, FILE *to)
{
    fprintf(to, "halo_%s%s", names[entry(type)].member,
            is_list(type)         ? "s"
            : type == HALO_HANDLE ? "_value"
                                  : "");
}

/* The length of a value as C has it. */
static void write_len_of(uint32_t type, const char *value, FILE *to)
{
    fprintf(to, is_list(type) ? "halo_count(&%s)" : "%s.len", value);
}

static const char *space(uint32_t type)
{
    return type == HALO_HANDLE || type < HALO_STR ? " " : "";
}

static void write_param_name(const struct bind_function *function, uint32_t i, FILE *to)
{
    if (function->params[i][0])
        fprintf(to, "%s_", function->params[i]);
    else
        fprintf(to, "argument_%u", i + 1);
}

/* "const char *text_, int64_t weight_", or nothing; with a comma before it where it is not `first`.
 */
static void write_params(const struct bind_function *function, bool first, FILE *to)
{
    for (uint32_t i = 0; i < function->signature.arg_count; i++) {
        const uint32_t type = function->signature.types[1 + i];

        fprintf(to, "%s%s%s", first && i == 0 ? "" : ", ", c_type(type), space(type));
        write_param_name(function, i, to);
        if (bind_has_len(type))
            fprintf(to, ", size_t len_of_%u", i + 1);
    }
}

static void write_signature(const struct bind_function *function, FILE *to)
{
    for (uint32_t i = 0; i <= function->signature.arg_count; i++)
        fprintf(to, "%s%s%s", i ? ", " : "",
                is_list(function->signature.types[i]) ? "HALO_LIST | " : "",
                names[entry(function->signature.types[i])].constant);
}

/* --- The side that has the functions ---------------------------------------------------------- */

static void write_declaration(const struct bind_header *header,
                              const struct bind_function *function, FILE *to)
{
    const uint32_t result = function->signature.types[0];
    bool first = true;

    fprintf(to, "%s%s%s(", c_type(result), space(result), function->name);
    if (header->of_host) {
        fputs("void *context", to);
        first = false;
    }
    write_params(function, first, to);
    first = first && function->signature.arg_count == 0;
    if (bind_has_len(result))
        fprintf(to, "%ssize_t *len", first ? "" : ", ");
    else if (first)
        fputs("void", to);
    fputs(");\n", to);
}

/* The call of the function, and the answer. */
static void write_body(const struct bind_header *header, const struct bind_function *function,
                       FILE *to)
{
    const uint32_t result = function->signature.types[0];
    const char *comma = "";

    if (bind_has_len(result))
        fputs("    size_t len = 0;\n", to);
    fputs("    ", to);
    if (result != HALO_VOID)
        fprintf(to, "%s%sresult = ", c_type(result), space(result));
    fprintf(to, "%s(", function->name);
    if (header->of_host) {
        fputs("context", to);
        comma = ", ";
    }
    for (uint32_t i = 0; i < function->signature.arg_count; i++) {
        const uint32_t type = function->signature.types[1 + i];

        fprintf(to, "%sargs[%u].", comma, i);
        write_member(type, to);
        if (bind_has_len(type)) {
            char value[16];

            (void)snprintf(value, sizeof(value), "args[%u]", i);
            fputs(", ", to);
            write_len_of(type, value, to);
        }
        comma = ", ";
    }
    if (bind_has_len(result))
        fprintf(to, "%s&len", comma);
    fputs(");\n", to);
    if (result == HALO_VOID)
        fputs("    (void)args;\n    (void)halo_return(call, halo_void());\n", to);
    else if (result == HALO_STR)
        fputs("    (void)args;\n"
              "    (void)halo_return(call, result ? halo_str(result) : halo_null());\n",
              to);
    else
        fputs("    (void)args;\n    (void)halo_return(call, ", to);
    if (result != HALO_VOID && result != HALO_STR) {
        write_maker(result, to);
        fputs(bind_has_len(result) ? "(result, len));\n" : "(result));\n", to);
    }
}

static void write_exports(const struct bind_header *header, FILE *to)
{
    for (uint32_t i = 0; i < header->count; i++) {
        fprintf(to, "\nHALO_EXPORT(halo_bound_%s_%u, \"%s.%s\", ", header->stem, i, header->stem,
                header->functions[i].name);
        write_signature(&header->functions[i], to);
        fputs(")\n{\n", to);
        write_body(header, &header->functions[i], to);
        fputs("}\n", to);
    }
}

static void write_provided(const struct bind_header *header, FILE *to)
{
    for (uint32_t i = 0; i < header->count; i++) {
        fprintf(to,
                "\nstatic inline void halo_bound_%s_%u(struct halo_call *call, const struct "
                "halo_value *args, void *context)\n{\n",
                header->stem, i);
        write_body(header, &header->functions[i], to);
        fputs("}\n", to);
    }
    fprintf(to,
            "\n/* Let the guest call them; before it starts. 0, or what halo_provide returns. */\n"
            "static inline int halo_bind_%s(struct halo_sandbox *box, void *context)\n{\n"
            "    int error = 0;\n\n",
            header->stem);
    for (uint32_t i = 0; i < header->count; i++) {
        fputs("    if (!error) {\n        static const struct halo_signature type = HALO_FN(", to);
        write_signature(&header->functions[i], to);
        fprintf(to,
                ");\n\n        error = halo_provide(box, \"%s.%s\", &type, halo_bound_%s_%u, "
                "context);\n    }\n",
                header->stem, header->functions[i].name, header->stem, i);
    }
    fputs("    return error;\n}\n", to);
}

/* --- The side that calls them ----------------------------------------------------------------- */

static void write_values(const struct bind_function *function, FILE *to)
{
    for (uint32_t i = 0; i < function->signature.arg_count; i++) {
        const uint32_t type = function->signature.types[1 + i];

        fputs(i ? ", " : "    const struct halo_value args[] = {", to);
        write_maker(type, to);
        fputs("(", to);
        write_param_name(function, i, to);
        if (bind_has_len(type))
            fprintf(to, ", len_of_%u", i + 1);
        fputs(")", to);
    }
    if (function->signature.arg_count > 0)
        fputs("};\n", to);
    fputs("    int error;\n\n", to);
}

static void write_call(const struct bind_header *header, uint32_t index, FILE *to)
{
    const struct bind_function *function = &header->functions[index];
    const uint32_t count = function->signature.arg_count, result = function->signature.types[0];
    const bool is_guest = header->of_host;

    fprintf(to, "\nstatic inline int %s_%s(", header->stem, function->name);
    if (!is_guest)
        fprintf(to, "const struct halo_bound_%s *bound, ", header->stem);
    fprintf(to, "struct halo_future *future%s", is_guest ? "" : ", int64_t timeout_ns");
    write_params(function, false, to);
    if (result != HALO_VOID)
        fprintf(to, ", %s%s*result", c_type(result), space(result));
    fprintf(to, "%s)\n{\n", bind_has_len(result) ? ", size_t *result_len" : "");
    write_values(function, to);
    if (is_guest)
        fprintf(to, "    (void)halo_call_start(future, &halo_bound_%s_%u", header->stem, index);
    else
        fprintf(to, "    (void)halo_call_start(bound->box, future, bound->function[%u]", index);
    fprintf(to, ", %s, %u);\n    error = halo_wait(future%s);\n", count ? "args" : "NULL", count,
            is_guest ? "" : ", timeout_ns");
    if (result != HALO_VOID) {
        fputs("    if (!error)\n        *result = future->result.", to);
        write_member(result, to);
        fputs(";\n", to);
    }
    if (bind_has_len(result)) {
        fputs("    if (!error)\n        *result_len = ", to);
        write_len_of(result, "future->result", to);
        fputs(";\n", to);
    }
    fputs("    return error;\n}\n", to);
}

static void write_imports(const struct bind_header *header, FILE *to)
{
    for (uint32_t i = 0; i < header->count; i++) {
        fprintf(to, "\nHALO_IMPORT(halo_bound_%s_%u, \"%s.%s\", ", header->stem, i, header->stem,
                header->functions[i].name);
        write_signature(&header->functions[i], to);
        fputs(");\n", to);
        write_call(header, i, to);
    }
}

static void write_looked_up(const struct bind_header *header, FILE *to)
{
    fprintf(to,
            "\nstruct halo_bound_%s {\n    struct halo_sandbox *box;\n    int function[%u];\n};\n"
            "\n/* Find them, once the guest serves. 0, or what halo_lookup returns for the first "
            "that is not there. */\n"
            "static inline int halo_bind_%s(struct halo_bound_%s *bound, struct halo_sandbox *box)"
            "\n{\n    int found = 0;\n\n    bound->box = box;\n",
            header->stem, header->count, header->stem, header->stem);
    for (uint32_t i = 0; i < header->count; i++) {
        fputs("    if (found >= 0) {\n        static const struct halo_signature type = HALO_FN(",
              to);
        write_signature(&header->functions[i], to);
        fprintf(to,
                ");\n\n        found = bound->function[%u] = halo_lookup(box, \"%s.%s\", &type);"
                "\n    }\n",
                i, header->stem, header->functions[i].name);
    }
    fputs("    return found < 0 ? found : 0;\n}\n", to);
    for (uint32_t i = 0; i < header->count; i++)
        write_call(header, i, to);
}

static void write_declarations(const struct bind_header *header, FILE *to)
{
    fputs("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n", to);
    for (uint32_t i = 0; i < header->count; i++)
        write_declaration(header, &header->functions[i], to);
    fputs("#ifdef __cplusplus\n}\n#endif\n", to);
}

void bind_write(const struct bind_header *header, FILE *to)
{
    fprintf(to,
            "/*\n * Written by halo bind: functions of the %s. One file of each side includes "
            "this,\n * a guest's after halo/guest.h.\n */\n"
            "#ifndef HALO_BOUND_%s_H\n#define HALO_BOUND_%s_H\n\n"
            "#ifdef HALO_GUEST_H\n#include <halo/guest.h>\n",
            header->of_host ? "host" : "guest", header->stem, header->stem);
    if (header->of_host) {
        write_imports(header, to);
    } else {
        write_declarations(header, to);
        write_exports(header, to);
    }
    fputs("\n#else\n#include <halo/halo.h>\n", to);
    if (header->of_host) {
        write_declarations(header, to);
        write_provided(header, to);
    } else {
        write_looked_up(header, to);
    }
    fputs("\n#endif\n\n#endif\n", to);
}
