/*
 * The header that both sides include. Its names are built so that they are not those of the
 * prototypes: a parameter has '_' behind it, all else begins with the header's name or "halo_".
 */
#include "bind.h"

static const char *const c_types[HALO_TYPE_COUNT] = {
    "void",  "int32_t", "uint32_t", "int64_t",      "uint64_t",
    "float", "double",  "bool",     "const char *", "const void *"};
static const char *const members[HALO_TYPE_COUNT] = {"",    "i32", "u32",     "i64", "u64",
                                                     "f32", "f64", "boolean", "str", "bytes"};
static const char *const constants[HALO_TYPE_COUNT] = {
    "HALO_VOID", "HALO_I32", "HALO_U32",  "HALO_I64", "HALO_U64",
    "HALO_F32",  "HALO_F64", "HALO_BOOL", "HALO_STR", "HALO_BYTES"};

static const char *space(uint32_t type)
{
    return type >= HALO_STR ? "" : " ";
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

        fprintf(to, "%s%s%s", first && i == 0 ? "" : ", ", c_types[type], space(type));
        write_param_name(function, i, to);
        if (type == HALO_BYTES)
            fprintf(to, ", size_t len_of_%u", i + 1);
    }
}

static void write_signature(const struct bind_function *function, FILE *to)
{
    for (uint32_t i = 0; i <= function->signature.arg_count; i++)
        fprintf(to, "%s%s", i ? ", " : "", constants[function->signature.types[i]]);
}

/* --- The side that has the functions ---------------------------------------------------------- */

static void write_declaration(const struct bind_header *header,
                              const struct bind_function *function, FILE *to)
{
    const uint32_t result = function->signature.types[0];
    bool first = true;

    fprintf(to, "%s%s%s(", c_types[result], space(result), function->name);
    if (header->of_host) {
        fputs("void *context", to);
        first = false;
    }
    write_params(function, first, to);
    first = first && function->signature.arg_count == 0;
    if (result == HALO_BYTES)
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

    if (result == HALO_BYTES)
        fputs("    size_t len = 0;\n", to);
    fputs("    ", to);
    if (result != HALO_VOID)
        fprintf(to, "%s%sresult = ", c_types[result], space(result));
    fprintf(to, "%s(", function->name);
    if (header->of_host) {
        fputs("context", to);
        comma = ", ";
    }
    for (uint32_t i = 0; i < function->signature.arg_count; i++) {
        const uint32_t type = function->signature.types[1 + i];

        fprintf(to, "%sargs[%u].%s", comma, i, members[type]);
        if (type == HALO_BYTES)
            fprintf(to, ", args[%u].len", i);
        comma = ", ";
    }
    if (result == HALO_BYTES)
        fprintf(to, "%s&len", comma);
    fputs(");\n", to);
    if (result == HALO_VOID)
        fputs("    (void)args;\n    (void)halo_return(call, halo_void());\n", to);
    else if (result == HALO_BYTES)
        fputs("    (void)args;\n    (void)halo_return(call, halo_bytes(result, len));\n", to);
    else if (result == HALO_STR)
        fputs("    (void)args;\n"
              "    (void)halo_return(call, result ? halo_str(result) : halo_null());\n",
              to);
    else
        fprintf(to, "    (void)args;\n    (void)halo_return(call, halo_%s(result));\n",
                halo_type_name((enum halo_type)result));
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

        fprintf(to, "%shalo_%s(", i ? ", " : "    const struct halo_value args[] = {",
                halo_type_name((enum halo_type)type));
        write_param_name(function, i, to);
        if (type == HALO_BYTES)
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
        fprintf(to, ", %s%s*result", c_types[result], space(result));
    fprintf(to, "%s)\n{\n", result == HALO_BYTES ? ", size_t *result_len" : "");
    write_values(function, to);
    if (is_guest)
        fprintf(to, "    (void)halo_call_start(future, &halo_bound_%s_%u", header->stem, index);
    else
        fprintf(to, "    (void)halo_call_start(bound->box, future, bound->function[%u]", index);
    fprintf(to, ", %s, %u);\n    error = halo_wait(future%s);\n", count ? "args" : "NULL", count,
            is_guest ? "" : ", timeout_ns");
    if (result != HALO_VOID)
        fprintf(to, "    if (!error)\n        *result = future->result.%s;\n", members[result]);
    if (result == HALO_BYTES)
        fputs("    if (!error)\n        *result_len = future->result.len;\n", to);
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
