/*
 * The host's functions: who may be called, and a call from its chain to its answer. Everything that
 * the guest wrote is copied to private memory first, and then looked at (TOC-04, TOC-08).
 */
#include "call.h"
#include <stdlib.h>
#include <string.h>
#include "../sandbox.h"
#include "../../message/compact.h"
#include "../../message/envelope.h"

#define HELLO_MAX                \
    (sizeof(struct halo_hello) + \
     2 * HALO_FUNCTIONS_MAX * (sizeof(struct halo_hello_function) + HALO_FUNCTION_NAME_MAX))
#define PAYLOAD sizeof(struct halo_message) /* where it begins */

/* --- Providing -------------------------------------------------------------------------------- */

int halo__function_find(const struct halo_provided *functions, uint32_t count, const char *name,
                        size_t len)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
            return (int)i + 1;
    }
    return HALO_ENAME;
}

int halo_provide(struct halo_sandbox *box, const char *name, const struct halo_signature *signature,
                 halo_function *function, void *context)
{
    struct halo_functions *functions = &box->functions;
    const size_t len = strlen(name);
    struct halo_provided *larger;

    if (box->state != HALO_STATE_READY)
        return halo__fail(&box->words, HALO_ESTATE, "functions are provided before the guest runs");
    if (len == 0 || len > HALO_FUNCTION_NAME_MAX)
        return halo__fail(&box->words, HALO_EINVAL, "the name of a function has 1 to %u bytes",
                          HALO_FUNCTION_NAME_MAX);
    if (!function || !halo_signature_sound(signature))
        return halo__fail(&box->words, HALO_EINVAL, "%s: no function, or a signature that is none",
                          name);
    if (halo__function_find(functions->provided, functions->count, name, len) > 0)
        return halo__fail(&box->words, HALO_EINVAL, "%s: provided already", name);
    if (functions->count == HALO_FUNCTIONS_MAX)
        return halo__fail(&box->words, HALO_EFULL, "%s: there are %u functions already", name,
                          HALO_FUNCTIONS_MAX);
    larger = realloc(functions->provided, (functions->count + 1) * sizeof(*larger));
    if (!larger)
        return halo__fail(&box->words, HALO_ENOMEM, "%s: no memory", name);
    functions->provided = larger;
    larger += functions->count++;
    *larger =
        (struct halo_provided){.signature = *signature, .function = function, .context = context};
    memcpy(larger->name, name, len);
    return 0;
}

/* --- The greeting ----------------------------------------------------------------------------- */

/* What is left of a greeting, in private memory. */
struct greeting {
    const unsigned char *at;
    size_t left;
};

/* The next function of it; its name is not terminated. NULL, or what cannot be understood. */
static const char *next_function(struct greeting *greeting, struct halo_hello_function *function,
                                 const char **name)
{
    if (greeting->left < sizeof(*function))
        return "a greeting that ends within a function";
    memcpy(function, greeting->at, sizeof(*function));
    *name = (const char *)greeting->at + sizeof(*function);
    greeting->left -= sizeof(*function);
    if (function->name_len == 0 || function->name_len > HALO_FUNCTION_NAME_MAX ||
        function->arg_count > HALO_ARGUMENTS_MAX || function->reserved != 0 ||
        function->name_len > greeting->left)
        return "a greeting with a function that is none";
    greeting->at += sizeof(*function) + function->name_len;
    greeting->left -= function->name_len;
    return NULL;
}

static struct halo_signature signature_of(const struct halo_hello_function *function)
{
    struct halo_signature signature = {.arg_count = function->arg_count};

    memcpy(signature.types, function->types, sizeof(signature.types));
    return signature;
}

/* What one import gets: an index, or an error. */
static int32_t resolve(const struct halo_functions *functions,
                       const struct halo_hello_function *import, const char *name)
{
    const struct halo_signature signature = signature_of(import);
    const int index =
        halo__function_find(functions->provided, functions->count, name, import->name_len);

    if (index < 0)
        return index;
    return halo_signature_equal(&signature, &functions->provided[index - 1].signature) ? index
                                                                                       : HALO_ETYPE;
}

static const char *add_export(struct halo_functions *functions,
                              const struct halo_hello_function *wire, const char *name)
{
    struct halo_provided *exported = &functions->exported[functions->export_count];
    const struct halo_signature signature = signature_of(wire);

    if (!halo_signature_sound(&signature) || memchr(name, '\0', wire->name_len))
        return "a greeting with a function that is none";
    if (halo__function_find(functions->exported, functions->export_count, name, wire->name_len) > 0)
        return "a greeting with two functions of one name";
    *exported = (struct halo_provided){.signature = signature};
    memcpy(exported->name, name, wire->name_len);
    functions->export_count++;
    return NULL;
}

