/*
 * Functions: those that the host provides, those that the guest exports, and the greeting in which
 * the guest says what it imports and exports. It is copied to private memory first, and then looked
 * at (TOC-04).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../message/envelope.h"
#include "call.h"

#define HELLO_MAX                \
    (sizeof(struct halo_hello) + \
     2 * HALO_FUNCTIONS_MAX *    \
         (sizeof(struct halo_hello_function) + HALO_HELLO_MORE + HALO_FUNCTION_NAME_MAX))

/* --- Providing -------------------------------------------------------------------------------- */

/* The index of a function, or HALO_ENAME; the name is not terminated. */
static int find(const struct halo_provided *functions, uint32_t count, const char *name, size_t len)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
            return (int)i + 1;
    }
    return HALO_ENAME;
}

int halo__function_provide(struct halo_calls *calls, const char *name,
                           const struct halo_signature *signature, halo_function *function,
                           void *context)
{
    struct halo_functions *functions = &calls->functions;
    const size_t len = name ? strlen(name) : 0;
    struct halo_provided *larger;
    int index;

    if (len == 0 || len > HALO_FUNCTION_NAME_MAX)
        return halo__fail(calls->words, HALO_EINVAL,
                          "the name of a function has 1 to %u bytes, not %zu",
                          HALO_FUNCTION_NAME_MAX, len);
    if (!function)
        return halo__fail(calls->words, HALO_EINVAL, "%s: the function is NULL", name);
    if (!signature || !halo_signature_valid(signature))
        return halo__fail(calls->words, HALO_EINVAL, "%s: an invalid signature", name);
    index = find(functions->provided, functions->count, name, len);
    if (index > 0 && halo__calls_take_up(calls, index, signature, function, context))
        return 0;
    if (index > 0)
        return halo__fail(calls->words, HALO_EINVAL, "%s: provided already", name);
    if (functions->count == HALO_FUNCTIONS_MAX)
        return halo__fail(calls->words, HALO_EFULL, "%s: there are %u functions already", name,
                          HALO_FUNCTIONS_MAX);
    larger = realloc(functions->provided, (functions->count + 1) * sizeof(*larger));
    if (!larger)
        return halo__fail(calls->words, HALO_ENOMEM, "%s: no memory", name);
    functions->provided = larger;
    larger += functions->count++;
    *larger =
        (struct halo_provided){.signature = *signature, .function = function, .context = context};
    memcpy(larger->name, name, len);
    calls->handles.any |= halo__handle_is_taken(signature);
    return 0;
}

int halo__function_lookup(struct halo_calls *calls, const char *name,
                          const struct halo_signature *signature)
{
    char wanted[HALO_SIGNATURE_TEXT_MAX], found[HALO_SIGNATURE_TEXT_MAX];
    const struct halo_functions *functions = &calls->functions;
    int index;

    if (!name)
        return halo__fail(calls->words, HALO_EINVAL, "the name of a function is NULL");
    if (!calls->port->open)
        return halo__calls_refuse(calls, name);
    if (!signature || !halo_signature_valid(signature))
        return halo__fail(calls->words, HALO_EINVAL, "%s: an invalid signature", name);
    index = find(functions->exported, functions->export_count, name, strlen(name));
    if (index < 0)
        return halo__fail(calls->words, index, "%s: the guest exports no such function", name);
    if (!halo_signature_equal(signature, &functions->exported[index - 1].signature))
        return halo__fail(calls->words, HALO_ETYPE, "%s: the guest exports %s, not %s", name,
                          halo_signature_text(&functions->exported[index - 1].signature, found),
                          halo_signature_text(signature, wanted));
    return index;
}

bool halo__function_exported(const struct halo_calls *calls, uint32_t index, const char **name,
                             struct halo_signature *signature)
{
    if (index >= calls->functions.export_count)
        return false;
    *name = calls->functions.exported[index].name;
    *signature = calls->functions.exported[index].signature;
    return true;
}

/* --- The greeting ----------------------------------------------------------------------------- */

/* What is left of a greeting, in private memory. */
struct greeting {
    const unsigned char *at;
    size_t left;
};

/* The next bytes of it, or NULL where there are not so many. */
static const unsigned char *take_bytes(struct greeting *greeting, size_t len)
{
    const unsigned char *at = greeting->at;

    if (greeting->left < len)
        return NULL;
    greeting->at += len;
    greeting->left -= len;
    return at;
}

/*
 * The next function of it, and its signature, which may be none; its name is not terminated. NULL,
 * or what cannot be understood.
 */
static const char *next_function(struct greeting *greeting, struct halo_hello_function *function,
                                 struct halo_signature *signature, const char **name)
{
    const unsigned char *bytes = take_bytes(greeting, sizeof(*function));

    if (!bytes)
        return "a greeting that ends within a function";
    memcpy(function, bytes, sizeof(*function));
    if (function->name_len == 0 || function->name_len > HALO_FUNCTION_NAME_MAX ||
        function->arg_count > HALO_ARGUMENTS_MAX ||
        (function->flags &
         ~(HALO_FUNCTION_ROWS | HALO_FUNCTION_AGGREGATE | HALO_FUNCTION_SHARES)) != 0 ||
        (function->flags != 0 && !(function->flags & HALO_FUNCTION_ROWS)))
        return "a greeting with a malformed function";
    *signature = (struct halo_signature){.arg_count = function->arg_count};
    memcpy(signature->types, function->types, sizeof(function->types));
    if (function->arg_count >= HALO_HELLO_TYPES) {
        bytes = take_bytes(greeting, HALO_HELLO_MORE);
        if (!bytes)
            return "a greeting that ends within a function";
        memcpy(signature->types + HALO_HELLO_TYPES, bytes, HALO_HELLO_MORE);
    }
    *name = (const char *)take_bytes(greeting, function->name_len);
    return *name ? NULL : "a greeting with a malformed function";
}