/* All of a greeting. NULL, or what cannot be understood. */
static const char *read_greeting(struct halo_functions *functions, struct greeting greeting,
                                 const struct halo_hello *hello, int32_t *indices)
{
    struct halo_hello_function function;
    const char *name, *why;

    for (uint32_t i = 0; i < hello->import_count; i++) {
        why = next_function(&greeting, &function, &name);
        if (why)
            return why;
        indices[i] = resolve(functions, &function, name);
    }
    for (uint32_t i = 0; i < hello->export_count; i++) {
        why = next_function(&greeting, &function, &name);
        if (!why)
            why = add_export(functions, &function, name);
        if (why)
            return why;
    }
    return greeting.left == 0 ? NULL : "a greeting with something behind it";
}

const char *halo__hello(struct halo_sandbox *box, struct halo_request *request)
{
    struct halo_functions *functions = &box->functions;
    const uint64_t len = request->message.length;
    int32_t indices[HALO_FUNCTIONS_MAX];
    struct halo_hello hello;
    unsigned char *bytes;
    const char *why;

    if (functions->greeted)
        return "a second greeting";
    if (len < sizeof(hello) || len > HELLO_MAX)
        return "a greeting that is too short or too long";
    halo__request_read(request, PAYLOAD, &hello, sizeof(hello));
    if (hello.import_count > HALO_FUNCTIONS_MAX || hello.export_count > HALO_FUNCTIONS_MAX)
        return "a greeting with too many functions";
    if (request->writable_len < PAYLOAD + hello.import_count * sizeof(indices[0]))
        return "a greeting without room for its answer";
    bytes = malloc(HELLO_MAX);
    functions->exported = calloc(hello.export_count + 1, sizeof(*functions->exported));
    if (!bytes || !functions->exported) {
        free(bytes);
        return "a greeting for which there is no memory";
    }
    halo__request_read(request, PAYLOAD + sizeof(hello), bytes, (size_t)len - sizeof(hello));
    why = read_greeting(functions, (struct greeting){bytes, (size_t)len - sizeof(hello)}, &hello,
                        indices);
    free(bytes);
    if (why)
        return why;
    functions->greeted = true;
    halo__request_write(request, PAYLOAD, indices, hello.import_count * sizeof(indices[0]));
    halo__request_answer(&box->g2h, request, HALO_KIND_ANSWER, 0,
                         (uint32_t)(hello.import_count * sizeof(indices[0])));
    return NULL;
}

/* --- Payloads --------------------------------------------------------------------------------- */

void halo__payload(struct halo_payload *payload, unsigned char *wire, uint32_t function,
                   const struct halo_value *values, uint32_t count)
{
    struct halo_call_head head = {0};
    unsigned char *envelope = wire + sizeof(head);

    head.envelope_len = (uint32_t)(function ? halo__encode_call(envelope, function, values, count)
                                            : halo__encode_result(envelope, values));
    memcpy(wire, &head, sizeof(head));
    *payload = (struct halo_payload){
        .wire = wire,
        .values = values,
        .count = count,
        .wire_len = (uint32_t)sizeof(head) + head.envelope_len,
    };
    payload->len = payload->wire_len;
    for (uint32_t i = 0; i < count; i++)
        payload->len += halo__raw_len(&values[i]);
}

void halo__payload_write(const struct halo_payload *payload, const struct halo_request *request)
{
    uint64_t at = PAYLOAD + payload->wire_len;

    halo__request_write(request, PAYLOAD, payload->wire, payload->wire_len);
    for (uint32_t i = 0; i < payload->count; i++) {
        const uint64_t len = halo__raw_len(&payload->values[i]);

        halo__request_write(request, at, payload->values[i].bytes, (size_t)len);
        at += len;
    }
}

void halo__answer_error(struct halo_sandbox *box, const struct halo_request *request, int32_t code,
                        const char *text)
{
    unsigned char envelope[HALO_ENVELOPE_MAX];
    const size_t len = halo__encode_error(envelope, code, text);

    halo__request_write(request, PAYLOAD, envelope, len);
    halo__request_answer(&box->g2h, request, HALO_KIND_ERROR, 0, (uint32_t)len);
}

/* --- A call ----------------------------------------------------------------------------------- */

struct halo_call {
    struct halo_sandbox *box;
    const struct halo_request *request;
    const struct halo_provided *provided;
    bool answered;
};

/* An error of Halo's own: the guest gets its code, and the words for it. */
static int refuse(struct halo_call *call, int error)
{
    halo__answer_error(call->box, call->request, error, halo_strerror(error));
    call->answered = true;
    return error;
}

/* A number, or nothing, as the answer to a compact call: it lies in the used entry. */
static void answer_compact(struct halo_call *call, const struct halo_value *value)
{
    unsigned char bytes[HALO_INLINE_ANSWER_MAX];

    halo__pack(bytes, value);
    (void)halo_device_complete_inline(&call->box->g2h, call->request->token, bytes,
                                      halo__packed_len(value->type));
    call->answered = true;
}

int halo_return(struct halo_call *call, struct halo_value value)
{
    unsigned char wire[sizeof(struct halo_call_head) + HALO_ENVELOPE_MAX];
    struct halo_signature result = {.arg_count = 1,
                                    .types = {0, call->provided->signature.types[0]}};
    struct halo_payload payload;
    uint32_t which;
    int error;

    if (call->answered)
        return HALO_ESTATE;
    error = halo_values_check(&result, &value, 1, &which);
    if (error)
        return refuse(call, error);
    if (call->request->is_inline && value.type < HALO_STR) {
        answer_compact(call, &value);
        return 0;
    }
    if (value.len > HALO_VALUE_MAX)
        return refuse(call, HALO_ESIZE);
    halo__payload(&payload, wire, 0, &value, 1);
    if (payload.len > call->request->writable_len - PAYLOAD) { /* RPC-05 */
        if (call->request->stack)
            return refuse(call, HALO_ESIZE);
        error = halo__keep(call->box, call->request, &payload);
        if (error)
            return refuse(call, error);
    } else {
        halo__payload_write(&payload, call->request);
        halo__request_answer(&call->box->g2h, call->request, HALO_KIND_ANSWER, 0,
                             (uint32_t)payload.len);
    }
    call->answered = true;
    return 0;
}

int halo_fail(struct halo_call *call, int32_t code, const char *text)
{
    if (call->answered)
        return HALO_ESTATE;
    if (code <= 0)
        return HALO_EINVAL;
    halo__answer_error(call->box, call->request, code, text);
    call->answered = true;
    return 0;
}

struct halo_sandbox *halo_call_sandbox(struct halo_call *call)
{
    return call->box;
}

/* With its values in private memory: call. */
static void call_function(struct halo_call *call, const struct halo_value *args)
{
    const struct halo_provided *provided = call->provided;

    call->box->stats.calls++;
    call->box->calls.serving++;
    provided->function(call, args, provided->context);
    call->box->calls.serving--;
    if (!call->answered)
        (void)halo_return(call, halo_void()); /* HALO_ETYPE where there has to be a result */
}

/* Bytes of strings and bytes, each of less than 4 GiB. */
static uint64_t total_len(const struct halo_value *args, uint32_t count)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < count; i++)
        total += args[i].len;
    return total;
}

/* The function and its signature are known: read the arguments and call. */
static const char *call_with(struct halo_call *call, unsigned char *envelope, size_t len,
                             uint64_t raw_at)
{
    const struct halo_request *request = call->request;
    const struct halo_signature *signature = &call->provided->signature;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    unsigned char *memory = NULL;
    uint64_t raw;
    int error = halo__decode_arguments(envelope, len, signature, args, &raw);

    if (error == HALO_EMESSAGE)
        return "a call that is malformed";
    if (error) { /* RPC-02 */
        refuse(call, error);
        return NULL;
    }
    if (raw != request->readable_len - raw_at)
        return "a call whose segments are not what it announces";
    if (total_len(args, signature->arg_count) > HALO_VALUE_MAX) { /* RES-04, RPC-05 */
        refuse(call, HALO_ESIZE);
        return NULL;
    }
    if (raw > 0) {
        memory = malloc((size_t)raw);
        if (!memory) {
            refuse(call, HALO_ENOMEM);
            return NULL;
        }
        halo__request_read(request, raw_at, memory, (size_t)raw);
        error = halo__place_raw(memory, args, signature->arg_count);
    }
    if (!error)
        call_function(call, args);
    free(memory);
    return error ? "a call with text that does not end where it says" : NULL;
}