/* What one import gets: an index, or an error. */
static int32_t resolve(struct halo_functions *functions, const struct halo_hello_function *import,
                       const struct halo_signature *signature, const char *name)
{
    const int index = find(functions->provided, functions->count, name, import->name_len);

    if (index < 0)
        return index;
    if (!halo_signature_equal(signature, &functions->provided[index - 1].signature))
        return HALO_ETYPE;
    functions->provided[index - 1].is_imported = true;
    return index;
}

/* The name is the guest's choice, and perhaps a terminal's to show. */
static const char *complain(struct halo_calls *calls, const char *what, const char *name,
                            uint32_t len)
{
    char shown[HALO_FUNCTION_NAME_MAX + 1];

    for (uint32_t i = 0; i < len; i++) /* RES-07 */
        shown[i] = (char)(name[i] > ' ' && name[i] <= '~' ? name[i] : '?');
    shown[len] = '\0';
    (void)snprintf(calls->complaint, sizeof(calls->complaint), "%s %s", what, shown);
    return calls->complaint;
}

static const char *add_export(struct halo_calls *calls, const struct halo_hello_function *wire,
                              const struct halo_signature *signature, const char *name)
{
    struct halo_functions *functions = &calls->functions;
    struct halo_provided *exported = &functions->exported[functions->export_count];

    if (!halo_signature_valid(signature) || memchr(name, '\0', wire->name_len) ||
        (wire->flags != 0 && !halo__has_columns(signature)))
        return complain(calls, "a greeting with a malformed function:", name, wire->name_len);
    if (find(functions->exported, functions->export_count, name, wire->name_len) > 0)
        return complain(calls, "a greeting with two functions named", name, wire->name_len);
    *exported = (struct halo_provided){.signature = *signature,
                                       .rows = wire->flags != 0,
                                       .aggregate = wire->flags & HALO_FUNCTION_AGGREGATE,
                                       .shares = wire->flags & HALO_FUNCTION_SHARES};
    memcpy(exported->name, name, wire->name_len);
    functions->export_count++;
    return NULL;
}

/* All of a greeting. NULL, or what cannot be understood. */
static const char *read_greeting(struct halo_calls *calls, struct greeting greeting,
                                 const struct halo_hello *hello, int32_t *indices)
{
    struct halo_hello_function function;
    struct halo_signature signature;
    const char *name, *why;

    for (uint32_t i = 0; i < hello->import_count; i++) {
        why = next_function(&greeting, &function, &signature, &name);
        if (!why && function.flags != 0)
            why = "a greeting with a malformed function";
        if (why)
            return why;
        indices[i] = resolve(&calls->functions, &function, &signature, name);
    }
    for (uint32_t i = 0; i < hello->export_count; i++) {
        why = next_function(&greeting, &function, &signature, &name);
        if (!why)
            why = add_export(calls, &function, &signature, name);
        if (why)
            return why;
    }
    return greeting.left == 0 ? NULL : "a greeting with something behind it";
}

const char *halo__greeting_take(struct halo_calls *calls, struct halo_request *request)
{
    struct halo_functions *functions = &calls->functions;
    const uint64_t len = request->message.length;
    int32_t indices[HALO_FUNCTIONS_MAX];
    struct halo_hello hello;
    unsigned char *bytes;
    const char *why;

    if (functions->greeted)
        return "a second greeting";
    if (len < sizeof(hello) || len > HELLO_MAX)
        return "a greeting that is too short or too long";
    if (!halo__request_read(calls->port, request, HALO_PAYLOAD, &hello, sizeof(hello)))
        return HALO_NOT_THERE;
    if (hello.import_count > HALO_FUNCTIONS_MAX || hello.export_count > HALO_FUNCTIONS_MAX)
        return "a greeting with too many functions";
    if (request->parked.writable_len < HALO_PAYLOAD + hello.import_count * sizeof(indices[0]))
        return "a greeting without room for its answer";
    bytes = malloc(HELLO_MAX);
    functions->exported = calloc(hello.export_count + 1, sizeof(*functions->exported));
    if (!bytes || !functions->exported) {
        free(bytes);
        calls->port->host_failed = halo__fail(calls->words, HALO_ENOMEM,
                                              "no memory for the list of functions of the guest");
        return NULL;
    }
    why = HALO_NOT_THERE;
    if (halo__request_read(calls->port, request, HALO_PAYLOAD + sizeof(hello), bytes,
                           (size_t)len - sizeof(hello)))
        why = read_greeting(calls, (struct greeting){bytes, (size_t)len - sizeof(hello)}, &hello,
                            indices);
    free(bytes);
    if (why)
        return why;
    functions->greeted = true;
    halo__request_write(calls->port, request, HALO_PAYLOAD, indices,
                        hello.import_count * sizeof(indices[0]));
    halo__port_answer(calls->port, request, HALO_KIND_ANSWER, 0,
                      (uint32_t)(hello.import_count * sizeof(indices[0])));
    return NULL;
}