/* A call in a message, which is due. */
static const char *serve_message(struct halo_sandbox *box, struct halo_request *request)
{
    const struct halo_functions *functions = &box->functions;
    struct halo_call call = {.box = box, .request = request};
    unsigned char envelope[HALO_ENVELOPE_MAX];
    struct halo_call_head head;
    uint32_t function;
    uint64_t at = PAYLOAD + sizeof(head);
    size_t used;

    if (request->message.length < sizeof(head))
        return "a call shorter than its header";
    halo__request_read(request, PAYLOAD, &head, sizeof(head));
    if (head.reserved != 0 || head.envelope_len > HALO_ENVELOPE_MAX ||
        head.envelope_len > request->message.length - sizeof(head))
        return "a call with an envelope that is none";
    halo__request_read(request, at, envelope, head.envelope_len);
    at += head.envelope_len;
    if (halo__decode_function(envelope, head.envelope_len, &function, &used))
        return "a call that is malformed";
    if (function > functions->count) { /* RPC-01 */
        refuse(&call, HALO_ENAME);
        return NULL;
    }
    call.provided = &functions->provided[function - 1];
    return call_with(&call, envelope + used, head.envelope_len - used, at);
}

/* A call in the compact form, which is due. */
static const char *serve_compact(struct halo_sandbox *box, struct halo_request *request)
{
    const struct halo_functions *functions = &box->functions;
    const unsigned char *bytes = request->inline_bytes;
    struct halo_call call = {.box = box, .request = request};
    const struct halo_signature *signature;
    struct halo_value args[HALO_ARGUMENTS_MAX];
    uint32_t function = bytes[1] | (uint32_t)bytes[2] << 8;

    if (function == 0)
        return "a call that is malformed";
    if (function > functions->count) { /* RPC-01 */
        refuse(&call, HALO_ENAME);
        return NULL;
    }
    call.provided = &functions->provided[function - 1];
    signature = &call.provided->signature;
    if (halo__packed_args_len(signature) != request->inline_len - HALO_COMPACT_HEAD)
        return "a call whose arguments are not its function's";
    bytes += HALO_COMPACT_HEAD;
    for (uint32_t i = 0; i < signature->arg_count; i++) {
        const enum halo_type type = (enum halo_type)signature->types[1 + i];

        if (!halo__unpack(bytes, type, &args[i]))
            return "a call that is malformed";
        bytes += halo__packed_len(type);
    }
    call_function(&call, args);
    return NULL;
}

/* --- Now, or later ---------------------------------------------------------------------------- */

static bool is_due(const struct halo_sandbox *box, const struct halo_request *request)
{
    return request->message.flags >> HALO_DEPTH_SHIFT >= box->calls.waits;
}

/* Serve it, or put it off until the wait that we are in is over. */
static const char *serve_when_due(struct halo_sandbox *box, struct halo_request *request)
{
    struct halo_calls *calls = &box->calls;

    if (is_due(box, request))
        return request->is_inline ? serve_compact(box, request) : serve_message(box, request);
    request->next = NULL;
    if (calls->first_put_off)
        calls->last_put_off->next = request;
    else
        calls->first_put_off = request;
    calls->last_put_off = request;
    return NULL;
}

/* The first that is due, taken out of those that were put off, or NULL. */
static struct halo_request *take_due(struct halo_sandbox *box)
{
    struct halo_calls *calls = &box->calls;
    struct halo_request **link = &calls->first_put_off, *before = NULL, *request;

    for (; *link && !is_due(box, *link); link = &(*link)->next)
        before = *link;
    request = *link;
    if (request) {
        *link = request->next;
        if (calls->last_put_off == request)
            calls->last_put_off = before;
    }
    return request;
}

const char *halo__call_due(struct halo_sandbox *box)
{
    struct halo_request *request;
    const char *why = NULL;

    while (!why && box->state == HALO_STATE_RUNNING && (request = take_due(box)))
        why = serve_when_due(box, request);
    return why;
}

const char *halo__call_serve(struct halo_sandbox *box, struct halo_request *request)
{
    if (request->writable_len < HALO_CALL_ROOM_MIN)
        return "a call without room for its answer";
    return serve_when_due(box, request);
}

const char *halo__call_compact(struct halo_sandbox *box, struct halo_request *request)
{
    const unsigned char first = request->inline_bytes[0];

    request->message = (struct halo_message){.kind = HALO_KIND_CALL,
                                             .flags = first & HALO_DEPTH_MAX << HALO_DEPTH_SHIFT};
    if (request->inline_len < HALO_COMPACT_HEAD ||
        (first ^ request->message.flags) != (HALO_KIND_CALL | HALO_COMPACT)) /* RPC-06 */
        return "a compact message of unknown kind";
    if (request->writable_len < HALO_CALL_ROOM_MIN)
        return "a call without room for its answer";
    return serve_when_due(box, request);
}
